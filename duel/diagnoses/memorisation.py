from __future__ import annotations

from duel.diagnoses._base import LOOKS, Advice, Diagnosis, Finding, Records, confidence, evidence, lasting
from duel.options import options


@options
class Memorisation(Diagnosis):
    """The samples are copies of training samples.

    Meehan et al. 2020 (arXiv:2004.05675): copying shows as samples that are nearer to the training data than
    held-out real samples are.

    nearest    median distance of a sample to its nearest training sample over that of real samples; of
               others' samples also the same over the distance of that training sample to its nearest other
    diversity  below which the samples are one image, which may lie near to all
    sharpness  below which they are blurred, and a blurred image is nearer to every image than a sharp one
    """

    nearest: float = 0.6
    diversity: float = 0.4
    sharpness: float = 0.4

    def find(self, records: Records) -> Finding | None:
        near = lasting(records.signal("nearest"), lambda value: value < self.nearest)
        diverse = lasting(records.signal("diversity"), lambda value: value > self.diversity)
        # Where samples lie closely, as the digit 1 does, they are near to others without being copies.
        local = records.signal("nearest_local")
        here = lasting(local, lambda value: value < self.nearest)
        blurred = [value < self.sharpness for _, value in records.signal("sharpness")[-LOOKS:]]
        if not near or not diverse or any(blurred) or (local and not here):
            return None
        return Finding(
            severity="warning",
            confidence=confidence(near[-1][1], self.nearest),
            evidence=tuple(
                evidence(name, seen, self.nearest)
                for name, seen in (("nearest", near), ("nearest_local", here))
                if seen
            ),
            explanation=(
                "The samples are nearer to the training samples than real ones that were held out. The "
                "generator repeats what it was shown; whoever asks for new samples gets old ones."
            ),
            advice=(
                Advice(
                    {"augmentations": "diffaugment"},
                    "augmentation makes it harder to learn samples by heart",
                    "Zhao et al. 2020, arXiv:2006.10738",
                ),
                Advice(
                    {"augmentations": "ada"},
                    "the same, as strong as is needed",
                    "Karras et al. 2020, arXiv:2006.06676",
                ),
                Advice({}, "more data, or an earlier checkpoint", None),
            ),
        )
