"""``mien act``: rules checked, tried on a recording, run; alarms listed and acknowledged."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import jsontext
from ..errors import ConfigError, DataError
from .terminal import say, tell

if TYPE_CHECKING:
    import datetime
    from typing import IO

    from ..alarms import Runner
    from ..alarms.journal import Past
    from ..alarms.rehearsal import Happening
    from ..alarms.rules import Rule, Rules

app = typer.Typer(help="Alarms: rules that show, speak, and call for help.", no_args_is_help=True)

RulesFile = Annotated[Path, typer.Argument(metavar="RULES", help="A rules.toml.")]
JournalFile = Annotated[
    Path | None,
    typer.Option(
        "--journal",
        metavar="FILE",
        help="The journal. If you do not say, alarms.jsonl in MIEN_HOME.",
    ),
]


@app.command("check")
def act_check(
    rules: RulesFile,
    send: Annotated[
        bool,
        typer.Option("--send", metavar="", help="Send a test alarm to every output, now."),
    ] = False,
) -> None:
    """Read a rules.toml: say what it means, or what is wrong with it.

    Sees whether each output has what it needs (libraries, programs, secrets) and reaches its
    broker or server; nobody is called.
    """
    from .. import alarms
    from . import console

    found = alarms.read(rules)
    rows = [(rule.name, rule.condition, ", ".join(rule.to), _manners(rule)) for rule in found.rules]
    console.key_values(rows, ("rule", "when", "to", ""))
    from ..alarms.runner import ready, send_test

    results, well = (send_test(found), "delivered") if send else (ready(found), "ready")
    for name, reason in results.items():
        say(f"{name}: {well if reason is None else f'NOT {well.upper()}: {reason}'}")
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


@app.command("test")
def act_test(
    rules: RulesFile,
    records: Annotated[
        Path,
        typer.Argument(metavar="RECORDS", help="What `mien analyze --out` wrote."),
    ],
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="When it began (2026-11-25T21:30, by this machine's clock; or with a zone), for "
            "the rules' quiet hours.",
        ),
    ] = None,
) -> None:
    """Run rules over a recording and print what would have happened; nobody is called.

    A line per alarm on a terminal, JSON lines into a pipe.
    """
    from .. import alarms
    from ..alarms.rehearsal import Tally, read, rehearse

    found, begin, tally = alarms.read(rules), _time(at), Tally()
    for happening in rehearse(found, read(records), begin, tally):
        tell(_line(happening) if sys.stdout.isatty() else json.dumps(happening.as_dict()))
    for problem in tally.problems:
        say(f"{problem}: it will never call anybody")
    if begin is None and any(rule.quiet for rule in found.rules):
        say("quiet hours are left out: --at says when the recording began")
    unusable = tally.records - tally.usable
    say(
        f"{tally.records} records, {unusable} of them without anything to go by: "
        f"{_alarms(tally.alarms)}, {tally.held_back} held back"
    )


def _alarms(count: int) -> str:
    return "1 alarm" if count == 1 else f"{count} alarms"


def _time(text: str | None) -> datetime.datetime | None:
    """By this machine's clock, whatever zone it was given in."""
    if text is None:
        return None
    import datetime

    try:
        return datetime.datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError, OSError):  # the latter where the year 1 has no zone
        raise ConfigError(f"--at takes a time such as 2026-11-25T21:30, got '{text}'") from None


def _line(happening: Happening) -> str:
    """A happening for a person.

    >>> from mien.alarms.rehearsal import Happening
    >>> from mien.alarms.watch import HeldBack
    >>> _line(Happening("a.mp4", 12.345, HeldBack("pain", None, "quiet hours")))
    '   12.3 s  held back     pain (quiet hours)'
    """
    fields = happening.as_dict()
    who = "" if fields["track"] is None else f", face {fields['track']}"
    if fields["event"] == "call":
        level = "" if fields["value"] is None else f" at {fields['value']:.2f}"
        kind = "ALARM" if not fields["call"] else f"call {fields['call'] + 1}"
        what = f"{fields['rule']}{level}{who} -> {', '.join(fields['to'])}: {fields['text']}"
    else:
        kind = fields["event"].replace("_", " ")
        what = f"{fields['rule']}{who}" + (f" ({fields['why']})" if "why" in fields else "")
    return f"{fields['time_s']:7.1f} s  {kind:<12}  {what}"


@app.command("run")
def act_run(rules: RulesFile, journal: JournalFile = None) -> None:
    """Carry rules out on records that come in, as they come: ... | mien act run rules.toml.

    Time is the records' own: what shows for two seconds of a film is two seconds, however
    fast it was read. When they end it stays until every no_data rule has had its time, and every
    alarm that waits for an answer has one.
    """
    from .. import alarms

    if sys.stdin.isatty():
        raise ConfigError("records come in by a pipe: mien live --record - | mien act run RULES")
    found = alarms.read(rules)
    with alarms.Runner(found, journal) as runner:
        damaged = _see(sys.stdin.buffer, runner)
        runner.records_ended()
        _wait_for_silence(found)
        runner.settle(float("inf"))
        _wait_for_answers(runner)
    counts = runner.counts
    ends = [f"{counts[k]} {k}" for k in ("delivered", "undelivered", "held back")]
    parts = [_alarms(counts["alarms"]), *ends]
    say(", ".join(parts) + (f", {damaged} lines were no records" if damaged else ""))
    if counts["undelivered"] or damaged:
        raise typer.Exit(1)


def _see(stream: IO[bytes], runner: Runner) -> int:
    """Each record as it comes; how many lines were none, of which the first is told."""
    damaged = 0
    for line in jsontext.lines(stream):
        if line is not None and not line.strip():
            continue
        try:
            if line is None:
                raise DataError(f"it has more than {jsontext.LONGEST} bytes")
            runner.see_record(jsontext.parse(line))
        except (ValueError, DataError) as err:
            damaged += 1
            if damaged == 1:
                say(f"mien: a line that is no record: {err}")
    return damaged


def _wait_for_silence(rules: Rules) -> None:
    """Let rules that ask for no data come true: whatever made the records may have died."""
    silent_s = [rule.hold_s for rule in rules.rules if rule.when == "no_data"]
    if silent_s:
        say(f"the records ended; no_data is an alarm in {max(silent_s):g} s (Ctrl-C ends)")
        time.sleep(max(silent_s) + 0.5)


def _wait_for_answers(runner: Runner) -> None:
    if runner.open:
        waiting = ", ".join(call.alarm.key for call in runner.open)
        say(f"the records ended; waiting for `{runner.ack}` of {waiting} (Ctrl-C ends)")
    while runner.open:
        time.sleep(0.1)


@app.command("ack")
def act_ack(
    keys: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY", help="The key of an alarm, or its first letters."),
    ] = None,
    journal: JournalFile = None,
) -> None:
    """Say that you have seen an alarm, so that it is not repeated. Without a KEY, all of them.

    A mien that is running sees it at once, one that is not when it starts.
    """
    from ..alarms import journal as journals

    path, any_waits = journal or journals.default_path(), False
    is_running = path.exists() and journals.is_in_use(path)  # now: with its answer it may be done
    for past in journals.acknowledge(path, keys or (), "mien act ack"):
        any_waits = True
        say(f"acknowledged: {past.call.alarm.text}")
    if not any_waits:
        say("no alarm waits to be acknowledged")
    elif not is_running:
        say("no mien is running on this journal; the next one will see it")


@app.command("alarms")
def act_alarms(journal: JournalFile = None) -> None:
    """List every alarm so far, and what became of it."""
    from ..alarms import journal as journals
    from . import console

    path = journal or journals.default_path()
    found = journals.alarms(journals.read(path))
    rows = [
        (_local(past.call.alarm.time), key, past.call.alarm.text, _fate(past))
        for key, past in found.items()
    ]
    if rows:
        console.key_values(rows, ("time", "key", "alarm", "what became of it"))
    else:
        say(f"no alarm so far in {path}" if path.exists() else f"no alarm so far: no {path}")


def _local(time: str) -> str:
    """A time of the journal by this machine's clock, to the second."""
    import datetime

    try:
        return f"{datetime.datetime.fromisoformat(time).astimezone():%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return time[:19]


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
