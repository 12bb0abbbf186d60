"""What an objective is: two formulas over logits, one value per sample for each player."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from duel.xp import Functions


class Objective(ABC):
    """Both players minimise the mean of what these return.

    probabilistic  the logits' sigmoid is a probability of being real (then D(x) is logged as such)
    relativistic   the generator's loss compares fake logits with real ones
    boundary       the logit at which the discriminator is undecided; None where a logit alone says nothing

    Logits come as arrays of shape (N,); `xp` is the table of functions for their kind (`duel.xp`).
    No array library is imported here, so the same formula runs on every engine.
    """

    probabilistic: ClassVar[bool] = True
    relativistic: ClassVar[bool] = False
    boundary: ClassVar[float | None] = 0.0

    @abstractmethod
    def discriminator_loss(self, real: Any, fake: Any, xp: Functions) -> Any:
        """Values (N,) from the logits of real and fake samples, each (N,)."""

    @abstractmethod
    def generator_loss(self, real: Any, fake: Any, xp: Functions) -> Any:
        """Values (N,) from the same logits.

        `real` is None in games whose real tuple does not depend on the generator's player, unless the
        objective is relativistic. Where it is given, the loss has both terms: the player makes fake
        tuples look real and, through its encoder, real ones look fake (Donahue et al. 2016, Λ).
        """


def check_smoothing(smoothing: float) -> None:
    """ValueError unless it is a target for real samples: above 0.5, at most 1."""
    if not 0.5 < smoothing <= 1:
        raise ValueError(
            f"smoothing is {smoothing}, allowed are targets above 0.5 up to 1: 0.9 is the usual one-sided "
            "label smoothing, 1 is none"
        )
