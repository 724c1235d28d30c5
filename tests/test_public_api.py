"""What ``import mien`` promises: a change here is a change for every user."""

from __future__ import annotations

import importlib

import pytest

import mien

PUBLIC = {
    "Analyzer": "mien.analysis.pipeline",
    "BaseRates": "mien.expression.baserates",
    "Client": "mien.service.client",
    "Emotions": "mien.face",
    "Face": "mien.face",
    "Frame": "mien.face",
    "Intensity": "mien.face",
    "LabelSet": "mien.labels",
    "MienError": "mien.errors",
    "Quality": "mien.face",
    "RecognizedFace": "mien.face",
    "Settings": "mien.analysis.pipeline",
    "analyze_pictures": "mien.analysis.batch",
    "analyze_video": "mien.analysis.recording",
    "label_set": "mien.labels",
    "load_model": "mien.expression.recognize",
    "open_records": "mien.results.records",
    "read_frame": "mien.media.image",
    "record_of": "mien.results.records",
}


def test_the_public_names() -> None:
    assert sorted(mien.__all__) == sorted(PUBLIC)
    assert set(dir(mien)) == {*PUBLIC, "__version__"}


@pytest.mark.parametrize(("name", "module"), PUBLIC.items())
def test_every_name_is_its_module_s(name: str, module: str) -> None:
    assert getattr(mien, name) is getattr(importlib.import_module(module), name)
    assert getattr(mien, name).__module__ == module


def test_an_unknown_attribute() -> None:
    with pytest.raises(AttributeError, match="module 'mien' has no attribute 'Analyser'"):
        mien.Analyser  # noqa: B018
    assert not hasattr(mien, "np")


def test_from_mien_import_star() -> None:
    names: dict[str, object] = {}
    exec("from mien import *", names)
    assert set(PUBLIC) <= set(names)


def test_the_version() -> None:
    assert mien.__version__.count(".") == 2
