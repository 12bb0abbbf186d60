"""Studies: the file, its configurations, their budgets, the rows of the table, the command."""

import json
import os
import signal

import pytest
import small_studies as small
import tiny

from duel import cost, table
from duel import recipe as recipes
from duel.datasets.digits import Digits
from duel.errors import DuelError, RecipeError, RunError
from duel.run import Run
from duel.study import campaign, file, plan, show, study, trial


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    small.in_this_process(monkeypatch, campaign)


@pytest.fixture
def command(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: tiny.command(capsys, monkeypatch, *arguments)


def resolved(**changes):
    return file.resolve({"name": "small", **small.tree(**changes)})


def planned(**changes):
    return plan.configurations(resolved(**changes))


def labels(**changes):
    return [each.label for each in planned(**changes)]


# ---------------------------------------------------------------- the file


def test_one_error_has_every_problem_of_a_file(tmp_path):
    wrong = small.write(
        tmp_path,
        seeds=[1, 1],
        samples=1,
        looks=-1,
        colour="red",
        budget={"steps": 5, "flops": 1e9},
        factors={"batch_size": []},
        paired={"n_critic": [1], "accumulate": [1, 2]},
        points=[{"nome": "x"}],
    )
    with pytest.raises(RecipeError) as caught:
        file.read(wrong)
    said = str(caught.value).splitlines()
    assert said == [
        "the study file has several problems:",
        "  budget: steps and flops is given, allowed: exactly one of steps, images, seconds, flops",
        "  there is no field 'points.0.nome': did you mean 'name'? allowed: data, name, recipe, set",
        "  points.0.name is missing",
        *[line for line in said if "there is no field 'colour'" in line],
        # What a study says as a whole is judged once its tables are right.
    ]
    assert any("there is no field 'colour'" in line for line in said)
    right = {"budget": {"steps": 5}, "points": [{"name": "x"}, {"name": "x"}]}
    with pytest.raises(RecipeError) as caught:
        file.read(small.write(tmp_path, **{**given_of(wrong), **right}))
    assert [line.strip() for line in str(caught.value).splitlines() if "colour" not in line] == [
        "the study file has several problems:",
        "seeds is [1, 1], allowed: one or more different integers",
        "samples is 1, allowed are integers from 2",
        "looks is -1, allowed are integers from 0",
        "the factor batch_size has no values: give at least one",
        "paired lists have different lengths (n_critic: 1, accumulate: 2): give equally many values",
        "points has a name twice: x, x",
    ]


def given_of(path):
    import tomllib

    return tomllib.loads(path.read_text())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"budget": {}}, "nothing is given, allowed: exactly one of"),
        ({"budget": {"steps": 0}}, "steps is 0, allowed are positive numbers"),
        ({"budget": {"steps": 1.5}}, "budget.steps is 1.5, allowed: an integer"),
        ({"budget": None}, "exactly one of steps, images, seconds, flops"),
        ({"recipe": None}, "the study file: recipe is missing"),
        ({"seeds": [-1]}, "allowed are integers from 0 to"),
        ({"seeds": []}, "allowed: one or more different integers"),
        (
            {"seeds": 3},
            "the study file: seeds is 3, allowed: a list of different integers, such as seeds = [0, 1, 2]",
        ),
        ({"design": "random"}, "design is 'random', allowed: 'grid' or 'one-at-a-time'"),
        ({"set": 3}, "set is 3, allowed"),
        ({"factors": {"n_critic": [1]}, "paired": {"n_critic": [2]}}, "n_critic is a factor and paired"),
        ({"format": 2}, "the study has format 2; this version reads format 1"),
        ({"search": 3}, "search is 3, expected a table with trials and ranges"),
        ({"search": {"trials": 0}}, "trials is 0 and at_once is 4, allowed are integers from 1"),
        ({"search": {"ranges": {"n_critic": {"low": 2, "high": 1}}}}, "allowed: low below high"),
        ({"search": {"ranges": {"a": {"low": 0, "high": 1, "log": True}}}}, "allowed are positive numbers"),
        ({"search": {"ranges": {"a": {"low": 0.5, "high": 2, "integer": True}}}}, "allowed: whole numbers"),
    ],
)
def test_what_a_file_may_not_say(changes, said):
    with pytest.raises(RecipeError) as caught:
        resolved(**changes)
    assert said in str(caught.value)
    assert "--set" not in str(caught.value)


def test_a_file_that_is_not_there_or_no_toml(tmp_path):
    with pytest.raises(RecipeError, match=r"there is no study file .*none\.toml: name a TOML file"):
        file.read(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("a = [")
    with pytest.raises(RecipeError, match="is not valid TOML"):
        file.read(tmp_path / "bad.toml")


def test_what_is_no_study_file_is_told_in_a_sentence(tmp_path):
    folder = tmp_path / "study"
    folder.mkdir()
    with pytest.raises(
        RecipeError, match=r"study is a folder and no study file: name a TOML file, .*studies/$"
    ):
        file.read(folder)
    (folder / "study.toml").touch()
    with pytest.raises(RecipeError, match=r"such as those in studies/, here .*study/study\.toml$"):
        file.read(folder)
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF")
    with pytest.raises(RecipeError, match=r"photo\.jpg is no text, so it is no study file: name a TOML file"):
        file.read(tmp_path / "photo.jpg")
    with pytest.raises(RecipeError, match=r"cannot be read \(Not a directory\): name a TOML file"):
        file.read(tmp_path / "photo.jpg" / "a.toml")


def test_a_size_merges_set_and_replaces_the_rest(tmp_path):
    sizes = {"large": {"seeds": [3, 4], "budget": {"images": 80}, "set": {"network.width": 8}}}
    path = small.write(tmp_path, sizes=sizes, factors=small.RATES)
    as_written, large = file.read(path), file.read(path, "large")
    assert (as_written.size, as_written.seeds, as_written.set["network.width"]) == (None, (0,), 4)
    assert (large.size, large.seeds, large.budget.images) == ("large", (3, 4), 80)
    assert large.set == {**small.SET, "network.width": 8}
    assert large.factors == as_written.factors
    with pytest.raises(RecipeError, match="no size 'larg': did you mean 'large'"):
        file.read(path, "larg")
    with pytest.raises(RecipeError, match="no size 'gpu': allowed: none"):
        file.read(small.write(tmp_path), "gpu")


def test_a_study_as_a_tree_reads_back_as_the_same(tmp_path):
    schedule = {"values": [1, 2], "at": [0, 3], "shape": "step"}
    it = resolved(
        factors={"n_critic": [1, schedule]},
        points=[{"name": "own", "set": {"augmentations.noise.sigma": 0.1}}],
        search={"ranges": {"batch_size": {"low": 4, "high": 8, "integer": True}}},
    )
    assert file.resolve(file.to_tree(it)) == it


# ---------------------------------------------------------------- configurations


def test_a_grid_is_every_combination_and_points_come_after():
    factors = {"batch_size": [4, 8], "objective": ["hinge", "least-squares"]}
    points = [{"name": "own", "recipe": "lsgan", "set": {"batch_size": 16}}]
    found = planned(factors=factors, points=points)
    assert [each.label for each in found] == [
        "batch_size=4, objective=hinge",
        "batch_size=4, objective=least-squares",
        "batch_size=8, objective=hinge",
        "batch_size=8, objective=least-squares",
        "own",
    ]
    assert [each.recipe.batch_size for each in found] == [4, 4, 8, 8, 16]
    assert found[0].factors == {"batch_size": 4, "objective": "hinge"}
    assert found[4].factors == {"batch_size": 16, "objective": "least-squares"}
    assert found[4].recipe.name == "lsgan"


def test_one_at_a_time_goes_out_from_the_centre():
    factors = {"batch_size": [8, 16], "latent.size": [3]}
    found = planned(design="one-at-a-time", factors=factors)
    # The centre has batches of 8 already: equal recipes are one.
    assert [each.label for each in found] == ["centre", "batch_size=16", "latent.size=3"]
    assert [(each.recipe.batch_size, each.recipe.latent.size) for each in found] == [(8, 5), (16, 5), (8, 3)]
    assert found[0].factors == {"batch_size": 8, "latent.size": 5}


def test_without_factors_there_is_the_centre_or_the_points():
    assert labels() == ["centre"]
    assert labels(points=[{"name": "a"}, {"name": "b", "set": {"batch_size": 4}}]) == ["a", "b"]
    assert labels(points=[{"name": "a"}, {"name": "b"}]) == ["a"]


def test_paired_lists_advance_together():
    rates = {"optimizer.generator.lr": [1e-4, 1e-3], "optimizer.discriminator.lr": [4e-4, 4e-3]}
    assert labels(paired=rates, factors={"batch_size": [4]}) == [
        "batch_size=4, generator.lr=0.0001, discriminator.lr=0.0004",
        "batch_size=4, generator.lr=0.001, discriminator.lr=0.004",
    ]


def test_recipe_and_data_are_factors_too(tmp_path):
    found = planned(factors={"recipe": ["dcgan", "lsgan"], "data": ["digits"]}, points=[{"name": "own"}])
    assert [each.label for each in found] == ["recipe=dcgan, data=digits", "recipe=lsgan, data=digits"]
    assert [each.factors for each in found] == [
        {"recipe": "dcgan", "data": "digits"},
        {"recipe": "lsgan", "data": "digits"},
    ]


def test_a_configuration_that_was_given_no_value_shows_what_it_has(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    factors = {
        "augmentations": ["noise"],
        "n_critic": [2],
        "augmentations.noise.sigma": [0.5],
        "optimizer.generator.name": ["sgd"],
        "data": ["digits"],
    }
    points = [{"name": "own", "data": str(folder), "set": {"augmentations": "noise,diffaugment"}}]
    own = planned(factors=factors, points=points)[-1]
    assert own.factors == {
        "augmentations": "noise,diffaugment",
        "n_critic": 1,
        "augmentations.noise.sigma": own.recipe.augmentations[0].sigma,
        "optimizer.generator.name": "adam",
        "data": str(folder),
    }
    of_the_study = planned(data=str(folder), factors={"data": ["digits"]}, points=[{"name": "own"}])[-1]
    assert of_the_study.factors == {"data": str(folder)}
    none = planned(factors={"augmentations": ["noise"]}, points=[{"name": "own"}])[-1]
    assert none.factors == {"augmentations": "none"}


def test_a_wrong_configuration_is_named():
    with pytest.raises(RecipeError, match=r"^configuration batch_size=0: batch_size is 0, allowed"):
        planned(factors={"batch_size": [4, 0]})
    with pytest.raises(RecipeError, match=r"configuration own: .*hinj"):
        planned(points=[{"name": "own", "set": {"objective": "hinj"}}])


def test_names_must_tell_configurations_apart():
    with pytest.raises(RecipeError, match="two configurations have one name: batch_size=4, batch_size=4"):
        planned(factors={"batch_size": [4]}, points=[{"name": "batch_size=4", "set": {"network.width": 5}}])


def test_the_baseline_is_one_of_the_labels():
    assert labels(factors={"batch_size": [4, 16]}, baseline="batch_size=16")
    with pytest.raises(RecipeError, match="baseline is 'batch_size=15': did you mean 'batch_size=1"):
        planned(factors={"batch_size": [4, 16]}, baseline="batch_size=15")


def test_labels_with_commas_are_quoted_in_lists():
    factors = {"batch_size": [4, 16], "n_critic": [1]}
    with pytest.raises(
        RecipeError, match=r"allowed: 'batch_size=4, n_critic=1', 'batch_size=16, n_critic=1'$"
    ):
        planned(factors=factors, baseline="nothing like it")


def test_a_later_variant_drops_the_options_that_set_gave_the_old_one():
    found = planned(
        recipe="wgan",
        set={**small.SET, "optimizer.generator.decay": 0.9},
        factors={"optimizer.generator": ["rmsprop", "adam"]},
    )
    assert "decay" not in found[1].recipe.to_tree()["optimizer"]["generator"]


@pytest.mark.parametrize(
    ("keys", "short"),
    [
        (["latent.size", "batch_size"], ["latent.size", "batch_size"]),
        (["optimizer.generator.lr", "optimizer.discriminator.lr"], ["generator.lr", "discriminator.lr"]),
        (["constraints.clip.limit"], ["clip.limit"]),
        (["optimizer.generator.name"], ["optimizer.generator"]),
        (["a.x.lr", "b.x.lr"], ["a.x.lr", "b.x.lr"]),
    ],
)
def test_keys_are_shortened_as_far_as_they_stay_different(keys, short):
    assert list(plan.shortened(keys).values()) == short


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0001, "0.0001"),
        (True, "true"),
        ("", "none"),
        ([], "none"),
        ([1, 2], "1+2"),
        ({"values": [1, 5], "at": [0, 9], "shape": "step"}, "1→5"),
        ({"name": "adam", "lr": 0.5}, "adam,0.5"),
        ("hinge", "hinge"),
    ],
)
def test_values_in_labels(value, shown):
    assert plan.shown(value) == shown


def test_folders_are_safe_and_different_for_different_labels():
    assert plan.folder_name("generator.lr=0.001") == "generator.lr=0.001"
    assert plan.folder_name("latent.size=6, batch_size=32") == "latent.size=6-batch_size=32"
    wild = ["a/b", "a\\b", "..", "", "x" * 80, "x" * 79, "source B's best", "source B-s best", "1→5", "1-5"]
    names = [plan.folder_name(label) for label in wild]
    assert len(set(names)) == len(names)
    assert all(set(name) <= {*"abcdefghijklmnopqrstuvwxyz0123456789BABC.-=+_"} for name in names)
    assert all(0 < len(name) <= 60 and name.strip(".") for name in names)


# ---------------------------------------------------------------- defaults and budgets


def budgeted(**changes):
    return campaign.plan(resolved(**changes))


def test_runs_have_what_studies_want_unless_set_says_otherwise():
    recipe = budgeted(budget={"steps": 800}, looks=4)[0].recipe
    assert (recipe.threads, recipe.checkpoint.keep, recipe.steps) == (1, 1, 800)
    assert (recipe.evaluate.every, recipe.sample.every, recipe.log.every) == (200, 100, 40)
    assert (recipe.evaluate.metrics, recipe.evaluate.features) == (("frechet", "precision"), "random")
    assert recipe.evaluate.samples == 60
    own = {"evaluate.every": 50, "sample.every": 7, "log.every": 3, "checkpoint.keep": 2, "threads": 2}
    recipe = budgeted(budget={"steps": 800}, set={**small.SET, **own, "evaluate.samples": 30})[0].recipe
    assert (recipe.threads, recipe.checkpoint.keep) == (2, 2)
    assert (recipe.evaluate.every, recipe.sample.every, recipe.log.every) == (50, 7, 3)
    assert recipe.evaluate.samples == 30


def test_points_and_factors_override_them_too():
    found = budgeted(
        budget={"steps": 800},
        looks=4,
        factors={"sample.every": [5]},
        points=[{"name": "own", "set": {"evaluate.every": 10}}],
    )
    assert [(each.recipe.evaluate.every, each.recipe.sample.every) for each in found] == [
        (200, 5),
        (10, 100),
    ]


def test_without_looks_nothing_is_evaluated_while_training():
    assert budgeted(looks=0)[0].recipe.evaluate.every is None


def test_a_budget_of_images_gives_small_batches_more_steps():
    found = budgeted(budget={"images": 96}, factors={"batch_size": [4, 8], "n_critic": [1, 2]})
    assert [each.steps for each in found] == [24, 12, 12, 6]
    assert {each.recipe.drawn(each.steps) for each in found} == {96}


def test_a_budget_of_seconds_is_measured_once(tmp_path, monkeypatch):
    seconds = iter([0.5, 0.25, 9.0, 9.0])
    monkeypatch.setattr(campaign, "step_seconds", lambda recipe, data: next(seconds))
    path = small.write(tmp_path, budget={"seconds": 2.0}, factors={"batch_size": [8, 4]}, looks=1)
    it = study(path, tmp_path / "out")
    assert [each.steps for each in it.planned] == [4, 8]
    assert it.seconds == 4.0
    list(it)
    again = study(path, tmp_path / "out")
    assert [each.steps for each in again.planned] == [4, 8]
    assert next(seconds) == 9.0


def test_a_budget_of_flops_is_what_they_cost():
    one = cost.step_flops(*ready())
    found = budgeted(budget={"flops": 5 * one}, factors={"n_critic": [1, 2, 4]})
    assert found[0].steps == 5
    assert 5 > found[1].steps > found[2].steps >= 1


def ready(recipe="dcgan", **changes):
    it = recipes.on_this_machine(
        recipes.resolve(
            recipes.change(recipes.read(recipe), {"steps": 4, "threads": 1, **small.SET, **changes})
        )
    )
    return it, Digits().load()


def test_flops_are_what_torch_counts():
    from torch.utils.flop_counter import FlopCounterMode

    from duel.loop import engine_of

    recipe, data = ready()
    now = engine_of(recipe).start(recipe, data)
    with FlopCounterMode(display=False) as counter:
        engine_of(recipe).play_step(recipe, now)
    assert cost.step_flops(recipe, data) == counter.get_total_flops() > 0


def test_flops_of_second_derivatives_and_of_a_schedule_count():
    # What torch's own counter refuses: its hooks on modules break second derivatives.
    free = {"objective": "wasserstein", "network.discriminator_norm": "none"}
    plain = cost.step_flops(*ready(**free))
    punished = cost.step_flops(*ready(**free, penalties="r1"))
    assert 1.2 * plain < punished < 4 * plain
    schedule = {"values": [1, 3], "at": [0, 2], "shape": "step"}
    rising = cost.step_flops(*ready(**free, n_critic=schedule))
    assert rising == plain * ready(n_critic=schedule)[0].drawn(4) / (4 * 8)


def test_flops_of_the_other_engine_cannot_be_counted():
    changes = {"recipe": "gan-dense-a", "set": {"engine": "scratch", "batch_size": 4}}
    with pytest.raises(RecipeError, match=r"configuration centre: a budget of flops cannot be counted"):
        budgeted(budget={"flops": 1e6}, **changes)
    assert budgeted(budget={"steps": 3}, **changes)[0].steps == 3


# ---------------------------------------------------------------- what is said of a run


def test_fluctuation_is_the_median_change_over_the_second_half():
    # Of 8 looks the last 4: changes 1, 2, 3, their median 2; the median value there is 11.5.
    assert trial.fluctuation([90, 1, 70, 5, 10, 11, 13, 12.0 - 2]) == pytest.approx(2 / 10.5)
    assert trial.fluctuation([5, 5, 5, 5, 5]) == 0
    assert trial.fluctuation([3.0, 1, 2]) is None
    assert trial.fluctuation([1.0, 1, 0, 0, 0]) is None
    assert trial.fluctuation([-4.0, -2, -4]) is None  # two looks in the second half
    assert trial.fluctuation([0, 0, -4.0, -2, -4]) == pytest.approx(2 / 4)
    assert trial.fluctuation([]) is None


def test_balance_is_the_distance_from_a_half_in_the_last_fifth():
    early = [{"d_real": 0.0, "d_fake_before": 0.0}] * 8
    late = [{"d_real": 0.7, "d_fake_before": 0.4}, {"d_real": 0.9, "d_fake_before": 0.5}]
    assert trial.balance(early + late) == pytest.approx((0.2 + 0.1 + 0.4 + 0.0) / 4)
    assert trial.balance(late[:1]) == pytest.approx(0.15)
    assert trial.balance([{"score_real": 3.0}] * 5) is None
    assert trial.balance([]) is None


def written_run(path, state="done", findings=(), looks=()):
    """A trained run with other findings and looks."""
    tiny.train(path, 4)
    run = Run(path)
    run.update_state(state=state)
    run.write_findings(list(findings))
    for step, (name, value) in enumerate(looks):
        run.record(
            {"event": "metric", "step": step, "name": name, "value": value, "low": 0, "high": 9}
            | {"better": "lower"}
        )
    return run


def finding(name, severity):
    rest = {"confidence": 1.0, "explanation": "so", "evidence": [], "advice": []}
    return {"name": name, "severity": severity, **rest}


@pytest.mark.parametrize(
    ("state", "findings", "collapsed", "severe"),
    [
        ("done", [], 0, 0),
        ("done", [("mode-collapse", "severe"), ("gradient", "severe"), ("other", "warning")], 1, 2),
        ("done", [("mode-collapse", "warning"), ("gradient", "severe")], 0, 1),
        ("nonfinite", [], 1, 0),
    ],
)
def test_a_run_collapsed_where_a_severe_collapse_stands_or_it_diverged(
    tmp_path, state, findings, collapsed, severe
):
    looks = [("frechet", value) for value in (9.0, 8.0, 4.0, 6.0, 4.0)] + [("precision", 0.5)] * 3
    run = written_run(tmp_path / "run", state, [finding(*each) for each in findings], looks)
    rows = {row["metric"]: row for row in trial.of_the_run(run)}
    assert (rows["collapsed"]["value"], rows["severe"]["value"]) == (collapsed, severe)
    assert rows["fluctuation"]["value"] == pytest.approx(2 / 4)
    assert "estimate-correlation" not in rows
    assert all(row["checkpoint"] == "run" and row["split"] == "validation" for row in rows.values())
    assert all(row["better"] == "lower" for row in rows.values())
    assert trial.best_look(run)["value"] == 4.0


def test_the_effort_is_counted_without_evaluations(tmp_path):
    run = written_run(tmp_path / "run")
    seen = list(run.events("step"))
    effort = trial._effort(run)
    assert (effort["steps"], effort["images"]) == (4, seen[-1]["images"])
    speeds = sorted(event["images_per_s"] for event in seen)
    assert effort["seconds"] == pytest.approx(seen[-1]["images"] / (sum(speeds) / 2), abs=0.01)


def test_what_is_no_number_has_no_value():
    entry = {"value": float("nan"), "low": float("-inf"), "high": 3.0, "better": "lower"}
    said = {"splits": {"real": "test"}, "n_fake": 5, "features": {"name": "random"}}
    rows = trial._rows({"metrics": {"knn": entry}, "provenance": said})
    assert [rows[0][key] for key in ("value", "low", "high", "split")] == [None, None, 3.0, "test"]


# ---------------------------------------------------------------- a whole study


def test_the_table_has_a_row_for_each_run_checkpoint_and_metric(tmp_path):
    path = small.write(tmp_path, seeds=[0, 10], factors=small.RATES, sizes={"tiny": {"looks": 3}})
    out = tmp_path / "out"
    events = small.play(path, out, size="tiny", workers=2)
    assert [event["event"] for event in events] == ["start", *["run"] * 4, "end"]
    assert events[0] | {"runs": 4, "left": 4, "workers": 2, "cluster": None} == events[0]
    assert events[-1] | {"reason": "done", "done": 4, "nonfinite": 0, "failed": 0} == events[-1]
    rows = table.read(out)
    assert table.from_csv((out / "table.csv").read_text()) == rows
    assert list(rows[0])[:4] == ["study", "size", "configuration", "optimizer.generator.lr"]
    measured = [row for row in rows if row["checkpoint"] != "run"]
    assert [(row["configuration"], row["seed"], row["checkpoint"], row["metric"]) for row in measured] == [
        (f"generator.lr={rate}", seed, checkpoint, metric)
        for rate in (0.001, 0.01)
        for seed in (0, 10)
        for checkpoint in ("last", "best")
        for metric in ("frechet-random", "precision")
    ]
    row = measured[0]
    assert row | {
        "study": "small", "size": "tiny", "optimizer.generator.lr": 0.001, "recipe": "dcgan",
        "data": "digits", "state": "done", "step": 6, "better": "lower", "split": "test", "samples": 60,
        "features": "random", "steps": 6, "images": 48, "run": "runs/generator.lr=0.001/seed-0",
    } == row  # fmt: skip
    assert row["low"] <= row["value"] <= row["high"]
    run = Run(out / row["run"])
    assert {event["step"] for event in run.events("metric")} == {2, 4, 6}
    assert run.recipe.seed == 0
    assert run.provenance["command"] == "duel study"
    # The best checkpoint is the one of the best look on validation; the test split chooses nothing.
    best = next(row for row in measured if row["checkpoint"] == "best")
    looks = [event for event in run.events("metric") if event["name"] == "frechet-random"]
    assert best["step"] == min(looks, key=lambda look: look["value"])["step"] == trial.best_look(run)["step"]
    # Each run is measured as `duel evaluate` measures it.
    from duel import evaluate

    again = evaluate(run.path, metrics=["frechet"], features="random", samples=60)
    assert again["metrics"]["frechet-random"]["value"] == row["value"]
    of_runs = {row["metric"] for row in rows if row["checkpoint"] == "run"}
    assert of_runs >= {"collapsed", "severe", "balance"}
    assert [entry["label"] for entry in json.loads((out / "plan.json").read_text())["configurations"]] == [
        "generator.lr=0.001",
        "generator.lr=0.01",
    ]
    logged = [json.loads(line)["event"] for line in (out / "events.jsonl").read_text().splitlines()]
    assert logged == [event["event"] for event in events]


def test_a_run_equals_the_same_training_alone(tmp_path):
    import duel

    path = small.write(tmp_path, seeds=[3], budget={"steps": 4})
    small.play(path, tmp_path / "out")
    run = tmp_path / "out" / "runs" / "centre" / "seed-3"
    with duel.train(Run(run).recipe.to_tree(), out=tmp_path / "alone") as session:
        list(session)
    assert tiny.weights(run) == tiny.weights(tmp_path / "alone")


def test_a_run_that_diverges_is_a_result(tmp_path):
    # It falls after the first look: there is a checkpoint that could be measured.
    rate = {"values": [1e-3, 1e18], "at": [0, 3], "shape": "step"}
    wild = {"optimizer.generator.lr": rate, "optimizer.discriminator.lr": rate}
    path = small.write(
        tmp_path,
        recipe="gan-dense-a",
        looks=3,
        set={"batch_size": 4, "network.generator_hidden": [8], "network.discriminator_hidden": [8]},
        points=[{"name": "calm"}, {"name": "wild", "set": wild}],
    )
    events = small.play(path, tmp_path / "out")
    assert events[-1] | {"done": 1, "nonfinite": 1, "failed": 0} == events[-1]
    rows = [row for row in table.read(tmp_path / "out") if row["configuration"] == "wild"]
    assert {row["state"] for row in rows} == {"nonfinite"}
    assert {row["checkpoint"] for row in rows} == {"run"}
    assert Run(tmp_path / "out" / rows[0]["run"]).state["last"] == 2
    assert {row["metric"]: row["value"] for row in rows}["collapsed"] == 1
    assert small.play(path, tmp_path / "out")[0]["left"] == 0  # it is not tried again


FAILING = """
from duel.networks.dense import Dense
from duel.options import options

@options
class Fragile(Dense):
    limit: int = 10**9

    def generator(self, interface):
        import os
        from pathlib import Path

        module, calls, limit = super().generator(interface), [], self.limit
        def count(*_):
            calls.append(1)
            if len(calls) > limit and Path(os.environ["FRAGILE"]).exists():
                raise ValueError("the dog ate it")
        module.register_forward_pre_hook(count)
        return module
"""


@pytest.fixture
def fragile(tmp_path, monkeypatch):
    """A study with a recipe that fails in its twelfth pass while a certain file is there."""
    (tmp_path / "fragile.py").write_text(FAILING)
    (tmp_path / "broken").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("FRAGILE", str(tmp_path / "broken"))
    hidden = {"network.generator_hidden": [8], "network.discriminator_hidden": [8], "batch_size": 4}
    limits = {"network.limit": [10**9, 12]}
    return small.write(
        tmp_path,
        recipe="gan",
        budget={"steps": 20},
        factors=limits,
        set={**hidden, "network": "fragile:Fragile"},
    )


def test_a_run_that_fails_leaves_the_others_and_is_tried_again(fragile, tmp_path, command):
    with pytest.raises(RecipeError, match="would run code from outside"):
        study(fragile, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    status, out, err = command("study", fragile, "--out", "out", "--allow-code", "--workers", 1)
    assert (status, err) == (1, "")
    assert "limit=12, seed 0: failed: ValueError: the dog ate it" in out
    assert "complete: 1 run done, 1 failed" in out
    rows = table.read("out")
    assert table.from_csv((tmp_path / "out/table.csv").read_text()) == rows
    failed = [row for row in rows if row["state"] == "failed"]
    assert [(row["configuration"], row["metric"], row["value"], row["run"]) for row in failed] == [
        ("network.limit=12", "", None, "runs/network.limit=12/seed-0")
    ]
    whole = Run("out/runs/network.limit=1000000000/seed-0")
    before = (whole.path / "events.jsonl").stat().st_mtime_ns
    (tmp_path / "broken").unlink()
    status, out, err = command("study", fragile, "--out", "out", "--allow-code")
    assert (status, err) == (0, "")
    assert "small: 1 of 2 runs to do" in out
    assert {row["state"] for row in table.read("out")} == {"done"}
    assert (whole.path / "events.jsonl").stat().st_mtime_ns == before


# ---------------------------------------------------------------- taking up


def lines(out):
    """How much each run of a study has logged and measured."""
    return {
        str(file.relative_to(out)): (file.stat().st_mtime_ns, len(file.read_text().splitlines()))
        for file in sorted(out.glob("runs/*/*/*.jsonl"))
    }


def test_more_seeds_and_values_play_only_the_new_runs(tmp_path):
    out = tmp_path / "out"
    small.play(small.write(tmp_path, factors=small.RATES), out)
    before, rows = lines(out), small.values(out)
    more = {"optimizer.generator.lr": [0.001, 0.005, 0.01]}
    events = small.play(small.write(tmp_path, factors=more, seeds=[0, 1], title="now with a title"), out)
    assert {(event["label"], event["seed"]) for event in events if event["event"] == "run"} == {
        ("generator.lr=0.005", 0),
        ("generator.lr=0.001", 1),
        ("generator.lr=0.005", 1),
        ("generator.lr=0.01", 1),
    }
    assert {name: seen for name, seen in lines(out).items() if name in before} == before
    assert [
        row for row in small.values(out) if row["seed"] == 0 and "0.005" not in row["configuration"]
    ] == rows
    assert small.csv_values(out) == small.values(out)


def test_other_settings_are_refused_with_each_difference(tmp_path):
    out = tmp_path / "out"
    small.play(small.write(tmp_path), out)
    other = small.write(tmp_path, budget={"steps": 7}, set={**small.SET, "batch_size": 4}, samples=61)
    with pytest.raises(RunError) as caught:
        study(other, out)
    assert str(caught.value).splitlines() == [
        f"{out} holds another study; choose another --out:",
        "  budget: the folder has {'steps': 6}, now {'steps': 7}",
        "  samples: the folder has 60, now 61",
        f"  set: the folder has {small.SET}, now { {**small.SET, 'batch_size': 4} }",
    ]
    with pytest.raises(RunError, match="size: the folder has None, now 'tiny'"):
        study(small.write(tmp_path, sizes={"tiny": {}}), out, size="tiny")


def test_the_name_of_the_file_does_not_matter(tmp_path):
    out = tmp_path / "out"
    small.play(small.write(tmp_path), out)
    events = small.play(small.write(tmp_path, "renamed", seeds=[0, 1]), out)
    assert [(event["label"], event["seed"]) for event in events if event["event"] == "run"] == [("centre", 1)]
    assert {row["study"] for row in small.values(out)} == {"small"}  # by one name, or it were two studies
    assert file.read(out / "study.toml").name == "small"


def test_a_point_that_changed_and_kept_its_name_is_refused(tmp_path):
    out, own = tmp_path / "out", {"name": "own", "set": {"batch_size": 4}}
    small.play(small.write(tmp_path, points=[own]), out)
    before = small.values(out)
    changed = small.write(tmp_path, points=[{**own, "set": {"batch_size": 8}}])
    with pytest.raises(RunError) as caught:
        study(changed, out)
    assert str(caught.value).splitlines() == [
        f"{out} has runs of another 'own': rename it, or choose another --out",
        "  batch_size: its runs have 4, now 8",
    ]
    renamed = small.write(tmp_path, points=[own, {"name": "new", "set": {"batch_size": 8}}])
    assert [event["label"] for event in small.play(renamed, out) if event["event"] == "run"] == ["new"]
    assert [row for row in small.values(out) if row["configuration"] == "own"] == before


def test_a_folder_of_other_things_is_refused(tmp_path):
    path = small.write(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"--out .*file is a file"):
        study(path, tmp_path / "file")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "photo.jpg").touch()
    with pytest.raises(RunError, match=r"--out .*full holds other files and no study"):
        study(path, tmp_path / "full")
    (tmp_path / "empty").mkdir()
    assert small.play(path, tmp_path / "empty")[-1]["reason"] == "done"


def test_a_place_that_cannot_be_written_is_told(tmp_path, monkeypatch, command):
    path = small.write(tmp_path)
    (tmp_path / "file").touch()
    assert command("study", path, "--out", "file/x")[::2] == (
        2,
        "duel: the study folder file/x cannot be written (Not a directory): choose another --out\n",
    )
    opened = os.open

    def read_only(place, *arguments, **options):
        if str(place).endswith(".lock"):
            raise OSError(30, "Read-only file system", str(place))
        return opened(place, *arguments, **options)

    monkeypatch.setattr(os, "open", read_only)
    status, out, err = command("study", path, "--out", "there")
    assert (status, out) == (2, "")
    assert "there cannot be written (Read-only file system): choose another --out" in err


def test_a_full_disk_is_told_and_the_same_command_goes_on(tmp_path, monkeypatch, command):
    from duel import io

    path, write = small.write(tmp_path, seeds=[0, 1]), io.write_atomic

    def full(file, content):
        if file.name == "table.csv" or file.name.endswith("seed-1.json"):
            raise OSError(28, "No space left on device", str(file))
        write(file, content)

    monkeypatch.setattr(io, "write_atomic", full)
    status, _, err = command("study", path, "--out", "out")
    assert status == 1
    assert err == (
        "duel: the study folder out cannot be written (No space left on device): mend that, and the same "
        "command goes on from there\n"
    )
    monkeypatch.setattr(io, "write_atomic", write)
    assert command("study", path, "--out", "out")[0] == 0
    assert {row["seed"] for row in table.read("out")} == {0, 1}
    assert not (tmp_path / "out/.stop").exists()


def test_the_second_process_on_a_study_is_refused(tmp_path):
    path = small.write(tmp_path)
    first = iter(study(path, tmp_path / "out"))
    assert next(first)["event"] == "start"
    with pytest.raises(
        RunError, match=rf"the study .*out is being played by process {os.getpid()} on .*: wait"
    ):
        list(study(path, tmp_path / "out"))
    first.close()
    assert small.play(path, tmp_path / "out")[-1]["reason"] == "done"


def test_leaving_early_saves_what_runs_and_frees_the_folder(tmp_path):
    path = small.write(tmp_path, seeds=[0, 1])
    it = study(path, tmp_path / "out")
    for event in it:
        if event["event"] == "run":
            break
    assert not (tmp_path / "out" / ".stop").exists()
    (tmp_path / "out" / ".stop").touch()  # as a killed process leaves it
    events = small.play(small.write(tmp_path, seeds=[0, 1, 2]), tmp_path / "out")
    assert events[-1] | {"reason": "done", "done": 3} == events[-1]
    assert not (tmp_path / "out" / ".stop").exists()


def test_a_run_that_another_process_still_plays_is_waited_for(tmp_path, monkeypatch):
    from duel.run import Lock

    it = study(small.write(tmp_path), tmp_path / "out")
    job = it.trials[0]
    job.run.mkdir(parents=True)
    job.row.parent.mkdir()
    lock = Lock(job.run)
    monkeypatch.setattr(trial.time, "sleep", lambda seconds: lock.release())
    assert trial.play(job) == "done"
    job.stop.touch()
    lock = Lock(job.run)
    assert trial.play(job) == "interrupted"  # without waiting
    lock.release()


def test_how_far_it_is_comes_from_the_logs_and_reads_each_row_once(tmp_path, monkeypatch):
    from duel import io

    path = small.write(tmp_path, factors=small.RATES)
    it = study(path, tmp_path / "out")
    every = it.trials
    assert it._share(every) == 0
    first = every[0].run
    first.mkdir(parents=True)
    (first / "events.jsonl").write_text('{"event": "step", "step": 3}\n{"event": "st')
    costs = [each.cost for each in every]
    assert it._share(every) == pytest.approx(0.5 * costs[0] / sum(costs))
    (tmp_path / "out" / "rows").mkdir()
    trial.fail(every[1], "so")
    it = study(path, tmp_path / "out")
    reads, read = [], io.read_json
    monkeypatch.setattr(io, "read_json", lambda file: reads.append(file) or read(file))
    for _ in range(3):
        assert it._share(every) == pytest.approx((0.5 * costs[0] + costs[1]) / sum(costs))
        assert it._progress(every, 0.0, 0.0)["done"] == 1
    assert reads == [every[1].row]


# ---------------------------------------------------------------- the command


def test_a_dry_run_prints_the_plan_and_writes_nothing(tmp_path, command):
    path = small.write(tmp_path, seeds=[0, 1, 2], factors=small.RATES, title="How fast?")
    status, out, err = command("study", path, "--dry-run", "--workers", 2)
    assert (status, err) == (0, "")
    said = out.splitlines()
    assert said[0] == "small: How fast?"
    assert "generator.lr=0.001  dcgan on digits: 6 steps, 48 images" in said[1]
    assert said[3].startswith("2 configurations × 3 seeds = 6 runs at equal steps: about ")
    assert "with 2 workers" in said[3]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["small.toml"]


def test_a_dry_run_of_a_begun_study_says_what_is_left(tmp_path, command):
    path, out = small.write(tmp_path, factors=small.RATES), tmp_path / "out"
    small.play(path, out)
    assert "\n2 done, 0 left: about 0 s" in command("study", path, "--out", out, "--dry-run")[1]
    more = small.write(tmp_path, factors=small.RATES, seeds=[0, 1])
    failed, done, begun, new = study(more, out).trials
    trial.fail(failed, "so")  # at its end, for instance as it was measured
    begun.run.mkdir(parents=True)
    (begun.run / "events.jsonl").write_text('{"event": "step", "step": 3}\n')
    it = study(more, out)
    assert [each.row for each in it.left] == [failed.row, begun.row, new.row]
    assert it.seconds_left == pytest.approx(begun.cost / 2 + new.cost)
    assert "= 4 runs at equal steps: about" in show.plan_text(it)
    assert "\n1 done, 3 left: about" in show.plan_text(it)
    assert done.row.is_file()


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ({"images": 100}, "at equal images (within one step): about"),
        ({"images": 96}, "at equal images: about"),
        ({"seconds": 2.0}, "at equal seconds, by a step's time measured once before the runs: about"),
        ({"flops": 1e9}, "at equal FLOPs, counted on one step: about"),
    ],
)
def test_the_plan_says_what_equal_means(tmp_path, command, budget, said):
    path = small.write(tmp_path, budget=budget, factors={"batch_size": [8, 16]})
    assert said in command("study", path, "--dry-run")[1]


def test_json_is_one_event_a_line(tmp_path, command):
    path = small.write(tmp_path)
    status, out, err = command("study", path, "--json")
    assert (status, err) == (0, "")
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["event"] for event in events if event["event"] != "progress"] == ["start", "run", "end"]
    assert events[-1]["folder"] == "runs/study-small"
    assert any(event["event"] == "progress" and event["share"] == 1.0 for event in events)
    status, out, _ = command("study", path)
    assert status == 0
    assert out.startswith("small: 0 of 1 run to do")
    assert "complete: 1 run done, " in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.toml"], "there is no study file none.toml"),
        (["small.toml", "--workers", "0"], "--workers is 0, allowed are integers from 1"),
        (["small.toml", "--size", "gpu"], "the study has no size 'gpu'"),
        (["wrong.toml"], "configuration centre: there is no field 'network.wideness'"),
        (["space.toml"], "configuration centre: .*did you mean 'random'"),
    ],
)
def test_wrong_input_leaves_with_2_and_writes_nothing(tmp_path, command, arguments, said):
    import re

    small.write(tmp_path)
    small.write(tmp_path, "wrong", set={"network.wideness": 3})
    small.write(tmp_path, "space", features="randomm")
    status, out, err = command("study", *arguments)
    assert (status, out) == (2, "")
    assert re.search(said, err)
    assert not (tmp_path / "runs").exists()


def test_ctrl_c_between_runs_leaves_with_130_and_the_same_command_goes_on(tmp_path, command, monkeypatch):
    play = trial.play

    def interrupted(job):
        if job.seed == 0:  # a second signal would leave at once
            os.kill(os.getpid(), signal.SIGINT)
        return play(job)

    path = small.write(tmp_path, seeds=[0, 1])
    monkeypatch.setattr(trial, "play", interrupted)
    status, out, err = command("study", path, "--out", "out")
    assert (status, err) == (130, "")
    assert "stopped; the same command goes on from here: 0 runs done" in out
    assert not (tmp_path / "out/.stop").exists()
    monkeypatch.setattr(trial, "play", play)
    assert command("study", path, "--out", "out")[0] == 0


def test_the_progress_line_says_what_it_waits_for(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    people = show.People()
    far = {"event": "progress", "done": 1, "runs": 4, "share": 0.25, "left_s": None}
    people.event({**far, "preparing": True})
    people.event({**far, "left_s": 90})
    people.close()
    said = capsys.readouterr().err
    assert "preparing the metrics' feature space" in said
    assert "1 of 4 runs, 25.0%, 1 min 30 s left" in said
    assert said.endswith("\r\x1b[K")


def test_feature_spaces_are_prepared_once_before_the_runs(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(trial, "prepare", lambda job: asked.append(job.label) or "random")
    path = small.write(tmp_path, seeds=[0, 1], factors=small.RATES)
    events = list(study(path, tmp_path / "out"))
    assert asked == ["generator.lr=0.001"]
    assert [event["event"] for event in events[:2]] == ["start", "progress"]
    assert events[1]["preparing"]


def test_the_studies_of_the_repository_read_and_resolve(tmp_path, monkeypatch):
    from pathlib import Path

    monkeypatch.chdir(tmp_path)
    for name in ("faces", "flowers"):
        (tmp_path / "data" / name).mkdir(parents=True)
    files = sorted((Path(__file__).parents[1] / "studies").glob("*.toml"))
    files = [path for path in files if path.stem != "claims"]  # what the studies are asked
    assert files
    for path in files:
        for size in (None, "gpu"):
            assert plan.configurations(file.read(path, size)), path


def test_errors_of_the_folder_are_of_this_package(tmp_path):
    small.play(small.write(tmp_path), tmp_path / "out")
    (tmp_path / "out" / "plan.json").write_text("{")
    with pytest.raises(DuelError, match="cannot be read as JSON"):
        study(small.write(tmp_path), tmp_path / "out")


def test_the_page_about_studies_shows_what_runs(tmp_path, command):
    import re
    from pathlib import Path

    page = (Path(__file__).parents[1] / "docs" / "studies.md").read_text()
    (tmp_path / "rates.toml").write_text(re.search(r"```toml\n(.*?)```", page, re.DOTALL)[1])
    lines = [line.partition("#")[0].split() for line in page.splitlines() if line.startswith("duel ")]
    said = {}
    for words in [words for words in lines if "--cluster" not in words]:
        if words[1] in ("study", "search"):
            asked = words[1:] if "--dry-run" in words else [*words[1:], "--dry-run"]
            status, said[" ".join(words)], err = command(*asked)
            assert (status, err) == (0, ""), words
        else:
            assert command(words[1], "--help")[0] == 0
    assert "5 configurations × 3 seeds = 15 runs at equal steps" in said["duel study rates.toml --workers 2"]
    assert "8 trials × 3 seeds = 24 runs" in said["duel search rates.toml --trials 8"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["rates.toml"]


# ---------------------------------------------------------------- what is said of a whole run


@pytest.mark.parametrize(
    ("looks", "better", "found"),
    [
        ([10, 30, 12, 11], "lower", 1.0),
        ([10, 14, 12, 11], "lower", 0.0),  # not by half
        ([10, 30, 29, 11], "lower", 0.0),  # does not recover at once
        ([30, 12, 11], "lower", 0.0),  # the first look has one neighbour
        ([8, 3, 8], "higher", 1.0),
        ([8, 13, 8], "higher", 0.0),
        ([8, 3], "higher", None),
    ],
)
def test_a_jump_is_worse_than_both_neighbours_by_half(looks, better, found):
    assert trial.jumps(looks, better) == found


def test_findings_that_are_rows_and_the_loss_beside_the_accuracy(monkeypatch):
    monkeypatch.setattr(trial, "estimate_correlation", lambda run: None)
    steps = [
        {
            "event": "step",
            "step": n,
            "loss_g": float(n),
            "d_real": 0.5 + n / 20,
            "d_fake_before": 0.5 - n / 20,
        }
        for n in range(6)
    ]
    found = [{"name": "checkerboard", "severity": "warning"}]

    class Made:
        def __init__(self, name):
            self.state = {"state": "done"}
            self.recipe = recipes.resolve(recipes.change(recipes.read(name), {"steps": 1}))

        def findings(self):
            return found

        def events(self, kind):
            return iter(steps if kind == "step" else [])

    rows = {row["metric"]: row["value"] for row in trial.of_the_run(Made("bigan-dense"))}
    assert set(rows) <= set(table.OF_RUNS)
    assert (rows["found-checkerboard"], rows["found-oversmooth"], rows["severe"]) == (1.0, 0.0, 0.0)
    assert rows["loss-goes-with-accuracy"] == pytest.approx(1.0)
    assert "loss-goes-with-accuracy" not in {row["metric"] for row in trial.of_the_run(Made("dcgan"))}


@pytest.mark.parametrize("key", ["seed", "steps", "epochs"])
@pytest.mark.parametrize("place", ["set", "factors", "paired", "points"])
def test_seeds_and_steps_come_from_their_own_places(key, place):
    given = {
        "set": {"set": {key: 3}},
        "factors": {"factors": {key: [3, 4]}},
        "paired": {"paired": {key: [3, 4]}},
        "points": {"points": [{"name": "a", "set": {key: 3}}]},
    }[place]
    with pytest.raises(RecipeError, match=f"{key} cannot be set or varied, it comes from"):
        file.resolve({"name": "small", **small.tree(), **given})
