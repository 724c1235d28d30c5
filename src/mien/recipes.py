"""A recipe: one training run as data, so that it can be reviewed without reading Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import align, config, labels
from .errors import ConfigError, UnknownName
from .preprocess import Preprocess


@dataclass(frozen=True, slots=True)
class Paper:
    """cite : where the idea is from. claim : the figure it stands or falls by."""

    cite: str
    claim: str


@dataclass(frozen=True, slots=True)
class ExpressionData:
    """Which rows of a table train, select and test.

    target : "votes" (the taggers' shares) or "label" (one label a picture).
    min_votes : a label with fewer votes counts as none.
    drop_overlap : leave out training rows whose exact pixels occur in select or test.
    teacher_weight : how much of the target is a teacher's answer instead (Hinton et al. 2015,
        arXiv:1503.02531); ten votes are few, and a trained net's view of the face steadies them.
    """

    label_set: str
    train: str
    select: str
    test: str
    target: str = "label"
    min_votes: int = 1
    drop_overlap: bool = True
    teacher_weight: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.teacher_weight <= 1:
            raise ConfigError(f"data.teacher_weight lies in [0, 1], got {self.teacher_weight}")
        labels.label_set(self.label_set)
        if self.target not in ("votes", "label"):
            raise ConfigError(f"data.target is votes or label, got '{self.target}'")


@dataclass(frozen=True, slots=True)
class Copies:
    """Changed copies of every picture, made before anything is split, as papers do.

    count : copies of each picture beside itself.
    rotate_deg : turned by up to this many degrees either way.
    noise : standard deviation of Gaussian noise up to this many gray levels.
    monochrome : share of the copies made gray.
    """

    count: int
    rotate_deg: float = 0.0
    noise: float = 0.0
    monochrome: float = 0.0
    seed: int = 1

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ConfigError(f"copies.count is at least 1, got {self.count}")
        if not 0 <= self.monochrome <= 1:
            raise ConfigError(f"copies.monochrome lies in [0, 1], got {self.monochrome}")


SPLITS = ("random", "stratified", "subject", "sequence")


@dataclass(frozen=True, slots=True)
class Split:
    """How a table's rows are dealt to ``train``, ``select`` and ``test``; without, as published.

    by : "random" over rows, "stratified" over rows of each label, or whole "subject"s, or whole
        "sequence"s of them.
    train, select, test : shares, summing to 1; without meaning where there are folds.
    folds, fold : of k folds, this one is the test, the next one selects; 0 where there are none.
    """

    by: str
    train: float = 0.8
    select: float = 0.1
    test: float = 0.1
    folds: int = 0
    fold: int = 0
    seed: int = 1

    def __post_init__(self) -> None:
        if self.by not in SPLITS:
            raise UnknownName("split", self.by, SPLITS)
        if abs(self.train + self.select + self.test - 1) > 1e-6 or self.train <= 0:
            raise ConfigError("split.train, split.select and split.test are shares summing to 1")
        if min(self.select, self.test) < 0:
            raise ConfigError("split.select and split.test are at least 0")
        if self.folds and not (self.folds >= 3 and 0 <= self.fold < self.folds):
            raise ConfigError(
                f"split.folds is at least 3 and split.fold below it, got {self.folds}, {self.fold}"
            )


@dataclass(frozen=True, slots=True)
class LandmarkData:
    """What the landmark network sees in an epoch.

    splits : of the table; with landmarks, or of decoys.
    shares : how much of an epoch comes from each split, summing to 1.
    weights : what an error on a point of each split weighs: 1 where people placed it, less where a
        teacher did; 0 for decoys, which have none.
    draws : pictures an epoch.
    second_look : share of faces shown as a second look sees them, nearly in place and level.
    """

    splits: tuple[str, ...]
    shares: tuple[float, ...]
    weights: tuple[float, ...]
    draws: int
    second_look: float = 0.0

    def __post_init__(self) -> None:
        if not len(self.splits) == len(self.shares) == len(self.weights):
            raise ConfigError("data.splits, data.shares and data.weights go together, one for one")
        if abs(sum(self.shares) - 1) > 1e-6 or min(self.shares) <= 0:
            raise ConfigError(f"data.shares are positive and sum to 1, got {self.shares}")
        if min(self.weights) < 0 or 1.0 not in self.weights:
            raise ConfigError("data.weights are at least 0, and 1 for points placed by hand")


@dataclass(frozen=True, slots=True)
class ProposalData:
    """What the scenes of the proposal network are made of.

    faces : splits of the table with landmarks.
    backgrounds : its split of pictures without people.
    decoys : its splits of what is taken for a face and is none.
    scenes : how many are made; every epoch sees each once, changed.
    """

    faces: tuple[str, ...]
    backgrounds: str
    decoys: tuple[str, ...]
    scenes: int


@dataclass(frozen=True, slots=True)
class Model:
    """A network of the registry and the picture it takes.

    align : how the faces of its table are cut (``mien data align``), and users' faces will be.
    """

    name: str
    size: int = 48
    color: str = "gray"
    align: str = align.DEFAULT

    def __post_init__(self) -> None:
        align.known(self.align)
        Preprocess(self.size, self.color)  # raises ConfigError where they do not fit

    @property
    def preprocess(self) -> Preprocess:
        return Preprocess(self.size, self.color)


@dataclass(frozen=True, slots=True)
class Augment:
    """How far each change may go; 0 switches it off.

    flip : mirror half of the pictures.
    rotate_deg : turn by up to this many degrees either way.
    scale, aspect : grow or shrink by up to exp(scale); width against height by exp(aspect).
    shear : up to this tangent.
    shift : up to this share of the picture's side.
    contrast : up to exp(contrast) around the picture's mean.
    brightness : up to this many gray levels.
    blur : share of pictures averaged 3 x 3.
    noise : standard deviation of Gaussian noise up to this many gray levels, on a fifth of them.
    erase : share of pictures with a rectangle (1/8 to 3/8 of the side) set to the mean.
    """

    flip: bool = True
    rotate_deg: float = 0.0
    scale: float = 0.0
    aspect: float = 0.0
    shear: float = 0.0
    shift: float = 0.0
    contrast: float = 0.0
    brightness: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    erase: float = 0.0


@dataclass(frozen=True, slots=True)
class Train:
    """The optimisation.

    lr : peak learning rate; it rises linearly over warmup_epochs and falls as a cosine to 0.
    weight_decay : on convolution and matrix weights only, never on biases or normalisation.
    ema_decay : of the moving average of the weights, which is what gets evaluated and exported.
    precision : Fabric's name ("32-true", "bf16-mixed"), or "auto": bfloat16 where the machine
        computes in it.
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

    def __post_init__(self) -> None:
        if self.optimizer not in ("sgd", "adamw"):
            raise ConfigError(f"train.optimizer is sgd or adamw, got '{self.optimizer}'")
        if self.epochs < 1 or self.batch < 2:
            raise ConfigError("train.epochs is at least 1 and train.batch at least 2")


@dataclass(frozen=True, slots=True)
class Deviation:
    """Where and why a run differs from its paper."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """What every run needs said, but for its data."""

    model: Model
    train: Train
    augment: Augment
    task: str = "expression"
    paper: Paper | None = None
    deviation: tuple[Deviation, ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpressionRecipe(Recipe):
    """Everything that decides a run that names expressions.

    copies, split : what is done to the table first, in this order; None for nothing.
    """

    data: ExpressionData
    copies: Copies | None = None
    split: Split | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LandmarkRecipe(Recipe):
    """Everything that decides a run that places landmarks."""

    data: LandmarkData


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalRecipe(Recipe):
    """Everything that decides a run that proposes where faces are."""

    data: ProposalData


AnyRecipe = ExpressionRecipe | LandmarkRecipe | ProposalRecipe

_KINDS: dict[str, type[AnyRecipe]] = {
    "expression": ExpressionRecipe,
    "landmarks": LandmarkRecipe,
    "proposals": ProposalRecipe,
}


def read(path: Path, overrides: Sequence[str] = ()) -> AnyRecipe:
    """The recipe in a TOML file with ``--set`` overrides applied; raises ConfigError."""
    return from_values(config.apply_overrides(config.read_toml(path), overrides))


def from_values(values: dict[str, Any]) -> AnyRecipe:
    """A recipe from nested dictionaries, checked key by key."""
    task = values.get("task", "expression")
    if task not in _KINDS:
        raise UnknownName("task", str(task), _KINDS)
    kind: Any = _KINDS[task]
    recipe: AnyRecipe = config.from_dict(kind, values)
    if recipe.paper and not recipe.deviation:
        raise ConfigError("a recipe with a [paper] says in [[deviation]] where it differs from it")
    return recipe
