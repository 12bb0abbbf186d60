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
    of_player,
    rates,
    relativistic,
    wider_latent,
)
from duel.options import options

_STILL_WEIGHTS = 1e-5  # of a weight matrix changes in one step: a hundredth of what is usual
_STILL_SAMPLES = 0.2  # so far batch norm's statistics alone move samples in the first steps


@options
class ModeCollapse(Diagnosis):
    """All samples are (nearly) the same image: mode collapse, complete.

    Goodfellow 2016 (arXiv:1701.00160), section 5.1.1. A generator that has never drawn different samples and
    whose weights stand still has not collapsed: it is untrained, which `nothing-learned` says.

    diversity  mean distance of two samples over that of two real ones, below which they count as one image
    """

    diversity: float = 0.12

    def find(self, records: Records) -> Finding | None:
        low = lasting(records.signal("diversity"), lambda value: value < self.diversity)
        if not low or self._untrained(records):
            return None
        advice = (
            *wider_latent(records),
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

    def _untrained(self, records: Records) -> bool:
        """Whether samples never were different, and neither they nor the generator's weights have moved."""
        tables = (of_player(table, "generator") for _, table in records.table("update_ratio"))
        updates = [max(table, default=0.0) for table in tables]
        moves = [value for _, value in records.signal("movement")]
        if not updates or not moves or max(updates) > _STILL_WEIGHTS or max(moves) > _STILL_SAMPLES:
            return False
        return all(value < self.diversity for _, value in records.signal("diversity"))
