"""GoogLeNet (Szegedy et al. 2015, arXiv:1409.4842) as BVLC trained it on ImageNet with Caffe.

Local response normalisation, pooling that rounds up, true 5 x 5 convolutions, no batch
normalisation: the GoogLeNet of torchvision is another network. The auxiliary classifiers, which
helped in training alone, are left out.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...media.preprocess import Preprocess
from .network import Backbone, LocalResponse, Part

_MEAN_RGB = (123.0, 117.0, 104.0)
_INCEPTIONS = {  # inputs; filters of 1x1, 3x3_reduce, 3x3, 5x5_reduce, 5x5, pool_proj
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64),
    "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}


def _halve(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 3, 2, ceil_mode=True)


class GoogLeNet(Backbone):
    """Gray levels (N, 1 or 3, S, S), S at least 32 -> logits (N, K).

    Convolutions have the names of Caffe's layers. The file's first one takes BGR; turned round, it
    takes RGB here.
    """

    inside = "conv."
    mean: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes, width=1024, dropout=0.4)
        self.register_buffer("mean", torch.tensor(_MEAN_RGB)[None, :, None, None], persistent=False)
        self.conv = nn.ModuleDict(
            {
                "conv1_7x7_s2": nn.Conv2d(3, 64, 7, 2, padding=3),
                "conv2_3x3_reduce": nn.Conv2d(64, 64, 1),
                "conv2_3x3": nn.Conv2d(64, 192, 3, padding=1),
            }
        )
        for name, (inputs, one, reduce3, three, reduce5, five, pool) in _INCEPTIONS.items():
            layers = {
                "1x1": nn.Conv2d(inputs, one, 1),
                "3x3_reduce": nn.Conv2d(inputs, reduce3, 1),
                "3x3": nn.Conv2d(reduce3, three, 3, padding=1),
                "5x5_reduce": nn.Conv2d(inputs, reduce5, 1),
                "5x5": nn.Conv2d(reduce5, five, 5, padding=2),
                "pool_proj": nn.Conv2d(inputs, pool, 1),
            }
            self.conv.update({f"inception_{name}_{key}": layer for key, layer in layers.items()})
        self.norm1, self.norm2 = LocalResponse(64), LocalResponse(192)

    def parts(self) -> dict[str, Part]:
        inceptions = {f"inception_{n}": functools.partial(self._block, n) for n in _INCEPTIONS}
        return {"conv1": self._first, "conv2": self._second, **inceptions}

    def _first(self, x: Tensor) -> Tensor:
        x = self._relu("conv1_7x7_s2", x - self.mean)
        normed: Tensor = self.norm1(_halve(x))
        return normed

    def _second(self, x: Tensor) -> Tensor:
        x = self._relu("conv2_3x3", self._relu("conv2_3x3_reduce", x))
        return _halve(self.norm2(x))

    def _block(self, name: str, x: Tensor) -> Tensor:
        """An inception, and the pooling behind it if there is one."""
        x = self._inception(f"inception_{name}", x)
        if name in ("3b", "4e"):
            return _halve(x)
        return x.mean((2, 3)) if name == "5b" else x

    def _relu(self, name: str, x: Tensor) -> Tensor:
        return F.relu(self.conv[name](x))

    def _inception(self, name: str, x: Tensor) -> Tensor:
        parts = [
            self._relu(f"{name}_1x1", x),
            self._relu(f"{name}_3x3", self._relu(f"{name}_3x3_reduce", x)),
            self._relu(f"{name}_5x5", self._relu(f"{name}_5x5_reduce", x)),
            self._relu(f"{name}_pool_proj", F.max_pool2d(x, 3, 1, padding=1)),
        ]
        return torch.cat(parts, dim=1)

    def adopt(self, tensors: Mapping[str, Tensor]) -> None:
        last = "loss3_classifier"
        weights = {f"conv.{k}": v for k, v in tensors.items() if not k.startswith(last)}
        first = "conv.conv1_7x7_s2.weight"
        if first in weights:
            weights[first] = weights[first].flip(1)
        self._fill(weights, (tensors.get(f"{last}.weight"), tensors.get(f"{last}.bias")))


def googlenet(num_classes: int, spec: Preprocess) -> GoogLeNet:
    """5,973,552 numbers and 1,025 for each class."""
    return GoogLeNet(num_classes)
