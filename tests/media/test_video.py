"""Frames of recordings: all of them, at their own times, upright; the holes where they are."""

from __future__ import annotations

import gc
import http.server
import itertools
import os
import random
import sys
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.errors import ConfigError, VideoError
from mien.face import Frame, ImageArray
from mien.media import video as reader
from mien.media.video import Hole, Place, Span, Video, is_video
from tests.made import shown_by, turned, video


def clip(
    path: Path,
    frames: int = 40,
    codec: str = "libx264",
    times: list[int] | None = None,
    size: Any = (64, 48),
    **options: Any,
) -> Path:
    """Each frame a little bluer than the last; ``times`` in milliseconds, else 25 a second."""
    import av

    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream(codec, rate=25, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = "rgb24" if codec == "rawvideo" else "yuv420p"
        if times:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for i in range(frames):
            picture = av.VideoFrame.from_ndarray(blue(i, frames, size), format="rgb24")
            picture.pts = times[i] if times else i
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    return path


def blue(i: int, frames: int, size: tuple[int, int]) -> ImageArray:
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[:, :, 2] = 255 * i // frames
    return pixels


def read(path: Path | str, span: Span | None = None, place: Place | None = None) -> list[Any]:
    with Video(path) as opened:
        return list(opened.frames(span, place))


def times_of(found: list[Any]) -> list[tuple[int, float]]:
    return [(item.index, item.time_s) for item in found]


def damage(path: Path, packets: list[int]) -> None:
    """Zeros where these packets were, but for what the container says of them."""
    import av

    with av.open(str(path)) as file:
        where = [(p.pos or 0, p.size) for p in file.demux(video=0) if p.size]
    content = bytearray(path.read_bytes())
    for number in packets:
        position, size = where[number]
        content[position + 12 : position + size] = bytes(size - 12)
    path.write_bytes(content)


# -- times and pictures ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        ("mp4", "libx264"),
        ("mkv", "libx264"),
        ("avi", "libx264"),
        ("ts", "libx264"),
        ("flv", "libx264"),
        ("mov", "mpeg4"),
        ("webm", "libvpx"),
        ("mpg", "mpeg2video"),
    ],
)
def test_every_frame_in_the_order_it_is_shown(tmp_path: Path, suffix: str, codec: str) -> None:
    """With B-frames, which are stored in another order, where a codec has them."""
    options: dict[str, Any] = {"bf": "3"} if codec in ("libx264", "mpeg4") else {}
    if codec == "libvpx":
        options = {"deadline": "realtime", "cpu-used": "8"}
    found = read(clip(tmp_path / f"a.{suffix}", codec=codec, **options))
    assert [item.index for item in found] == list(range(40))
    times = np.array([item.time_s for item in found])
    assert np.diff(times) == pytest.approx(0.04, abs=0.0011)
    assert times[0] == pytest.approx(0, abs=0.09)
    blues = [item.rgb[:, :, 2].mean() for item in found]
    assert blues == pytest.approx([255 * i // 40 for i in range(40)], abs=9)


def test_a_rate_that_changes(tmp_path: Path) -> None:
    times = [0, 33, 66, 300, 310, 1000, 1008, 1016]
    found = read(clip(tmp_path / "a.mkv", 8, times=times, bf="2"))
    assert [item.time_s for item in found] == pytest.approx([t / 1000 for t in times], abs=1e-6)


def test_ten_hours(tmp_path: Path) -> None:
    """A picture every half minute, as a camera in a sleeping room takes them."""
    path = clip(tmp_path / "a.mkv", 1201, times=[30_000 * i for i in range(1201)], size=(32, 32))
    with Video(path) as opened:
        assert opened.info.duration_s == pytest.approx(36_000, abs=1)
    assert [item.time_s for item in read(path)] == [30.0 * i for i in range(1201)]
    found = read(path, Span(start_s=35_900))
    assert times_of(found) == [(i, 30.0 * i) for i in range(1197, 1201)]


def test_120_frames_a_second(tmp_path: Path) -> None:
    times = [round(i * 1000 / 120) for i in range(120)]
    found = read(clip(tmp_path / "a.mkv", 120, times=times, bf="2"))
    assert [item.time_s for item in found] == pytest.approx([t / 1000 for t in times], abs=1e-6)


def test_8k(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4", 2, size=(7680, 4320), preset="ultrafast")
    assert [item.rgb.shape for item in read(path)] == [(4320, 7680, 3)] * 2


def test_frames_that_an_edit_list_hides(shared: Path) -> None:
    """98 are stored, of which the first three are there for the others to refer to."""
    found = read(shared / "data" / "media" / "no_face.mp4")
    assert times_of(found)[:2] == [(0, 0.0), (1, 0.041667)]
    assert len(found) == 95


def test_the_three_clips(shared: Path) -> None:
    media = shared / "data" / "media"
    found = read(media / "WolfgangLanger_Pexels.mp4")
    assert len(found) == 472
    assert found[-1].time_s == pytest.approx(471 * 1001 / 24000, abs=1e-6)
    assert len(read(media / "single_face.mp4")) == 72


def test_a_phone_s_video_is_upright(tmp_path: Path) -> None:
    path = turned(video(tmp_path / "a.mp4", 1))
    with Video(path) as opened:
        (frame,) = opened.frames()
    assert isinstance(frame, Frame)
    assert frame.rgb.shape == (64, 48, 3)
    assert frame.rgb[:8].mean() > 200


@pytest.mark.parametrize(
    "matrix",
    [
        *itertools.product((1, -1), (0,), (0,), (1, -1)),
        *itertools.product((0,), (1, -1), (1, -1), (0,)),
    ],
)
def test_orientation_all_eight_matrices(tmp_path: Path, matrix: tuple[int, ...]) -> None:
    """Whatever turns and mirrors: each corner is shown where the matrix puts it."""
    a, b, c, d = matrix
    path = shown_by(video(tmp_path / "a.mp4", 1, codec="libx264"), a, b, c, d)
    stored = read(video(tmp_path / "b.mp4", 1, codec="libx264"))[0].rgb
    stored = stored.copy()
    height, width = stored.shape[:2]
    places = np.array([(a * x + c * y, b * x + d * y) for y in range(height) for x in range(width)])
    places -= places.min(axis=0)
    expected = np.zeros((places[:, 1].max() + 1, places[:, 0].max() + 1, 3), np.uint8)
    expected[places[:, 1], places[:, 0]] = stored.reshape(-1, 3)
    (frame,) = read(path)
    assert frame.rgb.shape == expected.shape
    assert np.abs(frame.rgb.astype(int) - expected).max() < 12


def test_orientation_a_slanted_matrix_is_the_nearest_of_the_eight(tmp_path: Path) -> None:
    plain = read(video(tmp_path / "a.mp4", 1))[0].rgb
    slanted = shown_by(video(tmp_path / "b.mp4", 1), -0.98, 0.17, 0.17, 0.98)
    assert np.array_equal(read(slanted)[0].rgb, plain[:, ::-1])
    none = shown_by(video(tmp_path / "c.mp4", 1), 0, 0, 0, 0)
    assert np.array_equal(read(none)[0].rgb, plain)


def test_pixels_become_square(tmp_path: Path) -> None:
    """Wide-screen DV stores 720 x 576 for a picture of 16 to 9."""
    path = clip(tmp_path / "a.mp4", 2, size=(90, 72), x264opts="sar=64/45")
    with Video(path) as opened:
        assert (opened.info.width, opened.info.height) == (128, 72)
        assert read(path)[0].rgb.shape == (72, 128, 3)


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (17, 5)])
def test_tiny_frames(tmp_path: Path, size: tuple[int, int]) -> None:
    found = read(clip(tmp_path / "a.avi", 3, "rawvideo", size=size))
    assert [item.rgb.shape for item in found] == [(size[1], size[0], 3)] * 3


def test_raw_video_without_times(tmp_path: Path) -> None:
    found = read(clip(tmp_path / "a.h264", 30, bf="2"))
    assert [item.time_s for item in found] == pytest.approx([i / 25 for i in range(30)])


# -- which frames ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 seconds, a key frame every 2 of them."""
    return clip(tmp_path_factory.mktemp("long") / "a.mp4", 600, bf="2", g="50")


@pytest.fixture(scope="module")
def all_of_it(long_clip: Path) -> list[Any]:
    return read(long_clip)


@pytest.mark.parametrize(
    ("span", "indices"),
    [
        (Span(every=7), range(0, 600, 7)),
        (Span(start_s=3.0, end_s=4.0), range(75, 100)),
        (Span(start_s=12.01, end_s=12.3), range(301, 308)),
        (Span(start_s=20.0, every=30), range(500, 600, 30)),
        (Span(fps=5), range(0, 600, 5)),
        (Span(start_s=10.0, fps=2, end_s=12.0), [250, 263, 275, 288]),
        (Span(fps=1000, end_s=1.0), range(25)),
        (Span(start_s=23.96), [599]),
        (Span(start_s=100.0), []),
    ],
)
def test_frames_asked_for(
    long_clip: Path, all_of_it: list[Any], span: Span, indices: range | list[int]
) -> None:
    found = read(long_clip, span)
    assert [item.index for item in found] == list(indices)
    for item in found:
        np.testing.assert_array_equal(item.rgb, all_of_it[item.index].rgb)
        assert item.time_s == all_of_it[item.index].time_s


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "ts", "flv", "h264"])
@pytest.mark.parametrize("span", [Span(), Span(fps=3), Span(start_s=9, every=11)])
def test_going_on_gives_the_frames_of_an_unbroken_reading(
    tmp_path: Path, suffix: str, span: Span
) -> None:
    path = clip(tmp_path / f"a.{suffix}", 400, bf="2", g="50")
    whole = read(path, span)
    for stop in (1, len(whole) // 2, len(whole)):
        place = Place()
        with Video(path) as opened:
            begun: list[Any] = list(itertools.islice(opened.frames(span, place), stop))
        with Video(path) as opened:
            rest: list[Any] = list(opened.frames(span, place))
        assert times_of(begun + rest) == times_of(whole)
        for ours, expected in zip(begun + rest, whole, strict=True):
            np.testing.assert_array_equal(ours.rgb, expected.rgb)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"every": 0}, "--every takes a whole number, 1 or more"),
        ({"fps": 0.0}, "--fps takes frames a second above 0"),
        ({"fps": 1e308}, "up to 1,000,000, got 1e"),
        ({"start_s": 1e308}, "--start takes up to 1,000,000,000 seconds, got 1e"),
        ({"fps": float("nan")}, "--fps takes"),
        ({"fps": 2.0, "every": 2}, "two ways to say one thing"),
        ({"start_s": 2.0, "end_s": 2.0}, "--end after it"),
        ({"start_s": -1.0}, "--start lies at 0 or later"),
    ],
)
def test_spans_that_are_none(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Span(**wrong)


# -- damage ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_holes_are_where_the_frames_were(tmp_path: Path, suffix: str) -> None:
    path = clip(tmp_path / f"a.{suffix}", 60, g="10", bf="0")
    whole = read(path)
    damage(path, [20, 21, 37])
    found = read(path)
    assert times_of(found) == times_of(whole)
    holes = {item.index for item in found if isinstance(item, Hole)}
    assert holes >= {20, 21, 37}
    assert holes <= {*range(20, 30), *range(37, 40)}  # what referred to them, up to the key frame
    assert "damaged in the file" in next(i for i in found if isinstance(i, Hole)).reason


def test_holes_among_frames_stored_in_another_order(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4", 60, g="20", bf="3")
    whole = read(path)
    damage(path, [25, 26])
    assert times_of(read(path)) == times_of(whole)


def test_a_container_that_is_damaged_ends_there(tmp_path: Path) -> None:
    """What follows cannot be found in so short a file; that it is missing is said."""
    path = clip(tmp_path / "a.mkv", 60, g="10", bf="0")
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 200] = bytes(200)
    path.write_bytes(content)
    *found, last = read(path)
    assert 20 < len(found) < 60
    assert isinstance(last, Hole)
    assert "of 2.4 seconds" in last.reason


def test_a_file_that_is_cut_off(tmp_path: Path) -> None:
    import av

    path = tmp_path / "a.mp4"
    with (
        av.open(str(clip(tmp_path / "b.mp4", 200, g="20"))) as file,
        av.open(str(path), "w", options={"movflags": "faststart"}) as out,
    ):
        copied = out.add_stream_from_template(file.streams.video[0])
        for packet in file.demux(video=0):
            if packet.size:
                packet.stream = copied
                out.mux(packet)
    content = path.read_bytes()
    path.write_bytes(content[: -len(content) // 4])
    *found, last = read(path, Span(every=50))
    assert found
    assert isinstance(last, Hole)
    assert "cut off" in last.reason or "cannot be read on" in last.reason


@pytest.mark.parametrize(
    ("suffix", "codec"), [("mkv", "libx264"), ("wmv", "wmv2"), ("mp4", "libx264")]
)
def test_a_file_whose_clock_begins_late_is_whole(tmp_path: Path, suffix: str, codec: str) -> None:
    """One of several that FFmpeg cut a camera's hours into: it tells its end for its length."""
    times = [60_000 + 40 * i for i in range(50)]
    path = clip(tmp_path / f"a.{suffix}", 50, codec, times)
    found = read(path)
    assert [type(item) for item in found] == [Frame] * 50
    with Video(path) as opened:
        assert opened.info.duration_s == pytest.approx(2, abs=0.1)


def test_a_file_whose_clock_begins_late_is_cut_off(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mkv", 200, times=[60_000 + 40 * i for i in range(200)], g="20")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    *_, last = read(path)
    assert isinstance(last, Hole)
    assert "of 8.0 seconds" in last.reason


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_camera_that_films_in_jpeg_with_exif(tmp_path: Path, orientation: int) -> None:
    """PyAV has no name for what FFmpeg gives out of it; upright as the pictures themselves are."""
    from PIL import Image, ImageOps

    stored = np.zeros((48, 64, 3), np.uint8)
    stored[:24, :32, 0] = 255  # above, on the left
    exif = Image.Exif()
    exif[0x0110], exif[0x0112] = "a camera", orientation
    for i in range(3):
        Image.fromarray(stored).save(tmp_path / f"{i}.jpg", exif=exif, quality=95)
    path = tmp_path / "a.avi"
    import av

    with av.open(str(path), "w") as out, av.open(str(tmp_path / "0.jpg")) as first:
        stream: Any = out.add_stream_from_template(first.streams.video[0])
        for i in range(3):
            packet = av.Packet((tmp_path / f"{i}.jpg").read_bytes())
            packet.stream, packet.pts, packet.dts = stream, i, i
            packet.time_base = Fraction(1, 25)
            out.mux(packet)
    found = read(path)
    assert [type(item) for item in found] == [Frame] * 3
    with Image.open(tmp_path / "0.jpg") as picture:
        upright = np.asarray(ImageOps.exif_transpose(picture))
    assert found[0].rgb.shape == upright.shape
    assert np.abs(found[0].rgb.astype(int) - upright).mean() < 3


def test_what_is_no_recording(tmp_path: Path) -> None:
    whole = clip(tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "unfinished.mp4").write_bytes(whole[: len(whole) // 2])  # its index is at its end
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty.mp4").touch()
    os.mkfifo(tmp_path / "pipe.mp4")
    for name in ("unfinished.mp4", "text.mp4", "empty.mp4", "pipe.mp4", "gone.mp4", "."):
        with pytest.raises(VideoError):
            read(tmp_path / name)


def test_sound_alone(tmp_path: Path) -> None:
    import av

    path = tmp_path / "a.m4a"
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.float32), "fltp", "mono")
        frame.sample_rate = 48000
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with pytest.raises(VideoError, match=r"holds no video \(only sound\)"):
        read(path)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "avi", "flv"])
def test_whatever_is_damaged(tmp_path: Path, suffix: str) -> None:
    """No error but VideoError, every frame numbered, and going on gives the same as reading on."""
    whole = clip(tmp_path / f"whole.{suffix}", 300, bf="2", g="25").read_bytes()
    path, chance = tmp_path / f"a.{suffix}", random.Random(suffix)
    for _ in range(6):
        content = bytearray(whole)
        for _ in range(chance.randrange(1, 20)):
            content[chance.randrange(len(content))] = chance.randrange(256)
        path.write_bytes(content[: chance.randrange(len(content) // 2, len(content))])
        try:
            found = read(path)
        except VideoError:
            continue
        assert [item.index for item in found] == list(range(len(found)))
        place, stop = Place(), chance.randrange(1, len(found) + 1)
        with Video(path) as opened:
            begun: list[Any] = list(itertools.islice(opened.frames(None, place), stop))
        assert times_of(begun + read(path, None, place)) == times_of(found)


class _Stalls(http.server.BaseHTTPRequestHandler):
    """Sends half a recording and then nothing more, without hanging up."""

    content = b""
    over = threading.Event()

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.content[: len(self.content) // 2])
        self.wfile.flush()
        self.over.wait(20)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def stalling(tmp_path: Path) -> Iterator[str]:
    _Stalls.content = clip(tmp_path / "a.ts", 200, g="10").read_bytes()
    _Stalls.over.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Stalls)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/a.ts"
    _Stalls.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_stream_that_stalls_ends(stalling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_STALL_S", 1.0)
    started = time.monotonic()
    *found, last = read(stalling)
    assert time.monotonic() - started < 10
    assert len(found) > 50
    assert isinstance(last, Hole)
    assert "nothing came for 1 seconds" in last.reason


# -- what a recording is ---------------------------------------------------------------------------


def test_recordings_are_told_from_pictures(tmp_path: Path) -> None:
    made = clip(tmp_path / "a.mp4", 2).read_bytes()
    for name, content, expected in [
        ("film", made, True),
        ("film.dat", clip(tmp_path / "a.mkv", 2).read_bytes(), True),
        ("film.ts", clip(tmp_path / "a.ts", 2).read_bytes(), True),
        ("code.ts", b"const a = 1;" * 100, False),
        ("notes.txt", b"text", False),
        ("damaged.mp4", b"text", True),
        ("photo.mp4", b"\xff\xd8\xff\xe0 a picture", False),
        ("photo.heic", b"\0\0\0\x18ftypheic\0\0\0\0", False),
        ("photo.jpg", made, False),
    ]:
        (tmp_path / name).write_bytes(content)
        assert is_video(tmp_path / name) is expected, name
    assert is_video(tmp_path / "gone.mov")


# -- without PyAV ----------------------------------------------------------------------------------


def test_what_is_missing_where_recordings_were_taken_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = clip(tmp_path / "clip.mp4", 3)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(VideoError, match=r"clip\.mp4: recordings need PyAV.*: pip install av"):
        Video(path)
    assert is_video(path)


# -- clocks that jump, stop, or begin below zero ---------------------------------------------------


def joined(path: Path, *parts: Path) -> Path:
    """Files put together as ``cat`` does it."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def test_clock_jumps_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Two transport streams put together: all frames, at times that go on, and a word."""
    part = clip(tmp_path / "a.ts", 50, bf="2")
    path = joined(tmp_path / "two.ts", part, part, part)
    found = read(path)
    assert [item.time_s for item in found] == pytest.approx([i / 25 for i in range(150)], abs=1e-4)
    assert [item.index for item in found] == list(range(150))
    assert caplog.text.count("its clock jumps") == 2
    assert len(read(path, Span(fps=5))) == 30
    inside = read(path, Span(start_s=3.0, end_s=3.2))
    assert [item.index for item in inside] == [75, 76, 77, 78, 79]


def test_clock_jumps_forward_in_a_format_of_several(tmp_path: Path) -> None:
    late = clip(tmp_path / "b.ts", 25, times=[600_000 + 40 * i for i in range(25)])
    path = joined(tmp_path / "two.ts", clip(tmp_path / "a.ts", 25), late)
    times = [item.time_s for item in read(path)]
    assert times == pytest.approx([i / 25 for i in range(50)], abs=1e-4)


def test_clock_with_a_gap_that_is_one(tmp_path: Path) -> None:
    """A screen that stood still for a minute: nothing was put together there."""
    times = [0, 40, 80, 60_000, 60_040]
    found = read(clip(tmp_path / "a.mkv", 5, times=times))
    assert [item.time_s for item in found] == [t / 1000 for t in times]


def test_clock_restarts_far_into_a_recording(tmp_path: Path) -> None:
    """Each time is there twice: seeking may lead to the second, and going on must not."""
    part = clip(tmp_path / "a.ts", 500, g="25", bf="2")
    path = joined(tmp_path / "two.ts", part, part)
    whole = read(path)
    assert len(whole) == 1000
    for start in (12.0, 18.0, 32.0):
        expected = [i for i in whole if start <= i.time_s < start + 1]
        found = read(path, Span(start_s=start, end_s=start + 1))
        assert times_of(found) == times_of(expected)
    for stop in (300, 700):
        place = Place()
        with Video(path) as opened:
            first = list(itertools.islice(opened.frames(Span(), place), stop))
        assert times_of(first + read(path, None, place)) == times_of(whole)


def test_clock_stands_still(tmp_path: Path) -> None:
    import av

    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for i in range(50):
            picture = av.VideoFrame.from_ndarray(blue(i, 50, (64, 48)), format="rgb24")
            for packet in stream.encode(picture.reformat(format="yuvj420p")):
                packet.time_base = Fraction(1, 1000)
                packet.pts = packet.dts = 40 * (i if not 10 <= i < 20 else 10)
                out.mux(packet)
    found = read(path)
    times = [item.time_s for item in found]
    assert len(found) == 50
    assert all(later > earlier for earlier, later in itertools.pairwise(times))
    assert times[:11] == pytest.approx([i / 25 for i in range(11)], abs=1e-3)
    assert times[-1] == pytest.approx(49 / 25, abs=0.05)  # caught up with


def test_clock_begins_below_zero(tmp_path: Path) -> None:
    times = [-400 + 40 * i for i in range(25)]
    found = read(clip(tmp_path / "a.mkv", 25, times=times))
    assert [item.time_s for item in found] == pytest.approx([i / 25 for i in range(25)], abs=1e-3)
    assert len(read(tmp_path / "a.mkv", Span(start_s=0.2))) == 20


def test_frames_are_gone_when_they_were_used(tmp_path: Path) -> None:
    # Without the garbage collector, which mien analyze holds back: 600 frames of 720p took 1 GB.
    path = clip(tmp_path / "clip.mp4")
    gc.collect()
    gc.disable()
    try:
        before = _frames()  # of whatever else this process has done
        assert len(read(path)) == 40
        kept = _frames() - before
    finally:
        gc.enable()
    assert kept == 0


def _frames() -> int:
    return sum(type(thing).__name__ == "VideoFrame" for thing in gc.get_objects())


def test_memory_of_frames_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = clip(tmp_path / "a.mp4", 3)
    monkeypatch.setattr(reader, "MOST_PIXELS", 64 * 48 - 1)
    with pytest.raises(VideoError, match="64 x 48 = 0 megapixels, more than the"):
        read(path)
    monkeypatch.setattr(reader, "MOST_PIXELS", 64 * 48)
    assert len(read(path)) == 3
    monkeypatch.setattr(reader, "MOST_BYTES", 64 * 48 * 12 // 8 - 1)
    with pytest.raises(VideoError, match=r"64 x 48 in yuv420p\), more than the 0 that"):
        read(path)
    monkeypatch.setattr(reader, "MOST_BYTES", 64 * 48 * 12 // 8)
    assert len(read(path)) == 3
