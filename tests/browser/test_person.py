"""A person's own recogniser, and what explains an answer: the browser learns and sees as Python."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from mien.analysis.pipeline import Analyzer, Settings
from mien.expression.baserates import default_for
from mien.expression.explain import Explainer, scaled
from mien.expression.recognize import ModelInfo, load_model
from mien.face import Frame, ImageArray
from mien.faces import align
from mien.faces.finder import pixels
from mien.media import image
from mien.person import head, people, train
from mien.person.people import Person
from mien.person.samples import Taker, from_pictures

from .node import Node

JAFFE = {"AN": "anger", "DI": "disgust", "FE": "fear", "HA": "joy", "NE": "neutral", "SA": "sad"}
ABOUT = {"date", "commit", "machine", "versions"}
"""What a test says of where it was made."""


@pytest.fixture(scope="module")
def ours() -> Analyzer:
    return Analyzer(Settings(detector="mien", threads=1))


Labelled = list[tuple[str, Path]]


@pytest.fixture(scope="module")
def jaffe(owners_layout: Path) -> Labelled:
    """One of JAFFE's ten women, KL, in six expressions."""
    files = sorted((owners_layout / "jaffe").glob("KL.*.tiff"))
    found = [(JAFFE[f.name[3:5]], f) for f in files if f.name[3:5] in JAFFE]
    assert len(found) == 19
    return found


@pytest.fixture(scope="module")
def made(astronaut: ImageArray, tmp_path_factory: pytest.TempPathFactory) -> Labelled:
    """A face turned, darkened and made pale, under a word, a name of mien's and a word it knows."""
    found, folder = Labelled(), tmp_path_factory.mktemp("made")
    face = np.ascontiguousarray(astronaut[:280, 90:370])
    for i in range(4):
        turn = cv2.getRotationMatrix2D((140, 120), 3.0 * i, 1.0)
        turned = cv2.warpAffine(face, turn, (280, 280), borderMode=cv2.BORDER_REPLICATE)
        shown = {"yes": turned, "sad": turned - turned // 3, "neutral": 255 - (255 - turned) // 2}
        for label, rgb in shown.items():
            path = folder / f"{label}{i}.png"
            Image.fromarray(np.asarray(rgb, np.uint8)).save(path)
            found.append((label, path))
    return found


@dataclass(frozen=True, slots=True)
class Taught:
    """A person whom Python has learned of some files."""

    files: Labelled
    person: Person
    trained: dict[str, Any]
    tested: dict[str, Any]


@pytest.fixture(scope="module", params=["jaffe", "made"])
def ann(
    request: pytest.FixtureRequest, ours: Analyzer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Taught]:
    files: Labelled = request.getfixturevalue(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIEN_HOME", str(tmp_path_factory.mktemp("home")))
        person = people.get_or_make("Ann", "Ann, for herself")
        taker = Taker(person, ours)
        for label, file in files:
            from_pictures(taker, label, [(file.name, file.read_bytes())])
        assert len(taker.taken.samples) == len(files)
        trained, tested = train.train(person), train.tested(person, "head")
        told = {name: value for name, value in tested.items() if name not in ABOUT}
        yield Taught(files, person, trained, told)


def job_of(browser: Node, person: Person) -> list[dict[str, Any]]:
    """A person's samples, as a job has them."""
    return [
        {"sample": asdict(sample), "picture": browser.picture(person.picture(sample).rgb)}
        for sample in person.samples()
    ]


def test_the_same_samples_teach_the_same(browser: Node, ann: Taught, tmp_path: Path) -> None:
    trunk = head.Trunk(load_model("mien", 1))
    faces, crops = train.read(ann.person, trunk, "head"), crops_of(ann.person, trunk)
    jobs = job_of(browser, ann.person)
    found = browser.ask(person=jobs, crops=[browser.raw(crop) for crop in crops])["person"]
    np.testing.assert_allclose(found["features"], faces.features, atol=1e-5)
    assert found["tested"] == ann.tested
    for name in ("general", "labels", "stimuli"):
        assert found[name] == ann.trained[name], name
    assert list(found["labels"]) == list(ann.trained["labels"])

    file = tmp_path / "browser.onnx"
    file.write_bytes(base64.b64decode(found["file"]))
    theirs, mine = load_model(file), load_model(ann.person.folder / "head.onnx")
    for name in set(ModelInfo.__slots__) - {"sha256", "card"}:
        assert getattr(theirs.info, name) == getattr(mine.info, name), name
    assert theirs.info.card.keys() == mine.info.card.keys()
    assert theirs.info.card["base"] == mine.info.card["base"]
    learned = mine.probabilities(crops, default_for(mine.info.base_rates))
    read = theirs.probabilities(crops, default_for(theirs.info.base_rates))
    np.testing.assert_allclose(read, learned, atol=1e-3)
    np.testing.assert_allclose([c["probs"] for c in found["crops"]], read, atol=1e-5)
    assert all(c["intensity"] is None for c in found["crops"])


def crops_of(person: Person, trunk: head.Trunk) -> list[ImageArray]:
    """The faces of a person's samples, as a recogniser gets them."""
    info, found = trunk.info, list[ImageArray]()
    for sample in person.samples():
        place = align.place(sample.face, info.align, info.preprocess.size, sample.framing)
        found.append(align.cut(person.picture(sample), place))
    return found


def test_the_same_samples_are_taken_of_pictures(browser: Node, ann: Taught) -> None:
    kept = {sample.stimulus.split("/")[1].split("#")[0]: sample for sample in ann.person.samples()}
    jobs = [
        browser.picture(image.read_file(file))
        | {"label": label, "stimulus": kept[file.name].stimulus}
        for label, file in ann.files
    ]
    again = []
    for (_, file), theirs in zip(ann.files, browser.ask(taken=jobs)["taken"], strict=True):
        told, mine = theirs["sample"], kept[file.name]
        assert told.keys() == asdict(mine).keys()
        for name in ("label", "stimulus", "time_s", "framing"):
            assert told[name] == getattr(mine, name), name
        half_a_pixel = 0.5 * max(mine.box[2] - mine.box[0], mine.box[3] - mine.box[1]) / 128
        np.testing.assert_allclose(told["box"], mine.box, atol=half_a_pixel)
        assert mine.landmarks is not None
        np.testing.assert_allclose(told["landmarks"], mine.landmarks, atol=half_a_pixel)
        assert told["picture_quality"] == pytest.approx(mine.picture_quality, abs=0.01)
        size = theirs["picture"]["height"], theirs["picture"]["width"]
        pixels = np.frombuffer(base64.b64decode(theirs["picture"]["data"]), np.uint8)
        rgba = pixels.reshape(*size, 4)
        np.testing.assert_array_equal(rgba[..., :3], ann.person.picture(mine).rgb)
        again.append({"sample": told, "picture": browser.raw(rgba)})
    results = browser.ask(person=again)["person"]["tested"]["results"]
    one = 1 / len(ann.files)
    for name, figures in ann.tested["results"].items():
        assert results[name]["accuracy"] == pytest.approx(figures["accuracy"], abs=one + 1e-4)


def test_who_is_meant_is_the_same(browser: Node, astronaut: ImageArray) -> None:
    gray = np.full((90, 90, 3), 120, np.uint8)
    face = astronaut[:280, 90:370]
    two = np.concatenate([face, face[:, ::-1]], axis=1)
    shown = [
        browser.picture(p) | {"label": "Joy", "stimulus": "a"} for p in (gray, face // 8, two, face)
    ]
    found = browser.ask(taken=shown)["taken"]
    assert [one.get("left") for one in found] == ["nobody", "unsure", "several", None]
    assert found[3]["sample"]["label"] == "happiness"


@pytest.mark.parametrize("model", ["mien", "mien-tiny"])
def test_the_same_crops_are_explained_the_same(
    built: None, tmp_path: Path, astronaut: ImageArray, model: str
) -> None:
    reader = Analyzer(Settings(model, "mien", threads=1))
    frame = Frame(astronaut)
    (face,) = reader.recognize(frame, reader.find(frame))
    crop = pixels(frame, face)
    crops = [crop, np.ascontiguousarray(crop[::-1]), crop // 3, np.zeros_like(crop)]
    explainer = Explainer(reader.recognizer)
    browser = Node(tmp_path, model)
    found = browser.ask(explained=[browser.picture(c) for c in crops])["explained"]
    side, labels = explainer.info.preprocess.size, explainer.info.label_set.labels
    spoken = 0
    for maps, theirs in zip(explainer.maps(crops), found, strict=True):
        assert list(theirs) == list(labels)
        for label, heat in zip(labels, maps, strict=True):
            assert theirs[label]["side"] == side
            mine = scaled(heat, side)
            their = np.reshape(theirs[label]["values"], (side, side))
            np.testing.assert_allclose(their, mine, atol=1e-3)
            spoken += bool(mine.any())
    assert spoken > len(labels)
