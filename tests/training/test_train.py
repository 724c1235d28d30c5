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

from mien.data import table
from mien.data.table import Table, pixel_hash
from mien.errors import ConfigError, DataError, MienError, ModelError, TrainingError, UnknownName
from mien.expression.recognize import load_model
from mien.labels import label_set
from mien.media.preprocess import batch
from mien.training import recipes
from mien.training.export import export
from mien.training.expression_data import Also
from mien.training.expression_task import ExpressionTask, prepare
from mien.training.recipes import ExpressionRecipe
from mien.training.tasks import predict
from mien.training.train import train, update_average

RECIPE = Path(__file__).parents[2] / "recipes" / "resnet10-ferplus.toml"
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
    said = r"another recipe or other data \(train\.lr was [\d.]+, now 0\.01\); name another --out"
    with pytest.raises(ConfigError, match=said):
        train(recipe("train.lr=0.01"), small_ferplus, finished, Silent())


def test_a_command_that_could_not_begin_leaves_the_folder_free(
    finished: Path, small_ferplus: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    with pytest.raises(DataError, match="no such table"):
        train(recipe(), tmp_path / "typo.parquet", out, Silent())
    for wrong in ("data.train=Trainning", "train.batch=4096", "model.size=50"):
        with pytest.raises(MienError):
            train(recipe(wrong), small_ferplus, out, Silent())
    train(recipe("train.epochs=1"), small_ferplus, out, Silent(), "cpu")
    assert (out / "weights.safetensors").exists()


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
    torch.manual_seed(3)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))
    x = torch.randint(0, 255, (100, 1, 4, 4), dtype=torch.uint8)
    device = torch.device("cpu")
    few, many = (torch.cat(predict(net, x, device, batch)).numpy() for batch in (7, 100))
    # Sums of some hundreds are rounded in another order; one near 0 has their error, not its own.
    np.testing.assert_allclose(few, many, rtol=1e-5, atol=1e-7 * np.abs(many).max())


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


@pytest.fixture(scope="module")
def fer2013_labels(
    small_ferplus: Path, fer2013_table: Table, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """FER2013's own labels of half of the pictures of ``small_ferplus``."""
    path = tmp_path_factory.mktemp("tables") / "fer2013.parquet"
    known = {row.id for row in table.read(small_ferplus).rows[::2]}
    table.write(fer2013_table.keep(row.id in known for row in fer2013_table.rows), path)
    return path


TWO_HEADS = Also(table="fer2013", label_set="fer2013", weight=0.5)


@pytest.fixture(scope="module")
def two_heads(
    small_ferplus: Path, fer2013_labels: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("runs") / "heads"
    both = replace(recipe(), also=(TWO_HEADS,))
    train(both, small_ferplus, out, Silent(), accelerator="cpu", also={"fer2013": fer2013_labels})
    return out


def test_a_further_head_asks_only_where_its_table_knows_the_picture(
    small_ferplus: Path, fer2013_labels: Path
) -> None:
    faces, known = table.read(small_ferplus), table.read(fer2013_labels)
    sets = prepare(replace(recipe(), also=(TWO_HEADS,)), faces, further={"fer2013": known})
    own, further = sets.train.y[:, :8], sets.train.y[:, 8:]
    torch.testing.assert_close(own.sum(1), torch.ones(len(own)))
    asked = further.sum(1)
    assert set(asked.tolist()) == {0.0, 1.0}
    assert int(asked.sum()) == sets.facts["counts"]["train_fer2013"] < len(own)
    assert sum(sets.facts["head_rates"]["fer2013"]) == pytest.approx(1)


def test_the_loss_of_a_head_leaves_out_who_was_not_asked() -> None:
    both = replace(recipe(), also=(TWO_HEADS,))
    task = ExpressionTask(both)
    logits, y = torch.zeros(2, 15), torch.zeros(2, 15)
    y[:, 0] = 1.0
    own = task.loss(logits, y)
    assert own.item() == pytest.approx(np.log(8), rel=1e-6)
    y[1, 8] = 1.0
    assert (task.loss(logits, y) - own).item() == pytest.approx(0.5 * np.log(7) / 2, rel=1e-6)


def test_each_head_is_exported_as_a_model_of_its_own(
    two_heads: Path, small_ferplus: Path, fer2013_labels: Path, tmp_path: Path
) -> None:
    also = {"fer2013": fer2013_labels}
    export(two_heads, small_ferplus, tmp_path / "own.onnx", also=also)
    export(two_heads, small_ferplus, tmp_path / "their.onnx", head="fer2013", also=also)
    own, theirs = load_model(tmp_path / "own.onnx"), load_model(tmp_path / "their.onnx")
    assert own.info.label_set.labels == label_set("ferplus").labels
    assert theirs.info.label_set.labels == label_set("fer2013").labels
    assert theirs.info.strengths is None  # one label a picture says nothing of strength
    weights = load_file(two_heads / "weights.safetensors")
    faces = list(table.read(small_ferplus).of_split("PublicTest").pictures())[:4]
    net = ExpressionTask(replace(recipe(), also=(TWO_HEADS,))).network().eval()
    net.load_state_dict(weights)
    with torch.no_grad():
        both = net(torch.from_numpy(batch(faces, own.info.preprocess))).numpy()
    np.testing.assert_allclose(own.logits(faces), both[:, :8], atol=1e-4)
    np.testing.assert_allclose(theirs.logits(faces), both[:, 8:], atol=1e-4)
    with pytest.raises(UnknownName, match="no head called 'fer'"):
        export(two_heads, small_ferplus, tmp_path / "no.onnx", head="fer", also=also)


@pytest.mark.parametrize("given", [{}, {"fer2O13": "x.parquet"}])
def test_tables_of_heads_that_do_not_fit_are_named(
    given: dict[str, str], small_ferplus: Path, tmp_path: Path
) -> None:
    both = replace(recipe(), also=(TWO_HEADS,))
    also = {name: Path(path) for name, path in given.items()}
    with pytest.raises(ConfigError, match="--also fer2013=FILE"):
        train(both, small_ferplus, tmp_path, Silent(), accelerator="cpu", also=also)


def test_a_table_of_other_pictures_is_no_further_head(
    small_ferplus: Path, lfw_table: Table
) -> None:
    both = replace(recipe(), also=(TWO_HEADS,))
    with pytest.raises(DataError, match="by their id and split"):
        prepare(both, table.read(small_ferplus), further={"fer2013": lfw_table})


def test_near_duplicates_of_tested_pictures_are_left_out(small_ferplus: Path) -> None:
    """A darker copy of a tested picture, put among those trained on."""
    faces = table.read(small_ferplus)
    at = next(i for i, row in enumerate(faces.rows) if row.split == "PrivateTest")
    (picture,) = replace(faces, rows=[faces.rows[at]]).pictures()
    darker = np.asarray(picture * 0.8, np.uint8)
    row = replace(faces.rows[at], id="copy", split="Training", image=table.png(darker))
    more = replace(faces, rows=[*faces.rows, row])
    kept = prepare(recipe("data.drop_near=false"), more).facts["counts"]
    counts = prepare(recipe("data.drop_near=true"), more).facts["counts"]
    dropped = counts["train_near_duplicates_in_other_splits"]
    assert dropped >= 1
    assert counts["train_used"] == kept["train_used"] - dropped
