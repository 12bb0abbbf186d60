"""The Inception network that FID is defined with."""

from __future__ import annotations

import hashlib
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any

from duel import io
from duel._torchvision import importable
from duel.errors import DataError
from duel.features._base import ClassifierTrainer, Embedded, Extractor, FeatureSpace
from duel.features._images import in_chunks, need_images
from duel.options import options

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from duel.datasets._base import Data

FILE = "weights-inception-2015-12-05-6726825d.pth"
URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{FILE}"
# The publisher's file name ends with the first eight digits; the whole is what public projects that use
# the file have written down. It could not be compared with the file itself here.
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
DIMENSION = 2048
_LAYERS = ("2048", "logits_unbiased")
_AT_ONCE = 16  # images of 299×299 pixels: 0.3 GB


@options
class Inception(FeatureSpace):
    """The Inception network of 2015 that FID, KID and the inception score are defined with.

    torch-fidelity's network and preprocessing: images go in with 8 bits, grey ones repeated to three
    channels, and are resized to 299×299 as TensorFlow 1 did (bilinear, no filter against aliasing);
    features are the 2,048 numbers before the last layer, logits are its products without the bias. Its
    published weights (96 MB) are looked for in $DUEL_DATA/inception and in the cache, else downloaded
    once; their SHA-256 is checked and they are read as plain numbers, never unpickled. This path was
    checked with seeded random weights against torch-fidelity's own, never with the published weights.
    C. Szegedy et al., "Rethinking the Inception architecture for computer vision", 2016; M. Heusel et al.,
    "GANs trained by a two time-scale update rule converge to a local Nash equilibrium", 2017.

    random_weights  seeded random weights instead of the published ones: tests the path without the file.
                    The space is then called inception-random; what is measured in it is never a FID
    """

    random_weights: bool = False

    def prepare(self, data: Data, trainer: ClassifierTrainer) -> Extractor:
        """The network with its weights. DataError: no images, no library, no weights or other ones."""
        need_images(data.spec, "inception")
        channels = data.spec.shape[0]
        if channels not in (1, 3):
            raise DataError(
                f"the feature space 'inception' takes 1 or 3 channels, these images have {channels}"
            )
        network = blank()
        digest = _fill_randomly(network) if self.random_weights else _fill(network)
        return Extractor(
            embed=partial(_embed, network),
            name="inception-random" if self.random_weights else "inception",
            dimension=DIMENSION,
            digest=digest,
            notes=_notes(channels, self.random_weights),
        )


def _notes(channels: int, random_weights: bool) -> tuple[str, ...]:
    grey = "grey images, repeated to the three channels of a network for photos"
    test = "Inception with random weights: a test of the path, never a FID"
    return (grey,) * (channels == 1) + (test,) * random_weights


# ---------------------------------------------------------------- network and weights


def blank() -> Any:
    """torch-fidelity's network in evaluation mode, with weights that mean nothing yet."""
    import torch

    try:
        importable()
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        raise DataError(
            f"the feature space 'inception' needs torch-fidelity ({error}): pip install 'duel[metrics]'"
        ) from error

    class Blank(FeatureExtractorInceptionV3):  # type: ignore[misc]
        """The library unpickles a file on construction: it is given an empty one, and that is not used."""

        def load_state_dict(self, state_dict: Any) -> None:
            assert state_dict == {}

    empty = BytesIO()
    torch.save({}, empty)
    empty.seek(0)
    with torch.random.fork_rng(devices=[]):
        return Blank("inception-v3-compat", list(_LAYERS), feature_extractor_weights_path=empty)


def _fill(network: Any) -> str:
    """Give the network the published weights; their SHA-256."""
    path = io.published_file("inception", FILE, SHA256, URL)
    assign(network, path.read_bytes(), str(path))
    return SHA256


def assign(network: Any, content: bytes, name: str) -> None:
    """Give the network the weights in a torch file's `content`, read as numbers only.

    Raises DataError for a file that holds anything but the network's tensors.
    """
    import torch

    # torch has no error of its own for files that are not what it wrote: almost any kind can come.
    try:
        state = torch.load(BytesIO(content), map_location="cpu", weights_only=True)
        torch.nn.Module.load_state_dict(network, state)
    except Exception as error:
        raise DataError(f"{name} does not hold Inception's weights: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _fill_randomly(network: Any) -> str:
    """Give all layers seeded weights N(0, 2 / inputs), norms and biases left plain; their SHA-256."""
    import numpy as np
    import torch

    rng, digest = np.random.Generator(np.random.PCG64(0)), hashlib.sha256(b"inception-random 1")
    network.fc.bias.data.zero_()
    for _, weight in sorted(network.named_parameters()):
        if weight.dim() > 1:
            spread = np.float32((2 / weight[0].numel()) ** 0.5)
            values = spread * rng.standard_normal(tuple(weight.shape), np.float32)
            digest.update(values.tobytes())
            weight.data.copy_(torch.from_numpy(values))
    return digest.hexdigest()


# ---------------------------------------------------------------- images


def _embed(network: Any, samples: np.ndarray) -> Embedded:
    return in_chunks(partial(_embed_few, network), samples, _AT_ONCE)


def _embed_few(network: Any, samples: np.ndarray) -> Embedded:
    import torch

    with torch.inference_mode():
        features, logits = network(_rgb(samples))
    return Embedded(features.numpy(), logits.numpy())


def _rgb(samples: np.ndarray) -> Tensor:
    """uint8 N×1×H×W or N×3×H×W → uint8 N×3×H×W."""
    import numpy as np
    import torch

    return torch.from_numpy(np.repeat(samples, 3 // samples.shape[1], axis=1))
