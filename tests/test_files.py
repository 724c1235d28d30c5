"""Files that are whole or not there, that one run writes, and that stay where they belong."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.analysis import batch
from mien.errors import ConfigError, OutputError
from mien.files import claim, held, replacing, write
from mien.papers.plans import Experiment
from mien.person import people
from mien.results import summary
from mien.results.summary import Recording
from mien.weights import catalogue
from tests.app.running import MIEN
from tests.made import picture, video


class _Full(io.BytesIO):
    """A disk that is full behind the first bytes."""

    def write(self, content: Any) -> int:
        raise OSError(28, "No space left on device")


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file that is opened to be written takes nothing."""
    real = Path.open

    def opened(path: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        stream = real(path, mode, *args, **kwargs)
        if "w" in mode or "x" in mode:
            stream.write(b"\x89" if "b" in mode else "h")
            stream.close()
            return _Full()
        return stream

    monkeypatch.setattr(Path, "open", opened)


def test_half_a_file_never_has_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write(path, b"old")

    def cut_off() -> None:
        with replacing(path) as stream:
            stream.write(b"ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut_off()
    assert path.read_bytes() == b"old"
    write(path, b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    assert path.read_bytes() == b"new"


def test_half_a_file_of_a_kill_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    (tmp_path / "a.json.part").write_bytes(b"ha")
    write(path, b"whole")
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_link_stays_one_and_a_device_is_written_as_it_is(tmp_path: Path) -> None:
    real = tmp_path / "real.json"
    real.write_bytes(b"old")
    real.chmod(0o640)
    (tmp_path / "link.json").symlink_to(real)
    write(tmp_path / "link.json", b"new")
    assert (tmp_path / "link.json").is_symlink()
    assert (real.read_bytes(), real.stat().st_mode & 0o777) == (b"new", 0o640)
    write(Path("/dev/null"), b"nothing")


def test_full_disk_leaves_no_half_annotated_copy(tmp_path: Path, full_disk: None) -> None:
    with pytest.raises(OutputError, match="No space left"):
        batch.save(np.zeros((64, 64, 3), np.uint8), tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("left", [b"", b"\x89PNG"])
def test_half_an_annotated_copy_of_before_is_no_obstacle(left: bytes, tmp_path: Path) -> None:
    """An empty file is nobody's; anything else is refused as ever."""
    made = picture(tmp_path / "in" / "a.png")
    copy = tmp_path / "out" / "a.png"
    copy.parent.mkdir()
    copy.write_bytes(left)
    if left:
        with pytest.raises(OutputError, match="no annotated copy of mien's"):
            batch.plan([made], copy.parent)
    else:
        assert batch.plan([made], copy.parent)[0].annotated == copy


def test_full_disk_leaves_no_half_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_HOME", str(tmp_path / "home"))
    person = people.get_or_make("Ann", "Ann herself")
    out = tmp_path / "ann.zip"

    def failing(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(zipfile.ZipFile, "write", failing)
        with pytest.raises(OutputError, match="No space left"):
            people.export(person, out)
    assert not out.exists()
    assert people.export(person, out) == out
    assert zipfile.ZipFile(out).testzip() is None


def test_full_disk_leaves_no_half_summary(tmp_path: Path, full_disk: None) -> None:
    with pytest.raises(OutputError, match="No space left"):
        summary.write([Recording("a.mp4", ("neutral",))], tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../../x", "a/b", "/x", "..", "", "a\\b", "C:x"])
def test_a_run_s_name_does_not_lead_elsewhere(name: str) -> None:
    with pytest.raises(ConfigError, match="names a file or folder"):
        Experiment(name, "what", "data")
    with pytest.raises(ConfigError, match="names a file or folder"):
        Experiment("run", "what", "data", elsewhere=(name,))


@pytest.mark.parametrize("given", ["", "relative/folder"])
@pytest.mark.parametrize("variable", ["XDG_DATA_HOME", "MIEN_HOME"])
def test_an_empty_variable_is_not_the_current_folder(
    variable: str, given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MIEN_HOME", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv(variable, given)
    if variable == "MIEN_HOME" and given:
        assert catalogue.home() == Path(given)  # said so, by name
    else:
        assert catalogue.home().is_relative_to(Path.home())


def test_locked_folder_is_one_run_s(tmp_path: Path) -> None:
    with held(tmp_path / "run", "a training"):
        with (
            pytest.raises(OutputError, match=r"a training goes on in .*run already"),
            held(tmp_path / "run", "a training"),
        ):
            pass
        assert list((tmp_path / "run").iterdir()) == []
    with held(tmp_path / "run", "a training"):
        pass


def test_locked_file_is_one_run_s(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with path.open("wb") as first, path.open("r+b") as second:
        claim(first, path)
        with pytest.raises(OutputError, match="another run writes"):
            claim(second, path)


def test_locked_output_of_two_runs(tmp_path: Path) -> None:
    """The second is refused, and nothing of the first is lost; the lock ends with its process."""
    clip, out = video(tmp_path / "a.mp4", 2400), tmp_path / "o.jsonl"
    words = [*MIEN, "analyze", str(clip), "--out", str(out)]
    with subprocess.Popen(words, stderr=subprocess.PIPE) as first:
        ends = time.monotonic() + 60
        while not (out.exists() and out.stat().st_size) and time.monotonic() < ends:
            time.sleep(0.02)
        first.send_signal(signal.SIGSTOP)  # or it may be done before the second has begun
        for more in ("--overwrite", "--resume"):
            second = subprocess.run([*words, more], capture_output=True, text=True, timeout=60)
            assert second.returncode == 1, second.stderr
            assert "another run writes" in second.stderr
        first.send_signal(signal.SIGCONT)
        assert first.wait(120) == 0
    assert out.read_bytes().count(b"\n") == 2400
    assert not [p for p in tmp_path.iterdir() if "lock" in p.name]
    again = subprocess.run([*words, "--overwrite"], capture_output=True, timeout=120)
    assert again.returncode == 0


def test_locked_output_of_a_killed_run_is_free(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    code = (
        "import os, sys, pathlib; from mien.files import claim; p = pathlib.Path(sys.argv[1]);"
        "s = p.open('wb'); claim(s, p); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], env=os.environ, timeout=60)
    with path.open("r+b") as stream:
        claim(stream, path)
