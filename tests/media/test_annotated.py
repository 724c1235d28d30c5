"""Annotated copies of recordings: each frame at its time, the sound as it was, never half a one."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.analysis import batch
from mien.analysis.batch import Reached
from mien.analysis.pipeline import Analyzer
from mien.analysis.recording import Options, State
from mien.errors import ConfigError, OutputError
from mien.face import Frame
from mien.media import annotated
from mien.media.annotated import Copy
from mien.media.video import Span, Video
from mien.testing import FakeDetector, FakeRecognizer
from tests.analysis.test_recording import command
from tests.media.test_video import clip


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of 96 x 80 at 25 a second, with a tone."""
    import av

    path = tmp_path_factory.mktemp("spoken") / "spoken.mp4"
    with av.open(str(path), "w") as out:
        seen: Any = out.add_stream("libx264", rate=25)
        seen.width, seen.height, seen.pix_fmt = 96, 80, "yuv420p"
        heard: Any = out.add_stream("aac", rate=48000)
        for i in range(75):
            pixels = np.full((80, 96, 3), 60 + i, np.uint8)
            out.mux(seen.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        tone = np.sin(np.arange(3 * 48000) / 20).astype(np.float32)
        for at in range(0, len(tone), 1024):
            part = av.AudioFrame.from_ndarray(tone[None, at : at + 1024], "fltp", "mono")
            part.sample_rate, part.pts, part.time_base = 48000, at, Fraction(1, 48000)
            out.mux(heard.encode(part))
        out.mux(seen.encode(None))
        out.mux(heard.encode(None))
    return path


def copied(source: Path, out: Path, span: Span | None = None, overwrite: bool = False) -> Path:
    analyzer = Analyzer(recognizer=FakeRecognizer(), detector=FakeDetector((20, 20, 70, 70)))
    jobs = batch.plan_all([source], Options(span or Span()), out, overwrite=overwrite)
    list(batch.analyze_files(jobs, analyzer))
    (found,) = out.iterdir()
    return found


def sounds(path: Path) -> list[tuple[bytes, float]]:
    import av

    with av.open(str(path)) as file:
        stream = file.streams.audio[0]
        found = [p for p in file.demux(stream) if p.size and p.pts is not None]
        return [(bytes(p), float(p.pts * stream.time_base)) for p in found]  # type: ignore[operator]


def pictures(path: Path) -> list[Frame]:
    with Video(path) as file:
        return [frame for frame in file.frames() if isinstance(frame, Frame)]


def test_every_frame_at_its_time_and_the_sound_as_it_was(spoken: Path, tmp_path: Path) -> None:
    path = copied(spoken, tmp_path / "out")
    assert path.name == "spoken.mp4"
    before, after = pictures(spoken), pictures(path)
    assert [f.time_s for f in after] == pytest.approx([f.time_s for f in before], abs=2e-5)
    with Video(path) as file:
        assert (file.info.codec, file.info.audio) == ("h264", "aac")
    plain, taken = sounds(spoken), sounds(path)
    assert [content for content, _ in taken] == [content for content, _ in plain]
    assert [t for _, t in taken] == pytest.approx([t for _, t in plain], abs=1e-3)
    outside = np.abs(after[30].rgb[-6:, :6].astype(int) - before[30].rgb[-6:, :6]).mean()
    drawn = np.abs(after[30].rgb[20:70, 18:24].astype(int) - before[30].rgb[20:70, 18:24]).mean()
    assert outside < 4 < 15 < drawn


def test_a_part_begins_at_once_and_stays_in_step(spoken: Path, tmp_path: Path) -> None:
    path = copied(spoken, tmp_path / "out", Span(start_s=1.4, end_s=2.4))
    found = pictures(path)
    assert len(found) == 25
    assert found[0].time_s == pytest.approx(0, abs=1e-4)
    plain = dict(reversed([(content, t) for content, t in sounds(spoken)]))
    for content, time in sounds(path)[2:]:
        assert time == pytest.approx(plain[content] - 1.4, abs=2e-3)


def test_changing_rate_odd_sizes_and_sounds_that_mp4_does_not_hold(tmp_path: Path) -> None:
    times = [0, 40, 45, 300, 900, 907]
    path = copied(clip(tmp_path / "a.mkv", 6, times=times, size=(34, 18)), tmp_path / "out")
    assert [f.time_s for f in pictures(path)] == pytest.approx([t / 1000 for t in times], abs=1e-4)
    tiny = clip(tmp_path / "b.avi", 3, "rawvideo", size=(1, 1))
    assert pictures(copied(tiny, tmp_path / "tiny"))[0].rgb.shape == (16, 16, 3)
    assert annotated.suffix("pcm_s16le") == ".mkv"
    assert annotated.suffix(None) == annotated.suffix("aac") == ".mp4"


def test_a_copy_that_was_begun_goes_on(spoken: Path, tmp_path: Path) -> None:
    whole = pictures(copied(spoken, tmp_path / "whole"))
    analyzer = Analyzer(recognizer=FakeRecognizer(), detector=FakeDetector((20, 20, 70, 70)))
    jobs = batch.plan_all([spoken], Options(), tmp_path / "out")
    reached = Reached()
    begun = batch.analyze_files(jobs, analyzer, reached=reached)
    for _ in range(31):
        next(begun)
    assert reached.state
    kept = State.from_plain(reached.state.plain())
    for _ in range(9):  # made, but after the mark
        next(begun)
    begun.close()
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["spoken.mp4.part"]
    list(batch.analyze_files(jobs, analyzer, reached=Reached(0, kept)))
    (path,) = (tmp_path / "out").iterdir()
    found = pictures(path)
    assert [f.time_s for f in found] == [f.time_s for f in whole]
    for ours, expected in zip(found, whole, strict=True):
        assert np.abs(ours.rgb.astype(int) - expected.rgb).mean() < 3


def test_what_is_there_is_replaced_only_if_it_is_a_copy(spoken: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    copied(spoken, out)
    assert annotated.is_ours(out / "spoken.mp4")
    with pytest.raises(OutputError, match="of an earlier run; name another folder"):
        copied(spoken, out)  # it may be another recording of that name
    copied(spoken, out, overwrite=True)
    (out / "spoken.mp4").write_bytes(spoken.read_bytes())
    with pytest.raises(OutputError, match="no annotated copy of mien's"):
        copied(spoken, out, overwrite=True)
    assert (out / "spoken.mp4").read_bytes() == spoken.read_bytes()
    with pytest.raises(ConfigError, match="is one of the recordings to analyse"):
        copied(out / "spoken.mp4", out)


def test_nothing_is_left_of_a_copy_without_frames(spoken: Path, tmp_path: Path) -> None:
    with Video(spoken) as source, Copy(tmp_path / "a", source) as copy:
        copy.finish()
    assert not list(tmp_path.iterdir())


def test_a_disk_that_fills_ends_the_run(spoken: Path, tmp_path: Path) -> None:
    words = command(
        *("analyze", spoken, "--crops", "--annotate", tmp_path / "out", "-o", tmp_path / "a.csv"),
        limit=6_000,
    )
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "cannot write" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out" / "spoken.mp4").exists()


def test_clock_jumps_and_the_copy_has_every_frame_and_its_sound(
    spoken: Path, tmp_path: Path
) -> None:
    import av

    part = tmp_path / "one.ts"
    with av.open(str(spoken)) as file, av.open(str(part), "w") as out:
        into = {s.index: out.add_stream_from_template(s) for s in file.streams}
        for packet in file.demux():
            if packet.size:
                packet.stream = into[packet.stream.index]
                out.mux(packet)
    (tmp_path / "two.ts").write_bytes(2 * part.read_bytes())
    found = copied(tmp_path / "two.ts", tmp_path / "out")
    with Video(found) as opened:
        times = [item.time_s for item in opened.frames()]
    began = times[0]  # a little behind its sound
    assert began < 0.05
    assert times == pytest.approx([began + i / 25 for i in range(150)], abs=1e-3)
    heard = [time_s for _, time_s in sounds(found)]
    assert heard == sorted(heard)
    assert heard[-1] == pytest.approx(6.0, abs=0.1)
    assert len(heard) == pytest.approx(2 * len(sounds(spoken)), abs=4)


def test_a_size_that_changes_keeps_its_shape_in_the_copy(spoken: Path, tmp_path: Path) -> None:
    """A white frame half as wide: as high as the copy, between black bars."""
    with Video(spoken) as opened, Copy(tmp_path / "a", opened) as copy:
        copy.add(Frame(np.full((80, 96, 3), 255, np.uint8), 0, 0.0), [])
        copy.add(Frame(np.full((40, 24, 3), 255, np.uint8), 1, 0.04), [])
        copy.finish()
    first, second = pictures(copy.path)
    assert first.rgb.shape == second.rgb.shape == (80, 96, 3)
    assert first.rgb.mean() > 250
    assert second.rgb[:, 28:68].mean() > 240
    assert max(second.rgb[:, :20].mean(), second.rgb[:, 76:].mean()) < 10
