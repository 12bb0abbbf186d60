from __future__ import annotations

from typing import Any

from duel.objectives._base import Objective
from duel.options import options
from duel.xp import Functions


@options
class Minimax(Objective):
    """The zero-sum game: the generator minimises log(1 − D(G(z))).

    Goodfellow et al. 2014 (arXiv:1406.2661), equation 1. Its gradient vanishes when the discriminator
    is sure; `non-saturating` is the form to train with.
    """

    def discriminator_loss(self, real: Any, fake: Any, xp: Functions) -> Any:
        return xp.softplus(-real) + xp.softplus(fake)

    def generator_loss(self, real: Any, fake: Any, xp: Functions) -> Any:
        return -xp.softplus(fake)
