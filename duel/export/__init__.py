"""Taking samples, codes, walks and networks out of a run, into files that others read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from duel.errors import InputError
from duel.export.files import (
    class_folders,
    to_channels,
    write_codes,
    write_reconstructions,
    write_samples,
    write_walks,
)
from duel.export.graph import write_onnx
from duel.export.tensors import load_safetensors, write_safetensors
from duel.export.written import Written

if TYPE_CHECKING:
    from duel.run import Run, Weights

__all__ = [
    "Written",
    "class_folders",
    "load_safetensors",
    "to_channels",
    "write",
    "write_codes",
    "write_onnx",
    "write_reconstructions",
    "write_safetensors",
    "write_samples",
    "write_walks",
]

Format = Literal["onnx", "safetensors", "images"]

_PLACES: dict[Format, str] = {"onnx": "model.onnx", "safetensors": "model.safetensors", "images": "images"}


def write(
    run: Run,
    form: Format = "onnx",
    out: Path | None = None,
    checkpoint: str | int = "last",
    weights: Weights = "ema",
    also: Sequence[str] = (),
    n: int | None = None,
    seed: int | None = None,
) -> list[Written]:
    """Write a run's generator in one of three formats, or images that it makes; what was written.

    out      the file, or the folder of the images; by default model.onnx, model.safetensors or images
    also     "encoder", "discriminator": of the first two formats, networks beside the generator
    n, seed  of the images: how many (64) and of which latent vectors (0)

    InputError for what does not apply to the format; else as `write_onnx`, `write_safetensors` and
    `write_samples` do.
    """
    if form != "images" and (n is not None or seed is not None):
        raise InputError(f"--n and --seed are of images, the format is {form}: leave them out")
    if form == "images" and also:
        raise InputError("--with names networks, and images are of the generator alone: leave it out")
    place = Path(_PLACES[form]) if out is None else out
    if form == "onnx":
        return write_onnx(run, place, checkpoint, weights, also)
    if form == "safetensors":
        return [write_safetensors(run, place, checkpoint, weights, also)]
    if place.suffix:
        raise InputError(f"--out was given {place}, images go into a folder: name one without a suffix")
    count = 64 if n is None else n
    write_samples(run, place, count, seed or 0, checkpoint, weights=weights)
    return [Written(place, f"{count:,} {'image' if count == 1 else 'images'}")]
