"""Arrays of dual numbers a + bε with ε² = 0: calculate with them, and the derivative comes along.

Whatever a function does to a + ε, the part of the result before ε is its derivative (Clifford 1873; forward
mode, as in Baydin et al. 2018, arXiv:1502.05767, section 3.1). `Dual` follows NumPy's own protocols, so a
formula written for arrays runs on it unchanged:

    derivative(np.tanh, x)                          # 1 − tanh² x, elementwise
    gradient(lambda w: np.sum((a @ w - b) ** 2), w)   # 2 aᵀ(a w − b)
    derivative(lambda x: derivative(np.exp, x), x)    # nested: the second derivative
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

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
        """The transposed matrix; InputError for another number of axes."""
        if self.ndim != 2:
            raise InputError(f"dual numbers have .T with two axes, these have {self.ndim}: use np.swapaxes")
        return _swapaxes(self, 0, 1)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Dual:
        # The tangents' positions are looked up: direct indexing would mistake their axes in front.
        chosen = np.arange(self.size).reshape(self.shape)[key]
        tangent = _full(self)
        flat = np.reshape(tangent, (*_directions(self), self.size))
        return Dual(self.value[key], flat[..., chosen], self.level)

    def sum(self, axis: Any = None, keepdims: bool = False) -> Dual:
        """As np.sum."""
        return _sum(self, axis, keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Dual:
        """As np.mean."""
        return _mean(self, axis, keepdims)

    def reshape(self, *shape: Any) -> Dual:
        """As np.reshape."""
        return _reshape(self, shape[0] if len(shape) == 1 else shape)

    def __array__(self, *args: Any, **options: Any) -> Any:
        raise InputError("a dual number in a plain array would lose its derivative: use np.concatenate")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if ufunc in CONSTANT and method == "__call__" and not options:
            return ufunc(*(plain(each) for each in inputs))
        if ufunc is not np.matmul and ufunc not in RULES:
            raise InputError(_UNKNOWN.format(ufunc.__name__, _known()))
        if method != "__call__" or options:
            raise InputError(
                f"dual numbers take np.{ufunc.__name__} only as a plain call, without out=, where= or a "
                "method: write x = x + y in place of x += y"
            )
        return _product(*inputs) if ufunc is np.matmul else _elementwise(ufunc, inputs)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        if function not in _FUNCTIONS:
            raise InputError(_UNKNOWN.format(function.__name__, _known()))
        handler = _FUNCTIONS[function]
        try:
            return handler(*args, **options)
        except TypeError as error:  # an option that the handler does not have
            raise InputError(f"dual numbers take np.{function.__name__} without that: {error}") from error


_UNKNOWN = "dual numbers do not know np.{}: allowed are {}"


def _known() -> str:
    functions = [*RULES, *CONSTANT, *_FUNCTIONS, np.matmul]
    return ", ".join(sorted(each.__name__ for each in functions))


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


def _sum(x: Dual, axis: Any = None, keepdims: bool = False) -> Dual:
    axes = _axes(axis, x.ndim)
    return _moved(x, lambda part, front: np.sum(part, axis=axes, keepdims=keepdims))


def _mean(x: Dual, axis: Any = None, keepdims: bool = False) -> Dual:
    axes = _axes(axis, x.ndim)
    return _moved(x, lambda part, front: np.mean(part, axis=axes, keepdims=keepdims))


def _reshape(x: Dual, shape: Any) -> Dual:
    final = np.empty(x.shape, np.bool_).reshape(shape).shape
    return _moved(x, lambda part, front: np.reshape(part, (*np.shape(part)[:front], *final)))


def _broadcast_to(x: Dual, shape: tuple[int, ...]) -> Dual:
    front = _directions(x)
    return Dual(
        np.broadcast_to(x.value, shape),
        np.broadcast_to(_aligned(x, len(shape)), (*front, *shape)),
        x.level,
    )


def _swapaxes(x: Dual, first: int, second: int) -> Dual:
    one, other = _axes((first, second), x.ndim)
    return _moved(x, lambda part, front: np.swapaxes(part, one, other))


def _concatenate(parts: Any, axis: int = 0) -> Dual:
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


def _where(condition: Any, x: Any, y: Any) -> Dual:
    level = _top([each for each in (condition, x, y) if isinstance(each, Dual)])
    condition = plain(condition)
    out = np.where(condition, _value(x, level), _value(y, level))
    sides = [_aligned(each, np.ndim(out)) if _belongs(each, level) else 0.0 for each in (x, y)]
    return Dual(out, np.where(condition, *sides), level)


def _clip(x: Any, low: Any = None, high: Any = None) -> Any:
    x = x if low is None else np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.sum: _sum, np.mean: _mean, np.reshape: _reshape, np.broadcast_to: _broadcast_to,
    np.swapaxes: _swapaxes, np.concatenate: _concatenate, np.where: _where, np.clip: _clip,
    np.shape: lambda x: x.shape, np.ndim: lambda x: x.ndim, np.size: lambda x: x.size,
}  # fmt: skip


# ---------------------------------------------------------------- derivatives


def seed(x: Any, tangent: Any) -> Dual:
    """x + tangent·ε, with an ε that no other derivative under way knows."""
    return Dual(_as_array(x), tangent, next(_levels))


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

    x          a number or an array
    direction  an array of x's shape; ones where it is not given, so that an elementwise function gives
               its slope at each element
    """
    x = _as_array(x)
    ones = np.ones((1,) * np.ndim(x), plain(x).dtype)
    it = seed(x, ones if direction is None else _as_array(direction))
    return tangent_of(function(it), it.level, it)


def gradient(function: Callable[[Any], Any], x: Any) -> Any:
    """The gradient at x of a function whose result is one number, in the shape of x.

    Forward mode: one direction for each element, up to 256 of them in one evaluation. InputError where the
    result is not one number.
    """
    x = _as_array(x)
    shape, size = np.shape(x), math.prod(np.shape(x))
    parts = []
    for start in range(0, size, at_once(size)):
        count = min(at_once(size), size - start)
        directions = np.eye(count, size, start, plain(x).dtype).reshape((count, *shape))
        it = seed(x, directions)
        out = function(it)
        if np.shape(out) != ():
            given = "×".join(map(str, np.shape(out)))
            raise InputError(f"a gradient needs a function with one number as result, this one gave {given}")
        parts.append(tangent_of(out, it.level, it))
    return np.reshape(np.concatenate(parts), shape) if parts else np.zeros(shape, plain(x).dtype)


def numeric_gradient(function: Callable[[Any], Any], x: Any, step: float = 1e-6) -> np.ndarray:
    """The gradient by central differences, (f(x + h) − f(x − h)) / 2h for each element, in float64.

    The error falls with h² until rounding takes over; h is `step` times max(1, |x|).
    """
    x = np.array(x, np.float64)
    found: np.ndarray = np.empty_like(x)
    for place in np.ndindex(x.shape):
        width = step * max(1.0, abs(x[place]))
        ends = []
        for sign in (1, -1):
            moved = x.copy()
            moved[place] += sign * width
            ends.append(float(function(moved)))
        found[place] = (ends[0] - ends[1]) / (2 * width)
    return found


def check_gradient(
    function: Callable[[Any], Any], x: Any, claimed: Any = None, tolerance: float = 1e-6
) -> float:
    """The largest error of a gradient, relative to the largest numeric slope (or to 1e-12 where all are 0).

    claimed    the gradient to check, an array of x's shape, or a function that gives it at x; that of dual
               numbers where it is not given
    tolerance  GradientError for a larger error
    """
    x = np.array(x, np.float64)
    expected = numeric_gradient(function, x)
    found = gradient(function, x) if claimed is None else claimed(x) if callable(claimed) else claimed
    found = np.asarray(found, np.float64)
    if found.shape != x.shape:
        given, wanted = ("×".join(map(str, shape)) or "one number" for shape in (found.shape, x.shape))
        raise InputError(f"a gradient of shape {given} was given, allowed is the shape of x: {wanted}")
    errors = np.abs(found - expected)
    error = float(errors.max(initial=0.0) / max(float(np.abs(expected).max(initial=0.0)), 1e-12))
    if not error <= tolerance:
        place = np.unravel_index(int(np.argmax(errors)), x.shape)
        where = f" at {tuple(map(int, place))}" if place else ""
        raise GradientError(
            f"the gradient is {found[place]:.9g}{where}, numeric differences give {expected[place]:.9g} "
            f"(relative error {error:.1e}, allowed {tolerance:.1e})"
        )
    return error


def _as_array(x: Any) -> Any:
    """x itself where it is an array or Dual of floating numbers; else as float64."""
    if isinstance(x, Dual):
        return x
    array = np.asarray(x)
    return array if np.issubdtype(array.dtype, np.floating) else array.astype(np.float64)
