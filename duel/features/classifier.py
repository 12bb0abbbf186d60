"""The feature space of a classifier trained on the data set at hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from duel import io
from duel.errors import DataError, DuelError
from duel.features._base import ClassifierTrainer, Extractor, FeatureSpace, TrainedClassifier
from duel.features._images import need_images
from duel.options import options

if TYPE_CHECKING:
    from duel.datasets._base import Data, Split

_WEAK = 0.9  # test accuracy under which a note warns


@options
class Classifier(FeatureSpace):
    """Features and classes of a small network that was trained on this data set.

    Trained on first use on the training split (minutes), kept in the cache under the data's fingerprint,
    and tested on the test split: its accuracy stands beside every number. The features are what its last
    layer sees. After the classifier score and the Fréchet classifier distance of S. Hoeckler, 2021,
    which do for grey digits what Inception's features do for photos.

    seed  of the classifier's initial weights, order of images and shifts
    """

    seed: int = 0

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}, allowed are 0 and above")

    def prepare(self, data: Data, trainer: ClassifierTrainer) -> Extractor:
        """The classifier from the cache, or trained. DataError for points and data without labels."""
        need_images(data.spec, "classifier")
        if not data.spec.classes:
            raise DataError(f"the data {data.name} have no labels: use --features random")
        place = _place(data, trainer, self.seed)
        found = _read(place, data, trainer)
        if found is None:
            found = _train(data, trainer, self.seed)
            _keep(place, found, data, trainer)
        return _extractor(found)


class _Found(NamedTuple):
    """A trained classifier and its accuracy on the test split (None: that split is empty)."""

    classifier: TrainedClassifier
    accuracy: float | None


def _place(data: Data, trainer: ClassifierTrainer, seed: int) -> Path:
    return io.cache_folder() / "features" / f"classifier-{trainer.version}-{seed}-{data.fingerprint}"


def _read(place: Path, data: Data, trainer: ClassifierTrainer) -> _Found | None:
    """What the cache holds; None where that is nothing, or not what was written."""
    try:
        index = io.read_json(place / "index.json")
        content = (place / "weights.safetensors").read_bytes()
        if io.sha256(content) != index["digest"]:
            return None
        accuracy = None if index["accuracy"] is None else float(index["accuracy"])
        return _Found(trainer.load(content, data.spec.shape, len(data.spec.classes)), accuracy)
    except (DuelError, OSError, KeyError, TypeError, ValueError):
        return None


def _train(data: Data, trainer: ClassifierTrainer, seed: int) -> _Found:
    train = data.splits["train"]
    assert train.labels is not None
    classifier = trainer.train(train.samples, train.labels, len(data.spec.classes), seed)
    return _Found(classifier, _accuracy(classifier, data.splits["test"]))


def _accuracy(classifier: TrainedClassifier, split: Split) -> float | None:
    """The share of a split's images that are given their label; None for an empty split."""
    if not len(split):
        return None
    logits = classifier.embed(split.samples).logits
    assert logits is not None
    return float((logits.argmax(1) == split.labels).mean())


def _keep(place: Path, found: _Found, data: Data, trainer: ClassifierTrainer) -> None:
    """Put weights and index into the cache, where the finished folder appears in one step."""

    def write(folder: Path) -> None:
        io.write_atomic(folder / "weights.safetensors", found.classifier.to_bytes())
        index = {"digest": found.classifier.digest, "accuracy": found.accuracy}
        io.write_json(folder / "index.json", index)

    try:
        io.make_folder(place, write, lambda: _read(place, data, trainer) is not None)
    except OSError as error:
        raise DataError(
            f"the trained classifier cannot be kept in {place.parent} ({error}): make room there, "
            "or set XDG_CACHE_HOME to another folder"
        ) from error


def _extractor(found: _Found) -> Extractor:
    classifier, accuracy = found
    return Extractor(
        embed=classifier.embed,
        name="classifier",
        dimension=classifier.dimension,
        digest=classifier.digest,
        accuracy=accuracy,
        notes=_notes(accuracy),
    )


def _notes(accuracy: float | None) -> tuple[str, ...]:
    trained = "features and classes from a classifier trained on this data set"
    if accuracy is None:
        return (f"{trained}, not tested: the test split is empty",)
    said = f"{trained}, test accuracy {100 * accuracy:.1f} %"
    weak = (
        f"scores rest on a weak classifier: it is right on less than {100 * _WEAK:.0f} % of the test images"
    )
    return (said,) if accuracy >= _WEAK else (said, weak)
