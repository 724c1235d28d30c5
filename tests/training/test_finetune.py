"""A folder of pictures as it may come: whole photographs, crops, few of a kind, damaged ones."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mien.app import console
from mien.data.cut import faces_of
from mien.data.sets import folder
from mien.errors import ConfigError, DataError, ModelError, UnknownName
from mien.expression.baserates import BaseRates
from mien.expression.logits import calibrated, softmax
from mien.expression.recognize import OnnxRecognizer, load_model
from mien.face import ImageArray
from mien.faces import detect, proposals
from mien.faces.proposals import Proposer
from mien.labels import label_set, subset
from mien.media.preprocess import Preprocess
from mien.training import finetune, recipes
from mien.training.models import networks, proposal_networks
from mien.training.models.resnet import resnet10
from mien.training.quantize import quantized
from mien.training.warmstart import Start, fill
from tests import FIRST_MODEL, stripes

LABELS = ("happy", "sad")


def portraits(astronaut: ImageArray, out: Path, label: str, count: int) -> None:
    """One face, differently lit and cut."""
    random = np.random.default_rng(len(label))
    (out / label).mkdir(parents=True, exist_ok=True)
    for i in range(count):
        left, top = random.integers(100, 160), random.integers(0, 40)
        side = int(random.integers(180, 260))
        cut = astronaut[top : top + side, left : left + side].astype(np.float32)
        light = np.clip(cut * random.uniform(0.6, 1.2), 0, 255).astype(np.uint8)
        Image.fromarray(light).save(out / label / f"{i:02d}.png")


@pytest.fixture
def pictures(astronaut: ImageArray, tmp_path: Path) -> Path:
    for label in LABELS:
        portraits(astronaut, tmp_path / "mine", label, 10)
    return tmp_path / "mine"


def train(pictures: Path, *overrides: str) -> finetune.Trained:
    quick = ["train.epochs=1", "train.warmup_epochs=0", "train.batch=8", *overrides]
    out = pictures.parent / "run"
    return finetune.train_folder(pictures, out, stripes.Silent(), quick, "cpu")


def test_photographs_and_crops_are_cut_alike(astronaut: ImageArray, tmp_path: Path) -> None:
    """The photograph's face is found in the crop too; a wall is left out, and said to be."""
    (tmp_path / "f" / "happy").mkdir(parents=True)
    Image.fromarray(astronaut).save(tmp_path / "f" / "happy" / "photo.png")
    Image.fromarray(astronaut[50:180, 160:290]).save(tmp_path / "f" / "happy" / "tight.png")
    Image.new("RGB", (200, 200), (120, 90, 60)).save(tmp_path / "f" / "happy" / "wall.png")
    cut = faces_of(folder.read_folder(tmp_path / "f"), "box", 48)
    assert [row.source for row in cut.rows] == ["happy/photo.png", "happy/tight.png"]
    assert cut.notes["no_face"] == ["happy/wall.png"]
    assert cut.notes["align"] == "box"
    one, other = cut.planes(Preprocess(48, "gray")).astype(float)[:, 0]
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.8
    assert all(row.width <= 4 * 48 for row in cut.rows)


def test_a_crop_that_no_detector_reads_is_taken_whole(
    astronaut: ImageArray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "f" / "happy").mkdir(parents=True)
    Image.fromarray(astronaut[55:175, 165:285]).save(tmp_path / "f" / "happy" / "tight.png")
    Image.fromarray(astronaut[300:400, 0:100]).save(tmp_path / "f" / "happy" / "suit.png")
    detector = detect.build()
    monkeypatch.setattr(type(detector), "detect", lambda *_: [])
    cut = faces_of(folder.read_folder(tmp_path / "f"), "box", 48)
    assert [row.source for row in cut.rows] == ["happy/tight.png"]
    assert (cut.notes["whole"], cut.notes["no_face"]) == (1, ["happy/suit.png"])


def test_of_few_pictures_the_last_epoch_is_taken(pictures: Path) -> None:
    """Of three, two epochs in a row name all right, and the first is no better than the second."""
    trained = train(pictures, "train.epochs=3")
    assert trained.report["weights"] == "last"
    training = load_model(trained.model).info.card["training"]
    assert (training["weights"], training["epoch"], training["epochs"]) == ("last", 2, 3)


def test_of_many_pictures_the_best_epoch_is_taken(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finetune, "FEWEST_TO_CHOOSE", 3)  # of 20 pictures 3 select
    assert train(pictures).report["weights"] == "best"


def of_people(astronaut: ImageArray, out: Path, shares: dict[str, int]) -> Path:
    """So many pictures of each label for each person."""
    lines = ["file,subject"]
    for label in LABELS:
        portraits(astronaut, out, label, sum(shares.values()))
        names = [name for name, count in shares.items() for _ in range(count)]
        lines += [f"{label}/{i:02d}.png,{name}" for i, name in enumerate(names)]
    (out / "people.csv").write_text("\n".join(lines) + "\n")
    return out


def test_another_seed_tests_others_or_says_that_it_cannot(
    astronaut: ImageArray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shares = {"anna": 8, "ben": 2, "cleo": 1, "dan": 1}  # three sides: one way is the most even
    found = of_people(astronaut, tmp_path / "mine", shares)
    told = train(found, "split.seed=1").report
    assert told["split"]["as_seed"] is None
    assert told["split"]["tested"]
    shutil.rmtree(tmp_path / "run")
    again = train(found, "split.seed=3").report
    assert again["split"]["tested"] == told["split"]["tested"]
    assert again["split"]["as_seed"] == 1
    console.trained(again)
    said = capsys.readouterr().err
    assert "split.seed = 3 tests the same people as split.seed = 1" in said
    assert f"of other people ({', '.join(told['split']['tested'])})" in said
    shutil.rmtree(tmp_path / "run")
    folds = [train_fold(found, fold) for fold in range(3)]
    assert sorted(name for names in folds for name in names) == sorted(shares)


def train_fold(pictures: Path, fold: int) -> list[str]:
    told = train(pictures, "split.folds=3", f"split.fold={fold}").report["split"]["tested"]
    shutil.rmtree(pictures.parent / "run")
    return list(told)


def test_damaged_empty_and_single(
    pictures: Path, astronaut: ImageArray, capsys: pytest.CaptureFixture[str]
) -> None:
    """A picture that cannot be read, a label without pictures, a label with one."""
    (pictures / "sad" / "broken.jpg").write_bytes(b"\xff\xd8\xff no more")
    (pictures / "fear").mkdir()
    portraits(astronaut, pictures, "contempt", 1)
    trained = train(pictures)
    report = trained.report
    assert list(report["faces"]["unreadable"]) == ["sad/broken.jpg"]
    assert list(report["faces"]["left_out"]) == ["fear"]
    assert report["labels"] == {"contempt": 1, "happiness": 10, "sadness": 10}
    console.trained(report)
    said = capsys.readouterr().err
    assert "no picture of contempt among those that choose the epoch and calibrate" in said
    assert "no picture of contempt among those that test: the figures are of the others" in said
    model = load_model(trained.model)
    assert model.info.label_set.labels == ("happiness", "sadness", "contempt")
    probs = model.probabilities([astronaut[50:180, 160:290]], BaseRates())
    assert np.isfinite(probs).all()


def test_the_same_command_again_says_the_same(pictures: Path) -> None:
    first = train(pictures)
    content = first.model.read_bytes()
    assert train(pictures).report["figures"] == first.report["figures"]
    assert load_model(first.model).info.temperature == load_model(first.model).info.temperature
    assert len(content) == len(first.model.read_bytes())
    (pictures / "sad" / "00.png").unlink()
    with pytest.raises(DataError, match=r"holds a run on other pictures, .* name another --out"):
        train(pictures)


def test_pictures_added_after_there_were_too_few(astronaut: ImageArray, tmp_path: Path) -> None:
    for label in LABELS:
        portraits(astronaut, tmp_path / "mine", label, 1)
    with pytest.raises(DataError, match="cannot fill"):
        train(tmp_path / "mine")
    for label in LABELS:
        portraits(astronaut, tmp_path / "mine", label, 10)
    assert train(tmp_path / "mine").report["faces"]["faces"] == 20


def test_a_folder_split_already_keeps_its_test_part_out(
    astronaut: ImageArray, tmp_path: Path
) -> None:
    for label in LABELS:
        portraits(astronaut, tmp_path / "mine" / "train", label, 8)
        portraits(astronaut, tmp_path / "mine" / "test", label, 4)
    assert train(tmp_path / "mine").report["faces"]["faces"] == 16


def test_a_single_label_is_refused(astronaut: ImageArray, tmp_path: Path) -> None:
    portraits(astronaut, tmp_path / "mine", "happy", 4)
    with pytest.raises(DataError, match=r"pictures of happiness only; .* two expressions or more"):
        train(tmp_path / "mine")


def test_too_few_to_hold_any_back(astronaut: ImageArray, tmp_path: Path) -> None:
    for label in LABELS:
        portraits(astronaut, tmp_path / "mine", label, 1)
    with pytest.raises(DataError):
        train(tmp_path / "mine")


def test_a_label_outside_the_set(pictures: Path) -> None:
    (pictures / "sadd").mkdir()
    with pytest.raises(DataError, match=r"not named after a label: .* did you mean sad"):
        train(pictures)


def test_no_face_at_all(tmp_path: Path) -> None:
    for label in LABELS:
        (tmp_path / "mine" / label).mkdir(parents=True)
        Image.new("RGB", (90, 90), (120, 90, 60)).save(tmp_path / "mine" / label / "a.png")
    with pytest.raises(DataError, match="no face was found in any of the 2 pictures"):
        train(tmp_path / "mine")


def _network(labels: int) -> torch.nn.Module:
    return networks.build("resnet10", labels, Preprocess(48, "gray"))


def _content() -> bytes:
    return FIRST_MODEL.read_bytes()


def _varied(size: int = 48) -> torch.Tensor:
    random, each = np.random.default_rng(0), -(-size // 6)
    rows = random.integers(0, 256, (40, 1, 6, 6), dtype=np.uint8).repeat(each, 2).repeat(each, 3)
    return torch.from_numpy(rows[:, :, :size, :size].copy())


def test_a_network_filled_from_a_model_file_answers_alike() -> None:
    """Calibrated, over fewer labels in another order, and in training mode nearly so."""
    labels = subset(["sadness", "neutral", "contempt"])
    net, x = _network(3), _varied()
    fill(net, _content(), labels, x)
    model = load_model(FIRST_MODEL)
    crops = [np.repeat(p[0, :, :, None].numpy(), 3, axis=2) for p in x]
    wanted = calibrated(model.logits(crops), model.info.temperature, model.info.offsets)
    wanted = wanted[:, labels.permutation_from(model.info.label_set)]
    with torch.no_grad():
        given = net.eval()(x.float()).numpy()
        np.testing.assert_allclose(given, wanted, atol=1e-3)
        net.train()
        torch.manual_seed(0)
        trained = net(x.float()).numpy()
    # what dropout changes; left as they were folded, its statistics would change everything
    assert np.abs(softmax(trained) - softmax(wanted)).mean() < 0.1


def test_a_second_head_stays_new_behind_the_filled_one() -> None:
    x = _varied()
    one, two = resnet10(8, Preprocess()), resnet10(15, Preprocess())
    torch.nn.init.constant_(two.classifier.weight[8:].detach(), 0.5)
    for net in (one, two):
        fill(net, _content(), label_set("ferplus"), x)
        net.eval()
    with torch.no_grad():
        torch.testing.assert_close(two(x.float())[:, :8], one(x.float()))
    assert (two.classifier.weight[8:] == 0.5).all()


def test_a_file_in_eight_bits_can_be_gone_on_from() -> None:
    """Its weights are those of the whole file, rounded."""
    crops = list(np.random.default_rng(1).integers(0, 255, (32, 48, 48, 3), np.uint8))
    small = quantized(OnnxRecognizer(_content(), "whole", ""), crops, "small")
    nets = [networks.build("resnet10", 8, Preprocess(48, "gray")) for _ in range(2)]
    for net, content in zip(nets, (_content(), small), strict=True):
        fill(net, content, label_set("mien8"), _varied())
        net.eval()
    with torch.no_grad():
        whole, rounded = (net(_varied().float()) for net in nets)
    assert (whole - rounded).abs().mean() < 0.05 * whole.std()


@pytest.mark.parametrize(("name", "shape"), [("mien", "resnet10"), ("mien-tiny", "resnet10-slim")])
def test_the_shipped_models_can_be_gone_on_from(name: str, shape: str) -> None:
    """They answer on as they did, but for the steps of eight bits between their layers."""
    model = load_model(name)
    size = model.info.preprocess.size
    x = _varied(size)
    net = networks.build(shape, 8, Preprocess(size, "gray"))
    fill(net, model.content, label_set("ferplus"), x)
    net.eval()
    with torch.no_grad():
        ours = net(x.float()).softmax(dim=1).numpy()
    logits = model.logits(list(x.numpy().transpose(0, 2, 3, 1).repeat(3, 3)))
    theirs = softmax(calibrated(logits, model.info.temperature, model.info.offsets))
    assert np.abs(ours - theirs).mean() < 0.02


def test_what_a_network_cannot_be_filled_from(tmp_path: Path) -> None:
    other = networks.build("iliev2022", 8, Preprocess(48, "gray"))
    with pytest.raises(ModelError, match="holds another network's weights"):
        fill(other, _content(), label_set("mien8"), _varied())
    with pytest.raises(UnknownName, match="did you mean resnet10-ferplus"):
        Start("resnet10-ferpluss")
    with pytest.raises(ModelError, match="cannot read"):
        Start(str(tmp_path / "none.onnx"))
    landmarks = recipes.read(recipes.find("landmarks68"))
    start: Any = Start("mien")
    with pytest.raises(ConfigError, match=r"landmarks start from a weights\.safetensors"):
        start.fill(other, landmarks, _varied())


def test_a_proposal_network_goes_on_from_its_file() -> None:
    recipe = recipes.read(recipes.find("proposals-refine"))
    net, other = (proposal_networks.build("proposalnet") for _ in range(2))
    smooth = np.random.default_rng(1).integers(0, 256, (4, 1, 8, 8)).repeat(16, 2).repeat(16, 3)
    scenes = torch.from_numpy(smooth.astype(np.uint8))
    Start("proposals").fill(net, recipe, scenes)
    net.eval()
    wanted = Proposer()._session.run(None, {proposals.INPUT: smooth[:1].astype(np.float32)})
    with torch.no_grad():
        answers = net(scenes[:1].float())
    for ours, theirs in zip(answers, wanted, strict=True):
        assert np.abs(ours.numpy() - theirs).mean() < 0.2 * theirs.std()
    start: Any = Start("mien")
    with pytest.raises(ModelError, match="holds another network's weights"):
        start.fill(other, recipe, scenes)
