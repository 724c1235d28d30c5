"""A small body of inverted residuals, as face recognition uses them on phones, for expressions.

The shape is that of MobileFace's identification network V2 (github.com/becauseofAI/MobileFace,
MIT), a MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381) of twelve blocks that halves the picture
five times. Its ending is MobileFaceNet's (Chen et al. 2018, arXiv:1804.07573): every place of the
last map has weights of its own for each channel, as a mouth is always below and eyes above.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import ModelError
from ...media.preprocess import Preprocess
from .network import Backbone, Part

_BLOCKS = (  # filters, stride
    *((32, 2), (32, 1), (32, 1), (32, 2), (32, 1), (32, 1)),
    *((64, 2), (64, 1), (64, 1), (128, 2), (128, 1), (128, 1)),
)
_EXPANSION = 3
_WIDTH = 256
_EPS = 1e-3  # MXNet's


def _conv(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """A convolution that keeps the picture's size (over ``stride``), and normalisation."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=_EPS),
    )


class Block(nn.Module):
    """Expanded, filtered channel by channel, projected; added to what came where that fits."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        inner = inputs * _EXPANSION
        self.expand = _conv(inputs, inner, 1)
        self.filter = _conv(inner, inner, 3, stride, groups=inner)
        self.project = _conv(inner, outputs, 1)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.project(F.relu6(self.filter(F.relu6(self.expand(x)))))
        return x + y if self.residual else y


class MobileFace(Backbone):
    """Gray levels (N, 1 or 3, S, S) -> logits (N, K).

    side : of the last map, S / 32 rounded up five times.
    """

    def __init__(self, num_classes: int, side: int) -> None:
        super().__init__(num_classes, width=_WIDTH, dropout=0.2)
        self.stem = _conv(3, 32, 3, 2)
        inputs = 32
        blocks: list[nn.Module] = []
        for outputs, stride in _BLOCKS:
            blocks.append(Block(inputs, outputs, stride))
            inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.last = _conv(inputs, _WIDTH, 1)
        self.places = nn.Sequential(
            nn.Conv2d(_WIDTH, _WIDTH, side, groups=_WIDTH, bias=False), nn.BatchNorm2d(_WIDTH)
        )

    def parts(self) -> dict[str, Part]:
        blocks: dict[str, Part] = {f"blocks.{i}": block for i, block in enumerate(self.blocks)}
        return {"stem": self._first, **blocks, "last": self._last, "places": self._places}

    def _first(self, x: Tensor) -> Tensor:
        return F.relu6(self.stem((x - 127.5) / 128))

    def _last(self, x: Tensor) -> Tensor:
        return F.relu6(self.last(x))  # (N, 256, side, side)

    def _places(self, x: Tensor) -> Tensor:
        places: Tensor = self.places(x)
        return places.flatten(1)

    def adopt(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the body of MobileFace's identification network; what follows it stays new."""
        body = {name: tensor for name, tensor in map(_renamed, tensors.items()) if name}
        # Its first convolution has offsets, which the normalisation behind it takes over.
        if "conv1_bias" in tensors and "stem.1.running_mean" in body:
            body["stem.1.running_mean"] = body["stem.1.running_mean"] - tensors["conv1_bias"]
        own = self.state_dict()
        wanted = {k for k in own if k.startswith(("stem", "blocks")) and "num_batches" not in k}
        if set(body) != wanted:
            raise ModelError("these are another network's weights: they do not name its layers")
        self._fill({**own, **body}, (None, None))


_MOMENTS = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_var": "running_var",
}


def _renamed(item: tuple[str, Tensor]) -> tuple[str, Tensor]:
    """A tensor of the file under its name here; no name for what follows the body.

    MXNet numbers convolutions and normalisations in their order, three of each to a block.
    """
    name, tensor = item
    layer, _, kind = name.partition("_")
    if layer in ("conv1", "bn1") and kind != "bias":
        place = "stem"
    elif layer.startswith(("convolution", "batchnorm")):
        number = int(layer.removeprefix("convolution").removeprefix("batchnorm"))
        place = f"blocks.{number // 3}." + ("expand", "filter", "project")[number % 3]
    else:
        return "", tensor
    return f"{place}.0.weight" if layer.startswith(
        "conv"
    ) else f"{place}.1.{_MOMENTS[kind]}", tensor


def mobileface(num_classes: int, spec: Preprocess) -> MobileFace:
    """393,472 numbers at 65 to 96 pixels (7 x 256 more at 97 to 128) and 257 for each class."""
    side = spec.size
    for _ in range(5):
        side = -(-side // 2)
    return MobileFace(num_classes, side)
