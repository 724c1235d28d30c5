"""``mien serve`` at a terminal: keys, what it refuses to do, and the demonstration."""

from __future__ import annotations

import re
import shlex
import shutil
import socket
import subprocess
import webbrowser
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from mien.app import verbs
from mien.face import ImageArray
from mien.service import server
from mien.service.settings import ServiceSettings

from .running import run


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_HOME", str(tmp_path / "home"))


def test_a_key_s_life() -> None:
    assert "no keys yet" in run("serve", "keys", "list").err
    made = run("serve", "keys", "add", "clinic", "--a-minute", "30")
    assert made.status == 0
    assert made.out.startswith("mien_")
    assert "shown this once" in made.err
    listed = run("serve", "keys", "list").out
    assert "clinic" in listed
    assert "30" in listed
    assert made.out.strip() not in listed
    again = run("serve", "keys", "add", "clinic")
    assert (again.status, again.out) == (2, "")
    assert "mien serve keys revoke 'clinic'" in again.err
    assert "is revoked" in run("serve", "keys", "revoke", "clinic").err
    gone = run("serve", "keys", "revoke", "clinic")
    assert gone.status == 2
    assert "no key called 'clinic'" in gone.err


@pytest.mark.parametrize("words", [("--host", "0.0.0.0"), ("--allow-host", "faces.example")])
def test_others_are_let_in_with_a_key_only(words: tuple[str, ...]) -> None:
    done = run("serve", "--port", "0", *words)
    assert done.status == 2
    assert " ".join(words) in done.err
    assert "make one first: mien serve keys add NAME" in done.err


def test_the_demonstration(tmp_path: Path, astronaut: ImageArray) -> None:
    photo = tmp_path / "photo.jpg"
    Image.fromarray(astronaut).save(photo)
    done = run("serve", "--demo", photo)
    assert done.status == 0, done.err
    assert "  happiness " in done.out
    assert f"curl -F files=@{photo}" in done.out
    if shutil.which("curl") is None:
        pytest.skip("no curl to try what it says")
    with server.running(ServiceSettings(port=0, home=tmp_path)) as at:
        for line in re.findall("^  curl (.*)$", done.out, re.MULTILINE):
            words = shlex.split(line.replace("http://127.0.0.1:8000", at))
            subprocess.run(["curl", "-sSf", *words], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "why.png").read_bytes().startswith(b"\x89PNG")


def test_the_demonstration_where_there_are_keys_and_a_certificate(
    tmp_path: Path, astronaut: ImageArray
) -> None:
    photo = tmp_path / "Ann's photo.jpg"
    Image.fromarray(astronaut).save(photo)
    certificate = tmp_path / "cert.pem"
    certificate.write_text("")  # nobody is to trust it for this
    run("serve", "keys", "add", "clinic")
    done = run("serve", "--demo", photo, "--tls-cert", certificate)
    assert done.status == 0, done.err
    assert "  happiness " in done.out
    line = next(line for line in done.out.splitlines() if "/v1/analyze" in line and "curl" in line)
    words = ["curl", "-H", "Authorization: Bearer KEY", "-F", f"files=@{photo}"]
    assert shlex.split(line)[:5] == words


def test_a_demonstration_without_a_picture(tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("dear diary")
    for name in ("notes.jpg", "gone.jpg"):
        done = run("serve", "--demo", tmp_path / name)
        assert done.status == 2
        assert name in done.err


def test_its_page_is_opened_where_there_is_a_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    asked: list[list[socket.socket]] = []

    def serve(*words: str) -> Result:
        return CliRunner().invoke(verbs.made_for([]), ["serve", "--port", "0", *words])

    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr("uvicorn.Server.run", lambda _, sockets: asked.append(sockets))
    monkeypatch.setattr("mien.service.server.log_to_stderr", lambda: None)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert serve("--open").exit_code == 0
    assert opened == []
    monkeypatch.setenv("DISPLAY", ":0")
    told = serve("--open")
    assert opened == [f"http://127.0.0.1:{asked[-1][0].getsockname()[1]}"]
    assert f"mien serves at {opened[0]}; its page is there" in told.stderr
    assert serve().exit_code == 0
    assert len(opened) == 1
    for (listener,) in asked:
        listener.close()
