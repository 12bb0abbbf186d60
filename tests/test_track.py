"""A run's events for other programs: nothing lost, nothing twice, whatever is killed."""

import csv
import json
import math
import os
import sys
from io import BytesIO

import pytest
import tiny
from PIL import Image

from duel import track
from duel.errors import InputError, RunError
from duel.run import Run, held
from duel.track import Begun, Record

CHANGES = {
    "signals.every": 2, "evaluate.every": 5, "evaluate.metrics": ["kid"], "evaluate.features": "pixels",
    "evaluate.samples": 50,
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of ten steps with losses, signals, metrics, samples and findings."""
    path = tmp_path_factory.mktemp("runs") / "run"
    tiny.train(path, steps=10, changes=CHANGES, data="digits")
    return path


@pytest.fixture
def run(trained, tmp_path):
    """A copy, to be changed."""
    import shutil

    return Run(shutil.copytree(trained, tmp_path / "run"))


def recorded(run, **options):
    return [each for each in track.records(run, **options) if isinstance(each, Record)]


class Kept:
    """A tracker that keeps what it gets; `made` lists all that were made."""

    made: list["Kept"]

    def __init__(self, out):
        self.records, self.flushed, self.closed = [], 0, False
        type(self).made.append(self)

    def add(self, record):
        self.records.append(record)

    def flush(self):
        self.flushed = len(self.records)

    def close(self):
        self.closed = True


@pytest.fixture
def kept():
    """Such a class, with a list of its own."""
    return type("Own", (Kept,), {"made": []})


# ---------------------------------------------------------------- records


def test_every_number_of_the_log_is_in_the_records(run):
    found = {}
    for record in recorded(run):
        for name, value in record.scalars.items():
            assert (record.step, name) not in found
            found[record.step, name] = value
    wanted = {}
    for event in run.events():
        step = event["step"]
        if event["event"] == "step":
            wanted |= {
                (step, f"train/{k}"): v for k, v in event.items() if k not in ("event", "step", "time")
            }
        elif event["event"] == "metric":
            wanted[step, f"metric/{event['name']}"] = event["value"]
            wanted |= {(step, f"metric/{event['name']}/{end}"): event[end] for end in ("low", "high")}
        elif "values" in event:
            for key, value in event["values"].items():
                inner = (
                    value
                    if isinstance(value, dict)
                    else dict(enumerate(value))
                    if isinstance(value, list)
                    else None
                )
                parts = {f"/{k}": v for k, v in inner.items()} if inner is not None else {"": value}
                wanted |= {(step, f"signal/{key}{end}"): v for end, v in parts.items() if v is not None}
    assert found == wanted
    assert {name.partition("/")[0] for _, name in found} == {"train", "signal", "metric"}


def test_samples_findings_and_the_recipe_are_in_the_records(run):
    found = recorded(run)
    images = {record.step: record.images["samples"] for record in found if "samples" in record.images}
    assert images == {step: file.read_bytes() for step, file in run.grids()}
    texts = {name: text for record in found for name, text in record.texts.items()}
    findings = {event["name"] for event in run.events("finding")}
    assert findings
    assert {name for name in texts if name.startswith("finding/")} == {f"finding/{name}" for name in findings}
    assert texts["recipe"].splitlines()[0] == "    " + (run.path / "recipe.toml").read_text().splitlines()[0]
    assert texts["end"] == "done"
    assert found[-1].images["film"].startswith(b"\x89PNG")


def test_the_time_goes_on_over_pauses(run):
    lines = [
        {"event": "start", "step": 0, "time": 0.5},
        {"event": "step", "step": 1, "loss_d": 1.0, "time": 10.0},
        {"event": "start", "step": 1, "time": 0.5},
        {"event": "step", "step": 2, "loss_d": 1.0, "time": 3.0},
    ]
    run.events_file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    first, *_, last = (record.time for record in recorded(run) if record.scalars)
    assert last - first == pytest.approx(3.0)


def test_what_is_damaged_or_hostile_is_left_out(run):
    (run.samples_folder / "00000005.png").write_bytes(b"no picture")
    (run.samples_folder / "00000010.png").unlink()
    lines = [
        b'{"event": "step", "step": 1, "loss_d": NaN, "time": 0}',
        b'{"event": "step", "step": -1, "loss_d": 1}',
        b'{"event": "step", "step": 1e3}',
        b"[" * 99_999,
        b"\xff\xfe",
        b"5",
        b'{"event": "sample", "step": 5, "path": "/etc/passwd"}',
        b'{"event": "sample", "step": 99999999999999999999999999}',
        b'{"event": "sample", "step": "../../x"}',
        b'{"event": "metric", "step": 2, "name": "kid", "better": "lower", "value": NaN, "low":1,"high":NaN}',
        b'{"event": "warning", "step": 3, "message": "<img src=x> ![x](http://evil.example) "}',
        b'{"event": "step", "step": 4, "loss_d": 2.5, "time": 1}',
        b'{"event": "step", "step": 5, "loss_d": 3.5, "ti',
    ]
    run.events_file.write_bytes(b"\n".join(lines))
    found = [(record.step, dict(record.scalars), dict(record.images)) for record in recorded(run)]
    assert found == [(2, {"metric/kid/low": 1.0}, {}), (3, {}, {}), (4, {"train/loss_d": 2.5}, {})]
    (text,) = (record.texts["warning"] for record in recorded(run) if record.texts)
    assert not set("<>![]/") & set(text)


# ---------------------------------------------------------------- following


def test_what_is_logged_meanwhile_follows_and_a_half_line_waits(run, kept):
    lines = run.events_file.read_bytes().splitlines(keepends=True)
    run.events_file.write_bytes(b"".join(lines[:6]) + lines[6][:10])
    waits = iter([lines[6][10:], b"".join(lines[7:]), b""])
    seen = []

    def goes_on():
        tracker = kept.made[-1]
        seen.append(len(tracker.records))
        assert tracker.flushed == len(tracker.records)
        more = next(waits, None)
        if more is None:
            return False
        with run.events_file.open("ab") as file:
            file.write(more)
        return True

    count = track.mirror(run, kept, run.path, goes_on)
    (tracker,) = kept.made
    assert tracker.records == recorded(run)
    assert (count, tracker.closed) == (len(tracker.records), True)
    assert len(seen) == 4
    assert seen[0] < seen[1] < seen[2] == seen[3]


def test_a_run_that_is_taken_up_begins_anew(run, kept):
    taken_up = []

    def goes_on():
        if taken_up:
            return False
        taken_up.append(run.drop_events_after(5))
        run.record({"event": "step", "step": 6, "loss_d": 0.25, "time": 1.0})
        return True

    track.mirror(run, kept, run.path, goes_on)
    first, second = kept.made
    assert first.closed
    assert max(record.step for record in first.records) == 10
    assert second.records == recorded(run)
    assert second.records[-1].scalars == {"train/loss_d": 0.25}


def test_a_run_that_vanishes_ends_it(run, kept):
    def goes_on():
        run.events_file.unlink(missing_ok=True)
        return (
            len(kept.made[-1].records) > 0
            and not kept.made[-1].closed
            and not gone.append(1)
            and len(gone) < 3
        )

    gone = []
    track.mirror(run, kept, run.path, goes_on)
    assert len(kept.made) == 1


def test_what_has_no_log_is_refused(run, kept):
    run.events_file.unlink()
    with pytest.raises(RunError, match=r"has no events\.jsonl"):
        track.mirror(run, kept, run.path)
    assert not kept.made


# ---------------------------------------------------------------- CSV


def rows(file):
    with file.open(newline="") as opened:
        return list(csv.DictReader(opened))


def test_the_table_has_a_line_for_each_number_once(run, tmp_path):
    for _ in range(2):
        track.mirror(run, track.load("csv"), tmp_path / "out")
    found = rows(tmp_path / "out" / "scalars.csv")
    wanted = [(str(r.step), name, value) for r in recorded(run) for name, value in r.scalars.items()]
    assert [(row["step"], row["name"], float(row["value"])) for row in found] == wanted


# ---------------------------------------------------------------- TensorBoard


@pytest.fixture
def board():
    """What TensorBoard itself reads of a folder."""
    pytest.importorskip("tensorboard", reason="the extra duel[track] is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def read(folder):
        return EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0, "tensors": 0}).Reload()

    return read


def scalars(read):
    return {(each.step, tag): each.value for tag in read.Tags()["scalars"] for each in read.Scalars(tag)}


def assert_holds(read, run):
    """All that the run's records hold, once."""
    wanted = {(r.step, name): value for r in recorded(run) for name, value in r.scalars.items()}
    found = scalars(read)
    assert found.keys() == wanted.keys()
    assert all(math.isclose(found[key], value, rel_tol=1e-6, abs_tol=1e-30) for key, value in wanted.items())
    assert sum(len(read.Scalars(tag)) for tag in read.Tags()["scalars"]) == len(wanted)
    grids = {step: file.read_bytes() for step, file in run.grids()}
    assert [(each.step, each.encoded_image_string) for each in read.Images("samples")] == sorted(
        grids.items()
    )


def test_tensorboard_reads_what_was_logged(run, board, tmp_path):
    out = tmp_path / "board"
    track.mirror(run, track.load("tensorboard"), out)
    read = board(out)
    assert_holds(read, run)
    (image, *_) = read.Images("samples")
    with Image.open(BytesIO(image.encoded_image_string)) as picture:
        assert (image.width, image.height) == picture.size
    texts = {tag: read.Tensors(tag) for tag in read.Tags()["tensors"]}
    assert {"recipe", "end"} < texts.keys()
    (finding,) = (tag for tag in texts if tag == f"finding/{run.findings()[0]['name']}")
    assert run.findings()[0]["severity"] in texts[finding][0].tensor_proto.string_val[0].decode()
    assert read.SummaryMetadata(finding).plugin_data.plugin_name == "text"


def test_a_tracker_that_is_killed_and_started_again_writes_nothing_twice(run, board, tmp_path):
    out, make = tmp_path / "board", track.load("tensorboard")
    for part in (0, 1, 7, 9999):
        tracker = make(out)
        for record in recorded(run)[:part]:
            tracker.add(record)
        tracker.flush()
        if part == 7:  # killed in the midst of a record
            file = next(out.iterdir())
            os.truncate(file, file.stat().st_size - 5)
        tracker.close()
    assert sorted(file.stat().st_size > 0 for file in out.iterdir()) == [False, True]
    assert_holds(board(out), run)
    track.mirror(run, make, out)
    assert_holds(board(out), run)


def test_a_tensorboard_that_is_open_forgets_what_a_new_start_replaces(run, board, tmp_path):
    out, make = tmp_path / "board", track.load("tensorboard")
    track.mirror(run, make, out)
    read = board(out)
    run.drop_events_after(5)
    run.record({"event": "step", "step": 6, "loss_d": 0.25, "time": 1.0})
    track.mirror(run, make, out)
    read.Reload()
    assert_holds(read, run)
    assert max(step for step, _ in scalars(read)) == 6


def test_our_own_reader_knows_the_names_again(run, board, tmp_path):
    from duel.foreign import records

    for _ in range(2):
        track.mirror(run, track.load("tensorboard"), tmp_path / "board")
    seen, _ = records(samples=None, log=tmp_path / "board", against=None, columns=None)
    wanted = {event["step"]: event for event in run.events("step")}
    assert {each["step"] for each in seen.steps} >= wanted.keys()
    for each in seen.steps:
        if each["step"] in wanted and "loss_d" in each:
            for name in ("loss_d", "loss_g", "d_real", "d_fake_before"):
                assert each[name] == pytest.approx(wanted[each["step"]][name], rel=1e-6)


def test_others_event_files_are_left_alone(run, board, tmp_path):
    (tmp_path / "events.out.tfevents.1.host").write_bytes(b"theirs")
    with pytest.raises(
        InputError, match=r"holds events.out.tfevents.1.host of another program: name a folder"
    ):
        track.mirror(run, track.load("tensorboard"), tmp_path)
    assert (tmp_path / "events.out.tfevents.1.host").read_bytes() == b"theirs"


def test_a_damaged_picture_is_left_out(run, board, tmp_path):
    (run.samples_folder / "00000005.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    track.mirror(run, track.load("tensorboard"), tmp_path / "board")
    assert [each.step for each in board(tmp_path / "board").Images("samples")] == [0, 10]


def test_without_tensorboard_the_error_names_the_extra(run, monkeypatch, tmp_path):
    for name in [name for name in sys.modules if name.partition(".")[0] == "tensorboard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(
        InputError, match=r"tensorboard, which is not installed .*pip install 'duel\[track\]'"
    ):
        track.mirror(run, track.load("tensorboard"), tmp_path / "board")
    assert not (tmp_path / "board").exists()


# ---------------------------------------------------------------- the command


@pytest.fixture
def command(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: tiny.command(capsys, monkeypatch, *arguments)


def test_the_command_writes_beside_the_run_and_says_where(run, command):
    status, out, err = command("track", "run", "--to", "csv")
    assert (status, err) == (0, "")
    assert out == f"run/csv: {len(recorded(run))} records of run\n"
    assert rows(run.path / "csv" / "scalars.csv")
    status, out, _ = command("track", "run", "--to", "csv", "--follow", "--out", "elsewhere")
    assert status == 0  # nobody trains there
    assert rows(run.path.parent / "elsewhere" / "scalars.csv") == rows(run.path / "csv" / "scalars.csv")


def test_following_ends_with_the_training(run, command, monkeypatch):
    from duel.cli import tracking

    waited = []
    monkeypatch.setattr(tracking.time, "sleep", waited.append)
    monkeypatch.setattr("duel.run.held", lambda path: held(path) or len(waited) < 3)
    assert command("track", "run", "--to", "csv", "--follow")[0] == 0
    assert waited == [2, 2, 2]


def test_a_tracker_from_outside_is_a_class_and_nothing_more(run, command, monkeypatch, tmp_path):
    (tmp_path / "mine.py").write_text(
        "class Mine:\n"
        "    def __init__(self, out):\n"
        "        out.mkdir()\n"
        "        self.file = open(out / 'steps', 'w')\n"
        "    def add(self, record): print(record.step, file=self.file)\n"
        "    def flush(self): self.file.flush()\n"
        "    def close(self): self.file.close()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert command("track", "run", "--to", "mine:Mine")[0] == 0
    steps = [int(line) for line in (run.path / "mine" / "steps").read_text().split()]
    assert steps == [record.step for record in recorded(run)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--to", "tensorbord"), "there is no tracker 'tensorbord': did you mean 'tensorboard'?"),
        (("--to", "no_such_module:Class"), "the tracker 'no_such_module:Class' cannot be loaded"),
        (("--to", "json:Nothing"), "the tracker 'json:Nothing' cannot be loaded"),
        (("--to", "csv", "--out", "run/recipe.toml"), "--out run/recipe.toml cannot be written"),
    ],
)
def test_what_cannot_be_is_one_sentence(run, command, arguments, said):
    status, out, err = command("track", "run", *arguments)
    assert (status, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


def test_the_first_record_says_begun(run):
    first, *others = track.records(run)
    assert isinstance(first, Begun)
    assert not any(isinstance(each, Begun) for each in others)
