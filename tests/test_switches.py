"""The training switches: each does exactly what its definition says."""

import copy
import math
from itertools import pairwise

import numpy as np
import pytest
import tiny
import torch
from tiny import made_data, parameters, resolved

import duel
from duel import catalog, recipe
from duel.errors import RecipeError
from duel.schedule import Schedule
from duel.session import check
from duel.train import play_step, start

CLASSES = tuple("012")
GAMES = {
    "plain": {},
    "conditional": {"game.name": "conditional"},
    "auxiliary": {"game.name": "classes", "game.form": "auxiliary"},
    "k+1": {"game.name": "classes", "game.form": "k+1"},
    "bidirectional": {"game.name": "bidirectional", "network.name": "bigan-dense"},
    "bidirectional-conditional": {
        "game.name": "bidirectional",
        "game.conditional": True,
        "network.name": "bigan-dense",
    },
}


def of_game(name, **changes):
    """A tiny dense recipe of a game, with a discriminator that penalties accept."""
    base = dict(GAMES[name])
    if "network.name" in base:
        base |= {"network.hidden": [8, 8], "network.discriminator_norm": "none"}
        tree = {"steps": 5, "network": {"name": "bigan-dense"}}
        small = {key: value for key, value in tiny.POINTS.items() if not key.startswith("network.")}
        return recipe.resolve(recipe.change(tree, {**small, **base, "device": "cpu", **changes}))
    return resolved("gan", **base, **changes)


# ---------------------------------------------------------------- every combination


@pytest.mark.parametrize("objective", catalog.names("objectives"))
@pytest.mark.parametrize("penalties", ["none", *catalog.names("penalties")])
@pytest.mark.parametrize("game", GAMES)
def test_every_game_objective_and_penalty_train_a_few_steps(game, objective, penalties):
    it = of_game(game, objective=objective, penalties=penalties)
    now = start(it, made_data(side=8, classes=CLASSES))
    before = parameters(now)
    for _ in range(3):
        numbers = play_step(it, now)
        now.step += 1
    assert all(torch.isfinite(value).all() for value in numbers.values())
    moved = {
        name.partition(".")[0]
        for name, value in parameters(now).items()
        if not torch.equal(value, before[name])
    }
    assert moved == set(now.networks.named())


def checked(it):
    """The data, or None and why the recipe is refused."""
    try:
        return check(it), ""
    except RecipeError as error:
        return None, str(error)


@pytest.mark.parametrize("network", catalog.names("networks"))
@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("extra", [{}, {"penalties": "interpolated"}, {"constraints": "clip"}])
def test_every_game_and_network_train_or_are_refused_in_one_sentence(game, network, extra):
    sizes = {"width": 4, "generator_width": 4, "discriminator_width": 4, "hidden": [6, 6], "group_size": 4}
    own = {option.name for option in catalog.entry("networks", network).options}
    changes = {f"network.{key}": value for key, value in sizes.items() if key in own}
    small = {key: value for key, value in tiny.TINY.items() if not key.startswith("network.")}
    changes |= {**small, **GAMES[game], "network.name": network, "steps": 2, "device": "cpu", **extra}
    it = recipe.resolve(recipe.change({"network": {"name": network}}, changes))
    it = recipe.resolve(recipe.change(it.to_tree(), {"data.resolution": 32}))
    data, refusal = checked(it)
    if data is None:
        assert "\n" not in refusal
        assert "use " in refusal
        return
    now = start(it, data)
    assert all(torch.isfinite(value).all() for value in play_step(it, now).values())


# ---------------------------------------------------------------- games


@pytest.mark.parametrize("objective", catalog.names("objectives"))
def test_the_encoder_gets_a_gradient_under_every_objective(objective):
    it = of_game("bidirectional", objective=objective)
    now = start(it, made_data(side=8))
    play_step(it, now)
    for name, parameter in now.networks.encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_the_bidirectional_step_is_the_papers():
    """Donahue et al. 2016, written out: D ascends V on pairs, then G and E the inverse objective."""
    it, data = of_game("bidirectional"), made_data(side=8)
    now, other = start(it, data), start(it, data)
    numbers = play_step(it, now)

    bce = torch.nn.functional.binary_cross_entropy_with_logits
    g, d, e = other.networks.generator, other.networks.discriminator, other.networks.encoder
    x = torch.from_numpy(other.batches.next()).float() / 127.5 - 1
    z = torch.from_numpy(other.latent.standard_normal((8, 5), np.float32))
    gz, ex = g(z), e(x)
    ones, zeros = torch.ones(8), torch.zeros(8)
    loss_d = bce(d(x, ex.detach()), ones) + bce(d(gz.detach(), z), zeros)
    loss_d.backward()
    other.optimizer_d.step()
    loss_ge = bce(d(gz, z), ones) + bce(d(x, ex), zeros)
    for module in (g, e):
        module.zero_grad()
    loss_ge.backward()
    other.optimizer_g.step()
    assert math.isclose(numbers["loss_d"].item(), loss_d.item(), rel_tol=1e-5)
    assert math.isclose(numbers["loss_g"].item(), loss_ge.item(), rel_tol=1e-5)
    for (name, ours), theirs in zip(parameters(now).items(), parameters(other).values(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6), name


def test_the_encoder_sees_images_without_the_noise_that_the_discriminator_sees(monkeypatch):
    it = of_game("bidirectional", **{"augmentations.noise.sigma": 5.0})
    now = start(it, made_data(side=8))
    seen = {"encoder": [], "discriminator": []}
    for name, images in seen.items():
        getattr(now.networks, name).register_forward_pre_hook(
            lambda module, inputs, images=images: images.append(inputs[0].detach())
        )
    play_step(it, now)
    assert all(image.abs().max() <= 1 for image in seen["encoder"])
    assert len(seen["discriminator"]) == 4
    assert all(image.abs().max() > 3 for image in seen["discriminator"])
    by_input = sorted(seen["discriminator"], key=lambda image: image.sum().item())
    assert all(not torch.equal(one, other) for one, other in pairwise(by_input))


def test_the_batchs_labels_reach_the_networks_with_their_samples():
    it = of_game("conditional")
    data = made_data(side=8, classes=CLASSES)
    now = start(it, data)
    rows = start(it, data).batches.rows()
    seen = []
    now.networks.discriminator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs))
    play_step(it, now)
    for samples, labels in seen:
        assert np.array_equal(labels.numpy(), rows % 3)
        assert samples.shape == (8, 1, 8, 8)
    assert np.allclose(seen[0][0].numpy(), data.splits["train"].samples[rows] / 127.5 - 1, atol=1e-6)


# ---------------------------------------------------------------- schedules


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("step", [1.0, 1.0, 1.0, 4.0, 4.0]),
        ("linear", [1.0, 1.0, 2.5, 4.0, 4.0]),
        ("cosine", [1.0, 1.0, 2.5, 4.0, 4.0]),
        ("exponential", [1.0, 1.0, 2.0, 4.0, 4.0]),
    ],
)
def test_a_schedule_holds_its_ends_and_passes_through_its_middle(shape, expected):
    schedule = Schedule(values=(1.0, 4.0), at=(10, 20), shape=shape)
    assert np.allclose([schedule.value(step) for step in (0, 10, 15, 20, 99)], expected)


def test_cosine_is_flat_at_its_ends_and_several_pieces_join():
    schedule = Schedule(values=(0.0, 1.0, 0.5), at=(0, 100, 200), shape="cosine")
    assert schedule.value(1) < 0.001
    assert math.isclose(schedule.value(25), (1 - math.cos(math.pi / 4)) / 2)
    assert math.isclose(schedule.value(150), 0.75)


@pytest.mark.parametrize("step", [0, 1, 99, 100, 101, 250])
def test_the_total_of_a_step_schedule_is_the_sum_of_its_values(step):
    schedule = Schedule(values=(1.0, 5.0, 2.0), at=(0, 100, 150), shape="step")
    assert schedule.total(step) == sum(schedule.value(number) for number in range(step))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"values": (1.0,), "at": (0,)}, "two or more values"),
        ({"values": (1.0, 2.0), "at": (0,)}, "as many steps"),
        ({"values": (1.0, 2.0), "at": (5, 5)}, "ascending"),
        ({"values": (1.0, 2.0), "at": (-1, 5)}, "ascending steps, none below 0"),
        ({"values": (1.0, 0.0), "at": (0, 5), "shape": "exponential"}, "needs positive"),
    ],
)
def test_an_impossible_schedule_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        Schedule(**given)


def played(it, steps, data=None):
    now = start(it, data or made_data())
    for _ in range(steps):
        play_step(it, now)
        now.step += 1
    return now


def test_learning_rate_and_beta2_follow_their_schedules():
    ramp = {"values": [0.1, 0.3], "at": [0, 2], "shape": "linear"}
    rates = {"optimizer.generator.lr": ramp, "optimizer.discriminator.beta2": {**ramp, "values": [0.9, 0.99]}}
    it = resolved("gan", **rates)
    for steps, lr, beta2 in ((1, 0.1, 0.9), (2, 0.2, 0.945), (3, 0.3, 0.99), (5, 0.3, 0.99)):
        now = played(it, steps)
        assert math.isclose(now.optimizer_g.param_groups[0]["lr"], lr)
        assert math.isclose(now.optimizer_d.param_groups[0]["betas"][1], beta2)
        assert now.optimizer_d.param_groups[0]["lr"] == 0.0002


def test_a_constant_schedule_is_the_constant():
    flat = {"values": [0.001, 0.001], "at": [0, 2], "shape": "linear"}
    one = parameters(played(resolved("gan", **{"optimizer.generator.lr": flat}), 4))
    other = parameters(played(resolved("gan", **{"optimizer.generator.lr": 0.001}), 4))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("values", [[0.001, 0.0], [0.0, 0.001]])
def test_a_learning_rate_may_start_or_end_at_zero_on_a_schedule_only(values):
    lr = {"values": values, "at": [0, 2], "shape": "linear"}
    now = played(resolved("gan", **{"optimizer.generator.lr": lr}), 4)
    assert now.optimizer_g.param_groups[0]["lr"] == values[1]
    with pytest.raises(RecipeError, match="lr is 0, allowed are positive numbers"):
        resolved("gan", **{"optimizer.generator.lr": 0.0})


@pytest.mark.parametrize(
    "key",
    ["optimizer.generator.lr", "optimizer.discriminator.beta2", "augmentations.noise.sigma",
     "penalties.r1.weight", "ema.decay"],
)  # fmt: skip
def test_every_scheduled_number_may_pass_through_zero(key):
    played(resolved("gan", **{key: {"values": [0.0, 0.5, 0.0], "at": [0, 2, 4], "shape": "linear"}}), 5)


def test_the_noise_level_follows_its_schedule(monkeypatch):
    drawn = []
    original = torch.randn_like
    monkeypatch.setattr(torch, "randn_like", lambda x: drawn.append(original(x)) or torch.ones_like(x))
    it = resolved("gan", **{"augmentations.noise.sigma": {"values": [3.0, 0.0], "at": [0, 3]}})
    now = start(it, made_data())
    levels = []
    now.networks.discriminator.register_forward_pre_hook(
        lambda module, inputs: levels.append(inputs[0].mean().item())
    )
    for _ in range(4):
        play_step(it, now)
        now.step += 1
    real = levels[::3]  # of three passes in each step the first one
    base = real[3]
    assert np.allclose([level - base for level in real], [3, 2, 1, 0], atol=0.1)


def test_n_critic_on_a_schedule_counts_updates_and_images():
    it = resolved("gan", n_critic={"values": [1, 3], "at": [0, 2], "shape": "step"})
    now = played(it, 5)
    assert now.updates_d == 2 * 1 + 3 * 3
    assert now.batches.position == now.updates_d * 8 == it.drawn(5)
    assert it.epoch(2, 16) == (0, 2, 2)
    assert it.epoch(3, 16) == (1, 1, 1)
    with pytest.raises(RecipeError, match="whole numbers from 1 in the shape 'step'"):
        resolved("gan", n_critic={"values": [1, 3], "at": [0, 2], "shape": "linear"})


# ---------------------------------------------------------------- accumulation, averages, clipping, precision


@pytest.mark.parametrize("extra", [{}, {"penalties": "r1"}, {"penalties": "interpolated"}, {"n_critic": 2}])
@pytest.mark.parametrize("game", ["plain", "conditional", "bidirectional"])
def test_two_batches_of_four_make_the_update_of_one_batch_of_eight(game, extra):
    """For networks without batch norm: same samples, same latent vectors, the mean of the gradients."""
    data = made_data(side=8, classes=CLASSES)
    norms = {"network.norm": "none"} if game == "bidirectional" else {}
    sgd = {f"optimizer.{player}.{key}": value for player in ("generator", "discriminator")
           for key, value in {"name": "sgd", "lr": 0.1}.items()}  # fmt: skip
    one, other = (
        played(of_game(game, batch_size=size, accumulate=count, **norms, **sgd, **extra), 3, data)
        for size, count in ((8, 1), (4, 2))
    )
    for (name, a), b in zip(parameters(one).items(), parameters(other).values(), strict=True):
        assert torch.allclose(a, b, atol=1e-6), name
    assert one.batches.position == other.batches.position
    assert one.updates_d == other.updates_d


def test_the_average_is_what_its_definition_says():
    it = resolved("dcgan", **{"ema.decay": 0.3})
    now = start(it, made_data())
    expected = {key: value.clone() for key, value in now.networks.generator.named_parameters()}
    for step in range(4):
        play_step(it, now)
        decay = min(0.3, (1 + step) / (10 + step))
        for key, value in now.networks.generator.named_parameters():
            expected[key] = decay * expected[key] + (1 - decay) * value.detach()
        now.step += 1
    average = now.average["generator"]
    for key, value in average.named_parameters():
        assert torch.allclose(value, expected[key], atol=1e-6), key
    for kept, value in zip(average.buffers(), now.networks.generator.buffers(), strict=True):
        assert torch.equal(kept, value)
    assert start(resolved("dcgan"), made_data()).average == {}


def test_samples_come_from_the_average_unless_the_raw_weights_are_asked_for(tmp_path):
    tiny.train(tmp_path / "run", changes={"ema.decay": 0.9})
    tiny.train(tmp_path / "plain")
    run, plain = duel.load(tmp_path / "run"), duel.load(tmp_path / "plain")
    assert (run.path / "checkpoints" / "00000010" / "ema.safetensors").is_file()
    assert not np.allclose(run.sample(4), run.sample(4, weights="raw"))
    assert np.array_equal(run.sample(4, weights="raw"), plain.sample(4))
    assert np.array_equal(plain.sample(4), plain.sample(4, weights="raw"))


def test_every_weight_of_a_clipped_critic_is_within_the_limit_after_each_update():
    it = resolved("gan", objective="wasserstein", **{"constraints.clip.limit": 0.03})
    now = start(it, made_data())
    limits = []
    for _ in range(3):
        play_step(it, now)
        limits.append(max(p.abs().max().item() for p in now.networks.discriminator.parameters()))
    assert limits == [pytest.approx(0.03)] * 3
    assert max(p.abs().max().item() for p in now.networks.generator.parameters()) > 0.03


def test_a_clipped_critic_with_batch_norm_and_a_penalised_one_are_refused_before_any_work(tmp_path):
    clipped = {"constraints": "clip", "objective": "wasserstein"}
    for changes, message in (
        (clipped, "refuses a critic with batch norm"),
        ({"penalties": "r1"}, "batch norm in the discriminator mixes the samples"),
    ):
        with pytest.raises(RecipeError, match=message) as caught:
            tiny.train(tmp_path / "run", changes={**changes, "data.resolution": 16})
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "run").exists()
    tiny.train(
        tmp_path / "run", changes={**clipped, "network.discriminator_norm": "layer", "data.resolution": 16}
    )


def test_l1_and_l2_add_their_terms_to_both_losses():
    plain = resolved("gan")
    it = resolved("gan", **{"optimizer.generator.l1": 0.01, "optimizer.discriminator.l2": 0.1})
    data = made_data()
    without, with_them = (play_step(one, start(one, data)) for one in (plain, it))
    now = start(it, data)
    l1 = 0.01 * sum(p.abs().sum() for p in now.networks.generator.parameters() if p.dim() > 1)
    l2 = 0.05 * sum(p.square().sum() for p in now.networks.discriminator.parameters() if p.dim() > 1)
    assert math.isclose((with_them["loss_d"] - without["loss_d"]).item(), l2.item(), rel_tol=1e-4)
    assert abs((with_them["loss_g"] - without["loss_g"]).item() - l1.item()) < 0.02 * l1.item()


def test_l2_is_what_torch_calls_weight_decay():
    sgd = {"optimizer.discriminator.name": "sgd", "optimizer.discriminator.lr": 0.1}
    it = resolved("gan", **sgd, **{"optimizer.discriminator.l2": 0.5})
    now, other = start(it, made_data()), start(resolved("gan", **sgd), made_data())
    weights = [p for p in other.networks.discriminator.parameters() if p.dim() > 1]
    before = [weight.detach().clone() for weight in weights]
    play_step(it, now)
    play_step(resolved("gan", **sgd), other)
    ours = [p for p in now.networks.discriminator.parameters() if p.dim() > 1]
    for mine, theirs, start_value in zip(ours, weights, before, strict=True):
        assert torch.allclose(mine, theirs - 0.1 * 0.5 * start_value, atol=1e-6)


def test_bfloat16_is_near_float32_and_keeps_float32_weights():
    one, other = (played(resolved("gan", precision=kind), 2) for kind in ("float32", "bfloat16"))
    losses = [
        play_step(resolved("gan", precision=kind), now)
        for kind, now in (("float32", one), ("bfloat16", other))
    ]
    assert all(p.dtype == torch.float32 for p in other.networks.generator.parameters())
    assert losses[0]["loss_d"] != losses[1]["loss_d"]
    assert math.isclose(losses[0]["loss_d"].item(), losses[1]["loss_d"].item(), rel_tol=0.02)
    assert losses[1]["loss_d"].dtype == torch.float32


def test_dropout_needs_no_state_of_its_own_to_resume(tmp_path):
    changes = {"network.dropout": 0.5, "ema.decay": 0.9, "augmentations": "ada", "accumulate": 2,
               "augmentations.ada.start": 0.5, "augmentations.ada.speed_images": 50, "n_critic": 2,
               "optimizer.generator.lr": {"values": [0.001, 0.0001], "at": [0, 12]}}  # fmt: skip
    tiny.train(tmp_path / "whole", 12, changes=changes)
    tiny.train(tmp_path / "cut", 6, changes=changes)
    tiny.train(tmp_path / "cut", 12, changes=changes)
    assert tiny.weights(tmp_path / "whole") == tiny.weights(tmp_path / "cut")


# ---------------------------------------------------------------- early stopping


def test_training_stops_early_when_nothing_gets_better(tmp_path, monkeypatch):
    """The metric is made: it gets worse from the second evaluation on."""
    from duel import session

    values = iter([3.0, 1.0, 2.0, 1.5, 0.1, *[0.2] * 9])

    def measure(self, source, samples=None, floor=False):
        value = next(values)
        return {"metrics": {"made": {"value": value, "low": value, "high": value, "better": "lower"}}}

    monkeypatch.setattr(session.Evaluator, "measure", measure)
    changes = {"evaluate.every": 2, "evaluate.patience": 2, "evaluate.metrics": ["frechet-random"],
               "evaluate.features": "random"}  # fmt: skip
    events = tiny.train(tmp_path / "run", 20, changes=changes)
    end = events[-1]
    assert (end["reason"], end["step"]) == ("stopped", 8)
    run = duel.load(tmp_path / "run")
    assert run.state["best"] == 4
    assert run.state["state"] == "stopped"
    assert tiny.train(tmp_path / "run", 20, changes=changes) == []
    more = tiny.train(tmp_path / "run", 20, changes={**changes, "evaluate.patience": 4})
    assert more[-1]["step"] > 8


@pytest.mark.parametrize(
    ("objective", "fits"), [("hinge", True), ("wasserstein", False), ("relativistic", False)]
)
def test_adaptive_augmentation_needs_an_objective_with_a_boundary(objective, fits):
    it = resolved("dcgan", objective=objective, augmentations="ada")
    if fits:
        check(it)
    else:
        with pytest.raises(RecipeError, match="needs an objective whose logits say real or fake"):
            check(it)


def test_adaptive_augmentation_counts_from_the_objectives_boundary():
    """Least squares is undecided at 0.5: to say 0.4 of everything real is no overfitting."""
    from duel.augmentations.ada import Ada

    it = resolved("gan", objective="least-squares", **{"augmentations.ada.start": 0.5,
                  "augmentations.ada.every": 1, "augmentations.ada.speed_images": 100})  # fmt: skip
    now = start(it, made_data())
    with torch.no_grad():
        for parameter in now.networks.discriminator.parameters():
            parameter.zero_()
        list(now.networks.discriminator.parameters())[-1].fill_(0.4)
    play_step(it, now)
    assert isinstance(it.augmentations[0], Ada)
    assert now.augmentations[0][0] < 0.5


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("dcgan", {"network.slope": -0.2}, "slope is -0.2, allowed are numbers from 0 to 1"),
        ("gan", {"network.generator_slope": 2.0}, "generator_slope is 2.0"),
        ("dcgan", {"network.init_std": 0.5}, "no initial weights are normal"),
        ("dcgan", {"network.init_linear": "normal"}, "no fully connected layer"),
    ],
)
def test_options_that_cannot_work_are_refused_before_any_work(name, changes, message):
    with pytest.raises(RecipeError, match=message):
        check(resolved(name, **changes))


def test_patience_without_evaluations_is_refused():
    with pytest.raises(RecipeError, match=r"give evaluate\.every"):
        resolved("gan", **{"evaluate.patience": 2})


def test_the_start_of_a_copy_is_not_shared():
    it = resolved("gan", **{"ema.decay": 0.9})
    now = start(it, made_data())
    before = copy.deepcopy(now.average["generator"].state_dict())
    with torch.no_grad():
        next(now.networks.generator.parameters()).add_(1)
    assert all(
        torch.equal(a, b)
        for a, b in zip(before.values(), now.average["generator"].state_dict().values(), strict=True)
    )
