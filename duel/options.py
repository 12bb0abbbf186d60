"""What the options of a variant are: the fields of one frozen dataclass, checked by pydantic.

Unknown fields are errors and types are strict ("64" is no integer, true is no number), so that a
misspelt or mistyped option is refused instead of ignored.
"""

from __future__ import annotations

from typing import TypeVar, dataclass_transform

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

_T = TypeVar("_T")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def options(cls: type[_T]) -> type[_T]:
    """Class decorator: a frozen, keyword-only, strictly checked dataclass."""
    config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True, allow_inf_nan=False)
    decorated: type[_T] = dataclass(frozen=True, kw_only=True, config=config)(cls)  # type: ignore[assignment]
    return decorated
