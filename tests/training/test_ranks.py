"""Losses that divide by what a batch holds are the whole batch's, by whoever shares it."""

from __future__ import annotations

import os
from multiprocessing import get_context

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from mien.training import ranks, recipes
from mien.training.landmark_data import Y_POINTS
from mien.training.tasks import Task
from mien.training.train import task_of
from tests.servers import free_port

ROWS = 4
Found = tuple[float, list[float]]


def batch(name: str) -> tuple[Task, Tensor, Tensor]:
    """Faces in the first rows only: a mean of parts' losses would be another number."""
    recipe = recipes.read(recipes.find(name))
    torch.manual_seed(1)
    if name == "landmarks68":
        y = torch.rand(ROWS, Y_POINTS + 2)
        y[:, Y_POINTS:] = torch.tensor([1.0, 1.0])
        y[2:, Y_POINTS:] = 0.0
        return task_of(recipe), torch.rand(ROWS, 1, 112, 112) * 255, y
    y = torch.full((ROWS, 5, 4), torch.nan)
    y[0, 0] = torch.tensor([60.0, 60.0, 50.0, 0.1])
    y[1, 0] = torch.tensor([40.0, 80.0, 30.0, -0.1])
    return task_of(recipe), torch.rand(ROWS, 1, 128, 128) * 255, y


def found(name: str) -> Found:
    """The loss of a batch, and its gradient's size for each of the network's parameters."""
    task, x, y = batch(name)
    torch.manual_seed(2)
    net = task.network().train()
    ranks.over_whole_batches(net)
    outputs = net(ranks.own(x))
    loss = task.loss(tuple(map(ranks.whole, outputs)), y)
    loss.backward()  # type: ignore[no-untyped-call]
    sizes = []
    for parameter in net.parameters():
        assert parameter.grad is not None
        if dist.is_initialized():
            dist.all_reduce(parameter.grad)
        sizes.append(parameter.grad.norm().item())
    return loss.item(), sizes


def shared(name: str, rank: int, port: int) -> Found:
    """The same by one of two processes."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    dist.init_process_group("gloo", rank=rank, world_size=2)
    return found(name)


@pytest.mark.parametrize("name", ["landmarks68", "proposals"])
def test_a_loss_is_that_of_the_whole_batch(name: str) -> None:
    loss, sizes = _alone(name)
    port = free_port()
    with get_context("spawn").Pool(2) as pool:
        for others_loss, others in pool.starmap(shared, [(name, 0, port), (name, 1, port)]):
            assert others_loss == pytest.approx(loss, rel=1e-5)
            np.testing.assert_allclose(others, sizes, rtol=1e-3, atol=1e-4 * max(sizes))


def _alone(name: str) -> Found:
    task, x, y = batch(name)
    torch.manual_seed(2)
    net = task.network().train()
    loss = task.loss(net(x), y)
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.item(), [p.grad.norm().item() for p in net.parameters() if p.grad is not None]
