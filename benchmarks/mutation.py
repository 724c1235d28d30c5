"""Whether the tests bite: small faults put into the modules that decide, and who notices.

    pip install -c constraints.txt mutmut
    python benchmarks/mutation.py                           # every module, a sample of each
    python benchmarks/mutation.py --module tracks --sample 0   # all there are of one

The faults are mutmut's (a comparison turned about, an argument left out, a number changed, ...).
mutmut itself tries them on functions alone; here constants and properties, where thresholds and
weights stand, have their turn too, and a number with a point is halved as well. Left alone is what
tells no behaviour: sentences, what is raised with an error, types, decorators, ``strict`` of
``zip``.

A fault is tried on the tests that reach its lines, of the module's own; it is killed where one of
them fails, or does not end. Of a module with many faults a sample is drawn, always the same one for
a seed, and its share stands with a 95 % interval (Wilson). ``mutation_known.toml`` says of some
survivors why nobody need notice them.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.metadata
import importlib.util
import inspect
import json
import math
import os
import pickle
import random
import resource
import signal
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Annotated, Any

import coverage
import libcst as cst
import pytest
import typer
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.file_mutation import deep_replace
from mutmut.mutation.mutators import mutation_operators

ROOT = Path(__file__).resolve().parents[1]
SEED = 17
LEAST = 0.85
"""The share of each module's faults that its tests are to notice."""
_LONGEST_S = 120.0  # for the tests of one fault
KNOWN = Path(__file__).with_name("mutation_known.toml")

MODULES = {
    "geometry": ("geometry", "tests/test_geometry.py"),
    "align": ("faces/align", "tests/faces/test_align.py"),
    "quality": ("faces/quality", "tests/faces/test_quality.py"),
    "recognize": ("expression/recognize", "tests/expression/test_recognize.py"),
    "baserates": ("expression/baserates", "tests/expression/test_baserates.py"),
    "metrics": ("evaluation/metrics", "tests/evaluation/test_metrics.py"),
    "splits": ("data/splits", "tests/data/test_splits.py"),
    "audit": ("data/audit", "tests/data/test_audit.py"),
    "tracks": ("tracking/tracks", "tests/tracking/test_tracks.py"),
    "rules": ("alarms/rules", "tests/alarms/test_rules.py"),
    "watch": ("alarms/watch", "tests/alarms/test_watch.py"),
    "journal": ("alarms/journal", "tests/alarms/test_journal.py"),
}
"""Each module under ``src/mien`` and where its own tests are."""

SLOW = (
    "test_real_faces",
    "test_a_face_of_4000_pixels_has_no_grain_left",
    "test_halves_and_thirds_are_averaged_exactly",
    "test_other_whole_factors_nearly",
    "test_unsure_faces_are_looked_at_twice",
    "test_a_batch_equals_a_loop",
    "test_calibration_undoes",
    "test_training_and_export_see_the_same_sides",
    "test_jaffe_as_papers_do_and_by_subject",
    "test_fer2013",
    "test_where_it_was_followed_the_landmarks_are_as_good_as_found",
    "test_a_clip_of_one_person_has_one_track",
    "test_two_people_who_cross_keep_their_numbers",
    "test_five_people_seen_by_a_moving_camera_keep_their_numbers",
    "test_the_examples_of_the_docs_run",
    "test_a_size_that_changes_keeps_the_face",
)
"""Tests on real data, a second and more each: a fault that they alone notice counts as survived."""


@dataclass(frozen=True, eq=False)
class Fault:
    """A change of one place of a module.

    lines : from where its statement begins to where it ends.
    function : the function or method whose body it is in, "Class.method"; "" for none.
    top : the statement of the module that it is in.
    """

    module: cst.Module
    node: cst.CSTNode
    changed: cst.CSTNode
    lines: range
    function: str
    top: cst.CSTNode

    def code(self) -> str:
        """The module with it."""
        changed: Any = deep_replace(self.module, self.node, self.changed)
        return str(changed.code)

    def constant(self) -> str:
        """The statement that gives names of the module their values; "" where it is none."""
        match self.top:
            case cst.SimpleStatementLine(body=[cst.Assign() | cst.AnnAssign()]):
                changed: Any = deep_replace(self.top, self.node, self.changed)
                return str(self.module.code_for_node(changed))
        return ""

    def as_dict(self) -> dict[str, Any]:
        was, becomes = _difference(self.module.code, self.code())
        return {"line": self.lines.start, "was": was, "becomes": becomes}


# -- which faults there are -----------------------------------------------------------------------


def faults(code: str) -> list[Fault]:
    """Every fault of a module, in order of its lines."""
    wrapper = MetadataWrapper(cst.parse_module(code))
    module, where = wrapper.module, wrapper.resolve(PositionProvider)
    found = []
    for top in module.body:
        for node, statement, function in _places(top, top, ""):
            lines = range(where[statement].start.line, where[node].end.line + 1)
            found += [
                Fault(module, node, changed, lines, function, top) for changed in _changes(node)
            ]
    return found


def _places(node: Any, statement: Any, within: str) -> Iterator[tuple[Any, Any, str]]:
    """What may be changed, the statement that it is in, and the function whose body that is."""
    if _is_left_alone(node) or (node is statement and _names_a_type(node)):
        return
    if isinstance(node, cst.SimpleStatementLine | cst.BaseCompoundStatement):
        statement = node
    yield node, statement, "" if within.endswith(".") else within
    for child in node.children:
        inside = within
        if isinstance(node, cst.ClassDef) and child is node.body:
            inside = f"{node.name.value}."
        elif isinstance(node, cst.FunctionDef) and child is node.body:
            inside = within if within and not within.endswith(".") else within + node.name.value
        yield from _places(child, statement, inside)


def _is_left_alone(node: Any) -> bool:
    match node:
        case cst.Annotation() | cst.Decorator() | cst.Raise() | cst.Import() | cst.ImportFrom():
            return True
        case cst.Call(func=cst.Name("len" | "isinstance")):
            return True  # with anything else they fail at once
        case cst.Arg(keyword=cst.Name("strict")):
            return True
        case cst.SimpleString():
            return " " in node.value
        case cst.FormattedString():
            return any(
                isinstance(p, cst.FormattedStringText) and " " in p.value for p in node.parts
            )
    return False


def _names_a_type(node: Any) -> bool:
    match node:
        case cst.SimpleStatementLine(body=[cst.Assign(value=cst.Subscript())]):
            return True
        case cst.SimpleStatementLine(
            body=[cst.Assign(value=cst.BinaryOperation(operator=cst.BitOr()))]
        ):
            return True
    return False


def _changes(node: Any) -> Iterator[Any]:
    for kind, operator in mutation_operators:
        if isinstance(node, kind):
            changed: Any
            for changed in operator(node):
                same = isinstance(node, cst.Float) and float(changed.value) == node.evaluated_value
                if not same and _is_strict(node) == _is_strict(changed):
                    yield changed
                if isinstance(node, cst.SimpleString):
                    break  # one other word is as good as three
    if isinstance(node, cst.Float) and node.evaluated_value:
        yield node.with_changes(value=repr(node.evaluated_value / 2))


def _is_strict(node: Any) -> bool:
    """Whether it is a call of ``zip`` that checks our own invariants."""
    if not isinstance(node, cst.Call):
        return False
    return any(arg.keyword is not None and arg.keyword.value == "strict" for arg in node.args)


def _difference(code: str, mutated: str) -> tuple[str, str]:
    """The lines that differ, as they were and as they are."""
    old, new = code.splitlines(), mutated.splitlines()
    same = 0
    while same < min(len(old), len(new)) and old[same] == new[same]:
        same += 1
    end = 0
    while end < min(len(old), len(new)) - same and old[-1 - end] == new[-1 - end]:
        end += 1
    was, becomes = old[same : len(old) - end], new[same : len(new) - end]
    return " ".join(map(str.strip, was)), " ".join(map(str.strip, becomes))


# -- who notices ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """A module and its tests. below : of ``src/mien``, without the suffix."""

    below: str
    tests: str

    @property
    def name(self) -> str:
        return f"mien.{self.below.replace('/', '.')}"

    @property
    def path(self) -> Path:
        return ROOT / "src" / "mien" / f"{self.below}.py"

    def run(self, plugin: object, temp: str) -> int:
        """pytest's status, of the module's own tests and of its examples."""
        quick = "not (" + " or ".join(SLOW) + ")"
        words = ["-q", "-x", "-k", quick, "-p", "no:cacheprovider", "-p", "no:xdist"]
        words += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # of plugins that are loaded
        words += [f"--basetemp={temp}/pytest", self.tests, str(self.path.relative_to(ROOT))]
        status = int(pytest.main(words, [plugin]))
        assert status != pytest.ExitCode.NO_TESTS_COLLECTED
        return status


def apart(work: Callable[[], int], seconds: float) -> int:
    """The status of ``work`` in a process of its own, unheard; 124 where it never ends."""
    child = os.fork()
    if not child:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_AS, (16 << 30, 16 << 30))
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nowhere, stream)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        status = 3
        with suppress(BaseException):
            status = work()
        os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # whom it started
    return 124 if status == -signal.SIGALRM else status


class Bench:
    """A pytest session that, instead of its tests, tries faults on them, each in a fork of it.

    A function gets the changed code, and a name of the module its changed value, where everybody
    has them already. For what else there is (defaults, what stands in a class) all is imported
    anew, which takes seconds.
    """

    def __init__(self, place: Place, drawn: list[Fault], temp: str) -> None:
        self.place, self.drawn, self.temp = place, drawn, temp
        self.left: list[Fault] = []

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        reached, seconds = self._reached(session)
        quickest = sorted(session.items, key=lambda item: seconds[item.nodeid])
        for number, fault in enumerate(self.drawn, 1):
            if self._survives(fault, quickest, reached):
                self.left.append(fault)
            if number % 50 == 0:
                told = f"{self.place.name}: {number} of {len(self.drawn)}, {len(self.left)} left"
                os.write(2, f"{told}\n".encode())
        return True

    def _survives(
        self, fault: Fault, tests: list[pytest.Item], reached: dict[int, list[str]]
    ) -> bool:
        module = sys.modules[self.place.name]
        function = _function(module, fault.function) if fault.function else None
        constant = fault.constant()

        def work() -> int:
            if function:
                code = compile(fault.code(), str(self.place.path), "exec")
                function.__code__ = _within(code, fault.function)
            elif constant:
                exec(constant, vars(module))
            else:
                return anew(self.place, fault.code(), [t.nodeid for t in tests], self.temp)
            return _failed(tests)

        if function:
            who = {test for line in fault.lines for test in reached.get(line, [])}
            tests = [test for test in tests if test.nodeid in who]
        if tests and apart(work, _LONGEST_S) != 0:
            return False
        # What others took over when they were imported has the old value still.
        return not constant or bool(function) or self._survives_anew(fault, tests)

    def _survives_anew(self, fault: Fault, tests: list[pytest.Item]) -> bool:
        order = [test.nodeid for test in tests]
        return apart(lambda: anew(self.place, fault.code(), order, self.temp), _LONGEST_S) == 0

    def _reached(self, session: pytest.Session) -> tuple[dict[int, list[str]], dict[str, float]]:
        """By line, the tests that reach it; and every test's seconds."""
        kept, path = Path(self.temp, "reached"), str(self.place.path)

        def work() -> int:
            lines = coverage.Coverage(data_file=None, include=[path], config_file=False)
            seconds = {}
            lines.start()
            for item in session.items:
                lines.switch_context(item.nodeid)
                began = time.monotonic()
                if _failed([item]):
                    return 1
                seconds[item.nodeid] = time.monotonic() - began
            lines.stop()
            kept.write_bytes(pickle.dumps((lines.get_data().contexts_by_lineno(path), seconds)))
            return 0

        if status := apart(work, 900):
            raise RuntimeError(f"{self.place.tests} fails as it is, with status {status}")
        found: tuple[dict[int, list[str]], dict[str, float]] = pickle.loads(kept.read_bytes())
        return found


def _failed(tests: list[pytest.Item]) -> int:
    """1 as soon as one of the tests fails."""
    for item, following in zip_longest(tests, tests[1:]):
        item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
        if item.session.testsfailed:
            return 1
    return 0


def _function(module: ModuleType, name: str) -> FunctionType | None:
    """What a module calls so, beneath its decorators; None for what is not found so."""
    found: Any = module
    for part in name.split("."):
        found = vars(found).get(part)
    found = getattr(found, "fget", getattr(found, "__func__", found))
    found = inspect.unwrap(found) if callable(found) else found
    is_it = isinstance(found, FunctionType) and found.__code__.co_qualname == name
    return found if is_it else None


def _within(code: CodeType, name: str) -> CodeType:
    """The code of a function of a module's."""
    inside = (part for part in code.co_consts if isinstance(part, CodeType))
    for part in inside:
        if part.co_qualname == name:
            return part
        if name.startswith(f"{part.co_qualname}."):
            return _within(part, name)
    raise LookupError(name)


class _Changed(importlib.machinery.SourceFileLoader):
    """Loads one module from other text than its file's, wherever it is imported."""

    def __init__(self, place: Place, code: str, quickest: list[str]) -> None:
        super().__init__(place.name, str(place.path))
        self._code, self._place = code, {test: i for i, test in enumerate(quickest)}
        self.pytest_sessionstart()  # for what conftest.py imports

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._code, self.path, "exec")

    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        if name != self.name:
            return None
        return importlib.util.spec_from_file_location(name, self.path, loader=self)

    def pytest_sessionstart(self) -> None:
        finder: Any = self
        sys.meta_path.insert(0, finder)  # before pytest's own

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: self._place.get(item.nodeid, 0))


def anew(place: Place, code: str, quickest: list[str], temp: str) -> int:
    """pytest's status with other code as the module, imported anew with all that import it."""
    for name in [*sys.modules]:
        if name.partition(".")[0] in ("mien", "tests"):
            del sys.modules[name]
    return place.run(_Changed(place, code, quickest), temp)


def tried(short: str, most: int, seed: int) -> dict[str, Any]:
    """What became of a module's faults, or of ``most`` of them; 0 for all."""
    place = Place(*MODULES[short])
    code = place.path.read_text()
    every = drawn = faults(code)
    if 0 < most < len(every):
        drawn = random.Random(f"{seed}/{short}").sample(every, most)
    drawn = sorted(drawn, key=lambda fault: fault.lines.start)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as temp:
        for text, expected in ((code, True), (f"{code}\n0/0\n", False)):
            if (apart(lambda: anew(place, text, [], temp), 900) == 0) != expected:  # noqa: B023
                raise SystemExit(f"{place.tests} do not tell {place.name} from one that fails")
        bench = Bench(place, drawn, temp)
        if place.run(bench, temp):
            raise SystemExit(f"{place.tests} cannot be tried")
    killed = len(drawn) - len(bench.left)
    return {
        "mutants": len(every),
        "tried": len(drawn),
        "killed": killed,
        "survived": len(bench.left),
        "share": round(killed / len(drawn), 4),
        "share_ci95": wilson(killed, len(drawn)) if len(drawn) < len(every) else None,
        "seconds": round(time.monotonic() - began),
        "survivors": [fault.as_dict() for fault in bench.left],
    }


def explain(modules: dict[str, Any]) -> None:
    """Say of survivors why nobody need notice them, as far as somebody has written it down."""
    known = tomllib.loads(KNOWN.read_text()) if KNOWN.exists() else {}
    for name, found in modules.items():
        why = {(one["was"], one["becomes"]): one["why"] for one in known.get(name, [])}
        for one in found["survivors"]:
            one["why"] = why.get((one["was"], one["becomes"]))


def wilson(hits: int, n: int) -> list[float]:
    """The 95 % interval of a share (Wilson 1927)."""
    z, p = 1.959964, hits / n
    middle, root = p + z * z / (2 * n), math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return [round((middle + side * z * root) / (1 + z * z / n), 4) for side in (-1, 1)]


def main(
    module: Annotated[list[str] | None, typer.Option(help="Only this; may be repeated.")] = None,
    sample: Annotated[int, typer.Option(help="Faults of each module; 0 for all.")] = 150,
    seed: Annotated[int, typer.Option(help="Of the sample.")] = SEED,
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/mutation.json"),
) -> None:
    """Put faults into modules and count those their tests notice; status 1 where too few are.

    With --module the others stay in the file as they were, each with its date and commit.
    """
    os.chdir(ROOT)
    sys.path[:0] = [str(ROOT / "src"), str(ROOT)]
    from mien import provenance

    report = json.loads(out.read_text()) if module and out.exists() else {"modules": {}}
    report |= {"seed": seed, "least": LEAST}
    for name in module or MODULES:
        told = provenance.environment()
        told["versions"] |= {lib: importlib.metadata.version(lib) for lib in ("mutmut", "pytest")}
        report["modules"][name] = found = told | tried(name, sample, seed)
        print(name, {k: found[k] for k in ("mutants", "tried", "share")}, file=sys.stderr)
        explain(report["modules"])
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    shares = [report["modules"][name]["share"] for name in module or MODULES]
    raise typer.Exit(int(min(shares) < LEAST))


if __name__ == "__main__":
    typer.run(main)
