"""Source A's and E's experiments on the from-scratch engine: tables over seeds, and a curve over the epochs.

As bench/quality.py (rows, resumable; the last checkpoint counts). `recognised` is the share of 2,000
samples to whose class the classifier gives a probability of 90 % or more; it goes to OUT/curves.jsonl for
every checkpoint.

    DUEL_DATA=… python bench/scratch_quality.py a e --out /tmp/scratch [--seeds 0 1 2] [--steps 10309]
    python bench/scratch_quality.py digits-updates digits-images forward-gradient --out /tmp/scratch
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from quality import EVIDENCE, Changes, Row, Table, known, main

import duel
from duel.evaluate import Evaluator

EPOCH = 859  # steps of 64 images; 55,000 are trained on
SCRATCH = {"engine": "scratch", "log.every": 100}
EACH_EPOCH = {**SCRATCH, "checkpoint.every": EPOCH, "checkpoint.keep": 99}
SMALL = {**SCRATCH, "network.generator_hidden": [64, 128], "network.discriminator_hidden": [128, 64]}
RING = ("modes",)
FULL = 1426  # the embedded digits' training split
WAYS: dict[str, Changes] = {
    "backprop": {},
    "forward-gradient, 4 directions": {"scratch.gradient": "forward-gradient", "scratch.directions": 4},
    "forward-gradient, 16 directions": {"scratch.gradient": "forward-gradient", "scratch.directions": 16},
    "forward-gradient, 64 directions": {"scratch.gradient": "forward-gradient", "scratch.directions": 64},
}
TABLES = {
    "a": Table(
        "mnist",
        12 * EPOCH,
        (
            Row("Adam", "gan-dense-a"),
            Row("SGD with momentum 0.9", str(EVIDENCE / "gan-dense-a-sgd.toml")),
            Row("rational activations", str(EVIDENCE / "gan-dense-a-rational.toml")),
        ),
        EACH_EPOCH,
    ),
    "e": Table("mnist", 20 * EPOCH, (Row("gan-dense-e", "gan-dense-e"),), EACH_EPOCH),
    "digits-updates": Table(
        "digits",
        2000,
        tuple(Row(f"batch {size}", "gan-dense-a", {"batch_size": size}) for size in (1, 64, FULL)),
        SMALL,
    ),
    "digits-images": Table(
        "digits",
        128_000,
        tuple(
            Row(f"batch {size}", "gan-dense-a", {"batch_size": size}, steps=round(128_000 / size))
            for size in (1, 64, FULL)
        ),
        SMALL,
    ),
    "forward-gradient": Table(
        "ring",
        10_000,
        tuple(
            Row(label, str(EVIDENCE / "ring-forward-gradient.toml"), changes, RING, None)
            for label, changes in WAYS.items()
        ),
        SCRATCH,
        ("modes", "modes-high-quality"),
    ),
}


def recognised(run: duel.Run, evaluator: Evaluator, step: int) -> dict[str, Any]:
    """The share of samples that the classifier is sure of, and how often it sees each class."""
    samples = np.concatenate([part for part, _ in run.stream(2000, 0, step)])
    eight_bit = np.clip(np.rint((samples + 1) * 127.5), 0, 255).astype(np.uint8)
    logits = evaluator.extractor.embed(eight_bit).logits
    assert logits is not None
    chances = np.exp(logits - logits.max(1, keepdims=True))
    chances /= chances.sum(1, keepdims=True)
    counts = np.bincount(chances.argmax(1), minlength=chances.shape[1])
    return {"step": step, "recognised": float((chances.max(1) >= 0.9).mean()), "classes": counts.tolist()}


def curves(out: Path) -> None:
    """Add to curves.jsonl what is not there yet: every checkpoint of every run whose data have classes."""
    file = out / "curves.jsonl"
    there = {(row["run"], row["step"]) for row in known(file)}
    evaluators: dict[str, Evaluator] = {}
    for place in sorted(out.glob("*/recipe.toml")):
        run = duel.load(place.parent)
        if run.spec.kind != "image" or not run.spec.classes:
            continue
        name = run.provenance["data"]["name"]
        if name not in evaluators:
            evaluators[name] = Evaluator(run.recipe.data.load(), ["cs"], "classifier", "test")
        for folder in sorted(run.checkpoints_folder.iterdir()):
            if (place.parent.name, int(folder.name)) not in there:
                row = {"run": place.parent.name, **recognised(run, evaluators[name], int(folder.name))}
                with file.open("a") as into:
                    into.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main(TABLES, __doc__ or "")
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    curves(parser.parse_known_args(sys.argv[1:])[0].out)
