"""A detector, a format and an output of another package, by entry point and from the command line.

The code is that of docs/extending.md.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest

from mien.face import ImageArray
from tests.app.running import Call, run, save

PAGE = (Path(__file__).parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")


def installed(site: Path, code: str, entries: str) -> str:
    """The package, as an installer leaves it; the PYTHONPATH on which it is."""
    (site / "mine_for_mien.py").write_text(code)
    info = site / "mine_for_mien-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine-for-mien\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entries)
    return os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))


@pytest.fixture
def path(tmp_path: Path) -> str:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (toml,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    entries = re.sub(r'\[project\.entry-points\."(.+?)"\]', r"[\1]", toml).replace('"', "")
    site = tmp_path / "site"
    site.mkdir()
    return installed(site, code, entries)


def test_a_detector_and_a_format_on_the_command_line(
    path: str, astronaut: ImageArray, tmp_path: Path
) -> None:
    picture = save(astronaut[50:180, 160:290], tmp_path / "a.png")
    words = ["analyze", str(picture), "--detector", "centre", "--format", "tops"]
    done = run(*words, PYTHONPATH=path)
    assert (done.status, done.out, done.err) == (0, "a.png happiness\n", "")
    out = tmp_path / "out.tops"  # its ending says the format, as with mien's own
    again = run(*words[:-2], "--out", str(out), "--processes", "2", PYTHONPATH=path)
    assert again.status == 0
    assert out.read_text() == "a.png happiness\n"


def test_names_of_plug_ins_are_told_as_mien_s_own(path: str, tmp_path: Path) -> None:
    picture = save(np.zeros((60, 60, 3), np.uint8), tmp_path / "a.png")
    done = run("analyze", picture, "--detector", "center", PYTHONPATH=path)
    assert (done.status, "did you mean centre?" in done.err) == (2, True)
    missing = run("analyze", picture, "--detector", "qqq", PYTHONPATH=path)
    assert "there are: haar, mien, yunet, centre" in missing.err


def test_a_plug_in_that_cannot_be_loaded_names_its_package(call: Call, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    path = installed(site, "1 / 0", "[mien.detectors]\nmine = mine_for_mien:Detector\n")
    picture = save(np.zeros((60, 60, 3), np.uint8), tmp_path / "a.png")
    done = run("analyze", picture, "--detector", "mine", PYTHONPATH=path)
    assert done.status == 2
    assert "'mine' of mine-for-mien (mine_for_mien:Detector) cannot be loaded" in done.err
    assert "ZeroDivisionError" in done.err
    assert call("models", "list").status == 0  # and nobody else minds it
