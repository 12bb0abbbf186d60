"""Does evaluating more samples take more memory? Peak resident memory and time, one process per row.

Trains a tiny run on the embedded digits, then evaluates moment metrics and neighbour metrics on 10,000 and on
50,000 generated samples.

    python bench/evaluate_memory.py [--run RUN]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import duel

ROWS = [("frechet", 10_000), ("frechet", 50_000), ("fcd,cs", 10_000), ("fcd,cs", 50_000),
        ("kid,precision,recall", 10_000), ("kid,precision,recall", 50_000)]  # fmt: skip

MEASURE = """
import json, resource, sys, time
import duel
began = time.perf_counter()
features = "random" if sys.argv[2] != "fcd,cs" else "classifier"
duel.evaluate(sys.argv[1], metrics=sys.argv[2].split(","), features=features, samples=int(sys.argv[3]))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
print(json.dumps({"seconds": time.perf_counter() - began, "peak_mb": peak}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--run")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = given.run or trained(Path(folder) / "run")
        duel.evaluate(run, samples=100)  # trains the classifier once
        print("| metrics | samples | seconds | peak memory, MB |\n|---|---|---|---|")
        for metrics, samples in ROWS:
            out = subprocess.run(
                [sys.executable, "-c", MEASURE, str(run), metrics, str(samples)],
                check=True, capture_output=True, text=True,
            )  # fmt: skip
            found = json.loads(out.stdout.splitlines()[-1])
            print(
                f"| {metrics} | {samples:,} | {found['seconds']:.1f} | {found['peak_mb']:.0f} |", flush=True
            )


def trained(path: Path) -> Path:
    with duel.train("dcgan", out=path, steps=50, changes={"network.width": 16}) as session:
        for _ in session:
            pass
    return path


if __name__ == "__main__":
    main()
