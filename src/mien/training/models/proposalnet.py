"""A small network that says where in a picture faces might be, in one pass over all of it.

Cells of four grids, each twice as coarse as the one before, answer for the faces whose middle they
hold and whose size is theirs (Lin et al. 2017, arXiv:1612.03144, for the grids; Tian et al. 2019,
arXiv:1904.01355, for answers without anchor boxes). It needs not be sure: what it proposes, the
landmark network looks at closely.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...faces.proposals import ANSWERS, STRIDES
from .resnet import BasicBlock, conv3x3

_RARE = -4.6  # log odds of one in a hundred: training starts where most cells hold no face


class ProposalNet(nn.Module):
    """Gray levels (N, 1, H, W) in 0..255, H and W multiples of 64 -> four maps (N, 6, h, w).

    The maps are as coarse as ``proposals.STRIDES`` says; ``proposals.decode`` says what their six
    numbers mean.

    Parameters
    ----------
    stem : channels of the first two convolutions, each of which halves the picture
    widths : channels of the four stages, which halve it again to the grids' sizes
    head : channels of the mixed scales
    """

    mean: Tensor
    std: Tensor

    def __init__(self, stem: tuple[int, int], widths: tuple[int, int, int, int], head: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(128.0))
        self.register_buffer("std", torch.tensor(64.0))
        self.stem = nn.ModuleList([conv3x3(1, stem[0], 2), conv3x3(stem[0], stem[1], 2)])
        inputs = (stem[1], *widths[:3])
        self.stages = nn.ModuleList(
            BasicBlock(i, o, 2) for i, o in zip(inputs, widths, strict=True)
        )
        self.lateral = nn.ModuleList(nn.Conv2d(width, head, 1) for width in widths)
        self.mix = nn.ModuleList(conv3x3(head, head) for _ in STRIDES)
        self.answer = nn.Conv2d(head, ANSWERS, 1)
        nn.init.zeros_(self.answer.bias)  # type: ignore[arg-type]
        with torch.no_grad():
            self.answer.bias[0] = _RARE  # type: ignore[index]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = (x - self.mean) / self.std
        for halve in self.stem:
            x = F.relu(halve(x))
        scales = []
        for stage in self.stages:
            x = stage(x)
            scales.append(x)
        mixed = self.lateral[-1](scales[-1])
        maps = [self._answers(mixed, -1)]
        for i in range(len(STRIDES) - 2, -1, -1):
            mixed = F.interpolate(mixed, scale_factor=2.0, mode="nearest")
            mixed = mixed + self.lateral[i](scales[i])
            maps.append(self._answers(mixed, i))
        return tuple(reversed(maps))

    def _answers(self, mixed: Tensor, scale: int) -> Tensor:
        answers: Tensor = self.answer(F.relu(self.mix[scale](F.relu(mixed))))
        return answers


def proposalnet() -> ProposalNet:
    """0.4 million parameters; 0.2 thousand million multiply-adds on 320 x 320 pixels."""
    return ProposalNet((16, 32), (48, 64, 80, 80), head=48)
