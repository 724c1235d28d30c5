"""What is done: one row for each input, a file for each unit, and what the run was begun with.

run.json            what was asked for, and with which model and version
inputs.parquet      the inputs as they were listed, and how large they were
records/part=.../   the records, as ``mien analyze --format parquet`` writes them
ledger/part=.../    a row for each input; a unit whose file is there is done
ranges/             of recordings that are not joined yet
"""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from .. import foreign
from ..errors import ConfigError, InputError, MissingExtra, OutputError
from ..files import held
from ..jsontext import parse
from ..secrecy import public
from .listing import Input, Unit
from .store import Store

_RENEWED_S, _PATIENCE_S = 2.0, 10.0
"""How often a run says that it goes on, where no file can be locked; how long one waits for it."""


_EARLY = ("inputs.parquet", "lock.json", "run.json")
"""What a run that was killed as it began may have left, the last of them half written."""


@dataclass(frozen=True, slots=True)
class Row:
    """What came of an input.

    status : "done", or "error". reason : of an error, and of a recording that is done but for the
    frames that could not be read: the first one's. seconds : that it took a worker; its own, as
    everything here but for these and ``machine`` is the same in every run.
    """

    number: int
    source: str
    status: str
    reason: str | None
    frames: int
    faces: int
    seconds: float
    machine: str
    model_sha256: str

    @property
    def is_whole(self) -> bool:
        """Whether all of the input could be read."""
        return self.status == "done" and self.reason is None


def kept_in(unit: Unit) -> str:
    """The folder of a recording's ranges."""
    return f"ranges/{unit.number:08}"


class Ledger:
    """The folder of a run's results."""

    def __init__(self, store: Store) -> None:
        self.store = store
        try:
            import pyarrow as pa
        except ImportError:
            raise MissingExtra("pyarrow", "bulk", "mien bulk") from None
        self._schema = pa.schema(
            [
                ("number", pa.int64()),
                ("source", pa.string()),
                ("status", pa.string()),
                ("reason", pa.string()),
                ("frames", pa.int64()),
                ("faces", pa.int64()),
                ("seconds", pa.float64()),
                ("machine", pa.string()),
                ("model_sha256", pa.string()),
            ]
        )

    # -- what was asked for -----------------------------------------------------------------------

    def begin(self, request: dict[str, Any], inputs: Callable[[], list[Input]]) -> list[Input]:
        """The inputs of the run: as it was begun with, or listed now.

        Raises ConfigError where it was begun with anything else, OutputError where the folder
        holds other things.
        """
        then = self.request()
        if then is None:
            there, begun = self.store.names("", ""), self.store.begun()
            if any(begun.get(n, n) not in _EARLY and not _is_hidden(n) for n in there):
                raise OutputError(
                    f"{public(self.store.address)} holds other things, and no run of mien bulk; "
                    "name another --out"
                )
            found = inputs()
            self._keep_inputs(found)
            self.store.write("run.json", json.dumps(request, indent=2).encode())
            return found
        if differing := list(_differing(then, request)):
            raise ConfigError(
                f"{public(self.store.address)} was begun with {'; '.join(differing)}. Give the "
                "same options, or name another --out"
            )
        return self.inputs()

    def sweep(self) -> None:
        """Drop what those who were killed had begun to write."""
        for name in self.store.begun():
            self.store.drop(name)

    def request(self) -> dict[str, Any] | None:
        """What the run was begun with; None where there is none. Raises OutputError."""
        try:
            return foreign.table(parse(self.store.read("run.json").decode()), "run.json")
        except FileNotFoundError:
            return None
        except NotADirectoryError as err:
            raise OutputError(
                f"cannot use {public(self.store.address)}: it is a file, and no folder"
            ) from err
        except (ValueError, InputError) as err:
            raise OutputError(
                f"run.json in {public(self.store.address)} is damaged ({err}), so that nobody "
                "knows what was asked for; name another --out"
            ) from err

    def _keep_inputs(self, inputs: Sequence[Input]) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        table = pa.table(
            {
                "source": _texts([each.source for each in inputs]),
                "bytes": pa.array([each.bytes for each in inputs], pa.int64()),
            }
        )
        with self.store.writing("inputs.parquet") as stream:
            parquet.write_table(table, stream)

    def inputs(self) -> list[Input]:
        """As they were listed; raises OutputError."""
        import pyarrow as pa
        from pyarrow import parquet

        try:
            table = parquet.read_table(BytesIO(self.store.read("inputs.parquet")))
            names, sizes = table.column("source"), table.column("bytes").cast(pa.int64())
            named = zip(map(os.fsdecode, names.to_pylist()), sizes.to_pylist(), strict=True)
            return [Input(i, name, size) for i, (name, size) in enumerate(named)]
        except (OSError, KeyError, TypeError, pa.ArrowException) as err:
            raise OutputError(
                f"inputs.parquet in {public(self.store.address)} is damaged ({err}); name another "
                "--out"
            ) from err

    # -- what is done -----------------------------------------------------------------------------

    def is_done(self, unit: Unit) -> bool:
        return self.store.exists(f"ledger/{unit.name}.parquet")

    def note(self, unit: Unit, rows: Sequence[Row]) -> None:
        """A unit is done: its records are whole already."""
        import pyarrow as pa
        from pyarrow import parquet

        plain = [{name: getattr(row, name) for name in self._schema.names} for row in rows]
        with self.store.writing(f"ledger/{unit.name}.parquet") as stream:
            parquet.write_table(pa.Table.from_pylist(plain, schema=self._schema), stream)

    def rows(self, unit: Unit) -> list[Row]:
        """Of a unit that is done."""
        from pyarrow import parquet

        content = self.store.read(f"ledger/{unit.name}.parquet")
        return [Row(**row) for row in parquet.read_table(BytesIO(content)).to_pylist()]

    def done(self, damaged: list[str] | None = None) -> dict[int, list[Row]]:
        """The rows of each unit that is done, by its number.

        damaged : takes the names of files that cannot be read, or are gone; they are done again.
        """
        import pyarrow as pa
        from pyarrow import parquet

        found, damaged = {}, [] if damaged is None else damaged
        there = set(self.store.names("records", ".parquet"))
        for name in self.store.names("ledger", ".parquet"):
            if (records := name.replace("ledger", "records", 1)) not in there:
                damaged.append(records)
                continue
            try:
                table = parquet.read_table(BytesIO(self.store.read(name)))
                rows = [Row(**row) for row in table.to_pylist()]
                found[int(name.rpartition("/")[2].removesuffix(".parquet"))] = rows
            except (pa.ArrowException, OSError, TypeError, ValueError):
                damaged.append(name)
        return found

    def forget_damaged(self, name: str) -> None:
        """Let the unit be done again of whose files ``done`` tells one as damaged."""
        self.store.drop(name.replace("records", "ledger", 1))

    def forget(self, unit: Unit) -> None:
        """Let a unit be done again.

        Its ranges, too: one of a recording that has changed may have been written by a worker
        that did not know yet.
        """
        self.store.drop(kept_in(unit))
        self.store.drop(f"ledger/{unit.name}.parquet")

    def forget_sizes(self, inputs: Sequence[Input], of: Sequence[int]) -> list[Input]:
        """The inputs without how large some were: they may have grown since."""
        gone = set(of)
        fresh = [Input(i.number, i.source, None) if i.number in gone else i for i in inputs]
        self._keep_inputs(fresh)
        return fresh

    # -- who works on it --------------------------------------------------------------------------

    @contextmanager
    def alone(self) -> Iterator[Callable[[], None]]:
        """The folder for this run alone; raises OutputError where another has it.

        What it gives raises OutputError once another run has taken the folder over, as it may
        where this one slept for longer than that one's patience: a laptop was shut, a machine stood
        still.
        """
        if self.store.is_local:
            with held(Path(self.store.path), "mien bulk"):
                yield lambda: None
            return
        mine, stop, lost = str(uuid.uuid4()), threading.Event(), threading.Event()
        self._take(mine)

        def renew() -> None:
            while not stop.wait(_RENEWED_S):
                # What the store does not do now it may do the next time.
                with suppress(OSError, OutputError, ValueError):
                    if self._holder() not in (mine, None):
                        lost.set()
                        return
                    self._sign(mine)

        def check() -> None:
            if lost.is_set():
                raise OutputError(
                    f"another run of mien bulk took {public(self.store.address)} over while this "
                    "one stood still; it goes on there"
                )

        thread = threading.Thread(target=renew, daemon=True)
        thread.start()
        try:
            yield check
        finally:
            stop.set()
            thread.join()
            if not lost.is_set():
                self.store.drop("lock.json")

    def _sign(self, mine: str) -> None:
        self.store.write("lock.json", json.dumps({"run": mine, "at": time.time()}).encode())

    def _signature(self) -> bytes:
        try:
            return self.store.read("lock.json")
        except FileNotFoundError:
            return b""

    def _holder(self) -> str | None:
        """The run that signed last; None where there is no lock."""
        run: str | None = json.loads(self._signature() or b"{}").get("run")
        return run

    def _take(self, mine: str) -> None:
        """A killed run leaves its lock and renews it no more: that is waited for.

        Of two that begin at once, both of which found none, the later one to sign stays: a store
        keeps what was written last. Whoever signs so late that the other has looked already finds
        that the other has renewed it.
        """
        goes_on = OutputError(
            f"mien bulk goes on in {public(self.store.address)} already; wait for it"
        )
        if seen := self._signature():
            end = time.monotonic() + _PATIENCE_S
            while time.monotonic() < end:
                time.sleep(_RENEWED_S / 2)
                now = self._signature()
                if not now:
                    break
                if now != seen:
                    raise goes_on
        self._sign(mine)
        time.sleep(_RENEWED_S * 1.5)
        if self._holder() != mine:
            raise goes_on


def what_of(damaged: str) -> str:
    """What is wrong with a file that ``Ledger.done`` tells.

    >>> what_of("records/part=00000/00000003.parquet")
    'records/part=00000/00000003.parquet is gone'
    """
    return f"{damaged} " + (
        "is gone" if damaged.startswith("records") else "in the ledger is damaged"
    )


def _texts(names: list[str]) -> Any:
    """Names as a column: as the system's bytes where one of them is no text."""
    import pyarrow as pa

    try:
        return pa.array(names, pa.string())
    except UnicodeEncodeError:
        return pa.array([os.fsencode(name) for name in names], pa.binary())


def _is_hidden(name: str) -> bool:
    """What a file manager leaves in a folder it has shown, a Mac's ``.DS_Store``."""
    return any(part.startswith(".") for part in name.split("/"))


def _differing(then: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    for name in sorted(then.keys() | now.keys()):
        if then.get(name) != now.get(name):
            yield f"{name} {then.get(name)}, and this is {now.get(name)}"


@dataclass(slots=True)
class Totals:
    """Rows put together.

    in_part : recordings with frames that could not be read, beside others that could.
    reasons : how often each, with "it" for the input. named : one input of each, and its reason.
    """

    files: int = 0
    errors: int = 0
    in_part: int = 0
    frames: int = 0
    faces: int = 0
    seconds: float = 0.0
    reasons: Counter[str] = field(default_factory=Counter)
    named: dict[str, tuple[str, str]] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        self.files += 1
        self.frames += row.frames
        self.faces += row.faces
        self.seconds += row.seconds
        if not row.is_whole:
            self.errors += row.status == "error"
            self.in_part += row.status == "done"
            reason = (row.reason or "").replace(row.source, "it")
            one = row.source, row.reason or ""
            self.reasons[reason] += 1
            self.named[reason] = min(self.named.get(reason, one), one)  # in whatever order they end

    def told(self, most: int) -> Iterator[tuple[int, str]]:
        """The reasons met most, each with how often and which input to look at."""
        for reason, count in self.reasons.most_common(most):
            source, own = self.named[reason]
            if count > 1:
                yield count, f"{reason}: {source}, ..."
            else:
                yield count, own if source in own else f"{source}: {own}"
