"""Evaluation of runs with an encoder, and of runs with labels: numbers against independent computations."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

import duel
from duel import sampling
from duel.datasets.digits import Digits
from duel.datasets.ring import Ring
from duel.errors import MetricError
from duel.evaluate import Evaluator, run_source
from duel.run import inner

SMALL = {"latent.size": 5, "batch_size": 16, "threads": 1, "sample.count": 4, "data.name": "digits"}
CODES = {
    **SMALL, "game.name": "bidirectional", "network.name": "bigan-dense", "network.hidden": [24, 16],
    "latent.prior": "uniform", "ema.decay": 0.9,
}  # fmt: skip
LABELLED = {**SMALL, "game.name": "conditional", "network.name": "dcgan", "network.width": 4}
evaluation = sys.modules["duel.evaluate"]  # the name `duel.evaluate` is the function
KNN = ("knn-latent", "knn-hidden", "knn-reconstruction")


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    """A function that trains a tiny run once for each set of changes."""
    made = {}

    def run(**changes):
        key = json.dumps(changes)
        if key not in made:
            made[key] = tmp_path_factory.mktemp("runs") / "run"
            with duel.train("gan", out=made[key], steps=changes.pop("steps", 30), changes=changes) as session:
                list(session)
        return duel.load(made[key])

    return run


@pytest.fixture
def codes(train):
    return train(**CODES)


@pytest.fixture
def both(train):
    return train(**{**CODES, "game.conditional": True})


@pytest.fixture
def labelled(train):
    return train(**LABELLED)


def splits():
    data = Digits().load()
    return data.splits["train"], data.splits["test"]


def accuracy(base, queries, train, test, k=1):
    """scikit-learn's nearest neighbours."""
    flat = [np.asarray(each, np.float64).reshape(len(each), -1) for each in (base, queries)]
    return KNeighborsClassifier(k, algorithm="brute").fit(flat[0], train.labels).score(flat[1], test.labels)


def whole(images):
    """[0, 1] to uint8, rounded."""
    return np.rint(images * 255).astype(np.uint8)


# ---------------------------------------------------------------- nearest neighbours


def test_neighbours_are_those_of_scikit_learn(codes):
    train, test = splits()
    result = duel.evaluate(codes, metrics=["knn"])["metrics"]
    assert tuple(result) == KNN
    vectors, layers = (
        [codes.encode(split.samples, hidden=hidden) for split in (train, test)] for hidden in (False, True)
    )
    assert layers[0].shape == (len(train), 16)
    again = whole(codes.generate(vectors[1]))
    expected = (
        accuracy(*vectors, train, test),
        accuracy(*layers, train, test),
        accuracy(train.samples, again, train, test),
    )
    for name, value in zip(KNN, expected, strict=True):
        assert result[name]["value"] == pytest.approx(value), name
        assert result[name]["low"] < value < result[name]["high"]
        assert (result[name]["n_real"], result[name]["n_fake"]) == (len(test), 0)
        assert result[name]["baselines"]["pixels"] == accuracy(train.samples, test.samples, train, test)
    assert len(set(expected)) == 3


def test_the_untrained_baseline_is_that_of_the_networks_before_the_first_step(codes):
    train, test = splits()
    result = duel.evaluate(codes, metrics=["knn"])["metrics"]
    encoder = codes.untrained().encoder
    for name, hidden in (("knn-latent", False), ("knn-hidden", True)):
        both = [sampling.encode(encoder, inner(split.samples), hidden) for split in (train, test)]
        assert result[name]["baselines"]["untrained"] == pytest.approx(accuracy(*both, train, test))
        assert result[name]["baselines"]["untrained"] != result[name]["value"]


def test_each_number_says_which_layer_it_is_of(codes):
    notes = {name: entry["notes"] for name, entry in duel.evaluate(codes, metrics=["knn"])["metrics"].items()}
    assert notes["knn-latent"] == ["knn-latent: neighbours of E(x), 5 components"]
    assert notes["knn-hidden"] == ["knn-hidden: neighbours on the encoder's last hidden layer, 16 units"]


def test_neighbours_need_no_features_and_no_samples(codes, monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("not needed")

    monkeypatch.setattr(evaluation.Trainer, "train", refuse)
    monkeypatch.setattr(type(codes), "stream", refuse)
    result = duel.evaluate(codes, metrics=["knn"])
    assert result["provenance"]["features"]["name"] == "pixels"
    assert result["provenance"]["n_fake"] == 0


def test_the_training_split_is_embedded_only_where_its_features_are_looked_at(codes):
    data = Digits().load()
    for metrics, embedded in ((["knn"], False), (["knn", "memorisation"], True)):
        train = Evaluator(data, metrics, "random")._context.train
        assert (train.features is not None) == embedded
        assert len(train.samples) == len(train.labels) == len(data.splits["train"])
        assert train.moments is None


def test_the_real_sides_are_gathered_once(codes, monkeypatch):
    calls = []
    shuffled = evaluation._shuffled
    monkeypatch.setattr(evaluation, "_shuffled", lambda *given: calls.append(given) or shuffled(*given))
    evaluator = Evaluator(Digits().load(), ["knn", "reconstruction"], "random")
    first, again = (evaluator.measure(run_source(codes)) for _ in range(2))
    assert len(calls) == 2  # the test split and the training split
    assert first == again


# ---------------------------------------------------------------- reconstruction


def test_the_reconstruction_error_is_that_of_the_run(codes):
    _, test = splits()
    result = duel.evaluate(codes, metrics=["reconstruction"], features="random")["metrics"]
    assert list(result) == ["reconstruction", "reconstruction-latent"]
    again = whole(codes.generate(codes.encode(test.samples)))
    difference = (test.samples.astype(np.float64) - again).reshape(len(test), -1) / 255
    assert result["reconstruction"]["value"] == pytest.approx(
        np.sqrt((difference**2).mean(1)).mean(), rel=1e-4
    )
    # The latent vectors are those of the run's prior: uniform here.
    z = 2 * np.random.default_rng(0).random((len(test), 5), np.float32) - 1
    back = codes.encode(whole(codes.generate(z)))
    expected = np.sqrt(((z - back) ** 2).mean(1)).mean()
    assert result["reconstruction-latent"]["value"] == pytest.approx(expected, rel=1e-4)
    assert "untrained" in result["reconstruction"]["baselines"]


def test_the_class_that_survives_is_the_classifiers(codes):
    _, test = splits()
    evaluator = Evaluator(Digits().load(), ["reconstruction"])
    result = evaluator.measure(run_source(codes))["metrics"]
    seen = [
        np.concatenate(
            [evaluator.extractor.embed(part).logits.argmax(1) for part in np.array_split(images, 4)]
        )
        for images in (test.samples, whole(codes.generate(codes.encode(test.samples))))
    ]
    assert result["reconstruction-class"]["value"] == pytest.approx((seen[0] == seen[1]).mean(), abs=0.01)


def test_points_are_reconstructed_too(train):
    run = train(**{**CODES, "data.name": "ring", "data.samples": 500})
    result = duel.evaluate(run, metrics=["reconstruction"])["metrics"]
    data = Ring(samples=500).load()
    test = data.splits["test"].samples
    again = run.generate(run.encode(test * np.float32(data.spec.scale))) / data.spec.scale
    expected = np.sqrt((((test - again) / 2) ** 2).mean(1)).mean()
    assert result["reconstruction"]["value"] == pytest.approx(expected, rel=1e-4)


def test_a_generator_with_labels_is_given_the_true_ones_and_says_so(both):
    train, test = splits()
    result = duel.evaluate(both, metrics=["knn", "reconstruction"], features="random")["metrics"]
    again = whole(both.generate(both.encode(test.samples), label=test.labels))
    difference = (test.samples.astype(np.float64) - again).reshape(len(test), -1) / 255
    assert result["reconstruction"]["value"] == pytest.approx(
        np.sqrt((difference**2).mean(1)).mean(), rel=1e-4
    )
    assert result["knn-reconstruction"]["value"] == pytest.approx(
        accuracy(train.samples, again, train, test), abs=0.01
    )
    vectors = [both.encode(split.samples) for split in (train, test)]
    assert result["knn-latent"]["value"] == pytest.approx(accuracy(*vectors, train, test))
    for name in ("knn-reconstruction", "reconstruction", "reconstruction-latent"):
        assert any("given the true label" in note for note in result[name]["notes"]), name
    assert not any("true label" in note for note in result["knn-latent"]["notes"])


# ---------------------------------------------------------------- labels


def test_label_accuracy_is_the_share_that_the_classifier_agrees_with(labelled):
    evaluator = Evaluator(Digits().load(), ["label-accuracy"])
    result = evaluator.measure(run_source(labelled), 200)["metrics"]["label-accuracy"]
    images, labels = whole(labelled.sample(200)), labelled.labels(200)
    assert result["value"] == (evaluator.extractor.embed(images).logits.argmax(1) == labels).mean()
    assert result["baselines"]["real"] > 0.9
    default = duel.evaluate(labelled, samples=100)["metrics"]
    assert list(default)[-1] == "label-accuracy"
    assert "label-accuracy" not in duel.evaluate(labelled, samples=100, features="random")["metrics"]


@pytest.mark.parametrize(
    ("metrics", "changes", "message"),
    [
        (["label-accuracy"], CODES, "label-accuracy needs labels of its samples, which .* does not give"),
        (["cas"], CODES, "cas needs labels of its samples"),
        (["knn"], LABELLED, "knn needs a model with an encoder"),
        (["reconstruction"], LABELLED, "reconstruction needs a model with an encoder"),
    ],
)
def test_what_a_run_does_not_give_is_refused(train, metrics, changes, message):
    with pytest.raises(MetricError, match=message) as caught:
        duel.evaluate(train(**changes), metrics=metrics)
    assert caught.value.exit_status == 2
    assert "\n" not in str(caught.value)


def test_other_classes_are_refused_and_data_without_labels_too(labelled, both, codes):
    data = Digits().load()
    others = replace(data, spec=replace(data.spec, classes=tuple("abcdefghij")))
    for run, metric in ((labelled, "label-accuracy"), (both, "reconstruction")):
        with pytest.raises(MetricError, match="whose classes are not those of digits"):
            Evaluator(others, [metric], "classifier").measure(run_source(run))
    Evaluator(others, ["reconstruction"], "random").measure(run_source(codes))
    with pytest.raises(MetricError, match="knn needs labels, which digits has not"):
        Evaluator(replace(data, spec=replace(data.spec, classes=())), ["knn"])


# ---------------------------------------------------------------- weights, training, command line


def test_the_provenance_says_which_weights_were_used(codes, labelled):
    found = {weights: duel.evaluate(codes, metrics=["knn"], weights=weights) for weights in ("ema", "raw")}
    assert {name: result["provenance"]["weights"] for name, result in found.items()} == {
        "ema": "ema",
        "raw": "raw",
    }
    assert found["ema"]["metrics"]["knn-latent"]["value"] != found["raw"]["metrics"]["knn-latent"]["value"]
    train, test = splits()
    raw = [codes.encode(split.samples, weights="raw") for split in (train, test)]
    assert found["raw"]["metrics"]["knn-latent"]["value"] == pytest.approx(accuracy(*raw, train, test))
    result = duel.evaluate(labelled, metrics=["frechet"], features="pixels", samples=300)
    assert result["provenance"]["weights"] == "raw"  # there is no average


def test_a_run_measures_its_encoder_while_it_trains(train):
    run = train(
        **CODES, steps=10,
        **{"evaluate.every": 5, "evaluate.metrics": ["knn", "reconstruction"], "evaluate.features": "random"},
    )  # fmt: skip
    events = list(run.events("metric"))
    assert [event["step"] for event in events if event["name"] == "knn-hidden"] == [5, 10]
    last = {event["name"]: event["value"] for event in events if event["step"] == 10}
    measured = duel.evaluate(run, metrics=["knn"], split="validation")["metrics"]
    assert {name: entry["value"] for name, entry in measured.items()} == {name: last[name] for name in KNN}


def test_the_command_line_evaluates_an_encoder(codes, capsys, monkeypatch):
    from duel import cli

    monkeypatch.setattr(
        sys, "argv", ["duel", "evaluate", str(codes.path), "--metrics", "knn", "--weights", "raw", "--json"]
    )
    cli.main()
    result = json.loads(capsys.readouterr().out)
    assert tuple(result["metrics"]) == KNN
    assert result["provenance"]["weights"] == "raw"
