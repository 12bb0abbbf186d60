"""Batch norm over the batches of several processes, on any device: PyTorch's own refuses the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import Module


def synchronise(module: Module) -> None:
    """Let every batch norm in the module see the batches of all ranks."""
    for layer in module.modules():
        if type(layer) in _SYNCHRONISED:
            layer.__class__ = _SYNCHRONISED[type(layer)]
            _join(layer, True)


@contextmanager
def apart(*modules: Module) -> Iterator[None]:
    """Within it each rank's batch norm sees its own batch: for what one rank does by itself."""
    layers = [each for module in modules for each in module.modules() if hasattr(each, "joined")]
    for layer in layers:
        _join(layer, False)
    try:
        yield
    finally:
        for layer in layers:
            _join(layer, True)


def _join(layer: Any, joined: bool) -> None:
    layer.joined = joined


class _Sum(torch.autograd.Function):
    """The sum over all ranks. Its gradient is the sum of theirs, since every rank's loss depends on it."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _Sum.apply(gradient)  # type: ignore[no-any-return, no-untyped-call]


def _normalised(layer: Any, x: Tensor) -> Tensor:
    """Batch norm in training, its mean and variance over the batches of all ranks."""
    axes = [axis for axis in range(x.dim()) if axis != 1]
    shape = [1, -1] + [1] * (x.dim() - 2)
    count = dist.get_world_size() * x.numel() / x.shape[1]
    mean = _Sum.apply(x.sum(axes)) / count  # type: ignore[no-untyped-call]
    centred = x - mean.view(shape)
    variance = _Sum.apply(centred.square().sum(axes)) / count  # type: ignore[no-untyped-call]
    if layer.track_running_stats:
        with torch.no_grad():
            layer.num_batches_tracked += 1
            layer.running_mean.lerp_(mean, layer.momentum)
            layer.running_var.lerp_(variance * count / (count - 1), layer.momentum)
    out: Tensor = centred * torch.rsqrt(variance + layer.eps).view(shape)
    if layer.affine:
        out = out * layer.weight.view(shape) + layer.bias.view(shape)
    return out


class _Sync1d(nn.BatchNorm1d):
    joined: bool

    def forward(self, x: Tensor) -> Tensor:
        return _normalised(self, x) if self.training and self.joined else super().forward(x)


class _Sync2d(nn.BatchNorm2d):
    joined: bool

    def forward(self, x: Tensor) -> Tensor:
        return _normalised(self, x) if self.training and self.joined else super().forward(x)


_SYNCHRONISED: dict[type[Module], type[Module]] = {nn.BatchNorm1d: _Sync1d, nn.BatchNorm2d: _Sync2d}
