"""Paired comparison: which of two models is better, when both were run with the same seeds? Which of many?

Two runs with one seed share what chance gave them, so that their difference varies less than each of them.
The answer for two lists (`paired`) is an interval for the mean difference, and "cannot tell" where that
contains 0. The answer for a table of many (`against_baseline`, `all_pairs`) corrects for their number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from duel import table
from duel.errors import InputError, MetricError, listed, one_of
from duel.intervals import bootstrap_interval as bootstrap_interval  # belongs to what is compared with
from duel.intervals import check_confidence, deviation, t_cdf, t_interval, t_quantile
from duel.table import Pair, Row

if TYPE_CHECKING:
    import numpy as np

Better = table.Better
Verdict = Literal["a", "b", "cannot tell", "equivalent"]
Outcome = Literal[
    "better", "worse", "cannot tell", "no pairs", "diverged", "other diverged", "both diverged"
]  # fmt: skip

_EXACT = 36  # pairs up to which all patterns of signs are counted: two halves of 2¹⁸ sums
_DRAWN = 100_000  # patterns drawn beyond that
_MOST_PAIRS = 100_000
_POWER = 0.8
_BOOTSTRAP_FROM = 8  # pairs; below, it contains the truth too seldom: docs/comparison.md has the figures
_SAME_TIME = 0.1  # seconds of two runs on one machine vary by about as much
_ROUGH_BELOW = 8  # pairs; from fewer an effect size is known to little more than its order of magnitude


@dataclass(frozen=True)
class Comparison:
    """What the pairs (aᵢ, bᵢ) say. Differences are a − b, in the values' own units.

    n                pairs
    mean_difference  its Student's t interval is `low` to `high`, at `confidence`
    effect_size      mean difference / standard deviation of the differences, corrected for few pairs;
                     None with 2 pairs or without any spread
    wins, losses     pairs in which a is better, and in which b is; the rest are ties
    p_value          two-sided, of flipping the signs of the differences
    verdict          who is better; "equivalent": the interval lies between −equivalence and equivalence
    seeds_needed     pairs for 80 % power if the observed effect is the true one; None where there is no
                     effect size, or where they are more than 100,000
    """

    n: int
    mean_difference: float
    low: float
    high: float
    effect_size: float | None
    wins: int
    losses: int
    p_value: float
    verdict: Verdict
    seeds_needed: int | None
    better: Better
    confidence: float
    equivalence: float | None

    def sentence(self, name_a: str, name_b: str) -> str:
        """The result in one sentence. A positive difference means: the one named first is better."""
        if self.low == self.high == 0:
            return f"{name_a} and {name_b} are equal on all {self.n} seeds"
        if self.verdict == "equivalent":
            within = f"{name_a} and {name_b} differ by less than {number(self.equivalence or 0)}"
            return f"{within} with {self.n} seeds: {self._difference('a')} ({self._interval('a')})"
        if self.verdict == "cannot tell":
            found = f"{self._difference('a')}, {self._interval('a')}"
            return f"cannot tell {name_a} from {name_b} with {self.n} seeds ({found}): {self._advice()}"
        first, second, won = (name_a, name_b, self.wins)
        if self.verdict == "b":
            first, second, won = (name_b, name_a, self.losses)
        numbers = f"{self._difference(self.verdict)} ({self._interval(self.verdict)})"
        return f"{first} is better than {second} on {won} of {self.n} seeds: {numbers}"

    def _sign(self, first: Verdict) -> int:
        """What turns a − b into the advantage of `first`."""
        return 1 if (first == "a") == (self.better == "higher") else -1

    def _difference(self, first: Verdict) -> str:
        return f"difference {number(self._sign(first) * self.mean_difference)}"

    def _interval(self, first: Verdict) -> str:
        low, high = sorted(self._sign(first) * end for end in (self.low, self.high))
        return f"{100 * self.confidence:g} % interval {number(low)} to {number(high)}"

    def _advice(self) -> str:
        if self.n == 2:
            return "at least 3 are needed to say how many would do"
        if self.seeds_needed is None:
            return f"more than {_MOST_PAIRS:,} would be needed"
        return f"about {self.seeds_needed:,} would be needed"


def number(value: float) -> str:
    """Three digits or a whole number, with a true minus; at most ten characters."""
    text = f"{value:,.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.3g}"
    return "0" if text == "-0" else text.replace("-", "−")


def paired(
    a: Sequence[float],
    b: Sequence[float],
    better: Better,
    confidence: float = 0.95,
    equivalence: float | None = None,
) -> Comparison:
    """Compare the values of two models, a[i] and b[i] from the same seed.

    better       which values are better
    confidence   of the interval; it decides the verdict
    equivalence  a difference that does not matter, in the values' units

    Raises MetricError for lists that are no pairs, fewer than 2 pairs, or values that are not finite.
    """
    _check(a, b, better, confidence, equivalence)
    differences = [float(x) - float(y) for x, y in zip(a, b, strict=True)]
    mean, low, high = t_interval(differences, confidence)
    effect = effect_size(differences)
    gains = [-d if better == "lower" else d for d in differences]
    return Comparison(
        n=len(differences),
        mean_difference=mean,
        low=low,
        high=high,
        effect_size=effect,
        wins=sum(gain > 0 for gain in gains),
        losses=sum(gain < 0 for gain in gains),
        p_value=sign_flip(differences),
        verdict=_verdict(low, high, better, equivalence),
        seeds_needed=None if effect is None else pairs_needed(effect, confidence),
        better=better,
        confidence=confidence,
        equivalence=equivalence,
    )


def _check(
    a: Sequence[float], b: Sequence[float], better: str, confidence: float, equivalence: float | None
) -> None:
    if len(a) != len(b):
        raise MetricError(f"a has {len(a)} values and b has {len(b)}: pairs need the same seeds for both")
    if len(a) < 2:
        raise MetricError(f"{len(a)} pairs cannot be compared: at least 2 seeds are needed")
    for name, values in (("a", a), ("b", b)):
        for place, value in enumerate(values):
            if not math.isfinite(value):
                raise MetricError(f"value {place + 1} of {name} is {value}: leave that pair out or repeat it")
    if better not in ("lower", "higher"):
        raise MetricError(f'better is {better!r}, allowed are "lower" and "higher"')
    if equivalence is not None and not 0 < equivalence < math.inf:
        raise MetricError(f"equivalence is {equivalence}, allowed are differences above 0")
    check_confidence(confidence)


def _verdict(low: float, high: float, better: Better, equivalence: float | None) -> Verdict:
    if equivalence is not None and -equivalence < low and high < equivalence:
        return "equivalent"
    if low <= 0 <= high:
        return "cannot tell"
    return "a" if (low > 0) == (better == "higher") else "b"


def effect_size(differences: Sequence[float]) -> float | None:
    """Mean / standard deviation (Cohen's d_z), times Γ(f/2) / (√(f/2) Γ((f−1)/2)) for f = n − 1.

    That factor makes it unbiased (L. Hedges, J. of Educational Statistics 6, 1981). None where there is
    no such number: 2 differences, or no spread.
    """
    freedom, spread = len(differences) - 1, _spread(differences)
    if freedom < 2 or spread == 0:
        return None
    factor = math.exp(math.lgamma(freedom / 2) - math.lgamma((freedom - 1) / 2)) / math.sqrt(freedom / 2)
    return math.fsum(differences) / len(differences) / spread * factor


def _spread(differences: Sequence[float]) -> float:
    """The standard deviation; 0 where it is only the rounding of values that differ by the same."""
    spread = deviation(differences)
    return 0.0 if spread <= 1e-12 * max(map(abs, differences)) else spread


def sign_flip(differences: Sequence[float]) -> float:
    """Two-sided p-value: the share of all 2ⁿ patterns of signs whose sum is as far from 0 as the one seen.

    Exact if without an effect each difference is as likely as its negative (R. A. Fisher, 1935); its
    smallest value is 2^(1−n). For more than 36 differences from 100,000 patterns drawn at a fixed seed.
    """
    slack = 1e-12 * math.fsum(map(abs, differences))  # sums in another order may differ in the last digits
    least = abs(math.fsum(differences)) - slack
    if least <= 0:
        return 1.0
    return _all_signs(differences, least) if len(differences) <= _EXACT else _drawn_signs(differences, least)


def _all_signs(differences: Sequence[float], least: float) -> float:
    """The share of patterns with |sum| ≥ `least`: every sum of one half against those of the other."""
    import numpy as np

    half = len(differences) // 2
    first, second = _signed_sums(differences[:half]), np.sort(_signed_sums(differences[half:]))
    above = len(second) - np.searchsorted(second, least - first, side="left")
    below = np.searchsorted(second, -least - first, side="right")
    return int(above.sum() + below.sum()) / 2.0 ** len(differences)


def _signed_sums(values: Sequence[float]) -> np.ndarray:
    import numpy as np

    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def _drawn_signs(differences: Sequence[float], least: float) -> float:
    """The same share among drawn patterns; the one that was seen counts as drawn."""
    import numpy as np

    rng = np.random.Generator(np.random.PCG64(0))
    sizes = np.array(differences)
    hits = 0
    for _ in range(_DRAWN // 1000):
        signs = 2.0 * rng.integers(2, size=(1000, len(sizes))) - 1
        hits += int((abs(signs @ sizes) >= least).sum())
    return (hits + 1) / (_DRAWN + 1)


def power_of(pairs: int, effect: float, confidence: float = 0.95) -> float:
    """How likely the t interval of so many pairs tells the better one, for a true effect size d_z.

    The noncentral t distribution, integrated over the standard deviation that is observed.
    """
    freedom = pairs - 1
    critical, shift = t_quantile((1 + confidence) / 2, freedom), abs(effect) * math.sqrt(pairs)
    reach = 8 / math.sqrt(2 * freedom)
    low, high, steps = max(0.0, 1 - reach), 1 + reach, 1000
    spreads = [low + (high - low) * (k + 0.5) / steps for k in range(steps)]
    constant = math.log(2) + freedom / 2 * math.log(freedom / 2) - math.lgamma(freedom / 2)
    total = 0.0
    for spread in spreads:
        density = math.exp(constant + (freedom - 1) * math.log(spread) - freedom * spread**2 / 2)
        total += density * math.erfc((critical * spread - shift) / math.sqrt(2)) / 2
    return total * (high - low) / steps


def pairs_needed(effect: float, confidence: float = 0.95, power: float = _POWER) -> int | None:
    """The smallest number of pairs that has this power for a true effect size; None above 100,000."""
    from statistics import NormalDist

    beyond, within = NormalDist().inv_cdf((1 + confidence) / 2), NormalDist().inv_cdf(power)
    if abs(effect) * math.sqrt(_MOST_PAIRS) < beyond + within:
        return None
    # W. Guenther, The American Statistician 35 (1981): right to one or two pairs unless they are few.
    pairs = max(2, math.ceil(((beyond + within) / effect) ** 2 + beyond**2 / 2))
    while pairs > 2 and power_of(pairs - 1, effect, confidence) >= power:
        pairs -= 1
    while power_of(pairs, effect, confidence) < power:
        pairs += 1
    return pairs


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values of several comparisons, in their order: reject where they are below the level.

    The chance of any wrong rejection stays below it, whatever depends on what (S. Holm, Scandinavian
    Journal of Statistics 6, 1979). Raises MetricError for what is no p-value.
    """
    for place, p in enumerate(p_values):
        if not 0 <= p <= 1:
            raise MetricError(f"p-value {place + 1} is {p}, allowed are 0 to 1")
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, p_values[place] * (len(p_values) - rank)))
        adjusted[place] = largest
    return adjusted


def t_test(differences: Sequence[float]) -> float:
    """Two-sided p-value of the paired t test. Without any spread it has no meaning: then of `sign_flip`."""
    spread = _spread(differences)
    if spread == 0:
        return sign_flip(differences)
    mean = math.fsum(differences) / len(differences)
    return 2 * t_cdf(-abs(mean) / spread * math.sqrt(len(differences)), len(differences) - 1)


# ---------------------------------------------------------------- many configurations


@dataclass(frozen=True)
class Summary:
    """The runs of one configuration: how many have a value, their mean and its t interval.

    None where there is no such number: no value, one value (no interval), several data sets (no mean: their
    values have different scales). lost: why some runs have no value, in a few words. runs, diverged: how
    many there are, and how many of them diverged.
    """

    configuration: str
    n: int
    mean: float | None
    low: float | None
    high: float | None
    lost: str | None
    runs: int
    diverged: int


@dataclass(frozen=True)
class Contest:
    """One comparison of several: configuration a against b.

    pairs          what is compared: (data set, seed) at which both have a value
    result         of `paired`, a − b; of the logarithms where `ratio` is true; None with fewer than 2 pairs
    ratio          values of several data sets are pooled, so that a / b is looked at in place of a − b
    p_value        two-sided, of the paired t test (without any spread: of flipping signs)
    p_adjusted     Holm's, among the `family` comparisons that were made together; it decides the verdict
    differences    a − b of each pair, or log a − log b
    budget         what both had equal, in a few words, or that nothing was
    missing        sentences: why runs have no value or no partner
    diverged       which of the two have no value at all, and runs that diverged: that counts against them
    """

    metric: str
    a: str
    b: str
    pairs: tuple[Pair, ...]
    result: Comparison | None
    ratio: bool
    p_value: float | None
    p_adjusted: float | None
    family: int
    differences: tuple[float, ...]
    confidence: float
    budget: str
    missing: tuple[str, ...]
    diverged: tuple[str, ...]

    @property
    def verdict(self) -> Outcome:
        """What the adjusted p-value says of a; or who has nothing to compare, since its runs diverged."""
        if self.diverged:
            alone: Outcome = "diverged" if self.diverged == (self.a,) else "other diverged"
            return "both diverged" if len(self.diverged) == 2 else alone
        if self.result is None or self.p_adjusted is None:
            return "no pairs"
        # Two pairs can agree by chance alone: their spread has one degree of freedom.
        if len(self.pairs) < 3 or self.p_adjusted > _level(self.confidence):
            return "cannot tell"
        ahead = (self.result.mean_difference < 0) == (self.result.better == "lower")
        return "better" if ahead else "worse"

    @property
    def interval(self) -> tuple[float, float, float] | None:
        """Difference a − b with the ends of its t interval, not corrected; of a ratio a / b."""
        if self.result is None:
            return None
        ends = self.result.mean_difference, self.result.low, self.result.high
        return (_exp(ends[0]), _exp(ends[1]), _exp(ends[2])) if self.ratio else ends

    def bootstrap(self) -> tuple[float, float] | None:
        """The BCa interval of the same difference or ratio, to stand beside; None below 8 pairs."""
        if len(self.differences) < _BOOTSTRAP_FROM:
            return None
        low, high = bootstrap_interval(self.differences, confidence=self.confidence)
        return (_exp(low), _exp(high)) if self.ratio else (low, high)

    def pairs_needed(self) -> int | None:
        """Pairs for 80 % power if the observed effect is the true one, also after the correction.

        At the level / `family` (C. Bonferroni), which Holm's procedure never falls short of. None where
        there is no effect size, or where they are more than 100,000.
        """
        if self.result is None or self.result.effect_size is None:
            return None
        return pairs_needed(self.result.effect_size, 1 - _level(self.confidence) / self.family)

    @property
    def rough(self) -> bool:
        """Whether `pairs_needed` is a guess, since it rests on fewer than 8 pairs."""
        return self.pairs_needed() is not None and len(self.pairs) < _ROUGH_BELOW

    def sentence(self) -> str:
        """The result in plain words, what was equal, and which runs are not in it."""
        return ". ".join([self._result(), *self.missing])

    def _result(self) -> str:
        if len(self.diverged) == 2:
            return f"neither {self.a} nor {self.b} has a value of {self.metric}, which counts against both"
        if self.diverged:
            (lost,) = self.diverged
            other = self.b if lost == self.a else self.a
            return (
                f"{lost} has no value of {self.metric} to compare with {other}, which counts against {lost}"
            )
        if self.result is None:
            count = "no pair" if not self.pairs else "one pair"
            return (
                f"{self.a} and {self.b} have {count} of runs with the same seed and data: 2 are needed, "
                "so train both with the same two seeds, or play a study"
            )
        among = self._among()
        if self.result.low == self.result.high == 0:
            return f"{self.a} and {self.b} are equal on all {among}, {self.budget}"
        if self.verdict == "cannot tell":
            told = f"cannot tell {self.a} from {self.b} with {among}: {self._advice()}"
            return f"{told} ({self._effect(1)}); {self.budget}"
        first, second, won, sign = self.a, self.b, self.result.wins, 1
        if self.verdict == "worse":
            first, second, won, sign = self.b, self.a, self.result.losses, -1
        return f"{first} is better than {second} on {won} of {among}: {self._effect(sign)}; {self.budget}"

    def _among(self) -> str:
        data = len({name for name, _ in self.pairs})
        return f"{len(self.pairs)} seeds" if data == 1 else f"{len(self.pairs)} pairs ({data} data sets)"

    def _effect(self, sign: int) -> str:
        """What a (sign 1) or b (sign −1) has above the other, with interval and p-values."""
        assert self.result is not None
        assert self.p_adjusted is not None
        ends = [sign * end for end in (self.result.mean_difference, self.result.low, self.result.high)]
        if self.ratio:
            mean, low, high = ends[0], *sorted(ends[1:])
            shown = f"{self.metric} {number(_exp(mean))} times as large"
            interval = f"{number(_exp(low))} to {number(_exp(high))}"
        else:
            below = ends[0] < 0
            low, high = sorted(-end if below else end for end in ends[1:])
            shown = f"{self.metric} {'lower' if below else 'higher'} by {number(abs(ends[0]))}"
            interval = f"{number(low)} to {number(high)}"
        corrected = f" after Holm's correction for {self.family}" if self.family > 1 else ""
        told = f"{shown}, {100 * self.confidence:g} % interval {interval}"
        return f"{told}, p {p_text(self.p_adjusted)}{corrected}"

    def _advice(self) -> str:
        assert self.result is not None
        assert self.p_value is not None
        if self.result.n == 2:
            return "at least 3 are needed to say how many would do"
        if self.result.effect_size is None:
            least = 1 + math.ceil(math.log2(self.family / _level(self.confidence)))
            return f"all differences are equal, and then {least} are needed"
        needed = self.pairs_needed()
        count = f"more than {_MOST_PAIRS:,}" if needed is None else f"about {needed:,}"
        alone = self.p_value <= _level(self.confidence)
        why = ", since it is one of many comparisons" if alone else ""
        return f"{count} needed{why}{f', a rough guess from {self.result.n} pairs' if self.rough else ''}"


@dataclass(frozen=True)
class Contests:
    """Comparisons that were made together, and the configurations they are between.

    baseline  what all are compared with; None: all pairs
    notes     sentences about all of them
    """

    metric: str
    better: Better
    checkpoint: str
    baseline: str | None
    confidence: float
    configurations: tuple[Summary, ...]
    contests: tuple[Contest, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        found = asdict(self)
        for entry, contest in zip(found["contests"], self.contests, strict=True):
            entry |= {"verdict": contest.verdict, "interval": contest.interval}
            entry |= {"bootstrap": contest.bootstrap(), "pairs_needed": contest.pairs_needed()}
            entry |= {"pairs_needed_rough": contest.rough}
            entry |= {"sentence": contest.sentence()}
        return found


def against_baseline(
    rows: Sequence[Mapping[str, Any]],
    metric: str,
    checkpoint: str = "last",
    baseline: str | None = None,
    confidence: float = 0.95,
    planned: str | None = None,
) -> Contests:
    """Every configuration of a table (`duel.table`) against one of them, in pairs of equal data and seed.

    checkpoint  "last", "best" or "run", as in the table
    baseline    a label; the first configuration by default
    confidence  of the intervals; 1 minus it is the level for the whole family of comparisons
    planned     which cost the study's budget made equal ("seconds", "flops"), where it did

    A configuration that ran on several data sets is one configuration; their values are pooled, as
    ratios where they are positive and lower is better. InputError for a label or metric there is not, or
    for values that were not measured alike.
    """
    known = table.without_data(rows)
    labels = table.configurations(known)
    chosen = (labels[0] if labels else "") if baseline is None else baseline
    if chosen not in labels:
        raise InputError(f"there is no configuration {chosen!r} to compare with: {one_of(labels, chosen)}")
    between = [(label, chosen) for label in labels if label != chosen]
    return _contests(known, metric, checkpoint, chosen, between, confidence, planned)


def all_pairs(
    rows: Sequence[Mapping[str, Any]],
    metric: str,
    checkpoint: str = "last",
    confidence: float = 0.95,
    planned: str | None = None,
) -> Contests:
    """Every configuration of a table against every other; else as `against_baseline`."""
    known = table.without_data(rows)
    labels = table.configurations(known)
    between = [(b, a) for place, a in enumerate(labels) for b in labels[place + 1 :]]
    return _contests(known, metric, checkpoint, None, between, confidence, planned)


def _contests(
    rows: Sequence[Row],
    metric: str,
    checkpoint: str,
    baseline: str | None,
    between: Sequence[tuple[str, str]],
    confidence: float,
    planned: str | None,
) -> Contests:
    check_confidence(confidence)
    values, runs = table.values(rows, metric, checkpoint), table.runs(rows)
    better = table.better(rows, metric, checkpoint)
    data = list(dict.fromkeys(name for of_label in runs.values() for name, _ in of_label))
    contests = [_contest(metric, better, a, b, values, runs, confidence, planned) for a, b in between]
    tested = [place for place, contest in enumerate(contests) if contest.p_value is not None]
    adjusted = holm([contests[place].p_value or 0.0 for place in tested])
    for place, p in zip(tested, adjusted, strict=True):
        contests[place] = replace(contests[place], p_adjusted=p, family=len(tested))
    summaries = [_summary(label, values.get(label, {}), runs[label], confidence) for label in runs]
    return Contests(
        metric,
        better,
        checkpoint,
        baseline,
        confidence,
        tuple(summaries),
        tuple(contests),
        tuple(_notes(contests, data, len(runs))),
    )


def _contest(
    metric: str,
    better: Better,
    a: str,
    b: str,
    values: Mapping[str, Mapping[Pair, float]],
    runs: Mapping[str, Mapping[Pair, Row]],
    confidence: float,
    planned: str | None,
) -> Contest:
    of_a, of_b = values.get(a, {}), values.get(b, {})
    pairs = tuple(pair for pair in of_a if pair in of_b)
    lists = [of_a[pair] for pair in pairs], [of_b[pair] for pair in pairs]
    several = len({name for name, _ in pairs}) > 1
    ratio = several and better == "lower" and min(map(min, lists)) > 0
    if ratio:
        lists = [math.log(x) for x in lists[0]], [math.log(x) for x in lists[1]]
    differences = tuple(x - y for x, y in zip(*lists, strict=True))
    result = paired(*lists, better, confidence) if len(pairs) > 1 else None
    p_value = t_test(differences) if len(pairs) > 1 else None
    lost = [lost_runs(label, runs[label], values.get(label, {})) for label in (a, b)]
    alone = [_partnerless(label, runs[label], runs[other]) for label, other in ((a, b), (b, a))]
    missing = tuple(sentence for sentence in (*lost, *alone) if sentence)
    budget = _budget(a, b, [(runs[a][pair], runs[b][pair]) for pair in pairs], planned)
    sides = ((a, of_a), (b, of_b))
    gone = tuple(label for label, values in sides if not values and _diverged(runs[label]))
    return Contest(
        metric, a, b, pairs, result, ratio, p_value, None, 1, differences, confidence, budget, missing, gone
    )


def _diverged(runs: Mapping[Pair, Row]) -> int:
    """How many of these runs diverged."""
    return sum(row["state"] == "nonfinite" for row in runs.values())


def lost_runs(label: str, runs: Mapping[Pair, Mapping[str, Any]], values: Mapping[Pair, float]) -> str | None:
    """Which runs of a configuration have no value, and why: "1 of 3 runs of X diverged"; None: none."""
    said = {"nonfinite": "diverged", "failed": "failed"}
    causes = [said.get(row["state"], "gave no number") for pair, row in runs.items() if pair not in values]
    parts = [
        f"{causes.count(cause)} of {len(runs)} runs of {label} {cause}" for cause in dict.fromkeys(causes)
    ]
    return ", ".join(parts) or None


def _partnerless(label: str, runs: Mapping[Pair, Row], others: Mapping[Pair, Row]) -> str | None:
    """How many runs of a configuration the other one has no run of the same data and seed to."""
    alone = [pair for pair in runs if pair not in others]
    return f"{len(alone)} of {len(runs)} runs of {label} have no partner" if alone else None


def _summary(
    label: str, values: Mapping[Pair, float], runs: Mapping[Pair, Row], confidence: float
) -> Summary:
    numbers, lost = list(values.values()), lost_runs(label, runs, values)
    middle: tuple[float | None, float | None, float | None] = None, None, None
    if len({data for data, _ in runs}) == 1 and numbers:
        middle = t_interval(numbers, confidence) if len(numbers) > 1 else (numbers[0], None, None)
    return Summary(label, len(numbers), *middle, lost, len(runs), _diverged(runs))


def _notes(contests: Sequence[Contest], data: Sequence[str], configurations: int) -> list[str]:
    notes = []
    if configurations < 2:
        notes.append("there is one configuration: nothing to compare it with")
    pooled = [name for name in data if any(_pools(contest, name) for contest in contests)]
    if pooled:
        how = "as ratios" if any(contest.ratio for contest in contests) else "as differences"
        notes.append(
            f"values of {len(pooled)} data sets ({', '.join(pooled)}) are pooled {how}: other data may differ"
        )
    elif len(data) > 1 and any(contest.pairs for contest in contests):
        notes.append(f"each comparison is within one data set, of {len(data)} ({', '.join(data)})")
    counts = [contest.result.n for contest in contests if contest.result]
    if counts and min(counts) < _BOOTSTRAP_FROM:
        least = 2.0 ** (1 - min(counts))
        notes.append(
            f"with {min(counts)} pairs the p-value of flipping signs cannot be below {least:.2g}, and a "
            "bootstrap interval would be too narrow: intervals and p are Student's"
        )
    return notes


def _pools(contest: Contest, data: str) -> bool:
    """Whether a comparison has pairs on this data set and on others."""
    own = {name for name, _ in contest.pairs}
    return data in own and len(own) > 1


# ---------------------------------------------------------------- budgets


def _budget(
    a: str, b: str, pairs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]], planned: str | None
) -> str:
    """Which budget the pairs of a and b had equal: "at equal images (64,000), generator updates a 5, b 1"."""
    sides = {a: [first for first, _ in pairs], b: [second for _, second in pairs]}
    steps, images = _equal(sides[a], sides[b], "steps"), all(_equal_images(*pair) for pair in pairs)
    seconds = [sum(row.get("seconds") or 0 for row in side) for side in sides.values()]
    times = seconds[0] / seconds[1] if all(seconds) else None
    updates, drawn = _amounts(sides, "steps"), _amounts(sides, "images")
    if images and not _equal(sides[a], sides[b], "images"):
        drawn += ": within one step"
    if pairs and steps and images:
        slower = "" if times is None or _near(times) else f", {_slower(a, b, times)}"
        return f"at equal generator updates ({updates}) and images ({drawn}){slower}"
    if planned in table.COST_BY:
        slower = "" if times is None or _near(times) else f"; as measured, {_slower(a, b, times)}"
        return f"at equal cost as planned ({table.COST_BY[planned]}): generator updates {updates}{slower}"
    if steps:
        return f"at equal generator updates ({updates}), images {drawn}"
    if pairs and images:
        return f"at equal images ({drawn}), generator updates {updates}"
    unequal = f"generator updates {updates}, images {drawn}"
    if times is not None and _near(times):
        return f"at unequal budgets in about equal time (measured, so no more than a hint): {unequal}"
    return f"at unequal budgets: {unequal}"


def _near(ratio: float) -> bool:
    return 1 / (1 + _SAME_TIME) <= ratio <= 1 + _SAME_TIME


def _slower(a: str, b: str, times: float) -> str:
    label, ratio = (a, times) if times > 1 else (b, 1 / times)
    return f"{label} took {ratio:.1f} times as long"


def _equal(a: Sequence[Mapping[str, Any]], b: Sequence[Mapping[str, Any]], column: str) -> bool:
    """Whether each pair had as much of it."""
    lists = [row.get(column) for row in a], [row.get(column) for row in b]
    return bool(a) and None not in lists[0] and lists[0] == lists[1]


def _equal_images(*runs: Mapping[str, Any]) -> bool:
    """Whether two runs drew as many images, up to those of one step."""
    images, steps = ([row.get(column) or 0 for row in runs] for column in ("images", "steps"))
    return all([*images, *steps]) and table.within_a_step(images, steps)


def _amounts(sides: Mapping[str, Sequence[Mapping[str, Any]]], column: str) -> str:
    """How much each side had: one number where all had the same, else one (or a range) for each side."""
    shown = {label: _range([row.get(column) for row in side]) for label, side in sides.items()}
    if len(set(shown.values())) == 1:
        return next(iter(shown.values()))
    return ", ".join(f"{listed([label])} {text}" for label, text in shown.items())


def _range(amounts: Sequence[Any]) -> str:
    known = [amount for amount in amounts if amount is not None]
    if not known:
        return "unknown"
    low, high = min(known), max(known)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


# ---------------------------------------------------------------- numbers


def _level(confidence: float) -> float:
    """1 − confidence, to the digits that were typed: 0.05 and not 0.050000000000000044."""
    return round(1 - confidence, 12)


def _exp(value: float) -> float:
    return math.exp(min(value, 700.0))  # with two pairs an end may lie beyond all numbers


def p_text(p: float) -> str:
    """A p-value in words: "= 0.03", "below 0.001"."""
    return "below 0.001" if p < 0.001 else f"= {p:.2g}"
