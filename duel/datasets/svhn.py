"""Street View House Numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duel.datasets._base import Data, ImageSet, Spec, Split, SplitName, fingerprint, fit_images
from duel.datasets._matlab import published_arrays, whole_numbers
from duel.errors import DataError
from duel.options import options

if TYPE_CHECKING:
    import numpy as np

_URL = "http://ufldl.stanford.edu/housenumbers/"
_MD5 = {
    "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
    "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
    "extra_32x32.mat": "a93ce644f1a588dc4d68dda5feec44a7",
}
_VALIDATION = 5_000


@options
class Svhn(ImageSet):
    """99,289 digits of house numbers, cut from street photos to 32×32 RGB pixels; the label is the digit.

    The second published format (cropped digits), in MATLAB files, which need SciPy: pip install
    'duel[vision]'. They are looked for in $DUEL_DATA/svhn and the cache, else downloaded (246 MB, with
    the extra images 1.6 GB). Validation is the last 5,000 of the 73,257 training images, which are not
    trained on; test is the published test part. Source: Y. Netzer, T. Wang, A. Coates, A. Bissacco,
    B. Wu, A. Y. Ng, "Reading Digits in Natural Images with Unsupervised Feature Learning", NIPS
    Workshop on Deep Learning and Unsupervised Feature Learning, 2011.

    resolution  side of the images in pixels; 32 where it is not given
    fit         how another resolution is reached: "resize" (Lanczos) or "pad" (with black)
    extra       also train on the 531,131 easier images of the extra part; all are held in memory (1.8 GB
                at 32×32, twice that while they are read)
    """

    extra: bool = False

    def load(self) -> Data:
        """uint8 N×3×32×32; 68,257 (with the extra images 599,388), 5,000 and 26,032 images."""
        train, test = self._part("train_32x32.mat"), self._part("test_32x32.mat")
        own = _rows(train, slice(None, -_VALIDATION))
        splits: dict[SplitName, Split] = {
            "train": _joined([own, self._part("extra_32x32.mat")] if self.extra else [own]),
            "validation": _joined([_rows(train, slice(-_VALIDATION, None))]),
            "test": _joined([test]),
        }
        spec = Spec("image", splits["test"].samples.shape[1:], tuple("0123456789"))
        return Data("svhn", spec, splits, fingerprint(spec, splits))

    def _part(self, name: str) -> Split:
        part = _read(name)
        return Split(fit_images(part.samples, self.resolution, self.fit), part.labels)


def _read(name: str) -> Split:
    """The images of one file (a view N×3×32×32 of its 32×32×3×N) and their labels, 10 being the digit 0."""
    arrays = published_arrays("svhn", name, _MD5[name], _URL + name, ("X", "y"))
    images, labels = arrays["X"], whole_numbers(arrays["y"], 1, 10, f"the labels in {name}")
    if str(images.dtype) != "uint8" or images.shape != (32, 32, 3, len(labels)):
        raise DataError(
            f"{name} holds images {images.shape} of type {images.dtype} and {len(labels)} labels, expected "
            f"(32, 32, 3, {len(labels)}) of type uint8: get the file again"
        )
    return Split(images.transpose(3, 2, 0, 1), labels % 10)


def _rows(part: Split, rows: slice) -> Split:
    assert part.labels is not None
    return Split(part.samples[rows], part.labels[rows])


def _joined(parts: list[Split]) -> Split:
    """All images and labels in order, in memory of their own: the views have another order of axes."""
    import numpy as np

    samples: np.ndarray = np.empty((sum(map(len, parts)), *parts[0].samples.shape[1:]), np.uint8)
    np.concatenate([part.samples for part in parts], out=samples)
    return Split(samples, np.concatenate([part.labels for part in parts if part.labels is not None]))
