"""Data and networks with a planted fault, for bench/diagnosis.py: variants from outside, `faulty:NAME`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import Module

from duel import catalog
from duel.datasets._base import Data, DataSet, Split
from duel.interface import Interface
from duel.networks.bigan_dense import BiganDense
from duel.networks.dcgan import Dcgan
from duel.options import options


@options
class Altered(DataSet):
    """A listed data set, damaged.

    base        its name; resolution: of images, where it is not the set's own
    first       only so many training samples
    copies      each of them so often
    shuffled    the training labels belong to other samples
    majority    the share of training samples that are of class 0
    constant    one more channel, which is the same everywhere
    """

    base: str = "digits"
    resolution: int | None = None
    first: int | None = None
    copies: int = 1
    shuffled: bool = False
    majority: float | None = None
    constant: bool = False

    def load(self) -> Data:
        side: dict[str, Any] = {} if self.resolution is None else {"resolution": self.resolution}
        data: Data = catalog.load_class("datasets", self.base)(**side).load()
        rng = np.random.default_rng(0)
        train = data.splits["train"]
        rows = np.arange(len(train))[: self.first]
        if self.majority is not None:
            assert train.labels is not None
            mine, other = (np.flatnonzero((train.labels == 0) == it) for it in (True, False))
            rows = np.concatenate([mine, other[: round(len(mine) * (1 / self.majority - 1))]])
        rows = np.tile(rows, self.copies)
        labels = None if train.labels is None else train.labels[rows]
        if self.shuffled and labels is not None:
            labels = rng.permutation(labels)
        splits = {**data.splits, "train": Split(train.samples[rows], labels)}
        spec = data.spec
        if self.constant:
            splits = {name: Split(_one_more(part.samples), part.labels) for name, part in splits.items()}
            spec = replace(spec, shape=(spec.shape[0] + 1, *spec.shape[1:]))
        return replace(data, spec=spec, splits=splits)


def _one_more(images: np.ndarray) -> np.ndarray:
    return np.concatenate([images, np.full_like(images[:, :1], 128)], 1)


class Around(Module):
    """A generator whose inputs or output are spoilt."""

    def __init__(self, inner: Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        """The inner generator's samples, spoilt."""
        return self.spoil(self.call(*self.inputs(latent, labels)))

    def inputs(self, latent: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor | None]:
        return latent, labels

    def call(self, latent: Tensor, labels: Tensor | None) -> Tensor:
        out: Tensor = self.inner(latent) if labels is None else self.inner(latent, labels)
        return out

    def spoil(self, samples: Tensor) -> Tensor:
        return samples


class _NoLatent(Around):
    def inputs(self, latent: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor | None]:
        return latent * 1e-3 + 1, labels


class _NoLabels(Around):
    def inputs(self, latent: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor | None]:
        return latent, None if labels is None else torch.zeros_like(labels)


class _FewClasses(Around):
    """The latent vector counts for nothing in the first three classes."""

    def inputs(self, latent: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor | None]:
        assert labels is not None
        return torch.where((labels < 3)[:, None], latent * 1e-3 + 1, latent), labels


class _FewImages(Around):
    """One of five latent vectors, chosen by the signs of the first components, with a little noise."""

    def inputs(self, latent: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor | None]:
        number = (latent[:, 0] > 0).long() + 2 * (latent[:, 1] > 0).long() + (latent[:, 2] > 1).long()
        table = torch.linspace(-2, 2, 5 * latent.shape[1], device=latent.device).sin().reshape(5, -1) * 2
        return table[number].to(latent.dtype) + 0.02 * latent, labels


class _Smooth(Around):
    def spoil(self, samples: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(samples, 3, 1, 1, count_include_pad=False)


@options
class IgnoresLatent(Dcgan):
    """The generator sees a thousandth of its latent vector."""

    def generator(self, interface: Interface) -> Module:
        return _NoLatent(super().generator(interface))


@options
class IgnoresLabels(Dcgan):
    """The generator takes every label for the first."""

    def generator(self, interface: Interface) -> Module:
        return _NoLabels(super().generator(interface))


@options
class FewClasses(Dcgan):
    """The generator ignores its latent vector in three classes."""

    def generator(self, interface: Interface) -> Module:
        return _FewClasses(super().generator(interface))


@options
class FewImages(Dcgan):
    """The generator sees one of five latent vectors."""

    def generator(self, interface: Interface) -> Module:
        return _FewImages(super().generator(interface))


@options
class Smooth(Dcgan):
    """Each pixel of the generator's images is the mean of its neighbourhood of 3×3."""

    def generator(self, interface: Interface) -> Module:
        return _Smooth(super().generator(interface))


@options
class Checkerboard(Dcgan):
    """Transposed convolutions with kernel 3 and stride 2, which cover every second pixel more often."""

    def _convolution(self, inputs: int, outputs: int, bias: bool) -> nn.Conv2d | nn.ConvTranspose2d:
        if self.upscale != "transposed":
            return super()._convolution(inputs, outputs, bias)
        return nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, output_padding=1, bias=bias)


class _Blind(Module):
    """A discriminator of pairs that sees no code."""

    def __init__(self, inner: Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, samples: Tensor, codes: Tensor) -> Tensor:
        """The inner discriminator's output, always for the same code."""
        out: Tensor = self.inner(samples, torch.zeros_like(codes))
        return out


@options
class BlindPair(BiganDense):
    """The discriminator sees no code, so that nothing tells the encoder what to do."""

    def discriminator(self, interface: Interface) -> Module:
        return _Blind(super().discriminator(interface))
