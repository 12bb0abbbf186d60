from __future__ import annotations

from duel.diagnoses._base import Advice, Diagnosis, Finding, Records, confidence, evidence, lasting
from duel.options import options


@options
class LabelIgnored(Diagnosis):
    """A conditional generator whose samples do not follow the label.

    effect    how far a sample moves when another label is asked for (1: as two real samples are apart), below
              which the label does nothing
    accuracy  how many times chance the asked class must be recognised
    trust     how many times chance the same must be among held-out samples, to be asked at all
    looks     so many looks in a row must agree
    """

    effect: float = 0.1
    accuracy: float = 2.0
    trust: float = 3.0
    looks: int = 5

    def find(self, records: Records) -> Finding | None:
        still = lasting(records.signal("label_effect"), lambda value: value < self.effect, self.looks)
        found = [evidence("label_effect", still, self.effect)] if still else []
        chance = 1 / max(1, len(records.facts.get("class_counts", ())))
        shuffled = bool(records.conditional) and self._untrustworthy(records, chance)
        if not found and not shuffled:
            wrong = lasting(
                records.signal("label_accuracy"), lambda value: value < self.accuracy * chance, self.looks
            )
            if wrong:
                found.append(evidence("label_accuracy", wrong, round(self.accuracy * chance, 3)))
        elif not found:
            weak = lasting(records.signal("label_effect"), lambda value: value < 3 * self.effect, self.looks)
            if weak:
                found.append(evidence("label_effect", weak, 3 * self.effect))
        if not found:
            return None
        labels = (
            " Among the real samples, too, neighbours do not share a label: look whether the labels belong "
            "to them."
            if shuffled
            else ""
        )
        return Finding(
            severity="severe",
            confidence=confidence(float(found[0].value), float(found[0].threshold)),
            evidence=tuple(found),
            explanation=(
                "Asking for another class does not change what is drawn. Either the label hardly reaches "
                f"the networks, or it says nothing about the images.{labels}"
            ),
            advice=(
                Advice(
                    {"network.condition": "projection"},
                    "labels that act in every layer and in the discriminator's last",
                    "Miyato, Koyama 2018, arXiv:1802.05637",
                ),
                Advice(
                    {"game.name": "classes", "game.form": "auxiliary"},
                    "a discriminator that must also name the class asks for it",
                    "Odena et al. 2017, arXiv:1610.09585",
                ),
                Advice({}, "look at the labels: `duel data inspect` shows a sample of each class", None),
            ),
        )

    def _untrustworthy(self, records: Records, chance: float) -> bool:
        known = records.held_out("label_accuracy")
        return known is not None and known < self.trust * chance
