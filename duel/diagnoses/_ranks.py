"""Whether two series of a run go together: Spearman's rank correlation and its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence

from duel.diagnoses._base import Records

FEWEST = 5  # shared steps, below which a correlation is not worth a number


def ranks(values: Sequence[float]) -> list[float]:
    """The rank of each value, from 1; equal values share the mean of their ranks."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and values[order[end + 1]] == values[order[start]]:
            end += 1
        for place in order[start : end + 1]:
            found[place] = 1 + (start + end) / 2
        start = end + 1
    return found


def spearman(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Spearman's rank correlation of two series of equal length; None where one of them never changes."""
    middle = (len(a) + 1) / 2
    x, y = ([rank - middle for rank in ranks(values)] for values in (a, b))
    size = math.sqrt(sum(d * d for d in x) * sum(d * d for d in y))
    return sum(d * e for d, e in zip(x, y, strict=True)) / size if size else None


def spearman_interval(correlation: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a rank correlation of `count` > 3 pairs.

    Fisher's z with the variance of Bonett, Wright 2000 (Psychometrika 65), equation 4. For independent pairs:
    of values that follow each other in one run it is too narrow.
    """
    inside = max(-1 + 1e-12, min(1 - 1e-12, correlation))
    half = 1.959964 * math.sqrt((1 + inside**2 / 2) / (count - 3))
    z = math.atanh(inside)
    return math.tanh(z - half), math.tanh(z + half)


def estimates(records: Records) -> list[tuple[int, float, float]]:
    """(step, estimate, metric) where both are known; of the metric less is better.

    estimate  the signal `wasserstein_estimate`
    metric    the one that chooses the best checkpoint, with the sign changed where more is better
    """
    _, lower, rows = records.metric()
    known = dict(records.signal("wasserstein_estimate"))
    sign = 1 if lower else -1
    pairs = [(step, known[step], sign * value) for step, value, _, _ in rows if step in known]
    return [pair for pair in pairs if math.isfinite(pair[2])]


def estimate_correlation(records: Records) -> float | None:
    """Rank correlation of the Wasserstein estimate and the metric: 1 if it falls whenever that gets better.

    None with fewer than 5 steps at which both are known, or where one of them never changes.
    """
    found = estimates(records)
    if len(found) < FEWEST:
        return None
    return spearman([estimate for _, estimate, _ in found], [metric for _, _, metric in found])
