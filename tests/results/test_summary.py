"""What records come to: shares of time, episodes, and the files that hold them."""

from __future__ import annotations

import csv
import io
import json
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mien.app import verbs
from mien.errors import ConfigError, DataError, OutputError
from mien.face import Emotions, Face, Frame, Quality
from mien.labels import label_set
from mien.results import records, summary, timeline
from mien.results.summary import Rule

LABELS = label_set("mien8").labels
HAPPY, SAD = LABELS.index("happiness"), LABELS.index("sadness")


def face(track: int | None, happy: float, sad: float = 0.0) -> Face:
    probs = np.zeros(8, np.float32)
    probs[[0, HAPPY, SAD]] = 1 - happy - sad, happy, sad
    box = np.array([0, 0, 9, 9], np.float32)
    quality = Quality(9, 9, 0.5, 0.5, 1.0)
    emotions = Emotions(label_set("mien8"), probs)
    return Face(
        box,
        1.0,
        None,
        None,
        emotions,
        quality,
        picture_quality=0.8,
        uncertain=happy == 0.5,
        track=track,
    )


def record(time_s: float, *faces: Face, source: str = "a/film.mp4") -> Any:
    frame = Frame(np.zeros((9, 9, 3), np.uint8), round(time_s * 10), time_s, source)
    return records.record_of(frame, list(faces))


def film() -> list[Any]:
    """Ten frames a second: 2 s neutral, 1 s happy (most at 2.3), 1 s neutral; then nobody for 1 s.

    A second face is sad from 1 s to 2 s, and happy in one single frame.
    """
    found = []
    for i in range(40):
        happy = 0.9 if i == 23 else 0.7 if 20 <= i < 30 else 0.1
        faces = [face(1, happy)]
        if i < 30:
            faces.append(face(2, 0.6 if i == 25 else 0.0, 0.6 if 10 <= i < 20 else 0.0))
        found.append(record(i / 10, *faces))
    return found + [record(i / 10) for i in range(40, 50)]


def saved(path: Path, found: list[Any]) -> Path:
    writer = records.writers.build(path.suffix[1:], LABELS)
    stream = io.BytesIO()
    writer.start(stream)
    for one in found:
        writer.write(one)
    writer.close()
    path.write_bytes(stream.getvalue())
    return path


@pytest.fixture(params=["jsonl", "csv", "parquet"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return saved(tmp_path / f"film.{request.param}", film())


def test_shares_of_the_time_a_face_was_seen(kept: Path) -> None:
    (recording,) = summary.read(kept)
    assert len(recording.times) == 50
    assert recording.statuses == {"ok": 40, "no_face": 10}
    first, second = (summary.shares(recording, t) for t in recording.tracks.values())
    assert (first["track"], first["frames"]) == (1, 40)
    assert first["seen_s"] == pytest.approx(4.0)
    assert first["happiness"] == pytest.approx(0.25)
    assert first["neutral"] == pytest.approx(0.75)
    assert first["picture_quality"] == pytest.approx(0.8)
    assert second["sadness"] == pytest.approx(1 / 3, abs=1e-3)
    assert second["last_s"] == pytest.approx(2.9)
    assert sum(first[label] for label in LABELS) == pytest.approx(1)


def test_episodes(kept: Path) -> None:
    (recording,) = summary.read(kept)
    (smile,) = summary.episodes(recording, recording.tracks[1])
    assert smile.label == "happiness"
    assert (smile.onset_s, smile.peak_s, smile.offset_s) == pytest.approx((2.0, 2.3, 3.0))
    assert (smile.peak, smile.mean) == pytest.approx((0.9, 0.72), abs=1e-4)
    (sad,) = summary.episodes(recording, recording.tracks[2])  # one frame is no episode
    assert sad.label == "sadness"
    assert (sad.onset_s, sad.offset_s) == pytest.approx((1.0, 2.0))
    assert (smile.rose, smile.fell) == (True, True)
    both = summary.episodes(recording, recording.tracks[2], Rule(shortest_s=0))
    assert [e.label for e in both] == ["sadness", "happiness"]
    assert summary.episodes(recording, recording.tracks[1], Rule(enter=0.95, leave=0.9)) == []


def test_a_tremble_about_the_threshold_is_one_episode(tmp_path: Path) -> None:
    trembling = [record(i / 10, face(1, 0.55 if i % 2 else 0.45)) for i in range(20)]
    (recording,) = summary.read(saved(tmp_path / "a.jsonl", trembling))
    (one,) = summary.episodes(recording, recording.tracks[1])
    assert (one.onset_s, one.offset_s) == pytest.approx((0.1, 2.0))


def test_out_of_sight_for_longer_ends_an_episode(tmp_path: Path) -> None:
    seen = [record(i / 10, *([face(1, 0.8)] if not 10 <= i < 15 else [])) for i in range(25)]
    (recording,) = summary.read(saved(tmp_path / "a.jsonl", seen))
    before, after = summary.episodes(recording, recording.tracks[1])
    assert (before.onset_s, after.onset_s, after.offset_s) == pytest.approx((0, 1.5, 2.5))
    assert before.offset_s == pytest.approx(1.0)
    assert (before.rose, before.fell, after.rose, after.fell) == (False,) * 4
    (row,) = [summary.shares(recording, t) for t in recording.tracks.values()]
    assert row["seen_s"] == pytest.approx(2.0)


def test_frames_count_by_how_long_they_last(tmp_path: Path) -> None:
    """Half the frames are happy, and they last a third as long; a gap is nobody's time."""
    times = [0.0, 0.3, 0.4, 0.7, 0.8, 1.1, 1.2, 60.0]
    uneven = [record(t, face(1, 0.9 * (i % 2))) for i, t in enumerate(times)]
    (recording,) = summary.read(saved(tmp_path / "a.jsonl", uneven))
    assert recording.durations().max() <= 0.31
    short = summary.read(saved(tmp_path / "b.jsonl", uneven[:-2]))[0]
    assert summary.shares(short, short.tracks[1])["happiness"] == pytest.approx(0.5 / 1.4, abs=1e-3)


def test_the_files(kept: Path, tmp_path: Path) -> None:
    recordings = summary.read(kept)
    out = tmp_path / "out"
    written = summary.write(recordings, out)
    assert sorted(p.name for p in written) == [
        *("episodes.csv", "film_events.json", "film_events.tsv", "summary.csv")
    ]
    with (out / "summary.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["track"] for row in rows] == ["1", "2"]
    with (out / "film_events.tsv").open(newline="") as file:
        events = list(csv.DictReader(file, delimiter="\t"))
    assert list(events[0])[:3] == ["onset", "duration", "trial_type"]  # as BIDS has it
    assert [(e["onset"], e["trial_type"], e["face"]) for e in events] == [
        ("1.0", "sadness", "2"),
        ("2.0", "happiness", "1"),
    ]
    assert float(events[1]["duration"]) == pytest.approx(1.0)
    assert set(json.loads((out / "film_events.json").read_text())) == {*list(events[0])[2:]}
    text = (out / "episodes.csv").read_text()
    assert ",TRUE,TRUE\n" in text  # as in every other table of mien's
    assert "True" not in text


def test_the_timeline(kept: Path) -> None:
    (recording,) = summary.read(kept)
    picture = Image.open(io.BytesIO(timeline.timeline(recording))).convert("RGB")
    colors = {c for _, c in picture.getcolors(1 << 24) or []}
    assert {(240, 228, 66), (86, 180, 233)} <= colors  # happiness and sadness
    assert picture.width > 1000


def test_the_command_line(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["mien", "summary", str(kept), "--out", str(out)])
    with pytest.raises(SystemExit) as end:
        verbs.main()
    assert not end.value.code
    shown = capsys.readouterr().out
    assert "neutral 75%, happiness 25%" in shown
    assert "1 happiness" in shown
    assert (out / "film.png").read_bytes().startswith(b"\x89PNG")
    damaged = saved(tmp_path / "damaged.csv", film())
    damaged.write_bytes(damaged.read_bytes() + b"film.mp4,soon\n")
    monkeypatch.setattr(sys, "argv", ["mien", "summary", str(damaged)])
    with pytest.raises(SystemExit) as end:
        verbs.main()
    assert end.value.code == 1
    found = capsys.readouterr()
    assert "neutral 75%, happiness 25%" in found.out
    number = len(damaged.read_text().splitlines())
    assert f"1 line was no record; line {number} is no record of mien: " in found.err
    (tmp_path / "file").touch()
    recordings = summary.read(kept)
    with pytest.raises(OutputError, match="cannot write into"):
        summary.write(recordings, tmp_path / "file")


def test_what_is_left_out_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pictures, and recordings that could not be read, among a folder's records."""
    lost = [records.of_error(f"{i}.mp4", "damaged", 0, 0.0) for i in range(5)]
    picture = record(0.0, face(1, 0.9), source="a.jpg")
    path = saved(tmp_path / "all.jsonl", [*film(), picture, *lost])
    monkeypatch.setattr(sys, "argv", ["mien", "summary", str(path)])
    with pytest.raises(SystemExit):
        verbs.main()
    said = capsys.readouterr().err
    assert (
        "left out, as there is one record of each: a.jpg, 0.mp4, 1.mp4, 2.mp4, 3.mp4 and 1" in said
    )


def test_the_tables_need_no_matplotlib(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr(sys, "argv", ["mien", "summary", str(kept), "--out", str(tmp_path / "o")])
    with pytest.raises(SystemExit) as end:
        verbs.main()
    assert not end.value.code
    assert (tmp_path / "o" / "episodes.csv").is_file()
    assert not (tmp_path / "o" / "film.png").exists()
    said = capsys.readouterr().err
    assert "the tables are written, no timeline is: drawing figures needs matplotlib" in said
    assert "[plot]'" in said


def test_recordings_of_one_name_get_two(tmp_path: Path) -> None:
    two = film() + [r | {"source": "b/film.mov"} for r in film()]
    recordings = summary.read(saved(tmp_path / "a.jsonl", two))
    assert summary.names(recordings) == ["film", "film-2"]
    assert (tmp_path / "o" / "film-2_events.tsv") in summary.write(recordings, tmp_path / "o")


def test_a_run_that_goes_on_is_read_as_far_as_it_came(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jsonl", film())
    path.write_bytes(path.read_bytes()[:-30])
    (recording,) = summary.read(path)
    assert len(recording.times) == 49


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.jsonl", "", "holds no recording"),
        ("a.jsonl", "no json\n", "holds no records as mien analyze writes them"),
        (
            "a.jsonl",
            '{"schema": "other/1"}\n',
            "records of other/1; this mien reads mien/1 and mien/2",
        ),
        ("a.csv", "a,b\n1,2\n", "without a --format of other tools"),
        ("a.parquet", "PAR1", "holds no records as mien analyze writes them"),
        ("a.jsonl", None, "no such file"),
        ("", None, "is a folder, and none that mien bulk filled; name a file of records"),
    ],
)
def test_what_is_no_records(tmp_path: Path, name: str, content: str | None, says: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=says):
        summary.read(tmp_path / name)


def test_faces_without_tracks(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jsonl", [record(i / 10, face(None, 0.9)) for i in range(5)])
    with pytest.raises(DataError, match="have no tracks; analyse without --no-tracks"):
        summary.read(path)


def test_rules_that_are_none() -> None:
    with pytest.raises(ConfigError, match="threshold lies above 0"):
        Rule(enter=1.2)
    with pytest.raises(ConfigError, match="0 seconds or more"):
        Rule(shortest_s=-1)


@pytest.mark.parametrize("fps", [10, 5, 4, 3, 2, 1, 0.5, 0.1])
def test_one_smile_is_one_episode_however_often_it_was_looked_at(
    tmp_path: Path, fps: float
) -> None:
    """Twenty looks at a smile that lasts; before and behind it four at a calm face."""
    times = [round(i / fps, 6) for i in range(28)]
    smiling = [record(t, face(1, 0.9 if 4 <= i < 24 else 0.1)) for i, t in enumerate(times)]
    (recording,) = summary.read(saved(tmp_path / "a.jsonl", smiling))
    (smile,) = summary.episodes(recording, recording.tracks[1])
    assert (smile.onset_s, smile.offset_s) == pytest.approx((times[4], times[24]), abs=1e-5)
    assert (smile.rose, smile.fell) == (True, True)
    written = summary.write([recording], tmp_path / "out")
    (events,) = [path for path in written if path.suffix == ".tsv"]
    assert len(events.read_text().splitlines()) == 2


def test_a_face_out_of_sight_of_a_sampled_recording_ends_its_episode(tmp_path: Path) -> None:
    """Once a second: for one look and it goes on, for five and it is over."""
    for missed, count in ((1, 1), (5, 2)):
        gone = range(5, 5 + missed)
        seen = [record(float(i), *([] if i in gone else [face(1, 0.8)])) for i in range(20)]
        (recording,) = summary.read(saved(tmp_path / "a.jsonl", seen))
        assert len(summary.episodes(recording, recording.tracks[1])) == count


def test_an_episode_as_long_as_the_shortest_is_one_wherever_it_lies(tmp_path: Path) -> None:
    """Single looks at five a second: all of 0.2 s, which floats make a little less of."""
    times = [round(i / 5, 6) for i in range(40)]
    flashes = [record(t, face(1, 0.9 if i % 4 == 1 else 0.0)) for i, t in enumerate(times)]
    (recording,) = summary.read(saved(tmp_path / "a.jsonl", flashes))
    assert len(summary.episodes(recording, recording.tracks[1])) == 10
