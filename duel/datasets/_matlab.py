"""Numbers from published MATLAB files (.mat, version 5)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duel import io
from duel.errors import ChecksumError, DataError

if TYPE_CHECKING:
    import numpy as np


def published_arrays(
    data_set: str, name: str, checksum: str, url: str, variables: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """These variables of a published .mat file, found or downloaded.

    The parser is compiled code that crashes the process on damaged content. It is handed the very bytes
    that were checked, so that a file which changes in between cannot reach it; they are held in memory.

    Raises ChecksumError for another content, DataError where SciPy or the file is missing, or a
    variable is not there or holds no numbers.
    """
    loadmat = _reader(data_set)
    path = io.published_file(data_set, name, checksum, url)
    return _arrays(loadmat, path, variables, _checked(path, checksum))


def _checked(path: Path, checksum: str) -> bytes:
    """The file's content, which has this MD5 or SHA-256; else ChecksumError."""
    content = path.read_bytes()
    algorithm = "md5" if len(checksum) == 32 else "sha256"
    if hashlib.new(algorithm, content, usedforsecurity=False).hexdigest() != checksum:
        raise ChecksumError(f"{path} changed while it was read: leave it alone and try again")
    return content


def _reader(data_set: str) -> Callable[..., Any]:
    """SciPy's reader. Asked for before anything is downloaded."""
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise DataError(
            f"{data_set} is published in MATLAB's format, which SciPy reads, and SciPy is not installed: "
            "pip install 'duel[vision]'"
        ) from error
    reader: Callable[..., Any] = loadmat
    return reader


def _arrays(
    loadmat: Callable[..., Any], path: Path, variables: tuple[str, ...], content: bytes | None = None
) -> dict[str, np.ndarray]:
    """`content`: the file's, where it is in memory already."""
    import numpy as np

    try:
        found = loadmat(path if content is None else BytesIO(content), variable_names=variables)
    except Exception as error:  # the parser raises many kinds for files that are no such files
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"{path} cannot be read as a MATLAB file ({reason}): get it again") from error
    for variable in variables:
        array = found.get(variable)
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "uif":
            raise DataError(f"{path} holds no array of numbers named {variable!r}: get it again")
    return {variable: found[variable] for variable in variables}


def whole_numbers(array: np.ndarray, low: int, high: int, what: str) -> np.ndarray:
    """The values as int64 N, whatever their type and shape. DataError where one lies outside low…high."""
    import numpy as np

    flat = array.reshape(-1)
    if not flat.size or not ((flat >= low) & (flat <= high) & (flat % 1 == 0)).all():
        raise DataError(f"{what} are not whole numbers from {low} to {high}: get the files again")
    return flat.astype(np.int64)
