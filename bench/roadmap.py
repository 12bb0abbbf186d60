"""The roadmap: which claims of the sources hold, and where to start, computed from the studies' tables.

    python bench/roadmap.py                       # docs/roadmap.md, from docs/evidence/studies/*.csv
    python bench/roadmap.py --collect STUDIES     # first copy the tables of finished or running studies there

What is claimed, what would show it and which margins count stands in studies/claims.toml; nothing is decided
here by hand. The page holds no date and no path: the same tables give the same bytes.
"""

from __future__ import annotations

import argparse
import math
import shutil
import statistics
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

from duel import table
from duel.compare import (
    against_baseline,
    effect_size,
    holm,
    lost_runs,
    number,
    p_text,
    pairs_needed,
    t_test,
)
from duel.errors import DuelError, InputError
from duel.intervals import deviation, t_interval
from duel.io import write_atomic
from duel.robustness import Robustness, robustness
from duel.study.file import Study, read
from duel.table import Row

ROOT = Path(__file__).resolve().parents[1]
STUDIES = ROOT / "studies"
CLAIMS = STUDIES / "claims.toml"
TABLES = ROOT / "docs" / "evidence" / "studies"
PAGE = ROOT / "docs" / "roadmap.md"

LEVEL = 0.05
EXPECTATIONS = ("better", "not worse", "same", "steadier", "above")
COMPUTED = ("confirmed", "refuted", "not seen at this budget", "cannot tell", "no table yet")
BY_HAND = ("supported", "contradicted", "not seen at this budget")
WORDS = tuple(dict.fromkeys((*COMPUTED[:2], *BY_HAND, *COMPUTED[3:], "waits")))
NAMES = {"fcd": "FCD", "cs": "CS", "frechet-random": "Fréchet distance", "balance": "distance from ½"}
SOURCES = {"A": "Bensi, Nocchi 2023", "B": "Hoeckler 2021", "C": "Casadei, Papa 2021", "D": "Fathollahi 2022"}


# ---------------------------------------------------------------- the file


@dataclass(frozen=True)
class Test:
    """What one table must show, or several together; studies/claims.toml explains the fields."""

    on: str
    study: str | tuple[str, ...]
    metric: str
    a: str | tuple[str, ...]
    expect: str
    b: str | tuple[str, ...] | None = None
    about: str = ""
    checkpoint: str = "last"
    within: float | None = None
    level: float | None = None

    def __post_init__(self) -> None:
        several = self.expect in ("steadier", "above")
        sides = [side for side in (self.a, self.b) if side is not None]
        rules = {
            f"expect is {self.expect!r}, allowed: {EXPECTATIONS}": self.expect in EXPECTATIONS,
            "within goes with same and not worse": (self.within is not None)
            == (self.expect in ("same", "not worse")),
            "level goes with above": (self.level is not None) == (self.expect == "above"),
            "b goes with all but above": (self.b is not None) == (self.expect != "above"),
            "several studies go with better, not worse and same": isinstance(self.study, str) or not several,
            "a and b are lists for steadier and above only": all(
                isinstance(side, tuple) == several for side in sides
            ),
        }
        if broken := [rule for rule, kept in rules.items() if not kept]:
            raise InputError(f"claims.toml, test {self.on!r} of {self.study}: {broken[0]}")

    @property
    def studies(self) -> tuple[str, ...]:
        """Every study whose runs it takes."""
        return (self.study,) if isinstance(self.study, str) else self.study

    @property
    def first(self) -> tuple[str, ...]:
        return (self.a,) if isinstance(self.a, str) else self.a

    @property
    def second(self) -> tuple[str, ...]:
        return (self.b,) if isinstance(self.b, str) else self.b or ()

    @property
    def labels(self) -> tuple[str, ...]:
        """Every configuration that it looks at."""
        return self.first + self.second


@dataclass(frozen=True)
class Evidence:
    """What another committed document says of it, and where: set by hand, so with words of its own."""

    on: str
    verdict: str
    says: str
    link: str
    about: str = ""

    def __post_init__(self) -> None:
        if self.verdict not in BY_HAND:
            raise InputError(f"claims.toml, evidence {self.on!r}: {self.verdict!r} is none of {BY_HAND}")


@dataclass(frozen=True)
class Claim:
    """A claim, the tests of it, and what else is known."""

    id: str
    claim: str
    budget_bound: bool
    tests: tuple[Test, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    waits: str | None = None
    command: str | None = None


@dataclass(frozen=True)
class Question:
    """A line of the decision table: choices by name, each with its labels in the tables."""

    ask: str
    studies: tuple[str, ...]
    metric: str
    choices: dict[str, list[str]]
    checkpoint: str = "last"


@dataclass(frozen=True)
class Pool:
    """Studies whose runs are looked at together, for the robustness of each architecture."""

    metric: str
    studies: tuple[str, ...]


@dataclass(frozen=True)
class Book:
    """All of studies/claims.toml."""

    claims: tuple[Claim, ...]
    questions: tuple[Question, ...] = ()
    pools: tuple[Pool, ...] = ()


def read_book(file: Path = CLAIMS) -> Book:
    """The file, checked."""
    tree = tomllib.loads(file.read_text(encoding="utf-8"))
    claims = []
    for each in tree.pop("claims"):
        tests = tuple(_build(Test, test) for test in each.pop("tests", []))
        evidence = tuple(_build(Evidence, entry) for entry in each.pop("evidence", []))
        claims.append(replace(_build(Claim, each), tests=tests, evidence=evidence))
    questions = tuple(_build(Question, each) for each in tree.pop("questions", []))
    pools = tuple(_build(Pool, each) for each in tree.pop("robustness", []))
    if tree:
        raise InputError(f"claims.toml has {', '.join(tree)}: known are claims, questions, robustness")
    return Book(tuple(claims), questions, pools)


def _build(kind: Any, given: Mapping[str, Any]) -> Any:
    """A dataclass from a table; InputError for a key that it does not have, or one that is missing."""
    known = {each.name: each.default is MISSING for each in fields(kind)}
    wrong = [f"unknown {key}" for key in given if key not in known]
    wrong += [f"no {name}" for name, needed in known.items() if needed and name not in given]
    if wrong:
        raise InputError(f"claims.toml, {kind.__name__.lower()} {dict(given)}: {', '.join(wrong)}")
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in given.items()})


# ---------------------------------------------------------------- the tables


@dataclass(frozen=True)
class Tables:
    """The committed tables, and the studies that made them."""

    folder: Path = TABLES
    studies: Path = STUDIES
    _rows: dict[str, list[Row]] = field(default_factory=dict)
    _studies: dict[str, Study] = field(default_factory=dict)

    def rows(self, name: str) -> list[Row]:
        """A study's table; empty where there is none yet."""
        if name not in self._rows:
            file = self.folder / f"{name}.csv"
            text = file.read_text(encoding="utf-8") if file.is_file() else ""
            self._rows[name] = table.complete(table.from_csv(text)) if text else []
        return self._rows[name]

    def study(self, name: str) -> Study:
        """What the study's file says."""
        if name not in self._studies:
            self._studies[name] = read(self.studies / f"{name}.toml")
        return self._studies[name]

    @cached_property
    def names(self) -> list[str]:
        """Every study there is a file of."""
        return sorted(file.stem for file in self.studies.glob("*.toml") if file.name != CLAIMS.name)

    def seeds(self, name: str) -> tuple[int, int]:
        """Seeds of the configuration that has the fewest, and how many are planned."""
        runs = table.runs(self.rows(name))
        return min((len(of) for of in runs.values()), default=0), len(self.study(name).seeds)


def collect(source: Path, folder: Path = TABLES) -> list[str]:
    """Copy the table of each study below `source`; the names of those there were."""
    folder.mkdir(parents=True, exist_ok=True)
    found = sorted(source.glob("*/table.csv"))
    for file in found:
        shutil.copyfile(file, folder / f"{file.parent.name}.csv")
    return [file.parent.name for file in found]


# ---------------------------------------------------------------- from rows to gains


@dataclass(frozen=True)
class Gains:
    """How far each pair goes the way that is claimed; positive: a is ahead.

    ratio    the numbers are logarithms of ratios
    lower    whether less is better
    means    of a's values and of b's, over the pairs; None over several studies
    missing  sentences on runs without a value
    budget   what was not equal, in words; empty where updates and images were
    """

    values: tuple[float, ...]
    ratio: bool
    lower: bool
    means: tuple[float, float] | None
    missing: tuple[str, ...] = ()
    budget: str = ""


def gains(test: Test, rows: Sequence[Row], planned: str | None = None) -> Gains:
    """What a table has for a test. InputError where it has not the metric.

    planned  what the study's budget made equal
    """
    own = [row for row in rows if row["configuration"] in test.labels]
    values = table.values(own, test.metric, test.checkpoint)
    lower = table.better(own, test.metric, test.checkpoint) == "lower"
    runs = table.runs(own)
    lost = [lost_runs(label, runs[label], values.get(label, {})) for label in test.labels]
    missing = tuple(sentence for sentence in lost if sentence)
    if test.level is not None:
        means = [statistics.fmean(each) for each in _shared([values.get(label, {}) for label in test.labels])]
        return Gains(tuple(v - test.level for v in means), False, lower, (_mean(means), test.level), missing)
    if test.expect == "steadier":
        of_seeds = _shared([values.get(label, {}) for label in test.labels])
        spreads = [_spreads(each, len(test.first), lower) for each in of_seeds]
        usable = [spread for spread in spreads if min(spread) > 0]
        logs = tuple(math.log(b) - math.log(a) for a, b in usable)
        return Gains(logs, True, True, _means(usable), missing)
    pairs = _shared(_keyed(values.get(test.first[0], {}), values.get(test.second[0], {})))
    ratio = lower and min((min(pair) for pair in pairs), default=0) > 0
    found = tuple(_gain(a, b, lower, ratio) for a, b in pairs)
    return Gains(found, ratio, lower, _means(pairs), missing, _budget(own, test, planned))


def together(parts: Mapping[str, Gains]) -> Gains:
    """The pairs of several studies as those of one. InputError where some are ratios and some are not."""
    first, *_ = parts.values()
    if len({(part.ratio, part.lower) for part in parts.values()}) > 1:
        raise InputError(f"{', '.join(parts)}: some have a value of 0, so no ratio: they do not go together")
    values = tuple(value for part in parts.values() for value in part.values)
    missing = tuple(f"{name}: {said}" for name, part in parts.items() for said in part.missing)
    budget = "; ".join(f"{name}: {part.budget}" for name, part in parts.items() if part.budget)
    # Means of values on different scales would say nothing.
    return Gains(values, first.ratio, first.lower, None, missing, budget)


def _keyed(a: Mapping[table.Pair, float], b: Mapping[table.Pair, float]) -> list[dict[Any, float]]:
    """The values of both by what makes a pair: data and seed, or across two data sets the seed."""
    across = not {data for data, _ in a} & {data for data, _ in b}
    return [{key[1] if across else key: value for key, value in side.items()} for side in (a, b)]


def _shared(sides: Sequence[Mapping[Any, float]]) -> list[list[float]]:
    """For each key that all have: the value of each."""
    return [[side[key] for side in sides] for key in sides[0] if all(key in side for side in sides)]


def _gain(a: float, b: float, lower: bool, ratio: bool) -> float:
    ahead = math.log(b) - math.log(a) if ratio else b - a
    return ahead if lower else -ahead


def _spreads(values: Sequence[float], first: int, lower: bool) -> tuple[float, float]:
    """Standard deviation over configurations, of a's values and of b's; of logarithms for distances."""
    scaled = [math.log(value) for value in values] if lower and min(values) > 0 else list(values)
    return deviation(scaled[:first]), deviation(scaled[first:])


def _mean(values: Sequence[float]) -> float:
    return statistics.fmean(values) if values else math.nan


def _means(pairs: Sequence[Sequence[float]]) -> tuple[float, float]:
    return _mean([a for a, _ in pairs]), _mean([b for _, b in pairs])


def _budget(rows: Sequence[Row], test: Test, planned: str | None) -> str:
    """What compare says of the budget, where updates and images were not both equal."""
    if len({row["data"] for row in rows}) > 1:
        return ""
    found = against_baseline(rows, test.metric, test.checkpoint, test.second[0], planned=planned)
    said = next(contest.budget for contest in found.contests)
    return "" if said.startswith("at equal generator updates") and ") and images" in said else said


# ---------------------------------------------------------------- verdicts


@dataclass(frozen=True)
class Judged:
    """A test or a piece of evidence with its verdict, one of WORDS, and the numbers in words.

    studies  whose tables it rests on; none for evidence
    """

    about: str
    on: str
    word: str
    says: str
    studies: tuple[str, ...] = ()

    @property
    def of_what(self) -> str:
        return f"{self.about} ({self.on})" if self.about else self.on


def against(values: Sequence[float], expect: str, margin: float) -> tuple[list[float], bool]:
    """The gains as distances from where the claim begins to be true, and whether they lie on that side."""
    mean = statistics.fmean(values)
    border = {"not worse": -margin, "same": math.copysign(margin, mean)}.get(expect, 0.0)
    return [value - border for value in values], abs(mean) < margin if expect == "same" else mean > border


def margin_of(test: Test, found: Gains) -> float:
    """The margin in the units of the gains."""
    within = test.within or 0.0
    return math.log1p(within) if found.ratio else within


def judge(claim: Claim, tables: Tables) -> list[Judged]:
    """Every test of a claim, corrected for all that are planned, and then its evidence."""
    found = {test: _measured(test, tables) for test in claim.tests}
    borders = {
        test: against(each.values, test.expect, margin_of(test, each))
        for test, each in found.items()
        if isinstance(each, Gains)
    }
    p = _corrected({test: values for test, (values, _) in borders.items()}, len(claim.tests))
    judged = []
    for test, each in found.items():
        if isinstance(each, Judged):
            judged.append(each)
            continue
        values, true = borders[test]
        word = "cannot tell" if p[test] > LEVEL else "confirmed" if true else "refuted"
        if word == "refuted" and claim.budget_bound:
            word = "not seen at this budget"
        planned = sum(len(tables.study(name).seeds) for name in test.studies)
        says = [_numbers(test, each, p[test], len(found), planned)]
        says += [_seeds(values, len(found))] if word == "cannot tell" else []
        says += [part for part in (each.budget, *each.missing) if part]
        judged.append(Judged(test.about, test.on, word, "; ".join(says), test.studies))
    for entry in claim.evidence:
        cited = f"{entry.says} ([{entry.link}]({entry.link}))"
        judged.append(Judged(entry.about, entry.on, entry.verdict, cited))
    if claim.waits is not None:
        judged.append(Judged("", "the rest" if judged else "all of it", "waits", claim.waits))
    return judged


def _corrected(values: Mapping[Any, Sequence[float]], family: int) -> dict[Any, float]:
    """Holm's p-values of Student's t tests. Those of the family that are not there yet count as 1: what is
    said now must not become unsaid because other tables arrive.
    """
    there = [t_test(each) for each in values.values()]
    adjusted = holm([*there, *[1.0] * (family - len(there))])
    return dict(zip(values, adjusted, strict=False))


def _measured(test: Test, tables: Tables) -> Gains | Judged:
    """The gains of a test; its verdict where there are fewer than two."""
    rows = {name: tables.rows(name) for name in test.studies}
    lacking = [name for name, of in rows.items() if not set(test.labels) <= set(table.configurations(of))]
    if lacking:
        commands = ", ".join(f"`duel study studies/{name}.toml`" for name in lacking)
        return Judged(test.about, test.on, "no table yet", commands, test.studies)
    try:
        parts = {name: gains(test, of, tables.study(name).budget.kind) for name, of in rows.items()}
        found = together(parts) if len(parts) > 1 else parts[test.studies[0]]
    except DuelError as error:
        return Judged(test.about, test.on, "cannot tell", str(error), test.studies)
    if len(found.values) > 1:
        return found
    count = "one pair of runs has" if found.values else "no pair of runs has"
    says = "; ".join([f"{count} a value: 2 are needed, 3 to say how many would do", *found.missing])
    return Judged(test.about, test.on, "cannot tell", says, test.studies)


def _numbers(test: Test, found: Gains, p: float, family: int, planned: int) -> str:
    """Effect, interval, p and seeds: "FCD 0.58 times as large (0.50 to 0.66), …; p = 0.003, 3 seeds"."""
    mean, low, high = t_interval(found.values, 1 - LEVEL)
    name = f"spread of log {named(test.metric)}" if test.expect == "steadier" else named(test.metric)
    if test.level is not None:
        ends = [number(value + test.level) for value in (mean, low, high)]
        effect = f"mean {name} {ends[0]} ({ends[1]} to {ends[2]}), claimed above {number(test.level)}"
    else:
        both = "" if found.means is None else f" {' against '.join(map(number, found.means))},"
        effect = f"{name}{both} {_effect(mean, low, high, found.ratio, found.lower)}"
    margin = {"same": ", claimed within {} either way", "not worse": ", claimed worse by less than {}"}
    amount = f"{test.within or 0:.0%}" if found.ratio else number(test.within or 0)
    unit = "seeds" if len(test.studies) == 1 else "pairs"
    seeds = f"{len(found.values)} {unit}"
    if len(found.values) < planned:
        seeds = f"{len(found.values)} of {planned} {unit}"
    corrected = f" (of {family} tests)" if family > 1 else ""
    return f"{effect}{margin.get(test.expect, '').format(amount)}; p {p_text(p)}{corrected}, {seeds}"


def _effect(mean: float, low: float, high: float, ratio: bool, lower: bool) -> str:
    """Gains as what they say of a's values beside b's."""
    if ratio:
        # With two pairs an end may lie beyond all numbers.
        ends = [number(math.exp(min(-value, 700.0))) for value in (mean, high, low)]
        return f"{ends[0]} times as large ({ends[1]} to {ends[2]})"
    sign = -1 if lower else 1
    ends = [number(value) for value in (sign * mean, *sorted((sign * low, sign * high)))]
    return f"difference {ends[0]} ({ends[1]} to {ends[2]})"


def _seeds(shifted: Sequence[float], family: int) -> str:
    """How many seeds would tell, if what is seen is the truth."""
    if not any(shifted):
        return "no pair differs"
    if len(shifted) < 3:
        return "3 seeds are needed to say how many would do"
    effect = effect_size(shifted)
    if effect is None:
        return f"without any spread {1 + math.ceil(math.log2(family / LEVEL))} seeds are needed"
    needed = pairs_needed(effect, 1 - LEVEL / family)
    if needed is None:
        return "more than 100,000 seeds would be needed"
    return f"about {max(needed, len(shifted) + 1):,} seeds would tell"


def verdict(judged: Sequence[Judged]) -> str:
    """The claim's verdict: one word, or which word for what."""
    by_word = {word: [each for each in judged if each.word == word] for word in WORDS}
    there = {word: found for word, found in by_word.items() if found}
    if len(there) == 1:
        return f"**{next(iter(there))}**" + (f", all {len(judged)}" if len(judged) > 1 else "")
    return "; ".join(_share(word, found, len(judged)) for word, found in there.items())


def _share(word: str, judged: Sequence[Judged], total: int) -> str:
    """What got this word: "**confirmed**: as good (MNIST, faces)"; of what has no table yet, how much."""
    if word == "no table yet":
        return f"**{word}**: {len(judged)} of {total}"
    groups: dict[str, list[str]] = {}
    for each in judged:
        groups.setdefault(each.about, []).append(each.on)
    said = [f"{about} ({', '.join(on)})" if about else ", ".join(on) for about, on in groups.items()]
    return f"**{word}**: {', '.join(said)}"


def named(metric: str) -> str:
    """A metric's name for people."""
    return NAMES.get(metric, metric)


# ---------------------------------------------------------------- where to start


@dataclass(frozen=True)
class Decision:
    """A line of the decision table.

    start      the choice; why: the numbers behind it; alike: what is not told apart from it
    collapsed  of its runs; swing: how much a value changes from look to look
    """

    ask: str
    start: str
    why: str
    alike: tuple[str, ...]
    collapsed: str
    swing: str
    studies: tuple[str, ...]


Key = tuple[str, str, int]  # study, data set, seed
Couple = tuple[str, str]


def decide(question: Question, tables: Tables) -> Decision | None:
    """The first choice, unless another is told apart from it; None without numbers for two choices.

    All pairs of choices are compared and corrected together, since which is best was not known before.
    """
    rows = {name: tables.rows(name) for name in question.studies if tables.rows(name)}
    own = {choice: _of_labels(labels, rows) for choice, labels in question.choices.items()}
    try:
        values = {choice: _values(question, of) for choice, of in own.items()}
        lower = _lower(question, rows)
    except DuelError:
        return None
    usable = {choice: of for choice, of in values.items() if len(of) > 1}
    ratio = lower and all(value > 0 for of in usable.values() for value in of.values())
    couples = {
        couple: tuple(_gain(a, b, lower, ratio) for a, b in _shared([usable[choice] for choice in couple]))
        for couple in combinations(usable, 2)
    }
    couples = {couple: of for couple, of in couples.items() if len(of) > 1}
    family = math.comb(len(question.choices), 2)
    p = _corrected(couples, family)
    first = next(iter(usable), "")
    rivals = [choice for choice in usable if _over(couples, choice, first)]
    if not rivals:
        return None
    lost = {choice: _runs(of) - len(values[choice]) for choice, of in own.items()}
    ahead = {choice: statistics.fmean(_over(couples, choice, first)) for choice in rivals}
    best = max(rivals, key=lambda choice: ahead[choice])
    # One that diverges oftener than the default is no advice, however good the runs that are left.
    told = [
        choice
        for choice in rivals
        if ahead[choice] > 0 and lost[choice] <= lost[first] and _p(p, choice, first) <= LEVEL
    ]
    start = max(told, key=lambda choice: ahead[choice], default=first)
    shown = (start, first) if told else (best, first) if ahead[best] > 0 else (first, best)
    effect = _effect(*t_interval(_over(couples, *shown), 1 - LEVEL), ratio, lower)
    corrected = f" (of {family} comparisons)" if family > 1 else ""
    pairs = f"{len(_over(couples, *shown))} pairs"
    why = f"{named(question.metric)} of {shown[0]} beside {shown[1]}: {effect}, "
    why += f"p {p_text(_p(p, *shown))}{corrected}, {pairs}"
    if not told and ahead[best] > 0:
        oftener = _p(p, best, first) <= LEVEL
        reason = "the best on average loses more runs" if oftener else "not told from the best on average"
        why = f"the default; {reason}: {why}"
    alike = tuple(choice for choice in usable if choice != start and _p(p, choice, start) > LEVEL)
    return Decision(question.ask, start, why, alike, *_fate(question, own[start]), tuple(rows))


def _of_labels(labels: Sequence[str], rows: Mapping[str, Sequence[Row]]) -> dict[str, list[Row]]:
    """Of each study: the rows of these configurations."""
    return {name: [row for row in of if row["configuration"] in labels] for name, of in rows.items()}


def _values(question: Question, own: Mapping[str, Sequence[Row]]) -> dict[Key, float]:
    found: dict[Key, float] = {}
    for name, rows in own.items():
        measured = table.values(rows, question.metric, question.checkpoint) if rows else {}
        for of in measured.values():
            found |= {(name, *pair): value for pair, value in of.items()}
    return found


def _runs(own: Mapping[str, Sequence[Row]]) -> int:
    return sum(len(of) for rows in own.values() for of in table.runs(rows).values())


def _lower(question: Question, rows: Mapping[str, Sequence[Row]]) -> bool:
    everything = [row for of in rows.values() for row in of]
    return table.better(everything, question.metric, question.checkpoint) == "lower"


def _over(couples: Mapping[Couple, tuple[float, ...]], one: str, other: str) -> list[float]:
    """The gains of one choice over another; none where they share fewer than two runs."""
    return list(couples.get((one, other), ())) or [-gain for gain in couples.get((other, one), ())]


def _p(p: Mapping[Couple, float], one: str, other: str) -> float:
    return p.get((one, other), p.get((other, one), 1.0))


def _fate(question: Question, own: Mapping[str, Sequence[Row]]) -> tuple[str, str]:
    """How many runs collapsed, and how much a value changes from look to look."""
    rows = [
        {**row, "choice": "it", "configuration": f"{name}: {row['configuration']}"}
        for name, of in own.items()
        for row in of
    ]
    (found,) = robustness(rows, question.metric, question.checkpoint, by=("choice",))
    collapsed = f"{found.collapsed} of {found.judged}" if found.judged else "–"
    return collapsed, "–" if found.fluctuation is None else f"{found.fluctuation:.0%}"


# ---------------------------------------------------------------- what goes wrong


def pooled(pool: Pool, tables: Tables, by: Sequence[str]) -> list[Robustness]:
    """The robustness over all configurations and seeds of a pool's studies, by data set and architecture."""
    rows = [
        {**row, "configuration": f"{name}: {row['configuration']}", "data": Path(str(row["data"])).name}
        for name in pool.studies
        for row in tables.rows(name)
    ]
    try:
        found = robustness(rows, pool.metric, by=by)
    except DuelError:
        return []
    return sorted(found, key=lambda each: (*each.group[1:], each.group[0]))


def _fates(pool: Pool, tables: Tables) -> str | None:
    """Collapses and swings of each architecture in a sentence; None without any."""
    found = [each for each in pooled(pool, tables, ("recipe",)) if each.judged]
    if not found:
        return None
    found.sort(key=lambda each: (-each.collapsed / each.judged, each.group))
    shares = ", ".join(f"{each.group[0]} {each.collapsed} of {each.judged}" for each in found)
    said = f"runs that collapsed or diverged ({named(pool.metric)} studies): {shares}"
    swings = sorted((each.fluctuation, each.group[0]) for each in found if each.fluctuation is not None)
    if not swings:
        return said
    ends = dict.fromkeys(f"{change:.0%} ({name})" for change, name in (swings[0], swings[-1]))
    return f"{said}; from look to look a value changes by {' to '.join(ends)}"


# ---------------------------------------------------------------- the page

_INTRODUCTION = """Where to start with Generative Adversarial Networks, what goes wrong, and which claims
of four reports hold. Computed by `python bench/roadmap.py` from the tables in
[evidence/studies](evidence/studies) and the predictions in [claims.toml](../studies/claims.toml): change
those, not this page."""

_COLUMNS = """Of a distance (FCD, Fréchet) less is better: 0.5 times as large is half as bad. In brackets:
95 % intervals. Collapsed: of the runs behind the choice. Swing: the median change from look to look late in
training."""

_HOW = """- **confirmed**, **refuted**: the corrected p-value is at most 0.05 and the numbers lie on that
  side. **cannot tell**: it is larger; then the numbers say how many seeds would tell in 80 % of studies if
  what was seen is the truth. From 3 seeds that count is rough.
- **not seen at this budget**: the numbers are against a claim that its source makes for far longer
  training. That refutes nothing.
- **supported**, **contradicted**: what another trial of this project says, set by hand; the number of its
  runs stands beside it. No test was computed.
- **no table yet**: the command beside it makes one. **waits**: no table can answer it.
- Runs are compared seed by seed, distances as ratios. Intervals are Student's, not corrected; p is
  corrected by Holm's procedure among all tests of one claim, or among all pairs of choices of one question,
  those that have no table yet included. `duel compare` takes differences where there is one data set, so
  its p differs a little.
- "Within 10 %" is about twice a distance's sampling error at 2,000 samples; it was written down before.
- The last checkpoint counts, on the test split. The default of a question, its first choice, is replaced
  only by one that is told apart from it and loses no more runs. What is neither chosen nor "not told apart"
  is worse or unmeasured.
- Of some thirty claims at 5 % each, one or two words may be wrong by chance. Wide networks and long budgets
  may order otherwise than these."""


def page(book: Book, tables: Tables) -> str:
    """The whole document."""
    judged = {claim.id: judge(claim, tables) for claim in book.claims}
    there = [name for name in tables.names if tables.rows(name)]
    parts = [
        "# Roadmap",
        _INTRODUCTION,
        f"**At this budget** is what stands beside each number: narrow networks on two CPU cores, for some\n"
        f"minutes. The sources trained for 25 to 200 epochs. Tables there are: {len(there)} of "
        f"{len(tables.names)}.",
        "## In short",
        _in_short(judged),
        "## Where to start",
        *_decisions(book, tables),
        "## The claims",
        _claims(book, judged),
        "## What goes wrong, by architecture",
        *_breaks(book, tables),
        "## How to read this",
        _HOW,
        "## What waits",
        _waits(book, judged, tables),
        "## The numbers behind the claims",
        *[_details(claim, judged[claim.id], tables) for claim in book.claims],
    ]
    return "\n\n".join(parts) + "\n"


def _updates(rows: Sequence[Row]) -> str:
    """What the runs of a table had: "600 to 1,500 updates"; empty without one that was done."""
    steps = [row["steps"] for row in rows if row["state"] == "done" and row["steps"]]
    if not steps:
        return ""
    low, high = min(steps), max(steps)
    return f"{low:,} updates" if low == high else f"{low:,} to {high:,} updates"


def _in_short(judged: Mapping[str, Sequence[Judged]]) -> str:
    """How many tests got which word, and all that were confirmed or refuted."""
    computed = [(claim, each) for claim, of in judged.items() for each in of if each.studies]
    counts = {word: sum(each.word == word for _, each in computed) for word in COMPUTED}
    said = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    lines = []
    for word in COMPUTED[:2]:
        found = [f"{_anchor(claim)} {each.of_what}" for claim, each in computed if each.word == word]
        lines += [f"- **{word}**: {'; '.join(found)}"] if found else []
    return f"Of {len(computed)} planned tests: {said}.\n\n" + "\n".join(lines)


def _lines(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    head = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    return "\n".join([*head, *(f"| {' | '.join(row)} |" for row in rows)])


def _decisions(book: Book, tables: Tables) -> list[str]:
    rows = []
    for question in book.questions:
        found = decide(question, tables)
        if found is not None:
            studies = ", ".join(_cited(tables, name) for name in found.studies)
            alike = "; ".join(found.alike) or "–"
            start = f"**{found.start}**"
            rows.append([found.ask, start, found.why, alike, found.collapsed, found.swing, studies])
    for pool in book.pools:
        said = _fates(pool, tables)
        if said is not None:
            rows.append(["What goes wrong?", "`duel diagnose RUN`", said, "–", "–", "–", "below"])
    if not rows:
        return ["No table yet has the numbers of a line."]
    titles = "question", "start with", "numbers", "not told apart from it", "collapsed", "swing", "study"
    return [_lines(titles, rows), _COLUMNS]


def _partly(tables: Tables, name: str) -> str:
    """Of a study that is not complete: "2 of 3 seeds"; else nothing."""
    there, planned = tables.seeds(name)
    return "" if there == planned else f"{there} of {planned} seeds"


def _cited(tables: Tables, name: str) -> str:
    """A study's name with its budget and what it lacks: "labels (1,500 updates, 2 of 3 seeds)"."""
    said = [part for part in (_updates(tables.rows(name)), _partly(tables, name)) if part]
    return f"{name} ({', '.join(said)})" if said else name


def _claims(book: Book, judged: Mapping[str, Sequence[Judged]]) -> str:
    rows = [[_anchor(claim.id), claim.claim, verdict(judged[claim.id])] for claim in book.claims]
    sources = ", ".join(f"{letter} {name}" for letter, name in SOURCES.items())
    said = f"Sources: {sources}. Each number leads to the numbers behind its verdict."
    return f"{said}\n\n{_lines(('', 'claim', 'verdict, at this budget'), rows)}"


def _anchor(name: str) -> str:
    return f"[{name}](#{name.lower()})"


def _breaks(book: Book, tables: Tables) -> list[str]:
    parts = []
    for pool in book.pools:
        found = pooled(pool, tables, ("recipe", "data"))
        if found:
            studies = ", ".join(name for name in pool.studies if tables.rows(name))
            parts.append(
                f"{named(pool.metric)} over all configurations and seeds of {studies}.\n"
                "Some architectures were tried in more, and odder, configurations than others."
            )
            parts.append(_lines(_ROBUST, [_robust(each) for each in found]))
    return parts or ["No table yet."]


_MIDDLE = "runs", "median (quartiles)", "spread", "worst"
_ROBUST = "architecture", "data", *_MIDDLE, "collapsed", "swing"


def _robust(each: Robustness) -> list[str]:
    def shown(value: float | None) -> str:
        return "–" if value is None else number(value)

    quartiles = f"{shown(each.median)} ({shown(each.low_quartile)} to {shown(each.high_quartile)})"
    ends = f" ({each.collapsed_low:.0%} to {each.collapsed_high:.0%})" if each.judged else ""
    collapsed = f"{each.collapsed} of {each.judged}{ends}"
    swing = "–" if each.fluctuation is None else f"{each.fluctuation:.0%}"
    return [*each.group, str(each.runs), quartiles, shown(each.spread), shown(each.worst), collapsed, swing]


def _waits(book: Book, judged: Mapping[str, Sequence[Judged]], tables: Tables) -> str:
    waiting = [claim for claim in book.claims if claim.waits is not None]
    lines = [f"- {_anchor(claim.id)} {claim.waits}: {claim.command}" for claim in waiting]
    for name in tables.names:
        if not tables.rows(name):
            lines.append(f"- {name}: no table yet: `duel study studies/{name}.toml`")
        elif _partly(tables, name):
            lines.append(f"- {name} ({_partly(tables, name)}): `duel study studies/{name}.toml`")
    for question in book.questions:
        if decide(question, tables) is None:
            lines.append(f"- “{question.ask}” has no numbers yet: {', '.join(question.studies)}")
    bound = [claim for claim in book.claims if claim.budget_bound and claim.tests]
    unsure = [claim for claim in bound if any(each.word != "confirmed" for each in judged[claim.id])]
    if unsure:
        names = ", ".join(sorted({name for claim in unsure for test in claim.tests for name in test.studies}))
        ids = ", ".join(_anchor(claim.id) for claim in unsure)
        command = "`duel study studies/NAME.toml --size gpu`"
        lines.append(f"- {ids}: longer training, on a bigger machine: {command} for {names}")
    return "\n".join(lines) or "Nothing."


def _details(claim: Claim, judged: Sequence[Judged], tables: Tables) -> str:
    lines = [f"### {claim.id}", "", claim.claim, ""]
    for each in judged:
        cited = [_linked(name, tables) for name in each.studies]
        study = f" ({'; '.join(cited)})" if cited else ""
        lines.append(f"- {each.of_what}: **{each.word}**: {each.says}{study}")
    return "\n".join(lines)


def _linked(name: str, tables: Tables) -> str:
    budget = _updates(tables.rows(name))
    return f"[{name}](../studies/{name}.toml)" + (f", {budget}" if budget else "")


def main() -> None:
    """Collect tables if asked to, and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--collect", type=Path, metavar="STUDIES", help="a folder of study folders")
    parser.add_argument("--tables", type=Path, default=TABLES, help="folder of NAME.csv")
    parser.add_argument("--out", type=Path, default=PAGE)
    given = parser.parse_args()
    if given.collect is not None:
        print("collected:", ", ".join(collect(given.collect, given.tables)) or "nothing")
    write_atomic(given.out, page(read_book(), Tables(given.tables)).encode())
    print(given.out)


if __name__ == "__main__":
    main()
