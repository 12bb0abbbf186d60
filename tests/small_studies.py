"""The smallest studies that are still real ones, shared by the tests."""

import os
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import tomli_w
from PIL import Image

from duel import pictures, table
from duel.study import study

SET = {"network.width": 4, "latent.size": 5, "batch_size": 8, "sample.count": 4}
SMALL = {
    "recipe": "dcgan",
    "data": "digits",
    "seeds": [0],
    "metrics": ["frechet", "precision"],
    "features": "random",
    "samples": 60,
    "looks": 2,
    "budget": {"steps": 6},
    "set": SET,
}
RATES = {"optimizer.generator.lr": [0.001, 0.01]}


def tree(**changes):
    """A small study's tree with other top-level entries; None takes one away."""
    return {key: value for key, value in {**SMALL, **changes}.items() if value is not None}


def write(folder, name="small", **changes):
    """A small study's file."""
    path = Path(folder) / f"{name}.toml"
    path.write_text(tomli_w.dumps(tree(**changes)))
    return path


class Here:
    """Plays each job at once, in this process."""

    def submit(self, function, job):
        future = Future()
        try:
            future.set_result(function(job))
        except BaseException as error:
            future.set_exception(error)
        return future


@contextmanager
def here(workers, cluster):
    """In place of `duel.study.executors.executor`."""
    yield Here()


def play(file, out, **options):
    """A study from start to end: the events that are not of its progress."""
    return [event for event in study(file, out, **options) if event["event"] != "progress"]


def values(out):
    """The table as comparable rows, without how long the runs took."""
    return [{key: value for key, value in row.items() if key != "seconds"} for row in table.read(out)]


def csv_values(out):
    """The same from table.csv."""
    rows = table.from_csv((Path(out) / "table.csv").read_text())
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def in_this_process(monkeypatch, *modules):
    """No worker processes (a second and a half each), and no curves, which take longer than the training."""
    for module in modules:
        monkeypatch.setattr(module, "executor", here)
    monkeypatch.setattr(pictures, "curves", lambda events: Image.new("L", (9, 9)))
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # nobody pulls the plug here
