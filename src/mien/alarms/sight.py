"""From faces, or from records of them, to what rules need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import DataError
from ..face import Face
from ..faces.quality import LOW
from .watch import Look, Seen


def of_faces(faces: Sequence[Face]) -> Seen:
    """One frame's faces as ``mien.Analyzer`` gives them; none is a frame with nobody in it."""
    looks = tuple(_of_face(face) for face in faces if (face.confidence or 0) >= LOW)
    poor = len(looks) < len(faces)
    return Seen(usable=bool(looks) or not faces, looks=looks, poor=poor)


def _of_face(face: Face) -> Look:
    assert face.emotions is not None, "rules look at faces that were recognised"
    intensity = None
    if face.intensity is not None:
        labels = face.emotions.label_set.labels
        intensity = dict(zip(labels, map(float, face.intensity), strict=True))
    return Look(face.track, face.emotions.as_dict(), intensity, bool(face.uncertain))


def of_record(record: Any) -> Seen:
    """One record of ``mien.results.records``; raises DataError where it is none."""
    try:
        if record["schema"] != "mien/1":
            raise DataError(f"a record of mien has schema mien/1, got {record['schema']!r}")
        if record["status"] not in ("ok", "no_face", "low_quality"):
            return Seen(usable=False)
        faces = record["faces"]
        looks = tuple(
            Look(face["track"], face["emotions"], face["intensity"], face["uncertain"])
            for face in faces
            if face["confidence"] >= LOW
        )
    except (KeyError, TypeError) as err:
        raise DataError(f"no record of mien: {type(err).__name__} {err}") from None
    return Seen(usable=bool(looks) or not faces, looks=looks, poor=len(looks) < len(faces))
