from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file

from mien.app.verbs import main
from mien.data import table
from mien.data.table import Table
from mien.errors import ConfigError, DataError, ModelError
from mien.expression.logits import calibrated, softmax
from mien.expression.recognize import load_model
from mien.labels import label_set
from mien.media.preprocess import Preprocess, batch
from mien.training import recipes
from mien.training.calibrate import PRIOR_FACES
from mien.training.export import export
from mien.training.models import networks
from mien.training.train import train
from mien.training.warmstart import fill
from mien.weights.session import METADATA_KEY

RECIPE = Path(__file__).parents[2] / "recipes" / "resnet10-ferplus.toml"


class Silent:
    def step(self, epoch: int, step: int, steps: int, loss: float) -> None: ...
    def epoch(self, record: dict[str, Any]) -> None: ...


@pytest.fixture(scope="module")
def run(small_ferplus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "short"
    recipe = recipes.read(RECIPE, ["train.epochs=1", "train.batch=64"])
    train(recipe, small_ferplus, out, Silent(), accelerator="cpu")
    return out


@pytest.fixture(scope="module")
def exported(run: Path, small_ferplus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models") / "mine.onnx"
    export(run, small_ferplus, out)
    return out


def test_torch_and_onnx_agree_on_256_real_faces(
    exported: Path, run: Path, ferplus_table: Table
) -> None:
    faces = ferplus_table.of_split("PublicTest").pictures()
    crops = [face for face, _ in zip(faces, range(256), strict=False)]
    recognizer = load_model(exported)
    net = networks.build("resnet10", 8, Preprocess())
    net.load_state_dict(load_file(run / "weights.safetensors"))
    net.eval()
    with torch.no_grad():
        expected = net(torch.from_numpy(batch(crops, recognizer.info.preprocess))).numpy()
    assert len(crops) == 256
    np.testing.assert_allclose(recognizer.logits(crops), expected, atol=1e-4)


def test_normalised_by_picture_it_is_exported_and_gone_on_from(
    small_ferplus: Path, tmp_path: Path
) -> None:
    changes = ["model.name=resnet10-slim-ibn", "train.epochs=1", "train.batch=64"]
    train(recipes.read(RECIPE, changes), small_ferplus, tmp_path / "run", Silent(), "cpu")
    export(tmp_path / "run", small_ferplus, tmp_path / "mine.onnx")
    model = load_model(tmp_path / "mine.onnx")
    crops = [face for face, _ in zip(table.read(small_ferplus).pictures(), range(32), strict=False)]
    x = torch.from_numpy(batch(crops, model.info.preprocess))
    net = networks.build("resnet10-slim-ibn", 8, Preprocess())
    fill(net, model.content, label_set("ferplus"), x.to(torch.uint8))
    with torch.no_grad():
        ours = net.eval()(x).numpy()
    theirs = calibrated(model.logits(crops), model.info.temperature, model.info.offsets)
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_the_file_says_everything_needed_to_use_it(exported: Path, run: Path) -> None:
    info = load_model(exported).info
    assert info.name == "mine"
    assert info.label_set.labels == label_set("ferplus").labels
    environment = json.loads((run / "environment.json").read_text())
    assert info.base_rates == tuple(environment["base_rates"])
    assert 0.05 < info.temperature < 20
    assert 0 < info.uncertain_below <= 1
    training = info.card["training"]
    assert training["data"]["sha256"]
    assert training["counts"]["train_used"] > 600
    assert info.card["licence"]


def test_no_path_of_this_machine_is_in_the_file(exported: Path) -> None:
    content = exported.read_bytes()
    for word in (str(Path.home()), "/src/mien", "site-packages", "stack_trace"):
        assert word.encode() not in content


def test_calibration_fits_the_select_split(exported: Path, small_ferplus: Path) -> None:
    """No other temperature and no other offset would make its labels likelier."""
    recognizer = load_model(exported)
    info = recognizer.info
    assert info.offsets is not None
    select = table.read(small_ferplus).of_split("PublicTest")
    select = select.keep(select.targets(info.label_set) >= 0)
    targets, pictures = select.targets(info.label_set), list(select.pictures())
    once = recognizer.logits(pictures)
    again = recognizer.logits([np.ascontiguousarray(p[:, ::-1]) for p in pictures])
    both = np.asarray(
        (once + again) / 2, np.float32
    )  # so short a run is sure of nothing: it looks twice at every face

    def loss(temperature: float, offsets: list[float]) -> float:
        probs = softmax(calibrated(both, temperature, offsets))
        nll = -np.log(probs[np.arange(len(targets)), targets]).mean()
        prior = np.square(offsets).sum() + np.log(temperature) ** 2
        return float(nll + PRIOR_FACES / len(targets) * prior)

    best, offsets = info.temperature, list(info.offsets)
    least = loss(best, offsets)
    assert least <= min(loss(best * 1.1, offsets), loss(best / 1.1, offsets))
    for k in range(len(offsets)):
        moved = [v + (0.1 if i == k else 0) for i, v in enumerate(offsets)]
        assert least < loss(best, moved) + 1e-4


def test_the_last_weights_are_not_the_best_ones(
    run: Path, small_ferplus: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="best or its last"):
        export(run, small_ferplus, tmp_path / "m.onnx", which="first")
    last = export(run, small_ferplus, tmp_path / "last.onnx", which="last")
    assert last["card"]["training"]["weights"] == "last"
    # after a single epoch they are the same, and their hash says so
    best = export(run, small_ferplus, tmp_path / "best.onnx")
    assert last["card"]["weights_sha256"] == best["card"]["weights_sha256"]


def test_figures_of_other_weights_are_refused(
    run: Path, small_ferplus: Path, tmp_path: Path
) -> None:
    figures = tmp_path / "figures.json"
    figures.write_text(json.dumps({"model": {"weights_sha256": "0" * 64}}))
    with pytest.raises(DataError, match="other weights"):
        export(run, small_ferplus, tmp_path / "m.onnx", [figures])


def test_other_data_than_it_was_trained_on_is_refused(
    run: Path, ferplus_table: Table, tmp_path: Path
) -> None:
    other = tmp_path / "other.parquet"
    table.write(ferplus_table.keep(i % 500 == 0 for i in range(len(ferplus_table))), other)
    with pytest.raises(DataError, match="is not the table"):
        export(run, other, tmp_path / "m.onnx")


def test_a_folder_without_a_run_is_refused(tmp_path: Path, small_ferplus: Path) -> None:
    with pytest.raises(ModelError, match="not the folder of a finished run"):
        export(tmp_path, small_ferplus, tmp_path / "m.onnx")


def test_the_shipped_model_agrees_with_its_own_card() -> None:
    info = load_model().info
    assert info.card["parity"]["faces"] == 256
    assert info.card["parity"]["largest_difference"] <= 1e-4
    assert info.label_set.labels == label_set("ferplus").labels


def test_the_command_line_exports_and_the_model_works_at_once(
    run: Path,
    small_ferplus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "mine.onnx"
    words = ["mien", "export", str(run), "--data", str(small_ferplus), "--out", str(out)]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 0
    assert capsys.readouterr().out.strip() == str(out)
    onnx.checker.check_model(str(out))
    meta = {p.key: p.value for p in onnx.load(str(out)).metadata_props}
    assert json.loads(meta[METADATA_KEY])["labels"] == list(label_set("ferplus").labels)
