"""What a penalty is: where the discriminator's input gradient is taken, and what its norm costs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

from duel.options import options
from duel.schedule import Schedule, values_of
from duel.xp import Functions


class Points(NamedTuple):
    """Tuples at which to look, and which of their elements the gradient is taken for (by position)."""

    elements: tuple[Any, ...]
    differentiated: tuple[int, ...]


@options
class Penalty(ABC):
    """The discriminator's loss gains the mean over the points of `value`.

    The engine takes the gradient of each point's logit for that point's own elements and sums its
    square over everything but the batch axis: one norm per sample, over all of its dimensions. In the
    bidirectional game that is the norm over the pair of sample and latent vector. Labels are neither
    moved nor differentiated.

    weight  what the penalty is multiplied with; a number or a schedule
    every   the penalty is computed in every so many-th update only, and then counts so many times
            (Karras et al. 2020, arXiv:1912.04958, section 3.1)
    """

    weight: float | Schedule = 10.0
    every: int = 1

    def __post_init__(self) -> None:
        if min(values_of(self.weight)) < 0:
            raise ValueError(f"weight is {self.weight}, allowed are numbers from 0")
        if self.every < 1:
            raise ValueError(f"every is {self.every}, allowed are integers from 1")

    @abstractmethod
    def points(self, real: tuple[Any, ...], fake: tuple[Any, ...], rng: Any, xp: Functions) -> Points:
        """Where to look, from the real and the fake tuple. `rng` is a NumPy Generator."""

    @abstractmethod
    def value(self, squared_norm: Any, xp: Functions) -> Any:
        """The cost (N,) of squared gradient norms (N,)."""


def continuous(elements: tuple[Any, ...]) -> tuple[int, ...]:
    """The positions of a tuple's real-valued elements: labels are integers."""
    return tuple(number for number, element in enumerate(elements) if "int" not in str(element.dtype))


def uniform(like: Any, rng: Any) -> Any:
    """U(0, 1) in the shape and kind of an array (torch tensor or NumPy array)."""
    return _in_kind(rng.random(tuple(like.shape), "float32"), like)


def uniform_per_sample(like: Any, rng: Any) -> Any:
    """One U(0, 1) for each sample of an array, N×1×…×1 in its kind."""
    shape = (like.shape[0], *(1 for _ in like.shape[1:]))
    return _in_kind(rng.random(shape, "float32"), like)


def _in_kind(drawn: Any, like: Any) -> Any:
    return like.new_tensor(drawn) if hasattr(like, "new_tensor") else drawn.astype(like.dtype)
