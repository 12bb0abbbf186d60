"""The same game as `duel.train`, from scratch: read `play_step`, it is the same algorithm.

Weights, data order and latent vectors come from the same random streams as on PyTorch, so both engines walk
the same way, to rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from duel import checkpoint, schedule, streams
from duel.batches import Batches
from duel.constraints.clip import Clip
from duel.datasets._base import Data
from duel.errors import CheckpointError, RecipeError
from duel.games.plain import Plain
from duel.networks.dense import Dense
from duel.optimizers._base import Optimizer
from duel.recipe import Recipe
from duel.scratch import network as networks
from duel.scratch import optimizers
from duel.scratch.gradients import DiscriminatorLoss, GeneratorLoss, Loss, Seen, gradient
from duel.scratch.network import Network, Step
from duel.xp import numpy_functions

_MOST_FORWARD = 20_000  # parameters of a player with scratch.gradient = "forward"


@dataclass
class Player:
    """A network with its parameters as one vector, its optimizer's moments (vectors, and the count), its last
    gradient.
    """

    network: Network
    weights: np.ndarray
    moments: optimizers.Moments
    slope: np.ndarray | None = None


@dataclass
class Training:
    """Everything that changes while a recipe is trained; a checkpoint holds all of it.

    average     the generator's averaged weights; None where the recipe keeps no average
    updates_d   how often the discriminator was updated
    samples     the training split, flat
    latent      draws the latent vectors; places: where penalties look; directions: random tangents
    """

    step: int
    generator: Player
    discriminator: Player
    average: np.ndarray | None
    updates_d: int
    shape: tuple[int, ...]
    samples: np.ndarray
    batches: Batches
    latent: np.random.Generator
    places: np.random.Generator
    directions: np.random.Generator
    scheduled: bool


def check(recipe: Recipe) -> None:
    """RecipeError, in one sentence, for what this engine does not have."""
    lacks = {
        f"the network {_name(recipe, 'network')!r}: only network.name=dense": not isinstance(
            recipe.network, Dense
        ),
        f"the game {_name(recipe, 'game')!r}: only game.name=plain": not isinstance(recipe.game, Plain),
        "augmentations: leave them out": bool(recipe.augmentations),
        "dropout: set network.dropout=0": getattr(recipe.network, "dropout", 0) > 0,
        f"precision={recipe.precision}: only float32 and float64": recipe.precision == "bfloat16",
        "gradient accumulation: set accumulate=1 and a larger batch_size": recipe.accumulate > 1,
        "constraints other than clip": not all(isinstance(each, Clip) for each in recipe.constraints),
    }
    for what, lacking in lacks.items():
        if lacking:
            raise RecipeError(f"the from-scratch engine does not have {what}; or use engine=torch")


def _name(recipe: Recipe, place: str) -> str:
    return str(recipe.to_tree()[place]["name"])


def start(recipe: Recipe, data: Data) -> Training:
    """Step 0: initial weights, fresh optimizers, every random stream at its beginning.

    Sets the number of threads of NumPy's matrix products, which belongs to the process.
    """
    assert isinstance(recipe.network, Dense)
    threadpool_limits(recipe.threads, user_api="blas")
    interface = recipe.game.interface(data.spec, recipe.latent.size)
    bias_row = recipe.scratch.bias == "row"
    rng = streams.stream(recipe.seed, "init")
    players = []
    for build in (networks.generator, networks.discriminator):
        network = build(recipe.network, interface, bias_row)
        weights = networks.initial_weights(network, recipe.network, rng).astype(_dtype(recipe))
        players.append(Player(network, weights, {}))
    generator, discriminator = players
    _check_forward(recipe, generator, discriminator)
    samples = data.splits["train"].samples
    return Training(
        step=0,
        generator=generator,
        discriminator=discriminator,
        average=generator.weights.copy() if any(schedule.values_of(recipe.ema.decay)) else None,
        updates_d=0,
        shape=data.spec.shape,
        samples=samples.reshape(len(samples), -1),
        batches=Batches(samples, recipe.batch_size, recipe.seed),
        latent=streams.stream(recipe.seed, "latent"),
        places=streams.stream(recipe.seed, "latent", 1),
        directions=streams.stream(recipe.seed, "latent", 2),
        scheduled=schedule.is_scheduled(recipe),
    )


def _check_forward(recipe: Recipe, *players: Player) -> None:
    """RecipeError where one tangent for each parameter would take hours."""
    largest = max(player.network.count for player in players)
    if recipe.scratch.gradient == "forward" and largest > _MOST_FORWARD:
        raise RecipeError(
            f"scratch.gradient=forward follows a tangent for each of {largest:,} parameters, allowed are "
            f"{_MOST_FORWARD:,}: use scratch.gradient=backprop, or smaller networks"
        )


def _dtype(recipe: Recipe) -> type[np.floating[Any]]:
    return np.float64 if recipe.precision == "float64" else np.float32


# ---------------------------------------------------------------- one step of the game


@dataclass
class Batch:
    """What one update sees: real samples, latent vectors, and what the generator makes of these."""

    real: np.ndarray
    latent: np.ndarray
    fake: np.ndarray
    steps: list[Step]


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # the loop looks whether numbers are finite
def play_step(recipe: Recipe, now: Training) -> dict[str, Any]:
    """`n_critic` updates of the discriminator, then one of the generator.

    Returns what the log wants: losses, and logits before and after the discriminator's update.
    """
    if now.scheduled:
        recipe = recipe.at(now.step)
    assert isinstance(recipe.n_critic, int)

    for _ in range(recipe.n_critic):
        batch = _draw(recipe, now)
        of_d = _update_discriminator(recipe, now, batch)

    of_g = _update_generator(recipe, now, batch)
    _update_average(recipe, now)
    count = len(batch.real)
    return {
        "loss_d": of_d.loss,
        "real_logits": of_d.logits[:count],
        "fake_before": of_d.logits[count:],
        "loss_g": of_g.loss,
        "fake_after": of_g.logits,
    }


def _draw(recipe: Recipe, now: Training) -> Batch:
    real = now.samples[now.batches.rows()]
    latent = streams.draw_latent(now.latent, len(real), recipe.latent.size, recipe.latent.prior)
    latent = latent.astype(_dtype(recipe))
    fake, steps = now.generator.network.trace(now.generator.weights, latent)
    return Batch(_inner(real, _dtype(recipe)), latent, fake, steps)


def _inner(samples: np.ndarray, dtype: type[np.floating[Any]]) -> np.ndarray:
    """In [−1, 1]: images from uint8, points as they are."""
    if samples.dtype != np.uint8:
        return samples.astype(dtype)
    inner: np.ndarray = samples.astype(dtype) / dtype(127.5) - dtype(1)
    return inner


def _update_discriminator(recipe: Recipe, now: Training, batch: Batch) -> Seen:
    player, xp = now.discriminator, numpy_functions()
    penalties = []
    for penalty in recipe.penalties:
        if now.updates_d % penalty.every == 0:
            points = penalty.points((batch.real,), (batch.fake,), now.places, xp)
            penalties.append((penalty, points.elements[0]))
    loss = DiscriminatorLoss(player.network, recipe.objective, batch.real, batch.fake, penalties)
    seen = _update(recipe, now, player, recipe.optimizer.discriminator, loss)
    for constraint in recipe.constraints:
        constraint.apply([player.weights])
    now.updates_d += 1
    return seen


def _update_generator(recipe: Recipe, now: Training, batch: Batch) -> Seen:
    other = now.discriminator
    real_logits = None
    if recipe.objective.relativistic:
        real_logits = other.network.apply(other.weights, batch.real)[:, 0]
    loss = GeneratorLoss(
        now.generator.network,
        other.network,
        other.weights,
        recipe.objective,
        batch.latent,
        real_logits,
        (batch.fake, batch.steps),
    )
    return _update(recipe, now, now.generator, recipe.optimizer.generator, loss)


def _update(recipe: Recipe, now: Training, player: Player, options: Optimizer, loss: Loss) -> Seen:
    """One step down the gradient of a player's loss and of its weight penalties."""
    slope, seen = gradient(recipe.scratch, loss, player.weights, now.directions)
    extra = _add_weight_penalty(options, player, slope)
    optimizers.step(options, player.weights, slope, player.moments)
    player.slope = slope
    return Seen(seen.loss + extra, seen.logits)


def _add_weight_penalty(options: Optimizer, player: Player, slope: np.ndarray) -> float:
    """l1·Σ|w| + l2/2·Σw² over the weight matrices: adds their gradient to `slope`, returns their value."""
    extra = 0.0
    if options.l1 or options.l2:
        for layer, into in zip(*map(player.network.layers, (player.weights, slope)), strict=True):
            weight, part = (each.weight if each.matrix is None else each.matrix for each in (layer, into))
            part += options.l1 * np.sign(weight) + options.l2 * weight
            extra += options.l1 * np.abs(weight).sum() + options.l2 / 2 * np.square(weight).sum()
    return extra


def _update_average(recipe: Recipe, now: Training) -> None:
    """average ← d·average + (1 − d)·weights."""
    if now.average is not None:
        assert not isinstance(recipe.ema.decay, schedule.Schedule)
        decay = min(recipe.ema.decay, (1 + now.step) / (10 + now.step))
        now.average += (1 - decay) * (now.generator.weights - now.average)


# ---------------------------------------------------------------- what the loop asks for


def read(numbers: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """What a step returned: it is on the host already."""
    return {name: np.asarray(value) for name, value in numbers.items()}


_AT_ONCE = 256


@np.errstate(over="ignore", invalid="ignore")  # of a training that has diverged
def generate(now: Training, latent: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
    """Samples in [−1, 1] (float32) from the averaged weights where they are kept."""
    weights = now.generator.weights if now.average is None else now.average
    parts = [
        now.generator.network.apply(weights, latent[first : first + _AT_ONCE].astype(weights.dtype))
        for first in range(0, len(latent), _AT_ONCE)
    ]
    return np.concatenate(parts).astype(np.float32).reshape(len(latent), *now.shape)


def contents(recipe: Recipe, now: Training) -> tuple[checkpoint.Groups, dict[str, Any]]:
    """The arrays of a checkpoint, named as PyTorch's engine names them, and the random tangents' state."""
    players = {"generator": now.generator, "discriminator": now.discriminator}
    groups = {name: player.network.named(player.weights) for name, player in players.items()}
    if now.average is not None:
        named = now.generator.network.named(now.average)
        groups["ema"] = {f"generator.{name}": part for name, part in named.items()}
    groups["optimizers"] = {
        f"{name}.{number}.{moment}": part
        for name, player in players.items()
        for moment, vector in player.moments.items()
        for number, part in enumerate(_parts(player.network, vector))
    }
    return groups, {"directions": streams.save(now.directions)}


def adopt(now: Training, tensors: checkpoint.Groups) -> None:
    """Take another training's weights, and its average where one is kept here."""
    for name, player in {"generator": now.generator, "discriminator": now.discriminator}.items():
        _fill(player.network.named(player.weights), tensors.get(name, {}), name)
    if now.average is not None:
        named = now.generator.network.named(now.average)
        _fill(named, _average_of(tensors) or tensors["generator"], "ema")


def restore(recipe: Recipe, now: Training, tensors: checkpoint.Groups, state: dict[str, Any]) -> None:
    """Put back what `contents` gave. CheckpointError where it does not fit."""
    adopt(now, tensors)
    for name, player in {"generator": now.generator, "discriminator": now.discriminator}.items():
        player.moments = _moments(name, player, tensors["optimizers"])
    streams.restore(now.directions, state["directions"])


def _moments(name: str, player: Player, stored: Mapping[str, Any]) -> optimizers.Moments:
    """A player's moments as vectors, from the entries `player.parameter.moment` of a checkpoint."""
    by_moment: dict[str, dict[str, Any]] = {}
    for key, part in stored.items():
        owner, number, moment = key.split(".")
        if owner == name:
            by_moment.setdefault(moment, {})[number] = part
    found = {}
    for moment, parts in by_moment.items():
        if moment == "step":
            found[moment] = np.asarray(parts["0"]).copy()
            continue
        found[moment] = np.zeros_like(player.weights)
        into = {str(number): part for number, part in enumerate(_parts(player.network, found[moment]))}
        _fill(into, parts, f"optimizer of the {name}")
    return found


def _average_of(tensors: checkpoint.Groups) -> dict[str, Any]:
    """The generator's averaged weights by name; empty where the checkpoint has none."""
    return {key.removeprefix("generator."): part for key, part in tensors.get("ema", {}).items()}


def _parts(network: Network, vector: np.ndarray) -> list[np.ndarray]:
    """A vector of moments by parameter; a count belongs to each of them."""
    if vector.ndim == 0:
        return [vector] * (2 * (len(network.sizes) - 1))
    return list(network.named(vector).values())


def _fill(into: Mapping[str, np.ndarray], stored: Mapping[str, Any], what: str) -> None:
    shapes = {name: tuple(part.shape) for name, part in stored.items()}
    if shapes != {name: part.shape for name, part in into.items()}:
        raise CheckpointError(
            f"the checkpoint's {what} does not fit the run's recipe.toml: was that file edited?"
        )
    for name, part in into.items():
        part[...] = np.asarray(stored[name])
