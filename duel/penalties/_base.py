"""What a penalty is: where the discriminator's input gradient is taken, and what its norm costs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

from duel.xp import Functions


class Points(NamedTuple):
    """Tuples at which to look, and which of their elements the gradient is taken for (by position)."""

    elements: tuple[Any, ...]
    differentiated: tuple[int, ...]


class Penalty(ABC):
    """The discriminator's loss gains the mean over the points of `value`.

    The engine takes the gradient of each point's logit for that point's own elements and sums its
    square over everything but the batch axis: one norm per sample, over all of its dimensions.
    """

    @abstractmethod
    def points(self, real: tuple[Any, ...], fake: tuple[Any, ...], rng: Any, xp: Functions) -> Points:
        """Where to look, from the real and the fake tuple. `rng` is a NumPy Generator."""

    @abstractmethod
    def value(self, squared_norm: Any, xp: Functions) -> Any:
        """The cost (N,) of squared gradient norms (N,)."""
