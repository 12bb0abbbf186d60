"""A look into the networks of a training on the from-scratch engine, for `duel.signals`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from duel import streams
from duel.constraints.clip import Clip
from duel.objectives.wasserstein import Wasserstein
from duel.penalties.interpolated import Interpolated
from duel.recipe import Recipe
from duel.scratch.gradients import input_gradients, squared_norm
from duel.scratch.train import Player, Training
from duel.signals import AT_LIMIT, FEW, SLOPES, Inside, Layer, Looked
from duel.xp import numpy_functions


def watch(now: Training) -> Callable[[], dict[str, Layer]]:
    """Remember the weights; the result gives the norms of every parameter after the step."""
    players = {"generator": now.generator, "discriminator": now.discriminator}
    before = {name: player.weights.copy() for name, player in players.items()}

    @np.errstate(over="ignore", invalid="ignore")  # of a training that has diverged
    def after() -> dict[str, Layer]:
        found = {}
        for player_name, player in players.items():
            assert player.slope is not None, "no step was made"
            vectors = (player.weights, player.slope, player.weights - before[player_name])
            parts = [player.network.named(vector) for vector in vectors]
            for name in parts[0]:
                norms = (float(np.linalg.norm(part[name])) for part in parts)
                found[f"{player_name}.{name}"] = Layer(*norms)
        return found

    return after


@np.errstate(over="ignore", invalid="ignore")  # of a training that has diverged
def inspect(recipe: Recipe, now: Training, looked: Looked) -> Inside:
    """Logits, dead units, slopes and clipping; what this engine lacks (encoders, batch norm) stays out."""
    g, d = now.generator, now.discriminator
    dtype = g.weights.dtype
    fake, g_steps = g.network.trace(g.weights, looked.latent.astype(dtype))
    train, held = (_flat(each, dtype) for each in (looked.train, looked.held))
    logits, d_steps = d.network.trace(d.weights, train)
    dead = {
        f"{name}.{player.network.first + 2 * number - 1}": float(_constant(step.inputs[:FEW]).mean())
        for name, player, steps in (("generator", g, g_steps), ("discriminator", d, d_steps))
        for number, step in enumerate(steps)
        if number
    }
    return Inside(
        train=logits[:, 0].astype(np.float64),
        held=_logits(d, held),
        fake=_logits(d, fake),
        dead=dead,
        slopes=_slopes(recipe, d, train, fake),
        clipped=_clipped(recipe, d),
    )


def _constant(units: np.ndarray) -> np.ndarray:
    found: np.ndarray = units.max(0) == units.min(0)
    return found


def _flat(samples: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return samples.reshape(len(samples), int(np.prod(samples.shape[1:]))).astype(dtype)


def _logits(d: Player, samples: np.ndarray) -> np.ndarray:
    if not len(samples):
        return np.empty(0)
    found: np.ndarray = d.network.apply(d.weights, samples)[:, 0].astype(np.float64)
    return found


def _slopes(recipe: Recipe, d: Player, train: np.ndarray, fake: np.ndarray) -> np.ndarray | None:
    """‖∇D‖ between real and generated samples; None unless the critic's slope must be bounded."""
    if not isinstance(recipe.objective, Wasserstein):
        return None
    rng, count = streams.stream(recipe.seed, "fixed", 2), min(SLOPES, len(train), len(fake))
    points = Interpolated().points((train[:count],), (fake[:count],), rng, numpy_functions())
    gradients = input_gradients(d.network, d.weights, points.elements[0])
    found: np.ndarray = np.sqrt(squared_norm(gradients)).astype(np.float64)
    return found


def _clipped(recipe: Recipe, d: Player) -> float | None:
    """The share of clipped weights that stand at the limit."""
    limits = [each.limit for each in recipe.constraints if isinstance(each, Clip)]
    return float((np.abs(d.weights) >= AT_LIMIT * limits[0]).mean()) if limits else None
