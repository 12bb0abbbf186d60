"""Initial weights of torch modules: which layer gets which numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from duel import initial

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from torch import Tensor
    from torch.nn import Module

_POWER_ITERATIONS = 15
_SPREAD = 0.02  # of the DCGAN's initial weights


def normal(parameter: Tensor, rng: np.random.Generator, mean: float, std: float) -> None:
    """Fill with N(mean, std²)."""
    _fill(parameter, initial.normal(parameter.shape, rng, mean, std))


def glorot(weight: Tensor, rng: np.random.Generator, gain: float = 1.0) -> None:
    """Fill with Glorot's uniform distribution (`duel.initial`)."""
    _fill(weight, initial.glorot(weight.shape, rng, gain))


def orthogonal(weight: Tensor, rng: np.random.Generator) -> None:
    """Fill with orthonormal rows or columns (`duel.initial`)."""
    _fill(weight, initial.orthogonal(weight.shape, rng))


def dcgan(module: Module, rng: np.random.Generator) -> None:
    """Weights N(0, 0.02²), norms' scales N(1, 0.02²), shifts 0 (Radford et al. 2016, section 4)."""
    from torch import nn

    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.Embedding):
            normal(weight_of(layer), rng, 0.0, _SPREAD)
            zero_bias(layer)
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d | nn.GroupNorm) and layer.weight is not None:
            normal(layer.weight, rng, 1.0, _SPREAD)
            zero_bias(layer)


def uniform(module: Module, rng: np.random.Generator) -> None:
    """Linear layers and convolutions: Glorot-uniform weights, biases 0; embeddings N(0, 1)."""
    from torch import nn

    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            glorot(weight_of(layer), rng)
            zero_bias(layer)
        elif isinstance(layer, nn.Embedding):
            # gains and shifts of a conditional norm are offsets from 1 and 0 and start there
            normal(weight_of(layer), rng, 0.0, 0.0 if getattr(layer, "offsets", False) else 1.0)


def labels(module: Module, rng: np.random.Generator) -> None:
    """Draw anew how labels come in: embeddings N(0, 1) before a dense layer, the rest Glorot-uniform.

    With the N(0, 0.02²) of the convolutions a label moves a tenth of a per cent of a feature map at first,
    and the generator passes it over for a thousand steps.
    """
    from duel.networks import _layers

    for layer in module.modules():
        if isinstance(layer, _layers.LabelChannel):
            normal(weight_of(layer.embedding), rng, 0.0, 1.0)
            glorot(weight_of(layer.dense), rng)
        elif isinstance(layer, _layers.ProjectionHead):
            for part in (layer.linear, layer.embedding):
                if part is not None:
                    glorot(weight_of(part), rng)


def override(module: Module, rng: np.random.Generator, conv: str, linear: str, std: float) -> None:
    """Draw convolutions and linear layers anew, where the kind asked for is not "paper"."""
    from torch import nn

    kinds: dict[str, Callable[[Tensor], None]] = {
        "normal": lambda weight: normal(weight, rng, 0.0, std),
        "glorot": lambda weight: glorot(weight, rng),
        "orthogonal": lambda weight: orthogonal(weight, rng),
    }
    for layer in module.modules():
        asked = "paper"
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            asked = conv
        elif isinstance(layer, nn.Linear):
            asked = linear
        if asked != "paper":
            kinds[asked](weight_of(layer))


def settle_spectral_norm(module: Module, rng: np.random.Generator) -> None:
    """Start the power iterations of spectrally normalised layers from `rng`, and let them converge.

    torch starts them from its own generator and, at that time, from weights that are replaced later.
    """
    from torch.nn.utils import parametrize
    from torch.nn.utils.parametrizations import _SpectralNorm

    for layer in module.modules():
        if not parametrize.is_parametrized(layer, "weight"):
            continue
        for norm in layer.parametrizations["weight"]:  # type: ignore[index]
            if isinstance(norm, _SpectralNorm):
                for vector in (norm._u, norm._v):
                    values = rng.standard_normal(vector.shape)
                    _fill(vector, values / math.sqrt((values**2).sum()))
                for _ in range(_POWER_ITERATIONS):
                    _ = layer.weight  # each look is one iteration


def weight_of(layer: Module) -> Tensor:
    """A layer's weight itself, also where a parametrization stands before it."""
    from torch.nn.utils import parametrize

    if parametrize.is_parametrized(layer, "weight"):
        original: Tensor = layer.parametrizations["weight"].original  # type: ignore[index,union-attr]
        return original
    return layer.weight  # type: ignore[return-value]


def zero_bias(layer: Module) -> None:
    """Set a layer's bias to 0, where it has one."""
    bias = getattr(layer, "bias", None)
    if bias is not None:
        bias.data.zero_()


def _fill(parameter: Tensor, values: np.ndarray) -> None:
    import torch

    with torch.no_grad():
        parameter.copy_(torch.from_numpy(values))
