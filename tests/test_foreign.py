"""Records of other programs' trainings: their logs, folders of their samples, and what is found there."""

from __future__ import annotations

import json
import math
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import tiny
from PIL import Image

import duel
from duel import catalog, foreign, signals
from duel.datasets._base import Split
from duel.datasets.digits import Digits
from duel.diagnose import findings
from duel.errors import DataError, DuelError, InputError
from duel.foreign import event_file as files
from duel.foreign import finite
from duel.foreign import folders as places
from duel.foreign import log as logs
from duel.foreign import samples as looks
from duel.foreign import text as texts
from duel.foreign.copies import Neighbourhood
from duel.foreign.folders import Sample, step_of
from duel.foreign.images import Seen, decoded
from duel.foreign.names import meaning

MNIST = Path(os.environ.get("DUEL_DATA", "/nowhere")) / "mnist"

# ---------------------------------------------------------------- logs written here


def log_of(path, columns=None):
    found, notes = foreign.records(samples=None, log=path, against=None, columns=columns)
    return found, notes


def text(tmp_path, content, name="log.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def table(tmp_path, losses_d, losses_g=None, **more):
    """A CSV log with a row for each loss."""
    columns = {
        "step": range(len(losses_d)),
        "loss_d": losses_d,
        "loss_g": losses_g or [1.0] * len(losses_d),
        **more,
    }
    rows = [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    return text(tmp_path, "\n".join([",".join(columns), *rows]) + "\n")


def names(records):
    return [each["name"] for each in findings(records)]


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def part(number, content):
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def simple(tag, value):
    return part(1, tag.encode()) + b"\x15" + struct.pack("<f", value)


def event(step, *values):
    when = b"\x09" + struct.pack("<d", 1.7e9)
    return (
        when + b"\x10" + varint(step & (1 << 64) - 1) + part(5, b"".join(part(1, value) for value in values))
    )


def framed(content):
    head = struct.pack("<Q", len(content))
    return head + struct.pack("<I", slow_crc(head)) + content + struct.pack("<I", slow_crc(content))


def slow_crc(content):
    """CRC-32C bit by bit, masked: not the table that is tested."""
    value = 0xFFFFFFFF
    for byte in content:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    value ^= 0xFFFFFFFF
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF


VERSION = b"\x09" + struct.pack("<d", 1.7e9) + part(3, b"brain.Event:2")


def event_file(*events):
    return b"".join(map(framed, (VERSION, *events)))


def scalars(count=6):
    return [event(10 * n, simple("Loss/D", 0.5 + n), simple("Loss/G", 2.0 * n)) for n in range(count)]


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Loss_D", "loss_d"), ("d_loss", "loss_d"), ("lossD", "loss_d"), ("errD", "loss_d"),
        ("DLoss", "loss_d"), ("loss/D", "loss_d"), ("discriminator_loss", "loss_d"),
        ("critic loss", "loss_d"),
        ("netD/loss", "loss_d"), ("train/d_loss", "loss_d"), ("GAN/D/loss", "loss_d"),
        ("losses/disc", "loss_d"), ("d_loss_epoch", "loss_d"), ("train_loss_d", "loss_d"),
        ("discriminatorLoss", "loss_d"), ("disc cost", "loss_d"),
        ("G loss", "loss_g"), ("generator_loss", "loss_g"), ("errG", "loss_g"), ("Loss/G/loss", "loss_g"),
        ("D(x)", "d_real"), ("D_x", "d_real"), ("real_score", "d_real"), ("d_real", "d_real"),
        ("D(G(z))", "d_fake_before"), ("D_G_z1", "d_fake_before"), ("fake_score", "d_fake_before"),
        ("FID", "fid"), ("metrics/fid50k_full", "fid"), ("val/FID", "fid"), ("KID", "kid"),
        ("inception_score_mean", "is"),
        ("val/d_loss", None), ("d_loss_real", None), ("real/loss_D", None), ("loss", None),
        ("D_G_z2", None), ("d_accuracy", None), ("lr", None), ("", None), ("grad/loss_g", None),
        ("is_std", None), ("///", None),
    ],
)  # fmt: skip
def test_what_a_column_is_taken_for(name, expected):
    found = meaning(name)
    assert (found and found[0]) == expected


def test_the_steps_own_names_are_known():
    """What duel writes itself is understood."""
    for name in foreign.STEP_FIELDS:
        assert meaning(name) == (name, (0, 0))


# ---------------------------------------------------------------- tables


def test_the_tutorials_names_and_a_log_without_steps(tmp_path):
    """The names that the PyTorch tutorial prints, with D(G(z)) before and after in one cell."""
    path = text(
        tmp_path,
        "Epoch,Iter,Loss_D,Loss_G,D(x),D(G(z))\n"
        "[0/5],[0/3],1.5,3.0,0.4,0.48 / 0.02\n"
        "[0/5],[1/3],1.4,3.1,0.5,0.47 / 0.03\n"
        "[1/5],[0/3],1.3,3.2,0.6,0.46 / 0.04\n",
    )
    found, notes = log_of(path)
    assert found.logged("loss_d") == [(0, 1.5), (0, 1.4), (1, 1.3)]
    assert found.logged("d_fake_before") == [(0, 0.48), (0, 0.47), (1, 0.46)]
    assert found.logged("d_real")[-1] == (1, 0.6)
    assert "steps are those of the column Epoch" in notes
    assert found.recipe == {}
    assert found.total is None


@pytest.mark.parametrize(
    ("separator", "number"), [(",", "0.5"), ("\t", "0.5"), (";", "0,5"), (" ", "0.5"), ("|", "0.5")]
)
def test_separators_blanks_and_decimal_commas(tmp_path, separator, number):
    rows = [["step", "D_loss", "G_loss"], ["10", number, "2"], ["20", number, "3"]]
    found, _ = log_of(text(tmp_path, "\r\n".join(separator.join(row) for row in rows), "log.txt"))
    assert found.logged("loss_d") == [(10, 0.5), (20, 0.5)]
    assert found.logged("loss_g") == [(10, 2.0), (20, 3.0)]
    assert found.now == 20


def test_rows_of_one_step_with_blank_cells_are_one_event(tmp_path):
    """As Lightning writes them: each logger call a row of its own."""
    path = text(tmp_path, "epoch,step,train/g_loss,train/d_loss\n0,5,,0.1\n0,5,0.2,\n0,10,,0.3\n0,10,0.4,\n")
    found, _ = log_of(path)
    assert list(found.steps) == [
        {"event": "step", "step": 5, "loss_d": 0.1, "loss_g": 0.2},
        {"event": "step", "step": 10, "loss_d": 0.3, "loss_g": 0.4},
    ]


def test_steps_that_go_back_are_replaced_by_row_numbers(tmp_path):
    path = text(tmp_path, "iter,loss_d\n0,1\n1,2\n0,3\n1,4\n")
    found, notes = log_of(path)
    assert found.logged("loss_d") == [(1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0)]
    assert any("iter goes back" in note for note in notes)


def test_the_most_exact_column_is_taken_and_the_rest_is_named(tmp_path):
    path = text(tmp_path, "avg_loss_d,loss_d,val/loss_d,lr\n1,2,3,4\n")
    found, notes = log_of(path)
    assert found.logged("loss_d") == [(1, 2.0)]
    assert "columns not used: avg_loss_d, val/loss_d, lr" in notes
    assert any("loss_d: loss_d" in note for note in notes)


def test_a_column_can_be_named(tmp_path):
    path = text(tmp_path, "when,a,b,loss_d\n7,1,2,3\n")
    found, _ = log_of(path, {"loss_d": "a", "step": "when", "fid": "b"})
    assert found.logged("loss_d") == [(7, 1.0)]
    assert found.metric() == ("fid", True, [(7, 2.0, 2.0, 2.0)])


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({}, ["whose columns are: when, a, b", "--column loss_d=NAME"]),
        ({"loss_d": "c"}, ["has no column c", "when, a, b"]),
        ({"loss_x": "a"}, ["loss_x", "did you mean 'loss_"]),
    ],
)
def test_a_log_whose_losses_are_not_known(tmp_path, columns, words):
    with pytest.raises(InputError) as caught:
        log_of(text(tmp_path, "when,a,b\n7,1,2\n"), columns)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "is empty"),
        (b"1,2,3\n4,5,6\n", "numbers only"),
        (b"\x00\xff\xfe\x01" * 50, "neither"),
        (b"loss_d\n" + b"1" * (1 << 20) + b"11\n", "has a line of more than"),
        (b'{"loss_d": 1}\n{"loss_d\n{"loss_d": 2}\n', "line 2"),
        (b'{"a": ' + b"[" * 100_000 + b"\n", "no JSON object"),
        (b",".join(b"c%d" % n for n in range(10_002)), "more than 10,000 columns"),
    ],
)
def test_what_is_no_log_is_said_in_one_sentence(tmp_path, content, word):
    with pytest.raises(DataError, match=word) as caught:
        log_of(text(tmp_path, content))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_utf_16_a_byte_order_mark_and_a_comment_sign(tmp_path):
    for encoding in ("utf-16", "utf-8-sig", "utf-8"):
        path = text(tmp_path, "# step,loss_d\n1,2\n".encode(encoding))
        assert log_of(path)[0].logged("loss_d") == [(1, 2.0)], encoding


def test_numbers_that_are_none_are_left_out_and_told(tmp_path):
    path = table(tmp_path, [1, "nan", 2, "inf", "1e39"], [1, 1, "-inf", 1, 1])
    found, notes = log_of(path)
    assert found.logged("loss_d") == [(0, 1.0), (2, 2.0)]
    assert len(found.logged("loss_g")) == 4
    (of_d,) = [note for note in notes if note.startswith("loss_d is no")]
    (of_g,) = [note for note in notes if note.startswith("loss_g is no")]
    assert "3 of 5 entries, first at step 1" in of_d
    assert "has diverged" in of_d
    assert "1 of 5 entries, first at step 2" in of_g
    assert "has diverged" not in of_g


def test_metrics_become_events(tmp_path):
    path = table(tmp_path, [1.0] * 4, FID=["", 30.5, "", 20.5], inception_score=[2, "", "", ""])
    found, notes = log_of(path)
    assert list(found.metrics) == [
        {
            "event": "metric",
            "step": 0,
            "name": "is",
            "value": 2.0,
            "low": 2.0,
            "high": 2.0,
            "better": "higher",
        },
        {
            "event": "metric",
            "step": 1,
            "name": "fid",
            "value": 30.5,
            "low": 30.5,
            "high": 30.5,
            "better": "lower",
        },
        {
            "event": "metric",
            "step": 3,
            "name": "fid",
            "value": 20.5,
            "low": 20.5,
            "high": 20.5,
            "better": "lower",
        },
    ]
    assert any("no intervals" in note for note in notes)


def test_json_lines(tmp_path):
    lines = [
        {"step": 1, "d_loss": 0.5, "g": {"loss": 2}, "note": "x", "ok": True, "huge": 10**400},
        {"step": 2, "d_loss": "NaN", "g": {"loss": 3}, "deep": {"er": {"loss_d": 9}}},
    ]
    content = "\n".join(map(json.dumps, lines)) + '\n{"step": 3, "d_lo'
    found, notes = log_of(text(tmp_path, content, "log.jsonl"))
    assert found.logged("loss_d") == [(1, 0.5)]
    assert found.logged("loss_g") == [(1, 2.0), (2, 3.0)]
    assert any("d_loss is no finite number in 1 of 2" in note for note in notes)
    assert not any("ok" in note for note in notes)


def test_a_long_log_is_thinned_to_its_end(tmp_path):
    found, notes = log_of(table(tmp_path, list(range(50_001))))
    assert len(found.steps) == 16_667
    assert found.now == 50_000
    assert any("one in 3" in note for note in notes)


def test_a_log_with_too_many_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "_NUMBERS", 10)
    with pytest.raises(DataError, match="more than 10 numbers"):
        log_of(table(tmp_path, [1.0] * 10))
    monkeypatch.setattr(texts, "_BYTES", 10)
    with pytest.raises(DataError, match="too large"):
        log_of(table(tmp_path, [1.0] * 10))


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_mutated_and_cut_texts_give_records_or_one_sentence(tmp_path, kind):
    rng = np.random.default_rng(1)
    rows = [{"step": n, "loss_d": n / 3, "D(x)": 0.5, "fid": 9} for n in range(8)]
    whole = (
        "\n".join(map(json.dumps, rows))
        if kind == "jsonl"
        else "\n".join(["step;loss_d;D(x);fid", *(";".join(map(str, row.values())) for row in rows)])
    ).encode()
    check_hostile(tmp_path, whole, rng, 1000)


def check_hostile(tmp_path, whole, rng, mutations, reframe=None):
    """Cut at every byte, and changed at random: records or a DuelError of one line."""
    path = tmp_path / "log"
    contents = [whole[:length] for length in range(len(whole))]
    for _ in range(mutations):
        changed = bytearray(whole)
        for _ in range(rng.integers(1, 4)):
            place = rng.integers(len(changed))
            match rng.integers(3):
                case 0:
                    changed[place] = rng.integers(256)
                case 1:
                    del changed[place : place + rng.integers(1, 9)]
                case 2:
                    changed[place:place] = rng.bytes(rng.integers(1, 9))
        contents.append(bytes(changed))
    refused = []
    for content in contents:
        path.write_bytes(content if reframe is None else reframe(content))
        try:
            found, _ = log_of(path)
            findings(found)
            json.dumps([list(found.steps), list(found.metrics)], allow_nan=False)
        except DuelError as error:
            refused.append(str(error))
    assert not any("\n" in sentence for sentence in refused)
    return len(refused)


def test_cells_that_cannot_be_read_are_counted_and_the_first_is_named(tmp_path):
    path = text(tmp_path, "step,loss_d,loss_g,note\n1,0.5,1,x\n2,abc,1,y\n3,,1,z\n4,1.5.2,-,w\n5,0.6,N/A,v\n")
    found, notes = log_of(path)
    assert found.logged("loss_d") == [(1, 0.5), (5, 0.6)]
    assert "2 cells are no number and left out (first 'abc' in loss_d, row 2)" in notes
    lines = [{"step": 1, "d_loss": "abc", "g_loss": None}, {"step": 2, "d_loss": 1, "g_loss": 2}]
    _, notes = log_of(text(tmp_path, "\n".join(map(json.dumps, lines)), "log.jsonl"))
    assert "1 cell is no number and left out ('abc' in d_loss, row 1)" in notes


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('step,loss_d\n1,"1,234.56"\n2,"12,345,678"\n', [1234.56, 12345678.0]),
        ("step;loss_d\n1;1.234,56\n2;1,5\n3;1,234.5\n", [1234.56, 1.5, 1234.5]),
        ("step\tloss_d\n1\t-1,234.56\n2\t0,25\n", [-1234.56, 0.25]),
    ],
)
def test_thousands(tmp_path, content, expected):
    found, notes = log_of(text(tmp_path, content))
    assert [value for _, value in found.logged("loss_d")] == expected
    assert not any("no number" in note for note in notes)


def test_steps_that_stand_still_are_row_numbers(tmp_path):
    found, notes = log_of(text(tmp_path, "step,loss_d\n" + "".join(f"7,{n}\n" for n in range(5))))
    assert found.logged("loss_d") == [(n + 1, float(n)) for n in range(5)]
    assert any("all steps are equal in the column step" in note for note in notes)
    content = "step,epoch,loss_d\n" + "".join(f"0,{n},1\n" for n in range(5))
    assert log_of(text(tmp_path, content))[0].now == 4, "another column knows them"


@pytest.mark.parametrize(("content", "word"), [("step,loss_d\n", "has no rows"), ("[]", "has no rows")])
def test_a_log_without_rows_is_said_to_be_one(tmp_path, content, word):
    with pytest.raises(DataError, match=word):
        log_of(text(tmp_path, content))


TUTORIAL = """Starting Training Loop...
[0/2][0/100]\tLoss_D: 1.7410\tLoss_G: 4.2311\tD(x): 0.4881\tD(G(z)): 0.5231 / 0.0221
[0/2][50/100]\tLoss_D: 0.5012\tLoss_G: 12.0021\tD(x): 0.9021\tD(G(z)): 0.1021 / 0.0001
[1/2][0/100]\tLoss_D: nan\tLoss_G: 1e1\tD(x): 0.9\tD(G(z)): 0.1 / 0.2
"""


def test_the_lines_that_the_tutorial_prints(tmp_path):
    found, notes = log_of(text(tmp_path, TUTORIAL, "out.txt"))
    assert found.logged("loss_d") == [(0, 1.741), (50, 0.5012)]
    assert found.logged("loss_g") == [(0, 4.2311), (50, 12.0021), (100, 10.0)]
    assert found.logged("d_fake_before") == [(0, 0.5231), (50, 0.1021), (100, 0.1)]
    assert found.logged("d_real")[0] == (0, 0.4881)
    assert any("loss_d: Loss_D" in note or "Loss_D" in note for note in notes)
    odd = TUTORIAL.replace("Loss_G: 4.2311", "Loss_G: what")
    assert any("'what' in Loss_G, row 1" in note for note in log_of(text(tmp_path, odd))[1])


def test_the_lines_that_duel_prints(tmp_path, capsys, monkeypatch):
    changes = [f"--set={key}={value}" for key, value in tiny.TINY.items()]
    _, printed, _ = tiny.command(
        capsys, monkeypatch, "train", "dcgan", "--out", tmp_path / "a", "--steps", 6, *changes
    )
    found, _ = log_of(text(tmp_path, printed, "printed.txt"))
    known = list(duel.load(tmp_path / "a").events("step"))
    for name in ("loss_d", "loss_g", "d_real", "d_fake_before"):
        expected = [(event["step"], pytest.approx(event[name], abs=1e-4)) for event in known]
        assert found.logged(name) == expected


def test_a_json_array_of_objects(tmp_path):
    rows = [{"step": 10 * n, "d_loss": n / 2, "g": {"loss": n}} for n in range(4)]
    for content in (json.dumps(rows), json.dumps(rows, indent=2)):
        found, _ = log_of(text(tmp_path, content, "log.json"))
        assert found.logged("loss_d") == [(10 * n, n / 2) for n in range(4)]
        assert found.logged("loss_g")[-1] == (30, 3.0)
    for content, word in (("[{]", "cannot be read as a JSON array"), ('[{"a": 1}, 3]', "other things than")):
        with pytest.raises(DataError, match=word):
            log_of(text(tmp_path, content))


def test_a_json_array_that_is_too_long(tmp_path, monkeypatch):
    monkeypatch.setattr(texts, "_ARRAY", 20)
    with pytest.raises(DataError, match="longer than 20 characters"):
        log_of(text(tmp_path, json.dumps([{"step": n, "loss_d": n} for n in range(9)])))


def test_a_log_of_a_metric_alone_can_be_past_its_best(tmp_path):
    rows = "".join(f"{100 * n},{fid}\n" for n, fid in enumerate([90, 50, 20, 30, 35, 40, 45, 50]))
    found, notes = log_of(text(tmp_path, "step,FID\n" + rows))
    assert names(found) == ["past-its-best"]
    assert found.now == 700
    assert any("of a log alone only" in note for note in notes)


def test_only_of_a_log_alone_it_is_said_what_it_can_tell(tmp_path, digits):
    log = table(tmp_path, [0.7] * 30)
    assert any("of a log alone only" in note for note in log_of(log)[1])
    _, notes = look(save(tmp_path / "samples", digits.splits["test"].samples[:120]), log=log)
    assert not any("of a log alone" in note for note in notes)


@pytest.mark.parametrize("kind", ["array", "printed"])
def test_mutated_and_cut_arrays_and_printed_lines(tmp_path, kind):
    rng = np.random.default_rng(3)
    rows = json.dumps([{"step": n, "loss_d": n / 3} for n in range(6)])
    check_hostile(tmp_path, (rows if kind == "array" else TUTORIAL).encode(), rng, 500)


# ---------------------------------------------------------------- TensorBoard


def test_the_checksum_is_castagnolis():
    assert slow_crc(b"123456789") == (((0xE3069283 >> 15) | (0xE3069283 << 17)) + 0xA282EAD8) & 0xFFFFFFFF
    for content in (b"", b"123456789", bytes(range(256))):
        assert files.crc(content) == slow_crc(content)


def test_an_event_file(tmp_path):
    path = text(tmp_path, event_file(*scalars()), "events.out.tfevents.1.host")
    for target in (path, tmp_path):
        found, notes = log_of(target)
        assert found.logged("loss_d") == [(10 * n, 0.5 + n) for n in range(6)]
        assert found.logged("loss_g")[-1] == (50, 10.0)
        assert not any("cut off" in note for note in notes)


def test_its_kind_is_told_by_its_content(tmp_path):
    assert len(log_of(text(tmp_path, event_file(*scalars()), "some.log"))[0].steps) == 6


def test_tensors_that_hold_one_number(tmp_path):
    """As TensorFlow 2 and torch's new_style write them; longer ones and histograms are passed over."""
    f, d = struct.pack("<f", 0.25), struct.pack("<d", 0.75)
    one = [
        b"\x08\x01" + part(4, f),
        b"\x08\x01" + part(5, f),
        b"\x08\x01\x2d" + f,
        b"\x08\x01\x12\x00" + part(4, f),
    ]
    two = [b"\x08\x02" + part(4, d), b"\x08\x02" + part(6, d), b"\x08\x02\x31" + d]
    none = [
        b"\x08\x01" + part(4, f + f),
        b"\x08\x02" + part(4, f),
        b"\x08\x07" + part(8, b"text"),
        b"",
        b"\x08\x01",
    ]
    events = []
    for tensor in one + two + none:
        events.append(event(len(events), part(1, b"d_loss") + part(8, tensor)))
    events.append(event(99, part(1, b"d_loss") + part(5, b"\x09" + d)))
    found, _ = log_of(text(tmp_path, event_file(*events)))
    assert found.logged("loss_d") == [
        (0, 0.25),
        (1, 0.25),
        (2, 0.25),
        (3, 0.25),
        (4, 0.75),
        (5, 0.75),
        (6, 0.75),
    ]


def test_a_training_taken_up_again_replaces_its_steps(tmp_path):
    text(tmp_path, event_file(*scalars(6)), "events.out.tfevents.1")
    again = [event(step, simple("Loss/D", 100.0)) for step in (40, 50, 60)]
    text(tmp_path, event_file(*again), "events.out.tfevents.2")
    found, notes = log_of(tmp_path)
    assert found.logged("loss_d") == [
        (0, 0.5),
        (10, 1.5),
        (20, 2.5),
        (30, 3.5),
        (40, 4.5),
        (40, 100.0),
        (50, 100.0),
        (60, 100.0),
    ]
    assert any("1 of 9 entries of Loss/D" in note for note in notes)


def test_events_without_a_step_are_numbered(tmp_path):
    events = [VERSION + part(5, part(1, simple("errD", n))) for n in range(3)]
    found, notes = log_of(text(tmp_path, event_file(*events)))
    assert found.logged("loss_d") == [(1, 0.0), (2, 1.0), (3, 2.0)]
    assert any("numbered" in note for note in notes)


def test_steps_that_start_again_in_every_epoch_are_numbered(tmp_path):
    events = [event(n % 10, simple("errD", float(n))) for n in range(40)]
    found, notes = log_of(text(tmp_path, event_file(*events)))
    assert found.logged("loss_d") == [(n + 1, float(n)) for n in range(40)]
    assert any("numbered" in note for note in notes)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (varint(5 << 3 | 2) + b"\x7f" + b"x", "longer than its message"),
        (varint(5 << 3 | 2) + varint(1 << 63), "longer than its message"),
        (b"\x10" + b"\xff" * 11, "more than 64 bits"),
        (b"\x10\xff", "cut off"),
        (b"\x0b", "unknown kind 3"),
    ],
)
def test_a_record_that_is_no_event(tmp_path, content, word):
    with pytest.raises(DataError, match=word):
        log_of(text(tmp_path, event_file(*scalars(2), content)))


def test_sub_folders_of_add_scalars_and_of_tensorflow(tmp_path):
    for player, value in (("D", 1.0), ("G", 2.0)):
        (tmp_path / f"a/train_loss_{player}").mkdir(parents=True)
        text(
            tmp_path,
            event_file(event(5, simple("train/loss", value))),
            f"a/train_loss_{player}/events.out.tfevents.1",
        )
    found, notes = log_of(tmp_path / "a")
    assert (found.logged("loss_d"), found.logged("loss_g")) == ([(5, 1.0)], [(5, 2.0)])
    assert any("loss_d: train/loss/D" in note for note in notes)
    for player, value in (("D", 1.0), ("G", 2.0)):
        (tmp_path / f"c/train/loss/{player}").mkdir(parents=True)
        file = f"c/train/loss/{player}/events.out.tfevents.1"
        text(tmp_path, event_file(event(5, simple("train/loss", value))), file)
    found, _ = log_of(tmp_path / "c")
    assert (found.logged("loss_d"), found.logged("loss_g")) == ([(5, 1.0)], [(5, 2.0)])
    for folder in ("b/train", "b/validation"):
        (tmp_path / folder).mkdir(parents=True)
        value = float(folder == "b/train")
        text(tmp_path, event_file(event(5, simple("disc_loss", value))), f"{folder}/events.out.tfevents.1.v2")
    found, _ = log_of(tmp_path / "b")
    assert found.logged("loss_d") == [(5, 1.0)]


def test_a_folder_without_event_files(tmp_path):
    with pytest.raises(DataError, match="no TensorBoard event files"):
        log_of(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        log_of(tmp_path / "nowhere")


def test_a_cut_event_file_gives_fewer_events_and_a_note(tmp_path):
    whole = event_file(*scalars(3))
    ends = [len(event_file(*scalars(n))) for n in range(4)]
    for length in range(len(whole)):
        path = text(tmp_path, whole[:length], "events.out.tfevents.1")
        complete = sum(end <= length for end in ends) - 1
        if complete < 1:
            with pytest.raises(DataError, match="neither"):
                log_of(path)
            continue
        found, notes = log_of(path)
        assert len(found.steps) == complete, length
        assert any("cut off" in note for note in notes) == (length not in ends), length


def test_every_changed_byte_is_noticed(tmp_path):
    whole = event_file(*scalars(2))
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        with pytest.raises(DataError, match="damaged"):
            log_of(text(tmp_path, bytes(changed), "events.out.tfevents.1"))


def test_a_record_that_claims_to_be_huge_takes_no_memory(tmp_path):
    head = struct.pack("<Q", 1 << 62)
    content = event_file(*scalars(2)) + head + struct.pack("<I", slow_crc(head)) + b"x" * 100
    found, notes = log_of(text(tmp_path, content))
    assert len(found.steps) == 2
    assert any("cut off" in note for note in notes)


def test_large_records_are_passed_over_or_checked_where_they_hold_a_number(tmp_path, monkeypatch):
    image = part(1, b"samples") + part(4, part(4, b"\x89PNG" + bytes(1000)))
    one, two, three = event(1, image), event(2, image, simple("d_loss", 3.0)), event(3, simple("d_loss", 4.0))
    whole = event_file(one, two, three)
    monkeypatch.setattr(files, "_CHECKED", 100)
    spoilt = bytearray(whole)
    spoilt[whole.index(b"PNG") + 500] ^= 1
    assert log_of(text(tmp_path, bytes(spoilt)))[0].logged("loss_d") == [(2, 3.0), (3, 4.0)]
    spoilt[whole.rindex(b"PNG") + 500] ^= 1
    with pytest.raises(DataError, match="damaged"):
        log_of(text(tmp_path, bytes(spoilt)))
    monkeypatch.setattr(files, "_RECORD", 500)
    assert log_of(text(tmp_path, whole))[0].logged("loss_d") == [(3, 4.0)]


def test_mutated_event_files_give_records_or_one_sentence(tmp_path):
    """With the frames' checksums as they were, and with right ones around changed content."""
    rng = np.random.default_rng(2)
    refused = check_hostile(tmp_path, event_file(*scalars(2)), rng, 1000)
    assert refused > 800
    tensor = part(1, b"d_loss") + part(8, b"\x08\x01" + part(4, struct.pack("<f", 0.25)))
    message = event(7, simple("g_loss", 1.0), tensor)
    refused = check_hostile(
        tmp_path, message, rng, 3000, lambda content: event_file(*scalars(1)) + framed(content)
    )
    assert 500 < refused < 3000


def test_one_that_tensorboards_own_writer_has_written(tmp_path):
    pytest.importorskip("tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(tmp_path / "run") as writer:
        for step in range(5):
            writer.add_scalar("train/loss_D", step / 2, step)
            writer.add_scalar("train/loss_G", step, step, new_style=True)
            writer.add_scalars("scores", {"D(x)": 0.5, "D(G(z))": 0.25}, step)
            writer.add_histogram("weights", np.arange(100), step)
            writer.add_image("samples", np.zeros((1, 8, 8)), step)
    found, _ = log_of(tmp_path / "run")
    assert found.logged("loss_d") == [(step, step / 2) for step in range(5)]
    assert found.logged("loss_g") == [(step, step) for step in range(5)]


# ---------------------------------------------------------------- findings in a log


def test_a_spike_that_recovers_is_no_divergence(tmp_path):
    losses = [0.7 + 0.01 * (n % 3) for n in range(60)]
    losses[30] = 40.0
    assert names(log_of(table(tmp_path, losses))[0]) == ["spike"]


def test_a_log_that_ends_with_no_number_is_a_severe_finding(tmp_path):
    found, _ = log_of(table(tmp_path, [1, "nan", 2, "inf", "1e39"], [1, 1, "-inf", 1, 1]))
    (finding,) = foreign.non_finite(found)
    assert finding == {
        "name": "non-finite",
        "severity": "severe",
        "confidence": 1.0,
        "evidence": [{"signal": "loss_d", "value": "inf", "threshold": "finite", "steps": [3]}],
        "explanation": finding["explanation"],
        "advice": [{"set": {}, "reason": finding["advice"][0]["reason"], "source": None}],
    }
    assert finding["explanation"].startswith("loss_d is inf at step 3 and no usable number from there")
    assert "learning rates" in finding["advice"][0]["reason"]


def test_the_loss_that_stops_being_a_number_first_is_named(tmp_path):
    fine = [1.0, 2.0]
    both, _ = log_of(table(tmp_path, [*fine, 3, "nan", "nan"], [*fine, "-inf", "nan", "nan"]))
    assert both.ending == finite.Ending("loss_g", 2, -math.inf)
    json.dumps(foreign.non_finite(both), allow_nan=False)


def test_an_event_file_that_ends_with_no_number(tmp_path):
    losses = [0.5, 0.6, math.nan, math.nan]
    found, _ = log_of(
        text(tmp_path, event_file(*(event(10 * n, simple("errD", x)) for n, x in enumerate(losses))))
    )
    (finding,) = foreign.non_finite(found)
    assert finding["evidence"] == [{"signal": "loss_d", "value": "nan", "threshold": "finite", "steps": [20]}]


@pytest.mark.parametrize(
    "losses",
    [
        [1, "nan", 2, 3],
        [1, "inf", "nan", 2],
        [1, 2, 3],
        ["nan", "nan", 1, "nan", "nan", 2, "nan", "nan"],  # only every third one is measured
    ],
)
def test_a_log_that_comes_back_to_numbers_has_notes_only(tmp_path, losses):
    found, notes = log_of(table(tmp_path, losses))
    assert foreign.non_finite(found) == []
    lost = sum(isinstance(loss, str) for loss in losses)
    assert any(f"loss_d is no finite number in {lost} of" in note for note in notes) == (lost > 0)
    assert not any("diverged" in note for note in notes)


def test_a_metric_that_ends_with_no_number_is_no_divergence(tmp_path):
    found, notes = log_of(table(tmp_path, [0.7] * 3, fid=[9, "nan", "nan"]))
    assert foreign.non_finite(found) == []
    assert any("fid is no finite number in 2 of 3" in note for note in notes)


def test_losses_that_grow_are_a_divergence(tmp_path):
    losses = [0.5 * math.exp(n / 8) for n in range(60)]
    assert "divergence" in names(log_of(table(tmp_path, losses))[0])
    found, _ = log_of(
        text(tmp_path, event_file(*(event(n, simple("errG", x)) for n, x in enumerate(losses))))
    )
    assert "divergence" in names(found)


def test_a_metric_that_was_better_once(tmp_path):
    better = table(tmp_path, [0.7] * 8, fid=[90, 50, 20, 30, 35, 40, 45, 50])
    assert names(log_of(better)[0]) == ["past-its-best"]
    higher = table(tmp_path, [0.7] * 8, IS=[90, 50, 20, 30, 35, 40, 45, 50])
    assert names(log_of(higher)[0]) == ["past-its-best"]
    assert names(log_of(table(tmp_path, [0.7] * 8, fid=[90, 80, 70, 60, 50, 40, 30, 20]))[0]) == []


def test_an_ordinary_log_has_no_finding(tmp_path):
    rng = np.random.default_rng(0)
    path = table(tmp_path, list(1 + 0.2 * rng.random(200)), list(2 + 0.5 * rng.random(200)))
    assert names(log_of(path)[0]) == []


# ---------------------------------------------------------------- samples


@pytest.fixture(scope="module")
def digits():
    return Digits().load()


def save(folder, images, side=None, mode=None):
    """Grey images 1×H×W as PNG files."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        picture = Image.fromarray(image[0])
        if side:
            picture = picture.resize((side, side), Image.Resampling.LANCZOS)
        picture.convert(mode or "L").save(folder / f"{number:05d}.png")
    return folder


def look(folder, against="digits", log=None):
    return foreign.records(samples=folder, log=log, against=against)


def severe(records):
    return [each["name"] for each in findings(records) if each["severity"] == "severe"]


def test_held_out_digits_are_fine(tmp_path, digits):
    images = np.concatenate([digits.splits["test"].samples, digits.splits["validation"].samples[:20]])
    found, notes = look(save(tmp_path / "samples", images))
    assert len(found.looks) == 5
    assert names(found) == []
    assert {"held_out", "class_counts", "copies"} <= set(found.facts)
    values = found.looks[0]["values"]
    assert 0.8 < values["diversity"] < 1.2
    assert 0.7 < values["nearest"] < 1.5
    assert "sharpness" in values
    assert "movement" not in values
    used = len(images) // 5
    assert any(f"{5 * used} were looked at, as 5 looks of {used}" in note for note in notes)


def test_the_looks_are_disjoint_parts_of_the_samples(tmp_path, digits):
    folder = save(tmp_path / "samples", digits.splits["train"].samples[:103])
    found, _ = look(folder)
    again, _ = look(folder)
    assert [each["values"] for each in found.looks] == [each["values"] for each in again.looks]
    assert len({json.dumps(each["values"]) for each in found.looks}) == 5
    seen = Seen(8, 1)
    files = [Sample(path, None) for path in sorted(folder.iterdir())]
    images, _ = decoded(files, 1000, seen)
    assert len({image.tobytes() for image in images}) == len(
        {image.tobytes() for image in digits.splits["train"].samples[:103]}
    )


def test_a_missing_class_is_told_only_by_looks_that_are_large_enough(tmp_path, digits):
    split = digits.splits["train"]
    images = split.samples[split.labels != 4]
    found, _ = look(save(tmp_path / "samples", images[:400]))
    assert "class-collapse" in names(found)
    few, notes = look(save(tmp_path / "few", images[:200]))
    assert "class-collapse" not in names(few)
    assert any("whether a class is missing" in note for note in notes)


def test_one_repeated_digit_is_a_mode_collapse(tmp_path, digits):
    rng = np.random.default_rng(0)
    one = digits.splits["train"].samples[:1].astype(int)
    images = np.clip(one + rng.integers(-4, 5, (150, 1, 8, 8)), 0, 255).astype(np.uint8)
    found, _ = look(save(tmp_path / "samples", images))
    assert "mode-collapse" in severe(found)


def test_copies_of_training_digits_are_memorisation(tmp_path, digits):
    found, _ = look(save(tmp_path / "samples", digits.splits["train"].samples[:400]))
    assert "memorisation" in names(found)
    assert severe(found) == []


def test_noise_is_nothing_like_the_data(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (200, 1, 8, 8), dtype=np.uint8)
    assert "nothing-learned" in names(look(save(tmp_path / "samples", noise))[0])


def test_a_few_kinds_of_samples_are_a_partial_collapse(tmp_path, digits):
    kinds = digits.splits["test"].samples[np.arange(200) % 5].astype(int)
    noise = np.random.default_rng(0).integers(-4, 5, kinds.shape)
    found, _ = look(save(tmp_path / "samples", np.clip(kinds + noise, 0, 255).astype(np.uint8)))
    assert "partial-collapse" in names(found)


def test_folders_of_steps_are_looks_in_order(tmp_path, digits):
    rng = np.random.default_rng(0)
    samples = digits.splits["train"].samples
    for number, step in enumerate((100, 1000, 200, 900, 300, 800)):
        chosen = samples[rng.permutation(len(samples))[:60]].astype(int)
        noisy = np.clip(chosen + rng.normal(0, 20 * number, chosen.shape), 0, 255).astype(np.uint8)
        save(tmp_path / f"samples/net2_step_{step}", noisy)
    found, notes = look(tmp_path / "samples")
    assert [each["step"] for each in found.looks] == [100, 200, 300, 800, 900, 1000]
    assert any("60 images are looked at" in note for note in notes)
    findings(found)


@pytest.mark.parametrize(
    ("name", "step"),
    [("step_1000", 1000), ("00001000", 1000), ("epoch-3", 3), ("64px_iter_500_seed7", 500), ("run2-40", 40),
     ("iterations=7", 7), ("kimg25", 25), ("real", None), ("9" * 30, None)],
)  # fmt: skip
def test_the_step_in_a_folders_name(name, step):
    assert step_of(name) == step


def test_folders_of_steps_that_do_not_fit(tmp_path, digits):
    images = digits.splits["test"].samples
    for name in ("step_1", "step_2", "step_3"):
        save(tmp_path / "samples" / name, images[:30])
    save(tmp_path / "samples/step_4", images[:5])
    save(tmp_path / "samples/real", images[:5])
    found, notes = look(tmp_path / "samples")
    assert [each["step"] for each in found.looks] == [1, 2, 3]
    assert any("step 4 has 5 files" in note for note in notes)
    assert any("5 files" in note and "no step's folder" in note for note in notes)
    save(tmp_path / "samples/2", images[:30])
    with pytest.raises(DataError, match="two folders of step 2"):
        look(tmp_path / "samples")


def test_folders_named_as_classes_ask_for_these(tmp_path, digits):
    """Digits' classes are "0" to "9": these folders are classes, not steps."""
    split = digits.splits["train"]
    for label in range(10):
        save(tmp_path / f"right/{label}", split.samples[split.labels == label][:20])
        save(tmp_path / f"wrong/{label}", split.samples[split.labels == (label + 1) % 10][:20])
    right, notes = look(tmp_path / "right")
    assert any("taken for classes" in note for note in notes)
    assert right.signal("label_accuracy")[0][1] > 0.9
    wrong, _ = look(tmp_path / "wrong")
    assert wrong.signal("label_accuracy")[0][1] < 0.1
    assert "label-ignored" in severe(wrong)
    assert "label-ignored" not in severe(right)


def test_sizes_and_channels_are_brought_to_the_datas(tmp_path, digits):
    """Grey images that another program saved as RGB, twice as large, give what the plain ones do."""
    images = digits.splits["test"].samples[:120]
    plain, _ = look(save(tmp_path / "plain", images))
    large, _ = look(save(tmp_path / "large", images, side=16, mode="RGB"))
    near = [values["values"]["nearest"] for records in (plain, large) for values in records.looks]
    assert max(near) < 1.5 * min(near)
    small, notes = look(save(tmp_path / "small", images, side=6))
    assert "sharpness" not in small.looks[0]["values"]
    assert any("nothing is said of their sharpness" in note for note in notes)
    _, notes = look(save(tmp_path / "sheets", images, side=64))
    assert any("sheets" in note for note in notes)


def test_colour_and_grey_do_not_go_together(tmp_path, digits):
    rng = np.random.default_rng(0)
    colours = tmp_path / "colours"
    colours.mkdir()
    for number in range(120):
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(colours / f"{number}.png")
    with pytest.raises(DataError, match="are colour, the reference's grey"):
        look(colours)
    grey = save(tmp_path / "grey", digits.splits["test"].samples[:120])
    with pytest.raises(DataError, match="are grey, the reference's colour"):
        look(grey, str(colours))


def test_too_few_samples_and_files_that_are_none(tmp_path, digits):
    folder = save(tmp_path / "samples", digits.splits["test"].samples[:99])
    with pytest.raises(DataError, match=r"holds 99 usable images, at least 100 are needed"):
        look(folder)
    save(folder, digits.splits["test"].samples[:110])
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    _, notes = look(folder)
    assert any("1 files of" in note and "broken.png" in note for note in notes)


def test_only_so_many_images_are_decoded(tmp_path, digits, monkeypatch):
    monkeypatch.setattr(looks, "_PER_LOOK", 20)
    seen = []
    note = Seen.note
    monkeypatch.setattr(Seen, "note", lambda *given: seen.append(1) or note(*given))
    found, notes = look(save(tmp_path / "samples", digits.splits["train"].samples[:300]))
    assert len(seen) == 100
    assert len(found.looks) == 5
    assert any("of 300 files" in note and "100 were looked at" in note for note in notes)


def test_a_log_and_samples_together(tmp_path, digits):
    log = table(tmp_path, [0.7] * 30)
    found, _ = look(save(tmp_path / "samples", digits.splits["test"].samples[:120]), log=log)
    assert {each["step"] for each in found.looks} == {29}
    assert len(found.steps) == 30
    assert names(found) == []


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({}, "nothing to diagnose"),
        ({"samples": Path("x")}, "--against"),
        ({"against": "digits", "log": Path("x")}, "nothing to compare"),
        ({"samples": Path("x"), "against": "digits", "columns": {"loss_d": "a"}}, "no log"),
        ({"samples": Path("nowhere"), "against": "digits"}, "does not exist"),
        ({"samples": Path("nowhere"), "against": "ring"}, "points"),
        ({"log": Path("/dev/null")}, "not a regular file"),
    ],
)
def test_what_does_not_go_together_is_said(given, word):
    whole = {"samples": None, "log": None, "against": None, **given}
    with pytest.raises(InputError, match=word):
        foreign.records(**whole)


# ---------------------------------------------------------------- copies


def test_a_neighbourhood_is_its_definition():
    rng = np.random.default_rng(0)
    train = rng.integers(0, 256, (60, 1, 4, 4), dtype=np.uint8)
    held = signals.features(signals.in_range(rng.integers(0, 256, (20, 1, 4, 4), dtype=np.uint8)))
    drawn = signals.features(signals.in_range(rng.integers(0, 256, (30, 1, 4, 4), dtype=np.uint8)))
    found = Neighbourhood.of(Split(train, None), held, np.random.default_rng(1))
    base = signals.features(signals.in_range(train))
    among = signals.distances(base, base)
    np.fill_diagonal(among, np.inf)

    def both(queries, apart):
        place = apart.argmin(1)
        near, around = apart.min(1), among.min(1)[place]
        return np.median(near), np.median(near / around)

    usual = [both(held, signals.distances(held, base)), both(base, among)]
    near, local = both(drawn, signals.distances(drawn, base))
    told = found.compare(drawn)
    assert told["nearest"] == pytest.approx(near / min(usual)[0], rel=1e-5)
    assert told["nearest_local"] == pytest.approx(local / min(each[1] for each in usual), rel=1e-5)
    assert found.compare(base[:5]) == {"nearest": 0, "nearest_local": 0}


def test_copies_in_the_data_are_no_measure_of_what_is_usual():
    rng = np.random.default_rng(0)
    once = rng.integers(0, 256, (40, 1, 4, 4), dtype=np.uint8)
    held = signals.features(signals.in_range(rng.integers(0, 256, (20, 1, 4, 4), dtype=np.uint8)))
    found = Neighbourhood.of(Split(np.repeat(once, 2, 0), None), held, np.random.default_rng(1))
    assert 0.5 < found.compare(held)["nearest"] < 2
    assert math.isnan(found.usual_local)
    assert found.compare(found.train[:9])["nearest"] == 0


@pytest.mark.skipif(not MNIST.is_dir(), reason="wants MNIST in $DUEL_DATA")
@pytest.mark.parametrize(
    ("kind", "expected"), [("ones", False), ("copies", True), ("noisy copies", True), ("held out", False)]
)
def test_copies_are_told_from_a_dense_class_among_all_training_images(tmp_path, kind, expected):
    """The digit 1 lies so closely that real ones are nearer to each other than other digits' copies look."""
    splits = catalog.load_class("datasets", "mnist")().load().splits
    train, test = splits["train"], splits["test"]
    copies = train.samples[np.random.default_rng(0).permutation(len(train))[:150]]
    noise = np.random.default_rng(1).integers(-10, 11, copies.shape)
    images = {
        "ones": test.samples[test.labels == 1][:150],
        "copies": copies,
        "noisy copies": np.clip(copies + noise, 0, 255).astype(np.uint8),
        "held out": test.samples[:150],
    }[kind]
    found, _ = look(save(tmp_path / "samples", images), "mnist")
    assert ("memorisation" in names(found)) == expected


def test_a_missing_batch_of_the_real_data_is_said_without_options_of_a_training(tmp_path, monkeypatch):
    def missing(_):
        raise DataError(
            "cifar10 needs a, not found in b: put c into it, or use the batches with data.batches=[1]"
        )

    monkeypatch.setattr(looks.recipes, "data_set", lambda name: type("Set", (), {"load": missing})())
    with pytest.raises(DataError, match=r"put c into it$"):
        look(tmp_path, "cifar10")


def test_files_that_cannot_be_used_are_counted_where_too_few_are_left(tmp_path, digits):
    folder = save(tmp_path / "samples", digits.splits["test"].samples[:90])
    for number in range(30):
        (folder / f"bad{number}.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(DataError, match=r"holds 90 usable images.*\(30 files could not be used, bad"):
        look(folder)


def test_a_folder_that_cannot_be_listed_is_said(tmp_path, digits, monkeypatch):
    folder = save(tmp_path / "samples", digits.splits["test"].samples[:120])
    whole = places.walk
    monkeypatch.setattr(
        places, "walk", lambda root: (*whole(root)[:2], [("closed", "cannot be read: Permission denied")])
    )
    _, notes = look(folder)
    assert any("1 folder of" in note and "closed: cannot be read" in note for note in notes)
    monkeypatch.setattr(places, "walk", lambda root: ([], [], [(".", "cannot be read: Permission denied")]))
    with pytest.raises(DataError, match=r"cannot be read .*Permission denied"):
        look(folder)


# ---------------------------------------------------------------- every diagnosis


@pytest.mark.parametrize("name", catalog.names("diagnoses"))
def test_every_diagnosis_takes_such_records(tmp_path, digits, name):
    """One by one, on a log that goes wrong and whose best metric is 0, on samples, and on both."""
    diagnosis = catalog.load_class("diagnoses", name)()
    log = table(tmp_path, [0.5 * math.exp(n / 8) for n in range(60)], kid=[0.0, *[1.0] * 59])
    samples = save(tmp_path / "samples", np.repeat(digits.splits["train"].samples[:1], 100, 0))
    for given in ({"log": log}, {"samples": samples}, {"log": log, "samples": samples}):
        whole = {"samples": None, "log": None, "against": "digits" if "samples" in given else None, **given}
        records, _ = foreign.records(**whole)
        diagnosis.find(records)
