"""Both engines play the same game: from the same weights, data order and noise they walk the same way."""

import numpy as np
import pytest
from tiny import made_data, resolved

from duel import catalog, loop

OPTIMIZERS = {
    "sgd": {"name": "sgd", "lr": 0.05},
    "momentum": {"name": "sgd", "lr": 0.02, "momentum": 0.9},
    "rmsprop": {"name": "rmsprop", "lr": 0.001},
    "adam": {"name": "adam", "lr": 0.002},
    "adamw": {"name": "adamw", "lr": 0.002, "decay": 0.1},
}
BASE = {
    "precision": "float64",
    "network.generator_hidden": [16, 12],
    "network.discriminator_hidden": [14, 10],
}


def both(**options):
    return {f"optimizer.{p}.{k}": v for p in ("generator", "discriminator") for k, v in options.items()}


def numbers(engine, recipe, now):
    """Every weight and moment, and the step, as float64 arrays by name."""
    tensors, _ = engine.contents(recipe, now)
    return {
        f"{group}.{name}": np.asarray(t, np.float64)
        for group, part in tensors.items()
        for name, t in part.items()
    }


def walk(steps, only_scratch=None, **changes):
    """Both engines' weights, moments and last log after so many steps."""
    ends = []
    for name, own in (("torch", {}), ("scratch", only_scratch or {})):
        recipe = resolved("gan", **{**BASE, **changes, **own, "engine": name})
        engine = loop.engine_of(recipe)
        now = engine.start(recipe, made_data(side=4))
        for _ in range(steps):
            seen = engine.read(engine.play_step(recipe, now))
            now.step += 1
        ends.append((numbers(engine, recipe, now), seen))
    return ends


def assert_together(ends, tolerance):
    (torchs, seen), (scratchs, also_seen) = ends
    assert torchs.keys() == scratchs.keys()
    for name, expected in torchs.items():
        assert np.allclose(scratchs[name], expected, rtol=tolerance, atol=tolerance), name
    for name in ("loss_d", "loss_g", "real_logits", "fake_before", "fake_after"):
        assert np.allclose(also_seen[name], seen[name], rtol=1e-6, atol=1e-6), name


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_200_steps_stay_together(optimizer):
    assert_together(walk(200, **both(**OPTIMIZERS[optimizer])), 1e-8)


SGD, ADAM = both(**OPTIMIZERS["momentum"]), both(**OPTIMIZERS["adam"])
STEPS = 30
WALKS = {
    "n_critic": {"n_critic": 3},
    "n_critic by a schedule": {"n_critic": {"values": [3, 1, 2], "at": [0, 4, 20], "shape": "step"}},
    "learning rates by schedules": {
        "optimizer.generator.lr": {"values": [0.01, 0.001], "at": [5, 25], "shape": "cosine"},
        "optimizer.discriminator.lr": {"values": [0.0, 0.01], "at": [0, 10]},
    },
    "beta2 by a schedule": {
        **ADAM, "optimizer.discriminator.beta2": {"values": [0.9, 0.999], "at": [0, 20]},
    },
    "a penalty's weight by a schedule": {
        "penalties": [{"name": "r1", "weight": {"values": [5, 0.1], "at": [0, 20], "shape": "exponential"}}],
    },
    "weight clipping": {"constraints": "clip", "objective.name": "wasserstein", "n_critic": 2,
                        **both(**OPTIMIZERS["rmsprop"])},
    "lazy penalties": {
        "penalties": [{"name": "r1", "every": 4, "weight": 0.5}, {"name": "r2", "every": 3, "weight": 0.2}],
        "n_critic": 2,
    },
    "l1 and l2": both(**OPTIMIZERS["momentum"], l1=0.001, l2=0.01),
    "l2 of one player": {**ADAM, "optimizer.generator.l2": 0.05},
    "decoupled decay and l1": both(**OPTIMIZERS["adamw"], l1=0.002),
    "an average": {"ema.decay": 0.9},
    "an average by a schedule": {"ema.decay": {"values": [0.0, 0.99], "at": [0, 30]}},
    "uniform noise": {"latent.prior": "uniform"},
    "one pass for both": {"joint_pass": True},
    "normal weights": {"network.init_linear": "normal", "network.init_std": 0.2},
    "orthogonal weights": {"network.init_linear": "orthogonal"},
    "slopes": {"network.generator_slope": 0.2, "network.slope": 0.01},
    "rational networks": {"network.activation": "rational-tanh", "network.output": "rational-tanh",
                          "objective.name": "rational"},
}  # fmt: skip


@pytest.mark.parametrize("name", WALKS)
def test_what_a_recipe_can_ask_for_is_the_same_on_both_engines(name):
    optimizer = {} if "optimizer.generator.name" in WALKS[name] else SGD
    assert_together(walk(STEPS, **{**optimizer, **WALKS[name]}), 1e-9)


@pytest.mark.parametrize("objective", catalog.names("objectives"))
def test_every_objective_is_played_the_same(objective):
    assert_together(walk(STEPS, **SGD, **{"objective.name": objective}), 1e-9)


@pytest.mark.parametrize("penalty", catalog.names("penalties"))
def test_every_penalty_is_played_the_same(penalty):
    assert_together(walk(STEPS, **SGD, penalties=penalty), 1e-9)


@pytest.mark.parametrize("own", [{"scratch.gradient": "forward"}, {"scratch.bias": "row"}])
def test_other_ways_to_the_gradient_lead_the_same_way(own):
    few = {"network.generator_hidden": [6], "network.discriminator_hidden": [5], "penalties": "interpolated"}
    assert_together(walk(8, own, **SGD, **few, **{"ema.decay": 0.9}), 1e-9)


def test_in_float32_the_engines_stay_together_for_a_while():
    assert_together(walk(10, **SGD, precision="float32"), 1e-4)


def test_another_seed_walks_elsewhere():
    with pytest.raises(AssertionError):
        assert_together(walk(3, {"seed": 1}), 1e-3)
