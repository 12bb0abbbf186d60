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


@options
class NotInverse(Diagnosis):
    """In a bidirectional game, encoder and generator do not undo each other.

    Donahue et al. 2016 (arXiv:1605.09782), theorem 2: at the optimum they do.

    match  the chance that a held-out sample is nearer to its own reconstruction than to another's, below
           which they are not each other's inverse (0.5: no better than chance)
    after  share of the budget before which it is too early to say
    looks  so many looks in a row must agree
    """

    match: float = 0.75
    after: float = 0.5
    looks: int = 4

    def find(self, records: Records) -> Finding | None:
        if records.now < self.after * (records.total or 0):
            return None
        wrong = lasting(records.signal("match"), lambda value: value < self.match, self.looks)
        if not wrong:
            return None
        return Finding(
            severity="warning",
            confidence=confidence(wrong[-1][1], self.match),
            evidence=(evidence("match", wrong, self.match),),
            explanation=(
                "What the generator makes of a sample's code is hardly nearer to the sample than any other "
                "sample is. Encoder and generator have not become each other's inverse."
            ),
            advice=(
                Advice(
                    network(records, "bigan-dense"),
                    "a discriminator that sees sample and code together",
                    "Donahue et al. 2016, arXiv:1605.09782",
                ),
                Advice(
                    {"augmentations": "noise"},
                    "noise on the images slows a discriminator that wins",
                    "Casadei, Papa 2021",
                ),
                Advice(rates(records, 1.0, 0.25), "a slower discriminator", "Casadei, Papa 2021"),
                Advice({}, "train longer: the inverse comes after the samples", None),
            ),
        )
