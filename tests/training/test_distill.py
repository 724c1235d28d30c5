"""Networks that teach another one."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from mien.errors import ConfigError, ModelError
from mien.media.preprocess import Preprocess
from mien.training import checkpoint, recipes
from mien.training.distill import Teachers
from mien.training.expression_task import ExpressionTask
from mien.training.mapshift import shift_maps
from mien.training.models.iliev2022 import iliev2022
from mien.training.recipes import ExpressionRecipe
from mien.training.train import train
from mien.training.warmstart import Start

from .test_train import Silent

CPU = torch.device("cpu")
KEPT = Path(__file__).parents[2] / "benchmarks" / "training"


def recipe(name: str, *overrides: str) -> ExpressionRecipe:
    read = recipes.read(recipes.find(name), overrides)
    assert isinstance(read, ExpressionRecipe)
    return read


def member(folder: Path, seed: int, *overrides: str) -> Path:
    """A finished run's folder with a network that knows nothing yet."""
    own = recipe("mien", "model.size=32", "data.teacher_weight=0", *overrides)
    torch.manual_seed(seed)
    net = ExpressionTask(own).network()
    folder.mkdir()
    (folder / "recipe.json").write_text(json.dumps({"recipe": dataclasses.asdict(own)}))
    parts = {"ema": {k: v.half() if v.ndim > 1 else v for k, v in net.state_dict().items()}}
    checkpoint.write(checkpoint.Checkpoint(parts, {}), folder / "checkpoint.safetensors")
    return folder


def answers(run: Path, x: torch.Tensor) -> torch.Tensor:
    own = recipes.from_values(json.loads((run / "recipe.json").read_text())["recipe"])
    assert isinstance(own, ExpressionRecipe)
    net = ExpressionTask(own).network()
    net.load_state_dict(checkpoint.average(run / "checkpoint.safetensors"))
    with torch.no_grad():
        logits: torch.Tensor = net.eval()(x)
    return logits


def test_the_target_is_labels_and_the_mean_answer_by_their_weight(tmp_path: Path) -> None:
    runs = [member(tmp_path / name, i, "train.precision=32-true") for i, name in enumerate("ab")]
    learner = recipe("mien", "model.size=48", "data.teacher_weight=0.25")
    x = torch.rand(5, 1, 48, 48) * 255
    y = torch.zeros(5, 15)
    y[:, 2] = 1
    y[:4, 9] = 1  # nobody labelled the last picture for the second head
    blended = Teachers(runs).of(learner, CPU).blended(x, y)

    seen = F.interpolate(x, (32, 32), mode="bilinear", antialias=True)
    logits = [answers(run, seen) for run in runs]
    own = torch.stack([one[:, :8].softmax(1) for one in logits]).mean(0)
    further = torch.stack([one[:, 8:].softmax(1) for one in logits]).mean(0)
    torch.testing.assert_close(blended[:, :8], 0.75 * y[:, :8] + 0.25 * own)
    torch.testing.assert_close(blended[:4, 8:], 0.75 * y[:4, 8:] + 0.25 * further[:4])
    torch.testing.assert_close(blended[4, 8:], further[4])
    assert (y[:, 2] == 1).all()  # the labels given stay as they are


def test_the_kept_members_know_their_training_faces() -> None:
    """What the repository keeps of a run teaches as the run did."""
    teachers = Teachers([KEPT / "resnet10-64", KEPT / "mobileface80"])
    guidance = teachers.of(recipe("mien", "data.teacher_weight=1"), CPU)
    assert [len(digest) for digest in teachers.sha256] == [64, 64]
    told = guidance.blended(torch.full((2, 1, 64, 64), 128.0), torch.zeros(2, 15))
    torch.testing.assert_close(told[:, :8].sum(1), torch.ones(2))
    torch.testing.assert_close(told[:, 8:].sum(1), torch.ones(2))


def test_who_cannot_teach_says_why(tmp_path: Path) -> None:
    run = member(tmp_path / "a", 1)
    learner = recipe("mien")
    with pytest.raises(ConfigError, match=r"--teacher goes with expressions and a data\.teacher_w"):
        Teachers([run]).of(recipe("mien", "data.teacher_weight=0"), CPU)
    landmarks = recipes.read(recipes.find("landmarks68"))
    assert not isinstance(landmarks, recipes.AgainstRestRecipe)
    with pytest.raises(ConfigError, match="--teacher goes with expressions"):
        Teachers([run]).of(landmarks, CPU)
    with pytest.raises(ConfigError, match=r"teacher a has model.align = 'similarity', .* 'box'"):
        Teachers([run]).of(recipe("mien", "model.align=box"), CPU)
    other = replace(learner, data=replace(learner.data, labels=("anger", "neutral")))
    with pytest.raises(ConfigError, match=r"the teacher a answers .* for 'own', the recipe"):
        Teachers([run]).of(other, CPU)
    with pytest.raises(ModelError, match="cannot read"):
        Teachers([tmp_path / "none"])
    (run / "checkpoint.safetensors").write_bytes(b"half of one")
    with pytest.raises(ModelError, match="is not a checkpoint of mien's"):
        Teachers([run])


def test_a_weight_without_teachers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="say who teaches, --teacher RUN"):
        train(recipe("resnet10-ferplus-refine"), tmp_path / "no.parquet", tmp_path / "r", Silent())


def test_training_with_a_teacher_says_so_and_goes_on(small_ferplus: Path, tmp_path: Path) -> None:
    changes = ["model.align=box", "train.epochs=1", "train.batch=64", "model.size=32"]
    run = member(tmp_path / "teacher", 1, "model.align=box")
    plain = replace(recipe("mien", *changes), also=())
    out = tmp_path / "run"
    train(plain, small_ferplus, out, Silent(), "cpu", teachers=[run])
    saved = json.loads((out / "recipe.json").read_text())
    assert saved["teacher_sha256"] == Teachers([run]).sha256
    with pytest.raises(ConfigError, match="holds a run of another recipe or other data"):
        train(plain, small_ferplus, out, Silent(), "cpu", teachers=[run, run])


def test_a_run_begins_where_another_ended(tmp_path: Path) -> None:
    run = member(tmp_path / "a", 1)
    own = recipe("mien", "model.size=32")
    net = ExpressionTask(own).network()
    Start(str(run)).fill(net, own, torch.zeros(1, 1, 32, 32))
    for name, value in checkpoint.average(run / "checkpoint.safetensors").items():
        torch.testing.assert_close(net.state_dict()[name], value)


def test_maps_move_in_training_alone() -> None:
    torch.manual_seed(1)
    moving = ExpressionTask(recipe("mien", "augment.maps=1")).network()
    x = torch.rand(16, 1, 64, 64) * 255
    assert torch.equal(moving.eval()(x), moving(x))
    seen: list[torch.Tensor] = []
    moving.get_submodule("blocks.0").register_forward_hook(lambda *told: seen.append(told[2]))
    moving.train()
    with torch.no_grad():
        moving(x), moving(x)
    # half of the pictures keep their maps, the others' differ by one number a map
    change = (seen[0] - seen[1]).flatten(2)
    torch.testing.assert_close(change.std(2), torch.zeros(16, 48), atol=1e-4, rtol=0)
    assert 0 < (change.abs().amax((1, 2)) > 1e-3).sum() < 16


def test_maps_move_by_their_own_deviation() -> None:
    maps = torch.randn(4000, 3, 1, 1) * torch.tensor([1.0, 5.0, 0.0]).view(1, 3, 1, 1)
    net = torch.nn.Module()
    net.blocks = torch.nn.Sequential(torch.nn.Identity())
    shift_maps(net, 2.0)
    torch.manual_seed(2)
    moved = net.blocks(maps) - maps
    of_moved = moved[moved.abs().sum((1, 2, 3)) > 0]
    assert len(of_moved) == pytest.approx(2000, abs=150)
    torch.testing.assert_close(
        of_moved.std(0).flatten(), torch.tensor([2.0, 10.0, 0.0]), rtol=0.06, atol=1e-6
    )


def test_maps_of_a_network_without_blocks() -> None:
    with pytest.raises(ConfigError, match=r"augment\.maps goes with a network .* of blocks"):
        shift_maps(iliev2022(8, Preprocess(48, "gray")), 1.0)
