"""Where a person's samples come from: pictures, recordings, and whoever sits before a camera.

A face is taken only where it is well seen (``quality.LOW``) and it is clear whose it is.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np

from .. import geometry
from ..analysis.pipeline import Analyzer
from ..errors import DataError, ImageError, InputError, VideoError
from ..face import Face, Frame, ImageArray
from ..faces import quality
from ..media import image
from ..media.video import Span, Video
from .people import Person, Sample, new_sample

FPS = 3.0
"""Samples a second: Biondi et al. (2019) recorded as many."""
NOBODY, UNSURE, SEVERAL = "no face", "face not well seen", "more than one person"
BEFORE = "taken before"
_DIGITS = 16  # of a file's SHA-256: what tells its content from others'
_AROUND = 2.0  # of the face's box: what is kept, so that any crop can be cut from it
_SIDE = 320  # pixels of what is kept, at most
_BESIDE = 0.5  # of the largest face's side: a larger second one may be the one that is meant


@dataclass(slots=True)
class Taken:
    """What came of some frames: the samples, and how many frames gave none, by reason."""

    samples: list[Sample] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    unreadable: dict[str, str] = field(default_factory=dict)

    def cannot_read(self, name: str, why: str) -> None:
        """Note a file by its name, which another may have, too: both are told."""
        told, count = name, 1
        while told in self.unreadable:
            count += 1
            told = f"{name} ({count})"
        self.unreadable[told] = why


class Taker:
    """Takes samples of one person."""

    def __init__(self, person: Person, analyzer: Analyzer) -> None:
        self.person, self._analyzer = person, analyzer
        self.taken = Taken()

    def take(self, frame: Frame, label: str, stimulus: str) -> Sample | None:
        """Keep the face of a frame; None, and the reason counted, where there is none to keep."""
        found = self.find(frame)
        if isinstance(found, str):
            self.taken.left_out[found] += 1
            return None
        detector = self._analyzer.detector
        if detector is None:
            region, face, framing = frame.rgb, found, 1.0
        else:
            region, face = _region(frame, found)
            framing = detector.framing
        sample = new_sample(label, stimulus, frame, face, framing)
        self.person.add(sample, region)
        self.taken.samples.append(sample)
        return sample

    def find(self, frame: Frame) -> Face | str:
        """The face that is meant, or why there is none."""
        faces = self._analyzer.analyze_frame(frame)
        if not faces:
            return NOBODY
        largest, *others = sorted(faces, key=_side, reverse=True)
        if any(_side(o) > _BESIDE * _side(largest) and _well_seen(o) for o in others):
            return SEVERAL
        return largest if _well_seen(largest) else UNSURE


def _side(face: Face) -> float:
    return float((face.box[2:] - face.box[:2]).max())


def _well_seen(face: Face) -> bool:
    assert face.picture_quality is not None, "faces are recognised"
    return face.picture_quality >= quality.LOW


def _region(frame: Frame, face: Face) -> tuple[ImageArray, Face]:
    """What is around a face, ``_SIDE`` pixels wide at most, and the face in it."""
    around = geometry.square(face.box, _AROUND)
    x0, y0 = np.floor(around[:2]).astype(int)
    x1, y1 = np.ceil(around[2:]).astype(int)
    x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, frame.width), min(y1, frame.height)
    part = frame.rgb[y0:y1, x0:x1]
    scale = min(1.0, _SIDE / max(part.shape[:2]))
    size = max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale))
    if scale < 1:
        part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
    box = (face.box - np.array([x0, y0, x0, y0])) * scale
    points = face.landmarks
    if points is not None:
        points = np.asarray((points + 0.5 - np.array([x0, y0])) * scale - 0.5, np.float32)
    return np.ascontiguousarray(part), replace(
        face, box=np.asarray(box, np.float32), landmarks=points, crop=None
    )


def from_folder(taker: Taker, folder: Path) -> Taken:
    """The pictures and recordings of a folder per label; raises DataError where there are none.

    What cannot be read is told in ``unreadable``. A file that was taken before, by its content, is
    not taken again; a recording in which that was cut off is taken from there.
    """
    samples, begun = taker.person.samples(), taker.person.begun()
    known = {_content(sample.stimulus) for sample in samples}
    times = {sample.time_s for sample in samples if _content(sample.stimulus) == begun}
    passed_over = Counter[str]()
    for label, path in labelled_files(folder, passed_over):
        try:
            stimulus = named(path, folder)
            content = _content(stimulus)
            if content in known - {begun}:
                taker.taken.left_out[BEFORE] += 1
                continue
            if is_recording(path):
                taker.person.begin(content)
            for frame in frames_of(path):
                if content != begun or round(frame.time_s, 3) not in times:
                    taker.take(frame, label, stimulus)
        except (ImageError, VideoError) as err:
            taker.taken.unreadable[str(path.relative_to(folder))] = str(err)
        if is_recording(path):
            taker.person.finish()
    for suffix, count in passed_over.items():
        taker.taken.left_out[f"{suffix} by their names"] += count
    return taker.taken


def from_pictures(
    taker: Taker, label: str, pictures: Sequence[tuple[str, bytes]], shown: str | None = None
) -> Taken:
    """Pictures of one label by the names and bytes of their files; else as ``from_folder``.

    shown : what the person looked at while all of them were taken, a stimulus of its own for each
    label; without it each picture is one.
    """
    stimuli = {sample.stimulus for sample in taker.person.samples()}
    known = {_content(stimulus) for stimulus in stimuli}
    looked = None if shown is None else f"{label}/{shown}#{_digest(shown.encode())}"
    for name, content in pictures:
        digest = _digest(content)
        if looked in stimuli or digest in known:
            taker.taken.left_out[BEFORE] += 1
            continue
        known.add(digest)
        try:
            frame = image.read_frame(content, name)
            taker.take(frame, label, looked or f"{label}/{name}#{digest}")
        except ImageError as err:
            taker.taken.cannot_read(name, str(err))
    return taker.taken


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_DIGITS]


def _content(stimulus: str) -> str:
    """What tells a stimulus from others wherever it lies; see ``named``."""
    return stimulus.rpartition("#")[2]


def labelled_files(folder: Path, passed_over: Counter[str] | None = None) -> list[tuple[str, Path]]:
    """(label, picture or recording) of a folder per label; raises DataError.

    passed_over : is told how many other files there were, as of ``image.find``.
    """
    if not folder.is_dir():
        raise DataError(f"no such folder: {folder}")
    found = []
    for sub in sorted(p for p in folder.iterdir() if p.is_dir() and p.name[0] != "."):
        with suppress(InputError):  # an empty one
            inside = image.find([sub], image.SUFFIXES | image.RECORDINGS, "", passed_over)
            found += [(sub.name, path) for path in inside]
    if not found:
        raise DataError(
            f"{folder} holds no pictures or videos in a folder per emotion: "
            f"{folder.name}/joy/1.jpg, {folder.name}/neutral/a.mp4"
        )
    return found


def named(path: Path, folder: Path) -> str:
    """A file by its name and its content: the same one elsewhere is the same stimulus."""
    return f"{readable(path.relative_to(folder).as_posix())}#{content_hash(path)[:_DIGITS]}"


def readable(name: str) -> str:
    """A file's name as UTF-8 can hold it, whatever its bytes are."""
    return name.encode(errors="backslashreplace").decode()


def content_hash(path: Path) -> str:
    """SHA-256 of a file; raises ImageError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as err:
        raise ImageError(f"cannot read {path}: {err.strerror or err}") from err


def is_recording(path: Path) -> bool:
    return path.suffix.lower() in image.RECORDINGS


def frames_of(path: Path) -> Iterator[Frame]:
    """A picture as one frame; of a recording, ``FPS`` a second, but for those that are damaged.

    Raises ImageError, VideoError.
    """
    if is_recording(path):
        yield from recorded(path, Span(fps=FPS))
    else:
        yield Frame(image.read_file(path), source=str(path))


def recorded(path: Path, span: Span) -> Iterator[Frame]:
    """The frames of a recording that can be decoded; raises VideoError where it cannot be read."""
    with Video(path) as video:
        for item in video.frames(span):
            if isinstance(item, Frame):
                yield item
