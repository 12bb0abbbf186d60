"""Do two runs at a time finish a study sooner than one, and by how much?

Plays the same small study with one and with two one-thread workers, taking turns, each time in a fresh
folder, and compares the tables, which must be equal but for the seconds.

    python bench/workers.py [--pairs 3] [--steps 300] [--data mnist] [--width 16]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from step import spread

from duel import table
from duel.study import study

TEXT = """
recipe = "dcgan"
data = "{data}"
seeds = [0, 1]
metrics = ["frechet"]
features = "random"
looks = 2
budget = {{ steps = {steps} }}
set = {{ "network.width" = {width} }}
factors = {{ "optimizer.generator.lr" = [1e-3, 2e-4] }}
"""


def play(file: Path, out: Path, workers: int) -> tuple[float, list[table.Row]]:
    """Seconds of the whole study, planning and evaluations among them, and its table."""
    began = time.perf_counter()
    for _ in study(file, out, workers=workers):
        pass
    seconds = time.perf_counter() - began
    rows = table.from_csv((out / "table.csv").read_text(encoding="utf-8"))
    return seconds, sorted(
        ({**row, "seconds": None} for row in rows),
        key=lambda row: (row["configuration"], row["seed"], row["checkpoint"], row["metric"]),
    )


def main() -> None:
    """Print the seconds of each pair and the ratio."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--width", type=int, default=16)
    given = parser.parse_args()
    times: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "study.toml"
        file.write_text(TEXT.format(data=given.data, steps=given.steps, width=given.width), encoding="utf-8")
        for pair in range(given.pairs):
            tables = []
            for workers in (1, 2) if pair % 2 else (2, 1):
                seconds, rows = play(file, Path(name) / f"{pair}-{workers}", workers)
                times[workers].append(seconds)
                tables.append(rows)
            same = "equal" if tables[0] == tables[1] else "DIFFERENT"
            print(
                f"pair {pair}: one {times[1][-1]:.1f} s, two {times[2][-1]:.1f} s, tables {same}", flush=True
            )
    ratios = [one / two for one, two in zip(times[1], times[2], strict=True)]
    print(f"one worker {spread(times[1])} s, two {spread(times[2])} s, ratio {spread(ratios, 2)}")


if __name__ == "__main__":
    main()
