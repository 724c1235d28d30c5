"""Training the landmark network: points stay on their pixels, and a small run learns."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime as ort
import pytest
import torch
from safetensors.torch import load_file
from torch import Generator, Tensor, nn

from mien.data import decoys, table
from mien.data.patches import SIDE
from mien.data.table import Row, Table
from mien.errors import DataError, TrainingError
from mien.face import Frame, ImageArray
from mien.faces import landmarks
from mien.faces.landmarker import Landmarker
from mien.faces.landmarks import MIRROR, NET_FRAMING, NET_SIDE, POINTS
from mien.media.preprocess import Preprocess
from mien.training import recipes
from mien.training.export import export
from mien.training.landmark_data import is_kept, with_border
from mien.training.landmark_task import LandmarkTask, look, prepare
from mien.training.models import landmark_networks
from mien.training.recipes import LandmarkRecipe
from mien.training.tasks import Samples
from mien.training.train import train
from mien.weights import catalogue
from mien.weights.session import METADATA_KEY

RECIPE = Path(__file__).parents[2] / "recipes" / "landmarks68.toml"
QUICK = [
    'data.splits=["train", "decoys"]',
    "data.shares=[0.75, 0.25]",
    "data.weights=[1.0, 0.0]",
    "data.draws=384",
    "train.batch=48",
    "train.epochs=2",
    "train.warmup_epochs=0",
    "train.ema_decay=0.5",
    "train.precision=32-true",
]


def recipe(*overrides: str) -> LandmarkRecipe:
    read = recipes.read(RECIPE, [*QUICK, *overrides])
    assert isinstance(read, LandmarkRecipe)
    return read


# -- what the network sees ----------------------------------------------------------------------


def with_dot(x: float, y: float, side: int = SIDE) -> Tensor:
    """A patch (1, 1, S, S) with a soft dot at x y of -1..1."""
    at = (torch.arange(side) + 0.5) / side * 2 - 1
    away = (at[None, :] - x) ** 2 + (at[:, None] - y) ** 2
    return 255 * torch.exp(-away / 0.06**2)[None, None]


def brightest(seen: Tensor) -> Tensor:
    """The centre of gravity of what is bright, x y of -1..1."""
    at = (torch.arange(seen.shape[-1]) + 0.5) / seen.shape[-1] * 2 - 1
    share = seen[0, 0] / seen.sum()
    return torch.stack([(share.sum(0) * at).sum(), (share.sum(1) * at).sum()])


def one(value: float) -> Tensor:
    return torch.tensor([value], dtype=torch.float32)


def looked(
    index: int,
    place: tuple[float, float],
    angle: float,
    scale: float,
    shift: tuple[float, float],
    mirrored: bool,
) -> tuple[Tensor, Tensor]:
    """The picture with a dot where one point is, and all points, after one look."""
    points = torch.rand(1, POINTS, 2, generator=Generator().manual_seed(0)) - 0.5
    points[0, index] = torch.tensor(place)
    seen, moved = look(
        with_dot(*place),
        points.flatten(1),
        one(angle),
        one(scale),
        torch.tensor([shift]),
        torch.tensor([mirrored]),
    )
    assert seen.shape == (1, 1, NET_SIDE, NET_SIDE)
    return seen, moved.reshape(POINTS, 2)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.1, -0.15)])
@pytest.mark.parametrize("scale", [0.675, 0.9, 0.55])
@pytest.mark.parametrize("degrees", [0, 35, -90, 160])
def test_a_dot_moves_with_its_point(
    degrees: float, scale: float, shift: tuple[float, float], mirrored: bool
) -> None:
    for index, place in ((36, (-0.12, -0.2)), (54, (0.15, 0.22)), (30, (0.02, 0.05))):
        seen, moved = looked(index, place, np.radians(degrees), scale, shift, mirrored)
        expected = moved[MIRROR[index] if mirrored else index]
        torch.testing.assert_close(brightest(seen), expected, atol=0.01, rtol=0)


def test_scale_and_shift_by_hand() -> None:
    """A square of half the patch, its middle at (.1, -.2): what lay at (.2, .1) is at (.2, .6)."""
    _, moved = looked(5, (0.2, 0.1), 0.0, 0.5, (0.1, -0.2), False)
    torch.testing.assert_close(moved[5], torch.tensor([0.2, 0.6]))
    _, mirrored = looked(5, (0.2, 0.1), 0.0, 0.5, (0.1, -0.2), True)
    torch.testing.assert_close(mirrored[11], torch.tensor([-0.2, 0.6]))


def test_every_picture_of_a_batch_is_changed_by_its_own_numbers() -> None:
    x = with_dot(0.2, 0.1).repeat(3, 1, 1, 1)
    points = torch.tensor([0.2, 0.1]).repeat(3, POINTS)
    angle, scale = torch.tensor([0.0, 0.5, -2.0]), torch.tensor([0.6, 0.8, 1.0])
    shift, mirrored = torch.tensor([[0, 0], [0.1, 0], [0, -0.1]]), torch.tensor([0, 1, 0]) > 0
    seen, moved = look(x, points, angle, scale, shift, mirrored)
    for i in range(3):
        expected = moved[i].reshape(POINTS, 2)[0]
        torch.testing.assert_close(brightest(seen[i : i + 1]), expected, atol=0.01, rtol=0)
    assert len({round(float(v), 3) for v in moved[:, 0]}) == 3


def targets(points: Tensor, weight: list[float], face: list[float]) -> Tensor:
    return torch.cat([points, torch.tensor([weight, face]).T], dim=1)


def test_change_is_seeded_and_keeps_what_is_no_point() -> None:
    task, draw = LandmarkTask(recipe()), Generator().manual_seed(3)
    x = torch.randint(0, 256, (16, 1, SIDE, SIDE), generator=draw).float()
    y = targets(torch.rand(16, 136, generator=draw) - 0.5, [1.0, 0.0] * 8, [1.0, 0.0] * 8)
    seen, moved = task.change(x, y, Generator().manual_seed(5))
    again, moved_again = task.change(x, y, Generator().manual_seed(5))
    assert torch.equal(seen, again)
    assert torch.equal(moved, moved_again)
    assert torch.equal(moved[:, 136:], y[:, 136:])
    assert seen.shape == (16, 1, NET_SIDE, NET_SIDE)
    assert 0 <= float(seen.min()) <= float(seen.max()) <= 255
    assert not torch.equal(seen, task.change(x, y, Generator().manual_seed(6))[0])


def test_a_second_look_is_nearly_in_place() -> None:
    """With a share of 1 no face is turned by more than eight degrees, with 0 by up to forty."""
    x = torch.zeros(400, 1, SIDE, SIDE)
    points = torch.zeros(400, POINTS, 2)
    points[:, 36:42, 0], points[:, 42:48, 0] = -0.3, 0.3
    y = targets(points.flatten(1), [1.0] * 400, [1.0] * 400)

    def turns(share: float) -> Tensor:
        task = LandmarkTask(recipe(f"data.second_look={share}"))
        _, moved = task.change(x, y, Generator().manual_seed(1))
        across = moved[:, :136].reshape(-1, POINTS, 2)
        across = across[:, 42] - across[:, 36]
        return torch.rad2deg(torch.atan2(across[:, 1], across[:, 0])).abs()

    assert float(turns(1.0).max()) < 8.01
    assert 35 < float(turns(0.0).max()) < 40.01
    assert float((turns(0.5) < 8).float().mean()) > 0.5


# -- loss and score -----------------------------------------------------------------------------


def test_exact_points_and_sure_scores_cost_nothing() -> None:
    wanted = torch.rand(4, 136) * 2 - 1
    y = targets(wanted, [1.0, 0.5, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0])
    points = ((wanted + 1) / 2).reshape(4, POINTS, 2)
    points[2:] = 7.0  # decoys have no points, whatever the network says of them
    logits = torch.tensor([40.0, 40.0, -40.0, -40.0])
    assert LandmarkTask(recipe()).loss((points, logits), y).item() == pytest.approx(0, abs=1e-5)


def test_what_an_error_costs() -> None:
    """A twentieth of the crop everywhere is 1, its share of the weights; doubt is ln 2."""
    task = LandmarkTask(recipe())
    y = targets(torch.zeros(3, 136), [1.0, 0.5, 0.0], [1.0, 1.0, 0.0])
    exact, sure = torch.full((3, POINTS, 2), 0.5), torch.tensor([40.0, 40.0, -40.0])
    first, second = exact.clone(), exact.clone()
    first[0] += 0.05
    second[1] -= 0.05
    assert task.loss((first, sure), y).item() == pytest.approx(1 / 1.5, abs=1e-5)
    assert task.loss((second, sure), y).item() == pytest.approx(0.5 / 1.5, abs=1e-5)
    assert task.loss((exact, torch.zeros(3)), y).item() == pytest.approx(np.log(2), abs=1e-5)
    assert task.loss((exact, -sure), y).item() == pytest.approx(40, abs=1e-3)
    decoys_only = targets(torch.zeros(2, 136), [0.0, 0.0], [0.0, 0.0])
    nothing = task.loss((exact[:2], torch.tensor([-40.0, -40.0])), decoys_only)
    assert nothing.item() == pytest.approx(0, abs=1e-5)


class Saying(nn.Module):
    """A network that says the same whatever it sees."""

    def __init__(self, points: Tensor, logits: Tensor) -> None:
        super().__init__()
        self._said = points, logits

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._said


def test_score_counts_hand_placed_points_and_mistakes() -> None:
    task = LandmarkTask(recipe())
    wanted = torch.zeros(5, POINTS, 2)  # of -1..1
    wanted[:, 36, 0], wanted[:, 45, 0] = -0.3, 0.3  # outer corners of the eyes: .3 of the crop
    y = targets(wanted.flatten(1), [1.0, 1.0, 0.5, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0, 0.0])
    said = (wanted + 1) / 2
    said[0, :, 0] += 0.03  # a tenth of the eyes' distance
    said[1, :, 1] -= 0.015
    said[2] += 9.0  # taught, not placed by hand
    logits = torch.tensor([3.0, -1.0, 2.0, 0.5, -4.0])
    samples = Samples(torch.zeros(5, 1, NET_SIDE, NET_SIDE), y)
    figures = task.score(Saying(said, logits), samples, torch.device("cpu"))
    assert figures["nme"] == pytest.approx(0.075, abs=1e-5)
    assert figures["missed"] == pytest.approx(1 / 3)
    assert figures["false_alarms"] == pytest.approx(1 / 2)
    assert task.rank({**figures, "nme": 0.05}) > task.rank(figures)


# -- what it trains on --------------------------------------------------------------------------


def face(name: str, split: str = "train", **more: Any) -> Row:
    """A made-up face of 40 x 40 in a picture of 80 x 80, a bright dot at the tip of its nose."""
    draw = np.random.default_rng(int.from_bytes(name.encode()) % 2**32)
    points = draw.uniform(30, 50, (POINTS, 2))
    points[0], points[16] = [20, 20], [60, 60]
    points[36], points[45] = [28, 35], [52, 35]
    x, y = points[landmarks.NOSE_TIP] = draw.integers(32, 48, 2)
    gray = np.zeros((80, 80), np.uint8)
    gray[y - 1 : y + 2, x - 1 : x + 2] = 255
    png = cv2.imencode(".png", gray)[1].tobytes()
    placed = tuple(float(v) for v in points.ravel())
    return Row(name, split, "unknown", png, 80, 80, landmarks=placed, **more)


def decoy(name: str, side: int = SIDE) -> Row:
    noise = np.random.default_rng(0).integers(0, 256, (side, side), np.uint8)
    png = cv2.imencode(".png", noise)[1].tobytes()
    return Row(name, "decoys", "not_a_face", png, side, side, source=name)


@pytest.fixture(scope="module")
def made() -> Table:
    people = [face(f"p{i}", subject=f"person {i // 4}") for i in range(160)]
    sources = [face(f"s{i}", source=f"{i // 2}.jpg") for i in range(80)]
    alone = [face(f"a{i}") for i in range(60)]
    return Table("made", [*people, *sources, *alone, *(decoy(f"d{i}") for i in range(90))])


def test_a_tenth_of_the_people_is_kept_apart(made: Table) -> None:
    kept = [row for row in made.rows if is_kept(row)]
    assert 0.05 < len(kept) / len(made) < 0.17
    used = [row for row in made.rows if not is_kept(row)]
    assert not {row.subject for row in kept} & {row.subject for row in used} - {None}
    assert not {row.source for row in kept} & {row.source for row in used} - {None}
    everyone = [face("x", subject=f"{i}") for i in range(3000)]
    assert 0.08 < np.mean([is_kept(row) for row in everyone]) < 0.12


def test_the_tenth_is_the_same_in_every_run() -> None:
    """By a checksum of the name, not Python's hash, which every process salts anew."""
    # [i for i in range(40) if zlib.crc32(b"person %d" % i) % 10 == 0]
    kept = [16, 20, 29, 34]
    people = [face("y", source="elsewhere.jpg", subject=f"person {i}") for i in range(40)]
    assert [i for i, row in enumerate(people) if is_kept(row)] == kept
    sources = [face("y", source=f"person {i}") for i in range(40)]
    assert [i for i, row in enumerate(sources) if is_kept(row)] == kept
    names = [face(f"person {i}") for i in range(40)]
    assert [i for i, row in enumerate(names) if is_kept(row)] == kept


def test_what_a_run_trains_on_and_selects_by(made: Table) -> None:
    sets = prepare(recipe(), made)
    counts = sets.facts["counts"]
    faces, others = made.of_split("train"), made.of_split("decoys")
    assert counts["train"]["kept_for_selection"] == sum(map(is_kept, faces.rows))
    assert counts["decoys"]["kept_for_selection"] == sum(map(is_kept, others.rows))
    n, m = counts["train"]["used"], counts["decoys"]["used"]
    assert (n + counts["train"]["kept_for_selection"], sets.draws) == (len(faces), 384)
    assert sets.train.x.shape == (n + m, 1, SIDE, SIDE)
    assert sets.select.x.shape == (len(made) - n - m, 1, NET_SIDE, NET_SIDE)
    assert sets.train.x.dtype == sets.select.x.dtype == torch.uint8
    assert sets.train.chances is not None
    assert float(sets.train.chances[:n].sum()) == pytest.approx(0.75, abs=1e-4)
    assert float(sets.train.chances[n:].sum()) == pytest.approx(0.25, abs=1e-4)
    assert (sets.train.y[:n, 136:] == 1).all()
    assert sets.train.y[n:].abs().sum() == 0


def test_points_are_on_their_pixels_in_both_parts(made: Table) -> None:
    """The nose tip's dot; in the select part in the network's own square."""
    sets = prepare(recipe(), made)
    for samples in (sets.train, sets.select):
        for x, y in zip(samples.x, samples.y, strict=True):
            if y[137]:
                tip = y[:136].reshape(POINTS, 2)[landmarks.NOSE_TIP]
                torch.testing.assert_close(brightest(x[None].float()), tip, atol=0.004, rtol=0)


def test_a_first_look_s_square_is_what_is_selected_by(made: Table) -> None:
    """A face's longer side is 1 / 1.35 of it: points 0 and 16 lie so far apart."""
    sets = prepare(recipe(), made)
    points = sets.select.y[sets.select.y[:, 137] == 1, :136].reshape(-1, POINTS, 2)
    apart = (points[:, 16] - points[:, 0]) / 2
    torch.testing.assert_close(apart, torch.full_like(apart, 1 / NET_FRAMING), atol=1e-4, rtol=0)


def test_preparing_twice_gives_the_same(made: Table) -> None:
    one, two = prepare(recipe(), made), prepare(recipe(), made)
    for ours, theirs in ((one.train, two.train), (one.select, two.select)):
        assert torch.equal(ours.x, theirs.x)
        assert torch.equal(ours.y, theirs.y)
    assert one.facts == two.facts


def test_half_of_the_decoys_have_a_border(made: Table) -> None:
    sets = prepare(recipe(), made)
    patches = sets.train.x[sets.train.y[:, 137] == 0, 0]

    def repeats(patch: Tensor) -> bool:
        rows = [torch.equal(patch[0], patch[1]), torch.equal(patch[-1], patch[-2])]
        columns = [torch.equal(patch[:, 0], patch[:, 1]), torch.equal(patch[:, -1], patch[:, -2])]
        return any(rows) and any(columns)

    assert [repeats(patch) for patch in patches[:6]] == [True, False] * 3


def test_a_border_is_repeated_around_a_part() -> None:
    """Every pixel a number of its own: what is inside says which part it is."""
    patch: Any = np.arange(SIDE * SIDE, dtype=np.int32).reshape(SIDE, SIDE)
    draw, sides = np.random.default_rng(0), set()
    for _ in range(60):
        out = with_border(patch, draw)
        assert out.shape == patch.shape
        rows, columns = out // SIDE, out % SIDE
        top, bottom, left, right = rows.min(), rows.max(), columns.min(), columns.max()
        assert bottom - top == right - left
        sides.add(int(bottom - top + 1))
        nearest = np.arange(SIDE)
        np.testing.assert_array_equal(rows, np.tile(nearest.clip(top, bottom)[:, None], SIDE))
        np.testing.assert_array_equal(columns, np.tile(nearest.clip(left, right), (SIDE, 1)))
    assert SIDE / 2 <= min(sides) < 0.6 * SIDE
    assert 0.8 * SIDE < max(sides) <= 0.9 * SIDE


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: [row for row in rows if row.split == "train"], "no split 'decoys'"),
        (lambda rows: [*rows[:2], *rows[-90:]], "too few rows in made to train on and to select"),
        (lambda rows: [*rows, *(bare(f"b{i}") for i in range(9))], r"\d rows of .* have no landm"),
        (lambda rows: [*rows, *(decoy(f"e{i}", 48) for i in range(9))], "patches of 96 pixels"),
    ],
)
def test_a_table_that_does_not_fit(
    made: Table, change: Callable[[list[Row]], list[Row]], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        prepare(recipe(), Table("made", change(list(made.rows))))


def bare(name: str) -> Row:
    row = decoy(name)
    return Row(row.id, "train", "unknown", row.image, SIDE, SIDE)


# -- a run --------------------------------------------------------------------------------------


class Silent:
    """Ends the run in the middle of an epoch, if told to."""

    def __init__(self, until: tuple[int, int] | None = None) -> None:
        self._until = until

    def step(self, epoch: int, step: int, steps: int, loss: float) -> None:
        if (epoch, step) == self._until:
            raise KeyboardInterrupt

    def epoch(self, record: dict[str, Any]) -> None: ...


@pytest.fixture(scope="module")
def few(w300_table: Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every fifth of 300-W's faces, and what lies beside some of them."""
    faces = w300_table.of_split("train")
    faces = faces.keep(i % 5 == 0 for i in range(len(faces)))
    beside = decoys.from_faces(faces.keep(i % 2 == 0 for i in range(len(faces))))
    path = tmp_path_factory.mktemp("tables") / "few.parquet"
    table.write(table.join([faces, beside], "few"), path)
    return path


@pytest.fixture(scope="module")
def run(few: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two epochs that nothing disturbed."""
    out = tmp_path_factory.mktemp("runs") / "unbroken"
    train(recipe(), few, out, Silent(), accelerator="cpu")
    return out


def test_it_learns(run: Path) -> None:
    first, second = map(json.loads, (run / "log.jsonl").read_text().splitlines())
    assert second["loss"] < 0.9 * first["loss"]
    assert second["select"]["nme"] < first["select"]["nme"] < 2
    assert set(second["select"]) == {"nme", "missed", "false_alarms"}
    environment = json.loads((run / "environment.json").read_text())
    assert environment["counts"]["train"]["used"] > 150
    saved = json.loads((run / "recipe.json").read_text())
    assert recipes.from_values(saved["recipe"]) == recipe()


def test_broken_off_and_resumed_it_ends_the_same(run: Path, few: Path, tmp_path: Path) -> None:
    """In the middle of the second epoch, then the same again: the same bytes."""
    with pytest.raises(KeyboardInterrupt):
        train(recipe(), few, tmp_path / "run", Silent(until=(1, 3)), accelerator="cpu")
    log = tmp_path / "run" / "log.jsonl"
    assert len(log.read_text().splitlines()) == 1
    train(recipe(), few, tmp_path / "run", Silent(), accelerator="cpu")
    ours = (tmp_path / "run" / "weights.safetensors").read_bytes()
    assert ours == (run / "weights.safetensors").read_bytes()
    assert [json.loads(line)["epoch"] for line in log.read_text().splitlines()] == [0, 1]


def test_no_two_epochs_see_the_same(few: Path, tmp_path: Path) -> None:
    """A network that does not move would then have the same loss twice."""
    still = recipe("train.lr=1e-12", "data.draws=96")
    train(still, few, tmp_path / "run", Silent(), accelerator="cpu")
    lines = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    first, second = (json.loads(line)["loss"] for line in lines)
    assert abs(first - second) > 1e-3


def test_a_loss_that_is_no_number_stops_it(few: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"epoch 0, step \d+; try a lower train\.lr"):
        train(recipe("train.lr=1e30"), few, tmp_path / "run", Silent(), "cpu")


# -- its file -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def exported(run: Path, few: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models") / "mine.onnx"
    meta = export(run, few, out)
    assert meta["points"] == "ibug68"
    return out


def test_torch_and_onnx_agree_on_real_faces(exported: Path, run: Path, w300_table: Table) -> None:
    net = landmark_networks.build("landmarknet")
    net.load_state_dict(load_file(run / "weights.safetensors"))
    net.eval()
    test = w300_table.of_split("test")
    x = test.keep(i % 10 == 0 for i in range(len(test))).planes(Preprocess(NET_SIDE, "gray"))
    session = ort.InferenceSession(exported.read_bytes(), providers=["CPUExecutionProvider"])
    assert [put.name for put in session.get_outputs()] == ["points", "logits"]
    points, logits = session.run(None, {"face": x.astype(np.float32)})
    assert points.shape == (33, POINTS, 2)
    assert logits.shape == (33,)
    with torch.no_grad():
        expected = net(torch.from_numpy(x).float())
    np.testing.assert_allclose(points, expected[0].numpy(), atol=1e-4)
    np.testing.assert_allclose(logits, expected[1].numpy(), atol=1e-4)


def test_the_file_says_what_it_is(exported: Path, few: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx comes with the train extra")
    props = {p.key: p.value for p in onnx.load(str(exported)).metadata_props}
    meta = json.loads(props[METADATA_KEY])
    assert (meta["name"], meta["points"]) == ("mine", "ibug68")
    assert meta["preprocess"] == {"size": NET_SIDE, "color": "gray"}
    card = meta["card"]
    assert card["parity"]["largest_difference"] <= 1e-4
    assert card["parity"]["faces"] == 242
    training = card["training"]
    assert training["splits"] == {"train": ["train", "decoys"], "select": "a tenth of each"}
    assert training["data"]["file"] == few.name
    assert set(training["select"]) == {"nme", "missed", "false_alarms"}
    assert exported.stat().st_size < 2_100_000


def test_the_landmarker_runs_it(
    exported: Path, monkeypatch: pytest.MonkeyPatch, portrait: Frame
) -> None:
    monkeypatch.setattr(catalogue, "read", lambda row: (exported, exported.read_bytes()))
    box = np.array([[183, 78, 263, 168]], np.float32)
    found = Landmarker().place(portrait, box)
    assert found.points.shape == (1, POINTS, 2)
    # So short a run has hardly begun to place points; but they lie in the square it looked at.
    x0, y0, x1, y1 = 183 - 40, 78 - 40, 263 + 40, 168 + 40
    assert ((found.points > [x0, y0]) & (found.points < [x1, y1])).all()
    assert 0 <= found.scores[0] <= 1


def test_the_shipped_network_s_own_card() -> None:
    onnx = pytest.importorskip("onnx", reason="onnx comes with the train extra")
    _, content = catalogue.read(catalogue.spec("landmarks68"))
    props = {p.key: p.value for p in onnx.load_from_string(content).metadata_props}
    meta = json.loads(props[METADATA_KEY])
    assert meta["points"] == "ibug68"
    assert meta["card"]["parity"]["largest_difference"] <= 1e-4
    assert len(content) <= 2_000_000


def test_gray_levels_of_a_decoy_are_its_own(made: Table) -> None:
    sets = prepare(recipe(), made)
    plain = sets.train.x[sets.train.y[:, 137] == 0, 0][1].numpy()
    picture: ImageArray = next(made.of_split("decoys").pictures())
    np.testing.assert_array_equal(plain, picture[:, :, 0])
