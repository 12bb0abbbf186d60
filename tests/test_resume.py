"""A run that is taken up again ends exactly where the uninterrupted one does."""

import json
import subprocess
import sys

import pytest
import tiny

import duel
from duel.errors import DataError, RunError

RECIPES = {
    "dcgan": {},
    "demo": {},
    "dcgan-64": {"data": "digits", "network.width": 2},
    "gan": {},
    "ring": {
        "data": "ring",
        "n_critic": 2,
        "penalties": "r1",
        "augmentations": "noise",
        "latent.prior": "uniform",
    },
}


def parts(name):
    recipe = "gan" if name == "ring" else name
    return recipe, RECIPES[name]


@pytest.mark.parametrize("name", RECIPES)
def test_2n_steps_are_n_and_n_more(tmp_path, name):
    recipe, changes = parts(name)
    tiny.train(tmp_path / "whole", 12, recipe, changes)
    tiny.train(tmp_path / "cut", 6, recipe, changes)
    tiny.train(tmp_path / "cut", 12, recipe, changes)
    assert tiny.weights(tmp_path / "whole") == tiny.weights(tmp_path / "cut")
    sheets = [(tmp_path / run / "samples" / "00000012.png").read_bytes() for run in ("whole", "cut")]
    assert sheets[0] == sheets[1]


def test_2n_steps_are_n_and_n_more_in_a_new_process(tmp_path):
    changes = {"augmentations": "noise"}
    tiny.train(tmp_path / "whole", 12, changes=changes)
    tiny.train(tmp_path / "cut", 6, changes=changes)
    code = f"import duel; list(duel.train(resume={str(tmp_path / 'cut')!r}, steps=12))"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert tiny.weights(tmp_path / "whole") == tiny.weights(tmp_path / "cut")


def test_leaving_the_block_early_saves_and_the_run_goes_on_from_there(tmp_path):
    with duel.train("dcgan", out=tmp_path / "cut", steps=12, changes=tiny.TINY) as session:
        for event in session:
            if event["event"] == "step" and event["step"] == 8:
                break
    assert (
        duel.load(tmp_path / "cut").state | {"state": "interrupted", "last": 8}
        == duel.load(tmp_path / "cut").state
    )
    tiny.train(tmp_path / "cut", 12)
    tiny.train(tmp_path / "whole", 12)
    assert tiny.weights(tmp_path / "whole") == tiny.weights(tmp_path / "cut")


def test_what_was_logged_past_the_checkpoint_is_dropped(tmp_path):
    path = tmp_path / "run"
    tiny.train(path, 10)
    log = path / "events.jsonl"
    log.write_text(log.read_text() + '{"event": "step", "step": 11, "time": 1.0}\n{"event": "st')
    (path / "samples" / "00000011.png").write_bytes(b"")
    tiny.train(path, 14)
    steps = [event["step"] for event in duel.load(path).events("step")]
    assert steps == [2, 4, 6, 8, 10, 12, 14]
    assert [event["reason"] for event in duel.load(path).events("end")] == ["done"]
    assert [step for step, _ in duel.load(path).grids()] == [0, 5, 10, 14]
    for line in log.read_text().splitlines():
        json.loads(line)


def test_a_finished_run_has_nothing_to_do_and_can_train_longer(tmp_path):
    path = tmp_path / "run"
    tiny.train(path, 6)
    before = tiny.weights(path)
    assert tiny.train(path, 6) == []
    assert list(duel.train(resume=path)) == []
    assert tiny.weights(path) == before
    assert tiny.train(path, 8)[-1]["step"] == 8
    assert duel.load(path).recipe.steps == 8


def test_fewer_steps_than_there_are_is_an_error(tmp_path):
    tiny.train(tmp_path / "run", 6)
    with pytest.raises(RunError, match="is at step 6 already, 4 were asked for"):
        duel.train(resume=tmp_path / "run", steps=4)


def test_other_settings_are_refused_with_each_difference(tmp_path):
    path = tmp_path / "run"
    tiny.train(path, 6)
    before = tiny.weights(path)
    with pytest.raises(RunError) as caught:
        tiny.train(path, 6, seed=3, changes={"network.width": 5})
    assert "network.width: the run has 4, now 5" in str(caught.value)
    assert "seed: the run has 0, now 3" in str(caught.value)
    with pytest.raises(RunError, match=r"network\.width: the run has 4, now 5"):
        duel.train(resume=path, changes={"network.width": 5})
    assert tiny.weights(path) == before


def test_looks_and_checkpoints_may_change(tmp_path):
    path = tmp_path / "run"
    tiny.train(path, 6)
    tiny.train(
        path, 10, changes={"sample.every": 1, "checkpoint.every": 2, "checkpoint.keep": 3, "log.every": 1}
    )
    assert [step for step, _ in duel.load(path).grids()] == [0, 5, 6, 7, 8, 9, 10]
    assert sorted(entry.name for entry in (path / "checkpoints").iterdir()) == [
        "00000006",
        "00000008",
        "00000010",
    ]


def test_another_number_of_threads_warns(tmp_path):
    path = tmp_path / "run"
    tiny.train(path, 6)
    with duel.train(resume=path, steps=8, changes={"threads": 2}) as session:
        warnings = [event["message"] for event in session if event["event"] == "warning"]
    assert any("threads" in message for message in warnings)


def test_resume_takes_no_recipe_data_or_out(tmp_path):
    tiny.train(tmp_path / "run", 6)
    for wrong in ({"recipe": "dcgan"}, {"data": "digits"}, {"out": tmp_path / "other"}):
        with pytest.raises(RunError, match="leave out recipe, data and out"):
            duel.train(resume=tmp_path / "run", **wrong)
    with pytest.raises(RunError, match="is not a run"):
        duel.train(resume=tmp_path / "nothing")


def test_changed_data_are_noticed(tmp_path):
    path = tmp_path / "run"
    tiny.train(path, 6)
    file = path / "provenance.json"
    file.write_text(file.read_text().replace('"fingerprint": "', '"fingerprint": "0'))
    with pytest.raises(DataError, match="have changed since its start"):
        tiny.train(path, 8)


def test_what_a_killed_process_left_is_swept(tmp_path):
    path = tmp_path / "run"
    tiny.train(path, 6)
    (path / "checkpoints" / ".00000008.123.part").mkdir()
    tiny.train(path, 8)
    assert sorted(entry.name for entry in (path / "checkpoints").iterdir()) == ["00000006", "00000008"]


def test_an_edited_recipe_is_named(tmp_path):
    from duel.errors import CheckpointError

    path = tmp_path / "run"
    tiny.train(path, 6)
    file = path / "recipe.toml"
    file.write_text(file.read_text().replace("width = 4", "width = 5"))
    with pytest.raises(
        CheckpointError, match=r"does not fit the run's recipe\.toml .* was that file edited"
    ) as caught:
        duel.load(path).sample(1)
    assert "\n" not in str(caught.value)


def test_a_damaged_checkpoint_is_an_error_not_a_fresh_start(tmp_path):
    from duel.errors import CheckpointError

    path = tmp_path / "run"
    tiny.train(path, 6)
    weights = path / "checkpoints" / "00000006" / "generator.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(CheckpointError, match="does not match its checksum"):
        list(duel.train(resume=path, steps=8))
