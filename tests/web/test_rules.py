"""The page's rules, tried out there, against those that ``mien live --rules`` carries out."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from mien.alarms import rules, sight
from mien.alarms.watch import Call, Moment, Watch
from mien.config import parse_toml
from mien.faces.quality import LOW

from ..browser import node

WEB = node.WEB
_ROLLDOWN = WEB / "node_modules" / "rolldown" / "bin" / "cli.mjs"
_PROGRAM = """
import {{ readFileSync }} from "node:fs";
import {{ Watch, toml }} from {rules};
const {{ rule, labels, films }} = JSON.parse(readFileSync(0, "utf8"));
const heard = films.map((film) => {{
  const watch = new Watch(rule);
  return film.map((record) => [watch.hear(record), watch.state === "alarm", watch.knows]);
}});
console.log(JSON.stringify({{ heard, toml: toml(rule, labels) }}));
"""

Film = list[dict[str, Any]]
Ask = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """What the page makes of a rule: as a file, and of films."""
    if why := node.missing():
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("rules")
    entry, program = folder / "entry.ts", folder / "program.mjs"
    entry.write_text(_PROGRAM.format(rules=json.dumps(str(WEB / "page" / "src" / "rules.ts"))))
    bundle = ["node", str(_ROLLDOWN), str(entry), "--file", str(program), "--platform", "node"]
    subprocess.run(bundle, cwd=WEB, check=True, capture_output=True, timeout=300)

    def asked(rule: dict[str, Any], films: list[Film] = [], labels: list[str] = []) -> Any:  # noqa: B006
        told = json.dumps({"rule": rule, "films": films, "labels": labels})
        command = ["node", str(program)]
        done = subprocess.run(command, input=told, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return asked


def rule(**changes: Any) -> dict[str, Any]:
    """As the page has one."""
    return {"when": "fear", "above": 0.6, "release": 0.45, "holdS": 1, "say": ""} | changes


def face(fear: float, picture_quality: float = 0.9, label: str = "fear") -> dict[str, Any]:
    more = {"intensity": None, "uncertain": False, "track": None}
    return {"emotions": {label: fear}, "picture_quality": picture_quality} | more


def record(time_s: float, *faces: dict[str, Any], status: str = "ok") -> dict[str, Any]:
    begin = {"schema": "mien/2", "source": "camera", "time_s": time_s}
    return begin | {"status": status, "faces": list(faces)}


def film(seed: int) -> Film:
    """Minutes of one face or two, who come and go, turn away, and are lost; at any speed."""
    chance = random.Random(seed)
    step_s = chance.choice([0.04, 0.1, 0.4, 2.0])
    time_s, level, found = 0.0, 0.5, []
    for _ in range(600):
        time_s += step_s * chance.choice([1, 1, 1, 1, 1, 1, 2, 5])
        if chance.random() < 0.01:
            time_s += chance.choice([0.7, 3.0, 7.0])
        level = min(1.0, max(0.0, level + chance.uniform(-0.08, 0.1)))
        level = chance.choice([0.45, 0.6, 0.2]) if chance.random() < 0.03 else level
        faces = [face(level, chance.choice([0.9, 0.9, 0.9, LOW, LOW - 0.01]))]
        if chance.random() < 0.2:
            faces.append(face(chance.random(), chance.choice([0.9, 0.1])))
        if (kind := chance.random()) < 0.1:
            found.append(record(time_s, status="no_face"))
        elif kind < 0.15:
            found.append(record(time_s, status="error"))
        else:
            found.append(record(time_s, *faces))
    return found


def carried_out(found: rules.Rules, records: Film) -> list[bool]:
    """At which records ``mien live --rules`` would call."""
    watch = Watch(found, Moment(0.0))
    return [
        any(isinstance(event, Call) for event in watch.see(sight.of_record(one), moment))
        for one, moment in ((one, Moment(one["time_s"])) for one in records)
    ]


@pytest.mark.parametrize("release", [0.45, 0.6])
@pytest.mark.parametrize("hold_s", [0.5, 1, 2])
def test_the_page_calls_when_its_file_would(ask: Ask, release: float, hold_s: float) -> None:
    films = [film(seed) for seed in range(12)]
    told = ask(rule(release=release, holdS=hold_s), films)
    (read,) = parse_toml(told["toml"].encode())["rule"]
    found = rules.parse({"rule": [read | {"every_s": 0}]})
    for records, heard in zip(films, told["heard"], strict=True):
        assert [begins for begins, _, _ in heard] == carried_out(found, records)
    assert sum(begins for heard in told["heard"] for begins, _, _ in heard) > 20


def test_nobody_and_whom_nobody_can_read_end_no_alarm(ask: Ask) -> None:
    steady = [record(i / 10, face(0.9)) for i in range(20)]
    away = [record(2 + i / 10) for i in range(20)] + [record(4, face(0.1), face(0.1, 0.1))]
    back = [record(4.1, face(0.9)), record(4.2, face(0.1))]
    ((*on, over),) = ask(rule(), [steady + away + back])["heard"]
    assert [begins for begins, _, _ in on].count(True) == 1
    assert all(is_on for _, is_on, _ in on[10:])
    assert not over[1]


def test_after_five_seconds_without_a_face_it_begins_anew(ask: Ask) -> None:
    steady = [record(i / 10, face(0.9)) for i in range(20)]
    away = [record(2 + i / 10) for i in range(60)]
    (heard,) = ask(rule(), [steady + away])["heard"]
    ends = [i for i, (one, two) in enumerate(pairwise(heard)) if one[1] and not two[1]]
    assert ends == [69]  # at 7 s: more than five behind the last look


def test_it_is_told_of_a_word_that_the_recogniser_has_not_learnt(ask: Ask) -> None:
    films = [[record(0.1)], [record(0.1, face(0.9, label="yes"))], [record(0.1, face(0.9))]]
    heard = ask(rule(), films)["heard"]
    assert [film[-1][2] for film in heard] == [True, False, True]


@pytest.mark.parametrize("when", ["fear", "+", "a/b", "#1", 'say "no"', "ü \\ ✓", "x" * 40])
@pytest.mark.parametrize("say", ["", "Es tut\tweh \\o/", 'She is "smiling"', "a\x7fb", "\ud83d!"])
def test_every_file_that_the_page_saves_is_one(ask: Ask, when: str, say: str) -> None:
    labels = [] if when == "fear" else ["neutral", when]
    saved = ask(rule(when=when, say=say), labels=labels)["toml"]
    (read,) = rules.parse(parse_toml(saved.encode())).rules
    assert (read.when, read.above, read.release, read.hold_s) == (when, 0.6, 0.45, 1.0)
    assert read.say == say.replace("\x7f", "").replace("\ud83d", "")
