from __future__ import annotations

from statistics import median

from duel.diagnoses._base import (
    Advice,
    Diagnosis,
    Finding,
    Records,
    Series,
    confidence,
    evidence,
    lasting,
    of_player,
    rates,
)
from duel.options import options


@options
class LearningRateTooHigh(Diagnosis):
    """Each step changes a large part of the weights.

    A thousandth of a weight matrix per step is usual. A network whose units have died of it changes no more;
    then the looks before count.

    update  size of a step's change of a weight matrix over the matrix, median over the matrices of a player
    dead    share of a layer's units with a constant output, from which on the layer has died
    """

    update: float = 0.025
    dead: float = 0.6

    def find(self, records: Records) -> Finding | None:
        found = []
        fast = {}
        for player in ("generator", "discriminator"):
            series = []
            for step, table in records.table("update_ratio"):
                mine = of_player(table, player)
                if mine:
                    series.append((step, median(mine)))
            high = lasting(series, lambda value: value > self.update) or self._before_death(records, series)
            if high:
                found.append(evidence(f"update_ratio of the {player}", high, self.update))
                fast[player] = high[-1][1]
        if not found:
            return None
        factors = [0.1 if player in fast else 1.0 for player in ("generator", "discriminator")]
        return Finding(
            severity="warning",
            confidence=confidence(max(fast.values()), self.update),
            evidence=tuple(found),
            explanation=(
                "Every step rewrites a good part of the weights, so what one step has learnt the next "
                "destroys. The learning rate is too high for this network."
            ),
            advice=(
                Advice(rates(records, *factors), "a tenth of the rate", None),
                Advice(rates(records, *(factor**2 for factor in factors)), "a hundredth of the rate", None),
            ),
        )

    def _before_death(self, records: Records, series: Series) -> Series:
        """The looks with large updates, where a layer has died since."""
        shares = [max(table.values(), default=0.0) for _, table in records.table("dead")[-1:]]
        early = [(step, value) for step, value in series if value > self.update]
        return early if shares and shares[0] > self.dead else []
