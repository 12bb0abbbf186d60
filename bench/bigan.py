"""What does a BiGAN's encoder know of digits that it was never told? 1-NN over the epochs, as its authors do.

Trains the recipe bigan-dense on MNIST and classifies the 10,000 test images by their nearest neighbour among
the 60,000 training images (of which 55,000 were trained on): on the encoder's last hidden layer and on E(x),
beside raw pixels and the untrained encoder. The learning rate is constant for half of the epochs and then
falls to a hundredth, as in the authors' 400. Rows go to OUT/rows.jsonl; what is there stays.

With --runs, bidirectional runs that are there are measured instead, on the first --test test images among the
first --train training images: on E(x), the last hidden layer and the pixels of G(E(x)) (untrained, too).

    DUEL_DATA=… python bench/bigan.py --out /tmp/bigan [--epochs 60] [--at 5 10 20 40 60] [--seeds 0]
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from quality import both, commit, known

import duel
from duel import pictures, sampling
from duel.datasets._base import Data
from duel.metrics._base import wilson
from duel.metrics._neighbours import predict

BATCH = 128


def train(out: Path, epochs: int, seed: int, threads: int, at: list[int]) -> duel.Run:
    """The run folder with checkpoints after the epochs in `at`; goes on where it stopped."""
    steps = {epoch: round(epoch * 55_000 / BATCH) for epoch in (*at, epochs)}
    total = steps[epochs]
    rate = {"values": [2e-4, 2e-4, 2e-6], "at": [0, total // 2, total], "shape": "exponential"}
    rare = {"sample.every": total, "log.every": 100, "checkpoint.every": 10**9, "checkpoint.keep": 99}
    changes = {**both(lr=rate), **rare, "batch_size": BATCH, "threads": threads}
    for epoch in sorted({*at, epochs}):
        with duel.train("bigan-dense", out=out, steps=steps[epoch], seed=seed, changes=changes) as session:
            for event in session:
                if event["event"] == "step" and event["step"] % 1000 == 0:
                    print(
                        seed, event["step"], round(event["loss_d"], 3), round(event["loss_g"], 3), flush=True
                    )
    return duel.load(out)


def codes(run: duel.Run, images: np.ndarray, step: int | None, hidden: bool) -> np.ndarray:
    """E(x) or the last hidden layer at a step's checkpoint; before training where it is None."""
    if step is not None:
        return run.encode(images, hidden=hidden, checkpoint=step)
    encoder = run.need_encoder(run.untrained())
    return sampling.encode(encoder, images.astype(np.float32) / 127.5 - 1, hidden)


def measured(data: Data, codes_of: Any) -> dict[str, float]:
    """Accuracy of the nearest neighbour on `codes_of(images)` and Wilson's interval."""
    base = [data.splits[name] for name in ("train", "validation")]
    test = data.splits["test"]
    labels = np.concatenate([part.labels for part in base if part.labels is not None])
    found = predict(
        codes_of(test.samples), codes_of(np.concatenate([part.samples for part in base])), labels, 1
    )
    hits = int((found == test.labels).sum())
    low, high = wilson(hits, len(test))
    return {"accuracy": hits / len(test), "low": low, "high": high}


def compare(path: Path, train: int, test: int) -> None:
    """Print the accuracies of one run, and those of its untrained networks."""
    run = duel.load(path)
    data = run.recipe.data.load()
    base, asked = data.splits["train"], data.splits["test"]
    images, queries = base.samples[:train], asked.samples[:test]
    assert base.labels is not None
    assert asked.labels is not None
    labels, truth = base.labels[:train], asked.labels[:test]
    last = run.checkpoint_step()
    for name, step in (("untrained", None), ("trained", last)):
        networks = run.untrained() if step is None else run.networks()
        latent, hidden = (
            [codes(run, part, step, wanted) for part in (queries, images)] for wanted in (False, True)
        )
        again = pictures.to_uint8(sampling.generate(networks.generator, latent[0]))
        guesses = {
            "E(x)": predict(latent[0], latent[1], labels, 1),
            "hidden": predict(hidden[0], hidden[1], labels, 1),
            "G(E(x))": predict(again, images, labels, 1),
        }
        for layer, found in guesses.items():
            hits = int((found == truth).sum())
            low, high = wilson(hits, test)
            print(
                f"| {path.name} | {last} | {name} | {layer} | {hits / test:.1%} ({low:.1%} to {high:.1%}) |"
            )
    hits = int((predict(queries, images, labels, 1) == truth).sum())
    print(f"| pixels | | | | {hits / test:.1%} |", flush=True)


def main() -> None:
    """Train, measure, print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--runs", type=Path, nargs="+", default=[])
    parser.add_argument("--train", type=int, default=20_000)
    parser.add_argument("--test", type=int, default=2_000)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--at", type=int, nargs="+", default=[5, 10, 20, 40, 60])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    for path in given.runs:
        compare(path, given.train, given.test)
    if given.out is None:
        return
    given.out.mkdir(parents=True, exist_ok=True)
    file = given.out / "rows.jsonl"
    from duel.recipe import data_set

    data = data_set("mnist").load()

    def row(seed: int | None, epoch: int, layer: str, codes_of: Any) -> None:
        key = {"seed": seed, "epochs": given.epochs, "epoch": epoch, "layer": layer}
        if all({name: one[name] for name in key} != key for one in known(file)):
            made = {**key, **measured(data, codes_of), "commit": commit()}
            with file.open("a") as out:
                out.write(json.dumps(made) + "\n")
            print(made, flush=True)

    for seed in given.seeds:
        run = train(given.out / f"seed-{seed}-{given.epochs}", given.epochs, seed, given.threads, given.at)
        row(None, 0, "pixels", lambda images: images)
        for epoch in (0, *given.at):
            step = round(epoch * 55_000 / BATCH) or None
            for layer in ("hidden", "E(x)"):
                hidden = layer == "hidden"
                row(
                    seed, epoch, layer,
                    lambda images, step=step, hidden=hidden, run=run: codes(run, images, step, hidden),
                )  # fmt: skip
    for one in known(file):
        print(f"| {one['seed']} | {one['epoch']} | {one['layer']} | {one['accuracy']:.2%} "
              f"({one['low']:.2%} to {one['high']:.2%}) |")  # fmt: skip


if __name__ == "__main__":
    main()
