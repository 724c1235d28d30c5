"""The whole path: from faces to outputs that fail, through kills and restarts."""

from __future__ import annotations

import datetime
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien import alarms
from mien.alarms import courier, journal, rules
from mien.alarms.output import Output, Settings, Undelivered
from mien.alarms.runner import Runner, to_stderr
from mien.alarms.sight import of_faces, of_record
from mien.alarms.watch import Call
from mien.errors import ConfigError, DataError, MissingExtra, OutputError
from mien.face import Emotions, Face
from mien.labels import label_set
from tests.servers import Receiver, until


class Scripted(Output):
    """Fails as it is told, then takes everything."""

    def __init__(self, *failures: Exception, give_up_s: float = 5.0) -> None:
        super().__init__(Settings(give_up_s))
        self.failures, self.tries = list(failures), list[str]()
        self.got: list[Call] = []
        self.gate = threading.Event()
        self.gate.set()
        self.over: list[str] = []

    def deliver(self, call: Call) -> None:
        self.tries.append(call.id)
        self.gate.wait(20)
        if self.failures:
            raise self.failures.pop(0)
        self.got.append(call)

    def ended(self, rule: str) -> None:
        self.over.append(rule)


class Voice(Scripted):
    """Stands for the loudspeaker that says what was not delivered."""


@pytest.fixture(autouse=True)
def voice(monkeypatch: pytest.MonkeyPatch) -> Voice:
    made = Voice()
    monkeypatch.setattr(Runner, "_fallback_voice", lambda self: made)
    monkeypatch.setattr(courier, "_FIRST_S", 0.02)
    return made


def table(**changes: Any) -> dict[str, Any]:
    rule = {"name": "pain", "when": "sadness", "above": 0.6, "hold_s": 0.0, "every_s": 0.0}
    return {"rule": [rule | {"to": ["nurse"], "say": "Hilfe!"} | changes], "output": {"nurse": {}}}


def face(sadness: float = 0.9, picture_quality: float = 0.9) -> Face:
    labels = label_set("mien8")
    probs = np.full(8, (1 - sadness) / 7, np.float32)
    probs[labels.index("sadness")] = sadness
    return Face(
        np.array([0, 0, 9, 9], np.float32),
        0.9,
        emotions=Emotions(labels, probs),
        picture_quality=picture_quality,
        uncertain=False,
        track=1,
    )


Start = Callable[..., Runner]


@pytest.fixture
def shown() -> list[str]:
    return []


@pytest.fixture
def start(tmp_path: Path, shown: list[str]) -> Iterator[Start]:
    """Makes a runner on one journal; all are ended with the test."""
    running: list[Runner] = []

    def make(built: dict[str, Output], **changes: Any) -> Runner:
        found = rules.parse(table(**changes))
        runner = Runner(found, tmp_path / "alarms.jsonl", shown.append, built)
        runner.__enter__()
        running.append(runner)
        return runner

    yield make
    for runner in running:
        runner.__exit__(None, None, None)


def lines(tmp_path: Path) -> list[dict[str, Any]]:
    return journal.read(tmp_path / "alarms.jsonl")


# -- from a face to an output -------------------------------------------------------------------


def test_a_face_becomes_an_alarm(start: Start, tmp_path: Path) -> None:
    nurse = Scripted()
    runner = start({"nurse": nurse})
    runner.see([face()])
    until(lambda: nurse.got)
    runner.see([face(0.1)])
    until(lambda: nurse.over == ["pain"])
    assert runner.settle()
    (call,) = nurse.got
    assert call.alarm.text == "Hilfe!"
    assert [line["event"] for line in lines(tmp_path)] == ["call", "delivered"]
    assert runner.counts == {"alarms": 1, "delivered": 1}


def test_seeing_never_waits(start: Start) -> None:
    """Whatever hangs, a frame costs microseconds; other outputs go on."""
    stuck, well = Scripted(), Scripted()
    stuck.gate.clear()
    runner = start({"nurse": stuck, "other": well}, to=["nurse", "other"])
    began = time.perf_counter()
    for i in range(200):
        runner.see([face(0.9 if i % 2 else 0.1)])
    assert (time.perf_counter() - began) / 200 < 0.005
    until(lambda: len(well.got) > 10)
    assert stuck.got == []
    stuck.gate.set()


def test_the_same_id_for_every_try(start: Start, shown: list[str]) -> None:
    nurse = Scripted(Undelivered("500"), Undelivered("500"))
    runner = start({"nurse": nurse})
    runner.see([face()])
    until(lambda: nurse.got)
    assert len(nurse.tries) == 3
    assert len(set(nurse.tries)) == 1
    assert shown == ["nurse: 500; trying again: Hilfe!"]


@pytest.mark.parametrize(
    ("failure", "tries"), [(Undelivered("404", again=False), 1), (ValueError("a bug"), 2)]
)
def test_no_second_try_where_it_is_no_use(start: Start, failure: Exception, tries: int) -> None:
    nurse = Scripted(failure)
    runner = start({"nurse": nurse})
    runner.see([face()])
    until(lambda: len(nurse.tries) == tries)
    assert runner.settle()
    assert len(nurse.tries) == tries


def test_undelivered_is_shown_spoken_and_written_down(
    start: Start, shown: list[str], tmp_path: Path, voice: Voice
) -> None:
    nurse = Scripted(Undelivered("no such address", again=False))
    runner = start({"nurse": nurse})
    runner.see([face()])
    until(lambda: voice.got)
    assert runner.settle()
    assert shown == ["\aUNDELIVERED to nurse: Hilfe! (no such address)"]
    assert voice.got[0].alarm.text == "Not delivered to nurse: Hilfe!"
    assert lines(tmp_path)[-1]["reason"] == "no such address"
    assert runner.counts["undelivered"] == 1


def test_not_even_spoken(start: Start, shown: list[str], voice: Voice) -> None:
    voice.failures = [Undelivered("no sound", again=False)]
    runner = start({"nurse": Scripted(Undelivered("gone", again=False))})
    runner.see([face()])
    until(lambda: len(shown) == 2)
    assert shown[1] == "not spoken either (no sound): Not delivered to nurse: Hilfe!"


def test_it_gives_up_in_time(start: Start, shown: list[str]) -> None:
    nurse = Scripted(*[Undelivered("down")] * 1000, give_up_s=0.5)
    runner = start({"nurse": nurse})
    began = time.monotonic()
    runner.see([face()])
    until(lambda: any("UNDELIVERED" in line for line in shown))
    assert 0.2 < time.monotonic() - began < 1.5
    assert len(nurse.tries) > 3


def test_pauses_grow_and_are_not_all_alike() -> None:
    waits = [[courier.pause_s(tries) for tries in (1, 2, 3, 12)] for _ in range(50)]
    for first, second, third, last in waits:
        assert 0.01 <= first <= 0.02 <= second <= 0.04 <= third <= 0.08
        assert 5 <= last <= 10
    assert len({w[3] for w in waits}) > 40


def test_too_many_wait_already(
    start: Start, shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "LIMIT", 3)
    nurse = Scripted()
    nurse.gate.clear()
    runner = start({"nurse": nurse})
    for i in range(20):
        runner.see([face(0.9 if i % 2 else 0.1)])
    until(lambda: runner.counts["undelivered"] >= 6)
    assert "3 alarms are waiting already" in shown[0]
    nurse.gate.set()
    assert runner.settle()
    assert runner.counts["delivered"] + runner.counts["undelivered"] == 10
    assert len({call.id for call in nurse.got}) == len(nurse.got) == runner.counts["delivered"]


def test_a_fault_inside_is_shown_and_ends_nothing(
    start: Start, shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    nurse = Scripted()
    runner = start({"nurse": nurse})
    real = runner._watch.see
    monkeypatch.setattr(runner._watch, "see", lambda *_: 1 / 0)
    runner.see([face()])
    until(lambda: shown)
    assert "a fault in the alarms, which go on: ZeroDivisionError" in shown[0]
    monkeypatch.setattr(runner._watch, "see", real)
    runner.see([face()])
    until(lambda: nurse.got)


def test_an_output_with_a_fault_holds_up_no_other(start: Start, shown: list[str]) -> None:
    """Two alarms of one frame; carrying out the first one fails."""
    nurse, broken = Scripted(), Scripted()
    runner = start({"nurse": nurse, "broken": broken}, per="track", to=["nurse"])
    real, calls = runner._send, list[Call]()

    def send(name: str, call: Call) -> None:
        calls.append(call)
        if len(calls) == 1:
            raise RuntimeError("a bug")
        real(name, call)

    runner._send = send  # type: ignore[method-assign]
    runner.see([face(), replace(face(), track=2)])
    until(lambda: nurse.got)
    assert nurse.got[0].alarm.track == 2
    assert "a fault in the alarms" in shown[0]


def test_a_model_that_never_says_it(start: Start, shown: list[str]) -> None:
    runner = start({"nurse": Scripted()}, measure="intensity")
    runner.see([face()])
    runner.see([face()])
    until(lambda: shown)
    assert runner.settle()
    assert shown == [
        "\arule 'pain' waits for an intensity; this model tells none: it will never call anybody"
    ]


# -- answers ------------------------------------------------------------------------------------

ASSISTANT = {"repeat_s": 1.0, "escalate_s": 60.0, "escalate_to": ["doctor"]}


def test_it_calls_until_it_is_acknowledged(start: Start, shown: list[str]) -> None:
    nurse, doctor = Scripted(), Scripted()
    runner = start({"nurse": nurse, "doctor": doctor}, **ASSISTANT)
    runner.see([face()])
    until(lambda: len(nurse.got) == 2)
    (alarm,) = {call.alarm.key for call in nurse.got}
    assert runner.open[0].alarm.key == alarm
    runner.acknowledge(alarm, "Anna")
    until(lambda: not runner.open)
    assert shown[-1] == "acknowledged by Anna: Hilfe!"
    time.sleep(1.2)
    assert len(nurse.got) == 2
    assert doctor.got == []
    assert nurse.over == []  # it still shows
    runner.see([face(0.1)])
    until(lambda: nurse.over == ["pain"])


def test_what_to_type_names_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_HOME", str(tmp_path))
    found = rules.parse(table(to=["text"]) | {"output": {}})
    assert Runner(found).ack == "mien act ack"
    assert Runner(found, tmp_path / "b c").ack == f"mien act ack --journal '{tmp_path}/b c'"


def test_another_process_acknowledges(start: Start, tmp_path: Path) -> None:
    """By a line in the journal, even one behind half a line."""
    runner = start({"nurse": Scripted(), "doctor": Scripted()}, **ASSISTANT)
    runner.see([face()])
    until(lambda: runner.open)
    path = tmp_path / "alarms.jsonl"
    with path.open("a") as file:
        file.write('{"event": "ackno')
    journal.append(path, journal.acknowledged(runner.open[0].alarm.key, "Ben"))
    until(lambda: not runner.open, 3)
    assert journal.alarms(lines(tmp_path)).popitem()[1].acknowledged_by == "Ben"


def test_a_silent_loudspeaker_is_no_reason_to_call_the_doctor(start: Start) -> None:
    """What reaches people elsewhere counts, where there is such an output."""
    doctor, voice = Scripted(), Scripted(Undelivered("no sound", again=False))
    nurse = Scripted()
    nurse.reaches_away = True
    built = {"nurse": nurse, "doctor": doctor, "voice": voice}
    runner = start(built, to=["nurse", "voice"], **ASSISTANT)
    runner.see([face()])
    until(lambda: runner.counts["undelivered"] and nurse.got)
    nurse.failures = [Undelivered("gone", again=False)]
    time.sleep(0.3)
    assert doctor.got == []
    until(lambda: doctor.got)  # the next call does not reach the nurse
    runner.acknowledge()


def test_out_of_reach_the_second_contact_is_called_at_once(start: Start) -> None:
    doctor = Scripted()
    nurse = Scripted(Undelivered("gone", again=False))
    runner = start({"nurse": nurse, "doctor": doctor}, **ASSISTANT)
    began = time.monotonic()
    runner.see([face()])
    until(lambda: doctor.got)
    assert time.monotonic() - began < 0.9
    assert doctor.got[0].escalated
    runner.acknowledge()


# -- kills, restarts, disks ---------------------------------------------------------------------

VICTIM = """
import sys, time
from pathlib import Path
import numpy as np
from mien import alarms
from mien.alarms.watch import Look, Seen
rules = alarms.read(sys.argv[1])
seen = Seen(True, (Look(None, {"sadness": 0.9}, None, False),))
with alarms.Runner(rules, Path(sys.argv[2])) as runner:
    runner._see(seen, None)
    time.sleep(60)
"""


def killed(tmp_path: Path, text: str, when: Callable[[], Any]) -> None:
    """Run rules on a sad face in another process, and kill it without a word."""
    path = tmp_path / "rules.toml"
    path.write_text(text)
    victim = subprocess.Popen(
        [sys.executable, "-c", VICTIM, str(path), str(tmp_path / "alarms.jsonl")],
        stderr=subprocess.DEVNULL,
    )
    try:
        until(when, 30)
    finally:
        victim.send_signal(signal.SIGKILL)
        victim.wait(10)


def test_what_a_kill_left_undelivered_is_delivered_with_the_same_id(
    start: Start, tmp_path: Path
) -> None:
    server = Receiver()
    server.answer = (503, {})
    killed(
        tmp_path,
        '[[rule]]\nname = "pain"\nwhen = "sadness"\nabove = 0.6\nhold_s = 0\nsay = "Hilfe!"\n'
        f'to = ["nurse"]\n[output.nurse]\nkind = "webhook"\nurl = "{server.url}"\n',
        lambda: server.got,
    )
    nurse = Scripted()
    runner = start({"nurse": nurse})
    until(lambda: nurse.got)
    assert runner.settle()
    server.stop()
    assert [call.id for call in nurse.got] == [server.ids[0]]
    assert nurse.got[0].alarm.text == "Hilfe!"
    runner.__exit__(None, None, None)
    again = Scripted()
    start({"nurse": again}).settle()
    assert again.got == []


def test_an_unanswered_alarm_goes_on_after_a_kill(
    start: Start, tmp_path: Path, shown: list[str]
) -> None:
    killed(
        tmp_path,
        '[[rule]]\nname = "pain"\nwhen = "sadness"\nabove = 0.6\nhold_s = 0\nrepeat_s = 60\n'
        'say = "Hilfe!"\nto = ["text"]\n',
        lambda: any(line["event"] == "delivered" for line in lines(tmp_path)),
    )
    nurse = Scripted()
    runner = start({"nurse": nurse}, repeat_s=60.0)
    until(lambda: nurse.got)
    assert nurse.got[0].number == 1
    assert shown[0].startswith("from before: Hilfe!")
    runner.acknowledge()
    until(lambda: not runner.open)
    runner.__exit__(None, None, None)
    assert not start({"nurse": Scripted()}, repeat_s=60.0).open


def an_old_call(tmp_path: Path, hours: float, **changes: Any) -> Call:
    """A call in the journal that never ended."""
    from mien.alarms.watch import Alarm

    raised = datetime.datetime.now().astimezone() - datetime.timedelta(hours=hours)
    call = Call(Alarm("old", "pain", "Hilfe!", time=raised.isoformat()), 0, ("nurse",))
    made = journal.Journal(tmp_path / "alarms.jsonl")
    made.call(replace(call, **changes))
    made.close()
    return call


@pytest.mark.parametrize(
    ("hours", "to", "words"),
    [
        (2.0, ("nurse",), "it is 2.0 hours old"),
        (0.1, ("pager",), "the rules no longer have this output"),
    ],
)
def test_too_late_or_nowhere_to_go_is_shown(
    start: Start, tmp_path: Path, shown: list[str], hours: float, to: tuple[str, ...], words: str
) -> None:
    an_old_call(tmp_path, hours, to=to)
    nurse = Scripted()
    runner = start({"nurse": nurse})
    until(lambda: shown)
    assert runner.settle()
    assert words in shown[0]
    assert shown[0].startswith(f"\aUNDELIVERED to {to[0]}")
    assert nurse.got == []


def test_a_clock_that_was_set_back_makes_nothing_too_old(start: Start, tmp_path: Path) -> None:
    an_old_call(tmp_path, -48)
    nurse = Scripted()
    start({"nurse": nurse})
    until(lambda: nurse.got)


def test_an_alarm_whose_rule_is_gone(start: Start, tmp_path: Path, shown: list[str]) -> None:
    an_old_call(tmp_path, 0.1, waits=True)
    runner = start({"nurse": Scripted()}, name="other")
    until(lambda: shown)
    assert "from before, and its rule is gone: Hilfe!" in shown[0]
    until(lambda: not journal.alarms(lines(tmp_path))["old"].waits)
    assert not runner.open


def test_what_is_on_its_way_at_the_end_stays_for_the_next_start(
    tmp_path: Path, shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.alarms.runner._PATIENCE_S", 0.2)
    nurse = Scripted(*[Undelivered("down")] * 1000, give_up_s=60)
    found = rules.parse(table())
    with Runner(found, tmp_path / "alarms.jsonl", shown.append, {"nurse": nurse}) as runner:
        runner.see([face()])
        until(lambda: nurse.tries)
    assert shown[-1] == "\anot delivered to nurse yet: Hilfe!; the next start tries"
    assert journal.alarms(lines(tmp_path)).popitem()[1].pending == {0: {"nurse"}}


def test_a_damaged_journal_is_read_as_far_as_it_goes(start: Start, tmp_path: Path) -> None:
    an_old_call(tmp_path, 0.1)
    path = tmp_path / "alarms.jsonl"
    content = b'\xff\xfe\x00\n{"event": "call"}\n{"event": "delivered", "key": "none"}\n[1]\n'
    path.write_bytes(content + path.read_bytes() + b'{"event": "deliv')
    nurse = Scripted()
    runner = start({"nurse": nurse})
    until(lambda: nurse.got)
    assert runner.settle()
    assert not any(journal.alarms(lines(tmp_path))["old"].pending.values())


ODD_LINES: list[Any] = [
    "[" * 100_000,
    '{"event":' * 50_000,
    '{"event": ' + "1" * 5000 + "}",
    "x" * 3_000_000,
    *(
        {"event": "call", "call": 0, "to": ["nurse"], "escalated": False, "waits": True} | change
        for change in (
            {"alarm": {"key": ["odd"], "rule": "pain", "text": "a"}},
            {"alarm": {"key": "odd", "rule": 5, "text": "a"}},
            {"alarm": {"key": "odd", "rule": "pain", "text": None}},
            {"alarm": {"key": "odd", "rule": "pain", "text": "a", "time": 5}},
            {"alarm": {"key": "odd", "rule": "pain", "text": "a", "track": "x"}},
            {"alarm": {"key": "odd", "rule": "pain", "text": "a"}, "call": "x"},
            {"alarm": {"key": "odd", "rule": "pain", "text": "a"}, "call": [1]},
            {"alarm": {"key": "odd", "rule": "pain", "text": "a"}, "to": 5},
            {"alarm": {"key": "odd", "rule": "pain", "text": "a"}, "to": [["nurse"]]},
            {"alarm": {"key": "odd", "rule": "pain", "text": "a"}, "waits": "yes"},
            {"alarm": "odd"},
        )
    ),
    {"event": "delivered", "key": ["old"], "call": 0, "output": "nurse"},
    {"event": "undelivered", "key": "old", "call": {}, "output": 5, "reason": 1},
    {"event": "acknowledged", "key": {}, "by": "me"},
    {"event": ["call"]},
]


@pytest.mark.parametrize("odd", ODD_LINES, ids=range(len(ODD_LINES)))
def test_an_odd_line_of_the_journal_keeps_no_alarm_from_being_resumed(
    start: Start, tmp_path: Path, shown: list[str], odd: Any
) -> None:
    an_old_call(tmp_path, 0.1, waits=True)
    path = tmp_path / "alarms.jsonl"
    line = (odd if isinstance(odd, str) else json.dumps(odd)).encode() + b"\n"
    path.write_bytes(line + path.read_bytes() + line)
    nurse = Scripted()
    runner = start({"nurse": nurse}, repeat_s=60.0)
    until(lambda: nurse.got)
    assert runner.settle()
    assert [call.alarm.key for call in runner.open] == ["old"]
    assert not [line for line in shown if "a fault" in line]
    assert [past.call.alarm.key for past in journal.acknowledge(path, ["old"], "me")] == ["old"]
    until(lambda: not runner.open)


def test_an_endless_line_hides_no_answer(start: Start, tmp_path: Path) -> None:
    """Of some megabytes, written by another program while this one runs."""
    runner = start({"nurse": Scripted()}, repeat_s=60.0)
    runner.see([face()])
    until(lambda: runner.open)
    with (tmp_path / "alarms.jsonl").open("ab") as file:
        file.write(b"x" * 3_500_000)
    (key,) = (call.alarm.key for call in runner.open)
    assert [*journal.acknowledge(tmp_path / "alarms.jsonl", [key], "me")]
    until(lambda: not runner.open)


def test_two_on_one_journal(start: Start, tmp_path: Path) -> None:
    runner = start({"nurse": Scripted()})
    assert journal.is_in_use(tmp_path / "alarms.jsonl")
    with pytest.raises(OutputError, match="another mien is using the alarms' journal"):
        start({"nurse": Scripted()})
    runner.__exit__(None, None, None)
    assert not journal.is_in_use(tmp_path / "alarms.jsonl")


def test_a_disk_that_is_full_stops_no_alarm(
    start: Start, shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    nurse = Scripted()
    runner = start({"nurse": nurse})

    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    runner.see([face()])
    until(lambda: nurse.got)
    assert runner.settle()
    monkeypatch.undo()
    assert len(shown) == 1
    assert "journal" in shown[0]
    assert "No space left" in shown[0]


@pytest.mark.skipif(os.name == "nt", reason="a folder's mode means nothing there")
def test_the_journal_is_nobody_elses_business(start: Start, tmp_path: Path) -> None:
    an_old_call(tmp_path, 0)
    assert (tmp_path / "alarms.jsonl").stat().st_mode & 0o077 == 0


def test_a_journal_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(OutputError, match="cannot write the alarms' journal"),
        Runner(rules.parse(table()), tmp_path / "file" / "alarms.jsonl", built={}),
    ):
        pass


def test_an_output_that_cannot_start_leaves_nothing_behind(tmp_path: Path) -> None:
    class Broken(Scripted):
        def start(self, context: Any) -> None:
            raise MissingExtra("gong", "act", "a gong")

    found = rules.parse(table())
    path = tmp_path / "alarms.jsonl"
    with pytest.raises(MissingExtra), Runner(found, path, built={"nurse": Broken()}):
        pass
    assert not journal.is_in_use(path)


# -- what is seen -------------------------------------------------------------------------------


def test_a_record_of_unfit_types_costs_no_repeat_and_is_no_data(
    start: Start, shown: list[str]
) -> None:
    """An open alarm calls again, and no_data comes true, while such records stream in."""
    nurse = Scripted()
    runner = start({"nurse": nurse}, repeat_s=1.0)
    runner.see([face()])
    until(lambda: nurse.got)
    unfit = record("ok", [recorded(0.9) | {"emotions": {"sadness": "very"}}])
    ends = time.monotonic() + 3.5
    while time.monotonic() < ends:
        with pytest.raises(DataError, match="sadness is a number, got 'very'"):
            runner.see_record(unfit)
        time.sleep(0.02)
    assert len(nurse.got) >= 4


def test_faces_and_records_say_the_same() -> None:
    faces = [face(0.9), face(0.8, picture_quality=0.1)]
    seen = of_faces(faces)
    assert [look.emotions["sadness"] for look in seen.looks] == [pytest.approx(0.9)]
    assert (seen.usable, seen.poor) == (True, True)
    assert of_faces([faces[1]]) == of_record(record("low_quality", [recorded(0.1)]))
    assert of_faces([]) == of_record(record("no_face", []))
    mixed = of_record(record("ok", [recorded(0.9), recorded(0.1)]))
    assert (len(mixed.looks), mixed.poor, mixed.looks[0].track) == (1, True, 7)
    assert not of_record(record("error", [])).usable


def recorded(picture_quality: float) -> dict[str, Any]:
    emotions = {"sadness": 0.9, "neutral": 0.1}
    more = {"intensity": None, "uncertain": False, "track": 7}
    return {"emotions": emotions, "picture_quality": picture_quality} | more


def record(status: str, faces: list[dict[str, Any]]) -> dict[str, Any]:
    return {"schema": "mien/2", "source": "a", "time_s": 0.0, "status": status, "faces": faces}


@pytest.mark.parametrize("value", [{}, [], None, 3, {"schema": "mien/9"}, record("ok", [{}])])
def test_what_is_no_record(value: Any) -> None:
    with pytest.raises(DataError, match="record of mien"):
        of_record(value)


# -- files --------------------------------------------------------------------------------------


def written(tmp_path: Path, to: str, more: str = "") -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(f'[[rule]]\nname = "a"\nwhen = "joy"\nabove = 0.5\nto = {to}\n{more}')
    return path


@pytest.mark.parametrize(
    ("to", "more", "words"),
    [
        ('["speach"]', "", "no output called 'speach'; did you mean speech?"),
        ('["nurse"]', '[output.nurs]\nkind = "text"', "did you mean nurs?"),
        ('["nurse"]', "[output.nurse]", "output.nurse needs a kind, one of"),
        ('["nurse"]', '[output.nurse]\nkind = "web-hook"', "did you mean webhook?"),
        ('["nurse"]', '[output.nurse]\nkind = "webhook"\nurl = "x"', "begins with https"),
        ('["webhook"]', "", "missing setting: output.webhook.url"),
        ('["text"]', '[output.unused]\nkind = "mqtt"', "missing setting: output.unused.host"),
    ],
)
def test_outputs_that_are_none(tmp_path: Path, to: str, more: str, words: str) -> None:
    path = written(tmp_path, to, more)
    with pytest.raises(ConfigError) as caught:
        alarms.read(path)
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")


def test_kinds_without_settings_need_no_table(tmp_path: Path) -> None:
    rules_file = written(tmp_path, '["text", "speech", "sound", "overlay", "desktop"]')
    assert len(alarms.build(alarms.read(rules_file))) == 5
    loud = written(tmp_path, '["text"]', "[output.text]\nbell = true")
    assert list(alarms.build(alarms.read(loud))) == ["text"]
    with pytest.raises(ConfigError, match="does not tell"):
        alarms.read(loud, labels=["pain"])


def test_a_line_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    to_stderr("\aALARM \x1b[2Jü\n")
    assert capsys.readouterr().err == "ALARM \\x1b[2Jü\\n\n"


def test_messages_for_the_live_view(tmp_path: Path) -> None:
    found = rules.parse(table(to=["overlay"]) | {"output": {}})
    with Runner(found, tmp_path / "alarms.jsonl") as runner:
        runner.see([face()])
        until(lambda: runner.messages() == ("Hilfe!",))
        assert runner.settle()
        assert runner.counts["delivered"] == 1


def test_json_lines_hold_what_they_should(start: Start, tmp_path: Path) -> None:
    runner = start({"nurse": Scripted()}, to=["nurse"])
    runner.see([face()])
    until(lambda: runner.counts["delivered"])
    first = json.loads((tmp_path / "alarms.jsonl").read_text().splitlines()[0])
    assert first["alarm"]["rule"] == "pain"
    assert first["alarm"]["value"] == pytest.approx(0.9)
    assert first["to"] == ["nurse"]
