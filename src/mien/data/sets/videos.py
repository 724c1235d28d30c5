"""A folder of videos of one's own: ``<label>/<subject>_*.mp4``, or ``<subject>/<label>/*.mp4``.

Frames are taken at a rate and named after their video and their own timestamp in it, in seconds:
``happy/ann_02.mp4#t=1.240`` (as in the W3C's media fragments). The sequence of a frame is its
video, so that a split can keep a recording together.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2

from ...errors import VideoError
from ...face import Frame
from ...media.video import SUFFIXES, Hole, Span, Video
from ..table import Row, Table
from . import Importer
from .collection import Collection
from .folder import label_folders

LAYOUT = "<label>/<subject>_*.mp4 or <subject>/<label>/*.mp4"
FPS = 5.0
_JPEG_QUALITY = 95


def frames(path: Path, fps: float) -> Iterator[Frame | Hole]:
    """The first frame in each span of 1 / ``fps`` seconds; see ``mien.media.video``.

    Raises VideoError where the video cannot be decoded.
    """
    with Video(path) as video:
        yield from video.frames(Span(fps=fps))


def add_frames(collection: Collection, file: Path, fps: float, label: str, **more: Any) -> None:
    """A video's frames as rows, JPEG of quality 95; a damaged video keeps what can be decoded."""
    video = collection.relative(file)
    try:
        for frame in frames(file, fps):
            if isinstance(frame, Hole):
                collection.unreadable[video] = frame.reason
                continue
            quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
            jpeg = cv2.imencode(".jpg", frame.rgb[:, :, ::-1], quality)[1].tobytes()
            name = f"{video}#t={frame.time_s:.3f}"
            row_id = f"{collection.name}/{name}"
            row = Row(row_id, "all", label, jpeg, frame.width, frame.height, source=name, **more)
            collection.rows.append(row)
    except VideoError as err:
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


def videos() -> Importer:
    return Importer(read_videos, LAYOUT, "your own", read_videos)
