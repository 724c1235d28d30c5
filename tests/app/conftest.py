"""The command line in this process, and pictures for it."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from mien.app import verbs
from mien.data import table
from mien.data.sets import importers
from mien.face import ImageArray
from tests.app.running import Call, Ended, Words, save, turned


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """The same in this process, which is quicker; an error without a message fails the test."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)

    def main(*words: Words) -> Ended:
        monkeypatch.setattr(sys, "argv", ["mien", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            verbs.main()
        out, err = capfd.readouterr()
        return Ended(int(end.value.code or 0), out, err)

    return main


@pytest.fixture(scope="module")
def head(astronaut: ImageArray) -> ImageArray:
    """140 x 140, a smile."""
    return astronaut[44:184, 154:294]


@pytest.fixture(scope="module")
def smile(head: ImageArray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(head, tmp_path_factory.mktemp("smile") / "smile.png")


@pytest.fixture(scope="module")
def landscape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture without a face."""
    slope = np.linspace(0, 255, 300, dtype=np.uint8)[:, None, None]
    return save(np.tile(slope, (1, 300, 3)), tmp_path_factory.mktemp("flat") / "landscape.jpg")


@pytest.fixture(scope="module")
def many(smile: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 200 pictures with a face."""
    folder = tmp_path_factory.mktemp("many")
    for i in range(200):
        (folder / f"{i:03d}.png").symlink_to(smile)
    return folder


@pytest.fixture(scope="module")
def crops(head: ImageArray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The astronaut's face as a data set: smiling for training, turned for a test; and a wall."""
    folder = tmp_path_factory.mktemp("data") / "crops"
    save(head[19:132, 18:131], folder / "train" / "happy" / "a.png")
    save(np.full((90, 90, 3), 90, np.uint8), folder / "train" / "neutral" / "wall.png")
    save(turned(head)[19:132, 18:131], folder / "test" / "happy" / "b.png")
    path = folder / "crops.parquet"
    table.write(importers.build("folder").read(folder), path)
    return path
