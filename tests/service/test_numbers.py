"""What other languages are told is what Python computes with."""

from __future__ import annotations

import json
from pathlib import Path

from mien.faces import proposals, quality
from mien.service import numbers
from mien.tracking import tracks

KEPT = Path(__file__).parents[2] / "web" / "packages" / "mien" / "models" / "numbers.json"


def test_the_kept_numbers_are_those_of_the_modules() -> None:
    assert KEPT.read_text() == numbers.text(), "make web writes them anew"


def test_they_are_numbers_that_json_holds_and_those_that_decide() -> None:
    told = json.loads(numbers.text())
    assert told["schema"] == "mien-numbers/1"
    assert told["quality"]["low"] == quality.LOW
    assert told["proposals"]["strides"] == list(proposals.STRIDES)
    assert told["tracks"]["search_s"] == tracks.SEARCH_S
    assert len(told["pose"]["from_table"]) == 3
