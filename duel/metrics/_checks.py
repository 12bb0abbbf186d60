"""What every metric asks of its samples first: that they are there, enough, and finite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from duel.errors import MetricError

if TYPE_CHECKING:
    import numpy as np

    from duel.metrics._base import Side

Field = Literal["features", "logits", "samples", "labels"]

MINIMUM = 8  # samples a side: with fewer there is no interval worth the name


def enough(count: int, which: str, minimum: int = MINIMUM) -> None:
    """MetricError for fewer than `minimum` samples. `which`: "real", "generated", "training"."""
    if count < minimum:
        raise MetricError(f"{count} {which} samples are too few: at least {minimum} are needed")


def finite(rows: np.ndarray, what: str) -> None:
    """MetricError that counts the rows of an array N×… with a NaN or an infinity in them."""
    import numpy as np

    bad = int((~np.isfinite(rows).reshape(len(rows), -1).all(axis=1)).sum())
    if bad:
        raise MetricError(
            f"{bad} of {len(rows)} {what} are not finite (NaN or infinite): "
            "the generator has diverged, try an earlier checkpoint"
        )


def kept(side: Side, field: Field, which: str, minimum: int = MINIMUM) -> np.ndarray:
    """One of the arrays of a side, checked."""
    array: np.ndarray | None = getattr(side, field)
    if array is None:
        raise MetricError(f"the {which} {field} have not been gathered, and this metric needs them")
    enough(len(array), which, minimum)
    finite(array, f"{which} {field}")
    return array


def region_notes(n_real: int, n_fake: int) -> tuple[str, ...]:
    """What must be said beside a metric whose balls grow as the samples that span them get fewer."""
    return (
        f"depends on the counts ({n_real:,} real, {n_fake:,} generated): compare only equal ones, and with "
        "what real data score (--floor)",
    )


def subset_notes(real: Side, fake: Side, used_real: int, used_fake: int) -> tuple[str, ...]:
    """A sentence for each side of which not every sample was kept."""
    pairs = (("real", real.count, used_real), ("generated", fake.count, used_fake))
    return tuple(
        f"computed on the first {used:,} of {count:,} {which} samples"
        for which, count, used in pairs
        if used < count
    )
