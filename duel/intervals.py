"""Intervals of a mean: Student's t exactly from two values on, and the bootstrap for many values.

Quantiles are found in plain Python, without SciPy, and to rounding also for one or two degrees of freedom,
where the usual expansions fail.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from duel.errors import MetricError

if TYPE_CHECKING:
    import numpy as np


def t_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float, float]:
    """Mean of independent values, and low and high end of Student's t interval for it.

    Exact for normally distributed values, however few (W. S. Gosset, "The probable error of a mean",
    1908). Raises MetricError for fewer than 2 values or values that are not finite.
    """
    checked = check_values(values)
    check_confidence(confidence)
    mean = math.fsum(checked) / len(checked)
    half = t_quantile((1 + confidence) / 2, len(checked) - 1) * deviation(checked) / math.sqrt(len(checked))
    return mean, mean - half, mean + half


def check_values(values: Sequence[float]) -> list[float]:
    """The values as floats; MetricError where they are fewer than 2 or not finite."""
    checked = [float(value) for value in values]
    if len(checked) < 2:
        raise MetricError(f"{len(checked)} value has no spread: an interval needs at least 2")
    for place, value in enumerate(checked):
        if not math.isfinite(value):
            raise MetricError(f"value {place + 1} is {value}: an interval needs finite numbers")
    return checked


def check_confidence(confidence: float) -> None:
    """MetricError where it is not between 0 and 1."""
    if not 0 < confidence < 1:
        raise MetricError(f"confidence is {confidence}, allowed is what lies between 0 and 1, such as 0.95")


def deviation(values: Sequence[float]) -> float:
    """Standard deviation of a sample, divided by n − 1; exactly 0 for equal values."""
    mean = math.fsum(values) / len(values)
    if min(values) == max(values):
        return 0.0
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def t_cdf(t: float, degrees: float) -> float:
    """P(T ≤ t) for Student's t with `degrees` > 0 of freedom."""
    square = t * t
    if square < degrees:  # there degrees / (degrees + t²) is near 1, and 1 minus it would have few digits
        inside = incomplete_beta(0.5, degrees / 2, square / (degrees + square))
        return 0.5 + math.copysign(inside / 2, t)
    tail = incomplete_beta(degrees / 2, 0.5, degrees / (degrees + square)) / 2
    return tail if t < 0 else 1 - tail


@lru_cache(maxsize=256)
def t_quantile(p: float, degrees: float) -> float:
    """The t with P(T ≤ t) = p, for 0 < p < 1 (bisection to the last bit)."""
    if p < 0.5:
        return -t_quantile(1 - p, degrees)
    low, high = 0.0, 1.0
    while t_cdf(high, degrees) < p:
        low, high = high, 2 * high
    while low < (middle := (low + high) / 2) < high:
        if t_cdf(middle, degrees) < p:
            low = middle
        else:
            high = middle
    return high


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b), for a, b > 0 and 0 ≤ x ≤ 1.

    By the continued fraction DLMF 8.17.22, on the side of the mean where it converges fast.
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(b, a, 1 - x)
    logarithm = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(logarithm) / (a * _beta_fraction(a, b, x))


def _beta_fraction(a: float, b: float, x: float) -> float:
    """1 + d₁/(1 + d₂/(1 + …)), front to back: W. Lentz, Applied Optics 15 (1976)."""
    value = ahead = 1.0
    behind = 0.0
    for number in range(1, 10_000):
        m = number // 2
        if number % 2:
            d = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            d = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        behind = 1 / (1 + d * behind)
        ahead = 1 + d / ahead
        value *= ahead * behind
        if abs(ahead * behind - 1) < 1e-16:
            break
    return value


def bootstrap_interval(
    values: Sequence[float],
    seed: int = 0,
    confidence: float = 0.95,
    method: Literal["bca", "percentile"] = "bca",
    resamples: int = 4000,
) -> tuple[float, float]:
    """Low and high end of a bootstrap interval for the mean; it contains the mean of the values.

    For 50 values and more, of any distribution: with few it is too narrow (of 40 exponential values it
    contained the truth in 91 % of cases, not 95 %). "bca" corrects bias and skewness:
    B. Efron, "Better bootstrap confidence intervals", JASA 82 (1987).
    """
    import numpy as np

    checked = np.array(check_values(values))
    check_confidence(confidence)
    rng = np.random.Generator(np.random.PCG64(seed))
    means = np.array(
        [checked[rng.integers(len(checked), size=len(checked))].mean() for _ in range(resamples)]
    )
    levels = [(1 - confidence) / 2, (1 + confidence) / 2]
    if method == "bca":
        levels = _bca_levels(checked, means, levels)
    low, high = (float(end) for end in np.quantile(means, levels))
    mean = float(checked.mean())
    return min(low, mean), max(high, mean)


def _bca_levels(values: np.ndarray, means: np.ndarray, levels: list[float]) -> list[float]:
    """The levels at which the bootstrap distribution is read instead of the nominal ones."""
    from statistics import NormalDist

    centred = values - values.mean()
    if not centred.any():
        return levels
    # Half of the ties: a mean of few different values is often hit exactly.
    below = (means < values.mean()).mean() + (means == values.mean()).mean() / 2
    normal = NormalDist()
    bias = normal.inv_cdf(min(max(float(below), 0.5 / len(means)), 1 - 0.5 / len(means)))
    acceleration = float((centred**3).sum() / (6 * (centred**2).sum() ** 1.5))
    shifted = [bias + normal.inv_cdf(level) for level in levels]
    return [normal.cdf(bias + z / (1 - acceleration * z)) for z in shifted]
