from __future__ import annotations

from duel.diagnoses._base import Advice, Diagnosis, Finding, Records, confidence, evidence, lasting, network
from duel.options import options


@options
class Oversmooth(Diagnosis):
    """The images lack the fine detail of the data.

    sharpness  power above half of the highest frequency over the data's, below which images are blurred
    diversity  below which samples are no images yet, or collapsed
    after      share of the budget before which every generator is smooth
    looks      so many looks in a row must agree
    """

    sharpness: float = 0.4
    diversity: float = 0.25
    after: float = 0.3
    looks: int = 4

    def find(self, records: Records) -> Finding | None:
        if records.now < self.after * (records.total or 0):
            return None
        smooth = lasting(records.signal("sharpness"), lambda value: value < self.sharpness, self.looks)
        diverse = lasting(records.signal("diversity"), lambda value: value > self.diversity, self.looks)
        if not smooth or not diverse:
            return None
        return Finding(
            severity="warning",
            confidence=confidence(smooth[-1][1], self.sharpness),
            evidence=(evidence("sharpness", smooth, self.sharpness),),
            explanation=(
                "The samples have the large shapes of the data and little of its detail. "
                f"{_culprit(records)}, or the discriminator does not look for it."
            ),
            advice=(
                Advice(
                    {**network(records, "dcgan"), "network.upscale": "transposed"},
                    "transposed convolutions can draw every pixel",
                    "Radford et al. 2016, arXiv:1511.06434",
                ),
                *_blurring(records),
                Advice({}, "train longer: detail comes last", None),
            ),
        )


def _culprit(records: Records) -> str:
    if records.setting("network.upscale") == "transposed":
        return "The generator has not learnt it yet"
    return "The generator's upscaling smooths detail away"


def _blurring(records: Records) -> tuple[Advice, ...]:
    """Another upscaling, where the present one smooths, or where it is not known."""
    if records.setting("network.upscale", "bilinear") != "bilinear":
        return ()
    return (
        Advice(
            {"network.upscale": "nearest"},
            "bilinear upsampling smooths where nearest does not",
            "Hoeckler 2021",
        ),
    )
