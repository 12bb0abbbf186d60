"""Small files in the published formats, made for the tests."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def idx(array: np.ndarray) -> bytes:
    """An uncompressed IDX file of a uint8 array."""
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def idx_gz(array: np.ndarray) -> bytes:
    return gzip.compress(idx(array), compresslevel=1, mtime=0)


def short(text: str) -> bytes:
    """The opcode of a Python 2 string of at most 255 bytes."""
    return b"U" + bytes([len(text)]) + text.encode("latin-1")


def integer(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def string(content: bytes) -> bytes:
    return b"T" + struct.pack("<i", len(content)) + content


RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"
NDARRAY = b"cnumpy\nndarray\n"
DTYPE = b"cnumpy\ndtype\n"
BYTE_TYPE = (
    DTYPE + short("u1") + b"K\x00K\x01\x87R(K\x03" + short("|") + b"NNN" + integer(-1) * 2 + b"K\x00tb"
)


def pickled_array(shape: tuple[int, ...], content: bytes) -> bytes:
    """The opcodes of a uint8 array as Python 2's NumPy wrote them."""
    sizes = b"(" + b"".join(integer(size) for size in shape) + b"t"
    empty = RECONSTRUCT + NDARRAY + b"K\x00\x85" + short("b") + b"\x87R"
    return empty + b"(K\x01" + sizes + BYTE_TYPE + b"\x89" + string(content) + b"tb"


def pickled_list(items: list[bytes]) -> bytes:
    return b"](" + b"".join(items) + b"e"


def pickled_dict(**values: bytes) -> bytes:
    """A whole pickle of a dictionary; the values are opcodes."""
    return b"\x80\x02}q\x01(" + b"".join(short(key) + value for key, value in values.items()) + b"u."


def cifar_batch(images: np.ndarray, labels: list[int]) -> bytes:
    """A CIFAR-10 batch of uint8 images N×3×32×32."""
    return pickled_dict(
        batch_label=short("made"),
        labels=pickled_list([b"K" + bytes([label]) for label in labels]),
        data=pickled_array((len(images), 3072), images.tobytes()),
    )


def cifar_files(rng: np.random.Generator, count: int = 20) -> dict[str, bytes]:
    """The seven files of CIFAR-10 in small: `count` images in each batch."""
    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    files = {
        name: cifar_batch(
            rng.integers(256, size=(count, 3, 32, 32), dtype=np.uint8), rng.integers(10, size=count).tolist()
        )
        for name in names
    }
    classes = [f"class {number}" for number in range(10)]
    return files | {"batches.meta": pickled_dict(label_names=pickled_list([short(name) for name in classes]))}


def tar(path: Path, files: dict[str, bytes], mode: str = "w:gz") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def noise(seed: int, mode: str = "RGB", size: tuple[int, int] = (20, 16)) -> Image.Image:
    """An image of random pixels, another for every seed."""
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(256, size=(size[1], size[0], 3), dtype=np.uint8)).convert(mode)


def fill(folder: Path, count: int, mode: str = "RGB", first: int = 0) -> Path:
    """`count` different PNG images in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(first, first + count):
        noise(seed, mode).save(folder / f"{seed:03}.png")
    return folder
