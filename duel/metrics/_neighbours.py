"""Exact nearest neighbours by blocked matrix products.

‖a − b‖² = ‖a‖² + ‖b‖² − 2aᵀb in float32 finds a few candidates more than asked for; their distances are
then computed from the differences in float64. A row in which rounding could have hidden a neighbour from
the candidates is searched again in float64.
"""

from __future__ import annotations

import numpy as np
import torch

from duel.errors import MetricError
from duel.metrics._tensor import tensor

_QUERIES, _BASE = 1000, 16_384  # rows of each at a time: products of 66 MB
_SPARE = 4  # candidates beyond those asked for
_GROUP = 32  # columns whose minimum is looked at before they are


def nearest(
    queries: np.ndarray, base: np.ndarray, k: int, *, exclude_self: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Euclidean distances (float64 N×k, ascending) and indices (int64 N×k) of the k nearest of `base`.

    queries, base: N×… and M×… of any number type. `exclude_self`: row i of the queries is row i of the
    base and is not its own neighbour.
    """
    wanted, there = _flat(queries), _flat(base)
    own = torch.arange(len(wanted)) if exclude_self else None
    available = len(there) - exclude_self
    if k > available:
        raise MetricError(f"{k} neighbours are asked for, and there are {available}")
    count = min(k + _SPARE, available)
    distances, indices, certain = _search(wanted, there, k, count, own, torch.float32)
    doubtful = torch.nonzero(~certain).flatten()
    if len(doubtful):
        theirs = None if own is None else own[doubtful]
        again = _search(wanted[doubtful], there, k, count, theirs, torch.float64)
        distances[doubtful], indices[doubtful] = again[0], again[1]
    return distances.numpy(), indices.numpy()


def predict(queries: np.ndarray, base: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """The label (int64 N) that most of the k nearest have; of several, the one with the nearest."""
    _, indices = nearest(queries, base, k)
    votes = labels[indices]
    support = (votes[:, :, None] == votes[:, None, :]).sum(axis=2)
    return np.asarray(votes[np.arange(len(votes)), support.argmax(axis=1)])


def _flat(rows: np.ndarray) -> torch.Tensor:
    return tensor(rows).flatten(1)


def _search(
    queries: torch.Tensor,
    base: torch.Tensor,
    k: int,
    count: int,
    own: torch.Tensor | None,
    dtype: torch.dtype,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Distances and indices N×k, and whether each row is certainly right."""
    centre = base[:_BASE].double().mean(0)  # distances do not change, rounding errors shrink
    moved = _moved(queries, centre, dtype)
    worst, found, largest = _candidates(moved, base, centre, count, own)
    exact = _distances(queries, base, found)
    exact, order = exact.sort(dim=1)
    norms = moved.double().norm(dim=1)
    rounding = (queries.shape[1] + 16) * torch.finfo(dtype).eps * (norms + largest) ** 2
    certain = exact[:, k - 1].square() < worst.double() + norms.square() - rounding
    whole = count >= len(base) - (own is not None)  # every row of the base is a candidate
    return exact[:, :k], found.gather(1, order[:, :k]), certain | whole


def _moved(rows: torch.Tensor, centre: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return rows.to(dtype) - centre.to(dtype)


def _candidates(
    queries: torch.Tensor, base: torch.Tensor, centre: torch.Tensor, count: int, own: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Of each query: the largest kept ‖b‖² − 2aᵀb (N), the `count` indices (N×count); the largest ‖b‖."""
    values = torch.full((len(queries), count), torch.inf, dtype=queries.dtype)
    indices = torch.zeros((len(queries), count), dtype=torch.int64)
    largest = 0.0
    room = torch.empty(min(_QUERIES, len(queries)) * min(_BASE, len(base)), dtype=queries.dtype)
    for first in range(0, len(base), _BASE):
        part = _moved(base[first : first + _BASE], centre, queries.dtype)
        squares = part.square().sum(1)
        largest = max(largest, float(squares.max()) ** 0.5)
        for start in range(0, len(queries), _QUERIES):
            block = slice(start, start + _QUERIES)
            rows = queries[block]
            scores = room[: len(rows) * len(part)].view(len(rows), len(part))  # fresh memory costs a fifth
            torch.addmm(squares, rows, part.T, alpha=-2, out=scores)
            if own is not None:
                _hide(scores, own[block] - first)
            _merge(values[block], indices[block], *smallest(scores, count), first)
    return values.max(dim=1).values, indices, largest


def _hide(scores: torch.Tensor, columns: torch.Tensor) -> None:
    """Make each row's own column infinitely far, where it lies in this part."""
    rows = torch.nonzero((columns >= 0) & (columns < scores.shape[1])).flatten()
    scores[rows, columns[rows]] = torch.inf


def _merge(
    values: torch.Tensor, indices: torch.Tensor, new: torch.Tensor, columns: torch.Tensor, first: int
) -> None:
    """Keep, in place, the smallest of what is known and what is new."""
    both = torch.cat((values, new), 1)
    places = torch.cat((indices, columns + first), 1)
    best = both.topk(values.shape[1], largest=False, sorted=False)
    values.copy_(best.values)
    indices.copy_(places.gather(1, best.indices))


def smallest(scores: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The `count` smallest of each row and their columns.

    The groups with the smallest minima hold them all; finding those groups reads the matrix once, where a
    selection over whole rows would cost as much as the product itself.
    """
    rows, width = scores.shape
    groups = width // _GROUP
    if groups <= count:
        best = scores.topk(min(count, width), largest=False, sorted=False)
        return best.values, best.indices
    body = scores[:, : groups * _GROUP].view(rows, _GROUP, groups)
    chosen = body.amin(1).topk(count, largest=False, sorted=False).indices
    inside = (chosen[:, None, :] + groups * torch.arange(_GROUP)[:, None]).flatten(1)
    rest = torch.arange(groups * _GROUP, width).expand(rows, -1)
    columns = torch.cat((inside, rest), 1)
    best = scores.gather(1, columns).topk(count, largest=False, sorted=False)
    return best.values, columns.gather(1, best.indices)


def _distances(queries: torch.Tensor, base: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    """Float64 N×count, from the differences themselves: equal samples are exactly 0 apart."""
    out = torch.empty(indices.shape, dtype=torch.float64)
    for start in range(0, len(queries), _QUERIES):
        block = slice(start, start + _QUERIES)
        for column in range(indices.shape[1]):
            difference = queries[block].double() - base[indices[block, column]].double()
            out[block, column] = difference.square().sum(1).sqrt()
    return out
