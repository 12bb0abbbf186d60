"""The from-scratch engine: dual numbers, NumPy, and the same game as on PyTorch.

Read `dual` first, then `network`, `gradients` and `train`.
"""

from duel.scratch.dual import Dual, check_gradient, derivative, gradient

__all__ = ["Dual", "check_gradient", "derivative", "gradient"]
