"""What a step costs in seconds and memory, by resolution, width, batch and data: measured, fitted, planned.

    python bench/cost.py measure [--out ROWS]    # Linux, a quiet machine; keeps the rows that are there
    python bench/cost.py fit [ROWS]              # tables: measured, fitted, how far off
    python bench/cost.py plan                    # 8 and 64 GPUs, on paper

measure  each configuration in a process of its own, on one thread: seconds of some steps, the process's peak
         memory, and what is counted of the step
fit      seconds = a · operations + b · flops + c · bytes touched; memory of the process = its start + data
         + d + e · bytes of the step's tensors. By least squares of the relative error; judged on groups of
         rows that the fit has not seen
plan     computing: the counted flops at a stated share of a stated peak, or the counted operations at the
         host's pace where that takes longer; sending: the counted messages at a stated bandwidth and latency.
         Nothing overlaps
"""

# mypy: disable-error-code="no-untyped-call"
import argparse
import json
import math
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from gpu import Touched
from quality import EVIDENCE, known
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils._python_dispatch import TorchDispatchMode

from duel import recipe
from duel.cost import data_bytes, step_counts
from duel.datasets._base import Data, Spec, Split
from duel.ranks import World
from duel.recipe import Recipe
from duel.train import play_step, read, spread, start

ROWS = EVIDENCE / "cost-rows.jsonl"
CHANNELS = 3
SIDES, WIDTHS, BATCHES = (16, 32, 64), (8, 16, 32, 64), (16, 64, 128)
RECIPES = ("dcgan", "wgan-gp")
IMAGES = 2000
SIZES = (20_000, 100_000, 200_000)  # of data, for its own table
LEAST_STEPS, LEAST_SECONDS = 5, 1.0  # that are timed

Row = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """A configuration."""

    recipe: str
    side: int
    width: int
    batch: int
    images: int = IMAGES
    threads: int = 1

    def resolved(self) -> Recipe:
        changes = {"threads": self.threads, "batch_size": self.batch, "device": "cpu", "steps": 1}
        changes |= {"network.width": self.width, "augmentations": "none"}
        return recipe.resolve(recipe.change(recipe.read(self.recipe), changes))

    def is_of(self, row: Row) -> bool:
        """Whether the row is this configuration's."""
        return all(row[key] == value for key, value in asdict(self).items())


GRID = [
    *(Job(*each) for each in product(RECIPES, SIDES, WIDTHS, BATCHES)),
    *(Job("dcgan", 32, 16, 64, images) for images in SIZES),
]


def made_data(count: int, side: int) -> Data:
    images = np.random.default_rng(0).integers(0, 256, (count, CHANNELS, side, side), np.uint8)
    split = Split(images, None)
    splits = {"train": split, "validation": split, "test": split}
    return Data("made", Spec("image", (CHANNELS, side, side)), splits, "")  # type: ignore[arg-type]


# ---------------------------------------------------------------- measure


class Work(Touched):
    """Counts operations and the bytes that they touch."""

    operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.operations += 1
        return super().__torch_dispatch__(func, types, args, kwargs)


def peak_memory() -> int:
    """This process's own, bytes. Not getrusage's, which counts what its parent was when it was started."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (found,) = [line.split() for line in lines if line.startswith("VmHWM:")]
    return int(found[1]) * 1024


def measure(job: Job, longest: float) -> Row:
    """The row of a configuration; with nothing but the first step's time where that took too long."""
    base = peak_memory()
    it, data = job.resolved(), made_data(job.images, job.side)
    now = start(it, data)

    def seconds() -> float:
        began = time.perf_counter()
        read(play_step(it, now))
        return time.perf_counter() - began

    row = {**asdict(job), "torch": torch.__version__, "date": time.strftime("%Y-%m-%d")}
    if (first := seconds()) > longest:
        return {**row, "left_out": first}
    seconds()
    timed: list[float] = []
    while len(timed) < LEAST_STEPS or sum(timed) < LEAST_SECONDS:
        timed.append(seconds())
    peak, counts = peak_memory(), step_counts(it, data)
    modules = now.networks.named().values()
    with Work() as work:
        play_step(it, now)
    return row | {
        "seconds": min(timed), "median": statistics.median(timed), "timed": len(timed),
        "flops": counts.flops, "operations": work.operations, "touched": work.total,
        "peak": peak, "base": base, "data": data_bytes(data), "tensors": counts.memory,
        "parameters": sum(part.numel() for each in modules for part in each.parameters()),
    }  # fmt: skip


def make(jobs: Sequence[Job], file: Path, longest: float) -> None:
    """Measure what has no row yet, one after the other; each row is written as it comes."""
    there = known(file)
    waiting = [job for job in jobs if not any(job.is_of(row) for row in there)]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        for job in waiting:
            row = pool.submit(measure, job, longest).result()
            with file.open("a") as out:
                out.write(json.dumps(row) + "\n")
            print(job, f"{1e3 * row.get('seconds', row.get('left_out', 0)):.1f} ms", flush=True)


# ---------------------------------------------------------------- fit


Model = Callable[[Row], list[float]]  # a row's terms, one for each constant
SECONDS: dict[str, Model] = {
    "1, flops": lambda row: [1.0, row["flops"]],
    "operations, flops": lambda row: [row["operations"], row["flops"]],
    "operations, flops, bytes touched": lambda row: [row["operations"], row["flops"], row["touched"]],
}
CHOSEN = "operations, flops, bytes touched"


def seconds_of(row: Row) -> float:
    return float(row["seconds"])


def memory_terms(row: Row) -> list[float]:
    return [1.0, row["tensors"]]


def memory_of(row: Row) -> float:
    """What the steps added to the process, bytes."""
    return float(row["peak"] - row["base"] - row["data"])


def fitted(rows: Sequence[Row], terms: Model, measured: Callable[[Row], float]) -> np.ndarray:
    """The constants, none below 0, with the least squares of predicted / measured − 1.

    Of few terms: every subset is solved, and the best of those without a negative constant taken.
    """
    matrix = np.array([[term / measured(row) for term in terms(row)] for row in rows])
    count = matrix.shape[1]
    best, least = np.zeros(count), np.inf
    for chosen in range(1, 2**count):
        columns = [place for place in range(count) if chosen >> place & 1]
        found = np.linalg.lstsq(matrix[:, columns], np.ones(len(rows)), rcond=None)[0]
        left = float(np.square(matrix[:, columns] @ found - 1).sum())
        if (found >= 0).all() and left < least:
            best, least = np.zeros(count), left
            best[columns] = found
    return best


def errors(
    constants: np.ndarray, rows: Sequence[Row], terms: Model, measured: Callable[[Row], float]
) -> list[float]:
    """predicted / measured − 1 of each row."""
    return [float(constants @ terms(row)) / measured(row) - 1 for row in rows]


def unseen(
    rows: Sequence[Row], terms: Model, measured: Callable[[Row], float], key: str, value: Any
) -> list[float]:
    """The errors on the rows with that value, of a fit to the other ones."""
    seen, left_out = ([row for row in rows if (row[key] == value) is there] for there in (False, True))
    return errors(fitted(seen, terms, measured), left_out, terms, measured)


def spread_of(found: Sequence[float]) -> str:
    """The median size of errors, and the range of the errors themselves."""
    size = statistics.median(abs(each) for each in found)
    return f"{size:.0%} ({min(found):+.0%} to {max(found):+.0%})"


def groups(rows: Sequence[Row]) -> list[tuple[str, Any]]:
    return [
        (key, value)
        for key in ("side", "width", "batch", "recipe")
        for value in sorted({row[key] for row in rows})
    ]


def text(rows: Sequence[Row]) -> str:
    """The tables of docs/evidence/performance.md."""
    whole = [row for row in rows if "seconds" in row]
    grid = [row for row in whole if row["images"] == IMAGES]
    missing = len(rows) - len(whole)
    parts = [
        f"{len(whole)} configurations, {missing} left out because a step took too long; one thread.",
        "\n".join(measured_table([row for row in grid if row["batch"] == BATCHES[1]])),
        "\n".join(constants_table(grid)),
        "\n".join(unseen_table(grid)),
        "\n".join(data_table([row for row in whole if row not in grid])),
    ]
    return "\n\n".join(parts)


def measured_table(rows: Sequence[Row]) -> list[str]:
    lines = [
        f"| batch {BATCHES[1]} | side | width | ms/step (median) | GFLOP | GFLOP/s | parameters | "
        "tensors, MB | process, MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row['recipe']} | {row['side']} | {row['width']} | {1e3 * row['seconds']:.1f} "
            f"({1e3 * row['median']:.1f}) | {row['flops'] / 1e9:.3g} | "
            f"{row['flops'] / row['seconds'] / 1e9:.0f} | {row['parameters']:,} | "
            f"{row['tensors'] / 1e6:.0f} | {row['peak'] / 1e6:.0f} |"
        )
    return lines


def constants_table(rows: Sequence[Row]) -> list[str]:
    lines = ["| fit | constants | error on its own rows |", "|---|---|---|"]
    for name, terms in SECONDS.items():
        constants = fitted(rows, terms, seconds_of)
        own = spread_of(errors(constants, rows, terms, seconds_of))
        lines.append(f"| seconds: {name} | {', '.join(f'{each:.3g}' for each in constants)} | {own} |")
    constants = fitted(rows, memory_terms, memory_of)
    own = spread_of(errors(constants, rows, memory_terms, memory_of))
    lines.append(f"| bytes added: 1, tensors | {constants[0]:.3g}, {constants[1]:.3g} | {own} |")
    base = statistics.median(row["base"] for row in rows)
    lines.append(f"| process before data and networks | {base / 1e6:.0f} MB | |")
    return lines


def unseen_table(rows: Sequence[Row]) -> list[str]:
    lines = [f"| not seen by the fit | seconds: {' | seconds: '.join(SECONDS)} | bytes added |"]
    lines.append(f"|---|{'---|' * (len(SECONDS) + 1)}")
    for key, value in groups(rows):
        if all(row[key] == value for row in rows):
            continue
        cells = [spread_of(unseen(rows, terms, seconds_of, key, value)) for terms in SECONDS.values()]
        cells.append(spread_of(unseen(rows, memory_terms, memory_of, key, value)))
        lines.append(f"| {key} {value} | {' | '.join(cells)} |")
    return lines


def data_table(rows: Sequence[Row]) -> list[str]:
    lines = [
        "| images | data, MB | process, MB | less start and data, MB | ms/step |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row['images']:,} | {row['data'] / 1e6:.0f} | {row['peak'] / 1e6:.0f} | "
            f"{memory_of(row) / 1e6:.0f} | {1e3 * row['seconds']:.1f} |"
        )
    return lines


# ---------------------------------------------------------------- plan


@dataclass(frozen=True)
class Cluster:
    """What is assumed of GPUs and of what joins them.

    bandwidth  bytes per second that a GPU sends while it receives as many; latency: seconds of a message
    peak       operations per second of one GPU; share: of it that a step reaches
    host       seconds until the next operation is handed to the GPU
    """

    name: str
    count: int
    bandwidth: float
    latency: float
    peak: float = 989e12
    share: float = 0.2
    host: float = 8e-6


CLUSTERS = (
    Cluster("8 GPUs in one machine", 8, 300e9, 30e-6),
    Cluster("64 GPUs, 400 Gbit/s each", 64, 40e9, 80e-6),
    Cluster("64 GPUs, 25 Gbit/s each", 64, 2.5e9, 120e-6),
)
PLANNED = (
    Job("dcgan", 32, 64, 2),
    Job("dcgan-64", 64, 64, 2),
    Job("dcgan-64", 64, 128, 2),
    Job("wgan-gp", 64, 64, 2),
)
PLANNED_BATCHES = (64, 256)  # of each GPU


class Messages(TorchDispatchMode):
    """The bytes of each message that a step sends, as c10d is asked for them."""

    def __init__(self) -> None:
        super().__init__()
        self.summed: list[int] = []
        self.gathered: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.namespace == "c10d":
            summed = func.overloadpacket == torch.ops.c10d.allreduce_
            sizes = [each.nbytes for each in args[0 if summed else 1]]
            (self.summed if summed else self.gathered).append(sum(sizes))
        return func(*args, **(kwargs or {}))


def messages(it: Recipe, data: Data) -> Messages:
    """What the first of two processes sends in a step; the other one is not there."""
    now = start(it, data)
    dist.init_process_group("fake", rank=0, world_size=2, store=FakeStore())
    try:
        spread(it, now, World(0, 2))
        sent = Messages()
        with sent:
            play_step(it, now)
    finally:
        dist.destroy_process_group()
    return sent


def seconds_sending(sent: Messages, cluster: Cluster) -> float:
    """A ring sends 2 (n − 1) / n of what is summed, and n − 1 of what is gathered."""
    summed = 2 * (cluster.count - 1) / cluster.count * sum(sent.summed)
    gathered = (cluster.count - 1) * sum(sent.gathered)
    number = len(sent.summed) + len(sent.gathered)
    return number * cluster.latency + (summed + gathered) / cluster.bandwidth


def batch_at(share: float, sending: float, image: float, host: float) -> int:
    """The smallest batch of a GPU at which sending takes at most that share of a step.

    image  seconds of computing for one image; host: seconds that a step takes at least
    """
    needed = sending * (1 - share) / share
    return 1 if host >= needed else math.ceil(needed / image)


def plan() -> str:
    """A table of the counts, and one for each cluster."""
    counts = [
        "| recipe | parameters | GFLOP/image | operations | messages, MB | without those of batch norm |",
        "|---|---|---|---|---|---|",
    ]
    tables = [
        [
            f"{cluster.name}: {cluster.share:.0%} of {cluster.peak / 1e12:.0f} TFLOP/s, "
            f"{1e6 * cluster.host:g} µs an operation, {cluster.bandwidth / 1e9:g} GB/s, "
            f"{1e6 * cluster.latency:g} µs a message.",
            "",
            "| recipe | batch | computing, ms | sending, ms | of the step | images/s | 10 % from batch |",
            "|---|---|---|---|---|---|---|",
        ]
        for cluster in CLUSTERS
    ]
    for job in PLANNED:
        it, data = job.resolved(), made_data(8, job.side)
        now = start(it, data)
        modules = now.networks.named().values()
        parameters = sum(part.numel() for each in modules for part in each.parameters())
        with Work() as work:
            play_step(it, now)
        image = step_counts(it, data).flops / job.batch  # operations are proportional to the batch
        sent, fewer = (messages(replace(it, sync_batch_norm=each), data) for each in (True, False))
        what = f"{job.recipe}, {job.side}×{job.side}, width {job.width}"
        cells = [
            f"{len(each.summed) + len(each.gathered)}, {sum(each.summed) / 1e6:.1f}" for each in (sent, fewer)
        ]
        counts.append(
            f"| {what} | {parameters:,} | {image / 1e9:.2f} | {work.operations:,} | {' | '.join(cells)} |"
        )
        for table, cluster in zip(tables, CLUSTERS, strict=True):
            host, one = cluster.host * work.operations, image / (cluster.share * cluster.peak)
            sending, least = (seconds_sending(each, cluster) for each in (sent, fewer))
            from_batch = [f"{batch_at(0.1, each, one, host):,}" for each in (sending, least)]
            for batch in PLANNED_BATCHES:
                computing = max(host, batch * one)
                step = computing + sending
                table.append(
                    f"| {what} | {batch} | {1e3 * computing:.1f} | {1e3 * sending:.1f} ({1e3 * least:.1f}) | "
                    f"{sending / step:.0%} ({least / (computing + least):.0%}) | "
                    f"{cluster.count * batch / step:,.0f} | {from_batch[0]} ({from_batch[1]}) |"
                )
    return "\n\n".join("\n".join(lines) for lines in (counts, *tables))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    asked = parser.add_subparsers(dest="what", required=True)
    measuring = asked.add_parser("measure")
    measuring.add_argument("--out", type=Path, default=ROWS)
    measuring.add_argument(
        "--longest", type=float, default=4.0, help="seconds of a step; longer ones are left out"
    )
    fitting = asked.add_parser("fit")
    fitting.add_argument("rows", type=Path, nargs="?", default=ROWS)
    asked.add_parser("plan")
    given = parser.parse_args()
    if given.what == "measure":
        make(GRID, given.out, given.longest)
    elif given.what == "fit":
        print(text(known(given.rows)))
    else:
        print(plan())


if __name__ == "__main__":
    main()
