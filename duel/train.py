"""The main path: how a generator and a discriminator are trained against each other.

Read `play_step` first: it is algorithm 1 of Goodfellow et al. 2014. `train` repeats it, and between
whole steps logs, draws sample grids and saves. It knows no metric and no diagnosis.
"""

from __future__ import annotations

import base64
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from duel import checkpoint, pictures, sampling, streams
from duel.batches import Batches
from duel.datasets._base import Data
from duel.errors import NonFiniteError
from duel.networks._base import Networks
from duel.penalties._base import Penalty
from duel.recipe import Recipe
from duel.run import Run
from duel.xp import torch_functions

Event = dict[str, Any]
Terms = tuple[Tensor, ...]


@dataclass
class Training:
    """Everything that changes while a recipe is trained; a checkpoint holds all of it."""

    step: int
    networks: Networks
    optimizer_g: Optimizer
    optimizer_d: Optimizer
    batches: Batches
    latent: np.random.Generator


def start(recipe: Recipe, data: Data) -> Training:
    """Step 0: initial weights, fresh optimizers, every random stream at its beginning.

    Sets torch's seed and number of threads, which belong to the process.
    """
    torch.set_num_threads(recipe.threads or 1)
    torch.manual_seed(recipe.seed)
    networks = recipe.network.build(data.spec, recipe.latent.size, streams.stream(recipe.seed, "init"))
    for module in networks.named().values():
        module.to(recipe.device)
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        module.train()
    return Training(
        step=0,
        networks=networks,
        optimizer_g=recipe.optimizer.generator.build(networks.generator.parameters()),
        optimizer_d=recipe.optimizer.discriminator.build(networks.discriminator.parameters()),
        batches=Batches(data.splits["train"].samples, recipe.batch_size, recipe.seed),
        latent=streams.stream(recipe.seed, "latent"),
    )


# ---------------------------------------------------------------- one step of the game


def play_step(recipe: Recipe, now: Training) -> dict[str, Tensor]:
    """`n_critic` updates of the discriminator, then one of the generator.

    Returns what the log wants, as tensors on the device: reading a number here would make the
    device wait at every step.
    """
    for critic_step in range(recipe.n_critic):
        samples = _to_device(now.batches.next(), recipe.device)
        latent = _draw_latent(recipe, now)
        last = critic_step == recipe.n_critic - 1

        # The last fake batch keeps its graph: the generator's update uses the same samples, which
        # saves drawing them a second time.
        with torch.set_grad_enabled(last):
            fake = recipe.game.fake(now.networks, latent)
        real = recipe.game.real(now.networks, samples)
        seen = _update_discriminator(recipe, now, real, fake)

    return {**seen, **_update_generator(recipe, now, fake)}


def _update_discriminator(recipe: Recipe, now: Training, real: Terms, fake: Terms) -> dict[str, Tensor]:
    fake = tuple(term.detach() for term in fake)
    real_logits, fake_logits = _compare(recipe, now, real, fake)
    loss = recipe.objective.discriminator_loss(real_logits, fake_logits, torch_functions()).mean()

    total = loss
    for penalty in recipe.penalties:
        total = total + _penalty(penalty, now, real, fake).mean()

    now.optimizer_d.zero_grad()
    total.backward()
    now.optimizer_d.step()
    seen = {"loss_d": total, "real_logits": real_logits, "fake_before": fake_logits}
    return {name: value.detach() for name, value in seen.items()}


def _update_generator(recipe: Recipe, now: Training, fake: Terms) -> dict[str, Tensor]:
    # The gradient goes through the discriminator but not into it.
    now.networks.discriminator.requires_grad_(False)
    fake_logits = _logits(recipe, now, fake)
    loss = recipe.objective.generator_loss(None, fake_logits, torch_functions()).mean()

    now.optimizer_g.zero_grad()
    loss.backward()
    now.optimizer_g.step()
    now.networks.discriminator.requires_grad_(True)
    return {"loss_g": loss.detach(), "fake_after": fake_logits.detach()}


def _compare(recipe: Recipe, now: Training, real: Terms, fake: Terms) -> tuple[Tensor, Tensor]:
    """The logits of both tuples: in two passes, so that batch norm sees real and fake apart, or in one."""
    if not recipe.joint_pass:
        return _logits(recipe, now, real), _logits(recipe, now, fake)
    joint = tuple(torch.cat(pair) for pair in zip(real, fake, strict=True))
    real_logits, fake_logits = _logits(recipe, now, joint).chunk(2)
    return real_logits, fake_logits


def _logits(recipe: Recipe, now: Training, terms: Terms) -> Tensor:
    """The discriminator's logits (N,) of a tuple whose samples are augmented on the way in."""
    samples = terms[0]
    for augmentation in recipe.augmentations:
        samples = augmentation.apply(samples)
    return now.networks.discriminator(samples, *terms[1:])  # type: ignore[no-any-return]


def _penalty(penalty: Penalty, now: Training, real: Terms, fake: Terms) -> Tensor:
    """The penalty's value (N,) at its points."""
    xp = torch_functions()
    points = penalty.points(real, fake, now.latent, xp)
    squared = squared_gradient_norm(now.networks.discriminator, points.elements, points.differentiated)
    return penalty.value(squared, xp)  # type: ignore[no-any-return]


def squared_gradient_norm(
    discriminator: Callable[..., Tensor], elements: Terms, differentiated: tuple[int, ...]
) -> Tensor:
    """‖∇ D‖² (N,) of each sample's logit with respect to the chosen elements of its tuple.

    The square is summed over everything but the batch axis: over all pixels of one image, not over
    one axis of it and not over the batch. The result can be differentiated again. Batch norm in the
    discriminator would couple the samples; then this is not a norm per sample.
    """
    inputs = [term.detach().requires_grad_(number in differentiated) for number, term in enumerate(elements)]
    logits = discriminator(*inputs)
    chosen = [inputs[number] for number in differentiated]
    gradients = torch.autograd.grad(logits.sum(), chosen, create_graph=True)
    return torch.stack([gradient.square().flatten(1).sum(1) for gradient in gradients]).sum(0)


def _draw_latent(recipe: Recipe, now: Training) -> Tensor:
    drawn = streams.draw_latent(now.latent, recipe.batch_size, recipe.latent.size, recipe.latent.prior)
    return torch.from_numpy(drawn).to(recipe.device)


def _to_device(samples: np.ndarray, device: str) -> Tensor:
    """A batch as float32 in [−1, 1]: images from uint8 and channels-last, points as they are."""
    batch = torch.from_numpy(samples).to(device)
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
    since, since_step = time.perf_counter(), now.step
    while now.step < total and not stopping():
        numbers = play_step(recipe, now)
        now.step += 1

        if now.step % recipe.log.every == 0 or now.step == total:
            yield _step_event(recipe, now, numbers, since, since_step)
            since, since_step = time.perf_counter(), now.step
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


def _step_event(
    recipe: Recipe, now: Training, numbers: dict[str, Tensor], since: float, since_step: int
) -> Event:
    """Losses and the discriminator's outputs at this step, and the speed since the last entry."""
    kind, view = ("d", torch.sigmoid) if recipe.objective.probabilistic else ("score", torch.clone)
    names = {"real_logits": "real", "fake_before": "fake_before", "fake_after": "fake_after"}
    outputs = {f"{kind}_{name}": view(numbers[key]).mean().item() for key, name in names.items()}
    losses = {name: numbers[name].item() for name in ("loss_d", "loss_g")}
    for name, value in losses.items():
        if not math.isfinite(value):
            raise NonFiniteError(f"{name} is {value} at step {now.step}: {_SICK_ADVICE}")
    drawn = (now.step - since_step) * recipe.batch_size * recipe.n_critic
    speed = drawn / max(time.perf_counter() - since, 1e-9)
    return {"event": "step", "step": now.step, **losses, **outputs, "images_per_s": round(speed, 1)}


_SICK_ADVICE = "the training has diverged; lower optimizer.discriminator.lr and optimizer.generator.lr"


_POINTS = 2000  # on a scatter plot


class _Look:
    """The sample grids at one fixed noise, so that they can be watched in order."""

    def __init__(self, recipe: Recipe, data: Data, run: Run) -> None:
        rng = streams.stream(recipe.seed, "fixed")
        count = recipe.sample.count if data.spec.kind == "image" else _POINTS
        self._latent = streams.draw_latent(rng, count, recipe.latent.size, recipe.latent.prior)
        self._data = data
        self._run = run
        self._real = data.splits["train"].samples[:count]

    def at_samples(self, now: Training) -> Event:
        """Draw the grid of this step (and once, the sheet of real samples)."""
        spec = self._data.spec
        if now.step == 0:
            real = self._real if spec.kind == "points" else self._real / np.float32(127.5) - 1
            self._run.write_picture("samples/real.png", pictures.png(pictures.sheet(real, spec)))
        samples = sampling.generate(now.networks.generator, self._latent)
        reference = self._real if spec.kind == "points" else None
        content = pictures.png(pictures.sheet(samples, spec, reference))
        path = self._run.write_picture(f"samples/{now.step:08d}.png", content)
        return {"event": "sample", "step": now.step, "path": str(path)}


# ---------------------------------------------------------------- saving and loading


def save(recipe: Recipe, now: Training, run: Run) -> Event:
    """Write a checkpoint, make it the run's last, and remove those that are no longer kept."""
    modules = now.networks.named()
    tensors = {name: module.state_dict() for name, module in modules.items()}
    _refuse_nonfinite(tensors, now.step)
    tensors["optimizers"] = checkpoint.optimizer_tensors("generator", now.optimizer_g) | (
        checkpoint.optimizer_tensors("discriminator", now.optimizer_d)
    )
    state = {"images": now.batches.position, "latent": streams.save(now.latent), "torch": _torch_states()}
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
    checkpoint.restore_optimizer("generator", now.optimizer_g, tensors["optimizers"])
    checkpoint.restore_optimizer("discriminator", now.optimizer_d, tensors["optimizers"])
    now.step = state["step"]
    now.batches.position = state["images"]
    streams.restore(now.latent, state["latent"])
    _restore_torch_states(state["torch"])
    return now


def _refuse_nonfinite(tensors: dict[str, dict[str, Tensor]], step: int) -> None:
    for module, group in tensors.items():
        for name, tensor in group.items():
            if not torch.isfinite(tensor).all():
                raise NonFiniteError(f"{module}.{name} is not finite at step {step}: {_SICK_ADVICE}")


def _torch_states() -> dict[str, str]:
    """The states of torch's generators, which augmentations and dropout draw from."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return {device: base64.b64encode(state.numpy().tobytes()).decode() for device, state in states.items()}


def _restore_torch_states(states: dict[str, str]) -> None:
    decoded = {
        device: torch.frombuffer(bytearray(base64.b64decode(text)), dtype=torch.uint8)
        for device, text in states.items()
    }
    torch.set_rng_state(decoded["cpu"])
    if "cuda" in decoded and torch.cuda.is_available():
        torch.cuda.set_rng_state(decoded["cuda"])
