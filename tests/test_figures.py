"""The numbers behind the documentation's figures, against closed forms; pictures are as drawn."""

import math
import re
import sys
from itertools import pairwise
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))

from figures import (  # noqa: E402
    activations,
    comparing,
    convolution,
    differentiation,
    distances,
    dual_numbers,
    game,
    learning_rate,
    metrics,
    style,
    two_players,
)
from figures.pictures import FOLDER, PICTURES  # noqa: E402

from duel.optimizers.adam import Adam  # noqa: E402
from duel.optimizers.sgd import Sgd  # noqa: E402
from duel.scratch import derivative, dual  # noqa: E402
from duel.scratch.activations import identity  # noqa: E402
from duel.scratch.network import Network  # noqa: E402

# ---------------------------------------------------------------- activations

X = np.array([-30.0, -2.0, -0.5, 0.5, 2.0, 30.0])


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("sigmoid", torch.sigmoid), ("tanh", torch.tanh), ("ReLU", torch.relu), ("ELU", nn.functional.elu),
        ("SELU", torch.selu), ("LeakyReLU 0.2", lambda x: nn.functional.leaky_relu(x, 0.2)),
    ],
)  # fmt: skip
def test_activations_and_slopes_are_pytorchs(name, reference):
    activation = (activations.BOUNDED | activations.UNBOUNDED)[name]
    x = torch.tensor(X, requires_grad=True)
    out = reference(x)
    out.sum().backward()
    np.testing.assert_allclose(activation(X), out.detach().numpy(), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(derivative(activation, X), x.grad.numpy(), rtol=1e-12, atol=1e-15)


def test_elu_is_smooth_at_zero():
    assert derivative(activations.elu, 0.0) == 1


def test_the_table_of_saturation_is_that_of_the_page():
    closed = {
        "sigmoid": math.log((1 + math.sqrt(0.96)) / (1 - math.sqrt(0.96))),  # σ(1 − σ) = 0.01
        "tanh": math.atanh(math.sqrt(0.99)),
        "rational sigmoid": math.sqrt(50) - 1,
        "rational tanh": (math.sqrt(200) - 1) / 2,
    }
    table = (ROOT / "docs/theory/activations.md").read_text(encoding="utf-8")
    for name, size in closed.items():
        found = activations.saturated_from(activations.BOUNDED[name], +1)
        assert math.isclose(found, size, rel_tol=1e-6)
        assert math.isclose(found, activations.saturated_from(activations.BOUNDED[name], -1), rel_tol=1e-6)
        (row,) = [line for line in table.splitlines() if line.startswith(f"| {name} |")]
        assert f"from \\|x\\| = {size:.1f} |" in row
    for name, below in (("ELU", math.log(100)), ("SELU", math.log(100 * 1.7580993))):
        assert math.isclose(activations.saturated_from(activations.UNBOUNDED[name], -1), below, rel_tol=1e-6)
        (row,) = [line for line in table.splitlines() if line.startswith(f"| {name} |")]
        assert f"from −{below:.1f} down |" in row
    assert activations.saturated_from(activations.UNBOUNDED["LeakyReLU 0.2"], -1) == math.inf
    assert activations.saturated_from(activations.UNBOUNDED["ReLU"], -1) < 1e-6


# ---------------------------------------------------------------- learning rate


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("curvature", [0.5, 40.0])
def test_descent_converges_below_the_threshold_and_not_above(momentum, curvature):
    limit = learning_rate.threshold(curvature, momentum)
    inside, outside = (
        abs(learning_rate.path(Sgd(lr=share * limit, momentum=momentum), curvature, steps=400)[-20:]).max()
        for share in (0.97, 1.03)
    )
    assert inside < 0.5
    assert outside > 2


def test_the_factor_of_descent_is_one_less_eta_l_and_that_of_momentum_its_root():
    for rate in (0.3, 1.0, 1.7, 2.5):
        assert math.isclose(learning_rate.factor(rate, 0.0), abs(1 - rate), abs_tol=1e-9)
        steps = learning_rate.path(Sgd(lr=rate), 1.0, steps=5)
        np.testing.assert_allclose(steps, (1 - rate) ** np.arange(6), atol=1e-12)
    for momentum in (0.5, 0.9):
        for rate in ((1 - momentum**0.5) ** 2 + 0.01, 1.0, (1 + momentum**0.5) ** 2 - 0.01):
            assert math.isclose(learning_rate.factor(rate, momentum), momentum**0.5, rel_tol=1e-9)


def test_adams_path_does_not_depend_on_the_curvature_and_its_first_step_is_the_rate():
    flat, steep = (learning_rate.path(Adam(lr=0.05), curvature) for curvature in (1.0, 100.0))
    np.testing.assert_allclose(flat, steep, atol=1e-6)
    for gradient in (1e-6, 1.0, 1e6):
        options = Adam(lr=0.01, epsilon=1e-9)
        expected = 0.01 * gradient / (gradient + 1e-9)
        assert math.isclose(learning_rate.first_step(gradient, options), expected, rel_tol=1e-6)
    assert math.isclose(learning_rate.first_step_inside(3e-4, 1.0, 9e-8), 2**-0.5, rel_tol=1e-9)


# ---------------------------------------------------------------- convolution


@pytest.mark.parametrize(
    "layer", [convolution.Layer(*each) for each in ((3, 1, 1), (4, 2, 1), (5, 2, 2), (5, 3, 0))]
)
@pytest.mark.parametrize("side", [8, 13, 28])
def test_sizes_are_those_of_pytorchs_layers(layer, side):
    image = torch.zeros(1, 1, side, side)
    assert convolution.size(side, layer) == nn.Conv2d(1, 1, *layer)(image).shape[-1]
    assert convolution.transposed_size(side, layer) == nn.ConvTranspose2d(1, 1, *layer)(image).shape[-1]


def test_pixels_are_written_unequally_often_unless_the_stride_divides_the_kernel():
    row = np.array([2, 1, 2, 1, 2, 1])
    np.testing.assert_array_equal(convolution.written(3, 2), np.outer(row, row))
    np.testing.assert_array_equal(convolution.written(4, 2), np.full((6, 6), 4))
    assert set(convolution.written(5, 2).ravel()) == {4, 6, 9}


@pytest.mark.parametrize("seed", range(3))
def test_random_weights_make_a_checkerboard_of_a_flat_image_only_where_pixels_have_their_own(seed):
    pattern = convolution.on_flat("transposed", seed)
    assert len(np.unique(pattern)) == 4
    np.testing.assert_array_equal(pattern, np.tile(pattern[:2, :2], (3, 3)))
    for kind in ("nearest", "bilinear"):
        assert np.ptp(convolution.on_flat(kind, seed)) < 1e-5


def test_receptive_fields_are_where_the_gradient_is():
    assert convolution.receptive_fields(convolution.DCGAN_64) == [4, 10, 22, 46, 94]
    for layers, units in ((convolution.DCGAN_64[:2], 8), (convolution.DCGAN_64[:3], 4)):
        image = torch.randn(1, 1, 64, 64, requires_grad=True)
        nn.Sequential(*(nn.Conv2d(1, 1, *layer) for layer in layers))(image)[0, 0, units, units].backward()
        seen = image.grad[0, 0].abs().sum(0).nonzero()
        assert int(seen.max() - seen.min() + 1) == convolution.receptive_fields(layers)[-1]


def test_the_drawn_discriminator_is_the_recipes():
    from duel import recipe

    resolved = recipe.resolve(recipe.change(recipe.read("dcgan-64"), {"network.width": 1}))
    from duel.datasets._base import Spec
    from duel.interface import Interface

    module = resolved.network.discriminator(Interface(Spec("image", (1, 64, 64), ()), 4))
    convs = [layer for layer in module if isinstance(layer, nn.Conv2d)]
    found = [convolution.Layer(conv.kernel_size[0], conv.stride[0], conv.padding[0]) for conv in convs]
    assert tuple(found) == convolution.DCGAN_64


# ---------------------------------------------------------------- the game

P, Q = np.array([0.5, 0.2, 1e-3, 0.7]), np.array([0.5, 0.6, 0.9, 1e-5])


def test_the_optimal_discriminators_are_the_closed_forms():
    for name in ("minimax", "non-saturating"):
        np.testing.assert_allclose(game.optimal_score(name, P, Q), np.log(P / Q), atol=1e-9)
    np.testing.assert_allclose(game.optimal_score("least-squares", P, Q), P / (P + Q), atol=1e-9)
    np.testing.assert_allclose(game.optimal_score("hinge", P[1:], Q[1:]), np.sign(P[1:] - Q[1:]), atol=1e-9)


def test_the_generators_slopes_are_the_closed_forms():
    s = np.linspace(-8, 8, 33)
    sigmoid = 1 / (1 + np.exp(-s))
    closed = {
        "minimax": -sigmoid,
        "non-saturating": sigmoid - 1,
        "wasserstein": -np.ones_like(s),
        "hinge": -np.ones_like(s),
        "least-squares": s - 1,
        "relativistic": -1 / (1 + np.exp(s - 3)),
        "rational": -1 / ((1 + np.abs(s)) * np.where(s > 0, 1 + 2 * s, 1)),
    }
    for name, slope in closed.items():
        np.testing.assert_allclose(game.generator_slope(name, s, real=3.0), slope, atol=1e-12)


# ---------------------------------------------------------------- distances


def test_js_of_blurred_lines_is_the_integral_and_ends_at_log_2():
    theta, sigma = 0.3, 0.2
    x = np.linspace(-3, 3, 20001)
    p, q = game.normal(x, 0, sigma), game.normal(x, theta, sigma)
    middle = (p + q) / 2
    direct = np.trapezoid(p * np.log(p / middle) + q * np.log(q / middle), x) / 2
    assert math.isclose(distances.js_of_blurred(theta, sigma), direct, rel_tol=1e-6)
    assert abs(distances.js_of_blurred(0.0, sigma)) < 1e-9
    assert math.isclose(distances.js_of_blurred(1.0, 0.02), math.log(2), rel_tol=1e-6)
    assert (distances.js_of_lines(0), distances.js_of_lines(0.1)) == (0, math.log(2))


def test_the_wasserstein_distance_is_scipys():
    x, y = np.random.default_rng(0).normal((0, 1), (1, 3), (500, 2)).T
    assert math.isclose(distances.wasserstein(x, y), stats.wasserstein_distance(x, y), rel_tol=1e-9)


@pytest.mark.parametrize("sizes", [(9, 4, 1), (16, 3, 5, 1), (784, 128, 128, 1)])
def test_the_steepest_clipped_critic_has_the_slope_that_is_drawn(sizes):
    for limit in (0.01, 0.99):
        measured = distances.measured_slope(limit, sizes)
        assert math.isclose(distances.clipped_slope(limit, sizes), measured, rel_tol=1e-9)
    random = nn.Sequential(nn.Linear(9, 4, bias=False), nn.ReLU(), nn.Linear(4, 1, bias=False))
    for parameter in random.parameters():
        nn.init.uniform_(parameter, -0.1, 0.1)
    point = torch.randn(1, 9, requires_grad=True)
    random(point).sum().backward()
    assert point.grad.norm() < distances.clipped_slope(0.1, (9, 4, 1))


def test_the_penalties_have_their_minima_at_1_and_at_the_root_of_the_columns():
    norm = np.linspace(0, 20, 2001)
    np.testing.assert_allclose(distances.cost_per_sample(norm), 10 * (norm - 1) ** 2, atol=1e-4)
    for (side, channels), root in zip(distances.SIDES.values(), (28**0.5, 96**0.5, 12.0), strict=True):
        cost = distances.cost_per_column(norm, side, channels)
        assert math.isclose(norm[cost.argmin()], root, abs_tol=0.01)
        np.testing.assert_allclose(cost, 10 * (norm / root - 1) ** 2, atol=1e-4)


# ---------------------------------------------------------------- differentiation


def test_the_slope_by_hand_is_right_and_dual_numbers_give_it():
    assert differentiation.dual_error() < 1e-15
    assert differentiation.central_error(1e-5) < 1e-9


def test_truncation_falls_with_h_and_h_squared_and_rounding_rises():
    one_sided = [differentiation.forward_error(step) for step in (1e-3, 1e-4)]
    central = [differentiation.central_error(step) for step in (1e-2, 1e-3)]
    assert math.isclose(one_sided[0] / one_sided[1], 10, rel_tol=0.01)
    assert math.isclose(central[0] / central[1], 100, rel_tol=0.01)
    assert differentiation.forward_error(1e-14) > 1e3 * differentiation.forward_error(1e-8)


@pytest.mark.parametrize("sizes", [(6, 1), (6, 5, 1), (7, 5, 3, 2)])
def test_the_products_of_reverse_mode_are_those_that_pytorch_counts(sizes):
    layers = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.Tanh()]
    network, x = nn.Sequential(*layers), torch.randn(11, sizes[0])
    with FlopCounterMode(display=False) as counter:
        network(x).sum().backward()
    counted = differentiation.products(sizes, 11)
    assert counter.get_total_flops() == 2 * counted["reverse"]
    assert counted["parameters"] == sum(parameter.numel() for parameter in network.parameters())


class Counted(np.ndarray):
    """An array whose matrix products count their multiplications."""

    made = 0

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        plain = [np.asarray(each) if isinstance(each, np.ndarray) else each for each in inputs]
        out = getattr(ufunc, method)(*plain, **options)
        if not isinstance(out, np.ndarray):  # of a dual number, whose parts come by here again
            return out
        if ufunc is np.matmul:
            Counted.made += out.size * plain[0].shape[-1]
        return out.view(Counted)


@pytest.mark.parametrize("sizes", [(6, 1), (6, 5, 1), (7, 5, 3, 1)])
def test_the_products_of_forward_mode_are_those_that_dual_numbers_make(sizes):
    network = Network(sizes, np.tanh, identity)
    x, w = np.ones((11, sizes[0])), np.ones(network.count)
    moving = dual.seed(w, np.eye(network.count))
    Counted.made = 0
    network.apply(dual.Dual(w.view(Counted), moving.tangent.view(Counted), moving.level), x.view(Counted))
    assert Counted.made == differentiation.products(sizes, 11)["forward"]


# ---------------------------------------------------------------- dual numbers, two players


@pytest.mark.parametrize("directions", [1, 16])
def test_forward_gradients_are_off_by_the_root_of_parameters_over_directions(directions):
    sizes = dual_numbers.NETWORKS[0]
    found = dual_numbers.relative_error(sizes, directions, draws=1000)
    assert math.isclose(found, dual_numbers.expected_error(13, directions), rel_tol=0.1)
    assert Network(dual_numbers.NETWORKS[1], identity, identity).count == 337


def test_the_first_steps_of_the_smallest_gan_are_those_by_hand():
    # ψ's slope at (1, 0) is σ(0)·θ = ½; the generator then sees the old or the new ψ
    together, apart = (two_players.walk(together, 0.0, steps=1)[1] for together in (True, False))
    np.testing.assert_allclose(together, [1.0, -0.1], atol=1e-12)
    sigmoid = 1 / (1 + math.exp(0.1))
    np.testing.assert_allclose(apart, [1 + 0.2 * sigmoid * -0.1, -0.1], atol=1e-12)


def test_at_once_leads_away_in_turns_leads_round_and_r1_leads_home():
    away, around, home = (np.hypot(*path.T) for path in two_players.walks().values())
    assert (np.diff(away) > 0).all()
    assert away[-1] > 1.5
    assert np.ptp(around) < 0.06
    assert home[-1] < 0.01


# ---------------------------------------------------------------- metrics


def test_the_frechet_distance_of_equal_distributions_falls_about_as_one_over_n_and_kid_does_not():
    few, many = (np.mean([metrics.frechet(*pair) for pair in metrics.halves(count)]) for count in (80, 700))
    assert 8 < few / many < 10  # the page says nine
    kids = [metrics.kid(*pair) for pair in metrics.halves(180)]
    assert abs(np.mean(kids)) < 3 * np.std(kids, ddof=1) / len(kids) ** 0.5
    one, other = metrics.halves(700, draws=1)[0]
    assert not {row.tobytes() for row in one} & {row.tobytes() for row in other}


def test_the_two_made_generators_are_ordered_as_the_page_says():
    cloud, modes = metrics.judged()
    assert cloud["frechet"] < modes["frechet"]
    assert cloud["kid"] < modes["kid"]
    assert cloud["recall"] > 0.99 > modes["recall"]
    assert cloud["precision"] < 0.02
    assert modes["precision"] > 0.95
    assert cloud["coverage"] < 0.05
    assert math.isclose(modes["coverage"], 6 / 8, abs_tol=0.02)


# ---------------------------------------------------------------- comparing


def test_looking_again_and_again_finds_what_is_not_there():
    share = comparing.false_alarms()
    assert abs(share[0] - 0.05) < 0.015  # one look: the level
    assert (np.diff(share) >= 0).all()
    assert round(100 * share[-1]) == 24  # as the page says
    assert len(share) == comparing.LAST - comparing.FIRST + 1


def test_many_comparisons_have_the_false_alarms_of_independent_tests_and_holm_takes_them_away():
    for count in (1, 5, 20):
        expected = 1 - 0.95**count
        off = 4 * (expected * (1 - expected) / comparing.STUDIES) ** 0.5
        assert abs(comparing.any_false(count, corrected=False) - expected) < off
        assert comparing.any_false(count, corrected=True) < 0.05 + 0.02


def test_pairs_are_worth_what_the_page_says():
    assert [comparing.pairs_for(1.0, correlation) for correlation in (0.0, 0.9)] == [18, 4]
    assert comparing.pairs_for(1.0, 0.5) == comparing.pairs_for(2**0.5, 0.0)


# ---------------------------------------------------------------- pictures

# What is drawn is rounding noise, another on another processor: only the words are compared.
NOISE = {"differentiation"}


def words_and_numbers(svg):
    """The text without names of parts, and all numbers in it."""
    text = re.sub(r'(?<=id=")[^"]*|(?<=#)[\w-]+', "", svg)
    numbers = re.findall(r"-?\d+\.?\d*(?:e-?\d+)?", text)
    return re.sub(r"-?\d+\.?\d*(?:e-?\d+)?", "0", text), np.array(numbers, np.float64)


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_what_its_code_draws(name):
    stored = (FOLDER / f"{name}.svg").read_text(encoding="utf-8")
    if f"Matplotlib v{matplotlib.__version__}," not in stored:
        pytest.skip("drawn with another Matplotlib: `make figures` draws all pictures again")
    drawn = style.svg(PICTURES[name])
    words, numbers = words_and_numbers(stored)
    again, found = words_and_numbers(drawn)
    if name in NOISE:
        assert re.findall(">([^<]+)<", words) == re.findall(">([^<]+)<", again)
    else:
        assert words == again, "run `make figures`"
        np.testing.assert_allclose(found, numbers, atol=0.3, err_msg="run `make figures`")


def test_a_drawing_is_the_same_bytes_twice():
    assert style.svg(PICTURES["learning-rate"]) == style.svg(PICTURES["learning-rate"])


def test_every_picture_is_small_drawn_by_code_and_shown_on_a_page():
    pages = [page.read_text(encoding="utf-8") for page in (ROOT / "docs").rglob("*.md")]
    shown = {name for text in pages for name in re.findall(r"pictures/theory/([\w-]+)\.svg\)", text)}
    stored = {file.stem for file in FOLDER.iterdir()}
    assert stored == set(PICTURES) == shown
    assert all(file.suffix == ".svg" and file.stat().st_size < 60_000 for file in FOLDER.iterdir())
