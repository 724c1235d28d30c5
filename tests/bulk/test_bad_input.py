"""What goes wrong around a run: disks, machines, and files that change while they are read."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from mien.analysis import batch, ranges
from mien.analysis.pipeline import Settings
from mien.bulk.engines import Local
from mien.bulk.request import Request
from mien.bulk.run import run, status
from mien.errors import ConfigError, InputError, OutputError
from mien.results.records import Record
from tests import made

from .conftest import CROPS, contents, in_processes
from .test_run import Here, asked, rows


def test_names_that_differ_only_in_case_and_one_listed_twice_keep_their_own_records(
    tmp_path: Path,
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    made.picture(source / "face.png", 1, 48)
    made.picture(source / "Face.png", 2, 64)
    names = ("face.png", "Face.png", "face.png")
    (source / "list.csv").write_text("source\n" + "".join(f"{name}\n" for name in names))
    assert run(asked(source / "list.csv", out), Here()).files == 3
    assert [Path(row.source).name for row in rows(out)] == [*names]
    records = sorted(contents(out))
    assert len({name.casefold() for name in records}) == 3
    widths = [pq.read_table(out / name).column("x1").to_pylist() for name in records]
    assert widths == [[48.0], [64.0], [48.0]]


def test_a_folder_begun_with_another_model_is_refused(inputs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(asked(inputs, out), Here())
    other = Request(str(inputs), str(out), Settings(model="mien-tiny", crops=True, threads=1))
    with pytest.raises(ConfigError, match=r"model .*, and this is .*mien-tiny"):
        run(other, Here())


def test_a_disk_that_takes_no_more_ends_the_run_and_the_same_command_goes_on(
    inputs: Path, tmp_path: Path
) -> None:
    """By the system's own limit of a file's length, which holds for the workers, too."""
    once, out = tmp_path / "once", tmp_path / "out"
    run(asked(inputs, once), Here())
    most = max(len(content) for content in contents(once).values()) - 1

    def bulk(limit: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "mien", "bulk", str(inputs), "--out", str(out), *CROPS],
            capture_output=True,
            text=True,
            timeout=120,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        )

    full = bulk(most)
    assert full.returncode == 1
    assert full.stderr.splitlines()[-1].endswith("File too large"), full.stderr
    assert f"cannot write {out}/records/" in full.stderr
    assert "Traceback" not in full.stderr
    assert not list(out.rglob("*.part"))
    assert len(rows(out)) == 10
    assert "11 files, 130 frames" in bulk(resource.RLIM_INFINITY).stderr
    assert contents(out) == contents(once)


def test_a_worker_of_another_version_ends_the_run(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a machine that comes back to a cluster with an older mien."""
    in_processes(
        "import sys\n"
        "if 'mien.bulk.child' in sys.orig_argv:\n"
        "    from mien.analysis import kept\n"
        "    kept.__version__ = '0.0.1'\n",
        tmp_path,
        monkeypatch,
    )
    out = tmp_path / "out"
    with pytest.raises(ConfigError, match=r"this machine has version 0\.0\.1, and the run was"):
        run(asked(inputs, out), Local(1))
    assert rows(out) == []


def test_what_grows_while_it_is_read_is_an_error_until_it_is_whole(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, kept = tmp_path / "out", batch.analyze_files

    def grows(jobs: list[batch.Job], *more: object) -> Iterator[Record]:
        for number, record in enumerate(kept(jobs, *more)):  # type: ignore[arg-type]
            if number == 0 and Path(jobs[0].path).name in ("4.png", "film.mp4"):
                with Path(jobs[0].path).open("ab") as stream:
                    stream.write(b"more")
            yield record

    with monkeypatch.context() as patched:
        patched.setattr(batch, "analyze_files", grows)
        assert run(asked(inputs, out), Here()).errors == 3
    told = {Path(row.source).name: row.reason for row in rows(out) if row.status == "error"}
    assert sorted(told) == ["4.png", "broken.png", "film.mp4"]
    for name in ("4.png", "film.mp4"):
        assert (told[name] or "").startswith("it changes while it is read: ")
    assert run(asked(inputs, out), Here(), retry_errors=True).errors == 1


def test_a_folder_that_is_no_runs_keeps_all_it_holds(inputs: Path, tmp_path: Path) -> None:
    """Such as what a browser has begun to load there."""
    downloads = tmp_path / "downloads"
    (downloads / "sub").mkdir(parents=True)
    names = ("film.mp4.part", "sub/song.part", "sub/notes.12ab34cd.part")
    for name in names:
        (downloads / name).write_bytes(b"half")
    with pytest.raises(OutputError, match="holds other things"):
        run(asked(inputs, downloads), Here())
    assert all((downloads / name).exists() for name in names)


def test_only_what_a_run_had_begun_to_write_is_swept_up(inputs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(asked(inputs, out), Here())
    (out / "film.mp4.part").write_bytes(b"half")
    (out / "records" / "x.parquet.12ab34cd.part").write_bytes(b"half")
    run(asked(inputs, out), Here())
    assert [path.name for path in out.rglob("*.part")] == ["film.mp4.part"]


def test_a_run_begins_beside_what_hidden_files_and_killed_beginnings_leave(
    inputs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in (".DS_Store", "inputs.parquet", "run.json.12ab34cd.part"):
        (out / name).write_bytes(b"")
    assert run(asked(inputs, out), Here()).files == 11
    assert not list(out.glob("*.part"))


def test_an_output_that_is_a_file_is_told(inputs: Path, tmp_path: Path) -> None:
    for ask in (lambda out: run(asked(inputs, out), Here()), lambda out: status(str(out))):
        with pytest.raises(OutputError, match="it is a file, and no folder"):
            ask(inputs / "0.png")


def test_names_that_cannot_be_files_are_errors_beside_their_neighbours(
    inputs: Path, tmp_path: Path
) -> None:
    out, long = tmp_path / "out", "a" * 300
    names = ["0.png", f"{long}.png", "1.png/x.png", "broken.png", f"{long}.mp4", "2.png"]
    (inputs / "list.csv").write_text("source\n" + "".join(f"{name}\n" for name in names))
    assert run(asked(inputs / "list.csv", out), Here()).errors == 4
    reasons = [(row.reason or "").replace(row.source, "it") for row in rows(out)]
    assert reasons[1] == reasons[4] == "cannot read it: File name too long"
    assert reasons[2] == "no such file: it"
    assert [row.status for row in rows(out)].count("done") == 2


def test_a_name_that_is_no_text_is_read_as_any_other(inputs: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"m\xfcller.png")
    (inputs / "0.png").rename(inputs / name)
    (inputs / "broken.png").rename(inputs / os.fsdecode(b"br\xfcchig.png"))
    out, told = tmp_path / "out", f"{inputs}/m\\udcfcller.png"
    with pytest.raises(KeyboardInterrupt):
        run(asked(inputs, out), Here(2))
    totals = run(asked(inputs, out), Here(), retry_errors=True)
    assert (totals.files, totals.errors) == (11, 1)
    assert told in {row.source for row in rows(out) if row.status == "done"}
    assert told in pq.read_table(out / "records").column("source").to_pylist()
    with pytest.raises(InputError, match="not spelled in UTF-8; rename it"):
        run(asked(inputs, tmp_path / name), Here())


def test_ranges_of_a_recording_that_changed_are_not_joined_with_its_own(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that was at a range as the recording grew leaves it behind."""
    monkeypatch.setattr(ranges, "WARM_S", 1.0)
    monkeypatch.setattr(ranges, "WARM_FRAMES", 10)
    film, out, once = inputs / "film.mp4", tmp_path / "out", tmp_path / "once"
    whole = made.video(tmp_path / "whole.mp4", frames=160, fps=16, codec="h264").read_bytes()
    with pytest.raises(KeyboardInterrupt):
        run(asked(inputs, out, length_s=3.0), Here(14))
    left = tmp_path / "left"
    shutil.copytree(out / "ranges", left)
    assert len(list(left.rglob("*.gz"))) == 3
    film.write_bytes(whole)
    assert run(asked(inputs, out, length_s=3.0), Here()).errors == 2
    shutil.copytree(left, out / "ranges", dirs_exist_ok=True)
    assert run(asked(inputs, out, length_s=3.0), Here(), retry_errors=True).errors == 1
    run(asked(inputs, once, length_s=3.0), Here())
    assert contents(out) == contents(once)
    assert not list((out / "ranges").rglob("*.gz"))


def test_a_fault_of_a_worker_is_told(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_processes(
        "import sys\n"
        "if 'mien.bulk.child' in sys.orig_argv:\n"
        "    from mien.analysis import batch\n"
        "    kept = batch.run_job\n"
        "    def run_job(analyzer, job, begun=None):\n"
        "        return kept(analyzer, None if job.path.name == '4.png' else job, begun)\n"
        "    batch.run_job = run_job\n",
        tmp_path,
        monkeypatch,
    )
    out = tmp_path / "out"
    assert run(asked(inputs, out, tries=1), Local(1)).errors == 2
    (aside,) = [row for row in rows(out) if row.source.endswith("4.png")]
    assert (aside.reason or "").startswith("reading it ended the process (AttributeError: 'None")


def test_a_recording_that_is_read_in_part_is_told_and_read_again(tmp_path: Path) -> None:
    film, out = made.video(tmp_path / "in" / "film.mkv", frames=120, codec="h264"), tmp_path / "out"
    whole = film.read_bytes()
    film.write_bytes(whole[: len(whole) * 2 // 3])
    mien = [sys.executable, "-m", "mien", "bulk", str(film.parent), "--out", str(out), *CROPS]

    def bulk(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*mien, *words], capture_output=True, text=True, timeout=120)

    cut = bulk()
    assert cut.returncode == 1
    assert "0 errors, 1 read in part -> " in cut.stderr
    assert f"mien: {film}: the file is cut off: it ends after " in cut.stderr
    told = subprocess.run([*mien[:4], "status", out], capture_output=True, text=True, timeout=60)
    assert told.stdout.startswith("1 of 1 files are done, 0 of them errors, 1 read in part\n")
    film.write_bytes(whole)
    assert bulk().returncode == 1
    again = bulk("--retry-errors")
    assert (again.returncode, "120 frames" in again.stderr) == (0, True)
    assert "in part" not in again.stderr
