"""Watching: newest pictures, threads that do not wait for one another, what is told and kept."""

from __future__ import annotations

import io
import json
import math
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.analysis.live import Latency, Live, Rate, Reading, Recorder, Slot, Status
from mien.analysis.pipeline import Analyzer
from mien.errors import OutputError, ShapeError, VideoError
from mien.face import Face, Frame, RecognizedFace
from mien.media.capture import SYSTEM, Clock, Control
from mien.media.video import Hole
from mien.results.records import Output
from mien.testing import FakeDetector, FakeRecognizer

SLOW_S = 0.05
PATIENCE_S = 20.0


class Made:
    """A source of ``count`` pictures, ``fps`` a second, with holes where they are asked for."""

    name = "made"

    def __init__(self, count: int, fps: float = 200, holes: tuple[int, ...] = ()) -> None:
        self._count, self._fps, self._holes = count, fps, holes

    def frames(self, clock: Clock, control: Control) -> Iterator[Frame | Hole]:
        for i in range(self._count):
            if clock.wait(control.stop, 1 / self._fps):
                return
            if i in self._holes:
                yield Hole(i, i / self._fps, self.name, "made is gone")
            else:
                yield Frame(np.full((90, 120, 3), i % 250, np.uint8), i, i / self._fps, self.name)


class Quick(Analyzer):
    """Sees one face everywhere, in ``seconds``."""

    def __init__(self, seconds: float = 0.0, boxes: int = 1) -> None:
        found = [(20.0 + 40 * i, 20.0, 50.0 + 40 * i, 60.0) for i in range(boxes)]
        super().__init__(recognizer=FakeRecognizer(), detector=FakeDetector(*found))
        self._seconds = seconds

    def recognize(self, frame: Frame, faces: Sequence[Face]) -> list[RecognizedFace]:
        time.sleep(self._seconds)
        return super().recognize(frame, faces)


def run(live: Live) -> list[Reading]:
    """All readings that somebody who looks now and then sees."""
    seen = []
    with live:
        while live.is_running:
            if reading := live.newest(0.02):
                live.note_shown(reading)
                seen.append(reading)
    return seen


class Gate(Quick):
    """Says that it reads, and goes on when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.reads, self.go = threading.Semaphore(0), threading.Semaphore(0)

    def recognize(self, frame: Frame, faces: Sequence[Face]) -> list[RecognizedFace]:
        self.reads.release()
        assert self.go.acquire(timeout=PATIENCE_S)
        return super().recognize(frame, faces)


class Bursts(Made):
    """A frame, then ``burst`` at once each time that one is being read, ten times."""

    def __init__(self, gate: Gate, burst: int) -> None:
        super().__init__(1 + 10 * burst)
        self._gate, self._burst = gate, burst

    def frames(self, clock: Clock, control: Control) -> Iterator[Frame | Hole]:
        for i, frame in enumerate(super().frames(clock, control)):
            yield frame
            if i % self._burst == 0:  # the last of a burst lies in the slot now
                if i:
                    self._gate.go.release()
                assert self._gate.reads.acquire(timeout=PATIENCE_S)
        self._gate.go.release()


@pytest.mark.parametrize("burst", [1, 7])
def test_the_newest_is_read_and_the_others_are_left_out(burst: int) -> None:
    got: list[Any] = []
    gate = Gate()
    live = Live(gate, Bursts(gate, burst), [got.append])
    run(live)
    assert [item.frame.index for item in got] == [burst * i for i in range(11)]
    assert all(face.track == 1 for item in got for face in item.faces)
    assert live.read.count == 11
    assert live.status().left_out == 10 * (burst - 1)


def test_nobody_who_looks_holds_up_nothing() -> None:
    got: list[Any] = []
    live = Live(Quick(), Made(40, fps=100), [got.append])
    with live:
        while live.is_running:  # never takes a reading
            time.sleep(0.01)
        newest = live.newest(0)
    assert len(got) > 5
    assert newest is got[-1]


def test_what_went_wrong_is_raised_where_somebody_watches() -> None:
    class Broken(Made):
        def frames(self, clock: Clock, control: Control) -> Iterator[Frame | Hole]:
            raise VideoError("no camera 0")
            yield

    with pytest.raises(VideoError, match="no camera 0"), Live(Quick(), Broken(1)):
        pass

    def taker(item: Reading | Hole) -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        run(Live(Quick(), Made(50), [taker]))


def test_a_camera_that_hangs_does_not_hold_up_the_end() -> None:
    hangs = threading.Event()

    class Hangs(Made):
        def frames(self, clock: Clock, control: Control) -> Iterator[Frame | Hole]:
            yield from super().frames(clock, control)
            hangs.wait(20)

    live = Live(Quick(), Hangs(5))
    began = time.monotonic()
    with live:
        deadline = time.monotonic() + 5
        while live.status().missing_s < 0.3 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert live.is_running
        assert live.status().missing_s >= 0.3
    assert time.monotonic() - began < 5
    hangs.set()


def test_holes_are_told_kept_and_over_when_it_is_back() -> None:
    class Later:
        """A clock whose waits are long, though nobody waits for them."""

        def __init__(self) -> None:
            self._more = 0.0

        def now(self) -> float:
            return time.monotonic() + self._more

        def wait(self, event: threading.Event, seconds: float) -> bool:
            self._more += 2.0
            return event.wait(seconds)

    told: list[str] = []
    got: list[Any] = []
    live = Live(Quick(), Made(12, fps=50, holes=(5,)), [got.append], Later(), told.append)
    run(live)
    assert told[0] == "made is gone"
    assert told[1].startswith("made is back after ")
    assert len(told) == 2
    assert [item.index for item in got if isinstance(item, Hole)] == [5]
    assert live.holes == 1
    assert live.status().trouble == ""


@pytest.mark.parametrize("error", [ShapeError("not a picture"), ValueError("a bug")])
def test_a_frame_that_cannot_be_read_is_a_hole_and_told_once(error: Exception) -> None:
    class Fails(Quick):
        def find(self, frame: Frame, known: Sequence[Face] = ()) -> list[Face]:
            if frame.index % 2:
                raise error
            return super().find(frame)

        def find_again(self, frame: Frame, *_: Any) -> Any:
            raise error

    told: list[str] = []
    got: list[Any] = []
    live = Live(Fails(), Made(30, fps=100), [got.append], tell=told.append)
    run(live)
    holes = [item for item in got if isinstance(item, Hole)]
    assert len(holes) > 3
    assert str(error) in holes[0].reason
    assert len(told) == 1


def test_a_pause_reads_and_records_nothing() -> None:
    got: list[Any] = []
    live = Live(Quick(), Made(10_000, fps=100), [got.append])
    with live:
        live.press("p")
        time.sleep(0.2)
        before = len(got)
        time.sleep(0.3)
        assert len(got) == before
        assert live.status().paused
        assert live.status().missing_s == 0
        live.press(" ")
        deadline = time.monotonic() + 5
        while len(got) == before and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(got) > before
        live.press("x")  # means nothing
        assert live.is_running
        live.press("Q")
        while live.is_running and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not live.is_running


def test_a_snapshot_holds_figures_and_no_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    live = Live(Quick(), Made(10, fps=50))
    live.press("s")
    assert live.status().notices == ("nothing has been read yet",)
    run(live)
    live.press("s")
    (path,) = tmp_path.iterdir()
    figures = json.loads(path.read_text())
    assert figures["record"]["faces"][0]["top"] == "happiness"
    assert figures["model"] == "fake"
    assert 0 <= figures["latency_s"]["read"]["p50"] <= figures["latency_s"]["read"]["p95"]
    assert path.name in live.status().notices[-1]
    path.unlink()
    monkeypatch.setattr(Path, "open", _full)
    live.press("s")
    assert "No space left" in live.status().notices[-1]


def _full(*_: Any, **__: Any) -> int:
    raise OSError(28, "No space left on device")


# -- recording ----------------------------------------------------------------------------------


def test_what_is_read_is_recorded(tmp_path: Path) -> None:
    analyzer, path = Quick(), tmp_path / "r.jsonl"
    with Output(path, None, analyzer, io.BytesIO()) as output:
        live = Live(analyzer, Made(20, fps=50, holes=(7,)))
        live.takers.append(Recorder(output, live.say, live.quit))
        run(live)
    kept = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(kept) == live.read.count + 1
    frames = [record["frame"] for record in kept]
    assert frames.count(7) == 1
    (hole,) = (record for record in kept if record["frame"] == 7)
    assert (hole["status"], hole["reason"]) == ("error", "made is gone")
    assert json.loads((tmp_path / "r.jsonl.meta.json").read_text())["complete"] is True


def test_a_full_disk_ends_the_recording_and_not_the_watching() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full on this system")
    analyzer, got = Quick(), list[Any]()
    live = Live(analyzer, Made(30, fps=100))
    output = Output(full, "jsonl", analyzer, io.BytesIO())
    live.takers += [Recorder(output, live.say, live.quit), got.append]

    def recorded() -> None:
        with output:
            run(live)

    with pytest.raises(OutputError, match="No space left"):
        recorded()
    assert len(got) > 5
    ended = [notice for notice in live.status().notices if "the recording has ended" in notice]
    assert len(ended) == 1


def test_a_reader_who_leaves_ends_it() -> None:
    class Gone(io.BytesIO):
        def write(self, content: Any) -> int:
            raise BrokenPipeError

    analyzer = Quick()
    live = Live(analyzer, Made(10_000, fps=100))
    with Output(None, "jsonl", analyzer, Gone()) as output:
        live.takers.append(Recorder(output, live.say, live.quit))
        run(live)
    assert live.read.count < 100


# -- the parts ----------------------------------------------------------------------------------


def test_a_slot_wakes_who_waits_and_closes() -> None:
    slot: Slot[int] = Slot()
    got: list[int | None] = []
    waiting = threading.Thread(target=lambda: got.append(slot.take(5)))
    waiting.start()
    slot.put(1)
    waiting.join(2)
    assert got == [1]
    slot.put(2)
    slot.close()
    assert (slot.take(5), slot.take(5), slot.closed) == (2, None, True)


@pytest.mark.parametrize("count", [1, 7, 1000])
def test_latency_is_that_of_numpy(count: int) -> None:
    late = np.random.default_rng(count).gamma(2, 0.02, count)
    latency = Latency()
    for seconds in late:
        latency.note(float(seconds))
    p50, p95 = np.percentile(late, [50, 95], method="inverted_cdf")
    assert latency.overall() == pytest.approx((p50, p95), abs=0.001)
    recent = np.percentile(late[-150:], [50, 95], method="inverted_cdf")
    assert latency.recent() == pytest.approx(tuple(recent))


def test_latency_takes_no_more_memory_the_longer_it_runs() -> None:
    latency = Latency()
    for i in range(20_000):
        latency.note((i % 100) / 1000)
    assert len(latency._ms) == 100
    assert len(latency._recent) < 1000


def test_rates() -> None:
    rate = Rate()
    assert rate.per_s(0) == 0
    for i in range(60):
        rate.note(i / 30)
    assert rate.per_s(2) == pytest.approx(30)
    assert rate.per_s(20) == 0


def test_the_summary_says_what_was_read_and_how_late() -> None:
    live = Live(Quick(SLOW_S), Made(40, fps=100))
    run(live)
    text = live.summary()
    assert text.startswith(f"{live.read.count} frames read in ")
    for part in ("left out for newer ones", "until read", "until shown"):
        assert part in text


def test_the_system_clock() -> None:
    before = SYSTEM.now()
    assert SYSTEM.wait(threading.Event(), 0.01) is False
    assert SYSTEM.now() > before
    done = threading.Event()
    done.set()
    assert SYSTEM.wait(done, 60) is True


@pytest.mark.parametrize(
    ("fps", "missing_s", "is_stale"),
    [
        (30.0, 0.9, False),
        (30.0, 1.1, True),
        (0.2, 12.0, False),
        (0.2, 16.0, True),
        (0.0, 1.1, True),
    ],
)
def test_a_slow_camera_is_missing_no_picture_yet(
    fps: float, missing_s: float, is_stale: bool
) -> None:
    never = (math.nan, math.nan)
    status = Status("camera 0", False, missing_s, "", fps, fps, 0, never, never, ())
    assert status.is_stale == is_stale
