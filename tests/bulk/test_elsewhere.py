"""Sources and results that lie in an object store: S3, by a server of this machine."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow.fs as fs
import pytest

from mien.analysis.pipeline import Settings
from mien.bulk import ledger, store
from mien.bulk.fetch import fetched
from mien.bulk.ledger import Ledger
from mien.bulk.listing import Input, listed
from mien.bulk.request import Request
from mien.bulk.run import run
from mien.bulk.store import Store
from mien.errors import InputError, OutputError
from mien.secrecy import public
from tests import made
from tests.servers import free_port

from .conftest import contents, in_processes
from .test_run import Here, asked

pytest.importorskip("moto")

BUCKET = "faces"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of an S3 server, empty but for a bucket."""
    words = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", "0"]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stderr
    address = next(line.split()[-1] for line in process.stderr if "Running on http" in line)
    telling = threading.Thread(target=process.stderr.read)  # it would wait for a reader
    telling.start()
    try:
        yield address.removeprefix("http://").rstrip("/")
    finally:
        process.kill()
        process.wait()
        telling.join()
        process.stderr.close()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An address of a folder that is new."""
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "someone"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", f"http://{server}"),
    ):
        monkeypatch.setenv(name, value)
    made, path = fs.FileSystem.from_uri(f"s3://{BUCKET}?allow_bucket_creation=true")
    made.create_dir(path)
    return f"s3://{BUCKET}/{time.monotonic_ns()}"


def put(folder: Path, address: str) -> None:
    files, path = fs.FileSystem.from_uri(address)
    for each in folder.iterdir():
        with files.open_output_stream(f"{path}/{each.name}", compression=None) as stream:
            stream.write(each.read_bytes())


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """As ``bucket``, by a server of Google's kind."""
    pytest.importorskip("gcp_storage_emulator")
    port = str(free_port())
    words = ["start", "--host", "127.0.0.1", "--port", port, "--in-memory"]
    process = subprocess.Popen(
        [sys.executable, "-m", "gcp_storage_emulator", *words, "--default-bucket", BUCKET],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    assert any("All services started" in line for line in process.stderr)
    telling = threading.Thread(target=process.stderr.read)  # it would wait for a reader
    telling.start()
    monkeypatch.setenv("CLOUD_STORAGE_EMULATOR_ENDPOINT", f"http://127.0.0.1:{port}")
    try:
        yield f"gs://anonymous@{BUCKET}/{time.monotonic_ns()}"
    finally:
        process.kill()
        process.wait()
        telling.join()
        process.stderr.close()


@pytest.mark.parametrize("kind", ["bucket", "cloud"])
def test_read_from_an_object_store_and_written_to_it_as_on_a_disk(
    kind: str, request: pytest.FixtureRequest, inputs: Path, tmp_path: Path
) -> None:
    bucket: str = request.getfixturevalue(kind)
    here, there = tmp_path / "out", f"{bucket}/out"
    run(asked(inputs, here), Here())
    put(inputs, f"{bucket}/in")
    wanted = Request(f"{bucket}/in", there, Settings(crops=True, threads=1))
    with pytest.raises(KeyboardInterrupt):
        run(wanted, Here(5))
    totals = run(wanted, Here())
    assert (totals.files, totals.errors, totals.frames) == (11, 1, 130)
    store, disk = Store(there), Store(str(here))
    names = store.names("records", ".parquet")
    assert names == disk.names("records", ".parquet")
    import pyarrow.parquet as pq

    for name in names:
        with store.files.open_input_file(f"{store.path}/{name}") as stream:
            got = pq.read_table(stream).to_pylist()
        for row in got:
            row["source"] = row["source"].replace(public(f"{bucket}/in"), str(inputs))
            row["reason"] = row["reason"] and row["reason"].replace(
                public(f"{bucket}/in"), str(inputs)
            )
        assert got == pq.read_table(here / name).to_pylist()
    assert contents(here)
    assert store.names("ranges", "") == []
    assert not store.exists("lock.json")


NAMES = ("a b.png", "x%20y.png", "50%.png", "a#1.png", "a+b.png", "what?.png", "\u00fcber.png")


def test_names_of_a_store_may_have_all_signs(bucket: str) -> None:
    files, path = fs.FileSystem.from_uri(bucket)
    for name in NAMES:
        with files.open_output_stream(f"{path}/in/{name}") as stream:
            stream.write(name.encode())
    found = listed(f"{bucket}/in")
    assert [each.source for each in found] == sorted(f"{bucket}/in/{name}" for name in NAMES)
    with fetched(found, 1) as places:
        read = [place.read_text() for place in places.values() if isinstance(place, Path)]
    assert read == sorted(NAMES)


def test_a_name_that_arrow_has_no_path_for_is_an_error_of_its_own(bucket: str) -> None:
    asked = [Input(0, f"{bucket}/in//face.png", None)]
    with fetched(asked, 1) as places:
        assert str(places[0]) == (
            f"cannot read {bucket}/in//face.png: Empty path component in path "
            f"{bucket.removeprefix('s3://')}/in//face.png"
        )


def test_who_logs_in_is_kept_nowhere(
    bucket: str, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(inputs, f"{bucket}/in")
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "list.csv").write_text("source\n../in/0.png\n1.png\n")
    put(tmp_path / "list", f"{bucket}/in")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    out, mine = tmp_path / "out", bucket.replace("://", "://anna:topsecret@")
    for number, source in enumerate((f"{mine}/in", f"{mine}/in/list.csv")):
        out = tmp_path / f"out-{number}"
        wanted = Request(source, str(out), Settings(crops=True, threads=1))
        with pytest.raises(KeyboardInterrupt):
            run(wanted, Here(1))
        totals = run(wanted, Here(), retry_errors=True)
        assert (totals.files, totals.errors) == ((11, 1), (2, 0))[number]
        for path in out.rglob("*"):
            assert path.is_dir() or b"topsecret" not in path.read_bytes(), path
        assert f"{bucket}/in" in json.loads((out / "run.json").read_text())["source"]


def test_copies_that_find_no_room_end_the_run(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They say nothing of the file, which another disk has room for."""

    def full(*streams: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    out = tmp_path / "out"
    request = Request(f"file://{inputs}", str(out), Settings(crops=True, threads=1))
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copyfileobj", full)
        with pytest.raises(OutputError, match=r"No space left on device; .* TMPDIR names another"):
            run(request, Here())
    assert run(request, Here()).errors == 1


@pytest.mark.parametrize("ends", ["worker", "driver"])
def test_no_copies_are_left_of_a_run_that_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    """They may be pictures of people. Who decodes them stands still, or is killed."""
    scratch, inputs = tmp_path / "scratch", tmp_path / "in"
    made.picture(inputs / "face.png", 1, 48)
    scratch.mkdir()
    does = "os.kill(os.getpid(), 9)" if ends == "worker" else "time.sleep(60)"
    in_processes(
        "import os, sys, time\n"
        "if 'mien.bulk.child' in sys.orig_argv:\n"
        "    from mien.analysis import batch\n"
        f"    batch.analyze_files = batch.run_job = lambda *more: {does}\n",
        tmp_path,
        monkeypatch,
    )
    monkeypatch.setenv("TMPDIR", str(scratch))
    mien = [sys.executable, "-m", "mien", "bulk", f"file://{inputs}", "--crops", "--tries", "1"]
    process = subprocess.Popen(
        [*mien, "-p", "1", "--out", str(tmp_path / "out")], stderr=subprocess.DEVNULL
    )
    if ends == "driver":
        wait_for(lambda: list(scratch.rglob("*.png")))
        process.kill()
    process.wait(120)
    wait_for(lambda: not list(scratch.glob("mien-*")))


def wait_for(holds: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_an_address_may_say_how_its_store_is_reached(
    bucket: str, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, path = fs.FileSystem.from_uri(bucket)
    with files.open_output_stream(f"{path}/in/a.png") as stream:
        stream.write(b"a")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    source = f"{bucket}/in?scheme=http&endpoint_override={server}"
    found = listed(source)
    assert [each.source for each in found] == [f"{bucket}/in/a.png"]
    with fetched(found, 1, source) as places:
        assert isinstance(places[0], Path)
    store = Store(source.replace("/in?", "/out?"))
    store.write("a.txt", b"a")
    assert store.names("", ".txt") == ["a.txt"]


def test_hadoop_without_its_client_is_told(tmp_path: Path) -> None:
    nowhere = dict.fromkeys(("JAVA_HOME", "HADOOP_HOME", "ARROW_LIBHDFS_DIR"), str(tmp_path))
    words = [sys.executable, "-m", "mien", "bulk", "hdfs://127.0.0.1:9/in", "--out", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, env=os.environ | nowhere)
    assert done.returncode == 2
    assert "cannot reach hdfs://127.0.0.1:9: Unable to load lib" in done.stderr
    assert (
        "JAVA_HOME names a Java, HADOOP_HOME or ARROW_LIBHDFS_DIR where libhdfs is" in done.stderr
    )
    assert "Traceback" not in done.stderr


def test_googles_store_is_given_up_soon_and_its_credentials_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_GIVE_UP_S", 1)
    monkeypatch.setenv("GCE_METADATA_ROOT", "127.0.0.1:9")  # where its own machines ask
    monkeypatch.setenv("HOME", str(tmp_path))  # a developer's own are there
    with pytest.raises(
        InputError, match=r"check the credentials: .*GOOGLE_APPLICATION_CRED"
    ) as err:
        listed("gs://nobodys/in")
    assert "error_info" not in str(err.value)


def test_what_is_not_there_is_told(bucket: str) -> None:
    with pytest.raises(InputError, match="no such file or folder: s3://faces/"):
        listed(f"{bucket}/nowhere")
    with pytest.raises(InputError, match="s3://nobody"):
        listed("s3://nobody/in")
    gone = Input(3, f"{bucket}/gone.png", None)
    with fetched([gone], 1) as places:
        assert str(places[3]) == f"no such file: {bucket}/gone.png"


def test_an_object_store_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "wrong")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(InputError, match=r"cannot read s3://faces/in: .*(onnect|curl)"):
        listed("s3://faces/in")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks are waited for, but not for long."""
    monkeypatch.setattr(ledger, "_RENEWED_S", 0.2)
    monkeypatch.setattr(ledger, "_PATIENCE_S", 1.0)


def test_of_two_runs_that_begin_at_once_one_is_refused(bucket: str) -> None:
    ready, over = threading.Barrier(2), threading.Barrier(2)

    def begin(_: int) -> str:
        out = Ledger(Store(f"{bucket}/out"))
        assert not out.store.exists("lock.json")
        ready.wait(10)
        try:
            with out.alone():
                over.wait(10)
                return ""
        except OutputError as err:
            over.wait(10)
            return str(err)

    with ThreadPoolExecutor(2) as pool:
        mine, theirs = sorted(pool.map(begin, range(2)))
    assert mine == ""
    assert theirs == f"mien bulk goes on in {bucket}/out already; wait for it"


def test_a_lock_in_a_store_is_waited_for_and_refused_while_it_is_renewed(bucket: str) -> None:
    out = Ledger(Store(f"{bucket}/out"))
    refused = pytest.raises(OutputError, match="mien bulk goes on in s3://faces/")
    with out.alone(), refused, Ledger(Store(f"{bucket}/out")).alone():
        pass
    out.store.write("lock.json", json.dumps({"run": "killed", "at": 0}).encode())
    with out.alone():
        assert json.loads(out.store.read("lock.json"))["run"] != "killed"
    assert not out.store.exists("lock.json")


def test_a_run_that_another_took_over_ends_and_leaves_the_lock(bucket: str) -> None:
    out = Ledger(Store(f"{bucket}/out"))
    theirs = json.dumps({"run": "another", "at": time.time()}).encode()
    taken = pytest.raises(OutputError, match=f"another run of mien bulk took {bucket}/out over")
    with taken, out.alone() as still_alone:
        still_alone()
        end = time.monotonic() + 10
        while time.monotonic() < end:
            out.store.write("lock.json", theirs)  # again: it may have been signed over just then
            still_alone()
            time.sleep(0.05)
    assert out.store.read("lock.json") == theirs


def test_a_store_that_fails_for_a_moment_costs_no_lock(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Ledger(Store(f"{bucket}/out"))
    failed, read = threading.Event(), Store.read

    def once(store: Store, name: str) -> bytes:
        if not failed.is_set():
            failed.set()
            raise OSError("timed out")
        return read(store, name)

    with out.alone() as still_alone:
        monkeypatch.setattr(Store, "read", once)
        assert failed.wait(10)
        signed, end = out.store.read("lock.json"), time.monotonic() + 10
        while out.store.read("lock.json") == signed:
            assert time.monotonic() < end
            time.sleep(0.05)
        still_alone()


def test_read_by_fsspec_and_written_by_it_as_on_a_disk(inputs: Path, tmp_path: Path) -> None:
    """What Arrow has no file system of its own for: fsspec's, as gs:// and hdfs:// may be."""
    fsspec = pytest.importorskip("fsspec")
    here, memory = tmp_path / "out", f"memory://{time.monotonic_ns()}"
    run(asked(inputs, here), Here())
    for each in inputs.iterdir():
        with fsspec.open(f"{memory}/in/{each.name}", "wb") as stream:
            stream.write(each.read_bytes())
    request = Request(f"{memory}/in", f"{memory}/out", Settings(crops=True, threads=1))
    with pytest.raises(KeyboardInterrupt):
        run(request, Here(5))
    totals = run(request, Here())
    assert (totals.files, totals.errors, totals.frames) == (11, 1, 130)
    store, disk = Store(f"{memory}/out"), Store(str(here))
    assert store.names("records", ".parquet") == disk.names("records", ".parquet")
    assert len(Ledger(store).inputs()) == 11
    assert store.names("", ".part") == []
    with pytest.raises(InputError, match="no such file or folder: memory://"):
        listed(f"{memory}/nowhere")


def test_an_address_of_a_file_is_that_file(inputs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    request = Request(f"file://{inputs}", f"file://{out}", Settings(crops=True, threads=1))
    assert run(request, Here()).files == 11
    assert run(request, Here(0)).files == 11
    assert contents(out)


class Forbidden(BaseHTTPRequestHandler):
    """An object store that knows nobody's credentials."""

    code = "InvalidAccessKeyId"

    def answer(self) -> None:
        why = f"<Error><Code>{self.code}</Code><Message>no such key</Message></Error>".encode()
        self.send_response(403)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(why)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(why)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def forbidden(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Forbidden)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "wrong"),
        ("AWS_SECRET_ACCESS_KEY", "a-secret"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}"),
    ):
        monkeypatch.setenv(name, value)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.usefixtures("forbidden")
def test_credentials_that_are_wrong_are_told_with_what_to_do(inputs: Path, tmp_path: Path) -> None:
    says = r"s3://faces/.*: access is denied .*; check the credentials: AWS_ACCESS_KEY_ID"
    with pytest.raises(InputError, match=says) as told:
        listed("s3://faces/in")
    assert "a-secret" not in str(told.value)
    with fetched([Input(0, "s3://faces/a.png", None)], 1) as places:
        assert "check the credentials: AWS_ACCESS_KEY_ID" in str(places[0])
    with pytest.raises(OutputError, match=says):
        run(Request(str(inputs), "s3://faces/out", Settings(crops=True, threads=1)), Here())
    mien = [sys.executable, "-m", "mien", "bulk", "s3://faces/in", "--out", str(tmp_path / "out")]
    done = subprocess.run(mien, capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "check the credentials: AWS_ACCESS_KEY_ID" in done.stderr
    assert not (tmp_path / "out").exists()
