"""A study on the terminal: what it will cost, how far it is, what came of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from duel import table
from duel.display import duration, many, printable

if TYPE_CHECKING:
    from duel.study.campaign import Campaign
    from duel.study.search import SearchCampaign, Values

Event = Mapping[str, Any]


def plan_text(campaign: Campaign) -> str:
    """Every configuration with its budget, and how long the whole will take."""
    study, planned = campaign.study, campaign.planned
    width = max(len(each.configuration.label) for each in planned)
    lines = [f"{study.name}: {study.title}" if study.title else study.name]
    for each in planned:
        images = each.recipe.drawn(each.steps)
        cost = duration(each.steps * each.step_seconds)
        lines.append(
            f"  {each.configuration.label:<{width}}  {each.recipe.name} on {each.configuration.data}: "
            f"{many(each.steps, 'step')}, {images:,} images, {cost} a run"
        )
    lines.append(
        f"{many(len(planned), 'configuration')} × {many(len(study.seeds), 'seed')} = "
        f"{many(campaign.runs, 'run')} at equal {_equal(campaign)}: "
        f"{_cost(campaign.seconds, campaign.workers)}"
    )
    left = campaign.left
    if len(left) < campaign.runs or campaign.seconds_left < campaign.seconds:
        lines.append(
            f"{campaign.runs - len(left)} done, {len(left)} left: "
            f"{_cost(campaign.seconds_left, campaign.workers)}"
        )
    return printable("\n".join(lines))


def _equal(campaign: Campaign) -> str:
    """What is equal for all configurations, and how far that is known."""
    kind, planned = campaign.study.budget.kind, campaign.planned
    images = [each.recipe.drawn(each.steps) for each in planned]
    if kind == "images" and len(set(images)) > 1:
        return "images (within one step)"
    return table.COST_BY.get(kind, kind)


def _cost(seconds: float, workers: int) -> str:
    return (
        f"about {duration(seconds)} of computing, {duration(seconds / workers)} with "
        f"{many(workers, 'worker')}, and the evaluations"
    )


def search_text(campaign: SearchCampaign) -> str:
    """What is searched in, and how long it will take."""
    study, width = campaign.study, max(map(len, campaign.space))
    lines = [f"{study.name}: {study.title}" if study.title else study.name]
    for name, values in campaign.space.items():
        lines.append(f"  {name:<{width}}  {_range_text(values)}")
    runs, seeds = campaign.runs, len(study.seeds)
    done = f", {many(campaign.done, 'trial')} done before" if campaign.done else ""
    lines.append(
        f"{many(runs // seeds, 'trial')} × {many(seeds, 'seed')} = {many(runs, 'run')} of "
        f"{many(campaign.first.steps, 'step')}{done}: {_cost(campaign.seconds, campaign.workers)}"
    )
    return printable("\n".join(lines))


def _range_text(values: Values) -> str:
    if isinstance(values, dict):
        return "; ".join(values)
    evenly = ", evenly over the logarithm" if values.log else ""
    return f"{values.low:g} to {values.high:g}{', integers' if values.integer else ''}{evenly}"


class Json:
    """The events as JSON lines."""

    def event(self, event: Event) -> None:
        print(json.dumps(event), flush=True)

    def close(self) -> None:
        """Nothing to put away."""


class People:
    """A line for each run that ends; on a terminal also a progress line with the time left."""

    def __init__(self) -> None:
        self._line = sys.stderr.isatty()

    def event(self, event: Event) -> None:
        if event["event"] == "progress":
            self._progress(event)
            return
        self.close()
        print(_text(event), flush=True)

    def close(self) -> None:
        """Take the progress line away."""
        if self._line:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def _progress(self, event: Event) -> None:
        if self._line:
            left = "" if event["left_s"] is None else f", {duration(event['left_s'])} left"
            said = f"{event['done']} of {event['runs']} runs, {event['share']:.1%}{left}"
            if event.get("preparing"):
                said = "preparing the metrics' feature space"
            print(f"\r\x1b[K{said}", end="", file=sys.stderr, flush=True)


def _text(event: Event) -> str:
    if event["event"] == "start":
        where = f"on {event['cluster']}" if event["cluster"] else many(event["workers"], "worker")
        todo = f"{event['left']} of {many(event['runs'], 'run')} to do"
        return f"{event['study']}: {todo}, {where}, in {event['folder']}"
    if event["event"] == "run":
        return printable(f"  {event['label']}, seed {event['seed']}: {_outcome(event)}")
    if event["event"] == "trial":
        return printable(f"trial {event['number']}, {event['label']}: {_outcome(event)}")
    others = [f"{event[name]} {name}" for name in ("nonfinite", "pruned", "failed") if event.get(name)]
    how = "stopped; the same command goes on from here" if event["reason"] == "interrupted" else "complete"
    what = "run" if "nonfinite" in event else "trial"
    counts = ", ".join([f"{many(event['done'], what)} done", *others])
    said = f"{how}: {counts}, {duration(event['seconds'])}; table: {event['folder']}/table.csv"
    return said if "best" not in event else f"{said}\n{_best_text(event['best'])}"


def _outcome(event: Event) -> str:
    value = "" if event["value"] is None else f", {event['metric']} {event['value']:.4g}"
    error = f": {event['error']}" if "error" in event else ""
    return f"{event['state']}{value}{error}"


def _best_text(best: Event) -> str:
    test = best["test"]
    return printable(
        f"best: trial {best['number']}, {best['label']}: {best['metric']} {best['value']:.4g} on validation; "
        f"on test {test['value']:.4g} [{test['low']:.4g}, {test['high']:.4g}] over "
        f"{many(best['seeds'], 'seed')}; duel train {best['recipe']}"
    )
