from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mien.errors import ConfigError, ModelError, OutputError
from mien.training import checkpoint, recipes
from mien.training.checkpoint import Checkpoint


def adamw(weight: torch.Tensor) -> torch.optim.Optimizer:
    return torch.optim.AdamW([weight], lr=0.05)


def sgd(weight: torch.Tensor) -> torch.optim.Optimizer:
    return torch.optim.SGD([weight], lr=0.05, momentum=0.9)


@pytest.mark.parametrize("kind", [adamw, sgd])
def test_an_optimizer_goes_on_as_if_nothing_had_happened(
    kind: Callable[[torch.Tensor], torch.optim.Optimizer], tmp_path: Path
) -> None:
    def steps(weight: torch.Tensor, optimizer: torch.optim.Optimizer, n: int) -> None:
        for _ in range(n):
            optimizer.zero_grad()
            ((weight - torch.arange(4.0)) ** 2).sum().backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    weight = torch.zeros(4, requires_grad=True)
    optimizer = kind(weight)
    steps(weight, optimizer, 3)
    parts = {"net": {"w": weight}, "optimizer": checkpoint.optimizer_tensors(optimizer)}
    checkpoint.write(Checkpoint(parts, {"epoch": 3}), tmp_path / "c.safetensors")
    steps(weight, optimizer, 3)

    saved = checkpoint.read(tmp_path / "c.safetensors")
    again = saved.parts["net"]["w"].clone().requires_grad_()
    other = kind(again)
    checkpoint.restore_optimizer(other, saved.parts["optimizer"])
    steps(again, other, 3)
    assert saved.state == {"epoch": 3}
    assert torch.equal(weight, again)


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    checkpoint.write_whole(b"old", path)
    (tmp_path / "state.json.part").mkdir()  # in the way, as a full disk would be
    with pytest.raises(OutputError, match="the old one is kept"):
        checkpoint.write_whole(b"new", path)
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\x08" + b"\0" * 7 + b"{}      "])
def test_a_damaged_checkpoint_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"c\.safetensors is not a checkpoint"):
        checkpoint.read(path)


def test_a_run_is_its_settings_not_what_is_said_of_them(tmp_path: Path) -> None:
    path, facts = tmp_path / "run" / "recipe.json", {"data": {"sha256": "1"}}
    first = recipes.read(recipes.find("landmarks68"))
    better = replace(first, deviation=(recipes.Deviation("said", "better"),))
    checkpoint.claim(path, first, facts)
    checkpoint.claim(path, better, facts)
    assert "better" in path.read_text()
    other = recipes.read(recipes.find("landmarks68"), ["train.epochs=3"])
    with pytest.raises(ConfigError, match="holds a run of another recipe or other data"):
        checkpoint.claim(path, other, facts)
    with pytest.raises(ConfigError, match="holds a run"):
        checkpoint.claim(path, first, {"data": {"sha256": "2"}})


def test_what_another_run_differs_in_is_said(tmp_path: Path) -> None:
    path = tmp_path / "run" / "recipe.json"
    facts = {"data": {"file": "a.parquet", "sha256": "1"}, "init_sha256": None}
    checkpoint.claim(path, recipes.read(recipes.find("landmarks68")), facts)
    other = recipes.read(recipes.find("landmarks68"), ["train.epochs=3"])
    new = {"data": {"file": "b.parquet", "sha256": "2"}, "init_sha256": "3"}
    said = r"\(data was a.parquet, now b.parquet; init has changed; train.epochs was \d+, now 3\)"
    with pytest.raises(ConfigError, match=said):
        checkpoint.check(path, other, new)
    with pytest.raises(ConfigError, match=r"and \d+ more\)"):
        checkpoint.check(path, recipes.read(recipes.find("mien-tiny")), facts)
