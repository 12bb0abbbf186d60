"""Evaluation: any samples against any data, with intervals and the provenance to repeat it."""

import json

import numpy as np
import pytest
import tiny
from PIL import Image

import duel
from duel.datasets.digits import Digits
from duel.errors import DataError, InputError, MetricError
from duel.evaluate import Evaluator

FAST = {"metrics": ["frechet", "kid", "precision"], "features": "random"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "images"
    tiny.train(path, 20, changes={"checkpoint.keep": 9})
    return duel.load(path)


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "points"
    tiny.train(path, 5, recipe="gan", data="ring")
    return duel.load(path)


def save_images(folder, images, labels=None):
    for number, image in enumerate(images):
        place = folder if labels is None else folder / str(labels[number])
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0]).save(place / f"{number:04d}.png")
    return folder


def test_the_result_is_that_of_the_contract_and_is_kept_with_the_run(run):
    result = duel.evaluate(run, samples=150, seed=3, **FAST)
    assert set(result) == {"metrics", "provenance"}
    assert set(result["metrics"]) == {"frechet-random", "kid", "precision"}
    for entry in result["metrics"].values():
        assert {"value", "low", "high", "better", "n_real", "n_fake", "notes"} <= set(entry)
        assert entry["low"] <= entry["value"] <= entry["high"]
        assert entry["better"] in ("lower", "higher")
        assert entry["n_fake"] == 150
    provenance = result["provenance"]
    assert provenance["seed"] == 3
    assert provenance["checkpoint"] == 20
    assert provenance["splits"]["real"] == "test"
    assert provenance["confidence"] == 0.95
    assert {"name", "hash", "accuracy"} <= set(provenance["features"])
    assert provenance["data"]["fingerprint"] == run.provenance["data"]["fingerprint"]
    stored = list(run.metrics())[-1]
    assert stored == json.loads(json.dumps({"step": 20, **result}))


def test_the_same_question_gets_the_same_answer_and_another_seed_another(run):
    first, again = (duel.evaluate(run, samples=100, seed=1, **FAST)["metrics"] for _ in range(2))
    assert first == again
    other = duel.evaluate(run, samples=100, seed=2, **FAST)["metrics"]
    assert first["kid"]["value"] != other["kid"]["value"]


def test_samples_default_to_the_references_size(run):
    result = duel.evaluate(run, **FAST)
    size = run.provenance["data"]["splits"]["test"]
    assert result["provenance"]["n_fake"] == result["provenance"]["n_real"] == size


def test_real_images_in_a_folder_score_better_than_the_untrained_run(run, tmp_path):
    data = Digits().load()
    folder = save_images(tmp_path / "real", data.splits["validation"].samples)
    real = duel.evaluate(folder, "digits", changes={"data.resolution": 8}, **FAST)["metrics"]
    fake = duel.evaluate(run, checkpoint=5, **FAST)["metrics"]
    assert real["frechet-random"]["high"] < fake["frechet-random"]["low"]
    assert real["kid"]["value"] < fake["kid"]["value"]
    assert real["precision"]["value"] > 0.7


def test_a_run_and_its_own_samples_as_files_score_alike(run, tmp_path):
    from duel import export

    export.write_samples(run, tmp_path / "samples", 150, seed=3)
    files = duel.evaluate(tmp_path / "samples", "digits", metrics=["frechet"], features="random")["metrics"]
    itself = duel.evaluate(run, samples=150, seed=3, metrics=["frechet"], features="random")["metrics"]
    assert files["frechet-random"]["value"] == pytest.approx(itself["frechet-random"]["value"], rel=1e-5)


def test_the_floor_is_real_against_real_at_the_same_counts(run):
    result = duel.evaluate(run, samples=150, floor=True, **FAST)["metrics"]
    for name in ("frechet-random", "kid"):
        assert result[name]["floor"] < result[name]["low"]
    assert result["precision"]["floor"] > result["precision"]["value"]


def test_points_are_measured_by_their_modes(points):
    result = duel.evaluate(points, samples=1000)
    assert {"modes", "modes-high-quality", "frechet-pixels"} <= set(result["metrics"])
    assert result["provenance"]["features"]["name"] == "pixels"


def test_class_folders_give_labels(tmp_path):
    data = Digits().load()
    split = data.splits["validation"]
    folder = save_images(tmp_path / "right", split.samples, split.labels)
    changes = {"data.resolution": 8}
    right = duel.evaluate(folder, "digits", metrics=["label-accuracy"], changes=changes)["metrics"]
    assert right["label-accuracy"]["value"] > 0.9
    shuffled = np.random.default_rng(0).permutation(split.labels)
    folder = save_images(tmp_path / "wrong", split.samples, shuffled)
    wrong = duel.evaluate(folder, "digits", metrics=["label-accuracy"], changes=changes)["metrics"]
    assert wrong["label-accuracy"]["value"] < 0.3


# ---------------------------------------------------------------- names and needs


@pytest.mark.parametrize(
    ("metrics", "features", "message"),
    [
        (["fid"], "classifier", "ask for --metrics fcd"),
        (["fcd"], "random", "ask for --metrics frechet-random"),
        (["is"], "classifier", "ask for --metrics cs"),
        (["cs"], "random", "needs class probabilities"),
        (["frechet-pixels"], "random", "ask for --metrics frechet-random"),
        (["fid", "fcd"], None, "evaluate them one by one"),
        (["precison"], "random", r"did you mean 'precision'\?"),
        (["kid"], "randm", r"did you mean 'random'\?"),
        (["reconstruction"], "random", "needs a model with an encoder"),
        (["label-accuracy"], "classifier", "needs labels of its samples"),
    ],
)
def test_false_names_and_missing_needs_are_one_sentence(run, metrics, features, message):
    with pytest.raises((MetricError, InputError), match=message) as caught:
        duel.evaluate(run, metrics=metrics, features=features)
    assert caught.value.exit_status == 2
    assert "\n" not in str(caught.value)


def test_the_frechet_distance_goes_by_the_name_of_its_space(run):
    result = duel.evaluate(run, metrics=["frechet"], features="pixels", samples=100)
    assert list(result["metrics"]) == ["frechet-pixels"]
    assert Evaluator(Digits().load(), ["frechet"], "classifier").metrics.keys() == {"fcd"}
    assert Evaluator(Digits().load(), ["frechet"], "inception").metrics.keys() == {"fid"}


def test_data_without_labels_are_measured_in_random_features(run, tmp_path):
    folder = save_images(tmp_path / "flat", Digits().load().splits["train"].samples[:200])
    result = duel.evaluate(run.path, folder, changes={"data.resolution": 8}, samples=50, metrics=["kid"])
    assert result["provenance"]["features"]["name"] == "random"
    with pytest.raises(MetricError, match="needs labels"):
        duel.evaluate(run.path, folder, changes={"data.resolution": 8}, metrics=["label-accuracy"])


# ---------------------------------------------------------------- bad input


def test_bad_targets_and_references_are_one_sentence(run, points, tmp_path):
    two = save_images(tmp_path / "two", Digits().load().splits["train"].samples[:2])
    colour = tmp_path / "colour"
    colour.mkdir()
    Image.new("RGB", (8, 8), "red").save(colour / "a.png")
    Image.new("RGB", (8, 8), "blue").save(colour / "b.png")
    cases = [
        (lambda: duel.evaluate(tmp_path / "missing"), "neither a run nor a folder"),
        (lambda: duel.evaluate(two), "add --against"),
        (lambda: duel.evaluate(two, "digits", **FAST), "2"),
        (lambda: duel.evaluate(colour, "digits", **FAST), "colour, the reference's grey"),
        (lambda: duel.evaluate(two, "ring", **FAST), "the reference are points"),
        (lambda: duel.evaluate(run, "ring", **FAST), "compare with data of the same shape"),
        (lambda: duel.evaluate(run, "digitz", **FAST), "did you mean 'digits'"),
        (lambda: duel.evaluate(run, samples=1, **FAST), "allowed are integers from 2"),
        (lambda: duel.evaluate(run, samples=10**14, **FAST), "allowed are integers from 2 to 10,000,000"),
        (lambda: duel.evaluate(run, metrics=[]), "names none"),
        (lambda: duel.evaluate(run, metrics=["kid"], features="other:Space"), "--allow-code"),
        (lambda: duel.evaluate(points, metrics=["ms-ssim"], features="pixels"), "compares images"),
        (lambda: duel.evaluate(run, "digits", changes={"steps": 3}, **FAST), "no option of a data set"),
    ]
    for question, message in cases:
        with pytest.raises((InputError, DataError, MetricError), match=message) as caught:
            question()
        assert "\n" not in str(caught.value)
        assert caught.value.exit_status == 2


def test_changed_data_are_noticed(run, tmp_path):
    import shutil

    copy = shutil.copytree(run.path, tmp_path / "copy")
    file = copy / "provenance.json"
    file.write_text(file.read_text().replace('"fingerprint": "', '"fingerprint": "0'))
    with pytest.raises(DataError, match="have changed since its start"):
        duel.evaluate(copy, **FAST)


# ---------------------------------------------------------------- during training

MEASURED = {
    "evaluate.every": 4,
    "evaluate.metrics": ["frechet"],
    "evaluate.features": "random",
    "evaluate.samples": 60,
}


def test_metrics_during_training_are_events_and_the_best_is_kept(tmp_path):
    events = tiny.train(
        tmp_path / "run", 20, changes={**MEASURED, "checkpoint.keep": 1, "checkpoint.every": 100}
    )
    found = [event for event in events if event["event"] == "metric"]
    assert [event["step"] for event in found] == [4, 8, 12, 16, 20]
    assert {"name", "value", "low", "high", "better", "time"} <= set(found[0])
    it = duel.load(tmp_path / "run")
    best = min(found, key=lambda event: event["value"])["step"]
    assert it.state["best"] == best
    assert it.sample(2, checkpoint="best").shape == (2, 1, 8, 8)
    assert {best, 20} == {int(entry.name) for entry in it.checkpoints_folder.iterdir()}
    assert all(result["provenance"]["splits"]["real"] == "validation" for result in it.metrics())


def test_measuring_changes_nothing_in_the_training(tmp_path):
    tiny.train(tmp_path / "a", 8, changes={"augmentations": "noise"})
    measured = {**MEASURED, "evaluate.features": "classifier", "evaluate.metrics": ["fcd"]}
    tiny.train(tmp_path / "b", 8, changes={"augmentations": "noise", **measured})
    assert tiny.weights(tmp_path / "a")[0] == tiny.weights(tmp_path / "b")[0]


def test_a_resumed_run_measures_what_the_uninterrupted_one_does(tmp_path):
    tiny.train(tmp_path / "whole", 12, changes=MEASURED)
    tiny.train(tmp_path / "cut", 6, changes=MEASURED)
    tiny.train(tmp_path / "cut", 12, changes=MEASURED)
    whole, cut = (
        [(result["step"], result["metrics"]) for result in duel.load(tmp_path / name).metrics()]
        for name in ("whole", "cut")
    )
    assert whole == cut


def test_a_wrong_metric_is_refused_before_any_work(tmp_path):
    with pytest.raises(MetricError, match="did you mean 'frechet'"):
        tiny.train(tmp_path / "run", changes={**MEASURED, "evaluate.metrics": ["frechett"]})
    assert not (tmp_path / "run").exists()


def test_a_feature_space_from_outside_is_used_when_allowed(run, tmp_path, monkeypatch):
    (tmp_path / "outside_space.py").write_text(
        "from duel.features.pixels import Pixels\n"
        "from duel.options import options\n\n\n"
        "@options\nclass Mine(Pixels):\n    '''Pixels under another name.'''\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    question = {"metrics": ["frechet"], "features": "outside_space:Mine", "samples": 50}
    with pytest.raises(InputError, match="--allow-code"):
        duel.evaluate(run, **question)
    result = duel.evaluate(run, allow_code=["outside_space:Mine"], **question)
    assert list(result["metrics"]) == ["frechet-outside_space:Mine"]
    pixels = duel.evaluate(run, metrics=["frechet"], features="pixels", samples=50)
    values = [found["metrics"].popitem()[1]["value"] for found in (result, pixels)]
    assert values[0] == values[1]


def test_what_the_user_measures_on_the_test_split_never_chooses_the_best(tmp_path):
    path = tmp_path / "run"
    changes = {**MEASURED, "checkpoint.keep": 9}
    tiny.train(path, 8, changes=changes)
    it = duel.load(path)
    for step in (4, 8):
        duel.evaluate(it, checkpoint=step, metrics=["precision"], features="random", samples=60)
    events = list(it.events("metric"))
    tiny.train(path, 12, changes=changes)
    found = list(it.events("metric"))
    assert found[: len(events)] == events
    assert [event["step"] for event in found] == [4, 8, 12]
    assert it.state["best"] == min(found, key=lambda event: event["value"])["step"]
