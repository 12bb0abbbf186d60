"""The samples themselves."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

from duel.features._base import ClassifierTrainer, Embedded, Extractor, FeatureSpace
from duel.options import options

if TYPE_CHECKING:
    import numpy as np

    from duel.datasets._base import Data

_RULE = b"pixels 1: images uint8 / 255, points as stored, flattened, float32"


@options
class Pixels(FeatureSpace):
    """The samples themselves, flattened: pixels in [0, 1], or the coordinates of points.

    Needs nothing but the data. Distances between pixels see shifts and brightness before content, so they
    order generators of photos badly (L. Theis et al., "A note on the evaluation of generative models",
    2016); for points they are the natural space. It has no options.
    """

    def prepare(self, data: Data, trainer: ClassifierTrainer) -> Extractor:
        """The space; nothing is trained."""
        digest = hashlib.sha256(_RULE).hexdigest()
        return Extractor(embed=_embed, name="pixels", dimension=math.prod(data.spec.shape), digest=digest)


def _embed(samples: np.ndarray) -> Embedded:
    """uint8 N×C×H×W → float32 N×CHW in [0, 1]; float32 N×2 unchanged."""
    import numpy as np

    flat = samples.reshape(len(samples), -1).astype(np.float32)
    return Embedded(flat / np.float32(255) if samples.dtype == np.uint8 else flat, None)
