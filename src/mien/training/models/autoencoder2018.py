"""The two networks of autoencoder2018: an autoencoder, and a CNN that sees what it reconstructs.

The paper ("Emotion detection on the Radboud Faces Database", autoencoder units in front of a CNN)
gives the hidden units, the slope, the order of convolutions and pools, and the width. What it
leaves open is chosen here and listed in the recipe's deviations: no padding, the pools' strides,
the third pool, and a first fully connected layer as wide as the convolutions.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...media.preprocess import Preprocess
from .network import Standardised

SLOPE = 0.01
WIDTH = 512
_POOLED = 3  # the side of the last maps


class Autoencoder(Standardised):
    """Gray levels (N, 1, S, S) in 0..255 -> their reconstruction, the same shape, not clamped.

    One hidden layer of leaky rectifiers (slope 0.01) between two affine maps, so 2 x S^2 x hidden
    weights, hidden + S^2 biases.

    Parameters
    ----------
    hidden : units; 300 and 500 in the paper
    size : S
    tied : decode with the encoder's own weights, transposed: how a layer is pre-trained greedily
        (Bengio et al. 2007). An untied autoencoder takes a tied one's weights and starts with
        that transpose as its decoder (the unrolling of Hinton & Salakhutdinov 2006).
    """

    def __init__(self, hidden: int, size: int = 48, tied: bool = False) -> None:
        super().__init__(channels=1)
        self.encode = nn.Parameter(torch.empty(hidden, size * size))
        nn.init.kaiming_uniform_(self.encode, a=5**0.5)  # as nn.Linear does
        self.hidden_bias = nn.Parameter(torch.zeros(hidden))
        self.pixel_bias = nn.Parameter(torch.zeros(size * size))
        self.decode = None if tied else nn.Parameter(self.encode.detach().t().clone())
        self.register_load_state_dict_pre_hook(_unroll)  # type: ignore[no-untyped-call]

    def forward(self, x: Tensor) -> Tensor:
        pixels = self.standardised(x).flatten(1)
        units = F.leaky_relu(F.linear(pixels, self.encode, self.hidden_bias), SLOPE)
        decode = self.encode.t() if self.decode is None else self.decode
        out = F.linear(units, decode, self.pixel_bias).float()
        return out.view(x.shape) * self.std + self.mean


def _unroll(net: nn.Module, state: dict[str, Any], prefix: str, *_: object) -> None:
    """Give the weights of a tied autoencoder the decoder that an untied one asks for."""
    if net.decode is not None and prefix + "encode" in state:
        state.setdefault(prefix + "decode", state[prefix + "encode"].t().clone())


class UnitsCnn(Standardised):
    """Gray levels (N, C, S, S) in 0..255 -> logits (N, K).

    Side 48 -> convolution 5x5 -> 44 -> average 2x2 -> 22 -> convolution 5x5 -> 18 -> maximum 3x3,
    stride 2 -> 8 -> convolution 3x3 -> 6 -> maximum -> 3, then two fully connected layers; every
    layer but the last rectified. The last pool always leaves 3 x 3, which is a maximum over 2x2
    at 48 pixels.

    Parameters
    ----------
    num_classes : K
    channels : C, planes of the input
    width : filters of each convolution and units of the first fully connected layer
    """

    def __init__(self, num_classes: int, channels: int = 1, width: int = WIDTH) -> None:
        super().__init__(channels)
        self.features = nn.Sequential(
            nn.Conv2d(channels, width, 5),
            nn.ReLU(),
            nn.AvgPool2d(2),
            nn.Conv2d(width, width, 5),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(width, width, 3),
            nn.ReLU(),
            nn.AdaptiveMaxPool2d(_POOLED),
        )
        self.hidden = nn.Linear(width * _POOLED**2, width)
        self.classifier = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.features(self.standardised(x))  # (N, width, 3, 3)
        logits: Tensor = self.classifier(F.relu(self.hidden(maps.flatten(1))))
        return logits


class ReconstructedCnn(nn.Module):
    """Gray levels (N, 1, S, S) in 0..255 -> logits (N, K) of a CNN that sees the reconstruction.

    Only the CNN learns: the autoencoder has been trained to give pictures back, and goes on doing
    so. The weights of an autoencoder alone may be loaded, too; then the CNN stays as it is, and
    scales what it sees as the autoencoder does.
    """

    def __init__(self, autoencoder: Autoencoder, cnn: UnitsCnn) -> None:
        super().__init__()
        self.autoencoder, self.cnn = autoencoder.requires_grad_(False), cnn
        self.register_load_state_dict_pre_hook(_put_behind)  # type: ignore[no-untyped-call]

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.cnn(self.autoencoder(x).clamp(0, 255))
        return logits


def _put_behind(net: nn.Module, state: dict[str, Any], prefix: str, *_: object) -> None:
    """Make the weights of an autoencoder those of it with an untrained CNN behind."""
    if prefix + "encode" not in state:
        return
    assert isinstance(net, ReconstructedCnn)
    own = {prefix + "cnn." + name: value for name, value in net.cnn.state_dict().items()}
    for name in net.autoencoder.state_dict():
        if prefix + name in state:
            state[prefix + "autoencoder." + name] = state.pop(prefix + name)
    for name in ("mean", "std"):
        own[prefix + "cnn." + name] = state[prefix + "autoencoder." + name]
    state.update(own)


def autoencoder2018(num_classes: int, spec: Preprocess) -> UnitsCnn:
    """The CNN at the paper's width: 11.3 million parameters, 2.3 billion multiply-adds."""
    return UnitsCnn(num_classes, spec.channels)
