"""The Hub's data sets, with the real library on local files; only the Hub itself is stood in for."""

from __future__ import annotations

import shlex
import socket
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from made_files import encoded, fill, noise
from pydantic import ValidationError

from duel import recipe
from duel.datasets import _hub, _streamed, hf
from duel.datasets._base import SPLITS, Data
from duel.datasets.folder import Folder
from duel.datasets.hf import Hf
from duel.errors import DataError, RecipeError

ROOT = Path(__file__).parents[1]


@pytest.fixture
def library() -> Any:
    datasets = pytest.importorskip("datasets", reason="the extra duel[hf] is not installed")
    datasets.disable_progress_bars()
    return datasets


Rows = dict[str, list[Any]]
Write = Callable[..., Path]


@pytest.fixture
def parquet(tmp_path: Path, library: Any) -> Write:
    """Writes columns into a folder "made" of Parquet files: image (bytes), label (cat, dog), more."""

    def write(columns: Rows | None = None, split: str = "train", **kinds: Any) -> Path:
        from datasets import ClassLabel, Dataset, Features, Image

        rows = columns or {"image": pictures(40), "label": [seed % 2 for seed in range(40)]}
        known = {"image": Image(), "label": ClassLabel(names=["cat", "dog"])} | kinds
        features = Features({name: known[name] for name in rows})
        place = tmp_path / "made/data" / f"{split}-00000-of-00001.parquet"
        place.parent.mkdir(parents=True, exist_ok=True)
        Dataset.from_dict(rows, features=features).to_parquet(place)
        return tmp_path / "made"

    return write


def pictures(count: int, mode: str = "RGB") -> list[Any]:
    return [picture(encoded(noise(seed, mode), "PNG")) for seed in range(count)]


def picture(content: bytes | None, path: str | None = None) -> dict[str, Any]:
    return {"bytes": content, "path": path}


def load(source: str | Path, resolution: int = 8, **options: Any) -> Data:
    return Hf(source=str(source), resolution=resolution, **options).load()


def classes(data: Data) -> dict[bytes, str]:
    found: dict[bytes, str] = {}
    for split in data.splits.values():
        assert split.labels is not None
        named = [data.spec.classes[label] for label in split.labels]
        found |= dict(zip((sample.tobytes() for sample in split.samples), named, strict=True))
    return found


def two_classes(folder: Path) -> Path:
    """40 images, of which the odd ones are dogs, as a folder for duel and for the library's image folder."""
    for seed in range(40):
        place = folder / ("dog" if seed % 2 else "cat") / f"{seed:02}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(encoded(noise(seed), "PNG"))
    return folder


# ---------------------------------------------------------------- what is read


def test_parquet_and_a_folder_of_the_same_files_are_the_same_images(parquet: Write, tmp_path: Path) -> None:
    ours, theirs = load(parquet()), Folder(path=str(two_classes(tmp_path / "f")), resolution=8).load()
    assert ours.name == "made"
    assert ours.spec == theirs.spec
    assert classes(ours) == classes(theirs)
    for name in SPLITS:
        assert {sample.tobytes() for sample in ours.splits[name].samples} == {
            sample.tobytes() for sample in theirs.splits[name].samples
        }
    assert isinstance(ours.splits["train"].samples, np.memmap)


def test_an_image_folder_names_its_files_and_they_are_read(library: Any, tmp_path: Path) -> None:
    place = two_classes(tmp_path / "f")
    assert classes(load(place)) == classes(Folder(path=str(place), resolution=8).load())


def test_class_labels_name_classes_also_those_that_have_no_sample(parquet: Write, library: Any) -> None:
    kind = library.ClassLabel(names=["z", "unused", "a"])
    data = load(parquet({"image": pictures(20), "kind": [0, 2] * 10}, kind=kind))
    assert data.spec.classes == ("z", "unused", "a")
    assert sorted(classes(data).values()) == ["a"] * 10 + ["z"] * 10


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [("int64", [10, 9], ("9", "10")), ("string", ["b", "a"], ("a", "b")), ("uint8", [3, 3], ("3",))],
)
def test_labels_may_be_numbers_or_names(
    parquet: Write, library: Any, kind: str, values: list[Any], expected: tuple[str, ...]
) -> None:
    place = parquet({"image": pictures(20), "kind": values * 10}, kind=library.Value(kind))
    assert load(place, label="kind").spec.classes == expected
    assert load(place).spec.classes == (), "only class labels are taken unasked"


def test_no_labels(parquet: Write) -> None:
    assert load(parquet(), label="none").spec.classes == ()
    unknown = {"image": pictures(20), "label": [-1] * 20}
    assert load(parquet(unknown)).spec.classes == (), "-1 says that there is none"
    with pytest.raises(DataError, match=r"1 has a label and 0 has none: .*data\.label=none"):
        load(parquet({"image": pictures(20), "label": [-1] + [1] * 19}))


def test_grey_images_have_one_channel(parquet: Write) -> None:
    assert load(parquet({"image": pictures(20, "L")})).spec.shape == (1, 8, 8)


def test_columns_are_found_by_type_or_named(parquet: Write, library: Any) -> None:
    place = parquet(
        {"front": pictures(20), "back": pictures(20, "L"), "x": [0] * 20, "y": [1] * 20, "f": [0.5] * 20},
        front=library.Image(), back=library.Image(), x=library.ClassLabel(names=["p", "q"]),
        y=library.ClassLabel(names=["r", "s"]), f=library.Value("float32"),
    )  # fmt: skip
    with pytest.raises(DataError, match=r"columns of images front, back: name one with data\.image"):
        load(place)
    with pytest.raises(DataError, match=r"no column 'fron' of images: did you mean 'front'\?"):
        load(place, image="fron")
    with pytest.raises(DataError, match=r"several columns of class labels: .*x, y or none"):
        load(place, image="back")
    with pytest.raises(DataError, match=r"no column 'z': .*allowed: front, back, x, y, f"):
        load(place, image="back", label="z")
    with pytest.raises(DataError, match=r"the column 'f' .*holds Value\('float32'\).*data\.label"):
        load(place, image="back", label="f")
    data = load(place, image="back", label="y")
    assert data.spec.shape == (1, 8, 8)
    assert data.spec.classes == ("r", "s")


def test_no_images(parquet: Write) -> None:
    with pytest.raises(DataError, match=r"has no column of images: name one with data\.image; it has label"):
        load(parquet({"label": [0, 1]}))


def test_another_split(parquet: Write) -> None:
    parquet()
    place = parquet({"image": pictures(20)[:12], "label": [0] * 12}, split="test")
    assert sum(len(split) for split in load(place, split="test").splits.values()) == 12
    assert sum(len(split) for split in load(place, split="train+test").splits.values()) == 52
    with pytest.raises(
        DataError, match=r"cannot be opened \(Bad split: dev\. Available splits: \['train', 'test'\]"
    ):
        load(place, split="dev")
    with pytest.raises(DataError, match=r"BuilderConfig 'odd' not found.*data\.config and data\.split"):
        load(place, config="odd")


# ---------------------------------------------------------------- what cannot be used


def test_bad_samples_are_listed_with_reasons(
    parquet: Write, library: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_streamed, "MAX_FILE", 2500)
    monkeypatch.setattr(_hub, "MAX_FILE", 2500)
    (tmp_path / "secret.png").write_bytes(encoded(noise(50), "PNG"))
    (tmp_path / "made").mkdir()
    (tmp_path / "made/own.png").write_bytes(encoded(noise(51), "PNG"))
    (tmp_path / "made/large.png").write_bytes(bytes(3000))
    (tmp_path / "made/link.png").symlink_to(tmp_path / "secret.png")
    odd = {
        "cut": picture(encoded(noise(41), "PNG")[:-200]),
        "empty": picture(b""),
        "none": None,
        "nothing": picture(None),
        "large": picture(bytes(3000)),
        "another's": picture(None, str(tmp_path / "secret.png")),
        "climbing": picture(None, f"{tmp_path}/made/../secret.png"),
        "linked": picture(None, f"{tmp_path}/made/link.png"),
        "missing": picture(None, f"{tmp_path}/made/gone.png"),
        "large file": picture(None, f"{tmp_path}/made/large.png"),
        "own": picture(None, f"{tmp_path}/made/own.png"),
    }
    reasons = {
        "20": "damaged",
        "21": "empty: zero bytes",
        "22": "it holds no image",
        "23": "it holds no image",
        "24": "too large: 3,000 bytes, at most 2,500 are read",
        "25 (secret.png)": "its file lies outside of the data set",
        "26 (secret.png)": "its file lies outside of the data set",
        "27 (link.png)": "its file lies outside of the data set",
        "28 (gone.png)": "cannot be read: No such file",
        "29 (large.png)": "too large: 2,501 bytes",
    }
    # The library would read a file's bytes into the Parquet by itself: its bare struct does not.
    import pyarrow
    import pyarrow.parquet

    kind = pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()})
    schema = library.Features({"image": library.Image()}).arrow_schema
    table = pyarrow.table({"image": pyarrow.array([*pictures(20), *odd.values()], kind)}, schema=schema)
    pyarrow.parquet.write_table(table, tmp_path / "made/train.parquet")
    (tmp_path / "made/README.md").write_text(
        "---\nconfigs:\n- config_name: a\n  data_files: train.parquet\n---\n"
    )
    data = load(tmp_path / "made")
    assert set(dict(data.skipped)) == set(reasons)
    for name, reason in reasons.items():
        assert reason in dict(data.skipped)[name], name
    assert sum(len(split) for split in data.splits.values()) == 21
    assert load(tmp_path / "made").skipped == data.skipped, "from the cache too"
    with pytest.raises(DataError, match=r"cannot be used .* and 7 others cannot"):
        load(tmp_path / "made", on_bad="fail")


def test_only_files_of_the_repository_are_opened() -> None:
    """What a data set names is its publisher's word."""
    inside = [
        "hf://datasets/o/n@abc/data/a.png",
        "hf://datasets/o/n/a.png",
        "zip://x/a.png::hf://datasets/o/n@abc/a.zip",
    ]
    outside = [
        "/etc/passwd", "a.png", "file:///etc/passwd", "https://example.com/a.png", "hf://datasets/o/other@abc/a.png",
        "hf://datasets/o/n2@abc/a.png", "hf://models/o/n/a.png", "file:///etc/passwd::hf://datasets/o/n@abc/a.zip",
        "zip://a.png::/home/a.zip",
    ]  # fmt: skip
    assert [path for path in inside + outside if _hub._is_in_repository(path, "o/n")] == inside
    assert _hub._is_in_repository("hf://datasets/ylecun/mnist@abc/a.png", "mnist")
    assert not _hub._is_in_repository("hf://datasets/a/b/mnist@abc/a.png", "mnist")
    with pytest.raises(DataError, match="outside of the data set"):
        _hub._content("o/n", None, "/etc/passwd")


def test_a_damaged_file_is_one_sentence(parquet: Write, own_cache: Path) -> None:
    place = parquet()
    (file,) = place.rglob("*.parquet")
    content = bytearray(file.read_bytes())
    content[1000:9000] = bytes(8000)
    file.write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"cannot be (read|opened)|holds no usable image") as caught:
        load(place)
    assert "\n" not in str(caught.value)
    assert list(own_cache.rglob("*.npy")) == []
    file.write_bytes(b"text")
    with pytest.raises(DataError, match=r"cannot be (read|opened)"):
        load(place)


def test_code_that_comes_with_a_data_set_is_not_run(library: Any, tmp_path: Path) -> None:
    place = two_classes(tmp_path / "made")
    (place / "made.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(DataError, match="scripts are no longer supported"):
        load(place)
    assert not (tmp_path / "ran").exists()
    source = "".join(Path(file.__file__).read_text() for file in (hf, _hub))
    assert "trust_remote_code" not in source


# ---------------------------------------------------------------- names, cache, network


@pytest.mark.parametrize(
    "source", ["", "a/b/c", "../a b", "https://x.y/z", "a b", "hf://x", "a/", "-a", "a\n"]
)
def test_odd_names_are_refused_or_paths(source: str) -> None:
    if source == "../a b":
        assert Hf(source=source).source == str(Path.cwd().parent / "a b")
        return
    with pytest.raises(ValidationError, match="expected NAME or OWNER/NAME"):
        Hf(source=source)


def test_a_missing_folder(library: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        load(tmp_path / "nowhere")


def test_the_cache_is_used_and_sees_every_change(parquet: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    place = parquet()
    first = load(place)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "datasets", None)
        again = load(place)
    assert again.fingerprint == first.fingerprint
    np.testing.assert_array_equal(first.splits["train"].samples, again.splits["train"].samples)
    prints = {first.fingerprint, load(place, 16).fingerprint, load(place, label="none").fingerprint}
    parquet({"image": pictures(40), "label": [1 - seed % 2 for seed in range(40)]})
    prints.add(load(place).fingerprint)
    assert len(prints) == 4, "other labels in the same files' place are seen, too"


def test_the_cache_holds_finished_folders_only(parquet: Write, own_cache: Path) -> None:
    load(parquet())
    (kept,) = (own_cache / "duel/hub").iterdir()
    assert sorted(path.name for path in kept.iterdir()) == ["images.npy", "index.json"]


class Stand:
    """Stands in for the library where the Hub would be asked: notes what for, and takes local files."""

    def __init__(self, library: Any, place: Path) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self._library, self._place = library, place

    def __call__(self, path: str, config: str | None, **options: Any) -> Any:
        self.asked.append((path, config, {key: options[key] for key in ("split", "revision", "streaming")}))
        options["revision"] = None
        return self._library(str(self._place), config, **options)


def test_the_hub_is_asked_once_and_streamed(
    parquet: Write, library: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A folder here that is called as the data set is not taken for it."""
    stand = Stand(library.load_dataset, parquet())
    monkeypatch.setattr(library, "load_dataset", stand)
    monkeypatch.setattr(_hub, "_check_network", lambda *_: None)
    (tmp_path / "here/owner/name").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    data = load("owner/name", revision="abc")
    assert data.name == "name"
    options = {"split": "train", "revision": "abc", "streaming": True}
    assert stand.asked == [("hf://datasets/owner/name", None, options)]


def test_the_second_load_needs_no_network(
    parquet: Write, library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand = Stand(library.load_dataset, parquet())
    with monkeypatch.context() as patch:
        patch.setattr(library, "load_dataset", stand)
        patch.setattr(_hub, "_check_network", lambda *_: None)
        first = load("mnist")
    assert load("mnist").fingerprint == first.fingerprint
    with pytest.raises(DataError, match="DUEL_OFFLINE"):
        load("mnist", revision="another")


def test_offline_is_one_sentence(library: Any) -> None:
    """DUEL_OFFLINE is set for all tests."""
    with pytest.raises(
        DataError, match=r"hf:mnist is not in the cache, and DUEL_OFFLINE .* is set: unset it"
    ):
        load("mnist")


def test_no_network_is_one_sentence(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: Any, **__: Any) -> None:
        raise OSError("Name or service not known")

    monkeypatch.delenv("DUEL_OFFLINE")
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(socket, "create_connection", unreachable)
    monkeypatch.setattr(library, "load_dataset", lambda *_, **__: pytest.fail("the library was asked"))
    said = r"hf:mnist is not in the cache, and huggingface\.co cannot be reached \(Name or .*\): look at"
    with pytest.raises(DataError, match=said):
        load("mnist")


def test_what_the_hub_refuses_is_one_sentence(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from datasets.exceptions import DatasetNotFoundError

    def refuse(*_: Any, **__: Any) -> None:
        raise DatasetNotFoundError("Dataset 'mnits' doesn't exist on the Hub\nor cannot be accessed.")

    monkeypatch.setattr(_hub, "_check_network", lambda *_: None)
    monkeypatch.setattr(library, "load_dataset", refuse)
    with pytest.raises(DataError, match=r"hf:mnits cannot be opened \(Dataset 'mnits' doesn't .* or cannot"):
        load("mnits")


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(
        DataError, match=r"datasets library, which is not installed .*pip install 'duel\[hf\]'"
    ):
        load("mnist")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extras["hf"] == ["datasets>=4"], "before 4 the library ran the code of data sets"


# ---------------------------------------------------------------- the command line


def test_data_hf_is_short_for_the_set_and_its_source(tmp_path: Path) -> None:
    assert recipe.data_changes("hf:owner/name") == {"data.name": "hf", "data.source": "owner/name"}
    found = recipe.data_set("hf:mnist", {"data.resolution": 32, "data.split": "test"})
    assert found == Hf(source="mnist", resolution=32, split="test")
    with pytest.raises(RecipeError, match="expected NAME or OWNER/NAME"):
        recipe.data_set("hf:a b")
    with pytest.raises(RecipeError, match="would run code from outside"):
        recipe.data_set("hub:mnist")


def test_a_local_copy_is_found_from_any_folder(parquet: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    place = parquet()
    monkeypatch.chdir(place.parent)
    assert Hf(source="./made").source == str(place)
    fill(place.parent / "other", 1)
    assert recipe.data_set("hf:./made", {"data.resolution": 8}).load().spec.classes == ("cat", "dog")


def test_the_commands_of_the_documentation_run(
    parquet: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those for the Hub are resolved only."""
    parquet().rename(tmp_path / "pets")
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs/data.md").read_text().partition("## The Hugging Face Hub\n")[2].partition("\n## ")[0]
    lines = [shlex.split(line)[1:] for line in text.splitlines() if line.startswith("duel ")]
    assert len(lines) == 4
    for command in lines:
        source = command[command.index("--data") + 1]
        assert isinstance(recipe.data_set(source), Hf)
        if source == "hf:./pets":
            small = ["--steps", 1, *(f"--set={key}={value}" for key, value in tiny.TINY.items())]
            size = [] if "data.resolution=16" in command else ["--set=data.resolution=8"]
            assert tiny.command(capsys, monkeypatch, *command, *small, *size)[0] == 0, command
