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
class Bidirectional(Game):
    """A sample with its code against a code with its sample: (x, E(x)) against (G(z), z).

    Donahue, Krähenbühl, Darrell 2016 (arXiv:1605.09782); Dumoulin et al. 2017 (arXiv:1606.00704).
    Generator and encoder are one player, whose loss has both terms (the paper's inverse objective Λ).

    conditional  all three networks' tuple also holds the label: (x, E(x), y) against (G(z, y), z, y)
    """

    conditional: bool = False
    encodes = True

    @property
    def labels(self) -> bool:
        return self.conditional

    def interface(self, spec: Spec, latent_size: int) -> Interface:
        from duel.interface import Interface

        classes = classes_of(spec, "bidirectional") if self.conditional else 0
        return Interface(spec, latent_size, classes, classes, encoder=True)

    def real(self, networks: Networks, samples: Tensor, labels: Tensor | None) -> tuple[Tensor, ...]:
        assert networks.encoder is not None
        return samples, networks.encoder(samples), *self._label(labels)

    def fake(self, networks: Networks, latent: Tensor, labels: Tensor | None) -> tuple[Tensor, ...]:
        label = self._label(labels)
        return networks.generator(latent, *label), latent, *label

    def _label(self, labels: Tensor | None) -> tuple[Tensor, ...]:
        return (labels,) if self.conditional and labels is not None else ()
