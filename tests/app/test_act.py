"""``mien act`` as a person runs it."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mien.alarms import journal
from mien.app import verbs
from tests.servers import Receiver, free_port, until

RULES = """
[[rule]]
name = "pain"
when = "sadness"
above = 0.6
hold_s = 1
to = ["text"]
say = "I am in pain"
quiet = ["22:00-07:00"]

[[rule]]
name = "gone"
when = "no_face"
hold_s = 2
to = ["text"]
repeat_s = 60
"""


NO_DATA = """
[[rule]]
name = "blind"
when = "no_data"
hold_s = 30
to = ["text"]
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(RULES)
    return path


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    status: int
    out: str
    err: str


Mien = Callable[..., Ended]


@pytest.fixture
def mien(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Mien:
    """The command line in this process, alarms under ``tmp_path``."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setenv("MIEN_HOME", str(tmp_path / "home"))

    def run(*words: object, stdin: bytes = b"") -> Ended:
        monkeypatch.setattr(sys, "argv", ["mien", "act", *map(str, words)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as end:
            verbs.main()
        out, err = capsys.readouterr()
        return Ended(int(end.value.code or 0), out, err)

    return run


def record(time_s: float, sadness: float | None = 0.1, source: str = "a.mp4") -> dict[str, Any]:
    """A frame with one face, or with none."""
    faces = []
    if sadness is not None:
        emotions = {"sadness": sadness, "neutral": 1 - sadness}
        rest = {"picture_quality": 0.9, "uncertain": False, "intensity": None, "track": None}
        faces = [{"emotions": emotions} | rest]
    status = "ok" if faces else "no_face"
    return {
        "schema": "mien/2",
        "source": source,
        "time_s": time_s,
        "status": status,
        "faces": faces,
    }


def recording(path: Path, records: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in records))
    return path


def a_minute() -> list[dict[str, Any]]:
    """Sad from 2 to 5 s, nobody there from 8 to 12 s."""
    levels = {s: 0.9 if 20 <= s <= 50 else None if 80 <= s <= 120 else 0.1 for s in range(600)}
    return [record(s / 10, level) for s, level in levels.items()]


# -- check --------------------------------------------------------------------------------------


def test_check_says_what_it_means(mien: Mien, rules: Path) -> None:
    done = mien("check", rules)
    assert done.status == 0
    text = done.out
    assert "sadness above 0.6 for 1 s" in text
    assert "not 22:00-07:00" in text
    assert "again every 60 s until acknowledged" in text


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"sadness"', '"sadnes"', "no emotion called 'sadnes'; did you mean sadness?"),
        ("above = 0.6", "above = 1.6", "above lies between 0 and 1"),
        ('to = ["text"]', 'to = ["test"]', "no output called 'test'; did you mean text?"),
    ],
)
def test_what_is_wrong_is_a_line_and_status_2(
    mien: Mien, rules: Path, tmp_path: Path, old: str, new: str, words: str
) -> None:
    rules.write_text(RULES.replace(old, new))
    for verb in (["check", rules], ["test", rules, rules], ["run", rules]):
        done = mien(*verb)
        assert done.status == 2
        assert words in done.err
        assert "Traceback" not in done.err


def test_check_finds_what_is_missing_before_the_night(
    mien: Mien, rules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = Receiver()
    port = free_port()
    there = f'[output.nurse]\nkind = "webhook"\nurl = "{receiver.url}"\n'
    gone = f'[output.far]\nkind = "webhook"\nurl = "http://127.0.0.1:{port}/x"\n'
    broker = f'[output.home]\nkind = "mqtt"\nhost = "127.0.0.1"\nport = {port}\n'
    program = '[output.sms]\nkind = "program"\ncommand = ["no-such-program-here"]\n'
    secret = (
        f'[output.locked]\nkind = "webhook"\nurl = "{receiver.url}"\nsecret_env = "NONE_SUCH"\n'
    )
    rules.write_text(RULES + there + gone + broker + program + secret)
    done = mien("check", rules)
    receiver.stop()
    assert done.status == 1
    assert "sadness above 0.6" in done.out
    told = dict(line.split(": ", 1) for line in done.err.splitlines())
    assert told["text"] == "ready"
    assert told["nurse"] == "ready"
    assert told["far"].startswith(f"NOT READY: 127.0.0.1:{port}: connection refused")
    assert told["home"].startswith(f"NOT READY: MQTT broker 127.0.0.1:{port}: cannot be reached")
    assert told["sms"] == "NOT READY: output.sms.command: no program no-such-program-here here"
    assert "NONE_SUCH is not set" in told["locked"]
    assert receiver.got == []  # nobody was called
    monkeypatch.setattr("mien.alarms.mqtt.find_spec", lambda name: None)
    assert "paho-mqtt" in mien("check", rules).err


def test_check_sends_a_test_alarm_to_everyone(mien: Mien, rules: Path, tmp_path: Path) -> None:
    receiver = Receiver()
    more = f'[output.nurse]\nkind = "webhook"\nurl = "{receiver.url}"\n'
    gone = f'[output.gone]\nkind = "webhook"\ngive_up_s = 0.1\nurl = "http://127.0.0.1:{free_port()}"\n'
    rules.write_text(RULES + more + gone)
    done = mien("check", rules, "--send")
    receiver.stop()
    assert done.status == 1
    assert "nurse: delivered" in done.err
    assert "gone: NOT DELIVERED: 127.0.0.1:" in done.err
    assert receiver.data()["text"] == "mien test nurse"


# -- test ---------------------------------------------------------------------------------------


def test_a_rehearsal(mien: Mien, rules: Path, tmp_path: Path) -> None:
    """What would have happened when; nobody is called, nothing is written."""
    records = recording(tmp_path / "a.jsonl", a_minute())
    done = mien("test", rules, records)
    assert done.status == 0
    events = [json.loads(line) for line in done.out.splitlines()]
    assert [(e["time_s"], e["event"], e["rule"]) for e in events] == [
        (3.0, "call", "pain"),
        (5.1, "ended", "pain"),
        (10.0, "call", "gone"),
        (12.1, "ended", "gone"),
    ]
    assert events[0]["value"] == pytest.approx(0.9)
    assert events[0]["to"] == ["text"]
    assert "quiet hours are left out" in done.err
    assert "600 records, 0 of them without anything to go by: 2 alarms, 0 held back" in (done.err)
    assert not (tmp_path / "home").exists()


def test_a_rehearsal_at_night(mien: Mien, rules: Path, tmp_path: Path) -> None:
    records = recording(tmp_path / "a.jsonl", a_minute())
    done = mien("test", rules, records, "--at", "2026-11-25T23:59:50")
    events = [json.loads(line) for line in done.out.splitlines()]
    assert (events[0]["event"], events[0]["why"]) == ("held_back", "quiet hours")
    assert "1 alarm, 1 held back" in done.err
    wrong = mien("test", rules, records, "--at", "midnight")
    assert wrong.status == 2
    assert "--at takes a time such as" in wrong.err


def test_every_source_is_a_recording_by_itself(mien: Mien, rules: Path, tmp_path: Path) -> None:
    both = [record(s / 10, 0.9, f"{name}.mp4") for name in "ab" for s in range(8)]
    done = mien("test", rules, recording(tmp_path / "a.jsonl", both))
    assert done.out == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "line 1 is no JSON"),
        ("source,frame\n", "line 1 is no JSON"),
        ('{"schema": "mien/9"}', "records of mien/9; this mien reads mien/1 and mien/2"),
        ("[1]", "no record of mien"),
        ("[" * 100_000, "line 1 is no JSON: nested too deeply"),
        ('{"a": ' + "1" * 5000 + "}", "line 1 is no JSON"),
        (
            json.dumps(record(5.0)) + "\n" + json.dumps(record(4.0)),
            "time goes back from 5 s to 4 s",
        ),
    ],
)
def test_recordings_that_are_none(
    mien: Mien, rules: Path, tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "a.jsonl").write_text(text)
    done = mien("test", rules, tmp_path / "a.jsonl")
    assert done.status == 2
    assert words in done.err
    missing = mien("test", rules, tmp_path / "none.jsonl")
    assert missing.status == 2
    assert "no such file" in missing.err


@pytest.mark.parametrize("at", [0, 20, -1])
def test_a_line_that_is_no_record_is_counted_and_the_others_are_rehearsed(
    mien: Mien, rules: Path, tmp_path: Path, at: int
) -> None:
    """As ``act run`` does, and ``summary``."""
    lines = [json.dumps(record(i / 10, 0.9)) for i in range(40)]
    (tmp_path / "whole.jsonl").write_text("\n".join(lines) + "\n")
    whole = mien("test", rules, tmp_path / "whole.jsonl")
    lines.insert(at % 41, '{"schema": "mien/2"')
    lines.insert(at % 41, "[" * 100_000)
    (tmp_path / "a.jsonl").write_text("\n".join(lines) + "\n")
    done = mien("test", rules, tmp_path / "a.jsonl")
    assert (done.status, done.out) == (1, whole.out)
    assert f"2 lines were no records; line {at % 41 + 1} is no JSON: nested too deeply" in done.err


@pytest.mark.parametrize("every_s", [0.1, 1.0, 10.0])
def test_a_sampled_recording_raises_one_alarm(
    mien: Mien, rules: Path, tmp_path: Path, every_s: float
) -> None:
    rules.write_text(RULES.replace("hold_s = 1", "hold_s = 0\nevery_s = 0"))
    levels = [0.1] * 5 + [0.9] * 60 + [0.1]
    found = [record(round(i * every_s, 6), level) for i, level in enumerate(levels)]
    done = mien("test", rules, recording(tmp_path / "a.jsonl", found))
    events = [json.loads(line) for line in done.out.splitlines()]
    assert [(e["time_s"], e["event"]) for e in events] == [
        (pytest.approx(5 * every_s), "call"),
        (pytest.approx(65 * every_s), "ended"),
    ]


def test_the_same_moment_in_three_zones(
    mien: Mien, rules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half past ten at night on this machine, and an hour later in the night of the change."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    records = recording(tmp_path / "a.jsonl", a_minute())
    for at in ("2026-11-25T22:30", "2026-11-25T21:30Z", "2026-11-25T16:30-05:00"):
        done = mien("test", rules, records, "--at", at)
        assert json.loads(done.out.splitlines()[0])["why"] == "quiet hours", at
    for at in ("2026-11-25T12:00", "2026-11-25T11:00Z"):
        done = mien("test", rules, records, "--at", at)
        first = json.loads(done.out.splitlines()[0])
        assert first["time"] == "2026-11-25T12:00:03.000+01:00"
    late = [record(t, 0.9 if t > 7199 else 0.1) for t in range(7190, 7210)]
    rules.write_text(RULES.replace("22:00-07:00", "03:30-04:00"))
    done = mien(
        *("test", rules, recording(tmp_path / "b.jsonl", late)), "--at", "2026-03-29T01:30:00"
    )  # two hours later it is half past four
    assert json.loads(done.out.splitlines()[0])["event"] == "call"
    monkeypatch.undo()
    time.tzset()


def test_a_gap_of_weeks_takes_no_time(mien: Mien, rules: Path, tmp_path: Path) -> None:
    """Nobody for 29 days: what is due in them is due, and nothing else is looked at."""
    rules.write_text(RULES.replace("repeat_s = 60", "repeat_s = 86400") + NO_DATA)
    found = [record(float(i), None) for i in range(5)] + [record(29 * 86_400.0)]
    began = time.monotonic()
    done = mien("test", rules, recording(tmp_path / "a.jsonl", found))
    assert time.monotonic() - began < 5
    events = [json.loads(line) for line in done.out.splitlines()]
    gone = [e for e in events if e["rule"] == "gone"]
    assert [e["event"] for e in gone] == ["call", "ended", *["call"] * 28]
    blind = [(e["time_s"], e["event"]) for e in events if e["rule"] == "blind"]
    assert blind == [(34.0, "call"), (29 * 86_400.0, "ended")]
    far = recording(tmp_path / "b.jsonl", [record(0.0), record(1e12)])
    done = mien("test", rules, far)
    assert done.status == 2
    assert "time_s is in seconds" in done.err


def test_a_rehearsal_on_a_table(mien: Mien, rules: Path, tmp_path: Path) -> None:
    head = "source,frame,time_s,status,face,track,picture_quality,uncertain,sadness,neutral"
    rows = [f"a.mp4,{i},{i / 10},ok,0.0,1.0,0.9,FALSE,0.9,0.1" for i in range(30)]
    (tmp_path / "a.csv").write_text("\n".join([head, *rows]))
    done = mien("test", rules, tmp_path / "a.csv")
    assert [json.loads(line)["time_s"] for line in done.out.splitlines()] == [1.0]


# -- run, ack, alarms ---------------------------------------------------------------------------


def test_records_from_a_pipe(mien: Mien, rules: Path, tmp_path: Path) -> None:
    rules.write_text(RULES.replace("hold_s = 1", "hold_s = 0").replace("quiet", "# quiet"))
    stdin = "".join(json.dumps(r) + "\n" for r in (record(0, 0.9), record(0.1, 0.9)))
    done = mien("run", rules, stdin=stdin.encode())
    assert done.status == 0, done.err
    assert "ALARM I am in pain" in done.err
    assert "1 alarm, 1 delivered, 0 undelivered, 0 held back" in done.err
    listed = mien("alarms").out
    assert "I am in pain" in listed
    assert "delivered" in listed


def alarms_of(said: str) -> int:
    return int(said.rsplit(" alarm", 1)[0].rsplit(maxsplit=1)[-1])


@pytest.mark.parametrize("hold_s", [1, 2.5, 3.5])
def test_a_film_is_not_over_before_its_alarm_is_one(
    mien: Mien, rules: Path, tmp_path: Path, hold_s: float
) -> None:
    """A minute in no time: run raises what test says it would have, by the film's own time."""
    rules.write_text(RULES.split('[[rule]]\nname = "gone"')[0].replace("quiet", "# quiet"))
    rules.write_text(rules.read_text().replace("hold_s = 1", f"hold_s = {hold_s}"))
    film = recording(tmp_path / "a.jsonl", a_minute())
    would = mien("test", rules, film)
    began = time.monotonic()
    done = mien("run", rules, stdin=film.read_bytes())
    assert time.monotonic() - began < 30
    assert done.status == 0, done.err
    assert (
        alarms_of(done.err.splitlines()[-1]) == would.out.count('"event": "call"') == (hold_s < 3)
    )
    assert "too slow" not in done.err  # none is dropped, however fast they come


def test_films_one_after_another_are_each_by_itself(
    mien: Mien, rules: Path, tmp_path: Path
) -> None:
    rules.write_text(
        '[[rule]]\nname = "pain"\nwhen = "sadness"\nabove = 0.6\nhold_s = 1\nevery_s = 5\n'
        'to = ["text"]\n'
    )
    films = [record(i / 10, 0.9, name) for name in ("a.mp4", "b.mp4") for i in range(6)]
    done = mien("run", rules, stdin=recording(tmp_path / "two.jsonl", films).read_bytes())
    assert alarms_of(done.err.splitlines()[-1]) == 1  # half a second each, one behind the other
    assert done.status == 0


def test_records_that_end_are_no_data(mien: Mien, rules: Path) -> None:
    rules.write_text('[[rule]]\nname = "blind"\nwhen = "no_data"\nhold_s = 0.6\nto = ["text"]\n')
    done = mien("run", rules, stdin=(json.dumps(record(0)) + "\n").encode())
    assert done.status == 0
    assert "the records ended; no_data is an alarm in 0.6 s" in done.err
    assert "ALARM blind: no usable picture for 0.6 s" in done.err


def test_lines_that_are_no_records(mien: Mien, rules: Path, tmp_path: Path) -> None:
    done = mien("run", rules, stdin=b'{"a": 1}\nnonsense\n')
    assert done.status == 1
    assert "2 lines were no records" in done.err
    assert "Traceback" not in done.err


def test_lines_that_no_reader_likes_are_counted_and_those_behind_them_seen(
    mien: Mien, rules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Depth, digits, length, types; and lines that are none at all."""
    monkeypatch.setattr("mien.jsontext.LONGEST", 300_000)
    rules.write_text(RULES.replace("hold_s = 1", "hold_s = 0").replace("quiet", "# quiet"))
    face = record(0, 0.9)["faces"][0]
    unfit: list[dict[str, Any]] = [
        {"emotions": {"sadness": "very"}},
        {"emotions": {"sadness": [0.9]}},
        {"emotions": [0.9]},
        {"emotions": None},
        {"picture_quality": {}},
        {"track": [1]},
        {"track": {"a": 1}},
        {"intensity": 5},
    ]
    bad = [
        "[" * 100_000,
        '{"a":' * 50_000,
        '{"schema": ' + "1" * 5000 + "}",
        "x" * 1_000_000,
        *(json.dumps(record(0) | {"faces": [face | change]}) for change in unfit),
    ]
    good = json.dumps(record(1, 0.9))
    stdin = "\ufeff" + "\n".join([*bad, "", good]) + "\n\n"
    done = mien("run", rules, stdin=stdin.encode())
    assert done.status == 1
    assert "1 alarm, 1 delivered" in done.err
    assert f"{len(bad)} lines were no records" in done.err
    assert "Traceback" not in done.err


def test_an_assistant_is_called_until_somebody_answers(
    mien: Mien, rules: Path, tmp_path: Path
) -> None:
    """The records end; it stays, calls, and goes when it is acknowledged from another terminal."""
    rules.write_text(RULES.replace("hold_s = 2", "hold_s = 0"))
    running = subprocess.Popen(
        [sys.executable, "-m", "mien", "act", "run", str(rules)],
        env=os.environ | {"MIEN_HOME": str(tmp_path / "home")},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert running.stdin
    running.stdin.write((json.dumps(record(0, None)) + "\n").encode())
    running.stdin.close()
    running.stdin = None
    path = tmp_path / "home" / "alarms.jsonl"
    until(lambda: any(p.waits for p in journal.alarms(journal.read(path)).values()), 30)
    listed = mien("alarms").out
    assert "WAITS to be acknowledged" in listed
    wrong = mien("ack", "zzz")
    assert wrong.status == 2
    assert "no alarm that waits called 'zzz'" in wrong.err
    done = mien("ack")
    assert done.status == 0
    assert "no mien is running" not in done.err
    _, errors = running.communicate(timeout=20)
    assert running.returncode == 0
    assert b"waiting for `mien act ack`" in errors
    assert b"acknowledged by mien act ack: gone" in errors
    again = mien("ack")
    assert "no alarm waits" in again.err


@pytest.mark.skipif(os.name == "nt", reason="no such signals there")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_polite_end_says_what_stays(mien: Mien, rules: Path, tmp_path: Path, number: int) -> None:
    rules.write_text(RULES.replace("hold_s = 2", "hold_s = 0"))
    running = subprocess.Popen(
        [sys.executable, "-m", "mien", "act", "run", str(rules)],
        env=os.environ | {"MIEN_HOME": str(tmp_path / "home")},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert running.stdin
    running.stdin.write((json.dumps(record(0, None)) + "\n").encode())
    running.stdin.flush()
    path = tmp_path / "home" / "alarms.jsonl"
    until(lambda: any(p.waits for p in journal.alarms(journal.read(path)).values()), 30)
    running.send_signal(number)
    _, errors = running.communicate(timeout=20)
    assert running.returncode == 128 + number
    assert b"nobody has acknowledged: gone" in errors
    assert b"Traceback" not in errors
    assert not journal.is_in_use(path)


def test_an_empty_home(mien: Mien) -> None:
    empty = mien("alarms")
    assert (empty.status, empty.out) == (0, "")
    assert "no alarm so far" in empty.err
    done = mien("ack")
    assert done.status == 0
    assert "no alarm waits" in done.err
