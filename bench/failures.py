"""Which metric sees which failure of a generator? A table on MNIST (or another data set with labels).

Made "generators", 5,000 samples each, against the test split: held-out real images (the validation split);
one image only; one good image per class; blurred real images; training images returned; noisy real images.
A failure counts as caught by a metric when its value is worse than that of the held-out real images and the
two 95 % intervals do not touch.

    DUEL_DATA=… python bench/failures.py [--data mnist] [--samples 5000]
"""

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from duel import recipe
from duel.datasets._base import Data, Split
from duel.evaluate import Batch, Evaluator, Source

METRICS = [
    "fcd",
    "cs",
    "kid",
    "precision",
    "recall",
    "density",
    "coverage",
    "memorisation",
    "modes",
    "ms-ssim",
]


def generators(data: Data, count: int) -> dict[str, np.ndarray]:
    """Name → uint8 samples."""
    held_out, train = data.splits["validation"].samples[:count], data.splits["train"]
    assert train.labels is not None
    firsts = [
        train.samples[np.flatnonzero(train.labels == label)[0]] for label in range(len(data.spec.classes))
    ]
    noise = np.random.default_rng(0).normal(0, 32, held_out.shape)
    return {
        "real, held out": held_out,
        "one image": np.repeat(train.samples[:1], len(held_out), axis=0),
        "one image per class": np.resize(np.stack(firsts), held_out.shape),
        "blurred": np.stack([blurred(image) for image in held_out]),
        "training images": train.samples[: len(held_out)],
        "noisy": np.clip(held_out + noise, 0, 255).astype(np.uint8),
    }


def blurred(image: np.ndarray) -> np.ndarray:
    """One image C×H×W after a Gaussian blur of one pixel."""
    planes = [Image.fromarray(plane).filter(ImageFilter.GaussianBlur(1)) for plane in image]
    return np.stack([np.asarray(plane) for plane in planes])


def source(name: str, samples: np.ndarray) -> Source:
    """An array in the place of a generator."""

    def stream(count: int, seed: int) -> Iterator[Batch]:
        for start in range(0, count, 250):
            yield Split(samples, None).samples[start : start + 250], None

    return Source(name, "folder", len(samples), stream)


def worse(entry: dict[str, Any], real: dict[str, Any]) -> bool:
    """Worse than real, and the intervals do not touch."""
    if entry["better"] == "lower":
        return bool(entry["low"] > real["high"])
    return bool(entry["high"] < real["low"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--samples", type=int, default=5000)
    given = parser.parse_args()
    data = recipe.data_set(given.data).load()
    evaluator = Evaluator(data, METRICS)
    results = {
        name: evaluator.measure(source(name, samples))["metrics"]
        for name, samples in generators(data, given.samples).items()
    }
    print(f"classifier's test accuracy {evaluator.extractor.accuracy:.4f}\n")
    real = results["real, held out"]
    print("| metric | " + " | ".join(results) + " | misses |")
    print("|---" * (len(results) + 2) + "|")
    for metric in real:
        print(row(metric, {name: found[metric] for name, found in results.items()}))


def row(metric: str, entries: dict[str, dict[str, Any]]) -> str:
    """One metric's values; what it catches is bold, what it misses is named at the end."""
    real = entries["real, held out"]
    caught = {name: worse(entry, real) for name, entry in entries.items()}
    cells = [f"**{e['value']:.3f}**" if caught[name] else f"{e['value']:.3f}" for name, e in entries.items()]
    missed = [name for name, found in caught.items() if not found and name != "real, held out"]
    return f"| {metric} | " + " | ".join(cells) + f" | {', '.join(missed) or '–'} |"


if __name__ == "__main__":
    main()
