"""How far Python's faces and the browser package's agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mien import geometry
from mien.face import ImageArray, RecognizedFace
from mien.media import image

from .node import values

_SAME = 0.9  # intersection over union from which two boxes are of the same face

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of several pictures.

    faces : how many Python found. same_faces : the share of pictures with as many faces in the
    browser, each where Python's is. same_top : of the faces found by both, the share with the same
    likeliest expression. The others are the largest difference of each of those faces: landmarks
    in pixels where the face's box is 128 pixels long.
    """

    faces: int
    same_faces: float
    same_top: float
    landmarks_at_128: Values
    probabilities: Values
    intensities: Values


def photographs(folder: Path, count: int) -> list[ImageArray]:
    """Some from all over a folder."""
    files = sorted(folder.rglob("*.jpg"))
    chosen = np.linspace(0, len(files) - 1, count).astype(int)
    return [image.read(files[i]) for i in chosen]


def agreement(
    read: Sequence[Sequence[RecognizedFace]], found: Sequence[Sequence[Mapping[str, Any]]]
) -> Agreement:
    """Of what Python read in pictures, and what the package found in the same."""
    same, both = 0, list[tuple[RecognizedFace, Mapping[str, Any]]]()
    for faces, theirs in zip(read, found, strict=True):
        pairs = _pairs(faces, theirs)
        same += len(pairs) == len(faces) == len(theirs)
        both += pairs
    labels = both[0][0].emotions.label_set.labels
    probs = [np.abs(values(t["emotions"], labels) - f.emotions.probs).max() for f, t in both]
    strengths = [
        np.abs(values(t["intensity"], labels) - f.intensity.values).max()
        for f, t in both
        if f.intensity and t["intensity"]
    ]
    return Agreement(
        faces=sum(map(len, read)),
        same_faces=same / len(read),
        same_top=float(np.mean([t["top"] == f.emotions.top[0] for f, t in both])),
        landmarks_at_128=np.array([_apart(f, t) for f, t in both]),
        probabilities=np.array(probs),
        intensities=np.array(strengths),
    )


def _pairs(
    faces: Sequence[RecognizedFace], theirs: Sequence[Mapping[str, Any]]
) -> list[tuple[RecognizedFace, Mapping[str, Any]]]:
    """The faces that both found."""
    boxes = np.array([t["box"] for t in theirs], np.float32).reshape(-1, 4)
    found = []
    for face in faces:
        overlap = geometry.iou(face.box, boxes)
        if len(overlap) and overlap.max() >= _SAME:
            found.append((face, theirs[int(overlap.argmax())]))
    return found


def _apart(face: RecognizedFace, theirs: Mapping[str, Any]) -> float:
    """How far the landmark is off that is farthest off, in pixels of a face of 128."""
    assert face.landmarks is not None
    apart = np.reshape(theirs["landmarks"], (68, 2)) - face.landmarks
    side = float((face.box[2:] - face.box[:2]).max())
    return float(np.hypot(apart[:, 0], apart[:, 1]).max()) / side * 128
