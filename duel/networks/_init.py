"""Initial weights drawn with NumPy, so that every engine and device starts from the same numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor
    from torch.nn import Module


def normal(parameter: Tensor, rng: np.random.Generator, mean: float, std: float) -> None:
    """Fill with N(mean, std²)."""
    _fill(parameter, mean + std * rng.standard_normal(parameter.shape))


def glorot(weight: Tensor, rng: np.random.Generator) -> None:
    """Fill a matrix (outputs × inputs) with U(−a, a), a = √(6 / (inputs + outputs)).

    Glorot, Bengio 2010, equation 16.
    """
    bound = math.sqrt(6 / sum(weight.shape))
    _fill(weight, rng.uniform(-bound, bound, weight.shape))


def dcgan(module: Module, rng: np.random.Generator, std: float) -> None:
    """Convolutions N(0, std²), batch-norm scales N(1, std²), shifts 0 (Radford et al. 2016, section 4)."""
    from torch import nn

    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            normal(layer.weight, rng, 0.0, std)
        elif isinstance(layer, nn.BatchNorm2d):
            normal(layer.weight, rng, 1.0, std)
            layer.bias.data.zero_()


def dense(module: Module, rng: np.random.Generator) -> None:
    """Linear layers: Glorot-uniform weights, biases 0."""
    from torch import nn

    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            glorot(layer.weight, rng)
            layer.bias.data.zero_()


def _fill(parameter: Tensor, values: np.ndarray) -> None:
    import torch

    with torch.no_grad():
        parameter.copy_(torch.from_numpy(values))
