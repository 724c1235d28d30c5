"""How far a run has come, beside what it wrote: a killed run goes on, nothing twice or left out.

``<file>.resume.json`` says how many bytes are whole of ``<file>``, or of the JSON lines beside it
(``records.growing``), and what the analysis remembered there. It is written anew every few seconds
and goes when the run is complete; whatever was written after it is cut off and made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import foreign
from ..errors import ConfigError, OutputError
from ..jsontext import parse
from ..secrecy import public
from .batch import Reached
from .recording import State

_EVERY_S = 2.0
_TAIL = 4096  # bytes


@dataclass(frozen=True, slots=True)
class Mark:
    """A point that a run can go on from.

    bytes : of the output that are whole. counts : its records by status. answers : how many are in
        them, as ``records.answers_of`` counts.
    """

    bytes: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    answers: dict[str, int] = field(default_factory=dict)
    reached: Reached = field(default_factory=Reached)


class Bookmark:
    """Keeps the mark of the run that writes ``out``.

    grows : the file that holds its records meanwhile, where that is another.
    request : what was asked for, as JSON holds it; another request cannot go on from this mark.
    clock : seconds that only go up.
    """

    def __init__(
        self,
        out: Path,
        request: dict[str, Any],
        clock: Callable[[], float] = time.monotonic,
        grows: Path | None = None,
    ) -> None:
        self.out, self._request, self._clock = out, request, clock
        self._grows = grows or out
        self._path = out.with_name(out.name + ".resume.json")
        self._last = clock()

    def find(self) -> Mark | None:
        """Where to go on; a fresh mark where there is nothing yet; None where all is done.

        Raises OutputError where ``out`` is of no unfinished run of mien's, ConfigError where that
        asked for other things.
        """
        if not (_size(self.out) or _size(self._grows)):
            return Mark()  # an empty file is what a run leaves that was killed as it began
        complete = self._complete()
        if complete is None:
            raise OutputError(f"{self.out} is there already, and no run of mien's to go on with")
        if complete:
            return None
        try:
            said = parse(foreign.content(self._path))
        except (OSError, ValueError):
            return Mark()  # it was killed before its first mark was whole
        try:
            kept = foreign.table(said, "it")
            self._compare(foreign.table(kept["request"], "request"))
            if _size(self._grows) < foreign.whole(kept["bytes"], "bytes"):
                return Mark()  # the machine went down before the disk had it all
            same = _tail(self._grows, kept["bytes"]) == kept["tail"]
            state = kept["state"] and State.from_plain(kept["state"])
            reached = Reached(foreign.whole(kept["jobs"], "jobs"), state)
            counts, answers = (foreign.table(kept[name], name) for name in ("counts", "answers"))
            mark = Mark(kept["bytes"], counts, answers, reached)
        except (KeyError, TypeError, ValueError, AttributeError) as err:
            raise OutputError(
                f"{self._path} is no mark of mien's any more ({err}); "
                "pass --overwrite to begin anew"
            ) from err
        if not same:  # its records would go on in the middle of a line
            raise OutputError(
                f"{self._grows} was changed since mien wrote it, so that no run can go on with it; "
                "name another --out, or pass --overwrite to begin anew"
            )
        return mark

    def _complete(self) -> bool | None:
        """Whether the run that wrote ``out`` came to its end; None where nothing says so."""
        try:
            meta = parse(foreign.content(self.out.with_name(self.out.name + ".meta.json")))
            return bool(meta["complete"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _compare(self, then: dict[str, Any]) -> None:
        for name, now in _flat(self._request).items():
            before = _flat(then).get(name)
            if before != now and name == "inputs":  # a fingerprint tells nobody anything
                raise ConfigError(
                    f"{self.out} was begun with other inputs, or their files have changed since; "
                    "give the same with --resume, or name another --out"
                )
            if before != now:
                raise ConfigError(
                    f"{self.out} was begun with {name} {before}, and this is {now}; "
                    "give the same options with --resume, or name another --out"
                )

    def exists(self) -> bool:
        """Whether a run has left a mark that it can go on from."""
        return self._path.exists() and bool(_size(self.out) or _size(self._grows))

    def note(
        self, size: int, counts: Counter[str], answers: Counter[str], reached: Reached
    ) -> None:
        """Keep a mark, if the last one is some seconds old."""
        if self._clock() - self._last < _EVERY_S:
            return
        state = reached.state and reached.state.plain()
        kept: dict[str, Any] = {"bytes": size, "counts": dict(counts), "answers": dict(answers)}
        kept |= {"jobs": reached.jobs, "state": state}
        new = self._path.with_name(self._path.name + ".new")
        with suppress(OSError):  # a full disk: the older mark is as good
            kept["tail"] = _tail(self._grows, size)
            new.write_text(json.dumps(kept | {"request": self._request}), encoding="utf-8")
            os.replace(new, self._path)
        self._last = self._clock()

    def remove(self) -> None:
        """The run is complete."""
        self._path.unlink(missing_ok=True)
        self._path.with_name(self._path.name + ".new").unlink(missing_ok=True)  # of a kill


def _flat(request: dict[str, Any]) -> dict[str, Any]:
    """The single options, by names that a person may read."""
    found: dict[str, Any] = {}
    for name, value in request.items():
        found |= value if isinstance(value, dict) else {name: value}
    return {name.replace("_", " "): value for name, value in found.items()}


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _tail(path: Path, end: int) -> str:
    """What the bytes of a file before ``end`` are known by; raises OSError."""
    with path.open("rb") as file:
        file.seek(max(0, end - _TAIL))
        return hashlib.sha256(file.read(min(end, _TAIL))).hexdigest()[:16]


def fingerprint(paths: Sequence[Path | str]) -> str:
    """What two lists of inputs share that are the same: names, and sizes of files."""
    found = hashlib.sha256()
    for path in paths:
        size = os.path.getsize(path) if os.path.isfile(path) else ""
        found.update(f"{public(str(path))}\0{size}\0".encode(errors="surrogateescape"))
    return found.hexdigest()[:16]
