"""What the README says is run, line by line."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image

import mien
from mien import table
from mien.face import ImageArray
from mien.labels import label_set

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands(heading: str) -> list[str]:
    """The ``mien`` lines of the section under a heading, comments off."""
    section = README.split(f"\n{heading}\n")[1].split("\n## ")[0]
    lines = [line.split("  #")[0].strip() for line in section.splitlines()]
    return [line for line in lines if line.startswith("mien ")]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory, astronaut: ImageArray) -> Path:
    """A folder with the files the README speaks of."""
    place = tmp_path_factory.mktemp("readme")
    (place / "holiday").mkdir()
    (place / "face_crops").mkdir()
    portrait = Image.fromarray(astronaut)
    portrait.save(place / "photo.jpg")
    portrait.save(place / "holiday" / "beach.jpg")
    portrait.crop((172, 60, 278, 166)).save(place / "face_crops" / "one.png")
    with av.open(str(place / "clip.mp4"), "w") as clip:
        stream: Any = clip.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 512, 512, "yuv420p"
        for _ in range(8):
            clip.mux(stream.encode(av.VideoFrame.from_ndarray(astronaut, format="rgb24")))
        clip.mux(stream.encode(None))
    (place / "recipes").symlink_to(ROOT / "recipes")
    return place


def run(command: str, place: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", *shlex.split(command)]
    return subprocess.run(words, cwd=place, capture_output=True, text=True, timeout=600)


def test_it_opens_with_the_two_commands() -> None:
    assert re.match(r"# mien\n\n```bash\nmake demo .*\nmake test .*\n```", README)


@pytest.mark.parametrize("command", commands("## Use"))
def test_the_commands_of_use(command: str, workplace: Path) -> None:
    done = run(command, workplace)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("code", blocks("python"))
def test_the_python_code(
    code: str,
    workplace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(workplace)
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out.startswith("happiness ")


def test_the_record_has_the_keys_it_shows(workplace: Path) -> None:
    shown = blocks("json")[0]
    printed = run("mien analyze photo.jpg", workplace).stdout
    keys = set(re.findall(r'"(\w+)":', shown))
    assert keys <= set(re.findall(r'"(\w+)":', printed))


def test_the_commands_of_training(
    workplace: Path, small_ferplus: Path, owners_layout: Path
) -> None:
    """As written, on a fortieth of the rows and two epochs."""
    lines = ["file,subject"]
    for name, code in (("happy", "HA"), ("sad", "SA")):
        (workplace / "my_faces" / name).mkdir(parents=True)
        for file in (owners_layout / "jaffe").glob(f"*.{code}*.tiff"):
            shutil.copy(file, workplace / "my_faces" / name)
            lines.append(f"{name}/{file.name},{file.name[:2]}")
    (workplace / "my_faces" / "people.csv").write_text("\n".join(lines) + "\n")
    listed = commands("## Train your own")
    assert [c.split()[1] for c in listed if c.split()[1] != "data"] == [
        "train",
        "analyze",
        "train",
        "export",
        "evaluate",
        "calibrate",
        "quantize",
    ]
    shutil.copy(small_ferplus, workplace / "rated.parquet")
    faces = table.read(small_ferplus)
    smiles = [replace(r, sequence="one") for r in faces.rows if r.label == "happiness"][:6]
    table.write(replace(faces, rows=smiles), workplace / "takes.parquet")
    for command in listed:
        if command.startswith("mien data import ferplus"):
            shutil.copy(small_ferplus, workplace / "ferplus.parquet")
            continue
        if command.startswith("mien train"):
            command += " --set train.epochs=2 --set train.batch=16 --accelerator cpu"
        done = run(command, workplace)
        assert done.returncode == 0, (command, done.stderr)
    assert (workplace / "mine.onnx").stat().st_size < 6_000_000


def test_every_figure_is_that_of_the_results() -> None:
    script = ROOT / "benchmarks" / "report.py"
    done = subprocess.run(
        [sys.executable, str(script), "--check"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_every_file_it_links_to_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_changelog_agrees_with_the_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", text, re.MULTILINE)
    assert "## [Unreleased]" in text
    assert not released or released[0] == mien.__version__


def test_the_conventions_list_the_labels_in_their_order() -> None:
    text = (ROOT / "docs" / "adr" / "0001-conventions.md").read_text(encoding="utf-8")
    assert ", ".join(label_set("mien8").labels) in text
