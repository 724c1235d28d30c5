"""The mouth cascade on real faces, and what it makes of pictures that are none."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from mien.errors import ModelError, WeightsMissing
from mien.face import Face, FloatArray, Frame, ImageArray
from mien.faces import detect
from mien.faces.mouth import HaarMouth
from mien.media import image
from mien.weights import catalogue

FACE = Face(np.array([178, 63, 268, 176], np.float32), 0.9)  # the astronaut's
LIPS = np.array([223, 145], np.float32)


@pytest.fixture
def mouth(peer_models: Path) -> HaarMouth:
    return HaarMouth()


def holds(box: FloatArray | None, point: FloatArray) -> bool:
    return box is not None and bool((box[:2] < point).all() and (point < box[2:]).all())


def test_the_astronaut_s_mouth(mouth: HaarMouth, portrait: Frame) -> None:
    box = mouth.find(portrait, FACE)
    assert box is not None
    assert box.dtype == np.float32
    assert holds(box, LIPS)
    assert 20 < box[2] - box[0] < 70
    assert box[1] > (FACE.box[1] + FACE.box[3]) / 2 - 1


@pytest.mark.parametrize("factor", [0.5, 2.0, 8.0])
def test_size_matters_little(mouth: HaarMouth, astronaut: ImageArray, factor: float) -> None:
    large = np.asarray(cv2.resize(astronaut, None, fx=factor, fy=factor), np.uint8)
    face = replace(FACE, box=FACE.box * np.float32(factor))
    assert holds(mouth.find(Frame(large), face), LIPS * np.float32(factor))


@pytest.mark.parametrize(
    "box",
    [
        (0, 0, 1, 1),
        (0, 0, 1, 512),
        (0, 510, 512, 512),
        (-50, -50, 20, 20),
        (500, 500, 600, 600),
        (600, 600, 700, 700),
        (0.2, 0.2, 0.4, 0.4),
    ],
)
def test_odd_boxes_are_no_crash(
    mouth: HaarMouth, portrait: Frame, box: tuple[float, float, float, float]
) -> None:
    found = mouth.find(portrait, replace(FACE, box=np.array(box, np.float32)))
    assert found is None or found.shape == (4,)


def test_no_mouth_in_a_flat_picture(mouth: HaarMouth) -> None:
    assert mouth.find(Frame(np.full((300, 300, 3), 120, np.uint8)), FACE) is None
    assert mouth.find(Frame(np.zeros((1, 1, 3), np.uint8)), FACE) is None


def test_real_mouths(mouth: HaarMouth, shared: Path) -> None:
    """On every twelfth face of HELEN and AFW that Haar finds: most mouths, nearly all right."""
    pointed = pd.read_parquet(shared / "data" / "landmarks68.parquet")
    pointed = pointed[pointed.source.isin(["helen", "afw"])][::12]
    haar, found, right, faces = detect.build("haar"), 0, 0, 0
    for row in pointed.itertuples():
        frame = Frame(image.read_bytes(row.image, str(row.id)))
        lips = np.asarray(row.landmarks, np.float32).reshape(68, 2)[48:].mean(axis=0)
        for face in haar.detect(frame)[:1]:
            box = mouth.find(frame, face)
            faces += holds(face.box, lips)
            found += holds(face.box, lips) and box is not None
            right += holds(box, lips)
    assert faces > 90
    assert 0.8 < found / faces < 0.97
    assert right / found > 0.95


def test_without_its_file_it_says_how_to_get_it() -> None:
    with pytest.raises(WeightsMissing, match="mien models pull mouth-haar"):
        HaarMouth()


def test_a_damaged_file_is_an_error(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / catalogue.spec("mouth-haar").file
    shutil.copy(shared / "weights" / file.name, file)
    file.write_bytes(file.read_bytes() + b" ")
    monkeypatch.setenv("MIEN_MODELS", str(tmp_path))
    with pytest.raises(ModelError, match="damaged or another version"):
        HaarMouth()
