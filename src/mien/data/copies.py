"""Changed copies of a table's pictures, made before anything is split, as papers do."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import cv2
import numpy as np

from ..errors import ConfigError, DataError
from ..face import ImageArray
from ..media.image import read_bytes
from ..media.preprocess import resize
from . import variants
from .table import Row, Table, generator, png


@dataclass(frozen=True, slots=True)
class Copies:
    """Changed copies of every picture, made before anything is split, as papers do.

    count : copies of each picture beside itself.
    rotate_deg : turned by up to this many degrees either way.
    noise : standard deviation of Gaussian noise up to this many gray levels.
    monochrome : share of the copies made gray; 1 for every picture, those copied too.
    size : every picture's longer side is scaled to this many pixels first; 0 leaves them so.
    variants : the copies are the others of ``mien.data.variants``, at most so many; nothing else is
        done to them.
    turn_deg : turned by this many degrees, to one side, to the other or not at all, each as likely.
    """

    count: int
    rotate_deg: float = 0.0
    noise: float = 0.0
    monochrome: float = 0.0
    size: int = 0
    seed: int = 1
    variants: bool = False
    turn_deg: float = 0.0

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ConfigError(f"copies.count is at least 1, got {self.count}")
        if self.variants and self.count >= len(variants.ALL):
            raise ConfigError(f"copies.count: a picture has {len(variants.ALL) - 1} other variants")
        if self.variants and (self.rotate_deg or self.turn_deg or self.noise or self.monochrome):
            raise ConfigError(
                "copies.variants goes without rotate_deg, turn_deg, noise and monochrome"
            )
        if self.rotate_deg and self.turn_deg:
            raise ConfigError(
                "copies turn by up to rotate_deg or by turn_deg: leave one of them out"
            )
        if not 0 <= self.monochrome <= 1:
            raise ConfigError(f"copies.monochrome lies in [0, 1], got {self.monochrome}")


def copies(table: Table, settings: Copies) -> Table:
    """Every row, followed by its changed copies ``<id>#1``, ``<id>#2``, ...

    A copy is its row's in all but the pixels, and says so in ``copy_of``; its landmarks are left
    behind, as the turn moves them. What happens to a picture depends on the seed and its row's
    id alone. Raises DataError for a table that has copies already.
    """
    if any(row.copy_of for row in table.rows):
        raise DataError(f"{table.name} holds augmented copies already; start from the pictures")
    rows: list[Row] = []
    for row in table.rows:
        picture = read_bytes(row.image, row.id)
        if settings.size:
            picture = resize(picture, settings.size)
        if settings.monochrome == 1:
            gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
            picture = np.asarray(cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB), np.uint8)
        if settings.size or settings.monochrome == 1:
            height, width = picture.shape[:2]
            row = replace(row, image=png(picture), width=width, height=height, landmarks=None)
        rows.append(row)
        rows += [_copy(row, picture, number, settings) for number in range(1, settings.count + 1)]
    notes = {**table.notes, "copies": {**asdict(settings), "of": len(table)}}
    return replace(table, rows=rows, notes=notes)


def _copy(row: Row, picture: ImageArray, number: int, settings: Copies) -> Row:
    name = f"{row.id}#{number}"
    changed = (
        variants.variant(picture, number)
        if settings.variants
        else _changed(picture, settings, generator(settings.seed, name))
    )
    return replace(row, id=name, image=png(changed), copy_of=row.id, landmarks=None)


def _changed(picture: ImageArray, settings: Copies, rng: np.random.Generator) -> ImageArray:
    """Turned, noisy, perhaps gray: (H, W, 3) uint8 RGB, or (H, W) where it has no colour."""
    angle = rng.uniform(-settings.rotate_deg, settings.rotate_deg)
    deviation = rng.uniform(0, settings.noise)
    without_colour = rng.uniform() < settings.monochrome
    if without_colour or _is_gray(picture):
        picture = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
    if settings.turn_deg:
        angle = settings.turn_deg * rng.integers(-1, 2)
    height, width = picture.shape[:2]
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)
    turned = cv2.warpAffine(
        picture, turn, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    noise = rng.standard_normal(turned.shape, np.float32) * np.float32(deviation)
    return np.asarray(np.rint(turned + noise).clip(0, 255), np.uint8)


def _is_gray(picture: ImageArray) -> bool:
    """Coloured noise on a gray picture would make it a colour picture."""
    return bool((picture == picture[:, :, :1]).all())
