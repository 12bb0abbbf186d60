"""Point sets drawn from Gaussians on known places: what can be counted exactly, mode by mode."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from duel.datasets._base import SPLITS, Data, DataSet, Spec, Split, fingerprint
from duel.options import options

if TYPE_CHECKING:
    import numpy as np

_SEED = 20140610  # of the data themselves: they are the same in every run, whatever the run's seed
_HELD_OUT = 10_000


@dataclass(frozen=True)
class Modes:
    """Where the Gaussians are (float64 K×2) and their standard deviation, both in original units.

    `scale` is the factor between original units and the stored values in [-1, 1].
    """

    centres: np.ndarray
    sigma: float
    scale: float


@options
class ModeSet(DataSet):
    """Base of the sets of Gaussians in the plane: a subclass says where they are.

    samples  how many points the training split has
    """

    samples: int = 50_000

    def __post_init__(self) -> None:
        if not 1 <= self.samples <= 10_000_000:
            raise ValueError(f"samples is {self.samples}, allowed are 1 to 10,000,000")

    @abstractmethod
    def modes(self) -> Modes:
        """Centres and σ in original units, and the scale."""


def load_modes(name: str, modes: Modes, samples: int) -> Data:
    """float32 N×2 in [-1, 1] with the mode's index as label; 10,000 validation and test points each."""
    counts = (samples, _HELD_OUT, _HELD_OUT)
    splits = {
        split: _draw(modes, count, stream)
        for stream, (split, count) in enumerate(zip(SPLITS, counts, strict=True))
    }
    spec = Spec("points", (2,), tuple(str(mode) for mode in range(len(modes.centres))), modes.scale)
    return Data(name, spec, splits, fingerprint(spec, splits), modes=modes)


def _draw(modes: Modes, count: int, stream: int) -> Split:
    """`count` points, every mode equally likely, from a stream of the split's own."""
    import numpy as np

    rng = np.random.Generator(np.random.PCG64([_SEED, stream]))
    labels = rng.integers(len(modes.centres), size=count, dtype=np.int64)
    points = modes.centres[labels] + modes.sigma * rng.standard_normal((count, 2))
    return Split((points / modes.scale).astype(np.float32), labels)
