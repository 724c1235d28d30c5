"""What goes wrong in training: the disk, the numbers, the data, the user's patience."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mien.app.verbs import main
from mien.data.table import Table
from mien.errors import DataError, OutputError, TrainingError
from mien.expression.logits import calibrated, softmax
from mien.training import calibrate, checkpoint, recipes, schedule, train
from mien.training.expression_task import prepare
from mien.training.recipes import ExpressionRecipe
from tests import stripes

CHECKPOINT = "checkpoint.safetensors"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stripes.lay_out(tmp_path_factory.mktemp("bad"))


@pytest.fixture(scope="module")
def unbroken(place: Path) -> bytes:
    """The weights of a run that nothing disturbed."""
    recipe = recipes.read(place / "stripes.toml")
    return train.train(
        recipe, place / "stripes.parquet", place / "unbroken", stripes.Silent(), "cpu"
    ).read_bytes()


def test_a_disk_that_fills_leaves_the_last_checkpoint(
    place: Path, unbroken: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    stripes.stop_after_one_epoch(place, "full")
    run, recipe = place / "full", recipes.read(place / "stripes.toml")
    before = (run / CHECKPOINT).read_bytes()
    real = os.fsync

    def no_space(file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def go_on() -> None:
        train.train(recipe, place / "stripes.parquet", run, stripes.Silent(), "cpu")

    with monkeypatch.context() as patch:
        names: list[str] = []

        def write(content: bytes, path: Path) -> None:
            names.append(path.name)
            patch.setattr(os, "fsync", no_space if path.name == CHECKPOINT else real)
            whole(content, path)

        whole = checkpoint.write_whole
        patch.setattr(checkpoint, "write_whole", write)
        with pytest.raises(OutputError, match=r"No space left .* goes on after epoch 0"):
            go_on()
        assert CHECKPOINT in names
    assert (run / CHECKPOINT).read_bytes() == before
    assert not list(run.glob("*.part"))
    go_on()
    assert (run / "weights.safetensors").read_bytes() == unbroken
    assert [e["epoch"] for e in stripes.log(run)] == [0, 1]


def test_weights_that_found_no_room_after_the_last_epoch_are_written_next_time(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checkpoint, which was written before them, says that all is done."""
    run, recipe = place / "late", recipes.read(place / "stripes.toml", ["train.epochs=1"])

    def go_on() -> None:
        train.train(recipe, place / "stripes.parquet", run, stripes.Silent(), "cpu")

    with monkeypatch.context() as patch:
        whole = checkpoint.write_whole

        def write(content: bytes, path: Path) -> None:
            if path.name == "weights.safetensors":
                raise OutputError(f"cannot write {path}: No space left on device")
            whole(content, path)

        patch.setattr(checkpoint, "write_whole", write)
        with pytest.raises(OutputError, match="make room"):
            go_on()
    best = checkpoint.read(run / CHECKPOINT).parts["best"]
    for _ in range(2):
        go_on()
        kept = load_file(run / "weights.safetensors")
        assert all(torch.equal(kept[name], tensor) for name, tensor in best.items())
        (run / "weights.safetensors").write_bytes(b"of an earlier epoch")


def test_a_run_that_is_half_done_is_exported_as_such(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stripes.stop_after_one_epoch(place, "half")
    words = ["half", "--data", "stripes.parquet", "-o", "half.onnx"]
    monkeypatch.chdir(place)
    monkeypatch.setattr("sys.argv", ["mien", "export", *words])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    assert (
        "half stands at epoch 1 of 2: this is what it has learnt so far" in capsys.readouterr().err
    )


def test_the_command_line_on_a_disk_that_takes_no_more(place: Path, unbroken: bytes) -> None:
    """For real: the system refuses the checkpoint's last bytes."""
    stripes.stop_after_one_epoch(place, "limited")
    before = (place / "limited" / CHECKPOINT).read_bytes()
    size = len(before) // 2
    done = subprocess.run(
        stripes.command(place, "limited"),
        cwd=place,
        capture_output=True,
        text=True,
        timeout=300,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
    )
    assert done.returncode == 1
    assert "cannot write limited/checkpoint.safetensors: File too large" in done.stderr
    assert "the same command goes on after epoch 0" in done.stderr
    assert "Traceback" not in done.stderr
    assert (place / "limited" / CHECKPOINT).read_bytes() == before
    done = stripes.train(place, "limited")
    assert done.returncode == 0, done.stderr
    assert (place / "limited" / "weights.safetensors").read_bytes() == unbroken


def test_ctrl_c_stops_and_the_same_command_goes_on(place: Path, unbroken: bytes) -> None:
    command = stripes.command(place, "stopped")
    process = subprocess.Popen(command, cwd=place, stderr=subprocess.PIPE, text=True)
    log = place / "stopped" / "log.jsonl"
    deadline = time.monotonic() + 120
    while not (log.exists() and log.read_text()):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode in (130, 0)  # 0 where it was done before the signal came
    assert "Traceback" not in said
    if process.returncode:
        assert "the same command goes on" in said
    assert stripes.train(place, "stopped").returncode == 0
    assert (place / "stopped" / "weights.safetensors").read_bytes() == unbroken


def test_a_loss_that_is_no_number_keeps_the_last_checkpoint(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = schedule.learning_rate
    monkeypatch.setattr(
        train, "learning_rate", lambda t, step, n: 1e30 if step >= n else real(t, step, n)
    )
    run = place / "burst"
    with pytest.raises(TrainingError, match=r"epoch 1, step \d; .* the last checkpoint is kept"):
        train.train(
            recipes.read(place / "stripes.toml"),
            place / "stripes.parquet",
            run,
            stripes.Silent(),
            "cpu",
        )
    saved = checkpoint.read(run / CHECKPOINT)
    assert saved.state["epoch"] == 1
    assert all(torch.isfinite(t).all() for t in saved.parts["net"].values())


def recipe(place: Path, *overrides: str) -> ExpressionRecipe:
    read = recipes.read(place / "stripes.toml", overrides)
    assert isinstance(read, ExpressionRecipe)
    return read


def test_ten_thousand_to_one(place: Path) -> None:
    """The rare one is drawn a hundred times as often as its like, and said to be as common."""
    random = np.random.default_rng(1)
    few = stripes.rows("happiness", 50, "train", random)
    many = [replace(few[i % 50], id=f"{i}") for i in range(10_000)]
    rows = many + stripes.rows("sadness", 1, "train", random)
    rows += stripes.rows("happiness", 5, "select", random)
    data = Table("lopsided", rows)
    sets = prepare(recipe(place, 'data.labels=["happiness","sadness"]', "data.balance=0.5"), data)
    assert sets.train.chances is not None
    assert sets.train.chances[-1].item() == pytest.approx(1 / 101, rel=1e-4)
    assert sets.facts["base_rates"] == pytest.approx((100 / 101, 1 / 101), rel=1e-4)
    assert sets.draws == 10_001
    plain = prepare(recipe(place, 'data.labels=["happiness","sadness"]'), data)
    assert plain.train.chances is None
    assert plain.facts["base_rates"] == pytest.approx((10_000 / 10_001, 1 / 10_001), rel=1e-3)


def test_calibration_on_few_faces_stays_sober() -> None:
    """Right on all of twenty faces, with a label that none of them has."""
    targets = np.arange(20) % 2
    logits = np.where(np.eye(3)[targets] > 0, 2.0, -1.0).astype(np.float32)
    temperature, offsets = calibrate.fit(logits, targets)
    assert 0.3 < temperature < 1
    assert np.abs(offsets).max() < 1.5
    probs = softmax(calibrated(logits, temperature, offsets))
    assert probs.max() < 0.9999


def test_a_few_pictures_still_make_a_batch(place: Path) -> None:
    random = np.random.default_rng(1)
    rows = [
        r for label in ("happiness", "sadness") for r in stripes.rows(label, 2, "train", random)
    ]
    rows += stripes.rows("happiness", 1, "select", random)
    sets = prepare(recipe(place, "data.balance=0.5"), Table("few", rows))
    assert sets.draws == 16


def test_no_picture_of_any_label_of_the_recipe(place: Path) -> None:
    random = np.random.default_rng(1)
    rows = stripes.rows("happiness", 2, "train", random)
    rows += stripes.rows("happiness", 2, "select", random)
    said = "nothing left to train or select on in other: train rows 2, select rows 2, train without"
    with pytest.raises(DataError, match=said):
        prepare(recipe(place, 'data.labels=["anger","disgust"]'), Table("other", rows))
