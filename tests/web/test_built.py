"""The page that is committed is what its source gives, and the install stays small."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from mien.service.assets import FOLDER

ROOT = Path(__file__).parents[2]
WEB = ROOT / "web"


@pytest.fixture(scope="module")
def pack() -> ModuleType:
    """The script that packs the page."""
    spec = importlib.util.spec_from_file_location("pack", WEB / "pack.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_was_built_from_the_sources_that_are_here(pack: ModuleType) -> None:
    told = json.loads((FOLDER / pack.BUILT).read_text())
    here = pack.sources()
    assert "page/src/main.tsx" in here
    assert told["sources"] == here, "the page's source has changed: make web"


def test_every_file_that_it_loads_is_packed(pack: ModuleType) -> None:
    packed = pack.packed()
    assert {"index.html", "sw.js", "manifest.webmanifest", "icon.svg"} <= packed.keys()
    loaded = [name for name in packed if name.startswith("assets/")]
    for name in loaded:
        assert name in packed["sw.js"].decode(), "the service worker does not keep it"
    page = packed["index.html"].decode()
    for kind in (".js", ".css"):
        assert any(name in page for name in loaded if name.endswith(kind))
    assert "http://" not in page
    assert "https://" not in page


def test_a_default_install_grows_by_five_megabytes_at_most() -> None:
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 5_000_000


def test_a_build_gives_what_is_committed(pack: ModuleType, tmp_path: Path) -> None:
    npm = shutil.which("npm")
    if npm is None or not (WEB / "node_modules" / "vite").is_dir():
        pytest.skip("no Node, or not installed: make web")
    package = [npm, "run", "build", "--workspace", "mien-web"]
    page = [npm, "run", "build", "--workspace", "page", "--", "--outDir", str(tmp_path)]
    for command in (package, page):
        done = subprocess.run(command, cwd=WEB, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
    new, committed = pack.built(tmp_path), pack.packed()
    assert new.keys() == committed.keys()
    for name in new:
        assert new[name] == committed[name], f"{name} is not what its source gives: make web"
