"""Records read back, whoever has saved them since: JSON lines, CSV or Parquet.

pandas, R and spreadsheets write a table back in their own way: whole numbers as ``1.0``, ``TRUE``,
``;`` and decimal commas, a mark at the beginning, empty lines, columns in another order and columns
of their own. All of that says the same here. What cannot be meant is a DataError that names the
line; nothing is guessed.

Records of mien/1 are read, too: what is ``picture_quality`` now was called ``confidence`` there.
"""

from __future__ import annotations

import codecs
import csv
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

from ..errors import DataError, MissingExtra
from ..jsontext import lines, parse
from ..labels import BETWEEN, CANONICAL
from ..secrecy import public
from .records import SCHEMA

_QUALITY = {SCHEMA: "picture_quality", "mien/1": "confidence"}
"""What each schema that is read calls a face's picture quality."""
_NOTHING = frozenset({"", "nan", "na", "n/a", "#n/a", "<na>", "none", "null", "nat"})
_TRUE = frozenset({"true", "t", "yes", "y", "1", "1.0", "1,0", "wahr", "vrai", "verdadero", "vero"})
_FALSE = frozenset(
    {"false", "f", "no", "n", "0", "0.0", "0,0", "falsch", "faux", "falso"}
)  # spreadsheets translate them
_CHUNK = 1 << 20
_LIST = 500_000_000  # characters of a file that is one list: it is read in one piece
_HEAD = 2000  # rows whose names are the columns: R leaves out of a row what it does not know
_SLACK = 1e-6  # what other tools' digits may make of a 1
_MOST = 2**53  # a whole number that a float holds exactly


@dataclass(frozen=True, slots=True)
class ReadFace:
    """One face of a record. Numbers that nobody knows are NaN, and no intensity is None."""

    track: int | None
    emotions: dict[str, float]
    intensity: dict[str, float] | None
    picture_quality: float
    uncertain: bool
    prediction_set: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ReadRecord:
    """One picture's or frame's record; ``frame`` is None where a table does not say it."""

    source: str
    frame: int | None
    time_s: float
    status: str
    faces: list[ReadFace]


@dataclass(slots=True)
class Damage:
    """Lines of a file that are no records and were passed over: how many, and the first one."""

    count: int = 0
    first: NoRecord | None = None

    def note(self, err: NoRecord) -> None:
        self.count += 1
        self.first = self.first or err


class NoRecord(DataError):
    """A line that is no record. why : what is wrong with it, and which one it is."""

    def __init__(self, path: Path, line: int, why: object, kind: str = "record of mien") -> None:
        said = str(why).removeprefix("no record of mien: ")
        self.why = f"line {line} is no {kind}: {said}"
        super().__init__(
            f"{path}, {self.why}. It holds no records as mien analyze writes them: JSON lines, CSV "
            "or Parquet, without a --format of other tools"
        )


_Unfit = Callable[[NoRecord], None]


def _refuse(err: NoRecord) -> None:
    raise err


def read(path: Path, damage: Damage | None = None) -> Iterator[ReadRecord]:
    """The records of a file in their order, a frame's faces together where its rows are.

    path : of a file, or of a folder that ``mien bulk`` filled.
    damage : is told of lines that are no records, and the others are read; without it the first
        such line is a DataError, as it always is where no line is a record, or the whole file is
        of another kind.

    Raises DataError with the line; MissingExtra for Parquet without pyarrow.
    """
    none = True
    for file in _of_bulk(path) if path.is_dir() else [path]:
        if not file.is_file():
            if file.exists():
                raise DataError(f"{file} is a pipe or a device; records come from a file")
            raise DataError(f"no such file: {file}")
        try:
            for record in _READERS[_kind(file)](file, damage.note if damage else _refuse):
                none = False
                yield record
        except OSError as err:
            raise DataError(f"cannot read {file}: {err.strerror or err}") from err
    if none and damage and damage.first:
        raise damage.first


def _of_bulk(folder: Path) -> list[Path]:
    """The files of records under a folder of ``mien bulk``, in the order of its inputs."""
    found = sorted(folder.glob("records/part=*/*.parquet"))
    if not found:
        raise DataError(
            f"{folder} is a folder, and none that mien bulk filled; name a file of records"
        )
    return found


def of_plain(value: Any) -> ReadRecord:
    """A record from what JSON holds of it; raises DataError where it is none."""
    try:
        return _of_plain(value)
    except (ValueError, TypeError, KeyError, AttributeError) as err:
        said = f"no {err}" if isinstance(err, KeyError) else str(err)
        raise DataError(f"no record of mien: {said}") from None


def _of_plain(value: Any) -> ReadRecord:
    if not isinstance(value, Mapping):
        raise ValueError(f"{_A.get(type(value), type(value).__name__)}")
    schema = value["schema"]
    if not isinstance(schema, str) or schema not in _QUALITY:
        known = " and ".join(sorted(_QUALITY))
        raise ValueError(f"records of {str(schema)[:40]}; this mien reads {known}")
    faces = value["faces"] or ()  # R writes an empty list as {}
    if not isinstance(faces, list | tuple):
        raise ValueError("faces is a list")
    return ReadRecord(
        _text(value["source"], "source"),
        _whole(value.get("frame"), "frame"),
        _time(value["time_s"]),
        _text(value["status"], "status"),
        [_face(face, _QUALITY[schema]) for face in faces],
    )


_A = {list: "a list", str: "a text", int: "a number", float: "a number", type(None): "nothing"}


def _face(face: Any, quality: str) -> ReadFace:
    """A face of a record that calls its picture quality ``quality``."""
    if not isinstance(face, Mapping):
        raise ValueError("a face is an object")
    emotions = face["emotions"]
    if not isinstance(emotions, Mapping) or not emotions:
        raise ValueError("emotions are numbers by name")
    intensity = face.get("intensity")
    if intensity is not None and not isinstance(intensity, Mapping):
        raise ValueError("intensity holds numbers by name")
    return ReadFace(
        _whole(face.get("track"), "track"),
        {str(k): _share(v, k) for k, v in emotions.items()},
        {str(k): _share(v, k) for k, v in intensity.items()} if intensity else None,
        _share(face[quality], quality),
        _truth(face["uncertain"], "uncertain"),
        _among(face.get("prediction_set"), emotions),
    )


# -- single values ---------------------------------------------------------------------------------


def _number(value: Any, what: str) -> float:
    """A float; NaN where there is none. Raises ValueError."""
    if value is None:
        return math.nan
    if isinstance(value, str):
        text = value.strip()
        if text.lower() in _NOTHING:
            return math.nan
        try:
            return float(text.replace(",", ".") if "." not in text else text)
        except ValueError:
            raise ValueError(f"{what} is a number, got {_shown(value)}") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{what} is a number, got {_shown(value)}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{what} is a number, got one of too many digits") from None


def _share(value: Any, what: str) -> float:
    """A number in [0, 1], or NaN."""
    number = value if type(value) is float else _number(value, what)
    if not -_SLACK <= number <= 1 + _SLACK and not math.isnan(number):
        raise ValueError(f"{what} lies between 0 and 1, got {_shown(value)}")
    return number


def _time(value: Any) -> float:
    seconds = _number(value, "time_s")
    if not math.isfinite(seconds):
        raise ValueError(f"time_s is a number of seconds, got {_shown(value)}")
    return seconds


def _whole(value: Any, what: str) -> int | None:
    number = _number(value, what)
    if math.isnan(number):
        return None
    if not number.is_integer() or abs(number) > _MOST:
        raise ValueError(f"{what} is a whole number, got {_shown(value)}")
    return int(number)


def _truth(value: Any, what: str) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower() if isinstance(value, str | int | float) else ""
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise ValueError(f"{what} is true or false, got {_shown(value)}")


def _among(value: Any, emotions: Mapping[Any, Any]) -> tuple[str, ...] | None:
    """The labels of a prediction set; None where there is none."""
    if value is None or (isinstance(value, str) and value.strip().lower() in _NOTHING):
        return None
    if isinstance(value, float) and math.isnan(value):
        return None
    labels = value.split(BETWEEN) if isinstance(value, str) else value
    if not isinstance(labels, list | tuple) or not all(label in emotions for label in labels):
        raise ValueError(f"prediction_set holds labels of this face, got {_shown(str(value))}")
    return tuple(labels)


def _text(value: Any, what: str) -> str:
    if isinstance(value, str):
        return public(value)  # of a mien that wrote it with its password
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # a recording called 12
    raise ValueError(f"{what} is a text, got {_shown(value)}")


def _shown(value: Any) -> str:
    """A value for a message, however long it is."""
    text = value if isinstance(value, str) else type(value).__name__
    if isinstance(value, bool | float):
        text = str(value)
    return f"'{text[:40]}'"


# -- files -----------------------------------------------------------------------------------------


def _kind(path: Path) -> str:
    """By its name; else by how it begins."""
    suffix = path.suffix.lower()
    if suffix == ".xlsx":
        raise DataError(f"{path} is a workbook; save its sheet as CSV, and give that")
    if suffix in (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet"):
        return {".ndjson": ".jsonl", ".json": ".jsonl", ".tsv": ".csv"}.get(suffix, suffix)
    with path.open("rb") as file:
        head = file.read(64)
    if head.startswith(b"PAR1"):
        return ".parquet"
    begin = head.removeprefix(codecs.BOM_UTF8).lstrip(b"\0 \r\n\t\xff\xfe")
    return ".jsonl" if begin[:1] in (b"{", b"[", b"") else ".csv"


def _encoding(path: Path, otherwise: str = "") -> str:
    """UTF-8 with or without a mark, UTF-16 with one; ``otherwise`` where it is none of these."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "utf-16"
        if not otherwise:
            return "utf-8-sig"
        file.seek(0)
        try:
            while chunk := file.read(_CHUNK):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as err:
            cut_off = err.reason == "unexpected end of data"  # a run that goes on
            return "utf-8-sig" if cut_off else otherwise
    return "utf-8-sig"


def _from_json_lines(path: Path, unfit: _Unfit) -> Iterator[ReadRecord]:
    with path.open(encoding=_encoding(path), errors="replace") as stream:
        values = _of_a_list(stream) or _json_values(path, lines(stream), unfit)
        head = list(islice(values, _HEAD))
        every = chain(head, values)
        if not (head and _is_row(head[0][1])):
            yield from _json_records(path, every, unfit)
            return
        columns = dict.fromkeys(k for _, row in head if isinstance(row, Mapping) for k in row)
        yield from _merged(_flat_records(path, list(columns), (row for _, row in every), 1, unfit))


def _is_row(value: Any) -> bool:
    """Whether it is of a table that was saved as JSON, and no record."""
    return isinstance(value, Mapping) and "faces" not in value and "time_s" in value


def _of_a_list(stream: IO[str]) -> Iterator[tuple[int, Any]] | None:
    """What is in a file that is one list, numbered; None, from its beginning, for another."""
    begin = stream.read(64).lstrip()
    stream.seek(0)
    if not begin.startswith("["):
        return None
    try:
        text = stream.read(_LIST)
        found = parse("" if len(text) == _LIST else text)
    except ValueError:
        stream.seek(0)
        return None
    return iter([*enumerate(found, 1)])


def _json_values(
    path: Path, texts: Iterable[str | None], unfit: _Unfit
) -> Iterator[tuple[int, Any]]:
    """Each line's value with its number."""
    any_whole = False
    for number, text in enumerate(texts, 1):
        if text is None:
            unfit(NoRecord(path, number, "it has no end", "JSON"))
            continue
        if not text.strip():
            continue
        try:
            value = parse(text)
        except ValueError as err:
            if any_whole and not text.endswith("\n"):
                return  # of a run that goes on, or was cut off
            unfit(NoRecord(path, number, str(err)[:80], "JSON"))
            continue
        any_whole = True
        yield number, value


def _json_records(
    path: Path, values: Iterable[tuple[int, Any]], unfit: _Unfit
) -> Iterator[ReadRecord]:
    for number, value in values:
        try:
            record = of_plain(value)
        except DataError as err:
            unfit(NoRecord(path, number, err))
        else:
            yield record


def _from_csv(path: Path, unfit: _Unfit) -> Iterator[ReadRecord]:
    windows = "cp1252"  # what spreadsheets save as CSV there
    with path.open(encoding=_encoding(path, windows), errors="replace", newline="") as stream:
        head, skipped = stream.readline(_CHUNK), 0
        while head and (not head.strip() or head.lower().startswith("sep=")):
            head, skipped = stream.readline(_CHUNK), skipped + 1
        delimiter = max(",;\t", key=head.count)
        columns = next(csv.reader([head], delimiter=delimiter), [])
        rows = csv.DictReader(_bounded(stream), columns, delimiter=delimiter)
        try:
            yield from _merged(_flat_records(path, columns, rows, skipped + 2, unfit))
        except csv.Error as err:
            raise NoRecord(path, rows.line_num + skipped + 1, err) from None


def _bounded(stream: IO[str]) -> Iterator[str]:
    """The lines of a table; raises csv.Error for one without end."""
    for line in lines(stream):
        if line is None:
            raise csv.Error("it has no end")
        yield line


def _from_parquet(path: Path, unfit: _Unfit) -> Iterator[ReadRecord]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtra("pyarrow", "table", "a Parquet file") from None
    try:
        # Opened here: a colon in a name is an address to pyarrow.
        with path.open("rb") as opened, pq.ParquetFile(opened) as file:
            columns = file.schema_arrow.names
            rows = (row for part in file.iter_batches() for row in part.to_pylist())
            yield from _merged(_flat_records(path, columns, rows, 1, unfit))
    except (pa.ArrowException, NotImplementedError) as err:
        raise NoRecord(path, 1, str(err).splitlines()[0] if str(err) else "damaged") from None


_READERS = {".jsonl": _from_json_lines, ".csv": _from_csv, ".parquet": _from_parquet}


# -- tables ----------------------------------------------------------------------------------------


class _Flat:
    """How a table's columns are read; raises ValueError where it lacks one.

    The labels are the columns that have an intensity beside them, in the table's order; in a table
    without intensities, the columns under mien's own names of emotions.
    """

    def __init__(self, columns: Sequence[Any]) -> None:
        self._column = {str(column).strip(): column for column in columns}
        names = list(self._column)
        self.labels = [n for n in names if f"intensity_{n}" in self._column] or [
            n for n in names if n in CANONICAL
        ]
        quality = [n for n in _QUALITY.values() if n in names] or [_QUALITY[SCHEMA]]
        needed = ("source", "time_s", *quality, "uncertain")
        lacking = [name for name in needed if name not in self._column]
        if lacking or not self.labels:
            raise ValueError(f"it has no column {', '.join(lacking) or 'of an expression'}")

    def _get(self, row: Mapping[Any, Any], name: str) -> Any:
        return row.get(self._column.get(name, name))

    def record(self, row: Mapping[Any, Any]) -> ReadRecord | None:
        """A record of one face or none; None for an empty row. Raises ValueError."""
        if not isinstance(row, Mapping):
            raise ValueError("a row of a table is an object")
        if all(value is None or not str(value).strip() for value in row.values()):
            return None
        face = self._face(row)
        status = self._get(row, "status")
        if status is None or str(status).strip().lower() in _NOTHING:
            status = "ok" if face else "no_face"
        return ReadRecord(
            _text(self._get(row, "source"), "source"),
            _whole(self._get(row, "frame"), "frame"),
            _time(self._get(row, "time_s")),
            _text(status, "status"),
            [face] if face else [],
        )

    def _face(self, row: Mapping[Any, Any]) -> ReadFace | None:
        emotions = {label: _share(self._get(row, label), label) for label in self.labels}
        if all(map(math.isnan, emotions.values())):
            return None
        strengths = {
            label: _share(self._get(row, f"intensity_{label}"), f"intensity_{label}")
            for label in self.labels
        }
        return ReadFace(
            _whole(self._get(row, "track"), "track"),
            emotions,
            None if all(map(math.isnan, strengths.values())) else strengths,
            self._quality(row),
            _truth(self._get(row, "uncertain"), "uncertain"),
            _among(self._get(row, "prediction_set"), emotions),
        )

    def _quality(self, row: Mapping[Any, Any]) -> float:
        """By whichever name a row has it; tables of two miens may have been put together."""
        for name in _QUALITY.values():
            if not math.isnan(share := _share(self._get(row, name), name)):
                return share
        return math.nan


def _flat_records(
    path: Path,
    columns: Sequence[str],
    rows: Iterable[Mapping[Any, Any]],
    first: int,
    unfit: _Unfit,
) -> Iterator[ReadRecord]:
    """``first`` : the number of the first row's line."""
    try:
        flat = _Flat(columns)
    except ValueError as err:
        raise NoRecord(path, first, err) from None
    for number, row in enumerate(rows, first):
        try:
            record = flat.record(row)
        except (ValueError, KeyError) as err:
            unfit(NoRecord(path, number, err))
        else:
            if record is not None:
                yield record


def _merged(rows: Iterable[ReadRecord]) -> Iterator[ReadRecord]:
    """Rows of one frame that follow each other as one record; a row without a frame by its time.

    Faces are told by their frame, not by their number: of a filtered table some are gone.
    """
    held: ReadRecord | None = None
    for row in rows:
        if held and row.faces and held.faces and _place(row) == _place(held):
            held.faces.extend(row.faces)
            continue
        if held:
            yield held
        held = row
    if held:
        yield held


def _place(record: ReadRecord) -> tuple[str, float]:
    return record.source, record.time_s if record.frame is None else record.frame
