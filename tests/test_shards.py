"""WebDataset shards: what becomes of their samples, what is refused and said, how little is read unasked."""

from __future__ import annotations

import argparse
import contextlib
import gzip
import io
import json
import shlex
import struct
import sys
import tarfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from made_files import encoded, noise, tar
from pydantic import ValidationError

pytest.importorskip("webdataset", reason="the extra duel[shards] is not installed")

from duel import recipe
from duel.datasets import _shard, _streamed, shards
from duel.datasets._base import SPLITS, Data
from duel.datasets.folder import Folder
from duel.datasets.shards import Shards
from duel.errors import DataError, RecipeError

ROOT = Path(__file__).parents[1]


def png(seed: int, mode: str = "RGB") -> bytes:
    return encoded(noise(seed, mode), "PNG")


def numbered(count: int, first: int = 0, mode: str = "RGB") -> dict[str, bytes]:
    """Samples 000.png and 000.cls, whose class is the number's last digit modulo 3."""
    files: dict[str, bytes] = {}
    for seed in range(first, first + count):
        files |= {f"{seed:03}.png": png(seed, mode), f"{seed:03}.cls": str(seed % 3).encode()}
    return files


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder "images" with three shards of 20 labelled samples."""
    for number in range(3):
        tar(tmp_path / f"images/train-{number:03}.tar", numbered(20, 20 * number), "w")
    return tmp_path / "images"


def load(pattern: str | Path | tuple[str, ...], resolution: int = 8, **options: Any) -> Data:
    given = pattern if isinstance(pattern, tuple) else str(pattern)
    return Shards(pattern=given, resolution=resolution, **options).load()


def one(tmp_path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    tar(tmp_path / "one/a.tar", files, mode)
    return tmp_path / "one/a.tar"


def classes(data: Data) -> dict[bytes, str]:
    """The class of each image, by its pixels."""
    found: dict[bytes, str] = {}
    for split in data.splits.values():
        assert split.labels is not None
        named = [data.spec.classes[label] for label in split.labels]
        found |= dict(zip((sample.tobytes() for sample in split.samples), named, strict=True))
    return found


# ---------------------------------------------------------------- what is read


def test_shards_and_a_folder_of_the_same_files_are_the_same_images(place: Path, tmp_path: Path) -> None:
    """Pixels, classes and splits: the split follows the image's file, wherever it lies."""
    for seed in range(60):
        (tmp_path / f"folder/{seed % 3}").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"folder/{seed % 3}/{seed}.png").write_bytes(png(seed))
    ours, theirs = (
        load(place / "train-{000..002}.tar"),
        Folder(path=str(tmp_path / "folder"), resolution=8).load(),
    )
    assert ours.name == "images"
    assert ours.spec == theirs.spec
    assert classes(ours) == classes(theirs)
    for name in SPLITS:
        assert {sample.tobytes() for sample in ours.splits[name].samples} == {
            sample.tobytes() for sample in theirs.splits[name].samples
        }
    assert isinstance(ours.splits["train"].samples, np.memmap)
    assert sum(len(split) for split in ours.splits.values()) == 60


@pytest.mark.parametrize(
    "pattern",
    [
        "train-{000..002}.tar",
        "train-*.tar",
        "train-00[0-2].tar",
        "train-{000,001,002}.tar",
        "{train-000,train-00[12]}.tar",
    ],
)
def test_patterns_name_the_same_shards(place: Path, pattern: str) -> None:
    listed = tuple(str(place / f"train-{number:03}.tar") for number in range(3))
    assert load(place / pattern).fingerprint == load(listed).fingerprint


def test_a_shard_that_two_patterns_name_is_read_once(place: Path) -> None:
    both = (str(place / "train-*.tar"), str(place / "train-000.tar"))
    assert load(both).fingerprint == load(place / "train-*.tar").fingerprint


def test_a_file_that_is_called_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    tar(tmp_path / "a{0..3}[x].tar", numbered(20), "w")
    assert load(tmp_path / "a{0..3}[x].tar").spec.classes == ("0", "1", "2")


def test_gzip(place: Path, tmp_path: Path) -> None:
    tar(tmp_path / "z/train.tar.gz", numbered(20), "w:gz")
    assert classes(load(tmp_path / "z/train.tar.gz")) == classes(load(place / "train-000.tar"))


def test_grey_shards_have_one_channel(tmp_path: Path) -> None:
    grey = numbered(20, mode="L")
    assert load(one(tmp_path, grey)).spec.shape == (1, 8, 8)
    assert load(one(tmp_path, grey | {"x.png": png(99), "x.cls": b"1"})).spec.shape == (3, 8, 8)


def test_the_keys_of_the_images(tmp_path: Path) -> None:
    files = {}
    for seed in range(20):
        files |= {
            f"{seed}.seg.png": png(seed + 100),
            f"{seed}.JPG": encoded(noise(seed)),
            f"{seed}.txt": b"a text",
        }
    path = one(tmp_path, files)
    default, masks = load(path), load(path, image="seg.png")
    assert default.fingerprint != masks.fingerprint
    assert default.spec.classes == ()
    assert default.splits["train"].labels is None
    expected = Folder(
        path=str(_unpacked(tmp_path / "masks", {k: v for k, v in files.items() if "seg" in k})), resolution=8
    )
    assert {sample.tobytes() for sample in masks.splits["train"].samples} == {
        sample.tobytes() for sample in expected.load().splits["train"].samples
    }
    assert load(path, image=("nothing", "jpg")).spec == default.spec


def _unpacked(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["10", " 9\n", "-1"], ("-1", "9", "10")),
        (["b", "a", "ñandú 鳥"], ("a", "b", "ñandú 鳥")),
        (["2", "10", "x"], ("10", "2", "x")),
    ],
    ids=["numbers by size", "names", "numbers among names are names"],
)
def test_labels_are_numbers_or_names(tmp_path: Path, values: list[str], expected: tuple[str, ...]) -> None:
    files = {}
    for seed in range(21):
        files |= {f"{seed}.png": png(seed), f"{seed}.cls": values[seed % 3].encode()}
    data = load(one(tmp_path, files))
    assert data.spec.classes == expected
    assert sorted(classes(data).values()) == sorted(7 * list(expected))


def test_a_label_in_json(tmp_path: Path) -> None:
    files = {}
    for seed in range(20):
        told = {"name": ["cat", "dog"][seed % 2], "id": seed % 3}
        files |= {f"{seed}.png": png(seed), f"{seed}.json": json.dumps(told).encode(), f"{seed}.cls": b"7"}
    path = one(tmp_path, files)
    assert load(path, label="json:name").spec.classes == ("cat", "dog")
    assert load(path, label="json:id").spec.classes == ("0", "1", "2")
    assert load(path).spec.classes == ("7",), "cls is the label where nothing is said"
    assert load(path, label="none").spec.classes == ()
    with pytest.raises(
        DataError, match=r"the json beside a\.tar/0\.png has no field 'nam'; did you mean 'name'\?"
    ):
        load(path, label="json:nam")


# ---------------------------------------------------------------- what cannot be used


def bad_samples() -> tuple[dict[str, bytes], dict[str, str]]:
    files = {
        "cut.png": png(1)[:-200],
        "cut.cls": b"1",
        "empty.png": b"",
        "empty.cls": b"1",
        "alone.cls": b"1",
        "noname": b"?",
        "odd.png": png(2),
        "odd.cls": b"\xff\xfe",
        "long.png": png(3),
        "long.cls": b"x" * 300,
        "large.png": bytes(3000),
        "large.cls": b"1",
        "__meta__": b"skipped by the library",
    }
    reasons = {
        "a.tar/cut.png": "damaged",
        "a.tar/empty.png": "empty: zero bytes",
        "a.tar/alone": "has no image (png, ",
        "a.tar/noname": "no ending",
        "a.tar/odd.png": "its label is no text",
        "a.tar/long.png": "its label has 300 characters",
        "a.tar/large.png": "too large: 3,000 bytes, at most 2,500 are read",
    }
    return files, reasons


def test_bad_samples_are_listed_with_reasons_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_shard, "MAX_FILE", 2500)
    files, reasons = bad_samples()
    path = one(tmp_path, numbered(20, first=10) | files)
    data = load(path)
    assert sum(len(split) for split in data.splits.values()) == 20
    assert set(dict(data.skipped)) == set(reasons)
    for name, reason in reasons.items():
        assert reason in dict(data.skipped)[name], name
    assert load(path).skipped == data.skipped, "from the cache too"
    with pytest.raises(DataError, match=r"cannot be used .* and 4 others cannot: .*data\.on_bad"):
        load(path, on_bad="fail")


@pytest.mark.parametrize(
    ("key", "content", "reason"),
    [("json", b"{", "no JSON"), ("json", b"[1]", "no object"), ("json", b'{"x": [1]}', "x is list"),
     ("json", b'{"x": true}', "x is bool"), ("json", b"[" * 100_000, "no JSON"),
     ("json", b'{"x": ""}', "0 characters")],
)  # fmt: skip
def test_a_label_that_is_none_makes_a_sample_bad(
    tmp_path: Path, key: str, content: bytes, reason: str
) -> None:
    files = {}
    for seed in range(20):
        files |= {f"{seed}.png": png(seed), f"{seed}.{key}": b'{"x": 1}'}
    data = load(one(tmp_path, files | {"z.png": png(99), f"z.{key}": content}), label=f"{key}:x")
    (found,) = data.skipped
    assert found[0] == "a.tar/z.png"
    assert reason in found[1]


def test_a_second_file_of_a_name_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for name, content in [*numbered(20).items(), ("x.png", png(50)), ("x.png", png(51)), ("x.cls", b"0")]:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    data = load(path)
    assert data.skipped == (("a.tar/x.png", "a second file of this name; the first is used"),)
    assert sum(len(split) for split in data.splits.values()) == 21


def test_links_and_devices_are_listed_and_nothing_is_followed(tmp_path: Path) -> None:
    (tmp_path / "outside.png").write_bytes(png(77))
    path = tmp_path / "a.tar"
    tar(path, numbered(20), "w")
    kinds = {
        "soft": tarfile.SYMTYPE,
        "hard": tarfile.LNKTYPE,
        "pipe": tarfile.FIFOTYPE,
        "disk": tarfile.BLKTYPE,
    }
    with tarfile.open(path, "a") as archive:
        for name, kind in kinds.items():
            member = tarfile.TarInfo(f"{name}.png")
            member.type, member.linkname = kind, str(tmp_path / "outside.png")
            archive.addfile(member)
        climbing = tarfile.TarInfo("../../up.png")
        climbing.size = len(png(78))
        archive.addfile(climbing, io.BytesIO(png(78)))
    before = set(tmp_path.rglob("*"))
    data = load(path, label="none")
    reason = "a link or a device, no file"
    assert data.skipped == tuple((f"a.tar/{name}.png", reason) for name in kinds)
    assert sum(len(split) for split in data.splits.values()) == 21, "a name is a name, wherever it points"
    assert set(tmp_path.rglob("*")) == before, "nothing is extracted"


def test_some_labels_are_refused(tmp_path: Path) -> None:
    path = one(tmp_path, numbered(20) | {"z.png": png(99)})
    with pytest.raises(DataError, match=r"a\.tar/z\.png has no cls beside it.*use data\.label=none"):
        load(path)
    assert load(path, label="none").spec.classes == ()


def test_too_many_labels_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_streamed, "_MAX_CLASSES", 2)
    with pytest.raises(DataError, match=r"more than 2 different values.*data\.label"):
        load(one(tmp_path, numbered(20)))


def test_unknown_keys_are_named_with_those_that_there_are(tmp_path: Path) -> None:
    path = one(tmp_path, numbered(20))
    with pytest.raises(DataError, match=r"holds no key jpg: name one with data\.image; .*allowed: cls, png"):
        load(path, image="jpg")
    with pytest.raises(DataError, match=r"holds no key clss: .*data\.label; did you mean 'cls'\?"):
        load(path, label="clss")
    with pytest.raises(DataError, match=r"holds no key json"):
        load(path, label="json:x")


def test_nothing_to_train_on(tmp_path: Path, own_cache: Path) -> None:
    with pytest.raises(
        DataError, match=r"holds no usable image: a\.tar/0\.png cannot be used \(no image of a known"
    ):
        load(one(tmp_path, {"0.png": b"text, which is no image"}))
    assert list(own_cache.rglob("*.npy")) == []
    assert list(own_cache.rglob(".part-*")) == []


# ---------------------------------------------------------------- which shards


@pytest.mark.parametrize("pattern", ["no-{0..9}.tar", "no-*.tar", "no.tar", "train-{000..002}.tar.gz"])
def test_no_shards(place: Path, pattern: str) -> None:
    with pytest.raises(DataError, match="there are no shards"):
        load(place / pattern)


def test_a_missing_shard_is_no_silent_loss(place: Path) -> None:
    with pytest.raises(DataError, match=r"2 of the 5 shards .* are missing, such as .*train-003\.tar"):
        load(place / "train-{000..004}.tar")


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("pipe:touch ran", "no command is run"),
        ("https://example.com/a.tar", "nothing fetched"),
        ("s3://bucket/{0..9}.tar", "nothing fetched"),
        ("{0..999999999}.tar", "allowed are 100,000 shards"),
        ("{{0..9},{0..9}}.tar", "braces within braces"),
        ("", "expected the path"),
        ("a\0.tar", "expected the path"),
        (("a.tar", "pipe:ls"), "no command is run"),
        ((), "expected the path"),
    ],
)
def test_patterns_that_are_refused(
    tmp_path: Path, pattern: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValidationError, match=said):
        Shards(pattern=pattern)
    assert list(tmp_path.iterdir()) == []


def test_many_braces_are_not_all_written_down(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="more than 100,000 shards"):
        load(tmp_path / f"{'{a,b}' * 30}.tar")
    with pytest.raises(DataError, match="a brace without its other one"):
        load(tmp_path / "a{0..3.tar")


def test_a_pattern_becomes_absolute(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a run is taken up from any folder."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("HOME", str(place))
    expected = str(place / "train-{000..002}.tar")
    assert Shards(pattern="train-{000..002}.tar").pattern == expected
    assert Shards(pattern=("~/train-*.tar", "b.tar")).pattern == (
        str(place / "train-*.tar"),
        str(place / "b.tar"),
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "is no readable tar"), (b"text" * 1000, "is no readable tar"), (bytes(100), "is no readable tar"),
     (gzip.compress(b"text" * 1000), "is no readable tar")],
    ids=["empty", "text", "zeros", "gzip of text"],
)  # fmt: skip
def test_what_is_no_tar_is_refused(tmp_path: Path, content: bytes, said: str, own_cache: Path) -> None:
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(DataError, match=said):
        load(tmp_path / "a.tar")
    assert list(own_cache.rglob("*.npy")) == []
    with pytest.raises(DataError, match="is no file: name the tars"):
        load(tmp_path)


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("part", [0.2, 0.4, 0.6])
def test_a_cut_shard_is_refused_not_taken_for_its_beginning(tmp_path: Path, mode: str, part: float) -> None:
    path = one(tmp_path, numbered(20), mode)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(DataError, match=r"a\.tar is no readable tar .*get it again"):
        load(path)


def test_a_shard_that_is_cut_between_two_members_is_refused(tmp_path: Path) -> None:
    path = one(tmp_path, numbered(20))
    with tarfile.open(path) as archive:
        cut = archive.getmembers()[20].offset
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataError, match="ends after 20 members without the mark of a tar's end"):
        load(path)


# ---------------------------------------------------------------- hostile shards


def header(name: str, size: int, kind: bytes = b"0") -> bytes:
    """A tar header that announces what it likes; beyond 8 GiB in base 256, as GNU tar writes it."""
    octal = b"%011o\0" % size if size < 1 << 33 else b"\x80\0\0\0" + struct.pack(">Q", size)
    fields = name.encode().ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + octal + b"00000000000\0"
    rest = kind + bytes(100) + b"ustar\0" + b"00" + bytes(247)
    total = sum(fields) + 8 * 32 + sum(rest)
    return fields + b"%06o\0 " % total + rest


def test_a_member_that_announces_much_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In gzip a gigabyte of nothing is a megabyte; here the limit is small instead."""
    monkeypatch.setattr(_shard, "MAX_FILE", 10_000)
    sizes: list[int] = []
    read = tarfile.ExFileObject.read
    monkeypatch.setattr(
        tarfile.ExFileObject, "read", lambda self, *size: sizes.append(len(got := read(self, *size))) or got
    )
    path = tmp_path / "a.tar"
    large = header("big.png", 1 << 21) + bytes(1 << 21)
    samples = one(tmp_path, numbered(20)).read_bytes()
    path.write_bytes(large + samples)
    data = load(path, label="none")
    assert data.skipped == (("a.tar/big.png", "too large: 2,097,152 bytes, at most 10,000 are read"),)
    assert sizes
    assert max(sizes) < 10_000


@pytest.mark.parametrize(
    "kind", [b"x", b"g", b"L", b"K"], ids=["pax", "global pax", "long name", "long link"]
)
def test_a_header_that_announces_much_is_refused(tmp_path: Path, kind: bytes) -> None:
    (tmp_path / "a.tar").write_bytes(header("x", 1 << 40, kind) + bytes(1 << 12))
    with pytest.raises(DataError, match="describes a member with more than"):
        load(tmp_path / "a.tar")


def test_a_member_beyond_the_limit_of_a_shard_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(header("x.png", 1 << 50) + bytes(1 << 12))
    with pytest.raises(DataError, match="holds more than 68,719,476,736 bytes"):
        load(tmp_path / "a.tar")


def test_a_file_with_holes_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    member = header("big.png", 0, b"S")
    sparse = bytearray(member)
    sparse[386:398] = sparse[398:410] = b"%011o\0" % 0
    sparse[483:495] = b"%011o\0" % (1 << 30)
    sparse[148:156] = b" " * 8
    sparse[148:156] = b"%06o\0 " % sum(sparse)
    path.write_bytes(bytes(sparse) + one(tmp_path, numbered(20)).read_bytes())
    assert load(path, label="none").skipped == (("a.tar/big.png", "a file with holes"),)


def test_members_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_shard, "_MAX_MEMBERS", 39)
    with pytest.raises(DataError, match="more than 39 members"):
        load(one(tmp_path, numbered(20)))


@pytest.mark.parametrize("seed", range(30))
def test_flipped_bytes_give_images_or_one_sentence(tmp_path: Path, seed: int) -> None:
    path = one(tmp_path, numbered(12), "w:gz" if seed % 3 == 0 else "w")
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(seed)
    for place in rng.integers(len(content), size=8 if seed % 2 else 200):
        content[place] = rng.integers(256)
    path.write_bytes(bytes(content))
    with contextlib.suppress(DataError):  # and nothing else
        assert load(path, label="none").spec.shape[1:] == (8, 8)


# ---------------------------------------------------------------- cache, memory, library


def test_the_cache_is_used_and_sees_every_change(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(place / "train-*.tar")
    with monkeypatch.context() as patch:
        patch.setattr(shards, "write_stream", lambda *_: pytest.fail("decoded again"))
        again = load(place / "train-*.tar")
    np.testing.assert_array_equal(first.splits["train"].samples, again.splits["train"].samples)
    np.testing.assert_array_equal(first.splits["train"].labels, again.splits["train"].labels)
    prints = {first.fingerprint, load(place / "train-*.tar", 16).fingerprint}
    prints.add(load(place / "train-*.tar", label="none").fingerprint)
    prints.add(load(place / "train-00[01].tar").fingerprint)
    tar(place / "train-000.tar", numbered(20, first=100), "w")
    prints.add(load(place / "train-*.tar").fingerprint)
    (place / "train-000.tar").rename(place / "train-0.tar")
    prints.add(load(place / "train-*.tar").fingerprint)
    monkeypatch.setattr(shards, "_VERSION", 99)
    prints.add(load(place / "train-*.tar").fingerprint)
    assert len(prints) == 7


def test_the_fingerprint_is_the_contents_not_the_places(place: Path, tmp_path: Path) -> None:
    before = load(place / "train-*.tar").fingerprint
    assert load(place.rename(tmp_path / "elsewhere") / "train-*.tar").fingerprint == before


def test_the_cache_holds_finished_folders_only(place: Path, own_cache: Path) -> None:
    data = load(place / "train-*.tar")
    (kept,) = (own_cache / "duel/shards").iterdir()
    assert kept.name == data.fingerprint
    assert sorted(path.name for path in kept.iterdir()) == ["images.npy", "index.json"]


def test_samples_are_streamed_one_by_one(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each image is written down before the next one is read from its shard."""
    order: list[str] = []
    items, decoded = shards._items, _streamed._decoded

    def read(*arguments: Any) -> Iterator[Any]:
        for item in items(*arguments):
            order.append("read")
            yield item

    def looked_at(*arguments: Any) -> Any:
        order.append("decoded")
        return decoded(*arguments)

    monkeypatch.setattr(shards, "_items", read)
    monkeypatch.setattr(_streamed, "_decoded", looked_at)
    load(place / "train-*.tar")
    assert order == ["read", "decoded"] * 60


def test_without_the_library_the_extra_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "webdataset"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "webdataset", None)
    with pytest.raises(
        DataError, match=r"webdataset library, which is not installed .*pip install 'duel\[shards\]'"
    ):
        load(place / "train-*.tar")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extras["shards"] == ["webdataset>=1,<2"]
    assert "webdataset" in extras["dev"]


# ---------------------------------------------------------------- the command line


def test_data_shards_is_short_for_the_set_and_its_pattern(place: Path) -> None:
    assert recipe.data_changes("shards:a-{0..3}.tar") == {
        "data.name": "shards",
        "data.pattern": "a-{0..3}.tar",
    }
    found = recipe.data_set(f"shards:{place}/train-*.tar", {"data.resolution": 8, "data.label": "none"})
    assert found == Shards(pattern=f"{place}/train-*.tar", resolution=8, label="none")
    with pytest.raises(RecipeError, match="would run code from outside"):
        recipe.data_set("shard:nothing")
    with pytest.raises(RecipeError, match="no command is run"):
        recipe.data_set("shards:pipe:touch ran")


def test_a_run_trains_on_shards_and_goes_on_elsewhere(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(place)
    given = [
        "--set=data.resolution=8",
        *(f"--set={key}={value}" for key, value in tiny.TINY.items() if "data" not in key),
    ]
    assert tiny.command(
        capsys, monkeypatch, "train", "dcgan", "--data", "shards:train-{000..002}.tar", "--steps", 2,
        "--out", tmp_path / "run", *given,
    )[0] == 0  # fmt: skip
    monkeypatch.chdir(tmp_path / "other")
    assert tiny.command(capsys, monkeypatch, "train", "--resume", tmp_path / "run", "--steps", 3)[0] == 0
    place.rename(tmp_path / "moved")
    status, _, said = tiny.command(capsys, monkeypatch, "train", "--resume", tmp_path / "run", "--steps", 4)
    assert status == 2
    assert "there are no shards" in said
    moved = f"--set=data.pattern={tmp_path}/moved/train-*.tar"
    assert (
        tiny.command(capsys, monkeypatch, "train", "--resume", tmp_path / "run", "--steps", 4, moved)[0] == 0
    )


def commands(section: str) -> list[list[str]]:
    """What docs/data.md tells to type, in one of its sections."""
    text = (ROOT / "docs/data.md").read_text().partition(f"## {section}\n")[2].partition("\n## ")[0]
    return [shlex.split(line)[1:] for line in text.splitlines() if line.startswith("duel ")]


def test_the_commands_of_the_documentation_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        files: dict[str, bytes] = {}
        for seed in range(10 * number, 10 * number + 10):
            kind = json.dumps({"kind": ["snail", "mussel"][seed % 2]}).encode()
            files |= {f"{seed}.jpg": encoded(noise(seed)), f"{seed}.cls": b"1", f"{seed}.json": kind}
        tar(tmp_path / f"shells/train-{number:03}.tar", files, "w")
    monkeypatch.chdir(tmp_path)
    found = commands("Shards")
    assert len(found) == 4
    for command in found:
        small = ["--steps", 1, *(f"--set={key}={value}" for key, value in tiny.TINY.items())]
        added = [*small, "--set=data.resolution=8"] if command[0] == "train" else []
        assert tiny.command(capsys, monkeypatch, *command, *added)[0] == 0, command


def test_the_bench_draws_what_it_made(tmp_path: Path, own_cache: Path) -> None:
    sys.path.insert(0, str(ROOT / "bench"))
    try:
        import data as bench
    finally:
        sys.path.remove(str(ROOT / "bench"))
    bench.write(tmp_path, 100, 16)
    given = argparse.Namespace(
        folder=tmp_path, side=16, recipe="dcgan", epochs=2, limited=False, source="shards", how="cold"
    )
    assert bench.decode(given)["bytes"] == 100 * 3 * 16 * 16
    found = bench.draw(given)
    assert len(found["rates"]) == 2
    assert 60 * 768 < found["bytes"] < 95 * 768
    assert bench.row("x", found, 1.0).count("|") == bench.row("x", None, 1.0).count("|") == 7
    ours, theirs = (bench.loaded(tmp_path, source, 16) for source in ("shards", "folder"))
    pictures = [{sample.tobytes() for sample in it.splits["train"].samples} for it in (ours, theirs)]
    assert pictures[0] == pictures[1]
