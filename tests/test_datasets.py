"""The contract of every data set, on made files, and on the real ones where $DUEL_DATA has them."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from made_files import (
    celeba_files,
    cifar_files,
    encoded,
    fill,
    flower_files,
    idx_gz,
    md5,
    noise,
    svhn_files,
    tar,
)
from pydantic import ValidationError

from duel.datasets import (
    _idx_set,
    celeba,
    cifar10,
    digits,
    fashion_mnist,
    flowers,
    mnist,
    stacked_mnist,
    svhn,
)
from duel.datasets._base import (
    SPLITS,
    Data,
    DataSet,
    Spec,
    Split,
    SplitName,
    fingerprint,
    fit_images,
    split_by_digest,
    split_by_hash,
)
from duel.datasets.celeba import Celeba
from duel.datasets.cifar10 import Cifar10
from duel.datasets.digits import Digits
from duel.datasets.fashion_mnist import FashionMnist
from duel.datasets.flowers import Flowers
from duel.datasets.folder import Folder
from duel.datasets.grid import Grid
from duel.datasets.hf import Hf
from duel.datasets.mnist import Mnist
from duel.datasets.ring import Ring
from duel.datasets.shards import Shards
from duel.datasets.stacked_mnist import StackedMnist
from duel.datasets.svhn import Svhn
from duel.errors import ChecksumError, DataError

REAL = os.environ.get("DUEL_DATA", "")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], DataSet]:
    """Every data set by name; the published ones read small files made in their formats."""
    monkeypatch.setenv("DUEL_DATA", str(tmp_path / "data"))
    return lambda name: _make(name, tmp_path, monkeypatch)


def _make(name: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> DataSet:
    if name == "folder":
        fill(place / "images/a", 30)
        return Folder(path=str(fill(place / "images/b", 30, first=30).parent), resolution=16)
    if name == "shards":
        pytest.importorskip("webdataset", reason="the extra duel[shards] is not installed")
        files = {f"{seed}.{key}": value for seed in range(60) for key, value in _sample(seed).items()}
        tar(place / "images/a.tar", files, "w")
        return Shards(pattern=str(place / "images/*.tar"), resolution=16)
    if name == "hf":
        pytest.importorskip("datasets", reason="the extra duel[hf] is not installed")
        fill(place / "images/a", 30)
        return Hf(source=str(fill(place / "images/b", 30, first=30).parent), resolution=16)
    if name in ("mnist", "fashion-mnist"):
        module = mnist if name == "mnist" else fashion_mnist
        monkeypatch.setattr(_idx_set, "_VALIDATION", 5)
        monkeypatch.setattr(module, "_PUBLISHED", _idx_files(module._PUBLISHED, place / "data" / name))
        return Mnist() if name == "mnist" else FashionMnist()
    if name == "cifar10":
        files = cifar_files(np.random.default_rng(1))
        monkeypatch.setattr(cifar10, "_MD5", {key: md5(content) for key, content in files.items()})
        (place / "data/cifar10").mkdir(parents=True, exist_ok=True)
        for key, content in files.items():
            (place / "data/cifar10" / key).write_bytes(content)
        return Cifar10()
    if name == "stacked-mnist":
        monkeypatch.setattr(_idx_set, "_VALIDATION", 5)
        monkeypatch.setattr(stacked_mnist, "_HELD_OUT", 10)
        made_here = _idx_files(stacked_mnist._PUBLISHED, place / "data/mnist")
        monkeypatch.setattr(stacked_mnist, "_PUBLISHED", made_here)
        return StackedMnist(samples=20)
    if name == "svhn":
        monkeypatch.setattr(svhn, "_VALIDATION", 5)
        _publish(svhn, svhn_files(), place / "data/svhn", monkeypatch)
        return Svhn()
    if name == "flowers":
        _publish(flowers, flower_files(), place / "data/flowers", monkeypatch)
        return Flowers()
    if name == "celeba":
        _publish(celeba, celeba_files(celeba._NAMES), place / "data/celeba", monkeypatch)
        return Celeba(attribute="Smiling")
    return {"digits": Digits, "ring": Ring, "grid": Grid}[name]()


def _sample(seed: int) -> dict[str, bytes]:
    return {"png": encoded(noise(seed), "PNG"), "cls": str(seed % 2).encode()}


def _publish(
    module: ModuleType, files: dict[str, bytes], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files, and their MD5s in place of the published ones."""
    monkeypatch.setattr(module, "_MD5", {name: md5(content) for name, content in files.items()})
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _idx_files(published: _idx_set.Published, folder: Path) -> _idx_set.Published:
    """30 training and 10 test images under the published names, and the description with their MD5s."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(2)
    sums = []
    for prefix, count in (("train", 30), ("t10k", 10)):
        images = idx_gz(rng.integers(256, size=(count, 28, 28), dtype=np.uint8))
        labels = idx_gz(rng.integers(10, size=count, dtype=np.uint8))
        (folder / f"{prefix}-images-idx3-ubyte.gz").write_bytes(images)
        (folder / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(labels)
        sums += [md5(images), md5(labels)]
    return dataclasses.replace(
        published, train_images=sums[0], train_labels=sums[1], test_images=sums[2], test_labels=sums[3]
    )


def check_contract(data: Data, name: str) -> None:
    own = name in ("folder", "shards", "hf")  # these go by their folder's name
    assert data.name == ("images" if own else name)
    assert tuple(data.splits) == SPLITS
    assert len(data.fingerprint) == 64
    for split in data.splits.values():
        assert len(split) > 0
        assert split.samples.shape == (len(split), *data.spec.shape)
        assert split.labels is not None
        assert split.labels.dtype == np.int64
        assert split.labels.shape == (len(split),)
        assert 0 <= split.labels.min() <= split.labels.max() < len(data.spec.classes)
        check_values(data.spec, split.samples)
    check_disjoint(data)


def check_values(spec: Spec, samples: np.ndarray) -> None:
    if spec.kind == "image":
        assert samples.dtype == np.uint8
        assert samples.ndim == 4
        assert samples.min() < 10, "black is 0"
        assert samples.max() > 245, "white is 255"
    else:
        assert samples.dtype == np.float32
        assert 0.7 < np.abs(samples).max() < 0.9, "room below 1 for tanh"


def check_disjoint(data: Data) -> None:
    contents = [{sample.tobytes() for sample in split.samples} for split in data.splits.values()]
    assert sum(map(len, contents)) == len(set.union(*contents))


NAMES = (
    *("digits", "mnist", "fashion-mnist", "stacked-mnist", "cifar10", "svhn", "flowers", "celeba"),
    *("folder", "shards", "hf", "ring", "grid"),
)


def test_every_data_set_is_tried() -> None:
    files = {path.stem.replace("_", "-") for path in Path(digits.__file__).parent.glob("[!_]*.py")}
    assert files == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_contract(made: Callable[[str], DataSet], name: str) -> None:
    check_contract(made(name).load(), name)


@pytest.mark.parametrize("name", NAMES)
def test_same_call_same_samples(made: Callable[[str], DataSet], name: str) -> None:
    data_set = made(name)
    one, two = data_set.load(), data_set.load()
    assert one.fingerprint == two.fingerprint
    assert one.spec == two.spec
    for split in SPLITS:
        np.testing.assert_array_equal(one.splits[split].samples, two.splits[split].samples)
        np.testing.assert_array_equal(one.splits[split].labels, two.splits[split].labels)


def test_fingerprints_differ_between_sets(made: Callable[[str], DataSet]) -> None:
    assert (
        len({made(name).load().fingerprint for name in ("digits", "mnist", "cifar10", "ring", "grid")}) == 5
    )


@pytest.mark.parametrize("name", ["digits", "mnist", "fashion-mnist", "stacked-mnist", "cifar10", "svhn"])
def test_resolution_and_fit_change_the_images(made: Callable[[str], DataSet], name: str) -> None:
    data_set = made(name)
    own = data_set.load()
    side = own.spec.shape[-1]
    resized = dataclasses.replace(data_set, resolution=side + 4).load()  # type: ignore[type-var]
    padded = dataclasses.replace(data_set, resolution=side + 4, fit="pad").load()  # type: ignore[type-var]
    assert resized.spec.shape == padded.spec.shape == (own.spec.shape[0], side + 4, side + 4)
    assert len({own.fingerprint, resized.fingerprint, padded.fingerprint}) == 3
    np.testing.assert_array_equal(
        padded.splits["train"].samples[:, :, 2:-2, 2:-2], own.splits["train"].samples
    )
    for split in SPLITS:
        np.testing.assert_array_equal(resized.splits[split].labels, own.splits[split].labels)


@pytest.mark.parametrize("resolution", [3, 1025])
def test_resolution_has_limits(resolution: int) -> None:
    with pytest.raises(ValidationError, match="allowed are 4 to 1024"):
        Digits(resolution=resolution)


def test_padding_does_not_cut() -> None:
    with pytest.raises(DataError, match="cannot be padded"):
        Digits(resolution=4, fit="pad").load()


def _points(change: Callable[[np.ndarray, np.ndarray], None] | None = None) -> dict[SplitName, Split]:
    splits: dict[SplitName, Split] = {}
    for name in SPLITS:
        splits[name] = Split(np.zeros((3, 2), np.float32), np.zeros(3, np.int64))
    if change is not None:
        samples, labels = splits["test"].samples, splits["test"].labels
        assert labels is not None
        change(samples, labels)
    return splits


def test_fingerprint_sees_every_sample_and_label() -> None:
    spec = Spec("points", (2,), ("a", "b"))
    own = fingerprint(spec, _points())
    assert own == fingerprint(spec, _points())
    assert own != fingerprint(spec, _points(lambda samples, _: samples.__setitem__((2, 1), 1)))
    assert own != fingerprint(spec, _points(lambda _, labels: labels.__setitem__(2, 1)))
    assert own != fingerprint(Spec("points", (2,), ("a", "c")), _points())


def test_split_by_hash() -> None:
    contents = [str(number).encode() for number in range(5000)]
    splits = split_by_hash([*contents, *contents])
    assert sorted(np.concatenate(list(splits.values())).tolist()) == list(range(10_000))
    for rows, share in zip(splits.values(), (0.8, 0.1, 0.1), strict=True):
        assert abs(len(rows) / 10_000 - share) < 0.02
        assert set(rows % 5000 + 5000) <= set(rows), "equal contents stay together"


def test_split_by_hash_moves_nothing_when_samples_are_added() -> None:
    contents = [str(number).encode() for number in range(200)]
    few, many = split_by_hash(contents[:100]), split_by_hash(contents)
    for name in SPLITS:
        assert many[name][many[name] < 100].tolist() == few[name].tolist()


def test_split_by_digest_reads_the_first_eight_bytes() -> None:
    digests = [number.to_bytes(8, "big") + bytes(24) for number in range(10)]
    splits = split_by_digest(digests)
    assert {name: rows.tolist() for name, rows in splits.items()} == {
        "train": [0, 1, 2, 3, 4, 5, 6, 7],
        "validation": [8],
        "test": [9],
    }


def test_resizing_is_lanczos_per_channel() -> None:
    step = np.zeros((1, 2, 8, 8), np.uint8)
    step[:, 0, :, 4:] = 200
    resized = fit_images(step, 16, "resize")
    assert resized[0, 0].max() > 200, "Lanczos overshoots at an edge"
    assert not resized[0, 1].any()


def test_digits_are_the_published_ones() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    published = datasets.load_digits()
    images, labels = digits._read()
    np.testing.assert_array_equal(images, published.images)
    np.testing.assert_array_equal(labels, published.target)


def test_digits_are_scaled_to_the_whole_range() -> None:
    scaled = digits._scaled(np.array([[[0, 1, 8, 16]]], np.uint8))
    assert scaled.tolist() == [[[[0, 16, 128, 255]]]]


def test_digits_have_all_1797_images() -> None:
    assert sum(len(split) for split in Digits().load().splits.values()) == 1797


def test_copies_of_a_digit_stay_together(monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = digits._read()
    monkeypatch.setattr(digits, "_read", lambda: (np.concatenate([images] * 2), np.concatenate([labels] * 2)))
    for split in Digits().load().splits.values():
        counts = np.unique([sample.tobytes() for sample in split.samples], return_counts=True)[1]
        assert set(counts) == {2}


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_validation_is_the_end_of_the_training_files(made: Callable[[str], DataSet], name: str) -> None:
    splits = made(name).load().splits
    assert [len(splits[split]) for split in SPLITS] == [25, 5, 10]
    rng = np.random.default_rng(2)
    images = rng.integers(256, size=(30, 28, 28), dtype=np.uint8)
    np.testing.assert_array_equal(splits["train"].samples[:, 0], images[:25])
    np.testing.assert_array_equal(splits["validation"].samples[:, 0], images[25:])


def test_another_content_than_the_published_is_refused(
    made: Callable[[str], DataSet], tmp_path: Path
) -> None:
    data_set = made("mnist")
    (tmp_path / "data/mnist/t10k-labels-idx1-ubyte.gz").write_bytes(idx_gz(np.zeros(10, np.uint8)))
    with pytest.raises(ChecksumError, match="t10k-labels"):
        data_set.load()


def test_a_published_file_of_another_format_is_named(
    made: Callable[[str], DataSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_set = made("mnist")
    (tmp_path / "data/mnist/t10k-labels-idx1-ubyte.gz").write_bytes(b"text")
    changed = dataclasses.replace(mnist._PUBLISHED, test_labels=md5(b"text"))
    monkeypatch.setattr(mnist, "_PUBLISHED", changed)
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte\.gz: the file starts with 74657874"):
        data_set.load()


def test_missing_files_say_where_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUEL_DATA", str(tmp_path))
    with pytest.raises(
        DataError, match=r"from http://fashion-mnist\.s3-website\.eu-central-1\.amazonaws\.com/train-im"
    ):
        FashionMnist().load()


@pytest.mark.parametrize(("points", "sigma", "scale"), [(Ring(), 0.02, 2.5), (Grid(), 0.05, 5.0)])
def test_points_lie_around_their_modes(points: Ring | Grid, sigma: float, scale: float) -> None:
    data, modes = points.load(), points.modes()
    assert data.spec.scale == modes.scale == scale
    assert modes.sigma == sigma
    for split in data.splits.values():
        away = split.samples.astype(float) * scale - modes.centres[split.labels]
        assert np.abs(away.mean(axis=0)).max() < 4 * sigma / np.sqrt(len(split))
        np.testing.assert_allclose(away.std(axis=0), sigma, rtol=0.04)
        counts = np.bincount(split.labels, minlength=len(modes.centres))
        expected = len(split) / len(modes.centres)
        assert np.abs(counts - expected).max() < 5 * np.sqrt(expected)


def test_ring_has_eight_modes_at_radius_two() -> None:
    centres = Ring().modes().centres
    np.testing.assert_allclose(np.hypot(*centres.T), 2)
    between = np.linalg.norm(centres - np.roll(centres, 1, axis=0), axis=1)
    np.testing.assert_allclose(between, 4 * np.sin(np.pi / 8))
    assert len(centres) == len(Ring().load().spec.classes) == 8


def test_grid_has_twenty_five_modes_two_apart() -> None:
    centres = Grid().modes().centres
    assert {tuple(centre) for centre in centres} == {
        (x, y) for x in (-4.0, -2.0, 0.0, 2.0, 4.0) for y in (-4.0, -2.0, 0.0, 2.0, 4.0)
    }
    assert len(Grid().load().spec.classes) == 25


@pytest.mark.parametrize("points", [Ring, Grid])
def test_samples_change_the_training_split_only(points: type[Ring | Grid]) -> None:
    few, many = points(samples=100).load(), points().load()
    assert [len(few.splits[name]) for name in SPLITS] == [100, 10_000, 10_000]
    assert [len(many.splits[name]) for name in SPLITS] == [50_000, 10_000, 10_000]
    np.testing.assert_array_equal(few.splits["test"].samples, many.splits["test"].samples)
    assert few.fingerprint != many.fingerprint


@pytest.mark.parametrize("samples", [0, 10_000_001])
def test_samples_have_limits(samples: int) -> None:
    with pytest.raises(ValidationError, match="1 to 10,000,000"):
        Ring(samples=samples)


def test_the_modes_travel_with_the_data() -> None:
    modes = Ring().load().modes
    assert modes is not None
    np.testing.assert_array_equal(modes.centres, Ring().modes().centres)
    assert Digits().load().modes is None


def test_importing_loads_neither_numpy_nor_pillow_nor_torch() -> None:
    modules = ", ".join(f"duel.datasets.{name.replace('-', '_')}" for name in NAMES)
    code = (
        f"import sys, {modules}, duel.datasets._check; print({{'numpy', 'PIL', 'torch'}} & set(sys.modules))"
    )
    root = Path(digits.__file__).parents[2]
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"


@pytest.mark.skipif(not REAL, reason="DUEL_DATA names no folder with the published files")
class TestReal:
    @pytest.mark.parametrize(
        ("data_set", "name", "counts"),
        [
            (Mnist(), "mnist", [55_000, 5_000, 10_000]),
            (FashionMnist(), "fashion-mnist", [55_000, 5_000, 10_000]),
            (Cifar10(batches=(1,)), "cifar10", [9_000, 1_000, 10_000]),
        ],
    )
    def test_contract(self, data_set: DataSet, name: str, counts: list[int]) -> None:
        data = data_set.load()
        check_contract(data, name)
        assert [len(data.splits[split]) for split in SPLITS] == counts

    def test_mnist_starts_with_a_five(self) -> None:
        train = Mnist().load().splits["train"]
        assert train.labels is not None
        assert train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]

    def test_cifar10_knows_its_classes(self) -> None:
        data = Cifar10(batches=(1,)).load()
        assert data.spec.classes == (
            *("airplane", "automobile", "bird", "cat", "deer"),
            *("dog", "frog", "horse", "ship", "truck"),
        )
        train = data.splits["train"]
        assert train.labels is not None
        assert train.labels[:3].tolist() == [6, 9, 9]
        # Red, green and blue of the first pixel of the first image (a frog).
        assert train.samples[0, :, 0, 0].tolist() == [59, 62, 63]
        assert "10,000 of its 50,000" in data.notes[0]
