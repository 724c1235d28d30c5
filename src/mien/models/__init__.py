"""Networks of the laboratory (torch), by name."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..errors import ConfigError
from ..recipes import Model
from ..registry import Registry

networks: Registry[nn.Module] = Registry("network")
"""Factories that take (number of classes, ``Preprocess`` of the pictures)."""
landmark_networks: Registry[nn.Module] = Registry("landmark network")
proposal_networks: Registry[nn.Module] = Registry("proposal network")


class Standardised(nn.Module):
    """A network that scales its input by the mean and deviation of what it was trained on.

    They are part of the weights, (1, C, 1, 1) in gray levels, so that no caller can scale
    otherwise than training did.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.full((1, channels, 1, 1), 128.0))
        self.register_buffer("std", torch.full((1, channels, 1, 1), 64.0))

    def measure(self, x: Tensor) -> None:
        """Take mean and deviation per channel over every pixel of pictures (N, C, S, S) uint8."""
        levels = torch.arange(256, dtype=torch.float64)
        for channel in range(x.shape[1]):
            counts = torch.bincount(x[:, channel].flatten(), minlength=256).double()
            mean = (counts * levels).sum() / counts.sum()
            variance = (counts * (levels - mean) ** 2).sum() / counts.sum()
            self.mean[0, channel] = mean
            self.std[0, channel] = variance.sqrt().clamp(min=1.0)  # pictures all of one gray

    def standardised(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


def build(model: Model, num_classes: int) -> nn.Module:
    """The network a recipe names; raises ConfigError where it has another size than it says."""
    net = networks.build(model.name, num_classes, model.preprocess)
    count = parameters(net)
    if model.parameters not in (None, count):
        raise ConfigError(
            f"{model.name} at {model.size} pixels has {count:,} parameters for {num_classes} "
            f"classes, and model.parameters says {model.parameters:,}"
        )
    return net


def parameters(net: nn.Module) -> int:
    """How many numbers training can change."""
    return sum(p.numel() for p in net.parameters())


from . import (  # noqa: E402  (they register themselves)
    autoencoder2018,
    iliev2022,
    landmarknet,
    proposalnet,
    resnet,
)

__all__ = [
    "Standardised",
    "autoencoder2018",
    "build",
    "iliev2022",
    "landmark_networks",
    "landmarknet",
    "networks",
    "parameters",
    "proposal_networks",
    "proposalnet",
    "resnet",
]
