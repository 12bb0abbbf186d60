"""The eight functions in which objectives and penalties are written.

A formula gets them as its argument `xp` and imports no array library, so that one file serves PyTorch
tensors, NumPy arrays and whatever else an engine computes with.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple, Protocol


class Functions(Protocol):
    """Elementwise functions of arrays (`mean`: over all elements). `softplus` is log(1 + exp(x)).

    exp and log as usual; sigmoid is 1/(1 + exp(−x)); maximum takes two arguments, either of which
    may be a number.
    """

    def exp(self, x: Any) -> Any: ...
    def log(self, x: Any) -> Any: ...
    def softplus(self, x: Any) -> Any: ...
    def sigmoid(self, x: Any) -> Any: ...
    def tanh(self, x: Any) -> Any: ...
    def maximum(self, x: Any, y: Any) -> Any: ...
    def abs(self, x: Any) -> Any: ...
    def mean(self, x: Any) -> Any: ...


class _Table(NamedTuple):
    exp: Any
    log: Any
    softplus: Any
    sigmoid: Any
    tanh: Any
    maximum: Any
    abs: Any
    mean: Any


@cache
def torch_functions() -> Functions:
    """The functions for torch tensors. Stable for large |x|: softplus and sigmoid never overflow."""
    import torch
    from torch.nn import functional

    def maximum(x: Any, y: Any) -> torch.Tensor:
        if isinstance(x, torch.Tensor) and isinstance(y, torch.Tensor):
            return torch.maximum(x, y)
        # a number stays on the host
        return x.clamp(min=y) if isinstance(x, torch.Tensor) else y.clamp(min=x)

    def softplus(x: torch.Tensor) -> torch.Tensor:
        # functional.softplus is linear above 20 by default: an error of 2e-9, visible in float64.
        return functional.softplus(x, threshold=40.0)

    return _Table(torch.exp, torch.log, softplus, torch.sigmoid, torch.tanh, maximum, torch.abs, torch.mean)


@cache
def numpy_functions() -> Functions:
    """The functions for NumPy arrays."""
    import numpy as np

    def softplus(x: Any) -> Any:
        return np.logaddexp(0.0, x)

    def sigmoid(x: Any) -> Any:
        return np.exp(-np.logaddexp(0.0, -x))

    return _Table(np.exp, np.log, softplus, sigmoid, np.tanh, np.maximum, np.abs, np.mean)
