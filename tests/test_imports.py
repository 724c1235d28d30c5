"""What an import loads, and which way imports go."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

import mien
from mien.face import ImageArray

SRC = Path(mien.__file__).resolve().parent

INFERENCE = {
    *("errors", "registry", "labels", "face", "geometry", "image", "preprocess", "baserates"),
    *(
        "weights",
        "detect",
        "detectors",
        "finder",
        "landmarks",
        "landmarker",
        "session",
        "cascades",
        "proposals",
        "later",
        "mouth",
        "pose",
        "align",
        "quality",
        "recognize",
        "pipeline",
    ),
    *("records", "batch", "draw", "testing", "graph", "explain"),
    *("video", "recording", "resume", "peers", "annotated"),
    *("rules", "watch", "actions"),
    *("assign", "cuts", "tracks", "smooth"),
    *("capture", "live"),
}
VIEWS = {"app.keys", "app.live_terminal", "app.live_window"}
LAB = {
    *("models", "augment", "train", "export", "evaluate", "metrics", "audit", "calibrate"),
    *("checkpoint", "recipes", "datasets", "summary", "stats", "sheet", "table", "cards", "bench"),
    *("tasks", "expression_task", "landmark_task", "proposal_task", "scenes", "patches", "decoys"),
    *(
        "teach",
        "splits",
        "copies",
        "arrange",
        "cut",
        "plots",
        "reproduce",
        "report",
        "occlude",
        "transfer",
    ),
    *("against_rest", "against_rest_task", "reconstruction_task", "folds", "fold_report"),
    *("attention", "stress"),
}
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


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of mien under its name: "detect", "detectors.haar", "datasets"."""
    for path in sorted(SRC.rglob("*.py")):
        parts = path.relative_to(SRC).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name not in ("", "__main__"):
            yield name, path


NAMES = dict(modules())


def imports(name: str, lazy: bool = True) -> set[str]:
    """The modules of mien that one imports, but for type checking; ``lazy``: in functions too."""
    path = NAMES[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found: set[str] = set()
    for node in statements(ast.parse(path.read_text(encoding="utf-8")), lazy):
        if isinstance(node, ast.Import):
            found |= {a.name.removeprefix("mien.") for a in node.names if a.name[:5] == "mien."}
        elif isinstance(node, ast.ImportFrom):
            base = whole_name(node, package)
            if base is not None:
                inside = {f"{base}.{alias.name}".strip(".") for alias in node.names}
                found |= (inside & set(NAMES)) or ({base} & set(NAMES))
    return found - {name}


def statements(node: ast.AST, lazy: bool) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.FunctionDef) and not lazy:
            continue
        yield child
        yield from statements(child, lazy)


def whole_name(node: ast.ImportFrom, package: str) -> str | None:
    """What ``from`` names, inside mien and without its name; None for another package."""
    module = node.module or ""
    if node.level == 0:
        return module.removeprefix("mien").lstrip(".") if module.split(".")[0] == "mien" else None
    above = package.split(".") if package else []
    return ".".join([*above[: len(above) - node.level + 1], *filter(None, [module])])


def part(name: str) -> str:
    return name.partition(".")[0]


def test_the_walk_sees_imports_of_every_kind() -> None:
    assert {"align", "detect", "image", "quality", "face"} <= imports("pipeline")
    assert {"detect", "errors", "weights"} <= imports("detectors.yunet")
    assert "keras_import" in imports("recognize")
    assert "keras_import" not in imports("recognize", lazy=False)
    assert "pipeline" in imports("app.explain")
    assert "face" not in imports("labels")
    assert "pipeline" not in imports("app.explain", lazy=False)


def test_both_lists_name_modules_that_exist() -> None:
    there = {part(name) for name in NAMES}
    assert there >= INFERENCE
    assert there >= LAB
    assert not INFERENCE & LAB
    assert set(NAMES) >= VIEWS


@pytest.mark.parametrize("name", [n for n in NAMES if part(n) in INFERENCE or n in VIEWS])
def test_inference_knows_nothing_of_the_laboratory(name: str) -> None:
    assert not {part(other) for other in imports(name)} & LAB


def test_there_are_no_circles() -> None:
    graph = {name: imports(name) for name in NAMES}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name not in done:
            for other in sorted(graph[name]):
                visit(other, (*path, name))
            done.add(name)

    for name in NAMES:
        visit(name, ())
