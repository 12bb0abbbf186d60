from __future__ import annotations

from duel.diagnoses._base import (
    Advice,
    Diagnosis,
    Finding,
    Records,
    confidence,
    evidence,
    no_batch_norm,
)
from duel.options import options


@options
class DiscriminatorOverfitting(Diagnosis):
    """The discriminator knows its training samples by heart: it believes in them more than in held-out ones.

    Karras et al. 2020 (arXiv:2006.06676), section 3, watch the same difference as r_v, a share of the
    difference of mean logits. Compared here are two chances, which no scale and no single logit can move.

    gap    by how much the chance that a training sample scores above a generated one exceeds the same of a
           held-out sample; median of the last looks
    looks  so many
    """

    gap: float = 0.1
    looks: int = 5

    def find(self, records: Records) -> Finding | None:
        gaps = []
        for event in records.looks[-self.looks :]:
            known, held = (event["values"].get(name) for name in ("separation", "separation_held"))
            if known is not None and held is not None:
                gaps.append((event["step"], known - held))
        if len(gaps) < self.looks:
            return None
        seen = evidence("separation − separation_held", gaps, self.gap)
        if float(seen.value) <= self.gap:
            return None
        return Finding(
            severity="warning",
            confidence=confidence(float(seen.value), self.gap),
            evidence=(seen,),
            explanation=(
                "The discriminator scores its training samples well above real samples that it has never "
                "seen. It learns the samples by heart, and what it then teaches the generator is about "
                "these samples, not about the data."
            ),
            advice=(
                Advice(
                    {"augmentations": "ada"},
                    "augmentation that grows as far as the overfitting needs",
                    "Karras et al. 2020, arXiv:2006.06676",
                ),
                Advice(
                    {"augmentations": "diffaugment"},
                    "differentiable augmentation of real and generated samples",
                    "Zhao et al. 2020, arXiv:2006.10738",
                ),
                Advice(
                    {"penalties": "r1", **no_batch_norm(records)},
                    "a penalty on its slope at the training samples",
                    "Mescheder et al. 2018, arXiv:1801.04406",
                ),
                Advice({}, "more data", None),
            ),
        )
