"""The smallest runs that are still real ones, shared by the tests."""

import sys

import numpy as np

import duel
from duel import cli
from duel import recipe as recipes
from duel.datasets._base import Data, Spec, Split

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


def command(capsys, monkeypatch, *arguments):
    """The command line in this process: (exit status, standard output, standard error)."""
    monkeypatch.setattr(sys, "argv", ["duel", *map(str, arguments)])
    status = 0
    try:
        cli.main()
    except SystemExit as leave:
        status = leave.code or 0
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def weights(run, which="last"):
    """All tensors of a checkpoint, and its state, as comparable values."""
    tensors, state = duel.load(run).load_checkpoint(which)
    flat = {f"{group}.{name}": value for group, part in tensors.items() for name, value in part.items()}
    return {name: value.numpy().tobytes() for name, value in flat.items()}, state


def made_data(count=40, side=16, channels=1, classes=()):
    """Random images (16 pixels: at 8 the DCGAN's discriminator has no batch norm yet), labels by turns."""
    images = np.random.default_rng(0).integers(0, 256, (count, channels, side, side), np.uint8)
    split = Split(images, np.arange(count) % len(classes) if classes else None)
    return Data(
        "made",
        Spec("image", (channels, side, side), tuple(classes)),
        dict.fromkeys(("train", "validation", "test"), split),
        "f",
    )


def resolved(name="dcgan", **changes):
    """A recipe with the smallest networks, for made data."""
    base = TINY if name == "dcgan" else POINTS
    return recipes.resolve(
        recipes.change(recipes.read(name), {**base, "device": "cpu", "steps": 5, **changes})
    )


def parameters(now):
    """Every parameter of the networks, by name, as they are now."""
    modules = now.networks.named()
    return {f"{n}.{k}": p.detach().clone() for n, m in modules.items() for k, p in m.named_parameters()}
