from __future__ import annotations

from duel.diagnoses._base import Advice, Diagnosis, Finding, Records, confidence, evidence, lasting
from duel.options import options


@options
class CriticNotLipschitz(Diagnosis):
    """The Wasserstein critic's slope is not bounded, so its score is no distance.

    slope  root mean square of ‖∇D‖ between real and generated samples; 1 is wanted
    """

    slope: float = 10.0

    def find(self, records: Records) -> Finding | None:
        steep = lasting(records.signal("critic_slope"), lambda value: value > self.slope)
        if not steep:
            return None
        return Finding(
            severity="warning",
            confidence=confidence(steep[-1][1], self.slope),
            evidence=(evidence("critic_slope", steep, self.slope),),
            explanation=(
                "Between real and generated samples the critic is far steeper than the 1 that the "
                "Wasserstein distance asks for. Its scores then grow without meaning, and the generator "
                "follows a cliff instead of a slope."
            ),
            advice=(
                Advice(
                    {"penalties": "interpolated"},
                    "a penalty on slopes other than 1",
                    "Gulrajani et al. 2017, arXiv:1704.00028",
                ),
                Advice(
                    {"network.discriminator_norm": "spectral"},
                    "every layer's slope bounded by 1",
                    "Miyato et al. 2018, arXiv:1802.05957",
                ),
                Advice(
                    {"objective.name": "hinge"},
                    "a loss that saturates by itself",
                    "Lim, Ye 2017, arXiv:1705.02894",
                ),
            ),
        )
