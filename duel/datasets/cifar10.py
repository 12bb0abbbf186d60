"""CIFAR-10."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from duel import io
from duel.datasets._archives import tar_files
from duel.datasets._base import Data, ImageSet, Spec, Split, SplitName, fingerprint, fit_images
from duel.datasets._pickled_arrays import read_arrays
from duel.datasets._scan import walk
from duel.errors import ChecksumError, DataError
from duel.options import options

if TYPE_CHECKING:
    import numpy as np

_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
_URL_MD5 = "c58f30108f718f92721af3b95e74349a"
_MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
    "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
}
_MAX_BYTES = 1 << 26  # of one member; a batch has 31 million
_TAR_ENDS = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2")


@options
class Cifar10(ImageSet):
    """60,000 photos of 32×32 RGB pixels in 10 classes; the label is what is seen (airplane, …).

    The original Python batches are looked for in $DUEL_DATA/cifar10 and the cache, in any folder or tar
    there; where nothing is found the published tar is downloaded (170 MB). Validation is the last tenth
    of the training images in use, which is not trained on; test is the published test part. Source:
    A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", University of Toronto, 2009.

    resolution  side of the images in pixels; 32 where it is not given
    fit         how another resolution is reached: "resize" (Lanczos) or "pad" (with black)
    batches     which of the five training batches of 10,000 images are used; results made with fewer
                than all say so
    """

    batches: tuple[int, ...] = (1, 2, 3, 4, 5)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.batches or sorted(set(self.batches) & {1, 2, 3, 4, 5}) != sorted(self.batches):
            raise ValueError(f"batches is {list(self.batches)}, allowed are different numbers from 1 to 5")

    def load(self) -> Data:
        """uint8 N×3×32×32; 45,000, 5,000 and 10,000 images where all batches are used."""
        train_names = [f"data_batch_{number}" for number in sorted(self.batches)]
        files = _files({*train_names, "test_batch", "batches.meta"})
        train = _fitted(_joined([files[name] for name in train_names]), self.resolution, self.fit)
        test = _fitted(_joined([files["test_batch"]]), self.resolution, self.fit)
        spec = Spec("image", test.samples.shape[1:], tuple(read_arrays(files["batches.meta"])["label_names"]))
        splits = _splits(train, test)
        notes = _notes(self.batches, splits)
        return Data("cifar10", spec, splits, fingerprint(spec, splits), notes)


def _splits(train: Split, test: Split) -> dict[SplitName, Split]:
    assert train.labels is not None
    end = len(train) - len(train) // 10
    return {
        "train": Split(train.samples[:end], train.labels[:end]),
        "validation": Split(train.samples[end:], train.labels[end:]),
        "test": test,
    }


def _notes(batches: tuple[int, ...], splits: dict[SplitName, Split]) -> tuple[str, ...]:
    if len(batches) == 5:
        return ()
    used, kept = len(splits["train"]) + len(splits["validation"]), len(splits["validation"])
    return (
        f"trained on a part of CIFAR-10: {used:,} of its 50,000 training images "
        f"(data.batches = {sorted(batches)}), of which {kept:,} are kept for validation",
    )


def _joined(batches: list[bytes]) -> Split:
    """The images and labels of some batches, in order. (The MD5 has vouched for what they hold.)"""
    import numpy as np

    arrays = [read_arrays(batch) for batch in batches]
    images: np.ndarray = np.concatenate([batch["data"] for batch in arrays]).reshape(-1, 3, 32, 32)
    return Split(images, np.concatenate([np.array(batch["labels"], np.int64) for batch in arrays]))


def _fitted(split: Split, resolution: int | None, fit: str) -> Split:
    return Split(fit_images(split.samples, resolution, fit), split.labels)


def _files(wanted: set[str]) -> dict[str, bytes]:
    """The wanted files by name; DataError naming those that are missing."""
    folders = io.data_folders("cifar10")
    refused = ""
    found = _found(folders, wanted)
    if not found:
        try:
            io.download(_URL, folders[-1] / "cifar-10-python.tar.gz", _URL_MD5)
            found = _found(folders, wanted)
        except OSError as error:
            refused = f" and could not be downloaded ({error})"
    if missing := sorted(wanted - set(found)):
        raise DataError(
            f"cifar10 needs {', '.join(missing)}, not found in {' or '.join(map(str, folders))}{refused}: "
            f"put {_URL} (MD5 {_URL_MD5}) into one of these folders{_subset_advice(found)}"
        )
    return found


def _subset_advice(found: Iterable[str]) -> str:
    here = sorted(int(name[-1]) for name in found if name.startswith("data_batch_"))
    return f", or use the batches that are there with data.batches={here}" if here else ""


def _found(folders: list[Path], wanted: set[str]) -> dict[str, bytes]:
    """Those of the wanted files that the folders hold, each checked; loose files before tars."""
    found: dict[str, bytes] = {}
    for source in (path for folder in folders for path in _sources(folder)):
        if wanted <= set(found):
            break
        for name, content in _members(source, wanted - set(found)):
            found[name] = _checked(name, content, source)
    return found


def _sources(folder: Path) -> list[Path]:
    """Files below the folder that may hold batches. Hidden ones are unfinished downloads."""
    paths = [folder / name for name in walk(folder)[0]]
    found = [path for path in paths if (path.name in _MD5 or _is_tar(path)) and path.is_file()]
    return sorted(found, key=lambda path: (_is_tar(path), path))


def _is_tar(path: Path) -> bool:
    return path.name.lower().endswith(_TAR_ENDS)


def _members(source: Path, wanted: set[str]) -> Iterator[tuple[str, bytes]]:
    """Name and content of each wanted file in a tar, or of the file itself."""
    try:
        if _is_tar(source):
            yield from _tar_members(source, wanted)
        elif source.name in wanted:
            with source.open("rb") as file:
                yield source.name, file.read(_MAX_BYTES)
    except OSError as error:
        raise DataError(f"{source} cannot be read ({error}): remove it and get it again") from error


def _tar_members(source: Path, wanted: set[str]) -> Iterator[tuple[str, bytes]]:
    """The first member of each name, in whatever folder of the tar."""
    left = set(wanted)
    for path, content in tar_files(source, lambda path: Path(path).name in left, _MAX_BYTES):
        name = Path(path).name
        left.remove(name)
        yield name, content
        if not left:
            return


def _checked(name: str, content: bytes, source: Path) -> bytes:
    import hashlib

    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != _MD5[name]:
        raise ChecksumError(
            f"{name} in {source} has the MD5 {found}, but the published file has {_MD5[name]}: "
            "remove it and get it again (it is incomplete or another version)"
        )
    return content
