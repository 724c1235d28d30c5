"""Pictures as they come: from a camera, a stream, or a recording played at its own speed.

A camera or stream that goes away is asked for again, less and less often, until it is back; each
time it goes is a ``Hole``. A recording ends where it ends.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from ..errors import VideoError
from ..face import Frame, ImageArray
from ..later import ahead
from ..secrecy import public
from . import image
from .video import Hole, Video

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 8.0
"""Before what has gone away is asked for again: at first, and after that twice as long each time
up to the longest, in seconds."""

_MISSES, _MISS_S = 20, 0.1  # a camera may begin, and may stumble, with reads that give nothing
_PAUSE_S = 0.05
_TIME_DIGITS = 6


class Clock(Protocol):
    """Seconds that only rise, and a way to let some pass."""

    def now(self) -> float: ...

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Let them pass, or come back once the event is set; says whether it is."""


class _System:
    def now(self) -> float:
        return time.monotonic()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.wait(seconds)


SYSTEM: Clock = _System()


@dataclass(slots=True)
class Control:
    """What whoever watches asks of a source; from any thread."""

    stop: threading.Event = field(default_factory=threading.Event)
    paused: bool = False


class Source(Protocol):
    """Something to watch; ``name`` is what records and messages call it."""

    name: str

    def frames(self, clock: Clock, control: Control) -> Iterator[Frame | Hole]:
        """Its frames, each when it is there, until it ends or is told to stop.

        Raises VideoError where it does not give a first one.
        """


def source(given: str) -> Source:
    """What a user names: a camera's number or device, a stream's address, or a file.

    Raises VideoError where a file or a stream cannot be opened.
    """
    if given.isdecimal():
        return Camera(int(given))
    if _is_device(given):
        return Camera(given)
    if not image.is_address(given):
        with Video(given):
            pass
        return Played(given)
    with Video(given) as found:
        recorded = found.info.duration_s is not None
    return Played(given) if recorded else Stream(given)


def _is_device(given: str) -> bool:
    try:
        return given.startswith("/dev/") or stat.S_ISCHR(os.stat(given).st_mode)
    except (OSError, ValueError):
        return False


class Played:
    """A recording as if it were a camera: each frame once its time has come.

    path : a file, or the address of one.
    """

    def __init__(self, path: str) -> None:
        self._path, self.name = path, public(path)

    def frames(self, clock: Clock, control: Control) -> Iterator[Frame | Hole]:
        with Video(self._path) as opened, closing(ahead(opened.frames())) as items:
            begun: float | None = None
            for item in items:
                begun = clock.now() - item.time_s if begun is None else begun
                while True:
                    paused_s = clock.now()
                    while control.paused and not clock.wait(control.stop, _PAUSE_S):
                        pass
                    begun += clock.now() - paused_s
                    if clock.wait(control.stop, max(0.0, begun + item.time_s - clock.now())):
                        return
                    if not control.paused:
                        break
                yield item


Pictures = Generator[ImageArray, None, None]


class _Returning:
    """What may go away and come back, its frames numbered and timed from the first on."""

    def __init__(self, name: str) -> None:
        self.name = name

    def _connect(self, clock: Clock, control: Control) -> Pictures:
        """Pictures until it goes away; raises VideoError, which says why."""
        raise NotImplementedError

    def frames(self, clock: Clock, control: Control) -> Iterator[Frame | Hole]:
        index, began, told, wait_s = 0, clock.now(), False, FIRST_WAIT_S
        while not control.stop.is_set():
            try:
                with closing(self._connect(clock, control)) as pictures:
                    for picture in pictures:
                        now = clock.now()
                        began = now if index == 0 else began
                        yield Frame(picture, index, round(now - began, _TIME_DIGITS), self.name)
                        index, told, wait_s = index + 1, False, FIRST_WAIT_S
                if control.stop.is_set():
                    return
                reason = f"{self.name} has ended"
            except VideoError as err:
                reason = str(err)
            if index == 0:
                raise VideoError(reason)
            if not told:
                now = round(clock.now() - began, _TIME_DIGITS)
                yield Hole(index, now, self.name, reason)
                index, told = index + 1, True
            clock.wait(control.stop, wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)


class Stream(_Returning):
    """A live stream: RTSP, HLS, or whatever else FFmpeg opens by an address."""

    def __init__(self, address: str) -> None:
        super().__init__(public(address))
        self._address = address

    def _connect(self, clock: Clock, control: Control) -> Pictures:
        reason = "the stream has ended"
        with Video(self._address) as opened:
            for item in opened.frames():
                if control.stop.is_set():
                    return
                if isinstance(item, Frame):
                    yield item.rgb
                else:
                    reason = item.reason
        raise VideoError(f"{self.name}: {reason}")


class _Device(Protocol):
    """Of ``cv2.VideoCapture``, what is used."""

    def isOpened(self) -> bool: ...  # noqa: N802

    def read(self) -> tuple[bool, ImageArray]:
        """Whether there is a picture, and it, as BGR."""

    def release(self) -> None: ...


class Camera(_Returning):
    """A camera of this machine.

    device : its number, or the path of its device. opener : how it is opened, for tests.
    """

    def __init__(
        self, device: int | str, opener: Callable[[int | str], _Device] | None = None
    ) -> None:
        super().__init__(f"camera {device}" if isinstance(device, int) else device)
        self._device, self._open = device, opener or _opened

    def _connect(self, clock: Clock, control: Control) -> Pictures:
        device, misses = self._open(self._device), 0
        try:
            if not device.isOpened():
                raise VideoError(self._why_not())
            while misses < _MISSES:
                there, picture = device.read()
                if control.stop.is_set():
                    return
                if there and picture.size:
                    misses = 0
                    yield np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
                    continue
                misses += 1
                clock.wait(control.stop, _MISS_S)
        finally:
            device.release()
        raise VideoError(
            f"{self.name} gives no picture: unplugged, covered by its switch, or in use elsewhere?"
        )

    def _why_not(self) -> str:
        """Why it could not be opened, as far as Linux tells; elsewhere that it could not."""
        path = Path(f"/dev/video{self._device}" if isinstance(self._device, int) else self._device)
        if path.exists() and not os.access(path, os.R_OK | os.W_OK):
            return f"no permission to use {self.name} ({path}); join the group it belongs to"
        if path.exists():
            return f"{self.name} cannot be opened: no camera, or in use by another program?"
        others = sorted(str(p) for p in Path("/dev").glob("video*"))
        there = f"there are: {', '.join(others)}" if others else "no camera is plugged in"
        return f"no {self.name}" + (f"; {there}" if os.path.isdir("/dev") else "")


def _opened(device: int | str) -> _Device:
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # it writes across the view
    if isinstance(device, int):
        found = cv2.VideoCapture(device)
    else:
        found = cv2.VideoCapture(device, cv2.CAP_V4L2)
    found.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return found  # type: ignore[return-value]
