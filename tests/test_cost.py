"""What a step costs, and where its time goes."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from tiny import command, made_data
from torch.utils.flop_counter import FlopCounterMode

from duel import cost, profiling
from duel import recipe as recipes
from duel.errors import RecipeError
from duel.train import play_step, start

SMALL = {"threads": 1, "device": "cpu", "batch_size": 8, "steps": 4}


def resolved(name, **changes):
    return recipes.resolve(recipes.change(recipes.read(name), {**SMALL, **changes}))


@pytest.fixture
def data():
    return made_data(32, 16, 1, classes=tuple("01"))


def test_operations_are_those_that_pytorch_counts(data):
    it = resolved("dcgan", **{"network.width": 4})
    now = start(it, data)
    with FlopCounterMode(display=False) as counter:
        play_step(it, now)
    assert cost.step_flops(it, data) == counter.get_total_flops() > 0


def test_a_dense_layer_is_counted_by_hand(data):
    """8 samples, 16² pixels, one hidden layer of 5: per pass 2·(in·5 + 5·out) for each sample."""
    it = resolved(
        "gan", **{"network.generator_hidden": [5], "network.discriminator_hidden": [5], "latent.size": 3}
    )
    g, d = 2 * 8 * 3 * 5 + 2 * 8 * 5 * 256, 2 * 8 * 256 * 5 + 2 * 8 * 5 * 1
    first_of_g, first_of_d = 2 * 8 * 3 * 5, 2 * 8 * 256 * 5  # no gradient is taken to their inputs
    generator = g + (2 * g - first_of_g)
    discriminator = 2 * (d + 2 * d - first_of_d)
    through_discriminator = d + d  # in the generator's update: forward, and back to its input
    assert cost.step_flops(it, data) == generator + discriminator + through_discriminator


def test_penalties_and_critic_steps_cost_more(data):
    plain = {"network.width": 4, "network.discriminator_norm": "none"}
    one = cost.step_flops(resolved("dcgan", **plain), data)
    assert cost.step_flops(resolved("dcgan", **plain, penalties="r1"), data) > one
    rising = {"values": [1, 3], "at": [0, 2], "shape": "step"}
    twice = cost.step_flops(resolved("dcgan", **plain, n_critic=2), data)
    assert cost.step_flops(resolved("dcgan", **plain, n_critic=rising), data) == pytest.approx(
        one * (2 * 1 + 2 * 3) / 4
    )
    assert one < twice < 2 * one + 1


def test_a_budget_buys_steps_at_the_price_of_each():
    """A step costs 1 + n_critic here."""

    def price(recipe):
        return 1 + recipe.n_critic

    assert cost.steps_within(resolved("dcgan"), 100, price) == 50
    rising = resolved("dcgan", n_critic={"values": [1, 4], "at": [0, 10], "shape": "step"})
    assert cost.steps_within(rising, 100, price) == 10 + (100 - 20) / 5
    assert cost.steps_within(rising, 12, price) == 6
    late = resolved("dcgan", n_critic={"values": [1, 4, 2], "at": [5, 10, 12], "shape": "step"})
    assert cost.steps_within(late, 90, price) == 12 + (90 - 20 - 10) / 3
    assert cost.steps_within(rising, 0.1, price) == 1


def test_the_scratch_engine_has_seconds_but_no_count(data):
    it = resolved("gan", engine="scratch", **{"network.generator_hidden": [5]})
    assert cost.step_seconds(it, data) > 0
    with pytest.raises(RecipeError, match="engine=scratch"):
        cost.step_flops(it, data)


def test_timing_leaves_torchs_count_of_images_alone(data):
    """The mean step of a rising n_critic is dearer than the first."""
    it = resolved("dcgan", **{"network.width": 4})
    assert cost.step_seconds(it, data) > 0
    assert cost.peak_flops(it) > 1e6


def test_the_table_has_a_row_for_each_and_says_what_is_refused(capsys, monkeypatch):
    small = ("--set", "network.width=4", "--set", "steps=10")
    status, out, _ = command(
        capsys, monkeypatch, "bench", "dcgan", "gan", "--data", "digits", *small, "--json"
    )
    assert status == 0
    rows = {row["recipe"]: row for row in json.loads(out)["recipes"]}
    assert rows["dcgan"]["steps"] == 10
    assert rows["dcgan"]["seconds"] == pytest.approx(10 * rows["dcgan"]["step"] / 1e3)
    assert rows["dcgan"]["images"] == pytest.approx(64 / rows["dcgan"]["step"] * 1e3)
    assert "network.width" in rows["gan"]["refused"]
    status, out, _ = command(capsys, monkeypatch, "bench", "dcgan", "--data", "digits", *small)
    assert out.splitlines()[0].split()[:2] == ["recipe", "ms/step"]
    assert out.splitlines()[1].startswith("dcgan ")


@pytest.mark.filterwarnings("ignore:.*record_function.*")
def test_a_profile_names_the_parts_and_writes_a_trace(capsys, monkeypatch, tmp_path):
    trace = tmp_path / "trace.json"
    given = ("train", "wgan-gp", "--data", "digits", "--set", "network.width=4", "--profile", trace)
    status, out, _ = command(capsys, monkeypatch, *given)
    assert status == 0
    for part in ("discriminator's updates", "within them: penalties", "aten::", str(trace)):
        assert part in out
    assert "traceEvents" in json.loads(trace.read_text())
    assert not list(tmp_path.glob(".*"))


def test_a_profile_needs_a_recipe_and_pytorch(capsys, monkeypatch, tmp_path, data):
    status, _, err = command(capsys, monkeypatch, "train", "--profile", tmp_path / "t.json")
    assert (status, "--profile needs a recipe" in err) == (2, True)
    status, _, err = command(capsys, monkeypatch, "train", "gan", "--profile", "t.json", "--dry-run")
    assert (status, "leave out" in err) == (2, True)
    with pytest.raises(RecipeError, match="engine=torch"):
        profiling.profile(resolved("gan", engine="scratch"), data, tmp_path / "t.json")


def test_what_is_timed_does_not_touch_the_global_stream():
    """Two resolutions of one recipe start alike, whatever was timed between them."""
    data = made_data(16, 8, 1)
    it = resolved("gan", **{"network.generator_hidden": [4]})
    before = start(it, data).networks.generator.state_dict()
    cost.step_seconds(it, data)
    after = start(it, data).networks.generator.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert np.isfinite(next(iter(before.values())).numpy()).all()


def test_an_option_is_no_file_for_a_trace_and_nothing_timed_is_no_success(capsys, monkeypatch):
    status, _, err = command(capsys, monkeypatch, "train", "gan", "--profile", "--quiet")
    assert (status, "name of a file" in err) == (2, True)
    status, out, _ = command(capsys, monkeypatch, "bench", "nosuch", "--data", "digits")
    assert (status, "there is no recipe 'nosuch'" in out) == (2, True)


@pytest.mark.skipif(sys.platform != "linux", reason="of Linux's way to count")
def test_the_memory_of_a_large_parent_is_not_the_childs():
    child = "from duel.session import _peak_memory; print(_peak_memory('cpu'))"
    parent = (
        "import subprocess, sys; large = b'1' * 900_000_000; "
        f"subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    )
    said = subprocess.run([sys.executable, "-c", parent], capture_output=True, text=True, check=True).stdout
    assert 50_000_000 < int(said) < 800_000_000
