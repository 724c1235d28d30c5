"""What networks that are trained already make of the very pictures that another one learns from.

Several, each somewhat differently mistaken, are right more often together than any of them; a
network that answers as their mean does keeps most of that (Hinton et al. 2015, arXiv:1503.02531).
They see every picture as the learner does, changed and mixed: so there is an answer to each of
endlessly many (Beyer et al. 2022, arXiv:2106.05237).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import foreign
from ..errors import ConfigError, ModelError
from ..labels import LabelSet
from . import checkpoint
from .models.network import build
from .recipes import ExpressionRecipe, Recipe, from_values
from .seen import Part, of_run
from .tasks import has_bfloat16


@dataclass(frozen=True, slots=True, eq=False)
class _Teacher:
    """name : of its run's folder. sha256 : of its checkpoint's file. seen : what it knows."""

    name: str
    recipe: ExpressionRecipe
    net: nn.Module
    sha256: str
    seen: list[Part]


class Teachers:
    """The mean answer of finished runs, head by head.

    runs : folders that ``mien train`` filled, or that a finished run was kept in; their averaged
        weights after the last epoch answer. Raises ModelError for another folder, ConfigError for
        a run that did not learn to name expressions.
    """

    def __init__(self, runs: Sequence[Path]) -> None:
        self._all = [_read(run) for run in runs]

    @property
    def sha256(self) -> list[str]:
        """Of each one's checkpoint, in the order given."""
        return [teacher.sha256 for teacher in self._all]

    @property
    def seen(self) -> list[Part]:
        """Whose pictures they learnt from (``mien.training.seen``)."""
        return [part for teacher in self._all for part in teacher.seen]

    def of(self, recipe: Recipe, device: torch.device) -> Guidance:
        """What they say for the heads of a recipe; raises ConfigError where they do not fit it."""
        weight = recipe.data.teacher_weight if isinstance(recipe, ExpressionRecipe) else 0.0
        if not isinstance(recipe, ExpressionRecipe) or not weight:
            raise ConfigError("--teacher goes with expressions and a data.teacher_weight above 0")
        for teacher in self._all:
            _check(teacher, recipe)
        return Guidance(self._all, recipe, device)


class Guidance:
    """Targets that are in part what teachers answer."""

    def __init__(
        self, teachers: Sequence[_Teacher], recipe: ExpressionRecipe, device: torch.device
    ) -> None:
        self._teachers = [(t.net.to(device).eval(), t.recipe) for t in teachers]
        self._heads, self._weight = recipe.heads, recipe.data.teacher_weight

    @torch.no_grad()
    def blended(self, x: Tensor, y: Tensor) -> Tensor:
        """Targets y (N, K over all heads) and the teachers' mean answer to x (N, C, S, S).

        A head that no teacher has keeps its targets. Where nobody labelled a picture for a head (a
        row of zeros) the teachers' word is all there is, and counts whole.
        """
        said = [_answers(net, recipe, x) for net, recipe in self._teachers]
        blended = y.clone()
        for name, (_, columns) in self._heads.items():
            heard = [answers[name] for answers in said if name in answers]
            if heard:
                mean = torch.stack(heard).mean(0)
                labelled = y[:, columns].sum(1, keepdim=True) > 0
                share = torch.where(labelled, self._weight, 1.0)
                blended[:, columns] = y[:, columns].lerp(mean, share.to(y).expand_as(mean))
        return blended


def _answers(net: nn.Module, recipe: ExpressionRecipe, x: Tensor) -> dict[str, Tensor]:
    """Probabilities (N, K) of each of a teacher's heads for pictures of any size."""
    side = recipe.model.size
    if x.shape[-1] != side:
        x = F.interpolate(x, (side, side), mode="bilinear", antialias=True)
    half = recipe.train.precision == "bf16-mixed" or (
        recipe.train.precision == "auto" and has_bfloat16(x.device)
    )
    with torch.autocast(x.device.type, torch.bfloat16, enabled=half):
        logits = net(x.contiguous(memory_format=torch.channels_last)).float()
    return {name: logits[:, columns].softmax(1) for name, (_, columns) in recipe.heads.items()}


def _read(run: Path) -> _Teacher:
    try:
        recipe = from_values(
            foreign.table(checkpoint.kept(run / "recipe.json")["recipe"], "recipe")
        )
    except (KeyError, ValueError, ConfigError) as err:
        raise ModelError(f"{run} is not the folder of a finished run: {err}") from err
    if not isinstance(recipe, ExpressionRecipe) or recipe.answers != "probabilities":
        raise ConfigError(f"{run} did not learn to name expressions, so it teaches none")
    path = run / "checkpoint.safetensors"
    net = build(recipe.model, sum(len(names) for names, _ in recipe.heads.values()))
    with checkpoint.fitting(path):
        net.load_state_dict(checkpoint.average(path))
    net.requires_grad_(False)
    found = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return _Teacher(run.name, recipe, found, sha256, of_run(run))


def _check(teacher: _Teacher, recipe: ExpressionRecipe) -> None:
    """Raises ConfigError where a teacher cannot judge a recipe's pictures or answer its heads."""
    theirs, ours = teacher.recipe.model, recipe.model
    for name in ("align", "color", "light"):
        if getattr(theirs, name) != getattr(ours, name):
            raise ConfigError(
                f"the teacher {teacher.name} has model.{name} = '{getattr(theirs, name)}', the "
                f"recipe '{getattr(ours, name)}'"
            )
    both = {name for name in teacher.recipe.heads if name in recipe.heads}
    if not both:
        raise ConfigError(
            f"the teacher {teacher.name} answers {', '.join(teacher.recipe.heads)}, and the recipe "
            f"asks for {', '.join(recipe.heads)}"
        )
    for name in both:
        known, asked = _labels(teacher.recipe, name), _labels(recipe, name)
        if known.labels != asked.labels:
            raise ConfigError(
                f"the teacher {teacher.name} answers {known.labels} for '{name}', the recipe "
                f"{asked.labels}"
            )


def _labels(recipe: ExpressionRecipe, head: str) -> LabelSet:
    return recipe.heads[head][0]
