"""What a feature space is: something that turns samples into vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np

    from duel.datasets._base import Data


class Embedded(NamedTuple):
    """features: float32 N×D. logits: float32 N×classes, or None where the space has no classes."""

    features: np.ndarray
    logits: np.ndarray | None


@dataclass(frozen=True)
class Extractor:
    """A feature space that is ready for use.

    embed      samples (uint8 N×C×H×W, or float32 N×2 points) → `Embedded`, in bounded memory for the
               batches that it is handed (up to a few hundred samples)
    name       public name of the space
    dimension  D
    digest     SHA-256 of all weights and rules that decide the result, so that a number can be repeated
    accuracy   of its classifier on the data's test split, or None where there is none
    notes      what must be said beside every number made with it
    """

    embed: Callable[[np.ndarray], Embedded]
    name: str
    dimension: int
    digest: str
    accuracy: float | None = None
    notes: tuple[str, ...] = ()


class TrainedClassifier(Protocol):
    """A small image classifier, trained. dimension: of its features."""

    digest: str
    dimension: int

    def embed(self, samples: np.ndarray) -> Embedded:
        """Penultimate features and logits of uint8 images N×C×H×W."""

    def to_bytes(self) -> bytes:
        """The weights as safetensors."""


class ClassifierTrainer(Protocol):
    """What trains a classifier. Feature spaces and metrics that need one are handed it.

    version  of the rules of training; another one gives other weights for the same data
    """

    version: int

    def train(
        self, samples: np.ndarray, labels: np.ndarray, classes: int, seed: int = 0
    ) -> TrainedClassifier:
        """A classifier of uint8 images N×C×H×W into labels 0 … classes − 1."""

    def load(self, content: bytes, shape: tuple[int, ...], classes: int) -> TrainedClassifier:
        """A classifier from `to_bytes`, for images of `shape` (C, H, W)."""


class FeatureSpace(ABC):
    """Base of the feature spaces. A subclass is an options class."""

    @abstractmethod
    def prepare(self, data: Data, trainer: ClassifierTrainer) -> Extractor:
        """The space for these data: loads, trains or downloads what it needs, once.

        Raises DataError when the data lack what the space needs (labels, image kind).
        """
