"""What is fuzzed: for each reader seeds, and a function of some bytes that may raise DuelError."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import shutil
import tomllib
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import made_files
import numpy as np

import duel
from duel import catalog, checkpoint, io, recipe, runs, schedule
from duel import run as run_folders
from duel.datasets import _idx, _images, _matlab, _pickled_arrays
from duel.run import Run
from soak import runs as tiny


@dataclass(frozen=True)
class Target:
    """share: of all inputs. traced: the files whose lines guide the mutations."""

    seeds: list[bytes]
    read: Callable[[bytes], object]
    traced: tuple[str, ...]
    share: float


def targets(folder: Path) -> dict[str, Target]:
    """All of them; the run that some of them damage is trained beneath the folder."""
    run = folder / "run"
    tiny.train(run, 5)
    return {
        "idx": _idx_target(),
        "pickled": _pickled_target(),
        "mat": _mat_target(folder, checked=True, share=0.05),
        "mat-unchecked": _mat_target(folder, checked=False, share=0.0),
        "image": _image_target(folder),
        "toml": _toml_target(folder),
        "tree": _tree_target(),
        "lines": _lines_target(run, folder),
        "manifest": _checkpoint_target(run, folder, "manifest.json", 0.08),
        "state": _checkpoint_target(run, folder, "state.json", 0.04),
        "tensors": _checkpoint_target(run, folder, "generator.safetensors", 0.04),
        "run": _run_target(run, folder),
    }


def _file(module: Any) -> str:
    return str(module.__file__)


def _idx_target() -> Target:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    seeds = [made_files.idx(array), gzip.compress(made_files.idx(array)), made_files.idx(array[0, 0])]
    return Target(seeds, lambda content: _idx.read_idx(content, 3), (_file(_idx),), 0.2)


def _pickled_target() -> Target:
    images = np.zeros((1, 3, 32, 32), np.uint8)
    small = made_files.pickled_dict(
        labels=made_files.pickled_list([b"K\x01"]), data=made_files.pickled_array((2, 3), b"abcdef")
    )
    seeds = [small, made_files.cifar_batch(images, [3]), made_files.pickled_dict(a=b"N", b=b"\x89")]
    return Target(seeds, _pickled_arrays.read_arrays, (_file(_pickled_arrays),), 0.2)


def _mat_target(folder: Path, checked: bool, share: float) -> Target:
    """A published .mat file. SciPy's parser is compiled code that crashes on damaged files, so that what
    duel promises is that it sees nothing but the published bytes; without the check one can watch it crash.
    """
    from scipy.io import loadmat, savemat

    place = folder / "fuzzed.mat"
    plain = folder / "plain.mat"
    arrays = {"X": np.zeros((2, 2, 3, 2), np.uint8), "y": np.array([[1], [10]], np.uint8)}
    savemat(plain, arrays)
    seeds = [plain.read_bytes(), made_files.mat(**arrays), made_files.mat(X=np.zeros(1), y=np.zeros(1))]

    published = made_files.md5(seeds[0])

    def read(content: bytes) -> None:
        place.write_bytes(content)
        if checked:
            io.check_content(place, published)
        found = _matlab._arrays(loadmat, place, ("X", "y"))
        _matlab.whole_numbers(found["y"], 1, 10, "the labels")

    return Target(seeds, read, (_file(_matlab), _file(io)), share)


def _image_target(folder: Path) -> Target:
    place = folder / "fuzzed"
    kinds = {
        "PNG": "RGBA",
        "JPEG": "RGB",
        "WEBP": "RGB",
        "BMP": "RGB",
        "GIF": "P",
        "TIFF": "RGB",
        "PPM": "RGB",
    }
    seeds = [
        made_files.encoded(made_files.noise(1, mode if mode != "P" else "RGB", (5, 4)).convert(mode), kind)
        for kind, mode in kinds.items()
    ]

    def read(content: bytes) -> None:
        place.write_bytes(content)
        _images.pixels(_images.decode(place).square, 8)

    return Target(seeds, read, (_file(_images),), 0.12)


def _toml_target(folder: Path) -> Target:
    place = folder / "fuzzed.toml"

    def read(content: bytes) -> None:
        place.write_bytes(content)
        recipe.resolve(recipe.read(place))

    seeds = [path.read_bytes() for path in list(catalog.recipes().values())[:6]]
    full = recipe.to_toml(recipe.resolve(recipe.read("r3gan"))).encode()
    return Target([*seeds, full], read, (_file(recipe), _file(schedule), tomllib.__file__), 0.06)


_VALUES: tuple[Any, ...] = (
    *(0, 1, -1, 2**31, 2**63, 10**400, 0.0, -0.5, 1e308, float("nan"), float("inf")),
    *("", "dense", "adam", "ring", "normal", "a:b", "os:path", "../x", "\x00", "x" * 300, "none", "r1,noise"),
    *(True, False, None, [], [1], [[1]], ["r1"], [{}], [{"name": "r1"}], [{"name": 3}], {}, {"name": "ada"}),
    *({"values": [1, 2], "at": [0, 5]}, {"values": [1, 2], "at": [0, 5], "shape": "step"}),
    *({"values": []}, {"values": [1e308, 1e308], "at": [0, 1], "shape": "exponential"}, {"name": {}}),
)


def _tree_target() -> Target:
    """Well-formed trees: each pair of bytes puts one value at one key of a resolved recipe."""
    base = recipe.resolve(recipe.read("r3gan")).to_tree()
    base |= {"augmentations": [{"name": "noise"}], "constraints": []}
    keys = [
        *recipe.flatten(base),
        *base,
        "penalties.r1.every",
        "n_critic",
        "scratch.gradient",
        "x",
        "x.y",
        "",
    ]

    def read(content: bytes) -> None:
        pairs = zip(content[::2], content[1::2], strict=False)
        changes = {keys[key % len(keys)]: deepcopy(_VALUES[value % len(_VALUES)]) for key, value in pairs}
        recipe.resolve(recipe.change(base, changes))

    seeds = [b"", bytes(range(4)), bytes(range(100, 108))]
    return Target(seeds, read, (_file(recipe), _file(schedule), _file(catalog)), 0.06)


def _lines_target(run: Path, folder: Path) -> Target:
    """events.jsonl and metrics.jsonl, as a resume reads and trims them."""
    place = shutil.copytree(run, folder / "lines")
    it = Run(place)

    def read(content: bytes) -> None:
        for name in ("events.jsonl", "metrics.jsonl"):
            (place / name).write_bytes(content)
        it.drop_events_after(3)
        list(it.events("step")), list(it.metrics())

    seeds = [b"\n".join((run / "events.jsonl").read_bytes().splitlines()[:4]) + b"\n", b'{"step": 1}\n{"st']
    return Target(seeds, read, (_file(io), _file(run_folders)), 0.12)


def _checkpoint_target(run: Path, folder: Path, name: str, share: float) -> Target:
    """One file of a checkpoint, with a manifest whose seal is right: what a stranger could hand over."""
    place = shutil.copytree(run / "checkpoints" / "00000005", folder / f"checkpoint-{name}")
    file = place / name
    others = {each.name: each.read_bytes() for each in place.iterdir() if each.name != "manifest.json"}
    original = file.read_bytes()
    if name == "manifest.json":
        original = original[: -checkpoint._SEAL_LENGTH]

    def read(content: bytes) -> None:
        if name == "manifest.json":
            file.write_bytes(content + checkpoint._seal(content))
        else:
            file.write_bytes(content)
            (place / "manifest.json").write_bytes(checkpoint._manifest(others | {name: content}))
        checkpoint.load(place)

    return Target([original], read, (_file(checkpoint), _file(io)), share)


def _run_target(run: Path, folder: Path) -> Target:
    """A run folder, one of whose files is damaged: the first byte says which; all that one can ask of it."""
    place = shutil.copytree(run, folder / "asked")
    names = ("provenance.json", "run.json", "recipe.toml")
    originals = [(place / name).read_bytes() for name in names]

    def read(content: bytes) -> None:
        which = content[0] % len(names) if content else 0
        file = place / names[which]
        file.write_bytes(content[1:])
        try:
            it = duel.load(place)
            runs.listed(folder)
            for ask in (
                lambda: it.recipe,
                lambda: it.name,
                lambda: it.spec,
                lambda: it.labels(3),
                lambda: it.sample(2),
            ):
                _asked(ask)
        finally:
            file.write_bytes(originals[which])

    seeds = [bytes([number]) + original for number, original in enumerate(originals)]
    return Target(seeds, read, (_file(run_folders), _file(io), _file(runs)), 0.02)


def _asked(ask: Callable[[], object]) -> None:
    """One question; its refusal must not hide the next one's."""
    with contextlib.suppress(duel.DuelError):
        ask()


def reproduction(name: str, content: bytes) -> str:
    """How to see it again."""
    return f"python -m soak replay --target {name} --input {content.hex() or json.dumps('')}"


def quiet() -> None:
    """Warnings of the readers' libraries would fill the screen; syncing would take most of the time."""
    import warnings

    warnings.simplefilter("ignore")
    os.fsync = lambda descriptor: None  # type: ignore[assignment]
