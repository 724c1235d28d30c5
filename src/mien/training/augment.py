"""Random changes to training faces, a batch at a time, in torch.

One affine map does flip, turn, scale, aspect, shear and shift, so pixels are interpolated once.
Then light (contrast, brightness), lens (blur), sensor (noise) and a hand in front (erase): what
separates a 2013 web crop from somebody's kitchen camera.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from ..data import variants
from .augment_settings import Augment

_NOTHING = Augment(flip=False)


class Draw:
    """Uniform numbers for a batch, from one seeded generator on the CPU."""

    def __init__(self, n: int, generator: Generator, device: torch.device) -> None:
        self.n, self.generator, self.device = n, generator, device

    def uniform(self, low: float, high: float) -> Tensor:
        values = torch.empty(self.n).uniform_(low, high, generator=self.generator)
        return values.to(self.device)

    def within(self, limit: float) -> Tensor:
        return self.uniform(-limit, limit)

    def chance(self, share: float) -> Tensor:
        return self.uniform(0, 1) < share


def augment(x: Tensor, settings: Augment, generator: Generator) -> Tensor:
    """A changed copy of a batch (N, C, S, S), gray levels 0..255; itself where nothing is asked."""
    if settings == _NOTHING:
        return x
    draw = Draw(len(x), generator, x.device)
    if settings.variants:
        x = _variants(x, draw)
    return change_pixels(_warp(x, settings, draw), settings, draw)


def mixup(x: Tensor, y: Tensor, alpha: float, generator: Generator) -> tuple[Tensor, Tensor]:
    """Each picture of a batch and its target averaged with another's, by Beta(alpha, alpha)."""
    seed = int(torch.randint(2**31, (1,), generator=generator))
    share = np.random.default_rng(seed).beta(alpha, alpha, len(x)).astype(np.float32)
    kept = torch.from_numpy(np.maximum(share, 1 - share)).to(x.device)  # more itself than the other
    other = torch.randperm(len(x), generator=generator).to(x.device)
    by = kept[:, None]
    return x.lerp(x[other], 1 - by[:, :, None, None]), y.lerp(y[other], 1 - by)


def change_pixels(x: Tensor, settings: Augment, draw: Draw) -> Tensor:
    """Light, lens, sensor and what stands in front, each pixel where it is; gray levels 0..255."""
    if settings.contrast or settings.brightness:
        x = _light(x, settings, draw)
    if settings.blur:
        x = _blur(x, settings, draw)
    if settings.noise:
        x = _noise(x, settings, draw)
    if settings.erase:
        x = _erase(x, settings, draw)
    return x.clamp(0, 255)


def _variants(x: Tensor, draw: Draw) -> Tensor:
    """By OpenCV, picture by picture: its median of nine is far quicker than sorting in torch."""
    numbers = draw.uniform(0, len(variants.ALL)).int().tolist()
    pictures = x.byte().permute(0, 2, 3, 1).cpu().numpy()
    made = [
        variants.variant(np.ascontiguousarray(picture), number).reshape(picture.shape)
        for picture, number in zip(pictures, numbers, strict=True)
    ]
    return torch.from_numpy(np.stack(made)).permute(0, 3, 1, 2).to(x)


def _warp(x: Tensor, s: Augment, draw: Draw) -> Tensor:
    if not (s.rotate_deg or s.scale or s.aspect or s.shear or s.shift):
        return _flip(x, draw) if s.flip else x
    angle = draw.within(math.radians(s.rotate_deg))
    scale, aspect = draw.within(s.scale).exp(), draw.within(s.aspect).exp()
    mirror = torch.where(draw.chance(0.5 if s.flip else 0.0), -1.0, 1.0)
    shear = draw.within(s.shear)
    # affine_grid's units: the picture spans -1..1, so a share of the side counts twice.
    shift_x, shift_y = draw.within(2 * s.shift), draw.within(2 * s.shift)
    cos, sin = angle.cos(), angle.sin()
    row_x = torch.stack([cos * scale * aspect * mirror, (shear - sin) * scale, shift_x], 1)
    row_y = torch.stack([sin * scale * mirror, cos * scale / aspect, shift_y], 1)
    grid = F.affine_grid(torch.stack([row_x, row_y], 1), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


def _flip(x: Tensor, draw: Draw) -> Tensor:
    return torch.where(draw.chance(0.5)[:, None, None, None], x.flip(3), x)


def _light(x: Tensor, s: Augment, draw: Draw) -> Tensor:
    mean = x.mean((1, 2, 3), keepdim=True)
    gain = draw.within(s.contrast).exp()[:, None, None, None]
    return (x - mean) * gain + mean + draw.within(s.brightness)[:, None, None, None]


def _blur(x: Tensor, s: Augment, draw: Draw) -> Tensor:
    chosen = draw.chance(s.blur)[:, None, None, None]
    blurred = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    return torch.where(chosen, blurred, x)


def _noise(x: Tensor, s: Augment, draw: Draw) -> Tensor:
    level = draw.chance(0.2).float() * draw.uniform(0, s.noise)
    noise = torch.randn(x.shape, generator=draw.generator).to(x.device)
    return x + level[:, None, None, None] * noise


def _erase(x: Tensor, s: Augment, draw: Draw) -> Tensor:
    side = x.shape[-1]
    chosen = draw.chance(s.erase)
    height, width = draw.uniform(side / 8, side * 3 / 8), draw.uniform(side / 8, side * 3 / 8)
    top, left = draw.uniform(0, side * 5 / 6), draw.uniform(0, side * 5 / 6)
    at = torch.arange(side, device=x.device)
    rows = (at >= top[:, None]) & (at < (top + height)[:, None])  # (N, S)
    columns = (at >= left[:, None]) & (at < (left + width)[:, None])
    mask = (chosen[:, None, None] & rows[:, :, None] & columns[:, None, :])[:, None]
    return torch.where(mask, x.mean((1, 2, 3), keepdim=True), x)
