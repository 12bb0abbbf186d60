"""What a game is: the tuples that the discriminator compares."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from duel.errors import RecipeError

if TYPE_CHECKING:
    from torch import Tensor

    from duel.datasets._base import Spec
    from duel.interface import Interface
    from duel.networks._base import Networks


class Game(ABC):
    """The discriminator is called with a tuple's elements; nothing else in the loop knows the difference.

    encodes  the real tuple depends on the generator's player, through its encoder
    labels   labels (int64 N) are used, so the data must have them
    """

    encodes: ClassVar[bool] = False

    @property
    def labels(self) -> bool:
        """Whether labels are used."""
        return False

    @abstractmethod
    def interface(self, spec: Spec, latent_size: int) -> Interface:
        """What the game asks of the networks. RecipeError where the data lack what it needs."""

    @abstractmethod
    def real(self, networks: Networks, samples: Tensor, labels: Tensor | None) -> tuple[Tensor, ...]:
        """The real tuple of a batch; its first element are the samples."""

    @abstractmethod
    def fake(self, networks: Networks, latent: Tensor, labels: Tensor | None) -> tuple[Tensor, ...]:
        """The fake tuple of a batch of latent vectors; its first element are generated samples.

        `labels` are those of the real batch.
        """

    def logits(self, output: Tensor) -> Tensor:
        """The logits (N,) of being real, from the discriminator's output."""
        return output

    def discriminator_term(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> Tensor | None:
        """What the discriminator minimises beside its objective (N,), from its outputs; None: nothing."""
        return None

    def generator_term(self, fake: Tensor, labels: Tensor | None) -> Tensor | None:
        """The same for the generator's player, from the discriminator's output of the fake tuple."""
        return None


def classes_of(spec: Spec, game: str) -> int:
    """How many classes the labels have. RecipeError for data without labels."""
    if not spec.classes:
        raise RecipeError(
            f'the game "{game}" needs labels, which these data have not: put the images into one sub-folder '
            "per class, or use game.name=plain"
        )
    return len(spec.classes)
