"""What a programmer hands in by mistake: told in words, with what to write instead."""

from __future__ import annotations

import csv
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mien
from mien.errors import ConfigError, InputError, OutputError, ShapeError, VideoError
from mien.face import ImageArray


@pytest.fixture(scope="module")
def analyzer() -> mien.Analyzer:
    return mien.Analyzer()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"model": 3}, "model is the name of a model or its file, got 3"),
        ({"detector": None}, "detector is the name of a detector, got None"),
        ({"crops": "yes"}, "crops is True or False, got 'yes'"),
        ({"threads": "2"}, "threads is a whole number, got '2'"),
        ({"threads": -1}, "threads lie between 0 and 1024, got -1"),
        ({"threads": 10_000}, "threads lie between 0 and 1024, got 10000"),
        ({"person": 7}, "person is a person's name, or None, got 7"),
    ],
)
def test_settings_of_another_kind(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=f"^{said}$"):
        mien.Settings(**settings)


@pytest.mark.parametrize("target", [None, 3, {"happiness": 1.0}, ["happiness"]])
def test_base_rates_of_another_kind(target: Any) -> None:
    with pytest.raises(ConfigError, match="the path of a JSON or TOML file with a rate per label"):
        mien.BaseRates(target)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: mien.Analyzer(_any("mien-tiny")),
            r"write mien.Analyzer\(mien.Settings\(model=...\)\)",
        ),
        (lambda: mien.Analyzer(_any({})), "settings is a mien.Settings, got {}"),
        (lambda: mien.Analyzer(recognizer=_any("mien")), r"mien.Settings\(model='mien'\)"),
        (lambda: mien.Analyzer(detector=_any("haar")), r"mien.Settings\(detector='haar'\)"),
    ],
)
def test_an_analyzer_of_names(make: Callable[[], object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make()


def _any(value: object) -> Any:
    return value


def test_an_analyzer_stays_in_its_process(analyzer: mien.Analyzer) -> None:
    with pytest.raises(TypeError, match="its settings do, and each process makes its own"):
        pickle.dumps(analyzer)


def test_a_picture_that_is_no_frame(analyzer: mien.Analyzer) -> None:
    rgb = _any(np.zeros((64, 64, 3), np.uint8))
    for take in (
        lambda: analyzer.analyze_frame(rgb),
        lambda: analyzer.find(rgb),
        lambda: analyzer.recognize(rgb, []),
        lambda: mien.record_of(rgb, []),
    ):
        with pytest.raises(InputError, match=r"takes a mien\.Frame, got ndarray; mien\.read_frame"):
            take()
    with pytest.raises(ShapeError, match="got list"):
        mien.Frame(_any([1]))


def test_paths_that_are_one(analyzer: mien.Analyzer, tmp_path: Path) -> None:
    """A text is many texts of one letter each: none of them is a file, and nothing came back."""
    for one in (str(tmp_path / "a.png"), tmp_path / "a.png"):
        with pytest.raises(InputError, match=r"several paths, got one: write \['.*a\.png'\]"):
            list(mien.analyze_pictures(_any(one), analyzer))
    with pytest.raises(InputError, match="paths of pictures, got ndarray"):
        list(mien.analyze_pictures([_any(np.zeros((64, 64, 3), np.uint8))], analyzer))


def test_a_recording_that_is_no_path(analyzer: mien.Analyzer) -> None:
    for given in (None, 0, b"\0\0\0\x20ftyp"):
        with pytest.raises(InputError, match="a path or the address of a stream, got"):
            next(mien.analyze_video(_any(given), analyzer))
    with pytest.raises(VideoError, match="File name too long"):
        next(mien.analyze_video("a" * 300, analyzer))
    with pytest.raises(ConfigError, match="a whole number, 1 or more, got nan"):
        next(mien.analyze_video("film.mp4", analyzer, every=_any(float("nan"))))


def test_a_record_of_what_is_not_recognised(analyzer: mien.Analyzer, astronaut: ImageArray) -> None:
    frame = mien.Frame(astronaut)
    found = analyzer.find(frame)
    with pytest.raises(InputError, match=r"only found; Analyzer.recognize\(frame, faces\) reads"):
        mien.record_of(frame, found)
    (face,) = analyzer.recognize(frame, found)
    with pytest.raises(InputError, match=r"a list of faces, got one face; write \[face\]"):
        mien.record_of(frame, _any(face))


def test_records_before_their_beginning_and_after_their_end(
    analyzer: mien.Analyzer, astronaut: ImageArray, tmp_path: Path
) -> None:
    frame = mien.Frame(astronaut)
    for name in ("faces.csv", "faces.jsonl", "faces.parquet"):
        path = tmp_path / name
        out = mien.open_records(path, analyzer)
        with pytest.raises(OutputError, match=r"with mien.open_records\(\.\.\.\) as out"):
            out.add(frame, [])
        with out:
            out.add(frame, [])
        written = path.read_bytes()
        with pytest.raises(OutputError, match="between its beginning and its end"):
            out.add(frame, [])
        out.__exit__(None, None, None)
        assert path.read_bytes() == written


def test_threads_share_records(
    analyzer: mien.Analyzer, astronaut: ImageArray, tmp_path: Path
) -> None:
    faces = analyzer.analyze(astronaut)
    at_once = threading.Barrier(4)

    def add(first: int) -> None:
        at_once.wait()
        for i in range(first, first + 100):
            out.add(mien.Frame(astronaut, index=i), faces)

    with (
        mien.open_records(tmp_path / "faces.csv", analyzer) as out,
        ThreadPoolExecutor(4) as pool,
    ):
        list(pool.map(add, range(0, 400, 100)))
    lines = (tmp_path / "faces.csv").read_text("utf-8-sig").splitlines()
    rows = list(csv.DictReader(lines))
    assert sorted(int(row["frame"]) for row in rows) == list(range(400))
    assert out.counts == {"ok": 400}
