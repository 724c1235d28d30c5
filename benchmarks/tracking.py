"""Tracks and smoothing: numbers that change, how much steadier faces become, how late changes.

Real heads, cut from clips and photographs, cross before a still background at 720p; a photograph of
five people is panned; the one-person clips run as they are. Needs the media of the data folder.

    python benchmarks/tracking.py ../shared/data/media
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mien import provenance
from mien.analysis.pipeline import Analyzer, Settings
from mien.face import Face, Frame, RecognizedFace
from mien.media import image
from mien.tracking.smooth import smoothers
from mien.tracking.tracks import MEMORY_S, SEARCH_S, Tracker
from tests.crossing import Head, Path2, clip, film, line, score

HD = (1280, 720)
ONE_PERSON = ("single_face.mp4", "WolfgangLanger_Pexels.mp4")
SIDES = (110, 180)
PAIRS = (("man", "woman"), ("woman", "man"), ("photographed man", "woman"))


# -- numbers ------------------------------------------------------------------------------------


def crossings() -> Iterator[tuple[str, list[Path2], float]]:
    """Name, a path for each of two heads, frames per second."""
    left, right = (250.0, 360.0), (1030.0, 360.0)
    middle = (640.0, 360.0)
    for seconds in (1, 2, 4):
        count = 30 * seconds
        yield f"cross in {seconds} s", [line(left, right, count), line(right, left, count)], 30
    yield "diagonal", [line((250, 250), (1030, 450), 60), line((1030, 450), (250, 250), 60)], 30
    yield "behind one who stands", [line(middle, middle, 90), line(right, left, 90)], 30
    yield "past one who stands", [line(left, right, 90), line(middle, middle, 90)], 30
    yield "cross in 2 s, 10 frames a second", [line(left, right, 20), line(right, left, 20)], 10
    there = line(right, (660.0, 360.0), 45)
    yield (
        "half behind and back",
        [line(middle, middle, 100), [*there, *[there[-1]] * 10, *there[::-1]]],
        30,
    )


def switched(analyzer: Analyzer, media: Path) -> dict[str, Any]:
    background = cv2.resize(clip(media / "no_face.mp4")[60].rgb, HD)
    pictures = {
        "man": [f.rgb for f in clip(media / "single_face.mp4")[:60]],
        "woman": [f.rgb for f in clip(media / "WolfgangLanger_Pexels.mp4")[:120]],
        "photographed man": [image.read(media / "obama.jpg")],
    }
    films, totals = [], np.zeros(3, int)
    for side in SIDES:
        heads = {name: Head(analyzer, p, side) for name, p in pictures.items()}
        for (a, b), (name, paths, fps) in itertools.product(PAIRS, crossings()):
            both = [heads[a], heads[b]]
            shown = film(np.asarray(background, np.uint8), both, paths, fps)
            found = score(Tracker(analyzer).follow, shown, both, paths)
            totals += (found.switches, found.missed, found.seen)
            if found.switches or found.missed:
                films.append({"film": f"{a} before {b}, {side} px: {name}", **vars_of(found)})
    count = len(SIDES) * len(PAIRS) * len(list(crossings()))
    keys = ("switches", "missed", "heads_in_sight")
    return {"films": count, **dict(zip(keys, totals.tolist(), strict=True)), "not_perfect": films}


def vars_of(found: Any) -> dict[str, int]:
    return {name: getattr(found, name) for name in ("switches", "missed", "seen", "numbers")}


def panned(analyzer: Analyzer, media: Path) -> dict[str, Any]:
    """Five faces from left to right while the camera moves."""
    photo = image.read(media / "multi_face.jpg")
    tracker, orders = Tracker(analyzer), []
    for i in range(120):
        x, y = (round(s * (1 + np.sin(i / f)) / 2) for s, f in ((40, 5), (27, 3)))
        frame = Frame(np.ascontiguousarray(photo[y : y + 640, x : x + 960]), i, i / 30)
        faces = sorted(tracker.follow(frame), key=lambda face: float(face.box[0]))
        orders.append([face.track for face in faces])
    return {
        "frames": len(orders),
        "faces": len(orders[0]),
        "frames_in_another_order": sum(order != orders[0] for order in orders),
    }


def alone(analyzer: Analyzer, path: Path) -> dict[str, Any]:
    tracker = Tracker(analyzer)
    told = [[face.track for face in tracker.follow(frame)] for frame in clip(path)]
    numbers = {n for names in told for n in names}
    return {
        "frames": len(told),
        "tracks": len(numbers),
        "frames_without_a_face": sum(not names for names in told),
    }


# -- steadiness -----------------------------------------------------------------------------------


def shaking(photo: np.ndarray, count: int = 90) -> Iterator[Frame]:
    """A poor camera on a face that keeps still: shaking, sensor noise, flicker, compression."""
    rng = np.random.default_rng(0)
    height, width = photo.shape[:2]
    for i in range(count):
        shift = np.array([[1, 0, rng.normal()], [0, 1, rng.normal()]])
        moved = cv2.warpAffine(photo, shift, (width, height), borderMode=cv2.BORDER_REPLICATE)
        light = moved * (1 + 0.02 * np.sin(i / 3)) + rng.normal(0, 6, (height, width, 1))
        jpeg = cv2.imencode(".jpg", light.clip(0, 255).astype(np.uint8), [1, 60])[1]
        yield Frame(np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8), i, i / 30)


def read(
    analyzer: Analyzer, frames: Iterable[Frame]
) -> tuple[list[float], list[list[RecognizedFace]]]:
    tracker, times, faces = Tracker(analyzer), [], []
    for frame in frames:
        times.append(frame.time_s)
        faces.append(analyzer.recognize(frame, tracker.follow(frame))[:1])
    return times, faces


def smoothed(name: str, times: list[float], faces: list[list[RecognizedFace]]) -> np.ndarray:
    smoother, out = smoothers.build(name, 0.5), []
    for time_s, here in zip(times, faces, strict=True):
        out += smoother.push(time_s, here, None)
    out += smoother.flush()
    return np.array([f[0].emotions.probs for _, f in out if f and f[0].emotions])


def variation(probs: np.ndarray) -> float:
    return float(np.abs(np.diff(probs, axis=0)).sum(axis=1).mean() / 2)


def steadiness(analyzer: Analyzer, media: Path) -> dict[str, Any]:
    """Variation from frame to frame of faces that keep still, raw over smoothed; a smile's lag."""
    two = image.read(media / "two_people.jpg")
    woman = clip(media / "WolfgangLanger_Pexels.mp4")[150].rgb
    half = two.shape[1] // 2
    still = {"left man": two[:, :half], "right man": two[:, half:], "woman": woman}
    result: dict[str, Any] = {}
    for name, photo in still.items():
        times, faces = read(analyzer, shaking(np.ascontiguousarray(photo)))
        raw = variation(smoothed("none", times, faces))
        result[name] = {"variation": round(raw, 4)} | {
            f"{mode}_reduction": round(raw / variation(smoothed(mode, times, faces)), 2)
            for mode in ("causal", "two-sided")
        }
    times, faces = read(analyzer, clip(media / "single_face.mp4"))
    raw_smile = smoothed("none", times, faces)[:, 1]
    for mode in ("causal", "two-sided"):
        smile = smoothed(mode, times, faces)[:, 1]
        result[f"smile_{mode}"] = {
            "onset_late_ms": round((crossed(times, smile) - crossed(times, raw_smile)) * 1e3, 1),
            "offset_late_ms": round(
                (crossed(times, smile, -1) - crossed(times, raw_smile, -1)) * 1e3, 1
            ),
            "height_kept": round(float(smile.max() / raw_smile.max()), 4),
        }
    return result


def crossed(times: list[float], signal: np.ndarray, which: int = 0) -> float:
    """When a signal first (0) or last (-1) is above one half."""
    return times[int(np.flatnonzero(signal > 0.5)[which])]


def made_signals() -> dict[str, Any]:
    """Lag of a step, and the height that peaks keep, at 30 frames a second."""
    from mien.face import Emotions, Quality
    from mien.labels import label_set

    labels, times = label_set("mien8"), np.arange(90) / 30

    def through(mode: str, signal: np.ndarray) -> np.ndarray:
        faces = []
        for x in signal:
            probs = np.zeros(8, np.float32)
            probs[:2] = 1 - x, x
            box = np.array([0, 0, 9, 9], np.float32)
            face = Face(box, 1.0, track=1)
            seen = Quality(9, 9, 0.5, 0.5, 1.0)
            faces.append([RecognizedFace.of(face, Emotions(labels, probs), seen, 1.0, False)])
        return smoothed(mode, times.tolist(), faces)[:, 1]

    def late_ms(after: np.ndarray, level: float) -> float:
        return round(float(times[int(np.argmax(after >= level - 1e-6))] - times[45]) * 1e3, 1)

    result: dict[str, Any] = {}
    for mode in ("causal", "two-sided"):
        steps = {h: through(mode, 0.1 + h * (times >= times[45])) for h in (0.1, 0.3, 0.8)}
        peaks = {}
        for width in (0.2, 0.3, 0.5, 1.0):
            wave = 0.5 + 0.5 * np.cos(2 * np.pi * (times - 1.5) / width)
            after = through(mode, 0.1 + 0.8 * np.where(np.abs(times - 1.5) < width / 2, wave, 0))
            peaks[f"{width} s"] = round(float(after.max() - 0.1) / 0.8, 3)
        result[mode] = {
            "step_half_through_ms": {f"{h:g}": late_ms(s, 0.1 + h / 2) for h, s in steps.items()},
            "step_nine_tenths_ms": {f"{h:g}": late_ms(s, 0.1 + 0.9 * h) for h, s in steps.items()},
            "peak_height_kept": peaks,
        }
    return result


def main(
    media: Annotated[Path, typer.Argument(help="Folder of the clips and photographs.")],
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/tracking.json"),
) -> None:
    analyzer = Analyzer(Settings(detector="mien"))
    result = {
        **provenance.environment(),
        "stated": {"search_s": SEARCH_S, "memory_s": MEMORY_S},
        "one_person": {name: alone(analyzer, media / name) for name in ONE_PERSON},
        "five_panned": panned(analyzer, media),
        "steadiness": steadiness(analyzer, media),
        "made_signals": made_signals(),
        "crossings": switched(analyzer, media),
    }
    out.write_text(json.dumps(result, indent=2) + "\n")
    typer.echo(json.dumps(result, indent=2))


if __name__ == "__main__":
    typer.run(main)
