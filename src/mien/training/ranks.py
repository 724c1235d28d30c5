"""The same training on several processes as on one, each with its share of every batch.

``torch.nn.SyncBatchNorm`` runs on GPUs only, and dropout draws for the pictures it sees; left
alone, each process would normalise by a statistic of its own and drop other features than a single
one, and a run would depend on how many took part in it. Here both are taken over the whole batch.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributed.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm


def over_whole_batches(net: nn.Module) -> None:
    """Let a network's normalisation and dropout act as if one process had the whole batch.

    Its parameters, and their names, stay.
    """
    for module in list(net.modules()):
        for name, child in module.named_children():
            if isinstance(child, _BatchNorm):
                setattr(module, name, _Norm(child))
            elif type(child) is nn.Dropout:
                setattr(module, name, _Dropout(child.p))


def _total(part: Tensor) -> Tensor:
    """The sum over all processes; gradients are summed as well."""
    total: Tensor = functional.all_reduce(part)  # type: ignore[no-untyped-call]
    return total


class _Norm(nn.Module):
    """A batch normalisation (Ioffe & Szegedy 2015) by the statistics of all processes' pictures."""

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps
        self.momentum = norm.momentum
        for name, buffer in norm.named_buffers():
            self.register_buffer(name, buffer)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            mean, var = self.running_mean, self.running_var
            return F.batch_norm(x, mean, var, self.weight, self.bias, eps=self.eps)
        dims = [d for d in range(x.ndim) if d != 1]
        shape = [1, -1] + [1] * (x.ndim - 2)
        n = x.numel() // x.shape[1] * dist.get_world_size()
        wide = x.float()
        mean = _total(wide.sum(dims)) / n
        off = wide - mean.view(shape)
        var = _total(off.square().sum(dims)) / n
        with torch.no_grad():
            assert self.momentum is not None
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * n / (n - 1), self.momentum)
            self.num_batches_tracked += 1
        scale = self.weight * (var + self.eps).rsqrt()
        y: Tensor = off * scale.view(shape) + self.bias.view(shape)
        return y.to(x.dtype)


class _Dropout(nn.Module):
    """Dropout whose mask is drawn for the whole batch, of which each process uses its part."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        parts, part = dist.get_world_size(), dist.get_rank()
        mask = F.dropout(torch.ones_like(torch.cat([x] * parts)), self.share)
        return x * mask[part * len(x) : (part + 1) * len(x)]
