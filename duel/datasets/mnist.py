"""MNIST."""

from __future__ import annotations

from duel.datasets._base import Data, ImageSet
from duel.datasets._idx_set import Published, load_idx_set
from duel.options import options

_PUBLISHED = Published(
    name="mnist",
    url="https://ossci-datasets.s3.amazonaws.com/mnist/",
    train_images="f68b3c2dcbeaaa9fbdd348bbdeb94873",
    train_labels="d53e105ee54ea40749a09fcbcd1e9432",
    test_images="9fb629c4189551a2d022fa330f9573f3",
    test_labels="ec29112dd5afa0611ce80d1b7f02629c",
    classes=tuple("0123456789"),
)


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
