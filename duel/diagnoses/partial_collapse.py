from __future__ import annotations

from duel.diagnoses._base import (
    Advice,
    Diagnosis,
    Finding,
    Records,
    confidence,
    evidence,
    lasting,
    no_batch_norm,
    rates,
    relativistic,
    wider_latent,
)
from duel.options import options


@options
class PartialCollapse(Diagnosis):
    """The samples fall into a few groups of near copies, or leave most of the data out.

    twins      median distance of a sample to its nearest fellow over the same of the data, below which
               samples are copies of each other
    share      of the coverage of held-out samples, below which a generator of believable samples misses modes
    precision  share of the precision of held-out samples, from which on samples are believable
    diversity  below which it is a complete collapse, which has a diagnosis of its own
    """

    twins: float = 0.3
    share: float = 0.3
    precision: float = 0.6
    diversity: float = 0.12

    def find(self, records: Records) -> Finding | None:
        diverse = lasting(records.signal("diversity"), lambda value: value >= self.diversity)
        copies = lasting(records.signal("twins"), lambda value: value < self.twins)
        found = []
        if diverse and copies:
            found.append(evidence("twins", copies, self.twins))
        whole, right = records.held_out("coverage"), records.held_out("precision")
        if diverse and whole and right:
            few = lasting(records.signal("coverage"), lambda value: value < self.share * whole)
            good = lasting(records.signal("precision"), lambda value: value > self.precision * right)
            if few and good:
                found.append(evidence("coverage", few, round(self.share * whole, 3)))
                found.append(evidence("precision", good, round(self.precision * right, 3)))
        if not found:
            return None
        return Finding(
            severity="warning",
            confidence=confidence(float(found[0].value), float(found[0].threshold)),
            evidence=tuple(found),
            explanation=(
                "The generator makes a few kinds of samples again and again and leaves out much of the data. "
                "The discriminator judges samples one by one, so it does not mind that they are alike."
            ),
            advice=(
                *wider_latent(records),
                relativistic(
                    records,
                    "comparing with real samples, with R1 and R2, covers more modes",
                    "Huang et al. 2024, arXiv:2501.05441; our own points table, docs/evidence/variants.md",
                ),
                Advice(
                    {"objective.name": "wasserstein", "penalties": "interpolated", **no_batch_norm(records)},
                    "a critic with a bounded slope sees how the samples lie as a whole",
                    "Gulrajani et al. 2017, arXiv:1704.00028",
                ),
                Advice(
                    rates(records, 0.5, 1.0),
                    "a generator that moves slower than the discriminator follows it, instead of fleeing "
                    "from mode to mode",
                    "Heusel et al. 2017, arXiv:1706.08500",
                ),
            ),
        )
