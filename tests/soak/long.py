"""Long runs: memory and open files stay as they are."""

from __future__ import annotations

import os
import statistics
import time
from itertools import pairwise
from pathlib import Path

import duel
from soak import runs as tiny
from soak.report import Report

_WITHIN = 0.05
CHANGES = {"log.every": 10, "checkpoint.every": 250, "sample.every": 250, "sample.count": 16}
ENGINES = {
    "torch": {**CHANGES, "data.name": "digits"},
    "scratch": {**CHANGES, "data.name": "digits", "engine": "scratch"},
}


def main(report: Report, folder: Path, steps: int) -> None:
    """A run of so many steps on each engine, each in a child of its own."""
    for engine in ENGINES:
        child = os.fork()
        if not child:
            status = 1
            try:
                mine = Report()
                _one(mine, folder / engine, engine, steps)
                status = min(1, len(mine.failed))
            finally:
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        report.check(status == 0, f"{steps} steps on the engine {engine}")


def _one(report: Report, path: Path, engine: str, steps: int) -> None:
    changes = {**tiny.CHANGES, **ENGINES[engine]}
    del changes["data.samples"]
    looks: list[tuple[int, int, int, float]] = []
    with duel.train("gan", out=path, steps=steps, changes=changes) as session:
        for event in session:
            if event["event"] == "step" and event["step"] % max(10, steps // 50) == 0:
                looks.append((event["step"], _resident(), _open_files(), time.perf_counter()))
    settled = [look for look in looks if look[0] > steps // 5]
    memory, files = [look[1] for look in settled], {look[2] for look in settled}
    growth = max(memory) / memory[0] - 1
    report.say(
        f"{engine}: resident {memory[0] / 1e6:.1f} MB after {settled[0][0]} steps, at most {growth:.2%} more"
    )
    report.check(growth < _WITHIN, f"{engine}: memory is flat within {_WITHIN:.0%}", f"{growth:.2%}")
    report.check(len(files) == 1, f"{engine}: the number of open files stays", f"{sorted(files)}")
    speed = [(b[0] - a[0]) / (b[3] - a[3]) for a, b in pairwise(settled)]
    half = len(speed) // 2
    early, late = statistics.median(speed[:half]), statistics.median(speed[half:])
    report.say(f"{engine}: {early:.0f} steps/s in the first half, {late:.0f} in the second (for information)")


def _resident() -> int:
    """Bytes of memory in use now, as Linux counts them."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))
