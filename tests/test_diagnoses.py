"""Diagnoses: each finds its planted fault in the records of a real run, and is silent on healthy ones.

tests/records holds what runs of bench/diagnosis.py have recorded (`… fixtures tuning --into tests/records`).
"""

import copy
import gzip
import json
from dataclasses import fields, replace
from pathlib import Path

import pytest
import tiny

import duel
from duel import catalog
from duel import recipe as recipes
from duel.diagnose import Journal, advice, at_least, changed, findings
from duel.diagnoses import _base
from duel.diagnoses._base import Evidence, Records, confidence, evidence, lasting, rates

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
    status, _, _ = tiny.command(capsys, monkeypatch, "train", "--resume", place)
    assert status == 0
    assert duel.load(place).state["state"] == "done"


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
