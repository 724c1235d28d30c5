"""MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381) as TensorFlow pads it, normalisations folded.

TensorFlow pads what a stride of two leaves over at the right and the bottom, torch on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from ...media.preprocess import Preprocess
from .network import Backbone, Part

_STAGES = (  # expansion, filters, blocks, stride of the first one
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class Conv(nn.Conv2d):
    """A convolution that keeps the side, or halves it, rounding up, as TensorFlow's "SAME"."""

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        around = [0, 0]
        for i, side in enumerate((x.shape[3], x.shape[2])):
            around[i] = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        wide, high = around
        x = F.pad(x, (wide // 2, wide - wide // 2, high // 2, high - high // 2))
        return super().forward(x)


class Block(nn.Module):
    """Expanded, filtered channel by channel, projected; added to what came where that fits."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expand = Conv(inputs, inner, 1) if expansion > 1 else None
        self.dw = Conv(inner, inner, 3, stride, groups=inner)
        self.project = Conv(inner, outputs, 1)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        inner = x if self.expand is None else F.relu6(self.expand(x))
        out: Tensor = self.project(F.relu6(self.dw(inner)))
        return x + out if self.residual else out


class MobileNetV2(Backbone):
    """Gray levels (N, 1 or 3, S, S) -> logits (N, K)."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes, width=1280, dropout=0.2)
        self.stem = Conv(3, 32, 3, 2)
        self.blocks = nn.ModuleList()
        inputs = 32
        for expansion, outputs, blocks, stride in _STAGES:
            for i in range(blocks):
                self.blocks.append(Block(inputs, outputs, expansion, stride if i == 0 else 1))
                inputs = outputs
        self.last = Conv(inputs, 1280, 1)

    def parts(self) -> dict[str, Part]:
        blocks: dict[str, Part] = {f"blocks.{i}": block for i, block in enumerate(self.blocks)}
        return {"stem": self._first, **blocks, "last": self._last}

    def _first(self, x: Tensor) -> Tensor:
        return F.relu6(self.stem(x / 127.5 - 1))

    def _last(self, x: Tensor) -> Tensor:
        return F.relu6(self.last(x)).mean((2, 3))

    def adopt(self, tensors: Mapping[str, Tensor]) -> None:
        weights = {_name(k): v for k, v in tensors.items() if not k.startswith("classifier")}
        last = tensors.get("classifier.weight")
        head = None if last is None else last.flatten(1)
        self._fill(weights, (head, tensors.get("classifier.bias")))


def _name(key: str) -> str:
    """Here, of a tensor in the file: block3.dw.weight is blocks.3.dw.weight."""
    if key.startswith("block"):
        return key.replace("block", "blocks.", 1)
    return key.replace("head.", "last.", 1)


def mobilenetv2(num_classes: int, spec: Preprocess) -> MobileNetV2:
    """2,206,816 numbers and 1,281 for each class."""
    return MobileNetV2(num_classes)
