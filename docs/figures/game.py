"""The game of logits: optimal discriminators, and what the generator gets back from each objective."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from duel import catalog
from duel.scratch import derivative
from duel.scratch.activations import sigmoid
from duel.xp import numpy_functions
from figures import style

XP = numpy_functions()


def objective(name: str) -> Any:
    """A catalog's objective with its default options."""
    return catalog.load_class("objectives", name)()


def normal(x: np.ndarray, mean: float, deviation: float) -> np.ndarray:
    """The density of the normal distribution."""
    density: np.ndarray = np.exp(-(((x - mean) / deviation) ** 2) / 2) / (deviation * np.sqrt(2 * np.pi))
    return density


def optimal_score(name: str, p: np.ndarray, q: np.ndarray, bound: float = 40.0) -> np.ndarray:
    """The score (N) that the discriminator's loss wants where the real density is p and the generated one q.

    Where p·slope by the real score + q·slope by the fake score changes its sign, by bisection between −bound
    and bound: a convex loss has its minimum there.
    """
    loss = objective(name).discriminator_loss
    p, q = np.asarray(p, np.float64), np.asarray(q, np.float64)
    low, high = np.full(p.shape, -bound), np.full(p.shape, bound)

    def slope(at: np.ndarray) -> np.ndarray:
        real = derivative(lambda score: loss(score, at, XP), at)
        fake = derivative(lambda score: loss(at, score, XP), at)
        return np.asarray(p * real + q * fake)

    for _ in range(80):
        middle = (low + high) / 2
        rising = slope(middle) > 0
        low, high = np.where(rising, low, middle), np.where(rising, middle, high)
    return np.asarray((low + high) / 2)


def generator_slope(name: str, logits: np.ndarray, real: float = 0.0) -> np.ndarray:
    """The slope of the generator's loss by the fake logit.

    real  the real logit, for objectives that compare with it
    """
    chosen = objective(name)
    compared = np.full(logits.shape, real) if chosen.relativistic else None
    slope: np.ndarray = derivative(lambda fake: chosen.generator_loss(compared, fake, XP), logits)
    return slope


def draw() -> Figure:
    """Two densities, and the best discriminator for them by three objectives."""
    figure, (densities, best) = style.axes(2, 2.7)
    x = np.linspace(-4, 5, 91)
    p, q = normal(x, 0, 1), normal(x, 2, 0.7)
    densities.plot(x, p, label="data p", **style.line(0))
    densities.plot(x, q, label="generator q", **style.line(1))
    densities.set(title="densities", xlabel="x")
    densities.legend()
    probability = sigmoid(optimal_score("non-saturating", p, q))
    best.plot(x, probability, label="cross-entropy: D = σ(logit)", **style.line(0))
    squares = optimal_score("least-squares", p, q)
    best.plot(x, squares, "o", markersize=3, markevery=5, color=style.PURPLE, label="least squares: score")
    best.plot(x, optimal_score("hinge", p, q), label="hinge: score", **style.line(2))
    best.axhline(0.5, color=style.BLACK, linewidth=0.8)
    best.set(title="best discriminator", xlabel="x", ylim=(-1.15, 2.2))
    best.legend(loc="upper right")
    return figure


def draw_slopes() -> Figure:
    """How hard each objective pushes a fake logit upwards, against that logit."""
    figure, (axes,) = style.axes(1, 3.6)
    logits = np.linspace(-8, 8, 129)
    shown = ("minimax", "non-saturating", "wasserstein", "least-squares", "relativistic", "rational")
    for number, name in enumerate(shown):
        push = -generator_slope(name, logits, real=3.0)
        label = {"wasserstein": "wasserstein, hinge", "relativistic": "relativistic, real logit 3"}.get(
            name, name
        )
        seen = (push <= 1.5) & (push >= -0.5)
        axes.plot(logits[seen], push[seen], label=label, **style.line(number))
    axes.axhline(0, color=style.BLACK, linewidth=0.8)
    axes.set(
        xlabel="score of a generated sample", ylabel="push towards “real”", ylim=(-0.5, 1.5), xlim=(-8, 8)
    )
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    shares = (0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999)
    above = axes.twiny()
    above.set(xlim=(-8, 8), xlabel="D(G(z)) where the score is a logit")
    above.set_xticks(
        [float(np.log(share / (1 - share))) for share in shares], [f"{share:g}" for share in shares]
    )
    above.spines["top"].set_visible(True)
    above.grid(False)
    return figure


PICTURES: dict[str, Callable[[], Figure]] = {"optimal-discriminator": draw, "generator-gradient": draw_slopes}
