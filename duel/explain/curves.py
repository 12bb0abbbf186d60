"""Exact activations against their rational replacements: values and slopes, and how far they are apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from duel.scratch import activations, dual


class Largest(NamedTuple):
    """The largest difference of two curves, and the |x| at which they have it."""

    difference: float
    place: float


@dataclass(frozen=True)
class Comparison:
    """An exact activation and its rational one over x, and their slopes from dual numbers."""

    name: str
    x: np.ndarray
    exact: np.ndarray
    rational: np.ndarray
    exact_slope: np.ndarray
    rational_slope: np.ndarray

    @property
    def values(self) -> Largest:
        """How far the values are apart."""
        return self._largest(self.exact - self.rational)

    @property
    def slopes(self) -> Largest:
        """How far the slopes are apart."""
        return self._largest(self.exact_slope - self.rational_slope)

    def at(self, x: float) -> list[float]:
        """Exact and rational value, exact and rational slope at the grid's point next to x."""
        place = int(np.argmin(np.abs(self.x - x)))
        curves = (self.exact, self.rational, self.exact_slope, self.rational_slope)
        return [float(curve[place]) for curve in curves]

    def _largest(self, difference: np.ndarray) -> Largest:
        place = int(np.argmax(np.abs(difference)))
        return Largest(float(abs(difference[place])), float(abs(self.x[place])))


def comparisons() -> tuple[Comparison, Comparison]:
    """tanh and sigmoid over −6 … 6, in steps of 0.001."""
    x = np.arange(-6000, 6001) / 1000
    return _comparison("tanh", x), _comparison("sigmoid", x)


def _comparison(name: str, x: np.ndarray) -> Comparison:
    exact, rational = activations.named(name), activations.named(f"rational-{name}")
    slopes = (dual.derivative(each, x) for each in (exact, rational))
    return Comparison(name, x, exact(x), rational(x), *slopes)
