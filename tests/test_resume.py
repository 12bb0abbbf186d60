"""A run that is taken up again ends exactly where the uninterrupted one does."""

import json
import os
import signal
import subprocess
import sys

import pytest
import tiny
from PIL import Image

import duel
from duel import catalog, pictures
from duel import recipe as recipes
from duel.errors import CheckpointError, DataError, RunError

# Everything that a checkpoint must carry is switched on in every recipe that can have it.
SIZES = {
    "width": 2,
    "generator_width": 2,
    "discriminator_width": 2,
    "group_size": 2,
    "label_size": 3,
    "hidden": [6, 6],
    "generator_hidden": [8],
    "discriminator_hidden": [8],
    "dropout": 0.1,
}
SWITCHES = {
    "latent.size": 5,
    "batch_size": 4,
    "threads": 1,
    "log.every": 2,
    "sample.every": 5,
    "sample.count": 4,
    "checkpoint.every": 6,
    "accumulate": 2,
    "n_critic": {"values": [1, 2], "at": [0, 4], "shape": "step"},
    "ema.decay": {"values": [0.5, 0.9], "at": [2, 8]},
    "optimizer.generator.lr": {"values": [0.001, 0.0001], "at": [3, 9], "shape": "cosine"},
}
# Where ADA's question (how sure is the discriminator of real images?) has no meaning, noise is drawn.
NO_ADA = ("wgan", "wgan-gp", "cwgan", "cwgan-gp", "r3gan")
ADA = {"augmentations": "ada", "augmentations.ada.start": 0.3, "augmentations.ada.speed_images": 100}
RING = {"data": "ring", "penalties": "r1", "augmentations": "noise", "latent.prior": "uniform"}
# The from-scratch engine has neither of these.
SCRATCH = {"engine": "scratch", "accumulate": 1, "network.dropout": 0.0, "augmentations": "none"}
WAYS = {"backprop": 1, "forward-gradient": 2}


@pytest.fixture(autouse=True)
def no_curves(monkeypatch):
    """Drawing them takes longer than training so small a network."""
    monkeypatch.setattr(pictures, "curves", lambda events: Image.new("L", (9, 9)))


def parts(name):
    """Recipe and changes of a tiny run with all switches."""
    recipe = {"ring": "gan", "scratch": "gan", "estimated": "gan"}.get(name, name)
    tree = recipes.read(recipe)
    network = {option.name for option in catalog.entry("networks", tree["network"]["name"]).options}
    sizes = {f"network.{key}": value for key, value in SIZES.items() if key in network}
    data = {} if tree.get("data", {}).get("name", "digits") == "digits" else {"data.name": "digits"}
    if name in ("scratch", "estimated"):
        way = {"scratch": "backprop", "estimated": "forward-gradient"}[name]
        own = {**SCRATCH, "penalties": "r1", "scratch.gradient": way, "scratch.directions": WAYS[way]}
    elif name == "ring":
        own = RING
    else:
        own = {"augmentations": "noise"} if name in NO_ADA else ADA
    return recipe, {**data, **SWITCHES, **sizes, **own}


def play(out, steps, name):
    recipe, changes = parts(name)
    with duel.train(recipe, out=out, steps=steps, changes=changes) as session:
        return list(session)


@pytest.mark.parametrize("name", [*catalog.recipes(), "ring", "scratch", "estimated"])
def test_2n_steps_are_n_and_n_more(tmp_path, name):
    play(tmp_path / "whole", 10, name)
    play(tmp_path / "cut", 5, name)
    play(tmp_path / "cut", 10, name)
    assert tiny.weights(tmp_path / "whole") == tiny.weights(tmp_path / "cut")
    sheets = [(tmp_path / run / "samples" / "00000010.png").read_bytes() for run in ("whole", "cut")]
    assert sheets[0] == sheets[1]


def killed_after_a_checkpoint(out, name):
    """A process that is killed in the run's eighth step, two after its only checkpoint."""
    recipe, changes = parts(name)
    child = os.fork()
    if not child:
        try:
            for event in duel.train(recipe, out=out, steps=10, changes={**changes, "log.every": 1}):
                if event["event"] == "step" and event["step"] == 8:
                    os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert [duel.load(out).state[key] for key in ("state", "last")] == ["running", 6]


def test_2n_steps_are_n_a_kill_and_n_more_in_a_new_process(tmp_path):
    names = ["acgan", "bigan-dense", "ring", "scratch", "estimated"]
    for name in names:
        play(tmp_path / "whole" / name, 10, name)
        killed_after_a_checkpoint(tmp_path / name, name)
    code = "import duel, sys\nfor run in sys.argv[1:]: list(duel.train(resume=run))"
    subprocess.run([sys.executable, "-c", code, *(tmp_path / name for name in names)], check=True)
    for name in names:
        assert tiny.weights(tmp_path / "whole" / name) == tiny.weights(tmp_path / name), name
        assert duel.load(tmp_path / name).state["state"] == "done"


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
    for wrong in (
        {"recipe": "dcgan"},
        {"data": "digits"},
        {"out": tmp_path / "other"},
        {"init_from": tmp_path / "run"},
    ):
        with pytest.raises(RunError, match="leave out recipe, data, out and init_from"):
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
    path = tmp_path / "run"
    tiny.train(path, 6)
    file = path / "recipe.toml"
    file.write_text(file.read_text().replace("width = 4", "width = 5"))
    with pytest.raises(
        CheckpointError, match=r"does not fit the run's recipe\.toml .* was that file edited"
    ) as caught:
        duel.load(path).sample(1)
    assert "\n" not in str(caught.value)


def test_damaged_checkpoints_are_an_error_not_a_fresh_start(tmp_path):
    path = tmp_path / "run"
    tiny.train(path, 6)
    for step in ("00000005", "00000006"):
        weights = path / "checkpoints" / step / "generator.safetensors"
        content = weights.read_bytes()
        weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(CheckpointError, match="does not match its checksum"):
        list(duel.train(resume=path, steps=8))
