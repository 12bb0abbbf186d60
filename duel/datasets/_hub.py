"""What the `datasets` library is asked for: a stream of samples, its columns, the bytes of each image."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from duel import io
from duel.datasets._images import check_file, one_line
from duel.datasets._streamed import MAX_FILE, Item, label_of
from duel.errors import DataError, one_of


@dataclass(frozen=True)
class Columns:
    """The column of images, that of labels (or None), and the names of its classes where it has some."""

    image: str
    label: str | None
    classes: tuple[str, ...]


def is_local(source: str) -> bool:
    """Whether it is a path, and no name on the Hub."""
    return source.startswith(("/", "./", "../", "~")) or source in (".", "..")


def opened(source: str, config: str | None, split: str, revision: str | None) -> Any:
    """The library's stream of one split. DataError where the library, the network or the split is missing.

    Streaming, so that nothing but single files is held here. Library versions from 4 on run no code of a data
    set; older ones are refused by the extra.
    """
    local = is_local(source)
    library = _library(source)
    if not local:
        _check_network(source, library.config.HF_ENDPOINT)
    # "hf://" keeps a folder of this name here from standing in for the Hub's.
    place = source if local else f"hf://datasets/{source}"
    cache = str(io.cache_folder() / "hub-library")
    try:
        return library.load_dataset(
            place, config, split=split, revision=revision, streaming=True, cache_dir=cache
        )
    except MemoryError:
        raise
    except Exception as error:  # the library raises many kinds
        raise DataError(f"hf:{source} cannot be opened ({one_line(error)}): {_help(error)}") from error


def _help(error: Exception) -> str:
    if isinstance(error, OSError):
        return "look at the network, or for the data set's name on https://huggingface.co/datasets"
    return "data.config and data.split choose among what there is"


def _library(source: str) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise DataError(
            f"hf:{source} is read by the datasets library, which is not installed ({error}): "
            "pip install 'duel[hf]'"
        ) from error
    return datasets


def _check_network(source: str, endpoint: str) -> None:
    """Raises DataError at once where the library would try for half a minute, with a line for each time."""
    if os.environ.get("DUEL_OFFLINE") or os.environ.get("HF_HUB_OFFLINE"):
        raise DataError(
            f"hf:{source} is not in the cache, and DUEL_OFFLINE or HF_HUB_OFFLINE is set: unset it, or "
            "load the data set once where there is a network"
        )
    if (why := io.unreachable(endpoint)) is not None:
        raise DataError(
            f"hf:{source} is not in the cache, and {why}: look at the network, or load the data set once "
            "where there is one"
        )


# ---------------------------------------------------------------- columns


def columns(where: str, stream: Any, image: str | None, label: str) -> Columns:
    """The columns by name, or by the library's types. DataError where that leaves none, or several."""
    from datasets import ClassLabel, Image

    features = stream.features
    if not features:
        raise DataError(
            f"{where} does not say of which types its columns are: a copy in Parquet does "
            "(the branch refs/convert/parquet on the Hub)"
        )
    images = [name for name, kind in features.items() if isinstance(kind, Image)]
    if image is not None and image not in images:
        raise DataError(f"{where} has no column {image!r} of images: {one_of(images, image)}")
    if image is None and len(images) != 1:
        found = f"columns of images {', '.join(images)}" if images else "no column of images"
        raise DataError(f"{where} has {found}: name one with data.image; it has {', '.join(features)}")
    chosen = _label_column(where, features, label, ClassLabel)
    kind = None if chosen is None else features[chosen]
    classes = tuple(kind.names) if isinstance(kind, ClassLabel) else ()
    if len(set(classes)) < len(classes):
        raise DataError(f"{where} has two classes of one name in its column {chosen}: use data.label=none")
    return Columns(image or images[0], chosen, classes)


def _label_column(where: str, features: Any, label: str, class_label: type[Any]) -> str | None:
    if label == "none":
        return None
    if label != "auto":
        if label not in features:
            raise DataError(f"{where} has no column {label!r}: {one_of(list(features), label)}")
        if not isinstance(features[label], class_label) and not _is_plain(features[label]):
            raise DataError(
                f"the column {label!r} of {where} holds {features[label]}, allowed are class labels, whole "
                "numbers and names: name another one with data.label, or use data.label=none"
            )
        return label
    labels = [name for name, kind in features.items() if isinstance(kind, class_label)]
    if len(labels) > 1:
        raise DataError(
            f"{where} has several columns of class labels: name one with data.label, "
            f"{', '.join(labels)} or none"
        )
    return labels[0] if labels else None


def _is_plain(kind: Any) -> bool:
    """Whether a column holds whole numbers or strings."""
    return re.fullmatch(r"u?int\d+|(large_)?string", str(getattr(kind, "dtype", ""))) is not None


# ---------------------------------------------------------------- samples


def items(source: str, stream: Any, chosen: Columns) -> Iterator[Item]:
    """The samples in the library's order, images as the bytes of their files. DataError where it fails."""
    from datasets import Image

    wanted = [chosen.image] + ([] if chosen.label is None else [chosen.label])
    try:
        rows = stream.select_columns(wanted).cast_column(chosen.image, Image(decode=False))
        for number, row in enumerate(rows):
            yield _item(source, number, row, chosen)
    except MemoryError:
        raise
    except Exception as error:  # also in the midst: the network, a damaged file
        raise DataError(f"hf:{source} cannot be read ({one_line(error)}): try again") from error


def _item(source: str, number: int, row: dict[str, Any], chosen: Columns) -> Item:
    value = row[chosen.image] or {}
    path = value.get("path")
    name = f"{number} ({os.path.basename(path)})" if path else str(number)
    try:
        label = None if chosen.label is None else _label(row[chosen.label], chosen.classes)
        return Item(name, _content(source, value.get("bytes"), path), label)
    except DataError as error:
        return Item(name, bad=str(error))
    except OSError as error:
        return Item(name, bad=f"cannot be read: {error.strerror or one_line(error)}")


def _label(value: Any, classes: tuple[str, ...]) -> int | str | None:
    """None and, among class labels, -1 say that there is none."""
    if value is None or (classes and value == -1):
        return None
    if classes:
        if not 0 <= value < len(classes):
            raise DataError(f"its label is {value}, allowed are 0 to {len(classes) - 1}")
        return int(value)
    return label_of(str(value))


def _content(source: str, content: bytes | None, path: str | None) -> bytes:
    """The bytes of an image's file: within the row, or of the file that it names.

    What it names is the publisher's word: only files of the data set itself are opened, never others of this
    machine.
    """
    if content is not None:
        return content
    if not path:
        raise DataError("it holds no image")
    if is_local(source):
        root, file = Path(source).resolve(), Path(path).resolve()
        if root not in file.parents:
            raise DataError("its file lies outside of the data set")
        check_file(file)
        with file.open("rb") as stream:
            return _bounded(stream)
    if not _is_in_repository(path, source):
        raise DataError("its file lies outside of the data set")
    import fsspec

    with fsspec.open(path, "rb") as stream:
        return _bounded(stream)


def _is_in_repository(path: str, source: str) -> bool:
    """Whether it is a file of the repository, or of an archive there ("zip://a.png::hf://datasets/…")."""
    *inner, last = path.split("::")
    owner = "" if "/" in source else r"(\w[\w.-]*/)?"  # the Hub adds it to old names
    outer = re.match(rf"hf://datasets/{owner}{re.escape(source)}(@[^/]+)?/", last)
    return outer is not None and all(re.match(r"(zip|tar|gzip)://", part) for part in inner)


def _bounded(stream: IO[bytes]) -> bytes:
    return stream.read(MAX_FILE + 1)
