"""``mien live``: a camera, a stream or a recording read as it comes."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from .analysis import DEFAULT_MODEL, rates
from .cli_options import Detector, Model, Rates, Someone, Strength
from .errors import ConfigError, UnknownName
from .terminal import say

if TYPE_CHECKING:
    from .actions import Runner
    from .live import Live, Reading
    from .pipeline import Analyzer
    from .records import Output
    from .rules import Rules
    from .video import Hole

VIEWS = ("auto", "window", "terminal", "none")


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
            help="Write every record to this file; its suffix gives the format. - is standard "
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
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # see analyze
    from . import capture
    from .live import Live, Recorder
    from .pipeline import Analyzer, Settings

    if record is None and not sys.stdout.isatty():
        record = "-"
    if person is not None and model != DEFAULT_MODEL:
        raise ConfigError("--person reads with that person's recogniser; leave --model out")
    shown = _view(view, record == "-")
    watched = capture.source(source)
    settings = Settings(model, detector, rates(base_rates, strength), person=person)
    analyzer = Analyzer(settings)
    found = _rules(rules, analyzer) if rules else None
    running = Live(analyzer, watched, tell=say if isinstance(shown, Nothing) else None)
    with ExitStack() as open_things:
        open_things.callback(running.quit)
        running.connect()  # a camera that gives nothing is told before anything is written
        output = None
        if record:
            output = open_things.enter_context(_output(record, analyzer, overwrite))
            running.takers.append(Recorder(output, running.say, running.quit))
        if found:
            _watch_for_alarms(running, open_things.enter_context(_runner(found, running)))
        try:
            with running:
                shown.run(running)
        finally:
            if running.read.count:
                say(running.summary())
            if output and output.path:
                say(f"{output.counts.total()} records -> {output.path}")
    if running.holes and isinstance(watched, capture.Played):
        raise typer.Exit(1)


def _output(record: str, analyzer: Analyzer, overwrite: bool) -> Output:
    from .records import Output

    path = None if record == "-" else Path(record)
    return Output(path, None if path else "jsonl", analyzer, sys.stdout.buffer, overwrite)


def _rules(path: Path, analyzer: Analyzer) -> Rules:
    from . import actions

    info = analyzer.recognizer.info
    return actions.read(path, info.label_set.labels, info.strengths is not None)


def _runner(rules: Rules, running: Live) -> Runner:
    """What carries the rules out; what it has to say is said in the view, with its bell."""
    from . import actions

    def show(line: str) -> None:
        if line.startswith("\a") and sys.stderr.isatty():
            print("\a", end="", file=sys.stderr, flush=True)
        running.say(line.lstrip("\a"))

    return actions.Runner(rules, show=show)


def _watch_for_alarms(running: Live, runner: Runner) -> None:
    from .live import Reading

    def see(item: Reading | Hole) -> None:
        if isinstance(item, Reading):
            runner.see(item.faces)

    running.takers.append(see)
    running.messages = runner.messages
    running.keys = {"a": ("acknowledge", runner.acknowledge), **running.keys}
