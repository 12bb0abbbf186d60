from __future__ import annotations

from duel.diagnoses._base import Advice, Diagnosis, Finding, Records, confidence, evidence, lasting
from duel.options import options


@options
class NothingLearned(Diagnosis):
    """The samples are still nothing like the data.

    precision  share of the precision of held-out samples that is next to nothing; the same for coverage
    nearer     by how much the samples must have come nearer to the data since the first look
    looks      so many looks in a row must agree; severe from half of the budget on
    """

    precision: float = 0.03
    nearer: float = 0.1
    looks: int = 5

    def find(self, records: Records) -> Finding | None:
        right, whole = records.held_out("precision"), records.held_out("coverage")
        nearest = records.signal("nearest")
        if not right or not whole or len(nearest) < self.looks:
            return None
        far = lasting(records.signal("precision"), lambda value: value <= self.precision * right, self.looks)
        none = lasting(records.signal("coverage"), lambda value: value <= self.precision * whole, self.looks)
        moments = len({step for step, _ in nearest}) > 1  # samples of another program may be of one moment
        if not far or not none or (moments and self._comes_nearer([value for _, value in nearest])):
            return None
        late = records.total is not None and records.now >= records.total / 2
        return Finding(
            severity="severe" if late else "warning",
            confidence=confidence(far[-1][1], self.precision * right),
            evidence=(
                evidence("precision", far, round(self.precision * right, 4)),
                evidence("nearest", nearest[-self.looks :], 1.0),
            ),
            explanation=(
                "The samples are nothing like the data"
                + (", and hardly nearer to them than at the first look. " if moments else ". ")
                + "The steps are too small, too few, or lead nowhere."
            ),
            advice=(
                Advice(
                    {
                        "optimizer.generator.name": "adam",
                        "optimizer.generator.lr": 0.001,
                        "optimizer.generator.beta1": 0.5,
                        "optimizer.discriminator.name": "adam",
                        "optimizer.discriminator.lr": 0.001,
                        "optimizer.discriminator.beta1": 0.5,
                    },
                    "rates that small networks learn with",
                    "our own table, docs/evidence/variants.md",
                ),
                Advice(
                    {"optimizer.generator.lr": 0.0002, "optimizer.discriminator.lr": 0.0002},
                    "the rates of DCGAN",
                    "Radford et al. 2016, arXiv:1511.06434",
                ),
            ),
        )

    def _comes_nearer(self, nearest: list[float]) -> bool:
        """Whether any later look is nearer to the data than the first one."""
        return min(nearest[1:]) < (1 - self.nearer) * nearest[0]
