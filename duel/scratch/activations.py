"""Activations: functions of arrays, which run on dual numbers as they stand; no slope is written anywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Activation = Callable[[Any], Any]


def identity(x: Any) -> Any:
    """x: for logits."""
    return x


def leaky_relu(slope: float) -> Activation:
    """x above zero, slope·x from there down; 0 is ReLU."""

    def activation(x: Any) -> Any:
        return np.where(x > 0, x, slope * x)

    return activation


def tanh(x: Any) -> Any:
    """(eˣ − e⁻ˣ) / (eˣ + e⁻ˣ), −1 to 1."""
    return np.tanh(x)


def sigmoid(x: Any) -> Any:
    """1 / (1 + e⁻ˣ), 0 to 1; does not overflow."""
    return np.exp(-np.logaddexp(0.0, -x))


def rational_tanh(x: Any) -> Any:
    """2x / (1 + |2x|): no exponential. The slope at 0 is 2, that of tanh is 1.

    Bensi, Nocchi 2023, whose text prints 1 / (1 + |2x|), which is not odd.
    """
    return 2 * x / (1 + np.abs(2 * x))


def rational_sigmoid(x: Any) -> Any:
    """½ (x / (1 + |x|) + 1). The slope at 0 is ½, that of the sigmoid ¼ (Bensi, Nocchi 2023)."""
    return (x / (1 + np.abs(x)) + 1) / 2


NAMED: dict[str, Activation] = {
    "tanh": tanh,
    "sigmoid": sigmoid,
    "rational-tanh": rational_tanh,
    "rational-sigmoid": rational_sigmoid,
}


def named(name: str, slope: float = 0.0) -> Activation:
    """The activation of a recipe's name; `slope` is that of "leaky-relu"."""
    return leaky_relu(slope) if name == "leaky-relu" else NAMED[name]
