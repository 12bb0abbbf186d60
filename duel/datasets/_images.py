"""One image file to plain pixels, by rules that are written down here."""

from __future__ import annotations

import stat
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from duel.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
MAX_BYTES = 1 << 30  # of one file; the most pixels with four channels of 16 bits are 716 million bytes
MAX_PIXELS = 89_478_485  # of one image, as Pillow has it; set here, since any program may change Pillow's
_SIXTEEN_BIT = ("I", "I;16", "I;16L", "I;16B", "I;16N")
_GREY = ("1", "L", "LA", "La", *_SIXTEEN_BIT)
_ORIENTATION = 0x0112  # the EXIF tag
_SMALL_CHUNK = 1 << 20  # bytes that a cut PNG may ask for in vain
_TILE_WIDTH, _TILE_HEIGHT = 322, 323  # tags of a TIFF
_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*")
_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


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

    The content decides the type, not the name. EXIF orientation is obeyed, unreadable EXIF ignored; of an
    animation the first frame is taken; transparency is laid on white; a palette, CMYK and other colour
    spaces become RGB; 1-bit becomes 0 and 255; 16-bit grey is divided by 257 (its transparency is
    ignored); of other 16-bit images the high byte is taken. docs/data.md has all the rules.

    Raises DataError with the reason for a file that cannot be used: no regular file, unreadable, more than
    MAX_BYTES or MAX_PIXELS (both looked at before anything is allocated), of another type, damaged.
    MemoryError is let through: it says nothing of the file.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        check_file(path)
        with warnings.catch_warnings(), path.open("rb") as file:
            # Pillow warns of oddities that it copes with, and of sizes, which are checked below.
            warnings.simplefilter("ignore")
            return _decoded(file)
    except (DataError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise DataError(_unidentified(path)) from error
    except Image.DecompressionBombError as error:
        raise DataError(_too_large()) from error
    except Exception as error:  # Pillow's decoders raise many kinds for damaged files
        if isinstance(error, OSError) and error.strerror:  # Pillow's own have no number
            raise DataError(f"cannot be read: {error.strerror}") from error
        raise DataError(f"damaged: {one_line(error)}") from error


def _unidentified(path: Path) -> str:
    """Why Pillow sees no image in a file: it says the same of other types and of damaged headers."""
    with path.open("rb") as file:
        start = file.read(12)
    if not start:
        return "empty: zero bytes"
    if start.startswith(_SIGNATURES) or (start[:4] == b"RIFF" and start[8:] == b"WEBP"):
        return "damaged: it starts as an image does, but its header cannot be read"
    return f"no image of a known type ({', '.join(FORMATS)})"


def check_file(path: Path) -> None:
    """Raises DataError for what may not be opened or is too large to be read; OSError where it is not there.

    A pipe would block, a device never end.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise DataError("not a regular file")
    if status.st_size > MAX_BYTES:
        raise DataError(f"too large: {status.st_size:,} bytes, at most {MAX_BYTES:,} are read")


def check_pixels(size: tuple[int, int]) -> None:
    """Raises DataError for a width × height of more than MAX_PIXELS."""
    if size[0] * size[1] > MAX_PIXELS:
        raise DataError(_too_large())


def _too_large() -> str:
    return f"too large: more than {MAX_PIXELS:,} pixels"


def one_line(error: Exception) -> str:
    """What an error says, in one line of at most 200 characters."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def _decoded(file: IO[bytes]) -> Decoded:
    from PIL import Image

    image = Image.open(file, formats=FORMATS)
    mode, size = image.mode, image.size
    if min(size) < 2:
        raise DataError(f"too small: {size[0]}×{size[1]} pixels, at least 2×2 are needed")
    check_pixels(size)
    _check_tiles(image)
    if image.format == "PNG":
        _check_chunks(file)
    image.load()
    if image.format == "PNG":
        _check_sums(file)
    return Decoded(_plain(_centre(_upright(image))), mode, size)


def _check_tiles(image: Image.Image) -> None:
    """A TIFF may be stored in tiles larger than itself, for one of which memory is taken."""
    tags = getattr(image, "tag_v2", {})
    side, height = tags.get(_TILE_WIDTH, 1), tags.get(_TILE_HEIGHT, 1)
    if isinstance(side, int) and isinstance(height, int):
        check_pixels((side, height))


def _check_chunks(file: IO[bytes]) -> None:
    """A PNG's chunk says how long it is, and Pillow takes that much memory before it reads."""
    here = file.tell()
    end = file.seek(0, 2)
    place = len(_SIGNATURES[0])
    while place + 8 <= end:
        file.seek(place)
        length, kind = int.from_bytes(file.read(4), "big"), file.read(4)
        left = end - place - 8
        if length > max(left, _SMALL_CHUNK):
            raise DataError(f"damaged: a chunk announces {length:,} bytes, {left:,} are left")
        if kind == b"IEND":
            break
        place += length + 12
    file.seek(here)


def _check_sums(file: IO[bytes]) -> None:
    """Raises where a chunk of a PNG has a wrong checksum or is missing; loading looks at no pixel's."""
    from PIL import Image

    file.seek(0)
    Image.open(file, formats=("PNG",)).verify()


def _upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF orientation says; as it is stored where that is none of 1 to 8, or unreadable."""
    from PIL import Image

    try:
        orientation = image.getexif().get(_ORIENTATION)
    except Exception:  # its parser raises many kinds; the pixels are none the worse
        return image
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    return image if turn is None else image.transpose(Image.Transpose[turn])


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

    values = np.asarray(image)
    if values.min() < 0 or values.max() > 65535:
        raise DataError("its 32-bit pixels lie outside 0 to 65535, so that none is known to be white")
    scaled: np.ndarray = np.empty(values.shape, np.uint8)
    for row, target in zip(values, scaled, strict=True):  # row by row: it may be the largest image allowed
        target[:] = (row.astype(np.int32) + 128) // 257
    return Image.fromarray(scaled)


def pixels(square: Image.Image, side: int) -> np.ndarray:
    """The square as uint8 3×side×side, resized with Lanczos; grey has three equal channels."""
    import numpy as np
    from PIL import Image

    resized = square.resize((side, side), Image.Resampling.LANCZOS).convert("RGB")
    return np.ascontiguousarray(np.asarray(resized).transpose(2, 0, 1))
