"""Faces read as they are seen: the newest picture always, and nothing that waits for anything else.

::

    source --slot--> tracks, expressions, smoothing --slot--> whoever watches
     a thread              a thread         |                the main thread
                                            +-> takers: a recording, alarms

A slot holds one thing, and what comes later replaces it: where one side is slow, pictures are left
out, and none is ever old.
"""

from __future__ import annotations

import datetime
import json
import logging
import math
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, TypeVar

from ..errors import ConfigError, MienError, OutputError, UnknownName
from ..face import Frame, RecognizedFace
from ..files import write
from ..media.capture import SYSTEM, Clock, Control, Source
from ..media.video import Hole
from ..results import records
from ..results.records import Output
from ..secrecy import public
from ..tracking.smooth import Smoother, smoothers
from ..tracking.tracks import Tracker
from .pipeline import Analyzer

log = logging.getLogger(__name__)

T = TypeVar("T")

STALE_S = 1.0
"""From when on a missing picture is told, in seconds, but for cameras that are slower."""

_MISSED = 3.0  # times as long as from picture to picture

_LIVE = ("causal", "none")
_TICK_S = 0.1  # at most this long until something notices that it should end
_PATIENCE_S = 1.5  # at the end, for each thread: a camera's driver may not let go
_NOTICES, _NOTICE_S = 20, 8.0
_RECENT = 150  # frames whose lateness is shown
_RATE = 30  # frames the rates are taken from
_LOG_S = 60.0


class Slot(Generic[T]):
    """Room for one thing: what is put in replaces what nobody has taken.

    replaced : how many were.

    Examples
    --------
    >>> slot = Slot[str]()
    >>> slot.put("old"), slot.put("new")
    (None, None)
    >>> slot.take(0), slot.take(0), slot.replaced
    ('new', None, 1)
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: T | None = None
        self.closed = False
        self.replaced = 0

    def put(self, item: T) -> None:
        with self._changed:
            self.replaced += self._item is not None
            self._item = item
            self._changed.notify()

    def take(self, timeout_s: float) -> T | None:
        """What is in it, or comes in so long; None where nothing does."""
        with self._changed:
            if self._item is None and not self.closed:
                self._changed.wait(timeout_s)
            item, self._item = self._item, None
            return item

    def close(self) -> None:
        """Nothing comes any more."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()


class Latency:
    """How late something is, frame by frame, in seconds; for any length of time.

    Examples
    --------
    >>> latency = Latency()
    >>> for ms in range(1, 101):
    ...     latency.note(ms / 1000)
    >>> latency.recent(), latency.overall(), latency.count
    ((0.05, 0.095), (0.05, 0.095), 100)
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._recent: deque[float] = deque(maxlen=_RECENT)
        self._ms = Counter[int]()  # rounded up: as many keys as there are milliseconds
        self.count = 0

    def note(self, seconds: float) -> None:
        with self._lock:
            self._recent.append(seconds)
            self._ms[math.ceil(round(seconds * 1000, 3))] += 1
            self.count += 1

    def recent(self) -> tuple[float, float]:
        """p50 and p95 of the last frames; NaN before the first."""
        with self._lock:
            return _percentiles(sorted((s, 1) for s in self._recent), 1.0)

    def overall(self) -> tuple[float, float]:
        """p50 and p95 of all frames, in whole milliseconds; NaN before the first."""
        with self._lock:
            return _percentiles(sorted(self._ms.items()), 1000.0)


def _percentiles(counts: Sequence[tuple[float, int]], per_s: float) -> tuple[float, float]:
    """The values under or at which half, and 95 %, of the counts lie."""
    total, found = sum(n for _, n in counts), []
    for share in (0.5, 0.95):
        below = 0
        for value, n in counts:
            below += n
            if below >= share * total:
                found.append(value / per_s)
                break
    return (found[0], found[1]) if found else (math.nan, math.nan)


class Rate:
    """How often something happens, by its last few times."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=_RATE)

    def note(self, now: float) -> None:
        self._times.append(now)

    def per_s(self, now: float) -> float:
        """Times a second; 0 when it has stopped."""
        times = list(self._times)
        if len(times) < 2 or now - times[-1] > max(STALE_S, 2 * (times[-1] - times[0])):
            return 0.0
        return (len(times) - 1) / max(times[-1] - times[0], 1e-6)


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """A frame with its recognised, smoothed faces; when it was taken, and when it was read."""

    frame: Frame
    faces: list[RecognizedFace]
    taken_s: float
    read_s: float


@dataclass(frozen=True, slots=True)
class Status:
    """How it goes, for whoever watches.

    missing_s : for how long no picture has come. trouble : why none comes, as far as known.
    fps, read_fps : frames a second that come, and that are read. left_out : frames that nobody
    read as a newer one was there. read, shown : p50 and p95, in seconds, from when a frame was
    taken until it was read, or shown.
    """

    source: str
    paused: bool
    missing_s: float
    trouble: str
    fps: float
    read_fps: float
    left_out: int
    read: tuple[float, float]
    shown: tuple[float, float]
    notices: tuple[str, ...]

    @property
    def is_stale(self) -> bool:
        """Whether a picture is missing: of a camera that gives one every five seconds, not yet."""
        usual_s = 1 / self.fps if self.fps else 0.0
        return self.missing_s > max(STALE_S, _MISSED * usual_s)


Taker = Callable[[Reading | Hole], None]
"""Is given every reading, and every hole, in order, in the thread that reads; soon comes back."""


class Reader:
    """Reads the frames of one source as they come: follows faces, recognises, smooths.

    smooth : "causal" or "none"; what looks ahead cannot be live. tracks : whether faces are
    followed, which numbers them and is quicker. Raises ConfigError where prediction sets would be
    smoothed, UnknownName.
    """

    def __init__(self, analyzer: Analyzer, smooth: str = "causal", tracks: bool = True) -> None:
        if smooth not in _LIVE:
            raise UnknownName("smoothing of live pictures", smooth, _LIVE)
        if smooth != "none":
            analyzer.check_unsmoothed()
            if not tracks:
                raise ConfigError(
                    "faces that are not followed cannot be smoothed; take smooth=none, or leave "
                    "no_tracks"
                )
        self._analyzer = analyzer
        self._find = Tracker(analyzer).follow if tracks else analyzer.find
        below = analyzer.recognizer.info.uncertain_below
        self._smoother: Smoother[Frame] = smoothers.build(smooth, below)

    def read(self, frame: Frame) -> list[RecognizedFace]:
        """The faces of the next frame; raises what is wrong with it."""
        faces = self._analyzer.recognize(frame, self._find(frame))
        ((_, smoothed),) = self._smoother.push(frame.time_s, faces, frame)
        return list(smoothed)


class Live:
    """Watches a source; a context manager whose threads run while it is entered.

    takers : what else each reading goes to. clock : what "now" is, and what waits.
    tell : is told what whoever watches should know, from any thread.

    ``keys`` is what keys do, by key: a word for it, and what to call.
    ``messages`` says what the view is to show over its picture now. ``holes`` counts frames that
    were not there or could not be read.

    Examples
    --------
    >>> from mien import Analyzer
    >>> from mien.media import capture
    >>> with Live(Analyzer(), capture.source("clip.mp4")) as live:  # doctest: +SKIP
    ...     while live.is_running:
    ...         if reading := live.newest(timeout_s=0.1):
    ...             print([face.emotions.top for face in reading.faces])
    """

    def __init__(
        self,
        analyzer: Analyzer,
        source: Source,
        takers: Sequence[Taker] = (),
        clock: Clock = SYSTEM,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        analyzer.check_unsmoothed()
        self.analyzer, self.source, self.clock = analyzer, source, clock
        self.takers, self._tell = [*takers], tell
        self.control = Control()
        self.read, self.shown = Latency(), Latency()
        self.messages: Callable[[], Sequence[str]] = tuple
        self.keys: dict[str, tuple[str, Callable[[], None]]] = {
            "p": ("pause", self.pause),
            "s": ("save figures", self.snapshot),
            "q": ("quit", self.quit),
        }
        self._taken, self._read = Slot[tuple[Frame, float]](), Slot[Reading]()
        self._holes: deque[Hole] = deque()
        self.holes = 0
        self._notices: deque[tuple[float, str]] = deque(maxlen=_NOTICES)
        self._coming, self._reading = Rate(), Rate()
        self._came, self._ended = threading.Event(), threading.Event()
        self._error: BaseException | None = None
        self._trouble, self._told = "", ""
        self._last: Reading | None = None
        self._began_s = self._seen_s = clock.now()
        self._capturing = self._thread("mien-capture", self._capture, self._taken.close)
        self._reads = self._thread("mien-read", self._read_on, self._end)

    def _thread(
        self, name: str, work: Callable[[], None], end: Callable[[], None]
    ) -> threading.Thread:
        return threading.Thread(target=self._run, args=(work, end), name=name, daemon=True)

    def connect(self) -> None:
        """Begin to capture, and come back when there is a frame; ``with`` does so, too.

        Raises what keeps the source from giving one, VideoError as a rule.
        """
        if self._capturing.ident is None:
            self._capturing.start()
        while not (self._came.wait(_TICK_S) or self._taken.closed):
            pass
        if self._error is not None:
            raise self._error

    def __enter__(self) -> Live:
        self.connect()
        self._began_s = self.clock.now()
        self._reads.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.quit()
        for thread in (self._capturing, self._reads):
            thread.join(_PATIENCE_S)

    # -- for whoever watches --------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        """Whether more is to come; raises what has ended it, if anything has gone wrong."""
        if not self._ended.is_set():
            return True
        if self._error is not None:
            raise self._error
        return False

    def newest(self, timeout_s: float) -> Reading | None:
        """The newest reading, once; None where none comes in that time."""
        return self._read.take(timeout_s)

    def note_shown(self, reading: Reading) -> None:
        """Say that it is on the screen now."""
        self.shown.note(self.clock.now() - reading.taken_s)

    def status(self) -> Status:
        now = self.clock.now()
        return Status(
            self.source.name,
            self.control.paused,
            0.0 if self.control.paused else now - self._seen_s,
            self._trouble,
            self._coming.per_s(now),
            self._reading.per_s(now),
            self._taken.replaced,
            self.read.recent(),
            self.shown.recent(),
            tuple(text for at, text in list(self._notices) if now - at < _NOTICE_S),
        )

    def press(self, key: str) -> None:
        """Do what a key stands for, if anything."""
        key = "p" if key == " " else key.lower()
        if key in self.keys:
            self.keys[key][1]()

    def quit(self) -> None:
        self.control.stop.set()

    def pause(self) -> None:
        """Stop and go on in turn: nothing is read or recorded; a recording stands still."""
        self.control.paused = not self.control.paused
        self._seen_s = self.clock.now()

    def snapshot(self) -> None:
        """Write the figures of the last reading to a file beside; no picture."""
        now = datetime.datetime.now().astimezone()
        path = Path(f"mien-live-{now:%Y%m%d-%H%M%S-%f}"[:-3] + ".json")
        if self._last is None:
            self.say("nothing has been read yet")
            return
        figures: dict[str, Any] = {
            "date": now.isoformat(timespec="milliseconds"),
            "model": self.analyzer.recognizer.info.name,
            "record": records.record_of(self._last.frame, self._last.faces),
            "latency_s": {"read": self.read.recent(), "shown": self.shown.recent()},
        }
        figures["latency_s"] = {
            name: None if math.isnan(p50) else {"p50": round(p50, 4), "p95": round(p95, 4)}
            for name, (p50, p95) in figures["latency_s"].items()
        }
        try:
            write(path, (json.dumps(figures, indent=2) + "\n").encode())
        except OutputError as err:
            self.say(str(err))
        else:
            self.say(f"figures saved: {path}")

    def say(self, text: str) -> None:
        """Let whoever watches know; from any thread."""
        text = public(text)
        self._notices.append((self.clock.now(), text))
        log.info("%s", text)
        if self._tell:
            self._tell(text)

    def summary(self) -> str:
        """What was read, how fast and how late, in a line."""
        seconds = self.clock.now() - self._began_s
        rate = self.read.count / seconds if seconds > 0 else 0.0
        frames = "frame" if self.read.count == 1 else "frames"
        parts = [f"{self.read.count} {frames} read in {seconds:.1f} s ({rate:.1f} a second)"]
        if self._taken.replaced:
            parts.append(f"{self._taken.replaced} left out for newer ones")
        if self.read.count:
            parts.append(f"latency {_ms(self.read.overall())} until read")
        if self.shown.count:
            parts.append(f"{_ms(self.shown.overall())} until shown")
        return ", ".join(parts)

    # -- the threads ----------------------------------------------------------------------------

    def _run(self, work: Callable[[], None], end: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as err:  # to be raised where somebody watches
            self._error = self._error or err
            self.quit()
        finally:
            end()

    def _end(self) -> None:
        self._read.close()
        self._ended.set()

    def _capture(self) -> None:
        for item in self.source.frames(self.clock, self.control):
            now = self.clock.now()
            if isinstance(item, Hole):
                self._holes.append(item)
                self._trouble = item.reason
                self.say(item.reason)
            else:
                if self._trouble and now - self._seen_s > STALE_S:
                    self.say(f"{self.source.name} is back after {now - self._seen_s:.1f} s")
                self._trouble, self._seen_s = "", now
                self._coming.note(now)
                self._came.set()
                if not self.control.paused:
                    self._taken.put((item, now))
            if self.control.stop.is_set():
                return

    def _read_on(self) -> None:
        """Until no frame comes any more: what is there at the end is read, too."""
        reader = Reader(self.analyzer)
        logged_s = self.clock.now()
        while not self.control.stop.is_set():
            closed = self._taken.closed
            taken = self._taken.take(_TICK_S)
            while self._holes:
                self._give(self._holes.popleft())
            if taken is not None:
                self._look(*taken, reader)
            elif closed:
                return
            if (now := self.clock.now()) - logged_s >= _LOG_S:
                logged_s = now
                log.info("%s", self.summary())

    def _look(self, frame: Frame, taken_s: float, reader: Reader) -> None:
        try:
            faces = reader.read(frame)
        except MienError as err:
            self._give(self._unread(frame, str(err)))
            return
        except Exception as err:  # a bug here must not end the watching
            log.debug("unexpected error on frame %d", frame.index, exc_info=True)
            reason = f"unexpected {type(err).__name__}: {err}; please report it"
            self._give(self._unread(frame, reason))
            return
        now = self.clock.now()
        self._last = reading = Reading(frame, faces, taken_s, now)
        self.read.note(now - taken_s)
        self._reading.note(now)
        self._read.put(reading)
        self._give(reading)

    def _unread(self, frame: Frame, reason: str) -> Hole:
        if reason != self._told:
            self._told = reason
            self.say(f"a frame cannot be read: {reason}")
        return Hole(frame.index, frame.time_s, frame.source, reason)

    def _give(self, item: Reading | Hole) -> None:
        self.holes += isinstance(item, Hole)
        for taker in self.takers:
            taker(item)


def _ms(latency: tuple[float, float]) -> str:
    return f"p50 {latency[0] * 1000:.0f} ms p95 {latency[1] * 1000:.0f} ms"


class Recorder:
    """A taker that writes records; a full disk ends the recording, not the watching.

    done : is called where nobody reads the records any more, and nothing else is wanted.
    """

    def __init__(self, output: Output, say: Callable[[str], None], done: Callable[[], None]):
        self._output, self._say, self._done = output, say, done
        self._failed = False

    def __call__(self, item: Reading | Hole) -> None:
        if self._failed:
            return
        try:
            self._output.write(_record(item))
        except BrokenPipeError:
            self._failed = True
            self._done()
        except OutputError as err:
            self._failed = True
            self._say(f"the recording has ended: {err}")


def _record(item: Reading | Hole) -> records.Record:
    if isinstance(item, Hole):
        return records.of_error(item.source, item.reason, item.index, item.time_s)
    return records.record_of(item.frame, item.faces)
