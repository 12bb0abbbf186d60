"""Models on the Hugging Face Hub: a run's model goes there, and comes back as a run.

What is fetched is a stranger's until it has been looked at: files of known names and bounded sizes, in
formats that hold numbers and text (`duel.hub.folder`), and no code but with the caller's leave.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from duel import io
from duel.errors import DuelError, InputError
from duel.hub.client import PREFIX, Listing, Name, parsed
from duel.run import Run, is_run

if TYPE_CHECKING:
    from duel.run import Weights

__all__ = ["Pushed", "is_name", "load", "local", "parsed", "pull", "push", "write"]


@dataclass(frozen=True)
class Pushed:
    """A model that is on the Hub now: its commit's address, its files and their bytes, who may see it."""

    url: str
    files: dict[str, int]
    private: bool


def is_name(source: str | Path) -> bool:
    """Whether it is `hub:…`, and no path of this machine."""
    return str(source).startswith(PREFIX)


def load(path: str | Path, allow_code: bool | Collection[str] = False) -> Run:
    """The run of a folder, or a model of the Hub as a run: `hub:OWNER/NAME`, `hub:OWNER/NAME@REVISION`.

    allow_code  whether variants from outside the package that its recipe names may be imported; or which

    RunError where the folder holds no run; else as `local`.
    """
    return Run(local(path, allow_code), allow_code)


def local(source: str | Path, allow_code: bool | Collection[str] = False) -> Path:
    """The run folder that a path or `hub:…` stands for; a model of the Hub is fetched into the cache once.

    REVISION is a branch, a tag or a commit; the main branch by default. A whole commit that is in the cache
    needs no network. InputError where there is no such model, DuelError where it does not arrive,
    CheckpointError or RecipeError where it cannot be used.
    """
    if not is_name(source):
        return Path(source)
    name = parsed(str(source))
    if name.commit and is_run(place := _place(name, name.commit)):
        return place
    return _fetched(name, allow_code)


def pull(source: str, out: Path, allow_code: bool | Collection[str] = False) -> Path:
    """A model of the Hub as a run folder `out`, which must be new or empty. Raises as `local` does."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"--out {out} is there already: name a folder that is new or empty")
    place = local(source if is_name(source) else PREFIX + source, allow_code)
    try:
        shutil.copytree(place, out, dirs_exist_ok=True)
    except shutil.Error as error:
        raise DuelError(f"{out} could not be written ({error})") from error
    return out


def push(
    run: Run,
    repo: str,
    *,
    private: bool = False,
    checkpoint: str | int = "last",
    weights: Weights = "ema",
    licence: str | None = None,
    graph: bool = False,
) -> Pushed:
    """Publish a checkpoint's networks with their model card at `repo` (OWNER/NAME), in one commit.

    private  only its owner may see it; of a repository that is there already this must be so
    licence  as the Hub names it ("mit", "cc-by-4.0"); none is given by default
    graph    also the generator as ONNX

    A repository that is there is written to only where `duel` has written it; files of an earlier model that
    this one has not are removed. InputError for a name that does not fit, no login or no right to write;
    RunError or CheckpointError where the run lacks what is asked; DuelError where Hub or network fail.
    """
    from duel.hub import client
    from duel.hub.folder import OURS

    name = parsed(repo)
    if name.revision:
        raise InputError(f"{repo!r} names a revision: a model is pushed to the main branch, leave out the @")
    client.check_login()
    there = _there(name, private)
    with tempfile.TemporaryDirectory(prefix="duel-hub-") as drafts:
        folder = Path(drafts) / "model"
        files = {
            file.name: file for file in write(run, folder, name.repo, checkpoint, weights, licence, graph)
        }
        sizes = {file: path.stat().st_size for file, path in files.items()}
        if there is None:
            client.create(name, private)
        message = f"{run.name}, step {run.checkpoint_step(checkpoint):,}"
        stale = [] if there is None else [file for file in OURS if file in there.sizes and file not in files]
        url = client.commit(name, files, stale, message)
    return Pushed(url, sizes, private if there is None else there.private)


def write(
    run: Run,
    folder: Path,
    repo: str,
    checkpoint: str | int = "last",
    weights: Weights = "ema",
    licence: str | None = None,
    graph: bool = False,
) -> list[Path]:
    """Write what `push` would publish into a folder, which must be new or empty; its files."""
    from duel.hub import card
    from duel.hub import folder as model

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is there already: name a folder that is new or empty")
    if licence is not None and not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", licence):
        raise InputError(
            f"{licence!r} is no licence as the Hub names them, such as mit, apache-2.0 or cc-by-4.0"
        )
    found = model.evidence(run, checkpoint, weights)
    text = card.card(parsed(repo).repo, found, licence, graph)
    folder.mkdir(parents=True, exist_ok=True)
    return model.write(run, folder, found, text, graph)


def _there(name: Name, private: bool) -> Listing | None:
    """An earlier model at that place; None where there is no repository yet. InputError for anything else."""
    from duel.hub import client
    from duel.hub.folder import NEEDED

    if not client.exists(name):
        return None
    found = client.listing(Name(name.repo))
    files = set(found.sizes) - {".gitattributes"}
    if files and not set(NEEDED) <= files:
        raise InputError(f"{name.repo} holds something else than a model of duel: choose another name")
    if private and not found.private:
        raise InputError(
            f"{name.repo} is there and public: make it private on the Hub first, or leave out --private"
        )
    return found


def _fetched(name: Name, allow_code: bool | Collection[str]) -> Path:
    from duel.hub import client
    from duel.hub.folder import MOST_BYTES, NEEDED, unpack

    found = client.listing(name)
    place = _place(name, found.commit)
    if is_run(place):
        return place
    if missing := [file for file in NEEDED if file not in found.sizes]:
        raise InputError(f"{name} is no model of duel: it has no {missing[0]}")
    for file, most in MOST_BYTES.items():
        if found.sizes.get(file, 0) > most:
            raise InputError(
                f"{file} of {name} has {found.sizes[file]:,} bytes, at most {most:,} are fetched"
            )
    files = [file for file in MOST_BYTES if file in found.sizes]
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".part-", dir=place.parent) as drafts:
        model = Path(drafts)
        client.fetch(name, found.commit, files, model)
        for file in files:
            if _size(model / file) > MOST_BYTES[file]:
                raise InputError(f"{file} of {name} is larger than announced: it is not taken")
        origin = f"{PREFIX}{name.repo}@{found.commit}"
        io.make_folder(place, lambda folder: unpack(model, folder, origin, allow_code), lambda: is_run(place))
    return place


def _size(file: Path) -> int:
    return os.lstat(file).st_size


def _place(name: Name, commit: str) -> Path:
    """Where a commit's run folder is kept."""
    return io.cache_folder() / "hub-models" / name.repo.replace("/", "--") / commit
