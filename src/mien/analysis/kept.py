"""A range of a recording that is analysed, as a file: one process writes it, another joins it.

A line of JSON for each record, and a last one that says what the analysis remembered at both ends.
Whoever hands the ranges out (``mien.bulk``, ``mien.service``) keeps the files where it likes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from ..errors import ConfigError
from ..jsontext import parse
from ..media.video import Video
from ..results import records
from ..results.records import Record
from ..version import __version__
from . import ranges
from .pipeline import Analyzer
from .ranges import Ends, Range
from .recording import Options, State


class Written(Protocol):
    """A stream of bytes, packed or as they are."""

    def write(self, content: bytes, /) -> Any: ...


def made_with(analyzer: Analyzer, options: Options) -> dict[str, Any]:
    """All that records depend on beside the file that they are of, as JSON holds it."""
    info = analyzer.recognizer.info
    return {
        "version": __version__,
        "schema": records.SCHEMA,
        "model": info.name,
        "model_sha256": info.sha256,
        "detector": analyzer.detector.name if analyzer.detector else None,
        "base_rates": analyzer.base_rates.plain(),
        "coverage": analyzer.coverage,
        "align": analyzer.alignment,
        "crops": analyzer.settings.crops,
        "recordings": options.plain(),
    }


def check(here: dict[str, Any], expected: dict[str, Any]) -> None:
    """Raises ConfigError where records would not be made as the others of a run are."""
    for name, value in expected.items():
        if here.get(name) != value:
            raise ConfigError(
                f"this machine has {name} {here.get(name)}, and the run was begun with {value}; "
                "install the same mien and model on every machine"
            )


def analyze(
    analyzer: Analyzer,
    path: Path,
    options: Options,
    part: Range,
    stream: Written,
    before: State | None = None,
    named: Callable[[Record], Record] = lambda record: record,
) -> Generator[Record, None, None]:
    """Write a range's file; each record is given out when it is written.

    before : as of ``ranges.analyze``. named : what becomes of a record before it is written.
    """
    ends, frames, time_s, began = Ends(), 0, 0.0, time.monotonic()
    with (
        Video(path) as source,
        closing(ranges.analyze(analyzer, source, options, part, ends, before)) as found,
    ):
        for record in map(named, found):
            _line(stream, record)
            frames, time_s = frames + 1, record["time_s"]
            yield record
    entry = ends.entry and ends.entry.plain()
    told: dict[str, Any] = {"range": part.plain(), "entry": entry, "exit": ends.exit.plain()}
    told |= {"frames": frames, "time_s": time_s, "seconds": time.monotonic() - began}
    _line(stream, told)


def _line(stream: Written, value: Any) -> None:
    stream.write(json.dumps(value).encode() + b"\n")


class Kept:
    """A range's file, for ``ranges.join``. lines : reads it from its beginning.

    range : what it is of. frames : how many records. time_s : of the last one, in the recording.
    seconds : that its analysis took.
    """

    def __init__(self, lines: Callable[[], Iterator[bytes]]) -> None:
        self._lines = lines
        last = b""
        for line in lines():
            last = line
        self._told = parse(last)
        self.range = Range.from_plain(self._told["range"])
        self.frames, self.time_s = int(self._told["frames"]), float(self._told["time_s"])
        self.seconds = float(self._told["seconds"])

    @classmethod
    def of(cls, path: Path) -> Kept:
        """A file of this machine, as it is."""

        def lines() -> Iterator[bytes]:
            with path.open("rb") as stream:
                yield from stream

        return cls(lines)

    def ends(self) -> Ends:
        entry = self._told["entry"]
        return Ends(entry and State.from_plain(entry), State.from_plain(self._told["exit"]))

    def records(self) -> Iterator[Record]:
        lines = self._lines()
        line = next(lines)
        for following in lines:  # the last line is no record
            yield parse(line)
            line = following
