from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from duel.games._base import Game, classes_of
from duel.options import options

if TYPE_CHECKING:
    from torch import Tensor

    from duel.datasets._base import Spec
    from duel.interface import Interface
    from duel.networks._base import Networks


@options
class Classes(Game):
    """The discriminator also names the class: (x) against (G(z, y)) or (G(z)), with class probabilities.

    Its output has 1 + K columns for K classes; the class term is the cross-entropy of the label.

    form    "auxiliary": the first column is the logit of being real, the others are the logits of the
            classes; both players minimise the class term of G(z, y), the discriminator also that of x
            (Odena, Olah, Shlens 2017, arXiv:1610.09585). "k+1": the first column is one more class,
            "generated"; being real has the logit logsumexp(classes) − generated, the class term is that
            of x alone, and the generator is not conditional (Salimans et al. 2016, arXiv:1606.03498,
            section 5)
    weight  of the class term
    """

    form: Literal["auxiliary", "k+1"] = "auxiliary"
    weight: float = 1.0

    @property
    def labels(self) -> bool:
        return True

    def interface(self, spec: Spec, latent_size: int) -> Interface:
        from duel.interface import Interface

        classes = classes_of(spec, "classes")
        conditional = classes if self.form == "auxiliary" else 0
        return Interface(spec, latent_size, generator_classes=conditional, outputs=1 + classes)

    def real(self, networks: Networks, samples: Tensor, labels: Tensor | None) -> tuple[Tensor, ...]:
        return (samples,)

    def fake(self, networks: Networks, latent: Tensor, labels: Tensor | None) -> tuple[Tensor, ...]:
        label = (labels,) if self.form == "auxiliary" else ()
        return (networks.generator(latent, *label),)

    def logits(self, output: Tensor) -> Tensor:
        if self.form == "auxiliary":
            return output[:, 0]
        return output[:, 1:].logsumexp(1) - output[:, 0]

    def discriminator_term(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> Tensor | None:
        assert labels is not None
        term = self._class_loss(real, labels)
        return term + self._class_loss(fake, labels) if self.form == "auxiliary" else term

    def generator_term(self, fake: Tensor, labels: Tensor | None) -> Tensor | None:
        assert labels is not None
        return self._class_loss(fake, labels) if self.form == "auxiliary" else None

    def _class_loss(self, output: Tensor, labels: Tensor) -> Tensor:
        from torch.nn import functional

        return self.weight * functional.cross_entropy(output[:, 1:], labels, reduction="none")

    def __post_init__(self) -> None:
        if not self.weight >= 0:
            raise ValueError(f"weight is {self.weight}, allowed are numbers from 0")
