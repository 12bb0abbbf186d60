from __future__ import annotations

from duel.diagnoses._base import (
    Advice,
    Diagnosis,
    Finding,
    Records,
    confidence,
    evidence,
    lasting,
    network,
    rates,
)
from duel.options import options

_LABELS = (
    Advice(
        {"network.condition": "projection"},
        "labels in batch norm leave the first layer to the latent vector",
        "Miyato, Koyama 2018, arXiv:1802.05637",
    ),
)


@options
class LatentIgnored(Diagnosis):
    """The samples do not depend on the latent vector, and have not since training began.

    Apart from mode collapse, which comes after the samples did differ: here the generator's networks or its
    labels leave no way for the latent vector.

    sensitivity  how far a sample moves with its latent vector (1: as far as in the data), below which it
                 stands still
    """

    sensitivity: float = 0.02

    def find(self, records: Records) -> Finding | None:
        series = records.signal("sensitivity")
        still = lasting(series, lambda value: value < self.sensitivity)
        if not still or any(value >= self.sensitivity for _, value in series):
            return None
        return Finding(
            severity="severe",
            confidence=confidence(still[-1][1], self.sensitivity),
            evidence=(evidence("sensitivity", still, self.sensitivity),),
            explanation=(
                "Moving the latent vector changes nothing in the samples, from the first look on. The "
                "generator does not see its input: a layer scales it away, or labels have taken its place."
            ),
            advice=(
                Advice(network(records, "dcgan"), "networks of the catalog pass the latent vector on", None),
                *(_LABELS if records.conditional else ()),
                Advice(
                    rates(records, 0.5, 0.5),
                    "a generator whose first layer has saturated may come back at lower rates",
                    None,
                ),
            ),
        )
