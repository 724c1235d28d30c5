"""A person from the first session to the live view, as a carer does it at a terminal.

The camera is a recording: of a smile, and of the same face with its mouth darkened.
"""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mien.face import ImageArray
from mien.media.image import read_file
from mien.person.session import SECONDS

FPS = 6
SHOWN = round(SECONDS * FPS) + 2  # frames a stimulus takes: one to see who is there, one too many
PATIENCE_S = 40.0


def film(path: Path, pictures: list[ImageArray], each: int, fps: int) -> Path:
    """Each picture so many frames long."""
    import av

    height, width = pictures[0].shape[:2]
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("mpeg4", rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.bit_rate = 4_000_000
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            for _ in range(each):
                frame.pts = None
                out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


@pytest.fixture
def place(tmp_path: Path, astronaut: ImageArray) -> Path:
    """Where she sits: stimuli, and recordings for cameras."""
    smile = np.ascontiguousarray(astronaut[20:260, 90:410])
    pain = smile.copy()
    pain[120:170, 90:180] //= 3
    film(tmp_path / "session.mp4", [smile, pain] * 2, SHOWN, FPS)
    film(tmp_path / "live.mp4", [smile, pain], 20, 10)
    film(tmp_path / "cut.mp4", [smile], SHOWN + 12, FPS)
    film(tmp_path / "nobody.mp4", [np.zeros_like(smile)], 20 * FPS, FPS)
    for n, emotion in enumerate(("joy", "pain")):
        for i in range(2):
            file = tmp_path / "stimuli" / emotion / f"{i}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((40, 60, 3), 100 * n + i, np.uint8)).save(file)
    return tmp_path


def environment(place: Path) -> dict[str, str]:
    hidden = ("DISPLAY", "WAYLAND_DISPLAY")
    kept = {k: v for k, v in os.environ.items() if k not in hidden}
    return kept | {"MIEN_HOME": str(place / "home"), "TERM": "xterm-256color"}


def mien(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mien", *words],
        cwd=place,
        env=environment(place),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


class Terminal:
    """A mien at a terminal, and who sits there."""

    def __init__(self, place: Path, *words: str) -> None:
        self._here, there = pty.openpty()
        self._running = subprocess.Popen(
            [sys.executable, "-m", "mien", *words],
            cwd=place,
            env=environment(place),
            stdin=there,
            stdout=there,
            stderr=there,
        )
        os.close(there)
        self.seen, self._at = "", 0

    def until(self, words: str) -> None:
        while words not in self.seen[self._at :]:
            ready = select.select([self._here], [], [], PATIENCE_S)[0]
            try:
                came = os.read(self._here, 65536) if ready else b""
            except OSError:  # it has ended
                came = b""
            if not came:
                self._running.kill()
                self._running.wait()
            assert came, f"'{words}' never came: {self.seen[-1000:]}"
            self.seen += came.decode(errors="replace")
        self._at = self.seen.index(words, self._at) + len(words)

    def type(self, line: str) -> None:
        os.write(self._here, f"{line}\n".encode())

    def ends(self) -> int:
        while True:
            try:
                came = os.read(self._here, 65536)
            except OSError:
                came = b""
            if not came:
                break
            self.seen += came.decode(errors="replace")
        os.close(self._here)
        return self._running.wait(PATIENCE_S)


WANTED = ("--emotion", "joy", "--emotion", "pain")


def test_from_the_first_session_to_the_live_view(place: Path) -> None:
    carer = Terminal(
        place, "person", "record", "Ann", "stimuli", "--camera", "session.mp4", *WANTED
    )
    carer.until("Who agrees to that")
    carer.type("B. Smith, her daughter")
    carer.until("contact sheet: ")
    carer.until("> ")
    carer.type("drop 1-2")
    carer.until("dropped 2")
    carer.type("what?")
    carer.until("write 'drop 3 7-9'")
    carer.type("")
    assert carer.ends() == 0, carer.seen
    assert carer.seen.count("▀") > 1000, "stimuli are shown in the terminal"
    assert "happiness: 34" in carer.seen
    assert "pain: 36" in carer.seen
    (folder,) = (place / "home" / "people").iterdir()
    sheet = read_file(folder / "sheet.png")
    assert sheet.shape[1] > 800
    assert not list(place.rglob("*.part"))

    trained = mien(place, "person", "train", "Ann")
    assert trained.returncode == 0, trained.stderr
    assert "happiness 34, pain 36; 4 stimuli" in trained.stderr
    tested = mien(place, "person", "test", "Ann", "--out", "test.json")
    assert tested.returncode == 0, tested.stderr
    found = json.loads((place / "test.json").read_text())
    assert found["results"]["personal"]["accuracy"] > 0.95
    assert found["results"]["general"]["recall"]["pain"] == 0.0

    rule = '[[rule]]\nname = "hurts"\nwhen = "pain"\nabove = 0.6\nhold_s = 0.5\nto = ["text"]\n'
    (place / "rules.toml").write_text(rule)
    live = mien(place, "live", "live.mp4", "--person", "Ann", "--rules", "rules.toml")
    assert live.returncode == 0, live.stderr
    records = [json.loads(line) for line in live.stdout.splitlines()]
    tops = [(record["time_s"], record["faces"][0]["top"]) for record in records if record["faces"]]
    assert {top for at, top in tops if at < 1.7} == {"happiness"}
    assert {top for at, top in tops if at > 2.3} == {"pain"}
    assert "hurts: pain above 0.6 for 0.5 s" in live.stderr

    (place / "rules.toml").write_text(rule + 'measure = "intensity"\n')
    refused = mien(place, "live", "live.mp4", "--person", "Ann", "--rules", "rules.toml")
    assert refused.returncode == 2
    assert "waits for an intensity" in refused.stderr
    assert refused.stdout == ""
    again = mien(place, "person", "record", "Ann", "stimuli", *WANTED)
    assert again.returncode == 2
    assert "saw everything in stimuli" in again.stderr
    assert mien(place, "person", "delete", "Ann", "--yes").returncode == 0
    assert list((place / "home" / "people").iterdir()) == []


def test_a_camera_that_goes_and_a_chair_that_is_empty(place: Path) -> None:
    words = ("person", "record", "Ann", "stimuli", *WANTED, "--consent", "me")
    cut = mien(place, *words, "--camera", "cut.mp4")
    assert cut.returncode == 1
    assert "the camera gives no more pictures; what came before that is kept: " in cut.stderr
    (folder,) = (place / "home" / "people").iterdir()
    kept = len(list((folder / "samples").glob("*.png")))
    assert kept > 18
    nobody = mien(place, *words, "--camera", "nobody.mp4")
    assert nobody.returncode == 1
    assert "no face before the camera for 15 s" in nobody.stderr
    assert len(json.loads((folder / "person.json").read_text())["seen"]) == 2, "two were shown"
    assert len(list((folder / "samples").glob("*.png"))) == kept
