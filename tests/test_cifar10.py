"""CIFAR-10 from small files in its format; where they are found and what is said when they are not."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from made_files import cifar_files, md5, tar
from pydantic import ValidationError

from duel.datasets import cifar10
from duel.datasets.cifar10 import Cifar10
from duel.errors import ChecksumError, DataError


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, bytes]:
    """Small files whose MD5s are the expected ones; $DUEL_DATA is `tmp_path`."""
    made = cifar_files(np.random.default_rng(0))
    monkeypatch.setattr(cifar10, "_MD5", {name: md5(content) for name, content in made.items()})
    monkeypatch.setenv("DUEL_DATA", str(tmp_path))
    return made


def put(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def only(files: dict[str, bytes], *batches: int) -> dict[str, bytes]:
    kept = {f"data_batch_{number}" for number in batches} | {"test_batch", "batches.meta"}
    return {name: content for name, content in files.items() if name in kept}


def test_all_batches_in_order(files: dict[str, bytes], tmp_path: Path) -> None:
    put(tmp_path / "cifar10/below/cifar-10-batches-py", files)
    data = Cifar10().load()
    assert {name: len(split) for name, split in data.splits.items()} == {
        "train": 90,
        "validation": 10,
        "test": 20,
    }
    assert data.spec.classes == tuple(f"class {number}" for number in range(10))
    assert data.notes == ()
    expected = np.random.default_rng(0).integers(256, size=(20, 3, 32, 32), dtype=np.uint8)
    np.testing.assert_array_equal(data.splits["train"].samples[:20], expected)


@pytest.mark.parametrize(("name", "mode"), [("a.tar.gz", "w:gz"), ("b.tar.xz", "w:xz"), ("c.tar", "w")])
def test_any_tar_gives_the_same_data(files: dict[str, bytes], tmp_path: Path, name: str, mode: str) -> None:
    put(tmp_path / "cifar10", files)
    loose = Cifar10().load()
    for file in (tmp_path / "cifar10").iterdir():
        file.unlink()
    tar(tmp_path / "cifar10" / name, {f"some/place/{key}": value for key, value in files.items()}, mode)
    assert Cifar10().load().fingerprint == loose.fingerprint
    assert [path.name for path in (tmp_path / "cifar10").iterdir()] == [name], "nothing is extracted"


def test_found_in_the_cache(files: dict[str, bytes], own_cache: Path) -> None:
    put(own_cache / "duel/data/cifar10", files)
    assert len(Cifar10().load().splits["train"]) == 90


def test_a_subset_says_so(files: dict[str, bytes], tmp_path: Path) -> None:
    put(tmp_path / "cifar10", only(files, 2, 4))
    data = Cifar10(batches=(4, 2)).load()
    assert len(data.splits["train"]) == 36
    assert data.notes == (
        "trained on a part of CIFAR-10: 40 of its 50,000 training images (data.batches = [2, 4]), "
        "of which 4 are kept for validation",
    )
    assert Cifar10(batches=(2, 4)).load().fingerprint == data.fingerprint


def test_missing_batches_are_named(files: dict[str, bytes], tmp_path: Path, own_cache: Path) -> None:
    put(tmp_path / "cifar10", only(files, 1, 3))
    with pytest.raises(DataError) as caught:
        Cifar10(batches=(1, 2, 3, 5)).load()
    message = str(caught.value)
    assert "needs data_batch_2, data_batch_5," in message
    assert str(tmp_path / "cifar10") in message
    assert str(own_cache / "duel/data/cifar10") in message
    assert "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz" in message
    assert "c58f30108f718f92721af3b95e74349a" in message
    assert "data.batches=[1, 3]" in message


def test_nothing_found_and_no_network(files: dict[str, bytes]) -> None:
    with pytest.raises(DataError, match="could not be downloaded"):
        Cifar10().load()


def test_nothing_found_is_downloaded_once(
    files: dict[str, bytes], own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def download(url: str, path: Path, md5: str) -> Path:
        asked.append(url)
        tar(path, files)
        return path

    monkeypatch.setattr("duel.io.download", download)
    assert Cifar10().load().fingerprint == Cifar10().load().fingerprint
    assert asked == ["https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"]


@pytest.mark.parametrize("packed", [False, True])
def test_another_content_is_refused(files: dict[str, bytes], tmp_path: Path, packed: bool) -> None:
    changed = files | {"data_batch_3": files["data_batch_3"][:-1] + b"!"}
    if packed:
        tar(tmp_path / "cifar10/c.tar", changed, "w")
    else:
        put(tmp_path / "cifar10", changed)
    with pytest.raises(ChecksumError, match=r"data_batch_3 in .* has the MD5"):
        Cifar10().load()
    assert len(Cifar10(batches=(1,)).load().splits["train"]) == 18, "the others are usable"


def test_a_cut_tar_is_refused(files: dict[str, bytes], tmp_path: Path) -> None:
    tar(tmp_path / "cifar10/c.tar.gz", files)
    whole = (tmp_path / "cifar10/c.tar.gz").read_bytes()
    (tmp_path / "cifar10/c.tar.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"c\.tar\.gz cannot be read"):
        Cifar10().load()


def test_only_regular_files_of_a_plausible_size_count(
    files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cifar10, "_MAX_BYTES", 100_000)
    (tmp_path / "cifar10").mkdir()
    with tarfile.open(tmp_path / "cifar10/c.tar", "w") as archive:
        link = tarfile.TarInfo("data_batch_1")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        large = tarfile.TarInfo("data_batch_2")
        large.size = 100_001
        archive.addfile(large, io.BytesIO(bytes(large.size)))
    put(tmp_path / "cifar10/rest", only(files, 3))
    with pytest.raises(DataError, match="needs data_batch_1, data_batch_2,"):
        Cifar10(batches=(1, 2, 3)).load()


def test_an_unfinished_download_is_not_read(files: dict[str, bytes], tmp_path: Path) -> None:
    tar(tmp_path / "cifar10/c.tar", files, "w")
    put(tmp_path / "cifar10", {".cifar-10-python.tar.gz": b"half"})
    assert len(Cifar10().load().splits["train"]) == 90


@pytest.mark.parametrize("batches", [(), (0,), (6,), (1, 1)])
def test_batches_must_be_five_at_most(batches: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError, match="numbers from 1 to 5"):
        Cifar10(batches=batches)


def test_resolution_and_fit_change_the_images(files: dict[str, bytes], tmp_path: Path) -> None:
    put(tmp_path / "cifar10", files)
    padded = Cifar10(resolution=40, fit="pad").load()
    assert padded.spec.shape == (3, 40, 40)
    samples = padded.splits["test"].samples
    assert not samples[:, :, :4].any()
    np.testing.assert_array_equal(samples[:, :, 4:36, 4:36], Cifar10().load().splits["test"].samples)
    assert Cifar10(resolution=16).load().spec.shape == (3, 16, 16)
