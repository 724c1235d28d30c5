"""A password in an address reaches whoever asks for it, and nobody else."""

from __future__ import annotations

import base64
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mien.alarms.output import Undelivered
from mien.app.terminal import say
from mien.errors import ConfigError, VideoError
from mien.media.video import Video
from mien.results import reading, records, summary
from mien.secrecy import filled, public
from tests.made import video


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://anna:s3cret@10.0.0.7:554/1", "rtsp://10.0.0.7:554/1"),
        ("rtsp://anna:s3@cret@10.0.0.7/1", "rtsp://10.0.0.7/1"),
        ("rtsp://anna:s3/cret@10.0.0.7/1", "rtsp://10.0.0.7/1"),
        ("rtsp://anna:s3?cret#@10.0.0.7/1", "rtsp://10.0.0.7/1"),
        ("rtmp+tls://s3cret@host/live", "rtmp+tls://host/live"),
        ("RTSP://anna:s3cret@[::1]:554/1", "RTSP://[::1]:554/1"),
        ("http://h/v.m3u8?id=3&token=s3cret&x=1", "http://h/v.m3u8?id=3&token=***&x=1"),
        ("http://h/cgi?usr=a&PWD=s3cret", "http://h/cgi?usr=a&PWD=***"),
        ("https://h/a.mp4?X-Amz-Signature=s3cret", "https://h/a.mp4?X-Amz-Signature=***"),
        ("rtsp://h/user=a_password=s3cret_channel=1", "rtsp://h/user=a_password=***"),
        ("a 'http://u:s3cret@h/a': no; http://u:s3cret@i", "a 'http://h/a': no; http://i"),
        ("http://host:8080/smile@2x.png", "http://host:8080/smile@2x.png"),
        ("http://[::1]:8080/smile@2x.png", "http://[::1]:8080/smile@2x.png"),
        ("anna@home/clip.mp4", "anna@home/clip.mp4"),
        ("pass=1", "pass=1"),
    ],
)
def test_an_address_without_its_secrets(text: str, shown: str) -> None:
    assert public(text) == shown
    assert public(shown) == shown


def test_a_variable_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMERA", "s3/cret@")
    address = "rtsp://anna:${CAMERA}@10.0.0.7/1"
    assert filled(address) == "rtsp://anna:s3%2Fcret%40@10.0.0.7/1"
    assert public(address) == "rtsp://10.0.0.7/1"
    monkeypatch.delenv("CAMERA")
    with pytest.raises(ConfigError, match="the environment variable CAMERA is not set"):
        filled(address)


class _Wants(http.server.SimpleHTTPRequestHandler):
    """Gives files to Anna alone."""

    given = 0

    def do_GET(self) -> None:
        if (
            self.headers.get("authorization")
            != "Basic " + base64.b64encode(b"anna:s3cret").decode()
        ):
            self.send_response(401)
            self.send_header("www-authenticate", 'Basic realm="x"')
            self.end_headers()
            return
        type(self).given += 1
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "served"
    video(folder / "a.mp4")

    def handler(*words: object) -> _Wants:
        return _Wants(*words, directory=str(folder))  # type: ignore[arg-type]

    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True).start()
    yield f"127.0.0.1:{made.server_port}"
    made.shutdown()
    made.server_close()


@pytest.mark.parametrize("login", ["anna:s3cret", "anna:${CAMERA}"])
def test_nothing_that_is_written_or_said_holds_it(server: str, tmp_path: Path, login: str) -> None:
    """Records, their meta file, names of copies, messages, summaries; and it does log in."""
    out = tmp_path / "out"
    out.mkdir()
    given = _Wants.given
    words = ["analyze", f"http://{login}@{server}/a.mp4", f"rtsp://{login}@127.0.0.1:9"]
    words += ["--every", "3", "--annotate", "copies", "-o", "a.csv"]
    said = b""
    for command in (words, ["summary", "a.csv", "--out", "s"]):
        done = subprocess.run(
            [sys.executable, "-m", "mien", *command],
            cwd=out,
            env=os.environ | {"CAMERA": "s3cret"},
            capture_output=True,
            timeout=120,
        )
        said += done.stdout + done.stderr
    assert _Wants.given > given
    assert b"rtsp://127.0.0.1:9: Connection refused" in said
    written = [path for path in out.rglob("*") if path.is_file()]
    assert {"a.csv", "a.csv.meta.json", "a.mp4", "summary.csv"} <= {path.name for path in written}
    for content in (said, *(path.read_bytes() for path in written), *map(os.fsencode, written)):
        assert b"s3cret" not in content
        assert b"anna" not in content
    assert f"http://{server}/a.mp4".encode() in (out / "a.csv").read_bytes()


def test_every_way_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Errors, records made by hand, records of an older mien, reasons in the journal."""
    address = "rtsp://anna:s3cret@127.0.0.1:9/1"
    with pytest.raises(VideoError) as caught:
        Video(address)
    say(f"{address} {caught.value}")
    told = records.of_error(address, f"{address} is gone")
    old = {"schema": "mien/1", "source": address, "frame": 0, "time_s": 0, "status": "ok"}
    read = reading.of_plain(old | {"faces": []})
    reason = str(Undelivered(f"moved to {address}"))
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f"{line}\n" for line in _old_lines(address)))
    (recording,) = summary.read(path)
    shown = [str(caught.value), str(told), read.source, reason, recording.source]
    shown.append(capsys.readouterr().err)
    for text in shown:
        assert "127.0.0.1:9" in text
        assert "s3cret" not in text


def _old_lines(address: str) -> list[str]:
    import json

    line = {"schema": "mien/1", "source": address, "status": "no_face", "faces": []}
    return [json.dumps(line | {"frame": i, "time_s": i / 10}) for i in range(3)]
