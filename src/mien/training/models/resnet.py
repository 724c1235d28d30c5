"""Residual networks of basic blocks for faces of 48 pixels and more (He et al. 2016, CVPR)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...media.preprocess import Preprocess


def conv3x3(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """A 3 x 3 convolution that keeps the picture's size (over ``stride``), and normalisation."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outputs)
    )


class InstanceBatchNorm(nn.Module):
    """Normalises half of the maps (N, C, h, w) by each picture's own statistics, half by a batch's.

    What is a picture's look, its light and contrast, is lost to the first half; what tells two
    faces apart stays in the second (Pan et al. 2018, arXiv:1807.09441, IBN-a).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.own = channels // 2
        self.instance = nn.InstanceNorm2d(self.own, affine=True)
        self.batch = nn.BatchNorm2d(channels - self.own)

    def forward(self, x: Tensor) -> Tensor:
        own, rest = x[:, : self.own], x[:, self.own :]
        return torch.cat((self.instance(own), self.batch(rest)), dim=1)


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and a short cut around them.

    Where the block halves the picture, the short cut averages 2 x 2 pixels before its 1 x 1
    convolution; the original drops three of four (He et al. 2018, arXiv:1812.01187, ResNet-D).

    by_picture : half of the first convolution's maps are normalised by each picture alone.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, by_picture: bool = False) -> None:
        super().__init__()
        self.conv1 = conv3x3(inputs, outputs, stride)
        if by_picture:
            self.conv1[1] = InstanceBatchNorm(outputs)
        self.conv2 = conv3x3(outputs, outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(stride) if stride > 1 else nn.Identity(),
                nn.Conv2d(inputs, outputs, 1, bias=False),
                nn.BatchNorm2d(outputs),
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(F.relu(self.conv1(x)))
        return F.relu(y + self.shortcut(x))


class ResNet(nn.Module):
    """Gray levels (N, C, S, S) in 0..255 -> logits (N, K).

    The stem keeps full resolution: at 48 pixels a mouth is some 20 pixels wide, and the usual
    stride-4 stem would leave it five.

    Parameters
    ----------
    num_classes : K
    channels : C, planes of the input
    stem : channels of the first convolution
    widths, depths : channels and blocks of each stage; every stage halves the picture
    dropout : share of pooled features dropped in training
    by_picture : whether blocks before the last stage are normalised by picture in part
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        num_classes: int,
        channels: int,
        stem: int,
        widths: Sequence[int],
        depths: Sequence[int],
        dropout: float,
        by_picture: bool = False,
    ) -> None:
        super().__init__()
        # Part of the network, so that no caller can normalise otherwise than training did.
        self.register_buffer("mean", torch.tensor(128.0))
        self.register_buffer("std", torch.tensor(64.0))
        self.stem = conv3x3(channels, stem)
        blocks: list[nn.Module] = []
        inputs = stem
        for width, depth in zip(widths, depths, strict=True):
            # The last stage has to keep what tells expressions apart (IBN-Net's rule).
            own = by_picture and width != widths[-1]
            for i in range(depth):
                blocks.append(BasicBlock(inputs, width, 2 if i == 0 else 1, own))
                inputs = width
        self.blocks = nn.Sequential(*blocks)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(inputs, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = (x - self.mean) / self.std
        x = self.blocks(F.relu(self.stem(x)))  # (N, widths[-1], S/8, S/8)
        features = x.mean(dim=(2, 3))
        logits: Tensor = self.classifier(self.dropout(features))
        return logits


def resnet10(num_classes: int, spec: Preprocess) -> ResNet:
    """Ten weight layers, 1.35 million parameters, 82 million multiply-adds at 48 pixels.

    Shallow where the picture is large and convolutions are dear, deeper where it is small: the
    shape has to read a face in 2 ms on one thread of ONNX Runtime.
    """
    return ResNet(num_classes, spec.channels, 32, (48, 96, 192), (1, 1, 2), dropout=0.1)


def resnet10_slim(num_classes: int, spec: Preprocess) -> ResNet:
    """``resnet10`` with two thirds of its channels, half as many in the stem: for phones."""
    return ResNet(num_classes, spec.channels, 16, (32, 64, 128), (1, 1, 2), dropout=0.1)


def resnet10_slim_ibn(num_classes: int, spec: Preprocess) -> ResNet:
    """``resnet10_slim``, half of its early maps normalised by each picture's own statistics."""
    widths, depths = (32, 64, 128), (1, 1, 2)
    return ResNet(num_classes, spec.channels, 16, widths, depths, dropout=0.1, by_picture=True)


def resnet18(num_classes: int, spec: Preprocess) -> ResNet:
    """The original's 18 layers behind a stem that keeps full resolution, 11 million parameters."""
    return ResNet(num_classes, spec.channels, 64, (64, 128, 256, 512), (2, 2, 2, 2), dropout=0.2)


def resnet34(num_classes: int, spec: Preprocess) -> ResNet:
    """The original's 34 layers behind a stem that keeps full resolution, 21 million parameters."""
    return ResNet(num_classes, spec.channels, 64, (64, 128, 256, 512), (3, 4, 6, 3), dropout=0.2)
