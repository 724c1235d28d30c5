"""The nouns refuse what cannot be, and guess the mistake."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mien.errors import ShapeError
from mien.face import Crop, Emotions, Face, Frame, Intensity
from mien.labels import label_set

FER2013 = label_set("fer2013")
PROBS = np.array([0.1, 0, 0, 0.6, 0.1, 0.1, 0.1], np.float32)
BOX = np.array([10, 20, 30, 50], np.float32)


def test_frame_knows_its_size() -> None:
    frame = Frame(np.zeros((4, 7, 3), np.uint8), index=2, time_s=0.08, source="a.mp4")
    assert (frame.height, frame.width) == (4, 7)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((4, 7), np.uint8), r"got \(4, 7\) uint8; mien\.media\.image\.read"),
        (np.zeros((4, 7, 4), np.uint8), r"got \(4, 7, 4\)"),
        (np.zeros((3, 4, 7), np.uint8), r"got \(3, 4, 7\)"),
        (np.zeros((4, 7, 3), np.float32), "float32"),
        (np.zeros((0, 7, 3), np.uint8), "at least one pixel"),
    ],
)
def test_frame_is_rgb_bytes(pixels: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        Frame(pixels)


def test_emotions_name_the_likeliest() -> None:
    emotions = Emotions(FER2013, PROBS)
    label, prob = emotions.top
    assert label == "happiness"
    assert prob == pytest.approx(0.6)
    assert list(emotions.as_dict()) == list(FER2013.labels)
    assert emotions.as_dict()["anger"] == pytest.approx(0.1)


def test_the_first_of_two_equals_is_the_likeliest() -> None:
    assert Emotions(FER2013, np.array([0, 0.5, 0, 0.5, 0, 0, 0], np.float32)).top[0] == "disgust"


@pytest.mark.parametrize(
    ("probs", "message"),
    [
        (PROBS * 100, r"got sum 100\.000 - logits or percent\?"),
        (np.array([3, -2, 0, 0, 0, 0, 0]), "logits or percent"),
        (np.full(7, np.nan), "got sum nan"),
        (np.array([np.inf, 0, 0, 0, 0, 0, 0]), "got sum inf"),
        (np.full(8, 1 / 8), r"probs must be \(7,\) for fer2013, got \(8,\)"),
        (PROBS[None], r"got \(1, 7\)"),
    ],
)
def test_emotions_are_probabilities(probs: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        Emotions(FER2013, probs.astype(np.float32))


def test_rounding_is_no_mistake() -> None:
    Emotions(FER2013, PROBS.astype(np.float16).astype(np.float32))


def test_a_stage_returns_a_copy() -> None:
    found = Face(BOX, 0.9)
    recognised = replace(found, emotions=Emotions(FER2013, PROBS))
    assert found.emotions is None
    assert recognised.box is found.box


@pytest.mark.parametrize(
    ("box", "score", "message"),
    [
        (np.array([10, 20, 5, 5]), 0.9, r"x1 > x0 and y1 > y0.* - w and h\?"),
        (np.array([10, 20, 10, 30]), 0.9, "x1 > x0"),
        (np.array([10, 20, np.nan, 30]), 0.9, "x1 > x0"),
        (np.zeros((1, 4)), 0.9, r"x0 y0 x1 y1, got an array of shape \(1, 4\)"),
        (BOX, 1.5, r"lies in \[0, 1\], got 1\.5"),
        (BOX, -0.1, "lies in"),
        (BOX, float("nan"), "got nan"),
    ],
)
def test_face_is_a_box_with_a_score(box: Any, score: float, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        Face(box.astype(np.float32), score)


@pytest.mark.parametrize("shape", [(5, 2), (68, 3), (1, 68, 2), (136,)])
def test_landmarks_are_sixty_eight_points(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"\(68, 2\) x y, got an array of"):
        Face(BOX, 0.9, np.zeros(shape, np.float32))


@pytest.mark.parametrize(("shape", "size"), [((3, 3), 48), ((2, 3), 0)])
def test_a_crop_is_a_matrix_and_a_size(shape: tuple[int, ...], size: int) -> None:
    with pytest.raises(ShapeError, match="at least one pixel"):
        Crop(np.zeros(shape), size)


def test_intensities_have_the_labels_shape_and_lie_between_0_and_1() -> None:
    values = np.array([0, 1, 0.5, 0, 0, 0, 0.25], np.float32)
    assert Intensity(FER2013, values).as_dict()[FER2013.labels[6]] == 0.25
    with pytest.raises(ShapeError, match=r"intensities must be \(7,\) for fer2013, got \(8,\)"):
        Intensity(FER2013, np.zeros(8, np.float32))
    for bad in (values * np.float32(3), values - np.float32(1), np.full(7, np.nan, np.float32)):
        with pytest.raises(ShapeError, match=r"intensities lie in \[0, 1\]"):
            Intensity(FER2013, bad)


def test_picture_quality_can_be_read_by_its_old_name() -> None:
    face = Face(BOX, 1.0, picture_quality=0.4)
    with pytest.warns(DeprecationWarning, match="called Face.picture_quality"):
        assert face.confidence == 0.4
    assert "confidence" not in face.as_dict()


def test_a_face_as_json_takes_it() -> None:
    """What is not known is None; what is known is what a record says."""
    plain = Face(BOX, 0.123456789).as_dict()
    assert (plain["score"], plain["box"]) == (0.12346, [float(v) for v in BOX])
    assert {k for k, v in plain.items() if v is None} == {
        *("track", "landmarks", "emotions", "top", "picture_quality", "uncertain"),
        *("intensity", "quality", "prediction_set"),
    }
    emotions, strengths = (
        Emotions(FER2013, PROBS),
        Intensity(FER2013, np.asarray(PROBS / 2, np.float32)),
    )
    told = replace(Face(BOX, 1.0), emotions=emotions, intensity=strengths, track=3).as_dict()
    assert (told["track"], told["top"]) == (3, emotions.top[0])
    assert told["intensity"] == {k: round(v / 2, 5) for k, v in emotions.as_dict().items()}
    assert json.loads(json.dumps(told)) == told
