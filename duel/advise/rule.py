"""Which recipe to advise: a rule that one can check by hand, and the judgement of it.

With a handful of data sets nothing complicated can be justified. Each recipe has, on each data set, the mean
logarithm of its metric relative to all recipes' mean there (same seeds). These are averaged over the data
sets, each with the weight 1 / (1 + d²), where d is its distance to the data at hand. The lowest is advised.
Farther than `LIMIT` from every data set nothing is known, and the default is advised.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from duel.advise.evidence import DEFAULT, RANKING, Evidence, Study
from duel.advise.look import FEATURES
from duel.intervals import t_interval

LIMIT = 2.0  # units: two whole steps in one feature, or one in each of four
FAR = (
    f"far is a distance above {LIMIT:g} units from every data set of the evidence: a limit set by judgement "
    "and not measured, beyond which nothing is advised but the default"
)


@dataclass(frozen=True)
class Choice:
    """What is advised.

    label      the configuration of the ranking study; None: far from all evidence, so the default
    distances  data set → distance, the nearest first; empty without evidence
    scores     configuration → weighted mean logarithm, the best first; empty where nothing is known
    """

    label: str | None
    distances: Mapping[str, float]
    scores: Mapping[str, float]

    @property
    def nearest(self) -> str | None:
        """The nearest data set; None without evidence."""
        return next(iter(self.distances), None)


def distance(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """Root of the summed squares of the features' differences, each in its unit (`look.FEATURES`)."""
    return math.sqrt(sum(((one[name] - other[name]) / unit) ** 2 for name, (unit, _) in FEATURES.items()))


def choose(evidence: Evidence, features: Mapping[str, float], without: Collection[str] = ()) -> Choice:
    """The advice for data with these features, as if the data sets `without` were not in the evidence."""
    study = evidence.study(RANKING)
    known = [] if study is None else [name for name in study.data if study.seeds(name)]
    apart = {name: distance(features, evidence.data[name]) for name in known if name not in without}
    distances = dict(sorted(apart.items(), key=lambda item: item[1]))
    if study is None or not distances or min(distances.values()) > LIMIT:
        return Choice(None, distances, {})
    weights = {name: 1 / (1 + d * d) for name, d in distances.items()}
    scores = {label: _score(study, label, weights) for label in study.configurations}
    ranked = dict(sorted(scores.items(), key=lambda item: item[1]))
    return Choice(next(iter(ranked)), distances, ranked)


def _score(study: Study, label: str, weights: Mapping[str, float]) -> float:
    """Weighted mean over data sets of the mean logarithm relative to all configurations' mean."""
    parts = []
    for data, weight in weights.items():
        logs = {each: logarithms(study, each, data) for each in study.configurations}
        everyone = fmean(fmean(of_label) for of_label in logs.values())
        parts.append(weight * (fmean(logs[label]) - everyone))
    return sum(parts) / sum(weights.values())


def logarithms(study: Study, label: str, data: str) -> list[float]:
    """Logarithm of the metric for each seed that all configurations ran with.

    A run that diverged counts as the worst value on that data set: leaving it out would reward it.
    """
    there = [value for (_, name, _), value in study.values.items() if name == data and value is not None]
    values = [study.values[label, data, seed] for seed in study.seeds(data)]
    return [math.log(max(there) if value is None else value) if there else 0.0 for value in values]


# ---------------------------------------------------------------- the judgement


@dataclass(frozen=True)
class Regret:
    """How much worse an advice is than the best recipe on a data set, as a share: 0.1 is 10 % worse.

    ratios  logarithm of advised / best, for each seed
    """

    ratios: tuple[float, ...]

    @property
    def interval(self) -> tuple[float, float, float]:
        """Mean and 95 % t interval over the pairs; the ends are infinite for a single pair."""
        if len(self.ratios) < 2:
            return math.expm1(self.ratios[0]), -1.0, math.inf
        mean, low, high = (math.expm1(min(end, 700.0)) for end in t_interval(self.ratios))
        return mean, low, high

    @property
    def passes(self) -> bool:
        """Whether the interval contains 0 or ends below 10 %."""
        _, low, high = self.interval
        return low <= 0 <= high or high < 0.1


@dataclass(frozen=True)
class Judged:
    """The advice for one data set, given from the others alone, beside always taking the default."""

    data: str
    choice: Choice
    advised: str
    best: str
    of_advice: Regret
    of_default: Regret


def judge(evidence: Evidence) -> list[Judged]:
    """Leave each data set out in turn. Empty where there are fewer than two, or no default among them."""
    study = evidence.study(RANKING)
    known = [] if study is None else [name for name in study.data if study.seeds(name)]
    if study is None or len(known) < 2 or DEFAULT not in study.configurations:
        return []
    return [_judged(study, name, choose(evidence, evidence.data[name], (name,))) for name in known]


def _judged(study: Study, data: str, choice: Choice) -> Judged:
    logs = {label: logarithms(study, label, data) for label in study.configurations}
    best = min(logs, key=lambda label: fmean(logs[label]))
    advised = choice.label or DEFAULT

    def regret(label: str) -> Regret:
        return Regret(tuple(a - b for a, b in zip(logs[label], logs[best], strict=True)))

    return Judged(data, choice, advised, best, regret(advised), regret(DEFAULT))


def together(regrets: Sequence[Regret]) -> Regret:
    """All pairs of several data sets as one."""
    return Regret(tuple(ratio for regret in regrets for ratio in regret.ratios))
