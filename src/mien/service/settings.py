"""What a service is run with."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from pathlib import Path

from ..analysis.ranges import LENGTH_S
from ..errors import ConfigError
from ..weights import catalogue

LOCAL = ("localhost", "127.0.0.1", "::1")
"""What a browser or program on this very machine calls it."""
MB = 1 << 20
"""Bytes, as limits are told."""


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """What a service is run with; the command line sets the first few.

    Attributes
    ----------
    host, port
        Where it listens. Any host but a loopback address needs keys.
    root_path
        What a proxy takes off the front of each path: "/faces" where it serves /faces/v1/analyze.
    allowed_hosts
        Names that it may be called by besides those of a loopback address, behind a proxy, say.
        They need keys.
    tls_cert, tls_key
        PEM files, for encrypted connections.
    home
        Where keys lie, and what is kept of requests.
    workers
        Threads that analyse; 0 for as many as cores.
    queue
        Pictures that may wait for one of them.
    request_s
        How long the analysis of a request may take, its waiting included, in seconds.
    upload_s
        How long a client may send nothing while it is to send; beside it a byte counts for
        1 / ``slowest`` seconds.
    slowest
        Bytes a second that a client sends at least, over all of a request.
    most_request_bytes, most_picture_bytes, most_pictures, most_pixels
        Of one request, of one picture in it, how many pictures, and pixels of each.
    most_bytes_at_once
        Of the pictures of all requests that are in memory, still encoded.
    database
        Where jobs are kept: sqlite:///FILE or postgresql://USER@HOST/NAME; None for a file in home.
    recordings
        Recordings, or ranges of them, that are analysed at once, each by a process.
    range_s
        Of a range, in seconds; a recording of twice as much is cut.
    most_recording_bytes, longest_s, most_recordings
        Of one recording, and how many of a key's may wait.
    keep_days
        How long a recording and its records are kept after their job is over; infinity for ever.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    root_path: str = ""
    allowed_hosts: tuple[str, ...] = ()
    tls_cert: Path | None = None
    tls_key: Path | None = None
    home: Path = field(default_factory=catalogue.home)
    workers: int = 0
    queue: int = 64
    request_s: float = 60.0
    upload_s: float = 15.0
    slowest: int = 16 << 10
    most_request_bytes: int = 64 * MB
    most_picture_bytes: int = 32 * MB
    most_pictures: int = 64
    most_pixels: int = 50_000_000
    most_bytes_at_once: int = 512 * MB
    database: str | None = None
    recordings: int = 1
    range_s: float = LENGTH_S
    most_recording_bytes: int = 8192 * MB
    longest_s: float = 12 * 3600.0
    most_recordings: int = 100
    keep_days: float = 7.0

    def __post_init__(self) -> None:
        if not self.keep_days >= 0:
            raise ConfigError(f"--keep-days takes a number of days, got {self.keep_days}")
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"a port is a number up to 65535, got {self.port}")
        if self.root_path and (self.root_path[0] != "/" or self.root_path[-1] == "/"):
            raise ConfigError(f"a root path is like /faces, got '{self.root_path}'")
        if self.tls_key is not None and self.tls_cert is None:
            raise ConfigError("--tls-key is the key of a certificate: add --tls-cert FILE")
        for file in filter(None, (self.tls_cert, self.tls_key)):
            if not file.is_file():
                raise ConfigError(f"no such file: {file}")

    @property
    def threads(self) -> int:
        """How many threads analyse."""
        return self.workers or os.cpu_count() or 1

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it, by its own names."""
        return is_loopback(self.host) and not self.allowed_hosts


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own, which no other reaches.

    >>> [is_loopback(host) for host in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "a.example")]
    [True, True, True, False, False]
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
