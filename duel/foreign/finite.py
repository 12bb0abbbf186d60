"""Numbers of a log that are none: nan, inf, and what no 32-bit float holds. Whether a log ends with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from duel import nonfinite
from duel.datasets._scan import shown
from duel.diagnoses._base import Records, Series
from duel.foreign.names import LOSSES

_LARGEST = 3.4028235e38  # of a 32-bit float; a loss beyond it has overflowed


@dataclass(frozen=True)
class Ending:
    """A loss that is no number any more at the end of a log: since which step, and what it was there."""

    loss: str
    step: int
    value: float


@dataclass(frozen=True)
class LoggedRecords(Records):
    """Records of another program's training; `ending` where a loss is no number at the end."""

    ending: Ending | None = None


def non_finite(records: LoggedRecords) -> list[dict[str, Any]]:
    """The finding, as JSON, that a training ended with a loss that is no number; else nothing."""
    end = records.ending
    if end is None:
        return []
    explanation = (
        f"{end.loss} is {end.value} at step {end.step} and no usable number from there to the end of the "
        "log: the training has diverged. Such a loss spoils every weight that is updated by it, so nothing "
        "after that step is of use: go back to a checkpoint from before it."
    )
    return [nonfinite.finding(end.loss, end.value, end.step, explanation)]


def ending(series: Mapping[str, Series]) -> Ending | None:
    """The loss that stops being a number first, for good. series: all columns by meaning."""
    ends = [Ending(name, *end) for name in LOSSES if (end := _end(series.get(name, []))) is not None]
    return min(ends, key=lambda end: end.step, default=None)


def finite(name: str, series: Series, notes: list[str]) -> Series:
    """The entries that are numbers; a note on the others."""
    lost = [step for step, value in series if not _is_finite(value)]
    if lost:
        notes.append(
            f"{shown(name)} is no finite number in {len(lost):,} of {len(series):,} entries, first at step "
            f"{lost[0]}; they are left out"
            + ("" if _end(series) is None else ", and it ends so: that training has diverged")
        )
    return [(step, value) for step, value in series if _is_finite(value)]


def _end(series: Series) -> tuple[int, float] | None:
    """The first entry of those at the end that are no numbers; None where they are no end.

    Some logs have nan wherever nothing was measured, so what is not longer than a gap before it is none.
    """
    gaps = [
        list(gap) for is_number, gap in groupby(series, lambda each: _is_finite(each[1])) if not is_number
    ]
    if not gaps or _is_finite(series[-1][1]):
        return None
    *overcome, last = gaps
    return last[0] if all(len(gap) < len(last) for gap in overcome) else None


def _is_finite(value: float) -> bool:
    return abs(value) <= _LARGEST
