"""Metrics against other people's code, closed forms, and made data whose truth is known."""

import importlib
import importlib.util
import sys

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.linalg import sqrtm

from duel import catalog
from duel.metrics import _manifold
from duel.metrics._base import Side, student_t, wilson
from duel.metrics._frechet import factor, frechet_distance
from duel.metrics._frechet import measure as measure_frechet
from duel.metrics._histogram import entropy, entropy_variance
from duel.metrics._mmd import mmd2, row_sums, variance
from duel.metrics._moments import Moments, Scores
from duel.metrics._score import measure as measure_score
from duel.metrics._ssim import Scales, ms_ssim, scales


def features(count, dimension, seed, shift=0.0, scale=1.0):
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).standard_normal((dimension, dimension))
    return scale * rng.standard_normal((count, dimension)) @ mixing + shift


def moments(x):
    gathered = Moments(x.shape[1])
    gathered.update(x)
    return gathered


def scores(logits):
    gathered = Scores(logits.shape[1])
    gathered.update(logits)
    return gathered


# ---------------------------------------------------------------- other people's code


_KEPT = []  # a library's schemas live as long as it does


@pytest.fixture(scope="module")
def fidelity():
    """torch-fidelity, which imports torchvision, whose native library cannot be loaded beside a CPU-only
    torch: then the schemas that torchvision asks for are registered first."""
    if not _torchvision():
        pytest.skip("torchvision is not installed")
    pytest.importorskip("torch_fidelity")


def _torchvision():
    if importlib.util.find_spec("torchvision") is None:
        return False
    try:
        importlib.import_module("torchvision")
    except RuntimeError:  # operator torchvision::nms does not exist
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _KEPT.append(library)
    return True


def test_the_frechet_distance_is_torch_fidelitys(fidelity):
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    x, y = features(400, 48, 1), features(300, 48, 2, shift=0.3, scale=1.2)
    one, other = (fid_features_to_statistics(torch.from_numpy(side)) for side in (x, y))
    expected = fid_statistics_to_metric(one, other, False)["frechet_inception_distance"]
    assert measure_frechet(moments(x), moments(y)).value == pytest.approx(expected, rel=1e-9)


def test_kid_is_torch_fidelitys(fidelity):
    from torch_fidelity.metric_kid import kid_features_to_metric

    x, y = features(250, 32, 1), features(250, 32, 2, shift=0.3)
    given = {"kid_subsets": 1, "kid_subset_size": 250, "verbose": False}
    expected = kid_features_to_metric(torch.from_numpy(x), torch.from_numpy(y), **given)
    assert mmd2(row_sums(x, y)) == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-9)


def test_the_inception_score_is_torch_fidelitys(fidelity):
    from torch_fidelity.metric_isc import isc_features_to_metric

    logits = 3 * np.random.default_rng(0).standard_normal((500, 17)).astype(np.float32)
    expected = isc_features_to_metric(torch.from_numpy(logits), splits=1)["inception_score_mean"]
    value = measure_score(Side(500), Side(500, scores=scores(logits)))
    assert value.value == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("save_cpu_ram", [False, True])
def test_precision_and_recall_are_torch_fidelitys(fidelity, seed, save_cpu_ram):
    from torch_fidelity.metric_prc import prc_features_to_metric

    x = features(300, 8, seed).astype(np.float32)
    y = features(250, 8, seed + 50, shift=1.5, scale=0.8).astype(np.float32)
    y[:20] = x[:20]  # exact ties, too
    given = {"prc_neighborhood": 3, "prc_batch_size": 100, "save_cpu_ram": save_cpu_ram, "verbose": False}
    expected = prc_features_to_metric(torch.from_numpy(y).double(), torch.from_numpy(x).double(), **given)
    real, fake = Side(300, features=x), Side(250, features=y)
    for name in ("precision", "recall"):
        value = catalog.load_class("metrics", name)().compute(name, real, fake, None)[name].value
        assert value == pytest.approx(expected[name], abs=1e-7)  # theirs is a float32 mean
        assert 0.1 < value < 0.99


@pytest.mark.parametrize(
    ("side", "channels", "weights"), [(64, 3, None), (32, 1, None), (8, 1, None), (180, 1, 5), (5, 2, None)]
)
def test_ms_ssim_is_torchmetrics(fidelity, side, channels, weights):
    pytest.importorskip("torchmetrics")
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as theirs

    rng = np.random.default_rng(0)
    smooth = rng.integers(0, 256, (6, channels, side, side)).cumsum(2).cumsum(3)
    first = (smooth / smooth.max() * 255).astype(np.uint8)
    second = np.clip(first + rng.normal(0, 20, first.shape), 0, 255).astype(np.uint8)
    how = scales(side)
    assert weights in (None, len(how.weights))
    expected = theirs(
        torch.from_numpy(first / 255.0),
        torch.from_numpy(second / 255.0),
        sigma=how.sigma,
        kernel_size=how.window,
        betas=how.weights,
        data_range=1.0,
        reduction="none",
    )
    np.testing.assert_allclose(ms_ssim(first, second, how), expected, atol=1e-5)
    assert len(np.unique(expected)) == 6


def test_ms_ssim_of_equal_images_is_one_and_the_order_of_a_pair_is_free():
    images = np.random.default_rng(0).integers(0, 256, (5, 1, 32, 32), np.uint8)
    how = scales(32)
    np.testing.assert_allclose(ms_ssim(images, images, how), 1)
    there, back = ms_ssim(images, images[::-1], how), ms_ssim(images[::-1], images, how)
    np.testing.assert_allclose(there, back)
    one = Scales((1.0,), 11, 1.5)
    assert (ms_ssim(images, 255 - images, one)[:2] < 0.1).all()


@pytest.mark.parametrize("degrees", [5, 7, 19, 100, 5000])
def test_students_t_is_scipys(degrees):
    assert student_t(degrees) == pytest.approx(stats.t.ppf(0.975, degrees), rel=2e-3)


@pytest.mark.parametrize(("hits", "count"), [(0, 8), (8, 8), (1, 100), (37, 50), (4999, 10_000)])
def test_wilsons_interval_is_scipys(hits, count):
    expected = stats.binomtest(hits, count).proportion_ci(method="wilson")
    assert wilson(hits, count) == pytest.approx((expected.low, expected.high), abs=1e-12)


# ---------------------------------------------------------------- closed forms


def test_frechet_distance_of_diagonal_gaussians():
    rng = np.random.default_rng(0)
    (m1, m2), (s1, s2) = rng.standard_normal((2, 30)), rng.random((2, 30)) + 0.1
    expected = ((m1 - m2) ** 2).sum() + ((s1 - s2) ** 2).sum()
    assert frechet_distance(m1, np.diag(s1**2), m2, np.diag(s2**2)) == pytest.approx(expected, rel=1e-12)


def test_frechet_distance_of_general_gaussians():
    one, other = (np.cov(features(200, 20, seed), rowvar=False) for seed in (1, 2))
    expected = 4 * 20 + np.trace(one + other - 2 * sqrtm(one @ other).real)
    assert frechet_distance(np.zeros(20), one, np.full(20, 2.0), other) == pytest.approx(expected, rel=1e-9)


def thin(x, y):
    """From singular values of the product of the samples: no covariance, no square root of round-off."""
    a, b = ((side - side.mean(0)) / (len(side) - 1) ** 0.5 for side in (x, y))
    root = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return ((x.mean(0) - y.mean(0)) ** 2).sum() + (a**2).sum() + (b**2).sum() - 2 * root


@pytest.mark.parametrize(("n", "m"), [(10, 10), (10, 300), (300, 10), (20, 40), (64, 65), (2, 9)])
def test_frechet_distance_of_singular_covariances(n, m):
    x, y = features(n, 64, 1), features(m, 64, 2, shift=0.1)
    one, other = ((side.mean(0), np.cov(side, rowvar=False)) for side in (x, y))
    assert frechet_distance(*one, *other) == pytest.approx(thin(x, y), rel=1e-8)
    assert factor(one[1]).shape[1] == min(n - 1, 64)
    assert frechet_distance(*one, *one) == pytest.approx(0, abs=1e-9 * np.trace(one[1]))


def test_a_singular_covariance_that_rounding_hides_is_found():
    cov = np.cov(features(10, 64, 1), rowvar=False)
    cov += 2e-14 * np.trace(cov) / 64 * np.eye(64)
    np.linalg.cholesky(cov)  # does not notice
    assert factor(cov).shape[1] == 9


@pytest.mark.parametrize("seed", range(20))
def test_rounding_makes_no_distance_negative(seed):
    x = 1e-3 * features(40, 6, seed)
    value = measure_frechet(moments(x), moments(x[::-1]))
    assert 0 <= value.value < 1e-12
    assert value.low == 0


def test_frechet_distance_of_constants():
    nothing = np.zeros((5, 5))
    assert frechet_distance(np.zeros(5), nothing, np.ones(5), nothing) == 5
    assert frechet_distance(np.zeros(5), nothing, np.ones(5), np.eye(5)) == pytest.approx(10)


def test_the_mmd_is_its_definition(monkeypatch):
    monkeypatch.setattr("duel.metrics._mmd._BLOCK", 7)
    x, y = features(23, 5, 1), features(31, 5, 2, shift=0.5)

    def kernel(a, b):
        return (a @ b / 5 + 1) ** 3

    def slow(x, y):
        within = [
            np.mean([kernel(a, b) for i, a in enumerate(s) for j, b in enumerate(s) if i != j])
            for s in (x, y)
        ]
        return sum(within) - 2 * np.mean([kernel(a, b) for a in x for b in y])

    sums = row_sums(x, y)
    assert mmd2(sums) == pytest.approx(slow(x, y), rel=1e-9)
    without = [
        [slow(np.delete(x, i, 0), y) for i in range(len(x))],
        [slow(x, np.delete(y, j, 0)) for j in range(len(y))],
    ]
    expected = sum((len(w) - 1) / len(w) * ((np.array(w) - np.mean(w)) ** 2).sum() for w in without)
    assert variance(sums) == pytest.approx(expected, rel=1e-6)


def test_the_score_of_certain_classes_is_their_number():
    even = 100 * np.eye(7)[np.arange(70) % 7]
    value = measure_score(Side(70), Side(70, scores=scores(even)))
    assert value.value == pytest.approx(7)
    assert measure_score(Side(70), Side(70, scores=scores(np.ones((70, 7))))).value == pytest.approx(1)


def test_entropy_is_scipys_and_its_jackknife_leaves_each_sample_out():
    counts = np.array([40, 0, 3, 17])
    assert entropy(counts) == pytest.approx(stats.entropy(counts))
    labels = np.repeat(np.arange(4), counts)
    left_out = [entropy(np.bincount(np.delete(labels, i), minlength=4)) for i in range(60)]
    expected = 59 / 60 * ((left_out - np.mean(left_out)) ** 2).sum()
    assert entropy_variance(counts) == pytest.approx(expected)


def test_density_and_coverage_by_hand():
    """Real: 0, 1, 3, 7 on a line and four far away; with k = 2 their radii are 3, 2, 3, 6 (and 2, 1, 1, 2).

    Generated: 0.5 lies in the balls of 0, 1, 3; 4 in those of 3 and 7 (1 and 7 are 3 and 3 away); 5 in those
    of 3 and 7; five at −50 in none. Near enough are 0, 1, 3 (0.5), 7 (5): four of eight covered.
    """
    real = np.array([0, 1, 3, 7, 100, 101, 102, 103], float)[:, None]
    fake = np.array([0.5, 4, 5, -50, -50, -50, -50, -50], float)[:, None]
    assert _manifold.radii(real, 2).tolist() == [3, 2, 3, 6, 2, 1, 1, 2]
    balls = _manifold.containing(fake, real, _manifold.radii(real, 2), closed=False)
    assert balls.tolist() == [3, 2, 2, 0, 0, 0, 0, 0]
    sides = Side(8, features=real), Side(8, features=fake)
    density = catalog.load_class("metrics", "density")(k=2).compute("density", *sides, None)["density"]
    coverage = catalog.load_class("metrics", "coverage")(k=2).compute("coverage", *sides, None)["coverage"]
    assert density.value == pytest.approx((3 + 2 + 2) / (2 * 8))
    assert coverage.value == 4 / 8


def test_a_ball_with_and_without_its_surface():
    centres, points = np.array([[0.0, 1e4], [0.0, -1e4]]), np.array([[3.0, 1e4], [3.0001, 1e4], [0.0, 0.0]])
    radius = np.array([3.0, 1e4])
    assert _manifold.containing(points, centres, radius, closed=True).tolist() == [1, 0, 1]
    assert _manifold.containing(points, centres, radius, closed=False).tolist() == [0, 0, 0]


# ---------------------------------------------------------------- intervals on made data with known truth

REPETITIONS = 300


def covered(values, truth):
    """In how many repetitions the interval holds the truth; at least 273 of 300 when 95 % do (p < 0.001).

    Nor may intervals hold it by being too wide: their mean half width is at most 1.5 times 1.96 standard
    deviations of the values.
    """
    spread = 1.96 * np.std([value.value for value in values])
    half = np.mean([value.high - value.low for value in values]) / 2
    assert half < 1.5 * spread
    return sum(value.low <= truth <= value.high for value in values)


ENOUGH = int(stats.binom.ppf(0.001, REPETITIONS, 0.95))


@pytest.mark.parametrize("shift", [0.5, 1.5])
def test_intervals_of_the_frechet_distance_hold_its_mean_at_this_count(shift):
    """The distance is biased: its interval is for the expectation at these counts, which is estimated by
    the mean over all repetitions, not for the limit of infinitely many samples."""
    values = [
        measure_frechet(moments(features(200, 4, 2 * r)), moments(features(200, 4, 2 * r + 1, shift)))
        for r in range(REPETITIONS)
    ]
    assert covered(values, np.mean([value.value for value in values])) >= ENOUGH


def kid_value(x, y):
    class Any:
        class extractor:
            name = "inception"

    sides = Side(len(x), features=x), Side(len(y), features=y)
    return catalog.load_class("metrics", "kid")().compute("kid", *sides, Any)["kid"]


def test_intervals_of_kid_hold_zero_for_equal_distributions():
    values = [kid_value(*np.random.default_rng(r).standard_normal((2, 100, 6))) for r in range(REPETITIONS)]
    assert sum(value.low <= 0 <= value.high for value in values) >= ENOUGH
    assert any(value.value < 0 for value in values)


def test_intervals_of_kid_hold_its_truth_for_shifted_distributions():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((20_000, 3)), rng.standard_normal((20_000, 3)) + 0.7
    truth = mmd2(row_sums(x[:8000], y[:8000]))
    values = []
    for r in range(REPETITIONS):
        x, y = np.random.default_rng(r + 1).standard_normal((2, 120, 3))
        values.append(kid_value(x, y + 0.7))
    assert covered(values, truth) >= ENOUGH


@pytest.mark.parametrize("truth", [0.1, 0.5, 0.97])
def test_intervals_of_shares_hold_their_truth(truth):
    hits = np.random.default_rng(0).binomial(150, truth, REPETITIONS)
    intervals = [wilson(int(h), 150) for h in hits]
    assert sum(low <= truth <= high for low, high in intervals) >= ENOUGH


def test_intervals_of_the_score_hold_its_mean_at_this_count():
    centres = 2 * np.eye(6)
    values = []
    for r in range(REPETITIONS):
        rng = np.random.default_rng(r)
        logits = centres[rng.choice(6, 200, p=[0.3, 0.3, 0.2, 0.1, 0.05, 0.05])] * rng.exponential(
            1, (200, 1)
        )
        values.append(measure_score(Side(200), Side(200, scores=scores(logits))))
    assert covered(values, np.mean([value.value for value in values])) >= ENOUGH
