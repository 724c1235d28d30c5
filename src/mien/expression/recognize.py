"""Crops -> probabilities and intensities, through ONNX Runtime.

A model file carries what is needed to use it, under the metadata key ``mien``: label set,
preprocessing, temperature, training base rates, threshold of certainty, how to tell intensities and
to make prediction sets, figures, licence. Files of other makers get theirs from the catalogue.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .. import foreign
from ..config import from_dict
from ..errors import InputError, ModelError, UnknownName
from ..face import FloatArray, ImageArray
from ..faces.align import DEFAULT, known
from ..jsontext import parse
from ..labels import LabelSet, label_set, own, subset
from ..media.preprocess import Preprocess, batch
from ..registry import Registry
from ..weights import catalogue
from ..weights.session import METADATA_KEY, Session
from . import intensity
from .baserates import BaseRates, reweight
from .logits import calibrated, softmax
from .sets import PredictionSets
from .typical import Typical

METADATA_SCHEMA = "mien-model/1"
_SETTINGS = 16  # base rates that a program reads with by turns, at most
_CHUNK = 64  # faces at once: enough to fill the cores, little enough to keep memory flat
_LONGEST_S = 60.0  # for two faces at the start: a hundred times what a large network needs
_LONGEST_NAME = 200  # characters


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a model file says of itself.

    temperature, offsets : the probabilities are ``softmax(logits / temperature + offsets)``, one
        offset per label (Guo et al. 2017); None for no offsets.
    look_again_below : a face whose top probability is smaller is read a second time, mirrored,
        and the logits averaged. An expression has no handedness, but a network has; looking twice
        only where it matters costs about a quarter more instead of double.
    base_rates : how often each label occurred in training, (K,) summing to 1; None if unknown.
    uncertain_below : an answer with a smaller top probability is uncertain.
    align : how the faces it was trained on were cut, a name of ``mien.faces.align.ALIGNMENTS``.
    strengths : how intensities follow from its answers; None where it cannot tell them.
    prediction_sets : how they are made; None where it was not calibrated for them.
    typical : where its answers lie for each expression; None where nobody measured it.
    card : figures, training data, licence: what the model card shows.
    """

    name: str
    label_set: LabelSet
    preprocess: Preprocess
    sha256: str
    temperature: float = 1.0
    offsets: tuple[float, ...] | None = None
    look_again_below: float = 0.0
    base_rates: tuple[float, ...] | None = None
    uncertain_below: float = 0.5
    align: str = DEFAULT
    strengths: intensity.Strengths | None = None
    prediction_sets: PredictionSets | None = None
    typical: Typical | None = None
    card: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What a model says of N crops.

    probs : (N, K) float32 over its label set, rows summing to 1.
    intensity : (N, K) float32, each in [0, 1] apart from the others; None if it cannot tell.
    """

    probs: FloatArray
    intensity: FloatArray | None = None


class Recognizer(Protocol):
    """Anything that turns crops into probabilities."""

    info: ModelInfo

    def read(self, crops: Sequence[ImageArray], rates: BaseRates) -> Reading:
        """Probabilities and intensities for N crops (H, W, 3) uint8 RGB, from one look."""
        ...

    def probabilities(self, crops: Sequence[ImageArray], rates: BaseRates) -> FloatArray:
        """The probabilities of ``read`` alone."""
        ...


recognizers: Registry[Recognizer] = Registry(
    "source of recognisers",
    {
        "model": "mien.expression.recognize:load_model",
        "person": "mien.person.recognizer:recognizer",
    },
)
"""Where recognisers are found. A factory takes one's name there, and threads of ONNX Runtime."""


class OnnxRecognizer:
    """A model file in ONNX Runtime.

    content : the file's bytes, kept for ``mien.expression.explain``; name : what an error calls it.
    input : the name of its graph's input.
    info : what the file says of itself, where it carries none of mien's metadata.
    threads : of ONNX Runtime within one call; 0 leaves it to the library.
    """

    def __init__(
        self,
        content: bytes,
        name: str,
        sha256: str,
        info: ModelInfo | None = None,
        threads: int = 0,
    ) -> None:
        self.content = content
        self._session, self._name = Session(content, name, threads), name
        self.info = info or read_info(self._session.metadata.get(METADATA_KEY), name, sha256)
        self.input = self._checked_input(name)
        self._weights = lru_cache(_SETTINGS)(self._weigh)

    def _checked_input(self, name: str) -> str:
        """The name of the graph's input; raises ModelError for a graph that does not fit info."""
        spec, labels = self.info.preprocess, self.info.label_set
        said = (spec.channels, spec.size, spec.size), (len(labels),)
        inputs, outputs = self._session.inputs, self._session.outputs
        takes = [_fits(side.shape, said[0]) for side in inputs]
        if takes != [True] or not outputs or not _fits(outputs[0].shape, said[1]):
            raise ModelError(
                f"{name} says that it turns (N, *{said[0]}) into (N, {len(labels)}), but its graph "
                f"takes {[i.shape for i in inputs]} and gives {[o.shape for o in outputs]}"
            )
        return str(inputs[0].name)

    def try_out(self) -> None:
        """Read two gray faces, so that a model that cannot is told before anybody's; ModelError.

        A graph is only known to run when it ran: it may lack an operation for its types, fail for
        more than one face, answer what is no number, or never end.
        """
        spec, labels = self.info.preprocess, self.info.label_set
        gray = np.full((2, spec.channels, spec.size, spec.size), 128, np.float32)
        answers = self._session.tried({self.input: gray}, _LONGEST_S)[0]
        if answers.shape != (2, len(labels)) or not np.isfinite(answers).all():
            raise ModelError(
                f"{self._name} answers two gray faces with {foreign.shown(answers.tolist())}; "
                f"expected {len(labels)} numbers for each"
            )

    def logits(self, crops: Sequence[ImageArray]) -> FloatArray:
        """(N, K) float32 of one look at each face, before calibration and base rates."""
        return self._stacked(self.answer(x) for x in self._chunks(crops))

    def probabilities(self, crops: Sequence[ImageArray], rates: BaseRates) -> FloatArray:
        return self.read(crops, rates).probs

    def read(self, crops: Sequence[ImageArray], rates: BaseRates) -> Reading:
        looks = [self._look(x) for x in self._chunks(crops)]
        probs = self._stacked(told for _, told in looks)
        strengths = self.info.strengths
        return Reading(
            reweight(probs, self._weights(rates)),
            strengths.of(self._stacked(logits for logits, _ in looks)) if strengths else None,
        )

    def _weigh(self, rates: BaseRates) -> FloatArray:
        """What probabilities are multiplied by; a recording asks for every frame."""
        info = self.info
        training = None if info.base_rates is None else np.array(info.base_rates, np.float32)
        return rates.weights(info.label_set, training)

    def _chunks(self, crops: Sequence[ImageArray]) -> Iterator[FloatArray]:
        for i in range(0, len(crops), _CHUNK):
            yield batch(crops[i : i + _CHUNK], self.info.preprocess)

    def _stacked(self, parts: Iterator[FloatArray]) -> FloatArray:
        kept = list(parts)
        if len(kept) == 1:
            return kept[0]
        return np.concatenate([np.empty((0, len(self.info.label_set)), np.float32), *kept])

    def answer(self, x: FloatArray) -> FloatArray:
        return self._session.run([self._session.outputs[0].name], {self.input: x})[0]

    def _look(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Logits and probabilities of prepared faces; of two looks where the first is unsure."""
        logits = self.answer(x)
        probs = self._calibrated(logits)
        unsure = probs.max(axis=1) < self.info.look_again_below
        if unsure.any():
            mirrored = np.ascontiguousarray(x[unsure, :, :, ::-1])
            logits[unsure] = (logits[unsure] + self.answer(mirrored)) / 2
            probs = self._calibrated(logits)
        return logits, probs

    def _calibrated(self, logits: FloatArray) -> FloatArray:
        return softmax(calibrated(logits, self.info.temperature, self.info.offsets))


def _fits(shape: Sequence[int | str | None], wanted: tuple[int, ...]) -> bool:
    """Whether a graph's shape is any N of ``wanted``; a name or None stands for any number."""
    return len(shape) == 1 + len(wanted) and all(
        not isinstance(side, int) or side == want
        for side, want in zip(shape, ("N", *wanted), strict=True)
    )


def read_info(text: str | None, name: str, sha256: str) -> ModelInfo:
    """A model file's metadata; raises ModelError where it is absent, damaged or foreign."""
    if text is None:
        raise ModelError(
            f"{name} does not say its labels and preprocessing (no '{METADATA_KEY}' metadata); "
            "export it with: mien export"
        )
    try:
        meta = foreign.table(parse(text), "it")
        schema = meta["schema"]
        if schema == METADATA_SCHEMA:
            return _info(meta, sha256)
    except (KeyError, ValueError, InputError) as err:
        what = f"no {err}" if isinstance(err, KeyError) else err
        raise ModelError(
            f"{name} has damaged metadata ({what}); export it anew with: mien export"
        ) from err
    raise ModelError(
        f"{name} has metadata of schema {foreign.shown(schema)}; this mien reads {METADATA_SCHEMA}"
    )


def _info(meta: dict[str, Any], sha256: str) -> ModelInfo:
    """Raises KeyError, ValueError or InputError for metadata that is none."""
    labels = _labels(meta)
    rates = foreign.listed(meta["base_rates"], "base_rates", len(labels))
    offsets = meta.get("offsets")
    moved = None if offsets is None else foreign.listed(offsets, "offsets", len(labels))
    align = meta.get("align", DEFAULT)
    return ModelInfo(
        name=_named(meta["name"], "its name"),
        label_set=labels,
        preprocess=from_dict(Preprocess, foreign.table(meta["preprocess"], "preprocess")),
        sha256=sha256,
        temperature=foreign.positive(meta["temperature"], "temperature"),
        offsets=None if moved is None else tuple(foreign.number(v, "an offset") for v in moved),
        look_again_below=_share(meta.get("look_again_below", 0), "look_again_below"),
        base_rates=tuple(foreign.positive(rate, "a base rate") for rate in rates),
        uncertain_below=_share(meta["uncertain_below"], "uncertain_below"),
        align=known(foreign.word(align, "align")) or DEFAULT,
        strengths=_strengths(meta.get("intensity"), len(labels)),
        prediction_sets=_sets(meta.get("prediction_sets")),
        typical=_typical(meta.get("typical"), len(labels)),
        card=foreign.table(meta["card"], "card"),
    )


def _labels(meta: dict[str, Any]) -> LabelSet:
    vocabulary = own if meta.get("own_words") else subset  # a person's may say "pain", or "yes"
    said = foreign.listed(meta["labels"], "labels")
    if len(said) < 2:
        raise ValueError(f"labels are at least two, got {foreign.shown(said)}")
    return vocabulary([_named(v, "a label") for v in said], _named(meta["label_set"], "label_set"))


def _named(value: object, what: str) -> str:
    """A name that may stand in a table, on a terminal, in a file: what can be seen, and short."""
    name = foreign.word(value, what)
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise ValueError(f"{what} is a word or two, got {foreign.shown(name)}")
    return name


def _share(value: object, what: str) -> float:
    return foreign.number(value, what, 0, 1)


def _strengths(values: object, labels: int) -> intensity.Strengths | None:
    if values is None:
        return None
    found = intensity.from_dict(foreign.table(values, "intensity"))
    if found.weights is not None and len(found.offsets) != labels:
        raise ValueError(f"intensities of {len(found.offsets)} labels out of {labels}")
    return found


def _sets(values: object) -> PredictionSets | None:
    told = None if values is None else foreign.table(values, "prediction_sets")
    return None if told is None else PredictionSets.from_dict(told)


def _typical(values: object, labels: int) -> Typical | None:
    if values is None:
        return None
    rows = foreign.listed(values, "typical", labels)
    return tuple(None if row is None else _numbers(row, labels) for row in rows)


def _numbers(row: object, count: int) -> tuple[float, ...]:
    return tuple(foreign.number(v, "typical") for v in foreign.listed(row, "typical", count))


def load_model(
    name_or_path: str | Path = catalogue.DEFAULT_MODEL, threads: int = 0
) -> OnnxRecognizer:
    """The recogniser of a catalogue name, of a model file on MIEN_MODELS, or of a model file.

    Raises UnknownName with the nearest name, WeightsMissing, or ModelError for a damaged file.
    """
    name, path = str(name_or_path), Path(name_or_path)
    if name not in catalogue.CATALOGUE:
        path = _file(name)
        try:
            content = foreign.content(path, catalogue.MOST_BYTES)
        except OSError as err:
            raise ModelError(f"cannot read model {path}: {err.strerror}") from err
        found = OnnxRecognizer(content, name, catalogue.sha256(content), threads=threads)
        found.try_out()
        return found
    row = catalogue.spec(name)
    if row.kind != "recognizer":
        raise ModelError(f"{row.name} is a {row.kind}, not a model that reads expressions")
    path, content = catalogue.read(row)
    if path.suffix == ".hdf5":
        content = _keras_as_onnx(path)
    return OnnxRecognizer(content, name, row.sha256, _catalogue_info(row), threads)


def _file(name: str) -> Path:
    """The file of a model that is no row of the catalogue: of its name on MIEN_MODELS, or a path.

    Raises UnknownName, and ModelError for a folder and where a card says that there is no model.
    """
    path, there = Path(name), catalogue.own()
    if name in there:
        return there[name]
    if path.is_dir():
        raise ModelError(
            f"{name} is a folder; a model is one file, as mien export writes it, or a name of: "
            "mien models list"
        )
    if path.suffix == ".onnx" or path.exists():
        return path
    if reason := catalogue.why_none(name):
        raise ModelError(f"'{name}' is no model: {reason}")
    raise UnknownName("model", name, (*catalogue.CATALOGUE, *there))


def _catalogue_info(row: catalogue.WeightSpec) -> ModelInfo | None:
    if row.label_set is None:
        return None  # one of mien's own: its metadata says more
    spec = Preprocess(row.size, row.color)
    card = {"about": row.about, "licence": row.licence}
    return ModelInfo(row.name, label_set(row.label_set), spec, row.sha256, card=card)


def _keras_as_onnx(path: Path) -> bytes:
    from ..weights.keras_import import mini_xception_to_onnx

    serialized: bytes = mini_xception_to_onnx(path).SerializeToString()
    return serialized
