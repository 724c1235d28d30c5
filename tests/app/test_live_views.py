"""What is on the terminal and in the window, live, and what keys do there."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from mien.analysis.live import Live, Reading
from mien.analysis.pipeline import Analyzer
from mien.app import keys
from mien.app.live_terminal import History, page
from mien.face import Emotions, Frame, Intensity, Quality, RecognizedFace
from mien.labels import label_set
from mien.media.capture import SYSTEM, Clock, Control
from mien.media.video import Hole
from mien.testing import FakeDetector, FakeRecognizer

LABELS = label_set("mien8")


class Source:
    def __init__(self, name: str = "camera 0") -> None:
        self.name = name

    def frames(self, clock: Clock, control: Control) -> Iterator[Frame | Hole]:
        yield from ()


def watching(name: str = "camera 0") -> Live:
    analyzer = Analyzer(recognizer=FakeRecognizer(), detector=FakeDetector())
    return Live(analyzer, Source(name))


def face(track: int, intensity: bool = True) -> RecognizedFace:
    probs = np.full(8, 0.02, np.float32)
    probs[1] = 0.86
    return RecognizedFace(
        np.array([0, 0, 9, 9], np.float32),
        1.0,
        emotions=Emotions(LABELS, probs),
        quality=Quality(9, 9, 0.5, 0.5, 1.0),
        picture_quality=0.83,
        uncertain=False,
        track=track,
        intensity=Intensity(LABELS, np.linspace(0, 0.7, 8, dtype=np.float32))
        if intensity
        else None,
    )


def reading(*faces: RecognizedFace, taken_s: float = 0.0) -> Reading:
    frame = Frame(np.zeros((48, 64, 3), np.uint8), 5, 2.5, "camera 0")
    return Reading(frame, list(faces), taken_s, taken_s)


def shown(live: Live, seen: Reading | None, width: int = 80, height: int = 24) -> list[str]:
    """The rows of a terminal of that size."""
    history = History()
    if seen:
        history.note(seen)
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True)
    with console.capture() as kept:
        console.print(page(live, seen, history, width, height), end="")
    plain = Console(file=io.StringIO(), width=width, color_system=None)
    with plain.capture() as bare:
        plain.print(page(live, seen, history, width, height), end="")
    assert kept.get()
    return bare.get().split("\n")


def test_a_face_has_all_its_numbers() -> None:
    rows = shown(watching(), reading(face(3)))
    text = "\n".join(rows)
    assert "face 3  happiness 86%  intensity 0.10  picture quality 0.83" in text
    for label in LABELS.labels:
        assert label in text
    assert "0.70" in text
    assert "64 x 48" in text
    assert "probability" in text
    assert rows[-1].split() == ["p", "pause", "s", "save", "figures", "q", "quit"]


def test_a_model_without_intensities_shows_none() -> None:
    text = "\n".join(shown(watching(), reading(face(1, intensity=False))))
    assert "happiness 86%" in text
    assert "intensity" not in text


@pytest.mark.parametrize("faces", [0, 1, 2, 5, 40])
@pytest.mark.parametrize("size", [(40, 8), (80, 24), (79, 23), (100, 40), (300, 90)])
def test_it_fits_any_terminal(faces: int, size: tuple[int, int]) -> None:
    live = watching()
    live.messages = lambda: ("ALARM: pain of face 1, for longer than anybody should wait for it",)
    live.say("a notice that is rather long, longer than the smallest of these terminals is wide")
    rows = shown(live, reading(*(face(i + 1) for i in range(faces))), *size)
    assert len(rows) == size[1]
    assert max(map(len, rows)) <= size[0]
    text = "\n".join(rows)
    assert "ALARM" in text
    assert "a notice" in text
    if faces == 40 and size == (80, 24):
        assert "and 23 more" in text
    if faces == 0:
        assert "no face" in text


@pytest.mark.parametrize("size", [(39, 24), (80, 7), (10, 2), (1, 1)])
def test_a_terminal_that_is_too_small_is_told(size: tuple[int, int]) -> None:
    text = " ".join(shown(watching(), reading(face(1)), *size))
    if size[0] > 20:
        assert "terminal too small" in text
        assert "40 x 8" in text


def test_states_are_told() -> None:
    live = watching()
    assert "waiting for the first picture" in "\n".join(shown(live, None))
    live.pause()
    text = "\n".join(shown(live, reading()))
    assert "● paused" in text
    assert "go on" in text
    live.pause()
    assert "● reading" in shown(live, reading())[0]
    live._seen_s = SYSTEM.now() - 12.2
    live._trouble = "camera 0 gives no picture"
    rows = shown(live, reading())
    assert "no picture for 12 s" in rows[0]
    assert "camera 0 gives no picture" in rows[-2]


def test_a_name_cannot_steer_the_terminal() -> None:
    text = "\n".join(shown(watching("a\x1b[2Jb\x07.mp4"), reading()))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert ".mp4" in text


def test_the_strip_shows_each_second_in_its_place() -> None:
    history, seen = History(), reading(face(1))
    for second in (0, 1, 2, 5):
        history.note(replace(seen, taken_s=float(second)))
    assert history.strip(face(1), 8).plain == "  ▄▄▄  ▄"
    assert history.strip(face(2), 8).plain == " " * 8
    for second in range(500):
        history.note(replace(reading(face(second)), taken_s=float(second)))
    assert len(history._cells) < 130


# -- keys ---------------------------------------------------------------------------------------


def test_keys_come_at_once_and_unechoed(monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = pty.openpty()
    with os.fdopen(there, "r") as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        with keys.pressed() as pressed:
            assert pressed() == ""
            os.write(here, b"p")
            assert _soon(pressed) == "p"
            os.write(here, b"\x1b[A")  # an arrow
            time.sleep(0.05)
            assert pressed() == ""
        import termios

        assert termios.tcgetattr(there)[3] & termios.ICANON
    os.close(here)


def _soon(pressed: keys.Pressed) -> str:
    deadline = time.monotonic() + 2
    while not (text := pressed()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return text


def test_without_a_terminal_there_are_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("q"))
    with keys.pressed() as pressed:
        assert pressed() == ""


# -- the window ---------------------------------------------------------------------------------


def test_without_tkinter_a_window_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Debian, whose Python comes without it."""
    from mien.app import live_window
    from mien.errors import OutputError

    monkeypatch.setitem(sys.modules, "tkinter", None)
    with pytest.raises(OutputError, match="apt install python3-tk"):
        live_window.Window()


def test_without_a_screen_a_window_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform in ("darwin", "win32"):
        pytest.skip("there is always a screen")
    from mien.app import live_window
    from mien.errors import OutputError

    monkeypatch.delenv("DISPLAY", raising=False)
    assert not live_window.is_possible()
    with pytest.raises(OutputError, match="--view terminal"):
        live_window.Window()


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A screen in memory, where Xvfb is installed."""
    import shutil

    pytest.importorskip("tkinter")
    if not shutil.which("Xvfb"):
        pytest.skip("no Xvfb")
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "800x600x24"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as told:
        monkeypatch.setenv("DISPLAY", f":{told.readline().strip()}")
    yield
    server.terminate()
    server.wait(10)


@pytest.mark.usefixtures("screen")
def test_a_window_shows_what_is_read_and_takes_keys() -> None:
    from mien.app.live_window import Window

    class Pictures(Source):
        def frames(self, clock: Clock, control: Control) -> Iterator[Frame | Hole]:
            for i in range(300):
                if clock.wait(control.stop, 0.02):
                    return
                yield Frame(np.full((240, 320, 3), i % 250, np.uint8), i, i / 50, self.name)

    detector = FakeDetector((60, 60, 160, 180))
    live = Live(Analyzer(recognizer=FakeRecognizer(), detector=detector), Pictures())
    window = Window()
    window._root.focus_force()  # nobody manages windows here
    widths: list[int] = []

    def messages() -> tuple[str, ...]:
        if window._shown:
            widths.append(window._shown.width())
        if len(widths) == 5:
            window._root.event_generate("<Key>", keysym="p")
            window._root.event_generate("<Key>", keysym="p")
        if len(widths) > 10:
            window._root.event_generate("<Escape>")
        return ("ALARM",) if len(widths) > 6 else ()

    live.messages = messages
    with live:
        window.run(live)
    assert 3 <= live.shown.count < 200  # Escape has ended it
    assert 300 < max(widths) <= 330
