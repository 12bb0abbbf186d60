"""What the command line says: nouns and their numbers, units, what an interruption left."""

import pytest
import tiny

import duel
from duel import display, session
from duel.runs import Listed


def start(**changes):
    cost = {"seconds": 1.0, "memory_bytes": 1, "disk_bytes": 1}
    base = {"event": "start", "step": 0, "steps": 1, "recipe": "gan", "data": "ring", "train_size": 1800}
    return {**base, "kind": "points", "device": "cpu", "threads": 1, "run": "r", "estimate": cost, **changes}


def test_the_header_counts_training_samples_or_images():
    assert display.start_line(start()).startswith(
        "gan on ring (1,800 training samples, cpu, 1 thread): 1 step,"
    )
    assert "(1 training image, cpu, 2 threads): 2 steps," in display.start_line(
        start(kind="image", train_size=1, threads=2, steps=2)
    )


def test_points_are_counted_as_samples_in_each_line(tmp_path, capsys, monkeypatch):
    settings = [f"--set={key}={value}" for key, value in tiny.POINTS.items()]
    _, out, _ = tiny.command(
        capsys,
        monkeypatch,
        "train",
        "gan",
        "--data",
        "ring",
        "--out",
        tmp_path / "a",
        "--steps",
        2,
        *settings,
    )
    assert " samples/s\n" in out
    assert "images" not in out


def test_one_of_a_thing_is_no_plural(tmp_path):
    one = Listed("a", "done", "gan", "ring", 1, 1, "2026-01-01T00:00", 10)
    assert "\n1 run, " in display.runs_text([one], tmp_path)
    assert "\n2 runs, " in display.runs_text([one, one], tmp_path)
    assert display.many(1, "step") == "1 step"


def test_large_losses_are_short():
    event = {"loss_d": 1.5e25, "loss_g": -2e6, "d_real": 0.5, "d_fake_before": 0.25, "d_fake_after": 0.125}
    shown = display.numbers(event)
    assert shown == "Loss_D 1.5000e+25 Loss_G -2.0000e+06 D(x) 0.5000 D(G(z)) 0.2500 / 0.1250"


def test_an_interruption_before_the_first_step_says_so(tmp_path, capsys, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "estimate", interrupted)
    status, out, err = tiny.command(
        capsys, monkeypatch, "train", "dcgan", "--out", tmp_path / "a", "--steps", 2
    )
    assert (status, out) == (130, "")
    assert err == "duel: stopped before the first step; nothing was written\n"
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("wrong", [["trian"], ["train", "dcgan", "--stpes", "3"], ["train", "--steps", "x"]])
def test_the_parsers_sentences_end(capsys, monkeypatch, wrong):
    _, _, err = tiny.command(capsys, monkeypatch, *wrong)
    assert err.endswith((". See `duel --help`.\n", "? See `duel --help`.\n", ") See `duel --help`.\n"))


def test_all_runs_to_remove_are_looked_for_before_the_first_goes(tmp_path, capsys, monkeypatch):
    tiny.train(tmp_path / "a", 1)
    status, _, err = tiny.command(
        capsys, monkeypatch, "runs", tmp_path, "--delete", "a", "--delete", "nosuch", "--yes"
    )
    assert (status, err.count("\n")) == (2, 1)
    assert duel.load(tmp_path / "a").state["state"] == "done"
