from __future__ import annotations

from typing import Any

from duel.objectives._base import Objective
from duel.options import options
from duel.xp import Functions


@options
class Relativistic(Objective):
    """The discriminator says how much more real the real sample is than the fake one of its pair.

    The relativistic pairing GAN of Jolicoeur-Martineau 2018 (arXiv:1807.00734), equations 7 and 8, as
    used by Huang et al. 2024 (arXiv:2501.05441). A score alone has no meaning, only differences do.
    """

    probabilistic = False
    boundary = None
    relativistic = True

    def discriminator_loss(self, real: Any, fake: Any, xp: Functions) -> Any:
        return xp.softplus(fake - real)

    def generator_loss(self, real: Any, fake: Any, xp: Functions) -> Any:
        return xp.softplus(real - fake)
