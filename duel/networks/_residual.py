"""Residual blocks with the nonlinearity first, as in WGAN-GP and SNGAN."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch import Tensor, nn

from duel.networks import _init
from duel.networks._layers import Labelled, normalising, upscale, weighted

if TYPE_CHECKING:
    import numpy as np


class Up(nn.Module):
    """A generator's block: N×inputs×S×S → N×outputs×2S×2S.

    Norm, ReLU, nearest upsampling, 3×3 convolution, norm, ReLU, 3×3 convolution; beside it upsampling and
    a 1×1 convolution. With `classes` batch norm is conditional on the label.
    """

    takes_labels = True

    def __init__(self, inputs: int, outputs: int, norm: str, classes: int) -> None:
        super().__init__()
        # Batch norm takes every constant away: in the next block, and what goes past it in the last one.
        bias = norm != "batch"
        self.residual = Labelled(
            *normalising(norm, inputs, classes),
            nn.ReLU(),
            upscale("nearest"),
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias),
            *normalising(norm, outputs, classes),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=bias),
        )
        self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=bias), upscale("nearest"))

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.residual(x, labels) + self.shortcut(x)  # type: ignore[no-any-return]


class Down(nn.Module):
    """A discriminator's block: N×inputs×S×S → N×outputs×S×S, or half the side with `halve`.

    Norm, ReLU, 3×3 convolution, norm, ReLU, 3×3 convolution, mean over 2×2; beside it a 1×1 convolution
    and the mean, or nothing where the shape stays. The first block of a network sees the image itself and
    begins with the convolution, without norms; its shortcut takes the mean first.
    """

    def __init__(self, inputs: int, outputs: int, norm: str, halve: bool, first: bool = False) -> None:
        super().__init__()
        before = [] if first else [*normalising(norm, inputs), nn.ReLU()]
        hidden = outputs if first else inputs
        pool: list[nn.Module] = [nn.AvgPool2d(2, ceil_mode=True)] if halve else []
        self.residual = nn.Sequential(
            *before,
            weighted(nn.Conv2d(inputs, hidden, 3, padding=1), norm),
            *([] if first else normalising(norm, hidden)),
            nn.ReLU(),
            weighted(nn.Conv2d(hidden, outputs, 3, padding=1), norm),
            *pool,
        )
        beside: list[nn.Module] = []
        if halve or inputs != outputs:
            beside = [weighted(nn.Conv2d(inputs, outputs, 1), norm), *pool]
        # mean and 1×1 convolution can change places; the cheaper order is the smaller input's
        self.shortcut = nn.Sequential(*(reversed(beside) if first else beside))

    def forward(self, x: Tensor) -> Tensor:
        return self.residual(x) + self.shortcut(x)  # type: ignore[no-any-return]


def initialise(module: nn.Module, rng: np.random.Generator) -> None:
    """Glorot-uniform weights, with a gain of √2 in the residual branches; biases 0.

    An embedding that gives gains and shifts starts at 0, so that every label begins with gain 1 and
    shift 0.
    """
    branches = [block.residual for block in module.modules() if isinstance(block, Up | Down)]
    strong = {layer for branch in branches for layer in branch.modules()}
    for layer in module.modules():
        if isinstance(layer, nn.Embedding) and getattr(layer, "offsets", False):
            _init.normal(layer.weight, rng, 0.0, 0.0)
        elif isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding):
            gain = math.sqrt(2) if layer in strong else 1.0
            _init.glorot(_init.weight_of(layer), rng, gain)
            _init.zero_bias(layer)
