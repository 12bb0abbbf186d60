"""Studies on a Dask cluster: the same table, workers that die, and what cannot be used."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager

import pytest
import small_studies as small
import tiny

from duel.errors import DuelError, InputError
from duel.run import Run
from duel.study import campaign, executors, study

distributed = pytest.importorskip("distributed")


@contextmanager
def started(*commands, cwd):
    """`dask …` processes, which are killed at the end."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    processes = [
        subprocess.Popen([sys.executable, "-m", "dask", *map(str, command)], cwd=cwd, **quiet)
        for command in commands
    ]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


@contextmanager
def cluster(folder):
    """A scheduler and two workers with one thread each, in other folders: address, scheduler, workers."""
    where = folder / "scheduler.json"
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    worker = ["worker", "--scheduler-file", where, "--nthreads", 1, "--no-nanny", "--no-dashboard"]
    scheduler = ["scheduler", "--scheduler-file", where, "--host", "127.0.0.1", "--port", 0, "--no-dashboard"]
    with started(scheduler, worker, worker, cwd=elsewhere) as processes:
        while not where.exists() or not where.read_text():
            pass
        address = json.loads(where.read_text())["address"]
        with distributed.Client(address, set_as_default=False) as client:
            client.wait_for_workers(2)
        yield address, processes[0], processes[1:]


def holder(run):
    """The process that trains (or trained) in a run folder."""
    return int((run / ".lock").read_text().split()[1])


def test_a_cluster_plays_the_same_study_and_takes_up_what_a_dead_worker_leaves(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = small.write(tmp_path, seeds=[0, 1, 2], budget={"steps": 90}, looks=9)
    with cluster(tmp_path) as (address, scheduler, workers):
        ran, killed = [], None
        for event in study(path, "out", cluster=address):
            runs = [run for run in (tmp_path / "out").glob("runs/*/*") if (run / "recipe.toml").is_file()]
            begun = [run for run in runs if Run(run).state["last"] and Run(run).state["state"] == "running"]
            if killed is None and begun:
                killed = begun[0]
                victim = next(worker for worker in workers if worker.pid == holder(killed))
                victim.kill()
                reached = Run(killed).state["last"]
            ran += [event] if event["event"] == "run" else []
        assert [event["state"] for event in ran] == ["done"] * 3
        other = next(worker for worker in workers if worker.poll() is None)
        assert victim.pid != other.pid == holder(killed)
        assert Run(killed).state["last"] == 90 > reached

        it = iter(study(small.write(tmp_path, "long", budget={"steps": 10**6}), "long", cluster=address))
        next(event for event in it if event["event"] == "progress" and "preparing" not in event)
        scheduler.kill()
        with pytest.raises(DuelError, match=f"the cluster at {address} is gone: start it again"):
            list(it)
    monkeypatch.setattr(campaign, "executor", small.here)
    small.play(path, "here")
    assert small.values("out") == small.values("here")


def test_workers_with_two_threads_and_a_cluster_without_workers_are_refused(tmp_path):
    path = small.write(tmp_path)
    for workers, said in ((1, "has workers with 2 threads"), (0, "has no workers")):
        options = {"threads_per_worker": 2, "processes": False, "protocol": "tcp", "dashboard_address": None}
        refused = pytest.raises(InputError, match=f"{said}: start some with `dask worker .* --nthreads 1`")
        with distributed.LocalCluster(n_workers=workers, host="127.0.0.1", **options) as dask, refused:
            study(path, tmp_path / "out", cluster=dask.scheduler_address)
    assert not (tmp_path / "out").exists()


def test_an_address_without_a_scheduler_is_told_soon(tmp_path, monkeypatch, capsys):
    assert executors._PATIENCE <= 5
    monkeypatch.setattr(executors, "_PATIENCE", 0.3)
    monkeypatch.chdir(tmp_path)
    small.write(tmp_path)
    for address in ("127.0.0.1:9", "nonsense://1"):
        status, out, err = tiny.command(capsys, monkeypatch, "study", "small.toml", "--cluster", address)
        assert (status, out) == (2, "")
        assert f"duel: there is no Dask scheduler at '{address}' (" in err
        assert err.endswith("): give HOST:PORT\n")
    assert os.listdir() == ["small.toml"]


def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.chdir(tmp_path)
    small.write(tmp_path)
    status, out, err = tiny.command(capsys, monkeypatch, "study", "small.toml", "--cluster", "127.0.0.1:9")
    assert (status, out) == (2, "")
    assert "--cluster needs the extra duel[cluster]: pip install 'duel[cluster]'" in err
