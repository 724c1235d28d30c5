"""Rules at work, second by second, without a clock."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from mien.alarms import rules
from mien.alarms.watch import (
    Alarm,
    Call,
    Ended,
    Event,
    HeldBack,
    Look,
    Moment,
    Seen,
    Watch,
    unanswerable,
)

NOON = datetime.datetime(2026, 11, 25, 12)


def rule(**changes: Any) -> rules.Rules:
    table = {"name": "pain", "when": "sadness", "above": 0.6, "hold_s": 2.0, "to": ["text"]}
    table |= {"every_s": 0.0} | changes
    return rules.parse({"rule": [{k: v for k, v in table.items() if v is not None}]})


def started(found: rules.Rules) -> Watch:
    keys = count(1)
    return Watch(found, Moment(0.0), lambda: f"k{next(keys)}")


def face(sadness: float = 0.0, track: int | None = None, **more: Any) -> Look:
    values = {"emotions": {"sadness": sadness, "neutral": 1 - sadness}} | more
    return Look(track, values["emotions"], values.get("intensity"), values.get("uncertain", False))


def seen(*values: float) -> Seen:
    return Seen(True, tuple(face(v, i) for i, v in enumerate(values, 1)))


POOR = Seen(usable=False, poor=True)
LOST = Seen(usable=False)
NOBODY = Seen(usable=True)


def play(
    watch: Watch, frames: Seen, until_s: float, from_s: float = 0.0, fps: int = 10
) -> Iterator[tuple[float, Event]]:
    """The same frame again and again, and what comes of it, when."""
    for step in range(round(from_s * fps), round(until_s * fps) + 1):
        for event in watch.see(frames, Moment(step / fps, NOON)):
            yield round(step / fps, 3), event


def calls(events: Any) -> list[float]:
    return [at for at, event in events if isinstance(event, Call)]


# -- hold, hysteresis ---------------------------------------------------------------------------


def test_it_is_an_alarm_when_it_has_been_held() -> None:
    watch = started(rule())
    ((at, call),) = list(play(watch, seen(0.8), 5))
    assert isinstance(call, Call)
    assert at == 2.0
    assert (call.id, call.to, call.number, call.waits) == ("k1.0", ("text",), 0, False)
    assert call.alarm.value == pytest.approx(0.8)
    assert call.alarm.time == "2026-11-25T12:00:00.000"


def test_no_hold_is_an_alarm_at_once() -> None:
    assert calls(play(started(rule(hold_s=0)), seen(0.8), 1)) == [0.0]


def test_a_dip_below_the_release_begins_anew() -> None:
    watch = started(rule())
    assert calls(play(watch, seen(0.8), 1.9)) == []
    watch.see(seen(0.4), Moment(2.0))
    assert calls(play(watch, seen(0.8), 6, from_s=2.1)) == [4.1]


def test_between_the_levels_what_was_stays() -> None:
    """Below ``above`` it does not begin, above ``release`` it does not end."""
    watch = started(rule())
    assert calls(play(watch, seen(0.55), 3)) == []
    watch.see(seen(0.65), Moment(3.1))
    assert calls(play(watch, seen(0.55), 8, from_s=3.2)) == [5.1]
    assert [type(e) for e in watch.see(seen(0.5), Moment(8.1))] == [Ended]


def test_below() -> None:
    watch = started(rule(above=None, below=0.2))
    assert calls(play(watch, seen(0.25), 3)) == []
    assert calls(play(watch, seen(0.1), 6, from_s=3.1)) == [5.1]
    assert list(play(watch, seen(0.25), 7, from_s=6.1)) == []
    assert [type(e) for _, e in play(watch, seen(0.35), 8, from_s=7.1)] == [Ended]


# -- missing data -------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [POOR, LOST, NOBODY, None])
def test_missing_looks_neither_trigger_nor_reset(missing: Seen | None) -> None:
    """1.5 s of evidence, three seconds of nothing, and 0.5 s more, of which a gap counts."""
    watch = started(rule())
    assert calls(play(watch, seen(0.8), 1.5)) == []
    if missing is not None:
        assert list(play(watch, missing, 4.4, from_s=1.6)) == []
    assert calls(play(watch, seen(0.8), 8, from_s=4.5)) == [4.5]


def test_a_gap_counts_for_half_a_second_at_most() -> None:
    """Two looks three seconds apart are no alarm; a frame a second needs four more."""
    watch = started(rule(gap_s=0.5))
    times = [float(t) for t in range(10) if watch.see(seen(0.8), Moment(float(t)))]
    assert times == [4.0]


@pytest.mark.parametrize("spacing_s", [0.04, 0.5, 1.0, 10.0, 60.0])
def test_a_source_of_rare_frames_is_no_pause(spacing_s: float) -> None:
    """Once its spacing is known, an expression holds from look to look, and stays one alarm."""
    watch = started(rule(hold_s=2 * spacing_s))
    looks = [seen(0.1)] * 5 + [seen(0.8)] * 40 + [seen(0.1)]
    found = [
        (i, type(e).__name__)
        for i, look in enumerate(looks)
        for at_s in (i * spacing_s - spacing_s / 10, i * spacing_s)
        for e in (
            watch.see(look, Moment(at_s)) if at_s == i * spacing_s else watch.tick(Moment(at_s))
        )
    ]
    assert found == [(7, "Call"), (45, "Ended")]


def test_a_pause_of_a_quick_camera_counts_for_half_a_second_still() -> None:
    watch = started(rule())
    list(play(watch, seen(0.1), 5))
    watch.see(seen(0.8), Moment(5.1))
    assert watch.see(seen(0.8), Moment(9.0)) == []
    assert calls(play(watch, seen(0.8), 12, from_s=9.1)) == [10.5]


def test_a_frame_that_comes_in_time_is_no_missing_one() -> None:
    """A frame a second, and no_data after one."""
    watch = started(rule(when="no_data", above=None, hold_s=1.0))
    for at_s in range(20):
        assert watch.see(seen(0.1), Moment(float(at_s))) == []
        assert watch.tick(Moment(at_s + 0.9)) == []
    assert [type(e) for e in watch.tick(Moment(20.1))] == [Call]


def test_after_long_enough_without_a_look_it_begins_anew() -> None:
    watch = started(rule())
    assert calls(play(watch, seen(0.8), 1.9)) == []
    assert calls(play(watch, seen(0.8), 12, from_s=7)) == [9.0]


def test_an_alarm_that_nobody_sees_any_more_is_over() -> None:
    watch = started(rule())
    assert calls(play(watch, seen(0.8), 3)) == [2.0]
    assert list(play(watch, POOR, 7.9, from_s=3.1)) == []
    assert [type(e) for _, e in play(watch, POOR, 9, from_s=8)] == [Ended]


def test_a_face_of_low_quality_may_be_the_one() -> None:
    """Of two faces one shows it, then cannot be read: the other being calm ends nothing."""
    watch = started(rule())
    assert calls(play(watch, seen(0.1, 0.8), 1.5)) == []
    list(play(watch, Seen(True, (face(0.1),), poor=True), 3, from_s=1.6))
    assert calls(play(watch, seen(0.1, 0.8), 5, from_s=3.1)) == [3.1]


# -- who ----------------------------------------------------------------------------------------


def test_any_face_or_each_by_itself() -> None:
    """Two faces take turns: together they hold it, neither does alone."""
    for per, expected in (("any", 1), ("track", 0)):
        watch = started(rule(per=per))
        turns = [seen(0.8, 0.1), seen(0.1, 0.8)]
        events = [e for i in range(40) for e in watch.see(turns[i // 5 % 2], Moment(i / 10))]
        assert sum(isinstance(e, Call) for e in events) == expected


def test_each_track_has_its_own_alarm() -> None:
    watch = started(rule(per="track"))
    found = [e for _, e in play(watch, seen(0.8, 0.1, 0.9), 3)]
    assert [e.alarm.track for e in found if isinstance(e, Call)] == [1, 3]


def test_faces_without_track_share_one() -> None:
    watch = started(rule(per="track"))
    assert calls(play(watch, Seen(True, (face(0.8), face(0.1))), 3)) == [2.0]


# -- other conditions ---------------------------------------------------------------------------


def test_uncertain_is_not_low_quality() -> None:
    found = rule(when="uncertain", above=None)
    assert calls(play(started(found), POOR, 4)) == []
    assert calls(play(started(found), seen(0.3), 4)) == []
    unsure = Seen(True, (face(0.3, uncertain=True),))
    assert calls(play(started(found), unsure, 4)) == [2.0]


def test_no_face() -> None:
    found = rule(when="no_face", above=None)
    assert calls(play(started(found), NOBODY, 4)) == [2.0]
    for frames in (POOR, LOST, seen(0.1)):
        assert calls(play(started(found), frames, 4)) == []


def test_no_data_needs_no_frame_at_all() -> None:
    found = rule(when="no_data", above=None)
    watch = started(found)
    at = [t for t in range(10) for e in watch.tick(Moment(float(t))) if isinstance(e, Call)]
    assert at == [2]
    assert [type(e) for e in watch.see(NOBODY, Moment(10.0))] == [Ended]
    assert calls(play(started(found), POOR, 4)) == [2.0]
    assert calls(play(started(found), NOBODY, 4)) == []


def test_intensity_and_models_that_tell_none() -> None:
    found = rule(measure="intensity")
    strong = Seen(True, (face(0.1, intensity={"sadness": 0.9}),))
    assert calls(play(started(found), strong, 4)) == [2.0]
    assert calls(play(started(found), seen(0.9), 4)) == []
    for unknown in (float("nan"), None):
        nothing = Seen(True, (face(0.1, intensity={"sadness": unknown}),))
        watch = started(found)
        list(play(watch, strong, 1.5))
        assert calls(play(watch, nothing, 2.5, from_s=1.6)) == []
        assert calls(play(watch, strong, 4, from_s=2.6)) == [2.6]
    assert "tells none" in unanswerable(found, face(0.9))[0]
    assert unanswerable(rule(), face(0.9)) == []
    assert "this model knows joy" in unanswerable(rule(), Look(None, {"joy": 1.0}, None, False))[0]


# -- limits -------------------------------------------------------------------------------------


def test_the_rate_limit_holds_back_and_lets_go() -> None:
    watch = started(rule(every_s=10, hold_s=1))
    assert calls(play(watch, seen(0.8), 2)) == [1.0]
    watch.see(seen(0.1), Moment(2.1))
    events = list(play(watch, seen(0.8), 15, from_s=2.2))
    assert [(at, type(e)) for at, e in events] == [(3.2, HeldBack), (11.0, Call)]


def test_an_expression_that_flickers_is_held_back_once_a_minute() -> None:
    watch = started(rule(every_s=600, hold_s=0))
    levels = [seen(0.8), seen(0.1)]
    events = [e for i in range(3000) for e in watch.see(levels[i % 2], Moment(i / 10))]
    assert sum(isinstance(e, Call) for e in events) == 1
    assert sum(isinstance(e, HeldBack) for e in events) == 1
    assert watch.rests("pain")


def test_a_rule_rests_when_no_face_shows_it() -> None:
    watch = started(rule(per="track"))
    list(play(watch, seen(0.8, 0.8), 3))
    watch.see(seen(0.1, 0.8), Moment(3.1))
    assert not watch.rests("pain")
    watch.see(seen(0.1, 0.1), Moment(3.2))
    assert watch.rests("pain")


def test_held_back_and_gone_is_never_raised() -> None:
    watch = started(rule(every_s=10, hold_s=1))
    list(play(watch, seen(0.8), 2))
    watch.see(seen(0.1), Moment(2.1))
    list(play(watch, seen(0.8), 5, from_s=2.2))
    assert calls(play(watch, seen(0.1), 20, from_s=5.1)) == []


def test_quiet_hours_over_midnight_hold_back_until_they_end() -> None:
    watch = started(rule(quiet=["22:00-07:00"]))
    evening = datetime.datetime(2026, 11, 25, 21, 59, 59)

    def at(s: float) -> Moment:
        return Moment(s, evening + datetime.timedelta(seconds=s))

    events = [(s / 10, e) for s in range(40) for e in watch.see(seen(0.8), at(s / 10))]
    assert [(s, type(e)) for s, e in events] == [(2.0, HeldBack)]
    night = 9 * 3600 + 1  # 07:00:00
    assert watch.see(seen(0.8), at(night - 2.5)) == []  # forgotten: begins anew
    times = [s / 10 for s in range(60) if watch.see(seen(0.8), at(night - 2.4 + s / 10))]
    assert times == [1.9, 2.4]  # due again while it is quiet, raised at seven


# -- answers ------------------------------------------------------------------------------------

ASSISTANT = {"repeat_s": 10.0, "escalate_s": 25.0, "escalate_to": ["doctor"]}


def ticks(watch: Watch, until_s: int, from_s: int = 0) -> list[tuple[int, int, tuple[str, ...]]]:
    return [
        (s, e.number, e.to)
        for s in range(from_s, until_s + 1)
        for e in watch.tick(Moment(float(s)))
        if isinstance(e, Call)
    ]


def test_it_repeats_and_goes_further_until_it_is_acknowledged() -> None:
    watch = started(rule(**ASSISTANT))
    assert calls(play(watch, seen(0.8), 2)) == [2.0]
    assert ticks(watch, 50, 3) == [
        (12, 1, ("text",)),
        (22, 2, ("text",)),
        (27, 3, ("text", "doctor")),
        (37, 4, ("text", "doctor")),
        (47, 5, ("text", "doctor")),
    ]
    assert watch.acknowledge(["other"]) == []
    assert [alarm.key for alarm in watch.acknowledge(["k1"])] == ["k1"]
    assert watch.open == ()
    assert ticks(watch, 100, 51) == []


def test_it_goes_on_when_the_face_is_calm_or_gone() -> None:
    watch = started(rule(**ASSISTANT))
    list(play(watch, seen(0.8), 2))
    assert calls(play(watch, seen(0.1), 13, from_s=2.1)) == [12.0]
    assert calls(play(watch, NOBODY, 23, from_s=13.1)) == [22.0]


def test_while_it_waits_the_same_is_no_second_alarm() -> None:
    watch = started(rule(**ASSISTANT))
    list(play(watch, seen(0.8), 2))
    watch.see(seen(0.1), Moment(2.1))
    again = [e for _, e in play(watch, seen(0.8), 12.5, from_s=2.2)]
    assert [(e.alarm.key, e.number) for e in again if isinstance(e, Call)] == [("k1", 1)]


def test_acknowledged_it_rests_until_it_shows_anew() -> None:
    watch = started(rule(**ASSISTANT))
    list(play(watch, seen(0.8), 2))
    watch.acknowledge()
    assert calls(play(watch, seen(0.8), 20, from_s=2.1)) == []
    watch.see(seen(0.1), Moment(20.1))
    assert calls(play(watch, seen(0.8), 24, from_s=20.2)) == [22.2]


def test_a_contact_out_of_reach_calls_the_second_at_once() -> None:
    watch = started(rule(**ASSISTANT))
    list(play(watch, seen(0.8), 2))
    (call,) = watch.unreached("k1", Moment(3.0))
    assert isinstance(call, Call)
    assert (call.number, call.to, call.escalated) == (1, ("text", "doctor"), True)
    assert watch.unreached("k1", Moment(4.0)) == []
    assert watch.unreached("k2", Moment(4.0)) == []


# -- clocks that jump ---------------------------------------------------------------------------


def test_the_wall_clock_moves_no_hold_and_no_repeat() -> None:
    watch = started(rule(**ASSISTANT, every_s=30))
    walls = [NOON, NOON + datetime.timedelta(days=1), NOON - datetime.timedelta(days=1)]
    at = [
        i / 10
        for i in range(130)
        for e in watch.see(seen(0.8), Moment(i / 10, walls[i % 3]))
        if isinstance(e, Call)
    ]
    assert at == [2.0, 12.0]


def test_a_sleep_of_hours_makes_one_repeat_not_hundreds() -> None:
    watch = started(rule(**ASSISTANT))
    list(play(watch, seen(0.8), 2))
    assert len(watch.tick(Moment(40_000.0))) == 2  # the alarm's expression is over; one call
    assert ticks(watch, 40_009, 40_001) == []


def test_time_that_goes_back_is_no_time() -> None:
    watch = started(rule())
    list(play(watch, seen(0.8), 1))
    assert watch.see(seen(0.8), Moment(0.2)) == []
    assert calls(play(watch, seen(0.8), 4, from_s=0.3)) == [2.0]


# -- a restart ----------------------------------------------------------------------------------


def test_an_open_alarm_goes_on_after_a_restart() -> None:
    before = started(rule(**ASSISTANT))
    ((_, call),) = list(play(before, seen(0.8), 2))
    assert isinstance(call, Call)
    watch = started(rule(**ASSISTANT))
    watch.resume(call, age_s=20, due_now=True, now=Moment(0.0))
    assert ticks(watch, 16) == [
        (0, 1, ("text",)),
        (5, 2, ("text", "doctor")),
        (15, 3, ("text", "doctor")),
    ]


def test_the_rate_limit_holds_over_a_restart() -> None:
    call = next(e for _, e in play(started(rule()), seen(0.8), 2) if isinstance(e, Call))
    watch = started(rule(every_s=60))
    watch.resume(call, age_s=50, due_now=True, now=Moment(0.0))
    assert watch.open == ()
    assert calls(play(watch, seen(0.8), 15)) == [10.0]


def test_an_alarm_of_a_rule_that_is_gone_is_left_alone() -> None:
    call = next(e for _, e in play(started(rule()), seen(0.8), 2) if isinstance(e, Call))
    watch = started(rule(name="other"))
    watch.resume(call, age_s=0, due_now=True, now=Moment(0.0))
    assert watch.open == ()


def test_quiet_hours_are_by_this_machines_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same moment in three zones."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    (found,) = rule(quiet=["22:00-07:00"]).rules
    night = datetime.datetime.fromisoformat("2026-11-25T22:30:00+01:00")
    east = datetime.timezone(datetime.timedelta(hours=9))
    for wall in (night, night.astimezone(datetime.UTC), night.astimezone(east)):
        assert found.is_quiet(wall)
        assert found.quiet_ends_s(wall) == 8.5 * 3600
    monkeypatch.undo()
    time.tzset()


# -- when, and what of --------------------------------------------------------------------------


def test_what_an_event_says_where_it_says_nothing() -> None:
    alarm = Alarm("k", "pain", "Hilfe!")
    assert (alarm.track, alarm.value, alarm.time) == (None, None, "")
    call = Call(alarm, 3, ("text",))
    assert (call.id, call.escalated, call.waits) == ("k.3", False, False)
    assert (Seen(True).looks, Seen(True).poor) == ((), False)
    assert Moment(1.0).wall is None


def test_an_alarm_at_a_time_that_nobody_knows() -> None:
    (call,) = started(rule(hold_s=0)).see(seen(0.8), Moment(1.0))
    assert isinstance(call, Call)
    assert (call.alarm.time, call.alarm.track, call.alarm.rule) == ("", None, "pain")


def test_what_ends_is_told_with_its_face() -> None:
    watch = started(rule(per="track", hold_s=0))
    watch.see(seen(0.8, 0.9), Moment(0.0))
    assert watch.see(seen(0.8, 0.1), Moment(0.1)) == [Ended("pain", 2)]
    assert watch.tick(Moment(5.15)) == [Ended("pain", 1)]
    without = started(rule(when="no_data", above=None, hold_s=1.0))
    without.tick(Moment(1.0))
    assert without.see(NOBODY, Moment(2.0)) == [Ended("pain", None)]
    both = started(rule(hold_s=0))
    both.see(seen(0.8), Moment(0.0))
    assert both.see(seen(0.1), Moment(0.1)) == [Ended("pain", None)]


def test_when_time_alone_brings_something_about() -> None:
    watch = started(rule(**ASSISTANT))
    assert watch.due_s(Moment(0.0)) == float("inf")
    watch.see(seen(0.1), Moment(1.0))
    assert watch.due_s(Moment(1.0)) == 6.0  # forgotten after five seconds
    assert calls(play(watch, seen(0.8), 3.2, from_s=1.1)) == [3.1]
    assert watch.due_s(Moment(3.2)) == 8.2
    watch.tick(Moment(8.3))
    assert watch.due_s(Moment(8.3)) == 13.1
    watch.tick(Moment(23.5))
    assert watch.due_s(Moment(23.5)) == 28.1  # the second contact
    watch.acknowledge()
    assert watch.due_s(Moment(23.5)) == float("inf")


def test_when_no_data_is_an_alarm_and_when_it_is_looked_at_again() -> None:
    found = rule(when="no_data", above=None, hold_s=2.0, every_s=30.0)
    watch = started(found)
    assert watch.due_s(Moment(0.0)) == 2.0
    assert started(rule(when="no_data", above=None, hold_s=0.1)).due_s(Moment(0.0)) == 0.5
    watch.see(NOBODY, Moment(1.0))
    assert watch.due_s(Moment(1.0)) == 3.0
    watch.tick(Moment(3.0))
    assert watch.due_s(Moment(3.0)) == float("inf")  # it is on
    watch.see(NOBODY, Moment(5.0))
    assert watch.due_s(Moment(5.0)) == 7.0
    assert [type(e) for e in watch.tick(Moment(7.0))] == [HeldBack]
    assert watch.due_s(Moment(7.0)) == 33.0  # thirty seconds after the last one
    assert watch.tick(Moment(32.9)) == []
    assert [type(e) for e in watch.tick(Moment(33.0))] == [Call]


def test_no_data_at_night_is_due_when_the_night_ends_or_it_is_told_again() -> None:
    watch = started(rule(when="no_data", above=None, quiet=["22:00-07:00"]))
    evening = datetime.datetime(2026, 11, 25, 23)

    def at(s: float, wall: datetime.datetime = evening) -> Moment:
        return Moment(s, wall + datetime.timedelta(seconds=s))

    assert watch.due_s(at(0)) == 2.0
    assert [type(e) for e in watch.tick(at(2.0))] == [HeldBack]
    assert watch.due_s(at(2.0)) == 62.0
    assert watch.tick(at(61.9)) == []
    assert [type(e) for e in watch.tick(at(62.0))] == [HeldBack]
    morning = datetime.datetime(2026, 11, 26, 6, 59)
    assert watch.due_s(at(30.0, morning)) == 60.0
    assert watch.due_s(Moment(70.0)) == 122.0  # where nobody knows the time of day


def test_what_is_held_back_is_told_once_a_minute() -> None:
    watch = started(rule(quiet=["00:00-23:59"], hold_s=0))
    found = [(at, e) for at, e in play(watch, seen(0.8), 130)]
    assert found == [(s, HeldBack("pain", None, "quiet hours")) for s in (0.0, 60.0, 120.0)]


def test_another_reason_for_holding_back_is_told_at_once() -> None:
    watch = started(rule(quiet=["12:00-13:00"], hold_s=0, every_s=600))
    before = datetime.datetime(2026, 11, 25, 11, 59, 50)

    def look(s: float, value: float) -> list[Event]:
        return watch.see(seen(value), Moment(s, before + datetime.timedelta(seconds=s)))

    assert [type(e) for e in look(0, 0.8)] == [Call]
    assert [type(e) for e in look(1, 0.1)] == [Ended]
    assert look(2, 0.8) == [HeldBack("pain", None, "rate limit")]
    assert look(3, 0.8) == []
    assert look(10, 0.8) == [HeldBack("pain", None, "quiet hours")]
    assert look(11, 0.8) == []


def test_the_spacing_is_of_the_last_frames_and_of_different_moments() -> None:
    """Thirty-one steps; two looks at one moment are no step, and two steps say nothing yet."""
    watch = started(rule())
    for i in range(3):
        assert watch.due_s(Moment(20.0)) == (float("inf") if not i else 10.0 * (i - 1) + 5)
        watch.see(seen(0.1), Moment(10.0 * i))
    watch.see(seen(0.1), Moment(30.0))
    assert watch.due_s(Moment(30.0)) == 80.0
    for i in range(4, 60):
        for _ in range(3):
            watch.see(seen(0.1), Moment(10.0 * i))
        assert watch.due_s(Moment(10.0 * i)) == 10.0 * i + 50
    for i in range(1, 17):
        watch.see(seen(0.1), Moment(590 + i))
        expected = 5.0 if i == 16 else 50.0
        assert watch.due_s(Moment(590.0 + i)) == 590 + i + expected


def test_a_second_contact_that_is_long_due_is_called_at_the_restart() -> None:
    ((_, call),) = list(play(started(rule(**ASSISTANT)), seen(0.8), 2))
    assert isinstance(call, Call)
    watch = started(rule(**ASSISTANT))
    watch.resume(call, age_s=90, due_now=False, now=Moment(0.0))
    assert watch.due_s(Moment(0.0)) == 0.0
    assert ticks(watch, 11) == [(0, 1, ("text", "doctor")), (10, 2, ("text", "doctor"))]
    later = started(rule(**ASSISTANT))
    later.resume(call, age_s=3, due_now=False, now=Moment(0.0))
    assert ticks(later, 11) == [(10, 1, ("text",))]


def test_a_resumed_alarm_that_is_repeated_no_more_is_not_open() -> None:
    """The rule calls once now, or the call waited for nobody."""
    ((_, call),) = list(play(started(rule(**ASSISTANT)), seen(0.8), 2))
    assert isinstance(call, Call)
    for found, past in (
        (rule(), call),
        (rule(**ASSISTANT), Call(call.alarm, 0, ("text",), waits=False)),
    ):
        watch = started(found)
        watch.resume(past, age_s=1, due_now=True, now=Moment(0.0))
        assert watch.open == ()


def test_without_an_answer_and_a_second_contact_it_only_repeats() -> None:
    watch = started(rule(repeat_s=10.0))
    list(play(watch, seen(0.8), 2))
    assert watch.unreached("k1", Moment(3.0)) == []
    assert ticks(watch, 23, 3) == [(12, 1, ("text",)), (22, 2, ("text",))]
    assert all(call.waits and not call.escalated for call in watch.open)


def test_of_several_faces_the_one_nearest_to_the_alarm_is_told() -> None:
    for changes, values, nearest in (
        ({}, (0.7, 0.9, 0.1), 0.9),
        ({"above": None, "below": 0.3}, (0.2, 0.9, 0.1), 0.1),
    ):
        (call,) = started(rule(hold_s=0, **changes)).see(seen(*values), Moment(0.0))
        assert isinstance(call, Call)
        assert call.alarm.value == nearest
    shared = started(rule(hold_s=0, per="track"))
    (call,) = shared.see(Seen(True, (face(0.7), face(0.9))), Moment(0.0))
    assert isinstance(call, Call)
    assert (call.alarm.value, call.alarm.track) == (0.9, None)


def test_at_its_level_it_shows_and_at_its_release_it_is_over() -> None:
    watch = started(rule(hold_s=0, above=0.5, release=0.25))
    assert [type(e) for e in watch.see(seen(0.5), Moment(0.0))] == [Call]
    assert watch.see(seen(0.26), Moment(0.1)) == []
    assert watch.see(seen(0.25), Moment(0.2)) == [Ended("pain", None)]
    below = started(rule(hold_s=0, above=None, below=0.5, release=0.75))
    assert [type(e) for e in below.see(seen(0.5), Moment(0.0))] == [Call]
    assert below.see(seen(0.74), Moment(0.1)) == []
    assert below.see(seen(0.75), Moment(0.2)) == [Ended("pain", None)]


def test_until_the_spacing_is_known_a_gap_is_half_a_second() -> None:
    watch = started(rule(hold_s=0.9))
    assert watch.see(seen(0.8), Moment(0.0)) == []
    assert watch.see(seen(0.8), Moment(1.0)) == []
    assert watch.see(seen(0.8), Moment(1.3)) == []
    assert [type(e) for e in watch.see(seen(0.8), Moment(1.4))] == [Call]
