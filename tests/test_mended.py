"""What newcomers ran into: edited recipes, lost checkpoints, moved data, broken pictures, full disks."""

import json
import shutil

import numpy as np
import pytest
import tiny
from PIL import Image

import duel
from duel.errors import CheckpointError, DataError, RunError


@pytest.fixture
def run(tmp_path):
    tiny.train(tmp_path / "run", 10)
    return tmp_path / "run"


def more(path, steps=12, **options):
    with duel.train(resume=path, steps=steps, **options) as session:
        return list(session)


def test_an_edited_recipe_is_not_taken_up(run):
    file = run / "recipe.toml"
    before = file.read_text()
    assert "seed = 0" in before
    file.write_text(before.replace("seed = 0", "seed = 77"))
    with pytest.raises(RunError, match=r"recipe\.toml was edited after the run had begun"):
        more(run)
    file.write_text(before)
    assert more(run)[-1]["reason"] == "done"
    assert more(run, 14)[-1]["reason"] == "done", "what resume itself has written is known"


def test_a_recipe_of_an_older_run_without_a_checksum_is_taken_up(run):
    state = json.loads((run / "run.json").read_text())
    del state["recipes"]
    (run / "run.json").write_text(json.dumps(state))
    assert more(run)[-1]["reason"] == "done"


def test_lost_checkpoints_are_no_beginning(run):
    shutil.rmtree(run / "checkpoints")
    log = (run / "events.jsonl").read_bytes()
    with pytest.raises(CheckpointError, match=r"has no checkpoint, and its run\.json names step 10"):
        more(run)
    assert (run / "events.jsonl").read_bytes() == log


def test_a_folder_of_images_is_known_by_its_whole_path_and_may_be_moved(tmp_path, monkeypatch):
    pictures = np.random.default_rng(0).integers(0, 256, (60, 16, 16), np.uint8)
    (tmp_path / "pics").mkdir()
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / "pics" / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    tiny.train("run", 10, data="pics", changes={"data.resolution": 16})
    monkeypatch.chdir(tmp_path.parent)
    assert more(tmp_path / "run", 11)[-1]["reason"] == "done"
    (tmp_path / "pics").rename(tmp_path / "moved")
    with pytest.raises(DataError, match=r"are no longer in .*pics: where they were moved, say so with"):
        more(tmp_path / "run")
    moved = {"data.path": str(tmp_path / "moved")}
    assert more(tmp_path / "run", changes=moved)[-1]["reason"] == "done"
    (tmp_path / "moved" / "0.png").unlink()
    with pytest.raises(DataError, match="have changed since its start"):
        more(tmp_path / "run", 13)


def test_a_broken_grid_is_left_out_of_the_film(run):
    (run / "samples" / "00000000.png").write_text("x")
    events = more(run)
    assert events[-1]["reason"] == "done"
    assert "film" in events[-1]
    assert [e["message"] for e in events if e["event"] == "warning"] == [
        f"{run / 'samples' / '00000000.png'} is no picture any more: it is left out of the film strip"
    ]


def test_numbers_that_cannot_be_recorded_are_shown_all_the_same(run, capsys, monkeypatch):
    (run / "metrics.jsonl").mkdir()
    status, out, err = tiny.command(
        capsys, monkeypatch, "evaluate", run, "--metrics", "frechet", "--features", "random",
        "--samples", 100, "--json",
    )  # fmt: skip
    assert status == 0
    assert "frechet-random" in json.loads(out)["metrics"]
    assert "the numbers could not be recorded in" in err


def test_a_damaged_checkpoint_says_which_one_is_whole(run):
    file = run / "checkpoints" / "00000010" / "generator.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match="step 5 is whole: give --checkpoint 5, or"):
        duel.load(run).sample(1)


def test_a_run_that_an_error_ended_has_failed(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    from duel import loop

    monkeypatch.setattr(loop, "save", full)
    with pytest.raises(OSError, match="No space"):
        tiny.train(tmp_path / "run", 10)
    assert duel.load(tmp_path / "run").state["state"] == "failed"
    monkeypatch.undo()
    assert more(tmp_path / "run", 10)[-1]["reason"] == "done"


def test_a_checkpoints_folder_is_told_from_a_run(run):
    with pytest.raises(RunError, match=r"is a checkpoint of .*run: give .*run and --checkpoint 5"):
        duel.load(run / "checkpoints" / "00000005")


def test_threads_follow_the_environment(monkeypatch):
    from duel.recipe import on_this_machine

    recipe = tiny.resolved("dcgan", threads=None)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert on_this_machine(recipe).threads == 1
    for nonsense in ("", "x", "0", "-3", "99999"):
        monkeypatch.setenv("OMP_NUM_THREADS", nonsense)
        assert on_this_machine(recipe).threads >= 1


def test_the_header_says_where_it_goes_on_and_with_whose_weights(run, tmp_path, capsys, monkeypatch):
    _, out, _ = tiny.command(capsys, monkeypatch, "train", "--resume", run, "--steps", 12)
    assert "from step 10 of 12: 2 steps, about" in out
    changes = [f"--set={key}={value}" for key, value in tiny.TINY.items()]
    _, out, _ = tiny.command(
        capsys,
        monkeypatch,
        "train",
        "dcgan",
        "--steps",
        5,
        "--init-from",
        run,
        "--out",
        tmp_path / "b",
        *changes,
    )
    assert f"from the weights of {run.resolve()}, step 12: 5 steps, about" in out


def test_a_run_to_remove_is_looked_for_before_anybody_is_asked(run, capsys, monkeypatch):
    status, out, err = tiny.command(capsys, monkeypatch, "runs", run.parent, "--delete", "nosuch")
    assert status == 2
    assert "remove" not in out
    assert "there is no run 'nosuch'" in err
    status, out, _ = tiny.command(capsys, monkeypatch, "runs", run.parent, "--delete", "run/", "--yes")
    assert status == 0
    assert not run.exists()
