"""Arrays of dual numbers a + bε with ε² = 0: calculate with them, and the derivative comes along.

Whatever a function does to a + ε, the part of the result before ε is its derivative (Clifford 1873; forward
mode, as in Baydin et al. 2018, arXiv:1502.05767, section 3.1). `Dual` follows NumPy's own protocols, so a
formula written for arrays runs on it unchanged:

    derivative(np.tanh, x)                          # 1 − tanh² x, elementwise
    gradient(lambda w: np.sum((a @ w - b) ** 2), w)   # 2 aᵀ(a w − b)
    derivative(lambda x: derivative(np.exp, x), x)    # nested: the second derivative
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple
from numpy.lib.mixins import NDArrayOperatorsMixin

from duel.errors import GradientError, InputError
from duel.scratch.rules import CONSTANT, RULES

_levels = itertools.count(1)
_AT_ONCE = 256  # directions that one evaluation follows together, at most: more gain nothing
_NUMBERS = 1 << 24  # and as many numbers in their tangents: bounds the memory


class Dual(NDArrayOperatorsMixin):
    """value + tangent·ε.

    value    an array (or a Dual of a lower level)
    tangent  the derivative of each value along one direction: the value's shape; or along several,
             which are axes in front: directions + shape. Axes of length 1 stand for equal tangents
    level    which derivative this ε belongs to. Every derivative that is taken gets a higher one than those
             around it, and a Dual of a lower level is a constant to it
    """

    __slots__ = ("level", "tangent", "value")

    def __init__(self, value: Any, tangent: Any, level: int) -> None:
        if not hasattr(value, "dtype"):
            value = np.asarray(value)
        if value.dtype.kind not in _REAL:
            raise _not_real("the calculation leads to", value.dtype.name)
        self.value = value
        self.tangent = tangent
        self.level = level

    def __repr__(self) -> str:
        return f"Dual({self.value!r}, {self.tangent!r}, level={self.level})"

    @property
    def shape(self) -> tuple[int, ...]:
        """The value's shape."""
        return np.shape(self.value)

    @property
    def ndim(self) -> int:
        """The value's number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """How many dual numbers there are."""
        return math.prod(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values."""
        return self.value.dtype  # type: ignore[no-any-return]

    @property
    def T(self) -> Dual:
        """The axes in reverse."""
        return _transpose(self)

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator[Dual]:
        return (self[place] for place in range(len(self)))

    def __bool__(self) -> bool:
        return bool(self.value)

    def __getitem__(self, key: Any) -> Dual:
        return _looked_up(self, lambda part: part[key])

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise InputError("dual numbers do not change in place: use np.where, np.stack or np.concatenate")

    def sum(self, axis: Any = None, keepdims: bool = False) -> Dual:
        """As np.sum."""
        return _sum(self, axis, keepdims=keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Dual:
        """As np.mean."""
        return _mean(self, axis, keepdims=keepdims)

    def reshape(self, *shape: Any) -> Dual:
        """As np.reshape."""
        return _reshape(self, shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes: Any) -> Dual:
        """As np.transpose."""
        return _transpose(self, axes[0] if len(axes) == 1 else axes or None)

    def __getattr__(self, name: str) -> Any:
        """A method that arrays have is the function that does the same."""
        if name in _METHODS:
            return functools.partial(_METHODS[name], self)
        if name.startswith("_"):  # NumPy, copy and pickle ask what there is
            raise AttributeError(name)
        there = ", ".join(sorted({*_METHODS, *(each for each in dir(Dual) if each[0] != "_")}))
        raise UnknownAttribute(f"dual numbers have no .{name}: there are {there}, and functions of NumPy")

    def __array__(self, *args: Any, **options: Any) -> NoReturn:
        raise InputError(
            "a dual number in a plain array would lose its derivative: use np.stack or np.concatenate"
        )

    def __float__(self, *options: Any) -> NoReturn:
        raise InputError(
            "a dual number as a plain number would lose its derivative: write np.sin(x) in place of "
            "math.sin(x), and arrays with np.stack or np.concatenate in place of y[0] = x"
        )

    __int__ = __round__ = __float__

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if ufunc in CONSTANT and method == "__call__" and not options:
            return ufunc(*(plain(each) for each in inputs))
        if ufunc is not np.matmul and ufunc not in RULES:
            raise _unknown(ufunc)
        if method != "__call__" or options:
            raise InputError(
                f"dual numbers take np.{ufunc.__name__} only as a plain call, without out=, where= or a "
                "method: write x = x + y in place of x += y"
            )
        return _product(*inputs) if ufunc is np.matmul else _elementwise(ufunc, inputs)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        if function not in _FUNCTIONS:
            raise _unknown(function)
        handler = _FUNCTIONS[function]
        try:
            return handler(*args, **options)
        except TypeError as error:  # an option that the handler does not have
            raise InputError(f"dual numbers take np.{_name(function)} without that: {error}") from error


class UnknownAttribute(InputError, AttributeError):
    """What dual numbers do not have."""


def _unknown(function: Any) -> InputError:
    allowed = ", ".join(sorted(map(_name, [*RULES, *CONSTANT, *_FUNCTIONS, np.matmul])))
    return InputError(f"dual numbers do not know np.{_name(function)}: allowed are {allowed}")


def _name(function: Any) -> str:
    """As it stands behind np."""
    inside = getattr(function, "__module__", None) or "numpy"
    return f"{inside}.{function.__name__}".removeprefix("numpy.")


_REAL = "fiub"  # the kinds of NumPy's types: floating, integer, unsigned, truth values


def _not_real(what: str, kind: str) -> InputError:
    hint = ": take real and imaginary part apart" if kind.startswith("complex") else ""
    return InputError(f"{what} {kind}, allowed are real numbers (float or int) and arrays of them{hint}")


def _real(x: Any, what: str) -> Any:
    """A Dual or an array of real numbers, InputError for all else."""
    if isinstance(x, Dual):
        return x
    array = np.asarray(x)
    if array.dtype.kind not in _REAL:
        raise _not_real(what, type(array.item()).__name__ if array.ndim == 0 else array.dtype.name)
    return array


def plain(x: Any) -> Any:
    """The values without any ε."""
    while isinstance(x, Dual):
        x = x.value
    return x


# ---------------------------------------------------------------- elementwise functions and products


def _elementwise(ufunc: np.ufunc, inputs: tuple[Any, ...]) -> Dual:
    """f(a + bε) = f(a) + Σ ∂f·b ε."""
    level = _top(inputs)
    values = [_value(each, level) for each in inputs]
    out = ufunc(*values)
    tangents = [
        partial(out, *values) * _aligned(each, np.ndim(out))
        for each, partial in zip(inputs, RULES[ufunc], strict=True)
        if _belongs(each, level)
    ]
    return Dual(out, tangents[0] if len(tangents) == 1 else tangents[0] + tangents[1], level)


def _product(x: Any, y: Any) -> Dual:
    """(A + A'ε)(B + B'ε) = AB + (A'B + AB')ε, for matrices and stacks of them; vectors as NumPy has them."""
    if np.ndim(y) == 1:
        return _product(x, y[:, None])[..., 0]
    if np.ndim(x) == 1:
        return _product(x[None, :], y)[..., 0, :]
    level = _top((x, y))
    a, b = _value(x, level), _value(y, level)
    out = a @ b
    terms = []
    if _belongs(x, level):
        terms.append(_aligned(Dual(a, _full(x), level), np.ndim(out)) @ b)
    if _belongs(y, level):
        terms.append(a @ _aligned(Dual(b, _full(y), level), np.ndim(out)))
    return Dual(out, terms[0] if len(terms) == 1 else terms[0] + terms[1], level)


def _top(inputs: Any) -> int:
    return max(each.level for each in inputs if isinstance(each, Dual))


def _belongs(x: Any, level: int) -> bool:
    return isinstance(x, Dual) and x.level == level


def _value(x: Any, level: int) -> Any:
    return x.value if _belongs(x, level) else x


def _directions(x: Dual) -> tuple[int, ...]:
    """The shape of the directions in front of the tangent."""
    shape: tuple[int, ...] = np.shape(x.tangent)
    return shape[: max(0, len(shape) - x.ndim)]


def _aligned(x: Dual, ndim: int) -> Any:
    """The tangent for a result of so many axes: axes of length 1 come between directions and shape."""
    if ndim == x.ndim or not _directions(x):
        return x.tangent
    front = _directions(x)
    rest = np.shape(x.tangent)[len(front) :]
    return np.reshape(x.tangent, (*front, *(1,) * (ndim - x.ndim), *rest))


def _full(x: Dual) -> Any:
    """The tangent with no axis left out: directions + shape."""
    whole = (*_directions(x), *x.shape)
    return x.tangent if np.shape(x.tangent) == whole else np.broadcast_to(x.tangent, whole)


# ---------------------------------------------------------------- functions that move numbers about


def _moved(x: Dual, function: Callable[[Any, int], Any]) -> Dual:
    """A linear function of the shape, applied to value and tangent; told how many axes are in front."""
    return Dual(function(x.value, 0), function(_full(x), len(_directions(x))), x.level)


def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """Axes counted from the end, where those in front of a tangent do not disturb."""
    chosen = range(ndim) if axis is None else normalize_axis_tuple(axis, ndim, allow_duplicate=True)
    return tuple(each - ndim for each in chosen)


def _looked_up(x: Dual, function: Callable[[Any], Any]) -> Dual:
    """A function that only chooses and arranges: it is told which places, and the tangent follows them.

    On the tangent itself it would mistake the axes in front.
    """
    places = function(np.arange(x.size).reshape(x.shape))
    flat = np.reshape(_full(x), (*_directions(x), x.size))
    return Dual(function(x.value), flat[..., places], x.level)


def _arranged(function: Callable[..., Any]) -> Callable[..., Dual]:
    return lambda x, *args, **options: _looked_up(x, lambda part: function(part, *args, **options))


def _sum(x: Dual, axis: Any = None, *, keepdims: bool = False) -> Dual:
    axes = _axes(axis, x.ndim)
    return _moved(x, lambda part, front: np.sum(part, axis=axes, keepdims=keepdims))


def _mean(x: Dual, axis: Any = None, *, keepdims: bool = False) -> Dual:
    axes = _axes(axis, x.ndim)
    return _moved(x, lambda part, front: np.mean(part, axis=axes, keepdims=keepdims))


def _reshape(x: Dual, shape: Any) -> Dual:
    final = np.empty(x.shape, np.bool_).reshape(shape).shape
    return _moved(x, lambda part, front: np.reshape(part, (*np.shape(part)[:front], *final)))


def _transpose(x: Dual, axes: Any = None) -> Dual:
    order = _axes(range(x.ndim)[::-1] if axes is None else axes, x.ndim)
    return _moved(x, lambda part, front: np.transpose(part, (*range(front), *order)))


def _cumsum(x: Dual, axis: Any = None) -> Dual:
    if axis is None:
        return _cumsum(_reshape(x, -1), 0)
    (along,) = _axes(axis, x.ndim)
    return _moved(x, lambda part, front: np.cumsum(part, axis=along))


def _broadcast_to(x: Dual, shape: Any) -> Dual:
    value = np.broadcast_to(x.value, shape)
    tangent = np.broadcast_to(_aligned(x, value.ndim), (*_directions(x), *value.shape))
    return Dual(value, tangent, x.level)


# ---------------------------------------------------------------- functions of several arrays


def _concatenate(parts: Any, axis: int | None = 0) -> Dual:
    parts = [part if isinstance(part, Dual) else np.asarray(part) for part in parts]
    if axis is None:
        return _concatenate([np.reshape(part, -1) for part in parts])
    level = _top(parts)
    front = next(_directions(part) for part in parts if _belongs(part, level))
    (where,) = _axes(axis, np.ndim(parts[0]))

    def tangent(part: Any) -> Any:
        if _belongs(part, level):
            return _full(part)
        return np.zeros((*front, *np.shape(part)), plain(part).dtype)

    return Dual(
        np.concatenate([_value(part, level) for part in parts], where),
        np.concatenate([tangent(part) for part in parts], where),
        level,
    )


def _stack(parts: Any, axis: int = 0) -> Dual:
    return _concatenate([np.expand_dims(part, axis) for part in parts], axis)


def _vstack(parts: Any) -> Dual:
    return _concatenate([np.atleast_2d(part) for part in parts])


def _hstack(parts: Any) -> Dual:
    parts = [np.atleast_1d(part) for part in parts]
    return _concatenate(parts, 0 if np.ndim(parts[0]) == 1 else 1)


def _dot(x: Any, y: Any) -> Any:
    if np.ndim(x) == 0 or np.ndim(y) == 0:
        return x * y
    if np.ndim(y) > 2:
        raise InputError(
            f"dual numbers take np.dot with at most two axes on the right, not {np.ndim(y)}: use @"
        )
    return x @ y


def _outer(x: Any, y: Any) -> Any:
    return np.reshape(x, (-1, 1)) * np.reshape(y, (1, -1))


def _where(condition: Any, x: Any, y: Any) -> Dual:
    level = _top([each for each in (condition, x, y) if isinstance(each, Dual)])
    condition = plain(condition)
    out = np.where(condition, _value(x, level), _value(y, level))
    sides = [_aligned(each, np.ndim(out)) if _belongs(each, level) else 0.0 for each in (x, y)]
    return Dual(out, np.where(condition, *sides), level)


def _clip(x: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    low, high = a_min if min is None else min, a_max if max is None else max
    x = x if low is None else np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


# ---------------------------------------------------------------- functions along axes


def _extreme(function: Callable[..., Any]) -> Callable[..., Dual]:
    """np.max or np.min: the tangent of the extreme element; the mean of theirs, where several are."""

    def extreme(x: Dual, axis: Any = None, *, keepdims: bool = False) -> Dual:
        axes, values = _axes(axis, x.ndim), plain(x)
        chosen = (values == function(values, axis=axes, keepdims=True)) | np.isnan(values)
        share = (chosen / np.sum(chosen, axis=axes, keepdims=True)).astype(values.dtype)
        tangent = np.sum(_full(x) * share, axis=axes, keepdims=keepdims)
        return Dual(function(x.value, axis=axes, keepdims=keepdims), tangent, x.level)

    return extreme


def _prod(x: Dual, axis: Any = None, *, keepdims: bool = False) -> Dual:
    """Pairs are multiplied until one is left: nothing is divided, so a zero does no harm."""
    gone = normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim)
    rest = [each for each in range(x.ndim) if each not in gone]
    ones = np.ones((1, *(x.shape[each] for each in rest)), x.dtype)
    count = math.prod(x.shape[each] for each in gone)
    factors = _reshape(_transpose(x, (*gone, *rest)), (count, *ones.shape[1:]))
    factors = _concatenate([factors, ones])
    while len(factors) > 1:
        half = len(factors) // 2
        factors = _concatenate([factors[:half] * factors[half : 2 * half], factors[2 * half :]])
    return _reshape(factors, np.shape(np.sum(plain(x), axis=axis, keepdims=keepdims)))


def _var(x: Dual, axis: Any = None, *, ddof: float = 0, keepdims: bool = False) -> Any:
    away = x - _mean(x, axis, keepdims=True)
    count = math.prod(x.shape[each] for each in _axes(axis, x.ndim))
    return _sum(away * away, axis, keepdims=keepdims) / (count - ddof)


def _std(x: Dual, axis: Any = None, *, ddof: float = 0, keepdims: bool = False) -> Any:
    return _root(_var(x, axis, ddof=ddof, keepdims=keepdims))


def _norm(x: Dual, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    axes = _axes(axis, x.ndim)
    if not (ord is None or (ord == 2 and len(axes) == 1)):
        raise InputError(
            f"dual numbers take np.linalg.norm as the root of the sum of squares, not with ord={ord}: write "
            "others with np.abs, np.sum and np.max"
        )
    return _root(_sum(x * x, axis, keepdims=keepdims))


def _root(squares: Any) -> Any:
    """√ of a sum of squares; where all are 0 its slopes on both sides have the mean 0."""
    zero = plain(squares) == 0
    return np.where(zero, 0.0, np.sqrt(np.where(zero, 1.0, squares)))


def _constant(function: Callable[..., Any]) -> Callable[..., Any]:
    """What has no slope, or 0, answers as on plain arrays."""
    return lambda *args, **options: function(*map(plain, args), **options)


_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.sum: _sum, np.mean: _mean, np.var: _var, np.std: _std, np.prod: _prod, np.cumsum: _cumsum,
    np.max: _extreme(np.max), np.amax: _extreme(np.max), np.min: _extreme(np.min), np.amin: _extreme(np.min),
    np.linalg.norm: _norm, np.dot: _dot, np.outer: _outer, np.where: _where, np.clip: _clip,
    np.concatenate: _concatenate, np.stack: _stack, np.hstack: _hstack, np.vstack: _vstack,
    np.reshape: _reshape, np.ravel: lambda x: _reshape(x, -1), np.transpose: _transpose,
    np.broadcast_to: _broadcast_to, np.copy: lambda x: x,
    np.shape: lambda x: x.shape, np.ndim: lambda x: x.ndim, np.size: lambda x: x.size,
    np.atleast_1d: lambda x: x if x.ndim else x[None], np.atleast_2d: lambda x: x if x.ndim > 1 else x[None],
    **{each: _arranged(each) for each in (
        np.swapaxes, np.moveaxis, np.expand_dims, np.squeeze, np.flip, np.roll, np.repeat, np.tile,
        np.diagonal,
    )},
    **{each: _constant(each) for each in (
        np.argmax, np.argmin, np.argsort, np.any, np.all, np.allclose, np.isclose, np.array_equal,
        np.zeros_like, np.ones_like,
    )},
}  # fmt: skip

_METHODS: dict[str, Callable[..., Any]] = {"flatten": np.ravel} | {
    each.__name__: each for each in (
        np.max, np.min, np.var, np.std, np.prod, np.cumsum, np.dot, np.clip, np.ravel, np.copy, np.swapaxes,
        np.squeeze, np.repeat, np.diagonal, np.argmax, np.argmin, np.argsort, np.any, np.all,
    )
}  # fmt: skip


# ---------------------------------------------------------------- derivatives


def seed(x: Any, tangent: Any) -> Dual:
    """x + tangent·ε, with an ε that no other derivative under way knows."""
    return Dual(_as_array(x, "x is"), tangent, next(_levels))


def tangent_of(out: Any, level: int, like: Any) -> Any:
    """The part of a result before the ε of a level; zeros where it does not depend on it."""
    if _belongs(out, level):
        return _full(out)
    return np.zeros((*_directions(like), *np.shape(out)), plain(like).dtype)


def at_once(size: int) -> int:
    """How many directions of so many numbers one evaluation should follow together."""
    return max(1, min(_AT_ONCE, _NUMBERS // max(1, size)))


def derivative(function: Callable[[Any], Any], x: Any, direction: Any = None) -> Any:
    """The derivative of `function` at x along a direction, in the shape of function(x).

    x          a real number or an array of them
    direction  an array of x's shape; ones where it is not given, so that an elementwise function gives
               its slope at each element
    """
    x = _as_array(x, "x is")
    if direction is None:
        direction = np.ones((1,) * np.ndim(x), plain(x).dtype)
    else:
        direction = _as_array(direction, "the direction is")
        _check_shape("direction", direction, x)
    it = seed(x, direction)
    return tangent_of(_result(function, it), it.level, it)


def gradient(function: Callable[[Any], Any], x: Any) -> Any:
    """The gradient at x of a function whose result is one number, in the shape of x.

    Forward mode: one direction for each element, up to 256 of them in one evaluation. InputError where the
    result is not one number.
    """
    x = _as_array(x, "x is")
    shape, size = np.shape(x), math.prod(np.shape(x))
    parts = []
    for start in range(0, size, at_once(size)):
        count = min(at_once(size), size - start)
        directions = np.eye(count, size, start, plain(x).dtype).reshape((count, *shape))
        it = seed(x, directions)
        parts.append(tangent_of(_one_number(_result(function, it)), it.level, it))
    return np.reshape(np.concatenate(parts), shape) if parts else np.zeros(shape, plain(x).dtype)


def _result(function: Callable[[Any], Any], x: Any) -> Any:
    """What the function gives at x: a Dual or an array of real numbers."""
    try:
        out = function(x)
    except ValueError as error:
        if isinstance(error.__cause__, InputError):  # NumPy's y[0] = x hides the sentence behind its own
            raise error.__cause__ from None
        raise
    if out is None:
        raise InputError("the function gave None: it must return its result")
    return _real(out, "the function gave")


def _one_number(out: Any) -> Any:
    if np.shape(out) != ():
        given = _shape_in_words(out)
        raise InputError(f"a gradient needs a function with one number as result, this one gave {given}")
    return out


def _check_shape(name: str, given: Any, x: Any) -> None:
    if np.shape(given) != np.shape(x):
        raise InputError(
            f"a {name} of shape {_shape_in_words(given)} was given, allowed is the shape of x: "
            f"{_shape_in_words(x)}"
        )


def _shape_in_words(x: Any) -> str:
    return "×".join(map(str, np.shape(x))) or "one number"


def _as_array(x: Any, what: str) -> Any:
    """x itself where it is an array or Dual of floating numbers; else as float64."""
    x = _real(x, what)
    return x if x.dtype.kind == "f" else x.astype(np.float64)


def numeric_gradient(function: Callable[[Any], Any], x: Any, step: float = 1e-6) -> np.ndarray:
    """The gradient by central differences, (f(x + h) − f(x − h)) / 2h for each element, in float64.

    The error falls with h² until rounding takes over; h is `step` times max(1, |x|).
    """
    x = np.array(x, np.float64)
    found: np.ndarray = np.empty_like(x)
    for place in np.ndindex(x.shape):
        found[place] = _difference(function, x, place, step * max(1.0, abs(x[place])))
    return found


def _difference(function: Callable[[Any], Any], x: np.ndarray, place: tuple[int, ...], width: float) -> Any:
    """The slope from `width` below one element to as much above it."""
    ends, values = [], []
    for end in (x[place] + width, x[place] - width):
        moved = x.copy()
        moved[place] = end
        ends.append(end)
        values.append(_one_number(_result(function, moved)).astype(np.float64))
    return (values[0] - values[1]) / (ends[0] - ends[1])


# ---------------------------------------------------------------- a check of gradients


class Slope(NamedTuple):
    """A numeric slope, and how far off it may be."""

    value: float
    doubt: float


def check_gradient(
    function: Callable[[Any], Any], x: Any, claimed: Any = None, tolerance: float = 1e-6
) -> float:
    """Compare a gradient with numeric differences, each element by itself; GradientError where one is wrong.

    An element passes where it differs from the numeric slope by no more than `tolerance` times the larger of
    the two, plus the numeric slope's own doubt: what two step sizes differ by, and what rounding of the
    function's values makes of it. So a wrong slope passes only where it lies within the doubt, as no
    difference can tell it there: a function of size F does not show slopes far below 1e-15 F / |x|. At a
    corner the numeric slope is the mean of both sides'. A right slope is refused only where the function
    itself has lost the digits (1 − cos x near 0) or has a corner within a millionth of a step.

    claimed    the gradient to check, an array of x's shape, or a function that gives it at x; that of dual
               numbers where it is not given
    returns    the largest relative error, of what goes beyond the doubt
    """
    x = np.array(_as_array(x, "x is"), np.float64)
    found = gradient(function, x) if claimed is None else claimed(x) if callable(claimed) else claimed
    found = np.asarray(_real(found, "the claimed gradient is"), np.float64)
    _check_shape("gradient", found, x)
    _one_number(_result(function, x))
    noise = _noise(function, x)
    errors, slopes, doubt = (np.zeros(x.shape) for _ in range(3))
    for place in np.ndindex(x.shape):
        slopes[place], doubt[place] = _numeric_slope(function, x, place, noise, tolerance)
        apart = abs(found[place] - slopes[place])
        if not apart <= doubt[place]:
            errors[place] = (apart - doubt[place]) / max(abs(found[place]), abs(slopes[place]))
    error = float(errors.max(initial=0.0))
    if not error <= tolerance:
        place = np.unravel_index(int(np.argmax(errors)), x.shape)
        where = f" at {tuple(map(int, place))}" if place else ""
        raise GradientError(
            f"the gradient is {found[place]:.9g}{where}, numeric differences give {slopes[place]:.9g} "
            f"± {doubt[place]:.1e} (relative error {error:.1e}, allowed {tolerance:.1e})"
        )
    return error


def _noise(function: Callable[[Any], Any], x: np.ndarray) -> float:
    """How far rounding may move the function's values near x: no less than two last places.

    More where digits are lost on the way: eighth differences over a few millionths of x, where all else
    cancels, make noise √12870 times as large. Their median leaves a corner out; eight times it is plenty.
    """
    values = np.array([_where_defined(function, x * (1 - 2**-23 * step)) for step in range(25)])
    last_place = np.finfo(values.dtype).eps if values.dtype.kind == "f" else np.finfo(np.float64).eps
    scatter = float(np.median(np.abs(np.diff(values.astype(np.float64), 8)))) / math.sqrt(12870)
    least = 2 * float(last_place * abs(values[0]))
    return max(8 * scatter, least) if math.isfinite(scatter) else least


def _where_defined(function: Callable[[Any], Any], x: np.ndarray) -> Any:
    """The function's value; NaN where it has none, also where Python's own functions raise an error."""
    try:
        with np.errstate(all="ignore"):
            return _result(function, x)
    except (ValueError, ArithmeticError):
        return np.array(np.nan)


def _numeric_slope(
    function: Callable[[Any], Any], x: np.ndarray, place: tuple[int, ...], noise: float, tolerance: float
) -> Slope:
    """The slope along one element, from the step that leaves the least doubt.

    Steps begin at a thousandth of the element. Where that leaves too much doubt, they become wider if it is
    rounding, as long as they agree (a wave may fit a wide step), else narrower. Beyond the element's own size
    (as a root has no values below 0) they go last.
    """
    size = abs(x[place]) or 1.0
    best, rounding = _extrapolated(function, x, place, noise, size * 2**-10)
    much_rounding = best.doubt < 2 * rounding
    wider = [size * 2**-5, size / 2, *(each for each in (2**-10, 2**-5, 0.5) if each > size)]
    narrower = [size * 2**-15, size * 2**-20, size * 2**-25]
    for width in wider if much_rounding else narrower:
        if best.doubt <= tolerance / 2 * abs(best.value):
            break
        slope, _ = _extrapolated(function, x, place, noise, width)
        if much_rounding and not abs(slope.value - best.value) <= slope.doubt + best.doubt:
            break
        best = slope if slope.doubt < best.doubt else best
    return best


def _extrapolated(
    function: Callable[[Any], Any], x: np.ndarray, place: tuple[int, ...], noise: float, width: float
) -> tuple[Slope, float]:
    """Richardson's extrapolation from a step and half of it; and how much of its doubt is rounding."""
    rounding = 3 * noise / width
    inside = functools.partial(_where_defined, function)
    wide, narrow = (float(_difference(inside, x, place, each)) for each in (width, width / 2))
    change = (narrow - wide) / 3
    if not math.isfinite(change):
        return Slope(math.nan, math.inf), rounding
    return Slope(narrow + change, abs(change) + rounding), rounding
