from __future__ import annotations

from duel.diagnoses._base import Advice, Diagnosis, Finding, Records, confidence, evidence, lasting, rates
from duel.options import options


@options
class Oscillation(Diagnosis):
    """Everything moves and nothing gets better.

    movement  how far samples at fixed latent vectors move between looks (1: as two real samples are apart)
    nearer    by how much the best distance to the data must have fallen in the second half of the looks
    good      distance to the data (1: that of held-out samples) below which all is well
    after     share of the budget before which everything moves
    looks     so many looks in a row must agree
    """

    movement: float = 0.65
    nearer: float = 0.05
    good: float = 1.3
    after: float = 0.4
    looks: int = 5

    def find(self, records: Records) -> Finding | None:
        if records.now < self.after * (records.total or 0):
            return None
        moving = lasting(records.signal("movement"), lambda value: value > self.movement, self.looks)
        nearest = records.signal("nearest")
        if not moving or len(nearest) < 2 * self.looks:
            return None
        half = len(nearest) // 2
        early, late = (min(value for _, value in part) for part in (nearest[:half], nearest[half:]))
        if late < (1 - self.nearer) * early or late < self.good:
            return None
        return Finding(
            severity="warning",
            confidence=confidence(moving[-1][1], self.movement),
            evidence=(
                evidence("movement", moving, self.movement),
                evidence("nearest", nearest[half:], float(f"{(1 - self.nearer) * early:.4g}")),
            ),
            explanation=(
                "From look to look the samples change as much as different images do, and they are no "
                "nearer to the data than long ago. "
                "The players go round each other instead of towards each other."
            ),
            advice=(
                Advice(
                    rates(records, 0.25, 0.25),
                    "smaller steps spiral inwards where large ones circle",
                    "Mescheder et al. 2018, arXiv:1801.04406",
                ),
                Advice(
                    {"optimizer.generator.beta1": 0.0, "optimizer.discriminator.beta1": 0.0},
                    "momentum feeds the rotation",
                    "Gidel et al. 2019, arXiv:1807.04740",
                ),
                Advice(
                    {"ema.decay": 0.999},
                    "the average of the generator's weights over the steps is near the middle of the circle",
                    "Yazıcı et al. 2018, arXiv:1806.04498",
                ),
            ),
        )
