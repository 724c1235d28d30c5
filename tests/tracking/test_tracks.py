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
    assert world.searches == 22, "one more where the next quarter of a second begins"


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


# -- every bound by its number ---------------------------------------------------------------------


def spot(x: float, y: float, size: float = 100.0) -> FloatArray:
    return np.asarray(SHAPE * size + [x, y], np.float32)


SIDE = float((face_box(spot(0, 0))[2:] - face_box(spot(0, 0))[:2]).max()) / 100
"""Of a face's box, for a face of size 1."""


class Script:
    """Stands in for an ``Analyzer`` that sees just what it is told.

    found : what a search finds. placed : what the landmark network answers for each box in turn,
    with its scores.
    """

    def __init__(self) -> None:
        self.found: list[Face] = []
        self.placed: list[tuple[FloatArray, float]] = []
        self.searches, self.known = 0, list[Face]()
        self.boxes = np.zeros((0, 4), np.float32)

    def find(self, frame: Frame, known: Sequence[Face] = ()) -> list[Face]:
        self.searches, self.known = self.searches + 1, list(known)
        return self.found

    def find_again(self, frame: Frame, boxes: FloatArray, rolls: list[float]) -> Placed:
        self.boxes = boxes
        points, scores = zip(*self.placed, strict=True)
        return Placed(np.array(points), np.array(scores, np.float32))

    def sees(self, *points: FloatArray, score: float = 1.0) -> None:
        """The landmark network alone."""
        self.placed, self.found = [(p, score) for p in points], []

    def shows(self, *points: FloatArray) -> None:
        """Both."""
        self.sees(*points)
        self.found = [Face(face_box(p), 0.9, p) for p in points]


BIG = PICTURE.repeat(10, axis=0).repeat(10, axis=1)


class Film:
    """A tracker and its frames, one after another."""

    def __init__(self, script: Script, *first: FloatArray, fps: float = 30.0) -> None:
        self.tracker, self.script, self.fps = Tracker(script), script, fps
        self.time_s, self.index = -1 / fps, -1
        script.shows(*first)
        assert self.next() == list(range(1, len(first) + 1))

    def next(self, after_s: float | None = None) -> list[int | None]:
        """The numbers in the next frame."""
        self.time_s, self.index = self.time_s + (after_s or 1 / self.fps), self.index + 1
        self.faces = self.tracker.follow(Frame(BIG, self.index, self.time_s))
        return [face.track for face in self.faces]


@pytest.mark.parametrize(("score", "followed"), [(0.5, True), (0.49, False), (1.2, True)])
def test_the_landmark_network_says_when_it_has_lost_a_face(score: float, followed: bool) -> None:
    film = Film(Script(), spot(300, 300))
    film.script.sees(spot(302, 300), score=score)
    assert film.next() == ([1] if followed else [])
    assert film.script.searches == (1 if followed else 2)
    if followed:
        (face,) = film.faces
        assert face.score == min(score, 1.0)
        np.testing.assert_allclose(face.box, face_box(spot(302, 300)), atol=1e-3)
        assert face.landmarks is not None
        np.testing.assert_array_equal(face.landmarks, spot(302, 300))


@pytest.mark.parametrize(
    ("sides", "times", "followed"),
    [
        (0.69, 1.0, True),
        (0.71, 1.0, False),
        (0.0, 1.49, True),
        (0.0, 1.52, False),
        (0.0, 0.68, True),
        (0.0, 0.65, False),
    ],
)
def test_how_far_a_face_goes_and_grows_in_a_frame(
    sides: float, times: float, followed: bool
) -> None:
    for way in (np.array([1, 0]), np.array([0, -1]), np.array([0.6, 0.8])):
        film = Film(Script(), spot(500, 400))
        middle = (face_box(spot(500, 400))[:2] + face_box(spot(500, 400))[2:]) / 2
        grown = (spot(500, 400) - middle + 0.5) * times + middle - 0.5
        film.script.sees(np.asarray(grown + way * sides * SIDE * 100, np.float32))
        assert film.next() == ([1] if followed else [])


@pytest.mark.parametrize(("inside_px", "followed"), [(2.0, True), (0.5, False), (-5.0, False)])
def test_a_face_that_leaves_the_picture_is_followed_to_its_edge(
    inside_px: float, followed: bool
) -> None:
    """On each of the four sides."""
    x0, y0, x1, y1 = face_box(spot(0, 0))
    edges = [
        (float(inside_px - x1), 300.0, 20.0, 0.0),
        (float(1280 - inside_px - x0), 300.0, -20.0, 0.0),
        (600.0, float(inside_px - y1), 0.0, 20.0),
        (600.0, float(720 - inside_px - y0), 0.0, -20.0),
    ]
    for x, y, dx, dy in edges:
        film = Film(Script(), spot(x + dx, y + dy))
        film.script.sees(spot(x, y))
        assert film.next() == ([1] if followed else [])
        if followed:
            assert (film.faces[0].box >= 0).all()
            assert (film.faces[0].box <= [1280, 720, 1280, 720]).all()


def test_where_two_tracks_see_one_face_the_nearer_keeps_it() -> None:
    film = Film(Script(), spot(300, 300), spot(420, 300))
    film.script.sees(spot(375, 300), spot(375, 300))  # 75 from the one, 45 from the other
    assert film.next() == [2]
    film = Film(Script(), spot(300, 300), spot(420, 300))
    film.script.sees(spot(345, 300), spot(345, 300))
    assert film.next() == [1]


def test_where_two_tracks_see_one_face_it_is_of_whom_was_seen_last() -> None:
    film = Film(Script(), spot(300, 300), spot(420, 300))
    film.script.placed = [(spot(300, 300), 0.0), (spot(420, 300), 1.0)]
    film.script.found = []
    assert film.next() == [2]
    film.script.sees(spot(352, 300), spot(352, 300))  # nearer to the one that was missed
    assert film.next() == [2]


def test_a_motion_is_learnt_with_a_time_constant_and_carried_on() -> None:
    """After steps of 10 pixels: what is left of the motion before falls by exp(-dt / 0.12 s)."""
    film = Film(Script(), spot(300, 300))
    speed, kept = 0.0, float(np.exp(-(1 / 30) / 0.12))
    for i in range(1, 8):
        film.script.sees(spot(300 + 10 * i, 300))
        film.next()
        where = (film.script.boxes[0, 0] + film.script.boxes[0, 2]) / 2
        expected = 300 + 10 * (i - 1) + speed / 30
        assert where - _middle_x(spot(0, 0)) == pytest.approx(expected, abs=3 / 16), "on its grid"
        speed = kept * speed + (1 - kept) * 300
    assert speed > 200


def _middle_x(points: FloatArray) -> float:
    return float(points[:, 0].min() + points[:, 0].max()) / 2 + 0.5


def test_a_motion_is_not_learnt_where_faces_touch() -> None:
    """Half of what is seen then may be of the other face."""
    for x, moves in ((370.0, False), (480.0, True)):
        film = Film(Script(), spot(300, 300), spot(x, 300))
        for i in range(1, 4):
            film.script.sees(spot(300 + i, 300), spot(x + i, 300))
            assert film.next() == [1, 2]
        state = film.tracker.state()
        assert (abs(state["tracks"][0]["velocity"][0]) > 1) == moves


@pytest.mark.parametrize(("away_s", "goes_on_s"), [(0.3, 0.3), (0.55, 0.55), (0.8, 0.6)])
def test_an_unseen_face_goes_on_as_it_went_for_a_while(away_s: float, goes_on_s: float) -> None:
    film = Film(Script(), spot(100, 300))
    for i in range(1, 30):
        film.script.sees(spot(100 + 5 * i, 300))
        film.next()
    film.script.sees(spot(0, 0), score=0.0)
    film.next(away_s)
    where = (film.script.boxes[0, 0] + film.script.boxes[0, 2]) / 2 - _middle_x(spot(0, 0))
    assert where == pytest.approx(100 + 5 * 29 + 150 * goes_on_s, abs=0.6)


def searched(film: Film, after_s: float | None = None) -> bool:
    before = film.script.searches
    film.next(after_s)
    return film.script.searches > before


def test_when_the_whole_frame_is_searched() -> None:
    """In each quarter of a second; at once where a face is lost, then in each tenth, while it is.

    Of 0.06, 0.12 ... 0.60 s two begin a quarter; of 0.65, 0.68 ... 0.86 s two begin a tenth.
    """
    one, two = spot(300, 300), spot(800, 300)
    film = Film(Script(), one, two)
    film.script.shows(one, two)
    quarters = [searched(film, 0.06) for _ in range(10)]
    assert quarters == [False] * 4 + [True] + [False] * 3 + [True] + [False]
    film.script.placed = [(one, 1.0), (two, 0.0)]
    film.script.found = [Face(face_box(one), 0.9, one)]
    assert searched(film, 0.02)
    assert [searched(film, 0.03) for _ in range(8)] == [False, False, True] * 2 + [False] * 2
    assert searched(film, -0.07), "time that goes back is no time"


def test_a_search_is_told_whom_one_knows() -> None:
    one, two = spot(300, 300), spot(800, 300)
    film = Film(Script(), one, two)
    assert film.script.known == []
    film.script.shows(one, two)
    while not searched(film):
        pass
    assert [face.track for face in film.script.known] == [1, 2]


@pytest.mark.parametrize("seen_after", [None, 3, 4])
def test_four_searches_that_do_not_see_a_face_end_its_following(seen_after: int | None) -> None:
    film = Film(Script(), spot(300, 300))
    for number in range(1, 5):
        film.script.sees(spot(300, 300))
        if number == seen_after:
            film.script.shows(spot(300, 300))
        assert film.next(0.3) == [1]
    film.script.sees(spot(300, 300))
    assert film.next(0.01) == ([] if seen_after is None else [1])


def drawn(points: FloatArray, dx: float, grown: float) -> Face:
    """A face whose box the detector draws ``dx`` pixels off, and as many times as large."""
    box = face_box(points)
    middle, half = (box[:2] + box[2:]) / 2 + [dx, 0], (box[2:] - box[:2]) / 2 * grown
    return Face(np.concatenate([middle - half, middle + half]).astype(np.float32), 0.9, points)


def test_how_the_detector_draws_is_learnt_by_a_fifth_at_each_sight() -> None:
    film, points = Film(Script(), spot(500, 300)), spot(500, 300)
    width = float(np.diff(face_box(points)[[0, 2]])[0])
    off, grown = 0.0, 1.0
    for dx, times in ((10.0, 1.2), (10.0, 1.2), (-5.0, 0.9)):
        film.script.placed, film.script.found = [(points, 1.0)], [drawn(points, dx, times)]
        assert film.next(0.3) == [1]
        off, grown = off + 0.2 * (dx - off), grown + 0.2 * (times - grown)
        film.script.sees(points)
        assert film.next(0.01) == [1]
        (face,) = film.faces
        assert float(face.box[0] + face.box[2]) / 2 == pytest.approx(
            float(face_box(points)[0] + face_box(points)[2]) / 2 + off, abs=0.02
        )
        assert float(face.box[2] - face.box[0]) == pytest.approx(width * grown, abs=0.02)


def test_a_box_that_the_picture_cuts_off_teaches_nothing() -> None:
    """Nobody knows how the detector would have drawn it."""
    for x, learnt in ((500.0, True), (float(-face_box(spot(0, 0))[0]) - 1, False)):
        points = spot(x, 300)
        film, cut = Film(Script(), points), drawn(points, -8, 1.1)
        cut = replace(cut, box=cut.box.clip(0))
        film.script.placed, film.script.found = [(points, 1.0)], [cut]
        film.next(0.3)
        film.script.sees(points)
        film.next(0.01)
        (track,) = film.tracker.state()["tracks"]
        fit = track["fit"]
        assert (fit is not None and abs(fit[0]) > 0.005) == learnt


@pytest.mark.parametrize(
    ("away_s", "sides", "same"),
    [
        (0.1, 0.94, True),  # 0.8 sides, and 1.5 for each second
        (0.1, 0.96, False),
        (0.4, 1.38, True),
        (0.4, 1.42, False),
        (0.98, 2.25, True),
        (0.98, 2.29, False),
    ],
)
def test_how_far_off_a_lost_face_may_be_found_again(
    away_s: float, sides: float, same: bool
) -> None:
    film = Film(Script(), spot(300, 300))
    film.script.sees(spot(0, 0), score=0.0)
    for _ in range(2):
        film.next(away_s / 4)
    film.script.shows(spot(300 + sides * SIDE * 100, 300))
    film.script.placed = [(spot(0, 0), 0.0)]
    assert film.next(away_s / 2) == [1 if same else 2]


@pytest.mark.parametrize(("sides_per_s", "same"), [(14.0, True), (18.0, False)])
def test_a_lost_face_may_have_turned_back(sides_per_s: float, same: bool) -> None:
    """Where it was last costs .55 of how far it was expected to go: of 1.4 sides, and of 1.8.

    After a tenth of a second it is looked for up to .95 sides off.
    """
    step = sides_per_s * SIDE * 30 / 30
    film = Film(Script(), spot(100, 300, 30))
    for i in range(1, 27):
        film.script.sees(spot(100 + step * i, 300, 30))
        assert film.next() == [1]
    last = spot(100 + step * 26, 300, 30)
    film.script.sees(spot(0, 0), score=0.0)
    film.script.found = [Face(face_box(last), 0.9, last)]
    assert film.next(0.1) == [1 if same else 2]


def test_a_face_lies_where_the_detector_draws_it() -> None:
    """Near the edge of the picture, too, as long as nothing is cut off."""
    for dx in (12.0, -float(face_box(spot(100, 300))[0]) + 0.6):
        wide = drawn(spot(100, 300), dx, 1.0)
        script = Script()
        script.found = [wide]
        tracker = Tracker(script)
        tracker.follow(Frame(BIG, 0, 0.0))
        (track,) = tracker.state()["tracks"]
        np.testing.assert_allclose(track["box"], wide.box, atol=0.01)
        assert track["fit"][0] == pytest.approx(dx / (SIDE * 100), abs=1e-3)


def test_farther_than_so_many_sides_it_is_another() -> None:
    """Behind somebody it is remembered for two seconds, but found no farther than 2.5 sides off."""
    for sides, same in ((2.45, True), (2.55, False)):
        other = spot(500, 300)
        film = Film(Script(), other, spot(430, 300))
        film.script.placed = [(other, 1.0), (spot(0, 0), 0.0)]
        film.script.found = [Face(face_box(other), 0.9, other)]
        for _ in range(5):
            assert film.next(0.25) == [1]
        there = spot(430 - sides * SIDE * 100, 300)
        film.script.found = [Face(face_box(p), 0.9, p) for p in (other, there)]
        assert film.next(0.25) == [1, 2 if same else 3]


@pytest.mark.parametrize(
    ("times", "same"), [(3.9, True), (4.1, False), (0.26, True), (0.24, False)]
)
def test_how_much_a_lost_face_may_have_grown(times: float, same: bool) -> None:
    """Half of what is allowed goes for each doubling, whichever way."""
    film = Film(Script(), spot(600, 350, 60))
    film.script.sees(spot(0, 0), score=0.0)
    film.next()
    box = face_box(spot(600, 350, 60))
    middle = (box[:2] + box[2:]) / 2 - 0.5
    grown = np.asarray((spot(600, 350, 60) - middle) * times + middle, np.float32)
    film.script.found = [Face(face_box(grown), 0.9, grown)]
    assert film.next() == [1 if same else 2]


@pytest.mark.parametrize(
    ("behind", "away_s", "same"),
    [
        (False, 0.98, True),
        (False, 1.03, False),
        (True, 1.03, True),
        (True, 1.98, True),
        (True, 2.03, False),
    ],
)
def test_how_long_a_face_is_remembered(behind: bool, away_s: float, same: bool) -> None:
    """A second; two where it went behind another."""
    beside = spot(380 if behind else 900, 300)
    film = Film(Script(), beside, spot(300, 300))
    film.script.placed = [(beside, 1.0), (spot(0, 0), 0.0)]
    film.script.found = [Face(face_box(beside), 0.9, beside)]
    steps = 20
    for _ in range(steps):
        assert film.next(away_s / steps) == [1]
        film.script.placed = film.script.placed[: len(film.tracker.state()["tracks"])]
    back = spot(300, 300)
    film.script.found = [Face(face_box(p), 0.9, p) for p in (beside, back)]
    assert film.next(0.001 + 0.3) == [1, 2 if same else 3]


def test_where_frames_are_rare_a_face_is_remembered_for_two_of_them() -> None:
    """However many seconds that is."""
    for missed, same in ((1, True), (2, True), (3, False)):
        film = Film(Script(), spot(300, 300))
        for _ in range(missed):
            film.script.sees(spot(0, 0), score=0.0)
            if not film.tracker.state()["tracks"]:
                film.script.placed = []
            assert film.next(20.0) == []
        film.script.shows(spot(300, 300))
        film.script.placed = [(spot(0, 0), 0.0)]
        assert film.next(20.0) == [1 if same else 2]


def test_pixels_of_another_size_are_the_same_places() -> None:
    """What is known is carried over into them, motion and all."""
    film = Film(Script(), spot(300, 300))
    for i in range(1, 5):
        film.script.sees(spot(300 + 10 * i, 300))
        film.next()
    before = film.tracker.state()["tracks"][0]
    half = PICTURE.repeat(5, axis=0).repeat(10, axis=1)
    now = spot(350, 300)
    squeezed = np.asarray((now + 0.5) * [1, 0.5] - 0.5, np.float32)
    film.script.sees(squeezed)
    film.tracker.follow(Frame(half, 5, film.time_s + 1 / 30))
    was = np.array(before["points"]) + np.array(before["velocity"]) / 30
    expected = (was + 0.5) * [1, 0.5] - 0.5
    got = film.script.boxes[0]
    on_grid = 3 / 8  # middle and half a side go by steps of 1/2 and 1/4 pixel
    assert got[:2] == pytest.approx(expected.min(axis=0) + 0.5, abs=on_grid)
    assert got[2:] == pytest.approx(expected.max(axis=0) + 0.5, abs=on_grid)
    assert film.tracker.state()["size"] == (1280, 360)


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
