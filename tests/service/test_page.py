"""The page as the service gives it: what a browser is told of it, and how it comes."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import httpx
import pytest

from mien.service.assets import FOLDER, assets
from mien.service.keys import Keys
from mien.weights import catalogue

from .conftest import Serve, problem


def test_a_strict_policy_and_an_isolated_page(client: httpx.Client) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers.get_list("content-security-policy") == [
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
        "img-src 'self' blob: data:; media-src 'self' blob:; connect-src 'self'; "
        "worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ]
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["cross-origin-embedder-policy"] == "require-corp"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers.get_list("cache-control") == ["no-cache"]


@pytest.mark.parametrize("path", sorted(assets()))
def test_every_file_comes_in_its_kind_compressed_or_not(client: httpx.Client, path: str) -> None:
    asset = assets()[path]
    whole = client.get(path, headers={"accept-encoding": "identity"})
    assert "content-encoding" not in whole.headers
    assert whole.content == asset.content()
    short = client.get(path, headers={"accept-encoding": "gzip, br"})
    assert short.content == whole.content
    assert short.headers.get("content-encoding") == ("gzip" if asset.compressed else None)
    assert int(short.headers["content-length"]) == asset.file.stat().st_size
    assert short.headers["vary"] == "Accept-Encoding"
    assert short.headers["content-type"].partition(";")[0] == asset.kind
    kept = "public, max-age=31536000, immutable" if asset.lasting else "no-cache"
    assert short.headers["cache-control"] == kept


def test_the_networks_are_the_wheel_s_own(client: httpx.Client) -> None:
    listed = client.get("/weights.json").json()
    assert sorted(listed) == ["landmarks68.onnx", "mien.onnx", "proposals.onnx"]
    for name, path in listed.items():
        row = catalogue.CATALOGUE[name.removesuffix(".onnx")]
        digest = hashlib.sha256(client.get(f"/{path}").content).hexdigest()
        assert digest == row.sha256
        assert digest.startswith(path.split("/")[1])


def test_the_page_needs_no_key_and_what_it_asks_for_does(serve: Serve, tmp_path: Path) -> None:
    Keys(tmp_path).add("clinic", 60, 2)
    client = serve(home=tmp_path)
    for path in ("/", "/sw.js", "/weights.json"):
        assert client.get(path).status_code == 200
    problem(client.get("/v1/models"), 401)
    problem(client.get("/assets/nothing.js"), 401)


def test_behind_a_proxy_every_address_stays_below_its_own(client: httpx.Client) -> None:
    page = client.get("/").text
    assert 'src="./assets/' in page
    assert 'href="./assets/' in page
    assert 'href="/' not in page


def test_what_is_packed_is_gzip_of_one_kind() -> None:
    for path in FOLDER.rglob("*.gz"):
        content = path.read_bytes()
        assert content[4:8] == b"\0\0\0\0", "no time is in it: the same build is the same file"
        assert gzip.decompress(content)
