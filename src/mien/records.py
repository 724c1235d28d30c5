"""Results as records: JSON lines, CSV or Parquet, written as they come.

One record per picture, schema ``mien/1``; one row per face in the flat formats, NaN where a
picture has none. Beside every file lies ``<file>.meta.json``: model, labels, units, thresholds.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol

from . import provenance, quality
from .errors import ConfigError, MissingExtra, OutputError
from .face import Face, Frame, Quality
from .pipeline import Analyzer
from .registry import Registry

SCHEMA = "mien/1"
Record = dict[str, Any]
_DIGITS = 5


def of_frame(frame: Frame, faces: list[Face]) -> Record:
    """The record of one analysed picture."""
    status = "ok"
    if not faces:
        status = "no_face"
    elif all((face.confidence or 0) < quality.LOW for face in faces):
        status = "low_quality"
    return {
        "schema": SCHEMA,
        "source": frame.source,
        "frame": frame.index,
        "time_s": frame.time_s,
        "status": status,
        "faces": [_of_face(face) for face in faces],
    }


def of_error(source: str, reason: str) -> Record:
    """The record of a picture that could not be analysed."""
    return {
        "schema": SCHEMA,
        "source": source,
        "frame": 0,
        "time_s": 0.0,
        "status": "error",
        "reason": reason,
        "faces": [],
    }


def _of_face(face: Face) -> Record:
    assert face.emotions is not None
    assert face.quality is not None
    assert face.confidence is not None
    landmarks = face.landmarks
    return {
        "track": None,
        "box": [round(float(v), 2) for v in face.box],
        "score": round(face.score, _DIGITS),
        "landmarks": None if landmarks is None else landmarks.round(2).tolist(),
        "emotions": {k: round(v, _DIGITS) for k, v in face.emotions.as_dict().items()},
        "top": face.emotions.top[0],
        "confidence": round(face.confidence, _DIGITS),
        "uncertain": face.uncertain,
        "intensity": None,
        "quality": {k: round(v, _DIGITS) for k, v in dataclasses.asdict(face.quality).items()},
    }


def flat_columns(labels: tuple[str, ...]) -> list[str]:
    """The columns of the flat formats, in order."""
    measures = [f"quality_{f.name}" for f in dataclasses.fields(Quality)]
    head = ["source", "frame", "time_s", "status", "reason", "face", "track"]
    box = ["x0", "y0", "x1", "y1", "score"]
    return [*head, *box, "top", "confidence", "uncertain", *labels, *measures]


def flat_rows(record: Record, labels: tuple[str, ...]) -> Iterator[Record]:
    """One row per face of a record; one row of NaN for a picture without any."""
    head = {k: record[k] for k in ("source", "frame", "time_s", "status")}
    head["reason"] = record.get("reason", "")
    if not record["faces"]:
        empty = dict.fromkeys(flat_columns(labels), math.nan)
        yield empty | head | {"top": "", "uncertain": None, "face": None, "track": None}
    for number, face in enumerate(record["faces"]):
        box = dict(zip(("x0", "y0", "x1", "y1"), face["box"], strict=True))
        plain = {k: face[k] for k in ("track", "score", "top", "confidence", "uncertain")}
        measures = {f"quality_{k}": v for k, v in face["quality"].items()}
        yield head | {"face": number} | box | plain | face["emotions"] | measures


class Writer(Protocol):
    """Takes records one by one; what it has taken is on the disk."""

    def write(self, record: Record) -> None: ...
    def close(self) -> None: ...


writers: Registry[Writer] = Registry("format")


@writers.register("jsonl")
class JsonLines:
    """One JSON object a line."""

    def __init__(self, stream: IO[str], path: Path | None, labels: tuple[str, ...]) -> None:
        self._stream = stream

    def write(self, record: Record) -> None:
        self._stream.write(json.dumps(record, ensure_ascii=False) + "\n")
        self._stream.flush()

    def close(self) -> None:
        pass


@writers.register("csv")
class Csv:
    """UTF-8, comma, decimal point, a header, one row per face."""

    def __init__(self, stream: IO[str], path: Path | None, labels: tuple[str, ...]) -> None:
        self._stream, self._labels = stream, labels
        self._csv = csv.DictWriter(stream, flat_columns(labels), lineterminator="\n")
        self._csv.writeheader()

    def write(self, record: Record) -> None:
        for row in flat_rows(record, self._labels):
            self._csv.writerow({k: "NaN" if v != v else v for k, v in row.items()})
        self._stream.flush()

    def close(self) -> None:
        pass


@writers.register("parquet")
class Parquet:
    """The columns of the CSV, typed; rows reach the disk in groups and at the end."""

    _ROWS = 1000

    def __init__(self, stream: IO[str], path: Path | None, labels: tuple[str, ...]) -> None:
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError:
            raise MissingExtra("pyarrow", "train", "--format parquet") from None
        if path is None:
            raise ConfigError("--format parquet needs a file to write: --out FILE.parquet")
        texts = {"source", "status", "reason", "top"}
        whole = {"frame", "face", "track"}
        kinds = {c: pa.string() for c in texts} | {c: pa.int64() for c in whole}
        kinds |= {"uncertain": pa.bool_()}
        self._schema = pa.schema([(c, kinds.get(c, pa.float64())) for c in flat_columns(labels)])
        self._labels, self._rows, self._pa = labels, [], pa
        self._writer = pq.ParquetWriter(path, self._schema)

    _rows: list[Record]

    def write(self, record: Record) -> None:
        self._rows.extend(flat_rows(record, self._labels))
        if len(self._rows) >= self._ROWS:
            self._flush()

    def _flush(self) -> None:
        self._writer.write_table(self._pa.Table.from_pylist(self._rows, schema=self._schema))
        self._rows.clear()

    def close(self) -> None:
        if self._rows:
            self._flush()
        self._writer.close()


class Output:
    """A writer, its file and the meta file beside it.

    path : None for ``stream``. form : a name of ``writers``; None takes it from the suffix.
    Raises OutputError where the file cannot be written, or is there and ``overwrite`` is not set.
    """

    def __init__(
        self,
        path: Path | None,
        form: str | None,
        analyzer: Analyzer,
        stream: IO[str],
        overwrite: bool = False,
    ) -> None:
        form = form or (path.suffix.removeprefix(".") if path else "") or "jsonl"
        if form not in writers:
            writers.build(form)  # raises UnknownName
        self.path, self.counts = path, Counter[str]()
        self._meta = meta(analyzer)
        self._file = self._open(path, overwrite) if path else None
        labels = analyzer.recognizer.info.label_set.labels
        try:
            self._writer = writers.build(form, self._file or stream, path, labels)
        except MissingExtra:
            self._discard()
            raise

    def _open(self, path: Path, overwrite: bool) -> IO[str]:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return path.open("w" if overwrite else "x", encoding="utf-8", newline="")
        except FileExistsError:
            raise OutputError(
                f"{path} is there already; name another --out, or pass --overwrite"
            ) from None
        except OSError as err:
            raise OutputError(f"cannot write {path}: {err.strerror}") from err

    def _discard(self) -> None:
        if self._file and self.path:
            self._file.close()
            self.path.unlink()

    def write(self, record: Record) -> None:
        try:
            self._writer.write(record)
        except OSError as err:
            if self.path is None:
                raise
            raise OutputError(
                f"cannot write {self.path}: {err.strerror}; {sum(self.counts.values())} records "
                "are in it"
            ) from err
        self.counts[record["status"]] += 1

    def __enter__(self) -> Output:
        self._write_meta()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()
        if self._file:
            self._file.close()
        self._meta["complete"] = kind is None
        self._write_meta()

    def _write_meta(self) -> None:
        if self.path is None:
            return
        meta_path = self.path.with_name(self.path.name + ".meta.json")
        content = self._meta | {"records": dict(self.counts)}
        meta_path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def meta(analyzer: Analyzer) -> Record:
    """What a reader of the records needs to know: model, labels, units, thresholds, versions."""
    info, settings = analyzer.recognizer.info, analyzer.settings
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
        },
        "detector": analyzer.detector.name if analyzer.detector else None,
        "base_rates": dataclasses.asdict(settings.base_rates)
        | {"training": dict(zip(info.label_set.labels, info.base_rates or (), strict=False))},
        "thresholds": {
            "uncertain_below_probability": info.uncertain_below,
            "uncertain_below_confidence": quality.LOW,
        },
        "units": {
            "box": "x0 y0 x1 y1, pixels of the upright picture, origin top left, x1 y1 exclusive",
            "landmarks": "right eye, left eye, nose, right and left mouth corner (the subject's)",
            "emotions": "probabilities, sum 1, at the base rates above",
            "confidence": "0..1, how far to trust the face's picture; not a probability",
            "time_s": "seconds",
        },
        "notice": "an expression is not a determination of what a person feels",
        "complete": False,
    }
