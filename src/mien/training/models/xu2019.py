"""The small VGG-S of Xu et al. (2019): smaller kernels and fewer channels, 12.1 MB of weights.

VGG-S is the slow one of Chatfield et al. (2014, arXiv:1405.3531): five convolutions, three
poolings, three fully connected layers, 7 x 7 and 5 x 5 kernels, 512 channels, over 500 MB. The
paper names its size and the ways to it, not the layers; these are ours. Each of VGG-S's layers is
here, its pooling by three with it, and as in Caffe a pooling keeps what is left at the border.
Where VGG-S normalises responses after the first convolution, batches are normalised after each.
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import ConfigError
from ...media.preprocess import Preprocess
from .network import Standardised

_LEAST = 16  # pixels of a side; smaller ones are gone before the last convolution


class Xu2019(Standardised):
    """Gray levels (N, C, S, S) -> logits (N, num_classes); the paper's S is 128.

    Examples
    --------
    >>> import torch
    >>> Xu2019(7, Preprocess(128, "gray"))(torch.zeros(2, 1, 128, 128)).shape
    torch.Size([2, 7])
    """

    def __init__(self, num_classes: int, spec: Preprocess) -> None:
        super().__init__(spec.channels)
        self.conv1 = _convolution(spec.channels, 32, 5, stride=2)
        self.conv2 = _convolution(32, 64, 3)
        self.conv3 = _convolution(64, 128, 3)
        self.conv4 = _convolution(128, 128, 3)
        self.conv5 = _convolution(128, 128, 3)
        last = spec.size  # 4 of 128 pixels
        for stride in (2, 3, 2, 3):  # the first convolution, and poolings by 3, 2 and 3
            last = math.ceil(last / stride)
        self.fc6 = nn.Linear(128 * last * last, 1024)
        self.fc7 = nn.Linear(1024, 512)
        self.fc8 = nn.Linear(512, num_classes)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.conv1(self.standardised(x)), 3, ceil_mode=True)
        x = F.max_pool2d(self.conv2(x), 2, ceil_mode=True)
        x = self.conv5(self.conv4(self.conv3(x)))
        x = F.max_pool2d(x, 3, ceil_mode=True).flatten(1)
        x = self.dropout(F.relu(self.fc6(x)))
        x = self.dropout(F.relu(self.fc7(x)))
        logits: Tensor = self.fc8(x)
        return logits


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def xu2019(num_classes: int, spec: Preprocess) -> Xu2019:
    """Of 128 pixels: 3.0 million parameters, 12.1 MB, and 59 million multiply-adds."""
    if spec.size < _LEAST:
        raise ConfigError(f"xu2019 takes pictures of {_LEAST} pixels or more, not {spec.size}")
    return Xu2019(num_classes, spec)
