"""How long the command line takes to answer: whole processes, median and range of several runs.

python bench/startup.py [--runs 10]
"""

import argparse
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import duel": [sys.executable, "-c", "import duel"],
    "duel --help": [sys.executable, "-m", "duel.cli", "--help"],
    "duel list": [sys.executable, "-m", "duel.cli", "list"],
    "duel list networks dcgan": [sys.executable, "-m", "duel.cli", "list", "networks", "dcgan"],
}


def seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=10)
    given = parser.parse_args()
    print("| command | seconds, median (range) |\n|---|---|")
    for name, command in COMMANDS.items():
        seconds(command)  # the first call fills the file cache
        measured = [seconds(command) for _ in range(given.runs)]
        spread = f"{statistics.median(measured):.3f} ({min(measured):.3f}–{max(measured):.3f})"
        print(f"| `{name}` | {spread} |", flush=True)


if __name__ == "__main__":
    main()
