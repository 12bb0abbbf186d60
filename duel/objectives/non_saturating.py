from __future__ import annotations

from typing import Any

from duel.objectives._base import Objective
from duel.options import options
from duel.xp import Functions


@options
class NonSaturating(Objective):
    """The discriminator's cross-entropy; the generator maximises log D(G(z)).

    Goodfellow et al. 2014 (arXiv:1406.2661), the alternative at the end of section 3. It has the same
    fixed point as the minimax game but another gradient: it is strong where the discriminator is sure
    that the sample is fake, exactly where minimax's vanishes.
    """

    def discriminator_loss(self, real: Any, fake: Any, xp: Functions) -> Any:
        # −log σ(real) − log(1 − σ(fake)), written so that it cannot overflow
        return xp.softplus(-real) + xp.softplus(fake)

    def generator_loss(self, real: Any, fake: Any, xp: Functions) -> Any:
        return xp.softplus(-fake)
