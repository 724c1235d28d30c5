"""The optimisation: what a recipe says of it, and the learning rate of each step."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import ConfigError, UnknownName

PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")
"""Fabric's that keep the weights in 32 bits, as their moving average and an export need them."""

_LIMITS: dict[str, tuple[int, float]] = {
    "epochs": (1, math.inf),
    "batch": (2, math.inf),
    "lr": (0, math.inf),
    "momentum": (0, 1),
    "weight_decay": (0, math.inf),
    "warmup_epochs": (0, math.inf),
    "ema_decay": (0, 1),
    "seed": (0, 2**32 - 1),  # what NumPy's old generator takes
    "epoch_steps": (0, math.inf),
}


@dataclass(frozen=True, slots=True)
class Train:
    """The optimisation.

    lr : peak learning rate; it rises linearly over warmup_epochs and falls as a cosine to 0.
    weight_decay : on convolution and matrix weights only, never on biases or normalisation.
    ema_decay : of the moving average of the weights, which is what gets evaluated and exported.
    precision : one of ``PRECISIONS``; "auto" is bfloat16 where the machine computes in it.
    schedule : "cosine", or "constant" after the warm-up.
    epoch_steps : steps of an epoch, where a paper counts these; 0 for as many as show every picture
        once. Pictures come in one random order after another. ``mien reproduce`` tests such a run
        after every epoch.
    """

    epochs: int
    batch: int = 128
    optimizer: str = "sgd"
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    warmup_epochs: int = 2
    ema_decay: float = 0.999
    precision: str = "auto"
    seed: int = 1
    schedule: str = "cosine"
    epoch_steps: int = 0

    def __post_init__(self) -> None:
        if self.schedule not in ("cosine", "constant"):
            raise ConfigError(f"train.schedule is cosine or constant, got '{self.schedule}'")
        if self.optimizer not in ("sgd", "adamw"):
            raise ConfigError(f"train.optimizer is sgd or adamw, got '{self.optimizer}'")
        if self.precision not in PRECISIONS:
            raise UnknownName("train.precision", self.precision, PRECISIONS)
        for name, (least, most) in _LIMITS.items():
            value = getattr(self, name)
            if not least <= value <= most:
                limits = f"at least {least}" if most == math.inf else f"in [{least}, {most}]"
                raise ConfigError(f"train.{name} is {limits}, got {value}")


def learning_rate(t: Train, step: int, steps_per_epoch: int) -> float:
    """Linear warm-up, then half a cosine to 0 at the last step (Loshchilov & Hutter 2017).

    Or the same to the end, where the recipe says so.
    """
    warmup, total = t.warmup_epochs * steps_per_epoch, t.epochs * steps_per_epoch
    if step < warmup:
        return t.lr * (step + 1) / warmup
    if t.schedule == "constant":
        return t.lr
    return t.lr * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))
