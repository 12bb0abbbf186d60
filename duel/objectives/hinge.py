from __future__ import annotations

from typing import Any

from duel.objectives._base import Objective
from duel.options import options
from duel.xp import Functions


@options
class Hinge(Objective):
    """The discriminator only separates scores up to the margins 1 and −1; the generator raises its score.

    Lim, Ye 2017 (arXiv:1705.02894); Miyato et al. 2018 (arXiv:1802.05957), equations 16 and 17.
    """

    probabilistic = False

    def discriminator_loss(self, real: Any, fake: Any, xp: Functions) -> Any:
        return xp.maximum(0.0, 1 - real) + xp.maximum(0.0, 1 + fake)

    def generator_loss(self, real: Any, fake: Any, xp: Functions) -> Any:
        return -fake if real is None else real - fake
