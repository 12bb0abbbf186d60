"""A study's folder as `duel study` leaves it, made of runs that are there already."""

import json
import shutil

STUDY = """name = "made"
title = "Two <b>recipes</b>"
recipe = "dcgan"
seeds = [0, 1, 2]
metrics = ["frechet-pixels"]
baseline = "plain"

[budget]
steps = 6
"""


def make_study(root, run, name="study-made"):
    """Two configurations with three seeds each, of which `other` is better; every run is a copy of `run`."""
    folder = root / name
    (folder / "rows").mkdir(parents=True)
    (folder / "study.toml").write_text(STUDY)
    labels = ["plain", "other"]
    common = {"factors": {}, "recipe": "dcgan", "data": "digits", "steps": 6}
    planned = [{"label": label, "folder": label, **common} for label in labels]
    (folder / "plan.json").write_text(json.dumps({"format": 1, "configurations": planned}))
    for place, label in enumerate(labels):
        for seed in range(3):
            shutil.copytree(run, folder / "runs" / label / f"seed-{seed}")
            value = 10.0 - 4 * place + 0.1 * seed * (1 + place)
            row = {
                "study": "made", "size": None, "configuration": label, "recipe": "dcgan", "data": "digits",
                "seed": seed, "run": f"runs/{label}/seed-{seed}", "state": "done", "steps": 6, "images": 48,
                "seconds": 1.0, "checkpoint": "last", "step": 6, "metric": "frechet-pixels", "value": value,
                "low": value - 1, "high": value + 1, "better": "lower", "split": "test", "samples": 20,
                "features": "pixels",
            }  # fmt: skip
            file = folder / "rows" / f"{label}.seed-{seed}.json"
            file.write_text(json.dumps({"format": 1, "rows": [row]}))
    return folder
