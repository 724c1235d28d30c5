"""From faces, or from records of them, to what rules need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..face import Face
from ..faces.quality import LOW
from ..results import reading
from ..results.reading import ReadRecord
from .watch import Look, Seen


def of_faces(faces: Sequence[Face]) -> Seen:
    """One frame's faces as ``mien.Analyzer`` gives them; none is a frame with nobody in it."""
    looks = tuple(_of_face(face) for face in faces if (face.picture_quality or 0) >= LOW)
    poor = len(looks) < len(faces)
    return Seen(usable=bool(looks) or not faces, looks=looks, poor=poor)


def _of_face(face: Face) -> Look:
    assert face.emotions is not None, "rules look at faces that were recognised"
    intensity = face.intensity.as_dict() if face.intensity else None
    return Look(face.track, face.emotions.as_dict(), intensity, bool(face.uncertain))


def of_record(record: Any) -> Seen:
    """One record as JSON holds it; raises DataError where it is none.

    Every value that rules look at is checked here: one of an unfit type would end a rule's work in
    the middle of a frame, and no_data would never hear of it.
    """
    return of_read(reading.of_plain(record))


def of_read(record: ReadRecord) -> Seen:
    """One record that was read."""
    if record.status not in ("ok", "no_face", "low_quality"):
        return Seen(usable=False)
    looks = tuple(
        Look(face.track, face.emotions, face.intensity, face.uncertain)
        for face in record.faces
        if face.picture_quality >= LOW
    )
    poor = len(looks) < len(record.faces)
    return Seen(usable=bool(looks) or not record.faces, looks=looks, poor=poor)
