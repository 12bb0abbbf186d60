"""The main path: how a generator and a discriminator are trained against each other.

Read `play_step` first: it is algorithm 1 of Goodfellow et al. 2014. `duel.loop` repeats it, and between
whole steps logs, draws sample grids and saves.
"""

from __future__ import annotations

import base64
import contextlib
import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import Module
from torch.optim import Optimizer

from duel import checkpoint, sampling, schedule, streams
from duel.batches import Batches
from duel.datasets._base import Data, Split
from duel.networks._base import Networks
from duel.optimizers._base import Optimizer as OptimizerOptions
from duel.penalties._base import Penalty
from duel.ranks import ALONE, World
from duel.recipe import Recipe
from duel.syncnorm import synchronise
from duel.xp import torch_functions

Terms = tuple[Tensor, ...]


@dataclass
class Training:
    """Everything that changes while a recipe is trained; a checkpoint holds all of it.

    average        the averaged second player by module name; empty where the recipe keeps no average
    updates_d      how often the discriminator was updated
    augmentations  the state of each augmentation
    latent         draws the latent vectors; places: where penalties look
    scheduled      whether any number of the recipe follows a schedule
    world          the other processes that train it
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
    world: World = ALONE


def start(recipe: Recipe, data: Data) -> Training:
    """Step 0: initial weights, fresh optimizers, every random stream at its beginning.

    Sets torch's seed and number of threads, which belong to the process.
    """
    torch.set_num_threads(recipe.threads or 1)
    torch.manual_seed(recipe.seed)
    interface = recipe.game.interface(data.spec, recipe.latent.size)
    networks = recipe.network.build(interface, streams.stream(recipe.seed, "init"))
    for module in networks.named().values():
        module.to(recipe.device, _dtype(recipe))
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


def spread(recipe: Recipe, now: Training, world: World) -> None:
    """Train it together with the other ranks from here on; all hold the same weights and streams.

    What networks and augmentations draw by themselves must differ between ranks: torch's seed does.
    """
    now.world = world
    if recipe.sync_batch_norm:
        for module in now.networks.named().values():
            synchronise(module)
    if not world.first:
        torch.manual_seed(recipe.seed + 1_000_003 * world.rank + now.step)


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
    return now.world.together(seen)


@dataclass
class Batch:
    """What one update sees: real samples, their labels where the game uses them, latent vectors.

    Of several ranks, each has its share.
    """

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
    everybodys = now.batches.rows()
    latent = streams.draw_latent(now.latent, len(everybodys), recipe.latent.size, recipe.latent.prior)
    rows, latent = (now.world.share(values, recipe.accumulate) for values in (everybodys, latent))
    labels = None
    if recipe.game.labels:
        assert now.train.labels is not None
        labels = _moved(now.train.labels[rows], recipe.device)
    samples = _to_device(now.train.samples[rows], recipe)
    return Batch(samples, labels, _moved(latent, recipe.device).to(_dtype(recipe)))


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
    now.world.average(now.networks.discriminator.parameters())
    extra = _weight_penalty(recipe.optimizer.discriminator, now.networks.discriminator.parameters())
    now.optimizer_d.step()
    with torch.no_grad():
        for constraint in recipe.constraints:
            constraint.apply(constraint.parameters(now.networks.discriminator))
    now.updates_d += 1

    losses, of_real, of_fake = zip(*seen, strict=True)
    real_all = torch.cat(of_real).detach()
    undecided = recipe.objective.boundary or 0.0
    if now.augmentations:
        everybodys = now.world.gathered(real_all) - undecided
        now.augmentations = [
            one.adapt(state, everybodys)
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
    now.world.average(_parameters(now.networks.second_player()))
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
    if recipe.precision != "bfloat16":
        return contextlib.nullcontext()
    return torch.autocast(str(recipe.device), torch.bfloat16)


def _dtype(recipe: Recipe) -> torch.dtype:
    """Of the weights and of what comes in."""
    return torch.float64 if recipe.precision == "float64" else torch.float32


def _whole(value: Tensor) -> Tensor:
    """Losses, penalties and augmentations compute in float32."""
    return value.float() if value.dtype == torch.bfloat16 else value


def _penalty(recipe: Recipe, penalty: Penalty, now: Training, real: Terms, fake: Terms) -> Tensor:
    """The penalty's value (N,) at its points: of the function that is trained, augmentations included."""
    xp = torch_functions()
    points = penalty.points(real, fake, now.world.drawing(now.places), xp)

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


def _to_device(samples: np.ndarray, recipe: Recipe) -> Tensor:
    """A batch in [−1, 1]: images from uint8 and channels-last, points as they are."""
    batch = _moved(samples, recipe.device)
    if batch.dtype != torch.uint8:
        return batch.to(_dtype(recipe))
    return batch.to(_dtype(recipe), memory_format=torch.channels_last).div_(127.5).sub_(1.0)


# ---------------------------------------------------------------- what the loop asks for


def check(recipe: Recipe) -> None:
    """Nothing: this engine has all that the catalog has."""


def read(numbers: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """What a step returned, on the host."""
    return {name: value.float().cpu().numpy() for name, value in numbers.items()}


def generate(now: Training, latent: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
    """Samples in [−1, 1] (float32) from the averaged weights where they are kept."""
    return sampling.generate(now.average.get("generator", now.networks.generator), latent, labels)


def contents(recipe: Recipe, now: Training) -> tuple[checkpoint.Groups, dict[str, Any]]:
    """The tensors of a checkpoint by file, on the host, and the states of augmentations and of torch."""
    tensors = {name: module.state_dict() for name, module in now.networks.named().items()}
    if now.average:
        tensors["ema"] = checkpoint.joined(now.average)
    tensors["optimizers"] = checkpoint.optimizer_tensors("generator", now.optimizer_g) | (
        checkpoint.optimizer_tensors("discriminator", now.optimizer_d)
    )
    on_host = {
        group: {name: tensor.detach().cpu() for name, tensor in parts.items()}
        for group, parts in tensors.items()
    }
    return on_host, {
        "augmentations": [one.tolist() for one in now.augmentations],
        "torch": _torch_states(recipe.device),
    }


def adopt(now: Training, tensors: checkpoint.Groups) -> None:
    """Take another training's weights, and its average where one is kept here."""
    for name, module in now.networks.named().items():
        checkpoint.restore_module(module, name, tensors)
    averages = checkpoint.parted(tensors["ema"]) if "ema" in tensors else tensors
    for name, module in now.average.items():
        checkpoint.restore_module(module, name, averages)


def restore(recipe: Recipe, now: Training, tensors: checkpoint.Groups, state: dict[str, Any]) -> None:
    """Put back what `contents` gave."""
    for name, module in now.networks.named().items():
        checkpoint.restore_module(module, name, tensors)
    for name, module in now.average.items():
        checkpoint.restore_module(module, name, checkpoint.parted(tensors.get("ema", {})))
    checkpoint.restore_optimizer("generator", now.optimizer_g, tensors["optimizers"])
    checkpoint.restore_optimizer("discriminator", now.optimizer_d, tensors["optimizers"])
    now.augmentations = [torch.tensor(one, device=recipe.device) for one in state["augmentations"]]
    _restore_torch_states(state["torch"], recipe.device)


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
