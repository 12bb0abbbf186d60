from __future__ import annotations

from duel.diagnoses._base import (
    Advice,
    Diagnosis,
    Finding,
    Records,
    confidence,
    evidence,
    lasting,
    rates,
    relativistic,
)
from duel.options import options


@options
class ModeHopping(Diagnosis):
    """The samples change to other modes between looks, while the modes covered at once stay few.

    Metz et al. 2016 (arXiv:1611.02163), figure 2, shows it on a ring of Gaussians.

    movement  how far samples at fixed latent vectors move between looks (1: as two real samples are apart)
    share     of the coverage of held-out samples, below which few modes are covered
    after     share of the budget before which everything moves
    looks     so many looks in a row must agree
    """

    movement: float = 0.65
    share: float = 0.35
    after: float = 0.3
    looks: int = 4

    def find(self, records: Records) -> Finding | None:
        whole = records.held_out("coverage")
        if not whole or records.now < self.after * (records.total or 0):
            return None
        moving = lasting(records.signal("movement"), lambda value: value > self.movement, self.looks)
        few = lasting(records.signal("coverage"), lambda value: value < self.share * whole, self.looks)
        if not moving or not few:
            return None
        return Finding(
            severity="warning",
            confidence=confidence(moving[-1][1], self.movement),
            evidence=(
                evidence("movement", moving, self.movement),
                evidence("coverage", few, round(self.share * whole, 3)),
            ),
            explanation=(
                "The same latent vectors give quite other samples at every look, yet never many kinds at "
                "once. The generator flees from what the discriminator has just learnt to reject, and the "
                "chase goes round."
            ),
            advice=(
                Advice(
                    rates(records, 0.25, 1.0),
                    "a slower generator gives the discriminator time to remember every mode",
                    "Heusel et al. 2017, arXiv:1706.08500",
                ),
                relativistic(records, "R1 and R2 damp the chase", "Mescheder et al. 2018, arXiv:1801.04406"),
                Advice(
                    {"ema.decay": 0.999},
                    "the average of the generator's weights over the steps does not hop",
                    "Yazıcı et al. 2018, arXiv:1806.04498",
                ),
            ),
        )
