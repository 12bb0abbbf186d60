from __future__ import annotations

from duel.diagnoses._base import Advice, Diagnosis, Finding, Records, confidence, evidence, lasting
from duel.options import options


@options
class NormGap(Diagnosis):
    """The generator draws otherwise in evaluation mode than in training: batch norm's statistics do not fit.

    gap  distance of a sample by the batch's statistics and by the running ones (1: as two real samples are
         apart)
    """

    gap: float = 0.35

    def find(self, records: Records) -> Finding | None:
        wide = lasting(records.signal("norm_gap"), lambda value: value > self.gap)
        if not wide:
            return None
        return Finding(
            severity="warning",
            confidence=confidence(wide[-1][1], self.gap),
            evidence=(evidence("norm_gap", wide, self.gap),),
            explanation=(
                "The samples that the discriminator has seen are not those that you get: batch norm's "
                "running statistics are far from those of a batch. Small batches or fast changes of the "
                "weights do that."
            ),
            advice=(
                Advice(
                    {"network.generator_norm": "layer"},
                    "a norm without running statistics",
                    "Ba et al. 2016, arXiv:1607.06450",
                ),
                Advice(
                    {"batch_size": 64},
                    "larger batches have steadier statistics",
                    "Ioffe, Szegedy 2015, arXiv:1502.03167",
                ),
            ),
        )
