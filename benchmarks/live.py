"""Watching live: how late figures are at 30 frames a second, and what each stage takes.

A clip of one face, at 720p and in its own size, plays as a camera does, while records are written
and a terminal's page is drawn, or a window where there is a screen. Processor time beside it does
not depend on what else the machine does: it is taken of the same frames, one after the other, for
one, three and five faces.

    xvfb-run -s "-screen 0 1920x1080x24" python benchmarks/live.py ../shared/data/media
"""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer
from rich.console import Console

from mien import provenance
from mien.analysis.live import Live, Recorder
from mien.analysis.pipeline import Analyzer, Settings
from mien.app import live_window
from mien.app.live_terminal import History, page
from mien.face import Frame, ImageArray
from mien.media.capture import Clock, Control
from mien.media.video import Hole, Video
from mien.results.records import Output
from mien.tracking.smooth import smoothers
from mien.tracking.tracks import Tracker

HD = (1280, 720)
FPS = 30
SIDE = 240  # pixels of a face in a group


def clip(path: Path) -> list[Frame]:
    with Video(path) as video:
        return [frame for frame in video.frames() if isinstance(frame, Frame)]


def group(portrait: ImageArray, count: int) -> list[Frame]:
    """One face several times at 720p, each a little moved from frame to frame."""
    small = np.asarray(cv2.resize(portrait, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    frames = []
    for i in range(60):
        picture = np.full((HD[1], HD[0], 3), 90, np.uint8)
        for n in range(count):
            x, y = 10 + n * 250 + i % 7, 200 + i % 5
            picture[y : y + SIDE, x : x + SIDE] = small
        frames.append(Frame(picture, i, i / FPS))
    return frames


# -- how late -----------------------------------------------------------------------------------


class Played:
    """Decoded frames, to and fro, 30 a second: a camera whose driver costs nothing."""

    name = "benchmark"

    def __init__(self, frames: list[Frame], seconds: float) -> None:
        self._frames, self._count = [*frames, *frames[-2:0:-1]], round(seconds * FPS)

    def frames(self, clock: Clock, control: Control) -> Iterator[Frame | Hole]:
        begun = clock.now()
        for i in range(self._count):
            if clock.wait(control.stop, max(0.0, begun + i / FPS - clock.now())):
                return
            yield Frame(self._frames[i % len(self._frames)].rgb, i, i / FPS, self.name)


def on_a_page(live: Live) -> None:
    """What ``Terminal`` does, without a terminal."""
    console = Console(file=io.StringIO(), width=100, height=30, force_terminal=True)
    history = History()
    while live.is_running:
        if reading := live.newest(0.1):
            history.note(reading)
            console.print(page(live, reading, history, 100, 30))
            live.note_shown(reading)


def in_a_window(live: Live) -> None:
    live_window.Window().run(live)


def lateness(
    analyzer: Analyzer, frames: list[Frame], seconds: float, show: Callable[[Live], None]
) -> dict[str, Any]:
    """p50 and p95 from a frame's being there until it is read, and until it is shown."""
    live = Live(analyzer, Played(frames, seconds))
    with Output(None, "jsonl", analyzer, io.BytesIO()) as output:
        live.takers.append(Recorder(output, live.say, live.quit))
        with live:
            show(live)
    read, shown = live.read.overall(), live.shown.overall()
    return {
        "frames": round(seconds * FPS),
        "read": live.read.count,
        "shown": live.shown.count,
        "read_ms": {"p50": round(read[0] * 1e3), "p95": round(read[1] * 1e3)},
        "shown_ms": {"p50": round(shown[0] * 1e3), "p95": round(shown[1] * 1e3)},
    }


# -- what it takes ------------------------------------------------------------------------------


def processor_ms(call: Callable[[Frame], object], frames: list[Frame]) -> list[float]:
    took = []
    for frame in frames:
        before = time.process_time()
        call(frame)
        took.append((time.process_time() - before) * 1e3)
    return took


def chain(analyzer: Analyzer) -> Callable[[Frame], object]:
    tracker, smoother = Tracker(analyzer), smoothers.build("causal", 0.5)

    def run(frame: Frame) -> object:
        faces = analyzer.recognize(frame, tracker.follow(frame))
        return smoother.push(frame.time_s, faces, None)

    return run


def cost(analyzer: Analyzer, frames: list[Frame]) -> dict[str, Any]:
    """Milliseconds of processor time a frame: a search of each, following, the whole chain."""
    search = float(np.mean(processor_ms(analyzer.find, frames[::3])))
    follow = float(np.mean(processor_ms(Tracker(analyzer).follow, frames)))
    whole = processor_ms(chain(analyzer), frames)
    return {
        "search_of_every_frame_ms": round(search, 2),
        "follow_ms": round(follow, 2),
        "follow_over_search": round(follow / search, 3),
        "follow_recognise_smooth_ms": round(float(np.mean(whole)), 2),
        "follow_recognise_smooth_p95_ms": round(float(np.percentile(whole, 95)), 2),
    }


def main(
    media: Annotated[Path, typer.Argument(help="Folder of the clips and photographs.")],
    seconds: Annotated[float, typer.Option(help="Of each live run.")] = 10.0,
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/live.json"),
) -> None:
    cv2.setNumThreads(1)
    analyzer = Analyzer(Settings(detector="mien"))
    own = clip(media / "single_face.mp4")
    hd = [Frame(np.asarray(cv2.resize(f.rgb, HD), np.uint8), f.index, f.time_s) for f in own]
    processor_ms(chain(analyzer), own[:3])  # everything loaded
    portrait = own[0].rgb[:, 100:460]
    result: dict[str, Any] = {
        **provenance.environment(),
        "load_before": [round(n, 2) for n in _load()],
        "processor_time_720p": {
            "1 face": cost(analyzer, hd),
            **{f"{n} faces": cost(analyzer, group(portrait, n)) for n in (3, 5)},
        },
        "live_at_30_fps": {
            "640 x 360": lateness(analyzer, own, seconds, on_a_page),
            "1280 x 720": lateness(analyzer, hd, seconds, on_a_page),
        },
    }
    if live_window.is_possible():
        result["live_at_30_fps"]["1280 x 720 in a window"] = lateness(
            analyzer, hd, seconds, in_a_window
        )
    result["load_after"] = [round(n, 2) for n in _load()]
    out.write_text(json.dumps(result, indent=2) + "\n")
    typer.echo(json.dumps(result, indent=2))


def _load() -> tuple[float, ...]:
    """Processes that wanted a core, over the last 1, 5 and 15 minutes."""
    return os.getloadavg()


if __name__ == "__main__":
    typer.run(main)
