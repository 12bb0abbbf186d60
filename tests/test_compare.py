"""Paired comparison against known truth: coverage, false positives, power, hand examples, SciPy."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from duel.compare import Comparison, effect_size, holm, paired, pairs_needed, power_of, sign_flip
from duel.errors import InputError, MetricError
from duel.intervals import bootstrap_interval, deviation, incomplete_beta, t_cdf, t_interval, t_quantile

LEVELS = (0.5001, 0.6, 0.9, 0.95, 0.975, 0.995, 0.99995)


def binomial_bounds(share: float, trials: int) -> tuple[int, int]:
    """Between which counts a correct program falls, but for one case in 100,000 on either side."""
    return tuple(int(count) for count in stats.binom.ppf([1e-5, 1 - 1e-5], trials, share))  # type: ignore[return-value]


def pairs(seed: int, count: int, n: int, effect: float = 0.0) -> list[tuple[list[float], list[float]]]:
    """`count` made studies of n seeds: what a seed does to both models varies 10 times as much as the rest.

    The differences a − b are normal with mean effect and standard deviation 1.
    """
    rng = np.random.default_rng(seed)
    common = 10 * rng.standard_normal((count, n))
    noise = rng.standard_normal((2, count, n)) / math.sqrt(2)
    a, b = common + noise[0] + effect, common + noise[1]
    return list(zip(a.tolist(), b.tolist(), strict=True))


# ---------------------------------------------------------------- Student's t


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 7, 10, 30, 100, 1000, 10**5, 10**6])
def test_t_quantiles_are_scipys(degrees):
    for p in LEVELS:
        # log Γ(500,000) has seven digits before the point, so that fewer are left after it.
        rel, exact = (1e-9, 1e-14) if degrees <= 1000 else (1e-7, 1e-11)
        assert t_quantile(p, degrees) == pytest.approx(stats.t.ppf(p, degrees), rel=rel)
        assert t_quantile(1 - p, degrees) == pytest.approx(-t_quantile(p, degrees), rel=rel)
        assert t_cdf(t_quantile(p, degrees), degrees) == pytest.approx(p, abs=exact)


def test_t_quantiles_are_the_closed_forms_of_one_and_two_degrees():
    for p in LEVELS:
        assert t_quantile(p, 1) == pytest.approx(math.tan(math.pi * (p - 0.5)), rel=1e-11)
        assert t_quantile(p, 2) == pytest.approx((2 * p - 1) / math.sqrt(2 * p * (1 - p)), rel=1e-11)


def test_the_median_of_t_is_0():
    assert t_quantile(0.5, 3) == pytest.approx(0, abs=1e-12)
    assert t_cdf(0.0, 3) == 0.5


@given(st.floats(0.05, 500), st.floats(0.05, 500), st.floats(0, 1))
def test_the_incomplete_beta_function_is_scipys(a, b, x):
    assert incomplete_beta(a, b, x) == pytest.approx(stats.beta.cdf(x, a, b), rel=1e-9, abs=1e-12)


# ---------------------------------------------------------------- intervals


@pytest.mark.parametrize(("n", "confidence"), [(2, 0.95), (3, 0.95), (5, 0.9), (10, 0.99)])
def test_the_t_interval_contains_the_truth_as_often_as_it_says(n, confidence):
    samples = np.random.default_rng(11).normal(3, 2, (4000, n))
    intervals = [t_interval(sample, confidence) for sample in samples.tolist()]
    low, high = binomial_bounds(confidence, len(samples))
    assert low <= sum(left <= 3 <= right for _, left, right in intervals) <= high


def test_the_t_interval_is_scipys():
    values = [0.3, 0.1, 0.4, 0.15, 0.9]
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert t_interval(values, 0.9) == pytest.approx((np.mean(values), expected.low, expected.high))


@pytest.mark.parametrize("draw", ["normal", "exponential"])
def test_the_bootstrap_interval_contains_the_truth_about_as_often_as_it_says(draw):
    """40 values: 95 % is approximate, and the skewed ones cost two points more (Efron's own tables)."""
    samples = getattr(np.random.default_rng(12), draw)(size=(400, 40))
    truth = {"normal": 0.0, "exponential": 1.0}[draw]
    hits = 0
    for seed, sample in enumerate(samples.tolist()):
        low, high = bootstrap_interval(sample, seed, resamples=500)
        hits += low <= truth <= high
    assert binomial_bounds(0.92, 400)[0] <= hits <= binomial_bounds(0.95, 400)[1]


def test_bca_is_scipys_on_skewed_values():
    values = np.random.default_rng(3).exponential(size=50)
    for method, theirs in (("bca", "BCa"), ("percentile", "percentile")):
        expected = stats.bootstrap(
            (values,), np.mean, n_resamples=20_000, method=theirs, random_state=1
        ).confidence_interval
        found = bootstrap_interval(values.tolist(), method=method, resamples=20_000)
        # Two simulations of an end of the interval: each is off by about 1 % of its width.
        assert found == pytest.approx(expected, abs=0.04 * (expected.high - expected.low))


def test_bca_leans_to_where_the_values_are_skewed():
    values = np.random.default_rng(4).exponential(size=60).tolist()
    plain, corrected = (bootstrap_interval(values, method=method) for method in ("percentile", "bca"))
    assert corrected[0] > plain[0]
    assert corrected[1] > plain[1]


def test_a_bootstrap_interval_contains_the_mean_and_repeats_by_its_seed():
    values = [0.0] * 29 + [1.0]
    low, high = bootstrap_interval(values, 5)
    assert low <= 1 / 30 <= high
    assert (low, high) == bootstrap_interval(values, 5)
    assert bootstrap_interval([0.2] * 9) == (0.2, 0.2)


# ---------------------------------------------------------------- paired comparison


def test_the_numbers_of_a_hand_example():
    """Differences −1, −2, −3, −2: mean −2, variance 2/3, and all 16 signs give |sum| = 8 only twice."""
    found = paired([1, 1, 1, 2], [2, 3, 4, 4], "lower")
    half = t_quantile(0.975, 3) * math.sqrt(2 / 3 / 4)
    assert found.n == 4
    assert (found.mean_difference, found.low, found.high) == pytest.approx((-2, -2 - half, -2 + half))
    # d_z = −2/√(2/3); the exact factor for 3 degrees of freedom is Γ(1.5)/(√1.5 Γ(1)) = √(π/6).
    assert found.effect_size == pytest.approx(-2 / math.sqrt(2 / 3) * math.sqrt(math.pi / 6))
    assert (found.wins, found.losses) == (4, 0)
    assert found.p_value == 2 / 16
    assert found.verdict == "a"
    assert json.loads(json.dumps(dataclasses.asdict(found), allow_nan=False))["n"] == 4


def test_better_decides_who_wins_and_ties_are_nobodys():
    lower, higher = (paired([1, 1, 5, 2], [2, 3, 5, 1], better) for better in ("lower", "higher"))
    assert (lower.wins, lower.losses, higher.wins, higher.losses) == (2, 1, 1, 2)
    a, b = [1.0, 1.1, 0.9], [2.0, 2.2, 2.1]
    verdicts = [
        paired(*lists, better).verdict for lists in ((a, b), (b, a)) for better in ("lower", "higher")
    ]
    assert verdicts == ["a", "b", "b", "a"]


@pytest.mark.parametrize("n", [2, 3, 5])
def test_without_a_difference_a_verdict_is_as_rare_as_it_says(n):
    found = [paired(a, b, "lower") for a, b in pairs(21, 1200, n)]
    low, high = binomial_bounds(0.05, len(found))
    assert low <= sum(one.verdict != "cannot tell" for one in found) <= high
    low, high = binomial_bounds(0.025, len(found))
    assert low <= sum(one.verdict == "a" for one in found) <= high


@pytest.mark.parametrize("n", [4, 7])
def test_p_values_without_a_difference_are_uniform_on_their_steps(n):
    """P(p ≤ k·2^(1−n)) = k·2^(1−n)."""
    found = np.array([sign_flip(np.subtract(a, b)) for a, b in pairs(22, 2000, n)])
    for k in (1, 3, 2 ** (n - 2)):
        share = k * 2.0 ** (1 - n)
        low, high = binomial_bounds(share, len(found))
        assert low <= (found <= share + 1e-12).sum() <= high


@pytest.mark.parametrize("effect", [0.8, 1.5])
def test_so_many_seeds_as_needed_tell_in_80_percent_of_studies(effect):
    n = pairs_needed(effect)
    found = [paired(a, b, "higher") for a, b in pairs(23, 1500, n, effect)]
    low, high = binomial_bounds(power_of(n, effect), len(found))
    assert low <= sum(one.verdict == "a" for one in found) <= high
    assert power_of(n, effect) >= 0.8 > power_of(n - 1, effect)


def test_the_effect_size_of_few_pairs_is_unbiased():
    """Hedges' factor at 4 pairs is 0.72: without it the mean would be 1.38 and not 1."""
    found = [effect_size(np.subtract(a, b).tolist()) for a, b in pairs(24, 20_000, 4, 1.0)]
    assert np.mean(found) == pytest.approx(1, abs=5 * np.std(found) / math.sqrt(len(found)))


@pytest.mark.parametrize("n", [2, 3, 5, 10, 100])
def test_power_is_that_of_the_noncentral_t(n):
    for effect in (0.1, 0.5, 1, 3):
        expected = stats.nct.sf(stats.t.ppf(0.95, n - 1), n - 1, effect * math.sqrt(n))
        assert power_of(n, effect, 0.9) == pytest.approx(expected, abs=1e-5)


def test_the_pairs_needed_are_the_published_ones():
    """G*Power 3.1, paired t test, two-sided, α = 0.05, power 0.8."""
    assert [pairs_needed(d) for d in (0.2, 0.5, 0.8, -0.8, 1.0)] == [199, 34, 15, 15, 10]
    assert pairs_needed(0.0) is None
    assert pairs_needed(0.001) is None


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.999])
def test_the_pairs_needed_are_the_fewest(confidence):
    for effect in np.geomspace(0.02, 20, 25):
        n = pairs_needed(effect, confidence)
        assert power_of(n, effect, confidence) >= 0.8
        assert n == 2 or power_of(n - 1, effect, confidence) < 0.8


def test_who_cannot_tell_needs_more_seeds_than_there_were():
    found = [paired(a, b, "lower") for n in (3, 5, 9) for a, b in pairs(25, 200, n, 0.5)]
    open_ones = [one for one in found if one.verdict == "cannot tell"]
    assert len(open_ones) > 100
    assert all(one.seeds_needed is None or one.seeds_needed > one.n for one in open_ones)


def test_equivalence_is_the_whole_interval_within_the_margin():
    a, b = [0.50, 0.52, 0.51, 0.49], [0.51, 0.51, 0.52, 0.50]
    for lists in ((a, b), (b, a)):
        found = paired(*lists, "higher")
        assert found.verdict == "cannot tell"
        reach = max(abs(found.low), abs(found.high))
        assert paired(*lists, "higher", equivalence=1.01 * reach).verdict == "equivalent"
        assert paired(*lists, "higher", equivalence=0.99 * reach).verdict == "cannot tell"


def test_no_spread_has_no_effect_size():
    same, apart = paired([1, 2, 3], [1, 2, 3], "lower"), paired([1, 2, 3], [2, 3, 4], "lower")
    assert (same.verdict, same.effect_size, same.seeds_needed, same.p_value) == ("cannot tell", None, None, 1)
    assert (apart.verdict, apart.effect_size, apart.low, apart.high) == ("a", None, -1, -1)
    assert deviation([0.1] * 3) == 0
    assert paired([1, 3], [2, 2.5], "lower").effect_size is None


# ---------------------------------------------------------------- signs


def test_sign_flips_by_hand():
    assert sign_flip([1, 2, 3]) == 2 / 8  # only +++ and −−− reach 6
    assert sign_flip([3, -1, 1]) == 6 / 8  # |±3 ± 1 ± 1| ≥ 3 fails for +3 −1 −1 and its negative only
    assert sign_flip([1, -1]) == 1
    assert sign_flip([0, 0, 5]) == 1  # zeros stay zeros: every pattern reaches 5
    assert sign_flip([0.1, 0.2, 0.3]) == 2 / 8  # 0.1 + 0.2 + 0.3 depends on the order


@given(st.lists(st.floats(-10, 10).map(lambda x: round(x, 2)), min_size=2, max_size=9))
def test_sign_flips_are_those_of_all_patterns_in_turn(differences):
    n = len(differences)
    patterns = 1 - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
    sums = np.abs(patterns @ np.array(differences))
    assert sign_flip(differences) == (sums >= abs(sum(differences)) - 1e-9).mean()


def test_more_pairs_than_can_be_counted_are_drawn():
    differences = np.random.default_rng(6).normal(0.25, 1, 37).tolist()
    exact, drawn = sign_flip(differences[:36]), sign_flip(differences)
    normal = 2 * stats.norm.sf(abs(sum(differences)) / math.sqrt(sum(d * d for d in differences)))
    assert drawn == pytest.approx(normal, abs=0.01)
    assert 0 < exact < 1
    assert sign_flip([1.0] * 200) == 1 / 100_001


# ---------------------------------------------------------------- many comparisons


def test_holm_by_hand():
    """Times 4, 3, 2, 1 in rising order, never below the one before; the example of p.adjust in R."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6]) == [1, 1]
    assert holm([]) == []
    assert holm([0.02]) == [0.02]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values):
    m, level = len(p_values), 0.05
    rejected = set()
    for rank, place in enumerate(sorted(range(m), key=p_values.__getitem__)):
        if p_values[place] * (m - rank) > level:
            break
        rejected.add(place)
    assert {k for k, p in enumerate(holm(p_values)) if p <= level} == rejected


# ---------------------------------------------------------------- words


def test_the_sentence_names_the_better_one_first_and_its_advantage_as_positive():
    a, b = [1.0, 1.1, 0.9], [2.0, 2.2, 2.1]
    numbers = "difference 1.1 (95 % interval 0.852 to 1.35)"
    assert paired(a, b, "lower").sentence("wgan-gp", "dcgan") == (
        f"wgan-gp is better than dcgan on 3 of 3 seeds: {numbers}"
    )
    for lists, better in (((b, a), "lower"), ((a, b), "higher")):
        assert paired(*lists, better).sentence("wgan-gp", "dcgan") == (
            f"dcgan is better than wgan-gp on 3 of 3 seeds: {numbers}"
        )


def test_the_sentence_says_how_many_seeds_would_tell():
    found = paired([0.1, 0.2, 0.15], [0.2, 0.15, 0.3], "lower")
    assert found.sentence("wgan-gp", "dcgan") == (
        "cannot tell wgan-gp from dcgan with 3 seeds (difference 0.0667, 95 % interval −0.192 to 0.325): "
        "about 63 would be needed"
    )
    assert (
        paired([1, 2], [2, 1], "lower")
        .sentence("a", "b")
        .endswith(": at least 3 are needed to say how many would do")
    )
    tiny = paired([1, 2, 1, 2], [2, 1, 2, 1 + 1e-9], "lower")
    assert tiny.sentence("a", "b").endswith(": more than 100,000 would be needed")


def test_sentences_of_equal_and_equivalent_models():
    assert paired([1, 2], [1, 2], "lower").sentence("a", "b") == "a and b are equal on all 2 seeds"
    found = paired([0.50, 0.52, 0.51], [0.51, 0.51, 0.52], "higher", 0.9, equivalence=0.1)
    assert found.sentence("a", "b") == (
        "a and b differ by less than 0.1 with 3 seeds: difference −0.00333 (90 % interval −0.0228 to 0.0161)"
    )


def test_large_numbers_have_no_exponent():
    assert "difference 12,000 (95 % interval 12,000 to 12,000)" in paired(
        [0, 1], [12000, 12001], "lower"
    ).sentence("a", "b")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: paired([1, 2], [1, 2, 3], "lower"), "a has 2 values and b has 3"),
        (lambda: paired([1], [2], "lower"), "at least 2 seeds"),
        (lambda: paired([], [], "lower"), "at least 2 seeds"),
        (lambda: paired([1, math.nan], [1, 2], "lower"), "value 2 of a is nan"),
        (lambda: paired([1, 2], [math.inf, 2], "lower"), "value 1 of b is inf"),
        (lambda: paired([1, 2], [3, 4], "smaller"), "allowed are"),
        (lambda: paired([1, 2], [3, 4], "lower", 1.0), "confidence is 1.0"),
        (lambda: paired([1, 2], [3, 4], "lower", equivalence=0), "above 0"),
        (lambda: t_interval([1.0]), "at least 2"),
        (lambda: bootstrap_interval([1.0, math.nan]), "value 2 is nan"),
        (lambda: holm([0.1, 1.2]), "p-value 2 is 1.2"),
        (lambda: holm([math.nan]), "p-value 1 is nan"),
    ],
)
def test_wrong_input_is_one_sentence(call, sentence):
    with pytest.raises(MetricError, match=sentence) as caught:
        call()
    assert isinstance(caught.value, InputError)
    assert "\n" not in str(caught.value)


def test_a_comparison_cannot_be_changed():
    found = paired([1, 2, 4], [3, 4, 5], "lower")
    assert isinstance(found, Comparison)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.n = 7  # type: ignore[misc]
