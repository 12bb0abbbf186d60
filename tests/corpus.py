"""Hostile and messy files, made when they are needed: what each is, and what must become of it.

`python tests/corpus.py` prints the table of docs/evidence/hostile-files.md. Every image that converts has
the same picture, four fields of 8×8 pixels around the centre, so that its expected pixels are four colours.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import socket
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

Colour = int | tuple[int, int, int] | None
"""A grey value, an RGB colour, or None where it is not looked at."""
Fields = tuple[Colour, Colour, Colour, Colour]
"""Top left, top right, bottom left, bottom right."""
Fate = Literal["converts", "is listed", "is left out", "is no entry"]

COLOURS: Fields = ((200, 30, 40), (20, 180, 60), (10, 50, 220), (240, 230, 90))
GREYS: Fields = (10, 90, 170, 250)


@dataclass(frozen=True)
class Entry:
    """One thing in a folder.

    name       of the file or folder, as the system gives it (any bytes)
    what       in words, for the table
    make       puts it at this path
    fate       what becomes of it
    fields     converts: the four colours of its centre square, which is 16×16 pixels
    tolerance  how far each pixel may be from them
    reason     listed or left out: a pattern that the reason must match
    listed_as  the name in the report, below the folder; the name itself by default
    """

    name: str
    what: str
    make: Callable[[Path], None]
    fate: Fate
    fields: Fields = COLOURS
    tolerance: int = 0
    reason: str = ""
    listed_as: str = ""

    @property
    def reported(self) -> str:
        return self.listed_as or self.name


# ---------------------------------------------------------------- pictures and their bytes


def picture(colours: Fields = COLOURS, size: tuple[int, int] = (16, 16), mode: str = "RGB") -> Image.Image:
    """The four fields in the centre of an image of this size; what lies around is black."""
    fields = np.array([(c, c, c) if isinstance(c, int) else c for c in colours], np.uint8).reshape(2, 2, 3)
    image = Image.new("RGB", size)
    image.paste(Image.fromarray(fields.repeat(8, 0).repeat(8, 1)), ((size[0] - 16) // 2, (size[1] - 16) // 2))
    return image.convert(mode)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def jpeg(image: Image.Image, **options: object) -> bytes:
    return encoded(image, "JPEG", **{"quality": 100, "subsampling": 0} | options)


def chunk(kind: bytes, content: bytes, wrong: int = 0) -> bytes:
    """A chunk of a PNG; `wrong` is laid over its checksum."""
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content) ^ wrong)
    )


def png(
    rows: bytes | None,
    depth: int = 8,
    colour: int = 2,
    size: tuple[int, int] = (16, 16),
    before: bytes = b"",
    after: bytes = b"",
) -> bytes:
    """A PNG from its packed rows, of 16 pixels; `colour` is 0 grey, 2 RGB, 4 grey and alpha, 6 RGBA."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0))
    data = b"" if rows is None else chunk(b"IDAT", zlib.compress(filtered(rows)))
    return b"\x89PNG\r\n\x1a\n" + header + before + data + after + chunk(b"IEND", b"")


def filtered(rows: bytes, height: int = 16) -> bytes:
    """Each row with the number of its filter, none."""
    width = len(rows) // height
    return b"".join(b"\0" + rows[start : start + width] for start in range(0, len(rows), width))


def fields_of(values: list[bytes]) -> bytes:
    """The packed rows of four fields, from the bytes of a pixel of each."""
    top, bottom = (values[0] * 8 + values[1] * 8) * 8, (values[2] * 8 + values[3] * 8) * 8
    return top + bottom


RGB_ROWS = fields_of([bytes(colour) for colour in COLOURS if isinstance(colour, tuple)])


def tiff(tags: list[tuple[int, int, int, int]], content: bytes = b"", following: int = 0) -> bytes:
    """A little-endian TIFF: (tag, type, count, value) each, the content behind them from byte 2,048 on."""
    body = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    return (b"II*\0" + struct.pack("<I", 8) + body + struct.pack("<I", following)).ljust(
        2048, b"\0"
    ) + content


def grey_tags(width: int = 16, height: int = 16, **changes: int) -> list[tuple[int, int, int, int]]:
    """Tags of an uncompressed grey TIFF in one strip."""
    values = {
        256: width,
        257: height,
        258: 8,
        259: 1,
        262: 1,
        273: 2048,
        277: 1,
        278: height,
        279: min(width * height, 1 << 30),
    }
    return [(tag, 4 if value > 65535 else 3, 1, value) for tag, value in values.items()]


GREY_ROWS = fields_of([bytes([value]) for value in GREYS if isinstance(value, int)])


def bmp(width: int, height: int, content: bytes = b"") -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 2835, 2835, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(content), 0, 0, 54) + header + content


def gif(screen: tuple[int, int], place: tuple[int, int] = (0, 0), size: tuple[int, int] = (16, 16)) -> bytes:
    """A GIF of one frame at a place of its screen, with next to no data."""
    head = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x80, 0, 0) + bytes(6)
    return head + b"," + struct.pack("<HHHHB", *place, *size, 0) + b"\x02\x02\x4c\x01\x00;"


def webp_header(width: int, height: int) -> bytes:
    body = b"WEBPVP8X" + struct.pack("<IB3x", 10, 0) + (width - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", 22) + body + (height - 1).to_bytes(3, "little")


def jpeg_sized(width: int, height: int) -> bytes:
    """A JPEG whose header says another size."""
    content = bytearray(jpeg(picture()))
    start = content.index(b"\xff\xc0") + 5
    content[start : start + 4] = struct.pack(">HH", height, width)
    return bytes(content)


def without_segment(content: bytes, marker: int) -> bytes:
    """A JPEG without its first segment of this kind."""
    start = content.index(bytes([0xFF, marker]))
    return content[:start] + content[start + 2 + int.from_bytes(content[start + 2 : start + 4], "big") :]


def exif(orientation: object = None) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def turned(orientation: int) -> Image.Image:
    """The picture as it is stored, so that this orientation turns it upright."""
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's Transpose that undoes it
    image = picture()
    return image if orientation == 1 else image.transpose(Image.Transpose(back[orientation]))


def exif_segment(content: bytes, payload: bytes) -> bytes:
    """A JPEG with these bytes as its EXIF."""
    body = b"Exif\0\0" + payload
    return content[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + content[2:]


# ---------------------------------------------------------------- how a thing comes to its path


def put(content: bytes | Callable[[], bytes]) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.write_bytes(content() if callable(content) else content)

    return make


def linked(target: Callable[[Path], str | Path]) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target(path))


def outside(path: Path) -> Path:
    """A folder beside the corpus, with a picture in it."""
    folder = path.parent.parent.parent / f"outside-{path.parent.parent.name}"
    folder.mkdir(exist_ok=True)
    (folder / "picture.png").write_bytes(encoded(picture(), "PNG"))
    return folder


def in_folder(inner: str, content: bytes) -> Callable[[Path], None]:
    """A folder with a file beneath."""

    def make(path: Path) -> None:
        (path / inner).parent.mkdir(parents=True)
        (path / inner).write_bytes(content)

    return make


def _ring(path: Path) -> None:
    """A folder that holds a link to itself, by way of the folder above."""
    path.mkdir()
    (path / "again").symlink_to(Path("..") / path.name)


def sparse(size: int) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.write_bytes(encoded(picture(), "PNG"))
        os.truncate(path, size)

    return make


def listening(path: Path) -> None:
    """A socket; its own path may be too long for its address."""
    place, here = os.open(path.parent, os.O_RDONLY), os.getcwd()
    try:
        os.fchdir(place)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)
        os.close(place)


# ---------------------------------------------------------------- the corpus


def _converting() -> list[Entry]:
    def entry(name: str, what: str, content: bytes | Callable[[], bytes], *rest: object) -> Entry:
        return Entry(name, what, put(content), "converts", *rest)  # type: ignore[arg-type]

    plain = encoded(picture(), "PNG")
    faint = [(100, 100, 100, alpha) for alpha in (255, 51, 0, 102)]
    on_white: Fields = ((100,) * 3, (224,) * 3, (255,) * 3, (193,) * 3)  # type: ignore[assignment]
    grey_on_white: Fields = (100, 224, 255, 193)
    key = (240, 230, 90)  # the last of the colours
    keyed: Fields = (*COLOURS[:3], (255, 255, 255))
    frames = [picture(), Image.new("RGB", (16, 16), "red"), Image.new("RGB", (16, 16), "blue")]
    animated = {"save_all": True, "append_images": frames[1:]}
    high = struct.pack(">HHHH", 0, 1000, 12850, 65535)
    deep = [high[start : start + 2] for start in range(0, 8, 2)]
    deep_colours = [bytes(byte for value in colour for byte in (value, 99)) for colour in COLOURS]  # type: ignore[union-attr]
    return [
        entry("rgb.png", "8-bit RGB PNG", plain),
        entry("grey.png", "8-bit grey PNG", encoded(picture(GREYS, mode="L"), "PNG"), GREYS),
        entry("palette.png", "palette", encoded(picture().quantize(4), "PNG")),
        entry(
            "one-bit.png", "1-bit PNG", encoded(picture((0, 255, 255, 0), mode="1"), "PNG"), (0, 255, 255, 0)
        ),
        entry("one-bit.pbm", "1-bit PBM, in text", b"P1 16 16 " + b"0" * 128 + b"1" * 128, (255, 255, 0, 0)),
        entry(
            "two-bit.png",
            "2-bit grey PNG",
            png(_two_bit(), 2, 0),
            (0, 85, 170, 255),
        ),
        entry(
            "sixteen-bit-grey.png",
            "16-bit grey PNG: divided by 257",
            png(fields_of(deep), 16, 0),
            (0, 4, 50, 255),
        ),
        entry(
            "sixteen-bit-grey.tif",
            "16-bit grey TIFF",
            encoded(
                Image.fromarray(np.frombuffer(fields_of(deep), ">u2").astype(np.uint16).reshape(16, 16)),
                "TIFF",
            ),
            (0, 4, 50, 255),
        ),
        entry("sixteen-bit-rgb.png", "16-bit RGB PNG: the high byte", png(fields_of(deep_colours), 16, 2)),
        entry(
            "sixteen-bit-rgba.png",
            "16-bit RGBA PNG: the high byte, on white",
            png(fields_of([bytes([100, 9] * 3 + [alpha, 9]) for *_, alpha in faint]), 16, 6),
            on_white,
        ),
        entry(
            "sixteen-bit-key.png",
            "16-bit grey PNG with a transparent value, which is ignored",
            png(fields_of(deep), 16, 0, before=chunk(b"tRNS", b"\0\0")),
            (0, 4, 50, 255),
        ),
        entry("rgba.png", "alpha: on white", png(fields_of([bytes(c) for c in faint]), 8, 6), on_white),
        entry(
            "grey-alpha.png",
            "grey with alpha: on white, stays grey",
            png(fields_of([bytes(c[2:]) for c in faint]), 8, 4),
            grey_on_white,
        ),
        entry(
            "rgb-key.png",
            "RGB with one transparent colour: on white",
            png(RGB_ROWS, before=chunk(b"tRNS", struct.pack(">HHH", *key))),
            keyed,
        ),
        entry(
            "grey-key.png",
            "grey with one transparent value: on white",
            png(GREY_ROWS, 8, 0, before=chunk(b"tRNS", b"\0\x0a")),
            (255, *GREYS[1:]),
        ),
        entry(
            "palette-alpha.png",
            "palette with one transparent entry: on white",
            encoded(_palette_with_hole(), "PNG", transparency=3),
            keyed,
        ),
        entry(
            "palette-alphas.png",
            "palette with an alpha value for each entry: on white",
            encoded(_palette_with_hole(), "PNG", transparency=bytes([255, 255, 255, 0])),
            keyed,
        ),
        entry("cmyk.jpg", "CMYK JPEG, inverted as Adobe writes it", jpeg(picture(mode="CMYK")), COLOURS, 4),
        entry(
            "cmyk-without-adobe.jpg",
            "CMYK JPEG without Adobe's marker: taken as inverted all the same",
            without_segment(jpeg(picture(mode="CMYK")), 0xEE),
            COLOURS,
            4,
        ),
        entry("cmyk.tif", "CMYK TIFF", encoded(picture(mode="CMYK"), "TIFF"), COLOURS, 1),
        entry("lab.tif", "TIFF in CIE L*a*b*", lambda: encoded(_lab(), "TIFF"), COLOURS, 20),
        entry("ycbcr.tif", "TIFF in YCbCr", encoded(picture(mode="YCbCr"), "TIFF"), COLOURS, 4),
        entry("grey.jpg", "grey JPEG", jpeg(picture(GREYS, mode="L")), GREYS, 2),
        entry("progressive.jpg", "progressive JPEG", jpeg(picture(), progressive=True), COLOURS, 4),
        entry("lossless.webp", "WebP", encoded(picture(), "WEBP", lossless=True)),
        entry("plain.bmp", "BMP", encoded(picture(), "BMP")),
        entry("plain.ppm", "PPM", encoded(picture(), "PPM")),
        entry(
            "sixteen-bit.pgm",
            "16-bit PGM",
            b"P5 16 16 65535\n" + fields_of(deep),
            (0, 4, 50, 255),
        ),
        entry("plain.gif", "GIF", encoded(picture().quantize(4), "GIF")),
        entry("lzw.tif", "compressed TIFF", encoded(picture(), "TIFF", compression="tiff_lzw")),
        entry(
            "animated.gif", "animated GIF: the first frame", encoded(frames[0].quantize(4), "GIF", **animated)
        ),
        entry("animated.png", "animated PNG: the first frame", encoded(frames[0], "PNG", **animated)),
        entry("animated.webp", "animated WebP", encoded(frames[0], "WEBP", lossless=True, **animated)),
        entry("pages.tif", "TIFF of three pages: the first", encoded(frames[0], "TIFF", **animated)),
        entry("pair.mpo", "MPO, two JPEGs in one: the first", _mpo, COLOURS, 4),
        entry("ten-thousand-frames.gif", "GIF of 10,000 frames: the first", _many_frames),
        *(
            entry(
                f"exif-{number}.jpg",
                f"JPEG with EXIF orientation {number}: turned",
                jpeg(turned(number), exif=exif(number)),
                COLOURS,
                4,
            )
            for number in range(1, 9)
        ),
        entry("exif-6.png", "PNG with EXIF orientation 6", encoded(turned(6), "PNG", exif=exif(6))),
        entry(
            "exif-8.webp",
            "WebP with EXIF orientation 8",
            encoded(turned(8), "WEBP", lossless=True, exif=exif(8)),
        ),
        entry("orientation-6.tif", "TIFF with orientation 6", encoded(turned(6), "TIFF", tiffinfo={274: 6})),
        entry(
            "exif-9.jpg",
            "EXIF orientation 9, which there is not: as stored",
            jpeg(picture(), exif=exif(9)),
            COLOURS,
            4,
        ),
        entry(
            "exif-garbage.jpg",
            "EXIF that is garbage: ignored",
            exif_segment(jpeg(picture()), b"\xff" * 99),
            COLOURS,
            4,
        ),
        entry(
            "exif-loop.jpg",
            "EXIF whose directory follows itself",
            exif_segment(
                jpeg(picture()), b"II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\x08\0\0\0"
            ),
            COLOURS,
            4,
        ),
        entry(
            "exif-6-and-garbage.jpg",
            "EXIF orientation 6 beside tags that are garbage: turned",
            exif_segment(
                jpeg(turned(6)),
                b"II*\0\x08\0\0\0\x03\0"
                + struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
                + struct.pack("<HHII", 0x0131, 2, 0x7FFFFFFF, 0xFFFFFF00)
                + struct.pack("<HHII", 0x8769, 9, 3, 0xFFFFFFFF)
                + bytes(4),
            ),
            COLOURS,
            4,
        ),
        entry(
            "exif-text.png",
            "PNG with EXIF as text that cannot be read: ignored",
            png(RGB_ROWS, before=chunk(b"tEXt", b"Raw profile type exif\0\nexif\n 4\nno hexadecimal\n")),
        ),
        entry("looping.tif", "TIFF whose directory follows itself", tiff(grey_tags(), GREY_ROWS, 8), GREYS),
        entry(
            "pixel-bomb.png",
            "PNG with 50 MB of pixels behind its 16 rows: ignored",
            lambda: _surplus(50_000_000),
        ),
        entry("trailing.png", "PNG with other data behind its end", plain + b"PK\x03\x04" + bytes(99)),
        entry(
            "trailing.jpg",
            "JPEG with other data behind its end",
            jpeg(picture()) + b"#!/bin/sh\n",
            COLOURS,
            4,
        ),
        entry(
            "broken-scan.jpg",
            "JPEG cut in the scan, but with an end marker: as far as it goes",
            lambda: _cut_scan() + b"\xff\xd9",
            (COLOURS[0], None, None, None),
            4,
        ),
        entry("wide.png", "5000×16 pixels: the centre", encoded(picture(size=(5000, 16)), "PNG")),
        entry("tall.png", "16×5000 pixels: the centre", encoded(picture(size=(16, 5000)), "PNG")),
        entry("png.jpg", "wrong extension: a PNG", plain),
        entry("jpeg.png", "wrong extension: a JPEG", jpeg(picture()), COLOURS, 4),
        entry("picture.txt", "wrong extension: a PNG named as text", plain),
        entry("no-extension", "no extension", plain),
        *(
            entry(os.fsdecode(name), what, plain)
            for name, what in (
                ("日本語 ñandú 😀.png".encode(), "name in several scripts"),
                ("n\u0303.png".encode(), "name with a combining mark"),
                ("\u202egnp.txt".encode(), "name that turns the direction of writing"),
                (b"new\nline.png", "name with a line break"),
                (b"\x1b[31mred\x07\t.png", "name with terminal commands"),
                (b"\xff\xfe\x80.png", "name of bytes that are no text"),
                (b"%s{0}$(touch x)`.png", "name with a shell's and a formatter's marks"),
                (b"-rf", "name like an option"),
                (b" ", "name of one space"),
                (b"x" * 251 + b".png", "name of 255 bytes"),
            )
        ),
        Entry(
            "outside.png",
            "link to a file elsewhere: read",
            linked(lambda p: outside(p) / "picture.png"),
            "converts",
        ),
        Entry(
            "nested",
            "picture forty folders deeper",
            in_folder("/".join("d" * 40) + "/picture.png", plain),
            "converts",
            listed_as="nested/" + "/".join("d" * 40) + "/picture.png",
        ),
        Entry(
            "class.png",
            "folder named like an image",
            in_folder("inner.png", plain),
            "converts",
            listed_as="class.png/inner.png",
        ),
    ]


def _two_bit() -> bytes:
    """Rows of four fields with the values 0 to 3, two bits each."""
    return (b"\x00\x00\x55\x55" * 8) + (b"\xaa\xaa\xff\xff" * 8)


def _palette_with_hole() -> Image.Image:
    """The picture with a palette in the order of the fields."""
    indices = np.arange(4, dtype=np.uint8).reshape(2, 2).repeat(8, 0).repeat(8, 1)
    image = Image.fromarray(indices).convert("P")
    image.putdata(list(indices.ravel()))
    image.putpalette([value for colour in COLOURS for value in colour])  # type: ignore[union-attr]
    return image


def _lab() -> Image.Image:
    from PIL import ImageCms

    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    made = ImageCms.profileToProfile(picture(), *profiles, outputMode="LAB")
    assert made is not None
    return made


def _mpo() -> bytes:
    return encoded(
        picture(),
        "MPO",
        save_all=True,
        append_images=[Image.new("RGB", (16, 16))],
        quality=100,
        subsampling=0,
    )


def _many_frames() -> bytes:
    """The picture, then 9,999 times the same frame of one pixel."""
    first = encoded(picture().quantize(4), "GIF")
    assert first.endswith(b";")
    return first[:-1] + (b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x4c\x01\x00") * 9_999 + b";"


def _surplus(size: int) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, 8, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(filtered(RGB_ROWS) + bytes(size)))
    return b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b"")


def _cut_scan() -> bytes:
    """A JPEG cut within its compressed pixels."""
    content = jpeg(picture())
    start = content.index(b"\xff\xda")
    return content[: start + (len(content) - start) // 2]


def _cut(image: Image.Image, kind: str, **options: object) -> bytes:
    content = encoded(image, kind, **options)
    return content[: len(content) * 3 // 4]


def _noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(256, size=(64, 64, 3), dtype=np.uint8))


def _wrong_sum(kind: bytes) -> bytes:
    """A PNG in which the checksum of one chunk is wrong."""
    content = bytearray(png(RGB_ROWS, before=chunk(b"tEXt", b"key\0value")))
    start = content.index(kind)
    length = int.from_bytes(content[start - 4 : start], "big")
    content[start + 4 + length] ^= 1
    return bytes(content)


def _damaged_pixels() -> bytes:
    """A PNG whose compressed pixels have one byte changed, with the checksum left as it was."""
    content = bytearray(encoded(_noise(), "PNG", compress_level=0))
    content[content.index(b"IDAT") + 2000] ^= 0xFF
    return bytes(content)


def _listed() -> list[Entry]:
    unknown = "no image of a known type"
    header = "damaged: it starts as an image does, but its header cannot be read"
    large = r"too large: more than 89,478,485 pixels"

    def entry(name: str, what: str, reason: str, content: bytes | Callable[[], bytes]) -> Entry:
        return Entry(name, what, put(content), "is listed", reason=reason)

    def other(name: str, what: str, reason: str, make: Callable[[Path], None]) -> Entry:
        return Entry(name, what, make, "is listed", reason=reason)

    floats = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    tiled = [(256, 3, 1, 16), (257, 3, 1, 16), (258, 3, 1, 8), (259, 3, 1, 5), (262, 3, 1, 1), (277, 3, 1, 1)]
    return [
        entry("empty.png", "zero bytes", "empty: zero bytes", b""),
        entry("text.png", "text named .png", unknown, b"not an image\n"),
        entry("page.jpg", "HTML named .jpg", unknown, b"<!DOCTYPE html><html>404</html>"),
        entry("drawing.svg", "SVG", unknown, b'<svg xmlns="http://www.w3.org/2000/svg"/>'),
        entry("paper.jpg", "PDF named .jpg", unknown, b"%PDF-1.7\n"),
        entry("drawing.eps", "PostScript", unknown, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
        entry("icon.ico", "ICO", unknown, encoded(picture(), "ICO")),
        entry("photo.jp2", "JPEG 2000", unknown, lambda: encoded(picture(), "JPEG2000")),
        entry("film.mp4", "a film", unknown, b"\0\0\0\x18ftypmp42"),
        entry("packed.png", "ZIP named .png", unknown, b"PK\x05\x06" + bytes(18)),
        entry("squeezed.png", "gzip named .png", unknown, b"\x1f\x8b\x08" + bytes(20)),
        entry("code.png", "a pickle named .png", unknown, b"\x80\x04cos\nsystem\n(S'true'\ntR."),
        entry("Thumbs.db", "a file of the system's", unknown, b"\xd0\xcf\x11\xe0" + bytes(60)),
        entry("signature.png", "PNG that ends after its signature", header, b"\x89PNG\r\n\x1a\n"),
        entry("cut.png", "truncated PNG", "damaged: .*truncated", lambda: _cut(_noise(), "PNG")),
        entry("cut.jpg", "JPEG cut in the scan", "damaged: .*truncated", _cut_scan),
        entry("cut.gif", "truncated GIF", "damaged", lambda: _cut(_noise().quantize(200), "GIF")),
        entry("cut.bmp", "truncated BMP", "damaged: .*truncated", lambda: _cut(_noise(), "BMP")),
        entry("cut.tif", "truncated TIFF", "damaged", lambda: _cut(_noise(), "TIFF")),
        entry(
            "cut-lzw.tif",
            "truncated compressed TIFF",
            "damaged",
            lambda: _cut(_noise(), "TIFF", compression="tiff_lzw"),
        ),
        entry("cut.webp", "truncated WebP", "damaged", lambda: _cut(_noise(), "WEBP", lossless=True)),
        entry("cut.ppm", "truncated PPM", "damaged: .*truncated", lambda: _cut(_noise(), "PPM")),
        entry(
            "wrong-header-sum.png", "PNG with a wrong CRC of its header", header, lambda: _wrong_sum(b"IHDR")
        ),
        entry(
            "wrong-pixel-sum.png",
            "PNG with a wrong CRC of its pixels",
            "damaged: .*checksum",
            lambda: _wrong_sum(b"IDAT"),
        ),
        entry(
            "wrong-text-sum.png",
            "PNG with a wrong CRC of a text",
            "damaged",
            lambda: _wrong_sum(b"tEXt"),
        ),
        entry("changed.png", "PNG with a byte changed among its pixels", "damaged", _damaged_pixels),
        entry("no-end.png", "PNG without its last chunk", "damaged: .*truncated", png(RGB_ROWS)[:-12]),
        entry("no-pixels.png", "PNG without pixels", "damaged", png(None)),
        entry(
            "text-bomb.png",
            "PNG with 20 MB in a compressed text",
            "damaged: .*too large",
            lambda: _bomb(b"zTXt"),
        ),
        entry(
            "profile-bomb.png",
            "PNG with 20 MB in a compressed profile",
            "damaged: .*too large",
            lambda: _bomb(b"iCCP"),
        ),
        entry(
            "bomb.png",
            "PNG of 100,000×100,000 pixels in 100 bytes",
            large,
            png(RGB_ROWS, size=(100_000, 100_000)),
        ),
        entry(
            "bomb-small.png",
            "PNG of 9,500×9,500 pixels, just above the limit",
            large,
            png(RGB_ROWS, size=(9_500, 9_500)),
        ),
        entry(
            "claim.png",
            "PNG of 9,000×9,000 pixels with 16 rows",
            "damaged: .*truncated",
            png(RGB_ROWS, size=(9_000, 9_000)),
        ),
        entry("bomb.jpg", "JPEG of 65,500×65,500 pixels", large, lambda: jpeg_sized(65_500, 65_500)),
        entry("bomb.bmp", "BMP of 100,000×100,000 pixels", large, bmp(100_000, 100_000)),
        entry("bomb.gif", "GIF of 65,535×65,535 pixels", large, gif((65_535, 65_535))),
        entry(
            "bomb-frame.gif",
            "GIF whose frame lies far outside its screen",
            large,
            gif((16, 16), (65_000, 65_000)),
        ),
        entry(
            "bomb.tif", "TIFF of 100,000×100,000 pixels", large, tiff(grey_tags(100_000, 100_000), bytes(16))
        ),
        entry("bomb.ppm", "PPM of 99,999×99,999 pixels", large, b"P6 99999 99999 255\n"),
        entry(
            "bomb.webp",
            "WebP of 16,384×16,384 pixels",
            large,
            webp_header(16_384, 16_384),
        ),
        entry("negative.bmp", "BMP of −16 pixels", large, bmp(-16, 16)),
        entry(
            "negative.ppm",
            "PPM of −16 pixels",
            unknown,
            b"P6 -16 16 255\n" + bytes(768),
        ),
        entry("zero.jpg", "JPEG of 0×0 pixels", header, lambda: jpeg_sized(0, 0)),
        entry("zero.png", "PNG of 0×0 pixels", header, png(RGB_ROWS, size=(0, 0))),
        entry("pixel.png", "1×1 pixel", "too small: 1×1 pixels", encoded(Image.new("RGB", (1, 1)), "PNG")),
        entry(
            "line.png",
            "1×5000 pixels",
            "too small: 1×5000 pixels",
            encoded(Image.new("RGB", (1, 5000)), "PNG"),
        ),
        entry("float.tif", "float TIFF", "floating-point", encoded(Image.fromarray(floats), "TIFF")),
        entry(
            "nan.tif",
            "float TIFF of NaN",
            "floating-point",
            encoded(Image.fromarray(floats * np.nan), "TIFF"),
        ),
        entry(
            "inf.tif",
            "float TIFF of infinities",
            "floating-point",
            encoded(Image.fromarray(floats + np.inf), "TIFF"),
        ),
        entry("float.pfm", "PFM", "floating-point", b"Pf\n16 16\n-1.0\n" + floats.tobytes()),
        entry(
            "int32.tif",
            "32-bit TIFF beyond 65,535",
            "outside 0 to 65535",
            encoded(Image.fromarray(np.full((16, 16), 65_536, np.int32)), "TIFF"),
        ),
        entry(
            "negative.tif",
            "TIFF with negative values",
            "outside 0 to 65535",
            encoded(Image.fromarray(np.full((16, 16), -1, np.int32)), "TIFF"),
        ),
        entry(
            "tiles.tif",
            "TIFF of 16×16 pixels in tiles of 40,000×40,000",
            large,
            tiff(
                [*tiled, (322, 4, 1, 40_000), (323, 4, 1, 40_000), (324, 4, 1, 2048), (325, 4, 1, 16)],
                bytes(16),
            ),
        ),
        entry(
            "strips.tif",
            "TIFF that claims two thousand million strips",
            "damaged",
            tiff([tag for tag in grey_tags() if tag[0] != 273] + [(273, 4, 0x7FFFFFFF, 8)], GREY_ROWS),
        ),
        entry(
            "beyond.tif",
            "TIFF whose pixels lie beyond its end",
            "damaged",
            tiff([tag for tag in grey_tags() if tag[0] != 273] + [(273, 4, 1, 0x7FFFFFF0)], GREY_ROWS),
        ),
        other(
            "dangling.png", "link to nothing", "cannot be read: No such file", linked(lambda p: "nowhere.png")
        ),
        other("self.png", "link to itself", "cannot be read: .*symbolic links", linked(lambda p: p.name)),
        other(
            "loop-a.png",
            "two links to each other",
            "cannot be read: .*symbolic links",
            linked(lambda p: "loop-b.png"),
        ),
        other(
            "loop-b.png",
            "the other of the two",
            "cannot be read: .*symbolic links",
            linked(lambda p: "loop-a.png"),
        ),
        other("pipe.png", "a named pipe", "not a regular file", os.mkfifo),
        other("socket.png", "a socket", "not a regular file", listening),
        other("endless.png", "link to /dev/zero", "not a regular file", linked(lambda p: "/dev/zero")),
        other(
            "memory.png",
            "regular file that gives an error when it is read",
            "cannot be read: ",
            linked(lambda p: "/proc/self/mem"),
        ),
        other(
            "sparse.png",
            "file of 2 GiB, nearly all a hole",
            "too large: 2,147,483,648 bytes",
            sparse(1 << 31),
        ),
    ]


def _bomb(kind: bytes) -> bytes:
    """A PNG with a compressed text or profile that is much larger than it looks."""
    squeeze = zlib.compressobj(9)
    body = b"".join(squeeze.compress(bytes(1 << 20)) for _ in range(20)) + squeeze.flush()
    return png(RGB_ROWS, before=chunk(kind, b"name\0\0" + body))


def _left_out() -> list[Entry]:
    plain = encoded(picture(), "PNG")

    def entry(name: str, what: str, reason: str, make: Callable[[Path], None], listed_as: str = "") -> Entry:
        return Entry(name, what, make, "is left out", reason=reason, listed_as=listed_as)

    return [
        entry(".hidden.png", "hidden file", "hidden file", put(plain)),
        entry(".DS_Store", "a file of the system's, hidden", "hidden file", put(b"\0\0\0\x01Bud1")),
        entry(".thumbnails", "hidden folder", "hidden folder", in_folder("a.png", plain)),
        entry(
            "__MACOSX",
            "what macOS adds to a ZIP",
            "hidden file",
            in_folder("._a.png", b"\0\5\x16\7"),
            "__MACOSX/._a.png",
        ),
        entry("elsewhere", "link to a folder elsewhere", "link to a folder, not followed", linked(outside)),
        entry(
            "parent",
            "link to the folder that it is in",
            "link to a folder, not followed",
            linked(lambda p: ".."),
        ),
        entry(
            "ring",
            "folder with a link to itself",
            "link to a folder, not followed",
            _ring,
            "ring/again",
        ),
        Entry("bare", "empty folder", lambda path: path.mkdir(), "is no entry"),
    ]


ENTRIES: tuple[Entry, ...] = (*_converting(), *_listed(), *_left_out())


def make(folder: Path, entries: tuple[Entry, ...] = ENTRIES) -> Path:
    """All entries in this new folder, in a sub-folder "odd" (so that nothing lies in the folder itself)."""
    place = folder / "odd"
    place.mkdir(parents=True)
    for entry in entries:
        entry.make(place / entry.name)
    return folder


# ---------------------------------------------------------------- archives


@dataclass(frozen=True)
class Archive:
    """A hostile archive and its reader.

    reader   "idx" (a gzipped label file), "tar" (CIFAR-10's and the flowers') or "zip" (CelebA's)
    content  its bytes
    fate     a pattern of the error, or "" where the wanted content comes out unharmed
    """

    what: str
    reader: Literal["idx", "tar", "zip"]
    content: Callable[[], bytes]
    fate: str = ""


LABELS = np.arange(10, dtype=np.uint8)
"""What the archives hold: as an IDX file, or as the member "wanted"."""
WANTED = LABELS.tobytes()
MOST = 1 << 20
"""Bytes of the largest member that is read; also of all members, in the tests."""


def members(*given: tuple[tarfile.TarInfo, bytes], squeeze: bool = True) -> bytes:
    """A tar of these members, and the wanted one behind them."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz" if squeeze else "w") as archive:
        for info, content in (*given, (member("wanted", len(WANTED)), WANTED)):
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def member(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, target
    return info


def _claims(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """A tar, of one header, that claims a member of this size."""
    return gzip.compress(member(name, size, kind).tobuf(tarfile.GNU_FORMAT) + bytes(1024))


def _repeated(block: bytes, times: int, head: bytes = b"") -> bytes:
    """A gzip file of many members, made at once: its content is the head and the repeated block."""
    return gzip.compress(head) + gzip.compress(block) * times


def _labels() -> bytes:
    return bytes([0, 0, 8, 1]) + struct.pack(">I", len(LABELS)) + WANTED


def _zip(content: bytes, claimed: int | None = None, name: str = "wanted") -> bytes:
    """A ZIP of one member; `claimed` is laid over the sizes that it says."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    found = stream.getvalue()
    if claimed is not None:
        found = found.replace(struct.pack("<I", len(content)), struct.pack("<I", claimed))
    return found


ZEROS = bytes(1 << 20)
_DEVICE = (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)
ARCHIVES: tuple[Archive, ...] = (
    Archive("gzipped IDX", "idx", lambda: gzip.compress(_labels())),
    Archive("IDX, not gzipped", "idx", _labels),
    Archive(
        "two gzip files, one behind the other, that hold a half each",
        "idx",
        lambda: gzip.compress(_labels()[:9]) + gzip.compress(_labels()[9:]),
    ),
    Archive("gzip with zeros behind its end", "idx", lambda: gzip.compress(_labels()) + bytes(512)),
    Archive("gzip with garbage behind its end", "idx", lambda: gzip.compress(_labels()) + b"more", "damaged"),
    Archive("gzip cut within its data", "idx", lambda: gzip.compress(_labels())[:-12], "damaged"),
    Archive("gzip cut within its checksum", "idx", lambda: gzip.compress(_labels())[:-3], "damaged"),
    Archive(
        "gzip bomb of 2 GB behind the labels",
        "idx",
        lambda: _repeated(ZEROS, 2048, _labels()),
        "there are more",
    ),
    Archive(
        "gzipped IDX that announces 200 MB in 40 bytes",
        "idx",
        lambda: gzip.compress(bytes([0, 0, 8, 1]) + struct.pack(">I", 200_000_000)),
        "more than .* bytes can unpack to",
    ),
    Archive(
        "IDX that announces 4 GB",
        "idx",
        lambda: bytes([0, 0, 8, 1]) + b"\xff" * 4,
        "announces 4,294,967,295 bytes",
    ),
    Archive("ZIP named .gz", "idx", lambda: _zip(_labels()), "starts with 504b0304"),
    Archive("zero bytes named .gz", "idx", bytes, "starts with nothing"),
    Archive("tar, not compressed", "tar", lambda: members(squeeze=False)),
    Archive("tar.bz2", "tar", lambda: bz2.compress(members(squeeze=False))),
    Archive("tar.xz", "tar", lambda: lzma.compress(members(squeeze=False))),
    Archive("tar with a name that leads out (../)", "tar", lambda: members((member("../escaped", 2), b"no"))),
    Archive("tar with an absolute name", "tar", lambda: members((member("/tmp/duel-escaped", 2), b"no"))),
    Archive(
        "tar with a link named as the wanted file",
        "tar",
        lambda: members((member("wanted", 0, tarfile.SYMTYPE, "/etc/passwd"), b"")),
    ),
    Archive(
        "tar with a hard link named as the wanted file",
        "tar",
        lambda: members((member("wanted", 0, tarfile.LNKTYPE, "/etc/passwd"), b"")),
    ),
    Archive(
        "tar with devices and a pipe named as the wanted file",
        "tar",
        lambda: members(*((member("wanted", 0, kind), b"") for kind in _DEVICE)),
    ),
    Archive(
        "tar with a wanted file beyond the largest allowed",
        "tar",
        lambda: members((member("wanted", MOST // 2 + 1), bytes(MOST // 2 + 1))),
    ),
    Archive(
        "tar with a member that claims 10 TB", "tar", lambda: _claims("other", 10**13), "holds more than"
    ),
    Archive(
        "tar with a wanted member that claims 10 TB",
        "tar",
        lambda: _claims("wanted", 10**13),
        "holds more than",
    ),
    Archive(
        "tar whose member's name claims 10 GB",
        "tar",
        lambda: _claims("name", 10**10, tarfile.GNUTYPE_LONGNAME),
        "holds more than|describes a member",
    ),
    Archive(
        "tar with 600 KB of attributes for one member",
        "tar",
        lambda: _claims("name", 600_000, tarfile.XHDTYPE),
        "describes a member with more than",
    ),
    Archive(
        "tar.gz bomb: 2 GB of zeros in one member",
        "tar",
        lambda: _repeated(ZEROS, 2048, member("other", 2048 << 20).tobuf(tarfile.GNU_FORMAT)),
        "holds more than",
    ),
    Archive(
        "tar.gz bomb: a million empty members",
        "tar",
        lambda: _repeated(member("other").tobuf() * 1000, 1000),
        "holds more than",
    ),
    Archive(
        "tar.gz cut in the middle",
        "tar",
        lambda: members((member("other", 9999), bytes(9999)))[:-40],
        "cannot be read",
    ),
    Archive("tar cut in the middle", "tar", lambda: _claims("other", 5000)[:-1], "cannot be read"),
    Archive("ZIP named .tar.gz", "tar", lambda: _zip(WANTED), "cannot be read"),
    Archive("zero bytes named .tar.gz", "tar", bytes, "cannot be read"),
    Archive("ZIP", "zip", lambda: _zip(WANTED)),
    Archive("ZIP bomb: 50 MB", "zip", lambda: _zip(bytes(50_000_000)), "larger than"),
    Archive(
        "ZIP bomb that says it is 100 bytes",
        "zip",
        lambda: _zip(bytes(50_000_000), 100),
        "Bad CRC-32|larger than",
    ),
    Archive(
        "ZIP with a member beyond the largest allowed",
        "zip",
        lambda: _zip(bytes(MOST // 2 + 1)),
        "larger than",
    ),
    Archive("ZIP with a name that leads out", "zip", lambda: _zip(WANTED, name="../wanted"), "no item named"),
    Archive("ZIP cut in the middle", "zip", lambda: _zip(WANTED)[:-30], "cannot be read"),
)


# ---------------------------------------------------------------- the table


def _shown(name: str) -> str:
    """A name for Markdown's table: short, printable, without its marks."""
    short = name if len(name) <= 40 else f"{name[:20]}…{name[-12:]}"
    return (short if short.isprintable() else ascii(short)).replace("|", "\\|").replace("`", "'")


def _rows(folder: Path) -> Iterator[str]:
    """What became of each entry."""
    from duel.datasets._scan import list_folder, scan

    listing = list_folder(str(folder))
    squares: list[Image.Image] = []
    found, bad = scan(listing, squares.append)
    told = dict(bad + listing.bad + listing.ignored)
    for image, square in zip(found, squares, strict=True):
        corners = [square.getpixel(place) for place in ((4, 4), (12, 4), (4, 12), (12, 12))]
        told[image.file.name] = f"{image.mode} → {square.mode} " + " ".join(map(str, corners))
    for entry in ENTRIES:
        said = told.get(f"odd/{entry.reported}", "")
        yield f"| `{_shown(entry.name)}` | {entry.what} | {entry.fate} | {said} |"


COSTS = """\
## What it costs

Two cores of an AMD EPYC (shared, virtual, beside other work), Python 3.11.7, Pillow 13.0.0, 2026-11-24.
Peak memory of `pixels(decode(path).square, 64)` beyond the start, for PNGs of 9,459×9,459 pixels, in a
process each: RGB 685 MiB, RGBA 1,709 MiB, 16-bit grey 344 MiB. `duel data check` of a folder of tiny files
in 100 sub-folders, half of them no images: 25,000 files 5.5 s of processor time and 14 MiB, 100,000 files
22.6 s and 43 MiB: both grow with the number of files."""


def main() -> None:
    """Print the tables."""
    import platform
    import tempfile

    import PIL

    with tempfile.TemporaryDirectory() as place:
        rows = list(_rows(make(Path(place) / "corpus")))
    counts = {
        fate: sum(entry.fate == fate for entry in ENTRIES)
        for fate in ("converts", "is listed", "is left out")
    }
    read = sum(not archive.fate for archive in ARCHIVES)
    print("# What becomes of hostile and messy files\n")
    print("Made by `python tests/corpus.py > docs/evidence/hostile-files.md`: each file is made, then the")
    print(f"folder is scanned. Python {platform.python_version()}, Pillow {PIL.__version__}.")
    print("`tests/test_hostile_files.py` checks each row; the rules are in [data.md](../data.md).\n")
    print(
        f"{len(ENTRIES)} things in a folder: {counts['converts']} convert, {counts['is listed']} are listed"
    )
    print(f"with their reason, {counts['is left out']} are left out on purpose (and listed as such), 1 is an")
    print(f"empty folder. {len(ARCHIVES)} archives: {read} are read, {len(ARCHIVES) - read} are refused.\n")
    print("## In a folder\n")
    print(
        "The result is the image's mode, the mode it gets, and the colours of its four fields: top left, top"
    )
    print("right, bottom left, bottom right.\n")
    print("| file | what it is | fate | result or reason |\n|---|---|---|---|")
    print("\n".join(rows))
    print("\n## Archives\n")
    print(
        "Readers: `idx` (MNIST's gzipped files), `tar` (CIFAR-10, flowers), `zip` (CelebA). What is published"
    )
    print("with a checksum is not unpacked at all where that differs; these are the readers behind it.\n")
    print("| reader | what it is | fate | error says |\n|---|---|---|---|")
    for archive in ARCHIVES:
        fate = archive.fate.replace("|", "\\|")
        print(f"| `{archive.reader}` | {archive.what} | {'is refused' if fate else 'is read'} | {fate} |")
    print(
        "\nRead means: the wanted content comes out, what else is in the archive is passed over. Nothing is"
    )
    print("extracted in any case.\n")
    print(COSTS)


if __name__ == "__main__":
    main()
