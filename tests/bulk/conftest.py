"""Folders of small inputs, and runs on them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from tests import made

CROPS = ("--crops", "--processes", "1")


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """Ten pictures, one of them damaged, and a recording of 12 s."""
    folder = tmp_path / "in"
    for number in range(9):
        made.picture(folder / f"{number}.png", number, 48)
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    made.video(folder / "film.mp4", frames=120, codec="h264")
    (folder / "notes.txt").write_text("no picture")
    return folder


def poison(path: Path) -> Path:
    """A picture that the tests' own decoder ends the process on."""
    Image.new("RGB", (48, 48)).save(path)
    return path


def in_processes(code: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run code first in every Python process that begins from now on."""
    plugin = folder / "plugin"
    plugin.mkdir()
    (plugin / "sitecustomize.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", f"{plugin}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")


def contents(out: Path) -> dict[str, bytes]:
    """The partitions of a run's records."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted((out / "records").rglob("*.parquet"))
    }
