"""One training step of the smallest GAN, played by the engine, as plain numbers.

2-3-1 units against 2-3-1, counted as Bensi, Nocchi 2023 draw their networks: with the constant 1 as a unit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from duel.objectives.non_saturating import NonSaturating
from duel.optimizers.sgd import Sgd
from duel.scratch import activations, dual, optimizers
from duel.scratch.gradients import DiscriminatorLoss, GeneratorLoss, Loss
from duel.scratch.network import Network, Step
from duel.xp import numpy_functions

SLOPE, RATE = 0.2, 0.1
_HIDDEN = activations.leaky_relu(SLOPE)
GENERATOR = Network((1, 2, 1), _HIDDEN, activations.tanh, bias_row=True)
DISCRIMINATOR = Network((1, 2, 1), _HIDDEN, activations.identity, bias_row=True)
GENERATOR_WEIGHTS = (0.3, 0.1, -0.5, 0.1, 0.4, -0.6, 0.2)
DISCRIMINATOR_WEIGHTS = (0.6, -0.3, -0.4, 0.2, 0.7, -0.5, 0.1)
REAL, LATENT = np.array([[0.8]]), np.array([[0.5]])
OBJECTIVE, OPTIMIZER = NonSaturating(), Sgd(lr=RATE)
_XP = numpy_functions()


class Unit(NamedTuple):
    """One unit and one sample: Σ weight·input = sum, and φ(sum + ε) = value + slope·ε.

    The last input is the constant 1, whose weight is the bias.
    """

    weights: tuple[float, ...]
    inputs: tuple[float, ...]
    sum: float
    value: float
    slope: float


@dataclass(frozen=True)
class Update:
    """How a player's weights change.

    logit_slopes  of its loss with respect to the logits, from dual numbers
    deltas        for each sample the slopes with respect to the three weighted sums
    gradient      by backpropagation; forward: by dual numbers alone; numeric: by central differences
    """

    loss: float
    logit_slopes: list[float]
    deltas: list[list[float]]
    before: np.ndarray
    gradient: np.ndarray
    after: np.ndarray
    forward: np.ndarray
    numeric: np.ndarray


class Moment(NamedTuple):
    """What there is to see with the weights of one moment."""

    fake: float
    d_real: float
    d_fake: float
    loss_d: float
    loss_g: float


@dataclass(frozen=True)
class Played:
    """The whole step, in the order in which it happens.

    made, made_after  the generator's units before and after its update
    real, fake        the discriminator's before its update; again: on the same fake after it; fake_after:
                      on what the generator makes after its own
    through, at_fake  the generator's loss on its way back: the discriminator's deltas; the slope at G(z)
    """

    made: list[Unit]
    real: list[Unit]
    fake: list[Unit]
    of_d: Update
    again: list[Unit]
    through: list[float]
    at_fake: float
    of_g: Update
    made_after: list[Unit]
    fake_after: list[Unit]
    moments: tuple[Moment, Moment, Moment]


def play() -> Played:
    """One step of the game, as `duel.scratch.train` plays it with a batch of one."""
    g, d = np.array(GENERATOR_WEIGHTS), np.array(DISCRIMINATOR_WEIGHTS)
    fake, made = GENERATOR.trace(g, LATENT)
    of_d = _discriminator_update(d, fake)

    logits, through = DISCRIMINATOR.trace(of_d.after, fake)
    slopes = dual.gradient(_generator_loss, logits[:, 0])[:, None]
    at_fake = DISCRIMINATOR.input_gradient(of_d.after, through, slopes)
    deltas = GENERATOR.deltas(g, made, at_fake)
    of_g = _update(_loss_g(g, of_d.after), g, slopes, deltas)

    fake_after = GENERATOR.apply(of_g.after, LATENT)
    return Played(
        made=units(GENERATOR, g, LATENT),
        real=units(DISCRIMINATOR, d, REAL),
        fake=units(DISCRIMINATOR, d, fake),
        of_d=of_d,
        again=units(DISCRIMINATOR, of_d.after, fake),
        through=_rows(DISCRIMINATOR.deltas(of_d.after, through, slopes))[0],
        at_fake=float(at_fake[0, 0]),
        of_g=of_g,
        made_after=units(GENERATOR, of_g.after, LATENT),
        fake_after=units(DISCRIMINATOR, of_d.after, fake_after),
        moments=(_moment(g, d), _moment(g, of_d.after), _moment(of_g.after, of_d.after)),
    )


def _discriminator_update(d: np.ndarray, fake: np.ndarray) -> Update:
    logits, steps = DISCRIMINATOR.trace(d, np.concatenate([REAL, fake]))
    slopes = dual.gradient(_discriminator_loss, logits[:, 0])[:, None]
    loss = DiscriminatorLoss(DISCRIMINATOR, OBJECTIVE, REAL, fake)
    return _update(loss, d, slopes, DISCRIMINATOR.deltas(d, steps, slopes))


def _discriminator_loss(logits: Any) -> Any:
    return _XP.mean(OBJECTIVE.discriminator_loss(logits[:1], logits[1:], _XP))


def _generator_loss(logits: Any) -> Any:
    return _XP.mean(OBJECTIVE.generator_loss(None, logits, _XP))


def _loss_g(g: np.ndarray, d: np.ndarray) -> GeneratorLoss:
    made = GENERATOR.trace(g, LATENT)
    return GeneratorLoss(GENERATOR, DISCRIMINATOR, d, OBJECTIVE, LATENT, None, made)


def _update(loss: Loss, before: np.ndarray, slopes: np.ndarray, deltas: list[np.ndarray]) -> Update:
    def value(weights: Any) -> Any:
        return loss.value(weights)[0]

    gradient, seen = loss.backprop(before)
    after = before.copy()
    optimizers.step(OPTIMIZER, after, gradient, {})
    return Update(
        loss=float(seen.loss),
        logit_slopes=[float(slope) for slope in slopes[:, 0]],
        deltas=_rows(deltas),
        before=before,
        gradient=gradient,
        after=after,
        forward=dual.gradient(value, before),
        numeric=dual.numeric_gradient(value, before),
    )


def _rows(layers: Iterable[np.ndarray]) -> list[list[float]]:
    """For each sample the numbers of all layers, one after the other."""
    found: list[list[float]] = np.concatenate(list(layers), 1).tolist()
    return found


def units(network: Network, weights: np.ndarray, inputs: np.ndarray) -> list[Unit]:
    """A network's units for one sample, from the first layer to the last."""
    outputs, steps = network.trace(weights, inputs)
    values = [*(step.inputs for step in steps[1:]), outputs]
    found = []
    for layer, step, value in zip(network.layers(weights), steps, values, strict=True):
        sums = _sums(network, layer.matrix, step)
        for unit, row in enumerate(layer.matrix.tolist()):
            numbers = (float(each[0, unit]) for each in (sums, value, step.slope))
            found.append(Unit(tuple(row), (*step.inputs[0].tolist(), 1.0), *numbers))
    return found


def _sums(network: Network, matrix: np.ndarray, step: Step) -> Any:
    """A layer's weighted sums: the layer alone is a network whose output has no activation."""
    alone = replace(network, sizes=(step.inputs.shape[1], len(matrix)), output=activations.identity)
    return alone.apply(matrix.reshape(-1), step.inputs)


def _moment(g: np.ndarray, d: np.ndarray) -> Moment:
    fake = GENERATOR.apply(g, LATENT)
    loss_d, logits = DiscriminatorLoss(DISCRIMINATOR, OBJECTIVE, REAL, fake).value(d)
    loss_g, _ = _loss_g(g, d).value(g)
    d_real, d_fake = activations.sigmoid(logits)
    return Moment(*(float(each) for each in (fake[0, 0], d_real, d_fake, loss_d, loss_g)))
