"""Is our exact nearest neighbour as fast as the matrix product that it cannot avoid?

One nearest neighbour of 10,000 test images among 60,000 training images of 784 pixels (MNIST where
DUEL_DATA names a folder that has it, else random numbers of that size). In turns: the bare blocked matrix
product of that size, ours, and scikit-learn's brute force. Printed are median and range of the seconds, the
median of the pairwise ratios to the bare product, and how many predictions agree.

    DUEL_DATA=DIR python bench/neighbours.py [--threads 2] [--runs 3]
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from duel.errors import DuelError
from duel.metrics._neighbours import predict


def images() -> tuple[str, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Name, training images and labels, test images and labels."""
    from duel.datasets.mnist import Mnist

    try:
        splits = Mnist().load().splits
    except DuelError:
        rng = np.random.default_rng(0)
        sizes = (60_000, 10_000)
        train, test = (rng.random((size, 784), np.float32) for size in sizes)
        return "random numbers", train, rng.integers(0, 10, sizes[0]), test, rng.integers(0, 10, sizes[1])
    parts = [splits[name] for name in ("train", "validation")]
    train = np.concatenate([part.samples for part in parts]).reshape(-1, 784)
    labels = np.concatenate([part.labels for part in parts if part.labels is not None])
    test, truth = splits["test"].samples.reshape(-1, 784), splits["test"].labels
    assert truth is not None
    return "MNIST", train.astype(np.float32) / 255, labels, test.astype(np.float32) / 255, truth


def bare(test: np.ndarray, train: np.ndarray, out: torch.Tensor) -> None:
    """The products alone, 1,000 rows at a time into memory that is there already."""
    queries, base = torch.from_numpy(test), torch.from_numpy(train)
    for start in range(0, len(queries), 1000):
        torch.mm(queries[start : start + 1000], base.T, out=out)


def seconds(function: Callable[[], object]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def spread(values: list[float]) -> str:
    """Median and range."""
    return f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    from sklearn.neighbors import KNeighborsClassifier

    torch.set_num_threads(given.threads)
    name, train, labels, test, truth = images()
    out = torch.empty(1000, len(train))
    found: dict[str, np.ndarray] = {}

    def sklearn_predict() -> np.ndarray:
        model = KNeighborsClassifier(1, algorithm="brute", n_jobs=given.threads).fit(train, labels)
        return np.asarray(model.predict(test))

    times: dict[str, list[float]] = {"bare product": [], "duel": [], "scikit-learn": []}
    for _ in range(given.runs):
        times["bare product"].append(seconds(lambda: bare(test, train, out)))
        times["duel"].append(seconds(lambda: found.update(duel=predict(test, train, labels, 1))))
        times["scikit-learn"].append(seconds(lambda: found.update(sklearn=sklearn_predict())))
    print(f"{name}, {len(test):,} among {len(train):,} × {train.shape[1]}, {given.threads} threads")
    print("| | seconds, median (range) | times the bare product |\n|---|---|---|")
    for kind, measured in times.items():
        ratios = [own / base for own, base in zip(measured, times["bare product"], strict=True)]
        print(f"| {kind} | {spread(measured)} | {spread(ratios)} |")
    equal = int((found["duel"] == found["sklearn"]).sum())
    print(f"equal predictions: {equal:,} of {len(test):,}; accuracy {np.mean(found['duel'] == truth):.4f}")


if __name__ == "__main__":
    main()
