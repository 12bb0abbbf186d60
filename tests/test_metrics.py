"""Every metric keeps its family's promises; a new file in duel/metrics is found here by itself.

What a metric may be excused from stands in the tables below, by name and with the reason.
"""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from duel import catalog
from duel.datasets._modes import Modes
from duel.errors import MetricError
from duel.features._base import Embedded, Extractor
from duel.metrics import _neighbours
from duel.metrics._base import Context, Side, student_t
from duel.metrics._histogram import drawn, drawn_interval
from duel.metrics._moments import Moments, Scores
from duel.metrics._pairs import pairs
from duel.metrics._ssim import scales

NAMES = catalog.names("metrics")
CLASSES, SIDE, SMOOTH = 4, 8, 6
AS_REAL, AT_LEAST_REAL, ENCODER = "as the baseline 'real'", "at least that", "encoder"

# ---------------------------------------------------------------- a small made world of labelled images

_MADE = np.random.default_rng(7)
TEMPLATES = _MADE.choice([-1.0, 1.0], (CLASSES, SIDE * SIDE))
STYLES = _MADE.standard_normal((SMOOTH, SIDE * SIDE))
PROJECTION = _MADE.standard_normal((SIDE * SIDE, 10)) / 8
BASIS = np.linalg.qr(np.concatenate([TEMPLATES, STYLES]).T)[0]


def blurred(planes, share):
    """Planes N×8×8, mixed with their 3×3 means."""
    wide = np.pad(planes, ((0, 0), (1, 1), (1, 1)), mode="edge")
    means = sum(wide[:, i : i + SIDE, j : j + SIDE] for i in range(3) for j in range(3)) / 9
    return (1 - share) * planes + share * means


def draw(count, seed, noise=0.0, blur=0.0, classes=CLASSES):
    """uint8 images N×1×8×8 and labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=count)
    flat = 12 * TEMPLATES[labels] + 20 * rng.standard_normal((count, SMOOTH)) @ STYLES
    flat = flat + rng.standard_normal(flat.shape) * 6
    planes = blurred(flat.reshape(-1, SIDE, SIDE), blur) + noise * rng.standard_normal((count, SIDE, SIDE))
    return (128 + planes).clip(0, 255).round().astype(np.uint8)[:, None], labels


def unit(images):
    return (images.reshape(len(images), -1) - 128.0) / 40


def embed(images):
    flat = unit(images)
    distance = ((flat[:, None] - 0.3 * TEMPLATES) ** 2).mean(2)
    return Embedded((flat @ PROJECTION).astype(np.float32), (-8 * distance).astype(np.float32))


@dataclass
class NearestMean:
    means: np.ndarray
    digest: str = "made"

    def embed(self, samples):
        flat = unit(samples)
        return Embedded(flat.astype(np.float32), -((flat[:, None] - self.means) ** 2).mean(2))

    def to_bytes(self):
        return b""


class Trainer:
    def train(self, samples, labels, classes, seed=0):
        flat, far = unit(samples), np.full(SIDE * SIDE, 1e3)
        means = [flat[labels == c].mean(0) if (labels == c).any() else far for c in range(classes)]
        return NearestMean(np.array(means))


def encoder(noise=0.0):
    disturbance = np.random.default_rng(3).standard_normal((SIDE * SIDE, BASIS.shape[1]))
    return lambda images: (unit(images) @ (BASIS + noise * disturbance)).astype(np.float32)


def decoder(blur=0.0):
    def decode(latent):
        planes = blurred((40.0 * latent @ BASIS.T).reshape(-1, SIDE, SIDE), blur)
        return (128 + planes).clip(0, 255).round().astype(np.uint8)[:, None]

    return decode


def gather(images, labels, embed=embed):
    features, logits = embed(images)
    moments, scores = Moments(features.shape[1]), Scores(logits.shape[1])
    for start in range(0, len(images), 64):
        moments.update(features[start : start + 64])
        scores.update(logits[start : start + 64])
    return Side(len(images), moments, scores, features, logits, images, labels)


def context(noise=0.0, blur=0.0, extractor_embed=embed, trainer=Trainer):
    return Context(
        extractor=Extractor(extractor_embed, "made", PROJECTION.shape[1], "0", accuracy=0.99),
        classes=tuple("abcd"),
        seed=0,
        at_most=10_000,
        trainer=trainer(),
        train=gather(*draw(500, 99)),
        encoder=encoder(noise),
        decoder=decoder(blur),
        untrained=(encoder(3.0), decoder(1.0)),
    )


def metric(name, **options):
    return catalog.load_class("metrics", name)(**options)


def compute(name, real, fake, given=None, **options):
    return metric(name, **options).compute(name, real, fake, given or context())


def first(values):
    return next(iter(values.values()))


REAL = gather(*draw(400, 1))
FAKE = gather(*draw(400, 2, noise=15))


# ---------------------------------------------------------------- ideal on equal sets

IDEAL = {
    "cas": AT_LEAST_REAL,
    "coverage": 1.0,
    "cs": AS_REAL,
    "density": 1.0,
    "fcd": pytest.approx(0, abs=1e-6),
    "fid": pytest.approx(0, abs=1e-6),
    "frechet": pytest.approx(0, abs=1e-6),
    "is": AS_REAL,
    "kid": pytest.approx(0, abs=0.05),
    "knn": ENCODER,
    "label-accuracy": AS_REAL,
    "memorisation": pytest.approx(0.01, abs=0.005),  # what a fair generator has, not 0
    "modes": float(CLASSES),
    "ms-ssim": AS_REAL,
    "precision": 1.0,
    "recall": 1.0,
    "reconstruction": ENCODER,
}


@pytest.mark.parametrize("name", NAMES)
def test_ideal_on_equal_sets(name):
    value = first(compute(name, REAL, replace(REAL)))
    if IDEAL[name] == AS_REAL:
        assert value.value == pytest.approx(value.baselines["real"], rel=1e-12)
    elif IDEAL[name] == AT_LEAST_REAL:
        assert value.value >= value.baselines["real"]
    elif IDEAL[name] != ENCODER:
        assert value.value == IDEAL[name]


def test_ideal_for_an_encoder_that_keeps_everything():
    def pixels(latent):
        return (128 + 20 * latent).round().clip(0, 255).astype(np.uint8).reshape(-1, 1, SIDE, SIDE)

    keeps = replace(context(), encoder=lambda images: 2 * unit(images), decoder=pixels, untrained=None)
    again = compute("reconstruction", REAL, REAL, keeps)
    assert again["reconstruction"].value == 0
    assert again["reconstruction-class"].value == 1
    assert again["reconstruction-latent"].value < 0.02  # the rounding of pixels
    knn = compute("knn", REAL, REAL, keeps)
    assert knn["knn-latent"].value == knn["knn-latent"].baselines["pixels"]
    assert knn["knn-reconstruction"].value == knn["knn-reconstruction"].baselines["pixels"]


def test_the_untrained_networks_are_worse():
    for name in ("knn", "reconstruction"):
        for value in compute(name, REAL, REAL).values():
            better = value.value - value.baselines["untrained"]
            assert (better > 0) == (value.better == "higher")


# ---------------------------------------------------------------- worse samples, worse values

LEVELS = {
    "noise": [{"noise": level} for level in (0, 15, 30, 60)],
    "blur": [{"blur": level} for level in (0, 0.3, 0.6, 1)],
    "dropping": [{"classes": level} for level in (4, 3, 2, 1)],
}
SCORE = "it looks at no real sample: sure and even classes are all it sees"
ENCODER_ONLY = "it judges the encoder, which this does not touch"
EXEMPT = {
    "noise": {
        "is": SCORE,
        "cs": SCORE,
        "recall": "scattered samples have large balls, which is its known weakness",
        "memorisation": "noisy samples are far from training samples",
        "modes": "it counts classes, whatever the images look like",
        "ms-ssim": "noise makes images differ",
        "cas": "the class means of the made trainer average it away",
    },
    "blur": {
        "is": SCORE,
        "cs": SCORE,
        "memorisation": "blurred samples are far from training samples",
        "modes": "it counts classes, whatever the images look like",
        "precision": "blurred samples crowd in the middle, inside the data's region",
        "density": "blurred samples crowd in the middle, inside the data's region",
        "label-accuracy": "what a class mean sees survives some blur",
        "cas": "class means survive some blur",
        "knn": "its first value is of the latent space, and the blur is the decoder's",
    },
    "dropping": {
        "precision": "what is still drawn is as good as before",
        "density": "what is still drawn is as good as before",
        "label-accuracy": "what is still drawn is as good as before",
        "memorisation": "what is still drawn is no copy",
        "ms-ssim": "it compares within classes",
        "knn": ENCODER_ONLY,
        "reconstruction": ENCODER_ONLY,
    },
}
LOOKED_AT = {"modes": "modes-entropy"}  # instead of the first value: confused classes still count as drawn
WORSENING = [(kind, name) for kind in LEVELS for name in NAMES if name not in EXEMPT[kind]]


@pytest.mark.parametrize(("kind", "name"), WORSENING)
def test_worsens_with(kind, name):
    values = []
    for level in LEVELS[kind]:
        networks = {
            "noise": {"noise": level.get("noise", 0) / 120},
            "blur": {"blur": level.get("blur", 0)},
        }
        fake = gather(*draw(400, 5, **level))
        found = compute(name, REAL, fake, context(**networks.get(kind, {})))
        values.append(found[LOOKED_AT[name]] if name in LOOKED_AT else first(found))
    sign = 1 if values[0].better == "lower" else -1
    steps = np.diff([sign * value.value for value in values])
    assert (steps >= 0).all(), values
    assert steps.sum() > 0


@pytest.mark.parametrize("kind", LEVELS)
def test_only_metrics_that_exist_are_excused(kind):
    assert set(EXEMPT[kind]) <= set(NAMES)


def test_where_the_score_fails_one_image_per_class_beats_the_data():
    images, labels = draw(400, 1)
    single = np.array([np.flatnonzero(labels == c)[0] for c in range(CLASSES)])
    fake = gather(images[single[labels]], labels)
    value = compute("cs", REAL, fake)["cs"]
    assert value.value > value.baselines["real"]
    assert compute("coverage", REAL, fake)["coverage"].value < 0.2


def test_a_copy_of_the_training_data_is_caught_by_memorisation_alone():
    given = context()
    fake = gather(given.train.samples[:400], given.train.labels[:400])
    value = compute("memorisation", REAL, fake, given)["memorisation"]
    assert value.value == 1
    assert value.details["median_fake"] == 0 < value.details["threshold"] < value.details["median_real"]
    assert compute("precision", REAL, fake, given)["precision"].value > 0.8


def test_a_collapsed_generator_is_caught():
    images, labels = draw(400, 1)
    fake = gather(np.repeat(images[:1], 400, 0), np.repeat(labels[:1], 400))
    assert compute("ms-ssim", REAL, fake)["ms-ssim"].value == pytest.approx(1)
    assert compute("cs", REAL, fake)["cs"].value == pytest.approx(1)
    assert compute("recall", REAL, fake)["recall"].value < 0.01
    modes = compute("modes", REAL, fake)
    assert (modes["modes"].value, modes["modes-entropy"].value) == (1, 0)
    assert len(modes["modes"].details["never_drawn"]) == CLASSES - 1
    assert (
        compute("frechet", REAL, fake)["frechet"].value > 10 * compute("frechet", REAL, FAKE)["frechet"].low
    )


# ---------------------------------------------------------------- order, intervals, inputs


def shuffled(side, seed):
    order = np.random.default_rng(seed).permutation(side.count)
    return gather(side.samples[order], side.labels[order])


@pytest.mark.parametrize("name", NAMES)
def test_order_does_not_matter(name):
    plain, mixed = (
        compute(name, REAL, FAKE, context()),
        compute(name, shuffled(REAL, 1), shuffled(FAKE, 2), context()),
    )
    for key, value in plain.items():
        if name == "ms-ssim":  # its random pairs are drawn by position
            assert value.low < mixed[key].value < value.high
        else:
            assert mixed[key].value == pytest.approx(value.value, rel=1e-6), key


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("noise", [0, 30, 90])
def test_an_interval_contains_its_value(name, noise):
    for key, value in compute(name, REAL, gather(*draw(150, 6, noise)), context(noise / 90)).items():
        assert value.low <= value.value <= value.high, key
        assert np.isfinite([value.low, value.value, value.high]).all(), key
        assert (value.n_real, value.n_fake) != (0, 0)


FAR = {"noise": 60, "classes": 1}  # near 0 the interval of a squared distance shrinks faster
WIDER = {"recall": {"classes": 2}, **dict.fromkeys(("kid", "frechet", "fid", "fcd"), FAR)}
NO_ROOT = {"modes": "a count: its first value is an integer", "memorisation": "the threshold moves with n"}


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NO_ROOT])
def test_four_times_the_samples_halve_the_interval(name):
    def width(count):
        values = []
        for seed in range(10, 15):
            worse = draw(count, seed + 10, **WIDER.get(name, {"noise": 40}))
            values.append(first(compute(name, gather(*draw(count, seed)), gather(*worse), context(0.25))))
        return np.mean([value.high - value.low for value in values])

    assert 1.5 < width(200) / width(800) < 2.6


@pytest.mark.parametrize("name", NAMES)
def test_inputs_stay_as_they_are(name):
    real, fake, given = gather(*draw(50, 1)), gather(*draw(50, 2)), context()
    arrays = [
        getattr(side, field)
        for side in (real, fake, given.train)
        for field in ("features", "logits", "samples", "labels")
    ]
    before = [array.copy() for array in arrays]
    for array in arrays:
        array.flags.writeable = False  # read-only data must do
    values = compute(name, real, fake, given)
    assert all((array == copy).all() for array, copy in zip(arrays, before, strict=True))
    assert compute(name, real, fake, given) == values  # nothing random is left to chance


@pytest.mark.parametrize("name", NAMES)
def test_too_few_samples_are_refused_in_one_sentence(name):
    few = gather(*draw(4, 1))
    with pytest.raises(MetricError, match=r"^4 \w+ samples are too few: at least \d+ are needed$"):
        compute(name, few, few)


WHOLE, GATHERED = "its samples are whole numbers", "refused while it is gathered, see the next test"
NO_NAN = {"cas": WHOLE, "ms-ssim": WHOLE, **dict.fromkeys(("frechet", "fid", "fcd", "is", "cs"), GATHERED)}


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NO_NAN])
def test_what_is_not_a_number_is_refused_and_counted(name):
    features, logits = FAKE.features.copy(), FAKE.logits.copy()
    features[:3, 0], logits[:3, 1] = np.nan, np.inf

    def broken(samples):
        latent = encoder()(samples)
        latent[:3] = np.nan
        return latent

    given, fake = replace(context(), encoder=broken), replace(FAKE, features=features, logits=logits)
    with pytest.raises(MetricError, match=r"^[13] of \d+ .* are not finite \(NaN or infinite\)"):
        compute(name, REAL, fake, given)


@pytest.mark.parametrize("kind", [Moments, Scores])
def test_what_is_not_a_number_is_refused_while_it_is_gathered(kind):
    rows = np.zeros((50, 4), np.float32)
    rows[7, 2], rows[8] = np.nan, np.inf
    with pytest.raises(MetricError, match=r"^2 of 50 .* are not finite"):
        kind(4).update(rows)


@pytest.mark.parametrize(
    ("name", "lacking"),
    [
        ("memorisation", {"train": None}),
        ("knn", {"train": None}),
        ("knn", {"encoder": None}),
        ("reconstruction", {"decoder": None}),
    ],
)
def test_a_missing_need_is_said(name, lacking):
    with pytest.raises(MetricError, match="needs"):
        compute(name, REAL, FAKE, replace(context(), **lacking))


def test_fields_that_were_not_gathered_are_said():
    bare = replace(FAKE, features=None, logits=None)
    with pytest.raises(MetricError, match="generated features have not been gathered"):
        compute("kid", REAL, bare)
    with pytest.raises(MetricError, match="try --features classifier"):
        compute("modes", REAL, bare)


@pytest.mark.parametrize(
    ("name", "options"),
    [(name, {"k": 0}) for name in ("precision", "recall", "density", "coverage", "knn")]
    + [("memorisation", {"quantile": 1.0}), ("ms-ssim", {"pairs": 1})],
)
def test_an_option_out_of_range_is_refused(name, options):
    with pytest.raises(ValueError, match=r"allowed are"):
        metric(name, **options)


@pytest.mark.parametrize(
    ("name", "options"),
    [(name, {"k": 9}) for name in ("precision", "recall", "density", "coverage", "knn")]
    + [("memorisation", {"quantile": 0.2}), ("ms-ssim", {"pairs": 20})],
)
def test_every_option_changes_the_result(name, options):
    given = context(noise=0.5)
    assert compute(name, REAL, FAKE, given, **options) != compute(name, REAL, FAKE, given)


# ---------------------------------------------------------------- what is said beside the numbers


def test_the_frechet_distance_says_that_it_is_biased_and_when_it_is_singular():
    assert len(compute("frechet", REAL, FAKE)["frechet"].notes) == 1
    notes = compute("frechet", REAL, gather(*draw(9, 2)))["frechet"].notes
    assert "9 samples are fewer than the 10 feature dimensions" in notes[0]
    assert "kid" in notes[0]
    assert "--floor" in notes[1]


def test_kid_says_where_it_is_not_comparable():
    assert "not comparable" in compute("kid", REAL, FAKE)["kid"].notes[0]
    inception = replace(context(), extractor=replace(context().extractor, name="inception"))
    assert compute("kid", REAL, FAKE, inception)["kid"].notes == ()


def test_a_subset_is_said():
    notes = compute("precision", REAL, replace(FAKE, count=50_000))["precision"].notes
    assert "depends on the counts (400 real, 400 generated)" in notes[0]
    assert notes[1:] == ("computed on the first 400 of 50,000 generated samples",)


def test_an_empty_class_is_said():
    fake = gather(*draw(100, 1, classes=2))
    assert compute("cas", REAL, fake)["cas"].notes == ("no generated sample is labelled c, d",)


def test_coverage_of_equal_distributions_is_its_ideal():
    found = [
        compute("coverage", gather(*draw(60, s)), gather(*draw(60, s + 50)))["coverage"] for s in range(40)
    ]
    ideal = found[0].baselines["ideal"]
    assert ideal == pytest.approx(1 - np.prod([(60 - i) / (120 - i) for i in range(1, 6)]))
    assert np.mean([value.value for value in found]) == pytest.approx(ideal, abs=0.01)


# ---------------------------------------------------------------- points with known modes

CENTRES = 2 * np.array([[np.cos(a), np.sin(a)] for a in np.arange(8) * np.pi / 4])
RING = Modes(CENTRES, 0.02, 2.5)


def ring(count, modes=8, sigma=0.02, seed=0):
    rng = np.random.default_rng(seed)
    points = CENTRES[rng.integers(modes, size=count)] + sigma * rng.standard_normal((count, 2))
    return Side(count, samples=(points / 2.5).astype(np.float32))


def modes_of(fake):
    return metric("modes").compute("modes", ring(1000, seed=1), fake, replace(context(), modes=RING))


def test_modes_of_points_are_counted_in_original_units():
    values = modes_of(ring(5000))
    assert values["modes"].value == 8
    inside = 1 - np.exp(-9 / 2)  # of a Gaussian in the plane within 3 σ
    good = values["modes-high-quality"]
    assert good.low < inside < good.high
    assert modes_of(ring(5000, modes=3))["modes"].value == 3
    assert modes_of(ring(5000, sigma=0.2))["modes-high-quality"].value < 0.1


def test_points_that_are_not_finite_are_refused():
    broken = ring(100)
    broken.samples[5] = np.nan
    with pytest.raises(MetricError, match="1 of 100 generated samples are not finite"):
        modes_of(broken)
    with pytest.raises(MetricError, match="these samples are points"):
        compute("ms-ssim", ring(100), ring(100))


def test_a_mode_needs_one_sample_in_ten_thousand():
    counts = np.array([20_000, 9_990, 3, 2, 0])
    assert drawn(counts, 30_000) == 3
    low, high = drawn_interval(counts, 30_000, seed=0)
    assert low <= 3 <= high <= 5
    assert low < 3


# ---------------------------------------------------------------- parts


def test_moments_by_groups_are_the_moments(monkeypatch):
    monkeypatch.setattr("duel.metrics._moments._ROWS", 3)
    x = np.random.default_rng(0).standard_normal((157, 5)) + 1e4
    moments = Moments(5)
    for part in np.array_split(x, 9):
        moments.update(part)
    mean, cov = moments.mean_cov()
    assert moments.count == 157
    np.testing.assert_allclose(mean, x.mean(0), rtol=1e-12)
    np.testing.assert_allclose(cov, np.cov(x, rowvar=False), rtol=1e-9)
    rest = x[np.arange(157) % moments.groups != 4]
    mean, cov = moments.mean_cov(leave_out=4)
    np.testing.assert_allclose(mean, rest.mean(0), rtol=1e-12)
    np.testing.assert_allclose(cov, np.cov(rest, rowvar=False), rtol=1e-9)


def test_moments_copy_what_they_are_given_and_do_not_grow():
    moments, batch = Moments(3, blocks=4), np.ones((64, 3), np.float32)
    for number in range(40):
        batch[:] = number
        moments.update(batch)
    assert moments.mean_cov()[0] == pytest.approx([19.5] * 3)
    assert sum(len(part) for part in moments._pending) < 4 * 128


def test_scores_by_groups_are_the_scores():
    logits = 3 * np.random.default_rng(0).standard_normal((101, 6))
    scores = Scores(6)
    for part in np.array_split(logits, 7):
        scores.update(part)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    for kept, leave_out in ((np.arange(101) >= 0, None), (np.arange(101) % 20 != 3, 3)):
        count, total, negative_entropy = scores.totals(leave_out)
        assert count == kept.sum()
        np.testing.assert_allclose(total, p[kept].sum(0))
        assert negative_entropy == pytest.approx((p * np.log(p))[kept].sum())


def test_scores_of_impossible_classes_are_finite():
    scores = Scores(3)
    scores.update(np.array([[0.0, 1000, -1000]] * 30))
    assert np.isfinite(scores.totals()[2])


def nearest_slowly(queries, base, k, exclude_self):
    difference = queries.astype(np.float64)[:, None] - base.astype(np.float64)[None]
    distance = np.sqrt((difference**2).sum(2))
    if exclude_self:
        np.fill_diagonal(distance, np.inf)
    order = distance.argsort(1, kind="stable")[:, :k]
    return np.take_along_axis(distance, order, 1), order


@pytest.mark.parametrize("block", [(1000, 16_384), (7, 300), (50, 64)])
@pytest.mark.parametrize("exclude_self", [False, True])
@pytest.mark.parametrize("offset", [0, 1000])
def test_neighbours_are_those_of_brute_force(monkeypatch, block, exclude_self, offset):
    monkeypatch.setattr(_neighbours, "_QUERIES", block[0])
    monkeypatch.setattr(_neighbours, "_BASE", block[1])
    rng = np.random.default_rng(0)
    base = (rng.standard_normal((700, 9)) + offset).astype(np.float32)
    queries = base if exclude_self else base[:60] + rng.standard_normal((60, 9)).astype(np.float32)
    found = _neighbours.nearest(queries, base, 4, exclude_self=exclude_self)
    expected = nearest_slowly(queries, base, 4, exclude_self)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-12)
    np.testing.assert_array_equal(found[1], expected[1])


def test_equal_samples_are_exactly_zero_apart():
    base = (np.random.default_rng(0).standard_normal((500, 40)) * 1e-3 + 5e3).astype(np.float32)
    distances, indices = _neighbours.nearest(base[::-1].copy(), base, 1)
    assert (distances == 0).all()
    assert (base[indices[:, 0]] == base[::-1]).all()


def test_neighbours_that_float32_cannot_tell_apart_are_found():
    """Two clusters far from each other: within one, single precision sees only rounding errors."""
    rng = np.random.default_rng(0)
    base = rng.standard_normal((400, 6))
    base[::2] += 1e6
    found = _neighbours.nearest(base, base, 3, exclude_self=True)
    expected = nearest_slowly(base, base, 3, exclude_self=True)
    np.testing.assert_array_equal(found[1], expected[1])


def test_neighbours_take_bytes_and_all_there_are():
    images = np.random.default_rng(0).integers(0, 256, (30, 1, 4, 4), np.uint8)
    distances, indices = _neighbours.nearest(images, images, 29, exclude_self=True)
    assert sorted(indices[0].tolist()) == list(range(1, 30))
    assert distances[0, 0] == nearest_slowly(images.reshape(30, -1), images.reshape(30, -1), 1, True)[0][0, 0]
    with pytest.raises(MetricError, match="30 neighbours are asked for, and there are 29"):
        _neighbours.nearest(images, images, 30, exclude_self=True)


def test_the_majority_decides_and_of_several_the_nearest():
    base, labels = np.arange(6.0)[:, None], np.array([0, 1, 1, 2, 2, 0])
    query = np.array([[0.1]])
    assert [_neighbours.predict(query, base, labels, k)[0] for k in (1, 3, 4, 5)] == [0, 1, 1, 1]
    assert _neighbours.predict(query, base, labels, 2)[0] == 0


@pytest.mark.parametrize("labels", [None, np.arange(101) % 7])
def test_pairs_share_no_sample_and_keep_to_their_class(labels):
    found = pairs(101, labels, 1000, np.random.default_rng(0))
    assert len(np.unique(found)) == 2 * len(found) > 90
    assert len(pairs(101, labels, 5, np.random.default_rng(0))) == 5
    if labels is not None:
        assert (labels[found[:, 0]] == labels[found[:, 1]]).all()
        with pytest.raises(MetricError, match="shares its class"):
            pairs(8, np.arange(8), 5, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("side", "count", "window"), [(4, 1, 3), (8, 1, 7), (28, 2, 11), (64, 3, 11), (256, 5, 11)]
)
def test_scales_for_a_side(side, count, window):
    how = scales(side)
    assert (len(how.weights), how.window) == (count, window)
    assert sum(how.weights) == pytest.approx(1)


def test_too_few_groups_have_no_interval():
    with pytest.raises(MetricError, match="5 groups are too few"):
        student_t(4)
