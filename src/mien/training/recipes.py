"""A recipe: one training run as data, so that it can be reviewed without reading Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import config
from ..data.copies import Copies
from ..data.cut import Cut
from ..data.occlude import Occlude
from ..data.splits import Split
from ..errors import ConfigError, UnknownName
from ..faces import align
from ..labels import LabelSet, label_set
from ..media.preprocess import Preprocess


@dataclass(frozen=True, slots=True)
class Paper:
    """Where a recipe's idea is from.

    cite : as a bibliography would. claim : the figure it stands or falls by.
    protocol : how the paper measured, and how its runs here do.
    notes : what its tables hide or mix up, for the reader of a report.
    pictures : in one epoch of the paper's, to compare times; 0 where it gives none.
    findings : what our figures say against the paper's, written once they were there.
    """

    cite: str
    claim: str
    protocol: str = ""
    notes: tuple[str, ...] = ()
    pictures: int = 0
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExpressionData:
    """Which rows of a table train, select and test.

    target : "votes" (the taggers' shares), "label" (one label a picture), or "strengths" (the
        raters' intensities, or else the taggers' shares).
    min_votes : a label with fewer votes counts as none.
    drop_overlap : leave out training rows whose exact pixels occur in select or test.
    drop_near : and those that are near duplicates of a row there (``mien.data.audit``).
    teacher_weight : how much of the target is a teacher's answer instead (Hinton et al. 2015,
        arXiv:1503.02531); ten votes are few, and a trained net's view of the face steadies them.
    labels : only these of the label set, whose order stays; empty for all of them.
    subject : only this person's rows; None for everybody's.
    balance : a picture is drawn with a chance in proportion to (pictures of its label)^-balance: 0
        as often as any other, 1 every label as often as any other, 0.5 between the two (Mahajan et
        al. 2018, arXiv:1805.00932).
    """

    label_set: str
    train: str
    select: str
    test: str
    target: str = "label"
    min_votes: int = 1
    drop_overlap: bool = True
    drop_near: bool = False
    teacher_weight: float = 0.0
    labels: tuple[str, ...] = ()
    balance: float = 0.0
    subject: str | None = None

    def __post_init__(self) -> None:
        for name in ("teacher_weight", "balance"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"data.{name} lies in [0, 1], got {getattr(self, name)}")
        if len(self.names) < 2:
            raise ConfigError(f"data.labels are two or more, got {list(self.labels)}")
        if self.target not in ("votes", "label", "strengths"):
            raise ConfigError(f"data.target is votes, label or strengths, got '{self.target}'")

    @property
    def names(self) -> LabelSet:
        """What the network answers; raises UnknownName."""
        whole = label_set(self.label_set)
        if not self.labels:
            return whole
        places = sorted({whole.index(label) for label in self.labels})
        return LabelSet(
            whole.name,
            tuple(whole.labels[i] for i in places),
            tuple(whole.native[i] for i in places),
        )


@dataclass(frozen=True, slots=True)
class Also:
    """Further labels of the same pictures, answered by a head of their own.

    The last layer answers them behind the recipe's own labels. Pictures are the same by their id
    and split; one that the further table lacks asks nothing of this head.

    table : by the name that ``mien train --also NAME=FILE`` gives it; the head is called so too.
    label_set : what the head answers.
    weight : of its loss, where that of the recipe's own labels weighs 1.
    """

    table: str
    label_set: str
    weight: float = 1.0

    def __post_init__(self) -> None:
        label_set(self.label_set)
        if not 0 < self.weight <= 10:
            raise ConfigError(f"also.weight lies in (0, 10], got {self.weight}")

    @property
    def names(self) -> LabelSet:
        return label_set(self.label_set)


OWN_HEAD = "own"
"""What the head of a recipe's own labels is called."""


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
class ReconstructionData:
    """Which rows of a table an autoencoder learns, and is selected by; what they show is no matter.

    drop_overlap : leave out training rows whose exact pixels occur in select or test.
    """

    train: str
    select: str
    test: str
    drop_overlap: bool = True


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
class Folds:
    """How each expression of a label set is told from all the others, fold by fold.

    label_set : its expressions that occur in the table take their turns.
    by : what stays together, as in ``Split``.
    count : parts the table is dealt into; each is a test once, and the next one selects.
    run : how many of these folds are run.
    positives : pictures of the expression in a test, and as many of the others together.
    train_positives : the same in training.
    autoencoder_rows : training pictures of a fold that its autoencoder learns.
    """

    label_set: str
    by: str = "stratified"
    count: int = 10
    run: int = 10
    positives: int = 140
    train_positives: int = 860
    autoencoder_rows: int = 8000
    seed: int = 1

    def __post_init__(self) -> None:
        label_set(self.label_set)
        Split(self.by, folds=self.count)  # raises where they do not fit
        if not 1 <= self.run <= self.count:
            raise ConfigError(f"folds.run lies in 1..{self.count}, got {self.run}")
        if min(self.positives, self.train_positives, self.autoencoder_rows) < 1:
            raise ConfigError("folds' numbers of pictures are at least 1")


@dataclass(frozen=True, slots=True)
class Cnn:
    """width : filters of each convolution, units of the first fully connected layer."""

    width: int

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ConfigError(f"cnn.width is at least 1, got {self.width}")


@dataclass(frozen=True, slots=True)
class Model:
    """A network of the registry and the picture it takes.

    light : how a picture's lighting is evened out, a name of ``preprocess.LIGHTS``.
    align : how the faces of its table are cut (``mien data align``), and users' faces will be.
    init : the model whose weights it begins with, a name or a file; None to begin at random.
    parameters : how many the network must have, where a paper says so.
    pretrained : the catalogue's weights of a backbone to begin with, trained for something else:
        all but the last layer is theirs.
    frozen : only the last layer is trained; what the rest makes of each picture is computed once.
    enlarge : the side in pixels that a backbone enlarges its pictures to; 0 leaves them.
    """

    name: str
    size: int = 48
    color: str = "gray"
    align: str = align.DEFAULT
    init: str | None = None
    parameters: int | None = None
    pretrained: str | None = None
    frozen: bool = False
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
    mixup : each picture is a mean of two, and so is its target, the share drawn from
        Beta(mixup, mixup) (Zhang et al. 2018, arXiv:1710.09412).
    variants : each picture is one of its ``mien.data.variants``, before anything else.
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
    mixup: float = 0.0
    variants: bool = False


@dataclass(frozen=True, slots=True)
class Train:
    """The optimisation.

    lr : peak learning rate; it rises linearly over warmup_epochs and falls as a cosine to 0.
    weight_decay : on convolution and matrix weights only, never on biases or normalisation.
    ema_decay : of the moving average of the weights, which is what gets evaluated and exported.
    precision : Fabric's name ("32-true", "bf16-mixed"), or "auto": bfloat16 where the machine
        computes in it.
    schedule : "cosine", or "constant" after the warm-up.
    epoch_steps : steps of an epoch, where a paper counts these; 0 for as many as show every picture
        once. Pictures come in one random order after another. ``mien reproduce`` tests such a run
        after every epoch.
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
    schedule: str = "cosine"
    epoch_steps: int = 0

    def __post_init__(self) -> None:
        if self.schedule not in ("cosine", "constant"):
            raise ConfigError(f"train.schedule is cosine or constant, got '{self.schedule}'")
        if self.epoch_steps < 0:
            raise ConfigError(f"train.epoch_steps is at least 0, got {self.epoch_steps}")
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

    answers : "probabilities", which share one certainty among the labels (softmax), or
        "intensities", a strength for each label by itself (sigmoid).
    also : further heads on the same network, for other people's labels of the same pictures.
    cut, copies, split, occlude : what is done to the table first, in this order; None for nothing.
    """

    data: ExpressionData
    also: tuple[Also, ...] = ()
    answers: str = "probabilities"
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
        named = [head.table for head in self.also]
        if len({*named, OWN_HEAD}) < len(named) + 1:
            raise ConfigError(f"[[also]] needs a table of its own for each head, got {named}")
        if self.occlude and self.data.drop_overlap:
            raise ConfigError(
                "occluded pictures are no longer equal: data.drop_overlap = false, and "
                'split.by = "duplicates" to keep equal ones on one side'
            )
        if self.cut and self.cut.by == "cascade" and self.model.align != "mouth":
            raise ConfigError('cut.by = "cascade" finds mouths: model.align = "mouth"')
        if self.model.frozen and self.augment not in (Augment(), Augment(flip=False)):
            raise ConfigError("with model.frozen, augment.flip is the only change there is")

    @property
    def heads(self) -> dict[str, tuple[LabelSet, slice]]:
        """What each head answers and its columns of the last layer, the recipe's own first."""
        sets = {OWN_HEAD: self.data.names} | {head.table: head.names for head in self.also}
        ends = np.cumsum([len(names) for names in sets.values()]).tolist()
        return {
            name: (names, slice(end - len(names), end))
            for (name, names), end in zip(sets.items(), ends, strict=True)
        }


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
class AgainstRestRecipe(Recipe):
    """An autoencoder a fold, and a CNN on its reconstructions for each expression and fold.

    pretrain, finetune : of the autoencoder, tied first and then untied. ``train`` is the CNN's.
    """

    folds: Folds
    autoencoder: Autoencoder
    cnn: Cnn
    pretrain: Train
    finetune: Train


AnyRecipe = (
    ExpressionRecipe | LandmarkRecipe | ProposalRecipe | ReconstructionRecipe | AgainstRestRecipe
)


@dataclass(frozen=True, slots=True)
class Experiment:
    """One of a paper's runs: its recipe with some settings changed.

    name : of its folder, and of its column in the report.
    what : in one line.
    data : which table it takes, by the name ``mien reproduce --data NAME=FILE`` gives it.
    recipe : the name of the recipe it trains, where it is another file's.
    init : the name of an earlier run whose weights it begins with.
    set : as ``--set`` on the command line. Where the split has folds, each is trained on its own
        and their answers are pooled.
    elsewhere : further tables, by name as ``data``, none of whose rows it trains on: all of them
        are tested, too.
    repeats : how often it is done, each time with the next seed for the split and the training.
    without : sections of the recipe ("copies", "split") that it leaves out.
    people : every person with at least so many pictures of each label is trained and tested alone,
        and their answers are pooled; 0 for all people together.
    networks : the run whose networks this one tests, on all of its own table, training none.
    """

    name: str
    what: str
    data: str
    set: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    repeats: int = 1
    recipe: str = ""
    init: str = ""
    elsewhere: tuple[str, ...] = ()
    people: int = 0
    networks: str = ""

    def __post_init__(self) -> None:
        if self.data in self.elsewhere:
            raise ConfigError(f"run '{self.name}': '{self.data}' is its own table, not elsewhere")
        if self.repeats < 1:
            raise ConfigError(f"run '{self.name}': repeats is at least 1, got {self.repeats}")
        if self.people < 0:
            raise ConfigError(f"run '{self.name}': people is at least 0, got {self.people}")
        if self.networks and (self.set or self.without or self.people or self.repeats > 1):
            raise ConfigError(
                f"run '{self.name}' tests the networks of '{self.networks}' as they are, and has "
                "no settings of its own"
            )


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """name : of the row. values : the paper's, NaN for none. runs : ours, one for each of
    ``Published.beside``: "run", or "run@table" for its test elsewhere; "" for none."""

    name: str
    values: tuple[config.Told, ...]
    runs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Published:
    """A table of the paper's, and where the figures to put beside it are found.

    columns : of the paper's values, without the column of row names.
    figures : for each column the path of our figure in ``result.json``, {row} being the row's
        name: "test.accuracy", "test.per_class.{row}.recall".
    beside : headings of the runs put beside it.
    curve : how many of the columns, from the first, are drawn as lines too, the rows' names being
        numbers then, of steps say.
    """

    title: str
    columns: tuple[str, ...]
    figures: tuple[str, ...]
    beside: tuple[str, ...]
    rows: tuple[PublishedRow, ...]
    curve: int = 0

    def __post_init__(self) -> None:
        if len(self.figures) != len(self.columns):
            raise ConfigError(f"published '{self.title}': one of figures for each of columns")
        if self.curve and not all(row.name.isdecimal() for row in self.rows):
            raise ConfigError(f"published '{self.title}': a curve needs numbers for row names")
        for row in self.rows:
            if len(row.values) != len(self.columns) or len(row.runs) != len(self.beside):
                raise ConfigError(
                    f"published '{self.title}', row '{row.name}': needs {len(self.columns)} values "
                    f"and {len(self.beside)} runs"
                )


@dataclass(frozen=True, slots=True)
class ContrastRow:
    """name : of what the runs share (a size, an emotion). runs : one for each of ``beside``, as
    in ``PublishedRow``."""

    name: str
    runs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Contrast:
    """Runs that differ in one thing, side by side: what a way of splitting hides, say.

    text : what to look for. beside : headings of the runs; the last is told as a difference to the
        first.
    """

    title: str
    text: str
    beside: tuple[str, ...]
    rows: tuple[ContrastRow, ...]

    def __post_init__(self) -> None:
        if len(self.beside) < 2 or any(len(row.runs) != len(self.beside) for row in self.rows):
            raise ConfigError(f"contrast '{self.title}': two or more runs a row, one for each head")


@dataclass(frozen=True, slots=True)
class Attention:
    """Where the networks of some runs look: the mean map of each expression, run beside run.

    text : what to look for. samples : random tested faces of each expression.
    runs : a column each, all of one table and one split; what a run occludes is its condition.
    """

    title: str
    text: str
    samples: int
    runs: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.samples < 1 or not self.runs:
            raise ConfigError(f"attention '{self.title}': one sample, and one run, or more")


@dataclass(frozen=True, slots=True)
class Reproduction:
    """A recipe's experiments and what they are compared with.

    recipes : what each of ``runs`` trains, in the same order.
    """

    name: str
    paper: Paper
    runs: tuple[Experiment, ...]
    recipes: tuple[ExpressionRecipe | AgainstRestRecipe, ...]
    published: tuple[Published, ...]
    contrasts: tuple[Contrast, ...]
    deviations: tuple[Deviation, ...]
    attention: tuple[Attention, ...] = ()


@dataclass(frozen=True, slots=True)
class _Experiments:
    """What a recipe file holds beside the recipe; paper and deviations are the recipe's too."""

    run: tuple[Experiment, ...] = ()
    published: tuple[Published, ...] = ()
    contrast: tuple[Contrast, ...] = ()
    attention: tuple[Attention, ...] = ()
    paper: Paper | None = None
    deviation: tuple[Deviation, ...] = ()


_KINDS: dict[str, type[AnyRecipe]] = {
    "expression": ExpressionRecipe,
    "landmarks": LandmarkRecipe,
    "proposals": ProposalRecipe,
    "reconstruction": ReconstructionRecipe,
    "against_rest": AgainstRestRecipe,
}
_EXPERIMENTS = ("run", "published", "contrast", "attention")
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
    values = _without(values, _EXPERIMENTS)
    return from_values(config.apply_overrides(values, overrides))


def from_values(values: dict[str, Any]) -> AnyRecipe:
    """A recipe from nested dictionaries, checked key by key."""
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


def is_same(recipe: Recipe, saved: dict[str, Any]) -> bool:
    """Whether nested dictionaries, of a finished run say, have this recipe's settings.

    A setting that they lack, as it did not exist then, has its default; what is said of the paper
    and of where the recipe differs from it is no setting.
    """
    try:
        then = from_values({k: v for k, v in saved.items() if k not in ("paper", "deviation")})
    except ConfigError:
        return False
    return then == replace(recipe, paper=None, deviation=())


def reproduction(path: Path, overrides: Sequence[str] = ()) -> Reproduction:
    """The experiments in a recipe's file; raises ConfigError where it has none.

    overrides : as ``--set``, of every recipe that they start from.
    """
    values = config.read_toml(path)
    shared = ("paper", "deviation")
    listed = {key: values[key] for key in (*_EXPERIMENTS, *shared) if key in values}
    found = config.from_dict(_Experiments, listed)
    if not found.run or found.paper is None:
        raise ConfigError(f"{path} has no [[run]] to reproduce; train it with: mien train {path}")
    names = [run.name for run in found.run]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise ConfigError(f"{path} has two runs called '{twice}'")
    compared = [row.runs for table in found.published for row in table.rows]
    compared += [row.runs for contrast in found.contrast for row in contrast.rows]
    tested = [*names, *(f"{run.name}@{table}" for run in found.run for table in run.elsewhere)]
    for name in (name for runs in compared for name in runs if name):
        if name not in tested:
            raise UnknownName("run", name, tested)
    for name in (name for attention in found.attention for name in attention.runs):
        if name not in names:
            raise UnknownName("run", name, names)
    _check_inits(found.run)
    own = _without(values, _EXPERIMENTS)
    made = []
    for run in found.run:
        trains = _trained_by(run, found.run)
        file = config.read_toml(find(trains.recipe)) if trains.recipe else own
        made.append(_experiment(trains, _without(file, _EXPERIMENTS), overrides))
    return Reproduction(
        path.stem,
        found.paper,
        found.run,
        tuple(made),
        found.published,
        found.contrast,
        found.deviation,
        found.attention,
    )


def _check_inits(runs: Sequence[Experiment]) -> None:
    done: list[str] = []
    for run in runs:
        if run.init and run.init not in done:
            raise UnknownName(f"run before '{run.name}'", run.init, done)
        done.append(run.name)


def _trained_by(run: Experiment, runs: Sequence[Experiment]) -> Experiment:
    """The run that trains the networks which ``run`` tests: itself, or the one that it names."""
    if not run.networks:
        return run
    trained = {other.name: other for other in runs if not other.networks}
    if run.networks not in trained:
        raise UnknownName("run", run.networks, trained)
    return trained[run.networks]


def _experiment(
    run: Experiment, values: dict[str, Any], overrides: Sequence[str]
) -> ExpressionRecipe | AgainstRestRecipe:
    """What one experiment trains."""
    values = config.apply_overrides(values, overrides)
    for section in run.without:
        if section not in values:
            raise UnknownName("section", section, values)
    changed = config.apply_overrides(_without(values, run.without), run.set)
    recipe = from_values(changed)
    if not isinstance(recipe, ExpressionRecipe | AgainstRestRecipe):
        raise ConfigError(f"run '{run.name}': only recipes of expressions can be reproduced")
    return recipe


def _without(values: dict[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in keys}
