"""The IDX format of the MNIST files: magic number, sizes, then the bytes of one array."""

from __future__ import annotations

import gzip
import io
import math
import struct
import zlib
from typing import TYPE_CHECKING

from duel.errors import DataError

if TYPE_CHECKING:
    import numpy as np

_LIMIT = 1 << 28  # bytes of one array; MNIST's largest has 47 million
_EXPANSION = 1032  # the most bytes that one byte of a gzip file can stand for
_UNSIGNED_BYTE = 8


def read_idx(content: bytes, dimensions: int, limit: int = _LIMIT) -> np.ndarray:
    """The uint8 array of an IDX file, plain or gzipped, that must have this number of dimensions.

    Raises DataError for anything that is not exactly such a file, and before more than `limit` bytes
    are decompressed or allocated. Format: http://yann.lecun.com/exdb/mnist/
    """
    import numpy as np

    try:
        stream = _open(content)
        shape = _header(stream, dimensions, limit)
        _check_possible(shape, len(content))
        data = stream.read(math.prod(shape) + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"the file is damaged ({error}): remove it and get it again") from error
    if len(data) != math.prod(shape):
        raise DataError(
            f"the IDX header announces {math.prod(shape):,} bytes, but there are "
            f"{'more' if len(data) > math.prod(shape) else f'{len(data):,}'}: get the file again"
        )
    return np.frombuffer(data, np.uint8).reshape(shape)


def _check_possible(shape: tuple[int, ...], size: int) -> None:
    """Before memory is asked for: no file of `size` bytes unpacks to that much."""
    if math.prod(shape) > _EXPANSION * size:
        raise DataError(
            f"the IDX header announces {math.prod(shape):,} bytes, more than {size:,} bytes can unpack to: "
            "get the file again"
        )


def _open(content: bytes) -> gzip.GzipFile | io.BytesIO:
    plain = io.BytesIO(content)
    return gzip.GzipFile(fileobj=plain) if content[:2] == b"\x1f\x8b" else plain


def _header(stream: gzip.GzipFile | io.BytesIO, dimensions: int, limit: int) -> tuple[int, ...]:
    """The array's shape. Raises DataError for another format, number of dimensions or size."""
    expected = bytes([0, 0, _UNSIGNED_BYTE, dimensions])
    magic = stream.read(4)
    if magic != expected:
        raise DataError(
            f"the file starts with {magic.hex() or 'nothing'}, expected {expected.hex()} "
            f"(IDX, bytes, {dimensions} dimensions): get the file again"
        )
    sizes = stream.read(4 * dimensions)
    if len(sizes) != 4 * dimensions:
        raise DataError("the file ends within its IDX header: get the file again")
    shape: tuple[int, ...] = struct.unpack(f">{dimensions}I", sizes)
    count = math.prod(max(1, size) for size in shape)  # none of something huge is refused, too
    if count > limit:
        raise DataError(f"the IDX header announces {count:,} bytes, allowed are {limit:,}")
    return shape
