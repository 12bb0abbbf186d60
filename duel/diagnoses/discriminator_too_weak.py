from __future__ import annotations

from duel.diagnoses._base import Advice, Diagnosis, Finding, Records, confidence, evidence, lasting, rates
from duel.options import options


@options
class DiscriminatorTooWeak(Diagnosis):
    """The discriminator cannot tell real from generated, although the samples are far from the data.

    At the end of a good game it cannot tell either; what gives it away is that nearest neighbours can.

    separation  the chance that a real sample scores above a generated one, below which it cannot tell
    precision   share of the precision of held-out samples, below which the samples are far from the data
    looks       so many looks in a row must agree
    """

    separation: float = 0.6
    precision: float = 0.1
    looks: int = 4

    def find(self, records: Records) -> Finding | None:
        right = records.held_out("precision")
        blind = lasting(records.signal("separation"), lambda value: value < self.separation, self.looks)
        if not right or not blind:
            return None
        far = lasting(records.signal("precision"), lambda value: value < self.precision * right, self.looks)
        if not far:
            return None
        return Finding(
            severity="severe",
            confidence=confidence(far[-1][1], self.precision * right),
            evidence=(
                evidence("separation", blind, self.separation),
                evidence("precision", far, round(self.precision * right, 3)),
            ),
            explanation=(
                "The discriminator is no better than a coin, although the samples are nothing like the "
                "data. The generator learns from what the discriminator can see, so it learns nothing."
            ),
            advice=(
                Advice(
                    _faster(records),
                    "a discriminator that learns as fast as the generator",
                    "Heusel et al. 2017, arXiv:1706.08500",
                ),
                Advice(
                    {"n_critic": 5},
                    "more updates of the discriminator for each of the generator",
                    "Arjovsky et al. 2017, arXiv:1701.07875",
                ),
                Advice(
                    {"network.discriminator_norm": "spectral"},
                    "a norm that keeps it trainable",
                    "Miyato et al. 2018, arXiv:1802.05957",
                ),
            ),
        )


def _faster(records: Records) -> dict[str, object]:
    """The generator's rate for the discriminator, where that is more; else four times its own."""
    mine, others = (records.setting(f"optimizer.{player}.lr") for player in ("discriminator", "generator"))
    if isinstance(mine, float) and isinstance(others, float) and others > mine:
        return {"optimizer.discriminator.lr": others}
    return rates(records, 1.0, 4.0)
