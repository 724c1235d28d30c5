"""Texts of others (names of files, what a model says of itself) never steer a terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.app import console, terminal
from mien.errors import ModelError
from mien.evaluation import cards
from mien.results.records import JsonLines, of_error
from tests.app.running import Call, on_terminal, save
from tests.expression.test_recognize import meta, saved, tiny

STEERING = "\x1b]0;owned\x07 \x9b2J \x7f \u202e"


def of_licence(tmp_path: Path, licence: Any) -> Path:
    return saved(tmp_path, tiny(meta(card={"licence": licence})))


def is_plain(text: str) -> bool:
    return all(c.isprintable() or c == "\n" for c in text)


def test_a_model_s_card(call: Call, tmp_path: Path) -> None:
    done = call("models", "card", of_licence(tmp_path, STEERING))
    assert done.status == 0
    assert r"\x1b]0;owned\x07 \x9b2J \x7f \u202e" in done.out
    assert is_plain(done.out)


def test_a_model_s_card_on_a_terminal(tmp_path: Path) -> None:
    shown = on_terminal("models", "card", of_licence(tmp_path, "\x9b2J and \x07"), columns=100)
    assert shown.status == 0
    assert r"\x9b2J and \x07" in shown.out


def test_what_an_evaluation_and_a_training_tell(capfd: pytest.CaptureFixture[str]) -> None:
    faces = {"unreadable": {STEERING: STEERING}, "no_face": [STEERING], "faces": 1, "whole": 0}
    report = {
        "faces": faces | {"left_out": {"a": STEERING}},
        "labels": {STEERING: 3},
        "split": {
            "by": "subject",
            "tested": [STEERING],
            "as_seed": None,
            "labels_missing": {"select": [STEERING]},
        },
        "weights": "best",
        "figures": {},
    }
    console.trained(report)
    told = capfd.readouterr().err
    assert told.count(r"\x1b]0;owned") == 6
    assert is_plain(told)


def test_a_result_s_name_is_itself_in_a_pipe(capfd: pytest.CaptureFixture[str]) -> None:
    terminal.tell(STEERING)
    assert capfd.readouterr().out == STEERING + "\n"


def test_records_on_standard_output() -> None:
    import io

    stream, writer = io.BytesIO(), JsonLines(("a",))
    writer.start(stream)
    writer.write(of_error(f"{STEERING}ü.png", "no"))
    text = stream.getvalue().decode()
    assert is_plain(text.replace("\u202e", ""))
    assert "ü" in text
    assert json.loads(text)["source"] == f"{STEERING}ü.png"


@pytest.mark.parametrize(
    "card",
    [
        {"figures": 3},
        {"figures": [{}]},
        {"training": 3},
        {"training": {"counts": None}},
        {"deviations": ["a"]},
        {"read_anew": 3},
        {"training": {"counts": {}, "select": {"accuracy": 10**400}}},
    ],
)
def test_a_damaged_card_is_an_error_and_the_model_can_be_used(
    tmp_path: Path, card: dict[str, Any]
) -> None:
    path = saved(tmp_path, tiny(meta(card=card, intensity={"weights": None, "offsets": []})))
    with pytest.raises(ModelError, match="its card cannot be shown"):
        cards.of(str(path))


def test_a_table_s_cells_are_plain(tmp_path: Path) -> None:
    name = save(np.zeros((60, 60, 3), np.uint8), tmp_path / "\x1b[31mred.png")
    shown = on_terminal("analyze", name, columns=100)
    assert shown.status == 0
    assert "[31mred.png" in shown.out
