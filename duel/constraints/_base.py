"""What a constraint is: what the discriminator's parameters are brought back to after each update."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch.nn import Module, Parameter


class Constraint(ABC):
    """Applied to the discriminator after each of its updates."""

    def check(self, discriminator: Module) -> None:  # noqa: B027 (a default)
        """RecipeError when it makes no sense for this discriminator. It does for any by default."""

    def parameters(self, discriminator: Module) -> list[Parameter]:
        """Those that it is about; all by default."""
        return list(discriminator.parameters())

    @abstractmethod
    def apply(self, parameters: Iterable[Any]) -> None:
        """Change the parameters in place: torch's, for which no gradient is recorded, or NumPy arrays."""
