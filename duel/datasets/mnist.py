"""MNIST."""

from __future__ import annotations

from duel.datasets._base import Data, ImageSet
from duel.datasets._idx_set import MNIST as _PUBLISHED
from duel.datasets._idx_set import load_idx_set
from duel.options import options


@options
class Mnist(ImageSet):
    """70,000 handwritten digits of 28×28 grey pixels; the label is the digit.

    The four original files are looked for in $DUEL_DATA/mnist and the cache, else downloaded (11 MB).
    Validation is the last 5,000 of the 60,000 training images, which are not trained on; test is the
    published test part. Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-Based Learning
    Applied to Document Recognition", Proceedings of the IEEE 86(11), 1998.

    resolution  side of the images in pixels; 28 where it is not given
    fit         how another resolution is reached: "resize" (Lanczos) or "pad" (with black)
    """

    def load(self) -> Data:
        """uint8 N×1×28×28; 55,000, 5,000 and 10,000 images."""
        return load_idx_set(_PUBLISHED, self.resolution, self.fit)
