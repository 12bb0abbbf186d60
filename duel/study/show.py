"""A study on the terminal: what it will cost, how far it is, what came of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from duel.display import duration, many, printable

if TYPE_CHECKING:
    from duel.study.campaign import Campaign

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
    runs, workers = len(campaign.trials), campaign.workers
    lines.append(
        f"{many(len(planned), 'configuration')} × {many(len(study.seeds), 'seed')} = {many(runs, 'run')} "
        f"at equal {study.budget.kind}: about {duration(campaign.seconds)} of computing, "
        f"{duration(campaign.seconds / workers)} with {many(workers, 'worker')}, and the evaluations"
    )
    return printable("\n".join(lines))


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
            print(f"\r\x1b[K{said}", end="", file=sys.stderr, flush=True)


def _text(event: Event) -> str:
    if event["event"] == "start":
        where = f"on {event['cluster']}" if event["cluster"] else many(event["workers"], "worker")
        todo = f"{event['left']} of {many(event['runs'], 'run')} to do"
        return f"{event['study']}: {todo}, {where}, in {event['folder']}"
    if event["event"] == "run":
        value = "" if event["value"] is None else f", {event['metric']} {event['value']:.4g}"
        error = f": {event['error']}" if "error" in event else ""
        return printable(f"  {event['label']}, seed {event['seed']}: {event['state']}{value}{error}")
    others = [f"{event[name]} {name}" for name in ("nonfinite", "failed") if event[name]]
    how = "stopped; the same command goes on from here" if event["reason"] == "interrupted" else "complete"
    counts = ", ".join([f"{many(event['done'], 'run')} done", *others])
    return f"{how}: {counts}, {duration(event['seconds'])}; table: {event['folder']}/table.csv"
