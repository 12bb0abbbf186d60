"""From latent vectors to samples, in evaluation mode and in bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

_AT_ONCE = 256
_MOST_ROWS = 16


def generate(generator: Module, latent: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
    """Samples in [−1, 1] (float32, N×C×H×W or N×2) for latent vectors N×L and, if it takes them, labels N.

    The generator runs in evaluation mode (batch norm by its running statistics, so that a sample does
    not depend on its neighbours) and is left in the mode that it was in.
    """
    return _in_parts(generator, generator, [latent] if labels is None else [latent, labels])


def encode(encoder: Module, samples: np.ndarray, hidden: bool = False) -> np.ndarray:
    """Latent vectors N×L of samples in [−1, 1] (float32), or the encoder's last hidden layer N×H."""
    return _in_parts(encoder, encoder.hidden if hidden else encoder, [samples])  # type: ignore[arg-type]


def _in_parts(module: Module, function: Callable[..., Tensor], inputs: list[np.ndarray]) -> np.ndarray:
    weight = next(module.parameters())
    training = module.training
    module.eval()
    starts = range(0, len(inputs[0]), _AT_ONCE)
    try:
        with torch.inference_mode():
            parts = [
                function(*(_like(weight, each[start : start + _AT_ONCE]) for each in inputs))
                .float()
                .cpu()
                .contiguous()
                .numpy()
                for start in starts
            ]
    finally:
        module.train(training)
    return np.concatenate(parts)


def _like(weight: Tensor, array: np.ndarray) -> Tensor:
    """The array where the weights are; latent vectors and samples also in their precision."""
    tensor = torch.from_numpy(array).to(weight.device)
    return tensor.to(weight.dtype) if tensor.is_floating_point() else tensor


@dataclass(frozen=True)
class Arrangement:
    """How samples stand on a sheet: `count` of them, and with labels a row for each class.

    At most 16 classes are shown, evenly chosen where there are more.
    """

    wanted: int
    classes: int = 0

    @property
    def shown(self) -> np.ndarray:
        """The classes that have a row."""
        return np.linspace(0, self.classes - 1, min(self.classes, _MOST_ROWS)).round().astype(np.int64)

    @property
    def columns(self) -> int | None:
        """Samples in a row; None: as many as make the sheet square."""
        return max(1, self.wanted // len(self.shown)) if self.classes else None

    @property
    def count(self) -> int:
        """Samples on the sheet."""
        return self.columns * len(self.shown) if self.columns else self.wanted

    @property
    def labels(self) -> np.ndarray | None:
        """The label of each sample (int64), or None."""
        return self.shown.repeat(self.columns) if self.columns else None

    def of(self, count: int, labels: np.ndarray | None) -> np.ndarray:
        """Which of `count` real samples fill a sheet in this way: the first, of each class if need be."""
        if labels is None or not self.columns:
            return np.arange(min(self.wanted, count))
        rows = [np.flatnonzero(labels == label) for label in self.shown]
        return np.concatenate([np.resize(row, self.columns) for row in rows if len(row)])
