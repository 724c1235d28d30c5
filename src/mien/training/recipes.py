"""A recipe: one training run as data, so that it can be reviewed without reading Python."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import config
from ..data.against_rest import Folds
from ..data.copies import Copies
from ..data.cut import Cut
from ..data.occlude import Occlude
from ..data.splits import Split
from ..errors import ConfigError, UnknownName
from ..labels import LabelSet
from .augment_settings import Augment
from .expression_data import OWN_HEAD, Also, ExpressionData
from .landmark_data import LandmarkData
from .models import TRUNK, Autoencoder, Cnn, Model
from .proposal_data import ProposalData
from .reconstruction_data import ReconstructionData
from .schedule import Train


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where a finding can be checked.

    rows : the first cells of the rows meant; of a file its keys, with dots into what they hold.
    table : the heading over a table of the paper's report.
    file : in place of a table, a result file of the repository ("benchmarks/results/pose.json").
    """

    rows: tuple[str, ...]
    table: str = ""
    file: str = ""

    def __post_init__(self) -> None:
        if bool(self.table) == bool(self.file) or not self.rows:
            raise ConfigError(
                "evidence names the rows of one table of the report, or of one result file: "
                f'{{ table = "At a glance", rows = ["..."] }}; got table "{self.table}", '
                f'file "{self.file}", {len(self.rows)} rows'
            )


@dataclass(frozen=True, slots=True)
class Finding:
    """What our figures say against the paper's.

    not_explained : what about it these figures do not explain; "" where nothing is left.
    """

    says: str
    evidence: tuple[Evidence, ...]
    not_explained: str = ""

    def __post_init__(self) -> None:
        if not self.evidence:
            raise ConfigError(f"a finding names the rows that show it: '{self.says[:60]}' has none")


@dataclass(frozen=True, slots=True)
class Paper:
    """Where a recipe's idea is from.

    cite : as a bibliography would. claim : the figure it stands or falls by.
    protocol : how the paper measured, and how its runs here do.
    notes : what its tables hide or mix up, for the reader of a report.
    pictures : in one epoch of the paper's, to compare times; 0 where it gives none.
    findings : what our figures say against the paper's, written once they were there; each names
        the rows that show it.
    """

    cite: str
    claim: str
    protocol: str = ""
    notes: tuple[str, ...] = ()
    pictures: int = 0
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Deviation:
    """Where and why a run differs from its paper."""

    what: str
    why: str


_TAKEN = {OWN_HEAD, "train", "select", "rows", "used", "without_emotion", "unrated"} | {
    f"{what}_in_other_splits" for what in ("pixels", "near_duplicates")
}
"""What ``also.table`` is not: words that a run's counts have with "train_" before them."""


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

    answers : "probabilities", which share one certainty among the labels (softmax), or
        "intensities", a strength for each label by itself (sigmoid).
    also : further heads on the same network, for other people's labels of the same pictures, or for
        pictures of their own.
    only : texts by column, of the rows that are taken ({"camera": "090"}); empty for all rows.
    cut, copies, split, occlude : what is done to the table then, in this order; None for nothing.
    """

    data: ExpressionData
    also: tuple[Also, ...] = ()
    answers: str = "probabilities"
    only: Mapping[str, str] = field(default_factory=dict)
    cut: Cut | None = None
    copies: Copies | None = None
    split: Split | None = None
    occlude: Occlude | None = None

    def __post_init__(self) -> None:
        if self.answers not in ("probabilities", "intensities"):
            raise ConfigError(f"answers are probabilities or intensities, got '{self.answers}'")
        if self.answers == "intensities" and (
            self.data.target == "label" or self.data.teacher_weight
        ):
            raise ConfigError(
                "intensities are learnt from people who graded what they saw: data.target is votes "
                "or strengths, and data.teacher_weight 0"
            )
        if self.answers == "intensities" and self.model.pretrained:
            raise ConfigError("intensities are learnt by the whole network: no model.pretrained")
        if self.also and (self.answers == "intensities" or self.model.frozen or self.copies):
            raise ConfigError(
                "[[also]] goes with probabilities, a network that is trained whole, and pictures "
                "as they came: no answers = intensities, no model.frozen, no [copies]"
            )
        if self.data.balance and any(head.pictures == "own" for head in self.also):
            raise ConfigError(
                "[[also]] with pictures of its own has every picture once an epoch: "
                "data.balance = 0"
            )
        if (self.cut or self.occlude) and any(head.pictures == "own" for head in self.also):
            raise ConfigError(
                "[[also]] with pictures of its own takes tables as they are: no [cut], no "
                "[occlude]; cut all tables alike first, mien data align"
            )
        _check_names([head.table for head in self.also])
        if self.occlude and self.data.drop_overlap:
            raise ConfigError(
                "occluded pictures are no longer equal: data.drop_overlap = false, and "
                'split.by = "duplicates" to keep equal ones on one side'
            )
        _check_cut(self.cut, self.model)

    @property
    def keeps_features(self) -> bool:
        """Whether what frozen parts make of a picture is computed once, and kept.

        Where pictures change in training by more than being mirrored, it is anew in every step.
        """
        return bool(self.model.frozen) and self.augment in (Augment(), Augment(flip=False))

    @property
    def heads(self) -> dict[str, tuple[LabelSet, slice]]:
        """What each head answers and its columns of the last layer, the recipe's own first."""
        sets = {OWN_HEAD: self.data.names} | {head.table: head.names for head in self.also}
        ends = np.cumsum([len(names) for names in sets.values()]).tolist()
        return {
            name: (names, slice(end - len(names), end))
            for (name, names), end in zip(sets.items(), ends, strict=True)
        }


def _check_names(heads: Sequence[str]) -> None:
    """Raises ConfigError where a head's counts or figures would go by the names of others'."""
    if len({*heads}) < len(heads):
        raise ConfigError(f"[[also]] needs a table of its own for each head, got {[*heads]}")
    figures = ["accuracy", "balanced_accuracy", *(f"{name}_accuracy" for name in heads)]
    figures += [f"{name}_balanced_accuracy" for name in heads]
    for name in heads:
        if not name or "=" in name or name in _TAKEN or figures.count(f"{name}_accuracy") > 1:
            raise ConfigError(
                f"[[also]] cannot call a table '{name}': a run's log and counts call something "
                "else so; give it another name"
            )


def _check_cut(cut: Cut | None, model: Model) -> None:
    if cut and cut.by == "cascade" and model.align != "mouth":
        raise ConfigError('cut.by = "cascade" finds mouths: model.align = "mouth"')
    if cut and cut.by == "landmarks" and model.align == "box":
        raise ConfigError(
            'cut.by = "landmarks" turns faces level: model.align = "similarity", "xu2019" or '
            '"mouth", not "box"'
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LandmarkRecipe(Recipe):
    """Everything that decides a run that places landmarks."""

    data: LandmarkData


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalRecipe(Recipe):
    """Everything that decides a run that proposes where faces are."""

    data: ProposalData


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconstructionRecipe(Recipe):
    """Everything that decides a run that gives pictures back."""

    data: ReconstructionData
    autoencoder: Autoencoder


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitsRecipe(ExpressionRecipe):
    """Everything that decides a run that names expressions by an autoencoder's reconstructions.

    pretrain, finetune : of the autoencoder, tied first and then untied. ``train`` is the CNN's.
    """

    autoencoder: Autoencoder
    cnn: Cnn
    pretrain: Train
    finetune: Train

    def __post_init__(self) -> None:
        ExpressionRecipe.__post_init__(self)
        gray = self.model.color == "gray"
        if self.answers != "probabilities" or self.also or self.model.pretrained or not gray:
            raise ConfigError(
                'task = "units" turns gray pictures into probabilities of one label set, by a '
                "network trained from the start: model.color = gray, no answers = intensities, "
                "no [[also]], no model.pretrained"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class AgainstRestRecipe(Recipe):
    """An autoencoder a fold, and a CNN on its reconstructions for each expression and fold.

    pretrain, finetune : of the autoencoder, tied first and then untied. ``train`` is the CNN's.
    only, cut : as in ``ExpressionRecipe``.
    """

    folds: Folds
    autoencoder: Autoencoder
    cnn: Cnn
    pretrain: Train
    finetune: Train
    only: Mapping[str, str] = field(default_factory=dict)
    cut: Cut | None = None

    def __post_init__(self) -> None:
        _check_cut(self.cut, self.model)


def autoencoder_stages(
    recipe: UnitsRecipe | AgainstRestRecipe,
) -> tuple[ReconstructionRecipe, ReconstructionRecipe]:
    """How a recipe's autoencoder is trained: with the decoder tied to it, then both freely."""

    def stage(train: Train, tied: bool) -> ReconstructionRecipe:
        return ReconstructionRecipe(
            task="reconstruction",
            model=recipe.model,
            train=train,
            augment=recipe.augment,
            data=ReconstructionData("train", "select", "test"),
            autoencoder=replace(recipe.autoencoder, tied=tied),
        )

    return stage(recipe.pretrain, tied=True), stage(recipe.finetune, tied=False)


AnyRecipe = (
    ExpressionRecipe
    | LandmarkRecipe
    | ProposalRecipe
    | ReconstructionRecipe
    | UnitsRecipe
    | AgainstRestRecipe
)


_KINDS: dict[str, type[AnyRecipe]] = {
    "expression": ExpressionRecipe,
    "landmarks": LandmarkRecipe,
    "proposals": ProposalRecipe,
    "reconstruction": ReconstructionRecipe,
    "units": UnitsRecipe,
    "against_rest": AgainstRestRecipe,
}
EXPERIMENTS = ("run", "published", "matrices", "contrast", "together", "attention")
"""Keys of a recipe's file beside the recipe, see ``mien.papers.plans``."""
_TOLD = ("paper", "deviation")  # keys of a recipe that set nothing
_HERE = Path(__file__).resolve().parent
_FOLDERS = (_HERE / "shipped", _HERE.parents[2] / "recipes")  # installed; a checkout


def shipped() -> dict[str, Path]:
    """The recipes that come with mien, by name."""
    files = [file for folder in _FOLDERS for file in sorted(folder.glob("*.toml"))]
    return {file.stem: file for file in files}


def find(name: str) -> Path:
    """The file of a recipe: one of ``shipped`` by name, or a path; raises UnknownName."""
    if name.endswith(".toml") or Path(name).name != name:
        return Path(name)
    known = shipped()
    if name not in known:
        raise UnknownName("recipe", name, known)
    return known[name]


def read(path: Path, overrides: Sequence[str] = ()) -> AnyRecipe:
    """The recipe in a TOML file with ``--set`` overrides applied; raises ConfigError."""
    values = config.read_toml(path)
    if "run" in values and "model" not in values:
        runs = values["run"] if isinstance(values["run"], list) else []
        others = {str(run.get("recipe")) for run in runs if isinstance(run, dict)}
        raise ConfigError(
            f"{path} holds experiments of other recipes: mien reproduce {path.stem}, or train one "
            f"of {sorted(others)}"
        )
    values = without(values, EXPERIMENTS)
    return from_values(config.apply_overrides(values, overrides))


def from_values(values: dict[str, Any]) -> AnyRecipe:
    """A recipe from nested dictionaries, checked key by key."""
    values = _renewed(values)
    task = values.get("task", "expression")
    if not isinstance(task, str) or task not in _KINDS:
        raise UnknownName("task", str(task), _KINDS)
    kind: Any = _KINDS[task]
    recipe: AnyRecipe = config.from_dict(kind, values)
    if recipe.model.pretrained and not isinstance(recipe, ExpressionRecipe):
        raise ConfigError("model.pretrained goes with recipes of expressions only")
    if recipe.paper and not recipe.deviation:
        raise ConfigError("a recipe with a [paper] says in [[deviation]] where it differs from it")
    return recipe


def _renewed(values: dict[str, Any]) -> dict[str, Any]:
    """Settings as they are written today: model.frozen was true or false before it named a part."""
    model = values.get("model")
    if not isinstance(model, dict) or not isinstance(model.get("frozen"), bool):
        return values
    return {**values, "model": {**model, "frozen": TRUNK if model["frozen"] else ""}}


def is_same(recipe: Recipe, saved: dict[str, Any]) -> bool:
    """Whether nested dictionaries, of a finished run say, have this recipe's settings.

    A setting that they lack, as it did not exist then, has its default; what is said of the paper
    and of where the recipe differs from it is no setting.
    """
    try:
        then = from_values(without(saved, _TOLD))
    except ConfigError:
        return False
    return then == replace(recipe, paper=None, deviation=())


def settings(recipe: Recipe) -> dict[str, Any]:
    """What a recipe sets, as nested dictionaries."""
    return without(asdict(recipe), _TOLD)


def changes(recipe: Recipe, saved: dict[str, Any]) -> list[str]:
    """How nested dictionaries, of a finished run say, differ from what this recipe sets now.

    As ``is_same`` looks at them; each as "train.epochs was 2, now 3".
    """
    with contextlib.suppress(ConfigError):  # of settings that are no more
        saved = asdict(from_values(without(saved, _TOLD)))
    then, now = (dict(flat(values)) for values in (without(saved, _TOLD), settings(recipe)))
    return [
        f"{name} was {then.get(name)}, now {now.get(name)}"
        for name in dict.fromkeys((*then, *now))
        if then.get(name) != now.get(name)
    ]


def flat(values: Mapping[str, Any], where: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting in nested dictionaries by its path, "train.epochs"."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{where}{name}.")
        else:
            yield where + name, list(value) if isinstance(value, tuple) else value


def without(values: dict[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """The values but for some of their keys."""
    return {key: value for key, value in values.items() if key not in keys}
