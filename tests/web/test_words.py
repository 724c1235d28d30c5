"""The page's words: one table, whole in every language, and nothing in it that no view says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mien.labels import CANONICAL

SRC = Path(__file__).parents[2] / "web" / "page" / "src"
LANGUAGES = ["en", "de", "es", "ar"]
BUILT_UP = ("emotion.", "quality.", "nav.", "place.", "kind.", "commercial.", "state.")
"""What begins words that the source puts together from a name."""


@pytest.fixture(scope="module")
def words() -> dict[str, dict[str, str]]:
    table: dict[str, dict[str, str]] = json.loads((SRC / "words.json").read_text())
    return table


def test_every_word_is_in_every_language(words: dict[str, dict[str, str]]) -> None:
    for key, row in words.items():
        assert list(row) == LANGUAGES, key
        for language, text in row.items():
            assert text == text.strip() != "", f"{key} in {language}"


def test_what_is_filled_in_is_the_same_in_every_language(
    words: dict[str, dict[str, str]],
) -> None:
    for key, row in words.items():
        holes = {tuple(sorted(re.findall(r"\{(\w+)\}", text))) for text in row.values()}
        assert len(holes) == 1, key


def test_arabic_is_arabic(words: dict[str, dict[str, str]]) -> None:
    for key, row in words.items():
        assert re.search(r"[\u0600-\u06ff]", row["ar"]), key


def test_every_word_is_said_somewhere(words: dict[str, dict[str, str]]) -> None:
    code = "".join(p.read_text() for p in SRC.rglob("*.ts*"))
    said = set(re.findall(r'"([a-z]+(?:\.[a-z0-9_-]+)*)"', code))
    unsaid = {key for key in words if key not in said and not key.startswith(BUILT_UP)}
    assert unsaid == set()


def test_every_expression_has_its_word(words: dict[str, dict[str, str]]) -> None:
    for name in CANONICAL:
        assert f"emotion.{name}" in words
