"""Eight Gaussians on a circle."""

from __future__ import annotations

from duel.datasets._base import Data
from duel.datasets._modes import Modes, ModeSet, load_modes
from duel.options import options


@options
class Ring(ModeSet):
    """Points in the plane from 8 Gaussians on a circle of radius 2, σ 0.02; the label is the Gaussian.

    A generator that drops modes is seen at once. Drawn here, the same in every run; 10,000 points each
    for validation and test. From L. Metz, B. Poole, D. Pfau, J. Sohl-Dickstein, "Unrolled Generative
    Adversarial Networks", ICLR 2017, arXiv:1611.02163.

    samples  how many points the training split has
    """

    def modes(self) -> Modes:
        """8×2 centres, the first on the right, then counter-clockwise."""
        import numpy as np

        angles = np.arange(8) * (np.pi / 4)
        centres = 2 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        return Modes(centres, sigma=0.02, scale=2.5)  # 2 / 2.5: a tanh need not saturate to reach them

    def load(self) -> Data:
        """float32 N×2 in [-1, 1]."""
        return load_modes("ring", self.modes(), self.samples)
