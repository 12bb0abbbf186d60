"""The portrait of a data set: its numbers against NumPy on the whole array, its picture, its memory."""

from __future__ import annotations

import dataclasses
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from made_files import fill
from PIL import Image

from duel import pixelwise
from duel.datasets._base import Data, Spec, Split
from duel.datasets.folder import Folder
from duel.datasets.ring import Ring
from duel.errors import DataError, InputError
from duel.pixelwise import Moments, PixelByPixel, keys_of, measure
from duel.portrait import draw_apart, duplicates, image_facts, portrait


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def made_images(count: int, channels: int = 3, side: int = 6, seed: int = 0) -> np.ndarray:
    return rng(seed).integers(256, size=(count, channels, side, side), dtype=np.uint8)


def image_data(train: np.ndarray, validation: np.ndarray | None = None, labels: bool = True) -> Data:
    """A data set of two classes (a sample's label is whether its number is odd), or of none."""
    parts = {"train": train, "validation": train[:0] if validation is None else validation, "test": train[:0]}
    splits = {name: Split(part, np.arange(len(part)) % 2 if labels else None) for name, part in parts.items()}
    spec = Spec("image", train.shape[1:], ("even", "odd") if labels else ())
    return Data("made", spec, splits, "f" * 64)


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        picture.load()
        return picture.size


@pytest.fixture(params=[1, 3])
def images(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Images that pass by in several chunks, the last one short."""
    made = made_images(50, request.param)
    monkeypatch.setattr(pixelwise, "_CHUNK", 7 * made[0].nbytes)
    return made


def test_mean_and_variance_are_numpys_on_the_whole_array(images):
    measured = measure(images, rng(), 2)
    whole = images.astype(np.float64) / 255
    np.testing.assert_allclose(measured.mean, whole.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(measured.variance, whole.var(axis=0), rtol=1e-12)


def test_the_variance_does_not_cancel_beside_a_large_mean():
    """One value of 254 among 99,999 of 255; sums of squares would lose half of the digits."""
    moments = Moments((1, 1, 1))
    for start in range(0, 100_000, 1000):
        chunk = np.full((1000, 1, 1, 1), 255, np.uint8)
        chunk[0] -= start == 50_000
        moments.add(start, chunk)
    assert moments.variance().item() == pytest.approx(1e-5 * (1 - 1e-5), rel=1e-12)


def test_counts_are_those_of_every_value_at_its_place(images):
    measured = measure(images, rng(), 2)
    channels, height = images.shape[1:3]
    for c in range(channels):
        assert (measured.values[c] == np.bincount(images[:, c].ravel(), minlength=256)).all()
        for y in range(height):
            assert (measured.column[c, y] == np.bincount(images[:, c, y, 3], minlength=256)).all()
    y, x = measured.spot
    variance = images.astype(float).var(axis=0).sum(axis=0)
    assert variance[y, x] == variance.max()
    for c in range(channels):
        assert (measured.spot_values[c] == np.bincount(images[:, c, y, x], minlength=256)).all()


def test_the_numbers_are_numpys(images):
    facts = image_facts(measure(images, rng(), 2))
    whole = images.astype(np.float64) / 255
    assert facts["pixel_mean"] == pytest.approx(whole.mean())
    assert facts["pixel_std"] == pytest.approx(whole.std())
    assert facts["channel_mean"] == pytest.approx(whole.mean(axis=(0, 2, 3)))
    assert facts["channel_std"] == pytest.approx(whole.std(axis=(0, 2, 3)))
    assert facts["share_0"] == pytest.approx((images == 0).mean())
    assert facts["share_255"] == pytest.approx((images == 255).mean())
    assert facts["constant_channels"] == []


@pytest.mark.parametrize("chunk", [1, 1 << 22])
def test_pixel_by_pixel_keeps_each_pixel_and_destroys_what_pixels_have_in_common(chunk, monkeypatch):
    """Of three black images and a white one: a quarter of all pixels is white, neighbours do not agree."""
    monkeypatch.setattr(pixelwise, "_CHUNK", chunk)
    four = np.zeros((4, 1, 10, 10), np.uint8)
    four[2] = 255
    drawn = measure(four, rng(5), 400).drawn
    assert set(np.unique(drawn)) == {0, 255}
    white = drawn[:, 0] == 255
    # A share among 400 draws of 1/4 has σ 0.0217; five of them over 100 pixels is less than 1 in 10,000.
    assert (abs(white.mean(axis=0) - 0.25) < 5 * 0.0217).all()
    correlation = np.corrcoef(white[:, :, :-1].ravel(), white[:, :, 1:].ravel())[0, 1]
    assert abs(correlation) < 5 / np.sqrt(400 * 90)  # it is 1 in the real images


def test_pixel_by_pixel_takes_a_pixels_channels_together():
    """Red or cyan: no pixel is black or white."""
    two = np.zeros((2, 3, 4, 4), np.uint8)
    two[0, 0] = two[1, 1:] = 255
    drawn = measure(two, rng(), 20).drawn
    assert (drawn[:, 0] != drawn[:, 1]).all()
    assert (drawn[:, 1] == drawn[:, 2]).all()
    assert 0.2 < (drawn[:, 0] == 255).mean() < 0.8


def test_every_image_is_chosen_equally_often():
    numbers = np.arange(8, dtype=np.uint8).reshape(8, 1, 1, 1) * np.ones((1, 1, 20, 20), np.uint8)
    part = PixelByPixel(20, 8, (1, 20, 20), rng(1))
    for start in range(0, 8, 3):
        part.add(start, numbers[start : start + 3])
    counts = np.bincount(part.images.ravel(), minlength=8)
    assert (abs(counts - 1000) < 5 * np.sqrt(1000)).all()


def test_duplicates_are_counted_within_train_and_across_splits():
    train = made_images(6)
    train[3] = train[4] = train[0]
    validation = np.concatenate([train[:1], train[5:], made_images(2, seed=1)])
    test = np.concatenate([validation[2:], train[1:2]])
    assert duplicates(keys_of(train), keys_of(validation), keys_of(test)) == {
        "within_train": 2,
        "validation_in_train": 2,
        "test_in_train": 1,
        "test_in_validation": 2,
    }


def test_keys_differ_exactly_where_samples_do():
    many = made_images(300, 1, 4)
    many[7] = many[211]
    assert len(np.unique(keys_of(many))) == 299
    assert keys_of(many)[7] == keys_of(many)[211]
    assert keys_of(many[:0]).shape == (0,)


def test_a_constant_channel_is_found():
    train = made_images(20)
    train[:, 1] = 128
    facts = image_facts(measure(train, rng(), 1))
    assert facts["constant_channels"] == [1]
    assert facts["channel_std"][1] == 0


def test_points_keep_their_coordinates_and_lose_what_they_have_in_common():
    """On the diagonal x = y the drawn coordinates are those of the data, but uncorrelated."""
    line = np.linspace(-1, 1, 1000, dtype=np.float32)
    drawn = draw_apart(np.stack([line, line], axis=1), 4000, rng(2))
    assert set(drawn.ravel()) <= set(line)
    assert abs(drawn.mean(axis=0)).max() < 5 * 0.577 / np.sqrt(4000)
    assert drawn.std(axis=0) == pytest.approx([0.577, 0.577], rel=0.05)
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 5 / np.sqrt(4000)


def test_the_portrait_of_points(tmp_path):
    data = Ring(samples=3000).load()
    facts = portrait(data, tmp_path / "ring.png")
    points = data.splits["train"].samples.astype(np.float64) * 2.5
    assert facts["mean"] == pytest.approx(points.mean(axis=0), abs=1e-6)
    assert facts["std"] == pytest.approx(points.std(axis=0), rel=1e-6)
    assert sum(row["train"] for row in facts["classes"].values()) == 3000
    assert size_of(tmp_path / "ring.png") == (1400, 1800)


def test_the_numbers_are_json_and_name_what_they_are_of(tmp_path):
    train, validation = made_images(9), made_images(2, seed=1)
    data = dataclasses.replace(image_data(train, validation), notes=("A note.",), skipped=(("a.png", "bad"),))
    facts = portrait(data, tmp_path / "new" / "a.png")
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    expected = {
        "name": "made",
        "fingerprint": "f" * 64,
        "kind": "image",
        "shape": [3, 6, 6],
        "splits": {"train": 9, "validation": 2, "test": 0},
        "classes": {
            "even": {"train": 5, "validation": 1, "test": 0},
            "odd": {"train": 4, "validation": 1, "test": 0},
        },
        "notes": ["A note."],
        "skipped": 1,
        "picture": str(tmp_path / "new" / "a.png"),
    }
    assert {key: facts[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("train", "labels"),
    [
        (made_images(1, 1), True),
        (made_images(1, 3), False),
        (np.zeros((40, 1, 4, 4), np.uint8), False),
        (np.full((40, 3, 4, 4), 255, np.uint8), True),
    ],
    ids=["one grey image and a class without any", "one colour image", "all black", "all white"],
)
def test_the_picture_has_its_size_and_gives_no_warning_for_odd_data(train, labels, tmp_path):
    portrait(image_data(train, labels=labels), tmp_path / "a.png")
    assert size_of(tmp_path / "a.png") == (1400, 1800)


def test_the_picture_copes_with_many_classes_of_any_name(tmp_path):
    data = image_data(made_images(150, 1, 200 // 8))
    labels = np.arange(150) % 100
    names = tuple(["$x_$", "日本", "new\nline", "a" * 300] + [f"class {k}" for k in range(96)])
    data = dataclasses.replace(data, spec=Spec("image", (1, 25, 25), names))
    data.splits["train"] = Split(data.splits["train"].samples, labels)
    facts = portrait(data, tmp_path / "a.png")
    assert facts["classes"]["日本"]["train"] == 2
    assert size_of(tmp_path / "a.png") == (1400, 1800)


def test_same_seed_same_bytes_another_seed_other_samples(tmp_path):
    data = image_data(made_images(200))
    facts = [portrait(data, tmp_path / f"{k}.png", seed) for k, seed in enumerate((3, 3, 4))]
    first, again, other = ((tmp_path / f"{k}.png").read_bytes() for k in range(3))
    assert first == again
    assert first != other
    assert facts[0] | {"picture": ""} == facts[2] | {"picture": ""}


def test_memory_does_not_grow_with_a_mapped_folder(tmp_path, monkeypatch):
    """Four times the images, the same peak (but for 8 bytes of key per image), far below their size."""
    monkeypatch.setattr(pixelwise, "_CHUNK", 1 << 16)

    def peak(count: int) -> int:
        path = tmp_path / f"{count}.npy"
        np.save(path, made_images(count, 3, 32))
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        tracemalloc.start()
        measure(mapped, rng(), 4)
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    small, large = peak(1000), peak(4000)
    assert large < small + 3000 * 32
    assert large < 4000 * 3072 / 3


def test_the_portrait_of_a_folder(tmp_path):
    fill(tmp_path / "images/a", 25)
    fill(tmp_path / "images/b", 25, first=25)
    facts = portrait(Folder(path=str(tmp_path / "images"), resolution=8).load(), tmp_path / "out.png")
    assert sum(facts["splits"].values()) == 50
    assert facts["duplicates"]["within_train"] == 0


def test_wrong_input_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"give FILE\.png"):
        portrait(image_data(made_images(3)), tmp_path / "a.pdf")
    with pytest.raises(DataError, match="at least 1 sample"):
        portrait(image_data(made_images(3)[:0]), tmp_path / "a.png")
    assert not list(Path(tmp_path).iterdir())
