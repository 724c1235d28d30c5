"""The same run on Ray: a cluster of one machine, begun and ended by the command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mien.bulk.engines import engine
from mien.bulk.run import run
from mien.errors import ServiceError

from .conftest import contents
from .test_run import Here, asked, rows

pytest.importorskip("ray")


def test_rays_actors_come_to_the_same_bytes(inputs: Path, tmp_path: Path) -> None:
    once, there = tmp_path / "once", tmp_path / "there"
    run(asked(inputs, once), Here())
    words = ["bulk", str(inputs), "--crops", "--out", str(there), "--engine", "ray", "-p", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "mien", *words], capture_output=True, text=True, timeout=300
    )
    assert done.stderr.splitlines()[-1].startswith("11 files, 130 frames, "), done.stderr
    assert done.returncode == 1
    assert "ray.data" not in done.stderr  # nor what it is at: that is mien's to say
    assert "Dataset" not in done.stderr
    assert contents(there) == contents(once)
    assert [row.source for row in rows(there)] == [row.source for row in rows(once)]


def test_a_cluster_that_does_not_answer_is_told() -> None:
    with pytest.raises(ServiceError, match=r"cannot reach a Ray cluster at 127\.0\.0\.1:9: "):
        engine("ray", None, "127.0.0.1:9")


def test_a_cluster_that_may_ask_for_a_token_is_told_how(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray itself says no more than that it failed, after lines of its own about a token."""

    def refused(**_: object) -> None:
        raise ConnectionError("Failed to connect to Ray cluster at 127.0.0.1:6379\nand more")

    import ray

    monkeypatch.setattr(ray, "init", refused)
    with pytest.raises(ServiceError, match=r":6379; where it asks for a token, RAY_AUTH_MODE=tok"):
        engine("ray", None, "auto")


def test_a_machine_too_busy_to_start_ray_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray raises no more than an Exception then."""

    def too_slow(**_: object) -> None:
        raise Exception("The current node timed out during startup. This could happen because")

    import ray

    monkeypatch.setattr(ray, "init", too_slow)
    with pytest.raises(ServiceError, match=r"cannot start Ray .* timed out .* --engine local"):
        engine("ray", None, None)
