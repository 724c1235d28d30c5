"""A step of a recording that is cut, in a process of its own: cut it, analyse a range, join them.

    python -m mien.service.child cut|RANGE|join OPTIONS NAME LENGTH

Run in the folder that a job's recording lies in, by ``mien.service.worker``. What is written is
what ``mien analyze`` would write of the whole. A file is there when all of it is there.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from .. import foreign
from ..analysis import kept, ranges
from ..analysis.kept import Kept
from ..analysis.pipeline import Analyzer
from ..analysis.ranges import Range
from ..analysis.recording import Options, State
from ..errors import MienError, OutputError
from ..files import replacing, write
from ..jsontext import parse
from ..media.video import Video
from ..results.records import Output
from .folders import Folder
from .routes.videos import Wanted


def main(words: Sequence[str]) -> int:
    """The exit status; the last words on standard error say why it is not 0."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from ..weights import session

    step, options, name, length_s = words
    try:
        session.prepare()
        asked = Wanted(**json.loads(options))
        # As the command line has it, whose records these are.
        analyzer = Analyzer(replace(asked.settings, threads=0))
        job = Cut(Folder(Path("..")), Path(name), asked.recording, analyzer)
        if step == "cut":
            job.cut(float(length_s))
        elif step == "join":
            job.join()
        else:
            job.analyze(int(step))
    except MienError as err:
        return _failed(str(err))
    except Exception as err:  # nobody reads a traceback
        return _failed(f"unexpected {type(err).__name__}: {err}; please report it")
    return 0


def _failed(why: str) -> int:
    print(f"mien: {why}", file=sys.stderr)
    return 1


@dataclass(frozen=True)
class Cut:
    """A job's recording, and what its ranges are kept in."""

    folder: Folder
    path: Path
    options: Options
    analyzer: Analyzer

    def cut(self, length_s: float) -> None:
        """Say which ranges there are, and what all of them must be made with."""
        with Video(self.path) as source:
            parts = ranges.cut(source, self.options, length_s)
        if self.options.smooth != "none":
            self.analyzer.check_unsmoothed()
        told = {"made_with": self._made_with(), "ranges": [part.plain() for part in parts]}
        write(self.folder.cut, json.dumps(told).encode())

    def _made_with(self) -> dict[str, object]:
        return kept.made_with(self.analyzer, self.options)

    def _ranges(self) -> list[Range]:
        """As they were cut; raises ConfigError where they would be made with something else now."""
        told = parse(foreign.content(self.folder.cut))
        kept.check(self._made_with(), told["made_with"])
        return [Range.from_plain(plain) for plain in told["ranges"]]

    def analyze(self, number: int) -> None:
        """Keep one range's records."""
        self._keep(self._ranges()[number], self.folder.part(number).records, None)

    def _keep(self, part: Range, path: Path, before: State | None) -> Kept:
        try:
            with replacing(path) as stream:
                found = kept.analyze(self.analyzer, self.path, self.options, part, stream, before)
                with closing(found):
                    for _ in found:
                        stream.flush()  # whoever watches sees how far it is
        except OSError as err:
            raise OutputError(f"the records cannot be kept: {err.strerror or err}") from err
        return Kept.of(path)

    def join(self) -> None:
        """The records of the whole recording."""
        parts = self._ranges()
        paths = [self.folder.part(part.number).records for part in parts]

        def again(number: int, before: State) -> Kept:
            path = paths[number].with_name("again.jsonl")
            return self._keep(parts[number], path, before)

        more = {"recordings": self.options.plain()}
        output = Output(
            self.folder.records, None, self.analyzer, sys.stdout.buffer, overwrite=True, more=more
        )
        with output, closing(ranges.join([*map(Kept.of, paths)], again)) as found:
            for record in found:
                output.write(record)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
