"""What a model's files say, as typed values: what is read from strangers has these shapes, or is refused.

Fields that are not named here are neither published nor taken over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from duel.datasets._base import Spec

_Text = Annotated[str, Field(max_length=2000)]
_Count = Annotated[int, Field(ge=0, le=2**53)]
_Side = Annotated[int, Field(ge=1, le=1 << 16)]


class _Described(BaseModel):
    """Strict types; other fields are passed over."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False, frozen=True)


class Machine(_Described):
    """Where it was trained: the kind of system, the processor, its cores."""

    system: _Text | None = None
    processor: _Text | None = None
    cores: _Count | None = None


class Origin(_Described):
    """How it was trained.

    steps    that were planned; `Config.checkpoint` says after how many these weights were taken
    looks    into the training, which diagnosis judged by
    splits   samples of each split
    skipped  files of the data that could not be used; their names stay at home
    """

    started: _Text | None = None
    seed: int | None = None
    device: _Text | None = None
    threads: _Count | None = None
    processes: _Count = 1
    steps: _Count | None = None
    looks: _Count = 0
    versions: dict[_Text, _Text] = {}
    machine: Machine = Machine()
    splits: dict[_Text, _Count] = {}
    notes: list[_Text] = []
    skipped: _Count = 0


class Config(_Described):
    """config.json: what the generator takes and gives (`duel.export.about.facts`), and its origin."""

    format: Literal[1]
    recipe: _Text
    checkpoint: _Count
    weights: Literal["ema", "raw"]
    kind: Literal["image", "points"]
    shape: Annotated[list[_Side], Field(min_length=1, max_length=3)]
    scale: Annotated[float, Field(gt=0)]
    classes: Annotated[list[_Text], Field(max_length=100_000)]
    class_counts: list[_Count]
    conditional: bool
    data: _Text
    data_fingerprint: _Text
    provenance: Origin

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if len(self.shape) != (3 if self.kind == "image" else 1):
            raise ValueError(f"shape is {self.shape}, which does not go with kind {self.kind!r}")
        if self.class_counts and (len(self.class_counts) != len(self.classes) or not sum(self.class_counts)):
            raise ValueError("class_counts are not one number for each class, one of them above 0")
        return self

    @property
    def spec(self) -> Spec:
        """What the samples are."""
        return Spec(self.kind, tuple(self.shape), tuple(self.classes), self.scale)


class Value(_Described):
    """A metric with its interval, as evaluations have it; infinite or no number where that came out."""

    model_config = ConfigDict(allow_inf_nan=True)

    value: float
    low: float
    high: float
    better: Literal["lower", "higher"]
    n_real: _Count
    n_fake: _Count
    notes: list[_Text] = []
    floor: float | None = None
    baselines: dict[_Text, float] = {}


class _Splits(_Described):
    real: _Text
    classifier: _Text | None = None


class _Data(_Described):
    name: _Text
    fingerprint: _Text
    notes: list[_Text] = []


class _Features(_Described):
    name: _Text
    hash: _Text | None = None
    accuracy: float | None = None
    notes: list[_Text] = []


class _Provenance(_Described):
    seed: int
    checkpoint: _Count
    weights: Literal["ema", "raw"]
    splits: _Splits
    n_real: _Count
    n_fake: _Count
    data: _Data
    features: _Features
    versions: dict[_Text, _Text] = {}
    confidence: Annotated[float, Field(gt=0, lt=1)]


class Evaluation(_Described):
    """A line of metrics.jsonl."""

    step: _Count
    metrics: dict[_Text, Value]
    provenance: _Provenance


def evaluation(line: Mapping[str, Any]) -> Evaluation | None:
    """A line of metrics.jsonl; None for one that is of another shape, or holds numbers that are none."""
    try:
        return Evaluation.model_validate(line)
    except ValidationError:
        return None


def first_problem(error: ValidationError) -> str:
    """The first thing that is wrong, in one line: "shape: Input should be …"."""
    found = error.errors()[0]
    place = ".".join(str(part) for part in found["loc"])[:100]
    return f"{place}: {found['msg']}" if place else str(found["msg"])
