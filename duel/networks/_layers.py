"""Layers that the architectures share: norms by name, and the ways in which labels come in."""

from __future__ import annotations

import contextlib
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.parametrize import register_parametrization

Norm = Literal["batch", "layer", "none", "spectral"]


class Labelled(nn.Sequential):
    """Layers in order; those with `takes_labels` are also handed the labels (int64 N)."""

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """The last layer's output."""
        for layer in self:
            x = layer(x, labels) if getattr(layer, "takes_labels", False) else layer(x)
        return x


def weighted(layer: nn.Module, norm: str) -> nn.Module:
    """The layer itself, or with its weight divided by its largest singular value for the norm "spectral".

    Miyato et al. 2018 (arXiv:1802.05957).
    """
    if norm == "spectral":
        dim = 1 if isinstance(layer, nn.ConvTranspose2d) else 0  # where its output channels are
        weight = layer.weight
        assert isinstance(weight, Tensor)
        register_parametrization(layer, "weight", WholeSpectralNorm(weight, dim=dim))
    return layer


class WholeSpectralNorm(_SpectralNorm):
    """PyTorch's spectral norm in the weight's own precision, whatever autocast is on around it.

    On CUDA autocast would do the power iteration's products in bfloat16: a σ of 8 bits, wrong by up to 0.4 %.
    """

    def forward(self, weight: Tensor) -> Tensor:
        """The weight divided by its largest singular value, same shape; in training one iteration first."""
        device = weight.device.type
        known = torch.amp.is_autocast_available(device)  # not for "meta", where networks are only checked
        with torch.autocast(device, enabled=False) if known else contextlib.nullcontext():
            normalised: Tensor = super().forward(weight)
        return normalised


def normalising(norm: str, channels: int, classes: int = 0) -> list[nn.Module]:
    """The norm's own layers for feature maps N×C×H×W: one for "batch" and "layer", else none.

    "layer" is over all of one sample's maps, with a gain and a shift per channel (as in WGAN-GP). With
    `classes` batch norm is conditional on the label.
    """
    if norm == "batch":
        return [ConditionalBatchNorm(channels, classes) if classes else nn.BatchNorm2d(channels)]
    return [nn.GroupNorm(1, channels)] if norm == "layer" else []


class ConditionalBatchNorm(nn.Module):
    """Batch norm whose gain and shift depend on the label (de Vries et al. 2017, arXiv:1707.00683).

    N×C×H×W → the same. The embedding holds offsets from gain 1 and shift 0.
    """

    takes_labels = True

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.offsets = nn.Embedding(classes, 2 * channels)
        self.offsets.offsets = True  # type: ignore[assignment]  # for the initial weights

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        gain, shift = self.offsets(labels)[:, :, None, None].chunk(2, 1)
        return self.norm(x) * (1 + gain) + shift  # type: ignore[no-any-return]


class LabelChannel(nn.Module):
    """One more feature map, made from the label: embedding → dense → 1×side×side (Hoeckler 2021, 4.3.2).

    N×C×side×side → N×(C+1)×side×side.
    """

    takes_labels = True

    def __init__(self, classes: int, side: int, size: int = 50) -> None:
        super().__init__()
        self.embedding = nn.Embedding(classes, size)
        self.dense = nn.Linear(size, side * side)
        self.side = side

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        channel = self.dense(self.embedding(labels)).view(-1, 1, self.side, self.side)
        return torch.cat([x, channel], 1)


class LabelVector(nn.Module):
    """The label's embedding beside a vector: N×F → N×(F+size) (Mirza, Osindero 2014, arXiv:1411.1784)."""

    takes_labels = True

    def __init__(self, classes: int, size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(classes, size)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        return torch.cat([x, self.embedding(labels)], 1)


class ProjectionHead(nn.Module):
    """The discriminator's last layer: ψ(h) + h·V_y of features h (N×F) → N×outputs.

    Miyato, Koyama 2018 (arXiv:1802.05637), equation 3. Without classes only the linear layer ψ.
    """

    takes_labels = True

    def __init__(self, features: int, outputs: int, classes: int, norm: str) -> None:
        super().__init__()
        self.linear = weighted(nn.Linear(features, outputs), norm)
        self.embedding = weighted(nn.Embedding(classes, features), norm) if classes else None

    def forward(self, h: Tensor, labels: Tensor | None = None) -> Tensor:
        out: Tensor = self.linear(h)
        if self.embedding is None:
            return out
        return out + (self.embedding(labels) * h).sum(1, keepdim=True)  # type: ignore[no-any-return]


class RationalTanh(nn.Module):
    """2x / (1 + |2x|) (Bensi, Nocchi 2023, corrected: their text has 1 / (1 + |2x|))."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x / (1 + (2 * x).abs())


class RationalSigmoid(nn.Module):
    """½ (x / (1 + |x|) + 1) (Bensi, Nocchi 2023)."""

    def forward(self, x: Tensor) -> Tensor:
        return (x / (1 + x.abs()) + 1) / 2


def activation(name: str, slope: float = 0.0) -> nn.Module:
    """The activation of that name; `slope` is that of "leaky-relu", 0 makes it ReLU."""
    if name == "leaky-relu":
        return nn.LeakyReLU(slope) if slope else nn.ReLU()
    kinds = {"tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
    rational = {"rational-tanh": RationalTanh, "rational-sigmoid": RationalSigmoid}
    return {**kinds, **rational}[name]()


class SumPool(nn.Module):
    """N×C×H×W → N×C, summed over space."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sum((2, 3))


def logits(outputs: int) -> nn.Module:
    """N×outputs (and trailing ones) → (N,) for one output, else N×outputs."""
    return nn.Flatten(0) if outputs == 1 else nn.Flatten(1)


def upscale(kind: str) -> nn.Module:
    """Twice the side by "nearest" or "bilinear"."""
    corners = {"align_corners": False} if kind == "bilinear" else {}
    return nn.Upsample(scale_factor=2, mode=kind, **corners)
