"""Does one unit: analyses it, and leaves its records and its rows of the ledger."""

from __future__ import annotations

import gzip
import platform
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from ..analysis import batch, kept, ranges
from ..analysis.kept import Kept
from ..analysis.ranges import Range
from ..analysis.recording import State
from ..errors import InputError, VideoError
from ..media.video import Video
from ..results import records
from ..results.records import Record
from .fetch import fetched, grown
from .ledger import Ledger, Row, kept_in
from .listing import Input, Unit
from .request import Request
from .store import Store


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a unit.

    rows : of the inputs that are done now. frames, faces : that were read for it. more : units
    that it turned out to consist of: the ranges of a long recording.
    """

    rows: tuple[Row, ...] = ()
    frames: int = 0
    faces: int = 0
    more: tuple[Unit, ...] = ()


@dataclass(slots=True)
class _Count:
    """Of an input, while its records are written."""

    frames: int = 0
    faces: int = 0
    reasons: list[str] = field(default_factory=list)

    def add(self, record: Record) -> None:
        self.frames += 1
        self.faces += len(record["faces"])
        if record["status"] == "error":
            self.reasons.append(record["reason"])


class Worker:
    """Works on units in this process, with one analyzer.

    expected : as of ``Request.analyzer``, which raises what this does. scratch : how folders of
    copies are called.
    """

    def __init__(
        self, request: Request, expected: dict[str, Any] | None = None, scratch: str = "mien-"
    ) -> None:
        self._request, self._scratch = request, scratch
        self._analyzer = request.analyzer(expected)
        self._ledger = Ledger(Store(request.out))
        self._store = self._ledger.store
        info = self._analyzer.recognizer.info
        self._labels, self._model = info.label_set.labels, info.sha256 or ""

    def do(
        self,
        unit: Unit,
        aside: Mapping[int, str],
        begins: Callable[[int], None] | None = None,
    ) -> Outcome:
        """Do a unit, unless that is done; raises OutputError.

        aside : inputs that are not to be touched any more, by their numbers, and why.
        begins : hears which input is begun: they are then read one after the other.
        """
        if self._ledger.is_done(unit):
            return Outcome(tuple(self._ledger.rows(unit)))
        if unit.inputs[0].is_recording:
            if begins:
                begins(unit.inputs[0].number)
            return self._recording(unit, aside)
        return self._pictures(unit, aside, begins)

    # -- pictures ---------------------------------------------------------------------------------

    def _pictures(
        self, unit: Unit, aside: Mapping[int, str], begins: Callable[[int], None] | None
    ) -> Outcome:
        rows = []
        with (
            self._fetched(unit) as places,
            self._writing(unit) as write,
            closing(self._looked(unit, places, aside, begins)) as looked,
        ):
            began = time.monotonic()
            for each, record in looked:
                write(record)
                count = _Count()
                count.add(record)
                now = time.monotonic()
                rows.append(self._row(each, count, now - began))
                began = now
        self._ledger.note(unit, rows)
        return _outcome(rows)

    def _looked(
        self,
        unit: Unit,
        places: Mapping[int, Path | InputError],
        aside: Mapping[int, str],
        begins: Callable[[int], None] | None,
    ) -> Generator[tuple[Input, Record], None, None]:
        """Each input with its record, in order."""
        said = {number: str(path) for number, path in places.items() if not _is_file(path)}
        said |= {each.number: _gone(path) for each, path in _files(unit, places) if _gone(path)}
        said |= aside
        wanted = [(each, path) for each, path in _files(unit, places) if each.number not in said]
        found = self._found([path for _, path in wanted], [e.number for e, _ in wanted], begins)
        with closing(found):
            for each in unit.inputs:
                if each.number in said:
                    yield each, records.of_error(each.source, said[each.number])
                    continue
                path, record = places[each.number], next(found)
                assert isinstance(path, Path)
                if why := grown(each, path):
                    record = records.of_error(each.source, why)
                yield each, _named(each, path, record)

    def _found(
        self, paths: list[Path], numbers: list[int], begins: Callable[[int], None] | None
    ) -> Generator[Record, None, None]:
        if not begins:
            yield from batch.analyze_files([batch.Job(path) for path in paths], self._analyzer)
            return
        for path, number in zip(paths, numbers, strict=True):
            begins(number)
            yield batch.run_job(self._analyzer, batch.Job(path))

    # -- recordings -------------------------------------------------------------------------------

    def _recording(self, unit: Unit, aside: Mapping[int, str]) -> Outcome:
        each = unit.inputs[0]
        if each.number in aside:
            return self._failed(unit, aside[each.number])
        with self._fetched(unit) as places:
            path = places[each.number]
            if not isinstance(path, Path):
                return self._failed(unit, str(path))
            if why := _gone(path) or grown(each, path):
                return self._failed(unit, why)
            try:
                return self._range(unit, path) if unit.part else self._whole(unit, path)
            except VideoError as err:
                return self._failed(unit, str(err).replace(str(path), each.source))

    def _whole(self, unit: Unit, path: Path) -> Outcome:
        """A recording that is short, analysed; a long one cut, and the ranges are more units."""
        each, options = unit.inputs[0], self._request.options
        with Video(path) as source:
            parts = ranges.cut(source, options, self._request.length_s)
        if len(parts) > 1:
            more = tuple(Unit(unit.number, unit.inputs, part.plain(), len(parts)) for part in parts)
            return Outcome(more=more)
        began, count = time.monotonic(), _Count()
        found = batch.analyze_files([batch.Recording(path, options)], self._analyzer)
        with self._writing(unit) as write, closing(found):
            for record in found:
                write(_named(each, path, record))
                count.add(record)
        return self._note(unit, path, count, time.monotonic() - began)

    def _range(self, unit: Unit, path: Path) -> Outcome:
        """A range of a long recording; the recording joined, where it was the last one."""
        assert unit.part
        part = Range.from_plain(unit.part)
        name, count = _kept_as(unit, part.number), _Count()
        if not self._store.exists(name):
            self._analyze_range(unit, path, part, name, None, count)
        names = [_kept_as(unit, number) for number in range(unit.parts)]
        if all(map(self._store.exists, names)):
            try:
                return self._join(unit, path, names)
            except FileNotFoundError:  # another worker did, and it is done
                pass
        return Outcome(frames=count.frames, faces=count.faces)

    def _analyze_range(
        self, unit: Unit, path: Path, part: Range, name: str, before: State | None, count: _Count
    ) -> None:
        """Keep a range's records and ends."""
        with (
            self._store.writing(name) as stream,
            gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=1, mtime=0) as packed,
            closing(
                kept.analyze(
                    self._analyzer,
                    path,
                    self._request.options,
                    part,
                    packed,
                    before,
                    lambda record: _named(unit.inputs[0], path, record),
                )
            ) as found,
        ):
            for record in found:
                count.add(record)

    def _join(self, unit: Unit, path: Path, names: list[str]) -> Outcome:
        """The ranges as one recording."""
        parts, count = [self._kept(name) for name in names], _Count()

        def again(number: int, before: State) -> Kept:
            name = names[number].replace(".jsonl", "-again.jsonl")
            self._analyze_range(unit, path, parts[number].range, name, before, _Count())
            parts[number] = self._kept(name)
            return parts[number]

        with self._writing(unit) as write, closing(ranges.join(list(parts), again)) as found:
            for record in found:
                write(record)
                count.add(record)
        done = self._note(unit, path, count, sum(part.seconds for part in parts))
        self._store.drop(kept_in(unit))
        return done

    def _kept(self, name: str) -> Kept:
        """A range that some worker analysed."""
        content = self._store.read(name)

        def lines() -> Iterator[bytes]:
            with gzip.GzipFile(fileobj=BytesIO(content)) as found:
                yield from found

        return Kept(lines)

    def _fetched(self, unit: Unit) -> AbstractContextManager[dict[int, Path | InputError]]:
        asked = self._request
        return fetched(unit.inputs, asked.tries, asked.source, self._scratch)

    # -- what is left of it -----------------------------------------------------------------------

    def _writing(self, unit: Unit) -> _Records:
        return _Records(self._store, f"records/{unit.name}.parquet", self._labels)

    def _note(self, unit: Unit, path: Path, count: _Count, seconds: float) -> Outcome:
        """A recording is done, unless it has changed meanwhile."""
        if why := grown(unit.inputs[0], path):
            return self._failed(unit, why)
        rows = [self._row(unit.inputs[0], count, seconds)]
        self._ledger.note(unit, rows)
        return _outcome(rows)

    def _failed(self, unit: Unit, why: str) -> Outcome:
        """A recording that gives one record, which says why."""
        each, count = unit.inputs[0], _Count()
        record = records.of_error(each.source, why)
        count.add(record)
        with self._writing(unit) as write:
            write(record)
        rows = [self._row(each, count, 0.0)]
        self._ledger.note(unit, rows)
        self._store.drop(kept_in(unit))
        return _outcome(rows)

    def _row(self, each: Input, count: _Count, seconds: float) -> Row:
        """An input's row; it is an error where not one of its frames could be read."""
        failed = len(count.reasons) == count.frames
        return Row(
            each.number,
            records.of_error(each.source, "")["source"],  # as its records name it
            "error" if failed else "done",
            count.reasons[0] if count.reasons else None,
            count.frames,
            count.faces,
            round(seconds, 3),
            platform.node(),
            self._model,
        )


def _outcome(rows: list[Row]) -> Outcome:
    return Outcome(tuple(rows), sum(row.frames for row in rows), sum(row.faces for row in rows))


def _is_file(path: Path | InputError) -> bool:
    return isinstance(path, Path)


def _files(unit: Unit, places: Mapping[int, Path | InputError]) -> Iterator[tuple[Input, Path]]:
    for each in unit.inputs:
        path = places[each.number]
        if isinstance(path, Path):
            yield each, path


def _gone(path: Path) -> str:
    """Why there is nothing to read under a name, which may be no name at all; "" otherwise."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return f"no such file: {path}"
    except OSError as err:
        return f"cannot read {path}: {err.strerror}"
    return ""


def _named(each: Input, path: Path, record: Record) -> Record:
    """A record of a copy, by the name that its input has."""
    if record["source"] != str(path) or str(path) == each.source:
        return record
    named = record | {"source": records.of_error(each.source, "")["source"]}
    if "reason" in record:
        named["reason"] = record["reason"].replace(str(path), named["source"])
    return named


def _kept_as(unit: Unit, number: int) -> str:
    return f"{kept_in(unit)}/{number:05}.jsonl.gz"


class _Records:
    """A unit's file of records, there when all of them are."""

    def __init__(self, store: Store, name: str, labels: tuple[str, ...]) -> None:
        self._writer = records.Parquet(labels)
        self._part = store.writing(name)

    def __enter__(self) -> Callable[[Record], None]:
        self._writer.start(self._part.__enter__())
        return self._writer.write

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is None:
            try:
                self._writer.close()
            except OSError as err:
                self._part.__exit__(type(err), err, err.__traceback__)
                raise
        self._part.__exit__(kind, error, trace)
