"""exp of the mutual information between a sample and its class, as a classifier sees it."""

from __future__ import annotations

import math

import numpy as np

from duel.metrics._base import Side, Value, around, jackknife_variance
from duel.metrics._checks import enough


def score(count: int, p_sum: np.ndarray, negative_entropy: float) -> float:
    """exp E KL(p(y|x) ‖ p(y)) from Σ p (C) and Σ p·log p: between 1 and the number of classes."""
    marginal = p_sum[p_sum > 0] / count
    return math.exp(negative_entropy / count - float(marginal @ np.log(marginal)))


def measure(real: Side, fake: Side) -> Value:
    """The score of all generated samples at once, with the jackknife interval over their groups."""
    scores = fake.scores
    enough(scores.count, "generated")
    value = max(1.0, score(*scores.totals()))
    left_out = (score(*scores.totals(group)) for group in range(scores.groups))
    low, high = around(value, jackknife_variance(left_out), scores.groups)
    known = {} if real.scores is None else {"real": score(*real.scores.totals())}
    return Value(value, max(1.0, low), high, "higher", 0, scores.count, baselines=known)
