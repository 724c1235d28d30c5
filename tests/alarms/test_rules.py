"""What a rules.toml may say, and what it is told where it may not."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

from mien.alarms import rules
from mien.errors import ConfigError, UnknownName

RULE = {"name": "pain", "when": "sadness", "above": 0.6, "to": ["text"]}


def parsed(**changes: Any) -> rules.Rule:
    """The rule above with some settings changed; None takes one out."""
    table = {k: v for k, v in (RULE | changes).items() if v is not None}
    return rules.parse({"rule": [table]}).rules[0]


def test_the_shortest_rule() -> None:
    rule = parsed()
    assert rule.text == "pain: sadness above 0.6 for 1 s"
    assert rule.released_at == pytest.approx(0.5)
    assert not rule.is_quiet(datetime.datetime(2026, 1, 1, 3))


@pytest.mark.parametrize(("name", "label"), [("Joy", "happiness"), ("angry", "anger")])
def test_emotions_under_their_usual_other_names(name: str, label: str) -> None:
    assert parsed(when=name).when == label


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"when": "hapiness"}, ["rule 'pain'", "'hapiness'", "did you mean happiness?"]),
        ({"when": "no_faces", "above": None}, ["did you mean no_face?"]),
        ({"when": 3}, ["rule.pain.when is a text, got 3"]),
        ({"above": None}, ["needs above or below"]),
        ({"below": 0.2}, ["needs above or below, one of the two"]),
        ({"above": 1.5}, ["above lies between 0 and 1", "got 1.5"]),
        ({"above": 60}, ["60 percent is 0.6"]),
        ({"above": 0.0}, ["is neither of them"]),
        ({"above": float("nan")}, ["rule.pain.above is a number", "got nan"]),
        ({"release": 0.8}, ["release 0.8 lies over above 0.6", "never rest"]),
        ({"above": None, "below": 0.4, "release": 0.2}, ["release 0.2 lies under below 0.4"]),
        ({"hold_s": -1}, ["hold_s is a number of seconds, zero or more, got -1"]),
        ({"hold_s": float("inf")}, ["rule.pain.hold_s is a number", "got inf"]),
        ({"hold_s": "2 s"}, ["rule.pain.hold_s is a number, got '2 s'"]),
        ({"gap_s": 0}, ["gap_s of 0"]),
        ({"forget_s": 0.1}, ["forget_s 0.1 is shorter than gap_s 0.5"]),
        ({"repeat_s": 0.5}, ["repeat_s is one second or more"]),
        ({"escalate_s": 60}, ["go together"]),
        ({"escalate_s": 60, "escalate_to": ["doctor"]}, ["escalate_to needs repeat_s"]),
        ({"quiet": ["22-25"]}, ["22:00-07:00, got '22-25'"]),
        ({"quiet": ["22:00"]}, ["got '22:00'"]),
        ({"quiet": "22:00-07:00"}, ["rule.pain.quiet is a list"]),
        ({"measure": "strength"}, ["measure is one of probability, intensity"]),
        ({"per": "face"}, ["per is one of any, track"]),
        ({"when": "no_face"}, ["no_face has no level: leave out above"]),
        ({"when": "uncertain", "above": None, "measure": "intensity"}, ["leave out measure"]),
        ({"when": "no_data", "above": None, "per": "track"}, ["nobody's"]),
        ({"to": []}, ["to names nobody"]),
        ({"to": "text"}, ["rule.pain.to is a list"]),
        ({"to": None}, ["missing setting: rule.pain.to"]),
        ({"name": None}, ["missing setting: rule.1.name"]),
        ({"name": "a/b"}, ["none of them / + #"]),
        ({"name": ""}, ["1 to 64 characters"]),
        ({"abvoe": 0.6}, ["no setting called 'rule.pain.abvoe'; did you mean rule.pain.above?"]),
        ({"say": "x" * 501}, ["501 characters"]),
    ],
)
def test_what_cannot_be_meant(changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        parsed(**changes)
    for part in words:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "no rules"),
        ({"rule": []}, "no rules"),
        ({"rule": RULE}, "no rules"),
        ({"rule": [3]}, "rule 1 is no table"),
        ({"rules": [RULE]}, "no table called 'rules'; did you mean rule?"),
        ({"rule": [RULE, RULE]}, "rule 'pain' is there twice"),
        ({"rule": [RULE], "output": {"nurse": "webhook"}}, "output.nurse is a table"),
        ({"rule": [RULE], "output": [1]}, "outputs are tables"),
        ({"rule": [RULE], "labels": "pain"}, "labels is a list of names"),
    ],
)
def test_files_that_are_no_rules(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words.replace("?", r"\?")):
        rules.parse(values)


def test_an_intensity_of_a_recogniser_that_tells_none() -> None:
    table = {"rule": [RULE | {"measure": "intensity"}]}
    assert rules.parse(table).rules[0].measure == "intensity"
    with pytest.raises(ConfigError, match="rule 'pain' waits for an intensity, and the recogniser"):
        rules.parse(table, intensities=False)


def test_words_of_a_personal_recogniser() -> None:
    """The file's own labels, or those of the model in use, which count for more."""
    table = {"name": "hurts", "when": "pain", "above": 0.5, "to": ["text"]}
    assert rules.parse({"labels": ["pain", "neutral"], "rule": [table]}).rules[0].when == "pain"
    assert rules.parse({"rule": [table]}, labels=["pain", "neutral"]).rules[0].when == "pain"
    with pytest.raises(UnknownName):
        rules.parse({"rule": [table]})
    with pytest.raises(ConfigError, match="does not tell sadness; it tells pain, yes"):
        rules.parse({"rule": [RULE]}, labels=["pain", "yes"])


def test_a_file_is_named_in_its_errors(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    with pytest.raises(ConfigError, match="no such file"):
        rules.read(path)
    path.write_text("[[rule]\n")
    with pytest.raises(ConfigError, match="not readable TOML"):
        rules.read(path)
    path.write_text('[[rule]]\nname = "x"\nwhen = "joyy"\nabove = 0.5\nto = ["text"]\n')
    with pytest.raises(UnknownName, match=f"{path}: rule 'x': no emotion called 'joyy'"):
        rules.read(path)


@pytest.mark.parametrize(
    ("hour", "minute", "quiet"),
    [(21, 59, False), (22, 0, True), (23, 59, True), (0, 0, True), (6, 59, True), (7, 0, False)],
)
def test_quiet_hours_over_midnight(hour: int, minute: int, quiet: bool) -> None:
    rule = parsed(quiet=["22:00-07:00"])
    assert rule.is_quiet(datetime.datetime(2026, 11, 25, hour, minute)) is quiet


def test_quiet_hours_within_a_day_and_unknown_times() -> None:
    rule = parsed(quiet=["12:30-14:00", "20:00-21:00"])
    times = [(12, 29), (12, 30), (13, 59), (14, 0), (20, 30)]
    assert [rule.is_quiet(datetime.datetime(2026, 1, 1, *t)) for t in times] == [
        *(False, True, True, False),
        True,
    ]
    assert not rule.is_quiet(None)


@pytest.mark.parametrize("word", ["uncertain", "face", "no_data", "intensity_joy"])
def test_words_of_ones_own_that_mean_something_else(word: str) -> None:
    with pytest.raises(ConfigError, match=f"'{word}' is no label"):
        rules.parse({"labels": ["pain", word], "rule": [{}]})
