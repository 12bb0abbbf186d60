"""Small files in the published formats, made for the tests."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import tarfile
import zipfile
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


def blocks(seed: int, size: tuple[int, int]) -> Image.Image:
    """An RGB image of 4×4 fields, each channel black or white; another for every seed."""
    fields = np.random.default_rng(seed).integers(2, size=(4, 4, 3), dtype=np.uint8) * 255
    return Image.fromarray(fields).resize(size, Image.Resampling.NEAREST)


def encoded(image: Image.Image, kind: str = "JPEG") -> bytes:
    """The bytes of an image file."""
    stream = io.BytesIO()
    image.save(stream, kind, quality=95)
    return stream.getvalue()


def mat(**arrays: np.ndarray) -> bytes:
    """A MATLAB file of version 5."""
    from scipy.io import savemat

    stream = io.BytesIO()
    savemat(stream, arrays, do_compression=True)
    return stream.getvalue()


def svhn_mat(images: np.ndarray, labels: np.ndarray) -> bytes:
    """A file of SVHN's second format from uint8 N×3×32×32 and the digits: 0 is written as 10."""
    written = np.where(labels == 0, 10, labels).astype(np.uint8)
    return mat(X=images.transpose(2, 3, 1, 0), y=written[:, None])


def svhn_arrays(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """uint8 N×3×32×32 and digits, all ten among them."""
    rng = np.random.default_rng(seed)
    return rng.integers(256, size=(count, 3, 32, 32), dtype=np.uint8), rng.permutation(np.arange(count) % 10)


def svhn_files(train: int = 30, test: int = 12, extra: int = 20) -> dict[str, bytes]:
    """The three files of SVHN in small, made from `svhn_arrays` with the seeds 0, 1 and 2."""
    counts = {"train": train, "test": test, "extra": extra}
    return {
        f"{name}_32x32.mat": svhn_mat(*svhn_arrays(seed, count))
        for seed, (name, count) in enumerate(counts.items())
    }


def tgz(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


FLOWERS = {"trnid": [3, 1, 5], "valid": [2, 9], "tstid": [8, 4, 7, 6, 10, 11, 12]}
FLOWER_LABELS = [1, 102, 5, 7, 1, 33, 60, 2, 9, 102, 11, 12]


def flower_photos() -> dict[str, bytes]:
    """Twelve JPEGs by their names in the archive, oblong in both directions."""
    return {
        f"jpg/image_{number:05}.jpg": encoded(blocks(number, (100, 60) if number % 2 else (64, 90)))
        for number in range(1, 13)
    }


def flower_files() -> dict[str, bytes]:
    """The three files of Oxford's flowers in small."""
    return {
        "102flowers.tgz": tgz(flower_photos()),
        "imagelabels.mat": mat(labels=np.array([FLOWER_LABELS], np.uint8)),
        "setid.mat": mat(**{name: np.array([ids], np.uint16) for name, ids in FLOWERS.items()}),
    }


CELEBA_PARTS = [0, 0, 1, 2, 0, 0, 2, 0, 1, 0]


def celeba_photos(kind: str = "JPEG") -> dict[str, bytes]:
    """Ten aligned images by name."""
    ending = {"JPEG": "jpg", "PNG": "png"}[kind]
    return {
        f"{number:06}.{ending}": encoded(blocks(number, (178, 218)), kind)
        for number in range(1, len(CELEBA_PARTS) + 1)
    }


def celeba_files(attributes: tuple[str, ...], smiling: str = "Smiling") -> dict[str, bytes]:
    """The three files of CelebA in small: every third image, from the first on, smiles."""
    names = [f"{number:06}.jpg" for number in range(1, len(CELEBA_PARTS) + 1)]
    rows = [
        f"{name} "
        + " ".join(" 1" if attribute == smiling and row % 3 == 0 else "-1" for attribute in attributes)
        for row, name in enumerate(names)
    ]
    return {
        "img_align_celeba.zip": zipped({f"img_align_celeba/{k}": v for k, v in celeba_photos().items()}),
        "list_attr_celeba.txt": "\n".join([str(len(names)), " ".join(attributes), *rows, ""]).encode(),
        "list_eval_partition.txt": "".join(
            f"{name} {part}\n" for name, part in zip(names, CELEBA_PARTS, strict=True)
        ).encode(),
    }
