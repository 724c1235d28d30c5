"""Where each detector's box lies on the training pictures, and what detector scores mean.

FER2013's pictures are what the default model was trained on, so a user's crop should show what
they show. Every select-split picture is enlarged, its border repeated around it, and searched;
from the box found and the picture's known frame follows the factor ``framing`` of a detector.
Scores are compared between those faces and what is found in pictures without people.

    python benchmarks/framing.py ferplus.parquet
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer
from detection import WITHOUT_PEOPLE
from skimage import data as pictures

from mien import provenance
from mien.data import table
from mien.errors import WeightsMissing
from mien.face import Frame
from mien.faces import detect
from mien.media import image

SIDE, MARGIN, ROWS = 144, 72, 1000


def measure(name: str, faces: table.Table) -> dict[str, Any]:
    detector = detect.build(name)
    factors, shifts, scores = [], [], []
    for picture in faces.pictures():
        big = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        wide = cv2.copyMakeBorder(big, MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_REPLICATE)
        found = detector.detect(Frame(np.asarray(wide, np.uint8)))
        if not found:
            continue
        box = found[0].box
        side = float((box[2:] - box[:2]).max())
        factors.append(SIDE / side)
        shifts.append(((box[:2] + box[2:]) / 2 - (MARGIN + SIDE / 2)) / side)
        scores.append(found[0].score)
    false = [
        face.score
        for picture in WITHOUT_PEOPLE
        for face in detector.detect(Frame(image.from_array(getattr(pictures, picture)())))
    ]
    return {
        "framing_in_use": detector.framing,
        "faces": len(faces),
        "found": len(factors),
        "picture_side_over_box_side": quantiles(factors),
        "shift_right": quantiles([s[0] for s in shifts]),
        "shift_down": quantiles([s[1] for s in shifts]),
        "scores_of_faces": quantiles(scores),
        "false_alarms_in_pictures_without_people": sorted(round(s, 3) for s in false),
    }


def quantiles(values: list[float]) -> dict[str, float]:
    points = (5, 25, 50, 75, 95)
    return {f"p{p}": round(float(np.percentile(values, p)), 4) for p in points}


def main(
    ferplus: Path,
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/framing.json"),
) -> None:
    faces = table.read(ferplus).of_split("PublicTest")
    faces = faces.keep(i < ROWS for i in range(len(faces)))
    result: dict[str, Any] = {**provenance.environment(), "detectors": {}}
    for name in detect.detectors:
        try:
            result["detectors"][name] = measure(name, faces)
        except WeightsMissing as err:
            result["detectors"][name] = str(err)
    out.write_text(json.dumps(result, indent=2) + "\n")
    typer.echo(json.dumps(result["detectors"], indent=2))


if __name__ == "__main__":
    typer.run(main)
