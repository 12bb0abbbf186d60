"""A function of samples, applied a few hundred at a time so that memory stays flat."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

SIZE = 500


def in_blocks(function: Callable[[np.ndarray], np.ndarray], samples: np.ndarray) -> np.ndarray:
    """`function(samples)`, computed by blocks of 500 samples."""
    import numpy as np

    parts = [function(samples[start : start + SIZE]) for start in range(0, len(samples), SIZE)]
    return np.concatenate(parts)
