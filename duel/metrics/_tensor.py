"""NumPy arrays as torch sees them."""

from __future__ import annotations

import numpy as np
import torch


def tensor(array: np.ndarray) -> torch.Tensor:
    """The same memory as a tensor; copied only where torch cannot share it (reversed or read-only arrays)."""
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))
