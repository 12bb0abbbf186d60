"""Signals: every number is what its definition says, and looking changes nothing."""

import copy
import json
import math

import numpy as np
import pytest
import tiny
import torch
from PIL import Image
from scipy.stats import mannwhitneyu
from tiny import made_data, parameters, resolved

import duel
from duel import loop, pictures, recipe, sampling, signals, streams
from duel.datasets._base import Data, Spec, Split
from duel.errors import RecipeError
from duel.session import plan
from duel.signals import Inside, Layer, Pixels, Reference, Watch

CLASSES = tuple("012")
CLIPPED = {"objective.name": "wasserstein", "constraints": "clip", "constraints.clip.limit": 0.05}
ENGINES = ["torch", "scratch"]


def rng(seed=0):
    return np.random.default_rng(seed)


# ---------------------------------------------------------------- rows and distances


@pytest.mark.parametrize(("side", "small"), [(8, 8), (14, 14), (16, 8), (28, 14), (23, 1), (64, 8)])
def test_features_are_means_of_blocks(side, small):
    images = rng().uniform(-1, 1, (2, 3, side, side)).astype(np.float32)
    block = side // small
    by_hand = [
        [
            image[channel, y * block : (y + 1) * block, x * block : (x + 1) * block].mean(dtype=np.float64)
            for channel in range(3)
            for y in range(small)
            for x in range(small)
        ]
        for image in images
    ]
    found = signals.features(images)
    assert found.dtype == np.float32
    assert np.allclose(found, by_hand, atol=1e-6)


def test_features_of_points_are_the_points_and_of_nothing_no_rows():
    points = rng().normal(size=(4, 2))
    assert np.array_equal(signals.features(points), points.astype(np.float32))
    assert signals.features(np.empty((0, 3, 28, 28), np.float32)).shape == (0, 3 * 14 * 14)


def test_distances_and_what_is_made_of_them():
    a, b = np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[0.0, 0.0], [6.0, 8.0], [3.0, 0.0]])
    assert np.allclose(signals.distances(a, b), [[0, 10, 3], [5, 5, 4]])
    square = np.array([[0.0, 1, 2], [1, 0, 6], [2, 6, 0]])
    assert signals.mean_off_diagonal(square) == 3
    assert signals.mean_off_diagonal(np.zeros((1, 1))) == 0
    assert signals.nearest_other(square).tolist() == [1, 1, 2]
    assert signals.moved(a, np.array([[0.0, 2.0], [0.0, 0.0]])) == 3.5


def test_a_match_is_a_sample_that_is_nearer_to_its_own_reconstruction_than_to_anothers():
    samples = np.array([[0.0], [1.0], [5.0]])
    assert signals.match(samples + 0.1, samples) == 1
    # of (sample, other's reconstruction): 0 and 1 have swapped theirs, 5 has its own
    assert math.isclose(signals.match(samples[[1, 0, 2]], samples), 4 / 6)
    assert signals.match(np.zeros((3, 1)), samples) == 0  # always the same: nearer to none
    assert math.isnan(signals.match(samples[:1], samples[:1]))


def test_rounding_leaves_no_distance_between_equal_samples_and_keeps_small_ones():
    rows = rng().uniform(-1, 1, (50, 196)).astype(np.float32)
    assert np.all(np.diag(signals.distances(rows, rows.copy())) == 0)
    near = rows.copy()
    near[:, 0] += np.float32(1 / 127.5 / 4)  # one pixel of a block of four is one level brighter
    assert np.allclose(np.diag(signals.distances(rows, near)), 1 / 510, rtol=1e-3)


# ---------------------------------------------------------------- samples against the data


def near_classes(count, seed, centres=((-0.5, -0.5), (0.5, -0.5), (0.0, 0.6))):
    """Points around a centre for each class, and the classes, by turns."""
    labels = np.arange(count) % len(centres)
    return (np.array(centres)[labels] + rng(seed).normal(0, 0.05, (count, 2))).astype(np.float32), labels


def reference(count=90, labelled=True):
    """From points of three classes, with 40 held-out ones."""
    (train, labels), (held, held_labels) = near_classes(count, 1), near_classes(40, 2)
    return Reference.of(train, labels if labelled else None, held, held_labels if labelled else None)


def between(a, b):
    """Distances, written as a loop."""
    return [[math.dist(x, y) for y in b] for x in a]


@pytest.mark.parametrize("count", [30, 90, 260])
def test_coverage_precision_twins_and_nearest_are_their_definitions(count):
    known, drawn = reference(count, labelled=False), near_classes(70, 3)[0] * 1.1
    near = known.train[:200]
    among, apart = between(near, near), between(near, drawn)
    k = min(5, len(near) - 1)
    radii = [sorted(row)[k] for row in among]  # the row's own 0 comes first
    coverage = [any(d <= radius for d in row) for row, radius in zip(apart, radii, strict=True)]
    precision = [any(row[j] <= r for row, r in zip(apart, radii, strict=True)) for j in range(len(drawn))]
    twins = [np.median([sorted(row)[1] for row in between(each, each)]) for each in (drawn, near)]
    to_other = np.median([sorted(row)[1] for row in between(near, known.train)])
    to_held = np.median([min(row) for row in between(known.held, known.train)])
    nearest = np.median([min(row) for row in between(drawn, known.train)]) / min(to_other, to_held)
    found = known.compare(drawn, None)
    assert 0 < np.mean(precision) < 1
    assert found["coverage"] == np.mean(coverage)
    assert found["precision"] == np.mean(precision)
    assert np.allclose([found["twins"], found["nearest"]], [twins[0] / twins[1], nearest], rtol=1e-4)


def test_what_the_facts_say_of_held_out_samples_is_what_they_would_get_as_generated_ones():
    known = reference()
    as_generated = known.compare(known.held, known.held_labels)
    assert known.facts()["held_out"] == signals.as_json(
        {key: as_generated[key] for key in ("coverage", "precision", "label_accuracy")}
    )
    assert "label_accuracy" not in reference(labelled=False).facts()["held_out"]


def test_one_sample_has_no_diversity_the_data_have_1_and_copies_are_near():
    known = reference()
    same = known.compare(np.repeat(known.train[:1], 60, 0), None)
    assert [same["diversity"], same["twins"], same["nearest"]] == [0, 0, 0]
    assert same["coverage"] < 0.2
    assert same["precision"] == 1
    real = known.compare(near_classes(200, 4)[0], None)
    assert math.isclose(real["diversity"], 1, abs_tol=0.05)
    assert real["coverage"] > 0.9
    assert 0.5 < real["nearest"] < 2
    assert known.compare(known.train, None)["nearest"] == 0
    wide = known.compare(3 * known.near, None)
    assert math.isclose(wide["diversity"], 3, rel_tol=1e-5)
    assert math.isclose(wide["twins"], 3, rel_tol=1e-5)
    assert math.isclose(known.relative(2 * known.distance), 2)


def test_classes_of_samples_are_those_of_the_nearest_training_samples():
    known = reference()
    drawn, labels = near_classes(60, 5)
    of_two = drawn[labels < 2]
    found = known.compare(of_two, None)
    assert found["class_shares"] == [0.5, 0.5, 0]
    assert "label_accuracy" not in found
    narrow = np.where((labels == 1)[:, None], drawn[1], drawn)  # class 1 is one sample
    diversity = known.compare(narrow, None)["class_diversity"]
    for label, value in zip((0, 2), diversity[::2], strict=True):
        mine, real = drawn[labels == label], known.train[known.labels == label]
        parts = [np.array(between(each, each)) for each in (mine, real)]
        expected = np.divide(*[each.sum() / (len(each) * (len(each) - 1)) for each in parts])
        assert math.isclose(value, expected, rel_tol=1e-4)
    assert diversity[1] == 0
    few = np.concatenate([drawn[labels == 0], drawn[labels == 1][:7]])
    assert [value is None for value in known.compare(few, None)["class_diversity"]] == [False, True, True]


def test_of_asked_classes_the_recognised_ones_count_and_diversity_is_within_the_asked():
    known = reference()
    drawn, labels = near_classes(60, 5)
    assert known.compare(drawn, labels)["label_accuracy"] == 1
    assert known.compare(drawn, (labels + 1) % 3)["label_accuracy"] == 0
    assert known.compare(drawn, np.where(np.arange(60) < 15, (labels + 1) % 3, labels))[
        "label_accuracy"
    ] == pytest.approx(0.75)
    mixed = known.compare(drawn, np.arange(60) // 20)["class_diversity"]
    assert min(mixed) > 3  # each asked class holds samples of all three


def test_of_data_that_are_all_the_same_there_is_nothing_to_compare_with():
    same = np.zeros((20, 1, 8, 8), np.float32)
    known = Reference.of(same, np.zeros(20, int), same[:0], None)
    found = known.compare(signals.features(rng().uniform(-1, 1, (20, 1, 8, 8))), None)
    assert math.isnan(found["diversity"])
    assert math.isnan(found["twins"])
    assert math.isnan(found["nearest"])
    assert found["class_diversity"] == [None]
    assert known.facts() == {}


def test_copies_among_the_data_do_not_make_a_scale():
    images = rng().uniform(-1, 1, (100, 1, 14, 14)).astype(np.float32).repeat(2, 0)
    known = Reference.of(images, None, images[:50], None)
    found = known.compare(signals.features(rng(1).uniform(-1, 1, (80, 1, 14, 14))), None)
    assert math.isnan(found["twins"])
    assert math.isnan(found["nearest"])
    assert math.isclose(found["diversity"], 1, abs_tol=0.05)


# ---------------------------------------------------------------- pixels

SIDE = 16
Y, X = np.mgrid[:SIDE, :SIDE]


def noise(seed=0, count=100):
    return rng(seed).normal(0, 0.2, (count, 1, SIDE, SIDE))


def test_the_spectrum_of_a_wave_is_two_lines_and_all_power_is_there():
    wave = np.stack([np.cos(2 * np.pi * 3 * X / SIDE) + offset for offset in (0.0, 0.5)])[:, None]
    expected = np.zeros((SIDE, SIDE))
    expected[0, [3, SIDE - 3]] = (SIDE**2 / 2) ** 2
    assert np.allclose(signals.spectrum(wave), expected)
    colours = np.concatenate([noise(), noise(1), noise(2)], 1)
    grey = colours.mean(1)
    power = np.square(grey - grey.mean((1, 2), keepdims=True)).sum((1, 2)).mean()
    assert math.isclose(signals.spectrum(colours).sum(), SIDE**2 * power)
    assert signals.frequencies(8).tolist() == [0, 1, 2, 3, 4, 3, 2, 1]


def test_peaks_compare_a_frequency_with_its_neighbours():
    power = np.ones((SIDE, SIDE))
    assert signals.peaks(power).tolist() == [1, 1, 1, 1]
    power[:, [4, 12]] = 7.0  # period 4 along a row
    assert signals.peaks(power).tolist() == [1, 7, 1, 1]
    power[8, :] = 13.0  # period 2 along a column; in the rows beside it are 14 ones and two sevens
    beside = (14 + 2 * 7) / SIDE
    assert signals.peaks(power)[2] == 13 / beside


def test_real_images_beside_themselves_are_right():
    found = signals.of_pixels(noise(), Pixels.of(noise()))
    assert found == {"saturated": 0.0, "sharpness": 1.0, "checkerboard": 1.0}
    other = signals.of_pixels(noise(1), Pixels.of(noise()))
    assert math.isclose(other["sharpness"], 1, abs_tol=0.05)
    assert 1 <= other["checkerboard"] < 1.3


def test_sharpness_is_the_power_of_high_frequencies():
    real = Pixels.of(noise())
    assert math.isclose(signals.of_pixels(noise() / 2, real)["sharpness"], 0.25)
    low, high = (0.2 * np.cos(2 * np.pi * f * (X + 0 * Y) / SIDE)[None, None] for f in (4, 5))
    assert signals.of_pixels(low, real)["sharpness"] < 1e-12
    assert signals.of_pixels(high, real)["sharpness"] > 0.1
    assert signals.of_pixels(np.full((3, 1, SIDE, SIDE), 0.3), real)["sharpness"] < 1e-12


PATTERNS = {
    "checkerboard": (X + Y) % 2 * 2 - 1,
    "columns of period 2": X % 2 * 2 - 1,
    "rows of period 2": Y % 2 * 2 - 1,
    "columns of period 4": X // 2 % 2 * 2 - 1,
    "rows of period 4": Y // 2 % 2 * 2 - 1,
}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_of_period_2_or_4_is_a_checkerboard(pattern):
    real = Pixels.of(noise(1))
    strengths = [
        signals.of_pixels(noise() + strength * PATTERNS[pattern], real)["checkerboard"]
        for strength in (0.0, 0.1, 0.3)
    ]
    assert strengths[0] < 1.3
    assert strengths[1] > 2
    # power is the square of the strength: nine times as much stands out from the noise
    assert math.isclose((strengths[2] - 1) / (strengths[1] - 1), 9, rel_tol=0.35)


def test_a_pattern_of_another_period_or_in_the_data_is_none():
    other = 0.3 * np.cos(2 * np.pi * 2 * X / SIDE)
    assert signals.of_pixels(noise() + other, Pixels.of(noise(1)))["checkerboard"] < 1.3
    board = 0.3 * PATTERNS["checkerboard"]
    assert signals.of_pixels(noise() + board, Pixels.of(noise(1) + board))["checkerboard"] < 1.3


def test_saturated_is_the_share_at_the_ends_less_the_datas():
    values = np.array([-1, -0.995, -0.98, 0, 0.5, 0.985, 0.992, 1]).reshape(2, 1, 2, 2)
    assert signals.saturated(values) == 0.5
    real = Pixels(0.125, np.ones((2, 2)))
    assert signals.of_pixels(values, real)["saturated"] == 0.375


# ---------------------------------------------------------------- layers and logits


def test_layers_give_norms_of_players_and_ratios_of_matrices():
    found = signals.of_layers(
        {
            "generator.0.weight": Layer(2.0, 3.0, 0.5),
            "generator.0.bias": Layer(0.0, 4.0, 1.0),
            "encoder.0.weight": Layer(10.0, 12.0, 1.0),
            "discriminator.1.parametrizations.weight.original": Layer(4.0, 26.0, 1.0),
            "discriminator.2.weight": Layer(0.0, 0.0, 1.0),
        }
    )
    spectral = "discriminator.1.parametrizations.weight.original"
    assert found == {
        "gradient_g": 13.0,
        "gradient_d": 26.0,
        "gradient_ratio": 0.5,
        "layer_gradient": {"generator.0.weight": 1.5, "encoder.0.weight": 1.2, spectral: 6.5},
        "update_ratio": {"generator.0.weight": 0.25, "encoder.0.weight": 0.1, spectral: 0.25},
    }
    still = {"generator.0.weight": Layer(1.0, 1.0, 0.0), "discriminator.0.weight": Layer(1.0, 0.0, 0.0)}
    assert math.isnan(signals.of_layers(still)["gradient_ratio"])


def test_the_chance_to_be_above_counts_ties_half():
    assert signals.chance_above(np.array([1, 2, 3]), np.array([2])) == 0.5
    assert signals.chance_above(np.array([2, 2]), np.array([1, 2])) == 0.75
    a, b = rng(1).integers(0, 9, 40) + 1.0, rng(2).integers(0, 9, 30) + 0.0
    assert math.isclose(signals.chance_above(a, b), mannwhitneyu(a, b).statistic / (40 * 30))
    assert math.isnan(signals.chance_above(np.array([1, np.nan]), b))


def test_logits_on_the_right_side_of_the_boundary():
    inside = Inside(
        train=np.array([3.0, 1.0, -1.0, 2.0]), held=np.array([0.25, -5.0]), fake=np.array([-3.0, 1.0])
    )
    shared = {"logit_real": 1.25, "logit_fake": -1.0, "logit_held": -2.375}
    ranks = {"separation": (2 + 1.5 + 1 + 2) / 8, "separation_held": 1 / 4}
    assert signals.of_logits(inside, 0.0) == {
        **shared, **ranks, "accuracy_real": 0.75, "accuracy_fake": 0.5, "accuracy_held": 0.5,
    }  # fmt: skip
    assert signals.of_logits(inside, 1.5) == {
        **shared, **ranks, "accuracy_real": 0.5, "accuracy_fake": 1.0, "accuracy_held": 0.0,
    }  # fmt: skip
    halfway = signals.of_logits(inside, None)  # at (1.25 − 1) / 2 = 0.125
    assert [halfway[f"accuracy_{of}"] for of in ("real", "fake", "held")] == [0.75, 0.5, 0.5]


def test_without_held_out_samples_nothing_is_said_of_them_and_nan_is_no_accuracy():
    inside = Inside(np.array([1.0]), np.empty(0), np.array([np.nan]))
    found = signals.of_logits(inside, 0.0)
    assert not any("held" in key for key in found)
    assert found["accuracy_real"] == 1
    assert all(math.isnan(found[key]) for key in ("logit_fake", "accuracy_fake", "separation"))


# ---------------------------------------------------------------- data and JSON


def test_facts_are_of_the_training_split():
    images = rng().integers(0, 256, (10, 3, 4, 4), np.uint8)
    images[:, 1] = 7
    images[[3, 5, 8]] = images[0]
    labels = np.array([0, 0, 0, 2, 2, 0, 0, 0, 0, 0])
    splits = {"train": Split(images, labels), "validation": Split(images[:0], labels[:0])}
    found = signals.facts(Data("made", Spec("image", (3, 4, 4), ("a", "b", "c", "d")), splits, "f"))
    assert found == {
        "train": 10,
        "copies": pytest.approx(0.3),
        "constant_channels": [1],
        "class_counts": [8, 0, 2, 0],
    }
    points = Split(np.array([[0, 1], [0, 1], [1, 0], [2, 2]], np.float32), None)
    found = signals.facts(Data("made", Spec("points", (2,)), {"train": points}, "f"))
    assert found == {"train": 4, "copies": 0.25}


def test_json_holds_five_digits_and_no_number_that_is_none():
    given = {
        "a": [math.nan, math.inf, -math.inf, 1.23456789],
        "b": {"c": np.float32(0.1), "d": np.float64("nan"), "e": None},
        "f": 7,
        "g": np.float32(1e-20),
    }
    found = signals.as_json(given)
    assert found == {
        "a": [None, None, None, 1.2346],
        "b": {"c": 0.1, "d": None, "e": None},
        "f": 7,
        "g": 1e-20,
    }
    json.dumps(found, allow_nan=False)


# ---------------------------------------------------------------- a training that is looked at


class Looked:
    """A training at step 0, and its watch; `step` plays one step that is looked at."""

    def __init__(self, it, data=None):
        self.it, self.data = it, data or made_data(side=8)
        self.engine = loop.engine_of(it)
        self.now = self.engine.start(it, self.data)
        self.watch = Watch(it, self.data)
        self.layers = {}

    def generate(self, latent, labels):
        return self.engine.generate(self.now, latent, labels)

    def step(self):
        norms = self.watch.watch(self.now)
        numbers = self.engine.play_step(self.it, self.now)
        self.now.step += 1
        self.layers = norms()
        return numbers

    def look(self, generate=None):
        return self.watch.look(self.now, generate or self.generate, self.layers)

    def inside(self):
        return signals.inspector_of(self.it).inspect(self.it, self.now, self.watch.looked)

    def weights(self, name):
        """A parameter, to be changed in place."""
        player, _, parameter = name.partition(".")
        if self.it.engine == "torch":
            return dict(self.now.networks.named()[player].named_parameters())[parameter].detach().numpy()
        mine = getattr(self.now, player)
        return mine.network.named(mine.weights)[parameter]


def dense(engine="torch", data=None, **changes):
    return Looked(resolved("gan", engine=engine, **changes), data)


def points_data(points, labels=None, classes=()):
    split = Split(points.astype(np.float32), labels)
    parts = dict.fromkeys(("train", "validation", "test"), split)
    return Data("made", Spec("points", (2,), classes), parts, "f")


A = rng(7).normal(0, 0.2, (5, 2)).astype(np.float32)


def linear(latent, labels):
    return latent @ A


@pytest.mark.parametrize("engine", ENGINES)
def test_a_generator_as_diverse_as_the_data_moves_as_far_with_its_latent_vector(engine):
    looked = dense(engine, points_data(rng(3).normal(size=(400, 5)) @ A))
    found = looked.look(linear)
    assert math.isclose(found["diversity"], 1, abs_tol=0.1)
    assert math.isclose(found["sensitivity"], 1, abs_tol=0.15)
    z = looked.watch.looked.latent[:64]
    steps = np.linalg.norm((np.roll(z, 1, 0) - z) @ A, axis=1).mean()
    scale = signals.mean_off_diagonal(np.array(between(*[looked.watch._reference.near] * 2)))
    assert math.isclose(found["sensitivity"], steps / scale, rel_tol=1e-3)
    assert looked.look(lambda z, labels: linear(0 * z + 1, labels))["sensitivity"] == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_movement_is_how_far_samples_went_since_the_last_look(engine):
    looked = dense(engine)
    assert looked.look()["movement"] is None
    assert looked.look()["movement"] == 0
    before = looked.generate(looked.watch.looked.latent, None)
    looked.step()
    after = looked.generate(looked.watch.looked.latent, None)
    by_hand = np.linalg.norm((after - before).reshape(200, -1), axis=1).mean()
    assert math.isclose(looked.look()["movement"], by_hand / looked.watch._reference.distance, rel_tol=1e-4)
    again = dense(engine)
    again.watch.remember(again.generate)
    assert again.look()["movement"] == 0


def conditional(name="gan", **changes):
    return Looked(resolved(name, **{"game.name": "conditional", **changes}), made_data(16, classes=CLASSES))


def test_the_effect_of_a_label_is_how_far_another_one_moves_a_sample():
    centres, labels = near_classes(90, 1)
    data = points_data(centres, labels, CLASSES)
    looked = Looked(resolved("gan", **{"game.name": "conditional"}), data)
    assert looked.look(linear)["label_effect"] == 0
    shift = np.array([[0, 0], [3, 4], [0, 0]], np.float32)
    found = looked.look(lambda z, labels: linear(z, labels) + shift[labels])
    # labels 0, 1, 2, 0, … become 1, 2, 0: of 64, 43 samples move by 5
    assert math.isclose(found["label_effect"], 5 * 43 / 64 / looked.watch._reference.distance, rel_tol=1e-4)
    assert "label_effect" not in dense().look()
    one = Looked(resolved("gan", **{"game.name": "conditional"}), made_data(side=8, classes=("a",)))
    assert "label_effect" not in one.look()


@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_the_norm_gap_is_between_the_batchs_statistics_and_the_running_ones(decay):
    looked = Looked(resolved(**{"ema.decay": decay}), made_data())
    generator = looked.now.average.get("generator", looked.now.networks.generator)
    latent = torch.from_numpy(looked.watch.looked.latent)
    trained = copy.deepcopy(generator).train()
    with torch.no_grad():
        by_batch, by_running = trained(latent), copy.deepcopy(generator).eval()(latent)
    by_hand = signals.moved(*(signals.features(each.numpy()) for each in (by_batch, by_running)))
    found = looked.look()["norm_gap"]
    assert found > 0.001
    assert math.isclose(found, by_hand / looked.watch._reference.distance, rel_tol=1e-3)
    for layer in generator.modules():
        layer.momentum = 1.0
    with torch.no_grad():
        generator.train()(latent)
    assert looked.look()["norm_gap"] < found / 100


def test_without_batch_norm_there_is_no_norm_gap():
    assert "norm_gap" not in Looked(resolved(**{"network.generator_norm": "none"}), made_data()).look()
    assert "norm_gap" not in dense().look()


SMALL = {key: value for key, value in tiny.POINTS.items() if not key.startswith("network.")}


def bigan(data=None, **changes):
    tree = {"steps": 5, "network": {"name": "bigan-dense"}}
    base = {**SMALL, "game.name": "bidirectional", "network.hidden": [6, 6], "device": "cpu"}
    return Looked(recipe.resolve(recipe.change(tree, {**base, **changes})), data)


@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_reconstructions_are_of_held_out_samples(decay):
    looked = bigan(**{"ema.decay": decay, "network.init_linear": "orthogonal"})
    looked.step()
    for module in looked.now.networks.second_player().values():  # far from their average
        for parameter in module.parameters():
            parameter.data *= -2
    modules = {**looked.now.networks.named(), **looked.now.average}
    held = looked.watch.looked.held
    again = sampling.generate(modules["generator"], sampling.encode(modules["encoder"], held))
    by_hand = signals.moved(signals.features(again), signals.features(held))
    found = looked.look()["reconstruction"]
    assert math.isclose(found, by_hand / looked.watch._reference.distance, rel_tol=1e-4)
    assert 0 <= looked.look()["match"] <= 1
    assert not {"reconstruction", "match"} & dense().look().keys()


@pytest.mark.parametrize("engine", ENGINES)
def test_the_slope_of_a_linear_critic_is_its_weights_norm(engine):
    looked = dense(engine, **CLIPPED, **{"network.slope": 1.0, "precision": "float64"})
    product = looked.weights("discriminator.3.weight") @ looked.weights("discriminator.1.weight")
    assert math.isclose(looked.look()["critic_slope"], np.linalg.norm(product), rel_tol=1e-4)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_slope_is_the_numeric_one_at_points_between_real_and_generated_samples(engine):
    looked = dense(engine, made_data(side=4), **CLIPPED, precision="float64")
    samples = looked.watch.looked
    real, fake = samples.train[:64], looked.generate(samples.latent[:64], None)
    count = min(len(real), len(fake))
    place = streams.stream(0, "fixed", 2).random((count, 1, 1, 1), "float32")
    points = place * real[:count].astype(float) + (1 - place) * fake[:count]
    (w1, b1), (w2, b2) = (
        [looked.weights(f"discriminator.{layer}.{part}") for part in ("weight", "bias")] for layer in (1, 3)
    )

    def critic(x):
        hidden = x.reshape(count, -1) @ w1.T + b1
        return (np.maximum(hidden, 0.2 * hidden) @ w2.T + b2)[:, 0]

    squares = np.zeros(count)
    for pixel in range(16):
        step = 1e-6 * (np.arange(16) == pixel).reshape(1, 1, 4, 4)
        squares += ((critic(points + step) - critic(points - step)) / 2e-6) ** 2
    assert np.allclose(looked.inside().slopes, np.sqrt(squares), rtol=1e-4)
    assert math.isclose(looked.look()["critic_slope"], np.sqrt(squares.mean()), rel_tol=1e-4)
    assert "critic_slope" not in dense(engine).look()


PENALISED = {"objective.name": "wasserstein", "penalties": "interpolated"}


@pytest.mark.parametrize("bounded", [CLIPPED, PENALISED], ids=["clipped", "penalised"])
@pytest.mark.parametrize("engine", ENGINES)
def test_the_wasserstein_estimate_is_the_difference_of_mean_scores(engine, bounded):
    data = made_data(side=4)
    data.splits["validation"] = Split(data.splits["train"].samples[:9], None)
    looked = dense(engine, data, **bounded, precision="float64")
    looked.weights("discriminator.1.weight")[...] = 0
    looked.weights("discriminator.1.bias")[...] = 0
    looked.weights("discriminator.3.weight")[...] = 0
    looked.weights("discriminator.3.bias")[...] = 7
    assert looked.look()["wasserstein_estimate"] == 0
    looked.weights("discriminator.1.weight")[0, 5] = 3  # the score is 2 leaky(3 pixel) + 7
    looked.weights("discriminator.3.weight")[0, 0] = 2
    samples = looked.watch.looked
    pixels = [each[:, 0, 1, 1] for each in (samples.train, looked.generate(samples.latent, None))]
    real, fake = (np.where(pixel > 0, 6 * pixel, 0.2 * 6 * pixel).mean() + 7 for pixel in pixels)
    found = looked.look()
    assert abs(real - fake) > 0.01
    assert math.isclose(found["wasserstein_estimate"], real - fake, rel_tol=1e-4)
    assert "wasserstein_estimate" not in dense(engine).look()
    assert "wasserstein_estimate" not in dense(engine, penalties="interpolated").look()


@pytest.mark.parametrize("engine", ENGINES)
def test_clipped_is_the_share_of_weights_at_the_limit(engine):
    looked = dense(engine, made_data(side=4), **CLIPPED)
    names = [f"discriminator.{layer}.{part}" for layer in (1, 3) for part in ("weight", "bias")]
    for name in names:
        looked.weights(name)[...] = 0.01
    assert looked.look()["clipped"] == 0
    looked.weights("discriminator.1.weight")[:3] = -0.05
    looked.weights("discriminator.3.weight")[:] = 0.05
    sizes = 16 * 8 + 8 + 8 + 1
    assert math.isclose(looked.look()["clipped"], (3 * 16 + 8) / sizes, rel_tol=1e-4)
    assert "clipped" not in dense(engine).look()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_unit_whose_output_is_constant_is_dead(engine):
    hidden = {"network.generator_hidden": [8, 6], "network.discriminator_hidden": [8, 4]}
    looked = dense(engine, **hidden, **{"network.slope": 0.0})
    names = ["generator.1", "generator.3", "discriminator.2", "discriminator.4"]
    assert list(looked.look()["dead"]) == names
    assert max(looked.look()["dead"].values()) < 1
    latent = looked.watch.looked.latent
    direction = latent[100]  # a unit that only samples behind the first 64 reach is as good as dead
    assert (latent @ direction)[64:].max() > (latent @ direction)[:64].max() + 1
    looked.weights("generator.0.weight")[...] = direction
    looked.weights("generator.0.bias")[:2] = [-1e6, -(latent @ direction)[:64].max() - 0.5]
    looked.weights("discriminator.3.bias")[...] = -1e6
    found = looked.look()["dead"]
    assert [found["generator.1"], found["discriminator.4"]] == [0.25, 1.0]
    saturated = dense(engine, **{"network.activation": "tanh"})
    saturated.weights("generator.0.bias")[:4] = 1e6
    assert saturated.look()["dead"]["generator.1"] == 0.5


@pytest.mark.parametrize("output", ["tanh", "rational-tanh"])
def test_the_generators_output_is_no_hidden_layer(output):
    hidden = {"network.generator_hidden": [8, 6], "network.output": output, "network.activation": output}
    assert list(dense(**hidden).look()["dead"]) == ["generator.1", "generator.3", "discriminator.2"]


# ---------------------------------------------------------------- gradients and updates


@pytest.mark.parametrize(
    "changes", [{}, {"n_critic": 2}, {"penalties": "r1"}, {"optimizer.generator.l2": 0.1}]
)
def test_norms_are_those_of_the_parameters_before_and_after_a_step(changes):
    looked = dense(**changes)
    looked.step()
    before = parameters(looked.now)
    looked.step()
    after, found = parameters(looked.now), looked.look()
    named = [(n, m) for n, m in looked.now.networks.named().items()]
    gradients = {f"{n}.{k}": p.grad.numpy() for n, m in named for k, p in m.named_parameters()}
    for player in ("generator", "discriminator"):
        mine = [g.ravel() for name, g in gradients.items() if name.startswith(player)]
        total = np.linalg.norm(np.concatenate(mine))
        assert math.isclose(found[f"gradient_{player[0]}"], total, rel_tol=1e-4)
    assert math.isclose(found["gradient_ratio"], found["gradient_g"] / found["gradient_d"], rel_tol=1e-3)
    matrices = [name for name in after if name.endswith("weight")]
    assert list(found["update_ratio"]) == list(found["layer_gradient"]) == matrices
    for name in matrices:
        size = after[name].norm().item()
        update = (after[name] - before[name]).norm().item()
        assert update > 0
        assert math.isclose(found["update_ratio"][name], update / size, rel_tol=1e-4)
        gradient = np.linalg.norm(gradients[name])
        assert math.isclose(found["layer_gradient"][name], gradient / size, rel_tol=1e-4)


@pytest.mark.parametrize("engine", ENGINES)
def test_plain_descent_moves_by_rate_times_gradient(engine):
    rate = {"name": "sgd", "lr": 0.05}
    rates = {f"optimizer.{player}": rate for player in ("generator", "discriminator")}
    looked = dense(engine, precision="float64", **rates)
    looked.step()
    for name, layer in looked.layers.items():
        assert layer.gradient > 0
        assert math.isclose(layer.update, 0.05 * layer.gradient, rel_tol=1e-9), name


def test_spectrally_normalised_matrices_are_among_the_layers():
    looked = Looked(resolved(**{"network.discriminator_norm": "spectral"}), made_data())
    looked.step()
    names = [name for name in looked.look()["update_ratio"] if name.startswith("discriminator")]
    assert len(names) == 3  # 16 → 8 → 4 → 1
    assert all(name.endswith("parametrizations.weight.original") for name in names)


ALIKE = {
    "plain": {},
    "clipped": {**CLIPPED, "n_critic": 2},
    "interpolated": {"objective.name": "wasserstein", "penalties": "interpolated"},
    "averaged, decayed": {"ema.decay": 0.9, "optimizer.generator.l2": 0.01, "objective.name": "hinge"},
    "tanh, a row of biases": {"network.activation": "tanh", "scratch.bias": "row"},
}


@pytest.mark.parametrize("name", ALIKE)
def test_both_engines_see_the_same(name):
    changes = {"precision": "float64", "network.generator_hidden": [9, 7], **ALIKE[name]}
    seen = []
    for engine in ENGINES:
        own = {k: v for k, v in changes.items() if engine == "scratch" or not k.startswith("scratch")}
        looked = dense(engine, made_data(side=4), **own)
        looked.watch.remember(looked.generate)
        for _ in range(4):
            looked.step()
        seen.append((looked.layers, looked.inside(), looked.look()))
    (layers, inside, values), (also_layers, also_inside, also_values) = seen
    assert layers.keys() == also_layers.keys()
    for key, layer in layers.items():
        triples = [[each.weight, each.gradient, each.update] for each in (layer, also_layers[key])]
        assert np.allclose(*triples, rtol=1e-6), key
    for field in ("train", "held", "fake", "slopes", "clipped"):
        mine, other = getattr(inside, field), getattr(also_inside, field)
        assert (mine is None) == (other is None), field
        assert mine is None or np.allclose(mine, other, rtol=1e-6, atol=1e-9), field
    assert inside.dead == also_inside.dead
    assert flat(values).keys() == flat(also_values).keys()
    for key, value in flat(values).items():
        assert math.isclose(value, flat(also_values)[key], rel_tol=1e-4, abs_tol=1e-6), key


def flat(tree, prefix=""):
    """Numbers by dotted key."""
    if not isinstance(tree, dict):
        return {prefix: tree}
    return {k: v for key, part in tree.items() for k, v in flat(part, f"{prefix}.{key}").items()}


# ---------------------------------------------------------------- looking changes nothing

ADA = {"augmentations": "ada", "augmentations.ada.start": 0.5, "augmentations.ada.speed_images": 100}
LOOKED_AT = {
    "dcgan, averaged": ("dcgan", {"ema.decay": 0.9}),
    "dcgan, dropout": ("dcgan", {"network.dropout": 0.3}),
    "dcgan, ADA": ("dcgan", ADA),
    "dense, dropout": ("gan", {"network.dropout": 0.3}),
    "sngan": ("sngan", {}),
    "cgan": ("cgan", {}),
    "cgan, projection": ("cgan", {"network.condition": "projection"}),
    "acgan": ("acgan", {}),
    "bigan-dense": ("bigan-dense", {"data.name": "digits", "network.hidden": [6, 6]}),
    "wgan": ("wgan", {"n_critic": 2}),
    "wgan-gp": ("wgan-gp", {"n_critic": 1}),
    "scratch": ("gan", {"engine": "scratch", "ema.decay": 0.9, "penalties": "r1"}),
    "scratch, wgan": ("gan", {"engine": "scratch", **CLIPPED}),
    "scratch, estimated": ("gan", {"engine": "scratch", "scratch.gradient": "forward-gradient"}),
}


def changed(name, changes):
    """The smallest networks of a recipe."""
    base = {"gan": tiny.POINTS, "bigan-dense": SMALL}.get(name, tiny.TINY)
    return {**base, "device": "cpu", "checkpoint.every": 100, "sample.every": 100, **changes}


def state(now):
    """Everything of a training and of the process that a look might disturb, as bytes by name."""
    kept = {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": np.random.get_state()[1].tobytes(),
        "latent": str(streams.save(now.latent)),
        "places": str(streams.save(now.places)),
        "position": now.batches.position,
    }
    if not hasattr(now, "networks"):
        players = {"generator": now.generator, "discriminator": now.discriminator}
        for name, player in players.items():
            moments = {key: value.tobytes() for key, value in player.moments.items()}
            kept[name] = player.weights.tobytes(), player.slope.tobytes(), moments
        kept["average"] = None if now.average is None else now.average.tobytes()
        return kept
    modules = now.networks.named() | {f"average of {name}": each for name, each in now.average.items()}
    for name, module in modules.items():
        kept |= {f"{name}.{key}": value.numpy().tobytes() for key, value in module.state_dict().items()}
        kept[f"{name} modes"] = [each.training for each in module.modules()]
        hooks = [len(each._forward_hooks) + len(each._forward_pre_hooks) for each in module.modules()]
        kept[f"{name} hooks"] = hooks
        for key, value in module.named_parameters():
            gradient = None if value.grad is None else value.grad.numpy().tobytes()
            kept[f"{name}.{key} gradient"] = value.requires_grad, gradient
    kept["augmentations"] = [each.tolist() for each in now.augmentations]
    return kept


@pytest.mark.parametrize("name", LOOKED_AT)
def test_a_look_leaves_everything_as_it_was(name):
    base, changes = LOOKED_AT[name]
    it = plan(base, steps=5, changes=changed(base, changes))
    looked = Looked(it, it.data.load())
    looked.step()
    if it.engine == "torch":
        list(looked.now.networks.discriminator.modules())[-1].eval()  # a mode of its own is kept, too
    before = state(looked.now)
    looked.look()
    after = state(looked.now)
    assert [key for key in before if before[key] != after[key]] == []
    assert before.keys() == after.keys()


@pytest.fixture
def no_curves(monkeypatch):
    """Drawing them takes longer than training so small a network."""
    monkeypatch.setattr(pictures, "curves", lambda events: Image.new("L", (9, 9)))


def run(out, name="gan", steps=4, **changes):
    base, own = LOOKED_AT.get(name, (name, {}))
    with duel.train(base, out=out, steps=steps, changes=changed(base, {**own, **changes})) as session:
        return list(session)


@pytest.mark.usefixtures("no_curves")
@pytest.mark.parametrize("name", LOOKED_AT)
def test_a_run_ends_the_same_with_a_look_at_each_step_and_without_any(tmp_path, name):
    ends = {}
    for every in (0, 1):
        events = run(tmp_path / str(every), name, **{"signals.every": every})
        assert len([event for event in events if "values" in event]) == 4 * every
        ends[every] = tiny.weights(tmp_path / str(every))
    assert ends[0] == ends[1]


# ---------------------------------------------------------------- events


def looks(events):
    """The signal events but for their time."""
    return [
        {key: value for key, value in event.items() if key != "time"}
        for event in events
        if event["event"] == "signal"
    ]


@pytest.mark.usefixtures("no_curves")
def test_looks_come_at_their_steps_after_the_facts(tmp_path):
    events = looks(run(tmp_path / "run", steps=7, **{"signals.every": 3}))
    assert [event["step"] for event in events] == [0, 3, 6]
    assert [set(event) - {"event", "step"} for event in events] == [{"facts"}, {"values"}, {"values"}]
    assert events == looks(duel.load(tmp_path / "run").events())
    assert events[0]["facts"]["train"] == sum(events[0]["facts"]["class_counts"])
    assert events[1]["values"]["movement"] > 0  # since step 0
    assert looks(run(tmp_path / "none", steps=7, **{"signals.every": 0})) == []


@pytest.mark.usefixtures("no_curves")
@pytest.mark.parametrize("name", ["dcgan, averaged", "cgan", "bigan-dense", "scratch"])
def test_a_run_that_is_taken_up_at_a_look_sees_what_the_whole_one_sees(tmp_path, name):
    for out, parts in (("whole", [8]), ("cut", [4, 8])):
        for steps in parts:
            run(tmp_path / out, name, steps, **{"signals.every": 2})
    whole, cut = (looks(duel.load(tmp_path / out).events()) for out in ("whole", "cut"))
    assert [event["step"] for event in cut] == [0, 2, 4, 6, 8]
    assert cut == whole


@pytest.mark.usefixtures("no_curves")
def test_between_looks_a_run_can_be_taken_up_too_and_may_look_more_often(tmp_path):
    run(tmp_path / "run", steps=5, **{"signals.every": 2})
    run(tmp_path / "run", steps=8, **{"signals.every": 1})
    run(tmp_path / "run", steps=9, **{"signals.every": 0})
    events = looks(duel.load(tmp_path / "run").events())
    assert [event["step"] for event in events] == [0, 2, 4, 6, 7, 8]
    assert all(event["values"]["movement"] > 0 for event in events[1:])


def strict(name):
    raise AssertionError(f"{name} is no JSON")


@pytest.mark.usefixtures("no_curves")
@pytest.mark.parametrize("name", ["gan", "dcgan", "cgan", "bigan-dense", "wgan", "scratch"])
def test_values_are_json_in_a_training_that_diverges_too(tmp_path, name):
    rate = {"name": "sgd", "lr": 1e30}
    steps = {"signals.every": 1, "log.every": 100}
    changes = {**steps, "optimizer.generator": rate, "optimizer.discriminator": rate}
    own = {"constraints": "none"} if "wgan" in name else {}
    events = run(tmp_path / "run", name, 6, **changes, **own)
    assert events[-1]["reason"] == "nonfinite"
    text = (tmp_path / "run" / "events.jsonl").read_text()
    found = looks([json.loads(line, parse_constant=strict) for line in text.splitlines()])
    assert [event["step"] for event in found] == [0, 1, 2, 3, 4, 5, 6][: len(found)]
    assert any(value is None for event in found[1:] for value in flat(event["values"]).values())


# ---------------------------------------------------------------- what is looked at


@pytest.mark.parametrize("counts", [(1, 0), (1, 1), (3, 0), (2, 1)])
@pytest.mark.parametrize("name", ["dense", "scratch", "dcgan", "bigan"])
def test_a_few_samples_are_enough(name, counts):
    images = made_data(4).splits["train"].samples
    train, held = (Split(part, None) for part in (images[: counts[0]], images[3 : 3 + counts[1]]))
    data = Data("made", Spec("image", (1, 16, 16)), {"train": train, "validation": held, "test": held}, "f")
    looked = {
        "dense": dense,
        "scratch": lambda data: dense("scratch", data),
        "dcgan": lambda data: Looked(resolved(), data),
        "bigan": bigan,
    }[name](data=data)
    looked.step()
    found = looked.look()
    json.dumps(found, allow_nan=False)
    assert ("logit_held" in found) == bool(counts[1])
    assert (found["diversity"] is None) == (counts[0] == 1)


def test_the_samples_that_are_looked_at_are_fixed_ones_of_their_splits():
    data = made_data(300, side=8, classes=CLASSES)
    other = Split(255 - data.splits["train"].samples[:250], data.splits["train"].labels[:250])
    data.splits["validation"] = other
    it = resolved("gan", **{"game.name": "conditional"})
    first, again = Watch(it, data).looked, Watch(it, data).looked
    for field in ("train", "train_labels", "held", "held_labels", "latent", "labels"):
        assert np.array_equal(getattr(first, field), getattr(again, field)), field
        assert len(getattr(first, field)) == 200
    for field, split in (("train", data.splits["train"]), ("held", other)):
        of_split = {image.tobytes(): label for image, label in zip(split.samples, split.labels, strict=True)}
        images = np.rint((getattr(first, field) + 1) * 127.5).astype(np.uint8)
        labels = [of_split.pop(image.tobytes()) for image in images]  # each one once
        assert labels == getattr(first, f"{field}_labels").tolist()
    assert np.bincount(first.labels).tolist() == [67, 67, 66]
    seeded = resolved("gan", **{"game.name": "conditional", "seed": 1})
    assert not np.array_equal(Watch(seeded, data).looked.latent, first.latent)
    plain = Watch(resolved("gan", **{"latent.prior": "uniform"}), data).looked
    assert plain.train_labels is plain.held_labels is plain.labels is None
    assert np.abs(plain.latent).max() <= 1


def test_what_stands_between_two_looks_may_not_be_negative():
    with pytest.raises(RecipeError, match=r"every is -1, allowed are integers from 0 \(no looks\)"):
        resolved("gan", **{"signals.every": -1})
    assert resolved("gan", **{"signals.every": 0}).signals.every == 0
