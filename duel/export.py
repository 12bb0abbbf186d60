"""Taking samples out of a run, into files."""

from __future__ import annotations

import io as bytes_io
from pathlib import Path

import numpy as np

from duel import io, pictures
from duel.errors import InputError
from duel.run import Run


def write_samples(run: Run, out: Path, n: int = 64, seed: int = 0, checkpoint: str | int = "last") -> Path:
    """Draw `n` samples and write them: `.png` one sheet, `.npz` the array `samples`, else a folder of PNGs.

    Images are in [0, 1] (NPZ) or 8-bit (PNG), points in original units. Returns `out`. InputError for
    a file of another kind, and for a folder of single pictures of points.
    """
    spec = run.spec
    suffix = out.suffix.lower()
    if suffix not in ("", ".png", ".npz"):
        raise InputError(f"--out was given {out}: write FILE.png, FILE.npz or a folder without a suffix")
    if suffix == "" and spec.kind == "points":
        raise InputError(
            f"{run.path} makes points, which have no single pictures: write FILE.png or FILE.npz"
        )
    if suffix == "" and out.is_dir() and any(out.iterdir()):
        raise InputError(f"--out {out} holds other files: name a folder that is new or empty")
    samples = run.sample(n, seed, checkpoint)
    out.parent.mkdir(parents=True, exist_ok=True)
    if suffix == ".npz":
        buffer = bytes_io.BytesIO()
        np.savez_compressed(buffer, samples=samples)
        io.write_atomic(out, buffer.getvalue())
    elif suffix == ".png":
        stored = samples * 2 - 1 if spec.kind == "image" else samples / np.float32(spec.scale)
        io.write_atomic(out, pictures.png(pictures.sheet(stored, spec)))
    else:
        out.mkdir(exist_ok=True)
        for number, image in enumerate(samples):
            io.write_atomic(out / f"{number:05d}.png", pictures.png(pictures.single(image)))
    return out
