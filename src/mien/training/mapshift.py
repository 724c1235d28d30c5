"""Features that move in training as they do from one data set to the next.

On pictures of another origin the maps between a network's blocks have other means, which its last
layers were never shown. So these are moved at random while it learns, each by as much as it
differs among the pictures of a batch (Li et al. 2022, arXiv:2202.03958; the paper changes the
maps' deviations, too).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..errors import ConfigError
from . import ranks

_SHARE = 0.5  # of the pictures whose maps are moved, behind each block


def shift_maps(net: nn.Module, strength: float) -> None:
    """Let the maps behind each of a network's blocks move while it trains; nothing else changes.

    strength : in standard deviations of a map's mean over the batch. Raises ConfigError for a
        network that is not made of blocks.
    """
    blocks = getattr(net, "blocks", None)
    if not isinstance(blocks, nn.Sequential):
        raise ConfigError("augment.maps goes with a network that is made of blocks: resnet10, ...")

    def moved(module: nn.Module, inputs: tuple[Tensor, ...], maps: Tensor) -> Tensor:
        return _moved(maps, strength) if module.training else maps

    for block in blocks:
        block.register_forward_hook(moved)


def _moved(maps: Tensor, strength: float) -> Tensor:
    """Maps (N, C, h, w), those of some pictures with other means."""
    with torch.no_grad():
        means = ranks.whole(maps.mean((2, 3), keepdim=True))
        spread = means.std(0, keepdim=True)
        chosen = torch.rand(len(means), 1, 1, 1, device=maps.device) < _SHARE
        by = strength * spread * torch.randn(*means.shape, device=maps.device)
        offset = ranks.own(torch.where(chosen, by, 0.0)).to(maps.dtype)
    return maps + offset
