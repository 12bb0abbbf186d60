"""Folders of images: what each kind of file becomes, what is refused and said, what the cache does."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_files import fill, noise
from PIL import Image, ImageOps
from pydantic import ValidationError

from duel.datasets import _images, _scan, folder
from duel.datasets._base import SPLITS, Data
from duel.datasets._check import check_folder
from duel.datasets._images import decode, pixels
from duel.datasets.folder import Folder
from duel.errors import DataError


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """40 RGB images in a flat folder."""
    return fill(tmp_path / "images", 40)


def load(path: Path, resolution: int = 8, **options: Any) -> Data:
    return Folder(path=str(path), resolution=resolution, **options).load()


def all_samples(data: Data) -> np.ndarray:
    return np.concatenate([data.splits[name].samples for name in SPLITS])


def skipped(data: Data) -> dict[str, str]:
    return dict(data.skipped)


def test_a_flat_folder_has_no_labels(images: Path) -> None:
    data = load(images)
    assert data.spec.kind == "image"
    assert data.spec.shape == (3, 8, 8)
    assert data.spec.classes == ()
    assert all(split.labels is None for split in data.splits.values())
    assert sum(len(split) for split in data.splits.values()) == 40
    assert data.skipped == ()


def test_the_default_resolution_is_64(images: Path) -> None:
    assert Folder(path=str(images)).load().spec.shape == (3, 64, 64)


def test_the_centre_square_is_resized_with_lanczos(tmp_path: Path) -> None:
    source = noise(0, size=(20, 16))
    fill(tmp_path, 0)
    source.save(tmp_path / "a.png")
    got = pixels(decode(tmp_path / "a.png").square, 8)
    expected = source.crop((2, 0, 18, 16)).resize((8, 8), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(got, np.asarray(expected).transpose(2, 0, 1))


def test_what_is_loaded_is_what_each_file_decodes_to(images: Path) -> None:
    expected = {pixels(decode(path).square, 8).tobytes() for path in images.iterdir()}
    assert {sample.tobytes() for sample in all_samples(load(images))} == expected


def test_sub_folders_are_sorted_classes(tmp_path: Path) -> None:
    for number, name in enumerate(["zebra", "ant", "Mole", "ñandú 鳥"]):
        fill(tmp_path / name / ("deeper/still" if number % 2 else ""), 20, first=20 * number)
    data = load(tmp_path)
    assert data.spec.classes == ("Mole", "ant", "zebra", "ñandú 鳥")
    by_class = {
        pixels(decode(path).square, 8).tobytes(): path.relative_to(tmp_path).parts[0]
        for path in tmp_path.rglob("*.png")
    }
    for split in data.splits.values():
        assert split.labels is not None
        named = [data.spec.classes[label] for label in split.labels]
        assert named == [by_class[sample.tobytes()] for sample in split.samples]


def test_a_sub_folder_without_images_is_no_class(tmp_path: Path) -> None:
    fill(tmp_path / "a", 20)
    (tmp_path / "b").mkdir()
    (tmp_path / "c").mkdir()
    (tmp_path / "c/notes.txt").write_text("no image")
    (tmp_path / "README.txt").write_text("no image in the root")
    assert load(tmp_path).spec.classes == ("a",)


@pytest.mark.parametrize("call", [lambda path: load(Path(path)), check_folder])
def test_a_mixture_is_refused(images: Path, call: Callable[[str], object], own_cache: Path) -> None:
    fill(images / "b", 2, first=50)
    fill(images / "a", 2, first=60)
    with pytest.raises(DataError, match=r"both itself \(40, such as 000\.png\) and in sub-folders \(a, b\)"):
        call(str(images))
    assert list(own_cache.rglob("*.npy")) == []
    assert list(own_cache.rglob(".part-*")) == []


def decoded(path: Path) -> np.ndarray:
    return np.asarray(decode(path).square)


SQUARE = noise(7, size=(6, 6))


def test_palette_becomes_rgb(tmp_path: Path) -> None:
    paletted = SQUARE.quantize(256)
    paletted.save(tmp_path / "a.png")
    np.testing.assert_array_equal(decoded(tmp_path / "a.png"), np.asarray(paletted.convert("RGB")))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_laid_on_white(tmp_path: Path, mode: str) -> None:
    image = Image.new(mode, (2, 2), (0,) * len(mode))
    image.putpixel((0, 0), (*[100] * (len(mode) - 1), 255))
    image.putpixel((1, 0), (*[100] * (len(mode) - 1), 51))
    image.save(tmp_path / "a.png")
    got = decoded(tmp_path / "a.png")
    assert got.shape == ((2, 2, 3) if mode == "RGBA" else (2, 2))
    assert got.reshape(4, -1)[:, 0].tolist() == [100, 224, 255, 255]


def test_a_transparent_palette_entry_is_white(tmp_path: Path) -> None:
    image = Image.new("P", (2, 2), 0)
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((0, 0), 1)
    image.save(tmp_path / "a.png", transparency=0)
    assert decoded(tmp_path / "a.png").reshape(4, 3).tolist() == [[40, 50, 60]] + [[255, 255, 255]] * 3


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (255, 0, 0, 0)).save(tmp_path / "a.jpg", quality=100)
    red, green, blue = decoded(tmp_path / "a.jpg")[4, 4].tolist()
    assert red < 10
    assert green > 245
    assert blue > 245


def test_one_bit_becomes_black_and_white(tmp_path: Path) -> None:
    image = Image.new("1", (2, 2), 0)
    image.putpixel((0, 1), 1)
    image.save(tmp_path / "a.png")
    assert decoded(tmp_path / "a.png").tolist() == [[0, 0], [255, 0]]


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
def test_sixteen_bit_grey_is_scaled(tmp_path: Path, name: str) -> None:
    values = np.array([[0, 257], [12850, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / name)
    assert decoded(tmp_path / name).tolist() == [[0, 1], [50, 255]]
    assert _images.is_grey(decode(tmp_path / name).mode)


def test_thirty_two_bit_grey_beyond_sixteen_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 65535], [1, 2]], np.int32)).save(tmp_path / "a.tif")
    Image.fromarray(np.array([[0, 65536], [1, 2]], np.int32)).save(tmp_path / "b.tif")
    assert decoded(tmp_path / "a.tif").max() == 255
    with pytest.raises(DataError, match="outside 0 to 65535"):
        decode(tmp_path / "b.tif")


def test_floating_point_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match="floating-point"):
        decode(tmp_path / "a.tif")


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
def test_the_first_frame_of_an_animation(tmp_path: Path, name: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], lossless=True)
    assert decoded(tmp_path / name)[4, 4].tolist() == [255, 0, 0]


@pytest.mark.parametrize(("orientation", "corner"), [(1, (0, 0)), (3, (-1, -1)), (6, (0, -1)), (8, (-1, 0))])
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
def test_exif_orientation_is_obeyed(
    tmp_path: Path, name: str, orientation: int, corner: tuple[int, int]
) -> None:
    image = Image.new("L", (32, 32), 0)
    image.paste(255, (0, 0, 8, 8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / name, exif=exif, quality=100)
    square = decoded(tmp_path / name)
    corners = {place: int(square[place].min()) for place in [(0, 0), (0, -1), (-1, 0), (-1, -1)]}
    assert [place for place, value in corners.items() if value > 200] == [corner]


def test_a_turned_oblong_image_is_cropped_upright(tmp_path: Path) -> None:
    image = Image.new("L", (40, 20), 0)
    image.paste(255, (0, 0, 10, 20))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.png", exif=exif)
    found = decode(tmp_path / "a.png")
    assert found.size == (40, 20)
    assert found.square.size == (20, 20)
    assert not np.asarray(found.square).any(), "the white end lies outside the centre"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_image_equals_the_upright_one(tmp_path: Path, orientation: int) -> None:
    """To the pixel, where the centre square lies between two places."""
    image, exif = noise(0, size=(21, 16)), Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as turned:
        ImageOps.exif_transpose(turned).save(tmp_path / "b.png")
    np.testing.assert_array_equal(decoded(tmp_path / "a.png"), decoded(tmp_path / "b.png"))


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.bmp", "a.gif", "a.tif", "a.ppm"])
def test_the_listed_types_are_read(tmp_path: Path, name: str) -> None:
    noise(0).save(tmp_path / name)
    assert decode(tmp_path / name).square.size == (16, 16)


@pytest.mark.parametrize("name", ["a.ico", "a.tga", "a.pcx", "a.eps", "a.jp2"])
def test_other_types_are_not(tmp_path: Path, name: str) -> None:
    noise(0, size=(16, 16)).save(tmp_path / name)
    with pytest.raises(DataError, match="no image of a known type"):
        decode(tmp_path / name)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16"])
def test_all_grey_gives_one_channel(tmp_path: Path, mode: str) -> None:
    fill(tmp_path, 20, "L")
    Image.fromarray(np.full((8, 8), 257 * 9, np.uint16)).convert("I;16").save(tmp_path / "x.png")
    if mode != "I;16":
        noise(99, mode).save(tmp_path / "x.png")
    data = load(tmp_path)
    assert data.spec.shape == (1, 8, 8)
    expected = {pixels(decode(path).square, 8)[:1].tobytes() for path in tmp_path.iterdir()}
    assert {sample.tobytes() for sample in all_samples(data)} == expected


def test_one_coloured_image_makes_all_rgb(tmp_path: Path) -> None:
    fill(tmp_path, 20, "L")
    noise(30).save(tmp_path / "colour.png")
    data = load(tmp_path)
    assert data.spec.shape == (3, 8, 8)
    grey = [sample for sample in all_samples(data) if (sample[0] == sample[1]).all()]
    assert len(grey) == 20


def test_a_broken_coloured_image_does_not_make_all_rgb(tmp_path: Path) -> None:
    fill(tmp_path, 20, "L")
    noise(30).save(tmp_path / "x.png")
    (tmp_path / "x.png").write_bytes((tmp_path / "x.png").read_bytes()[:200])
    assert load(tmp_path).spec.shape == (1, 8, 8)


def bad_files(place: Path) -> dict[str, str]:
    """One file of each unusable kind, with a part of the reason that is expected."""
    for name in ("cut.png", "cut.jpg"):
        noise(1, size=(64, 64)).save(place / name)
        (place / name).write_bytes((place / name).read_bytes()[:-400])
    (place / "empty.png").write_bytes(b"")
    (place / "text.png").write_text("not an image")
    (place / "film.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    noise(2, size=(1, 9)).save(place / "thin.png")
    (place / "dangling.png").symlink_to(place / "nowhere.png")
    os.mkfifo(place / "pipe.png")
    (place / ".hidden.png").write_bytes((place / "thin.png").read_bytes())
    return {
        "cut.png": "damaged",
        "cut.jpg": "damaged",
        "empty.png": "empty: zero bytes",
        "text.png": "no image of a known type",
        "film.mp4": "no image of a known type",
        "thin.png": "too small: 1×9",
        "dangling.png": "cannot be read",
        "pipe.png": "not a regular file",
        ".hidden.png": "hidden file",
    }


def test_bad_files_are_listed_with_reasons(images: Path) -> None:
    expected = bad_files(images)
    data = load(images)
    assert sum(len(split) for split in data.splits.values()) == 40
    assert set(skipped(data)) == set(expected)
    for name, reason in expected.items():
        assert reason in skipped(data)[name]
        assert "\n" not in skipped(data)[name]
    assert load(images).skipped == data.skipped, "from the cache too"


@pytest.mark.parametrize("width", [25, 40], ids=["ours", "pillows"])
def test_decompression_bombs_are_refused(images: Path, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Pillow raises above twice its own limit; the other images have 320 pixels."""
    noise(50, size=(width, 20)).save(images / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 320)
    monkeypatch.setattr(_images, "MAX_PIXELS", 320)
    data = load(images)
    assert skipped(data) == {"bomb.png": "too large: more than 320 pixels"}


def test_on_bad_fail_names_the_first_three_and_counts_the_rest(images: Path) -> None:
    bad = bad_files(images)
    with pytest.raises(
        DataError,
        match=rf"cut\.jpg cannot be used \(damaged.*, cut\.png .*, .*and {len(bad) - 4} other files",
    ):
        load(images, on_bad="fail")
    load(images)
    with pytest.raises(DataError, match=r"cut\.jpg"):
        load(images, on_bad="fail")


def test_on_bad_fail_minds_neither_hidden_files_nor_linked_folders(images: Path, tmp_path: Path) -> None:
    (images / ".DS_Store").write_bytes(b"x")
    (images / "link").symlink_to(fill(tmp_path / "elsewhere", 1))
    assert set(skipped(load(images, on_bad="fail"))) == {".DS_Store", "link"}


def test_folders_that_are_not_entered_are_listed(images: Path, tmp_path: Path) -> None:
    fill(images / ".thumbnails", 2, first=70)
    (images / "linked").symlink_to(fill(tmp_path / "elsewhere", 2, first=80))
    (images / "loop").symlink_to(images)
    assert skipped(load(images)) == {
        ".thumbnails": "hidden folder",
        "linked": "link to a folder, not followed",
        "loop": "link to a folder, not followed",
    }


def test_a_link_to_a_file_is_read(images: Path, tmp_path: Path) -> None:
    fill(tmp_path / "elsewhere", 1, first=90)
    (images / "link.png").symlink_to(tmp_path / "elsewhere/090.png")
    assert len(all_samples(load(images))) == 41


def refuse(path: Path, call: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(target: Any, *rest: Any) -> Any:
        if os.fspath(target) == os.fspath(path):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return call(target, *rest)

    return guarded


def test_unreadable_files_are_listed(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_scan.io, "file_digest", refuse(images / "003.png", _scan.io.file_digest))
    assert skipped(load(images)) == {"003.png": "cannot be read: Permission denied"}


def test_unreadable_folders_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "a", 20)
    fill(tmp_path / "b", 2, first=30)
    monkeypatch.setattr(os, "scandir", refuse(tmp_path / "b", os.scandir))
    assert skipped(load(tmp_path)) == {"b": "cannot be read: Permission denied"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_permissions_are_respected(images: Path) -> None:
    (images / "003.png").chmod(0)
    assert "cannot be read" in skipped(load(images))["003.png"]


def test_a_missing_path(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere does not exist"):
        load(tmp_path / "nowhere")


def test_a_file_is_no_folder(images: Path) -> None:
    with pytest.raises(DataError, match=r"000\.png is no folder"):
        load(images / "000.png")


@pytest.mark.parametrize("call", [lambda path: load(Path(path)), check_folder])
def test_an_empty_folder(tmp_path: Path, call: Callable[[str], object]) -> None:
    (tmp_path / "sub").mkdir()
    with pytest.raises(DataError, match="holds no files"):
        call(str(tmp_path))


def test_a_folder_of_broken_images_only(tmp_path: Path, own_cache: Path) -> None:
    (tmp_path / "a.png").write_text("text")
    with pytest.raises(DataError, match=r"no usable image: a\.png cannot be used \(no image of a known type"):
        load(tmp_path)
    (tmp_path / "a.png").unlink()
    (tmp_path / "b.png").symlink_to("nowhere")
    with pytest.raises(DataError, match=r"no usable image: b\.png cannot be used \(cannot be read"):
        load(tmp_path)
    assert list(own_cache.rglob("*.npy")) == []


def test_too_few_images_to_train_on(tmp_path: Path) -> None:
    for seed in range(100):
        noise(seed).save(tmp_path / "one.png")
        if int(_scan.io.file_digest(tmp_path / "one.png")[:16], 16) % 10 == 9:
            break
    with pytest.raises(DataError, match="1 usable images, of which none falls into the training split"):
        load(tmp_path)


def test_padding_is_no_option(images: Path) -> None:
    with pytest.raises(ValidationError, match="fit"):
        load(images, fit="pad")


def test_duplicates_stay_together(tmp_path: Path) -> None:
    fill(tmp_path / "a", 60)
    fill(tmp_path / "b", 60)
    data = load(tmp_path)
    for split in data.splits.values():
        counts = np.unique([sample.tobytes() for sample in split.samples], return_counts=True)[1]
        assert set(counts) == {2}
    assert all(len(split) for split in data.splits.values())


def test_the_cache_is_used(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(images)

    def fail(path: Path) -> None:
        raise AssertionError(f"{path} is decoded again")

    monkeypatch.setattr(_scan, "decode", fail)
    second = load(images)
    np.testing.assert_array_equal(all_samples(first), all_samples(second))
    assert isinstance(second.splits["train"].samples, np.memmap)
    with pytest.raises(AssertionError, match="decoded again"):
        load(images, resolution=16)


@pytest.mark.parametrize(
    "change", ["content", "name", "class", "classes", "added", "removed", "resolution", "version"]
)
def test_the_fingerprint_sees_every_change(
    tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "a", 20)
    fill(tmp_path / "b", 20, first=20)
    before = load(tmp_path).fingerprint
    if change == "content":
        noise(99).save(tmp_path / "a/000.png")
    elif change == "name":
        (tmp_path / "a/000.png").rename(tmp_path / "a/zzz.png")
    elif change == "class":
        (tmp_path / "a/000.png").rename(tmp_path / "b/000.png")
    elif change == "classes":
        (tmp_path / "a").rename(tmp_path / "aa")  # which leaves the order of the files
    elif change == "added":
        noise(99).save(tmp_path / "a/zzz.png")
    elif change == "removed":
        (tmp_path / "a/000.png").unlink()
    elif change == "version":
        monkeypatch.setattr(folder, "_VERSION", 99)
    assert load(tmp_path, resolution=16 if change == "resolution" else 8).fingerprint != before


def test_the_fingerprint_is_the_contents_not_the_places(images: Path, tmp_path: Path) -> None:
    before = load(images).fingerprint
    assert load(images.rename(tmp_path / "elsewhere")).fingerprint == before


@pytest.mark.parametrize("name", ["images.npy", "index.json"])
@pytest.mark.parametrize("damage", ["cut", "removed"])
def test_a_damaged_cache_is_made_again(images: Path, own_cache: Path, name: str, damage: str) -> None:
    before = all_samples(load(images)).copy()
    (file,) = own_cache.rglob(name)
    if damage == "cut":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    else:
        file.unlink()
    np.testing.assert_array_equal(all_samples(load(images)), before)


def test_the_cache_holds_finished_folders_only(images: Path, own_cache: Path) -> None:
    data = load(images)
    (kept,) = (own_cache / "duel/folders").iterdir()
    assert kept.name == data.fingerprint
    assert sorted(path.name for path in kept.iterdir()) == ["images.npy", "index.json"]
    assert json.loads((kept / "index.json").read_text())["format"] == 1


def test_an_interrupted_decoding_leaves_nothing(
    images: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(folder, "_copy", interrupt)
        with pytest.raises(KeyboardInterrupt):
            load(images)
    assert list((own_cache / "duel/folders").iterdir()) == []
    assert len(all_samples(load(images))) == 40


def test_what_another_process_made_meanwhile_stays(
    images: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its memory maps are in use."""
    write = folder._write
    others: list[int] = []

    def raced(*arguments: Any) -> None:
        write(*arguments)
        if not others:
            others.append(0)
            place = own_cache / "duel/folders" / load(images).fingerprint
            others[0] = (place / "images.npy").stat().st_ino

    monkeypatch.setattr(folder, "_write", raced)
    load(images)
    (left,) = own_cache.rglob("images.npy")
    assert left.stat().st_ino == others[0]


def test_a_cache_that_cannot_be_written(images: Path, own_cache: Path) -> None:
    (own_cache / "duel").write_text("a file where the cache should be")
    with pytest.raises(DataError, match="set XDG_CACHE_HOME to another folder"):
        load(images)


def test_names_of_any_bytes(images: Path) -> None:
    odd = [b"\xff\xfe.png", "sch\u00f6n \u732b.png".encode(), b"new\nline.png", b"%s{}.png"]
    for number, name in enumerate(odd):
        noise(50 + number).save(images / "new.png")
        (images / "new.png").rename(os.fsdecode(os.fsencode(images) + b"/" + name))
    (images / os.fsdecode(b"bad\xff.png")).write_text("text")
    first, second = load(images), load(images)
    assert len(all_samples(first)) == 44
    assert list(skipped(first)) == list(skipped(second)) == [os.fsdecode(b"bad\xff.png")]


def test_home_is_expanded(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(images.parent))
    assert len(all_samples(load(Path("~/images")))) == 40


def test_pillows_warnings_do_not_come_through(tmp_path: Path) -> None:
    """Warnings are errors here, and Pillow warns of metadata that are cut."""
    exif = Image.Exif()
    exif[0x010E] = "a description that is cut"
    noise(0).save(tmp_path / "a.jpg", exif=exif.tobytes()[:-12])
    with pytest.warns(UserWarning, match=r"Truncated|EXIF"), Image.open(tmp_path / "a.jpg"):
        pass
    assert decode(tmp_path / "a.jpg").size == (20, 16)


def test_check_reports(tmp_path: Path) -> None:
    fill(tmp_path / "a", 3)
    fill(tmp_path / "b", 2)
    noise(9, "L", (8, 8)).save(tmp_path / "b/grey.png")
    (tmp_path / "b/text.png").write_text("text")
    (tmp_path / "b/.hidden").write_text("text")
    report = check_folder(str(tmp_path))
    assert report.usable == 6
    assert [name for name, _ in report.bad] == ["b/text.png"]
    assert report.ignored == (("b/.hidden", "hidden file"),)
    assert report.sizes == {"20×16": 5, "8×8": 1}
    assert report.modes == {"RGB": 5, "L": 1}
    assert report.classes == {"a": 3, "b": 3}
    assert report.duplicates == (("a/000.png", "b/000.png"), ("a/001.png", "b/001.png"))
    told = json.loads(json.dumps(report.to_dict()))
    assert told["bad"][0]["file"] == "b/text.png"
    assert told["duplicates"] == [["a/000.png", "b/000.png"], ["a/001.png", "b/001.png"]]
    assert told["sizes"] == {"20×16": 5, "8×8": 1}


def test_check_agrees_with_loading(images: Path, own_cache: Path) -> None:
    bad_files(images)
    report = check_folder(str(images))
    assert list(own_cache.rglob("*.npy")) == [], "checking writes nothing"
    data = load(images)
    assert report.usable == len(all_samples(data))
    assert report.bad + report.ignored == data.skipped
    assert report.classes == {}


def test_check_of_broken_images_only_is_a_report(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("text")
    report = check_folder(str(tmp_path))
    assert report.usable == 0
    assert [name for name, _ in report.bad] == ["a.png"]
