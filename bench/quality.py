"""How good do the recipes get at equal numbers of generator updates? Tables over seeds, with intervals.

Each configuration is trained with each seed into a run folder of its own and evaluated on the test split
(10,000 samples). Rows are appended to OUT/rows.jsonl as they come; a row that is there is not made again, and
an interrupted run is taken up where it stopped. The table gives the mean over the seeds and its 95 % interval
(Student's t); nothing is chosen by looking at the results: the last checkpoint counts.

    DUEL_DATA=… python bench/quality.py mnist ring --out /tmp/mnist [--seeds 0 1 2] [--steps 2500]
"""

import argparse
import json
import statistics
import subprocess
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import duel
from duel.intervals import t_interval
from duel.io import sha256
from duel.recipe import parse_change

Changes = dict[str, Any]


def both(**options: Any) -> Changes:
    """The same optimizer options for both players."""
    return {
        f"optimizer.{player}.{key}": value
        for player in ("generator", "discriminator")
        for key, value in options.items()
    }


@dataclass(frozen=True)
class Row:
    """One configuration: what the table calls it, its recipe, what is changed, what is measured.

    steps  its own number of generator updates; that of the table where it is not given
    """

    label: str
    recipe: str
    changes: Changes = field(default_factory=dict)
    metrics: tuple[str, ...] = ("fcd", "cs", "modes")
    features: str | None = "classifier"
    steps: int | None = None


@dataclass(frozen=True)
class Table:
    """Configurations on one data set; the same number of generator updates but where a row has its own."""

    data: str
    steps: int
    rows: tuple[Row, ...]
    common: Changes = field(default_factory=dict)
    columns: tuple[str, ...] = ("fcd", "cs", "label-accuracy", "modes")


EVIDENCE = Path(__file__).resolve().parents[1] / "docs" / "evidence"
WIDTH = {"network.width": 16}
NARROW = {**WIDTH, **both(lr=1e-3)}  # so few feature maps need a larger rate: 2e-4 gave FCD 20.9, 1e-3 9.8
HOECKLER_WGAN = {"n_critic": 1, "constraints.clip.limit": 0.99, **both(lr=1e-3)}
LABELLED = ("fcd", "cs", "label-accuracy", "modes")
POINTS = tuple(
    Row(label, str(EVIDENCE / f"points-{name}.toml"), {}, ("modes",), None)
    for label, name in (("WGAN-GP, dense", "wgan-gp"), ("R3GAN, dense", "r3gan"))
)
COUNTED = ("modes", "modes-high-quality")
TABLES = {
    "ring": Table("ring", 5000, POINTS, {}, COUNTED),
    "grid": Table("grid", 5000, POINTS, {}, COUNTED),
    "mnist": Table(
        "mnist",
        2500,
        (
            Row("GAN, SGD with momentum 0.9", "gan", both(name="sgd", lr=0.01, momentum=0.9)),
            Row("GAN, Adam", "gan"),
            Row("DCGAN", "dcgan", NARROW),
            Row("CGAN", "cgan", NARROW, LABELLED),
            Row("WGAN, Hoeckler's best values", "wgan", {**WIDTH, **HOECKLER_WGAN}),
            Row("WGAN-GP, 1 critic update", "wgan-gp", {**NARROW, "n_critic": 1}),
        ),
    ),
    "mnist-more": Table(
        "mnist",
        2500,
        (
            Row("CGAN, projection", "cgan", {**NARROW, "network.condition": "projection"}, LABELLED),
            Row("AC-GAN", "acgan", NARROW, LABELLED),
            Row("SNGAN", "sngan", NARROW),
            Row("LSGAN", "lsgan", NARROW),
            Row("WGAN, the paper's values", "wgan", WIDTH),
            Row("WGAN-GP, 5 critic updates", "wgan-gp", NARROW),
        ),
    ),
    "bigan": Table(
        "mnist",
        1500,
        tuple(
            Row(
                f"noise {'on' if noise else 'off'}, reparametrisation {'on' if again else 'off'}",
                "bigan",
                {"augmentations": "noise" if noise else "none", "network.reparametrise": again},
                ("knn", "reconstruction"),
                None,
            )
            for noise in (True, False)
            for again in (True, False)
        ),
        {"network.width": 8, "batch_size": 64, **both(lr=1e-3)},
        ("knn-latent", "knn-hidden", "knn-reconstruction", "reconstruction"),
    ),
}


@dataclass(frozen=True)
class Job:
    """One configuration with one seed."""

    table: str
    data: str
    common: Changes
    row: Row
    seed: int
    steps: int
    out: Path
    threads: int
    samples: int

    @property
    def key(self) -> dict[str, Any]:
        """What a row of the file is known by."""
        known = {"table": self.table, "label": self.row.label, "seed": self.seed, "steps": self.steps}
        return {**known, "settings": self.settings}

    @property
    def settings(self) -> str:
        """A hash of all that was set: a row made with other settings is another row."""
        recipe = Path(self.row.recipe)
        content = recipe.read_text() if recipe.is_file() else self.row.recipe
        told = [content, self.data, {**self.common, **self.row.changes}, self.row.metrics, self.samples]
        return sha256(json.dumps(told, sort_keys=True).encode())[:8]

    @property
    def run(self) -> Path:
        slug = "".join(c if c.isalnum() else "-" for c in self.row.label)
        return self.out / f"{self.table}-{slug}-{self.steps}-{self.seed}-{self.settings}"


def play(job: Job) -> dict[str, Any]:
    """Train (or go on) and evaluate; the row."""
    began = time.perf_counter()
    rare = {
        "sample.every": max(1, job.steps // 5),
        "checkpoint.every": 500,
        "log.every": 50,
        "checkpoint.keep": 1,
    }
    changes = {**rare, "threads": job.threads, **job.common, **job.row.changes}
    with duel.train(
        job.row.recipe, data=job.data, out=job.run, steps=job.steps, seed=job.seed, changes=changes
    ) as session:
        events = [event for event in session if event["event"] in ("step", "end", "start")]
    seconds = time.perf_counter() - began
    run = duel.load(job.run)
    none_yet = {"updates_d": 0, "images": 0}  # it diverged at once
    last = [none_yet, *run.events("step")][-1]
    row = {
        **job.key,
        "updates_d": last["updates_d"],
        "images": last["images"],
        "seconds": round(seconds, 1) if events else None,
        "reason": run.state["state"],
        "device": run.provenance["device"],
        "versions": run.provenance["versions"],
        "commit": commit(),
    }
    if run.state["state"] != "done":
        return row
    found = duel.evaluate(run, metrics=list(job.row.metrics), features=job.row.features, samples=job.samples)
    return {**row, "metrics": found["metrics"], "classifier": found["provenance"]["features"]["accuracy"]}


def commit() -> str:
    """The commit of this checkout."""
    said = subprocess.run(
        ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return said.stdout.strip() or "unknown"


def known(file: Path) -> list[dict[str, Any]]:
    """The rows so far."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def make(jobs: list[Job], file: Path, workers: int) -> None:
    """Play the jobs that have no row yet, `workers` at a time; each row is written as it comes."""
    waiting = [job for job in jobs if not any(is_of(row, job) for row in known(file))]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        running = {pool.submit(play, job): job for job in waiting}
        for done in as_completed(running):
            row = done.result()
            with file.open("a") as out:
                out.write(json.dumps(row) + "\n")
            print(short(row), flush=True)


def is_of(row: dict[str, Any], job: Job) -> bool:
    """Whether a row is this job's."""
    return all(row.get(name) == value for name, value in job.key.items())


def short(row: dict[str, Any]) -> str:
    """A row in one line."""
    numbers = {name: round(entry["value"], 3) for name, entry in row.get("metrics", {}).items()}
    return f"{row['label']}, seed {row['seed']}: {row['reason']}, {row['seconds']} s, {numbers}"


def text(rows: list[dict[str, Any]], table: Table, asked: int | None) -> str:
    """The table: mean over the seeds and its interval. `asked`: a number of steps for all rows."""
    lines = [
        f"{table.data}; mean over the seeds, 95 % interval of the mean",
        f"| configuration | updates of G | seeds | {' | '.join(table.columns)} | updates of D | s per run |",
        "|---|---|---|" + "---|" * len(table.columns) + "---|---|",
    ]
    for entry in table.rows:
        steps = asked or entry.steps or table.steps
        mine = [row for row in rows if row["label"] == entry.label and row["steps"] == steps]
        good = [row for row in mine if "metrics" in row]
        failed = f" ({len(mine) - len(good)} failed)" if len(mine) > len(good) else ""
        cells = [cell(good, name) for name in table.columns]
        updates = str(good[0]["updates_d"]) if good else "–"
        spent = [row["seconds"] for row in good if row["seconds"]]
        seconds = f"{statistics.median(spent):.0f}" if spent else "–"
        ends = f"{' | '.join(cells)} | {updates} | {seconds} |"
        lines.append(f"| {entry.label} | {steps} | {len(good)}{failed} | {ends}")
    return "\n".join(lines)


def cell(rows: list[dict[str, Any]], name: str) -> str:
    """Mean and interval of one metric."""
    values = [row["metrics"][name]["value"] for row in rows if name in row["metrics"]]
    if not values:
        return "–"
    if len(values) < 2 or min(values) == max(values):
        return f"{values[0]:.3f}"
    mean, low, high = t_interval(values)
    return f"{mean:.3f} ({low:.3f} to {high:.3f})"


def main(tables: dict[str, Table] | None = None, description: str = __doc__ or "", threads: int = 1) -> None:
    """Make and print one of the tables."""
    tables = tables or TABLES
    parser = argparse.ArgumentParser(description=description.partition("\n")[0])
    parser.add_argument("tables", nargs="+", choices=list(tables))
    parser.add_argument("--out", type=Path, required=True, help="folder of rows.jsonl and the run folders")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=threads)
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--only", help="configurations whose label contains this")
    given = parser.parse_args()
    file = given.out / "rows.jsonl"
    given.out.mkdir(parents=True, exist_ok=True)
    changed = dict(parse_change(text) for text in given.changes)
    for name in given.tables:
        table = tables[name]
        common = {**table.common, **changed}
        jobs = [
            Job(
                name,
                table.data,
                common,
                row,
                seed,
                given.steps or row.steps or table.steps,
                given.out,
                given.threads,
                given.samples,
            )
            for seed in given.seeds
            for row in table.rows
            if given.only is None or given.only in row.label
        ]
        make(jobs, file, given.workers)
        print(text([row for row in known(file) if row["table"] == name], table, given.steps))


if __name__ == "__main__":
    main()
