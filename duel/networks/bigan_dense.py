from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from duel.networks import _encoder
from duel.networks._base import Linear, check_slope
from duel.options import options

if TYPE_CHECKING:
    import numpy as np
    from torch.nn import Module

    from duel.interface import Interface


@options
class BiganDense(Linear):
    """The fully connected networks of BiGAN, with an encoder, for images of any shape and for points.

    Donahue, Krähenbühl, Darrell 2017 (arXiv:1605.09782), the permutation-invariant MNIST networks: two
    hidden layers of 1,024 units in the generator, the encoder and the discriminator; the first with a
    nonlinearity, the second with batch norm (without parameters) and a nonlinearity: ReLU in the
    generator, LeakyReLU in the others. From the authors' code (jeffdonahue/bigan): no biases anywhere,
    weights N(0, 0.02²), and the discriminator's latent vector enters at its second layer, added by a linear
    map of its own before the batch norm. In games with labels an embedding of the label stands beside the
    latent vector, in the generator and in the discriminator.

    hidden      units of the hidden layers of all three networks, two or more; batch norm in all but the
                first
    slope       of LeakyReLU below zero
    bounded     the encoder's output x becomes 2·sigmoid(x) − 1, in (−1, 1), which fits latent.prior=uniform
                as in the authors' code; false fits latent.prior=normal
    norm        of the generator's and the encoder's hidden layers from the second on: "batch" or "none"
    discriminator_norm  of the discriminator's: "batch", "layer" (over one sample's units, without
                parameters) or "none"; penalties need one of the latter two
    label_size  components of a label's embedding
    """

    hidden: tuple[int, ...] = (1024, 1024)
    slope: float = 0.2
    bounded: bool = True
    norm: Literal["batch", "none"] = "batch"
    discriminator_norm: Literal["batch", "layer", "none"] = "batch"
    label_size: int = 50

    def __post_init__(self) -> None:
        check_slope(self.slope)
        if len(self.hidden) < 2 or min(self.hidden) < 1:
            raise ValueError(f"hidden is {list(self.hidden)}, allowed are two or more integers from 1")
        if self.label_size < 1:
            raise ValueError(f"label_size is {self.label_size}, allowed are integers from 1")

    def check(self, interface: Interface) -> None:
        """Any kind and shape will do."""
        _encoder.need_encoder("bigan-dense", interface)

    def generator(self, interface: Interface) -> Module:
        from torch import nn

        from duel.networks import _layers

        shape, size = interface.spec.shape, interface.latent_size
        label: list[Module] = []
        if interface.generator_classes:
            label = [_layers.LabelVector(interface.generator_classes, self.label_size)]
            size += self.label_size
        out = nn.Linear(self.hidden[-1], math.prod(shape), bias=False)
        return _layers.Labelled(
            *label, *self._hidden(size, nn.ReLU()), out, nn.Tanh(), nn.Unflatten(1, shape)
        )

    def discriminator(self, interface: Interface) -> Module:
        from duel.networks import _bidirectional

        return _bidirectional.DensePair(
            math.prod(interface.spec.shape),
            interface.latent_size,
            self.hidden,
            self.slope,
            interface.outputs,
            self.discriminator_norm,
            _bidirectional.label_vector(interface.discriminator_classes, self.label_size),
        )

    def encoder(self, interface: Interface) -> Module:
        from torch import nn

        from duel.networks import _bidirectional

        body = self._hidden(math.prod(interface.spec.shape), nn.LeakyReLU(self.slope))
        linear = nn.Linear(self.hidden[-1], interface.latent_size, bias=False)
        last = _bidirectional.Bounded() if self.bounded else nn.Identity()
        return _bidirectional.Encoder(nn.Sequential(nn.Flatten(), *body), linear, last)

    def initialise(self, module: Module, rng: np.random.Generator) -> None:
        _encoder.initialise(module, rng)

    def _hidden(self, inputs: int, activation: Module) -> list[Module]:
        """The hidden layers after so many inputs, norms in all but the first."""
        from torch import nn

        from duel.networks import _bidirectional

        layers: list[Module] = [nn.Linear(inputs, self.hidden[0], bias=False), activation]
        for before, units in pairwise(self.hidden):
            layers += [
                nn.Linear(before, units, bias=False),
                _bidirectional.plain_norm(self.norm, units),
                activation,
            ]
        return layers
