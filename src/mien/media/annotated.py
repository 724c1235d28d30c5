"""The annotated copy of a recording: H.264 at the frames' own times, with the sound it had.

Frames are compressed as they come into ``<copy>.part``, which a killed run goes on with; once all
are there they are put into the copy beside the sound, whose packets are taken over as they are. So
a copy under its own name is always whole.
"""

from __future__ import annotations

import heapq
import math
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..errors import OutputError
from ..face import Face, Frame, ImageArray
from . import draw
from .video import Clock, Video, ffmpeg_name, reason

_BASE = Fraction(1, 90_000)  # seconds of a tick
_HEAD = struct.Struct("<qI?")  # time in ticks, bytes, whether decoding can begin there
_PACKET_S = 0.1  # of sound, at the most
_LEAST = 16  # pixels of a side, as encoders have it
_SIGNED = "annotated by mien"
# Nothing is held back: a frame is in the file when its record is.
_OPTIONS = {"preset": "veryfast", "crf": "20", "tune": "zerolatency", "g": "60"}
_IN_MP4 = frozenset({"aac", "mp3", "mp3float", "mp2", "mp2float", "ac3", "eac3", "opus", "alac"})


def suffix(audio: str | None) -> str:
    """What holds a copy with such sound: MP4 where it can, else Matroska."""
    return ".mp4" if audio is None or audio in _IN_MP4 else ".mkv"


def is_ours(path: Path) -> bool:
    """Whether a file is such a copy, or an empty one, and may be replaced by another."""
    import av

    if path.is_file() and path.stat().st_size == 0:
        return True

    try:
        with av.open(ffmpeg_name(path)) as file:
            said = {key.lower(): value for key, value in file.metadata.items()}
            return said.get("comment") == _SIGNED
    except (av.FFmpegError, OSError):
        return False


class Copy:
    """A copy that is being made; a context manager.

    path : without its suffix, which the sound decides. begun : how many bytes of the frames an
    earlier run has left. shown : what else is drawn.
    """

    def __init__(
        self, path: Path, source: Video, begun: int = 0, shown: tuple[str, ...] = ()
    ) -> None:
        self.path = path.with_name(path.name + suffix(source.info.audio))
        self._source, self._shown = source, shown
        self._part = self.path.with_name(self.path.name + ".part")
        self._encoder: Any = None
        self._last = -1
        try:
            self._file = self._part.open("r+b" if begun else "wb")
            self._file.truncate(begun)
            self._file.seek(begun)
        except OSError as err:
            raise OutputError(f"cannot write {self._part}: {err.strerror}") from err

    def __enter__(self) -> Copy:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # told already, by add()
            self._file.close()

    @property
    def bytes(self) -> int:
        """How much of the frames is written."""
        return self._file.tell()

    def add(self, frame: Frame, faces: Sequence[Face]) -> None:
        """Draw the faces on a frame and append it; raises OutputError."""
        ticks = max(round(frame.time_s / _BASE), self._last + 1)  # less than a tick apart
        self._last = ticks
        rgb = (
            draw.annotate(frame, faces, **dict.fromkeys(self._shown, True)) if faces else frame.rgb
        )
        self._encode(rgb, ticks)

    def _encode(self, rgb: ImageArray, ticks: int) -> None:
        import av

        rgb = _even(rgb)
        if self._encoder is None:
            self._encoder = _encoder(rgb.shape[1], rgb.shape[0])
        size = self._encoder.width, self._encoder.height
        if rgb.shape[1::-1] != size:
            rgb = _into(rgb, *size)
        picture = av.VideoFrame.from_ndarray(rgb, format="rgb24")
        picture.pts, picture.time_base = ticks, _BASE
        try:
            for packet in self._encoder.encode(picture):
                content = bytes(packet)
                self._file.write(_HEAD.pack(packet.pts, len(content), packet.is_keyframe))
                self._file.write(content)
            self._file.flush()
        except OSError as err:
            raise OutputError(f"cannot write {self._part}: {reason(err)}") from err

    def finish(self) -> None:
        """Put frames and sound together; raises OutputError. Nothing, where there is no frame."""
        import av

        new = self.path.with_name(self.path.name + ".new" + self.path.suffix)
        try:
            self._file.close()
            if self._part.stat().st_size:
                self._put_together(new)
                os.replace(new, self.path)
            self._part.unlink()
        except (av.FFmpegError, OSError) as err:
            new.unlink(missing_ok=True)
            raise OutputError(f"cannot write {self.path}: {reason(err)}") from err

    def _put_together(self, new: Path) -> None:
        import av

        first, last, size = _extent(self._part)
        with (
            av.open(ffmpeg_name(new), "w", options={"movflags": "faststart"}) as out,
            av.open(self._source.opened, metadata_errors="replace") as file,
        ):
            out.metadata["comment"] = _SIGNED
            video: Any = out.add_stream("libx264", options=_OPTIONS)
            video.width, video.height = size
            video.pix_fmt, video.time_base = "yuv420p", _BASE
            sounds = [s for s in file.streams.audio if s.codec_context]
            copied = out.add_stream_from_template(sounds[0]) if sounds else None
            streams = [_frames(self._part, video, first)]
            if copied is not None:
                span = float(first * _BASE), float(last * _BASE) + 1.0
                streams.append(_sound(file, sounds[0], copied, self._source, *span))
            for _, _, packet in heapq.merge(*streams, key=lambda timed: timed[:2]):
                out.mux(packet)


def _encoder(width: int, height: int) -> Any:
    import av

    try:
        encoder: Any = av.CodecContext.create("libx264", "w")
    except av.FFmpegError as err:  # a build of one's own
        raise OutputError(f"this PyAV cannot write H.264: {reason(err)}") from err
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.options = _BASE, _OPTIONS
    return encoder


def _even(rgb: ImageArray) -> ImageArray:
    """A picture of even sides that is not too small, its last pixels repeated where it was not."""
    height, width = rgb.shape[:2]
    more = [max(_LEAST, side + side % 2) - side for side in (height, width)]
    if not any(more):
        return np.ascontiguousarray(rgb)
    return np.pad(rgb, ((0, more[0]), (0, more[1]), (0, 0)), mode="edge")


def _into(rgb: ImageArray, width: int, height: int) -> ImageArray:
    """A frame of another size in the middle of the copy, with bars where its shape is another."""
    scale = min(width / rgb.shape[1], height / rgb.shape[0])
    size = max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale))
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    out = np.zeros((height, width, 3), np.uint8)
    out[top : top + size[1], left : left + size[0]] = cv2.resize(rgb, size)
    return out


def _packets(part: Path) -> Iterator[tuple[int, bool, bytes]]:
    """(time in ticks, whether decoding can begin there, content) of each frame."""
    with part.open("rb") as file:
        while head := file.read(_HEAD.size):
            ticks, size, is_key = _HEAD.unpack(head)
            yield ticks, is_key, file.read(size)


def _extent(part: Path) -> tuple[int, int, tuple[int, int]]:
    """First and last time in ticks, and width and height."""
    import av

    first, last, size = None, 0, (0, 0)
    for ticks, _, content in _packets(part):
        if first is None:
            first = ticks
            (picture,) = _decoded(av.CodecContext.create("h264", "r"), content)
            size = picture.width, picture.height
        last = ticks
    return first or 0, last, size


def _decoded(decoder: Any, content: bytes) -> list[Any]:
    import av

    return [*decoder.decode(av.Packet(content)), *decoder.decode(None)]


Timed = tuple[float, int, Any]


def _frames(part: Path, stream: Any, first: int) -> Iterator[Timed]:
    import av

    for ticks, is_key, content in _packets(part):
        packet = av.Packet(content)
        packet.pts = packet.dts = ticks - _shift(first)
        packet.time_base, packet.stream, packet.is_keyframe = _BASE, stream, is_key
        yield float(packet.pts * _BASE), 0, packet


def _shift(first: int) -> int:
    """What a copy of a part from the middle is moved by, so that it begins at once.

    A recording whose first frame comes a little after its sound keeps that.
    """
    return first if first * _BASE > 1 else 0


def _sound(
    file: Any, stream: Any, copied: Any, source: Video, first_s: float, last_s: float
) -> Iterator[Timed]:
    """The packets of a sound from the first frame to the last, moved as the frames are."""
    base, clock, jumps = stream.time_base, Clock(_PACKET_S, source.restarts), 0
    begin, ahead_s, last = first_s if first_s > 1 else 0.0, 0.0, -math.inf
    if begin and not source.clock.mended:
        file.seek(int((begin + source.origin_s) * 1e6))
    for packet in file.demux(stream):
        if packet.dts is None or packet.pts is None or not packet.size:
            continue
        told_s = float(packet.pts * base) - source.origin_s
        if clock.jumps(told_s):  # the frames have jumped there, too
            ahead_s = source.clock.ahead_s[jumps] if jumps < len(source.clock.ahead_s) else ahead_s
            jumps += 1
        clock.time(told_s)
        time_s = told_s + ahead_s
        if time_s <= last or (begin and time_s < begin):
            continue
        if time_s > last_s:
            return
        last = time_s
        moved = round((begin + source.origin_s - ahead_s) / base)
        packet.pts, packet.dts = packet.pts - moved, packet.dts - moved
        packet.stream = copied
        yield time_s - begin, 1, packet
