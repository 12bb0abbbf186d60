"""Every file of every family meets its family's contract. A new variant is tested here by being there."""

import math

import numpy as np
import pytest
import torch

from duel import catalog, streams
from duel.datasets._base import Spec
from duel.errors import RecipeError
from duel.networks._base import Interface, Networks
from duel.recipe import resolve
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
PLAYERS = ("discriminator", "generator", "generator and encoder")


def loss_of(objective, player):
    """A player's loss of both logits: the generator alone sees the real ones only if it compares."""
    if player == "discriminator":
        return objective.discriminator_loss
    if player == "generator" and not objective.relativistic:
        return lambda real, fake, xp: objective.generator_loss(None, fake, xp)
    return objective.generator_loss


def slopes(loss, real, fake):
    """∂ mean loss / ∂ real and ∂ fake by torch's autograd."""
    real, fake = (torch.tensor(values, requires_grad=True) for values in (real, fake))
    total = loss(real, fake, torch_functions()).mean()
    return [
        np.zeros(len(real)) if slope is None else slope.numpy()
        for slope in torch.autograd.grad(total, (real, fake), allow_unused=True)
    ]


@pytest.mark.parametrize("cls", variants("objectives"))
@pytest.mark.parametrize("player", PLAYERS)
class TestObjectives:
    def test_one_finite_value_per_sample_equal_on_both_engines(self, cls, player):
        loss = loss_of(cls(), player)
        on_torch = loss(torch.from_numpy(LOGITS), torch.from_numpy(LOGITS[::-1].copy()), torch_functions())
        on_numpy = loss(LOGITS, LOGITS[::-1].copy(), numpy_functions())
        assert on_torch.shape == LOGITS.shape
        assert torch.isfinite(on_torch).all()
        assert np.allclose(on_torch.numpy(), on_numpy, rtol=1e-13)

    def test_the_slope_is_the_numeric_one(self, cls, player):
        loss = loss_of(cls(), player)
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
        # between least squares' targets, where every objective has a direction
        real, fake = slopes(loss_of(cls(), player), *np.random.default_rng(0).uniform(0.1, 0.9, (2, 9)))
        if player == "discriminator":
            assert (real < 0).all()
            assert (fake > 0).all()
        else:
            assert (fake < 0).all()
        if player == "generator and encoder":
            assert (real > 0).all()


@pytest.mark.parametrize("name", ["minimax", "non-saturating"])
def test_one_sided_smoothing_is_the_cross_entropy_with_a_softer_target_for_real(name):
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    real, fake = torch.randn(2, 50, dtype=torch.float64)
    smooth = catalog.load_class("objectives", name)(smoothing=0.9)
    target, zeros = torch.full((50,), 0.9, dtype=torch.float64), torch.zeros(50, dtype=torch.float64)
    expected = bce(real, target) + bce(fake, zeros)
    found = smooth.discriminator_loss(real, fake, torch_functions()).mean()
    assert torch.isclose(found, expected, rtol=1e-12)
    assert torch.equal(
        smooth.generator_loss(None, fake, torch_functions()),
        type(smooth)().generator_loss(None, fake, torch_functions()),
    )


def test_least_squares_is_equation_9_of_the_paper():
    real, fake = np.array([0.3, 2.0]), np.array([-0.5, 0.25])
    ls = catalog.load_class("objectives", "least-squares")(smoothing=0.9)
    assert np.allclose(
        ls.discriminator_loss(real, fake, numpy_functions()), (real - 0.9) ** 2 / 2 + fake**2 / 2
    )
    assert np.allclose(ls.generator_loss(None, fake, numpy_functions()), (fake - 1) ** 2 / 2)


def test_wasserstein_hinge_and_relativistic_by_hand():
    real, fake = np.array([0.3, 2.0]), np.array([-1.5, 0.25])
    losses = {
        name: catalog.load_class("objectives", name)().discriminator_loss(real, fake, numpy_functions())
        for name in ("wasserstein", "hinge", "relativistic")
    }
    assert np.allclose(losses["wasserstein"], [-1.8, -1.75])
    assert np.allclose(losses["hinge"], [0.7 + 0, 0 + 1.25])
    assert np.allclose(losses["relativistic"], np.log1p(np.exp([-1.8, -1.75])))


@pytest.mark.parametrize("name", ["wasserstein", "hinge", "relativistic"])
def test_label_smoothing_is_an_error_where_there_are_no_labels_to_smooth(name):
    with pytest.raises(RecipeError, match=r"no field 'objective\.smoothing'"):
        resolve({"objective": {"name": name, "smoothing": 0.9}, "network": {"name": "dense"}, "steps": 1})


@pytest.mark.parametrize("smoothing", [0.1, 0.5, 1.1])
def test_a_smoothing_that_is_no_target_for_real_is_refused(smoothing):
    with pytest.raises(ValueError, match=r"smoothing is .* 0\.9 is the usual"):
        catalog.load_class("objectives", "non-saturating")(smoothing=smoothing)


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


def smooth(shape):
    """A discriminator of float64 samples that bends everywhere: Σ v·tanh(W x) per sample."""
    rng = np.random.default_rng(1)
    size = math.prod(shape)
    w, v = (torch.from_numpy(rng.normal(size=s) / size**0.5) for s in ((7, size), (7,)))
    return lambda x: (x.flatten(1) @ w.T).tanh() @ v


def through_the_engine(penalty):
    """A penalty's mean over a batch, as the loop computes it."""

    def mean(discriminator, real, fake, rng):
        points = penalty.points((real,), (fake,), rng, torch_functions())
        squared = squared_gradient_norm(discriminator, points.elements, points.differentiated)
        return penalty.value(squared, torch_functions()).mean()

    return mean


def numeric_squared_norm(discriminator, x):
    """‖∇D‖² of each sample by central differences, one dimension after the other."""
    total = torch.zeros(len(x), dtype=x.dtype)
    for i in range(x[0].numel()):
        step = torch.zeros_like(x[0]).flatten()
        step[i] = 1e-5
        step = step.reshape(x.shape[1:])
        total += ((discriminator(x + step) - discriminator(x - step)) / 2e-5) ** 2
    return total


def is_the_mean_over_single_images(mean, shape, count):
    """The penalty of a batch is the mean of the penalties of its images taken one by one."""
    real, fake = torch.from_numpy(np.random.default_rng(2).normal(size=(2, count, *shape)))
    whole = mean(smooth(shape), real, fake, np.random.default_rng(3))
    rng = np.random.default_rng(3)
    single = [mean(smooth(shape), real[i : i + 1], fake[i : i + 1], rng) for i in range(count)]
    return torch.allclose(whole, torch.stack(single).mean(), rtol=1e-10)


def interpolated_by_the_definition(shape, real, fake, rng):
    """10·(‖∇D(x̂)‖ − 1)², the gradient by central differences, ε drawn as the penalty draws it."""
    places = torch.from_numpy(rng.random((len(real), *(1,) * len(shape)), "float32")).double()
    x = places * real + (1 - places) * fake
    return (10 * (numeric_squared_norm(smooth(shape), x).sqrt() - 1) ** 2).mean()


def equals_the_definition(mean, shape, count):
    """Equal to the interpolated penalty with a numeric gradient, in float64."""
    real, fake = torch.from_numpy(np.random.default_rng(4).normal(size=(2, count, *shape)))
    found = mean(smooth(shape), real, fake, np.random.default_rng(5))
    expected = interpolated_by_the_definition(shape, real, fake, np.random.default_rng(5))
    return torch.allclose(found, expected, rtol=1e-6)


def gradient_between(discriminator, real, fake, places):
    places = torch.from_numpy(places).double()
    x = (places * real + (1 - places) * fake).requires_grad_()
    return torch.autograd.grad(discriminator(x).sum(), x)[0]


def wrong_over_one_axis(discriminator, real, fake, rng):
    """Hoeckler's repository: squares summed over one axis only, so one norm per column and channel."""
    places = rng.random((len(real), *(1,) * (real.dim() - 1)), "float32")
    norms = gradient_between(discriminator, real, fake, places).square().sum(1).sqrt()
    return (10 * (norms - 1) ** 2).mean()


def wrong_over_the_batch(discriminator, real, fake, rng):
    """One norm for the whole batch."""
    places = rng.random((len(real), *(1,) * (real.dim() - 1)), "float32")
    norm = gradient_between(discriminator, real, fake, places).square().sum().sqrt()
    return 10 * (norm - 1) ** 2


def wrong_one_place_per_batch(discriminator, real, fake, rng):
    """One interpolation factor for the whole batch."""
    places = rng.random((1, *(1,) * (real.dim() - 1)), "float32")
    norms = gradient_between(discriminator, real, fake, places).square().flatten(1).sum(1).sqrt()
    return (10 * (norms - 1) ** 2).mean()


PENALTY_SHAPES = [(2,), (1, 4, 4), (3, 4, 5)]
EVERY_PENALTY = [
    name for name in catalog.names("penalties") if name != "dragan"
]  # its noise follows the batch


@pytest.mark.parametrize("shape", PENALTY_SHAPES)
@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("name", EVERY_PENALTY)
def test_a_batchs_penalty_is_the_mean_over_its_images_taken_one_by_one(name, shape, count):
    mean = through_the_engine(catalog.load_class("penalties", name)())
    assert is_the_mean_over_single_images(mean, shape, count)


@pytest.mark.parametrize("shape", PENALTY_SHAPES)
@pytest.mark.parametrize("count", [1, 4])
def test_the_interpolated_penalty_equals_its_definition_with_a_numeric_gradient(shape, count):
    mean = through_the_engine(catalog.load_class("penalties", "interpolated")())
    assert equals_the_definition(mean, shape, count)


@pytest.mark.parametrize(
    "wrong", [wrong_over_one_axis, wrong_over_the_batch, wrong_one_place_per_batch], ids=lambda f: f.__name__
)
def test_the_contract_rejects_the_three_published_mistakes(wrong):
    shape, count = (3, 4, 5), 4
    right = through_the_engine(catalog.load_class("penalties", "interpolated")())
    for mean, expected in ((right, True), (wrong, False)):
        found = is_the_mean_over_single_images(mean, shape, count) and equals_the_definition(
            mean, shape, count
        )
        assert found is expected


@pytest.mark.parametrize("name", catalog.names("penalties"))
@pytest.mark.parametrize("shape", PENALTY_SHAPES)
def test_every_penaltys_norm_is_the_numeric_one_at_its_points(name, shape):
    penalty = catalog.load_class("penalties", name)()
    real, fake = torch.from_numpy(np.random.default_rng(6).normal(size=(2, 3, *shape)))
    points = penalty.points((real,), (fake,), np.random.default_rng(7), torch_functions())
    squared = squared_gradient_norm(smooth(shape), points.elements, points.differentiated)
    assert torch.allclose(squared, numeric_squared_norm(smooth(shape), points.elements[0]), rtol=1e-6)


@pytest.mark.parametrize("name", catalog.names("penalties"))
def test_a_penalty_runs_on_numpy_arrays_too(name):
    penalty = catalog.load_class("penalties", name)()
    real, fake = np.random.default_rng(8).normal(size=(2, 3, 4)).astype(np.float32)
    points = penalty.points((real,), (fake,), np.random.default_rng(9), numpy_functions())
    assert points.elements[0].dtype == np.float32
    on_torch = penalty.points(
        (torch.from_numpy(real),), (torch.from_numpy(fake),), np.random.default_rng(9), torch_functions()
    )
    assert np.allclose(points.elements[0], on_torch.elements[0].numpy(), rtol=1e-5)
    squared = np.array([0.25, 4.0, 9.0])
    assert np.allclose(
        penalty.value(squared, numpy_functions()),
        penalty.value(torch.from_numpy(squared), torch_functions()).numpy(),
    )


@pytest.mark.parametrize("name", catalog.names("penalties"))
def test_in_the_bidirectional_game_the_norm_is_over_the_pair(name):
    """‖∇‖² of D(x, z) = a·Σx² + b·Σz² is what both parts give together."""
    x, z = torch.from_numpy(np.random.default_rng(1).normal(size=(2, 3, 4)))
    penalty = catalog.load_class("penalties", name)()
    points = penalty.points((x, z), (x + 1, z - 1), np.random.default_rng(2), torch_functions())
    found = squared_gradient_norm(
        lambda x, z: x.square().sum(1) + 3 * z.square().sum(1), points.elements, points.differentiated
    )
    at_x, at_z = points.elements
    expected = (2 * at_x).square().sum(1) + (6 * at_z).square().sum(1)
    assert torch.allclose(found, expected)


def test_both_elements_of_a_pair_are_interpolated_at_the_same_place():
    real, fake = torch.zeros(5, 3), torch.ones(5, 3)
    interpolated = catalog.load_class("penalties", "interpolated")()
    x, z = interpolated.points(
        (real, real[:, :2]), (fake, fake[:, :2]), np.random.default_rng(0), torch_functions()
    ).elements
    assert torch.equal(x[:, :2], z)
    assert len(x[:, 0].unique()) == 5


@pytest.mark.parametrize("name", catalog.names("penalties"))
def test_labels_are_neither_moved_nor_differentiated(name):
    x, labels = torch.randn(4, 3), torch.arange(4)
    points = catalog.load_class("penalties", name)().points(
        (x, labels), (x + 1, labels), np.random.default_rng(0), torch_functions()
    )
    assert points.elements[1] is labels
    assert points.differentiated == (0,)


@pytest.mark.parametrize("name", catalog.names("penalties"))
@pytest.mark.parametrize("shape", SHAPES)
def test_a_penalty_can_be_differentiated_by_the_discriminators_weights(name, shape):
    weight = torch.ones(shape, dtype=torch.float64, requires_grad=True)
    real, fake = torch.randn(2, 6, *shape, dtype=torch.float64)
    penalty = catalog.load_class("penalties", name)()
    points = penalty.points((real,), (fake,), np.random.default_rng(0), torch_functions())
    squared = squared_gradient_norm(
        lambda x: (weight * x.square()).flatten(1).sum(1), points.elements, points.differentiated
    )
    penalty.value(squared, torch_functions()).mean().backward()
    assert weight.grad is not None
    assert weight.grad.abs().sum() > 0


def test_a_flat_critic_gives_the_penalty_a_finite_slope():
    weight = torch.zeros(3, requires_grad=True)
    interpolated = catalog.load_class("penalties", "interpolated")()
    squared = squared_gradient_norm(lambda x: x @ weight, (torch.randn(4, 3),), (0,))
    interpolated.value(squared, torch_functions()).mean().backward()
    assert torch.isfinite(weight.grad).all()


def test_the_one_sided_form_costs_nothing_below_one():
    one_sided = catalog.load_class("penalties", "interpolated")(one_sided=True)
    assert np.allclose(one_sided.value(np.array([0.25, 4.0]), numpy_functions()), [0, 10])


def test_another_norm_can_be_asked_for():
    five = catalog.load_class("penalties", "interpolated")(target=5.0)
    assert np.allclose(five.value(np.array([25.0, 9.0]), numpy_functions()), [0, 40])


def test_r2_looks_at_the_generated_samples_and_dragan_around_the_real_ones():
    real, fake = torch.randn(2, 1000, 6, dtype=torch.float64)
    rng = np.random.default_rng(0)
    r2, dragan = (catalog.load_class("penalties", name)() for name in ("r2", "dragan"))
    assert r2.points((real,), (fake,), rng, torch_functions()).elements[0] is fake
    moved = dragan.points((real,), (fake,), rng, torch_functions()).elements[0] - real
    lengths = moved / (0.5 * real.std(correction=0))  # α·U: one α for a sample, one U for each pixel
    assert (lengths >= 0).all()
    assert 0.95 < lengths.max() <= 1
    assert math.isclose(lengths.mean().item(), 0.25, rel_tol=0.05)
    assert lengths.mean(1).std() > 0.13


def test_r1_is_half_gamma_times_the_squared_norm_at_the_real_samples():
    real, fake = torch.randn(2, 5, 4, dtype=torch.float64)
    r1 = catalog.load_class("penalties", "r1")(weight=3.0)
    points = r1.points((real,), (fake,), None, torch_functions())
    squared = squared_gradient_norm(quadratic, points.elements, points.differentiated)
    expected = 1.5 * quadratic_squared_norm(real.numpy())
    assert np.allclose(r1.value(squared, torch_functions()).detach().numpy(), expected)


# ---------------------------------------------------------------- networks

IMAGES = [Spec("image", (channels, side, side)) for channels, side in [(1, 8), (3, 8), (1, 28), (3, 32)]]
POINTS = Spec("points", (2,))
SMALL = {"width": 8, "generator_width": 8, "discriminator_width": 8, "hidden": (12, 12), "group_size": 4}
ROLES = {
    "plain": {},
    "labels": {"generator_classes": 3, "discriminator_classes": 3},
    "pairs": {"encoder": True},
    "classes": {"generator_classes": 3, "outputs": 4},
}


def small(cls):
    """A small network of a kind."""
    return cls(**{key: value for key, value in SMALL.items() if key in cls.__dataclass_fields__})


def built(cls, spec, role="plain"):
    network, interface = small(cls), Interface(spec, 5, **ROLES[role])
    try:
        network.check(interface)
    except RecipeError as error:
        pytest.skip(str(error))
    return network.build(interface, streams.stream(0, "init"))


def played(networks, count=4):
    """Fake samples and the discriminator's output for them, called as the game of that role calls it."""
    latent, labels = torch.randn(count, 5), torch.arange(count) % 3
    conditional = any(isinstance(m, torch.nn.Embedding) for m in networks.generator.modules())
    fake = networks.generator(latent, *([labels] if conditional else []))
    extra = [latent] if networks.encoder is not None else []
    judged = any(isinstance(m, torch.nn.Embedding) for m in networks.discriminator.modules())
    return fake, networks.discriminator(fake, *extra, *([labels] if judged else []))


@pytest.mark.parametrize("cls", variants("networks"))
@pytest.mark.parametrize("spec", [*IMAGES, POINTS], ids=lambda spec: "x".join(map(str, spec.shape)))
@pytest.mark.parametrize("role", ROLES)
class TestNetworks:
    def test_shapes_and_range(self, cls, spec, role):
        networks = built(cls, spec, role)
        fake, output = played(networks)
        assert fake.shape == (4, *spec.shape)
        assert fake.abs().max() <= 1
        assert output.shape == ((4, 4) if role == "classes" else (4,))
        if role == "pairs":
            assert networks.encoder(fake).shape == (4, 5)
            assert networks.encoder.hidden(fake).dim() == 2

    def test_every_parameter_gets_a_gradient(self, cls, spec, role):
        networks = built(cls, spec, role)
        with torch.no_grad():  # what starts at zero (the last layer of a residual branch, say) has moved
            for module in networks.named().values():
                for parameter in module.parameters():
                    parameter.add_(0.01 * torch.randn_like(parameter))
        fake, output = played(networks, 16)
        total = output.square().mean()
        if networks.encoder is not None:
            total = total + networks.encoder(fake).square().mean() + networks.encoder(fake).mean()
        total.backward()
        for name, module in networks.named().items():
            for key, parameter in module.named_parameters():
                assert parameter.grad is not None, f"{name}.{key}"
                assert parameter.grad.abs().sum() > 0, f"{name}.{key}"

    def test_all_weights_come_from_the_stream(self, cls, spec, role):
        torch.manual_seed(1)
        first = built(cls, spec, role)
        torch.manual_seed(2)
        second = built(cls, spec, role)
        for one, other in zip(first.named().values(), second.named().values(), strict=True):
            for (key, a), b in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
                assert torch.equal(a, b), key


@pytest.mark.parametrize("kind", ["normal", "glorot", "orthogonal"])
@pytest.mark.parametrize(("name", "option", "layer"), [
    ("dcgan", "init_conv", torch.nn.Conv2d),
    ("dense", "init_linear", torch.nn.Linear),
])  # fmt: skip
def test_initial_weights_by_layer_type(kind, name, option, layer):
    cls = catalog.load_class("networks", name)
    network = cls(**{option: kind, "init_std": 0.3})
    networks = network.build(Interface(IMAGES[2], 5), streams.stream(0, "init"))
    for weight in (m.weight.detach() for m in networks.discriminator.modules() if isinstance(m, layer)):
        rows = weight.flatten(1).double()
        if kind == "normal" and rows.numel() > 1000:
            assert abs(rows.std().item() - 0.3) < 0.03
        elif kind == "glorot":
            taps = math.prod(weight.shape[2:])
            bound = math.sqrt(6 / (taps * (weight.shape[0] + weight.shape[1])))
            assert rows.abs().max() <= bound
            assert rows.numel() < 1000 or rows.abs().max() > 0.95 * bound
        elif kind == "orthogonal":
            gram = rows @ rows.T if len(rows) <= rows.shape[1] else rows.T @ rows
            assert torch.allclose(gram, torch.eye(len(gram), dtype=gram.dtype), atol=1e-5)


# ---------------------------------------------------------------- games, augmentations


DIGITS = Spec("image", (1, 8, 8), tuple("0123456789"))
GAMES = [
    ("plain", {}), ("conditional", {}), ("bidirectional", {}), ("bidirectional", {"conditional": True}),
    ("classes", {"form": "auxiliary"}), ("classes", {"form": "k+1"}),
]  # fmt: skip


def table(name, options):
    """A game, networks for it, a batch and its outputs."""
    game = catalog.load_class("games", name)(**options)
    interface = game.interface(DIGITS, 5)
    network = catalog.load_class("networks", "bigan-dense" if interface.encoder else "dense")
    networks: Networks = small(network).build(interface, streams.stream(0, "init"))
    samples, labels = torch.randn(6, 1, 8, 8), torch.arange(6)
    real, fake = game.real(networks, samples, labels), game.fake(networks, torch.randn(6, 5), labels)
    return game, networks, labels, samples, real, fake


def test_every_game_is_tested_here():
    assert {name for name, _ in GAMES} == set(catalog.names("games"))


@pytest.mark.parametrize(("name", "options"), GAMES)
def test_a_games_tuples_have_the_samples_first_and_fit_each_other(name, options):
    game, networks, labels, samples, real, fake = table(name, options)
    assert real[0] is samples
    assert [term.shape for term in real] == [term.shape for term in fake]
    assert fake[0].requires_grad
    outputs = [networks.discriminator(*terms) for terms in (real, fake)]
    assert all(game.logits(output).shape == (6,) for output in outputs)
    assert game.encodes == any(term.requires_grad for term in real)
    terms = [game.discriminator_term(*outputs, labels), game.generator_term(outputs[1], labels)]
    assert all(term is None or term.shape == (6,) for term in terms)


def test_the_conditional_games_fake_tuple_has_the_real_batchs_labels():
    _, _, labels, _, real, fake = table("conditional", {})
    assert real[1] is labels
    assert fake[1] is labels


def test_k_plus_1_classes_is_the_cross_entropy_over_k_plus_1_classes():
    """Objective and class term together are Salimans' supervised loss, as torch computes it in one piece."""
    game = catalog.load_class("games", "classes")(form="k+1")
    real, fake = torch.randn(2, 50, 11, dtype=torch.float64)
    labels = torch.randint(10, (50,))
    objective = catalog.load_class("objectives", "non-saturating")()
    ours = objective.discriminator_loss(game.logits(real), game.logits(fake), torch_functions())
    ours = ours + game.discriminator_term(real, fake, labels)
    cross_entropy = torch.nn.functional.cross_entropy
    generated = torch.zeros(50, dtype=torch.int64)  # column 0
    expected = cross_entropy(real, labels + 1, reduction="none") + cross_entropy(
        fake, generated, reduction="none"
    )
    assert torch.allclose(ours, expected)


def test_the_auxiliary_form_is_the_papers():
    """L_S + L_C for the discriminator, L_C − L_S for the generator (Odena et al. 2017, equations 2 and 3)."""
    game = catalog.load_class("games", "classes")(weight=0.5)
    real, fake = torch.randn(2, 20, 11, dtype=torch.float64)
    labels = torch.randint(10, (20,))
    cross_entropy = torch.nn.functional.cross_entropy
    both = [0.5 * cross_entropy(output[:, 1:], labels, reduction="none") for output in (real, fake)]
    assert torch.equal(game.logits(real), real[:, 0])
    assert torch.allclose(game.discriminator_term(real, fake, labels), both[0] + both[1])
    assert torch.allclose(game.generator_term(fake, labels), both[1])


@pytest.mark.parametrize(
    ("name", "options"), [g for g in GAMES if g[0] not in ("plain",) and g[1] != {}] + [("conditional", {})]
)
def test_a_game_that_needs_labels_says_so(name, options):
    with pytest.raises(RecipeError, match="needs labels, which these data have not"):
        catalog.load_class("games", name)(**options).interface(Spec("image", (1, 8, 8)), 5)


@pytest.mark.parametrize("cls", variants("augmentations"))
def test_an_augmentation_keeps_the_shape_draws_afresh_and_can_be_differentiated(cls):
    samples = torch.rand(4, 3, 8, 8, requires_grad=True)
    one = cls(start=0.9) if "start" in cls.__dataclass_fields__ else cls()
    state = torch.tensor(one.state())
    first, second = one.apply(samples, state), one.apply(samples, state)
    assert first.shape == samples.shape
    assert not torch.equal(first, second)
    first.sum().backward()
    assert samples.grad is not None
    assert samples.grad.abs().sum() > 0


def test_noise_has_the_stated_spread():
    noise = catalog.load_class("augmentations", "noise")(sigma=0.25)
    assert abs(noise.apply(torch.zeros(200_000), torch.tensor(())).std().item() - 0.25) < 0.005


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


def steps_of(name, gradients, **given):
    """The parameter after each of torch's steps from 1.0."""
    x = torch.nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    optimizer = catalog.load_class("optimizers", name)(**given).build([x])
    found = []
    for gradient in gradients:
        x.grad = torch.tensor([gradient], dtype=torch.float64)
        optimizer.step()
        found.append(x.item())
    return found


GRADIENTS = [0.3, -0.2, 0.5]


def test_sgd_and_momentum_by_hand():
    assert np.allclose(steps_of("sgd", GRADIENTS, lr=0.1), 1 - 0.1 * np.cumsum(GRADIENTS))
    velocities = [0.3, 0.9 * 0.3 - 0.2, 0.9 * (0.9 * 0.3 - 0.2) + 0.5]
    found = steps_of("sgd", GRADIENTS, lr=0.1, momentum=0.9)
    assert np.allclose(found, 1 - 0.1 * np.cumsum(velocities))


def test_rmsprop_by_hand():
    expected, x, mean = [], 1.0, 0.0
    for gradient in GRADIENTS:
        mean = 0.9 * mean + 0.1 * gradient**2
        x -= 0.1 * gradient / (math.sqrt(mean) + 0.01)
        expected.append(x)
    assert np.allclose(steps_of("rmsprop", GRADIENTS, lr=0.1, decay=0.9, epsilon=0.01), expected)


def test_adamw_is_adam_with_a_decay_beside_it():
    adam = steps_of("adam", GRADIENTS[:1], lr=0.1)
    assert np.allclose(steps_of("adamw", GRADIENTS[:1], lr=0.1, decay=0.5), adam[0] - 0.1 * 0.5)


@pytest.mark.parametrize("cls", variants("optimizers"))
def test_l1_and_l2_are_terms_over_the_weights_and_not_the_biases(cls):
    layer = torch.nn.Linear(3, 2)
    found = cls(l1=0.1, l2=0.3).weight_penalty(layer.parameters())
    expected = 0.1 * layer.weight.abs().sum() + 0.15 * layer.weight.square().sum()
    assert torch.isclose(found, expected)
    assert cls().weight_penalty(layer.parameters()) is None


# ---------------------------------------------------------------- constraints


def with_batch_norm():
    return torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4))


def clip(**given):
    return catalog.load_class("constraints", "clip")(**given)


def test_clipping_brings_every_parameter_between_its_limits_and_no_further():
    layer = torch.nn.Linear(40, 3)
    before = {name: parameter.detach().clone() for name, parameter in layer.named_parameters()}
    with torch.no_grad():
        clip(limit=0.05).apply(layer.parameters())
    for name, parameter in layer.named_parameters():
        assert torch.equal(parameter, before[name].clamp(-0.05, 0.05))


def test_clipping_refuses_batch_norm_unless_it_is_told_what_to_do():
    network = with_batch_norm()
    with pytest.raises(RecipeError, match="refuses a critic with batch norm"):
        clip().check(network)
    for choice, expected in (("clip", 4), ("spare", 2)):
        one = clip(batch_norm=choice)
        one.check(network)
        assert len(one.parameters(network)) == expected
    clip().check(torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4, affine=False))[:1])
    with pytest.raises(RecipeError, match="refuses"):
        clip().check(torch.nn.BatchNorm2d(4, affine=False))
