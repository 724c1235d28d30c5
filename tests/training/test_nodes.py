"""Several machines train as one does: processes on loopback, each in a folder of its own."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from mien.training import recipes
from mien.training.train import train as run
from tests import stripes

SCALE = Path(__file__).parents[2] / "docs" / "scale.md"
DOUBLE = """
import torch
single = torch.Tensor.float
torch.Tensor.float = lambda t: t if t.dtype == torch.float64 else single(t)
from mien.training import schedule, train
schedule.PRECISIONS = (*schedule.PRECISIONS, "64-true")
train.update_average = lambda *told: None
batches = train.Run._batches
train.Run._batches = lambda self: ((x.double(), y.double()) for x, y in batches(self))
from mien.start import run
run()
"""
"""The console script with a network in double precision, and everything before it as it is."""
LONG = ("--set", "train.epochs=400")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first machine's folder."""
    return stripes.lay_out(tmp_path_factory.mktemp("first"))


@pytest.fixture(scope="module")
def elsewhere(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The second machine's, which has the same files and nothing of a run."""
    folder = tmp_path_factory.mktemp("second")
    return Path(shutil.copytree(place, folder / "there", ignore=lambda *_: ["one"]))


@pytest.fixture(scope="module")
def alone(place: Path) -> Path:
    """A run by one process."""
    recipe = recipes.read(place / "stripes.toml")
    run(recipe, place / "stripes.parquet", place / "one", stripes.Silent(), "cpu")
    return place / "one"


def by_hand(
    folders: Sequence[Path], port: int, out: str, *words: str
) -> list[subprocess.Popen[str]]:
    """The command given on each machine."""
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return [
        subprocess.Popen(
            [*stripes.command(folder, out, *words), "--nodes", str(len(folders))],
            cwd=folder,
            env=os.environ | place | {"NODE_RANK": str(number)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number, folder in enumerate(folders)
    ]


def ended(processes: Sequence[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    """Status, stdout and stderr of each."""
    found = [process.communicate(timeout=300) for process in processes]
    return [(p.returncode, *told) for p, told in zip(processes, found, strict=True)]


def check_same(one: Path, other: Path) -> None:
    """The same losses and weights, to the last digits of single precision."""
    a, b = stripes.log(one), stripes.log(other)
    assert [e["epoch"] for e in b] == [0, 1]
    assert [e["loss"] for e in b] == pytest.approx([e["loss"] for e in a], abs=2e-6)
    first, second = (load_file(run / "weights.safetensors") for run in (one, other))
    for name, tensor in first.items():
        np.testing.assert_allclose(second[name].numpy(), tensor.numpy(), atol=1e-4, err_msg=name)


def documented(folder: Path, port: int) -> list[str]:
    """The line for torchrun in docs/scale.md, on this machine and these pictures."""
    (line,) = re.findall(r"^torchrun --nnodes 2 .*?[^\\]\n", SCALE.read_text(), re.M | re.S)
    words = shlex.split(line.replace("\\\n", " ").replace("29500", str(port)))
    ours = {
        "FIRST": "127.0.0.1",
        "resnet10-ferplus": "stripes.toml",
        "ferplus.parquet": "stripes.parquet",
    }
    assert set(ours) < set(words)
    words = [ours.get(word, word) for word in words]
    return [str(Path(sys.executable).parent / words[0]), *words[1:], "--accelerator", "cpu"]


def test_torchrun_as_documented(place: Path, elsewhere: Path, alone: Path, port: int) -> None:
    """One machine's losses and weights; the second writes nothing and says nothing."""
    words = documented(place, port)
    assert words[words.index("--node-rank") + 1] == "0"
    started = []
    for number, folder in enumerate((place, elsewhere)):
        words[words.index("--node-rank") + 1] = str(number)
        started.append(
            subprocess.Popen(
                words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )
    (status, told, said), second = ended(started)
    assert status == 0, said
    out = told.strip().removesuffix("/weights.safetensors")
    check_same(alone, place / out)
    assert said.count(" of 2: loss ") == 2
    assert second == (0, "", "")
    assert not (elsewhere / out).exists()
    facts = json.loads((place / out / "environment.json").read_text())
    assert (facts["devices"], facts["nodes"]) == (2, 2)


def test_a_run_goes_on_on_two_machines(
    place: Path, elsewhere: Path, alone: Path, port: int
) -> None:
    """Begun by one process; the second machine has no folder of that run."""
    stripes.stop_after_one_epoch(place, "mixed")
    for status, _, said in ended(by_hand((place, elsewhere), port, "mixed")):
        assert status == 0, said
    check_same(alone, place / "mixed")
    assert not (elsewhere / "mixed").exists()


def test_in_double_precision_they_are_equal(place: Path) -> None:
    """Mixed pictures, moving maps, dropout, normalisation: what is left is rounding alone."""
    (place / "double").write_text(DOUBLE)
    found = []
    for out, words in (("double-1", []), ("double-2", ["--devices", "2"])):
        command = stripes.command(place, out, *words)
        command[1] = str(place / "double")
        for setting in ("train.precision=64-true", "augment.mixup=0.3", "augment.maps=0.7"):
            command += ["--set", setting]
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        saved = load_file(place / out / "checkpoint.safetensors")
        found.append({name: t.numpy() for name, t in saved.items() if name.startswith("net/")})
    one, two = (stripes.log(place / out) for out in ("double-1", "double-2"))
    assert [e["loss"] for e in two] == pytest.approx([e["loss"] for e in one], rel=1e-12)
    for name, values in found[0].items():
        np.testing.assert_allclose(found[1][name], values, rtol=1e-9, atol=1e-12, err_msg=name)


def test_one_process_trains_as_it_always_has(alone: Path) -> None:
    """Of the seed and recipe alone: an order, augmentation or mask drawn otherwise is seen."""
    losses = [e["loss"] for e in stripes.log(alone)]
    assert losses == pytest.approx([1.0606859, 0.3600769], rel=1e-4)


def test_other_pictures_on_one_machine(place: Path, tmp_path: Path, port: int) -> None:
    """Told on both, and no run is begun."""
    other = Path(shutil.copytree(place, tmp_path / "other", ignore=lambda *_: ["one"]))
    (other / "stripes.parquet").write_bytes((place / "stripes.parquet").read_bytes() + b" ")
    for status, _, said in ended(by_hand((place, other), port, "none")):
        assert status == 2
        assert said.startswith("mien: processes 0 and 1 are about to do different things: data.")
        assert said.count("\n") == 1
    assert not (place / "none").exists()


@pytest.fixture
def training(place: Path, elsewhere: Path, port: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Two machines, some epochs into a long run."""
    shutil.rmtree(place / "long", ignore_errors=True)
    started = by_hand((place, elsewhere), port, "long", *LONG)
    deadline = time.monotonic() + 240
    while not (place / "long" / "checkpoint.safetensors").exists():
        assert [p.poll() for p in started] == [None, None], ended(started)
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield started
    for process in started:
        process.kill()
        process.communicate()


def test_a_machine_that_dies_ends_the_other(
    place: Path, training: list[subprocess.Popen[str]]
) -> None:
    """Which says so, and keeps its last epoch."""
    first, second = training
    second.send_signal(signal.SIGKILL)
    ((status, _, said),) = ended([first])
    assert status == 1
    last = said.splitlines()[-1]
    assert last.startswith("mien: another process of this training has ended")
    assert last.endswith("the same command goes on from the last whole epoch")
    assert "Traceback" not in said
    assert len(stripes.log(place / "long")) < 400


def test_a_user_who_stops_the_first_machine(training: list[subprocess.Popen[str]]) -> None:
    training[0].send_signal(signal.SIGINT)
    (status, _, said), (other, _, told) = ended(training)
    assert status == 130
    assert said.splitlines()[-1].startswith("stopped; the same command goes on")
    assert other == 1
    assert told.startswith("mien: another process of this training has ended")


def test_a_process_of_this_machine_that_dies_ends_the_others(place: Path) -> None:
    command = stripes.command(place, "children", "--devices", "2", *LONG)
    first = subprocess.Popen(command, cwd=place, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 240
    while not (place / "children" / "checkpoint.safetensors").exists():
        assert first.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    children = Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGKILL)
    _, said = first.communicate(timeout=60)
    assert first.returncode == 1
    assert "has ended" in said.splitlines()[-1]
    assert said.count("has ended") == 1


def test_whoever_starts_others_takes_them_along(place: Path) -> None:
    """Even where it is killed before it can say so."""
    command = stripes.command(place, "orphans", "--devices", "2", *LONG)
    first = subprocess.Popen(command, cwd=place, stderr=subprocess.DEVNULL)
    listed, deadline = Path(f"/proc/{first.pid}/task/{first.pid}/children"), time.monotonic() + 240
    while not (children := listed.read_text().split()):
        assert first.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(1.0)
    first.kill()
    first.wait()
    while any(_is_there(int(child)) for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _is_there(process: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def test_a_batch_smaller_than_the_machines(place: Path) -> None:
    done = stripes.train(place, "small", "--devices", "3", "--set", "train.batch=2")
    assert done.returncode == 2
    assert done.stderr.count("train.batch = 2 is not a multiple of 3 devices") == 1
