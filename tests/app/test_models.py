"""``mien models`` as a person runs it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mien.weights import catalogue
from tests.app.running import Call


def test_a_damaged_file_of_the_catalogue(
    call: Call, smile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIEN_MODELS", str(tmp_path))
    (tmp_path / catalogue.spec("yunet").file).write_bytes(b"damaged")
    done = call("analyze", smile, "-d", "yunet")
    assert done.status == 1
    assert "is damaged or another version: its sha256" in done.err
    assert "damaged: " + str(tmp_path) in call("models", "list").out


def test_in_a_pipe_no_line_is_folded(call: Call) -> None:
    listed, default = call("models", "list").out, catalogue.spec(catalogue.DEFAULT_MODEL)
    for said in (default.licence, default.trained_on, f"commercial use: {default.commercial}"):
        assert said in listed
    assert call("models", "card").out.startswith(f"# {catalogue.DEFAULT_MODEL}\n")


def test_every_model_is_listed(call: Call) -> None:
    listed = call("models", "list").out
    for spec in catalogue.CATALOGUE.values():
        assert re.search(rf"^{spec.name} +{spec.kind}$", listed, re.MULTILINE)
        assert spec.about in listed
