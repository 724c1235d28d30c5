"""The line that adds an extra, for every way that mien may have come."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mien import install
from mien.errors import MissingExtra

Installed = Callable[..., None]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Installed:
    """Pretend that mien came by some way, into an environment of its own."""
    prefix = tmp_path / "venv"
    (prefix / "bin").mkdir(parents=True)
    monkeypatch.setattr(sys, "prefix", str(prefix))
    monkeypatch.setattr(sys, "executable", str(prefix / "bin" / "python"))
    monkeypatch.setattr(os, "name", "posix")

    def make(
        origin: object = None, installer: str = "pip", left: str = "", pip: str | None = "venv"
    ) -> None:
        noted = {"INSTALLER": f"{installer}\n", "direct_url.json": json.dumps(origin or {})}
        monkeypatch.setattr(install, "_noted", noted.__getitem__)
        if left:
            (prefix / left).touch()
        at = None if pip is None else str(tmp_path / pip / "bin" / "pip")
        monkeypatch.setattr(shutil, "which", lambda _: at)

    return make


def checkout(tmp_path: Path, editable: bool) -> dict[str, object]:
    place = tmp_path / "my mien"
    place.mkdir()
    return {"url": place.as_uri(), "dir_info": {"editable": editable} if editable else {}}


def test_by_its_name(installed: Installed) -> None:
    installed()
    assert install.adding("plot") == "pip install 'mien[plot]'"


def test_with_a_pip_that_is_another_environment_s(installed: Installed) -> None:
    """As where `.venv/bin/mien` is called without activating anything."""
    for pip in ("elsewhere", None):
        installed(pip=pip)
        assert install.adding("plot") == f"{sys.executable} -m pip install 'mien[plot]'"


def test_from_a_checkout(installed: Installed, tmp_path: Path) -> None:
    origin = checkout(tmp_path, editable=True)
    installed(origin)
    assert install.adding("plot") == f"pip install -e '{tmp_path}/my mien[plot]'"
    installed({**origin, "dir_info": {}})
    assert install.adding("plot") == f"pip install '{tmp_path}/my mien[plot]'"
    (tmp_path / "my mien").rmdir()
    assert install.adding("plot") == "pip install 'mien[plot]'"


def test_from_a_repository(installed: Installed) -> None:
    installed({"url": "https://a.example/mien.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}})
    assert install.adding("plot") == "pip install 'mien[plot] @ git+https://a.example/mien.git@abc'"


def test_uv_and_pipx(installed: Installed, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(installer="uv")
    assert install.adding("act") == f"uv pip install --python {sys.executable} 'mien[act]'"
    installed(installer="uv", left="uv-receipt.toml")
    assert install.adding("act") == "uv tool install 'mien[act]'"
    installed(left="pipx_metadata.json")
    assert install.adding("act") == "pipx install --force 'mien[act]'"
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(install, "_has", lambda _: False)
    assert install.adding("train").startswith("pipx inject mien torch --index-url ")


def test_torch_without_gigabytes_for_a_gpu(
    installed: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed()
    cpu = "pip install torch --index-url URL"
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(install, "_has", lambda _: False)
    first, _, rest = install.adding("train").partition(" (without an NVIDIA GPU; URL is the one ")
    assert (first, rest.partition(", and then ")[2]) == (cpu, "pip install 'mien[train]'")
    assert "torch" not in install.adding("table")
    installed(installer="uv")
    assert install.adding("train").startswith(
        f"uv pip install --python {sys.executable} --torch-backend cpu 'mien[train]' ("
    )
    monkeypatch.setattr(install, "_has", lambda _: True)
    installed()
    assert install.adding("train") == "pip install 'mien[train]'"
    monkeypatch.setattr(install, "_has", lambda _: False)
    monkeypatch.setattr(sys, "platform", "darwin")  # no GPU's libraries there
    assert install.adding("train") == "pip install 'mien[train]'"


def test_on_windows(installed: Installed, monkeypatch: pytest.MonkeyPatch) -> None:
    installed()
    monkeypatch.setattr(os, "name", "nt")
    assert install._quoted("mien[plot]") == '"mien[plot]"'


def test_a_missing_extra_says_it(installed: Installed) -> None:
    installed()
    said = str(MissingExtra("matplotlib", "plot", "drawing figures"))
    assert said == (
        "drawing figures needs matplotlib, which is not installed: pip install 'mien[plot]'"
    )


def test_the_installed_one_tells_where_it_came_from() -> None:
    """Whatever way this one came: something that a shell takes in one piece."""
    assert install.adding("plot").split("install ")[1].endswith("[plot]'")
