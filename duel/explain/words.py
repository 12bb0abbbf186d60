"""One training step of a very small GAN with every number, to be followed with a pencil.

The engine plays the step (`one_step`) and draws the activations (`curves`); the formulas are text around
these numbers (`sections`), which a terminal (`text`) and a page (`page.html`) show alike.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from duel.explain.curves import Comparison, Largest, comparisons
from duel.explain.one_step import (
    DISCRIMINATOR_WEIGHTS,
    GENERATOR_WEIGHTS,
    LATENT,
    RATE,
    REAL,
    SLOPE,
    Played,
    Unit,
    Update,
    play,
)

# ---------------------------------------------------------------- blocks and formulas


class Formulas(NamedTuple):
    """Lines to be followed one by one."""

    lines: list[str]


class Table(NamedTuple):
    """Rows of cells under a head."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


class Picture(NamedTuple):
    """What only the page can show: "networks" or "curves"."""

    name: str


Block = str | Formulas | Table | Picture


class Section(NamedTuple):
    """A title, and paragraphs, formulas, tables and pictures in their order."""

    title: str
    blocks: list[Block]


TITLE = "One training step of a GAN, with every number"


def sections(it: Played, pairs: Sequence[Comparison]) -> list[Section]:
    """Everything there is to say, without its layout."""
    return [
        _setting(),
        _generator_makes(it),
        _discriminator_looks(it),
        _discriminator_learns(it),
        _generator_learns(it),
        _what_changed(it),
        _checks(it),
        _activations(pairs),
    ]


def fixed(x: float, decimals: int = 5) -> str:
    """Five decimals, and a minus sign that is one."""
    shown = f"{x:.{decimals}f}"
    return (shown if float(shown) else shown.lstrip("-")).replace("-", "−")


def number(x: float) -> str:
    """The same without zeros at the end."""
    return fixed(x).rstrip("0").rstrip(".")


def _factor(x: float) -> str:
    """Behind a sign of its own."""
    return f"({number(x)})" if number(x).startswith("−") else number(x)


def _sum(terms: Iterable[tuple[float, ...]]) -> str:
    """0.4·0.25 − 0.6·(−0.03)."""
    products = ["·".join([number(first), *map(_factor, rest)]) for first, *rest in terms]
    return " + ".join(products).replace("+ −", "− ")


def _dual(value: float, slope: float) -> str:
    return f"{number(value)} + {number(slope)}ε".replace("+ −", "− ")


def _subscript(letter: str, count: int) -> tuple[str, ...]:
    return tuple(letter + "₁₂₃₄₅₆₇"[place] for place in range(count))


class Letters(NamedTuple):
    """What a network's numbers are called; slopes as the values, with ′."""

    weights: tuple[str, ...]
    sums: tuple[str, ...]
    values: tuple[str, ...]


G = Letters(_subscript("g", 7), _subscript("s", 3), ("h₁", "h₂", "G"))
D = Letters(_subscript("d", 7), ("r₁", "r₂", "ℓ"), ("k₁", "k₂", "D"))


def edges(letters: Letters, source: str) -> list[tuple[str, str, str]]:
    """For each weight its name, what it multiplies and the sum it belongs to."""
    ends = [(start, end) for end in letters.sums[:2] for start in (source, "1")]
    ends += [(start, letters.sums[2]) for start in (*letters.values[:2], "1")]
    return [(name, *each) for name, each in zip(letters.weights, ends, strict=True)]


def _sum_line(letters: Letters, source: str, place: int, unit: Unit) -> str:
    own = [(name, start) for name, start, end in edges(letters, source) if end == letters.sums[place]]
    symbols = " + ".join(f"{name}·{start}" for name, start in own)
    filled = _sum(zip(unit.weights, unit.inputs, strict=True))
    return f"{letters.sums[place]} = {symbols} = {filled} = {number(unit.sum)}"


def _hidden_lines(letters: Letters, source: str, found: list[Unit]) -> list[str]:
    """Sums and activations of the two hidden units, then the sum of the output."""
    lines = []
    for place, unit in enumerate(found[:2]):
        lines.append(_sum_line(letters, source, place, unit))
        lines.append(_activation_line("LeakyReLU", letters, place, unit))
    return [*lines, _sum_line(letters, source, 2, found[2])]


def _activation_line(function: str, letters: Letters, place: int, unit: Unit) -> str:
    value, given = letters.values[place], letters.sums[place]
    shown = _dual(unit.value, unit.slope)
    return f"{value} + {value}′ε = {function}({given} + ε) = {function}({number(unit.sum)} + ε) = {shown}"


def _generator_lines(found: list[Unit]) -> list[str]:
    return [*_hidden_lines(G, "z", found), _activation_line("tanh", G, 2, found[2])]


def _discriminator_lines(source: str, found: list[Unit], probability: float) -> list[str]:
    filled = f"1/(1 + e^({number(-found[2].value)}))"
    return [
        *_hidden_lines(D, source, found),
        f"D({source}) = sigmoid(ℓ) = 1/(1 + e^(−ℓ)) = {filled} = {number(probability)}",
    ]


# ---------------------------------------------------------------- the sections


def _setting() -> Section:
    one, two = (
        [(name, f"{start} → {end}", number(w)) for (name, start, end), w in zip(found, weights, strict=True)]
        for found, weights in (
            (edges(G, "z"), GENERATOR_WEIGHTS),
            (edges(D, "x"), DISCRIMINATOR_WEIGHTS),
        )
    )
    return Section(
        "The players",
        [
            "The generator G makes a sample out of a random number z. The discriminator D says how "
            "probable it is that a sample is real. Here each has 2-3-1 units, counted as Bensi, Nocchi 2023 "
            "draw their networks: the constant 1, whose weights are the biases, is a unit of the input and "
            "of the hidden layer. That makes 2·2 + 1·3 = 7 weights for each player. Weighted sums are "
            "called s in G, r and ℓ in D; what the hidden units make of them, h in G and k in D.",
            Picture("networks"),
            Table(
                ("G", "from → to", "weight", "D", "from → to", "weight"),
                [(*left, *right) for left, right in zip(one, two, strict=True)],
            ),
            f"The batch is one real sample, x = {number(REAL[0, 0])}, and one latent number, z = "
            f"{number(LATENT[0, 0])}. With N of each, a loss is the mean over the N samples: every delta "
            "carries 1/N, and a weight's gradient is the sum over the samples. The objective is the "
            f"non-saturating one, the optimizer plain gradient descent: w ← w − {number(RATE)}·gradient. "
            "Both players minimise their loss.",
            "A dual number is a + bε with ε² = 0, so (a + bε)(c + dε) = ac + (ad + bc)ε. A function that is "
            "calculated with s + ε gives f(s) + f′(s)ε: the slope comes along with the value. Only the "
            "simplest functions (product, quotient, exp, tanh, …) have theirs in a table, "
            "duel/scratch/rules.py.",
            "Numbers are shown with five decimals and calculated with sixteen digits: a pencil that takes "
            "the shown ones may differ by one in the last place. `duel train gan --engine scratch` plays "
            "the same step, with larger networks, larger batches and Adam.",
        ],
    )


def _generator_makes(it: Played) -> Section:
    tanh = it.made[2]
    return Section(
        "The generator makes a sample",
        [
            f"LeakyReLU(s) is s above zero and {number(SLOPE)}·s below, so its slope is 1 or "
            f"{number(SLOPE)}. The output is tanh(s) = (e^s − e^(−s))/(e^s + e^(−s)), between −1 and 1; its "
            "slope is 1 − tanh²(s). Of each result the number without ε is the value (h₁), the one before ε "
            "the slope (h₁′):",
            Formulas(
                [
                    *_generator_lines(it.made),
                    f"G′ = 1 − tanh²(s₃) = 1 − {number(tanh.value)}² = {number(tanh.slope)}",
                ]
            ),
            f"So G(z) = {number(tanh.value)}.",
        ],
    )


def _discriminator_looks(it: Played) -> Section:
    now = it.moments[0]
    real, fake = number(now.d_real), number(now.d_fake)
    return Section(
        "The discriminator looks at both samples",
        [
            "Its output ℓ is a logit, without an activation; sigmoid(ℓ) is the probability D. The real "
            f"sample, x = {number(REAL[0, 0])}:",
            Formulas(_discriminator_lines("x", it.real, now.d_real)),
            f"The generated one, G(z) = {number(now.fake)}, with the same weights:",
            Formulas(_discriminator_lines("G(z)", it.fake, now.d_fake)),
            "D wants D(x) near 1 and D(G(z)) near 0; G wants D(G(z)) near 1:",
            Formulas(
                [
                    "Loss_D = −ln D(x) − ln(1 − D(G(z))) = "
                    f"−ln({real}) − ln(1 − {fake}) = {number(now.loss_d)}",
                    f"Loss_G = −ln D(G(z)) = −ln({fake}) = {number(now.loss_g)}",
                ]
            ),
        ],
    )


def _discriminator_learns(it: Played) -> Section:
    now, of = it.moments[0], it.of_d
    cells = (_delta_cells(found, deltas) for found, deltas in zip((it.real, it.fake), of.deltas, strict=True))
    names = (" = ".join(pair) for pair in zip(*_delta_names(D), strict=True))
    at_logits = (
        "δ(ℓ)",
        f"D(x) − 1 = {number(now.d_real)} − 1 = {number(of.deltas[0][2])}",
        f"D(G(z)) = {number(of.deltas[1][2])}",
    )
    rows = [at_logits, *zip(names, *cells, strict=True)]
    return Section(
        "The discriminator learns",
        [
            "How does Loss_D change when a logit does? One of them is moved by ε, and the slope stands "
            "before the ε of the loss. With a pencil: the slope of −ln sigmoid(ℓ) is sigmoid(ℓ) − 1, that "
            "of −ln(1 − sigmoid(ℓ)) is sigmoid(ℓ).",
            Formulas(
                [
                    f"Loss_D with ℓ + ε for x: {_dual(of.loss, of.logit_slopes[0])}",
                    f"Loss_D with ℓ + ε for G(z): {_dual(of.loss, of.logit_slopes[1])}",
                ]
            ),
            "The delta δ(s) of a weighted sum s is the slope of the loss with respect to it. At the logit "
            "it is the slope above. Further back it is multiplied by the weight on the way, and by the "
            "slope that the forward pass left at the unit:",
            Table(("", "for x", "for G(z)"), rows),
            "A weight's gradient is the delta of the sum that it belongs to, times the input that it "
            "multiplies, the one for x and the one for G(z) added up:",
            _update_table(D, of, (it.real, it.fake)),
        ],
    )


def _delta_names(letters: Letters) -> tuple[list[str], list[str]]:
    """The hidden units' deltas: their names, and what they are made of."""
    names = [f"δ({each})" for each in letters.sums[:2]]
    end, weights = f"δ({letters.sums[2]})", letters.weights[4:6]
    made = [f"{end}·{w}·{value}′" for w, value in zip(weights, letters.values[:2], strict=True)]
    return names, made


def _delta_cells(found: list[Unit], deltas: list[float]) -> list[str]:
    """The hidden units' deltas, filled in."""
    weights = found[2].weights
    return [
        f"{_sum([(deltas[2], weights[place], found[place].slope)])} = {number(deltas[place])}"
        for place in (0, 1)
    ]


def _delta_lines(letters: Letters, found: list[Unit], deltas: list[float]) -> list[str]:
    names, made = _delta_names(letters)
    parts = zip(names, made, _delta_cells(found, deltas), strict=True)
    return [" = ".join(part) for part in parts]


def _update_table(letters: Letters, of: Update, samples: Sequence[list[Unit]]) -> Table:
    """For each weight its gradient, delta times input, and its update."""
    rows = []
    places = [(unit, place) for unit, each in enumerate(samples[0]) for place in range(len(each.inputs))]
    for name, (unit, place), before, slope, after in zip(
        letters.weights, places, of.before, of.gradient, of.after, strict=True
    ):
        pairs = zip(samples, of.deltas, strict=True)
        terms = [(deltas[unit], found[unit].inputs[place]) for found, deltas in pairs]
        rows.append(
            (
                name,
                f"{_sum(terms)} = {number(slope)}",
                f"{number(before)} − {number(RATE)}·{_factor(slope)} = {number(after)}",
            )
        )
    return Table(("", "gradient = delta·input", f"new weight = old − {number(RATE)}·gradient"), rows)


def _generator_learns(it: Played) -> Section:
    before, now, of = it.moments[0], it.moments[1], it.of_g
    d_fake, slope = number(now.d_fake), of.logit_slopes[0]
    tanh = it.made[2]
    return Section(
        "The generator learns, through the discriminator",
        [
            "The updated discriminator looks at the same G(z) again:",
            Formulas(_discriminator_lines("G(z)", it.again, now.d_fake)),
            f"Its update took D(G(z)) from {number(before.d_fake)} to {d_fake}. The generator's loss now, "
            "and its slope:",
            Formulas(
                [
                    f"Loss_G = −ln D(G(z)) = −ln({d_fake}) = {number(of.loss)}",
                    f"Loss_G with ℓ + ε: {_dual(of.loss, slope)}",
                    f"δ(ℓ) = D(G(z)) − 1 = {d_fake} − 1 = {number(slope)}",
                ]
            ),
            "Back through the discriminator, whose weights now stand still, to its input G(z); through "
            "tanh, by its slope G′ from section 1; and on through the generator:",
            Formulas(
                [
                    *_delta_lines(D, it.again, it.through),
                    "∂Loss_G/∂G(z) = δ(r₁)·d₁ + δ(r₂)·d₃ = "
                    + _sum((it.through[place], it.again[place].weights[0]) for place in (0, 1))
                    + f" = {number(it.at_fake)}",
                    f"δ(s₃) = ∂Loss_G/∂G(z)·G′ = {_sum([(it.at_fake, tanh.slope)])} = "
                    f"{number(of.deltas[0][2])}",
                    *_delta_lines(G, it.made, of.deltas[0]),
                ]
            ),
            "(Bensi, Nocchi 2023 put the value of the loss where ∂Loss_G/∂G(z) belongs. The value says how "
            "well the generator does, not which way is better.) Gradients and updates as before:",
            _update_table(G, of, (it.made,)),
        ],
    )


def _what_changed(it: Played) -> Section:
    names = ("G(z)", "D(x)", "D(G(z))", "Loss_D", "Loss_G")
    rows = [
        (name, *map(fixed, each)) for name, each in zip(names, zip(*it.moments, strict=True), strict=True)
    ]
    _, between, end = it.moments
    return Section(
        "What the step changed",
        [
            "The updated generator makes another sample of the same z:",
            Formulas(_generator_lines(it.made_after)),
            "and the discriminator, updated once, looks at it:",
            Formulas(_discriminator_lines("G(z)", it.fake_after, end.d_fake)),
            Table(("", "before the step", "after D's update", "after G's update"), rows),
            "D's update made Loss_D smaller, and Loss_G larger. G's update took D(G(z)) from "
            f"{number(between.d_fake)} to {number(end.d_fake)}: Loss_G is smaller again, and Loss_D larger. "
            "A training is many such steps.",
        ],
    )


def _checks(it: Played) -> Section:
    return Section(
        "Check: the same gradients in two other ways",
        [
            "Dual numbers alone: one weight w is moved by ε, and its gradient stands before the ε of the "
            "loss. That is exact, too, but takes a pass for each weight, where the way back takes one for "
            "all of them. Central differences: (Loss(w + h) − Loss(w − h))/(2h) with h = 0.000001, an "
            "approximation. The last column is how far it is from backpropagation, relative to the larger "
            "of the two.",
            _check_table(D, it.of_d),
            _check_table(G, it.of_g),
        ],
    )


def _check_table(letters: Letters, of: Update) -> Table:
    rows = []
    for name, *three in zip(letters.weights, of.gradient, of.forward, of.numeric, strict=True):
        error = f"{relative_difference(three[0], three[2]):.0e}".replace("-", "−")
        rows.append((name, *(fixed(each, 9) for each in three), error))
    head = ("", "backpropagation", "dual numbers alone", "central difference", "relative difference")
    return Table(head, rows)


def relative_difference(a: float, b: float) -> float:
    """|a − b| over the larger of |a| and |b|."""
    return abs(a - b) / max(abs(a), abs(b), 1e-300)


def _activations(pairs: Sequence[Comparison]) -> Section:
    return Section(
        "Exact and rational activations",
        [
            "To do without the exponential, Bensi, Nocchi 2023 replace tanh(x) by 2x/(1 + |2x|) and "
            "sigmoid(x) by ½(x/(1 + |x|) + 1), and find them very similar. Values, and slopes from dual "
            "numbers:",
            Picture("curves"),
            *(_curve_table(pair) for pair in pairs),
            "Measured over x = −6 … 6 in steps of 0.001:",
            _measured_table(pairs),
            "The two columns are one comparison: with either pair, sigmoid(x) = ½(tanh(x/2) + 1). What they "
            "mean: a rational activation is twice as steep at 0 and comes near its limits far more slowly, "
            "so the same weights make another network with other gradients, and a black or white pixel "
            "takes a much larger weighted sum.",
            "(The source prints 1/(1 + |2x|) for the rational tanh. That is not odd, as a tanh must be: it "
            "is 1/3 at x = −1 and at x = 1 alike, where tanh is "
            f"{_two(pairs[0].at(x)[0] for x in (-1, 1))}.)",
        ],
    )


def _curve_table(pair: Comparison) -> Table:
    name = pair.name
    head = ("x", name, f"rational {name}", f"slope of {name}", f"slope of rational {name}")
    rows = [[fixed(x, 1), *map(fixed, pair.at(x))] for x in (-6, -2, -1, -0.5, 0, 0.5, 1, 2, 6)]
    return Table(head, rows)


def _measured_table(pairs: Sequence[Comparison]) -> Table:
    rows = [
        ("largest difference of the values", *(_place(pair.values) for pair in pairs)),
        ("largest difference of the slopes", *(_place(pair.slopes) for pair in pairs)),
        ("slopes at 0, exact and rational", *(_two(pair.at(0)[2:]) for pair in pairs)),
        ("short of 1 at x = 6, exact and rational", *(_two(_short(pair)) for pair in pairs)),
    ]
    return Table(("", *(pair.name for pair in pairs)), rows)


def _place(found: Largest) -> str:
    where = "0" if found.place == 0 else f"±{number(found.place)}"
    return f"{number(found.difference)} at x = {where}"


def _two(numbers: Iterable[float]) -> str:
    return " and ".join(map(number, numbers))


def _short(pair: Comparison) -> list[float]:
    """How far from 1 both values are at the right end."""
    return [1 - value for value in pair.at(6)[:2]]


# ---------------------------------------------------------------- for a terminal

_WIDTH = 100
_IN_FORMULA = re.compile(" ([=←+−]) ")  # no new line begins there
_NUMBER = re.compile(r"−?[\d.]+(e−?\d+)?")


def text() -> str:
    """The whole page for a terminal of 100 columns; pictures are left out."""
    parts = [f"{TITLE}\n{'=' * len(TITLE)}"]
    for place, section in enumerate(sections(play(), comparisons())):
        title = f"{place}. {section.title}"
        parts.append(f"{title}\n{'-' * len(title)}")
        parts += [_block(block) for block in section.blocks if not isinstance(block, Picture)]
    return "\n\n".join(parts)


def _block(block: Block) -> str:
    if isinstance(block, Formulas):
        return "\n".join(f"  {line}" for line in block.lines)
    if isinstance(block, Table):
        return _aligned(block)
    return textwrap.fill(_IN_FORMULA.sub("\xa0\\1\xa0", str(block)), _WIDTH).replace("\xa0", " ")


def _aligned(table: Table) -> str:
    """Columns of numbers to the right, others to the left."""
    columns = []
    for cells, is_numeric in zip(zip(table.head, *table.rows, strict=True), numeric(table), strict=True):
        width = max(map(len, cells))
        columns.append([cell.rjust(width) if is_numeric else cell.ljust(width) for cell in cells])
    return "\n".join(("  " + "  ".join(row)).rstrip() for row in zip(*columns, strict=True))


def numeric(table: Table) -> list[bool]:
    """Of each column, whether it holds nothing but numbers."""
    return [all(map(_NUMBER.fullmatch, column)) for column in zip(*table.rows, strict=True)]
