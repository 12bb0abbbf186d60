"""`duel search`: what is drawn, what it is worth, what is best, and that it goes on after a kill."""

import json
import statistics
import subprocess
import sys
import time
import tomllib

import pytest
import small_studies as small
import tiny

from duel import table
from duel.errors import InputError, RecipeError, RunError
from duel.intervals import t_interval
from duel.run import Run, held
from duel.study import campaign, file, search, study, trial

SPACE = {
    "seeds": [0, 1],
    "factors": {"objective": ["hinge", "non-saturating"]},
    "search": {
        "trials": 3,
        "at_once": 2,
        "ranges": {"optimizer.generator.lr": {"low": 1e-4, "high": 1e-2, "log": True}},
    },
}


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    small.in_this_process(monkeypatch, campaign, search)


@pytest.fixture
def command(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: tiny.command(capsys, monkeypatch, *arguments)


def play(path, out, **options):
    return [event for event in search.search(path, out, **options) if event["event"] != "progress"]


def of(events, kind):
    return [event for event in events if event["event"] == kind]


def worth(out, label):
    """What a configuration is worth, from its runs: by the best look on validation, the mean over seeds."""
    rows = [row for row in table.read(out) if row["configuration"] == label]
    runs = {row["run"] for row in rows}
    looks = [[e["value"] for e in trial.deciding(Run(out / run))] for run in runs]
    assert all(len(values) == 2 for values in looks)
    return statistics.fmean(min(values) for values in looks)


def test_the_best_is_the_best_by_validation_over_all_seeds(tmp_path, command):
    path = small.write(tmp_path, **SPACE)
    status, out, err = command("search", path, "--json", "--workers", 2)
    assert (status, err) == (0, "")
    events = [json.loads(line) for line in out.splitlines()]
    trials, end, folder = of(events, "trial"), events[-1], tmp_path / "runs/search-small"
    assert [event["number"] for event in trials] == [0, 1, 2]
    assert len({event["label"] for event in trials}) == 3
    assert len(of(events, "run")) == 6
    for event in trials:
        assert event["state"] == "done"
        assert event["value"] == worth(folder, event["label"])
    best = min(trials, key=lambda event: event["value"])
    found = end["best"]
    assert end | {"reason": "done", "done": 3, "pruned": 0, "failed": 0} == end
    assert found | {key: best[key] for key in ("number", "label", "metric", "value")} == found
    # Its number on the test split is that of the checkpoints that validation chose.
    rows = [
        row["value"]
        for row in table.select(table.read(folder), "frechet-random", "best")
        if row["configuration"] == best["label"]
    ]
    assert found["test"] == dict(zip(("value", "low", "high"), t_interval(rows), strict=True))
    assert found["seeds"] == 2
    # The folder is a study's: each of these reads it.
    assert command("compare", folder)[0] == 0
    assert command("report", folder)[0] == 0
    assert (folder / "table.csv").read_text() == table.to_csv(table.read(folder))
    recipe = Run(folder / rows_of(folder, best["label"])[0]["run"]).recipe
    status, dry, err = command("train", found["recipe"], "--dry-run")
    assert (status, err) == (0, "")
    again = tomllib.loads(dry)
    assert again == {**recipe.to_tree(), "name": again["name"]}
    status, out, _ = command("search", path)
    assert status == 0
    assert out.startswith("small: 0 of 0 runs to do")
    assert f"best: trial {best['number']}, {best['label']}: frechet-random" in out
    assert f"duel train {found['recipe']}" in out


def rows_of(out, label):
    return [row for row in table.read(out) if row["configuration"] == label]


def test_the_drawn_numbers_are_short_and_the_labels_say_them(tmp_path):
    play(small.write(tmp_path, **{**SPACE, "seeds": [0]}), tmp_path / "out")
    plan = json.loads((tmp_path / "out/plan.json").read_text())["configurations"]
    assert len(plan) == 3
    for entry in plan:
        rate = entry["factors"]["optimizer.generator.lr"]
        assert 1e-4 <= rate <= 1e-2
        assert rate == float(f"{rate:.3g}")
        assert entry["label"] == f"objective={entry['factors']['objective']}, generator.lr={rate:g}"
        rows = rows_of(tmp_path / "out", entry["label"])
        assert rows[0]["optimizer.generator.lr"] == rate
        run = Run(tmp_path / "out" / rows[0]["run"])
        assert run.recipe.optimizer.generator.lr == rate


def test_after_a_kill_it_goes_on_as_if_nothing_had_been(tmp_path, monkeypatch):
    path = small.write(tmp_path, **{**SPACE, "budget": {"steps": 60}, "looks": 6})
    out = tmp_path / "out"
    call = [sys.executable, "-m", "duel", "search", path, "--out", "out", "--workers", "2", "--json"]
    process = subprocess.Popen(call, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    # In the second half of the first batch: some runs have ended, no trial has been told.
    while not any((out / "rows").glob("*.json")):
        time.sleep(0.02)
    process.kill()
    process.communicate()
    while any(held(run) for run in out.glob("runs/*/*")):
        time.sleep(0.02)
    rows = {row: row.stat().st_mtime_ns for row in (out / "rows").glob("*.json")}
    assert 1 <= len(rows) <= 4
    journal = out / "search.journal"
    with open(journal, "a") as torn:
        torn.write('{"op_code": 4, "wor')  # what a kill leaves of a line
    (out / "search.journal.lock").symlink_to(journal)  # and of Optuna's lock

    def sleep(seconds):
        raise AssertionError("Optuna waits for a lock that nobody has")

    monkeypatch.setattr(time, "sleep", sleep)
    events = play(path, out)
    whole = play(path, tmp_path / "undisturbed")
    assert of(events, "trial") == of(whole, "trial")
    assert events[0]["left"] == whole[0]["left"] == 6
    assert len(of(events, "run")) == 6 - len(rows)
    assert small.values(out) == small.values(tmp_path / "undisturbed")
    assert {row: row.stat().st_mtime_ns for row in rows} == rows
    assert (out / "best.toml").read_text() == (tmp_path / "undisturbed/best.toml").read_text()


def test_more_trials_go_on_from_those_there_are(tmp_path, command):
    path = small.write(tmp_path, **{**SPACE, "seeds": [0], "looks": 1})
    play(path, tmp_path / "a")
    journal = (tmp_path / "a" / campaign.JOURNAL).read_bytes()
    status, out, _ = command("search", path, "--out", "a", "--trials", 4, "--dry-run")
    assert "1 trial × 1 seed = 1 run of 6 steps, 3 trials done before: about " in out
    assert (tmp_path / "a" / campaign.JOURNAL).read_bytes() == journal
    path = path.rename(tmp_path / "renamed.toml")
    status, out, _ = command("search", path, "--out", "a", "--trials", 4)
    assert status == 0
    assert out.startswith("small: 1 of 1 run to do")
    path = path.rename(tmp_path / "small.toml")
    play(path, tmp_path / "b", trials=4)
    assert small.values(tmp_path / "a") == small.values(tmp_path / "b")
    assert len({row["configuration"] for row in small.values(tmp_path / "a")}) == 4


def test_leaving_early_takes_up_the_trials_that_were_drawn(tmp_path):
    path = small.write(tmp_path, **{**SPACE, "seeds": [0], "looks": 1, "budget": {"steps": 2}})
    for event in search.search(path, tmp_path / "out"):
        if event["event"] == "run":
            break
    events = play(path, tmp_path / "out")
    assert of(events, "trial") == of(play(path, tmp_path / "whole"), "trial")


def test_what_the_sampler_learns_does_not_depend_on_interruptions(tmp_path, monkeypatch):
    """Its first ten trials are random, whatever it was told; no training here, so that there can be more."""

    def played(job):
        job.run.mkdir(parents=True)
        row = {"state": "done", "checkpoint": "best", "metric": "m", "value": 1.0, "low": 0.0, "high": 2.0}
        job.row.write_text(json.dumps({"format": 1, "rows": [{**job.shared, **row, "better": "lower"}]}))
        return "done"

    def look(path):
        rate = float(path.parent.name.rpartition("=")[2])
        return {"name": "m", "better": "lower", "value": abs(rate - 0.003)}

    monkeypatch.setattr(trial, "play", played)
    prepared = []
    monkeypatch.setattr(trial, "prepare", prepared.append)
    monkeypatch.setattr(campaign, "step_seconds", lambda recipe, data: 0.01)
    monkeypatch.setattr(search, "Run", lambda path, allow_code: path)
    monkeypatch.setattr(search, "best_look", look)
    path = small.write(tmp_path, **{**SPACE, "seeds": [0], "search": {**SPACE["search"], "at_once": 4}})
    whole = of(play(path, tmp_path / "whole", trials=16), "trial")
    assert len({event["label"] for event in whole}) == 16
    assert len(prepared) == 1
    # It has learned something: what it draws later is better.
    values = [event["value"] for event in whole]
    assert statistics.median(values[12:]) < statistics.median(values[:10])
    cut, left = [], 0
    while not cut or len(cut) < 16:
        left += 1
        for event in search.search(path, tmp_path / "cut", trials=16):
            cut += [event] if event["event"] == "trial" else []
            if event["event"] == ("run" if left % 2 else "trial"):
                break  # before any of a batch was told, or in the middle
    assert cut == whole


def test_a_trial_that_diverges_is_never_the_best(tmp_path):
    # It falls after the first look, which was a good one.
    rates = [1e-3, {"values": [1e-3, 1e18], "at": [0, 3], "shape": "step"}]
    path = small.write(
        tmp_path,
        recipe="gan-dense-a",
        looks=3,
        set={"batch_size": 4, "network.generator_hidden": [8], "network.discriminator_hidden": [8]},
        paired={"optimizer.generator.lr": rates, "optimizer.discriminator.lr": rates},
        search={"trials": 5},
    )
    events = play(path, tmp_path / "out")
    states = {event["label"]: event["state"] for event in of(events, "trial")}
    assert sorted(states.values()) == ["done", "nonfinite"]  # both were drawn, and each was played once
    assert len(of(events, "run")) == 2
    counts = [event["state"] for event in of(events, "trial")]
    end = events[-1]
    assert (end["done"], end["pruned"]) == (counts.count("done"), counts.count("nonfinite"))
    assert states[end["best"]["label"]] == "done"
    # One seed has no spread: the interval is the evaluation's own.
    row = next(row for row in table.read(tmp_path / "out") if row["checkpoint"] == "best")
    assert end["best"]["test"] == {key: row[key] for key in ("value", "low", "high")}


def test_a_failed_trial_is_tried_again_by_the_same_command(tmp_path, command, monkeypatch):
    real = trial.play

    def broken(job):
        if job.seed == 1 and "hinge" in job.label:
            trial.fail(job, "the dog ate it")
            return "failed"
        return real(job)

    monkeypatch.setattr(trial, "play", broken)
    path = small.write(tmp_path, **{**SPACE, "looks": 1})
    status, out, err = command("search", path, "--out", "out", "--trials", 2)
    assert (status, err) == (1, "")
    assert "seed 1: failed: the dog ate it" in out
    assert "complete: 1 trial done, 1 failed" in out
    monkeypatch.setattr(trial, "play", real)
    status, out, err = command("search", path, "--out", "out", "--trials", 2)
    assert (status, err) == (0, "")
    assert out.startswith("small: 2 of 2 runs to do")
    assert out.count("seed ") == 1  # the other seed's run is there
    assert "complete: 2 trials done, " in out
    assert "failed" not in out
    assert {row["state"] for row in table.read("out")} == {"done"}


def test_higher_may_be_better(tmp_path, monkeypatch):
    values = iter([0.25, 0.75, 0.5])
    monkeypatch.setattr(
        search, "best_look", lambda run: {"value": next(values), "better": "higher", "name": "precision"}
    )
    path = small.write(tmp_path, **{**SPACE, "seeds": [0], "metrics": ["precision"], "looks": 1})
    events = play(path, tmp_path / "out")
    assert [event["value"] for event in of(events, "trial")] == [0.25, 0.75, 0.5]
    assert events[-1]["best"] | {"number": 1, "value": 0.75} == events[-1]["best"]


def test_values_that_do_not_go_together_are_passed_over(tmp_path):
    factors = {"objective": ["hinge", "wasserstein"], "augmentations": ["none", "ada"]}
    path = small.write(tmp_path, factors=factors, search={"trials": 8}, looks=1)
    events = play(path, tmp_path / "out")
    states = {event["label"]: event["state"] for event in of(events, "trial")}
    assert states["objective=wasserstein, augmentations=ada"] == "refused"
    assert {state for label, state in states.items() if "ada" not in label or "hinge" in label} == {"done"}
    assert events[-1]["failed"] == 0


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"search": None}, RecipeError, r"has no table \[search\] with trials and ranges"),
        ({"looks": 0}, RecipeError, "looks is 0, but what a trial is worth is seen on validation"),
        ({"factors": {"data": ["digits"]}}, RecipeError, "data is a factor: values on different data sets"),
        ({"factors": {"optimizer.generator.lr": [1.0]}}, RecipeError, "lr has a list and a range"),
        ({"factors": {"batch_size": [4, 4]}}, RecipeError, "two values of batch_size read batch_size=4"),
        ({"factors": None, "search": {"trials": 3}}, RecipeError, "there is nothing to search in"),
        ({"factors": {"objective": ["hinge", "hinj"]}}, RecipeError, "configuration objective=hinj.*hinge"),
        ({"search": {"ranges": {"batch_sise": {"low": 1, "high": 2}}}}, RecipeError, "batch_sise"),
        ({"search": {"ranges": {"latent.size": {"low": 1.5, "high": 2.5}}}}, RecipeError, "latent.size is"),
    ],
)
def test_what_cannot_be_searched_is_told_before_anything_is_written(tmp_path, changes, error, said):
    path = small.write(tmp_path, **{**SPACE, **changes})
    with pytest.raises(error, match=said):
        search.search(path, tmp_path / "out")
    with pytest.raises(InputError, match="--trials is 0, allowed are integers from 1"):
        search.search(small.write(tmp_path, **SPACE), tmp_path / "out", trials=0)
    assert not (tmp_path / "out").exists()


def test_a_folder_holds_one_search_and_no_study(tmp_path):
    path = small.write(tmp_path, **{**SPACE, "seeds": [0], "looks": 1})
    play(path, tmp_path / "out", trials=1)
    with pytest.raises(RunError, match="out holds a search and no study: choose another --out"):
        study(path, tmp_path / "out")
    other = {**SPACE["search"], "ranges": {"optimizer.generator.lr": {"low": 1e-5, "high": 1.0}}}
    with pytest.raises(RunError, match=r"out holds another search; choose another --out:\n  search: "):
        search.search(
            small.write(tmp_path, **{**SPACE, "seeds": [0], "looks": 1, "search": other}), tmp_path / "out"
        )
    small.play(small.write(tmp_path), tmp_path / "study")
    with pytest.raises(RunError, match="study holds a study and no search: choose another --out"):
        search.search(small.write(tmp_path, **SPACE), tmp_path / "study")


def test_a_search_that_was_cut_short_at_once_is_a_search(tmp_path, monkeypatch):
    path = small.write(tmp_path, **{**SPACE, "seeds": [0], "looks": 1})
    with monkeypatch.context() as patch:
        patch.setattr(search, "_opened", lambda journal: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            play(path, tmp_path / "out")
    assert play(path, tmp_path / "out", trials=1)[-1]["reason"] == "done"


def test_a_dry_run_shows_the_space_and_writes_nothing(tmp_path, command):
    ranges = {**SPACE["search"]["ranges"], "latent.size": {"low": 2, "high": 9, "integer": True}}
    path = small.write(tmp_path, **{**SPACE, "search": {"ranges": ranges}})
    status, out, err = command("search", path, "--dry-run", "--trials", 4, "--workers", 2)
    assert (status, err) == (0, "")
    assert [" ".join(line.split()) for line in out.splitlines()[:4]] == [
        "small",
        "objective objective=hinge; objective=non-saturating",
        "optimizer.generator.lr 0.0001 to 0.01, evenly over the logarithm",
        "latent.size 2 to 9, integers",
    ]
    assert "4 trials × 2 seeds = 8 runs of 6 steps: about " in out
    assert [entry.name for entry in tmp_path.iterdir()] == ["small.toml"]


def test_without_optuna_the_extra_is_named(tmp_path, command, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    status, out, err = command("search", small.write(tmp_path, **SPACE))
    assert (status, out) == (2, "")
    assert "a search needs the extra duel[search]: pip install 'duel[search]'" in err


def test_a_drawn_number_stays_in_its_range():
    narrow = file.Range(low=1.2344, high=1.2346)
    assert search.rounded(1.23451, narrow) == 1.2344
    assert search.rounded(1.2345999, file.Range(low=1.234599, high=2)) == 1.234599
    assert search.rounded(0.00123456, file.Range(low=0.001, high=0.1)) == 0.00123
    assert search.rounded(7, file.Range(low=2, high=9, integer=True)) == 7
