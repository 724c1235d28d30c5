"""What an install weighs, part by part: the files of each package in a fresh environment.

    python -m venv fresh && fresh/bin/pip install .
    python benchmarks/install_size.py fresh/bin/python

Bytecode that pip writes is counted; pip itself and setuptools are not.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Annotated, Any

import typer

from mien import provenance

_SIZES = """
import json
from importlib import metadata
print(json.dumps({
    dist.metadata["Name"].lower(): [
        dist.version,
        sum(p.stat().st_size for f in dist.files or () if (p := dist.locate_file(f)).is_file()),
    ]
    for dist in metadata.distributions()
}))
"""
_TOOLS = ("pip", "setuptools", "wheel")
RECORDINGS = "av"
"""What reads and writes recordings, and nothing else."""


def main(
    python: Annotated[Path, typer.Argument(help="The Python of the environment.")],
    out: Annotated[Path, typer.Option()] = Path("benchmarks/results/install_size.json"),
) -> None:
    command = [str(python), "-I", "-c", _SIZES]
    found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    sizes = {name: size for name, (_, size) in found.items() if name not in _TOOLS}
    result: dict[str, Any] = {
        **provenance.environment(),
        "installed": {name: found[name][0] for name in sorted(sizes)},
        "mb": {
            name: round(size / 1e6, 1)
            for name, size in sorted(sizes.items(), key=lambda item: -item[1])
        },
        "all_mb": round(sum(sizes.values()) / 1e6),
        "without_recordings_mb": round((sum(sizes.values()) - sizes[RECORDINGS]) / 1e6),
    }
    out.write_text(json.dumps(result, indent=2) + "\n")
    typer.echo(json.dumps(result["mb"], indent=2))


if __name__ == "__main__":
    typer.run(main)
