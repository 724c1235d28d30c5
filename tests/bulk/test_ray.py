"""The same run on Ray: a cluster of one machine, begun and ended by the command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mien.bulk import cluster
from mien.bulk.engines import engine
from mien.bulk.progress import Progress
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
    assert contents(there) == contents(once)
    assert [row.source for row in rows(there)] == [row.source for row in rows(once)]


def _actor(pid: int) -> int | None:
    """The process, of all that one began, that keeps a worker."""
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, listed.read_text().split()):
            if b"mien.bulk.child" in Path(f"/proc/{child}/cmdline").read_bytes():
                return pid
            if found := _actor(child):
                return found
    return None


def test_what_a_lost_actor_had_is_done_by_another(inputs: Path, tmp_path: Path) -> None:
    once, there = tmp_path / "once", tmp_path / "there"
    run(asked(inputs, once), Here())
    workers, lost = engine("ray", 1, None), list[int]()

    def kill(progress: Progress) -> None:
        if progress.totals.files == 3 and (pid := _actor(os.getpid())):
            os.kill(pid, signal.SIGKILL)
            lost.append(pid)

    try:
        assert run(asked(inputs, there), workers, shown=kill).files == 11
    finally:
        workers.close()
    assert lost
    assert contents(there) == contents(once)


def test_what_takes_its_actor_with_it_each_time_is_told_when_the_rest_is_done(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = tmp_path / "plugin"
    plugin.mkdir()
    (plugin / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if any('default_worker.py' in word for word in sys.orig_argv):\n"
        "    from mien.bulk import keeper\n"
        "    kept = keeper.Keeper.do\n"
        "    def do(self, unit):\n"
        "        if unit.inputs[0].source.endswith('4.png'): os.kill(os.getpid(), 9)\n"
        "        return kept(self, unit)\n"
        "    keeper.Keeper.do = do\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{plugin}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setattr(cluster, "_LOSSES", 3)
    workers, out = engine("ray", 1, None), tmp_path / "out"
    try:
        with pytest.raises(ServiceError, match=r"4\.png was lost 3 times with the actor that had"):
            run(asked(inputs, out), workers)
    finally:
        workers.close()
    assert len(rows(out)) == 10


def test_a_cluster_that_does_not_answer_is_told() -> None:
    with pytest.raises(ServiceError, match=r"cannot reach a Ray cluster at 127\.0\.0\.1:9: "):
        engine("ray", None, "127.0.0.1:9")
