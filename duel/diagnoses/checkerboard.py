from __future__ import annotations

from duel.diagnoses._base import Advice, Diagnosis, Finding, Records, confidence, evidence, lasting, network
from duel.options import options


@options
class Checkerboard(Diagnosis):
    """A pattern with a period of two or four pixels lies over the images.

    Odena, Dumoulin, Olah 2016 (distill.pub/2016/deconv-checkerboard): transposed convolutions whose kernel is
    no multiple of their stride cover every second pixel more often.

    peak     power at these periods over that beside them, over the same of the data
    nearest  distance to the data (1: that of held-out samples) above which the images are nothing yet
    after    share of the budget before which every new generator shows the pattern
    looks    so many looks in a row must agree
    """

    peak: float = 3.0
    nearest: float = 2.5
    after: float = 0.3
    looks: int = 4

    def find(self, records: Records) -> Finding | None:
        if records.now < self.after * (records.total or 0):
            return None
        strong = lasting(records.signal("checkerboard"), lambda value: value > self.peak, self.looks)
        near = lasting(records.signal("nearest"), lambda value: value < self.nearest, self.looks)
        if not strong or not near:
            return None
        return Finding(
            severity="warning",
            confidence=confidence(strong[-1][1], self.peak),
            evidence=(evidence("checkerboard", strong, self.peak),),
            explanation=(
                "The images carry a regular pattern of small squares. The generator's upscaling covers some "
                "pixels more often than others, and training has not evened it out."
            ),
            advice=(
                Advice(
                    {"network.upscale": "nearest"},
                    "upsampling before an ordinary convolution covers all pixels alike",
                    "Odena et al. 2016; Hoeckler 2021",
                ),
                Advice(
                    network(records, "dcgan"),
                    "DCGAN's kernels of 4 with stride 2 overlap evenly",
                    "Radford et al. 2016, arXiv:1511.06434",
                ),
                Advice({"network.upscale": "bilinear"}, "the same, smoother", "Hoeckler 2021"),
            ),
        )
