"""CelebA."""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from duel import io
from duel.datasets._base import SPLITS, Data, ImageSet, Spec, Split, SplitName, fit_images
from duel.datasets._decoded import fingerprint_of, kept, write_images, write_index
from duel.datasets._photos import photo
from duel.errors import DataError, one_of
from duel.options import options

if TYPE_CHECKING:
    import numpy as np

_PAGE = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
_ZIP, _ATTRIBUTES, _PARTITION = "img_align_celeba.zip", "list_attr_celeba.txt", "list_eval_partition.txt"
_FOLDER = "img_align_celeba"
_MD5 = {
    _ZIP: "00d2c5bc6d35e252742224ab0c1e8fcb",
    _ATTRIBUTES: "75e246fa4810816ffd6ee81facbd244c",
    _PARTITION: "d32c9cbf5e040fd4025c592c306e6668",
}
_SIZE = (178, 218)
_CROP = (41, 85, 137, 181)  # left, top, right, bottom
_MAX_BYTES = 1 << 22  # of one image; the published JPEGs have some ten thousand
_VERSION = 1  # of decoding: raise it when the same files would give other pixels
_LIST = (
    "5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair "
    "Blond_Hair Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair "
    "Heavy_Makeup High_Cheekbones Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face "
    "Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks Sideburns Smiling Straight_Hair Wavy_Hair "
    "Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace Wearing_Necktie Young"
)
_NAMES = tuple(_LIST.split())


@options
class Celeba(ImageSet):
    """202,599 photos of faces in RGB, aligned and cut to the face, in the published three parts.

    Three files are looked for in $DUEL_DATA/celeba and the cache: img_align_celeba.zip,
    list_eval_partition.txt and, for labels, list_attr_celeba.txt. Their publishers keep them where no
    program can fetch them; the page is https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html. In place of the
    zip its images may lie in a folder img_align_celeba there (JPEG or PNG); they have no published
    checksum, so that each is read at every start. Of the 178×218 pixels the square from (41, 85) to
    (137, 181) is used, as in Hoeckler 2021. The images are decoded once (some minutes) and kept in the
    cache. Source: Z. Liu, P. Luo, X. Wang, X. Tang, "Deep Learning Face Attributes in the Wild", ICCV 2015.

    resolution  side of the images in pixels
    fit         how the 96×96 pixels get there: "resize" (Lanczos) or "pad" (with black)
    attribute   one of the 40 attributes, such as Smiling, as label: 0 is "not Smiling", 1 is "Smiling";
                without it there are no labels
    """

    resolution: int = 48
    fit: Literal["resize", "pad"] = "resize"
    attribute: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.attribute is not None and self.attribute not in _NAMES:
            raise ValueError(f"attribute is {self.attribute!r}; {one_of(_NAMES, self.attribute)}")

    def load(self) -> Data:
        """uint8 N×3×R×R, memory-mapped from the cache; 162,770, 19,867 and 19,962 images."""
        parts = _parts()
        names = [name for split in SPLITS for name in parts[split]]
        labels = None if self.attribute is None else _labels(self.attribute, names)
        place, images = _source(names, self.resolution, self.fit)
        stored = kept(place, partial(_write, images, parts, self.resolution, self.fit))
        splits = stored.splits() if labels is None else _labelled(stored.splits(), labels)
        classes = () if self.attribute is None else (f"not {self.attribute}", self.attribute)
        spec = Spec("image", stored.images.shape[1:], classes)
        return Data("celeba", spec, splits, fingerprint_of(stored.pixels, spec, splits))


def _labelled(splits: dict[SplitName, Split], labels: np.ndarray) -> dict[SplitName, Split]:
    start = 0
    for name in SPLITS:
        end = start + len(splits[name])
        splits[name] = Split(splits[name].samples, labels[start:end])
        start = end
    return splits


# ---------------------------------------------------------------- the two tables


def _parts() -> dict[SplitName, list[str]]:
    """The file names of each split, in the order of the table."""
    parts: dict[SplitName, list[str]] = {name: [] for name in SPLITS}
    lines = _text(_PARTITION).splitlines()
    for line in lines:
        # The names become paths: nothing but six digits and an ending may pass.
        if not re.fullmatch(r"[0-9]{6}\.jpg +[012] *", line):
            raise DataError(f"{_PARTITION} holds the line {line[:60]!r}, expected one like '000001.jpg 0'")
        name, number = line.split()
        parts[SPLITS[int(number)]].append(name)
    if len({name for names in parts.values() for name in names}) != len(lines) or not all(parts.values()):
        raise DataError(f"{_PARTITION} names an image twice, or none for a split: get it again")
    return parts


def _labels(attribute: str, names: list[str]) -> np.ndarray:
    """int64 N: 1 where the image of this name has the attribute, else 0."""
    import numpy as np

    lines = _text(_ATTRIBUTES).splitlines()
    header = lines[1].split() if len(lines) > 1 else []
    if attribute not in header:
        raise DataError(f"{_ATTRIBUTES} has no column {attribute}: remove it and get it again")
    column = header.index(attribute) + 1
    values: dict[str, str] = {}
    for line in lines[2:]:
        fields = line.split()
        if len(fields) != len(header) + 1 or fields[column] not in ("-1", "1"):
            raise DataError(f"{_ATTRIBUTES} holds the line {line[:60]!r}, expected a name and -1 or 1s")
        values[fields[0]] = fields[column]
    missing = [name for name in names if name not in values]
    if missing:
        raise DataError(f"{_ATTRIBUTES} says nothing of {missing[0]}: remove it and get it again")
    return np.array([values[name] == "1" for name in names], np.int64)


def _text(name: str) -> str:
    path = _found(name)
    if path is None:
        raise _missing(name)
    try:
        return io.check_content(path, _MD5[name]).read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}): get it again") from error


def _found(name: str) -> Path | None:
    """The file in the first folder that has it."""
    places = (folder / name for folder in io.data_folders("celeba"))
    return next((place for place in places if place.is_file()), None)


def _missing(name: str) -> DataError:
    folders = io.data_folders("celeba")
    return DataError(
        f"celeba needs the file {name}, which is not in {' or '.join(map(str, folders))}: no program can "
        f"fetch it; get {_ZIP}, {_ATTRIBUTES} and {_PARTITION} (Align&Cropped Images) from {_PAGE} and put "
        f"them into {folders[0]}"
    )


# ---------------------------------------------------------------- the images


def _source(names: list[str], resolution: int, fit: str) -> tuple[Path, Iterator[tuple[str, bytes]]]:
    """Where the decoded images are kept, and their files by name, which are read only when asked for.

    The place depends on all that decides the pixels: the files' contents, the resolution, the rules.
    """
    archive = _found(_ZIP)
    places = (folder / _FOLDER for folder in io.data_folders("celeba"))
    unpacked = next((place for place in places if place.is_dir()), None)
    if archive is None and unpacked is not None:
        content, files = _folder_digest(unpacked, names), _from_folder(unpacked, names)
    else:
        content, files = _MD5[_ZIP], _from_zip(archive, names)
    key = f"celeba {_VERSION} {resolution} {fit} {content} {_MD5[_PARTITION]}"
    return io.cache_folder() / "decoded" / hashlib.sha256(key.encode()).hexdigest(), files


def _write(
    files: Iterator[tuple[str, bytes]],
    parts: dict[SplitName, list[str]],
    side: int,
    fit: str,
    folder: Path,
) -> None:
    """The decoded images in the order of the splits."""
    counts: dict[SplitName, int] = {name: len(parts[name]) for name in SPLITS}
    images = ((row, _pixels(content, name, side, fit)) for row, (name, content) in enumerate(files))
    write_images(folder, (sum(counts.values()), 3, side, side), images)
    write_index(folder, counts, pixels=True)


def _pixels(content: bytes, name: str, side: int, fit: str) -> bytes:
    """The uint8 3×side×side of one image file."""
    import numpy as np

    image = photo(content, name, ("JPEG", "PNG"), _SIZE)
    face: np.ndarray = np.asarray(image.crop(_CROP)).transpose(2, 0, 1)
    return bytes(fit_images(face[None], side, fit).tobytes())


def _from_zip(path: Path | None, names: list[str]) -> Iterator[tuple[str, bytes]]:
    """Name and content of each image, read one by one; nothing is extracted.

    A missing zip is an error only here: once its images are decoded it is not needed.
    """
    if path is None:
        raise _missing(_ZIP)
    try:
        io.check_content(path, _MD5[_ZIP])
        with zipfile.ZipFile(path) as archive:
            for name in names:
                yield name, _member(archive, f"{_FOLDER}/{name}")
    except DataError:
        raise
    except Exception as error:  # zipfile and the decompressors raise many kinds for damaged files
        raise DataError(f"{path} cannot be read ({error}): remove it and get it again") from error


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    # What the archive says of its sizes may be wrong: no more than this is unpacked.
    with archive.open(name) as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise DataError(f"{name} in {archive.filename} is larger than {_MAX_BYTES:,} bytes: get it again")
    return content


def _from_folder(folder: Path, names: list[str]) -> Iterator[tuple[str, bytes]]:
    for name in names:
        path = _image_file(folder, name)
        try:
            with path.open("rb") as file:
                yield str(path), file.read(_MAX_BYTES)
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror})") from error


def _folder_digest(folder: Path, names: list[str]) -> str:
    """SHA-256 over the names and contents of all images. DataError where one is missing."""
    missing = [name for name in names if not _image_file(folder, name).is_file()]
    if missing:
        raise DataError(
            f"{folder} lacks {len(missing)} of {len(names)} images, such as {missing[0]}: "
            f"put {_ZIP} beside it"
        )
    digest = hashlib.sha256()
    for name in names:
        path = _image_file(folder, name)
        try:
            if path.stat().st_size > _MAX_BYTES:
                raise DataError(f"{path} is larger than {_MAX_BYTES:,} bytes: get it again")
            digest.update(f"{path.name} {io.file_digest(path)}\n".encode())
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror})") from error
    return digest.hexdigest()


def _image_file(folder: Path, name: str) -> Path:
    """The JPEG of this name, or the PNG that stands for it."""
    path = folder / name
    png = path.with_suffix(".png")
    return png if not path.is_file() and png.is_file() else path
