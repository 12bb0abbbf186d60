"""The tidy table: read from a study's folder, to CSV and back without a change, and asked for values."""

from __future__ import annotations

import csv
import io as streams
import json
import math

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from duel import io, table
from duel.errors import InputError


def row(configuration="a", seed=0, value=1.0, **changes):
    """A row of one run's metric on the test split."""
    base = {
        "study": "s", "size": None, "configuration": configuration, "recipe": "wgan", "data": "mnist",
        "seed": seed, "state": "done", "checkpoint": "last", "step": 1000, "metric": "fcd", "value": value,
        "low": None, "high": None, "better": "lower", "split": "test", "samples": 2000,
        "features": "classifier", "steps": 1000, "images": 64000, "seconds": 10.5,
        "run": f"runs/{configuration}/seed-{seed}",
    }  # fmt: skip
    return {**base, **changes}


def write(folder, *files, labels=None):
    """A study's folder whose runs have ended with these rows."""
    (folder / "rows").mkdir(parents=True)
    for rows in files:
        io.write_json(
            folder / "rows" / f"{rows[0]['configuration']}.seed-{rows[0]['seed']}.json", {"rows": rows}
        )
    if labels:
        io.write_json(folder / "plan.json", {"configurations": [{"label": label} for label in labels]})
    return folder


# ---------------------------------------------------------------- reading


def test_rows_come_in_the_order_of_the_plan_then_by_seed(tmp_path):
    files = [[row(label, seed)] for label in ("a", "b") for seed in (10, 2)]
    found = table.read(write(tmp_path / "s", *files, labels=["b", "a"]))
    assert [(each["configuration"], each["seed"]) for each in found] == [
        ("b", 2),
        ("b", 10),
        ("a", 2),
        ("a", 10),
    ]


def test_every_row_has_every_column_factors_between():
    rows = [row(**{"clip.limit": 0.1}), row("b", **{"network.width": 8})]
    names = table.columns(rows)
    assert names[:5] == ["study", "size", "configuration", "clip.limit", "network.width"]
    assert names[5:] == [
        "recipe", "data", "seed", "state", "checkpoint", "step", "metric", "value", "low", "high", "better",
        "split", "samples", "features", "steps", "images", "seconds", "run",
    ]  # fmt: skip
    whole = table.complete(rows)
    assert [list(each) for each in whole] == [names, names]
    assert (whole[0]["network.width"], whole[1]["network.width"]) == (None, 8)


def test_a_factor_that_is_the_recipe_or_the_data_is_no_second_column():
    assert table.columns([row()]).count("recipe") == 1


def test_a_study_without_rows_has_an_empty_table(tmp_path):
    assert table.read(write(tmp_path / "s")) == []
    assert table.from_csv(table.to_csv([])) == []


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"rows": 3}, "no list of rows"),
        ({"rows": [3]}, "no list of rows"),
        ({"rows": [{"configuration": "a"}]}, "a row without data"),
    ],
)
def test_damaged_rows_are_refused_in_a_sentence(tmp_path, content, sentence):
    folder = write(tmp_path / "s")
    io.write_json(folder / "rows" / "a.seed-0.json", content)
    with pytest.raises(InputError, match=sentence):
        table.read(folder)


def test_another_folder_is_no_study(tmp_path):
    with pytest.raises(InputError, match="is not a study"):
        table.read(tmp_path)


# ---------------------------------------------------------------- CSV

ANY = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
    st.sampled_from(
        ["1", "true", "null", '"a"', "[1]", "NaN", "1e5", " 1", "a,b", 'say "x"', "two\r\nlines", "−1"]
    ),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.floats(0, 1), max_size=2),
)


# Hypothesis builds its table of characters on the first draw.
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.fixed_dictionaries({"value": ANY, "configuration": ANY, "some.factor": ANY}), max_size=5))
@example([{"value": "a\rb", "configuration": "\r", "some.factor": "\x00"}])
def test_csv_and_back_changes_nothing(rows):
    whole = table.complete([{**each, "metric": "fcd"} for each in rows])
    again = table.from_csv(table.to_csv(whole))
    assert again == whole
    assert [[type(value) for value in each.values()] for each in again] == [
        [type(value) for value in each.values()] for each in whole
    ]


def test_csv_is_what_others_can_read():
    text = table.to_csv([row("limit=0.1", value=0.1, limit=0.1), row(state="failed", metric="", value=None)])
    lines = list(csv.DictReader(streams.StringIO(text)))
    assert (lines[0]["configuration"], lines[0]["limit"], lines[0]["value"]) == ("limit=0.1", "0.1", "0.1")
    assert (lines[1]["metric"], lines[1]["value"], lines[1]["limit"]) == ("", "", "")
    assert table.from_csv(text)[1]["metric"] == ""


def test_values_that_are_no_numbers_survive_csv():
    again = table.from_csv(table.to_csv([row(value=math.nan, low=-math.inf)]))
    assert math.isnan(again[0]["value"])
    assert again[0]["low"] == -math.inf


def test_a_cut_csv_is_refused():
    with pytest.raises(InputError, match="line 2 has 2 cells, the header has 3"):
        table.from_csv("a,b,c\n1,2\n")


# ---------------------------------------------------------------- questions


def test_values_by_configuration_data_and_seed():
    rows = [row("a", 0, 1.5), row("a", 1, 2), row("b", 0, 3, data="svhn"), row("b", 1, 9, metric="recall")]
    assert table.values(rows, "fcd") == {
        "a": {("mnist", 0): 1.5, ("mnist", 1): 2.0},
        "b": {("svhn", 0): 3.0},
    }
    assert table.better(rows, "fcd") == "lower"


def test_what_is_no_finite_number_is_no_value():
    rows = [row("a", 0, math.nan), row("a", 1, None), row("a", 2, math.inf), row("a", 3, 4)]
    assert table.values(rows, "fcd") == {"a": {("mnist", 3): 4.0}}


def test_validation_numbers_are_never_among_test_numbers():
    rows = [row("a", 0, 1), row("a", 0, 0.5, split="validation"), row("b", 0, 0.1, split="validation")]
    assert table.values(rows, "fcd") == {"a": {("mnist", 0): 1.0}}
    with pytest.raises(InputError, match="validation split only"):
        table.values(rows[1:], "fcd")


def test_numbers_of_whole_runs_are_of_no_test_split():
    rows = [row(checkpoint="run", metric="fluctuation", value=0.2, split="validation")]
    assert table.values(rows, "fluctuation", "run") == {"a": {("mnist", 0): 0.2}}


@pytest.mark.parametrize("column", ["samples", "features", "better"])
def test_numbers_that_were_not_measured_alike_are_refused(column):
    other = {"samples": 500, "features": "pixels", "better": "higher"}[column]
    with pytest.raises(InputError, match=f"not measured in one way: {column}"):
        table.values([row("a"), row("b", **{column: other})], "fcd")
    apart = [row("a"), row("b", data="ring", **{column: other})]
    assert len(table.values(apart, "fcd")) == 2  # each data set has its own way


def test_one_run_twice_is_refused():
    with pytest.raises(InputError, match="ran twice with seed 0 on mnist"):
        table.values([row("a"), row("a")], "fcd")


def test_a_metric_there_is_not_is_refused_with_those_there_are():
    with pytest.raises(InputError, match="did you mean 'fcd'"):
        table.values([row()], "fdc")
    with pytest.raises(InputError, match="no metric 'fcd' of the best checkpoint"):
        table.values([row()], "fcd", "best")


def test_a_configuration_on_several_data_sets_goes_by_one_label():
    rows = [row("limit=1, data=mnist"), row("limit=1, data=svhn", data="svhn"), row("data=svhn", data="svhn")]
    assert table.configurations(table.without_data(rows)) == ["limit=1", "the recipe"]
    assert table.configurations(table.without_data(rows[:1])) == ["limit=1, data=mnist"]


def test_a_folder_of_rows_is_valid_json_with_a_format(tmp_path):
    folder = write(tmp_path / "s", [row()])
    assert json.loads((folder / "rows" / "a.seed-0.json").read_text())["format"] == 1
