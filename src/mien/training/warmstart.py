"""A network filled from a model file, to be trained further.

An ONNX file has its normalisations folded into the convolutions before them. Read back as they are,
they would scale every channel anew in the first step of training, when a batch's own statistics
take the place of the running ones. So those are measured first, on the pictures that the network
will be trained on, and scale and offset chosen such that its answers stay the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from .. import foreign
from ..errors import ConfigError, ModelError
from ..evaluation.panel import seen
from ..expression.recognize import ModelInfo, OnnxRecognizer
from ..labels import LabelSet
from ..weights import catalogue
from . import checkpoint
from .models.network import last_layer
from .recipes import ExpressionRecipe, ProposalRecipe, Recipe, from_values
from .seen import Part, of_run

_PICTURES, _SCENES = 512, 32  # to measure statistics on; scenes have many more pixels


class Start:
    """The weights that a run begins with.

    source : the folder of an earlier run, whose averaged weights after the last epoch are taken;
        its ``weights.safetensors``; a model file of mien's (.onnx); or the name of a model in the
        catalogue. Raises UnknownName, ModelError.
    """

    def __init__(self, source: str) -> None:
        self._path = Path(source)
        self._run = self._path.is_dir()
        if self._run:
            self._path /= "checkpoint.safetensors"
        if self._path.suffix not in (".safetensors", ".onnx"):
            self._path, _ = catalogue.read(catalogue.spec(source))
        try:
            self._content = self._path.read_bytes()
        except OSError as err:
            raise ModelError(f"cannot read {self._path}: {err.strerror}") from err
        self.sha256 = catalogue.sha256(self._content)

    @property
    def seen(self) -> list[Part]:
        """Whose pictures its network learnt from (``mien.training.seen``), as far as it tells."""
        if self._path.suffix == ".safetensors":
            return of_run(self._path.parent)
        training = OnnxRecognizer(self._content, "the model to start from", "").info.card.get(
            "training"
        )
        return seen(training) if training else []

    def fill(self, net: nn.Module, recipe: Recipe, x: Tensor) -> None:
        """Fill a recipe's network; x are pictures it will be trained on, (N, C, S, S) uint8."""
        if self._run:
            weights = checkpoint.average(self._path)
            with checkpoint.fitting(self._path):
                if isinstance(recipe, ExpressionRecipe):
                    weights |= _heads_of(self._path.parent, weights, net, recipe)
                net.load_state_dict(weights)
        elif self._path.suffix == ".safetensors":
            checkpoint.load_weights(net, self._path)
        elif isinstance(recipe, ExpressionRecipe):
            shares = recipe.answers == "probabilities"
            fill(net, self._content, recipe.data.names, x, calibrated=shares)
        elif isinstance(recipe, ProposalRecipe):
            with _fitting():
                net.load_state_dict(_by_name(net, self._content))
            _standardise(net, x[:_SCENES])
        else:
            raise ConfigError("landmarks start from a weights.safetensors, not from a model file")


def fill(
    net: nn.Module, content: bytes, labels: LabelSet, x: Tensor, calibrated: bool = True
) -> None:
    """Give a network the weights of a model file of mien's.

    The answers are those of the file, over ``labels`` only; ``calibrated``, or as the file's
    network gives them, whose sigmoids may be intensities. x : pictures (N, C, S, S) uint8 of the
    kind the network will see. Raises ModelError for the file of another network, UnknownName where
    it does not know one of the labels.
    """
    with _fitting():
        filled = _by_name(net, content)
        info = OnnxRecognizer(content, "the model to start from", "").info
        if not calibrated:
            info = replace(info, temperature=1.0, offsets=None)
        net.load_state_dict(filled | _head(net, filled, info, labels))
    _standardise(net, x)


def _heads_of(
    run: Path, weights: dict[str, Tensor], net: nn.Module, recipe: ExpressionRecipe
) -> dict[str, Tensor]:
    """The last layer, with those heads of a run that have the recipe's names and labels.

    Other heads of the recipe stay as the network has them. Raises ModelError for a run that has
    none of them, or that does not say which heads are its own.
    """
    try:
        then = from_values(foreign.table(checkpoint.kept(run / "recipe.json")["recipe"], "recipe"))
    except (KeyError, ValueError, ConfigError) as err:
        raise ModelError(f"{run} does not say which heads it has: {err}") from err
    theirs = then.heads if isinstance(then, ExpressionRecipe) else {}
    name = last_layer(net)
    parts = {key: net.state_dict()[key].clone() for key in (f"{name}.weight", f"{name}.bias")}
    known = [head for head, (names, _) in recipe.heads.items() if _answers(theirs, head, names)]
    if not known:
        raise ModelError(f"{run} answers {', '.join(theirs)}, and none of the recipe's heads")
    for key, part in parts.items():
        for head in known:
            part[recipe.heads[head][1]] = weights[key][theirs[head][1]]
    return parts


def _answers(heads: Mapping[str, tuple[LabelSet, slice]], name: str, names: LabelSet) -> bool:
    return name in heads and heads[name][0].labels == names.labels


@contextmanager
def _fitting() -> Iterator[None]:
    """What shows that a file is another network's, as ModelError."""
    try:
        yield
    except (RuntimeError, IndexError) as err:
        raise ModelError(
            f"the model to start from holds another network's weights: {checkpoint.brief(err)}"
        ) from err


def _by_name(net: nn.Module, content: bytes) -> dict[str, Tensor]:
    """Weights by the network's own names; each normalisation does nothing but add."""
    import onnx

    found = _whole(
        {
            tensor.name: torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy())
            for tensor in onnx.load_from_string(content).graph.initializer
        }
    )
    wanted = net.state_dict()
    filled = {name: _apart(found[name], wanted[name]) for name in wanted if name in found}
    for name, module in net.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            parent, _, place = name.rpartition(".")
            if not place.isdecimal():
                continue  # behind no convolution of its own, so that its numbers are in the file
            bias = found.get(f"{parent}.{int(place) - 1}.weight_bias")
            if bias is not None:
                same = nn.BatchNorm2d(len(bias), module.eps)
                same.running_var = torch.full_like(bias, 1 - module.eps)
                same.bias = nn.Parameter(bias)
                filled |= {f"{name}.{key}": value for key, value in same.state_dict().items()}
    return filled


def _apart(found: Tensor, wanted: Tensor) -> Tensor:
    """A convolution's weight as the network has it, which averages before its 1 x 1 convolution.

    In eight bits it takes the pixels of the average itself, all alike (``mien.training.quantize``).
    """
    within = found.ndim == 4 and wanted.shape[2:] == (1, 1) and found.shape[2:] != (1, 1)
    if within and bool((found == found[..., :1, :1]).all()):
        return found.sum(dim=(2, 3), keepdim=True)
    return found


def _whole(found: dict[str, Tensor]) -> dict[str, Tensor]:
    """A file's tensors with those in eight bits, and the offsets beside them, as float32."""
    rounded = [name.removesuffix("_quantized") for name in found if name.endswith("_quantized")]
    for name in rounded:
        values = found[f"{name}_quantized"].float()
        # Offsets say "_quantized_scale", weights "_scale"; their zero is 0, as both are signed.
        scale = found.get(f"{name}_quantized_scale", found.get(f"{name}_scale"))
        assert scale is not None
        found[name] = values * scale.view(-1, *[1] * (values.ndim - 1))
    return found


def _head(
    net: nn.Module, filled: dict[str, Tensor], info: ModelInfo, labels: LabelSet
) -> dict[str, Tensor]:
    """The last layer, for these labels alone, with the file's temperature and offsets in it.

    What it has behind them, for further heads, stays as the network has it.
    """
    name = last_layer(net)
    if f"{name}.weight" not in filled:
        return {}
    rows = torch.from_numpy(labels.permutation_from(info.label_set))
    offsets = torch.tensor(info.offsets or [0.0] * len(info.label_set))
    weight = filled[f"{name}.weight"][rows] / info.temperature
    bias = (filled[f"{name}.bias"] / info.temperature + offsets)[rows]
    own = net.state_dict()
    return {
        f"{name}.weight": torch.cat([weight, own[f"{name}.weight"][len(rows) :]]),
        f"{name}.bias": torch.cat([bias, own[f"{name}.bias"][len(rows) :]]),
    }


@torch.no_grad()
def _standardise(net: nn.Module, x: Tensor) -> None:
    """Measure what reaches each normalisation, and let it standardise without changing a thing."""
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    seen: dict[nn.Module, tuple[Tensor, Tensor]] = {}

    def measure(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        var, mean = torch.var_mean(inputs[0], dim=(0, 2, 3))
        seen[module] = (mean, var)

    hooks = [norm.register_forward_pre_hook(measure) for norm in norms]
    net.eval()
    net(x[:: max(1, len(x) // _PICTURES)][:_PICTURES].float())
    for hook in hooks:
        hook.remove()
    for norm in norms:
        mean, var = seen[norm]
        assert norm.running_mean is not None
        assert norm.running_var is not None
        before = norm.weight / (norm.running_var + norm.eps).sqrt()
        norm.bias.add_(before * (mean - norm.running_mean))
        norm.weight.copy_(before * (var + norm.eps).sqrt())
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(var)
