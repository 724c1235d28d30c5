"""Boxes, bars and landmarks over a picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from ..face import Emotions, Face, FloatArray, Frame, ImageArray

if TYPE_CHECKING:
    from PIL import ImageDraw, ImageFont

    _Font = ImageFont.ImageFont | ImageFont.FreeTypeFont

# Okabe and Ito's palette: told apart by people with any colour vision.
COLORS = {
    "neutral": (187, 187, 187),
    "happiness": (240, 228, 66),
    "surprise": (230, 159, 0),
    "sadness": (86, 180, 233),
    "anger": (213, 94, 0),
    "disgust": (0, 158, 115),
    "fear": (204, 121, 167),
    "contempt": (110, 150, 220),
}
_OTHER = (255, 255, 255)
_PANEL = (20, 22, 26, 200)
_EDGE = (20, 22, 26, 150)
_WHITE = (255, 255, 255, 255)
_TRACK = (74, 78, 86, 220)
_FAINT = (180, 184, 192, 255)
_INK, _LIGHT = (20, 22, 26), (255, 255, 255)
_LINES = (  # first and last point of each line, and whether it closes
    *((0, 16, False), (17, 21, False), (22, 26, False), (27, 30, False), (31, 35, False)),
    *((36, 41, True), (42, 47, True), (48, 59, True), (60, 67, True)),
)
_SMALL, _LARGE = 60, 900  # pixels across a face
_SUBPIXEL = 4  # bits of a coordinate behind the point
_FEW = 3
_LEAST_UNIT = 11  # pixels; smaller letters cannot be read


def annotate(
    frame: Frame, faces: Sequence[Face], landmarks: bool = False, intensity: bool = False
) -> ImageArray:
    """The picture with a box and a name on every face, and bars for what else it may show.

    All labels beside the faces where every face has room for that, else the three likeliest near
    each that has room: bars never cover a face, a name or one another. An uncertain face has a
    thin box and a question mark. With ``landmarks`` the points of faces that have them come, too.
    With ``intensity`` the bars say how strongly each label shows, and the picture's upper left
    corner names each face's expression and its strength, as figure 13 of Xu et al. (2019). Bars
    have a heading that says what they are of. Faces have the numbers that records give them: their
    track, or of several in a still their place, from 0.
    """
    from PIL import Image, ImageDraw, ImageFont

    rgb = _with_landmarks(frame.rgb, faces) if landmarks else frame.rgb
    picture = Image.fromarray(rgb)
    layer = Image.new("RGBA", picture.size)
    unit = _unit(faces, picture.size)
    font = ImageFont.load_default(unit)
    pen = ImageDraw.Draw(layer)
    page = _Page(picture.size, [face.box for face in faces])
    numbers = _numbers(faces)
    names = [
        _name(page, _title(face, number, spelt=intensity), face, unit, font)
        for face, number in zip(faces, numbers, strict=True)
    ]
    for face in faces:
        _box(pen, face, unit)
    told = [_strengths(face) if intensity else _emotions(face).as_dict() for face in faces]
    if intensity and faces:
        _corner(page, faces, numbers, unit, font).draw(pen, unit, font)
    heading = "intensity" if intensity else "probability"
    for panel in _beside(page, faces, told, unit) or _near(page, faces, told, unit):
        _bars(pen, panel, heading, unit, font)
    for name in names:  # last, so that no box covers one
        name.draw(pen, unit, font)
    drawn = layer.getbbox()
    if drawn:  # only that part is blended: most of a large picture stays as it is
        part = layer.crop(drawn)
        picture.paste(part, drawn, part)
    return np.asarray(picture)


def _numbers(faces: Sequence[Face]) -> list[str]:
    """What each face is called on the picture; nothing of the only one in a still."""
    if len(faces) == 1 and faces[0].track is None:
        return [""]
    return [f"#{i if face.track is None else face.track} " for i, face in enumerate(faces)]


def _unit(faces: Sequence[Face], size: tuple[int, int]) -> int:
    """The height of letters in pixels: for the picture, and for faces if they are small in it."""
    of_picture = min(size) / 36
    widths = [float(face.box[2] - face.box[0]) for face in faces]
    of_faces = float(np.median(widths)) / 5 if widths else of_picture
    return max(_LEAST_UNIT, round(min(of_picture, of_faces)))


def _emotions(face: Face) -> Emotions:
    assert face.emotions is not None, "annotate() takes recognised faces"
    return face.emotions


def _strengths(face: Face) -> dict[str, float]:
    assert face.intensity is not None, "intensities are drawn of faces that have them"
    return face.intensity.as_dict()


def _color(label: str) -> tuple[int, int, int]:
    return COLORS.get(label, _OTHER)


@dataclass(slots=True)
class _Page:
    """A picture, width and height in pixels, and the boxes on it that nothing may cover."""

    size: tuple[int, int]
    taken: list[FloatArray]

    def take(self, places: Iterable[tuple[float, float]], width: float, height: float) -> bool:
        """Whether one of these upper left corners has room; the first such is taken from now on."""
        for x, y in places:
            box = np.array([x, y, x + width, y + height], np.float32)
            if self._has_room(box):
                self.taken.append(box)
                return True
        return False

    def _has_room(self, box: FloatArray) -> bool:
        others = np.reshape(self.taken, (-1, 4))
        clear = ((box[:2] >= others[:, 2:]) | (others[:, :2] >= box[2:])).any(axis=1)
        return bool(clear.all() and (box[:2] >= 0).all() and (box[2:] <= self.size).all())


def _box(pen: ImageDraw.ImageDraw, face: Face, unit: int) -> None:
    """The face's box, a dark line around it so that it shows on any ground."""
    x0, y0 = (float(v) for v in face.box[:2])
    x1, y1 = (max(a, float(b) - 1) for a, b in zip((x0, y0), face.box[2:], strict=True))
    width = max(1, unit // 10) if face.uncertain else max(2, unit // 5)
    edge = (x0 - 1, y0 - 1, x1 + 1, y1 + 1)
    pen.rounded_rectangle(edge, unit // 2 + 1, outline=_EDGE, width=width + 2)
    color = _color(_emotions(face).top[0])
    pen.rounded_rectangle((x0, y0, x1, y1), unit // 2, outline=color, width=width)


def _with_landmarks(rgb: ImageArray, faces: Sequence[Face]) -> ImageArray:
    """A copy with the points of every face, thin lines along brows, eyes, nose, lips and jaw.

    Both have a dark edge, so that they show on any ground, and lines are half transparent. A small
    face has lines alone: its points would run into one another.
    """
    all_points = [face.landmarks for face in faces if face.landmarks is not None]
    placed = [points for points in all_points if np.isfinite(points).all()]
    lined = rgb.copy()
    for points in placed:
        _lines(lined, points)
    drawn = np.asarray(cv2.addWeighted(lined, 0.6, rgb, 0.4, 0), np.uint8)
    for points in placed:
        _dots(drawn, points)
    return drawn


def _lines(picture: ImageArray, points: FloatArray) -> None:
    width = max(1, round(_across(points) / 300))
    edged = _across(points) >= _SMALL
    for color, thickness in ((_INK, width + 2), (_LIGHT, width)) if edged else ((_LIGHT, 1),):
        for first, last, closed in _LINES:
            line = _fixed(points[first : last + 1], picture.shape)
            cv2.polylines(picture, [line], closed, color, thickness, cv2.LINE_AA, _SUBPIXEL)


def _dots(picture: ImageArray, points: FloatArray) -> None:
    if _across(points) < _SMALL:
        return
    size = _across(points) / 150
    for color, radius in ((_INK, size + 1), (_LIGHT, size)):
        fixed = round(radius * 2**_SUBPIXEL)
        for x, y in _fixed(points, picture.shape).tolist():
            cv2.circle(picture, (x, y), fixed, color, cv2.FILLED, cv2.LINE_AA, _SUBPIXEL)


def _across(points: FloatArray) -> float:
    """How wide a face is by its points, in pixels, up to what is worth drawing larger for."""
    return min(float(np.ptp(points[:, 0])), _LARGE)


def _fixed(points: FloatArray, shape: tuple[int, ...]) -> npt.NDArray[np.int32]:
    """Points as OpenCV's fixed-point numbers; what lies far outside the picture stays outside."""
    far = 2 * max(shape)
    return np.asarray(np.rint(points.clip(-far, far) * 2**_SUBPIXEL), np.int32)


@dataclass(frozen=True, slots=True)
class _Name:
    """The likeliest label at a place: upper left corner and width in pixels."""

    x: float
    y: float
    width: float
    text: str
    color: tuple[int, int, int]

    def draw(self, pen: ImageDraw.ImageDraw, unit: int, font: _Font) -> None:
        pad = unit // 3
        box = (self.x, self.y, self.x + self.width, self.y + unit + 2 * pad)
        pen.rounded_rectangle(box, pad, fill=_PANEL)
        middle = (self.x + pad, self.y + pad + unit / 2)
        pen.text(middle, self.text, fill=(*self.color, 255), font=font, anchor="lm")


def _title(face: Face, number: str, spelt: bool) -> str:
    """What the face is called and shows; ``spelt``: and that the percentage is a probability."""
    label, probability = _emotions(face).top
    percent = f"{probability:.0%}" if probability < 0.995 else ">99%"  # it is never sure
    what = ", probability " if spelt else " "
    return f"{number}{label}{'?' if face.uncertain else ''}{what}{percent}"


def _name(page: _Page, text: str, face: Face, unit: int, font: _Font) -> _Name:
    """The name over the face or under it, clear of others; else in the box's upper edge."""
    pad, gap = unit // 3, unit // 4
    width, height = font.getlength(text) + 2 * pad, unit + 2 * pad
    x0, y0, x1, y1 = (float(v) for v in face.box)
    left = min(max(0.0, x0), max(0.0, page.size[0] - width))
    places = [(x, y) for y in (y0 - height - gap, y1 + gap) for x in (left, x1 - width)]
    if page.take(places, width, height):
        left, top = (float(v) for v in page.taken[-1][:2])
    else:
        top = min(max(0.0, y0) + gap, max(0.0, page.size[1] - height))
        page.taken.append(np.array([left, top, left + width, top + height], np.float32))
    return _Name(left, top, width, text, _color(_emotions(face).top[0]))


@dataclass(frozen=True, slots=True)
class _Corner:
    """Lines in the upper left corner, each with its colour, and how wide the longest is."""

    lines: list[tuple[str, tuple[int, int, int]]]
    width: float

    def draw(self, pen: ImageDraw.ImageDraw, unit: int, font: _Font) -> None:
        pad = unit // 3
        height = len(self.lines) * 1.4 * unit + 2 * pad
        pen.rounded_rectangle((0, 0, self.width + 2 * pad, height), pad, fill=_PANEL)
        for i, (text, color) in enumerate(self.lines):
            middle = (pad, pad + (i + 0.5) * 1.4 * unit)
            pen.text(middle, text, fill=(*color, 255), font=font, anchor="lm")


def _corner(
    page: _Page, faces: Sequence[Face], numbers: Sequence[str], unit: int, font: _Font
) -> _Corner:
    """The likeliest expression of each face and how strongly it shows, in the records' order."""
    lines = []
    for face, number in zip(faces, numbers, strict=True):
        label = _emotions(face).top[0]
        lines.append((f"{number}{label}, intensity {_strengths(face)[label]:.2f}", _color(label)))
    width = max(font.getlength(text) for text, _ in lines)
    corner = _Corner(lines, width)
    box = (0, 0, width + 2 * (unit // 3), len(lines) * 1.4 * unit + 2 * (unit // 3))
    page.taken.append(np.array(box, np.float32))
    return corner


@dataclass(frozen=True, slots=True)
class _Panel:
    """Bars at a place: its box, (label, value in [0, 1]) rows."""

    box: FloatArray
    rows: list[tuple[str, float]]


def _height(rows: int, unit: int) -> float:
    """Of a panel with so many bars, its heading above them."""
    return (rows + 1.6) * 1.3 * unit


def _beside(
    page: _Page, faces: Sequence[Face], told: Sequence[dict[str, float]], unit: int
) -> list[_Panel]:
    """A panel with every label right or left of each face; [] where one lacks room."""
    before, panels = list(page.taken), []
    for face, values in zip(faces, told, strict=True):
        rows = list(values.items())
        width, height = 11.0 * unit, _height(len(rows), unit)
        if not page.take(_sides(face, width, height, unit / 2), width, height):
            page.taken = before
            return []
        panels.append(_Panel(page.taken[-1], rows))
    return panels


def _near(
    page: _Page, faces: Sequence[Face], told: Sequence[dict[str, float]], unit: int
) -> list[_Panel]:
    """The three likeliest of each face under, beside or over it; nothing where there is no room."""
    panels = []
    for face, values in zip(faces, told, strict=True):
        rows = sorted(values.items(), key=lambda row: -row[1])[:_FEW]
        width, height, gap = 9.0 * unit, _height(len(rows), unit), unit / 4
        x0, x1, y1 = float(face.box[0]), float(face.box[2]), float(face.box[3])
        under = [(x, y1 + gap) for x in (x0, (x0 + x1 - width) / 2, x1 - width)]
        if page.take((*under, *_sides(face, width, height, gap)), width, height):
            panels.append(_Panel(page.taken[-1], rows))
    return panels


def _sides(face: Face, width: float, height: float, gap: float) -> Iterator[tuple[float, float]]:
    """Right and left of a face, its upper edge or its lower one in line with the face's."""
    x0, y0, x1, y1 = (float(v) for v in face.box)
    for y in (y0, y1 - height):
        yield x1 + gap, y
        yield x0 - gap - width, y


def _bars(pen: ImageDraw.ImageDraw, panel: _Panel, heading: str, unit: int, font: _Font) -> None:
    x0, y0, x1, y1 = (float(v) for v in panel.box)
    pen.rounded_rectangle((x0, y0, x1, y1), unit // 3, fill=_PANEL)
    left, right = x0 + 5.6 * unit, x1 - 0.5 * unit
    pen.text((right, y0 + 0.8 * 1.3 * unit), heading, fill=_FAINT, font=font, anchor="rm")
    for i, (label, value) in enumerate(panel.rows, 1):
        middle = y0 + (i + 0.8) * 1.3 * unit
        pen.text((left - 0.4 * unit, middle), label, fill=_WHITE, font=font, anchor="rm")
        top, bottom = middle - 0.3 * unit, middle + 0.3 * unit
        pen.rectangle((left, top, right, bottom), fill=_TRACK)
        end = left + max(1.0, (right - left) * value)
        pen.rectangle((left, top, end, bottom), fill=(*_color(label), 255))
