"""The databases that jobs are kept in, as the tests of jobs take them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_PLACES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


def programs() -> Path:
    """Where PostgreSQL's own programs are; skips where there are none."""
    found = shutil.which("initdb")
    if found is None and not _PLACES:
        pytest.skip("no PostgreSQL: apt-get install postgresql")
    return Path(found).parent if found else _PLACES[-1]


class Server:
    """A PostgreSQL of the test's own, on a socket in its folder."""

    def __init__(self, folder: Path) -> None:
        self._bin, self._folder = programs(), folder
        self._data = folder / "data"
        # It refuses to run as root.
        self._user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self._user:
            folder.chmod(0o755)
            shutil.chown(folder, "postgres")
        self._run("initdb", "-D", str(self._data), "-U", "mien", "-A", "trust", "--no-sync")

    def _run(self, program: str, *words: str) -> None:
        subprocess.run(
            [*self._user, str(self._bin / program), *words],
            check=True,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    @property
    def address(self) -> str:
        return f"postgresql://mien@/postgres?host={self._folder}"

    def start(self) -> None:
        options = f"-k {self._folder} -c listen_addresses='' -c fsync=off"
        self._run("pg_ctl", "-D", str(self._data), "-w", "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-w", "-m", "immediate", "stop")


@contextmanager
def postgres(folder: Path) -> Iterator[Server]:
    server = Server(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
