from __future__ import annotations

from duel.diagnoses._base import (
    LOOKS,
    Advice,
    Diagnosis,
    Evidence,
    Finding,
    Records,
    confidence,
    dense_init,
    last_looks,
    of_player,
)
from duel.options import options


@options
class VanishingLayers(Diagnosis):
    """The first layers of a network get hardly any gradient.

    Compared are gradients relative to their weights, of a player's first layer and of its largest.

    share  of the largest, below which the first layer stands still
    """

    share: float = 1e-4

    def find(self, records: Records) -> Finding | None:
        steps, looks = last_looks(records)
        if not looks:
            return None
        shares: dict[str, list[float]] = {}
        for values in looks:
            layers = values.get("layer_gradient") or {}
            for player in ("generator", "discriminator", "encoder"):
                mine = of_player(layers, player)
                if len(mine) > 1 and max(mine) > 0:
                    shares.setdefault(player, []).append(mine[0] / max(mine))
        found = [
            Evidence(
                f"gradient of the {player}'s first layer over its largest",
                float(f"{max(mine):.3g}"),
                self.share,
                steps,
            )
            for player, mine in shares.items()
            if len(mine) == LOOKS and max(mine) < self.share
        ]
        if not found:
            return None
        return Finding(
            severity="warning",
            confidence=confidence(float(found[0].value), self.share),
            evidence=tuple(found),
            explanation=(
                "The gradient fades on its way back through the layers, so the first ones do not learn. "
                "Saturating activations or too small initial weights shrink it in every layer."
            ),
            advice=(
                Advice(
                    {"network.activation": "leaky-relu"},
                    "an activation that does not saturate",
                    "Glorot et al. 2011",
                ),
                Advice(
                    {"network.generator_norm": "batch"},
                    "batch norm keeps each layer's spread",
                    "Ioffe, Szegedy 2015, arXiv:1502.03167",
                ),
                *dense_init(
                    records,
                    "orthogonal",
                    "initial weights that pass gradients on",
                    "Saxe et al. 2014, arXiv:1312.6120",
                ),
            ),
        )
