"""The runs that the soak trains, damages and takes up again: a dense GAN of a few hundred weights."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from PIL import Image

import duel
from duel import pictures, run
from duel.errors import RunError
from duel.run import Run

CHANGES: dict[str, Any] = {
    "data.name": "ring",
    "data.samples": 400,
    "network.generator_hidden": [8],
    "network.discriminator_hidden": [8],
    "latent.size": 3,
    "batch_size": 8,
    "threads": 1,
    "log.every": 1,
    "sample.every": 1000,
    "checkpoint.every": 5,
    "ema.decay": 0.9,
}


def settings(**changes: Any) -> list[str]:
    """The changes as the command line takes them."""
    merged = {**CHANGES, **{key.replace("__", "."): value for key, value in changes.items()}}
    return [part for key, value in merged.items() for part in ("--set", f"{key}={value}")]


def train(out: Path, steps: int, **changes: Any) -> list[dict[str, Any]]:
    """Train from start to end, or take up; the events."""
    with duel.train("gan", out=out, steps=steps, changes={**CHANGES, **changes}) as session:
        return list(session)


def content(path: Path, step: int | None = None) -> str:
    """The SHA-256 of all tensors and the state of a checkpoint (the newest whole one)."""
    it = Run(path)
    if step is None:
        step = it.newest_whole()[0]
    if step is None:
        raise RunError(f"{path} has no checkpoint")
    tensors, state = it.load_checkpoint(step)
    digest = hashlib.sha256(repr(sorted(state.items())).encode())
    for group, part in sorted(tensors.items()):
        for name, tensor in sorted(part.items()):
            digest.update(f"{group}.{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def without_curves() -> None:
    """Drawing them takes longer than training so small a network."""
    pictures.curves = lambda events: Image.new("L", (9, 9))  # type: ignore[assignment]


def is_run(path: Path) -> bool:
    """Whether a run has begun there."""
    return run.is_run(path)
