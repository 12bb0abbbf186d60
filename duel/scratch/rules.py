"""The table of rules: the partial derivatives of each elementwise function, one for each argument.

Each is a function of the result and the arguments, written for arrays. The arguments may be dual numbers
themselves, which is how a second derivative comes about.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Partial = Callable[..., Any]


def _larger(x: Any, y: Any) -> Any:
    """1 where x > y, 0 where x < y; ½ where they meet: the mean of both sides' slopes."""
    return (1 + np.sign(x - y)) / 2


def _power(x: Any, y: Any) -> Any:
    """y x^(y − 1); 0 for the exponent 0, also at x = 0."""
    number: bool = np.isscalar(y)
    if number:
        return 0.0 if y == 0 else y * x ** (y - 1)
    return y * x ** np.where((x == 0) & (y == 0), 0, y - 1)


def _exponent(out: Any, x: Any, y: Any) -> Any:
    """x^y log x; 0 at x = 0 for y > 0. (What is differentiated again there holds for y > 1.)"""
    return out * np.log(np.where((x == 0) & (y > 0), np.ones_like(out), x))


RULES: dict[np.ufunc, tuple[Partial, ...]] = {
    np.add: (lambda out, x, y: 1.0, lambda out, x, y: 1.0),
    np.subtract: (lambda out, x, y: 1.0, lambda out, x, y: -1.0),
    np.multiply: (lambda out, x, y: y, lambda out, x, y: x),
    np.divide: (lambda out, x, y: 1 / y, lambda out, x, y: -out / y),
    np.power: (lambda out, x, y: _power(x, y), _exponent),
    np.negative: (lambda out, x: -1.0,),
    np.positive: (lambda out, x: 1.0,),
    np.absolute: (lambda out, x: np.sign(x),),
    np.square: (lambda out, x: 2 * x,),
    np.sqrt: (lambda out, x: 0.5 / out,),
    np.reciprocal: (lambda out, x: -out * out,),
    np.exp: (lambda out, x: out,),
    np.expm1: (lambda out, x: out + 1,),
    np.log: (lambda out, x: 1 / x,),
    np.log1p: (lambda out, x: 1 / (1 + x),),
    np.log2: (lambda out, x: 1 / (x * math.log(2)),),
    np.log10: (lambda out, x: 1 / (x * math.log(10)),),
    np.sin: (lambda out, x: np.cos(x),),
    np.cos: (lambda out, x: -np.sin(x),),
    np.tan: (lambda out, x: 1 + out * out,),
    np.arctan: (lambda out, x: 1 / (1 + x * x),),
    np.sinh: (lambda out, x: np.cosh(x),),
    np.cosh: (lambda out, x: np.sinh(x),),
    np.tanh: (lambda out, x: 1 - out * out,),
    np.logaddexp: (lambda out, x, y: np.exp(x - out), lambda out, x, y: np.exp(y - out)),
    np.maximum: (lambda out, x, y: _larger(x, y), lambda out, x, y: _larger(y, x)),
    np.minimum: (lambda out, x, y: _larger(y, x), lambda out, x, y: _larger(x, y)),
}

# Piecewise constant: their derivative is 0 wherever there is one, so they answer with plain arrays.
CONSTANT: frozenset[np.ufunc] = frozenset({
    np.greater, np.greater_equal, np.less, np.less_equal, np.equal, np.not_equal,
    np.sign, np.isfinite, np.isnan, np.isinf, np.floor, np.ceil, np.rint,
})  # fmt: skip
