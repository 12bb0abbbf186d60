"""The networks as they are exported: modules with named inputs and outputs, and inputs to try them with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from duel.export.about import interface_of

if TYPE_CHECKING:
    from torch.nn import Module

    from duel.run import Run


@dataclass(frozen=True)
class Port:
    """One network.

    inputs   a trial for a batch of n, by name and in order: latent (n×L, float32), label (int64 n), image
             (n×C×H×W) or points (n×2) in [−1, 1]
    outputs  their names in order: image or points; latent; logit and, where there are any, class_logits
    """

    module: Module
    inputs: Callable[[int], dict[str, np.ndarray]]
    outputs: tuple[str, ...]


def port(run: Run, modules: dict[str, Module], generator: Module, name: str) -> Port:
    """How the network `name` of a run is exported. Samples to try it with are the generator's own."""
    from duel import sampling
    from duel.export.judge import Judge

    interface = interface_of(run)
    kind = "image" if interface.spec.kind == "image" else "points"

    def inputs(n: int) -> dict[str, np.ndarray]:
        classes = max(interface.generator_classes, interface.discriminator_classes)
        latent = run.latent(n)
        label = np.linspace(0, max(0, classes - 1), n).round().astype(np.int64)
        if name == "generator":
            return {"latent": latent} | ({"label": label} if interface.generator_classes else {})
        made = sampling.generate(generator, latent, label if interface.generator_classes else None)
        if name == "encoder":
            return {kind: made}
        pair = {"latent": latent} if interface.encoder else {}
        return {kind: made} | pair | ({"label": label} if interface.discriminator_classes else {})

    if name == "discriminator":
        judged = ("logit", "class_logits") if interface.outputs > 1 else ("logit",)
        return Port(Judge(modules[name], run.recipe.game).eval(), inputs, judged)
    return Port(modules[name], inputs, (kind,) if name == "generator" else ("latent",))
