"""EmEx2, the mouth network of Biondi et al. (2019): LeNet-5 with a softmax of K outputs."""

from __future__ import annotations

from torch import Tensor, nn

from ...errors import ConfigError
from ...media.preprocess import Preprocess
from .network import Standardised

SMALLEST = 16  # pixels: below, nothing is left after the second pooling


class EmEx2(Standardised):
    """Gray levels (N, C, S, S) in 0..255 -> logits (N, K).

    Convolution, pooling, convolution, pooling, two inner products. The paper names the layers and
    not their widths; these are the 20, 50 and 500 of the LeNet that comes with Caffe, which takes
    28 pixels (LeCun et al. 1998 had 6, 16, 120 and 84, and a third inner product).
    """

    def __init__(self, num_classes: int, spec: Preprocess) -> None:
        super().__init__(spec.channels)
        if spec.size < SMALLEST:
            raise ConfigError(f"emex2 takes pictures of {SMALLEST} pixels or more, not {spec.size}")
        side = ((spec.size - 4) // 2 - 4) // 2
        self.features = nn.Sequential(
            nn.Conv2d(spec.channels, 20, 5),
            nn.MaxPool2d(2),
            nn.Conv2d(20, 50, 5),
            nn.MaxPool2d(2),
            nn.Flatten(),
        )
        self.hidden = nn.Sequential(nn.Linear(50 * side * side, 500), nn.ReLU())
        self.classifier = nn.Linear(500, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.hidden(self.features(self.standardised(x))))
        return logits


def emex2(num_classes: int, spec: Preprocess) -> EmEx2:
    """Four weight layers; as in Caffe's LeNet, the only ramp is behind the first inner product."""
    return EmEx2(num_classes, spec)
