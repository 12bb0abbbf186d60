"""How many kinds were drawn, and how evenly, from a count for each kind."""

from __future__ import annotations

import numpy as np

from duel.metrics._base import jackknife_variance

_RESAMPLES = 1000
_PER = 10_000  # a kind counts with one sample in this many


def drawn(counts: np.ndarray, total: int) -> int:
    """How many kinds have at least one sample per 10,000 of all `total` (and at least one)."""
    return int((counts >= max(1.0, total / _PER)).sum())


def drawn_interval(counts: np.ndarray, total: int, seed: int) -> tuple[float, float]:
    """95 % bootstrap interval of `drawn`, stretched to contain it: resampling finds nothing new.

    The samples of no kind are what the counts lack of `total`.
    """
    rest = total - int(counts.sum())
    shares = np.append(counts, rest) / total
    resampled = np.random.default_rng(seed).multinomial(total, shares, size=_RESAMPLES)
    found = [drawn(row[:-1], total) for row in resampled]
    low, high = np.quantile(found, (0.025, 0.975))
    value = drawn(counts, total)
    return min(float(low), value), max(float(high), value)


def entropy(counts: np.ndarray) -> float:
    """Of the histogram, in nats: log(number of kinds) when all are drawn alike, 0 when one is."""
    shares = counts[counts > 0] / counts.sum()
    return abs(float(shares @ np.log(shares)))


def entropy_variance(counts: np.ndarray) -> float:
    """Leave-one-out jackknife variance: samples of one kind all have the same value when left out."""
    kinds = np.flatnonzero(counts)
    left_out = [entropy(counts - (np.arange(len(counts)) == kind)) for kind in kinds]
    return jackknife_variance(np.repeat(left_out, counts[kinds]))
