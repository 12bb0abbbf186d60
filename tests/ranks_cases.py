"""What two processes and one must do alike: recipes in float64, and the steps to play them."""

from tiny import made_data

from duel import recipe
from duel.ranks import ALONE
from duel.train import play_step, read, spread, start

_DCGAN = {"network.name": "dcgan", "network.width": 8}
CASES = {
    "dcgan": _DCGAN,
    "accumulated": {**_DCGAN, "accumulate": 2, "joint_pass": True},
    "labels": {**_DCGAN, "game.name": "conditional", "augmentations": "ada", "ema.decay": 0.9},
    "wgan-gp": {
        **_DCGAN,
        "network.discriminator_norm": "none",
        "objective.name": "wasserstein",
        "penalties": "interpolated",
        "n_critic": 2,
    },
    "dragan": {**_DCGAN, "network.discriminator_norm": "none", "penalties": "dragan"},
    "l2": {"network.name": "dense", "optimizer.generator.l2": 0.1, "objective.name": "relativistic"},
    "bigan": {"network.name": "bigan-dense", "network.hidden": [16, 16], "game.name": "bidirectional"},
    "apart": {**_DCGAN, "sync_batch_norm": False},
}
STEPS = 4


def played(name, world):
    """The numbers of the last step, and all weights and buffers after it."""
    tree = {"network": {"name": "dcgan"}, "steps": STEPS, "device": "cpu", "precision": "float64"}
    small = {"latent.size": 5, "batch_size": 8, "threads": 1, "seed": 3}
    it = recipe.resolve(recipe.change(tree, {**small, **CASES[name]}))
    now = start(it, made_data(64, 16, 1, classes=tuple("012")))
    if world is not ALONE:
        spread(it, now, world)
    for _ in range(STEPS):
        numbers = read(play_step(it, now))
        now.step += 1
    modules = {**now.networks.named(), **{f"average.{key}": one for key, one in now.average.items()}}
    weights = {
        f"{key}.{part}": value.numpy().copy()
        for key, module in modules.items()
        for part, value in module.state_dict().items()
    }
    return {key: sorted(value.ravel().tolist()) for key, value in numbers.items()}, weights
