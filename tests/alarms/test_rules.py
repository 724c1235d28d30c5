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
        ({"name": "a/b"}, ["none is / + #"]),
        ({"name": ""}, ["1 to 64 characters"]),
        ({"abvoe": 0.6}, ["no setting called 'rule.pain.abvoe'; did you mean rule.pain.above?"]),
        ({"say": "x" * 501}, ["501 characters"]),
        ({"labels": ["pain"]}, ["labels stands at the top of the file"]),
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
        ({"rule": [RULE], "output": {" ": {"kind": "text"}}}, "an output has a name"),
        ({"rule": [RULE], "output": {"a\nb": {"kind": "text"}}}, "an output has a name"),
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


# -- every number of a rule ------------------------------------------------------------------------


def test_what_a_rule_says_of_itself_where_it_says_nothing() -> None:
    rule = parsed()
    assert (rule.measure, rule.per, rule.say) == ("probability", "any", "")
    assert (rule.hold_s, rule.every_s) == (1.0, 60.0)
    assert (rule.gap_s, rule.forget_s, rule.repeat_s, rule.escalate_s) == (None,) * 4
    assert (rule.quiet, rule.escalate_to, rule.outputs) == ((), (), ("text",))


@pytest.mark.parametrize(
    ("changes", "released_at"),
    [
        ({"above": 0.6}, 0.5),
        ({"above": 0.2}, 0.1),
        ({"above": 0.15}, 0.075),  # half of it, where a tenth less is nearly nothing
        ({"above": 0.6, "release": 0.3}, 0.3),
        ({"above": 0.6, "release": 0.6}, 0.6),
        ({"above": None, "below": 0.4}, 0.5),
        ({"above": None, "below": 0.8}, 0.9),
        ({"above": None, "below": 0.9}, 0.95),
        ({"above": None, "below": 0.4, "release": 0.7}, 0.7),
        ({"above": None, "below": 0.4, "release": 0.4}, 0.4),
    ],
)
def test_where_it_is_over_again(changes: dict[str, Any], released_at: float) -> None:
    rule = parsed(**changes)
    assert rule.released_at == pytest.approx(released_at)
    assert rule.level == (changes["above"] or changes["below"])


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"hold_s": 2}, "sadness above 0.6 for 2 s"),
        ({"hold_s": 0.25}, "sadness above 0.6 for 0.25 s"),
        ({"above": None, "below": 0.2}, "sadness below 0.2 for 1 s"),
        ({"measure": "intensity"}, "sadness intensity above 0.6 for 1 s"),
        ({"when": "uncertain", "above": None}, "an uncertain face for 1 s"),
        ({"when": "no_face", "above": None}, "no face for 1 s"),
        ({"when": "no_data", "above": None}, "no usable picture for 1 s"),
    ],
)
def test_what_it_waits_for_in_words(changes: dict[str, Any], text: str) -> None:
    assert parsed(**changes).condition == text
    assert parsed(**changes).text == f"pain: {text}"
    assert parsed(**changes, say="Come!").text == "Come!"


def test_every_output_once_in_order() -> None:
    both = {"repeat_s": 5, "escalate_s": 9, "escalate_to": ["doctor", "text", "pager"]}
    rule = parsed(to=["text", "nurse"], **both)
    assert rule.outputs == ("text", "nurse", "doctor", "pager")
    found = rules.parse({"rule": [RULE | {"name": "b", "to": ["pager", "text"]}, RULE]})
    assert found.named_outputs == ("pager", "text")
    assert found.rule("pain") is found.rules[1]
    assert found.rule("nothing") is None


@pytest.mark.parametrize(
    ("changes", "spacing_s", "gap", "forget"),
    [
        ({}, 0.0, 0.5, 5.0),
        ({}, 0.04, 0.5, 5.0),
        ({}, 0.4, 0.6, 5.0),
        ({}, 2.0, 3.0, 10.0),
        ({"gap_s": 0.2}, 2.0, 0.2, 10.0),
        ({"gap_s": 20}, 2.0, 20, 20),
        ({"gap_s": 20}, 0.0, 20, 20),
        ({"forget_s": 0.5}, 2.0, 3.0, 0.5),
        ({"forget_s": 30}, 0.1, 0.5, 30),
    ],
)
def test_gaps_and_forgetting_follow_the_frames_where_it_does_not_say(
    changes: dict[str, Any], spacing_s: float, gap: float, forget: float
) -> None:
    rule = parsed(**changes)
    assert rule.gap(spacing_s) == pytest.approx(gap)
    assert rule.forget(spacing_s) == pytest.approx(forget)
    if not spacing_s:
        assert (rule.gap(), rule.forget()) == (gap, forget)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "x" * 64},
        {"name": "ä, b. c"},
        {"say": "x" * 500},
        {"above": 0.001},
        {"above": 0.999},
        {"hold_s": 0},
        {"every_s": 0},
        {"gap_s": 0, "hold_s": 0},
        {"gap_s": 2, "forget_s": 2},
        {"forget_s": 0.5},
        {"repeat_s": 1},
        {"repeat_s": 1, "escalate_s": 0, "escalate_to": ["x"]},
        {"quiet": ["22:00-07:00", "12:00:30-12:01"]},
        {"quiet": ["00:00-12:00", "12:00:01-00:00"]},
        {"name": "Müde 👩\u200d⚕\ufe0f"},
        {"repeat_s": 5.0, "escalate_s": 9.0, "escalate_to": ["text", "doctor"]},
        {"quiet": [" 22:00 - 07:00 "]},
        {"when": "uncertain", "above": None, "per": "track"},
    ],
)
def test_what_can_be_meant(changes: dict[str, Any]) -> None:
    for name, value in changes.items():
        told = getattr(parsed(**changes), name)
        assert told == (tuple(value) if isinstance(value, list) else value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "x" * 65}, "1 to 64 characters"),
        ({"name": "a\x1fb"}, "control one"),
        ({"name": "a\x7fb"}, "control one"),
        ({"name": "a\x85b"}, "control one"),
        ({"name": "  "}, "not only blanks"),
        ({"name": "a+b"}, "none is"),
        ({"name": "a#b"}, "none is"),
        ({"above": 1.0}, "got 1$"),
        ({"above": 1.5}, "got 1.5; 1.5 percent is 0.015"),
        ({"above": 100.0}, "got 100; 100 percent is 1$"),
        ({"above": 101.0}, "got 101$"),
        ({"above": -0.5}, "got -0.5$"),
        ({"above": None, "below": 1.0}, "below lies between 0 and 1"),
        ({"release": 0.0}, "release lies between 0 and 1"),
        ({"release": 0.61}, "would never rest"),
        ({"above": None, "below": 0.4, "release": 0.39}, "would never rest"),
        ({"when": "no_data", "above": None, "release": 0.5}, "leave out release"),
        ({"when": "no_face", "above": None, "per": "track"}, "nobody's"),
        ({"when": "no_face", "above": None, "below": 0.5, "release": 0.6}, "out below, release"),
        ({"every_s": -1}, "every_s is a number of seconds"),
        ({"gap_s": -1}, "gap_s is a number of seconds"),
        ({"forget_s": -1}, "forget_s is a number of seconds"),
        ({"repeat_s": -1}, "repeat_s is a number of seconds"),
        ({"repeat_s": 5, "escalate_s": -1, "escalate_to": ["x"]}, "escalate_s is a number"),
        ({"gap_s": 3, "forget_s": 2.9}, "forget_s 2.9 is shorter than gap_s 3"),
        ({"repeat_s": 0.99}, "repeat_s is one second or more"),
        ({"repeat_s": 5, "escalate_to": ["x"]}, "go together"),
        ({"to": ["text", "nurse", "text"]}, "to names text twice"),
        ({"repeat_s": 5, "escalate_s": 9, "escalate_to": ["x", "x"]}, "escalate_to names x twice"),
        ({"repeat_s": 5, "escalate_s": 9, "escalate_to": ["text"]}, "who is the second contact"),
        ({"quiet": ["00:00-12:00", "12:00-00:00"]}, "leaves no time of the day"),
        ({"quiet": ["20:00-09:00", "08:00-14:00", "13:59:59-21:00"]}, "leaves no time of the day"),
        ({"quiet": ["07:00-07:00"]}, "got '07:00-07:00'"),
        ({"quiet": ["07:00+01:00-08:00"]}, "got"),
        ({"quiet": ["07:00-08:00-09:00"]}, "got"),
        ({"quiet": ["07:00Z-08:00"]}, "got"),
        ({"quiet": ["07:00-08:00Z"]}, "got"),
    ],
)
def test_what_lies_just_beyond(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parsed(**changes)
    assert str(caught.value).startswith(f"rule '{changes.get('name', 'pain')}': ")
    assert caught.match(words)


@pytest.mark.parametrize(
    ("now", "quiet", "left_s"),
    [
        ((22, 0, 0), ["22:00-07:00"], 9 * 3600),
        ((6, 59, 30), ["22:00-07:00"], 30),
        ((23, 59, 59, 500_000), ["22:00-00:00"], 0.5),
        ((12, 0, 0), ["11:00-12:30", "11:00-12:10:05"], 605),
        ((7, 0, 0), ["22:00-07:00"], 0),
        ((7, 0, 1), ["22:00-07:00"], 86_399),
    ],
)
def test_when_quiet_ends(now: tuple[int, ...], quiet: list[str], left_s: float) -> None:
    wall = datetime.datetime(2026, 11, 25, *now)  # type: ignore[arg-type]
    assert parsed(quiet=quiet).quiet_ends_s(wall) == pytest.approx(left_s)


def test_without_quiet_hours_none_end() -> None:
    assert parsed().quiet_ends_s(datetime.datetime(2026, 1, 1)) == float("inf")


def test_the_output_tables_stand_as_they_are() -> None:
    tables = {"nurse": {"kind": "webhook", "url": "https://x"}, "b": {}}
    assert rules.parse({"rule": [RULE], "output": tables}).outputs == tables
    assert rules.parse({"rule": [RULE]}).outputs == {}


def test_conditions_and_labels_go_before_other_names() -> None:
    """A word of one's own that is also another name of an emotion stays one's own."""
    for name in ("uncertain", "no_face", "no_data"):
        assert parsed(when=name, above=None).when == name
    labels = ["joy", "neutral"]
    assert rules.parse({"labels": labels, "rule": [RULE | {"when": "joy"}]}).rules[0].when == "joy"
    assert parsed(when="joy").when == "happiness"


@pytest.mark.parametrize("value", [[], ["pain", 3], {}, 5])
def test_labels_that_are_no_names(value: Any) -> None:
    with pytest.raises(ConfigError, match="labels is a list of names"):
        rules.parse({"labels": value, "rule": [RULE]})


def test_an_unknown_name_is_told_with_all_there_are() -> None:
    with pytest.raises(UnknownName) as caught:
        rules.parse({"labels": ["pain", "yes"], "rule": [RULE | {"when": "qqqq"}]})
    assert caught.value.known == ("pain", "yes", "uncertain", "no_face", "no_data")
    assert caught.value.name == "qqqq"


def test_a_file_is_named_once(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text('[[rule]]\nname = "x"\nwhen = "joy"\nabove = 2\nto = ["text"]\n')
    for _ in range(2):
        with pytest.raises(ConfigError) as caught:
            rules.read(path)
        assert str(caught.value).count(str(path)) == 1
        assert str(caught.value).startswith(f"{path}: rule 'x': above lies")
    path.write_text(
        '[[rule]]\nname = "x"\nwhen = "joy"\nabove = 0.5\nmeasure = "intensity"\nto = ["a"]'
    )
    assert rules.read(path).rules[0].when == "happiness"
    with pytest.raises(ConfigError, match="waits for an intensity"):
        rules.read(path, intensities=False)
    with pytest.raises(ConfigError, match="does not tell happiness"):
        rules.read(path, labels=["pain"])
