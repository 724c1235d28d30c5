"""Landmarks for pictures that have none: MediaPipe's face mesh, read as iBUG's 68 points.

Twelve hundred faces with points placed by hand are few to train on. MediaPipe's mesh (Kartynnik et
al. 2019, arXiv:1907.06724) sees any face, but knows other points, and its jaw is not where iBUG's
annotators drew it. A ridge regression from mesh to points, fitted on the faces that have both,
makes it a teacher.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from .. import geometry
from ..errors import DataError, MissingExtra
from ..face import FloatArray, ImageArray
from ..faces.landmarks import POINTS, bounds
from ..labels import NOT_EMOTIONS
from ..weights import catalogue
from .table import Row, Table

TAUGHT = "taught"
_SIDE = 256  # the mesh's input
_FRAMING = 1.5  # of the face's box; the mesh's own convention
_RIGHT_EYE, _LEFT_EYE = 33, 263  # the outer corners in the mesh
_LEAST_SCORE = 0.5  # the mesh's own face-or-not answer, after the logistic
_RIDGE = 0.1  # of .001 to 3 the best in five folds of the 300-W training faces

Mesh = npt.NDArray[np.float64]


class FaceMesh:
    """MediaPipe's mesh; raises WeightsMissing or MissingExtra."""

    def __init__(self) -> None:
        _, content = catalogue.read(catalogue.spec("face-landmarker"))
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError:
            raise MissingExtra("ai-edge-litert", "train", "teaching landmarks") from None
        model = zipfile.ZipFile(BytesIO(content)).read("face_landmarks_detector.tflite")
        self._net = Interpreter(model_content=model)
        self._net.allocate_tensors()
        self._input = self._net.get_input_details()[0]["index"]
        outputs = self._net.get_output_details()
        self._points, self._score = outputs[0]["index"], outputs[1]["index"]

    def place(self, picture: ImageArray, box: FloatArray) -> tuple[Mesh, float]:
        """478 points x y in pixels of the picture and a score in [0, 1], for the face in a box.

        It looks twice: the second time at a square turned level by what the first saw.
        """
        side = _FRAMING * float((box[2:] - box[:2]).max())
        first, _ = self._look(picture, (box[:2] + box[2:]) / 2, side, 0.0)
        across = first[_LEFT_EYE] - first[_RIGHT_EYE]
        roll = float(np.arctan2(across[1], across[0]))
        centre, side = upright(first, roll)
        return self._look(picture, centre, _FRAMING * side, roll)

    def _look(
        self, picture: ImageArray, centre: npt.NDArray[Any], side: float, roll: float
    ) -> tuple[Mesh, float]:
        matrix = geometry.turned_square(centre, max(side, 1.0), roll, _SIDE)
        crop = cv2.warpAffine(picture, matrix, (_SIDE, _SIDE), borderMode=cv2.BORDER_REPLICATE)
        self._net.set_tensor(self._input, np.asarray(crop, np.float32)[None] / 255)
        self._net.invoke()
        points = self._net.get_tensor(self._points).reshape(-1, 3)[:, :2]
        score = 1 / (1 + np.exp(-float(self._net.get_tensor(self._score).ravel()[0])))
        return _into(geometry.inverse(matrix), points), score


@dataclass(frozen=True, slots=True)
class Reading:
    """How a mesh is read as 68 points: ``weights`` (956, 136) from ``mesh_mean``, ``points_mean``.

    Both sides stand in the face's own frame: the middle of the mesh's outer eye corners is the
    origin and their distance the unit, so that place, size and turn need not be learned.
    """

    mesh_mean: Mesh
    points_mean: Mesh
    weights: Mesh

    def read(self, mesh: Mesh) -> Mesh:
        """(68, 2) in pixels of the picture, from a mesh (478, 2) in pixels."""
        own = geometry_of(mesh)
        flat = (_into(own, mesh).ravel() - self.mesh_mean) @ self.weights + self.points_mean
        return flat.reshape(POINTS, 2) @ np.linalg.inv(own[:, :2]).T + _origin(mesh)


def geometry_of(mesh: Mesh) -> geometry.Matrix:
    """The (2, 3) matrix from pixels to the face's own frame."""
    across = mesh[_LEFT_EYE] - mesh[_RIGHT_EYE]
    turn = np.array([[across[0], across[1]], [-across[1], across[0]]]) / (across @ across)
    return np.column_stack([turn, -turn @ _origin(mesh)])


def upright(mesh: Mesh, roll: float) -> tuple[Mesh, float]:
    """Middle (2,) and longer side of the box around points once they are turned level."""
    level = geometry.turned_square(np.zeros(2), 1.0, roll, 1)
    turned = _into(level, mesh)
    low, high = turned.min(axis=0), turned.max(axis=0)
    return _into(geometry.inverse(level), (low + high) / 2), float((high - low).max())


def _origin(mesh: Mesh) -> Mesh:
    return np.asarray((mesh[_LEFT_EYE] + mesh[_RIGHT_EYE]) / 2)


def _into(matrix: geometry.Matrix, points: Mesh) -> Mesh:
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])


def fit(meshes: list[Mesh], points: list[Mesh]) -> Reading:
    """The ridge regression from meshes (478, 2) to the points (68, 2) placed on the same faces."""
    frames = [geometry_of(mesh) for mesh in meshes]
    x = np.stack([_into(f, mesh).ravel() for f, mesh in zip(frames, meshes, strict=True)])
    y = np.stack([_into(f, placed).ravel() for f, placed in zip(frames, points, strict=True)])
    mesh_mean, points_mean = x.mean(axis=0), y.mean(axis=0)
    x, y = x - mesh_mean, y - points_mean
    learned = np.linalg.solve(x.T @ x + _RIDGE * np.eye(x.shape[1]), x.T @ y)
    return Reading(mesh_mean, points_mean, learned)


def fitted(mesh: FaceMesh, pointed: Table) -> Reading:
    """The reading learned from a table whose rows carry landmarks."""
    pointed = pointed.keep(row.landmarks is not None for row in pointed.rows)
    if len(pointed) < POINTS:
        raise DataError(f"{pointed.name} has {len(pointed)} faces with landmarks; too few to fit")
    points = [np.array(row.landmarks).reshape(POINTS, 2) for row in pointed.rows]
    meshes = [
        mesh.place(picture, bounds(placed.astype(np.float32)))[0]
        for picture, placed in zip(pointed.pictures(), points, strict=True)
    ]
    return fit(meshes, points)


def teach(table: Table, mesh: FaceMesh, reading: Reading) -> Table:
    """The rows of a table of face crops in which the mesh sees a face, with landmarks.

    Each picture is taken for one face that fills it. What is labelled no face is left out. The
    split becomes "taught", so that nobody takes these points for a person's.
    """
    rows = list(_taught(table, mesh, reading))
    notes = {**table.notes, "rows": len(table), "without_face": len(table) - len(rows)}
    return Table(f"{table.name}-taught", rows, notes=notes)


def _taught(table: Table, mesh: FaceMesh, reading: Reading) -> Iterator[Row]:
    for row, picture in zip(table.rows, table.pictures(), strict=True):
        if row.label in NOT_EMOTIONS:
            continue
        whole = np.array([0, 0, row.width, row.height], np.float32)
        # The mesh expects a margin of a quarter around the face; the crop is the face.
        inner = geometry.square(whole, 1 / 1.25)
        placed, score = mesh.place(picture, inner)
        if score >= _LEAST_SCORE:
            points = tuple(float(v) for v in reading.read(placed).ravel())
            yield replace(row, split=TAUGHT, votes=None, landmarks=points)
