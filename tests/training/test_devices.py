"""Several processes train as one does: the real command line, on made-up pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mien.errors import ConfigError, UnknownName
from mien.training import recipes
from mien.training.launch import launched
from mien.training.schedule import Train
from tests import stripes


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stripes.lay_out(tmp_path_factory.mktemp("devices"))


def check_same(one: Path, other: Path) -> None:
    """The same losses and weights, within rounding."""
    a, b = stripes.log(one), stripes.log(other)
    assert [e["epoch"] for e in b] == [e["epoch"] for e in a] == [0, 1]
    assert [e["loss"] for e in b] == pytest.approx([e["loss"] for e in a], abs=5e-4)
    assert b[-1]["select"]["nll"] == pytest.approx(a[-1]["select"]["nll"], abs=1e-3)
    first, second = (load_file(run / "weights.safetensors") for run in (one, other))
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        np.testing.assert_allclose(second[name].numpy(), tensor.numpy(), atol=2e-3, err_msg=name)


def test_two_processes_do_what_one_does(place: Path) -> None:
    """Normalisation, dropout and augmentation are those of the whole batch; so are their losses.

    A run also goes on with another number of them.
    """
    for out, words in (("one", []), ("two", ["--devices", "2"])):
        done = stripes.train(place, out, *words)
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"{out}/weights.safetensors\n"
        assert done.stderr.count(" of 2: loss ") == 2
    check_same(place / "one", place / "two")
    facts = [json.loads((place / r / "environment.json").read_text()) for r in ("one", "two")]
    assert [f["devices"] for f in facts] == [1, 2]


def test_a_run_goes_on_with_another_number_of_processes(place: Path) -> None:
    if not (place / "one").exists():
        stripes.train(place, "one")
    stripes.stop_after_one_epoch(place, "mixed")
    done = stripes.train(place, "mixed", "--devices", "2")
    assert done.returncode == 0, done.stderr
    check_same(place / "one", place / "mixed")


def test_a_batch_that_cannot_be_shared_is_refused(place: Path) -> None:
    done = stripes.train(place, "odd", "--devices", "2", "--set", "train.batch=15")
    assert done.returncode == 2
    assert done.stderr.count("train.batch = 15 is not a multiple of 2 devices") == 1


def test_an_accelerator_that_mien_does_not_know(place: Path) -> None:
    done = stripes.train(place, "none", "--accelerator", "tpu")
    assert done.returncode == 2
    assert "no accelerator called 'tpu'" in done.stderr
    for name in ("CUDA", "", "0"):
        with pytest.raises(UnknownName, match=f"no accelerator called '{name}'"):
            launched(recipes.read(place / "stripes.toml"), name)


def test_an_accelerator_that_is_not_there(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the library says of it, and no traceback."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    for precision in ("auto", "32-true"):
        recipe = recipes.read(place / "stripes.toml", [f"train.precision={precision}"])
        with pytest.raises(ConfigError, match=r"cannot compute on cuda: .* --accelerator auto"):
            launched(recipe, "cuda")


def test_the_library_says_nothing_of_its_own(place: Path) -> None:
    """On stderr is what mien says of the training."""
    done = stripes.train(place, "quiet", "--set", "train.precision=bf16-mixed")
    assert done.returncode == 0
    assert "epoch 1 of 2: loss " in done.stderr
    assert "Mixed Precision" not in done.stderr


@pytest.mark.parametrize("name", ["16-true", "64-true", "transformer-engine", "32", "float"])
def test_a_precision_that_no_training_ends_with(name: str) -> None:
    with pytest.raises(UnknownName, match=f"no train.precision called '{name}'"):
        Train(epochs=1, precision=name)
