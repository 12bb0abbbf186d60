"""Two players on the smallest GAN that there is: one number each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from duel.objectives.minimax import Minimax
from duel.penalties.r1 import R1
from duel.scratch import derivative
from duel.xp import numpy_functions
from figures import style

_XP = numpy_functions()


def walk(together: bool, weight: float, rate: float = 0.2, steps: int = 120) -> np.ndarray:
    """(θ, ψ) before each step and after the last, (steps + 1)×2, from (1, 0): the Dirac-GAN.

    The data are the point 0, the generator's only sample is θ, the discriminator's logit at x is ψ·x
    (Mescheder et al. 2018, arXiv:1801.04406, definition 2.1). Its slope is ψ everywhere.

    together  both players move at once; else the discriminator first
    weight    of the penalty R1; 0 is none
    """
    objective, penalty = Minimax(), R1(weight=weight)
    theta, psi = np.array(1.0), np.array(0.0)
    seen = [(float(theta), float(psi))]

    def slope_of_discriminator(psi: np.ndarray, theta: np.ndarray) -> Any:
        def loss(it: Any) -> Any:
            return objective.discriminator_loss(it * 0.0, it * theta, _XP) + penalty.value(it * it, _XP)

        return derivative(loss, psi)

    def slope_of_generator(psi: np.ndarray, theta: np.ndarray) -> Any:
        return derivative(lambda it: objective.generator_loss(None, psi * it, _XP), theta)

    for _ in range(steps):
        moved = psi - rate * slope_of_discriminator(psi, theta)
        theta = theta - rate * slope_of_generator(psi if together else moved, theta)
        psi = moved
        seen.append((float(theta), float(psi)))
    return np.array(seen)


def walks() -> dict[str, np.ndarray]:
    """The three walks that are drawn, by what is played."""
    return {
        "both at once": walk(together=True, weight=0.0),
        "one after the other": walk(together=False, weight=0.0),
        "one after the other, R1": walk(together=False, weight=1.0),
    }


def draw() -> Figure:
    """Three ways to play, from the same start."""
    figure, places = style.axes(3, 2.6, sharex=True, sharey=True)
    for number, (axes, (title, path)) in enumerate(zip(places, walks().items(), strict=True)):
        axes.plot(*path.T, color=style.COLOURS[number], linewidth=1)
        axes.plot(*path[0], "o", color=style.BLACK, markersize=5)
        axes.plot(0, 0, "+", color=style.BLACK, markersize=9)
        axes.set(title=title, xlabel="generator θ", aspect="equal")
    places[0].set_ylabel("discriminator ψ")
    return figure


PICTURES: dict[str, Callable[[], Figure]] = {"two-players": draw}
