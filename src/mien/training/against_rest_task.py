"""One expression told from all the others: what its CNN is trained for."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..data.against_rest import Drawn
from .expression_task import Classification
from .models import Model
from .models.autoencoder2018 import UnitsCnn
from .models.network import check_takes
from .recipes import AgainstRestRecipe
from .tasks import Samples, Sets

REST, POSITIVE = 0, 1
"""Columns of the targets and logits."""


class AgainstRestTask(Classification):
    """Reconstructed pictures -> logits (N, 2) of the rest and the expression, by cross-entropy."""

    def __init__(self, recipe: AgainstRestRecipe) -> None:
        super().__init__(recipe)
        self._model, self._width = recipe.model, recipe.cnn.width

    def network(self) -> nn.Module:
        net = self._network(self._model)
        check_takes(net, self._model, self._network)
        return net

    def _network(self, model: Model) -> nn.Module:
        return UnitsCnn(2, model.preprocess.channels, self._width)


def samples(drawn: Drawn, pictures: Tensor) -> Samples:
    """The pictures of drawn rows, (n, C, S, S) uint8, with one-hot targets (n, 2)."""
    return Samples(pictures, torch.eye(2)[(torch.arange(len(drawn.rows)) < drawn.positives).long()])


def sets(train: Samples, select: Samples) -> Sets:
    """Both sides as a run takes them, every picture once an epoch."""
    return Sets(train, select, len(train), {})
