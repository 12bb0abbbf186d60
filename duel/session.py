"""A run from start to end: what happens before the first step, between the steps and after the last.

`train` resolves and checks recipe and data, makes (or takes up) the run folder, and only then returns a
`Session`: an iterator of events that is also a context manager.
"""

from __future__ import annotations

import contextlib
import math
import os
import resource
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from duel import checkpoint, events, nonfinite, pictures
from duel import recipe as recipes
from duel import run as runs
from duel.datasets._base import Data
from duel.datasets._scan import shown
from duel.datasets.folder import Folder
from duel.diagnose import advice, at_least, changed, diagnose, journal, standing
from duel.diagnoses._base import Severity
from duel.errors import (
    CheckpointError,
    DataError,
    DuelError,
    MetricError,
    NonFiniteError,
    RecipeError,
    RunError,
)
from duel.evaluate import Evaluator, metric_events, run_source
from duel.loop import Event, Training, engine_of, play, resume, write
from duel.networks._base import Networks
from duel.ranks import World, joined, world
from duel.recipe import Recipe
from duel.run import Lock, Run

if TYPE_CHECKING:
    from torch.nn import Module

_FRAMES = 8  # pictures on the film strip


def _best(values: list[Event]) -> int:
    """The position of the best of a metric's events; of equal ones the first."""
    sign = 1 if values[0]["better"] == "lower" else -1
    ranks = [sign * event["value"] if math.isfinite(event["value"]) else math.inf for event in values]
    return ranks.index(min(ranks))


class Session:
    """Iterate to train: each item is an event (`{"event": …, "step": …, "time": seconds, …}`).

    As a context manager it saves when the block is left early. `stop()` asks for the end after the
    step under way; a checkpoint is written and the last event is `end`.
    """

    def __init__(
        self,
        recipe: Recipe,
        data: Data,
        run: Run,
        lock: Lock,
        cost: dict[str, float],
        notes: Sequence[str] = (),
        stop_on: Severity | None = None,
    ) -> None:
        """Made by `train`; the run folder is there, held, and the recipe resolved.

        notes: warnings from taking up the run. stop_on: the least severity of a finding that ends it.
        """
        self._notes = notes
        self._stop_on = stop_on
        self._stopped_by: str | None = None
        self.recipe = recipe
        self.run = run
        self.total_steps = recipe.total_steps(len(data.splits["train"]))
        self._evaluator = _evaluator(recipe, data)
        self._data = data
        self._lock = lock
        self._cost = cost
        self._stopping = False
        self._world = World()
        self._events = self._play()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        return next(self._events)

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leaving early saves: training goes on from there when the run is taken up again."""
        self.stop()
        for _ in self._events:
            pass

    def stop(self) -> None:
        """End after the step under way, with a checkpoint."""
        self._stopping = True

    def finished(self) -> str | None:
        """Why there is nothing left to do, in one sentence; None where there is."""
        if self.run.state["last"] == self.total_steps:
            return (
                f"{self.run.path} is finished: all {self.total_steps} steps are done; "
                "ask for more with --steps"
            )
        if self._out_of_patience():
            return (
                f"{self.run.path} was stopped early: no better {self._deciding} in "
                f"{self.recipe.evaluate.patience} evaluations; go on with a larger evaluate.patience"
            )
        return None

    def _play(self) -> Iterator[Event]:
        began = time.perf_counter()
        self._world = joined()
        try:
            # A run that was killed, or that an error ended, lacks its end.
            if self.finished() and self.run.state["state"] not in ("running", "failed"):
                self._world.told("")
                return
            for event in self._events_without_time():
                event["time"] = round(time.perf_counter() - began, 3)
                self.run.record(event)
                self._journal.add(event)
                yield event
        except Exception:
            with contextlib.suppress(OSError, DuelError):  # what failed may be the disk
                self.run.update_state(state="failed")
            raise
        finally:
            self._world.leave()
            self._lock.release()

    def _events_without_time(self) -> Iterator[Event]:
        now = self._taken_up()
        self.run.update_state(state="running", steps=self.total_steps)
        yield self._start_event(now)
        warnings = (
            *self._notes, *self._data.notes, *_skipped_note(self._data), *self._threads_note(),
            *self._disk_note(),
        )  # fmt: skip
        for warning in warnings:
            yield {"event": "warning", "step": now.step, "message": warning}
        yield from self._evaluation(now.step)
        if self._out_of_patience():
            self.stop()
        reason, message = "", None
        while not reason:
            try:
                yield from self._played(now)
            except NonFiniteError as error:
                yield self._finding(error)
                if self._halvings >= self._most_halvings:
                    reason, message = "nonfinite", str(error)
                    continue
                self.run.update_state(halvings=self._halvings + 1)
                now = self._taken_up()
                yield self._rollback_event(error, now.step)
                continue
            reason = "done" if now.step == self.total_steps else "interrupted"
            if reason == "interrupted" and self._out_of_patience():
                reason, message = "stopped", self.finished()
            if reason == "interrupted" and self._stopped_by:
                reason, message = "stopped", self._stopped_by
        self._write_findings()
        drawn, broken = self._pictures()
        for file in broken:
            said = f"{file} is no picture any more: it is left out of the film strip"
            yield {"event": "warning", "step": now.step, "message": said}
        self.run.update_state(state=reason)
        yield {"event": "end", "step": now.step, "reason": reason, **drawn, **_message(message)}

    def _taken_up(self) -> Training:
        """The training from the newest checkpoint on; what was logged after it is forgotten."""
        self._world.told(str(self.run.path.resolve()))  # the others begin there, too
        now = resume(self._recipe_now, self._data, self.run, self._world)
        self.run.drop_events_after(now.step)
        self._journal = journal(self.run)
        return now

    def _played(self, now: Training) -> Iterator[Event]:
        """The steps that are left, with an evaluation where one is due."""
        for event in play(
            self._recipe_now,
            self._data,
            now,
            self.run,
            self.total_steps,
            lambda: self._world.any(self._stopping),
        ):
            yield event
            if event["event"] == "checkpoint":
                yield from self._evaluation(now.step)
            if "values" in event:
                yield from self._diagnosis(now.step)

    def _diagnosis(self, step: int) -> Iterator[Event]:
        """The findings that were not there before; asks for the end where one is as severe as `stop_on`."""
        new = self._journal.news()
        for finding in new:
            yield {"event": "finding", "step": step, **finding}
        if new:
            self._write_findings()
        for finding in new:
            if self._stop_on is not None and at_least(finding["severity"], self._stop_on):
                self._stopped_by = (
                    f"stopped by the finding {finding['name']} at step {step}: see `duel diagnose "
                    f"{self.run.path}`"
                )
                self.stop()

    def _write_findings(self) -> None:
        """What is wrong now, in place of what was."""
        found = standing(self.run, self._journal)
        if found or (self.run.path / "findings.json").exists():
            self.run.write_findings(found)

    @property
    def _halvings(self) -> int:
        """How often a rollback has halved this run's learning rates."""
        halvings: int = self.run.state.get("halvings", 0)
        return halvings

    @property
    def _most_halvings(self) -> int:
        return self.recipe.max_rollbacks if self.recipe.on_nonfinite == "rollback" else 0

    @property
    def _recipe_now(self) -> Recipe:
        return self.recipe.slower(self._halvings)

    def _finding(self, error: NonFiniteError) -> Event:
        """What is wrong, also in findings.json: the tensor, the step, and the rates to try."""
        half = recipes.flatten(self._recipe_now.slower(1).to_tree())
        rates = {
            key: nonfinite.workable(value) if key.endswith((".lr", ".values")) else value
            for key, value in half.items()
            if key.startswith(("optimizer.generator.lr", "optimizer.discriminator.lr"))
        }
        finding = nonfinite.finding(error.tensor or error.signal, error.value, error.step, str(error), rates)
        self.run.write_findings([finding])
        return {"event": "finding", "step": error.step, **finding}

    def _rollback_event(self, error: NonFiniteError, step: int) -> Event:
        done, most = self._halvings, self._most_halvings
        message = f"{error}; back to step {step}, with learning rates halved ({done} of at most {most} times)"
        return {"event": "warning", "step": step, "message": message}

    def _evaluation(self, step: int) -> Iterator[Event]:
        """The metrics of this step's checkpoint, if they are due and not there yet; keeps the best."""
        every = self.recipe.evaluate.every
        if self._evaluator is None or every is None or step == 0 or step % every:
            return
        if not any(event["step"] == step for event in self.run.events("metric")):
            try:
                result = self._evaluator.measure(run_source(self.run, step), self.recipe.evaluate.samples)
            except MetricError as error:
                yield {"event": "warning", "step": step, "message": str(error)}
                return
            self.run.record_metrics({"step": step, **result})
            yield from metric_events(result, step)
        values = self._deciding_values()
        self.run.update_state(best=values[_best(values)]["step"])
        self.run.prune(self.recipe.checkpoint.keep)
        if self._out_of_patience():
            self.stop()

    @property
    def _deciding(self) -> str:
        """The metric that chooses the best checkpoint: the first one."""
        return next((event["name"] for event in self.run.events("metric")), "")

    def _deciding_values(self) -> list[Event]:
        """That metric so far, from this run's own events: they are of the validation split.

        metrics.jsonl also holds what users measured on the test split, which must never choose.
        """
        name = self._deciding
        return [event for event in self.run.events("metric") if event["name"] == name]

    def _out_of_patience(self) -> bool:
        """Whether the last `evaluate.patience` evaluations brought nothing better."""
        patience = self.recipe.evaluate.patience
        values = self._deciding_values() if patience else []
        return bool(values) and len(values) - 1 - _best(values) >= (patience or 0)

    def _threads_note(self) -> list[str]:
        known = self.run.provenance
        pairs = {
            "threads": (known["threads"], self.recipe.threads),
            "processes": (known.get("processes", 1), world().count),
        }
        return [
            f"this run began with {before} {what} and goes on with {now}: the last digits may differ"
            for what, (before, now) in pairs.items()
            if before != now
        ]

    def _disk_note(self) -> list[str]:
        """A warning where the checkpoints that are to be kept will not fit beside what is there."""
        needed = self._cost["disk_bytes"] - runs.weight(self.run.checkpoints_folder)
        try:
            there = os.statvfs(self.run.path)
        except OSError:
            return []
        free = there.f_bavail * there.f_frsize
        if needed <= free:
            return []
        return [
            f"the checkpoints of {self.run.path} will take about {needed / 1e6:.0f} MB, and "
            f"{free / 1e6:.0f} MB of the disk are free: make room, or set checkpoint.keep lower"
        ]

    def _ancestor(self, step: int) -> dict[str, Any]:
        """Of a run that begins: whose weights it begins with, whose advice it follows."""
        if step:
            return {}
        known, found = self.run.provenance, {}
        if "init_from" in known:
            found["init_from"] = {key: known["init_from"][key] for key in ("run", "step")}
        if "advised" in known:
            found["advised"] = known["advised"]
        return found

    def _start_event(self, now: Training) -> Event:
        size = len(self._data.splits["train"])
        return {
            "event": "start",
            "step": now.step,
            "steps": self.total_steps,
            "recipe": self.recipe.name,
            "data": self._data.name,
            "train_size": size,
            "kind": self._data.spec.kind,
            "device": self.recipe.device,
            "threads": self.recipe.threads,
            "processes": world().count,
            "run": str(self.run.path),
            **self._ancestor(now.step),
            "estimate": {
                **self._cost,
                "seconds": round(self._cost["seconds"] * (self.total_steps - now.step), 1),
            },
        }

    def _pictures(self) -> tuple[dict[str, str], list[Path]]:
        """The film strip, the curves and where the last grid is; and the grids that are broken."""
        grids = self.run.grids()
        if not grids:
            return {}, []
        chosen = [grids[round(i * (len(grids) - 1) / (_FRAMES - 1))] for i in range(_FRAMES)]
        images = {grid: pictures.opened(grid[1]) for grid in dict.fromkeys(chosen)}
        frames = [
            (step, pictures.first_tiles(image, self._data.spec, rows=8))
            for (step, _), image in images.items()
            if image is not None
        ]
        named = {"grid": str(grids[-1][1])}
        if frames:
            strip = pictures.png(pictures.film_strip(frames))
            named["film"] = str(self.run.write_picture("film.png", strip))
        curves = pictures.png(pictures.curves(self._whole_steps()))
        named["curves"] = str(self.run.write_picture("curves.png", curves))
        return named, [file for (_, file), image in images.items() if image is None]

    def _whole_steps(self) -> list[Event]:
        """The step events that have all numbers that the last one has: a damaged log may lack some."""
        steps = list(self.run.events("step"))
        return [event for event in steps if steps[-1].keys() <= event.keys()]


def train(
    recipe: str | Path | Mapping[str, Any] | Recipe | None = None,
    *,
    data: str | Path | None = None,
    out: str | Path | None = None,
    steps: int | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    device: str | None = None,
    engine: str | None = None,
    changes: Mapping[str, Any] | None = None,
    init_from: str | Path | None = None,
    resume: str | Path | None = None,
    stop_on: Severity | None = None,
    advised: tuple[str | Path, int] | None = None,
    allow_code: bool | Collection[str] = False,
    command: str | None = None,
) -> Session:
    """Train a generator: iterate over the result.

    recipe      a name (`duel list recipes`), a TOML file, a tree of tables, or a Recipe
    data        a listed data set, else a folder of images
    out         the run folder; a new `runs/NNNN-RECIPE-DATA` by default. Where it holds a run of the
                same recipe, that run is taken up again
    steps       generator updates; or epochs
    engine      "torch" or "scratch"
    changes     other fields by dotted key, `{"network.width": 32}`
    init_from   a run whose last weights are where this one begins; nothing else of it is taken over
    resume      a run folder to take up; then neither recipe, data nor out is given
    stop_on     end the run early at the first finding of this severity or above ("severe", "warning", "info")
    advised     a run and the number of one of its advices (from 1, as `duel diagnose` shows them): start
                afresh with that run's recipe, seed and data, and with the advice applied
    allow_code  whether variants from outside ("module:Class") may be imported, or which

    Everything is checked and the recipe written before this returns. Raises RecipeError, DataError
    or RunError, with nothing left half-written.
    """
    changes = _all_changes(changes, data, steps, epochs, seed, device, engine)
    if resume is not None:
        if advised is not None:
            raise RunError(
                f"resume takes up {resume} as it is, and an advised run begins afresh: give --resume alone, "
                "or --from and --advice"
            )
        if recipe is not None or data is not None or out is not None or init_from is not None:
            raise RunError(f"resume takes up {resume} as it is: leave out recipe, data, out and init_from")
        return _take_up(Path(resume), changes, allow_code, stop_on)
    origin: dict[str, Any] = {}
    remarks: list[str] = []
    if advised is not None:
        if recipe is not None or data is not None:
            raise RunError(f"an advised run takes recipe and data from {advised[0]}: leave them out")
        old = Run(advised[0], allow_code)
        recipe, origin = _advised(old, advised[1])
        if old.edited:
            remarks.append(f"the recipe.toml of {old.path} was edited since: this run follows it as it is")
    if recipe is None:
        raise RecipeError("no recipe was given: name one (`duel list recipes`) or give a TOML file")
    wanted = resolve(recipe, changes, allow_code)
    _check_looks(wanted, stop_on)
    if out is not None and runs.is_run(Path(out)):
        return _continue_same(Path(out), wanted, changes, allow_code, init_from, stop_on)
    path = _empty_place(Path(out)) if out is not None else runs.new_path(Path("runs"), wanted)
    loaded = check(wanted)
    other = None if init_from is None else Run(init_from, allow_code)
    grown = None if other is None else _grown_from(other, wanted, loaded)
    cost = estimate(wanted, loaded)
    total = wanted.total_steps(len(loaded.splits["train"]))
    ancestor = origin | ({} if other is None else _ancestor(other))
    first = None if grown is None else partial(write, wanted, grown)
    run, lock = runs.create(path, wanted, loaded, total, command or _command(), ancestor, first)
    return Session(wanted, loaded, run, lock, cost, remarks, stop_on)


def _check_looks(recipe: Recipe, stop_on: Severity | None) -> None:
    """RecipeError where findings are to end a run that is never looked at."""
    if stop_on is not None and not recipe.signals.every:
        raise RecipeError(
            f"--stop-on {stop_on} ends a run at what is seen in it, and signals.every=0 looks at nothing: "
            "set signals.every=100, say, or leave out --stop-on"
        )


def _advised(run: Run, number: int) -> tuple[Recipe, dict[str, Any]]:
    """A run's recipe with its N-th advice applied, and what the new run's provenance says of it."""
    offered = advice(diagnose(run)["findings"])
    if not 1 <= number <= len(offered):
        allowed = f"allowed are 1 to {len(offered)}" if offered else "there is none"
        raise RunError(
            f"advice {number} of {run.path} was asked for, {allowed}: see `duel diagnose {run.path}`"
        )
    finding, chosen = offered[number - 1]
    recipe = changed(run.recipe, chosen["set"])
    origin = {"run": str(run.path.resolve()), "finding": finding, "advice": number, "set": chosen["set"]}
    return recipe, {"advised": origin}


def _grown_from(other: Run, recipe: Recipe, data: Data) -> Training:
    """Step 0 with the weights of another run's last checkpoint. RunError where they do not fit."""
    engine = engine_of(recipe)
    now: Training = engine.start(recipe, data)
    tensors, _ = other.load_checkpoint("last", choice=False)
    try:
        engine.adopt(now, tensors)
    except CheckpointError as error:
        reason = f" ({error.reason})" if isinstance(error, checkpoint.Unfit) else ""
        raise RunError(
            f"the weights of {other.path} do not fit this recipe's networks{reason}: give the same network "
            "and latent.size"
        ) from error
    return now


def _ancestor(other: Run) -> dict[str, Any]:
    """Where a run's first weights come from, for its provenance."""
    step = other.checkpoint_step("last")
    return {
        "init_from": {"run": str(other.path.resolve()), "step": step, "sha256": other.checkpoint_digest(step)}
    }


def plan(
    recipe: str | Path | Mapping[str, Any] | Recipe,
    *,
    data: str | Path | None = None,
    steps: int | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    device: str | None = None,
    engine: str | None = None,
    changes: Mapping[str, Any] | None = None,
    allow_code: bool | Collection[str] = False,
) -> Recipe:
    """The resolved recipe that `train` would use with the same arguments. Writes nothing."""
    wanted = resolve(recipe, _all_changes(changes, data, steps, epochs, seed, device, engine), allow_code)
    check(wanted)
    return wanted


def resolve(
    recipe: str | Path | Mapping[str, Any] | Recipe,
    changes: Mapping[str, Any] | None = None,
    allow_code: bool | Collection[str] = False,
) -> Recipe:
    """The recipe with the changes applied, and this machine's device, threads and place of the data."""
    if isinstance(recipe, Recipe):
        tree, allow_code = recipe.to_tree(), True
    else:
        tree = dict(recipe) if isinstance(recipe, Mapping) else recipes.read(recipe)
    return _settled(recipes.resolve(recipes.change(tree, changes or {}), allow_code))


def _settled(recipe: Recipe) -> Recipe:
    """What depends on this machine, and on where it was asked: device, threads, a folder's absolute path."""
    data = recipe.data
    if isinstance(data, Folder):
        recipe = replace(recipe, data=replace(data, path=str(Path(data.path).expanduser().resolve())))
    return recipes.on_this_machine(recipe)


def check(recipe: Recipe) -> Data:
    """Load the data and see that they fit the recipe. RecipeError or DataError where not."""
    import torch

    engine_of(recipe).check(recipe)
    world().check(recipe)
    data = recipe.data.load()
    if len(data.splits["train"]) == 0:
        raise DataError(f"the training split of {data.name} is empty: more images are needed")
    interface = recipe.game.interface(data.spec, recipe.latent.size)
    recipe.network.check(interface)
    for augmentation in recipe.augmentations:
        augmentation.check(data.spec)
        if augmentation.adapts and recipe.objective.boundary is None:
            raise RecipeError(
                "an augmentation that adapts to the discriminator's certainty needs an objective whose "
                "logits say real or fake by themselves: use objective.name=non-saturating, hinge or "
                "least-squares, or augmentations=diffaugment"
            )
    with torch.device("meta"):  # shapes only: nothing is allocated
        networks = recipe.network.modules(interface)
    _check_initial_weights(recipe, networks)
    _check_discriminator(recipe, networks.discriminator)
    _check_memory(recipe, data, networks)
    if recipe.on_nonfinite == "rollback":
        recipe.slower(1)  # refuses optimizers that cannot
    _evaluator(recipe, data)
    return data


def _check_initial_weights(recipe: Recipe, networks: Networks) -> None:
    """RecipeError where they are asked for of a type of layer that no network has."""
    from torch import nn

    layers = [layer for module in networks.named().values() for layer in module.modules()]
    if recipe.network.init_linear != "paper" and not any(isinstance(one, nn.Linear) for one in layers):
        raise RecipeError(
            f"network.init_linear is {recipe.network.init_linear}, but these networks have no fully "
            'connected layer: use network.init_conv, or leave it at "paper"'
        )


def _check_discriminator(recipe: Recipe, discriminator: Module) -> None:
    """RecipeError where penalties or constraints make no sense for it."""
    from torch.nn.modules.batchnorm import _BatchNorm

    for constraint in recipe.constraints:
        constraint.check(discriminator)
    if recipe.penalties and any(isinstance(layer, _BatchNorm) for layer in discriminator.modules()):
        name = recipe.to_tree()["penalties"][0]["name"]
        raise RecipeError(
            f'the penalty "{name}" takes each sample\'s own gradient, and batch norm in the discriminator '
            "mixes the samples of a batch: use network.discriminator_norm=none, layer or spectral, or a "
            "network without batch norm there"
        )


def _check_memory(recipe: Recipe, data: Data, networks: Networks) -> None:
    """RecipeError when the weights, or one batch, cannot fit into this machine's memory."""
    modules = networks.named().values()
    weights = sum(parameter.numel() for module in modules for parameter in module.parameters())
    batch = recipe.batch_size * (math.prod(data.spec.shape) + recipe.latent.size)
    # Weights, their gradients and two moments; a batch at least as real, as fake and as the fake's gradient.
    needed = {"the networks": 16 * weights, "one batch": 12 * batch}
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    lower = {
        "the networks": "network options such as network.width, or latent.size",
        "one batch": "batch_size",
    }
    for what, size in needed.items():
        if size > there:
            raise RecipeError(
                f"{what} would take at least {size / 1e9:.0f} GB, this machine has {there / 1e9:.0f} GB: "
                f"lower {lower[what]}"
            )


def _evaluator(recipe: Recipe, data: Data) -> Evaluator | None:
    """What measures during training, on the validation split; None where nothing is to be measured."""
    wanted = recipe.evaluate
    if wanted.every is None:
        return None
    conditional = recipe.game.interface(data.spec, recipe.latent.size).generator_classes > 0
    return Evaluator(data, wanted.metrics or None, wanted.features, "validation", conditional=conditional)


def estimate(recipe: Recipe, data: Data) -> dict[str, float]:
    """What training costs: seconds per step, bytes of memory and disk, from two steps played on trial.

    What is built for it is thrown away; of several processes each plays its share. `memory_bytes` is the
    process's peak so far (on CUDA, the device's), `disk_bytes` that of the kept checkpoints.
    """
    mean = mean_in_first_steps(recipe, data)
    recipe = replace(recipe, batch_size=recipe.batch_size // world().count)
    now = engine_of(recipe).start(recipe, data)
    timed_step(recipe, now)
    seconds = timed_step(recipe, now) * mean
    tensors, _ = engine_of(recipe).contents(recipe, now)
    one = sum(tensor.nbytes for group in tensors.values() for tensor in group.values())
    disk = one * (recipe.checkpoint.keep + 1)  # one more while replacing
    return {"seconds": seconds, "memory_bytes": _peak_memory(recipe.device), "disk_bytes": disk}


def mean_in_first_steps(recipe: Recipe, data: Data) -> float:
    """What the mean step costs, in first steps: `n_critic` may follow a schedule."""
    total = recipe.total_steps(len(data.splits["train"]))
    return recipe.drawn(total) / (total * recipe.drawn(1))


def timed_step(recipe: Recipe, now: Training) -> float:
    """Play one step; the seconds it took."""
    engine, began = engine_of(recipe), time.perf_counter()
    engine.read(engine.play_step(recipe, now))  # reading waits for the device
    return time.perf_counter() - began


def _peak_memory(device: str | None) -> int:
    import torch

    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    status = Path("/proc/self/status")
    if status.is_file():  # Linux hands ru_maxrss of a large parent on to its children
        lines = dict(line.partition(":")[::2] for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _all_changes(
    changes: Mapping[str, Any] | None,
    data: str | Path | None,
    steps: int | None,
    epochs: int | None,
    seed: int | None,
    device: str | None,
    engine: str | None,
) -> dict[str, Any]:
    if steps is not None and epochs is not None:
        raise RecipeError(f"both steps ({steps}) and epochs ({epochs}) are given: give one of them")
    given = {"steps": steps, "epochs": epochs, "seed": seed, "device": device, "engine": engine}
    named = {key: value for key, value in given.items() if value is not None}
    chosen = recipes.data_changes(data) if data is not None else {}
    return {**chosen, **(changes or {}), **named}


def _empty_place(path: Path) -> Path:
    if path.exists() and not path.is_dir():
        raise RunError(f"--out {path} is a file: name a folder that is new or empty")
    if path.is_dir() and any(path.iterdir()) and not runs.is_unfinished(path):
        raise RunError(f"--out {path} holds other files and no run: name a folder that is new or empty")
    return path


def _continue_same(
    path: Path,
    wanted: Recipe,
    changes: Mapping[str, Any],
    allow_code: bool | Collection[str],
    init_from: str | Path | None,
    stop_on: Severity | None,
) -> Session:
    """Take up the run at `path`, provided that it is one of the wanted recipe (and ancestor)."""
    run = Run(path, allow_code)
    run.refuse_edited()
    begun = run.provenance.get("init_from", {}).get("run")
    asked = None if init_from is None else str(Path(init_from).resolve())
    if begun != asked:
        raise RunError(
            f"{path} holds a run that began with {begun or 'fresh weights'}, now {asked or 'fresh weights'} "
            "were asked for: choose another --out"
        )
    old = run.recipe
    found = recipes.differences(old, wanted)
    refused = {key: values for key, values in found.items() if key not in recipes.FREE_ON_RESUME}
    if refused:
        raise RunError(
            _listed(f"{path} holds another run; choose another --out, or go back to its settings:", refused)
        )
    free = {key: new for key, (_, new) in found.items() if key not in ("steps", "epochs", "threads")}
    if wanted.steps != old.steps or wanted.epochs != old.epochs:
        free |= {"steps": wanted.steps} if wanted.steps is not None else {"epochs": wanted.epochs}
    if "threads" in changes:
        free["threads"] = wanted.threads
    return _take_up(path, free, allow_code, stop_on)


def _listed(sentence: str, refused: Mapping[str, tuple[Any, Any]]) -> str:
    """A refusal, and a line for each difference."""
    lines = [f"{key}: the run has {old!r}, now {new!r}" for key, (old, new) in refused.items()]
    return "\n  ".join([sentence, *lines])


def _take_up(
    path: Path,
    changes: Mapping[str, Any],
    allow_code: bool | Collection[str],
    stop_on: Severity | None = None,
) -> Session:
    """Go on with a run from its last checkpoint."""
    run = Run(path, allow_code)
    lock = Lock(path)
    try:
        return _held_session(run, lock, changes, stop_on)
    except BaseException:
        lock.release()  # the error may be kept, with its frames and what they hold
        raise


def _held_session(run: Run, lock: Lock, changes: Mapping[str, Any], stop_on: Severity | None) -> Session:
    path = run.path
    lock.sign()
    old = run.recipe
    run.refuse_edited()
    tree = recipes.change(old.to_tree(), changes)
    new = _settled(recipes.resolve(tree, True))
    found = recipes.differences(old, new)
    refused = {key: values for key, values in found.items() if key not in recipes.FREE_ON_RESUME}
    if refused:
        free = ", ".join(recipes.FREE_ON_RESUME)
        raise RunError(_listed(f"{path} cannot be taken up so: only {free} may change", refused))
    _check_looks(new, stop_on)
    data = _same_data(run, new)
    total = new.total_steps(len(data.splits["train"]))
    whole, damaged = run.newest_whole()
    known = run.state["last"]
    if whole is None and known is not None:
        raise CheckpointError(
            f"{path} has no checkpoint, and its run.json names step {known}: bring {run.checkpoints_folder} "
            "back, or start a new run"
        )
    last = whole or 0
    if total < last:
        raise RunError(f"{path} is at step {last} already, {total} were asked for: ask for more")
    nothing = {"seconds": 0.0, "memory_bytes": _peak_memory(new.device), "disk_bytes": 0}
    cost = estimate(new, data) if last < total else nothing
    run.sweep()
    checkpoint.set_aside_after(run.checkpoints_folder, whole)
    run.write_recipe(replace(new, name=old.name), last=whole)
    notes = [f"{reason}; set aside, going on from step {last}" for reason in damaged]
    if (lost := events.note(run.events_file)) is not None:
        notes.append(lost)
    if not damaged and last < (known or 0):
        notes.append(f"checkpoint {known}, which run.json names, is gone: going on from step {last}")
    return Session(new, data, run, lock, cost, notes, stop_on)


def _same_data(run: Run, recipe: Recipe) -> Data:
    """The run's data, wherever they are now. DataError where they are gone, or others."""
    place = recipe.data.path if isinstance(recipe.data, Folder) else None
    if place is not None and not Path(place).is_dir():
        raise DataError(
            f"the images of {run.path} are no longer in {place}: where they were moved, say so with "
            f"`duel train --resume {run.path} --set data.path=FOLDER`"
        )
    data = check(recipe)
    if data.fingerprint != run.provenance["data"]["fingerprint"]:
        which = f"the data of {run.path}" if place is None else f"the data of {run.path}, now in {place},"
        raise DataError(f"{which} have changed since its start: bring them back, or start a new run")
    return data


def _skipped_note(data: Data) -> list[str]:
    if not data.skipped:
        return []
    file, reason = shown(data.skipped[0][0]), data.skipped[0][1]
    if len(data.skipped) == 1:
        return [f"1 file is left out, {file} ({reason}): `duel data check` lists it"]
    return [
        f"{len(data.skipped)} files are left out, {file} among them ({reason}): `duel data check` lists them"
    ]


def _message(message: str | None) -> dict[str, str]:
    return {} if message is None else {"message": message}


def _command() -> str:
    import shlex

    return shlex.join(sys.argv)
