"""The browser package answers as Python does, on values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien import Analyzer, Settings, record_of
from mien.analysis.live import Reader
from mien.face import Frame, ImageArray
from mien.faces.finder import pixels
from mien.media import image

from .agreement import agreement, photographs
from .node import Node, values

PICTURES = 200


def analyzer(model: str = "mien") -> Analyzer:
    return Analyzer(Settings(detector="mien", model=model, threads=1))


@pytest.fixture(scope="module")
def ours() -> Analyzer:
    return analyzer()


@pytest.mark.parametrize("model", ["mien", "mien-tiny"])
def test_the_same_crops_are_read_the_same(
    built: None, tmp_path: Path, astronaut: ImageArray, model: str
) -> None:
    reader = analyzer(model)
    frame = Frame(astronaut)
    (face,) = reader.recognize(frame, reader.find(frame))
    crop = pixels(frame, face)
    dark, blurred = crop // 3, np.repeat(np.repeat(crop[::4, ::4], 4, axis=0), 4, axis=1)
    crops = [crop, crop[:, ::-1], dark, blurred, crop[::-1], astronaut[:90, 60:130]]
    read = reader.recognizer.read(crops, reader.base_rates)
    browser = Node(tmp_path, model)
    found = browser.ask(crops=[browser.raw(c) for c in crops])["crops"]
    assert read.probs.max(axis=1).min() < reader.recognizer.info.look_again_below  # some look twice
    np.testing.assert_allclose([f["probs"] for f in found], read.probs, atol=1e-3)
    if read.intensity is None:
        assert all(f["intensity"] is None for f in found)
    else:
        np.testing.assert_allclose([f["intensity"] for f in found], read.intensity, atol=1e-3)


def test_a_record_is_pythons(browser: Node, ours: Analyzer, astronaut: ImageArray) -> None:
    frame = Frame(astronaut, source="astronaut.png")
    job = browser.picture(astronaut) | {"source": "astronaut.png"}
    (found,) = browser.ask(pictures=[job])["pictures"]
    record, told = record_of(frame, ours.analyze_frame(frame)), found["record"]
    assert record["faces"], "the astronaut has a face"
    assert shape(told) == shape(record)
    for theirs, face in zip(told["faces"], record["faces"], strict=True):
        assert theirs["top"] == face["top"]
        assert theirs["uncertain"] == face["uncertain"]
        np.testing.assert_allclose(theirs["box"], face["box"], atol=0.1)
        np.testing.assert_allclose(theirs["landmarks"], face["landmarks"], atol=0.1)
        for name in ("emotions", "intensity", "quality"):
            if face[name] is None:
                continue
            labels = list(face[name])
            np.testing.assert_allclose(
                values(theirs[name], labels), values(face[name], labels), rtol=0.01, atol=0.01
            )
        assert theirs["picture_quality"] == pytest.approx(face["picture_quality"], abs=1e-3)


def shape(told: Any) -> Any:
    """What a record is made of: its keys in their order, and the kinds of their values."""
    if isinstance(told, dict):
        return [(key, shape(value)) for key, value in told.items()]
    if isinstance(told, list):
        return [shape(value) for value in told]
    if isinstance(told, int | float) and not isinstance(told, bool):
        return "number"
    return told if isinstance(told, str) else type(told).__name__


def test_nobody_is_found_where_nobody_is(browser: Node, ours: Analyzer) -> None:
    gray = np.full((60, 90, 3), 120, np.uint8)
    noise = np.random.default_rng(5).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    tiny = np.zeros((1, 1, 3), np.uint8)
    found = browser.ask(pictures=[browser.picture(p) for p in (gray, noise, tiny)])["pictures"]
    assert [f["faces"] for f in found] == [[], [], []]
    assert [f["record"] for f in found] == [
        record_of(Frame(p, source=""), ours.analyze_frame(Frame(p)))
        for p, f in zip((gray, noise, tiny), found, strict=True)
    ]


def test_two_hundred_photographs_are_read_the_same(
    browser: Node, ours: Analyzer, owners_layout: Path
) -> None:
    pictures = photographs(owners_layout / "lfw", PICTURES)
    found = browser.ask(pictures=[browser.picture(p) for p in pictures])["pictures"]
    read = [ours.analyze_frame(Frame(p)) for p in pictures]
    told = agreement(read, [f["faces"] for f in found])
    assert told.faces >= PICTURES
    assert told.same_faces == 1.0
    assert told.same_top >= 0.99
    assert told.landmarks_at_128.max() <= 0.5
    assert np.median(told.probabilities) <= 1e-2
    assert np.median(told.intensities) <= 1e-2


def film(astronaut: ImageArray) -> list[Frame]:
    """Two faces that pass each other, one out of sight for a while, a larger picture, a cut."""
    face = image.from_array(np.asarray(astronaut[20:260, 110:330]))
    frames = []
    for i in range(48):
        height, width = (240, 420) if i < 34 else (360, 630)
        rgb = np.full((height, width, 3), 90 if i < 40 else 160, np.uint8)
        rgb[:, : width // 3] = 60 if i < 40 else 20
        if i >= 40:
            rgb[: height // 2] = rgb[: height // 2] // 3
        share = i / 47
        paste(rgb, face, 0.5, width * (0.05 + 0.6 * share), 10)
        if not 12 <= i < 18:
            paste(rgb, face[:, ::-1], 0.4 + 0.1 * share, width * (0.7 - 0.6 * share), 110)
        frames.append(Frame(rgb, index=i, time_s=i / 20))
    return frames


def paste(rgb: ImageArray, face: ImageArray, scale: float, x: float, y: int) -> None:
    """A face in a picture, with every so many of its pixels."""
    step = np.arange(0, 200, 1 / scale).astype(int)
    small = face[step][:, step[step < face.shape[1]]]
    left = int(x)
    width = min(small.shape[1], rgb.shape[1] - left)
    height = min(small.shape[0], rgb.shape[0] - y)
    rgb[y : y + height, left : left + width] = small[:height, :width]


def test_a_film_is_followed_and_smoothed_the_same(
    browser: Node, ours: Analyzer, astronaut: ImageArray
) -> None:
    frames = film(astronaut)
    jobs = [browser.picture(f.rgb) | {"time_s": f.time_s} for f in frames]
    found = browser.ask(frames=jobs)["frames"]
    reader = Reader(ours)
    read = [reader.read(frame) for frame in frames]
    tracks = [[face.track for face in faces] for faces in read]
    assert [[face["track"] for face in f["faces"]] for f in found] == tracks
    assert len({track for now in tracks for track in now}) >= 4  # the cut gives new numbers
    assert min(map(len, tracks)) < max(map(len, tracks))  # one goes and comes back
    told = agreement(read, [f["faces"] for f in found])
    assert told.same_faces == 1.0
    assert told.landmarks_at_128.max() <= 0.5
    assert told.same_top >= 0.99
    assert np.median(told.probabilities) <= 1e-2
