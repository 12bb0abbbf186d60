"""One WebDataset shard: looked through with limits first, then read by the webdataset library."""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from duel.datasets._archives import Bounded
from duel.datasets._images import one_line
from duel.datasets._streamed import MAX_FILE
from duel.errors import DataError

_MAX_MEMBERS = 1 << 20  # of one shard
_MAX_UNPACKED = 1 << 36  # bytes of one shard
_MAX_KEYS = 1000  # that are remembered, for an error's sentence
_BLOCK = 512  # bytes that a tar counts in


@dataclass(frozen=True)
class Survey:
    """What a shard holds: its keys, and the samples that cannot be used, each with its reason."""

    keys: frozenset[str]
    left_out: frozenset[str]
    bad: tuple[tuple[str, str], ...]


def survey(path: Path, images: tuple[str, ...], others: tuple[str, ...]) -> Survey:
    """Look at every member's header. DataError where the file is no tar, is cut, or exceeds the limits.

    The library reads members whole, whatever size they announce, and takes a cut tar for its end; so what
    it may read is decided here.

    images, others  the keys that will be read
    """
    try:
        with path.open("rb") as file, _unpacked(file) as stream:
            return _survey(path.name, Bounded(stream, _MAX_UNPACKED), images, others)
    except MemoryError:
        raise
    except Exception as error:  # tarfile and the decompressor raise many kinds for damaged files
        raise DataError(f"{path} is no readable tar ({one_line(error)}): get it again") from error


def _survey(shard: str, stream: Bounded, images: tuple[str, ...], others: tuple[str, ...]) -> Survey:
    keys: set[str] = set()
    left_out: set[str] = set()
    bad: list[tuple[str, str]] = []
    sample, has_image = "", True

    def close() -> None:
        if not has_image and sample not in left_out:
            left_out.add(sample)
            bad.append((f"{shard}/{sample}", f"has no image ({', '.join(images)}) beside its other files"))

    for member in _members(stream):
        if member.isdir() or _is_meta(member.name):
            continue
        prefix, key = split_name(member.name)
        if prefix is None:
            bad.append((f"{shard}/{member.name}", "its name has no ending that says what it is"))
            continue
        if prefix != sample:
            close()
            sample, has_image = prefix, False
        if len(keys) < _MAX_KEYS:
            keys.add(key)
        has_image = has_image or key in images
        reason = _unusable(member) if key in images or key in others else ""
        if reason and prefix not in left_out:
            left_out.add(prefix)
            bad.append((f"{shard}/{member.name}", reason))
    close()
    return Survey(frozenset(keys), frozenset(left_out), tuple(bad))


def _members(stream: Bounded) -> Iterator[tarfile.TarInfo]:
    # Not the stream mode "r|": it takes a cut archive for its end.
    with tarfile.open(fileobj=cast(Any, stream), mode="r:") as tar:
        count = 0
        while (member := tar.next()) is not None:
            tar.members = []  # type: ignore[attr-defined]  # else it remembers each
            count += 1
            if count > _MAX_MEMBERS:
                raise DataError(f"it holds more than {_MAX_MEMBERS:,} members")
            yield member
            stream.describe()
        stream.allowed = _BLOCK
        stream.seek(tar.offset)
        if stream.read(_BLOCK) != bytes(_BLOCK):
            raise DataError(f"it ends after {count:,} members without the mark of a tar's end: it was cut")


def _is_meta(name: str) -> bool:
    """What the library passes over: `__name__`, the shard's own notes."""
    first = name.partition("/")[0]
    return len(first) > 3 and first.startswith("__") and first.endswith("__")


def _unusable(member: tarfile.TarInfo) -> str:
    if not member.isreg():
        return "a link or a device, no file"
    if member.issparse():
        return "a file with holes"
    if member.size > MAX_FILE:
        return f"too large: {member.size:,} bytes, at most {MAX_FILE:,} are read"
    return ""


def split_name(name: str) -> tuple[str | None, str]:
    """A member's sample and key as the library has them: "a/b.seg.png" → "a/b", "seg.png"."""
    from webdataset import tariterators

    prefix, key = tariterators.base_plus_ext(name)
    return prefix, (key or "").lower()


def samples(
    path: Path, found: Survey, wanted: tuple[str, ...], bad: list[tuple[str, str]]
) -> Iterator[dict[str, Any]]:
    """The samples that are not left out, in order: key → bytes, and `__key__`.

    The file is opened here: the library would run what stands behind "pipe:", and fetch URLs. A second
    file of one name is noted in `bad` and not used.
    """
    from webdataset import tariterators

    def chosen(name: str) -> bool:
        prefix, key = split_name(name)
        return key in wanted and prefix not in found.left_out

    def repeated(error: Exception) -> bool:
        name = str(error.args[0]).partition(": duplicate file name")[0]
        bad.append((f"{path.name}/{name}", "a second file of this name; the first is used"))
        return True

    try:
        with path.open("rb") as file, _unpacked(file) as stream:
            source = [{"url": path.name, "stream": stream}]
            files = tariterators.tar_file_expander(source, select_files=chosen)
            yield from tariterators.group_by_keys(files, handler=repeated)
    except (DataError, MemoryError):
        raise
    except Exception as error:
        raise DataError(f"{path} is no readable tar ({one_line(error)}): get it again") from error


def _unpacked(file: IO[bytes]) -> Any:
    """The stream within gzip, told by its first bytes; else the file itself."""
    start = file.read(2)
    file.seek(0)
    return gzip.GzipFile(fileobj=file) if start == b"\x1f\x8b" else file
