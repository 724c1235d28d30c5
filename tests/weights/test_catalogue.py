"""Weight files: found in order, checked always, fetched whole or not at all."""

from __future__ import annotations

import hashlib
import http.server
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mien.errors import ConfigError, ModelError, OutputError, UnknownName, WeightsMissing
from mien.weights import catalogue
from mien.weights.catalogue import CATALOGUE, DEFAULT_MODEL, WeightSpec

CONTENT = b"weights" * 5000
ROW = WeightSpec(
    name="made",
    kind="recognizer",
    file="made.onnx",
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    licence="none",
    about="made for a test",
    url="http://127.0.0.1:9/made.onnx",
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty MIEN_HOME; no proxy between the test and its own server."""
    monkeypatch.setenv("MIEN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "home"


def put(folder: Path, content: bytes = CONTENT) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ROW.file).write_bytes(content)
    return folder / ROW.file


# -- the catalogue ------------------------------------------------------------------------------


@pytest.mark.parametrize("row", CATALOGUE.values(), ids=CATALOGUE)
def test_every_row_is_complete(row: WeightSpec) -> None:
    assert CATALOGUE[row.name] is row
    assert re.fullmatch("[0-9a-f]{64}", row.sha256)
    assert row.licence
    assert row.trained_on != "not told"
    assert row.commercial in ("yes", "no", "unknown")
    assert row.about
    kinds = ("recognizer", "detector", "landmarker", "proposer", "teacher", "backbone")
    assert row.kind in kinds
    assert row.file == Path(row.file).name
    assert row.url is None or row.url.startswith("https://")


def test_names_and_files_are_unique() -> None:
    assert len({row.file for row in CATALOGUE.values()}) == len(CATALOGUE)
    assert len({row.sha256 for row in CATALOGUE.values()}) == len(CATALOGUE)


def test_the_default_model_is_shipped_and_small() -> None:
    path, content = catalogue.read(catalogue.spec(DEFAULT_MODEL))
    assert path.parent == Path(catalogue.__file__).parent / "shipped"
    assert hashlib.sha256(content).hexdigest() == CATALOGUE[DEFAULT_MODEL].sha256
    assert len(content) <= 6_000_000


def test_nothing_else_is_shipped() -> None:
    shipped = Path(catalogue.__file__).parent / "shipped"
    ours = (DEFAULT_MODEL, "landmarks68", "proposals")
    assert {path.name for path in shipped.iterdir()} == {CATALOGUE[name].file for name in ours}


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"no model called 'yunte'; did you mean yunet\?"):
        catalogue.spec("yunte")


# -- where they lie -----------------------------------------------------------------------------


def test_search_order(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped, first, second = tmp_path / "shipped", tmp_path / "first", tmp_path / "second"
    monkeypatch.setattr(catalogue, "_SHIPPED", shipped)
    monkeypatch.setenv("MIEN_MODELS", os.pathsep.join([str(first), str(second)]))
    places = [folder / ROW.file for folder in (shipped, first, second, home / "models")]
    assert list(catalogue.places(ROW)) == places
    assert catalogue.locate(ROW) is None
    for path in reversed(places):  # each is preferred to all that follow it
        put(path.parent)
        assert catalogue.locate(ROW) == path
        assert catalogue.read(ROW) == (path, CONTENT)


def test_empty_parts_of_the_search_path_are_no_folders(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIEN_MODELS", os.pathsep * 2)
    assert catalogue.locate(ROW) is None


def test_a_tilde_is_the_user_s_home(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("MIEN_MODELS", "~/nets")
    monkeypatch.setenv("MIEN_HOME", "~/kept")
    path = put(tmp_path / "nets")
    assert catalogue.locate(ROW) == path
    assert catalogue.home() == tmp_path / "kept"


def test_a_folder_of_that_name_is_not_the_file(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "first" / ROW.file).mkdir(parents=True)
    monkeypatch.setenv("MIEN_MODELS", str(tmp_path / "first"))
    path = put(home / "models")
    assert catalogue.locate(ROW) == path


def test_a_folder_nobody_may_enter_is_passed_over(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(home / "models")
    stat = os.stat

    def guarded(place: str | Path, **kwargs: bool) -> os.stat_result:
        if "locked" in str(place):
            raise PermissionError(13, "Permission denied", str(place))
        return stat(place, **kwargs)

    monkeypatch.setenv("MIEN_MODELS", "/locked")
    monkeypatch.setattr(os, "stat", guarded)
    assert catalogue.locate(ROW) == path


@pytest.mark.parametrize(
    ("platform", "variable", "expected"),
    [
        ("linux", "XDG_DATA_HOME", "{}/mien"),
        ("win32", "LOCALAPPDATA", "{}/mien"),
        ("darwin", "HOME", "{}/Library/Application Support/mien"),
        ("linux", "HOME", "{}/.local/share/mien"),
    ],
)
def test_home_is_the_system_s_own_place(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    platform: str,
    variable: str,
    expected: str,
) -> None:
    for name in ("MIEN_HOME", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.setattr("sys.platform", platform)
    assert catalogue.home() == Path(expected.format(tmp_path))


# -- reading them -------------------------------------------------------------------------------


def test_a_missing_file_says_what_to_do(home: Path) -> None:
    with pytest.raises(WeightsMissing) as caught:
        catalogue.read(ROW)
    for part in ("made.onnx", "MIEN_MODELS", str(home / "models"), "mien models pull made"):
        assert part in str(caught.value)
    with pytest.raises(WeightsMissing, match="mien models import made FILE"):
        catalogue.read(replace(ROW, url=None))


@pytest.mark.parametrize("content", [b"", CONTENT[:-1], CONTENT[:-1] + b"S", CONTENT + b"\0"])
def test_another_content_is_refused(home: Path, content: bytes) -> None:
    path = put(home / "models", content)
    with pytest.raises(ModelError, match="sha256") as caught:
        catalogue.read(ROW)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert hashlib.sha256(content).hexdigest()[:12] in message
    assert ROW.sha256[:12] in message
    assert not isinstance(caught.value, WeightsMissing)


def test_a_file_that_cannot_be_read_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(home / "models")

    def denied(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", denied)
    with pytest.raises(ModelError, match="Permission denied") as caught:
        catalogue.read(ROW)
    assert str(path) in str(caught.value)


# -- fetching them ------------------------------------------------------------------------------

Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


@pytest.fixture
def serve(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Answer], None]]:
    """Give the catalogue a row whose file a server on this machine answers for."""
    server: http.server.ThreadingHTTPServer | None = None

    def start(answer: Answer) -> None:
        nonlocal server

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        url = f"http://127.0.0.1:{server.server_port}/{ROW.file}"
        monkeypatch.setitem(CATALOGUE, ROW.name, replace(ROW, url=url))
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    yield start
    assert server is not None
    server.shutdown()
    server.server_close()


def whole(content: bytes) -> Answer:
    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    return answer


def kept(home: Path) -> list[str]:
    return sorted(path.name for path in home.rglob("*") if path.is_file())


def test_a_good_file_is_kept_and_found(home: Path, serve: Callable[[Answer], None]) -> None:
    serve(whole(CONTENT))
    path = catalogue.pull("made")
    assert path == home / "models" / ROW.file
    assert kept(home) == [ROW.file]
    assert catalogue.read(ROW) == (path, CONTENT)


def test_a_damaged_copy_is_replaced(home: Path, serve: Callable[[Answer], None]) -> None:
    put(home / "models", b"damaged")
    serve(whole(CONTENT))
    assert catalogue.pull("made").read_bytes() == CONTENT
    assert kept(home) == [ROW.file]


def test_the_file_is_whole_from_the_moment_it_is_there(
    home: Path, serve: Callable[[Answer], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(whole(CONTENT))
    write, seen = Path.write_bytes, []

    def watched(self: Path, content: bytes) -> int:
        count = write(self, content[:100])
        seen.append(catalogue.locate(ROW))  # while only a part of it is written
        return count + write(self, content)

    monkeypatch.setattr(Path, "write_bytes", watched)
    assert catalogue.pull("made").read_bytes() == CONTENT
    assert seen == [None]


@pytest.mark.parametrize("content", [b"", b"<html>404", CONTENT[:-1]])
def test_another_content_is_not_kept(
    home: Path, serve: Callable[[Answer], None], content: bytes
) -> None:
    serve(whole(content))
    with pytest.raises(ModelError, match=r"sha256.*nothing was kept"):
        catalogue.pull("made")
    assert kept(home) == []


def test_another_content_leaves_a_good_copy_alone(
    home: Path, serve: Callable[[Answer], None]
) -> None:
    put(home / "models")
    serve(whole(b"other"))
    with pytest.raises(ModelError, match="sha256"):
        catalogue.pull("made")
    assert catalogue.read(ROW)[1] == CONTENT


def not_found(request: http.server.BaseHTTPRequestHandler) -> None:
    request.send_error(404)


def silent(request: http.server.BaseHTTPRequestHandler) -> None:
    request.rfile.read(1)  # until the client hangs up


def stalling(request: http.server.BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Length", str(len(CONTENT)))
    request.end_headers()
    request.wfile.write(CONTENT[:1000])
    silent(request)


def hanging_up(request: http.server.BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Length", str(len(CONTENT)))
    request.end_headers()
    request.wfile.write(CONTENT[:1000])


def talking_nonsense(request: http.server.BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"what?\r\n\r\n")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (not_found, "404"),
        (silent, "timed out"),
        (stalling, "timed out"),
        (hanging_up, "IncompleteRead"),
        (talking_nonsense, "what"),
    ],
)
def test_a_failing_server_is_a_clear_error(
    home: Path,
    serve: Callable[[Answer], None],
    monkeypatch: pytest.MonkeyPatch,
    answer: Answer,
    reason: str,
) -> None:
    monkeypatch.setattr(catalogue, "_TIMEOUT_S", 0.3)
    serve(answer)
    with pytest.raises(ModelError, match=reason) as caught:
        catalogue.pull("made")
    message = str(caught.value)
    assert "cannot fetch http://127.0.0.1:" in message
    assert "MIEN_MODELS" in message
    assert kept(home) == []


def test_no_server_is_a_clear_error(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:  # bound and not listening: nobody else can answer there
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/made.onnx"
        monkeypatch.setitem(CATALOGUE, "made", replace(ROW, url=url))
        with pytest.raises(ModelError, match="refused"):
            catalogue.pull("made")
    assert kept(home) == []


def test_a_row_without_an_address_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CATALOGUE, "made", replace(ROW, url=None))
    with pytest.raises(ConfigError, match=r"no public address; put made\.onnx on MIEN_MODELS"):
        catalogue.pull("made")


def test_a_full_disk_leaves_nothing_behind(
    home: Path, serve: Callable[[Answer], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(whole(CONTENT))
    write = Path.write_bytes

    def full(self: Path, content: bytes) -> int:
        write(self, content[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left on device"):
        catalogue.pull("made")
    assert kept(home) == []


def test_a_home_that_is_a_file_is_a_clear_error(
    home: Path, serve: Callable[[Answer], None]
) -> None:
    home.write_text("not a folder")
    serve(whole(CONTENT))
    with pytest.raises(OutputError, match=f"cannot write {home}"):
        catalogue.pull("made")


# -- files that the user has --------------------------------------------------------------------


def test_a_file_is_kept_where_it_will_be_found(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CATALOGUE, ROW.name, ROW)
    given = tmp_path / "downloaded (1).onnx"
    given.write_bytes(CONTENT)
    assert catalogue.take("made", given) == home / "models" / ROW.file
    given.unlink()
    assert catalogue.read(ROW) == (home / "models" / ROW.file, CONTENT)
    assert [file.name for file in (home / "models").iterdir()] == [ROW.file]


def test_another_file_is_not_kept(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CATALOGUE, ROW.name, ROW)
    (tmp_path / "other").write_bytes(CONTENT[:-1])
    with pytest.raises(ModelError, match=r"other is damaged or another version.*nothing was kept"):
        catalogue.take("made", tmp_path / "other")
    with pytest.raises(ModelError, match="cannot read"):
        catalogue.take("made", tmp_path / "nothing")
    with pytest.raises(UnknownName, match="did you mean made"):
        catalogue.take("mad", tmp_path / "other")
    assert not (home / "models").exists()
