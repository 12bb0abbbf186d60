from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from duel.networks import _init
from duel.networks._base import Linear, check_slope, no_encoder
from duel.options import options

if TYPE_CHECKING:
    import numpy as np
    from torch.nn import Module

    from duel.interface import Interface

Activation = Literal["leaky-relu", "tanh", "sigmoid", "rational-tanh", "rational-sigmoid"]


@options
class Dense(Linear):
    """Fully connected networks, for images of any shape and for points.

    As in the first GAN (Goodfellow et al. 2014) and the simple GAN of Hoeckler 2021, whose generator is
    latent → 784 ReLU → 784 tanh. The output is tanh, the initial weights Glorot-uniform. In games with
    labels each network's input is the label's embedding beside its vector (arXiv:1411.1784).

    generator_hidden      units of the generator's hidden layers, from the latent vector on
    discriminator_hidden  units of the discriminator's, from the sample on
    activation            of the hidden layers; the two rational ones are those of Bensi, Nocchi 2023
                          without an exponential: 2x/(1 + |2x|), and ½ (x/(1 + |x|) + 1)
    generator_slope       of the generator's LeakyReLU below zero; 0 is ReLU
    slope                 of the discriminator's LeakyReLU below zero
    output                of the generator
    dropout               part of the discriminator's activations that training sets to 0, in every
                          hidden layer
    label_size            components of a label's embedding
    """

    generator_hidden: tuple[int, ...] = (784,)
    discriminator_hidden: tuple[int, ...] = (512, 256)
    activation: Activation = "leaky-relu"
    generator_slope: float = 0.0
    slope: float = 0.2
    output: Literal["tanh", "rational-tanh"] = "tanh"
    dropout: float = 0.0
    label_size: int = 50

    def __post_init__(self) -> None:
        check_slope(self.slope)
        check_slope(self.generator_slope, "generator_slope")
        for name in ("generator_hidden", "discriminator_hidden"):
            sizes = getattr(self, name)
            if not sizes or min(sizes) < 1:
                raise ValueError(f"{name} is {list(sizes)}, allowed are one or more integers from 1")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}, allowed are numbers from 0 to below 1")
        if self.label_size < 1:
            raise ValueError(f"label_size is {self.label_size}, allowed are integers from 1")

    def check(self, interface: Interface) -> None:
        """Any kind and shape will do."""
        no_encoder("dense", interface)

    def generator(self, interface: Interface) -> Module:
        from torch import nn

        from duel.networks import _layers

        shape = interface.spec.shape
        label, size = self._label(interface.generator_classes)
        sizes = [interface.latent_size + size, *self.generator_hidden]
        hidden = _hidden_layers(sizes, self.activation, self.generator_slope)
        out = [nn.Linear(sizes[-1], math.prod(shape)), _layers.activation(self.output)]
        return _layers.Labelled(*label, *hidden, *out, nn.Unflatten(1, shape))

    def discriminator(self, interface: Interface) -> Module:
        from torch import nn

        from duel.networks import _layers

        label, size = self._label(interface.discriminator_classes)
        sizes = [math.prod(interface.spec.shape) + size, *self.discriminator_hidden]
        hidden = _hidden_layers(sizes, self.activation, self.slope, self.dropout)
        out = nn.Linear(sizes[-1], interface.outputs)
        return _layers.Labelled(nn.Flatten(), *label, *hidden, out, _layers.logits(interface.outputs))

    def initialise(self, module: Module, rng: np.random.Generator) -> None:
        _init.uniform(module, rng)

    def _label(self, classes: int) -> tuple[list[Module], int]:
        """The layer that puts the label beside a vector, if any, and by how much the vector grows."""
        from duel.networks import _layers

        if not classes:
            return [], 0
        return [_layers.LabelVector(classes, self.label_size)], self.label_size


def _hidden_layers(sizes: list[int], activation: str, slope: float, dropout: float = 0.0) -> list[Module]:
    from torch import nn

    from duel.networks import _layers

    layers: list[Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), _layers.activation(activation, slope)]
        if dropout:
            layers.append(nn.Dropout(dropout))
    return layers
