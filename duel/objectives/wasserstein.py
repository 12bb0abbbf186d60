from __future__ import annotations

from typing import Any

from duel.objectives._base import Objective
from duel.options import options
from duel.xp import Functions


@options
class Wasserstein(Objective):
    """The critic's mean difference between fake and real; the generator raises the critic's score.

    Arjovsky, Chintala, Bottou 2017 (arXiv:1701.07875), equation 2. It estimates a distance only while
    the critic's slope is bounded: add a penalty (interpolated), a constraint (clip) or spectral norm.
    """

    probabilistic = False
    boundary = None

    def discriminator_loss(self, real: Any, fake: Any, xp: Functions) -> Any:
        return fake - real

    def generator_loss(self, real: Any, fake: Any, xp: Functions) -> Any:
        return -fake if real is None else real - fake
