"""Training the landmark network: points where somebody placed them, and face or no face."""

from __future__ import annotations

import math
import zlib

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from ..data import patches
from ..data.table import Row, Table
from ..errors import DataError
from ..face import FloatArray, ImageArray
from ..faces.landmarks import (
    LEFT_EYE_CORNER,
    MIRROR,
    NET_FRAMING,
    NET_SIDE,
    POINTS,
    RIGHT_EYE_CORNER,
)
from .augment import Draw, change_pixels
from .models import landmark_networks
from .recipes import LandmarkData, LandmarkRecipe
from .tasks import Samples, Sets, predict

# What the second look sees of a face: the first look's points have put it nearly right.
_AGAIN_SHIFT, _AGAIN_SCALE, _AGAIN_ROTATE_DEG = 0.04, 0.08, 8.0
_SCALE_OF_LOSS = 20.0  # an error of a twentieth of the crop weighs as much as a nat of the score
_ZOOM = NET_FRAMING / patches.WIDTH  # the network's square in units of the patch

_Y_POINTS = 2 * POINTS  # of a target row, then its weight, then whether there is a face


class LandmarkTask:
    """Patches -> 68 points by their mean distance, and a face-or-not logit by cross-entropy.

    Targets (N, 138): points x y in [-1, 1] of the patch, what a point's error weighs (0 where
    there are none), and 1 for a face.
    """

    def __init__(self, recipe: LandmarkRecipe) -> None:
        self._recipe = recipe

    def network(self) -> nn.Module:
        return landmark_networks.build(self._recipe.model.name)

    def begin(self, net: nn.Module, train: Samples) -> None:
        """Nothing: it starts from chance."""

    def change(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """What the network sees of each patch: a first look's square, or a second's."""
        settings = self._recipe.augment
        draw = Draw(len(x), generator, x.device)
        again = draw.chance(self._recipe.data.second_look)

        def within(far: float, near: float) -> Tensor:
            return torch.where(again, draw.within(near), draw.within(far))

        angle = within(math.radians(settings.rotate_deg), math.radians(_AGAIN_ROTATE_DEG))
        scale = _ZOOM * within(settings.scale, _AGAIN_SCALE).exp()
        shifts = [2 * _ZOOM * within(settings.shift, _AGAIN_SHIFT) for _ in range(2)]
        mirrored = draw.chance(0.5 if settings.flip else 0.0)
        seen, points = look(x, y[:, :_Y_POINTS], angle, scale, torch.stack(shifts, 1), mirrored)
        y = torch.cat([points, y[:, _Y_POINTS:]], dim=1)
        return change_pixels(seen, settings, draw), y

    def loss(self, outputs: tuple[Tensor, Tensor], y: Tensor) -> Tensor:
        points, logits = outputs
        wanted, weight, face = y[:, :_Y_POINTS], y[:, _Y_POINTS], y[:, _Y_POINTS + 1]
        off = (points.flatten(1) - (wanted + 1) / 2).abs().mean(dim=1)
        placed = (off * weight).sum() / weight.sum().clamp(min=1)
        told = F.binary_cross_entropy_with_logits(logits.float(), face)
        return _SCALE_OF_LOSS * placed + told

    def score(self, net: nn.Module, select: Samples, device: torch.device) -> dict[str, float]:
        """Mean error over inter-ocular distance on hand-placed points, and the score's mistakes."""
        parts = predict(net, select.x, device)
        points = torch.cat([part[0] for part in parts]).flatten(1)
        logits = torch.cat([part[1] for part in parts])
        face = select.y[:, _Y_POINTS + 1] == 1
        by_hand = select.y[:, _Y_POINTS] == 1
        wanted = ((select.y[:, :_Y_POINTS] + 1) / 2)[by_hand].reshape(-1, POINTS, 2)
        between = wanted[:, LEFT_EYE_CORNER] - wanted[:, RIGHT_EYE_CORNER]
        off = (points[by_hand].reshape(-1, POINTS, 2) - wanted).norm(dim=2).mean(dim=1)
        return {
            "nme": (off / between.norm(dim=1)).mean().item(),
            "missed": (logits[face] < 0).float().mean().item(),
            "false_alarms": (logits[~face] >= 0).float().mean().item(),
        }

    def rank(self, figures: dict[str, float]) -> float:
        return -figures["nme"]


def look(
    x: Tensor, points: Tensor, angle: Tensor, scale: Tensor, shift: Tensor, mirrored: Tensor
) -> tuple[Tensor, Tensor]:
    """A turned, scaled, shifted square of each patch (N, 1, S, S), and the points in it (N, 136).

    All lengths in units where the patch, and the square, spans -1..1.
    """
    sign = torch.where(mirrored, -1.0, 1.0)
    cos, sin = angle.cos() * scale, angle.sin() * scale
    # Columns: where the square's x and y axes lie in the patch.
    axes = torch.stack([torch.stack([cos * sign, -sin], 1), torch.stack([sin * sign, cos], 1)], 1)
    size = [len(x), x.shape[1], NET_SIDE, NET_SIDE]
    grid = F.affine_grid(torch.cat([axes, shift[:, :, None]], 2), size, align_corners=False)
    seen = F.grid_sample(x, grid, padding_mode="border", align_corners=False)
    placed = points.reshape(-1, POINTS, 2) - shift[:, None]
    placed = placed @ torch.linalg.inv(axes).transpose(1, 2)
    mirror = torch.from_numpy(MIRROR).to(x.device)
    return seen, torch.where(mirrored[:, None, None], placed[:, mirror], placed).flatten(1)


def prepare(recipe: LandmarkRecipe, table: Table) -> Sets:
    """Patches to draw from, split by split, and those kept for choosing the best epoch.

    A tenth of the people (of the pictures, where nobody knows who is on them) is kept from every
    split: the same ones in every run, so that other measurements can leave them unseen as well.
    """
    data = recipe.data
    parts = [table.of_split(split) for split in data.splits]
    kept = [part.keep(is_kept(row) for row in part.rows) for part in parts]
    used = [part.keep(not is_kept(row) for row in part.rows) for part in parts]
    if not all(map(len, [*kept, *used])):
        raise DataError(f"too few rows in {table.name} to train on and to select by")
    counts = {
        split: {"used": len(u), "kept_for_selection": len(k)}
        for split, u, k in zip(data.splits, used, kept, strict=True)
    }
    x, y = _samples(used, data)
    chances = torch.cat(
        [torch.full((len(u),), s / len(u)) for u, s in zip(used, data.shares, strict=True)]
    )
    select_x, select_y = _samples(kept, data)
    n = len(select_x)
    still = torch.zeros(n)
    seen, points = look(
        select_x.float(),
        select_y[:, :_Y_POINTS],
        still,
        torch.full((n,), _ZOOM),
        torch.zeros(n, 2),
        still > 0,
    )
    select_y[:, :_Y_POINTS] = points
    return Sets(
        Samples(x, y, chances),
        Samples(seen.round().to(torch.uint8), select_y),
        data.draws,
        {"counts": counts},
    )


def is_kept(row: Row) -> bool:
    """Whether a row is of the tenth that is never trained on; all rows of a person are."""
    return zlib.crc32((row.subject or row.source or row.id).encode()) % 10 == 0


def _samples(parts: list[Table], data: LandmarkData) -> tuple[Tensor, Tensor]:
    """Patches (N, 1, 96, 96) uint8 and targets (N, 138)."""
    xs, ys = [], []
    for part, weight in zip(parts, data.weights, strict=True):
        x, y = _of_faces(part, weight) if weight else _of_decoys(part)
        xs.append(torch.from_numpy(x[:, None]))
        ys.append(torch.from_numpy(y))
    return torch.cat(xs), torch.cat(ys)


def _of_faces(part: Table, weight: float) -> tuple[ImageArray, FloatArray]:
    missing = sum(row.landmarks is None for row in part.rows)
    if missing:
        raise DataError(f"{missing} rows of {part.splits} in {part.name} have no landmarks")
    x, points = patches.of_faces(part)
    relative = (points + 0.5) / patches.SIDE * 2 - 1  # the patch spans -1..1 from edge to edge
    y = np.ones((len(x), _Y_POINTS + 2), np.float32)
    y[:, :_Y_POINTS] = relative.reshape(len(x), _Y_POINTS)
    y[:, _Y_POINTS] = weight
    return x, y


def _of_decoys(part: Table) -> tuple[ImageArray, FloatArray]:
    gray = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in part.pictures()]
    if any(picture.shape != (patches.SIDE, patches.SIDE) for picture in gray):
        raise DataError(f"decoys are patches of {patches.SIDE} pixels; make them with: data decoys")
    x = np.asarray(np.stack(gray), np.uint8)
    random = np.random.default_rng(0)
    x[::2] = [with_border(patch, random) for patch in x[::2]]
    return x, np.zeros((len(x), _Y_POINTS + 2), np.float32)


def with_border(patch: ImageArray, random: np.random.Generator) -> ImageArray:
    """A patch of which only a part is a picture, and the rest its border repeated.

    Most faces to train on come in tight crops, so that half of their patch is a repeated border.
    Where decoys had none, the network would take the streaks of the border for a face.
    """
    side = round(random.uniform(0.5, 0.9) * len(patch))
    top, left = random.integers(0, len(patch) - side + 1, 2)
    around = [(top, len(patch) - side - top), (left, len(patch) - side - left)]
    return np.pad(patch[top : top + side, left : left + side], around, mode="edge")
