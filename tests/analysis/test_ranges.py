"""Recordings cut into ranges and joined: the records are an uncut run's, to the last digit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from mien.analysis import ranges, recording
from mien.analysis.pipeline import Analyzer, Settings
from mien.analysis.ranges import Ends, Names, Range, same
from mien.analysis.recording import Options, State
from mien.media.video import Place, Span, Video
from mien.results.records import Record
from mien.testing import FakeDetector, FakeRecognizer
from tests import made


@dataclass
class Kept:
    """A range as a file would keep it: nothing of it is shared with its analysis."""

    told: str

    def ends(self) -> Ends:
        entry, last = (e and State.from_plain(e) for e in json.loads(self.told)["ends"])
        return Ends(entry, last)

    def records(self) -> Iterator[Record]:
        yield from json.loads(self.told)["records"]


def analysed(
    analyzer: Analyzer, path: Path, options: Options, part: Range, before: State | None = None
) -> Kept:
    ends = Ends()
    with Video(path) as source:
        found = list(ranges.analyze(analyzer, source, options, part, ends, before))
    told = [e and e.plain() for e in (ends.entry, ends.exit)]
    return Kept(json.dumps({"records": found, "ends": told}))


def uncut(analyzer: Analyzer, path: Path, options: Options) -> list[Record]:
    with Video(path) as source:
        return [
            recording.record(item) for item in recording.analyze(analyzer, source, options, State())
        ]


def joined(
    analyzer: Analyzer, path: Path, options: Options, length_s: float
) -> tuple[list[Record], int, int]:
    """The records, of how many ranges, and how many of these had to be analysed again."""
    with Video(path) as source:
        parts = [Range.from_plain(p.plain()) for p in ranges.cut(source, options, length_s)]
    kept = [analysed(analyzer, path, options, part) for part in parts]
    repeated = []

    def again(number: int, before: State) -> Kept:
        repeated.append(number)
        before = State.from_plain(json.loads(json.dumps(before.plain())))
        return analysed(analyzer, path, options, parts[number], before)

    return list(ranges.join(kept, again)), len(parts), len(repeated)


@pytest.fixture(scope="module")
def talker(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A woman who never leaves the picture, to and fro, for 36 seconds at 12 frames a second."""
    import av

    path = tmp_path_factory.mktemp("ranges") / "talker.mp4"
    with av.open(str(shared / "data" / "media" / "WolfgangLanger_Pexels.mp4")) as clip:
        pictures = [f.to_ndarray(format="rgb24") for f in clip.decode(video=0)][::2]
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("h264", rate=12, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for picture in [*pictures, *pictures[-2:0:-1]][:432]:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    return path


@pytest.fixture
def analyzer() -> Analyzer:
    return Analyzer(
        Settings(crops=False), recognizer=FakeRecognizer(), detector=FakeDetector((4, 4, 40, 40))
    )


def test_a_head_that_never_leaves_is_joined_and_nothing_is_done_twice(talker: Path) -> None:
    options = Options(smooth="two-sided")
    analyzer = Analyzer(Settings(threads=1))
    found, parts, repeated = joined(analyzer, talker, options, 16.0)
    assert (parts, repeated) == (2, 0)
    assert json.dumps(found) == json.dumps(uncut(analyzer, talker, options))
    assert {face["track"] for record in found for face in record["faces"]} == {1}


@pytest.mark.parametrize(
    "options",
    [
        Options(Span(every=2)),
        Options(Span(fps=6)),
        Options(Span(start_s=3.0, end_s=16.5)),
        Options(tracks=False),
        Options(smooth="causal"),
    ],
)
def test_whatever_is_asked_for_it_is_as_uncut(
    tmp_path: Path, analyzer: Analyzer, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "WARM_S", 3.0)
    monkeypatch.setattr(ranges, "WARM_FRAMES", 10)
    film = made.video(tmp_path / "a.mp4", frames=180, fps=10, codec="h264")
    found, parts, _ = joined(analyzer, film, options, 6.0)
    assert parts >= 2
    assert json.dumps(found) == json.dumps(uncut(analyzer, film, options))


def test_a_range_that_remembers_something_else_is_analysed_again(
    tmp_path: Path, analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = made.video(tmp_path / "a.mp4", frames=160, fps=10, codec="h264")
    monkeypatch.setattr(ranges, "WARM_S", 0.2)
    monkeypatch.setattr(ranges, "WARM_FRAMES", 2)
    options = Options(smooth="two-sided")
    found, parts, repeated = joined(analyzer, film, options, 7.0)
    assert (parts, repeated) == (2, 1)
    assert json.dumps(found) == json.dumps(uncut(analyzer, film, options))


def test_a_short_recording_and_one_that_cannot_be_sought_stay_whole(tmp_path: Path) -> None:
    for name, frames, codec in (("short.mp4", 30, "mpeg4"), ("untold.avi", 300, "h264")):
        with Video(made.video(tmp_path / name, frames, codec=codec)) as source:
            assert ranges.cut(source, Options(), 10.0) == [Range()]


def track(number: int, seen_s: float = 1.0) -> dict[str, Any]:
    return {"number": number, "seen_s": seen_s}


def state(*tracks: dict[str, Any], given: int, smoother: dict[str, Any] | None = None) -> State:
    return State(Place(5, 1.0), {"tracks": list(tracks), "given": given}, smoother or {})


def test_tracks_keep_the_numbers_of_the_whole_recording() -> None:
    names = same(state(track(3), track(8), given=9), state(track(1), track(2), given=4))
    assert names == Names({1: 3, 2: 8}, 5)
    assert [names.of(n) for n in (1, 2, 5, 6)] == [3, 8, 10, 11]
    assert names.in_record({"faces": [{"track": 2}, {"track": None}]}) == {
        "faces": [{"track": 8}, {"track": None}]
    }


def test_what_differs_in_anything_is_not_the_same() -> None:
    before = state(track(3), given=9, smoother={"3": [1.0], "2": [0.5]})
    alike = state(track(1), given=1, smoother={"1": [1.0]})
    assert same(before, alike) == Names({1: 3}, 8)
    assert same(before, None) is None
    assert same(before, state(track(1), given=1, smoother={"1": [1.1]})) is None
    assert same(before, state(track(1, 2.0), given=1, smoother={"1": [1.0]})) is None
    assert same(before, state(given=1)) is None
    assert same(before, replace(alike, place=Place(6, 1.0))) is None
    assert same(before, replace(alike, given=1)) is None
