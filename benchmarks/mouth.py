"""Where a mouth crop comes out, and whether it holds the mouth: landmarks against the cascade.

    python benchmarks/mouth.py lfw.parquet taught-lfw.parquet --sheet mouths.png

LFW's crops get a margin (their border repeated). ``mouth`` is the default chain and the lips'
landmarks; ``mouth-haar`` is what Biondi et al. did, Haar's face and the mouth cascade in its lower
half; ``mouth-haar in the given crop`` spares it the search for the face. The taught table says
where MediaPipe's mesh sees the lips: a crop is right if it holds all twenty points (``inside``), or
at least their middle. A contact sheet shows faces: look at it, do not publish it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer

from mien import geometry, provenance
from mien.data import table
from mien.face import Crop, Face, FloatArray, Frame, ImageArray
from mien.faces import align, detect
from mien.faces.landmarks import MOUTH, POINTS
from mien.faces.mouth import HaarMouth

PAD = 0.5
SIZE = 64
SLACK = 0.05  # of the crop's side: two networks do not put a point on the same pixel
Find = Callable[[Frame, FloatArray], Crop | None]  # frame and the given crop's box -> mouth


def by_landmarks() -> Find:
    detector = detect.build("mien")

    def find(frame: Frame, given: FloatArray) -> Crop | None:
        faces = detector.detect(frame)
        points = faces[0].landmarks if faces else None
        return None if points is None else align.mouth(points, SIZE)

    return find


def by_cascade(search: bool) -> Find:
    detector, cascade = detect.build("haar"), HaarMouth()

    def find(frame: Frame, given: FloatArray) -> Crop | None:
        faces = detector.detect(frame) if search else [Face(given, 1.0)]
        box = cascade.find(frame, faces[0]) if faces else None
        return None if box is None else align.box(box, 1.0)

    return find


def measure(find: Find, faces: table.Table, lips: dict[str, FloatArray]) -> dict[str, Any]:
    out = known = inside = middle = 0
    cut: list[ImageArray] = []
    for row, picture in zip(faces.rows, faces.pictures(), strict=True):
        pad = round(PAD * len(picture))
        wide = cv2.copyMakeBorder(picture, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
        frame = Frame(np.asarray(wide, np.uint8))
        given = np.array([pad, pad, pad + row.width, pad + row.height], np.float32)
        crop = find(frame, given)
        if crop is None:
            continue
        out += 1
        cut.append(np.asarray(cv2.resize(align.cut(frame, crop), (SIZE, SIZE)), np.uint8))
        if row.id in lips:
            known += 1
            places = geometry.transform(crop.matrix, lips[row.id] + pad) / crop.size
            inside += bool(((places > -SLACK) & (places < 1 + SLACK)).all())
            centre = places.mean(axis=0)
            middle += bool(((centre > 0) & (centre < 1)).all())
    return {
        "pictures": len(faces),
        "crops": out,
        "coverage": round(out / len(faces), 4),
        "with_known_lips": known,
        "all_points_inside": round(inside / known, 4),
        "middle_inside": round(middle / known, 4),
        "sheet": cut,
    }


def sheet(cut: list[ImageArray], across: int = 40, down: int = 20) -> ImageArray:
    chosen = np.random.default_rng(1).permutation(len(cut))[: across * down]
    tiles = [cut[i] for i in chosen]
    return np.vstack([np.hstack(tiles[i * across : (i + 1) * across]) for i in range(down)])


def main(
    lfw: Path,
    taught: Path,
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/mouth.json"),
    sheets: Annotated[Path | None, typer.Option(help="A folder for contact sheets.")] = None,
) -> None:
    lips = {
        row.id: np.array(row.landmarks, np.float32).reshape(POINTS, 2)[MOUTH]
        for row in table.read(taught).rows
    }
    ways = {
        "mouth": by_landmarks(),
        "mouth-haar": by_cascade(search=True),
        "mouth-haar in the given crop": by_cascade(search=False),
    }
    result: dict[str, Any] = provenance.environment() | {"pad": PAD, "ways": {}}
    for name, find in ways.items():
        found = measure(find, table.read(lfw), lips)
        cut = found.pop("sheet")
        result["ways"][name] = found
        if sheets:
            picture = cv2.cvtColor(sheet(cut), cv2.COLOR_RGB2BGR)
            cv2.imwrite(str(sheets / f"{name.replace(' ', '-')}.png"), picture)
    out.write_text(json.dumps(result, indent=2) + "\n")
    typer.echo(json.dumps(result["ways"], indent=2))


if __name__ == "__main__":
    typer.run(main)
