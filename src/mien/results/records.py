"""Results as records: JSON lines, CSV, Excel or Parquet; none is lost that was written.

One record per picture, schema ``mien/2``; one row per face in the flat formats, and one row
without measures where a picture has none. Beside every file lies ``<file>.meta.json``: model,
labels, units, thresholds, counts, and whether the run came to its end.
"""

from __future__ import annotations

import dataclasses
import json
import os
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Protocol, cast

from ..errors import ConfigError, InputError, MissingExtra, OutputError
from ..expression.baserates import BaseRates
from ..face import Face, Frame, Quality
from ..faces import quality
from ..files import claim, replacing
from ..labels import BETWEEN
from ..names import spelt
from ..registry import Registry
from ..secrecy import public

if TYPE_CHECKING:
    from ..expression.recognize import Recognizer
    from ..faces.detect import FaceDetector

SCHEMA = "mien/2"
"""Until mien/1 ``picture_quality`` was called ``confidence``; ``reading`` reads both."""
Record = dict[str, Any]


def record_of(frame: Frame, faces: Sequence[Face]) -> Record:
    """The record of an analysed picture, as ``mien analyze`` writes it: what JSON takes, no more.

    ``docs/results.md`` tells what it holds.
    """
    frame = Frame.known(frame)
    if isinstance(faces, Face):
        raise InputError("a record takes a list of faces, got one face; write [face]")
    status = "ok"
    if not faces:
        status = "no_face"
    elif all((face.picture_quality or 0) < quality.LOW for face in faces):
        status = "low_quality"
    width, height = frame.picture_size
    return {
        "schema": SCHEMA,
        "source": _unicode(frame.source),
        "frame": frame.index,
        "time_s": frame.time_s,
        "status": status,
        "width": width,
        "height": height,
        "faces": [_of_face(face) for face in faces],
    }


def of_error(source: str, reason: str, frame: int = 0, time_s: float = 0.0) -> Record:
    """The record of a picture, or of one frame, that could not be analysed."""
    return {
        "schema": SCHEMA,
        "source": _unicode(source),
        "frame": frame,
        "time_s": time_s,
        "status": "error",
        "reason": _unicode(reason),
        "width": None,
        "height": None,
        "faces": [],
    }


def answers_of(record: Record) -> Counter[str]:
    """How many faces of a record were answered ("given"), and how many of these are uncertain."""
    faces = record["faces"]
    return Counter(given=len(faces), uncertain=sum(bool(face["uncertain"]) for face in faces))


def _of_face(face: Face) -> Record:
    if face.emotions is None or face.quality is None or face.picture_quality is None:
        raise InputError(
            "a record takes faces whose expression is read, and this one was only found; "
            "Analyzer.recognize(frame, faces) reads it"
        )
    return face.as_dict()


@lru_cache(64)  # the same for each frame of a recording
def _unicode(text: str) -> str:
    """A text any reader of UTF-8 takes; bytes of a file name that are not UTF-8 as ``\\udce9``.

    Without the passwords of addresses in it.
    """
    return spelt(public(text))


_SET = "prediction_set"
_TEXTS = ("source", "status", "reason", "top", _SET)
_SIZE = ("width", "height")
_WHOLE = ("frame", "face", "track", *_SIZE)
_FLAGS = ("uncertain",)


def flat_columns(labels: Sequence[str]) -> list[str]:
    """The columns of the flat formats, in order; all but a few hold floats."""
    strengths = [_strength(label) for label in labels]
    measures = [f"quality_{f.name}" for f in dataclasses.fields(Quality)]
    head = ["source", "frame", "time_s", "status", "reason", "face", "track"]
    box = ["x0", "y0", "x1", "y1", "score"]
    face = ["top", "picture_quality", "uncertain", *labels, *strengths, *measures]
    return [*head, *box, *face, *_SIZE, _SET]  # these last: nobody's columns by number move


def _strength(label: str) -> str:
    return f"intensity_{label}"


def flat_rows(record: Record) -> Iterator[Record]:
    """One row per face of a record, one without measures for a picture without any face.

    A column that a row lacks has no value there.
    """
    head = {k: record.get(k) for k in ("source", "frame", "time_s", "status", *_SIZE)}
    if not record["faces"]:
        yield head | {"reason": record.get("reason")}
    for number, face in enumerate(record["faces"]):
        box = dict(zip(("x0", "y0", "x1", "y1"), face["box"], strict=True))
        plain = {k: face[k] for k in ("track", "score", "top", "picture_quality", "uncertain")}
        measures = {f"quality_{k}": v for k, v in face["quality"].items()}
        strengths = {_strength(k): v for k, v in (face["intensity"] or {}).items()}
        among = face.get(_SET)
        told = {_SET: None if among is None else BETWEEN.join(among)}
        yield head | {"face": number} | box | plain | face["emotions"] | strengths | measures | told


class Writer(Protocol):
    """Writes records of one model's ``labels`` to a stream of bytes.

    Built before the file is opened, so that what it lacks is known before anything is replaced.
    """

    def start(self, stream: IO[bytes]) -> None: ...
    def go_on(self, stream: IO[bytes]) -> None:
        """Begin behind whole records of an earlier run."""

    def write(self, record: Record) -> None: ...
    def close(self) -> None: ...


writers: Registry[Writer] = Registry(
    "format",
    {
        "jsonl": "mien.results.records:JsonLines",
        "csv": "mien.results.records:Csv",
        "csv-semicolon": "mien.results.records:CsvSemicolon",
        "xlsx": "mien.results.records:Excel",
        "parquet": "mien.results.records:Parquet",
        "pyfeat": "mien.results.peers:PyFeat",
        "openface": "mien.results.peers:OpenFace",
        "deepface": "mien.results.peers:DeepFace",
        "bids": "mien.results.peers:Bids",
    },
    group="mien.formats",
)
_AT_ONCE = ("parquet", "xlsx", "bids")
"""Formats whose files are of use only when they are closed, and cannot be gone on with."""
_ENDINGS = {
    ".csv": ("csv", "csv-semicolon", "pyfeat", "openface"),
    ".xlsx": ("xlsx",),
    ".jsonl": ("jsonl", "deepface"),
    ".parquet": ("parquet",),
}
"""The formats that may be in a file of such a name, first the one that it means by itself."""
_OURS = frozenset(form for forms in _ENDINGS.values() for form in forms)
"""Formats whose endings are known; what a program of one's own registers may use any."""


_STEERING = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}
"""What JSON may hold as it is and a terminal obeys, in a file's name, say; spelt as JSON does."""


class JsonLines:
    """One JSON object a line; a line is on the disk when ``write`` returns."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        self._stream: IO[bytes]

    def start(self, stream: IO[bytes]) -> None:
        self._stream = stream

    go_on = start

    def write(self, record: Record) -> None:
        line = json.dumps(record, ensure_ascii=False, allow_nan=False).translate(_STEERING) + "\n"
        self._stream.write(line.encode())
        self._stream.flush()

    def close(self) -> None:
        pass


class Csv:
    """UTF-8, a row per face under a header, cells empty where there is nothing to say.

    It begins with a byte-order mark: without one Excel reads the names of files as another
    alphabet's. Truths are ``TRUE`` and ``FALSE``, which is what R takes for them.
    The rows of a picture are on the disk when ``write`` returns.
    """

    _separator, _point = ",", "."

    def __init__(self, labels: tuple[str, ...]) -> None:
        import csv
        import io

        self._text = io.StringIO(newline="")
        columns = flat_columns(labels)
        self._csv = csv.DictWriter(
            self._text, columns, delimiter=self._separator, lineterminator="\n"
        )
        self._stream: IO[bytes]

    def start(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._text.write(BYTE_ORDER_MARK)
        self._csv.writeheader()
        self._pass_on()

    def go_on(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def write(self, record: Record) -> None:
        for row in flat_rows(record):
            self._csv.writerow({k: cell(v, self._point) for k, v in row.items()})
        self._pass_on()

    def _pass_on(self) -> None:
        self._stream.write(self._text.getvalue().encode())
        self._stream.flush()
        self._text.seek(0)
        self._text.truncate()

    def close(self) -> None:
        pass


class CsvSemicolon(Csv):
    """The same with semicolons and decimal commas, as spreadsheets have it in much of Europe."""

    _separator, _point = ";", ","


BYTE_ORDER_MARK = "\ufeff"


def cell(value: Any, point: str = ".") -> Any:
    """A value as CSV holds it; the csv module makes an empty cell of None.

    >>> cell(0.25, ","), cell(True), cell(1), cell("a.png", ",")
    ('0,25', 'TRUE', 1, 'a.png')
    """
    if isinstance(value, bool):
        return str(value).upper()
    return repr(value).replace(".", point) if isinstance(value, float) else value


class Excel:
    """A workbook with the columns of the CSV, its header in sight; sheets of a million rows."""

    _ROWS = 1_048_576  # of a sheet, its header included: more, and Excel cannot open it

    def __init__(self, labels: tuple[str, ...]) -> None:
        try:
            import xlsxwriter
        except ImportError:
            raise MissingExtra("xlsxwriter", "xlsx", "--out FILE.xlsx") from None
        self._library = xlsxwriter
        self._columns = flat_columns(labels)
        self._book: Any = None
        self._sheet: Any = None
        self._row = 0
        self._stream: IO[bytes]
        self._whole: IO[bytes]

    def start(self, stream: IO[bytes]) -> None:
        from tempfile import TemporaryFile

        # A file called =1+1.png is a text, and so is one called https://...
        plain = {"strings_to_formulas": False, "strings_to_urls": False}
        self._stream, self._whole = stream, TemporaryFile()  # noqa: SIM115  (open until close)
        self._book = self._library.Workbook(self._whole, {"constant_memory": True, **plain})
        self._begin_sheet()

    go_on = start

    def _begin_sheet(self) -> None:
        number = len(self._book.worksheets())
        self._sheet = self._book.add_worksheet(f"faces {number + 1}" if number else "faces")
        self._sheet.write_row(0, 0, self._columns, self._book.add_format({"bold": True}))
        self._sheet.freeze_panes(1, 0)
        self._row = 1

    def write(self, record: Record) -> None:
        for row in flat_rows(record):
            if self._row == self._ROWS:
                self._begin_sheet()
            values = [row.get(column) for column in self._columns]
            self._sheet.write_row(self._row, 0, values)
            self._row += 1

    def close(self) -> None:
        if self._book is None:
            return
        try:
            self._book.close()
        except self._library.exceptions.XlsxWriterException as err:  # it wraps a full disk's, say
            cause = err.args[0] if err.args else err
            raise cause if isinstance(cause, OSError) else OSError(str(err)) from err
        # Only now: what packs the workbook says no word of a disk that is full, but says it twice.
        from shutil import copyfileobj

        with self._whole as whole:
            whole.seek(0)
            copyfileobj(whole, self._stream)


class Parquet:
    """The columns of the CSV, typed, null where there is no value."""

    _ROWS = 1000  # a row group: what is kept in memory

    def __init__(self, labels: tuple[str, ...]) -> None:
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError:
            raise MissingExtra("pyarrow", "table", "--format parquet") from None
        kinds = dict.fromkeys(_TEXTS, pa.string()) | dict.fromkeys(_WHOLE, pa.int64())
        kinds |= dict.fromkeys(_FLAGS, pa.bool_())
        self._schema = pa.schema([(c, kinds.get(c, pa.float64())) for c in flat_columns(labels)])
        self._pa, self._pq = pa, pq
        self._writer: Any = None
        self._rows: list[Record] = []

    def start(self, stream: IO[bytes]) -> None:
        self._writer = self._pq.ParquetWriter(stream, self._schema)

    go_on = start

    def write(self, record: Record) -> None:
        self._rows.extend(flat_rows(record))
        if len(self._rows) >= self._ROWS:
            self._flush()

    def _flush(self) -> None:
        self._writer.write_table(self._pa.Table.from_pylist(self._rows, schema=self._schema))
        self._rows.clear()

    def close(self) -> None:
        if self._rows:
            self._flush()
        if self._writer:
            self._writer.close()


def form_of(path: Path | None, form: str | None) -> str:
    """The format asked for, or else the one that the file's ending says; ``jsonl`` into a stream.

    Raises ConfigError for an ending that says none, and for one that says another than was asked
    for: who opens such a file finds something else than its name says.
    """
    if path is None or _is_device(path):
        return form or "jsonl"
    ending = path.suffix.lower()
    of_ending = _ENDINGS.get(ending, (ending[1:],))
    if form is None and of_ending[0] in writers:
        return of_ending[0]
    endings = ", ".join(_ENDINGS)
    if form is None:
        import difflib  # here: most runs have no such error

        near = difflib.get_close_matches(ending, _ENDINGS, n=1) or [".csv"]
        what = f"the ending '{ending}' is of no format" if ending else "no ending says the format"
        raise ConfigError(
            f"cannot tell the format of {path}: {what}; give the file one of {endings} "
            f"({path.with_suffix(near[0]).name}), or say --format"
        )
    if ending in _ENDINGS and form in _OURS and form not in of_ending:
        its_own = next(e for e, forms in _ENDINGS.items() if form in forms)
        raise ConfigError(
            f"{path} is to hold {form}, but {ending} means {of_ending[0]}; name it "
            f"{path.with_suffix(its_own).name}, or leave --format out"
        )
    return form


def growing(path: Path, form: str | None) -> Path:
    """The file that holds a run's records while it goes on, each when it is written.

    ``path`` itself, or JSON lines beside it for a format that is written at the end, at once.
    """
    at_once = form_of(path, form) in _AT_ONCE and not _is_device(path)
    return path.with_name(path.name + ".part.jsonl") if at_once else path


def _is_device(path: Path) -> bool:
    """A named pipe, /dev/null."""
    return os.path.exists(path) and not os.path.isfile(path)


def _refuse(path: Path, overwrite: bool) -> None:
    """Raises OutputError for a folder, or a file that is to stay."""
    if os.path.isdir(path):
        raise OutputError(f"{path} is a folder; name a file in it")
    if os.path.isfile(path) and not overwrite:
        raise _there(path)


def _there(path: Path) -> OutputError:
    return OutputError(f"{path} is there already; name another --out, or pass --overwrite")


def _open(path: Path, overwrite: bool, keep: int = 0) -> IO[bytes]:
    """The file to write, behind its first ``keep`` bytes; raises OutputError."""
    _refuse(path, overwrite)
    try:
        if _is_device(path):
            return path.open("wb")
        path.parent.mkdir(parents=True, exist_ok=True)
        # x: it came meanwhile. An old one is cut off only once it is nobody else's.
        stream = path.open("r+b" if path.exists() and overwrite else "xb")
        try:
            claim(stream, path)
        except OutputError:
            stream.close()
            raise
        stream.truncate(keep)
        stream.seek(keep)
        return stream
    except FileExistsError:
        if not path.parent.is_dir():
            raise OutputError(f"cannot write {path}: {path.parent} is a file, no folder") from None
        raise _there(path) from None
    except OSError as err:
        raise OutputError(f"cannot write {path}: {err.strerror}") from err


class Maker(Protocol):
    """What makes records, as far as their meta file tells of it; ``mien.Analyzer`` is one."""

    @property
    def recognizer(self) -> Recognizer: ...
    @property
    def detector(self) -> FaceDetector | None: ...
    @property
    def alignment(self) -> str: ...
    @property
    def base_rates(self) -> BaseRates: ...
    @property
    def coverage(self) -> float | None: ...


def open_records(
    path: str | os.PathLike[str],
    analyzer: Maker,
    *,
    form: str | None = None,
    overwrite: bool = False,
) -> Output:
    """A file of records to write, as ``mien analyze --out`` writes it; use it in a ``with``.

    ``add(frame, faces)`` takes an analysed picture, ``write(record)`` what ``mien.record_of``
    makes. What was added is in the file even if the program fails later, and beside it lies its
    ``*.meta.json``.

    Parameters
    ----------
    path
        Its ending says the format: ``.csv``, ``.xlsx``, ``.jsonl`` or ``.parquet``.
    analyzer
        What the faces were read with; the meta file tells of it.
    form
        A format of ``mien analyze --format`` instead of the one that the ending says.
    overwrite
        Replace a file that is there.

    Raises
    ------
    ConfigError, OutputError
        For an ending that says no format, or another one; for a file that is there, or cannot be
        written.
    """
    return Output(Path(path), form, analyzer, overwrite=overwrite)


class Output:
    """Where records go: a file with its meta file beside it, or a stream.

    path : None for ``stream``. form : a name of ``writers``; None takes it from the suffix.
    keep, counts, answers : how many bytes of the growing file, records by status, and answers, an
        earlier run left.
    more : what else the meta file says.
    Raises OutputError where the file cannot be written, or is there and ``overwrite`` is not set.
    """

    def __init__(
        self,
        path: Path | None,
        form: str | None,
        maker: Maker,
        stream: IO[bytes] | None = None,
        overwrite: bool = False,
        keep: int = 0,
        counts: Mapping[str, int] | None = None,
        answers: Mapping[str, int] | None = None,
        more: Record | None = None,
    ) -> None:
        form = form_of(path, form)
        if form in ("parquet", "xlsx") and path is None:
            raise ConfigError(f"--format {form} needs a file to write: --out FILE.{form}")
        if form == "bids" and not (path and path.name.endswith(("_physio.tsv", "_physio.tsv.gz"))):
            raise ConfigError(
                "--format bids needs a file named as BIDS has it: "
                "--out sub-01_task-interview_recording-face_physio.tsv.gz"
            )
        labels = maker.recognizer.info.label_set.labels
        self._writer = writers.build(form, labels)
        self._at_once: Writer | None = None
        self._grows = growing(path, form) if path else None
        if path and self._grows != path:
            _refuse(path, overwrite)
            self._at_once, self._writer = self._writer, JsonLines(labels)
        self._maker = maker
        self.path, self.counts = path, Counter[str](counts or {})
        self.answers = Counter[str](answers or {})
        self._keep, self._more = keep, more or {}
        assert path or stream, "records go to a file or to a stream"
        self._stream = (
            _open(self._grows, overwrite, keep) if self._grows else cast("IO[bytes]", stream)
        )
        self.is_stream = path is None
        self._takes = False
        self._turn = threading.Lock()
        self._is_file = self._grows is not None and self._grows.is_file()
        self.whole_bytes = 0
        self._failed: OSError | None = None

    def __enter__(self) -> Output:
        self._meta = meta(self._maker) | self._more if self._is_file else {}
        try:
            self._write_meta()
            begin = self._writer.go_on if self._keep else self._writer.start
            begin(self._stream)
        except OSError as err:
            self._failed = err
            self._close()
            raise self._failure() from err
        self._note_whole()
        self._takes = True
        return self

    def add(self, frame: Frame, faces: Sequence[Face]) -> None:
        """Take an analysed picture; raises as ``write`` does. Threads may share it."""
        self.write(record_of(frame, faces))

    def write(self, record: Record) -> None:
        """Take one record; raises OutputError, and then leaves no half of it in the file."""
        with self._turn:
            self._write(record)

    def _write(self, record: Record) -> None:
        if not self._takes:
            raise OutputError(
                "records are taken between its beginning and its end: "
                "with mien.open_records(...) as out: out.add(frame, faces)"
            )
        try:
            self._writer.write(record)
        except BrokenPipeError:
            raise  # whoever reads has seen enough
        except OSError as err:
            self._failed = err
            raise self._failure() from err
        self.counts[record["status"]] += 1
        self.answers.update(answers_of(record))
        self._note_whole()

    def _note_whole(self) -> None:
        if self._is_file:
            self.whole_bytes = self._stream.tell()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._turn:
            if not self._takes:
                return  # it ended before
            self._takes = False
        self._close()
        try:
            if self._at_once and not self._failed:
                self._write_at_once(self._at_once)
            self._meta["complete"] = kind is None and self._failed is None
            self._write_meta()
            if self._at_once and self._grows and self._meta["complete"]:
                self._grows.unlink()
        except OSError as err:
            self._failed = self._failed or err
        if kind is None and self._failed:
            raise self._failure() from self._failed

    def _write_at_once(self, writer: Writer) -> None:
        """The whole file, from the records that were kept."""
        assert self.path
        assert self._grows
        _rewrite(self._grows, writer, self.path)

    def _close(self) -> None:
        """Close the file; where it could not be written, without the record that did not fit."""
        for close in (self._writer.close, self._stream.close if self.path else self._stream.flush):
            try:
                close()
            except OSError as err:
                self._failed = self._failed or err
        if self._failed and self._is_file and self._grows:
            with suppress(OSError):
                os.truncate(self._grows, self.whole_bytes)

    def _failure(self) -> OutputError:
        assert self._failed
        where = self._grows or "to standard output"
        kept = f"; {self.counts.total()} records are in it" if self._grows else ""
        return OutputError(f"cannot write {where}: {self._failed.strerror or self._failed}{kept}")

    def _write_meta(self) -> None:
        if self.path and self._is_file:
            told = {"records": dict(self.counts), "answers": dict(self.answers)}
            content = self._meta | told
            text = json.dumps(content, indent=2) + "\n"
            with replacing(self.path.with_name(self.path.name + ".meta.json")) as stream:
                stream.write(text.encode())


def convert(lines: Path, path: Path, form: str) -> None:
    """Write the JSON lines of a run that is complete to another file, in another format.

    Raises UnknownName, MissingExtra, OutputError.
    """
    told = json.loads(lines.with_name(lines.name + ".meta.json").read_bytes())
    try:
        _rewrite(lines, writers.build(form, tuple(told["model"]["labels"])), path)
    except OSError as err:
        raise OutputError(f"cannot write {path}: {err.strerror or err}") from err


def _rewrite(lines: Path, writer: Writer, path: Path) -> None:
    """A whole file from JSON lines; raises OSError."""
    with lines.open("rb") as kept, replacing(path) as stream:
        writer.start(stream)
        for line in kept:
            writer.write(json.loads(line))
        writer.close()


def meta(maker: Maker) -> Record:
    """What a reader of the records needs to know: model, labels, units, thresholds, versions."""
    from .. import provenance

    info = maker.recognizer.info
    return {
        "schema": SCHEMA,
        "date": provenance.now(),
        "versions": provenance.versions(),
        "model": {
            "name": info.name,
            "sha256": info.sha256,
            "label_set": info.label_set.name,
            "labels": list(info.label_set.labels),
            "temperature": info.temperature,
            "offsets": info.offsets,
            "look_again_below": info.look_again_below,
        },
        "detector": maker.detector.name if maker.detector else None,
        "align": maker.alignment,
        "base_rates": _base_rates(maker),
        "prediction_sets": _prediction_sets(maker),
        "thresholds": {
            "uncertain_below_probability": info.uncertain_below,
            "uncertain_below_picture_quality": quality.LOW,
        },
        "units": {
            "width": "pixels of the upright picture, as height; null where it could not be read",
            "box": "x0 y0 x1 y1, pixels of the upright picture, origin top left, x1 y1 exclusive",
            "landmarks": (
                "68 points x y in iBUG's order, pixels, whole in the middle of a pixel, right and "
                "left the subject's; in JSON lines only"
            ),
            "emotions": "probabilities, sum 1, at the base rates above",
            "prediction_set": (
                "the expressions among which the raters' answer is, likeliest first, as often as "
                "prediction_sets says on faces like those it was calibrated on; null: not asked for"
            ),
            "intensity": "0..1, how strongly each shows, apart from the others; null: unknown",
            "picture_quality": (
                "0..1, by size, sharpness, light, pose and the detector's score; knows nothing of "
                "what hides a face; no probability"
            ),
            "quality": (
                "size_px: pixels; brightness, contrast, inside: 0..1; yaw_rad > 0: to the "
                "subject's left, pitch_rad > 0: up, roll_rad and tilt_rad (what the crop leaves of "
                "it) > 0: clockwise; no angles without landmarks"
            ),
            "time_s": "seconds",
        },
        "notice": "an expression is not a determination of what a person feels",
        "complete": False,
    }


def _prediction_sets(maker: Maker) -> Record | None:
    """What they promise, and on how many faces that rests; None where none were asked for."""
    known = maker.recognizer.info.prediction_sets
    if maker.coverage is None or known is None:
        return None
    return {"coverage": maker.coverage, "faces": known.faces}


def _base_rates(maker: Maker) -> Record:
    """Target, strength, the training's rates, and those of a file, which may change later."""
    info, wanted = maker.recognizer.info, maker.base_rates
    found: Record = {"target": wanted.target, "strength": wanted.strength}
    if info.base_rates:
        found["training"] = dict(zip(info.label_set.labels, info.base_rates, strict=True))
    if wanted.told is not None:
        found["file"] = dict(zip(info.label_set.labels, wanted.told, strict=True))
    return found
