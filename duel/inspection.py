"""A look into the networks of a training on PyTorch, for `duel.signals`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import Module
from torch.nn.modules.batchnorm import _BatchNorm

from duel import sampling, streams
from duel.constraints.clip import Clip
from duel.networks._layers import RationalSigmoid, RationalTanh
from duel.objectives.wasserstein import Wasserstein
from duel.penalties.interpolated import Interpolated
from duel.recipe import Recipe
from duel.signals import AT_LIMIT, FEW, SLOPES, Inside, Layer, Looked
from duel.syncnorm import apart
from duel.train import Training, squared_gradient_norm
from duel.xp import torch_functions

_ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.Tanh, nn.Sigmoid, RationalTanh, RationalSigmoid)


def watch(now: Training) -> Callable[[], dict[str, Layer]]:
    """Remember the weights; the result gives the norms of every parameter after the step."""
    parameters = {
        f"{player}.{name}": parameter
        for player, module in now.networks.named().items()
        for name, parameter in module.named_parameters()
    }
    before = {name: parameter.detach().clone() for name, parameter in parameters.items()}

    @torch.no_grad()
    def after() -> dict[str, Layer]:
        triples = [
            torch.stack([norm(value), norm(value.grad).to(value), norm(value - before[name])])
            for name, value in parameters.items()
        ]
        return {
            name: Layer(*row)
            for name, row in zip(parameters, torch.stack(triples).double().tolist(), strict=True)
        }

    return after


def norm(value: Tensor | None) -> Tensor:
    """The L2 norm; 0 for a gradient that there is not."""
    return torch.zeros(()) if value is None else torch.linalg.vector_norm(value)


def inspect(recipe: Recipe, now: Training, looked: Looked) -> Inside:
    """Logits, dead units, batch norm's two modes, reconstructions, slopes and clipping."""
    with apart(*now.networks.named().values()):
        return _inspect(recipe, now, looked)


def _inspect(recipe: Recipe, now: Training, looked: Looked) -> Inside:
    networks, d = now.networks, now.networks.discriminator
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        for module in networks.named().values():
            stack.enter_context(_by_batch(module))
        dead = stack.enter_context(_dead_units({"generator": networks.generator, "discriminator": d}))
        fake = recipe.game.fake(networks, _on(looked.latent, recipe, d), _labels(looked.labels, recipe))
        train = recipe.game.real(networks, _on(looked.train, recipe, d), _labels(looked.train_labels, recipe))
        logits = {"train": recipe.game.logits(d(*train)), "fake": recipe.game.logits(d(*fake))}
        if len(looked.held):
            held = recipe.game.real(
                networks, _on(looked.held, recipe, d), _labels(looked.held_labels, recipe)
            )
            logits["held"] = recipe.game.logits(d(*held))
        slopes = _slopes(recipe, now, train, fake)
    found = {name: value.double().cpu().numpy() for name, value in logits.items()}
    return Inside(
        train=found["train"],
        held=found.get("held", np.empty(0)),
        fake=found["fake"],
        dead=dead,
        by_batch=_samples_by_batch(recipe, now, looked, fake[0]),
        reconstructed=_reconstructed(recipe, now, looked),
        slopes=slopes,
        clipped=_clipped(recipe, d),
    )


@contextlib.contextmanager
def _by_batch(module: Module) -> Iterator[None]:
    """Evaluation mode, but batch norm by the batch's own statistics; its running ones are left alone."""
    modes = {each: each.training for each in module.modules()}
    norms: list[Module] = [each for each in module.modules() if isinstance(each, _BatchNorm)]
    kept = [{name: buffer.clone() for name, buffer in each.named_buffers()} for each in norms]
    module.eval()
    for each in norms:
        each.train()
    try:
        yield
    finally:
        for each, buffers in zip(norms, kept, strict=True):
            for name, buffer in each.named_buffers():
                buffer.copy_(buffers[name])
        for each, mode in modes.items():
            each.training = mode


@contextlib.contextmanager
def _dead_units(modules: dict[str, Module]) -> Iterator[dict[str, float]]:
    """The share of constant units of each hidden activation, from the first pass through it."""
    found: dict[str, float] = {}

    def hook(name: str) -> Callable[[Module, tuple[Tensor, ...], Tensor], None]:
        def look(_module: Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if name not in found:
                units = output[:FEW].transpose(0, 1).flatten(1)
                found[name] = float((units.amax(1) == units.amin(1)).double().mean())

        return look

    handles = []
    for player, module in modules.items():
        activations = [
            (name, each) for name, each in module.named_modules() if isinstance(each, _ACTIVATIONS)
        ]
        if player == "generator":  # its last is the output, whose pixels may well be constant
            activations = activations[:-1]
        handles += [each.register_forward_hook(hook(f"{player}.{name}")) for name, each in activations]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _samples_by_batch(recipe: Recipe, now: Training, looked: Looked, fake: Tensor) -> np.ndarray | None:
    """The samples with batch norm by the batch's statistics (`fake`, without an average); None without it."""
    generator = now.average.get("generator")
    if not any(isinstance(each, _BatchNorm) for each in now.networks.generator.modules()):
        return None
    if generator is not None:
        labels = _labels(looked.labels, recipe)
        with torch.no_grad(), _by_batch(generator):
            fake = generator(_on(looked.latent, recipe, generator), *(() if labels is None else (labels,)))
    return np.asarray(fake.float().cpu().contiguous().numpy())


def _reconstructed(recipe: Recipe, now: Training, looked: Looked) -> np.ndarray | None:
    """G(E(x)) of the held-out samples by the weights that are sampled with; None without an encoder."""
    if now.networks.encoder is None or not len(looked.held):
        return None
    encoder = now.average.get("encoder", now.networks.encoder)
    generator = now.average.get("generator", now.networks.generator)
    codes = sampling.encode(encoder, looked.held)
    takes_labels = looked.labels is not None
    return sampling.generate(generator, codes, looked.held_labels if takes_labels else None)


def _slopes(
    recipe: Recipe, now: Training, train: tuple[Tensor, ...], fake: tuple[Tensor, ...]
) -> np.ndarray | None:
    """‖∇D‖ between real and generated samples; None unless the critic's slope must be bounded."""
    if not isinstance(recipe.objective, Wasserstein):
        return None
    rng, count = streams.stream(recipe.seed, "fixed", 2), min(SLOPES, len(train[0]), len(fake[0]))
    real_part, fake_part = (tuple(term[:count] for term in terms) for terms in (train, fake))
    points = Interpolated().points(real_part, fake_part, rng, torch_functions())

    def logits(*terms: Tensor) -> Tensor:
        return recipe.game.logits(now.networks.discriminator(*terms))

    now.networks.discriminator.requires_grad_(False)  # the gradient is for the samples alone
    try:
        with torch.enable_grad():
            squared = squared_gradient_norm(logits, points.elements, points.differentiated)
    finally:
        now.networks.discriminator.requires_grad_(True)
    return np.asarray(squared.detach().sqrt().double().cpu().numpy())


def _clipped(recipe: Recipe, discriminator: Module) -> float | None:
    """The share of clipped weights that stand at the limit."""
    limits = [each for each in recipe.constraints if isinstance(each, Clip)]
    if not limits:
        return None
    with torch.no_grad():
        at = [
            (parameter.abs() >= AT_LIMIT * limits[0].limit).flatten()
            for parameter in limits[0].parameters(discriminator)
        ]
        return float(torch.cat(at).double().mean())


def _on(array: np.ndarray, recipe: Recipe, module: Module) -> Tensor:
    weight = next(module.parameters())
    return torch.from_numpy(np.ascontiguousarray(array)).to(weight.device, weight.dtype)


def _labels(labels: np.ndarray | None, recipe: Recipe) -> Tensor | None:
    return None if labels is None else torch.from_numpy(labels.astype(np.int64)).to(recipe.device)
