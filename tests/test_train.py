"""The loop: one step is exactly what its definition says, and everything repeats."""

import json
import math

import numpy as np
import pytest
import tiny
import torch
from tiny import made_data, parameters

import duel
from duel import streams
from duel.errors import NonFiniteError
from duel.train import play_step, start


def tiny_recipe(name="dcgan", **changes):
    return tiny.resolved(name, **changes)


def test_one_step_is_algorithm_1_of_the_paper():
    """Written out a second time, plainly, with torch's cross-entropy in place of the objective."""
    it, data = tiny_recipe("gan"), made_data()
    now, other = start(it, data), start(it, data)
    numbers = play_step(it, now)

    bce = torch.nn.functional.binary_cross_entropy_with_logits
    generator, discriminator = other.networks.generator, other.networks.discriminator
    x = torch.from_numpy(other.batches.next()).float() / 127.5 - 1
    z = torch.from_numpy(streams.stream(0, "latent").standard_normal((8, 5), np.float32))
    real, fake = discriminator(x), discriminator(generator(z).detach())
    loss_d = bce(real, torch.ones(8)) + bce(fake, torch.zeros(8))
    loss_d.backward()
    other.optimizer_d.step()
    after = discriminator(generator(z))
    loss_g = bce(after, torch.ones(8))
    generator.zero_grad()
    loss_g.backward()
    other.optimizer_g.step()

    assert math.isclose(numbers["loss_d"].item(), loss_d.item(), rel_tol=1e-6)
    assert math.isclose(numbers["loss_g"].item(), loss_g.item(), rel_tol=1e-6)
    assert torch.allclose(numbers["fake_before"], fake, atol=1e-6)
    assert torch.allclose(numbers["fake_after"], after, atol=1e-6)
    for (name, ours), theirs in zip(parameters(now).items(), parameters(other).values(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-7), name


def test_the_discriminator_gets_no_gradient_from_the_generators_step():
    it, data = tiny_recipe(), made_data()
    now = start(it, data)
    play_step(it, now)
    before = {name: p.grad.clone() for name, p in now.networks.discriminator.named_parameters()}
    it_alone = tiny_recipe()
    alone = start(it_alone, data)
    alone.networks.generator.requires_grad_(False)
    x = torch.from_numpy(alone.batches.next()).float() / 127.5 - 1
    z = torch.from_numpy(streams.stream(0, "latent").standard_normal((8, 5), np.float32))
    d = alone.networks.discriminator
    loss = (
        torch.nn.functional.softplus(-d(x)).mean()
        + torch.nn.functional.softplus(d(alone.networks.generator(z))).mean()
    )
    loss.backward()
    for name, parameter in d.named_parameters():
        assert torch.allclose(parameter.grad, before[name], atol=1e-6), name
    assert all(parameter.requires_grad for parameter in now.networks.discriminator.parameters())


@pytest.mark.parametrize("n_critic", [1, 3])
def test_n_critic_counts_the_discriminators_updates_and_the_images(n_critic, monkeypatch):
    it = tiny_recipe(n_critic=n_critic)
    now = start(it, made_data())
    steps = {"g": 0, "d": 0}
    for player in steps:
        optimizer = getattr(now, f"optimizer_{player}")
        original = optimizer.step

        def count(player=player, original=original):
            steps[player] += 1
            return original()

        monkeypatch.setattr(optimizer, "step", count)
    for _ in range(4):
        play_step(it, now)
    assert steps == {"g": 4, "d": 4 * n_critic}
    assert now.batches.position == 4 * n_critic * it.batch_size


def test_separate_passes_let_batch_norm_see_real_and_fake_apart():
    """With batch norm the two ways differ; without it (dense) they are the same."""
    results = {}
    for name in ("dcgan", "gan"):
        for joint in (False, True):
            it = tiny_recipe(name, joint_pass=joint)
            now = start(it, made_data())
            results[name, joint] = play_step(it, now)["loss_d"].item()
    assert math.isclose(results["gan", False], results["gan", True], rel_tol=1e-6)
    assert not math.isclose(results["dcgan", False], results["dcgan", True], rel_tol=1e-4)


def test_in_a_joint_pass_the_generator_plays_against_what_the_discriminator_trains():
    it = tiny_recipe(joint_pass=True)
    now = start(it, made_data())
    seen = []
    now.networks.discriminator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    play_step(it, now)
    discriminators, generators = seen
    assert torch.equal(discriminators, generators)
    assert not discriminators.requires_grad
    assert generators.requires_grad


def test_a_penalty_is_about_the_function_that_is_trained_with_its_augmentations():
    it = tiny_recipe("gan", penalties="r1", **{"augmentations.noise.sigma": 5.0})
    now = start(it, made_data())
    spreads = []
    now.networks.discriminator.register_forward_pre_hook(
        lambda module, inputs: spreads.append(inputs[0].std().item())
    )
    play_step(it, now)
    assert len(spreads) == 4
    assert all(spread > 4 for spread in spreads)


def test_a_penalty_draws_from_a_stream_of_its_own():
    drawn = []
    for penalties in ("none", "interpolated"):
        it = tiny_recipe("gan", penalties=penalties)
        now = start(it, made_data())
        play_step(it, now)
        drawn.append(now.latent.standard_normal(3))
    assert np.array_equal(*drawn)


def test_a_penalty_is_added_to_the_discriminators_loss():
    without, with_it = (
        play_step(it, start(it, made_data()))["loss_d"].item()
        for it in (tiny_recipe("gan"), tiny_recipe("gan", **{"penalties.r1.weight": 4.0}))
    )
    lazy = tiny_recipe("gan", **{"penalties.r1.weight": 4.0, "penalties.r1.every": 3})
    now = start(lazy, made_data())
    thrice = play_step(lazy, now)["loss_d"].item() - without
    assert math.isclose(thrice, 3 * (with_it - without), rel_tol=1e-4)
    others = [now.updates_d % 3 for _ in range(2) if play_step(lazy, now)]
    assert others == [2, 0]
    now = start(tiny_recipe("gan"), made_data())
    x = (torch.from_numpy(now.batches.next()).float() / 127.5 - 1).requires_grad_()
    gradient = torch.autograd.grad(now.networks.discriminator(x).sum(), x)[0]
    expected = 2.0 * gradient.square().flatten(1).sum(1).mean().item()
    assert math.isclose(with_it - without, expected, rel_tol=1e-4)


def test_images_are_normalised_to_minus_one_to_one():
    from duel.train import _to_device

    it = tiny_recipe()
    batch = _to_device(np.array([[[[0, 255], [51, 204]]]], np.uint8), it)
    assert torch.allclose(batch, torch.tensor([[[[-1.0, 1.0], [-0.6, 0.6]]]]), atol=1e-6)
    points = np.array([[0.5, -0.25]], np.float32)
    assert np.array_equal(_to_device(points, it).numpy(), points)


def test_convolutions_run_channels_last():
    now = start(tiny_recipe(**{"network.width": 8}), made_data())
    weight = now.networks.discriminator[2].weight
    assert weight.is_contiguous(memory_format=torch.channels_last)


def test_the_same_recipe_seed_and_machine_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        tiny.train(tmp_path / name, changes={"augmentations": "noise"})
    assert tiny.weights(tmp_path / "a") == tiny.weights(tmp_path / "b")
    for picture in (
        "film.png",
        "curves.png",
        "samples/real.png",
        "samples/00000000.png",
        "samples/00000010.png",
    ):
        assert (tmp_path / "a" / picture).read_bytes() == (tmp_path / "b" / picture).read_bytes()


def test_looking_and_saving_more_often_changes_nothing(tmp_path):
    tiny.train(tmp_path / "a", changes={"augmentations": "noise"})
    every = {"sample.every": 1, "checkpoint.every": 3, "log.every": 1, "augmentations": "noise"}
    tiny.train(tmp_path / "b", changes=every)
    assert tiny.weights(tmp_path / "a")[0] == tiny.weights(tmp_path / "b")[0]


def test_another_seed_gives_another_run(tmp_path):
    tiny.train(tmp_path / "a")
    tiny.train(tmp_path / "b", seed=1)
    assert tiny.weights(tmp_path / "a")[0] != tiny.weights(tmp_path / "b")[0]


# ---------------------------------------------------------------- sickness


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_diverged_run_says_so_and_keeps_its_last_good_checkpoint(tmp_path):
    events = tiny.train(tmp_path / "run", steps=60, changes={"optimizer.generator.lr": 1e30, "log.every": 1})
    end = events[-1]
    assert end["reason"] == "nonfinite"
    assert "loss" in end["message"] or "not finite" in end["message"]
    assert duel.load(tmp_path / "run").state["state"] == "nonfinite"


def test_a_weight_that_is_no_number_is_never_saved(tmp_path):
    from duel.loop import save

    tiny.train(tmp_path / "run")
    it = tiny_recipe()
    now = start(it, made_data())
    now.step = 11
    with torch.no_grad():
        next(now.networks.generator.parameters())[0] = float("nan")
    with pytest.raises(NonFiniteError, match=r"generator\.1\.weight is not finite, noticed at step 11"):
        save(it, now, duel.load(tmp_path / "run"))
    assert duel.load(tmp_path / "run").state["last"] == 10


# ---------------------------------------------------------------- events


def test_events_are_those_of_the_contract(tmp_path):
    events = tiny.train(tmp_path / "run")
    assert [
        json.loads(line) for line in (tmp_path / "run" / "events.jsonl").read_text().splitlines()
    ] == events
    assert events[0]["event"] == "start"
    assert events[-1] | {"event": "end", "step": 10, "reason": "done"} == events[-1]
    for event in events:
        assert {"event", "step", "time"} <= set(event)
    steps = [event for event in events if event["event"] == "step"]
    assert [event["step"] for event in steps] == [2, 4, 6, 8, 10]
    assert [event["updates_d"] for event in steps] == [2, 4, 6, 8, 10]
    assert [event["images"] for event in steps] == [16, 32, 48, 64, 80]
    assert {"loss_d", "loss_g", "images_per_s", "d_real", "d_fake_before", "d_fake_after"} <= set(steps[0])
    assert all(0 < event[key] < 1 for event in steps for key in ("d_real", "d_fake_before", "d_fake_after"))
    assert [event["step"] for event in events if event["event"] == "sample"] == [0, 5, 10]
    assert [event["step"] for event in events if event["event"] == "checkpoint"] == [5, 10]


def test_other_objectives_log_raw_scores():
    from dataclasses import replace
    from importlib import import_module

    from duel.loop import _step_event
    from duel.objectives.minimax import Minimax
    from duel.options import options

    @options
    class Raw(Minimax):
        """Scores that are no probabilities."""

        probabilistic = False

    train = import_module("duel.train")
    it = replace(tiny_recipe(), objective=Raw())
    now = start(it, made_data())
    numbers = play_step(it, now)
    event = _step_event(it, now, train.read(numbers), 0.0, 0)
    assert {"score_real", "score_fake_before", "score_fake_after"} <= set(event)
    assert "d_real" not in event
    assert math.isclose(event["score_real"], numbers["real_logits"].mean().item(), rel_tol=1e-6)
