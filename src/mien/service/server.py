"""A service on a socket: uvicorn, with connections of our own."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from ..errors import ConfigError
from ..expression.recognize import Recognizer
from . import recordings
from .application import create_app
from .connection import Patient
from .keys import Keys
from .meters import JsonLines
from .settings import ServiceSettings, is_loopback

_KEEP_ALIVE_S = 5
_AFTER_S = 5.0  # beyond the longest analysis, until a stop gives up on whoever does not read


def check_keys(settings: ServiceSettings) -> None:
    """Raises ConfigError where others are to reach a service that has no key, DataError for keys
    that cannot be read."""
    if Keys(settings.home).all() or settings.is_local:
        return
    if is_loopback(settings.host):
        what = f"--allow-host {settings.allowed_hosts[0]}"
    else:
        what = f"--host {settings.host}"
    raise ConfigError(
        f"{what} lets others than this machine's users ask, and they need a key; make one first: "
        "mien serve keys add NAME"
    )


def listening(settings: ServiceSettings) -> socket.socket:
    """The socket of its address; raises ConfigError where it cannot be had."""
    try:
        ((family, _, _, _, address), *_) = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM
        )
        return socket.create_server(address[:2], family=family, backlog=2048)
    except OSError as err:
        # Python puts the address once more behind the system's words; a name's lookup has its own.
        why = err.strerror if isinstance(err, socket.gaierror) else os.strerror(err.errno or 0)
        raise ConfigError(
            f"cannot listen at {settings.host}, port {settings.port}: {why}; another --port may be "
            "free"
        ) from err


def address(settings: ServiceSettings, listener: socket.socket) -> str:
    """What a browser or a program on this machine calls it by."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    scheme = "https" if settings.tls_cert else "http"
    return f"{scheme}://{host}:{listener.getsockname()[1]}"


def server(settings: ServiceSettings, recognizer: Recognizer | None = None) -> uvicorn.Server:
    """A server of the service, to be run on a ``listening`` socket.

    Told to stop, it takes no more requests and answers those that it has.
    recognizer : as of ``create_app``.
    """
    check_keys(settings)
    recordings.check(settings)
    config = uvicorn.Config(
        create_app(settings, recognizer=recognizer),
        http=Patient,
        ws="websockets-sansio",
        lifespan="on",
        root_path=settings.root_path,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
        log_config=None,
        access_log=False,  # it has paths with names, and addresses
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=round(settings.request_s + _AFTER_S),
    )
    try:
        config.load()
    except OSError as err:  # of OpenSSL's errors, too
        raise ConfigError(f"--tls-cert and --tls-key cannot be used: {err}") from err
    return uvicorn.Server(config)


def log_to_stderr() -> None:
    """A line of JSON for each request, and for what goes wrong."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    levels = {
        "mien.service": logging.INFO,
        "uvicorn": logging.WARNING,
        "python_multipart": logging.ERROR,  # it warns of what a client sends, who is told anyway
    }
    for name, level in levels.items():
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(level)
        logger.propagate = False
    # What it says of clients' files has their names in it.
    logging.getLogger("mien.media").addHandler(logging.NullHandler())


@contextmanager
def running(settings: ServiceSettings, recognizer: Recognizer | None = None) -> Iterator[str]:
    """A service in a thread of its own, and its address; it is stopped in the end."""
    serving, listener = server(settings, recognizer), listening(settings)
    thread = threading.Thread(target=serving.run, args=([listener],))
    thread.start()
    try:
        while not serving.started and thread.is_alive():
            time.sleep(0.01)
        yield address(settings, listener)
    finally:
        serving.should_exit = True
        thread.join()
        listener.close()
