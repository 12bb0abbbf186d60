"""Evaluation: metrics of generated samples against real ones, with intervals and provenance.

Each side is streamed once: samples are generated (or read), embedded and dropped batch by batch; only what
the chosen metrics need is kept, and neighbour metrics keep at most `AT_MOST` samples per side.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from duel import catalog, pictures, streams
from duel import recipe as recipes
from duel.classifier import Trainer
from duel.datasets._base import Data, Spec, Split, SplitName
from duel.errors import DataError, InputError, MetricError, RunError, one_of
from duel.export import class_folders
from duel.features._base import Extractor
from duel.metrics._autoencoder import Autoencoder
from duel.metrics._base import CONFIDENCE, Context, Metric, Need, Side, Value
from duel.run import Run, Weights, as_checkpoint, inner, is_run

if TYPE_CHECKING:
    from duel.networks._base import Networks

AT_MOST = 10_000  # samples per side that neighbour metrics keep
MOST_SAMPLES = 10_000_000
_AT_ONCE = 256

# A metric whose name belongs to one feature space, and what it is called in others.
_SAME = {"inception": {"frechet": "fid", "score": "is"}, "classifier": {"frechet": "fcd", "score": "cs"}}
_KIND = {"fid": "frechet", "fcd": "frechet", "frechet": "frechet", "is": "score", "cs": "score"}
_LOOKS: set[Need] = {
    "moments",
    "scores",
    "features",
    "classes",
    "modes",
}  # what is read off the feature space

Batch = tuple[np.ndarray, np.ndarray | None]


@dataclass(frozen=True)
class Source:
    """Where generated samples come from: a run, or a folder of images.

    available  how many there are at most; None: any number
    stream     (count, seed) → batches of uint8 images N×C×H×W (or float32 points N×2) and labels or None
    weights    of a run: which were used
    classes    names of the labels; empty where there are none
    prior      of a run's latent vectors
    model      of a run with an encoder: encoder and generator, trained and before training
    """

    name: str
    kind: str
    available: int | None
    stream: Callable[[int, int], Iterator[Batch]]
    checkpoint: int | None = None
    weights: Weights | None = None
    classes: tuple[str, ...] = ()
    prior: str = "normal"
    model: Callable[[], tuple[Autoencoder, Autoencoder]] | None = None


def evaluate(
    target: str | Path | Run,
    against: str | Path | None = None,
    *,
    metrics: Sequence[str] | None = None,
    features: str | None = None,
    samples: int | None = None,
    seed: int = 0,
    split: SplitName = "test",
    floor: bool = False,
    checkpoint: str | int = "last",
    weights: Weights = "ema",
    changes: Mapping[str, Any] | None = None,
    allow_code: bool | Collection[str] = False,
) -> dict[str, Any]:
    """Compare a run's samples, or a folder of images, with real data.

    target      a run folder, or a folder of images
    against     a data set or a folder; a run's own data by default
    metrics     names (`duel list metrics`); those that suit the data by default
    features    the feature space (`duel list features`); the one that suits the data by default
    samples     generated samples; min(10,000, size of the reference) by default
    seed        of everything random here
    split       of the real data that is compared with
    floor       also compute each metric for real samples against real ones, at the same counts
    checkpoint  of a run: "last", "best" or a step
    weights     of a run: "ema", the averaged ones where the checkpoint has them; or "raw"
    changes     options of the data by dotted key, {"data.batches": [1]}

    Returns `{"metrics": {NAME: {"value", "low", "high", "better", …}}, "provenance": {…}}`; for a run it is
    also appended to metrics.jsonl; where that cannot be, "warnings" holds a sentence that says so. Raises
    MetricError, DataError or RunError.
    """
    run = _as_run(target, allow_code)
    data = _reference(run, against, changes, allow_code)
    source = run_source(run, checkpoint, weights) if run else _folder_source(Path(str(target)), data.spec)
    conditional = run is not None and source.classes == data.spec.classes and bool(source.classes)
    evaluator = Evaluator(data, metrics, features, split, seed, allow_code, conditional)
    result = evaluator.measure(source, samples, floor)
    if run is not None:
        try:
            run.record_metrics({"step": source.checkpoint, **result})
        except OSError as error:  # a disk that is full, or only read: the numbers are there all the same
            where, why = run.path / "metrics.jsonl", error.strerror or error
            result["warnings"] = [f"the numbers could not be recorded in {where} ({why})"]
    return result


class Evaluator:
    """Metrics against one split of one data set; the real side is gathered once and used again."""

    def __init__(
        self,
        data: Data,
        metrics: Sequence[str] | None = None,
        features: str | None = None,
        split: SplitName = "test",
        seed: int = 0,
        allow_code: bool | Collection[str] = False,
        conditional: bool = False,
    ) -> None:
        """Everything is checked here: names, feature space, what each metric needs of the data.

        conditional  the samples will have labels: the default metrics then also look at those
        """
        self.data, self.split, self.seed = data, split, seed
        self.space, names = _choose(data, metrics, features, conditional, allow_code)
        self.metrics = {name: _metric(name, self.space, allow_code) for name in names}
        self._space_class = _load("features", self.space, allow_code)
        self.needs: set[Need] = set().union(*(metric.needs for metric in self.metrics.values()))
        _check_needs(self.metrics, data)

    def measure(self, source: Source, samples: int | None = None, floor: bool = False) -> dict[str, Any]:
        """The evaluation of a source, as JSON values."""
        count = self._count(source, samples)
        self._check_source(source)
        only_encoder = all("encoder" in metric.needs for metric in self.metrics.values())
        fake = Side(0) if only_encoder else self._gather(source.stream(count, self.seed))
        values = self._values(fake, self._context_of(source))
        floors = self._floors(count) if floor else {}
        described = {name: _described(value, floors.get(name)) for name, value in values.items()}
        return {"metrics": described, "provenance": self._provenance(source, fake.count)}

    @cached_property
    def extractor(self) -> Extractor:
        """The feature space, trained or loaded on first use."""
        extractor: Extractor = self._space_class().prepare(self.data, Trainer())
        return extractor

    @cached_property
    def real(self) -> Side:
        """The reference side."""
        return self._gather(_shuffled(self.data.splits[self.split], self.seed))

    @cached_property
    def _context(self) -> Context:
        return Context(
            extractor=self.extractor,
            classes=self.data.spec.classes,
            seed=self.seed,
            at_most=AT_MOST,
            trainer=Trainer(),
            train=self._train() if "train" in self.needs else None,
            modes=self.data.modes,
        )

    def _train(self) -> Side:
        """The whole training split, embedded only where a metric looks at its features."""
        split, looked = self.data.splits["train"], self.needs & {"train", "features"}
        return gather(_shuffled(split, self.seed), self.extractor, looked, keep=len(split))

    def _context_of(self, source: Source) -> Context:
        """The context, with the source's encoder and generator where a metric needs them."""
        if "encoder" not in self.needs or source.model is None:
            return self._context
        trained, untrained = source.model()
        return replace(
            self._context,
            encoder=trained.encoder,
            decoder=trained.decoder,
            hidden=trained.hidden,
            labelled=trained.labelled,
            prior=source.prior,
            untrained=(untrained.encoder, untrained.decoder),
            untrained_hidden=untrained.hidden,
        )

    def _values(self, fake: Side, context: Context) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for name, metric in self.metrics.items():
            values |= metric.compute(name, self.real, fake, context)
        return values

    def _floors(self, count: int) -> dict[str, float]:
        """Each metric for training images in the place of generated ones: what a perfect generator gets.

        Metrics that look for copies of training images have no such floor.
        """
        train = self.data.splits["train"]
        chosen = _shuffled(train, self.seed, first=count)
        fake = self._gather(chosen)
        floors: dict[str, float] = {}
        for name, metric in self.metrics.items():
            if "train" not in metric.needs and "encoder" not in metric.needs:
                found = metric.compute(name, self.real, fake, self._context)
                floors |= {each: value.value for each, value in found.items()}
        return floors

    def _gather(self, batches: Iterator[Batch], keep: int = AT_MOST) -> Side:
        return gather(batches, self.extractor, self.needs, keep)

    def _count(self, source: Source, samples: int | None) -> int:
        if samples is not None and not 2 <= samples <= MOST_SAMPLES:
            raise InputError(f"--samples is {samples}, allowed are integers from 2 to {MOST_SAMPLES:,}")
        default = min(AT_MOST, len(self.data.splits[self.split]))
        if source.available is None:
            return samples or default
        if samples is not None and samples > source.available:
            raise InputError(
                f"--samples is {samples}, but {source.name} holds {source.available}: ask for fewer"
            )
        return samples or source.available

    def _check_source(self, source: Source) -> None:
        for name, metric in self.metrics.items():
            encodes = "encoder" in metric.needs
            if encodes and source.model is None:
                raise MetricError(f"{name} needs a model with an encoder, which {source.name} has not")
            if source.kind != "run":
                continue
            if "labels" in metric.needs and not source.classes:
                raise MetricError(f"{name} needs labels of its samples, which {source.name} does not give")
            if ("labels" in metric.needs or encodes) and source.classes not in ((), self.data.spec.classes):
                raise MetricError(
                    f"{name} needs the labels of {source.name}, whose classes are not those of "
                    f"{self.data.name}: compare with data of the same classes"
                )

    def _provenance(self, source: Source, n_fake: int) -> dict[str, Any]:
        data, extractor = self.data, self.extractor
        return {
            "target": source.name,
            "seed": self.seed,
            "checkpoint": source.checkpoint,
            "weights": source.weights,
            "splits": {"real": self.split, "classifier": "train" if extractor.accuracy is not None else None},
            "n_real": len(data.splits[self.split]),
            "n_fake": n_fake,
            "data": {
                "name": data.name,
                "fingerprint": data.fingerprint,
                "shape": list(data.spec.shape),
                "resize": "lanczos",
                "notes": list(data.notes),
            },
            "features": {
                "name": extractor.name,
                "hash": extractor.digest,
                "accuracy": extractor.accuracy,
                "notes": list(extractor.notes),
            },
            "versions": {name: version(name) for name in ("torch", "numpy", "pillow")},
            "machine": platform.platform(),
            "confidence": CONFIDENCE,
        }


def gather(batches: Iterator[Batch], extractor: Extractor, needs: Collection[Need], keep: int) -> Side:
    """One side in one stream: moments and scores of all samples, the first `keep` themselves.

    Samples are embedded only where a metric looks at that.
    """
    from duel.metrics._moments import Moments, Scores

    looked = bool(_LOOKS & set(needs))
    moments = Moments(extractor.dimension) if "moments" in needs else None
    scores: Scores | None = None
    kept: dict[str, list[np.ndarray]] = {"features": [], "logits": [], "samples": [], "labels": []}
    count = 0
    for samples, labels in batches:
        embedded = extractor.embed(samples) if looked else None
        if moments is not None and embedded is not None:
            moments.update(embedded.features)
        if "scores" in needs and embedded is not None and embedded.logits is not None:
            scores = scores or Scores(embedded.logits.shape[1])
            scores.update(embedded.logits)
        room = max(0, keep - count)
        count += len(samples)
        parts = {
            "features": None if embedded is None else embedded.features,
            "logits": None if embedded is None else embedded.logits,
            "samples": samples,
            "labels": labels,
        }
        for key, part in parts.items():
            if part is not None and room and _keeps(key, needs):
                kept[key].append(part[:room])
    if count == 0:
        raise DataError("there is nothing to compare: the split holds no samples")
    joined = {key: np.concatenate(parts) for key, parts in kept.items() if parts}
    return Side(count, moments, scores, **joined)


def _keeps(key: str, needs: Collection[Need]) -> bool:
    """Whether any metric looks at single samples in this way."""
    single = {"features": {"features", "train"}, "samples": {"samples", "train", "modes", "encoder"}}
    return bool(single.get(key, {"features", "samples", "labels", "train"}) & set(needs))


# ---------------------------------------------------------------- choosing


def _choose(
    data: Data,
    metrics: Sequence[str] | None,
    features: str | None,
    conditional: bool,
    allow_code: bool | Collection[str],
) -> tuple[str, list[str]]:
    """The feature space and the metrics' names. MetricError where they do not go together."""
    asked = list(metrics or [])
    if metrics is not None and not asked:
        raise MetricError(f"--metrics names none: {one_of(catalog.names('metrics'), '')}")
    spaces = {_space_of(name) for name in asked} - {None}
    if features is None and len(spaces) > 1:
        raise MetricError(f"{', '.join(asked)} belong to different feature spaces: evaluate them one by one")
    space = features or next(iter(spaces), None)
    if asked:
        blind = all(_is_blind(name, allow_code) for name in asked)
        space = space or ("pixels" if blind else _default_space(data))
        return space, [_named(name, space) for name in asked]
    space = space or _default_space(data)
    return space, _default_metrics(data, space, conditional)


def _is_blind(name: str, allow_code: bool | Collection[str]) -> bool:
    """Whether a metric is the same in every feature space, so that no classifier is trained for it."""
    return _space_of(name) is None and bool(_load("metrics", name, allow_code).blind)


def _space_of(name: str) -> str | None:
    """The feature space that a metric's name implies, if any."""
    if name.startswith("frechet-"):
        return name.removeprefix("frechet-")
    for space, names in _SAME.items():
        if name in names.values():
            return space
    return None


def _named(name: str, space: str) -> str:
    """The name under which a metric goes in a space. MetricError for a false name."""
    kind = _KIND.get(name, "frechet" if name.startswith("frechet-") else None)
    if kind is None:
        return name
    right = _SAME.get(space, {}).get(kind, f"frechet-{space}" if kind == "frechet" else None)
    if name in ("frechet", right):
        return str(right)
    if right is None:
        raise MetricError(f"{name} needs class probabilities, which the features {space!r} do not give")
    raise MetricError(
        f"{name!r} is not what this is called with --features {space}: ask for --metrics {right}"
    )


def _default_space(data: Data) -> str:
    if data.spec.kind == "points":
        return "pixels"
    return "classifier" if data.spec.classes else "random"


def _default_metrics(data: Data, space: str, conditional: bool) -> list[str]:
    if data.spec.kind == "points":
        return ["modes", "frechet-pixels", "precision", "recall"]
    scores = [_SAME[space]["score"]] if space in _SAME else []
    modes = ["modes"] if space == "classifier" else []
    neighbours = ["kid", "precision", "recall", "density", "coverage", "memorisation"]
    labels = ["label-accuracy"] if conditional and space == "classifier" else []
    return [_named("frechet", space), *scores, *neighbours, *modes, *labels]


def _metric(name: str, space: str, allow_code: bool | Collection[str]) -> Metric:
    metric: Metric = _load("metrics", "frechet" if name.startswith("frechet-") else name, allow_code)()
    if metric.spaces and space not in metric.spaces:
        wanted = " or ".join(metric.spaces)
        raise MetricError(
            f"{name} is defined in the feature space {wanted}: use --features {metric.spaces[0]}"
        )
    return metric


def _load(family: str, name: str, allow_code: bool | Collection[str]) -> Any:
    if ":" in name and not (allow_code is True or (allow_code is not False and name in allow_code)):
        raise InputError(f"{name!r} would run code from outside: add --allow-code if you trust it")
    if ":" not in name and name not in catalog.names(family):
        raise MetricError(f"there is no {name!r} among the {family}: {one_of(catalog.names(family), name)}")
    return catalog.load_class(family, name)


def _check_needs(metrics: Mapping[str, Metric], data: Data) -> None:
    for name, metric in metrics.items():
        if {"labels", "truth"} & metric.needs and not data.spec.classes:
            raise MetricError(f"{name} needs labels, which {data.name} has not")
        if "modes" in metric.needs and data.modes is None and not data.spec.classes:
            raise MetricError(f"{name} needs known modes or labels, which {data.name} has not")
        if name == "ms-ssim" and data.spec.kind != "image":
            raise MetricError(f"{name} compares images, and {data.name} are points")


# ---------------------------------------------------------------- sources


def _as_run(target: str | Path | Run, allow_code: bool | Collection[str]) -> Run | None:
    if isinstance(target, Run):
        return target
    path = Path(target)
    if not path.is_dir():
        raise InputError(f"{target} is neither a run nor a folder of images")
    if (told := as_checkpoint(path)) is not None:
        raise RunError(told)
    return Run(path, allow_code) if is_run(path) else None


def _reference(
    run: Run | None,
    against: str | Path | None,
    changes: Mapping[str, Any] | None,
    allow_code: bool | Collection[str],
) -> Data:
    if against is not None:
        data = recipes.data_set(against, changes, allow_code).load()
    elif run is not None:
        data = run.recipe.data.load()
    else:
        raise InputError("a folder of images is compared with something: add --against DATA or FOLDER")
    if run is not None and against is None and data.fingerprint != run.provenance["data"]["fingerprint"]:
        raise DataError(
            f"the data of {run.path} have changed since its start: name what to compare with, --against"
        )
    if run is not None and run.spec.shape != data.spec.shape:
        raise DataError(
            f"{run.path} makes samples of shape {_shape(run.spec.shape)}, {data.name} has "
            f"{_shape(data.spec.shape)}: compare with data of the same shape (--set data.resolution=…)"
        )
    return data


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(str(part) for part in shape)


def run_source(run: Run, checkpoint: str | int = "last", weights: Weights = "ema") -> Source:
    """A run's generator. Images are rounded to 8 bits, as in a folder of PNG files."""
    spec, recipe = run.spec, run.recipe
    interface = recipe.game.interface(spec, recipe.latent.size)
    image, labelled = spec.kind == "image", interface.generator_classes > 0

    def stream(count: int, seed: int) -> Iterator[Batch]:
        for batch, labels in run.stream(count, seed, checkpoint, weights=weights):
            yield (pictures.to_uint8(batch) if image else batch), labels

    def model() -> tuple[Autoencoder, Autoencoder]:
        both = run.networks(checkpoint, weights), run.untrained()
        trained, untrained = (_autoencoder(run, networks, image, labelled) for networks in both)
        return trained, untrained

    return Source(
        str(run.path),
        "run",
        None,
        stream,
        run.checkpoint_step(checkpoint),
        run.weights_used(checkpoint, weights),
        spec.classes if labelled else (),
        recipe.latent.prior,
        model if interface.encoder else None,
    )


def _autoencoder(run: Run, networks: Networks, image: bool, labelled: bool) -> Autoencoder:
    """Encoder and generator as functions of uint8 images, or of points in [−1, 1]."""
    from duel import sampling

    encoder = run.need_encoder(networks)

    def decode(latent: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
        samples = sampling.generate(networks.generator, latent, labels)
        return pictures.to_uint8(samples) if image else samples

    return Autoencoder(
        lambda samples: sampling.encode(encoder, inner(samples)),
        decode,
        lambda samples: sampling.encode(encoder, inner(samples), hidden=True),
        labelled,
    )


def _folder_source(path: Path, spec: Spec) -> Source:
    """All images of a folder, at the reference's resolution; sub-folders named like classes are labels."""
    if spec.kind != "image":
        raise InputError(f"{path} holds images, and the reference are points")
    found = recipes.data_set(path, {"data.resolution": spec.shape[-1]}).load()
    if found.spec.shape[0] != spec.shape[0]:
        kinds = {1: "grey", 3: "colour"}
        raise DataError(
            f"the images of {path} are {kinds[found.spec.shape[0]]}, the reference's {kinds[spec.shape[0]]}: "
            "bring both to the same number of channels"
        )
    parts = [split for split in found.splits.values() if len(split)]
    samples = np.concatenate([split.samples for split in parts])
    labels = _labels(parts, found.spec.classes, spec.classes)

    def stream(count: int, seed: int) -> Iterator[Batch]:
        return _shuffled(Split(samples, labels), seed, first=count)

    return Source(str(path), "folder", len(samples), stream)


def _labels(parts: Sequence[Split], own: Sequence[str], wanted: Sequence[str]) -> np.ndarray | None:
    """Labels in the reference's numbering, where every sub-folder is one of its classes; else None."""
    numbers = {name: number for number, name in enumerate(class_folders(wanted))}
    numbers |= {name: number for number, name in enumerate(wanted)}
    if not own or not set(own) <= set(numbers):
        return None
    number = np.array([numbers[name] for name in own], np.int64)
    labels: np.ndarray = number[np.concatenate([part.labels for part in parts if part.labels is not None])]
    return labels


def _shuffled(split: Split, seed: int, first: int | None = None) -> Iterator[Batch]:
    """The samples in a seeded random order, or the first so many of them, batch by batch."""
    order = streams.stream(seed, "eval", 1).permutation(len(split))[:first]
    for start in range(0, len(order), _AT_ONCE):
        rows = order[start : start + _AT_ONCE]
        yield split.samples[rows], None if split.labels is None else split.labels[rows]


def _described(value: Value, floor: float | None) -> dict[str, Any]:
    """A value as JSON; what is empty is left out, but for the notes."""
    entry = asdict(value)
    for key in ("baselines", "details"):
        if not entry[key]:
            del entry[key]
    if floor is not None:
        entry["floor"] = floor
    return {**entry, "notes": list(value.notes)}


def metric_events(result: Mapping[str, Any], step: int) -> list[dict[str, Any]]:
    """An evaluation as the events of a run."""
    return [
        {
            "event": "metric",
            "step": step,
            "name": name,
            **{key: entry[key] for key in ("value", "low", "high", "better")},
        }
        for name, entry in result["metrics"].items()
    ]
