"""EmEx2 on one person's mouth (Biondi et al. 2019), trained from nothing; needs torch.

Pictures of 28 pixels, as LeNet's. Of 64 it named three in a hundred more right on JAFFE's persons
and half a one on LFW's, which may be chance, and took five times as long and a file of 22 MB.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from ..face import FloatArray, ImageArray
from ..labels import LabelSet
from ..media.preprocess import Preprocess, batch
from ..training.models.emex2 import EmEx2

_STEPS, _BATCH, _RATE, _SEED = 200, 10, 1e-3, 1234  # the paper's, but for its 1000 steps
_SHIFT = 1  # pixel either way


def train(
    crops: Sequence[ImageArray], labels: Sequence[str], words: LabelSet, spec: Preprocess
) -> EmEx2:
    """A network over ``words``, every label as often as every other; a few seconds of CPU."""
    torch.manual_seed(_SEED)
    rng = np.random.default_rng(_SEED)
    x = torch.from_numpy(batch(crops, spec))
    y = np.array([words.labels.index(label) for label in labels])
    rows = [np.flatnonzero(y == k) for k in range(len(words))]
    net = EmEx2(len(words), spec)
    net.measure(x.to(torch.uint8))
    optimizer = torch.optim.Adam(net.parameters(), _RATE)
    for _ in range(_STEPS):
        chosen = [rng.choice(rows[rng.integers(len(rows))]) for _ in range(_BATCH)]
        moved = _moved(x[chosen], rng)
        loss = F.cross_entropy(net(moved), torch.from_numpy(y[chosen]))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return net.eval()


def _moved(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Each picture a little aside; never mirrored, as half a face may be paralysed."""
    padded = F.pad(x, (_SHIFT,) * 4, mode="replicate")
    side = x.shape[-1]
    places = rng.integers(0, 2 * _SHIFT + 1, (len(x), 2))
    return torch.stack(
        [p[:, r : r + side, c : c + side] for p, (r, c) in zip(padded, places, strict=True)]
    )


@torch.no_grad()
def logits(net: EmEx2, crops: Sequence[ImageArray], spec: Preprocess) -> FloatArray:
    """(N, K) float32."""
    return np.asarray(net(torch.from_numpy(batch(crops, spec))).numpy(), np.float32)


def model_file(net: EmEx2, spec: Preprocess, meta: dict[str, object]) -> bytes:
    """The network as an ONNX file that says what it is."""
    from ..training.export import to_onnx, with_metadata

    return with_metadata(to_onnx(net, spec.size, spec.channels), meta)
