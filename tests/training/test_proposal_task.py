"""Training the proposal network: targets follow their pictures, and a small run learns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator

from mien.data import table
from mien.data.table import Row, Table
from mien.errors import DataError
from mien.faces.proposals import STRIDES, decode, distinct
from mien.training import recipes
from mien.training.export import export
from mien.training.proposal_task import ProposalTask, answers, part, proposal_loss
from mien.training.recipes import ProposalRecipe
from mien.training.train import prepare, train

RECIPE = Path(__file__).parents[2] / "recipes" / "proposals.toml"
QUICK = [
    'data.faces=["train"]',
    'data.decoys=["decoys"]',
    "data.scenes=64",
    "model.size=128",
    "train.batch=16",
    "train.epochs=2",
    "train.warmup_epochs=0",
    "train.precision=32-true",
]
NONE = [torch.nan] * 4


def recipe(*overrides: str) -> ProposalRecipe:
    read = recipes.read(RECIPE, [*QUICK, *overrides])
    assert isinstance(read, ProposalRecipe)
    return read


class Silent:
    def step(self, epoch: int, step: int, steps: int, loss: float) -> None: ...
    def epoch(self, record: dict[str, Any]) -> None: ...


def still(n: int) -> dict[str, torch.Tensor]:
    return {
        "angle": torch.zeros(n),
        "scale": torch.ones(n),
        "shift": torch.zeros(n, 2),
        "mirrored": torch.zeros(n, dtype=torch.bool),
    }


def dotted(x: int, y: int, side: int = 320) -> torch.Tensor:
    scene = torch.full((1, 1, side, side), 128.0)
    scene[0, 0, y - 3 : y + 4, x - 3 : x + 4] = 255.0
    return scene


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize(("angle", "scale"), [(0.0, 1.0), (0.4, 1.0), (-0.3, 1.3), (0.2, 0.8)])
def test_a_face_stays_on_its_pixels(mirrored: bool, angle: float, scale: float) -> None:
    face = torch.tensor([[[170.0, 140.0, 40.0, 0.1], NONE]])
    seen, moved = part(
        dotted(170, 140),
        face,
        256,
        torch.tensor([angle]),
        torch.tensor([scale]),
        torch.tensor([[12.0, -9.0]]),
        torch.tensor([mirrored]),
    )
    assert seen.shape == (1, 1, 256, 256)
    weight = (seen[0, 0] - 128).clamp(min=0)
    at = torch.arange(256.0)
    x, y = (weight.sum(0) * at).sum() / weight.sum(), (weight.sum(1) * at).sum() / weight.sum()
    assert moved[0, 0, :2].tolist() == pytest.approx([float(x), float(y)], abs=0.3)
    assert moved[0, 0, 2].item() == pytest.approx(40 / scale, rel=1e-4)
    roll = (0.1 - angle) * (-1 if mirrored else 1)
    assert moved[0, 0, 3].item() == pytest.approx(roll, abs=1e-5)
    assert moved[0, 1].isnan().all()


def test_what_lies_beyond_is_gray_and_without_faces() -> None:
    far = {**still(1), "shift": torch.tensor([[200.0, 0.0]])}
    seen, moved = part(
        torch.zeros(1, 1, 320, 320), torch.tensor([[[40.0, 160, 30, 0]]]), 128, **far
    )
    assert (seen[0, 0, :, -1] == 128).all()
    assert moved.isnan().all()


def test_each_size_has_its_own_map() -> None:
    """What decode reads back from the answers a face asks for is that face."""
    limits = [0.0, 40.0, 80.0, 160.0, torch.inf]
    for side in (14.0, 39.0, 60.0, 120.0, 200.0):
        y = torch.tensor([[[150.0, 90.0, side, -0.4], NONE]])
        maps = []
        for i, stride in enumerate(STRIDES):
            shape = torch.Size([320 // stride, 320 // stride])
            told, care = answers(y, shape, stride, limits[i], limits[i + 1])
            here = limits[i] <= side < limits[i + 1]
            assert (told[0, 0] > 0).any().item() == here
            assert care[0, 0, 0] == 1
            said = told[0].numpy().copy()
            said[0] = np.where(said[0] > 0, 3.0, -9.0)
            maps.append(said)
        found = distinct(decode(maps, 0.5))
        assert len(found) == 1
        half = side / 2
        wanted = [150.5 - half, 90.5 - half, 150.5 + half, 90.5 + half]
        assert found.boxes[0].tolist() == pytest.approx(wanted, abs=0.01)
        assert found.rolls[0] == pytest.approx(-0.4, abs=1e-4)


def test_no_face_asks_for_nothing() -> None:
    told, care = answers(torch.tensor([[NONE]]), torch.Size([5, 5]), 64, 160.0, torch.inf)
    assert not told.any()
    assert (care == 1).all()


def test_loss_is_less_for_the_right_answers() -> None:
    y = torch.tensor([[[150.0, 90.0, 60.0, 0.2], NONE]])
    told, care = answers(y, torch.Size([20, 20]), 16, 40.0, 80.0)
    right = told.clone()
    right[:, 0] = torch.where(told[:, 0] > 0, 6.0, -6.0)
    wrong = right.clone()
    wrong[:, 1:3] += 0.5
    losses = [
        proposal_loss(said.flatten(2), told.flatten(2), care.flatten(1)).item()
        for said in (right, wrong, torch.zeros_like(right))
    ]
    assert losses[0] < 0.01 < losses[1] < losses[2]


@pytest.fixture(scope="module")
def scenes_table(w300_table: Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty real faces, and noise for backgrounds and decoys."""
    import cv2

    draw = np.random.default_rng(3)

    def noise(name: str, split: str, side: int) -> Row:
        gray = cv2.resize(draw.integers(0, 256, (9, 9), np.uint8), (side, side))
        return Row(name, split, "not_a_face", cv2.imencode(".png", gray)[1].tobytes(), side, side)

    train_part = w300_table.of_split("train")
    faces = list(train_part.keep(i < 60 for i in range(len(train_part))).rows)
    rows = [noise(f"b{i}", "backgrounds", 400) for i in range(30)]
    rows += [noise(f"d{i}", "decoys", 96) for i in range(30)]
    path = tmp_path_factory.mktemp("scenes") / "scenes.parquet"
    table.write(Table("scenes", [*faces, *rows]), path)
    return path


def test_a_run_learns_and_is_exported(scenes_table: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(recipe(), scenes_table, out, Silent(), accelerator="cpu")
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert log[1]["loss"] < log[0]["loss"]
    assert {"recall", "proposals"} <= log[1]["select"].keys()
    meta = export(out, scenes_table, tmp_path / "proposals.onnx")
    assert meta["card"]["parity"]["largest_difference"] < 1e-4
    assert meta["card"]["training"]["splits"]["train"] == ["train", "backgrounds", "decoys"]


def test_too_few_rows(scenes_table: Path) -> None:
    whole = table.read(scenes_table)
    with pytest.raises(DataError, match="too few rows in scenes"):
        prepare(
            recipe(),
            whole.keep(row.split != "decoys" or row.id == "d1" for row in whole.rows),
            None,
        )


def test_change_keeps_the_size_of_the_recipe() -> None:
    task = ProposalTask(recipe())
    x, y = torch.rand(3, 1, 320, 320) * 255, torch.full((3, 5, 4), torch.nan)
    seen, faces = task.change(x, y, Generator().manual_seed(1))
    assert seen.shape == (3, 1, 128, 128)
    assert faces.shape == (3, 5, 4)
