"""What ``pip install mien`` brings: built, installed into an empty environment, used elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from mien.face import ImageArray

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)]
    done = subprocess.run([*command, str(ROOT)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return next(out.glob("*.whl"))


def test_it_holds_the_model_and_nothing_that_is_not_ours(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "mien/py.typed" in names
    weights = [n for n in names if n.endswith((".onnx", ".npz", ".hdf5", ".xml", ".task"))]
    ours = ["landmarks68.onnx", "proposals.onnx", "resnet10-ferplus.onnx"]
    assert sorted(weights) == [f"mien/weights/shipped/{name}" for name in ours]
    assert not [n for n in names if n.endswith((".png", ".jpg", ".parquet"))]
    recipes = {Path(n).name for n in names if n.startswith("mien/training/shipped/")}
    assert recipes == {path.name for path in (ROOT / "recipes").glob("*.toml")}
    assert wheel.stat().st_size < 9_000_000


def test_installed_without_extras_it_reads_a_face_from_any_folder(
    wheel: Path, tmp_path: Path, astronaut: ImageArray
) -> None:
    place = tmp_path / "environment"
    venv.create(place, with_pip=True)
    python = place / ("Scripts" if os.name == "nt" else "bin") / "python"
    constraints = ROOT / "constraints.txt"
    install = [str(python), "-m", "pip", "install", "--quiet", "-c", str(constraints), str(wheel)]
    subprocess.run(install, check=True, timeout=600)
    (tmp_path / "elsewhere").mkdir()
    Image.fromarray(astronaut).save(tmp_path / "elsewhere" / "face.jpg")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "MIEN"))}

    def run(*words: str) -> str:
        done = subprocess.run(
            words,
            cwd=tmp_path / "elsewhere",
            env=clean,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    absent = (
        "import importlib.util as u; print([m for m in ('torch', 'sklearn') if u.find_spec(m)])"
    )
    assert run(str(python), "-c", absent).strip() == "[]"
    record = json.loads(run(str(python.with_name("mien")), "analyze", "face.jpg"))
    assert record["faces"][0]["top"] == "happiness"
    assert "0.1.0" in run(str(python), "-c", "import mien; print(mien.__version__)")
    named = "from mien.training import recipes as r; print(r.read(r.find('iliev2022')).model.size)"
    assert run(str(python), "-c", named).strip() == "100"


def test_what_needs_the_laboratory_says_so(wheel: Path, tmp_path: Path) -> None:
    """The same words a user without the extra reads, torch hidden instead of absent."""
    hide = "import sys; sys.modules['torch'] = None; sys.modules['pyarrow'] = None; "
    hide += "sys.argv = ['mien', *sys.argv[1:]]; from mien.app.verbs import main; main()"
    for extra, words in (
        ("train", ["train", "r.toml", "-d", "t.parquet", "-o", "o"]),
        ("table", ["data", "stats", "t.parquet"]),
    ):
        done = subprocess.run(
            [sys.executable, "-c", hide, *words], capture_output=True, text=True, cwd=tmp_path
        )
        assert done.returncode == 1, done.stderr
        assert f"[{extra}]'" in done.stderr
        assert "Traceback" not in done.stderr
