"""The explained step: its numbers are right, its formulas hold with a pencil, both of its layouts agree."""

import math
import os
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from tiny import command, resolved
from torch.nn import functional

from duel.batches import Batches
from duel.explain import curves, one_step, page
from duel.explain import words as explain
from duel.explain.one_step import DISCRIMINATOR, GENERATOR, LATENT, REAL
from duel.scratch import train
from duel.scratch.gradients import DiscriminatorLoss

PLAYED = one_step.play()
SECTIONS = explain.sections(PLAYED, curves.comparisons())
TEXT = explain.text()
HTML = page.html()
LAST_PLACE = 1.001e-5  # the fifth decimal, which a pencil may miss by one


@pytest.fixture
def duel(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: command(capsys, monkeypatch, *arguments)


# ---------------------------------------------------------------- the numbers


def torch_units(w, x):
    """Sums, hidden activations and output sum of a 2-3-1 network for one number x, from its seven weights."""
    sums = torch.stack([w[0] * x + w[1], w[2] * x + w[3]])
    hidden = functional.leaky_relu(sums, 0.2)
    return sums, hidden, w[4] * hidden[0] + w[5] * hidden[1] + w[6]


def leaf(values):
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def test_gradients_and_updates_are_those_of_autograd():
    x, z = torch.tensor(REAL[0, 0]), torch.tensor(LATENT[0, 0])
    g, d = leaf(one_step.GENERATOR_WEIGHTS), leaf(one_step.DISCRIMINATOR_WEIGHTS)
    fake = torch.tanh(torch_units(g, z)[2])
    loss_d = -functional.logsigmoid(torch_units(d, x)[2]) - functional.logsigmoid(
        -torch_units(d, fake.detach())[2]
    )
    (slope_d,) = torch.autograd.grad(loss_d, d)
    new_d = (d - 0.1 * slope_d).detach()
    logit = torch_units(new_d, fake)[2]
    loss_g = -functional.logsigmoid(logit)
    slope_g, at_fake, at_logit = torch.autograd.grad(loss_g, (g, fake, logit))
    for found, expected in (
        (PLAYED.of_d.loss, loss_d),
        (PLAYED.of_d.gradient, slope_d),
        (PLAYED.of_d.forward, slope_d),
        (PLAYED.of_d.after, new_d),
        (PLAYED.of_g.loss, loss_g),
        (PLAYED.of_g.gradient, slope_g),
        (PLAYED.of_g.forward, slope_g),
        (PLAYED.of_g.after, g - 0.1 * slope_g),
        (PLAYED.at_fake, at_fake),
        (PLAYED.of_g.logit_slopes[0], at_logit),
    ):
        assert np.allclose(found, expected.detach().numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("place", [0, 1])
def test_deltas_are_the_slopes_at_the_weighted_sums(place):
    source = (REAL[0, 0], PLAYED.moments[0].fake)[place]
    shifts = leaf([0.0, 0.0, 0.0])
    w = torch.tensor(one_step.DISCRIMINATOR_WEIGHTS, dtype=torch.float64)
    sums = torch.stack([w[0] * source + w[1], w[2] * source + w[3]]) + shifts[:2]
    hidden = functional.leaky_relu(sums, 0.2)
    logit = w[4] * hidden[0] + w[5] * hidden[1] + w[6] + shifts[2]
    loss = -functional.logsigmoid(logit if place == 0 else -logit)
    (expected,) = torch.autograd.grad(loss, shifts)
    assert np.allclose(PLAYED.of_d.deltas[place], expected.numpy(), rtol=1e-12)


@pytest.mark.parametrize("name", ["made", "real", "fake", "again", "made_after", "fake_after"])
def test_units_are_those_of_torch(name):
    found = getattr(PLAYED, name)
    weights = torch.tensor([w for unit in found for w in unit.weights], dtype=torch.float64)
    sums, hidden, last = torch_units(weights, torch.tensor(found[0].inputs[0]))
    assert np.allclose([unit.sum for unit in found], [*sums, last], rtol=1e-13)
    output = torch.tanh(last) if name.startswith("made") else last
    assert np.allclose([unit.value for unit in found], [*hidden, output], rtol=1e-13)
    slope = 1 - output**2 if name.startswith("made") else torch.tensor(1.0)
    assert np.allclose([unit.slope for unit in found], [*np.where(sums > 0, 1, 0.2), slope], rtol=1e-13)


def test_it_is_the_step_that_the_engine_plays(monkeypatch):
    sgd = {"optimizer.generator": "sgd", "optimizer.discriminator": "sgd"}
    rates = {"optimizer.generator.lr": 0.1, "optimizer.discriminator.lr": 0.1}
    recipe = resolved("gan", **sgd, **rates, engine="scratch", precision="float64", batch_size=1)
    now = train.Training(
        step=0,
        generator=train.Player(GENERATOR, np.array(one_step.GENERATOR_WEIGHTS), {}),
        discriminator=train.Player(DISCRIMINATOR, np.array(one_step.DISCRIMINATOR_WEIGHTS), {}),
        average=None,
        updates_d=0,
        shape=(1,),
        samples=REAL,
        batches=Batches(REAL, 1, 0),
        latent=np.random.default_rng(0),
        places=np.random.default_rng(0),
        directions=np.random.default_rng(0),
        scheduled=False,
    )
    monkeypatch.setattr(train.streams, "draw_latent", lambda *_: LATENT)
    seen = train.play_step(recipe, now)
    assert now.discriminator.weights.tolist() == PLAYED.of_d.after.tolist()
    assert now.generator.weights.tolist() == PLAYED.of_g.after.tolist()
    assert (seen["loss_d"], seen["loss_g"]) == (PLAYED.of_d.loss, PLAYED.of_g.loss)


def test_what_is_said_about_the_losses_is_so():
    start, between, end = PLAYED.moments
    assert start.loss_d > end.loss_d > between.loss_d
    assert between.loss_g > end.loss_g > start.loss_g
    assert between.d_fake < end.d_fake < start.d_fake


def test_with_more_samples_every_delta_carries_one_nth():
    real, fake = np.repeat(REAL, 4, 0), np.full((4, 1), PLAYED.moments[0].fake)
    d = np.array(one_step.DISCRIMINATOR_WEIGHTS)
    gradient, _ = DiscriminatorLoss(DISCRIMINATOR, one_step.OBJECTIVE, real, fake).backprop(d)
    assert np.allclose(gradient, PLAYED.of_d.gradient, rtol=1e-12)
    _, steps = DISCRIMINATOR.trace(d, real)
    deltas = DISCRIMINATOR.deltas(d, steps, np.full((4, 1), PLAYED.of_d.logit_slopes[0] / 4))
    assert np.allclose(np.concatenate(deltas, 1) * 4, PLAYED.of_d.deltas[0], rtol=1e-12)


def test_numeric_gradients_agree():
    for of in (PLAYED.of_d, PLAYED.of_g):
        for three in zip(of.gradient, of.forward, of.numeric, strict=True):
            assert explain.relative_difference(three[0], three[1]) < 1e-12
            assert explain.relative_difference(three[0], three[2]) < 1e-6


def test_activations_are_measured_rightly():
    x = np.linspace(-6, 6, 2_400_001)
    for pair, (exact, slope), (rational, rational_slope) in zip(
        curves.comparisons(),
        ((np.tanh(x), 1 / np.cosh(x) ** 2), (1 / (1 + np.exp(-x)), 0.25 / np.cosh(x / 2) ** 2)),
        (
            (2 * x / (1 + np.abs(2 * x)), 2 / (1 + np.abs(2 * x)) ** 2),
            (0.5 * (x / (1 + np.abs(x)) + 1), 0.5 / (1 + np.abs(x)) ** 2),
        ),
        strict=True,
    ):
        for found, difference in ((pair.values, exact - rational), (pair.slopes, slope - rational_slope)):
            assert found.difference == pytest.approx(np.abs(difference).max(), abs=1e-6)
            assert found.place == pytest.approx(abs(x[np.abs(difference).argmax()]), abs=1.5e-3)
        every = slice(None, None, len(x) // 12000)
        for found, expected in (
            (pair.exact, exact),
            (pair.rational, rational),
            (pair.exact_slope, slope),
            (pair.rational_slope, rational_slope),
        ):
            assert np.allclose(found, expected[every], atol=1e-12)
    assert [pair.at(0)[2:] for pair in curves.comparisons()] == [[1, 2], [0.25, 0.5]]


# ---------------------------------------------------------------- the formulas


FUNCTIONS = {
    "exp": math.exp,
    "log": math.log,
    "tanh": math.tanh,
    "tanh_squared": lambda s: math.tanh(s) ** 2,
    "sigmoid": lambda s: 1 / (1 + math.exp(-s)),
    "LeakyReLU": lambda s: s if s > 0 else 0.2 * s,
}
WORDS = [
    ("−", "-"), ("·", "*"), ("tanh²", "tanh_squared"), ("²", "**2"), ("e^(", "exp("), ("ln", "log")
]  # fmt: skip


def python(formula):
    for shown, meant in WORDS:
        formula = formula.replace(shown, meant)
    return re.sub(r"(?<=[\d)])ε", "*ε", formula)


def evaluated(formula):
    """Value and slope at ε = 0, as a pencil would find them: ε is a small number here."""
    ends = [eval(python(formula), {**FUNCTIONS, "ε": e}) for e in (-1e-6, 0.0, 1e-6)]
    return ends[1], (ends[2] - ends[0]) / 2e-6


def is_filled(formula):
    """No symbol is left."""
    left = re.sub("exp|log|tanh|LeakyReLU|ε", "", python(formula))
    return re.fullmatch(r"[-+*/(). \d]+", left) is not None


def strings(kind):
    blocks = [block for section in SECTIONS for block in section.blocks if isinstance(block, kind)]
    for block in blocks:
        if kind is explain.Formulas:
            yield from block.lines
        else:
            yield from (cell for row in block.rows for cell in row)


def near(found, expected):
    return all(abs(round(f, 5) - e) < LAST_PLACE for f, e in zip(found, expected, strict=True))


def test_every_formula_gives_what_is_printed():
    checked = 0
    for formula in [*strings(explain.Formulas), *strings(explain.Table)]:
        *parts, printed = formula.split(" = ")
        for part in filter(is_filled, parts):
            assert near(evaluated(part), [float(f"{each:.5f}") for each in evaluated(printed)]), formula
            checked += 1
    assert checked > 70


def test_symbols_stand_for_the_numbers_beside_them():
    known = {"x": "0.8", "z": "0.5"}
    checked = 0
    for section in SECTIONS[:6]:
        for block in section.blocks:
            if isinstance(block, explain.Table):
                known |= weights_of(block)
            elif isinstance(block, explain.Formulas):
                for line in block.lines:
                    checked += check_symbols(line, known)
    assert checked > 45


def weights_of(table):
    """The weights that a table names: the first ones, or what an update makes of them."""
    if table.head[0] == "G":
        return {row[place]: row[place + 2] for row in table.rows for place in (0, 3)}
    if table.head[-1].startswith("new weight"):
        return {row[0]: row[2].split(" = ")[1] for row in table.rows}
    return {}


def check_symbols(line, known):
    """Fill in what is known of one line, and learn what it says; how many formulas were checked."""
    if " = " not in line:
        return 0
    name, *parts, printed = line.split(" = ")
    names = re.compile("|".join(re.escape(each) for each in sorted(known, key=len, reverse=True)))
    symbols = [part for part in parts if not is_filled(part)]
    for part in symbols:
        filled = names.sub(lambda found: f"({known[found[0]]})", part)
        assert near(evaluated(filled), evaluated(printed)), line
    learn(name, printed, known)
    return len(symbols)


def learn(name, printed, known):
    value, slope = evaluated(printed)
    if name.endswith("ε"):
        first, second = name[:-1].split(" + ")
        known |= {first: f"{value:.5f}", second: f"{slope:.5f}"}
        if first == "G":
            known["G(z)"] = known.pop("G")
    else:
        known[name] = f"{value:.5f}"


# ---------------------------------------------------------------- the two layouts


class Reader(HTMLParser):
    """Complains about tags that do not close in order; keeps attributes, and the text outside pictures."""

    VOID = ("meta",)
    SILENT = ("head", "nav", "svg", "figcaption", "h1")

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.attributes, self.words = [], set(), [], []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes += attributes
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        assert "svg" in self.open, tag
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not set(self.SILENT) & set(self.open):
            self.words.append(data)


@pytest.fixture(scope="module")
def read():
    reader = Reader()
    reader.feed(HTML)
    reader.close()
    return reader


def test_the_page_is_balanced_and_loads_nothing(read):
    assert read.open == []
    assert HTML.startswith("<!DOCTYPE html>\n")
    assert not read.tags & {"script", "link", "img", "iframe", "object", "embed", "use", "image"}
    assert all(value.startswith("#s") for name, value in read.attributes if name == "href")
    assert not {name for name, _ in read.attributes} & {"src", "style", "onload", "xlink:href"}
    for load in ("http:", "https:", "url(", "@import", "//"):
        assert load not in HTML, load


def test_links_lead_to_the_sections(read):
    ids = [value for name, value in read.attributes if name == "id"]
    assert [value[1:] for name, value in read.attributes if name == "href"] == ids
    assert ids == [f"s{place}" for place in range(8)]


def test_text_and_page_say_the_same(read):
    lines = [line for line in TEXT.splitlines()[2:] if set(line) != {"-"}]
    one, other = (re.sub(r"[`\s]+", "", "".join(each)) for each in (lines, read.words))
    assert one == other
    assert len(one) > 8000


def test_pictures_show_the_weights_and_both_kinds_of_curves():
    for letters, weights in (("g", one_step.GENERATOR_WEIGHTS), ("d", one_step.DISCRIMINATOR_WEIGHTS)):
        for place, weight in enumerate(weights):
            assert f">{letters}{'₁₂₃₄₅₆₇'[place]} = {explain.number(weight)}</text>" in HTML
    assert HTML.count('<path class="exact" d="M') == HTML.count('<path class="rational" d="M') == 8
    for found in re.findall(r'd="([^"]+)"', HTML):
        assert "nan" not in found
        assert "inf" not in found


def test_what_is_said_is_escaped(monkeypatch):
    nasty = "<script>alert(1)</script> & more"
    blocks = [nasty, explain.Formulas([nasty]), explain.Table((nasty,), [(nasty,)])]
    monkeypatch.setattr(page, "sections", lambda *_: [explain.Section(nasty, blocks)])
    shown = page.html()
    assert "<script" not in shown
    assert shown.count("&lt;script&gt;") == 6  # four blocks' texts, the title and its link


def test_the_terminal_gets_numbered_sections_of_a_hundred_columns():
    assert max(map(len, TEXT.splitlines())) <= 100
    titles = re.findall(r"^(\d)\. .+\n-+$", TEXT, re.MULTILINE)
    assert titles == list("01234567")


@pytest.mark.parametrize(
    ("x", "shown"), [(0.25, "0.25"), (-0.3, "−0.3"), (2, "2"), (-1e-9, "0"), (10, "10"), (1 / 3, "0.33333")]
)
def test_numbers_are_shown_with_at_most_five_decimals(x, shown):
    assert explain.number(x) == shown


# ---------------------------------------------------------------- the command


def test_without_out_the_text_is_printed(duel, tmp_path):
    assert duel("explain") == (0, TEXT + "\n", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["page.html", "new/page.HTM"])
def test_with_out_the_page_is_written_the_same_every_time(duel, tmp_path, name):
    for _ in range(2):
        assert duel("explain", "--out", name) == (0, f"{name}\n", "")
        assert (tmp_path / name).read_bytes() == HTML.encode()
    assert len(list((tmp_path / name).parent.iterdir())) == 1


@pytest.mark.parametrize("name", ["page.pdf", "page", "page.html.png", ".html"])
def test_another_kind_of_file_is_refused(duel, tmp_path, name):
    status, out, err = duel("explain", "--out", name)
    assert (status, out) == (2, "")
    assert err == (
        f"duel: --out was given {name}, allowed are FILE.html and FILE.htm: name one, or leave --out out\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_takes_no_file_is_refused(duel, tmp_path):
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder.html").mkdir()
    for name, reason in (
        ("file/page.html", "cannot be written"),
        ("folder.html", "is a folder: name a file in it"),
        ("/proc/none/page.html", "cannot be written"),
    ):
        status, out, err = duel("explain", "--out", name)
        assert (status, out) == (2, "")
        assert err.startswith(f"duel: --out {name} ")
        assert reason in err
        assert err.count("\n") == 1
    assert (tmp_path / "file").read_text() == "kept"


def test_it_needs_neither_torch_nor_matplotlib():
    code = (
        "import sys; sys.argv = ['duel', 'explain']; from duel import cli; cli.main(); "
        "sys.exit(bool({'torch', 'matplotlib'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().replace("\r\n", "\n") == TEXT + "\n"
