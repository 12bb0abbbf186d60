"""A study's curves: of each configuration with a band over its seeds, and all again by each factor."""

from __future__ import annotations

from collections.abc import Sequence

from duel.report import charts
from duel.report.charts import Line
from duel.report.page import Html, folded, heading, joined, panels, paragraph
from duel.report.reading import Configuration, Factor, Reading, Trial
from duel.report.shared import arrow, as_number, curve, measured_at, span

_BAND = (
    "Line: mean over the seeds that have a value at this step; band: from the lowest to the highest of them. "
    "A cross: there a run diverged, and the mean goes on without it."
)


def by_configuration(found: Reading) -> Html:
    """A chart for each metric and data set; with many configurations, a small one for each of them."""
    said = f"On the validation split, while they trained. {_BAND}{_ends(found)}"
    parts: list[object] = [paragraph(said, "note")]
    for data in data_sets(found):
        of_data = [each for each in found.configurations if each.data == data]
        for place, metric in enumerate(metrics_of(of_data)):
            title = _title(metric, of_data, data if len(data_sets(found)) > 1 else "")
            shown = _configurations(metric, of_data, title)
            if len(of_data) > charts.STYLES:
                parts.append(joined([heading(title), shown]) if place == 0 else folded(title, shown))
            else:
                parts.append(shown)
    if len(parts) == 1:
        return paragraph("Nothing was measured while the runs trained (looks = 0, or none has come so far).")
    return _side_by_side(parts)


def _ends(found: Reading) -> str:
    """Where the curves end, if what is compared was measured after the last look."""
    if not found.metrics:
        return ""
    compared = measured_at(found.rows, found.metrics[0], "last")
    runs = (trial.looks.get(found.metrics[0], []) for trial in found.trials if trial.state == "done")
    last = [float(events[-1]["step"]) for events in runs if events]
    if not compared or not last or max(last) >= max(compared):
        return ""
    return (
        f" The curves end at the last look ({span(last)}); what is compared at the last checkpoint was "
        f"measured at the end of training ({span(compared)}), on the test split."
    )


def _side_by_side(parts: Sequence[object]) -> Html:
    """The note, and the figures that follow each other in one row where there is room."""
    figures = [part for part in parts if isinstance(part, Html) and part.startswith("<figure>")]
    others = [part for part in parts if part not in figures]
    return joined([*others, panels(figures)] if figures else others)


def by_factor(found: Reading, factor: Factor) -> Html:
    """All runs in grey, and in each chart those of one value of the factor on top."""
    parts: list[object] = []
    for data in data_sets(found):
        of_data = [each for each in found.configurations if each.data == data]
        varied = [each for each in found.of_factors if each.data == data]
        values = list(dict.fromkeys(factor.value(each) for each in varied))
        if len(values) < 2:
            continue
        for place, metric in enumerate(metrics_of(of_data)):
            title = _title(metric, of_data, data if len(data_sets(found)) > 1 else "")
            shown = panels(
                (
                    _of_value(metric, of_data, factor.name, _having(varied, factor, value), value)
                    for value in values
                ),
                small=True,
            )
            parts.append(joined([paragraph(title, "note"), shown]) if place == 0 else folded(title, shown))
    return joined(parts)


def data_sets(found: Reading) -> list[str]:
    """On what was trained; values of different data sets have no common axis."""
    return list(dict.fromkeys(each.data for each in found.configurations))


def metrics_of(configurations: Sequence[Configuration]) -> list[str]:
    """The metrics that were looked at while these trained, in the order in which they were measured."""
    return list(
        dict.fromkeys(name for each in configurations for trial in each.trials for name in trial.looks)
    )


def _title(metric: str, configurations: Sequence[Configuration], data: str) -> str:
    events = (trial.looks.get(metric, []) for each in configurations for trial in each.trials)
    better = next((arrow(event.get("better")) for some in events for event in some), "")
    return ", ".join(part for part in (metric, f"on {data}" if data else "", better) if part)


def _configurations(metric: str, configurations: Sequence[Configuration], title: str) -> Html:
    bands = [seed_band(each.label, lines_of(each, metric)) for each in configurations]
    if len(configurations) <= charts.STYLES:
        lines = [styled(band, str(place)) for place, band in enumerate(bands)]
        marks = [
            _end(line, str(n)) for n, each in enumerate(configurations) for line in lines_of(each, metric)
        ]
        return charts.figure(title, lines, marks=[mark for mark in marks if mark is not None])
    every = [line for each in configurations for line in lines_of(each, metric)]
    axes = charts.axes_for([*every, *bands], charts.SMALL)
    small = []
    for each, band in zip(configurations, bands, strict=True):
        marks = [_end(line, "strong") for line in lines_of(each, metric)]
        ends = [mark for mark in marks if mark is not None]
        small.append(charts.figure(each.label, [styled(band, "strong")], axes, behind=every, marks=ends))
    return panels(small, small=True)


def _having(configurations: Sequence[Configuration], factor: Factor, value: str) -> list[Configuration]:
    return [each for each in configurations if factor.value(each) == value]


def _of_value(
    metric: str,
    configurations: Sequence[Configuration],
    name: str,
    having: Sequence[Configuration],
    value: str,
) -> Html:
    """All runs in grey, those of the configurations with this value on top."""
    every = [line for each in configurations for line in lines_of(each, metric)]
    chosen = [styled(line, "strong") for each in having for line in lines_of(each, metric)]
    diverged = sum(each.count("nonfinite") for each in having)
    lost = f", {diverged} diverged" if diverged else ""
    said = f"{name}: {value} ({len(chosen)} run{'s' * (len(chosen) != 1)}{lost})"
    return charts.figure(said, chosen, charts.axes_for(every, charts.SMALL), behind=every, legends=False)


def lines_of(configuration: Configuration, metric: str) -> list[Line]:
    """A curve for each run that has been looked at."""
    return [_line(trial, metric) for trial in configuration.trials if trial.looks.get(metric)]


def _line(trial: Trial, metric: str) -> Line:
    line = curve(trial.name, trial.looks[metric])
    return Line(line.name, line.x, line.y, style="grey", broken=trial.state == "nonfinite")


def styled(line: Line, style: str) -> Line:
    """The same line in another style."""
    return Line(line.name, line.x, line.y, line.low, line.high, style, line.broken)


def seed_band(label: str, lines: Sequence[Line]) -> Line:
    """The mean of the curves at each step at which one of them has a value, with lowest and highest."""
    at: dict[float, list[float]] = {}
    for line in lines:
        for step, value in zip(line.x, line.y, strict=True):
            if as_number(value) is not None:
                at.setdefault(step, []).append(float(value or 0))
    steps = sorted(at)
    means = [sum(value / len(at[step]) for value in at[step]) for step in steps]
    if all(len(values) == 1 for values in at.values()):
        return Line(label, steps, means)
    return Line(label, steps, means, [min(at[step]) for step in steps], [max(at[step]) for step in steps])


def _end(line: Line, style: str) -> Line | None:
    """The last point of a run that diverged, to be marked."""
    points = [(x, y) for x, y in zip(line.x, line.y, strict=True) if as_number(y) is not None]
    if not line.broken or not points:
        return None
    return Line(line.name, [points[-1][0]], [points[-1][1]], style=style, broken=True)
