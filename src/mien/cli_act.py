"""``mien act``: rules checked, tried on a recording, run; alarms listed and acknowledged."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .app.terminal import say
from .errors import ConfigError, DataError, InputError

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterable, Iterator

    from .actions.journal import Past
    from .actions.rehearsal import Happening
    from .rules import Rule, Rules
    from .watch import Event

act_app = typer.Typer(
    help="Alarms: rules that show, speak, and call for help.", no_args_is_help=True
)

RulesFile = Annotated[Path, typer.Argument(metavar="RULES", help="A rules.toml.")]
JournalFile = Annotated[
    Path | None,
    typer.Option("--journal", metavar="FILE", help="Without it: alarms.jsonl in MIEN_HOME."),
]


@act_app.command("check")
def act_check(
    rules: RulesFile,
    send: Annotated[
        bool,
        typer.Option("--send", metavar="", help="Send a test alarm to every output, now."),
    ] = False,
) -> None:
    """Say what a rules.toml means, or what is wrong with it."""
    from . import actions
    from .app import console

    found = actions.read(rules)
    rows = [(rule.name, rule.condition, ", ".join(rule.to), _manners(rule)) for rule in found.rules]
    console.key_values(rows, ("rule", "when", "to", ""))
    if not send:
        return
    from .actions.runner import send_test

    results = send_test(found)
    for name, reason in results.items():
        say(f"{name}: {'delivered' if reason is None else f'NOT DELIVERED: {reason}'}")
    if any(results.values()):
        raise typer.Exit(1)


def _manners(rule: Rule) -> str:
    parts = [f"at most every {rule.every_s:g} s"]
    if rule.per == "track":
        parts.append("for each face")
    if rule.quiet:
        parts.append(f"not {', '.join(rule.quiet)}")
    if rule.repeat_s is not None:
        parts.append(f"again every {rule.repeat_s:g} s until acknowledged")
    if rule.escalate_to:
        parts.append(f"after {rule.escalate_s:g} s {', '.join(rule.escalate_to)} too")
    return "; ".join(parts)


@act_app.command("test")
def act_test(
    rules: RulesFile,
    records: Annotated[
        Path,
        typer.Argument(metavar="RECORDS", help="Records of `mien analyze`, as JSON lines."),
    ],
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="When it began (2026-11-25T21:30), for the rules' quiet hours."
        ),
    ] = None,
) -> None:
    """Run rules over a recording and print what would have happened; nobody is called.

    A line per alarm on a terminal, JSON lines into a pipe.
    """
    from . import actions
    from .actions.rehearsal import Tally, rehearse

    found, begin, tally = actions.read(rules), _time(at), Tally()
    alarms = held_back = 0
    for happening in rehearse(found, _records(records), begin, tally):
        event = happening.event
        alarms += _is_call(event) and getattr(event, "number", 1) == 0
        held_back += type(event).__name__ == "HeldBack"
        print(_line(happening) if sys.stdout.isatty() else json.dumps(_fields(happening)))
    for problem in tally.problems:
        say(f"{problem}: it will never call anybody")
    if begin is None and any(rule.quiet for rule in found.rules):
        say("quiet hours are left out: --at says when the recording began")
    unusable = tally.records - tally.usable
    say(
        f"{tally.records} records, {unusable} of them without anything to go by: "
        f"{_alarms(alarms)}, {held_back} held back"
    )


def _alarms(count: int) -> str:
    return "1 alarm" if count == 1 else f"{count} alarms"


def _time(text: str | None) -> datetime.datetime | None:
    if text is None:
        return None
    import datetime

    try:
        return datetime.datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"--at takes a time such as 2026-11-25T21:30, got '{text}'") from None


def _records(path: Path) -> Iterator[Any]:
    try:
        with path.open("rb") as file:
            yield from _parsed(file, str(path))
    except OSError as err:
        raise InputError(f"cannot read {path}: {err.strerror}") from err


def _parsed(lines: Iterable[bytes], name: str) -> Iterator[Any]:
    for number, line in enumerate(lines, 1):
        try:
            yield json.loads(line)
        except ValueError:
            raise DataError(
                f"{name}, line {number} is no JSON; records are what "
                "`mien analyze --format jsonl` writes"
            ) from None
        except InputError as err:
            raise DataError(f"{name}, line {number}: {err}") from err


def _is_call(event: Event) -> bool:
    return type(event).__name__ == "Call"


def _fields(happening: Happening) -> dict[str, Any]:
    """A happening for JSON."""
    from .actions.program import content
    from .watch import Call, HeldBack

    event = happening.event
    head = {"source": happening.source, "time_s": round(happening.time_s, 3)}
    if isinstance(event, Call):
        return head | {"event": "call", "to": list(event.to)} | content(event)
    kind = "held_back" if isinstance(event, HeldBack) else "ended"
    why = {"why": event.why} if isinstance(event, HeldBack) else {}
    return head | {"event": kind, "rule": event.rule, "track": event.track} | why


def _line(happening: Happening) -> str:
    """A happening for a person.

    >>> from .actions.rehearsal import Happening
    >>> from .watch import HeldBack
    >>> _line(Happening("a.mp4", 12.345, HeldBack("pain", None, "quiet hours")))
    '   12.3 s  held back     pain (quiet hours)'
    """
    fields = _fields(happening)
    who = "" if fields["track"] is None else f", face {fields['track']}"
    if fields["event"] == "call":
        level = "" if fields["value"] is None else f" at {fields['value']:.2f}"
        kind = "ALARM" if not fields["call"] else f"call {fields['call'] + 1}"
        what = f"{fields['rule']}{level}{who} -> {', '.join(fields['to'])}: {fields['text']}"
    else:
        kind = fields["event"].replace("_", " ")
        what = f"{fields['rule']}{who}" + (f" ({fields['why']})" if "why" in fields else "")
    return f"{fields['time_s']:7.1f} s  {kind:<12}  {what}"


@act_app.command("run")
def act_run(rules: RulesFile, journal: JournalFile = None) -> None:
    """Carry rules out on records that come in, as they come: ... | mien act run rules.toml.

    When they end it stays until every no_data rule has had its time, and every alarm that waits
    for an answer has one.
    """
    from . import actions

    if sys.stdin.isatty():
        raise ConfigError("records come in by a pipe: mien live --record - | mien act run RULES")
    found = actions.read(rules)
    damaged = 0
    with actions.Runner(found, journal) as runner:
        for line in sys.stdin.buffer:
            try:
                runner.see_record(json.loads(line))
            except (ValueError, DataError) as err:
                damaged += 1
                if damaged == 1:
                    say(f"mien: a line that is no record: {err}")
        _wait_for_silence(found)
        runner.settle(float("inf"))
        if runner.open:
            waiting = ", ".join(call.alarm.key for call in runner.open)
            say(f"the records ended; waiting for `{runner.ack}` of {waiting} (Ctrl-C ends)")
        while runner.open:
            time.sleep(0.1)
    counts = runner.counts
    ends = [f"{counts[k]} {k}" for k in ("delivered", "undelivered", "held back")]
    parts = [_alarms(counts["alarms"]), *ends]
    say(", ".join(parts) + (f", {damaged} lines were no records" if damaged else ""))
    if counts["undelivered"] or damaged:
        raise typer.Exit(1)


def _wait_for_silence(rules: Rules) -> None:
    """Let rules that ask for no data come true: whatever made the records may have died."""
    silent_s = [rule.hold_s for rule in rules.rules if rule.when == "no_data"]
    if silent_s:
        say(f"the records ended; no_data is an alarm in {max(silent_s):g} s (Ctrl-C ends)")
        time.sleep(max(silent_s) + 0.5)


@act_app.command("ack")
def act_ack(
    keys: Annotated[
        list[str] | None, typer.Argument(metavar="KEY", help="Of an alarm, or how it begins.")
    ] = None,
    journal: JournalFile = None,
) -> None:
    """Acknowledge alarms, all of them without a KEY: they are not repeated any more.

    A mien that is running sees it at once, one that is not when it starts.
    """
    from .actions import journal as journals
    from .errors import OutputError, UnknownName

    path = journal or journals.default_path()
    waiting = {k: past for k, past in journals.alarms(journals.read(path)).items() if past.waits}
    chosen = dict.fromkeys(waiting) if not keys else {}
    for key in keys or ():
        matches = [name for name in waiting if name.startswith(key)]
        if len(matches) != 1:
            raise UnknownName("alarm that waits", key, waiting)
        chosen[matches[0]] = None
    for name in chosen:
        try:
            journals.append(path, journals.acknowledged(name, "mien act ack"))
        except OSError as err:
            raise OutputError(f"cannot write {path}: {err.strerror}") from err
        say(f"acknowledged: {waiting[name].call.alarm.text}")
    if not waiting:
        say("no alarm waits to be acknowledged")
    elif not journals.is_in_use(path):
        say("no mien is running on this journal; the next one will see it")


@act_app.command("alarms")
def act_alarms(journal: JournalFile = None) -> None:
    """Every alarm so far, and what became of it."""
    from .actions import journal as journals
    from .app import console

    found = journals.alarms(journals.read(journal or journals.default_path()))
    rows = [
        (past.call.alarm.time[:19].replace("T", " "), key, past.call.alarm.text, _fate(past))
        for key, past in found.items()
    ]
    if rows:
        console.key_values(rows, ("time", "key", "alarm", "what became of it"))


def _fate(past: Past) -> str:
    parts = [f"undelivered to {output}: {reason}" for _, output, reason in past.undelivered[-1:]]
    pending = sorted(set().union(*past.pending.values()))
    if pending:
        parts.append(f"on its way to {', '.join(pending)}")
    if past.call.waits:
        calls = f"{past.call.number + 1} calls, " if past.call.number else ""
        who = past.acknowledged_by
        parts.append(calls + (f"acknowledged by {who}" if who else "WAITS to be acknowledged"))
    return "; ".join(parts) or "delivered"
