"""A run's folder that was damaged, by whomever: exporting and going on end in a clear error."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from mien.errors import DataError, MienError, ModelError
from mien.evaluation import runlog
from mien.training import checkpoint, recipes
from mien.training.export import export
from mien.training.train import train
from tests.training.test_export import RECIPE, Silent

JSON = ("recipe.json", "environment.json")
DAMAGES = (b"", b"\0" * 50, b"null", b"[]", b"3", b'"a"', b"{}", b"[" * 100_000, b'{"recipe": 3}')


@pytest.fixture(scope="module")
def run(small_ferplus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "short"
    recipe = recipes.read(RECIPE, ["train.epochs=1", "train.batch=256"])
    train(recipe, small_ferplus, out, Silent(), accelerator="cpu")
    return out


@pytest.fixture
def damaged(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "run"))


def goes_on(run: Path, data: Path) -> None:
    recipe = recipes.read(RECIPE, ["train.epochs=1", "train.batch=256"])
    train(recipe, data, run, Silent(), accelerator="cpu")


@pytest.mark.parametrize("name", JSON)
@pytest.mark.parametrize("content", DAMAGES, ids=range(len(DAMAGES)))
def test_an_export_of_damaged_facts(
    damaged: Path, small_ferplus: Path, name: str, content: bytes
) -> None:
    (damaged / name).write_bytes(content)
    with pytest.raises(ModelError, match="is not the folder of a finished run"):
        export(damaged, small_ferplus, damaged / "m.onnx")


def test_every_fact_that_is_gone_or_odd_is_told(damaged: Path, small_ferplus: Path) -> None:
    """Whatever an export takes from the facts; what it only tells of may be of any type."""
    for name in JSON:
        whole = json.loads((damaged / name).read_text(encoding="utf-8"))
        for key in {*whole} & {"recipe", "data", "base_rates", "counts", "versions", "machine"}:
            for odd in (..., 3, None, "a", [1], [1, "a"]):
                said = {k: v for k, v in (whole | {key: odd}).items() if v is not ...}
                (damaged / name).write_text(json.dumps(said), encoding="utf-8")
                with pytest.raises(MienError):
                    export(damaged, small_ferplus, damaged / "m.onnx")
        (damaged / name).write_text(json.dumps(whole), encoding="utf-8")


@pytest.mark.parametrize("content", DAMAGES, ids=range(len(DAMAGES)))
def test_going_on_with_a_damaged_recipe(damaged: Path, small_ferplus: Path, content: bytes) -> None:
    (damaged / "recipe.json").write_bytes(content)
    with pytest.raises(MienError, match=r"name another|holds a run of another recipe"):
        goes_on(damaged, small_ferplus)


@pytest.mark.parametrize("damage", ["cut", "empty", "noise", "parts", "shapes", "state", "epoch"])
def test_a_damaged_checkpoint(damaged: Path, small_ferplus: Path, damage: str) -> None:
    path = damaged / "checkpoint.safetensors"
    found = checkpoint.read(path)
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage in ("empty", "noise"):
        path.write_bytes(b"" if damage == "empty" else content[::-1])
    else:
        if damage == "parts":
            del found.parts["ema"], found.parts["best"]
        elif damage == "shapes":
            for part in found.parts.values():
                part.update({k: v.flatten()[:1].clone() for k, v in part.items()})
        else:
            found.state = {} if damage == "state" else {"epoch": "1", "best_score": 0}
        checkpoint.write(found, path)
    with pytest.raises(ModelError, match=r"checkpoint\.safetensors"):
        goes_on(damaged, small_ferplus)
    if damage not in ("state", "epoch"):  # which an export does not ask for
        with pytest.raises(ModelError, match=r"checkpoint\.safetensors"):
            export(damaged, small_ferplus, damaged / "m.onnx")


@pytest.mark.parametrize(
    "log", [b"", b"null\n", b"3\n", b"{}\n", b"\xff\xfe\n", b'{"epoch": 0}\n', b"[" * 100_000]
)
def test_a_damaged_log(damaged: Path, small_ferplus: Path, log: bytes) -> None:
    (damaged / "log.jsonl").write_bytes(log)
    with pytest.raises(DataError, match=r"log\.jsonl"):
        export(damaged, small_ferplus, damaged / "m.onnx")
    with pytest.raises(DataError, match=r"log\.jsonl"):
        runlog.epochs(damaged / "log.jsonl")
    goes_on(damaged, small_ferplus)  # which needs none of its lines


def test_a_log_s_line_is_named(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    line: dict[str, Any] = {"epoch": 0, "loss": 1.0, "seconds": 1, "images_per_s": 2, "select": {}}
    log.write_text(f"{json.dumps(line)}\n{json.dumps(line | {'loss': None})}\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"log\.jsonl, line 2, .*loss is a number, got None"):
        runlog.epochs(log)
    log.write_text(json.dumps(line | {"loss": float("nan")}), encoding="utf-8")
    assert len(runlog.epochs(log)) == 1  # it happens, and is worth a look


@pytest.mark.parametrize("content", DAMAGES, ids=range(len(DAMAGES)))
def test_figures_that_are_none(damaged: Path, small_ferplus: Path, content: bytes) -> None:
    (damaged / "figures.json").write_bytes(content)
    with pytest.raises(DataError, match=r"figures\.json is no result of mien evaluate"):
        export(damaged, small_ferplus, damaged / "m.onnx", [damaged / "figures.json"])


def test_a_label_that_nobody_showed_in_training_is_told(damaged: Path, small_ferplus: Path) -> None:
    """Its base rate is nothing, and what turns base rates would divide by it."""
    path = damaged / "environment.json"
    facts = json.loads(path.read_text(encoding="utf-8"))
    facts["base_rates"][-1] = 0.0
    path.write_text(json.dumps(facts), encoding="utf-8")
    with pytest.raises(ModelError, match="no picture that trained shows contempt"):
        export(damaged, small_ferplus, damaged / "m.onnx")
