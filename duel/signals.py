"""What can be seen of a training while it goes on: numbers for `duel.diagnose`, every `signals.every` steps.

Looking changes nothing: the latent vectors and the real samples are fixed ones, drawn from a stream of their
own, and both networks are left as they were. Distances are taken between small versions of the images (at
most 14×14 pixels), which is cheap and says enough about collapse, copies and classes; a quality metric it is
not.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import numpy as np

from duel import streams
from duel.datasets._base import Data, Split
from duel.objectives.wasserstein import Wasserstein
from duel.recipe import Recipe

Generate = Callable[[np.ndarray, np.ndarray | None], np.ndarray]

_COUNT = 200  # samples of each kind: real, held-out, generated
_REFERENCES = 2000  # training samples among which the nearest is looked for
_NEIGHBOURS = 5  # of coverage and precision
_STEP = 0.1  # of the way to another latent vector, for the sensitivity
_LARGEST_SIDE = 14
_HASHED = 1 << 25  # bytes of training samples among which copies are looked for
_SAME = 1e-3  # of the mean distance: what rounding leaves between equal samples
_ROUNDING = 1e-13  # of squared norms: smaller squared distances are 0
_FEWEST = 8  # samples of a class, to speak of its diversity
_WEIGHTS = ("weight", "weight.original")  # ends of their names; the latter behind spectral norm

FEW = 64  # samples for what needs generating once more, and among which a unit must move once
SLOPES = 64  # points at which an inspector takes ‖∇D‖
AT_LIMIT = 0.999  # of the limit of clipping: a weight from there on counts as clipped


@dataclass(frozen=True)
class Layer:
    """L2 norms of one parameter: its weights, its last gradient, and how far this step has moved it."""

    weight: float
    gradient: float
    update: float


@dataclass(frozen=True)
class Inside:
    """What an engine finds in its networks.

    train, held, fake  logits (N,) of training samples, held-out ones and generated ones, without
                       augmentations; batch norm by the batch's own statistics, as in training
    dead               share of units with a constant output, by layer
    by_batch           generated samples with batch norm by the batch's statistics; None without batch norm
    reconstructed      G(E(x)) of the held-out samples; None without an encoder
    slopes             ‖∇D‖ (N,) between real and generated samples; None where nothing bounds it
    clipped            share of the discriminator's weights at the limit of clipping; None without clipping
    """

    train: np.ndarray
    held: np.ndarray
    fake: np.ndarray
    dead: dict[str, float] = field(default_factory=dict)
    by_batch: np.ndarray | None = None
    reconstructed: np.ndarray | None = None
    slopes: np.ndarray | None = None
    clipped: float | None = None


@dataclass(frozen=True)
class Looked:
    """The fixed samples of every look, in [−1, 1], their labels where the game uses them, latent vectors."""

    train: np.ndarray
    train_labels: np.ndarray | None
    held: np.ndarray
    held_labels: np.ndarray | None
    latent: np.ndarray
    labels: np.ndarray | None


class Inspector(Protocol):
    """The functions of an engine's inspection module; `now` is its `Training`."""

    def watch(self, now: Any) -> Callable[[], dict[str, Layer]]:
        """Remember the weights; the result, called after the step, gives the norms of every parameter.

        Names are player.parameter, as in a checkpoint.
        """

    def inspect(self, recipe: Recipe, now: Any, looked: Looked) -> Inside:
        """Look into the networks, and leave them as they were."""


def inspector_of(recipe: Recipe) -> Inspector:
    """The inspection module of the recipe's engine."""
    name = {"torch": "duel.inspection", "scratch": "duel.scratch.inspection"}[recipe.engine]
    return cast(Inspector, importlib.import_module(name))


class Watch:
    """Looks at one training. `facts` are of the data and do not change."""

    def __init__(self, recipe: Recipe, data: Data) -> None:
        self._recipe = recipe
        self._inspector = inspector_of(recipe)
        rng = streams.stream(recipe.seed, "fixed", 1)
        train = _drawn(data.splits["train"], rng, _REFERENCES)
        held = _drawn(data.splits["validation"], rng, _COUNT)
        classes = recipe.game.interface(data.spec, recipe.latent.size).generator_classes
        labels = np.arange(_COUNT) % classes if classes else None
        uses = recipe.game.labels
        self.looked = Looked(
            train=in_range(train.samples[:_COUNT]),
            train_labels=None if not uses or train.labels is None else train.labels[:_COUNT],
            held=in_range(held.samples),
            held_labels=held.labels if uses else None,
            latent=streams.draw_latent(rng, _COUNT, recipe.latent.size, recipe.latent.prior),
            labels=labels,
        )
        self._reference = Reference.of(in_range(train.samples), train.labels, self.looked.held, held.labels)
        self.facts = {**facts(data), **self._reference.facts()}
        self._pixels = Pixels.of(self.looked.train) if data.spec.kind == "image" else None
        self._before: np.ndarray | None = None

    def watch(self, now: Any) -> Callable[[], dict[str, Layer]]:
        """Before a step that is looked at: the result gives the norms after it."""
        return self._inspector.watch(now)

    def remember(self, generate: Generate) -> None:
        """Take up what `movement` compares with, where a run is taken up at the step of a look."""
        self._before = features(generate(self.looked.latent, self.looked.labels))

    @np.errstate(over="ignore", invalid="ignore")  # of a training that has diverged
    def look(self, now: Any, generate: Generate, layers: Mapping[str, Layer]) -> dict[str, Any]:
        """The values of all signals, as JSON; None stands for a number that is none."""
        looked, reference = self.looked, self._reference
        inside = self._inspector.inspect(self._recipe, now, looked)
        samples = generate(looked.latent, looked.labels)
        drawn = features(samples)
        values: dict[str, Any] = {
            **of_layers(layers),
            **of_logits(inside, self._recipe.objective.boundary),
            **reference.compare(drawn, looked.labels),
            "movement": None if self._before is None else reference.relative(moved(drawn, self._before)),
            "sensitivity": self._sensitivity(generate, drawn),
            "dead": inside.dead,
        }
        if looked.labels is not None and looked.labels.any():  # of one class there is no other to ask for
            values["label_effect"] = self._label_effect(generate, drawn)
        if inside.by_batch is not None:
            values["norm_gap"] = reference.relative(moved(features(inside.by_batch), drawn))
        if inside.reconstructed is not None:
            again, held = features(inside.reconstructed), features(looked.held)
            values["reconstruction"] = reference.relative(moved(again, held))
            values["match"] = match(again, held)
        if isinstance(self._recipe.objective, Wasserstein):
            values["wasserstein_estimate"] = wasserstein_estimate(inside)
        if inside.slopes is not None:
            values["critic_slope"] = float(np.sqrt(np.mean(np.square(inside.slopes))))
        if inside.clipped is not None:
            values["clipped"] = inside.clipped
        if self._pixels is not None:
            values |= of_pixels(samples, self._pixels)
        self._before = drawn
        found: dict[str, Any] = as_json(values)
        return found

    def _sensitivity(self, generate: Generate, drawn: np.ndarray) -> float:
        """How far a sample moves for a tenth of the way to another latent vector; 1: as far as data would."""
        latent = self.looked.latent[:FEW]
        towards = latent + np.float32(_STEP) * (np.roll(latent, 1, 0) - latent)
        labels = None if self.looked.labels is None else self.looked.labels[:FEW]
        return self._reference.relative(moved(features(generate(towards, labels)), drawn[:FEW])) / _STEP

    def _label_effect(self, generate: Generate, drawn: np.ndarray) -> float:
        """How far a sample moves when another label is asked for; 1: as far as two real samples are apart."""
        assert self.looked.labels is not None
        classes = int(self.looked.labels.max()) + 1
        labels = (self.looked.labels[:FEW] + max(1, classes // 2)) % classes
        other = features(generate(self.looked.latent[:FEW], labels))
        return self._reference.relative(moved(other, drawn[:FEW]))


# ---------------------------------------------------------------- samples against the data


@dataclass(frozen=True)
class Reference:
    """Real samples as features (N×F): `train`, its first 200 as `near`, held-out ones; and labels.

    distance  mean distance of two of `near`
    radii     of each of `near` to its 5th neighbour among them
    spacing   median distance of a real sample to the nearest training sample: of held-out ones, or of
              training samples to others, whichever is less (held-out ones may be of another kind); NaN if all
              are copies
    class_distances  mean distance of two training samples of each class; None for a class of few
    """

    train: np.ndarray
    labels: np.ndarray | None
    held: np.ndarray
    held_labels: np.ndarray | None
    near: np.ndarray
    distance: float
    radii: np.ndarray
    spacing: float
    class_distances: tuple[float | None, ...]

    @classmethod
    def of(
        cls, train: np.ndarray, labels: np.ndarray | None, held: np.ndarray, held_labels: np.ndarray | None
    ) -> Reference:
        """From samples in [−1, 1]."""
        references = features(train)
        near = references[:_COUNT]
        among = distances(near, near)
        held = features(held)
        distance = mean_off_diagonal(among)
        spacings = [float(np.median(_nearest_others(near, references)))]
        if len(held):
            spacings.append(float(np.median(distances(held, references).min(1))))
        return cls(
            train=references,
            labels=labels,
            held=held,
            held_labels=held_labels,
            near=near,
            distance=distance,
            radii=np.sort(among, 1)[:, min(_NEIGHBOURS, len(among) - 1)],
            class_distances=_class_distances(references, labels),
            spacing=min((each for each in spacings if each > _SAME * distance), default=math.nan),
        )

    def facts(self) -> dict[str, Any]:
        """What the same numbers are for held-out samples: the best that one can expect of a generator."""
        if not len(self.held):
            return {}
        apart = distances(self.held, self.near)
        found = {"coverage": self._coverage(apart), "precision": self._precision(apart)}
        if self.labels is not None and self.held_labels is not None:
            nearest = distances(self.held, self.train).argmin(1)
            found["label_accuracy"] = float((self.labels[nearest] == self.held_labels).mean())
        return {"held_out": as_json(found)}

    def compare(self, drawn: np.ndarray, asked: np.ndarray | None) -> dict[str, Any]:
        """Diversity, coverage, precision, copies, and the classes of generated features (N×F).

        asked: the label that each was generated for, where the generator takes labels
        """
        among, to_train = distances(drawn, drawn), distances(drawn, self.train)
        apart = to_train[:, : len(self.near)]
        found: dict[str, Any] = {
            "diversity": self.relative(mean_off_diagonal(among)),
            "twins": _ratio(nearest_other(among), nearest_other(distances(self.near, self.near))),
            "coverage": self._coverage(apart),
            "precision": self._precision(apart),
            "nearest": float(np.median(to_train.min(1))) / self.spacing,
        }
        if self.labels is None:
            return found
        seen = self.labels[to_train.argmin(1)]
        classes = int(self.labels.max()) + 1
        counts = np.bincount(seen, minlength=classes)
        found["class_shares"] = (counts / counts.sum()).tolist()
        of_class = seen if asked is None else asked
        found["class_diversity"] = [self._class_diversity(drawn, of_class, label) for label in range(classes)]
        if asked is not None:
            found["label_accuracy"] = float((seen == asked).mean())
        return found

    def relative(self, distance: float) -> float:
        """A distance in units of the mean distance of two real samples; NaN where these are all the same."""
        return distance / self.distance if self.distance else math.nan

    def _coverage(self, apart: np.ndarray) -> float:
        """Share of real samples with a generated one within the distance to their 5th real neighbour.

        Naeem et al. 2020 (arXiv:2002.09797), equation 10.
        """
        return float((apart.min(0) <= self.radii).mean())

    def _precision(self, apart: np.ndarray) -> float:
        """Share of generated samples within that distance of any real one (Kynkäänniemi et al. 2019)."""
        return float((apart <= self.radii).any(1).mean())

    def _class_diversity(self, drawn: np.ndarray, of_class: np.ndarray, label: int) -> float | None:
        mine, whole = drawn[of_class == label], self.class_distances[label]
        if len(mine) < _FEWEST or whole is None:
            return None
        return mean_off_diagonal(distances(mine, mine)) / whole if whole else None


def features(samples: np.ndarray) -> np.ndarray:
    """Samples in [−1, 1] as rows (float32): points as they are, images made smaller by averaging blocks."""
    if samples.ndim == 2:
        return samples.astype(np.float32)
    count, channels, side, _ = samples.shape
    small = max(size for size in range(1, _LARGEST_SIDE + 1) if side % size == 0)
    block = side // small
    blocks = samples.reshape(count, channels, small, block, small, block)
    pooled: np.ndarray = blocks.mean((3, 5), dtype=np.float32).reshape(count, channels * small**2)
    return pooled


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Euclidean distances N×M between rows (float64); exactly 0 between equal ones."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    norms = np.square(a).sum(1)[:, None] + np.square(b).sum(1)
    squared = norms - 2 * (a @ b.T)
    found: np.ndarray = np.sqrt(np.where(squared < _ROUNDING * norms, 0, squared))
    return found


def moved(a: np.ndarray, b: np.ndarray) -> float:
    """The mean distance between rows of equal number."""
    return float(np.sqrt(np.square(a - b).sum(1)).mean())


def match(again: np.ndarray, samples: np.ndarray) -> float:
    """The chance that a sample is nearer to its own reconstruction than to another's: 0.5 is no better."""
    apart = distances(samples, again)
    nearer = apart.diagonal()[:, None] < apart
    count = len(samples)
    return float(nearer.sum() / (count * (count - 1))) if count > 1 else math.nan


def mean_off_diagonal(square: np.ndarray) -> float:
    """The mean of a matrix of distances but for its diagonal; 0 for fewer than two rows."""
    count = len(square)
    if count < 2:
        return 0.0
    return float((square.sum() - np.trace(square)) / (count * (count - 1)))


def nearest_other(square: np.ndarray) -> np.ndarray:
    """Each row's smallest distance to another row."""
    return np.asarray((square + np.diag(np.full(len(square), np.inf, square.dtype))).min(1))


def _class_distances(rows: np.ndarray, labels: np.ndarray | None) -> tuple[float | None, ...]:
    """The mean distance of two rows of each class; None where there are too few."""
    if labels is None:
        return ()
    classes = [rows[labels == label][:_COUNT] for label in range(int(labels.max()) + 1)]
    return tuple(mean_off_diagonal(distances(own, own)) if len(own) >= _FEWEST else None for own in classes)


def _nearest_others(first: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """The distance of each of the first rows of a matrix to the nearest other row of it."""
    square = distances(first, whole)
    square[np.arange(len(first)), np.arange(len(first))] = np.inf
    found: np.ndarray = square.min(1)
    return found


def _ratio(a: np.ndarray, b: np.ndarray) -> float:
    """Of two medians; NaN where the second is 0 (copies among the real samples)."""
    below = float(np.median(b))
    return float(np.median(a)) / below if below > 0 else math.nan


# ---------------------------------------------------------------- pixels


@dataclass(frozen=True)
class Pixels:
    """Of the real images: the share of saturated values, and the spectrum."""

    saturated: float
    power: np.ndarray

    @classmethod
    def of(cls, images: np.ndarray) -> Pixels:
        """From images in [−1, 1] (N×C×H×W)."""
        return cls(saturated(images), spectrum(images))


def of_pixels(samples: np.ndarray, real: Pixels) -> dict[str, Any]:
    """Saturation and spectrum of images in [−1, 1] (N×C×H×W) beside real ones.

    saturated     share of values within 0.01 of the ends, less the data's
    sharpness     power above half of the highest frequency, over the data's; 1 is right, 0 is smooth
    checkerboard  power at a period of 2 or 4 pixels over that of the neighbouring frequencies, over the
                  same of the data: the largest of rows and columns. Odena et al. 2016 (distill.pub) explain
                  why upscaling leaves such a pattern
    """
    mine, side = spectrum(samples), samples.shape[-1]
    high = np.maximum(*np.meshgrid(frequencies(side), frequencies(side))) > side / 4
    return {
        "saturated": saturated(samples) - real.saturated,
        "sharpness": float(mine[high].sum() / max(real.power[high].sum(), 1e-12)),
        "checkerboard": float(max(peaks(mine) / peaks(real.power))),
    }


def saturated(images: np.ndarray) -> float:
    """The share of values within 0.01 of −1 or 1."""
    return float((np.abs(images) > 0.99).mean())


def spectrum(images: np.ndarray) -> np.ndarray:
    """Mean power H×W of the images' grey versions, each less its mean."""
    grey = images.mean(1)
    grey = grey - grey.mean((1, 2), keepdims=True)
    power: np.ndarray = np.square(np.abs(np.fft.fft2(grey))).mean(0)
    return power


def frequencies(side: int) -> np.ndarray:
    """|frequency| of each row or column of a spectrum, in cycles per image."""
    found: np.ndarray = np.abs(np.fft.fftfreq(side, 1 / side))
    return found


def peaks(power: np.ndarray) -> np.ndarray:
    """Power at a period of 2 and of 4 pixels over the mean of the neighbouring frequencies; rows, columns."""
    side = power.shape[0]
    found = []
    for axis in (0, 1):
        line = power.mean(axis)
        for number in (side // 2, side // 4):
            beside = (line[number - 1] + line[(number + 1) % side]) / 2
            found.append(line[number] / max(beside, 1e-12))
    positive: np.ndarray = np.maximum(np.array(found), 1e-12)
    return positive


# ---------------------------------------------------------------- networks


def of_layers(layers: Mapping[str, Layer]) -> dict[str, Any]:
    """Gradient norms of both players and their ratio; by weight matrix the gradient and the relative update.

    The second player is all but the discriminator. With several updates in a step, the gradient is the
    last one's and the update is that of all together.
    """
    of_d = [layer.gradient for name, layer in layers.items() if name.startswith("discriminator.")]
    of_g = [layer.gradient for name, layer in layers.items() if not name.startswith("discriminator.")]
    g, d = math.hypot(*of_g), math.hypot(*of_d)
    matrices = {name: layer for name, layer in layers.items() if name.endswith(_WEIGHTS) and layer.weight}
    return {
        "gradient_g": g,
        "gradient_d": d,
        "gradient_ratio": g / d if d else math.nan,
        "layer_gradient": {name: layer.gradient / layer.weight for name, layer in matrices.items()},
        "update_ratio": {name: layer.update / layer.weight for name, layer in matrices.items()},
    }


def of_logits(inside: Inside, boundary: float | None) -> dict[str, Any]:
    """How well the discriminator tells training, held-out and generated samples apart.

    accuracy_…  share on the right side of the boundary; where the objective has none, of half the way between
                the means of training and generated samples
    separation  the chance that a training sample scores above a generated one (0.5: it cannot tell them
                apart); separation_held the same for a held-out sample
    """
    real, held, fake = inside.train, inside.held, inside.fake
    edge = (real.mean() + fake.mean()) / 2 if boundary is None else boundary
    found = {
        "logit_real": float(real.mean()),
        "logit_fake": float(fake.mean()),
        "accuracy_real": _share(real > edge, real),
        "accuracy_fake": _share(fake < edge, fake),
        "separation": chance_above(real, fake),
    }
    if len(held):
        found |= {
            "logit_held": float(held.mean()),
            "accuracy_held": _share(held > edge, held),
            "separation_held": chance_above(held, fake),
        }
    return found


def wasserstein_estimate(inside: Inside) -> float:
    """How far a Wasserstein critic holds training and generated samples apart: the difference of mean scores.

    What Arjovsky, Chintala, Bottou 2017 (arXiv:1701.07875), figure 3, plot against the updates. It is the
    distance times the critic's Lipschitz constant only for the best critic that there is; 0 or less says that
    this one knows no difference.
    """
    return float(inside.train.mean() - inside.fake.mean())


def chance_above(a: np.ndarray, b: np.ndarray) -> float:
    """The chance that a value of `a` is above one of `b`; ties count half (Mann, Whitney 1947)."""
    if np.isnan(a).any() or np.isnan(b).any():
        return math.nan
    greater = (a[:, None] > b).mean()
    equal = (a[:, None] == b).mean()
    return float(greater + equal / 2)


def _share(right: np.ndarray, logits: np.ndarray) -> float:
    return math.nan if np.isnan(logits).any() else float(right.mean())


# ---------------------------------------------------------------- the data


def facts(data: Data) -> dict[str, Any]:
    """What the training split is, in numbers that matter to a generator.

    copies             share of samples that stand there more than once, less one of each (of the first 32 MB)
    constant_channels  numbers of the channels that are the same everywhere
    class_counts       by label
    """
    train = data.splits["train"]
    some = train.samples[: max(1, _HASHED // max(1, train.samples[:1].nbytes))]
    rows = np.ascontiguousarray(some).reshape(len(some), -1)
    distinct = len({row.tobytes() for row in rows})
    found: dict[str, Any] = {"train": len(train), "copies": 1 - distinct / len(some)}
    if data.spec.kind == "image":
        channels = some[:_REFERENCES].swapaxes(0, 1).reshape(data.spec.shape[0], -1)
        found["constant_channels"] = np.flatnonzero(channels.min(1) == channels.max(1)).tolist()
    if train.labels is not None:
        found["class_counts"] = np.bincount(train.labels, minlength=len(data.spec.classes)).tolist()
    return found


def in_range(samples: np.ndarray) -> np.ndarray:
    """uint8 images in [−1, 1] (float32); points as they are."""
    return samples / np.float32(127.5) - np.float32(1) if samples.dtype == np.uint8 else samples


def _drawn(split: Split, rng: np.random.Generator, most: int) -> Split:
    """At most so many samples of a split, in random order; a single one twice."""
    rows = rng.permutation(len(split))[:most]
    if len(rows) == 1:
        rows = rows.repeat(2)  # batch norm needs two
    return Split(split.samples[rows], None if split.labels is None else split.labels[rows])


def as_json(value: Any) -> Any:
    """Numbers with five digits; None for one that is infinite or NaN."""
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    return value
