"""Frames of videos: at a rate, at their own times, upright, from folders of both layouts."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import pytest

from mien.data.sets import importers
from mien.data.sets.enterface05 import read_enterface05
from mien.data.sets.videos import frames, read_videos
from mien.errors import DataError, VideoError
from mien.face import Frame
from tests.made import turned, video


@pytest.mark.parametrize(
    ("fps", "times"),
    [(2, [0, 0.5]), (5, [0, 0.2, 0.4, 0.6, 0.8]), (10, [i / 10 for i in range(10)])],
)
def test_frames_at_a_rate(tmp_path: Path, fps: float, times: list[float]) -> None:
    found = [frame.time_s for frame in frames(video(tmp_path / "a.mp4"), fps)]
    assert found == pytest.approx(times, abs=1e-6)


def test_a_video_that_breaks_off_keeps_what_came(tmp_path: Path) -> None:
    path = video(tmp_path / "happy" / "ann_1.mkv", 40)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 4])
    assert 1 <= len(read_videos(tmp_path, 10)) < 40


def test_a_rate_above_the_video_s_gives_every_frame_once(tmp_path: Path) -> None:
    assert len(list(frames(video(tmp_path / "a.mp4"), 1000))) == 10


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv"])
def test_times_are_the_frames_own(tmp_path: Path, suffix: str) -> None:
    """29.97 frames a second stay 29.97; AVI (eNTERFACE'05) has times too."""
    path = video(tmp_path / f"a{suffix}", 31, Fraction(30000, 1001))
    times = [frame.time_s for frame in frames(path, 30)]
    assert times == pytest.approx([i * 1001 / 30000 for i in range(31)], abs=6e-4)
    assert [frame.time_s for frame in frames(path, 1)] == pytest.approx(
        [0, 30 * 1001 / 30000], abs=6e-4
    )


def test_frames_are_the_pictures_at_those_times(tmp_path: Path) -> None:
    found = [frame for frame in frames(video(tmp_path / "a.mp4"), 5) if isinstance(frame, Frame)]
    assert found[0].rgb.shape == (48, 64, 3)
    blue = [int(frame.rgb[:, 32:, 2].mean()) for frame in found]
    assert blue == pytest.approx([255 * i // 10 for i in range(0, 10, 2)], abs=12)


def test_a_phone_s_video_is_upright(tmp_path: Path) -> None:
    """A quarter turn clockwise takes the white left edge to the top."""
    (frame,) = frames(turned(video(tmp_path / "a.mp4", 1)), 1)
    assert isinstance(frame, Frame)
    pixels = frame.rgb
    assert pixels.shape == (64, 48, 3)
    assert pixels[:8].mean() > 200
    assert pixels[16:].mean() < 60
    assert pixels.flags.c_contiguous


def test_what_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty.mp4").touch()
    os.mkfifo(tmp_path / "pipe.mp4")
    for name in ("text.mp4", "empty.mp4", "pipe.mp4", "gone.mp4"):
        with pytest.raises(VideoError, match=name):
            list(frames(tmp_path / name, 5))


def test_videos_under_labels_and_under_people(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    video(root / "happy" / "ann_02.mp4")
    video(root / "happy" / "20240102.mp4")
    video(root / "Bo" / "sad" / "clip.avi", fps=25)
    table = read_videos(root, 2)
    assert table.notes["fps"] == 2
    assert [(r.id, r.label, r.subject, r.sequence) for r in table.rows] == [
        ("mine/Bo/sad/clip.avi#t=0.000", "sadness", "Bo", "Bo/sad/clip"),
        ("mine/happy/20240102.mp4#t=0.000", "happiness", None, "happy/20240102"),
        ("mine/happy/20240102.mp4#t=0.500", "happiness", None, "happy/20240102"),
        ("mine/happy/ann_02.mp4#t=0.000", "happiness", "ann", "happy/ann_02"),
        ("mine/happy/ann_02.mp4#t=0.500", "happiness", "ann", "happy/ann_02"),
    ]
    assert table.rows[0].source == "Bo/sad/clip.avi#t=0.000"
    assert {(r.width, r.height) for r in table.rows} == {(64, 48)}


def test_colours_survive_the_jpeg(tmp_path: Path) -> None:
    video(tmp_path / "happy" / "ann_1.mp4")
    last = list(read_videos(tmp_path, 10).pictures())[-1]
    red, _, blue = last[:, 32:].mean(axis=(0, 1))
    assert blue > 200
    assert red < 40


def test_one_unreadable_video_is_not_the_end(tmp_path: Path) -> None:
    video(tmp_path / "happy" / "ann_1.mp4")
    (tmp_path / "happy" / "bad_1.mp4").write_bytes(b"\x00" * 100)
    (tmp_path / "sad").mkdir()
    table = read_videos(tmp_path)
    assert len(table) == 5
    assert list(table.notes["unreadable"]) == ["happy/bad_1.mp4"]
    assert "holds no videos" in table.notes["left_out"]["sad"]


def test_nothing_but_unreadable_videos(tmp_path: Path) -> None:
    (tmp_path / "happy").mkdir()
    (tmp_path / "happy" / "bad.mp4").touch()
    with pytest.raises(DataError, match=r"no picture in .* can be read: .*bad\.mp4"):
        read_videos(tmp_path)


def test_misspelt_label(tmp_path: Path) -> None:
    video(tmp_path / "hapy" / "ann_1.mp4", 1)
    with pytest.raises(DataError, match=r"hapy is not named after a label: .*did you mean happy"):
        read_videos(tmp_path)


# --- eNTERFACE'05 ---------------------------------------------------------------------------


def test_enterface05(tmp_path: Path) -> None:
    video(tmp_path / "subject 1" / "anger" / "sentence 1" / "s1_an_1.avi", 25, 25)
    video(tmp_path / "subject 6" / "surprise" / "s6_su_2.avi", 5, 25)  # without sentences
    video(tmp_path / "extra" / "anger" / "x.avi", 2, 25)
    table = importers.build("enterface05").read(tmp_path, 2)
    assert [(r.id, r.label, r.subject, r.sequence) for r in table.rows] == [
        (
            f"enterface05/subject 1/anger/sentence 1/s1_an_1.avi#t={time}",
            "anger",
            "1",
            "anger/sentence 1/s1_an_1",
        )
        for time in ("0.000", "0.520")
    ] + [
        (
            "enterface05/subject 6/surprise/s6_su_2.avi#t=0.000",
            "surprise",
            "6",
            "surprise/s6_su_2",
        )
    ]
    assert "not named like 'subject 1'" in table.notes["left_out"]["extra"]
    assert len(read_enterface05(tmp_path)) == 6  # five a second without a word


def test_enterface05_with_a_misspelt_emotion(tmp_path: Path) -> None:
    video(tmp_path / "subject 1" / "suprise" / "sentence 1" / "s1_su_1.avi", 2, 25)
    with pytest.raises(DataError, match=r"suprise is not named .*did you mean surprise"):
        read_enterface05(tmp_path)
