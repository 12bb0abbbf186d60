"""The digits that come with the package: small enough to be at hand without a download."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from duel.datasets._base import Data, ImageSet, Spec, Split, fingerprint, fit_images, split_by_hash
from duel.options import options

if TYPE_CHECKING:
    import numpy as np

_FILE = Path(__file__).with_name("digits.npz")


@options
class Digits(ImageSet):
    """1,797 handwritten digits of 8×8 grey pixels, part of the package; the label is the digit.

    The test part of E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine
    Learning Repository, 1998, doi 10.24432/C50P49 (CC BY 4.0). The original values 0 to 16 are scaled
    to 0 to 255. Split 80/10/10 by the hash of each image.

    resolution  side of the images in pixels; 8 where it is not given
    fit         how another resolution is reached: "resize" (Lanczos) or "pad" (with black)
    """

    def load(self) -> Data:
        """uint8 N×1×8×8 (or the resolution asked for) in three splits."""
        originals, labels = _read()
        images = fit_images(_scaled(originals), self.resolution, self.fit)
        chosen = split_by_hash([image.tobytes() for image in originals])
        splits = {name: Split(images[rows], labels[rows]) for name, rows in chosen.items()}
        spec = Spec("image", images.shape[1:], tuple("0123456789"))
        return Data("digits", spec, splits, fingerprint(spec, splits))


def _read() -> tuple[np.ndarray, np.ndarray]:
    """The images as published (uint8 1797×8×8, 0 to 16) and their labels (int64)."""
    import numpy as np

    with np.load(_FILE, allow_pickle=False) as arrays:
        return arrays["images"], arrays["labels"].astype(np.int64)


def _scaled(originals: np.ndarray) -> np.ndarray:
    """uint8 N×8×8 of 0..16 to uint8 N×1×8×8 of 0..255."""
    import numpy as np

    return np.round(originals[:, None] * (255 / 16)).astype(np.uint8)
