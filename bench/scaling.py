"""Does a second core help, and how: as a second thread of one process, or as a second process?

Plays the same steps of a recipe at the same whole batch in three ways, taking turns: one process with one
thread, one with two, two processes with one thread each, whose gradients travel by gloo. Printed are the
milliseconds of a step, as median and range over the rounds, and how many times as fast as the first way.

    python bench/scaling.py [--rounds 5] [--steps 20] [--only dcgan]      # a quiet machine of two cores
"""

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from step import made_data, milliseconds, resolved, spread

from duel import ranks
from duel.train import play_step, read, start
from duel.train import spread as join

# recipe, side, width; whole batch 64
CONFIGURATIONS = [("dcgan", 32, 32), ("dcgan-64", 64, 32), ("wgan-gp", 32, 32), ("dcgan-64", 64, 64)]
WARM = 3


@dataclass(frozen=True)
class Way:
    """How many processes, and how many threads in each."""

    processes: int
    threads: int

    def __str__(self) -> str:
        return f"{self.processes} × {self.threads}"


WAYS = (Way(1, 1), Way(1, 2), Way(2, 1))


def play(name: str, side: int, width: int, threads: int, steps: int) -> float:
    """Milliseconds of a step, in this process or as one of several."""
    world = ranks.joined()
    it, data = resolved(name, width, threads, "cpu"), made_data(side, 3)
    now = start(it, data)
    if world.count > 1:
        join(it, now, world)

    def step() -> None:
        read(play_step(it, now))
        now.step += 1

    milliseconds(step, WARM)
    world.any(False)  # all begin together
    found = milliseconds(step, steps)
    world.leave()
    return found


def timed(way: Way, configuration: tuple[str, int, int], steps: int) -> float:
    """Milliseconds of a step that way, in fresh processes."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "milliseconds"
        asked = [
            *map(str, configuration),
            "--threads",
            str(way.threads),
            "--steps",
            str(steps),
            "--answer",
            str(answer),
        ]
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(way.processes)]
        command = [sys.executable, *(launcher if way.processes > 1 else []), __file__, "--play", *asked]
        environment = {**os.environ, "OMP_NUM_THREADS": str(way.threads)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{way} ended with {done.returncode}:\n{done.stderr}")
        return float(answer.read_text())


def table(configuration: tuple[str, int, int], rounds: int, steps: int) -> list[str]:
    """A line for each way."""
    found = [[timed(way, configuration, steps) for way in WAYS] for _ in range(rounds)]
    name, side, width = configuration
    lines = []
    for place, way in enumerate(WAYS):
        times, ratios = [row[place] for row in found], [row[0] / row[place] for row in found]
        lines.append(
            f"| {name} {side}×{side}, width {width} | {way} | {spread(times)} | {spread(ratios, 2)} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--only", help="one recipe")
    parser.add_argument("--play", nargs=3, metavar=("RECIPE", "SIDE", "WIDTH"), help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--answer", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.play:
        name, side, width = given.play
        found = play(name, int(side), int(width), given.threads, given.steps)
        if ranks.world().first:
            given.answer.write_text(str(found))
        return
    print(f"{given.rounds} rounds of {given.steps} steps, whole batch 64")
    print("| networks | processes × threads | ms/step | times as fast |\n|---|---|---|---|")
    for each in CONFIGURATIONS:
        if given.only in (None, each[0]):
            print("\n".join(table(each, given.rounds, given.steps)), flush=True)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # as the command line leaves, see duel/cli/entry.py
