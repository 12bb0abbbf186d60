"""Hostile and messy files: each converts by a documented rule, or is named with its reason; nothing else."""

from __future__ import annotations

import gc
import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import pytest
import tiny
from corpus import (
    ARCHIVES,
    ENTRIES,
    LABELS,
    MOST,
    RGB_ROWS,
    WANTED,
    Archive,
    Entry,
    encoded,
    make,
    picture,
    png,
)
from made_files import fill
from PIL import Image

from duel import io
from duel.datasets import _archives, _idx, _images, _matlab, _scan, celeba
from duel.datasets._base import SPLITS
from duel.datasets._check import Report, check_folder
from duel.datasets._idx import read_idx
from duel.datasets._images import decode, pixels
from duel.datasets._scan import list_folder, scan
from duel.datasets.folder import Folder
from duel.errors import ChecksumError, DataError

EVIDENCE = Path(__file__).parent.parent / "docs/evidence/hostile-files.md"
LINUX = sys.platform == "linux"
CONVERTING = [entry for entry in ENTRIES if entry.fate == "converts"]
NAMED = [entry for entry in ENTRIES if entry.fate in ("is listed", "is left out")]


def placed(entry: Entry) -> str:
    """The entry's name in a report on the corpus."""
    return f"odd/{entry.reported}"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not LINUX:
        pytest.skip("the corpus holds what other systems cannot")
    return make(tmp_path_factory.mktemp("hostile") / "corpus")


@pytest.fixture(scope="module")
def report(corpus: Path) -> Report:
    return check_folder(str(corpus))


# ---------------------------------------------------------------- images


def test_the_corpus_is_large_and_names_nothing_twice() -> None:
    assert len(ENTRIES) >= 100
    assert len(ARCHIVES) >= 30
    assert len({entry.name for entry in ENTRIES}) == len(ENTRIES)
    assert len({archive.what for archive in ARCHIVES}) == len(ARCHIVES)


@pytest.mark.parametrize("entry", CONVERTING, ids=lambda entry: ascii(entry.name[-40:]))
def test_it_converts_to_exactly_this(entry: Entry, corpus: Path) -> None:
    square = np.asarray(decode(corpus / "odd" / entry.reported).square)
    assert square.dtype == np.uint8
    assert square.shape[:2] == (16, 16)
    for field, colour in enumerate(entry.fields):
        if colour is not None:
            top, left = divmod(field, 2)
            found = square[8 * top : 8 * top + 8, 8 * left : 8 * left + 8].astype(np.int64)
            assert found.shape[2:] == np.shape(colour), "grey stays grey, colour stays colour"
            assert np.abs(found - np.array(colour)).max() <= entry.tolerance


@pytest.mark.parametrize("entry", NAMED, ids=lambda entry: ascii(entry.name[-40:]))
def test_it_is_named_with_its_reason(entry: Entry, report: Report) -> None:
    listed = dict(report.bad if entry.fate == "is listed" else report.ignored)
    assert re.search(entry.reason, listed[placed(entry)])
    assert listed[placed(entry)].isprintable()


def test_nothing_is_silently_dropped(corpus: Path, report: Report) -> None:
    """Converted, listed and left out are the files that the system shows, and each of the table once."""
    converted = [found.file.name for found in scan(list_folder(str(corpus)))[0]]
    named = [name for name, _ in report.bad + report.ignored]
    accounted = sorted(converted + named)
    assert accounted == sorted(placed(entry) for entry in ENTRIES if entry.fate != "is no entry")
    assert report.usable == len(converted) == len(CONVERTING)
    shown: list[str] = []
    for place, folders, files in os.walk(corpus):
        passed = [name for name in folders if name.startswith(".") or os.path.islink(f"{place}/{name}")]
        folders[:] = [name for name in folders if name not in passed]
        shown += [Path(place, name).relative_to(corpus).as_posix() for name in files + passed]
    assert accounted == sorted(shown)


def test_the_corpus_as_data(corpus: Path, report: Report) -> None:
    data = Folder(path=str(corpus), resolution=16).load()
    assert data.skipped == report.bad + report.ignored
    assert data.spec.classes == ("odd",)
    found = sorted(sample.tobytes() for name in SPLITS for sample in data.splits[name].samples)
    expected = [pixels(decode(corpus / "odd" / entry.reported).square, 16).tobytes() for entry in CONVERTING]
    assert found == sorted(expected)


def test_what_is_skipped_is_in_the_provenance(corpus: Path, report: Report, tmp_path: Path) -> None:
    fill(tmp_path / "images/odd", 20)
    for name in ("empty.png", ".hidden.png", os.fsdecode(b"not text \xff\n.png")):
        (tmp_path / "images/odd" / name).write_bytes(b"")
    tiny.train(tmp_path / "run", 1, data=str(tmp_path / "images"), changes={"data.resolution": 16})
    written = json.loads((tmp_path / "run/provenance.json").read_text())["data"]["skipped"]
    assert written == [
        {"file": "odd/empty.png", "reason": "empty: zero bytes"},
        {"file": os.fsdecode(b"odd/not text \xff\n.png"), "reason": "empty: zero bytes"},
        {"file": "odd/.hidden.png", "reason": "hidden file"},
    ]


def test_on_bad_fail_names_the_first_and_the_next_step(corpus: Path, report: Report) -> None:
    with pytest.raises(DataError) as caught:
        Folder(path=str(corpus), resolution=16, on_bad="fail").load()
    message = str(caught.value)
    for name, reason in report.bad[:3]:
        assert f"{name} cannot be used ({reason})" in message
    assert f"and {len(report.bad) - 3} other files cannot" in message
    assert "`duel data check` lists them all" in message
    assert 'data.on_bad="skip"' in message


def test_messages_quote_names_that_cannot_be_printed(tmp_path: Path) -> None:
    for name in (b"\x1b[2J.png", b"\xff.png", b"a\nb.png"):
        (tmp_path / os.fsdecode(name)).write_bytes(b"text")
    fill(tmp_path, 20)
    with pytest.raises(DataError) as caught:
        Folder(path=str(tmp_path), on_bad="fail").load()
    assert str(caught.value).isprintable()
    assert r"'\x1b[2J.png' cannot be used" in str(caught.value)


MEASURE = """
import resource, sys, warnings
warnings.simplefilter("error")
from PIL import Image
import numpy
from duel.datasets._check import check_folder
Image.init()
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + 700 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
report = check_folder(sys.argv[1])
print(report.usable, len(report.bad), len(report.ignored))
"""


def test_memory_is_bounded_and_no_handle_stays_open(corpus: Path, report: Report) -> None:
    """700 MB more than at the start: the largest image here that is allowed has 81 million pixels of RGB."""
    command = [sys.executable, "-c", MEASURE, str(corpus)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(report.usable), str(len(report.bad)), str(len(report.ignored))]
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    check_folder(str(corpus))
    assert len(os.listdir("/proc/self/fd")) <= before


def test_pillows_own_limit_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many programs switch it off."""
    picture(size=(40, 40)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    monkeypatch.setattr(_images, "MAX_PIXELS", 1599)
    with pytest.raises(DataError, match="too large: more than 1,599 pixels"):
        decode(tmp_path / "a.png")
    monkeypatch.setattr(_images, "MAX_PIXELS", 1600)
    assert decode(tmp_path / "a.png").square.size == (40, 40)


def test_too_many_bytes_are_not_even_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, 20)
    os.truncate(tmp_path / "003.png", 100_000)
    monkeypatch.setattr(_images, "MAX_BYTES", 99_999)
    digest, hashed = _scan.io.file_digest, []
    monkeypatch.setattr(_scan.io, "file_digest", lambda path: hashed.append(path.name) or digest(path))
    report = check_folder(str(tmp_path))
    assert report.bad == (("003.png", "too large: 100,000 bytes, at most 99,999 are read"),)
    assert "003.png" not in hashed
    assert len(hashed) == 19


@pytest.mark.parametrize("name", ["a pipe", "a device", "nothing", "unreadable"])
def test_one_file_is_looked_at_before_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """`duel reconstruct` opens what it is given; a pipe would block it for ever."""
    path = tmp_path / "a.png"
    if name == "a pipe":
        os.mkfifo(path)
    elif name == "a device":
        path.symlink_to("/dev/zero")
    elif name == "unreadable":
        path.write_bytes(encoded(picture(), "PNG"))
        path.chmod(0)
        if os.geteuid() == 0:  # who may read everything
            monkeypatch.setattr(Path, "open", _denied)
    fault = {"nothing": "cannot be read: No such file", "unreadable": "cannot be read: Permission denied"}
    with pytest.raises(DataError, match=f"^{fault.get(name, 'not a regular file')}"):
        decode(path)


def _denied(path: Path, *_: object) -> None:
    raise PermissionError(13, "Permission denied", str(path))


def test_too_little_memory_is_not_the_files_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be skipped, and the cache would keep that."""
    fill(tmp_path, 20)

    def exhausted(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Image.Image, "crop", exhausted)
    with pytest.raises(MemoryError):
        Folder(path=str(tmp_path)).load()


def test_any_change_of_an_image_gives_an_image_or_a_reason(tmp_path: Path) -> None:
    """A thousand changed copies of the smallest files of each type."""
    rng = np.random.default_rng(0)
    kinds = ["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP", "PPM"]
    path = tmp_path / "a"
    outcomes = set()
    for kind in kinds:
        whole = encoded(picture(size=(24, 20)), kind)
        for _ in range(150):
            content = bytearray(whole)
            for place in rng.integers(len(content), size=rng.integers(1, 4)):
                content[place] = rng.integers(256)
            path.write_bytes(content[: rng.integers(len(content) + 1)] if rng.random() < 0.2 else content)
            try:
                side = decode(path).square.width
                outcomes.add("converts")
                assert side >= 2
            except DataError as error:
                outcomes.add(str(error).partition(":")[0])
    assert {"converts", "damaged"} <= outcomes


# ---------------------------------------------------------------- folders


class _Handles:
    """Counts the folders that are listed, and how many of them are open at a time."""

    def __init__(self) -> None:
        self.listed = self.open = self.most = 0
        self.scandir = os.scandir

    @contextmanager
    def __call__(self, path: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
        self.listed, self.open = self.listed + 1, self.open + 1
        self.most = max(self.most, self.open)
        with self.scandir(path) as entries:
            yield entries
        self.open -= 1


def test_every_folder_is_listed_once_and_one_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the work grows with the entries; each file is hashed once."""
    for number in range(2000):
        if number % 10 == 0:
            (tmp_path / f"{number // 10:03}").mkdir()
        (tmp_path / f"{number // 10:03}/{number}.png").write_bytes(b"")
    handles, hashed = _Handles(), []
    monkeypatch.setattr(os, "scandir", handles)
    monkeypatch.setattr(_scan.io, "file_digest", lambda path: hashed.append(path) or "0")
    listing = list_folder(str(tmp_path))
    assert len(listing.files) == len(set(hashed)) == 2000
    assert handles.listed == 201
    assert handles.most == 1


@contextmanager
def deep_folders(place: Path, name: str, count: int) -> Iterator[None]:
    """Folders in folders, with a file in the last; taken away afterwards, which pytest cannot."""
    here = os.getcwd()
    try:
        os.chdir(place)
        for _ in range(count):
            os.mkdir(name)
            os.chdir(name)
        Path("a.png").write_bytes(b"")
        os.chdir(here)
        yield
    finally:
        os.chdir(place)
        for _ in range(count):
            os.chdir(name)
        os.unlink("a.png")
        for _ in range(count):
            os.chdir("..")
            os.rmdir(name)
        os.chdir(here)


def test_folders_may_lie_deeper_than_python_recurses(tmp_path: Path) -> None:
    with deep_folders(tmp_path, "d", 1100):
        listing = list_folder(str(tmp_path))
    assert [file.name for file in listing.files] == ["d/" * 1100 + "a.png"]


def test_folders_beyond_the_longest_path_are_named(tmp_path: Path) -> None:
    with deep_folders(tmp_path, "d" * 250, 20):
        report = check_folder(str(tmp_path))
    ((name, reason),) = report.bad
    assert name.startswith("d" * 250 + "/")
    assert reason == "cannot be read: File name too long"


# ---------------------------------------------------------------- archives


def read_labels(content: bytes, place: Path) -> np.ndarray:
    return read_idx(content, 1)


def read_tar(content: bytes, place: Path) -> np.ndarray:
    (place / "archive").write_bytes(content)
    found = list(_archives.tar_files(place / "archive", lambda name: name == "wanted", MOST // 2))
    ((_, wanted),) = found
    return np.frombuffer(wanted, np.uint8)


def read_zip(content: bytes, place: Path) -> np.ndarray:
    import zipfile

    (place / "archive").write_bytes(content)
    try:
        with zipfile.ZipFile(place / "archive") as opened:
            return np.frombuffer(celeba._member(opened, "wanted"), np.uint8)
    except (zipfile.BadZipFile, KeyError) as error:  # which `_from_zip` turns into this
        raise DataError(f"cannot be read ({error})") from error


READERS: dict[str, Callable[[bytes, Path], np.ndarray]] = {
    "idx": read_labels,
    "tar": read_tar,
    "zip": read_zip,
}


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda archive: archive.what)
def test_an_archive_is_read_or_refused_within_limits(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_archives, "_MAX_UNPACKED", 4 * MOST)
    monkeypatch.setattr(_archives, "_MAX_HEADERS", MOST // 2)
    monkeypatch.setattr(celeba, "_MAX_BYTES", MOST // 2)
    content, reader = archive.content(), READERS[archive.reader]
    tracemalloc.start()
    try:
        if archive.fate:
            with pytest.raises(DataError, match=archive.fate):
                reader(content, tmp_path)
        else:
            np.testing.assert_array_equal(reader(content, tmp_path), LABELS)
        # Eight million of them are the dictionary of xz; each bomb has fifty at least.
        assert tracemalloc.get_traced_memory()[1] < 16_000_000 + len(content)
    finally:
        tracemalloc.stop()
    assert [path.name for path in tmp_path.iterdir()] in ([], ["archive"]), "nothing is extracted"
    assert not Path("/tmp/duel-escaped").exists()


def test_a_tar_of_too_many_members_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_archives, "_MAX_MEMBERS", 3)
    for count in (2, 3):
        content = b"".join(_header(f"other {number}") for number in range(count)) + _header("wanted", WANTED)
        (tmp_path / "a.tar").write_bytes(content + bytes(1024))
        files = _archives.tar_files(tmp_path / "a.tar", lambda name: name == "wanted", MOST)
        if count == 2:
            assert dict(files) == {"wanted": WANTED}
        else:
            with pytest.raises(DataError, match="holds more than 3 members"):
                list(files)


def _header(name: str, content: bytes = b"") -> bytes:
    import tarfile

    info = tarfile.TarInfo(name)
    info.size = len(content)
    return info.tobuf() + content.ljust(-(-len(content) // 512) * 512, b"\0")


def test_no_gzip_file_expands_further_than_is_reckoned() -> None:
    """The bound of `_idx`: a claim within it is never refused for being impossible."""
    for size in (1, 1000, 1_000_000, 20_000_000):
        assert size < _idx._EXPANSION * len(gzip.compress(bytes(size), 9))


# ---------------------------------------------------------------- MATLAB files, whose parser may crash


class Parser:
    """In the place of SciPy's: keeps what it was handed."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []

    def __call__(self, file: IO[bytes], variable_names: tuple[str, ...]) -> dict[str, np.ndarray]:
        self.seen.append(file.read())
        return {name: np.zeros(1) for name in variable_names}


@pytest.fixture
def parser(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Parser:
    """And `set/a.mat` with the content b"published" where it is looked for."""
    monkeypatch.setenv("DUEL_DATA", str(tmp_path))
    (tmp_path / "set").mkdir()
    (tmp_path / "set/a.mat").write_bytes(b"published")
    made = Parser()
    monkeypatch.setattr(_matlab, "_reader", lambda data_set: made)
    return made


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_the_parser_of_matlab_files_sees_the_checked_bytes_and_no_others(
    parser: Parser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, algorithm: str
) -> None:
    """Also where the file is another one a moment after it was found to be the right one."""
    checksum = hashlib.new(algorithm, b"published").hexdigest()
    arguments = ("set", "a.mat", checksum, "https://example.org/a.mat", ("X",))
    assert list(_matlab.published_arrays(*arguments)) == ["X"]
    assert parser.seen == [b"published"]
    check = io.check_content

    def changed(path: Path, checksum: str) -> Path:
        check(path, checksum)
        path.write_bytes(b"damaged")
        return path

    monkeypatch.setattr(io, "check_content", changed)
    with pytest.raises(
        ChecksumError, match=r"a\.mat changed while it was read: leave it alone and try again"
    ):
        _matlab.published_arrays(*arguments)
    with pytest.raises(ChecksumError, match=r"a\.mat has the"):
        _matlab.published_arrays(*arguments)
    assert parser.seen == [b"published"]


def test_nothing_else_reaches_that_parser() -> None:
    """Neither another file of the package, nor another function than the one that checks."""
    package = Path(_matlab.__file__).parent.parent
    files = {path.name: path.read_text() for path in package.rglob("*.py")}
    assert [name for name, text in files.items() if re.search(r"loadmat|scipy\.io", text)] == ["_matlab.py"]
    assert len(re.findall(r"\b_arrays\(", files["_matlab.py"])) == 2, "its definition and one call"
    callers = {name for name, text in files.items() if re.search(r"_matlab\b", text)}
    assert callers == {"svhn.py", "flowers.py"}
    for name in callers:
        assert re.findall(r"from duel\.datasets\._matlab import (.*)", files[name]) == [
            "published_arrays, whole_numbers"
        ]


# ---------------------------------------------------------------- the table


def test_the_table_in_the_docs_has_every_row() -> None:
    """Its reasons may differ with Pillow's version; `python tests/corpus.py` makes it anew."""
    text = EVIDENCE.read_text()
    for entry in ENTRIES:
        assert f"| {entry.what} | {entry.fate} |" in text
    for archive in ARCHIVES:
        assert f"| {archive.what} | {'is refused' if archive.fate else 'is read'} |" in text


def test_a_png_chunk_longer_than_its_file_takes_no_memory(tmp_path):
    """What the fuzzer found: Pillow asks for as much memory as a chunk behind the pixels announces."""
    whole = png(RGB_ROWS)
    end = whole.index(b"IEND") - 4
    place = tmp_path / "long.png"
    place.write_bytes(whole[:end] + (2_500_000_000).to_bytes(4, "big") + b"teXt" + whole[end:])
    with pytest.raises(DataError, match="a chunk announces 2,500,000,000 bytes, 12 are left"):
        _images.decode(place)
