"""Do data that are larger than memory slow a training down, and does its memory stay flat?

Makes images as a folder and as WebDataset shards, then, one process per row: decodes them into the cache, and
draws and converts epochs of batches (as the training step does) from memory and from the memory-mapped cache.
Beside each rate stands what the recipe's step needs here.

The processes that draw may take no more than --limit MiB of further anonymous memory (RLIMIT_DATA: private
writable pages; those of a mapped file do not count), and the training split has twice that. "cold": the
file's pages are thrown out of the system's cache before each epoch (posix_fadvise), as if there was no memory
for them; the column "read" says how much then came from the disk.

    python bench/data.py [--side 64] [--limit 64] [--epochs 3] [--recipe dcgan] [--folder DIR]
"""

import argparse
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from duel import recipe as recipes
from duel.batches import Batches
from duel.cost import step_seconds
from duel.datasets import _decoded
from duel.datasets._base import Data
from duel.datasets.folder import Folder
from duel.datasets.shards import Shards
from duel.train import _to_device

MB = 1 << 20
SHARD = 2000  # samples


# ---------------------------------------------------------------- the images


def made(seed: int, side: int) -> bytes:
    """A JPEG of soft coloured fields, another for each seed."""
    fields = np.random.default_rng(seed).integers(256, size=(6, 6, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(fields).resize((side, side), Image.Resampling.BICUBIC).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def write(folder: Path, count: int, side: int) -> None:
    """The images number 0 to count − 1 as files in folder/images and as shards in folder/shards."""
    (folder / "images").mkdir(parents=True)
    (folder / "shards").mkdir()
    for first in range(0, count, SHARD):
        with tarfile.open(folder / f"shards/{first // SHARD:03}.tar", "w") as archive:
            for seed in range(first, min(first + SHARD, count)):
                content = made(seed, side)
                (folder / f"images/{seed:06}.jpg").write_bytes(content)
                member = tarfile.TarInfo(f"{seed:06}.jpg")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))


def loaded(folder: Path, source: str, side: int) -> Data:
    if source == "shards":
        return Shards(pattern=f"{folder}/shards/*.tar", resolution=side).load()
    return Folder(path=str(folder / "images"), resolution=side).load()


# ---------------------------------------------------------------- in a process of its own


def status(field: str) -> int:
    """Bytes, as the kernel counts them for this process ("RssAnon", "VmData")."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"this system does not say {field}")


def from_disk() -> int:
    """Bytes that this process has made the disk read."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("read_bytes")).split()[1])


class Peak(threading.Thread):
    """The most anonymous memory beyond that at the start, looked at every hundredth of a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.base = self.most = status("RssAnon")
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.01):
            self.most = max(self.most, status("RssAnon"))

    def __enter__(self) -> "Peak":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def growth(self) -> int:
        return self.most - self.base


def decode(given: argparse.Namespace) -> dict[str, Any]:
    """Decode all images once, into the cache. Loading the library is not counted."""
    if given.source == "shards":
        import webdataset  # noqa: F401
    began = time.perf_counter()
    with Peak() as peak:
        data = loaded(given.folder, given.source, given.side)
    seconds = time.perf_counter() - began
    count = sum(len(split) for split in data.splits.values())
    return {"rates": [count / seconds], "anonymous": peak.growth(), "bytes": count * given.side**2 * 3}


def dropped(place: Path) -> None:
    """Throw the file's pages out of the system's cache; none may be mapped."""
    with (place / "images.npy").open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def samples_of(place: Path) -> np.ndarray:
    stored = _decoded.read(place)
    assert stored is not None
    return stored.splits()["train"].samples


def draw(given: argparse.Namespace) -> dict[str, Any]:
    """Epochs of batches from the cache, under the limit; the epoch before the first counts nothing."""
    train: Any = loaded(given.folder, given.source, given.side).splits["train"].samples
    place = Path(train.filename).parent
    it = resolved(given.recipe)
    one_epoch(train[:1000], it.batch_size, it)  # the first batches load libraries
    del train
    size = samples_of(place).nbytes
    rates, read, warm = [], 0, given.how == "warm"
    with Peak() as peak:
        if given.limited:
            allowed = status("VmData") + given.limit * MB
            resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))
        kept = np.array(samples_of(place)) if given.how == "memory" else None
        for epoch in range(given.epochs + warm):
            if given.how == "cold":
                dropped(place)
            before, began = from_disk(), time.perf_counter()
            drawn = one_epoch(samples_of(place) if kept is None else kept, it.batch_size, it)
            if epoch >= warm:
                rates.append(drawn / (time.perf_counter() - began))
                read = max(read, from_disk() - before)
    return {"rates": rates, "anonymous": peak.growth(), "bytes": size, "read": read}


def one_epoch(samples: np.ndarray, size: int, it: recipes.Recipe) -> int:
    batches = Batches(samples, size, 0)
    for _ in range(len(samples) // size):
        _to_device(batches.next(), it)
    return batches.position


def step(given: argparse.Namespace) -> dict[str, Any]:
    """Real images per second that the recipe's training step uses up."""
    data, it = loaded(given.folder, given.source, given.side), resolved(given.recipe)
    return {"rates": [it.drawn(1) / step_seconds(it, data)], "anonymous": 0, "bytes": 0}


def resolved(name: str) -> recipes.Recipe:
    tree = recipes.change(recipes.read(name), {"steps": 1, "device": "cpu"})
    return recipes.on_this_machine(recipes.resolve(tree))


# ---------------------------------------------------------------- the table

ACTIONS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "decode": decode,
    "draw": draw,
    "step": step,
}


def measured(given: argparse.Namespace, folder: Path, *arguments: str) -> dict[str, Any] | None:
    """What a process of its own found; None where its memory did not suffice."""
    shared = ["--folder", str(folder), "--side", str(given.side), "--limit", str(given.limit)]
    shared += ["--epochs", str(given.epochs), "--recipe", given.recipe]
    done = subprocess.run(
        [sys.executable, __file__, *shared, "--action", *arguments],
        env={**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode and "MemoryError" in done.stderr:
        return None
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def row(what: str, found: dict[str, Any] | None, need: float | None) -> str:
    if found is None:
        return f"| {what} | no: the memory does not suffice | | | | |"
    rates = found["rates"]
    spread = f" ({min(rates):,.0f}–{max(rates):,.0f})" if len(rates) > 1 else ""
    middle = statistics.median(rates)
    cells = [
        f"{middle:,.0f}{spread}",
        f"{middle / need:.0f}×" if need else "–",
        f"{found['bytes'] / MB:,.0f}",
        f"{found['anonymous'] / MB:,.1f}",
        f"{found['read'] / MB:,.0f}" if "read" in found else "–",
    ]
    return f"| {what} | " + " | ".join(cells) + " |"


def table(given: argparse.Namespace, place: Path) -> Iterator[str]:
    count = round(2 * given.limit * MB / (0.8 * 3 * given.side**2))
    small, large = place / "small", place / "large"
    write(small, count // 4, given.side)
    write(large, count, given.side)
    yield f"{count:,} images, {given.side}×{given.side}; limit {given.limit} MiB of anonymous memory"
    yield ""
    yield "| | images/s, median (range) | times the step's need | data, MiB | anonymous, MiB | read, MiB |"
    yield "|---|---|---|---|---|---|"
    for folder, much in ((small, "a quarter"), (large, "all")):
        for source in ("folder", "shards"):
            found = measured(given, folder, "decode", "--source", source)
            yield row(f"decode {much}, {source}", found, None)
    needed = measured(given, large, "step", "--source", "folder")
    assert needed is not None
    need = needed["rates"][0]
    yield row(f"a step of {given.recipe}", needed, None)
    yield row("draw from memory, no limit", measured(given, large, "draw", "--how", "memory"), need)
    yield row("draw from memory", measured(given, large, "draw", "--how", "memory", "--limited"), need)
    for folder, much, source, how in [
        (small, "a quarter", "folder", "cold"),
        (large, "all", "folder", "warm"),
        (large, "all", "folder", "cold"),
        (large, "all", "shards", "cold"),
    ]:
        found = measured(given, folder, "draw", "--how", how, "--source", source, "--limited")
        yield row(f"draw {much} from the cache of the {source}, {how}", found, need)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--limit", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--recipe", default="dcgan")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--action", choices=ACTIONS, help=argparse.SUPPRESS)
    parser.add_argument("--source", choices=("folder", "shards"), default="folder", help=argparse.SUPPRESS)
    parser.add_argument("--how", choices=("memory", "warm", "cold"), default="warm", help=argparse.SUPPRESS)
    parser.add_argument("--limited", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.action:
        print(json.dumps(ACTIONS[given.action](given)))
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as place:
        for line in table(given, Path(place)):
            print(line, flush=True)


if __name__ == "__main__":
    main()
