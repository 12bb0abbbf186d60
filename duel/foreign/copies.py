"""How near samples are to all training images: by themselves, and for the place where they lie.

A look into a run compares 2,000 training images; what a sample was copied from is mostly not among them. Here
nothing else is known of the training, so all are compared.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from duel import signals
from duel.datasets._base import Split

_AT_ONCE = 1_000  # images that are made small
_MOST = 200_000  # training images: 160 MB of small versions
_FEW = 200  # training images whose own neighbours are looked for
_SAME = 1e-3  # of the usual distance: what rounding leaves between equal images


@dataclass(frozen=True)
class Neighbourhood:
    """All training images as features (N×F, N > 2), and what is usual for real images that are no copies.

    usual        median distance of a real image to the nearest training image
    usual_local  median of the same over the distance of that one to the nearest other; NaN where these are
                 mostly 0, since the data hold everything twice
    """

    train: np.ndarray
    usual: float
    usual_local: float

    @classmethod
    def of(cls, train: Split, held: np.ndarray, rng: np.random.Generator) -> Neighbourhood:
        """From the training split and features (M×F) of held-out images; these may be none."""
        rows = rng.permutation(len(train))[:_MOST]
        parts = [rows[first : first + _AT_ONCE] for first in range(0, len(rows), _AT_ONCE)]
        base = np.concatenate([signals.features(signals.in_range(train.samples[part])) for part in parts])
        found = [(base[:_FEW], True), *([(held, False)] if len(held) else [])]
        apart = [_nearest(queries, base, own) for queries, own in found]
        # Held-out images may be of another kind than the training images, and these have copies: the lower
        # number counts that is none of copies.
        usual = [(float(np.median(near)), float(np.median(_share(near, around)))) for near, around in apart]
        least = _SAME * max((near for near, _ in usual), default=0.0)
        right = [(near, local) for near, local in usual if near > least]
        return cls(
            base,
            min((near for near, _ in right), default=math.nan),
            min((local for _, local in right if 0 < local < math.inf), default=math.nan),
        )

    def compare(self, drawn: np.ndarray) -> dict[str, float]:
        """`nearest` and `nearest_local` of samples (features N×F): 1 as real images are, 0 for copies."""
        near, around = _nearest(drawn, self.train, False)
        return {
            "nearest": float(np.median(near)) / self.usual,
            "nearest_local": float(np.median(_share(near, around))) / self.usual_local,
        }


def _nearest(queries: np.ndarray, base: np.ndarray, own: bool) -> tuple[np.ndarray, np.ndarray]:
    """The distance of each query (N×F) to its nearest of the base, and of that one to its nearest other.

    own: the queries are the first rows of the base, and none is its own neighbour
    """
    from duel.metrics._neighbours import nearest

    apart, places = nearest(queries, base, 1, exclude_self=own)
    # The nearest of a training image is itself, or a copy, which is as near.
    around = nearest(base[places[:, 0]], base, 2)[0][:, 1]
    return apart[:, 0], around


def _share(near: np.ndarray, around: np.ndarray) -> np.ndarray:
    """One distance over the other; 0 for a copy of what has copies itself, infinite beside such a one."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(near == 0, 0.0, near / around)
