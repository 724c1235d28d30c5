"""Training a network to name expressions, against labels or the shares of taggers' votes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from ..data.table import Table
from ..errors import ConfigError, DataError
from ..face import FloatArray
from ..faces import align
from .augment import augment, mixup
from .expression_data import OWN_HEAD, Also, brought, drawn, judged, labelled, sides, wanted
from .mapshift import shift_maps
from .models.network import Standardised, build
from .recipes import ExpressionRecipe, Recipe
from .tasks import Samples, Sets, predict

log = logging.getLogger(__name__)


class Classification:
    """Pictures -> logits over classes, by cross-entropy; subclasses build the network."""

    def __init__(self, recipe: Recipe) -> None:
        self._augment = recipe.augment

    def begin(self, net: nn.Module, train: Samples) -> None:
        if isinstance(net, Standardised):
            net.measure(train.x)

    def change(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        x = augment(x, self._augment, generator)
        return mixup(x, y, self._augment.mixup, generator) if self._augment.mixup else (x, y)

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        return cross_entropy(outputs, y)

    def score(self, net: nn.Module, select: Samples, device: torch.device) -> dict[str, float]:
        return score(torch.cat(predict(net, select.x, device)), select.y)

    def rank(self, figures: dict[str, float]) -> tuple[float, ...]:
        return rank(figures)


class ExpressionTask(Classification):
    """Pictures -> logits over a label set, and over those of further heads behind it."""

    def __init__(self, recipe: ExpressionRecipe) -> None:
        super().__init__(recipe)
        self.recipe = recipe
        self._weights = [1.0, *(head.weight for head in recipe.also)]

    def network(self) -> nn.Module:
        net = build(self.recipe.model, sum(len(names) for names, _ in self.recipe.heads.values()))
        if self._augment.maps:
            shift_maps(net, self._augment.maps)
        return net

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The sum over heads; a row whose targets of a head are all 0 asks nothing of it."""
        losses = [
            weight * cross_entropy(outputs[:, columns], y[:, columns])
            for weight, (_, columns) in zip(self._weights, self.recipe.heads.values(), strict=True)
        ]
        return torch.stack(losses).sum()

    def score(self, net: nn.Module, select: Samples, device: torch.device) -> dict[str, float]:
        """Figures of the recipe's own labels, and of each further head its accuracy."""
        logits = torch.cat(predict(net, select.x, device))
        figures: dict[str, float] = {}
        for name, (_, columns) in self.recipe.heads.items():
            asked = select.y[:, columns].any(dim=1)
            if not asked.any():
                continue  # its table knows no picture of this side
            found = score(logits[asked][:, columns], select.y[asked][:, columns])
            own = name == OWN_HEAD
            figures |= found if own else {f"{name}_{key}": v for key, v in found.items()}
        return figures


class IntensityTask(ExpressionTask):
    """Pictures -> logits whose sigmoid is how strongly each label of a set shows.

    Sigmoid cross-entropy on the vector of intensities (Xu et al. 2019): each label is a question of
    its own, and half an answer is one.
    """

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(outputs.float(), y)

    def score(self, net: nn.Module, select: Samples, device: torch.device) -> dict[str, float]:
        logits = torch.cat(predict(net, select.x, device))
        error = (torch.sigmoid(logits) - select.y).square().mean().sqrt()
        right = logits.argmax(1) == select.y.argmax(1)
        return {"rmse": error.item(), "accuracy": right.float().mean().item()}

    def rank(self, figures: dict[str, float]) -> tuple[float, ...]:
        return (-figures["rmse"],)


def prepare(
    recipe: ExpressionRecipe,
    table: Table,
    shown: Callable[[Table], Tensor] | None = None,
    further: Mapping[str, Table] | None = None,
) -> Sets:
    """The train and select samples of a recipe, with what was left out counted.

    shown : what the trained network gets of some rows, if not their pictures.
    further : the tables of ``recipe.also``, by name.

    Select rows are labelled by majority whatever the training target is, as the best epoch is the
    one that names most faces right; where intensities are learnt, by these.
    """
    known = further or {}
    own = [known[head.table] for head in recipe.also if head.pictures == "own"]
    for one in (table, *own):
        _check(recipe, one)
    for one in own:
        if table.are_crops and not one.are_crops:
            log.warning(
                "%s holds photographs, as far as the size of its pictures tells, and %s faces that "
                "are cut out; cut them alike: mien data align",
                one.name,
                table.name,
            )
    labels = recipe.data.names
    train, select, counts = sides(recipe.data, table)
    eye = np.eye(len(labels), dtype=np.float32)
    y = eye[train.targets(labels)]
    if recipe.data.target != "label":
        y = wanted(recipe.data, train)
    chances = drawn(train.targets(labels), recipe.data.balance)
    # Base rates are those of the pictures drawn.
    shares = eye[train.targets(labels)] if recipe.answers == "intensities" else y
    base_rates = tuple(float(v) for v in (shares.mean(0) if chances is None else chances @ shares))
    learnt = recipe.answers == "intensities"
    right = wanted(recipe.data, select) if learnt else eye[select.targets(labels)]
    to_learn, to_judge = [(train, {OWN_HEAD: y})], [(select, {OWN_HEAD: right})]
    for head in recipe.also:
        name, theirs = head.table, known[head.table]
        if head.pictures == "same":
            to_learn[0][1][name] = _asked(head, theirs, train)
            to_judge[0][1][name] = labelled(head, theirs, select)
        else:
            rows, said, left_out = brought(head, theirs, recipe.data, table)
            counts |= left_out
            to_learn.append((rows, {name: said}))
            rows, said = judged(head, theirs)
            to_judge.append((rows, {name: said}))
    asked, held_back = (
        {name: said for _, told in parts for name, said in told.items() if name in known}
        for parts in (to_learn, to_judge)
    )
    for side, told in (("train", asked), ("select", held_back)):
        counts |= {f"{side}_{name}": int(said.any(axis=1).sum()) for name, said in told.items()}
    _warn_of_unseen(recipe, {OWN_HEAD: shares} | asked)
    shown = shown or (lambda rows: torch.from_numpy(rows.planes(recipe.model.preprocess)))
    return Sets(
        _samples(recipe, to_learn, shown, chances),
        _samples(recipe, to_judge, shown),
        draws(recipe, sum(len(rows) for rows, _ in to_learn)),
        {
            "counts": counts,
            "base_rates": base_rates,
            "head_rates": {
                name: (said.sum(0) / said.sum()).tolist() for name, said in asked.items()
            },
        },
    )


def _samples(
    recipe: ExpressionRecipe,
    parts: Sequence[tuple[Table, Mapping[str, FloatArray]]],
    shown: Callable[[Table], Tensor],
    chances: FloatArray | None = None,
) -> Samples:
    """The pictures of several tables and what each table says, by the names of heads."""
    heads = recipe.heads
    width = sum(len(names) for names, _ in heads.values())
    targets = []
    for rows, said in parts:
        y = np.zeros((len(rows), width), np.float32)
        for name, shares in said.items():
            y[:, heads[name][1]] = shares
        targets.append(torch.from_numpy(y))
    return Samples(
        torch.cat([shown(rows) for rows, _ in parts if len(rows)]),
        torch.cat(targets),
        None if chances is None else torch.from_numpy(chances),
    )


def _warn_of_unseen(recipe: ExpressionRecipe, learnt: Mapping[str, FloatArray]) -> None:
    """Say before a long training which head can be no model of its own after it."""
    for name, shares in learnt.items():
        labels = recipe.heads[name][0].labels
        never = [labels[i] for i in np.flatnonzero(shares.sum(axis=0) == 0)]
        if never:
            log.warning(
                "no picture that '%s' learns from shows %s, so that it cannot be exported; name "
                "the others: %s.labels",
                name,
                ", ".join(never),
                "data" if name == OWN_HEAD else "also",
            )


def _check(recipe: ExpressionRecipe, table: Table) -> None:
    """Raises ConfigError where recipe and table do not go together."""
    cut = table.notes.get("align", align.DEFAULT)
    if cut != recipe.model.align:
        raise ConfigError(
            f"the faces of {table.name} are cut by '{cut}', the recipe's model.align is "
            f"'{recipe.model.align}'; cut them anew with: mien data align"
        )


def _asked(head: Also, known: Table, train: Table) -> FloatArray:
    """What a further head learns of each training row, (N, K); raises DataError for nothing."""
    said = labelled(head, known, train)
    if not said.any():
        raise DataError(
            f"{known.name} has a label of '{head.label_set}' for none of {train.name}'s "
            "training pictures, which it knows by their id and split"
        )
    return said


def tables_of(recipe: Recipe, given: Mapping[str, Path]) -> Mapping[str, Path]:
    """The tables given for a recipe's further heads; raises ConfigError where they are others."""
    heads = recipe.also if isinstance(recipe, ExpressionRecipe) else ()
    wanted = [head.table for head in heads]
    if sorted(given) != sorted(wanted):
        needed = " ".join(f"--also {name}=FILE" for name in wanted) or "no --also"
        raise ConfigError(f"the recipe takes {needed}; given: {', '.join(given) or 'none'}")
    return given


def draws(recipe: ExpressionRecipe, pictures: int) -> int:
    """How many pictures an epoch sees."""
    t = recipe.train
    if t.epoch_steps:
        return t.epoch_steps * t.batch
    # Drawn with replacement, a few pictures are enough for a batch.
    return max(pictures, t.batch) if recipe.data.balance else pictures


def cross_entropy(logits: Tensor, shares: Tensor) -> Tensor:
    """Mean cross-entropy against target distributions; logits and shares (N, K)."""
    return -(shares * F.log_softmax(logits.float(), dim=1)).sum(dim=1).mean()


def rank(figures: Mapping[str, float]) -> tuple[float, float]:
    """What the best epoch has most of: of a few pictures many epochs name as many right, and then
    the likelier answers count."""
    return figures["accuracy"], -figures["nll"]


def score(logits: Tensor, y: Tensor) -> dict[str, float]:
    """Accuracy, balanced accuracy and mean negative log-likelihood against one-hot targets."""
    right = logits.argmax(1) == y.argmax(1)
    per_class = [right[y[:, k] == 1].float().mean() for k in range(y.shape[1]) if y[:, k].any()]
    return {
        "accuracy": right.float().mean().item(),
        "balanced_accuracy": torch.stack(per_class).mean().item(),
        "nll": cross_entropy(logits, y).item(),
    }
