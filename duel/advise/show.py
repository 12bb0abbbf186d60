"""Advice as text for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from duel.compare import number
from duel.display import duration, many, printable, size


def text(found: Mapping[str, Any]) -> str:
    """What `duel advise` prints: the data, the recipe, what to expect, and why."""
    recipe = found["recipe"]
    sets = " ".join(f"{key}={_value(value)}" for key, value in recipe["set"].items())
    cost = found["cost"]
    lines = [
        _data(found["data"]),
        _machine(found["machine"]),
        f"start with {recipe['name']}{' and ' if sets else ''}{sets}",
        *map(_expected, found["expected"]),
        f"cost here: {many(cost['steps'], 'step')}, about {duration(cost['seconds'])}, "
        f"{size(cost['memory_bytes'])} of memory, {size(cost['disk_bytes'])} of disk",
        *map(_watched, found["watch"]),
        *(f"why: {reason}" for reason in found["reasons"]),
        *(f"warning: {each['message']}" for each in found["warnings"]),
        f"next: {found['command']}",
    ]
    return printable("\n".join(lines))


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _data(data: Mapping[str, Any]) -> str:
    if data["kind"] == "points":
        return f"{data['name']}: {many(data['count'], 'training point')} in the plane"
    low, middle, high = data["sides"]
    sides = f"{middle} pixels a side" if low == high else f"{low} to {high} pixels a side (median {middle})"
    colour = "colour" if data["channels"] == 3 else "grey"
    labels = f"{len(data['classes'])} classes" if data["classes"] else "no labels"
    looked = many(data["looked_at"], "image" if data["files"] is None else "file")
    features = ", ".join(f"{key} {value:.2f}" for key, value in data["features"].items())
    about = "about " if data["files"] is not None else ""
    return (
        f"{data['name']}: {about}{many(data['count'], 'training image')}, {colour}, {sides}, {labels}\n"
        f"features ({looked} looked at): {features}"
    )


def _machine(machine: Mapping[str, Any]) -> str:
    cuda = machine["cuda"] or "no CUDA device"
    return (
        f"this machine: {many(machine['cores'], 'core')}, {size(machine['memory_bytes'])} of memory, {cuda}"
    )


def _expected(each: Mapping[str, Any]) -> str:
    ends = "" if each["low"] is None else f" (95 % interval {number(each['low'])} to {number(each['high'])})"
    lost = f", {each['diverged']} diverged" if each["diverged"] else ""
    side = f" at {each['side']}×{each['side']}" if each["side"] else ""
    return (
        f"expect {each['metric']} of the order of {number(each['value'])}{ends}: on {each['data']}{side} "
        f"after {each['steps']:,} steps, {many(each['seeds'], 'seed')}{lost}, study {each['study']}"
    )


def _watched(each: Mapping[str, Any]) -> str:
    advice = "; ".join(_advice(one) for one in each["advice"][:1])
    return (
        f"watch for {each['finding']} ({each['severity']}, in {each['runs']} of {each['of']} runs of "
        f"the evidence, on other data), such as: {each['explanation']}{' Then: ' if advice else ''}{advice}"
    )


def _advice(one: Mapping[str, Any]) -> str:
    sets = " ".join(f"{key}={_value(value)}" for key, value in one["set"].items())
    return f"{sets}{': ' if sets else ''}{one['reason']}"
