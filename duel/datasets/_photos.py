"""One photo of a published data set, from the bytes of its file."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

from duel.errors import DataError

if TYPE_CHECKING:
    from PIL import Image


def photo(content: bytes, name: str, formats: tuple[str, ...]) -> Image.Image:
    """The image as RGB, in one of these Pillow formats. Raises DataError with its name otherwise.

    Metadata (EXIF) are ignored, as by those who published results on these data.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # Pillow warns of oddities that it copes with; only the warning of a bomb is heeded.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return Image.open(io.BytesIO(content), formats=formats).convert("RGB")
    except UnidentifiedImageError as error:
        raise DataError(f"{name} is no {' or '.join(formats)} image: get the files again") from error
    except Exception as error:  # Pillow's decoders raise many kinds for damaged files
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"{name} is damaged ({reason}): get the files again") from error
