from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from duel.networks import _init
from duel.networks._base import Network
from duel.options import options

if TYPE_CHECKING:
    import numpy as np
    from torch.nn import Module

    from duel.datasets._base import Spec


@options
class Dense(Network):
    """Fully connected networks, for images of any shape and for points.

    As in the first GAN (Goodfellow et al. 2014) and the simple GAN of Hoeckler 2021, whose generator is
    latent → 784 ReLU → 784 tanh. The output is tanh, the initial weights Glorot-uniform.

    generator_hidden      units of the generator's hidden layers, from the latent vector on
    discriminator_hidden  units of the discriminator's, from the sample on
    generator_slope       of the generator's LeakyReLU below zero; 0 is ReLU
    slope                 of the discriminator's LeakyReLU below zero
    """

    generator_hidden: tuple[int, ...] = (784,)
    discriminator_hidden: tuple[int, ...] = (512, 256)
    generator_slope: float = 0.0
    slope: float = 0.2

    def __post_init__(self) -> None:
        for name in ("generator_hidden", "discriminator_hidden"):
            sizes = getattr(self, name)
            if not sizes or min(sizes) < 1:
                raise ValueError(f"{name} is {list(sizes)}, allowed are one or more integers from 1")

    def check(self, spec: Spec) -> None:
        """Any kind and shape will do."""

    def generator(self, spec: Spec, latent_size: int) -> Module:
        from torch import nn

        hidden = _hidden_layers([latent_size, *self.generator_hidden], self.generator_slope)
        out = nn.Linear(self.generator_hidden[-1], math.prod(spec.shape))
        return nn.Sequential(*hidden, out, nn.Tanh(), nn.Unflatten(1, spec.shape))

    def discriminator(self, spec: Spec) -> Module:
        from torch import nn

        hidden = _hidden_layers([math.prod(spec.shape), *self.discriminator_hidden], self.slope)
        return nn.Sequential(
            nn.Flatten(), *hidden, nn.Linear(self.discriminator_hidden[-1], 1), nn.Flatten(0)
        )

    def initialise(self, module: Module, rng: np.random.Generator) -> None:
        _init.dense(module, rng)


def _hidden_layers(sizes: list[int], slope: float) -> list[Module]:
    from torch import nn

    layers: list[Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.LeakyReLU(slope) if slope else nn.ReLU()]
    return layers
