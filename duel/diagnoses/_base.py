"""What a diagnosis is: a pure function of a run's records that gives a finding or nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import median
from typing import Any, Literal

Severity = Literal["info", "warning", "severe"]
Series = list[tuple[int, float]]
Event = Mapping[str, Any]

_FEW_DIRECTIONS = 8  # of a latent vector; fewer are tiny

LOOKS = 3  # so many looks in a row must agree before a diagnosis speaks of a state that lasts


@dataclass(frozen=True)
class Evidence:
    """A signal's value at some steps, and the threshold that it is beyond."""

    signal: str
    value: float | str
    threshold: float | str
    steps: tuple[int, ...]


@dataclass(frozen=True)
class Advice:
    """Changes of the recipe (dotted keys), why, and who says so; `set` may be empty where no field helps."""

    set: dict[str, Any]
    reason: str
    source: str | None = None


@dataclass(frozen=True)
class Finding:
    """What is wrong.

    severity     "severe": the run will not become good by going on; "warning": it is held back;
                 "info": worth knowing
    confidence   0.5 at the threshold, towards 1 beyond it; no probability
    explanation  two sentences for somebody who has not seen it before
    advice       in order of promise
    """

    severity: Severity
    confidence: float
    evidence: tuple[Evidence, ...]
    explanation: str
    advice: tuple[Advice, ...] = ()


@dataclass(frozen=True)
class Records:
    """What a training has left behind so far; what is not known is empty.

    recipe   the resolved recipe by dotted keys
    total    steps that it is to make
    facts    of the data (`duel.signals.facts`)
    steps, looks, metrics  its events of these kinds, in order
    """

    recipe: Mapping[str, Any] = field(default_factory=dict)
    total: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    steps: Sequence[Event] = ()
    looks: Sequence[Event] = ()
    metrics: Sequence[Event] = ()

    @cached_property
    def now(self) -> int:
        """The last step that anything is known of."""
        known = (self.steps, self.looks, self.metrics)
        return max((events[-1]["step"] for events in known if events), default=0)

    def logged(self, name: str) -> Series:
        """A number of the step events: loss_d, d_real, …"""
        return [(event["step"], event[name]) for event in self.steps if event.get(name) is not None]

    def signal(self, name: str) -> Series:
        """A signal that is one number; looks without it are left out."""
        return [(step, value) for step, value in self.table(name) if isinstance(value, int | float)]

    def table(self, name: str) -> list[tuple[int, Any]]:
        """A signal of any shape: numbers by layer, by class."""
        found = ((event["step"], event["values"].get(name)) for event in self.looks)
        return [(step, value) for step, value in found if value is not None]

    def metric(self) -> tuple[str, bool, list[tuple[int, float, float, float]]]:
        """The first metric: name, whether lower is better, (step, value, low, high) of each evaluation."""
        if not self.metrics:
            return "", True, []
        first = self.metrics[0]
        mine = [event for event in self.metrics if event["name"] == first["name"]]
        rows = [(event["step"], event["value"], event["low"], event["high"]) for event in mine]
        return first["name"], first["better"] == "lower", rows

    def setting(self, key: str, default: Any = None) -> Any:
        """A field of the recipe; `default` where the recipe is not known or has none."""
        return self.recipe.get(key, default)

    def held_out(self, name: str) -> float | None:
        """What a signal is for held-out real samples, which no generator is expected to beat."""
        value: float | None = self.facts.get("held_out", {}).get(name)
        return value

    @property
    def conditional(self) -> bool:
        """Whether the generator takes labels."""
        return any("label_effect" in event["values"] for event in self.looks[-1:])


class Diagnosis(ABC):
    """Its options are its thresholds."""

    @abstractmethod
    def find(self, records: Records) -> Finding | None:
        """The finding as things stand at the end of the records; None where they do not show it."""


def lasting(series: Series, holds: Callable[[float], bool], looks: int = LOOKS) -> Series:
    """The last `looks` entries, if there are so many and all hold; else nothing."""
    last = series[-looks:]
    return last if len(last) == looks and all(holds(value) for _, value in last) else []


def last_looks(records: Records) -> tuple[tuple[int, ...], list[Mapping[str, Any]]]:
    """The steps of the last `LOOKS` looks and the values of each; both empty where there are fewer."""
    last = records.looks[-LOOKS:]
    if len(last) < LOOKS:
        return (), []
    return tuple(event["step"] for event in last), [event["values"] for event in last]


def evidence(signal: str, series: Series, threshold: float | str) -> Evidence:
    """The median of a part of a series."""
    value = median(value for _, value in series)
    return Evidence(signal, float(f"{value:.4g}"), threshold, tuple(step for step, _ in series))


def of_player(table: Mapping[str, float | None], player: str) -> list[float]:
    """A player's numbers of a table by layer, in the order of its layers."""
    return [value for name, value in table.items() if name.startswith(f"{player}.") and value is not None]


def confidence(value: float, threshold: float) -> float:
    """How far beyond its threshold a positive value is, above or below: 0.5 at it, 0.75 at three times."""
    whole = abs(value) + abs(threshold)
    return round(0.5 + 0.5 * abs(value - threshold) / whole, 3) if whole else 0.5


def times(records: Records, key: str, factor: float) -> dict[str, Any]:
    """A change that multiplies a number of the recipe; empty where it is none (a schedule, or unknown)."""
    value = records.setting(key)
    return {key: float(f"{value * factor:.3g}")} if isinstance(value, int | float) else {}


def adam(records: Records) -> tuple[Advice, ...]:
    """Adam for both players, where one has another optimizer."""
    players = ("generator", "discriminator")
    if all(records.setting(f"optimizer.{player}.name") == "adam" for player in players):
        return ()
    settings = (("name", "adam"), ("lr", 0.0002), ("beta1", 0.5))
    changes = {f"optimizer.{player}.{key}": value for player in players for key, value in settings}
    return (
        Advice(
            changes,
            "Adam copes with gradients of very different size, where other optimizers collapse",
            "Kingma, Ba 2014, arXiv:1412.6980; Hoeckler 2021, section 5.1",
        ),
    )


def relativistic(records: Records, reason: str, source: str) -> Advice:
    """The relativistic objective with R1 and R2 (R3GAN), without batch norm in the discriminator."""
    changes = {"objective.name": "relativistic", "penalties": "r1,r2", **no_batch_norm(records)}
    return Advice(changes, reason, source)


def unclipped(records: Records, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes; where they bring a penalty or another objective to a clipped critic, without the clip.

    Clipping is there for the Wasserstein loss without a penalty. Beside a penalty, or under a loss that needs
    large scores, it keeps the critic too flat to follow either.
    """
    clipped = any(key.startswith("constraints.clip") for key in records.recipe)
    objective = changes.get("objective.name")
    other = objective is not None and objective != records.setting("objective.name")
    if not clipped or "constraints" in changes or not (changes.get("penalties") or other):
        return dict(changes)
    return {**changes, "constraints": "none"}


def network(records: Records, name: str) -> dict[str, Any]:
    """A change to another network of the same size."""
    sizes = {key: records.setting(key) for key in ("network.width", "network.hidden")}
    return {"network.name": name, **{key: size for key, size in sizes.items() if size is not None}}


def dense_init(records: Records, kind: str, reason: str, source: str) -> tuple[Advice, ...]:
    """Other initial weights of dense layers, with a spread of their own; nothing for other networks."""
    if "dense" not in str(records.setting("network.name")):
        return ()
    return (Advice({"network.init_linear": kind, "network.init_std": 0.02}, reason, source),)


def no_batch_norm(records: Records) -> dict[str, Any]:
    """A change that takes batch norm out of the discriminator, where it has it: penalties need that."""
    key = "network.discriminator_norm"
    return {key: "none"} if records.setting(key) == "batch" else {}


def rates(records: Records, generator: float, discriminator: float) -> dict[str, Any]:
    """A change that multiplies both learning rates; a schedule is replaced by its first value times that.

    Where a lower rate would still be above 0.1 it is 0.001: no share of an absurd rate is one to learn with.
    """
    found = {}
    for player, factor in (("generator", generator), ("discriminator", discriminator)):
        if factor == 1:
            continue
        value = first_rate(records, player)
        if value is not None:
            share = 1e-3 if factor < 1 and value * factor > 0.1 else value * factor
            found[f"optimizer.{player}.lr"] = float(f"{share:.3g}")
    return found


def first_rate(records: Records, player: str) -> float | None:
    """A player's learning rate, of a schedule the first; None where it is not known."""
    key = f"optimizer.{player}.lr"
    value: float | None = records.setting(key)
    return (records.setting(f"{key}.values") or [None])[0] if value is None else value


def wider_latent(records: Records) -> tuple[Advice, ...]:
    """A longer latent vector, where that of an image is tiny; points have as few directions themselves."""
    size = records.setting("latent.size")
    if not isinstance(size, int) or size >= _FEW_DIRECTIONS or "constant_channels" not in records.facts:
        return ()
    return (
        Advice(
            {"latent.size": 100},
            f"a latent vector of {size} leaves the generator few directions in which samples can differ",
            "Hoeckler 2021, who saw a partial collapse with 2 on MNIST and none from 6 on",
        ),
    )
