"""What an import loads, and which way imports go."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

from PIL import Image

import mien
from mien.face import ImageArray

SRC = Path(mien.__file__).resolve().parent

EVERY_VERB = "mien.app.verbs; mien.app.verbs.made_for([])"
HEAVY = {
    "torch",
    "lightning",
    "pyarrow",
    "sklearn",
    "scipy",
    "pandas",
    "h5py",
    "onnx",
    "matplotlib",
    "av",
    *("fastapi", "starlette", "pydantic", "uvicorn", "prometheus_client", "sqlalchemy", "httpx"),
    "httptools",
}


def python(code: str, **environment: str) -> str:
    """What a fresh interpreter prints; no models on its search path."""
    env = {k: v for k, v in os.environ.items() if k != "MIEN_MODELS"} | environment
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=env, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded_by(modules: str) -> set[str]:
    """The top-level packages in memory after an import."""
    code = f"import sys, json, {modules}; print(json.dumps(sorted(sys.modules)))"
    return {name.partition(".")[0] for name in json.loads(python(code))}


# -- what is loaded -----------------------------------------------------------------------------


def test_import_mien_loads_nothing_heavy() -> None:
    light = loaded_by("mien")
    assert "mien" in light
    assert not light & {"cv2", "onnxruntime", "numpy", "PIL", "typer", "rich", *HEAVY}


def test_import_mien_opens_no_file_and_no_socket() -> None:
    code = """
import sys
seen = []
sys.addaudithook(lambda event, args: seen.append((event, args)))
import mien
for event, args in list(seen):
    if event == "open" or event.startswith(("socket.", "subprocess.")):
        print(event, args[0])
"""
    lines = python(code).splitlines()
    assert any(str(SRC) in line for line in lines), "the hook sees the import itself"
    assert [line for line in lines if not is_source(*line.split(" ", 1))] == []


def is_source(event: str, path: str) -> bool:
    """Whether an event is Python opening a module of its own library or of mien."""
    library = Path(sysconfig.get_path("stdlib"))
    place = Path(path)
    ours = place.is_relative_to(SRC)
    python_s = place.is_relative_to(library) and "site-packages" not in place.parts
    return event == "open" and place.suffix in (".py", ".pyc") and (ours or python_s)


def test_inference_loads_none_of_the_extras() -> None:
    loaded = loaded_by(
        "mien.analysis.pipeline, mien.results.records, mien.analysis.batch, mien.media.draw, "
        f"mien.testing, {EVERY_VERB}"
    )
    assert {"cv2", "numpy"} <= loaded
    assert not loaded & {"onnxruntime", "PIL", *HEAVY}  # those two load with a model, a picture


def test_the_command_line_alone_loads_no_library_of_pictures() -> None:
    assert not loaded_by(EVERY_VERB) & {"cv2", "onnxruntime", "PIL", *HEAVY}


def test_a_picture_loads_nothing_of_recordings(astronaut: ImageArray, tmp_path: Path) -> None:
    path = tmp_path / "portrait.png"
    Image.fromarray(astronaut[:200, 100:300]).save(path)
    code = f"""
import sys
from mien.app import verbs
sys.argv = ["mien", "analyze", {str(path)!r}]
try:
    verbs.main()
finally:
    unwanted = {{"av", "mien.media.video", "mien.tracking.tracks", "mien.analysis.resume"}}
    print(sorted(unwanted & set(sys.modules)))
"""
    assert python(code).endswith("}\n[]\n")


def test_analysis_runs_where_the_extras_are_not_installed(
    astronaut: ImageArray, tmp_path: Path
) -> None:
    path = tmp_path / "portrait.png"
    Image.fromarray(astronaut).save(path)
    code = f"""
import sys
for name in {sorted(HEAVY)!r}:
    sys.modules[name] = None
import mien
from mien.media import draw, image
from mien.face import Frame
frame = Frame(image.read({str(path)!r}))
faces = mien.Analyzer().analyze_frame(frame)
draw.annotate(frame, faces)
print([face.emotions.top[0] for face in faces])
"""
    assert python(code, MIEN_HOME=str(tmp_path)).strip() == "['happiness']"


# -- which way imports go -----------------------------------------------------------------------

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


def test_imports_keep_to_the_contracts() -> None:
    """The wings' order, no circles, no torch where faces are read: see docs/adr/0016-wings.md."""
    tool = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [tool, "--no-cache", "--no-logo"], cwd=PYPROJECT.parent, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    assert " 0 broken" in done.stdout


def test_no_import_is_excused_from_them() -> None:
    settings = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["tool"]["importlinter"]
    assert not settings.get("exclude_type_checking_imports")
    assert [c["name"] for c in settings["contracts"] if "ignore_imports" in c] == []


def test_every_wing_says_what_belongs_in_it() -> None:
    for init in SRC.glob("*/__init__.py"):
        said = ast.get_docstring(ast.parse(init.read_text(encoding="utf-8"))) or ""
        assert "Here: " in said, init
        assert "Not here: " in said, init
