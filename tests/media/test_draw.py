"""Annotated pictures: what is drawn, where, and what is never covered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from mien import labels
from mien.analysis.pipeline import Analyzer, Settings
from mien.expression.recognize import load_model
from mien.face import Emotions, Face, Frame, ImageArray, Intensity
from mien.labels import LabelSet, label_set
from mien.media import draw
from mien.media.draw import annotate

GROUND = (90, 140, 60)  # no colour of the palette, nor a gray
Box = tuple[float, float, float, float]


def frame(width: int = 640, height: int = 480) -> Frame:
    return Frame(np.full((height, width, 3), GROUND, np.uint8))


def face(
    box: Box,
    top: str = "happiness",
    probability: float = 0.9,
    names: LabelSet | None = None,
    uncertain: bool = False,
) -> Face:
    names = names or label_set("mien8")
    probs = np.full(len(names), (1 - probability) / (len(names) - 1), np.float32)
    probs[names.index(top)] = probability
    return Face(
        np.array(box, np.float32), 0.9, emotions=Emotions(names, probs), uncertain=uncertain
    )


def changed(picture: ImageArray, before: Frame) -> npt.NDArray[np.bool_]:
    return np.asarray((picture != before.rgb).any(axis=2), np.bool_)


def is_color(picture: ImageArray, color: tuple[int, int, int]) -> npt.NDArray[np.bool_]:
    """Where a picture has a colour, give or take what blending rounds."""
    off = np.abs(picture.astype(int) - color).max(axis=2)
    return np.asarray(off <= 2, np.bool_)


def around(box: Box, shape: tuple[int, ...], margin: int = 4) -> npt.NDArray[np.bool_]:
    """The pixels within ``margin`` of a box's outline."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    x0, y0, x1, y1 = box
    near = (x >= x0 - margin) & (x < x1 + margin) & (y >= y0 - margin) & (y < y1 + margin)
    deep = (x >= x0 + margin) & (x < x1 - margin) & (y >= y0 + margin) & (y < y1 - margin)
    return np.asarray(near & ~deep, np.bool_)


def within(box: Box, picture: npt.NDArray[np.bool_], margin: int = 6) -> npt.NDArray[np.bool_]:
    """The part of a mask inside a box, off its outline."""
    x0, y0, x1, y1 = (int(v) for v in box)
    return picture[y0 + margin : y1 - margin, x0 + margin : x1 - margin]


# -- what is drawn ------------------------------------------------------------------------------


def test_no_faces_is_the_picture_itself(portrait: Frame) -> None:
    np.testing.assert_array_equal(annotate(portrait, []), portrait.rgb)


@pytest.mark.parametrize(("width", "height"), [(640, 480), (333, 777), (64, 64), (3000, 40)])
def test_the_result_is_as_large_and_the_input_stays(width: int, height: int) -> None:
    given = frame(width, height)
    picture = annotate(given, [face((10, 10, 30, 30))])
    assert picture.shape == given.rgb.shape
    assert picture.dtype == np.uint8
    assert (given.rgb == GROUND).all()
    assert changed(picture, given).any()


@pytest.mark.parametrize("label", labels.CANONICAL)
def test_every_expression_has_its_colour_on_the_box(label: str) -> None:
    box = (200, 150, 320, 300)
    given = frame()
    picture = annotate(given, [face(box, label)])
    outline = is_color(picture, draw.COLORS[label]) & around(box, picture.shape)
    assert outline.sum() > 2 * (120 + 150)


def test_the_palette_names_every_label_and_repeats_no_colour() -> None:
    assert set(draw.COLORS) == set(labels.CANONICAL)
    assert len(set(draw.COLORS.values())) == len(draw.COLORS)


def test_faces_are_never_covered() -> None:
    boxes: list[Box] = [(60, 60, 160, 180), (200, 80, 300, 200), (340, 60, 440, 190)]
    given = frame()
    marks = changed(annotate(given, [face(box) for box in boxes]), given)
    for box in boxes:
        assert not within(box, marks).any()
        assert marks[around(box, given.rgb.shape)].any()


def test_one_face_with_room_has_a_bar_for_every_label() -> None:
    picture = annotate(frame(), [face((100, 100, 200, 220), probability=0.3)])
    for label in labels.CANONICAL:
        assert is_color(picture, draw.COLORS[label])[100:, 205:].any()


def bar(picture: ImageArray, label: str) -> int:
    """The length in pixels of a label's bar right of x = 205."""
    rows = is_color(picture, draw.COLORS[label])[100:, 205:].sum(axis=1)
    return int(rows.max())


def test_a_bar_is_as_long_as_its_probability() -> None:
    lengths = [
        bar(annotate(frame(), [face((100, 100, 200, 220), "anger", p)]), "anger")
        for p in (0.2, 0.4, 0.8)
    ]
    assert lengths[1] == pytest.approx(2 * lengths[0], abs=2)
    assert lengths[2] == pytest.approx(4 * lengths[0], abs=4)


def test_a_crowd_has_three_bars_each_and_none_where_there_is_no_room() -> None:
    boxes: list[Box] = [
        (x, y, x + 60, y + 70) for y in (50, 190, 330) for x in (20, 120, 220, 320, 420)
    ]
    given = frame(520, 420)
    picture = annotate(given, [face(box, "anger", 0.5) for box in boxes])
    marks = changed(picture, given)
    for box in boxes:
        assert not within(box, marks).any()
        assert (is_color(picture, draw.COLORS["anger"]) & around(box, picture.shape)).any()


def test_an_uncertain_face_has_a_thinner_box() -> None:
    box = (200, 150, 320, 300)
    sizes = []
    for uncertain in (False, True):
        picture = annotate(frame(), [face(box, "fear", uncertain=uncertain)])
        sizes.append((is_color(picture, draw.COLORS["fear"]) & around(box, picture.shape)).sum())
    assert sizes[1] < 0.7 * sizes[0]


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts drawn, in order."""
    from PIL.ImageDraw import ImageDraw

    said: list[str] = []
    write = ImageDraw.text

    def listening(self: ImageDraw, at: tuple[float, float], text: str, **how: object) -> None:
        said.append(text)
        write(self, at, text, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(ImageDraw, "text", listening)
    return said


@pytest.mark.parametrize(
    ("probability", "uncertain", "name"),
    [
        (0.876, False, "fear 88%"),
        (0.4, True, "fear? 40%"),
        (0.994, False, "fear 99%"),
        (0.9999, False, "fear >99%"),
        (1.0, False, "fear >99%"),
    ],
)
def test_the_name_says_label_doubt_and_percent(
    words: list[str], probability: float, uncertain: bool, name: str
) -> None:
    annotate(frame(), [face((200, 150, 320, 300), "fear", probability, uncertain=uncertain)])
    assert words[-1] == name


def test_the_three_likeliest_are_named_where_not_all_have_room(words: list[str]) -> None:
    annotate(frame(200, 400), [face((40, 60, 160, 200), "anger", 0.6)])
    assert words == ["probability", "anger", "neutral", "happiness", "anger 60%"]


def test_faces_have_the_numbers_of_their_records(words: list[str]) -> None:
    """Their place in a still with several, from 0; their track in a recording, of one face too."""
    right, left = face((400, 150, 500, 270), "fear", 0.75), face((50, 150, 150, 270), "anger", 0.5)
    annotate(frame(), [right, left])
    assert words[-2:] == ["#0 fear 75%", "#1 anger 50%"]
    annotate(frame(), [replace(right, track=7)])
    assert words[-1] == "#7 fear 75%"


def test_it_says_which_number_is_a_probability_and_which_an_intensity(words: list[str]) -> None:
    names = label_set("mien8")
    values = Intensity(names, np.linspace(0, 0.7, 8, dtype=np.float32))
    faces = [
        replace(face(box, label, 0.75), intensity=values)
        for box, label in (((400, 150, 500, 270), "fear"), ((50, 150, 150, 270), "anger"))
    ]
    annotate(frame(), faces, intensity=True)
    assert [word for word in words if word not in names.labels] == [
        "#0 fear, intensity 0.60",
        "#1 anger, intensity 0.40",
        "intensity",
        "intensity",
        "#0 fear, probability 75%",
        "#1 anger, probability 75%",
    ]
    words.clear()
    annotate(frame(), faces)
    assert "intensity" not in " ".join(words)
    assert words.count("probability") == 2


# -- odd places ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "box",
    [
        (0, 0, 60, 60),
        (290, 0, 350, 60),
        (580, 0, 640, 60),
        (0, 200, 60, 260),
        (580, 200, 640, 260),
        (0, 420, 60, 480),
        (290, 420, 350, 480),
        (580, 420, 640, 480),
        (0, 0, 640, 480),
        (0, 0, 1, 1),
        (639, 479, 640, 480),
        (10.5, 10.5, 10.7, 10.7),
        (-30, -30, 30, 30),
        (600, 460, 700, 500),
        (0, 100, 640, 101),
    ],
)
@pytest.mark.parametrize("uncertain", [False, True])
def test_faces_at_every_border(box: Box, uncertain: bool) -> None:
    given = frame()
    picture = annotate(given, [face(box, "sadness", uncertain=uncertain)])
    marks = is_color(picture, draw.COLORS["sadness"])
    assert (marks & around(box, picture.shape)).any()


@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 2), (1, 500), (500, 1), (12, 12)])
@pytest.mark.parametrize("count", [1, 3])
def test_tiny_pictures(width: int, height: int, count: int) -> None:
    given = frame(width, height)
    picture = annotate(given, [face((0, 0, width, height))] * count)
    assert picture.shape == given.rgb.shape


def test_thirty_faces_and_all_in_one_place() -> None:
    draws = np.random.default_rng(0)
    corners = draws.uniform(0, 400, (30, 2))
    boxes: list[Box] = [(x, y, x + 50, y + 60) for x, y in corners.tolist()]
    given = frame()
    picture = annotate(given, [face(box, "disgust") for box in boxes])
    for box in boxes:
        assert (changed(picture, given) & around(box, picture.shape)).any()
    assert annotate(given, [face((100, 100, 150, 160))] * 30).shape == given.rgb.shape


@pytest.mark.parametrize("name", labels.LABEL_SETS)
def test_other_label_sets(name: str) -> None:
    names = label_set(name)
    picture = annotate(frame(), [face((200, 150, 320, 300), "anger", 0.9, names)])
    assert is_color(picture, draw.COLORS["anger"]).any()


@pytest.mark.parametrize("some", [["happy", "sad"], ["angry", "contempt", "neutral"]])
def test_label_sets_of_one_s_own(some: Sequence[str]) -> None:
    names = labels.subset(some)
    picture = annotate(frame(), [face((200, 150, 320, 300), names.labels[0], 0.9, names)])
    assert is_color(picture, draw.COLORS[names.labels[0]]).any()


def test_a_real_face_stays_visible(portrait: Frame) -> None:
    analyzer = Analyzer(Settings(detector="haar"), recognizer=load_model())
    faces = analyzer.analyze_frame(portrait)
    picture = annotate(portrait, faces)
    x0, y0, x1, y1 = (float(v) for v in faces[0].box)
    assert not within((x0, y0, x1, y1), changed(picture, portrait)).any()
    assert is_color(picture, draw.COLORS["happiness"]).sum() > 500


# -- landmarks ----------------------------------------------------------------------------------


def pointed(width: float, x: float = 250, y: float = 150) -> Face:
    """A face whose sixty-eight points lie on a grid ``width`` wide inside its box."""
    column, row = np.arange(68) % 17, np.arange(68) // 17
    points = np.stack([x + column * width / 16, y + row * width / 4], axis=1).astype(np.float32)
    return replace(face((x - 5, y - 5, x + width + 5, y + width + 5)), landmarks=points)


def test_landmarks_come_when_asked_for() -> None:
    given, one = frame(), pointed(160)
    np.testing.assert_array_equal(
        annotate(given, [one]), annotate(given, [face((245, 145, 415, 315))])
    )
    assert one.landmarks is not None
    picture = annotate(given, [one], landmarks=True)
    for x, y in np.rint(one.landmarks).astype(int):
        assert (picture[y, x] > 220).all()


@pytest.mark.parametrize("level", [0, 128, 255])
def test_landmarks_show_on_any_ground(level: int) -> None:
    given = Frame(np.full((480, 640, 3), level, np.uint8))
    one = pointed(160)
    picture = annotate(given, [one], landmarks=True)
    assert one.landmarks is not None
    for x, y in np.rint(one.landmarks).astype(int):
        near = picture[y - 3 : y + 4, x - 3 : x + 4].mean(axis=2)
        assert np.ptp(near) > 90


def test_a_point_is_drawn_between_pixels() -> None:
    """The middle of the light in x, over one column of points, is where the points are."""
    one = pointed(240, x=200.4)
    assert one.landmarks is not None
    before = frame()
    picture = draw._with_landmarks(before.rgb, [one])
    x = float(one.landmarks[17 + 8, 0])
    y = round(float(one.landmarks[17 + 8, 1]))
    columns = np.arange(round(x) - 3, round(x) + 4)
    light = picture[y - 3 : y - 1, columns].astype(float).sum(axis=(0, 2))
    light = np.abs(light - light[0])
    assert (light * columns).sum() / light.sum() == pytest.approx(x, abs=0.25)


def test_a_small_face_keeps_its_look_under_its_lines() -> None:
    given, one = frame(), pointed(30)
    picture = annotate(given, [one], landmarks=True)
    inside = picture[151:180, 251:280]
    assert (inside.min(axis=2) >= np.array(GROUND).min() - 2).all()  # no dark edges
    assert changed(picture, given)[151:180, 251:280].any()


@pytest.mark.parametrize(
    "points",
    [
        np.full((68, 2), np.nan),
        np.full((68, 2), np.inf),
        np.full((68, 2), 1e30),
        np.full((68, 2), -4000.0),
        np.full((68, 2), 300.0),
        np.where(np.arange(68)[:, None] % 9 == 0, np.nan, 250.0 + np.arange(136).reshape(68, 2)),
    ],
    ids=["nan", "inf", "huge", "outside", "one place", "some nan"],
)
def test_strange_landmarks_are_no_crash(points: npt.NDArray[np.float64]) -> None:
    given = frame()
    one = replace(face((245, 145, 415, 315)), landmarks=points.astype(np.float32))
    assert annotate(given, [one, face((10, 10, 60, 60))], landmarks=True).shape == given.rgb.shape
    assert (given.rgb == GROUND).all()
