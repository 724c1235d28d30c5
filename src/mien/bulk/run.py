"""A run from its beginning, or from where an earlier one was killed, to its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import closing

from .engines import Engine
from .ledger import Ledger, Row, Totals, what_of
from .listing import Input, Unit, divided, listed
from .progress import Progress
from .request import Request
from .store import Store


def run(
    request: Request,
    engine: Engine,
    *,
    retry_errors: bool = False,
    told: Callable[[str], None] = lambda text: None,
    shown: Callable[[Progress], None] = lambda progress: None,
) -> Totals:
    """Everything that is not done yet; comes back with what all of it came to.

    retry_errors : do those again of which not all could be read. told : hears what a
    person should know. shown : is given the progress as it begins, and after each unit.

    Raises InputError, ConfigError, OutputError, ModelError; what is done stays done.
    """
    ledger = Ledger(Store(request.out))
    analyzer = request.analyzer()
    expected = request.told(analyzer)
    passed_over = Counter[str]()
    listed_now = None if ledger.request() else listed(request.source, passed_over)
    del analyzer  # its memory is the workers'
    with ledger.alone() as still_alone:
        inputs = ledger.begin(expected, lambda: listed_now or listed(request.source))
        ledger.sweep()  # not before it is known that the folder is a run's
        if passed_over:
            from ..media import image

            told(f"passed over, by their names: {image.told(passed_over)}")
        units, totals = _left(ledger, inputs, retry_errors, told)
        progress = Progress(len(inputs), totals)
        shown(progress)
        while units:
            more = list[Unit]()
            with closing(engine.outcomes(request, expected, units)) as outcomes:
                for outcome in outcomes:
                    still_alone()
                    more += outcome.more
                    progress.add(outcome)
                    shown(progress)
            units = more
        still_alone()  # else what another run is writing would go
        ledger.sweep()  # of workers that were killed in this run
    return progress.totals


def _left(
    ledger: Ledger, inputs: list[Input], retry_errors: bool, told: Callable[[str], None]
) -> tuple[list[Unit], Totals]:
    """The units that are not done, and what came of the others."""
    damaged: list[str] = []
    done = ledger.done(damaged)
    for name in damaged:
        told(f"{what_of(name)}; its inputs are read again")
        ledger.forget_damaged(name)
    if retry_errors:
        again = {n: rows for n, rows in done.items() if not all(row.is_whole for row in rows)}
        failed = [row.number for rows in again.values() for row in rows if not row.is_whole]
        inputs = ledger.forget_sizes(inputs, failed) if failed else inputs
        for unit in divided(inputs):
            if unit.number in again:
                ledger.forget(unit)
                del done[unit.number]
    totals = Totals()
    for rows in done.values():
        _add(totals, rows)
    return [unit for unit in divided(inputs) if unit.number not in done], totals


def _add(totals: Totals, rows: list[Row]) -> None:
    for row in rows:
        totals.add(row)


def status(out: str) -> tuple[int, Totals, list[str]]:
    """How many inputs a run has, what those came to that are done, and damaged files of its ledger.

    Raises InputError where there is no run, OutputError where it is damaged.
    """
    from ..errors import InputError
    from ..secrecy import public

    ledger = Ledger(Store(out))
    if ledger.request() is None:
        raise InputError(f"there is no run of mien bulk in {public(out)}")
    totals, damaged = Totals(), list[str]()
    for rows in ledger.done(damaged).values():
        _add(totals, rows)
    return len(ledger.inputs()), totals, damaged
