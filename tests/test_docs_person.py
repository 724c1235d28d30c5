"""What docs/person.md says is run, in its order."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from mien.app import verbs
from mien.face import ImageArray

TEXT = (Path(__file__).parents[1] / "docs" / "person.md").read_text(encoding="utf-8")


def test_the_commands_and_the_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, astronaut: ImageArray
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIEN_HOME", str(tmp_path / "home"))
    woman = np.ascontiguousarray(astronaut[20:240, 120:340])
    for label, turned in (("joy", woman), ("pain", woman // 2)):
        for i in range(2):
            path = tmp_path / "ann" / label / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(turned - i).save(path)
    found = re.findall(r"```(bash|python)\n(.*?)```", TEXT, re.DOTALL)
    assert [language for language, _ in found] == ["bash", "python", "bash"]
    for language, text in found:
        if language == "python":
            exec(text, {})
            continue
        for line in text.strip().splitlines():
            done = CliRunner().invoke(verbs.made_for([]), shlex.split(line)[1:])
            assert done.exit_code == 0, f"{line}: {done.output} {done.exception!r}"
    assert (tmp_path / "joy.csv").is_file()
    assert (tmp_path / "ann.zip").is_file()
    assert not list((tmp_path / "home").rglob("*.png"))
