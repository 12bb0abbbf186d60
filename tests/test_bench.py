"""The quality tables run at toy size here; every configuration of the large ones fits its data."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import torch

from duel import recipe
from duel.datasets._base import Spec

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

import gpu_quality
import quality
import scratch
import scratch_quality

TABLES = {**quality.TABLES, **gpu_quality.TABLES, **scratch_quality.TABLES}
SMALL = {"batch_size": 8, "threads": 1, "device": "cpu"}


@pytest.mark.parametrize(
    ("table", "row"),
    [
        pytest.param(table, row, id=f"{name}: {row.label}")
        for name, table in TABLES.items()
        for row in table.rows
    ],
)
def test_every_configuration_of_the_tables_builds_its_networks(table, row):
    changes = {**table.common, **row.changes, "data.name": table.data, "steps": table.steps, **SMALL}
    it = recipe.resolve(recipe.change(recipe.read(row.recipe), changes))
    specs = {"cifar10": (3, 32, 32), "mnist": (1, 28, 28)}
    if table.data in specs:
        shape = specs[table.data]
        side = it.data.resolution or shape[-1]
        spec = Spec("image", (shape[0], side, side), tuple("0123456789"))
        interface = it.game.interface(spec, it.latent.size)
        it.network.check(interface)
        with torch.device("meta"):
            assert it.network.modules(interface).generator is not None


def toy_table():
    small = {key: value for key, value in tiny.TINY.items() if not key.startswith("network.")}
    cgan = quality.TABLES["mnist"].rows[3]
    rows = (replace(cgan, changes={"network.width": 4}, metrics=("frechet", "kid"), features="random"),)
    return quality.Table("digits", 4, rows, small, ("frechet-random", "kid"))


def test_a_table_is_made_row_by_row_and_not_twice(tmp_path, monkeypatch, capsys):
    asked = [
        "quality",
        "toy",
        "--out",
        str(tmp_path),
        "--seeds",
        "0",
        "1",
        "--samples",
        "60",
        "--workers",
        "1",
    ]
    monkeypatch.setattr(sys, "argv", asked)
    quality.main({"toy": toy_table()}, "Toy.")
    said = capsys.readouterr().out
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert len(rows) == 2
    assert all(row["reason"] == "done" and row["updates_d"] == 4 for row in rows)
    assert "| CGAN | 4 | 2 | " in said
    assert " to " in said.splitlines()[-1]
    quality.main({"toy": toy_table()}, "Toy.")
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 2


# ---------------------------------------------------------------- the from-scratch engine


def test_the_curve_has_a_line_for_every_checkpoint_and_not_twice(tmp_path, monkeypatch):
    tiny.train(tmp_path / "run", recipe="gan", changes={"engine": "scratch"})
    sure = np.zeros((2000, 10), np.float32)
    sure[:1500, 3] = 9.0  # a probability of 99.9 %; the others see ten equal chances

    class Evaluator:
        def __init__(self, *asked):
            self.extractor = SimpleNamespace(
                embed=lambda samples: SimpleNamespace(logits=sure[: len(samples)])
            )

    monkeypatch.setattr(scratch_quality, "Evaluator", Evaluator)
    for _ in range(2):
        scratch_quality.curves(tmp_path)
    rows = quality.known(tmp_path / "curves.jsonl")
    assert [(row["step"], row["recognised"]) for row in rows] == [(5, 0.75), (10, 0.75)]
    assert rows[0]["classes"] == [500, 0, 0, 1500, *6 * [0]]


def test_the_bench_counts_the_products_of_a_step(monkeypatch):
    compute, operations = scratch.products(1)
    compute()
    of_g = 100 * 256 + 256 * 512 + 512 * 1024 + 1024 * 784
    of_d = 784 * 1024 + 1024 * 512 + 512 * 256 + 256
    # G: forward, weights, deltas but the first; D on both: the same; D once more: forward and all deltas
    per_sample = (3 * of_g - 100 * 256) + 2 * (3 * of_d - 784 * 1024) + 2 * of_d
    assert operations == pytest.approx(2 * 64 * per_sample / 1e9)


@pytest.mark.parametrize("engine", ["torch", "scratch"])
def test_the_bench_plays_steps_of_both_engines(engine):
    step = scratch.stepper(engine, scratch.made_data(80), 1)
    assert scratch.seconds(step, 2) > 0
