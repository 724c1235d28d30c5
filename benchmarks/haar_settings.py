"""Step and neighbours of the Haar search: faces found, false alarms and time.

LFW's pictures get a margin (their border repeated) and count as found where a box lies around
their middle; of the 300-W pictures (HELEN, AFW: ``*.pts`` beside each) a box must hold the middle
of the inner landmarks. Pictures without people are scikit-image's.

    python benchmarks/haar_settings.py lfw.parquet 300W_FOLDER
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer
from detection import WITHOUT_PEOPLE
from skimage import data as pictures

from mien import provenance
from mien.data import table
from mien.face import Frame
from mien.faces import detect
from mien.faces.detectors import haar
from mien.media import image

SETTINGS = ((1.1, 3), (1.15, 3), (1.15, 2), (1.2, 3), (1.2, 2))
LFW, LANDMARKED, PAD, SEED = 400, 300, 0.5, 1
Sample = tuple[Frame, "np.ndarray[Any, Any]"]  # a picture and the middle of its face


def padded(path: Path) -> Iterator[Sample]:
    faces = table.read(path)
    chosen = set(np.random.default_rng(SEED).choice(len(faces), LFW, replace=False).tolist())
    for picture in faces.keep(i in chosen for i in range(len(faces))).pictures():
        m = round(PAD * picture.shape[0])
        wide = cv2.copyMakeBorder(picture, m, m, m, m, cv2.BORDER_REPLICATE)
        yield Frame(np.asarray(wide, np.uint8)), np.array([wide.shape[1] / 2, wide.shape[0] / 2])


def landmarked(folder: Path) -> Iterator[Sample]:
    files = sorted(p for p in folder.glob("*.pts") if p.name.startswith(("helen", "afw")))
    for i in np.random.default_rng(SEED).choice(len(files), LANDMARKED, replace=False):
        lines = files[i].read_text().splitlines()[3:71]
        points = np.array([[float(v) for v in line.split()] for line in lines]) - 1
        yield Frame(image.read_file(files[i].with_suffix(".png"))), points[17:].mean(axis=0)


def measure(samples: list[Sample]) -> dict[str, Any]:
    detector, found, false = detect.build("haar"), 0, 0
    for frame, middle in samples:
        boxes = [face.box for face in detector.detect(frame)]
        hit = any((b[:2] < middle).all() and (middle < b[2:]).all() for b in boxes)
        found += hit
        false += len(boxes) - hit
    return {"recall": round(found / len(samples), 4), "false_alarms": false}


def main(
    lfw: Path,
    landmarks: Path,
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/haar_settings.json"),
) -> None:
    cv2.setNumThreads(1)
    sets = {"lfw": list(padded(lfw)), "helen_afw": list(landmarked(landmarks))}
    nobody = [Frame(image.from_array(getattr(pictures, name)())) for name in WITHOUT_PEOPLE]
    result: dict[str, Any] = {**provenance.environment(), "in_use": [haar._STEP, haar._NEIGHBOURS]}
    for haar._STEP, haar._NEIGHBOURS in SETTINGS:
        started = time.process_time()
        row: dict[str, Any] = {name: measure(samples) for name, samples in sets.items()}
        alone = detect.build("haar")
        row["false_alarms_without_people"] = sum(len(alone.detect(f)) for f in nobody)
        row["cpu_s"] = round(time.process_time() - started, 2)
        result[f"step {haar._STEP}, {haar._NEIGHBOURS} neighbours"] = row
    out.write_text(json.dumps(result, indent=2) + "\n")
    typer.echo(json.dumps(result, indent=2))


if __name__ == "__main__":
    typer.run(main)
