"""One person's recogniser, from recording to deleting, on real faces and on made ones."""

from __future__ import annotations

import json
import os
import random
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from mien.analysis.pipeline import Analyzer, Settings
from mien.app.person import app
from mien.errors import (
    ConfigError,
    DataError,
    InputError,
    ModelError,
    OutputError,
    UnknownName,
    VideoError,
)
from mien.expression import typical
from mien.expression.baserates import BaseRates
from mien.expression.recognize import load_model
from mien.face import Face, Frame, ImageArray
from mien.labels import own, word
from mien.media import capture
from mien.person import head, people, train
from mien.person import samples as person_samples
from mien.person import session as person_session
from mien.person.people import Person
from mien.person.recognizer import recognizer
from mien.person.samples import Taker
from mien.person.session import Announcer, Stimulus
from mien.testing import FakeDetector, FakeRecognizer
from mien.weights import graph

run = CliRunner().invoke


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MIEN_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="module")
def woman(astronaut: ImageArray) -> ImageArray:
    return np.ascontiguousarray(astronaut[20:240, 120:340])


@pytest.mark.parametrize("how", ["no folder", "no face", "no camera"])
def test_a_recording_that_fails_leaves_nobody_behind(
    how: str, woman: ImageArray, home: Path, tmp_path: Path
) -> None:
    source, more = tmp_path / "mine", ["--from", str(tmp_path / "mine")]
    if how == "no face":
        picture(source / "joy" / "wall.png", np.full((90, 90, 3), 120, np.uint8))
    if how == "no camera":
        faces(source, woman, 1)
        more = [str(source), "--camera", str(tmp_path / "gone.mp4"), "--emotion", "joy"]
    done = run(app, ["record", "Ann", *more, "--consent", "Ann, for herself"])
    assert done.exception is not None
    assert not list((home / "people").glob("*"))
    assert people.everyone() == []


def test_a_recording_that_fails_takes_back_its_consent_alone(
    woman: ImageArray, tmp_path: Path
) -> None:
    source = faces(tmp_path / "mine", woman, 1)
    words = ["record", "Ann", "--from"]
    run(app, [*words, str(source), "--consent", "Ann, for herself"], catch_exceptions=False)
    before = people.get("Ann")
    assert run(app, [*words, "gone", "--consent", "Bob, for Ann"]).exception is not None
    after = people.get("Ann")
    assert [consent.text for consent in after.consents] == ["Ann, for herself"]
    assert after.files() == before.files() != set()


def picture(path: Path, rgb: ImageArray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(path)
    return path


def faces(folder: Path, woman: ImageArray, each: int = 3) -> Path:
    """A folder per label: her face as it is for joy, turned about its own middle for 'pain'."""
    rng = np.random.default_rng(0)
    for i in range(each):
        noisy = np.clip(woman + rng.normal(0, 3, woman.shape), 0, 255).astype(np.uint8)
        picture(folder / "joy" / f"{i}.png", noisy)
        lower = noisy.copy()
        lower[120:170, 60:150] = np.clip(lower[120:170, 60:150].astype(int) // 3, 0, 255)
        picture(folder / "Pain" / f"{i}.png", lower)
    return folder


def fake(*boxes: tuple[float, float, float, float], score: float = 0.9) -> Analyzer:
    return Analyzer(recognizer=FakeRecognizer(), detector=FakeDetector(*boxes, score=score))


def frames(rgb: ImageArray, seconds: float, fps: float = 30.0) -> Iterator[Frame]:
    """Of a camera that gives one picture for so long, and is then lost."""
    for i in range(round(seconds * fps)):
        yield Frame(rgb, i, i / fps, "camera")


def taker(name: str = "Ann", analyzer: Analyzer | None = None) -> Taker:
    whose = people.get_or_make(name, "Ann Smith, for herself")
    return Taker(whose, analyzer or fake((60, 60, 160, 160)))


def stimuli(folder: Path, each: int = 3, labels: tuple[str, ...] = ("joy", "pain")) -> Path:
    for n, label in enumerate(labels):
        for i in range(each):
            picture(folder / label / f"{i}.png", np.full((8, 8, 3), 20 * n + i, np.uint8))
    return folder


def test_from_files_to_a_deleted_person(tmp_path: Path, woman: ImageArray, home: Path) -> None:
    source = faces(tmp_path / "pictures", woman)
    words = ["record", "Ann", "--from", str(source)]
    refused = run(app, words)
    assert isinstance(refused.exception, ConfigError)
    assert "consent" in str(refused.exception)
    assert not home.exists()

    done = run(app, [*words, "--consent", "Ann Smith, for herself"])
    assert done.exit_code == 0, done.output
    assert "happiness: 3" in done.output
    assert "pain: 3" in done.output
    again = run(app, words)  # the consent stands, and no file counts twice
    assert again.exit_code == 0
    assert "6 taken before" in again.output

    trained = run(app, ["train", "Ann"])
    assert trained.exit_code == 0, trained.output
    assert "few samples of pain: 3" in trained.output
    tried = run(app, ["test", "Ann", "--out", str(tmp_path / "test.json")])
    assert "personal (head)" in tried.output
    figures = json.loads((tmp_path / "test.json").read_text())
    assert figures["results"]["personal"]["accuracy"] == 1.0
    assert figures["results"]["general"]["recall"]["pain"] == 0.0  # no word of the general model
    assert figures["majority_baseline"] == 0.5
    assert figures["folds"] == figures["stimuli"] == 6

    listed = run(app, ["list"]).output
    assert "Ann Smith, for herself" in listed
    assert "head" in listed
    out = tmp_path / "ann.zip"
    assert run(app, ["export", "Ann", "--out", str(out)]).exit_code == 0
    inside = zipfile.ZipFile(out).namelist()
    assert {"person.json", "head.onnx"} < set(inside)
    assert sum(name.endswith(".png") for name in inside) == 6
    assert isinstance(run(app, ["export", "Ann", "-o", str(out)]).exception, OutputError)

    asked = run(app, ["delete", "Ann"])
    assert "--yes" in str(asked.exception)
    assert run(app, ["delete", "Ann", "--yes"]).exit_code == 0
    assert [path for path in home.rglob("*") if path.is_file()] == []
    assert isinstance(run(app, ["train", "Ann"]).exception, ConfigError)


def test_analysing_with_a_person_s_own_recogniser(tmp_path: Path, woman: ImageArray) -> None:
    source = faces(tmp_path / "pictures", woman)
    mine = Taker(people.get_or_make("Ann", "yes, Ann"), Analyzer())
    person_samples.from_folder(mine, source)
    train.train(mine.person)
    analyzer = Analyzer(Settings(person="Ann"))
    for label, told in (("joy", "happiness"), ("Pain", "pain")):
        (face,) = analyzer.analyze(source / label / "0.png")
        assert face.emotions is not None
        assert face.emotions.label_set.labels == ("happiness", "pain")
        assert face.emotions.top[0] == told
        assert face.intensity is None
    meta = json.loads(load_model(mine.person.folder / "head.onnx")._session.metadata["mien"])
    assert "Ann" not in json.dumps(meta)
    people.delete(mine.person)
    (face,) = analyzer.analyze(source / "joy" / "0.png")  # goes on with what it has read
    assert face.emotions is not None
    with pytest.raises(InputError):
        Analyzer(Settings(person="Ann"))


def test_a_new_last_layer_answers_as_computed() -> None:
    base = load_model()
    trunk = head.Trunk(base)
    crops = [np.random.default_rng(i).integers(0, 256, (60, 50, 3), np.uint8) for i in range(3)]
    features = trunk.features(crops)
    logits = features @ trunk.head.weights.T + trunk.head.bias
    np.testing.assert_allclose(logits, base.logits(crops), atol=1e-3)
    layer = head.Layer(
        own(["yes", "no"]), trunk.head.weights[:2].astype(float), np.array([0.5, -0.5])
    )
    meta = {
        "schema": "mien-model/1",
        "name": "x",
        "label_set": "own",
        "labels": ["yes", "no"],
        "own_words": True,
        "preprocess": {"size": 64, "color": "gray"},
        "temperature": 1.0,
        "base_rates": [0.5, 0.5],
        "uncertain_below": 0.5,
        "card": {},
    }
    path = Path(os.environ["MIEN_HOME"]).parent / "x.onnx"
    path.write_bytes(head.model_file(trunk, layer, meta))
    made = load_model(path)
    assert made.info.label_set.labels == ("yes", "no")
    np.testing.assert_allclose(
        made.probabilities(crops, BaseRates()), layer.probs(features), atol=1e-4
    )
    assert graph.head(path.read_bytes()).weights.shape == (2, features.shape[1])


def test_only_a_plain_last_layer_can_be_changed() -> None:
    with pytest.raises(ModelError, match="inner product"):
        graph.head(graph.tail(load_model().content).content[:0])


def test_few_samples_stay_near_the_general_model() -> None:
    trunk = head.Trunk(load_model())
    rng = np.random.default_rng(1)
    features = np.abs(rng.normal(0.5, 0.3, (4, trunk.head.weights.shape[1]))).astype(np.float32)
    words = own(["neutral", "happiness"])
    labels = ["neutral", "neutral", "happiness", "happiness"]
    learned = head.fitted(trunk, features, labels, words, head.MANNERS[0])
    assert (learned.probs(features).argmax(axis=1) == [0, 0, 1, 1]).all()
    moved = np.linalg.norm(learned.weights - head.general(trunk).weights[:2])
    assert moved < np.linalg.norm(head.general(trunk).weights[:2])


def test_the_more_careful_a_manner_the_less_it_moves() -> None:
    trunk = head.Trunk(load_model())
    rng = np.random.default_rng(3)
    features = np.abs(rng.normal(0.5, 0.3, (6, trunk.head.weights.shape[1]))).astype(np.float32)
    words, labels = own(["sadness", "anger"]), ["sadness", "anger"] * 3
    general = head.restricted(head.general(trunk), words)
    moved = [
        np.linalg.norm(
            head.fitted(trunk, features, labels, words, manner).weights - general.weights
        )
        for manner in head.MANNERS
    ]
    assert moved[0] > moved[1] > moved[2] > moved[3] == 0
    # Of one stimulus per label nothing can be held out
    first = head.chosen(trunk, features, labels, labels, words)
    assert first == head.MANNERS[0]


def test_pictures_that_say_nothing_leave_the_general_model_as_it_is() -> None:
    """Never worse than what anybody has: labels given by chance are not learned."""
    trunk = head.Trunk(load_model())
    rng = np.random.default_rng(4)
    features = np.abs(rng.normal(0.5, 0.3, (40, trunk.head.weights.shape[1]))).astype(np.float32)
    words = own(["neutral", "happiness"])
    known = head.restricted(head.general(trunk), words).probs(features)
    groups = [str(i) for i in range(40)]
    told = [words.labels[int(rng.random() > p[0])] for p in known]  # as the general model has it
    manner = head.chosen(trunk, features, told, groups, words)
    assert manner == head.MANNERS[-1]
    layer = head.fit(trunk, features, told, groups, words)
    np.testing.assert_allclose(layer.probs(features), known, atol=1e-6)
    assert head.is_general(trunk, layer)
    # What is plain is learned all the same.
    plain = features.copy()
    plain[:20, :30] += 2
    told = ["happiness"] * 20 + ["neutral"] * 20
    assert head.chosen(trunk, plain, told, groups, words) != head.MANNERS[-1]
    assert not head.is_general(trunk, head.fit(trunk, plain, told, groups, words))


def test_the_neutral_baseline_moves_neutral_samples_towards_neutral() -> None:
    trunk = head.Trunk(load_model())
    sad = -np.abs(np.random.default_rng(2).normal(0, 1, (9, trunk.head.weights.shape[1])))
    features = np.asarray(sad, np.float32)
    layer = head.general(trunk)
    moved = head.baseline(trunk, layer, features, ["neutral"] * 9)
    assert moved.probs(features)[:, 0].mean() > layer.probs(features)[:, 0].mean()
    assert head.baseline(trunk, layer, features, ["pain"] * 9) is layer
    trunk.info = replace(trunk.info, typical=None)
    assert head.baseline(trunk, layer, features, ["neutral"] * 9) is layer


def test_whose_neutral_faces_answer_as_others_do_is_not_moved() -> None:
    trunk = head.Trunk(load_model())
    features = np.asarray(
        np.abs(np.random.default_rng(3).normal(0, 1, (9, trunk.head.weights.shape[1]))), np.float32
    )
    probs = head.Layer(
        trunk.info.label_set,
        np.asarray(trunk.head.weights / trunk.info.temperature, np.float64),
        np.asarray(trunk.head.bias / trunk.info.temperature, np.float64),
    ).probs(features)
    mean = tuple(float(v) for v in typical.centred(probs).mean(axis=0))
    trunk.info = replace(trunk.info, typical=(mean, *[None] * (len(mean) - 1)))
    layer = head.general(trunk)
    moved = head.baseline(trunk, layer, features, ["neutral"] * 9)
    assert moved.bias == pytest.approx(layer.bias, abs=1e-4)


def test_nobody_two_people_and_a_face_too_dark(woman: ImageArray) -> None:
    box = (60.0, 60.0, 160.0, 160.0)
    frame = Frame(woman)
    for analyzer, reason in (
        (fake(), person_samples.NOBODY),
        (fake(box, (0, 0, 90, 90)), person_samples.SEVERAL),
        (fake(box, score=0.1), person_samples.UNSURE),
    ):
        whose = taker(analyzer=analyzer)
        assert whose.take(frame, "joy", "a") is None
        assert dict(whose.taken.left_out) == {reason: 1}
        assert whose.person.samples() == []
    behind = taker(analyzer=fake(box, (0, 0, 30, 30)))  # someone far behind is no matter
    assert behind.take(frame, "joy", "a") is not None


def test_what_is_kept_is_the_face_where_it_was(woman: ImageArray) -> None:
    large = np.asarray(Image.fromarray(woman).resize((880, 880)), np.uint8)
    analyzer = Analyzer()
    mine = taker(analyzer=analyzer)
    sample = mine.take(Frame(large), "joy", "a")
    assert sample is not None
    kept = mine.person.picture(sample)
    assert max(kept.rgb.shape[:2]) <= 320
    (found,) = analyzer.find(kept)
    assert np.abs(found.box - sample.face.box).max() < 0.1 * (sample.box[2] - sample.box[0])
    assert found.landmarks is not None
    assert sample.face.landmarks is not None
    assert np.abs(found.landmarks - sample.face.landmarks).mean() < 4


def test_a_session_keeps_three_samples_a_second(tmp_path: Path, woman: ImageArray) -> None:
    mine, said = taker(), list[str]()
    chosen = person_session.choose(
        mine.person, stimuli(tmp_path / "s"), ["joy", "pain"], 1, random.Random(0)
    )
    outcome = person_session.run(
        mine, chosen, frames(woman, 20), Announcer(said.append), said.append
    )
    assert outcome.lost is None
    assert outcome.shown == 2
    assert mine.person.counts() == {"happiness": 18, "pain": 18}  # 6 s each
    assert len({sample.stimulus for sample in mine.taken.samples}) == 2


def test_no_stimulus_is_shown_twice(tmp_path: Path, woman: ImageArray) -> None:
    folder, seen = stimuli(tmp_path / "s", each=3), list[str]()
    picture(folder / "joy" / "copy.png", np.full((8, 8, 3), 0, np.uint8))  # the same as 0.png
    for session in range(3):
        mine = taker()  # read anew from disk each time
        labels = ["joy", "pain"]
        chosen = person_session.choose(mine.person, folder, labels, 1, random.Random(session))
        person_session.run(mine, chosen, frames(woman, 13), Announcer(print), print)
        seen += [stimulus.digest for stimulus in chosen]
        (folder / "joy" / "copy.png").rename(folder / "joy" / f"renamed{session}.png")
        (folder / "joy" / f"renamed{session}.png").rename(folder / "joy" / "copy.png")
    assert len(seen) == len(set(seen)) == 6
    with pytest.raises(DataError, match="saw everything"):
        person_session.choose(taker().person, folder, ["joy", "pain"], 1, random.Random(0))
    other = people.get_or_make("Bob", "Bob")
    assert person_session.choose(other, folder, ["joy"], 9, random.Random(0))


def test_a_camera_that_is_lost_loses_nothing(tmp_path: Path, woman: ImageArray) -> None:
    mine = taker()
    chosen = person_session.choose(
        mine.person, stimuli(tmp_path / "s"), ["joy", "pain"], 2, random.Random(0)
    )
    outcome = person_session.run(mine, chosen, frames(woman, 8), Announcer(print), print)
    assert outcome.lost == "the camera gives no more pictures"
    assert outcome.shown == 2
    assert len(people.get("Ann").samples()) == 24
    assert len(people.get("Ann").seen) == 2  # the others were not shown, and may be yet


def test_a_camera_that_is_not_there() -> None:
    with pytest.raises(VideoError, match="no camera 99"):
        next(person_session.camera("99"))


class Unplugged:
    """A camera that gives two pictures and is gone."""

    def __init__(self) -> None:
        self.left = 2

    def isOpened(self) -> bool:  # noqa: N802
        return True

    def read(self) -> tuple[bool, ImageArray]:
        self.left -= 1
        return self.left >= 0, np.zeros((4, 6, 3), np.uint8)

    def release(self) -> None: ...


def test_a_camera_that_is_pulled_out_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "_opened", lambda device: Unplugged())
    monkeypatch.setattr(capture, "_MISS_S", 0.0)
    frames = list(person_session.camera("0"))
    assert [(frame.index, frame.source) for frame in frames] == [(0, "camera 0"), (1, "camera 0")]


def test_a_stimulus_that_cannot_be_shown_is_left_out(tmp_path: Path, woman: ImageArray) -> None:
    folder = stimuli(tmp_path / "s", each=1)
    (folder / "joy" / "0.png").write_bytes(b"\x89PNG broken")
    mine, said = taker(), list[str]()
    chosen = person_session.choose(mine.person, folder, ["joy", "pain"], 1, random.Random(0))
    outcome = person_session.run(
        mine, chosen, frames(woman, 20), Announcer(said.append), said.append
    )
    assert (outcome.shown, outcome.unreadable) == (1, 1)
    assert any("left out 0.png" in line for line in said)


def test_emotions_without_a_folder(tmp_path: Path) -> None:
    mine = taker()
    with pytest.raises(DataError, match="no folder for disgust, only for happiness, pain"):
        person_session.choose(
            mine.person, stimuli(tmp_path / "s"), ["joy", "disgust"], 1, random.Random(0)
        )
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="folder per emotion"):
        person_samples.labelled_files(tmp_path / "empty")
    with pytest.raises(DataError, match="no such folder"):
        person_samples.labelled_files(tmp_path / "nowhere")


def test_reviewing_a_session(woman: ImageArray) -> None:
    mine = taker()
    samples = [mine.take(Frame(woman), "joy", str(i)) for i in range(14)]
    kept = [sample for sample in samples if sample is not None]
    sheet = person_session.contact_sheet(mine.person, kept)
    assert sheet.shape[0] > 150
    assert sheet.shape[2] == 3
    assert person_session.review(mine.person, kept, "drop 1, 3-4") == "dropped 3"
    assert person_session.review(mine.person, kept, "5-6 = Pain") == (
        "relabelled 2 as pain, a new word"
    )
    assert person_session.review(mine.person, kept, "1 = pain") == "relabelled 0 as pain"
    assert person_session.review(mine.person, kept, "drop 1") == "dropped 0"
    assert mine.person.counts() == {"happiness": 9, "pain": 2}  # what was dropped stays dropped
    assert "a new word; if you meant happiness" in person_session.review(
        mine.person, kept, "7 = happines"
    )
    person_session.review(mine.person, kept, "7 = joy")
    for line in ("keep 1", "drop", "drop x", "drop 99", "0 = joy", "3 = ", "drop 4-2"):
        with pytest.raises(ConfigError):
            person_session.review(mine.person, kept, line)
    people.delete(mine.person)
    with pytest.raises(OutputError, match="was deleted meanwhile"):
        person_session.review(mine.person, kept, "drop 2")


def test_what_was_dropped_is_on_no_sheet(woman: ImageArray) -> None:
    mine = taker()
    kept = [s for i in range(3) if (s := mine.take(Frame(woman), "joy", str(i)))]
    sheet = person_session.keep_sheet(mine.person, kept)
    assert sheet == mine.person.folder / people.SHEET
    before = sheet.read_bytes()
    person_session.review(mine.person, kept, "drop 1")
    person_session.keep_sheet(mine.person, kept)
    assert sheet.read_bytes() != before
    person_session.review(mine.person, kept, "drop 2-3")
    assert person_session.keep_sheet(mine.person, kept) is None
    assert not sheet.exists()


def test_nothing_is_shown_to_an_empty_chair(tmp_path: Path, woman: ImageArray) -> None:
    """A stimulus is shown once; none is spent while nobody sits there, or two people do."""
    folder, said = stimuli(tmp_path / "s"), list[str]()
    box = (60.0, 60.0, 160.0, 160.0)
    for analyzer, why in ((fake(), "no face"), (fake(box, (0, 0, 90, 90)), "more than one person")):
        mine = taker(analyzer=analyzer)
        chosen = person_session.choose(mine.person, folder, ["joy"], 2, random.Random(0))
        outcome = person_session.run(
            mine, chosen, frames(woman, 60), Announcer(said.append), said.append
        )
        assert (outcome.shown, outcome.lost) == (
            0,
            f"{why} before the camera for 15 s: one person sits there, in good light; nothing is "
            "shown to nobody",
        )
        assert said == [f"waiting: {why}"]
        said.clear()
        assert people.get("Ann").seen == set()
    # Whoever comes late is waited for.
    mine = taker()
    late = mine.find
    seen = iter([person_samples.NOBODY] * 9)
    mine.find = lambda frame: next(seen, None) or late(frame)  # type: ignore[method-assign]
    chosen = person_session.choose(mine.person, folder, ["joy"], 1, random.Random(0))
    outcome = person_session.run(mine, chosen, frames(woman, 60), Announcer(print), said.append)
    assert (outcome.shown, outcome.lost) == (1, None)
    assert said == ["waiting: no face", "happiness: 18 samples"]


def test_all_samples_of_one_emotion(woman: ImageArray) -> None:
    mine = taker()
    with pytest.raises(DataError, match="no samples"):
        train.train(mine.person)
    mine.take(Frame(woman), "joy", "a")
    with pytest.raises(DataError, match="samples of 'happiness' only"):
        train.train(mine.person)
    mine.take(Frame(woman), "pain", "a")
    with pytest.raises(DataError, match="one stimulus of each expression"):
        train.tested(mine.person, "head")
    mine.take(Frame(woman), "joy", "b")
    mine.take(Frame(woman), "pain", "c")
    mine.take(Frame(woman), "pain", "c")
    assert train.tested(mine.person, "head")["one_stimulus"] == []
    mine.take(Frame(woman), "yes", "d")
    done = run(app, ["test", "Ann"])
    assert "yes has one stimulus: while that is held out it cannot be told" in done.output
    assert "it may be chance" in done.output


def test_whole_stimuli_are_held_out() -> None:
    trunk = head.Trunk(load_model())
    rng = np.random.default_rng(0)
    groups = ("a",) * 4 + ("b",) * 4 + ("c",) * 4 + ("d",) * 4
    labels = ("pain",) * 8 + ("yes",) * 8
    # Each stimulus has a look of its own and says nothing of its label: frames would be known again
    look = {g: np.abs(rng.normal(0, 1, trunk.head.weights.shape[1])) for g in "abcd"}
    features = np.array([look[g] for g in groups], np.float32)
    made = train.Faces(labels, groups, features, [])
    folds = train._folds(made, 100)
    assert sorted(tuple(fold) for fold in folds) == [
        (0, 1, 2, 3), (4, 5, 6, 7), (8, 9, 10, 11), (12, 13, 14, 15)
    ]  # fmt: skip
    result = train.compare(trunk, made, own(["pain", "yes"]), "head", folds)
    assert result["results"]["personal"]["accuracy"] < 1.0
    assert result["results"]["general"]["accuracy"] == 0.0


@pytest.mark.parametrize("name", ["a/b", "../../etc", "☺", "Ann Å. Ünïcödé", "CON", "x" * 100, "."])
def test_names_of_every_kind(name: str, home: Path) -> None:
    made = people.get_or_make(name, "yes")
    assert made.folder.parent == home / "people"
    assert made.folder.is_dir()
    assert people.get(name).name == name
    assert [p.name for p in people.everyone()] == [name]
    people.delete(made)
    assert list((home / "people").iterdir()) == []


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "\x07"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ConfigError, match="a name has"):
        people.get_or_make(name, "yes")


def test_near_names() -> None:
    people.get_or_make("Annette", "yes")
    with pytest.raises(UnknownName, match="Annette"):
        people.get("annete")


def test_deleting_while_a_session_records(woman: ImageArray, home: Path) -> None:
    mine = taker()
    mine.take(Frame(woman), "joy", "a")
    people.delete(people.get("Ann"))
    with pytest.raises(OutputError, match="deleted meanwhile"):
        mine.take(Frame(woman), "joy", "b")
    with pytest.raises(OutputError, match="deleted meanwhile"):
        mine.person.saw("c")
    assert list((home / "people").iterdir()) == []


def test_what_others_noted_meanwhile_is_kept() -> None:
    """A session keeps who is recorded for minutes, and a service has several requests at once."""
    mine = people.get_or_make("Ann", "Ann Smith, for herself")
    people.get_or_make("Ann", "her daughter")
    mine.saw("a film")

    def fail() -> None:
        with people.recorded("Ann", "her doctor") as recorded:
            people.get_or_make("Ann", "her brother")
            recorded.saw("another")
            raise VideoError("the camera is gone")

    with pytest.raises(VideoError):
        fail()
    kept = people.get("Ann")
    assert [consent.text for consent in kept.consents] == [
        "Ann Smith, for herself",
        "her daughter",
        "her brother",
    ]
    assert kept.seen == {"a film"}


def test_consents_are_kept_with_their_dates() -> None:
    people.get_or_make("Ann", "Ann Smith,\n for herself")
    people.get_or_make("Ann", "her daughter")
    kept = people.get("Ann").consents
    assert [consent.text for consent in kept] == ["Ann Smith, for herself", "her daughter"]
    assert kept[0].date.startswith("20")
    with pytest.raises(ConfigError, match="who agrees"):
        people.get_or_make("Bob", "  ")


def test_a_recording_that_was_cut_off_is_taken_from_there(
    tmp_path: Path, woman: ImageArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed within a film: the next time its other frames, none twice, and then no more."""
    source = faces(tmp_path / "faces", woman, each=1)
    with av.open(str(source / "joy" / "film.mp4"), "w") as out:
        stream: Any = out.add_stream("mpeg4", rate=6)
        stream.width, stream.height, stream.pix_fmt = 220, 220, "yuv420p"
        for _ in range(18):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(woman, format="rgb24")))
        out.mux(stream.encode(None))

    def kept(name: str) -> list[tuple[str, str, float]]:
        samples = people.get(name).samples()
        return sorted((s.label, s.stimulus, s.time_s) for s in samples)

    whole = person_samples.from_folder(taker("Bea"), source)
    assert len(whole.samples) == len(kept("Bea")) == 2 + 9

    class Killed(BaseException):
        pass

    cut, add = taker("Ann"), Person.add

    def killed(person: Person, sample: Any, region: ImageArray) -> None:
        if len(person.samples()) == 5:
            raise Killed
        add(person, sample, region)

    monkeypatch.setattr(Person, "add", killed)
    with pytest.raises(Killed):
        person_samples.from_folder(cut, source)
    monkeypatch.undo()
    monkeypatch.setenv("MIEN_HOME", str(tmp_path / "home"))
    assert len(kept("Ann")) == 5
    assert len(person_samples.from_folder(taker("Ann"), source).samples) == 6
    assert kept("Ann") == kept("Bea")
    again = person_samples.from_folder(taker("Ann"), source)
    assert (again.samples, again.left_out["taken before"]) == ([], 3)


def test_labels_are_told_in_one_order(tmp_path: Path) -> None:
    """Mien's own and then the others, whichever was recorded first."""
    person = people.get_or_make("Ann", "yes, Ann")
    rgb = np.zeros((20, 20, 3), np.uint8)
    face = Face(np.array([0, 0, 20, 20], np.float32), 0.9)
    for label in ("yes", "sadness", "pain", "yes", "neutral"):
        person.add(people.new_sample(label, f"{label}.mp4", Frame(rgb), face, 1.0), rgb)
    assert [*person.counts().items()] == [("neutral", 1), ("sadness", 1), ("pain", 1), ("yes", 2)]
    assert people.labels_of(person.samples()) == tuple(person.counts())


def test_damaged_files_are_named() -> None:
    mine = people.get_or_make("Ann", "yes")
    (mine.folder / "samples" / "x.json").write_text("{")
    with pytest.raises(DataError, match=r"x\.json is damaged"):
        mine.samples()
    (mine.folder / "person.json").write_text('{"schema": "mien-person/9"}')
    with pytest.raises(DataError, match="mien-person/9"):
        people.get("Ann")


def test_a_sample_without_its_picture_is_named() -> None:
    mine = people.get_or_make("Ann", "yes")
    (mine.folder / "samples" / "x.json").write_text(json.dumps(SAMPLE))
    (sample,) = mine.samples()
    with pytest.raises(
        DataError, match=r"no such file: .*x\.png; delete it, and x\.json beside it"
    ):
        mine.picture(sample)


def test_one_damaged_person_hides_nobody_else_and_can_be_deleted(home: Path) -> None:
    for name in ("Ann", "Bea", "Cea", "Dea"):
        people.get_or_make(name, "yes")
    (people.get("Ann").folder / "person.json").write_text("{")
    (people.get("Bea").folder / "samples" / "x.json").write_text("{")
    newer = people.get("Cea").folder / "person.json"
    newer.write_text(newer.read_text().replace(people.SCHEMA, "mien-person/2"))

    listed = run(app, ["list"])
    assert listed.exit_code == 1
    assert "Dea" in listed.stdout
    assert "is damaged: Expecting property name" in listed.stderr
    assert "x.json is damaged" in listed.stderr
    assert "was written by another mien: its schema is 'mien-person/2'" in listed.stderr
    with pytest.raises(UnknownName, match="did you mean Dea"):
        people.get("Deaa")

    for name in ("Ann", "Bea", "Cea"):
        assert run(app, ["delete", name, "--yes"]).exit_code == 0
    assert run(app, ["list"]).exit_code == 0
    assert [path.name[:3] for path in (home / "people").iterdir()] == ["dea"]


def test_a_file_whose_name_is_no_utf8_is_a_stimulus(tmp_path: Path, woman: ImageArray) -> None:
    path = tmp_path / "joy" / os.fsdecode(b"f\xff.png")
    picture(tmp_path / "joy" / "a.png", woman).rename(path)
    assert person_samples.named(path, tmp_path).startswith("joy/f\\udcff.png#")
    assert Stimulus(path, "joy", "0" * 64).name.startswith("joy/f\\udcff.png#")
    assert run(app, ["record", "Ann", "--from", str(tmp_path), "--consent", "yes"]).exit_code == 0
    (sample,) = people.get("Ann").samples()
    assert sample.stimulus == person_samples.named(path, tmp_path)


def test_nobody_is_recorded_by_two_programs_at_once(tmp_path: Path, home: Path) -> None:
    with people.recorded_once("Ann", "yes"):
        second = run(app, ["record", "Ann", "--from", str(tmp_path), "--consent", "yes"])
    assert second.exit_code == 1
    assert isinstance(second.exception, OutputError)
    assert "a recording of Ann goes on in" in str(second.exception)
    assert list((home / "people").iterdir()) == []


SAMPLE: dict[str, Any] = {
    **{"id": "x", "label": "pain", "stimulus": "a#1", "date": "2026-11-25", "time_s": 0.0},
    **{"box": [0, 0, 9, 9], "landmarks": None, "framing": 1.0, "picture_quality": 0.9},
}


def test_a_sample_that_an_older_mien_kept() -> None:
    mine = people.get_or_make("Ann", "yes")
    old = {"confidence" if k == "picture_quality" else k: v for k, v in SAMPLE.items()}
    (mine.folder / "samples" / "x.json").write_text(json.dumps(old))
    assert [sample.picture_quality for sample in mine.samples()] == [0.9]


@pytest.mark.parametrize("odd", [None, 3, "a", [], ["a"], {}, float("nan"), True])
@pytest.mark.parametrize("key", SAMPLE)
def test_samples_of_odd_types_are_named(key: str, odd: object) -> None:
    mine = people.get_or_make("Ann", "yes")
    path = mine.folder / "samples" / "x.json"
    path.write_text(json.dumps(SAMPLE))
    assert [sample.label for sample in mine.samples()] == ["pain"]
    fine = {str: "a", float: 3, type(None): None}.get(type(SAMPLE[key]), ...)
    if odd == fine and type(odd) is type(fine):
        return
    path.write_text(json.dumps(SAMPLE | {key: odd}))
    with pytest.raises(DataError, match=r"x\.json is damaged"):
        mine.samples()


@pytest.mark.parametrize(
    "said",
    [
        "[" * 100_000,
        "null",
        '{"schema": "mien-person/1"}',
        '{"schema": "mien-person/1", "name": 3, "consents": [], "seen": []}',
        '{"schema": "mien-person/1", "name": "Ann", "consents": [3], "seen": []}',
        '{"schema": "mien-person/1", "name": "Ann", "consents": [], "seen": [[]]}',
    ],
)
def test_a_person_of_odd_types_is_named(said: str) -> None:
    mine = people.get_or_make("Ann", "yes")
    (mine.folder / "person.json").write_text(said)
    with pytest.raises(DataError, match=r"person\.json is damaged"):
        people.get("Ann")


def test_an_untrained_person(tmp_path: Path) -> None:
    people.get_or_make("Ann", "yes")
    with pytest.raises(ModelError, match="mien person train"):
        recognizer("Ann")


def test_words() -> None:
    assert (word("Joy"), word(" Dull  Pain ")) == ("happiness", "dull pain")
    for bad in ("", "x" * 41, "a\x1b[0m"):
        with pytest.raises(ConfigError, match="a label is"):
            people.word_of(bad)
    for taken in ("Face", "uncertain", "TOP", "quality_size"):
        with pytest.raises(ConfigError, match="records call something else that"):
            people.word_of(taken)


def test_half_blocks() -> None:
    text = person_session.blocks(np.zeros((20, 40, 3), np.uint8), 40, 10)
    assert text.count("▀") == 400
    assert text.count("\n") == 10


def test_a_stimulus_is_named_by_its_content() -> None:
    assert Stimulus(Path("a/joy/1.png"), "happiness", "0" * 64).name == "joy/1.png#" + "0" * 16


def test_a_person_is_written_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    mine: Person = people.get_or_make("Ann", "yes")

    def fail(self: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OutputError, match="No space left"):
        mine.saw("x")
    assert people.get("Ann").seen == set()


def test_a_face_without_landmarks_is_a_sample(woman: ImageArray) -> None:
    mine = taker()
    sample = mine.take(Frame(woman), "joy", "a")
    assert sample is not None
    bare = replace(sample, landmarks=None)
    assert isinstance(bare.face, Face)
    assert bare.face.landmarks is None


@pytest.fixture
def exported(woman: ImageArray, tmp_path: Path) -> Path:
    """Everything of Ann, who is then deleted."""
    source = faces(tmp_path / "mine", woman, 1)
    for words in (
        ["record", "Ann", "--from", str(source), "--consent", "Ann, for herself"],
        ["export", "Ann", "--out", str(tmp_path / "ann.zip")],
        ["delete", "Ann", "--yes"],
    ):
        assert run(app, words).exit_code == 0, words
    return tmp_path / "ann.zip"


def test_who_was_handed_out_is_brought_in_again(exported: Path, home: Path) -> None:
    done = run(app, ["import", str(exported)])
    assert done.exit_code == 0
    ann = people.get("Ann")
    assert [consent.text for consent in ann.consents] == ["Ann, for herself"]
    with zipfile.ZipFile(exported) as archive:
        names = set(archive.namelist())
    found = {p.relative_to(ann.folder).as_posix() for p in ann.folder.rglob("*") if p.is_file()}
    assert found == names
    assert ann.picture(ann.samples()[0]).rgb.any()
    with pytest.raises(OutputError, match="Ann is here already"):
        people.bring(exported)
    assert list((home / "people").iterdir()) == [ann.folder]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("../../out.txt", b"", "no export of a person: it holds"),
        ("samples/00ff.exe", b"", "no export of a person: it holds"),
        ("person.json", b"{}", "is damaged"),
        ("samples/00ff.json", b"[]", "is damaged"),
    ],
)
def test_what_is_no_person_is_not_brought_in(
    name: str, content: bytes, said: str, home: Path, tmp_path: Path
) -> None:
    person = {"schema": people.SCHEMA, "name": "Bo", "consents": [], "seen": []}
    file = tmp_path / "bo.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, content)
        if name != people.PERSON:
            archive.writestr(people.PERSON, json.dumps(person))
    with pytest.raises(DataError, match=said):
        people.bring(file)
    assert list((home / "people").iterdir()) == []


def test_what_is_no_archive_is_not_brought_in(exported: Path, home: Path, tmp_path: Path) -> None:
    whole = exported.read_bytes()
    exported.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="is damaged"):
        people.bring(exported)
    with pytest.raises(DataError, match="No such file"):
        people.bring(tmp_path / "gone.zip")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    with pytest.raises(DataError, match=r"it holds no person\.json"):
        people.bring(tmp_path / "empty.zip")
    assert list((home / "people").iterdir()) == []
