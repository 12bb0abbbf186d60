"""Advice: the rule on made evidence whose truth is known, a look at odd folders, what is said and written."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny
from PIL import Image

import duel
from duel import recipe as recipes
from duel import table
from duel.advise import advise, evidence, look, rule, show
from duel.advise.cautions import Size, cautions
from duel.advise.evidence import Evidence, Study
from duel.advise.reasons import labels_gain
from duel.errors import DataError, InputError, RecipeError

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

import advise as bench

ORIGIN = dict.fromkeys(look.FEATURES, 0.0)
TINY = {"network.width": 4, "latent.size": 5, "batch_size": 8}
ADVICE = {
    "severity": "warning",
    "explanation": "Too fast.",
    "advice": [{"set": {"n_critic": 2}, "reason": "slow it"}],
}


def study(values, name=evidence.RANKING, findings=None):
    """A study of values {(configuration, data, seed): value}; configurations are named recipes."""
    labels = dict.fromkeys(label for label, _, _ in values)
    configurations = {label: (label, dict(TINY)) for label in labels}
    return Study(name, "frechet-random", 40, 16, configurations, values, findings or {})


def made(of_data, places, *more, findings=None):
    """Evidence: {data: {recipe: [value by seed]}} and each data set's features that are not 0."""
    values = {
        (label, data, seed): value
        for data, of_label in of_data.items()
        for label, listed in of_label.items()
        for seed, value in enumerate(listed)
    }
    known = {data: {**ORIGIN, **places[data]} for data in of_data}
    used = {recipe for one in (study(values), *more) for recipe, _ in one.configurations.values()}
    digests = {name: evidence.recipe_digest(name) for name in used}
    return Evidence(
        known,
        (study(values, findings=findings), *more),
        digests,
        {name: {"mode-hopping": ADVICE} for name in used},
    )


TWO = made(
    {
        "near-0": {"dcgan": [2.0, 2.2], "sngan": [1.0, 1.1], "lsgan": [4.0, 4.4]},
        "near-1": {"dcgan": [8.0, 8.8], "sngan": [16.0, 17.6], "lsgan": [4.0, 4.4]},
    },
    {"near-0": {}, "near-1": {"colour": 1.0, "count": 1.0}},
)


def near_digits():
    """Evidence of one data set just beside the digits."""
    return near("digits")


def near(data, changes=None):
    """Evidence of one data set just beside these data, on which sngan is the best; smallest networks."""
    features = look.look(data, changes).features
    values = {"digits-like": {"dcgan": [2.0, 2.2], "sngan": [1.0, 1.1]}}
    found = {("sngan", "digits-like", 0): ("mode-hopping",), ("sngan", "digits-like", 1): ()}
    found["dcgan", "digits-like", 0] = ("mode-hopping",)
    return made(values, {"digits-like": features}, findings=found)


# ---------------------------------------------------------------- the rule


def test_the_recipe_that_is_best_on_similar_data_is_advised():
    assert rule.choose(TWO, ORIGIN).label == "sngan"
    assert rule.choose(TWO, {**ORIGIN, "colour": 1.0, "count": 1.0}).label == "lsgan"


def test_the_score_is_the_weighted_mean_logarithm():
    choice = rule.choose(TWO, ORIGIN)
    log2 = math.log(2)
    # weights 1 and 1 / (1 + 2); on both data sets the mean is 8 ^ (1/3) in units of the smallest value: log 2
    expected = {"sngan": -log2 + log2 / 3, "lsgan": log2 - log2 / 3, "dcgan": 0.0}
    assert choice.scores == pytest.approx({name: value / (4 / 3) for name, value in expected.items()})
    assert list(choice.scores) == ["sngan", "dcgan", "lsgan"]
    assert choice.distances == pytest.approx({"near-0": 0.0, "near-1": math.sqrt(2)})


def test_a_unit_of_each_feature_is_one_unit_of_distance():
    for name, (unit, _) in look.FEATURES.items():
        assert rule.distance(ORIGIN, {**ORIGIN, name: unit}) == pytest.approx(1), name


def test_a_run_that_diverged_counts_as_the_worst_there():
    values = {"a": {"dcgan": [2.0, 4.0], "sngan": [1.0, None]}}
    it = made(values, {"a": {}}).studies[0]
    assert rule.logarithms(it, "sngan", "a") == pytest.approx([0.0, math.log(4)])


def test_only_seeds_that_all_recipes_ran_with_count():
    values = {"a": {"dcgan": [2.0, 100.0], "sngan": [3.0]}, "b": {"dcgan": [1.0]}}
    it = made(values, {"a": {}, "b": {}})
    assert it.studies[0].seeds("a") == [0]
    assert rule.logarithms(it.studies[0], "dcgan", "a") == pytest.approx([math.log(2)])
    assert list(rule.choose(it, ORIGIN).distances) == ["a"]  # on b there is no such seed


def test_far_from_all_evidence_nothing_is_advised():
    unit = look.FEATURES["side"][0]
    near = rule.choose(TWO, {**ORIGIN, "side": -unit * rule.LIMIT})
    far = rule.choose(TWO, {**ORIGIN, "side": -unit * (rule.LIMIT + 0.01)})
    assert near.label == "sngan"
    assert (far.label, far.nearest, far.scores) == (None, "near-0", {})


def test_the_judgement_does_not_know_the_data_set_that_is_left_out():
    values = {
        "a": {"dcgan": [2.0, 2.0, 2.0], "sngan": [1.0, 1.0, 1.0]},
        "b": {"dcgan": [1.0, 1.0, 1.0], "sngan": [1.5, 1.6, 1.7]},
    }
    of_a, of_b = rule.judge(made(values, {"a": {}, "b": {}}))
    assert (of_a.data, of_a.advised, of_a.best) == ("a", "dcgan", "sngan")
    assert of_a.of_advice.interval == pytest.approx((1.0, 1.0, 1.0))
    assert not of_a.of_advice.passes
    assert (of_b.advised, of_b.best) == ("sngan", "dcgan")
    mean, low, high = of_b.of_advice.interval
    assert mean == pytest.approx((1.5 * 1.6 * 1.7) ** (1 / 3) - 1)
    assert low < mean < high
    assert of_b.of_default.ratios == (0.0, 0.0, 0.0)


def test_far_data_are_judged_by_the_default():
    values = {
        "a": {"dcgan": [2.0, 2.0], "sngan": [1.0, 1.0]},
        "b": {"dcgan": [1.0, 1.0], "sngan": [0.5, 0.5]},
    }
    judged = rule.judge(made(values, {"a": {}, "b": {"count": 9.0}}))
    assert [each.advised for each in judged] == ["dcgan", "dcgan"]
    assert rule.judge(made({"a": values["a"]}, {"a": {}})) == []  # nothing to learn from


@pytest.mark.parametrize(
    ("ratios", "passes"),
    [((0.0, 0.0), True), ((0.3, -0.1), True), ((0.04, 0.05, 0.045), True), ((0.2, 0.21, 0.2), False)],
    ids=["the best", "contains 0", "ends below 10 %", "neither"],
)
def test_when_a_regret_passes(ratios, passes):
    assert rule.Regret(ratios).passes == passes
    assert rule.together([rule.Regret(ratios), rule.Regret((1.0,))]).ratios == (*ratios, 1.0)


# ---------------------------------------------------------------- the evidence file


def test_evidence_is_read_as_it_was_written(tmp_path):
    it = near_digits()
    evidence.write(it, tmp_path / "e.json")
    assert evidence.read(tmp_path / "e.json") == it


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda tree: tree["features"].pop("side"), "stale"),
        (lambda tree: tree.pop("studies"), "damaged"),
        (lambda tree: tree["studies"][0]["runs"].append(tree["studies"][0]["runs"][0]), "there twice"),
        (lambda tree: tree["studies"][0]["runs"][0].update(value=0.0), "positive"),
        (lambda tree: tree["studies"][0]["runs"][0].update(configuration="gone"), "no configuration"),
    ],
    ids=["other features", "no studies", "a run twice", "a value of 0", "an unknown configuration"],
)
def test_stale_or_damaged_evidence_is_refused(tmp_path, change, said):
    file = tmp_path / "e.json"
    evidence.write(near_digits(), file)
    tree = json.loads(file.read_text())
    change(tree)
    file.write_text(json.dumps(tree))
    with pytest.raises(InputError, match=said) as caught:
        evidence.read(file)
    assert "bench/advise.py" in str(caught.value)


def test_the_evidence_that_travels_is_of_these_recipes():
    it = evidence.read()
    assert evidence.outdated(it) == [], "a recipe has changed: rebuild with bench/advise.py"
    for one in it.studies:
        assert set(one.data) <= set(it.data)
        for name, changes in one.configurations.values():
            recipes.resolve(recipes.change(recipes.read(name), changes))
    for one in it.studies:
        for (label, _, _), names in one.findings.items():
            assert set(names) <= set(it.findings.get(label, {}))


# ---------------------------------------------------------------- a look at the data


def test_what_the_features_measure():
    noise = np.random.default_rng(0).random((200, 1, 32, 32))
    one = np.repeat(noise[:1], 5, axis=0)
    grey = np.full((5, 1, 32, 32), 0.25)
    assert look.image_features(noise)["diversity"] == pytest.approx(1, abs=0.02)
    assert look.image_features(one)["diversity"] == pytest.approx(0)
    assert look.image_features(grey) == {"brightness": 0.25, "contrast": 0.0, "diversity": 0.0, "detail": 0.0}
    smooth = np.broadcast_to(np.linspace(0, 1, 32), (5, 1, 32, 32))
    assert look.image_features(smooth)["detail"] < 0.1 < 1 < look.image_features(noise)["detail"]


def picture(path, size=(20, 20), mode="RGB", seed=0):
    """A noisy picture in a few large blocks, so that small versions differ."""
    path.parent.mkdir(parents=True, exist_ok=True)
    blocks = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    Image.fromarray(blocks).resize(size, Image.Resampling.NEAREST).convert(mode).save(path)


def test_a_folder_of_mixed_sizes_and_colours_with_classes(tmp_path):
    for number in range(6):
        picture(tmp_path / "cats" / f"{number}.png", (40, 30), seed=number)
    for number in range(4):
        picture(tmp_path / "dogs" / f"{number}.png", (50, 90), "L", seed=10 + number)
    (tmp_path / "dogs" / "notes.txt").write_text("no picture")
    it = look.look(tmp_path)
    assert it.classes == {"cats": 6, "dogs": 4}
    assert (it.files, it.looked_at, it.unusable, it.whole) == (11, 11, 1, True)
    assert it.sides == (30, 30, 50)
    assert it.count == 8  # four fifths
    assert it.sample.spec.shape == (3, 64, 64)
    assert sorted(it.sample.splits["train"].labels) == [0] * 6 + [1] * 4
    assert it.features["side"] == pytest.approx(math.log2(30), abs=1e-4)
    assert it.features["classes"] == pytest.approx(math.log10(2), abs=1e-4)
    assert look.look(tmp_path / "dogs").sample.spec.shape[0] == 1  # all grey


def test_of_a_large_folder_a_seeded_sample_is_decoded(tmp_path, monkeypatch):
    for number in range(40):
        picture(tmp_path / "ab"[number % 2] / f"{number}.png", seed=number)
    opened = []
    decode = look.decode
    monkeypatch.setattr(look, "LOOKED_AT", 10)
    monkeypatch.setattr(look, "decode", lambda path: opened.append(path) or decode(path))
    first, second = look.look(tmp_path), look.look(tmp_path)
    assert opened[:10] == opened[10:]
    assert len(set(opened)) == 10
    assert first.features == second.features
    assert (first.count, first.looked_at, first.whole) == (32, 10, False)
    assert first.classes == {"a": 20, "b": 20}  # by their names
    monkeypatch.setattr(look, "_BYTES", 1)
    assert look.look(tmp_path).looked_at == 1  # the sample ends once that much has been read


def test_copies_are_counted(tmp_path):
    for number in range(5):
        picture(tmp_path / f"{number}.png", seed=number)
    picture(tmp_path / "same.png", seed=0)
    with Image.open(tmp_path / "1.png") as image:
        image.resize((60, 60)).save(tmp_path / "again.jpg", quality=70)
    it = look.look(tmp_path)
    assert (it.copies, it.near_copies) == (1, 1)


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (lambda folder: None, "no files"),
        (lambda folder: (folder / "a.txt").write_text("no"), "none of the 1 files"),
        (lambda folder: [picture(folder / "a.png"), picture(folder / "sub" / "b.png")], "both itself"),
    ],
    ids=["empty", "no images", "a mixture"],
)
def test_folders_without_something_to_train_on_are_refused(tmp_path, prepare, said):
    prepare(tmp_path)
    with pytest.raises(DataError, match=said):
        look.look(tmp_path)


def test_what_is_no_data_set_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    for wrong in (tmp_path / "file", tmp_path / "gone"):
        with pytest.raises(DataError):
            advise(wrong)
    with pytest.raises(RecipeError, match=r"data\.nonsense"):
        advise("digits", {"data.nonsense": 1})


# ---------------------------------------------------------------- warnings


@pytest.fixture(scope="module")
def clean():
    """A look at many good images, and the size they are trained at."""
    it = look.look("digits", {"data.resolution": 32})
    return dataclasses.replace(it, count=5000, looked_at=5000), Size(32, 32, 8, 128, {})


ODD = {
    "data": {"notes": ("a part only",)},
    "unusable-files": {"unusable": 3},
    "sample": {"files": 9000},
    "few-images": {"count": 499, "looked_at": 499},
    "imbalance": {"classes": {"a": 51, "b": 10, "c": 11}},
    "copies": {"near_copies": 50},
    "small-images": {"sides": (15, 15, 15)},
    "large-images": {"sides": (10, 129, 900)},
    "resolution": {},
    "stale-evidence": {},
}


@pytest.mark.parametrize("name", ODD)
def test_each_warning_comes_once_and_alone(clean, name):
    it, size = clean
    known, choice = TWO, rule.choose(TWO, ORIGIN)
    assert list(cautions(it, known, choice, size)) == []
    if name == "resolution":
        size = dataclasses.replace(size, wanted=33)
    if name == "stale-evidence":
        known = dataclasses.replace(TWO, recipes={"sngan": "another digest"})
    found = list(cautions(dataclasses.replace(it, **ODD[name]), known, choice, size))
    assert [each for each, _ in found] == [name]


def test_what_is_just_right_brings_no_warning(clean):
    it, size = clean
    fine = {"count": 500, "looked_at": 500, "classes": {"a": 50, "b": 10}, "near_copies": 4}
    fine["sides"] = (1, 128, 900)
    assert list(cautions(dataclasses.replace(it, **fine), TWO, rule.choose(TWO, ORIGIN), size)) == []


# ---------------------------------------------------------------- the advice


def test_the_advice_as_json(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(evidence, "read", near_digits)
    status, out, err = tiny.command(capsys, monkeypatch, "advise", "digits", "--json")
    assert (status, err) == (0, "")
    found = json.loads(out)
    assert list(found) == [
        "format", "data", "machine", "evidence", "recipe", "expected", "cost", "watch", "reasons", "warnings",
        "out", "command",
    ]  # fmt: skip
    assert found["format"] == 1
    assert found["data"]["count"] == 1426
    assert found["machine"]["cores"] >= 1
    assert found["evidence"] == {
        "far": False, "rule": rule.FAR, "limit": rule.LIMIT, "nearest": "digits-like", "distance": 0.0,
        "distances": {"digits-like": 0.0},
    }  # fmt: skip
    assert found["recipe"] == {"name": "sngan", "set": {**TINY, "steps": 40}}
    (near,) = found["expected"]
    assert (near["data"], near["metric"], near["steps"], near["seeds"]) == (
        "digits-like",
        "frechet-random",
        40,
        2,
    )
    assert near["value"] == pytest.approx(1.05)
    assert near["low"] < near["value"] < near["high"]
    assert found["cost"]["steps"] == 40
    assert min(found["cost"].values()) > 0
    assert found["watch"] == [{"finding": "mode-hopping", "runs": 1, "of": 2, **ADVICE}]
    assert "0.5 times dcgan's value" in " ".join(found["reasons"])
    assert [each["name"] for each in found["warnings"]] == ["small-images"]


def test_the_written_recipe_resolves_and_trains(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(evidence, "read", near_digits)
    file = tmp_path / "deep" / "recipe.toml"
    status, out, _ = tiny.command(capsys, monkeypatch, "advise", "digits", "--out", file)
    assert status == 0
    assert f"next: duel train {file}" in out
    for options in ({}, {"data": "digits"}):
        with duel.train(file, out=tmp_path / f"run-{len(options)}", steps=2, **options) as session:
            events = list(session)
        assert events[-1]["reason"] == "done"
        recipe = session.recipe
        assert (recipe.name, recipe.network.discriminator_norm, recipe.network.width) == (
            "sngan",
            "spectral",
            4,
        )
        assert session.run.spec.shape == (1, 8, 8)


def test_the_command_that_is_printed_is_the_recipe(capsys, monkeypatch, tmp_path):
    for number in range(20):
        picture(tmp_path / "my photos" / f"{number}.png", (37, 40), seed=number)
    known = near(tmp_path / "my photos")
    found = advise(tmp_path / "my photos", None, tmp_path / "r.toml", known)
    assert found["recipe"]["set"]["data.resolution"] == 40  # the nearest to 37 that the networks make
    assert {each["name"] for each in found["warnings"]} == {"few-images", "resolution"}
    printed = advise(tmp_path / "my photos", None, None, known)["command"]
    status, out, _ = tiny.command(capsys, monkeypatch, *shlex.split(printed)[1:], "--dry-run")
    assert status == 0
    (tmp_path / "printed.toml").write_text(out)
    one, other = (recipes.resolve(recipes.read(tmp_path / name)) for name in ("r.toml", "printed.toml"))
    found = recipes.differences(one, other)
    assert set(found) <= {"threads", "device"}
    assert one.augmentations, "few images: DiffAugment"


def test_large_images_are_advised_at_what_the_networks_make(tmp_path):
    for number in range(3):
        picture(tmp_path / f"{number}.png", (200, 200), seed=number)
    asked = {"data.resolution": 300}
    found = advise(tmp_path, asked, None, near(tmp_path, asked))
    assert found["recipe"]["set"]["data.resolution"] == 128
    names = [each["name"] for each in found["warnings"]]
    assert {"large-images", "resolution"} <= set(names)
    assert len(names) == len(set(names))


def test_far_from_all_evidence_it_says_by_how_much():
    told = {("dcgan", "a", 0): ("mode-hopping",)}
    far = made({"a": {"dcgan": [2.0], "sngan": [1.0]}}, {"a": {"count": 99.0}}, findings=told)
    found = advise("digits", None, None, far)
    assert found["evidence"]["far"] is True
    assert found["evidence"]["distance"] == found["evidence"]["distances"]["a"] > found["evidence"]["limit"]
    assert found["recipe"] == {"name": "dcgan", "set": {}}
    assert (found["expected"], found["watch"]) == ([], [])
    assert len(found["reasons"]) == 1
    assert "far from all evidence" in found["reasons"][0]
    assert f"{found['evidence']['distances']['a']:.1f} units away" in found["reasons"][0]
    assert "most by count: 95.8" in found["reasons"][0]
    assert found["command"] == "duel train dcgan --data digits"


def test_without_evidence_and_for_points_the_default_is_given():
    nothing = Evidence({}, (), {}, {})
    without = advise("digits", None, None, nothing)
    assert "no evidence" in without["reasons"][0]
    # What has no distance is neither far nor near.
    assert [without["evidence"][key] for key in ("far", "nearest", "distance")] == [None, None, None]
    found = advise("ring", None, None, TWO)
    assert found["recipe"] == {"name": "gan", "set": {}}
    assert "points" in found["reasons"][0]
    assert found["data"]["features"] == {}
    assert "training points in the plane" in show.text(found)


def test_other_studies_are_told_of_and_have_no_say():
    values = {
        (label, "any", seed): {"dcgan": 1.0, "sngan": 3.0}[label]
        for label in ("dcgan", "sngan")
        for seed in (0, 1)
    }
    it = near_digits()
    more = (
        study(values, "architectures"),
        study({("wgan", "any", 0): 1.0, ("dcgan", "any", 0): 1.0}, "without sngan"),
    )
    found = advise("digits", None, None, dataclasses.replace(it, studies=(*it.studies, *more)))
    assert found["recipe"]["name"] == "sngan"
    (said,) = [reason for reason in found["reasons"] if reason.startswith("beside it")]
    assert "architectures (frechet-random, any, 40 steps) sngan had 3 times" in said


LABELS = {
    "sure": {"dcgan": [2.0, 2.1, 2.2], "cgan": [1.0, 1.1, 1.1]},
    "not sure": {"dcgan": [2.0, 2.1, 2.2], "cgan": [1.0, 4.0, 2.1]},
}


@pytest.mark.parametrize("which", LABELS)
def test_labels_are_used_if_the_evidence_says_that_they_help(which):
    values = {
        (label, "any", seed): value
        for label, listed in LABELS[which].items()
        for seed, value in enumerate(listed)
    }
    it = near_digits()
    it = dataclasses.replace(it, studies=(*it.studies, study(values, evidence.LABELS)))
    gain = labels_gain(it)
    assert gain.sure == (which == "sure")
    found = advise("digits", None, None, it)
    assert ("game.name" in found["recipe"]["set"]) == (which == "sure")
    assert f"{gain.ratio:.3g} times" in found["reasons"][-1]


def test_the_advice_as_text(tmp_path):
    for number in range(4):
        picture(tmp_path / "a\x1b[31m" / f"{number}.png", seed=number)
        picture(tmp_path / "b" / f"{number}.png", seed=10 + number)
    found = advise(tmp_path / "a\x1b[31m", None, tmp_path / "r.toml", TWO)
    text = show.text(found)
    assert "\x1b" not in text
    assert "\x1b" not in (tmp_path / "r.toml").read_text().partition("name =")[0]
    for start in (
        "a\\x1b[31m: about 3 training images, colour",
        "this machine: ",
        "start with ",
        "cost here: ",
    ):
        assert f"\n{start}" in f"\n{text}"
    digits = show.text(advise("digits", None, None, near_digits()))
    assert (
        "expect frechet-random of the order of 1.05 (95 % interval 0.415 to 1.69): on digits-like" in digits
    )
    assert (
        "watch for mode-hopping (warning, in 1 of 2 runs of the evidence, on other data), such as: "
        "Too fast. Then: n_critic=2: slow it" in digits
    )


def test_no_name_of_a_class_can_damage_the_recipe(tmp_path):
    for number in range(6):
        picture(tmp_path / "data" / "plain" / f"{number}.png", seed=number)
    picture(tmp_path / "data" / "two\nlines" / "0.png", seed=9)
    found = advise(tmp_path / "data", None, tmp_path / "r.toml", near(tmp_path / "data"))
    assert "imbalance" in {each["name"] for each in found["warnings"]}
    assert recipes.read(tmp_path / "r.toml")["name"] == "sngan"


def test_an_out_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        advise("digits", None, tmp_path / "file" / "r.toml", near_digits())


def test_an_out_that_is_there_is_kept(capsys, monkeypatch, tmp_path):
    with pytest.raises(InputError, match=r"is a folder: name a file in it$"):
        advise("no data at all", None, tmp_path, TWO)  # before any work
    mine = tmp_path / "mine.toml"
    mine.write_text("# by hand")
    status, out, err = tiny.command(capsys, monkeypatch, "advise", "digits", "--out", mine)
    assert (status, out) == (2, "")
    said = f"duel: --out {mine} exists, and is kept as it is: name a new file, or remove that one"
    assert err.strip() == said
    assert mine.read_text() == "# by hand"


def test_help_does_without_torch():
    code = (
        "import sys; sys.argv = ['duel', 'advise', '--help']\n"
        "from duel import cli\n"
        "try:\n    cli.main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--json" in done.stdout


# ---------------------------------------------------------------- the bench


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """A study's folder: real runs with made-up values; one diverged, those of seed 1 failed."""
    folder, rows = tmp_path_factory.mktemp("study"), []
    for name, data, seed in itertools.product(("dcgan", "sngan"), ("digits", "larger"), (0, 1)):
        run = folder / "runs" / f"{name}-{data}-{seed}"
        if seed == 0:
            changes = {**tiny.TINY, "data.resolution": {"digits": 8, "larger": 16}[data], "signals.every": 0}
            tiny.train(run, steps=2, recipe=name, changes=changes)
            finding = {"name": "mode-hopping", "severity": "info", "confidence": 0.5, "evidence": []}
            duel.load(run).write_findings([finding | {"explanation": "E.", "advice": []}])
        row = {
            "study": evidence.RANKING, "configuration": f"recipe={name}, data=data/{data}", "recipe": name,
            "data": f"data/{data}", "seed": seed, "state": "failed" if seed else "done", "checkpoint": "last",
            "metric": "frechet-random", "value": 1.0 if name == "sngan" else 2.0, "better": "lower",
            "split": "test", "run": str(run.relative_to(folder)),
        }  # fmt: skip
        if (name, data, seed) == ("dcgan", "larger", 0):
            rows.append({**row, "state": "nonfinite", "checkpoint": "run", "metric": "collapsed"})
            continue
        rows.append(row)
        rows.append({**row, "checkpoint": "best", "value": 77.0})
        rows.append({**row, "metric": "precision", "better": "higher", "value": 77.0})
    (folder / "table.csv").write_text(table.to_csv(rows))
    return folder


def test_the_bench_makes_the_evidence_from_tables(tables, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(evidence, "FILE", tmp_path / "e.json")
    monkeypatch.setattr(sys, "argv", ["advise", str(tables)])
    bench.main()
    said = capsys.readouterr().out
    it = evidence.read()
    (one,) = it.studies
    assert one.name == evidence.RANKING
    assert (one.metric, one.steps, one.side) == ("frechet-random", 2, None)
    assert one.configurations["sngan"] == ("sngan", TINY)
    assert one.values["sngan", "digits", 0] == 1.0
    assert one.values["dcgan", "larger", 0] is None, "a run that diverged counts"
    assert ("dcgan", "digits", 1) not in one.values, "a run that failed says nothing"
    assert it.data["larger"]["side"] == 4.0
    assert one.findings["dcgan", "digits", 0] == ("mode-hopping",)
    assert it.findings["sngan"]["mode-hopping"] == {"severity": "info", "explanation": "E.", "advice": []}
    assert "| digits | 1 | 2 | 1 |" in said
    assert "| larger | 1 | –, 1 diverged | 1 |" in said
    assert "| digits | larger (" in said
    monkeypatch.setattr(sys, "argv", ["advise", "--judge"])
    bench.main()
    assert capsys.readouterr().out == said


def test_configurations_of_one_recipe_keep_their_labels(tables):
    rows = table.from_csv((tables / "table.csv").read_text())
    runs = [run for run in bench.played(rows, "frechet-random", tables) if run.data == "digits"]
    slower = dataclasses.replace(runs[0].recipe, n_critic=3)
    more = [*runs, dataclasses.replace(runs[0], configuration="dcgan, slower", recipe=slower)]
    it = bench.study_of("other", "frechet-random", more)
    assert list(it.configurations) == ["recipe=dcgan", "sngan", "dcgan, slower"]
    assert it.configurations["dcgan, slower"] == ("dcgan", {**TINY, "n_critic": 3})
    longer = dataclasses.replace(runs[0], recipe=dataclasses.replace(slower, steps=3))
    with pytest.raises(InputError, match="different numbers of steps"):
        bench.study_of("other", "fcd", [*runs, longer])


def test_the_bench_says_what_it_cannot_use(tables, monkeypatch, capsys):
    rows = table.from_csv((tables / "table.csv").read_text())
    with pytest.raises(InputError, match="better when lower"):
        bench.deciding([{**row, "better": "higher"} for row in rows])
    for wrong in (["advise"], ["advise", "--judge", str(tables)]):
        monkeypatch.setattr(sys, "argv", wrong)
        with pytest.raises(SystemExit):
            bench.main()
    capsys.readouterr()
    with pytest.raises(InputError, match="positive"):
        bench.played([{**row, "value": -1.0} for row in rows], "frechet-random", tables)
    assert bench.text(Evidence({}, (), {}, {})).endswith("nothing to judge")
