"""Emotion vocabularies: names, order and aliases of every data set and tool mien speaks to.

An index means nothing without its label set: FER2013's 0 is anger, FER+'s is neutral. So arrays
over labels never leave a module without a ``LabelSet``, and this is the only place where names
and orders are written down. The orders are those the owners publish; two could not be checked
against the owner's own documents: CK+'s order, and whether RAF-DB counts from 0 or 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import ConfigError, ShapeError, UnknownName

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

CANONICAL = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
"""mien's own names, in FER+'s order."""

NOT_EMOTIONS = ("unknown", "not_a_face")
"""What taggers may say instead of an emotion: no label set holds them, a data table may."""

RESERVED = frozenset(
    {
        *("source", "frame", "time_s", "status", "reason", "face", "faces", "track", "box"),
        *("x0", "y0", "x1", "y1", "score", "landmarks", "emotions", "top"),
        *("picture_quality", "confidence"),  # the same, in records of mien/1
        *("uncertain", "intensity", "quality", "timestamp", "n_faces", "width", "height"),
        "prediction_set",
        *("first_s", "last_s", "frames", "seen_s", "set_size", "set_single"),  # of summaries
        *("no_face", "no_data"),  # what rules may wait for
    }
)
"""What records, summaries and rules call other things: a word would be taken for that."""

BETWEEN = "|"
"""Between labels in one cell of a table, as pandas' ``str.get_dummies`` takes them apart."""

_RESERVED_BEGINNINGS = ("intensity_", "quality_")

_ALIASES = {
    "neutral": ("calm", "neutrality", "ne"),
    "happiness": ("happy", "joy", "joyful", "smile", "ha", "hap"),
    "surprise": ("surprised", "su", "sur"),
    "sadness": ("sad", "sa"),
    "anger": ("angry", "an", "ang"),
    "disgust": ("disgusted", "di", "dis"),
    "fear": ("fearful", "afraid", "scared", "fe", "fea"),
    "contempt": ("contemptuous", "scorn", "co"),
    "unknown": ("unk",),
    "not_a_face": ("nf", "not a face", "noface"),
}
_BY_NAME = {alias: name for name, aliases in _ALIASES.items() for alias in (name, *aliases)}


def canonical(name: str) -> str:
    """mien's own name for a label; raises UnknownName with the nearest one.

    Examples
    --------
    >>> canonical("Joy"), canonical("ANGRY"), canonical("fearful")
    ('happiness', 'anger', 'fear')
    """
    key = name.strip().lower().replace("-", "_")
    if key not in _BY_NAME:
        raise UnknownName("label", name, _BY_NAME)
    return _BY_NAME[key]


@dataclass(frozen=True, slots=True)
class LabelSet:
    """An ordered vocabulary.

    Attributes
    ----------
    name
        How it is called in recipes, model files and on the command line.
    labels
        mien's own names in this vocabulary's order.
    native
        The owner's spelling, same order, for import and export.
    first
        The owner's number for the first label (RAF-DB counts from 1).
    """

    name: str
    labels: tuple[str, ...]
    native: tuple[str, ...]
    first: int = 0

    def __post_init__(self) -> None:
        if len(self.labels) != len(self.native) or len(set(self.labels)) != len(self.labels):
            raise ShapeError(f"label set {self.name}: labels must be unique and match native names")

    def __len__(self) -> int:
        return len(self.labels)

    def index(self, label: str) -> int:
        """Position of a label under any of its aliases; raises UnknownName."""
        name = canonical(label) if label not in self.labels else label
        if name not in self.labels:
            raise UnknownName(f"label in {self.name}", label, self.labels)
        return self.labels.index(name)

    def permutation_from(self, other: LabelSet) -> npt.NDArray[np.intp]:
        """Indices ``p`` such that ``values[..., p]`` turns ``other``'s order into this one.

        Raises UnknownName where ``other`` lacks one of this set's labels.
        """
        import numpy as np

        return np.array([other.index(label) for label in self.labels], dtype=np.intp)


def _label_set(name: str, native: Sequence[str], first: int = 0) -> LabelSet:
    return LabelSet(name, tuple(canonical(n) for n in native), tuple(native), first)


LABEL_SETS = {
    s.name: s
    for s in (
        LabelSet("mien8", CANONICAL, CANONICAL),
        _label_set("ferplus", [*CANONICAL]),
        _label_set("fer2013", ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]),
        _label_set(
            "affectnet",
            ["Neutral", "Happy", "Sad", "Surprise", "Fear", "Disgust", "Anger", "Contempt"],
        ),
        _label_set(
            "rafdb",
            ["Surprise", "Fear", "Disgust", "Happiness", "Sadness", "Anger", "Neutral"],
            first=1,
        ),
        _label_set(
            "ckplus",
            ["neutral", "anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise"],
        ),
        _label_set(
            "emotiefflib",
            [
                "Anger",
                "Contempt",
                "Disgust",
                "Fear",
                "Happiness",
                "Neutral",
                "Sadness",
                "Surprise",
            ],
        ),
        _label_set(
            "pyfeat1",
            ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"],
        ),
        _label_set(
            "pyfeat2",
            ["Neutral", "Happy", "Sad", "Surprise", "Fear", "Disgust", "Anger"],
        ),
        _label_set(
            "openface3",
            ["Neutral", "Happy", "Sad", "Surprise", "Fear", "Disgust", "Anger", "Contempt"],
        ),
        _label_set(
            "faceapi",
            ["neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised"],
        ),
        _label_set(
            "deepface",
            ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"],
        ),
        _label_set(
            "iliev2022",
            ["anger", "disgust", "fear", "happiness", "sadness", "surprise"],
        ),
        _label_set("jaffe", ["happy", "sad", "surprise", "angry", "disgust", "fear", "neutral"]),
    )
}


def label_set(name: str) -> LabelSet:
    """The vocabulary called ``name``; raises UnknownName.

    Examples
    --------
    >>> label_set("fer2013").labels[:3]
    ('anger', 'disgust', 'fear')
    """
    if name not in LABEL_SETS:
        raise UnknownName("label set", name, LABEL_SETS)
    return LABEL_SETS[name]


def subset(labels: Sequence[str], name: str = "custom") -> LabelSet:
    """A vocabulary of one's own from any names the registry knows."""
    names = tuple(canonical(label) for label in labels)
    return LabelSet(name, names, tuple(labels))


def own(labels: Sequence[str], name: str = "own") -> LabelSet:
    """A vocabulary of one's own in which a word the registry does not know stands for itself.

    Raises ConfigError for a word that records call something else.

    Examples
    --------
    >>> own(["joy", "pain", "Neutral"]).labels
    ('happiness', 'pain', 'neutral')
    """
    words = tuple(word(label) for label in labels)
    for told in words:
        check_word(told)
    return LabelSet(name, words, tuple(labels))


def check_word(told: str) -> None:
    """Raises ConfigError for a word that records, summaries or rules call something else.

    Examples
    --------
    >>> check_word("face")
    Traceback (most recent call last):
    mien.errors.ConfigError: 'face' is no label: records call something else that; take another
    """
    if BETWEEN in told:
        raise ConfigError(f"'{told}' is no label: '{BETWEEN}' parts the labels of a prediction set")
    if told in RESERVED or told.startswith(_RESERVED_BEGINNINGS):
        raise ConfigError(f"'{told}' is no label: records call something else that; take another")


def word(label: str) -> str:
    """mien's own name for a label, or the word itself, in small letters, where it has none."""
    try:
        return canonical(label)
    except UnknownName:
        return " ".join(label.lower().split())
