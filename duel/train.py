"""The main path: how a generator and a discriminator are trained against each other.

Read `play_step` first: it is algorithm 1 of Goodfellow et al. 2014. `train` repeats it, and between
whole steps logs, draws sample grids and saves. It knows no metric and no diagnosis.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import Module
from torch.optim import Optimizer

from duel import checkpoint, pictures, sampling, schedule, streams
from duel.batches import Batches
from duel.datasets._base import Data, Split
from duel.errors import NonFiniteError
from duel.networks._base import Networks
from duel.optimizers._base import Optimizer as OptimizerOptions
from duel.penalties._base import Penalty
from duel.recipe import Recipe
from duel.run import Run
from duel.xp import torch_functions

Event = dict[str, Any]
Terms = tuple[Tensor, ...]


@dataclass
class Training:
    """Everything that changes while a recipe is trained; a checkpoint holds all of it.

    average        the averaged second player by module name; empty where the recipe keeps no average
    updates_d      how often the discriminator was updated
    augmentations  the state of each augmentation
    latent         draws the latent vectors; places: where penalties look
    scheduled      whether any number of the recipe follows a schedule
    """

    step: int
    networks: Networks
    average: dict[str, Module]
    optimizer_g: Optimizer
    optimizer_d: Optimizer
    updates_d: int
    augmentations: list[Tensor]
    train: Split
    batches: Batches
    latent: np.random.Generator
    places: np.random.Generator
    scheduled: bool


def start(recipe: Recipe, data: Data) -> Training:
    """Step 0: initial weights, fresh optimizers, every random stream at its beginning.

    Sets torch's seed and number of threads, which belong to the process.
    """
    torch.set_num_threads(recipe.threads or 1)
    torch.manual_seed(recipe.seed)
    interface = recipe.game.interface(data.spec, recipe.latent.size)
    networks = recipe.network.build(interface, streams.stream(recipe.seed, "init"))
    for module in networks.named().values():
        module.to(recipe.device)
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        module.train()
    train, size = data.splits["train"], recipe.batch_size * recipe.accumulate
    second_player = networks.second_player()
    return Training(
        step=0,
        networks=networks,
        average=_copies(second_player) if any(schedule.values_of(recipe.ema.decay)) else {},
        optimizer_g=recipe.optimizer.generator.build(_parameters(second_player)),
        optimizer_d=recipe.optimizer.discriminator.build(networks.discriminator.parameters()),
        updates_d=0,
        augmentations=[torch.tensor(one.state(), device=recipe.device) for one in recipe.augmentations],
        train=train,
        batches=Batches(train.samples, size, recipe.seed),
        latent=streams.stream(recipe.seed, "latent"),
        places=streams.stream(recipe.seed, "latent", 1),
        scheduled=schedule.is_scheduled(recipe),
    )


def _copies(modules: dict[str, Module]) -> dict[str, Module]:
    return {name: copy.deepcopy(module).requires_grad_(False) for name, module in modules.items()}


def _parameters(modules: dict[str, Module]) -> list[torch.nn.Parameter]:
    return [parameter for module in modules.values() for parameter in module.parameters()]


# ---------------------------------------------------------------- one step of the game


def play_step(recipe: Recipe, now: Training) -> dict[str, Tensor]:
    """`n_critic` updates of the discriminator, then one of the generator (and encoder, if there is one).

    Returns what the log wants, as tensors on the device: reading a number here would make the
    device wait at every step.
    """
    if now.scheduled:
        recipe = recipe.at(now.step)
        _set_rates(now.optimizer_g, recipe.optimizer.generator)
        _set_rates(now.optimizer_d, recipe.optimizer.discriminator)
    assert isinstance(recipe.n_critic, int)

    for critic_step in range(recipe.n_critic):
        batch = _draw(recipe, now)
        # The last tuples keep their graph: the generator's update uses the same samples, which saves
        # drawing them a second time. With accumulation that would hold the graphs of all parts.
        keep = critic_step == recipe.n_critic - 1 and recipe.accumulate == 1
        tuples, seen = _update_discriminator(recipe, now, batch, keep)

    seen |= _update_generator(recipe, now, batch, tuples if keep else None)
    _update_average(recipe, now)
    return seen


@dataclass
class Batch:
    """What one update sees: real samples, their labels where the game uses them, latent vectors."""

    samples: Tensor
    labels: Tensor | None
    latent: Tensor

    def parts(self, count: int) -> list[Batch]:
        """`count` batches of equal size, one after the other."""
        if count == 1:
            return [self]
        labels = [None] * count if self.labels is None else self.labels.chunk(count)
        return [
            Batch(*part)
            for part in zip(self.samples.chunk(count), labels, self.latent.chunk(count), strict=True)
        ]


def _draw(recipe: Recipe, now: Training) -> Batch:
    rows = now.batches.rows()
    labels = None
    if recipe.game.labels:
        assert now.train.labels is not None
        labels = _moved(now.train.labels[rows], recipe.device)
    latent = streams.draw_latent(now.latent, len(rows), recipe.latent.size, recipe.latent.prior)
    samples = _to_device(now.train.samples[rows], recipe.device)
    return Batch(samples, labels, _moved(latent, recipe.device))


def _update_discriminator(
    recipe: Recipe, now: Training, batch: Batch, keep: bool
) -> tuple[list[tuple[Terms, Terms]], dict[str, Tensor]]:
    """One update. Returns the real and the fake tuple of each part, and what was seen of them."""
    tuples: list[tuple[Terms, Terms]] = []
    seen: list[tuple[Tensor, Tensor, Tensor]] = []
    now.optimizer_d.zero_grad()
    for part in batch.parts(recipe.accumulate):
        with torch.set_grad_enabled(keep):
            real, fake = _tuples(recipe, now, part)
        tuples.append((real, fake))
        loss, real_logits, fake_logits = _discriminator_loss(
            recipe, now, _detached(real), _detached(fake), part.labels
        )
        (loss / recipe.accumulate).backward()  # type: ignore[no-untyped-call]
        seen.append((loss, real_logits, fake_logits))
    extra = _weight_penalty(recipe.optimizer.discriminator, now.networks.discriminator.parameters())
    now.optimizer_d.step()
    for constraint in recipe.constraints:
        constraint.apply(constraint.parameters(now.networks.discriminator))
    now.updates_d += 1

    losses, of_real, of_fake = zip(*seen, strict=True)
    real_all = torch.cat(of_real).detach()
    undecided = recipe.objective.boundary or 0.0
    now.augmentations = [
        one.adapt(state, real_all - undecided)
        for one, state in zip(recipe.augmentations, now.augmentations, strict=True)
    ]
    return tuples, {
        "loss_d": torch.stack(losses).mean().detach() + extra,
        "real_logits": real_all,
        "fake_before": torch.cat(of_fake).detach(),
    }


def _discriminator_loss(
    recipe: Recipe, now: Training, real: Terms, fake: Terms, labels: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Objective, the game's own term and penalties as one number, and the logits of both tuples."""
    real_output, fake_output = _compare(recipe, now, real, fake)
    real_logits, fake_logits = recipe.game.logits(real_output), recipe.game.logits(fake_output)
    loss = recipe.objective.discriminator_loss(real_logits, fake_logits, torch_functions()).mean()
    term = recipe.game.discriminator_term(real_output, fake_output, labels)
    if term is not None:
        loss = loss + term.mean()
    for penalty in recipe.penalties:
        if now.updates_d % penalty.every == 0:
            loss = loss + penalty.every * _penalty(recipe, penalty, now, real, fake).mean()
    return loss, real_logits, fake_logits


def _update_generator(
    recipe: Recipe, now: Training, batch: Batch, tuples: list[tuple[Terms, Terms]] | None
) -> dict[str, Tensor]:
    """One update of the second player, through the discriminator but not into it."""
    seen = []
    now.networks.discriminator.requires_grad_(False)
    now.optimizer_g.zero_grad()
    for number, part in enumerate(batch.parts(recipe.accumulate)):
        real, fake = tuples[number] if tuples is not None else _tuples(recipe, now, part)
        real_logits, fake_output = _seen_by_generator(recipe, now, real, fake)
        fake_logits = recipe.game.logits(fake_output)
        loss = recipe.objective.generator_loss(real_logits, fake_logits, torch_functions()).mean()
        term = recipe.game.generator_term(fake_output, part.labels)
        if term is not None:
            loss = loss + term.mean()
        (loss / recipe.accumulate).backward()
        seen.append((loss, fake_logits))
    extra = _weight_penalty(recipe.optimizer.generator, _parameters(now.networks.second_player()))
    now.optimizer_g.step()
    now.networks.discriminator.requires_grad_(True)
    losses, logits = zip(*seen, strict=True)
    return {
        "loss_g": torch.stack(losses).mean().detach() + extra,
        "fake_after": torch.cat(logits).detach(),
    }


def _seen_by_generator(
    recipe: Recipe, now: Training, real: Terms, fake: Terms
) -> tuple[Tensor | None, Tensor]:
    """The real logits, where the player's loss looks at them, and the output for the fake tuple.

    The real ones have a gradient where an encoder made the tuple; elsewhere they are only compared with.
    """
    encodes = recipe.game.encodes
    looks = encodes or recipe.objective.relativistic
    if recipe.joint_pass:
        real_output, fake_output = _compare(recipe, now, real if encodes else _detached(real), fake)
        return (recipe.game.logits(real_output) if looks else None), fake_output
    fake_output = _output(recipe, now, fake)
    if not looks:
        return None, fake_output
    with torch.set_grad_enabled(encodes):
        return recipe.game.logits(_output(recipe, now, real)), fake_output


def _weight_penalty(options: OptimizerOptions, parameters: Any) -> Tensor | float:
    """Add the gradient of the L1 and L2 terms; their value."""
    extra = options.weight_penalty(parameters)
    if extra is None:
        return 0.0
    extra.backward()  # type: ignore[no-untyped-call]
    return extra.detach()


def _tuples(recipe: Recipe, now: Training, part: Batch) -> tuple[Terms, Terms]:
    """The real and the fake tuple that the discriminator compares."""
    with _precision(recipe):
        real = recipe.game.real(now.networks, part.samples, part.labels)
        fake = recipe.game.fake(now.networks, part.latent, part.labels)
    return tuple(map(_whole, real)), tuple(map(_whole, fake))


def _detached(terms: Terms) -> Terms:
    return tuple(term.detach() for term in terms)


def _compare(recipe: Recipe, now: Training, real: Terms, fake: Terms) -> tuple[Tensor, Tensor]:
    """The outputs for both tuples: in two passes, so that batch norm sees real and fake apart, or in one."""
    if not recipe.joint_pass:
        return _output(recipe, now, real), _output(recipe, now, fake)
    joint = tuple(torch.cat(pair) for pair in zip(real, fake, strict=True))
    real_output, fake_output = _output(recipe, now, joint).chunk(2)
    return real_output, fake_output


def _output(recipe: Recipe, now: Training, terms: Terms, mixed: bool = True) -> Tensor:
    """The discriminator's output for a tuple whose samples are augmented on the way in.

    `mixed`: in the recipe's precision; else in float32.
    """
    samples = terms[0]
    for augmentation, state in zip(recipe.augmentations, now.augmentations, strict=True):
        samples = augmentation.apply(samples, state)
    with _precision(recipe) if mixed else contextlib.nullcontext():
        output = now.networks.discriminator(samples, *terms[1:])
    return _whole(output)


def _precision(recipe: Recipe) -> contextlib.AbstractContextManager[object]:
    if recipe.precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(str(recipe.device), torch.bfloat16)


def _whole(value: Tensor) -> Tensor:
    """Losses, penalties and augmentations compute in float32."""
    return value.float() if value.dtype == torch.bfloat16 else value


def _penalty(recipe: Recipe, penalty: Penalty, now: Training, real: Terms, fake: Terms) -> Tensor:
    """The penalty's value (N,) at its points: of the function that is trained, augmentations included."""
    xp = torch_functions()
    points = penalty.points(real, fake, now.places, xp)

    def logits(*terms: Tensor) -> Tensor:
        return recipe.game.logits(_output(recipe, now, terms, mixed=False))

    squared = squared_gradient_norm(logits, points.elements, points.differentiated)
    return penalty.value(squared, xp)  # type: ignore[no-any-return]


def squared_gradient_norm(
    discriminator: Callable[..., Tensor], elements: Terms, differentiated: tuple[int, ...]
) -> Tensor:
    """‖∇ D‖² (N,) of each sample's logit with respect to the chosen elements of its tuple.

    The square is summed over everything but the batch axis: over all pixels of one image, not over
    one axis of it and not over the batch. The result can be differentiated again. Batch norm in the
    discriminator would couple the samples; then this is not a norm per sample.
    """
    inputs = [
        term.detach().requires_grad_() if number in differentiated else term.detach()
        for number, term in enumerate(elements)
    ]
    logits = discriminator(*inputs)
    chosen = [inputs[number] for number in differentiated]
    gradients = torch.autograd.grad(logits.sum(), chosen, create_graph=True)
    return torch.stack([gradient.square().flatten(1).sum(1) for gradient in gradients]).sum(0)


def _set_rates(optimizer: Optimizer, options: OptimizerOptions) -> None:
    for group in optimizer.param_groups:
        group.update(options.settings())


@torch.no_grad()
def _update_average(recipe: Recipe, now: Training) -> None:
    """average ← d·average + (1 − d)·weights; buffers are taken over."""
    assert not isinstance(recipe.ema.decay, schedule.Schedule)
    decay = min(recipe.ema.decay, (1 + now.step) / (10 + now.step))
    for name, average in now.average.items():
        module = now.networks.named()[name]
        for kept, weight in zip(average.parameters(), module.parameters(), strict=True):
            kept.lerp_(weight, 1 - decay)
        for buffer, value in zip(average.buffers(), module.buffers(), strict=True):
            buffer.copy_(value)


def _moved(array: np.ndarray, device: str | None) -> Tensor:
    """The array as a tensor on the device; the host does not wait for the copy."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device == "cuda" else tensor


def _to_device(samples: np.ndarray, device: str) -> Tensor:
    """A batch as float32 in [−1, 1]: images from uint8 and channels-last, points as they are."""
    batch = _moved(samples, device)
    if batch.dtype != torch.uint8:
        return batch
    return batch.to(torch.float32, memory_format=torch.channels_last).div_(127.5).sub_(1.0)


# ---------------------------------------------------------------- many steps


def train(
    recipe: Recipe, data: Data, now: Training, run: Run, total: int, stopping: Callable[[], bool]
) -> Iterator[Event]:
    """Play from `now.step` to `total`, filling the run folder; yields step, sample and checkpoint events.

    Between whole steps `stopping()` is asked whether to end early; then, as at the end, a checkpoint is
    written. Raises NonFiniteError when a loss or a weight is no longer a number.
    """
    look = _Look(recipe, data, run)
    if now.step == 0:
        yield look.at_samples(now)
    saved = looked = now.step
    since, drawn = time.perf_counter(), now.batches.position
    while now.step < total and not stopping():
        numbers = play_step(recipe, now)
        now.step += 1

        if now.step % recipe.log.every == 0 or now.step == total:
            yield _step_event(recipe, now, numbers, since, drawn)
            since, drawn = time.perf_counter(), now.batches.position
        if now.step % recipe.sample.every == 0:
            yield look.at_samples(now)
            looked = now.step
        if now.step % recipe.checkpoint.every == 0 or now.step % (recipe.evaluate.every or math.inf) == 0:
            yield save(recipe, now, run)
            saved = now.step
    if looked != now.step:
        yield look.at_samples(now)
    if saved != now.step:
        yield save(recipe, now, run)


def _step_event(recipe: Recipe, now: Training, numbers: dict[str, Tensor], since: float, drawn: int) -> Event:
    """Losses and the discriminator's outputs at this step, the effort so far, the speed since `since`."""
    kind, view = ("d", torch.sigmoid) if recipe.objective.probabilistic else ("score", torch.clone)
    names = {"real_logits": "real", "fake_before": "fake_before", "fake_after": "fake_after"}
    outputs = {f"{kind}_{name}": view(numbers[key]).mean().item() for key, name in names.items()}
    losses = {name: numbers[name].item() for name in ("loss_d", "loss_g")}
    for name, value in losses.items():
        if not math.isfinite(value):
            raise NonFiniteError(f"{name} is {value} at step {now.step}: {_SICK_ADVICE}")
    speed = (now.batches.position - drawn) / max(time.perf_counter() - since, 1e-9)
    effort = {"updates_d": now.updates_d, "images": now.batches.position}
    return {"event": "step", "step": now.step, **losses, **outputs, **effort, "images_per_s": round(speed, 1)}


_SICK_ADVICE = "the training has diverged; lower optimizer.discriminator.lr and optimizer.generator.lr"


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
        self._data, self._run = data, run

    def at_samples(self, now: Training) -> Event:
        """Draw the grid of this step (and once, the sheet of real samples)."""
        spec, columns = self._data.spec, self._arrangement.columns
        points = spec.kind == "points"
        if now.step == 0:
            real = self._real if points else self._real / np.float32(127.5) - 1
            self._run.write_picture(
                "samples/real.png", pictures.png(pictures.sheet(real, spec, columns=columns))
            )
        generator = now.average.get("generator", now.networks.generator)
        samples = sampling.generate(generator, self._latent, self._arrangement.labels)
        reference = self._real if points else None
        content = pictures.png(pictures.sheet(samples, spec, reference, columns))
        path = self._run.write_picture(f"samples/{now.step:08d}.png", content)
        return {"event": "sample", "step": now.step, "path": str(path)}


# ---------------------------------------------------------------- saving and loading


def save(recipe: Recipe, now: Training, run: Run) -> Event:
    """Write a checkpoint, make it the run's last, and remove those that are no longer kept."""
    modules = now.networks.named()
    tensors = {name: module.state_dict() for name, module in modules.items()}
    if now.average:
        tensors["ema"] = checkpoint.joined(now.average)
    _refuse_nonfinite(tensors, now.step)
    tensors["optimizers"] = checkpoint.optimizer_tensors("generator", now.optimizer_g) | (
        checkpoint.optimizer_tensors("discriminator", now.optimizer_d)
    )
    state = {
        "images": now.batches.position,
        "updates_d": now.updates_d,
        "augmentations": [one.tolist() for one in now.augmentations],
        "latent": streams.save(now.latent),
        "places": streams.save(now.places),
        "torch": _torch_states(recipe.device),
    }
    path = checkpoint.save(run.checkpoints_folder, now.step, tensors, state)
    run.update_state(last=now.step)
    run.prune(recipe.checkpoint.keep)
    return {"event": "checkpoint", "step": now.step, "path": str(path)}


def resume(recipe: Recipe, data: Data, run: Run) -> Training:
    """The training as the run's last checkpoint has it; step 0 where there is none yet."""
    now = start(recipe, data)
    if run.state["last"] is None:
        return now
    tensors, state = run.load_checkpoint("last")
    for name, module in now.networks.named().items():
        checkpoint.restore_module(module, name, tensors)
    for name, module in now.average.items():
        checkpoint.restore_module(module, name, checkpoint.parted(tensors.get("ema", {})))
    checkpoint.restore_optimizer("generator", now.optimizer_g, tensors["optimizers"])
    checkpoint.restore_optimizer("discriminator", now.optimizer_d, tensors["optimizers"])
    now.step = state["step"]
    now.batches.position = state["images"]
    now.updates_d = state["updates_d"]
    now.augmentations = [torch.tensor(one, device=recipe.device) for one in state["augmentations"]]
    streams.restore(now.latent, state["latent"])
    streams.restore(now.places, state["places"])
    _restore_torch_states(state["torch"], recipe.device)
    return now


def _refuse_nonfinite(tensors: dict[str, dict[str, Tensor]], step: int) -> None:
    for module, group in tensors.items():
        for name, tensor in group.items():
            if not torch.isfinite(tensor).all():
                raise NonFiniteError(f"{module}.{name} is not finite at step {step}: {_SICK_ADVICE}")


def _torch_states(device: str | None) -> dict[str, str]:
    """The states of torch's generators, which augmentations and dropout draw from."""
    states = {"cpu": torch.get_rng_state()}
    if device == "cuda":
        states["cuda"] = torch.cuda.get_rng_state()
    return {device: base64.b64encode(state.numpy().tobytes()).decode() for device, state in states.items()}


def _restore_torch_states(states: dict[str, str], device: str | None) -> None:
    decoded = {
        device: torch.frombuffer(bytearray(base64.b64decode(text)), dtype=torch.uint8)
        for device, text in states.items()
    }
    torch.set_rng_state(decoded["cpu"])
    if "cuda" in decoded and device == "cuda":
        torch.cuda.set_rng_state(decoded["cuda"])
