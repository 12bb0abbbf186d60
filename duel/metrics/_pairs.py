"""Random pairs of samples, each sample in one pair at most, so that the pairs are independent."""

from __future__ import annotations

import numpy as np

from duel.errors import MetricError


def pairs(count: int, labels: np.ndarray | None, at_most: int, rng: np.random.Generator) -> np.ndarray:
    """Indices (int64 P×2) of pairs of `count` samples; with labels (N), both of a pair have the same."""
    order = rng.permutation(count)
    if labels is None:
        return order[: count // 2 * 2].reshape(-1, 2)[:at_most]
    found = [_of_class(order[labels[order] == label]) for label in np.unique(labels)]
    together = np.concatenate(found)
    if not len(together):
        raise MetricError(f"none of {count} samples shares its class with another: draw more samples")
    return rng.permutation(together)[:at_most]


def _of_class(members: np.ndarray) -> np.ndarray:
    return members[: len(members) // 2 * 2].reshape(-1, 2)
