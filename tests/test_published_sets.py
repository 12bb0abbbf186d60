"""SVHN, flowers, CelebA and stacked MNIST from small files in the published formats."""

from __future__ import annotations

import dataclasses
import io
import os
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from made_files import (
    CELEBA_PARTS,
    FLOWER_LABELS,
    FLOWERS,
    celeba_files,
    celeba_photos,
    encoded,
    flower_files,
    flower_photos,
    idx_gz,
    mat,
    md5,
    noise,
    svhn_arrays,
    svhn_files,
    tgz,
    zipped,
)
from PIL import Image
from pydantic import ValidationError

from duel.datasets import _idx_set, celeba, flowers, stacked_mnist, svhn
from duel.datasets._base import SPLITS, Data, DataSet
from duel.datasets.celeba import Celeba
from duel.datasets.flowers import Flowers
from duel.datasets.stacked_mnist import StackedMnist
from duel.datasets.svhn import Svhn
from duel.errors import ChecksumError, DataError

REAL = os.environ.get("DUEL_DATA", "")
ZIP, ATTRIBUTES, PARTITION = celeba._ZIP, celeba._ATTRIBUTES, celeba._PARTITION

Publish = Callable[[ModuleType, dict[str, bytes]], Path]


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Publish:
    """Puts files where they are looked for, and takes their MD5s for the published ones."""
    monkeypatch.setenv("DUEL_DATA", str(tmp_path))
    monkeypatch.setattr(svhn, "_VALIDATION", 5)

    def put(module: ModuleType, files: dict[str, bytes]) -> Path:
        folder = tmp_path / module.__name__.rpartition(".")[2]
        folder.mkdir(exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
        sums = {name: md5(content) for name, content in files.items()}
        monkeypatch.setattr(module, "_MD5", module._MD5 | sums)
        return folder

    return put


def sizes(data: Data) -> list[int]:
    return [len(data.splits[name]) for name in SPLITS]


def labels(data: Data, split: str) -> list[int]:
    found = data.splits[split].labels  # type: ignore[index]
    assert found is not None
    return found.tolist()


def faces() -> dict[str, bytes]:
    return celeba_files(celeba._NAMES)


# ---------------------------------------------------------------- what all have in common

MADE: dict[str, tuple[ModuleType, Callable[[], dict[str, bytes]], DataSet]] = {
    "svhn": (svhn, svhn_files, Svhn()),
    "flowers": (flowers, flower_files, Flowers()),
    "celeba": (celeba, faces, Celeba(attribute="Smiling")),
}
FILES = [
    *(("svhn", name) for name in ("train_32x32.mat", "test_32x32.mat")),
    *(("flowers", name) for name in ("102flowers.tgz", "imagelabels.mat", "setid.mat")),
    *(("celeba", name) for name in (ZIP, ATTRIBUTES, PARTITION)),
]


@pytest.mark.parametrize(("name", "file"), FILES)
def test_another_content_than_the_published_is_refused(publish: Publish, name: str, file: str) -> None:
    module, files, data_set = MADE[name]
    folder = publish(module, files())
    with (folder / file).open("ab") as stream:
        stream.write(b"!")
    with pytest.raises(ChecksumError, match=rf"{file} has the MD5"):
        data_set.load()


@pytest.mark.parametrize(("name", "file"), FILES)
def test_a_cut_file_is_refused_by_its_reader(publish: Publish, name: str, file: str, own_cache: Path) -> None:
    """The MD5 of the cut file counts as published: what is left is the reader's own judgement."""
    module, files, data_set = MADE[name]
    made = files()
    publish(module, made | {file: made[file][: len(made[file]) * 2 // 3]})
    with pytest.raises(DataError, match=file):
        data_set.load()
    assert list(own_cache.rglob("*.npy")) == []
    assert list(own_cache.rglob(".part-*")) == []


@pytest.mark.parametrize(("name", "file"), FILES)
def test_any_other_content_is_refused_by_its_reader(publish: Publish, name: str, file: str) -> None:
    module, files, data_set = MADE[name]
    for content in (b"", b"text\n", bytes(200), b"\xff" * 3000):
        publish(module, files() | {file: content})
        with pytest.raises(DataError):
            data_set.load()


@pytest.mark.parametrize(
    ("name", "file", "said"),
    [
        ("svhn", "test_32x32.mat", "get it from http://ufldl.stanford.edu/housenumbers/test_32x32.mat"),
        ("flowers", "setid.mat", "from https://www.robots.ox.ac.uk/~vgg/data/flowers/102/setid.mat"),
        ("flowers", "102flowers.tgz", "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/102flowers.tgz"),
        ("celeba", ZIP, "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html and put them into"),
        ("celeba", PARTITION, "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html and put them into"),
        ("celeba", ATTRIBUTES, "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html and put them into"),
    ],
)
def test_a_missing_file_is_named_and_where_to_get_it(
    publish: Publish, own_cache: Path, name: str, file: str, said: str
) -> None:
    module, files, data_set = MADE[name]
    folder = publish(module, files())
    (folder / file).unlink()
    with pytest.raises(DataError) as caught:
        data_set.load()
    for part in (f"{name} needs the file {file}", str(folder), str(own_cache / "duel/data" / name), said):
        assert part in str(caught.value)


def test_celeba_names_all_three_files_and_one_folder(publish: Publish, tmp_path: Path) -> None:
    publish(celeba, {})
    with pytest.raises(DataError) as caught:
        Celeba().load()
    for part in (ZIP, ATTRIBUTES, PARTITION, f"put them into {tmp_path / 'celeba'}"):
        assert part in str(caught.value)


@pytest.mark.parametrize("name", ["svhn", "flowers"])
def test_without_scipy_it_is_said_how_to_get_it(
    publish: Publish, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Before any file is looked for."""
    publish(MADE[name][0], {})
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(
        DataError, match=rf"^{name} is .*SciPy is not installed: pip install 'duel\[vision\]'"
    ):
        MADE[name][2].load()


@pytest.mark.parametrize("name", MADE)
def test_found_in_the_cache_too(publish: Publish, own_cache: Path, name: str) -> None:
    module, files, data_set = MADE[name]
    folder = publish(module, files())
    (own_cache / "duel/data").mkdir(parents=True)
    folder.rename(own_cache / "duel/data" / name)
    assert sum(sizes(data_set.load())) > 9


@pytest.mark.parametrize("name", MADE)
def test_nothing_is_extracted(publish: Publish, own_cache: Path, name: str) -> None:
    module, files, data_set = MADE[name]
    folder = publish(module, files())
    before = sorted(folder.parent.rglob("*"))
    data_set.load()
    assert sorted(folder.parent.rglob("*")) == before
    kept = {path.name for path in own_cache.rglob("*") if path.is_file()}
    assert kept == (set() if name == "svhn" else {"images.npy", "index.json"})


@pytest.mark.parametrize("name", ["flowers", "celeba"])
def test_images_are_decoded_once(publish: Publish, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    module, files, data_set = MADE[name]
    folder = publish(module, files())
    first = data_set.load()
    assert isinstance(first.splits["train"].samples, np.memmap)

    def fail(*_: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(module, "photo", fail)
    archive = folder / ("102flowers.tgz" if name == "flowers" else ZIP)
    content = archive.read_bytes()
    archive.unlink()
    assert data_set.load().fingerprint == first.fingerprint, "the archive is not needed any more"
    archive.write_bytes(content)
    with pytest.raises(AssertionError, match="decoded again"):
        dataclasses.replace(data_set, resolution=20).load()  # type: ignore[type-var]


@pytest.mark.parametrize("name", ["flowers", "celeba"])
@pytest.mark.parametrize("damage", ["images.npy", "index.json"])
def test_a_damaged_cache_is_made_again(publish: Publish, own_cache: Path, name: str, damage: str) -> None:
    module, files, data_set = MADE[name]
    publish(module, files())
    before = data_set.load()
    samples = before.splits["train"].samples.copy()
    (file,) = own_cache.rglob(damage)
    file.write_bytes(b"")
    after = data_set.load()
    assert after.fingerprint == before.fingerprint
    np.testing.assert_array_equal(after.splits["train"].samples, samples)


@pytest.mark.parametrize("name", ["flowers", "celeba"])
def test_the_fingerprint_sees_pixels_labels_and_resolution(publish: Publish, name: str) -> None:
    module, files, data_set = MADE[name]
    publish(module, files())
    prints = [data_set.load().fingerprint, dataclasses.replace(data_set, resolution=20).load().fingerprint]  # type: ignore[type-var]
    made = files()
    if name == "flowers":
        changed = [3, *FLOWER_LABELS[1:]]
        publish(module, made | {"imagelabels.mat": mat(labels=np.array([changed], np.uint8))})
        prints.append(data_set.load().fingerprint)
        publish(
            module, made | {"102flowers.tgz": tgz(flower_photos() | {"jpg/image_00003.jpg": photo_of(50)})}
        )
    else:
        publish(module, celeba_files(celeba._NAMES, smiling="Male"))
        prints.append(data_set.load().fingerprint)
        photos = celeba_photos() | {"000003.jpg": encoded(noise(1, size=(178, 218)))}
        publish(module, made | {ZIP: zipped({f"img_align_celeba/{k}": v for k, v in photos.items()})})
    prints.append(data_set.load().fingerprint)
    assert len(set(prints)) == 4


def photo_of(seed: int) -> bytes:
    return encoded(noise(seed, size=(70, 70)))


def test_an_unwritable_cache_is_named(publish: Publish, own_cache: Path) -> None:
    publish(flowers, flower_files())
    (own_cache / "duel").write_text("a file where the cache should be")
    with pytest.raises(DataError, match="set XDG_CACHE_HOME to another folder"):
        Flowers().load()


# ---------------------------------------------------------------- svhn


def test_svhn_splits_and_values(publish: Publish) -> None:
    publish(svhn, svhn_files())
    data = Svhn().load()
    assert sizes(data) == [25, 5, 12]
    assert data.spec.shape == (3, 32, 32)
    assert data.spec.classes == tuple("0123456789")
    (images, digits), (test, test_digits) = svhn_arrays(0, 30), svhn_arrays(1, 12)
    for name, expected in (("train", images[:25]), ("validation", images[25:]), ("test", test)):
        samples = data.splits[name].samples
        np.testing.assert_array_equal(samples, expected)
        assert samples.dtype == np.uint8
        assert samples.flags.c_contiguous
    # The made files hold 10 for the digit 0, as the published ones do.
    assert labels(data, "train") + labels(data, "validation") == digits.tolist()
    assert labels(data, "test") == test_digits.tolist()
    assert 0 in digits


def test_svhn_trains_on_the_extra_images_too(publish: Publish) -> None:
    folder = publish(svhn, svhn_files())
    own, more = Svhn().load(), Svhn(extra=True).load()
    assert sizes(more) == [45, 5, 12]
    extra, digits = svhn_arrays(2, 20)
    train = more.splits["train"].samples
    np.testing.assert_array_equal(train[:25], own.splits["train"].samples)
    np.testing.assert_array_equal(train[25:], extra)
    assert labels(more, "train")[25:] == digits.tolist()
    np.testing.assert_array_equal(more.splits["validation"].samples, own.splits["validation"].samples)
    (folder / "extra_32x32.mat").unlink()
    assert Svhn().load().fingerprint == own.fingerprint, "the extra file is not needed without extra"
    with pytest.raises(DataError, match=r"needs the file extra_32x32\.mat"):
        Svhn(extra=True).load()


@pytest.mark.parametrize(
    "content",
    [
        mat(X=np.zeros((32, 32, 3, 4), np.uint8)),
        mat(X=np.zeros((32, 32, 3, 4), np.uint8), y=np.zeros((4, 1), np.uint8)),
        mat(X=np.zeros((32, 32, 3, 4), np.uint8), y=np.full((4, 1), 11, np.uint8)),
        mat(X=np.zeros((32, 32, 3, 4), np.uint8), y=np.full((4, 1), np.nan)),
        mat(X=np.zeros((32, 32, 3, 4), np.uint8), y=np.full((4, 1), 1.5)),
        mat(X=np.zeros((32, 32, 3, 4), np.uint8), y=np.ones((3, 1), np.uint8)),
        mat(X=np.zeros((32, 31, 3, 4), np.uint8), y=np.ones((4, 1), np.uint8)),
        mat(X=np.zeros((32, 32, 3, 4), np.float64), y=np.ones((4, 1), np.uint8)),
        mat(X=np.array([["a", "b"]], object), y=np.ones((4, 1), np.uint8)),
        mat(X=np.zeros((32, 32, 3, 4), np.uint8), y=np.array(["text"])),
        mat(X=np.zeros((32, 32, 3, 0), np.uint8), y=np.zeros((0, 1), np.uint8)),
    ],
)
def test_svhn_files_with_other_variables_are_refused(publish: Publish, content: bytes) -> None:
    publish(svhn, svhn_files() | {"test_32x32.mat": content})
    with pytest.raises(DataError, match=r"test_32x32\.mat"):
        Svhn().load()


# ---------------------------------------------------------------- flowers


def photo_numbers(data: Data, split: str) -> list[int]:
    """Which of the made photos the samples are."""
    side = data.spec.shape[-1]
    numbers = {square(number, side).tobytes(): number for number in range(1, 13)}
    return [numbers[sample.tobytes()] for sample in data.splits[split].samples]  # type: ignore[index]


def square(number: int, side: int) -> np.ndarray:
    """The centre square of a made photo: 100×60 has 20 pixels too many on both sides, 64×90 has 13."""
    image = Image.open(io.BytesIO(flower_photos()[f"jpg/image_{number:05}.jpg"]))
    box = (20, 0, 80, 60) if number % 2 else (0, 13, 64, 77)
    resized = image.crop(box).resize((side, side), Image.Resampling.LANCZOS)
    return np.asarray(resized).transpose(2, 0, 1)


@pytest.mark.parametrize(
    ("split", "parts"),
    [
        ("generative", ("tstid", "valid", "trnid")),
        ("published", ("trnid", "valid", "tstid")),
    ],
)
def test_flowers_splits_squares_and_labels(publish: Publish, split: Any, parts: tuple[str, ...]) -> None:
    publish(flowers, flower_files())
    data = Flowers(split=split, resolution=16).load()
    assert data.spec.shape == (3, 16, 16)
    assert tuple(data.splits) == SPLITS
    for name, part in zip(SPLITS, parts, strict=True):
        assert photo_numbers(data, name) == FLOWERS[part]
        assert labels(data, name) == [FLOWER_LABELS[number - 1] - 1 for number in FLOWERS[part]]
        assert data.splits[name].samples.dtype == np.uint8


def test_flowers_defaults(publish: Publish) -> None:
    publish(flowers, flower_files())
    data = Flowers().load()
    assert data.spec.shape == (3, 64, 64)
    assert sizes(data) == [7, 2, 3]
    assert len(set(data.spec.classes)) == 102
    assert data.spec.classes[0] == "pink primrose"
    assert data.spec.classes[-1] == "blackberry lily"
    assert Flowers(split="published").load().fingerprint != data.fingerprint


def test_flowers_order_in_the_archive_does_not_matter(publish: Publish) -> None:
    publish(flowers, flower_files())
    before = Flowers().load()
    turned = dict(reversed(flower_photos().items()))
    publish(flowers, {"102flowers.tgz": tgz({"jpg/notes.txt": b"x", **turned})})
    assert Flowers().load().fingerprint == before.fingerprint


@pytest.mark.parametrize("content", [b"text", b"", encoded(noise(0), "PNG"), photo_of(0)[:-200]])
def test_a_file_that_is_no_jpeg_is_named(publish: Publish, own_cache: Path, content: bytes) -> None:
    photos = flower_photos() | {"jpg/image_00004.jpg": content}
    publish(flowers, flower_files() | {"102flowers.tgz": tgz(photos)})
    with pytest.raises(DataError, match=r"jpg/image_00004\.jpg in .* is (no JPEG image|damaged)"):
        Flowers().load()
    assert list(own_cache.rglob("*.npy")) == []


def test_a_photo_of_too_many_pixels_is_refused(publish: Publish, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(flowers, flower_files())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5000)
    with pytest.raises(DataError, match=r"damaged .*pixels"):
        Flowers().load()


def test_only_regular_files_of_a_plausible_size_count(
    publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = flower_photos()
    monkeypatch.setattr(flowers, "_MAX_BYTES", 50_000)
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in photos.items():
            member = tarfile.TarInfo(name)
            if name == "jpg/image_00002.jpg":
                member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            elif name == "jpg/image_00006.jpg":
                content += bytes(50_000)
            if member.isreg():
                member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    publish(flowers, flower_files() | {"102flowers.tgz": stream.getvalue()})
    with pytest.raises(DataError, match=r"lacks 2 of 12 photos, such as jpg/image_00002\.jpg"):
        Flowers().load()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"trnid": [3, 1, 8]}, "names a photo twice"),
        ({"trnid": [3, 1, 13]}, "trnid in setid.mat are not whole numbers from 1 to 12"),
        ({"valid": [0]}, "valid in setid.mat are not whole numbers from 1 to 12"),
        ({"tstid": []}, "tstid in setid.mat are not whole numbers"),
    ],
)
def test_flowers_parts_must_be_disjoint(publish: Publish, changed: dict[str, list[int]], said: str) -> None:
    ids = {name: np.array([numbers], np.uint16) for name, numbers in (FLOWERS | changed).items()}
    publish(flowers, flower_files() | {"setid.mat": mat(**ids)})
    with pytest.raises(DataError, match=said):
        Flowers().load()


@pytest.mark.parametrize("wrong", [0, 103])
def test_flowers_labels_are_1_to_102(publish: Publish, wrong: int) -> None:
    labelled = mat(labels=np.array([[wrong, *FLOWER_LABELS[1:]]], np.uint8))
    publish(flowers, flower_files() | {"imagelabels.mat": labelled})
    with pytest.raises(DataError, match="the labels are not whole numbers from 1 to 102"):
        Flowers().load()


# ---------------------------------------------------------------- celeba


def in_part(part: int) -> list[int]:
    return [row + 1 for row, number in enumerate(CELEBA_PARTS) if number == part]


def test_celeba_splits_and_crop(publish: Publish) -> None:
    publish(celeba, faces())
    data = Celeba().load()
    assert data.spec.shape == (3, 48, 48)
    assert data.spec.classes == ()
    assert sizes(data) == [6, 2, 2]
    for part, name in enumerate(SPLITS):
        split = data.splits[name]
        assert split.labels is None
        assert split.samples.dtype == np.uint8
        for number, sample in zip(in_part(part), split.samples, strict=True):
            image = Image.open(io.BytesIO(celeba_photos()[f"{number:06}.jpg"])).crop((41, 85, 137, 181))
            resized = image.resize((48, 48), Image.Resampling.LANCZOS)
            np.testing.assert_array_equal(sample, np.asarray(resized).transpose(2, 0, 1))


def unpacked(publish: Publish, photos: dict[str, bytes]) -> Path:
    """The images in a folder in place of the zip."""
    folder = publish(celeba, faces())
    (folder / ZIP).unlink()
    (folder / "img_align_celeba").mkdir()
    for name, content in photos.items():
        (folder / "img_align_celeba" / name).write_bytes(content)
    return folder / "img_align_celeba"


def test_celeba_crops_exactly_from_41_85_to_137_181(publish: Publish) -> None:
    """Red is the column, green the row."""
    pixels = np.zeros((218, 178, 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = np.arange(178), np.arange(218)[:, None]
    unpacked(publish, celeba_photos("PNG") | {"000001.png": encoded(Image.fromarray(pixels), "PNG")})
    sample = Celeba(resolution=96).load().splits["train"].samples[0]
    assert sample[0, 0].tolist() == list(range(41, 137))
    assert sample[1, :, 0].tolist() == list(range(85, 181))
    assert not sample[2].any()
    padded = Celeba(resolution=100, fit="pad").load().splits["train"].samples[0]
    np.testing.assert_array_equal(padded[:, 2:-2, 2:-2], sample)
    assert not padded[:, :2].any()


def test_celeba_unpacked_is_the_same(publish: Publish) -> None:
    publish(celeba, faces())
    zipped_print = Celeba(attribute="Smiling").load().fingerprint
    folder = unpacked(publish, celeba_photos())
    assert Celeba(attribute="Smiling").load().fingerprint == zipped_print
    (folder / "000002.jpg").write_bytes(encoded(noise(5, size=(178, 218))))
    assert Celeba(attribute="Smiling").load().fingerprint != zipped_print, "every content is looked at"


def test_celeba_unpacked_with_images_missing(publish: Publish) -> None:
    folder = unpacked(publish, celeba_photos())
    (folder / "000002.jpg").unlink()
    (folder / "000007.jpg").unlink()
    os.mkfifo(folder / "000007.jpg")
    with pytest.raises(DataError, match=r"img_align_celeba lacks 2 of 10 images, such as 000002\.jpg"):
        Celeba().load()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"text", "is no JPEG or PNG image"),
        (encoded(noise(0, size=(178, 218)), "BMP"), "is no JPEG or PNG image"),
        (encoded(noise(0, size=(178, 218)))[:-300], "is damaged"),
        (encoded(noise(0, size=(218, 178))), "has 218×178 pixels, expected 178×218"),
    ],
)
@pytest.mark.parametrize("packed", [True, False])
def test_a_face_that_cannot_be_used_is_named(
    publish: Publish, content: bytes, said: str, packed: bool, own_cache: Path
) -> None:
    photos = celeba_photos() | {"000003.jpg": content}
    if packed:
        publish(celeba, faces() | {ZIP: zipped({f"img_align_celeba/{k}": v for k, v in photos.items()})})
    else:
        unpacked(publish, photos)
    with pytest.raises(DataError, match=rf"000003\.jpg {said}"):
        Celeba().load()
    assert list(own_cache.rglob("*.npy")) == []


def test_a_zip_that_lacks_an_image_or_holds_a_huge_one(
    publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = {f"img_align_celeba/{name}": content for name, content in celeba_photos().items()}
    del photos["img_align_celeba/000005.jpg"]
    publish(celeba, faces() | {ZIP: zipped(photos)})
    with pytest.raises(DataError, match=r"img_align_celeba\.zip cannot be read .*000005\.jpg"):
        Celeba().load()
    monkeypatch.setattr(celeba, "_MAX_BYTES", 100_000)
    publish(celeba, faces() | {ZIP: zipped(photos | {"img_align_celeba/000001.jpg": bytes(100_001)})})
    with pytest.raises(DataError, match=r"000001\.jpg in .* is larger than 100,000 bytes"):
        Celeba().load()


def test_an_attribute_is_the_label(publish: Publish) -> None:
    publish(celeba, faces())
    data = Celeba(attribute="Smiling").load()
    assert data.spec.classes == ("not Smiling", "Smiling")
    for part, name in enumerate(SPLITS):
        assert labels(data, name) == [int((number - 1) % 3 == 0) for number in in_part(part)]
        assert data.splits[name].labels.dtype == np.int64  # type: ignore[union-attr]
    other = Celeba(attribute="Male").load()
    assert set(labels(other, "train")) == {0}
    np.testing.assert_array_equal(other.splits["train"].samples, data.splits["train"].samples)
    assert len({other.fingerprint, data.fingerprint, Celeba().load().fingerprint}) == 3


def test_without_an_attribute_its_table_is_not_needed(publish: Publish) -> None:
    folder = publish(celeba, faces())
    (folder / ATTRIBUTES).unlink()
    assert sizes(Celeba().load()) == [6, 2, 2]


def test_a_wrong_attribute_is_answered_with_the_closest() -> None:
    assert len(set(celeba._NAMES)) == 40
    with pytest.raises(ValidationError, match="did you mean 'Smiling'"):
        Celeba(attribute="smiling")


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        (PARTITION, b"000003.jpg 1", b"../../3.jpg 1", "holds the line"),
        (PARTITION, b"000003.jpg 1", b"000003.jpg 3", "holds the line"),
        (PARTITION, b"000003.jpg 1", b"000002.jpg 1", "names an image twice"),
        (PARTITION, b".jpg 2", b".jpg 1", "none for a split"),
        (PARTITION, b"000003", "\u0663\u0663\u0663\u0663\u0663\u0663".encode(), "cannot be read"),
        (ATTRIBUTES, b" Smiling", b" Frowning", "has no column Smiling"),
        (ATTRIBUTES, b"000003.jpg -1", b"000003.jpg", "holds the line"),
        (ATTRIBUTES, b"000003.jpg", b"000033.jpg", r"says nothing of 000003\.jpg"),
        (ATTRIBUTES, b"-1", b"0", "holds the line"),
    ],
)
def test_damaged_tables_are_refused(publish: Publish, file: str, old: bytes, new: bytes, said: str) -> None:
    made = faces()
    publish(celeba, made | {file: made[file].replace(old, new)})
    with pytest.raises(DataError, match=f"{file} .*{said}"):
        Celeba(attribute="Smiling").load()


def test_padding_needs_at_least_the_crop(publish: Publish) -> None:
    publish(celeba, faces())
    with pytest.raises(DataError, match="96×96 pixels cannot be padded to 48×48"):
        Celeba(fit="pad").load()


# ---------------------------------------------------------------- stacked-mnist


@pytest.fixture
def digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """MNIST's four files: 40 training images and 20 test images, each of one grey, its number from 1 on."""
    folder = tmp_path / "mnist"
    folder.mkdir()
    greys = np.arange(1, 61, dtype=np.uint8)
    images = np.broadcast_to(greys[:, None, None], (60, 28, 28))
    sums = []
    for prefix, rows in (("train", slice(0, 40)), ("t10k", slice(40, 60))):
        for name, array in (("images-idx3", images), ("labels-idx1", greys % 10)):
            content = idx_gz(np.ascontiguousarray(array[rows]))
            (folder / f"{prefix}-{name}-ubyte.gz").write_bytes(content)
            sums.append(md5(content))
    names = ("train_images", "train_labels", "test_images", "test_labels")
    changed = dataclasses.replace(stacked_mnist._PUBLISHED, **dict(zip(names, sums, strict=True)))
    monkeypatch.setattr(stacked_mnist, "_PUBLISHED", changed)
    monkeypatch.setattr(stacked_mnist, "_HELD_OUT", 200)
    monkeypatch.setattr(_idx_set, "_VALIDATION", 10)
    monkeypatch.setenv("DUEL_DATA", str(tmp_path))
    return greys


def test_stacked_mnist_stacks_three_digits_of_one_part(digits: np.ndarray) -> None:
    data = StackedMnist(samples=300).load()
    assert data.name == "stacked-mnist"
    assert data.spec.shape == (3, 28, 28)
    assert sizes(data) == [300, 200, 200]
    assert len(data.spec.classes) == 1000
    assert [data.spec.classes[label] for label in (0, 7, 120, 999)] == ["000", "007", "120", "999"]
    for name, (first, last) in zip(SPLITS, ((1, 30), (31, 40), (41, 60)), strict=True):
        samples = data.splits[name].samples
        assert samples.dtype == np.uint8
        greys = samples[:, :, 0, 0].astype(int)
        np.testing.assert_array_equal(samples, np.broadcast_to(greys[:, :, None, None], samples.shape))
        assert set(greys.ravel()) == set(range(first, last + 1)), "every digit of this part, and no other"
        red, green, blue = (greys % 10).T
        assert labels(data, name) == (100 * red + 10 * green + blue).tolist()
        assert len({tuple(row) for row in greys.tolist()}) > 0.8 * len(greys)


def test_stacked_mnist_is_the_same_in_every_run(digits: np.ndarray) -> None:
    assert StackedMnist(samples=50).load().fingerprint == StackedMnist(samples=50).load().fingerprint
    assert StackedMnist().samples == 50_000
    few, many = StackedMnist(samples=10).load(), StackedMnist(samples=100).load()
    np.testing.assert_array_equal(few.splits["test"].samples, many.splits["test"].samples)
    np.testing.assert_array_equal(few.splits["train"].samples, many.splits["train"].samples[:10])
    assert few.splits["train"].samples[:, :, 0, 0].tolist()[:3] == [
        *([30, 8, 5], [28, 13, 17], [24, 23, 24]),
    ], "another seed or way of drawing would change everyone's data"


def test_stacked_mnist_draws_each_split_from_a_stream_of_its_own(digits: np.ndarray) -> None:
    """From one stream the same places in the parts would be drawn, scaled to their lengths."""
    splits = StackedMnist(samples=200).load().splits
    drawn = [splits[name].samples[:, :, 0, 0].ravel() for name in SPLITS]
    between = np.corrcoef(drawn)[np.triu_indices(3, 1)]
    assert np.abs(between).max() < 0.3


def test_stacked_mnist_resized_is_resized_digit_by_digit(digits: np.ndarray) -> None:
    own, larger = StackedMnist(samples=10).load(), StackedMnist(samples=10, resolution=32, fit="pad").load()
    np.testing.assert_array_equal(
        larger.splits["train"].samples[:, :, 2:-2, 2:-2], own.splits["train"].samples
    )
    assert labels(larger, "train") == labels(own, "train")
    assert StackedMnist(samples=10, resolution=16).load().spec.shape == (3, 16, 16)


@pytest.mark.parametrize("samples", [0, 1_000_001])
def test_stacked_mnist_samples_have_limits(samples: int) -> None:
    with pytest.raises(ValidationError, match="1 to 1,000,000"):
        StackedMnist(samples=samples)


def test_stacked_mnist_reads_the_files_of_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUEL_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"mnist needs the file train-images-idx3-ubyte\.gz"):
        StackedMnist().load()


@pytest.mark.skipif(
    not (REAL and (Path(REAL) / "mnist").is_dir()), reason="DUEL_DATA names no folder with MNIST"
)
def test_stacked_mnist_of_the_real_digits() -> None:
    data = StackedMnist(samples=1000).load()
    assert sizes(data) == [1000, 10_000, 10_000]
    test = data.splits["test"]
    assert test.labels is not None
    assert len(np.unique(test.labels)) > 990, "10,000 draws find nearly every mode"
    assert test.samples.max() == 255
