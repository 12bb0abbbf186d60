"""Many steps of the game, on any engine: between whole steps it logs, draws sample grids and saves.

It looks at signals, but knows no metric and no diagnosis. What one step does is the engine's: `duel.train`
on PyTorch, `duel.scratch.train` from scratch.
"""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from duel import checkpoint, pictures, sampling, streams
from duel.batches import Batches
from duel.datasets._base import Data
from duel.errors import CheckpointError, NonFiniteError
from duel.ranks import ALONE, World
from duel.recipe import Recipe
from duel.run import Run
from duel.signals import Watch
from duel.xp import numpy_functions

Event = dict[str, Any]


class Training(Protocol):
    """What the loop knows of a training; the engine keeps networks and optimizers there, too.

    step       how many steps are done
    updates_d  how often the discriminator was updated
    latent     draws the latent vectors; places: where penalties look
    """

    step: int
    updates_d: int
    batches: Batches
    latent: np.random.Generator
    places: np.random.Generator


class Engine(Protocol):
    """The functions of an engine's module. `now` is what its `start` has made."""

    def check(self, recipe: Recipe) -> None:
        """RecipeError, in one sentence, for what this engine does not have."""

    def start(self, recipe: Recipe, data: Data) -> Any:
        """Step 0: initial weights, fresh optimizers, every random stream at its beginning."""

    def play_step(self, recipe: Recipe, now: Any) -> Mapping[str, Any]:
        """One step. Returns loss_d, loss_g, and the logits real_logits, fake_before, fake_after."""

    def read(self, numbers: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """The same numbers on the host."""

    def generate(self, now: Any, latent: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        """Samples in [−1, 1] from the averaged weights where they are kept."""

    def contents(self, recipe: Recipe, now: Any) -> tuple[checkpoint.Groups, dict[str, Any]]:
        """The tensors of a checkpoint by file, the optimizers' among them; what else the engine must save."""

    def adopt(self, now: Any, tensors: checkpoint.Groups) -> None:
        """Take another training's weights (and its average, where one is kept), and nothing else of it."""

    def restore(self, recipe: Recipe, now: Any, tensors: checkpoint.Groups, state: dict[str, Any]) -> None:
        """Put back what `contents` gave."""


def engine_of(recipe: Recipe) -> Engine:
    """The module of the recipe's engine."""
    name = {"torch": "duel.train", "scratch": "duel.scratch.train"}[recipe.engine]
    return cast(Engine, importlib.import_module(name))


def play(
    recipe: Recipe, data: Data, now: Training, run: Run, total: int, stopping: Callable[[], bool]
) -> Iterator[Event]:
    """Play from `now.step` to `total`, filling the run folder; yields step, sample and checkpoint events.

    Between whole steps `stopping()` is asked whether to end early; then, as at the end, a checkpoint is
    written. Raises NonFiniteError when a loss or a weight is no longer a number.
    """
    engine = engine_of(recipe)
    look = _Look(recipe, data, run)
    every = recipe.signals.every
    watch = Watch(recipe, data) if every else None
    generate = partial(engine.generate, now)
    if now.step == 0:
        yield look.at_samples(now)
    if watch is not None:
        if now.step % every == 0:
            watch.remember(generate)
        if now.step == 0:
            yield {"event": "signal", "step": 0, "facts": watch.facts}
    saved = looked = now.step
    since, drawn = time.perf_counter(), now.batches.position
    while now.step < total and not stopping():
        due = watch is not None and (now.step + 1) % every == 0
        norms = watch.watch(now) if watch is not None and due else None
        numbers = engine.play_step(recipe, now)
        now.step += 1

        if now.step % recipe.log.every == 0 or now.step == total:
            found = engine.read(numbers)
            _refuse_nonfinite(engine, recipe, now, found)
            yield _step_event(recipe, now, found, since, drawn)
            since, drawn = time.perf_counter(), now.batches.position
        if watch is not None and norms is not None:
            yield {"event": "signal", "step": now.step, "values": watch.look(now, generate, norms())}
        if now.step % recipe.sample.every == 0:
            yield look.at_samples(now)
            looked = now.step
        if _save_is_due(recipe, now.step):
            yield save(recipe, now, run)
            saved = now.step
    if looked != now.step:
        yield look.at_samples(now)
    if saved != now.step:
        yield save(recipe, now, run)


def _save_is_due(recipe: Recipe, step: int) -> bool:
    """At each checkpoint, and before each evaluation."""
    return step % recipe.checkpoint.every == 0 or step % (recipe.evaluate.every or math.inf) == 0


def follow(recipe: Recipe, now: Training, total: int, stopping: Callable[[], bool]) -> None:
    """Play the same steps as the first of several processes, which logs, looks and saves.

    Raises NonFiniteError where that one does.
    """
    engine, saved = engine_of(recipe), now.step
    while now.step < total and not stopping():
        numbers = engine.play_step(recipe, now)
        now.step += 1
        if now.step % recipe.log.every == 0 or now.step == total:
            _refuse_nonfinite(engine, recipe, now, engine.read(numbers))
        if _save_is_due(recipe, now.step):
            _checked_contents(recipe, now)
            saved = now.step
    if saved != now.step:
        _checked_contents(recipe, now)


def _step_event(
    recipe: Recipe, now: Training, numbers: dict[str, np.ndarray], since: float, drawn: int
) -> Event:
    """Losses and the discriminator's outputs at this step, the effort so far, the speed since `since`."""
    sigmoid = numpy_functions().sigmoid
    kind, view = ("d", sigmoid) if recipe.objective.probabilistic else ("score", np.asarray)
    names = {"real_logits": "real", "fake_before": "fake_before", "fake_after": "fake_after"}
    outputs = {f"{kind}_{name}": float(view(numbers[key]).mean()) for key, name in names.items()}
    losses = {name: float(numbers[name]) for name in ("loss_d", "loss_g")}
    speed = (now.batches.position - drawn) / max(time.perf_counter() - since, 1e-9)
    effort = {"updates_d": now.updates_d, "images": now.batches.position}
    return {"event": "step", "step": now.step, **losses, **outputs, **effort, "images_per_s": round(speed, 1)}


def _refuse_nonfinite(engine: Engine, recipe: Recipe, now: Training, numbers: dict[str, np.ndarray]) -> None:
    """NonFiniteError where a loss is no number; it names the first tensor that is none either."""
    for name in ("loss_d", "loss_g"):
        value = float(numbers[name])
        if not math.isfinite(value):
            tensor = _first_nonfinite(engine.contents(recipe, now)[0])
            every = recipe.log.every
            looked = None if every == 1 else f"every {every} steps, log.every"
            raise NonFiniteError(name, value, now.step, tensor, looked)


def _first_nonfinite(tensors: checkpoint.Groups) -> str | None:
    """The name of the first tensor with a number that is infinite or NaN; weights before moments."""
    for group, parts in tensors.items():
        for name, tensor in parts.items():
            if not np.isfinite(np.asarray(tensor)).all():
                return f"{group}.{name}"
    return None


_POINTS = 2000  # on a scatter plot


class _Look:
    """The sample grids at one fixed noise, so that they can be watched in order.

    Where the generator takes labels, a row for each class, with the same noise in each row.
    """

    def __init__(self, recipe: Recipe, data: Data, run: Run) -> None:
        rng = streams.stream(recipe.seed, "fixed")
        spec, train = data.spec, data.splits["train"]
        classes = recipe.game.interface(spec, recipe.latent.size).generator_classes
        self._arrangement = sampling.Arrangement(
            recipe.sample.count if spec.kind == "image" else _POINTS, classes
        )
        in_a_row = self._arrangement.columns if spec.kind == "image" else None
        drawn = in_a_row or self._arrangement.count
        latent = streams.draw_latent(rng, drawn, recipe.latent.size, recipe.latent.prior)
        self._latent = np.resize(latent, (self._arrangement.count, recipe.latent.size))
        self._real = train.samples[self._arrangement.of(len(train), train.labels)]
        self._data, self._run, self._engine = data, run, engine_of(recipe)

    def at_samples(self, now: Training) -> Event:
        """Draw the grid of this step (and once, the sheet of real samples)."""
        spec, columns = self._data.spec, self._arrangement.columns
        points = spec.kind == "points"
        if now.step == 0:
            real = self._real if points else self._real / np.float32(127.5) - 1
            self._run.write_picture(
                "samples/real.png", pictures.png(pictures.sheet(real, spec, columns=columns))
            )
        samples = self._engine.generate(now, self._latent, self._arrangement.labels)
        reference = self._real if points else None
        content = pictures.png(pictures.sheet(samples, spec, reference, columns))
        path = self._run.write_picture(f"samples/{now.step:08d}.png", content)
        return {"event": "sample", "step": now.step, "path": str(path)}


# ---------------------------------------------------------------- saving and loading


def write(recipe: Recipe, now: Training, folder: Path) -> Path:
    """Write a checkpoint beneath a folder, and read it back. NonFiniteError where a number in it is none."""
    tensors, own = _checked_contents(recipe, now)
    state = {
        "images": now.batches.position,
        "updates_d": now.updates_d,
        "latent": streams.save(now.latent),
        "places": streams.save(now.places),
        **own,
    }
    place = checkpoint.save(folder, now.step, tensors, state)
    checkpoint.verify(place)
    return place


def _checked_contents(recipe: Recipe, now: Training) -> tuple[checkpoint.Groups, dict[str, Any]]:
    """What a checkpoint will hold. NonFiniteError where a number in it is none."""
    tensors, own = engine_of(recipe).contents(recipe, now)
    sick = _first_nonfinite(tensors)
    if sick is not None:
        raise NonFiniteError(sick, math.nan, now.step, sick, "before each checkpoint")
    return tensors, own


def save(recipe: Recipe, now: Training, run: Run) -> Event:
    """Write a checkpoint, make it the run's last, and remove those that are no longer kept.

    Older ones go only when this one is seen to be readable.
    """
    path = write(recipe, now, run.checkpoints_folder)
    run.update_state(last=now.step)
    run.prune(recipe.checkpoint.keep)
    return {"event": "checkpoint", "step": now.step, "path": str(path)}


def resume(recipe: Recipe, data: Data, run: Run, world: World = ALONE) -> Training:
    """The training as the run's newest whole checkpoint has it; step 0 where there is none yet.

    world: the processes that will train it together. CheckpointError where there are checkpoints and all are
    damaged.
    """
    engine = engine_of(recipe)
    now: Training = engine.start(recipe, data)
    step, _ = run.newest_whole()
    if step is not None:
        _restored(engine, recipe, now, run, step)
    if world.count > 1:
        from duel.train import spread  # the only engine that trains in several

        spread(recipe, cast(Any, now), world)
    return now


def _restored(engine: Engine, recipe: Recipe, now: Training, run: Run, step: int) -> None:
    """Put a checkpoint back into a training at its beginning."""
    tensors, state = run.load_checkpoint(step)
    try:
        engine.restore(recipe, now, tensors, state)
        now.step = int(state["step"])
        now.batches.position = int(state["images"])
        now.updates_d = int(state["updates_d"])
        streams.restore(now.latent, state["latent"])
        streams.restore(now.places, state["places"])
    except (KeyError, ValueError, TypeError, IndexError, RuntimeError) as error:
        raise CheckpointError(f"checkpoint {step} of {run.path} cannot be taken up: {error!r}") from error
