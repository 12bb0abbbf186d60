"""`duel compare`: which configuration is better, of runs or of a study; as a table with sentences."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from duel.compare import Contest, Contests, Summary, against_baseline, all_pairs, number, p_text
from duel.errors import InputError
from duel.measured import Measured, measured
from duel.robustness import Robustness, robustness

_WIDTH = 100
_GAP = "  "


@dataclass(frozen=True)
class Compared:
    """Comparisons, how robust each recipe was, and where both come from."""

    found: Contests
    robust: list[Robustness]
    source: Measured

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, with "format" 1."""
        notes = [*self.found.notes, *self.source.notes]
        robust = [asdict(each) for each in self.robust]
        return {"format": 1, **self.found.to_dict(), "robustness": robust, "notes": notes}


def compare(
    paths: Sequence[Path],
    metric: str | None = None,
    checkpoint: str = "last",
    baseline: str | None = None,
    every_pair: bool = False,
    confidence: float = 0.95,
    allow_code: bool | Collection[str] = False,
) -> Compared:
    """Compare run folders, or the configurations of one study. InputError for what cannot be compared.

    metric      by default the study's first, or the first that all runs were evaluated with
    checkpoint  "last" or "best": best on validation; what is compared was measured on the test split
    baseline    a label; by default the study's, or that of the first run
    every_pair  all pairs instead
    """
    if every_pair and baseline is not None:
        raise InputError("--all-pairs and --baseline exclude each other: give one of them")
    source = measured(paths, metric, checkpoint, allow_code)
    given = (source.rows, source.metric, source.checkpoint)
    if every_pair:
        found = all_pairs(*given, confidence, source.planned)
    else:
        found = against_baseline(*given, baseline or source.baseline, confidence, source.planned)
    return Compared(found, robustness(*given, confidence=confidence), source)


def text(compared: Compared) -> str:
    """The comparison for people: a table, a sentence for each comparison, what else must be said."""
    found = compared.found
    where = "of whole runs" if found.checkpoint == "run" else f"{found.checkpoint} checkpoint, test split"
    lines = [f"{found.metric} ({found.better} is better), {where}", ""]
    lines += _summaries(found)
    if found.baseline is None and found.contests:
        lines += ["", *_pairs(found)]
    said = [contest.sentence() for contest in found.contests]
    robust = [each.sentence(found.metric) for each in compared.robust] if _tells(compared.robust) else []
    notes = [f"note: {note}" for note in (*found.notes, *compared.source.notes)]
    for part in (said, robust, notes):
        lines += ["", *map(_wrapped, part)] if part else []
    return "\n".join(lines)


def _tells(robust: Sequence[Robustness]) -> bool:
    """Whether there is more to say than the table has."""
    return any(each.judged for each in robust)


def _wrapped(sentence: str) -> str:
    return textwrap.fill(sentence, _WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def _summaries(found: Contests) -> list[str]:
    """One line for each configuration; beside it the difference from the baseline where there is one."""
    share = f"{100 * found.confidence:g} %"
    ratio = any(contest.ratio for contest in found.contests)
    head = ["configuration", "n", f"mean ± {share}"]
    if found.baseline is None:
        return _aligned(head, [_summary(each) for each in found.configurations])
    head += [f"{'ratio' if ratio else 'difference'} ({share})", "p", "verdict"]
    contests = {contest.a: contest for contest in found.contests}
    rows = [
        [*_summary(each), *(_contest(contests[each.configuration]) if each.configuration in contests else
        ["baseline", "", ""])]
        for each in found.configurations
    ]  # fmt: skip
    return _aligned(head, rows)


def _pairs(found: Contests) -> list[str]:
    ratio = any(contest.ratio for contest in found.contests)
    head = [
        "pair",
        "n",
        f"{'ratio' if ratio else 'difference'} ({100 * found.confidence:g} %)",
        "p",
        "verdict",
    ]
    rows = [[f"{each.a} against {each.b}", str(len(each.pairs)), *_contest(each)] for each in found.contests]
    return _aligned(head, rows)


def _summary(it: Summary) -> list[str]:
    mean = "" if it.mean is None else number(it.mean)
    half = "" if it.mean is None or it.high is None else f" ± {number(it.high - it.mean)}"
    return [it.configuration, str(it.n), mean + half]


def _contest(it: Contest) -> list[str]:
    if it.interval is None or it.p_adjusted is None:
        return ["", "", it.verdict]
    times = "×" if it.ratio else ""
    mean, low, high = map(number, it.interval)
    p = p_text(it.p_adjusted).removeprefix("= ").replace("below ", "<")
    return [f"{times}{mean} ({low} to {high})", p, it.verdict]


def _aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table no wider than 100 columns: where it would be, long names go on in further lines."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    widths[0] = min(widths[0], max(10, _WIDTH - sum(widths[1:]) - len(_GAP) * (len(head) - 1)))
    lines = []
    for row in (head, *rows):
        name, *more = textwrap.wrap(row[0], widths[0]) or [""]
        cells = [name, *row[1:]]
        padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
        lines += [_GAP.join(padded).rstrip(), *more]
    return lines
