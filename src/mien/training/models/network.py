"""What networks have in common: how they take pictures, how a recipe's is built."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from ...errors import ConfigError, ModelError, UnknownName
from ...media.preprocess import LARGEST, SMALLEST
from . import TRUNK, Model, networks

Part = Callable[[Tensor], Tensor]


class Standardised(nn.Module):
    """A network that scales its input by the mean and deviation of what it was trained on.

    They are part of the weights, (1, C, 1, 1) in gray levels, so that no caller can scale
    otherwise than training did.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.full((1, channels, 1, 1), 128.0))
        self.register_buffer("std", torch.full((1, channels, 1, 1), 64.0))

    def measure(self, x: Tensor) -> None:
        """Take mean and deviation per channel over every pixel of pictures (N, C, S, S) uint8."""
        levels = torch.arange(256, dtype=torch.float64)
        for channel in range(x.shape[1]):
            counts = torch.bincount(x[:, channel].flatten(), minlength=256).double()
            mean = (counts * levels).sum() / counts.sum()
            variance = (counts * (levels - mean) ** 2).sum() / counts.sum()
            self.mean[0, channel] = mean
            self.std[0, channel] = variance.sqrt().clamp(min=1.0)  # pictures all of one gray

    def standardised(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


class LocalResponse(nn.Module):
    """x / (1 + alpha / n * sum of squares over n neighbouring channels) ** 0.75 (Krizhevsky 2012).

    The sum is a convolution by a constant band: torch's own takes ten times as long on a CPU, and
    has no bfloat16.
    """

    band: Tensor

    def __init__(self, channels: int, n: int = 5, alpha: float = 1e-4) -> None:
        super().__init__()
        at = torch.arange(channels)
        band = ((at[:, None] - at).abs() <= n // 2).float() * (alpha / n)
        self.register_buffer("band", band[:, :, None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        root = (F.conv2d(x * x, self.band) + 1).rsqrt()
        return x * root * root.sqrt()


class Backbone(nn.Module):
    """A trunk that was trained for something else, and a last layer of one's own.

    Takes gray levels (N, 1 or 3, S, S), enlarges them to ``side`` pixels if that is not 0, and
    shows gray pictures to all three colour channels.

    The trunk is a row of parts with names. What a part owns has that name in front of its own, and
    ``inside`` in front of that.

    width : numbers that the trunk makes of a picture.
    dropout : share of them left out before the last layer, in training.
    behind : the part whose output this network takes instead of pictures; "" where it takes them.
    """

    inside = ""

    def __init__(self, num_classes: int, width: int, dropout: float) -> None:
        super().__init__()
        self.side = 0
        self.behind = ""
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, num_classes))

    def parts(self) -> dict[str, Part]:
        """The trunk's parts by name, in their order.

        The first takes gray levels of three channels (N, 3, S, S), the last gives (N, width).
        """
        raise NotImplementedError

    def adopt(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the weights of a file, its last layer too where it answers as many classes.

        Raises ModelError where they are another network's.
        """
        raise NotImplementedError

    def features(self, x: Tensor) -> Tensor:
        """Gray levels (N, 1 or 3, S, S) -> (N, width)."""
        return self.between(self.shown(x), "", TRUNK)

    def shown(self, x: Tensor) -> Tensor:
        """Gray levels (N, 1 or 3, S, S) as the first part takes them, (N, 3, side, side)."""
        if self.side:
            x = F.interpolate(x, (self.side, self.side), mode="bilinear", align_corners=False)
        return x.expand(-1, 3, -1, -1)

    def between(self, x: Tensor, first: str, last: str) -> Tensor:
        """What the parts up to ``first`` gave -> what those up to ``last`` give; see ``upto``."""
        parts = self.parts()
        for name in self.upto(last)[len(self.upto(first)) :]:
            x = parts[name](x)
        return x

    def upto(self, last: str) -> list[str]:
        """The parts up to one and with it: none for "", all for "trunk"; raises UnknownName."""
        names = list(self.parts())
        if last not in ("", TRUNK, *names):
            raise UnknownName("part of the network", last, [TRUNK, *names])
        return names if last == TRUNK else names[: names.index(last) + 1] if last else []

    def owned(self, last: str) -> list[str]:
        """The modules of the parts up to one and with it, by their paths."""
        parts = [f"{self.inside}{name}" for name in self.upto(last)]
        paths = [path for path, _ in self.named_modules()]
        return [
            path
            for path in paths
            if any(path.startswith(p) and path[len(p) : len(p) + 1] in ("", "_") for p in parts)
        ]

    def hold(self, last: str) -> None:
        """Train nothing of the parts up to ``last`` and with it; raises ConfigError.

        Not where they hold normalisations, which would go on measuring pictures.
        """
        for path in self.owned(last):
            module = self.get_submodule(path).requires_grad_(False)
            if any(isinstance(inner, nn.BatchNorm2d) for inner in module.modules()):
                raise ConfigError(
                    f"{path} holds normalisations: with model.frozen up to there, augment.flip is "
                    "the only change there is"
                )

    def enter_behind(self, last: str) -> None:
        """Let go of the parts up to ``last`` and with it: from now on their output is the input."""
        for path in self.owned(last):
            parent, _, name = path.rpartition(".")
            self.get_submodule(parent)._modules[name] = nn.Identity()
        self.behind = last

    def forward(self, x: Tensor) -> Tensor:
        x = x if self.behind else self.shown(x)
        logits: Tensor = self.head(self.between(x, self.behind, TRUNK))
        return logits

    def _fill(self, weights: Mapping[str, Tensor], head: tuple[Tensor | None, ...]) -> None:
        """Load the trunk's weights, and the last layer's (weight, bias) if they fit this one."""
        own = {f"head.{key}": value for key, value in self.head.state_dict().items()}
        theirs = {key: value for key, value in zip(own, head, strict=True) if value is not None}
        fit = all(value.shape == own[key].shape for key, value in theirs.items())
        named = {**weights, **own, **(theirs if fit else {})}
        try:
            self.load_state_dict(named)
        except RuntimeError as err:
            raise ModelError(f"these are another network's weights: {err}") from err


def build(model: Model, num_classes: int) -> nn.Module:
    """The network a recipe names; raises ConfigError where it has another size than it says.

    And where it cannot take pictures as large as the recipe's.
    """
    net = _built(model, num_classes)
    check_takes(net, model, lambda other: _built(other, num_classes))
    count = parameters(net)
    if model.parameters not in (None, count):
        raise ConfigError(
            f"{model.name} at {model.size} pixels has {count:,} parameters for {num_classes} "
            f"classes, and model.parameters says {model.parameters:,}"
        )
    return net


def _built(model: Model, num_classes: int) -> nn.Module:
    net = networks.build(model.name, num_classes, model.preprocess)
    if isinstance(net, Backbone):
        net.side = model.enlarge
    elif model.enlarge or model.pretrained:
        raise ConfigError(f"{model.name} is no backbone: no model.pretrained, no model.enlarge")
    return net


def check_takes(net: nn.Module, model: Model, make: Callable[[Model], nn.Module]) -> None:
    """Raises ConfigError where a network cannot take a recipe's pictures: not every side halves.

    make : the same network for another size.
    """
    if not _takes(net, model):
        raise ConfigError(
            f"{model.name} takes no pictures of {model.size} pixels; the nearest that it takes: "
            f"model.size = {_nearest(model, make)}"
        )


def _nearest(model: Model, make: Callable[[Model], nn.Module]) -> int:
    for size in sorted(range(SMALLEST, LARGEST + 1), key=lambda size: abs(size - model.size)):
        with contextlib.suppress(ConfigError), torch.device("meta"):
            if _takes(make(replace(model, size=size)), replace(model, size=size)):
                return size
    raise AssertionError(f"{model.name} takes no pictures at all")


@torch.no_grad()
def _takes(net: nn.Module, model: Model) -> bool:
    """Tried on shapes alone: no number is computed, and none drawn."""
    shapes = {**dict(net.named_parameters()), **dict(net.named_buffers())}
    picture = torch.empty(2, model.preprocess.channels, model.size, model.size, device="meta")
    was = net.training
    try:
        functional_call(net.eval(), {k: v.to("meta") for k, v in shapes.items()}, picture)
    except RuntimeError:
        return False
    finally:
        net.train(was)
    return True


def last_layer(net: nn.Module) -> str:
    """The name of the layer that answers, a network's last linear one."""
    names = [name for name, module in net.named_modules() if isinstance(module, nn.Linear)]
    return str(names[-1])


def parameters(net: nn.Module) -> int:
    """How many numbers training can change."""
    return sum(p.numel() for p in net.parameters() if p.requires_grad)
