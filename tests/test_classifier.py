"""The classifier that is trained on the data at hand."""

import numpy as np
import pytest
import torch
from safetensors.torch import save

from duel import classifier, io
from duel.classifier import Trainer
from duel.datasets.digits import Digits
from duel.errors import DataError

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def digits_classifier():
    """Trained as the feature space trains it."""
    train = Digits().load().splits["train"]
    return Trainer().train(train.samples, train.labels, 10)


def stripes(count, shape=(1, 8, 8)):
    """Images with one bright row, whose half (upper, lower) is the label."""
    rows = RNG.integers(0, shape[1], count)
    images = RNG.integers(0, 60, (count, *shape), np.uint8)
    images[np.arange(count), :, rows] += 190
    return images, (rows >= shape[1] // 2).astype(np.int64)


def accuracy(trained, images, labels):
    return (trained.embed(images).logits.argmax(1) == labels).mean()


def test_digits_are_read(digits_classifier):
    test = Digits().load().splits["test"]
    assert accuracy(digits_classifier, test.samples, test.labels) >= 0.96


def test_equal_seeds_give_equal_weights_and_others_do_not():
    images, labels = stripes(40)
    first, second, other = (Trainer().train(images, labels, 2, seed) for seed in (1, 1, 2))
    assert first.to_bytes() == second.to_bytes()
    assert first.digest == second.digest != other.digest


def test_neither_torchs_generator_nor_its_threads_are_moved():
    images, labels = stripes(40)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    trained = Trainer().train(images, labels, 2)
    Trainer().load(trained.to_bytes(), (1, 8, 8), 2)
    trained.embed(images)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_torchs_generator_does_not_move_the_result():
    images, labels = stripes(40)
    digests = []
    for seed in (0, 1):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            digests.append(Trainer().train(images, labels, 2).digest)
    assert digests[0] == digests[1]


@pytest.mark.parametrize(
    "shape", [(1, 8, 8), (3, 16, 16), (3, 17, 12), (1, 28, 28), (3, 32, 32), (2, 128, 128)]
)
def test_any_size_and_channels(shape):
    images, labels = stripes(3, shape)
    trained = Trainer().train(images, labels, 5)
    features, logits = trained.embed(images)
    assert features.shape == (3, trained.dimension)
    assert logits.shape == (3, 5)
    assert features.dtype == logits.dtype == np.float32
    assert np.isfinite(features).all()
    assert np.isfinite(logits).all()


def test_something_is_learned_from_little():
    images, labels = stripes(400)
    seen = Trainer().train(images, labels, 2)
    assert accuracy(seen, *stripes(200)) > 0.9


def test_a_round_trip_of_the_weights_changes_nothing(digits_classifier):
    content = digits_classifier.to_bytes()
    again = Trainer().load(content, (1, 8, 8), 10)
    assert again.to_bytes() == content
    assert again.digest == digits_classifier.digest == io.sha256(content)
    images = stripes(5)[0]
    np.testing.assert_array_equal(again.embed(images).logits, digits_classifier.embed(images).logits)


def test_embedding_does_not_depend_on_the_neighbours_nor_on_the_number(digits_classifier, monkeypatch):
    images = stripes(9)[0]
    together = digits_classifier.embed(images)
    monkeypatch.setattr(classifier, "_AT_ONCE", 2)
    apart = digits_classifier.embed(images)
    np.testing.assert_allclose(apart.features, together.features, atol=1e-4)
    np.testing.assert_allclose(apart.logits, together.logits, atol=1e-4)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"\x80\x04pickle", save({"weight": torch.zeros(1)})], ids=["0", "1", "2", "3"]
)
def test_bytes_that_are_no_such_weights_are_refused(content):
    with pytest.raises(DataError, match="no classifier of 1×8×8 images into 10 classes"):
        Trainer().load(content, (1, 8, 8), 10)


def test_weights_of_another_shape_are_refused(digits_classifier):
    with pytest.raises(DataError, match="no classifier of 3×8×8 images into 10 classes"):
        Trainer().load(digits_classifier.to_bytes(), (3, 8, 8), 10)


def test_no_images_are_refused():
    with pytest.raises(DataError, match="no images"):
        Trainer().train(np.empty((0, 1, 8, 8), np.uint8), np.empty(0, np.int64), 2)


class TestAugmentation:
    def test_only_colour_images_are_mirrored(self):
        column = np.zeros((200, 1, 9, 9), np.uint8)
        column[..., 1] = 255
        grey = classifier.augmented(column, np.random.default_rng(0))
        colour = classifier.augmented(np.repeat(column, 3, 1), np.random.default_rng(0))
        assert grey[..., 7].max() == 0
        assert 50 < (colour[:, 0, 0, 7] == 255).sum() < 150

    @pytest.mark.parametrize(("side", "most"), [(8, 0), (13, 0), (16, 1), (28, 2), (64, 2)])
    def test_images_move_by_few_pixels_each_way(self, side, most):
        points = np.zeros((300, 1, side, side), np.uint8)
        points[:, 0, 5, 4] = 255
        moved = classifier.augmented(points, np.random.default_rng(0))
        rows, columns = np.nonzero(moved[:, 0])[1:]
        assert len(rows) == 300
        assert set(rows - 5) == set(columns - 4) == set(range(-most, most + 1))

    def test_the_gap_is_filled_with_the_edge(self):
        bright = np.full((50, 1, 28, 28), 200, np.uint8)
        assert (classifier.augmented(bright, np.random.default_rng(0)) == 200).all()


def test_training_says_that_it_takes_time_and_how_much(caplog):
    samples = np.zeros((64, 1, 8, 8), np.uint8)
    with caplog.at_level("INFO", "duel"):
        Trainer().train(samples, np.arange(64) % 2, 2)
    first, *rest = caplog.messages
    assert first == "training a classifier on 64 images, once for these data and this seed"
    assert 1 <= len(rest) <= 9
    assert all("s left" in line for line in rest)
