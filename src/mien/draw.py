"""Boxes and bars over a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .face import Face, FloatArray, Frame, ImageArray

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
_WHITE = (255, 255, 255, 255)
_FEW = 3
_TRACK = (74, 78, 86, 220)


def annotate(frame: Frame, faces: list[Face]) -> ImageArray:
    """The picture with a box and a name on every face, and bars for what else it may show.

    All labels beside the faces where every face has room for that, else the three likeliest
    under each. An uncertain face has a thin box and a question mark.
    """
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.fromarray(frame.rgb).convert("RGBA")
    layer = Image.new("RGBA", picture.size)
    unit = max(11, round(min(picture.size) / 36))
    font = ImageFont.load_default(unit)
    pen = ImageDraw.Draw(layer)
    panels = _beside(faces, picture.size, unit) or _under(faces, picture.size, unit)
    for face in faces:
        _box(pen, face, unit)
    for panel in panels:
        _bars(pen, panel, unit, font)
    for face in faces:  # names last, so that no box or panel covers one
        _name(pen, face, picture.size, unit, font)
    return np.asarray(Image.alpha_composite(picture, layer).convert("RGB"))


def _color(face: Face) -> tuple[int, int, int]:
    assert face.emotions is not None, "annotate() takes recognised faces"
    return COLORS.get(face.emotions.top[0], _OTHER)


def _box(pen: ImageDraw.ImageDraw, face: Face, unit: int) -> None:
    x0, y0, x1, y1 = (float(v) for v in face.box)
    width = max(2, unit // 5) if not face.uncertain else max(1, unit // 10)
    pen.rounded_rectangle((x0, y0, x1 - 1, y1 - 1), unit // 2, outline=_color(face), width=width)


def _name(
    pen: ImageDraw.ImageDraw,
    face: Face,
    size: tuple[int, int],
    unit: int,
    font: _Font,
) -> None:
    assert face.emotions is not None
    label, probability = face.emotions.top
    text = f"{label}{'?' if face.uncertain else ''} {probability:.0%}"
    pad = unit // 3
    width, height = pen.textlength(text, font) + 2 * pad, unit + 2 * pad
    x = min(max(0.0, float(face.box[0])), max(0.0, size[0] - width))
    y = float(face.box[1]) - height - 2
    if y < 0:  # no room above: inside the box's upper edge
        y = max(0.0, float(face.box[1])) + 2
    pen.rounded_rectangle((x, y, x + width, y + height), pad, fill=_PANEL)
    pen.text((x + pad, y + pad), text, fill=(*_color(face), 255), font=font, anchor="lt")


@dataclass(frozen=True, slots=True)
class _Panel:
    """Bars at a place: upper left corner and width in pixels, (label, probability) rows."""

    x: float
    y: float
    width: float
    rows: list[tuple[str, float]]

    def box(self, unit: int) -> FloatArray:
        height = (len(self.rows) + 0.6) * 1.3 * unit
        return np.array([self.x, self.y, self.x + self.width, self.y + height], np.float32)


def _beside(faces: list[Face], size: tuple[int, int], unit: int) -> list[_Panel]:
    """A panel with every label beside each face, clear of all; [] where one lacks room."""
    taken = [face.box for face in faces]
    panels: list[_Panel] = []
    for face in faces:
        assert face.emotions is not None
        rows, width, gap = list(face.emotions.as_dict().items()), 11.0 * unit, unit / 2
        for x in (float(face.box[2]) + gap, float(face.box[0]) - gap - width):
            panel = _Panel(x, float(face.box[1]), width, rows)
            if _fits(panel.box(unit), taken, size):
                break
        else:
            return []
        taken.append(panel.box(unit))
        panels.append(panel)
    return panels


def _fits(panel: FloatArray, taken: list[FloatArray], size: tuple[int, int]) -> bool:
    inside = bool((panel[:2] >= 0).all() and (panel[2:] <= np.array(size)).all())
    return inside and all(
        bool((panel[:2] >= box[2:]).any() or (box[:2] >= panel[2:]).any()) for box in taken
    )


def _under(faces: list[Face], size: tuple[int, int], unit: int) -> list[_Panel]:
    """The three likeliest under each face, moved up where the picture ends."""
    panels = []
    for face in faces:
        assert face.emotions is not None
        rows = sorted(face.emotions.as_dict().items(), key=lambda row: -row[1])[:_FEW]
        width = max(9.0 * unit, float(face.box[2] - face.box[0]))
        x = min(float(face.box[0]), size[0] - width)
        y = min(float(face.box[3]) + unit / 4, size[1] - (len(rows) + 0.6) * 1.3 * unit)
        panels.append(_Panel(max(0.0, x), max(0.0, y), width, rows))
    return panels


def _bars(pen: ImageDraw.ImageDraw, panel: _Panel, unit: int, font: _Font) -> None:
    x0, y0, x1, y1 = (float(v) for v in panel.box(unit))
    pen.rounded_rectangle((x0, y0, x1, y1), unit // 3, fill=_PANEL)
    left, right = x0 + 5.6 * unit, x1 - 0.5 * unit
    for i, (label, probability) in enumerate(panel.rows):
        middle = y0 + (i + 0.8) * 1.3 * unit
        pen.text((left - 0.4 * unit, middle), label, fill=_WHITE, font=font, anchor="rm")
        top, bottom = middle - 0.3 * unit, middle + 0.3 * unit
        pen.rectangle((left, top, right, bottom), fill=_TRACK)
        end = left + max(1.0, (right - left) * probability)
        pen.rectangle((left, top, end, bottom), fill=(*COLORS.get(label, _OTHER), 255))
