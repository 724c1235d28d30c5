from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from torch import Generator

from mien import config
from mien.data import patches, scenes
from mien.data.scenes import MOST
from mien.errors import ConfigError, UnknownName
from mien.faces.landmarks import POINTS
from mien.papers import plans
from mien.training import recipes
from mien.training.models.network import Backbone, build
from mien.training.recipes import (
    AgainstRestRecipe,
    ExpressionRecipe,
    LandmarkRecipe,
    ProposalRecipe,
    Recipe,
)
from mien.training.schedule import learning_rate
from mien.training.train import build_optimizer, task_of

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))
TRAINABLE = [path for path in RECIPES if "model" in config.read_toml(path)]
LANDMARKS = next(path for path in RECIPES if path.stem == "landmarks68")
EXPRESSIONS = next(path for path in RECIPES if path.stem == "resnet10-ferplus")


def cases() -> Iterator[tuple[str, Recipe]]:
    """Every recipe, and every experiment of those that have some."""
    for path in RECIPES:
        if path in TRAINABLE:
            yield path.stem, recipes.read(path)
        if "run" in config.read_toml(path):
            plan = plans.read(path)
            for run, recipe in zip(plan.runs, plan.recipes, strict=True):
                yield f"{path.stem}-{run.name}", recipe


CASES = dict(cases())


def targets(recipe: Recipe, n: int) -> torch.Tensor:
    """Made-up targets of the shape the recipe's task takes."""
    if isinstance(recipe, ExpressionRecipe):
        columns = [
            torch.eye(len(names))[torch.arange(n) % len(names)]
            for names, _ in recipe.heads.values()
        ]
        return torch.cat(columns, dim=1)
    if isinstance(recipe, ProposalRecipe):
        faces = torch.full((n, MOST, 4), torch.nan)
        faces[:, 0] = torch.tensor([150.0, 160.0, 60.0, 0.1])
        return faces
    if isinstance(recipe, AgainstRestRecipe):
        return torch.eye(2)[torch.arange(n) % 2]
    points = torch.rand(n, 2 * POINTS) * 2 - 1
    return torch.cat([points, torch.ones(n, 1), (torch.arange(n) % 2)[:, None]], dim=1)


@pytest.mark.parametrize("name", CASES)
def test_every_recipe_parses_builds_and_learns(name: str) -> None:
    recipe = CASES[name]
    task, spec = task_of(recipe), recipe.model.preprocess
    net = task.network()
    if recipe.model.parameters:
        assert sum(p.numel() for p in net.parameters()) == recipe.model.parameters
    # Of a backbone without its weights, gradients are small: at a tuning's rate nothing would move.
    rate = 10.0 if recipe.model.frozen else recipe.train.lr
    optimizer = build_optimizer(net, replace(recipe, train=replace(recipe.train, lr=rate)))
    generator = Generator().manual_seed(recipe.train.seed)
    side = {"landmarks": patches.SIDE, "proposals": scenes.SIDE}.get(recipe.task, spec.size)
    x = torch.randint(0, 256, (8, spec.channels, side, side), generator=generator)
    shape: tuple[int, ...] = (spec.channels, spec.size, spec.size)
    if (
        isinstance(recipe, ExpressionRecipe) and recipe.keeps_features
    ):  # two views of what its parts make, and one of them is learned from
        backbone = build(recipe.model, 3)
        assert isinstance(backbone, Backbone)
        with torch.inference_mode():
            made = backbone.between(backbone.shown(x[:1].float()), "", recipe.model.frozen)
        shape = made.shape[1:]
        x = torch.rand(8, 2, *shape, generator=generator)
    before = [p.detach().clone() for p in net.parameters()]
    for _ in range(2):
        seen, y = task.change(x.float(), targets(recipe, 8), generator)
        assert seen.shape[1:] == shape
        loss = task.loss(net(seen), y)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        assert torch.isfinite(loss)
    moved = [not torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True)]
    assert moved == [p.requires_grad for p in net.parameters()]
    # An autoencoder in front was trained before; frozen parts stay.
    assert all(moved) or recipe.task == "units" or recipe.model.frozen


@pytest.mark.parametrize("path", TRAINABLE, ids=lambda p: p.stem)
def test_learning_rate_rises_and_falls(path: Path) -> None:
    recipe = recipes.read(path)
    t, steps = recipe.train, 100
    peak = t.warmup_epochs * steps
    assert learning_rate(recipe.train, 0, steps) == pytest.approx(t.lr / peak if peak else t.lr)
    assert learning_rate(recipe.train, peak, steps) == pytest.approx(t.lr)
    middle = (peak + t.epochs * steps) // 2
    if t.schedule == "constant":
        assert learning_rate(recipe.train, middle, steps) == t.lr
        return
    assert learning_rate(recipe.train, middle, steps) == pytest.approx(t.lr / 2, rel=0.02)
    assert learning_rate(recipe.train, t.epochs * steps, steps) == pytest.approx(0, abs=1e-9)


def test_a_recipe_is_found_by_name_and_by_path(tmp_path: Path) -> None:
    assert recipes.find("iliev2022").name == "iliev2022.toml"
    assert recipes.find(str(EXPRESSIONS)) == EXPRESSIONS
    assert set(recipes.shipped()) == {path.stem for path in RECIPES}
    with pytest.raises(UnknownName, match="no recipe called 'iliev2020'; did you mean iliev2022"):
        recipes.find("iliev2020")
    with pytest.raises(UnknownName, match=r"there are: .*landmarks68, "):
        recipes.find("xyz")
    with pytest.raises(ConfigError, match="no such file"):
        recipes.read(recipes.find(str(tmp_path / "iliev2022.toml")))


def test_a_network_of_another_size_is_refused() -> None:
    recipe = recipes.read(recipes.find("iliev2022"), ["model.size=64"])
    with pytest.raises(ConfigError, match=r"model\.parameters says 4,813,638"):
        task_of(recipe).network()


def test_what_a_recipe_sets_otherwise_than_a_finished_run_is_told() -> None:
    recipe = recipes.read(recipes.find("iliev2022"))
    saved = json.loads(json.dumps(asdict(recipe)))
    assert recipes.changes(recipe, saved) == []
    saved["paper"]["claim"] = "another"
    saved["train"] |= {"epochs": 99, "schedule": "constant"}
    told = [
        f"train.epochs was 99, now {recipe.train.epochs}",
        "train.schedule was constant, now cosine",
    ]
    assert recipes.changes(recipe, saved) == told
    del saved["train"]["schedule"]  # as before there was such a setting
    assert recipes.changes(recipe, saved) == told[:1]
    saved["train"] |= {"schedule": "cosine", "speed": 3}  # a setting of an earlier version
    assert recipes.changes(recipe, saved) == [*told[:1], "train.speed was 3, now None"]


def test_overrides_win_over_the_file() -> None:
    recipe = recipes.read(EXPRESSIONS, ["train.epochs=3", "train.optimizer=adamw"])
    assert (recipe.train.epochs, recipe.train.optimizer) == (3, "adamw")


@pytest.mark.parametrize(
    ("override", "error", "message"),
    [
        ("train.bach=3", UnknownName, "did you mean train.batch"),
        ("train.epochs=0", ConfigError, "at least 1"),
        ("train.epochs=soon", ConfigError, "a whole number"),
        ("train.optimizer=adam", ConfigError, "sgd or adamw"),
        ("data.label_set=ferpluss", UnknownName, "did you mean ferplus"),
        ("data.target=guess", ConfigError, "votes, label or strengths"),
        ("model.color=blue", ConfigError, "gray, rgb"),
        ("epochs=3", ConfigError, "section.key=value"),
    ],
)
def test_a_wrong_setting_says_what_is_right(
    override: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        recipes.read(EXPRESSIONS, [override])


@pytest.mark.parametrize(
    ("override", "error", "message"),
    [
        ("data.shares=[0.5, 0.5, 0.5]", ConfigError, r"sum to 1, got \(0\.5, 0\.5, 0\.5\)"),
        ("data.shares=[0.4, 0.6, 0.0]", ConfigError, "positive and sum to 1"),
        ("data.shares=[1.4, -0.2, -0.2]", ConfigError, "positive and sum to 1"),
        ("data.shares=[0.5, 0.5]", ConfigError, "go together, one for one"),
        ('data.splits=["train"]', ConfigError, "go together, one for one"),
        ("data.weights=[0.5, 0.5, 0.0]", ConfigError, "1 for points placed by hand"),
        ("data.weights=[1.0, -0.5, 0.0]", ConfigError, "at least 0"),
        ("data.weights=1.0", ConfigError, "data.weights is a list"),
        ("data.split=train", UnknownName, "did you mean data.splits"),
        ("data.label_set=ferplus", UnknownName, "no setting called 'data.label_set'"),
        ("model.color=grey", ConfigError, "gray, rgb"),
    ],
)
def test_a_wrong_setting_of_landmarks_says_what_is_right(
    override: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        recipes.read(LANDMARKS, [override])


def test_shares_may_be_off_by_a_float() -> None:
    recipe = recipes.read(LANDMARKS, ["data.shares=[0.7, 0.2, 0.1]"])
    assert isinstance(recipe, LandmarkRecipe)
    assert 0.7 + 0.2 + 0.1 != 1
    assert recipe.data.shares == (0.7, 0.2, 0.1)


def test_an_unknown_task_suggests_the_nearest(tmp_path: Path) -> None:
    text = LANDMARKS.read_text().replace('task = "landmarks"', 'task = "landmark"')
    (tmp_path / "l.toml").write_text(text)
    with pytest.raises(UnknownName, match="no task called 'landmark'; did you mean landmarks"):
        recipes.read(tmp_path / "l.toml")


def test_without_a_task_it_is_expressions() -> None:
    assert "task" not in EXPRESSIONS.read_text()
    assert recipes.read(EXPRESSIONS).task == "expression"


def test_the_alignment_is_one_there_is() -> None:
    assert recipes.read(EXPRESSIONS, ["model.align=similarity"]).model.align == "similarity"
    with pytest.raises(UnknownName, match="did you mean similarity"):
        recipes.read(EXPRESSIONS, ["model.align=simlarity"])


def test_a_paper_without_deviations_is_refused(tmp_path: Path) -> None:
    text = EXPRESSIONS.read_text().split("[[deviation]]")[0]
    (tmp_path / "proud.toml").write_text(text)
    with pytest.raises(ConfigError, match="deviation"):
        recipes.read(tmp_path / "proud.toml")


# -- occlusion and repeats ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["occlude.what=eyse"], "did you mean eyes"),
        (["occlude.what=mask"], "no occlusion called 'mask'"),
        (["occlude.what=eyes", "occlude.by=bnds"], "bands or landmarks, got 'bnds'"),
        (["occlude.what=eyes", "occlude.share=0"], r"occlude\.share lies in \(0, 1\]"),
        (["occlude.what=eyes", "data.drop_overlap=true"], "no longer equal"),
    ],
)
def test_an_occlusion_that_does_not_fit_says_why(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        recipes.read(recipes.find("dobes2023"), overrides)


def test_dobes2023_trains_what_the_paper_trained() -> None:
    plan = plans.read(recipes.find("dobes2023"))
    by_name = dict(zip((run.name for run in plan.runs), plan.recipes, strict=True))
    assert all(run.repeats >= 3 for run in plan.runs if not run.name.endswith("-stem"))
    for part in ("none", "eyes", "nose", "mouth"):
        for name, by in ((part, "random"), (f"{part}-apart", "duplicates")):
            made = by_name[name]
            assert isinstance(made, recipes.ExpressionRecipe)
            assert made.split is not None
            assert (made.split.by, made.split.test) == (by, 0.3)
            assert (made.model.pretrained, made.model.frozen) == ("googlenet-bvlc", "trunk")
            assert made.data.names.labels == ("anger", "happiness", "neutral")
            assert (made.occlude.what if made.occlude else "none") == part
            assert made.occlude is None or len(made.occlude.sides) == 3


@pytest.mark.parametrize(
    "text",
    [
        "run = 3",
        "run = [1]",
        "[run]\na = 1",
        "task = [1]\n[model]\nname = 'a'",
        "task = {}",
        "model = 3",
        "train = { lr = nan }",
        "train = { lr = inf }",
        "x = " + "[" * 100_000,
        "train = { epochs = " + "9" * 5000 + " }",
    ],
)
def test_a_recipe_of_odd_values_is_a_clear_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "odd.toml"
    path.write_text(text, encoding="utf-8")
    for read in (recipes.read, plans.read):
        with pytest.raises(ConfigError):
            read(path)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("train.epochs=0", r"train.epochs is at least 1, got 0"),
        ("train.batch=1", "train.batch is at least 2, got 1"),
        ("train.lr=-1", "train.lr is at least 0, got -1"),
        ("train.momentum=2", r"train.momentum is in \[0, 1\], got 2"),
        ("train.ema_decay=-1", r"train.ema_decay is in \[0, 1\], got -1"),
        ("train.weight_decay=-1", "train.weight_decay is at least 0"),
        ("train.warmup_epochs=-1", "train.warmup_epochs is at least 0, got -1"),
        ("train.seed=-1", r"train.seed is in \[0, 4294967295\], got -1"),
        ("train.seed=4294967296", "train.seed is in"),
        ("augment.rotate_deg=-1", "augment.rotate_deg is at least 0, got -1"),
        ("augment.mixup=-1", "augment.mixup is at least 0, got -1"),
        ("augment.blur=7", r"augment.blur lies in \[0, 1\], got 7"),
        ("augment.erase=-1", r"augment.erase lies in \[0, 1\], got -1"),
    ],
)
def test_numbers_that_no_training_can_take(override: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        recipes.read(recipes.find("mien"), [override])
