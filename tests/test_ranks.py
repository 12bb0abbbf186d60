"""Several processes train what one trains."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from ranks_cases import CASES, played

from duel import recipe, together
from duel.errors import InputError, RecipeError
from duel.launch import launch, without_launching
from duel.ranks import ALONE, World
from duel.run import Run

HERE = Path(__file__).parent
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parent}"}
SMALL = (
    "--data", "digits", "--set", "network.width=8", "--set", "precision=float64", "--set", "log.every=5",
    "--set", "checkpoint.every=10", "--seed", "3",
)  # fmt: skip


def duel(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "duel", *map(str, arguments)],
        env=ENVIRONMENT, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """The folder into which two processes have written the weights of every case."""
    folder = tmp_path_factory.mktemp("two")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, str(HERE / "ranks_worker.py"), str(folder)],
        env=ENVIRONMENT, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("name", [name for name in CASES if name not in ("dragan", "apart")])
def test_two_processes_do_what_one_does(two, name):
    numbers, weights = played(name, ALONE)
    with np.load(two / f"{name}.npz") as found:
        assert set(found) == set(weights)
        for key, value in weights.items():
            np.testing.assert_allclose(found[key], value, rtol=1e-9, atol=1e-12, err_msg=key)
    seen = json.loads((two / f"{name}.json").read_text())
    for key, values in numbers.items():
        np.testing.assert_allclose(seen[key], values, rtol=1e-6, err_msg=key)


def test_batch_norm_of_each_share_is_another_thing(two):
    _, weights = played("apart", ALONE)
    with np.load(two / "apart.npz") as found:
        assert any(not np.allclose(found[key], value, atol=1e-6) for key, value in weights.items())


def test_dragan_differs_only_by_the_deviation_of_each_share(two):
    _, weights = played("dragan", ALONE)
    with np.load(two / "dragan.npz") as found:
        for key, value in weights.items():
            np.testing.assert_allclose(found[key], value, atol=0.02, err_msg=key)


def test_shares_put_together_are_the_batch_part_by_part():
    rows = np.arange(24)
    shares = [World(rank, 2).share(rows, 3) for rank in range(2)]
    assert shares[0].tolist() == [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19]
    assert shares[1].tolist() == [4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23]
    assert ALONE.share(rows, 3) is rows


def test_a_share_of_random_numbers_is_what_one_process_draws():
    whole = np.random.default_rng(0).random((6, 2), "float32")
    shares = [World(rank, 3).drawing(np.random.default_rng(0)).random((2, 2), "float32") for rank in range(3)]
    assert np.array_equal(np.concatenate(shares), whole)


def test_what_cannot_be_shared_is_refused():
    odd = recipe.resolve({"network": {"name": "dense"}, "steps": 1, "batch_size": 9})
    with pytest.raises(RecipeError, match="multiple of 2"):
        World(0, 2).check(odd)
    World(0, 3).check(odd)
    scratch = recipe.resolve({"network": {"name": "dense"}, "steps": 1, "engine": "scratch"})
    with pytest.raises(RecipeError, match="one process"):
        World(0, 2).check(scratch)


@pytest.mark.parametrize(
    ("devices", "nodes", "rendezvous", "said"),
    [
        (0, 1, None, "integers from 1"),
        (1, 0, None, "integers from 1"),
        (1, 2, None, "--rendezvous HOST:PORT"),
    ],
)
def test_a_launch_that_cannot_be(devices, nodes, rendezvous, said):
    with pytest.raises(InputError, match=said):
        launch(["train"], devices, nodes, rendezvous)


def test_the_processes_do_not_launch_again():
    given = ["train", "dcgan", "--devices", "2", "--nodes=2", "--rendezvous", "a:1", "--out", "x"]
    assert without_launching(given) == ["train", "dcgan", "--out", "x"]


def weights(run):
    return Run(run).load_checkpoint("last")[0]


def assert_close(one, other):
    for group, parts in one.items():
        for name, value in parts.items():
            torch.testing.assert_close(other[group][name], value, rtol=1e-9, atol=1e-12)


def test_an_interrupt_of_any_process_asks_for_the_end(tmp_path, monkeypatch):
    """On a cluster the signal may reach one machine alone."""
    asked = []
    run = tmp_path / "run"
    tiny.train(run, steps=2)

    class Alone(World):
        def told(self, text):
            return str(run)

    monkeypatch.setattr(together.ranks, "joined", Alone)
    monkeypatch.setattr(together, "play_along", lambda recipe, now, total, stopping: asked.append(stopping))
    follower = together.Follower()
    follower.play()
    assert not asked[0]()
    follower.stop()
    assert asked[0]()


def test_a_run_of_two_machines_is_taken_up_by_one(tmp_path):
    """Two launchers that meet on loopback; evaluation and sampling by the first; then one process goes on."""
    looks = (
        "--set",
        "evaluate.every=10",
        "--set",
        "evaluate.features=random",
        "--set",
        "evaluate.samples=100",
    )
    base = ("train", "dcgan", *SMALL, *looks)
    assert duel(*base, "--steps", 20, "--out", tmp_path / "whole").returncode == 0
    port = 20000 + os.getpid() % 20000
    command = [
        *base,
        "--steps",
        10,
        "--out",
        tmp_path / "part",
        "--nodes",
        2,
        "--rendezvous",
        f"localhost:{port}",
    ]
    both = [
        subprocess.Popen([sys.executable, "-m", "duel", *map(str, command)], env=ENVIRONMENT)
        for _ in range(2)
    ]
    assert [each.wait(timeout=240) for each in both] == [0, 0]
    assert Run(tmp_path / "part").provenance["processes"] == 2
    assert [event["step"] for event in Run(tmp_path / "part").events("metric")]
    resumed = duel("train", "--resume", tmp_path / "part", "--steps", 20)
    assert resumed.returncode == 0, resumed.stderr
    assert "began with 2 processes and goes on with 1" in resumed.stderr
    assert_close(weights(tmp_path / "whole"), weights(tmp_path / "part"))


def test_an_interrupt_saves_and_what_is_finished_stays(tmp_path):
    run = tmp_path / "run"
    command = ["train", "dcgan", *SMALL, "--set", "batch_size=8", "--out", run, "--devices", 2]
    process = subprocess.Popen(
        [sys.executable, "-m", "duel", *map(str, command), "--steps", "1000000", "--json"],
        env=ENVIRONMENT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    for line in process.stdout:
        if json.loads(line)["event"] == "step":
            break
    process.send_signal(signal.SIGTERM)
    rest = [json.loads(line) for line in process.stdout]
    process.stdout.close()
    assert process.wait(timeout=240) == 143
    assert rest[-1]["reason"] == "interrupted"
    step = Run(run).state["last"]
    assert step == rest[-1]["step"] > 0
    again = duel("train", "--resume", run, "--steps", step, "--devices", 2)
    assert again.returncode == 0, again.stderr
    assert "done" in again.stdout


def test_an_error_of_the_first_process_is_said_once(tmp_path):
    wrong = duel("train", "dcgan", "--data", "digits", "--set", "batch_size=9", "--steps", 2, "--devices", 2)
    assert wrong.returncode == 2
    assert (
        wrong.stderr.strip() == "duel: batch_size is 9, which 2 processes cannot share: use a multiple of 2"
    )
    nan = ("--set", "optimizer.generator.lr=1e30", "--set", "optimizer.discriminator.lr=1e30")
    rollback = ("--set", "on_nonfinite=rollback", "--set", "max_rollbacks=1")
    command = ("train", "dcgan", "--data", "digits", "--set", "network.width=8", "--steps", 20, "--quiet")
    lost = duel(*command, *nan, *rollback, "--out", tmp_path / "run", "--devices", 2)
    assert lost.returncode == 1
    assert [line.count("back to step 0") for line in lost.stderr.splitlines()] == [1, 0]
