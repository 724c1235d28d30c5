"""What ``mien bulk`` costs, and how that grows: processor time of runs of several sizes.

Seconds by the clock depend on what else a machine is at; what its processors worked for a run
hardly does. Each size is run ``--times`` times with one worker, and a line is fitted: its slope is
what a crop, a photograph or a frame costs, with a 95 % interval; its height what it costs to begin.
``ray`` is the same crops by Ray's actor. ``stages`` tells what one core spends a picture or a frame
on: the file read and decoded, faces sought (or followed), faces read; the slope holds the writing
of records and the handing out, too.

    python benchmarks/bulk_scale.py FOLDER MEDIA    # fer2013/ and lfw/ in FOLDER, clips in MEDIA
"""

from __future__ import annotations

import itertools
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import av
import typer
from scipy import stats

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bulk import timed

from mien import provenance
from mien.analysis.pipeline import Analyzer, Settings
from mien.face import Face, Frame
from mien.media import image
from mien.media.video import Video
from mien.tracking.tracks import Tracker

CROPS, PHOTOGRAPHS, SECONDS = (500, 1000, 2000), (125, 250, 500), (30, 60, 120)
CLIP, FPS, SIZE = "WolfgangLanger_Pexels.mp4", 24, (640, 360)
SEEN = 200  # of each kind, for the stages
MILLION, HOURS = 1e6, 1000


def linked(files: Sequence[Path], folder: Path) -> Path:
    folder.mkdir()
    for number, path in enumerate(files):
        (folder / f"{number:06}{path.suffix}").symlink_to(path.resolve())
    return folder


def film(clip: Path, seconds: int, folder: Path) -> Path:
    """A recording of so many seconds, of a clip to and fro."""
    folder.mkdir()
    width, height = SIZE
    with av.open(str(clip)) as source:
        frames = source.decode(video=0)
        pictures = [f.to_ndarray(width=width, height=height, format="rgb24") for f in frames]
    shown = itertools.cycle([*pictures, *pictures[-2:0:-1]])
    with av.open(str(folder / "film.mp4"), "w") as out:
        stream: Any = out.add_stream("h264", rate=FPS, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for picture in itertools.islice(shown, seconds * FPS):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    return folder


def processor_s(source: Path, more: Sequence[str], engine: str) -> tuple[float, dict[str, float]]:
    """Of a whole run, and by kind of process."""
    with tempfile.TemporaryDirectory() as out:
        words = [sys.executable, "-m", "mien", "bulk", str(source), "--out", f"{out}/out", *more]
        told = timed([*words, "--engine", engine, "-p", "1"])["processor_s"]
    return sum(told.values()), told


def line(points: Sequence[tuple[int, float]]) -> dict[str, float]:
    """Of processor time over size: the slope and its 95 % interval, and where it begins."""
    sizes, worked = zip(*points, strict=True)
    fit = stats.linregress(sizes, worked)
    half = float(stats.t.ppf(0.975, len(points) - 2) * fit.stderr)
    slope = float(fit.slope)
    return {
        "each_ms": round(slope * 1e3, 3),
        "each_ms_low": round((slope - half) * 1e3, 3),
        "each_ms_high": round((slope + half) * 1e3, 3),
        "begin_s": round(float(fit.intercept), 2),
        "r_squared": round(float(fit.rvalue) ** 2, 5),
    }


def grown(
    sizes: Sequence[int],
    made: Callable[[int], Path],
    items: Callable[[int], int],
    times: int,
    more: Sequence[str] = (),
    engine: str = "local",
) -> dict[str, Any]:
    """How the processor time of runs grows with their size."""
    points, runs = list[tuple[int, float]](), list[dict[str, Any]]()
    for size in sizes:
        source = made(size)
        for _ in range(times):
            whole, kinds = processor_s(source, more, engine)
            points.append((items(size), whole))
            runs.append({"items": items(size), "processor_s": round(whole, 2), "by": kinds})
    return {**line(points), "runs": runs}


def stages(
    frames: Iterator[Frame], find: Callable[[Frame], list[Face]], analyzer: Analyzer
) -> dict[str, float]:
    """Processor milliseconds of each stage, a frame; threads=1, so that they are one core's."""
    first = next(frames)
    analyzer.recognize(first, find(first))  # what is loaded by that is begun once
    spent, count = [0.0, 0.0, 0.0], 0
    while True:
        began = time.process_time()
        frame = next(frames, None)
        if frame is None:
            break
        read = time.process_time()
        faces = find(frame)
        found = time.process_time()
        analyzer.recognize(frame, faces)
        told = time.process_time()
        for stage, seconds in enumerate((read - began, found - read, told - found)):
            spent[stage] += seconds
        count += 1
    names = ("read_and_decode_ms", "find_faces_ms", "read_faces_ms")
    return {name: round(s / count * 1e3, 3) for name, s in zip(names, spent, strict=True)}


def decoded(path: Path) -> Iterator[Frame]:
    with Video(path) as source:
        for item in itertools.islice(source.frames(), SEEN * 5):
            assert isinstance(item, Frame)
            yield item


def main(
    folder: Annotated[Path, typer.Argument(help="Holds fer2013/ and lfw/.")],
    media: Annotated[Path, typer.Argument(help="Folder of the clips.")],
    times: Annotated[int, typer.Option(help="Runs of each size.")] = 2,
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/bulk_scale.json"),
) -> None:
    crops, photographs = (
        sorted(p for p in (folder / name).rglob("*") if p.suffix in image.SUFFIXES)
        for name in ("fer2013", "lfw")
    )
    result: dict[str, Any] = {**provenance.environment(), "film": {"fps": FPS, "size": SIZE}}
    with tempfile.TemporaryDirectory() as made:
        at = Path(made)

        def note(name: str, found: dict[str, Any]) -> None:
            result[name] = found
            out.write_text(json.dumps(result, indent=2) + "\n")

        def some(files: Sequence[Path], name: str) -> Callable[[int], Path]:
            return lambda size: linked(files[:size], at / f"{name}-{size}")

        note("crops", grown(CROPS, some(crops, "crops"), lambda size: size, times, ["--crops"]))
        note(
            "photographs",
            grown(PHOTOGRAPHS, some(photographs, "photographs"), lambda size: size, times),
        )
        note(
            "frames",
            grown(
                SECONDS,
                lambda size: film(media / CLIP, size, at / f"film-{size}"),
                lambda size: size * FPS,
                times,
            ),
        )
        by_ray = grown(
            CROPS, some(crops, "ray"), lambda size: size, times, ["--crops"], engine="ray"
        )
        note("crops_by_ray", by_ray)
        cut, looked = Analyzer(Settings(crops=True, threads=1)), Analyzer(Settings(threads=1))
        tracker = Tracker(looked)
        note(
            "stages",
            {
                "crops": stages(map(image.read_frame, crops[:SEEN]), cut.find, cut),
                "photographs": stages(
                    map(image.read_frame, photographs[:SEEN]), looked.find, looked
                ),
                "frames": stages(
                    decoded(at / f"film-{SECONDS[0]}" / "film.mp4"), tracker.follow, looked
                ),
            },
        )
    hours = {
        "million_crops": result["crops"]["each_ms"] / 3.6e6 * MILLION,
        "million_photographs": result["photographs"]["each_ms"] / 3.6e6 * MILLION,
        "thousand_hours_of_film": result["frames"]["each_ms"] / 1e3 * FPS * HOURS,
    }
    note("processor_hours", {name: round(value, 2) for name, value in hours.items()})
    typer.echo(json.dumps(result, indent=2))


if __name__ == "__main__":
    typer.run(main)
