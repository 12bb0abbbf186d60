"""Every option of every variant changes the result; the catalog says which options there are."""

import pytest
import tiny
import torch
from tiny import made_data, parameters, resolved

from duel import catalog, recipe
from duel.train import play_step, start

PLACES = {
    "networks": "network", "games": "game", "objectives": "objective", "penalties": "penalties.{}",
    "constraints": "constraints.{}", "augmentations": "augmentations.{}",
    "optimizers": "optimizer.generator",
}  # fmt: skip
LABELS = {"game.name": "conditional"}
NO_NORM = {"network.discriminator_norm": "none"}
SIZES = {"width": 4, "generator_width": 4, "discriminator_width": 4, "hidden": [6, 6], "group_size": 4,
         "generator_hidden": [8], "discriminator_hidden": [8]}  # fmt: skip
# What else must be set for an option to count: by variant, or by variant and option.
CONTEXT = {
    "bigan": {"game.name": "bidirectional"},
    "bigan-dense": {"game.name": "bidirectional"},
    "bidirectional": {"network.name": "bigan-dense", "network.hidden": [6, 6]},
    "bigan.label_size": {"game.name": "bidirectional", "game.conditional": True},
    "bigan-dense.label_size": {"game.name": "bidirectional", "game.conditional": True},
    "dcgan.condition": LABELS,
    "dcgan.init_linear": LABELS,
    "dense.label_size": LABELS,
    "resnet": {},
    **{f"{name}.init_std": {"network.init_conv": "normal"} for name in ("dcgan", "resnet", "r3gan")},
    "bigan.init_std": {"network.init_conv": "normal", "game.name": "bidirectional"},
    "bigan-dense.init_std": {"network.init_linear": "normal", "game.name": "bidirectional"},
    "dense.init_std": {"network.init_linear": "normal"},
    "ada": {"augmentations.ada.start": 0.6, "augmentations.ada.speed_images": 100,
            "augmentations.ada.every": 1},
    "ada.every": {"augmentations.ada.start": 0.6, "augmentations.ada.speed_images": 100},
    "ada.start": {},
    "ada.most": {"augmentations.ada.start": 0.3, "augmentations.ada.speed_images": 20,
                 "augmentations.ada.every": 1, "augmentations.ada.target": -0.99},
}  # fmt: skip
VALUES = {
    "width": 8, "slope": 0.4, "generator_hidden": [5], "discriminator_hidden": [5], "generator_slope": 0.3,
    "dropout": 0.5, "label_size": 7, "hidden": [6, 5], "upscale": "nearest", "condition": "projection",
    "norm": "none", "generator_norm": "none", "discriminator_norm": "layer", "norm_after_activation": True,
    "init_conv": "orthogonal", "init_linear": "orthogonal", "init_std": 0.3, "generator_width": 8,
    "discriminator_width": 8, "blocks": 2, "group_size": 2, "expansion": 1, "reparametrise": False,
    "bounded": False, "conditional": True, "form": "k+1", "game.weight": 3.0, "smoothing": 0.8, "weight": 1.0,
    "every": 2, "one_sided": True, "spread": 2.0, "limit": 0.5, "batch_norm": "clip", "sigma": 0.5,
    "penalties.interpolated.target": 3.0, "color": False, "translation": False, "cutout": False,
    "geometry": False, "target": -0.5,
    "speed_images": 20, "most": 0.3, "start": 0.9, "probability": 0.9, "lr": 0.05, "beta1": 0.7, "beta2": 0.9,
    "epsilon": 0.01, "decay": 0.4, "momentum": 0.7, "l1": 0.5, "l2": 0.5,
    "activation": "tanh", "output": "rational-tanh",
}  # fmt: skip


def options():
    return [
        pytest.param(family, name, option.name, place.format(name), id=f"{name}.{option.name}")
        for family, place in PLACES.items()
        for name in catalog.names(family)
        for option in catalog.entry(family, name).options
    ]


def played(changes, network, data):
    tree = {"network": {"name": network}, "steps": 5, "device": "cpu"}
    small = {key: value for key, value in tiny.TINY.items() if not key.startswith("network.")}
    own = {option.name for option in catalog.entry("networks", network).options}
    sizes = {f"network.{key}": value for key, value in SIZES.items() if key in own}
    it = recipe.resolve(recipe.change(tree, {**small, **sizes, **changes}))
    now = start(it, data)
    for _ in range(4):
        play_step(it, now)
        now.step += 1
    return parameters(now)


@pytest.mark.parametrize(("family", "name", "option", "place"), options())
def test_every_option_changes_the_weights(family, name, option, place):
    assert option in VALUES, f"{name}.{option} is new: give it another value here"
    context = CONTEXT.get(f"{name}.{option}", {**CONTEXT.get(name, {}), **CONTEXT.get(option, {})})
    network = name if family == "networks" else str(context.get("network.name", "dense"))
    base = dict(context)
    if family == "networks":
        base.pop("network.name", None)
    elif place.endswith(f".{name}"):
        base = {place.partition(".")[0]: name, **base}
    else:
        base = {f"{place}.name": name, **base}
    side, channels = (32, 3) if network == "bigan" else (16, 3)
    if option in ("norm_after_activation", "batch_norm"):
        network, base = "dcgan", {key: value for key, value in base.items() if key != "network.name"}
    if option == "batch_norm":
        base |= {"constraints.clip.batch_norm": "spare", "constraints.clip.limit": 0.001}
    data = made_data(24, side, channels, classes=tuple("012"))
    value = VALUES.get(f"{place}.{option}", VALUES[option])
    results = [played(changes, network, data) for changes in (base, {**base, f"{place}.{option}": value})]
    same_shapes = [a.shape == b.shape for a, b in zip(*(r.values() for r in results), strict=False)]
    assert (
        len(results[0]) != len(results[1])
        or not all(same_shapes)
        or any(not torch.equal(a, b) for a, b in zip(*(r.values() for r in results), strict=True))
    )


NOT_IN_THE_WEIGHTS = {
    "name", "seed", "device", "threads", "steps", "epochs",  # tested by themselves
    "log.every", "signals.every", "sample.every", "sample.count",  # test_train, test_signals
    "checkpoint.every", "checkpoint.keep",
    "sync_batch_norm",  # test_ranks
    "ema.decay", "precision",  # test_switches
    "on_nonfinite", "max_rollbacks",  # test_reliability
    "engine", "scratch.gradient", "scratch.directions", "scratch.bias",  # test_scratch, test_engines
}  # fmt: skip
RECIPE_VALUES = {
    "latent.size": 6, "latent.prior": "uniform", "batch_size": 9, "accumulate": 2, "n_critic": 2,
    "joint_pass": True,
}  # fmt: skip


def recipe_options():
    families = ("data.", "network.", "game.", "objective.", "optimizer.", "evaluate.")
    flat = recipe.flatten(resolved("dcgan").to_tree())
    return [
        key
        for key in flat
        if not key.startswith(families) and key not in NOT_IN_THE_WEIGHTS and key not in catalog.FAMILIES
    ]


@pytest.mark.parametrize("key", recipe_options())
def test_every_option_of_the_recipe_itself_changes_the_weights(key):
    assert key in RECIPE_VALUES, f"{key} is new: give it another value here"
    results = [played(changes, "dcgan", made_data()) for changes in ({}, {key: RECIPE_VALUES[key]})]
    assert any(
        a.shape != b.shape or not torch.equal(a, b)
        for a, b in zip(*(r.values() for r in results), strict=True)
    )
