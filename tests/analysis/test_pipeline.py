"""The stages in order: real faces through the shipped model, everything else through fakes."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien import geometry
from mien.analysis.pipeline import Analyzer, Settings
from mien.errors import ConfigError, ImageError, ModelError, ShapeError, UnknownName
from mien.expression.baserates import BaseRates
from mien.expression.recognize import OnnxRecognizer, load_model
from mien.face import Face, FloatArray, Frame, ImageArray
from mien.faces import align, quality
from mien.faces.finder import Finder, pixels
from mien.media import image
from mien.results import records
from mien.testing import FakeDetector, FakeRecognizer

ASTRONAUT = np.array([178, 63, 268, 176], np.float32)
FACE = (178.0, 63.0, 268.0, 176.0)


@pytest.fixture(scope="module")
def model() -> OnnxRecognizer:
    """The shipped one; it is looked for before any folder of the developer's."""
    return load_model()


@pytest.fixture(scope="module")
def analyzer(model: OnnxRecognizer) -> Analyzer:
    return Analyzer(Settings(detector="haar"), recognizer=model)


def fakes(*boxes: tuple[float, float, float, float], score: float = 0.9) -> Analyzer:
    return Analyzer(recognizer=FakeRecognizer(), detector=FakeDetector(*boxes, score=score))


def encoded(rgb: ImageArray, kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, kind, quality=95)
    return file.getvalue()


def black(width: int, height: int) -> ImageArray:
    return np.zeros((height, width, 3), np.uint8)


def smiles(faces: Sequence[Face]) -> None:
    """One face, the astronaut's, with everything filled in."""
    assert len(faces) == 1
    face = faces[0]
    assert geometry.iou(ASTRONAUT, face.box[None])[0] > 0.5
    assert face.emotions is not None
    assert face.emotions.top[0] == "happiness"
    assert face.emotions.top[1] > 0.9
    assert face.crop is not None
    assert face.quality is not None
    assert face.picture_quality is not None
    assert face.picture_quality > 0.5
    assert face.uncertain is False


def equal(ours: Sequence[Face], theirs: Sequence[Face]) -> None:
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a.box, b.box)
        assert a.emotions is not None
        assert b.emotions is not None
        np.testing.assert_array_equal(a.emotions.probs, b.emotions.probs)
        assert (a.score, a.quality, a.picture_quality, a.uncertain) == (
            b.score,
            b.quality,
            b.picture_quality,
            b.uncertain,
        )


# -- end to end ---------------------------------------------------------------------------------


def test_the_default_analyzer_sees_the_astronaut_smile(astronaut: ImageArray) -> None:
    smiles(Analyzer().analyze(astronaut))


def test_with_yunet_too(peer_models: Path, astronaut: ImageArray, model: OnnxRecognizer) -> None:
    yunet = Analyzer(recognizer=model)
    assert yunet.detector is not None
    assert yunet.detector.name == "yunet"
    faces = yunet.analyze(astronaut)
    smiles(faces)
    assert faces[0].landmarks is not None


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_files_and_bytes(
    analyzer: Analyzer, astronaut: ImageArray, tmp_path: Path, kind: str
) -> None:
    content = encoded(astronaut, kind)
    path = tmp_path / "portrait"
    path.write_bytes(content)
    from_path, from_text = analyzer.analyze(path), analyzer.analyze(str(path))
    smiles(from_path)
    equal(from_text, from_path)
    equal(analyzer.analyze(content), from_path)
    if kind == "PNG":
        equal(analyzer.analyze(astronaut), from_path)


def test_the_smile_in_gray_and_twice_in_one_picture(
    analyzer: Analyzer, astronaut: ImageArray
) -> None:
    gray, twice = astronaut.mean(axis=2).astype(np.uint8), np.tile(astronaut, (1, 2, 1))
    for picture, count in ((gray, 1), (twice, 2)):
        faces = analyzer.analyze(picture)
        assert len(faces) == count
        for face in faces:
            assert face.emotions is not None
            assert face.emotions.top[0] == "happiness"


def test_several_people(analyzer: Analyzer, shared: Path) -> None:
    faces = analyzer.analyze(shared / "data" / "media" / "multi_face.jpg")
    assert 4 <= len(faces) <= 5
    tops = [face.emotions.top[0] for face in faces if face.emotions]
    assert tops.count("happiness") >= 3
    scores = [face.score for face in faces]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    "picture",
    [black(640, 480), black(1, 1), black(30_000, 40), black(40, 30_000)],
    ids=["black", "one pixel", "30,000 wide", "30,000 high"],
)
def test_no_face_is_an_empty_list(analyzer: Analyzer, picture: ImageArray) -> None:
    assert analyzer.analyze(picture) == []


def test_what_cannot_be_read_is_an_error_and_the_analyzer_goes_on(
    analyzer: Analyzer, astronaut: ImageArray, tmp_path: Path
) -> None:
    with pytest.raises(ImageError, match="empty"):
        analyzer.analyze(b"")
    with pytest.raises(ImageError, match="no such file"):
        analyzer.analyze(tmp_path / "gone.jpg")
    with pytest.raises(ShapeError, match="float"):
        analyzer.analyze(astronaut / 255)
    smiles(analyzer.analyze(astronaut))


def test_a_picture_leaves_no_trace_in_the_next(
    analyzer: Analyzer, astronaut: ImageArray, shared: Path
) -> None:
    first = analyzer.analyze(astronaut)
    analyzer.analyze(shared / "data" / "media" / "multi_face.jpg")
    analyzer.analyze(black(33, 900))
    equal(analyzer.analyze(astronaut), first)


def test_frames_are_not_modified(analyzer: Analyzer, astronaut: ImageArray) -> None:
    locked = astronaut.copy()
    locked.flags.writeable = False  # a view of somebody's video buffer, say
    frame = Frame(locked)
    smiles(analyzer.analyze_frame(frame))
    np.testing.assert_array_equal(frame.rgb, astronaut)


def test_the_answer_does_not_depend_on_the_other_faces(
    model: OnnxRecognizer, astronaut: ImageArray
) -> None:
    beside = (300.0, 300.0, 380.0, 380.0)
    one = Analyzer(recognizer=model, detector=FakeDetector(FACE)).analyze(astronaut)
    two = Analyzer(recognizer=model, detector=FakeDetector(beside, FACE)).analyze(astronaut)
    assert one[0].emotions is not None
    assert two[1].emotions is not None
    np.testing.assert_allclose(two[1].emotions.probs, one[0].emotions.probs, atol=1e-5)


def test_threads(astronaut: ImageArray) -> None:
    import cv2

    before = cv2.getNumThreads()
    try:
        smiles(Analyzer(Settings(detector="haar", threads=1)).analyze(astronaut))
        assert cv2.getNumThreads() == 1
    finally:
        cv2.setNumThreads(before)


# -- crops --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def of_crops(model: OnnxRecognizer) -> Analyzer:
    return Analyzer(Settings(crops=True), recognizer=model)


def test_a_crop_is_one_face_as_large_as_the_picture(
    of_crops: Analyzer, astronaut: ImageArray
) -> None:
    crop = astronaut[60:180, 165:285]
    faces = of_crops.analyze(crop)
    assert len(faces) == 1
    assert faces[0].box.tolist() == [0, 0, 120, 120]
    assert faces[0].score == 1
    assert faces[0].emotions is not None
    assert faces[0].emotions.top[0] == "happiness"
    assert faces[0].quality is not None
    assert faces[0].quality.size_px == pytest.approx(113, abs=3)  # the square about its landmarks
    info, finder, frame = of_crops.recognizer.info, Finder(None), Frame(crop)
    (face,) = finder.find(frame, info.align)
    cut = pixels(frame, finder.framed(face, info.align, info.preprocess.size))
    direct = of_crops.recognizer.probabilities([cut], BaseRates())
    np.testing.assert_array_equal(faces[0].emotions.probs, direct[0])


@pytest.mark.parametrize(
    ("width", "height"), [(120, 80), (80, 120), (1, 1), (5, 200), (30_000, 40)]
)
def test_a_crop_of_any_shape_is_one_face(of_crops: Analyzer, width: int, height: int) -> None:
    faces = of_crops.analyze(black(width, height))
    assert len(faces) == 1
    assert faces[0].box.tolist() == [0, 0, width, height]
    assert faces[0].quality is not None
    assert faces[0].quality.size_px == max(width, height)  # the square it is padded to
    assert faces[0].picture_quality == 0  # a flat picture shows nothing
    assert faces[0].uncertain is True


def test_crops_need_no_detector() -> None:
    assert Analyzer(Settings(crops=True), recognizer=FakeRecognizer()).detector is None


# -- what happens between the stages ------------------------------------------------------------


class Recorder(FakeRecognizer):
    """Remembers the crops of every call."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[list[ImageArray]] = []

    def probabilities(self, crops: Sequence[ImageArray], rates: BaseRates) -> FloatArray:
        self.calls.append(list(crops))
        return super().probabilities(crops, rates)


def test_one_call_gets_the_crops_that_align_cuts(portrait: Frame) -> None:
    recorder = Recorder()
    boxes = [FACE, (400.0, 10.0, 440.0, 60.0), (0.0, 0.0, 30.0, 30.0)]
    analyzer = Analyzer(recognizer=recorder, detector=FakeDetector(*boxes))
    faces = analyzer.analyze_frame(portrait)
    crops = recorder.calls[-1]
    assert len(crops) == len(faces) == 3
    for face, box, crop in zip(faces, boxes, crops, strict=True):
        assert face.crop is not None
        assert face.box.tolist() == list(box)
        assert face.crop.size == max(face.box[2:] - face.box[:2])
        np.testing.assert_array_equal(crop, align.cut(portrait, face.crop))


def test_the_detector_s_framing_sets_the_crop(portrait: Frame) -> None:
    detector = FakeDetector((100, 100, 140, 150))
    detector.framing = 1.2
    (face,) = Analyzer(recognizer=FakeRecognizer(), detector=detector).analyze_frame(portrait)
    assert face.crop is not None
    np.testing.assert_allclose(align.outline(face.crop)[[0, 2]] + 0.5, [[90, 95], [150, 155]])


class Pointed(FakeDetector):
    """Faces with landmarks: of each box a level face, turned clockwise by ``roll`` in radians."""

    def __init__(self, *boxes: tuple[float, float, float, float], roll: float = 0.0) -> None:
        super().__init__(*boxes)
        self._roll = roll

    def detect(self, frame: Frame, known: Sequence[Face] = ()) -> list[Face]:
        return [replace(face, landmarks=self._points(face.box)) for face in super().detect(frame)]

    def _points(self, box: FloatArray) -> FloatArray:
        side = float(box[2] - box[0])
        points = np.full((68, 2), 0.5, np.float32)
        points[:17] = np.stack(
            [np.linspace(0.05, 0.95, 17), 1 - np.linspace(-0.7, 0.7, 17) ** 2], 1
        )
        points[36:42], points[42:48] = (0.3, 0.4), (0.7, 0.4)
        points[[36, 39, 42, 45], 0] = 0.22, 0.38, 0.62, 0.78
        points[27:31, 1], points[31:36, 1] = np.linspace(0.4, 0.58, 4), 0.63
        points[31:36, 0] = np.linspace(0.42, 0.58, 5)
        points[48:, 1] = 0.8
        points[48:60, 0] = 0.5 - 0.15 * np.cos(np.arange(12) * np.pi / 6)
        points[60:, 0] = 0.5 - 0.1 * np.cos(np.arange(8) * np.pi / 4)
        middle = geometry.transform(
            geometry.turned_square(np.zeros(2), 1, -self._roll, 1), (points - 0.5) * side
        )
        return np.asarray(middle + (box[:2] + box[2:]) / 2, np.float32)


@pytest.mark.parametrize("name", ["similarity", "xu2019", "mouth"])
def test_the_alignment_chosen_cuts_the_crop_at_the_model_s_size(portrait: Frame, name: str) -> None:
    recorder, box = Recorder(), (150.0, 60.0, 290.0, 200.0)
    detector = Pointed(box, roll=0.4)
    analyzer = Analyzer(Settings(align=name), recognizer=recorder, detector=detector)
    (face,) = analyzer.analyze_frame(portrait)
    assert face.landmarks is not None
    expected = getattr(align, name)(face.landmarks, 48)
    np.testing.assert_array_equal(recorder.calls[-1][0], align.cut(portrait, expected))
    assert face.quality is not None
    assert face.quality.roll_rad == pytest.approx(0.4, abs=0.01)
    assert face.quality.tilt_rad == pytest.approx(0, abs=0.01)


def test_by_default_landmarks_change_no_crop(portrait: Frame) -> None:
    plain, pointed = Recorder(), Recorder()
    Analyzer(recognizer=plain, detector=FakeDetector(FACE)).analyze_frame(portrait)
    analyzer = Analyzer(recognizer=pointed, detector=Pointed(FACE, roll=0.7))
    (face,) = analyzer.analyze_frame(portrait)
    np.testing.assert_array_equal(plain.calls[-1][0], pointed.calls[-1][0])
    assert face.quality is not None
    assert face.quality.tilt_rad == pytest.approx(0.7, abs=0.01)
    assert face.picture_quality is not None
    assert face.picture_quality < 0.9 * (1.2 - 0.69) / 0.8  # the recogniser sees a tilted face


def test_what_no_landmarks_are_found_on_is_cut_by_its_box() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3)).astype(np.uint8)
    plain, aligned, box = Recorder(), Recorder(), (50.0, 60.0, 150.0, 160.0)
    Analyzer(recognizer=plain, detector=FakeDetector(box)).analyze(noise)
    settings = Settings(align="xu2019")
    (face,) = Analyzer(settings, recognizer=aligned, detector=FakeDetector(box)).analyze(noise)
    assert face.landmarks is None
    np.testing.assert_array_equal(plain.calls[-1][0], aligned.calls[-1][0])


def test_stages_can_be_run_one_by_one(analyzer: Analyzer, portrait: Frame) -> None:
    found = analyzer.find(portrait)
    equal(analyzer.recognize(portrait, found), analyzer.analyze_frame(portrait))
    assert all(face.emotions is None for face in found)
    assert analyzer.recognize(portrait, []) == []


@pytest.mark.parametrize(
    ("box", "inside"),
    [
        ((0, 0, 40, 40), 1.0),
        ((0, 200, 40, 280), 0.75),  # a square of 80 about x = 20: 20 of it outside
        ((472, 200, 512, 280), 0.75),
        ((200, 0, 280, 40), 0.75),
        ((200, 472, 280, 512), 0.75),
        ((0, 0, 1, 1), 1.0),
        ((511, 511, 512, 512), 1.0),
        ((0, 0, 512, 1), 1 / 2),
    ],
)
def test_faces_at_the_border(
    model: OnnxRecognizer,
    portrait: Frame,
    box: tuple[float, float, float, float],
    inside: float,
) -> None:
    analyzer = Analyzer(recognizer=model, detector=FakeDetector(box))
    (face,) = analyzer.analyze_frame(portrait)
    assert face.emotions is not None
    assert face.emotions.probs.sum() == pytest.approx(1, abs=1e-5)
    assert face.quality is not None
    assert face.quality.inside == pytest.approx(inside)


def test_a_face_found_in_the_dark_is_uncertain() -> None:
    (face,) = fakes((100, 100, 200, 200)).analyze(black(640, 480))
    assert face.picture_quality == 0
    assert face.uncertain is True
    assert face.emotions is not None  # it is given, and marked


@pytest.mark.parametrize(
    ("probability", "score", "uncertain"),
    [
        (0.9, 0.9, False),
        (0.51, 0.9, False),
        (0.49, 0.9, True),
        (0.9, 0.31, False),
        (0.9, 0.29, True),
    ],
)
def test_uncertain_is_a_weak_answer_or_a_weak_picture(
    portrait: Frame, probability: float, score: float, uncertain: bool
) -> None:
    recognizer = FakeRecognizer("anger", probability)
    assert recognizer.info.uncertain_below == 0.5
    assert quality.LOW == 0.3
    analyzer = Analyzer(recognizer=recognizer, detector=FakeDetector(FACE, score=score))
    (face,) = analyzer.analyze_frame(portrait)
    assert face.picture_quality == pytest.approx(score)  # the picture itself is faultless
    assert face.uncertain is uncertain


# -- settings -----------------------------------------------------------------------------------


def test_settings_travel_to_other_processes() -> None:
    settings = Settings("a.onnx", "haar", BaseRates("rates.json", 0.3), crops=True, threads=2)
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_base_rates_reach_the_recognizer(model: OnnxRecognizer, portrait: Frame) -> None:
    tops = []
    for rates in (BaseRates("training"), BaseRates("equal", 0.5), BaseRates("equal", 1)):
        analyzer = Analyzer(
            Settings(base_rates=rates), recognizer=model, detector=FakeDetector((300, 20, 420, 140))
        )
        (face,) = analyzer.analyze_frame(portrait)
        assert face.emotions is not None
        crop = align.cut(portrait, align.box(face.box, 1.0))
        np.testing.assert_array_equal(face.emotions.probs, model.probabilities([crop], rates)[0])
        tops.append(face.emotions.probs)
    assert not np.array_equal(tops[0], tops[2])


def test_a_file_of_base_rates_is_read_once(
    model: OnnxRecognizer, portrait: Frame, tmp_path: Path
) -> None:
    """What a run began with it goes on with: the file may be changed meanwhile, or be gone."""
    file = tmp_path / "rates.json"
    labels = model.info.label_set.labels
    file.write_text(json.dumps(dict.fromkeys(labels, 0) | {labels[4]: 1}))
    found = FakeDetector((300, 20, 420, 140))
    settings = Settings(base_rates=BaseRates(str(file), 1))
    analyzer = Analyzer(settings, recognizer=model, detector=found)
    file.unlink()
    for _ in range(2):
        (face,) = analyzer.analyze_frame(portrait)
        assert face.emotions.top[0] == labels[4]
    told = records.meta(analyzer)["base_rates"]
    assert told["target"] == str(file)
    assert told["file"] == {label: float(label == labels[4]) for label in labels}
    assert analyzer.base_rates.plain()["told"] == list(told["file"].values())
    travelled = pickle.loads(pickle.dumps(analyzer.base_rates))
    assert Analyzer(Settings(base_rates=travelled), recognizer=model).base_rates == travelled


def test_what_cannot_work_fails_before_the_first_picture(
    peer_models: Path, model: OnnxRecognizer, tmp_path: Path
) -> None:
    with pytest.raises(UnknownName, match=r"did you mean haar\?"):
        Analyzer(Settings(detector="har"), recognizer=model)
    with pytest.raises(UnknownName, match=r"did you mean similarity\?"):
        Analyzer(Settings(align="similar"), recognizer=model)
    with pytest.raises(UnknownName, match=r"did you mean resnet10-ferplus\?"):
        Analyzer(Settings(model="resnet-ferplus"))
    with pytest.raises(ConfigError, match="no file"):
        Analyzer(Settings(base_rates=BaseRates(str(tmp_path / "gone.json"))), recognizer=model)
    with pytest.raises(ConfigError, match="--base-rates training"):
        Analyzer(Settings("face-api", "haar", BaseRates("equal", 0.5)))


def test_faces_are_found_while_the_model_loads(portrait: Frame, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(b"no model")
    analyzer = Analyzer(Settings(str(damaged)), detector=FakeDetector(FACE), wait=False)
    assert len(analyzer.find(portrait)) == 1
    with pytest.raises(ModelError, match="not an ONNX model"):
        analyzer.wait()
    with pytest.raises(ModelError, match="not an ONNX model"):
        _ = analyzer.recognizer
    with pytest.raises(ModelError, match="not an ONNX model"):
        analyzer.analyze_frame(portrait)


def test_a_model_that_was_not_waited_for_is_the_same(analyzer: Analyzer, portrait: Frame) -> None:
    eager = Analyzer(Settings(detector="haar"), wait=False)
    equal(eager.analyze_frame(portrait), analyzer.analyze_frame(portrait))
    assert eager.recognizer.info == analyzer.recognizer.info
    assert eager.base_rates == analyzer.base_rates


def test_base_rates_by_name_say_how_to_write_them() -> None:
    with pytest.raises(ConfigError, match=r"write mien\.BaseRates\('training'\)"):
        Settings(base_rates="training")  # type: ignore[arg-type]


def test_a_model_of_unknown_base_rates_is_read_untouched(peer_models: Path) -> None:
    assert Analyzer(Settings("face-api", "haar")).base_rates == BaseRates("training")
    assert Analyzer(Settings(detector="haar")).base_rates == BaseRates("equal", 0.75)


# -- the fakes themselves -----------------------------------------------------------------------


def test_fakes_answer_what_they_were_told(portrait: Frame) -> None:
    recognizer = FakeRecognizer("fear", 0.3)
    probs = recognizer.probabilities([portrait.rgb, portrait.rgb], BaseRates())
    assert probs.shape == (2, 8)
    np.testing.assert_allclose(probs.sum(axis=1), 1, atol=1e-6)
    assert probs[1, recognizer.info.label_set.index("fear")] == pytest.approx(0.3)
    assert recognizer.probabilities([], BaseRates()).shape == (0, 8)
    faces = FakeDetector(FACE, (0, 0, 5, 5), score=0.4).detect(portrait)
    assert [face.box.tolist() for face in faces] == [list(FACE), [0, 0, 5, 5]]
    assert {face.score for face in faces} == {0.4}
    assert fakes().analyze_frame(portrait) == []


@pytest.mark.parametrize("detector", ["mien", "haar"])
def test_threads_may_share_one(astronaut: ImageArray, detector: str) -> None:
    """Eight at once, the first call included, and on pictures of several sizes."""
    pictures = [np.ascontiguousarray(astronaut[: 300 + 20 * i, : 400 + 10 * i]) for i in range(8)]
    alone = Analyzer(Settings(detector=detector))
    expected = [alone.analyze(p) for p in pictures]
    shared = Analyzer(Settings(detector=detector))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(shared.analyze, pictures))
    for ours, theirs in zip(found, expected, strict=True):
        assert len(ours) == len(theirs) >= 1
        equal(ours, theirs)


# -- pictures that are decoded smaller -------------------------------------------------------------


def enlarged(portrait: Frame, side: int, around: int = 0) -> bytes:
    """A JPEG of ``side`` pixels with the portrait in it, gray ``around`` it on every side."""
    canvas = Image.new("RGB", (side, side), (120, 120, 120))
    inner = side - 2 * around
    picture = Image.fromarray(portrait.rgb).resize((inner, inner), Image.Resampling.BICUBIC)
    canvas.paste(picture, (around, around))
    file = io.BytesIO()
    canvas.save(file, "JPEG", quality=95)
    return file.getvalue()


def test_a_large_jpeg_is_read_as_its_pixels_are(portrait: Frame) -> None:
    analyzer, content = Analyzer(Settings(detector="mien")), enlarged(portrait, 3000)
    frame, found = analyzer.look(content)
    assert frame.reduced == 2
    assert len(found) == 1
    (face,), (whole,) = analyzer.analyze(content), analyzer.analyze(image.read(content))
    assert np.abs(face.box - whole.box).max() < 6  # of a face of 660 pixels
    assert face.landmarks is not None
    assert whole.landmarks is not None
    assert np.abs(face.landmarks - whole.landmarks).mean() < 3
    assert np.abs(face.emotions.probs - whole.emotions.probs).max() < 0.02
    assert face.quality.size_px == pytest.approx(whole.quality.size_px, rel=0.01)
    assert face.crop is not None
    assert whole.crop is not None
    assert np.abs(align.outline(face.crop) - align.outline(whole.crop)).max() < 6


def test_the_record_tells_the_size_of_the_picture(portrait: Frame) -> None:
    analyzer, content = Analyzer(Settings(detector="mien")), enlarged(portrait, 3001)
    frame, found = analyzer.look(content)
    record = records.record_of(frame, analyzer.recognize(frame, found))
    assert (frame.width, record["width"], record["height"]) == (1501, 3001, 3001)


def test_a_small_face_in_a_large_jpeg_is_read_from_all_pixels(portrait: Frame) -> None:
    analyzer, content = Analyzer(Settings(detector="mien")), enlarged(portrait, 3000, around=1000)
    frame, found = analyzer.look(content)
    assert frame.reduced == 1
    assert len(found) == 1
    (face,), (whole,) = analyzer.analyze(content), analyzer.analyze(image.read(content))
    assert np.array_equal(face.box, whole.box)
    assert np.array_equal(face.emotions.probs, whole.emotions.probs)


def test_boxes_end_where_the_picture_does() -> None:
    """Half a picture of 2,601 pixels has 1,301, the last of which stands for one."""
    file = io.BytesIO()
    Image.fromarray(black(2601, 2601)).save(file, "JPEG")
    (face,) = fakes((800, 800, 1301, 1301)).analyze(file.getvalue())
    assert face.box.tolist() == [1600, 1600, 2601, 2601]
