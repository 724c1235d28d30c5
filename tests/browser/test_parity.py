"""The browser package answers as Python does, on values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien import Analyzer, Settings, record_of
from mien.analysis.live import Reader
from mien.expression.logits import softmax
from mien.face import Emotions, Frame, ImageArray, Intensity, Quality, RecognizedFace
from mien.faces.finder import pixels
from mien.labels import label_set
from mien.media import image
from mien.tracking.smooth import smoothers

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
    """Two faces that pass each other, one out of sight, a larger picture, a cut."""
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


def test_a_film_is_followed_the_same(browser: Node, ours: Analyzer, astronaut: ImageArray) -> None:
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
    # From frame to frame each follows its own landmarks, which tremble by a tenth of a pixel.
    assert np.median(told.landmarks_at_128) <= 0.5
    assert told.same_top >= 0.99
    assert np.median(told.probabilities) <= 1e-2


def test_the_same_values_are_smoothed_the_same(browser: Node) -> None:
    """Two faces whose answers tremble, change, slip for a frame, and are away for a while."""
    rng, labels = np.random.default_rng(11), label_set("mien8")
    smoother = smoothers.build("causal", 0.5)
    jobs, ours = list[dict[str, Any]](), list[list[RecognizedFace]]()
    time_s, logits = 0.0, rng.normal(0, 2, (2, len(labels)))
    for i in range(120):
        time_s += float(rng.choice([0.03, 0.04, 0.1, 0.3], p=[0.5, 0.3, 0.15, 0.05]))
        if i % 17 == 0:
            logits = rng.normal(0, 2, logits.shape)
        slip = rng.normal(0, 3, logits.shape) if i % 11 == 0 else 0.0
        probs = softmax((logits + slip + rng.normal(0, 0.1, logits.shape)).astype(np.float32))
        seen = [t for t in (0, 1) if t or not 40 <= i < 55]
        faces = [
            made(t + 1, Emotions(labels, probs[t]), Intensity(labels, probs[t] ** 2)) for t in seen
        ]
        ((_, smoothed),) = smoother.push(time_s, faces, None)
        ours.append(smoothed)
        jobs.append({"time_s": time_s, "faces": [answers_of(face) for face in faces]})
    found = browser.ask(smoothed=jobs)["smoothed"]
    for faces, theirs in zip(ours, found, strict=True):
        for face, other in zip(faces, theirs, strict=True):
            ours_of = answers_of(face)
            for name in ("probs", "intensity"):
                np.testing.assert_allclose(other[name], ours_of[name], atol=1e-6)


def answers_of(face: RecognizedFace) -> dict[str, Any]:
    """What is smoothed of a face, as a job has it."""
    assert face.intensity
    return {
        "track": face.track,
        "probs": face.emotions.probs.tolist(),
        "intensity": face.intensity.values.tolist(),
    }


def made(track: int, emotions: Emotions, intensity: Intensity) -> RecognizedFace:
    """A face of which nothing but its answers matters."""
    return RecognizedFace(
        np.array([0, 0, 9, 9], np.float32),
        1.0,
        emotions=emotions,
        quality=Quality(9.0, 9.0, 0.5, 0.5, 1.0),
        picture_quality=1.0,
        uncertain=False,
        intensity=intensity,
        track=track,
    )
