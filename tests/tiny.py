"""The smallest runs that are still real ones, shared by the tests."""

import duel

TINY = {
    "network.width": 4,
    "latent.size": 5,
    "batch_size": 8,
    "threads": 1,
    "log.every": 2,
    "sample.every": 5,
    "sample.count": 4,
    "checkpoint.every": 5,
}
POINTS = {
    "network.generator_hidden": [8],
    "network.discriminator_hidden": [8],
    **{key: value for key, value in TINY.items() if key != "network.width"},
}


def train(out, steps=10, recipe="dcgan", changes=None, **options):
    """A tiny run from start to end; its events."""
    base = TINY if recipe != "gan" else POINTS
    with duel.train(recipe, out=out, steps=steps, changes={**base, **(changes or {})}, **options) as session:
        return list(session)


def weights(run, which="last"):
    """All tensors of a checkpoint, and its state, as comparable values."""
    tensors, state = duel.load(run).load_checkpoint(which)
    flat = {f"{group}.{name}": value for group, part in tensors.items() for name, value in part.items()}
    return {name: value.numpy().tobytes() for name, value in flat.items()}, state
