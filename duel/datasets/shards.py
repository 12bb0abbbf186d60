"""The user's own images in WebDataset shards."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from duel import io
from duel.datasets._base import Data, ImageSet, Spec
from duel.datasets._decoded import kept
from duel.datasets._scan import shown
from duel.datasets._shard import Survey, samples, survey
from duel.datasets._streamed import Item, label_of, refusal, write_stream
from duel.errors import DataError, one_of
from duel.options import options

_VERSION = 1  # of decoding: raise it when the same shards would give other pixels, splits or labels
_MAX_SHARDS = 100_000
_RANGE = re.compile(r"\{(-?\d+)\.\.(-?\d+)")
_NESTED = re.compile(r"\{[^}]*\{")


@options
class Shards(ImageSet):
    """Images in WebDataset shards: tars (plain or gzip) in which files of one name are a sample.

    Needs the webdataset library: pip install 'duel[shards]'. Files 0001.png and 0001.cls are the sample
    0001 with the keys png and cls. The images become what they become in a folder (centre square, Lanczos,
    RGB unless all are grey), and are split alike: 80/10/10 by the hash of each image file. They are decoded
    once, streamed from shard to shard, and kept in the cache. `--data 'shards:PATTERN'` is short for
    --set data.name=shards and data.pattern.

    pattern     where the shards are: a path, with braces (train-{000..009}.tar) or * in it, or a list of
                such. Every path that the braces name must exist
    resolution  side of the square images in pixels
    fit         always "resize"
    image       the key of the images, or a list of keys, of which the first that a sample has is used
    label       "auto": cls where there is such a key, else no labels; "none"; a KEY whose file holds a number
                or a name; or KEY:FIELD, a field of a JSON file. Labels become classes in their order
    on_bad      what happens when samples cannot be used: "skip" lists them in the run's provenance and goes
                on, "fail" stops and names them
    """

    pattern: str | tuple[str, ...]
    resolution: int = 64
    fit: Literal["resize"] = "resize"
    image: str | tuple[str, ...] = (
        "png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "tiff", "ppm", "pgm", "pbm",
    )  # fmt: skip
    label: str = "auto"
    on_bad: Literal["skip", "fail"] = "skip"

    def __post_init__(self) -> None:
        super().__post_init__()
        for pattern in _listed(self.pattern) or ("",):
            _check_pattern(pattern)
        if not all(_listed(self.image)) or not self.image:
            raise ValueError(f"image is {self.image!r}, expected the key of the images, such as jpg")
        if not re.fullmatch(r"[^:]+(:[^:]+)?", self.label):
            raise ValueError(f"label is {self.label!r}, expected KEY or KEY:FIELD, such as cls or json:label")
        # A run is taken up from any folder.
        absolute = tuple(os.path.abspath(os.path.expanduser(one)) for one in _listed(self.pattern))
        object.__setattr__(self, "pattern", absolute[0] if isinstance(self.pattern, str) else absolute)

    def load(self) -> Data:
        """uint8 N×3×R×R, or N×1×R×R where all images are grey, memory-mapped from the cache."""
        _check_library()
        shards = _shards(_listed(self.pattern))
        key = _key(self, shards)
        stored = kept(io.cache_folder() / "shards" / key, partial(_write, self, shards))
        if stored.bad and self.on_bad == "fail":
            raise DataError(refusal(_where(self), stored.bad))
        spec = Spec("image", stored.images.shape[1:], stored.classes)
        return Data(shards[0].parent.name or "shards", spec, stored.splits(), key, skipped=stored.bad)


def _listed(one_or_more: str | tuple[str, ...]) -> tuple[str, ...]:
    return (one_or_more,) if isinstance(one_or_more, str) else one_or_more


def _where(of: Shards) -> str:
    first, *others = _listed(of.pattern)
    return f"{shown(first)} and {len(others)} more" if others else shown(first)


# ---------------------------------------------------------------- which files


def _check_pattern(pattern: str) -> None:
    """Raises ValueError for what names no files, or more than may be asked for."""
    if not pattern.strip() or "\0" in pattern:
        raise ValueError(
            f"pattern is {pattern!r}, expected the path of shards, such as train-{{000..009}}.tar"
        )
    if re.match(r"pipe:|[A-Za-z][A-Za-z0-9+.-]*://", pattern):
        raise ValueError(
            f"pattern is {pattern!r}: shards are read from files on this machine, no command is run and "
            "nothing fetched; get them first"
        )
    if _NESTED.search(pattern):
        raise ValueError(
            f"pattern is {pattern!r}: braces within braces are not read, give a list of patterns"
        )
    for low, high in _RANGE.findall(pattern):
        if max(len(low), len(high)) > 18 or abs(int(high) - int(low)) >= _MAX_SHARDS:
            raise ValueError(f"pattern is {pattern!r}, allowed are {_MAX_SHARDS:,} shards")


def _shards(patterns: tuple[str, ...]) -> list[Path]:
    """The files of all patterns, in order, each once. DataError where one is missing or there is none."""
    found = dict.fromkeys(path for pattern in patterns for path in _matching(pattern))
    if len(found) > _MAX_SHARDS:
        raise DataError(f"{shown(patterns[0])} names more than {_MAX_SHARDS:,} shards: give fewer")
    return list(found)


def _matching(pattern: str) -> list[Path]:
    names = _expanded(pattern)
    paths = [path for name in names for path in (sorted(glob.glob(name)) if _is_glob(name) else [name])]
    missing = [path for path in paths if not os.path.exists(path)]
    if not paths or len(missing) == len(paths):
        raise DataError(
            f"there are no shards {shown(pattern)}: name the tars, with {{000..009}} or * in their names"
        )
    if missing:
        raise DataError(
            f"{len(missing)} of the {len(paths)} shards {shown(pattern)} are missing, such as "
            f"{shown(missing[0])}: get them, or name those that are there"
        )
    return [Path(path) for path in paths]


def _is_glob(name: str) -> bool:
    return glob.has_magic(name) and not os.path.exists(name)


def _expanded(pattern: str) -> list[str]:
    """The names that braces stand for; a file that is called so itself comes first."""
    if os.path.exists(pattern):
        return [pattern]
    import braceexpand

    try:
        names = list(islice(braceexpand.braceexpand(pattern), _MAX_SHARDS + 1))
    except ValueError as error:
        raise DataError(f"the pattern {shown(pattern)} has a brace without its other one: add it") from error
    if len(names) > _MAX_SHARDS:
        raise DataError(f"{shown(pattern)} names more than {_MAX_SHARDS:,} shards: give fewer")
    return names


def _check_library() -> None:
    """DataError where it is not installed: said before anything is read."""
    try:
        import webdataset  # noqa: F401
    except ImportError as error:
        raise DataError(
            f"shards are read by the webdataset library, which is not installed ({error}): "
            "pip install 'duel[shards]'"
        ) from error


def _key(of: Shards, shards: list[Path]) -> str:
    """The SHA-256 of all that decides the result: names, contents, resolution, keys, rules."""
    told = [_VERSION, of.resolution, _keys(of.image), of.label, len(shards)]
    digest = hashlib.sha256(f"{json.dumps(told)}\n".encode())
    for path in shards:
        digest.update(os.fsencode(path.name) + b"\0" + _digest(path).encode() + b"\n")
    return digest.hexdigest()


def _digest(path: Path) -> str:
    try:
        if not path.is_file():  # a pipe would block
            raise DataError(f"{shown(str(path))} is no file: name the tars")
        return io.file_digest(path)
    except OSError as error:
        raise DataError(f"{shown(str(path))} cannot be read ({error.strerror})") from error


# ---------------------------------------------------------------- what is in them


def _keys(image: str | tuple[str, ...]) -> tuple[str, ...]:
    return tuple(key.lower().removeprefix(".") for key in _listed(image))


def _write(of: Shards, shards: list[Path], folder: Path) -> None:
    """images.npy and index.json: the shards are looked through first, all of them, then decoded."""
    images = _keys(of.image)
    label, _, of_json = of.label.partition(":")
    label = label.lower().removeprefix(".")
    asked = {"auto": ("cls",), "none": ()}.get(label, (label,))
    surveys = [survey(path, images, asked) for path in shards]
    keys = frozenset[str]().union(*(found.keys for found in surveys))
    _check_there(_where(of), keys, images, "image")
    if label == "auto":
        asked = ("cls",) if "cls" in keys else ()
    elif asked:
        _check_there(_where(of), keys, asked, "label")
    items = _items(list(zip(shards, surveys, strict=True)), images, asked, of_json)
    write_stream(items, of.resolution, folder, _where(of))


def _check_there(where: str, keys: frozenset[str], wanted: tuple[str, ...], option: str) -> None:
    if not keys & set(wanted):
        raise DataError(
            f"{where} holds no key {' or '.join(wanted)}: name one with data.{option}; "
            f"{one_of(sorted(keys)[:30], wanted[0])}"
        )


def _items(
    shards: list[tuple[Path, Survey]], images: tuple[str, ...], label: tuple[str, ...], of_json: str
) -> Iterator[Item]:
    """The samples of all shards, and what cannot be used."""
    for path, found in shards:
        bad = list(found.bad)
        for sample in samples(path, found, (*images, *label), bad):
            yield _item(path, sample, images, label, of_json)
        yield from (Item(name, bad=reason) for name, reason in bad)


def _item(
    path: Path, sample: dict[str, Any], images: tuple[str, ...], label: tuple[str, ...], of_json: str
) -> Item:
    key = next(key for key in images if key in sample)
    name = f"{path.name}/{sample['__key__']}.{key}"
    if not label:
        return Item(name, sample[key])
    if label[0] not in sample:
        raise DataError(
            f"{shown(name)} has no {label[0]} beside it, which other samples have: give all of them one, "
            "or use data.label=none"
        )
    try:
        value = _field(sample[label[0]], of_json) if of_json else _text(sample[label[0]])
    except KeyError as error:
        raise DataError(
            f"the {label[0]} beside {shown(name)} has no field {of_json!r}; {one_of(error.args[0], of_json)}"
        ) from error
    except DataError as error:
        return Item(name, bad=str(error))
    return Item(name, sample[key], value)


def _text(content: bytes) -> int | str:
    try:
        return label_of(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise DataError("its label is no text") from error


def _field(content: bytes, of_json: str) -> int | str:
    """A field of a JSON object. DataError for what is none; KeyError, with the fields' names, without it."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError("its label is in a file that is no JSON") from error
    if not isinstance(value, dict):
        raise DataError("its label is in JSON that is no object with fields")
    if of_json not in value:
        raise KeyError(sorted(value)[:30])
    found = value[of_json]
    if isinstance(found, bool) or not isinstance(found, int | str):
        raise DataError(f"its label {of_json} is {type(found).__name__}, expected a number or a name")
    return label_of(str(found))
