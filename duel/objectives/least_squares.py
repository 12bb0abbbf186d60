from __future__ import annotations

from typing import Any

from duel.objectives._base import Objective, check_smoothing
from duel.options import options
from duel.xp import Functions


@options
class LeastSquares(Objective):
    """Squared distances to the targets 1 for real and 0 for fake; the generator's target is 1.

    Mao et al. 2017 (arXiv:1611.04076), equation 9 (a = 0, b = c = 1). The scores are no logits.

    smoothing  the discriminator's target for real samples; 0.9 is one-sided label smoothing, 1 is none
    """

    smoothing: float = 1.0
    probabilistic = False
    boundary = 0.5

    def discriminator_loss(self, real: Any, fake: Any, xp: Functions) -> Any:
        return (real - self.smoothing) ** 2 / 2 + fake**2 / 2

    def generator_loss(self, real: Any, fake: Any, xp: Functions) -> Any:
        loss = (fake - 1) ** 2 / 2
        return loss if real is None else loss + real**2 / 2

    def __post_init__(self) -> None:
        check_smoothing(self.smoothing)
