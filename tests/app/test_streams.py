"""Where nobody listens: standard streams that are closed or full, and terminals too narrow."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.app.running import MIEN, TIMEOUT_S, on_terminal, run
from tests.made import video


def with_streams(streams: str, *words: object) -> subprocess.CompletedProcess[str]:
    """With standard streams redirected as a shell writes it: ``>&-`` closes stdout."""
    script = f'exec "$@" {streams}'
    return subprocess.run(
        ["sh", "-c", script, "sh", *MIEN, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )


@pytest.mark.parametrize(
    "streams",
    ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full", "2>&- >/dev/full"],
)
@pytest.mark.parametrize("processes", [1, 2])
def test_closed_or_full_streams_and_the_work_is_done(
    streams: str, processes: int, smile: Path, landscape: Path, tmp_path: Path
) -> None:
    out = tmp_path / "o.jsonl"
    done = with_streams(
        streams, "analyze", smile, landscape, "--out", out, "--processes", processes
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["status"] for line in lines] == ["ok", "no_face"]


def test_closed_stderr_leaves_stdout_to_the_records(smile: Path, landscape: Path) -> None:
    done = with_streams("2>&-", "analyze", smile, landscape)
    assert done.returncode == 0
    assert len([json.loads(line) for line in done.stdout.splitlines()]) == 2


@pytest.mark.parametrize("words", [("analyze",), ("live", "--view", "none", "--record", "-")])
def test_closed_stdout_is_told_where_the_records_would_go(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    clip = video(tmp_path / "a.mp4", 3)
    done = with_streams(">&-", words[0], clip, *words[1:])
    assert done.returncode == 1
    assert "standard output is closed" in done.stderr


def test_closed_streams_of_a_live_run(tmp_path: Path) -> None:
    clip, out = video(tmp_path / "a.mp4", 3), tmp_path / "r.jsonl"
    done = with_streams("<&- >&- 2>&-", "live", clip, "--view", "none", "--record", out)
    assert done.returncode == 0
    assert out.read_text().count("\n") >= 1


def test_closed_stdin_is_the_end_of_the_records(tmp_path: Path) -> None:
    rules = tmp_path / "r.toml"
    rules.write_text('[[rule]]\nname = "joy"\nwhen = "happiness"\nabove = 0.6\nto = ["text"]\n')
    done = with_streams("<&-", "act", "run", rules, "--journal", tmp_path / "j.jsonl")
    assert (done.returncode, "0 alarms" in done.stderr) == (0, True), done.stderr


@pytest.mark.parametrize("streams", [">&-", ">/dev/full 2>/dev/full"])
def test_full_stdout_comes_behind_the_files(streams: str, smile: Path, tmp_path: Path) -> None:
    """A table that nobody gets must not cost the files that were asked for."""
    records = tmp_path / "a.jsonl"
    clip = video(tmp_path / "a.mp4", 4)
    assert run("analyze", clip, "--out", records).status == 0
    with_streams(streams, "summary", records, "--out", tmp_path / "s")
    assert (tmp_path / "s" / "summary.csv").is_file()


@pytest.mark.parametrize("columns", [1, 7, 20])
def test_narrow_terminal_leaves_nothing_out(columns: int, smile: Path) -> None:
    done = on_terminal("analyze", smile, columns=columns)
    assert done.status == 0
    shown = "".join(done.out.split())
    assert smile.name in shown
    assert "happiness" in shown
