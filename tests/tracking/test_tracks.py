"""Tracks: one number for one face, on made motion and on real clips."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.analysis.pipeline import Analyzer
from mien.face import Face, FloatArray, Frame, ImageArray
from mien.faces import landmarks
from mien.faces.align import TEMPLATE
from mien.faces.landmarker import Placed
from mien.faces.landmarks import bounds, face_box
from mien.media import image
from mien.tracking.tracks import BEHIND_S, MEMORY_S, SEARCH_S, Tracker
from tests.crossing import Head, clip, film, line, score

# -- made motion: faces that are where they are said to be -----------------------------------------


def shape() -> FloatArray:
    """68 points like a face's in a square of side 1 about 0 0: those that matter, and noise."""
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (68, 2))
    right, left, nose, *corners = TEMPLATE - 0.5
    points[landmarks.RIGHT_EYE], points[landmarks.LEFT_EYE] = right, left
    points[[landmarks.NOSE_TIP, landmarks.RIGHT_MOUTH_CORNER, landmarks.LEFT_MOUTH_CORNER]] = [
        nose,
        *corners,
    ]
    return points.astype(np.float32)


SHAPE = shape()


class World:
    """Stands in for an ``Analyzer``: ``faces`` are (x, y, side), the first in front.

    backwards : the faces behind are found first.
    """

    def __init__(self, backwards: bool = False) -> None:
        self.backwards = backwards
        self.faces: list[tuple[float, float, float]] = []
        self.unseen: set[int] = set()
        self.searches = 0

    def visible(self) -> list[FloatArray]:
        shown: list[tuple[float, float, float]] = []
        for i, (x, y, side) in enumerate(self.faces):
            covered = any(np.hypot(x - a, y - b) < 0.6 * s for a, b, s in shown)
            if i not in self.unseen and not covered:
                shown.append((x, y, side))
        return [np.asarray(SHAPE * s + [x, y], np.float32) for x, y, s in shown]

    def find(self, frame: Frame, known: Sequence[Face] = ()) -> list[Face]:
        self.searches += 1
        faces = [Face(face_box(p), 0.9, p) for p in self.visible()]
        return faces[::-1] if self.backwards else faces

    def find_again(self, frame: Frame, boxes: FloatArray, rolls: list[float]) -> Placed:
        """The face nearest to each box, if the landmark network would see it from there."""
        points, scores = [], []
        for box in boxes:
            middle, side = (box[:2] + box[2:]) / 2, float((box[2:] - box[:2]).max())
            near = sorted(self.visible(), key=lambda p: _off(p, middle))
            sees = bool(near) and _off(near[0], middle) < 0.4 * side
            points.append(near[0] if sees else np.zeros((68, 2), np.float32))
            scores.append(float(sees))
        return Placed(np.array(points), np.array(scores, np.float32))


def _off(points: FloatArray, place: FloatArray) -> float:
    box = bounds(points)
    x, y = (box[:2] + box[2:]) / 2 - place
    return float(np.hypot(x, y))


PICTURE = np.random.default_rng(1).integers(0, 256, (72, 128, 3), np.uint8)


def frames(count: int, fps: float = 30.0, start: int = 0) -> Iterable[Frame]:
    big = PICTURE.repeat(10, axis=0).repeat(10, axis=1)
    return (Frame(big, i, i / fps) for i in range(start, start + count))


Moves = Sequence[Sequence[tuple[float, float, float]]]


def numbers(
    world: World,
    tracker: Tracker,
    moves: Moves,
    fps: float = 30.0,
) -> list[list[int | None]]:
    told = []
    for frame, spots in zip(frames(10_000, fps), moves, strict=False):
        world.faces = list(spots)
        told.append([face.track for face in tracker.follow(frame)])
    return told


def test_a_face_keeps_its_number_and_is_rarely_searched_for() -> None:
    world = World()
    told = numbers(world, Tracker(world), [[(300 + 2 * i, 200, 100)] for i in range(90)])
    assert told == [[1]] * 90
    assert world.searches <= 1 + 3 / SEARCH_S


@pytest.mark.parametrize("fps", [10, 30, 120])
def test_a_second_face_is_found_within_the_stated_time(fps: float) -> None:
    world = World()
    moves = [
        [(300, 200, 100), (800, 300, 90)] if i >= fps else [(300, 200, 100)]
        for i in range(int(2 * fps))
    ]
    told = numbers(world, Tracker(world), moves, fps)
    first = told.index([1, 2])
    assert 0 <= first / fps - 1 <= SEARCH_S + 1 / fps
    assert told[first:] == [[1, 2]] * (len(told) - first)


def test_where_nobody_is_followed_every_frame_is_searched() -> None:
    world = World()
    told = numbers(world, Tracker(world), [[]] * 20 + [[(300, 200, 100)]] * 5)
    assert told == [[]] * 20 + [[1]] * 5
    assert world.searches == 21


@pytest.mark.parametrize(("gone", "same"), [(5, True), (20, True), (29, True), (40, False)])
def test_a_face_out_of_sight_is_the_same_for_a_second(gone: int, same: bool) -> None:
    world = World()
    moves: Moves = [[(300, 200, 100)]] * 10 + [[]] * gone + [[(310, 205, 100)]] * 10
    told = numbers(world, Tracker(world), moves)
    assert told[10 : 10 + gone] == [[]] * gone
    assert told[-1] == ([1] if same else [2])
    assert (gone + 1) / 30 <= MEMORY_S or not same


def test_one_of_two_that_is_lost_is_found_again_soon() -> None:
    world = World()
    both = [(300.0, 200.0, 100.0), (800.0, 300.0, 90.0)]
    told = numbers(world, Tracker(world), [both] * 10 + [both[:1]] * 12 + [both] * 10)
    assert told[21] == [1]
    assert told[26:] == [[1, 2]] * 6


def order(world: World, moves: Moves, fps: float = 30.0) -> list[list[int | None]]:
    """The numbers from left to right in the frames where all are seen."""
    tracker, told = Tracker(world), []
    for frame, spots in zip(frames(len(moves), fps), moves, strict=True):
        world.faces = list(spots)
        faces = sorted(tracker.follow(frame), key=lambda face: float(face.box[0]))
        if len(faces) == len(spots):
            told.append([face.track for face in faces])
    return told


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("speed", [3, 8, 20])
def test_two_that_cross_keep_their_numbers(speed: int, backwards: bool) -> None:
    world = World(backwards)
    moves = [
        [(250.0 + speed * i, 300.0, 120.0), (950.0 - speed * i, 310.0, 120.0)]
        for i in range(700 // speed)
    ]
    told = order(world, moves)
    assert len(told) < len(moves), "one was hidden"
    assert told[-1] == told[0][::-1]
    assert {n for names in told for n in names} == {1, 2}


@pytest.mark.parametrize(("stays", "same"), [(5, True), (25, True), (90, False)])
def test_one_that_goes_behind_another_and_turns_back_is_the_same(stays: int, same: bool) -> None:
    way = [*range(900, 560, -10)]
    moves = [
        [(500.0, 300.0, 200.0), (float(x), 310.0, 120.0)] for x in way + [560] * stays + way[::-1]
    ]
    told = order(World(), moves)
    hidden = (len(moves) - len(told)) / 30
    assert (hidden < BEHIND_S) == same
    assert hidden > MEMORY_S / 2
    assert (told[-1] == told[0]) == same


def test_two_that_pass_each_other_behind_a_third_keep_their_numbers() -> None:
    moves = [
        [(600.0, 300.0, 200.0), (250.0 + 10 * i, 300.0, 90.0), (950.0 - 10 * i, 300.0, 90.0)]
        for i in range(70)
    ]
    told = order(World(), moves)
    left, middle, right = told[0]
    assert told[-1] == [right, middle, left]


def test_two_that_pass_at_a_low_frame_rate_keep_their_numbers() -> None:
    moves = [[(100.0 + 70 * i, 250.0, 120.0), (1100.0 - 70 * i, 370.0, 120.0)] for i in range(15)]
    told = order(World(), moves, fps=8)
    assert told[-1] == told[0][::-1]


def test_all_that_jump_alike_keep_their_numbers() -> None:
    """A camera that is bumped."""
    world = World()
    row = [(200.0 + 180 * i, 300.0, 100.0) for i in range(4)]
    moved = [(x + 85, y, side) for x, y, side in row]
    tracker, seen = Tracker(world), dict[int | None, float]()
    for i, frame in enumerate(frames(40)):
        world.faces = row if i < 20 else moved
        seen = {face.track: float(face.box[0]) for face in tracker.follow(frame)}
    assert set(seen) == {1, 2, 3, 4}
    assert [track for _, track in sorted((x, t) for t, x in seen.items())] == [1, 2, 3, 4]


def test_a_cut_starts_new_numbers() -> None:
    world = World()
    tracker = Tracker(world)
    world.faces = [(300, 200, 100)]
    before = [f.track for frame in frames(10) for f in tracker.follow(frame)]
    other = np.random.default_rng(2).integers(0, 256, (72, 128, 3), np.uint8)
    big = other.repeat(10, axis=0).repeat(10, axis=1)
    after = [f.track for i in range(10, 20) for f in tracker.follow(Frame(big, i, i / 30))]
    assert (set(before), set(after)) == ({1}, {2})


def test_what_only_the_landmark_network_sees_is_let_go() -> None:
    class Ghost(World):
        def find(self, frame: Frame, known: Sequence[Face] = ()) -> list[Face]:
            return super().find(frame) if frame.index == 0 else []

    world = Ghost()
    told = numbers(world, Tracker(world), [[(300, 200, 100)]] * 60)
    assert told[0] == [1]
    assert told[20] == [1]
    assert told[-1] == []


def test_faces_without_landmarks_are_followed_by_the_detector_alone() -> None:
    class Bare(World):
        def find(self, frame: Frame, known: Sequence[Face] = ()) -> list[Face]:
            return [Face(face.box, face.score) for face in super().find(frame)]

    world = Bare()
    told = numbers(world, Tracker(world), [[(300 + 5 * i, 200, 100)] for i in range(30)])
    assert told == [[1]] * 30


def test_boxes_stay_the_detectors_own() -> None:
    """Between searches the box is as the detector draws it, not as the landmarks lie."""

    class Wide(World):
        def find(self, frame: Frame, known: Sequence[Face] = ()) -> list[Face]:
            margin = np.array([-30, -10, 30, 20], np.float32)
            return [Face(f.box + margin, f.score, f.landmarks) for f in super().find(frame)]

    world = Wide()
    tracker, world.faces = Tracker(world), [(300.0, 200.0, 100.0)]
    boxes = [tracker.follow(frame)[0].box for frame in frames(20)]
    assert world.searches < 20
    assert np.abs(np.array(boxes) - boxes[0]).max() < 0.01


@pytest.mark.parametrize("times", [[0, 0, 0, 0], [5, 1, 2, 1.5], [0, 1e6, 2e6, 3e6]])
def test_times_may_be_anything(times: list[float]) -> None:
    world = World()
    tracker, world.faces = Tracker(world), [(30.0, 20.0, 10.0)]
    for i, time_s in enumerate(times):
        faces = tracker.follow(Frame(PICTURE, i, time_s))
        assert [face.track for face in faces] == [1]


def test_a_tracker_that_goes_on_from_a_state_gives_the_same() -> None:
    world = World()
    moves = [[(250 + 9 * i, 300, 120), (950 - 9 * i, 310, 120)] for i in range(75)]

    def told(stop: int) -> list[tuple[int | None, list[float]]]:
        tracker, out = Tracker(world), []
        for frame, spots in zip(frames(75), moves, strict=True):
            world.faces = list(spots)
            if frame.index == stop:
                tracker = Tracker.from_state(world, json.loads(json.dumps(tracker.state())))
            out += [(face.track, face.box.tolist()) for face in tracker.follow(frame)]
        return out

    whole = told(-1)
    assert all(told(stop) == whole for stop in (0, 1, 20, 33, 37, 41, 74))


# -- real faces ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer()


@pytest.mark.parametrize("name", ["single_face.mp4", "WolfgangLanger_Pexels.mp4"])
def test_a_clip_of_one_person_has_one_track(name: str, shared: Path, analyzer: Analyzer) -> None:
    tracker = Tracker(analyzer)
    for frame in clip(shared / "data/media" / name)[:150]:
        assert [face.track for face in tracker.follow(frame)] == [1]


def test_two_people_who_cross_keep_their_numbers(shared: Path, analyzer: Analyzer) -> None:
    media = shared / "data/media"
    background = np.full((360, 640, 3), 96, np.uint8)
    man = Head(analyzer, [f.rgb for f in clip(media / "single_face.mp4")[:40]], 90)
    woman = Head(analyzer, [f.rgb for f in clip(media / "WolfgangLanger_Pexels.mp4")[:40]], 90)
    paths = [line((120, 180), (520, 180), 40), line((520, 185), (120, 185), 40)]
    found = score(
        Tracker(analyzer).follow, film(background, [man, woman], paths, 30), [man, woman], paths
    )
    assert (found.switches, found.missed, found.numbers) == (0, 0, 2)


def test_five_people_seen_by_a_moving_camera_keep_their_numbers(
    shared: Path, analyzer: Analyzer
) -> None:
    photo = image.read(shared / "data/media/multi_face.jpg")
    tracker = Tracker(analyzer)
    told = []
    for frame in pan(photo, 12):
        faces = tracker.follow(frame)
        told.append([f.track for f in sorted(faces, key=lambda f: float(f.box[0]))])
    assert len(told[0]) == 5
    assert all(names == told[0] for names in told)


def pan(photo: ImageArray, count: int) -> Iterable[Frame]:
    """A camera of 960 x 640 that moves to and fro over a photograph."""
    for i in range(count):
        x, y = (round(s * (1 + np.sin(i / f)) / 2) for s, f in ((40, 5), (27, 3)))
        yield Frame(np.ascontiguousarray(photo[y : y + 640, x : x + 960]), i, i / 30)


def test_where_it_was_followed_the_landmarks_are_as_good_as_found(
    shared: Path, analyzer: Analyzer
) -> None:
    tracker = Tracker(analyzer)
    for frame in clip(shared / "data/media/WolfgangLanger_Pexels.mp4")[:60]:
        (face,) = tracker.follow(frame)
        if frame.index % 15 == 10:
            (found,) = analyzer.find(frame)
            assert face.landmarks is not None
            assert found.landmarks is not None
            off = np.hypot(*(face.landmarks - found.landmarks).T).mean()
            assert off < 0.04 * landmarks.interocular(found.landmarks)


def test_the_examples_of_the_docs_run(portrait: Frame) -> None:
    text = (Path(__file__).parents[2] / "docs" / "tracks.md").read_text(encoding="utf-8")
    first, second = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {}
    exec(first, names)
    out = names["read"]([replace(portrait, index=i, time_s=i / 30) for i in range(3)])
    assert [[face.track for face in faces] for _, faces in out] == [[1]] * 3
    exec(second, names)
    (face,) = names["tracker"].follow(replace(portrait, index=3, time_s=0.1))
    assert face.track == 1


def test_a_size_that_changes_keeps_the_face(astronaut: ImageArray) -> None:
    """A stream that goes on at half the size, and wider: the same face, in the new pixels."""
    import cv2

    tracker = Tracker(Analyzer())
    (before,) = tracker.follow(Frame(astronaut, 0, 0.0))
    scale = np.array([0.75, 0.5], np.float32)
    size = tuple(int(side) for side in scale * [astronaut.shape[1], astronaut.shape[0]])
    small = np.asarray(cv2.resize(astronaut, size, interpolation=cv2.INTER_AREA), np.uint8)
    kept = Tracker.from_state(Analyzer(), json.loads(json.dumps(tracker.state())))
    for each in (tracker, kept):
        (after,) = each.follow(Frame(small, 1, 0.04))
        assert after.track == before.track
        assert np.abs(after.box - before.box * np.tile(scale, 2)).max() < 15
        assert after.landmarks is not None
        assert before.landmarks is not None
        assert np.abs(after.landmarks - before.landmarks * scale).max() < 10
