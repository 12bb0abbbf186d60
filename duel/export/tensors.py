"""A run's networks as one safetensors file: the weights bit for bit, and what they are in its header."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from duel import checkpoint as checkpoints
from duel import io
from duel.errors import CheckpointError, InputError
from duel.export.about import about, rebuilt
from duel.export.chosen import chosen
from duel.export.files import suffix_of
from duel.export.written import Written

if TYPE_CHECKING:
    from torch.nn import Module

    from duel.run import Run, Weights

_ALIGNED = 8  # bytes; the format's data begin at such a place


def write_safetensors(
    run: Run,
    out: Path,
    checkpoint: str | int = "last",
    weights: Weights = "ema",
    also: Sequence[str] = (),
) -> Written:
    """Write weights and buffers of the generator, and of the networks that `also` names, to one file.

    The tensors' names begin with their network's, `generator.…`. The header's metadata are those of `about`.
    InputError for another suffix or network, RunError or CheckpointError where the run lacks what is asked.
    """
    from safetensors.torch import save

    suffix_of(out, ".safetensors")
    modules = chosen(run, run.networks(checkpoint, weights), also)
    tensors = {name: tensor.detach().contiguous() for name, tensor in checkpoints.joined(modules).items()}
    metadata = {"format": "pt", **about(run, checkpoint, weights)}
    io.write_out(out, _in_order(save(tensors, metadata)))
    return Written(out, ", ".join(modules))


def _in_order(content: bytes) -> bytes:
    """The same file with its metadata sorted: the library writes them in another order each time."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNED)
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def load_safetensors(path: str | Path, allow_code: bool = False) -> tuple[dict[str, Module], dict[str, str]]:
    """The networks of a file that `write_safetensors` wrote, by name, in evaluation mode; and its metadata.

    Needs nothing of the run. `allow_code`: whether networks from outside the package may be imported.
    CheckpointError where the file cannot be used, RecipeError where this version cannot build its networks.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            groups = checkpoints.parted({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
        networks = rebuilt(metadata, allow_code).named()
        found = {name: networks[name] for name in networks if name in groups}
        for name, module in found.items():
            module.load_state_dict(groups[name])
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}): name another file") from error
    except (SafetensorError, KeyError, TypeError, ValueError, RecursionError, RuntimeError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path} is not a whole file of `duel export --format safetensors` ({first})"
        ) from error
    return found, metadata
