"""Records as other tools write them, so that what reads those tools' files reads mien's.

=========== ==========================================================================
pyfeat      CSV of py-feat 0.5 and later: boxes as x y width height, ``x_0`` .. ``y_67``, seven
            emotions, a row of NaN for a frame without a face; read by ``feat.utils.io.read_feat``
openface    CSV of OpenFace 2: 714 columns, frames from 1, ``success`` 0 or 1, poses in radians;
            the model's labels follow, which OpenFace has none of
deepface    JSON lines: for each frame the list that ``DeepFace.analyze`` returns, in percent
bids        continuous recording of BIDS (``*_physio.tsv.gz`` and its JSON): no header, a row a
            frame, ``n/a`` where there is no value
=========== ==========================================================================

What mien does not measure (action units, gaze, the third dimension) is NaN; so is py-feat's pose,
whose axes and signs are of its own network. Tools without contempt get the other probabilities
brought to a sum of 1.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from ..errors import ConfigError, OutputError
from ..files import write
from ..labels import LabelSet, label_set
from .records import Record

_POINTS = range(68)
_RIGHT_EYE, _LEFT_EYE = range(36, 42), range(42, 48)
_NAN = "NaN"


class _Table:
    """Rows of CSV, one for each face or one for a frame without any; on the disk at once."""

    columns: list[str]

    def __init__(self, labels: tuple[str, ...]) -> None:
        self._labels = labels
        self._stream: IO[bytes]

    def start(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._put([dict(zip(self.columns, self.columns, strict=True))])

    def go_on(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def write(self, record: Record) -> None:
        faces = record["faces"]
        rows = [self.row(record, face, number) for number, face in enumerate(faces)]
        self._put(rows or [self.empty(record)])

    def row(self, record: Record, face: Record, number: int) -> Record:
        raise NotImplementedError

    def empty(self, record: Record) -> Record:
        raise NotImplementedError

    def _put(self, rows: Sequence[Record]) -> None:
        text = io.StringIO(newline="")
        out = csv.DictWriter(text, self.columns, restval=_NAN, lineterminator="\n")
        out.writerows(rows)
        self._stream.write(text.getvalue().encode())
        self._stream.flush()

    def close(self) -> None:
        pass


def _named(face: Record, theirs: LabelSet) -> dict[str, float]:
    """Probabilities under another tool's names, summing to 1 over what that tool knows."""
    kept = [face["emotions"].get(label, math.nan) for label in theirs.labels]
    total = sum(p for p in kept if not math.isnan(p))
    shares = (p / total if total > 0 else math.nan for p in kept)
    return dict(zip(theirs.native, shares, strict=True))


def _points(face: Record, x: str = "x_", y: str = "y_") -> dict[str, float]:
    points = face["landmarks"] or []
    return {f"{name}{i}": p[axis] for i, p in enumerate(points) for axis, name in ((0, x), (1, y))}


_PYFEAT_UNITS = (
    *("AU01", "AU02", "AU04", "AU05", "AU06", "AU07", "AU09", "AU10", "AU11", "AU12", "AU14"),
    *("AU15", "AU17", "AU20", "AU23", "AU24", "AU25", "AU26", "AU28", "AU43"),
)


class PyFeat(_Table):
    """py-feat's ``Fex``; ``Identity`` numbers the tracks, ``approx_time`` is MM:SS as there."""

    _EMOTIONS = label_set("pyfeat1")
    columns = [  # noqa: RUF012  (never changed)
        *("frame", "FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight", "FaceScore"),
        *(f"x_{i}" for i in _POINTS),
        *(f"y_{i}" for i in _POINTS),
        *_PYFEAT_UNITS,
        *("Pitch", "Roll", "Yaw"),
        *_EMOTIONS.native,
        *("input", "approx_time", "Identity"),
    ]

    def empty(self, record: Record) -> Record:
        whole = int(record["time_s"])
        time = f"{whole // 60:02d}:{whole % 60:02d}"
        head = {"frame": record["frame"], "input": record["source"], "approx_time": time}
        return head | {"Identity": ""}

    def row(self, record: Record, face: Record, number: int) -> Record:
        x0, y0, x1, y1 = face["box"]
        box = {
            "FaceRectX": x0,
            "FaceRectY": y0,
            "FaceRectWidth": round(x1 - x0, 2),
            "FaceRectHeight": round(y1 - y0, 2),
            "FaceScore": face["score"],
        }
        who = {"Identity": f"Person_{_number(face, number)}"}
        return self.empty(record) | box | _points(face) | _named(face, self._EMOTIONS) | who


def _number(face: Record, number: int) -> int:
    """From 0: of its track, or of its place in the frame."""
    return number if face["track"] is None else int(face["track"]) - 1


def _openface_columns() -> Iterator[str]:
    yield from ("frame", "face_id", "timestamp", "confidence", "success")
    yield from (f"gaze_{eye}_{axis}" for eye in (0, 1) for axis in "xyz")
    yield from ("gaze_angle_x", "gaze_angle_y")
    yield from (f"eye_lmk_{axis}_{i}" for axis in "xyXYZ" for i in range(56))
    yield from (f"pose_{kind}{axis}" for kind in "TR" for axis in "xyz")
    yield from (f"{axis}_{i}" for axis in "xyXYZ" for i in _POINTS)
    yield from ("p_scale", "p_rx", "p_ry", "p_rz", "p_tx", "p_ty")
    yield from (f"p_{i}" for i in range(34))
    units = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26)
    yield from (f"AU{unit:02d}_r" for unit in (*units, 45))
    yield from (f"AU{unit:02d}_c" for unit in (*units, 28, 45))


class OpenFace(_Table):
    """OpenFace 2's ``FeatureExtraction``: x right, y down, z away from the camera.

    A head that looks down turns by a positive ``pose_Rx``; one that turns to the subject's right,
    by a positive ``pose_Ry``; clockwise in the picture is a positive ``pose_Rz``.
    """

    def __init__(self, labels: tuple[str, ...]) -> None:
        super().__init__(labels)
        self.columns = [*_openface_columns(), *labels]
        if taken := sorted({*labels} & {*_openface_columns()}):
            raise ConfigError(
                f"OpenFace calls a column of its own {', '.join(taken)}, as this model does a "
                "label; take another --format"
            )

    def empty(self, record: Record) -> Record:
        return {
            "frame": record["frame"] + 1,
            "face_id": 0,
            "timestamp": record["time_s"],
            "confidence": 0,
            "success": 0,
        }

    def row(self, record: Record, face: Record, number: int) -> Record:
        seen = {
            "face_id": _number(face, number),
            "confidence": face["picture_quality"],
            "success": 1,
        }
        quality = face["quality"]
        pose = {"x": ("pitch", -1), "y": ("yaw", -1), "z": ("roll", 1)}
        for axis, (name, sign) in pose.items():
            if (angle := quality[f"{name}_rad"]) is not None:
                seen[f"pose_R{axis}"] = sign * angle
        emotions: Record = face["emotions"]
        return self.empty(record) | seen | _points(face) | emotions


class DeepFace:
    """A line for each frame: the list of its faces, empty for a frame without any."""

    _EMOTIONS = label_set("deepface")

    def __init__(self, labels: tuple[str, ...]) -> None:
        self._stream: IO[bytes]

    def start(self, stream: IO[bytes]) -> None:
        self._stream = stream

    go_on = start

    def write(self, record: Record) -> None:
        faces = [self._face(face) for face in record["faces"]]
        self._stream.write((json.dumps(faces, allow_nan=False) + "\n").encode())
        self._stream.flush()

    def _face(self, face: Record) -> dict[str, Any]:
        shares = _named(face, self._EMOTIONS)
        known = {label: 100 * p for label, p in shares.items() if not math.isnan(p)}
        x0, y0, x1, y1 = (round(v) for v in face["box"])
        return {
            "emotion": known,
            "dominant_emotion": max(known, key=lambda label: known[label]) if known else None,
            "region": {
                "x": x0,
                "y": y0,
                "w": x1 - x0,
                "h": y1 - y0,
                "left_eye": _middle(face, _LEFT_EYE),
                "right_eye": _middle(face, _RIGHT_EYE),
            },
            "face_confidence": round(face["score"], 2),
        }

    def close(self) -> None:
        pass


def _middle(face: Record, eye: range) -> list[int] | None:
    """The middle of an eye, the subject's own left or right; None without landmarks."""
    points = face["landmarks"]
    if points is None:
        return None
    return [round(sum(points[i][axis] for i in eye) / len(eye)) for axis in (0, 1)]


class Bids:
    """One recording's first face (of the lowest track), a row a frame, and the sidecar beside it.

    The gaps and the changing rate that a recording may have are in ``timestamp``; BIDS's
    ``SamplingFrequency`` is the mean.
    """

    _ROWS = 500

    def __init__(self, labels: tuple[str, ...]) -> None:
        self._labels = labels
        self._columns = ["timestamp", "n_faces", "face", "picture_quality", *labels]
        self._stream: IO[bytes] | None = None
        self._rows: list[str] = []
        self._times: tuple[float, float] | None = None
        self._count, self._source = 0, ""

    def start(self, stream: IO[bytes]) -> None:
        self._stream = stream

    go_on = start

    def write(self, record: Record) -> None:
        if self._source and record["source"] != self._source:
            raise OutputError(
                f"a BIDS file holds one recording, {self._source}; give {record['source']} its own"
            )
        self._source = record["source"]
        time, faces = record["time_s"], record["faces"]
        self._times = (self._times[0] if self._times else time, time)
        self._count += 1
        cells: list[Any] = [time, len(faces)]
        if faces:
            face = min(faces, key=lambda face: face["track"] or 0)
            cells += [face["track"] or 1, face["picture_quality"]]
            cells += [face["emotions"][label] for label in self._labels]
        cells += ["n/a"] * (len(self._columns) - len(cells))
        self._rows.append("\t".join(map(str, cells)) + "\n")
        if len(self._rows) >= self._ROWS:
            self._flush()

    def _flush(self) -> None:
        assert self._stream
        text = "".join(self._rows).encode()
        plain = str(self._stream.name).removesuffix(".part").endswith(".tsv")
        self._stream.write(text if plain else gzip.compress(text, mtime=0))
        self._rows.clear()

    def close(self) -> None:
        if self._stream is None:
            return
        if self._rows:
            self._flush()
        name = str(self._stream.name).removesuffix(".part")  # until it is whole
        sidecar = Path(name.removesuffix(".gz").removesuffix(".tsv") + ".json")
        write(sidecar, (json.dumps(self._sidecar(), indent=2) + "\n").encode())

    def _sidecar(self) -> dict[str, Any]:
        first, last = self._times or (0.0, 0.0)
        rate = (self._count - 1) / (last - first) if last > first else 0.0
        share = "probability that the face shows it, 0 to 1; all of them sum to 1"
        return {
            "SamplingFrequency": round(rate, 3),  # times have six digits
            "StartTime": first,
            "Columns": self._columns,
            "timestamp": {"Description": "time of the frame in the recording", "Units": "s"},
            "n_faces": {"Description": "how many faces are in the frame"},
            "face": {"Description": "number of the face, the same while it is seen"},
            "picture_quality": {"Description": "how good the picture of the face is, 0 to 1"},
            **{label: {"Description": share} for label in self._labels},
        }
