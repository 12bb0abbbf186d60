"""Divergences against the Wasserstein distance, and what bounds a critic's slope."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
from matplotlib.figure import Figure

from duel.penalties.interpolated import Interpolated
from duel.train import squared_gradient_norm
from duel.xp import numpy_functions
from figures import style
from figures.game import XP, normal, objective, optimal_score

SIDES = {"28×28, grey": (28, 1), "32×32, colour": (32, 3), "48×48, colour": (48, 3)}


def js_of_lines(theta: float) -> float:
    """Jensen–Shannon divergence (nats) of two parallel lines at distance θ: they share all or nothing."""
    return 0.0 if theta == 0 else math.log(2)


def js_of_blurred(theta: float, sigma: float) -> float:
    """The same of the lines with Gaussian noise across: log 2 less half of the best discriminator's loss.

    Goodfellow et al. 2014: at the optimum the cross-entropy is 2 log 2 − 2 JS.
    """
    x = np.linspace(-8 * sigma - abs(theta), 8 * sigma + abs(theta), 1001)
    p, q = normal(x, 0.0, sigma), normal(x, theta, sigma)
    best = optimal_score("minimax", p, q, bound=700.0)
    zero = np.zeros_like(best)
    both = objective("minimax").discriminator_loss
    # a logit of 0 on the other side costs log 2, which is taken away again
    real = both(best, zero, XP) - math.log(2)
    fake = both(zero, best, XP) - math.log(2)
    loss = float(np.trapezoid(p * real + q * fake, x))
    return math.log(2) - loss / 2


def wasserstein(x: np.ndarray, y: np.ndarray) -> float:
    """W₁ of two equally large samples (N) on a line: the mean distance of the sorted ones."""
    return float(np.abs(np.sort(x) - np.sort(y)).mean())


def clipped_slope(limit: float, sizes: Sequence[int]) -> float:
    """The largest ‖∇f‖ of a ReLU critic with these layer sizes and all weights at most `limit` in size.

    Reached with all weights equal and all units active: limitᴸ · the product of the hidden sizes · √inputs.
    """
    return limit ** (len(sizes) - 1) * math.prod(sizes[1:-1]) * math.sqrt(sizes[0])


def measured_slope(limit: float, sizes: Sequence[int]) -> float:
    """The same of a network that is built so, by the engine's own gradient norm."""
    layers: list[torch.nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [torch.nn.Linear(inputs, outputs, bias=False, dtype=torch.float64), torch.nn.ReLU()]
    critic = torch.nn.Sequential(*layers[:-1])
    for parameter in critic.parameters():
        torch.nn.init.constant_(parameter, limit)
    point = torch.ones(1, sizes[0], dtype=torch.float64)
    squared = squared_gradient_norm(lambda x: critic(x)[:, 0], (point,), (0,))
    return math.sqrt(squared.item())


def cost_per_sample(norm: np.ndarray) -> np.ndarray:
    """The gradient penalty of the paper, λ = 10, for ‖∇f‖ over all pixels and channels."""
    cost: np.ndarray = Interpolated().value(norm**2, numpy_functions())
    return cost


def cost_per_column(norm: np.ndarray, side: int, channels: int) -> np.ndarray:
    """The same with a norm for each column and channel, over rows alone, of a gradient spread evenly."""
    parts = side * channels
    column = norm[:, None] / math.sqrt(parts) * np.ones(parts)
    cost: np.ndarray = Interpolated().value(column**2, numpy_functions()).mean(1)
    return cost


def draw() -> Figure:
    """Example 1 of the WGAN paper: distances of two parallel lines, and of the same with noise across."""
    figure, (lines, blurred) = style.axes(2, 2.8, sharey=True)
    theta = np.array([-1.0, 0.0, 1.0])
    lines.plot(theta, np.abs(theta), label="Wasserstein, |θ|", **style.line(0))
    lines.plot(theta[[0, 2]], [js_of_lines(1)] * 2, label="Jensen–Shannon, log 2", **style.line(1))
    lines.plot(0, js_of_lines(0), "o", color=style.RED, markersize=5)
    lines.plot(0, math.log(2), "o", markerfacecolor="white", markeredgecolor=style.RED, markersize=5)
    lines.set(
        title="two parallel lines", xlabel="distance θ", ylim=(-0.05, 1.25), xticks=[-1, -0.5, 0, 0.5, 1]
    )
    lines.legend(loc="upper center", ncols=2, columnspacing=1, handlelength=2.4)
    blurred.plot(theta, np.abs(theta), label="Wasserstein", **style.line(0))
    right = np.linspace(0, 1, 41)
    for number, sigma in enumerate((0.05, 0.2), start=1):
        values = np.array([js_of_blurred(float(each), sigma) for each in right])
        both = np.concatenate([-right[:0:-1], right]), np.concatenate([values[:0:-1], values])
        blurred.plot(*both, label=f"JS, σ = {sigma:g}", **style.line(number))
    blurred.set(title="the same with noise σ across", xlabel="distance θ", xticks=[-1, -0.5, 0, 0.5, 1])
    blurred.legend(loc="upper center", ncols=3, columnspacing=0.8, handlelength=2)
    return figure


def draw_slope() -> Figure:
    """The steepest clipped critic against the limit; the right and the wrong penalty against the norm."""
    figure, (clip, cost) = style.axes(2, 2.9)
    limits = np.logspace(-3, 0.5, 15)
    for number, hidden in enumerate(([128], [128, 128], [128, 128, 128])):
        slopes = [clipped_slope(float(limit), [784, *hidden, 1]) for limit in limits]
        clip.loglog(limits, slopes, label=f"784-{'-'.join(map(str, hidden))}-1", **style.line(number))
    clip.axhline(1, color=style.BLACK, linewidth=0.8)
    for limit in (0.01, 0.1, 0.99):
        clip.axvline(limit, color="#999999", linewidth=0.8)
        clip.text(limit, 3e11, f" {limit:g}", fontsize=7)
    clip.set(title="steepest slope of a clipped critic", xlabel="clipping limit", ylim=(1e-6, 1e12))
    clip.legend(loc="lower right")
    norm = np.linspace(0, 14, 113)
    shown = {"per sample (the paper)": cost_per_sample(norm)}
    shown |= {f"per column, {name}": cost_per_column(norm, *sides) for name, sides in SIDES.items()}
    for number, (label, values) in enumerate(shown.items()):
        low = values <= 13  # above is the legend
        cost.plot(norm[low], values[low], label=label, **style.line(number))
    cost.set(title="gradient penalty, λ = 10", xlabel="‖∇f‖ over the whole image", ylim=(0, 20))
    cost.legend(loc="upper right")
    return figure


PICTURES: dict[str, Callable[[], Figure]] = {"parallel-lines": draw, "critic-slope": draw_slope}
