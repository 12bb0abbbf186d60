"""The from-scratch engine: gradients and runs are those of PyTorch, published mistakes are rejected."""

import ast
import math
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch

import duel
from duel import catalog, checkpoint, loop, recipe, streams
from duel.constraints._base import Constraint
from duel.datasets._base import Spec
from duel.errors import CheckpointError, GradientError, RecipeError, RunError
from duel.interface import Interface
from duel.networks.dense import Dense
from duel.optimizers._base import Optimizer
from duel.options import options
from duel.recipe import Scratch
from duel.scratch import activations, check_gradient, derivative, dual, gradients, network, optimizers
from duel.train import squared_gradient_norm
from duel.xp import numpy_functions, torch_functions

SPEC, COUNT = Spec("image", (1, 3, 3)), 5
ACTIVATIONS = ("leaky-relu", "tanh", "sigmoid", "rational-tanh", "rational-sigmoid")
OBJECTIVES = catalog.names("objectives")
PENALTIES = [None, *catalog.names("penalties")]


@dataclass
class Side:
    """A player: its network from scratch with its weights, and the same as a PyTorch module."""

    network: network.Network
    weights: np.ndarray
    module: torch.nn.Module

    def torchs(self, loss):
        """The gradient of a loss with respect to the module's parameters, as a vector."""
        found = np.empty_like(self.weights)
        parts = torch.autograd.grad(loss, list(self.module.parameters()))
        for into, part in zip(self.network.named(found).values(), parts, strict=True):
            into[...] = part.numpy()
        return found


def players(activation="tanh", output="tanh", bias_row=False):
    """Generator and discriminator in float64 with weights (and biases) from N(0, ½²)."""
    options = Dense(
        generator_hidden=(6, 5), discriminator_hidden=(7, 4), activation=activation, output=output,
        generator_slope=0.1,
    )  # fmt: skip
    interface = Interface(SPEC, 3)
    modules = options.build(interface, streams.stream(0, "init"))
    made = {
        "generator": network.generator(options, interface, bias_row),
        "discriminator": network.discriminator(options, interface, bias_row),
    }
    rng, sides = np.random.default_rng(1), []
    for name, module in modules.named().items():
        vector = np.empty(made[name].count)
        module.double()
        named, parameters = made[name].named(vector), dict(module.named_parameters())
        assert list(named) == list(parameters)
        with torch.no_grad():
            for key, parameter in parameters.items():
                named[key][...] = rng.normal(0, 0.5, parameter.shape)
                parameter.copy_(torch.from_numpy(named[key]))
        sides.append(Side(made[name], vector, module))
    return sides


def drawn(*shape):
    return np.random.default_rng(2).normal(size=shape)


REAL, LATENT = drawn(COUNT, *SPEC.shape), drawn(COUNT, 3)


def flat(samples):
    return samples.reshape(len(samples), -1)


def loss_of_d(sides, objective="non-saturating", penalties=()):
    """The discriminator's loss from scratch, and PyTorch's gradient of the same loss."""
    g, d = sides
    objective = catalog.load_class("objectives", objective)()
    penalties = [catalog.load_class("penalties", name)(weight=3.0, every=2) for name in penalties]
    made = g.network.apply(g.weights, LATENT)
    rng, xp = np.random.default_rng(3), numpy_functions()
    points = [penalty.points((flat(REAL),), (made,), rng, xp).elements[0] for penalty in penalties]
    pairs = list(zip(penalties, points, strict=True))
    loss = gradients.DiscriminatorLoss(d.network, objective, flat(REAL), made, pairs)

    rng, xp = np.random.default_rng(3), torch_functions()
    real, fake = torch.from_numpy(REAL), g.module(torch.from_numpy(LATENT)).detach()
    total = objective.discriminator_loss(d.module(real), d.module(fake), xp).mean()
    for penalty in penalties:
        points = penalty.points((real,), (fake,), rng, xp)
        squared = squared_gradient_norm(d.module, points.elements, points.differentiated)
        total = total + penalty.every * penalty.value(squared, xp).mean()
    return loss, d.torchs(total), total.item()


def loss_of_g(sides, objective="non-saturating"):
    """The generator's loss from scratch, and PyTorch's gradient of the same loss."""
    g, d = sides
    objective = catalog.load_class("objectives", objective)()
    real = d.network.apply(d.weights, flat(REAL))[:, 0] if objective.relativistic else None
    made = g.network.trace(g.weights, LATENT)
    loss = gradients.GeneratorLoss(g.network, d.network, d.weights, objective, LATENT, real, made)

    on_torch = d.module(torch.from_numpy(REAL)).detach() if objective.relativistic else None
    fake = d.module(g.module(torch.from_numpy(LATENT)))
    total = objective.generator_loss(on_torch, fake, torch_functions()).mean()
    return loss, g.torchs(total), total.item()


def close(found, expected, tolerance=1e-10):
    return np.allclose(found, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())


# ---------------------------------------------------------------- gradients


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("penalty", PENALTIES)
def test_the_discriminators_gradient_is_torchs_and_the_numeric_one(objective, penalty):
    sides = players()
    loss, expected, value = loss_of_d(sides, objective, [penalty] if penalty else [])
    found, seen = loss.backprop(sides[1].weights)
    assert close(found, expected)
    assert math.isclose(seen.loss, value, rel_tol=1e-12)
    check_gradient(lambda w: loss.value(w)[0], sides[1].weights, found)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_generators_gradient_is_torchs_and_the_numeric_one(objective):
    sides = players()
    loss, expected, value = loss_of_g(sides, objective)
    found, seen = loss.backprop(sides[0].weights)
    assert close(found, expected)
    assert math.isclose(seen.loss, value, rel_tol=1e-12)
    check_gradient(lambda w: loss.value(w)[0], sides[0].weights, found)


def both_losses(sides, penalties):
    """Each player's loss, its weights and torch's gradient."""
    for side, (loss, expected, _) in zip(
        sides, (loss_of_g(sides), loss_of_d(sides, penalties=penalties)), strict=True
    ):
        yield loss, side.weights, expected


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("output", ["tanh", "rational-tanh"])
@pytest.mark.parametrize("bias_row", [False, True])
def test_every_activation_has_torchs_gradients(activation, output, bias_row):
    for loss, weights, expected in both_losses(players(activation, output, bias_row), ["interpolated", "r2"]):
        assert close(loss.backprop(weights)[0], expected)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_has_the_numeric_gradient(activation):
    for loss, weights, _ in both_losses(players(activation, "rational-tanh"), ["r1"]):
        check_gradient(lambda w, loss=loss: loss.value(w)[0], weights, loss.backprop(weights)[0])


@pytest.mark.parametrize("objective", ["non-saturating", "relativistic", "rational"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("bias_row", [False, True])
def test_dual_numbers_alone_give_what_backpropagation_gives(objective, activation, bias_row):
    g, d = sides = players(activation, bias_row=bias_row)
    for loss, weights in (
        (loss_of_d(sides, objective, PENALTIES[1:])[0], d.weights),
        (loss_of_g(sides, objective)[0], g.weights),
    ):
        found, seen = gradients.gradient(Scratch(gradient="forward"), loss, weights, None)
        expected, also_seen = gradients.gradient(Scratch(), loss, weights, None)
        assert close(found, expected, 1e-12)
        assert close(seen.loss, also_seen.loss, 1e-12)
        assert close(seen.logits, also_seen.logits, 1e-12)


def test_the_gradient_at_the_input_is_torchs():
    d = players()[1]
    x = torch.tensor(REAL, requires_grad=True)
    (expected,) = torch.autograd.grad(d.module(x).sum(), x)
    assert close(gradients.input_gradients(d.network, d.weights, flat(REAL)), flat(expected.numpy()))


def test_gradients_stay_float32():
    sides = players("leaky-relu")
    for side in sides:
        side.weights = side.weights.astype(np.float32)
    loss = loss_of_d(sides, "hinge", PENALTIES[1:])[0]
    penalties = [(penalty, points.astype(np.float32)) for penalty, points in loss.penalties]
    samples = (part.astype(np.float32) for part in (loss.real, loss.fake))
    narrow = gradients.DiscriminatorLoss(loss.network, loss.objective, *samples, penalties)
    for way in ("backprop", "forward", "forward-gradient"):
        rng = np.random.default_rng(0)
        found, _ = gradients.gradient(Scratch(gradient=way), narrow, sides[1].weights, rng)
        assert found.dtype == np.float32


# ---------------------------------------------------------------- the gradient's estimate


def estimates(directions, draws):
    """Estimates (draws×d) of the generator's gradient from so many random tangents each, and the gradient."""
    g, _ = sides = players()
    loss, rng = loss_of_g(sides)[0], np.random.default_rng(5)
    way = Scratch(gradient="forward-gradient", directions=directions)
    found = [gradients.gradient(way, loss, g.weights, rng)[0] for _ in range(draws)]
    return np.stack(found), loss.backprop(g.weights)[0]


def test_the_estimates_mean_goes_to_the_gradient_with_the_root_of_their_number():
    """For v ~ N(0, I) the covariance of (g·v) v is |g|² I + g gᵀ: n of them are off by (d + 1)|g|²/n."""
    found, exact = estimates(100, 100)
    d, size = len(exact), exact @ exact
    # |error|² is |g|²/n·(χ²(d − 1) + 2 χ²(1)): within 5 standard deviations, √(2d + 6)
    slack = 5 * math.sqrt(2 * d + 6)
    for count in (1, 10, 100):
        error = np.square(found[:count].mean(0) - exact).sum() * 100 * count / size
        assert abs(error - (d + 1)) < slack, count
    assert slack < 0.85 * d


def test_an_estimate_has_the_variance_of_its_number_of_directions():
    """Along the gradient 2|g|²/k, across it |g|²/k."""
    found, exact = estimates(10, 800)
    off = found - exact
    size = exact @ exact
    along = off @ exact / math.sqrt(size)
    assert math.isclose(np.square(along).mean(), 2 * size / 10, rel_tol=0.3)
    across = np.square(off).sum(1).mean() - np.square(along).mean()
    assert math.isclose(across, (len(exact) - 1) * size / 10, rel_tol=0.05)


def test_an_estimate_points_downhill_and_sees_the_same_loss():
    g, _ = sides = players()
    loss = loss_of_g(sides)[0]
    way, rng = Scratch(gradient="forward-gradient", directions=7), np.random.default_rng(0)
    found, seen = gradients.gradient(way, loss, g.weights, rng)
    exact, also_seen = loss.backprop(g.weights)
    assert found @ exact > 0
    assert math.isclose(seen.loss, also_seen.loss, rel_tol=1e-14)
    assert close(seen.logits, also_seen.logits, 1e-14)


# ---------------------------------------------------------------- the bias: apart, or as a row


def test_the_bias_as_a_row_is_the_same_function_with_the_same_gradient():
    apart, row = players(), players(bias_row=True)
    assert close(*(d.network.apply(d.weights, flat(REAL)) for _, d in (apart, row)), 1e-14)
    for number, loss in enumerate((loss_of_g, loss_of_d)):
        found = [
            sides[number].network.named(loss(sides)[0].backprop(sides[number].weights)[0])
            for sides in (apart, row)
        ]
        assert list(found[0]) == list(found[1])
        for name, part in found[0].items():
            assert close(found[1][name], part, 1e-13), name


def one_step(bias, **changes):
    """The discriminator's parameters by name after one step of SGD, from biases of 0.1 and −0.1."""
    both = {
        f"optimizer.{player}.{key}": value
        for player in ("generator", "discriminator")
        for key, value in {"name": "sgd", "lr": 0.5, **changes}.items()
    }
    it = tiny.resolved("gan", engine="scratch", precision="float64", **{"scratch.bias": bias}, **both)
    engine = loop.engine_of(it)
    now = engine.start(it, tiny.made_data(side=4))
    named = now.discriminator.network.named(now.discriminator.weights)
    for name, part in named.items():
        if name.endswith("bias"):
            part[...] = np.resize([0.1, -0.1], part.shape)
    seen = engine.play_step(it, now)
    return named, seen["loss_d"]


@pytest.mark.parametrize(("penalty", "pull"), [
    ({}, lambda b: 0 * b), ({"l2": 0.2}, lambda b: 0.2 * b), ({"l1": 0.3}, lambda b: 0.3 * np.sign(b)),
])  # fmt: skip
def test_l1_and_l2_reach_the_bias_only_where_it_is_a_row(penalty, pull):
    (apart, loss), (row, also_loss) = one_step("apart", **penalty), one_step("row", **penalty)
    count = 0
    for name in apart:
        moved = row[name] - apart[name]
        before = np.resize([0.1, -0.1], moved.shape)
        count += before.size * name.endswith("bias")
        expected = -0.5 * pull(before) if name.endswith("bias") else 0
        assert np.allclose(moved, expected, atol=1e-14), name
    cost = penalty.get("l2", 0) / 2 * 0.01 * count + penalty.get("l1", 0) * 0.1 * count
    assert math.isclose(also_loss - loss, cost, rel_tol=1e-9, abs_tol=1e-12)


# ---------------------------------------------------------------- activations and the rational objective


def printed_rational_tanh(x):
    """As Bensi, Nocchi 2023 print it."""
    return 1 / (1 + np.abs(2 * x))


def stands_for_tanh(activation):
    """Odd, increasing, from −1 to 1."""
    x = np.linspace(-50, 50, 1001)
    y = activation(x)
    odd, rising = np.allclose(y, -activation(-x)), (np.diff(y) > -1e-12).all()
    return bool(odd and rising and np.abs(y).max() <= 1 and y[-1] > 0.9)


@pytest.mark.parametrize(("activation", "expected"), [
    (activations.tanh, True), (activations.rational_tanh, True), (printed_rational_tanh, False),
    (activations.rational_sigmoid, False), (activations.identity, False),
])  # fmt: skip
def test_the_rational_tanh_stands_for_tanh_and_the_printed_one_does_not(activation, expected):
    assert stands_for_tanh(activation) is expected


@pytest.mark.parametrize(("name", "slope"), [
    ("tanh", 1), ("rational-tanh", 2), ("sigmoid", 1 / 4), ("rational-sigmoid", 1 / 2),
])  # fmt: skip
def test_the_slopes_at_zero(name, slope):
    assert math.isclose(derivative(activations.named(name), 0.0), slope, rel_tol=1e-15)


@pytest.mark.parametrize("name", activations.NAMED)
def test_activations_do_not_overflow(name):
    x = np.array([-1e6, -800, 800, 1e6])
    it = dual.seed(x, np.ones(4))
    out = activations.named(name)(it)
    assert np.isfinite(out.value).all()
    assert np.isfinite(out.tangent).all()


def rational_d(s):
    """D = ½ (s/(1 + |s|) + 1), as the source has it."""
    return (s / (1 + np.abs(s)) + 1) / 2


def test_the_rational_objective_is_the_cross_entropy_of_the_rational_sigmoid():
    real, fake = np.linspace(-6, 6, 13), np.linspace(5, -7, 13)
    it, xp = catalog.load_class("objectives", "rational")(), numpy_functions()
    found = it.discriminator_loss(real, fake, xp)
    assert np.allclose(found, -np.log(rational_d(real)) - np.log(1 - rational_d(fake)), rtol=1e-13)
    assert np.allclose(it.generator_loss(None, fake, xp), -np.log(rational_d(fake)), rtol=1e-13)
    both = it.generator_loss(real, fake, xp)
    assert np.allclose(both, -np.log(rational_d(fake)) - np.log(1 - rational_d(real)), rtol=1e-13)
    assert np.array_equal(activations.rational_sigmoid(real), rational_d(real))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_rational_objective_is_finite_for_large_scores(dtype):
    s = np.array([-1e6, -1e3, 0, 1e3, 1e6], dtype)
    it, xp = catalog.load_class("objectives", "rational")(), numpy_functions()
    value = it.generator_loss(None, s, xp)
    slope = derivative(lambda s: it.generator_loss(None, s, xp), s)
    # −log D = log 2(1 + |s|) below zero, log(1 + 1/(1 + 2s)) above
    assert np.allclose(
        value, np.where(s < 0, np.log(2 + 2 * np.abs(s)), np.log1p(1 / (1 + 2 * np.abs(s)))), atol=1e-6
    )
    assert np.isfinite(slope).all()
    assert (slope <= 0).all()
    on_torch = it.discriminator_loss(torch.from_numpy(s), torch.from_numpy(-s), torch_functions())
    assert torch.isfinite(on_torch).all()


# ---------------------------------------------------------------- mistakes of the sources


def probabilities(logits):
    return 1 / (1 + np.exp(-logits))


def logit_slopes(d_real, d_fake, of_real, of_fake):
    """Slopes at the logits (N×1) from those of the loss with respect to D: its derivative is D (1 − D)."""
    found = np.concatenate([of_real * d_real * (1 - d_real), of_fake * d_fake * (1 - d_fake)])
    return found[:, None] / COUNT


@dataclass
class Case:
    """The cross-entropy game, and the pieces that a hand-written gradient is made of."""

    generator: Side
    discriminator: Side
    of_d: Any
    of_g: Any

    def discriminators(self, at_logits):
        """The discriminator's gradient from slopes at its logits, made of D at them and of the loss."""
        d = self.discriminator
        outputs, steps = d.network.trace(d.weights, np.concatenate([self.of_d.real, self.of_d.fake]))
        every = probabilities(outputs[:, 0])
        slopes = at_logits(every[:COUNT], every[COUNT:], self.of_d.value(d.weights)[0])
        return d.network.gradient(d.weights, steps, slopes)

    def generators(self, at_samples):
        """The generator's gradient from slopes at its samples (N×9), made of the right ones and the loss."""
        (g, d), (fake, steps) = (self.generator, self.discriminator), self.of_g.made
        outputs, through = d.network.trace(d.weights, fake)
        right = d.network.input_gradient(d.weights, through, probabilities(outputs) / COUNT - 1 / COUNT)
        return g.network.gradient(g.weights, steps, at_samples(right, self.of_g.value(g.weights)[0]))


def right_slopes(d_real, d_fake, loss):
    return logit_slopes(d_real, d_fake, -1 / d_real, 1 / (1 - d_fake))


def slides_log_terms(d_real, d_fake, loss):
    """Price's slides: −1/(1 + D + ε) for both."""
    return logit_slopes(d_real, d_fake, -1 / (1 + d_real + 1e-8), -1 / (1 + d_fake + 1e-8))


def with_slides_epsilon(d_real, d_fake, loss):
    """What the slides mean: 1/(D + ε) of log D(x), −1/(1 − D + ε) of log(1 − D(G(z)))."""
    return logit_slopes(d_real, d_fake, -1 / (d_real + 1e-10), 1 / (1 - d_fake + 1e-10))


def the_slope_in_place_of_the_delta(case):
    """One text step of Bensi, Nocchi: what goes back is the activation's slope, not the delta."""
    g, (_, steps), right = case.generator, case.of_g.made, []
    case.generators(lambda at_samples, loss: right.append(at_samples) or at_samples)
    layers, deltas = g.network.layers(g.weights), [right[0] * steps[-1].slope]
    for number in range(len(layers) - 1, 0, -1):
        deltas.insert(0, (steps[number].slope @ layers[number].weight) * steps[number - 1].slope)
    parts = [(delta.T @ step.inputs, delta.sum(0)) for delta, step in zip(deltas, steps, strict=True)]
    return np.concatenate([part.ravel() for pair in parts for part in pair])


def of_a_batch_of_one(case):
    loss = case.of_d
    one = gradients.DiscriminatorLoss(loss.network, loss.objective, loss.real[:1], loss.fake[:1])
    return one.backprop(case.discriminator.weights)[0]


# whose gradient, whether it is right, and how it comes about
WAYS = {
    "backpropagation of D": ("d", True, lambda case: case.discriminators(right_slopes)),
    "backpropagation of G": ("g", True, lambda case: case.generators(lambda right, loss: right)),
    "the slides' ε where it belongs": ("d", True, lambda case: case.discriminators(with_slides_epsilon)),
    "the loss in place of its derivative": (
        "d", False, lambda case: case.discriminators(lambda d, e, loss: np.full((2 * COUNT, 1), loss))
    ),
    "the loss copied to all outputs of G": (
        "g", False, lambda case: case.generators(lambda right, loss: np.full_like(right, loss))
    ),
    "summed over the batch": (
        "d", False, lambda case: case.discriminators(lambda *seen: COUNT * right_slopes(*seen))
    ),
    "the slides' slope of both logarithms": ("d", False, lambda case: case.discriminators(slides_log_terms)),
    "the slope in place of the delta": ("g", False, the_slope_in_place_of_the_delta),
    "a batch of one for the full batch": ("d", False, of_a_batch_of_one),
    "up instead of down, D": ("d", False, lambda case: -case.discriminators(right_slopes)),
    "up instead of down, G": ("g", False, lambda case: -case.generators(lambda right, loss: right)),
}  # fmt: skip


def a_case():
    sides = players("leaky-relu")
    return Case(*sides, loss_of_d(sides)[0], loss_of_g(sides)[0])


@pytest.mark.parametrize("way", WAYS)
def test_the_checks_reject_the_sources_mistakes_and_nothing_else(way):
    player, right, found = WAYS[way]
    case = a_case()
    loss, side = (case.of_d, case.discriminator) if player == "d" else (case.of_g, case.generator)

    def check():
        check_gradient(lambda w: loss.value(w)[0], side.weights, found(case))

    if right:
        check()
        assert close(found(case), loss.backprop(side.weights)[0], 1e-8)
    else:
        with pytest.raises(GradientError, match="numeric differences give"):
            check()


@pytest.mark.parametrize(("slope", "right"), [
    (lambda a, b: np.sign(a) * b, True), (lambda a, b: np.sign(a), False), (lambda a, b: b, False),
])  # fmt: skip
def test_the_check_rejects_an_absolute_value_without_the_b(slope, right):
    """|a + bε| is |a| + sign(a) b ε; the text of Bensi, Nocchi 2023 lacks the b."""
    a, b = np.array([-2.0, 0.5]), np.array([3.0, -1.5])

    def check():
        return check_gradient(lambda t: np.sum(np.abs(a + b * t)), 0.0, slope(a, b).sum())

    assert np.array_equal(abs(dual.seed(a, b)).tangent, np.sign(a) * b)
    if right:
        check()
    else:
        with pytest.raises(GradientError):
            check()


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_every_optimizers_step_goes_down_and_the_sources_sign_goes_up(player):
    """Bensi, Nocchi subtract a delta that is negative already: that is w + lr·gradient."""
    case = a_case()
    loss, side = (case.of_g, case.generator) if player == "generator" else (case.of_d, case.discriminator)
    before = loss.value(side.weights)[0]
    for name in catalog.names("optimizers"):
        for sign in (1, -1):
            moved = side.weights.copy()
            it = catalog.load_class("optimizers", name)(lr=1e-4)
            optimizers.step(it, moved, sign * loss.backprop(side.weights)[0], {})
            assert np.sign(loss.value(moved)[0] - before) == -sign, name


@pytest.mark.parametrize(("name", "sizes", "prior"), [
    ("gan-dense-a", [(100, 256, 512, 1024, 784), (784, 1024, 512, 256, 1)], "normal"),
    ("gan-dense-e", [(100, 128, 784), (784, 128, 1)], "uniform"),
])  # fmt: skip
def test_the_sources_networks_are_as_large_as_they_say(name, sizes, prior):
    """784 = 28×28 in both: "728" in Price's slides is a misprint."""
    it = recipe.resolve(recipe.read(name))
    interface = it.game.interface(Spec("image", (1, 28, 28)), it.latent.size)
    found = [build(it.network, interface).sizes for build in (network.generator, network.discriminator)]
    assert found == sizes
    assert it.latent.prior == prior


# ---------------------------------------------------------------- optimizers

STEPPED = {
    "sgd": {"lr": 0.1},
    "momentum": {"lr": 0.1, "momentum": 0.9},
    "rmsprop": {"lr": 0.01, "decay": 0.8, "epsilon": 1e-3},
    "adam": {"lr": 0.02, "beta1": 0.7, "beta2": 0.95, "epsilon": 1e-3},
    "adamw": {"lr": 0.02, "beta1": 0.0, "decay": 0.3},
}


def stepped(name, size, dtype):
    """Weights and moments after six steps on the same gradients: ours, and torch's."""
    it = catalog.load_class("optimizers", name if name != "momentum" else "sgd")(**STEPPED[name])
    rng = np.random.default_rng(0)
    weights = rng.normal(size=size).astype(dtype)
    theirs = torch.nn.Parameter(torch.from_numpy(weights.copy()))
    optimizer, moments = it.build([theirs]), {}
    for _ in range(6):
        gradient = rng.normal(size=size).astype(dtype)
        theirs.grad = torch.from_numpy(gradient)
        optimizer.step()
        optimizers.step(it, weights, gradient, moments)
    state = {key: value for key, value in optimizer.state[theirs].items() if value is not None}
    return (weights, moments), (theirs.detach().numpy(), state)


@pytest.mark.parametrize("name", STEPPED)
@pytest.mark.parametrize("size", [1, 7, optimizers._PIECE, 2 * optimizers._PIECE + 3])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-13), (np.float32, 1e-5)])
def test_optimizers_step_as_torchs_do(name, size, dtype, tolerance):
    (ours, moments), (theirs, state) = stepped(name, size, dtype)
    assert ours.dtype == dtype
    assert np.allclose(ours, theirs, rtol=tolerance, atol=tolerance)
    assert moments.keys() == state.keys()
    for key, value in state.items():
        assert moments[key].dtype == value.numpy().dtype
        assert moments[key].shape == value.shape
        assert np.allclose(moments[key], value.numpy(), rtol=tolerance, atol=tolerance)


def test_every_optimizer_of_the_catalog_is_tested_here():
    assert {"sgd" if name == "momentum" else name for name in STEPPED} == set(catalog.names("optimizers"))


# ---------------------------------------------------------------- runs

MOMENTUM = {
    f"optimizer.{player}.{key}": value
    for player in ("generator", "discriminator")
    for key, value in {"name": "sgd", "lr": 0.01, "momentum": 0.9}.items()
}
CHANGES = {"ema.decay": 0.9, "evaluate.every": 5, "evaluate.metrics": ["kid"], "evaluate.features": "random",
           "evaluate.samples": 60, "checkpoint.keep": 9}  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The same small run by both engines: engine → (run, events)."""
    folder, found = tmp_path_factory.mktemp("runs"), {}
    for engine in ("torch", "scratch"):
        events = tiny.train(folder / engine, 10, "gan", CHANGES, engine=engine)
        found[engine] = (duel.load(folder / engine), events)
    return found


def test_both_engines_tell_the_same_story(runs):
    torchs, scratchs = (events for _, events in runs.values())
    told = [
        [(event["event"], event["step"], list(event)) for event in events] for events in (torchs, scratchs)
    ]
    assert told[0] == told[1]
    kinds = {"start", "step", "signal", "sample", "checkpoint", "metric", "end"}
    assert {event["event"] for event in scratchs} == kinds
    assert scratchs[-1]["reason"] == "done"


def test_both_engines_log_the_same_numbers(runs):
    steps = [[event for event in events if event["event"] == "step"] for _, events in runs.values()]
    for one, other in zip(*steps, strict=True):
        for key in set(one) - {"event", "time", "images_per_s"}:
            assert math.isclose(one[key], other[key], rel_tol=1e-4, abs_tol=1e-5), key


def test_both_engines_leave_the_same_files(runs):
    left = [
        sorted(str(file.relative_to(run.path)) for file in run.path.rglob("*")) for run, _ in runs.values()
    ]
    assert left[0] == left[1]


def tensors(run):
    """Name → (shape, type) of every tensor of a run's last checkpoint."""
    parts, _ = run.load_checkpoint()
    return {
        f"{group}.{name}": (tuple(tensor.shape), tensor.dtype)
        for group, part in parts.items()
        for name, tensor in part.items()
    }


def test_a_checkpoint_holds_the_same_tensors(runs):
    torchs, scratchs = (tensors(run) for run, _ in runs.values())
    assert scratchs == torchs
    assert "optimizers.generator.0.exp_avg" in scratchs
    assert "ema.generator.0.weight" in scratchs


@pytest.mark.parametrize("which", ["ema", "raw"])
def test_samples_of_a_run_are_what_its_generator_makes(runs, which):
    run, _ = runs["scratch"]
    samples = run.sample(6, seed=1, weights=which)
    assert samples.shape == (6, 1, 8, 8)
    assert samples.dtype == np.float32
    now = loop.resume(run.recipe, run.recipe.data.load(), run)
    if which == "raw":
        now.average = None
    made = loop.engine_of(run.recipe).generate(now, run.latent(6, seed=1), None)
    assert made.dtype == np.float32
    assert np.allclose(samples, (made + 1) / 2, atol=1e-5)


def test_the_averaged_weights_are_others_than_the_last(runs):
    run, _ = runs["scratch"]
    assert not np.allclose(run.sample(6), run.sample(6, weights="raw"), atol=1e-5)


def test_samples_of_both_engines_are_alike(runs):
    torchs, scratchs = (run.sample(20, seed=3) for run, _ in runs.values())
    assert np.allclose(scratchs, torchs, atol=1e-3)


@pytest.mark.parametrize("k", [1, 256, 257])
def test_the_first_samples_of_many_are_those_of_few(runs, k):
    run, _ = runs["scratch"]
    assert np.allclose(run.sample(300, seed=4)[:k], run.sample(k, seed=4), atol=1e-5)


def test_the_first_of_the_engines_samples_do_not_depend_on_the_rest(runs):
    run, _ = runs["scratch"]
    now, engine = loop.resume(run.recipe, run.recipe.data.load(), run), loop.engine_of(run.recipe)
    latent = run.latent(300)
    whole = engine.generate(now, latent, None)
    assert whole.shape == (300, 1, 8, 8)
    for k in (1, 255, 256, 257):
        assert np.allclose(engine.generate(now, latent[:k], None), whole[:k], atol=1e-6)


def test_a_run_is_measured_like_any_other(runs):
    run, events = runs["scratch"]
    result = duel.evaluate(run, samples=60, metrics=["kid"], features="random")
    entry = result["metrics"]["kid"]
    assert entry["low"] <= entry["value"] <= entry["high"]
    assert [event["step"] for event in events if event["event"] == "metric"] == [5, 10]
    values = [
        [event["value"] for event in events if event["event"] == "metric"] for _, events in runs.values()
    ]
    assert np.allclose(*values, rtol=1e-2)


def test_the_recipe_of_a_run_says_its_engine(runs):
    run, events = runs["scratch"]
    assert run.recipe.engine == "scratch"
    assert events[0]["device"] == "cpu"
    assert run.provenance["threads"] == 1


@pytest.mark.parametrize("engine", ["torch", "scratch"])
def test_a_training_that_diverges_ends_in_a_sentence_and_without_a_warning(tmp_path, engine):
    changes = {
        f"optimizer.{player}.{key}": value
        for player in ("generator", "discriminator")
        for key, value in {"name": "sgd", "lr": 1e12}.items()
    }
    events = tiny.train(
        tmp_path / "run", 8, "gan", {"sample.every": 1, "log.every": 8, **changes}, engine=engine
    )
    assert events[-1]["reason"] == "nonfinite"
    assert "the training has diverged; lower optimizer.discriminator.lr" in events[-1]["message"]


def test_weights_that_have_diverged_are_drawn_without_a_warning():
    it = tiny.resolved("gan", engine="scratch")
    engine = loop.engine_of(it)
    now = engine.start(it, tiny.made_data(side=4))
    now.generator.weights[...] = 3e38
    assert engine.generate(now, np.ones((2, 5), np.float32), None).shape == (2, 1, 4, 4)


# ---------------------------------------------------------------- taking up again

RESUMED = {
    "backprop": {},
    "bias as a row": {"scratch.bias": "row", "optimizer.generator.l2": 0.1},
    "forward": {"scratch.gradient": "forward"},
    "forward-gradient": {"scratch.gradient": "forward-gradient", "scratch.directions": 3},
    "ema": {"ema.decay": 0.9},
    "sgd": {"optimizer.generator.name": "sgd", "optimizer.discriminator.name": "sgd"},
    "momentum": MOMENTUM,
    "rmsprop": {"optimizer.generator.name": "rmsprop", "optimizer.discriminator.name": "rmsprop"},
    "adamw": {"optimizer.generator.name": "adamw", "optimizer.discriminator.name": "adamw"},
    "penalties": {"n_critic": 2, "penalties": [{"name": "r1", "every": 4}, {"name": "dragan"}]},
    "schedules": {
        "optimizer.generator.lr": {"values": [0.01, 0.001], "at": [2, 9]}, "latent.prior": "uniform",
    },
    "float64": {"precision": "float64", "constraints": "clip", "objective.name": "wasserstein"},
}  # fmt: skip


class Shelf:
    """As much of a run as saving and resuming ask for."""

    def __init__(self, folder):
        self.checkpoints_folder = folder
        self.state = {"last": None}

    def update_state(self, last):
        self.state["last"] = last

    def prune(self, keep):
        pass

    def newest_whole(self):
        return self.state["last"], []

    def load_checkpoint(self, which):
        step = self.state[which] if which == "last" else which
        return checkpoint.load(self.checkpoints_folder / checkpoint.folder_name(step))


def played(shelf, total, engine="scratch", **changes):
    """What is saved after so many steps of a training that the shelf's last checkpoint is taken up with."""
    it = tiny.resolved("gan", engine=engine, **changes)
    now = loop.resume(it, tiny.made_data(side=4), shelf)
    while now.step < total:
        loop.engine_of(it).play_step(it, now)
        now.step += 1
    loop.save(it, now, shelf)
    parts, state = shelf.load_checkpoint("last")
    return {f"{group}.{name}": part for group, named in parts.items() for name, part in named.items()}, state


@pytest.mark.parametrize("name", RESUMED)
def test_2n_steps_are_n_and_n_more(tmp_path, name):
    whole, state = played(Shelf(tmp_path / "whole"), 12, **RESUMED[name])
    cut = Shelf(tmp_path / "cut")
    played(cut, 6, **RESUMED[name])
    found, also_state = played(cut, 12, **RESUMED[name])
    assert state == also_state
    assert whole.keys() == found.keys()
    for key, part in whole.items():
        assert torch.equal(part, found[key]), key


@pytest.mark.parametrize("name", [name for name in RESUMED if "forward" not in name and "row" not in name])
def test_a_checkpoint_holds_the_same_tensors_as_torchs(tmp_path, name):
    ours, theirs = (
        played(Shelf(tmp_path / engine), 2, engine, **RESUMED[name])[0] for engine in ("scratch", "torch")
    )
    shapes = [{key: (part.shape, part.dtype) for key, part in parts.items()} for parts in (ours, theirs)]
    assert shapes[0] == shapes[1]


def test_2n_steps_are_n_and_n_more_in_a_new_process(tmp_path):
    changes = {"data": "digits", "engine": "scratch", "ema.decay": 0.9, **RESUMED["forward-gradient"]}
    tiny.train(tmp_path / "whole", 12, "gan", changes)
    tiny.train(tmp_path / "cut", 6, "gan", changes)
    code = f"import duel; list(duel.train(resume={str(tmp_path / 'cut')!r}, steps=12))"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert tiny.weights(tmp_path / "whole") == tiny.weights(tmp_path / "cut")
    sheets = [(tmp_path / run / "samples" / "00000012.png").read_bytes() for run in ("whole", "cut")]
    assert sheets[0] == sheets[1]


def test_the_random_tangents_have_a_stream_of_their_own():
    it = tiny.resolved("gan", engine="scratch", **RESUMED["forward-gradient"])
    engine, data = loop.engine_of(it), tiny.made_data(side=4)
    one, other = engine.start(it, data), engine.start(it, data)
    other.directions = streams.stream(1, "latent", 2)
    for now in (one, other):
        engine.play_step(it, now)
    assert not np.allclose(one.generator.weights, other.generator.weights)
    assert streams.save(one.latent) == streams.save(other.latent)


@pytest.mark.parametrize(
    "changes", [{"network.generator_hidden": [9]}, {"network.discriminator_hidden": [8, 8]}]
)
def test_a_checkpoint_of_another_network_is_refused(tmp_path, changes):
    shelf = Shelf(tmp_path)
    played(shelf, 1)
    with pytest.raises(CheckpointError, match=r"does not fit the run's recipe\.toml: was that file edited"):
        played(shelf, 2, **changes)


def test_another_engine_cannot_take_up_a_run(tmp_path):
    tiny.train(tmp_path / "run", 2, "gan", {"data": "digits"}, engine="scratch")
    before = tiny.weights(tmp_path / "run")
    with pytest.raises(RunError, match="engine: the run has 'scratch', now 'torch'"):
        tiny.train(tmp_path / "run", 4, "gan", {"data": "digits"})
    assert tiny.weights(tmp_path / "run") == before


# ---------------------------------------------------------------- refusals


@options
class Halve(Constraint):
    """A constraint from outside: halves every parameter."""

    def apply(self, parameters):
        for parameter in parameters:
            parameter *= 0.5


@options
class Stay(Optimizer):
    """An optimizer from outside: does not move."""

    def build(self, parameters):
        return torch.optim.SGD(parameters, lr=0.0)

    def settings(self):
        return {"lr": 0.0}


INSTEAD = r"; or use engine=torch$"
REFUSED = {
    "game": ({"game.name": "conditional"}, "the game 'conditional': only game.name=plain" + INSTEAD),
    "augmentations": ({"augmentations": "noise"}, "augmentations: leave them out" + INSTEAD),
    "dropout": ({"network.dropout": 0.5}, "dropout: set network.dropout=0" + INSTEAD),
    "bfloat16": ({"precision": "bfloat16"}, "precision=bfloat16: only float32 and float64" + INSTEAD),
    "accumulate": ({"accumulate": 2}, "set accumulate=1 and a larger batch_size" + INSTEAD),
    "device": ({"device": "cuda"}, "device is 'cuda', .* use device=cpu or engine=torch$"),
    "constraint": ({"constraints": "test_scratch:Halve"}, "constraints other than clip" + INSTEAD),
    "optimizer": (
        {"optimizer.generator.name": "test_scratch:Stay"}, "no optimizer 'stay': use sgd, .* or engine=torch$"
    ),
    "directions": (
        {"scratch.directions": 3},
        "directions is 3, but only gradient=forward-gradient draws any: set it, too$",
    ),
    "no directions": (
        {"scratch.directions": 0, "scratch.gradient": "forward-gradient"},
        r"scratch\.directions is 0, allowed are integers from 1",
    ),
    "gradient": ({"scratch.gradient": "reverse"}, r"scratch\.gradient is 'reverse', allowed: "),
    "bias": ({"scratch.bias": "none"}, r"scratch\.bias is 'none', allowed: 'apart' or 'row'"),
}  # fmt: skip


def refusal(out, changes, **given):
    """The error of a training that must not begin; nothing may be left of it."""
    with pytest.raises(RecipeError) as caught:
        tiny.train(out, 4, "gan", changes, allow_code=True, **given)
    assert not out.exists()
    assert "\n" not in str(caught.value)
    return caught


@pytest.mark.parametrize("what", REFUSED)
def test_what_the_engine_lacks_is_refused_in_a_sentence_before_anything_is_written(tmp_path, what):
    changes, sentence = REFUSED[what]
    caught = refusal(tmp_path / "run", changes, engine="scratch")
    assert caught.match(sentence)


@pytest.mark.parametrize("name", ["dcgan", "r3gan", "bigan-dense"])
def test_other_networks_are_refused(tmp_path, name):
    with pytest.raises(RecipeError, match=f"does not have the network '{name}': only .*{INSTEAD}") as caught:
        duel.train(name, data="digits", out=tmp_path / "run", engine="scratch", steps=2)
    assert not (tmp_path / "run").exists()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("changes", [
    {"scratch.gradient": "forward"}, {"scratch.bias": "row"},
    {"scratch.gradient": "forward-gradient", "scratch.directions": 4},
])  # fmt: skip
def test_options_of_the_scratch_engine_are_refused_on_torch(tmp_path, changes):
    caught = refusal(tmp_path / "run", changes)
    assert caught.match("scratch is about the from-scratch engine: set engine=scratch, too, or leave it out")


def test_an_unknown_engine_is_refused(tmp_path):
    assert refusal(tmp_path / "run", {}, engine="jax").match("engine is 'jax', allowed: 'torch' or 'scratch'")


# ---------------------------------------------------------------- nothing but NumPy


def loaded_by(code):
    """Which of the large libraries a fresh interpreter holds after the code."""
    large = {"torch", "scipy", "matplotlib", "sklearn", "PIL"}
    ending = f"import sys; print(*sorted(set(sys.modules) & {large!r}))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{ending}"], check=True, capture_output=True, text=True
    )
    return done.stdout.split()


def test_importing_the_package_imports_no_large_library():
    assert loaded_by("import duel.scratch") == []


def test_the_engine_computes_without_torch():
    """A step of the game with torch's import blocked."""
    code = f"""
import sys
sys.modules["torch"] = None
sys.path.insert(0, {str(Path(__file__).parent)!r})
import numpy as np
from duel import recipe
from duel.datasets._base import Data, Spec, Split
from duel.scratch import train
points = Split(np.random.default_rng(0).normal(size=(40, 2)).astype("float32"), None)
data = Data("made", Spec("points", (2,)), {{"train": points}}, "f")
it = recipe.on_this_machine(recipe.resolve(recipe.change(recipe.read("gan"), {{
    "engine": "scratch", "steps": 2, "penalties": "r1", "constraints": "clip", "threads": 1}})))
train.check(it)
now = train.start(it, data)
assert np.isfinite(train.play_step(it, now)["loss_g"])
assert train.generate(now, np.zeros((3, 100), np.float32), None).shape == (3, 2)
sys.modules.pop("torch")
"""
    assert "torch" not in loaded_by(code)


def test_no_file_of_the_package_imports_torch():
    for file in (catalog.PACKAGE / "scratch").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not any(name.partition(".")[0] == "torch" for name in names), file.name


def test_directions_that_do_not_fit_together_give_the_same_estimate(monkeypatch):
    estimates = []
    for most in (1 << 24, 1000):
        monkeypatch.setattr(dual, "_NUMBERS", most)
        it = tiny.resolved(
            "gan", engine="scratch", **{"scratch.gradient": "forward-gradient", "scratch.directions": 7}
        )
        engine = loop.engine_of(it)
        now = engine.start(it, tiny.made_data(side=4))
        engine.play_step(it, now)
        estimates.append(now.generator.weights)
    assert np.allclose(*estimates, rtol=1e-4, atol=1e-6)


def test_forward_mode_refuses_networks_that_would_take_hours(tmp_path):
    large = {"engine": "scratch", "scratch.gradient": "forward", "network.generator_hidden": [500]}
    with pytest.raises(RecipeError, match="allowed are 20,000"):
        duel.train("gan", data="digits", out=tmp_path / "run", steps=1, changes=large)
    assert not (tmp_path / "run").exists()
