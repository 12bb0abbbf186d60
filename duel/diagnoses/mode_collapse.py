from __future__ import annotations

from duel.diagnoses._base import (
    Advice,
    Diagnosis,
    Finding,
    Records,
    adam,
    confidence,
    evidence,
    lasting,
    rates,
    relativistic,
)
from duel.options import options


@options
class ModeCollapse(Diagnosis):
    """All samples are (nearly) the same image: mode collapse, complete.

    Goodfellow 2016 (arXiv:1701.00160), section 5.1.1.

    diversity  mean distance of two samples over that of two real ones, below which they count as one image
    """

    diversity: float = 0.12

    def find(self, records: Records) -> Finding | None:
        low = lasting(records.signal("diversity"), lambda value: value < self.diversity)
        if not low:
            return None
        advice = (
            *adam(records),
            Advice(
                rates(records, 1.0, 0.25),
                "a discriminator that has won gives the generator no direction; a slower one leaves it some",
                "Heusel et al. 2017, arXiv:1706.08500 (rates of their own for both players)",
            ),
            relativistic(
                records,
                "comparing each sample with a real one, with R1 and R2, has no collapsed equilibrium",
                "Huang et al. 2024, arXiv:2501.05441 (R3GAN)",
            ),
        )
        return Finding(
            severity="severe",
            confidence=confidence(low[-1][1], self.diversity),
            evidence=(evidence("diversity", low, self.diversity),),
            explanation=(
                "The generator makes nearly the same sample from every latent vector. It has found one "
                "that the discriminator lets pass (or is stuck), and nothing in the game pulls the samples "
                "apart again."
            ),
            advice=advice,
        )
