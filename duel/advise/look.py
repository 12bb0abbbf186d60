"""A look at data that are to be trained on: a seeded sample of them, and the numbers that advice rests on.

Of a folder only the names of all files are read, and a sample of files is decoded, so that a hundred thousand
images take seconds. The same numbers are measured of every data set of the evidence.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from duel import recipe as recipes
from duel import streams
from duel.datasets._base import SPLITS, Data, DataSet, Spec, Split, fit_images
from duel.datasets._images import decode, is_grey, pixels
from duel.datasets._scan import File, Found, class_of, classes_of, walk
from duel.datasets.folder import Folder
from duel.errors import DataError
from duel.pixelwise import keys_of

SEED = 0  # of the sample
LOOKED_AT = 1000  # images
_BYTES = 1 << 28  # of image files that are decoded: photos of 12 million pixels take 0.2 s each
_SMALL = 32  # side at which images are compared, whatever their own
_KEPT = 128  # side at which a folder's sample is kept at most
_TINY = 8  # side at which copies are looked for
# Root mean square difference there: photos made smaller and stored anew differ by 2.0 in the median (3.3 at
# most), the nearest two of 3,000 MNIST digits by 3.6.
_SAME = 3 / 255
_TRAIN = 0.8  # share of a folder that is trained on

# name → (what one unit of distance is, in the feature's own units; what it is)
FEATURES: dict[str, tuple[float, str]] = {
    "count": (1.0, "log10 of the training images"),
    "side": (1.0, "log2 of the side in pixels that is trained on, at most what the images are stored with"),
    "colour": (1.0, "1 for RGB, 0 for grey"),
    "classes": (1.0, "log10 of the number of classes, 0 without labels"),
    "brightness": (0.25, "mean pixel, 0 to 1"),
    "contrast": (0.1, "standard deviation of all pixels"),
    "diversity": (0.25, "share of the pixels' variance that lies between images, 0 (all alike) to 1"),
    "detail": (0.25, "mean difference of neighbouring pixels / contrast, at 32×32"),
}


@dataclass(frozen=True)
class Look:
    """What was seen of a data set.

    count     training images (or points); of a folder four fifths of its usable files, estimated
    files     all files of a folder; None for a listed data set
    looked_at, unusable   files or images that were looked at, and those of them that cannot be used
    sample    some of the data as training would see them, in the place of each split
    classes   class → files or training images; empty without labels
    sides     shortest, median and longest shorter side that images are stored with; None for points
    asked     the resolution that was asked for, or a folder's default; None: the images' own
    copies, near_copies   samples that equal an earlier one, and other samples that hardly differ from one
    features  `FEATURES` by name; empty for points
    notes     sentences that every result made with these data has to carry
    """

    name: str
    count: int
    files: int | None
    looked_at: int
    unusable: int
    sample: Data
    classes: dict[str, int]
    sides: tuple[int, int, int] | None
    asked: int | None
    copies: int
    near_copies: int
    features: dict[str, float]
    notes: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether everything was looked at."""
        return self.looked_at == (self.count if self.files is None else self.files)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        spec = self.sample.spec
        return {
            "name": self.name,
            "kind": spec.kind,
            "count": self.count,
            "files": self.files,
            "looked_at": self.looked_at,
            "seed": SEED,
            "unusable": self.unusable,
            "channels": spec.shape[0] if spec.kind == "image" else None,
            "sides": None if self.sides is None else list(self.sides),
            "classes": self.classes,
            "copies": self.copies,
            "near_copies": self.near_copies,
            "features": self.features,
            "notes": list(self.notes),
        }


def look(data: str | Path, changes: Mapping[str, Any] | None = None) -> Look:
    """Look at a listed data set or at a folder of images; changes: its options, `{"data.resolution": 32}`.

    A listed set is loaded as for training; then, as of a folder's files, `LOOKED_AT` of its training images
    are drawn. DataError where there is nothing to train on.
    """
    options = recipes.data_set(data, changes)
    return _of_folder(options) if isinstance(options, Folder) else _of_listed(options)


# ---------------------------------------------------------------- listed data sets


def _of_listed(options: DataSet) -> Look:
    data = options.load()
    train = data.splits["train"]
    if not len(train):
        raise DataError(f"the training split of {data.name} is empty: there is nothing to advise on")
    rows = _drawn(len(train), LOOKED_AT)
    labels = None if train.labels is None else train.labels[rows]
    sample = _sample(data.name, np.ascontiguousarray(train.samples[rows]), labels, data.spec)
    classes: dict[str, int] = {}
    if train.labels is not None:
        counts = np.bincount(train.labels, minlength=len(data.spec.classes))
        classes = {name: int(count) for name, count in zip(data.spec.classes, counts, strict=True)}
    side = data.spec.shape[-1]
    is_image = data.spec.kind == "image"
    sides = (side, side, side) if is_image else None
    asked = getattr(options, "resolution", None)
    bad = len(data.skipped)
    return _looked(sample, len(train), None, len(rows), bad, classes, sides, asked, data.notes)


def _drawn(count: int, most: int) -> np.ndarray:
    """At most `most` of the numbers below `count`, ascending, drawn with the fixed seed."""
    rng = streams.stream(SEED, "eval")
    return np.sort(rng.choice(count, min(count, most), replace=False))


def _sample(name: str, samples: np.ndarray, labels: np.ndarray | None, spec: Spec) -> Data:
    split = Split(samples, labels)
    return Data(name, spec, dict.fromkeys(SPLITS, split), "sample")


# ---------------------------------------------------------------- folders


def _of_folder(options: Folder) -> Look:
    root = Path(options.path).expanduser()
    if not root.is_dir():
        raise DataError(f"{options.path} is no folder: give a folder of images, or a listed data set")
    names = sorted(walk(root)[0])
    if not names:
        raise DataError(f"{options.path} holds no files: give a folder of images")
    images, kept, looked_at, first_reason = _decoded(root, names, min(options.resolution, _KEPT))
    if not images:
        raise DataError(
            f"none of the {looked_at} files looked at in {options.path} can be used: {first_reason}"
        )
    classes = classes_of(root, images)
    whole = looked_at == len(names)
    in_class = Counter(map(class_of, images)) if whole else Counter(map(_first_part, names))
    channels = 1 if all(is_grey(image.mode) for image in images) else 3
    number = {name: label for label, name in enumerate(classes)}
    labels = np.array([number[class_of(image)] for image in images], np.int64) if classes else None
    array = np.stack(kept)[:, :channels]
    usable = len(names) * len(images) / looked_at
    count = max(1, round(_TRAIN * usable))
    short = sorted(min(image.size) for image in images)
    sample = _sample(root.resolve().name, array, labels, Spec("image", array.shape[1:], classes))
    return _looked(
        sample,
        count,
        len(names),
        looked_at,
        looked_at - len(images),
        {name: in_class[name] for name in classes},
        (short[0], short[len(short) // 2], short[-1]),
        options.resolution,
        (),
    )


def _decoded(
    root: Path, names: Sequence[str], side: int
) -> tuple[tuple[Found, ...], list[np.ndarray], int, str]:
    """Usable images of a sample of the files; their pixels (uint8 3×side×side); files looked at; a fault.

    The sample ends early where its files are large.
    """
    images: list[Found] = []
    kept: list[np.ndarray] = []
    looked_at, total, fault = 0, 0, ""
    order = streams.stream(SEED, "eval").permutation(len(names))[:LOOKED_AT]
    for row in order:
        if total > _BYTES:
            break
        path = root / names[row]
        looked_at += 1
        try:
            image = decode(path)
            total += path.stat().st_size
        except (DataError, OSError) as error:
            fault = fault or f"{names[row]!r} ({error})"
            continue
        images.append(Found(File(names[row], ""), image.mode, image.size))
        kept.append(pixels(image.square, side))
    return tuple(images), kept, looked_at, fault


def _first_part(name: str) -> str:
    return name.partition("/")[0] if "/" in name else ""


# ---------------------------------------------------------------- numbers


def _looked(
    sample: Data,
    count: int,
    files: int | None,
    looked_at: int,
    unusable: int,
    classes: dict[str, int],
    sides: tuple[int, int, int] | None,
    asked: int | None,
    notes: tuple[str, ...],
) -> Look:
    samples = sample.splits["train"].samples
    copies, near_copies = len(samples) - len(np.unique(keys_of(samples))), 0
    features: dict[str, float] = {}
    if sides is not None:
        small = fit_images(samples, _SMALL, "resize").astype(np.float64) / 255
        near_copies = max(0, _near(fit_images(samples, _TINY, "resize")) - copies)
        features = {
            "count": math.log10(count),
            "side": math.log2(min(sides[1], asked or sides[1])),
            "colour": float(samples.shape[1] == 3),
            "classes": math.log10(max(1, len(classes))),
            **image_features(small),
        }
        features = {name: round(value, 4) for name, value in features.items()}
    return Look(
        sample.name, count, files, looked_at, unusable, sample, classes, sides, asked, copies, near_copies,
        features, notes,
    )  # fmt: skip


def image_features(images: np.ndarray) -> dict[str, float]:
    """Brightness, contrast, diversity and detail of images N×C×32×32 in [0, 1]; see `FEATURES`.

    Where all pixels are equal, diversity and detail are 0.
    """
    contrast = float(images.std())
    between = float(images.var(axis=0).mean())
    steps = [np.abs(np.diff(images, axis=axis)).mean() for axis in (2, 3)]
    level = {"brightness": float(images.mean()), "contrast": contrast}
    if contrast == 0:
        return level | {"diversity": 0.0, "detail": 0.0}
    return level | {"diversity": between / contrast**2, "detail": float(np.mean(steps)) / contrast}


def _near(images: np.ndarray) -> int:
    """How many images (uint8 N×C×8×8) hardly differ from an earlier one, or not at all."""
    flat = images.reshape(len(images), -1).astype(np.float64) / 255
    squares = (flat**2).sum(axis=1)
    apart = (squares[:, None] + squares - 2 * flat @ flat.T) / flat.shape[1]
    return int((np.tril(apart < _SAME**2, -1)).any(axis=1).sum())
