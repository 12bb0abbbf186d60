"""The command line: exit statuses, what goes where, and errors of one sentence."""

import json
import os
import signal
import stat
import subprocess
import sys

import pytest
import tiny
from PIL import Image
from tiny import command as run

SETTINGS = [part for key, value in tiny.TINY.items() for part in ("--set", f"{key}={value}")]


@pytest.fixture
def duel(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: run(capsys, monkeypatch, *arguments)


def test_help_names_the_commands(duel):
    status, out, _ = duel("--help")
    assert status == 0
    for command in ("train", "sample", "evaluate", "list", "data"):
        assert command in out
    for command in (("train",), ("sample",), ("list",), ("data",), ("data", "check")):
        assert duel(*command, "--help")[0] == 0


def test_training_prints_the_estimate_the_log_and_what_to_do_next(duel, tmp_path):
    status, out, err = duel("train", "dcgan", "--out", "a", "--steps", 10, *SETTINGS)
    lines = out.splitlines()
    assert (status, err) == (0, "")
    assert lines[0].startswith("dcgan on digits (1,426 training images, cpu, 1 thread): 10 steps, about ")
    assert lines[1].startswith("[1/1][2/179] Loss_D ")
    assert all(part in lines[1] for part in ("Loss_G", "D(x)", "D(G(z))", " / ", "images/s"))
    assert len([line for line in lines if line.startswith("[1/1][")]) == 5
    for name in ("a/samples/00000010.png", "a/film.png", "a/curves.png"):
        assert name in out
        assert (tmp_path / name).is_file()
    commands = [line.strip() for line in lines[lines.index("next") + 1 :]]
    assert len(commands) == 3
    for command in commands:
        if " evaluate " not in command:  # trains a classifier: test_evaluating
            assert duel(*command.split()[1:])[0] == 0, command


def test_json_is_the_event_stream_and_nothing_else(duel, tmp_path):
    status, out, err = duel("train", "dcgan", "--out", "a", "--steps", 4, "--json", *SETTINGS)
    events = [json.loads(line) for line in out.splitlines()]
    assert (status, err) == (0, "")
    assert events == [json.loads(line) for line in (tmp_path / "a" / "events.jsonl").read_text().splitlines()]
    status, out, _ = duel("train", "--resume", "a", "--json")
    assert status == 0
    assert json.loads(out)["reason"] == "done"


def test_quiet_prints_nothing(duel):
    assert duel("train", "dcgan", "--out", "a", "--steps", 2, "--quiet", *SETTINGS) == (0, "", "")


def test_without_out_runs_are_numbered(duel, tmp_path):
    for _ in range(2):
        assert duel("train", "dcgan", "--steps", 1, "--quiet", *SETTINGS)[0] == 0
    assert sorted(entry.name for entry in (tmp_path / "runs").iterdir()) == [
        "0001-dcgan-digits",
        "0002-dcgan-digits",
    ]


def test_dry_run_prints_the_resolved_recipe_and_writes_nothing(duel, tmp_path):
    import tomllib

    status, out, _ = duel(
        "train", "dcgan", "--dry-run", "--epochs", 3, "--set", "optimizer.discriminator.lr=1e-4"
    )
    tree = tomllib.loads(out)
    assert status == 0
    assert tree["optimizer"]["discriminator"]["lr"] == 1e-4
    assert tree["epochs"] == 3
    assert "steps" not in tree
    assert tree["device"] in ("cpu", "cuda")
    assert tree["threads"] >= 1
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine.toml").write_text(out)
    assert duel("train", "mine.toml", "--dry-run")[1].replace('"mine"', '"dcgan"') == out


def test_a_finished_run_says_so(duel):
    duel("train", "dcgan", "--out", "a", "--steps", 2, "--quiet", *SETTINGS)
    status, out, _ = duel("train", "dcgan", "--out", "a", "--steps", 2, *SETTINGS)
    assert status == 0
    assert "is finished: all 2 steps are done" in out


# ---------------------------------------------------------------- wrong input

WRONG = {
    "unknown recipe": (["train", "dcgna"], "did you mean 'dcgan'"),
    "no recipe": (["train"], "no recipe was given"),
    "unknown field": (["train", "dcgan", "--set", "network.widht=3"], "did you mean 'width'"),
    "wrong type": (["train", "dcgan", "--set", "steps=many"], "steps is 'many', allowed: an integer"),
    "wrong number": (["train", "dcgan", "--steps", "x"], "valid integer"),
    "unknown option": (["train", "dcgan", "--stpes", "3"], "No such option"),
    "unknown command": (["trian"], "No such command"),
    "unknown data": (["train", "dcgan", "--data", "mnits"], "did you mean 'mnist'"),
    "empty folder": (["train", "dcgan", "--data", "empty"], "empty"),
    "only broken images": (["train", "dcgan", "--data", "broken"], "broken"),
    "resolution": (["train", "dcgan", "--set", "data.resolution=30"], "nearest is data.resolution=32"),
    "points for dcgan": (["train", "dcgan", "--data", "ring"], "use network.name=dense"),
    "another run": (["train", "dcgan", "--out", "other", "--seed", "5"], "holds another run"),
    "other files": (["train", "dcgan", "--out", "files"], "holds other files and no run"),
    "a file": (["train", "dcgan", "--out", "files/a"], "is a file"),
    "missing data offline": (["train", "dcgan", "--data", "mnist"], "train-images-idx3-ubyte.gz"),
    "steps and epochs": (["train", "dcgan", "--steps", "1", "--epochs", "1"], "give one of them"),
    "quiet and json": (["train", "dcgan", "--quiet", "--json"], "exclude each other"),
    "outside code": (["train", "evil.toml"], "--allow-code"),
    "no run": (["sample", "empty"], "is not a run"),
    "bad suffix": (["sample", "other", "--out", "a.jpeg"], "write FILE.png, FILE.npz or a folder"),
    "bad checkpoint": (["sample", "other", "--checkpoint", "9"], "no checkpoint 9"),
    "unknown list": (["list", "network"], "did you mean 'networks'"),
    "unknown variant": (["list", "networks", "dcgn"], "did you mean 'dcgan'"),
    "seed too large": (["train", "dcgan", "--seed", str(2**70)], "allowed are integers from 0 to"),
    "negative seed of samples": (["sample", "other", "--seed", "-1"], "the seed is -1"),
    "no number": (["train", "dcgan", "--set", "network.slope=nan"], "a finite number"),
    "too wide": (
        ["train", "dcgan", "--set", "network.width=9000000"],
        "lower network options such as network.width",
    ),
    "too large a batch": (["train", "dcgan", "--set", "batch_size=10000000000"], "lower batch_size"),
    "too many samples on a grid": (["train", "dcgan", "--set", "sample.count=99999"], "from 1 to 1,024"),
    "no variant": (["train", "dcgan", "--set", "network.name=os:path"], "derived from Network"),
    "samples into a run": (["sample", "other", "--out", "other"], "holds other files"),
    "empty name": (["train", ""], "name is empty"),
    "cuda where there is none": (["train", "dcgan", "--device", "cuda"], "no CUDA device"),
}


@pytest.fixture
def surroundings(tmp_path, monkeypatch):
    monkeypatch.delenv("DUEL_DATA", raising=False)
    tiny.train(tmp_path / "other", 2)
    for name in ("empty", "files", "broken"):
        (tmp_path / name).mkdir()
    (tmp_path / "files" / "a").write_text("x")
    (tmp_path / "broken" / "a.png").write_text("no picture")
    (tmp_path / "evil.toml").write_text(
        'steps = 1\nnetwork = "dense"\n[objective]\nname = "antigravity:Loss"\n'
    )
    return tmp_path


def contents(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if "cache" not in path.parts}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_one_sentence_with_status_2_and_leaves_nothing(duel, surroundings, case):
    arguments, expected = WRONG[case]
    if case.startswith("cuda"):
        import torch

        if torch.cuda.is_available():
            pytest.skip("there is a CUDA device here")
    before = contents(surroundings)
    status, out, err = duel(*arguments)
    assert status == 2, err
    assert expected in err
    assert out == ""
    assert err.startswith("duel: ")
    assert "Traceback" not in err
    if case != "another run":  # that one lists the differences
        assert err.count("\n") == 1, err
    assert contents(surroundings) == before


def test_debug_shows_the_traceback(duel):
    from duel.errors import RecipeError

    with pytest.raises(RecipeError):
        duel("train", "dcgna", "--debug")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere; the next test covers the branch")
def test_a_read_only_output_folder_is_wrong_input(duel, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(stat.S_IRUSR | stat.S_IXUSR)
    status, _, err = duel("train", "dcgan", "--out", "locked/run", "--steps", 1, *SETTINGS)
    assert status == 2
    assert "cannot be written" in err


@pytest.mark.parametrize("failing", ["provenance.json", "recipe.toml"])
def test_an_output_folder_that_cannot_be_written_leaves_nothing(duel, tmp_path, monkeypatch, failing):
    from duel import io

    write = io.write_atomic

    def fail(path, content):
        if path.name == failing:
            raise OSError(30, "Read-only file system")
        write(path, content)

    monkeypatch.setattr(io, "write_atomic", fail)
    status, _, err = duel("train", "dcgan", "--out", "run", "--steps", 1, *SETTINGS)
    assert status == 2
    assert "cannot be written (Read-only file system): choose another --out" in err
    assert not (tmp_path / "run").exists()


def test_a_disk_that_fills_up_is_one_sentence_and_status_1(duel, tmp_path, monkeypatch):
    from duel import checkpoint

    def full(*arguments):
        raise OSError(28, "No space left on device", "file")

    monkeypatch.setattr(checkpoint, "save", full)
    status, _, err = duel("train", "dcgan", "--out", "run", "--steps", 2, "--quiet", *SETTINGS)
    assert (status, err) == (1, "duel: No space left on device: file; make room, then go on with --resume\n")


def test_divergence_is_status_1(duel):
    settings = [*SETTINGS, "--set", "optimizer.generator.lr=1e30", "--set", "log.every=1"]
    status, _, err = duel("train", "dcgan", "--out", "run", "--steps", 60, "--quiet", *settings)
    assert status == 1
    assert "diverged" in err
    assert err.count("\n") == 1


# ---------------------------------------------------------------- signals and pipes


def started(tmp_path, *arguments):
    """The command in a process of its own, after it has logged its first step."""
    command = [
        sys.executable,
        "-m",
        "duel.cli",
        "train",
        "dcgan",
        "--out",
        "run",
        "--steps",
        "100000",
        *SETTINGS,
    ]
    process = subprocess.Popen(
        [*command, *arguments], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for line in process.stdout:
        if line.startswith("[") or '"event": "step"' in line:
            return process
    raise AssertionError(process.stderr.read())


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_with_a_checkpoint_and_its_status(tmp_path, number, status):
    from duel.run import Run

    process = started(tmp_path)
    process.send_signal(number)
    out, err = process.communicate()
    assert (process.returncode, err) == (status, "")
    assert "stopped, to be continued" in out
    run = Run(tmp_path / "run")
    assert run.state["state"] == "interrupted"
    assert run.state["last"] == max(event["step"] for event in run.events())
    assert run.sample(2).shape == (2, 1, 8, 8)


@pytest.mark.parametrize("command", [["list"], ["--help"], ["list", "datasets", "folder"]])
def test_a_reader_that_leaves_is_no_failure(command):
    with subprocess.Popen(
        [sys.executable, "-m", "duel", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_a_terminal_without_the_characters_gets_question_marks(tmp_path):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    done = subprocess.run(
        [sys.executable, "-m", "duel", "list", "datasets"], env=environment, capture_output=True, check=True
    )
    assert b"8?8 grey pixels" in done.stdout


def test_an_interrupted_command_leaves_with_130(duel, monkeypatch):
    from duel import export

    def interrupt(*arguments):
        raise KeyboardInterrupt

    duel("train", "dcgan", "--out", "a", "--steps", 2, "--quiet", *SETTINGS)
    monkeypatch.setattr(export, "write_samples", interrupt)
    assert duel("sample", "a") == (130, "", "")


def test_the_second_process_on_a_run_is_told_who_holds_it(tmp_path, duel):
    process = started(tmp_path)
    for arguments in (["dcgan", "--out", "run", "--steps", "100000", *SETTINGS], ["--resume", "run"]):
        status, out, err = duel("train", *arguments)
        assert (status, out) == (2, "")
        assert f"run is being trained by process {process.pid} on " in err
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert duel("train", "--resume", "run", "--steps", 100_000, "--dry-run")[0] == 2  # dry-run needs a recipe
    from duel.run import Lock

    Lock(tmp_path / "run").release()


def test_names_cannot_command_the_terminal(duel, tmp_path):
    folder = tmp_path / "images" / "b\x1b[31m"
    folder.mkdir(parents=True)
    Image.new("L", (9, 9)).save(folder / "a.png")
    _, out, _ = duel("data", "check", "images")
    assert "\x1b" not in out
    assert "b\\x1b[31m" in out
    assert "\x1b" not in duel("train", "dcgan", "--data", "\x1b[31m")[2]


def test_a_closed_pipe_is_no_failure(tmp_path):
    process = started(tmp_path, "--json", "--set", "log.every=1")
    with process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


# ---------------------------------------------------------------- the other commands


def test_sampling(duel, tmp_path):
    duel("train", "dcgan", "--out", "a", "--steps", 2, "--quiet", *SETTINGS)
    assert duel("sample", "a", "--n", 5, "--seed", 3)[:2] == (0, "sample.png\n")
    with Image.open(tmp_path / "sample.png") as picture:
        assert picture.size == (3 * 50 + 2, 2 * 50 + 2)
    assert duel("sample", "a", "--n", 5, "--out", "folder")[0] == 0
    assert len(list((tmp_path / "folder").iterdir())) == 5


def test_evaluating(duel):
    duel("train", "dcgan", "--out", "a", "--steps", 2, "--quiet", *SETTINGS)
    asked = ("evaluate", "a", "--metrics", "frechet,precision", "--features", "random", "--samples", 120)
    status, out, err = duel(*asked, "--json")
    assert (status, err) == (0, "")
    result = json.loads(out)
    assert set(result["metrics"]) == {"frechet-random", "precision"}
    status, out, _ = duel(*asked, "--floor", "--split", "validation")
    assert status == 0
    for expected in ("frechet-random", "lower is better", "real against real", "validation split", "note: "):
        assert expected in out
    for wrong, expected in (
        (("evaluate", "a", "--metrics", "fid", "--features", "classifier"), "--metrics fcd"),
        (("evaluate", "a", "--split", "tset"), "'test'"),
        (("evaluate", "missing"), "neither a run nor a folder"),
    ):
        status, out, err = duel(*wrong)
        assert (status, out) == (2, "")
        assert expected in err
        assert err.count("\n") == 1


def test_inspecting_data(duel, tmp_path):
    status, out, err = duel("data", "inspect", "digits", "--out", "p.png")
    assert (status, err) == (0, "")
    assert "image 1×8×8; train 1,426" in out
    with Image.open(tmp_path / "p.png") as picture:
        assert min(picture.size) > 500
    assert (
        json.loads(duel("data", "inspect", "ring", "--json", "--set", "data.samples=500")[1])["kind"]
        == "points"
    )
    assert duel("data", "inspect", "digitz")[0] == 2


def test_lists(duel):
    from duel import catalog

    status, out, _ = duel("list")
    assert status == 0
    for name in ["recipes", *catalog.FAMILIES, *catalog.recipes()]:
        assert name in out
    _, out, _ = duel("list", "networks", "dcgan")
    assert "width: int (default 64)" in out
    assert "Radford" in out
    assert duel("list", "recipes", "dcgan")[1].startswith("# DCGAN")


def test_data_check(duel, tmp_path):
    folder = tmp_path / "images" / "cats"
    folder.mkdir(parents=True)
    Image.new("RGB", (10, 12), "red").save(folder / "a.png")
    Image.new("RGB", (10, 12), "red").save(folder / "b.png")
    Image.new("L", (9, 9)).save(folder / "c.png")
    status, out, _ = duel("data", "check", "images")
    assert status == 0
    for expected in ("3 usable", "10×12", "RGB", "cats", "a.png"):
        assert expected in out
    (folder / "broken.jpg").write_bytes(b"nothing")
    status, out, _ = duel("data", "check", "images")
    assert status == 1
    assert "broken.jpg" in out
    report = json.loads(duel("data", "check", "images", "--json")[1])
    assert report["usable"] == 3
    assert duel("data", "check", "missing")[0] == 2
