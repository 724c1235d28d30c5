from __future__ import annotations

import pytest
import torch

from mien.errors import UnknownName
from mien.models import networks

PARAMETERS = {"resnet10": 1_349_448}


@pytest.mark.parametrize("name", list(networks))
def test_shapes_and_gradients(name: str) -> None:
    net = networks.build(name, 8, 1)
    logits = net(torch.randint(0, 256, (4, 1, 48, 48)).float())
    assert logits.shape == (4, 8)
    logits.logsumexp(1).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


@pytest.mark.parametrize("name", list(networks))
def test_parameter_count(name: str) -> None:
    net = networks.build(name, 8, 1)
    assert sum(p.numel() for p in net.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("name", list(networks))
def test_colour_and_other_sizes(name: str) -> None:
    net = networks.build(name, 7, 3).eval()
    assert net(torch.zeros(2, 3, 64, 64)).shape == (2, 7)


def test_normalisation_is_inside() -> None:
    """Gray 128 everywhere is zero to the first convolution: the biasless stem answers nothing."""
    net = networks.build("resnet10", 8, 1).eval()
    first = next(m for m in net.modules() if isinstance(m, torch.nn.Conv2d))
    seen: list[torch.Tensor] = []
    first.register_forward_hook(lambda module, args, out: seen.append(out))
    net(torch.full((1, 1, 48, 48), 128.0))
    assert torch.equal(seen[0], torch.zeros_like(seen[0]))


def test_unknown_network_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean resnet10"):
        networks.build("resnet01", 8, 1)
