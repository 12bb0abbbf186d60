"""What is kept of a stream of features: sums in a few groups, the same memory for any number of samples.

Sample i belongs to group i mod K. The groups serve the jackknife: any one of them can be left out.
"""

from __future__ import annotations

import numpy as np

from duel.metrics._checks import enough, finite

GROUPS = 20
WIDE, GROUPS_WHEN_WIDE = 1024, 8  # a group costs D² numbers: 8 × 34 MB at D = 2048
_ROWS = 128  # of each group that are gathered before they are multiplied: much faster than few at a time


class Moments:
    """Count, sum (D) and outer products (D×D) of features in float64, by groups.

    dimension  D
    blocks     how many groups; None: 20, or 8 beyond 1,024 dimensions
    """

    def __init__(self, dimension: int, blocks: int | None = None) -> None:
        groups = blocks or (GROUPS_WHEN_WIDE if dimension > WIDE else GROUPS)
        self.dimension, self.count = dimension, 0
        self._counts = np.zeros(groups, np.int64)
        self._sums = np.zeros((groups, dimension))
        self._outers = [np.zeros((dimension, dimension)) for _ in range(groups)]
        self._shift = np.zeros(dimension)
        self._pending: list[np.ndarray] = []
        self._added = 0

    @property
    def groups(self) -> int:
        """How many groups have samples."""
        return min(self.count, len(self._counts))

    def update(self, features: np.ndarray) -> None:
        """Add features n×D. MetricError when any is NaN or infinite."""
        finite(features, "feature vectors")
        if not self.count and len(features):
            self._shift = features.mean(axis=0, dtype=np.float64)  # sums stay small: no cancellation
        self._pending.append(np.array(features, np.float64))
        self.count += len(features)
        if self.count - self._added >= _ROWS * len(self._counts):
            self._add()

    def mean_cov(self, leave_out: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Mean (D) and unbiased covariance (D×D) of all samples, or of all but one group's."""
        self._add()
        kept = np.arange(len(self._counts)) != (-1 if leave_out is None else leave_out)
        count = int(self._counts[kept].sum())
        enough(count, "remaining", 2)
        mean = self._sums[kept].sum(axis=0) / count
        outer = sum(self._outers[group] for group in np.flatnonzero(kept))
        return mean + self._shift, (outer - count * np.outer(mean, mean)) / (count - 1)

    def _add(self) -> None:
        """Move what is pending into the groups."""
        if not self._pending:
            return
        rows = np.concatenate(self._pending) - self._shift
        for group, outer in enumerate(self._outers):
            own = rows[(group - self._added) % len(self._outers) :: len(self._outers)]
            self._counts[group] += len(own)
            self._sums[group] += own.sum(axis=0)
            outer += own.T @ own
        self._added, self._pending = self.count, []


class Scores:
    """Count, Σ p (C) and Σ p·log p of class probabilities p = softmax(logits) in float64, by groups."""

    def __init__(self, classes: int, blocks: int = GROUPS) -> None:
        self.count = 0
        self._counts = np.zeros(blocks, np.int64)
        self._sums = np.zeros((blocks, classes))
        self._negative_entropies = np.zeros(blocks)

    @property
    def groups(self) -> int:
        """How many groups have samples."""
        return min(self.count, len(self._counts))

    def update(self, logits: np.ndarray) -> None:
        """Add logits n×C. MetricError when any is NaN or infinite."""
        finite(logits, "class scores")
        log_p = _log_softmax(logits.astype(np.float64))
        p = np.exp(log_p)
        group = (self.count + np.arange(len(logits))) % len(self._counts)
        np.add.at(self._counts, group, 1)
        np.add.at(self._sums, group, p)
        np.add.at(self._negative_entropies, group, (p * log_p).sum(axis=1))
        self.count += len(logits)

    def totals(self, leave_out: int | None = None) -> tuple[int, np.ndarray, float]:
        """Count, Σ p (C) and Σ p·log p of all samples, or of all but one group's."""
        kept = np.arange(len(self._counts)) != (-1 if leave_out is None else leave_out)
        count, entropies = self._counts[kept].sum(), self._negative_entropies[kept].sum()
        return int(count), self._sums[kept].sum(axis=0), float(entropies)


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))
