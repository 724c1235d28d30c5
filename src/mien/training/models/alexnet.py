"""AlexNet (Krizhevsky et al. 2012), and a small one for crops of some thirty pixels.

Both have five convolutions and three fully connected layers, maximum pooling (overlapping: three
pixels, every second) after the first, second and fifth, dropout after the first two of the fully
connected.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from ...errors import ConfigError
from ...media.preprocess import Preprocess
from .network import LocalResponse, Standardised

SMALLEST, SMALLEST_SMALL = 67, 16  # pixels: below, nothing is left after the third pooling


class AlexNet(Standardised):
    """Gray levels (N, C, S, S) in 0..255 -> logits (N, K); made for S of 227, and 67 the least.

    As Caffe's: the second, fourth and fifth convolution see half of the maps each, as two graphics
    cards did, and local response normalisation stands before the first two poolings.
    """

    def __init__(self, num_classes: int, spec: Preprocess) -> None:
        super().__init__(spec.channels)
        _check("alexnet", spec.size, SMALLEST)
        side = (spec.size - 7) // 4  # 11 x 11, every fourth place
        for _ in range(3):
            side = (side - 1) // 2
        self.features = nn.Sequential(
            nn.Sequential(nn.Conv2d(spec.channels, 96, 11, stride=4), nn.ReLU()),
            LocalResponse(96),
            nn.MaxPool2d(3, stride=2),
            _conv(96, 256, 5, groups=2),
            LocalResponse(256),
            nn.MaxPool2d(3, stride=2),
            _conv(256, 384, 3),
            _conv(384, 384, 3, groups=2),
            _conv(384, 256, 3, groups=2),
            nn.MaxPool2d(3, stride=2),
            nn.Flatten(),
        )
        self.classifier = _connected(256 * side * side, (4096, 4096), num_classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(self.standardised(x)))
        return logits


class SmallAlexNet(Standardised):
    """Gray levels (N, C, S, S) in 0..255 -> logits (N, K).

    AlexNet's layers, with what belongs to 227 pixels changed: the first convolution takes 5 x 5
    with a stride of 1 instead of 11 x 11 with 4, and every layer is a third to a sixteenth as wide.
    There is no response normalisation.
    """

    def __init__(self, num_classes: int, spec: Preprocess) -> None:
        super().__init__(spec.channels)
        _check("alexnet-small", spec.size, SMALLEST_SMALL)
        side = spec.size
        for _ in range(3):
            side = (side + 1) // 2
        self.features = nn.Sequential(
            _conv(spec.channels, 32, 5),
            nn.MaxPool2d(3, stride=2, padding=1),
            _conv(32, 64, 5),
            nn.MaxPool2d(3, stride=2, padding=1),
            _conv(64, 96, 3),
            _conv(96, 96, 3),
            _conv(96, 64, 3),
            nn.MaxPool2d(3, stride=2, padding=1),
            nn.Flatten(),
        )
        self.classifier = _connected(64 * side * side, (256, 256), num_classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(self.standardised(x)))
        return logits


def _check(name: str, size: int, smallest: int) -> None:
    if size < smallest:
        raise ConfigError(f"{name} takes pictures of {smallest} pixels or more, not {size}")


def _conv(inputs: int, outputs: int, side: int, groups: int = 1) -> nn.Sequential:
    """A convolution that keeps the picture's size, and a ramp."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, side, padding=side // 2, groups=groups), nn.ReLU()
    )


def _connected(inputs: int, widths: Sequence[int], num_classes: int) -> nn.Sequential:
    """Fully connected layers with a ramp and dropout each, and the one that answers."""
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(0.5)]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, num_classes))


def alexnet(num_classes: int, spec: Preprocess) -> AlexNet:
    """56,844,992 numbers for gray pictures of 227 pixels, and 4,097 for each class."""
    return AlexNet(num_classes, spec)


def alexnet_small(num_classes: int, spec: Preprocess) -> SmallAlexNet:
    """Eight weight layers, half a million numbers at 28 pixels."""
    return SmallAlexNet(num_classes, spec)
