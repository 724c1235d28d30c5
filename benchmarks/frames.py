"""What a recording's frame takes beside decoding, in turn with an earlier commit, and by stage.

    python benchmarks/frames.py MEDIA --before a1caefa

Processor time, of a clip of 720p with one face, every frame. ``mien analyze`` reads it in a process
of its own, and so does PyAV alone, which decodes each frame to RGB and does no more. A figure is
the time of 20 seconds less that of two, by the frames between, so that no start is in it; the runs
go turn by turn. Then the stages, one after the other in this process, on one thread.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import mean, median
from typing import Annotated, Any

import typer
from same_output import ROOT, unpacked
from video import CLIPS, made

from mien import Analyzer, Frame, Settings, provenance
from mien.analysis import recording
from mien.media.video import Video
from mien.tracking.tracks import Tracker

SHORT_S, LONG_S, FPS = 2, 20, 30
_MS = 1000.0
_DECODE = """
import sys, av
from av.video.reformatter import VideoReformatter
reformatter = VideoReformatter()
with av.open(sys.argv[1]) as file:
    for frame in file.decode(file.streams.video[0]):
        reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()
"""
Run = dict[str, float]


def used(words: list[str], source: Path) -> tuple[float, float]:
    """Seconds of the processor that a program takes, and its peak memory in MB."""
    environment = {k: v for k, v in os.environ.items() if k != "MIEN_MODELS"}
    process = subprocess.Popen(
        [sys.executable, *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment | {"PYTHONPATH": str(source)},
    )
    _, status, spent = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, words
    return spent.ru_utime + spent.ru_stime, spent.ru_maxrss / 1024


def per_frame(words: Callable[[Path], list[str]], clips: list[Path], source: Path) -> Run:
    (short, _), (long, peak) = (used(words(clip), source) for clip in clips)
    frames = (LONG_S - SHORT_S) * FPS
    return {"ms_per_frame": (long - short) / frames * _MS, "peak_mb": peak}


def analyze(clip: Path) -> list[str]:
    return ["-m", "mien", "analyze", str(clip), "--detector", "mien", "--format", "jsonl"]


def in_turn(clips: list[Path], before: Path, rounds: int) -> dict[str, Run]:
    """The medians of plain decoding, of an earlier commit and of this one."""
    programs = {
        "decoding": (lambda clip: ["-c", _DECODE, str(clip)], ROOT / "src"),
        "before": (analyze, before / "src"),
        "now": (analyze, ROOT / "src"),
    }
    runs = defaultdict(list)
    for _ in range(rounds):
        for name, (words, source) in programs.items():
            runs[name].append(per_frame(words, clips, source))
            typer.echo(f"{name}: {runs[name][-1]}")
    return {
        name: {key: round(median(one[key] for one in found), 2) for key in found[0]}
        for name, found in runs.items()
    }


def stages(clip: Path) -> Run:
    """Milliseconds of processor time a frame, by stage, each frame's in a row."""
    analyzer = Analyzer(Settings(detector="mien", threads=1))
    tracker, every = Tracker(analyzer), []
    with Video(clip) as source:
        frames = source.frames()
        while True:
            times = [time.process_time()]
            frame = next(frames, None)
            if frame is None:
                break
            assert isinstance(frame, Frame)
            times.append(time.process_time())
            faces = tracker.follow(frame)
            times.append(time.process_time())
            read = analyzer.recognize(frame, faces)
            times.append(time.process_time())
            json.dumps(recording.record((frame, read)))
            times.append(time.process_time())
            every.append([b - a for a, b in pairwise(times)])
    names = ("decode_to_rgb", "follow", "recognise", "record")
    columns = zip(*every[FPS:], strict=True)
    return {n: round(mean(c) * _MS, 3) for n, c in zip(names, columns, strict=True)}


def main(
    media: Path,
    rounds: Annotated[int, typer.Option()] = 7,
    before: Annotated[str, typer.Option(help="An earlier commit.")] = "a1caefa",
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/frames.json"),
) -> None:
    result: dict[str, Any] = {**provenance.environment(), "rounds": rounds}
    people = [media / name for name in CLIPS[:2]]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = [made(people, 1, s, folder / f"{s}.mp4") for s in (SHORT_S, LONG_S)]
        found = in_turn(clips, unpacked(before, folder / "earlier"), rounds)
        decoding = found["decoding"]["ms_per_frame"]
        beside = {n: found[n]["ms_per_frame"] - decoding for n in ("before", "now")}
        result |= {
            **found,
            "before_commit": before,
            "beside_decoding_ms": {n: round(ms, 2) for n, ms in beside.items()},
            "of_before": round(found["now"]["ms_per_frame"] / found["before"]["ms_per_frame"], 2),
            "of_before_beside_decoding": round(beside["now"] / beside["before"], 2),
            "stages_ms": stages(clips[1]),
        }
    out.write_text(json.dumps(result, indent=2) + "\n")
    typer.echo(json.dumps(result, indent=2))


if __name__ == "__main__":
    typer.run(main)
