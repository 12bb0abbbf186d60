"""Samples, codes, reconstructions and walks of a run, as files.

Everything is checked before anything is computed, and each file is written whole or not at all.
"""

from __future__ import annotations

import io as bytes_io
import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from duel import io, latent, pictures
from duel import recipe as recipes
from duel.datasets._base import DataSet, SplitName
from duel.datasets._images import decode, pixels
from duel.errors import DataError, InputError
from duel.run import Run, Weights, inner

if TYPE_CHECKING:
    from PIL import Image

Way = Literal["linear", "spherical"]

_BLOCK = 2560  # samples that are encoded at a time: ten batches
_MOST_TILES = 4096
_FRAME = 120  # milliseconds


def write_samples(
    run: Run,
    out: Path,
    n: int = 64,
    seed: int = 0,
    checkpoint: str | int = "last",
    label: str | int | None = None,
    weights: Weights = "ema",
) -> Path:
    """Draw `n` samples and write them: `.png` one sheet, `.npz` arrays, else a folder of PNGs.

    The sheet of a conditional run has a row for each class, unless `label` asks for one class: then `n` is
    about how many it holds. NPZ: `samples`, images in [0, 1] or points in original units, and of a
    conditional run `labels`. A folder of a conditional run has a sub-folder for each class. Returns `out`.
    InputError for a file of another kind, and for a folder of single pictures of points.
    """
    spec = run.spec
    suffix = suffix_of(out, ".png", ".npz", "")
    if suffix == "":
        _need_images(run, "write FILE.png or FILE.npz")
        if out.is_dir() and any(out.iterdir()):
            raise InputError(f"--out {out} holds other files: name a folder that is new or empty")
    _check_count(run, n, sheet=suffix == ".png")
    if suffix == ".png":
        io.write_out(out, pictures.png(_sheet(run, n, seed, checkpoint, label, weights)))
        return out
    samples = run.sample(n, seed, checkpoint, label=label, weights=weights)
    labels = run.labels(n, seed, label)
    if suffix == ".npz":
        _write_arrays(out, {"samples": samples, "labels": labels})
        return out
    folders = None if labels is None else class_folders(spec.classes)
    for number, image in enumerate(samples):
        place = out if folders is None or labels is None else out / folders[labels[number]]
        io.write_out(place / f"{number:05d}.png", pictures.png(pictures.single(image)))
    return out


def _sheet(
    run: Run, n: int, seed: int, checkpoint: str | int, label: str | int | None, weights: Weights
) -> Image.Image:
    from duel.sampling import Arrangement

    spec = run.spec
    rows = len(spec.classes) if run.conditional and label is None and spec.kind == "image" else 0
    columns = None
    if rows and n > 0:
        plan = Arrangement(n, rows)
        vectors, columns = run.latent(plan.count, seed), plan.columns
        samples = run.generate(vectors, label=plan.labels, checkpoint=checkpoint, weights=weights)
    else:
        samples = run.sample(n, seed, checkpoint, label=label, weights=weights)
    stored = samples * 2 - 1 if spec.kind == "image" else samples / np.float32(spec.scale)
    return pictures.sheet(stored, spec, columns=columns)


def write_codes(
    run: Run,
    out: Path,
    data: str | Path | None = None,
    split: SplitName = "test",
    hidden: bool = False,
    checkpoint: str | int = "last",
    weights: Weights = "ema",
) -> Path:
    """Encode one split of a data set or folder (the run's own by default) into an NPZ file.

    It holds `latent`, E(x) of each sample (N×L, float32) in the data's order; `labels` (int64 N) and
    `classes`, their names, where there are any; with `hidden` also `hidden`, the encoder's last hidden
    layer (N×H). Images are brought to the run's resolution and channels. Returns `out`. RunError without
    an encoder.
    """
    from duel import sampling

    suffix_of(out, ".npz")
    encoder = run.need_encoder(run.networks(checkpoint, weights))
    found = _subjects(run, data, split)

    def encoded(last_hidden: bool) -> np.ndarray:
        blocks = (found.part(start, start + _BLOCK) for start in range(0, len(found.samples), _BLOCK))
        return np.concatenate([sampling.encode(encoder, inner(block), last_hidden) for block in blocks])

    labels = None if found.labels is None else found.labels.astype(np.int64)
    _write_arrays(
        out,
        {
            "latent": encoded(False),
            "labels": labels,
            "classes": None if labels is None else np.array(found.classes, np.str_),
            "hidden": encoded(True) if hidden else None,
        },
    )
    return out


def write_reconstructions(
    run: Run,
    out: Path,
    sources: Sequence[str | Path] = (),
    n: int = 32,
    split: SplitName = "test",
    label: str | int | None = None,
    checkpoint: str | int = "last",
    weights: Weights = "ema",
) -> Path:
    """Pairs of an image and G(E(image)), side by side, on one PNG sheet.

    sources  image files (all are shown), or one data set or folder, of which `n` images are taken at equal
             distances over the split; the run's own data by default
    label    a conditional run's class for all images, needed for image files; by default the data's labels

    Returns `out`. RunError without an encoder; InputError or DataError for what cannot be read or does not
    fit.
    """
    suffix_of(out, ".png")
    _need_images(run, "images are what can be put side by side")
    run.need_encoder(run.untrained())
    number = run.label_number(label)
    if n < 1:
        raise InputError(f"{n} images were asked for, allowed are integers from 1")
    _at_most(n)
    images, labels = _chosen(run, sources, n, split, number)
    vectors = run.encode(images, checkpoint=checkpoint, weights=weights)
    again = run.generate(vectors, label=labels, checkpoint=checkpoint, weights=weights)
    pairs = np.concatenate([_enlarged(images), _enlarged(_bytes(again))], axis=-1)
    io.write_out(out, pictures.png(pictures.grid(pairs, math.ceil(math.sqrt(len(pairs) / 2)))))
    return out


def write_walks(
    run: Run,
    out: Path,
    n: int = 8,
    steps: int | None = None,
    seed: int = 0,
    path: Way | None = None,
    labels: bool = False,
    checkpoint: str | int = "last",
    weights: Weights = "ema",
) -> Path:
    """`n` walks between pairs of latent vectors, a row each; as GIF, a frame for each step and back again.

    steps   images in a row, both ends among them; 8 by default
    path    "spherical" (the default for normal latent vectors) or "linear" (for uniform ones)
    labels  of a conditional run: each row keeps its latent vector and shows every class (at most 16)

    Without `labels` the rows of a conditional run go through its classes. Returns `out`. InputError or
    RunError where that does not apply.
    """
    suffix = suffix_of(out, ".png", ".gif")
    _need_images(run, "images are what a walk shows")
    if n < 1:
        raise InputError(f"{n} rows were asked for, allowed are integers from 1")
    if labels and (steps is not None or path is not None):
        raise InputError("--labels shows one latent vector in every class: leave --steps and --path out")
    vectors, numbers = (
        _class_walk(run, n, seed) if labels else _walk(run, n, 8 if steps is None else steps, seed, path)
    )
    rows, columns, size = vectors.shape
    made = run.generate(
        vectors.reshape(-1, size),
        label=None if numbers is None else numbers.reshape(-1),
        checkpoint=checkpoint,
        weights=weights,
    )
    images = _bytes(made)
    if suffix == ".png":
        io.write_out(out, pictures.png(pictures.grid(images, columns)))
    else:
        walks = images.reshape(rows, columns, *images.shape[1:])
        io.write_out(out, _gif([pictures.grid(walks[:, step]) for step in _there_and_back(columns)]))
    return out


def _walk(run: Run, n: int, steps: int, seed: int, path: Way | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Latent vectors n×steps×L, and a class for each where the run is conditional."""
    _at_most(n * steps)
    ends = run.latent(2 * n, seed)
    normal = run.recipe.latent.prior == "normal"
    way = {"linear": latent.linear, "spherical": latent.spherical}[
        path or ("spherical" if normal else "linear")
    ]
    vectors = way(ends[:n], ends[n:], steps)
    if not run.conditional:
        return vectors, None
    classes = np.arange(n) % len(run.spec.classes)
    return vectors, classes[:, None].repeat(steps, axis=1)


def _class_walk(run: Run, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """n latent vectors, each repeated for every class that is shown, n×classes×L; and those classes."""
    from duel.sampling import Arrangement

    run.label_number(0)  # says that labels do not apply
    shown = Arrangement(1, len(run.spec.classes)).shown
    _at_most(n * len(shown))
    return run.latent(n, seed)[:, None].repeat(len(shown), axis=1), shown[None].repeat(n, axis=0)


def _there_and_back(steps: int) -> list[int]:
    """0, 1, …, steps − 1, …, 1: a loop without a frame that stands still."""
    return [*range(steps), *range(steps - 2, 0, -1)]


def _gif(frames: Sequence[Image.Image]) -> bytes:
    buffer = bytes_io.BytesIO()
    first, *others = frames
    first.save(buffer, "GIF", save_all=True, append_images=others, duration=_FRAME, loop=0)
    return buffer.getvalue()


# ---------------------------------------------------------------- data for a run


@dataclass(frozen=True)
class _Subjects:
    """Samples for a run's encoder, as stored, and how a slice of them becomes what the run takes."""

    samples: np.ndarray
    labels: np.ndarray | None
    classes: tuple[str, ...]
    convert: Callable[[np.ndarray], np.ndarray]

    def part(self, start: int, stop: int) -> np.ndarray:
        return self.convert(self.samples[start:stop])


def _subjects(run: Run, data: str | Path | None, split: SplitName) -> _Subjects:
    """One split, to be brought to the run's shape. DataError where that cannot be."""
    found, wanted = _fitting(run, data).load(), run.spec
    part, spec = found.splits[split], found.spec
    if len(part) == 0:
        raise DataError(f"the {split} split of {found.name} holds no samples: choose another --split")
    if spec.kind != wanted.kind or (spec.kind == "image" and spec.shape[1:] != wanted.shape[1:]):
        raise DataError(
            f"{run.path} takes samples of shape {_shape(wanted.shape)}, {found.name} has "
            f"{_shape(spec.shape)}: give data of that shape"
        )
    if spec.kind == "points":
        factor = np.float32(spec.scale / wanted.scale)
        return _Subjects(part.samples, part.labels, spec.classes, lambda points: points * factor)
    return _Subjects(part.samples, part.labels, spec.classes, lambda x: to_channels(x, wanted.shape[0]))


def _fitting(run: Run, data: str | Path | None) -> DataSet:
    """The run's own data set, or another one at the run's resolution, fitted in the run's way."""
    own = run.recipe.data
    if data is None or _is_own(run, data):
        return own
    found = recipes.data_set(data)
    sized: Any = found
    if run.spec.kind == "image" and "resolution" in {field.name for field in fields(sized)}:
        found = replace(sized, resolution=run.spec.shape[-1])
        if getattr(own, "fit", "resize") == "pad":
            found = replace(found, fit="pad")
    return found


def _is_own(run: Run, data: str | Path) -> bool:
    tree = run.recipe.to_tree()["data"]
    if tree["name"] == "folder":
        return Path(data).expanduser().resolve() == Path(tree["path"]).expanduser().resolve()
    return bool(str(data) == tree["name"])


def _chosen(
    run: Run, sources: Sequence[str | Path], n: int, split: SplitName, number: int | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """The images (uint8) that are to be reconstructed, and a label for each where the run takes labels."""
    files = [Path(source) for source in sources if Path(source).is_file()]
    if len(sources) > 1 or files:
        strange = [str(source) for source in sources if not Path(source).is_file()]
        if strange:
            raise InputError(f"{strange[0]} is no image file: give image files, or one data set or folder")
        if run.conditional and number is None:
            raise InputError(f"image files have no labels, and {run.path} is conditional: give --label")
        _at_most(len(files))
        images = np.stack([_file(file, run.spec.shape) for file in files])
        return images, None if number is None else np.full(len(images), number)
    found = _subjects(run, sources[0] if sources else None, split)
    rows = np.linspace(0, len(found.samples) - 1, min(n, len(found.samples))).round().astype(np.int64)
    images = found.convert(found.samples[rows])
    if not run.conditional:
        return images, None
    if number is not None:
        return images, np.full(len(rows), number)
    wanted = run.spec.classes
    if found.labels is None or not set(found.classes) <= set(wanted):
        raise InputError(
            f"{run.path} is conditional, and these data have no labels of its classes: give --label"
        )
    numbers = np.array([wanted.index(name) for name in found.classes])
    return images, numbers[found.labels[rows]]


def _file(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """The centre square of an image file as uint8 C×H×W of this shape."""
    try:
        square = decode(path).square
    except DataError as error:
        raise DataError(f"{path} cannot be used ({error}): give other images") from error
    if shape[0] == 1:
        return pixels(square.convert("L"), shape[-1])[:1]
    return pixels(square, shape[-1])


def to_channels(images: np.ndarray, channels: int) -> np.ndarray:
    """uint8 images N×C×H×W (C 1 or 3) with `channels`: grey becomes three equal ones, colour its luma.

    Luma is 0.299 R + 0.587 G + 0.114 B, rounded as Pillow does.
    """
    if images.shape[1] == channels:
        return images
    if channels == 3:
        return images.repeat(3, axis=1)
    red, green, blue = np.moveaxis(images.astype(np.uint32), 1, 0)
    luma = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16
    return np.asarray(luma[:, None], np.uint8)


# ---------------------------------------------------------------- files


def class_folders(classes: Sequence[str]) -> list[str]:
    """A folder name for each class: its own name where file systems take that, else one made safe.

    They are distinct, also where upper and lower case are the same.
    """
    folders: list[str] = []
    for name in classes:
        safe = re.sub(r'[\x00-\x1f\x7f<>:"/\\|?*]', "-", name).rstrip(". ")[:60]
        safe = f"_{safe}" if not safe or safe.startswith(".") else safe
        taken = {folder.lower() for folder in folders}
        folders.append(next(each for each in _numbered(safe) if each.lower() not in taken))
    return folders


def _numbered(name: str) -> Iterator[str]:
    """name, name-2, name-3, …"""
    yield name
    number = 2
    while True:
        yield f"{name}-{number}"
        number += 1


def suffix_of(out: Path, *allowed: str) -> str:
    """What kind of file is to be written. InputError for another kind, before any work."""
    suffix = out.suffix.lower()
    if suffix not in allowed:
        files = [f"FILE{each}" for each in allowed if each]
        folder = ["a folder without a suffix"] if "" in allowed else []
        *others, last = [*files, *folder]
        ways = f"{', '.join(others)} or {last}" if others else last
        raise InputError(f"--out was given {out}: write {ways}")
    if suffix and out.is_dir():
        raise InputError(f"--out {out} is a folder: name a file")
    return suffix


def _need_images(run: Run, advice: str) -> None:
    if run.spec.kind == "points":
        raise InputError(f"{run.path} makes points, which have no single pictures: {advice}")


def _check_count(run: Run, n: int, sheet: bool) -> None:
    """InputError for more samples than a sheet, or this machine's memory, can hold."""
    if sheet:
        _at_most(n)
    needed = 8 * n * math.prod(run.spec.shape)  # the samples in float32, and what a file is made from
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > there:
        raise InputError(
            f"{n} samples would take at least {needed / 1e9:.0f} GB, this machine has {there / 1e9:.0f} GB: "
            "ask for fewer, with several seeds"
        )


def _at_most(tiles: int) -> None:
    if tiles > _MOST_TILES:
        raise InputError(f"a sheet of {tiles:,} images was asked for, allowed are at most {_MOST_TILES:,}")


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(str(part) for part in shape)


def _bytes(images: np.ndarray) -> np.ndarray:
    """Images in [0, 1] as uint8, rounded."""
    return pictures.to_uint8(images * 2 - 1)


def _enlarged(images: np.ndarray) -> np.ndarray:
    """Small images enlarged by a whole factor, so that a pair is wide enough for the sheet as it is."""
    factor = math.ceil(48 / images.shape[-1])
    return images.repeat(factor, axis=2).repeat(factor, axis=3)


def _write_arrays(out: Path, arrays: dict[str, np.ndarray | None]) -> None:
    """An NPZ file of the arrays that there are."""
    buffer = bytes_io.BytesIO()
    np.savez_compressed(buffer, **{name: array for name, array in arrays.items() if array is not None})  # type: ignore[arg-type]
    io.write_out(out, buffer.getvalue())
