"""Dual numbers: the derivative that comes along is the one that numeric differences give."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from duel import catalog
from duel.errors import DuelError, GradientError, InputError
from duel.scratch import check_gradient, derivative, dual, gradient
from duel.scratch.rules import CONSTANT, RULES
from duel.xp import numpy_functions, torch_functions

ONLY_POSITIVE = {np.power, np.sqrt, np.log, np.log1p, np.log2, np.log10}


def drawn(*shape):
    """Normal random numbers, the same for the same shape."""
    return np.random.default_rng(0).normal(size=shape)


def numeric(function, x, direction, step=1e-5):
    """The derivative of a function of arrays along a direction, by central differences."""
    return (function(x + step * direction) - function(x - step * direction)) / (2 * step)


def along(function, x, directions):
    """What dual numbers say for several directions in one evaluation, an axis in front for each."""
    it = dual.seed(x, directions)
    return dual.tangent_of(function(it), it.level, it)


# ---------------------------------------------------------------- every rule


def arguments(ufunc):
    """Arguments away from kinks and poles, and a direction for each."""
    values = np.random.default_rng(1).uniform(0.3, 2, (ufunc.nin, 6))
    if ufunc not in ONLY_POSITIVE:
        values *= np.array([1, -1, 1, -1, 1, -1])
    return values, drawn(*values.shape)


def rules():
    return [
        pytest.param(ufunc, moving, id=f"{ufunc.__name__}-{''.join(map(str, moving))}")
        for ufunc in RULES
        for moving in [(0,), (1,), (0, 1)][: 1 if ufunc.nin == 1 else 3]
    ]


def moved(ufunc, moving):
    """The ufunc as a function of a step t along the directions of the arguments that move."""
    values, directions = arguments(ufunc)
    directions[[number for number in range(ufunc.nin) if number not in moving]] = 0

    def function(t):
        parts = zip(values, directions, strict=True)
        return ufunc(*(v + t * d if n in moving else v for n, (v, d) in enumerate(parts)))

    return function


@pytest.mark.parametrize(("ufunc", "moving"), rules())
def test_every_rule_is_the_numeric_slope(ufunc, moving):
    function = moved(ufunc, moving)
    assert np.allclose(derivative(function, 0.0), numeric(function, 0.0, 1.0), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(("ufunc", "moving"), rules())
def test_every_rule_can_be_differentiated_again(ufunc, moving):
    function = moved(ufunc, moving)

    def first(t):
        return derivative(function, t)

    assert np.allclose(derivative(first, 0.0), numeric(first, 0.0, 1.0), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("ufunc", RULES)
def test_every_rule_keeps_float32(ufunc):
    first, *rest = arguments(ufunc)[0].astype(np.float32)
    for out in (
        ufunc(dual.seed(first, np.ones_like(first)), *rest),
        ufunc(*[dual.seed(first, first)] * ufunc.nin),
    ):
        assert out.value.dtype == out.tangent.dtype == np.float32


@pytest.mark.parametrize("ufunc", sorted(CONSTANT, key=str))
def test_what_is_piecewise_constant_answers_with_plain_arrays(ufunc):
    values, directions = np.ones((2, ufunc.nin, 3))
    found = ufunc(*map(dual.seed, values, directions))
    assert isinstance(found, np.ndarray)
    assert np.array_equal(found, ufunc(*values))


@pytest.mark.parametrize("power", [0, 1, 2, 3])
def test_powers_have_finite_derivatives_at_zero(power):
    def third(x):
        return derivative(lambda y: derivative(lambda z: derivative(lambda w: w**power, z), y), x)

    assert third(np.zeros(2)).tolist() == [6.0 * (power == 3)] * 2


def test_an_array_of_exponents_may_hold_a_zero_at_zero():
    powers = np.arange(4)
    assert derivative(lambda x: x**powers, np.zeros(4)).tolist() == [0, 1, 0, 0]
    assert derivative(lambda x: derivative(lambda y: y**powers, x), np.zeros(4)).tolist() == [0, 0, 2, 0]


def test_zero_to_a_positive_power_is_flat():
    x = np.array([0.5, 1.0, 3.0])
    assert derivative(lambda x: 0.0**x, x).tolist() == [0, 0, 0]
    assert derivative(lambda x: np.zeros(3) ** x, x).tolist() == [0, 0, 0]
    bases = np.array([0.0, 2.0])
    assert np.allclose(derivative(lambda x: bases**x, np.full(2, 3.0)), [0, 8 * math.log(2)], rtol=1e-15)


def test_x_to_the_x_falls_infinitely_steeply_at_zero():
    """Its slope is xˣ (1 + log x)."""
    with np.errstate(divide="ignore"):
        found = derivative(lambda x: x**x, np.array([0.0, 0.5, 2.0]))
    assert np.allclose(found, [-np.inf, 0.5**0.5 * (1 - math.log(2)), 4 * (1 + math.log(2))], rtol=1e-15)


def test_the_mixed_derivative_of_a_power_at_the_exponent_zero():
    """∂²/∂x∂y of x^y is x^(y − 1) (1 + y log x)."""
    xy = derivative(lambda x: derivative(lambda y: x**y, 0.0), 4.0)
    yx = derivative(lambda y: derivative(lambda x: x**y, 4.0), 0.0)
    assert xy == yx == 0.25


def test_where_two_arguments_meet_the_slope_is_the_mean_of_both_sides():
    assert gradient(lambda x: np.maximum(x, 1.0), 1.0) == 0.5
    assert gradient(lambda x: np.maximum(x, x), 1.0) == 1
    assert gradient(np.abs, 0.0) == 0


@pytest.mark.parametrize("extreme", [np.max, np.min, np.amax, np.amin])
def test_where_several_are_extreme_each_has_the_same_share(extreme):
    assert gradient(extreme, np.array([2.0, 2.0])).tolist() == [0.5, 0.5]
    assert gradient(extreme, np.array([2.0, 2.0, 2.0, 2.0])).tolist() == [0.25] * 4


@pytest.mark.parametrize("extreme", [np.max, np.min])
def test_an_extreme_among_infinities_and_nans(extreme):
    assert gradient(extreme, np.array([np.inf, 1.0, -np.inf])).sum() == 1
    assert gradient(extreme, np.array([1.0, np.nan, 2.0])).tolist() == [0, 1, 0]


@pytest.mark.parametrize("function", [np.linalg.norm, np.std])
def test_the_tip_of_a_cone_has_the_mean_of_both_sides_as_slope(function):
    assert gradient(function, np.zeros(3)).tolist() == [0, 0, 0]


def test_a_product_with_zeros():
    assert gradient(np.prod, np.array([2.0, 0.0, 3.0])).tolist() == [0, 6, 0]
    assert gradient(np.prod, np.array([2.0, 0.0, 0.0])).tolist() == [0, 0, 0]
    assert derivative(np.prod, np.zeros(0)) == 0


# ---------------------------------------------------------------- every function of arrays

X = np.array([[0.5, -1.25, 2.0], [-0.75, 1.5, -0.25]])


def c(*shape):
    """A constant array (float32, which any array may be multiplied with and keep its type)."""
    return np.random.default_rng(7).integers(1, 9, shape).astype(np.float32) / 4


ARRAYS = {
    "sum": np.sum,
    "sum of an axis": lambda x: np.sum(x, axis=0),
    "sum of the last axis": lambda x: np.sum(x, -1),
    "sum of axes": lambda x: np.sum(x, axis=(0, 1)),
    "sum keeps axes": lambda x: np.sum(x, axis=1, keepdims=True),
    "sum method": lambda x: x.sum(1),
    "mean": np.mean,
    "mean of an axis": lambda x: np.mean(x, axis=1),
    "mean keeps axes": lambda x: np.mean(x, axis=0, keepdims=True),
    "mean method": lambda x: x.mean(-2),
    "reshape": lambda x: np.reshape(x, (3, 2)),
    "reshape method": lambda x: x.reshape(3, -1),
    "flat": lambda x: x.reshape(-1),
    "reshape of a tuple": lambda x: x.reshape((6, 1)),
    "broadcast": lambda x: np.broadcast_to(x, (4, 2, 3)),
    "broadcast an axis": lambda x: np.broadcast_to(x[:, :1], (2, 5)),
    "swap axes": lambda x: np.swapaxes(x, 0, 1),
    "swap axes from the end": lambda x: np.swapaxes(x[None], -1, -3),
    "transpose": lambda x: x.T,
    "transpose of a vector": lambda x: x[0].T,
    "transpose of three axes": lambda x: (x * c(4, 1, 1)).T,
    "transpose function": np.transpose,
    "transpose in an order": lambda x: np.transpose(x * c(4, 1, 1), (1, -1, 0)),
    "transpose method": lambda x: (x * c(4, 1, 1)).transpose(2, 0, 1) * x.transpose()[2, 0],
    "transpose method of a tuple": lambda x: x.transpose((1, 0)),
    "broadcast to a number": lambda x: np.broadcast_to(x[0], 3) + np.broadcast_to(x[0, 0], 3),
    "ravel": np.ravel,
    "ravel method": lambda x: x.T.ravel() * x.flatten(),
    "move an axis": lambda x: np.moveaxis(x * c(4, 1, 1), 0, -1),
    "expand": lambda x: np.expand_dims(x, 1),
    "squeeze": lambda x: np.squeeze(x[:1]) + x[1:].squeeze(0),
    "flip": lambda x: np.flip(x, 1),
    "roll": lambda x: np.roll(x, 1, axis=0),
    "repeat": lambda x: np.repeat(x, 2, axis=1),
    "tile": lambda x: np.tile(x, (2, 1)),
    "diagonal": lambda x: np.diagonal(x) * x.diagonal(1),
    "copy": lambda x: x.copy() * np.copy(x),
    "sorted": lambda x: x[0][np.argsort(x[0])],
    "cumulated": np.cumsum,
    "cumulated along an axis": lambda x: np.cumsum(x, axis=0) * x.cumsum(-1),
    "largest": np.max,
    "largest of rows": lambda x: np.max(x, axis=1) + np.amax(x, -1),
    "largest keeps axes": lambda x: x.max(axis=(0, 1), keepdims=True),
    "smallest": lambda x: np.min(x) + np.amin(x) * x.min(),
    "smallest of columns": lambda x: x.min(0),
    "largest of a number": lambda x: np.max(x[0, 0]),
    "variance": np.var,
    "variance of rows": lambda x: np.var(x, axis=1, ddof=1, keepdims=True),
    "variance method": lambda x: x.var(0),
    "deviation": np.std,
    "deviation of rows": lambda x: x.std(axis=1, ddof=1),
    "product": np.prod,
    "product of rows": lambda x: np.prod(x, axis=1, keepdims=True),
    "product of columns": lambda x: x.prod(0),
    "norm": lambda x: np.linalg.norm(3 * x[:, ::2]),
    "norm of rows": lambda x: np.linalg.norm(x, axis=1),
    "norm by its number": lambda x: np.linalg.norm(x, 2, 0, keepdims=True),
    "dot of vectors": lambda x: np.dot(x[0], x[1]),
    "dot of matrices": lambda x: np.dot(x, c(3, 2)) @ x,
    "dot with a number": lambda x: np.dot(x[0, 0], x) + np.dot(x, 2.0),
    "dot of a stack": lambda x: np.dot(c(4, 5, 2), x),
    "dot method": lambda x: x.dot(c(3)),
    "outer": lambda x: np.outer(x, x[0]),
    "outer with a constant": lambda x: np.outer(c(2), x),
    "stack": lambda x: np.stack([x[0], c(3), x[1]]),
    "stack along the last axis": lambda x: np.stack([x, x * x], axis=-1),
    "stack of numbers": lambda x: np.stack([x[0, 0], x[1, 1]]),
    "stack in rows": lambda x: np.vstack([x[0], x, c(1, 3)]),
    "stack in columns": lambda x: np.hstack([x, c(2, 2), x]),
    "one behind the other": lambda x: np.hstack([x[0, 0], x[1], c(2)]),
    "concatenate all flat": lambda x: np.concatenate([x, x[0], c(2, 2)], axis=None),
    "iterate": lambda x: sum(row * row for row in x),
    "arctan and hyperbolic": lambda x: np.arctan(np.sinh(x)) * np.cosh(x),
    "concatenate": lambda x: np.concatenate([x, c(1, 3)]),
    "concatenate a constant first": lambda x: np.concatenate([c(2, 2), x], 1),
    "concatenate with itself": lambda x: np.concatenate([x, x * x, c(2, 1)], axis=-1),
    "where": lambda x: np.where(x > 0, x, x * x),
    "where against numbers": lambda x: np.where(x > 0, x, 0.0) + np.where(x > 1, 2.0, x),
    "where broadcasts": lambda x: np.where(c(4, 2, 1) > 1, x, x[0]),
    "clip": lambda x: np.clip(x, -1, 1),
    "clip method": lambda x: x.clip(-1, 1) + x.clip(min=-0.5) + x.clip(max=0.7),
    "clip by name": lambda x: np.clip(x, a_min=-1, a_max=1),
    "clip between duals": lambda x: np.clip(x, -0.5 * x, x + 1.0),
    "row": lambda x: x[1],
    "last row": lambda x: x[-1],
    "column": lambda x: x[:, 1],
    "element": lambda x: x[1, 2],
    "slices": lambda x: x[::-1, ::2],
    "empty slice": lambda x: x[:0],
    "mask": lambda x: x[x > 0],
    "mask of rows": lambda x: x[np.array([False, True])],
    "rows twice": lambda x: x[[1, 0, 1]],
    "pairs": lambda x: x[[0, 1, 1], [2, 0, 0]],
    "fancy and slice": lambda x: x[1:, [0, 2]],
    "new axis in front": lambda x: x[None],
    "new axis between": lambda x: x[:, np.newaxis],
    "ellipsis": lambda x: x[..., 0],
    "ellipsis and new axis": lambda x: x[..., None],
    "vector · vector": lambda x: x[0] @ x[1],
    "vector · constant": lambda x: x[0] @ c(3),
    "matrix · vector": lambda x: x @ c(3),
    "vector · matrix": lambda x: c(2) @ x,
    "matrix · matrix": lambda x: x @ c(3, 4),
    "constant · matrix": lambda x: c(4, 2) @ x,
    "matrix · its transpose": lambda x: x @ x.T,
    "matrix · its row": lambda x: x @ x[0],
    "stack · matrix": lambda x: c(5, 4, 2) @ x,
    "matrix · stack": lambda x: x @ c(5, 3, 4),
    "stack · stack": lambda x: x[:, None] @ x[:, :, None],
    "vector · stack": lambda x: x[0] @ c(5, 3, 4),
    "stack · vector": lambda x: c(5, 4, 2) @ x[:, 0],
    "+ more axes": lambda x: x + c(4, 2, 3),
    "more axes ·": lambda x: c(4, 1, 3) * x,
    "/ more axes": lambda x: x / c(5, 4, 2, 1),
    "maximum of more axes": lambda x: np.maximum(x, c(4, 2, 3)),
    "row · matrix": lambda x: x[0] * x,
    "column − matrix": lambda x: x[:, :1] - x,
    "column · row": lambda x: x[:, :1] * x[0],
    "number · more axes": lambda x: x[0, 0] * c(2, 3),
    "numbers": lambda x: 2 - 3 * x / 4,
    "row after broadcasting": lambda x: (x + c(4, 2, 3))[2],
    "sum after broadcasting": lambda x: np.sum(x - c(4, 2, 3), axis=0),
    "reshape after broadcasting": lambda x: (c(4, 2, 3) + x).reshape(8, 3),
    "concatenate after broadcasting": lambda x: np.concatenate([x + c(1, 2, 3), c(4, 2, 3)]),
    "product after broadcasting": lambda x: (x + c(4, 2, 3)) @ c(3),
    "broadcasting twice": lambda x: (x + c(4, 2, 3)) * c(5, 4, 1, 3),
}
arrays = pytest.mark.parametrize("function", [pytest.param(f, id=name) for name, f in ARRAYS.items()])


@arrays
def test_a_function_of_arrays_has_the_numeric_derivative_along_a_direction(function):
    direction = drawn(*X.shape)
    found = derivative(function, X, direction)
    assert found.shape == function(X).shape
    assert np.allclose(found, numeric(function, X, direction), rtol=1e-7, atol=1e-9)


@arrays
def test_a_function_of_arrays_has_the_same_derivatives_along_several_directions_at_once(function):
    directions = drawn(2, 4, *X.shape)
    found = along(function, X, directions)
    assert found.shape == (2, 4, *function(X).shape)
    for place in np.ndindex(2, 4):
        assert np.allclose(found[place], derivative(function, X, directions[place]), rtol=1e-13, atol=1e-15)


@arrays
def test_a_function_of_arrays_can_be_differentiated_twice(function):
    inner, outer = drawn(2, *X.shape)

    def first(x):
        return derivative(lambda x: function(x * x * x / 3), x, inner)

    assert np.allclose(derivative(first, X, outer), numeric(first, X, outer), rtol=1e-6, atol=1e-8)


@arrays
def test_a_function_of_arrays_has_numpys_own_values_and_keeps_float32(function):
    x = X.astype(np.float32)
    out = function(dual.seed(x, np.ones_like(x)))
    assert np.array_equal(out.value, function(x))
    assert out.value.dtype == out.tangent.dtype == np.float32


def test_one_tangent_for_all_elements_counts_for_each():
    """`derivative` begins with a tangent of length 1, which stands for equal ones."""
    for function in (lambda x: x.sum(0), lambda x: x[1], lambda x: x @ c(3), lambda x: x.reshape(6)):
        assert np.array_equal(derivative(function, X), derivative(function, X, np.ones_like(X)))


@pytest.mark.parametrize("function", [
    lambda x: np.sum(x, axis=1), lambda x: np.mean(x, axis=-2), lambda x: np.swapaxes(x, 0, 1),
    lambda x: np.concatenate([x, x], 1), lambda x: x[3], lambda x: x.reshape(2, 2), lambda x: x @ np.ones(2),
])  # fmt: skip
def test_what_numpy_refuses_is_refused_and_no_axis_of_directions_is_taken_for_one_of_the_values(function):
    with pytest.raises((ValueError, IndexError)):
        function(np.ones(3))
    with pytest.raises((ValueError, IndexError)):
        along(function, np.ones(3), np.eye(3))


def test_shapes_are_those_of_the_values():
    it = dual.seed(X, np.ones((5, *X.shape)))
    assert (it.shape, it.ndim, it.size, len(it), it.dtype) == ((2, 3), 2, 6, 2, np.float64)
    assert (np.shape(it), np.ndim(it), np.size(it)) == ((2, 3), 2, 6)
    assert repr(dual.Dual(np.array(1.5), 2.0, 3)) == "Dual(array(1.5), 2.0, level=3)"


def test_what_has_no_slope_is_a_plain_answer():
    x = np.array([[0.5, -1.25, 2.0], [-0.75, 1.5, -0.25]])
    it = dual.seed(x, np.ones((4, 2, 3)))
    assert (np.argmax(it), it.argmin(), it[0].argmax()) == (2, 1, 2)
    assert all(isinstance(each, np.integer) for each in (np.argmax(it), it.argmin()))
    assert it.argmax(1).tolist() == [2, 1]
    for made, expected in ((np.zeros_like(it), np.zeros((2, 3))), (np.ones_like(it), np.ones((2, 3)))):
        assert isinstance(made, np.ndarray)
        assert np.array_equal(made, expected)
    assert isinstance(it[0, 0] > 0, np.bool_)
    assert np.any(it > 1)
    assert not np.all(it - 0.5)
    assert it.any()
    assert np.allclose(it, x)
    assert np.array_equal(it, x)
    assert not np.isclose(it[0, 0], 7)


@pytest.mark.parametrize("value", [0.0, 2.0, [0.0], [2.0], [[0.0]]])
def test_a_dual_number_is_as_true_as_its_value(value):
    it = dual.seed(value, 1.0)
    assert bool(it) == bool(np.array(value))
    assert derivative(lambda x: x * 2 if x else x * 3, value).item() == (2 if bool(np.array(value)) else 3)


def test_several_dual_numbers_are_neither_true_nor_false():
    with pytest.raises(ValueError, match="more than one element is ambiguous"):
        bool(dual.seed(np.ones(2), 1.0))


def test_one_number_has_no_length():
    for function in (len, list):
        with pytest.raises(TypeError):
            function(dual.seed(1.0, 1.0))


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))],
    ids=["copy", "deep", "pickle"],
)
def test_dual_numbers_can_be_copied(copied):
    it = dual.seed(X, 2 * X)
    found = copied(it)
    assert isinstance(found, dual.Dual)
    assert np.array_equal(found.value, X)
    assert np.array_equal(found.tangent, 2 * X)
    assert found.level == it.level


# ---------------------------------------------------------------- laws

UNARY = [np.exp, np.tanh, np.sin, np.cos, np.square, np.negative, np.expm1, lambda x: 1 / (2 + np.sin(x))]
numbers = st.floats(-2, 2)
functions = st.sampled_from(UNARY)
several = settings(deadline=None, max_examples=60)


@several
@given(functions, functions, numbers)
def test_product_and_quotient_rule(f, g, x):
    df, dg = derivative(f, x), derivative(g, x)
    product = derivative(lambda x: f(x) * g(x), x)
    assert np.isclose(product, df * g(x) + f(x) * dg, rtol=1e-12, atol=1e-12)
    quotient = derivative(lambda x: f(x) / (3 + np.cos(g(x))), x)
    below = 3 + np.cos(g(x))
    expected = (df * below + f(x) * np.sin(g(x)) * dg) / below**2
    assert np.isclose(quotient, expected, rtol=1e-12, atol=1e-12)


@several
@given(functions, functions, numbers)
def test_chain_rule(f, g, x):
    found = derivative(lambda x: f(np.tanh(g(x))), x)
    expected = derivative(f, np.tanh(g(x))) * (1 - np.tanh(g(x)) ** 2) * derivative(g, x)
    assert np.isclose(found, expected, rtol=1e-12, atol=1e-12)


@several
@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), functions, numbers)
def test_the_derivative_is_linear_in_the_direction(a, b, f, x):
    u, v = np.array([1.0, -2.0]), np.array([0.5, 3.0])

    def function(t):
        return f(np.sum(t * t) / 8)

    at = np.array([x, x / 2])
    one, other = derivative(function, at, u), derivative(function, at, v)
    assert np.isclose(derivative(function, at, a * u + b * v), a * one + b * other, rtol=1e-9, atol=1e-6)


@several
@given(st.floats(-1e9, 1e9).filter(bool), st.floats(-1e9, 1e9))
def test_the_absolute_value_of_a_plus_b_epsilon_is_the_absolute_a_plus_sign_a_times_b_epsilon(a, b):
    """Bensi, Nocchi 2023 print |a| + sign(a) ε: the b is missing."""
    found = abs(dual.seed(a, np.asarray(b)))
    assert found.value == abs(a)
    assert found.tangent == np.sign(a) * b


# ---------------------------------------------------------------- formulas for arrays run unchanged


def losses():
    """(name, loss of real and fake logits) of each objective and player."""
    for name in catalog.names("objectives"):
        it = catalog.load_class("objectives", name)()
        yield pytest.param(it.discriminator_loss, id=f"{name}-discriminator")
        yield pytest.param(it.generator_loss, id=f"{name}-generator")


@pytest.mark.parametrize("loss", [*losses()])
def test_every_objective_has_torchs_gradient(loss):
    real, fake = np.random.default_rng(1).normal(0, 3, (2, 7))
    on_torch = [torch.tensor(part, requires_grad=True) for part in (real, fake)]
    loss(*on_torch, torch_functions()).mean().backward()
    xp = numpy_functions()
    found = [
        gradient(lambda x: xp.mean(loss(x, fake, xp)), real),
        gradient(lambda x: xp.mean(loss(real, x, xp)), fake),
    ]
    for ours, theirs in zip(found, on_torch, strict=True):
        expected = np.zeros(7) if theirs.grad is None else theirs.grad.numpy()
        assert np.allclose(ours, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", catalog.names("penalties"))
def test_every_penaltys_cost_has_torchs_gradient(name):
    penalty, squared = catalog.load_class("penalties", name)(), np.array([0.25, 1.5, 9.0])
    on_torch = torch.tensor(squared, requires_grad=True)
    penalty.value(on_torch, torch_functions()).mean().backward()
    xp = numpy_functions()
    found = gradient(lambda x: xp.mean(penalty.value(x, xp)), squared)
    assert np.allclose(found, on_torch.grad.numpy(), rtol=1e-12)


# ---------------------------------------------------------------- derivatives of derivatives


def test_second_and_third_derivatives():
    x = np.array([0.3, -1.2])
    assert np.allclose(derivative(lambda y: derivative(np.sin, y), x), -np.sin(x), rtol=1e-14)
    third = derivative(lambda y: derivative(lambda z: derivative(np.exp, z), y), x)
    assert np.allclose(third, np.exp(x), rtol=1e-14)


def test_mixed_derivatives_agree_in_either_order():
    """∂²/∂x∂y of x² y³ is 6 x y²."""
    xy = derivative(lambda x: derivative(lambda y: x**2 * y**3, 5.0), 2.0)
    yx = derivative(lambda y: derivative(lambda x: x**2 * y**3, 2.0), 5.0)
    assert xy == yx == 6 * 2 * 25


def bent(w):
    """A function of a vector that no derivative of makes simple."""
    return np.sum(np.tanh(c(3, 4) @ w) * np.exp(w[:3])) + np.log(1 + w @ w)


def test_the_gradient_of_the_gradient_is_the_hessian():
    w = drawn(4)
    hessian = np.stack([gradient(lambda w, i=i: gradient(bent, w)[i], w) for i in range(4)])
    expected = np.stack([numeric(lambda w: gradient(bent, w), w, unit) for unit in np.eye(4)])
    assert np.allclose(hessian, hessian.T, rtol=1e-12)
    assert np.allclose(hessian, expected, rtol=1e-6, atol=1e-8)


def test_the_gradients_derivative_along_a_direction_is_the_hessian_vector_product():
    w, v = drawn(2, 4)
    product = derivative(lambda w: gradient(bent, w), w, v)
    assert np.allclose(product, numeric(lambda w: gradient(bent, w), w, v), rtol=1e-6, atol=1e-8)
    other_way = gradient(lambda w: derivative(bent, w, v), w)
    assert np.allclose(product, other_way, rtol=1e-12)


def test_perturbations_are_not_confused():
    assert derivative(lambda x: x * derivative(lambda y: x + y, 1.0), 1.0) == 1


def test_perturbations_are_not_confused_in_closures():
    def times(x):
        return lambda y: x * y

    assert derivative(lambda x: x * derivative(times(x), 2.0), 3.0) == 6
    # at the outer variable itself: d/dx of d/dy (x y²) at y = x, which is 2 x²
    assert derivative(lambda x: derivative(lambda y: x * y * y, x), 3.0) == 12


def test_an_inner_derivative_along_a_direction_that_moves():
    """The derivative of sin at 0.3 along x is x cos 0.3, whose derivative is cos 0.3."""
    assert np.isclose(derivative(lambda x: derivative(np.sin, 0.3, x), 2.0), np.cos(0.3), rtol=1e-15)


# ---------------------------------------------------------------- gradient


@pytest.mark.parametrize("size", [1, 255, 256, 257, 600])
def test_gradients_of_more_elements_than_go_at_once(size):
    w, a = drawn(2, size)
    assert np.allclose(gradient(lambda w: np.sum(a * w**3) / 3, w), a * w**2, rtol=1e-13)


def test_a_gradient_has_the_shape_of_x():
    assert gradient(lambda w: np.sum(w * w), np.ones((20, 15, 1))).shape == (20, 15, 1)
    assert gradient(np.square, 3.0) == 6
    assert gradient(np.square, 3.0).shape == ()


@pytest.mark.parametrize(("function", "given"), [
    (lambda w: w, "3"), (lambda w: w[None] + w[:, None], "3×3"), (lambda w: np.sum(w, keepdims=True), "1"),
    (lambda w: np.ones((2, 4)), "2×4"),
])  # fmt: skip
def test_a_result_that_is_not_one_number_is_refused(function, given):
    with pytest.raises(
        InputError, match=f"needs a function with one number as result, this one gave {given}$"
    ):
        gradient(function, np.ones(3))


def test_a_function_that_ignores_x_has_zeros_as_derivative():
    x = np.ones((2, 3), np.float32)
    for found in (gradient(lambda x: 3.0, x), derivative(lambda x: np.ones((2, 3)), x)):
        assert np.array_equal(found, np.zeros((2, 3)))
        assert found.dtype == np.float32
    assert derivative(lambda x: derivative(lambda y: x * x, 1.0), 2.0) == 0


def test_a_function_that_ignores_x_in_some_of_the_directions():
    """The inner gradient is a constant to the outer variable, whose ε has a lower level."""
    found = derivative(lambda x: x * gradient(lambda w: np.sum(w * w), np.arange(3.0)), 5.0)
    assert np.array_equal(found, [0, 2, 4])


@pytest.mark.parametrize("x", [3, np.arange(4), np.arange(4, dtype=np.uint8), [1, 2], True])
def test_integers_become_float64(x):
    found = gradient(lambda x: np.sum(x * x) / 4, x)
    assert found.dtype == np.float64
    assert np.array_equal(found, np.asarray(x) / 2)


def test_float32_stays_float32():
    x = np.linspace(-1, 1, 300, dtype=np.float32)
    assert gradient(lambda x: np.sum(np.maximum(x, 0) ** 2), x).dtype == np.float32
    assert derivative(lambda x: derivative(np.tanh, x), x).dtype == np.float32
    assert derivative(lambda x: 2.0**x, x).dtype == np.float32


# ---------------------------------------------------------------- check_gradient


def weighted_squares(w):
    return np.sum(w * w * c(2, 3))


@pytest.mark.parametrize("claimed", [None, lambda w: 2 * w * c(2, 3), 2 * X * c(2, 3)])
def test_a_right_gradient_passes(claimed):
    assert check_gradient(weighted_squares, X, claimed) < 1e-8


@pytest.mark.parametrize("wrong", [
    lambda w: -2 * w * c(2, 3), lambda w: w * c(2, 3), lambda w: 2 * w, lambda w: 0 * w,
    lambda w: 2 * w * c(2, 3) + 1e-4, lambda w: np.nan * w,
])  # fmt: skip
def test_a_wrong_gradient_is_an_error(wrong):
    with pytest.raises(
        GradientError, match=r"numeric differences give .* ± .* \(relative error .*, allowed 1"
    ):
        check_gradient(weighted_squares, X, wrong)


def test_the_error_says_where_what_was_found_and_what_there_should_be():
    claimed = 2 * X * c(2, 3)
    expected = claimed[1, 2]
    claimed[1, 2] = 100
    with pytest.raises(GradientError, match=rf"the gradient is 100 at \(1, 2\), .* give {expected:.6g}"):
        check_gradient(weighted_squares, X, claimed)
    with pytest.raises(GradientError, match=r"the gradient is 7, numeric differences give 6 ±"):
        check_gradient(np.square, 3.0, 7.0)
    assert issubclass(GradientError, DuelError)


def test_a_wider_tolerance_lets_more_pass():
    claimed = 2 * X * c(2, 3) + 1e-4
    assert 1e-6 < check_gradient(weighted_squares, X, claimed, tolerance=1e-3) < 1e-3


@pytest.mark.parametrize(
    ("claimed", "given"), [(np.ones(6), "6"), (np.ones((3, 2)), "3×2"), (1.0, "one number")]
)
def test_a_gradient_of_another_shape_is_refused(claimed, given):
    sentence = f"a gradient of shape {given} was given, allowed is the shape of x: 2×3"
    with pytest.raises(InputError, match=sentence):
        check_gradient(weighted_squares, X, claimed)


def test_dual_numbers_pass_their_own_check():
    assert check_gradient(bent, drawn(4)) < 1e-7


SIZES = np.array([1e6, 1.0, 1e-3, 1e-6])


@pytest.mark.parametrize("factor", [0.0, -1.0, 0.5, 1.001, 2.0])
@pytest.mark.parametrize("place", range(4))
def test_each_slope_is_judged_by_itself(place, factor):
    """Slopes from 2e6 to 2e-6: the smallest is wrong and all others right, say."""
    w = np.array([0.7, -1.3, 0.4, 2.1])
    claimed = 2 * SIZES * w

    def function(w):
        return np.sum(SIZES * w * w)

    assert check_gradient(function, w, claimed) == 0
    claimed[place] *= factor
    with pytest.raises(GradientError, match=rf"at \({place},\)"):
        check_gradient(function, w, claimed)


def quartic(w):
    return np.sum(w**4) / 4


RIGHT = {
    "much noise": (lambda w: 1e8 + np.sum(w**2), drawn(3)),
    "noise that cancels": (lambda w: (1e8 + np.sum(w**2)) - 1e8, drawn(3)),
    "root near zero": (lambda w: np.sum(np.sqrt(w)), np.array([1e-7, 1e-12, 0.3])),
    "logarithm near zero": (lambda w: np.sum(np.log(w)), np.array([1e-9, 2.0])),
    "reciprocal near zero": (lambda w: np.sum(1 / w), np.array([1e-5, -1e-3])),
    "next to a pole": (lambda w: np.sum(np.log(w - 1)), np.array([1.001, 1.00002])),
    "closer to a pole": (lambda w: np.sum(np.log(w - 1)), np.array([1.000001])),
    "close to a corner": (lambda w: np.sum(np.maximum(w - 1, 0)), np.array([1.0003, 1.000002, 0.99999])),
    "at a corner": (lambda w: np.sum(np.abs(w)), np.zeros(2)),
    "fast waves": (lambda w: np.sum(np.sin(1e4 * w)), np.array([2.0, 0.3])),
    "a step that fits the wave": (lambda w: np.sum(np.sin(4 * np.pi * w)), np.array([2.0, 4.0])),
    "small waves on a large one": (
        lambda w: 1e8 * np.sin(w[0]) + 1e-4 * np.sum(np.sin(w[1:])),
        np.array([1.0, *np.arange(20.0, 60.0, 1.7)]),
    ),
    "large": (quartic, np.array([1e30, -1e29])),
    "at zero": (quartic, np.zeros(2)),
    "flat": (lambda w: 3.0, np.ones(2)),
    "saturated": (lambda w: np.sum(np.tanh(w)), np.array([15.0, -25.0, 0.1])),
    "float32": (lambda w: np.sum(np.tanh(w)), drawn(3).astype(np.float32)),
    "none": (np.sum, np.zeros(0)),
}


HARD = {"flat", "none", "at zero", "saturated", "small waves on a large one"}  # slopes too small to be seen


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_gradient_is_never_refused(name):
    function, x = RIGHT[name]
    assert check_gradient(function, x) <= 1e-6


@pytest.mark.parametrize("name", [name for name in RIGHT if name not in HARD])
def test_a_gradient_that_is_wrong_by_a_thousandth_is_refused_there(name):
    function, x = RIGHT[name]
    right = gradient(function, np.array(x, np.float64))
    for place in range(len(x)):
        claimed = right.copy()
        claimed[place] += 1e-3 * (abs(right[place]) or 1)
        with pytest.raises(GradientError):
            check_gradient(function, x, claimed)


def test_what_no_difference_can_tell_is_let_pass():
    def function(w):
        return 1e8 + 1e-12 * w

    for claimed in (1e-12, 0.0, 1e-9):
        assert check_gradient(function, 1.0, claimed) == 0
    with pytest.raises(GradientError):
        check_gradient(function, 1.0, 1e-5)


def test_a_function_of_float32_is_judged_by_its_own_rounding():
    def function(w):
        return np.sum(np.tanh(np.asarray(w, np.float32)))

    x = drawn(3)
    right = 1 - np.tanh(x) ** 2
    assert check_gradient(function, x, right) <= 1e-6
    with pytest.raises(GradientError):
        check_gradient(function, x, 1.01 * right)


def test_a_function_of_float32_at_zero_is_judged_by_its_last_place():
    assert check_gradient(lambda w: np.cos(np.asarray(w + 1, np.float32)), 0.0, -math.sin(1)) <= 1e-6


def test_an_element_near_zero_is_judged_by_wide_steps_where_narrow_ones_drown_in_rounding():
    assert check_gradient(lambda w: 1 + w, 1e-12) == 0
    with pytest.raises(GradientError):
        check_gradient(lambda w: 1 + w, 1e-12, 1.0001)


def test_steps_that_leave_the_domain_of_pythons_functions_are_no_error():
    assert check_gradient(lambda x: math.sqrt(float(x) + 1e-4), 0.0, 50.0) == 0


def test_a_check_needs_a_function_with_one_number_as_result():
    for claimed in (None, np.ones(3)):
        with pytest.raises(InputError, match=r"needs a function with one number as result, this one gave 3$"):
            check_gradient(np.square, np.ones(3), claimed)


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize("unknown", [
    np.sort, np.median, np.floor_divide, np.linalg.cond, np.fft.fft, np.interp, np.cumprod,
])  # fmt: skip
def test_an_unknown_function_is_refused_and_the_allowed_ones_are_listed(unknown):
    many = {np.floor_divide: 2, np.interp: 3}.get(unknown, 1)
    with pytest.raises(InputError) as caught:
        derivative(lambda x: unknown(*[x] * many), np.ones(3))
    sentence = str(caught.value)
    inside = {np.linalg.cond: "linalg.", np.fft.fft: "fft."}.get(unknown, "")
    start = f"dual numbers do not know np.{inside}{unknown.__name__}: allowed are absolute, add, all,"
    assert sentence.startswith(start)
    allowed = set(sentence.partition("are ")[2].split(", "))
    assert {"matmul", "where", "greater", "logaddexp", "linalg.norm", "max", "amax"} <= allowed


@pytest.mark.parametrize("name", ["item", "astype", "sort", "imag", "fill", "nonsense"])
def test_an_unknown_attribute_is_refused_and_the_allowed_ones_are_listed(name):
    it = dual.seed(np.ones(3), 1.0)
    assert not hasattr(it, name)
    with pytest.raises(
        InputError, match=rf"dual numbers have no \.{name}: there are T, all, .*, and functions of NumPy"
    ):
        getattr(it, name)


@pytest.mark.parametrize("name", ["__array_interface__", "__array_struct__", "__setstate__", "_repr_html_"])
def test_what_others_probe_for_is_just_not_there(name):
    with pytest.raises(AttributeError) as caught:
        getattr(dual.seed(1.0, 1.0), name)
    assert not isinstance(caught.value, InputError)


COMPLEX = "complex128, allowed are real numbers .*: take real and imaginary part apart$"


@pytest.mark.parametrize("function", [
    lambda x: np.abs((1 + 2j) * x), lambda x: x + 1j, lambda x: x @ np.full(3, 1j), lambda x: np.sum(x**1j),
    lambda x: np.where(x > 0, x, 1j), lambda x: np.concatenate([x, [1j]]), lambda x: np.abs(1j * x) ** 2,
])  # fmt: skip
def test_complex_numbers_on_the_way_are_refused(function):
    with pytest.raises(InputError, match=f"^the calculation leads to {COMPLEX}"):
        derivative(function, np.ones(3))
    with pytest.raises(InputError, match=COMPLEX):
        derivative(lambda x: derivative(lambda y: np.sum(function(x * y)), 1.0), np.ones(3))


@pytest.mark.parametrize("take", [derivative, gradient, check_gradient])
@pytest.mark.parametrize(("x", "kind"), [
    (1 + 2j, "complex"), (np.complex64(1), "complex"), ([1, 2j], "complex128"),
    (np.ones(2, np.complex64), "complex64"), (None, "NoneType"), ("3", "str"), (["3"], "str32"),
    (np.array([1, None]), "object"), ({}, "dict"),
])  # fmt: skip
def test_points_that_are_no_real_numbers_are_refused(take, x, kind):
    with pytest.raises(InputError, match=f"^x is {kind}, allowed are real numbers"):
        take(lambda x: np.sum(x * x), x)


def test_a_direction_or_a_claimed_gradient_that_is_no_real_number_is_refused():
    with pytest.raises(InputError, match=r"^the direction is complex128, allowed"):
        derivative(np.exp, np.ones(2), np.full(2, 1j))
    with pytest.raises(InputError, match=r"^the claimed gradient is complex128, allowed"):
        check_gradient(np.sum, np.ones(2), np.full(2, 1 + 0j))
    with pytest.raises(InputError, match=r"^the claimed gradient is NoneType, allowed"):
        check_gradient(np.sum, np.ones(2), lambda x: None)


@pytest.mark.parametrize("take", [derivative, gradient, check_gradient])
def test_a_function_must_give_real_numbers(take):
    with pytest.raises(InputError, match=r"^the function gave None: it must return its result$"):
        take(lambda x: None, 1.0)
    with pytest.raises(InputError, match=r"^the function gave str, allowed are real numbers"):
        take(lambda x: "1", 1.0)
    with pytest.raises(InputError, match=r"^the function gave complex, allowed .*: take real and imag"):
        take(lambda x: 1j, 1.0)


@pytest.mark.parametrize(("direction", "given"), [
    (np.ones(3), "3"), (np.ones((2, 4)), "2×4"), (1.0, "one number"), (np.ones((1, 4)), "1×4"),
])  # fmt: skip
def test_a_direction_of_another_shape_is_refused(direction, given):
    with pytest.raises(
        InputError, match=f"a direction of shape {given} was given, allowed is the shape of x: 4$"
    ):
        derivative(np.exp, np.ones(4), direction)


def put_into(x):
    y = np.zeros(3)
    y[0] = x[0]
    return y


def changed(x):
    x[0] = 1.0
    return x


@pytest.mark.parametrize("function", [
    lambda x: math.sin(x[0]), lambda x: float(x[0]), lambda x: int(x[0]), lambda x: round(x[0]), put_into,
])  # fmt: skip
def test_a_plain_number_cannot_be_had_of_a_dual_number(function):
    for take in (derivative, gradient):
        with pytest.raises(InputError, match=r"write np\.sin\(x\) in place of math.*np\.stack"):
            take(function, np.ones(3))


def test_dual_numbers_do_not_change_in_place():
    with pytest.raises(InputError, match=r"do not change in place: use np\.where"):
        derivative(changed, np.ones(3))


def test_a_functions_own_value_error_stays():
    def function(x):
        raise ValueError("mine")

    with pytest.raises(ValueError, match=r"^mine$"):
        derivative(function, 1.0)


def test_lists_of_numbers_are_concatenated_too():
    w = np.array([1.0, 2.0])
    assert derivative(lambda w: np.concatenate([[1, 2], w, [3]]), w).tolist() == [0, 0, 1, 1, 0]
    assert derivative(lambda w: np.stack([[1, 2], w]), w).tolist() == [[0, 0], [1, 1]]
    assert derivative(lambda w: np.hstack([3, w]), w).tolist() == [0, 1, 1]


def added_in_place(x):
    x += 1
    return x


@pytest.mark.parametrize("function", [
    lambda x: np.add(x, 1, out=np.empty(3)), lambda x: np.exp(x, where=np.array([True, False, True])),
    lambda x: np.add(np.ones(3), 1, out=x), lambda x: np.greater(x, 0, out=np.empty(3, bool)), np.add.reduce,
    lambda x: np.multiply.outer(x, x), lambda x: np.matmul(x, x, out=np.empty(())), added_in_place,
])  # fmt: skip
def test_ufuncs_are_refused_in_any_other_form_than_a_plain_call(function):
    with pytest.raises(InputError, match=r"dual numbers .* np\."):
        derivative(function, np.ones(3))


@pytest.mark.parametrize("function", [
    np.array, np.asarray, lambda x: np.array([x, x]), lambda x: [x, x], lambda x: np.exp([x, 1.0]),
])  # fmt: skip
def test_nothing_loses_its_derivative_in_a_plain_array(function):
    with pytest.raises(InputError, match="a plain array would lose its derivative"):
        derivative(function, 1.0)


# ---------------------------------------------------------------- edges


def test_a_clip_may_have_one_side():
    x = np.array([-2.0, 0.5, 2.0])
    assert derivative(lambda v: np.clip(v, None, 1.0), x).tolist() == [1, 1, 0]
    assert derivative(lambda v: np.clip(v, -1.0, None), x).tolist() == [0, 1, 1]


def test_what_a_function_cannot_do_on_dual_numbers_is_a_sentence():
    x = np.ones((2, 2, 2))
    with pytest.raises(InputError, match="at most two axes on the right, not 3: use @"):
        derivative(lambda v: np.dot(v, v), x)
    with pytest.raises(InputError, match=r"not with ord=1: write others with np\.abs"):
        derivative(lambda v: np.linalg.norm(v[0, 0], 1), x)
    with pytest.raises(InputError, match="not with ord=2"):
        derivative(lambda v: np.linalg.norm(v[0], 2), x)
    with pytest.raises(InputError, match=r"np\.max without that: .*initial"):
        derivative(lambda v: v.max(initial=0.0), x)
    with pytest.raises(InputError, match=r"np\.sum without that: .*dtype"):
        derivative(lambda v: np.sum(v, dtype=np.float32), x)
    with pytest.raises(InputError, match="only as a plain call"):
        derivative(lambda v: np.add(v, v, where=x > 0), x)


def test_the_gradient_of_no_elements_is_none():
    assert gradient(lambda v: np.sum(v), np.zeros((0, 3))).shape == (0, 3)
