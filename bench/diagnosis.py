"""Planted faults and healthy runs: what is found, when, by what advice mended; who is alarmed for nothing?

    DUEL_DATA=… python bench/diagnosis.py run tuning test --out OUT [--seeds 0 1 2] [--only NAME]
    DUEL_DATA=… python bench/diagnosis.py advised test --out OUT     the first advice, applied
    python bench/diagnosis.py table tuning test --out OUT            what is found, from the run folders

Every fault is planted on a tuning pair of data set and recipe, on which thresholds were chosen, and on a test
pair, on which they were not. A run that is finished is not made again; an interrupted one is taken up. The
judgement is made from the run folders, by the diagnoses as they are now.
"""

import argparse
import gzip
import json
import sys
from dataclasses import asdict, dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from scipy import stats

import duel
from duel.diagnose import history, journal

Changes = dict[str, Any]
EVIDENCE = Path(__file__).resolve().parents[1] / "docs" / "evidence"


def both(**options: Any) -> Changes:
    """The same optimizer options for both players."""
    return {
        f"optimizer.{p}.{key}": value
        for p in ("generator", "discriminator")
        for key, value in options.items()
    }


@dataclass(frozen=True)
class Base:
    """A recipe on data, small enough for a minute, with settings that work."""

    recipe: str
    data: str
    changes: Changes
    steps: int
    metric: str = "frechet"


SMALL = {"network.width": 16, **both(lr=1e-3)}
MNIST = {"data.resolution": 16}
FRECHET = {"evaluate.metrics": ["frechet"], "evaluate.features": "random", "evaluate.samples": 1000}
MODES = {"evaluate.metrics": ["modes"], "evaluate.samples": 1000}
POINT_RECIPES = {name: str(EVIDENCE / f"points-{name}.toml") for name in ("r3gan", "wgan-gp")}


def images(recipe: str, data: str, changes: Changes | None = None, steps: int = 1500) -> Base:
    """A base on images: 16×16 but for the embedded digits, which have 8×8."""
    side = {} if data == "digits" else MNIST
    batches = {"data.batches": [1]} if data == "cifar10" else {}
    return Base(recipe, data, {**side, **batches, **FRECHET, **(changes or {})}, steps)


def points(recipe: str, data: str, changes: Changes | None = None, steps: int = 2000) -> Base:
    """A base on a set of Gaussians."""
    return Base(recipe, data, {**MODES, **(changes or {})}, steps, "modes-high-quality")


@dataclass(frozen=True)
class Case:
    """A fault (or a healthy run, where nothing is expected) on one base.

    expected  names of findings, one of which must be raised; none for a healthy run
    """

    name: str
    base: Base
    changes: Changes = field(default_factory=dict)
    expected: tuple[str, ...] = ()


def faults(data: str, gaussians: str, textured: Base) -> list[Case]:
    """Every planted fault, on images and on Gaussians; `textured`: images on which a pattern would stay."""

    def dcgan(steps: int = 1500) -> Base:
        return images("dcgan", data, SMALL, steps)

    def altered(**options: Any) -> Changes:
        side = {} if data == "digits" else MNIST
        base = {"data.name": "faulty:Altered", "data.base": data, **side}
        return {**base, **{f"data.{key}": value for key, value in options.items()}}

    dense = images("gan", data, {"network.generator_hidden": [256], **both(lr=1e-3)})
    cgan, wgan = images("cgan", data, SMALL), images("wgan", data, {"network.width": 16, "n_critic": 2})
    bigan = images("bigan-dense", data, {"network.hidden": [256, 256], **both(lr=5e-4)})
    rates = {"values": [1e-3, 2e-2], "at": [0, 700], "shape": "step"}
    spike = {"values": [1e-3, 0.05, 1e-3], "at": [0, 812, 820], "shape": "step"}
    deep = {"network.generator_hidden": [64] * 8, "network.activation": "sigmoid"}
    large = {"network.init_linear": "normal", "network.init_std": 1.0}
    plain = points(
        "gan", gaussians, {"network.generator_hidden": [128, 128], "latent.size": 2, "batch_size": 256}
    )
    hop = {"optimizer.generator.lr": 2e-3, "optimizer.discriminator.lr": 1e-4}
    return [
        Case("sgd", dense, both(name="sgd", lr=0.01, momentum=0.9), ("mode-collapse",)),
        Case("five-images", dcgan(), {"network.name": "faulty:FewImages"}, ("partial-collapse",)),
        Case("ignored-latent", dcgan(), {"network.name": "faulty:IgnoresLatent"}, ("latent-ignored",)),
        Case("ignored-latent-cgan", cgan, {"network.name": "faulty:IgnoresLatent"}, ("latent-ignored",)),
        Case("three-classes", cgan, {"network.name": "faulty:FewClasses"}, ("class-collapse",)),
        Case("ignored-label", cgan, {"network.name": "faulty:IgnoresLabels"}, ("label-ignored",)),
        Case("shuffled-labels", cgan, altered(shuffled=True), ("label-ignored",)),
        Case(
            "d-50-times",
            dcgan(),
            {"optimizer.generator.lr": 2e-4, "optimizer.discriminator.lr": 1e-2},
            ("discriminator-too-strong",),
        ),
        Case("frozen-d", dcgan(), {"optimizer.discriminator.lr": 1e-7}, ("discriminator-too-weak",)),
        Case("200-images", dcgan(3000), altered(first=200), ("discriminator-overfitting", "memorisation")),
        Case(
            "20-images-dense",
            replace(dense, steps=3000),
            altered(first=20),
            ("memorisation", "discriminator-overfitting"),
        ),
        Case("20-images", dcgan(3000), altered(first=20), ("memorisation", "discriminator-overfitting")),
        Case(
            "unbounded-critic",
            dense,
            {"objective.name": "wasserstein"},
            ("critic-not-lipschitz", "divergence"),
        ),
        Case("clip-0.001", wgan, {"constraints.clip.limit": 0.001}, ("clipping-saturated",)),
        Case(
            "late-rates",
            dcgan(),
            {"optimizer.generator.lr": rates, "optimizer.discriminator.lr": rates},
            ("past-its-best", "divergence"),
        ),
        Case("rates-0.03", dcgan(), both(lr=0.03), ("learning-rate-too-high",)),
        Case("one-spike", dcgan(), {"optimizer.discriminator.lr": spike}, ("spike",)),
        Case("momentum-0.9", dcgan(), both(lr=5e-3, beta1=0.9), ("oscillation", "mode-hopping")),
        Case("hopping", plain, hop, ("mode-hopping", "partial-collapse", "mode-collapse")),
        Case("kernel-3", textured, {"network.name": "faulty:Checkerboard"}, ("checkerboard",)),
        Case("smooth", dcgan(), {"network.name": "faulty:Smooth"}, ("oversmooth",)),
        Case("deep-sigmoid", dense, deep, ("vanishing-layers",)),
        Case("large-weights", dense, large, ("exploding-layers",)),
        Case("blind-pair", bigan, {"network.name": "faulty:BlindPair"}, ("not-inverse",)),
        Case("copies", dcgan(), altered(first=100, copies=20), ("data-problem",)),
        Case("one-class", dcgan(), altered(majority=0.95), ("data-problem",)),
        Case("constant-channel", dcgan(), altered(constant=True), ("data-problem",)),
        Case("rates-1e-7", dcgan(), both(lr=1e-7), ("nothing-learned",)),
    ]


def healthy(sets: tuple[str, ...], gaussians: str) -> list[Case]:
    """Runs in which nothing is wrong, some of them ugly: short, narrow, or both."""
    found = []
    for data in sets:
        found += [
            Case(f"healthy-dcgan-{data}", images("dcgan", data, SMALL)),
            Case(f"healthy-gan-{data}", images("gan", data, {"network.generator_hidden": [256]})),
            Case(f"healthy-lsgan-{data}", images("lsgan", data, SMALL)),
            Case(f"healthy-wgan-gp-{data}", images("wgan-gp", data, {**SMALL, "n_critic": 2})),
            Case(f"healthy-sngan-{data}", images("sngan", data, SMALL)),
            Case(f"healthy-short-{data}", images("dcgan", data, SMALL, 300)),
            Case(f"healthy-narrow-{data}", images("dcgan", data, {"network.width": 4, **both(lr=1e-3)})),
        ]
        if data != "cifar10":
            found += [
                Case(f"healthy-cgan-{data}", images("cgan", data, SMALL)),
                Case(
                    f"healthy-bigan-{data}",
                    images("bigan-dense", data, {"network.hidden": [256, 256], **both(lr=5e-4)}),
                ),
            ]
    for name, recipe in POINT_RECIPES.items():
        found.append(Case(f"healthy-{name}-{gaussians}", points(recipe, gaussians)))
    return found


COLOUR = images("dcgan", "cifar10", {"data.resolution": 32, "network.width": 16}, 600)
GROUPS = {
    "tuning": [*faults("digits", "ring", images("dcgan", "digits", SMALL)), *healthy(("digits",), "ring")],
    "test": [*faults("mnist", "grid", COLOUR), *healthy(("mnist", "fashion-mnist", "cifar10"), "grid")],
}


@dataclass(frozen=True)
class Job:
    """One case with one seed; `advised`: from its first advice."""

    group: str
    case: Case
    seed: int
    out: Path
    advised: bool = False

    @property
    def run(self) -> Path:
        return self.out / self.group / f"{self.case.name}{'-advised' if self.advised else ''}-{self.seed}"


def play(job: Job) -> str:
    """Train to the end; the run's name and state."""
    base = job.case.base
    rare = {"threads": 1, "log.every": 20, "sample.every": base.steps // 5, "checkpoint.every": base.steps}
    rare |= {"checkpoint.keep": 1, "evaluate.every": base.steps // 10}
    if job.advised:
        session = duel.train(advised=(replace(job, advised=False).run, 1), out=job.run, allow_code=True)
    else:
        changes = {**rare, **base.changes, **job.case.changes}
        session = duel.train(
            base.recipe,
            data=base.data,
            out=job.run,
            steps=base.steps,
            seed=job.seed,
            changes=changes,
            allow_code=True,
        )
    with session:
        for _ in session:
            pass
    return f"{job.run.name}: {duel.load(job.run, allow_code=True).state['state']}"


def make(jobs: list[Job], workers: int) -> None:
    """Play the jobs that are not finished, `workers` at a time."""
    waiting = [job for job in jobs if not finished(job.run)]
    with get_context("spawn").Pool(workers, maxtasksperchild=8) as pool:
        for line in pool.imap_unordered(attempt, waiting):
            print(line, flush=True)


def attempt(job: Job) -> str:
    """`play`, whose error is a line like another."""
    try:
        return play(job)
    except duel.DuelError as error:
        return f"{job.run.name}: {error}"


def finished(run: Path) -> bool:
    """Whether a run folder is there and at its end."""
    state = run / "run.json"
    return state.is_file() and json.loads(state.read_text())["state"] not in ("running", "interrupted")


# ---------------------------------------------------------------- judging


@dataclass(frozen=True)
class Judged:
    """What the diagnoses say of one run.

    raised  (name, severity) → the step at which it was first seen
    metric  (step, value) of each evaluation, lower is better
    """

    job: Job
    raised: dict[tuple[str, str], int]
    metric: list[tuple[int, float]]

    @property
    def found(self) -> list[int]:
        """The steps at which what was expected was first seen."""
        return [step for (name, _), step in self.raised.items() if name in self.job.case.expected]

    @property
    def severe(self) -> list[int]:
        return [step for (_, severity), step in self.raised.items() if severity == "severe"]


def judge(job: Job) -> Judged | None:
    """None for a run that is not finished."""
    if not finished(job.run):
        return None
    run = duel.load(job.run, allow_code=True)
    raised: dict[tuple[str, str], int] = {}
    for step, found in history(run):
        for each in found:
            raised.setdefault((each["name"], each["severity"]), step)
    rows = [event for event in run.events("metric") if event["name"].startswith(job.case.base.metric)]
    sign = 1 if not rows or rows[0]["better"] == "lower" else -1
    return Judged(job, raised, [(event["step"], sign * event["value"]) for event in rows])


def exact(hits: int, count: int) -> str:
    """A share with its exact 95 % interval (Clopper, Pearson 1934)."""
    if not count:
        return "–"
    low = stats.beta.ppf(0.025, hits, count - hits + 1) if hits else 0.0
    high = stats.beta.ppf(0.975, hits + 1, count - hits) if hits < count else 1.0
    return f"{hits} of {count} ({hits / count:.0%}; {low:.0%} to {high:.0%})"


def table(group: str, seeds: list[int], out: Path) -> None:
    """Hits and misses by fault, false alarms by healthy run, and when each was seen."""
    judged = [found for case in GROUPS[group] for s in seeds if (found := judge(Job(group, case, s, out)))]
    sick = [each for each in judged if each.job.case.expected]
    well = [each for each in judged if not each.job.case.expected]
    print(f"## {group}\n")
    print("| fault | expected | found, each seed (step) | metric shows it (step) | also severe |")
    print("|---|---|---|---|---|")
    for name in dict.fromkeys(each.job.case.name for each in sick):
        mine = [each for each in sick if each.job.case.name == name]
        steps = [str(min(each.found)) if each.found else "**no**" for each in mine]
        shown = [str(shows(each, well) or "–") for each in mine]
        others = {
            n for each in mine for n, s in each.raised if s == "severe" and n not in each.job.case.expected
        }
        expected = ", ".join(mine[0].job.case.expected)
        print(
            f"| {name} | {expected} | {', '.join(steps)} | {', '.join(shown)} | {', '.join(sorted(others))} |"
        )
    print(f"\nfaults found: {exact(sum(bool(each.found) for each in sick), len(sick))}")
    print(f"healthy runs with a severe finding: {exact(sum(bool(each.severe) for each in well), len(well))}")
    warned = sum(alarmed(each) for each in well)
    print(f"healthy runs with a severe finding or a warning: {exact(warned, len(well))}")
    for each in well:
        if alarmed(each):
            told = ", ".join(f"{name} ({severity}, {step})" for (name, severity), step in each.raised.items())
            print(f"- {each.job.run.name}: {told}")
    early = [(min(each.severe), shows(each, well)) for each in sick if each.severe]
    both_seen = [(severe, metric) for severe, metric in early if metric]
    before = sum(severe <= metric for severe, metric in both_seen)
    print(f"severe finding no later than the metric shows it: {exact(before, len(both_seen))}")


def alarmed(each: Judged) -> bool:
    return any(severity != "info" for _, severity in each.raised)


def shows(sick: Judged, well: list[Judged]) -> int | None:
    """The first evaluation from which on the metric is worse than in every healthy run of that base by half.

    Healthy runs are those of the same recipe on the same data. None where it never is, or there are none.
    """
    base = sick.job.case.base
    peers = [
        each
        for each in well
        if (each.job.case.base.recipe, each.job.case.base.data) == (base.recipe, base.data)
    ]
    peers = [each for each in peers if len(each.metric) >= 10 and "narrow" not in each.job.case.name]
    if not peers or not sick.metric:
        return None
    since = None
    for number, (step, value) in enumerate(sick.metric[:10]):
        worst = max(each.metric[number][1] for each in peers)
        bad = value > (1.5 * worst if worst > 0 else worst / 1.5)
        since = (since or step) if bad else None
    return since


def advised(group: str, seeds: list[int], out: Path, only: str | None, workers: int) -> None:
    """Start each faulty run again with its first advice, and compare the last evaluations."""
    jobs = [
        Job(group, case, seed, out)
        for seed in seeds
        for case in GROUPS[group]
        if case.expected and (only is None or only in case.name)
    ]
    make([replace(job, advised=True) for job in jobs if finished(job.run)], workers)
    print("| fault | first advice | metric before → after, each seed | better |\n|---|---|---|---|")
    better = whole = 0
    for name in dict.fromkeys(job.case.name for job in jobs):
        cells, wins, advice = [], 0, ""
        for job in (each for each in jobs if each.case.name == name):
            before, after = judge(job), judge(replace(job, advised=True))
            if before is None or after is None or not before.metric or not after.metric:
                cells.append("–")
                continue
            advice = json.dumps(duel.load(after.job.run, allow_code=True).provenance["advised"]["set"])
            (_, old), (_, new) = before.metric[-1], after.metric[-1]
            cells.append(f"{abs(old):.2f} → {abs(new):.2f}")
            wins, whole = wins + (new < old), whole + 1
        better += wins
        print(f"| {name} | `{advice}` | {', '.join(cells)} | {wins} |")
    print(f"\nbetter with the first advice: {exact(better, whole)}")


def fixtures(group: str, out: Path, into: Path) -> None:
    """Records of the first seed, as the tests read them."""
    into.mkdir(parents=True, exist_ok=True)
    for case in GROUPS[group]:
        job = Job(group, case, 0, out)
        if not finished(job.run):
            continue
        run = duel.load(job.run, allow_code=True)
        kept = asdict(journal(run).records())
        for events in (kept["steps"], kept["looks"], kept["metrics"]):
            for event in events:
                event.pop("time", None)
        kept |= {"expected": case.expected}
        text = json.dumps(kept, separators=(",", ":")) + "\n"
        (into / f"{case.name}.json.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=("run", "table", "advised", "fixtures"))
    parser.add_argument("groups", nargs="+", choices=list(GROUPS))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", help="cases whose name contains this")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--into", type=Path, help="folder of the fixtures")
    given = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parent))  # the variants of faulty.py
    for group in given.groups:
        if given.what == "run":
            cases = [case for case in GROUPS[group] if given.only is None or given.only in case.name]
            make([Job(group, case, seed, given.out) for seed in given.seeds for case in cases], given.workers)
        elif given.what == "table":
            table(group, given.seeds, given.out)
        elif given.what == "advised":
            advised(group, given.seeds, given.out, given.only, given.workers)
        else:
            fixtures(group, given.out, given.into)


if __name__ == "__main__":
    main()
