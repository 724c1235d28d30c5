"""``mien live`` from end to end, with a recording for a camera."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mien.app.live import live
from mien.errors import MienError
from tests.made import video as made_video

COLUMNS, ROWS = 90, 30


def environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k != "DISPLAY"} | {"TERM": "xterm-256color"}


def mien(*words: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mien", "live", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Two seconds without a face."""
    return made_video(tmp_path / "clip.mp4", frames=20, fps=10)


def test_into_a_pipe_come_json_lines_at_the_clips_own_speed(clip: Path) -> None:
    began = time.monotonic()
    done = mien(clip)
    assert time.monotonic() - began > 1.9
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert found
    assert {record["status"] for record in found} == {"no_face"}
    frames = [record["frame"] for record in found]
    assert frames == sorted(set(frames))
    assert [record["time_s"] for record in found] == pytest.approx([i / 10 for i in frames])
    assert f"{len(found)} frames read in" in done.stderr
    assert "p95" in done.stderr


def test_a_recording_is_kept_and_none_replaced(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.csv"
    done = mien(clip, "--record", out)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert len(out.read_text().splitlines()) > 1
    meta = json.loads((tmp_path / "r.csv.meta.json").read_text())
    assert meta["complete"] is True
    before = out.read_bytes()
    again = mien(clip, "--record", out)
    assert again.returncode == 1
    assert "is there already" in again.stderr
    assert out.read_bytes() == before
    # A source that gives nothing replaces nothing either.
    nothing = mien("987", "--record", out, "--overwrite")
    assert nothing.returncode == 2
    assert "no camera 987" in nothing.stderr
    assert out.read_bytes() == before


def test_a_full_disk_fails_in_the_end(clip: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    done = mien(clip, "--record", "/dev/full")
    assert done.returncode == 1
    assert "the recording has ended: cannot write /dev/full: No space left" in done.stderr
    assert "frames read" in done.stderr  # it went on
    assert "Traceback" not in done.stderr


def test_misuse_is_told_in_a_line() -> None:
    done = mien("987")
    assert done.returncode == 2
    assert done.stderr.startswith("mien: no camera 987")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"source": "/dev/no-such-camera"}, "no /dev/no-such-camera"),
        ({"source": "no-such.mp4"}, "no such file: no-such.mp4"),
        ({"view": "hologram"}, "no view called 'hologram'"),
        ({"view": "terminal"}, "needs a terminal"),
        ({"view": "window"}, "--view terminal"),
        ({"rules": Path("none.toml")}, "none.toml"),
        ({"model": "none"}, "none"),
        ({"model": "mini-xception", "person": "anna"}, "leave --model out"),
        ({"person": "nobody"}, "nobody"),
    ],
)
def test_misuse_says_what_to_do(
    options: dict[str, Any], said: str, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if options.get("view") == "window" and sys.platform in ("darwin", "win32"):
        pytest.skip("there is always a screen")
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(MienError, match=said):
        live(**({"source": str(clip), "record": "-"} | options))


def test_a_file_cut_off_is_played_to_its_end_and_told(tmp_path: Path) -> None:
    path = made_video(tmp_path / "clip.mkv", frames=30, fps=15)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    done = mien(path)
    assert done.returncode == 1
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["status"] == "error"
    assert last["reason"] in done.stderr


def test_on_a_terminal_it_is_seen_and_takes_keys(clip: Path, tmp_path: Path) -> None:
    import fcntl
    import struct
    import termios

    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    long = made_video(tmp_path / "long.mp4", frames=1800, fps=10)  # giving up takes half a minute
    rules = tmp_path / "rules.toml"
    rules.write_text(
        '[[rule]]\nname = "glad"\nwhen = "happiness"\nabove = 0.6\nto = ["overlay"]\n'
        '[[rule]]\nname = "gone"\nwhen = "no_face"\nto = ["nobody"]\nrepeat_s = 60\n'
        '[output.nobody]\nkind = "program"\ncommand = ["false"]\n'
    )
    running = subprocess.Popen(
        [sys.executable, "-m", "mien", "live", str(long), "--rules", str(rules)],
        stdin=there,
        stdout=there,
        stderr=subprocess.PIPE,
        env=environment() | {"MIEN_HOME": str(tmp_path / "home")},  # its alarm stays open
        cwd=tmp_path,
    )
    seen = _until(here, b"no face")
    seen += _until(here, b"UNDELIVERED")
    for key, answer in ((b"s", b"figures saved"), (b"p", b"paused")):
        os.write(here, key)
        seen += _until(here, answer)
    assert b"acknowledge" in seen
    os.write(here, b"q")
    _, told = running.communicate(timeout=30)
    assert running.returncode == 0, told
    assert b"until shown" in told
    # The page has gone, and what it said with it: nothing that calls may end unnoticed.
    assert b"UNDELIVERED to nobody" in told
    assert b"nobody has acknowledged: gone" in told
    assert len(list(tmp_path.glob("mien-live-*.json"))) == 1
    os.close(there)
    os.close(here)


def test_ctrl_z_gives_the_terminal_back_and_fg_goes_on(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    if not bash or sys.platform != "linux":
        pytest.skip("no bash, whose jobs these are, or no /proc, which tells their numbers")
    here, there = pty.openpty()
    long = made_video(tmp_path / "long.mp4", frames=600, fps=10)
    shell = subprocess.Popen(
        [bash, "--norc", "--noprofile", "-i"],
        stdin=there,
        stdout=there,
        stderr=there,
        env=environment(),
        preexec_fn=lambda: _take_terminal(there),
    )
    os.write(here, f"{sys.executable} -m mien live {long}\n".encode())
    _until(here, b"no face")
    os.write(here, b"\x1a")
    seen = _until(here, b"Stopped")
    assert b"\x1b[?1049l" in seen  # the page has gone before the shell's words
    os.write(here, b"echo still $((40 + 2))\n")
    _until(here, b"still 42")
    # In the background it has nothing to show, and stops again.
    os.write(here, b"kill -CONT %1; sleep 1; jobs\n")
    _until(here, b"Stopped")
    os.write(here, b"fg\n")
    _until(here, b"\x1b[?1049h")
    _until(here, b"no face")
    # Stopped from outside, it can give nothing back, but has its keys again afterwards.
    (child,) = Path(f"/proc/{shell.pid}/task/{shell.pid}/children").read_text().split()
    os.kill(int(child), signal.SIGSTOP)
    _until(here, b"Stopped")
    os.write(here, b"fg\n")
    _until(here, b"no face")
    os.write(here, b"q")
    _until(here, b"until shown")
    os.write(here, b"exit\n")
    assert shell.wait(30) == 0
    os.close(there)
    os.close(here)


def _take_terminal(terminal: int) -> None:
    """Make it a new session's own, as a shell's is."""
    import fcntl
    import termios

    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)


def _until(terminal: int, said: bytes, patience_s: float = 30.0) -> bytes:
    """What comes to a terminal until this comes, or nothing comes for so long."""
    seen = b""
    while said not in seen and select.select([terminal], [], [], patience_s)[0]:
        seen += os.read(terminal, 65536)
    assert said in seen, seen[-2000:]
    return seen
