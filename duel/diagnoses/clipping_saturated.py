from __future__ import annotations

from duel.diagnoses._base import Advice, Diagnosis, Finding, Records, confidence, evidence, lasting, times
from duel.options import options


@options
class ClippingSaturated(Diagnosis):
    """Most of the critic's weights stand at the limit of clipping.

    Gulrajani et al. 2017 (arXiv:1704.00028), section 3: such a critic is a very simple function.

    share  of the weights at the limit
    """

    share: float = 0.7

    def find(self, records: Records) -> Finding | None:
        full = lasting(records.signal("clipped"), lambda value: value > self.share)
        if not full:
            return None
        return Finding(
            severity="warning",
            confidence=confidence(1 - full[-1][1], 1 - self.share),
            evidence=(evidence("clipped", full, self.share),),
            explanation=(
                "Nearly all weights of the critic are as large as clipping allows, so it can only be very "
                "simple and very flat. What it tells the generator is coarse and small."
            ),
            advice=(
                Advice(
                    {"constraints": "none", "penalties": "interpolated"},
                    "a penalty bounds the slope and not each weight",
                    "Gulrajani et al. 2017, arXiv:1704.00028",
                ),
                Advice(
                    times(records, "constraints.clip.limit", 10.0),
                    "a wider limit",
                    "Hoeckler 2021, who found 0.1 to 2 better on small images",
                ),
            ),
        )
