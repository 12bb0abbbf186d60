"""Activations and their slopes, exact and rational; where they saturate."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from duel.scratch import derivative
from duel.scratch.activations import Activation, leaky_relu, rational_sigmoid, rational_tanh, sigmoid, tanh
from figures import style

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # Klambauer et al. 2017, equation 14


def elu(x: Any) -> Any:
    """x above zero, eˣ − 1 below (Clevert et al. 2015)."""
    return np.where(x > 0, x, np.expm1(_below(x)))


def selu(x: Any) -> Any:
    """1.0507·x above zero, 1.7581·(eˣ − 1) below (Klambauer et al. 2017)."""
    return SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(_below(x)))


def _below(x: Any) -> Any:
    """x from zero down, and 0 above, where eˣ would overflow."""
    return np.where(x > 0, 0.0, x)


BOUNDED: dict[str, Activation] = {
    "sigmoid": sigmoid,
    "rational sigmoid": rational_sigmoid,
    "tanh": tanh,
    "rational tanh": rational_tanh,
}
UNBOUNDED: dict[str, Activation] = {
    "ReLU": leaky_relu(0.0),
    "LeakyReLU 0.2": leaky_relu(0.2),
    "ELU": elu,
    "SELU": selu,
}


def saturated_from(activation: Activation, side: int, least: float = 0.01) -> float:
    """The |x| from which the slope stays below `least` on one side (+1 or −1); infinite where it does not."""

    def steep(size: float) -> bool:
        return float(derivative(activation, side * size)) >= least

    if steep(1e6):
        return math.inf
    low, high = 0.0, 1e6
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if steep(middle) else (low, middle)
    return high


def draw() -> Figure:
    """Values and slopes: bounded activations above, unbounded ones below."""
    figure, places = style.axes(2, 4.6, rows=2, sharex=True)
    x = np.concatenate([np.linspace(-4, -1e-3, 25), np.linspace(1e-3, 4, 25)])  # jumps at 0 are upright
    for row, family in enumerate((BOUNDED, UNBOUNDED)):
        value, slope = places[2 * row : 2 * row + 2]
        for number, (name, activation) in enumerate(family.items()):
            value.plot(x, activation(x), label=name, **style.line(number))
            slope.plot(x, derivative(activation, x), label=name, **style.line(number))
        value.legend(loc="upper left")
    places[0].set_title("value")
    places[1].set_title("slope")
    places[2].set_xlabel("weighted sum x")
    places[3].set_xlabel("weighted sum x")
    return figure


def draw_tails() -> Figure:
    """Distance from the upper limit, and slope, on a logarithmic scale."""
    figure, (distance, slope) = style.axes(2, 2.8)
    x = np.linspace(0, 12, 49)
    for number, (name, activation) in enumerate(BOUNDED.items()):
        distance.semilogy(x, 1 - activation(x), label=name, **style.line(number))
        slope.semilogy(x, derivative(activation, x), label=name, **style.line(number))
    for each, title in ((distance, "distance from the limit 1"), (slope, "slope")):
        each.set(title=title, xlabel="weighted sum x", ylim=(1e-5, 60))
    distance.legend(loc="upper right", ncols=2)
    return figure


PICTURES: dict[str, Callable[[], Figure]] = {"activations": draw, "activation-tails": draw_tails}
