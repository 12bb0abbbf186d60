"""Descent, momentum and Adam on the loss ½Lθ² of one parameter, by the from-scratch engine's optimizers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from duel.optimizers.adam import Adam
from duel.optimizers.sgd import Sgd
from duel.scratch import derivative, optimizers
from figures import style


def path(options: Any, curvature: float, start: float = 1.0, steps: int = 30) -> np.ndarray:
    """θ before each of so many steps and after the last (steps + 1), on ½·curvature·θ²."""
    weights, seen = np.array([start]), [start]
    moments: optimizers.Moments = {}
    for _ in range(steps):
        slope = derivative(lambda theta: curvature * theta**2 / 2, weights)
        optimizers.step(options, weights, slope, moments)
        seen.append(float(weights[0]))
    return np.array(seen)


def threshold(curvature: float, momentum: float = 0.0) -> float:
    """The learning rate from which descent no longer converges: 2(1 + β)/L."""
    return 2 * (1 + momentum) / curvature


def factor(rate: float, momentum: float) -> float:
    """By how much the distance from the minimum shrinks at each step in the long run, for the curvature 1.

    v ← βv + g, θ ← θ − ηv is a matrix that is applied to (θ, v); this is its largest eigenvalue's size.
    """
    step = np.array([[1 - rate, -rate * momentum], [1.0, momentum]])
    return float(np.abs(np.linalg.eigvals(step)).max())


def first_step(gradient: float, options: Any) -> float:
    """How far an optimizer's first step moves a parameter whose gradient this is."""
    weights = np.zeros(1)
    optimizers.step(options, weights, np.array([gradient]), {})
    return float(abs(weights[0]))


def first_step_inside(gradient: float, rate: float, epsilon: float) -> float:
    """The same for Adam with ε inside the root, as source B prints it: η·|g| / √(g² + ε)."""
    return rate * gradient / float(np.sqrt(gradient**2 + epsilon))


def draw() -> Figure:
    """Paths at four rates, and the long-run factor for three momenta."""
    figure, (paths, factors) = style.axes(2, 2.9)
    for number, share in enumerate((0.25, 0.75, 1.0, 1.04)):
        label = f"η = {2 * share:g}/L"
        paths.plot(
            path(Sgd(lr=share * threshold(1.0)), 1.0, steps=16), marker=".", label=label, **style.line(number)
        )
    paths.set(title="θ on ½Lθ², from θ = 1", xlabel="step", ylim=(-2.6, 3.6))
    paths.legend(loc="upper left", ncols=2)
    rates = np.linspace(0.05, 4.2, 84)
    for number, momentum in enumerate((0.0, 0.5, 0.9)):
        sizes = np.array([factor(float(rate), momentum) for rate in rates])
        shown = sizes <= 1.6
        factors.plot(rates[shown], sizes[shown], label=f"β = {momentum:g}", **style.line(number))
    factors.axhline(1, color=style.BLACK, linewidth=0.8)
    factors.text(0.06, 1.04, "diverges above 1", fontsize=8)
    factors.set(
        title="factor per step in the long run", xlabel="learning rate × curvature, ηL", ylim=(0, 1.6)
    )
    factors.legend(loc="lower right")
    return figure


def draw_adam() -> Figure:
    """The size of the first step against the gradient's; and Adam beside descent for three curvatures."""
    figure, (sizes, paths) = style.axes(2, 2.9)
    gradients = np.logspace(-11, 1, 49)
    steps = {
        "descent": [first_step(g, Sgd(lr=1e-3)) for g in gradients],
        "Adam, ε = 1e-8 outside the root": [first_step(g, Adam(lr=1e-3, epsilon=1e-8)) for g in gradients],
        "Adam, ε = 1e-7 inside the root": [first_step_inside(g, 1e-3, 1e-7) for g in gradients],
    }
    for number, (label, moved) in enumerate(steps.items()):
        sizes.loglog(gradients, moved, label=label, **style.line(number))
    sizes.set(title="size of the first step, η = 0.001", xlabel="size of the gradient", ylim=(1e-9, 30))
    sizes.legend(loc="upper left")
    shown: list[tuple[str, Any, float]]
    shown = [("descent", Sgd(lr=0.019), curvature) for curvature in (1.0, 10.0, 100.0)]
    shown += [("Adam", Adam(lr=0.05), 1.0), ("Adam", Adam(lr=0.05), 100.0)]
    for number, (name, options, curvature) in enumerate(shown):
        mark = {"marker": "o", "markersize": 3, "linestyle": "none"} if number == 4 else {}
        look = {**style.line(number), **mark}
        paths.plot(path(options, curvature, steps=50), label=f"{name}, L = {curvature:g}", **look)
    paths.set(title="θ on ½Lθ²: descent η = 0.019, Adam η = 0.05", xlabel="step", ylim=(-1.1, 1.9))
    paths.legend(loc="upper right", ncols=2)
    return figure


PICTURES: dict[str, Callable[[], Figure]] = {"learning-rate": draw, "adam-step": draw_adam}
