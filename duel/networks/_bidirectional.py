"""Encoders, and discriminators of pairs (sample, latent vector)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from duel.networks._layers import LabelVector, logits


class Encoder(nn.Module):
    """Samples → latent vectors N×L: hidden layers, a linear layer, and how its numbers become the vector."""

    def __init__(self, body: nn.Module, linear: nn.Module, last: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.linear = linear
        self.last = last

    def hidden(self, samples: Tensor) -> Tensor:
        """The last hidden layer's activations, N×H."""
        return self.body(samples).flatten(1)  # type: ignore[no-any-return]

    def forward(self, samples: Tensor) -> Tensor:
        return self.last(self.linear(self.body(samples)).flatten(1))  # type: ignore[no-any-return]


class Reparametrised(nn.Module):
    """(μ, log σ), N×2L → z = μ + σ⊙ε with ε ~ N(0, 1) in training, else μ; N×L (arXiv:1312.6114).

    ε comes from torch's generator, which a run seeds and saves.
    """

    def forward(self, x: Tensor) -> Tensor:
        mean, log_std = x.chunk(2, 1)
        return mean + log_std.exp() * torch.randn_like(mean) if self.training else mean


class Bounded(nn.Module):
    """2·sigmoid(x) − 1: vectors in (−1, 1), like uniform latent vectors."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x / 2)


class ConvolutionalPair(nn.Module):
    """Discriminator of (x, z[, labels]): a path for each, then the layers that see both side by side.

    x_path N×C×32×32 → N×F×1×1, z_path N×L×1×1 → N×F'×1×1, joint N×(F+F'[+label size])×1×1 → logits.
    """

    def __init__(
        self, x_path: nn.Module, z_path: nn.Module, joint: nn.Module, label: LabelVector | None
    ) -> None:
        super().__init__()
        self.x_path = x_path
        self.z_path = z_path
        self.joint = joint
        self.label = label

    def forward(self, x: Tensor, z: Tensor, labels: Tensor | None = None) -> Tensor:
        both = torch.cat([self.x_path(x), self.z_path(z[:, :, None, None])], 1)
        if self.label is not None:
            both = self.label(both.flatten(1), labels)[:, :, None, None]
        return self.joint(both)  # type: ignore[no-any-return]


class DensePair(nn.Module):
    """Discriminator of (x, z[, labels]): z is added, by a linear map, to every hidden layer but the first.

    `hidden` are the units of the hidden layers. No biases; a norm without parameters after each sum.
    """

    def __init__(
        self, inputs: int, latent: int, hidden: tuple[int, ...], slope: float, outputs: int, norm: str,
        label: LabelVector | None,
    ) -> None:  # fmt: skip
        super().__init__()
        beside = latent if label is None else latent + label.embedding.embedding_dim
        self.label = label
        self.first = nn.Sequential(nn.Flatten(), nn.Linear(inputs, hidden[0], bias=False))
        self.later = nn.ModuleList(nn.Linear(before, units, bias=False) for before, units in pairwise(hidden))
        self.beside = nn.ModuleList(nn.Linear(beside, units, bias=False) for units in hidden[1:])
        self.norms = nn.ModuleList(plain_norm(norm, units) for units in hidden[1:])
        self.activation = nn.LeakyReLU(slope)
        self.head = nn.Sequential(nn.Linear(hidden[-1], outputs, bias=False), logits(outputs))

    def forward(self, x: Tensor, z: Tensor, labels: Tensor | None = None) -> Tensor:
        if self.label is not None:
            z = self.label(z, labels)
        h = self.activation(self.first(x))
        for linear, beside, norm in zip(self.later, self.beside, self.norms, strict=True):
            h = self.activation(norm(linear(h) + beside(z)))
        return self.head(h)  # type: ignore[no-any-return]


def plain_norm(kind: str, units: int) -> nn.Module:
    """The norm of a vector N×units without parameters: "batch", "layer", or the identity for "none"."""
    if kind == "batch":
        return nn.BatchNorm1d(units, affine=False)
    return nn.LayerNorm(units, elementwise_affine=False) if kind == "layer" else nn.Identity()


def label_vector(classes: int, size: int) -> LabelVector | None:
    """The layer that puts a label's embedding beside a vector, or None without labels."""
    return LabelVector(classes, size) if classes else None
