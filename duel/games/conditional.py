from __future__ import annotations

from typing import TYPE_CHECKING

from duel.games._base import Game, classes_of
from duel.options import options

if TYPE_CHECKING:
    from torch import Tensor

    from duel.datasets._base import Spec
    from duel.interface import Interface
    from duel.networks._base import Networks


@options
class Conditional(Game):
    """Labelled samples against samples made for the same labels: (x, y) against (G(z, y), y).

    Mirza, Osindero 2014 (arXiv:1411.1784). How the label comes into the networks is their option. Labels
    are never interpolated or differentiated.
    """

    @property
    def labels(self) -> bool:
        return True

    def interface(self, spec: Spec, latent_size: int) -> Interface:
        from duel.interface import Interface

        classes = classes_of(spec, "conditional")
        return Interface(spec, latent_size, generator_classes=classes, discriminator_classes=classes)

    def real(self, networks: Networks, samples: Tensor, labels: Tensor | None) -> tuple[Tensor, ...]:
        assert labels is not None
        return samples, labels

    def fake(self, networks: Networks, latent: Tensor, labels: Tensor | None) -> tuple[Tensor, ...]:
        assert labels is not None
        return networks.generator(latent, labels), labels
