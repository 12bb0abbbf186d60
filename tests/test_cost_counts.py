"""What is counted of a step beside its operations: memory; and what a machine is measured by."""

import numpy as np
import pytest
import torch
from tiny import made_data
from torch.utils.flop_counter import FlopCounterMode

from duel import cost
from duel import recipe as recipes
from duel.datasets._base import Data, Spec, Split
from duel.train import start

SMALL = {"threads": 1, "device": "cpu", "batch_size": 8, "steps": 4}


def resolved(name, **changes):
    return recipes.resolve(recipes.change(recipes.read(name), {**SMALL, "network.width": 8, **changes}))


@pytest.fixture
def data():
    return made_data(64, 16, 1)


def memory(data, name="dcgan", **changes):
    return cost.step_counts(resolved(name, **changes), data).memory


def test_memory_is_the_same_each_time_and_grows_by_as_much_with_each_sample(data):
    one, two, three = (memory(data, batch_size=size) for size in (20, 40, 60))
    assert two - one == three - two > 0
    assert memory(data, batch_size=20) == one


def test_weights_gradients_and_two_moments_are_among_it(data):
    wide = {"network.width": 64, "batch_size": 2}
    networks = start(resolved("dcgan", **wide), data).networks
    weights = sum(part.numel() for module in networks.named().values() for part in module.parameters())
    found = memory(data, **wide)
    assert 16 * weights < found < 16 * weights * 1.5


def test_averaged_weights_are_one_more_copy_of_the_generator(data):
    generator = start(resolved("dcgan"), data).networks.generator
    copy = sum(part.nbytes for part in generator.state_dict().values())
    assert memory(data, **{"ema.decay": 0.9}) - memory(data) == copy


def test_one_count_gives_operations_and_memory(data):
    it = resolved("wgan-gp")
    counted = cost.step_counts(it, data)
    assert counted.flops == cost.step_flops(it, data) > 0
    assert counted.memory > memory(data, "wgan-gp", batch_size=4) > 0


def test_data_weigh_what_their_arrays_do_once_each_and_nothing_where_they_lie_in_a_file(tmp_path):
    def of(train, other):
        splits = {"train": train, "validation": other, "test": other}
        return cost.data_bytes(Data("made", Spec("image", (1, 8, 8)), splits, ""))

    images, labels = np.zeros((10, 1, 8, 8), np.uint8), np.zeros(10, np.int64)
    assert of(Split(images[:6], labels[:6]), Split(images[6:], labels[6:])) == 640 + 80
    assert of(Split(images, None), Split(images.copy(), None)) == 1280
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    assert of(Split(mapped[:6], labels[:6]), Split(mapped[6:], labels[6:])) == 80
    assert of(Split(mapped[[0, 2]], None), Split(mapped[6:], None)) == 128  # chosen one by one: a copy


def test_the_yardsticks_operations_are_those_that_pytorch_counts():
    kinds = []
    for play, flops in cost.yardsticks("cpu"):
        with FlopCounterMode(display=False) as counter:
            play()
        assert counter.get_total_flops() == flops
        kinds += [str(each) for each in counter.get_flop_counts()["Global"]]
    assert kinds == ["aten.mm", "aten.convolution"]


def test_the_fastest_yardstick_is_the_machines(monkeypatch):
    """The same work, said to be ever more: only the claim differs between the yardsticks."""

    def play():
        return torch.zeros(1)

    monkeypatch.setattr(cost, "yardsticks", lambda device: [(play, 1e3), (play, 1e30), (play, 1e6)])
    cost._peak_flops.cache_clear()
    try:
        assert cost.peak_flops(resolved("dcgan")) > 1e27
    finally:
        cost._peak_flops.cache_clear()
