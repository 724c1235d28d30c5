"""One expression told from all the others: what its CNN is trained for."""

from __future__ import annotations

from torch import nn

from .expression_task import Classification
from .models.autoencoder2018 import UnitsCnn
from .recipes import AgainstRestRecipe

REST, POSITIVE = 0, 1
"""Columns of the targets and logits."""


class AgainstRestTask(Classification):
    """Reconstructed pictures -> logits (N, 2) of the rest and the expression, by cross-entropy."""

    def __init__(self, recipe: AgainstRestRecipe) -> None:
        super().__init__(recipe)
        self._channels, self._width = recipe.model.preprocess.channels, recipe.cnn.width

    def network(self) -> nn.Module:
        return UnitsCnn(2, self._channels, self._width)
