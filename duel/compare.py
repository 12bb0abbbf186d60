"""Paired comparison: which of two models is better, when both were run with the same seeds?

Two runs with one seed share what chance gave them, so that their difference varies less than each of them.
The answer is an interval for the mean difference, and "cannot tell" where that contains 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from duel.errors import MetricError
from duel.intervals import bootstrap_interval as bootstrap_interval  # belongs to what is compared with
from duel.intervals import check_confidence, deviation, t_interval, t_quantile

if TYPE_CHECKING:
    import numpy as np

Better = Literal["lower", "higher"]
Verdict = Literal["a", "b", "cannot tell", "equivalent"]

_EXACT = 36  # pairs up to which all patterns of signs are counted: two halves of 2¹⁸ sums
_DRAWN = 100_000  # patterns drawn beyond that
_MOST_PAIRS = 100_000
_POWER = 0.8


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
            within = f"{name_a} and {name_b} differ by less than {_number(self.equivalence or 0)}"
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
        return f"difference {_number(self._sign(first) * self.mean_difference)}"

    def _interval(self, first: Verdict) -> str:
        low, high = sorted(self._sign(first) * end for end in (self.low, self.high))
        return f"{100 * self.confidence:g} % interval {_number(low)} to {_number(high)}"

    def _advice(self) -> str:
        if self.n == 2:
            return "at least 3 are needed to say how many would do"
        if self.seeds_needed is None:
            return f"more than {_MOST_PAIRS:,} would be needed"
        return f"about {self.seeds_needed:,} would be needed"


def _number(value: float) -> str:
    """Three digits, with a true minus."""
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
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
    freedom, spread = len(differences) - 1, deviation(differences)
    if freedom < 2 or spread == 0:
        return None
    factor = math.exp(math.lgamma(freedom / 2) - math.lgamma((freedom - 1) / 2)) / math.sqrt(freedom / 2)
    return math.fsum(differences) / len(differences) / spread * factor


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
