"""The mien table: a labelled picture set in one Parquet file, whatever shape its owner gave it.

One row per picture: ``id split label votes subject source width height image landmarks sequence
copy_of intensity``. ``label`` is mien's own name (or ``unknown`` / ``not_a_face`` where taggers
said so), ``votes`` counts per ``vote_labels`` where several people tagged it, ``image`` the encoded
file as it came (a PNG where it came as numbers), ``landmarks`` the sixty-eight points of the face
where somebody placed them. ``sequence`` names the recording or stimulus a frame is from,
``copy_of`` the row that a changed copy was made of, ``intensity`` how strongly each of
``intensity_labels`` shows. What its owner knows besides (``sex``, ``age_band``, ``camera``) has
further columns of texts, which figures can be told apart by.
The pictures travel inside, so a table is one file to move, hash and cite.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from .. import foreign, jsontext
from ..errors import DataError, MissingExtra, OutputError
from ..face import ImageArray
from ..faces import landmarks
from ..files import replacing
from ..labels import LabelSet
from ..media import preprocess
from ..media.image import read_bytes
from ..names import spelt

SCHEMA = "mien-table/1"
_ROWS_PER_GROUP = 2048
_ADDED = ("landmarks", "sequence", "copy_of", "intensity")  # columns that older tables lack
_TEXTS = ("id", "split", "label", "subject", "source", "sequence", "copy_of")
_TRAINING_SPLITS = ("train", "training")
_LARGEST_CROP = 112  # pixels of a side: what data sets of crops have at the most


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled picture; ``image`` is an encoded file (PNG, JPEG, ...).

    landmarks : x0 y0 x1 y1 ... of the sixty-eight points in pixels of the picture, in iBUG's order
        (see ``mien.faces.landmarks``); None without.
    sequence : which recording, or which stimulus, of its subject; None for single pictures.
    copy_of : the id of the row this is an augmented copy of; None for a picture as it came.
    intensity : in [0, 1] per label of ``Table.intensity_labels``; None where nobody rated it.
    more : the texts of further columns by name; one without a text here is not there.
    """

    id: str
    split: str
    label: str
    image: bytes
    width: int
    height: int
    votes: tuple[float, ...] | None = None
    subject: str | None = None
    source: str | None = None
    landmarks: tuple[float, ...] | None = None
    sequence: str | None = None
    copy_of: str | None = None
    intensity: tuple[float, ...] | None = None
    more: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        # Ids and sources are names of files, whose bytes need not be UTF-8.
        for name in _TEXTS:
            text = getattr(self, name)
            if isinstance(text, str) and not text.isascii():
                object.__setattr__(self, name, spelt(text))


@dataclass(frozen=True, slots=True)
class Table:
    """A table in memory.

    name : which data set this is.
    rows : the pictures in their owner's order.
    vote_labels : what the positions of ``votes`` mean; empty without votes.
    notes : what an importer has to say (rows left out, licence).
    intensity_labels : what the positions of ``intensity`` mean; empty without intensities.
    """

    name: str
    rows: Sequence[Row]
    vote_labels: tuple[str, ...] = ()
    notes: dict[str, Any] = field(default_factory=dict)
    intensity_labels: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(row.split for row in self.rows))

    @property
    def trained(self) -> tuple[str, ...]:
        """The splits that their owner trains on, by their names."""
        return tuple(split for split in self.splits if split.lower() in _TRAINING_SPLITS)

    @property
    def are_crops(self) -> bool:
        """Whether its pictures are faces that were cut out already, as far as it tells.

        Mien cut them, or none is larger than data sets of crops are.
        """
        return "align" in self.notes or all(
            max(row.width, row.height) <= _LARGEST_CROP for row in self.rows
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of texts that rows can be told apart by: its owner's first."""
        more = dict.fromkeys(name for row in self.rows for name in row.more)
        return (*more, *_TOLD_APART)

    def column(self, name: str) -> list[str | None]:
        """The texts of one of ``columns``; raises DataError for another."""
        if name not in self.columns:
            raise DataError(f"{self.name} has no column '{name}'; it has {', '.join(self.columns)}")
        if name in _TOLD_APART:
            return [getattr(row, name) for row in self.rows]
        return [row.more.get(name) for row in self.rows]

    @property
    def sources(self) -> tuple[str, ...]:
        """Whose pictures these are: what rows' ids begin with, before the first slash."""
        return tuple(dict.fromkeys(row.id.partition("/")[0] for row in self.rows))

    def of_split(self, *splits: str) -> Table:
        """The rows of some splits; raises DataError where one has none."""
        for split in splits:
            if split not in self.splits:
                raise DataError(f"{self.name} has no split '{split}', only {list(self.splits)}")
        return self.keep(row.split in splits for row in self.rows)

    def keep(self, mask: Iterable[bool]) -> Table:
        """The rows whose place in ``mask`` is true."""
        rows = [row for row, kept in zip(self.rows, mask, strict=True) if kept]
        return replace(self, rows=rows)

    def pictures(self) -> Iterator[ImageArray]:
        """Each picture decoded, (H, W, 3) uint8 RGB."""
        for row in self.rows:
            yield read_bytes(row.image, row.id)

    def planes(self, spec: preprocess.Preprocess) -> ImageArray:
        """Every picture as a network sees it, (N, C, S, S) uint8."""
        out = np.empty((len(self), spec.channels, spec.size, spec.size), np.uint8)
        for i, picture in enumerate(self.pictures()):
            out[i] = preprocess.prepare(picture, spec)
        return out

    def targets(self, labels: LabelSet) -> npt.NDArray[np.intp]:
        """Each row's index in ``labels``, -1 where its label is not one of them."""
        place = {label: i for i, label in enumerate(labels.labels)}
        return np.array([place.get(row.label, -1) for row in self.rows], np.intp)

    def vote_shares(self, labels: LabelSet, min_votes: int = 1) -> npt.NDArray[np.float32]:
        """What part of the votes each label got, (N, K), rows summing to 1.

        A label with fewer than ``min_votes`` votes counts as none (FER+'s own reference code
        drops single votes as outliers), unless nothing would be left. A row without a vote for
        any of ``labels`` is all zero.
        """
        if not self.vote_labels:
            raise DataError(
                f"{self.name} has no votes; train on its labels (data.target = 'label')"
            )
        missing = [label for label in labels.labels if label not in self.vote_labels]
        if missing:
            raise DataError(f"{self.name} has no votes for {', '.join(missing)}")
        places = [self.vote_labels.index(label) for label in labels.labels]
        none = (0.0,) * len(self.vote_labels)
        rows = [row.votes or none for row in self.rows]
        votes = np.array(rows, np.float32).reshape(-1, len(none))[:, places]
        strong = np.where(votes >= min_votes, votes, 0.0)
        votes = np.where(strong.sum(1, keepdims=True) > 0, strong, votes)
        return np.asarray(votes / np.maximum(votes.sum(1, keepdims=True), 1e-9), np.float32)

    @property
    def is_agreed(self) -> npt.NDArray[np.bool_]:
        """On whose label more than half of the votes agree (N,), single votes left out.

        FER+'s authors test on these alone, and so do figures that are compared with theirs (Barsoum
        et al. 2016, github.com/microsoft/FERPlus). False where nobody voted.
        """
        place = {label: i for i, label in enumerate(self.vote_labels)}

        def agreed(row: Row) -> bool:
            votes = [n if n > 1 else 0.0 for n in row.votes or ()]
            return row.label in place and bool(votes) and votes[place[row.label]] > sum(votes) / 2

        return np.array([agreed(row) for row in self.rows], bool)

    def graded(self, labels: LabelSet) -> tuple[str, ...]:
        """Those of ``labels`` whose strength people told here, by ratings or by votes."""
        told = self.intensity_labels or self.vote_labels
        return tuple(label for label in labels.labels if label in told)

    @property
    def is_rated(self) -> npt.NDArray[np.bool_]:
        """Of which rows people told strengths (N,): those with ratings, or all that have votes."""
        if not self.intensity_labels:
            return np.array([row.votes is not None for row in self.rows], bool)
        return np.array([row.intensity is not None for row in self.rows], bool)

    def strengths(self, labels: LabelSet, min_votes: int = 1) -> npt.NDArray[np.float32]:
        """How strongly each label shows, by people: (N, K) in [0, 1].

        The ratings where the table has them, else each label's share of the votes. Raises DataError
        where there is neither, or not for all of ``labels``, or a row was not rated.
        """
        if not self.intensity_labels:
            return self.vote_shares(labels, min_votes)
        missing = [label for label in labels.labels if label not in self.intensity_labels]
        if missing:
            raise DataError(f"{self.name} has no ratings of {', '.join(missing)}")
        unrated = [row.id for row in self.rows if row.intensity is None]
        if unrated:
            raise DataError(f"{self.name} has {len(unrated)} rows without ratings, {unrated[0]}")
        places = [self.intensity_labels.index(label) for label in labels.labels]
        rated = np.array([row.intensity for row in self.rows], np.float32)
        return rated.reshape(-1, len(self.intensity_labels))[:, places]


_TOLD_APART = ("subject", "split", "sequence")


def join(tables: Sequence[Table], name: str) -> Table:
    """The rows of several tables in one, votes left behind.

    Intensities stay where all tables rate the same labels, whatever their order: those of the wild
    and those of a studio make one set (Xu et al. 2019). ``notes["align"]`` stays: faces that are
    cut already are not to be cut again. Raises DataError for an id that occurs twice, and for
    tables whose faces were cut in different ways, or of which some were not.
    """
    cuts = {table.notes.get("align") for table in tables}
    if len(cuts) > 1:
        told = ", ".join(f"{t.name}: {t.notes.get('align', 'not cut')}" for t in tables)
        raise DataError(f"cut all tables alike first, or none (mien data align); they are {told}")
    labels = tables[0].intensity_labels if tables else ()
    if any(set(table.intensity_labels) != set(labels) for table in tables):
        labels = ()
    rows = [
        replace(row, votes=None, intensity=_reordered(row, table, labels))
        for table in tables
        for row in table.rows
    ]
    if len({row.id for row in rows}) < len(rows):
        twice = next(i for i, n in Counter(row.id for row in rows).items() if n > 1)
        raise DataError(f"the tables share rows, '{twice}' for one; join each only once")
    notes: dict[str, Any] = {"of": [table.name for table in tables]}
    if cut := next(iter(cuts), None):
        notes["align"] = cut
    return Table(name, rows, notes=notes, intensity_labels=labels)


def _reordered(row: Row, table: Table, labels: Sequence[str]) -> tuple[float, ...] | None:
    """A row's intensities in the order of ``labels``; None without any."""
    if row.intensity is None or not labels:
        return None
    told = dict(zip(table.intensity_labels, row.intensity, strict=True))
    return tuple(told[label] for label in labels)


def png(picture: ImageArray) -> bytes:
    """A picture (H, W, 3) RGB or (H, W) as a PNG, in gray where it has no colour."""
    if picture.ndim == 3 and (picture == picture[:, :, :1]).all():
        picture = picture[:, :, 0]
    bgr = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    quickly = [cv2.IMWRITE_PNG_COMPRESSION, 1]  # noise hardly packs at any level
    return cv2.imencode(".png", bgr, quickly)[1].tobytes()


def generator(seed: int, name: str) -> np.random.Generator:
    """Numbers that depend on the seed and a row's id alone, wherever the row is."""
    key = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return np.random.default_rng([seed, int.from_bytes(key)])


def pixel_hash(picture: ImageArray) -> str:
    """A name for these exact pixels: equal for two files that decode alike."""
    head = repr(picture.shape).encode()
    return hashlib.blake2b(head + picture.tobytes(), digest_size=16).hexdigest()


def file_sha256(path: Path) -> str:
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra("pyarrow", "table", "reading and writing mien tables") from None
    return pyarrow, pyarrow.parquet


def write(table: Table, path: Path) -> None:
    """The table as a Parquet file; the old file stays until the new one is whole."""
    pa, pq = _pyarrow()
    meta = {
        "schema": SCHEMA,
        "name": table.name,
        "vote_labels": list(table.vote_labels),
        "intensity_labels": list(table.intensity_labels),
        "notes": table.notes,
    }
    further = [name for name in table.columns if name not in _TOLD_APART]
    schema = pa.schema(
        [
            ("id", pa.string()),
            ("split", pa.string()),
            ("label", pa.string()),
            ("votes", pa.list_(pa.float32())),
            ("subject", pa.string()),
            ("source", pa.string()),
            ("width", pa.int32()),
            ("height", pa.int32()),
            ("image", pa.binary()),
            ("landmarks", pa.list_(pa.float32())),
            ("sequence", pa.string()),
            ("copy_of", pa.string()),
            ("intensity", pa.list_(pa.float32())),
            *((name, pa.string()) for name in further),
        ],
        metadata={"mien": json.dumps(meta)},
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Opened here: a colon in a name is an address to pyarrow.
        with (
            replacing(path) as out,
            pq.ParquetWriter(out, schema, compression="zstd") as writer,
        ):
            for start in range(0, len(table), _ROWS_PER_GROUP):
                rows = table.rows[start : start + _ROWS_PER_GROUP]
                own = [n for n in schema.names if n not in further]
                columns = [[getattr(row, name) for row in rows] for name in own]
                columns += [[row.more.get(name) for row in rows] for name in further]
                writer.write_table(pa.table(columns, schema=schema))
    except OSError as err:
        raise OutputError(f"cannot write {path}: {err.strerror or err}") from err


def read(path: Path) -> Table:
    """The table in a Parquet file; raises DataError where it is none of mien's."""
    pa, pq = _pyarrow()
    if path.is_dir():
        raise DataError(
            f"{path} is a folder, and a table is wanted; make one with: mien data import"
        )
    if not path.is_file():
        raise DataError(f"no such table: {path}; make one with: mien data import")
    try:
        with path.open("rb") as file:
            arrow = pq.read_table(file)
    except (pa.ArrowException, OSError) as err:
        raise DataError(f"{path} is not a Parquet file: {err}") from err
    meta = _meta((arrow.schema.metadata or {}).get(b"mien", b""))
    if meta.get("schema") != SCHEMA:
        raise DataError(f"{path} is not a mien table; make one with: mien data import")
    own = [f.name for f in fields(Row) if f.name != "more"]
    names = [name for name in own if name not in _ADDED or name in arrow.schema.names]
    missing = [name for name in names if name not in arrow.schema.names]
    if missing:
        raise DataError(f"{path} lacks the columns {missing} of a mien table")
    try:
        columns = [_values(name, arrow.column(name)) for name in names]
        further = _further(arrow, own)
        rows = [
            replace(_row(dict(zip(names, v, strict=True))), more=more)
            for v, more in zip(zip(*columns, strict=True), further, strict=True)
        ]
        table = Table(
            foreign.word(meta["name"], "its name"),
            rows,
            _words(meta["vote_labels"], "vote_labels"),
            foreign.table(meta["notes"], "notes"),
            _words(meta.get("intensity_labels", ()), "intensity_labels"),
        )
        _check_lengths(table)
    except (KeyError, ValueError) as err:
        what = f"no {err} in its metadata" if isinstance(err, KeyError) else err
        raise DataError(f"{path} is no whole mien table: {what}") from err
    return table


def _words(values: object, what: str) -> tuple[str, ...]:
    return tuple(foreign.word(value, what) for value in foreign.listed(values, what))


_LISTS = ("votes", "landmarks", "intensity")
_NEEDED = ("id", "split", "label", "image", "width", "height")


def _values(name: str, column: Any) -> list[Any]:
    """The values of a column; raises ValueError for one of another type, or with gaps."""
    pa, _ = _pyarrow()
    kind = column.type
    if pa.types.is_dictionary(kind):  # what pandas makes of a few words that repeat
        kind = kind.value_type
        column = column.cast(kind)
    if name in _TEXTS:
        wanted, fits = "text", pa.types.is_string(kind) or pa.types.is_large_string(kind)
        fits = fits or kind == pa.string_view()
    elif name in _LISTS:
        wanted, fits = "lists of numbers", _is_lists_of_numbers(kind)
    elif name == "image":
        wanted, fits = "bytes", pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    else:
        wanted, fits = "whole numbers", pa.types.is_integer(kind)
    # A column without a single value has no type of its own in a file of pandas.
    if not fits and not pa.types.is_null(kind):
        raise ValueError(f"its column '{name}' holds {kind}; {wanted} is what it has to hold")
    if name in _NEEDED and column.null_count:
        raise ValueError(f"its column '{name}' has {column.null_count} rows without a value")
    return list(column.to_pylist())


def _further(arrow: Any, own: Sequence[str]) -> list[dict[str, str]]:
    """The texts of each row in columns that are not mien's; numbers and truths as texts."""
    pa, _ = _pyarrow()
    found: list[dict[str, str]] = [{} for _ in range(arrow.num_rows)]
    for name in arrow.schema.names:
        kind = arrow.schema.field(name).type
        if name in own or pa.types.is_nested(kind) or pa.types.is_binary(kind):
            continue
        for row, value in zip(found, arrow.column(name).to_pylist(), strict=True):
            if value is not None and (text := str(value).strip()):
                row[name] = text
    return found


def _is_lists_of_numbers(kind: Any) -> bool:
    types = _pyarrow()[0].types
    if not (types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)):
        return False
    of = kind.value_type
    return bool(types.is_floating(of) or types.is_integer(of))


def _check_lengths(table: Table) -> None:
    """Raise ValueError for a row whose lists are not of the labels, or hold no numbers."""
    wanted = {
        "votes": len(table.vote_labels),
        "landmarks": 2 * landmarks.POINTS,
        "intensity": len(table.intensity_labels),
    }
    for name, length in wanted.items():
        for row in table.rows:
            values = getattr(row, name)
            if values is None:
                continue
            if len(values) != length:
                raise ValueError(f"row '{row.id}' has {len(values)} {name}, expected {length}")
            if None in values or not np.isfinite(values).all():
                raise ValueError(f"row '{row.id}' has {name} that are no numbers")


def _meta(text: bytes) -> dict[str, Any]:
    """What ``write`` left in the file's metadata; empty for another's."""
    try:
        meta = jsontext.parse(text)
    except ValueError:
        return {}
    return meta if isinstance(meta, dict) else {}


def _row(values: dict[str, Any]) -> Row:
    for name in ("votes", "landmarks", "intensity"):
        listed = values.pop(name, None)
        values[name] = None if listed is None else tuple(listed)
    return Row(**values)
