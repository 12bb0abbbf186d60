"""Numeric against automatic differentiation: errors and costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from duel.scratch import derivative
from figures import style

AT = 0.5


def example(x: Any) -> Any:
    """cos x / (x² − 1), source A's example."""
    return np.cos(x) / (x * x - 1)


def example_slope(x: float) -> float:
    """Its derivative, by hand."""
    return float((-np.sin(x) * (x * x - 1) - 2 * x * np.cos(x)) / (x * x - 1) ** 2)


def forward_error(step: float) -> float:
    """Relative error of (f(x + h) − f(x)) / h."""
    return _relative((example(AT + step) - example(AT)) / step)


def central_error(step: float) -> float:
    """Relative error of (f(x + h) − f(x − h)) / 2h."""
    return _relative((example(AT + step) - example(AT - step)) / (2 * step))


def dual_error() -> float:
    """Relative error of the dual number's slope."""
    return _relative(float(derivative(example, AT)))


def _relative(slope: float) -> float:
    return abs(slope / example_slope(AT) - 1)


def products(sizes: Sequence[int], batch: int) -> dict[str, int]:
    """Multiplications in the matrix products of one gradient of a dense network, by way of differentiation.

    An evaluation makes N for each of P weights. A dual number's tangent costs 2N for each (weight times
    tangent, tangent times value; in the first layer only the second, as the inputs stand still), and so does
    the way back (gradient of the weights, error of the inputs).
    """
    weights = [inputs * outputs for inputs, outputs in pairwise(sizes)]
    evaluation = batch * sum(weights)
    derivatives = 2 * evaluation - batch * weights[0]
    parameters = sum(weights) + sum(sizes[1:])
    return {
        "parameters": parameters,
        "numeric": 2 * parameters * evaluation,
        "forward": evaluation + parameters * derivatives,
        "reverse": evaluation + derivatives,
    }


def draw() -> Figure:
    """Error against step size, and multiplications against parameters."""
    figure, (errors, cost) = style.axes(2, 3.0)
    steps = np.logspace(-15.5, -0.5, 61)
    for number, (name, error) in enumerate(
        (("forward difference", forward_error), ("central difference", central_error))
    ):
        found = np.array([error(float(step)) for step in steps])
        errors.loglog(steps, np.maximum(found, 1e-16), label=name, **style.line(number))
    errors.axhline(max(dual_error(), 1e-16), label="dual number", **style.line(2))
    errors.text(2e-16, 3e-8, "rounding ∝ 1/h", fontsize=8)
    errors.text(3e-9, 0.1, "truncation ∝ h, h²", fontsize=8)
    errors.set(title="relative error of a slope", xlabel="step h", ylim=(5e-17, 30))
    errors.legend(loc="lower left", bbox_to_anchor=(0.0, 0.06))
    widths = np.unique(np.logspace(0.3, 3.7, 18).astype(int))
    counted = [products((784, int(width), 1), 64) for width in widths]
    parameters = [each["parameters"] for each in counted]
    names = {
        "numeric": "central differences",
        "forward": "forward (dual numbers)",
        "reverse": "reverse (backpropagation)",
    }
    for number, (key, label) in enumerate(names.items()):
        cost.loglog(parameters, [each[key] for each in counted], label=label, **style.line(number))
    cost.set(title="multiplications for one gradient, batch 64", xlabel="parameters")
    cost.legend(loc="upper left")
    return figure


PICTURES: dict[str, Callable[[], Figure]] = {"differentiation": draw}
