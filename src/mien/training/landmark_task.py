"""Training the landmark network: points where somebody placed them, and face or no face."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from ..data import patches
from ..data.table import Table
from ..faces.landmarks import (
    LEFT_EYE_CORNER,
    MIRROR,
    NET_FRAMING,
    NET_SIDE,
    POINTS,
    RIGHT_EYE_CORNER,
)
from .augment import Draw, change_pixels
from .landmark_data import Y_POINTS, divided, samples
from .models import landmark_networks
from .recipes import LandmarkRecipe
from .tasks import Samples, Sets, predict

# What the second look sees of a face: the first look's points have put it nearly right.
_AGAIN_SHIFT, _AGAIN_SCALE, _AGAIN_ROTATE_DEG = 0.04, 0.08, 8.0
_SCALE_OF_LOSS = 20.0  # an error of a twentieth of the crop weighs as much as a nat of the score
_ZOOM = NET_FRAMING / patches.WIDTH  # the network's square in units of the patch


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
        seen, points = look(x, y[:, :Y_POINTS], angle, scale, torch.stack(shifts, 1), mirrored)
        y = torch.cat([points, y[:, Y_POINTS:]], dim=1)
        return change_pixels(seen, settings, draw), y

    def loss(self, outputs: tuple[Tensor, Tensor], y: Tensor) -> Tensor:
        points, logits = outputs
        wanted, weight, face = y[:, :Y_POINTS], y[:, Y_POINTS], y[:, Y_POINTS + 1]
        off = (points.flatten(1) - (wanted + 1) / 2).abs().mean(dim=1)
        placed = (off * weight).sum() / weight.sum().clamp(min=1)
        told = F.binary_cross_entropy_with_logits(logits.float(), face)
        return _SCALE_OF_LOSS * placed + told

    def score(self, net: nn.Module, select: Samples, device: torch.device) -> dict[str, float]:
        """Mean error over inter-ocular distance on hand-placed points, and the score's mistakes."""
        parts = predict(net, select.x, device)
        points = torch.cat([part[0] for part in parts]).flatten(1)
        logits = torch.cat([part[1] for part in parts])
        face = select.y[:, Y_POINTS + 1] == 1
        by_hand = select.y[:, Y_POINTS] == 1
        wanted = ((select.y[:, :Y_POINTS] + 1) / 2)[by_hand].reshape(-1, POINTS, 2)
        between = wanted[:, LEFT_EYE_CORNER] - wanted[:, RIGHT_EYE_CORNER]
        off = (points[by_hand].reshape(-1, POINTS, 2) - wanted).norm(dim=2).mean(dim=1)
        return {
            "nme": (off / between.norm(dim=1)).mean().item(),
            "missed": (logits[face] < 0).float().mean().item(),
            "false_alarms": (logits[~face] >= 0).float().mean().item(),
        }

    def rank(self, figures: dict[str, float]) -> tuple[float, ...]:
        return (-figures["nme"],)


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
    used, kept = divided(*(table.of_split(split) for split in data.splits))
    counts = {
        split: {"used": len(u), "kept_for_selection": len(k)}
        for split, u, k in zip(data.splits, used, kept, strict=True)
    }
    x, y = map(torch.from_numpy, samples(used, data))
    chances = torch.cat(
        [torch.full((len(u),), s / len(u)) for u, s in zip(used, data.shares, strict=True)]
    )
    select_x, select_y = map(torch.from_numpy, samples(kept, data))
    n = len(select_x)
    still = torch.zeros(n)
    seen, points = look(
        select_x.float(),
        select_y[:, :Y_POINTS],
        still,
        torch.full((n,), _ZOOM),
        torch.zeros(n, 2),
        still > 0,
    )
    select_y[:, :Y_POINTS] = points
    return Sets(
        Samples(x, y, chances),
        Samples(seen.round().to(torch.uint8), select_y),
        data.draws,
        {"counts": counts},
    )
