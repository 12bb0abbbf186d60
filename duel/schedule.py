"""A number that changes while training: the schedule of a noise level, a learning rate, a weight."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass, replace
from typing import Any, Literal, TypeVar

from duel.options import options

_T = TypeVar("_T")


@options
class Schedule:
    """Values at given steps, and how one becomes the next between them.

    values  the numbers, at least two
    at      the step of each, ascending; before the first and after the last the number stays
    shape   between two of them: "step" keeps the earlier one until the later's step, "linear", "cosine"
            (half a wave, flat at both ends), or "exponential" (a straight line on a logarithmic scale)

    Steps are counted from the start of the run, so that a run that is trained longer keeps its past.
    """

    values: tuple[float, ...]
    at: tuple[int, ...]
    shape: Literal["step", "linear", "cosine", "exponential"] = "linear"

    def __post_init__(self) -> None:
        if len(self.values) < 2 or len(self.values) != len(self.at):
            raise ValueError(
                f"a schedule has {len(self.values)} values at {len(self.at)} steps: give two or more values "
                "and as many steps"
            )
        if self.at[0] < 0 or any(one >= other for one, other in zip(self.at, self.at[1:], strict=False)):
            raise ValueError(f"at is {list(self.at)}, allowed are ascending steps, none below 0")
        if self.shape == "exponential" and min(self.values) <= 0:
            raise ValueError(f'values are {list(self.values)}: the shape "exponential" needs positive ones')

    def __str__(self) -> str:
        return f'{{values = {list(self.values)}, at = {list(self.at)}, shape = "{self.shape}"}}'

    def value(self, step: int) -> float:
        """The number at a step (how many steps are done)."""
        if step <= self.at[0]:
            return self.values[0]
        for number in range(1, len(self.at)):
            if step < self.at[number]:
                start, end = self.at[number - 1], self.at[number]
                return self._between(
                    self.values[number - 1], self.values[number], (step - start) / (end - start)
                )
        return self.values[-1]

    def total(self, step: int) -> float:
        """The sum of the values at the steps before this one, for the shape "step"."""
        ends = (*self.at[1:], step)
        starts = (0, *self.at[1:])
        spans = [max(0, min(step, end) - start) for start, end in zip(starts, ends, strict=True)]
        return sum(value * span for value, span in zip(self.values, spans, strict=True))

    def _between(self, one: float, other: float, share: float) -> float:
        if self.shape == "step":
            return one
        if self.shape == "exponential":
            return math.exp(math.log(one) + share * (math.log(other) - math.log(one)))
        if self.shape == "cosine":
            share = (1 - math.cos(math.pi * share)) / 2
        return one + share * (other - one)


def values_of(number: float | Schedule) -> tuple[float, ...]:
    """Every value that a number takes, for range checks."""
    return number.values if isinstance(number, Schedule) else (number,)


def is_scheduled(value: object) -> bool:
    """Whether an options object holds a schedule, at any depth."""
    if isinstance(value, Schedule):
        return True
    if isinstance(value, tuple):
        return any(is_scheduled(item) for item in value)
    if is_dataclass(value):
        return any(is_scheduled(getattr(value, field.name)) for field in fields(value))
    return False


def at(value: _T, step: int) -> _T:
    """The options object with each of its schedules replaced by the number it has at this step."""
    found: Any = value
    if isinstance(value, Schedule):
        found = value.value(step)
        if value.shape == "step" and found == int(found):
            found = int(found)  # a count, such as n_critic
    elif isinstance(value, tuple):
        found = tuple(at(item, step) for item in value)
    elif is_dataclass(value) and not isinstance(value, type) and is_scheduled(value):
        parts = {field.name: getattr(value, field.name) for field in fields(value)}
        found = replace(value, **{name: at(part, step) for name, part in parts.items() if is_scheduled(part)})
    return found  # type: ignore[no-any-return]
