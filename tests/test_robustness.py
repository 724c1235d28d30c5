"""A share of benchmarks/robustness.py: files of others, damaged at random, end nothing.

The whole of it runs by night, with the same seeds: input 123 here is input 123 there.
"""

from __future__ import annotations

import importlib.util
import random
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "robustness.py"


def _loaded(path: Path) -> Any:
    """A script, which is no part of a package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # where its dataclasses look for their own
    spec.loader.exec_module(module)
    return module


robustness = _loaded(SCRIPT)
SHARE = 0.05
MOST_MIB = 1500


@pytest.mark.parametrize("kind", robustness.KINDS)
def test_damaged_files_are_read_or_refused(kind: str) -> None:
    count = round(SHARE * robustness.KINDS[kind].count)
    tally = robustness.counted(kind, robustness.SEED, count)
    assert tally.tracebacks == {}
    assert (tally.ended, tally.endless) == ([], [])
    assert tally.inputs == count == tally.read + tally.refused
    assert tally.peak_mib < MOST_MIB


@pytest.mark.parametrize("kind", robustness.KINDS)
def test_both_ends_are_met(kind: str) -> None:
    """Damage that everything survives, or nothing, would try nothing."""
    tally = robustness.hammer(kind, range(40 if kind == "base_rates" else 12))
    assert tally.read
    assert tally.refused or kind == "journals"  # of which nothing that is no alarm is an error


def test_an_input_is_made_again_by_its_number() -> None:
    for kind in ("pictures", "rules", "records"):
        first, again = (robustness.made(kind, 17, 5) for _ in range(2))
        assert first == again
        assert first != robustness.made(kind, 18, 5)


def test_a_traceback_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(path: object) -> None:
        raise ZeroDivisionError("made")

    def make(rng: random.Random) -> tuple[str, bytes]:
        return ".txt", b""

    monkeypatch.setitem(robustness.KINDS, "made", robustness.Kind(3, make, read))
    tally = robustness.hammer("made", range(3))
    assert tally.faults == tally.inputs == 3
    (where,) = tally.tracebacks
    assert "ZeroDivisionError: made" in where
