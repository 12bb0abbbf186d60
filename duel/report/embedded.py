"""Pictures inside the page: scaled down, few bytes, never a link."""

from __future__ import annotations

import base64
import math
from pathlib import Path

from PIL import Image

from duel import pictures
from duel.report.page import Html, escape

GRID, STRIP = 360, 560  # pixels: a grid's and a film strip's width at most
_COLOURS = 64  # left of a picture that is too heavy
_SMALLEST = 64  # pixels


def picture(path: Path, alt: str, width: int, limit: int) -> Html:
    """An <img> with the picture in it; a sentence where the file is missing or broken.

    width  pixels that it is scaled down to where it is wider. limit: bytes of its PNG
    """
    image = pictures.opened(path) if path.is_file() else None
    return tag(image, alt, width, limit) if image else Html(f'<p class="note">{escape(alt)}: no picture</p>')


def tag(image: Image.Image, alt: str, width: int, limit: int) -> Html:
    """The same of a picture in memory."""
    content, (across, down) = shrunk(image, width, limit)
    data = base64.b64encode(content).decode()
    return Html(
        f'<img alt="{escape(alt)}" width="{across}" height="{down}" src="data:image/png;base64,{data}">'
    )


def shrunk(image: Image.Image, width: int, limit: int) -> tuple[bytes, tuple[int, int]]:
    """A PNG of at most so many pixels across and, by fewer colours and then pixels, bytes; and its size."""
    while True:
        small = _narrowed(image, width)
        content = pictures.png(_grey(small) or small)
        if len(content) > limit:
            content = min(content, pictures.png(small.quantize(_COLOURS)), key=len)
        if len(content) <= limit or small.width <= _SMALLEST:
            return content, small.size
        width = int(small.width * min(0.9, math.sqrt(limit / len(content))))


def _narrowed(image: Image.Image, width: int) -> Image.Image:
    if image.width <= width:
        return image
    return image.resize((width, max(1, round(image.height * width / image.width))), Image.Resampling.LANCZOS)


def _grey(image: Image.Image) -> Image.Image | None:
    """The picture in one channel where all three are equal."""
    red, green, blue = image.convert("RGB").split()
    return red if red.tobytes() == green.tobytes() == blue.tobytes() else None
