"""Training on real faces: every fortieth row of FER+, a few epochs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from mien import recipes, table
from mien.errors import ConfigError, DataError, ModelError, TrainingError
from mien.expression_task import prepare
from mien.labels import label_set
from mien.recipes import ExpressionRecipe
from mien.recognize import load_model
from mien.table import Table, pixel_hash
from mien.tasks import predict
from mien.train import train, update_average

RECIPE = Path(__file__).parents[1] / "recipes" / "resnet10-ferplus.toml"
QUICK = ["train.epochs=3", "train.batch=64", "train.warmup_epochs=1", "train.precision=32-true"]


def recipe(*overrides: str) -> ExpressionRecipe:
    read = recipes.read(RECIPE, [*QUICK, *overrides])
    assert isinstance(read, ExpressionRecipe)
    return read


class Silent:
    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        pass

    def epoch(self, record: dict[str, Any]) -> None:
        self.records.append(record)


@pytest.fixture(scope="module")
def finished(small_ferplus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three epochs that nothing disturbed."""
    out = tmp_path_factory.mktemp("runs") / "unbroken"
    train(recipe(), small_ferplus, out, Silent(), accelerator="cpu")
    return out


def test_it_learns_and_says_what_it_did(finished: Path) -> None:
    log = [json.loads(line) for line in (finished / "log.jsonl").read_text().splitlines()]
    assert [e["epoch"] for e in log] == [0, 1, 2]
    assert log[-1]["loss"] < log[0]["loss"]
    assert all(0 <= e["select"]["accuracy"] <= 1 for e in log)
    environment = json.loads((finished / "environment.json").read_text())
    assert {"date", "commit", "machine", "versions", "base_rates", "counts"} <= set(environment)
    assert sum(environment["base_rates"]) == pytest.approx(1, abs=1e-5)
    saved = json.loads((finished / "recipe.json").read_text())
    assert recipes.from_values(saved["recipe"]) == recipe()


def test_killed_and_resumed_it_ends_the_same(
    finished: Path, small_ferplus: Path, tmp_path: Path
) -> None:
    """``kill -9`` after the first epoch, then the same command again: the same bytes."""
    command = [sys.executable, "-m", "mien", "train", str(RECIPE), "--data", str(small_ferplus)]
    command += ["--out", str(tmp_path / "run"), "--accelerator", "cpu"]
    for override in QUICK:
        command += ["--set", override]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    log = tmp_path / "run" / "log.jsonl"
    deadline = time.monotonic() + 240
    while not (log.exists() and log.read_text().count("\n") >= 1):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert log.read_text().count("\n") < 3, "killed too late to prove anything"

    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == tmp_path / "run" / "weights.safetensors"
    weights = (tmp_path / "run" / "weights.safetensors").read_bytes()
    assert weights == (finished / "weights.safetensors").read_bytes()
    epochs = [json.loads(line)["epoch"] for line in log.read_text().splitlines()]
    assert epochs == [0, 1, 2]


def test_another_recipe_in_the_same_folder_is_refused(finished: Path, small_ferplus: Path) -> None:
    with pytest.raises(ConfigError, match="another recipe or other data"):
        train(recipe("train.lr=0.01"), small_ferplus, finished, Silent())


def test_a_loss_that_is_no_number_stops_the_run(small_ferplus: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"epoch 0, step \d+; try a lower train.lr"):
        train(recipe("train.lr=1e30"), small_ferplus, tmp_path / "run", Silent(), "cpu")


def test_what_is_left_out_is_counted(ferplus_table: Table) -> None:
    few = ferplus_table.keep(i % 5 == 0 for i in range(len(ferplus_table)))
    sets = prepare(recipe(), few)
    labels, counts = label_set("ferplus"), sets.facts["counts"]
    training = few.of_split("Training")
    emotions = training.keep(training.targets(labels) >= 0)
    held_out = {pixel_hash(p) for p in few.of_split("PublicTest", "PrivateTest").pictures()}
    leaked = sum(pixel_hash(p) in held_out for p in emotions.pictures())
    assert leaked > 0
    assert counts["train_without_emotion"] == len(training) - len(emotions)
    assert counts["train_pixels_in_other_splits"] == leaked
    assert counts["train_used"] == len(sets.train) == len(emotions) - leaked
    assert torch.allclose(sets.train.y.sum(1), torch.ones(len(sets.train)), atol=1e-5)


def test_votes_and_labels_are_different_targets(small_ferplus: Path) -> None:
    data = table.read(small_ferplus)
    votes, labels = prepare(recipe(), data), prepare(recipe('data.target="label"'), data)
    assert ((votes.train.y > 0).sum(1) > 1).any()
    assert ((labels.train.y > 0).sum(1) == 1).all()
    assert (labels.select.y == votes.select.y).all()


def test_an_unknown_split_is_named(small_ferplus: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no split 'Validation'"):
        train(recipe("data.select=Validation"), small_ferplus, tmp_path / "run", Silent())


def test_a_batch_larger_than_the_data_is_refused(small_ferplus: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"train.batch = 4096 is more than"):
        train(recipe("train.batch=4096"), small_ferplus, tmp_path / "run", Silent())


def test_the_average_moves_by_the_decay() -> None:
    net, average = torch.nn.Linear(1, 1, bias=False), torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        net.weight.fill_(1.0)
        average.weight.fill_(0.0)
    update_average(average, net, decay=0.9, step=10_000)
    assert average.weight.item() == pytest.approx(0.1)
    update_average(average, net, decay=0.9, step=0)  # decay min(.9, 1/10) in the first step
    assert average.weight.item() == pytest.approx(0.1 + 0.9 * 0.9)


def test_predictions_do_not_depend_on_the_batch() -> None:
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))
    x = torch.randint(0, 255, (100, 1, 4, 4), dtype=torch.uint8)
    device = torch.device("cpu")
    few, many = (torch.cat(predict(net, x, device, batch)) for batch in (7, 100))
    np.testing.assert_allclose(few.numpy(), many.numpy(), rtol=1e-5)


def test_training_goes_on_from_earlier_weights(
    finished: Path, small_ferplus: Path, tmp_path: Path
) -> None:
    """With a rate of almost nothing, one more epoch must leave the weights where they were."""
    still = recipe("train.epochs=1", "train.lr=1e-12", "train.warmup_epochs=0")
    weights = finished / "weights.safetensors"
    out = train(still, small_ferplus, tmp_path / "run", Silent(), "cpu", init=weights)
    before, after = load_file(weights), load_file(out)
    for name in before:
        if "running" not in name and before[name].dtype.is_floating_point:
            torch.testing.assert_close(after[name], before[name], atol=1e-6, rtol=0)


def test_weights_of_another_network_are_refused(small_ferplus: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    save_file({"classifier.weight": torch.zeros(7, 3)}, other)
    with pytest.raises(ModelError, match="does not hold this network's weights"):
        train(recipe(), small_ferplus, tmp_path / "run", Silent(), "cpu", init=other)


def test_a_teacher_moves_the_targets_and_not_the_base_rates(small_ferplus: Path) -> None:
    data, teacher = table.read(small_ferplus), load_model()
    alone = prepare(recipe(), data)
    mixed = prepare(recipe("data.teacher_weight=0.25"), data, teacher)
    assert mixed.facts["base_rates"] == alone.facts["base_rates"]
    torch.testing.assert_close(mixed.train.y.sum(1), torch.ones(len(mixed.train)))
    answers = (mixed.train.y - 0.75 * alone.train.y) / 0.25
    assert answers.min() > -1e-4
    # it knows its own training faces: its answer is nearly always the label with most votes
    assert (answers.argmax(1) == alone.train.y.argmax(1)).float().mean() > 0.8


def test_a_teacher_and_its_weight_go_together(small_ferplus: Path) -> None:
    data = table.read(small_ferplus)
    with pytest.raises(ConfigError, match="--teacher goes with"):
        prepare(recipe("data.teacher_weight=0.25"), data)
    with pytest.raises(ConfigError, match="--teacher goes with"):
        prepare(recipe(), data, load_model())


def test_faces_cut_otherwise_than_the_recipe_says_are_refused(small_ferplus: Path) -> None:
    """A model must be fed what it was trained on."""
    plain = table.read(small_ferplus)
    turned = replace(plain, notes={**plain.notes, "align": "similarity"})
    message = r"cut by 'similarity', the recipe's model\.align is 'box'; .* mien data align"
    with pytest.raises(ConfigError, match=message):
        prepare(recipe(), turned)
    with pytest.raises(
        ConfigError, match=r"cut by 'box', the recipe's model\.align is 'similarity'"
    ):
        prepare(recipe("model.align=similarity"), plain)
    with pytest.raises(ConfigError, match=r"cut by 'similarity', .* is 'xu2019'"):
        prepare(recipe("model.align=xu2019"), turned)
    assert len(prepare(recipe("model.align=similarity"), turned).train) == len(
        prepare(recipe(), plain).train
    )
