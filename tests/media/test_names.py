"""Names that mean something to a library: protocols, patterns, dashes, per cent signs, formulas."""

from __future__ import annotations

from pathlib import Path

import pytest

from mien.analysis import batch
from mien.data import table
from mien.data.table import Row, Table
from mien.face import Frame
from mien.media import annotated, capture, chart, image
from mien.media.video import Video, is_video
from mien.person import session
from mien.person.session import Stimulus
from mien.results import summary
from tests.app.running import run
from tests.made import picture
from tests.media.test_annotated import copied
from tests.media.test_video import clip

STEMS = [
    "2026-01-02T10:15:00",
    "cam1: kitchen",
    "file:a",
    "concat:a|b",
    "subfile,,start,0,end,9,,:a",
    "-i",
    "--out",
    "100%",
    "%03d",
    "take [1]",
    "what?*",
    "$x^2$",
    "~root",
]


@pytest.mark.parametrize("stem", STEMS)
def test_a_recording_is_read_whatever_its_name(
    stem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.mp4").write_bytes(clip(tmp_path / "made.mp4", frames=5).read_bytes())
    name = Path(f"{stem}.mp4")
    Path("made.mp4").rename(name)
    assert batch.find([str(name)]) == [name]
    assert is_video(name)
    with Video(name) as opened:
        assert len(list(opened.frames())) == 5
    assert capture.source(str(name)).name == str(name)


@pytest.mark.parametrize("stem", STEMS)
def test_a_copy_is_written_whatever_its_name(
    stem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = clip(tmp_path / "made.mp4", frames=5).rename(f"{stem}.mp4")
    Path("copies").mkdir()
    found = copied(Path(name.name), Path("copies"))
    assert found == Path("copies", f"{stem}.mp4")
    assert annotated.is_ours(found)
    copy = found.rename("of " + found.name)  # relative, and no folder before the colon
    assert annotated.is_ours(copy)


@pytest.mark.parametrize("stem", STEMS)
def test_a_picture_is_read_whatever_its_name(
    stem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = picture(tmp_path / "made.png").rename(f"{stem}.png")
    assert batch.find([made.name]) == [Path(made.name)]
    (job,) = batch.plan([Path(made.name)], Path("copies"))
    assert job.annotated
    batch.save(Frame(image.read_file(job.path)).rgb, job.annotated)
    assert image.read_file(job.annotated).shape == (16, 16, 3)


@pytest.mark.parametrize("name", ["a:b.parquet", "s3:x.parquet", "file:z.parquet", "50%.parquet"])
def test_a_table_is_written_and_read_whatever_its_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [Row("a/1", "all", "happiness", b"", 1, 1)]
    table.write(Table("a", rows), Path(name))
    assert [row.id for row in table.read(Path(name)).rows] == ["a/1"]


def test_records_are_summarised_whatever_their_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    clip(tmp_path / "a.mp4", frames=5)
    assert run("analyze", "a.mp4", "--out", "made.parquet").status == 0
    Path("made.parquet").rename("s3:records.parquet")
    (recording,) = summary.read(Path("s3:records.parquet"))
    assert len(recording.times) == 5


def test_a_name_in_a_figure_is_no_formula() -> None:
    with chart.blank(3, 2) as (figure, axes):
        axes.set_title("$x^2$ of $\\undefined{")
        figure.suptitle("clip $1.mp4 and $2.mp4")
        assert chart.encoded(figure, "png").startswith(b"\x89PNG")


def test_a_stimulus_is_no_pattern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words: list[str] = []

    def begun(given: list[str], **_: object) -> None:
        words.extend(given)

    monkeypatch.setattr("subprocess.Popen", begun)
    shown = picture(tmp_path / "smile%2d.png")
    session.Window(print).begin(Stimulus(shown, "happiness", "0" * 64))
    assert words[words.index("-pattern_type") + 1] == "none"
    assert words.index("-pattern_type") < words.index("-i")
