"""What an objective is: two formulas over logits, one value per sample for each player."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from duel.xp import Functions


class Objective(ABC):
    """Both players minimise the mean of what these return.

    probabilistic  the logits' sigmoid is a probability of being real (then D(x) is logged as such)

    Logits come as arrays of shape (N,); `xp` is the table of functions for their kind (`duel.xp`).
    No array library is imported here, so the same formula runs on every engine.
    """

    probabilistic: ClassVar[bool] = True

    @abstractmethod
    def discriminator_loss(self, real: Any, fake: Any, xp: Functions) -> Any:
        """Values (N,) from the logits of real and fake samples, each (N,)."""

    @abstractmethod
    def generator_loss(self, real: Any, fake: Any, xp: Functions) -> Any:
        """Values (N,) from the same logits.

        `real` is None in games where the real tuple does not depend on the generator's player and the
        objective does not compare the two.
        """
