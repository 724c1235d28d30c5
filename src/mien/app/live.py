"""``mien live``: a camera, a stream or a recording read as it comes."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from ..errors import ConfigError, OutputError, UnknownName
from .analysis import DEFAULT_MODEL
from .options import Detector, Model, Rates, Someone, Strength
from .terminal import nobody_reads, say

if TYPE_CHECKING:
    from ..alarms import Runner
    from ..alarms.rules import Rules
    from ..analysis.live import Live, Reading
    from ..analysis.pipeline import Analyzer
    from ..media.video import Hole
    from ..results.records import Output

VIEWS = ("auto", "window", "terminal", "none")
_RUNG = 10  # lines that are said again when the view has gone


class View(Protocol):
    """Shows a ``Live`` until it ends."""

    def run(self, live: Live) -> None: ...


class Nothing:
    """The view where nobody watches."""

    def run(self, live: Live) -> None:
        while live.is_running:
            live.clock.wait(live.control.stop, 0.1)


def _view(name: str, stdout_is_taken: bool) -> View:
    """What shows it: a window where there is a screen, else a terminal, else nothing."""
    from . import live_window

    if name not in VIEWS:
        raise UnknownName("view", name, VIEWS)
    terminal = sys.stdout.isatty() and not stdout_is_taken
    if name == "terminal" and not terminal:
        raise ConfigError(
            "--view terminal needs a terminal on standard output, and no records there; "
            "write them to a file: --record FILE"
        )
    if name == "window" or (name == "auto" and live_window.is_possible()):
        return live_window.Window()
    if name == "terminal" or (name == "auto" and terminal):
        from .live_terminal import Terminal

        return Terminal()
    return Nothing()


def live(
    source: Annotated[
        str,
        typer.Argument(
            help="A camera's number or device, a stream's address (rtsp://, http://), or a file, "
            "which plays at its own speed."
        ),
    ] = "0",
    record: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Write every record to this file; its ending says the format, as of `mien analyze "
            "--out`. - is standard "
            "output, which needs no word where it is a pipe.",
        ),
    ] = None,
    view: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="window, terminal or none. auto: a window where there is a screen, else this "
            "terminal.",
        ),
    ] = "auto",
    rules: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A rules.toml: what is an alarm, and who is told."),
    ] = None,
    person: Someone = None,
    detector: Detector = "auto",
    model: Model = DEFAULT_MODEL,
    base_rates: Rates = None,
    strength: Strength = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", metavar="", help="Replace --record if it is there.")
    ] = False,
) -> None:
    """Read expressions from a camera, a stream or a recording while it runs.

    Always the newest picture. p pauses, s saves the figures, q quits.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # see mien.app.analysis
    from ..analysis.live import Live
    from ..analysis.pipeline import Analyzer, Settings
    from ..expression.baserates import asked
    from ..media import capture
    from ..results import records

    if record is None and not (sys.stdout.isatty() or nobody_reads()):
        record = "-"
    if record == "-" and nobody_reads():
        raise OutputError("standard output is closed; write the records to a file: --record FILE")
    if record is not None and record != "-":
        records.form_of(Path(record), None)
    shown = _view(view, record == "-")
    watched = capture.source(source)
    analyzer = Analyzer(Settings(model, detector, asked(base_rates, strength), person=person))
    found = _rules(rules, analyzer) if rules else None
    running = Live(analyzer, watched, tell=say if isinstance(shown, Nothing) else None)
    told = _Told(running)
    with ExitStack() as open_things:
        open_things.callback(running.quit)
        running.connect()  # a camera that gives nothing is told before anything is written
        output = open_things.enter_context(_output(record, running, overwrite)) if record else None
        if found:
            _watch_for_alarms(running, open_things.enter_context(_runner(found, told)))
        _run(running, shown, told, output)
    if running.holes and isinstance(watched, capture.Played):
        raise typer.Exit(1)


def _output(record: str, running: Live, overwrite: bool) -> Output:
    """Where every record goes from now on."""
    from ..analysis.live import Recorder
    from ..results.records import Output

    path = None if record == "-" else Path(record)
    form = None if path else "jsonl"
    output = Output(path, form, running.analyzer, sys.stdout.buffer, overwrite)
    running.takers.append(Recorder(output, running.say, running.quit))
    return output


def _run(running: Live, view: View, told: _Told, output: Output | None) -> None:
    """Until the view ends; then what there is to tell."""
    try:
        with running:
            view.run(running)
    finally:
        if not isinstance(view, Nothing):
            told.go_on_below()
        if running.read.count:
            say(running.summary())
        if output and output.path:
            count = output.counts.total()
            say(f"{count} {'record' if count == 1 else 'records'} -> {output.path}")


def _rules(path: Path, analyzer: Analyzer) -> Rules:
    from .. import alarms

    info = analyzer.recognizer.info
    return alarms.read(path, info.label_set.labels, info.strengths is not None)


class _Told:
    """Where alarms say what a person should know: in the view, with its bell, and then below it.

    The view goes with its words, so that what has rung is said once more when it has gone.
    """

    def __init__(self, running: Live) -> None:
        self._running, self._below = running, False
        self._rung: dict[str, None] = {}  # a set that keeps its order

    def __call__(self, line: str) -> None:
        text = line.lstrip("\a")
        if self._below:
            say(text)
            return
        if line != text:
            self._rung[text] = None
            if sys.stderr.isatty():
                print("\a", end="", file=sys.stderr, flush=True)
        self._running.say(text)

    def go_on_below(self) -> None:
        """The view has gone."""
        self._below = True
        for text in list(self._rung)[-_RUNG:]:
            say(text)


def _runner(rules: Rules, told: _Told) -> Runner:
    from .. import alarms

    return alarms.Runner(rules, show=told)


def _watch_for_alarms(running: Live, runner: Runner) -> None:
    from ..analysis.live import Reading

    def see(item: Reading | Hole) -> None:
        if isinstance(item, Reading):
            runner.see(item.faces)

    running.takers.append(see)
    running.messages = runner.messages
    running.keys = {"a": ("acknowledge", runner.acknowledge), **running.keys}
