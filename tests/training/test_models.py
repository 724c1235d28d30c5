from __future__ import annotations

import pytest
import torch

from mien.errors import ConfigError, UnknownName
from mien.media.preprocess import Preprocess
from mien.training.models import Model, landmark_networks, networks
from mien.training.models.landmarknet import expectation
from mien.training.models.network import Standardised, build
from mien.training.models.resnet import BasicBlock, InstanceBatchNorm, ResNet

GRAY = Preprocess(48, "gray")
LEAST = {"alexnet": 67}
"""The pixels of the networks that cannot do with 48."""
PARAMETERS = {
    "alexnet": 20_177_608,
    "alexnet-small": 903_816,
    "autoencoder2018": 11_291_144,
    "emex2": 2_055_078,
    "googlenet": 5_981_752,
    "iliev2022": 1_274_632,
    "mobileface": 394_248,
    "mobilenetv2": 2_217_064,
    "resnet10": 1_349_448,
    "resnet10-slim": 599_032,
    "resnet10-slim-ibn": 599_032,
    "resnet18": 11_176_008,
    "resnet34": 21_284_168,
    "xu2019": 1_443_048,
}


@pytest.mark.parametrize("name", list(networks))
def test_shapes_and_gradients(name: str) -> None:
    side = LEAST.get(name, 48)
    net = networks.build(name, 8, Preprocess(side, "gray"))
    logits = net(torch.randint(0, 256, (4, 1, side, side)).float())
    assert logits.shape == (4, 8)
    logits.logsumexp(1).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


@pytest.mark.parametrize("name", list(networks))
def test_parameter_count(name: str) -> None:
    net = networks.build(name, 8, Preprocess(LEAST.get(name, 48), "gray"))
    assert sum(p.numel() for p in net.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("name", list(networks))
def test_colour_and_other_sizes(name: str) -> None:
    side = LEAST.get(name, 64)
    net = networks.build(name, 7, Preprocess(side, "rgb")).eval()
    assert net(torch.zeros(2, 3, side, side)).shape == (2, 7)


def test_normalisation_is_inside() -> None:
    """Gray 128 everywhere is zero to the first convolution: the biasless stem answers nothing."""
    net = networks.build("resnet10", 8, GRAY).eval()
    first = next(m for m in net.modules() if isinstance(m, torch.nn.Conv2d))
    seen: list[torch.Tensor] = []
    first.register_forward_hook(lambda module, args, out: seen.append(out))
    net(torch.full((1, 1, 48, 48), 128.0))
    assert torch.equal(seen[0], torch.zeros_like(seen[0]))


def test_half_of_the_maps_lose_a_pictures_own_look() -> None:
    norm = InstanceBatchNorm(6).eval()
    maps = torch.randn(2, 6, 8, 8)
    brighter = 3 * maps + 5
    assert torch.allclose(norm(maps)[:, :3], norm(brighter)[:, :3], atol=1e-4)
    assert torch.allclose(3 * norm(maps)[:, 3:] + 5, norm(brighter)[:, 3:], atol=1e-3)


def test_the_last_stage_keeps_a_pictures_own_look() -> None:
    net = networks.build("resnet10-slim-ibn", 8, GRAY)
    assert isinstance(net, ResNet)
    blocks = [block for block in net.blocks if isinstance(block, BasicBlock)]
    inside = [isinstance(block.conv1[1], InstanceBatchNorm) for block in blocks]
    assert inside == [True, True, False, False]


def test_unknown_network_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean resnet10"):
        networks.build("rasnet10", 8, GRAY)


@pytest.mark.parametrize(("size", "count"), [(100, 4_813_638), (50, 1_274_694), (20, 226_118)])
def test_iliev2022_has_the_papers_parameters(size: int, count: int) -> None:
    net = build(Model("iliev2022", size, "rgb", parameters=count), 6)
    assert sum(p.numel() for p in net.parameters()) == count
    assert net(torch.zeros(2, 3, size, size)).shape == (2, 6)
    with pytest.raises(ConfigError, match=f"has {count:,} parameters for 6 classes"):
        build(Model("iliev2022", size, "rgb", parameters=count - 1), 6)


def test_xu2019_has_the_papers_size() -> None:
    net = build(Model("xu2019", 128), 7)
    megabytes = 4 * sum(p.numel() for p in net.parameters()) / 1e6
    assert megabytes == pytest.approx(12.1, rel=0.05)
    assert net(torch.zeros(2, 1, 128, 128)).shape == (2, 7)
    with pytest.raises(ConfigError, match="16 pixels or more, not 15"):
        networks.build("xu2019", 7, Preprocess(15, "gray"))


@pytest.mark.parametrize(
    ("name", "size", "count", "least"),
    [
        ("emex2", 28, 427_072, 16),
        ("alexnet-small", 28, 574_594, 16),
        ("alexnet", 227, 56_853_186, 67),
    ],
)
def test_mouth_networks_say_what_they_take(name: str, size: int, count: int, least: int) -> None:
    net = build(Model(name, size, parameters=count), 2)
    assert net(torch.zeros(2, 1, size, size)).shape == (2, 2)
    smallest = networks.build(name, 2, Preprocess(least, "gray"))
    assert smallest(torch.zeros(1, 1, least, least)).shape == (1, 2)
    with pytest.raises(ConfigError, match=f"{name} takes pictures of {least} pixels or more"):
        networks.build(name, 2, Preprocess(least - 1, "gray"))


def test_alexnet_has_the_parameters_of_caffes() -> None:
    """Of bvlc_alexnet.caffemodel, in colour and with ImageNet's thousand classes: 60,965,224."""
    with torch.device("meta"):
        net = networks.build("alexnet", 1000, Preprocess(227, "rgb"))
    assert sum(p.numel() for p in net.parameters()) == 60_965_224


@pytest.mark.parametrize(("name", "size"), [("alexnet", 67), ("alexnet-small", 48)])
def test_alexnets_have_their_layers_where_the_paper_has_them(name: str, size: int) -> None:
    net = networks.build(name, 2, Preprocess(size, "gray"))
    kinds = [type(m).__name__ for m in net.modules()]
    layers = [k for k in kinds if k in ("Conv2d", "MaxPool2d", "Linear", "Dropout")]
    assert layers == [
        *("Conv2d", "MaxPool2d") * 2,
        *("Conv2d",) * 3,
        "MaxPool2d",
        *("Linear", "Dropout") * 2,
        "Linear",
    ]


def test_a_standardised_network_takes_mean_and_deviation_of_all_pixels() -> None:
    net = networks.build("iliev2022", 6, Preprocess(20, "rgb"))
    assert isinstance(net, Standardised)
    levels = torch.tensor([[0, 30, 255], [100, 40, 3]], dtype=torch.uint8)  # two pictures
    x = levels[:, :, None, None].expand(2, 3, 20, 20).clone()
    x[0, 0, 0, 0] = 200
    net.measure(x)
    pixels = x.double()
    torch.testing.assert_close(net.mean[0, :, 0, 0].double(), pixels.mean((0, 2, 3)))
    deviation = pixels.var((0, 2, 3), correction=0).sqrt()
    torch.testing.assert_close(net.std[0, :, 0, 0].double(), deviation)
    assert {"mean", "std"} <= set(net.state_dict())


# -- landmarks ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(landmark_networks))
def test_points_lie_in_the_crop_and_everything_learns(name: str) -> None:
    net = landmark_networks.build(name)
    points, logits = net(torch.randint(0, 256, (4, 1, 64, 64)).float())
    assert points.shape == (4, 68, 2)
    assert logits.shape == (4,)
    assert ((points > 0) & (points < 1)).all()
    (points.square().sum() + logits.square().sum()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())
    assert 400_000 < sum(p.numel() for p in net.parameters()) < 500_000


def test_one_gray_is_nothing_to_a_landmark_network() -> None:
    """Gray 128 is zero to the biasless stem."""
    net = landmark_networks.build("landmarknet").eval()
    first = next(m for m in net.modules() if isinstance(m, torch.nn.Conv2d))
    seen: list[torch.Tensor] = []
    first.register_forward_hook(lambda module, args, out: seen.append(out))
    net(torch.full((1, 1, 64, 64), 128.0))
    assert torch.equal(seen[0], torch.zeros_like(seen[0]))


def test_a_point_is_the_middle_of_the_cell_that_is_sure() -> None:
    maps = torch.zeros(1, 3, 4, 8)
    maps[0, 0, 1, 6] = 100.0  # row 1 of 4, column 6 of 8
    maps[0, 1, 0, 0] = 100.0
    expected = torch.tensor([[6.5 / 8, 1.5 / 4], [0.5 / 8, 0.5 / 4], [0.5, 0.5]])
    torch.testing.assert_close(expectation(maps)[0], expected)


def test_a_point_between_two_cells_is_between_them() -> None:
    """Finer than a cell: one thing that a maximum could not say."""
    maps = torch.full((1, 1, 16, 16), -100.0)
    maps[0, 0, 4, 10], maps[0, 0, 4, 11] = 3.0, 3.0 + torch.log(torch.tensor(3.0))
    expected = torch.tensor([(10.5 * 0.25 + 11.5 * 0.75) / 16, 4.5 / 16])
    torch.testing.assert_close(expectation(maps)[0, 0], expected)


@pytest.mark.parametrize(
    ("name", "size", "nearest"),
    [
        ("resnet10", 100, 96),
        ("resnet10-slim", 47, 48),
        ("resnet18", 56, 48),
        ("googlenet", 20, 31),
        ("autoencoder2018", 9, 26),
    ],
)
def test_a_size_that_a_network_cannot_take_is_refused(name: str, size: int, nearest: int) -> None:
    says = f"{name} takes no pictures of {size} pixels; .* model.size = {nearest}$"
    with pytest.raises(ConfigError, match=says):
        build(Model(name, size), 8)


@pytest.mark.parametrize("name", list(networks))
@pytest.mark.parametrize("size", [40, 47, 112])
def test_what_is_built_takes_its_pictures(name: str, size: int) -> None:
    try:
        net = build(Model(name, size), 8).eval()
    except ConfigError:
        return
    assert net(torch.zeros(1, 1, size, size)).shape == (1, 8)


def test_whether_it_takes_them_costs_no_random_number() -> None:
    torch.manual_seed(1)
    expected = networks.build("resnet10", 8, GRAY).state_dict()
    torch.manual_seed(1)
    net = build(Model("resnet10"), 8)
    assert net.training
    assert all(torch.equal(expected[name], value) for name, value in net.state_dict().items())
