from __future__ import annotations

from typing import TYPE_CHECKING

from duel.errors import MetricError
from duel.metrics._base import Context, Metric, Side, Value, mean_interval
from duel.options import options

if TYPE_CHECKING:
    import numpy as np


@options
class MsSsim(Metric):
    """How alike generated images are among themselves: the lower, the more diverse.

    Mean multi-scale structural similarity (Wang, Simoncelli, Bovik 2003) of up to `pairs` random pairs of
    generated images, within a class where there are labels (Odena, Olah, Shlens 2017, arXiv:1610.09585).
    No image is in two pairs, so that the normal interval of the mean is honest. 1 is a collapsed
    generator; the baseline "real" is what to aim at, since noise is "diverse", too. Which pairs are drawn
    depends on the order of the samples and the seed. Small images have fewer scales or a smaller window:
    a note says which.
    """

    pairs: int = 2000

    needs = frozenset({"samples"})

    def compute(self, name: str, real: Side, fake: Side, context: Context) -> dict[str, Value]:
        from duel.metrics._checks import kept

        x, y = kept(real, "samples", "real"), kept(fake, "samples", "generated")
        if y.ndim != 4:
            raise MetricError("ms-ssim compares images, and these samples are points")
        labelled = real.labels is not None and fake.labels is not None
        generated = self._similarities(y, fake.labels if labelled else None, context.seed)
        known = self._similarities(x, real.labels if labelled else None, context.seed)
        interval = mean_interval(generated)
        notes = _notes(y.shape, len(generated), labelled)
        return {name: Value(*interval, "lower", len(x), len(y), notes, {"real": float(known.mean())})}

    def _similarities(self, images: np.ndarray, labels: np.ndarray | None, seed: int) -> np.ndarray:
        import numpy as np

        from duel.metrics._pairs import pairs
        from duel.metrics._ssim import ms_ssim, scales

        chosen = pairs(len(images), labels, self.pairs, np.random.default_rng(seed))
        return ms_ssim(images[chosen[:, 0]], images[chosen[:, 1]], scales(min(images.shape[2:])))

    def __post_init__(self) -> None:
        if not 2 <= self.pairs <= 1_000_000:
            raise ValueError(f"pairs is {self.pairs}, allowed are 2 to 1,000,000")


def _notes(shape: tuple[int, ...], count: int, labelled: bool) -> tuple[str, ...]:
    from duel.metrics._ssim import WEIGHTS, scales

    used = scales(min(shape[2:]))
    among = "within classes" if labelled else "of any class"
    scale = f"{len(used.weights)} of the {len(WEIGHTS)} scales"
    return (f"{count:,} pairs {among}, {scale}, window of {used.window}×{used.window} pixels",)
