"""What a training says while it goes on: a sentence per epoch, and no JSON."""

from __future__ import annotations

from typing import Any

import pytest

from mien.app.console import TrainingBar

RECORD: dict[str, Any] = {
    "epoch": 3,
    "of": 8,
    "loss": 1.25,
    "select": {"accuracy": 0.75, "balanced_accuracy": 0.5},
    "images_per_s": 310.4,
}


def test_an_epoch_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with TrainingBar() as bar:
        bar.step(3, 0, 2, 1.25)
        bar.epoch(RECORD)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        "epoch 4 of 8: loss 1.2500; held back: accuracy 0.7500, balanced accuracy 0.5000; "
        "310 pictures a second\n"
    )
