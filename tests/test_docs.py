"""What the README and the pages beside it say is run, line by line."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from typer.main import get_command

import mien
from mien.app.verbs import made_for
from mien.data import table
from mien.face import ImageArray
from mien.labels import label_set

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LABORATORY = "docs/laboratory.md"
RUN = ("README.md", *(f"docs/{name}.md" for name in ("index", "pictures", "base-rates")))
"""The pages whose ``mien`` lines are run one by one; others have tests of their own."""
PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "benchmarks/README.md")
)


def blocks(page: str, language: str) -> list[str]:
    """The code of one language on a page; no language is ""."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands(page: str) -> list[str]:
    """The ``mien`` lines of a page's blocks for the shell, comments off."""
    lines = [line for block in blocks(page, "bash") for line in block.splitlines()]
    lines = [line.split("  #")[0].strip() for line in lines]
    return [line for line in lines if line.startswith("mien ")]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory, astronaut: ImageArray) -> Path:
    """A folder with the files the pages speak of."""
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


@pytest.fixture(scope="module")
def places(workplace: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Such a folder for each page: two of them write files of the same names."""
    made = {page: tmp_path_factory.mktemp("page") / "here" for page in RUN}
    for place in made.values():
        shutil.copytree(workplace, place, symlinks=True)
    (made["docs/base-rates.md"] / "world.json").write_text(blocks("docs/base-rates.md", "json")[0])
    return made


def run(command: str, place: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", *shlex.split(command)]
    return subprocess.run(words, cwd=place, capture_output=True, text=True, timeout=600)


def test_it_opens_with_the_two_commands() -> None:
    assert re.match(r"# mien\n\n```bash\nmake demo .*\nmake test .*\n```", README)


@pytest.mark.parametrize(
    ("page", "command"),
    [(p, c) for p in RUN for c in commands(p) if not c.startswith("mien live")],  # no camera
)
def test_the_commands(page: str, command: str, places: dict[str, Path]) -> None:
    done = run(command, places[page])
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", ["README.md", "docs/api.md"])
def test_the_python_code(
    page: str,
    workplace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(workplace)
    code, *_ = blocks(page, "python")
    exec(compile(code, page, "exec"), {})
    assert capsys.readouterr().out.startswith("happiness ")


def test_threads_and_processes(workplace: Path) -> None:
    _, *shown = blocks("docs/api.md", "python")
    for number, code in enumerate(shown):
        script = workplace / f"shared{number}.py"
        script.write_text(code)
        done = run_python(script, workplace)
        assert done.returncode == 0, done.stderr
        assert done.stdout == "beach.jpg ['happiness']\n"
    assert len(shown) == 2


def run_python(script: Path, place: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(script)], cwd=place, capture_output=True, text=True, timeout=300
    )


def test_the_python_code_is_typed_as_strictly_as_can_be(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="mypy comes with the development dependencies")
    for page in ("README.md", "docs/api.md"):
        for number, code in enumerate(blocks(page, "python")):
            (tmp_path / f"{Path(page).stem.lower()}_{number}.py").write_text(code)
    files = sorted(map(str, tmp_path.glob("*.py")))
    words = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary"]
    words += ["--cache-dir", str(ROOT / ".mypy_cache"), "--config-file", os.devnull]
    done = subprocess.run([*words, *files], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_the_python_of_tracks(astronaut: ImageArray) -> None:
    names: dict[str, Any] = {}
    first, later = blocks("docs/tracks.md", "python")
    exec(compile(first, "docs/tracks.md", "exec"), names)
    frames = [mien.Frame(astronaut, i, i / 10) for i in range(3)]
    read = names["read"](frames)
    assert [[face.track for face in faces] for _, faces in read] == [[1], [1], [1]]
    exec(compile(later, "docs/tracks.md", "exec"), names)
    assert names["tracker"].follow(mien.Frame(astronaut, 3, 0.3))[0].track == 1


def test_the_python_of_live(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    (code,) = blocks("docs/live.md", "python")
    exec(compile(code, "docs/live.md", "exec"), names)
    names["watch"](str(workplace / "clip.mp4"))
    assert capsys.readouterr().out.startswith("1 ('happiness', ")


def lines_with_options() -> list[tuple[str, list[str]]]:
    """Every line of every page that calls mien: the page, and the line's words."""
    found = []
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8").replace("\\\n", " ")
        for line in re.findall(r"^mien [^\n]*|`mien [^`\n]*`", text, re.MULTILINE):
            words = re.sub(r"\$\([^)]*\)", "", line.strip("`").split("  #")[0].split(" | ")[0])
            found.append((page, words.split()[1:]))
    return found


def test_every_option_on_a_page_exists() -> None:
    root = get_command(made_for(()))
    for page, words in lines_with_options():
        command: Any = root
        for word in words:
            if word in getattr(command, "commands", {}):
                command = command.commands[word]
        known = {"--help", "--version"}
        known |= {name for p in command.params for name in (*p.opts, *p.secondary_opts)}
        for word in words:
            assert not re.match("--?[a-z]", word) or word in known, (page, words, word)


def test_the_record_has_the_keys_it_shows(workplace: Path) -> None:
    shown = blocks("docs/results.md", "json")[0]
    printed = run("mien analyze photo.jpg", workplace).stdout
    keys = set(re.findall(r'"(\w+)":', shown))
    assert keys <= set(re.findall(r'"(\w+)":', printed))


def test_the_picture_on_the_front_page_is_what_mien_draws(
    astronaut: ImageArray, workplace: Path
) -> None:
    Image.fromarray(astronaut).save(workplace / "astronaut.png")
    assert run("mien analyze astronaut.png --annotate demo", workplace).returncode == 0
    drawn, shown = (
        np.asarray(Image.open(path).convert("RGB"), np.int16)
        for path in (workplace / "demo" / "astronaut.png", ROOT / "docs/images/astronaut.jpg")
    )
    apart = np.abs(drawn - shown)
    assert apart.mean() < 4, "save demo/annotated/astronaut.png of `make demo` as a JPEG there"
    assert np.abs(drawn - astronaut).mean() > 2 * apart.mean()


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
    listed = commands(LABORATORY)
    assert [c.split()[1] for c in listed if c.split()[1] != "data"] == [
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


def test_the_changelog_agrees_with_the_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", text, re.MULTILINE)
    assert "## [Unreleased]" in text
    assert not released or released[0] == mien.__version__


def test_the_conventions_list_the_labels_in_their_order() -> None:
    text = (ROOT / "docs" / "adr" / "0001-conventions.md").read_text(encoding="utf-8")
    assert ", ".join(label_set("mien8").labels) in text
