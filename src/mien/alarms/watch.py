"""Rules at work: from what is seen, frame by frame, to alarms. No I/O, and no clock of its own.

What was decided where data are missing:

- Only *usable* looks count: a face of low quality, a frame that could not be read and a frame that
  never came say nothing. They neither raise an alarm nor take back what was seen before.
- Of the time between two usable looks at most ``gap_s`` counts towards ``hold_s``: no alarm comes
  from a pause, and a camera that stumbles takes longer instead of never getting there.
- After ``forget_s`` without a usable look it begins anew; an alarm that was on is over then.
- Both follow the frames, where the rule does not say them: of a source that gives one every ten
  seconds, ten seconds between two looks are no pause. How far apart its frames are is seen from
  the last ones; no_data alone knows no other seconds than those of its rule.
- For an emotion a picture without a face is a missing look, too; ``no_face`` is a rule of its own,
  and so is ``no_data``, for cameras that fail.

An alarm that the rate limit or quiet hours hold back is raised as soon as they allow it, if it
still shows then. Quiet hours keep new alarms back; one that waits for an answer goes on calling.
"""

from __future__ import annotations

import datetime
import enum
import math
import secrets
import statistics
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from .rules import CONDITIONS, NO_DATA, NO_FACE, UNCERTAIN, Rule, Rules

_TELL_AGAIN_S = 60.0  # that an alarm is held back, where an expression comes and goes
_STEPS, _FEWEST_STEPS = 31, 3  # between frames: how many say how far apart they usually are
_ROUNDING_S = 1e-6  # ten times 0.1 s is a second


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time.

    s : seconds of a clock that never goes back, from any zero; holds, limits and repeats use it.
    wall : what the clock on the wall says, for quiet hours alone; None where nobody knows.
    """

    s: float
    wall: datetime.datetime | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """One face, well enough seen: what rules need of it.

    emotions, intensity : numbers in [0, 1] by label; no intensity where the model does not tell.
    """

    track: int | None
    emotions: Mapping[str, float]
    intensity: Mapping[str, float] | None
    uncertain: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """One frame.

    usable : it says something, be it that nobody is there.
    looks : the faces that are well enough seen.
    poor : whether there are others, of low quality.
    """

    usable: bool
    looks: tuple[Look, ...] = ()
    poor: bool = False


@dataclass(frozen=True, slots=True)
class Alarm:
    """A rule that came true.

    key : the same for every call, retry and repeat of it, and for no other alarm.
    track : of which face, if the rule is per track.
    value : the level that was measured when it was raised; None where the rule has none.
    time : ISO 8601 by the wall's clock; "" where nobody knows.
    """

    key: str
    rule: str
    text: str
    track: int | None = None
    value: float | None = None
    time: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """Tell these outputs of an alarm.

    number : 0 for the first, one more for each repeat.
    escalated : the second contact is among them.
    waits : it will be repeated until somebody acknowledges it.
    """

    alarm: Alarm
    number: int
    to: tuple[str, ...]
    escalated: bool = False
    waits: bool = False

    @property
    def id(self) -> str:
        """What receivers tell a retry by: the same for each try at this call."""
        return f"{self.alarm.key}.{self.number}"


@dataclass(frozen=True, slots=True)
class HeldBack:
    """An alarm that is due and not raised, because of "rate limit" or "quiet hours"."""

    rule: str
    track: int | None
    why: str


@dataclass(frozen=True, slots=True)
class Ended:
    """What raised an alarm no longer shows."""

    rule: str
    track: int | None


Event = Call | HeldBack | Ended


class _Level(enum.Enum):
    OFF = 0
    BETWEEN = 1  # hysteresis: what was, stays
    ON = 2


@dataclass(slots=True)
class _State:
    """Where one rule stands with one face, or with any."""

    up: bool = False
    raised: bool = False
    evidence_s: float = 0.0
    last_s: float | None = None
    value: float | None = None

    def rest(self) -> None:
        self.up = self.raised = False
        self.evidence_s = 0.0


class _Spacing:
    """How far apart frames usually are, by the last ones."""

    def __init__(self) -> None:
        self._steps: deque[float] = deque(maxlen=_STEPS)
        self._last_s: float | None = None
        self.usual_s = 0.0  # until it is known

    def note(self, now_s: float) -> None:
        """A frame has come."""
        if self._last_s is not None and now_s > self._last_s:
            self._steps.append(now_s - self._last_s)
            if len(self._steps) >= _FEWEST_STEPS:
                self.usual_s = statistics.median(self._steps)
        self._last_s = now_s


@dataclass(slots=True)
class _Open:
    """An alarm that waits to be acknowledged."""

    call: Call
    track: int | None
    next_s: float
    escalate_s: float | None


_Subject = tuple[str, int | None]  # a rule's name, and a track or nobody in particular


class Watch:
    """Carries out ``rules``; every method returns what is to be done now.

    new_key : makes the alarms' keys.
    """

    def __init__(
        self,
        rules: Rules,
        start: Moment,
        new_key: Callable[[], str] = lambda: secrets.token_hex(6),
    ) -> None:
        self._rules, self._new_key = rules, new_key
        self._states: dict[_Subject, _State] = {}
        self._last_alarm_s: dict[_Subject, float] = {}
        self._told: dict[_Subject, tuple[str, float]] = {}  # held back: why, and when it was said
        self._open: dict[str, _Open] = {}
        self._last_usable_s = start.s
        self._spacing = _Spacing()

    @property
    def open(self) -> tuple[Call, ...]:
        """The last call of every alarm that waits to be acknowledged."""
        return tuple(waiting.call for waiting in self._open.values())

    def rests(self, rule: str) -> bool:
        """Nothing of a rule shows that was an alarm, or waits to be acknowledged."""
        shows = any(state.raised for (name, _), state in self._states.items() if name == rule)
        return not shows and all(call.alarm.rule != rule for call in self.open)

    def see(self, seen: Seen, now: Moment) -> list[Event]:
        """What one frame brings about. A moment before the last one counts as the same moment."""
        self._spacing.note(now.s)
        if seen.usable:
            self._last_usable_s = now.s  # first: a frame that comes in time is no missing one
        events = self.tick(now)
        for rule in self._rules.rules:
            for track, (level, value) in _readings(rule, seen).items():
                events += self._observe(rule, track, level, value, now)
        return events

    def tick(self, now: Moment) -> list[Event]:
        """What time alone brings about: repeats, second contacts, forgetting, and no data."""
        events = list(self._forget(now))
        for rule in self._rules.rules:
            if rule.when == NO_DATA:
                events += self._without_data(rule, now)
        for waiting in self._open.values():
            events += self._again(waiting, now)
        return events

    def due_s(self, now: Moment) -> float:
        """When ``tick`` will next bring something about, in seconds; infinity where never."""
        found = [math.inf]
        for (name, _), state in self._states.items():
            if state.last_s is not None:
                found.append(state.last_s + self._rule(name).forget(self._spacing.usual_s))
        for waiting in self._open.values():
            found.append(waiting.next_s)
            if waiting.escalate_s is not None:
                found.append(waiting.escalate_s)
        found += [self._no_data_due_s(r, now) for r in self._rules.rules if r.when == NO_DATA]
        return min(found)

    def _no_data_due_s(self, rule: Rule, now: Moment) -> float:
        subject = (rule.name, None)
        state = self._states.get(subject)
        if state is not None and state.raised:
            return math.inf
        due_s = self._last_usable_s + max(rule.gap(), rule.hold_s)
        if due_s > now.s or subject not in self._told:
            return due_s
        quiet_s = rule.quiet_ends_s(now.wall) if now.wall else math.inf
        told_s = self._told[subject][1] + max(rule.every_s, _TELL_AGAIN_S)
        limit_s = self._last_alarm_s.get(subject, math.inf) + rule.every_s
        return min(now.s + quiet_s, told_s, limit_s)

    def acknowledge(self, keys: Iterable[str] | None = None) -> list[Alarm]:
        """The alarms that these keys (None: all) put to rest; keys of no open alarm are none."""
        wanted = list(self._open) if keys is None else [k for k in keys if k in self._open]
        return [self._open.pop(key).call.alarm for key in dict.fromkeys(wanted)]

    def unreached(self, key: str, now: Moment) -> list[Event]:
        """Somebody could not be told: the second contact of that alarm is called now."""
        waiting = self._open.get(key)
        if waiting is None or waiting.escalate_s is None:
            return []
        waiting.escalate_s = now.s
        return self._again(waiting, now)

    def resume(self, call: Call, age_s: float, due_now: bool, now: Moment) -> None:
        """Take over an alarm from before a restart, raised ``age_s`` seconds ago.

        due_now : its next call is due at once, and not after ``repeat_s``.
        """
        rule = self._rules.rule(call.alarm.rule)
        if rule is None:
            return
        subject = (rule.name, call.alarm.track)
        self._last_alarm_s[subject] = now.s - age_s
        if not call.waits or rule.repeat_s is None:
            return
        escalate_s = None
        if rule.escalate_s is not None and not call.escalated:
            escalate_s = now.s + max(0.0, rule.escalate_s - age_s)
        next_s = now.s + (0.0 if due_now else rule.repeat_s)
        self._open[call.alarm.key] = _Open(call, call.alarm.track, next_s, escalate_s)

    # -- what is seen ---------------------------------------------------------------------------

    def _observe(
        self, rule: Rule, track: int | None, level: _Level, value: float | None, now: Moment
    ) -> Iterator[Event]:
        state = self._states.setdefault((rule.name, track), _State())
        since = 0.0 if state.last_s is None else now.s - state.last_s
        state.last_s = now.s if since >= 0 else state.last_s
        state.value = value
        if level is _Level.ON or (level is _Level.BETWEEN and state.up):
            if state.up:
                state.evidence_s += min(max(since, 0.0), rule.gap(self._spacing.usual_s))
            state.up = True
            yield from self._due(rule, track, state, now)
        else:
            yield from _rest(rule, track, state)

    def _without_data(self, rule: Rule, now: Moment) -> Iterator[Event]:
        state = self._states.setdefault((rule.name, None), _State())
        state.evidence_s = now.s - self._last_usable_s
        state.up = state.evidence_s > rule.gap()
        if state.up:
            yield from self._due(rule, None, state, now)
        else:
            yield from _rest(rule, None, state)

    def _forget(self, now: Moment) -> Iterator[Event]:
        for (name, track), state in list(self._states.items()):
            rule = self._rule(name)
            forget_s = rule.forget(self._spacing.usual_s)
            if state.last_s is not None and now.s - state.last_s > forget_s:
                yield from _rest(rule, track, state)
                del self._states[name, track]
        for (name, track), last_s in list(self._last_alarm_s.items()):
            if now.s - last_s > self._rule(name).every_s:
                del self._last_alarm_s[name, track]
                self._told.pop((name, track), None)

    def _rule(self, name: str) -> Rule:
        rule = self._rules.rule(name)
        assert rule is not None
        return rule

    # -- alarms ---------------------------------------------------------------------------------

    def _due(self, rule: Rule, track: int | None, state: _State, now: Moment) -> Iterator[Event]:
        if state.raised or state.evidence_s + _ROUNDING_S < rule.hold_s:
            return
        if any((w.call.alarm.rule, w.track) == (rule.name, track) for w in self._open.values()):
            state.raised = True  # nobody has answered the last one yet: it is the same alarm
            return
        why = self._held_back(rule, track, now)
        if why:
            told, at_s = self._told.get((rule.name, track), ("", 0.0))
            if why != told or now.s - at_s >= max(rule.every_s, _TELL_AGAIN_S):
                self._told[rule.name, track] = (why, now.s)
                yield HeldBack(rule.name, track, why)
            return
        state.raised = True
        self._last_alarm_s[rule.name, track] = now.s
        self._told.pop((rule.name, track), None)
        yield self._raise(rule, track, state.value, now)

    def _held_back(self, rule: Rule, track: int | None, now: Moment) -> str:
        if rule.is_quiet(now.wall):
            return "quiet hours"
        last_s = self._last_alarm_s.get((rule.name, track))
        if last_s is not None and now.s - last_s + _ROUNDING_S < rule.every_s:
            return "rate limit"
        return ""

    def _raise(self, rule: Rule, track: int | None, value: float | None, now: Moment) -> Call:
        time = now.wall.isoformat(timespec="milliseconds") if now.wall else ""
        alarm = Alarm(self._new_key(), rule.name, rule.text, track, value, time)
        call = Call(alarm, 0, rule.to, waits=rule.repeat_s is not None)
        if rule.repeat_s is not None:
            escalate_s = None if rule.escalate_s is None else now.s + rule.escalate_s
            self._open[alarm.key] = _Open(call, track, now.s + rule.repeat_s, escalate_s)
        return call

    def _again(self, waiting: _Open, now: Moment) -> list[Event]:
        """The next call of an open alarm, if it is due; one, however long nobody looked."""
        rule = self._rule(waiting.call.alarm.rule)
        assert rule.repeat_s is not None
        further = waiting.escalate_s is not None and now.s >= waiting.escalate_s
        if not further and now.s < waiting.next_s:
            return []
        call = waiting.call
        if further:
            call, waiting.escalate_s = replace(call, escalated=True), None
        to = rule.outputs if call.escalated else rule.to
        waiting.call = replace(call, number=call.number + 1, to=to)
        waiting.next_s = now.s + rule.repeat_s
        return [waiting.call]


def _rest(rule: Rule, track: int | None, state: _State) -> Iterator[Event]:
    if state.raised:
        yield Ended(rule.name, track)
    state.rest()


def unanswerable(rules: Rules, look: Look) -> list[str]:
    """Which rules can never come true with the model that looked, and why."""
    found = []
    for rule in rules.rules:
        if rule.when in CONDITIONS:
            continue
        if rule.when not in look.emotions:
            known = ", ".join(look.emotions)
            found.append(f"rule '{rule.name}' waits for {rule.when}; this model knows {known}")
        elif rule.measure == "intensity" and look.intensity is None:
            found.append(f"rule '{rule.name}' waits for an intensity; this model tells none")
    return found


# -- readings -----------------------------------------------------------------------------------

_Reading = tuple[_Level, float | None]


def _readings(rule: Rule, seen: Seen) -> dict[int | None, _Reading]:
    """The level of a rule for everyone a frame says something of; nobody where it says nothing."""
    if not seen.usable or rule.when == NO_DATA:
        return {}
    if rule.when == NO_FACE:
        if seen.poor:
            return {}
        return {None: (_Level.OFF if seen.looks else _Level.ON, None)}
    found = [(look.track, reading) for look in seen.looks if (reading := _reading(rule, look))]
    if rule.per == "track":
        apart = {track: reading for track, reading in found if track is not None}
        nobodys = [reading for track, reading in found if track is None]
        return apart | ({None: _strongest(rule, nobodys)} if nobodys else {})
    if not found:
        return {}
    level, value = _strongest(rule, [reading for _, reading in found])
    if level is _Level.OFF and (seen.poor or len(found) < len(seen.looks)):
        return {}  # it may show in the face that nobody can read
    return {None: (level, value)}


def _reading(rule: Rule, look: Look) -> _Reading | None:
    if rule.when == UNCERTAIN:
        return (_Level.ON if look.uncertain else _Level.OFF), None
    values = look.emotions if rule.measure == "probability" else look.intensity
    value = None if values is None else values.get(rule.when)
    if value is None or not math.isfinite(value):
        return None
    sign = 1 if rule.above is not None else -1
    if sign * value >= sign * rule.level:
        return _Level.ON, value
    return (_Level.BETWEEN if sign * value > sign * rule.released_at else _Level.OFF), value


def _strongest(rule: Rule, readings: list[_Reading]) -> _Reading:
    """Of several faces the one nearest to an alarm."""
    sign = 1 if rule.above is not None else -1
    return max(readings, key=lambda r: (r[0].value, sign * (r[1] or 0.0)))
