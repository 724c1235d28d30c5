"""What pictures come from, live: cameras that go and come back, recordings at their own speed."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.errors import VideoError
from mien.face import Frame, ImageArray
from mien.media import capture
from mien.media.capture import FIRST_WAIT_S, LONGEST_WAIT_S, Camera, Control, Played, Stream
from mien.media.video import Hole
from tests.made import video as made_video
from tests.servers import free_port


class FakeClock:
    """Time passes only while somebody waits."""

    def __init__(self) -> None:
        self.now_s, self.waits = 100.0, list[float]()

    def now(self) -> float:
        return self.now_s

    def wait(self, event: threading.Event, seconds: float) -> bool:
        if not event.is_set():
            self.now_s += seconds
            self.waits.append(seconds)
        return event.is_set()


class FakeDevice:
    """A camera of a script: how many pictures each time it is opened; None: not there."""

    def __init__(self, script: list[int | None], clock: FakeClock) -> None:
        self._script, self._clock = script, clock
        self.opened, self.released = 0, 0
        self._left: int | None = 0

    def __call__(self, device: int | str) -> FakeDevice:
        self.opened += 1
        self._left = self._script.pop(0) if self._script else None
        return self

    def isOpened(self) -> bool:  # noqa: N802
        return self._left is not None

    def read(self) -> tuple[bool, ImageArray]:
        if not self._left:
            return False, np.zeros((0, 0, 3), np.uint8)
        self._left -= 1
        self._clock.now_s += 1 / 30
        picture = np.zeros((4, 6, 3), np.uint8)
        picture[..., 0] = 200  # blue, as OpenCV has it
        return True, picture

    def release(self) -> None:
        self.released += 1


def camera(script: list[int | None]) -> tuple[Camera, FakeDevice, FakeClock]:
    clock = FakeClock()
    device = FakeDevice(script, clock)
    return Camera(0, device), device, clock


def test_a_camera_gives_rgb_numbered_and_timed_from_its_first() -> None:
    source, _, clock = camera([3])
    frames = list(islice(source.frames(clock, Control()), 3))
    assert all(isinstance(f, Frame) for f in frames)
    assert [f.index for f in frames] == [0, 1, 2]
    assert [f.time_s for f in frames] == pytest.approx([0, 1 / 30, 2 / 30], abs=1e-5)
    assert isinstance(frames[0], Frame)
    assert frames[0].rgb[0, 0].tolist() == [0, 0, 200]
    assert frames[0].source == "camera 0"


def test_a_camera_that_goes_away_is_one_hole_and_comes_back() -> None:
    source, device, clock = camera([2, None, None, None, None, None, None, 2])
    control = Control()
    found = list(islice(source.frames(clock, control), 5))
    assert [type(f) for f in found] == [Frame, Frame, Hole, Frame, Frame]
    assert [f.index for f in found] == [0, 1, 2, 3, 4]
    times = [f.time_s for f in found]
    assert times == sorted(times)
    hole = found[2]
    assert isinstance(hole, Hole)
    assert "camera 0 gives no picture" in hole.reason
    assert device.released == device.opened  # once nobody asks for more, the last one too
    backing_off = [w for w in clock.waits if w >= FIRST_WAIT_S]
    assert backing_off == [0.5, 1, 2, 4, 8, 8, 8]
    assert max(backing_off) == LONGEST_WAIT_S


def test_waits_are_short_again_once_it_was_back() -> None:
    source, _, clock = camera([1, None, None, 1, None, 1])
    found = list(islice(source.frames(clock, Control()), 5))
    assert [type(f) for f in found] == [Frame, Hole, Frame, Hole, Frame]
    assert [w for w in clock.waits if w >= FIRST_WAIT_S] == [0.5, 1, 2, 0.5, 1]


def test_a_stumble_is_no_loss() -> None:
    class Stumbles(FakeDevice):
        reads = 0

        def read(self) -> tuple[bool, ImageArray]:
            self.reads += 1
            return super().read() if self.reads % 3 == 0 else (False, np.zeros((0,), np.uint8))

    clock = FakeClock()
    source = Camera(0, Stumbles([5], clock))
    found = list(islice(source.frames(clock, Control()), 5))
    assert all(isinstance(f, Frame) for f in found)


def test_no_such_camera_is_an_error_at_once() -> None:
    source, device, clock = camera([None])
    with pytest.raises(VideoError, match="no camera 0"):
        next(iter(source.frames(clock, Control())))
    assert clock.waits == []
    assert device.released == 1


def test_a_camera_that_never_gives_anything_is_an_error_after_a_while() -> None:
    source, _, clock = camera([0])
    with pytest.raises(VideoError, match="gives no picture"):
        next(iter(source.frames(clock, Control())))
    assert clock.now_s - 100 < 5


def test_stopping_lets_go_of_the_camera() -> None:
    source, device, clock = camera([100])
    control = Control()
    frames = source.frames(clock, control)
    next(frames)
    control.stop.set()
    assert list(frames) == []
    assert device.released == 1


@pytest.mark.parametrize(
    ("given", "name"), [("0", "camera 0"), ("7", "camera 7"), ("/dev/video2", "/dev/video2")]
)
def test_cameras_by_number_and_device(given: str, name: str) -> None:
    found = capture.source(given)
    assert isinstance(found, Camera)
    assert found.name == name


# -- recordings ---------------------------------------------------------------------------------


def test_a_recording_plays_at_its_own_speed(tmp_path: Path) -> None:
    path = made_video(tmp_path / "clip.mp4", frames=10, fps=10)
    clock = FakeClock()
    shown = [(clock.now_s - 100, item) for item in Played(str(path)).frames(clock, Control())]
    assert [item.index for _, item in shown] == list(range(10))
    assert [at for at, _ in shown] == pytest.approx([item.time_s for _, item in shown])
    assert shown[-1][0] == pytest.approx(0.9)


def test_where_analysis_was_away_it_does_not_wait_to_catch_up(tmp_path: Path) -> None:
    path = made_video(tmp_path / "clip.mp4", frames=10, fps=10)
    clock, at = FakeClock(), []
    for item in Played(str(path)).frames(clock, Control()):
        at.append(clock.now_s - 100)
        if item.index == 2:
            clock.now_s += 0.45
    assert at == pytest.approx([0, 0.1, 0.2, 0.65, 0.65, 0.65, 0.65, 0.7, 0.8, 0.9])


def test_a_pause_holds_it(tmp_path: Path) -> None:
    path = made_video(tmp_path / "clip.mp4", frames=4, fps=10)
    control = Control()

    class Paused(FakeClock):
        """Somebody pauses at 0.1 s, and goes on at 5 s."""

        def now(self) -> float:
            control.paused = 0.1 <= self.now_s - 100 < 5
            return self.now_s

        def wait(self, event: threading.Event, seconds: float) -> bool:
            done = super().wait(event, seconds)
            self.now()
            return done

    clock = Paused()
    at = [clock.now_s - 100 for _ in Played(str(path)).frames(clock, control)]
    assert at[0] == 0
    assert at[1] < 0.2
    assert 5 <= at[2] < 5.2
    assert at[3] - at[2] == pytest.approx(0.1)


def test_stopping_ends_it_at_once(tmp_path: Path) -> None:
    path = made_video(tmp_path / "clip.mp4", frames=10, fps=10)
    control = Control()
    frames = Played(str(path)).frames(FakeClock(), control)
    next(frames)
    control.stop.set()
    assert list(frames) == []


def test_a_file_that_is_cut_off_ends_with_a_hole(tmp_path: Path) -> None:
    path = made_video(tmp_path / "clip.mkv", frames=40, fps=10)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = list(Played(str(path)).frames(FakeClock(), Control()))
    assert isinstance(found[0], Frame)
    assert isinstance(found[-1], Hole)


@pytest.mark.parametrize("content", [b"", b"no video at all" * 50])
def test_a_file_that_is_no_recording(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=r"clip\.mp4"):
        capture.source(str(path))
    with pytest.raises(VideoError, match="no such file"):
        capture.source(str(tmp_path / "none.mp4"))


# -- streams ------------------------------------------------------------------------------------


@pytest.fixture
def serve() -> Iterator[Callable[[bytes, bool], str]]:
    """Serves bytes as a stream without an end; then says nothing more, or closes."""
    servers: list[Any] = []
    over = threading.Event()

    def start(content: bytes, stalls: bool) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "video/mp2t")
                self.end_headers()
                self.wfile.write(content)
                self.wfile.flush()
                if stalls:
                    over.wait(20)

            def log_message(self, *_: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://anna:secret@127.0.0.1:{server.server_port}/live.ts"

    yield start
    over.set()
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("stalls", [False, True])
def test_a_stream_that_ends_or_stalls_is_asked_for_again(
    serve: Callable[[bytes, bool], str],
    stalls: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mien.media.video._STALL_S", 0.5)
    content = made_video(tmp_path / "clip.ts", frames=20, codec="mpeg2video", fps=25).read_bytes()
    address = serve(content, stalls)
    source = capture.source(address)
    assert isinstance(source, Stream)
    assert "secret" not in source.name
    frames, found = source.frames(FakeClock(), Control()), list[Frame | Hole]()
    while sum(isinstance(item, Hole) for item in found) < 2:
        found.append(next(frames))
    (first, second) = (i for i, item in enumerate(found) if isinstance(item, Hole))
    assert first >= 15  # most of the stream was seen, and again
    assert second - first >= 15
    hole = found[first]
    assert isinstance(hole, Hole)
    assert "secret" not in hole.reason
    assert [item.index for item in found] == list(range(len(found)))


def test_a_stream_that_is_not_there_keeps_the_password() -> None:
    port = free_port()
    with pytest.raises(VideoError) as told:
        capture.source(f"rtsp://anna:secret@127.0.0.1:{port}/1")
    assert "secret" not in str(told.value)
    assert f"127.0.0.1:{port}" in str(told.value)
