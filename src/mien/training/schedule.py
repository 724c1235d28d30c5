"""The optimisation: what a recipe says of it, and the learning rate of each step."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import ConfigError, UnknownName

PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")
"""Fabric's that keep the weights in 32 bits, as their moving average and an export need them."""


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
        if self.epoch_steps < 0:
            raise ConfigError(f"train.epoch_steps is at least 0, got {self.epoch_steps}")
        if self.optimizer not in ("sgd", "adamw"):
            raise ConfigError(f"train.optimizer is sgd or adamw, got '{self.optimizer}'")
        if self.precision not in PRECISIONS:
            raise UnknownName("train.precision", self.precision, PRECISIONS)
        if self.epochs < 1 or self.batch < 2:
            raise ConfigError("train.epochs is at least 1 and train.batch at least 2")


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
