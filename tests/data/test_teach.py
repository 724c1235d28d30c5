"""A mesh read as 68 points: exactly where the truth is linear, nearly on real faces."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from mien import geometry
from mien.data import teach
from mien.data.table import Row, Table
from mien.data.teach import FaceMesh, Reading
from mien.errors import DataError, MissingExtra, WeightsMissing
from mien.face import Frame, ImageArray
from mien.faces import landmarks

Points = npt.NDArray[np.float64]

POINTS_OF_MESH = 478
CORNERS = [33, 263]  # outer eye corners of the mesh, right and left
HEAD = np.array([178, 63, 268, 176], np.float32)  # the astronaut's


@pytest.fixture(scope="module")
def mesh(shared: Path) -> FaceMesh:
    """MediaPipe's, where its file and its runtime are."""
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert comes with the train extra")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIEN_MODELS", str(shared / "weights"))
        return FaceMesh()


# -- the regression, on made-up meshes ----------------------------------------------------------


class Made:
    """Meshes that vary in six ways, and points that follow from each by one linear map."""

    def __init__(self) -> None:
        self.draw = np.random.default_rng(0)
        self._mean = self.draw.normal(0, 0.5, (POINTS_OF_MESH, 2))
        self._mean[CORNERS] = [[-0.5, 0], [0.5, 0]]
        self._ways = self.draw.normal(0, 0.2, (6, POINTS_OF_MESH, 2))
        self._ways[:, CORNERS] = 0
        self._map = self.draw.normal(0, 0.02, (2 * POINTS_OF_MESH, 136))
        self._shift = self.draw.normal(0, 0.5, 136)

    def pair(self) -> tuple[Points, Points]:
        """A mesh and its points, in the face's own frame."""
        mesh = self._mean + np.tensordot(self.draw.normal(0, 1, 6), self._ways, 1)
        return mesh, (mesh.ravel() @ self._map + self._shift).reshape(68, 2)

    def moved(self) -> tuple[Points, Points]:
        """The same somewhere in a picture: turned, large or small."""
        return placed(*self.pair(), *self.draw.uniform([-3, 20, 0, 0], [3, 200, 900, 900]))


def placed(
    mesh: Points, points: Points, angle: float, scale: float, x: float, y: float
) -> tuple[Points, Points]:
    turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return mesh @ turn + [x, y], points @ turn + [x, y]


@pytest.fixture(scope="module")
def made() -> Made:
    return Made()


@pytest.fixture(scope="module")
def reading(made: Made) -> Reading:
    pairs = [made.moved() for _ in range(150)]
    return teach.fit([mesh for mesh, _ in pairs], [points for _, points in pairs])


def test_a_linear_map_is_found(made: Made, reading: Reading) -> None:
    """On meshes it never saw, whatever their place, size and turn."""
    for _ in range(20):
        mesh, points = made.moved()
        unit = float(np.linalg.norm(mesh[CORNERS[1]] - mesh[CORNERS[0]]))
        np.testing.assert_allclose(reading.read(mesh), points, atol=2e-3 * unit)


@pytest.mark.parametrize(
    "move", [(0.0, 1.0, 300.0, -20.0), (1.2, 1.0, 0, 0), (0.0, 80.0, 0, 0), (-2.5, 0.01, 7, 9)]
)
def test_a_moved_mesh_has_its_points_moved(
    made: Made, reading: Reading, move: tuple[float, float, float, float]
) -> None:
    mesh, _ = made.pair()
    there, expected = placed(mesh, reading.read(mesh), *move)
    np.testing.assert_allclose(reading.read(there), expected, atol=1e-6 * move[1])


def test_a_mean_mesh_is_read_as_the_mean_points(made: Made) -> None:
    """Nothing varies: all that can be learned is where the points are."""
    mesh, points = made.pair()
    reading = teach.fit([mesh] * 5, [points] * 5)
    np.testing.assert_allclose(reading.read(mesh), points, atol=1e-9)
    assert np.abs(reading.weights).max() < 1e-9


def test_a_face_s_own_frame_has_its_eyes_at_one_place(made: Made) -> None:
    mesh, _ = made.moved()
    own = geometry.transform(teach.geometry_of(mesh), mesh[CORNERS])
    np.testing.assert_allclose(own, [[-0.5, 0], [0.5, 0]], atol=1e-5)


@pytest.mark.parametrize("degrees", [0, 30, -100])
def test_upright_is_about_the_level_box(degrees: float) -> None:
    corners = np.array([[-20, -30], [20, -30], [20, 30], [-20, 30], [0, 5]], float)
    angle = np.radians(degrees)
    turned, _ = placed(corners, corners, float(angle), 1.0, 100, 200)
    middle, side = teach.upright(turned, float(angle))
    np.testing.assert_allclose(middle, [100, 200], atol=1e-6)
    assert side == pytest.approx(60)


def test_too_few_faces_to_fit() -> None:
    class Never(FaceMesh):
        def __init__(self) -> None: ...

    placed = Row("a", "train", "unknown", b"", 9, 9, landmarks=(0.0,) * 136)
    bare = Row("b", "train", "unknown", b"", 9, 9)
    table = Table("made", [placed] * 67 + [bare] * 100)
    with pytest.raises(DataError, match="made has 67 faces with landmarks; too few to fit"):
        teach.fitted(Never(), table)


# -- MediaPipe's mesh ---------------------------------------------------------------------------


def test_without_its_file_it_says_how_to_get_it() -> None:
    with pytest.raises(WeightsMissing, match="mien models pull face-landmarker"):
        FaceMesh()


def test_without_its_runtime_it_says_what_to_install(
    peer_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(MissingExtra, match=r"needs ai-edge-litert.*\[train\]"):
        FaceMesh()


def test_the_mesh_lies_on_the_astronaut(mesh: FaceMesh, astronaut: ImageArray) -> None:
    points, score = mesh.place(astronaut, HEAD)
    assert points.shape == (POINTS_OF_MESH, 2)
    assert score > 0.9
    eyes_and_mouth = points[[33, 133, 362, 263, 61, 291]]
    by_hand = [[196, 101], [210, 101], [239, 104], [255, 104], [203, 141], [244, 142]]
    np.testing.assert_allclose(eyes_and_mouth, by_hand, atol=5)


def test_a_turned_picture_turns_the_mesh(mesh: FaceMesh, astronaut: ImageArray) -> None:
    matrix = np.asarray(cv2.getRotationMatrix2D((223.0, 123.0), -30, 1.0), np.float64)
    turned = np.asarray(cv2.warpAffine(astronaut, matrix, (512, 512)), np.uint8)
    expected = geometry.transform(matrix, mesh.place(astronaut, HEAD)[0])
    found, _ = mesh.place(turned, HEAD)
    assert np.linalg.norm(found - expected, axis=1).mean() < 2


@pytest.mark.parametrize("level", [0, 128, 255])
def test_the_mesh_sees_no_face_in_one_colour(mesh: FaceMesh, level: int) -> None:
    blank = np.full((100, 100, 3), level, np.uint8)
    assert mesh.place(blank, np.array([0, 0, 100, 100], np.float32))[1] < 0.5


@pytest.fixture(scope="module")
def learned(mesh: FaceMesh, w300_table: Table) -> Reading:
    """From every eighth of 300-W's training faces."""
    train = w300_table.of_split("train")
    return teach.fitted(mesh, train.keep(i % 8 == 0 for i in range(len(train))))


def test_what_it_reads_is_near_what_people_placed(
    mesh: FaceMesh, learned: Reading, w300_table: Table
) -> None:
    few = w300_table.of_split("test")
    few = few.keep(i % 11 == 0 for i in range(len(few)))
    errors = []
    for row, picture in zip(few.rows, few.pictures(), strict=True):
        by_hand = np.array(row.landmarks, np.float32).reshape(68, 2)
        found, _ = mesh.place(picture, landmarks.bounds(by_hand))
        off = np.linalg.norm(learned.read(found) - by_hand, axis=1).mean()
        errors.append(off / landmarks.interocular(by_hand))
    assert np.mean(errors) < 0.06


# -- teaching a table ---------------------------------------------------------------------------


def png(rgb: ImageArray) -> bytes:
    return cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1].tobytes()


@pytest.fixture(scope="module")
def crops(portrait: Frame) -> Table:
    """The astronaut's face three times, once called none; and two pictures that are none."""
    head = portrait.rgb[63:176, 172:285]
    noise = np.random.default_rng(0).integers(0, 256, (113, 113, 3), np.uint8)
    gray = np.full((113, 113, 3), 128, np.uint8)
    votes = {"votes": (3.0, 7.0), "subject": "Eileen"}

    def row(name: str, label: str, rgb: ImageArray, **more: object) -> Row:
        return Row(name, "Training", label, png(rgb), 113, 113, **more)  # type: ignore[arg-type]

    rows = [
        row("smile", "happiness", head, **votes),
        row("denied", "not_a_face", head),
        row("noise", "anger", noise),
        row("gray", "fear", gray),
        row("mirrored", "neutral", np.ascontiguousarray(head[:, ::-1])),
    ]
    return Table("made", rows, ("neutral", "happiness"), {"terms": "none"})


def test_faces_get_landmarks_and_the_rest_is_left_out(
    mesh: FaceMesh, learned: Reading, crops: Table
) -> None:
    taught = teach.teach(crops, mesh, learned)
    assert [row.id for row in taught.rows] == ["smile", "mirrored"]
    assert {row.split for row in taught.rows} == {"taught"}
    assert taught.name == "made-taught"
    assert taught.notes == {"terms": "none", "rows": 5, "without_face": 3}
    assert taught.vote_labels == ()
    smile = taught.rows[0]
    assert (smile.label, smile.votes, smile.subject) == ("happiness", None, "Eileen")
    assert smile.image == crops.rows[0].image
    points = np.array(smile.landmarks, np.float32).reshape(68, 2) + np.array([172, 63])
    eyes = landmarks.eye_centres(np.asarray(points, np.float32))
    np.testing.assert_allclose(eyes, [[202, 101], [246, 103]], atol=6)
    corners = points[[landmarks.RIGHT_MOUTH_CORNER, landmarks.LEFT_MOUTH_CORNER]]
    np.testing.assert_allclose(corners, [[202, 140], [245, 141]], atol=5)
    assert crops.rows[0].landmarks is None


def test_the_mirrored_face_is_taught_the_mirrored_points(
    mesh: FaceMesh, learned: Reading, crops: Table
) -> None:
    smile, mirrored = (
        np.array(row.landmarks).reshape(68, 2) for row in teach.teach(crops, mesh, learned).rows
    )
    back = np.stack([112 - mirrored[:, 0], mirrored[:, 1]], 1)[landmarks.MIRROR]
    assert np.linalg.norm(back - smile, axis=1).mean() < 3
