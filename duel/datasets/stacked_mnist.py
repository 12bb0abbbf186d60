"""Stacked MNIST."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duel.datasets._base import SPLITS, Data, ImageSet, Spec, Split, fingerprint
from duel.datasets._idx_set import MNIST as _PUBLISHED
from duel.datasets._idx_set import load_idx_set
from duel.options import options

if TYPE_CHECKING:
    import numpy as np

_SEED = 20161107  # of the data themselves: they are the same in every run, whatever the run's seed
_HELD_OUT = 10_000


@options
class StackedMnist(ImageSet):
    """Three random MNIST digits as the red, green and blue of one image: 1,000 modes that can be counted.

    The label is 100·red + 10·green + blue. Three digits are drawn from the same part of MNIST, with a
    fixed seed that is independent of the run's: from its 55,000 training images for training, from its
    validation and test parts 10,000 images each. MNIST's four files are looked for in $DUEL_DATA/mnist
    and the cache, else downloaded (11 MB). L. Metz, B. Poole, D. Pfau, J. Sohl-Dickstein, "Unrolled
    Generative Adversarial Networks", 2017; A. Srivastava et al., "VEEGAN: Reducing Mode Collapse in GANs
    using Implicit Variational Learning", 2017.

    resolution  side of the images in pixels; 28 where it is not given
    fit         how another resolution is reached: "resize" (Lanczos) or "pad" (with black)
    samples     how many images the training split has, at most 1,000,000; all are held in memory (118 MB
                for 50,000 of 28×28)
    """

    samples: int = 50_000

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.samples <= 1_000_000:
            raise ValueError(f"samples is {self.samples}, allowed are 1 to 1,000,000")

    def load(self) -> Data:
        """uint8 N×3×28×28; `samples`, 10,000 and 10,000 images."""
        digits = load_idx_set(_PUBLISHED, self.resolution, self.fit).splits
        counts = (self.samples, _HELD_OUT, _HELD_OUT)
        splits = {
            name: _stacked(digits[name], count, stream)
            for stream, (name, count) in enumerate(zip(SPLITS, counts, strict=True))
        }
        classes = tuple(f"{label:03}" for label in range(1000))
        spec = Spec("image", splits["train"].samples.shape[1:], classes)
        return Data("stacked-mnist", spec, splits, fingerprint(spec, splits))


def _stacked(digits: Split, count: int, stream: int) -> Split:
    """`count` images of three digits each, every digit equally likely, from a stream of the split's own."""
    import numpy as np

    rng = np.random.Generator(np.random.PCG64([_SEED, stream]))
    rows = rng.integers(len(digits), size=(count, 3), dtype=np.int64)
    assert digits.labels is not None
    labels: np.ndarray = digits.labels[rows] @ np.array([100, 10, 1], np.int64)
    return Split(digits.samples[:, 0][rows], labels)
