"""From a picture to faces with landmarks and where each is cut."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from mien import geometry
from mien.face import Face, FloatArray, Frame, ImageArray
from mien.faces import align, landmarks
from mien.faces.finder import Finder, pixels
from mien.faces.landmarks import Inset
from mien.testing import FakeDetector

FACE = (178.0, 63.0, 268.0, 176.0)  # the astronaut's
CURTAIN = (20.0, 400.0, 90.0, 480.0)
EYES = np.array([[202, 101], [246, 103]])


class Placing:
    """A detector that places landmarks itself, all in one place."""

    name = "placing"
    framing = 1.25
    inset = Inset(side=0.9, drop=0.15)
    points = np.full((68, 2), 7, np.float32)

    def detect(self, frame: Frame, known: Sequence[Face] = ()) -> list[Face]:
        bare = [Face(np.array(box, np.float32), score) for box, score in ((FACE, 0.9),)]
        own = Face(np.array(CURTAIN, np.float32), 0.8, self.points)
        return [own, *bare]


@pytest.fixture
def head(astronaut: ImageArray) -> Frame:
    """A crop as data sets have them."""
    return Frame(astronaut[63:176, 172:275].copy())


def points_of(face: Face) -> FloatArray:
    assert face.landmarks is not None
    return face.landmarks


# -- with a detector ----------------------------------------------------------------------------


@pytest.mark.parametrize("alignment", [None, "box", "similarity"])
def test_a_face_without_landmarks_gets_them(portrait: Frame, alignment: str | None) -> None:
    [face] = Finder(FakeDetector(FACE, score=0.7)).find(portrait, alignment)
    assert face.box.tolist() == list(FACE)
    assert face.score == 0.7
    np.testing.assert_allclose(landmarks.eye_centres(points_of(face)), EYES, atol=6)


def test_a_box_on_the_background_gets_none(portrait: Frame) -> None:
    faces = Finder(FakeDetector(CURTAIN, FACE, CURTAIN)).find(portrait, None)
    assert [tuple(face.box) for face in faces] == [CURTAIN, FACE, CURTAIN]
    assert [face.landmarks is None for face in faces] == [True, False, True]
    np.testing.assert_allclose(landmarks.eye_centres(points_of(faces[1])), EYES, atol=6)


def test_landmarks_a_detector_placed_stay(portrait: Frame) -> None:
    own, bare = Finder(Placing()).find(portrait, None)
    np.testing.assert_array_equal(points_of(own), Placing.points)
    np.testing.assert_allclose(landmarks.eye_centres(points_of(bare)), EYES, atol=6)


def test_where_nobody_is_found_no_network_is_asked(portrait: Frame) -> None:
    finder = Finder(FakeDetector())
    assert finder.find(portrait, None) == []
    assert "_landmarker" not in vars(finder)


# -- crops --------------------------------------------------------------------------------------


def test_a_crop_is_one_face_as_large_as_itself(head: Frame) -> None:
    finder = Finder(None)
    [face] = finder.find(head, "box")
    assert face.box.tolist() == [0, 0, head.width, head.height]
    assert (face.score, face.landmarks) == (1.0, None)
    assert "_landmarker" not in vars(finder)
    framed = finder.framed(face, "box", 48)
    assert framed.crop is None
    assert pixels(head, framed) is head.rgb


def test_a_crop_to_align_gets_landmarks(head: Frame) -> None:
    finder = Finder(None)
    [face] = finder.find(head, "similarity")
    np.testing.assert_allclose(
        landmarks.eye_centres(points_of(face)), EYES - np.array([172, 63]), atol=6
    )
    framed = finder.framed(face, "similarity", 48)
    assert framed.crop is not None
    assert framed.crop.size == 48
    assert pixels(head, framed).shape == (48, 48, 3)
    eyes = geometry.transform(framed.crop.matrix, landmarks.eye_centres(points_of(face)))
    assert abs(eyes[1, 1] - eyes[0, 1]) < 1
    np.testing.assert_allclose(eyes, align.TEMPLATE[:2] * 48 - 0.5, atol=2)


@pytest.mark.parametrize("level", [0, 128, 255])
@pytest.mark.parametrize("alignment", ["similarity", "xu2019", "mouth"])
def test_a_crop_without_a_face_is_read_as_it_is(level: int, alignment: str) -> None:
    blank = Frame(np.full((48, 48, 3), level, np.uint8))
    finder = Finder(None)
    [face] = finder.find(blank, alignment)
    assert face.landmarks is None
    framed = finder.framed(face, alignment, 48)
    assert framed.crop is None
    assert pixels(blank, framed) is blank.rgb


# -- framed -------------------------------------------------------------------------------------


def test_a_face_is_cut_by_its_box_as_its_detector_frames_it(portrait: Frame) -> None:
    """1.25 times the longer side, about the middle of the box: 141 pixels around (223, 119.5)."""
    finder = Finder(Placing())
    [_, face] = finder.find(portrait, "box")
    framed = finder.framed(face, "box", 48)
    assert framed.crop is not None
    assert framed.crop.size == 141
    np.testing.assert_allclose(align.outline(framed.crop)[0] + 0.5, [152, 49], atol=0.51)
    np.testing.assert_array_equal(pixels(portrait, framed), portrait.rgb[49:190, 152:293])


def test_a_face_is_cut_as_asked(portrait: Frame) -> None:
    finder = Finder(FakeDetector(FACE, CURTAIN))
    face, curtain = finder.find(portrait, "similarity")
    cut = finder.framed(face, "similarity", 64)
    assert cut.crop is not None
    np.testing.assert_array_equal(cut.crop.matrix, align.similarity(points_of(face), 64).matrix)
    assert pixels(portrait, cut).shape == (64, 64, 3)
    plain = finder.framed(curtain, "similarity", 64)
    assert plain.crop is not None
    assert plain.crop.size == 80  # no landmarks: by its box, in its own pixels
    np.testing.assert_array_equal(pixels(portrait, plain), portrait.rgb[400:480, 15:95])


def test_framing_changes_nothing_else(portrait: Frame) -> None:
    finder = Finder(FakeDetector(FACE))
    [face] = finder.find(portrait, None)
    before = points_of(face).copy()
    framed = finder.framed(face, "mouth", 32)
    assert face.crop is None
    np.testing.assert_array_equal(points_of(framed), before)
    assert (framed.score, framed.emotions, framed.quality) == (face.score, None, None)
