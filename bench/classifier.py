"""How good is the classifier of each data set, how long does it take, how much memory?

Each data set is trained in a process of its own on its training split and measured on its test split.
Data sets that are not there are left out. FOLDER is an image folder with a sub-folder per class; it is
taken at 48×48 and 64×64. The targets of CIFAR-10's first batch and of folders come from a first trial, those
of folders on 4,054 photos of five flowers.

    python bench/classifier.py [--threads 2] [--seed 0] [--folder FOLDER] [NAME]...
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from typing import Any

# name: data set, options, least accuracy in %
SETS: dict[str, tuple[str, dict[str, Any], int]] = {
    "digits": ("digits", {}, 96),
    "digits-16": ("digits", {"resolution": 16}, 96),
    "mnist": ("mnist", {}, 99),
    "fashion-mnist": ("fashion-mnist", {}, 90),
    "cifar10-batch-1": ("cifar10", {"batches": (1,)}, 70),
}
FOLDER_TARGET = 75


def measure(data_set: str, options: dict[str, Any], target: int, threads: int, seed: int) -> str:
    """One row of the table."""
    import torch

    from duel import catalog
    from duel.classifier import Trainer, epochs

    torch.set_num_threads(threads)
    data = catalog.load_class("datasets", data_set)(**options).load()
    train, test = data.splits["train"], data.splits["test"]
    began = time.perf_counter()
    trained = Trainer().train(train.samples, train.labels, len(data.spec.classes), seed)
    seconds = time.perf_counter() - began
    hits = trained.embed(test.samples).logits.argmax(1) == test.labels  # type: ignore[union-attr]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    size = "×".join(map(str, data.spec.shape))
    return (
        f"| {data_set} {size} | {len(train):,} × {epochs(len(train))} | {len(test):,} "
        f"| {100 * hits.mean():.2f} % | {target} % | {seconds:.0f} s | {memory:,.0f} MB |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SETS)}; all of them if none")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        data_set, options, target = json.loads(given.one)
        options = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
        print(measure(data_set, options, target, given.threads, given.seed), flush=True)
        return
    wanted = [SETS[name] for name in given.names or ([] if given.folder else SETS)]
    if given.folder:
        wanted += [("folder", {"path": given.folder, "resolution": side}, FOLDER_TARGET) for side in (48, 64)]
    print("| data | training images × epochs | test images | accuracy | target | training | peak memory |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for one in wanted:
        own = ["--threads", str(given.threads), "--seed", str(given.seed), "--one", json.dumps(one)]
        done = subprocess.run([sys.executable, __file__, *own], stderr=subprocess.PIPE, text=True)
        if done.returncode:
            print(f"| {one[0]} | left out: {done.stderr.strip().splitlines()[-1]} | | | | | |", flush=True)


if __name__ == "__main__":
    main()
