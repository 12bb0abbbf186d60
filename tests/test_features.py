"""What every feature space promises, and what each one does."""

import json

import numpy as np
import pytest
import torch

from duel import catalog
from duel.classifier import Trainer
from duel.datasets._base import Data, Spec, Split, fingerprint
from duel.datasets.digits import Digits
from duel.errors import DataError
from duel.features._base import Embedded
from duel.features._images import in_chunks
from duel.features.classifier import Classifier
from duel.features.pixels import Pixels
from duel.features.random_ import Random

SPACES = catalog.names("features")
OPTIONS = {"inception": {"random_weights": True}}  # the published weights are not here
SEEDED = [
    space for space in SPACES if any(o.name == "seed" for o in catalog.entry("features", space).options)
]


def made_images(count, shape, labels=True):
    """Noise with one bright row; its half is the label."""
    rng = np.random.default_rng(count)
    images = rng.integers(0, 60, (count, *shape), np.uint8)
    rows = rng.integers(0, shape[1], count)
    images[np.arange(count), :, rows] += 190
    return Split(images, (rows >= shape[1] // 2).astype(np.int64) if labels else None)


def made_data(shape=(1, 8, 8), labels=True, test=20):
    parts = {"train": 60, "validation": 1, "test": test}
    splits = {name: made_images(count, shape, labels) for name, count in parts.items()}
    spec = Spec("image", shape, ("upper", "lower") if labels else ())
    return Data("made", spec, splits, fingerprint(spec, splits) if test else "no test images")


def made_points():
    points = np.random.default_rng(0).uniform(-1, 1, (30, 2)).astype(np.float32)
    split = Split(points, np.zeros(30, np.int64))
    spec = Spec("points", (2,), ("one",), 2.0)
    return Data("made", spec, {"train": split, "validation": split, "test": split}, "points")


def space(name, **options):
    return catalog.load_class("features", name)(**{**OPTIONS.get(name, {}), **options})


@pytest.fixture(scope="module", params=[(1, 8, 8), (3, 20, 20)], ids=["grey", "colour"])
def data(request):
    return made_data(request.param)


@pytest.fixture(scope="module", params=SPACES)
def extractor(request, data, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield space(request.param).prepare(data, Trainer())


class TestEverySpace:
    def test_gives_finite_float32_vectors_of_its_dimension(self, extractor, data):
        features, logits = extractor.embed(data.splits["test"].samples[:3])
        assert features.shape == (3, extractor.dimension)
        assert features.dtype == np.float32
        assert np.isfinite(features).all()
        if logits is not None:
            assert logits.dtype == np.float32
            assert logits.ndim == 2
            assert np.isfinite(logits).all()

    def test_tells_samples_apart(self, extractor, data):
        features = extractor.embed(data.splits["test"].samples[:3]).features
        assert len(np.unique(features, axis=0)) == 3

    def test_gives_the_same_for_the_same_and_changes_nothing_else(self, extractor, data):
        samples = data.splits["test"].samples[:3].copy()
        samples.flags.writeable = False  # as a memory map is
        state, threads = torch.get_rng_state(), torch.get_num_threads()
        first, second = extractor.embed(samples), extractor.embed(samples)
        np.testing.assert_array_equal(first.features, second.features)
        assert torch.equal(torch.get_rng_state(), state)
        assert torch.get_num_threads() == threads

    def test_embeds_each_sample_by_itself(self, extractor, data):
        samples = data.splits["test"].samples[:4]
        together = extractor.embed(samples)
        for row, sample in enumerate(samples):
            alone = extractor.embed(sample[None])
            np.testing.assert_allclose(alone.features[0], together.features[row], atol=1e-4, rtol=1e-4)
            if together.logits is not None:
                np.testing.assert_allclose(alone.logits[0], together.logits[row], atol=1e-4, rtol=1e-4)

    def test_has_a_name_and_a_digest(self, extractor):
        assert any(extractor.name in (name, f"{name}-random") for name in SPACES)
        assert len(bytes.fromhex(extractor.digest)) == 32


@pytest.mark.parametrize("name", SPACES)
def test_preparing_again_gives_the_same_and_leaves_torchs_generator_alone(name):
    data, state = made_data(), torch.get_rng_state()
    first = space(name).prepare(data, Trainer())
    assert torch.equal(torch.get_rng_state(), state)
    again = space(name).prepare(data, Trainer())
    assert (first.digest, first.accuracy, first.notes) == (again.digest, again.accuracy, again.notes)
    samples = data.splits["test"].samples[:2]
    np.testing.assert_array_equal(first.embed(samples).features, again.embed(samples).features)


@pytest.mark.parametrize("name", SEEDED)
def test_another_seed_is_another_space(name):
    data = made_data()
    one, other = (space(name, seed=seed).prepare(data, Trainer()) for seed in (0, 1))
    assert one.digest != other.digest
    samples = data.splits["test"].samples[:2]
    assert not np.allclose(one.embed(samples).features, other.embed(samples).features)


@pytest.mark.parametrize("name", SEEDED)
def test_a_negative_seed_is_refused(name):
    with pytest.raises(ValueError, match="seed is -1"):
        space(name, seed=-1)


@pytest.mark.parametrize("name", [name for name in SPACES if name != "pixels"])
def test_points_are_refused_where_a_network_needs_images(name):
    with pytest.raises(DataError, match="these data are points: use pixels"):
        space(name).prepare(made_points(), Trainer())


def test_samples_pass_a_few_at_a_time_and_come_back_in_order():
    seen = []

    def embed(samples):
        seen.append(len(samples))
        return Embedded(samples, 2 * samples)

    samples = np.arange(7.0).reshape(7, 1)
    features, logits = in_chunks(embed, samples, 3)
    assert seen == [3, 3, 1]
    np.testing.assert_array_equal(features, samples)
    np.testing.assert_array_equal(logits, 2 * samples)


class TestPixels:
    def test_images_are_flat_in_0_to_1(self):
        images = np.array([[[[0, 51], [102, 255]]]], np.uint8)
        embedded = Pixels().prepare(made_data(), Trainer()).embed(images)
        np.testing.assert_allclose(embedded.features, [[0, 0.2, 0.4, 1]], rtol=1e-6)
        assert embedded.logits is None

    def test_points_stay_as_they_are(self):
        points = made_points()
        extractor = Pixels().prepare(points, Trainer())
        assert extractor.dimension == 2
        np.testing.assert_array_equal(
            extractor.embed(points.splits["test"].samples).features, points.splits["test"].samples
        )


class TestRandom:
    @pytest.mark.parametrize("shape", [(1, 4, 4), (1, 5, 9), (4, 28, 28), (3, 128, 128)])
    def test_any_size_and_channels(self, shape):
        data = made_data(shape)
        features = Random().prepare(data, Trainer()).embed(data.splits["test"].samples[:2]).features
        assert features.shape == (2, 256)

    def test_it_says_what_its_numbers_are_worth(self):
        notes = Random().prepare(made_data(), Trainer()).notes
        assert notes == ("random features: orderings, not absolute values",)

    def test_more_noise_is_farther_away(self):
        data, rng = Digits().load(), np.random.default_rng(0)
        clean = data.splits["test"].samples
        embed = Random().prepare(data, Trainer()).embed
        distances = []
        for share in (0.05, 0.2, 0.8):
            noise = rng.integers(0, 256, clean.shape, np.uint8)
            noisy = np.where(rng.random(clean.shape) < share, noise, clean)
            difference = embed(noisy).features.mean(0) - embed(clean).features.mean(0)
            distances.append(np.linalg.norm(difference))
        assert distances == sorted(distances)


class NoTraining(Trainer):
    """A trainer that must not be asked to train."""

    def train(self, samples, labels, classes, seed=0):
        raise AssertionError("trained although the cache has it")


class Constant(Trainer):
    """Trains in no time, and badly: every image gets class 0."""

    def train(self, samples, labels, classes, seed=0):
        return super().train(samples[:1], labels[:1] * 0, classes, seed)


class TestClassifier:
    def folder(self, cache):
        (found,) = (cache / "duel" / "features").iterdir()
        return found

    def test_the_second_time_it_comes_from_the_cache(self, own_cache):
        data = made_data()
        first = Classifier().prepare(data, Constant())
        again = Classifier().prepare(data, NoTraining())
        assert (first.digest, first.accuracy, first.notes) == (again.digest, again.accuracy, again.notes)
        assert self.folder(own_cache).name == f"classifier-{Trainer.version}-0-{data.fingerprint}"

    @pytest.mark.parametrize("change", ["data", "seed", "rules"])
    def test_other_data_seed_or_rules_are_trained(self, change, monkeypatch):
        Classifier().prepare(made_data(), Constant())
        if change == "rules":
            monkeypatch.setattr(Trainer, "version", Trainer.version + 1)
        data = made_data(test=21 if change == "data" else 20)
        with pytest.raises(AssertionError, match="trained although"):
            Classifier(seed=int(change == "seed")).prepare(data, NoTraining())

    @pytest.mark.parametrize("damage", ["weights", "digest", "index", "cut", "gone", "accuracy", "shape"])
    def test_a_damaged_cache_is_trained_anew(self, own_cache, damage):
        data = made_data()
        before = Classifier().prepare(data, Constant())
        weights, index = (self.folder(own_cache) / name for name in ("weights.safetensors", "index.json"))
        content, written = weights.read_bytes(), json.loads(index.read_text())
        match damage:
            case "weights":
                weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
            case "digest":
                index.write_text(json.dumps({**written, "digest": "0" * 64}))
            case "index":
                index.write_text("{")
            case "cut":
                weights.write_bytes(content[:100])
            case "gone":
                weights.unlink()
            case "accuracy":
                index.write_text(json.dumps({**written, "accuracy": "good"}))
            case "shape":
                other = Trainer().train(np.zeros((4, 3, 8, 8), np.uint8), np.zeros(4, np.int64), 2)
                weights.write_bytes(other.to_bytes())
                index.write_text(json.dumps({**written, "digest": other.digest}))
        with pytest.raises(AssertionError, match="trained although"):
            Classifier().prepare(data, NoTraining())
        assert Classifier().prepare(data, Constant()).digest == before.digest
        assert Classifier().prepare(data, NoTraining()).digest == before.digest

    def test_its_accuracy_is_that_on_the_test_split_and_stands_beside_it(self):
        data = made_data()
        shares = {name: (split.labels == 0).mean() for name, split in data.splits.items()}
        assert shares["test"] not in (shares["train"], shares["validation"])
        extractor = Classifier().prepare(data, Constant())
        assert extractor.accuracy == shares["test"]
        assert f"test accuracy {100 * extractor.accuracy:.1f} %" in extractor.notes[0]

    def test_a_weak_classifier_is_called_weak(self):
        data = made_data()
        extractor = Classifier().prepare(data, Constant())
        assert extractor.accuracy == (data.splits["test"].labels == 0).mean() < 0.9
        assert "weak classifier" in extractor.notes[1]

    def test_without_test_images_it_says_so(self):
        data = made_data(test=0)
        for trainer in (Constant(), NoTraining()):
            extractor = Classifier().prepare(data, trainer)
            assert extractor.accuracy is None
            assert "not tested" in extractor.notes[0]

    def test_data_without_labels_are_refused_with_a_way_out(self):
        with pytest.raises(DataError, match="made have no labels: use --features random"):
            Classifier().prepare(made_data(labels=False), NoTraining())

    def test_a_cache_that_cannot_be_written_is_named(self, own_cache):
        (own_cache / "duel").write_text("a file where a folder should be")
        with pytest.raises(DataError, match=r"cannot be kept in .* or set XDG_CACHE_HOME"):
            Classifier().prepare(made_data(), Constant())
