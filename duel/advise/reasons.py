"""What the evidence says about an advice: what to expect, what to watch for, and why it was given."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from duel.advise.evidence import DEFAULT, LABELS, RANKING, Evidence, Study
from duel.advise.look import FEATURES, Look
from duel.advise.rule import LIMIT, Choice, logarithms
from duel.compare import number
from duel.intervals import t_interval

FOR_POINTS = "gan"  # what is advised for points, of which there is no evidence
_SHOWN = 3  # diagnoses


def expected(choice: Choice, study: Study | None) -> list[dict[str, Any]]:
    """What the advised configuration reached on the two nearest data sets: mean and interval over seeds."""
    if choice.label is None or study is None:
        return []
    found = []
    for data in list(choice.distances)[:2]:
        runs = [study.values[choice.label, data, seed] for seed in study.seeds(data)]
        values = [value for value in runs if value is not None]
        if not values:
            continue
        mean, *ends = t_interval(values) if len(values) > 1 else (values[0], None, None)
        found.append(
            {
                "data": data, "study": study.name, "metric": study.metric, "better": "lower",
                "steps": study.steps, "side": study.side, "seeds": len(values),
                "diverged": len(runs) - len(values),
                "value": mean, "low": ends[0], "high": ends[1],
            }
        )  # fmt: skip
    return found


def watch(evidence: Evidence, study: Study | None, choice: Choice) -> list[dict[str, Any]]:
    """The diagnoses that were made most often of the advised configuration's runs, with their advice."""
    label = choice.label
    if label is None or study is None:
        return []
    runs = [names for run, names in study.findings.items() if run[0] == label]
    counts = Counter(name for names in runs for name in set(names))
    return [
        {"finding": name, "runs": count, "of": len(runs), **evidence.findings[label][name]}
        for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_SHOWN]
    ]


@dataclass(frozen=True)
class Gain:
    """CGAN's metric / DCGAN's over pairs of equal data and seed: geometric mean and 95 % interval."""

    study: Study
    ratio: float
    low: float
    high: float
    pairs: int

    @property
    def sure(self) -> bool:
        """Whether labels help: the interval lies below 1."""
        return self.high < 1

    def sentence(self) -> str:
        """What was measured, and what follows."""
        measured = (
            f"labels: in the study {self.study.name} ({self.study.metric}, {self.study.steps:,} steps) CGAN "
            f"had {_ratio(self.ratio, self.low, self.high)} DCGAN's value over {self.pairs} pairs"
        )
        follows = (
            "so labels are used (what to expect was measured without them)"
            if self.sure
            else "so labels are not used: it is not sure that they help"
        )
        return f"{measured}; {follows}"


def labels_gain(evidence: Evidence) -> Gain | None:
    """What labels brought; None without a study of that."""
    study = evidence.study(LABELS)
    if study is None or not {"dcgan", "cgan"} <= set(study.configurations):
        return None
    ratios = [ratio for data in study.data for ratio in _ratios(study, "cgan", "dcgan", data)]
    if len(ratios) < 2:
        return None
    ratio, low, high = (math.exp(end) for end in t_interval(ratios))
    return Gain(study, ratio, low, high, len(ratios))


def reasons(
    it: Look, evidence: Evidence, study: Study | None, choice: Choice, width: int | None, gain: Gain | None
) -> list[str]:
    """Why this recipe: how near the evidence is, what was measured, what was not. width: the networks'."""
    if choice.label is None or study is None:
        return [_nothing_known(it, evidence, choice)]
    first, *others = choice.scores
    said = [_nearness(it, evidence, choice)]
    if others:
        other = DEFAULT if first != DEFAULT and DEFAULT in others else others[0]
        said += [_standing(study, choice, first, other), *_elsewhere(evidence, first, other)]
    return [*said, _limits(study, width), *([gain.sentence()] if gain else [])]


def _nothing_known(it: Look, evidence: Evidence, choice: Choice) -> str:
    default = DEFAULT if it.features else FOR_POINTS
    if not it.features:
        why = "the evidence is about images, and these are points"
    elif choice.nearest is None:
        why = f"this version has no evidence: no data set on which all recipes of the study {RANKING} ran"
    else:
        apart = choice.distances[choice.nearest]
        why = (
            f"far from all evidence: {choice.nearest} is the nearest, {apart:.1f} units away, {LIMIT:g} are "
            f"the most, by judgement ({_why_apart(it, evidence, choice.nearest)})"
        )
    return f"{why}; so this is no advice but the default, {default}"


def _nearness(it: Look, evidence: Evidence, choice: Choice) -> str:
    assert choice.nearest is not None
    apart = choice.distances[choice.nearest]
    return (
        f"{choice.nearest} is the nearest data set of the evidence, {apart:.1f} units away "
        f"({_why_apart(it, evidence, choice.nearest)}); {LIMIT:g} are the most"
    )


def _why_apart(it: Look, evidence: Evidence, data: str) -> str:
    """The feature that differs most, in units."""
    parts = {
        name: abs(it.features[name] - evidence.data[data][name]) / unit
        for name, (unit, _) in FEATURES.items()
    }
    name = max(parts, key=lambda key: parts[key])
    return f"most by {name}: {parts[name]:.1f}"


def _ratios(study: Study, one: str, other: str, data: str) -> list[float]:
    """Logarithm of one configuration's metric / another's, for each seed."""
    both = (logarithms(study, label, data) for label in (one, other))
    return [a - b for a, b in zip(*both, strict=True)]


def _standing(study: Study, choice: Choice, first: str, other: str) -> str:
    """The advised configuration beside the default, or the default beside the next best, in numbers."""
    data = list(choice.distances)
    ratios = {name: _ratios(study, first, other, name) for name in data}
    pairs = [ratio for of_data in ratios.values() for ratio in of_data]
    each = ", ".join(f"{number(math.exp(fmean(ratios[name])))} on {name}" for name in data)
    weighted = math.exp(choice.scores[first] - choice.scores[other])
    said = (
        f"{first} is the best by the study {study.name} ({study.metric}, lower is better, {study.steps:,} "
        f"steps), data sets weighted by likeness: {number(weighted)} times {other}'s value ({each})"
    )
    if len(pairs) < 2:
        return said
    mean, low, high = (math.exp(end) for end in t_interval(pairs))
    doubt = "; which of the two is better cannot be told" if low <= 1 <= high else ""
    return f"{said}; unweighted {_ratio(mean, low, high)} {other}'s over {len(pairs)} pairs{doubt}"


def _elsewhere(evidence: Evidence, first: str, other: str) -> list[str]:
    """What studies that have no say in the choice found of the same two recipes."""
    found = []
    for study in evidence.studies:
        if study.name == RANKING or not {first, other} <= set(study.configurations):
            continue
        ratios = [ratio for data in study.data for ratio in _ratios(study, first, other, data)]
        if len(ratios) > 1:
            mean, low, high = (math.exp(end) for end in t_interval(ratios))
            where = f"{study.name} ({study.metric}, {', '.join(study.data)}, {study.steps:,} steps)"
            found.append(
                f"beside it, in the study {where} {first} had {_ratio(mean, low, high)} {other}'s value"
            )
    return found


def _ratio(mean: float, low: float, high: float) -> str:
    return f"{number(mean)} times (95 % interval {number(low)} to {number(high)})"


def _limits(study: Study, width: int | None) -> str:
    side = f" at {study.side}×{study.side} pixels" if study.side else ""
    narrow = f", with network.width={width}" if width else ""
    return (
        f"this was measured after {study.steps:,} steps{side}{narrow}: quality comes with longer "
        "training of wider networks, and whether the recipes keep their order there was not measured"
    )
