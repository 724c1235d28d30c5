"""A folder of videos of one's own: ``<label>/<subject>_*.mp4``, or ``<subject>/<label>/*.mp4``.

Frames are taken at a rate and named after their video and their own timestamp in it, in seconds:
``happy/ann_02.mp4#t=1.240`` (as in the W3C's media fragments). The sequence of a frame is its
video, so that a split can keep a recording together.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..errors import ImageError, MissingExtra
from ..face import ImageArray
from ..table import Row, Table
from . import Importer, importers
from .collection import Collection
from .folder import label_folders

LAYOUT = "<label>/<subject>_*.mp4 or <subject>/<label>/*.mp4"
SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv"})
FPS = 5.0
_JPEG_QUALITY = 95
_ROUNDING_S = 0.001  # Matroska keeps whole milliseconds


def _pyav() -> Any:
    try:
        import av
    except ImportError:
        raise MissingExtra("av", "train", "reading videos") from None
    return av


def frames(path: Path, fps: float) -> Iterator[tuple[float, ImageArray]]:
    """(time in seconds, picture) of the first frame in each span of 1 / ``fps`` seconds.

    The time is the frame's own in the file, so that a video of changing rate stays true; the
    picture is upright RGB, (H, W, 3) uint8. Raises ImageError where the video, or the rest of it,
    cannot be decoded.
    """
    av = _pyav()
    if not path.is_file():
        raise ImageError(f"{path} is no file")  # to open a pipe would wait for ever
    start, last = None, -1
    try:
        with av.open(str(path)) as video:
            if not video.streams.video:
                raise ImageError(f"{path} holds no video")
            for frame in video.decode(video=0):
                if frame.time is None:
                    continue
                start = frame.time if start is None else start
                span = math.floor((frame.time - start + _ROUNDING_S) * fps)
                if span > last:
                    last = span
                    pixels = np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90)
                    yield frame.time, np.ascontiguousarray(pixels)
    except (av.FFmpegError, OSError) as err:
        raise ImageError(f"cannot read {path}: {err}") from err
    if last < 0:
        raise ImageError(f"{path} holds no frames with a time")


def add_frames(collection: Collection, file: Path, fps: float, label: str, **more: Any) -> None:
    """A video's frames as rows, JPEG of quality 95; a video that breaks off keeps what came."""
    video = collection.relative(file)
    try:
        for time, pixels in frames(file, fps):
            quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
            jpeg = cv2.imencode(".jpg", pixels[:, :, ::-1], quality)[1].tobytes()
            height, width = pixels.shape[:2]
            name = f"{video}#t={time:.3f}"
            row_id = f"{collection.name}/{name}"
            row = Row(row_id, "all", label, jpeg, width, height, source=name, **more)
            collection.rows.append(row)
    except ImageError as err:
        collection.unreadable[video] = str(err)


def read_videos(path: Path, fps: float = FPS) -> Table:
    """Frames of every video under folders named after labels; the notes list what was left out.

    A video directly under its label is of the subject before the first ``_`` of its name; without
    one, nobody knows whose it is.
    """
    collection = Collection(path.resolve().name, path)
    for person, label, folder in label_folders(collection):
        for file in collection.files(folder, SUFFIXES):
            before, mark, _ = file.stem.partition("_")
            subject = person or (before if mark else None)
            sequence = collection.relative(file.with_suffix(""))
            add_frames(collection, file, fps, label, subject=subject, sequence=sequence)
    return collection.table(LAYOUT, {"fps": fps})


@importers.register("videos")
def videos() -> Importer:
    return Importer(read_videos, LAYOUT, "your own", read_videos)
