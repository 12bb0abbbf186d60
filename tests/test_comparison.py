"""`duel compare`: run folders and studies become pairs; wrong input is one sentence; the text fits."""

from __future__ import annotations

import json
import math
import re

import pytest
import tiny
from test_table import row, write

from duel import comparison, io
from duel import recipe as recipes
from duel.errors import InputError
from duel.measured import labelled, measured
from duel.run import Run


def folder(
    path, seed=0, base="dcgan", data="f0", state="done", steps=100, best=None, clocks=(1, 8), **changes
):
    """A run folder as `duel train` leaves it, without weights; no evaluation yet."""
    path.mkdir(parents=True)
    wanted = {"seed": seed, "steps": 100, "threads": 1, **changes}
    recipe = recipes.resolve(recipes.change(recipes.read(base), wanted))
    (path / "recipe.toml").write_text(recipes.to_toml(recipe))
    io.write_json(path / "provenance.json", {"seed": seed, "data": {"name": "digits", "fingerprint": data}})
    io.write_json(path / "run.json", {"state": state, "steps": 100, "last": steps, "best": best})
    run = Run(path)
    for time in clocks:
        run.record({"event": "step", "step": 1, "time": time})
    return run


def evaluated(
    run, value, split="test", step=100, metric="fcd", samples=300, data="f0", seed=0, weights="ema",
    features="classifier", others=True,
):  # fmt: skip
    """The run with one more line in its metrics.jsonl."""
    entry = {
        "value": value,
        "low": value - 1,
        "high": value + 1,
        "better": "lower",
        "n_real": 180,
        "n_fake": samples,
    }
    run.record_metrics(
        {
            "step": step,
            "metrics": {metric: entry} | ({"recall": {**entry, "better": "higher"}} if others else {}),
            "provenance": {
                "seed": seed, "weights": weights, "splits": {"real": split}, "n_fake": samples,
                "data": {"fingerprint": data}, "features": {"name": features},
            },
        }
    )  # fmt: skip
    return run


def many(parent, values, **options):
    """Runs of several widths: width → its test values by seed; their folders."""
    found = []
    for width, listed in values.items():
        for seed, value in enumerate(listed):
            run = folder(parent / f"w{width}-{seed}", seed, **{"network.width": width, **options})
            found.append(evaluated(run, value).path)
    return found


# ---------------------------------------------------------------- run folders


def test_runs_are_grouped_by_recipe_and_paired_by_seed(tmp_path):
    paths = many(tmp_path, {8: [10, 11, 12.5], 16: [5, 6.1, 7]})
    found = comparison.compare(paths).found
    assert (found.metric, found.baseline, found.checkpoint) == ("fcd", "width=8", "last")
    (contest,) = found.contests
    assert (contest.a, len(contest.pairs), contest.verdict) == ("width=16", 3, "better")
    assert contest.pairs[0] == ("digits", 0)
    assert contest.sentence().startswith(
        "width=16 is better than width=8 on 3 of 3 seeds: fcd lower by 5.13, 95 % interval "
    )


def test_what_only_concerns_the_machine_is_no_configuration(tmp_path):
    one = evaluated(folder(tmp_path / "a", **{"log.every": 7}), 1)
    two = evaluated(folder(tmp_path / "b", seed=1, **{"threads": 2, "sample.every": 3}), 2)
    assert [each.n for each in comparison.compare([one.path, two.path]).found.configurations] == [2]


def test_runs_on_other_data_are_pairs_of_their_own(tmp_path):
    runs = []
    for width, scale in ((8, 1), (16, 0.5)):
        for data, factor in (("f0", 1), ("f1", 100)):
            for seed in (0, 1):
                path = tmp_path / f"{width}{data}{seed}"
                run = folder(path, seed, data=data, **{"network.width": width})
                runs.append(evaluated(run, scale * factor * (2 + seed), data=data).path)
    (contest,) = comparison.compare(runs).found.contests
    assert contest.pairs == (("digits (f0)", 0), ("digits (f0)", 1), ("digits (f1)", 0), ("digits (f1)", 1))
    assert contest.ratio
    assert contest.interval[0] == pytest.approx(0.5)


def known(run, classes):
    """The run with data of which it is known whether they have labels."""
    said = io.read_json(run.path / "provenance.json")
    said["data"] |= {"name": "labelled" if classes else "plain", "spec": {"classes": classes}}
    io.write_json(run.path / "provenance.json", said)
    return run


def test_runs_on_different_data_alone_are_told_at_once(tmp_path):
    a = known(folder(tmp_path / "a", data="f0"), ["x"])
    b = known(folder(tmp_path / "b", data="f1", **{"network.width": 8}), [])
    with pytest.raises(InputError) as caught:
        comparison.compare([a.path, b.path])
    assert str(caught.value) == (
        "pairs need two configurations that were trained on the same data, and here are none (on labelled: "
        "width=64; on plain: width=8): train another one on the same data; `duel evaluate` measures each "
        "against its own"
    )


def test_runs_whose_data_nobody_else_has_are_left_out(tmp_path):
    paths = many(tmp_path, {8: [10, 11, 12.5], 16: [5, 6.1, 7]})
    other = known(folder(tmp_path / "other", data="f1"), [])  # was never evaluated, and needs not be
    found = comparison.compare([*paths, other.path])
    assert [each.n for each in found.found.configurations] == [3, 3]
    assert (
        f"left out, since no other configuration has their data: {other.path} (plain)" in found.source.notes
    )
    assert not any("pooled" in note for note in found.found.notes)


def two_on_two(tmp_path):
    """Two configurations on labelled data and on plain ones, by (data, width)."""
    made = {}
    for data, classes in (("f0", ["x"]), ("f1", [])):
        for width in (8, 16):
            run = folder(tmp_path / f"{data}-{width}", data=data, **{"network.width": width})
            made[data, width] = known(run, classes)
    return made


def test_what_is_asked_for_can_be_done_also_without_labels(tmp_path):
    """The classifier needs labels: `duel evaluate` would refuse what the others were measured with."""
    made = two_on_two(tmp_path)
    paths = [run.path for run in made.values()]
    for width in (8, 16):
        evaluated(made["f0", width], width)
    with pytest.raises(InputError) as caught:
        comparison.compare(paths)
    assert [line.rpartition(": ")[2] for line in str(caught.value).splitlines()] == [
        f"duel evaluate {made['f1', width].path} --features random --samples 300" for width in (8, 16)
    ]
    with pytest.raises(
        InputError, match=r"fcd needs labels, which the data of .*f1-8 have not: give --metric"
    ):
        comparison.compare(paths, "fcd")
    for width in (8, 16):
        evaluated(made["f1", width], 2 * width, metric="frechet-random", data="f1", features="random")
    found = comparison.compare(paths)  # by the metric that all have, on each data set measured alike
    assert found.found.metric == "recall"
    assert "recall was measured in the features classifier on labelled, random on plain" in found.source.notes
    with pytest.raises(InputError) as caught:
        comparison.compare(paths, "frechet-random")
    assert [line.rpartition(": ")[2] for line in str(caught.value).splitlines()] == [
        f"duel evaluate {made['f0', width].path} --metrics frechet-random --features random --samples 300"
        for width in (8, 16)
    ]


def test_without_a_common_metric_it_says_how_to_get_one(tmp_path):
    made = two_on_two(tmp_path)
    for (data, width), run in made.items():
        metric, features = ("fcd", "classifier") if data == "f0" else ("frechet-random", "random")
        evaluated(run, width, metric=metric, data=data, features=features, others=False)
    with pytest.raises(InputError, match=r"give each `duel evaluate RUN --features random --samples 300`$"):
        comparison.compare([run.path for run in made.values()])


def test_run_folders_are_compared_by_metrics_of_whole_runs_too(tmp_path):
    paths = []
    for width, share, more in ((8, 0.9, 0.01), (16, 0.6, 0.012)):
        for seed in range(3):
            run = folder(tmp_path / f"{width}-{seed}", seed, **{"network.width": width})
            run.record({"event": "step", "step": 2, "d_real": share + more * seed, "d_fake_before": 0.5})
            paths.append(run.path)
    lost = folder(tmp_path / "lost", 3, state="nonfinite", **{"network.width": 16}).path
    found = comparison.compare([*paths, lost], "balance").found
    assert found.checkpoint == "run"
    assert [each.mean for each in found.configurations] == pytest.approx([0.205, 0.056])
    assert found.contests[0].verdict == "better"
    assert comparison.compare([*paths, lost], "collapsed").found.configurations[1].mean == 0.25
    with pytest.raises(InputError, match=r"no run has a number for fluctuation: docs/studies\.md"):
        comparison.compare(paths, "fluctuation")


def test_labels_say_what_differs(tmp_path):
    def label(*runs):
        return list(labelled({run.path: run.recipe for run in runs}).values())

    a, b = folder(tmp_path / "a"), folder(tmp_path / "b", seed=3)
    c = folder(tmp_path / "c", base="lsgan")
    d = folder(tmp_path / "d", **{"optimizer.generator.lr": 1e-3, "optimizer.discriminator.lr": 1e-4})
    e = folder(tmp_path / "e", objective="hinge")
    assert label(a, b) == ["dcgan", "dcgan"]
    assert label(a, c, b) == ["dcgan", "lsgan", "dcgan"]
    assert label(a, d) == [
        "generator.lr=0.0002, discriminator.lr=0.0002", "generator.lr=0.001, discriminator.lr=0.0001",
    ]  # fmt: skip
    assert label(a, e)[1] == "objective=hinge"
    assert label(a, d, c)[1:] == ["dcgan, generator.lr=0.001, discriminator.lr=0.0001", "lsgan"]


def test_a_label_with_too_many_fields_says_how_many_more_there_are(tmp_path):
    a = evaluated(folder(tmp_path / "a"), 1)
    changes = {"network.width": 8, "latent.size": 7, "batch_size": 8, "n_critic": 2}
    b = evaluated(folder(tmp_path / "b", **changes), 2)
    found = measured([a.path, b.path])
    first, second = labelled({run.path: run.recipe for run in (a, b)}).values()
    assert first.endswith(" +3")
    assert second.endswith(" +3")
    assert first != second
    assert f"{first} and {second} differ in 4 fields of their recipes" in found.notes


def test_the_newest_number_measured_alike_is_taken(tmp_path):
    a, b = (folder(tmp_path / name, **{"network.width": width}) for name, width in (("a", 8), ("b", 16)))
    evaluated(a, 1)
    evaluated(a, 2)
    evaluated(a, 3, samples=500)  # newer, but b was measured with 300
    evaluated(b, 4)
    rows = measured([a.path, b.path]).rows
    assert [(each["value"], each["samples"]) for each in rows] == [(2, 300), (4, 300)]


@pytest.mark.parametrize(
    "other", [{"split": "validation"}, {"step": 50}, {"data": "f9"}, {"samples": 200}, {"seed": 1}]
)
def test_a_number_measured_otherwise_is_not_compared(tmp_path, other):
    a, b = (folder(tmp_path / name, **{"network.width": width}) for name, width in (("a", 8), ("b", 16)))
    evaluated(a, 1)
    evaluated(b, 0.5, **other)
    with pytest.raises(InputError, match="--metrics fcd --features classifier --samples") as caught:
        measured([a.path, b.path], "fcd")
    assert "duel evaluate" in str(caught.value)


def test_a_run_that_was_never_evaluated_is_named_with_the_command(tmp_path):
    a = evaluated(folder(tmp_path / "a"), 1)
    b = folder(tmp_path / "b c", seed=1)
    with pytest.raises(InputError) as caught:
        measured([a.path, b.path])
    assert str(caught.value) == (
        f"{b.path} has no evaluation of its last checkpoint on the test split (measured as the others): "
        f"duel evaluate '{b.path}' --features classifier --samples 300"
    )
    with pytest.raises(
        InputError, match="no ms-ssim of its last checkpoint on the test split: duel evaluate"
    ):
        measured([a.path], "ms-ssim")


def test_the_best_checkpoint_was_chosen_on_validation_and_is_measured_on_test(tmp_path):
    runs = []
    for width in (8, 16):
        run = folder(tmp_path / f"{width}", best=50, **{"network.width": width})
        evaluated(run, 0.1, "validation", step=50)
        evaluated(run, width, step=50)
        evaluated(run, 99)
        runs.append(run.path)
    assert [(each["value"], each["step"]) for each in measured(runs, None, "best").rows] == [
        (8, 50),
        (16, 50),
    ]
    assert [each["value"] for each in measured(runs).rows] == [99, 99]
    with pytest.raises(InputError, match="has no best checkpoint: it was trained without"):
        measured([evaluated(folder(tmp_path / "none"), 1).path], None, "best")


def test_a_run_that_diverged_has_no_value_and_counts(tmp_path):
    paths = many(tmp_path, {8: [10, 11, 12.5], 16: [5, 6.1]})
    lost = folder(tmp_path / "lost", 2, state="nonfinite", steps=7, **{"network.width": 16})
    found = comparison.compare([*paths, lost.path])
    assert "1 of 3 runs of width=16 diverged" in found.found.contests[0].sentence()
    assert "1 of 6 collapsed" not in comparison.text(found)  # the others' fate is not known
    assert found.robust[0].judged == 1
    with pytest.raises(InputError, match="none of the runs came to its end"):
        measured([lost.path])


def test_a_configuration_that_always_diverges_is_told_and_counts(tmp_path, capsys, monkeypatch):
    paths = many(tmp_path, {8: [10, 11, 12.5]})
    lost = [
        folder(tmp_path / f"lost-{seed}", seed, state="nonfinite", steps=7, **{"network.width": 16}).path
        for seed in range(3)
    ]
    status, out, _ = tiny.command(capsys, monkeypatch, "compare", *paths, *lost)
    assert status == 0
    assert re.search(r"width=16 +0 +diverged$", out, re.MULTILINE)
    said = " ".join(out.split())
    assert (
        "width=16 has no value of fcd to compare with width=8, which counts against width=16. 3 of 3" in said
    )
    told = json.loads(tiny.command(capsys, monkeypatch, "compare", *paths, *lost, "--json")[1])
    assert (told["contests"][0]["verdict"], told["contests"][0]["diverged"]) == ("diverged", ["width=16"])
    assert [(each["runs"], each["diverged"]) for each in told["configurations"]] == [(3, 0), (3, 3)]


def test_a_run_under_way_is_noted(tmp_path):
    run = evaluated(folder(tmp_path / "a", state="interrupted", steps=40), 1, step=40)
    assert "is interrupted at step 40 of 100: take it up" in measured([run.path]).notes[0]


def test_the_budget_comes_from_the_runs(tmp_path):
    a = evaluated(folder(tmp_path / "a", clocks=(1, 8, 2, 3)), 1)
    b = evaluated(folder(tmp_path / "b", n_critic=5, batch_size=10), 1, weights="raw")
    found = measured([a.path, b.path])
    batch = a.recipe.batch_size
    assert [(each["steps"], each["images"]) for each in found.rows] == [(100, 100 * batch), (100, 5000)]
    assert [each["seconds"] for each in found.rows] == [11, 8]  # a was taken up again after 8 s
    assert "some runs were measured with averaged weights, others without" in found.notes


def test_one_folder_twice_is_one_run(tmp_path):
    run = evaluated(folder(tmp_path / "a"), 1)
    assert len(measured([run.path, tmp_path / "." / "a"]).rows) == 1


def test_two_runs_of_one_seed_are_refused(tmp_path):
    paths = [evaluated(folder(tmp_path / name), 1).path for name in "ab"]
    with pytest.raises(InputError, match="ran twice with seed 0 on digits"):
        comparison.compare(paths)


# ---------------------------------------------------------------- studies


def study(tmp_path, text='metrics = ["fcd"]\nseeds = [0, 1, 2]\nbaseline = "b"\n[budget]\nflops = 1e12\n'):
    """A study of two configurations and three seeds, of which one diverged."""
    values = {"a": [1.0, 2.0, None], "b": [3.0, 4.1, 5.0]}
    files = []
    for label, listed in values.items():
        for seed, value in enumerate(listed):
            shared = {"steps": 1000 if label == "a" else 500, "images": 64000, "state": "done"}
            rows = [
                row(label, seed, value, **shared),
                row(label, seed, value, metric="recall", better="higher"),
            ]
            if value is None:
                shared["state"] = "nonfinite"
                rows = []
            for metric, number in (("collapsed", float(value is None)), ("fluctuation", 0.1)):
                rows.append(
                    row(label, seed, number, metric=metric, checkpoint="run", split="validation", **shared)
                )
            files.append(rows)
    folder = write(tmp_path / "s", *files, labels=["a", "b"])
    (folder / "study.toml").write_text(text)
    return folder


def test_a_study_names_its_metric_baseline_and_budget(tmp_path):
    found = comparison.compare([study(tmp_path)])
    (contest,) = found.found.contests
    assert (found.found.metric, found.found.baseline, contest.a) == ("fcd", "b", "a")
    assert contest.budget == (
        "at equal cost as planned (FLOPs, counted on one step): generator updates a 1,000, b 500"
    )
    assert contest.missing == ("1 of 3 runs of a diverged",)
    text = comparison.text(found)
    assert "wgan, mnist, 6 runs: median fcd 3 (quartiles 2 to 4.1)" in text
    assert "1 of 6 collapsed (interval 0% to 64%)" in text.replace("\n  ", " ")


def test_a_metric_of_whole_runs_has_no_checkpoint(tmp_path):
    found = comparison.compare([study(tmp_path)], "collapsed").found
    assert found.checkpoint == "run"
    assert [each.mean for each in found.configurations] == [pytest.approx(1 / 3), 0]
    assert "collapsed (lower is better), of whole runs" in comparison.text(
        comparison.compare([tmp_path / "s"], "collapsed")
    )


def test_a_study_without_its_file_is_still_a_table(tmp_path):
    folder = study(tmp_path)
    (folder / "study.toml").unlink()
    found = comparison.compare([folder]).found
    assert (found.metric, found.baseline) == ("fcd", "a")


def test_an_unfinished_study_says_so(tmp_path):
    folder = study(tmp_path, 'metrics = ["fcd"]\nseeds = [0, 1, 2, 3]\n')
    assert "the study is not finished: 6 of 8 runs have ended" in measured([folder]).notes
    assert measured([study(tmp_path / "other")]).notes == ()


def test_the_baseline_of_a_study_on_several_data_sets_goes_by_the_common_label(tmp_path):
    files = [
        [row(f"n={n}, data={data}", seed, value + n, data=data)]
        for data in ("mnist", "svhn")
        for n in (0, 1)
        for seed, value in enumerate((1.0, 2.0))
    ]
    folder = write(tmp_path / "s", *files)
    (folder / "study.toml").write_text('metrics = ["fcd"]\nbaseline = "n=1, data=svhn"\n')
    found = comparison.compare([folder]).found
    assert found.baseline == "n=1"
    assert [len(each.pairs) for each in found.contests] == [4]


# ---------------------------------------------------------------- the command


def test_the_command_prints_a_table_that_fits_and_sentences(tmp_path, capsys, monkeypatch):
    long = {"optimizer.generator.lr": 0.000123456, "optimizer.discriminator.lr": 0.000654321}
    paths = many(tmp_path, {8: [10000.5, 11000, 12000], 16: [5000, 6100, 7000]}) + many(
        tmp_path / "l", {8: [7e5, 8e5, 1e6], 32: [1, 2, 4]}, **long
    )
    for extra in ([], ["--all-pairs"]):
        status, out, err = tiny.command(capsys, monkeypatch, "compare", *paths, *extra)
        assert (status, err) == (0, "")
        assert max(map(len, out.splitlines())) <= 100
    assert "pair  " in out  # of the second table
    status, out, _ = tiny.command(capsys, monkeypatch, "compare", *paths[:6])
    assert out.splitlines()[:5] == [
        "fcd (lower is better), last checkpoint, test split",
        "",
        "configuration  n  mean ± 95 %     difference (95 %)          p       verdict",
        "width=8        3  11,000 ± 2,484  baseline",
        "width=16       3  6,033 ± 2,488   −4,967 (−5,111 to −4,823)  <0.001  better",
    ]
    assert "width=16 is better than width=8 on 3 of 3 seeds: fcd lower by " in out
    assert "note: with 3 pairs the p-value of flipping signs cannot be below 0.25" in out


def test_json_has_all_numbers(tmp_path, capsys, monkeypatch):
    paths = many(tmp_path, {8: [10, 11, 12.5], 16: [5, 6.1, math.inf]})
    status, out, _ = tiny.command(capsys, monkeypatch, "compare", *paths, "--json", "--confidence", 0.9)
    found = json.loads(out, parse_constant=lambda name: pytest.fail(name))
    assert (status, found["format"], found["confidence"]) == (0, 1, 0.9)
    (contest,) = found["contests"]
    assert contest["result"]["n"] == 2
    assert contest["verdict"] in ("better", "cannot tell")
    assert contest["missing"] == ["1 of 3 runs of width=16 gave no number"]
    assert [each["diverged"] for each in found["configurations"]] == [0, 0]
    assert {
        "p_value",
        "p_adjusted",
        "pairs_needed_rough",
        "diverged",
        "interval",
        "bootstrap",
        "pairs_needed",
        "budget",
        "sentence",
    } <= set(contest)


def test_the_command_takes_a_study_and_a_baseline(tmp_path, capsys, monkeypatch):
    status, out, _ = tiny.command(capsys, monkeypatch, "compare", study(tmp_path), "--baseline", "a")
    assert status == 0
    assert "b " in out
    assert "cannot tell b from a with 2 seeds: at least 3 are needed" in " ".join(out.split())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["RUN", "--metric", "fdi"], "there is no metric 'fdi': did you mean 'fid'? allowed: fcd, recall, "),
        (["RUN", "--metric", "flucuation"], "did you mean 'fluctuation'?"),
        (["RUN", "--metric", "kid"], "has no kid of its last checkpoint"),
        (["RUN", "--baseline", "widht=8"], "there is no configuration 'widht=8'"),
        (["RUN", "--baseline", "x", "--all-pairs"], "exclude each other"),
        (["RUN", "STUDY"], "give run folders, or one study"),
        (["EMPTY"], "is not a run"),
        (["RUN", "--confidence", "95"], "confidence is 95.0"),
        (["RUN", "--checkpoint", "best"], "has no best checkpoint"),
        (
            ["STUDY", "--metric", "fdc"],
            "there is no metric 'fdc' of the last checkpoint: did you mean 'fcd'? allowed: fcd, recall, "
            "collapsed, fluctuation (those from collapsed on are of whole runs)",
        ),
        (["STUDY", "--metric", "fluctation"], "did you mean 'fluctuation'?"),
        (["STUDY", "--checkpoint", "best"], "no run has a number of the best checkpoint"),
        (["BEGUN"], "has no rows yet"),
    ],
)
def test_wrong_input_is_one_sentence_and_status_2(tmp_path, capsys, monkeypatch, arguments, sentence):
    (tmp_path / "empty").mkdir()
    places = {
        "RUN": evaluated(folder(tmp_path / "run"), 1).path,
        "STUDY": study(tmp_path),
        "EMPTY": tmp_path / "empty",
        "BEGUN": write(tmp_path / "begun"),
    }
    given = [places.get(each, each) for each in arguments]
    status, out, err = tiny.command(capsys, monkeypatch, "compare", *given)
    assert (status, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1


def test_variants_from_outside_are_only_imported_when_allowed(tmp_path, capsys, monkeypatch):
    (tmp_path / "my_games.py").write_text(
        "from duel.objectives.hinge import Hinge\nfrom duel.options import options\n\n\n"
        '@options\nclass Mine(Hinge):\n    """Mine."""\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    run = evaluated(folder(tmp_path / "run"), 1)
    recipe = recipes.resolve(recipes.change(run.recipe.to_tree(), {"objective": "my_games:Mine"}), True)
    (run.path / "recipe.toml").write_text(recipes.to_toml(recipe))
    status, _, err = tiny.command(capsys, monkeypatch, "compare", run.path)
    assert (status, "--allow-code" in err) == (2, True)
    status, out, _ = tiny.command(capsys, monkeypatch, "compare", run.path, "--allow-code")
    assert (status, "nothing to compare it with" in out) == (0, True)
