"""The unbiased squared maximum mean discrepancy with the cubic kernel, by blocks.

Gretton et al. 2012 (JMLR 13), lemma 6; kernel of Bińkowski et al. 2018 (arXiv:1801.01401).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from duel.metrics._base import jackknife_variance
from duel.metrics._tensor import tensor

_BLOCK = 2000  # rows and columns of the kernel at a time: 32 MB in float64


class RowSums(NamedTuple):
    """Each sample's kernel summed over the other samples: of its own side, and of the other side.

    own_x (m), own_y (n): without the sample itself. cross_x (m), cross_y (n).
    """

    own_x: np.ndarray
    own_y: np.ndarray
    cross_x: np.ndarray
    cross_y: np.ndarray


def row_sums(x: np.ndarray, y: np.ndarray) -> RowSums:
    """From features m×D and n×D, with the kernel (xᵀy/D + 1)³ in float64."""
    a, b = tensor(x), tensor(y)
    cross_x, cross_y = _between(a, b)
    return RowSums(_within(a), _within(b), cross_x, cross_y)


def mmd2(sums: RowSums) -> float:
    """The unbiased estimate; it can be negative."""
    m, n = len(sums.own_x), len(sums.own_y)
    own = sums.own_x.sum() / (m * (m - 1)) + sums.own_y.sum() / (n * (n - 1))
    return float(own - 2 * sums.cross_x.sum() / (m * n))


def variance(sums: RowSums) -> float:
    """Jackknife variance of `mmd2`: every sample of either side left out once, exactly."""
    swapped = RowSums(sums.own_y, sums.own_x, sums.cross_y, sums.cross_x)
    return jackknife_variance(_without_each(sums)) + jackknife_variance(_without_each(swapped))


def _without_each(sums: RowSums) -> np.ndarray:
    """`mmd2` without sample i of the first side, for every i."""
    m, n = len(sums.own_x), len(sums.own_y)
    own = (sums.own_x.sum() - 2 * sums.own_x) / ((m - 1) * (m - 2))
    cross = (sums.cross_x.sum() - sums.cross_x) / ((m - 1) * n)
    return np.asarray(own + sums.own_y.sum() / (n * (n - 1)) - 2 * cross)


def _kernel(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    product = a.double() @ b.double().T
    base = product.div_(a.shape[1]).add_(1)
    return base.square().mul_(base)


def _between(a: torch.Tensor, b: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    rows = torch.zeros(len(a), dtype=torch.float64)
    columns = torch.zeros(len(b), dtype=torch.float64)
    for i in range(0, len(a), _BLOCK):
        for j in range(0, len(b), _BLOCK):
            block = _kernel(a[i : i + _BLOCK], b[j : j + _BLOCK])
            rows[i : i + _BLOCK] += block.sum(1)
            columns[j : j + _BLOCK] += block.sum(0)
    return rows.numpy(), columns.numpy()


def _within(a: torch.Tensor) -> np.ndarray:
    """Row sums without the diagonal. The kernel is symmetric: half of its blocks are enough."""
    rows = torch.zeros(len(a), dtype=torch.float64)
    for i in range(0, len(a), _BLOCK):
        for j in range(i, len(a), _BLOCK):
            block = _kernel(a[i : i + _BLOCK], a[j : j + _BLOCK])
            if i == j:
                block.fill_diagonal_(0)
            else:
                rows[j : j + _BLOCK] += block.sum(0)
            rows[i : i + _BLOCK] += block.sum(1)
    return rows.numpy()
