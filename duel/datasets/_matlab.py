"""Numbers from published MATLAB files (.mat, version 5)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duel import io
from duel.errors import DataError

if TYPE_CHECKING:
    import numpy as np


def published_arrays(
    data_set: str, name: str, checksum: str, url: str, variables: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """These variables of a published .mat file, found or downloaded; the parser sees it only checked.

    Raises ChecksumError for another content, DataError where SciPy or the file is missing, or a
    variable is not there or holds no numbers.
    """
    loadmat = _reader(data_set)
    return _arrays(loadmat, io.published_file(data_set, name, checksum, url), variables)


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


def _arrays(loadmat: Callable[..., Any], path: Path, variables: tuple[str, ...]) -> dict[str, np.ndarray]:
    import numpy as np

    try:
        content = loadmat(path, variable_names=variables)
    except Exception as error:  # the parser raises many kinds for files that are no such files
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"{path} cannot be read as a MATLAB file ({reason}): get it again") from error
    for variable in variables:
        array = content.get(variable)
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "uif":
            raise DataError(f"{path} holds no array of numbers named {variable!r}: get it again")
    return {variable: content[variable] for variable in variables}


def whole_numbers(array: np.ndarray, low: int, high: int, what: str) -> np.ndarray:
    """The values as int64 N, whatever their type and shape. DataError where one lies outside low…high."""
    import numpy as np

    flat = array.reshape(-1)
    if not flat.size or not ((flat >= low) & (flat <= high) & (flat % 1 == 0)).all():
        raise DataError(f"{what} are not whole numbers from {low} to {high}: get the files again")
    return flat.astype(np.int64)
