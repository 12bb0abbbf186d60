"""One photo of a published data set, from the bytes of its file."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

from duel.datasets._images import check_pixels, one_line
from duel.errors import DataError

if TYPE_CHECKING:
    from PIL import Image


def photo(
    content: bytes, name: str, formats: tuple[str, ...], size: tuple[int, int] | None = None
) -> Image.Image:
    """The image as RGB, in one of these Pillow formats. Raises DataError with its name otherwise.

    size  width and height that it must have; another one is refused before it is decoded

    Metadata (EXIF) are ignored, as by those who published results on these data.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # Pillow warns of oddities that it copes with; only the warning of a bomb is heeded.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(content), formats=formats)
            if size is not None and image.size != size:
                raise DataError(
                    f"{name} has {image.width}×{image.height} pixels, expected {size[0]}×{size[1]}: get the "
                    "files again"
                )
            check_pixels(image.size)
            return image.convert("RGB")
    except (DataError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise DataError(f"{name} is no {' or '.join(formats)} image: get the files again") from error
    except Exception as error:  # Pillow's decoders raise many kinds for damaged files
        raise DataError(f"{name} is damaged ({one_line(error)}): get the files again") from error
