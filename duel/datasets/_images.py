"""One image file to plain pixels, by rules that are written down here."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from duel.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
_SIXTEEN_BIT = ("I", "I;16", "I;16L", "I;16B", "I;16N")
_GREY = ("1", "L", "LA", "La", *_SIXTEEN_BIT)


@dataclass(frozen=True)
class Decoded:
    """An image's centre square (Pillow mode L or RGB), and the mode and width × height of the file."""

    square: Image.Image
    mode: str
    size: tuple[int, int]


def is_grey(mode: str) -> bool:
    """Whether a file of this Pillow mode has no colour. A palette counts as colour."""
    return mode in _GREY


def decode(path: Path) -> Decoded:
    """The centre square of an image file, upright, as L or RGB of 8 bits.

    EXIF orientation is obeyed; of an animation the first frame is taken; transparency is laid on white;
    a palette, CMYK and other colour spaces become RGB; 1-bit becomes 0 and 255; 16-bit grey is divided
    by 257 (its transparency is ignored). Raises DataError with the reason for a file that cannot be
    used.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings(), path.open("rb") as file:
            # Pillow warns of oddities that it copes with; only the warning of a bomb is heeded.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return _decoded(Image.open(file, formats=FORMATS))
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError(f"no image of a known type ({', '.join(FORMATS)})") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"too large: more than {Image.MAX_IMAGE_PIXELS:,} pixels") from error
    except Exception as error:  # Pillow's decoders raise many kinds for damaged files
        raise DataError(f"damaged: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _decoded(image: Image.Image) -> Decoded:
    from PIL import ImageOps

    mode, size = image.mode, image.size
    if min(size) < 2:
        raise DataError(f"too small: {size[0]}×{size[1]} pixels, at least 2×2 are needed")
    image.load()
    return Decoded(_plain(_centre(ImageOps.exif_transpose(image))), mode, size)


def _centre(image: Image.Image) -> Image.Image:
    """The largest square in the middle."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def _plain(image: Image.Image) -> Image.Image:
    """Mode L for grey images, RGB for others."""
    target = "L" if is_grey(image.mode) else "RGB"
    if image.mode in _SIXTEEN_BIT:
        return _eight_bit(image)
    if image.mode == "F":
        raise DataError("its pixels are floating-point numbers, of which none is known to be white")
    if image.has_transparency_data:
        return _on_white(image, target)
    return image.convert(target)


def _on_white(image: Image.Image, target: str) -> Image.Image:
    from PIL import Image

    colours = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, colours).convert(target)


def _eight_bit(image: Image.Image) -> Image.Image:
    """0..65535 to 0..255."""
    import numpy as np
    from PIL import Image

    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise DataError("its 32-bit pixels lie outside 0 to 65535, so that none is known to be white")
    return Image.fromarray(np.round(values / 257).astype(np.uint8))


def pixels(square: Image.Image, side: int) -> np.ndarray:
    """The square as uint8 3×side×side, resized with Lanczos; grey has three equal channels."""
    import numpy as np
    from PIL import Image

    resized = square.resize((side, side), Image.Resampling.LANCZOS).convert("RGB")
    return np.ascontiguousarray(np.asarray(resized).transpose(2, 0, 1))
