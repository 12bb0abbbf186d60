"""Endless batches of real samples, and a position that can be saved."""

from __future__ import annotations

import numpy as np

from duel import streams


class Batches:
    """Batches of `size` samples in a fresh random order each epoch.

    An epoch is as many samples as there are; the short last batch is filled up from the next epoch, so
    every batch has the same size and no sample is left out. Everything follows from `seed` and
    `position` (samples drawn so far): the order of epoch e has its own random stream, so any position
    can be taken up again at once.
    """

    def __init__(self, samples: np.ndarray, size: int, seed: int, position: int = 0) -> None:
        self.samples = samples
        self.size = size
        self.position = position
        self._seed = seed
        self._order: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))

    def next(self) -> np.ndarray:
        """The next `size` samples, as stored (uint8 N×C×H×W, or float32 N×2)."""
        batch: np.ndarray = self.samples[self.rows()]
        return batch

    def rows(self) -> np.ndarray:
        """Which samples the next `size` are (int64): for what belongs to them, such as labels."""
        indices = self._indices()
        self.position += self.size
        return indices

    def _indices(self) -> np.ndarray:
        count = len(self.samples)
        epoch, offset = divmod(self.position, count)
        parts, missing = [], self.size
        while missing:
            part = self._epoch_order(epoch)[offset : offset + missing]
            parts.append(part)
            missing -= len(part)
            epoch, offset = epoch + 1, 0
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _epoch_order(self, epoch: int) -> np.ndarray:
        if self._order[0] != epoch:
            order = streams.stream(self._seed, "data", epoch).permutation(len(self.samples))
            self._order = (epoch, order)
        return self._order[1]
