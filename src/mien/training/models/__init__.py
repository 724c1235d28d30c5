"""Networks of the laboratory by name, and what a recipe may say of one.

The networks themselves need torch; to read a recipe, nothing here does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import ConfigError
from ...faces import align
from ...media.preprocess import Preprocess
from ...registry import Registry

if TYPE_CHECKING:
    from torch import nn

networks: Registry[nn.Module] = Registry(
    "network",
    {
        "alexnet": "mien.training.models.alexnet:alexnet",
        "alexnet-small": "mien.training.models.alexnet:alexnet_small",
        "autoencoder2018": "mien.training.models.autoencoder2018:autoencoder2018",
        "emex2": "mien.training.models.emex2:emex2",
        "googlenet": "mien.training.models.googlenet:googlenet",
        "iliev2022": "mien.training.models.iliev2022:iliev2022",
        "resnet10": "mien.training.models.resnet:resnet10",
        "resnet10-slim": "mien.training.models.resnet:resnet10_slim",
        "resnet10-slim-ibn": "mien.training.models.resnet:resnet10_slim_ibn",
        "resnet18": "mien.training.models.resnet:resnet18",
        "resnet34": "mien.training.models.resnet:resnet34",
        "mobileface": "mien.training.models.mobileface:mobileface",
        "mobilenetv2": "mien.training.models.mobilenetv2:mobilenetv2",
        "xu2019": "mien.training.models.xu2019:xu2019",
    },
)
"""Factories that take (number of classes, ``Preprocess`` of the pictures)."""
landmark_networks: Registry[nn.Module] = Registry(
    "landmark network", {"landmarknet": "mien.training.models.landmarknet:landmarknet"}
)
proposal_networks: Registry[nn.Module] = Registry(
    "proposal network", {"proposalnet": "mien.training.models.proposalnet:proposalnet"}
)


TRUNK = "trunk"
"""All of a backbone but its last layer, where a part of it is named."""


@dataclass(frozen=True, slots=True)
class Model:
    """A network of the registry and the picture it takes.

    light : how a picture's lighting is evened out, a name of ``preprocess.LIGHTS``.
    align : how the faces of its table are cut (``mien data align``), and users' faces will be.
    init : the model whose weights it begins with, a name or a file; None to begin at random.
    parameters : how many the network must have, where a paper says so.
    pretrained : the catalogue's weights of a backbone to begin with, trained for something else:
        all but the last layer is theirs.
    frozen : the part of a backbone up to which, and with it, weights stay as they are; "trunk" for
        all but the last layer, "" for nothing.
    enlarge : the side in pixels that a backbone enlarges its pictures to; 0 leaves them.
    """

    name: str
    size: int = 48
    color: str = "gray"
    align: str = align.DEFAULT
    init: str | None = None
    parameters: int | None = None
    pretrained: str | None = None
    frozen: str = ""
    enlarge: int = 0
    light: str = "plain"

    def __post_init__(self) -> None:
        if self.pretrained and self.init:
            raise ConfigError("model.pretrained and model.init: a network begins with one of them")
        if self.frozen and not self.pretrained:
            raise ConfigError("model.frozen keeps weights as they are: name them, model.pretrained")
        align.known(self.align)
        self.preprocess  # noqa: B018 (raises ConfigError where they do not fit)

    @property
    def preprocess(self) -> Preprocess:
        return Preprocess(self.size, self.color, self.light)


@dataclass(frozen=True, slots=True)
class Autoencoder:
    """An autoencoder of one hidden layer.

    hidden : its units; 0 for none, where a CNN sees the pictures as they came.
    tied : decode with the encoder's own weights.
    """

    hidden: int
    tied: bool = False

    def __post_init__(self) -> None:
        if self.hidden < 0:
            raise ConfigError(f"autoencoder.hidden is at least 0, got {self.hidden}")


@dataclass(frozen=True, slots=True)
class Cnn:
    """width : filters of each convolution, units of the first fully connected layer."""

    width: int

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ConfigError(f"cnn.width is at least 1, got {self.width}")
