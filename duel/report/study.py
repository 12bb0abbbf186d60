"""The report of a study: verdicts first, then what they rest on, down to the single run."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from duel import compare, robustness, table
from duel.compare import Contest, Contests, Summary
from duel.errors import InputError
from duel.report import charts, curves, embedded
from duel.report.page import (
    Html,
    Section,
    bullets,
    code,
    document,
    escape,
    folded,
    heading,
    joined,
    pairs,
    panels,
    paragraph,
)
from duel.report.page import table as html_table
from duel.report.reading import Configuration, Reading, Row, Trial, read
from duel.report.run import strip_of
from duel.report.shared import (
    arrow,
    as_number,
    between,
    measured_at,
    number,
    provenance,
    provenance_items,
    severity,
    span,
)

_ALL_PICTURES = 2_600_000  # bytes of all pictures of a study; base64 makes a third more of them
_HEAVIEST = 150_000  # of one


def page(folder: Path) -> str:
    """The whole file."""
    found = read(folder)
    tables = comparisons(found)
    factors = [
        joined([heading(f"By {factor.name}"), body])
        for factor in found.factors
        if (body := curves.by_factor(found, factor))
    ]
    sections = [
        Section("Verdicts", _verdicts(found, tables)),
        Section("What was varied", _design(found)),
        Section("Curves", curves.by_configuration(found)),
        *([Section("Curves by factor", joined([paragraph(_GREY, "note"), *factors]))] if factors else []),
        Section("Configurations", _tables(found, tables)),
        Section("Robustness", _robustness(found)),
        Section("Samples", _samples(found)),
        Section("Findings", _findings(found)),
        Section("Provenance", _provenance(found)),
    ]
    return document(found.study.title or found.study.name, paragraph(_lead(found)), sections)


_GREY = (
    "Thin and grey: all runs on validation. On top: those with one value of the factor. A cross: diverged."
)


def _lead(found: Reading) -> str:
    """What it is, and how far."""
    configurations, seeds, runs = len(found.configurations), len(found.study.seeds), found.trials
    said = [
        f"A study of {_many(configurations, 'configuration')} with {_many(seeds, 'seed')} each: "
        f"{_many(len(runs), 'run')}."
    ]
    counts = {name: sum(trial.state == name for trial in runs) for name in _STATES}
    said += [f"{count} {_STATES[name]}." for name, count in counts.items() if count]
    if counts["running"] or counts["waiting"]:
        said.append("It is not complete: what follows is about the runs that have ended.")
    if seeds == 1:
        said.append("With one seed nothing can be said about what another one would give.")
    return " ".join(said)


_STATES = {
    "done": "done",
    "nonfinite": "diverged (a loss or weight became a number that is none)",
    "failed": "failed",
    "running": "begun and not ended",
    "waiting": "not begun",
}


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


# ---------------------------------------------------------------- comparisons


def comparisons(found: Reading) -> list[Contests | str]:
    """Every metric at the last and the best checkpoint against the baseline; a sentence where that fails."""
    results: list[Contests | str] = []
    for metric in found.metrics:
        for checkpoint in found.checkpoints:
            try:
                results.append(_against(found, metric, checkpoint))
            except InputError as error:
                results.append(f"{metric}, {checkpoint} checkpoint: {error}")
    return results


def _against(found: Reading, metric: str, checkpoint: str) -> Contests:
    return _compared(found, found.rows, metric, checkpoint, found.baseline)


def _compared(
    found: Reading, rows: Sequence[Row], metric: str, checkpoint: str, baseline: str | None
) -> Contests:
    if baseline is None:
        raise InputError("no run of the baseline has ended yet, so nothing is compared with it")
    return compare.against_baseline(rows, metric, checkpoint, baseline, planned=found.study.budget.kind)


def within(found: Reading, data: str) -> Html:
    """The comparisons by the deciding metric on one of several data sets alone."""
    rows = [row for row in found.rows if row["data"] == data]
    known = zip(found.rows, table.without_data(found.rows), strict=True)
    labels = (
        str(old["configuration"])
        for old, new in known
        if (old["data"], new["configuration"]) == (data, found.baseline)
    )
    try:
        return _table(
            rows, _compared(found, rows, found.metrics[0], found.checkpoints[0], next(labels, None))
        )
    except InputError as error:
        return paragraph(error)


def _verdicts(found: Reading, tables: Sequence[Contests | str]) -> Html:
    """One sentence for each comparison by the deciding metric at the end of training."""
    if not tables:
        return paragraph("No run has been measured on the test split yet.")
    first = tables[0]
    if isinstance(first, str):
        return paragraph(first)
    what = f"{_measure(found.rows, first)} ({arrow(first.better)})"
    against = f"Compared with the baseline, {first.baseline}: {what}, in pairs of equal data and seed."
    items = "".join(
        f'<li class="{each.verdict.replace(" ", "-")}">{escape(each.sentence())}.</li>'
        for each in first.contests
    )
    notes = bullets((f"{note}." for note in first.notes), "note")
    return joined(
        [paragraph(against), Html(f'<ul class="verdicts">{items}</ul>'), notes if first.notes else ""]
    )


# ---------------------------------------------------------------- what was varied


def _design(found: Reading) -> Html:
    study = found.study
    factors = [
        (factor.name, "; ".join(dict.fromkeys(factor.value(each) for each in found.of_factors)))
        for factor in found.factors
    ]
    items: list[tuple[str, object]] = [
        (
            "recipe",
            ", ".join(dict.fromkeys(str(each.planned.get("recipe")) for each in found.configurations)),
        ),
        ("data", ", ".join(dict.fromkeys(each.data for each in found.configurations))),
        *((f"varied: {name}", values) for name, values in factors),
        *([("named points", "; ".join(point.name for point in study.points))] if study.points else []),
        ("design", "every combination" if study.design == "grid" else "each factor alone, around the centre"),
        ("seeds", ", ".join(map(str, study.seeds))),
        ("budget", f"{study.budget.kind}: {number(study.budget.amount)}. {honesty(found)}"),
        ("measured", _measured(found)),
        *([("bears on", ", ".join(study.claims))] if study.claims else []),
    ]
    return pairs(items)


def honesty(found: Reading) -> str:
    """What was equal for all configurations, and what was not and by how much; of seconds what they are."""
    steps, images = (_planned(found, column) for column in ("steps", "images"))
    # Images are known where every configuration has steps and images, above 0.
    known = bool(images) and len(images) == len(steps) and min(*images, *steps) > 0
    alike = {
        "generator updates": (steps, len(set(steps)) == 1),
        "images drawn": (images, known and table.within_a_step(images, steps)),
    }
    equal: list[str] = []
    unequal: list[str] = []
    for name, (values, same) in alike.items():
        if values and same:
            equal.append(f"{name} ({_range(values)}{', within one step' if len(set(values)) > 1 else ''})")
        elif values:
            unequal.append(f"{name} ({_range(values)})")
    said = [f"Equal for all configurations: {' and '.join(equal)}."] if equal else []
    if found.study.budget.kind in table.COST_BY:
        said.append(f"Equal as planned: {table.COST_BY[found.study.budget.kind]}.")
    said += [f"Not equal: {' and '.join(unequal)}."] if unequal else []
    if seconds := [value for value in _seconds(found) if value is not None]:
        said.append(
            f"Measured: {_range(seconds)} seconds of computing a run; other work of the machine is in that."
        )
    return " ".join(said)


def _range(values: Sequence[float]) -> str:
    low, high = number(min(values)), number(max(values))
    return low if low == high else f"{low} to {high}"


def _planned(found: Reading, column: str) -> list[float]:
    """What the plan has in a column of the configurations, where it is a number."""
    values = [as_number(each.planned.get(column)) for each in found.configurations]
    return [value for value in values if value is not None]


def _seconds(found: Reading) -> list[float | None]:
    return [as_number(row.get("seconds")) for row in found.rows]


def _measured(found: Reading) -> str:
    """Metrics, splits, counts and features of the numbers on test."""
    rows = [row for row in found.rows if row["checkpoint"] in ("last", "best")]
    said = [", ".join(found.metrics) or ", ".join(found.study.metrics) or "the metrics that suit the data"]
    for column, words in (("samples", "generated samples"), ("features", "features"), ("split", "split")):
        values = [str(value) for value in dict.fromkeys(row.get(column) for row in rows) if value is not None]
        if values:
            said.append(f"{words}: {', '.join(values)}")
    said.append(f"while training on validation, {found.study.looks} times, which chooses the best checkpoint")
    return "; ".join(said)


# ---------------------------------------------------------------- tables


def _tables(found: Reading, tables: Sequence[Contests | str]) -> Html:
    """The deciding metric open, the others folded."""
    if not tables:
        return paragraph("No run has been measured on the test split yet.")
    first, *others = (_table(found.rows, each) for each in tables)
    data = curves.data_sets(found)
    alone = [folded(f"On {each} alone", within(found, each)) for each in data] if len(data) > 1 else []
    titles = [each if isinstance(each, str) else _caption(found.rows, each) for each in tables]
    note = (
        "Intervals of 95 % are Student's t over seeds, not corrected for their number. p is adjusted by "
        "Holm's procedure over the comparisons of one table, and decides the verdict. Dots are single runs, "
        "the bar is the interval of their mean."
    )
    return joined(
        [
            paragraph(note, "note"),
            first,
            *alone,
            *(folded(title, body) for title, body in zip(titles[1:], others, strict=True)),
        ]
    )


def _caption(rows: Sequence[Row], contests: Contests) -> str:
    return f"{_measure(rows, contests)} ({arrow(contests.better)})"


def _measure(rows: Sequence[Row], contests: Contests) -> str:
    """The metric, the split, the checkpoint with its steps."""
    at = span(measured_at(rows, contests.metric, contests.checkpoint))
    where = f"the {contests.checkpoint} checkpoint{f' ({at})' if at else ''}"
    return f"{contests.metric} on the test split, at {where}"


def _table(rows: Sequence[Row], contests: Contests | str) -> Html:
    if isinstance(contests, str):
        return paragraph(contests)
    by_label = {contest.a: contest for contest in contests.contests}
    ratio = any(contest.ratio for contest in contests.contests)
    values = table.values(table.without_data(rows), contests.metric, contests.checkpoint)
    dots = _dots(contests.configurations, values)
    lines = [
        [
            *_own(each, each.configuration == contests.baseline),
            dots[each.configuration],
            *_difference(each, by_label),
        ]
        for each in contests.configurations
    ]
    kind = "ratio to baseline" if ratio else "difference"
    head = [
        "configuration",
        "runs",
        "mean",
        "95 % interval",
        "each run",
        kind,
        "95 % interval",
        "p",
        "verdict",
    ]
    return html_table(_caption(rows, contests), head, lines, left=(0, 4, 8))


def _own(summary: Summary, baseline: bool) -> list[object]:
    name = f"{summary.configuration} (baseline)" if baseline else summary.configuration
    return [name, summary.n, number(summary.mean), between(summary.low, summary.high)]


def _difference(summary: Summary, contests: Mapping[str, Contest]) -> list[object]:
    """What the comparison with the baseline says, and which runs have no value."""
    contest = contests.get(summary.configuration)
    said = [] if contest is None else [contest.verdict]
    lost = (summary.lost or "").replace(f" runs of {summary.configuration}", "")
    verdict = "; ".join([*said, *([lost] if lost else [])])
    if contest is None or contest.interval is None:
        return ["", "", "", verdict]
    mean, low, high = contest.interval
    return [number(mean, 3), between(low, high), number(contest.p_adjusted, 2), verdict]


def _dots(summaries: Sequence[Summary], values: Mapping[str, Mapping[table.Pair, float]]) -> dict[str, Html]:
    """Every configuration's runs on one axis; none where their values have different scales."""
    listed = {each.configuration: list(values.get(each.configuration, {}).values()) for each in summaries}
    if any(each.n and each.mean is None for each in summaries):
        return dict.fromkeys(listed, Html(""))
    axis = charts.scale((value for some in listed.values() for value in some), rounded=False)
    return {
        each.configuration: charts.dots(axis, listed[each.configuration], each.low, each.high)
        for each in summaries
    }


# ---------------------------------------------------------------- robustness


def _robustness(found: Reading) -> Html:
    """How reliable: by configuration, and by each factor over all others."""
    if not found.metrics or not found.checkpoints:
        return paragraph("No run has been measured on the test split yet.")
    metric, checkpoint = found.metrics[0], found.checkpoints[0]
    data = ("data",) if len(curves.data_sets(found)) > 1 else ()
    groups: list[tuple[str, tuple[str, ...]]] = [("configuration", ("configuration",))]
    groups += [
        (factor.name, (*factor.keys, *(key for key in data if key not in factor.keys)))
        for factor in found.factors
    ]
    parts: list[object] = [paragraph(_ROBUST, "note")]
    varied = {each.label for each in found.of_factors}
    for place, (name, columns) in enumerate(groups):
        rows = [row for row in found.rows if place == 0 or row["configuration"] in varied]
        try:
            shown = _robust_table(robustness.robustness(rows, metric, checkpoint, columns), name, metric)
        except InputError as error:
            shown = paragraph(error)
        parts.append(shown if place == 0 else folded(f"By {name}, over all other factors", shown))
    return joined(parts)


_ROBUST = (
    "Over all runs of a group; spread is the standard deviation of those with a value. Collapsed: diverged, "
    "or with a severe collapse at the end. Fluctuation: median change of the metric from look to look over "
    "the second half of training, relative to its value."
)


def _robust_table(groups: Sequence[robustness.Robustness], name: str, metric: str) -> Html:
    head = [
        name,
        "runs",
        "median",
        "quartiles",
        "spread",
        "worst",
        "collapsed",
        "95 % interval",
        "fluctuation",
    ]
    rows = [
        [
            ", ".join(each.group),
            each.runs,
            number(each.median),
            between(each.low_quartile, each.high_quartile),
            number(each.spread, 3),
            number(each.worst),
            f"{each.collapsed} of {each.judged}" if each.judged else "–",
            f"{each.collapsed_low:.0%} to {each.collapsed_high:.0%}" if each.judged else "",
            "–" if each.fluctuation is None else f"{each.fluctuation:.1%}",
        ]
        for each in groups
    ]
    return html_table(f"{metric} over runs, by {name}", head, rows)


# ---------------------------------------------------------------- samples


def _samples(found: Reading) -> Html:
    """Grid and film strip of the best run of each configuration."""
    limit = min(_HEAVIEST, _ALL_PICTURES // max(1, 2 * len(found.configurations)))
    figures = [_picture(found, each, limit) for each in found.configurations]
    note = (
        "Of each configuration the run with the best value: these runs are chosen, their samples are not "
        f"(the noise is fixed). At most {embedded.GRID} pixels wide (grids) and {embedded.STRIP} (film "
        "strips); the originals are in the run folders."
    )
    return joined([paragraph(note, "note"), panels(figures)])


def _picture(found: Reading, configuration: Configuration, limit: int) -> Html:
    trial, said = best_run(found, configuration)
    if trial is None or trial.run is None or not trial.run.grids():
        body: Html = paragraph("No samples.", "note")
    else:
        step, grid = trial.run.grids()[-1]
        strip = strip_of(trial.run, rows=4)
        parts = [embedded.picture(grid, f"samples of {trial.name} at step {step}", embedded.GRID, limit)]
        if strip is not None:
            alt = f"samples of {trial.name} at several steps of its training"
            parts.append(embedded.tag(strip, alt, embedded.STRIP, limit))
        body = joined(parts)
    caption = f"{escape(configuration.label)}<small>{escape(said)}</small>"
    return Html(f"<figure><figcaption>{caption}</figcaption>{body}</figure>")


def best_run(found: Reading, configuration: Configuration) -> tuple[Trial | None, str]:
    """The run with the best value of the deciding metric on test, and why; else the first there is."""
    rows = []
    if found.metrics and found.checkpoints:
        metric, checkpoint = found.metrics[0], found.checkpoints[0]
        rows = [
            row
            for row in found.rows
            if row["configuration"] == configuration.label
            and (row["metric"], row["checkpoint"]) == (metric, checkpoint)
            and as_number(row["value"]) is not None
        ]
    by_seed = {trial.seed: trial for trial in configuration.trials}
    if rows:
        sign = -1 if rows[0].get("better") == "higher" else 1
        row = min(rows, key=lambda row: sign * row["value"])
        count = f"the best of {_many(len(rows), 'run')}"
        return by_seed.get(
            row["seed"]
        ), f"seed {row['seed']}, {count}: {row['metric']} {number(row['value'])}"
    there = next((trial for trial in configuration.trials if trial.run is not None), None)
    return there, "no run has begun" if there is None else f"seed {there.seed}, {_STATES[there.state]}"


# ---------------------------------------------------------------- findings


def _findings(found: Reading) -> Html:
    """Each finding once, with the configurations whose runs have it at their end."""
    trials = [trial for trial in found.trials if trial.run is not None]
    having: dict[tuple[str, str], list[Trial]] = {}
    texts: dict[tuple[str, str], Mapping[str, Any]] = {}
    for trial in trials:
        for finding in trial.findings:
            key = str(finding.get("severity")), str(finding.get("name"))
            having.setdefault(key, []).append(trial)
            texts.setdefault(key, finding)
    if not having:
        return paragraph("Diagnosis found nothing in any run.")
    order = ["severe", "warning", "info"]
    ranked = sorted(
        having, key=lambda key: (order.index(key[0]) if key[0] in order else 3, -len(having[key]))
    )
    return joined(_finding(texts[key], having[key], found, len(trials)) for key in ranked)


def _finding(finding: Mapping[str, Any], having: Sequence[Trial], found: Reading, runs: int) -> Html:
    title = Html(
        f"{escape(finding.get('name'))} ({severity(finding)}): {len(having)} of {_many(runs, 'run')}"
    )
    counts = []
    for each in found.configurations:
        count = sum(trial.label == each.label for trial in having)
        total = sum(trial.run is not None for trial in each.trials)
        if count:
            counts.append(f"{each.label}: {count} of {total}")
    said = {
        str(each.get("explanation")) for trial in having for each in trial.findings if _same(each, finding)
    }
    of_one = f"Of {having[0].name}: " if len(said) > 1 else ""
    return joined([heading(title), paragraph(f"{of_one}{finding.get('explanation', '')}"), bullets(counts)])


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return (one.get("name"), one.get("severity")) == (other.get("name"), other.get("severity"))


# ---------------------------------------------------------------- provenance


def _provenance(found: Reading) -> Html:
    runs = [trial.run for trial in found.trials if trial.run is not None]
    said = _merged(provenance_items(provenance(run)) for run in runs if provenance(run))
    spaces = dict.fromkeys(space for run in runs for space in _spaces(run.metrics()))
    commands = [f"duel train --resume {shlex.quote(str(run.path))}" for run in runs]
    toml = (found.path / "study.toml").read_text("utf-8", errors="replace")
    parts: list[object] = [
        pairs([*said, ("feature spaces", "; ".join(spaces) or "–"), ("folder", str(found.path))])
    ]
    parts.append(folded("The study as resolved (TOML): duel study FILE plays it again", code(toml)))
    if commands:
        parts.append(folded("The run folders, by the command that takes each up", code("\n".join(commands))))
    return joined(parts)


_OF_RUN = ("seed", "started")  # differs from run to run, as it must


def _merged(provenances: Iterable[Sequence[tuple[str, str]]]) -> list[tuple[str, str]]:
    """Every item once; where runs differ, each text with the number of its runs."""
    counts: dict[str, dict[str, int]] = {}
    for items in provenances:
        for name, text in items:
            of_name = counts.setdefault(name, {})
            of_name[text] = of_name.get(text, 0) + 1
    return [(name, _said(name, texts)) for name, texts in counts.items()]


def _said(name: str, texts: Mapping[str, int]) -> str:
    if len(texts) == 1:
        return next(iter(texts))
    if name in _OF_RUN:
        listed = sorted(texts)
        return ", ".join(listed) if name == "seed" else f"{listed[0]} to {listed[-1]}"
    return "; ".join(f"{text} ({_many(count, 'run')})" for text, count in texts.items())


def _spaces(results: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    """The feature spaces of evaluations, with checksum and accuracy."""
    for result in results:
        said = result.get("provenance")
        features = said.get("features") if isinstance(said, dict) else None
        if isinstance(features, dict):
            accuracy = as_number(features.get("accuracy"))
            right = "" if accuracy is None else f", accuracy {accuracy:.1%}"
            yield f"{features.get('name')} ({str(features.get('hash'))[:16]}{right})"
