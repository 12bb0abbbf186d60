"""Twenty-five Gaussians on a square grid."""

from __future__ import annotations

from duel.datasets._base import Data
from duel.datasets._modes import Modes, ModeSet, load_modes
from duel.options import options


@options
class Grid(ModeSet):
    """Points in the plane from 25 Gaussians on a 5×5 grid, spacing 2, σ 0.05; the label is the Gaussian.

    Harder to cover than the ring. Drawn here, the same in every run; 10,000 points each for validation
    and test. From V. Dumoulin et al., "Adversarially Learned Inference", ICLR 2017, arXiv:1606.00704,
    in the form (spacing, σ) of Z. Lin, A. Khetan, G. Fanti, S. Oh, "PacGAN", arXiv:1712.04086.

    samples  how many points the training split has
    """

    def modes(self) -> Modes:
        """25×2 centres from (-4, -4) to (4, 4), row by row from below."""
        import numpy as np

        y, x = np.meshgrid(np.arange(-4.0, 5.0, 2.0), np.arange(-4.0, 5.0, 2.0), indexing="ij")
        centres = np.stack([x.ravel(), y.ravel()], axis=1)
        return Modes(centres, sigma=0.05, scale=5.0)  # 4 / 5: a tanh need not saturate to reach them

    def load(self) -> Data:
        """float32 N×2 in [-1, 1]."""
        return load_modes("grid", self.modes(), self.samples)
