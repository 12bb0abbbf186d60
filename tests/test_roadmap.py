"""The roadmap says what the tables say: each word on made tables of known truth, and the committed page."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from duel import table
from duel.errors import DuelError
from duel.study.file import read
from duel.study.plan import configurations

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

import roadmap

STUDY = """
recipe = "dcgan"
data = "mnist"
seeds = {seeds}
metrics = ["fcd"]
budget = {{ steps = 1000 }}
"""


def row(label, seed, metric, value, **other):
    """One row as a study writes it."""
    checkpoint = "run" if metric in ("collapsed", "fluctuation") else "last"
    made = {
        "study": "made", "size": None, "configuration": label, "recipe": "dcgan", "data": "mnist",
        "seed": seed,
        "state": "done", "checkpoint": checkpoint, "step": 1000, "metric": metric, "value": value,
        "low": None, "high": None, "better": "higher" if metric == "recall" else "lower",
        "split": "test" if checkpoint == "last" else "validation", "samples": 2000, "features": "classifier",
        "steps": 1000, "images": 64000, "seconds": 10.0, "run": f"runs/{label}/seed-{seed}",
    }  # fmt: skip
    return {**made, **other}


def of(label, values, metric="fcd", **other):
    """The rows of a configuration, one value for each seed; one that is None diverged."""
    return [
        row(label, seed, metric, value, **other)
        if value is not None
        else row(label, seed, "collapsed", 1.0, state="nonfinite", **other)
        for seed, value in enumerate(values)
    ]


@pytest.fixture
def made(tmp_path):
    """Tables of studies given as rows by name."""

    def make(seeds=3, **studies):
        for folder in ("studies", "tables"):
            (tmp_path / folder).mkdir(exist_ok=True)
        for name, rows in studies.items():
            (tmp_path / "studies" / f"{name}.toml").write_text(STUDY.format(seeds=list(range(seeds))))
            if rows:
                (tmp_path / "tables" / f"{name}.csv").write_text(table.to_csv(rows))
        return roadmap.Tables(tmp_path / "tables", tmp_path / "studies")

    return make


@pytest.fixture(scope="module")
def book():
    return roadmap.read_book()


def claim(*tests, budget_bound=False, **other):
    return roadmap.Claim("X1", "a claim", budget_bound, tuple(tests), **other)


def a_test(expect="better", metric="fcd", a="a", b="b", on="here", study="made", **other):
    return roadmap.Test(on=on, study=study, metric=metric, a=a, b=b, expect=expect, **other)


def word(tables, test, **other):
    (judged,) = roadmap.judge(claim(test, **other), tables)
    return judged.word


LOW, HIGH = [10.0, 11.0, 10.4], [30.0, 32.0, 31.5]
NEAR, OTHER, WILD = [10.2, 11.1, 10.6], [10.6, 10.7, 10.9], [5.0, 30.0, 11.0]


# ---------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("expect", "a", "b", "within", "said"),
    [
        ("better", LOW, HIGH, None, "confirmed"),
        ("better", HIGH, LOW, None, "refuted"),
        ("better", LOW, WILD, None, "cannot tell"),
        ("better", LOW, LOW, None, "cannot tell"),
        ("not worse", NEAR, LOW, 0.1, "confirmed"),
        ("not worse", LOW, HIGH, 0.1, "confirmed"),
        ("not worse", HIGH, LOW, 0.1, "refuted"),
        ("not worse", WILD, LOW, 0.1, "cannot tell"),
        ("same", NEAR, LOW, 0.1, "confirmed"),
        ("same", LOW, NEAR, 0.1, "confirmed"),
        ("same", HIGH, LOW, 0.1, "refuted"),
        ("same", LOW, HIGH, 0.1, "refuted"),
        ("same", WILD, LOW, 0.1, "cannot tell"),
    ],
)
def test_each_word_for_each_prediction(made, expect, a, b, within, said):
    tables = made(made=of("a", a) + of("b", b))
    assert word(tables, a_test(expect, within=within)) == said
    bound = "not seen at this budget" if said == "refuted" else said
    assert word(tables, a_test(expect, within=within), budget_bound=True) == bound


def test_where_more_is_better_the_higher_one_is_ahead(made):
    tables = made(made=of("a", [0.8, 0.82, 0.81], "recall") + of("b", [0.5, 0.53, 0.52], "recall"))
    assert word(tables, a_test(metric="recall")) == "confirmed"
    assert word(tables, a_test(metric="recall", a="b", b="a")) == "refuted"
    assert word(tables, a_test("not worse", "recall", "b", "a", within=0.1)) == "refuted"
    assert word(tables, a_test("not worse", "recall", "b", "a", within=0.4)) == "confirmed"


def test_10_percent_of_a_distance_are_10_percent(made):
    for factor, said in ((1.098, "confirmed"), (1.103, "refuted")):
        a = [factor * noise * value for noise, value in zip([0.9999, 1.0, 1.0001], LOW, strict=True)]
        tables = made(made=of("a", a) + of("b", LOW))
        assert word(tables, a_test("not worse", within=0.1)) == said
        assert word(tables, a_test("same", within=0.1)) == said


def test_steadier_compares_the_spread_over_configurations_seed_by_seed(made):
    middles = {"a1": 10, "a2": 11, "b1": 10, "b2": 80}
    noise = [1.0, 1.02, 0.99, 1.01]
    rows = [
        each
        for k, label in enumerate(middles)
        for each in of(label, [middles[label] * n for n in noise[k:] + noise[:k]])
    ]
    tables = made(seeds=4, made=rows)
    steady = a_test("steadier", a=("a1", "a2"), b=("b1", "b2"))
    assert word(tables, steady) == "confirmed"
    assert word(tables, replace(steady, a=("b1", "b2"), b=("a1", "a2"))) == "refuted"


def test_above_takes_the_mean_over_the_seeds(made):
    tables = made(made=of("a", [0.6, 0.7, 0.65], "recall") + of("b", [-0.6, 0.7, 0.1], "recall"))
    above = a_test("above", "recall", a=("a",), b=None, level=0.0)
    assert word(tables, above) == "confirmed"
    assert word(tables, replace(above, level=0.9)) == "refuted"
    assert word(tables, replace(above, a=("b",))) == "cannot tell"


def test_three_of_three_collapses_cannot_tell_and_six_can(made):
    for seeds, said in ((3, "cannot tell"), (6, "confirmed")):
        tables = made(seeds=seeds, made=of("a", [1.0] * seeds, "collapsed"))
        test = a_test("above", "collapsed", a=("a",), b=None, level=0.5, checkpoint="run")
        (judged,) = roadmap.judge(claim(test), tables)
        assert judged.word == said
    tables = made(seeds=3, made=of("a", [1.0] * 3, "collapsed"))
    assert "without any spread 6 seeds are needed" in roadmap.judge(claim(test), tables)[0].says


def test_what_has_no_table_says_which_command_makes_one(made):
    tables = made(made=[], other=of("a", LOW))
    (judged,) = roadmap.judge(claim(a_test()), tables)
    assert (judged.word, judged.says) == ("no table yet", "`duel study studies/made.toml`")
    assert word(tables, a_test(study="other")) == "no table yet"  # b has not run


def test_one_seed_cannot_tell_and_two_do_not_say_how_many_would(made):
    (one,) = roadmap.judge(claim(a_test()), made(made=of("a", LOW[:1]) + of("b", HIGH[:1])))
    assert one.word == "cannot tell"
    assert "2 are needed" in one.says
    (two,) = roadmap.judge(claim(a_test()), made(made=of("a", [10, 12]) + of("b", [11, 14])))
    assert two.word == "cannot tell"
    assert "3 seeds are needed" in two.says
    assert "2 of 3 seeds" in two.says


def test_runs_that_diverged_are_said_and_not_compared(made):
    tables = made(made=of("a", [*LOW]) + of("b", [30.0, None, 32.0]))
    (judged,) = roadmap.judge(claim(a_test()), tables)
    assert "1 of 3 runs of b diverged" in judged.says
    assert "2 of 3 seeds" in judged.says
    tables = made(made=of("a", [*LOW]) + of("b", [None, None, None]))
    (judged,) = roadmap.judge(claim(a_test()), tables)
    assert judged.word == "cannot tell"
    assert "3 of 3 runs of b diverged" in judged.says


def test_the_metric_that_no_run_has_cannot_tell(made):
    assert word(made(made=of("a", LOW) + of("b", HIGH)), a_test(metric="precision")) == "cannot tell"


def test_across_data_sets_pairs_go_by_seed(made):
    rows = of("a", [0.8, 0.82, 0.81], "recall") + of("b", [0.5, 0.53, 0.52], "recall", data="cifar10")
    assert word(made(made=rows), a_test(metric="recall")) == "confirmed"


def test_the_pairs_of_several_studies_are_judged_together(made):
    some = {"one": of("a", [10.0, 11.0, 12.0]) + of("b", [14.0, 11.5, 12.5])}
    more = {"two": of("a", [100.0, 110.0, 120.0]) + of("b", [140.0, 115.0, 150.0])}
    both = a_test(study=("one", "two"))
    (alone,) = roadmap.judge(claim(a_test(study="one")), made(**some))
    (waiting,) = roadmap.judge(claim(both), made(**some, two=[]))
    assert (waiting.word, waiting.says) == ("no table yet", "`duel study studies/two.toml`")
    (found,) = roadmap.judge(claim(both), made(**some, **more))
    assert (alone.word, found.word) == ("cannot tell", "confirmed")
    assert found.says.startswith("FCD 0.843 times as large (")
    assert found.says.endswith("6 pairs")
    with pytest.raises(DuelError, match="several studies go with"):
        a_test(expect="above", level=0.0, b=None, a=("a",), study=("one", "two"))


def test_where_no_pair_differs_no_number_of_seeds_is_promised(made):
    never = of("a", [0.0] * 5, "collapsed") + of("b", [0.0] * 5, "collapsed")
    test = a_test(metric="collapsed", checkpoint="run")
    (found,) = roadmap.judge(claim(test), made(seeds=5, made=never))
    assert found.word == "cannot tell"
    assert found.says.endswith("; no pair differs")


def test_p_is_corrected_for_all_tests_of_the_claim_also_for_those_without_a_table(made):
    a, b = [10.0, 11.0, 10.4], [13.1, 16.0, 14.9]  # p = 0.016 alone
    tables = made(made=of("a", a) + of("b", b))
    test = a_test()
    assert word(tables, test) == "confirmed"
    others = [a_test(on=f"other {k}", study="none") for k in range(5)]
    judged = roadmap.judge(claim(test, *others), tables)
    assert judged[0].word == "cannot tell"
    assert "(of 6 tests)" in judged[0].says
    assert re.search(r"about \d+ seeds would tell", judged[0].says)


def test_the_numbers_are_those_of_the_table(made):
    (judged,) = roadmap.judge(claim(a_test()), made(made=of("a", [10.0, 12.0]) + of("b", [20.0, 24.0])))
    assert judged.says.startswith("FCD 11 against 22, 0.5 times as large (0.5 to 0.5); p = 0.5, 2 of 3 seeds")


def test_an_unequal_budget_is_said(made):
    tables = made(made=of("a", LOW) + of("b", HIGH, images=320000))
    (judged,) = roadmap.judge(claim(a_test()), tables)
    assert "at equal generator updates (1,000), images a 64,000, b 320,000" in judged.says
    (judged,) = roadmap.judge(claim(a_test()), made(made=of("a", LOW) + of("b", HIGH)))
    assert "at equal" not in judged.says


@pytest.mark.parametrize(
    ("expect", "within", "centre"),
    [("better", None, 0.0), ("same", 0.1, np.log(1.1)), ("not worse", 0.1, np.log(1.1))],
)
def test_at_the_border_of_the_claim_words_are_wrong_in_at_most_5_percent(expect, within, centre):
    rng = np.random.Generator(np.random.PCG64(7))
    wrong = 0
    for _ in range(400):
        gains = -centre + 0.1 * rng.standard_normal(3)
        shifted, _true = roadmap.against(list(gains), expect, np.log1p(within or 0))
        wrong += roadmap.t_test(shifted) <= roadmap.LEVEL
    assert 4 <= wrong <= 32  # 20 expected


# ---------------------------------------------------------------- the claim's verdict


def judged(*words, about=""):
    return [roadmap.Judged(about, f"place {k}", each, "") for k, each in enumerate(words)]


def test_mixed_results_are_said_as_such():
    assert roadmap.verdict(judged("confirmed")) == "**confirmed**"
    assert roadmap.verdict(judged("refuted", "refuted")) == "**refuted**, all 2"
    mixed = roadmap.verdict(judged("cannot tell", "confirmed", "confirmed", "no table yet"))
    assert mixed == "**confirmed**: place 1, place 2; **cannot tell**: place 0; **no table yet**: 1 of 4"
    assert roadmap.verdict(judged("confirmed", "confirmed", "waits", about="as good")) == (
        "**confirmed**: as good (place 0, place 1); **waits**: as good (place 2)"
    )


def test_evidence_and_what_waits_stand_beside_the_tests(made):
    entry = roadmap.Evidence("before", "contradicted", "as was seen", "evidence/x.md#y")
    found = roadmap.judge(claim(evidence=(entry,), waits="no column", command="`do`"), made())
    assert [each.word for each in found] == ["contradicted", "waits"]
    assert "[evidence/x.md#y](evidence/x.md#y)" in found[0].says


# ---------------------------------------------------------------- where to start

QUESTION = roadmap.Question("which?", ("made",), "fcd", {"default": ["a"], "other": ["b"], "third": ["c"]})


def test_the_default_stays_unless_another_is_told_apart(made):
    tables = made(made=of("a", LOW) + of("b", OTHER) + of("c", HIGH))
    found = roadmap.decide(QUESTION, tables)
    assert (found.start, found.alike) == ("default", ("other",))
    tables = made(made=of("a", OTHER) + of("b", LOW) + of("c", HIGH))
    found = roadmap.decide(QUESTION, tables)
    assert found.start == "default"
    assert found.why.startswith(
        "the default; not told from the best on average: FCD of other beside default:"
    )
    tables = made(made=of("a", HIGH) + of("b", LOW) + of("c", NEAR))
    found = roadmap.decide(QUESTION, tables)
    assert found.start == "other"
    assert "times as large" in found.why


def test_a_choice_that_diverges_is_no_advice_however_good_the_others_are(made):
    low, high = [2.0, 2.1, 2.05, None], [30.0, 32.0, 31.0, 33.0]
    tables = made(seeds=4, made=of("a", high) + of("b", low) + of("c", high[::-1]))
    assert roadmap.decide(QUESTION, tables).start == "default"
    tables = made(seeds=4, made=of("a", high) + of("b", [2.0, 2.1, 2.05, 2.2]) + of("c", high[::-1]))
    assert roadmap.decide(QUESTION, tables).start == "other"


def test_choices_are_pooled_over_studies_and_data(made):
    both = replace(QUESTION, studies=("made", "more"), choices={"default": ["a"], "other": ["b"]})
    scaled = [100 * value for value in LOW]
    rows = {
        "made": of("a", HIGH) + of("b", LOW),
        "more": of("a", [100 * v for v in HIGH], data="cifar10") + of("b", scaled, data="cifar10"),
    }
    found = roadmap.decide(both, made(**rows))
    assert found.start == "other"
    assert "6 pairs" in found.why
    assert roadmap.decide(replace(both, studies=("none",)), made(**rows)) is None


def test_a_choice_that_is_told_apart_beats_a_better_one_that_is_not(made):
    rows = of("a", HIGH) + of("b", [20.0, 21.0, 20.6]) + of("c", [1.0, 60.0, 2.0])
    found = roadmap.decide(QUESTION, made(made=rows))
    assert found.start == "other"
    assert found.alike == ("third",)


def test_a_question_without_numbers_is_no_line(made):
    tables = made(made=of("a", LOW) + of("c", [5.0]))
    assert roadmap.decide(QUESTION, tables) is None
    assert roadmap.decide(replace(QUESTION, metric="precision"), tables) is None


# ---------------------------------------------------------------- the page


def test_the_page_counts_collapses_by_architecture(made):
    fates = [
        each
        for label, fate in (("a", 1.0), ("b", 0.0))
        for each in of(label, [fate] * 3, "collapsed", recipe=label)
    ]
    tables = made(made=of("a", LOW, recipe="a") + of("b", HIGH, recipe="b") + fates)
    book = roadmap.Book((claim(a_test()),), (QUESTION,), (roadmap.Pool("fcd", ("made",)),))
    text = roadmap.page(book, tables)
    assert "| a | mnist | 3 | 10.4 (10.2 to 10.7) | 0.503 | 11 | 3 of 3 (29% to 100%) | – |" in text
    assert "a 3 of 3, b 0 of 3" in text
    assert "| [X1](#x1) | a claim | **confirmed** |" in text


def test_the_page_begins_with_what_is_settled_and_says_what_is_not_asked(made):
    tables = made(made=of("a", LOW) + of("b", HIGH), late=[])
    tests = (a_test(), a_test(a="b", b="a", on="there"), a_test(study="late", on="later"))
    open_question = replace(QUESTION, ask="who knows?", studies=("late",))
    text = roadmap.page(roadmap.Book((claim(*tests),), (QUESTION, open_question)), tables)
    short = text.partition("## In short")[2].partition("## Where")[0]
    assert "Of 3 planned tests: 1 confirmed, 1 refuted, 1 no table yet." in short
    assert "- **confirmed**: [X1](#x1) here\n- **refuted**: [X1](#x1) there" in short
    assert "- “who knows?” has no numbers yet: late" in text
    assert "- here: **confirmed**" in text
    assert "([made](../studies/made.toml), 1,000 updates)" in text


def test_partial_tables_say_how_many_seeds_there_are(made):
    tables = made(made=of("a", LOW[:2]) + of("b", HIGH[:2]), late=[])
    text = roadmap.page(roadmap.Book((claim(a_test()),), (QUESTION,)), tables)
    assert "| made (1,000 updates, 2 of 3 seeds) |" in text
    assert "- made (2 of 3 seeds): `duel study studies/made.toml`" in text
    assert "- late: no table yet: `duel study studies/late.toml`" in text


def test_when_every_study_has_a_table_every_question_has_a_line(book, tmp_path, monkeypatch):
    for folder in ("data/flowers", "data/faces", "tables"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    rng = np.random.Generator(np.random.PCG64(3))
    used = [test for each in book.claims for test in each.tests]
    asked = {(name, test.metric, test.checkpoint) for test in used for name in test.studies}
    asked |= {(name, each.metric, "last") for each in book.questions for name in each.studies}
    for name in roadmap.Tables().names:
        study = read(roadmap.STUDIES / f"{name}.toml")
        kinds = sorted((metric, checkpoint) for which, metric, checkpoint in asked if which == name)
        rows = [
            row(each.label, seed, metric, rng.uniform(0.1, 0.9), data=each.data, recipe=each.recipe.name)
            | {"checkpoint": checkpoint, "split": "validation" if checkpoint == "run" else "test"}
            | {"features": study.features or "classifier", "samples": study.samples}
            for each in configurations(study)
            for seed in study.seeds
            for metric, checkpoint in [*kinds, ("collapsed", "run"), ("fluctuation", "run")]
        ]
        unique = {(r["configuration"], r["seed"], r["metric"], r["checkpoint"]): r for r in rows}
        (tmp_path / "tables" / f"{name}.csv").write_text(table.to_csv(list(unique.values())))
    text = roadmap.page(book, roadmap.Tables(tmp_path / "tables"))
    assert text == roadmap.page(book, roadmap.Tables(tmp_path / "tables"))
    assert text.count("**no table yet**") == 1  # where the words are explained
    assert all(f"| {each.ask} |" in text for each in book.questions)
    assert text.count("| What goes wrong? |") == len(book.pools)
    assert "nan" not in text
    for name in roadmap.Tables().names:
        assert f"/{name}.toml" in text or f"| {name}" in text or f", {name} |" in text, name


def test_tables_are_collected_from_running_studies(tmp_path):
    for name in ("one", "two"):
        (tmp_path / "from" / name).mkdir(parents=True)
    (tmp_path / "from" / "one" / "table.csv").write_text("x")
    assert roadmap.collect(tmp_path / "from", tmp_path / "to") == ["one"]
    assert (tmp_path / "to" / "one.csv").read_text() == "x"


def test_every_metric_that_is_asked_for_is_in_the_committed_tables():
    assert "there is no metric" not in roadmap.PAGE.read_text(encoding="utf-8")


def test_the_committed_page_is_what_the_committed_tables_give():
    assert roadmap.PAGE.read_text(encoding="utf-8") == roadmap.page(roadmap.read_book(), roadmap.Tables())


# ---------------------------------------------------------------- the file of claims


def test_every_claim_of_the_sources_is_there_once(book):
    ids = [each.id for each in book.claims]
    wanted = [
        f"{letter}{k}" for letter, n in (("A", 4), ("B", 16), ("C", 6), ("D", 1)) for k in range(1, n + 1)
    ]
    assert ids == wanted
    for each in book.claims:
        assert each.tests or each.evidence or each.waits, each.id
        assert (each.waits is None) == (each.command is None), each.id


def test_studies_and_claims_name_each_other(book):
    for name in roadmap.Tables().names:
        named = {each.id for each in book.claims if any(name in test.studies for test in each.tests)}
        assert set(read(roadmap.STUDIES / f"{name}.toml").claims) == named, name


def test_every_configuration_and_metric_that_is_named_is_in_its_study(book, tmp_path, monkeypatch):
    for folder in ("flowers", "faces"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    studies = {name: read(roadmap.STUDIES / f"{name}.toml") for name in roadmap.Tables().names}
    labels = {name: {each.label for each in configurations(study)} for name, study in studies.items()}
    for test in (test for each in book.claims for test in each.tests):
        for name in test.studies:
            assert set(test.labels) <= labels[name], (name, test.on)
            assert test.checkpoint == "run" or test.metric.partition("-")[0] in studies[name].metrics, test
    for question in book.questions:
        there = set.union(*(labels[name] for name in question.studies))
        for choice, named in question.choices.items():
            assert set(named) <= there, (question.ask, choice)
        assert all(question.metric.partition("-")[0] in studies[name].metrics for name in question.studies)
    for pool in book.pools:
        assert all(pool.metric.partition("-")[0] in studies[name].metrics for name in pool.studies)


def test_evidence_leads_to_a_heading_that_is_there(book):
    for entry in (entry for each in book.claims for entry in each.evidence):
        page, _, anchor = entry.link.partition("#")
        headings = re.findall(r"^#+ (.*)$", (roadmap.PAGE.parent / page).read_text(), re.MULTILINE)
        assert anchor in [re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings], entry.link


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("claims = []\nmore = 1", "claims.toml has more"),
        ('claims = [{ id = "A1", claim = "", budget_bound = true, test = [] }]', "unknown test"),
        ('claims = [{ id = "A1", claim = "" }]', "no budget_bound"),
        (
            'claims = [{ id = "A1", claim = "", budget_bound = true, tests = [{ on = "", study = "s", '
            'metric = "fcd", a = "a", b = "b", expect = "same" }] }]',
            "within goes with same",
        ),
        (
            'claims = [{ id = "A1", claim = "", budget_bound = true, tests = [{ on = "", study = "s", '
            'metric = "fcd", a = "a", b = "b", expect = "worse" }] }]',
            "expect is 'worse'",
        ),
        (
            'claims = [{ id = "A1", claim = "", budget_bound = true, evidence = [{ on = "", '
            'verdict = "confirmed", says = "", link = "" }] }]',
            "'confirmed' is none of",
        ),
    ],
)
def test_a_wrong_file_is_refused_in_one_sentence(tmp_path, text, said):
    (tmp_path / "claims.toml").write_text(text)
    with pytest.raises(DuelError, match=re.escape(said)):
        roadmap.read_book(tmp_path / "claims.toml")
