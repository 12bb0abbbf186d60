from __future__ import annotations

from statistics import median

from duel.diagnoses._base import (
    Advice,
    Diagnosis,
    Evidence,
    Finding,
    Records,
    Series,
    confidence,
    evidence,
    first_rate,
    lasting,
    of_player,
    rates,
)
from duel.options import options

_REWRITES = (
    "Every step rewrites a good part of the weights, so what one step has learnt the next destroys. The "
    "learning rate is too high for this network."
)
_REWRITTEN = (
    "Steps of this size replace the initial weights within a few steps, and the samples are nothing like the "
    "data since. The learning rate is too high for any network here."
)
_NORMALISED = ("adam", "adamw", "rmsprop")
_FAR = 0.1  # of the precision of held-out samples


@options
class LearningRateTooHigh(Diagnosis):
    """Each step changes a large part of the weights.

    A thousandth of a weight matrix per step is usual. A network whose units have died of it changes no more;
    then the looks before count. It may all have happened before the first look: then the weights are so large
    that no step changes them much, and what is left is the rate itself, of an optimizer whose steps are as
    large as its rate, and samples that are nothing like the data.

    update  size of a step's change of a weight matrix over the matrix, median over the matrices of a player
    dead    share of a layer's units with a constant output, from which on the layer has died
    rate    of Adam and its kind, from which on a few steps make any initial weights meaningless
    """

    update: float = 0.025
    dead: float = 0.6
    rate: float = 0.05

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
        words = _REWRITES
        if not found:
            (found, fast), words = self._from_the_start(records), _REWRITTEN
        if not found:
            return None
        factors = [0.1 if player in fast else 1.0 for player in ("generator", "discriminator")]
        return Finding(
            severity="warning",
            confidence=confidence(float(found[0].value), float(found[0].threshold)),
            evidence=tuple(found),
            explanation=words,
            advice=(
                Advice(rates(records, *factors), "a tenth of the rate, or a usual one", None),
                Advice(rates(records, *(factor**2 for factor in factors)), "a hundredth of the rate", None),
            ),
        )

    def _before_death(self, records: Records, series: Series) -> Series:
        """The looks with large updates, where a layer has died since."""
        shares = [
            max((share for share in table.values() if share is not None), default=0.0)
            for _, table in records.table("dead")[-1:]
        ]
        early = [(step, value) for step, value in series if value > self.update]
        return early if shares and shares[0] > self.dead else []

    def _from_the_start(self, records: Records) -> tuple[list[Evidence], dict[str, float]]:
        """The rates that are too high by themselves, where the samples are nothing like the data."""
        right = records.held_out("precision")
        far = lasting(records.signal("precision"), lambda value: value < _FAR * (right or 0.0))
        if not far:
            return [], {}
        fast = {}
        for player in ("generator", "discriminator"):
            rate = first_rate(records, player) or 0.0
            if rate > self.rate and records.setting(f"optimizer.{player}.name") in _NORMALISED:
                fast[player] = rate
        steps = tuple(step for step, _ in far)
        return [
            Evidence(f"optimizer.{player}.lr", rate, self.rate, steps) for player, rate in fast.items()
        ], fast
