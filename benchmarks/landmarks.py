"""The landmark network against its teacher and face-api.js's network, on HELEN's test part.

    python benchmarks/landmarks.py 300w.parquet

The error is the mean distance of the 68 points over the distance between the outer corners of the
eyes; a face with more than a tenth is a failure. Every network gets the square its makers say
around the box of the hand-placed points, and ours and face-api's also what a detector finds. Times
are of one thread, one face at a time, sampling included.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import onnxruntime as ort
import typer

from mien import geometry, provenance
from mien.data import table, teach
from mien.errors import WeightsMissing
from mien.face import Crop, FloatArray, Frame
from mien.faces import align, detect
from mien.faces.landmarker import Landmarker, squares
from mien.faces.landmarks import POINTS, bounds, interocular
from mien.media import preprocess
from mien.weights import catalogue

FAILURE = 0.1
_FACE_API = preprocess.Preprocess(112, "rgb")
_FACE_API_FRAMING = 1.15  # of the longer side of a detector's box
Place = Callable[[Frame, FloatArray], FloatArray]  # frame and box (4,) -> points (68, 2)


def face_api() -> Place:
    """face-api.js's 68 points, as weights/README gives its input."""
    _, content = catalogue.read(catalogue.spec("face-api-landmarks"))
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def place(frame: Frame, box: FloatArray) -> FloatArray:
        square = geometry.square(box, _FACE_API_FRAMING)
        centre, side = (square[:2] + square[2:]) / 2 - 0.5, float(square[2] - square[0])
        crop = Crop(geometry.turned_square(centre, side, 0.0, _FACE_API.size), _FACE_API.size)
        x = preprocess.batch([align.cut(frame, crop)], _FACE_API)
        # Its shares of the crop count whole pixels, not their edges: half a pixel costs it .6 %.
        points = session.run(None, {name: x})[0].reshape(POINTS, 2) * _FACE_API.size
        return geometry.transform(geometry.inverse(crop.matrix), points)

    return place


def ours(looks: int) -> Place:
    landmarker = Landmarker(threads=1)

    def place(frame: Frame, box: FloatArray) -> FloatArray:
        if looks == 1:
            placed = landmarker.look(frame, squares(box[None]), [0.0])
        else:
            placed = landmarker.place(frame, box[None])
        return np.asarray(placed.points[0], np.float32)

    return place


def teacher(by_hand: table.Table) -> Place:
    mesh = teach.FaceMesh()
    reading = teach.fitted(mesh, by_hand)
    return lambda frame, box: np.asarray(reading.read(mesh.place(frame.rgb, box)[0]), np.float32)


def score(place: Place, faces: table.Table, boxes: list[FloatArray | None]) -> dict[str, Any]:
    """Errors over inter-ocular distance; None boxes are faces a detector missed."""
    errors, times = [], []
    for row, picture, box in zip(faces.rows, faces.pictures(), boxes, strict=True):
        if box is None:
            continue
        frame = Frame(picture)
        wanted = np.array(row.landmarks, np.float32).reshape(POINTS, 2)
        started = time.perf_counter()
        points = place(frame, box)
        times.append(time.perf_counter() - started)
        off = np.linalg.norm(points - wanted, axis=1).mean()
        errors.append(float(off) / interocular(wanted))
    random = np.random.default_rng(1)
    means = [float(np.mean(random.choice(errors, len(errors)))) for _ in range(1000)]
    return {
        "faces": len(errors),
        "missed": sum(box is None for box in boxes),
        "mean_error": round(float(np.mean(errors)), 5),
        "mean_error_ci95": [round(float(v), 5) for v in np.quantile(means, [0.025, 0.975])],
        "median_error": round(float(np.median(errors)), 5),
        "failure_rate": round(float(np.mean(np.array(errors) > FAILURE)), 5),
        "median_ms": round(1000 * statistics.median(times), 3),
    }


def found_by(name: str, faces: table.Table) -> list[FloatArray | None]:
    detector = detect.build(name)
    found = [detector.detect(Frame(picture)) for picture in faces.pictures()]
    return [f[0].box if f else None for f in found]


def by_chain(faces: table.Table) -> dict[str, Any]:
    """What the default chain says, detector and landmarks together."""
    detector = detect.build("mien")
    known = {}
    boxes: list[FloatArray | None] = []
    for i, picture in enumerate(faces.pictures()):
        found = detector.detect(Frame(picture))
        boxes.append(np.array([i, i, i + 1, i + 1], np.float32) if found else None)
        known[i] = found[0].landmarks if found else None
    result = score(lambda _, box: np.asarray(known[int(box[0])]), faces, boxes)
    del result["median_ms"]  # the detector has done it all before
    return result


def frames_of(windows: Callable[[Frame], FloatArray], faces: table.Table) -> dict[str, Any]:
    """Where the landmarks' box lies in a detector's own: side and drop, in shares of its side."""
    sides, drops = [], []
    for row, picture in zip(faces.rows, faces.pictures(), strict=True):
        wanted = bounds(np.array(row.landmarks, np.float32).reshape(POINTS, 2))
        for box in windows(Frame(picture)):
            square = geometry.square(box, 1.0)
            if geometry.iou(geometry.square(wanted, 1.1), square[None])[0] > 0.3:
                side = float(square[2] - square[0])
                sides.append(float((wanted[2:] - wanted[:2]).max()) / side)
                drops.append(float((wanted[1::2].mean() - square[1::2].mean()) / side))
    quantiles = {"side": sides, "drop": drops}
    return {
        k: [round(float(q), 3) for q in np.quantile(v, [0.05, 0.5, 0.95])]
        for k, v in quantiles.items()
    }


def main(
    path: Path,
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/landmarks.json"),
) -> None:
    cv2.setNumThreads(1)
    by_hand = table.read(path)
    train, test = by_hand.of_split("train"), by_hand.of_split("test")
    given: list[FloatArray | None] = [
        bounds(np.array(row.landmarks, np.float32).reshape(POINTS, 2)) for row in test.rows
    ]
    haar = detect.build("haar")
    result: dict[str, Any] = provenance.environment() | {"failure": FAILURE}
    result["given_box"] = {
        "ours": score(ours(2), test, given),
        "ours_one_look": score(ours(1), test, given),
    }
    result["found_by_chain"] = {"ours": by_chain(test)}
    result["framing"] = {
        "haar": frames_of(
            lambda f: np.array([x.box for x in haar.detect(f)], np.float32).reshape(-1, 4), train
        )
    }
    try:
        result["given_box"] |= {
            "face-api": score(face_api(), test, given),
            "teacher": score(teacher(train), test, given),
        }
        yunet = found_by("yunet", test)
        result["found_by_yunet"] = {"face-api": score(face_api(), test, yunet)}
    except WeightsMissing as err:
        typer.echo(f"left out: {err}", err=True)
    out.write_text(json.dumps(result, indent=2) + "\n")
    typer.echo(json.dumps(result, indent=2))


if __name__ == "__main__":
    typer.run(main)
