"""What a JSON says of the machine its figures come from."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mien import provenance

X86 = """\
processor\t: 0
model name\t: AMD EPYC 9454
flags\t\t: fpu sse2 avx avx2 avx512f avx512_vnni

processor\t: 1
flags\t\t: fpu amx_int8
"""
ARM = """\
processor\t: 0
Features\t: fp asimd asimddp
CPU part\t: 0xd0c
"""


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    provenance.machine.cache_clear()
    yield
    provenance.machine.cache_clear()


@pytest.mark.parametrize(
    ("told", "has"),
    [(X86, ["avx2", "avx512f", "avx512_vnni"]), (ARM, ["asimddp"]), ("flags : sse2\n", [])],
)
def test_a_machine_tells_by_which_instructions_networks_can_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str, has: list[str]
) -> None:
    monkeypatch.setattr(provenance, "CPUINFO", tmp_path / "cpuinfo")
    provenance.CPUINFO.write_text(told)
    machine = provenance.machine()
    assert machine["instructions"] == has
    assert machine["cpu"]
    assert told != X86 or machine["cpu"] == "AMD EPYC 9454"


def test_nothing_is_said_of_instructions_where_nobody_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provenance, "CPUINFO", tmp_path / "none")
    assert provenance.machine()["instructions"] is None
