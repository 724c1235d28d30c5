"""Names and orders: literal lists from the owners, and every way from one to another."""

from __future__ import annotations

from array import array
from itertools import permutations

import numpy as np
import pytest

from mien import labels
from mien.alarms.rules import CONDITIONS
from mien.errors import ConfigError, ShapeError, UnknownName
from mien.labels import CANONICAL, LABEL_SETS, LabelSet, canonical, label_set, subset
from mien.results import records, summary

# Pasted from the table of the project's design notes (design/ecosystem.md, part 1), which cites
# the owners; RAF-DB's and CK+'s rows are marked there as not checked against the owner's papers.
PUBLISHED = {
    "mien8": "neutral happiness surprise sadness anger disgust fear contempt",
    "ferplus": "neutral happiness surprise sadness anger disgust fear contempt",
    "fer2013": "angry disgust fear happy sad surprise neutral",
    "affectnet": "Neutral Happy Sad Surprise Fear Disgust Anger Contempt",
    "rafdb": "Surprise Fear Disgust Happiness Sadness Anger Neutral",
    "ckplus": "neutral anger contempt disgust fear happy sadness surprise",
    "emotiefflib": "Anger Contempt Disgust Fear Happiness Neutral Sadness Surprise",
    "pyfeat1": "anger disgust fear happiness sadness surprise neutral",
    "pyfeat2": "Neutral Happy Sad Surprise Fear Disgust Anger",
    "openface3": "Neutral Happy Sad Surprise Fear Disgust Anger Contempt",
    "faceapi": "neutral happy sad angry fearful disgusted surprised",
    "deepface": "angry disgust fear happy sad surprise neutral",
    "iliev2022": "anger disgust fear happiness sadness surprise",  # its tables'
    # The order of the intensity ratings in the owners' table, neutral after them.
    "jaffe": "happy sad surprise angry disgust fear neutral",
}
# Who is meant, in plain words, so that a wrong alias cannot hide behind itself.
MEANT = {
    "neutral": "neutral",
    "happy": "happiness",
    "happiness": "happiness",
    "sad": "sadness",
    "sadness": "sadness",
    "angry": "anger",
    "anger": "anger",
    "fear": "fear",
    "fearful": "fear",
    "disgust": "disgust",
    "disgusted": "disgust",
    "surprise": "surprise",
    "surprised": "surprise",
    "contempt": "contempt",
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_order(name: str) -> None:
    native = PUBLISHED[name].split()
    assert label_set(name).native == tuple(native)
    assert label_set(name).labels == tuple(MEANT[n.lower()] for n in native)


def test_every_set_is_listed_here() -> None:
    assert set(LABEL_SETS) == set(PUBLISHED)


def test_only_rafdb_counts_from_one() -> None:
    assert {s.name: s.first for s in LABEL_SETS.values() if s.first} == {"rafdb": 1}


@pytest.mark.parametrize("name", LABEL_SETS)
def test_names_are_mien_s_own_and_unique(name: str) -> None:
    found = label_set(name)
    assert len(found) == len(set(found.labels)) == len(found.native)
    assert set(found.labels) <= set(CANONICAL)
    assert [found.index(n) for n in found.native] == list(range(len(found)))


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("joy", "happiness"),
        ("Happy", "happiness"),
        ("HAPPINESS", "happiness"),
        ("smile", "happiness"),
        ("  sad\n", "sadness"),
        ("angry", "anger"),
        ("fearful", "fear"),
        ("afraid", "fear"),
        ("disgusted", "disgust"),
        ("surprised", "surprise"),
        ("calm", "neutral"),
        ("contemptuous", "contempt"),
        ("NF", "not_a_face"),
        ("not-a-face", "not_a_face"),
        ("Not a face", "not_a_face"),
        ("unknown", "unknown"),
        # JAFFE's two letters.
        ("AN", "anger"),
        ("DI", "disgust"),
        ("FE", "fear"),
        ("HA", "happiness"),
        ("NE", "neutral"),
        ("SA", "sadness"),
        ("SU", "surprise"),
    ],
)
def test_aliases(alias: str, name: str) -> None:
    assert canonical(alias) == name


def test_no_alias_means_two_things() -> None:
    spellings = [a for name, aliases in labels._ALIASES.items() for a in (name, *aliases)]
    assert len(spellings) == len(set(spellings))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hapiness", "no label called 'hapiness'; did you mean happiness?"),
        ("Suprise", "no label called 'Suprise'; did you mean surprise?"),
        ("xyzzy", "no label called 'xyzzy'; there are: neutral, "),
        ("", "no label called ''; there are: neutral, "),
    ],
)
def test_an_unknown_label_names_the_nearest(name: str, message: str) -> None:
    with pytest.raises(UnknownName) as caught:
        canonical(name)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("name", "nearest"), [("FER2013", "fer2013"), ("ferpluss", "ferplus"), ("raf-db", "rafdb")]
)
def test_an_unknown_set_names_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(UnknownName, match=f"no label set called '{name}'; did you mean {nearest}"):
        label_set(name)


def test_index_takes_any_alias_and_says_what_the_set_lacks() -> None:
    fer2013 = label_set("fer2013")
    assert [fer2013.index(n) for n in ("anger", "angry", "JOY", "neutral")] == [0, 0, 3, 6]
    with pytest.raises(
        UnknownName, match="no label in fer2013 called 'contempt'; there are: anger"
    ):
        fer2013.index("contempt")
    with pytest.raises(UnknownName, match="no label called 'hapy'; did you mean"):
        fer2013.index("hapy")


# What each label is worth in the test below, whatever the order it comes in.
WORTH = {name: 10 * i + 1 for i, name in enumerate(CANONICAL)}
PAIRS = [
    (a, b)
    for a, b in permutations(LABEL_SETS, 2)
    if set(label_set(a).labels) <= set(label_set(b).labels)
]


@pytest.mark.parametrize(("to", "source"), PAIRS)
def test_permutation_takes_each_value_along(to: str, source: str) -> None:
    values = np.array([[WORTH[n] for n in label_set(source).labels]] * 2)
    moved = values[..., label_set(to).permutation_from(label_set(source))]
    assert moved.tolist() == [[WORTH[n] for n in label_set(to).labels]] * 2


def test_permutations_written_out() -> None:
    fer2013, ferplus, raf = map(label_set, ("fer2013", "ferplus", "rafdb"))
    assert fer2013.permutation_from(ferplus).tolist() == [4, 5, 6, 1, 3, 2, 0]
    assert raf.permutation_from(fer2013).tolist() == [5, 2, 1, 3, 4, 0, 6]
    assert label_set("affectnet").permutation_from(ferplus).tolist() == [0, 1, 3, 2, 6, 5, 4, 7]
    assert fer2013.permutation_from(label_set("deepface")).tolist() == list(range(7))


def test_there_is_no_way_to_a_label_the_other_lacks() -> None:
    with pytest.raises(UnknownName, match="no label in fer2013 called 'contempt'"):
        label_set("ferplus").permutation_from(label_set("fer2013"))


def test_subset_keeps_spelling_and_order() -> None:
    three = subset(["Joy", "neutral", "ANGRY"], "mine")
    assert three == LabelSet("mine", ("happiness", "neutral", "anger"), ("Joy", "neutral", "ANGRY"))
    assert three.permutation_from(label_set("ferplus")).tolist() == [1, 0, 4]


def test_a_set_says_each_thing_once() -> None:
    with pytest.raises(ShapeError, match="label set custom: labels must be unique"):
        subset(["joy", "happy"])
    with pytest.raises(ShapeError, match="match native names"):
        LabelSet("odd", ("fear", "anger"), ("fear",))


def test_no_word_of_ones_own_is_one_of_records_summaries_or_rules() -> None:
    """Whatever is beside labels in a table, an object or a rule."""
    recording = summary.Recording("a", ("neutral",), array("d", [0, 1]))
    track = summary.Track(1, array("q", [0]), array("f", [1]), array("f", [1]), array("b", [0]))
    beside = {*summary.shares(recording, track)} - {"neutral"}
    face = {"track", "box", "emotions", "intensity", "quality", "landmarks", "top"}
    for word in {*beside, *face, *CONDITIONS, *records.flat_columns(()), "intensity_joy"}:
        with pytest.raises(ConfigError, match="records call something else that"):
            labels.own(["happy", word])
    assert labels.own(["Pain", "facepalm", "top hat"]).labels == ("pain", "facepalm", "top hat")
