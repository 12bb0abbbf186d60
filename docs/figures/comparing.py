"""Honest comparison: what peeking and many comparisons do to a level of 5 %, and what pairs are worth."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from matplotlib.figure import Figure

from duel.compare import holm, pairs_needed, t_test
from figures import style

LEVEL = 0.05
STUDIES = 2000
FIRST, LAST = 3, 20
FAMILIES = (1, 2, 5, 10, 20)


@cache
def false_alarms() -> np.ndarray:
    """Share of studies without any effect that have seen p ≤ 0.05 so far, looking after each seed.

    Entry i: after FIRST + i seeds.
    """
    rng = np.random.default_rng(0)
    first = np.full(STUDIES, LAST + 1)
    for study, differences in enumerate(rng.standard_normal((STUDIES, LAST))):
        for seeds in range(FIRST, LAST + 1):
            if t_test(differences[:seeds].tolist()) <= LEVEL:
                first[study] = seeds
                break
    return np.array([(first <= seeds).mean() for seeds in range(FIRST, LAST + 1)])


@cache
def any_false(comparisons: int, corrected: bool, seeds: int = 5) -> float:
    """Share of studies without any effect in which at least one of so many comparisons has p ≤ 0.05."""
    rng = np.random.default_rng(comparisons)
    hits = 0
    for family in rng.standard_normal((STUDIES, comparisons, seeds)):
        p_values = [t_test(differences.tolist()) for differences in family]
        hits += min(holm(p_values) if corrected else p_values) <= LEVEL
    return hits / STUDIES


def pairs_for(effect: float, correlation: float) -> int | None:
    """Seeds for 80 % power where two configurations differ by `effect` standard deviations of one of them.

    Values of one seed correlate; their difference then has the standard deviation √(2(1 − ρ)).
    """
    return pairs_needed(effect / float(np.sqrt(2 * (1 - correlation))))


def draw() -> Figure:
    """Three panels: peeking, many comparisons, pairs."""
    figure, (peeking, family, pairing) = style.axes(3, 2.9)
    seeds = np.arange(FIRST, LAST + 1)
    peeking.plot(seeds, 100 * false_alarms(), label="after each seed", **style.line(1))
    peeking.set(title="no effect, yet p ≤ 5 %:\nlooking again and again", xlabel="seeds so far", ylim=(0, 32))
    plain = [100 * any_false(count, corrected=False) for count in FAMILIES]
    held = [100 * any_false(count, corrected=True) for count in FAMILIES]
    family.plot(FAMILIES, plain, marker=".", label="not corrected", **style.line(1))
    family.plot(FAMILIES, held, marker=".", label="Holm", **style.line(0))
    family.set(title="no effect, yet some p ≤ 5 %:\nmany comparisons", xlabel="comparisons", ylim=(0, 75))
    for axes, label in ((peeking, "decided once"), (family, None)):
        axes.axhline(5, color=style.BLACK, linewidth=0.8, label=label)
        axes.set_ylabel("studies with a false alarm, %")
        axes.legend(loc="upper left")
    correlations = np.linspace(0, 0.95, 20)
    for number, effect in enumerate((2.0, 1.0, 0.5)):
        needed = [pairs_for(effect, float(each)) for each in correlations]
        pairing.semilogy(correlations, needed, label=f"{effect:g} σ", **style.line(number))
    pairing.set(
        title="seeds for 80 % power,\nby true difference", xlabel="correlation within a pair", ylim=(1, 100)
    )
    pairing.set_yticks([3, 5, 10, 20, 50], ["3", "5", "10", "20", "50"])
    pairing.minorticks_off()
    pairing.legend(loc="lower left")
    return figure


PICTURES: dict[str, Callable[[], Figure]] = {"comparing": draw}
