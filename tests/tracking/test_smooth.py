"""Smoothing: what trembles, what changes, what peaks; on made signals and on real faces."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from mien.analysis.pipeline import Analyzer
from mien.errors import InputError, UnknownName
from mien.face import Emotions, Frame, ImageArray, Intensity, Quality, RecognizedFace
from mien.faces import quality
from mien.labels import label_set
from mien.media import image
from mien.tracking.smooth import WAIT_S, Smoother, smoothers
from mien.tracking.tracks import Tracker
from tests.crossing import clip

Floats = npt.NDArray[np.floating[Any]]
FPS = 30.0
LABELS = label_set("mien8")
FILTERS = ("causal", "two-sided")


def face(share: float, track: int = 1, intensity: bool = False) -> RecognizedFace:
    """``share`` of happiness, the rest neutral."""
    probs = np.zeros(8, np.float32)
    probs[:2] = 1 - share, share
    return RecognizedFace(
        np.array([0, 0, 9, 9], np.float32),
        1.0,
        emotions=Emotions(LABELS, probs),
        quality=Quality(9, 9, 0.5, 0.5, 1.0),
        picture_quality=0.9,
        uncertain=False,
        track=track,
        intensity=Intensity(LABELS, probs * np.float32(0.5)) if intensity else None,
    )


def smoother(name: str) -> Smoother[int]:
    return smoothers.build(name, 0.5)


def through(
    name: str, times: Sequence[float] | Floats, faces: Iterable[list[RecognizedFace]]
) -> list[list[RecognizedFace]]:
    """What comes out, each frame's faces; checks that every frame does, in order."""
    smooth, out = smoother(name), []
    for i, (time_s, here) in enumerate(zip(times, faces, strict=True)):
        out += smooth.push(time_s, here, i)
    out += smooth.flush()
    assert [item for item, _ in out] == list(range(len(times)))
    return [faces for _, faces in out]


def shares(name: str, signal: Floats, times: Floats | None = None) -> Floats:
    times = np.arange(len(signal)) / FPS if times is None else times
    out = through(name, times, [[face(float(x))] for x in signal])
    return np.array([f[0].emotions.probs[1] for f in out if f[0].emotions], np.float64)


def variation(values: Floats) -> float:
    """Mean total variation distance between neighbours, (N,) or (N, K)."""
    steps = np.abs(np.diff(values, axis=0))
    return float((steps.sum(axis=1) / 2 if values.ndim == 2 else steps).mean())


# -- made signals ---------------------------------------------------------------------------------


def test_none_changes_nothing() -> None:
    signal = np.random.default_rng(0).random(50)
    assert np.allclose(shares("none", signal), signal)


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("fps", [24, 30, 60])
def test_noise_is_evened_out_threefold(name: str, fps: float) -> None:
    noise = 0.6 + np.random.default_rng(0).normal(0, 0.03, 300)
    after = shares(name, noise, np.arange(300) / fps)
    assert variation(noise) / variation(after) >= 3
    assert abs(after.mean() - noise.mean()) < 0.005


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("height", [0.1, 0.15, 0.3, 0.8])
@pytest.mark.parametrize("fps", [15, 24, 30, 60])
def test_a_change_is_half_through_within_100_ms(name: str, height: float, fps: float) -> None:
    times = np.arange(90) / fps
    after = shares(name, 0.1 + height * (np.arange(90) >= 45), times)
    late = times[int(np.argmax(after >= 0.1 + height / 2 - 1e-6))] - times[45]
    assert -1e-6 <= late <= 0.1 + 1e-6
    assert after[-1] == pytest.approx(0.1 + height, abs=1e-3)


@pytest.mark.parametrize(("name", "least"), [("causal", 0.8), ("two-sided", 0.93)])
@pytest.mark.parametrize("width_s", [0.2, 0.3, 0.5, 1.0])
def test_peaks_keep_their_height(name: str, least: float, width_s: float) -> None:
    times = np.arange(90) / FPS
    wave = 0.5 + 0.5 * np.cos(2 * np.pi * (times - 1.5) / width_s)
    signal = 0.1 + 0.8 * np.where(np.abs(times - 1.5) < width_s / 2, wave, 0)
    after = shares(name, signal)
    assert (after.max() - 0.1) / 0.8 >= least
    late = (after.argmax() - signal.argmax()) / FPS
    assert 0 <= late <= (0.1 if name == "causal" else 0)


@pytest.mark.parametrize(("name", "most"), [("causal", 0.4), ("two-sided", 0.05)])
def test_a_single_frame_is_no_expression(name: str, most: float) -> None:
    signal = np.full(60, 0.1)
    signal[30] = 0.9
    assert shares(name, signal).max() - 0.1 <= most * 0.8


@pytest.mark.parametrize("name", FILTERS)
def test_a_gap_starts_anew(name: str) -> None:
    times = np.concatenate([np.arange(20), np.arange(20) + 30]) / FPS
    signal = np.repeat([0.1, 0.9], 20)
    assert np.allclose(shares(name, signal, times), signal, atol=1e-6)


@pytest.mark.parametrize("name", FILTERS)
def test_pictures_far_apart_are_not_smoothed(name: str) -> None:
    signal = np.random.default_rng(0).random(20)
    assert np.allclose(shares(name, signal, np.arange(20) * 0.5), signal, atol=1e-6)


@pytest.mark.parametrize("name", FILTERS)
def test_five_frames_a_second_are_smoothed_alike_wherever_they_lie(name: str) -> None:
    """0.8 - 0.6 is a little more than 0.2, and 0.6 - 0.4 a little less."""
    signal = 0.4 + 0.03 * np.random.default_rng(0).random(50)
    times = np.round(np.arange(50) * 0.2, 6)
    nearer = np.round(np.arange(50) * 0.19999, 6)
    assert np.allclose(shares(name, signal, times), shares(name, signal, nearer), atol=1e-4)


@pytest.mark.parametrize("name", FILTERS)
def test_a_rate_that_varies_counts_by_time(name: str) -> None:
    """Every other frame of the first second is missing: the change is no later than without."""
    times = np.concatenate([np.arange(0, 30, 2), np.arange(30, 60)]) / FPS
    after = shares(name, np.where(times >= 1.0, 0.8, 0.1), times)
    assert times[int(np.argmax(after >= 0.45))] <= 1.1


@pytest.mark.parametrize("name", ["none", *FILTERS])
def test_tracks_do_not_mix_and_sums_stay(name: str) -> None:
    rng = np.random.default_rng(0)
    times = np.arange(40) / FPS
    many = [[face(0.9, 1, True), face(float(rng.random() * 0.1), 2, True)] for _ in times]
    for i, faces in enumerate(through(name, times, many)):
        one, two = faces
        assert (one.track, two.track) == (1, 2)
        assert one.emotions is not None
        assert one.emotions.probs[1] == pytest.approx(0.9), i
        for f in faces:
            assert f.emotions is not None
            assert f.intensity is not None
            assert f.emotions.probs.sum() == pytest.approx(1, abs=1e-6)
            assert f.intensity.values == pytest.approx(f.emotions.probs * 0.5, abs=1e-6)


@pytest.mark.parametrize("name", FILTERS)
def test_what_follows_from_the_probabilities_follows(name: str) -> None:
    times = np.arange(30) / FPS
    signal = 0.52 + 0.04 * (-1.0) ** np.arange(30)  # 0.48 and 0.56 in turn: neutral, happiness
    out = through(name, times, [[replace(face(float(x)), uncertain=True)] for x in signal])
    settled = [f[0] for f in out[15:25]]
    assert all(f.emotions is not None and f.emotions.top[0] == "happiness" for f in settled)
    assert not any(f.uncertain for f in settled)
    poor = [[replace(face(0.9), picture_quality=quality.LOW / 2)] for _ in times]
    assert all(f[0].uncertain for f in through(name, times, poor))


@pytest.mark.parametrize("name", ["none", *FILTERS])
def test_frames_are_kept_back_no_longer_than_stated(name: str) -> None:
    smooth = smoother(name)
    for i in range(300):
        now = i / 100
        for item, _ in smooth.push(now, [face(0.5)] if i % 50 < 40 else [], i):
            assert now - item / 100 <= smooth.wait_s + 0.011
    assert len(smooth.flush()) <= smooth.wait_s * 100 + 1
    assert smooth.wait_s <= WAIT_S


def test_a_source_that_begins_anew_holds_nothing_back() -> None:
    smooth = smoother("two-sided")
    out = [smooth.push(t, [face(0.5)], 0) for t in (100.0, 100.03, 0.0, 0.03)]
    assert [len(o) for o in out] == [0, 0, 2, 0]


@pytest.mark.parametrize("name", ["none", *FILTERS])
def test_it_goes_on_from_its_state_to_the_last_digit(name: str) -> None:
    rng = np.random.default_rng(1)
    frames = [
        [face(float(rng.random()), track) for track in (1, 2) if rng.random() < 0.8]
        for _ in range(80)
    ]

    def plain(faces: list[RecognizedFace]) -> list[list[float]]:
        return [f.emotions.probs.tolist() for f in faces if f.emotions]

    whole = [plain(f) for f in through(name, np.arange(80) / FPS, frames)]
    for stop in (1, 7, 40, 79):
        smooth, out = smoother(name), []
        for i in range(stop):
            out += smooth.push(i / FPS, frames[i], i)
        again = smoother(name)
        again.restore(json.loads(json.dumps(smooth.state())))
        for i in range(len(out), 80):  # what was kept back is pushed again
            out += again.push(i / FPS, frames[i], i)
        out += again.flush()
        assert [plain(f) for _, f in out] == whole


def test_memory_does_not_grow() -> None:
    for name in FILTERS:
        smooth = smoother(name)
        sizes = []
        for i in range(2000):
            smooth.push(i / FPS, [face(0.5, 1 + i // 10)], i)
            if i in (200, 1990):
                sizes.append(len(json.dumps(smooth.state())))
        assert sizes[1] <= sizes[0] * 1.2


def test_what_cannot_be_smoothed_is_said() -> None:
    with pytest.raises(InputError, match="track and emotions"):
        smoother("causal").push(0.0, [replace(face(0.5), track=None)], 0)
    with pytest.raises(UnknownName, match="two-sided"):
        smoother("twosided")


# -- real faces -----------------------------------------------------------------------------------


def still(photo: ImageArray, count: int) -> Iterable[Frame]:
    """A poor camera on a face that keeps still: shaking, sensor noise, flicker, compression."""
    rng = np.random.default_rng(0)
    height, width = photo.shape[:2]
    for i in range(count):
        shift = np.array([[1, 0, rng.normal()], [0, 1, rng.normal()]])
        moved = cv2.warpAffine(photo, shift, (width, height), borderMode=cv2.BORDER_REPLICATE)
        light = moved * (1 + 0.02 * np.sin(i / 3)) + rng.normal(0, 6, (height, width, 1))
        jpeg = cv2.imencode(".jpg", light.clip(0, 255).astype(np.uint8), [1, 60])[1]
        picture = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
        yield Frame(np.asarray(picture, np.uint8), i, i / FPS)


def read(analyzer: Analyzer, frames: Iterable[Frame]) -> tuple[Floats, list[list[RecognizedFace]]]:
    tracker, times, out = Tracker(analyzer), [], []
    for frame in frames:
        times.append(frame.time_s)
        out.append(analyzer.recognize(frame, tracker.follow(frame)))
    return np.array(times), out


def probabilities(frames: list[list[RecognizedFace]]) -> Floats:
    return np.array([f[0].emotions.probs for f in frames if f[0].emotions], np.float64)


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer()


def test_a_face_that_keeps_still_varies_a_third_as_much(shared: Path, analyzer: Analyzer) -> None:
    """Where the answer is one, that is: the man beside him is on the edge of two expressions."""
    photo = image.read(shared / "data/media/two_people.jpg")
    times, faces = read(analyzer, still(photo[:, photo.shape[1] // 2 :], 45))
    before = variation(probabilities(faces))
    assert before > 0.01, "it trembles"
    for name in FILTERS:
        assert before / variation(probabilities(through(name, times, faces))) >= 3, name


def test_a_smile_comes_and_goes_when_it_did(shared: Path, analyzer: Analyzer) -> None:
    times, faces = read(analyzer, clip(shared / "data/media/single_face.mp4"))
    happy = LABELS.index("happiness")
    raw = probabilities(faces)[:, happy]

    def half(values: Floats) -> tuple[float, float]:
        over = np.flatnonzero(values > 0.5)
        return float(times[over[0]]), float(times[over[-1]])

    for name, latest in (("causal", 0.1), ("two-sided", 0.034)):
        after = probabilities(through(name, times, faces))[:, happy]
        assert np.abs(np.subtract(half(after), half(raw))).max() <= latest
        assert after.max() >= 0.97 * raw.max()
