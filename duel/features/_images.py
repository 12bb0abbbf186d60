"""Images on their way through a network: a few at a time, as numbers in [−1, 1]."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from duel.errors import DataError
from duel.features._base import Embedded

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from duel.datasets._base import Spec


def need_images(spec: Spec, space: str) -> None:
    """DataError unless the data are images."""
    if spec.kind != "image":
        raise DataError(f"the feature space {space!r} is for images, these data are points: use pixels")


def in_chunks(embed: Callable[[np.ndarray], Embedded], samples: np.ndarray, at_once: int) -> Embedded:
    """`embed` of `at_once` samples at a time, so that memory does not grow with their number."""
    import numpy as np

    parts = [embed(part) for part in np.split(samples, range(at_once, len(samples), at_once))]
    logits = [part.logits for part in parts if part.logits is not None]
    return Embedded(
        np.concatenate([part.features for part in parts]), np.concatenate(logits) if logits else None
    )


def normalised(images: np.ndarray) -> Tensor:
    """uint8 N×C×H×W → float32 in [−1, 1], channels last in memory (the faster layout on CPUs)."""
    import numpy as np
    import torch

    # A copy: a memory map that is only read has no tensor of its own.
    batch = torch.from_numpy(np.array(images)).to(memory_format=torch.channels_last)
    return batch.float().div_(127.5).sub_(1)
