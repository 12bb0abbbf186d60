"""Dual numbers: the derivative that comes along is the one that numeric differences give."""

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

ONLY_POSITIVE = {np.power, np.sqrt, np.log, np.log1p}


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


def test_where_two_arguments_meet_the_slope_is_the_mean_of_both_sides():
    assert gradient(lambda x: np.maximum(x, 1.0), 1.0) == 0.5
    assert gradient(lambda x: np.maximum(x, x), 1.0) == 1
    assert gradient(np.abs, 0.0) == 0


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
    "concatenate": lambda x: np.concatenate([x, c(1, 3)]),
    "concatenate a constant first": lambda x: np.concatenate([c(2, 2), x], 1),
    "concatenate with itself": lambda x: np.concatenate([x, x * x, c(2, 1)], axis=-1),
    "where": lambda x: np.where(x > 0, x, x * x),
    "where against numbers": lambda x: np.where(x > 0, x, 0.0) + np.where(x > 1, 2.0, x),
    "where broadcasts": lambda x: np.where(c(4, 2, 1) > 1, x, x[0]),
    "clip": lambda x: np.clip(x, -1, 1),
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
    assert repr(dual.Dual(1.5, 2.0, 3)) == "Dual(1.5, 2.0, level=3)"


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
    with pytest.raises(GradientError, match=r"numeric differences give .* \(relative error .*, allowed 1"):
        check_gradient(weighted_squares, X, wrong)


def test_the_error_says_where_what_was_found_and_what_there_should_be():
    claimed = 2 * X * c(2, 3)
    expected = claimed[1, 2]
    claimed[1, 2] = 100
    with pytest.raises(GradientError, match=rf"the gradient is 100 at \(1, 2\), .* give {expected:.6g}"):
        check_gradient(weighted_squares, X, claimed)
    with pytest.raises(GradientError, match=r"the gradient is 7, numeric differences give 6"):
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


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize("unknown", [
    np.max, np.stack, np.dot, np.prod, np.sort, np.arctan, np.floor_divide, np.linalg.norm, np.zeros_like,
])  # fmt: skip
def test_an_unknown_function_is_refused_and_the_allowed_ones_are_listed(unknown):
    two = unknown in (np.dot, np.floor_divide)
    with pytest.raises(InputError) as caught:
        derivative(lambda x: unknown(*[x] * (2 if two else 1)), np.ones(3))
    sentence = str(caught.value)
    assert sentence.startswith(f"dual numbers do not know np.{unknown.__name__}: allowed are absolute, add,")
    assert {"matmul", "where", "greater", "logaddexp"} <= set(sentence.partition("are ")[2].split(", "))


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
    with pytest.raises(InputError, match="two axes, these have 3"):
        derivative(lambda v: v.T, x)
    with pytest.raises(InputError, match=r"np\.sum without that: .*dtype"):
        derivative(lambda v: np.sum(v, dtype=np.float32), x)
    with pytest.raises(InputError, match="only as a plain call"):
        derivative(lambda v: np.add(v, v, where=x > 0), x)


def test_the_gradient_of_no_elements_is_none():
    assert gradient(lambda v: np.sum(v), np.zeros((0, 3))).shape == (0, 3)
