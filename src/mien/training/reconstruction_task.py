"""Training an autoencoder to give pictures back.

The paper's "greedy layer-wise pre-training, then fine-tuning" is two runs. With one hidden layer
there is one layer to pre-train: it learns with the decoder tied to it (``autoencoder.tied``), as
greedy pre-training does, and the fine-tuning starts from that run's weights (``mien train --init``)
with a decoder of its own, so that both maps move. A deeper stack would pre-train its layers one
after the other; here only the untying tells the two stages apart.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from ..data.table import Table
from ..errors import ConfigError
from .augment import augment
from .models.autoencoder2018 import Autoencoder
from .recipes import ReconstructionRecipe
from .reconstruction_data import sides
from .tasks import Samples, Sets, predict


class ReconstructionTask:
    """Pictures -> the same pictures, by the mean squared error of their gray levels."""

    def __init__(self, recipe: ReconstructionRecipe) -> None:
        if recipe.model.color != "gray":
            raise ConfigError(f"the autoencoder takes gray pictures, not {recipe.model.color}")
        if recipe.autoencoder.hidden == 0:
            raise ConfigError("autoencoder.hidden = 0 is no autoencoder; there is nothing to train")
        self._recipe = recipe

    def network(self) -> nn.Module:
        wanted = self._recipe.autoencoder
        return Autoencoder(wanted.hidden, self._recipe.model.size, wanted.tied)

    def begin(self, net: nn.Module, train: Samples) -> None:
        assert isinstance(net, Autoencoder)
        net.measure(train.x)

    def change(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """The target is the picture as the network sees it; ``y`` holds nothing."""
        seen = augment(x, self._recipe.augment, generator)
        return seen, seen

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        return F.mse_loss(outputs.float(), y)

    def score(self, net: nn.Module, select: Samples, device: torch.device) -> dict[str, float]:
        """``rmse`` : root of the mean squared error, gray levels."""
        outputs = torch.cat(predict(net, select.x, device))
        return {"rmse": F.mse_loss(outputs, select.x.float()).sqrt().item()}

    def rank(self, figures: dict[str, float]) -> tuple[float, ...]:
        return (-figures["rmse"],)


def prepare(recipe: ReconstructionRecipe, table: Table) -> Sets:
    """The train and select samples of a recipe; every row counts, whatever its label."""
    data, spec = recipe.data, recipe.model.preprocess
    train, select, counts = sides(data, table)
    return sets(torch.from_numpy(train.planes(spec)), torch.from_numpy(select.planes(spec)), counts)


def sets(train: Tensor, select: Tensor, counts: dict[str, int]) -> Sets:
    """Pictures (N, 1, S, S) uint8 as what a run takes."""
    return Sets(_samples(train), _samples(select), len(train), {"counts": counts})


def _samples(x: Tensor) -> Samples:
    return Samples(x, torch.empty(len(x), 0))


def reconstruct(net: nn.Module, x: Tensor, device: torch.device) -> Tensor:
    """Pictures (N, 1, S, S) uint8 as an autoencoder gives them back, the same shape and type."""
    return torch.cat(predict(net, x, device)).round().clamp(0, 255).to(torch.uint8)
