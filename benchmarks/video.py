"""Recordings from end to end: every frame recorded, the same memory and time all the way, speed.

    python benchmarks/video.py ../shared/data/media --out benchmarks/results/video.json

Clips of 720p are made from the real ones with FFmpeg; one, three and five faces are the real faces
side by side and above each other. Every measure is of one process on the cores it may use. Beside
the time that passed stands the time of the processor, of all threads together: it is what counts
where other work goes on beside this.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mien import provenance
from mien.analysis.batch import Reached, Recording, analyze_files
from mien.analysis.bench import peak_memory_mib
from mien.analysis.pipeline import Analyzer, Settings
from mien.analysis.recording import Options
from mien.face import Frame
from mien.media.video import Video

CLIPS = ("single_face.mp4", "WolfgangLanger_Pexels.mp4", "no_face.mp4")
Times = npt.NDArray[np.float64]
_PLACES = {  # where so many faces go in 1280 x 720: width, height, x, y of each
    1: [(1280, 720, 0, 0)],
    3: [(640, 360, 0, 0), (640, 360, 640, 0), (640, 360, 320, 360)],
    5: [(424, 240, x, y) for x, y in ((0, 0), (428, 0), (856, 0), (214, 360), (642, 360))],
}


def made(clips: list[Path], faces: int, seconds: float, out: Path) -> Path:
    """A recording of 720p at 30 frames a second with so many faces in it, repeated as needed.

    Compressed as FFmpeg does where nobody says how.
    """
    inputs, parts = [], ["color=black:s=1280x720:r=30[b]"]
    last = "b"
    for i, (width, height, x, y) in enumerate(_PLACES[faces]):
        inputs += ["-stream_loop", "-1", "-i", str(clips[i % len(clips)])]
        parts.append(f"[{i}:v]fps=30,scale={width}:{height},setpts=N/30/TB[v{i}]")
        parts.append(f"[{last}][v{i}]overlay={x}:{y}[o{i}]")
        last = f"o{i}"
    words = ["ffmpeg", "-v", "error", "-y", *inputs, "-filter_complex", ";".join(parts)]
    words += ["-map", f"[{last}]", "-t", str(seconds), "-c:v", "libx264", "-pix_fmt", "yuv420p"]
    subprocess.run([*words, str(out)], check=True)
    return out


def repeated(path: Path, times: int, out: Path) -> Path:
    """The same recording so many times on end, its packets copied."""
    words = ["ffmpeg", "-v", "error", "-y", "-stream_loop", str(times - 1), "-i", str(path)]
    subprocess.run([*words, "-c", "copy", str(out)], check=True)
    return out


def decoding_ms(path: Path) -> Times:
    """Plain decoding of every frame to RGB, milliseconds a frame."""
    started, count = now(), 0
    with Video(path) as source:
        for frame in source.frames():
            assert isinstance(frame, Frame)
            count += 1
    return (now() - started) / count * 1e3


def now() -> Times:
    """Seconds: that passed, and of the processor."""
    return np.array([time.perf_counter(), time.process_time()])


def resident_mib() -> float:
    """What this process has in memory now; Linux says."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def both(times: Times) -> dict[str, float]:
    """Time that passed, and of the processor."""
    passed, processor = (round(float(t), 3) for t in times)
    return {"passed": passed, "processor": processor}


def analysed(path: Path, analyzer: Analyzer) -> dict[str, Any]:
    """Records, speed, and how both it and memory go from the beginning to the end."""
    marks, statuses = [now()], []
    resident: list[float] = []
    with tempfile.TemporaryFile("w") as out:
        for record in analyze_files([Recording(path, Options())], analyzer, reached=Reached()):
            out.write(json.dumps(record) + "\n")
            statuses.append(record["status"])
            marks.append(now())
            if len(marks) % 50 == 0:
                resident.append(resident_mib())
    took = np.diff(marks, axis=0) * 1e3
    fifth = len(took) // 5
    early = max(resident[: max(1, len(resident) // 10)])
    return {
        "frames": len(took),
        "statuses": {s: statuses.count(s) for s in sorted(set(statuses))},
        "ms_per_frame": both(took.mean(axis=0)),
        "ms_first_fifth": both(took[fifth // 4 : fifth].mean(axis=0)),
        "ms_last_fifth": both(took[-fifth:].mean(axis=0)),
        "mib_first_tenth": round(early, 1),
        "mib_peak": round(max(resident), 1),
    }


def killed(path: Path, times: int) -> dict[str, Any]:
    """Whether runs that are killed at random moments and resumed end with the same bytes."""
    same = kills = 0
    chance = random.Random(7)
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole.jsonl"
        subprocess.run(_words(path, whole), check=True, stderr=subprocess.DEVNULL)
        started = time.perf_counter()
        subprocess.run(
            _words(path, Path(folder) / "timed.jsonl"), check=True, stderr=subprocess.DEVNULL
        )
        lasts = time.perf_counter() - started
        while kills < times:
            out = Path(folder) / "killed.jsonl"
            with subprocess.Popen(_words(path, out), stderr=subprocess.DEVNULL) as run:
                time.sleep(chance.uniform(0.2, 0.95) * lasts)
                cut_off = run.poll() is None
                run.send_signal(signal.SIGKILL)
            subprocess.run(_words(path, out), check=True, stderr=subprocess.DEVNULL)
            if cut_off:  # some have come to their end before
                kills += 1
                same += out.read_bytes() == whole.read_bytes()
            for left in Path(folder).glob("killed.jsonl*"):
                left.unlink()
    return {"runs": times, "identical": same}


def _words(path: Path, out: Path) -> list[str]:
    """A mark every tenth of a second, for clips are short."""
    code = (
        "import sys; from mien.analysis import resume; from mien.app import verbs;"
        "resume._EVERY_S = 0.1;"
        f"sys.argv = ['mien', 'analyze', {str(path)!r}, '-o', {str(out)!r}, '--resume'];"
        "verbs.main()"
    )
    return [sys.executable, "-c", code]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("media", type=Path)
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=20.0, help="of the clips of 1, 3, 5 faces")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    analyzer = Analyzer(Settings(detector="mien"))
    people = [args.media / name for name in CLIPS[:2]]
    result: dict[str, Any] = {
        **provenance.environment(),
        "cores": len(os.sched_getaffinity(0)),
        "clips": {},
        "faces": {},
    }
    for name in CLIPS:
        found = analysed(args.media / name, analyzer)
        with Video(args.media / name) as source:
            found["decodable"] = sum(isinstance(f, Frame) for f in source.frames())
        result["clips"][name] = found
    with tempfile.TemporaryDirectory() as folder:
        for faces in _PLACES:
            path = made(people, faces, args.seconds, Path(folder) / f"{faces}.mp4")
            before = decoding_ms(path)
            found = analysed(path, analyzer)
            plain = (before + decoding_ms(path)) / 2
            whole = np.array([*found["ms_per_frame"].values()])
            result["faces"][faces] = found | {
                "decoding_ms": both(plain),
                "beside_decoding_ms": both(whole - plain),
                "ratio_to_decoding": both(plain / whole),
            }
            print(faces, result["faces"][faces], file=sys.stderr)
        minute = made(people, 1, 60.0, Path(folder) / "minute.mp4")
        path = repeated(minute, args.minutes, Path(folder) / "long.mp4")
        result["long"] = {"minutes": args.minutes, **analysed(path, analyzer)}
        print(result["long"], file=sys.stderr)
    result["peak_memory_mib"] = peak_memory_mib()
    result["kill_and_resume"] = killed(args.media / CLIPS[0], args.kills)
    args.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
