from __future__ import annotations

from typing import Any

from duel.objectives._base import Objective
from duel.options import options
from duel.xp import Functions


@options
class Rational(Objective):
    """The non-saturating game with D = ½ (s/(1 + |s|) + 1) in the place of the sigmoid of a score s.

    Bensi, Nocchi 2023, who avoid the exponential so. The slope at 0 is ½ instead of ¼ and the tails fall
    like 1/|s| instead of e^−|s|: D is never sure. The discriminator minimises −log D(x) − log(1 − D(G(z))),
    the generator −log D(G(z)).
    """

    probabilistic = False
    boundary = 0.0

    def discriminator_loss(self, real: Any, fake: Any, xp: Functions) -> Any:
        return _surprise(real, xp) + _surprise(-fake, xp)

    def generator_loss(self, real: Any, fake: Any, xp: Functions) -> Any:
        loss = _surprise(fake, xp)
        return loss if real is None else loss + _surprise(-real, xp)


def _surprise(score: Any, xp: Functions) -> Any:
    """−log D = log 2 + log(1 + |s|) − log(1 + s + |s|): 1 + s + |s| is 1 below zero and 1 + 2s above."""
    size = xp.abs(score)
    return xp.log(2 * (1 + size)) - xp.log(1 + (score + size))
