"""Which of a run's networks an export holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from duel.errors import InputError, one_of

if TYPE_CHECKING:
    from torch.nn import Module

    from duel.networks._base import Networks
    from duel.run import Run

_OTHERS = ("encoder", "discriminator")


def chosen(run: Run, networks: Networks, also: Sequence[str]) -> dict[str, Module]:
    """The generator and what `also` names, in a fixed order.

    InputError for a name that is none, RunError for the encoder of a run without one.
    """
    for name in also:
        if name not in _OTHERS:
            raise InputError(f"--with was given {name!r}: {one_of(_OTHERS, name)}")
    if "encoder" in also:
        run.need_encoder(networks)
    return {name: module for name, module in networks.named().items() if name == "generator" or name in also}
