"""Rules, outputs and journal put together: what is seen goes in, alarms go out.

One thread carries out the rules and writes the journal, one more for every output brings alarms to
it, so that a slow server holds up neither the camera nor the other outputs. An alarm that does not
arrive is shown, spoken and written down, and its second contact called.
"""

from __future__ import annotations

import datetime
import logging
import queue
import shlex
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import ParamSpec, TypeVar

from ..errors import ConfigError, MienError, UnknownName
from ..face import Face
from ..results import reading
from ..secrecy import public
from . import places
from . import rules as rule_files
from .courier import Courier
from .journal import Journal, Past, default_path
from .output import Context, Output, Undelivered, outputs
from .overlay import Overlay
from .recorded import RecordClock
from .rules import Rules
from .sight import of_faces, of_read
from .speech import Speech
from .watch import Alarm, Call, Ended, Event, HeldBack, Moment, Seen, Watch, unanswerable

log = logging.getLogger(__name__)

_TICK_S = 0.1
_WAITING = 256  # frames the rules may be behind; more are dropped, and count as missing
_BEHIND_S = 0.005  # between two looks at whether there is room
_STALE_S = 3600.0  # an alarm of before a restart that is older is shown, and no longer sent
_PATIENCE_S = 5.0  # at the end, for what is on its way

Job = Callable[[], Iterable[Event]]
P = ParamSpec("P")
T = TypeVar("T")


def read(path: Path | str, labels: Sequence[str] | None = None, intensities: bool = True) -> Rules:
    """A ``rules.toml``, its outputs checked too; raises ConfigError with what to write instead.

    labels, intensities : what the model in use can say; see ``mien.alarms.rules.parse``.
    """
    rules = rule_files.read(Path(path), labels, intensities)
    try:
        build(rules)
    except UnknownName as err:
        err.args = (f"{path}: {err}",)
        raise
    except ConfigError as err:
        raise ConfigError(f"{path}: {err}") from err
    return rules


def build(rules: Rules) -> dict[str, Output]:
    """The outputs by name, not started yet; raises ConfigError, UnknownName.

    A kind that needs no settings may be named without a table of its own.
    """
    tables = {name: dict(table) for name, table in rules.outputs.items()}
    for name in rules.named_outputs:
        if name not in tables:
            if name not in outputs:
                raise UnknownName("output", name, dict.fromkeys([*tables, *outputs]))
            tables[name] = {"kind": name}
    built: dict[str, Output] = {}
    for name, table in tables.items():
        kind = table.pop("kind", name if name in outputs else None)
        if not isinstance(kind, str):
            kinds = ", ".join(outputs)
            raise ConfigError(f"output.{name} needs a kind, one of {kinds}")
        built[name] = outputs.build(kind, name, table)
    return built


def system_clock() -> Moment:
    """Now, by the two clocks of this machine."""
    return Moment(time.monotonic(), datetime.datetime.now().astimezone())


def to_stderr(line: str) -> None:
    """A line for whoever sits at the terminal; what could steer it is spelt out, but for a bell."""
    bell = "\a" if line.startswith("\a") and sys.stderr.isatty() else ""
    plain = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in public(line.lstrip("\a")))
    with suppress(OSError, ValueError):  # nobody reads it; the alarm goes on
        print(f"{bell}{plain}", file=sys.stderr, flush=True)


class Runner:
    """Takes what is seen; a context manager.

    All but entering and leaving it, and ``see_record``, comes back at once.

    journal : None is ``journal.default_path()``.
    show : takes a line for the person at the terminal, from any thread.
    built : the outputs, where they are not to be built from ``rules``.

    Raises MienError on entering, where an output cannot work or the journal is taken.
    """

    def __init__(
        self,
        rules: Rules,
        journal: Path | None = None,
        show: Callable[[str], None] = to_stderr,
        built: Mapping[str, Output] | None = None,
        clock: Callable[[], Moment] = system_clock,
    ) -> None:
        self._rules, self._show = rules, show
        self._machine, self._clock = clock, RecordClock(clock)
        self._journal_path = journal or default_path()
        self._outputs = dict(build(rules) if built is None else built)
        self._watch = Watch(rules, clock())
        self._inbox: queue.Queue[Job | None] = queue.Queue()
        self._couriers: dict[str, Courier] = {}
        self._pending: dict[tuple[str, str], Call] = {}  # by id and output: on its way
        self._failed: dict[str, set[str]] = {}  # by open alarm: whom its last call did not reach
        self._stack = ExitStack()
        self._journal: Journal
        self._journal_fails = False
        self._thread = threading.Thread(target=self._run, name="mien-alarms", daemon=True)
        self._dropped = 0
        self._checked = False
        self.open: tuple[Call, ...] = ()
        self.counts = Counter[str]()

    def __enter__(self) -> Runner:
        with self._stack:  # undone, unless all goes well
            self._journal = Journal(self._journal_path)
            self._stack.callback(self._journal.close)
            kept = places.path_beside(self._journal_path)
            context = Context(self._rules, self._show, self.acknowledge, self.ack, kept)
            self._tell_of_left(kept)
            for output in self._outputs.values():
                output.start(context)
                self._stack.callback(output.close)
            self._stack = self._stack.pop_all()
        for name, output in self._outputs.items():
            self._couriers[name] = Courier(name, output, self._report, self._trouble)
        self._voice = Courier("voice", self._fallback_voice(), self._voice_report, _ignore)
        self._inbox.put(self._resume)
        self._thread.start()
        return self

    # -- what comes in --------------------------------------------------------------------------

    def see(self, faces: Sequence[Face], now: Moment | None = None) -> None:
        """The recognised faces of the frame that was taken ``now``."""
        self._see(of_faces(faces), now)

    def see_record(self, record: object) -> None:
        """The same from a record, at its own ``time_s``; raises DataError where it is none.

        Waits for room where the rules are behind: a file's records come faster than its life.
        """
        read = reading.of_plain(record)
        seen = of_read(read)
        while self._inbox.qsize() >= _WAITING:
            time.sleep(_BEHIND_S)
        self._inbox.put(lambda: self._look(seen, self._clock.of(read.source, read.time_s)))

    def records_ended(self) -> None:
        """No more records come: from now on time is the machine's."""
        self._inbox.put(self._ended_records)

    def acknowledge(self, key: str | None = None, by: str = "here") -> None:
        """Put an alarm to rest, all of them for None; ``by`` says who, for the journal."""
        self._inbox.put(lambda: self._acknowledge(key, by))

    @property
    def ack(self) -> str:
        """What to type in front of an alarm's key, in another terminal, to acknowledge it."""
        if self._journal_path == default_path():
            return "mien act ack"
        return f"mien act ack --journal {shlex.quote(str(self._journal_path))}"

    def messages(self) -> tuple[str, ...]:
        """What the live view is to draw over its picture now; call it for every picture."""
        overlays = [o for o in self._outputs.values() if isinstance(o, Overlay)]
        return tuple(message for overlay in overlays for message in overlay.messages())

    def _see(self, seen: Seen, now: Moment | None) -> None:
        if self._inbox.qsize() >= _WAITING:
            self._dropped += 1
            return
        moment = now or self._machine()
        self._inbox.put(lambda: self._look(seen, moment))

    # -- the alarms' thread ---------------------------------------------------------------------

    def _run(self) -> None:
        ticked = -_TICK_S
        while True:
            try:
                job = self._inbox.get(timeout=_TICK_S)
                if job is None:
                    return
                self._do(job)
                self._inbox.task_done()
            except queue.Empty:
                pass
            if time.monotonic() - ticked >= _TICK_S:
                ticked = time.monotonic()
                self._do(self._tick)

    def _do(self, job: Job) -> None:
        """Carry out a job and what it brings about; a fault in one is shown and ends no other."""
        for event in self._guarded(lambda: list(job())) or ():
            self._guarded(partial(self._carry_out, event))
        self.open = self._watch.open

    def _guarded(self, step: Callable[[], T]) -> T | None:
        try:
            return step()
        except Exception as err:
            log.info("a fault", exc_info=True)
            self._show(f"\aa fault in the alarms, which go on: {type(err).__name__}: {err}")
            return None

    def _look(self, seen: Seen, now: Moment) -> Iterable[Event]:
        if not self._checked and seen.looks:
            self._checked = True
            for problem in unanswerable(self._rules, seen.looks[0]):
                self._show(f"\a{problem}: it will never call anybody")
        self._do(lambda: self._watch.tick(now))  # apart: no fault in a frame is to cost a repeat
        return self._watch.see(seen, now)

    def _ended_records(self) -> Iterable[Event]:
        self._clock.ended()
        return ()

    def _tick(self) -> Iterable[Event]:
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            self._show(f"the alarms were too slow for {dropped} frames, and have not seen them")
        for key, by in self._journal.answers():
            self._acknowledge(key, by)
        return self._watch.tick(self._clock())

    def _acknowledge(self, key: str | None, by: str) -> Iterable[Event]:
        for alarm in self._watch.acknowledge(None if key is None else [key]):
            self._show(f"acknowledged {'here' if by == 'here' else f'by {by}'}: {alarm.text}")
            self.counts["acknowledged"] += 1
            self._write(self._journal.acknowledged, alarm.key, by)
            self._failed.pop(alarm.key, None)
            for output in self._outputs.values():
                output.acknowledged(alarm)
            self._ended(alarm.rule)
        return ()

    def _carry_out(self, event: Event) -> None:
        if isinstance(event, Call):
            self._failed.pop(event.alarm.key, None)
            self.counts["alarms"] += event.number == 0
            self._write(self._journal.call, event)
            for name in event.to:
                self._send(name, event)
        elif isinstance(event, HeldBack):
            self.counts["held back"] += 1
            self._show(f"held back ({self._why(event)}): {event.rule}")
            self._write(self._journal.held_back, event)
        elif isinstance(event, Ended):
            self._ended(event.rule)

    def _why(self, event: HeldBack) -> str:
        if event.why != "rate limit":
            return event.why
        (rule,) = (rule for rule in self._rules.rules if rule.name == event.rule)
        return f"rate limit: every_s = {rule.every_s:g}"

    def _send(self, name: str, call: Call) -> None:
        self._pending[call.id, name] = call
        self._couriers[name].put(call)

    def _ended(self, rule: str) -> None:
        if self._watch.rests(rule):
            for output in self._outputs.values():
                output.ended(rule)

    def _write(self, write: Callable[P, None], *what: P.args, **more: P.kwargs) -> None:
        """Into the journal; a full disk stops no alarm."""
        try:
            write(*what, **more)
            self._journal_fails = False
        except OSError as err:
            if not self._journal_fails:
                self._show(f"\athe alarms' journal {self._journal.path} cannot be written: {err}")
            self._journal_fails = True

    # -- how calls end; told by the couriers' threads -------------------------------------------

    def _report(self, name: str, call: Call, reason: str | None) -> None:
        self._inbox.put(lambda: self._arrived(name, call, reason))

    def _trouble(self, name: str, call: Call, reason: str) -> None:
        self._show(f"{name}: {reason}; trying again: {call.alarm.text}")

    def _arrived(self, name: str, call: Call, reason: str | None) -> Iterable[Event]:
        self._pending.pop((call.id, name), None)
        self._write(self._journal.ended, call, name, reason)
        if reason is None:
            self.counts["delivered"] += 1
            return ()
        return self._undelivered(name, call, reason)

    def _undelivered(self, name: str, call: Call, reason: str) -> Iterable[Event]:
        """Shown and spoken, as it is in the journal already; and the second contact is called."""
        self.counts["undelivered"] += 1
        log.info("undelivered to %s: %s: %s", name, call.id, reason)
        self._show(f"\aUNDELIVERED to {name}: {call.alarm.text} ({reason})")
        if not isinstance(self._outputs.get(name), Speech):
            words = f"Not delivered to {name}: {call.alarm.text}"
            self._voice.put(replace(call, alarm=replace(call.alarm, text=words)))
        if not self._lost(name, call):
            return ()
        return self._watch.unreached(call.alarm.key, self._clock())

    def _lost(self, name: str, call: Call) -> bool:
        """Whether this was the last of a call's outputs that could have reached anybody."""
        if not call.waits:
            return False
        failed = self._failed.setdefault(call.alarm.key, set())
        failed.add(name)
        away = {n for n in call.to if n in self._outputs and self._outputs[n].reaches_away}
        return failed >= (away or set(call.to))

    def _fallback_voice(self) -> Output:
        """What speaks of undelivered alarms: the rules' own voice, else the system's."""
        voices = [o for o in self._outputs.values() if isinstance(o, Speech)]
        return voices[0] if voices else Speech("speech", {})

    def _voice_report(self, name: str, call: Call, reason: str | None) -> None:
        if reason is not None:
            self._show(f"not spoken either ({reason}): {call.alarm.text}")

    # -- a restart ------------------------------------------------------------------------------

    def _tell_of_left(self, kept: Path) -> None:
        """What stays at brokers that no output goes to any more; told once."""
        before = places.read(kept)
        if not before:
            return
        from .mqtt import places_of

        brokers = {place.broker for place in places_of(self._rules)}
        gone = [place for place in before if place.broker not in brokers]
        for place in gone:
            self._show(
                f"MQTT broker {place.host}:{place.port} keeps what mien left under topic "
                f"{place.topic}, and no output goes there any more; see the documentation of "
                "Home Assistant's part for how to take it back"
            )
        places.change(kept, less=gone)

    def _resume(self) -> Iterable[Event]:
        """Take up what an earlier mien left: open alarms, and calls that never ended."""
        now = self._clock()
        events: list[Event] = []
        for past in self._journal.past.values():
            events += self._guarded(partial(self._resume_one, past, now)) or ()
        return events

    def _resume_one(self, past: Past, now: Moment) -> list[Event]:
        assert now.wall is not None
        age_s = past.age_s(now.wall)
        if past.waits and self._rules.rule(past.call.alarm.rule) is None:
            self._close_orphan(past.call.alarm)
            return []
        waits = replace(past.call, waits=past.waits)
        on_its_way = any(past.pending.values()) and not past.acknowledged_by
        self._watch.resume(waits, age_s, not on_its_way, now)
        if past.waits:
            self._show(f"from before: {past.call.alarm.text} ({past.call.alarm.time})")
        return self._resume_calls(past, age_s) if on_its_way else []

    def _resume_calls(self, past: Past, age_s: float) -> list[Event]:
        events: list[Event] = []
        for number, names in past.pending.items():
            call = replace(past.call, number=number)
            for name in sorted(names):
                if name not in self._couriers:
                    events += self._arrived(name, call, "the rules no longer have this output")
                elif age_s > _STALE_S:
                    why = f"mien was not running; it is {age_s / 3600:.1f} hours old"
                    events += self._arrived(name, call, why)
                else:
                    self._send(name, call)
        return events

    def _close_orphan(self, alarm: Alarm) -> None:
        self._show(f"\afrom before, and its rule is gone: {alarm.text} ({alarm.time})")
        self._write(self._journal.acknowledged, alarm.key, "mien, as its rule is gone")

    # -- the end --------------------------------------------------------------------------------

    def settle(self, patience_s: float = 60.0) -> bool:
        """Wait until nothing is on its way any more; False where that takes longer."""
        ends = time.monotonic() + patience_s
        couriers = [*self._couriers.values(), self._voice]
        while time.monotonic() < ends:
            if (
                not self._inbox.unfinished_tasks
                and not self._pending
                and all(c.is_idle for c in couriers)
            ):
                return True
            time.sleep(0.02)
        return False

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait a little for what is on its way; the rest is shown, and stays in the journal."""
        self.settle(_PATIENCE_S)
        for courier in [*self._couriers.values(), self._voice]:
            courier.close(0.0)
        self._inbox.put(None)
        self._thread.join(_PATIENCE_S)
        for (_, name), call in self._pending.items():
            self._show(f"\anot delivered to {name} yet: {call.alarm.text}; the next start tries")
        for call in self.open:
            self._show(f"nobody has acknowledged: {call.alarm.text}; the next start calls again")
        self._stack.close()


def _ignore(name: str, call: Call, reason: str) -> None:
    pass


def ready(rules: Rules, show: Callable[[str], None] = to_stderr) -> dict[str, str | None]:
    """By output, why no alarm could arrive there now, None if one could; nobody is called."""
    found: dict[str, str | None] = {}
    context = Context(rules, show, lambda key, by: None, test=True)
    for name, output in build(rules).items():
        found[name] = None
        try:
            output.start(context)
            try:
                output.reach()
            finally:
                output.close()
        except (MienError, Undelivered) as err:
            found[name] = str(err)
    return found


def send_test(
    rules: Rules, show: Callable[[str], None] = to_stderr, patience_s: float = 60.0
) -> dict[str, str | None]:
    """Send a test alarm to every output once; by output, why it has not arrived, None if it has.

    Nothing is written into the journal.
    """
    found: dict[str, str | None] = {}
    now = datetime.datetime.now().astimezone().isoformat(timespec="milliseconds")
    context = Context(rules, show, lambda key, by: None, test=True)
    for name, output in build(rules).items():
        done = threading.Event()

        def report(name: str, call: Call, reason: str | None, done: threading.Event = done) -> None:
            found[name] = reason
            done.set()

        call = Call(Alarm(f"test-{time.time_ns():x}", "test", f"mien test {name}", time=now), 0, ())
        try:
            output.start(context)
        except MienError as err:
            found[name] = str(err)
            continue
        courier = Courier(name, output, report, _ignore)
        courier.put(call)
        done.wait(patience_s)
        found.setdefault(name, f"no answer within {patience_s:g} s")
        courier.close(0.0)
        output.close()
    return found
