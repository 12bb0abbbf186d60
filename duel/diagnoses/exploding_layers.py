from __future__ import annotations

from duel.diagnoses._base import (
    Advice,
    Diagnosis,
    Evidence,
    Finding,
    Records,
    confidence,
    dense_init,
    last_looks,
    rates,
)
from duel.options import options


@options
class ExplodingLayers(Diagnosis):
    """Gradients grow from layer to layer, or whole layers are dead or saturated.

    Glorot, Bengio 2010; He et al. 2015 (arXiv:1502.01852).

    gradient  norm of a player's gradient, from which on it explodes
    dead      share of a layer's units whose output never changes
    """

    gradient: float = 500.0
    dead: float = 0.6

    def find(self, records: Records) -> Finding | None:
        steps, looks = last_looks(records)
        if not looks:
            return None
        found = []
        for name in ("gradient_g", "gradient_d"):
            norms = [values.get(name) or 0.0 for values in looks]
            if min(norms) > self.gradient:
                found.append(Evidence(name, min(norms), self.gradient, steps))
        for layer in looks[-1].get("dead") or {}:
            shares = [(values.get("dead") or {}).get(layer) or 0.0 for values in looks]
            if min(shares) > self.dead:
                found.append(Evidence(f"dead units of {layer}", min(shares), self.dead, steps))
        if not found:
            return None
        return Finding(
            severity="severe",
            confidence=confidence(float(found[0].value), float(found[0].threshold)),
            evidence=tuple(found),
            explanation=(
                "Gradients are so large, or so many units give always the same output, that the layers "
                "below learn nothing sensible. Initial weights or steps were too large for this depth."
            ),
            advice=(
                *dense_init(
                    records, "glorot", "initial weights that keep each layer's spread", "Glorot, Bengio 2010"
                ),
                Advice(rates(records, 0.1, 0.1), "smaller steps", None),
                Advice(
                    {"network.discriminator_norm": "spectral"},
                    "a norm that bounds each layer",
                    "Miyato et al. 2018, arXiv:1802.05957",
                ),
            ),
        )
