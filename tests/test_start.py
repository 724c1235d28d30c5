"""The shortest way in: plain file names need no parser."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from mien.app.analysis import Wanted
from mien.app.analyze import analyze
from mien.data import table
from mien.face import ImageArray
from mien.start import files


@pytest.mark.parametrize(
    ("words", "plain"),
    [
        (["analyze", "a.jpg"], ["a.jpg"]),
        (["analyze", "a.jpg", "b c.jpg"], ["a.jpg", "b c.jpg"]),
        (["analyze"], []),
        (["analyze", "--help"], []),
        (["analyze", "a.jpg", "--out", "x.csv"], []),
        (["analyze", "-"], []),
        (["explain", "a.jpg"], []),
        ([], []),
    ],
)
def test_only_names_of_files(words: list[str], plain: list[str]) -> None:
    assert files(words) == plain


def test_what_is_not_said_is_the_same_either_way() -> None:
    spoken = inspect.signature(analyze).parameters
    assert list(spoken) == [field.name for field in fields(Wanted)]
    for field in fields(Wanted)[1:]:
        default = spoken[field.name].default
        assert default == field.default or not (default or field.default), field.name


@pytest.fixture
def photo(astronaut: ImageArray, tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    path.write_bytes(table.png(astronaut))
    return path


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mien", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_both_ways_give_the_same(photo: Path) -> None:
    short, long = run("analyze", str(photo)), run("analyze", str(photo), "--processes", "1")
    assert short.returncode == long.returncode == 0
    assert json.loads(short.stdout)["faces"][0]["top"] == "happiness"
    assert short.stdout == long.stdout


def test_without_options_no_parser_is_loaded(photo: Path) -> None:
    code = (
        "import sys; from mien import start; sys.argv = ['mien', 'analyze', sys.argv[1]]\n"
        "import os; os._exit = lambda status: print(status, 'typer' in sys.modules)\n"
        "try: start.run()\nexcept AssertionError: pass"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(photo)], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "0 False"


def test_errors_are_the_same_either_way(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone.jpg")
    short, long = run("analyze", gone), run("analyze", gone, "--detector", "auto")
    assert short.returncode == long.returncode == 2
    assert short.stderr == long.stderr
    assert short.stderr.startswith("mien: ")
