"""The region that samples cover: a ball around each, as wide as its k-th nearest neighbour is away."""

from __future__ import annotations

import numpy as np
import torch

from duel.metrics._base import Side
from duel.metrics._checks import MINIMUM, kept
from duel.metrics._neighbours import nearest

_ROWS, _COLUMNS = 1000, 4000  # of the distances at a time: 32 MB
_EQUAL = 1e-12  # relative to the squared norms: closer than this, two squared distances are the same


def both(real: Side, fake: Side, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The features of both sides, checked: k neighbours need k + 1 samples."""
    least = max(MINIMUM, k + 1)
    return kept(real, "features", "real", least), kept(fake, "features", "generated", least)


def radii(features: np.ndarray, k: int) -> np.ndarray:
    """Distance (N) from each of N×D samples to the k-th nearest other one."""
    return nearest(features, features, k, exclude_self=True)[0][:, -1]


def containing(points: np.ndarray, centres: np.ndarray, radius: np.ndarray, *, closed: bool) -> np.ndarray:
    """How many of the M balls contain each of N points (int64 N). `closed`: with their surface."""
    shift = centres.mean(axis=0, dtype=np.float64)
    p, c = (torch.from_numpy(rows - shift) for rows in (points, centres))
    p2, c2 = p.square().sum(1), c.square().sum(1)
    excess = c2 - torch.from_numpy(np.asarray(radius, np.float64)).square()
    margin = _EQUAL * (p2 + c2.max()) * (1 if closed else -1)
    counts = torch.zeros(len(p), dtype=torch.int64)
    for i in range(0, len(p), _ROWS):
        rows = slice(i, i + _ROWS)
        for j in range(0, len(c), _COLUMNS):
            columns = slice(j, j + _COLUMNS)
            beyond = torch.addmm(excess[columns], p[rows], c[columns].T, alpha=-2)
            counts[rows] += (beyond <= (margin - p2)[rows, None]).sum(1)
    return counts.numpy()


def share_inside(points: np.ndarray, centres: np.ndarray, k: int) -> tuple[int, int]:
    """How many points lie in at least one ball around the centres, and how many points there are."""
    inside = containing(points, centres, radii(centres, k), closed=True) > 0
    return int(inside.sum()), len(points)
