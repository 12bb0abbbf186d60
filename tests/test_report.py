"""Reports: charts stand where the numbers say, and the page is whole, harmless and needs no network."""

import json
import math
import re
import shutil
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import tiny
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

import duel
from duel import io, pictures, report
from duel.errors import InputError
from duel.report import charts, curves, embedded, page, reading, shared, study
from duel.report.charts import Axes, Frame, Line, Scale
from duel.study import file

FRAME = Frame(100, 100, 10, 10, 10, 10)
EVIL = "<script>alert('x')</script>\u202e & \"co\""
VOID = {"meta", "img", "br", "hr", "input", "link"}
CHANGES = {
    "network.width": 4,
    "evaluate.every": 3,
    "evaluate.features": "random",
    "evaluate.samples": 20,
    "evaluate.metrics": ["frechet-random", "precision"],
}


# ---------------------------------------------------------------- charts


def paths(svg, kind):
    return re.findall(rf'<path class="{kind}[^"]*" d="([^"]*)"', svg)


def coordinates(svg):
    numbers = re.findall(r'(?: d| cx| cy| x| y)="([^"]*)"', svg)
    return [float(text) for group in numbers for text in re.findall(r"-?\d+\.?\d*(?:e[+-]?\d+)?", group)]


def test_points_stand_where_a_hand_computes_them():
    axes = Axes(FRAME, Scale(0, 10, (0, 10)), Scale(0, 100, (0, 100)))
    line = Line("a", [0, 5, 10], [0, 25, 100])
    assert paths(charts.chart("t", [line], axes), "line") == ["M10.0 90.0L50.0 70.0L90.0 10.0"]


def test_a_logarithmic_axis_gives_each_power_the_same_room():
    axes = Axes(FRAME, Scale(0, 2, (0, 2)), Scale(1, 100, (1, 10, 100), log=True))
    line = Line("a", [0, 1, 2], [1, 10, 100])
    assert paths(charts.chart("t", [line], axes), "line") == ["M10.0 90.0L50.0 50.0L90.0 10.0"]


def test_a_band_goes_along_its_low_ends_and_back_along_its_high_ones():
    axes = Axes(FRAME, Scale(0, 10, ()), Scale(0, 100, ()))
    line = Line("a", [0, 10], [50, 50], [25, 25], [75, 100])
    assert paths(charts.chart("t", [line], axes), "band") == ["M10.0 70.0L90.0 70.0L90.0 10.0L10.0 30.0Z"]


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0, 10], (0, 2, 4, 6, 8, 10)),
        ([0.12, 0.31], (0.1, 0.15, 0.2, 0.25, 0.3, 0.35)),
        ([-3, 900], (-200, 0, 200, 400, 600, 800, 1000)),
        ([1, 80], (1, 2, 5, 10, 20, 50, 100)),
        ([3e-5, 20], (1e-3, 0.1, 10)),
        ([0, 0], (0, 0.2, 0.4, 0.6, 0.8, 1)),
        ([], (0, 0.2, 0.4, 0.6, 0.8, 1)),
    ],
)
def test_ticks_are_round(values, ticks):
    found = charts.scale(values)
    assert found.ticks == pytest.approx(ticks)
    assert all(found.low <= value <= found.high for value in values)


def test_the_axis_is_logarithmic_where_positive_values_span_more_than_fifty_times():
    assert not charts.scale([1, 50]).log
    assert charts.scale([1, 51]).log
    assert not charts.scale([0, 1000]).log
    assert not charts.scale([-1, 1000]).log


def test_missing_values_are_gaps_and_a_point_alone_is_a_dot():
    axes = Axes(FRAME, Scale(0, 10, ()), Scale(0, 100, ()))
    line = Line("a", [0, 1, 2, 3, 4, 5], [0, 0, math.nan, 50, None, math.inf], style="grey")
    svg = charts.chart("t", [line], axes)
    assert paths(svg, "line") == ["M10.0 90.0L18.0 90.0"]
    assert re.findall(r'<circle class="dot sgrey" cx="([\d.]+)" cy="([\d.]+)"', svg) == [("34.0", "50.0")]


def test_one_look_with_an_interval_is_a_dot_on_a_stroke():
    svg = charts.chart("t", [Line("a", [5], [2], [1], [3])])
    assert len(re.findall("<circle", svg)) == 1
    assert any(re.fullmatch(r"M[\d.]+ [\d.]+V[\d.]+", path) for path in paths(svg, "line"))


@pytest.mark.parametrize("lines", [[], [Line("a", [], [])], [Line("a", [1, 2], [None, math.nan])]])
def test_no_data_is_said(lines):
    assert "no values" in charts.chart("t", lines)


anything = st.floats() | st.none() | st.sampled_from([1.7e308, -1.7e308, 5e-324, 0.0])


@example([3e212, 4e-96], False)  # their quotient is no number
@given(st.lists(anything, min_size=1, max_size=30), st.booleans())
def test_whatever_the_values_everything_is_drawn_inside_the_frame(values, band):
    steps = [float(step) for step in range(len(values))]
    ends = (values, values[::-1]) if band else ((), ())
    svg = charts.chart("t", [Line("a", steps, values, *ends, broken=True)])
    assert not re.search(r"\bnan\b|\binf\b", svg)
    frame = charts.WIDE
    for x, y in re.findall(r'<circle[^>]* cx="([^"]*)" cy="([^"]*)"', svg):
        assert frame.left - 0.1 <= float(x) <= frame.width - frame.right + 0.1
        assert frame.top - 0.1 <= float(y) <= frame.height - frame.bottom + 0.1


def test_many_points_become_means_with_a_band_of_what_they_hide():
    y = [float(step % 10) for step in range(1000)]
    y[500:510] = [None] * 10
    thin = charts.thinned(Line("a", list(range(1000)), y))
    assert len(thin.y) <= 150
    assert thin.y[0] == pytest.approx(3)
    assert (thin.low[0], thin.high[0]) == (0, 6)
    assert max(charts.finite(thin.high)) == 9
    few = Line("a", [1, 2], [3, 4])
    assert charts.thinned(few) is few


def test_a_broken_line_ends_with_a_cross():
    axes = Axes(FRAME, Scale(0, 10, ()), Scale(0, 100, ()))
    svg = charts.chart("t", [Line("a", [0, 5, 10], [0, 25, None], broken=True)], axes)
    assert paths(svg, "cross") == ["M46.0 66.0l8 8m0 -8l-8 8"]


def test_dots_share_an_axis():
    svg = charts.dots(Scale(0, 10, ()), [0, 5, 10], -4, 5)
    assert re.findall(r'cx="([\d.]+)"', svg) == ["4.0", "65.0", "126.0"]
    assert paths(svg, "bar") == ["M4.0 8.0H65.0"]


def test_the_numbers_of_ticks_are_short():
    shown = [charts.tick_text(value) for value in (0.25, 500, 20000, 3e6, -1e-5, 0)]
    assert shown == ["0.25", "500", "20k", "3M", "−1e−05", "0"]


# ---------------------------------------------------------------- the page


class Checked(HTMLParser):
    """Every tag is closed in order; what it loads, its ids and its headings are noted."""

    def __init__(self):
        super().__init__()
        self.open, self.links, self.ids, self.tags, self.attributes, self.text = [], [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        self.links += [
            value for name, value in attrs if name in ("src", "href", "xlink:href", "srcset", "action")
        ]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag == "img":
            assert dict(attrs)["alt"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def checked(written):
    text = written.read_text()
    found = Checked()
    found.feed(text)
    found.close()
    assert found.open == []
    assert len(set(found.ids)) == len(found.ids)
    for link in found.links:
        assert link.startswith("data:image/png;base64,") or (link[0] == "#" and link[1:] in found.ids), link
    assert not {"script", "link", "iframe", "object", "base", "form"} & set(found.tags)
    assert not [name for _, name, _ in found.attributes if name.startswith("on")]
    assert not re.search(r"url\(|@import|http-equiv", text)
    return text, "".join(found.text), found


def test_everything_from_outside_is_text():
    shown = page.joined(
        [page.paragraph(EVIL), page.table(EVIL, [EVIL, "b"], [[EVIL, EVIL]]), page.pairs([(EVIL, EVIL)])]
    )
    assert "<script" not in shown
    assert "\\x202e" in shown
    assert 'aria-label="&lt;script' in shown


def luminance(colour):
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_contrasts_are_those_of_wcag_aa(theme):
    sets = re.findall(r":root \{([^}]*)\}", page.STYLE)
    colours = dict(re.findall(r"--([\w]+): (#[0-9a-f]{6})", sets[theme]))
    for ground in ("paper", "panel"):
        for text in ("ink", "soft", "link", "bad", "good"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for line in (*(f"s{place}" for place in range(charts.STYLES)), "pale"):
        assert contrast(colours[line], colours["paper"]) >= 3, line


# How colours look to eyes without one kind of cone: Machado, Oliveira, Fernandes, IEEE TVCG 15 (2009).
EYES = {
    "all cones": np.eye(3),
    "no long": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "no middle": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "no short": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}


def lab(colour, eyes):
    """CIE L*a*b*, in which distances are those that people see."""
    parts = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(eyes) @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ seen
    ratio = xyz / [0.9505, 1, 1.089]
    f = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("eyes", EYES.values(), ids=EYES)
def test_curves_differ_in_colour_for_the_colour_blind(theme, eyes):
    colours = re.findall(r"--s\d: (#[0-9a-f]{6})", re.findall(r":root \{([^}]*)\}", page.STYLE)[theme])
    assert len(colours) == charts.STYLES
    places = [lab(colour, eyes) for colour in colours]
    assert min(np.linalg.norm(a - b) for a, b in combinations(places, 2)) > 25


def test_pictures_are_as_small_as_was_asked():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (800, 800, 3), np.uint8))
    content, size = embedded.shrunk(noise, 360, 40_000)
    assert len(content) <= 40_000
    assert size[0] <= 360
    grey = Image.new("RGB", (50, 20), "grey")
    content, size = embedded.shrunk(grey, 360, 40_000)
    assert size == (50, 20)


def test_a_broken_picture_is_a_sentence(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    assert "no picture" in embedded.picture(tmp_path / "a.png", "the grid", 100, 1000)
    assert "no picture" in embedded.picture(tmp_path / "absent.png", "the grid", 100, 1000)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (math.nan, "–"),
        (10**400, "–"),
        (True, "–"),
        ("1", "–"),
        (-3.0, "−3"),
        (0.12356, "0.1236"),
    ],
)
def test_numbers_of_damaged_logs_are_dashes(value, shown):
    assert shared.number(value) == shown


# ---------------------------------------------------------------- a run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("report") / "run"
    tiny.train(out, steps=9, data="digits", changes={**CHANGES, "signals.every": 3})
    return out


@pytest.fixture
def copy(run, tmp_path):
    return shutil.copytree(run, tmp_path / "copy")


def test_a_run_has_its_report(run):
    written = report.write(run)
    assert written == run / "report.html"
    text, words, found = checked(written)
    for wanted in ("frechet-random", "Losses", "D(x)", "Findings", "None yet", "network", duel.__version__):
        assert wanted in words, wanted
    assert found.tags.count("img") == 3
    assert len(text) < 1_000_000
    assert run.name in words


def test_an_evaluation_on_test_is_shown_with_what_it_was_measured_on(copy):
    duel.evaluate(copy, metrics=["precision"], features="random", samples=20)
    words = checked(report.write(copy))[1]
    assert "20 generated against" in words
    assert "None yet" not in words


def test_a_run_without_metrics_and_samples(tmp_path):
    tiny.train(tmp_path / "a", steps=4, data="digits", changes={"signals.every": 0, "sample.every": 100})
    words = checked(report.write(tmp_path / "a"))[1]
    assert "Nothing was measured" in words


def test_points_have_no_grid_and_still_a_report(tmp_path):
    tiny.train(tmp_path / "a", steps=4, recipe="gan", data="ring")
    assert "ring" in checked(report.write(tmp_path / "a"))[1]


def test_names_from_outside_do_nothing(copy, tmp_path):
    target = copy.rename(tmp_path / "<script>alert(1)<<b>")
    said = io.read_json(target / "provenance.json")
    said["command"] = said["data"]["name"] = EVIL
    io.write_json(target / "provenance.json", said)
    evidence = {"signal": EVIL, "value": EVIL, "threshold": 1, "steps": [1, 2]}
    advice = [
        {"set": {EVIL: EVIL}, "reason": EVIL, "source": EVIL},
        {"set": {}, "reason": "r", "source": None},
    ]
    finding = {"name": EVIL, "severity": EVIL, "confidence": 0.5, "explanation": EVIL}
    duel.load(target).write_findings([{**finding, "evidence": [evidence], "advice": advice}])
    text, words, _ = checked(report.write(target, tmp_path / "out.html"))
    assert "<script" not in text
    assert "[1]" in words
    assert "--advice 1" in words


def test_a_run_under_way_and_damaged_is_reported_as_far_as_it_goes(copy):
    for name in ("film.png", "run.json", "provenance.json"):
        (copy / name).write_text("{")
    lines = (copy / "events.jsonl").read_text().splitlines()
    odd = [{"event": "step", "step": "x", "loss_d": "y"}, {"event": "metric", "step": 1}, {"event": "signal"}]
    (copy / "events.jsonl").write_text("\n".join([*lines[:5], "{cut", *map(json.dumps, odd)]))
    assert "unknown" in checked(report.write(copy))[1]


def test_what_is_neither_a_run_nor_a_study_is_refused(tmp_path, run):
    with pytest.raises(InputError, match="neither a run nor a study"):
        report.write(tmp_path)
    with pytest.raises(InputError, match=r"FILE\.html"):
        report.write(run, tmp_path / "a.pdf")
    (tmp_path / "b.html").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        report.write(run, tmp_path / "b.html")


def test_the_command_writes_where_it_is_told(run, tmp_path, capsys, monkeypatch):
    out = tmp_path / "new" / "page.html"
    status, said, _ = tiny.command(capsys, monkeypatch, "report", run, "--out", out)
    assert (status, said.strip()) == (0, str(out))
    assert out.is_file()
    status, _, error = tiny.command(capsys, monkeypatch, "report", tmp_path)
    assert status == 2
    assert "neither a run nor a study" in error


# ---------------------------------------------------------------- a study

LABELS = ["lr=0.1", f"lr=0.2 {EVIL}"]


def row(label, seed, value, state="done", checkpoint="last", metric="frechet-random", better="lower"):
    """A row of the tidy table, as a study's run writes it."""
    place = LABELS.index(label)
    return {
        "study": "made", "configuration": label, "optimizer.generator.lr": [0.1, 0.2][place],
        "recipe": "dcgan", "data": "digits", "seed": seed, "state": state, "checkpoint": checkpoint,
        "step": 9, "metric": metric,
        "value": value, "low": value, "high": value, "better": better, "split": "test", "samples": 20,
        "features": "random", "steps": 9, "images": 72, "seconds": 1.5, "run": f"runs/c{place}/seed-{seed}",
    }  # fmt: skip


def make(folder, run, seeds=(0, 1, 2), rows=True):
    """A study's folder of two configurations, every run a copy of one."""
    (folder / "rows").mkdir(parents=True)
    lines = [
        'name = "made"', f"title = {json.dumps(EVIL.replace(chr(0x202E), ''))}", 'recipe = "dcgan"',
        'data = "digits"', f"seeds = {list(seeds)}", 'metrics = ["frechet-random"]',
        "[budget]", "steps = 9", "[factors]", '"optimizer.generator.lr" = [0.1, 0.2]',
    ]  # fmt: skip
    (folder / "study.toml").write_text("\n".join(lines))
    planned = [
        {
            "label": label, "folder": f"c{place}", "factors": {"optimizer.generator.lr": [0.1, 0.2][place]},
            "recipe": "dcgan", "data": "digits", "steps": 9, "images": 72, "step_seconds": 0.1,
        }
        for place, label in enumerate(LABELS)
    ]  # fmt: skip
    io.write_json(folder / "plan.json", {"configurations": planned})
    for place, label in enumerate(LABELS):
        for seed in seeds:
            shutil.copytree(
                run, folder / f"runs/c{place}/seed-{seed}", ignore=shutil.ignore_patterns("checkp*")
            )
            value = 10.0 + seed - (5 + 0.01 * seed) * place
            if rows:
                write_rows(folder, label, seed, [row(label, seed, value)])
    return folder


def write_rows(folder, label, seed, rows):
    io.write_json(folder / f"rows/c{LABELS.index(label)}.seed-{seed}.json", {"rows": rows})


def test_a_study_has_its_report(run, tmp_path):
    folder = make(tmp_path / "study", run)
    text, words, found = checked(report.write(folder))
    shown = [label.replace("\u202e", "\\x202e") for label in LABELS]
    for wanted in (*shown, "is better than", "Holm", "seed 0", "lr: 0.1 (3 runs)", "fingerprint", "6 runs"):
        assert wanted in words, wanted
    assert "<script" not in text
    assert found.tags.count("img") == 4
    assert "−5" in words
    headings = ["Verdicts", "Curves", "Robustness", "Samples", "Findings", "Provenance"]
    assert all(f"<h2>{name}</h2>" in text for name in headings)


def test_a_diverged_run_is_counted_and_marked(run, tmp_path):
    folder = make(tmp_path / "study", run)
    gone = row(LABELS[1], 2, 1.0, "nonfinite", "run", "collapsed")
    write_rows(folder, LABELS[1], 2, [gone])
    text, words, _ = checked(report.write(folder))
    assert "1 diverged" in words
    assert "1 of 3 diverged" in words
    assert 'class="cross' in text


def test_a_failed_run_is_counted(run, tmp_path):
    folder = make(tmp_path / "study", run)
    write_rows(folder, LABELS[0], 0, [row(LABELS[0], 0, None, "failed", "run", "")])
    assert "1 failed" in checked(report.write(folder))[1]


def test_one_seed_gives_a_report_without_verdicts(run, tmp_path):
    words = checked(report.write(make(tmp_path / "study", run, seeds=(3,))))[1]
    assert "With one seed" in words
    assert "2 are needed" in words


def test_a_study_under_way_says_what_is_missing(run, tmp_path):
    folder = make(tmp_path / "study", run)
    (folder / "rows" / "c1.seed-2.json").unlink()
    shutil.rmtree(folder / "runs/c1/seed-1")
    (folder / "rows" / "c1.seed-1.json").unlink()
    words = checked(report.write(folder))[1]
    assert "1 begun and not ended. 1 not begun." in words


def test_a_study_whose_baseline_has_not_ended_compares_nothing(run, tmp_path):
    folder = make(tmp_path / "study", run)
    for seed in range(3):
        (folder / "rows" / f"c0.seed-{seed}.json").unlink()
    assert "no run of the baseline has ended yet" in checked(report.write(folder))[1]


def test_a_study_that_has_just_begun(run, tmp_path):
    folder = make(tmp_path / "study", run, rows=False)
    shutil.rmtree(folder / "runs")
    words = checked(report.write(folder))[1]
    assert "6 not begun" in words
    assert "No run has been measured" in words


def test_rows_without_their_run_folders_still_have_tables(run, tmp_path):
    folder = make(tmp_path / "study", run)
    shutil.rmtree(folder / "runs")
    words = checked(report.write(folder))[1]
    assert "is better than" in words
    assert "No samples." in words


def test_a_study_of_sixty_runs_stays_below_five_megabytes(run, tmp_path):
    folder = make(tmp_path / "study", run, seeds=(0,))
    noise = np.random.default_rng(0).integers(0, 256, (64, 3, 64, 64), np.uint8)
    photo, planned = pictures.png(pictures.grid(noise)), []
    for place in range(20):
        for seed in range(3):
            target = folder / f"runs/d{place}/seed-{seed}"
            shutil.copytree(folder / "runs/c0/seed-0", target)
        for _, grid in duel.load(folder / f"runs/d{place}/seed-0").grids():
            grid.write_bytes(photo)
        factors = {"optimizer.generator.lr": place}
        planned.append({"label": f"n={place}", "folder": f"d{place}", "factors": factors, "data": "digits"})
    io.write_json(folder / "plan.json", {"configurations": planned})
    text = (folder / "study.toml").read_text().replace("seeds = [0]", "seeds = [0, 1, 2]")
    (folder / "study.toml").write_text(text)
    shutil.rmtree(folder / "rows")
    assert report.write(folder).stat().st_size < 5_000_000


def test_the_band_of_a_configuration_spans_its_seeds():
    lines = [Line("a", [1, 2, 3], [1, 2, 3]), Line("b", [1, 2], [3, 6])]
    band = curves.seed_band("both", lines)
    assert (band.x, band.y, band.low, band.high) == ([1, 2, 3], [2, 4, 3], [1, 2, 3], [3, 6, 3])
    alone = curves.seed_band("one", lines[:1])
    assert (alone.low, alone.high) == ((), ())


def test_the_best_run_is_that_with_the_best_value(run, tmp_path):
    found = reading.read(make(tmp_path / "study", run))
    trial, why = study.best_run(found, found.configurations[0])
    assert trial.seed == 0
    assert why == "seed 0, the best of 3 runs: frechet-random 10"


def test_the_budget_says_what_was_equal_and_what_was_not(run, tmp_path):
    said = study.honesty(reading.read(make(tmp_path / "study", run)))
    assert said == (
        "Equal for all configurations: generator updates (9) and images drawn (72). "
        "Measured: 1.5 seconds of computing a run; other work of the machine is in that."
    )


@pytest.mark.parametrize(
    ("budget", "other", "said"),
    [
        ("images = 72", {"steps": 5, "images": 80},  # 16 a step
         "Equal for all configurations: images drawn (72 to 80, within one step). "
         "Not equal: generator updates (5 to 9)."),
        ("images = 72", {"steps": 5, "images": 100},  # 20 a step
         "Not equal: generator updates (5 to 9) and images drawn (72 to 100)."),
        ("seconds = 3", {"steps": 20, "images": 160},
         "Equal as planned: seconds, by a step's time measured once before the runs. "
         "Not equal: generator updates (9 to 20) and images drawn (72 to 160)."),
        ("flops = 3", {}, "images drawn (72). Equal as planned: FLOPs, counted on one step."),
    ],
)  # fmt: skip
def test_equal_means_up_to_one_step_and_what_it_rests_on(run, tmp_path, budget, other, said):
    folder = make(tmp_path / "study", run)
    text = (folder / "study.toml").read_text().replace("steps = 9", budget)
    (folder / "study.toml").write_text(text)
    planned = io.read_json(folder / "plan.json")["configurations"]
    io.write_json(folder / "plan.json", {"configurations": [planned[0], {**planned[1], **other}]})
    assert said in study.honesty(reading.read(folder))


def test_the_step_of_the_verdict_is_said_beside_the_curves(run, tmp_path):
    folder = make(tmp_path / "study", run)
    words = checked(report.write(folder))[1]
    assert "frechet-random on the test split, at the last checkpoint (step 9) (lower is better)" in words
    assert "The curves end" not in words  # the last look is at step 9, too
    for label in LABELS:
        for seed in range(3):
            write_rows(folder, label, seed, [{**row(label, seed, 1.0 + seed), "step": 10 + seed}])
    words = checked(report.write(folder))[1]
    assert (
        "The curves end at the last look (step 9); what is compared at the last checkpoint was measured at "
        "the end of training (steps 10 to 12), on the test split." in words
    )


def test_what_always_diverges_is_marked_as_bad(run, tmp_path):
    folder = make(tmp_path / "study", run)
    for seed in range(3):
        write_rows(folder, LABELS[1], seed, [row(LABELS[1], seed, 1.0, "nonfinite", "run", "collapsed")])
    text, words, _ = checked(report.write(folder))
    assert '<li class="diverged">' in text
    assert "which counts against lr=0.2" in words


def test_wide_tables_show_that_they_go_on():
    """Shadows that stay at the box's edges, beneath covers that scroll with what it holds; none on paper."""
    (box,) = re.findall(r"\n\.wide \{([^}]*)\}", page.STYLE)
    layers = re.findall(r"(left|right) / [\d.]+rem 100% no-repeat (local|scroll)", box)
    assert layers == [("left", "local"), ("right", "local"), ("left", "scroll"), ("right", "scroll")]
    paper = page.STYLE.partition("@media print")[2]
    assert re.search(r"\.wide \{ overflow: visible; background: none; \}", paper)
    assert ".more { display: inline; }" not in paper
    assert "scroll sideways" in page.table("caption", ["a"], [["b"]])


def test_several_data_sets_are_compared_together_and_each_alone():
    budget = {"budget": {"steps": 9}, "factors": {"lr": [0.1, 0.2], "data": ["a", "b"]}, "seeds": [0, 1, 2]}
    made = file.resolve({"name": "made", "recipe": "dcgan", "metrics": ["frechet-random"], **budget})
    scale = {"a": 1.0, "b": 100.0}
    configurations, rows = [], []
    for data in scale:
        for place, rate in enumerate((0.1, 0.2)):
            label = f"lr={rate}, data={data}"
            own = {"configuration": label, "data": data}
            values = [scale[data] * (2 + 0.1 * seed + (1 + 0.01 * seed) * place) for seed in range(3)]
            rows += [{**row(LABELS[0], seed, value), **own} for seed, value in enumerate(values)]
            factors = {"lr": rate, "data": data}
            configurations.append(reading.Configuration(label, data, factors, {}, ()))
    found = reading.Reading(Path("made"), made, tuple(configurations), tuple(rows))
    assert found.baseline == "lr=0.1"
    together = study.comparisons(found)[0]
    assert [contest.verdict for contest in together.contests] == ["worse"]
    assert together.contests[0].ratio
    alone = study.within(found, "b")
    assert "lr=0.2, data=b" in alone
    assert "data=a" not in alone
    assert ">101<" in alone
