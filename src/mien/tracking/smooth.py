"""Steady answers over time, for faces that ``mien.tracking.tracks`` follows.

========= ========= ===============================================================================
name      waits     how
========= ========= ===============================================================================
none      0         as each frame was read
causal    0         an exponential mean that lets go where the expression changes: a change comes
                    through about one frame late
two-sided ``WAIT_S`` a bilateral mean over ``WAIT_S`` to either side (Tomasi and Manduchi 1998): a
                    change keeps its time
========= ========= ===============================================================================

A mean of probabilities with the same weights for every label sums to 1 as they do. Weights go by
the share of probability that moved between two frames (their total variation distance, in [0, 1]):
what trembles by a few hundredths is evened out, a change of expression is kept. What lasts a
single frame of 1/20 s or less is no expression and does not get through at once; neither filter
reaches over a gap of ``WAIT_S``. Times are the frames' own, so their rate may vary.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..face import Emotions, Intensity, RecognizedFace
from ..faces import quality
from ..registry import Registry

WAIT_S = 0.2
"""How far ``two-sided`` looks ahead, and the longest gap either filter reaches over, in seconds."""

_REACH_S = WAIT_S + 1e-6  # of times that were rounded: 0.8 - 0.6 is 0.2
_BLINK_S = 0.05  # what lasts no longer is a slip of the network
_STEADY_S = 0.09  # time constant of the causal mean while nothing happens
_CALM, _CHANGE = 0.05, 0.15  # distance up to which nothing happens, and from which all is let in
_BREADTH_S, _LIKE = 0.07, 0.1  # deviations of the two-sided mean, in time and in distance
_SLIP = 0.3  # how far from both its neighbours a frame is taken for a slip

Item = TypeVar("Item")
Faces = list[RecognizedFace]
Values = npt.NDArray[np.float64]  # (1, K) probabilities, and (2, K) with intensities below them
smoothers: Registry[Smoother[Any]] = Registry("smoothing")


@dataclass(frozen=True, slots=True)
class _Sample:
    """What was read of one face at a time."""

    time_s: float
    values: Values


class Smoother(ABC, Generic[Item]):
    """Takes analysed frames in order and gives them back with smoothed faces, in the same order.

    uncertain_below : the model's own threshold, as ``uncertain`` follows from the probabilities.

    ``wait_s`` is how long a frame may be kept back, by the frames' own time.
    """

    wait_s: ClassVar[float] = 0.0

    def __init__(self, uncertain_below: float) -> None:
        self._uncertain_below = uncertain_below

    @abstractmethod
    def push(self, time_s: float, faces: Faces, item: Item) -> list[tuple[Item, Faces]]:
        """The frames that are ready now, the oldest first; ``item`` is what a frame is told by.

        Raises InputError for a face without emotions or without a track.
        """

    def flush(self) -> list[tuple[Item, Faces]]:
        """The frames still kept back, at the end."""
        return []

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """All there is to go on with after the last frame that came out, as JSON holds it.

        Frames kept back are not in it: whoever goes on pushes them again.
        """

    @abstractmethod
    def restore(self, state: dict[str, Any]) -> None:
        """Go on where the smoother whose ``state`` this is stood."""

    def _smoothed(self, face: RecognizedFace, values: Values) -> RecognizedFace:
        """A face with other values, and what follows from them."""
        probs = (values[0] / values[0].sum()).astype(np.float32)
        top, labels = float(probs.max()), face.emotions.label_set
        strengths = Intensity(labels, values[1].astype(np.float32)) if face.intensity else None
        return replace(
            face,
            emotions=Emotions(labels, probs),
            intensity=strengths,
            uncertain=quality.uncertain(top, self._uncertain_below, face.picture_quality),
        )


@smoothers.register("none")
class Unsmoothed(Smoother[Item]):
    """Every face as it was read."""

    def push(self, time_s: float, faces: Faces, item: Item) -> list[tuple[Item, Faces]]:
        return [(item, faces)]

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        pass


@smoothers.register("causal")
class Causal(Smoother[Item]):
    """For live pictures: looks back only."""

    def __init__(self, uncertain_below: float) -> None:
        super().__init__(uncertain_below)
        self._last: dict[int, tuple[_Sample, Values]] = {}  # of a track: as read, and the mean

    def push(self, time_s: float, faces: Faces, item: Item) -> list[tuple[Item, Faces]]:
        smoothed = []
        for face in faces:
            track, now = _sample(time_s, face)
            mean = self._mean(track, now)
            self._last[track] = now, mean
            smoothed.append(self._smoothed(face, mean))
        for track, (last, _) in list(self._last.items()):
            if not 0 <= time_s - last.time_s <= _REACH_S:
                del self._last[track]
        return [(item, smoothed)]

    def _mean(self, track: int, now: _Sample) -> Values:
        last, mean = self._last.get(track, (now, now.values))
        passed = now.time_s - last.time_s
        if not 0 <= passed <= _REACH_S:
            return now.values
        moved = _distance(now.values, mean)
        if passed <= _BLINK_S:  # it has to last: the frame before says the same, or it is a slip
            same_way = float(((now.values - mean)[0] * (last.values - mean)[0]).sum()) > 0
            moved = min(moved, _distance(last.values, mean)) if same_way else 0.0
        calm = 1 - min(max((moved - _CALM) / (_CHANGE - _CALM), 0.0), 1.0)
        kept = math.exp(-passed / (_STEADY_S * calm)) if calm else 0.0
        return np.asarray(kept * mean + (1 - kept) * now.values)

    def state(self) -> dict[str, Any]:
        return {
            str(track): [last.time_s, last.values.tolist(), mean.tolist()]
            for track, (last, mean) in self._last.items()
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._last = {
            int(track): (_Sample(time_s, np.array(values)), np.array(mean))
            for track, (time_s, values, mean) in state.items()
        }


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[Item]):
    """A frame kept back: its samples by track, and what is to come out."""

    time_s: float
    samples: dict[int, _Sample]
    faces: Faces
    item: Item


@smoothers.register("two-sided")
class TwoSided(Smoother[Item]):
    """For recordings: looks ``WAIT_S`` ahead and back, whatever the length of the recording."""

    wait_s = WAIT_S

    def __init__(self, uncertain_below: float) -> None:
        super().__init__(uncertain_below)
        self._past: dict[int, deque[_Sample]] = {}
        self._waiting: deque[_Waiting[Item]] = deque()

    def push(self, time_s: float, faces: Faces, item: Item) -> list[tuple[Item, Faces]]:
        samples = dict(_sample(time_s, face) for face in faces)
        out = []
        if self._waiting and time_s < self._waiting[-1].time_s:  # a source that begins anew
            out = self.flush()
            self._past.clear()
        self._waiting.append(_Waiting(time_s, samples, faces, item))
        while self._waiting[0].time_s + _REACH_S < time_s:
            out.append(self._next())
        return out

    def flush(self) -> list[tuple[Item, Faces]]:
        return [self._next() for _ in range(len(self._waiting))]

    def _next(self) -> tuple[Item, Faces]:
        frame = self._waiting.popleft()
        means = [self._mean(track, sample) for track, sample in frame.samples.items()]
        for track, sample in frame.samples.items():
            self._past.setdefault(track, deque()).append(sample)
        for track, past in list(self._past.items()):
            while past and past[0].time_s < frame.time_s - _REACH_S:
                past.popleft()
            if not past:
                del self._past[track]
        pairs = zip(frame.faces, means, strict=True)
        return frame.item, [self._smoothed(face, mean) for face, mean in pairs]

    def _mean(self, track: int, now: _Sample) -> Values:
        past = [s for s in self._past.get(track, ()) if s.time_s >= now.time_s - _REACH_S]
        ahead = [f.samples[track] for f in self._waiting if track in f.samples]
        near = [*past, now, *(s for s in ahead if s.time_s <= now.time_s + _REACH_S)]
        times = np.array([s.time_s for s in near])
        values = _without_slips(times, np.array([s.values for s in near]))
        apart = np.abs(values - values[len(past)])[:, 0].sum(axis=1) / 2
        far = ((times - now.time_s) / _BREADTH_S) ** 2 + (apart / _LIKE) ** 2
        weights = np.exp(-far / 2)
        return np.asarray(np.tensordot(weights / weights.sum(), values, 1))

    def state(self) -> dict[str, Any]:
        return {
            str(track): [[s.time_s, s.values.tolist()] for s in past]
            for track, past in self._past.items()
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._past = {
            int(track): deque(_Sample(time_s, np.array(values)) for time_s, values in past)
            for track, past in state.items()
        }


def _sample(time_s: float, face: RecognizedFace) -> tuple[int, _Sample]:
    """What is smoothed of a face, under its track."""
    if not isinstance(face, RecognizedFace) or face.track is None:
        raise InputError(
            "smoothing takes faces with a track and emotions: Tracker.follow, Analyzer.recognize"
        )
    rows = [face.emotions.probs, *([face.intensity.values] if face.intensity else [])]
    return face.track, _Sample(time_s, np.array(rows, np.float64))


def _distance(a: Values, b: Values) -> float:
    """The total variation distance of two faces' probabilities, in [0, 1]."""
    return float(np.abs(a[0] - b[0]).sum()) / 2


def _without_slips(times: Values, values: Values) -> Values:
    """Samples (N, 1 or 2, K); what is unlike both its near neighbours, as their mean."""
    if len(values) < 3:
        return values
    steps = np.abs(np.diff(values[:, 0], axis=0)).sum(axis=1) / 2
    alone = np.minimum(steps[:-1], steps[1:]) > _SLIP
    alone &= times[2:] - times[:-2] <= 2 * _BLINK_S
    slips = np.flatnonzero(alone) + 1
    mended = values.copy()
    mended[slips] = (values[slips - 1] + values[slips + 1]) / 2
    return mended
