"""How reliable is a recipe? Middle, spread and worst case over all runs, and how often they collapse."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from duel import table
from duel.compare import number
from duel.errors import MetricError
from duel.intervals import check_confidence, deviation, incomplete_beta


@dataclass(frozen=True)
class Robustness:
    """The runs of one group, over all of its configurations and seeds.

    group          its values in the columns that were grouped by
    runs, values   how many runs there are, and how many have a finite value of the metric
    median, low_quartile, high_quartile, worst   of those values; None without any
    spread         their standard deviation; None with fewer than 2
    collapsed      runs that ended non-finite or with a severe collapse, of the `judged` ones: those where
                   that is known; the share's exact interval is `collapsed_low` to `collapsed_high`
    fluctuation    median of the runs' fluctuation from look to look, relative to their value; None: unknown
    """

    group: tuple[str, ...]
    runs: int
    values: int
    median: float | None
    low_quartile: float | None
    high_quartile: float | None
    spread: float | None
    worst: float | None
    collapsed: int
    judged: int
    collapsed_low: float
    collapsed_high: float
    fluctuation: float | None

    def sentence(self, metric: str) -> str:
        """The numbers in one sentence."""
        said = [f"{', '.join(self.group)}, {self.runs} run{'s' * (self.runs != 1)}: {self._middle(metric)}"]
        if self.judged:
            ends = f"{self.collapsed_low:.0%} to {self.collapsed_high:.0%}"
            said.append(f"{self.collapsed} of {self.judged} collapsed (interval {ends})")
        if self.fluctuation is not None:
            said.append(f"median change from look to look {self.fluctuation:.0%}")
        return ", ".join(said)

    def _middle(self, metric: str) -> str:
        if self.median is None or self.low_quartile is None or self.high_quartile is None:
            return f"no value of {metric}"
        assert self.worst is not None
        quartiles = f"quartiles {number(self.low_quartile)} to {number(self.high_quartile)}"
        spread = "" if self.spread is None else f", standard deviation {number(self.spread)}"
        return f"median {metric} {number(self.median)} ({quartiles}){spread}, worst {number(self.worst)}"


def robustness(
    rows: Sequence[Mapping[str, Any]],
    metric: str,
    checkpoint: str = "last",
    by: Sequence[str] = ("recipe", "data"),
    confidence: float = 0.95,
) -> list[Robustness]:
    """One entry for each combination of values in the columns `by`, in the order of the rows.

    A run that ended non-finite counts as collapsed, with or without a row that says so; one that failed
    (a full disk, say) was not judged. Without "data" in `by`, values of several scales may be mixed.
    """
    better = table.better(rows, metric, checkpoint)
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(str(row[column]) for column in by), []).append(row)
    measured, collapsed = (_by_run(rows, *what) for what in ((metric, checkpoint), ("collapsed", "run")))
    fluctuation = _by_run(rows, "fluctuation", "run")
    found = []
    for group, of_group in groups.items():
        ended = {_run(row): str(row["state"]) for row in of_group}
        values = [measured[run] for run in ended if run in measured]
        fates = [_collapsed(state, collapsed.get(run)) for run, state in ended.items()]
        judged = [fate for fate in fates if fate is not None]
        low, high = share_interval(sum(judged), len(judged), confidence) if judged else (0.0, 1.0)
        changes = [fluctuation[run] for run in ended if run in fluctuation]
        found.append(
            Robustness(
                group,
                len(ended),
                len(values),
                *_middle(values),
                deviation(values) if len(values) > 1 else None,
                (max if better == "lower" else min)(values, default=None),
                sum(judged),
                len(judged),
                low,
                high,
                statistics.median(changes) if changes else None,
            )
        )
    return found


Run = tuple[str, table.Pair]


def _run(row: Mapping[str, Any]) -> Run:
    return str(row["configuration"]), table.pair_of(row)


def _by_run(rows: Sequence[Mapping[str, Any]], metric: str, checkpoint: str) -> dict[Run, float]:
    """The finite values of a metric by run; none where it was not measured."""
    if not any(row["metric"] == metric and row["checkpoint"] == checkpoint for row in rows):
        return {}
    values = table.values(rows, metric, checkpoint)
    return {(label, pair): value for label, of in values.items() for pair, value in of.items()}


def _collapsed(state: str, said: float | None) -> bool | None:
    """Whether a run is lost; None where nobody knows."""
    if state == "nonfinite":
        return True
    return None if said is None else said > 0


def _middle(values: Sequence[float]) -> tuple[float | None, float | None, float | None]:
    """Median and quartiles; quartiles lie between the values as NumPy's do."""
    if not values:
        return None, None, None
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return median, low, high


def share_interval(hits: int, count: int, confidence: float = 0.95) -> tuple[float, float]:
    """Low and high end of the exact interval of a share, `hits` of `count` ≥ 1.

    C. Clopper, E. Pearson, Biometrika 26 (1934): contains the truth at least as often as it says.
    """
    check_confidence(confidence)
    if not 0 <= hits <= count or count < 1:
        raise MetricError(f"{hits} of {count} is no share")
    rest = (1 - confidence) / 2
    low = _beta_quantile(rest, hits, count - hits + 1) if hits else 0.0
    high = _beta_quantile(1 - rest, hits + 1, count - hits) if hits < count else 1.0
    return low, high


def _beta_quantile(p: float, a: float, b: float) -> float:
    """The x with I_x(a, b) = p, by bisection."""
    low, high = 0.0, 1.0
    while not math.isclose(low, high, rel_tol=1e-12):
        middle = (low + high) / 2
        low, high = (middle, high) if incomplete_beta(a, b, middle) < p else (low, middle)
    return (low + high) / 2
