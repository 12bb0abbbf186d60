"""From latent vectors to samples, in evaluation mode and in bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from torch.nn import Module

_AT_ONCE = 256


def generate(generator: Module, latent: np.ndarray) -> np.ndarray:
    """Samples in [−1, 1] (float32, N×C×H×W or N×2) for latent vectors N×L.

    The generator runs in evaluation mode (batch norm by its running statistics, so that a sample does
    not depend on its neighbours) and is left in the mode that it was in.
    """
    device = next(generator.parameters()).device
    training = generator.training
    generator.eval()
    try:
        with torch.inference_mode():
            parts = [
                generator(torch.from_numpy(part).to(device)).float().cpu().contiguous().numpy()
                for part in np.array_split(latent, range(_AT_ONCE, len(latent), _AT_ONCE))
            ]
    finally:
        generator.train(training)
    return np.concatenate(parts)
