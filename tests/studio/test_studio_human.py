"""Real or fake: the test is blind, its score has an interval, and kinds of scores are never mixed."""

import json

import numpy as np
import pytest
from conftest_studio import client_of

import duel
from duel.errors import InputError, RunError
from duel.run import HUMAN_FILE
from duel.studio import human
from duel.studio.human import Settings


def settings(**changes):
    return Settings(**{"person": "Ada", "count": 10, "seed": 3, "checkpoint": 6, **changes})


def line(person="Ada", n=20, right=15, feedback=False):
    return {"person": person, "n": n, "right": right, "fooled": 2, "step": 6, "feedback": feedback}


def test_half_are_real_in_an_order_that_the_seed_decides():
    assert sum(human.truth(settings(count=40))) == 20
    assert human.truth(settings()) == human.truth(settings())
    assert human.truth(settings(count=40)) != human.truth(settings(count=40, seed=4))


def test_the_images_are_the_runs_and_those_of_the_test_split(made):
    run = duel.load(made / "0001-plain")
    images, real = human.pictures(run, settings()), human.truth(settings())
    test = {image.tobytes() for image in run.recipe.data.load().splits["test"].samples}
    assert [image.tobytes() in test for image in images] == real
    again = human.pictures(run, settings())
    assert np.array_equal(images, again)


@pytest.mark.parametrize(
    "wrong",
    [{"person": ""}, {"person": "  "}, {"person": "x" * 61}, {"count": 3}, {"count": 11}, {"count": 202},
     {"seed": -1},
     {"limit": -1}, {"limit": 61}],
)  # fmt: skip
def test_settings_that_make_no_test_are_refused(wrong):
    with pytest.raises(InputError):
        settings(**wrong)


def test_points_cannot_be_judged(made):
    with pytest.raises(RunError, match="points"):
        human.pictures(duel.load(made / "0005-points"), settings(checkpoint=4))


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [(0, 10, 0, 0.3085), (10, 10, 0.6915, 1), (5, 10, 0.1871, 0.8129), (15, 20, 0.5090, 0.9134)],
)
def test_the_interval_of_a_share_is_that_of_clopper_and_pearson(right, count, low, high):
    assert human.proportion_interval(right, count) == pytest.approx((low, high), abs=1e-4)


def test_scores_with_feedback_are_never_pooled_with_those_without():
    lines = [line(right=10), line(right=20, feedback=True), line("Bo", right=12), line("Cy", right=14)]
    found = human.summary(lines)
    assert (found["without_feedback"]["people"], found["without_feedback"]["answers"]) == (3, 60)
    assert found["without_feedback"]["value"] == pytest.approx((10 + 12 + 14) / 60)
    assert (found["with_feedback"]["value"], found["with_feedback"]["people"]) == (1, 1)


def test_several_tests_of_one_person_are_one_person():
    one = human.accuracy([line(right=10), line(right=20)])
    assert (one["people"], one["value"], one["answers"]) == (1, 0.75, 40)
    assert (one["low"], one["high"]) == pytest.approx(human.proportion_interval(30, 40))
    assert human.accuracy([]) is None


def test_the_result_says_how_many_fakes_were_taken_for_real():
    real = human.truth(settings())
    all_real = human.result(settings(), [True] * 10, [1.0] * 10)
    assert (all_real["right"], all_real["fooled"]) == (5, 5)
    assert human.score(all_real)["fooled"] == 1
    assert human.result(settings(), real, [1.0] * 10)["right"] == 10
    with pytest.raises(InputError, match="9 of 10"):
        human.result(settings(), [True] * 9, [1.0] * 9)


def test_damaged_lines_are_no_results(tmp_path):
    lines = [
        json.dumps(line()),
        "x",
        "{}",
        json.dumps({**line(), "right": 99}),
        json.dumps({**line(), "n": 0}),
    ]
    (tmp_path / HUMAN_FILE).write_text("\n".join(lines))
    assert human.judgements(tmp_path) == [line()]


# ---------------------------------------------------------------- through the server


def begun(client, **changes):
    answer = client.post("/api/judge", json={"run": "0001-plain", "person": "Ada", "count": 4, **changes})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_test_from_its_begin_to_the_runs_folder(root):
    client = client_of(root)
    test = begun(client)
    address = f"/api/judge/{test['id']}"
    assert set(test) == {"id", "run", "done", "person", "count", "checkpoint", "limit", "feedback"}
    for place in range(4):
        if place == 2:
            client = client_of(root)  # as after a restart
        assert client.get(f"{address}/{place}.png").content.startswith(b"\x89PNG")
        assert client.get(f"{address}/{place + 1}.png").status_code == 404  # nobody looks ahead
        said = client.post(address, json={"place": place, "real": True, "seconds": 0.5}).json()
        assert "was_real" not in said
        assert ("truth" in said) is (place == 3)
    assert said["score"]["value"] == 0.5
    late = client.post(address, json={"place": 4, "real": True, "seconds": 0.5})
    assert (late.status_code, late.json()["error"]) == (
        400, "this test is over: all of its images were judged",
    )  # fmt: skip
    assert client.get("/api/judge").json()["scores"][0]["without_feedback"]["answers"] == 4
    assert client.get("/api/runs/0001-plain/overview").json()["people"]["tests"][0]["person"] == "Ada"
    card = next(r for r in client.get("/api/runs").json()["runs"] if r["name"] == "0001-plain")
    assert card["people"]["value"] == 0.5
    [kept] = human.judgements(root / "0001-plain")
    assert (kept["person"], kept["feedback"], kept["seconds"]) == ("Ada", False, [0.5] * 4)


def test_an_answer_from_a_tab_that_is_behind_says_which_image_is_next(client):
    address = f"/api/judge/{begun(client)['id']}"
    given = {"place": 0, "real": True, "seconds": 1}
    assert client.post(address, json=given).status_code == 200
    error = client.post(address, json=given).json()["error"]
    assert error == "image 1 is not the one to be judged: that is image 2"
    assert client.get(address).json()["done"] == 1


def test_a_name_that_is_too_long_is_refused_with_its_length():
    with pytest.raises(InputError, match="the name has 61 characters, allowed are 1 to 60"):
        settings(person="x" * 61)


def test_feedback_is_the_truth_of_that_image_and_is_stored(client, root):
    test = begun(client, feedback=True)
    stored = json.loads(next((root / ".studio" / "tests").iterdir()).read_text())
    truth = human.truth(Settings(**stored["settings"]))
    for place in range(4):
        given = {"place": place, "real": False, "seconds": 1}
        said = client.post(f"/api/judge/{test['id']}", json=given).json()
        assert said["was_real"] is truth[place]
        assert ("truth" in said) is (place == 3)
    assert human.judgements(root / "0001-plain")[0]["feedback"] is True


@pytest.mark.parametrize(
    "given",
    [{"place": 1, "real": True, "seconds": 1}, {"place": 0, "real": 1, "seconds": 1}, {"place": 0,
     "real": True},
     {"place": 0, "real": True, "seconds": -1}, {"place": 0, "real": True, "seconds": 1e9}, {"place": "0"}],
)  # fmt: skip
def test_answers_that_are_none_are_refused(client, given):
    test = begun(client)
    assert client.post(f"/api/judge/{test['id']}", json=given).status_code == 400
    assert client.get(f"/api/judge/{test['id']}").json()["done"] == 0


@pytest.mark.parametrize("wrong", [{"count": 5}, {"count": 1000}, {"person": ""}, {"person": None},
{"limit": 99},
                                   {"run": "0005-points"}, {"feedback": "yes"}])  # fmt: skip
def test_tests_that_cannot_be_are_refused(client, wrong):
    given = {"run": "0001-plain", "person": "Ada", "count": 4, **wrong}
    assert client.post("/api/judge", json=given).status_code == 400


def test_a_name_with_script_stays_text(client, root):
    test = begun(client, person="<script>alert(1)</script>")
    for place in range(4):
        client.post(f"/api/judge/{test['id']}", json={"place": place, "real": True, "seconds": 1})
    answer = client.get("/api/judge")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["scores"][0]["tests"][0]["person"] == "<script>alert(1)</script>"
