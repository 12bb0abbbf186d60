"""`python -m soak [PART …]`: long trials; leaves with 1 where one fails."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["DUEL_OFFLINE"] = "1"

import argparse
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import torch

from soak import disk, faults, flips, fuzz, kills, long
from soak.report import Report, first

Part = Callable[[Report, Path, argparse.Namespace], None]
PARTS: dict[str, Part] = {
    "kills": lambda report, folder, it: kills.main(report, folder, it.kills, it.beginnings, it.seed),
    "faults": lambda report, folder, it: faults.main(report, folder, it.takes),
    "flips": lambda report, folder, it: flips.main(report, folder, it.flips, it.cuts, it.resumes, it.seed),
    "disk": lambda report, folder, it: disk.main(report, folder, it.room),
    "fuzz": lambda report, folder, it: fuzz.main(report, folder, it.inputs, it.seed, it.only, it.limit),
    "long": lambda report, folder, it: long.main(report, folder, it.steps),
}


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    made.add_argument("parts", nargs="*", help=f"{', '.join(PARTS)}; all by default; or replay")
    made.add_argument("--seed", type=int, default=0, help="of every random choice")
    for name, default, what in (
        ("kills", 200, "kills of one run"),
        ("beginnings", 20, "kills of runs that begin"),
        ("takes", 1, "every so many faults the run is trained to its end"),
        ("flips", 1000, "flipped bytes"),
        ("cuts", 500, "lengths that a large file is cut to"),
        ("resumes", 20, "flips after which the run is taken up"),
        ("room", 8192, "bytes by which the room on the full disk grows"),
        ("inputs", 1_200_000, "inputs of the fuzzer over all readers"),
        ("steps", 5000, "steps of the long runs"),
    ):
        made.add_argument(f"--{name}", type=int, default=default, help=f"{what} ({default:,})")
    made.add_argument("--only", action="append", default=[], help="a reader to fuzz; repeatable")
    made.add_argument("--limit", type=float, default=1e9, help="seconds for one reader")
    made.add_argument("--target", help="of replay: the reader")
    made.add_argument("--input", default="", help="of replay: the input in hexadecimal")
    return made


def main() -> int:
    given = parser().parse_args()
    torch.set_num_threads(1)
    if given.parts == ["replay"]:
        with tempfile.TemporaryDirectory() as folder:
            fuzz.replay(Path(folder), given.target, bytes.fromhex(given.input))
        return 0
    if wrong := [name for name in given.parts if name not in PARTS]:
        print(f"there is no part {wrong[0]!r}: allowed: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    machine = f"Python {platform.python_version()}, torch {torch.__version__}, {os.cpu_count()} cores"
    print(f"soak {' '.join(sys.argv[1:])}")
    now = datetime.now(UTC)
    print(f"{now:%Y-%m-%d %H:%M} UTC, commit {_commit()}, seed {given.seed}, {machine}", flush=True)
    failed: list[str] = []
    for name in given.parts or PARTS:
        print(name, flush=True)
        report = Report()
        with tempfile.TemporaryDirectory(prefix=f"soak-{name}-") as folder:
            os.environ["XDG_CACHE_HOME"] = str(Path(folder) / "cache")
            PARTS[name](report, Path(folder), given)
        report.say(f"{report.minutes():.1f} minutes")
        failed += [f"{name}: {what}" for what in report.failed]
    print(f"FAIL {len(failed)}: {first(failed)}" if failed else "PASS all")
    return 1 if failed else 0


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
