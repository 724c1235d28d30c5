"""What a recording's records come to: how long each face showed what, and its episodes.

An **episode** is a time in which one expression other than neutral shows: it begins where its
probability rises to ``Rule.enter`` and ends where it falls under ``Rule.leave`` (two thresholds, so
that a tremble about one does not cut it up), or where the face is out of sight for longer than
``Rule.gap_s`` and than three frames of the recording: of one that was sampled once a second, a
second between two looks is no gap. Shorter ones than ``Rule.shortest_s`` are none.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import files
from ..errors import ConfigError, DataError
from ..names import folded
from . import reading
from .reading import ReadRecord
from .records import BYTE_ORDER_MARK, cell

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
_LONGEST = 3.0  # times the usual distance of frames: what lies further apart has a gap between
_SLACK = 1.05  # times, as sampled frames are not all as far apart
_TIME_DIGITS = 6
_MOST = 2**53  # the number of a track


@dataclass(frozen=True, slots=True)
class Rule:
    """What counts as an episode; probabilities, and seconds.

    gap_s : of recordings whose frames lie further apart, three of them instead.
    """

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
    the other: a recording of ten hours fits in 100 MB. among : how many expressions are in each
    one's prediction set, 0 where it has none.
    """

    number: int
    frames: array[int] = field(default_factory=lambda: array("q"))
    probabilities: array[float] = field(default_factory=lambda: array("f"))
    picture_quality: array[float] = field(default_factory=lambda: array("f"))
    uncertain: array[int] = field(default_factory=lambda: array("b"))
    among: array[int] = field(default_factory=lambda: array("h"))

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
        steps = np.diff(self.times)
        steps[steps > self.longest_s] = self.usual_s
        return np.asarray(np.append(steps, self.usual_s).clip(0.0))

    @property
    def usual_s(self) -> float:
        """The usual distance of two frames, in seconds: how it was sampled."""
        return float(np.median(np.diff(self.times))) if len(self.times) > 1 else 0.0

    @property
    def longest_s(self) -> float:
        """What lies further apart has a gap between, in seconds."""
        return _LONGEST * _SLACK * self.usual_s


def read(
    path: Path, damage: reading.Damage | None = None, alone: list[str] | None = None
) -> list[Recording]:
    """The recordings in a file of records: JSON lines, CSV or Parquet, without the pictures.

    damage : for lines that are no records; see ``reading.read``.
    alone : is told which sources are left out, as they have one record: pictures, recordings of
        one frame, and what could not be read.

    Raises DataError for a file of another kind, and for one without a recording; MissingExtra for
    Parquet without pyarrow.
    """
    found: dict[str, _Gathered] = {}
    for record in reading.read(path, damage):
        if record.source not in found:
            found[record.source] = _Gathered(record.source)
        found[record.source].add(record)
    every = [one.recording() for one in found.values()]
    recordings = [recording for recording in every if len(recording.times) > 1]
    if alone is not None:
        alone += [recording.source for recording in every if len(recording.times) == 1]
    if not recordings:
        raise DataError(f"{path} holds no recording; mien analyze clip.mp4 --out clip.jsonl")
    tracked = any(recording.tracks for recording in recordings)
    if not tracked and any(recording.statuses["ok"] for recording in recordings):
        raise DataError(f"the faces in {path} have no tracks; analyse without --no-tracks")
    return recordings


@dataclass(slots=True)
class _Gathered:
    """A recording's records as they come, in whatever order its table was sorted.

    keys, times : of each record, its place (the number of its frame) and its time.
    rows : of each face that has a track, the number of its record.
    """

    source: str
    labels: tuple[str, ...] = ()
    keys: array[float] = field(default_factory=lambda: array("d"))
    times: array[float] = field(default_factory=lambda: array("d"))
    statuses: list[str] = field(default_factory=list)
    rows: array[int] = field(default_factory=lambda: array("q"))
    numbers: array[int] = field(default_factory=lambda: array("q"))
    probabilities: array[float] = field(default_factory=lambda: array("f"))
    picture_quality: array[float] = field(default_factory=lambda: array("f"))
    uncertain: array[int] = field(default_factory=lambda: array("b"))
    among: array[int] = field(default_factory=lambda: array("h"))

    def add(self, record: ReadRecord) -> None:
        for face in record.faces:
            self.labels = self.labels or tuple(face.emotions)
            if face.emotions.keys() != set(self.labels):
                raise DataError(
                    f"{self.source}: some faces have {', '.join(self.labels)}, others "
                    f"{', '.join(face.emotions)}; summarise each model's records by themselves"
                )
            if face.track is None:
                continue
            self.rows.append(len(self.keys))
            self.numbers.append(face.track)
            self.probabilities.extend(face.emotions[label] for label in self.labels)
            self.picture_quality.append(face.picture_quality)
            self.uncertain.append(face.uncertain)
            self.among.append(len(face.prediction_set or ()))
        self.keys.append(record.time_s if record.frame is None else record.frame)
        self.times.append(record.time_s)
        self.statuses.append(sys.intern(record.status))

    def recording(self) -> Recording:
        """Its frames in their order, each once; raises DataError for a face that is there twice."""
        _, first, inverse = np.unique(self.keys, return_index=True, return_inverse=True)
        times = array("d", np.array(self.times)[first].tolist())
        statuses = Counter(self.statuses[i] for i in first)
        found = Recording(self.source, self.labels, times, statuses)
        frames = inverse[np.array(self.rows, np.int64)]
        numbers = np.array(self.numbers, np.int64)
        order = np.lexsort((frames, numbers))
        starts = np.flatnonzero(np.diff(numbers[order], prepend=-1 - _MOST))
        for rows in np.split(order, starts[1:]) if len(order) else ():
            track = self._track(int(numbers[rows[0]]), rows, frames[rows])
            found.tracks[track.number] = track
        return found

    def _track(self, number: int, rows: Integers, frames: Integers) -> Track:
        if not np.diff(frames).all():
            raise DataError(
                f"{self.source}: face {number} is there twice in one frame; are these the records "
                "of two runs? Summarise each by itself"
            )
        probs = np.array(self.probabilities, np.float32).reshape(len(self.rows), -1)[rows]
        if not np.isfinite(probs).all():
            raise DataError(f"{self.source}: face {number} has a frame without all probabilities")
        return Track(
            number,
            array("q", frames.tolist()),
            array("f", probs.ravel().tolist()),
            array("f", np.array(self.picture_quality, np.float32)[rows].tolist()),
            array("b", np.array(self.uncertain, np.int8)[rows].tolist()),
            array("h", np.array(self.among, np.int16)[rows].tolist()),
        )


# -- what it comes to ------------------------------------------------------------------------------


def shares(recording: Recording, track: Track) -> dict[str, Any]:
    """How long a face was seen, and for what share of that each expression was the likeliest.

    ``set_size`` is the mean number of expressions in its prediction sets, ``set_single`` the share
    of the time in which there was one alone; None where not every record has a set.
    """
    weights = recording.durations()[track.frames]
    probs = track.probs
    seen = float(weights.sum())
    even = weights / seen if seen else np.full(len(weights), 1 / len(weights))
    tops, among = probs.argmax(axis=1), np.array(track.among)
    told = len(among) > 0 and bool(among.all())
    return {
        "source": recording.source,
        "track": track.number,
        "first_s": recording.times[track.frames[0]],
        "last_s": recording.times[track.frames[-1]],
        "frames": len(track.frames),
        "seen_s": round(seen, 3),
        "picture_quality": round(float((even * track.picture_quality).sum()), 4),
        "uncertain": round(float((even * track.uncertain).sum()), 4),
        "set_size": round(float((even * among).sum()), 4) if told else None,
        "set_single": round(float(even[among == 1].sum()), 4) if told else None,
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
    gap_s = max(rule.gap_s, recording.longest_s)
    found = []
    for i, label in enumerate(recording.labels):
        if label != "neutral":
            for begin, end, fell in _runs(times, probs[:, i], rule, gap_s):
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
                        bool(begin > 0 and times[begin] - times[begin - 1] <= gap_s),
                        fell,
                    )
                )
    long = [e for e in found if _lasts(e) >= rule.shortest_s]
    return sorted(long, key=lambda episode: (episode.onset_s, episode.label))


def _lasts(episode: Episode) -> float:
    """How long, in seconds; of times that were rounded, so that 0.8 - 0.6 is 0.2."""
    return round(episode.offset_s - episode.onset_s, _TIME_DIGITS)


def _runs(
    times: Floats, probs: Floats, rule: Rule, gap_s: float
) -> Iterator[tuple[int, int, bool]]:
    """First frame, and the one behind the last, of each stretch that is one episode.

    And whether its probability was seen to fall.
    """
    leave = min(rule.leave, rule.enter)
    begin = None
    for i, p in enumerate(probs):
        lost = i > 0 and times[i] - times[i - 1] > gap_s
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
        {"source": r.source, "track": t.number, **cells}
        for r, t in faces
        for cells in episode_cells(r, t, rule)
    ]
    written = [
        _table(folder / "summary.csv", rows, list(rows[0]) if rows else [*_FACE]),
        _table(folder / "episodes.csv", told, list(EPISODE_COLUMNS)),
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
EPISODE_COLUMNS = (
    *_FACE,
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


def episode_cells(
    recording: Recording, track: Track, rule: Rule | None = None
) -> list[dict[str, Any]]:
    """A face's episodes as tables tell of them, ``EPISODE_COLUMNS`` without the face."""
    return [
        {
            "emotion": episode.label,
            "onset_s": episode.onset_s,
            "peak_s": episode.peak_s,
            "offset_s": episode.offset_s,
            "duration_s": _lasts(episode),
            "peak": episode.peak,
            "mean": episode.mean,
            "rose": episode.rose,
            "fell": episode.fell,
        }
        for episode in episodes(recording, track, rule)
    ]


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
    if delimiter == ",":  # for a spreadsheet; BIDS wants no mark
        text.write(BYTE_ORDER_MARK)
    out = csv.DictWriter(text, columns, delimiter=delimiter, lineterminator="\n")
    out.writeheader()
    out.writerows({name: cell(value) for name, value in row.items()} for row in rows)
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
