"""The same training on several processes as on one, each with its rows of every batch.

What depends on more than one picture is taken over the whole batch: the loss, normalisation,
dropout, maps that move. Left alone, each process would normalise by a statistic of its own
(``torch.nn.SyncBatchNorm`` runs on GPUs only) and drop other features than a single one, and a run
would depend on how many took part in it.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def count() -> int:
    """How many processes share every batch."""
    return dist.get_world_size() if dist.is_initialized() else 1


def own(batch: Tensor) -> Tensor:
    """This process's rows of a batch."""
    if count() == 1:
        return batch
    n, rank = len(batch) // count(), dist.get_rank()
    return batch[rank * n : (rank + 1) * n]


def whole(rows: Tensor) -> Tensor:
    """A batch put together from every process's rows; gradients reach this one's own."""
    if count() == 1:
        return rows
    found = [torch.empty_like(rows, memory_format=torch.contiguous_format) for _ in range(count())]
    dist.all_gather(found, rows.detach().contiguous())
    found[dist.get_rank()] = rows
    return torch.cat(found)


def over_whole_batches(net: nn.Module) -> None:
    """Let a network's normalisation and dropout act as if one process had the whole batch.

    Its parameters, and their names, stay.
    """
    for module in list(net.modules()):
        for name, child in module.named_children():
            if isinstance(child, _BatchNorm) and not isinstance(child, nn.SyncBatchNorm):
                setattr(module, name, _Norm(child))
            elif type(child) is nn.Dropout:
                setattr(module, name, _Dropout(child.p))


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
        mean, var = _statistics(x.detach())
        n = x.numel() // x.shape[1] * count()
        with torch.no_grad():
            assert self.momentum is not None
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * n / (n - 1), self.momentum)
            self.num_batches_tracked += 1
        y: Tensor = _Normalised.apply(x, self.weight, self.bias, mean, var, self.eps)  # type: ignore[no-untyped-call]
        return y


def _statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance (C,) of the whole batch's maps, of which x (N, C, ...) are this process's.

    From those of every process, which has as many rows as any other.
    """
    dims = [d for d in range(x.ndim) if d != 1]
    var, mean = torch.var_mean(x.float(), dims, correction=0)
    found = whole(torch.stack([mean, var])[None]).double()  # (processes, 2, C)
    among = found[:, 0].mean(0)
    within = (found[:, 1] + (found[:, 0] - among).square()).mean(0)
    return among.to(mean.dtype), within.to(var.dtype)


class _Normalised(torch.autograd.Function):
    """Maps normalised by statistics that depend on every process's, and so do their gradients."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, var: Tensor, eps: float
    ) -> Tensor:
        ctx.save_for_backward(x, weight, mean, var)
        ctx.eps = eps
        return F.batch_norm(x, mean, var, weight, bias, eps=eps)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        """As if the statistics were given, and then what they change (Ioffe & Szegedy 2015)."""
        x, weight, mean, var = ctx.saved_tensors
        wanted = (True, True, True)
        dx, dweight, dbias = torch.ops.aten.native_batch_norm_backward(
            dy, x, weight, mean, var, None, None, False, ctx.eps, wanted
        )
        both = torch.stack([dweight, dbias])
        dist.all_reduce(both)
        along, offset = both / (x.numel() // x.shape[1] * count())
        inverse = (var + ctx.eps).rsqrt()
        slope = weight * inverse.square() * along
        shape = [1, -1] + [1] * (x.ndim - 2)
        level = weight * inverse * offset - slope * mean
        dx = dx - slope.view(shape) * x - level.view(shape)
        return dx.to(x.dtype), dweight, dbias, None, None, None


class _Dropout(nn.Module):
    """Dropout whose mask is drawn for the whole batch, of which each process uses its rows."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        return x * own(F.dropout(torch.ones_like(torch.cat([x] * count())), self.share))
