"""The steps that optimizers take, on a vector of weights and its gradient, in place.

The names of the moments are PyTorch's, so that a checkpoint reads the same from both engines.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import singledispatch
from typing import Any

import numpy as np

from duel.errors import RecipeError
from duel.optimizers.adam import Adam
from duel.optimizers.adamw import Adamw
from duel.optimizers.rmsprop import Rmsprop
from duel.optimizers.sgd import Sgd
from duel.schedule import Schedule

Moments = dict[str, np.ndarray]

_PIECE = 1 << 16  # numbers at a time: what a step reads and writes stays in the core's cache


@singledispatch
def step(options: Any, weights: np.ndarray, gradient: np.ndarray, moments: Moments) -> None:
    """One step of the optimizer that the options name; changes weights and moments."""
    raise RecipeError(
        f"the from-scratch engine has no optimizer {type(options).__name__.lower()!r}: "
        "use sgd, rmsprop, adam or adamw, or engine=torch"
    )


@step.register
def _(options: Sgd, weights: np.ndarray, gradient: np.ndarray, moments: Moments) -> None:
    lr = _number(options.lr)
    if not options.momentum:
        weights -= lr * gradient
        return
    (velocity,) = _kept(moments, weights, "momentum_buffer")
    for w, g, v in _pieces(weights, gradient, velocity):
        v *= options.momentum
        v += g
        w -= lr * v


@step.register
def _(options: Rmsprop, weights: np.ndarray, gradient: np.ndarray, moments: Moments) -> None:
    (mean_square,) = _kept(moments, weights, "square_avg")
    _counted(moments)
    lr = _number(options.lr)
    for w, g, s in _pieces(weights, gradient, mean_square):
        s *= options.decay
        s += (1 - options.decay) * g * g
        w -= lr * g / (np.sqrt(s) + options.epsilon)


@step.register(Adam)
@step.register(Adamw)
def _(options: Adam | Adamw, weights: np.ndarray, gradient: np.ndarray, moments: Moments) -> None:
    mean, mean_square = _kept(moments, weights, "exp_avg", "exp_avg_sq")
    count, lr, beta2 = _counted(moments), _number(options.lr), _number(options.beta2)
    # both means start at 0; these undo the pull towards it
    rate = lr / (1 - options.beta1**count)
    root = math.sqrt(1 - beta2**count)
    for w, g, m, s in _pieces(weights, gradient, mean, mean_square):
        if isinstance(options, Adamw):
            w *= 1 - lr * options.decay
        # m ← m + (1 − β₁)(g − m), s ← β₂ s + (1 − β₂) g², w ← w − rate·m / (√s / root + ε), in one
        # buffer: a quarter of a whole training step is spent here
        change = g - m
        change *= 1 - options.beta1
        m += change
        np.multiply(g, g, out=change)
        change *= 1 - beta2
        s *= beta2
        s += change
        np.sqrt(s, out=change)
        change += root * options.epsilon
        np.divide(m, change, out=change)
        change *= rate * root
        w -= change


def _number(value: float | Schedule) -> float:
    """A number of the recipe at this step, where no schedule is left."""
    assert not isinstance(value, Schedule)
    return value


def _kept(moments: Moments, weights: np.ndarray, *names: str) -> list[np.ndarray]:
    """The moments of these names, zeros at first."""
    for name in names:
        if name not in moments:
            moments[name] = np.zeros_like(weights)
    return [moments[name] for name in names]


def _counted(moments: Moments) -> int:
    """How many steps there are with this one."""
    moments["step"] = np.asarray(moments.get("step", 0) + np.float32(1))
    return int(moments["step"])


def _pieces(*vectors: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    for start in range(0, len(vectors[0]), _PIECE):
        yield tuple(vector[start : start + _PIECE] for vector in vectors)
