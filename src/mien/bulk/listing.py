"""What is to be analysed: the pictures and recordings of a folder or a manifest, in order."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..media import image
from ..secrecy import public
from .store import is_elsewhere, keepable, opened, parted, told

log = logging.getLogger(__name__)

_MANIFESTS = (".csv", ".parquet")
COLUMN = "source"
"""The column of a manifest that names the files."""
_MOST = 256  # pictures of a unit: what is begun anew where a worker is killed
_FEWEST_UNITS = 64  # that a run is divided into, so that all workers have some


@dataclass(frozen=True, slots=True)
class Input:
    """A picture or a recording.

    number : its place among the inputs, which its results are named after: names may differ in
        case only, or in nothing. bytes : when it was listed; None where nobody knows.
    """

    number: int
    source: str
    bytes: int | None

    @property
    def is_recording(self) -> bool:
        return os.path.splitext(self.source)[1].lower() in image.RECORDINGS


@dataclass(frozen=True, slots=True)
class Unit:
    """What a worker does at a time: some pictures, a recording, or a range of one.

    number : what its results are named after. part : the range of its recording, as
    ``Range.plain``; ``parts`` : of how many.
    """

    number: int
    inputs: tuple[Input, ...]
    part: dict[str, Any] | None = None
    parts: int = 0

    @property
    def name(self) -> str:
        """Of its files, below their folder."""
        return f"part={self.number // 1000:05}/{self.number:08}"


def listed(source: str, passed_over: Counter[str] | None = None) -> list[Input]:
    """The inputs of a folder, or of a manifest; raises InputError, MissingExtra.

    passed_over : counts other files of the folder by their endings.
    """
    files, path = opened(source)
    try:
        found = files.get_file_info(path)
    except OSError as err:
        raise InputError(f"cannot read {public(source)}: {told(err)}") from err
    if found.is_file and os.path.splitext(path)[1].lower() in _MANIFESTS:
        named = _of_manifest(source, files, path)
    elif found.is_file:
        raise InputError(
            f"{public(source)} is a single file; mien bulk takes a folder, or a manifest (.csv, "
            f".parquet) with a column '{COLUMN}'; read one file with: mien analyze"
        )
    else:
        passed_over = Counter() if passed_over is None else passed_over
        inside = _of_folder_elsewhere if is_elsewhere(source) else _of_folder
        named = inside(source, files, path, passed_over)
    if not named:
        others = f"; there are {image.told(passed_over)}" if passed_over else ""
        raise InputError(f"there is no picture or recording in {public(source)}{others}")
    return [Input(number, name, size) for number, (name, size) in enumerate(named)]


def _of_folder(
    source: str, files: Any, path: str, passed_over: Counter[str]
) -> list[tuple[str, int | None]]:
    """As ``mien analyze`` goes through it: links are followed, each folder once.

    What cannot be listed is told and left out, as a disk's ``lost+found``; a link that leads
    nowhere, or a pipe, is an input that cannot be read.
    """
    if not os.path.isdir(path):
        raise InputError(f"no such file or folder: {public(source)}")
    found = image.in_folder(Path(path), image.SUFFIXES | image.RECORDINGS, passed_over)
    return sorted((str(each), _size(each)) for each in found)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None  # its reading says why


def _of_folder_elsewhere(
    source: str, files: Any, path: str, passed_over: Counter[str]
) -> list[tuple[str, int | None]]:
    from pyarrow.fs import FileSelector

    try:
        inside = files.get_file_info(FileSelector(path, recursive=True))
    except FileNotFoundError as err:
        raise InputError(f"no such file or folder: {public(source)}") from err
    except OSError as err:
        raise InputError(f"cannot read {public(source)}: {told(err)}") from err
    base = keepable(parted(source)[0]).rstrip("/")
    found: list[tuple[str, int | None]] = []
    for each in inside:
        if not each.is_file or any(p.startswith(".") for p in each.path[len(path) :].split("/")):
            continue
        suffix = image.suffix_of(each.path)
        if suffix in image.SUFFIXES | image.RECORDINGS:
            found.append((base + each.path[len(path) :], each.size))
        else:
            passed_over[suffix] += 1
    return sorted(found)


def _of_manifest(source: str, files: Any, path: str) -> list[tuple[str, int | None]]:
    import pyarrow as pa

    try:
        with files.open_input_file(path) as stream:
            column = _column(stream, public(source), path.lower().endswith(".csv"))
    except UnicodeDecodeError as err:
        raise InputError(
            f"the manifest {public(source)} is not UTF-8; save it as 'CSV UTF-8'"
        ) from err
    except (OSError, pa.ArrowException) as err:
        hint = "; save it as 'CSV UTF-8'" if "UTF8" in str(err) else ""
        raise InputError(f"cannot read the manifest {public(source)}: {told(err)}{hint}") from err
    names = [name for name in column if name]
    if len(names) < len(column):
        log.warning(
            "%d of the %d rows of %s name no file; they are passed over",
            len(column) - len(names),
            len(column),
            public(source),
        )
    base = (
        keepable(parted(source)[0]).rpartition("/")[0]
        if is_elsewhere(source)
        else os.path.dirname(path)
    )
    return [(_beside(base, name), None) for name in names]


def _column(stream: Any, manifest: str, is_csv: bool) -> list[str | None]:
    """The files that a manifest names; raises InputError, OSError, and what Arrow raises."""
    import pyarrow as pa
    from pyarrow import csv, parquet

    if is_csv:
        table = csv.read_csv(
            stream,
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=csv.ConvertOptions(column_types={COLUMN: pa.string()}),
        )
        names = table.column_names
    else:
        table = parquet.ParquetFile(stream)
        names = table.schema_arrow.names
    if names.count(COLUMN) != 1:
        has = "more than one column" if COLUMN in names else "no column"
        raise InputError(
            f"the manifest {manifest} has {has} '{COLUMN}', which names the files; it has "
            f"{', '.join(map(repr, names)) or 'none'}"
        )
    column = table.column(COLUMN) if is_csv else table.read([COLUMN]).column(COLUMN)
    found: list[str | None] = column.cast(pa.string()).to_pylist()
    return found


def _beside(base: str, name: str) -> str:
    """A file of a manifest: as from the manifest's own folder."""
    if is_elsewhere(name) or name.startswith("/"):
        return name
    return f"{base}/{name}" if is_elsewhere(base) else os.path.abspath(os.path.join(base, name))


def divided(inputs: Sequence[Input]) -> Iterator[Unit]:
    """The inputs as units, in order: always the same ones of the same inputs."""
    pictures = sum(not each.is_recording for each in inputs)
    most = min(_MOST, max(1, pictures // _FEWEST_UNITS))
    number, waiting = 0, list[Input]()
    for each in inputs:
        if each.is_recording:
            yield Unit(number, (each,))
            number += 1
            continue
        waiting.append(each)
        if len(waiting) == most:
            yield Unit(number, tuple(waiting))
            number, waiting = number + 1, []
    if waiting:
        yield Unit(number, tuple(waiting))
