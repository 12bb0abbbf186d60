"""What an augmentation is: a differentiable change to samples on their way into the discriminator."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from duel.errors import RecipeError

if TYPE_CHECKING:
    from torch import Tensor

    from duel.datasets._base import Spec


class Augmentation(ABC):
    """Applied to real and fake samples alike, in both players' passes, freshly drawn each time.

    adapts  training changes its state by what the discriminator says of real samples
    """

    adapts: ClassVar[bool] = False

    def check(self, spec: Spec) -> None:  # noqa: B027 (a default)
        """RecipeError when samples of this kind and shape cannot be changed so. Any can by default."""

    def state(self) -> tuple[float, ...]:
        """What training changes about it, at step 0. Checkpoints keep it; most have nothing."""
        return ()

    @abstractmethod
    def apply(self, samples: Tensor, state: Tensor) -> Tensor:
        """Samples of the same shape. Randomness comes from torch's generator of the samples' device.

        `state` is a float32 vector on that device: `state()` as training has changed it.
        """

    def adapt(self, state: Tensor, real_logits: Tensor) -> Tensor:
        """The state after one of the discriminator's updates, from its logits (N,) of real samples.

        0 means undecided: the engine has subtracted the objective's boundary.

        Nothing is read back to the host here: that would make the device wait.
        """
        return state


def need_images(name: str, spec: Spec) -> None:
    """RecipeError for points."""
    if spec.kind != "image":
        raise RecipeError(
            f"the augmentation {name!r} changes images, and these data are points: leave it out, or use noise"
        )
