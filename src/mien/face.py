"""The nouns: a picture, a face in it, and what its expression shows.

Each stage of the pipeline takes one of these and returns a copy with one more field filled;
``None`` means *not run yet*. No face is an empty list, never the whole picture dressed as a face.
Left and right are the subject's.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InputError, ShapeError
from .labels import LabelSet

FloatArray = npt.NDArray[np.float32]
ImageArray = npt.NDArray[np.uint8]
_DIGITS = 5  # of a number that is written down
_SLACK = 1e-3  # what rounding may do to a share


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture.

    Attributes
    ----------
    rgb
        (H, W, 3) uint8, RGB.
    index
        0-based position in its source; 0 for a still.
    time_s
        Seconds from the start of the source by its own clock; 0 for a still.
    source
        Where it came from, as the user named it.
    reduced
        How many pixels of the picture, each way, one of ``rgb`` stands for: it may have been
        decoded smaller (``mien.media.image.read_reduced``).
    whole
        (width, height) of the picture then. None where ``rgb`` is all of it.
    """

    rgb: ImageArray
    index: int = 0
    time_s: float = 0.0
    source: str = ""
    reduced: int = 1
    whole: tuple[int, int] | None = None

    @staticmethod
    def known(frame: object) -> Frame:
        """The frame itself; raises InputError for a picture that is none yet."""
        if isinstance(frame, Frame):
            return frame
        raise InputError(
            f"this takes a mien.Frame, got {type(frame).__name__}; mien.read_frame() makes one of "
            "a path, the bytes of a file or an RGB array"
        )

    def __post_init__(self) -> None:
        if not isinstance(self.rgb, np.ndarray):
            raise ShapeError(f"a frame is (H, W, 3) uint8 RGB, got {type(self.rgb).__name__}")
        if self.rgb.dtype != np.uint8 or self.rgb.ndim != 3 or self.rgb.shape[2] != 3:
            raise ShapeError(
                f"a frame is (H, W, 3) uint8 RGB, got {self.rgb.shape} {self.rgb.dtype}; "
                "mien.media.image.read() turns other pictures into one"
            )
        if 0 in self.rgb.shape:
            raise ShapeError(f"a frame needs at least one pixel, got {self.rgb.shape}")

    @property
    def height(self) -> int:
        return int(self.rgb.shape[0])

    @property
    def width(self) -> int:
        return int(self.rgb.shape[1])

    @property
    def picture_size(self) -> tuple[int, int]:
        """(width, height) of the picture, however small it was decoded."""
        return self.whole or (self.width, self.height)


@dataclass(frozen=True, slots=True, eq=False)
class Emotions:
    """Probabilities over one label set, for one face.

    Attributes
    ----------
    label_set
        What each of them is of.
    probs
        (K,) float32, each in [0, 1], summing to 1. Never percent, never logits.
    """

    label_set: LabelSet
    probs: FloatArray

    def __post_init__(self) -> None:
        k = len(self.label_set)
        if self.probs.shape != (k,):
            raise ShapeError(
                f"probs must be ({k},) for {self.label_set.name}, got {self.probs.shape}"
            )
        shares = self.probs.tolist()  # plain numbers, here and below: it is done for every face
        total = sum(shares)
        if not math.isfinite(total) or abs(total - 1.0) > _SLACK or min(shares) < 0.0:
            raise ShapeError(
                f"probs must be in [0, 1] and sum to 1, got sum {total:.3f} - logits or percent?"
            )

    @property
    def top(self) -> tuple[str, float]:
        """The likeliest label and its probability."""
        i = int(self.probs.argmax())
        return self.label_set.labels[i], float(self.probs[i])

    def as_dict(self) -> dict[str, float]:
        """Each label's probability, in the label set's order."""
        return dict(zip(self.label_set.labels, self.probs.tolist(), strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class Intensity:
    """How strongly each label shows on one face; none depends on the others.

    Attributes
    ----------
    label_set
        What each of them is of.
    values
        (K,) float32, each in [0, 1].
    """

    label_set: LabelSet
    values: FloatArray

    def __post_init__(self) -> None:
        k = len(self.label_set)
        if self.values.shape != (k,):
            raise ShapeError(
                f"intensities must be ({k},) for {self.label_set.name}, got {self.values.shape}"
            )
        values = self.values.tolist()
        low, high = min(values), max(values)
        if not (low >= -_SLACK and high <= 1 + _SLACK):
            raise ShapeError(f"intensities lie in [0, 1], got {low:.3f} to {high:.3f} - logits?")

    def as_dict(self) -> dict[str, float]:
        """Each label's intensity, in the label set's order."""
        return dict(zip(self.label_set.labels, self.values.tolist(), strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class Crop:
    """Where the picture that a recogniser reads lies in its frame; see ``mien.faces.align``.

    matrix : (2, 3) float64, takes points of the frame to points of the crop.
    size : the crop's side in pixels of its own.
    """

    matrix: npt.NDArray[np.float64]
    size: int

    def __post_init__(self) -> None:
        if self.matrix.shape != (2, 3) or self.size < 1:
            raise ShapeError(
                f"a crop is a (2, 3) matrix and a size of at least one pixel, "
                f"got {self.matrix.shape} and {self.size}"
            )


@dataclass(frozen=True, slots=True)
class Quality:
    """What can be said of a face's picture before asking what it shows.

    Attributes
    ----------
    size_px
        Side of the crop the recogniser sees, in pixels of the picture.
    sharpness
        Standard deviation of the Laplacian of the crop at 48 x 48, in gray levels.
    brightness
        Mean gray level in [0, 1].
    contrast
        Standard deviation of the gray levels, in [0, 1].
    inside
        Share of the crop that lies inside the picture, in [0, 1].
    yaw_rad, pitch_rad, roll_rad
        How the head is turned: to the subject's left, upwards, clockwise. None without landmarks.
    tilt_rad
        How far it is turned in the crop: its roll less the crop's own. None without landmarks.
    """

    size_px: float
    sharpness: float
    brightness: float
    contrast: float
    inside: float
    yaw_rad: float | None = None
    pitch_rad: float | None = None
    roll_rad: float | None = None
    tilt_rad: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face in one frame.

    Attributes
    ----------
    box
        (4,) float32, x0 y0 x1 y1 in pixels of the frame, x1 and y1 exclusive.
    score
        How sure the detector is, in [0, 1].
    landmarks
        (68, 2) float32, x y in pixels, whole in the middle of a pixel, in iBUG's order. None where
        nobody placed them.
    crop
        What the recogniser sees; it may reach outside the picture. None until placed, and where
        the picture itself is the crop.
    emotions
        None until recognised.
    quality
        None until measured.
    picture_quality
        How good the picture of this face is, in [0, 1]: see ``mien.faces.quality``. It does not
        know what hides a face, nor whether the answer is right. None until measured.
    uncertain
        The answer falls short of the model's own threshold, or the picture of it does.
    intensity
        How strongly each label of ``emotions`` shows. None where the model does not tell.
    track
        The same number for the same face in every frame of a recording, from 1. None in a still.
    prediction_set
        The expressions among which the raters' answer is, with the coverage asked for, likeliest
        first (``mien.expression.sets``). None where no coverage was asked for.
    """

    box: FloatArray
    score: float
    landmarks: FloatArray | None = None
    crop: Crop | None = None
    emotions: Emotions | None = None
    quality: Quality | None = None
    picture_quality: float | None = None
    uncertain: bool | None = None
    intensity: Intensity | None = None
    track: int | None = None
    prediction_set: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.box.shape != (4,):
            raise ShapeError(f"a box is x0 y0 x1 y1, got an array of shape {self.box.shape}")
        x0, y0, x1, y1 = self.box.tolist()
        if not (x1 > x0 and y1 > y0):
            raise ShapeError(f"a box needs x1 > x0 and y1 > y0, got {self.box.tolist()} - w and h?")
        if not 0.0 <= self.score <= 1.0:
            raise ShapeError(f"a detector score lies in [0, 1], got {self.score}")
        if self.landmarks is not None and self.landmarks.shape != (68, 2):
            raise ShapeError(f"landmarks are (68, 2) x y, got an array of {self.landmarks.shape}")

    @property
    def confidence(self) -> float | None:
        """``picture_quality`` by its name in records of mien/1; DeprecationWarning."""
        warnings.warn(
            "Face.confidence is called Face.picture_quality, which is what it measures; how likely "
            "the answer is right, Face.emotions.top tells",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.picture_quality

    def in_picture(self, frame: Frame) -> Face:
        """The same face in pixels of the picture that a reduced frame shows."""
        if frame.reduced == 1:
            return self
        width, height = frame.picture_size
        times = np.float32(frame.reduced)
        box = np.minimum(self.box * times, np.array([width, height] * 2, np.float32))
        # Whole coordinates of points are in the middle of a pixel, a box's at its edge.
        points = None if self.landmarks is None else (self.landmarks + 0.5) * times - 0.5
        crop = self.crop
        if crop:
            middle = crop.matrix[:, :2].sum(axis=1) * (0.5 / frame.reduced - 0.5)
            matrix = np.column_stack(
                [crop.matrix[:, :2] / frame.reduced, crop.matrix[:, 2] + middle]
            )
            crop = Crop(matrix, crop.size)
        return replace(self, box=box, landmarks=points, crop=crop)

    def as_dict(self) -> dict[str, Any]:
        """What a record holds of it: numbers and texts that JSON takes, None for what is not known.

        See ``docs/results.md``. Numbers have five digits behind the point, pixels two.
        """
        emotions, intensity = self.emotions, self.intensity
        return {
            "track": self.track,
            "box": [_rounded(v, 2) for v in self.box.tolist()],
            "score": _rounded(self.score),
            "landmarks": None if self.landmarks is None else _pixels(self.landmarks),
            "emotions": _all_rounded(emotions.as_dict()) if emotions else None,
            "top": emotions.top[0] if emotions else None,
            "picture_quality": _rounded(self.picture_quality),
            "uncertain": self.uncertain,
            "intensity": _all_rounded(intensity.as_dict()) if intensity else None,
            "quality": _all_rounded(_measures(self.quality)) if self.quality else None,
            "prediction_set": None if self.prediction_set is None else list(self.prediction_set),
        }


@dataclass(frozen=True, slots=True, eq=False)
class RecognizedFace(Face):
    """A face as ``Analyzer.analyze`` gives it: what it shows, and how well it was seen, is there.

    ``emotions``, ``quality``, ``picture_quality`` and ``uncertain`` are never None.
    """

    emotions: Emotions = field(kw_only=True)
    quality: Quality = field(kw_only=True)
    picture_quality: float = field(kw_only=True)
    uncertain: bool = field(kw_only=True)

    @classmethod
    def of(
        cls,
        face: Face,
        emotions: Emotions,
        quality: Quality,
        picture_quality: float,
        uncertain: bool,
        intensity: Intensity | None = None,
        prediction_set: tuple[str, ...] | None = None,
    ) -> RecognizedFace:
        """The same face with what was read of it."""
        return cls(
            face.box,
            face.score,
            face.landmarks,
            face.crop,
            emotions=emotions,
            quality=quality,
            picture_quality=picture_quality,
            uncertain=uncertain,
            intensity=intensity,
            track=face.track,
            prediction_set=prediction_set,
        )

    @classmethod
    def from_dict(cls, told: dict[str, Any], label_set: LabelSet) -> RecognizedFace:
        """The face that a record tells of, to the digits it has; of no crop, which it does not.

        label_set : of ``emotions``, in the record's order.
        """
        points, strengths, among = told["landmarks"], told["intensity"], told["prediction_set"]
        return cls(
            np.array(told["box"], np.float32),
            told["score"],
            None if points is None else np.array(points, np.float32),
            emotions=Emotions(label_set, _values(told["emotions"], label_set)),
            quality=Quality(**told["quality"]),
            picture_quality=told["picture_quality"],
            uncertain=told["uncertain"],
            intensity=strengths and Intensity(label_set, _values(strengths, label_set)),
            track=told["track"],
            prediction_set=None if among is None else tuple(among),
        )


def _measures(quality: Quality) -> dict[str, float | None]:
    """By name; ``dataclasses.asdict`` copies each, which is a third of a record's time."""
    return {name: getattr(quality, name) for name in _MEASURES}


_MEASURES = tuple(measure.name for measure in fields(Quality))


def _values(told: dict[str, float], label_set: LabelSet) -> FloatArray:
    return np.array([told[label] for label in label_set.labels], np.float32)


def _pixels(points: FloatArray) -> list[list[float | None]]:
    """Points to a hundredth of a pixel, all of them at once: it is done for every frame."""
    rounded: list[list[float | None]] = np.round(points.astype(np.float64), 2).tolist()
    if np.isfinite(points).all():
        return rounded
    return [[_rounded(v, 2) for v in point] for point in points]


def _all_rounded(values: dict[str, Any]) -> dict[str, float | None]:
    return {
        name: None if v is None or not math.isfinite(v) else round(float(v), _DIGITS)
        for name, v in values.items()
    }


def _rounded(value: float | None, digits: int = _DIGITS) -> float | None:
    """A float JSON can hold: it knows no NaN and no infinity."""
    return None if value is None or not math.isfinite(value) else round(float(value), digits)
