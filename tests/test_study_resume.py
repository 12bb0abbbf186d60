"""Studies that are killed, stopped or robbed of their workers end as undisturbed ones do."""

import json
import os
import signal
import subprocess
import sys
import time

import small_studies as small

from duel import table
from duel.run import Run, held
from duel.study import campaign, study

DEADLY = """
import os, signal
from pathlib import Path

from duel.networks.dense import Dense
from duel.options import options

@options
class Deadly(Dense):
    how: str = "exit"

    def generator(self, interface):
        module, calls, how = super().generator(interface), [], self.how
        def count(*_):
            calls.append(1)
            if len(calls) == 12 and how != "not":
                with open(os.environ["DEATHS"], "a") as file:
                    file.write(how + "\\n")
                if how == "exit":
                    os._exit(3)
                if how == "killed once" and Path(os.environ["DEATHS"]).read_text().count(how) == 1:
                    os.kill(os.getpid(), signal.SIGKILL)
        module.register_forward_pre_hook(count)
        return module
"""


def start(folder, *arguments):
    """`duel study … --json` in a process (and group) of its own."""
    command = [sys.executable, "-m", "duel", "study", *map(str, arguments), "--json"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=folder, start_new_session=True, **pipes)


def ended(process):
    """Its exit status, its events and what it said on standard error."""
    out, err = process.communicate()
    return process.returncode, [json.loads(line) for line in out.splitlines()], err


def wait_for(condition):
    """Until it holds; the test's own time limit ends what never comes."""
    while not condition():
        time.sleep(0.02)


def logs(out):
    return {str(file): file.stat().st_mtime_ns for file in out.glob("runs/*/*/events.jsonl")}


def steps(path):
    """How far a run is, by its last checkpoint."""
    return Run(path).state["last"] or 0 if (path / "recipe.toml").is_file() else 0


def middle(out):
    """The run that has come least far of those that are in the middle; None without any."""
    rows = [json.loads(file.read_text())["rows"][0]["run"] for file in (out / "rows").glob("*.json")]
    runs = [run for run in out.glob("runs/*/*") if str(run.relative_to(out)) not in rows and steps(run)]
    return min(runs, key=steps, default=None)


def logged(run):
    """The last step in a run's log."""
    return max(event["step"] for event in Run(run).events())


def test_a_study_that_is_stopped_killed_and_interrupted_ends_as_an_undisturbed_one(tmp_path, monkeypatch):
    """SIGTERM to the whole group of processes, then a kill of the parent, then Ctrl-C, then to its end."""
    path = small.write(
        tmp_path,
        seeds=[0, 1],
        factors=small.RATES,
        budget={"steps": 120},
        looks=12,
        metrics=["precision", "kid"],
    )
    out, call = tmp_path / "out", (path, "--out", "out", "--workers", 2)

    process = start(tmp_path, *call)
    wait_for(lambda: middle(out))
    first = middle(out)
    os.killpg(process.pid, signal.SIGTERM)
    status, events, err = ended(process)
    assert (status, err) == (143, "")
    assert events[-1] | {"reason": "interrupted", "failed": 0} == events[-1]
    assert Run(first).state["state"] == "interrupted"
    assert Run(first).state["last"] == logged(first) > 0
    reached = steps(first)
    assert not (out / ".stop").exists()

    process = start(tmp_path, *call)
    wait_for(lambda: any((out / "rows").glob("*.json")) and middle(out))
    open_ = middle(out)
    process.kill()
    process.communicate()
    wait_for(lambda: not any(held(run) for run in out.glob("runs/*/*")))  # the workers have left, too
    assert steps(first) >= reached
    rows = {file: file.stat().st_mtime_ns for file in (out / "rows").glob("*.json")}
    whole = [out / json.loads(file.read_text())["rows"][0]["run"] for file in rows]
    assert 1 <= len(rows) < 4
    finished = {name: seen for name, seen in logs(out).items() if any(str(run) in name for run in whole)}
    before = steps(open_)

    process = start(tmp_path, *call)
    assert json.loads(process.stdout.readline())["left"] == 4 - len(rows)
    wait_for(lambda: steps(open_) > before)
    os.killpg(process.pid, signal.SIGINT)
    status, events, err = ended(process)
    assert (status, err) == (130, "")
    assert events[-1]["reason"] == "interrupted"
    assert Run(open_).state["last"] == logged(open_)

    monkeypatch.setattr(campaign, "executor", small.here)
    assert small.play(path, out)[-1]["done"] == 4
    small.play(path, tmp_path / "undisturbed")
    assert small.values(out) == small.csv_values(out) == small.values(tmp_path / "undisturbed")
    assert {name: seen for name, seen in logs(out).items() if name in finished} == finished
    assert {file: file.stat().st_mtime_ns for file in rows} == rows


def test_a_worker_that_dies_is_replaced_and_its_run_tried_three_times(tmp_path, monkeypatch):
    (tmp_path / "deadly.py").write_text(DEADLY)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("DEATHS", str(tmp_path / "deaths"))
    path = small.write(
        tmp_path,
        recipe="gan",
        budget={"steps": 20},
        set={
            "network": "deadly:Deadly",
            "network.generator_hidden": [8],
            "network.discriminator_hidden": [8],
            "batch_size": 4,
        },
        factors={"network.how": ["exit", "killed once", "not"]},
    )
    # One worker: what dies must not take the runs behind it along.
    events = small.play(path, tmp_path / "out", workers=1, allow_code=True)
    assert (tmp_path / "deaths").read_text().splitlines().count("exit") == 3
    ran = {event["label"]: event for event in events if event["event"] == "run"}
    assert {label: event["state"] for label, event in ran.items()} == {
        "network.how=exit": "failed",
        "network.how=killed once": "done",
        "network.how=not": "done",
    }
    said = "its process ended without a word, each time it was tried: memory may have run out"
    assert ran["network.how=exit"]["error"] == said
    assert events[-1] | {"reason": "done", "done": 2, "failed": 1} == events[-1]
    rows = table.read(tmp_path / "out")
    assert table.from_csv((tmp_path / "out" / "table.csv").read_text()) == rows
    assert [row["configuration"] for row in rows if row["state"] == "failed"] == ["network.how=exit"]


def test_leaving_the_loop_saves_what_runs(tmp_path):
    path = small.write(tmp_path, budget={"steps": 10**6}, looks=10**5, metrics=["precision"])
    for _ in study(path, tmp_path / "out", workers=1):
        if steps(run := tmp_path / "out" / "runs" / "centre" / "seed-0"):
            break
    assert Run(run).state["state"] == "interrupted"
    assert 10**6 > Run(run).state["last"] == logged(run)
    assert not held(run)
    assert not (tmp_path / "out" / ".stop").exists()
