"""A small network for 68 landmarks and a face-or-not score.

Heat maps give precise points from few faces, since a convolution learns a corner of an eye wherever
it lies; their expectation (Sun et al. 2018, arXiv:1711.08229) is a coordinate finer than a cell and
can be trained end to end. The maps are a quarter of the input wide, mixed from three scales (Lin et
al. 2017, arXiv:1612.03144) so that a point knows the rest of the face.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...faces.landmarks import POINTS
from .resnet import BasicBlock, conv3x3


def _stage(inputs: int, outputs: int, depth: int, stride: int) -> nn.Sequential:
    first = BasicBlock(inputs, outputs, stride)
    return nn.Sequential(first, *(BasicBlock(outputs, outputs, 1) for _ in range(depth - 1)))


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


class LandmarkNet(nn.Module):
    """Gray levels (N, 1, S, S) in 0..255 -> points (N, 68, 2) in [0, 1] of the crop, logits (N,).

    A point at (0, 0) is the crop's upper left corner, at (1, 1) its lower right one. The logit says
    whether there is a face.

    Parameters
    ----------
    stem : channels of the first convolution, which halves the picture
    widths, depths : channels and blocks of the four stages; all but the first halve it again
    head : channels of the mixed scales
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        stem: int,
        widths: tuple[int, int, int, int],
        depths: tuple[int, int, int, int],
        head: int,
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(128.0))
        self.register_buffer("std", torch.tensor(64.0))
        self.stem = conv3x3(1, stem, 2)
        inputs = (stem, *widths[:3])
        self.stages = nn.ModuleList(
            _stage(i, o, d, 1 if n == 0 else 2)
            for n, (i, o, d) in enumerate(zip(inputs, widths, depths, strict=True))
        )
        self.lateral = nn.ModuleList(nn.Conv2d(width, head, 1) for width in widths[1:])
        self.mix = conv3x3(head, head)
        self.maps = nn.Conv2d(head, POINTS, 1)
        self.face = nn.Linear(widths[3], 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = F.relu(self.stem((x - self.mean) / self.std))  # (N, C, S/2, S/2)
        x = self.stages[0](x)
        quarter = self.stages[1](x)
        eighth = self.stages[2](quarter)
        sixteenth = self.stages[3](eighth)
        mixed = _doubled(self.lateral[2](sixteenth)) + self.lateral[1](eighth)
        mixed = _doubled(mixed) + self.lateral[0](quarter)  # (N, head, S/4, S/4)
        maps = self.maps(F.relu(self.mix(F.relu(mixed))))  # (N, 68, S/4, S/4)
        logits: Tensor = self.face(sixteenth.mean(dim=(2, 3)))
        return expectation(maps.float()), logits[:, 0]


def expectation(maps: Tensor) -> Tensor:
    """The mean place (N, K, 2), x y in [0, 1], under the softmax of maps (N, K, H, W)."""
    height, width = maps.shape[2:]
    shares = maps.flatten(2).softmax(dim=2).view(maps.shape)
    across = (torch.arange(width, device=maps.device) + 0.5) / width
    down = (torch.arange(height, device=maps.device) + 0.5) / height
    x, y = (shares.sum(dim=2) * across).sum(dim=2), (shares.sum(dim=3) * down).sum(dim=2)
    return torch.stack([x, y], dim=2)


def landmarknet() -> LandmarkNet:
    """0.5 million parameters, 0.6 ms a look on one thread of ONNX Runtime (widths of 16 fit it)."""
    return LandmarkNet(16, (16, 32, 64, 128), (1, 2, 2, 1), head=64)
