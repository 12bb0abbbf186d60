"""A training process that is killed again and again, at random moments, and taken up each time."""

from __future__ import annotations

import json
import random
import selectors
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from duel.run import Run
from soak import runs as tiny
from soak.report import Report, first, progress

# So that most of the time goes into writing checkpoints.
CHANGES = {"checkpoint__every": 2, "checkpoint__keep": 3}
_FAR = 10**9  # steps that no process gets to


@dataclass
class Tally:
    """What the kills met: how many fell where, and what was wrong after one."""

    moments: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    farthest: int = 0

    def count(self, moment: str) -> None:
        self.moments[moment] = self.moments.get(moment, 0) + 1


def main(report: Report, folder: Path, kills: int, beginnings: int, seed: int) -> None:
    """`kills` kills of one run, then the rest of its steps; `beginnings` kills of runs that just begin."""
    rng, tally = random.Random(seed), Tally()
    path = folder / "run"
    for number in range(kills):
        if number % 20 == 0:
            progress(f"{number} of {kills} kills, step {tally.farthest}")
        _kill_and_look(path, rng, tally, number)
    last = Run(path).newest_whole()[0] or 0
    total = last + 7
    report.say(f"{kills} kills in {report.minutes():.1f} minutes, {last} steps done; each fell:")
    for moment, count in sorted(tally.moments.items()):
        report.say(f"  {count:>4}  {moment}")
    report.check(
        not tally.wrong, "after each kill it goes on from the last completed checkpoint", first(tally.wrong)
    )
    tiny.train(path, total, **_dotted())
    tiny.train(folder / "whole", total, **{**_dotted(), "checkpoint.every": 10**6, "log.every": 1000})
    same = tiny.content(path, total) == tiny.content(folder / "whole", total)
    report.check(
        same, f"after {kills} kills the weights at step {total} are the uninterrupted run's, byte for byte"
    )
    steps = [event["step"] for event in Run(path).events("step")]
    report.check(steps == list(range(1, total + 1)), "the log holds every step once")
    left = [entry.name for entry in path.rglob(".*.part")]
    report.check(not left, "no fragment is left", first(left))
    _beginnings(report, folder, rng, beginnings)


def _dotted() -> dict[str, Any]:
    return {key.replace("__", "."): value for key, value in CHANGES.items()}


def _command(path: Path, steps: int, resume: bool) -> list[str]:
    start = [sys.executable, "-m", "duel", "train", "--json", "--steps", str(steps)]
    if resume:
        return [*start, "--resume", str(path)]
    return [*start, "gan", "--out", str(path), *tiny.settings(**CHANGES)]


def _kill_and_look(path: Path, rng: random.Random, tally: Tally, number: int) -> None:
    """Go on with the run in a new process, kill that at a random moment, and see what is left."""
    before = _whole(path)
    logged = _logged(path)
    resume = tiny.is_run(path) and rng.random() < 0.5
    process = subprocess.Popen(
        _command(path, _FAR, resume), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process:
        started: dict[str, Any] | None = None
        if rng.random() < 0.85:
            line = process.stdout.readline()
            started = json.loads(line) if line else {"step": f"nothing: {process.communicate()[1].strip()}"}
            if rng.random() < 0.9:
                _read_to_a_step(process)
            _read_for(process, rng.uniform(0, 0.2))
        else:  # it may not even have begun
            _read_for(process, rng.uniform(0, 4))
        process.kill()
    where = f"kill {number}"
    if process.returncode != -9:
        tally.wrong.append(f"{where}: the process ended by itself with {process.returncode}")
    if started is not None and started["step"] != (before or 0):
        tally.wrong.append(f"{where}: checkpoint {before} was there, but it started from {started['step']}")
    if logged > (before or 0):
        tally.wrong.append(f"{where}: checkpoint {logged} was logged, but {before} is the newest")
    after = _whole(path)
    if (after or 0) < (before or 0):
        tally.wrong.append(f"{where}: step {before} before, {after} after it")
    tally.farthest = after or 0
    tally.count(_moment(path, started is not None, process.pid))


def _whole(path: Path) -> int | None:
    """The newest checkpoint; -1 where one that has its name is not whole."""
    if not tiny.is_run(path):
        return None
    step, wrong = Run(path).newest_whole()
    return -1 if wrong else step


def _logged(path: Path) -> int:
    """The newest checkpoint that the log, or run.json, speaks of."""
    if not tiny.is_run(path):
        return 0
    events = [event["step"] for event in Run(path).events("checkpoint")]
    return max([*events, Run(path).state["last"] or 0], default=0)


def _moment(path: Path, trained: bool, process: int) -> str:
    """Where the kill fell, as what it left tells."""
    if not tiny.is_run(path):
        return "before the run folder was made"
    part = f".*.{process}.part"
    if list((path / "checkpoints").glob(part)):
        return "within a checkpoint's files"
    newest = _whole(path)
    if newest is not None and newest != Run(path).state["last"]:
        return "between a checkpoint and run.json"
    if list(path.rglob(part)):
        return "within another file"
    return "while training or between two files" if trained else "before the first step or soon after"


def _read_to_a_step(process: subprocess.Popen[str]) -> None:
    """Wait for the first step of this process: what comes before it takes much longer than a step."""
    assert process.stdout is not None
    for line in process.stdout:
        if '"event": "step"' in line:
            return


def _read_for(process: subprocess.Popen[str], seconds: float) -> None:
    """Let it run so long, and keep its output from filling the pipe."""
    assert process.stdout is not None
    end = time.monotonic() + seconds
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdout, selectors.EVENT_READ)
        while (left := end - time.monotonic()) > 0:
            if ready.select(left) and not process.stdout.buffer.read1(1 << 16):  # type: ignore[attr-defined]
                return


def _beginnings(report: Report, folder: Path, rng: random.Random, count: int) -> None:
    """Kill a new run in its first seconds; the same command must then go through."""
    wrong, moments = [], Tally()
    for number in range(count):
        path = folder / f"begun-{number}"
        process = subprocess.Popen(
            _command(path, 4, False), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
        )
        with process:
            try:
                process.wait(rng.uniform(1, 8))
            except subprocess.TimeoutExpired:
                process.kill()
        moments.count("after its end" if process.returncode == 0 else _moment(path, False, process.pid))
        done = subprocess.run(_command(path, 4, False), capture_output=True, text=True)
        if done.returncode or _whole(path) != 4:
            wrong.append(f"beginning {number}: {done.returncode}, {done.stderr.strip()}")
    for moment, times in sorted(moments.moments.items()):
        report.say(f"  {times:>4}  {moment}")
    report.check(
        not wrong,
        f"{count} runs killed while they began: the same command brings them to the end",
        first(wrong),
    )
