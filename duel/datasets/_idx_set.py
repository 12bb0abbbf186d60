"""What MNIST and the sets published in its form have in common: four gzipped IDX files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from duel import io
from duel.datasets._base import Data, Spec, Split, SplitName, fingerprint, fit_images
from duel.datasets._idx import read_idx
from duel.errors import DataError

if TYPE_CHECKING:
    import numpy as np

_VALIDATION = 5_000


@dataclass(frozen=True)
class Published:
    """Where the four files come from: the address of their folder and the MD5 of each."""

    name: str
    url: str
    train_images: str
    train_labels: str
    test_images: str
    test_labels: str
    classes: tuple[str, ...]


MNIST = Published(
    name="mnist",
    url="https://ossci-datasets.s3.amazonaws.com/mnist/",
    train_images="f68b3c2dcbeaaa9fbdd348bbdeb94873",
    train_labels="d53e105ee54ea40749a09fcbcd1e9432",
    test_images="9fb629c4189551a2d022fa330f9573f3",
    test_labels="ec29112dd5afa0611ce80d1b7f02629c",
    classes=tuple("0123456789"),
)


def load_idx_set(published: Published, resolution: int | None, fit: str) -> Data:
    """uint8 N×1×28×28 (or the resolution); validation is the last 5,000 of train, not trained on."""
    train = _part(published, "train", published.train_images, published.train_labels)
    test = _part(published, "t10k", published.test_images, published.test_labels)
    splits: dict[SplitName, Split] = {
        "train": _rows(train, slice(None, -_VALIDATION), resolution, fit),
        "validation": _rows(train, slice(-_VALIDATION, None), resolution, fit),
        "test": _rows(test, slice(None), resolution, fit),
    }
    spec = Spec("image", splits["train"].samples.shape[1:], published.classes)
    return Data(published.name, spec, splits, fingerprint(spec, splits))


def _rows(part: Split, rows: slice, resolution: int | None, fit: str) -> Split:
    labels = None if part.labels is None else part.labels[rows]
    return Split(fit_images(part.samples[rows], resolution, fit), labels)


def _part(published: Published, prefix: str, images_md5: str, labels_md5: str) -> Split:
    """All images (uint8 N×1×H×W) and labels (int64 N) of the train or the test files."""
    import numpy as np

    images = _array(published, f"{prefix}-images-idx3-ubyte.gz", images_md5, 3)
    labels = _array(published, f"{prefix}-labels-idx1-ubyte.gz", labels_md5, 1)
    return Split(images[:, None], labels.astype(np.int64))


def _array(published: Published, name: str, md5: str, dimensions: int) -> np.ndarray:
    path = io.published_file(published.name, name, md5, published.url + name)
    try:
        return read_idx(path.read_bytes(), dimensions)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
