"""``mien analyze``, once its words are read.

What the verb does, without the library that reads command lines: for plain file names there is
nothing to read, and that library is a sixth of the time of a run on one picture (``mien.start``).
"""

from __future__ import annotations

import dataclasses
import math
import os
import stat
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError, OutputError, UnknownName
from ..secrecy import public
from . import memory
from .terminal import nobody_reads, say

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..analysis.batch import Job, Looked, Reached, Recording
    from ..analysis.pipeline import Analyzer
    from ..analysis.recording import Options
    from ..analysis.resume import Bookmark, Mark
    from ..later import Later
    from ..results.records import Output, Record
    from .console import Screen

DEFAULT_MODEL = "mien"
MOST_REASONS = 10
"""Errors told one by one; the records hold all of them."""
_MANY = 100  # pictures that are worth a mark to go on from


@dataclass(frozen=True)
class Wanted:
    """What the command line asks of ``mien analyze``; its help says what each means."""

    inputs: Sequence[str]
    out: Path | None = None
    form: str | None = None
    annotate: Path | None = None
    draw: tuple[str, ...] = ()
    explained: Path | None = None
    crops: bool = False
    detector: str = "auto"
    alignment: str | None = None
    model: str = DEFAULT_MODEL
    base_rates: str | None = None
    strength: float | None = None
    processes: int = 1
    overwrite: bool = False
    every: int = 1
    fps: float | None = None
    start: str | None = None
    end: str | None = None
    smooth: str = "none"
    no_tracks: bool = False
    resume: bool = False
    person: str | None = None
    coverage: float | None = None


def analyze(wanted: Wanted) -> int:
    """Read the expressions and write the records; the exit status.

    Raises ConfigError, InputError or another MienError where nothing can be begun.
    """
    # Read by OpenBLAS when NumPy and OpenCV load: else it starts threads that nothing here uses,
    # and they spin for a while on the cores that the rest wants.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    memory.keep()
    from ..analysis import batch
    from ..analysis.pipeline import Analyzer, Settings
    from ..expression.baserates import asked
    from ..later import Later
    from ..media import image
    from ..weights import session

    if wanted.out == Path("-"):
        wanted = dataclasses.replace(wanted, out=None, form=wanted.form or "jsonl")
    _check(wanted)
    passed_over = Counter[str]()
    paths = batch.find(wanted.inputs, passed_over)
    options = _recording_options(wanted, any(map(batch.is_recording, paths)))
    session.prepare()
    settings = Settings(
        wanted.model,
        wanted.detector,
        asked(wanted.base_rates, wanted.strength),
        wanted.crops,
        wanted.alignment,
        threads=1 if options else 0,  # a recording's stages are side by side already
        person=wanted.person,
        coverage=wanted.coverage,
    )
    analyzer = Analyzer(settings, wait=False)
    first, drawn = paths[0], wanted.annotate is not None or wanted.explained is not None
    begun = (
        []
        if wanted.processes > 1 or wanted.resume or batch.is_recording(first)
        else [Later(lambda: batch.look(analyzer, Path(first), drawn))]
    )
    for looking in begun:
        looking.wait()  # the model loads during its search, and would only hinder its reading
    analyzer.wait()  # a model that cannot be used is told before anything is written
    _check_networks(begun)
    _check_model(wanted, analyzer)
    overwrite = wanted.overwrite or wanted.resume
    jobs = batch.plan_all(paths, options, wanted.annotate, wanted.draw, wanted.explained, overwrite)
    if passed_over:
        say(f"passed over, by their names: {image.told(passed_over)}")
    return _work(wanted, analyzer, jobs, options, begun)


def _check(wanted: Wanted) -> None:
    for name in wanted.draw:
        if name not in ("landmarks", "intensity"):
            raise UnknownName("drawing", name, ["landmarks", "intensity"])
    if wanted.draw and wanted.annotate is None:
        raise ConfigError("--draw says what --annotate DIR draws; name a folder with --annotate")
    if wanted.form == "table" and wanted.out is not None:
        raise ConfigError(
            "--format table is for people; into a file go csv, xlsx, jsonl or parquet"
        )
    if wanted.resume and wanted.out is None:
        raise ConfigError("--resume goes on with a file; name it with --out")
    if wanted.out is not None:
        from ..results import records

        records.form_of(wanted.out, wanted.form)


def _check_networks(begun: list[Later[Looked]]) -> None:
    """Raise the ModelError of a detector's or the landmarks' network that could not be loaded.

    Whatever else befell the first picture is its own, and stands in its record.
    """
    from ..errors import ModelError

    for looking in begun:
        try:
            looking.get()
        except ModelError:
            raise
        except Exception:
            continue


def _check_model(wanted: Wanted, analyzer: Analyzer) -> None:
    """Whether the model can do what is asked of it; raises ModelError, ConfigError."""
    if wanted.smooth != "none":
        analyzer.check_unsmoothed()
    if wanted.explained:
        _ = analyzer.explainer
    if "intensity" in wanted.draw and analyzer.recognizer.info.strengths is None:
        raise ConfigError(
            f"{wanted.model} tells no intensities; fit them on rated faces with: mien calibrate"
        )


def _work(
    wanted: Wanted,
    analyzer: Analyzer,
    jobs: list[Job | Recording],
    options: Options | None,
    begun: list[Later[Looked]],
) -> int:
    """Every job's records, as they come, and what they came to."""
    from contextlib import closing

    from ..analysis import batch

    out = wanted.out
    if wanted.form == "bids" and len(jobs) > 1:
        raise ConfigError(f"a BIDS file holds one recording, got {len(jobs)}; give each its own")
    recordings = {public(str(job.path)) for job in jobs if isinstance(job, batch.Recording)}
    lasting = recordings or wanted.resume or len(jobs) >= _MANY
    bookmark = _bookmark(out, wanted, analyzer, jobs, options) if out and lasting else None
    if bookmark and bookmark.exists() and not (wanted.resume or wanted.overwrite):
        raise OutputError(
            f"{out} is of a run that did not come to its end; go on with it by --resume, or pass "
            "--overwrite to begin anew"
        )
    mark = bookmark.find() if bookmark and wanted.resume else None
    if wanted.resume and mark is None:
        say(f"{out} is complete already")
        return 0
    output = _output(wanted, analyzer, mark, recordings, options)
    reached = mark.reached if mark else batch.Reached()
    if bookmark and not (mark and mark.bytes):
        bookmark.remove()  # of an older run, which this one replaces
    errors: list[str] = []
    try:
        results = batch.analyze_files(jobs, analyzer, wanted.processes, begun, reached)
        with output, closing(results):
            for record in _with_bar(results, jobs, reached, output):
                output.write(record)
                errors += reasons(record)
                if bookmark:
                    bookmark.note(output.whole_bytes, output.counts, output.answers, reached)
    except (KeyboardInterrupt, SystemExit):
        _summarise(output, errors, reached.jobs, len(jobs), len(recordings))
        if bookmark:
            say("the same command with --resume goes on from there")
        raise
    if bookmark:
        bookmark.remove()
    _summarise(output, errors, reached.jobs, len(jobs), len(recordings))
    if wanted.annotate and output.counts.total() > len(errors):
        say(f"annotated: {_one(jobs) or wanted.annotate}")
    if wanted.explained and output.counts.total() > len(errors):
        say(f"explained faces: {wanted.explained}")
    return 1 if output.counts["error"] else 0


def _one(jobs: list[Job | Recording]) -> Path | None:
    """The annotated copy, where there was one picture."""
    from ..analysis.batch import Job

    only = jobs[0] if len(jobs) == 1 else None
    return only.annotated if isinstance(only, Job) else None


def _recording_options(wanted: Wanted, recordings: bool) -> Options | None:
    """How recordings are read; None, and nothing that they need is loaded, for pictures alone."""
    asked = wanted.start, wanted.end, wanted.every, wanted.fps, wanted.no_tracks, wanted.smooth
    if not recordings and asked == (None, None, 1, None, False, "none"):
        return None
    from ..analysis.recording import Options
    from ..media.video import Span

    start, end = _seconds(wanted.start, 0.0), _seconds(wanted.end, math.inf)
    span = Span(start, end, wanted.every, wanted.fps)
    return Options(span, not wanted.no_tracks, wanted.smooth)


def _seconds(time: str | None, otherwise: float) -> float:
    """What ``90``, ``1:30`` or ``0:01:30.5`` means."""
    if time is None:
        return otherwise
    total = 0.0
    try:
        first, *rest = (float(part) for part in time.split(":"))
    except ValueError:
        first, rest = math.nan, []
    if math.isnan(first) or len(rest) > 2 or not all(0 <= part < 60 for part in rest):
        raise ConfigError(f"a time is 90, 1:30 or 1:02:03.5, got '{time}'")
    for part in (first, *rest):
        total = total * 60 + part
    return total


def _bookmark(
    out: Path,
    wanted: Wanted,
    analyzer: Analyzer,
    jobs: Sequence[Job | Recording],
    options: Options | None,
) -> Bookmark:
    """Where this run notes how far it came; what it asks for is what a later one must ask for."""
    from ..analysis import resume
    from ..results import records

    info, settings, rates = analyzer.recognizer.info, analyzer.settings, analyzer.base_rates
    request = {
        "schema": records.SCHEMA,
        "model": f"{info.name} ({(info.sha256 or '')[:12]})",
        "detector": settings.detector,
        # What a file of rates said when the run began, too: it may say something else by now.
        "base rates": f"{rates}: {list(rates.told)}" if rates.told else str(rates),
        "coverage": analyzer.coverage,
        "align": analyzer.alignment,
        "crops": settings.crops,
        "format": wanted.form or out.suffix,
        "annotate": str(wanted.annotate),
        "draw": list(wanted.draw),
        "recordings": options.plain() if options else None,
        "inputs": resume.fingerprint([job.path for job in jobs]),
    }
    return resume.Bookmark(out, request, grows=records.growing(out, wanted.form))


def _output(
    wanted: Wanted,
    analyzer: Analyzer,
    mark: Mark | None,
    recordings: set[str],
    options: Options | None,
) -> Output | Screen:
    """A table where a person looks and asked for nothing else.

    Raises OutputError for records that nobody would get.
    """
    if wanted.out is None and nobody_reads():
        raise OutputError("standard output is closed; write the records to a file: --out FILE")
    if wanted.form == "table" or ((wanted.out or wanted.form) is None and sys.stdout.isatty()):
        from .console import Screen

        return Screen(recordings, wanted.coverage)
    from ..results.records import Output

    keep, counts, answers = (mark.bytes, mark.counts, mark.answers) if mark else (0, None, None)
    overwrite = wanted.overwrite or mark is not None
    more = {"recordings": options.plain()} if options and recordings else {}
    out, form, stream = wanted.out, wanted.form, sys.stdout.buffer
    return Output(out, form, analyzer, stream, overwrite, keep, counts, answers, more)


def _with_bar(
    results: Iterator[Record],
    jobs: Sequence[Job | Recording],
    reached: Reached,
    output: Output | Screen,
) -> Iterator[Record]:
    """The same records; a bar on a terminal, unless other things are written there meanwhile."""
    from ..analysis.batch import Job

    streams = output.is_stream and (sys.stdout.isatty() or stat.S_ISFIFO(os.fstat(1).st_mode))
    pictures = all(isinstance(job, Job) for job in jobs)
    if (pictures and len(jobs) < 2) or streams or not sys.stderr.isatty():
        return results
    from . import console

    if pictures:
        return console.progress(results, len(jobs))
    return console.frames_progress(results, len(jobs), reached)


def reasons(record: Record) -> list[str]:
    """Why a picture or a frame could not be analysed, if it could not; it says which."""
    if record["status"] != "error":
        return []
    source, reason = record["source"], record["reason"]
    if record["time_s"]:
        return [f"{source}, {record['time_s']:.3f} s: {reason}"]
    return [reason if source in reason else f"{source}: {reason}"]


def _summarise(
    output: Output | Screen, errors: list[str], done: int, planned: int, recordings: int
) -> None:
    """What did not go well, and where the results are; silent for one good picture in a pipe."""
    for reason in errors[:MOST_REASONS]:
        say(f"mien: {reason}")
    if len(errors) > MOST_REASONS:
        say(f"mien: and {len(errors) - MOST_REASONS} more errors")
    counts = output.counts
    if planned == 1 and not output.path and not recordings:
        return
    parts = [f"{counts[s]} {s}" for s in ("ok", "no_face", "low_quality", "error") if counts[s]]
    whole = _count(planned - recordings, "picture"), _count(recordings, "recording")
    stopped = "" if done == planned else f"stopped after {done} of "
    what = " and ".join(filter(None, whole))
    records = f", {_count(counts.total(), 'record')}" if recordings else ""
    where = f" -> {output.path}" if output.path else ""
    told = f"{': ' if parts else ''}{', '.join(parts)}{_doubted(output.answers)}"
    say(f"{stopped}{what}{records}{told}{where}")


def _doubted(answers: Counter[str]) -> str:
    """How many answers there are, and how many of them are uncertain; nothing of none."""
    given, doubted = answers["given"], answers["uncertain"]
    return f"; {_count(given, 'answer')}, {doubted or 'none'} uncertain" if given else ""


def _count(number: int, thing: str) -> str:
    """ "1 picture", "2 pictures"; nothing of none."""
    return "" if number == 0 else f"{number} {thing}{'' if number == 1 else 's'}"
