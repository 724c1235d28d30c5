from __future__ import annotations

import pytest
import torch
from torch import Generator, Tensor

from mien.training.augment import augment, mixup
from mien.training.augment_settings import Augment

OFF = Augment(flip=False)


def run(x: Tensor, settings: Augment, seed: int = 0) -> Tensor:
    return augment(x, settings, Generator().manual_seed(seed))


@pytest.fixture
def faces() -> Tensor:
    return torch.randint(20, 230, (256, 1, 48, 48), generator=Generator().manual_seed(5)).float()


def test_nothing_switched_on_changes_nothing(faces: Tensor) -> None:
    torch.testing.assert_close(run(faces, OFF), faces, atol=1e-3, rtol=0)


def test_the_same_seed_gives_the_same_pictures(faces: Tensor) -> None:
    settings = Augment(rotate_deg=20, scale=0.1, noise=10, erase=0.5, blur=0.5, contrast=0.3)
    assert torch.equal(run(faces, settings, 1), run(faces, settings, 1))
    assert not torch.equal(run(faces, settings, 1), run(faces, settings, 2))


def test_the_input_is_left_alone(faces: Tensor) -> None:
    before = faces.clone()
    run(faces, Augment(rotate_deg=20, noise=10, erase=1.0, blur=1.0))
    assert torch.equal(faces, before)


def test_flip_mirrors_about_half(faces: Tensor) -> None:
    out = run(faces, Augment(flip=True))
    kept = (out - faces).abs().amax((1, 2, 3)) < 1e-2
    mirrored = (out - faces.flip(3)).abs().amax((1, 2, 3)) < 1e-2
    assert (kept ^ mirrored).all()
    assert 90 < mirrored.sum() < 166  # 256 coin flips, within five deviations


def test_rotation_turns_by_at_most_the_limit() -> None:
    """A bar through the middle, its angle read back from its second moments."""
    x = torch.zeros(200, 1, 97, 97)
    x[:, :, 46:51, 10:87] = 255
    out = run(x, Augment(flip=False, rotate_deg=20))
    at = torch.arange(97.0) - 48
    weight = out[:, 0]
    xx = (weight * at[None, None, :] ** 2).sum((1, 2))
    yy = (weight * at[None, :, None] ** 2).sum((1, 2))
    xy = (weight * at[None, None, :] * at[None, :, None]).sum((1, 2))
    angles = torch.rad2deg(0.5 * torch.atan2(2 * xy, xx - yy))
    assert angles.abs().max() <= 20.5
    assert angles.min() < -15
    assert angles.max() > 15


def test_shift_is_a_share_of_the_side() -> None:
    x = torch.zeros(300, 1, 50, 50)
    x[:, :, 23:27, 23:27] = 255
    out = run(x, Augment(flip=False, shift=0.1))
    at = torch.arange(50.0)
    columns = (out.sum((1, 2)) * at).sum(1) / out.sum((1, 2, 3))
    assert (columns - 24.5).abs().max() <= 5.05
    assert (columns - 24.5).abs().max() > 4


def test_light_keeps_to_gray_levels(faces: Tensor) -> None:
    out = run(faces, Augment(flip=False, contrast=1.0, brightness=120))
    assert out.min() >= 0
    assert out.max() <= 255
    assert (out.mean((1, 2, 3)) - faces.mean((1, 2, 3))).abs().max() > 40


def test_erase_covers_a_rectangle_in_the_chosen_share(faces: Tensor) -> None:
    out = run(faces, Augment(flip=False, erase=0.5))
    changed = (out - faces).abs() > 1e-2
    touched = changed.any(3).any(2).any(1)
    assert 90 < touched.sum() < 166
    one = changed[touched][0, 0]
    rows, columns = one.any(1).nonzero().ravel(), one.any(0).nonzero().ravel()
    assert len(rows) <= 19
    assert len(columns) <= 19
    assert one[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].float().mean() > 0.9


def test_blur_and_noise_do_what_they_say(faces: Tensor) -> None:
    def roughness(x: Tensor) -> Tensor:
        return (x[..., 1:] - x[..., :-1]).abs().mean()

    assert roughness(run(faces, Augment(flip=False, blur=1.0))) < 0.5 * roughness(faces)
    flat = torch.full_like(faces, 128.0)
    spread = run(flat, Augment(flip=False, noise=20)).std(dim=(1, 2, 3))
    assert (spread < 0.01).float().mean() > 0.7  # four fifths untouched
    assert 10 < spread.max() < 22


def test_mixup_means_pictures_and_targets_by_the_same_share() -> None:
    """Pictures of one gray level each: the level of a mean tells the share it was mixed by."""
    levels = torch.arange(64).float()
    x = levels[:, None, None, None].expand(64, 1, 8, 8)
    y = torch.eye(64)
    mixed, targets = mixup(x, y, 0.4, Generator().manual_seed(3))
    torch.testing.assert_close(mixed[:, 0, 0, 0], targets @ levels)
    torch.testing.assert_close(targets.sum(1), torch.ones(64))
    own = targets.diagonal()
    assert (own >= 0.5).all()
    assert 0.1 < (own < 0.99).float().mean() < 0.9
