"""Initial weights as arrays, so that every engine and device starts from the same numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Shape = tuple[int, ...]


def normal(shape: Shape, rng: np.random.Generator, mean: float, std: float) -> np.ndarray:
    """N(mean, std²)."""
    return mean + std * rng.standard_normal(shape)


def glorot(shape: Shape, rng: np.random.Generator, gain: float = 1.0) -> np.ndarray:
    """U(−a, a), a = gain·√(6 / (inputs + outputs)); of a convolution each tap counts.

    Glorot, Bengio 2010, equation 16. `shape` is outputs × inputs [× kernel].
    """
    taps = math.prod(shape[2:])
    bound = gain * math.sqrt(6 / (taps * (shape[0] + shape[1])))
    return rng.uniform(-bound, bound, shape)


def orthogonal(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """outputs × (inputs × taps) with orthonormal rows (or columns, where there are more rows).

    Saxe, McClelland, Ganguli 2014 (arXiv:1312.6120).
    """
    import numpy as np

    rows, columns = shape[0], math.prod(shape[1:])
    q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
    q *= np.sign(np.diag(r))  # otherwise the distribution is not uniform
    return (q if rows >= columns else q.T).reshape(shape)
