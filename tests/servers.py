"""Real servers on loopback that tests stop, slow down and start again."""

from __future__ import annotations

import json
import secrets
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")


def free_port() -> int:
    """A port that nobody listens on.

    It lies below those that the system deals out by itself (from 32768 on Linux), so that nobody
    who asks for any port, or calls out, is given it before the test comes to use it.
    """
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port


def until(condition: Callable[[], Any], patience_s: float = 20.0) -> None:
    """Wait until it is true; fails where it never is."""
    ends = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < ends, "it never came true"
        time.sleep(0.01)


class Receiver:
    """An HTTP server that keeps what it is sent and answers as it is told.

    answer : a status and headers, or a function that writes whatever it likes to the handler.
    """

    def __init__(self, port: int = 0) -> None:
        self.answer: Callable[[BaseHTTPRequestHandler], None] | tuple[int, dict[str, str]] = (
            204,
            {},
        )
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.paths: list[str] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.paths.append(self.path)
                receiver.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
                answer = receiver.answer
                if callable(answer):
                    answer(self)
                    return
                self.send_response(answer[0])
                for name, value in answer[1].items():
                    self.send_header(name, value)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._handler = Handler
        self.port = port or free_port()
        self.start()

    def start(self) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), self._handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/alarm"

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.got]

    def data(self, index: int = -1) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.got[index][1])["data"]
        return content


class Broker:
    """A Mosquitto of one's own, which keeps nothing on the disk; a context manager."""

    def __init__(self, folder: Path) -> None:
        assert MOSQUITTO
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        self._config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert MOSQUITTO
        self._process = subprocess.Popen(
            [MOSQUITTO, "-c", str(self._config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until(self._answers)

    def stop(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 0.2).close()
        except OSError:
            return False
        return True

    def __enter__(self) -> Broker:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
