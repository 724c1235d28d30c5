"""Real pictures and real data, where they are.

The data sets lie in ``../shared`` beside the checkout and belong to others; without that folder
the tests that need them skip and say so.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from filelock import FileLock

from mien.data import table
from mien.data.sets import importers
from mien.data.table import Table
from mien.face import Frame, ImageArray

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
WORKER = "PYTEST_XDIST_WORKER" in os.environ
if WORKER:  # as many processes as cores: each has one, and torch is told before it loads
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Begun in the background of a shell, or by nohup, all that tests start would ignore what they do.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def _own_home(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads or writes the developer's own models."""
    monkeypatch.setenv("MIEN_HOME", str(tmp_path_factory.getbasetemp() / "mien-home"))
    monkeypatch.delenv("MIEN_MODELS", raising=False)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and weights."""
    if not (SHARED / "data").is_dir():
        pytest.skip(f"no real data: {SHARED} is not there")
    return SHARED


@pytest.fixture
def peer_models(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Other makers' weights on MIEN_MODELS."""
    monkeypatch.setenv("MIEN_MODELS", str(shared / "weights"))
    return shared / "weights"


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of this test run share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if WORKER else base


@pytest.fixture(scope="session")
def owners_layout(shared: Path, once: Path) -> Path:
    """The data sets as their owners lay them out; kept between runs where MIEN_TEST_DATA says."""
    kept = os.environ.get("MIEN_TEST_DATA")
    out = Path(kept) if kept else once / "owners"
    sets = ["fer2013", "ferplus", "jaffe", "lfw"]
    with FileLock(once / "owners.lock"):
        missing = [name for name in sets if not (out / name).exists() and name != "ferplus"]
        if missing or not (out / "fer2013new.csv").exists():
            tool = shared / "tools" / "unpack.py"
            subprocess.run([sys.executable, str(tool), str(out), *sets], check=True, timeout=600)
    return out


def _imported(name: str, path: Path, once: Path) -> Table:
    """A data set as its importer reads it, by whichever process needs it first."""
    made = once / f"{name}.parquet"
    with FileLock(made.with_suffix(".lock")):
        if not made.exists():
            table.write(importers.build(name).read(path), made)
    return table.read(made)


@pytest.fixture(scope="session")
def fer2013_table(owners_layout: Path, once: Path) -> Table:
    return _imported("fer2013", owners_layout / "fer2013", once)


@pytest.fixture(scope="session")
def ferplus_table(owners_layout: Path, once: Path) -> Table:
    return _imported("ferplus", owners_layout, once)


@pytest.fixture(scope="session")
def lfw_table(owners_layout: Path, once: Path) -> Table:
    return _imported("folder", owners_layout / "lfw", once)


@pytest.fixture(scope="session")
def jaffe_table(owners_layout: Path, once: Path) -> Table:
    return _imported("jaffe", owners_layout / "jaffe", once)


@pytest.fixture(scope="session")
def w300_folder(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """HELEN's and AFW's faces as 300-W lays them out: each picture with its points beside it."""
    out = tmp_path_factory.mktemp("300w")
    for row in pq.read_table(shared / "data" / "landmarks68.parquet").to_pylist():
        owner, _, name = row["id"].partition("/")
        if owner not in ("helen", "afw"):
            continue
        folder = out / owner / f"{row['split']}set" if owner == "helen" else out / owner
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.webp").write_bytes(row["image"])
        points = np.reshape(row["landmarks"], (68, 2)) + 1
        lines = ["version: 1", "n_points: 68", "{", *(f"{x:.3f} {y:.3f}" for x, y in points), "}"]
        (folder / f"{name}.pts").write_text("\n".join(lines) + "\n")
    return out


@pytest.fixture(scope="session")
def w300_table(w300_folder: Path, once: Path) -> Table:
    return _imported("300w", w300_folder, once)


@pytest.fixture(scope="session")
def small_ferplus(ferplus_table: Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every fortieth row of FER+ as a table file: real faces, quick to train on."""
    path = tmp_path_factory.mktemp("tables") / "small.parquet"
    table.write(ferplus_table.keep(i % 40 == 0 for i in range(len(ferplus_table))), path)
    return path


@pytest.fixture(scope="session")
def astronaut() -> ImageArray:
    """A smiling woman, 512 x 512, public domain (NASA), bundled with scikit-image."""
    from skimage import data

    return np.asarray(data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]


@pytest.fixture(scope="session")
def portrait(astronaut: ImageArray) -> Frame:
    return Frame(astronaut, source="astronaut")
