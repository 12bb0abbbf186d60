from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

from duel.diagnoses._base import (
    LOOKS,
    Advice,
    Diagnosis,
    Evidence,
    Finding,
    Records,
    confidence,
    last_looks,
    rates,
)
from duel.options import options


@options
class ClassCollapse(Diagnosis):
    """Some classes are one image, or are missing, while others are fine.

    Classes are those that were asked for; without labels in the generator, those of the nearest training
    sample, which is trusted only where it finds the class of held-out samples.

    diversity  within a class, over the same of the data, below which the class is one image
    others     median diversity of all classes, from which on the others are fine
    missing    share of a class in the samples over its share in the data, below which it is missing
    trust      how often the nearest training sample has a held-out sample's class
    precision  of the samples, below which one cannot say what class they are of
    """

    diversity: float = 0.15
    others: float = 0.4
    missing: float = 0.05
    trust: float = 0.7
    precision: float = 0.3

    def find(self, records: Records) -> Finding | None:
        steps, looks = last_looks(records)
        if not looks:
            return None
        poor = self._poor([values.get("class_diversity") for values in looks])
        gone = self._missing(records)
        found = []
        if poor:
            of_last = looks[-1]["class_diversity"]
            found.append(
                Evidence(f"class_diversity of {_names(poor)}", of_last[poor[0]], self.diversity, steps)
            )
        if gone:
            found.append(Evidence(f"class_shares of {_names(gone)}", 0.0, self.missing, steps))
        if not found:
            return None
        said = _what_is_wrong(sorted({*poor, *gone}), self._classes(records, looks[-1]))
        return Finding(
            severity="warning",
            confidence=confidence(float(found[0].value), float(found[0].threshold)),
            evidence=tuple(found),
            explanation=(
                f"{said}. The generator gets away with it as long as the discriminator does not compare "
                "within a class."
            ),
            advice=(
                _labels_everywhere() if records.conditional else _labels(),
                Advice(rates(records, 0.5, 1.0), "a slower generator", None),
            ),
        )

    def _classes(self, records: Records, values: Mapping[str, Any]) -> int:
        """How many classes there are."""
        tables = [values.get(name) for name in ("class_diversity", "class_shares")]
        return max(len(table or ()) for table in (*tables, records.facts.get("class_counts")))

    def _poor(self, tables: list[list[float | None] | None]) -> list[int]:
        """The classes without diversity at every look, where the others have some."""
        if any(table is None for table in tables):
            return []
        whole = [table for table in tables if table is not None]
        if any(median([value or 0.0 for value in table]) < self.others for table in whole):
            return []
        return [
            label
            for label in range(min(map(len, whole)))
            if all((value := table[label]) is not None and value < self.diversity for table in whole)
        ]

    def _missing(self, records: Records) -> list[int]:
        """The classes that no look has drawn lately, where the nearest sample can be trusted."""
        counts = records.facts.get("class_counts")
        good = [value >= self.precision for _, value in records.signal("precision")[-LOOKS:]]
        if not counts or not all(good) or records.conditional:
            return []
        if (records.held_out("label_accuracy") or 0.0) < self.trust:
            return []
        shares = [dict(enumerate(table)) for _, table in records.table("class_shares")[-LOOKS:]]
        whole = sum(counts)
        if not shares:
            return []
        return [
            label
            for label, count in enumerate(counts)
            if count * 20 > whole
            and all(share.get(label, 1.0) < self.missing * count / whole for share in shares)
        ]


def _labels_everywhere() -> Advice:
    return Advice(
        {"network.condition": "projection"},
        "labels that act in every layer leave room for variety within a class",
        "Miyato, Koyama 2018, arXiv:1802.05637",
    )


def _labels() -> Advice:
    return Advice(
        {"game.name": "conditional"},
        "asking for every class in every batch keeps each of them in the game",
        "Mirza, Osindero 2014, arXiv:1411.1784",
    )


def _what_is_wrong(bad: list[int], classes: int) -> str:
    """What is said of these classes, of so many."""
    if len(bad) == classes:
        return "Every class is always the same image or missing"
    which = f"Class {_names(bad)} is" if len(bad) == 1 else f"Classes {_names(bad)} are"
    return f"{which} always the same image or missing, while other classes vary"


def _names(labels: list[int]) -> str:
    return ", ".join(str(label) for label in labels)
