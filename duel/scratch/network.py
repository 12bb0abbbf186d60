"""A fully connected network: forward, and back again by hand.

A network's parameters are one vector, and the matrices of its layers are views into it: an optimizer, an
average or a tangent need not know of layers. Everything here runs on arrays and on dual numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from duel import initial
from duel.interface import Interface
from duel.networks.dense import Dense
from duel.scratch import activations
from duel.scratch.activations import Activation
from duel.scratch.dual import seed


class Layer(NamedTuple):
    """y = φ(W x + b): weight outputs×inputs, bias outputs.

    matrix: with the bias as a row, weight and bias in one, outputs×(inputs + 1); else None
    """

    weight: Any
    bias: Any
    matrix: Any


class Step(NamedTuple):
    """What backpropagation needs of a layer: its inputs N×inputs, and φ' at its weighted sums."""

    inputs: Any
    slope: Any


@dataclass(frozen=True)
class Network:
    """The shape of a network; its parameters are handed to each function as a vector.

    sizes     units from the input to the output
    hidden    activation of the hidden layers; output: that of the last
    bias_row  as Bensi, Nocchi 2023 have it: the inputs get a column of ones, and the bias is the
              weights of that column. Else it stands apart; the function is the same
    first     the position of the first layer among PyTorch's modules: how checkpoints name it
    """

    sizes: tuple[int, ...]
    hidden: Activation
    output: Activation
    bias_row: bool = False
    first: int = 0

    @property
    def count(self) -> int:
        """How many parameters there are."""
        return sum(outputs * (inputs + 1) for inputs, outputs in pairwise(self.sizes))

    def layers(self, vector: Any) -> list[Layer]:
        """The layers as views into a vector of parameters (or of gradients, moments, tangents)."""
        found, start = [], 0
        for inputs, outputs in pairwise(self.sizes):
            if self.bias_row:
                end = start + outputs * (inputs + 1)
                matrix = vector[start:end].reshape(outputs, inputs + 1)
                found.append(Layer(matrix[:, :inputs], matrix[:, inputs], matrix))
            else:
                middle = start + outputs * inputs
                end = middle + outputs
                weight = vector[start:middle].reshape(outputs, inputs)
                found.append(Layer(weight, vector[middle:end], None))
            start = end
        return found

    def named(self, vector: np.ndarray) -> dict[str, np.ndarray]:
        """The views by the names that PyTorch's modules give the same parameters, in its order."""
        return {
            f"{self.first + 2 * number}.{name}": part
            for number, layer in enumerate(self.layers(vector))
            for name, part in (("weight", layer.weight), ("bias", layer.bias))
        }

    # ------------------------------------------------------------ forward

    def apply(self, vector: Any, x: Any) -> Any:
        """Outputs N×outputs for inputs N×inputs."""
        layers = self.layers(vector)
        for layer in layers:
            x = self._activation(layer is layers[-1])(self._weighted(layer, x))
        return x

    def trace(self, vector: Any, x: Any) -> tuple[Any, list[Step]]:
        """The outputs, and what the way back needs: each slope is the dual part of φ(s + ε)."""
        steps = []
        layers = self.layers(vector)
        for layer in layers:
            weighted = self._weighted(layer, x)
            activation = self._activation(layer is layers[-1])
            out = activation(seed(weighted, np.ones((1, 1), weighted.dtype)))
            steps.append(Step(x, out.tangent))
            x = out.value
        return x, steps

    def _weighted(self, layer: Layer, x: Any) -> Any:
        if self.bias_row:
            return _with_ones(x) @ layer.matrix.T
        return x @ layer.weight.T + layer.bias

    def _activation(self, last: bool) -> Activation:
        return self.output if last else self.hidden

    # ------------------------------------------------------------ backward

    def gradient(self, vector: Any, steps: list[Step], slopes: Any) -> Any:
        """The derivative of a loss with respect to the parameters, as a vector.

        slopes: those of the loss with respect to the outputs, N×outputs. Nothing is averaged here: the
        mean over the batch is part of the loss.
        """
        deltas = self.deltas(vector, steps, slopes)
        if all(isinstance(part, np.ndarray) for part in (*deltas, *(step.inputs for step in steps))):
            return self._gradient_in_place(steps, deltas)
        parts = []
        for step, delta in zip(steps, deltas, strict=True):
            if self.bias_row:
                parts.append((delta.T @ _with_ones(step.inputs)).reshape(-1))
            else:
                parts += [(delta.T @ step.inputs).reshape(-1), delta.sum(0)]
        return np.concatenate(parts)

    def _gradient_in_place(self, steps: list[Step], deltas: list[np.ndarray]) -> np.ndarray:
        """The same for plain arrays, without a copy: the products are written where they belong."""
        found = np.empty(self.count, deltas[0].dtype)
        for layer, step, delta in zip(self.layers(found), steps, deltas, strict=True):
            if self.bias_row:
                np.matmul(delta.T, _with_ones(step.inputs), out=layer.matrix)
            else:
                np.matmul(delta.T, step.inputs, out=layer.weight)
                delta.sum(0, out=layer.bias)
        return found

    def input_gradient(self, vector: Any, steps: list[Step], slopes: Any) -> Any:
        """The derivative of the same loss with respect to the inputs, N×inputs."""
        return self.deltas(vector, steps, slopes)[0] @ self.layers(vector)[0].weight

    def deltas(self, vector: Any, steps: list[Step], slopes: Any) -> list[Any]:
        """∂loss/∂s of each layer's weighted sums s, N×units, from the first layer to the last."""
        delta = slopes * steps[-1].slope
        deltas = [delta]
        for layer, step in zip(self.layers(vector)[:0:-1], steps[-2::-1], strict=True):
            delta = (delta @ layer.weight) * step.slope
            deltas.append(delta)
        return deltas[::-1]


def _with_ones(x: Any) -> Any:
    return np.concatenate([x, np.ones((x.shape[0], 1), x.dtype)], 1)


# ---------------------------------------------------------------- a recipe's networks


def generator(options: Dense, interface: Interface, bias_row: bool = False) -> Network:
    """latent → samples, flat."""
    sizes = (interface.latent_size, *options.generator_hidden, math.prod(interface.spec.shape))
    hidden = activations.named(options.activation, options.generator_slope)
    return Network(sizes, hidden, activations.named(options.output), bias_row)


def discriminator(options: Dense, interface: Interface, bias_row: bool = False) -> Network:
    """Flat samples → one logit each."""
    sizes = (math.prod(interface.spec.shape), *options.discriminator_hidden, 1)
    hidden = activations.named(options.activation, options.slope)
    return Network(sizes, hidden, activations.identity, bias_row, first=1)


def initial_weights(network: Network, options: Dense, rng: np.random.Generator) -> np.ndarray:
    """The vector (float32) of the weights that PyTorch starts from, drawn in the same order; biases 0."""
    draw: dict[str, Callable[..., np.ndarray]] = {
        "paper": initial.glorot,
        "glorot": initial.glorot,
        "orthogonal": initial.orthogonal,
        "normal": lambda shape, rng: initial.normal(shape, rng, 0.0, options.init_std),
    }
    vector = np.zeros(network.count, np.float32)
    # what another kind asks for is drawn after the architecture's own, as PyTorch's networks do it
    for kind in dict.fromkeys(["paper", options.init_linear]):
        for layer in network.layers(vector):
            layer.weight[...] = draw[kind](layer.weight.shape, rng)
    return vector
