"""Seven brightnesses and four blurs of a picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Generator

from mien.data import table, variants
from mien.data.copies import Copies, copies
from mien.data.table import Row, Table, png
from mien.errors import ConfigError
from mien.face import ImageArray
from mien.training import augment
from mien.training.augment_settings import Augment


def picture(seed: int = 0) -> ImageArray:
    return np.random.default_rng(seed).integers(70, 180, (16, 16), dtype=np.uint8)


def test_twenty_eight_different_pictures_of_each() -> None:
    made = {variants.variant(picture(), number).tobytes() for number in range(len(variants.ALL))}
    assert len(made) == 28
    assert (variants.variant(picture(), 0) == picture()).all()


def test_the_papers_count() -> None:
    assert 41_029 * len(variants.ALL) == 1_148_812


def test_a_level_is_brighter_and_a_blur_is_smoother() -> None:
    number = variants.ALL.index((40, "none"))
    assert (variants.variant(picture(), number) == picture() + 40).all()
    for blur in ("gaussian", "average", "median"):
        smooth = variants.variant(picture(), variants.ALL.index((0, blur)))
        assert smooth.astype(float).std() < 0.8 * picture().astype(float).std()
    dark = variants.variant(np.full((8, 8), 20, np.uint8), variants.ALL.index((-60, "none")))
    assert (dark == 0).all()


def test_on_the_fly_each_picture_becomes_one_of_its_variants() -> None:
    x = torch.from_numpy(np.stack([picture(i) for i in range(64)]))[:, None].float()
    found = augment.augment(x, Augment(flip=False, variants=True), Generator().manual_seed(1))
    used = set()
    for before, after in zip(x, found, strict=True):
        plain = before[0].byte().numpy()
        numbers = [
            n for n in range(28) if (variants.variant(plain, n) == after[0].byte().numpy()).all()
        ]
        assert len(numbers) == 1
        used |= {*numbers}
    assert len(used) > 15
    colour = torch.randint(0, 256, (4, 3, 8, 8)).float()
    assert augment.augment(colour, Augment(variants=True), Generator().manual_seed(1)).shape == (
        4,
        3,
        8,
        8,
    )


def test_exhaustively_as_copies() -> None:
    rows = [Row(str(i), "all", "fear", png(picture(i)), 16, 16) for i in range(3)]
    made = copies(Table("t", rows), Copies(27, variants=True))
    assert len(made) == 3 * 28
    of_first = [p[:, :, 0].tobytes() for p in made.keep(i < 28 for i in range(84)).pictures()]
    assert len({*of_first}) == 28
    assert {table.pixel_hash(p) for p in made.pictures()} >= {
        table.pixel_hash(p) for p in Table("t", rows).pictures()
    }


def test_more_copies_than_variants_are_refused() -> None:
    with pytest.raises(ConfigError, match="a picture has 27 other variants"):
        Copies(28, variants=True)
    with pytest.raises(ConfigError, match="goes without rotate_deg"):
        Copies(5, variants=True, noise=3)
