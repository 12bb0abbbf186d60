"""Diagnoses: each finds its planted fault in the records of a real run, and is silent on healthy ones.

tests/records holds what runs of bench/diagnosis.py have recorded (`… fixtures tuning --into tests/records`);
`unbounded-curve` is its unbounded-critic with `evaluate.every` = 100, so that each look has its evaluation.
"""

import copy
import gzip
import json
import math
import os
import re
import shutil
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import tiny
from PIL import Image
from scipy.stats import spearmanr

import duel
from duel import catalog, display, events, nonfinite
from duel import recipe as recipes
from duel.diagnose import (
    Journal,
    advice,
    at_least,
    changed,
    draw_memorised,
    estimate_correlation,
    findings,
    nearest_images,
)
from duel.diagnoses import _base, _ranks
from duel.diagnoses._base import Evidence, Records, confidence, evidence, lasting, rates
from duel.errors import DuelError, RecipeError, RunError
from duel.run import Run

PLACE = Path(__file__).parent / "records"
NAMES = catalog.names("diagnoses")
CASES = sorted(file.name.removesuffix(".json.gz") for file in PLACE.glob("*.json.gz"))
HEALTHY = [name for name in CASES if name.startswith("healthy-")]
# Where each diagnosis is to be seen.
SHOWN = {
    "mode-collapse": "sgd", "partial-collapse": "five-images", "class-collapse": "three-classes",
    "latent-ignored": "ignored-latent", "label-ignored": "ignored-label", "mode-hopping": "hopping",
    "discriminator-too-strong": "d-50-times", "discriminator-too-weak": "frozen-d",
    "discriminator-overfitting": "20-images", "memorisation": "20-images-dense",
    "divergence": "unbounded-critic", "critic-not-lipschitz": "unbounded-critic",
    "clipping-saturated": "clip-0.001", "past-its-best": "late-rates",
    "learning-rate-too-high": "rates-0.03", "spike": "one-spike", "oscillation": "hopping",
    "oversmooth": "smooth", "vanishing-layers": "deep-sigmoid", "exploding-layers": "large-weights",
    "not-inverse": "blind-pair", "data-problem": "copies", "nothing-learned": "rates-1e-7",
    "estimate-misleads": "unbounded-curve",
}  # fmt: skip
MADE = {"checkerboard", "norm-gap"}  # no run of a minute shows these for long: made records below
SEVERE = {
    "mode-collapse", "latent-ignored", "label-ignored", "discriminator-too-strong", "discriminator-too-weak",
    "divergence", "exploding-layers", "nothing-learned",
}  # fmt: skip


def stored(name):
    """(records, the names of what was expected) of a run."""
    content = json.loads(gzip.decompress((PLACE / f"{name}.json.gz").read_bytes()))
    expected = content.pop("expected")
    return Records(**content), expected


def until(records, step):
    """The records as they were at a step."""
    kept = {
        name: tuple(event for event in getattr(records, name) if event["step"] <= step)
        for name in ("steps", "looks", "metrics")
    }
    return replace(records, **kept)


def stages(records):
    return [until(records, look["step"]) for look in records.looks]


def diagnosis(name, **thresholds):
    return catalog.load_class("diagnoses", name)(**thresholds)


def ever(name, records, **thresholds):
    """The findings of one diagnosis at the looks of a run."""
    each = diagnosis(name, **thresholds)
    return [found for stage in stages(records) if (found := each.find(stage)) is not None]


def looking(**values):
    """Records of six looks with the same values."""
    looks = [{"event": "signal", "step": 100 * n, "values": values} for n in range(1, 7)]
    return Records(looks=looks, total=600)


def test_every_diagnosis_has_its_case():
    assert set(SHOWN) | MADE == set(NAMES)
    assert set(SHOWN.values()) <= set(CASES)


@pytest.mark.parametrize("name", sorted(SHOWN))
def test_it_finds_its_fault(name):
    records, _ = stored(SHOWN[name])
    found = ever(name, records)
    assert found, f"{name} says nothing of {SHOWN[name]}"
    assert any(each.severity == "severe" for each in found) == (name in SEVERE)
    for each in found:
        assert 0.5 <= each.confidence <= 1
        assert each.evidence
        assert each.explanation.count(". ") <= 3, each.explanation
        assert each.explanation.endswith(".")
        steps = [step for item in each.evidence for step in item.steps]
        assert steps
        assert max(steps) <= records.now


@pytest.mark.parametrize("case", HEALTHY)
def test_nothing_severe_is_said_of_a_healthy_run(case):
    records, _ = stored(case)
    said = {name: [each.severity for each in ever(name, records)] for name in NAMES}
    assert not [name for name, severities in said.items() if "severe" in severities]


@pytest.mark.parametrize("name", NAMES)
def test_it_is_silent_on_most_healthy_runs(name):
    loud = [case for case in HEALTHY if ever(name, stored(case)[0])]
    assert len(loud) <= 1, loud


@pytest.mark.parametrize("case", CASES)
def test_what_the_bench_expects_is_found(case):
    records, expected = stored(case)
    if not expected or case == "kernel-3":  # on digits the network evens that pattern out by itself
        return
    assert {name for name in expected if ever(name, records)}


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_pure_function_that_copes_with_anything_missing(name):
    each = diagnosis(name)
    assert each.find(Records()) is None
    for case in ("sgd", "healthy-cgan-digits", "healthy-r3gan-ring"):
        records, _ = stored(case)
        before = copy.deepcopy(records)
        assert each.find(records) == each.find(records)
        assert records == before
        for gone in fields(Records):
            empty = {"recipe": {}, "facts": {}, "total": None}.get(gone.name, ())
            each.find(replace(records, **{gone.name: empty}))
        holes = [{**look, "values": dict.fromkeys(look["values"])} for look in records.looks]
        each.find(replace(records, looks=holes))


def thresholds():
    return [
        pytest.param(name, option.name, id=f"{name}.{option.name}")
        for name in NAMES
        for option in catalog.entry("diagnoses", name).options
    ]


@pytest.mark.parametrize(("name", "threshold"), thresholds())
def test_every_threshold_changes_what_is_found(name, threshold):
    default = getattr(diagnosis(name), threshold)
    others = [2, 9, 12] if isinstance(default, int) else [0.0, default / 50, default * 50, 1e9, -1e9]
    made = [looking(checkerboard=5.0, nearest=2.0), looking(norm_gap=0.5)]
    for records in [*made, *(stored(case)[0] for case in CASES)]:
        usual = said(diagnosis(name), records)
        if any(said(diagnosis(name, **{threshold: other}), records) != usual for other in others):
            return
    pytest.fail(f"{name} does not care for {threshold}")


def said(diagnosis, records):
    """What is told at each look; evidence apart, where a threshold only shows itself."""
    found = [diagnosis.find(stage) for stage in stages(records)]
    return [each and each.explanation for each in found]


def test_a_lasting_pattern_is_a_checkerboard_and_a_fading_one_is_not():
    assert diagnosis("checkerboard").find(looking(checkerboard=5.0, nearest=1.5)).severity == "warning"
    assert diagnosis("checkerboard").find(looking(checkerboard=2.0, nearest=1.5)) is None
    assert diagnosis("checkerboard").find(looking(checkerboard=5.0, nearest=9.0)) is None


def test_without_shares_of_classes_none_is_missing():
    looks = [{**look, "values": {"precision": 0.9}} for look in looking(a=1.0).looks]
    facts = {"class_counts": [50, 50], "held_out": {"label_accuracy": 0.9}}
    assert diagnosis("class-collapse").find(Records(looks=looks, facts=facts)) is None
    for look in looks:
        look["values"]["class_shares"] = [0.0]  # of a class that no reference sample is of
    found = diagnosis("class-collapse").find(Records(looks=looks, facts={**facts, "class_counts": [99, 1]}))
    assert found.evidence[0].signal == "class_shares of 0"


def test_batch_norms_two_modes_may_differ_a_little():
    assert diagnosis("norm-gap").find(looking(norm_gap=0.1)) is None
    assert diagnosis("norm-gap").find(looking(norm_gap=0.6)).evidence[0].value == 0.6


# ---------------------------------------------------------------- the Wasserstein estimate and the metric


def measured(estimates, values, better="lower", every=100):
    """Records with a look at each step 100, 200, … and an evaluation each `every` steps."""
    looks = [
        {"event": "signal", "step": 100 * n, "values": {"wasserstein_estimate": estimate}}
        for n, estimate in enumerate(estimates, 1)
    ]
    row = {"event": "metric", "name": "fid", "better": better}
    metrics = [
        {**row, "step": every * n, "value": value, "low": value, "high": value}
        for n, value in enumerate(values, 1)
    ]
    return Records(looks=looks, metrics=metrics, recipe={"n_critic": 5})


def scattered(seed, count=30, levels=8):
    return np.random.default_rng(seed).integers(0, levels, count).astype(float).tolist()


def test_ranks_of_equal_values_are_their_mean():
    assert _ranks.ranks([10.0, 30.0, 20.0, 30.0]) == [1, 3.5, 2, 3.5]
    assert _ranks.ranks([5.0, 5.0, 5.0]) == [2, 2, 2]
    assert _ranks.ranks([]) == []


@pytest.mark.parametrize("levels", [2, 8, 10**6])
@pytest.mark.parametrize("count", [5, 30])
def test_the_correlation_is_scipys(count, levels):
    for seed in range(5):
        a, b = scattered(seed, count, levels), scattered(seed + 100, count, levels)
        mixed = [x + y for x, y in zip(a, b, strict=True)]
        for one, other in ((a, b), (a, mixed), (a, a), (a, [-x for x in a])):
            expected = spearmanr(one, other).statistic if len(set(one)) > 1 < len(set(other)) else None
            found = _ranks.spearman(one, other)
            assert found == (None if expected is None else pytest.approx(expected, abs=1e-12))


def test_the_interval_is_bonetts_own_example():
    """`ci.spear` of Bonett's R package statpsych: 15 pairs, 0.8699639, from 0.5840951 to 0.9638297."""
    low, high = _ranks.spearman_interval(0.8699639, 15)
    assert math.isclose(low, 0.5840951, abs_tol=1e-6)
    assert math.isclose(high, 0.9638297, abs_tol=1e-6)
    assert _ranks.spearman_interval(-1.0, 8) == pytest.approx((-1, -1))
    assert _ranks.spearman_interval(1.0 + 1e-15, 8) == pytest.approx((1, 1))


def test_an_estimate_that_falls_as_the_metric_gets_better_goes_with_it():
    falling = [9.0, 7.0, 6.0, 4.0, 1.0]
    rising = [0.1, 0.2, 0.3, 0.5, 0.9]
    assert _ranks.estimate_correlation(measured(falling, falling)) == pytest.approx(1)
    assert _ranks.estimate_correlation(measured(falling, rising)) == pytest.approx(-1)
    assert _ranks.estimate_correlation(measured(falling, rising, "higher")) == pytest.approx(1)
    assert _ranks.estimate_correlation(measured(falling, falling, "higher")) == pytest.approx(-1)


def test_only_steps_that_were_looked_at_and_evaluated_count():
    values = [5.0, 1.0, 4.0, 2.0, 3.0, 0.5]
    every_other = measured(range(12), values, every=200)
    assert [row[0] for row in _ranks.estimates(every_other)] == [200, 400, 600, 800, 1000, 1200]
    expected = spearmanr([1, 3, 5, 7, 9, 11], values).statistic
    assert _ranks.estimate_correlation(every_other) == pytest.approx(expected)
    broken = measured([1, 2, None, 4, 5, 6, 7], [1, 2, 3, math.nan, 5, 6, 7])
    assert [row[0] for row in _ranks.estimates(broken)] == [100, 200, 500, 600, 700]
    assert _ranks.estimate_correlation(measured(range(4), range(4))) is None
    assert _ranks.estimate_correlation(measured([1.0] * 9, range(9))) is None
    assert _ranks.estimate_correlation(Records()) is None


def test_an_estimate_that_misleads_is_told_from_one_that_is_not_known_to():
    def said(estimates, values):
        return diagnosis("estimate-misleads").find(measured(estimates, values))

    against = said(range(8), range(8, 0, -1))
    assert against.severity == "info"
    assert against.evidence[0].steps == tuple(range(100, 900, 100))
    assert "is -1.00 (-1.00 to -1.00), where 1 is wanted" in against.explanation
    assert [each.set for each in against.advice] == [{}, {"n_critic": 10}]
    assert said(range(7), range(7, 0, -1)) is None, "too few evaluations"
    assert said(range(40), range(40)) is None
    weak = [1, 6, 4, 2, 8, 5, 7, 3]
    assert spearmanr(range(8), weak).statistic == pytest.approx(0.3333, abs=1e-4)
    assert said(range(8), weak) is None, "eight evaluations cannot tell that from a strong one"
    many = said([*range(8)] * 15, weak * 15)
    assert "over 120 evaluations their rank correlation is 0.33 (0.16 to 0.49)" in many.explanation


def test_a_run_gives_its_correlation(tmp_path):
    changes = {
        "objective.name": "wasserstein", "penalties": "interpolated", "network.discriminator_norm": "none",
        "signals.every": 2, "evaluate.every": 4, "evaluate.metrics": ["frechet"],
        "evaluate.features": "random", "evaluate.samples": 50,
    }  # fmt: skip
    events = tiny.train(tmp_path / "run", 24, changes=changes)
    looked = {e["step"]: e["values"]["wasserstein_estimate"] for e in events if "values" in e}
    metric = {e["step"]: e["value"] for e in events if e["event"] == "metric"}
    assert list(metric) == [4, 8, 12, 16, 20, 24]
    expected = spearmanr([looked[step] for step in metric], list(metric.values())).statistic
    assert estimate_correlation(duel.load(tmp_path / "run")) == pytest.approx(expected)
    tiny.train(tmp_path / "other", 2)
    assert estimate_correlation(duel.load(tmp_path / "other")) is None


# ---------------------------------------------------------------- source D's log


def logged(losses):
    return Records(steps=[{"event": "step", "step": 10 * n, "loss_d": loss} for n, loss in enumerate(losses)])


def test_a_loss_that_starts_at_16_and_is_ordinary_afterwards_is_a_spike_and_no_divergence():
    """Fathollahi 2022: Loss_D 15.98 in the first line of the log, then 0.2 to 1.2."""
    records = logged([15.98, *[0.6, 0.8, 0.4, 1.1, 0.3] * 10])
    found = diagnosis("spike").find(records)
    assert found.evidence[0].value == 15.98
    assert found.evidence[0].steps == (0,)
    assert diagnosis("divergence").find(records) is None


def test_a_loss_that_grows_and_grows_is_a_divergence_and_no_spike():
    records = logged([1.2**n for n in range(60)])
    assert diagnosis("divergence").find(records).severity == "severe"
    assert diagnosis("spike").find(records) is None


# ---------------------------------------------------------------- advice


@pytest.mark.parametrize("case", [case for case in CASES if not case.startswith("healthy-")])
def test_advice_is_taken_by_the_recipe_and_changes_it(case, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "bench"))
    records, _ = stored(case)
    recipe = recipes.resolve(unflattened(records.recipe), allow_code=True)
    for stage in stages(records)[-1:]:
        told = Journal(recipe, records.total)
        for event in (
            {"event": "signal", "step": 0, "facts": dict(records.facts)},
            *stage.looks,
            *stage.steps,
        ):
            told.add(dict(event))
        for _, one in advice(told.findings()):
            assert recipes.differences(recipe, changed(recipe, one["set"]))
            assert one["reason"]


def unflattened(flat):
    """A tree that resolves to the recipe with these dotted keys."""
    tree = {}
    plain = {key: value for key, value in flat.items() if not key.startswith(("penalties", "constraints"))}
    lists = {key: value for key, value in flat.items() if key.startswith(("penalties.", "constraints."))}
    for key, value in plain.items():
        *path, last = key.split(".")
        at = tree
        for part in path:
            at = at.setdefault(part, {})
        at[last] = value
    return recipes.change(tree, {key: value for key, value in lists.items() if not key.endswith(".name")})


# ---------------------------------------------------------------- what findings are made with


def test_lasting_wants_the_last_looks_and_all_of_them():
    series = [(1, 0.0), (2, 5.0), (3, 6.0), (4, 7.0)]
    assert lasting(series, lambda value: value > 4) == series[1:]
    assert lasting(series, lambda value: value > 5) == []
    assert lasting(series[:2], lambda value: True) == []
    assert lasting(series, lambda value: value > 5, looks=2) == series[2:]


def test_the_last_looks_come_with_their_steps_or_not_at_all():
    records = looking(a=1.0)
    assert _base.last_looks(records) == ((400, 500, 600), [{"a": 1.0}] * 3)
    assert _base.last_looks(replace(records, looks=records.looks[:2])) == ((), [])


def test_the_relativistic_objective_is_advised_without_batch_norm():
    plain = {"objective.name": "relativistic", "penalties": "r1,r2"}
    for norm, more in (("batch", {"network.discriminator_norm": "none"}), ("layer", {})):
        records = replace(looking(diversity=0.0, twins=0.0), recipe={"network.discriminator_norm": norm})
        assert _base.relativistic(records, "so", "them") == _base.Advice({**plain, **more}, "so", "them")
        assert {**plain, **more} in [each.set for each in diagnosis("mode-collapse").find(records).advice]


def test_evidence_is_the_median_and_its_steps():
    assert evidence("x", [(1, 1.0), (2, 9.0), (3, 2.0)], 0.5) == Evidence("x", 2.0, 0.5, (1, 2, 3))


def test_confidence_is_a_half_at_the_threshold_and_grows_on_both_sides():
    assert confidence(2.0, 2.0) == 0.5
    assert confidence(6.0, 2.0) == 0.75 == confidence(2.0, 6.0)
    assert confidence(0.0, 0.0) == 0.5


def test_rates_multiply_numbers_and_the_first_value_of_a_schedule():
    records = Records(
        recipe={"optimizer.generator.lr": 0.001, "optimizer.discriminator.lr.values": [0.002, 0.0]}
    )
    assert rates(records, 0.5, 0.25) == {
        "optimizer.generator.lr": 0.0005,
        "optimizer.discriminator.lr": 0.0005,
    }
    assert rates(records, 1.0, 1.0) == {} == rates(Records(), 0.5, 0.5)


def test_a_metric_and_a_signal_that_are_not_there_are_empty():
    assert Records().metric() == ("", True, [])
    assert looking(a=1.0).signal("b") == []
    assert _base.times(Records(), "x", 2.0) == {}


def test_severities_are_ordered():
    assert at_least("severe", "warning")
    assert at_least("warning", "warning")
    assert not at_least("info", "warning")


def test_the_severe_come_first():
    records, _ = stored("rates-0.03")
    order = [each["severity"] for each in findings(records)]
    assert order == sorted(order, key=("severe", "warning", "info").index)
    json.dumps(findings(records), allow_nan=False)


# ---------------------------------------------------------------- runs

SICK = {
    "signals.every": 2, "optimizer.generator.lr": 5.0, "optimizer.discriminator.lr": 5.0,
    "network.width": 4,
}  # fmt: skip


@pytest.fixture(scope="module")
def sick(tmp_path_factory):
    """A run whose learning rates are absurd, and its events."""
    out = tmp_path_factory.mktemp("sick") / "run"
    return out, tiny.train(out, 20, changes=SICK)


def test_a_run_says_what_it_sees_while_it_trains(sick):
    out, events = sick
    told = [event for event in events if event["event"] == "finding"]
    assert told
    pairs = [(event["name"], event["severity"]) for event in told]
    assert len(set(pairs)) == len(pairs), "each is told once"
    stored_too = json.loads((out / "findings.json").read_text())["findings"]
    assert stored_too == duel.diagnose(out)["findings"]
    assert all(Path(each["picture"]).is_file() for each in stored_too)


def test_the_command_shows_what_the_function_finds(sick, capsys, monkeypatch):
    out, _ = sick
    status, text, _ = tiny.command(capsys, monkeypatch, "diagnose", out, "--json")
    assert status == 0
    assert json.loads(text) == duel.diagnose(out)
    status, text, _ = tiny.command(capsys, monkeypatch, "diagnose", out)
    for each in duel.diagnose(out)["findings"]:
        assert f"{each['severity'].upper()} {each['name']}" in text
        assert each["explanation"] in text
    assert "[1] --set " in text
    assert f"train --from {out} --advice 1" in text


def test_a_hopeless_run_is_ended_early_and_can_go_on(tmp_path, capsys, monkeypatch):
    changes = [f"--set={key}={value}" for key, value in {**tiny.TINY, **SICK}.items()]
    place = tmp_path / "run"
    status, text, _ = tiny.command(
        capsys, monkeypatch, "train", "dcgan", "--out", place, "--steps", 60, "--stop-on", "severe", *changes
    )
    assert status == 0
    run = duel.load(place)
    assert run.state["state"] == "stopped"
    assert run.state["last"] < 60
    assert "stopped by the finding" in next(run.events("end"))["message"]
    assert "stopped early" in text
    assert re.search(rf"^next\n.* diagnose {place}$", text, re.MULTILINE)
    status, _, _ = tiny.command(capsys, monkeypatch, "train", "--resume", place)
    assert status == 0
    assert duel.load(place).state["state"] == "done"


def test_a_run_without_findings_does_not_send_anybody_to_them(tmp_path, capsys, monkeypatch):
    changes = [f"--set={key}={value}" for key, value in {**tiny.TINY, "signals.every": 0}.items()]
    _, text, _ = tiny.command(
        capsys, monkeypatch, "train", "dcgan", "--out", tmp_path / "run", "--steps", 2, *changes
    )
    assert "next\n" in text
    assert " diagnose " not in text


# ---------------------------------------------------------------- a picture of what was learnt by heart

BY_HEART = {
    "data.resolution": 8, "network.generator_hidden": [128], "network.discriminator_hidden": [128],
    "latent.size": 8, "batch_size": 16, "signals.every": 100, "log.every": 500, "sample.every": 1200,
    "checkpoint.every": 600, "optimizer.generator.lr": 1e-3, "optimizer.discriminator.lr": 1e-3,
}  # fmt: skip


@pytest.fixture(scope="module")
def by_heart(tmp_path_factory):
    """A run on eight images that has learnt them by heart, and the folder of the images."""
    place = tmp_path_factory.mktemp("by-heart")
    (place / "eight").mkdir()
    for number, image in enumerate(
        catalog.load_class("datasets", "digits")().load().splits["train"].samples[:8]
    ):
        Image.fromarray(image[0]).save(place / "eight" / f"{number}.png")
    tiny.train(place / "run", 1200, recipe="gan", data=str(place / "eight"), changes=BY_HEART)
    return duel.load(place / "run"), place / "eight"


def pictured(run):
    """The picture of the finding, which is there."""
    return {each["name"]: Path(each["picture"]) for each in duel.diagnose(run)["findings"]}["memorisation"]


def tiles(sheet, row):
    """Eight images of 8×8, of a sheet that shows each pixel six times, below its title."""
    pixels = np.asarray(sheet)[16:]
    assert pixels.shape == (2 * 50 + 2, 8 * 50 + 2, 3)
    assert (pixels == pixels[..., :1]).all()
    top = 2 + 50 * row
    return np.stack([pixels[top : top + 48 : 6, 2 + 50 * n : 50 + 50 * n : 6, 0] for n in range(8)])


def test_what_was_learnt_by_heart_is_shown_above_what_it_was_learnt_from(by_heart):
    run, _ = by_heart
    found = pictured(run)
    assert found == run.path / "memorised.png"
    with Image.open(found) as sheet:
        above, below = tiles(sheet, 0), tiles(sheet, 1)
    samples = run.sample(8, seed=0)[:, 0]
    assert np.array_equal(above, np.rint(samples * 255))
    train = run.recipe.data.load().splits["train"].samples[:, 0]
    for sample, shown in zip(above.astype(float), below, strict=True):
        apart = [np.square(sample - image).sum() for image in train]
        assert np.array_equal(shown, train[np.argmin(apart)])
    before = found.read_bytes()
    found.unlink()
    assert pictured(run).read_bytes() == before, "the same samples each time"


def test_a_neighbour_is_looked_for_among_all_training_images():
    train = np.random.default_rng(0).integers(0, 256, (2500, 3, 16, 16), np.uint8)
    chosen = [2499, 0, 1000, 999, 2000]
    near = np.clip(train[chosen].astype(int) + 3, 0, 255).astype(np.uint8)
    assert nearest_images(near, train).tolist() == chosen


def test_where_the_pairs_cannot_be_drawn_there_is_the_grid(by_heart, sick, tmp_path, monkeypatch):
    whole, images = by_heart
    shutil.copytree(whole.path, tmp_path / "run")
    run = duel.load(tmp_path / "run")
    drawn = pictured(run)
    drawn.unlink()

    def grid_only():
        return pictured(run).parent == run.samples_folder and not drawn.exists()

    with monkeypatch.context() as patch:
        patch.setattr(Run, "write_picture", lambda *_: (_ for _ in ()).throw(OSError("read-only")))
        assert grid_only()
    (run.path / "checkpoints").rename(run.path / "gone")
    assert grid_only()
    (run.path / "gone").rename(run.path / "checkpoints")
    assert pictured(run) == drawn
    drawn.unlink()
    kept = (images / "0.png").read_bytes()
    try:
        Image.new("L", (8, 8)).save(images / "0.png")
        assert grid_only(), "the data are others now"
        (images / "0.png").write_bytes(kept)
        images.rename(images.parent / "moved")
        assert grid_only(), "the data are gone"
        (images.parent / "moved").rename(images)
    finally:
        (images / "0.png").write_bytes(kept)
    assert pictured(run) == drawn


def test_of_points_there_are_no_pairs(tmp_path):
    tiny.train(tmp_path / "run", 2, recipe="gan", data="ring")
    assert draw_memorised(duel.load(tmp_path / "run")) is None


def test_nothing_is_downloaded_for_a_picture(by_heart, monkeypatch):
    run, _ = by_heart
    seen = []
    load = type(run.recipe.data).load
    monkeypatch.setattr(
        type(run.recipe.data), "load", lambda self: seen.append(os.environ.get("DUEL_OFFLINE")) or load(self)
    )
    for before in (None, "0"):
        if before is None:
            monkeypatch.delenv("DUEL_OFFLINE", raising=False)
        else:
            monkeypatch.setenv("DUEL_OFFLINE", before)
        assert draw_memorised(run) is not None
        assert os.environ.get("DUEL_OFFLINE") == before
    assert seen == ["1", "1"]


def test_an_advised_run_starts_afresh_and_names_its_ancestor(sick, tmp_path):
    out, _ = sick
    with duel.train(advised=(out, 1), out=tmp_path / "next") as session:
        list(session)
    run, old = duel.load(tmp_path / "next"), duel.load(out)
    name, one = advice(duel.diagnose(old)["findings"])[0]
    origin = run.provenance["advised"]
    assert origin == {"run": str(out.resolve()), "finding": name, "advice": 1, "set": one["set"]}
    flat = recipes.flatten(run.recipe.to_tree())
    assert {key: flat[key] for key in one["set"]} == one["set"]
    assert run.recipe.seed == old.recipe.seed
    assert run.state["last"] == old.state["last"]


def test_initial_weights_of_dense_layers_are_advised_to_dense_networks_only():
    for name, expected in (("dense", True), ("dcgan", False)):
        records = replace(looking(gradient_g=1e4, dead={}), recipe={"network.name": name})
        found = diagnosis("exploding-layers").find(records)
        assert any("network.init_linear" in each.set for each in found.advice) == expected


def test_advice_that_there_is_not_is_refused(sick, tmp_path, capsys, monkeypatch):
    out, _ = sick
    for number in (0, 99):
        status, _, error = tiny.command(
            capsys, monkeypatch, "train", "--from", out, "--advice", number, "--out", tmp_path / "no"
        )
        assert status == 2
        assert f"advice {number} of {out} was asked for, allowed are 1 to" in error
    for half in (["--from", out], ["--advice", 1]):
        status, _, error = tiny.command(capsys, monkeypatch, "train", *half)
        assert status == 2
        assert "belong together" in error
    assert not (tmp_path / "no").exists()


def test_the_journal_of_a_resumed_run_does_not_repeat_itself(tmp_path):
    first = tiny.train(tmp_path / "run", 10, changes=SICK)
    with duel.train(resume=tmp_path / "run", steps=20) as session:
        second = list(session)
    told = [(e["name"], e["severity"]) for e in (*first, *second) if e["event"] == "finding"]
    assert len(told) == len(set(told))


# ---------------------------------------------------------------- clipped critics, tiny latents, rates


@pytest.mark.parametrize("name", NAMES)
def test_advice_for_a_clipped_critic_never_leaves_the_clip_beside_a_penalty_or_another_objective(name):
    """Every finding of every record, as if its critic were clipped."""
    clipped = {
        "objective.name": "wasserstein",
        "constraints.clip.name": "clip",
        "constraints.clip.limit": 0.01,
    }
    advised = 0
    for case in CASES:
        records, _ = stored(case)
        records = replace(records, recipe={**records.recipe, **clipped})
        for each in findings(records):
            if each["name"] != name:
                continue
            for one in each["advice"]:
                other = one["set"].get("objective.name", "wasserstein") != "wasserstein"
                if one["set"].get("penalties") or other:
                    advised += 1
                    assert one["set"]["constraints"] == "none", one
    if name in ("partial-collapse", "mode-collapse", "discriminator-too-strong"):
        assert advised


def test_an_unclipped_critic_and_an_advice_of_rates_keep_what_they_have():
    penalty = {"penalties": "r1"}
    assert _base.unclipped(Records(), penalty) == penalty
    clip = Records(recipe={"constraints.clip.limit": 0.01, "objective.name": "wasserstein"})
    for kept in ({"optimizer.generator.lr": 0.1}, {"objective.name": "wasserstein"}, {"penalties": ""}):
        assert _base.unclipped(clip, kept) == kept
    assert _base.unclipped(clip, penalty) == {**penalty, "constraints": "none"}


def test_an_untrained_generator_has_not_collapsed():
    def said(update, movement, diversity=0.05):
        table = {"generator.0.weight": update}
        return diagnosis("mode-collapse").find(
            looking(diversity=diversity, movement=movement, update_ratio=table)
        )

    assert said(5e-7, 0.03) is None
    assert said(1e-3, 0.03) is not None, "it learns"
    assert said(5e-7, 1.7) is not None, "it has moved: there it has collapsed"
    records = looking(diversity=0.05, movement=0.0, update_ratio={"generator.0.weight": 0.0})
    first = {**records.looks[0]["values"], "diversity": 0.9}
    once = [{**records.looks[0], "values": first}, *records.looks[1:]]
    assert diagnosis("mode-collapse").find(replace(records, looks=once)) is not None, "it was diverse once"
    assert diagnosis("mode-collapse").find(looking(diversity=0.05)) is not None, (
        "of others nothing more is known"
    )


@pytest.mark.parametrize("name", ["mode-collapse", "partial-collapse"])
def test_a_tiny_latent_vector_is_the_first_thing_to_change(name):
    values = {"diversity": 0.05 if name == "mode-collapse" else 0.5, "twins": 0.1}
    for size, facts, expected in (
        (2, {"constant_channels": []}, True),
        (8, {"constant_channels": []}, False),
        (2, {}, False),  # points
    ):
        records = replace(looking(**values), recipe={"latent.size": size}, facts=facts)
        found = diagnosis(name).find(records)
        assert ("latent.size" in found.advice[0].set) == expected


def broken(**recipe):
    """A run that broke down before its first look: no large updates any more, samples like nothing."""
    records = looking(
        precision=0.0, update_ratio={"generator.0.weight": 1e-8, "discriminator.0.weight": 1e-4}
    )
    names = {f"optimizer.{player}.name": "adam" for player in ("generator", "discriminator")}
    return replace(records, recipe={**names, **recipe}, facts={"held_out": {"precision": 0.9}})


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_rates_that_broke_everything_before_the_first_look_are_named(player):
    key, other = (
        f"optimizer.{player}.lr",
        {"generator": "discriminator", "discriminator": "generator"}[player],
    )
    records = broken(**{key: 0.1, f"optimizer.{other}.lr": 2e-4})
    found = diagnosis("learning-rate-too-high").find(records)
    assert [each.signal for each in found.evidence] == [key]
    assert found.advice[0].set == {key: 0.01}
    assert diagnosis("learning-rate-too-high").find(broken(**{key: 0.01})) is None
    sgd = broken(**{key: 0.1, f"optimizer.{player}.name": "sgd"})
    assert diagnosis("learning-rate-too-high").find(sgd) is None
    good = replace(records, looks=[{**look, "values": {"precision": 0.5}} for look in records.looks])
    assert diagnosis("learning-rate-too-high").find(good) is None


def test_absurd_rates_are_not_advised_by_halves():
    assert nonfinite.workable(5e29) == 1e-3
    assert nonfinite.workable(0.1) == 0.1
    assert nonfinite.workable([5e29, 1e-4]) == [1e-3, 1e-4]
    assert nonfinite.workable("adam") == "adam"
    records = Records(recipe={"optimizer.generator.lr": 5.0, "optimizer.discriminator.lr": 0.02})
    assert rates(records, 0.1, 10.0) == {"optimizer.generator.lr": 1e-3, "optimizer.discriminator.lr": 0.2}


def test_a_run_of_absurd_rates_is_advised_rates_that_work(tmp_path):
    lr = {"values": [1e30, 1e30], "at": [0, 5000]}
    changes = {"optimizer.generator.lr": lr, "optimizer.discriminator.lr": 1e30, "signals.every": 0}
    tiny.train(tmp_path / "run", 20, changes=changes)
    (finding,) = duel.diagnose(tmp_path / "run")["findings"]
    settings = finding["advice"][0]["set"]
    assert finding["name"] == "non-finite"
    assert settings["optimizer.discriminator.lr"] == 1e-3
    assert list(settings["optimizer.generator.lr.values"]) == [1e-3, 1e-3]
    assert list(settings["optimizer.generator.lr.at"]) == [0, 5000]


def test_few_training_samples_are_a_problem_of_the_data():
    found = diagnosis("data-problem").find(Records(facts={"train": 7}))
    assert "only 7 to learn from" in found.explanation
    assert found.evidence == (Evidence("training samples", 7, 100, (0,)),)
    assert diagnosis("data-problem").find(Records(facts={"train": 100})) is None


def test_advice_and_words_on_blur_fit_the_upscaling():
    def said(**recipe):
        records = replace(looking(sharpness=0.1, diversity=0.9), recipe=recipe)
        found = diagnosis("oversmooth").find(records)
        return found.explanation + " ".join(each.reason for each in found.advice)

    assert "bilinear" not in said(**{"network.upscale": "transposed"})
    assert "upscaling smooths" not in said(**{"network.upscale": "transposed"})
    assert "bilinear" in said(**{"network.upscale": "bilinear"})


def test_where_all_classes_are_bad_no_others_vary():
    looks = [{**look, "values": {"class_shares": [0.0, 0.0], "precision": 0.9}} for look in looking().looks]
    facts = {"class_counts": [50, 50], "held_out": {"label_accuracy": 0.9}}
    found = diagnosis("class-collapse").find(Records(looks=looks, facts=facts))
    assert "Every class is always the same image or missing" in found.explanation
    assert "other classes vary" not in found.explanation


def test_tables_of_different_length_do_not_matter():
    values = {"class_diversity": [0.1, 0.9, 0.9, 0.9], "class_shares": [0.0], "precision": 0.9}
    looks = [{**look, "values": values} for look in looking().looks]
    looks[-1] = {**looks[-1], "values": {**values, "class_diversity": [0.1, 0.9]}}
    facts = {"class_counts": [50, 50], "held_out": {"label_accuracy": 0.9}}
    assert diagnosis("class-collapse").find(Records(looks=looks, facts=facts)) is not None


# ---------------------------------------------------------------- a log that is damaged


@pytest.mark.parametrize(
    ("event", "left", "wrong"),
    [
        ({"event": "step", "step": 1, "loss_d": "abc"}, None, "loss_d is 'abc'"),
        ({"event": "step", "step": 1, "loss_d": 10**400}, None, "loss_d is 1000"),
        ({"event": "step", "step": 1, "loss_d": math.nan}, None, "loss_d is nan"),
        ({"event": "step", "step": "1"}, None, "step is '1'"),
        ({"event": "step", "step": True}, None, "step is True"),
        ({"event": "step", "step": -1}, None, "step is -1"),
        ({"event": "signal", "values": {}}, None, "step is missing"),
        ({"step": 1}, None, "event is missing"),
        ({"event": ["step"], "step": 1}, None, "event is ['step']"),
        ({"event": "signal", "step": 1, "values": 3}, None, "values is 3"),
        ({"event": "signal", "step": 0, "facts": "x"}, None, "facts is 'x'"),
        (
            {"event": "signal", "step": 1, "values": {"twins": [1], "nearest": 2.0, "class_shares": []}},
            {"event": "signal", "step": 1, "values": {"nearest": 2.0}},
            "twins is [1]",
        ),
        (
            {"event": "signal", "step": 0, "facts": {"class_counts": ["9"], "train": 5, "held_out": []}},
            {"event": "signal", "step": 0, "facts": {"train": 5}},
            "class_counts is ['9']",
        ),
        (
            {
                "event": "metric",
                "step": 1,
                "name": "fid",
                "better": "lower",
                "value": 1,
                "low": None,
                "high": 1,
            },
            None,
            "low is None",
        ),
        ({"event": "finding", "step": 1, "name": [], "severity": "severe"}, None, "name is []"),
        ({"event": "sample", "step": 1, "time": "x"}, {"event": "sample", "step": 1}, "time is 'x'"),
    ],
)
def test_what_of_an_event_is_left_out(event, left, wrong):
    found, faults = events.checked(event)
    assert found == left
    assert faults[0].startswith(wrong)
    if found is not None:
        assert events.checked(found) == (found, [])


def test_no_event_of_a_real_run_is_damaged(sick, by_heart):
    for run in (duel.load(sick[0]), by_heart[0]):
        assert events.note(run.events_file) is None
        assert list(run.events()) == [json.loads(line) for line in run.events_file.read_text().splitlines()]


WEIRD = ["abc", 10**400, True, -1, None, [], {}, [[]], {"a": "b"}, 1e308, math.nan]


def places(value, before=()):
    """Where every value inside a JSON value is."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield (*before, key)
        yield from places(each, (*before, key))


def test_no_damaged_event_breaks_a_diagnosis(sick):
    run = duel.load(sick[0])
    recipe, lines = run.recipe, list(run.events())
    rng = np.random.default_rng(0)
    judged = [n for n, line in enumerate(lines) if line["event"] in ("step", "signal", "finding")]
    for _ in range(400):
        number = int(rng.choice(judged))
        changed_line = copy.deepcopy(lines[number])
        found = list(places(changed_line))
        *path, last = found[rng.integers(len(found))]
        at = changed_line
        for key in path:
            at = at[key]
        at[last] = WEIRD[rng.integers(len(WEIRD))]
        told = Journal(recipe, 20)
        for each in (*lines[:number], changed_line, *lines[number + 1 :]):
            left, _ = events.checked(each)
            if left is not None:
                told.add(left)
        json.dumps(told.findings(), allow_nan=False)


@pytest.fixture
def damaged(sick, tmp_path):
    """A copy of the sick run; a line of its log, the fourth of its steps, has a loss that is a text."""
    shutil.copytree(sick[0], tmp_path / "run")
    run = duel.load(tmp_path / "run")
    lines = [json.loads(line) for line in run.events_file.read_text().splitlines()]
    number = [n for n, line in enumerate(lines) if line["event"] == "step"][3]
    lines[number]["loss_d"] = "abc"
    run.events_file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run, number + 1


def test_a_damaged_line_is_left_out_and_said(damaged, capsys, monkeypatch, tmp_path):
    run, line = damaged
    said = f"line {line} of events.jsonl: loss_d is 'abc'; left out"
    assert duel.diagnose(run)["notes"] == [said]
    status, text, _ = tiny.command(capsys, monkeypatch, "diagnose", run.path)
    assert status == 0
    assert f"note: {said}" in text
    with run.events_file.open("a") as file:
        file.write('{"event": "step"}\n{cut\n')
    assert duel.diagnose(run)["notes"] == [f"3 lines of events.jsonl are damaged; the first: {said}"]
    with duel.train(advised=(run.path, 1), out=tmp_path / "next", steps=2) as session:
        list(session)
    with duel.train(resume=run.path, steps=22) as session:
        resumed = list(session)
    assert resumed[-1]["reason"] == "done"
    assert any(said in event.get("message", "") for event in resumed)
    assert duel.diagnose(run)["notes"] == [], "what was left out is gone"


def test_a_folder_in_place_of_the_log_is_one_sentence(damaged, capsys, monkeypatch):
    run, _ = damaged
    run.events_file.unlink()
    run.events_file.mkdir()
    for command in (["diagnose", run.path], ["train", "--resume", run.path, "--steps", 22]):
        status, _, error = tiny.command(capsys, monkeypatch, *command)
        assert status == 2
        assert "events.jsonl is no file" in error


@pytest.mark.parametrize("content", ["garbage", "[]", '{"format": 1, "findings": [3, {"name": 5}, null]}'])
def test_damaged_findings_are_found_again(sick, tmp_path, content):
    shutil.copytree(sick[0], tmp_path / "run")
    run = duel.load(tmp_path / "run")
    before = [each["name"] for each in duel.diagnose(run)["findings"]]
    (run.path / "findings.json").write_text(content)
    again = duel.diagnose(run)
    assert [each["name"] for each in again["findings"]] == before
    assert any("findings.json is damaged" in note for note in again["notes"]) == (content[0] != "{")
    with duel.train(resume=run.path, steps=22) as session:
        assert list(session)[-1]["reason"] == "done"
    assert run.findings()


def test_a_finding_of_findings_json_is_whole(sick):
    (found, *_) = duel.load(sick[0]).findings()
    assert events.finding_fits(found)
    for place in places(found):
        if place[0] not in ("picture",) and "set" not in place[:-1]:
            other = copy.deepcopy(found)
            at = other
            for key in place[:-1]:
                at = at[key]
            at[place[-1]] = [[]]
            assert not events.finding_fits(other), place


# ---------------------------------------------------------------- where nothing could be seen


@pytest.mark.parametrize(
    ("every", "steps", "word"),
    [
        (0, 4, "nothing can be said: this run is never looked at (signals.every=0), 3 looks are needed"),
        (100, 4, "nothing can be said yet: no look is recorded, 3 are needed (signals.every=100)"),
        (3, 4, "nothing can be said yet: 1 look is recorded, 3 are needed (signals.every=3)"),
        (2, 5, "nothing can be said yet: 2 looks are recorded, 3 are needed (signals.every=2)"),
    ],
)
def test_too_few_looks_are_said(tmp_path, every, steps, word):
    tiny.train(tmp_path / "run", steps, changes={"signals.every": every})
    (note,) = duel.diagnose(tmp_path / "run")["notes"]
    assert note.endswith(word)


def test_a_missing_log_is_said(tmp_path):
    tiny.train(tmp_path / "run", 4, changes={"signals.every": 1})
    assert duel.diagnose(tmp_path / "run")["notes"] == []
    (tmp_path / "run" / "events.jsonl").unlink()
    (note,) = duel.diagnose(tmp_path / "run")["notes"]
    assert note == "nothing can be said yet: events.jsonl is missing, in which 3 looks are needed"


def test_a_run_that_is_never_looked_at_cannot_be_ended_by_what_is_seen(tmp_path, capsys, monkeypatch):
    status, _, error = tiny.command(
        capsys, monkeypatch, "train", "dcgan", "--out", tmp_path / "a", "--stop-on", "severe",
        "--set", "signals.every=0",
    )  # fmt: skip
    assert status == 2
    assert "signals.every=0 looks at nothing" in error
    assert not (tmp_path / "a").exists()
    tiny.train(tmp_path / "b", 2, changes={"signals.every": 0})
    with pytest.raises(RecipeError, match="looks at nothing"):
        duel.train(resume=tmp_path / "b", steps=4, stop_on="info")


# ---------------------------------------------------------------- what is said and refused


def test_what_is_neither_a_run_nor_samples_is_said(sick, tmp_path):
    (tmp_path / "log.csv").write_text("loss_d\n1\n")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    (tmp_path / "samples").mkdir()
    checkpoint = next((sick[0] / "checkpoints").iterdir())
    for target, word in (
        (tmp_path / "nowhere", "does not exist"),
        (tmp_path / "log.csv", "is a file: a log is given as --log "),
        (tmp_path / "run", "is a run without recipe.toml"),
        (tmp_path / "samples", "needs --against"),
        (checkpoint, "is a checkpoint of .*: diagnose that run"),
    ):
        with pytest.raises(RunError, match=word):
            duel.diagnose(target)


def test_an_advised_run_is_not_taken_up_at_once(sick, tmp_path, capsys, monkeypatch):
    status, _, error = tiny.command(
        capsys, monkeypatch, "train", "--resume", sick[0], "--from", sick[0], "--advice", 1
    )
    assert status == 2
    assert "an advised run begins afresh" in error


def test_an_advised_run_says_what_was_changed(sick, tmp_path, capsys, monkeypatch):
    name, one = advice(duel.diagnose(sick[0])["findings"])[0]
    status, text, _ = tiny.command(
        capsys, monkeypatch, "train", "--from", sick[0], "--advice", 1, "--out", tmp_path / "a", "--steps", 2
    )
    assert status == 0
    first = text.splitlines()[0]
    assert str(sick[0].resolve()) in first
    assert name in first
    assert all(key in first for key in one["set"])


def test_an_edited_recipe_is_said(sick, tmp_path):
    shutil.copytree(sick[0], tmp_path / "run")
    file = tmp_path / "run" / "recipe.toml"
    file.write_text(file.read_text().replace("width = 4", "width = 8"))
    said = duel.diagnose(tmp_path / "run")["notes"]
    assert [note for note in said if "recipe.toml was edited since the run" in note]
    with duel.train(advised=(tmp_path / "run", 1), out=tmp_path / "next", steps=2) as session:
        warnings = [event["message"] for event in session if event["event"] == "warning"]
    assert any("was edited since" in warning for warning in warnings)


FOUND = {
    "name": "x", "severity": "warning", "confidence": 0.8214, "explanation": "It is so.",
    "evidence": [{"signal": "twins", "value": 0.0041234, "threshold": 0.05, "steps": [100, 200, 300]}],
    "advice": [{"set": {"n_critic": 1}, "reason": "fewer", "source": "Them 2020"}],
}  # fmt: skip


def test_a_finding_is_told_with_few_digits_the_side_and_the_confidence():
    assert display.finding_text(FOUND).splitlines() == [
        "WARNING x (confidence 0.82): It is so.",
        "  seen   twins 0.004123, below 0.05 (steps 100 to 300)",
        "  advice --set n_critic=1: fewer (Them 2020)",
    ]
    at = {"signal": "s", "threshold": 2.0, "steps": [0]}
    told = [display.finding_text({**FOUND, "evidence": [{**at, "value": value}]}) for value in (2e8, 7, 2.0)]
    assert [text.splitlines()[1].strip() for text in told] == [
        "seen   s 2e+08, above 2 (step 0)", "seen   s 7, above 2 (step 0)", "seen   s 2, at 2 (step 0)",
    ]  # fmt: skip
    none = {**FOUND, "evidence": [{**at, "value": "nan", "threshold": "finite"}]}
    assert "seen   s nan, not finite (step 0)" in display.finding_text(none)


def test_others_are_not_advised_settings_of_a_program_that_they_do_not_use():
    text = display.findings_text([FOUND], None)
    assert "--set" not in text
    assert "[1]" not in text
    assert "  advice fewer (Them 2020)" in text
    assert "[1] --set n_critic=1: fewer" in display.findings_text([FOUND], "runs/a")


def test_an_explanation_is_told_once_where_a_run_is_ended(tmp_path, capsys, monkeypatch):
    changes = [f"--set={key}={value}" for key, value in {**tiny.TINY, **SICK}.items()]
    place = tmp_path / "run"
    _, text, error = tiny.command(
        capsys, monkeypatch, "train", "dcgan", "--out", place, "--steps", 60, "--stop-on", "severe", *changes
    )
    (name,) = re.findall(r"stopped by the finding (\S+) at step", error)
    explanation = next(each for each in duel.load(place).findings() if each["name"] == name)["explanation"]
    assert (text + error).count(explanation) == 1


def test_errors_of_a_damaged_run_are_of_duels_kind(damaged):
    run, _ = damaged
    (run.path / "run.json").write_text("{}")
    with pytest.raises(DuelError):
        duel.diagnose(run.path)


# ---------------------------------------------------------------- a log alone


def certain(count=60, real=0.9999, fake=1e-5, losses=None):
    losses = losses or [5 + n / 10 for n in range(count)]
    row = {"event": "step", "loss_d": 1e-6, "d_real": real, "d_fake_before": fake}
    return Records(steps=[{**row, "step": 10 * n, "loss_g": loss} for n, loss in enumerate(losses)])


def test_a_log_alone_shows_a_discriminator_that_has_won():
    strong = diagnosis("discriminator-too-strong")
    found = strong.find(certain())
    assert found.severity == "warning"
    assert [each.signal for each in found.evidence] == ["D(x)", "D(G(z))", "the generator's loss"]
    assert strong.find(certain(fake=0.05)) is None
    assert strong.find(certain(real=0.9)) is None
    assert strong.find(certain(real=12.0)) is None, "a critic's score is no probability"
    assert strong.find(certain(losses=[10 - n / 10 for n in range(60)])) is None, "the generator gets better"
    assert strong.find(certain(count=19)) is None
    assert strong.find(replace(certain(), looks=looking(precision=0.9).looks)) is None, "samples say more"


@pytest.mark.parametrize("case", HEALTHY)
def test_the_log_of_a_healthy_run_shows_none(case):
    records, _ = stored(case)
    assert diagnosis("discriminator-too-strong").find(replace(records, looks=())) is None


def test_the_log_of_a_sick_run_shows_it():
    records, _ = stored("sgd")
    assert diagnosis("discriminator-too-strong").find(replace(records, looks=())) is not None


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--stop-on", "bad", "'bad' is not one of 'severe', 'warning', 'info'."),
        ("--advice", "x", "a valid integer is wanted."),
    ],
)
def test_a_wrong_option_is_said_in_plain_words(capsys, monkeypatch, option, value, words):
    status, _, error = tiny.command(capsys, monkeypatch, "train", "dcgan", option, value)
    assert status == 2
    assert f"'{option}': {words}" in error
