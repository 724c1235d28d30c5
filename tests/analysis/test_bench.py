"""The benchmark measures, and says of what and where."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import numpy as np
import pytest

from mien.analysis import bench
from mien.app import bench as verb
from mien.errors import UnknownName
from mien.faces import detect
from mien.weights import catalogue

TIMES = {"median_ms", "p5_ms", "p95_ms"}


def assert_times(times: dict[str, float]) -> None:
    assert {*times} == TIMES
    assert all(math.isfinite(value) and value > 0 for value in times.values())
    assert times["p5_ms"] <= times["median_ms"] <= times["p95_ms"]


def test_timed_is_in_milliseconds() -> None:
    times = bench.timed(lambda: time.sleep(0.01), 3)
    assert_times(times)
    assert 9 < times["p5_ms"] < 1000


def test_timed_warms_up_first() -> None:
    calls: list[float] = []

    def slow_at_first() -> None:
        calls.append(0)
        time.sleep(0.2 if len(calls) == 1 else 0)

    assert bench.timed(slow_at_first, 20)["p95_ms"] < 100
    assert len(calls) == 25


def test_what_the_report_holds() -> None:
    report = bench.bench(picture=np.zeros((90, 120, 3), np.uint8), repeat=2)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert [*report] == [
        *("date", "commit", "machine", "versions", "model", "recognition_one_thread"),
        *("detection", "picture", "peak_memory_mib"),
    ]
    assert report["model"]["name"] == catalogue.DEFAULT_MODEL
    assert len(report["model"]["sha256"]) == 64
    assert {*report["recognition_one_thread"]} == {"batch_1", "batch_64_per_face"}
    for times in report["recognition_one_thread"].values():
        assert_times(times)
    assert [*report["detection"]] == list(detect.detectors)
    assert_times(report["detection"]["haar"])
    assert "mien models pull yunet" in report["detection"]["yunet"]["missing"]
    assert report["picture"] == [90, 120, 3]
    assert report["machine"]["cores"] >= 1
    assert report["peak_memory_mib"] is None or 20 < report["peak_memory_mib"] < 1e6


def test_every_detector_that_is_here_is_timed(peer_models: Path) -> None:
    report = bench.bench(picture=np.zeros((90, 120, 3), np.uint8), repeat=1)
    for times in report["detection"].values():
        assert_times(times)


def test_an_unknown_model() -> None:
    with pytest.raises(UnknownName, match="did you mean resnet10-ferplus"):
        bench.bench("resnet-ferplus", repeat=1)


def test_the_verb_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    verb.bench(repeat=1)
    report = json.loads(capsys.readouterr().out)
    assert report["picture"] == [480, 640, 3]
