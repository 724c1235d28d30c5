"""Recordings in: frames of anything FFmpeg reads, at their own times, upright, none left out.

A frame that the file holds but nobody can decode is a ``Hole`` in its place, and decoding goes on
behind it. Only compressed packets and the frame at hand are in memory, however long a recording is.
"""

from __future__ import annotations

import heapq
import logging
import math
import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..errors import ConfigError, InputError, VideoError
from ..face import Frame, ImageArray
from ..secrecy import filled, public
from . import image

log = logging.getLogger(__name__)

T = TypeVar("T")

SUFFIXES = image.RECORDINGS
_HEADS = {  # where -> first bytes there of the containers that have them
    0: (b"\x1aE\xdf\xa3", b"FLV\x01", b"OggS", b"\0\0\x01\xba", b"0&\xb2u", b"\x06\x0e+4"),
    4: (b"ftyp", b"moov", b"mdat", b"wide"),
    8: (b"AVI ",),
}
_TS_PACKET = 188  # bytes, each packet beginning with the same byte
MOST_PIXELS = 50_000_000
"""Of a frame: several are on their way at once, beside those that a decoder keeps."""
MOST_BYTES = 100_000_000
"""Of a frame as it is stored: 16 bits of three colours take four times what most recordings do."""
_STALL_S = 10.0  # a stream that says nothing for so long is over
_SEEK_MARGIN_S = 5.0  # decoded before what is asked for, so that nothing refers to what was skipped
_ROUNDING_S = 0.001  # Matroska keeps whole milliseconds
_TIME_DIGITS = 6
MAY_RESTART = 0x0200  # AVFMT_TS_DISCONT: a format whose clock may begin anew, as FFmpeg knows
_LATEST_S = 1_000_000_000  # thirty years; FFmpeg's clock ends at three hundred thousand
_MOST_FPS = 1_000_000
_ENDS = ("matroska,webm", "asf")  # formats in which FFmpeg writes ends for durations
_JUMP_FRAMES = 4.0  # a time that is so much earlier than the one before it is of another clock
_JUMP_S = 10.0  # or so much later, where a clock may begin anew; elsewhere that is a gap
_SQUARE = 0.005  # pixels less out of square than this are square
_DAMAGED = "damaged in the file: this frame cannot be decoded"
_SMEARED = "damaged in the file: this frame was decoded from what is left of it"


@dataclass(frozen=True, slots=True)
class Span:
    """Which frames of a recording are asked for.

    start_s, end_s : from this time on, and before that one, in seconds.
    every : of those, each so many-th, the first included.
    fps : instead, the first frame in each 1 / ``fps`` seconds.
    """

    start_s: float = 0.0
    end_s: float = math.inf
    every: int = 1
    fps: float | None = None

    def __post_init__(self) -> None:
        if not (isinstance(self.every, Integral) and self.every >= 1):
            raise ConfigError(f"--every takes a whole number, 1 or more, got {self.every}")
        if self.fps is not None and not 0 < self.fps <= _MOST_FPS:
            raise ConfigError(
                f"--fps takes frames a second above 0, up to {_MOST_FPS:,}, got {self.fps}"
            )
        if self.fps is not None and self.every > 1:
            raise ConfigError("--every and --fps are two ways to say one thing; give one of them")
        if self.start_s > _LATEST_S:
            raise ConfigError(f"--start takes up to {_LATEST_S:,} seconds, got {self.start_s:g}")
        if not (self.start_s >= 0 and self.end_s > self.start_s):
            raise ConfigError(
                f"--start lies at 0 or later, and --end after it, got {self.start_s:g} and "
                f"{self.end_s:g} seconds"
            )

    def expected(self, info: Info) -> int | None:
        """About how many frames that is; None where the file does not say how long it is."""
        if info.duration_s is None:
            return None
        seconds = max(0.0, min(self.end_s, info.duration_s) - self.start_s)
        rate = min(self.fps or math.inf, info.fps) / self.every
        return max(1, round(seconds * rate))


@dataclass(frozen=True, slots=True)
class Info:
    """What a file says of its video.

    width, height : of its pictures, with square pixels; a phone's are turned upright later.
    fps : nominal; the frames' own times are what counts.
    duration_s : None where it does not say.
    audio : the codec of its sound, None without.
    """

    width: int
    height: int
    fps: float
    duration_s: float | None
    codec: str
    audio: str | None


@dataclass(frozen=True, slots=True)
class Hole:
    """A frame that is asked for and is not there: its place, and why."""

    index: int
    time_s: float
    source: str
    reason: str


@dataclass(slots=True)
class Place:
    """How far a recording was read: what it takes to go on behind the last frame given out.

    index : of the next frame of the file. time_s : of the last one; None before the first.
    first_index, first_time_s : of the first frame in the span. period : of ``Span.fps``, the last
    one that has its frame. ordered : whether every time so far was later than the one before, and
    nothing damaged: only then is seeking sure to find the same frames.
    """

    index: int = 0
    time_s: float | None = None
    first_index: int | None = None
    first_time_s: float = 0.0
    period: int = -1
    ordered: bool = True

    def wants(self, span: Span, index: int, time_s: float) -> bool:
        """Whether a frame, the next one, is asked for."""
        if not span.start_s <= time_s < span.end_s:
            return False
        if self.first_index is None:
            self.first_index, self.first_time_s = index, time_s
        if span.fps is None:
            return (index - self.first_index) % span.every == 0
        period = math.floor((time_s - self.first_time_s + _ROUNDING_S) * span.fps)
        if period <= self.period:
            return False
        self.period = period
        return True


class Clock:
    """Times that only rise, of a file's own, which may jump, stop, or begin below zero.

    Parts put together (``cat a.ts b.ts``, dashcams, advertisements in a stream) each bring their
    own clock. Behind a jump times go on where they were, one frame later; while a clock stands
    still frames follow each other as usual, and after that it is caught up with.

    step_s : from frame to frame as a rule. restarts : whether a long way forward is a jump, too.
    mended : whether any time given out is another than the file's own. ahead_s : by how much they
    were, behind each jump so far.

    Examples
    --------
    >>> clock = Clock(0.5, restarts=False)
    >>> [clock.time(own) for own in (-1.0, -0.5, 0.0)]
    [0.0, 0.5, 1.0]
    >>> clock = Clock(0.5, restarts=True)
    >>> [clock.time(own) for own in (4.0, 4.5, 0.0, 0.5, 900.0, 900.5)]
    [4.0, 4.5, 5.0, 5.5, 6.0, 6.5]
    """

    def __init__(self, step_s: float, restarts: bool) -> None:
        self._step_s, self._restarts = step_s, restarts
        self._own_s, self._last_s, self._ahead_s = math.inf, -math.inf, 0.0
        self.mended, self.ahead_s = False, list[float]()

    def jumps(self, own_s: float) -> bool:
        """Whether a time is of another clock than the one before it."""
        passed = own_s - self._own_s
        back = passed < -_JUMP_FRAMES * self._step_s and self._own_s < math.inf
        return back or (self._restarts and passed > _JUMP_S)

    def time(self, own_s: float) -> float:
        """What to call the next frame's own time."""
        if self._own_s == math.inf:
            self._ahead_s = max(0.0, -own_s)
        passed, given = own_s - self._own_s, own_s + self._ahead_s
        if self.jumps(own_s):
            given = self._last_s + self._step_s
            self._ahead_s = given - own_s
            self.ahead_s.append(self._ahead_s)
        elif given <= self._last_s:
            given = self._last_s + (passed / 2 if passed > 0 else self._step_s)
            given = max(given, self._last_s + 10**-_TIME_DIGITS)
        given = round(given, _TIME_DIGITS)
        self.mended |= given != own_s
        self._own_s, self._last_s = own_s, given
        return given


def is_video(path: Path) -> bool:
    """Whether a file is a recording rather than a picture, by its first bytes or its name.

    A name that says picture is believed; pictures are told from their bytes elsewhere.
    """
    suffix = path.suffix.lower()
    if suffix in image.SUFFIXES:
        return False
    try:
        with path.open("rb") if path.is_file() else _nothing() as file:
            head = file.read(2 * _TS_PACKET + 1)
    except OSError:
        return suffix in SUFFIXES
    if image.is_known(head):
        return False
    begins = any(head[at:].startswith(kinds) for at, kinds in _HEADS.items())
    in_packets = len(head) > 2 * _TS_PACKET and set(head[::_TS_PACKET]) == {0x47}
    return begins or in_packets or suffix in SUFFIXES


def ffmpeg_name(name: str | Path) -> str:
    """What FFmpeg is to open: a file's name as it is, whatever stands in it; or an address.

    What comes before a colon is a protocol to FFmpeg, and a recording may well be called 10:15.mp4.

    >>> ffmpeg_name("cam1: kitchen.mp4"), ffmpeg_name("rtsp://camera/1")
    ('file:cam1: kitchen.mp4', 'rtsp://camera/1')
    """
    return filled(str(name)) if image.is_address(str(name)) else f"file:{name}"


def _nothing() -> Any:
    import io

    return io.BytesIO()


class Video:
    """A recording that is open: what it says of itself, and its frames. A context manager.

    path : a file, or the address of a stream, its password perhaps as in ``secrecy.filled``.

    ``source`` is what frames and messages call it: an address is without its password there.
    Raises VideoError where there is no such file, or no video in it.
    """

    def __init__(self, path: str | Path) -> None:
        if not isinstance(path, str | os.PathLike):
            raise InputError(
                f"a recording is a path or the address of a stream, got {type(path).__name__}; "
                "bytes are to be written to a file first, and a camera is for mien live"
            )
        self.path, self.source = path, public(str(path))
        self.origin_s: float  # the container's own time that is 0 here
        self.clock: Clock  # of the frames so far; restarts: whether its format may have several
        self.restarts: bool
        self._open()
        self.info = self._info()

    def __enter__(self) -> Video:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def _open(self) -> None:
        try:
            import av
            from av.video.reformatter import VideoReformatter
        except ImportError:  # whoever reads pictures alone may have taken it out: docs/index.md
            raise VideoError(
                f"cannot read {self.source}: recordings need PyAV, which is not installed; "
                "add it with: pip install av"
            ) from None
        name = str(self.path)
        if not image.is_address(name):
            self._refuse(Path(name))
        try:
            timeout = (_STALL_S, _STALL_S) if image.is_address(name) else None
            self._container = av.open(self.opened, timeout=timeout, metadata_errors="replace")
        except (av.FFmpegError, OSError, ValueError) as err:
            raise VideoError(f"cannot read {self.source}: {reason(err)}") from err
        videos = [s for s in self._container.streams.video if not _is_cover(s)]
        streams = [s for s in videos if s.codec_context]  # FFmpeg knows how to decode
        if not streams:
            heard = self._container.streams.audio and not videos
            self._container.close()
            what = "video that can be decoded" if videos else "video"
            raise VideoError(f"{self.source} holds no {what}{' (only sound)' if heard else ''}")
        self._stream = streams[0]
        self._base = self._stream.time_base  # once: PyAV makes a new fraction each time
        # One for all frames: FFmpeg keeps megabytes for each, and time goes to setting one up.
        self._reformatter = VideoReformatter()
        codec = self._stream.codec_context
        try:
            _refuse_too_large(codec.width, codec.height, self.source)
            _refuse_too_deep(codec, self.source)
        except VideoError:
            self._container.close()
            raise
        self.origin_s = self._origin_s()
        self.restarts = bool(self._container.format.flags & MAY_RESTART)
        self.clock = Clock(1 / self._fps, self.restarts)
        # AVI does not say when a frame is shown, only when it is decoded: shown in that order, too.
        reordered = self._stream.codec_context.has_b_frames
        self._untold = self._container.format.name == "avi" and reordered

    def _origin_s(self) -> float:
        """When the file begins; its video's first frame, where that comes before 0."""
        begins, whole_s = self._stream.start_time, max(0, self._container.start_time or 0) / 1e6
        return whole_s if begins is None or not self._base else min(whole_s, self._seconds(begins))

    @property
    def opened(self) -> str:
        """What FFmpeg is given to open it, its password filled in."""
        return ffmpeg_name(self.path)

    @staticmethod
    def _refuse(path: Path) -> None:
        try:
            if path.is_dir():
                raise VideoError(f"{path} is a folder")
            if not path.exists():
                raise VideoError(f"no such file: {path}")
        except OSError as err:  # a name that no disk takes
            raise VideoError(f"cannot read {path}: {err.strerror}") from err
        if not path.is_file():  # to open a pipe would wait for ever
            raise VideoError(f"cannot read {path}: it is a pipe or a device, not a file")
        if path.stat().st_size == 0:
            raise VideoError(f"{path} is empty (0 bytes)")

    def _info(self) -> Info:
        stream, codec = self._stream, self._stream.codec_context
        sounds = [s for s in self._container.streams.audio if s.codec_context]
        width = max(1, round(codec.width * _aspect(stream)))
        return Info(
            width,
            codec.height,
            self._fps,
            self._duration(),
            codec.name,
            sounds[0].codec_context.name if sounds else None,
        )

    @property
    def _fps(self) -> float:
        stream = self._stream
        return float(stream.guessed_rate or stream.average_rate or stream.base_rate or 25)

    def _duration(self) -> float | None:
        """How long its video is; of its longest stream, where it does not say that."""
        whole_s = max(0, self._container.duration or 0) / 1e6
        if self._tells_ends:
            whole_s -= self.origin_s
        return self._own_duration() or (whole_s if whole_s > 0 else None)

    @property
    def _tells_ends(self) -> bool:
        """Whether what the file says of durations is when its streams end, by its own clock.

        FFmpeg writes that into these formats, also where the clock begins late: a camera's hours
        cut into files, each with the clock of the whole.
        """
        said = {name.lower(): value for name, value in self._container.metadata.items()}
        written = said.get("encoder", "").startswith("Lavf")
        return written and self._container.format.name in _ENDS

    def _own_duration(self) -> float | None:
        said_s = self._said_duration()
        if said_s and self._tells_ends:
            said_s -= self._seconds(self._stream.start_time or 0)
        return said_s

    def _said_duration(self) -> float | None:
        if self._stream.duration and self._base:
            return self._seconds(self._stream.duration)
        said = self._stream.metadata.get("DURATION", "")  # Matroska: 00:00:02.400000000
        hours, _, rest = said.partition(":")
        minutes, _, seconds = rest.partition(":")
        try:
            return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
        except ValueError:
            return None

    def frames(
        self, span: Span | None = None, place: Place | None = None
    ) -> Iterator[Frame | Hole]:
        """The frames asked for, in the order they are shown, and the holes among them.

        place : where an earlier reading stopped; it is kept up to date, and what comes is the same
            as if that had gone on.
        """
        span, place = span or Span(), place or Place()
        for index, time_s, picture in self._numbered(span, place):
            if time_s >= span.end_s:
                return
            wanted = place.wants(span, index, time_s) or isinstance(picture, _End)
            place.ordered &= not (self.clock.mended or isinstance(picture, str))
            place.index, place.time_s = index + 1, time_s
            if wanted:
                yield self._given(index, time_s, picture)

    def _given(self, index: int, time_s: float, picture: Any) -> Frame | Hole:
        """What is given out for a decoded frame, or for the reason there is none."""
        if isinstance(picture, str):
            return Hole(index, time_s, self.source, picture)
        try:
            rgb = _pixels(picture, self._stream, self._reformatter)
            return Frame(rgb, index, time_s, self.source)
        except VideoError as err:
            return Hole(index, time_s, self.source, str(err))
        except (OSError, ValueError, MemoryError) as err:
            return Hole(index, time_s, self.source, f"cannot be turned to RGB: {reason(err)}")

    def _numbered(self, span: Span, place: Place) -> Iterator[tuple[int, float, Any]]:
        """(index, time, picture or reason) from the place on, or from the start of the span.

        It is found by seeking where that is sure to find the same frames; else by decoding.
        """
        if place.time_s is not None:
            if place.ordered and (found := self._sought(place.time_s)):
                yield from _counted(_after(found, place.time_s), place.index)
            else:
                yield from self._skipped(place.index)
            return
        if span.start_s > _SEEK_MARGIN_S and not (self._untold or image.is_address(str(self.path))):
            counted = self._frames_before(span.start_s)
            if counted and (found := self._sought(span.start_s, counted[1])):
                before = math.nextafter(span.start_s, 0)
                yield from _counted(_after(found, before), counted[0])
                return
            self._reopen()
        yield from _counted(self._timed(), 0)

    def _skipped(self, count: int) -> Iterator[tuple[int, float, Any]]:
        self._reopen()
        for index, time_s, picture in _counted(self._timed(), 0):
            if index >= count:
                yield index, time_s, picture

    def _sought(
        self, time_s: float, reach: int | None = None
    ) -> Iterator[tuple[float, Any]] | None:
        """Frames from some way before a time; None where seeking does not lead there.

        reach : the byte at which that time is, where it is known already.
        """
        import av

        to = time_s + self.origin_s - _SEEK_MARGIN_S
        if time_s <= _SEEK_MARGIN_S or self._untold or image.is_address(str(self.path)):
            return None
        if self.restarts and reach is None:
            self._reopen()
            if not (counted := self._frames_before(time_s)):
                return None
            reach = counted[1]
        self._reopen()
        try:
            self._container.seek(int(to * 1e6))
            if self.restarts and not self._is_before(reach or 0):
                return None
            self._container.seek(int(to * 1e6))
        except (av.FFmpegError, OSError):
            return None
        found = self._timed()
        first = next(found, None)
        if first is None or first[0] > time_s:
            return None
        return _with_first(first, found)

    def _reopen(self) -> None:
        """From the beginning, nothing left of what was decoded."""
        self._container.close()
        self._open()

    def _is_before(self, reach: int) -> bool:
        """Whether what is read next lies before a byte of the file.

        Where a clock may begin anew, a time is there twice, and seeking may lead to the second.
        """
        packet = next(self._packets(), None)
        return packet is not None and packet.pos is not None and packet.pos <= reach

    def _frames_before(self, time_s: float) -> tuple[int, int] | None:
        """How many frames come before a time, and at which byte it is; decodes none.

        None where packets do not say when they are shown (AVI), or by more than one clock, or
        cannot all be read.
        """
        from av import FFmpegError

        count, reach = 0, 0
        clock = Clock(1 / self._fps, self.restarts)
        try:
            for packet in self._packets():
                if packet.pts is None:
                    return None
                stored_s = self._time(packet.dts, 0.0)
                if clock.jumps(stored_s):
                    return None
                clock.time(stored_s)
                count += self._time(packet.pts, 0.0) < time_s
                reach = max(reach, packet.pos or 0)
                if stored_s >= time_s:
                    break
        except (FFmpegError, OSError, IndexError):
            return None
        return count, reach

    def places(self, span: Span, times: Sequence[float]) -> list[Place]:
        """Where a reading stands that has come to each of these times; decodes none.

        [] where only decoding tells (AVI, an address, packets that cannot all be read, a clock
        that begins below zero or anew). They are right as long as nothing before them is damaged:
        whoever reads that far has the place to compare.
        """
        if self._untold or image.is_address(str(self.path)):
            return []
        counted = self._frames_before(math.inf)
        self._reopen()
        shown = self._shown() if counted else []
        self._reopen()
        first = bisect_left(shown, span.start_s)
        if first == len(shown) or shown[0] < 0:
            return []
        found = []
        for time_s in times:
            index = bisect_left(shown, time_s)
            if index <= first:
                return []
            place = Place(index, shown[index - 1], first, shown[first])
            if span.fps is not None:
                passed = shown[index - 1] - shown[first] + _ROUNDING_S
                place.period = math.floor(passed * span.fps)
            found.append(place)
        return found

    def _shown(self) -> list[float]:
        """When the frames of the file are shown, by its packets alone."""
        return sorted(self._time(packet.pts, 0.0) for packet in self._packets())

    def _packets(self) -> Iterator[Any]:
        """Those that hold a frame to be shown (an edit list hides some)."""
        for packet in self._container.demux(self._stream):
            if packet.size and not packet.is_discard:
                yield packet

    def _time(self, pts: int | None, otherwise: float) -> float:
        if pts is None or self._base is None:
            return round(otherwise, _TIME_DIGITS)
        return round(self._seconds(pts) - self.origin_s, _TIME_DIGITS)

    def _seconds(self, ticks: int) -> float:
        """How long so many units of the stream's own clock are; 0 where it does not say."""
        return ticks * self._base.numerator / self._base.denominator if self._base else 0.0

    def _timed(self) -> Iterator[tuple[float, Any]]:
        """(time, picture or reason) in the order they are shown, from where the file stands."""
        for own_s, picture in self._as_told():
            jumps = self.clock.jumps(own_s)
            time_s = self.clock.time(own_s)
            if jumps:
                log.warning(
                    "%s: its clock jumps, as where recordings are put together; times go on from "
                    "%.3f s",
                    self.source,
                    time_s,
                )
            yield time_s, picture

    def _as_told(self) -> Iterator[tuple[float, Any]]:
        """The same at the file's own times."""
        from av import FFmpegError

        lost: list[tuple[float, str]] = []
        inside: list[float] = []  # when the frames in the decoder are shown, where they don't tell
        step, last, end, stopped = 1 / self._fps, -1 / self._fps, 0.0, ""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except IndexError:  # PyAV knows no streams that begin later, and these have packets
                packets = self._container.demux(self._stream)
                continue
            except (FFmpegError, OSError) as err:
                packet, stopped = None, reason(err)
            if packet is not None and not packet.size:
                continue  # an empty one would tell the decoder that this is all
            told = None if packet is None else packet.dts if self._untold else packet.pts
            shown = self._time(told, last + step)
            if packet is not None:
                end = max(end, shown + self._seconds(packet.duration or 0))
            try:
                decoded = self._stream.decode(packet)
            except (FFmpegError, OSError):
                decoded = []
                if packet is not None and not packet.is_discard:
                    heapq.heappush(lost, (shown, _DAMAGED))
            else:
                if self._untold and packet is not None:
                    heapq.heappush(inside, shown)
            for picture in decoded:
                told = None if self._untold else picture.pts
                time_s = heapq.heappop(inside) if inside else self._time(told, last + step)
                while lost and lost[0][0] < time_s:
                    yield heapq.heappop(lost)
                yield time_s, _SMEARED if picture.is_corrupt else picture
                last = time_s
            if packet is None:
                break
        while lost:
            last, damage = heapq.heappop(lost)
            yield last, damage
        if why := f"the file cannot be read on: {stopped}" if stopped else self._cut_off(end):
            yield round(last + step, _TIME_DIGITS), _End(why)

    def _cut_off(self, end_s: float) -> str:
        """What to say of a file that ends before its time; "" of one that does not."""
        said = self._own_duration()
        start = self._time(self._stream.start_time, 0.0)
        if not said or end_s >= start + said - max(0.5, 2 / self._fps):
            return ""
        return f"the file is cut off: it ends after {end_s:.1f} of {start + said:.1f} seconds"


class _End(str):
    """Why a file ends too early: told even where no frame would be asked for."""


def _counted(timed: Iterable[tuple[float, Any]], first: int) -> Iterator[tuple[int, float, Any]]:
    for index, (time_s, picture) in enumerate(timed, first):
        yield index, time_s, picture


def _after(timed: Iterable[tuple[float, Any]], time_s: float) -> Iterator[tuple[float, Any]]:
    return ((at, picture) for at, picture in timed if at > time_s)


def _with_first(first: T, rest: Iterable[T]) -> Iterator[T]:
    yield first
    yield from rest


def _is_cover(stream: Any) -> bool:
    """The picture on a record's sleeve, which FFmpeg takes for a video of one frame."""
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.attached_pic)


def _aspect(stream: Any) -> float:
    """How much wider a pixel is shown than high: 1.42 in some DV."""
    ratio = float(stream.sample_aspect_ratio or 1) or 1.0
    return ratio if abs(ratio - 1) > _SQUARE and 0.1 < ratio < 10 else 1.0


def _pixels(picture: Any, stream: Any, reformatter: Any) -> ImageArray:
    """(H, W, 3) uint8 RGB, upright, with square pixels."""
    width = max(1, round(picture.width * _aspect(stream)))
    _refuse_too_large(width, picture.height, "a frame")
    # One thread: FFmpeg would start and end threads of its own for each frame.
    colored = reformatter.reformat(picture, width, picture.height, "rgb24", threads=1)
    return np.ascontiguousarray(_as_shown(colored.to_ndarray(), picture))


def _refuse_too_large(width: int, height: int, name: str) -> None:
    """Raises VideoError for frames of more than MOST_PIXELS."""
    if width * height > MOST_PIXELS:
        raise VideoError(
            f"{name} has {width} x {height} = {width * height / 1e6:.0f} megapixels, more than the "
            f"{MOST_PIXELS / 1e6:.0f} that mien decodes of a recording; make it smaller first"
        )


def _refuse_too_deep(codec: Any, name: str) -> None:
    """Raises VideoError for frames of more than MOST_BYTES as they are stored."""
    form = codec.format
    if form is None:  # FFmpeg does not know before the first frame
        return
    size = codec.width * codec.height * form.padded_bits_per_pixel // 8
    if size > MOST_BYTES:
        raise VideoError(
            f"a frame of {name} takes {size / 1e6:.0f} MB ({codec.width} x {codec.height} in "
            f"{form.name}), more than the {MOST_BYTES / 1e6:.0f} that mien decodes of a recording; "
            "make it smaller or 8 bits deep first"
        )


def _as_shown(rgb: ImageArray, picture: Any) -> ImageArray:
    """A frame turned and mirrored as its file says: a phone's, or a selfie's.

    The file says it as a matrix, a b c d: what is stored at x y is shown at ax + cy, bx + dy. Of
    matrices between two of the eight that map a picture's sides to each other, the nearer counts.
    """
    matrix = _display_matrix(picture)
    if matrix is None:
        return rgb
    a, b, c, d = matrix
    if abs(a) + abs(d) >= abs(b) + abs(c):
        across, down = a, d
    else:
        rgb, across, down = rgb.swapaxes(0, 1), c, b
    return rgb[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1]


def _display_matrix(picture: Any) -> tuple[int, int, int, int] | None:
    """A frame's a, b, c and d; None where it is shown as it is stored."""
    from av.sidedata.sidedata import SideDataContainer

    # Not picture.side_data: the frame and it keep one another, and with them the frame's memory,
    # until Python's garbage collector comes by.
    try:
        told = [d for d in SideDataContainer(picture) if d.type.name == "DISPLAYMATRIX"]  # type: ignore[call-arg]
    except ValueError:
        # Beside it is what PyAV has no name for, as the EXIF of a camera that films in JPEG: then
        # it gives none out, and tells only how far the frame is turned, counterclockwise.
        turns = round(picture.rotation / 90) % 4
        cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[turns]
        return (cos, -sin, sin, cos) if turns else None
    if not told:
        return None
    a, b, _, c, d, *_ = (int(v) for v in np.frombuffer(bytes(told[0])[:36], np.int32))
    return a, b, c, d


def reason(err: BaseException) -> str:
    """FFmpeg's own words, without its numbers and the file's name again."""
    from av.error import ExitError

    if isinstance(err, ExitError):
        return f"nothing came for {_STALL_S:g} seconds"
    return public(str(getattr(err, "strerror", None) or err or type(err).__name__))
