"""Random streams and batches: what two engines and a resumed run rely on."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duel import streams
from duel.batches import Batches


def test_the_same_seed_and_purpose_give_the_same_numbers_and_any_other_gives_others():
    draws = {
        (seed, purpose, number): tuple(streams.stream(seed, purpose, number).random(3))
        for seed in (0, 1)
        for purpose in ("init", "data", "latent", "fixed", "eval")
        for number in (0, 1)
    }
    assert len(set(draws.values())) == len(draws)
    assert tuple(streams.stream(1, "latent").random(3)) == draws[1, "latent", 0]


def test_the_streams_are_those_of_every_earlier_version():
    """Stored results depend on these numbers: they must never change."""
    assert streams.stream(0, "init").integers(1 << 30) == 18494751
    assert streams.stream(7, "eval", 2).integers(1 << 30) == 27039227


def test_a_stream_goes_on_from_its_saved_state():
    rng = streams.stream(3, "latent")
    rng.standard_normal(17, np.float32)
    state = json.loads(json.dumps(streams.save(rng)))
    ahead = rng.standard_normal(5, np.float32)
    other = streams.stream(99, "data")
    streams.restore(other, state)
    assert np.array_equal(other.standard_normal(5, np.float32), ahead)


@pytest.mark.parametrize("prior", ["normal", "uniform"])
def test_fewer_latent_vectors_are_the_first_of_more(prior):
    many = streams.draw_latent(streams.stream(5, "eval"), 100, 7, prior)
    few = streams.draw_latent(streams.stream(5, "eval"), 30, 7, prior)
    assert many.dtype == np.float32
    assert many.shape == (100, 7)
    assert np.array_equal(many[:30], few)


def test_the_priors_are_what_they_are_called():
    normal = streams.draw_latent(streams.stream(0, "eval"), 20_000, 2, "normal")
    uniform = streams.draw_latent(streams.stream(0, "eval"), 20_000, 2, "uniform")
    assert abs(normal.std() - 1) < 0.02
    assert np.abs(uniform).max() <= 1
    assert abs(uniform.std() - 3**-0.5) < 0.01


def test_every_epoch_holds_each_sample_once_and_the_short_batch_joins_the_next():
    samples = np.arange(10)
    batches = Batches(samples, 4, seed=0)
    drawn = np.concatenate([batches.next() for _ in range(5)])
    assert sorted(drawn[:10]) == list(range(10))
    assert sorted(drawn[10:]) == list(range(10))
    assert not np.array_equal(drawn[:10], drawn[10:])


@given(count=st.integers(1, 20), size=st.integers(1, 50), skip=st.integers(0, 30))
def test_any_position_can_be_taken_up_again(count, size, skip):
    samples = np.arange(count)
    batches = Batches(samples, size, seed=1)
    for _ in range(skip):
        batches.next()
    again = Batches(samples, size, seed=1, position=batches.position)
    assert np.array_equal(batches.next(), again.next())
