"""Every file of every family meets its family's contract. A new variant is tested here by being there."""

import math

import numpy as np
import pytest
import torch

from duel import catalog, streams
from duel.datasets._base import Spec
from duel.errors import RecipeError
from duel.networks._base import Network
from duel.train import squared_gradient_norm
from duel.xp import Functions, numpy_functions, torch_functions

EIGHT = ("exp", "log", "softplus", "sigmoid", "tanh", "maximum", "abs", "mean")


def variants(family):
    return [pytest.param(catalog.load_class(family, name), id=name) for name in catalog.names(family)]


# ---------------------------------------------------------------- the functions formulas are written in


@pytest.mark.parametrize("name", EIGHT)
def test_both_tables_hold_the_same_functions(name):
    x = np.array([0.3, 1.0, 2.5])
    arguments = (x, 0.7) if name == "maximum" else (x,)
    on_torch = getattr(torch_functions(), name)(
        *(torch.from_numpy(a) if isinstance(a, np.ndarray) else a for a in arguments)
    )
    assert np.allclose(on_torch.numpy(), getattr(numpy_functions(), name)(*arguments), rtol=1e-14)


def test_the_table_holds_exactly_the_eight():
    assert set(torch_functions()._fields) == set(numpy_functions()._fields) == set(EIGHT)
    assert {name for name in vars(Functions) if not name.startswith("_")} == set(EIGHT)


@pytest.mark.parametrize("xp", [torch_functions(), numpy_functions()])
def test_softplus_and_sigmoid_do_not_overflow(xp):
    x = torch.tensor([-1e4, 1e4], dtype=torch.float64)
    x = x if xp is torch_functions() else x.numpy()
    assert np.allclose(xp.softplus(x), [0, 1e4])
    assert np.allclose(xp.sigmoid(x), [0, 1])


# ---------------------------------------------------------------- objectives

LOGITS = np.linspace(-4, 4, 9)


def slopes(loss, real, fake):
    """∂ mean loss / ∂ real and ∂ fake by torch's autograd."""
    real, fake = (torch.tensor(values, requires_grad=True) for values in (real, fake))
    total = loss(real, fake, torch_functions()).mean()
    return [
        np.zeros(len(LOGITS)) if slope is None else slope.numpy()
        for slope in torch.autograd.grad(total, (real, fake), allow_unused=True)
    ]


@pytest.mark.parametrize("cls", variants("objectives"))
@pytest.mark.parametrize("player", ["discriminator_loss", "generator_loss"])
class TestObjectives:
    def test_one_finite_value_per_sample_equal_on_both_engines(self, cls, player):
        loss = getattr(cls(), player)
        on_torch = loss(torch.from_numpy(LOGITS), torch.from_numpy(LOGITS[::-1].copy()), torch_functions())
        on_numpy = loss(LOGITS, LOGITS[::-1].copy(), numpy_functions())
        assert on_torch.shape == LOGITS.shape
        assert torch.isfinite(on_torch).all()
        assert np.allclose(on_torch.numpy(), on_numpy, rtol=1e-13)

    def test_the_slope_is_the_numeric_one(self, cls, player):
        loss = getattr(cls(), player)
        rng = np.random.default_rng(0)
        real, fake = rng.normal(size=(2, len(LOGITS)))
        for exact, direction in zip(slopes(loss, real, fake), ((1, 0), (0, 1)), strict=True):
            for i in range(len(LOGITS)):
                step = 1e-6 * np.eye(len(LOGITS))[i]
                ends = [
                    loss(
                        real + s * direction[0] * step, fake + s * direction[1] * step, numpy_functions()
                    ).mean()
                    for s in (1, -1)
                ]
                assert math.isclose((ends[0] - ends[1]) / 2e-6, exact[i], rel_tol=1e-5, abs_tol=1e-9)

    def test_each_player_pushes_the_logits_its_way(self, cls, player):
        real, fake = slopes(getattr(cls(), player), LOGITS, LOGITS)
        if player == "discriminator_loss":
            assert (real <= 0).all()
            assert real.sum() < 0
            assert (fake >= 0).all()
            assert fake.sum() > 0
        else:
            assert (fake <= 0).all()
            assert fake.sum() < 0


def test_cross_entropy_is_what_the_library_computes():
    """A second source for the probabilistic losses: torch's own binary cross-entropy."""
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    real, fake = torch.randn(2, 50, dtype=torch.float64)
    non_saturating = catalog.load_class("objectives", "non-saturating")()
    minimax = catalog.load_class("objectives", "minimax")()
    ones, zeros = torch.ones(50, dtype=torch.float64), torch.zeros(50, dtype=torch.float64)
    expected = bce(real, ones) + bce(fake, zeros)
    for objective in (non_saturating, minimax):
        loss = objective.discriminator_loss(real, fake, torch_functions()).mean()
        assert torch.isclose(loss, expected, rtol=1e-12)
    assert torch.isclose(non_saturating.generator_loss(None, fake, torch_functions()).mean(), bce(fake, ones))
    assert torch.isclose(minimax.generator_loss(None, fake, torch_functions()).mean(), -bce(fake, zeros))


def test_the_two_generator_losses_have_different_gradients():
    """Fathollahi 2022 calls them equivalent: the direction is the same, the size is not."""
    at = [np.array([-6.0]), np.array([-6.0])]
    strong = slopes(catalog.load_class("objectives", "non-saturating")().generator_loss, *at)[1]
    weak = slopes(catalog.load_class("objectives", "minimax")().generator_loss, *at)[1]
    assert np.sign(strong) == np.sign(weak)
    assert strong / weak > 100


# ---------------------------------------------------------------- penalties


def quadratic(x):
    """D(x) = Σ aᵢ xᵢ² + b·x per sample, whose gradient is known: 2·a·x + b."""
    a = torch.linspace(0.5, 2, x[0].numel(), dtype=x.dtype).reshape(x.shape[1:])
    return (a * x.square() + 0.3 * x).flatten(1).sum(1)


def quadratic_squared_norm(x):
    a = np.linspace(0.5, 2, x[0].size).reshape(x.shape[1:])
    return ((2 * a * x + 0.3) ** 2).reshape(len(x), -1).sum(1)


SHAPES = [(2,), (1, 8, 8), (3, 5, 7)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("count", [1, 3, 8])
def test_the_squared_norm_is_per_sample_over_all_its_dimensions(shape, count):
    x = np.random.default_rng(0).normal(size=(count, *shape))
    found = squared_gradient_norm(quadratic, (torch.from_numpy(x),), (0,))
    assert np.allclose(found.detach().numpy(), quadratic_squared_norm(x), rtol=1e-12)


def wrong_over_one_axis(x):
    """Hoeckler's repository: squares summed over one axis only, so one norm per column and channel."""
    gradient = torch.autograd.grad(quadratic(x).sum(), x)[0]
    return gradient.square().sum(1).flatten(1).mean(1)


def wrong_over_the_batch(x):
    """One norm for the whole batch."""
    gradient = torch.autograd.grad(quadratic(x).sum(), x)[0]
    return gradient.square().sum().expand(len(x))


@pytest.mark.parametrize("wrong", [wrong_over_one_axis, wrong_over_the_batch])
def test_the_published_mistakes_are_not_that_norm(wrong):
    x = np.random.default_rng(0).normal(size=(4, 3, 5, 7))
    found = wrong(torch.from_numpy(x).requires_grad_())
    assert not np.allclose(found.numpy(), quadratic_squared_norm(x), rtol=0.1)


@pytest.mark.parametrize("cls", variants("penalties"))
@pytest.mark.parametrize("shape", SHAPES)
class TestPenalties:
    def of_batch(self, penalty, real, fake):
        rng = np.random.default_rng(0)
        points = penalty.points((real,), (fake,), rng, torch_functions())
        squared = squared_gradient_norm(quadratic, points.elements, points.differentiated)
        return points, squared, penalty.value(squared, torch_functions())

    def test_its_norm_equals_the_analytic_one_at_its_points(self, cls, shape):
        real, fake = torch.randn(2, 6, *shape, dtype=torch.float64)
        points, squared, value = self.of_batch(cls(), real, fake)
        x = points.elements[0].detach().numpy()
        assert np.allclose(squared.detach().numpy(), quadratic_squared_norm(x), rtol=1e-12)
        assert value.shape == squared.shape
        assert (value >= 0).all()

    def test_it_can_be_differentiated_by_the_discriminators_weights(self, cls, shape):
        weight = torch.ones(shape, dtype=torch.float64, requires_grad=True)
        real, fake = torch.randn(2, 6, *shape, dtype=torch.float64)
        points = cls().points((real,), (fake,), np.random.default_rng(0), torch_functions())
        squared = squared_gradient_norm(
            lambda x: (weight * x.square()).flatten(1).sum(1), points.elements, points.differentiated
        )
        cls().value(squared, torch_functions()).mean().backward()
        assert weight.grad is not None
        assert weight.grad.abs().sum() > 0


def test_r1_is_half_gamma_times_the_squared_norm_at_the_real_samples():
    real, fake = torch.randn(2, 5, 4, dtype=torch.float64)
    r1 = catalog.load_class("penalties", "r1")(weight=3.0)
    points = r1.points((real,), (fake,), None, torch_functions())
    squared = squared_gradient_norm(quadratic, points.elements, points.differentiated)
    expected = 1.5 * quadratic_squared_norm(real.numpy())
    assert np.allclose(r1.value(squared, torch_functions()).detach().numpy(), expected)


# ---------------------------------------------------------------- networks

IMAGES = [Spec("image", (channels, side, side)) for channels, side in [(1, 8), (3, 8), (1, 28), (3, 48)]]
POINTS = Spec("points", (2,))


def built(cls, spec):
    network = cls()
    try:
        network.check(spec)
    except RecipeError as error:
        pytest.skip(str(error))
    return network.build(spec, 5, streams.stream(0, "init"))


@pytest.mark.parametrize("cls", variants("networks"))
@pytest.mark.parametrize("spec", [*IMAGES, POINTS], ids=lambda spec: "×".join(map(str, spec.shape)))
class TestNetworks:
    def test_shapes_and_range(self, cls, spec):
        networks = built(cls, spec)
        fake = networks.generator(torch.randn(3, 5))
        assert fake.shape == (3, *spec.shape)
        assert fake.abs().max() <= 1
        assert networks.discriminator(fake).shape == (3,)

    def test_every_parameter_gets_a_gradient(self, cls, spec):
        networks = built(cls, spec)
        networks.discriminator(networks.generator(torch.randn(4, 5))).square().mean().backward()
        for name, module in networks.named().items():
            for key, parameter in module.named_parameters():
                assert parameter.grad is not None, f"{name}.{key}"
                assert parameter.grad.abs().sum() > 0, f"{name}.{key}"

    def test_all_weights_come_from_the_stream(self, cls, spec):
        torch.manual_seed(1)
        first = built(cls, spec)
        torch.manual_seed(2)
        second = built(cls, spec)
        for one, other in zip(first.named().values(), second.named().values(), strict=True):
            for (key, a), b in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
                assert torch.equal(a, b), key


# ---------------------------------------------------------------- games, augmentations


@pytest.mark.parametrize("cls", variants("games"))
def test_a_games_tuples_have_the_samples_first_and_fit_each_other(cls):
    network: Network = catalog.load_class("networks", "dense")()
    networks = network.build(IMAGES[0], 5, streams.stream(0, "init"))
    samples = torch.randn(3, 1, 8, 8)
    real = cls().real(networks, samples)
    fake = cls().fake(networks, torch.randn(3, 5))
    assert real[0] is samples
    assert [term.shape for term in real] == [term.shape for term in fake]
    assert fake[0].requires_grad


@pytest.mark.parametrize("cls", variants("augmentations"))
def test_an_augmentation_keeps_the_shape_draws_afresh_and_can_be_differentiated(cls):
    samples = torch.rand(4, 3, 8, 8, requires_grad=True)
    first, second = cls().apply(samples), cls().apply(samples)
    assert first.shape == samples.shape
    assert not torch.equal(first, second)
    first.sum().backward()
    assert samples.grad is not None
    assert samples.grad.abs().sum() > 0


def test_noise_has_the_stated_spread():
    noise = catalog.load_class("augmentations", "noise")(sigma=0.25)
    assert abs(noise.apply(torch.zeros(200_000)).std().item() - 0.25) < 0.005


# ---------------------------------------------------------------- optimizers


@pytest.mark.parametrize("cls", variants("optimizers"))
def test_an_optimizer_goes_downhill(cls):
    x = torch.nn.Parameter(torch.tensor([3.0, -2.0]))
    optimizer = cls(lr=0.01).build([x])
    for _ in range(50):
        optimizer.zero_grad()
        x.square().sum().backward()
        optimizer.step()
    assert x.square().sum().item() < 13


def test_adam_is_algorithm_1_of_the_paper_with_epsilon_outside_the_root():
    x = torch.nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    adam = catalog.load_class("optimizers", "adam")(lr=0.1, beta1=0.5, beta2=0.9, epsilon=0.01).build([x])
    m = v = 0.0
    expected = 1.0
    for t, gradient in enumerate([0.3, -0.2, 0.5], start=1):
        x.grad = torch.tensor([gradient], dtype=torch.float64)
        adam.step()
        m, v = 0.5 * m + 0.5 * gradient, 0.9 * v + 0.1 * gradient**2
        expected -= 0.1 * (m / (1 - 0.5**t)) / (math.sqrt(v / (1 - 0.9**t)) + 0.01)
        assert math.isclose(x.item(), expected, rel_tol=1e-12)
