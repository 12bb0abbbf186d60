"""Checkpoints: one folder per step, with everything that changes during training.

    generator.safetensors discriminator.safetensors   the networks' parameters and buffers
    encoder.safetensors                                where the game has one
    ema.safetensors                                    the averages, `generator.…`, where they are kept
    optimizers.safetensors                             both optimizers' moments, `generator.3.exp_avg`, …
    state.json                                         position in the data, random states, step
    manifest.json                                      size and SHA-256 of each file, then its own SHA-256

A folder is filled beside its place and then renamed, so a checkpoint is there whole or not at all.
Nothing is unpickled when one is read: safetensors and JSON only.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duel import io
from duel.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module
    from torch.optim import Optimizer

_MANIFEST = "manifest.json"
_STATE = "state.json"
_FORMAT = 1


Groups = Mapping[str, Mapping[str, Any]]  # file stem → name → tensor or array


class Damaged(CheckpointError):
    """The content is proved to be another than the one that was saved."""


class Unfit(CheckpointError):
    """Tensors that these networks cannot take; `reason` says the first that does not fit."""

    def __init__(self, name: str, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"the checkpoint's {name} does not fit the run's recipe.toml ({reason}): was that file edited?"
        )


def folder_name(step: int) -> str:
    """The name of a step's folder: 2000 → "00002000"."""
    return f"{step:08d}"


def steps(folder: Path) -> list[int]:
    """The steps that have a checkpoint beneath `folder`, in order.

    CheckpointError where it cannot be listed.
    """
    try:
        # A folder that cannot be listed must not look like an empty one: training would begin anew.
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_dir()]
    except _NOT_THERE:
        return []
    except OSError as error:
        raise _unread(folder, error) from error
    return sorted(int(name) for name in names if name.isdecimal() and name == folder_name(int(name)))


def save(folder: Path, step: int, tensors: Groups, state: dict[str, Any]) -> Path:
    """Write the checkpoint of a step beneath `folder` and return its place.

    `tensors` maps a file's stem to the tensors (or arrays) that go into it; `state` is what JSON can hold.
    """
    final = folder / folder_name(step)
    beside = folder / f".{final.name}.{os.getpid()}.part"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        contents = {f"{stem}.safetensors": _to_bytes(group) for stem, group in tensors.items()}
        contents[_STATE] = json.dumps({"format": _FORMAT, "step": step, **state}).encode()
        for name, content in contents.items():
            io.write_atomic(beside / name, content)
        io.write_atomic(beside / _MANIFEST, _manifest(contents))
        io.publish_folder(beside, final)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return final


def digest(place: Path) -> str:
    """The SHA-256 of a checkpoint's manifest, which holds those of all of its files."""
    return io.file_digest(place / _MANIFEST)


def verify(place: Path) -> None:
    """CheckpointError unless every file of the checkpoint is there as its manifest says."""
    _verified(place)


def damage(place: Path) -> str | None:
    """What is wrong with the content of a checkpoint, in one sentence; None where it is whole.

    CheckpointError where that cannot be told: a file cannot be read at the moment (only one that is not
    there is damage), or another version wrote it.
    """
    try:
        _verified(place)
    except Damaged as error:
        return str(error)
    return None


def _to_bytes(group: Mapping[str, Any]) -> bytes:
    import numpy as np

    if any(isinstance(value, np.ndarray) for value in group.values()):
        from safetensors.numpy import save as from_arrays

        return from_arrays({name: np.asarray(value, order="C") for name, value in group.items()})
    from safetensors.torch import save as from_tensors

    return from_tensors({name: tensor.detach().contiguous() for name, tensor in group.items()})


def load(place: Path) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """The tensors by file stem, and the state. CheckpointError where they cannot be had."""
    from safetensors import SafetensorError
    from safetensors.torch import load as from_bytes

    contents, state = _verified(place)
    try:
        tensors = {
            name.removesuffix(".safetensors"): from_bytes(content)
            for name, content in contents.items()
            if name.endswith(".safetensors")
        }
    except (SafetensorError, KeyError, ValueError, TypeError, RecursionError) as error:
        raise CheckpointError(f"the checkpoint {place} cannot be read: {error}") from error
    return tensors, state


def _manifest(contents: dict[str, bytes]) -> bytes:
    files = {
        name: {"bytes": len(content), "sha256": io.sha256(content)} for name, content in contents.items()
    }
    body = json.dumps({"format": _FORMAT, "files": files}, indent=2).encode().removesuffix(b"\n}")
    return body + _seal(body)


def _seal(body: bytes) -> bytes:
    """How a manifest ends: the SHA-256 of all of its bytes before, and the closing brace."""
    return f',\n  "sha256": "{io.sha256(body)}"\n}}\n'.encode()


_SEAL_LENGTH = len(_seal(b""))


# A missing file is damage; what else keeps one from being read (EIO, EACCES, EMFILE, …) may pass.
_NOT_THERE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


def _verified(place: Path) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The files that the manifest lists, each with the size and checksum that it promises; and the state."""
    try:
        written = (place / _MANIFEST).read_bytes()
        if _seal(written[:-_SEAL_LENGTH]) != written[-_SEAL_LENGTH:]:
            raise Damaged(f"the checkpoint {place} is damaged: its manifest does not match its checksum")
        manifest = _of_this_format(place / _MANIFEST, written)
        files = {name: _checked(_inside(place, name), entry) for name, entry in manifest["files"].items()}
        return files, _of_this_format(place / _STATE, files[_STATE])
    except _NOT_THERE as error:
        raise Damaged(f"the checkpoint {place} cannot be read: {error}") from error
    except OSError as error:
        raise _unread(place, error) from error
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise Damaged(f"the checkpoint {place} cannot be read: {error}") from error


def _unread(place: Path, error: OSError) -> CheckpointError:
    what = f"{error.filename or place} ({error.strerror or error})"
    return CheckpointError(f"{what} cannot be read, which says nothing of what it holds: try again")


def _of_this_format(file: Path, content: bytes) -> dict[str, Any]:
    """The JSON object. CheckpointError where another version wrote it, ValueError where there is none."""
    value = json.loads(content)
    if not isinstance(value, dict):
        raise ValueError(f"{file.name} holds {type(value).__name__}, expected a JSON object")
    version = value.get("format")
    if type(version) is not int or version != _FORMAT:
        raise CheckpointError(f"{file} has format {version!r}; this version reads format {_FORMAT}")
    return value


def _inside(place: Path, name: str) -> Path:
    """A file of the checkpoint by its bare name: a manifest from a stranger names nothing else."""
    if name != Path(name).name or name in ("", ".", ".."):
        raise Damaged(f"the manifest of {place} names {name!r}, which lies outside the checkpoint")
    return place / name


def _checked(path: Path, entry: dict[str, Any]) -> bytes:
    if path.stat().st_size != entry["bytes"]:
        raise Damaged(f"the checkpoint is damaged: {path} has another size than its manifest says")
    content = path.read_bytes()
    if io.sha256(content) != entry["sha256"]:
        raise Damaged(f"the checkpoint is damaged: {path} does not match its checksum")
    return content


def sweep(folder: Path) -> None:
    """Remove what a killed process left of a checkpoint that it had not finished."""
    for rest in folder.glob(".*.part"):
        shutil.rmtree(rest, ignore_errors=True)


def set_aside_after(folder: Path, step: int | None) -> None:
    """Rename the checkpoints after a step (all of them for None) to `STEP.damaged`, out of the way."""
    for each in steps(folder):
        if step is None or each > step:
            place = folder / folder_name(each)
            aside = place.with_name(f"{place.name}.damaged")
            shutil.rmtree(aside, ignore_errors=True)
            place.rename(aside)


def prune(folder: Path, keep: int, spare: int | None) -> None:
    """Remove all but the newest `keep` checkpoints; the step `spare` stays in any case."""
    for step in steps(folder)[:-keep]:
        if step != spare:
            shutil.rmtree(folder / folder_name(step))


def joined(modules: dict[str, Module]) -> dict[str, Tensor]:
    """The tensors of several modules in one group, `module.tensor`."""
    return {
        f"{name}.{key}": value
        for name, module in modules.items()
        for key, value in module.state_dict().items()
    }


def parted(group: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """`joined` undone: module → its tensors."""
    found: dict[str, dict[str, Tensor]] = {}
    for key, value in group.items():
        module, _, name = key.partition(".")
        found.setdefault(module, {})[name] = value
    return found


# ---------------------------------------------------------------- torch's objects to tensors and back


def optimizer_tensors(player: str, optimizer: Optimizer) -> dict[str, Tensor]:
    """An optimizer's state as flat tensors, `player.parameter.name`."""
    state = optimizer.state_dict()["state"]
    return {
        f"{player}.{index}.{name}": value for index, entry in state.items() for name, value in entry.items()
    }


def restore_optimizer(player: str, optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put the tensors of `optimizer_tensors` back; learning rates and the like stay as they are."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        owner, index, name = key.split(".")
        if owner == player:
            state.setdefault(int(index), {})[name] = _laid_out_like(parameters[int(index)], value)
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _laid_out_like(parameter: Tensor, value: Tensor) -> Tensor:
    """The value in the parameter's memory format: sums over another one differ in the last bit."""
    import torch

    return torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value.clone()


def restore_module(module: Module, name: str, tensors: Groups) -> None:
    """Load a module's tensors. CheckpointError where they do not fit the recipe's networks."""
    try:
        module.load_state_dict(tensors[name])
    except KeyError as error:
        raise CheckpointError(f"the checkpoint has no {name}: it is another recipe's") from error
    except RuntimeError as error:
        first = str(error).splitlines()[1:2] or [str(error)]
        raise Unfit(name, first[0].strip().rstrip(".")) from error
