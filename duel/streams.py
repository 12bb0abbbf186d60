"""Random numbers by purpose: each use has a stream of its own, spawned from the seed.

So one more draw in one place changes nothing elsewhere, and two engines that use these streams see the
same weights, the same order of the data and the same latent vectors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from duel.errors import InputError

if TYPE_CHECKING:
    import numpy as np

LARGEST_SEED = 2**63 - 1  # what torch's generator takes

Purpose = Literal["init", "data", "latent", "fixed", "eval"]
# The position is part of every stream: append only.
_PURPOSES: tuple[Purpose, ...] = ("init", "data", "latent", "fixed", "eval")


def stream(seed: int, purpose: Purpose, number: int = 0) -> np.random.Generator:
    """NumPy's PCG64 generator number `number` of one purpose under a seed (0 to 2⁶³ − 1, else InputError)."""
    import numpy as np

    if not 0 <= seed <= LARGEST_SEED:
        raise InputError(f"the seed is {seed}, allowed are integers from 0 to {LARGEST_SEED}")
    sequence = np.random.SeedSequence(seed, spawn_key=(_PURPOSES.index(purpose), number))
    return np.random.Generator(np.random.PCG64(sequence))


def save(rng: np.random.Generator) -> dict[str, Any]:
    """The generator's state as JSON values."""
    return dict(rng.bit_generator.state)


def restore(rng: np.random.Generator, state: dict[str, Any]) -> None:
    """Put a generator into a state from `save`. ValueError for anything else."""
    rng.bit_generator.state = state


def draw_latent(rng: np.random.Generator, count: int, size: int, prior: str) -> np.ndarray:
    """`count` latent vectors (count × size, float32): N(0, 1), or U(−1, 1) for the prior "uniform".

    The first k of n vectors are the k that a smaller draw would give.
    """
    import numpy as np

    if prior == "uniform":
        return (2 * rng.random((count, size), np.float32) - 1).astype(np.float32)
    return rng.standard_normal((count, size), np.float32)
