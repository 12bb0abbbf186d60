"""Oxford 102 flowers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from duel import io
from duel.datasets._archives import tar_files
from duel.datasets._base import SPLITS, Data, ImageSet, Spec, SplitName
from duel.datasets._decoded import fingerprint_of, kept, write_images, write_index
from duel.datasets._images import pixels
from duel.datasets._matlab import published_arrays, whole_numbers
from duel.datasets._photos import photo
from duel.errors import DataError
from duel.options import options

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

_URL = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/"
_MD5 = {
    "102flowers.tgz": "52808999861908f626f3c1f4e79d11fa",
    "imagelabels.mat": "e0620be6f572b9609742df49c70aed4d",
    "setid.mat": "a5357ecc9cb78c4bef273ce3793fc85c",
}
_PARTS: dict[SplitName, str] = {"train": "trnid", "validation": "valid", "test": "tstid"}
_GENERATIVE: dict[SplitName, SplitName] = {"train": "test", "validation": "validation", "test": "train"}
_MAX_BYTES = 1 << 24  # of one photo; 345 MB hold 8,189 of them
_VERSION = 1  # of decoding: raise it when the same files would give other pixels or labels
# In the order of the labels 1 to 102, as torchvision has them.
_KINDS = (
    "pink primrose, hard-leaved pocket orchid, canterbury bells, sweet pea, english marigold, tiger lily, "
    "moon orchid, bird of paradise, monkshood, globe thistle, snapdragon, colt's foot, king protea, spear "
    "thistle, yellow iris, globe-flower, purple coneflower, peruvian lily, balloon flower, giant white "
    "arum lily, fire lily, pincushion flower, fritillary, red ginger, grape hyacinth, corn poppy, prince "
    "of wales feathers, stemless gentian, artichoke, sweet william, carnation, garden phlox, love in the "
    "mist, mexican aster, alpine sea holly, ruby-lipped cattleya, cape flower, great masterwort, siam "
    "tulip, lenten rose, barbeton daisy, daffodil, sword lily, poinsettia, bolero deep blue, wallflower, "
    "marigold, buttercup, oxeye daisy, common dandelion, petunia, wild pansy, primula, sunflower, "
    "pelargonium, bishop of llandaff, gaura, geranium, orange dahlia, pink-yellow dahlia?, cautleya "
    "spicata, japanese anemone, black-eyed susan, silverbush, californian poppy, osteospermum, spring "
    "crocus, bearded iris, windflower, tree poppy, gazania, azalea, water lily, rose, thorn apple, "
    "morning glory, passion flower, lotus, toad lily, anthurium, frangipani, clematis, hibiscus, "
    "columbine, desert-rose, tree mallow, magnolia, cyclamen, watercress, canna lily, hippeastrum, bee "
    "balm, ball moss, foxglove, bougainvillea, camellia, mallow, mexican petunia, bromelia, blanket "
    "flower, trumpet creeper, blackberry lily"
)
_CLASSES = tuple(_KINDS.split(", "))


@options
class Flowers(ImageSet):
    """8,189 photos of 102 kinds of flowers in RGB; the label is the kind.

    The published archive and two MATLAB files, which need SciPy (pip install 'duel[vision]'), are looked
    for in $DUEL_DATA/flowers and the cache, else downloaded (345 MB). The centre square of each photo is
    resized with Lanczos; the photos are decoded once and kept in the cache. Source: M.-E. Nilsback,
    A. Zisserman, "Automated Flower Classification over a Large Number of Classes", Indian Conference on
    Computer Vision, Graphics and Image Processing, 2008.

    resolution  side of the square images in pixels
    fit         always "resize": the photos have different sizes
    split       "generative" trains on the published test part (6,149 photos) and tests on the published
                training part (1,020), because a generator needs the larger one; "published" keeps both
                as they are. Validation is the published validation part (1,020) in both
    """

    resolution: int = 64
    fit: Literal["resize"] = "resize"
    split: Literal["generative", "published"] = "generative"

    def load(self) -> Data:
        """uint8 N×3×R×R, memory-mapped from the cache; 6,149, 1,020 and 1,020 images."""
        place = io.cache_folder() / "decoded" / _key(self.resolution)
        stored = kept(place, lambda folder: _write(self.resolution, folder))
        splits = stored.splits()
        if self.split == "generative":
            splits = {name: splits[_GENERATIVE[name]] for name in SPLITS}
        spec = Spec("image", stored.images.shape[1:], stored.classes)
        return Data("flowers", spec, splits, fingerprint_of(stored.pixels, spec, splits))


def _key(resolution: int) -> str:
    """The SHA-256 of all that decides the decoded images: the files, the resolution, the rules."""
    return hashlib.sha256(f"flowers {_VERSION} {resolution} {_MD5}".encode()).hexdigest()


def _write(side: int, folder: Path) -> None:
    """The decoded photos and their labels, part by part as published."""
    labels, parts = _tables()
    numbers = [number for name in SPLITS for number in parts[name]]
    archive = io.published_file("flowers", "102flowers.tgz", _MD5["102flowers.tgz"], _URL + "102flowers.tgz")
    rows = {f"jpg/image_{number:05}.jpg": row for row, number in enumerate(numbers)}
    write_images(folder, (len(numbers), 3, side, side), _images(archive, rows, side))
    counts: dict[SplitName, int] = {name: len(parts[name]) for name in SPLITS}
    write_index(folder, counts, _CLASSES, [int(labels[number - 1]) for number in numbers], pixels=True)


def _tables() -> tuple[np.ndarray, dict[SplitName, list[int]]]:
    """The label of every photo (int64 N, from 0), and the numbers of each part's photos (from 1)."""
    labels = whole_numbers(_array("imagelabels.mat", ("labels",))["labels"], 1, len(_CLASSES), "the labels")
    arrays = _array("setid.mat", tuple(_PARTS.values()))
    parts: dict[SplitName, list[int]] = {}
    for name, variable in _PARTS.items():
        parts[name] = whole_numbers(arrays[variable], 1, len(labels), f"{variable} in setid.mat").tolist()
    if len(set().union(*parts.values())) != sum(map(len, parts.values())):
        raise DataError("setid.mat names a photo twice: remove it and get it again")
    return labels - 1, parts


def _array(name: str, variables: tuple[str, ...]) -> dict[str, np.ndarray]:
    return published_arrays("flowers", name, _MD5[name], _URL + name, variables)


def _images(archive: Path, rows: dict[str, int], side: int) -> Iterator[tuple[int, bytes]]:
    """Row and pixels of every photo wanted. Raises DataError where one is missing or unusable."""
    left = dict(rows)
    for name, content in tar_files(archive, left.__contains__, _MAX_BYTES):
        square = _centre_square(photo(content, f"{name} in {archive}", ("JPEG",)))
        yield left.pop(name), pixels(square, side).tobytes()
    if left:
        raise DataError(
            f"{archive} lacks {len(left)} of {len(rows)} photos, such as {min(left)}: "
            "remove it and get it again"
        )


def _centre_square(image: Image.Image) -> Image.Image:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))
