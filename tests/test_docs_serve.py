"""What docs/serve.md says is run: its lines for the shell, its Python."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from PIL import Image
from typer.testing import CliRunner

from mien.app import verbs
from mien.face import ImageArray
from mien.service import server
from mien.service.settings import ServiceSettings
from mien.weights import catalogue
from tests.made import video
from tests.service.conftest import jpeg
from tests.service.recorded import handed_in, over

TEXT = (Path(__file__).parents[1] / "docs" / "serve.md").read_text(encoding="utf-8")
AT = "http://127.0.0.1:8000"
LINES = [
    line.split("  #")[0].strip()
    for block in re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL)
    for line in block.splitlines()
]


def test_curl(tmp_path: Path, astronaut: ImageArray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_HOME", str(tmp_path / "home"))
    if shutil.which("curl") is None:
        pytest.skip("no curl here")
    (tmp_path / "holiday").mkdir()
    for name in ("photo.jpg", "holiday/beach.jpg"):
        Image.fromarray(astronaut).save(tmp_path / name)
    video(tmp_path / "interview.mp4")
    woman = astronaut[20:240, 120:340]
    for label, turned in (("joy", woman), ("pain", woman // 2)):
        (tmp_path / "ann" / label).mkdir(parents=True)
        for i in (1, 2):
            Image.fromarray(turned - i).save(tmp_path / "ann" / label / f"{i}.jpg")
    asked = [line for line in LINES if line.startswith("curl")]
    with server.running(ServiceSettings(port=0, home=tmp_path)) as at:
        for line in asked:
            words = ["curl", "--fail-with-body", "-sS", *shlex.split(line.replace(AT, at))[1:]]
            done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, done.stdout + done.stderr
            if "/v1/analyze" in line:
                records: list[dict[str, Any]] = json.loads(done.stdout)["records"]
                assert {record["faces"][0]["top"] for record in records} == {"happiness"}, line
    assert len(asked) == 18
    assert (tmp_path / "why.png").read_bytes().startswith(b"\x89PNG")


def test_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_HOME", str(tmp_path))
    asked = [line for line in LINES if line.startswith("mien serve keys")]
    for line in asked:
        done = CliRunner().invoke(verbs.made_for([]), shlex.split(line)[1:])
        assert done.exit_code == 0, done.output
    assert len(asked) == 3


def python_that(does: str) -> str:
    """The block of Python that has these words."""
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    (code,) = (block for block in blocks if does in block)
    return str(code)


def test_a_stream(
    tmp_path: Path, astronaut: ImageArray, capsys: pytest.CaptureFixture[str]
) -> None:
    with server.running(ServiceSettings(port=0, home=tmp_path)) as at:
        code = python_that("/v1/stream").replace(AT.partition("//")[2], at.partition("//")[2])
        exec(code, {"frames": lambda: [jpeg(astronaut)] * 2})
    notice, *answers = capsys.readouterr().out.splitlines()
    assert "expression" in notice
    assert len(answers) == 2
    assert "'happiness'" in answers[1]


def test_recordings(tmp_path: Path) -> None:
    """The lines about one, with its id."""
    if shutil.which("curl") is None:
        pytest.skip("no curl here")
    block = next(b for b in re.findall(r"```console\n(.*?)```", TEXT, re.DOTALL) if "$ID" in b)
    lines = [line.split("  #")[0].removeprefix("$ ").strip() for line in block.splitlines()]
    clip = video(tmp_path / "interview.mp4")
    with server.running(ServiceSettings(port=0, home=tmp_path)) as at:
        with httpx.Client(base_url=at, timeout=60) as client:
            id = over(client, handed_in(client, clip))["id"]
        for line in lines:
            words = shlex.split(line.replace(AT, at).replace("$ID", id))
            words[1:1] = ["-sS"] if "/timeline" in line else ["-sS", "--fail-with-body"]
            done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, (line, done.stdout)
    assert len(lines) == 8
    assert (tmp_path / "faces.csv").read_text(encoding="utf-8-sig").startswith("source,")


def test_the_client(
    tmp_path: Path,
    astronaut: ImageArray,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(astronaut).save("photo.jpg")
    video(tmp_path / "interview.mp4")
    with server.running(ServiceSettings(port=0, home=tmp_path)) as at:
        exec(python_that("mien.Client").replace(AT, at), {})
    assert "'happiness'" in capsys.readouterr().out
    assert Path("faces.csv").exists()


def test_python() -> None:
    code = python_that("create_app")
    names: dict[str, Any] = {}
    exec(code, names)
    assert isinstance(names["app"], FastAPI)


def test_the_limits_it_tells() -> None:
    plain = ServiceSettings()
    for said in (
        f"{plain.upload_s:g} s of silence, less than {plain.slowest / 1024:g} kB a second",
        f"too large ({plain.most_request_bytes >> 20} MB)",
        f"wait ({plain.queue}), or one took longer than {plain.request_s:g} s",
        f"up to {plain.most_picture_bytes >> 20} MB and {plain.most_pixels / 1e6:g} megapixels",
        f"up to {plain.most_pictures} pictures",
        f"A recording has up to {plain.most_recording_bytes >> 30} GB and twelve hours",
        f"and {plain.most_recordings} of a key's may wait",
    ):
        assert said in TEXT, said
    assert (plain.longest_s, plain.keep_days) == (12 * 3600, 7)  # twelve hours; seven days
    assert "for seven days after its job is over" in TEXT
    largest = uvicorn.Config(server.server).ws_max_size
    assert f"one of more than {largest >> 20} MB ends the stream" in TEXT.replace("\n", " ")


def test_the_model_it_shows() -> None:
    (sha256,) = re.findall(r'"name": "mien", "sha256": "(\w+)\.\.\."', TEXT)
    assert catalogue.spec("mien").sha256.startswith(sha256)
