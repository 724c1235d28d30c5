"""The network of Iliev & Mote, "Visual Emotion Recognition Using Deep Neural Networks" (2022)."""

from __future__ import annotations

from torch import Tensor, nn

from ...media.preprocess import Preprocess
from .network import Standardised


def conv3x3(inputs: int, outputs: int) -> nn.Sequential:
    """A 3 x 3 convolution that keeps the picture's size, and a ramp."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU())


class Iliev2022(Standardised):
    """Gray levels (N, C, S, S) in 0..255 -> logits (N, K).

    Each pooling halves the side and drops an odd last row and column, as Keras does: 100 pixels
    become 12, 50 become 6, 20 become 2. With RGB input and six classes that is 4,813,638,
    1,274,694 and 226,118 parameters, the paper's own counts.
    """

    def __init__(self, num_classes: int, spec: Preprocess) -> None:
        super().__init__(spec.channels)
        self.features = nn.Sequential(
            conv3x3(spec.channels, 32),
            nn.MaxPool2d(2),
            conv3x3(32, 64),
            conv3x3(64, 128),
            nn.Dropout(0.1),
            nn.MaxPool2d(2),
            nn.MaxPool2d(2),
            nn.Flatten(),
        )
        side = spec.size // 2 // 2 // 2
        self.hidden = nn.Sequential(nn.Linear(128 * side * side, 256), nn.ReLU())
        self.classifier = nn.Linear(256, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.hidden(self.features(self.standardised(x))))
        return logits


def iliev2022(num_classes: int, spec: Preprocess) -> Iliev2022:
    """Four weight layers; four fifths of its numbers lie between the last pooling and the 256."""
    return Iliev2022(num_classes, spec)
