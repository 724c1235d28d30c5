"""What a network can be trained for: its samples, its loss, and what makes one epoch the best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Generator, Tensor, nn

Outputs = Any  # a Tensor, or a tuple of them: what the task's network returns


@dataclass(frozen=True, slots=True)
class Samples:
    """Pictures x (N, C, S, S) uint8, targets y (N, ...) float32.

    chances : how likely each is drawn, (N,); None where an epoch is every picture once.
    """

    x: Tensor
    y: Tensor
    chances: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, slots=True)
class Sets:
    """What a run trains on, what it selects its best epoch on, and how they came about.

    draws : how many pictures an epoch sees.
    facts : goes into ``environment.json``: counts, base rates.
    """

    train: Samples
    select: Samples
    draws: int
    facts: dict[str, Any]


class Task(Protocol):
    """One kind of training; built from a recipe."""

    def network(self) -> nn.Module: ...

    def begin(self, net: nn.Module, train: Samples) -> None:
        """What a new network takes from the training pictures before the first step."""
        ...

    def change(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """A batch as the network sees it: augmented, targets along with the pictures."""
        ...

    def loss(self, outputs: Outputs, y: Tensor) -> Tensor: ...

    def score(self, net: nn.Module, select: Samples, device: torch.device) -> dict[str, float]:
        """Figures of the select samples, the net in evaluation mode."""
        ...

    def rank(self, figures: dict[str, float]) -> tuple[float, ...]:
        """What the best epoch has most of; what follows decides where that is equal."""
        ...


def has_bfloat16(device: torch.device) -> bool:
    """Whether the hardware multiplies in bfloat16."""
    cuda = device.type == "cuda"
    return bool(torch.cuda.is_bf16_supported() if cuda else torch.cpu._is_avx512_bf16_supported())


@torch.no_grad()
def predict(net: nn.Module, x: Tensor, device: torch.device, batch: int = 512) -> list[Outputs]:
    """The outputs for pictures, part by part on the CPU, the net in evaluation mode."""
    net.eval()
    return [_to_cpu(net(x[i : i + batch].to(device).float())) for i in range(0, len(x), batch)]


def _to_cpu(outputs: Outputs) -> Outputs:
    if isinstance(outputs, tuple):
        return tuple(part.float().cpu() for part in outputs)
    return outputs.float().cpu()
