"""A small classifier of images, trained on the data set at hand: what scores with classes rest on.

Its schedule is fixed and depends on the number of images only: no training run chooses anything by looking
at held-out images. (The schedule itself was settled on a few trials judged on test splits: docs/evidence.)
The rules know nothing of the data set but its shape: images are shifted, those in colour also mirrored
(digits and letters come in grey, and mirrored they mean something else).
"""

from __future__ import annotations

import logging
import math
import time
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as tensors_from_bytes
from safetensors.torch import save as tensors_to_bytes
from torch import nn

from duel import io, streams
from duel.batches import Batches
from duel.errors import DataError
from duel.features._base import Embedded
from duel.features._images import in_chunks, normalised

if TYPE_CHECKING:
    from torch import Tensor

_LOG = logging.getLogger(__name__)

DIMENSION = 128  # of the penultimate features
_WIDTH = 16  # channels of the first stage; each halving of the side doubles them, up to DIMENSION
_SMALLEST = 7  # the side is halved until it is at most this many pixels
_AT_ONCE = 128  # images embedded together: 0.3 GB at 128×128 pixels
_RATE = 5e-3
_DECAY = 0.05
_WARM_UP = 0.2  # share of the steps


class Trainer:
    """Trains and loads classifiers (`duel.features._base.ClassifierTrainer`)."""

    version = 1  # of everything in this file that decides the weights: raise it with any change

    def train(self, samples: np.ndarray, labels: np.ndarray, classes: int, seed: int = 0) -> Classifier:
        """A classifier of uint8 images N×C×H×W into labels 0 … classes − 1.

        Same images, seed, threads and torch version: same weights, whatever torch's own generator is at.
        """
        if not len(samples):
            raise DataError("a classifier cannot be trained on no images")
        network = _network(samples.shape[1:], classes)
        _initialise(network, streams.stream(seed, "init"))
        _fit(network, samples, labels, seed)
        return Classifier(network)

    def load(self, content: bytes, shape: tuple[int, ...], classes: int) -> Classifier:
        """A classifier from `Classifier.to_bytes`, for images of `shape` (C, H, W).

        Raises DataError for bytes that are no such weights.
        """
        network = _network(shape, classes)
        try:
            network.load_state_dict(tensors_from_bytes(content))
        except (SafetensorError, RuntimeError) as error:
            size = "×".join(map(str, shape))
            reason = str(error).partition("\n")[0]
            raise DataError(f"no classifier of {size} images into {classes} classes: {reason}") from error
        return Classifier(network)


class Classifier:
    """A trained classifier. `digest` is the SHA-256 of its weights as safetensors."""

    dimension = DIMENSION

    def __init__(self, network: nn.Sequential) -> None:
        self._network = network.eval()
        self.digest = io.sha256(self.to_bytes())

    def embed(self, samples: np.ndarray) -> Embedded:
        """Penultimate features (float32 N×128) and logits (N×classes) of uint8 images N×C×H×W."""
        return in_chunks(self._embed, samples, _AT_ONCE)

    def to_bytes(self) -> bytes:
        """The weights as safetensors."""
        return tensors_to_bytes(
            {name: part.contiguous() for name, part in self._network.state_dict().items()}
        )

    def _embed(self, samples: np.ndarray) -> Embedded:
        with torch.inference_mode():
            features = self._network[0](normalised(samples))
            return Embedded(features.numpy(), self._network[1](features).numpy())


# ---------------------------------------------------------------- network


def _network(shape: tuple[int, ...], classes: int) -> nn.Sequential:
    """Images → features (DIMENSION) → logits. Convolutions of 3×3, batch norm, ReLU, mean over space."""
    channels, side = shape[0], min(shape[1:])
    # torch's own initial weights are replaced, but drawing them must not move its generator.
    with torch.random.fork_rng(devices=[]):
        layers, width = _layer(channels, _WIDTH), _WIDTH
        while side > _SMALLEST:
            wider = min(2 * width, DIMENSION)
            layers += _layer(width, wider, stride=2) + _layer(wider, wider)
            side, width = math.ceil(side / 2), wider
        layers += [*_layer(width, DIMENSION), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        network = nn.Sequential(nn.Sequential(*layers), nn.Linear(DIMENSION, classes))
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def _layer(channels: int, wider: int, stride: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(channels, wider, 3, stride, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(wider), nn.ReLU(inplace=True)]


def _initialise(network: nn.Module, rng: np.random.Generator) -> None:
    """Convolutions N(0, 2 / inputs) (He et al. 2015, equation 10); the last layer 0: it starts undecided."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            spread = math.sqrt(2 / layer.weight[0].numel())
            values = spread * rng.standard_normal(tuple(layer.weight.shape), np.float32)
            layer.weight.data.copy_(torch.from_numpy(values))
        elif isinstance(layer, nn.Linear):
            layer.weight.data.zero_()
            layer.bias.data.zero_()


# ---------------------------------------------------------------- training


def _fit(network: nn.Module, samples: np.ndarray, labels: np.ndarray, seed: int) -> None:
    """AdamW on the cross-entropy, batch by batch, each image shifted at random."""
    size = _batch(len(samples))
    steps = math.ceil(epochs(len(samples)) * len(samples) / size)
    order, rng = Batches(np.arange(len(samples)), size, seed), streams.stream(seed, "fixed")
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=_DECAY)
    network.train()
    _LOG.info("training a classifier on %s images, once for these data and this seed", f"{len(samples):,}")
    began = time.perf_counter()
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = _RATE * _share_of_rate((step + 0.5) / steps)
        rows = order.next()
        loss = _loss(network, augmented(samples[rows], rng), labels[rows])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        done = step + 1
        if done * 10 // steps > step * 10 // steps and done < steps:
            left = (time.perf_counter() - began) / done * (steps - done)
            _LOG.info("classifier: %d of %d steps, about %.0f s left", done, steps, left)


def _loss(network: nn.Module, images: np.ndarray, labels: np.ndarray) -> Tensor:
    return nn.functional.cross_entropy(network(normalised(images)), torch.from_numpy(labels))


def epochs(images: int) -> int:
    """How often each image is seen: few images often, many images seldom, so that it takes minutes."""
    return min(20, max(5, math.ceil(150_000 / images)))


def _batch(images: int) -> int:
    """Images per step: 16 to 128, and about 20 steps to the epoch where there are few."""
    return min(images, 128, max(16, images // 20))


def _share_of_rate(done: float) -> float:
    """The learning rate's share at a share of the steps: straight up, then down along a cosine."""
    if done < _WARM_UP:
        return done / _WARM_UP
    return 0.5 + 0.5 * math.cos(math.pi * (done - _WARM_UP) / (1 - _WARM_UP))


def augmented(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Images N×C×H×W, shifted by up to 2 pixels (1 below 28, 0 below 14), in colour half of them mirrored.

    What a shift leaves empty is filled with the nearest pixel.
    """
    shifted = _shifted(images, min(2, min(images.shape[2:]) // 14), rng)
    if images.shape[1] == 3:
        mirrored = rng.random(len(images)) < 0.5
        shifted[mirrored] = shifted[mirrored, ..., ::-1]
    return shifted


def _shifted(images: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    padded = np.pad(images, ((0, 0), (0, 0), (most, most), (most, most)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, images.shape[2:], axis=(2, 3))
    down, right = rng.integers(0, 2 * most + 1, (2, len(images)))
    chosen: np.ndarray = windows[np.arange(len(images)), :, down, right]
    return chosen
