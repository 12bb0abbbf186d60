"""Real or fake? A blind test of people, and its score as a metric of the run.

A test is decided by its settings: which images, in which order, follows from the seed, so that one that was
interrupted can be taken up. Scores with feedback after each answer are never pooled with those without:
feedback changes how well people do. After HYPE (Zhou et al. 2019, arXiv:1904.01121): its score is the share
of wrong answers, 50 % where nobody can tell.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from duel import io, streams
from duel.errors import InputError, RunError
from duel.intervals import incomplete_beta, t_interval
from duel.run import HUMAN_FILE
from duel.studio.origin import own_data

if TYPE_CHECKING:
    import numpy as np

    from duel.run import Run

FEWEST, MOST = 4, 200  # images of a test
_NAME = 60


@dataclass(frozen=True)
class Settings:
    """One test.

    person      who takes it; count: images, half of them generated; seed: of the choice and the order
    checkpoint  the step of the checkpoint that is judged
    limit       seconds that each image is to be seen; 0: as long as one likes
    feedback    whether each answer is followed by the truth
    """

    person: str
    count: int
    seed: int
    checkpoint: int
    limit: float = 0.0
    feedback: bool = False

    def __post_init__(self) -> None:
        if not 1 <= len(self.person.strip()) <= _NAME:
            given = len(self.person.strip())
            raise InputError(
                f"the name has {given} characters, allowed are 1 to {_NAME}: scores are kept by person"
            )
        if not FEWEST <= self.count <= MOST or self.count % 2:
            raise InputError(
                f"{self.count} images were asked for, allowed are even numbers, {FEWEST} to {MOST}"
            )
        if not 0 <= self.seed <= streams.LARGEST_SEED:
            raise InputError(f"the seed is {self.seed}, allowed are integers from 0")
        if not 0 <= self.limit <= 60:
            raise InputError(f"the limit is {self.limit} s, allowed are 0 (none) to 60")


def truth(settings: Settings) -> list[bool]:
    """Whether the image at each place is real: half are, in an order that the seed decides."""
    import numpy as np

    order = streams.stream(settings.seed, "eval", 7).permutation(settings.count)
    return [bool(place) for place in (order < settings.count // 2).astype(np.int64)]


def pictures(run: Run, settings: Settings) -> np.ndarray:
    """The images of a test (uint8 N×C×H×W), in order. Real ones are of the test split, which no run has seen.

    Both kinds are made alike, with 8 bits, so that nothing but the picture tells them apart. RunError for
    points, DataError where the run's data are not here.
    """
    import numpy as np

    from duel import pictures as sheets

    if run.spec.kind != "image":
        raise RunError(f"{run.path.name} makes points, which nobody can judge one by one")
    data = own_data(run)
    split = data.splits["test"] if len(data.splits["test"]) else data.splits["train"]
    half = settings.count // 2
    if len(split) < half:
        raise RunError(f"there are {len(split)} real images, {half} are needed: ask for a shorter test")
    rng = streams.stream(settings.seed, "eval", 8)
    real = split.samples[rng.choice(len(split), half, replace=False)]
    made = np.concatenate([part for part, _ in run.stream(half, settings.seed, settings.checkpoint)])
    fake = sheets.to_uint8(made)
    kinds = {True: iter(real), False: iter(fake)}
    return np.stack([next(kinds[each]) for each in truth(settings)])


def result(settings: Settings, answers: Sequence[bool], seconds: Sequence[float]) -> dict[str, Any]:
    """The line that is kept of a test: its settings, each answer ("it is real"), the truth, the score."""
    real = truth(settings)
    if len(answers) != len(real) or len(seconds) != len(real):
        raise InputError(f"{len(answers)} of {len(real)} images were judged: go on to the end")
    right = sum(said == each for said, each in zip(answers, real, strict=True))
    fooled = sum(said for said, each in zip(answers, real, strict=True) if not each)
    return {
        "person": settings.person.strip(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "step": settings.checkpoint,
        "seed": settings.seed,
        "limit": settings.limit,
        "feedback": settings.feedback,
        "n": len(real),
        "right": right,
        "fooled": fooled,
        "answers": [int(each) for each in answers],
        "real": [int(each) for each in real],
        "seconds": [round(each, 3) for each in seconds],
    }


def record(run: Run, line: Mapping[str, Any]) -> None:
    """Append a test's result to the run's folder."""
    io.append_line(run.path / HUMAN_FILE, dict(line))


def judgements(folder: Path) -> list[dict[str, Any]]:
    """The tests that were taken of a run, in order; what is no result is left out."""
    return [line for line in io.read_lines(folder / HUMAN_FILE) if _is_result(line)]


def _is_result(line: Mapping[str, Any]) -> bool:
    counts = [line.get(name) for name in ("n", "right", "fooled", "step")]
    if not all(isinstance(each, int) and not isinstance(each, bool) for each in counts):
        return False
    return line["n"] > 0 and 0 <= line["right"] <= line["n"] and isinstance(line.get("person"), str)


# ---------------------------------------------------------------- scores


def accuracy(lines: Iterable[Mapping[str, Any]], feedback: bool = False) -> dict[str, Any] | None:
    """The share of right answers over all tests of one kind, with a 95 % interval; None without any.

    Of one person: exact, from the number of answers (Clopper, Pearson 1934). Of several: Student's t over
    the persons, because answers of one person are not independent of each other.
    """
    mine = [line for line in lines if bool(line.get("feedback")) == feedback]
    if not mine:
        return None
    people: dict[str, list[int]] = {}
    for line in mine:
        counts = people.setdefault(str(line["person"]), [0, 0])
        counts[0] += line["right"]
        counts[1] += line["n"]
    answers = sum(count for _, count in people.values())
    shares = [right / count for right, count in people.values()]
    if len(people) == 1:
        [(right, count)] = people.values()
        low, high = proportion_interval(right, count)
        value = right / count
    else:
        value, low, high = t_interval(shares)
    return {
        "value": value, "low": max(0.0, low), "high": min(1.0, high), "better": "lower",
        "people": len(people), "answers": answers, "tests": len(mine), "feedback": feedback,
    }  # fmt: skip


def summary(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Both kinds of scores, never mixed, and each test's own."""
    return {
        "without_feedback": accuracy(lines, False),
        "with_feedback": accuracy(lines, True),
        "tests": [score(line) for line in lines],
    }


def score(line: Mapping[str, Any]) -> dict[str, Any]:
    """One test: the share of right answers with its interval, and of fakes that were taken for real."""
    low, high = proportion_interval(line["right"], line["n"])
    named = {name: line.get(name) for name in ("person", "date", "step", "limit", "feedback", "n", "right")}
    return {
        **named, "value": line["right"] / line["n"], "low": low, "high": high,
        "fooled": line["fooled"] / max(1, line["n"] // 2),
    }  # fmt: skip


def proportion_interval(right: int, count: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of a share (Clopper, Pearson 1934): it contains the truth at least so often."""
    tail = (1 - confidence) / 2
    low = 0.0 if right == 0 else _beta_quantile(tail, right, count - right + 1)
    high = 1.0 if right == count else _beta_quantile(1 - tail, right + 1, count - right)
    return low, high


def _beta_quantile(p: float, a: float, b: float) -> float:
    """The x with I_x(a, b) = p, by bisection."""
    low, high = 0.0, 1.0
    while not math.isclose(low, high, rel_tol=1e-12, abs_tol=1e-15):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if incomplete_beta(a, b, middle) < p else (low, middle)
    return (low + high) / 2
