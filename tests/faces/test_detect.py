"""The detectors' contract, one loop over the registry; then what is each one's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from skimage import data as pictures

from mien import geometry
from mien.errors import ModelError, UnknownName, WeightsMissing
from mien.face import Face, FloatArray, Frame, ImageArray
from mien.faces import detect
from mien.faces.detect import FaceDetector
from mien.faces.detectors.mien import looks
from mien.faces.landmarker import Landmarker, Placed
from mien.faces.proposals import Proposer
from mien.media import image

YUNET = "face_detection_yunet_2023mar.onnx"
ASTRONAUT = np.array([178, 63, 268, 176], np.float32)
# How far an edge may move, in shares of the box's longer side, when the picture is resized. Haar's
# window grows in steps of 10 %, so it can miss by one.
TOLERANCE = {"haar": 0.12, "mien": 0.09}

NEEDS = {"yunet": "peer_models"}
"""Detector -> the fixture that brings its file; the others come with mien's dependencies."""


@pytest.fixture(params=list(detect.detectors))
def detector(request: pytest.FixtureRequest) -> FaceDetector:
    if request.param in NEEDS:
        request.getfixturevalue(NEEDS[request.param])
    return detect.build(request.param)


@pytest.fixture
def people(shared: Path) -> Frame:
    """Five smiling people."""
    return Frame(image.read_file(shared / "data" / "media" / "multi_face.jpg"))


def gray(level: int, width: int, height: int) -> ImageArray:
    return np.full((height, width, 3), level, np.uint8)


def noise(width: int, height: int) -> ImageArray:
    draw = np.random.default_rng(width + height)
    return draw.integers(0, 256, (height, width, 3)).astype(np.uint8)


def resized(rgb: ImageArray, factor: float) -> ImageArray:
    how = cv2.INTER_CUBIC if factor > 1 else cv2.INTER_AREA
    return np.asarray(cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=how), np.uint8)


def only(faces: list[Face]) -> FloatArray:
    """The box of the one face there is."""
    assert len(faces) == 1
    return faces[0].box


def held(faces: list[Face], frame: Frame) -> None:
    """What every detector promises."""
    scores = [face.score for face in faces]
    assert scores == sorted(scores, reverse=True)
    for face in faces:
        assert 0 <= face.score <= 1
        assert face.box.dtype == np.float32
        assert (face.box >= 0).all()
        assert (face.box[2:] <= [frame.width, frame.height]).all()
        assert (face.box[2:] - face.box[:2] >= 1).all()
        if face.landmarks is not None:
            assert face.landmarks.shape == (68, 2)
            assert face.landmarks.dtype == np.float32
            assert np.isfinite(face.landmarks).all()
        assert face.crop is None
        assert face.emotions is None


# -- the contract -------------------------------------------------------------------------------

EMPTY = {
    "black": gray(0, 640, 480),
    "white": gray(255, 480, 640),
    "one colour": gray(0, 200, 200) + np.array([200, 150, 120], np.uint8),
    "noise": noise(640, 480),
    "one black pixel": gray(0, 1, 1),
    "one white pixel": gray(255, 1, 1),
    "two pixels": noise(2, 1),
    "a small square": noise(15, 15),
    "30,000 wide": gray(0, 30_000, 40),
    "30,000 high": gray(0, 40, 30_000),
    "30,000 wide, noise": noise(30_000, 40),
    "30,000 high, noise": noise(40, 30_000),
    "30,000 wide, 1 high": noise(30_000, 1),
}


@pytest.mark.parametrize("picture", EMPTY.values(), ids=EMPTY)
def test_no_face_is_an_empty_list(detector: FaceDetector, picture: ImageArray) -> None:
    assert detector.detect(Frame(picture)) == []


def test_nothing_is_found_in_thin_pictures(detector: FaceDetector) -> None:
    """OpenCV's YuNet reads stray memory where a side is at most 32 and finds faces there."""
    for short in (1, 7, 16, 17, 20, 23, 24, 26, 30, 31, 32, 33):
        for long in (16, 64, 65, 96, 320, 640, 900):
            assert detector.detect(Frame(gray(128, long, short))) == []
            assert detector.detect(Frame(gray(128, short, long))) == []


def test_the_astronaut_is_found_once(detector: FaceDetector, portrait: Frame) -> None:
    faces = detector.detect(portrait)
    held(faces, portrait)
    assert geometry.iou(ASTRONAUT, only(faces)[None])[0] > 0.5
    assert faces[0].score > 0.8


@pytest.mark.parametrize("factor", [3.0, 0.5])
def test_the_box_scales_with_the_picture(
    detector: FaceDetector, portrait: Frame, factor: float
) -> None:
    box = only(detector.detect(portrait))
    scaled = only(detector.detect(Frame(resized(portrait.rgb, factor)))) / factor
    side = float((box[2:] - box[:2]).max())
    np.testing.assert_allclose(scaled, box, atol=TOLERANCE.get(detector.name, 0.07) * side)


@pytest.mark.parametrize("level", [0, 128])
def test_the_box_shifts_with_the_picture(
    detector: FaceDetector, portrait: Frame, level: int
) -> None:
    padding = ((50, 30), (70, 20), (0, 0))
    wider = Frame(np.pad(portrait.rgb, padding, constant_values=level))
    box, moved = only(detector.detect(portrait)), only(detector.detect(wider))
    side = float((box[2:] - box[:2]).max())
    np.testing.assert_allclose(moved, box + np.array([70, 50, 70, 50]), atol=0.06 * side)


def test_the_mirrored_face_has_the_mirrored_box(detector: FaceDetector, portrait: Frame) -> None:
    x0, y0, x1, y1 = only(detector.detect(Frame(portrait.rgb[:, ::-1].copy())))
    back = np.array([[portrait.width - x1, y0, portrait.width - x0, y1]], np.float32)
    assert geometry.iou(ASTRONAUT, back)[0] > 0.5


def test_four_of_five_people_at_least(detector: FaceDetector, people: Frame) -> None:
    faces = detector.detect(people)
    held(faces, people)
    assert 4 <= len(faces) <= 5
    for i, face in enumerate(faces):
        others = np.array([f.box for f in faces[i + 1 :]], np.float32).reshape(-1, 4)
        assert (geometry.iou(face.box, others) < 0.3).all()


def test_faces_that_are_known_are_found_with_the_others(
    detector: FaceDetector, people: Frame
) -> None:
    faces = detector.detect(people)
    again = detector.detect(people, faces[:2])
    assert len(again) == len(faces)
    for face in faces:
        assert geometry.iou(face.box, np.array([f.box for f in again])).max() > 0.9


@pytest.fixture
def placed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many proposals the landmark network was shown, call by call."""
    counts: list[int] = []
    place = Landmarker.place

    def counted(ours: Landmarker, frame: Frame, boxes: FloatArray, *how: Any) -> Placed:
        counts.append(len(boxes))
        return place(ours, frame, boxes, *how)

    monkeypatch.setattr(Landmarker, "place", counted)
    return counts


def test_beside_one_face_mien_looks_at_few_proposals(portrait: Frame, placed: list[int]) -> None:
    proposed = Proposer().propose(portrait, 0.03)
    assert len(proposed) > 20  # a flag and a rocket: much that might be a face
    assert len(detect.build("mien").detect(portrait)) == 1
    assert len(placed) == 1
    assert 1 <= sum(placed) <= 3


def test_mien_looks_at_few_proposals_where_nobody_is(placed: list[int]) -> None:
    nobody = Frame(image.from_array(pictures.coffee()))  # type: ignore[no-untyped-call]
    assert len(Proposer().propose(nobody, 0.03)) > 12
    assert detect.build("mien").detect(nobody) == []
    assert len(placed) == 2  # once more at twice the size
    assert sum(placed) <= 8


def test_mien_looks_closer_where_faces_are_small(people: Frame, placed: list[int]) -> None:
    """Five faces of 3 to 4 % of the longer side: a group that stands far away."""
    small = cv2.resize(people.rgb, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA)
    wide = cv2.copyMakeBorder(small, 200, 200, 300, 300, cv2.BORDER_REPLICATE)
    faces = detect.build("mien").detect(Frame(np.asarray(wide, np.uint8)))
    assert len(faces) == 5
    assert max(face.box[2] - face.box[0] for face in faces) < 0.05 * wide.shape[1]
    assert len(placed) == 2


def test_in_a_crowd_mien_looks_at_more_proposals_at_once(people: Frame, placed: list[int]) -> None:
    proposed = Proposer().propose(people, 0.1)
    likely = int((proposed.scores >= 0.3).sum())
    faces = detect.build("mien").detect(people)
    at_once, closer = placed  # one face is small, so that it searches once more
    assert len(faces) <= likely <= at_once <= 1.5 * likely + 1
    assert closer <= 3


@pytest.mark.parametrize(
    ("scores", "looked"),
    [
        pytest.param([], 0, id="nothing"),
        pytest.param([0.2, 0.15, 0.12, 0.11], 3, id="nobody likely"),
        pytest.param([0.9, 0.2, 0.19, 0.18], 2, id="one face"),
        pytest.param([0.9, 0.4, 0.2, 0.19], 3, id="a face and what may be one"),
        pytest.param([0.9, 0.8, 0.8, 0.7, 0.2, 0.1, 0.1, 0.1], 6, id="four faces"),
        pytest.param([0.4, 0.2, 0.17, 0.16, 0.14], 4, id="dim, all that is nearly as likely"),
        pytest.param([0.9, 0.25, 0.24, 0.23, 0.22], 4, id="a quarter of the likeliest"),
    ],
)
def test_how_many_proposals_are_worth_a_look(scores: list[float], looked: int) -> None:
    assert len(scores[: looks(np.array(scores, np.float32))]) == looked


def test_mien_does_not_look_again_at_a_face_that_is_known(people: Frame, placed: list[int]) -> None:
    detector = detect.build("mien")
    faces = detector.detect(people)
    cold = sum(placed)
    placed.clear()
    assert len(detector.detect(people, faces)) == len(faces)
    assert sum(placed) <= cold - len(faces)
    # What the detector would not have called a face it looks at itself, and so it does where
    # nothing lies.
    placed.clear()
    assert len(detector.detect(people, [replace(face, score=0.5) for face in faces])) == len(faces)
    assert sum(placed) == cold
    elsewhere = replace(faces[0], box=np.array([0, 0, 9, 9], np.float32))
    assert len(detector.detect(people, [elsewhere])) == len(faces)


def test_a_gray_picture_is_as_good(detector: FaceDetector, portrait: Frame) -> None:
    luma = cv2.cvtColor(portrait.rgb, cv2.COLOR_RGB2GRAY)
    faces = detector.detect(Frame(np.repeat(luma[:, :, None], 3, axis=2).astype(np.uint8)))
    assert geometry.iou(ASTRONAUT, only(faces)[None])[0] > 0.5


@pytest.mark.parametrize("edge", ["top", "bottom", "left", "right"])
def test_boxes_of_faces_cut_by_the_border_stay_inside(
    detector: FaceDetector, portrait: Frame, edge: str
) -> None:
    for share in (0.0, 0.1, 0.25, 0.5):
        x0, y0, x1, y1 = (int(v) for v in ASTRONAUT)
        dx, dy = int(share * (x1 - x0)), int(share * (y1 - y0))
        rgb = portrait.rgb
        part = {
            "top": rgb[y0 + dy :],
            "bottom": rgb[: y1 - dy],
            "left": rgb[:, x0 + dx :],
            "right": rgb[:, : x1 - dx],
        }
        frame = Frame(part[edge].copy())
        held(detector.detect(frame), frame)


def same(ours: list[Face], theirs: list[Face]) -> None:
    assert [f.score for f in ours] == [f.score for f in theirs]
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a.box, b.box)
        if a.landmarks is not None:
            np.testing.assert_array_equal(a.landmarks, b.landmarks)


def test_a_picture_leaves_no_trace_in_the_next(
    detector: FaceDetector, portrait: Frame, people: Frame
) -> None:
    first = detector.detect(portrait)
    before = portrait.rgb.copy()
    for other in (people, Frame(gray(0, 33, 900)), Frame(noise(100, 100))):
        detector.detect(other)
    same(detector.detect(portrait), first)
    same(detect.build(detector.name).detect(portrait), first)
    np.testing.assert_array_equal(portrait.rgb, before)


def test_a_picture_whose_pixels_lie_in_another_order(
    detector: FaceDetector, portrait: Frame
) -> None:
    same(detector.detect(Frame(np.asfortranarray(portrait.rgb))), detector.detect(portrait))


def test_what_a_detector_says_of_itself(detector: FaceDetector) -> None:
    assert detector.name in detect.detectors
    assert 0.8 < detector.framing < 1.5


# -- YuNet's own --------------------------------------------------------------------------------


def test_a_face_in_a_picture_smaller_than_the_network_s_cell(
    peer_models: Path, portrait: Frame
) -> None:
    x0, y0, x1, y1 = (int(v) for v in ASTRONAUT)
    factor = 0.24
    frame = Frame(resized(portrait.rgb[y0 - 10 : y1 + 10, x0 - 10 : x1 + 10].copy(), factor))
    assert max(frame.width, frame.height) <= 32
    faces = detect.build("yunet").detect(frame)
    held(faces, frame)
    expected = (ASTRONAUT - np.tile([x0 - 10, y0 - 10], 2)).astype(np.float32) * factor
    assert geometry.iou(expected, only(faces)[None])[0] > 0.5


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "html"])
@pytest.mark.parametrize("name", ["yunet", "auto"])
def test_a_damaged_file_is_named_and_never_replaced_in_silence(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, damage: str
) -> None:
    content = (shared / "weights" / YUNET).read_bytes()
    flipped = content[:999] + bytes([content[999] ^ 1]) + content[1000:]
    damaged = {"truncated": content[:5000], "flipped": flipped, "empty": b"", "html": b"<html>"}
    (tmp_path / YUNET).write_bytes(damaged[damage])
    monkeypatch.setenv("MIEN_MODELS", str(tmp_path))
    with pytest.raises(ModelError, match="sha256") as caught:
        detect.build(name)
    assert str(tmp_path / YUNET) in str(caught.value)


# -- choosing one -------------------------------------------------------------------------------


def test_auto_is_yunet_where_its_file_is(peer_models: Path) -> None:
    assert detect.build("auto").name == "yunet"
    assert detect.build().name == "yunet"


def test_auto_is_mien_without_a_file() -> None:
    assert detect.build("auto").name == "mien"


def test_yunet_without_its_file_says_how_to_get_it() -> None:
    with pytest.raises(WeightsMissing, match="mien models pull yunet"):
        detect.build("yunet")


@pytest.mark.parametrize(("wrong", "right"), [("haarr", "haar"), ("YuNet", "yunet")])
def test_an_unknown_name_suggests_the_nearest(wrong: str, right: str) -> None:
    with pytest.raises(UnknownName, match=rf"no detector called '{wrong}'; did you mean {right}\?"):
        detect.build(wrong)


# -- the parts they share -----------------------------------------------------------------------


def found(
    boxes: npt.ArrayLike, scores: npt.ArrayLike, width: int = 100, height: int = 80
) -> list[Face]:
    raw = np.array(boxes, np.float32).reshape(-1, 4)
    points = [np.full((68, 2), i, np.float32) for i in range(len(raw))]
    return detect.best_first(
        Frame(gray(0, width, height)), raw, np.array(scores, np.float32), points
    )


def test_best_first_sorts_clips_and_keeps_each_one_s_landmarks() -> None:
    faces = found([[-5, 10, 15, 30], [60, 50, 110, 95], [30, 30, 50, 50]], [0.5, 0.9, 0.7])
    boxes = [face.box.tolist() for face in faces]
    assert boxes == [[60, 50, 100, 80], [30, 30, 50, 50], [0, 10, 15, 30]]
    assert [face.score for face in faces] == pytest.approx([0.9, 0.7, 0.5])
    places = [face.landmarks[0, 0] for face in faces if face.landmarks is not None]
    assert places == [1, 2, 0]


def test_best_first_drops_what_lies_outside() -> None:
    outside: list[list[float]] = [
        [-30, 10, 0, 30],
        [100, 10, 130, 30],
        [10, -30, 30, 0.5],
        [10, 80, 30, 99],
    ]
    assert found(outside, [0.9, 0.9, 0.9, 0.9]) == []
    assert found([], []) == []
