"""Faces found and false alarms: mien's own chain, Haar alone, YuNet, MediaPipe's detector.

    python benchmarks/detection.py lfw.parquet 300w.parquet PHOTOS MEDIA

PHOTOS holds dlib's group photographs, ``<name>_face0.jpg`` with a ``.pts`` file per face; they come
a second time, made worse. MEDIA holds the pictures and clips listed in ``MEDIA`` below. LFW's crops
get a margin (their border repeated). A face is found where a box overlaps it by ``OVERLAP``
(squares, intersection over union); a box elsewhere is a false alarm, unless another detector finds
a face there, too.
"""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer
from skimage import data as pictures

from mien import geometry, provenance
from mien.data import table
from mien.data.sets.w300 import read_points
from mien.errors import WeightsMissing
from mien.face import FloatArray, Frame
from mien.faces import detect
from mien.faces.landmarks import bounds
from mien.media import image
from mien.training.landmark_data import is_kept
from mien.weights import catalogue

OVERLAP = 0.3
PAD = 0.5
VARIANTS, SEED = 25, 7
WITHOUT_PEOPLE = (
    *("coffee", "chelsea", "rocket", "hubble_deep_field", "brick", "grass", "coins"),
    *("page", "clock", "immunohistochemistry", "text", "moon", "retina", "gravel"),
)
MEDIA = {
    "single_face.jpg": 1,
    "multi_face.jpg": 5,
    "obama.jpg": 1,
    "two_people.jpg": 2,
    "single_face.mp4": 1,
    "WolfgangLanger_Pexels.mp4": 1,
    "no_face.mp4": 0,
}
"""File -> how many people are on each picture or frame of it."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture and the squares its faces lie in, (N, 4); None where only their number is known."""

    rgb: np.ndarray[Any, np.dtype[np.uint8]]
    faces: FloatArray | None
    people: int


Find = Callable[[Frame], FloatArray]  # a frame's boxes (N, 4)


def of_points(points: FloatArray) -> FloatArray:
    return geometry.square(bounds(points), 1.1)


def lfw(faces: table.Table) -> Iterator[Scene]:
    for picture in faces.pictures():
        pad = round(PAD * len(picture))
        wide = cv2.copyMakeBorder(picture, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
        height, width = picture.shape[:2]
        whole = np.array([[pad, pad, pad + width, pad + height]], np.float32)
        yield Scene(np.asarray(wide, np.uint8), whole, 1)


def pointed(faces: table.Table) -> Iterator[Scene]:
    for row, picture in zip(faces.rows, faces.pictures(), strict=True):
        points = np.array(row.landmarks, np.float32).reshape(-1, 2)
        yield Scene(picture, of_points(points)[None], 1)


def photos(folder: Path) -> Iterator[Scene]:
    for file in sorted(folder.glob("*_face0.jpg")):
        every = sorted(folder.glob(file.name.replace("_face0.jpg", "_face*.pts")))
        faces = np.array([of_points(read_points(pts)) for pts in every], np.float32)
        yield Scene(image.read_file(file), faces, len(faces))


def worse(scenes: Iterable[Scene]) -> Iterator[Scene]:
    """Each scene ``VARIANTS`` times: smaller, turned, mirrored, lighter or darker, with noise."""
    rng = np.random.default_rng(SEED)
    for scene in scenes:
        for _ in range(VARIANTS):
            yield _worse(scene, rng)


def _worse(scene: Scene, rng: np.random.Generator) -> Scene:
    assert scene.faces is not None
    height, width = scene.rgb.shape[:2]
    scale, degrees = rng.uniform(0.5, 1.0), rng.uniform(-20, 20)
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, scale)
    middles = (scene.faces[:, :2] + scene.faces[:, 2:]) / 2 @ turn[:, :2].T + turn[:, 2]
    half = (scene.faces[:, 2:] - scene.faces[:, :2]) / 2 * scale
    pixels = cv2.warpAffine(scene.rgb, turn, (width, height)).astype(np.float32)
    if rng.random() < 0.5:
        pixels, middles[:, 0] = pixels[:, ::-1], width - middles[:, 0]
    pixels = np.clip(pixels * rng.uniform(0.5, 1.3) + rng.uniform(-20, 20), 0, 255)
    pixels += rng.normal(0, rng.uniform(0, 8), pixels.shape)
    rgb = np.ascontiguousarray(np.clip(pixels, 0, 255).astype(np.uint8))
    faces = np.concatenate([middles - half, middles + half], axis=1).astype(np.float32)
    return Scene(rgb, faces, scene.people)


def media(folder: Path, names: Iterable[str]) -> Iterator[Scene]:
    for name in names:
        if name.endswith(".jpg"):
            yield Scene(image.read_file(folder / name), None, MEDIA[name])
            continue
        film = cv2.VideoCapture(str(folder / name))
        while True:
            there, bgr = film.read()
            if not there:
                break
            rgb = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
            yield Scene(rgb, None, MEDIA[name])


def without_people() -> Iterator[Scene]:
    for name in WITHOUT_PEOPLE:
        rgb = image.from_array(getattr(pictures, name)())
        yield Scene(rgb, np.empty((0, 4), np.float32), 0)


class BlazeFace:
    """MediaPipe's short-range detector (Bazarevsky et al. 2019), out of its face landmarker."""

    _SIDE, _LEAST = 128, 0.5

    def __init__(self) -> None:
        from ai_edge_litert.interpreter import Interpreter

        _, content = catalogue.read(catalogue.spec("face-landmarker"))
        model = zipfile.ZipFile(BytesIO(content)).read("face_detector.tflite")
        self._net = Interpreter(model_content=model)
        self._net.allocate_tensors()
        grids = [(16, 2), (8, 6)]  # cells a side, anchors a cell
        self._anchors = np.array(
            [
                ((x + 0.5) / n, (y + 0.5) / n)
                for n, each in grids
                for y in range(n)
                for x in range(n)
                for _ in range(each)
            ]
        )

    def __call__(self, frame: Frame) -> FloatArray:
        side = max(frame.width, frame.height)
        square = np.zeros((side, side, 3), np.uint8)
        square[: frame.height, : frame.width] = frame.rgb
        small = cv2.resize(square, (self._SIDE, self._SIDE), interpolation=cv2.INTER_AREA)
        self._net.set_tensor(
            self._net.get_input_details()[0]["index"], small[None].astype(np.float32) / 127.5 - 1
        )
        self._net.invoke()
        outputs = self._net.get_output_details()
        raw = self._net.get_tensor(outputs[0]["index"])[0]
        scores = 1 / (1 + np.exp(-self._net.get_tensor(outputs[1]["index"])[0, :, 0].clip(-80, 80)))
        middle = self._anchors + raw[:, :2] / self._SIDE
        half = raw[:, 2:4] / self._SIDE / 2
        boxes = (np.concatenate([middle - half, middle + half], axis=1) * side).astype(np.float32)
        kept = scores >= self._LEAST
        boxes, scores = boxes[kept], scores[kept].astype(np.float32)
        return np.asarray(boxes[geometry.suppress(boxes, scores, 0.3)], np.float32)


def finders() -> dict[str, Find]:
    """Those whose files are here."""

    def of(name: str) -> Find:
        detector = detect.build(name)
        return lambda frame: np.array(
            [face.box for face in detector.detect(frame)], np.float32
        ).reshape(-1, 4)

    found: dict[str, Find] = {"mien": of("mien"), "haar": of("haar")}
    try:
        found |= {"yunet": of("yunet"), "mediapipe": BlazeFace()}
    except (WeightsMissing, ImportError) as err:
        typer.echo(f"left out: {err}", err=True)
    return found


def matched(boxes: FloatArray, faces: FloatArray) -> int:
    """How many faces have a box of their own."""
    squares = np.array([geometry.square(box, 1.0) for box in boxes], np.float32).reshape(-1, 4)
    pairs = np.array([geometry.iou(face, squares) for face in faces]).reshape(
        len(faces), len(boxes)
    )
    found = 0
    while pairs.size and pairs.max() >= OVERLAP:
        row, column = np.unravel_index(pairs.argmax(), pairs.shape)
        pairs = np.delete(np.delete(pairs, row, axis=0), column, axis=1)
        found += 1
    return found


@dataclass(slots=True)
class Tally:
    """What one detector did on a set of scenes."""

    found: int = 0
    alarms: int = 0
    others: int = 0
    seconds: float = 0.0

    def add(self, boxes: FloatArray, scene: Scene, elsewhere: list[FloatArray]) -> None:
        """Count one scene's boxes; ``elsewhere`` are those of the other detectors."""
        hit = min(len(boxes), scene.people)
        if scene.faces is not None:
            hit = matched(boxes, scene.faces)
            seen = sum(agreed(box, scene.faces, elsewhere) for box in boxes)
            self.others += min(seen, len(boxes) - hit)
            self.alarms -= min(seen, len(boxes) - hit)
        self.found += hit
        self.alarms += len(boxes) - hit


def agreed(box: FloatArray, faces: FloatArray, elsewhere: list[FloatArray]) -> bool:
    """Whether a box on no labelled face lies where another detector has one, too."""
    here = geometry.square(box, 1.0)
    if len(faces) and geometry.iou(here, faces).max() >= OVERLAP:
        return False
    return any(
        geometry.iou(here, np.array([geometry.square(o, 1.0) for o in other])).max() >= OVERLAP
        for other in elsewhere
        if len(other)
    )


def measure(finders: dict[str, Find], scenes: Iterable[Scene]) -> dict[str, dict[str, Any]]:
    """Every detector on the same scenes.

    HELEN's and AFW's crops show other people at their borders, whom nobody labelled. A box there
    is a false alarm only where no other detector agrees with it.
    """
    tallies = {name: Tally() for name in finders}
    n = people = 0
    for scene in scenes:
        frame, boxes = Frame(scene.rgb), {}
        for name, find in finders.items():
            started = time.perf_counter()
            boxes[name] = find(frame)
            tallies[name].seconds += time.perf_counter() - started
        for name, tally in tallies.items():
            elsewhere = [others for other, others in boxes.items() if other != name]
            tally.add(boxes[name], scene, elsewhere)
        n, people = n + 1, people + scene.people
    return {
        name: {
            "pictures": n,
            "people": people,
            "found": tally.found,
            "recall": round(tally.found / people, 4) if people else None,
            "false_alarms": tally.alarms,
            "false_alarms_per_picture": round(tally.alarms / n, 4),
            "unlabelled_faces": tally.others,
            "ms_per_picture": round(1000 * tally.seconds / n, 2),
        }
        for name, tally in tallies.items()
    }


def main(
    lfw_table: Path,
    pointed_table: Path,
    photo_folder: Path,
    media_folder: Path,
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/detection.json"),
) -> None:
    faces, by_hand = table.read(lfw_table), table.read(pointed_table)
    unseen = faces.keep(is_kept(row) for row in faces.rows)
    sets: dict[str, Callable[[], Iterator[Scene]]] = {
        "lfw": lambda: lfw(faces),
        "lfw_unseen_people": lambda: lfw(unseen),
        "helen_afw": lambda: pointed(by_hand),
        "helen_test": lambda: pointed(by_hand.of_split("test")),
        "dlib_photos": lambda: photos(photo_folder),
        "dlib_photos_worse": lambda: worse(photos(photo_folder)),
        "media_pictures": lambda: media(media_folder, [n for n in MEDIA if n.endswith("jpg")]),
        "media_clips": lambda: media(
            media_folder, [n for n in MEDIA if n.endswith("mp4") and MEDIA[n]]
        ),
        "no_face_clip": lambda: media(media_folder, ["no_face.mp4"]),
        "pictures_without_people": without_people,
    }
    result: dict[str, Any] = provenance.environment() | {"overlap": OVERLAP, "pad": PAD, "sets": {}}
    ours = finders()
    for name, scenes in sets.items():
        result["sets"][name] = measure(ours, scenes())
        typer.echo(f"{name}: {json.dumps(result['sets'][name])}", err=True)
    out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
