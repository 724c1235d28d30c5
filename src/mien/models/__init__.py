"""Networks of the laboratory (torch), by name."""

from __future__ import annotations

from torch import nn

from ..registry import Registry

networks: Registry[nn.Module] = Registry("network")
landmark_networks: Registry[nn.Module] = Registry("landmark network")
proposal_networks: Registry[nn.Module] = Registry("proposal network")

from . import landmarknet, proposalnet, resnet  # noqa: E402  (they register themselves)

__all__ = [
    "landmark_networks",
    "landmarknet",
    "networks",
    "proposal_networks",
    "proposalnet",
    "resnet",
]
