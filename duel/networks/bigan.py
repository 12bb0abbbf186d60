from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from duel.errors import RecipeError
from duel.networks import _encoder
from duel.networks._base import Convolutional, check_slope, need_images
from duel.options import options

if TYPE_CHECKING:
    import numpy as np
    from torch.nn import Module

    from duel.interface import Interface

_SIDE = 32
# (kernel, stride, maps in units of the width) of the five convolutions 32 → 28 → 13 → 10 → 4 → 1
_DOWN = [(5, 1, 1), (4, 2, 2), (4, 1, 4), (4, 2, 8), (4, 1, 16)]
# and of the five transposed ones 1 → 4 → 10 → 13 → 28 → 32
_UP = [(4, 1, 8), (4, 2, 4), (4, 1, 2), (4, 2, 1), (5, 1, 1)]


@options
class Bigan(Convolutional):
    """The convolutional networks of a bidirectional game, with an encoder, for images of 32×32 pixels.

    Casadei, Papa 2021, chapter 3, layer by layer. Generator: five transposed convolutions with batch norm
    and ReLU, a convolution, tanh. Encoder: six convolutions with batch norm and LeakyReLU, a convolution.
    Discriminator of a pair: five convolutions for the sample (batch norm from the second on) and two for
    the latent vector, then three for both, with LeakyReLU and dropout after all but the last. The source
    gives neither kernels nor numbers of maps; those here are the ones of ALI for SVHN (Dumoulin et al.
    2017, arXiv:1606.00704, and its code), whose layers the source's tables repeat. Weights are N(0, 0.02²),
    scales of batch norm N(1, 0.02²). In games with labels, an embedding of the label stands beside the
    latent vector in the generator, and beside the joined vector in the discriminator.

    width          feature maps at full size; the smallest maps are 16 times as many
    slope          of LeakyReLU below zero
    dropout        part of the discriminator's activations that training sets to 0: whole maps in the two
                   paths, single values after they are joined
    reparametrise  the encoder gives μ and log σ (not clamped), and in training z = μ + σ⊙ε with normal ε;
                   outside of training, and without this, z = μ
    discriminator_norm  "batch", "layer" or "none" in the discriminator; penalties need one of the latter two
    label_size     components of a label's embedding
    """

    width: int = 32
    slope: float = 0.2
    dropout: float = 0.2
    reparametrise: bool = True
    discriminator_norm: Literal["batch", "layer", "none"] = "batch"
    label_size: int = 50

    def __post_init__(self) -> None:
        check_slope(self.slope)
        for name in ("width", "label_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, allowed are integers from 1")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}, allowed are numbers from 0 to below 1")

    def check(self, interface: Interface) -> None:
        need_images("bigan", interface)
        _encoder.need_encoder("bigan", interface)
        side = interface.spec.shape[-1]
        if side != _SIDE:
            raise RecipeError(
                f'the network "bigan" makes images of 32×32 pixels and these have {side}×{side}: use '
                "data.resolution=32 (and data.fit=pad for images of 28×28)"
            )

    def generator(self, interface: Interface) -> Module:
        from torch import nn

        from duel.networks import _layers

        size, classes = interface.latent_size, interface.generator_classes
        label: list[Module] = []
        if classes:
            label = [_layers.LabelVector(classes, self.label_size)]
            size += self.label_size
        layers: list[Module] = [nn.Unflatten(1, (size, 1, 1))]
        for kernel, stride, times in _UP:
            maps = times * self.width
            layers += [
                nn.ConvTranspose2d(size, maps, kernel, stride, bias=False),
                nn.BatchNorm2d(maps),
                nn.ReLU(),
            ]
            size = maps
        out = nn.Conv2d(size, interface.spec.shape[0], 1)
        return _layers.Labelled(*label, *layers, out, nn.Tanh())

    def discriminator(self, interface: Interface) -> Module:
        from torch import nn

        from duel.networks import _bidirectional, _layers

        channels, _, _ = interface.spec.shape
        x_path: list[Module] = []
        for number, (kernel, stride, times) in enumerate(_DOWN):
            maps = times * self.width
            x_path += [
                nn.Conv2d(
                    channels, maps, kernel, stride, bias=number == 0 or self.discriminator_norm == "none"
                ),
                *(_layers.normalising(self.discriminator_norm, maps) if number else []),
                nn.LeakyReLU(self.slope),
                nn.Dropout2d(self.dropout),
            ]
            channels = maps
        z_path = self._pointwise([interface.latent_size, channels, channels], nn.Dropout2d)
        label = _bidirectional.label_vector(interface.discriminator_classes, self.label_size)
        joined = 2 * channels + (self.label_size if label else 0)
        joint = self._pointwise([joined, 2 * channels, 2 * channels], nn.Dropout)
        return _bidirectional.ConvolutionalPair(
            nn.Sequential(*x_path),
            nn.Sequential(*z_path),
            nn.Sequential(
                *joint,
                nn.Conv2d(2 * channels, interface.outputs, 1),
                _layers.logits(interface.outputs),
            ),
            label,
        )

    def encoder(self, interface: Interface) -> Module:
        from torch import nn

        from duel.networks import _bidirectional

        channels, _, _ = interface.spec.shape
        body: list[Module] = []
        for kernel, stride, times in [*_DOWN, (1, 1, 16)]:
            maps = times * self.width
            body += [
                nn.Conv2d(channels, maps, kernel, stride, bias=False),
                nn.BatchNorm2d(maps),
                nn.LeakyReLU(self.slope),
            ]
            channels = maps
        parts, last = (2, _bidirectional.Reparametrised()) if self.reparametrise else (1, nn.Identity())
        linear = nn.Conv2d(channels, parts * interface.latent_size, 1)
        return _bidirectional.Encoder(nn.Sequential(*body), linear, last)

    def initialise(self, module: Module, rng: np.random.Generator) -> None:
        _encoder.initialise(module, rng)

    def _pointwise(self, sizes: list[int], dropout: type[Module]) -> list[Module]:
        """1×1 convolutions from size to size, each with LeakyReLU and dropout."""
        from itertools import pairwise

        from torch import nn

        return [
            layer
            for inputs, outputs in pairwise(sizes)
            for layer in (
                nn.Conv2d(inputs, outputs, 1),
                nn.LeakyReLU(self.slope),
                dropout(self.dropout),
            )
        ]
