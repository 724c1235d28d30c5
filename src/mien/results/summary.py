"""What a recording's records come to: how long each face showed what, and its episodes.

An **episode** is a time in which one expression other than neutral shows: it begins where its
probability rises to ``Rule.enter`` and ends where it falls under ``Rule.leave`` (two thresholds, so
that a tremble about one does not cut it up), or where the face is out of sight for longer than
``Rule.gap_s``. Shorter ones than ``Rule.shortest_s`` are none.
"""

from __future__ import annotations

import csv
import io
import json
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import files
from ..errors import ConfigError, DataError, MissingExtra
from ..names import folded
from .records import SCHEMA, Record

Floats = npt.NDArray[np.float64]
_LONGEST = 3.0  # times the usual distance of frames: what lies further apart has a gap between


@dataclass(frozen=True, slots=True)
class Rule:
    """What counts as an episode; probabilities, and seconds."""

    enter: float = 0.5
    leave: float = 0.35
    shortest_s: float = 0.2
    gap_s: float = 0.3

    def __post_init__(self) -> None:
        if not 0 < self.enter <= 1:
            raise ConfigError(f"an episode's threshold lies above 0, up to 1, got {self.enter:g}")
        if self.shortest_s < 0:
            raise ConfigError(f"a shortest episode has 0 seconds or more, got {self.shortest_s:g}")


@dataclass(frozen=True, slots=True)
class Episode:
    """One expression of one face from onset to offset, in seconds of the recording.

    peak_s, peak : when its probability was highest, and how high. mean : over the episode.
    rose, fell : whether its beginning and its end were seen. Else the face came into sight with
        it, or went out of sight, or the recording ended: it lasted longer, nobody knows how long.
    """

    label: str
    onset_s: float
    peak_s: float
    offset_s: float
    peak: float
    mean: float
    rose: bool
    fell: bool


@dataclass(slots=True)
class Track:
    """One face over a recording: what was read of it in each frame it was seen in.

    frames : numbers of those frames among the recording's. probabilities : K of each, one after
    the other: a recording of ten hours fits in 100 MB.
    """

    number: int
    frames: array[int] = field(default_factory=lambda: array("q"))
    probabilities: array[float] = field(default_factory=lambda: array("f"))
    confidence: array[float] = field(default_factory=lambda: array("f"))
    uncertain: array[int] = field(default_factory=lambda: array("b"))

    @property
    def probs(self) -> Floats:
        """(N, K)."""
        return np.array(self.probabilities, np.float64).reshape(len(self.frames), -1)


@dataclass(slots=True)
class Recording:
    """A recording's records. times : of every frame, in seconds. statuses : how many have which."""

    source: str
    labels: tuple[str, ...]
    times: array[float] = field(default_factory=lambda: array("d"))
    statuses: Counter[str] = field(default_factory=Counter)
    tracks: dict[int, Track] = field(default_factory=dict)

    def durations(self) -> Floats:
        """How long each frame stands for, seconds: until the next, or as usual before a gap."""
        times = np.array(self.times)
        steps = np.diff(times)
        usual = float(np.median(steps)) if len(steps) else 0.0
        steps[steps > _LONGEST * usual] = usual
        return np.asarray(np.append(steps, usual).clip(0.0))


def read(path: Path) -> list[Recording]:
    """The recordings in a file of records: JSON lines, CSV or Parquet, without the pictures.

    Raises DataError for a file of another kind, and for one without a recording; MissingExtra for
    Parquet without pyarrow.
    """
    if not path.is_file():
        raise DataError(f"no such file: {path}")
    read_rows = _FROM.get(path.suffix.lower(), _from_json_lines)
    found: dict[str, Recording] = {}
    try:
        for source, time_s, status, labels, faces in read_rows(path):
            recording = found.setdefault(source, Recording(source, labels))
            recording.labels = recording.labels or labels
            _add(recording, time_s, status, faces)
    except (ValueError, LookupError, TypeError, StopIteration) as err:
        raise DataError(
            f"{path} holds no records as mien analyze writes them: JSON lines, CSV or Parquet, "
            "without a --format of other tools"
        ) from err
    recordings = [r for r in found.values() if len(r.times) > 1]
    if not recordings:
        raise DataError(f"{path} holds no recording; mien analyze clip.mp4 --out clip.jsonl")
    tracked = any(recording.tracks for recording in recordings)
    if not tracked and any(recording.statuses["ok"] for recording in recordings):
        raise DataError(f"the faces in {path} have no tracks; analyse without --no-tracks")
    return recordings


_Face = tuple[int | None, list[float], float, bool]
_Row = tuple[str, float, str, tuple[str, ...], list[_Face]]


def _add(recording: Recording, time_s: float, status: str, faces: Iterable[_Face]) -> None:
    number = len(recording.times)
    recording.times.append(time_s)
    recording.statuses[status] += 1
    for track, probs, confidence, uncertain in faces:
        if track is not None:
            seen = recording.tracks.setdefault(track, Track(track))
            seen.frames.append(number)
            seen.probabilities.extend(probs)
            seen.confidence.append(confidence)
            seen.uncertain.append(uncertain)


def _from_json_lines(path: Path) -> Iterator[_Row]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if not line.endswith("\n"):
                return  # of a run that goes on, or was cut off
            record: Record = json.loads(line)
            if record["schema"] != SCHEMA:
                raise DataError(
                    f"{path} has records of {record['schema']}; this mien reads {SCHEMA}"
                )
            faces = record["faces"]
            labels = tuple(faces[0]["emotions"]) if faces else ()
            yield (
                record["source"],
                record["time_s"],
                record["status"],
                labels,
                [
                    (f["track"], list(f["emotions"].values()), f["confidence"], f["uncertain"])
                    for f in faces
                ],
            )


def _from_csv(path: Path) -> Iterator[_Row]:
    with path.open(encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines)
        yield from _from_rows(rows, list(rows.fieldnames or ()))


def _from_parquet(path: Path) -> Iterator[_Row]:
    try:
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtra("pyarrow", "train", "a Parquet file") from None
    # Opened here: a colon in a name is an address to pyarrow.
    with path.open("rb") as opened, pq.ParquetFile(opened) as file:  # ValueError for another
        rows = (row for part in file.iter_batches() for row in part.to_pylist())
        yield from _from_rows(rows, file.schema_arrow.names)


_FROM = {".csv": _from_csv, ".parquet": _from_parquet}


def _from_rows(rows: Iterable[dict[str, Any]], columns: list[str]) -> Iterator[_Row]:
    """Rows of a face each, of a frame without a face one; empty cells are "" or None."""
    first = columns.index("uncertain") + 1
    last = next(i for i, c in enumerate(columns) if c.startswith(("intensity_", "quality_")))
    labels = tuple(columns[first:last])
    held: _Row | None = None
    for row in rows:
        number = "" if row["face"] is None else str(row["face"])
        faces = [_face(row, labels)] if number else []
        if held and number not in ("", "0"):
            held[4].extend(faces)  # a further face of the same frame
            continue
        if held:
            yield held
        held = (row["source"], float(row["time_s"]), row["status"], labels, faces)
    if held:
        yield held


def _face(row: dict[str, Any], labels: Sequence[str]) -> _Face:
    track = int(row["track"]) if row["track"] else None
    probs = [float(row[label]) for label in labels]
    return track, probs, float(row["confidence"]), str(row["uncertain"]) == "True"


# -- what it comes to ------------------------------------------------------------------------------


def shares(recording: Recording, track: Track) -> dict[str, Any]:
    """How long a face was seen, and for what share of that each expression was the likeliest."""
    weights = recording.durations()[track.frames]
    probs = track.probs
    seen = float(weights.sum())
    even = weights / seen if seen else np.full(len(weights), 1 / len(weights))
    tops = probs.argmax(axis=1)
    return {
        "source": recording.source,
        "track": track.number,
        "first_s": recording.times[track.frames[0]],
        "last_s": recording.times[track.frames[-1]],
        "frames": len(track.frames),
        "seen_s": round(seen, 3),
        "confidence": round(float((even * track.confidence).sum()), 4),
        "uncertain": round(float((even * track.uncertain).sum()), 4),
        **{
            label: round(float(even[tops == i].sum()), 4)
            for i, label in enumerate(recording.labels)
        },
    }


def episodes(recording: Recording, track: Track, rule: Rule | None = None) -> list[Episode]:
    """A face's episodes, in the order of their onsets."""
    rule = rule or Rule()
    times = np.array(recording.times)[track.frames]
    ends = times + recording.durations()[track.frames]
    probs = track.probs
    found = []
    for i, label in enumerate(recording.labels):
        if label != "neutral":
            for begin, end, fell in _runs(times, probs[:, i], rule):
                part = probs[begin:end, i]
                top = begin + int(part.argmax())
                onset, offset = float(times[begin]), float(ends[end - 1])
                found.append(
                    Episode(
                        label,
                        onset,
                        float(times[top]),
                        round(offset, 6),
                        round(float(part.max()), 5),
                        round(float(part.mean()), 5),
                        begin > 0 and times[begin] - times[begin - 1] <= rule.gap_s,
                        fell,
                    )
                )
    long = [e for e in found if e.offset_s - e.onset_s >= rule.shortest_s]
    return sorted(long, key=lambda episode: (episode.onset_s, episode.label))


def _runs(times: Floats, probs: Floats, rule: Rule) -> Iterator[tuple[int, int, bool]]:
    """First frame, and the one behind the last, of each stretch that is one episode.

    And whether its probability was seen to fall.
    """
    leave = min(rule.leave, rule.enter)
    begin = None
    for i, p in enumerate(probs):
        lost = i > 0 and times[i] - times[i - 1] > rule.gap_s
        if begin is not None and (p < leave or lost):
            yield begin, i, not lost
            begin = None
        if begin is None and p >= rule.enter:
            begin = i
    if begin is not None:
        yield begin, len(probs), False


# -- files -----------------------------------------------------------------------------------------


def write(recordings: Sequence[Recording], folder: Path, rule: Rule | None = None) -> list[Path]:
    """``summary.csv``, ``episodes.csv``, and an ``*_events.tsv`` of BIDS for each recording.

    Raises OutputError.
    """
    faces = [(r, t) for r in recordings for _, t in sorted(r.tracks.items())]
    rows = [shares(recording, track) for recording, track in faces]
    told = [
        {"source": r.source, "track": t.number, **_cells(episode)}
        for r, t in faces
        for episode in episodes(r, t, rule)
    ]
    columns = [*_FACE, *_EPISODE]
    written = [
        _table(folder / "summary.csv", rows, list(rows[0]) if rows else [*_FACE]),
        _table(folder / "episodes.csv", told, columns),
    ]
    for recording, name in zip(recordings, names(recordings), strict=True):
        events = [
            {
                "onset": row["onset_s"],
                "duration": row["duration_s"],
                "trial_type": row["emotion"],
                "face": row["track"],
                "peak_time": row["peak_s"],
                "peak": row["peak"],
                "rose": row["rose"],
                "fell": row["fell"],
            }
            for row in sorted(told, key=lambda row: float(row["onset_s"]))
            if row["source"] == recording.source
        ]
        path = folder / f"{name}_events.tsv"
        written.append(_table(path, events, list(_EVENT), "\t"))
        written.append(_described(path.with_suffix(".json")))
    return written


_FACE = ("source", "track")
_EPISODE = (
    "emotion",
    "onset_s",
    "peak_s",
    "offset_s",
    "duration_s",
    "peak",
    "mean",
    "rose",
    "fell",
)
_EVENT = ("onset", "duration", "trial_type", "face", "peak_time", "peak", "rose", "fell")


def _cells(episode: Episode) -> dict[str, Any]:
    return {
        "emotion": episode.label,
        "onset_s": episode.onset_s,
        "peak_s": episode.peak_s,
        "offset_s": episode.offset_s,
        "duration_s": round(episode.offset_s - episode.onset_s, 6),
        "peak": episode.peak,
        "mean": episode.mean,
        "rose": episode.rose,
        "fell": episode.fell,
    }


def names(recordings: Sequence[Recording]) -> list[str]:
    """What the files of each recording are called: its own name, a number behind a second one."""
    found: dict[str, str] = {}  # by what they share with names that mean the same file
    for recording in recordings:
        stem = Path(recording.source).stem
        name, number = stem, 1
        while folded(name) in found:
            number += 1
            name = f"{stem}-{number}"
        found[folded(name)] = name
    return list(found.values())


def _table(
    path: Path, rows: Sequence[dict[str, Any]], columns: Sequence[str], delimiter: str = ","
) -> Path:
    text = io.StringIO(newline="")
    out = csv.DictWriter(text, columns, delimiter=delimiter, lineterminator="\n")
    out.writeheader()
    out.writerows(rows)
    files.write(path, text.getvalue().encode())
    return path


def _described(path: Path) -> Path:
    """What BIDS wants said of columns that are not its own."""
    about = {
        "trial_type": {"Description": "the expression that shows (not what a person feels)"},
        "face": {"Description": "number of the face in the recording, from 1"},
        "peak_time": {"Description": "when the expression was likeliest", "Units": "s"},
        "peak": {"Description": "its probability then, 0 to 1"},
        "rose": {"Description": "whether the onset was seen; else it had begun before"},
        "fell": {"Description": "whether the end was seen; else it may have gone on"},
    }
    files.write(path, (json.dumps(about, indent=2) + "\n").encode())
    return path
