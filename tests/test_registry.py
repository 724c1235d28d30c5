"""Names and what they stand for."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from mien import errors, registry
from mien.alarms import outputs
from mien.data.sets import importers
from mien.expression.recognize import recognizers
from mien.faces import detect
from mien.registry import Registry
from mien.results import records
from mien.training.models import landmark_networks, networks, proposal_networks

ALL = [
    detect.detectors,
    records.writers,
    outputs,
    importers,
    networks,
    landmark_networks,
    proposal_networks,
    recognizers,
]


@pytest.mark.parametrize("those", ALL, ids=lambda those: str(those.kind))
def test_every_place_holds_a_factory(those: Registry[object]) -> None:
    for place in vars(those)["_factories"].values():
        assert callable(registry._imported(place) if isinstance(place, str) else place)


def test_a_module_is_imported_when_its_name_is_asked_for() -> None:
    code = (
        "import sys; from mien.faces import detect; assert 'mien' in detect.detectors; "
        "print([n for n in sys.modules if n.startswith('mien.faces.detectors.')]); "
        "detect.build('haar'); "
        "print([n for n in sys.modules if n.startswith('mien.faces.detectors.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n['mien.faces.detectors.haar']\n"


def test_a_table_s_names_come_first_and_are_built_like_others() -> None:
    nets: Registry[object] = Registry("net", {"fraction": "fractions:Fraction"})

    @nets.register("whole")
    def whole() -> int:
        return 3

    assert list(nets) == ["fraction", "whole"]
    assert nets.build("fraction", 1, 2) == importlib.import_module("fractions").Fraction(1, 2)
    assert nets.build("fraction", denominator=4, numerator=1) == 0.25
    assert nets.build("whole") == 3


def test_a_name_is_registered_once() -> None:
    nets: Registry[object] = Registry("net", {"fraction": "fractions:Fraction"})
    with pytest.raises(AssertionError, match="net fraction registered twice"):
        nets.register("fraction")(int)


def test_a_misspelt_name_is_told_the_nearest_one_without_importing_any() -> None:
    nets: Registry[object] = Registry("net", {"alpha": "mien.nowhere:alpha"})
    with pytest.raises(errors.UnknownName, match="no net called 'alpa'; did you mean alpha"):
        nets.build("alpa")
