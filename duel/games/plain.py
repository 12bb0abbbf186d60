from __future__ import annotations

from typing import TYPE_CHECKING

from duel.games._base import Game
from duel.options import options

if TYPE_CHECKING:
    from torch import Tensor

    from duel.datasets._base import Spec
    from duel.interface import Interface
    from duel.networks._base import Networks


@options
class Plain(Game):
    """Samples against samples: (x) against (G(z)).

    Goodfellow et al. 2014 (arXiv:1406.2661).
    """

    def interface(self, spec: Spec, latent_size: int) -> Interface:
        from duel.interface import Interface

        return Interface(spec, latent_size)

    def real(self, networks: Networks, samples: Tensor, labels: Tensor | None) -> tuple[Tensor, ...]:
        return (samples,)

    def fake(self, networks: Networks, latent: Tensor, labels: Tensor | None) -> tuple[Tensor, ...]:
        return (networks.generator(latent),)
