"""The browser package's own tests, and what its README tells."""

from __future__ import annotations

import re

import pytest

from . import node

README = node.PACKAGE / "README.md"


@pytest.mark.usefixtures("built")
def test_its_own_tests_pass() -> None:
    told = node.npm("run", "test:built")
    assert re.search(r"^# pass [1-9]", told, re.MULTILINE), told


@pytest.mark.usefixtures("built")
def test_what_the_readme_shows_fits_the_types() -> None:
    blocks = re.findall(r"```ts\n(.*?)```", README.read_text(), re.DOTALL)
    assert blocks
    folder = node.PACKAGE / "build" / "readme"
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{number}.ts" for number in range(len(blocks))]
    for file, block in zip(files, blocks, strict=True):
        file.write_text(block + "\nexport {};\n")
    options = ["--noEmit", "--strict", "--target", "ES2022", "--module", "NodeNext"]
    node.npm("exec", "--offline", "--", "tsc", *options, *map(str, files))
