"""Training the proposal network: where in a made-up scene the faces are."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from .. import geometry
from ..data.table import Table
from ..face import FloatArray
from ..faces.proposals import SIDES, STRIDES, decode, distinct
from .augment import Draw, change_pixels
from .models import proposal_networks
from .proposal_data import made
from .recipes import ProposalRecipe
from .tasks import Samples, Sets, predict

_LARGEST = (40.0, 80.0, 160.0, math.inf)  # sides of the faces each map answers for, in pixels
_NEAR = 0.9  # a cell answers for a face whose middle is so many strides away, each way
_PARTLY = 0.35  # sides from its middle in which no other cell is told that there is none
_GAMMA, _ALPHA = 2.0, 0.25  # Lin et al. 2017, arXiv:1708.02002
_LEAST, _FEW = 0.02, 5  # proposals by which an epoch is judged: so sure, so many a scene
_HIT = 0.5  # intersection over union


class ProposalTask:
    """Scenes -> four maps (``proposals.decode``), by focal loss and distances.

    Targets (N, 5, 4): middle x y, side, roll of each face in pixels of the scene; NaN for none.
    """

    def __init__(self, recipe: ProposalRecipe) -> None:
        self._recipe = recipe

    def network(self) -> nn.Module:
        return proposal_networks.build(self._recipe.model.name)

    def begin(self, net: nn.Module, train: Samples) -> None:
        """Nothing: it starts from chance."""

    def change(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """A turned, scaled, shifted, mirrored part of each scene, in other light."""
        settings = self._recipe.augment
        draw = Draw(len(x), generator, x.device)
        angle = draw.within(math.radians(settings.rotate_deg))
        scale = draw.within(settings.scale).exp()
        shift = torch.stack([draw.within(settings.shift * x.shape[-1]) for _ in range(2)], 1)
        mirrored = draw.chance(0.5 if settings.flip else 0.0)
        seen, faces = part(x, y, self._recipe.model.size, angle, scale, shift, mirrored)
        return change_pixels(seen, settings, draw), faces

    def loss(self, outputs: tuple[Tensor, ...], y: Tensor) -> Tensor:
        said, wanted, weight = [], [], []
        for i, (maps, stride) in enumerate(zip(outputs, STRIDES, strict=True)):
            smallest = _LARGEST[i - 1] if i else 0.0
            told, care = answers(y, maps.shape[2:], stride, smallest, _LARGEST[i])
            said.append(maps.float().flatten(2))
            wanted.append(told.flatten(2))
            weight.append(care.flatten(1))
        return proposal_loss(torch.cat(said, 2), torch.cat(wanted, 2), torch.cat(weight, 1))

    def score(self, net: nn.Module, select: Samples, device: torch.device) -> dict[str, float]:
        """Which share of the faces is among few proposals, and how many proposals there are."""
        parts = predict(net, select.x, device, batch=64)
        maps = [torch.cat(level).numpy() for level in zip(*parts, strict=True)]
        found = faces = proposed = 0
        for i, targets in enumerate(select.y.numpy()):
            proposals = distinct(decode([level[i] for level in maps], _LEAST))
            proposed += len(proposals)
            boxes = _boxes(targets)
            faces += len(boxes)
            found += sum(
                bool((geometry.iou(box, proposals.boxes[: len(boxes) + _FEW]) > _HIT).any())
                for box in boxes
            )
        return {"recall": found / faces, "proposals": proposed / len(select)}

    def rank(self, figures: dict[str, float]) -> tuple[float, ...]:
        return (figures["recall"],)


def _boxes(targets: FloatArray) -> FloatArray:
    there = targets[~np.isnan(targets[:, 0])]
    half = there[:, 2:3] / 2
    return np.concatenate([there[:, :2] - half, there[:, :2] + half], axis=1)


def part(
    x: Tensor,
    y: Tensor,
    size: int,
    angle: Tensor,
    scale: Tensor,
    shift: Tensor,
    mirrored: Tensor,
) -> tuple[Tensor, Tensor]:
    """A square of ``size`` pixels of each scene (N, 1, S, S), and the faces (N, K, 4) in it.

    The square lies ``shift`` pixels (N, 2) beside the scene's middle; ``scale`` is how many of the
    scene's pixels one of its own is wide. What lies beyond the scene is gray.
    """
    sign = torch.where(mirrored, -1.0, 1.0)
    cos, sin = angle.cos() * scale, angle.sin() * scale
    # Columns: where the square's x and y axes lie in the scene.
    axes = torch.stack([torch.stack([cos * sign, -sin], 1), torch.stack([sin * sign, cos], 1)], 1)
    side = x.shape[-1]
    theta = torch.cat([axes * size / side, 2 * shift[:, :, None] / side], 2)
    grid = F.affine_grid(theta, [len(x), 1, size, size], align_corners=False)
    seen = F.grid_sample(x - 128, grid, align_corners=False) + 128
    middle = y[:, :, :2] + 0.5 - side / 2 - shift[:, None]
    middle = middle @ torch.linalg.inv(axes).transpose(1, 2) + size / 2 - 0.5
    roll = (y[:, :, 3] - angle[:, None]) * sign[:, None]
    moved = torch.cat([middle, y[:, :, 2:3] / scale[:, None, None], roll[:, :, None]], dim=2)
    inside = ((middle > 0) & (middle < size - 1)).all(dim=2, keepdim=True)
    return seen, torch.where(inside, moved, torch.nan)


def answers(
    y: Tensor, shape: torch.Size, stride: int, smallest: float, largest: float
) -> tuple[Tensor, Tensor]:
    """What a map's cells should say (N, 6, h, w), and which count as told at all (N, h, w).

    A cell near the middle of a face of the map's own sizes says so. Others near a face's middle are
    told nothing: they see a face, only not theirs.
    """
    n, (height, width) = len(y), shape
    down = (torch.arange(height, device=y.device) + 0.5) * stride
    across = (torch.arange(width, device=y.device) + 0.5) * stride
    wanted = torch.zeros(n, 6, height, width, device=y.device)
    care = torch.ones(n, height, width, device=y.device)
    for x0, y0, side, roll in (face.unbind(1) for face in y.unbind(1)):
        # Whole coordinates are in the middle of a pixel, cells count from its edge.
        off_x = (x0[:, None] + 0.5 - across) / stride  # (N, w)
        off_y = (y0[:, None] + 0.5 - down) / stride  # (N, h)
        far = torch.maximum(off_x.abs()[:, None, :], off_y.abs()[:, :, None])  # NaN where no face
        own = (side >= smallest) & (side < largest)
        near = (far < _NEAR) & own[:, None, None]
        care = torch.where((far * stride < _PARTLY * side[:, None, None]) & ~near, 0.0, care)
        care = torch.where(near, 1.0, care)
        numbers = torch.stack(
            [
                torch.ones_like(far),
                off_x[:, None, :].expand_as(far),
                off_y[:, :, None].expand_as(far),
                (side / (SIDES * stride)).log()[:, None, None].expand_as(far),
                roll.sin()[:, None, None].expand_as(far),
                roll.cos()[:, None, None].expand_as(far),
            ],
            dim=1,
        )
        wanted = torch.where(near[:, None], numbers, wanted)
    return wanted, care


def proposal_loss(said: Tensor, wanted: Tensor, care: Tensor) -> Tensor:
    """Focal loss of every cell that is told something, and distances where there is a face.

    said, wanted : (N, 6, cells); care : (N, cells), 0 for cells told nothing.
    """
    face = wanted[:, 0]
    count = face.sum().clamp(min=1)
    logit = said[:, 0]
    told = F.binary_cross_entropy_with_logits(logit, face, reduction="none")
    right = torch.exp(-told)
    balance = torch.where(face > 0, _ALPHA, 1 - _ALPHA)
    focal = (balance * (1 - right) ** _GAMMA * told * care).sum() / count
    off = F.smooth_l1_loss(said[:, 1:], wanted[:, 1:], reduction="none", beta=0.1).sum(dim=1)
    return 4 * focal + (off * face).sum() / count


def prepare(recipe: ProposalRecipe, table: Table) -> Sets:
    """Scenes to train on, and scenes of people and pictures never trained on to select by."""
    train, select, counts = made(recipe.data, table, recipe.train.seed)
    return Sets(
        Samples(*map(torch.from_numpy, train)),
        Samples(*map(torch.from_numpy, select)),
        recipe.data.scenes,
        {"counts": counts},
    )
