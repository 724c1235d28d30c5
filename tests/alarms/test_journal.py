"""The journal of alarms by itself: what it writes, what it makes of others' lines, its limit."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mien.alarms import journal
from mien.alarms.watch import Alarm, Call, HeldBack
from mien.errors import OutputError, UnknownName

KEY = "abc"
CALL: journal.Line = {
    "event": "call",
    "alarm": {"key": KEY, "rule": "pain", "text": "Hilfe!", "time": "2026-11-25T14:00:00+00:00"},
    "call": 0,
    "to": ["nurse", "pager"],
    "escalated": False,
    "waits": True,
}


def the_end(output: str, call: int = 0, **more: Any) -> journal.Line:
    event = "undelivered" if more else "delivered"
    return {"event": event, "key": KEY, "call": call, "output": output} | more


def text(*told: journal.Line) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in told)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "alarms.jsonl"


@pytest.fixture
def made(path: Path) -> Iterator[journal.Journal]:
    """A journal in use."""
    opened = journal.Journal(path)
    yield opened
    opened.close()


# -- what is written ------------------------------------------------------------------------------


def test_it_lies_with_everything_else_about_people(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIEN_HOME", str(tmp_path / "home"))
    assert journal.default_path() == tmp_path / "home" / "alarms.jsonl"


def test_every_event_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folders" / "alarms.jsonl"
    made = journal.Journal(path)
    alarm = Alarm("k", "pain", "Hilfe, Ünal!", 3, 0.75, "2026-11-25T14:00:00+00:00")
    call = Call(alarm, 2, ("nurse", "pager"), escalated=True, waits=True)
    made.call(call)
    made.ended(call, "nurse", None)
    made.ended(call, "pager", "no signal")
    made.held_back(HeldBack("pain", 3, "quiet hours"))
    made.acknowledged("k", "Eve")
    made.close()
    assert "Ünal" in path.read_text("utf-8")  # as it can be read, and searched for
    told = journal.read(path)
    for line in told:
        written = datetime.datetime.fromisoformat(line.pop("time"))
        assert written.utcoffset() is not None
        assert abs((datetime.datetime.now().astimezone() - written).total_seconds()) < 60
    end = {"key": "k", "call": 2}
    assert told == [
        {
            "event": "call",
            "alarm": {
                "key": "k",
                "rule": "pain",
                "text": "Hilfe, Ünal!",
                "track": 3,
                "value": 0.75,
                "time": "2026-11-25T14:00:00+00:00",
            },
            "call": 2,
            "to": ["nurse", "pager"],
            "escalated": True,
            "waits": True,
        },
        {"event": "delivered", "output": "nurse"} | end,
        {"event": "undelivered", "output": "pager", "reason": "no signal"} | end,
        {"event": "held_back", "rule": "pain", "track": 3, "why": "quiet hours"},
        {"event": "acknowledged", "key": "k", "by": "Eve"},
    ]
    assert journal.alarms(told)["k"].call == call


def test_times_are_to_the_millisecond(path: Path) -> None:
    journal.append(path, {"event": "held_back"})
    (line,) = journal.read(path)
    seconds = line["time"].partition("T")[2][:12]
    assert len(seconds.partition(".")[2]) == 3, line["time"]


def test_what_must_outlive_a_power_cut(
    made: journal.Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call and an answer are on the disk before anything else is done; how it ended may wait."""
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    call = a_call("k")
    writes: list[tuple[Callable[[], object], int]] = [
        (lambda: made.call(call), 1),
        (lambda: made.acknowledged("k", "Eve"), 1),
        (lambda: made.ended(call, "nurse", None), 0),
        (lambda: made.ended(call, "nurse", "down"), 0),
        (lambda: made.held_back(HeldBack("pain", None, "rate limit")), 0),
    ]
    for write, expected in writes:
        synced.clear()
        write()
        assert len(synced) == expected


def test_lines_stand_by_themselves(path: Path) -> None:
    """Behind a whole line at once; behind half of one on the next."""
    journal.append(path, {"event": "a"})
    journal.append(path, {"event": "b"})
    path.write_bytes(path.read_bytes() + b'{"event": "hal')
    journal.append(path, {"event": "c"})
    written = path.read_bytes().split(b"\n")
    assert [b'"a"' in written[0], b'"b"' in written[1], b'"c"' in written[3]] == [True] * 3
    assert written[2] == b'{"event": "hal'
    assert written[4:] == [b""]


@pytest.mark.skipif(os.name == "nt", reason="a file's mode means nothing there")
def test_nobody_else_can_read_it(made: journal.Journal, path: Path, tmp_path: Path) -> None:
    made.call(a_call("k"))
    assert {p.stat().st_mode & 0o777 for p in tmp_path.iterdir()} == {0o600}


def test_a_line_into_a_file_that_was_replaced_is_written_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when another process shortens the journal between opening and writing."""
    aside, sync, times = path.with_name("old"), os.fsync, [1]

    def replaced(handle: int) -> None:
        sync(handle)
        if times.pop():
            path.rename(aside)
            path.write_bytes(b"")
            times.append(0)

    path.write_bytes(b"")
    monkeypatch.setattr(os, "fsync", replaced)
    journal.append(path, {"event": "a"})
    assert [line["event"] for line in journal.read(path)] == ["a"]


@pytest.mark.skipif(os.name == "nt", reason="an open file cannot be deleted there")
def test_a_journal_that_is_deleted_meanwhile_ends_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: path.unlink())
    journal.append(path, {"event": "a"})
    assert not path.exists()


# -- what is made of it ---------------------------------------------------------------------------


def test_an_alarms_past_step_by_step() -> None:
    told = [CALL]
    past = journal.alarms(told)[KEY]
    assert past.call.alarm == Alarm(**CALL["alarm"])
    assert (past.call.number, past.call.to) == (0, ("nurse", "pager"))
    assert (past.call.escalated, past.call.waits, past.waits) == (False, True, True)
    assert past.pending == {0: {"nurse", "pager"}}
    assert (past.undelivered, past.acknowledged_by) == ([], "")
    told += [the_end("nurse"), the_end("pager", reason="no signal")]
    past = journal.alarms(told)[KEY]
    assert past.pending == {0: set()}
    assert past.undelivered == [(0, "pager", "no signal")]
    told += [CALL | {"call": 1, "escalated": True, "to": ["doctor"]}, the_end("nurse", 7)]
    past = journal.alarms(told)[KEY]
    assert (past.call.number, past.call.escalated, past.call.to) == (1, True, ("doctor",))
    assert past.pending == {0: set(), 1: {"doctor"}}
    assert past.undelivered == [(0, "pager", "no signal")]
    told.append({"event": "acknowledged", "key": KEY, "by": "Eve"})
    assert journal.alarms(told)[KEY].acknowledged_by == "Eve"
    assert not journal.alarms(told)[KEY].waits


def test_an_answer_without_a_name_is_somebodys() -> None:
    told = [CALL, {"event": "acknowledged", "key": KEY, "by": ""}]
    assert journal.alarms(told)[KEY].acknowledged_by == "somebody"


def test_an_alarm_that_calls_once_waits_for_nobody() -> None:
    assert not journal.alarms([CALL | {"waits": False}])[KEY].waits


def test_alarms_are_told_oldest_first() -> None:
    told = [CALL | {"alarm": CALL["alarm"] | {"key": key}} for key in ("z", "a", "z", "m")]
    assert [*journal.alarms(told)] == ["z", "a", "m"]


ALARM = CALL["alarm"]
ODD: list[journal.Line] = [
    {},
    {"event": "call"},
    *(CALL | {"call": number} for number in (True, "1", 1.0, None)),
    *(CALL | {"to": to} for to in ("nurse", ["nurse", 1], None)),
    *(CALL | {"waits": waits} for waits in (1, "yes", None)),
    *(CALL | {"escalated": escalated} for escalated in (0, "no", None)),
    *(CALL | {"alarm": ALARM | {"key": "new", "track": track}} for track in (True, "1", 1.5)),
    *(CALL | {"alarm": ALARM | {"key": "new", "value": value}} for value in (True, "1", [1])),
    *(CALL | {"alarm": ALARM | {"key": key}} for key in (1, None, True)),
    *(CALL | {"alarm": ALARM | {"key": "new", name: 5}} for name in ("rule", "text", "time")),
    CALL | {"alarm": ALARM | {"key": "new", "of a later version": 1}},
    the_end("nurse") | {"key": "another"},
    the_end("nurse") | {"call": True},
    the_end("nurse") | {"call": "0"},
    the_end("nurse", reason=5),
    the_end("nurse", reason="down") | {"output": 5},
    {"event": "acknowledged", "key": "another", "by": "Eve"},
    {"event": "acknowledged", "key": KEY, "by": 5},
    {"event": "acknowledged", "key": 5, "by": "Eve"},
    {"event": "answered", "key": KEY, "by": "Eve"},
]


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_an_odd_line_changes_nothing(odd: journal.Line) -> None:
    expected = journal.alarms([CALL])
    assert journal.alarms([odd, CALL]) == expected
    assert journal.alarms([CALL, odd]) == expected


def test_tracks_and_values_that_a_line_may_have() -> None:
    for track, value in ((3, 0.5), (0, 1), (None, None)):
        line = CALL | {"alarm": ALARM | {"track": track, "value": value}}
        alarm = journal.alarms([line])[KEY].call.alarm
        assert (alarm.track, alarm.value) == (track, value)


@pytest.mark.parametrize("said", ["", "yesterday", "0001-01-01T00:00:00", "9999-12-31T23:59:59"])
def test_an_age_that_nobody_knows_is_none(said: str) -> None:
    past = journal.Past(replace(a_call("k"), alarm=replace(a_call("k").alarm, time=said)))
    assert past.age_s(datetime.datetime.now(datetime.UTC)) == 0.0


def test_a_clock_that_was_set_back() -> None:
    past = journal.Past(a_call("k"))
    raised = datetime.datetime.fromisoformat(past.call.alarm.time)
    assert past.age_s(raised - datetime.timedelta(hours=1)) == 0.0
    assert past.age_s(raised + datetime.timedelta(seconds=1.5)) == 1.5


# -- what is read ---------------------------------------------------------------------------------


def test_no_journal_has_no_lines(path: Path) -> None:
    assert journal.read(path) == []


def test_a_journal_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot read the alarms' journal .*: Is a directory"):
        journal.read(tmp_path)


def test_lines_that_are_none_hide_no_other(path: Path) -> None:
    long = b'{"event": "' + b"x" * 100_000 + b'"}\n'
    path.write_bytes(b"\n  \n[1]\n5\n" + text(CALL) + b"{half\n" + long + text(the_end("nurse")))
    assert journal.read(path) == [CALL, the_end("nurse")]


def test_the_longest_line_that_is_read(path: Path) -> None:
    def line(size: int) -> bytes:
        return b'{"a": "' + b"x" * (size - 10) + b'"}\n'

    path.write_bytes(line(99_999) + line(100_000) + line(100_001) + b'{"a": 1}\n')
    assert [len(str(told["a"])) for told in journal.read(path)] == [99_989, 99_990, 1]


# -- its limit ------------------------------------------------------------------------------------


def lines_of(content: bytes) -> list[bytes]:
    return content.split(b"\n")[:-1]


def held(number: int) -> journal.Line:
    return {"event": "held_back", "rule": f"{number:04}"}


def test_the_newest_lines_stay_to_the_byte() -> None:
    old, new = text(held(1), held(2)), text(held(3), held(4))
    assert journal.shortened(old + new, len(new)) == new
    assert journal.shortened(old + new, len(new) - 1) == text(held(4))
    assert journal.shortened(old + new, len(new) + 1) == new
    assert journal.shortened(old + new, len(old + new)) == old + new
    assert journal.shortened(new, 10_000) == new


def test_what_still_counts_among_the_old() -> None:
    """Of an alarm that waits the last call and what has not ended; of one that was answered what
    has not arrived, and the answer."""
    answer = {"event": "acknowledged", "key": KEY, "by": "Eve"}
    first, second = CALL, CALL | {"call": 1}
    new = text(*(held(i) for i in range(10)))

    def kept(*old: journal.Line) -> list[journal.Line]:
        content = journal.shortened(text(*old) + new, len(new))
        assert content.endswith(new)
        return [json.loads(line) for line in lines_of(content.removesuffix(new))]

    ends = [the_end("nurse"), the_end("pager")]
    assert kept(held(0), first) == [first]
    assert kept(first, *ends) == [first, *ends]  # it waits for an answer
    assert kept(first, *ends, second) == [second]
    assert kept(first, ends[0], second) == [first, ends[0], second]
    assert kept(first, *ends, answer) == []
    assert kept(first, ends[0], answer) == [first, ends[0], answer]
    assert kept(CALL | {"waits": False}, *ends) == []
    assert kept(CALL | {"waits": False}, ends[0]) == [CALL | {"waits": False}, ends[0]]


def test_the_newest_half_is_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "LIMIT", 4000)
    line = text(held(0))
    whole = line * (4000 // len(line))
    path.write_bytes(whole)
    journal.Journal(path).close()
    assert path.read_bytes() == whole  # not yet
    path.write_bytes(whole + line)
    journal.Journal(path).close()
    assert path.read_bytes() == line * (2000 // len(line))


def test_an_answer_while_it_is_shortened_is_not_lost(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another process writes just then would be in the file that goes."""
    monkeypatch.setattr(journal, "LIMIT", 2000)
    shortened = journal.shortened

    def answered(content: bytes, most: int) -> bytes:
        journal.append(path, journal.acknowledged(KEY, "Eve"))
        return shortened(content, most)

    path.write_bytes(text(CALL, *(held(i) for i in range(60))))
    monkeypatch.setattr(journal, "shortened", answered)
    made = journal.Journal(path)
    assert made.past[KEY].acknowledged_by == "Eve"
    assert made.answers() == [(KEY, "Eve")]
    monkeypatch.setattr(journal, "shortened", shortened)
    made.held_back(HeldBack("pain", None, "rate limit"))
    made.close()
    assert path.stat().st_size < 2000
    assert journal.alarms(journal.read(path))[KEY].acknowledged_by == "Eve"


def test_a_journal_full_of_what_counts_is_not_shortened_at_every_line(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where half of it is too little room: at its limit, and then for each further quarter."""
    monkeypatch.setattr(journal, "LIMIT", 2000)
    done: list[int] = []
    shortened = journal.shortened

    def noted(content: bytes, most: int) -> bytes:
        done.append(len(content))
        assert most == 1000
        return shortened(content, most)

    monkeypatch.setattr(journal, "shortened", noted)
    made = journal.Journal(path)
    for i in range(40):
        made.call(a_call(f"alarm-{i:02}", waits=True))
    made.close()
    assert len(journal.alarms(journal.read(path))) == 40  # all of them wait
    line = path.stat().st_size // 40
    expected = [-(-2000 // line) * line]
    while expected[-1] + 500 <= path.stat().st_size:
        expected.append(-(-(expected[-1] + 500) // line) * line)
    assert done == expected


def test_where_it_cannot_be_shortened_it_grows(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a full disk: tried again at twice the size, and no alarm is held up by it."""
    monkeypatch.setattr(journal, "LIMIT", 1000)
    tried: list[int] = []

    def full(content: bytes, _: int) -> bytes:
        tried.append(len(content))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal, "shortened", full)
    made = journal.Journal(path)
    for i in range(120):
        made.held_back(HeldBack(f"{i:04}", None, "rate limit"))
    made.close()
    line = path.stat().st_size // 120
    assert [size // line * line for size in tried] == tried
    assert len(tried) >= 3
    assert [-(-1000 * 2**i // line) * line for i in range(len(tried))] == tried


# -- answers --------------------------------------------------------------------------------------


def test_answers_of_another_process_each_once(made: journal.Journal, path: Path) -> None:
    assert made.answers() == []
    journal.append(path, journal.acknowledged("a", "Eve"))
    made.call(a_call("a"))
    journal.append(path, journal.acknowledged("b", "Ben"))
    assert made.answers() == [("a", "Eve"), ("b", "Ben")]
    assert made.answers() == []


def test_what_was_answered_before_the_start_is_past(path: Path) -> None:
    path.write_bytes(text(CALL, journal.acknowledged(KEY, "Eve")))
    made = journal.Journal(path)
    assert made.answers() == []
    assert made.past[KEY].acknowledged_by == "Eve"
    made.close()


def test_half_an_answer_is_read_when_it_is_whole(made: journal.Journal, path: Path) -> None:
    answer = text(journal.acknowledged(KEY, "Eve"))
    with path.open("ab") as file:
        file.write(answer[:20])
        file.flush()
        assert made.answers() == []
        file.write(answer[20:])
    assert made.answers() == [(KEY, "Eve")]


def test_an_emptied_journal_is_read_from_its_beginning(path: Path) -> None:
    path.write_bytes(text(CALL, *(held(i) for i in range(10))))
    made = journal.Journal(path)
    path.write_bytes(b"")
    assert made.answers() == []
    journal.append(path, journal.acknowledged(KEY, "Eve"))
    assert made.answers() == [(KEY, "Eve")]
    path.unlink()
    assert made.answers() == []
    made.close()


def test_many_answers_are_read_piece_by_piece(
    made: journal.Journal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = text(journal.acknowledged("k", "Eve"))
    monkeypatch.setattr(journal, "_AT_ONCE", 2 * len(line) + 5)
    path.write_bytes(line * 5)
    assert [len(made.answers()) for _ in range(4)] == [2, 2, 1, 0]


def test_a_line_without_end_is_passed_over(
    made: journal.Journal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "_AT_ONCE", 100)
    path.write_bytes(b"x" * 250 + b"\n" + text(journal.acknowledged("k", "Eve")))
    assert [made.answers() for _ in range(4)] == [[], [], [], [("k", "Eve")]]


# -- to acknowledge -------------------------------------------------------------------------------


def three_that_wait(path: Path) -> None:
    for key in ("aa1", "aa2", "b"):
        journal.append(path, CALL | {"alarm": ALARM | {"key": key}})
    journal.append(path, CALL | {"alarm": ALARM | {"key": "once"}, "waits": False})


def answered(path: Path) -> dict[str, str]:
    told = journal.alarms(journal.read(path))
    return {key: past.acknowledged_by for key, past in told.items() if past.acknowledged_by}


def test_all_that_wait(path: Path) -> None:
    three_that_wait(path)
    given = [past.call.alarm.key for past in journal.acknowledge(path, [], "Eve")]
    assert given == ["aa1", "aa2", "b"]
    assert answered(path) == {"aa1": "Eve", "aa2": "Eve", "b": "Eve"}
    assert [*journal.acknowledge(path, [], "Ben")] == []


def test_by_how_their_keys_begin_each_once(path: Path) -> None:
    three_that_wait(path)
    given = [past.call.alarm.key for past in journal.acknowledge(path, ["b", "aa2", "b"], "Eve")]
    assert given == ["b", "aa2"]
    assert answered(path) == {"aa2": "Eve", "b": "Eve"}
    assert len(journal.read(path)) == 6


@pytest.mark.parametrize("key", ["aa", "x", "once", "a1"])
def test_a_key_that_fits_none_or_several_writes_nothing(path: Path, key: str) -> None:
    three_that_wait(path)
    before = path.read_bytes()
    with pytest.raises(UnknownName, match=f"alarm that waits.*'{key}'"):
        list(journal.acknowledge(path, ["b", key], "Eve"))
    assert path.read_bytes() == before


def test_an_answer_that_cannot_be_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    three_that_wait(path)

    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OutputError, match=r"cannot write .*alarms.jsonl: No space left"):
        list(journal.acknowledge(path, ["b"], "Eve"))


# -- one at a time --------------------------------------------------------------------------------


def test_a_journal_is_in_use_until_it_is_closed(path: Path) -> None:
    assert not journal.is_in_use(path)
    assert not journal.is_in_use(path.parent / "nowhere" / "alarms.jsonl")
    first = journal.Journal(path)
    assert journal.is_in_use(path)
    with pytest.raises(OutputError, match="another mien is using the alarms' journal"):
        journal.Journal(path)
    assert journal.is_in_use(path)
    first.close()
    assert not journal.is_in_use(path)
    journal.Journal(path).close()


def test_asking_whether_it_is_in_use_keeps_nobody_out(path: Path) -> None:
    open_before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    for _ in range(3):
        assert not journal.is_in_use(path)
    made = journal.Journal(path)
    for _ in range(3):
        assert journal.is_in_use(path)
    made.close()
    if open_before:
        assert len(os.listdir("/proc/self/fd")) == open_before


# -- the same over a long time -------------------------------------------------------------------


def test_a_line_that_was_cut_by_a_short_write_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is nearly full takes a part of a line and says how much."""
    path, write, cuts = tmp_path / "a.jsonl", os.write, [1]

    def short(handle: int, content: bytes) -> int:
        return write(handle, content[:20] if cuts and cuts.pop() else content)

    monkeypatch.setattr(os, "write", short)
    journal.append(path, {"event": "acknowledged", "key": "old", "by": "me"})
    assert [line["key"] for line in journal.read(path)] == ["old"]
    cuts.extend([1] * 9)
    with pytest.raises(OSError, match="only a part of a line"):
        journal.append(path, {"event": "acknowledged", "key": "new", "by": "me"})
    cuts.clear()
    journal.append(path, {"event": "acknowledged", "key": "newer", "by": "me"})
    assert [line["key"] for line in journal.read(path)] == ["old", "newer"]


def test_a_time_without_a_zone_is_this_machines(tmp_path: Path) -> None:
    now = datetime.datetime.fromisoformat("2026-11-25T12:00:00+00:00")
    local = now.astimezone().replace(tzinfo=None)
    for time_said in (local.isoformat(), "2026-11-25T12:00:00Z", "2026-11-25T21:00:00+09:00"):
        past = journal.Past(replace(a_call("k"), alarm=replace(a_call("k").alarm, time=time_said)))
        assert past.age_s(now + datetime.timedelta(hours=2)) == 7200.0


def test_what_a_kill_left_of_a_shortening_goes(tmp_path: Path) -> None:
    (tmp_path / ".alarms.jsonl.part").write_text("half")
    journal.Journal(tmp_path / "alarms.jsonl").close()
    assert not (tmp_path / ".alarms.jsonl.part").exists()


def a_call(
    key: str, number: int = 0, waits: bool = False, to: tuple[str, ...] = ("nurse",)
) -> Call:
    time = "2026-11-25T14:00:00+00:00"
    return Call(Alarm(key, "pain", "Hilfe!", time=time), number, to, waits=waits)


def test_a_journal_never_grows_beyond_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old lines go; nothing that somebody waits for, and no answer, goes with them."""
    monkeypatch.setattr(journal, "LIMIT", 8000)
    path = tmp_path / "alarms.jsonl"
    made = journal.Journal(path)
    made.call(a_call("on-its-way"))
    made.call(a_call("waits", waits=True))
    made.ended(a_call("waits"), "nurse", None)
    made.call(a_call("answered", waits=True, to=("nurse", "pager")))
    made.ended(a_call("answered"), "nurse", None)
    made.acknowledged("answered", "Ben")  # and the pager has not got it yet
    assert made.answers() == [("answered", "Ben")]
    for i in range(300):
        if i == 100:
            journal.append(path, journal.acknowledged("waits", "Eve"))  # another process
        made.call(a_call(f"alarm-{i}"))
        made.ended(a_call(f"alarm-{i}"), "nurse", None)
        assert path.stat().st_size < 8500
        if i == 150:
            assert made.answers() == [("waits", "Eve")]
    assert made.answers() == []
    past = journal.alarms(journal.read(path))
    made.close()
    assert past["on-its-way"].pending == {0: {"nurse"}}
    assert past["answered"].pending == {0: {"pager"}}
    assert not past["answered"].waits
    assert "waits" not in past
    assert "alarm-0" not in past
    assert not past["alarm-299"].pending[0]
    assert len(past) > 10
    assert sorted(os.listdir(tmp_path)) == ["alarms.jsonl", "alarms.jsonl.lock"]


def test_an_alarm_that_calls_for_days_keeps_its_last_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "LIMIT", 4000)
    path = tmp_path / "alarms.jsonl"
    made = journal.Journal(path)
    for number in range(200):
        made.call(a_call("open", number, waits=True))
        made.ended(a_call("open", number), "nurse", None)
    made.close()
    assert path.stat().st_size < 4500
    again = journal.Journal(path)
    assert again.past["open"].call.number == 199
    assert again.past["open"].waits
    again.close()


def test_a_long_journal_is_shortened_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "alarms.jsonl"
    made = journal.Journal(path)
    for i in range(50):
        made.call(a_call(f"alarm-{i}", waits=i == 3))
        made.ended(a_call(f"alarm-{i}"), "nurse", None)
    made.close()
    monkeypatch.setattr(journal, "LIMIT", 3000)
    again = journal.Journal(path)
    again.close()
    assert path.stat().st_size < 2000
    assert again.past["alarm-3"].waits
    assert "alarm-49" in again.past
    assert "alarm-4" not in again.past
