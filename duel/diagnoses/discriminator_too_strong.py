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
    no_batch_norm,
    rates,
)
from duel.options import options


@options
class DiscriminatorTooStrong(Diagnosis):
    """The discriminator is always right, and the generator gets nowhere.

    Arjovsky, Bottou 2017 (arXiv:1701.04862), section 2: a perfect discriminator's gradient vanishes or is
    useless. Being always right is no fault by itself: critics with a bounded slope are.

    separation  the chance that a held-out sample scores above a generated one, from which on it is right
    precision   share of the precision of held-out samples, below which the samples are far from the data
    looks       so many looks in a row must agree
    """

    separation: float = 0.97
    precision: float = 0.05
    looks: int = 5

    def find(self, records: Records) -> Finding | None:
        right = records.held_out("precision")
        name = "separation_held" if records.signal("separation_held") else "separation"
        sure = lasting(records.signal(name), lambda value: value > self.separation, self.looks)
        if not right or not sure:
            return None
        far = lasting(records.signal("precision"), lambda value: value < self.precision * right, self.looks)
        if not far or _comes_nearer(records, self.looks):
            return None
        bounded = bool(records.setting("penalties.r1.weight"))
        advice = [
            *adam(records),
            Advice(
                rates(records, 1.0, 0.1),
                "a slower discriminator stays within the generator's reach",
                "Heusel et al. 2017, arXiv:1706.08500",
            ),
            Advice({"n_critic": 1}, "fewer updates of the discriminator for each of the generator", None),
            Advice(
                {"objective.name": "wasserstein", "penalties": "interpolated", **no_batch_norm(records)},
                "a critic with a bounded slope gives a direction however sure it is",
                "Gulrajani et al. 2017, arXiv:1704.00028",
            ),
            Advice(
                {"penalties": "r1", **no_batch_norm(records)},
                "a penalty on the slope at real samples",
                "Mescheder et al. 2018, arXiv:1801.04406",
            ),
        ]
        return Finding(
            severity="severe",
            confidence=confidence(1 - sure[-1][1], 1 - self.separation),
            evidence=(
                evidence(name, sure, self.separation),
                evidence("precision", far, round(self.precision * right, 4)),
            ),
            explanation=(
                "The discriminator tells generated samples from real ones without a mistake, and the "
                "samples do not come nearer to the data. It learns faster than the generator can follow, "
                "and what it passes back is of no use."
            ),
            advice=tuple(advice[:-1] if bounded else advice),
        )


def _comes_nearer(records: Records, looks: int) -> bool:
    """Whether the samples' distance to the training data has fallen by a tenth within these looks."""
    nearest = [value for _, value in records.signal("nearest")[-looks:]]
    return len(nearest) > 1 and nearest[-1] < 0.9 * nearest[0]
