"""Both engines play the same game: from the same weights, data order and noise they walk the same way."""

import numpy as np
import pytest
from tiny import made_data, resolved

from duel import loop

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


def walk(steps, **changes):
    """Both engines' weights, moments and last log after so many steps."""
    ends = []
    for name in ("torch", "scratch"):
        recipe = resolved("gan", **{**BASE, **changes, "engine": name})
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
