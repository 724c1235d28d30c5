"""The table of ``mien.faces.pose``: a rigid face in three dimensions, from points in pictures.

Every face of the table, and its mirror image, is taken for the same symmetric shape seen from far
away (scaled orthography). Poses and shape are fitted in turn, each by least squares, until the
shape stands still: structure from motion (Tomasi and Kanade 1992), the scene being people.

    mien data import 300w 300W_FOLDER 300w.parquet
    python benchmarks/pose_table.py 300w.parquet
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer

from mien import provenance
from mien.data import table
from mien.faces import pose
from mien.faces.landmarks import MIRROR, POINTS

Array = npt.NDArray[np.float64]
ROUNDS = 300
# A first guess, in distances of the outer eye corners: the nose stands out, the eyes lie back.
OUT = {**dict.fromkeys(range(27, 36), -0.3), **dict.fromkeys(range(36, 48), 0.1)}


def placed(path: Path) -> Array:
    """The rigid points of every training face about their mean and of one size, (N, 13, 2)."""
    rows = [row for row in table.read(path).rows if row.split == "train" and row.landmarks]
    points = np.array([row.landmarks for row in rows]).reshape(-1, POINTS, 2)[:, pose.RIGID]
    points = points - points.mean(axis=1, keepdims=True)
    return np.asarray(points / np.sqrt((points**2).sum(axis=(1, 2), keepdims=True)))


def views(shape: Array, points: Array) -> Array:
    """Scale times rotation of every face, (N, 2, 3)."""
    u, s, vt = np.linalg.svd(
        np.einsum("npi,kp->nik", points, np.linalg.pinv(shape)), full_matrices=False
    )
    return np.asarray(s.mean(axis=1)[:, None, None] * (u @ vt))


def fit(points: Array) -> tuple[Array, float]:
    """The shape (13, 3), outer eye corners at (+-.5, 0, 0), and the mean distance left of it."""
    flip = [pose.RIGID.index(int(MIRROR[i])) for i in pose.RIGID]
    both = np.concatenate([points, points[:, flip] * [-1, 1]])
    shape = np.column_stack([both.mean(axis=0), [OUT[i] for i in pose.RIGID]])
    for _ in range(ROUNDS):
        shape = shape - shape.mean(axis=0)
        seen = views(shape, both)
        shape = np.einsum("nji,npj->pi", seen, both) @ np.linalg.inv(
            np.einsum("nji,njk->ik", seen, seen)
        )
        shape = (shape + shape[flip] * [-1, 1, 1]) / 2
    shape = shape - shape.mean(axis=0)
    left = np.linalg.norm(points - np.einsum("nij,pj->npi", views(shape, points), shape), axis=2)
    corners = shape[[pose.RIGID.index(36), pose.RIGID.index(45)]]
    across = float(np.linalg.norm(corners[1] - corners[0]))
    scale = np.sqrt((views(shape, points) ** 2).sum(axis=(1, 2)) / 2)
    return (shape - corners.mean(axis=0)) / across, float((left / scale[:, None]).mean() / across)


def pitch(shape: Array, points: Array) -> Array:
    """Each face's pitch in radians, about the shape's own zero."""
    seen = views(shape - shape.mean(axis=0), points)
    seen = seen / np.sqrt((seen**2).sum(axis=2, keepdims=True))
    forward = np.cross(seen[:, 0], seen[:, 1])
    return np.asarray(np.arctan2(-forward[:, 1], forward[:, 2]))


def nodded(shape: Array, angle: float) -> Array:
    """The shape turned about the line of the eyes, upwards for a positive angle."""
    c, s = np.cos(angle), np.sin(angle)
    return np.asarray(shape @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]]))


def main(
    faces: Path, out: Annotated[Path, typer.Option()] = Path("benchmarks/results/pose_table.json")
) -> None:
    points = placed(faces)
    shape, left = fit(points)
    shape = nodded(shape, float(np.median(pitch(shape, points))))  # zero is how people mostly look
    result: dict[str, Any] = {
        **provenance.environment(),
        "faces": len(points),
        "mean_distance_in_eye_corner_distances": round(left, 4),
        "median_pitch_rad": round(float(np.median(pitch(shape, points))), 4),
        "table": dict(zip(map(str, pose.RIGID), (shape.round(3) + 0.0).tolist(), strict=True)),
    }
    out.write_text(json.dumps(result, indent=2) + "\n")
    typer.echo(json.dumps(result, indent=2))


if __name__ == "__main__":
    typer.run(main)
