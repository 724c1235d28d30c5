"""Naming expressions by what an autoencoder makes of faces: one network of both."""

from __future__ import annotations

from torch import nn

from .expression_task import ExpressionTask
from .models import Model
from .models.autoencoder2018 import Autoencoder, ReconstructedCnn, UnitsCnn
from .models.network import check_takes
from .recipes import UnitsRecipe


class UnitsTask(ExpressionTask):
    """Gray pictures -> logits over a label set. The autoencoder is trained first, and stays so.

    Without hidden units the CNN sees the pictures as they came: what the autoencoder is worth.
    """

    def __init__(self, recipe: UnitsRecipe) -> None:
        super().__init__(recipe)
        self._units, self._width = recipe.autoencoder.hidden, recipe.cnn.width

    def network(self) -> nn.Module:
        net = self._network(self.recipe.model)
        check_takes(net, self.recipe.model, self._network)
        return net

    def _network(self, model: Model) -> nn.Module:
        cnn = UnitsCnn(len(self.recipe.data.names), model.preprocess.channels, self._width)
        if not self._units:
            return cnn
        return ReconstructedCnn(Autoencoder(self._units, model.size), cnn)
