"""Paired comparison against known truth: coverage, false positives, power, hand examples, SciPy."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from test_table import row

from duel.compare import (
    Comparison,
    against_baseline,
    all_pairs,
    effect_size,
    holm,
    paired,
    pairs_needed,
    power_of,
    sign_flip,
    t_test,
)
from duel.errors import InputError, MetricError
from duel.intervals import bootstrap_interval, deviation, incomplete_beta, t_cdf, t_interval, t_quantile
from duel.robustness import robustness, share_interval

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


# ---------------------------------------------------------------- many configurations


def made(values, seeds=None, **changes):
    """A table: configuration → its values of fcd by seed; `changes` may hold (label, seed) → columns."""
    special = changes.pop("special", {})
    rows = []
    for label, listed in values.items():
        for place, value in enumerate(listed):
            seed = place if seeds is None else seeds[label][place]
            rows.append({**row(label, seed, value, **changes), **special.get((label, seed), {})})
    return rows


def studies(seed, count, n, shifts, draw="normal"):
    """`count` made studies of len(shifts) configurations and n seeds; what a seed does to all is shared."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        common = 10 * rng.standard_normal(n)
        noise = {"normal": rng.standard_normal, "exponential": rng.standard_exponential}[draw]
        yield {
            f"c{place}": (common + shift + noise(n) / math.sqrt(2)).tolist()
            for place, shift in enumerate(shifts)
        }


def test_p_values_are_scipys():
    rng = np.random.default_rng(31)
    for n in (2, 3, 5, 30):
        for scale in (0.01, 1, 100):
            a, b = rng.normal(scale, 1, n), rng.normal(0, 1, n)
            assert t_test((a - b).tolist()) == pytest.approx(stats.ttest_rel(a, b).pvalue, rel=1e-9)


def test_without_spread_flipping_signs_is_all_there_is():
    """Student's t would be sure after two seeds; that all three runs collapse has p = 1/4."""
    assert t_test([1.0, 1.0, 1.0]) == 0.25
    assert t_test([0.0, 0.0]) == 1
    rounded = [0.3 - 0.2, 0.4 - 0.3, 0.5 - 0.4]
    assert len(set(rounded)) > 1
    assert t_test(rounded) == 0.25
    assert effect_size(rounded) is None
    found = against_baseline(made({"a": [0, 0, 0], "b": [1, 1, 1]}), "fcd").contests[0]
    assert found.verdict == "cannot tell"
    assert "all differences are equal, and then 6 are needed" in found.sentence()
    told = against_baseline(made({"a": [0] * 6, "b": [1] * 6}), "fcd").contests[0]
    assert (told.verdict, told.p_value) == ("worse", 2 / 64)


def test_a_family_by_hand():
    """Three against a baseline: p-values of SciPy, times 3, 2, 1 in rising order."""
    values = {
        "base": [10.0, 11.0, 12.0, 10.5],
        "far": [5.0, 6.2, 6.9, 5.4],
        "near": [9.1, 10.6, 11.0, 9.9],
        "same": [10.2, 10.8, 12.3, 10.3],
    }
    found = against_baseline(made(values), "fcd")
    p = [stats.ttest_rel(values[label], values["base"]).pvalue for label in ("far", "near", "same")]
    assert [each.a for each in found.contests] == ["far", "near", "same"]
    assert [each.p_value for each in found.contests] == pytest.approx(p, rel=1e-9)
    assert [each.p_adjusted for each in found.contests] == pytest.approx([3 * p[0], 2 * p[1], p[2]], rel=1e-9)
    assert [each.verdict for each in found.contests] == ["better", "better", "cannot tell"]
    assert [each.result.p_value for each in found.contests[:2]] == [0.125, 0.125]
    assert found.contests[0].interval[0] == pytest.approx(-5)
    assert (found.baseline, found.better, len(found.configurations)) == ("base", "lower", 4)
    mean, low, high = t_interval(values["far"])
    assert (found.configurations[1].mean, found.configurations[1].low, found.configurations[1].high) == (
        mean, low, high,
    )  # fmt: skip
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["contests"][0]["verdict"] == "better"


def test_the_verdict_is_that_of_the_corrected_p_and_says_so():
    values = {
        "base": [0.0, 0.0, 0.0, 0.0],
        "a": [1.0, 2.0, 0.5, 1.5],
        "b": [3, -3, 1, -1],
        "c": [2, -2, 1, -1],
    }
    alone = against_baseline(made({"base": values["base"], "a": values["a"]}), "fcd").contests[0]
    among = against_baseline(made(values), "fcd").contests[0]
    assert (alone.verdict, among.verdict) == ("worse", "cannot tell")
    assert among.p_adjusted == pytest.approx(3 * alone.p_value)
    assert among.interval == alone.interval
    assert among.interval[1] > 0
    seen, level = alone.result.effect_size, 0.05 / 3
    power = [stats.nct.sf(stats.t.ppf(1 - level / 2, n - 1), n - 1, seen * math.sqrt(n)) for n in (8, 9)]
    assert power[0] < 0.8 <= power[1]
    assert among.pairs_needed() == 9
    assert among.sentence().startswith(
        "cannot tell a from base with 4 seeds: about 9 needed, since it is one of many comparisons, a rough "
        "guess from 4 pairs (fcd higher by 1.25, 95 % interval 0.223 to 2.28, p = 0.091 after Holm's "
        "correction for 3)"
    )


def test_the_number_of_seeds_needed_is_called_rough_from_few_pairs():
    values = {"a": [*map(float, range(8))], "b": [0.5, 1.2, 1.9, 3.6, 3.9, 5.4, 6.1, 6.8]}
    of_three = against_baseline(made({label: listed[:3] for label, listed in values.items()}), "fcd")
    of_eight = against_baseline(made(values), "fcd")
    for found, pairs in ((of_three, 3), (of_eight, 8)):
        (told,) = found.to_dict()["contests"]
        assert (told["verdict"], told["pairs_needed"] > pairs) == ("cannot tell", True)
        assert told["pairs_needed_rough"] == (pairs == 3)
        assert (f"about {told['pairs_needed']} needed, a rough guess from 3 pairs" in told["sentence"]) == (
            pairs == 3
        )
    two = against_baseline(made({"a": [1, 2], "b": [3, 1]}), "fcd").to_dict()["contests"][0]
    assert (two["pairs_needed"], two["pairs_needed_rough"]) == (None, False)


def test_labels_with_commas_are_quoted_where_several_are_listed():
    rows = made({"n=1, m=2": [1, 2, 3]}) + made({"n=2, m=2": [2, 3, 5]}, images=320000)
    said = "images 'n=2, m=2' 320,000, 'n=1, m=2' 64,000"
    assert against_baseline(rows, "fcd").contests[0].budget.endswith(said)
    with pytest.raises(InputError, match=r"allowed: 'n=1, m=2', 'n=2, m=2'$"):
        against_baseline(rows, "fcd", baseline="m=9")


def test_higher_may_be_better():
    rows = made({"base": [0.1, 0.2, 0.15], "a": [0.8, 0.92, 0.9]}, better="higher")
    contest = against_baseline(rows, "fcd").contests[0]
    assert contest.verdict == "better"
    assert contest.sentence().startswith("a is better than base on 3 of 3 seeds: fcd higher by 0.723, ")
    assert against_baseline(rows, "fcd", baseline="a").contests[0].verdict == "worse"
    turned = against_baseline(rows, "fcd", baseline="a").contests[0].sentence()
    assert turned.startswith("a is better than base on 3 of 3 seeds: fcd higher by 0.723, ")


def test_all_pairs_are_all_pairs():
    found = all_pairs(made({"a": [1, 2, 3], "b": [2, 3, 5], "c": [9, 9.5, 9]}), "fcd")
    assert [(each.a, each.b) for each in found.contests] == [("b", "a"), ("c", "a"), ("c", "b")]
    assert {each.family for each in found.contests} == {3}
    assert found.baseline is None


@pytest.mark.parametrize("draw", ["normal", "exponential"])
def test_without_any_difference_a_family_rarely_finds_one(draw):
    """4 against a baseline, all equal: some verdict in at most 5 % of studies, whatever depends on what."""
    found = [against_baseline(made(each), "fcd") for each in studies(32, 300, 4, [0] * 5, draw)]
    wrong = sum(any(each.verdict != "cannot tell" for each in one.contests) for one in found)
    assert wrong <= binomial_bounds(0.05, len(found))[1]
    alone = sum(any(each.p_value <= 0.05 for each in one.contests) for one in found)
    assert alone > wrong  # it is the correction that keeps it


def test_the_announced_number_of_pairs_tells_as_often_as_announced_after_the_correction():
    """One real difference of 1.2 standard deviations among 3 comparisons."""
    effect = 1.2
    few = against_baseline(made({"c0": [0.0] * 6, "c1": [1.2, 1.1, 0.3, 2.2, 1.9, 0.1]}), "fcd").contests[0]
    assert few.pairs_needed() == pairs_needed(few.result.effect_size)
    n = pairs_needed(effect, 1 - 0.05 / 3)
    found = [against_baseline(made(each), "fcd") for each in studies(33, 300, n, [0, effect, 0, 0])]
    told = sum(one.contests[0].verdict == "worse" for one in found)
    low, _ = binomial_bounds(power_of(n, effect, 1 - 0.05 / 3), len(found))
    _, high = binomial_bounds(power_of(n, effect), len(found))  # Holm is between Bonferroni and no correction
    assert low <= told <= high
    assert found[0].contests[0].family == 3


def test_the_bootstrap_stands_beside_from_8_pairs_on():
    rng = np.random.default_rng(34)
    for n, there in ((7, False), (8, True)):
        values = {"a": rng.normal(5, 1, n).tolist(), "b": rng.normal(5, 1, n).tolist()}
        contest = against_baseline(made(values), "fcd").contests[0]
        assert (contest.bootstrap() is not None) == there
        if there:
            differences = np.subtract(values["b"], values["a"]).tolist()
            assert contest.bootstrap() == bootstrap_interval(differences)
    notes = against_baseline(made({"a": [1, 2, 3], "b": [2, 3, 5]}), "fcd").notes
    assert any("cannot be below 0.25, and a bootstrap interval would be too narrow" in note for note in notes)
    assert against_baseline(made({"a": [*range(8)], "b": [1.5, *range(1, 8)]}), "fcd").notes == ()


def stated_coverage():
    """The figures of docs/comparison.md: (distribution, n) → share of t and of BCa intervals."""
    text = (Path(__file__).parents[1] / "docs" / "comparison.md").read_text()
    lines = re.findall(
        r"^\| (normal|exponential) \| (\d+) \| ([\d.]+) % \| ([\d.]+) % \|$", text, re.MULTILINE
    )
    return {(draw, int(n)): (float(t) / 100, float(bca) / 100) for draw, n, t, bca in lines}


@pytest.mark.parametrize("draw", ["normal", "exponential"])
@pytest.mark.parametrize("n", [3, 5, 8, 10])
def test_intervals_contain_the_truth_as_often_as_the_page_says(draw, n):
    t, bca = stated_coverage()[draw, n]
    truth = {"normal": 0.0, "exponential": 1.0}[draw]
    samples = getattr(np.random.default_rng(35), f"standard_{draw}")((3000, n)).tolist()
    hits = sum(low <= truth <= high for _, low, high in map(t_interval, samples))
    assert binomial_bounds(t - 0.002, 3000)[0] <= hits <= binomial_bounds(min(1, t + 0.002), 3000)[1]
    few = [bootstrap_interval(sample, seed, resamples=300) for seed, sample in enumerate(samples[:250])]
    hits = sum(low <= truth <= high for low, high in few)
    assert binomial_bounds(bca - 0.01, 250)[0] <= hits <= binomial_bounds(bca + 0.01, 250)[1]


def test_stopping_at_the_first_small_p_finds_as_many_differences_as_the_page_says():
    text = (Path(__file__).parents[1] / "docs" / "comparison.md").read_text()
    (stated,) = re.findall(r"finds a difference where there is none in\s(\d+)\s% of studies", text)
    drawn = np.random.default_rng(36).standard_normal((2000, 10)).tolist()
    found = sum(any(t_test(values[:n]) <= 0.05 for n in range(3, 11)) for values in drawn)
    low, high = (int(stated) / 100 + slack for slack in (-0.01, 0.01))
    assert binomial_bounds(low, 2000)[0] <= found <= binomial_bounds(high, 2000)[1]


# ---------------------------------------------------------------- what is lost, what has no partner


def test_runs_that_diverged_or_failed_are_left_out_and_said():
    special = {
        ("a", 1): {"state": "nonfinite", "value": None, "checkpoint": "run", "metric": "collapsed"},
        ("b", 2): {"state": "failed", "value": None, "metric": ""},
        ("b", 3): {"value": math.nan},
    }
    rows = made({"a": [1, 2, 3, 4, 6], "b": [3, 4, 5, 6, 7.5]}, special=special)
    contest = against_baseline(rows, "fcd").contests[0]
    assert contest.pairs == (("mnist", 0), ("mnist", 4))
    assert contest.sentence().endswith(
        ". 1 of 5 runs of b failed, 1 of 5 runs of b gave no number. 1 of 5 runs of a diverged"
    )
    assert [each.n for each in against_baseline(rows, "fcd").configurations] == [4, 3]


def test_where_all_runs_diverged_there_is_nothing_to_compare():
    special = {("b", s): {"state": "nonfinite", "value": None, "checkpoint": "run"} for s in range(3)}
    found = against_baseline(made({"a": [1, 2, 3], "b": [0, 0, 0], "c": [2, 3, 5]}, special=special), "fcd")
    assert [each.verdict for each in found.contests] == ["diverged", "cannot tell"]
    assert found.contests[0].sentence() == (
        "b has no value of fcd to compare with a, which counts against b. 3 of 3 runs of b diverged"
    )
    assert found.contests[1].family == 1
    assert found.contests[1].p_adjusted == found.contests[1].p_value
    assert (found.configurations[1].n, found.configurations[1].mean) == (0, None)
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert [(each["runs"], each["diverged"]) for each in told["configurations"]] == [(3, 0), (3, 3), (3, 0)]
    assert (told["contests"][0]["verdict"], told["contests"][0]["diverged"]) == ("diverged", ["b"])


def test_where_the_other_or_both_diverged_it_says_whom_that_counts_against():
    lost = {"state": "nonfinite", "value": None, "checkpoint": "run"}
    special = {(label, seed): lost for label in "ab" for seed in range(3)}
    rows = made({"a": [0, 0, 0], "b": [0, 0, 0], "c": [2, 3, 5]}, special=special)
    both, other = against_baseline(rows, "fcd").contests
    assert (both.verdict, other.verdict) == ("both diverged", "other diverged")
    assert both.sentence().startswith("neither b nor a has a value of fcd, which counts against both. 3 of 3")
    assert other.sentence().startswith("a has no value of fcd to compare with c, which counts against a. ")
    rows = made(
        {"a": [1, 2, 3], "b": [0, 0, 0]}, special={("b", s): {**lost, "state": "failed"} for s in range(3)}
    )
    assert (
        against_baseline(rows, "fcd").contests[0].verdict == "no pairs"
    )  # a full disk counts against nobody


def test_no_common_seed_and_one_common_seed():
    seeds = {"a": [0, 1, 2], "b": [5, 6, 7], "c": [2, 3, 4]}
    found = against_baseline(made({label: [1, 2, 3] for label in "abc"}, seeds), "fcd").contests
    assert [each.verdict for each in found] == ["no pairs", "no pairs"]
    assert found[0].sentence() == (
        "b and a have no pair of runs with the same seed and data: 2 are needed, so train both with the "
        "same two seeds, or play a study. "
        "3 of 3 runs of b have no partner. 3 of 3 runs of a have no partner"
    )
    assert found[1].sentence().startswith("c and a have one pair of runs")


def test_one_seed_only_has_means_without_intervals():
    found = against_baseline(made({"a": [1], "b": [2]}), "fcd")
    assert found.contests[0].verdict == "no pairs"
    assert dataclasses.astuple(found.configurations[0]) == ("a", 1, 1, None, None, None, 1, 0)


def test_one_configuration_is_compared_with_nothing():
    found = against_baseline(made({"a": [1, 2, 4]}), "fcd")
    assert found.contests == ()
    assert found.notes == ("there is one configuration: nothing to compare it with",)
    assert all_pairs(made({"a": [1, 2, 4]}), "fcd").contests == ()


def test_two_seeds_cannot_say_how_many_are_needed():
    contest = against_baseline(made({"a": [1, 2], "b": [3, 1]}), "fcd").contests[0]
    assert (
        "with 2 seeds: at least 3 are needed to say how many would do (fcd higher by 0.5"
        in contest.sentence()
    )


def test_equal_runs_are_equal():
    sentence = against_baseline(made({"a": [1, 2], "b": [1, 2]}), "fcd").contests[0].sentence()
    assert (
        sentence == "b and a are equal on all 2 seeds, at equal generator updates (1,000) and images (64,000)"
    )


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda rows: against_baseline(rows, "fcd", baseline="aa"),
            "no configuration 'aa' to compare with: did",
        ),
        (lambda rows: against_baseline(rows, "fid"), "no metric 'fid'"),
        (lambda rows: against_baseline(rows, "fcd", "best"), "of the best checkpoint"),
        (lambda rows: against_baseline(rows, "fcd", confidence=1.0), "confidence is 1.0"),
        (lambda rows: against_baseline([], "fcd"), "no configuration"),
        (lambda rows: against_baseline([{**rows[0], "better": None}], "fcd"), "better is None"),
    ],
)
def test_questions_without_an_answer_are_one_sentence(call, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        call(made({"aab": [1, 2], "b": [1, 2]}))
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------- several data sets


def on_two(better="lower", **values):
    """Configuration → (values on mnist, values 100 times as large on ring), by seed."""
    rows = []
    for label, listed in values.items():
        rows += made({f"{label}, data=mnist": listed}, better=better)
        rows += made({f"{label}, data=ring": [100 * each for each in listed]}, better=better, data="ring")
    return rows


def test_values_of_different_scales_are_pooled_as_ratios():
    found = against_baseline(on_two(a=[1.0, 2.0, 4.0], b=[0.5, 1.1, 2.1]), "fcd")
    contest = found.contests[0]
    assert (contest.a, contest.b, contest.ratio, len(contest.pairs)) == ("b", "a", True, 6)
    logs = 2 * [math.log(0.5), math.log(0.55), math.log(0.525)]
    assert contest.interval == pytest.approx([math.exp(end) for end in t_interval(logs)])
    assert contest.verdict == "better"
    assert contest.sentence().startswith(
        "b is better than a on 6 of 6 pairs (2 data sets): fcd 0.525 times as large"
    )
    assert found.notes[0] == "values of 2 data sets (mnist, ring) are pooled as ratios: other data may differ"
    assert {each.mean for each in found.configurations} == {None}


def test_values_where_ratios_have_no_meaning_are_pooled_as_differences():
    for rows in (on_two(a=[1, 2, 4], b=[2, 3, 5], better="higher"), on_two(a=[0, 1, 2], b=[1, 2, 4])):
        found = against_baseline(rows, "fcd")
        assert not found.contests[0].ratio
        assert found.contests[0].sentence().count("by") == 1
        assert "pooled as differences" in found.notes[0]


def test_what_ran_on_other_data_has_no_partner():
    rows = made({"a": [1, 2, 3]}) + made({"b": [1, 2, 3]}, data="ring")
    found = against_baseline(rows, "fcd")
    assert "b and a have no pair of runs" in found.contests[0].sentence()
    assert not any("pooled" in note or "within" in note for note in found.notes)


def test_nothing_is_called_pooled_where_each_comparison_has_one_data_set():
    apart = made({"b": [2, 3, 5]}) + made({"c": [2, 3, 5]}, data="ring")
    rows = made({"a": [1, 2, 3]}) + made({"a": [1, 2, 3]}, data="ring") + apart
    assert against_baseline(rows, "fcd").notes[0] == (
        "each comparison is within one data set, of 2 (mnist, ring)"
    )
    rows += made({"a": [1, 2, 3], "b": [2, 3, 5]}, data="grid")
    assert against_baseline(rows, "fcd").notes[0].startswith("values of 2 data sets (mnist, grid) are pooled")


# ---------------------------------------------------------------- budgets


@pytest.mark.parametrize(
    ("a", "b", "planned", "said"),
    [
        ({}, {}, None, "at equal generator updates (1,000) and images (64,000)"),
        ({}, {"seconds": 21.0}, None,
         "at equal generator updates (1,000) and images (64,000), b took 2.0 times as long"),
        ({"seconds": 42.0}, {}, None,
         "at equal generator updates (1,000) and images (64,000), a took 4.0 times as long"),
        ({}, {"images": 320000}, None, "at equal generator updates (1,000), images b 320,000, a 64,000"),
        ({}, {"steps": 200}, None, "at equal images (64,000), generator updates b 200, a 1,000"),
        ({}, {"steps": 2000, "images": 128000, "seconds": 10.4}, None,
         "at unequal budgets in about equal time (measured, so no more than a hint): "
         "generator updates b 2,000, a 1,000, images b 128,000, a 64,000"),
        # 96 images a step: no number of steps comes closer to 64,000.
        ({}, {"steps": 667, "images": 64032}, None,
         "at equal images (b 64,032, a 64,000: within one step), generator updates b 667, a 1,000"),
        ({"images": 63936}, {"images": 64001, "steps": 1003, "seconds": 20}, None,
         "at unequal budgets: generator updates b 1,003, a 1,000, images b 64,001, a 63,936"),
        ({}, {"steps": 2000, "images": 128000, "seconds": 20}, None,
         "at unequal budgets: generator updates b 2,000, a 1,000, images b 128,000, a 64,000"),
        ({}, {"steps": 2000, "images": 128000, "seconds": 10.4}, "flops",
         "at equal cost as planned (FLOPs, counted on one step): generator updates b 2,000, a 1,000"),
        ({}, {"steps": 2000, "images": 128000, "seconds": 21}, "seconds",
         "at equal cost as planned (seconds, by a step's time measured once before the runs): "
         "generator updates b 2,000, a 1,000; as measured, b took 2.0 times as long"),
        ({"images": None}, {"images": None}, None, "at equal generator updates (1,000), images unknown"),
    ],
)  # fmt: skip
def test_a_comparison_says_which_budget_was_equal(a, b, planned, said):
    rows = made({"a": [1, 2, 3]}, **a) + made({"b": [2, 3, 5]}, **b)
    contest = against_baseline(rows, "fcd", planned=planned).contests[0]
    assert contest.budget == said
    assert contest.sentence().endswith(f"; {said}")


def test_a_budget_is_that_of_the_pairs_that_are_compared():
    special = {("b", 2): {"state": "nonfinite", "value": None, "steps": 7, "images": 9}}
    found = against_baseline(made({"a": [1, 2, 3], "b": [2, 3, 5]}, special=special), "fcd")
    assert found.contests[0].budget.startswith("at equal generator updates (1,000) and images")


def test_a_run_cut_short_makes_budgets_unequal():
    rows = made(
        {"a": [1, 2, 3], "b": [2, 3, 5]}, special={("b", 1): {"steps": 400, "images": 25600}}, seconds=None
    )
    assert against_baseline(rows, "fcd").contests[0].budget == (
        "at unequal budgets: generator updates b 400 to 1,000, a 1,000, images b 25,600 to 64,000, a 64,000"
    )


# ---------------------------------------------------------------- robustness


def test_robustness_by_hand():
    ends = [
        row(label, seed, value, checkpoint="run", metric=metric, split="validation")
        for label, seed, metric, value in (
            ("a", 0, "collapsed", 0), ("a", 1, "collapsed", 1), ("b", 0, "collapsed", 0),
            ("a", 0, "fluctuation", 0.1), ("a", 1, "fluctuation", 0.3), ("b", 0, "fluctuation", 0.15),
        )
    ]  # fmt: skip
    lost = [
        row("b", 1, None, state="nonfinite", checkpoint="run", metric="severe"),
        row("b", 2, None, state="failed", metric=""),
    ]
    (found,) = robustness([*made({"a": [1, 2], "b": [4]}), *ends, *lost], "fcd")
    assert (found.group, found.runs, found.values) == (("wgan", "mnist"), 5, 3)
    assert (found.median, found.low_quartile, found.high_quartile, found.worst) == (2, 1.5, 3, 4)
    assert found.spread == pytest.approx(np.std([1, 2, 4], ddof=1))
    assert (found.collapsed, found.judged, found.fluctuation) == (2, 4, 0.15)
    assert (found.collapsed_low, found.collapsed_high) == share_interval(2, 4)
    assert found.sentence("fcd") == (
        "wgan, mnist, 5 runs: median fcd 2 (quartiles 1.5 to 3), standard deviation 1.53, worst 4, "
        "2 of 4 collapsed (interval 7% to 93%), median change from look to look 15%"
    )


def test_robustness_of_groups_with_few_or_no_values():
    rows = [
        row("a", 0, 3.0, better="higher"),
        row("b", 0, None, recipe="gan", state="nonfinite", checkpoint="run", metric="severe"),
    ]
    one, none = robustness(rows, "fcd", by=("recipe",))
    assert (one.median, one.low_quartile, one.spread, one.worst) == (3, 3, None, 3)
    assert (one.judged, one.collapsed_low, one.collapsed_high) == (0, 0, 1)
    assert one.sentence("fcd") == "wgan, 1 run: median fcd 3 (quartiles 3 to 3), worst 3"
    assert (none.median, none.collapsed, none.judged) == (None, 1, 1)
    assert none.sentence("fcd") == "gan, 1 run: no value of fcd, 1 of 1 collapsed (interval 2% to 100%)"


def test_the_worst_of_a_metric_of_which_more_is_better_is_the_least():
    assert robustness(made({"a": [1, 2, 3]}, better="higher"), "fcd")[0].worst == 1


def test_the_interval_of_a_share_is_scipys_exact_one():
    for hits, count in ((0, 1), (1, 1), (0, 10), (3, 10), (10, 10), (7, 200)):
        expected = stats.binomtest(hits, count).proportion_ci(0.9, method="exact")
        assert share_interval(hits, count, 0.9) == pytest.approx((expected.low, expected.high), abs=1e-9)
    with pytest.raises(MetricError, match="no share"):
        share_interval(3, 2)
