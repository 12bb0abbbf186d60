"""A run that cannot be lost: whatever breaks, a good checkpoint is left and training goes on from it.

`make soak` does the same with more of everything.
"""

import contextlib
import errno
import json
import math
import mmap
import os
import random
import re
import shutil
from io import StringIO
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from soak import disk, faults, fuzz
from soak import runs as small
from soak.report import Report
from soak.targets import Target
from tiny import command

import duel
from duel import checkpoint, io, loop, pictures, session
from duel import run as run_folders
from duel import runs as lists
from duel.errors import CheckpointError, DuelError, RecipeError, RunError
from duel.optimizers._base import Optimizer
from duel.options import options
from duel.recipe import Schedule


@pytest.fixture(autouse=True)
def no_curves(monkeypatch):
    """Drawing them takes longer than training so small a network."""
    monkeypatch.setattr(pictures, "curves", lambda events: Image.new("L", (9, 9)))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of ten steps with the checkpoints 5 and 10, which no test changes; beside it one of fifteen."""
    folder = tmp_path_factory.mktemp("trained")
    for name, steps in (("run", 10), ("whole", 15)):
        small.train(folder / name, steps)
    return folder


@pytest.fixture
def run(trained, tmp_path):
    """A copy of the run that may be damaged."""
    return shutil.copytree(trained / "run", tmp_path / "run")


@pytest.fixture
def whole(trained):
    """What step 15 holds in a run that nothing happened to."""
    return small.content(trained / "whole")


@pytest.fixture
def duel_command(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: command(capsys, monkeypatch, *arguments)


def flip(file, at=-1, mask=1):
    content = bytearray(file.read_bytes())
    content[at] ^= mask
    file.write_bytes(content)


def place(run, step):
    return run / "checkpoints" / checkpoint.folder_name(step)


def warnings(events):
    return [event["message"] for event in events if event["event"] == "warning"]


# ---------------------------------------------------------------- faults while writing


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return faults.Scene(tmp_path_factory.mktemp("scene"))


@pytest.mark.parametrize(("act", "every"), [("short", 1), ("short-crash", 3)])
def test_a_fault_at_any_call_of_a_checkpoint_leaves_the_old_or_the_new_one(scene, act, every):
    calls = scene.calls()
    assert {"write", "fsync", "replace", "mkdir", "rmdir", "close"} <= set(calls)
    for at, call in list(enumerate(calls))[::every]:
        assert scene.what_is_wrong(at, act, take_up=False) is None, f"{at}: {call}"


@pytest.mark.parametrize(
    ("act", "at"), [("ENOSPC", 3), ("dead", 20), ("crash", 45), ("crash", 50), ("crash", 58)]
)
def test_a_run_is_taken_up_after_a_fault_and_ends_as_it_would_have(scene, act, at):
    assert scene.what_is_wrong(at, act, take_up=True) is None


def test_a_file_is_synced_before_it_gets_its_name_and_the_folder_after(tmp_path):
    with faults.injected() as seen:
        io.write_atomic(tmp_path / "file", b"content")
    assert seen.calls == ["open", "write", "fsync", "close", "replace", "open", "fsync"]


@pytest.fixture(scope="module")
def beginning(tmp_path_factory):
    return faults.Beginning(tmp_path_factory.mktemp("beginning"))


@pytest.mark.parametrize("act", ["crash", "dead"])
def test_a_run_folder_whose_making_was_cut_short_is_made_by_the_same_command(beginning, act):
    for at in range(0, len(beginning.calls()), 7):
        assert beginning.what_is_wrong(at, act) is None, at


def test_a_folder_with_anything_else_in_it_is_still_refused(tmp_path):
    path = tmp_path / "run"
    small.train(path, 6)
    (path / "recipe.toml").unlink()
    with pytest.raises(RunError, match="holds other files and no run"):
        small.train(path, 6)
    assert place(path, 5).is_dir()


def test_an_event_that_was_cut_does_not_swallow_the_next(tmp_path):
    path = tmp_path / "events.jsonl"
    io.append_line(path, {"step": 1})
    with faults.injected(1, "short"), pytest.raises(OSError, match="No space left"):
        io.append_line(path, {"step": 2})
    io.append_line(path, {"step": 3})
    assert [line["step"] for line in io.read_lines(path)] == [1, 3]


# ---------------------------------------------------------------- damage


def test_a_byte_flipped_anywhere_is_found_and_the_checkpoint_before_is_used(run):
    rng = random.Random(0)
    for file in sorted(place(run, 10).iterdir()):
        original = file.read_bytes()
        for _ in range(12):
            flip(file, rng.randrange(len(original)), rng.randrange(1, 256))
            step, wrong = duel.load(run).newest_whole()
            assert step == 5, file.name
            assert len(wrong) == 1
            assert "\n" not in wrong[0]
            file.write_bytes(original)
    assert duel.load(run).newest_whole() == (10, [])


def test_a_file_cut_anywhere_or_missing_is_found(run):
    rng = random.Random(1)
    for file in sorted(place(run, 10).iterdir()):
        original = file.read_bytes()
        for length in (0, 1, len(original) - 1, *(rng.randrange(len(original)) for _ in range(8))):
            file.write_bytes(original[:length])
            assert duel.load(run).newest_whole()[0] == 5, (file.name, length)
        file.unlink()
        assert duel.load(run).newest_whole()[0] == 5, file.name
        file.write_bytes(original)
    assert duel.load(run).newest_whole() == (10, [])


def test_a_file_that_does_not_belong_there_changes_nothing(run, trained):
    (place(run, 10) / "zzz.safetensors").write_bytes(b"stranger")
    (run / "checkpoints" / "00000011").write_text("no folder")
    assert small.content(run) == small.content(trained / "run")


@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "folder", "empty"])
def test_a_damaged_newest_checkpoint_is_set_aside_and_the_run_ends_as_it_would_have(run, whole, damage):
    file = place(run, 10) / ("manifest.json" if damage == "folder" else "optimizers.safetensors")
    if damage == "flip":
        flip(file)
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:-9])
    elif damage in ("gone", "folder"):
        file.unlink()
        if damage == "folder":
            file.mkdir()
    else:
        shutil.rmtree(file.parent)
        file.parent.mkdir()
    with duel.train(resume=run, steps=15) as going:
        events = list(going)
    assert [event["step"] for event in events if event["event"] == "start"] == [5]
    (said,) = warnings(events)
    assert said.endswith("set aside, going on from step 5")
    assert warnings(duel.load(run).events()) == [said]
    assert (run / "checkpoints" / "00000010.damaged").is_dir()
    assert small.content(run, 15) == whole
    assert [event["step"] for event in duel.load(run).events("step")] == list(range(1, 16))


def test_when_all_are_damaged_it_is_one_sentence_and_nothing_is_touched(run, duel_command):
    for step in (5, 10):
        flip(place(run, step) / "generator.safetensors")
    before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file() and file.name != ".lock"}
    status, out, err = duel_command("train", "--resume", "run", "--steps", 15)
    assert (status, out) == (1, "")
    assert "no checkpoint of run can be read, so it cannot be taken up; the newest: " in err
    assert err.count("\n") == 1
    assert {file: file.read_bytes() for file in before} == before
    with pytest.raises(CheckpointError):
        duel.train(resume=run, steps=15)


def contents(run):
    return {
        path: path.is_file() and path.read_bytes() for path in sorted(run.rglob("*")) if path.name != ".lock"
    }


@pytest.fixture
def unreadable(monkeypatch):
    """Make the reading of files and folders of a name fail; an empty name mends it."""
    read_bytes, scandir = Path.read_bytes, os.scandir

    def fail(name, number):
        def checked(path):
            if os.path.basename(str(path)) == name:
                raise OSError(number, os.strerror(number), str(path))

        monkeypatch.setattr(Path, "read_bytes", lambda path: checked(path) or read_bytes(path))
        monkeypatch.setattr(os, "scandir", lambda path=".": checked(path) or scandir(path))

    return fail


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.EMFILE], ids=errno.errorcode.get)
@pytest.mark.parametrize("name", ["manifest.json", "state.json", "optimizers.safetensors", "checkpoints"])
def test_what_cannot_be_read_at_the_moment_is_not_set_aside(
    run, whole, duel_command, unreadable, name, number
):
    before = contents(run)
    unreadable(name, number)
    status, out, err = duel_command("train", "--resume", "run", "--steps", 15)
    unreadable("", number)
    assert (status, out) == (1, "")
    assert re.fullmatch(
        rf"duel: run/checkpoints\S* \({os.strerror(number)}\) cannot be read, .*: try again\n", err
    )
    assert name in err
    assert contents(run) == before
    assert small.train(run, 15)[0]["step"] == 10
    assert small.content(run) == whole


def test_a_damaged_one_stays_in_its_place_where_the_one_before_cannot_be_read(run, monkeypatch):
    flip(place(run, 10) / "state.json")
    before, read_bytes = contents(run), Path.read_bytes

    def failing(path):
        if path.parent.name == "00000005":
            raise OSError(errno.EIO, "Input/output error")  # as a read says it: without a name
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", failing)
    with pytest.raises(CheckpointError, match=r"00000005 \(Input/output error\) cannot be read"):
        duel.train(resume=run, steps=15)
    monkeypatch.undo()
    assert contents(run) == before


def test_a_checkpoint_is_verified_before_older_ones_go(tmp_path, monkeypatch):
    save = checkpoint.save

    def badly(folder, step, tensors, state):
        path = save(folder, step, tensors, state)
        if step == 10:
            flip(path / "discriminator.safetensors")
        return path

    monkeypatch.setattr(checkpoint, "save", badly)
    with pytest.raises(CheckpointError, match="does not match its checksum"):
        small.train(tmp_path / "run", 15, **{"checkpoint.keep": 1})
    monkeypatch.undo()
    assert duel.load(tmp_path / "run").newest_whole()[0] == 5


@pytest.mark.parametrize("last", [5, None])
def test_a_checkpoint_that_run_json_does_not_know_yet_is_used(run, whole, last):
    duel.load(run).update_state(state="running", last=last)
    with duel.train(resume=run, steps=15) as going:
        assert next(going)["step"] == 10
    small.train(run, 15)
    assert small.content(run) == whole


def test_a_run_killed_between_its_last_checkpoint_and_its_end_gets_its_end(run):
    it = duel.load(run)
    it.update_state(state="running")
    it.drop_events_after(10)
    (run / "film.png").unlink()
    events = small.train(run, 10)
    assert [event["event"] for event in events] == ["start", "end"]
    assert it.state["state"] == "done"
    assert (run / "film.png").is_file()
    assert small.train(run, 10) == []


def test_a_kill_between_a_metric_and_the_choice_of_the_best_loses_neither(tmp_path):
    changes = {"evaluate.every": 5, "evaluate.metrics": ["modes"], "evaluate.samples": 64}
    small.train(tmp_path / "run", 10, **changes)
    it = duel.load(tmp_path / "run")
    best, logged = it.state["best"], list(it.events("metric"))
    it.update_state(state="running", best=None)
    small.train(tmp_path / "run", 10, **changes)
    assert it.state["best"] == best is not None
    assert list(it.events("metric")) == logged


# ---------------------------------------------------------------- files of other versions, and damaged ones


def of_format(file, number):
    file.write_text(file.read_text().replace('"format": 1', f'"format": {number}', 1))


OF_A_RUN = ("run.json", "provenance.json", "recipe.toml")
OF_A_CHECKPOINT = ("manifest.json", "state.json")


@pytest.mark.parametrize("number", [0, 2])
@pytest.mark.parametrize("name", [*OF_A_RUN, *OF_A_CHECKPOINT])
def test_another_format_is_refused_by_name_and_nothing_is_touched(run, duel_command, name, number):
    file = (run if name in OF_A_RUN else place(run, 10)) / name
    if name == "recipe.toml":
        file.write_text(f"format = {number}\n{file.read_text()}")
    elif name == "manifest.json":
        body = file.read_bytes()[: -checkpoint._SEAL_LENGTH].replace(b'"format": 1', b'"format": %d' % number)
        file.write_bytes(body + checkpoint._seal(body))
    else:
        of_format(file, number)
        if name in OF_A_CHECKPOINT:
            sealed_again(file.parent)
    before = contents(run)
    status, out, err = duel_command("train", "--resume", "run", "--steps", 12)
    assert out == ""
    assert status in (1, 2)
    assert re.fullmatch(
        rf"duel: \D*(00000010)?\D*{name} has format {number}; this version reads format 1\n", err
    )
    assert contents(run) == before
    (listed,) = lists.listed(run.parent)
    assert listed.state == ("unreadable" if name in OF_A_RUN else "done")


def test_every_file_of_a_run_that_says_its_format_is_among_those(run):
    """A new file with a format must get its refusal, too; what only lists events has none."""
    said = {path.name for path in run.rglob("*.json") if '"format": 1' in path.read_text()}
    assert said == {*OF_A_RUN, *OF_A_CHECKPOINT} - {"recipe.toml"}


def sealed_again(folder):
    files = {file.name: file.read_bytes() for file in folder.iterdir() if file.name != "manifest.json"}
    (folder / "manifest.json").write_bytes(checkpoint._manifest(files))


def test_a_checkpoint_of_the_future_is_refused_by_name(run):
    folder = place(run, 10)
    of_format(folder / "state.json", 2)
    sealed_again(folder)
    with pytest.raises(
        CheckpointError, match=r"00000010/state\.json has format 2; this version reads format 1"
    ):
        checkpoint.load(folder)
    body = (folder / "manifest.json").read_bytes()[: -checkpoint._SEAL_LENGTH]
    body = body.replace(b'"format": 1', b'"format": 3')
    (folder / "manifest.json").write_bytes(body + checkpoint._seal(body))
    with pytest.raises(CheckpointError, match="has format 3; this version reads format 1"):
        checkpoint.verify(folder)


@pytest.mark.parametrize(
    ("files", "state"),
    [
        ('{"a\\u0000b": {"bytes": 1, "sha256": ""}}', "{}"),
        ('{"state.json": []}', "{}"),
        ("[]", "{}"),
        ("7", "{}"),
        (None, "[]"),
        (None, "7"),
        (None, "[" * 100_000),
    ],
)
def test_a_manifest_with_a_right_seal_and_wrong_content_is_a_checkpoint_error(run, files, state):
    folder = place(run, 10)
    (folder / "state.json").write_text(state)
    sealed_again(folder)
    if files is not None:
        body = f'{{"format": 1, "files": {files}'.encode()
        (folder / "manifest.json").write_bytes(body + checkpoint._seal(body))
    with pytest.raises(CheckpointError):
        checkpoint.load(folder)


@pytest.mark.parametrize("content", ["[" * 100_000, "{" * 5, "[1]", "\x00", "9" * 5000])
def test_json_that_is_none_is_our_own_error_and_lines_of_it_are_left_out(tmp_path, content):
    file = tmp_path / "file"
    file.write_text(content)
    with pytest.raises(DuelError):
        io.read_json(file)
    file.write_text('{"step": 1}\n' + content + '\n{"step": 2}\n')
    assert [line["step"] for line in io.read_lines(file)] == [1, 2]


def test_damaged_lines_of_the_log_do_not_keep_a_run_from_going_on(run, whole):
    for name in ("events.jsonl", "metrics.jsonl"):
        with open(run / name, "a") as file:
            file.write(
                '{"event": "step"}\n{"step": "x"}\n{"step": null, "event": 3}\n{}\n' + "[" * 99_999 + "\n"
            )
    small.train(run, 15)
    assert small.content(run) == whole
    assert all(isinstance(event["step"], int) for event in duel.load(run).events())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
PROVENANCE = st.fixed_dictionaries(
    {"format": st.just(1)},
    optional={
        "data": JSON
        | st.fixed_dictionaries(
            {"spec": JSON | st.fixed_dictionaries(dict.fromkeys(("kind", "shape", "classes", "scale"), JSON))}
        )
    },
)


class Told(run_folders.Run):
    """A run whose provenance is given."""

    provenance = None

    def __init__(self, provenance):
        self.provenance, self.path = provenance, Path("run")


@settings(max_examples=40, deadline=None)
@given(PROVENANCE)
def test_whatever_the_provenance_says_the_spec_is_there_or_a_run_error(value):
    with contextlib.suppress(RunError):
        assert Told(value).spec


def planted(data):
    """A reader with a fault behind two doors, each of which a blind guess opens once in 256."""
    if data[:1] == b"\x7f":
        checksum = sum(data)
        if data[1:2] == b"\x80":
            raise KeyError(checksum)
    raise DuelError("refused")


def test_the_fuzzer_of_the_soak_finds_what_is_planted():
    target = Target([b"sound"], planted, (__file__,), 1.0)
    with mmap.mmap(-1, 1 << 16) as shared:
        result = fuzz.fuzz(target, 12_000, 1, shared, limit=60)
    (trouble,) = result["found"]
    assert trouble.startswith("KeyError at test_reliability.py")
    assert result["found"][trouble][:2] == b"\x7f\x80"
    assert result["corpus"] >= 2


# ---------------------------------------------------------------- disks


def test_a_full_disk_is_one_sentence_and_the_run_goes_on_when_there_is_room(
    tmp_path, trained, whole, duel_command
):
    try:
        with disk.small_disk(tmp_path / "disk", 1 << 20) as small_disk:
            path = shutil.copytree(trained / "run", small_disk / "run")
            for room in (0, 20_000, 50_000):
                filler = disk.fill(small_disk, room)
                status, out, err = duel_command("train", "--resume", path, "--steps", 15, "--quiet")
                filler.unlink()
                assert (status, out) == (1, "")
                assert err.startswith("duel: No space left on device")
                assert err.endswith("; make room, then go on with --resume\n")
                assert err.count("\n") == 1
                assert small.content(path) in (small.content(trained / "run"), whole)
            status, _, err = duel_command("train", "--resume", path, "--steps", 15, "--quiet")
            assert (status, err) == (0, "")
            assert small.content(path) == whole
            disk.read_only(small_disk, True)
            status, _, err = duel_command("train", "--resume", path, "--steps", 20, "--quiet")
            assert (status, err.count("\n")) == (2, 1)
            assert "cannot be written (Read-only file system)" in err
            assert duel_command("runs", small_disk)[0] == 0
            disk.read_only(small_disk, False)
    except disk.NoMount as reason:
        pytest.skip(f"no small disk here: {reason}")


@pytest.mark.parametrize(
    ("user", "mount", "reason"),
    [
        (1000, None, "only root may mount a tmpfs: run it as root to try them"),
        (0, CompletedProcess((), 32, "", "mount: denied.\n  See dmesg.\n"), "mount: denied."),
        (0, FileNotFoundError(errno.ENOENT, "No such file", "mount"), "[Errno 2] No such file: 'mount'"),
    ],
    ids=["user", "refused", "no command"],
)
def test_where_no_small_disk_may_be_mounted_the_soak_says_skip_and_why(
    tmp_path, monkeypatch, capsys, user, mount, reason
):
    def run(command, **_):
        if isinstance(mount, OSError):
            raise mount
        return mount

    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(disk.subprocess, "run", run)
    report = Report()
    disk.main(report, tmp_path, 8192)
    said = "SKIP a disk that fills up, and one that may only be read: "
    assert capsys.readouterr().out == f"{said}{reason}\n"
    assert report.failed == []


@pytest.mark.parametrize(
    ("play_step", "kind"),
    [
        (lambda recipe, now: np.empty(1 << 60, np.uint8), MemoryError),
        (lambda recipe, now: torch.empty(1 << 60, dtype=torch.uint8), RuntimeError),
    ],
    ids=["numpy", "torch"],
)
def test_memory_that_runs_out_is_one_sentence_and_the_run_goes_on(
    run, whole, duel_command, monkeypatch, play_step, kind
):
    engine = loop.engine_of(duel.load(run).recipe)
    with pytest.raises(kind):
        play_step(None, None)
    real = engine.play_step
    monkeypatch.setattr(
        engine, "play_step", lambda it, now: play_step(it, now) if now.step == 12 else real(it, now)
    )
    status, out, err = duel_command("train", "--resume", "run", "--steps", 15, "--quiet")
    assert (status, out) == (1, "")
    assert err.startswith("duel: memory ran out: ask for less at once")
    assert err.count("\n") == 1
    monkeypatch.setattr(engine, "play_step", real)
    small.train(run, 15)
    assert small.content(run) == whole


# ---------------------------------------------------------------- losses that are no numbers


@pytest.fixture
def sick(monkeypatch):
    """Make the loss NaN in so many passes through a step; gives the learning rates at every step."""
    engine = loop.engine_of(tiny.resolved("gan"))
    real = engine.play_step

    def at(step, times):
        rates, left = [], [times]

        def play_step(it, now):
            numbers = dict(real(it, now))
            players = (now.optimizer_g, now.optimizer_d)
            rates.append((now.step + 1, *(player.param_groups[0]["lr"] for player in players)))
            if now.step + 1 == step and left[0]:
                left[0] -= 1
                numbers["loss_g"] = torch.tensor(math.nan)
            return numbers

        monkeypatch.setattr(engine, "play_step", play_step)
        return rates

    return at


ROLLBACK = {
    "on_nonfinite": "rollback",
    "optimizer.generator.lr": 0.008,
    "optimizer.discriminator.lr": {"values": [0.004, 0.002], "at": [0, 20]},
}


def test_a_rollback_goes_back_and_halves_both_rates_also_scheduled_ones(tmp_path, sick):
    rates = sick(7, times=2)
    path = tmp_path / "run"
    events = small.train(path, 10, **ROLLBACK)
    rates = rates[2:]  # the first two are the estimate's
    assert [step for step, *_ in rates] == [*range(1, 8), 6, 7, 6, 7, 8, 9, 10]
    schedule = Schedule(values=(0.004, 0.002), at=(0, 20))
    for number, (step, generator, discriminator) in enumerate(rates):
        halved = 0.5 ** (0 if number < 7 else 1 if number < 9 else 2)
        assert math.isclose(generator, 0.008 * halved)
        assert math.isclose(discriminator, schedule.value(step - 1) * halved)
    said = warnings(events)
    assert [message.endswith(f"back to step 5, with learning rates halved ({n} of at most 3 times)")
            for n, message in enumerate(said, 1)] == [True, True]  # fmt: skip
    assert warnings(duel.load(path).events()) == said
    assert [event["step"] for event in duel.load(path).events("step")] == list(range(1, 11))
    assert events[-1]["reason"] == "done"
    assert duel.load(path).state["halvings"] == 2
    assert duel.load(path).recipe.optimizer.generator.lr == 0.008


def test_the_halvings_survive_a_resume(tmp_path, sick):
    sick(7, times=1)
    small.train(tmp_path / "cut", 10, **ROLLBACK)
    small.train(tmp_path / "cut", 15, **ROLLBACK)
    sick(0, times=0)
    small.train(tmp_path / "other", 5, **ROLLBACK)
    duel.load(tmp_path / "other").update_state(halvings=1)
    rates = sick(0, times=0)
    small.train(tmp_path / "other", 15, **ROLLBACK)
    assert all(math.isclose(generator, 0.004) for _, generator, _ in rates[2:])
    assert small.content(tmp_path / "cut") == small.content(tmp_path / "other")


def test_after_so_many_rollbacks_the_run_stops_after_all(tmp_path, sick, duel_command):
    sick(7, times=99)
    path = tmp_path / "run"
    settings = small.settings(on_nonfinite="rollback", max_rollbacks=2)
    status, out, err = duel_command("train", "gan", "--out", "run", "--steps", 10, "--quiet", *settings)
    assert (status, out) == (1, "")
    lines = err.splitlines()
    assert [line.partition("(")[2][:16] for line in lines] == ["1 of at most 2 t", "2 of at most 2 t", ""]
    assert "loss_g is nan, at step 7: the training has diverged" in lines[2]
    it = duel.load(path)
    assert it.state | {"state": "nonfinite", "last": 5, "halvings": 2} == it.state
    assert len(warnings(it.events())) == 2
    found = json.loads((path / "findings.json").read_text())
    assert found["format"] == 1
    (finding,) = found["findings"]
    assert finding["evidence"] == [
        {"signal": "loss_g", "value": "nan", "threshold": "finite", "steps": [7]}
    ]  # fmt: skip
    assert finding["advice"][0]["set"]["optimizer.generator.lr"] == it.recipe.optimizer.generator.lr / 8


def test_a_rollback_before_any_checkpoint_goes_to_step_0(tmp_path, sick):
    rates = sick(3, times=1)
    events = small.train(tmp_path / "run", 6, **ROLLBACK)
    assert [step for step, *_ in rates[2:]] == [1, 2, 3, *range(1, 7)]
    assert "back to step 0, with" in warnings(events)[0]
    assert events[-1]["reason"] == "done"


def test_a_finding_names_the_tensor_and_the_step(tmp_path, monkeypatch):
    engine = loop.engine_of(tiny.resolved("gan"))
    real = engine.play_step

    def poisoned(it, now):
        numbers = real(it, now)
        if now.step == 4:
            with torch.no_grad():
                list(now.networks.discriminator.parameters())[2][0, 1] = math.inf
        return numbers

    monkeypatch.setattr(engine, "play_step", poisoned)
    events = small.train(tmp_path / "run", 10, **{"log.every": 100})
    (evidence,) = json.loads((tmp_path / "run" / "findings.json").read_text())["findings"][0]["evidence"]
    assert evidence["signal"].startswith("discriminator.")
    assert evidence["signal"].endswith(".weight")
    assert evidence["steps"] == [5]
    assert events[-1]["reason"] == "nonfinite"
    assert duel.load(tmp_path / "run").newest_whole() == (None, [])


@options
class Fixed(Optimizer):
    """An optimizer from outside that has no learning rate."""

    def build(self, parameters):
        raise AssertionError("it must be refused before it is built")

    def settings(self):
        return {}


def test_an_optimizer_without_a_rate_cannot_be_rolled_back(tmp_path):
    changes = {"optimizer.generator.name": f"{__name__}:Fixed", "on_nonfinite": "rollback"}
    with pytest.raises(RecipeError, match="Fixed has no option lr that a rollback could halve: use on_nonf"):
        duel.train("gan", out=tmp_path / "run", changes={**small.CHANGES, **changes}, allow_code=True)
    assert not (tmp_path / "run").exists()


# ---------------------------------------------------------------- weights of another run


def begin(out, other, steps=5, **changes):
    both = {**small.CHANGES, **changes}
    return duel.train("gan", out=out, steps=steps, changes=both, init_from=other)


def test_a_run_begins_with_anothers_weights_and_averages_and_says_so(run, tmp_path):
    path = tmp_path / "new"
    with begin(path, run, seed=3) as going:
        next(going)
        new, old = (duel.load(folder).load_checkpoint(step)[0] for folder, step in ((path, 0), (run, 10)))
    assert {"generator", "discriminator", "ema"} < set(old)
    for group in ("generator", "discriminator", "ema"):
        for name, tensor in old[group].items():
            assert torch.equal(new[group][name], tensor), name
    assert new["optimizers"] == {}
    told = duel.load(path).provenance["init_from"]
    assert told == {
        "run": str(run.resolve()), "step": 10, "sha256": duel.load(run).checkpoint_digest(10)
    }  # fmt: skip
    assert "init_from" not in duel.load(run).provenance


def test_without_an_average_there_the_weights_begin_the_average(tmp_path):
    small.train(tmp_path / "plain", 5, **{"ema.decay": 0.0})
    with begin(tmp_path / "new", tmp_path / "plain") as going:
        next(going)
        tensors, _ = duel.load(tmp_path / "new").load_checkpoint(0)
    for name, tensor in tensors["generator"].items():
        assert torch.equal(tensors["ema"][f"generator.{name}"], tensor)


def test_other_shapes_are_refused_in_one_sentence_with_nothing_written(run, duel_command, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    for changes in ({"latent__size": 4}, {"network__generator_hidden": [9]}):
        settings = small.settings(**changes)
        status, out, err = duel_command("train", "gan", "--out", "new", "--init-from", "run", *settings)
        assert (status, out) == (2, "")
        assert "the weights of run do not fit this recipe's networks" in err
        assert err.count("\n") == 1
    assert duel_command("train", "gan", "--out", "new", "--init-from", "nothing")[0] == 2
    assert sorted(tmp_path.rglob("*")) == before


def test_such_a_run_is_taken_up_and_the_same_command_goes_on(run, tmp_path):
    for name, cuts in (("whole", (12,)), ("resumed", (7, 12)), ("again", (7, 12))):
        for steps in cuts:
            path = tmp_path / name
            taken = name == "resumed" and steps == 12
            with duel.train(resume=path, steps=12) if taken else begin(path, run, steps) as going:
                list(going)
    assert small.content(tmp_path / "whole") == small.content(tmp_path / "resumed")
    assert small.content(tmp_path / "whole") == small.content(tmp_path / "again")
    with pytest.raises(RunError, match=r"began with .*run, now fresh weights were asked for"):
        small.train(tmp_path / "again", 12)
    with pytest.raises(RunError, match=r"began with fresh weights, now .* were asked for"):
        begin(run, tmp_path / "whole", 12)


def test_a_run_that_has_a_recipe_has_its_first_weights_too(run, tmp_path, monkeypatch):
    """Else a kill in between would leave a run that starts from fresh weights and says the contrary."""
    seen = []
    write = io.write_atomic

    def watched(path, content):
        if path.name == "recipe.toml":
            seen.append(sorted(entry.name for entry in (path.parent / "checkpoints").iterdir()))
        write(path, content)

    monkeypatch.setattr(io, "write_atomic", watched)
    with begin(tmp_path / "new", run):
        pass
    assert seen == [["00000000"]]


def test_a_rollback_of_such_a_run_goes_to_the_weights_it_began_with(run, tmp_path, sick):
    sick(3, times=1)
    with begin(tmp_path / "new", run, 4, **ROLLBACK) as going:
        events = list(going)
    assert "back to step 0" in warnings(events)[0]
    new, old = (
        duel.load(folder).load_checkpoint(step)[0] for folder, step in ((tmp_path / "new", 0), (run, 10))
    )
    assert torch.equal(new["generator"]["0.weight"], old["generator"]["0.weight"])


# ---------------------------------------------------------------- the list of runs


@pytest.fixture
def runs(trained, tmp_path):
    """One run in each state beneath `runs`, and the lock of the one that trains."""
    folder = tmp_path / "runs"
    states = {"done": "done", "cut": "interrupted", "sick": "nonfinite", "busy": "running", "dead": "running"}
    for name, state in states.items():
        duel.load(shutil.copytree(trained / "run", folder / name)).update_state(state=state)
    shutil.copytree(trained / "run", folder / "torn")
    (folder / "torn" / "run.json").write_text("{")
    (folder / "no-run").mkdir()
    lock = run_folders.Lock(folder / "busy")
    lock.sign()
    yield folder
    lock.release()


def test_runs_are_listed_with_state_and_size(runs, duel_command):
    status, out, err = duel_command("runs", "--json")
    assert (status, err) == (0, "")
    listed = {each["name"]: each for each in json.loads(out)["runs"]}
    assert {name: each["state"] for name, each in listed.items()} == {
        "busy": "training", "cut": "interrupted", "dead": "killed", "done": "done", "sick": "nonfinite",
        "torn": "unreadable",
    }  # fmt: skip
    assert (listed["done"]["step"], listed["done"]["steps"], listed["done"]["recipe"]) == (10, 10, "gan")
    assert listed["done"]["data"] == "ring"
    for name, each in listed.items():
        assert each["size"] == sum(file.stat().st_size for file in (runs / name).rglob("*") if file.is_file())
    status, out, _ = duel_command("runs")
    assert status == 0
    for name, each in listed.items():
        assert any(name in line and each["state"] in line for line in out.splitlines())
    assert "6 runs, " in out
    assert "no-run" not in out


def test_a_file_that_goes_while_runs_are_listed_is_no_error(runs, duel_command, monkeypatch):
    lstat = Path.lstat

    def gone(path):
        if path.name == "manifest.json":
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))
        return lstat(path)

    monkeypatch.setattr(Path, "lstat", gone)
    assert duel_command("runs")[0] == 0


def test_a_run_is_removed_when_somebody_says_yes(runs, duel_command, monkeypatch):
    monkeypatch.setattr("sys.stdin", StringIO("n\n"))
    status, out, err = duel_command("runs", "--delete", "done")
    assert status == 2
    assert "remove runs/done for good?" in out + err
    assert "was kept: nobody said yes" in err
    assert (runs / "done").is_dir()
    monkeypatch.setattr("sys.stdin", StringIO("y\n"))
    assert duel_command("runs", "--delete", "done")[0] == 0
    assert not (runs / "done").exists()
    assert duel_command("runs", "--delete", "cut", "--delete", "torn", "--yes")[0] == 0
    assert sorted(entry.name for entry in runs.iterdir()) == ["busy", "dead", "no-run", "sick"]


def test_what_is_trained_or_no_run_or_elsewhere_is_not_removed(runs, duel_command, tmp_path, trained):
    shutil.copytree(trained / "run", tmp_path / "outside")
    (runs / "link").symlink_to(tmp_path / "outside")
    before = sorted(tmp_path.rglob("*"))
    for name, expected in {
        "busy": "is being trained by process",
        "no-run": "there is no run 'no-run'",
        "../outside": "there is no run '../outside'",
        "link": "is a link to",
        str(tmp_path / "outside"): "there is no run",
        ".": "there is no run",
        "..": "there is no run",
        "": "there is no run",
    }.items():
        status, _, err = duel_command("runs", "--delete", name, "--yes")
        assert status == 2, name
        assert expected in err
        assert err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before
    assert duel_command("runs", "nothing")[0] == 2


def test_a_resume_sweeps_every_fragment(run):
    for file in (run / ".run.json.7.part", run / "samples" / ".x.png.7.part"):
        file.write_text("half")
    (run / "checkpoints" / ".00000015.7.part").mkdir()
    small.train(run, 12)
    assert not list(run.rglob(".*.part"))


def test_a_lock_goes_with_its_process(run):
    assert not run_folders.held(run)
    held = session._take_up(run, {"steps": 12}, False)
    assert run_folders.held(run)
    with pytest.raises(RunError, match="is being trained by process"):
        duel.train(resume=run)
    with held:
        list(held)
    assert not run_folders.held(run)
