"""Cuts: where two clips meet, and what is none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mien.face import Frame, ImageArray
from mien.media.cuts import Cuts
from tests.crossing import clip


def found(pictures: list[ImageArray]) -> list[int]:
    cuts = Cuts()
    return [i for i, rgb in enumerate(pictures) if cuts.at(Frame(rgb))]


@pytest.fixture(scope="module")
def man(shared: Path) -> list[ImageArray]:
    return [f.rgb for f in clip(shared / "data/media/single_face.mp4")]


@pytest.fixture(scope="module")
def woman(shared: Path) -> list[ImageArray]:
    return [f.rgb for f in clip(shared / "data/media/WolfgangLanger_Pexels.mp4")]


@pytest.fixture(scope="module")
def cartoon(shared: Path) -> list[ImageArray]:
    return [f.rgb for f in clip(shared / "data/media/no_face.mp4")]


def test_a_clip_of_one_scene_has_only_its_start(
    man: list[ImageArray], woman: list[ImageArray], cartoon: list[ImageArray]
) -> None:
    for pictures in (man, woman, cartoon, woman[::12], woman[::24]):
        assert found(pictures) == [0]


def test_every_place_where_two_clips_meet_is_one(
    man: list[ImageArray], woman: list[ImageArray], cartoon: list[ImageArray]
) -> None:
    pictures = man[:20] + woman[:20] + cartoon[80:] + man[:5] + woman[100:110]
    assert found(pictures) == [0, 20, 40, 55, 60]


def test_a_lamp_is_none_and_a_cut_through_black_is_one(
    man: list[ImageArray], woman: list[ImageArray]
) -> None:
    dark = [(p * 0.4).astype(np.uint8) for p in man[10:20]]
    assert found(man[:10] + dark + man[20:30]) == [0]
    black = [np.zeros_like(man[0])] * 5
    assert found(man[:10] + black + man[10:20]) == [0]
    assert found(man[:10] + black + woman[:10]) == [0, 15]


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 5000, 3), (7, 3, 3)])
def test_any_shape_will_do(shape: tuple[int, ...]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    assert found([noise, noise]) in ([0], [])


def test_it_goes_on_from_its_state(man: list[ImageArray], woman: list[ImageArray]) -> None:
    first = Cuts()
    for rgb in man[:5]:
        first.at(Frame(rgb))
    second = Cuts.from_state(json.loads(json.dumps(first.state())))
    assert [c.at(Frame(rgb)) for c in (first, second) for rgb in (man[5], woman[0])] == [
        *(False, True),
        *(False, True),
    ]
    assert first.state() == second.state()
