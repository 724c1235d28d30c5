"""``docs/columns.md`` tells of every column there is, and what it says of them is so."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import mien
from mien.face import ImageArray
from mien.results import records, summary

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "columns.md").read_text(encoding="utf-8")


def told(section: str) -> list[list[dict[str, str]]]:
    """The tables of a section; each row by the table's heads."""
    text = PAGE.split(f"## {section}\n")[1].split("\n## ")[0]
    tables = []
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        head, _, *rows = ([cell.strip() for cell in line[1:-1].split("|")] for line in lines(block))
        tables.append([dict(zip(head, row, strict=True)) for row in rows])
    return tables


def lines(block: str) -> list[str]:
    return [line.strip() for line in block.splitlines()]


def name(row: dict[str, str]) -> str:
    return row["column"].strip("`")


def code(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


@pytest.fixture(scope="module")
def analyzed(tmp_path_factory: pytest.TempPathFactory, astronaut: ImageArray) -> Path:
    """A folder with ``faces.csv`` of a face, of a picture without one and of a damaged one."""
    folder = tmp_path_factory.mktemp("columns")
    analyzer = mien.Analyzer()
    blank = mien.Frame(astronaut[:40, :40] * 0, source="blank.png")
    with mien.open_records(folder / "faces.csv", analyzer) as out:
        Image.fromarray(astronaut).save(folder / "face.png")
        frame = mien.read_frame(folder / "face.png")
        out.add(mien.Frame(frame.rgb, source="face.png"), analyzer.analyze_frame(frame))
        out.add(blank, [])
        out.write(records.of_error("bad.png", "bad.png is empty"))
    return folder


def test_it_has_every_column_in_order() -> None:
    (columns,) = told("Every column")
    labels = mien.label_set("mien8").labels
    assert [name(row) for row in columns] == records.flat_columns(labels)


def test_its_ranges_and_empty_cells_are_so(analyzed: Path) -> None:
    pd = pytest.importorskip("pandas")
    face, blank, bad = pd.read_csv(analyzed / "faces.csv").to_dict("records")
    (columns,) = told("Every column")
    for row in columns:
        value = face[name(row)]
        if row["range"]:
            low, high = bounds(row["range"])
            assert pd.isna(value) or low <= value <= high, row
        empty = row["empty"]
        full = [record for record in (face, blank, bad) if not pd.isna(record[name(row)])]
        wanted = {"never": [face, blank, bad], "`error`": [face, blank]}.get(empty, [face])
        if "pictures" in empty or "without" in empty:
            wanted = []
        elif empty.startswith("unless"):
            wanted = [bad]
        assert full == wanted, row


def bounds(text: str) -> tuple[float, float]:
    if text.endswith(" and up"):
        return float(text.removesuffix(" and up")), float("inf")
    low, high = text.split(" to ")
    return float(low), float(high)


def test_the_columns_of_summaries() -> None:
    of_faces, of_episodes = told("`mien summary`")
    labels = ("neutral", "happiness")
    recording = summary.Recording("a.mp4", labels)
    recording.times.extend([0.0, 0.1])
    track = summary.Track(1)
    for frame in (0, 1):
        track.frames.append(frame)
        track.probabilities.extend([0.25, 0.75])
        track.picture_quality.append(1.0)
        track.uncertain.append(0)
    assert [*map(name, of_faces), *labels] == list(summary.shares(recording, track))
    assert [*map(name, of_episodes)] == list(summary.EPISODE_COLUMNS)


def test_the_lines_for_pandas(analyzed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names: dict[str, Any] = {"pd": pytest.importorskip("pandas")}
    monkeypatch.chdir(analyzed)
    exec(code("python"), names)
    assert list(names["faces"].source) == ["face.png"]
    assert names["faces"].happiness.iloc[0] > 0.9


@pytest.mark.skipif(not shutil.which("Rscript"), reason="no R")
@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_the_lines_for_r(analyzed: Path, locale: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", locale)
    done = subprocess.run(
        ["Rscript", "-e", code("r")], cwd=analyzed, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    *rest, value = done.stdout.split()
    assert rest == ["source", "happiness", "1", "face.png"]
    assert float(value) > 0.9


def test_the_column_letters_for_excel() -> None:
    columns = records.flat_columns(mien.label_set("mien8").labels)
    letters = dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", columns, strict=False))
    formula = re.findall(r"AVERAGEIFS\((\w):\w, (\w):\w, FALSE\)", PAGE)
    assert [[letters[letter] for letter in pair] for pair in formula] == [
        ["happiness", "uncertain"]
    ]
