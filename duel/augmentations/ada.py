from __future__ import annotations

from typing import TYPE_CHECKING

from duel.augmentations._base import Augmentation, need_images
from duel.errors import RecipeError
from duel.options import options

if TYPE_CHECKING:
    from torch import Tensor

    from duel.datasets._base import Spec


@options
class Ada(Augmentation):
    """Random changes of places and colours, as often as the discriminator's overfitting asks for.

    Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data" (arXiv:2006.06676).
    Each transform is applied to each image with the probability p. Where the mean sign of the real images'
    logits, r_t = E[sign(D(x))], is above the target, the discriminator overfits and p rises; below, it falls.
    The sign must mean real or fake: wasserstein and relativistic are refused.

    target        the r_t to keep
    speed_images  images in which p can go from 0 to 1
    every         the discriminator's updates between two changes of p
    most          the largest p. From about 0.8 the generator may learn the transforms themselves, as the
                  paper shows; like the official code, the default sets no limit below 1
    start         p at step 0
    geometry      flip, quarter turns, whole-pixel shift, then scale, rotation, stretching, sub-pixel shift
    color         brightness, contrast and, for RGB, luma flip, hue and saturation

    The geometry is one bilinear resampling with mirrored edges; the wavelet filters that the paper puts
    around it against aliasing are left out, and so are its image-space filters, noise and cutout.
    """

    target: float = 0.6
    speed_images: int = 500_000
    every: int = 4
    most: float = 1.0
    start: float = 0.0
    geometry: bool = True
    color: bool = True
    adapts = True

    def check(self, spec: Spec) -> None:
        need_images("ada", spec)
        if self.color and spec.shape[0] not in (1, 3):
            raise RecipeError(
                f"the augmentation 'ada' changes colours of images with 1 or 3 channels, these have "
                f"{spec.shape[0]}: set its color to false"
            )
        if self.geometry and min(spec.shape[1:]) < 2:
            raise RecipeError(
                f"the augmentation 'ada' moves images of 2×2 pixels or more, these have "
                f"{spec.shape[1]}×{spec.shape[2]}: set its geometry to false"
            )

    def state(self) -> tuple[float, ...]:
        """p, and since its last change: the sum of the updates' mean signs, and their number."""
        return (self.start, 0.0, 0.0)

    def apply(self, samples: Tensor, state: Tensor) -> Tensor:
        from duel.augmentations._matrices import random_colours, random_places
        from duel.augmentations._pixels import recolour, resample

        count, channels, height, width = samples.shape
        if self.geometry:
            samples = resample(samples, random_places(count, height, width, state[0]))
        if self.color:
            samples = recolour(samples, random_colours(count, channels, state[0]))
        return samples

    def adapt(self, state: Tensor, real_logits: Tensor) -> Tensor:
        import torch

        p, signs, updates = state.unbind()
        signs = signs + real_logits.detach().float().sign().mean()
        updates = updates + 1
        due = updates >= self.every
        change = (signs / updates - self.target).sign() * updates * (len(real_logits) / self.speed_images)
        p = torch.where(due, (p + change).clamp(0, self.most), p)
        return torch.stack([p, signs.masked_fill(due, 0), updates.masked_fill(due, 0)])

    def __post_init__(self) -> None:
        if not -1 < self.target < 1:
            raise ValueError(f"target is {self.target}, allowed are numbers between −1 and 1")
        if self.speed_images < 1 or self.every < 1:
            raise ValueError(
                f"speed_images is {self.speed_images} and every is {self.every}, allowed are integers from 1"
            )
        if not 0 <= self.start <= self.most <= 1 or self.most == 0:
            raise ValueError(
                f"start is {self.start} and most is {self.most}, allowed are 0 ≤ start ≤ most ≤ 1, most > 0"
            )
        if not (self.geometry or self.color):
            raise ValueError("geometry and color are both false: set one of them to true")
