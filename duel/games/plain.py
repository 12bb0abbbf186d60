from __future__ import annotations

from typing import TYPE_CHECKING

from duel.games._base import Game
from duel.options import options

if TYPE_CHECKING:
    from torch import Tensor

    from duel.networks._base import Networks


@options
class Plain(Game):
    """Samples against samples: (x) against (G(z)).

    Goodfellow et al. 2014 (arXiv:1406.2661).
    """

    def real(self, networks: Networks, samples: Tensor) -> tuple[Tensor, ...]:
        return (samples,)

    def fake(self, networks: Networks, latent: Tensor) -> tuple[Tensor, ...]:
        return (networks.generator(latent),)
