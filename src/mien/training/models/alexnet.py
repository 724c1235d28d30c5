"""AlexNet (Krizhevsky et al. 2012) for crops of some thirty pixels instead of 227."""

from __future__ import annotations

from torch import Tensor, nn

from ...errors import ConfigError
from ...media.preprocess import Preprocess
from .network import Standardised

SMALLEST = 16


def _conv(inputs: int, outputs: int, side: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, side, padding=side // 2), nn.ReLU())


def _pool() -> nn.MaxPool2d:
    """Overlapping, as AlexNet's: three pixels, every second."""
    return nn.MaxPool2d(3, stride=2, padding=1)


class AlexNet(Standardised):
    """Gray levels (N, C, S, S) in 0..255 -> logits (N, K).

    Five convolutions and three fully connected layers, maximum pooling after the first, second
    and fifth, dropout after the first two of the fully connected. What belongs to 227 pixels is
    changed: the first convolution takes 5 x 5 with a stride of 1 instead of 11 x 11 with 4, and
    every layer is a third to a sixteenth as wide. There is no response normalisation.
    """

    def __init__(self, num_classes: int, spec: Preprocess) -> None:
        super().__init__(spec.channels)
        if spec.size < SMALLEST:
            raise ConfigError(f"alexnet takes pictures of {SMALLEST} pixels or more")
        side = spec.size
        for _ in range(3):
            side = (side + 1) // 2
        self.features = nn.Sequential(
            _conv(spec.channels, 32, 5),
            _pool(),
            _conv(32, 64, 5),
            _pool(),
            _conv(64, 96, 3),
            _conv(96, 96, 3),
            _conv(96, 64, 3),
            _pool(),
            nn.Flatten(),
        )
        self.classifier = nn.Sequential(
            nn.Linear(64 * side * side, 256),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(256, 256),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(256, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(self.standardised(x)))
        return logits


def alexnet(num_classes: int, spec: Preprocess) -> AlexNet:
    """Eight weight layers, half a million numbers at 28 pixels."""
    return AlexNet(num_classes, spec)
