"""The layers of R3GAN: inverted bottlenecks with grouped convolutions and no norm, and resampling."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d

from duel.networks import _init

if TYPE_CHECKING:
    import numpy as np

_SLOPE = 0.2
_KERNEL = (1.0, 3.0, 3.0, 1.0)  # [1, 2, 1], and the two samples of a doubled side


class Block(nn.Module):
    """x + f(x), N×C×S×S → the same (Huang et al. 2024, config E).

    f: 1×1 convolution to `expansion` times the maps, 3×3 convolution in groups, 1×1 convolution back. A
    bias and LeakyReLU stand between them, no norm anywhere. As in Fixup (arXiv:1901.09321) the last
    convolution starts at 0, so that the block starts as the identity, and the others are scaled down by
    the number of blocks to the power 1/(2·3 − 2).
    """

    def __init__(self, width: int, group_size: int, expansion: int, blocks: int) -> None:
        super().__init__()
        wide = expansion * width
        gain = math.sqrt(2 / (1 + _SLOPE**2)) * blocks ** (-1 / 4)
        self.branch = nn.Sequential(
            with_gain(nn.Conv2d(width, wide, 1), gain),
            nn.LeakyReLU(_SLOPE),
            with_gain(nn.Conv2d(wide, wide, 3, padding=1, groups=groups(wide, group_size)), gain),
            nn.LeakyReLU(_SLOPE),
            with_gain(nn.Conv2d(wide, width, 1, bias=False), 0.0),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)  # type: ignore[no-any-return]


class Basis(nn.Module):
    """A learnt stack of maps, each times a number that is linear in the vector: N×F → N×C×start×start."""

    def __init__(self, features: int, width: int, start: int) -> None:
        super().__init__()
        self.maps = nn.Parameter(torch.empty(width, start, start))
        self.linear = nn.Linear(features, width, bias=False)

    def forward(self, z: Tensor) -> Tensor:
        return self.maps * self.linear(z)[:, :, None, None]  # type: ignore[no-any-return]


class Projection(nn.Module):
    """Features and label → N×outputs: a linear map to `size` numbers per output, times V_y and summed."""

    takes_labels = True

    def __init__(self, features: int, size: int, outputs: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, outputs * size, bias=False)
        self.embedding = with_gain(nn.Embedding(classes, size), 1 / math.sqrt(size))
        self.outputs = outputs

    def forward(self, h: Tensor, labels: Tensor) -> Tensor:
        found = self.linear(h).unflatten(1, (self.outputs, -1))
        return (found * self.embedding(labels)[:, None]).sum(2)  # type: ignore[no-any-return]


class _Resampling(nn.Module):
    """Holds the bilinear kernel. Each map is filtered alone, by what is the fastest call on a CPU."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        line = torch.tensor(_KERNEL)
        square = torch.outer(line, line)
        self.register_buffer("kernel", square[None, None] / square.sum(), persistent=False)

    def each(self, x: Tensor) -> Tensor:
        """The kernel, once per map of N×C×S×S."""
        return self.kernel.expand(x.shape[1], -1, -1, -1)


class Double(_Resampling):
    """N×C×S×S → N×C×2S×2S, bilinear."""

    def forward(self, x: Tensor) -> Tensor:
        return conv_transpose2d(x, 4 * self.each(x), stride=2, padding=1, groups=x.shape[1])


class Halve(_Resampling):
    """N×C×2S×2S → N×C×S×S, bilinear."""

    def forward(self, x: Tensor) -> Tensor:
        return conv2d(x, self.each(x), stride=2, padding=1, groups=x.shape[1])


def groups(channels: int, size: int) -> int:
    """Into how many groups of `size` so many feature maps go; one, where there are fewer than `size`."""
    return max(1, channels // size)


def linear_change(inputs: int, outputs: int) -> list[nn.Module]:
    """A 1×1 convolution without bias, where the number of feature maps changes."""
    return [] if inputs == outputs else [nn.Conv2d(inputs, outputs, 1, bias=False)]


def with_gain(layer: nn.Module, gain: float) -> nn.Module:
    """The layer, with the gain of its initial weights noted for `initialise`."""
    layer.gain = gain  # type: ignore[assignment]
    return layer


def initialise(module: nn.Module, rng: np.random.Generator) -> None:
    """Weights N(0, gain² / inputs), biases 0, the maps of the basis N(0, 1).

    An embedding counts as a linear map of the one-hot label: it has as many inputs as there are classes.
    """
    for layer in module.modules():
        gain = getattr(layer, "gain", 1.0)
        if isinstance(layer, nn.Conv2d | nn.Linear):
            _init.normal(layer.weight, rng, 0.0, gain / math.sqrt(layer.weight[0].numel()))
            _init.zero_bias(layer)
        elif isinstance(layer, nn.Embedding):
            _init.normal(layer.weight, rng, 0.0, gain / math.sqrt(layer.num_embeddings))
        elif isinstance(layer, Basis):
            _init.normal(layer.maps, rng, 0.0, 1.0)
