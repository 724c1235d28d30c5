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
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
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
)
"""Tests on real data, a second and more each: a fault that they alone notice counts as survived."""


@dataclass(frozen=True)
class Fault:
    """A change of one place. lines : of the statement that it is in, from one to the last."""

    lines: range
    was: str
    becomes: str
    code: str


# -- which faults there are -----------------------------------------------------------------------


def faults(code: str) -> list[Fault]:
    """Every fault of a module, in order of its lines."""
    wrapper = MetadataWrapper(cst.parse_module(code))
    where = wrapper.resolve(PositionProvider)
    found = []
    for node, statement in _places(wrapper.module, wrapper.module):
        for changed in _changes(node):
            mutated = deep_replace(wrapper.module, node, changed).code
            lines = range(where[statement].start.line, where[node].end.line + 1)
            was, becomes = _difference(code, mutated)
            found.append(Fault(lines, was, becomes, mutated))
    return found


def _places(node: Any, statement: Any) -> Iterator[tuple[Any, Any]]:
    """What may be changed, and the statement that it is in."""
    if _is_left_alone(node):
        return
    if isinstance(node, cst.SimpleStatementLine | cst.BaseCompoundStatement):
        statement = node
    yield node, statement
    top = isinstance(node, cst.Module)
    for child in node.children:
        if not (top and _names_a_type(child)):
            yield from _places(child, statement)


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
    return False


def _changes(node: Any) -> Iterator[Any]:
    for kind, operator in mutation_operators:
        if isinstance(node, kind):
            for changed in operator(node):
                yield changed
                if isinstance(node, cst.SimpleString):
                    break  # one other word is as good as three
    if isinstance(node, cst.Float):
        yield node.with_changes(value=repr(node.evaluated_value / 2))


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
class _Place:
    """A module and its tests. below : ``src/mien``, without the suffix."""

    below: str
    tests: str

    @property
    def name(self) -> str:
        return f"mien.{self.below.replace('/', '.')}"

    @property
    def path(self) -> Path:
        return ROOT / "src" / "mien" / f"{self.below}.py"

    @property
    def own(self) -> list[str]:
        """Its examples are tests, too."""
        return [self.tests, str(self.path.relative_to(ROOT))]


class _Changed(importlib.machinery.SourceFileLoader):
    """Loads one module from other text than its file's, wherever it is imported."""

    def __init__(self, name: str, path: Path, code: str) -> None:
        super().__init__(name, str(path))
        self._code = code

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._code, self.path, "exec")

    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        if name != self.name:
            return None
        return importlib.util.spec_from_file_location(name, self.path, loader=self)


class _Trial:
    """The tests of one fault, in this order; all where ``wanted`` is None."""

    def __init__(self, loader: Any, wanted: list[str] | None) -> None:
        self._loader, self._wanted = loader, wanted
        sys.meta_path.insert(0, loader)  # for what conftest.py imports

    def pytest_sessionstart(self) -> None:
        sys.meta_path.insert(0, self._loader)  # before pytest's own, which is there by now

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self._wanted is not None:
            place = {test: i for i, test in enumerate(self._wanted)}
            items[:] = [item for item in items if item.nodeid in place]
            items.sort(key=lambda item: place[item.nodeid])


def _pytest(own: list[str], plugin: object, temp: str) -> int:
    slow = "not (" + " or ".join(SLOW) + ")"
    quiet = ["-q", "-x", "-k", slow, "-p", "no:cacheprovider", "-p", "no:xdist"]
    quiet += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # of plugins that are loaded
    status = int(pytest.main([*quiet, f"--basetemp={temp}/pytest", *own], [plugin]))
    assert status != pytest.ExitCode.NO_TESTS_COLLECTED
    return status


def _apart(work: Callable[[], int], seconds: float) -> int:
    """The status of ``work`` in a process of its own; 124 where it does not end in time."""
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


class _Reached:
    """Notes which test reaches which lines of a file, and how long it takes."""

    def __init__(self, path: Path) -> None:
        self.path, self.seconds = path, defaultdict[str, float](float)
        self._coverage = coverage.Coverage(data_file=None, include=[str(path)], config_file=False)
        self._coverage.start()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._coverage.switch_context(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] += report.duration

    def lines(self) -> dict[int, list[str]]:
        self._coverage.stop()
        found: dict[int, list[str]] = self._coverage.get_data().contexts_by_lineno(str(self.path))
        return found


def reached(place: _Place, temp: str) -> tuple[dict[int, list[str]], dict[str, float]]:
    """By line, the tests that reach it, "" at import; and every test's seconds."""
    kept = Path(temp, "reached")

    def work() -> int:
        notes = _Reached(place.path)
        status = _pytest(place.own, notes, temp)
        foreign = [name for name in sys.modules if name.partition(".")[0] not in ("mien", "tests")]
        kept.write_bytes(pickle.dumps((notes.lines(), dict(notes.seconds), foreign)))
        return status

    if status := _apart(work, 900):
        raise SystemExit(f"{place.tests} fails as it is, with status {status}")
    lines, seconds, foreign = pickle.loads(kept.read_bytes())
    for name in foreign:  # once, and not in every process
        with suppress(Exception):
            importlib.import_module(name)
    return lines, seconds


def survives(code: str, place: _Place, tests: list[str] | None, temp: str) -> bool:
    """Whether these of a module's tests pass on other code in its place."""
    loader = _Changed(place.name, place.path, code)
    return _apart(lambda: _pytest(place.own, _Trial(loader, tests), temp), _LONGEST_S) == 0


def tried(short: str, most: int, seed: int, known: dict[str, list[Any]]) -> dict[str, Any]:
    """What became of a module's faults, or of ``most`` of them; 0 for all."""
    place = _Place(*MODULES[short])
    every = faults(place.path.read_text())
    drawn = every
    if 0 < most < len(every):
        drawn = random.Random(f"{seed}/{short}").sample(every, most)
    began, left = time.monotonic(), []
    with tempfile.TemporaryDirectory() as temp:
        lines, seconds = reached(place, temp)
        if not survives(place.path.read_text(), place, None, temp) or survives(
            "0/0", place, None, temp
        ):
            raise SystemExit(f"{place.name} is not what {place.tests} test")
        for number, fault in enumerate(sorted(drawn, key=lambda f: f.lines.start), 1):
            who = {test for line in fault.lines for test in lines.get(line, [])}
            chosen = None if "" in who else sorted(who, key=lambda test: seconds[test])
            if chosen == [] or survives(fault.code, place, chosen, temp):
                left.append(fault)
            if number % 20 == 0:
                print(f"{short}: {number} of {len(drawn)}, {len(left)} left", file=sys.stderr)
    why = {(one["was"], one["becomes"]): one["why"] for one in known.get(short, [])}
    killed, sampled = len(drawn) - len(left), len(drawn) < len(every)
    return {
        "mutants": len(every),
        "tried": len(drawn),
        "killed": killed,
        "survived": len(left),
        "share": round(killed / len(drawn), 4),
        "share_ci95": wilson(killed, len(drawn)) if sampled else None,
        "seconds": round(time.monotonic() - began),
        "survivors": [
            {"line": f.lines.start, "was": f.was, "becomes": f.becomes}
            | {"why": why.get((f.was, f.becomes))}
            for f in left
        ],
    }


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
    """Put faults into modules and count those their tests notice; status 1 where too few are."""
    os.chdir(ROOT)
    sys.path[:0] = [str(ROOT / "src"), str(ROOT)]
    known = tomllib.loads(KNOWN.read_text()) if KNOWN.exists() else {}
    found = {}
    for name in module or MODULES:
        found[name] = tried(name, sample, seed, known)
        print(name, {k: v for k, v in found[name].items() if k != "survivors"}, file=sys.stderr)
    from mien import provenance

    report = provenance.environment()
    report["versions"] |= {name: importlib.metadata.version(name) for name in ("mutmut", "pytest")}
    report |= {"seed": seed, "least": LEAST, "modules": found}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    raise typer.Exit(int(any(one["share"] < LEAST for one in found.values())))


if __name__ == "__main__":
    typer.run(main)
