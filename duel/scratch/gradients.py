"""Each player's loss as a function of its parameters, and three ways to its gradient.

backprop          slopes of loss and activations from dual numbers, the chain between layers as products
forward           dual numbers alone: exact, one tangent for each parameter
forward-gradient  one random tangent v: (∇L·v) v is ∇L in the mean (Baydin et al. 2022, arXiv:2202.08587)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np

from duel.objectives._base import Objective
from duel.penalties._base import Penalty
from duel.recipe import Scratch
from duel.scratch import dual
from duel.scratch.network import Network, Step
from duel.xp import numpy_functions

_XP = numpy_functions()


class Seen(NamedTuple):
    """A loss and the logits that it was computed from, as plain arrays."""

    loss: Any
    logits: Any


class Loss(Protocol):
    """What `gradient` needs of a player's loss; parameters are a vector, also one of dual numbers."""

    def value(self, parameters: Any) -> tuple[Any, Any]:
        """The loss as one number, and the logits."""

    def backprop(self, parameters: np.ndarray) -> tuple[np.ndarray, Seen]:
        """Its gradient by backpropagation."""


def gradient(
    options: Scratch, loss: Loss, parameters: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, Seen]:
    """The gradient of a player's loss (a vector like `parameters`) in the recipe's way, and what was seen."""
    if options.gradient == "backprop":
        return loss.backprop(parameters)
    if options.gradient == "forward":
        found = dual.gradient(lambda vector: loss.value(vector)[0], parameters)
        return found, Seen(*loss.value(parameters))
    estimate = np.zeros_like(parameters)
    for count in _blocks(options.directions, len(parameters)):
        directions = rng.standard_normal((count, len(parameters)), np.float32).astype(parameters.dtype)
        moving = dual.seed(parameters, directions)
        value, logits = loss.value(moving)
        estimate += dual.tangent_of(value, moving.level, moving) @ directions
    return estimate / options.directions, Seen(dual.plain(value), dual.plain(logits))


def _blocks(directions: int, size: int) -> list[int]:
    """How many directions go through one pass together: as many as `dual` allows."""
    most = dual.at_once(size)
    return [min(most, directions - start) for start in range(0, directions, most)]


# ---------------------------------------------------------------- the discriminator


@dataclass(frozen=True)
class DiscriminatorLoss:
    """mean objective(D(x), D(G(z))) + Σ mean penalty. Without batch norm one pass serves both tuples.

    real, fake  samples N×inputs
    penalties   each with the points at which it looks, N×inputs
    """

    network: Network
    objective: Objective
    real: np.ndarray
    fake: np.ndarray
    penalties: list[tuple[Penalty, np.ndarray]] = field(default_factory=list)

    def value(self, parameters: Any) -> tuple[Any, Any]:
        logits = self.network.apply(parameters, self._both())[:, 0]
        loss = self._mean(logits)
        for penalty, points in self.penalties:
            squared = squared_norm(input_gradients(self.network, parameters, points))
            loss = loss + _cost(penalty, squared)
        return loss, logits

    def backprop(self, parameters: np.ndarray) -> tuple[np.ndarray, Seen]:
        outputs, steps = self.network.trace(parameters, self._both())
        logits = outputs[:, 0]
        loss = self._mean(logits)
        found = self.network.gradient(parameters, steps, dual.gradient(self._mean, logits)[:, None])
        for penalty, points in self.penalties:
            cost, slope = penalty_gradient(self.network, parameters, penalty, points)
            loss, found = loss + cost, found + slope
        return found, Seen(loss, logits)

    def _both(self) -> np.ndarray:
        return np.concatenate([self.real, self.fake])

    def _mean(self, logits: Any) -> Any:
        count = len(self.real)
        return _XP.mean(self.objective.discriminator_loss(logits[:count], logits[count:], _XP))


def input_gradients(network: Network, parameters: Any, points: Any) -> Any:
    """∇D at each point, N×inputs."""
    _, steps = network.trace(parameters, points)
    return network.input_gradient(parameters, steps, np.ones((len(points), 1), points.dtype))


def squared_norm(gradients: Any) -> Any:
    """‖∇D‖² (N,): over all dimensions of one sample."""
    return (gradients * gradients).sum(1)


def _cost(penalty: Penalty, squared: Any) -> Any:
    return penalty.every * _XP.mean(penalty.value(squared, _XP))


def penalty_gradient(
    network: Network, parameters: np.ndarray, penalty: Penalty, points: np.ndarray
) -> tuple[Any, np.ndarray]:
    """A penalty's mean, and its derivative with respect to the parameters, by forward-over-reverse.

    With g = ∇ₓD(x) and c the cost of ‖g‖², the derivative is Σ 2 c'(‖g‖²) g · ∂g/∂θ. For the fixed vectors
    u = 2 c' g that is the derivative of ∇_θ D(x + ε u) with respect to ε: the dual part of what
    backpropagation makes of the points x + ε u.
    """
    slopes = np.ones((len(points), 1), points.dtype)
    gradients = input_gradients(network, parameters, points)
    squared = squared_norm(gradients)
    cost_slopes = dual.gradient(lambda each: _cost(penalty, each), squared)
    moving = dual.seed(points, 2 * cost_slopes[:, None] * gradients)
    _, steps = network.trace(parameters, moving)
    found = network.gradient(parameters, steps, slopes)
    return _cost(penalty, squared), dual.tangent_of(found, moving.level, moving)


# ---------------------------------------------------------------- the generator


@dataclass(frozen=True)
class GeneratorLoss:
    """mean objective(D(G(z))), through the discriminator, whose parameters stand still.

    latent       N×L; made: samples and trace of the generator for it, where they are at hand
    real_logits  what relativistic objectives compare with; else None
    """

    network: Network
    discriminator: Network
    weights: np.ndarray
    objective: Objective
    latent: np.ndarray
    real_logits: np.ndarray | None
    made: tuple[np.ndarray, list[Step]]

    def value(self, parameters: Any) -> tuple[Any, Any]:
        fake = self.network.apply(parameters, self.latent)
        logits = self.discriminator.apply(self.weights, fake)[:, 0]
        return self._mean(logits), logits

    def backprop(self, parameters: np.ndarray) -> tuple[np.ndarray, Seen]:
        fake, steps = self.made
        outputs, through = self.discriminator.trace(self.weights, fake)
        logits = outputs[:, 0]
        slopes = dual.gradient(self._mean, logits)[:, None]
        at_samples = self.discriminator.input_gradient(self.weights, through, slopes)
        return self.network.gradient(parameters, steps, at_samples), Seen(self._mean(logits), logits)

    def _mean(self, logits: Any) -> Any:
        return _XP.mean(self.objective.generator_loss(self.real_logits, logits, _XP))
