"""The browser package's own tests, and what its README tells."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from . import node

README = node.PACKAGE / "README.md"


def test_the_lockfile_names_packages_and_no_registry() -> None:
    """Whoever installs has a registry of their own."""
    lock = json.loads((node.WEB / "package-lock.json").read_text())
    places = {told.get("resolved", "") for told in lock["packages"].values()}
    assert not [place for place in places if "://" in place]
    assert all("integrity" in told or "link" in told for told in _installed(lock["packages"]))


def _installed(packages: dict[str, dict[str, object]]) -> list[dict[str, object]]:
    return [told for place, told in packages.items() if place.startswith("node_modules/")]


@pytest.mark.usefixtures("built")
def test_its_own_tests_pass() -> None:
    told = node.npm("run", "test:built")
    assert re.search(r"^# pass [1-9]", told, re.MULTILINE), told


@pytest.mark.usefixtures("built")
def test_what_the_readme_shows_fits_the_types() -> None:
    blocks = re.findall(r"```ts\n(.*?)```", README.read_text(), re.DOTALL)
    assert blocks
    folder = node.PACKAGE / "build" / "readme"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    files = [folder / f"{number}.ts" for number in range(len(blocks))]
    for file, block in zip(files, blocks, strict=True):
        file.write_text(block + "\nexport {};\n")
    settings = {
        "extends": "../../tsconfig.json",
        "compilerOptions": {"noEmit": True, "rootDir": "."},
        "include": ["*.ts"],
    }
    (folder / "tsconfig.json").write_text(json.dumps(settings))
    node.npm("exec", "--offline", "--", "tsc", "-p", str(folder / "tsconfig.json"))
