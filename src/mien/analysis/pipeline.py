"""The stages in order: picture -> faces -> crops -> expressions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Integral
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from ..errors import ConfigError, ModelError
from ..expression import sets
from ..expression.baserates import BaseRates, default_for
from ..expression.recognize import ModelInfo, Recognizer, recognizers
from ..face import Emotions, Face, FloatArray, Frame, ImageArray, Intensity, RecognizedFace
from ..faces import align, detect, quality
from ..faces.finder import Finder, pixels
from ..faces.landmarker import Placed
from ..faces.landmarks import NET_SIDE
from ..later import Later
from ..media import image
from ..media.image import Picture
from ..weights.catalogue import DEFAULT_MODEL

if TYPE_CHECKING:
    from ..expression.explain import Explainer


_MOST_THREADS = 1024  # of one call; ten thousand keep a machine busy for minutes with themselves
_PLAIN: tuple[tuple[str, Any, str], ...] = (
    ("model", str | os.PathLike, "the name of a model or its file"),
    ("detector", str, "the name of a detector"),
    ("crops", bool, "True or False"),
    ("align", str | None, "the name of an alignment, or None"),
    ("threads", Integral, "a whole number"),
    ("person", str | None, "a person's name, or None"),
)
"""Settings, what each may be, and how that is said."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What an analysis is made with; plain values, so that it travels to other processes.

    Attributes
    ----------
    model
        A catalogue name (``mien models list``) or a model file.
    detector
        "auto", or one of "mien", "yunet", "haar".
    base_rates
        What the probabilities are turned to; None: three quarters of the way to equal where the
        model knows its training rates, else nothing.
    crops
        Each picture is one face, cut already; no detector runs.
    align
        How a face is cut: "box", "similarity", "xu2019" or "mouth"; None: as the model was trained.
        A face without landmarks is always cut by its box.
    threads
        Within one call of ONNX Runtime and OpenCV. 0 leaves it to OpenCV, and is one in ONNX
        Runtime: a face takes it 2 ms, starting its threads 40.
    person
        Whose own recogniser is used instead (``mien person train``); None for nobody's.
    coverage
        With each face the smallest set of expressions that holds the raters' answer at least this
        often, from 0.5 to 0.999 (``mien.expression.sets``). None for no sets.
    """

    model: str = DEFAULT_MODEL
    detector: str = "auto"
    base_rates: BaseRates | None = None
    crops: bool = False
    align: str | None = None
    threads: int = 0
    person: str | None = None
    coverage: float | None = None

    def __post_init__(self) -> None:
        for name, kinds, what in _PLAIN:
            if not isinstance(value := getattr(self, name), kinds):
                raise ConfigError(f"{name} is {what}, got {value!r}")
        if not 0 <= self.threads <= _MOST_THREADS:
            raise ConfigError(f"threads lie between 0 and {_MOST_THREADS}, got {self.threads}")
        if self.base_rates is not None and not isinstance(self.base_rates, BaseRates):
            raise ConfigError(
                f"base_rates is a mien.BaseRates, got {self.base_rates!r}; "
                f"write mien.BaseRates({self.base_rates!r})"
            )
        if self.person is not None and self.model != DEFAULT_MODEL:
            raise ConfigError("--person reads with that person's recogniser; leave --model out")
        if self.coverage is not None:
            sets.asked(self.coverage)

    @property
    def networks(self) -> Settings:
        """These without what only says how answers are read: alike where networks are."""
        return replace(self, base_rates=None, align=None, coverage=None)


_ENOUGH = 2  # pixels of a face for one of the network's: as many as cutting averages over


class Analyzer:
    """Reads the expressions in pictures; owns its detector and its model.

    Threads may share one. It does not travel to other processes; its ``settings`` do.

    ``settings`` say what it is made with; without them it is made as the command line's is.
    ``recognizer`` and ``detector`` may be handed in, which is how tests bring fakes. With
    ``wait=False`` the model loads while the first frame is searched, and what is wrong with it or
    with the base rates is raised where ``recognizer`` is first needed, not here.

    Examples
    --------
    >>> import numpy as np
    >>> Analyzer().analyze(np.zeros((64, 64, 3), np.uint8))
    []
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        recognizer: Recognizer | None = None,
        detector: detect.FaceDetector | None = None,
        wait: bool = True,
    ) -> None:
        self.settings = Settings() if settings is None else settings
        if not isinstance(self.settings, Settings):
            raise ConfigError(
                f"settings is a mien.Settings, got {settings!r}; "
                "write mien.Analyzer(mien.Settings(model=...))"
            )
        for setting, given in (("model", recognizer), ("detector", detector)):
            if isinstance(given, str):
                raise ConfigError(
                    f"this takes no names, got {given!r}; "
                    f"write mien.Analyzer(mien.Settings({setting}={given!r}))"
                )
        self._model = Later(lambda: self._load(recognizer), begin=False)
        if self.settings.threads:
            import cv2

            cv2.setNumThreads(self.settings.threads)
        self._align = align.known(self.settings.align)
        if detector is None and not self.settings.crops:
            detector = detect.build(self.settings.detector)
        self._finder = Finder(detector, self.settings.threads or 1)
        if wait:
            self.wait()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "an Analyzer does not travel to another process, and cannot be copied; its settings "
            "do, and each process makes its own of them: mien.Analyzer(settings)"
        )

    def sharing(self, settings: Settings) -> Analyzer:
        """One with other base rates, cut or coverage, and with this one's networks.

        For a program that reads with many settings at once and keeps one model in memory.
        """
        assert settings.networks == self.settings.networks, "these need networks of their own"
        made = Analyzer(settings, recognizer=self.recognizer, detector=self.detector)
        made._finder = self._finder
        return made

    @property
    def detector(self) -> detect.FaceDetector | None:
        """None where each picture is one face, cut already."""
        return self._finder.detector

    @property
    def alignment(self) -> str:
        """How faces are cut: as asked, or else as the model was trained."""
        return self._align or self.recognizer.info.align

    def wait(self) -> None:
        """Come back when the model can be used; raises what is wrong with it."""
        self._model.get()

    def _load(self, recognizer: Recognizer | None) -> tuple[Recognizer, BaseRates]:
        recognizer = recognizer or self._named()
        rates = self.settings.base_rates or default_for(recognizer.info.base_rates)
        self._check_coverage(recognizer.info, rates)
        # Base rates the model cannot use are an error here, once, not one for every picture; and
        # what becomes of their file later is nothing to it.
        rates = rates.read(recognizer.info.label_set)
        recognizer.probabilities([], rates)
        return recognizer, rates

    def _check_coverage(self, info: ModelInfo, rates: BaseRates) -> None:
        """Raises ModelError, ConfigError where nothing can be promised of prediction sets."""
        if self.settings.coverage is None:
            return
        known = info.prediction_sets
        if known is None:
            raise ModelError(
                f"{info.name} was not calibrated for prediction sets (--coverage); calibrate it on "
                "labelled faces that it has not learnt from: "
                "mien calibrate MODEL faces.parquet --split NAME --out calibrated.onnx"
            )
        if rates != known.rates:
            raise ConfigError(
                f"the prediction sets of {info.name} hold at {known.rates} base rates, and this "
                f"asks for {rates}; leave --base-rates and --strength out, or --coverage"
            )

    def check_unsmoothed(self) -> None:
        """Raises ConfigError where prediction sets are asked for: smoothing would break them."""
        if self.settings.coverage is not None:
            raise ConfigError(
                "prediction sets (--coverage) hold for answers as the model gives them, and "
                "smoothing changes these; leave one of the two out"
            )

    def _named(self) -> Recognizer:
        wanted = self.settings
        source, name = (
            ("model", wanted.model) if wanted.person is None else ("person", wanted.person)
        )
        return recognizers.build(source, name, wanted.threads or 1)

    @property
    def recognizer(self) -> Recognizer:
        """Its model; ``recognizer.info`` says what that is."""
        return self._model.get()[0]

    @property
    def base_rates(self) -> BaseRates:
        """What its probabilities are turned to."""
        return self._model.get()[1]

    @property
    def coverage(self) -> float | None:
        """How often its prediction sets hold the raters' answer; None where it makes none."""
        return self.settings.coverage

    @cached_property
    def explainer(self) -> Explainer:
        """Says where its model looks; raises ModelError for a model that cannot be explained."""
        from ..expression import explain

        return explain.Explainer(self.recognizer, self.settings.threads or 1)

    def analyze(self, picture: Picture) -> list[RecognizedFace]:
        """The faces of a file, its bytes, or an RGB array, best found first; [] for none.

        Raises ImageError for a picture that cannot be read, ShapeError for an unfit array.
        """
        return self.recognize(*self.look(picture))

    def look(self, picture: Picture, name: str = "") -> tuple[Frame, list[Face]]:
        """A picture and the faces found in it, nothing recognised yet.

        A large JPEG is decoded smaller, unless a face in it is too small then.
        name : of bytes, for records and errors.
        """
        frame = image.read_reduced(picture, name)
        faces = self.find(frame)
        if self.needs_whole(frame, faces):
            frame = image.read_frame(picture, name)
            faces = self.find(frame)
        return frame, faces

    def needs_whole(self, frame: Frame, faces: Sequence[Face]) -> bool:
        """Whether a frame was decoded so small that one of its faces has too few pixels."""
        return frame.reduced > 1 and any(_side(f) < _ENOUGH * self._read_at for f in faces)

    @property
    def _read_at(self) -> int:
        """Pixels of the side of the largest network that reads a face."""
        return max(self.recognizer.info.preprocess.size, NET_SIDE)

    def analyze_frame(self, frame: Frame) -> list[RecognizedFace]:
        """The faces of a frame with everything filled in."""
        return self.recognize(frame, self.find(frame))

    def find(self, frame: Frame, known: Sequence[Face] = ()) -> list[Face]:
        """The faces of a frame with their landmarks; nothing recognised yet.

        ``known`` are faces with landmarks that are placed in it already.
        """
        frame = Frame.known(frame)
        self._model.begin()  # the search leaves Python's lock alone: the time to load a model
        return self._finder.find(frame, None if self.detector else self.alignment, known)

    def find_again(self, frame: Frame, boxes: FloatArray, rolls: list[float]) -> Placed:
        """The landmarks of faces known from the frame before, without a search.

        boxes : (N, 4) float32, where each face's landmarks are expected, as if it were level;
        rolls : how far each is turned, in radians. As ``landmarks.leveled_box`` has both.
        """
        return self._finder.again(frame, boxes, rolls)

    def recognize(self, frame: Frame, faces: Sequence[Face]) -> list[RecognizedFace]:
        """The same faces with crop, emotions, intensity and quality.

        Of a frame that was decoded smaller, in pixels of the picture.
        """
        frame = Frame.known(frame)
        recognizer, rates = self._model.get()
        size, labels = recognizer.info.preprocess.size, recognizer.info.label_set
        alignment = self._align or recognizer.info.align
        faces = [self._finder.framed(face, alignment, size) for face in faces]
        crops = [pixels(frame, face) for face in faces]
        read = recognizer.read(crops, rates)
        strengths = [None] * len(faces) if read.intensity is None else read.intensity
        members = self._sets(read.probs)
        return [
            self._judged(
                frame,
                face,
                crop,
                Emotions(labels, probs),
                None if strength is None else Intensity(labels, strength),
                among,
            )
            for face, crop, probs, strength, among in zip(
                faces, crops, read.probs, strengths, members, strict=True
            )
        ]

    def _sets(self, probs: FloatArray) -> Sequence[tuple[str, ...] | None]:
        """Each face's prediction set, likeliest first; None for each where none is asked for."""
        coverage, info = self.settings.coverage, self.recognizer.info
        if coverage is None or info.prediction_sets is None:
            return [None] * len(probs)
        labels, inside = info.label_set.labels, info.prediction_sets.of(probs, coverage)
        return [
            tuple(labels[k] for k in np.argsort(-p, kind="stable") if among[k])
            for p, among in zip(probs, inside, strict=True)
        ]

    def _judged(
        self,
        frame: Frame,
        face: Face,
        crop: ImageArray,
        emotions: Emotions,
        intensity: Intensity | None,
        prediction_set: tuple[str, ...] | None,
    ) -> RecognizedFace:
        measured = quality.measure(frame, face, crop)
        good = quality.picture_quality(face.score, measured)
        least = self.recognizer.info.uncertain_below
        uncertain = quality.uncertain(emotions.top[1], least, good)
        return RecognizedFace.of(
            face.in_picture(frame),
            emotions,
            measured,
            good,
            uncertain,
            intensity,
            prediction_set,
        )


def _side(face: Face) -> float:
    """A face's shorter side, in pixels of its frame."""
    return float((face.box[2:] - face.box[:2]).min())
