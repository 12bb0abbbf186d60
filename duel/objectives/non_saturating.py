from __future__ import annotations

from typing import Any

from duel.objectives._base import Objective, check_smoothing
from duel.objectives._cross_entropy import cross_entropy
from duel.options import options
from duel.xp import Functions


@options
class NonSaturating(Objective):
    """The discriminator's cross-entropy; the generator maximises log D(G(z)).

    Goodfellow et al. 2014 (arXiv:1406.2661), the alternative at the end of section 3. It has the same
    fixed point as the minimax game but another gradient: it is strong where the discriminator is sure
    that the sample is fake, exactly where minimax's vanishes.

    smoothing  the discriminator's target for real samples; 0.9 is one-sided label smoothing, 1 is none
    """

    smoothing: float = 1.0

    def discriminator_loss(self, real: Any, fake: Any, xp: Functions) -> Any:
        return cross_entropy(real, fake, self.smoothing, xp)

    def generator_loss(self, real: Any, fake: Any, xp: Functions) -> Any:
        loss = xp.softplus(-fake)
        return loss if real is None else loss + xp.softplus(real)

    def __post_init__(self) -> None:
        check_smoothing(self.smoothing)
