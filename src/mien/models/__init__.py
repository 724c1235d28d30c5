"""Networks of the laboratory (torch), by name."""

from __future__ import annotations

from torch import nn

from ..registry import Registry

networks: Registry[nn.Module] = Registry("network")

from . import resnet  # noqa: E402  (it registers itself)

__all__ = ["networks", "resnet"]
