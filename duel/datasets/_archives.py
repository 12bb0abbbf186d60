"""Files out of a tar, read as one bounded stream: nothing is extracted, nothing is unpacked without limit."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from duel.datasets._images import one_line
from duel.errors import DataError

_MAX_MEMBERS = 100_000  # tarfile keeps a record of each; Oxford's flowers are 8,190
_MAX_UNPACKED = 1 << 31  # bytes; CIFAR-10 has 186 million, Oxford's flowers 350 million
_MAX_HEADERS = 1 << 20  # bytes of what describes one member: its name, its attributes, its holes


class Bounded:
    """A stream that goes no further than `most` bytes, and gives no more than `allowed` of them.

    It is what tarfile asks of a file. Raises DataError at either limit, before anything is read.
    """

    def __init__(self, stream: IO[bytes], most: int) -> None:
        self._stream, self._most = stream, most
        self.describe()

    def describe(self) -> None:
        """What is read next describes a member."""
        self.allowed = _MAX_HEADERS

    def tell(self) -> int:
        return self._stream.tell()

    def seek(self, position: int) -> int:
        self._check(position)
        return self._stream.seek(position)

    def read(self, size: int) -> bytes:
        if size > self.allowed:
            raise DataError(f"it describes a member with more than {_MAX_HEADERS:,} bytes")
        self._check(self.tell() + size)
        self.allowed -= size
        return self._stream.read(size)

    def _check(self, position: int) -> None:
        if position > self._most:
            raise DataError(f"it holds more than {self._most:,} bytes")


def tar_files(path: Path, wanted: Callable[[str], bool], largest: int) -> Iterator[tuple[str, bytes]]:
    """Name and content of each wanted file in a tar (plain, gzip, bzip2 or xz), in one pass.

    Only regular files of at most `largest` bytes count: links, devices and files with holes are passed
    over. Names are compared, never used as paths. Raises DataError, and nothing else, where the tar is
    damaged or exceeds the limits.
    """
    try:
        with path.open("rb") as file, _unpacked(file) as stream:
            yield from _files(Bounded(stream, _MAX_UNPACKED), wanted, largest)
    except MemoryError:
        raise
    except Exception as error:  # tarfile and the decompressors raise many kinds for damaged files
        raise DataError(f"{path} cannot be read ({one_line(error)}): remove it and get it again") from error


def _files(stream: Bounded, wanted: Callable[[str], bool], largest: int) -> Iterator[tuple[str, bytes]]:
    source: Any = stream
    # Not the stream mode "r|": it takes a cut archive for its end.
    with tarfile.open(fileobj=source, mode="r:") as tar:
        for count, member in enumerate(tar, 1):
            if count > _MAX_MEMBERS:
                raise DataError(f"it holds more than {_MAX_MEMBERS:,} members")
            regular = member.isreg() and not member.issparse()
            if regular and member.size <= largest and wanted(member.name):
                content = tar.extractfile(member)
                assert content is not None  # it is for regular files
                stream.allowed = member.size
                yield member.name, content.read()
            stream.describe()


def _unpacked(file: IO[bytes]) -> Any:
    """The stream within gzip, bzip2 or xz, told by its first bytes; else the file itself."""
    start = file.read(6)
    file.seek(0)
    if start.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)
    if start.startswith(b"BZh"):
        return bz2.BZ2File(file)
    if start == b"\xfd7zXZ\0":
        return lzma.LZMAFile(file)
    return file
