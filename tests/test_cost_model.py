"""The cost model's bench: the fit finds what is there, messages are what is sent, rows are taken up."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch.distributed as dist

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

import cost as model

from duel.train import start

JOB = model.Job("dcgan", 16, 8, 8, images=50)


def made_rows():
    """Rows that follow the model exactly."""
    rows = []
    for place, job in enumerate(job for job in model.GRID if job.images == model.IMAGES):
        size = job.side**2 * job.width * job.batch * (place % 5 + 1)
        counts = {"operations": 400 + 50 * (place % 7), "flops": 1e3 * size * job.width, "touched": 40 * size}
        seconds = 1e-5 * counts["operations"] + 1e-11 * counts["flops"] + 2e-10 * counts["touched"]
        memory = {"base": 2e8, "data": 1e6, "tensors": 9 * size, "peak": 2e8 + 1e6 + 1e8 + 1.5 * 9 * size}
        known = {"median": seconds, "parameters": 10, "seconds": seconds}
        rows.append({**model.asdict(job), **counts, **memory, **known})
    return rows


def test_the_fit_finds_the_constants_of_rows_that_follow_it():
    rows = made_rows()
    found = model.fitted(rows, model.SECONDS[model.CHOSEN], model.seconds_of)
    assert found == pytest.approx([1e-5, 1e-11, 2e-10])
    assert model.fitted(rows, model.memory_terms, model.memory_of) == pytest.approx([1e8, 1.5])


def test_no_constant_is_negative_where_least_squares_alone_would_have_one():
    rows = [{"a": 1.0, "b": 2.0, "y": 1.0}, {"a": 2.0, "b": 5.0, "y": 1.5}, {"a": 3.0, "b": 8.0, "y": 2.0}]
    found = model.fitted(rows, lambda row: [row["a"], row["b"]], lambda row: row["y"])
    assert found.tolist() == pytest.approx([138 / 181, 0])  # Σx / Σx² of x = a / y


def test_errors_are_those_of_rows_that_the_fit_has_not_seen():
    rows = made_rows()
    slower = [{**row, "seconds": row["seconds"] * 2} if row["side"] == 64 else row for row in rows]
    terms = model.SECONDS[model.CHOSEN]
    found = model.unseen(slower, terms, model.seconds_of, "side", 64)
    assert found == pytest.approx([-0.5] * 24)
    assert model.unseen(rows, terms, model.seconds_of, "side", 64) == pytest.approx([0] * 24, abs=1e-6)


def test_the_tables_show_every_group_and_what_was_left_out():
    rows = made_rows()
    more = {**rows[0], "images": 20_000, "data": 5e6}
    said = model.text([*rows, more, {**model.asdict(JOB), "left_out": 9.0}])
    assert "73 configurations, 1 left out" in said
    for group in ("side 64", "width 8", "batch 128", "recipe wgan-gp"):
        assert f"| {group} | " in said
    assert "| 20,000 | 5 | " in said


def test_a_row_is_measured_once_and_says_what_a_process_took(tmp_path):
    file = tmp_path / "rows.jsonl"
    model.make([JOB], file, 1000.0)
    (row,) = model.known(file)
    assert JOB.is_of(row)
    assert row["timed"] >= model.LEAST_STEPS
    assert 0 < row["seconds"] <= row["median"]
    assert row["peak"] - row["base"] > row["tensors"] > 16 * row["parameters"]
    assert row["data"] == 50 * 3 * 16 * 16
    model.make([JOB], file, 1000.0)
    assert len(model.known(file)) == 1


def test_what_takes_too_long_is_left_out_and_said():
    assert set(model.measure(JOB, 0.0)) == {*model.asdict(JOB), "torch", "date", "left_out"}


@pytest.mark.parametrize(("name", "updates"), [("dcgan", 1), ("wgan-gp", 5)])
def test_messages_are_the_gradients_of_each_update_and_one_of_what_was_seen(name, updates):
    job = replace(JOB, recipe=name)
    it, data = job.resolved(), model.made_data(50, 16)
    networks = start(it, data).networks
    of_g, of_d = (
        4 * sum(part.numel() for part in module.parameters())
        for module in (networks.generator, networks.discriminator)
    )
    sent = model.messages(replace(it, sync_batch_norm=False), data)
    assert sent.summed == [of_d] * updates + [of_g]
    assert len(sent.gathered) == 1
    assert len(model.messages(it, data).summed) > updates + 1  # and those of batch norm
    assert not dist.is_initialized()


def test_seconds_of_messages_by_hand():
    sent = model.Messages()
    sent.summed, sent.gathered = [6_000_000, 2_000_000], [1_000]
    cluster = model.Cluster("four", 4, bandwidth=1e9, latency=1e-3)
    assert model.seconds_sending(sent, cluster) == pytest.approx(3e-3 + 1.5 * 8e-3 + 3e-6)


def test_the_batch_at_which_sending_is_a_tenth():
    assert model.batch_at(0.1, sending=1.0, image=0.1, host=0.0) == 90
    assert model.batch_at(0.1, sending=1.0, image=0.1, host=9.0) == 1


def test_rows_are_lines_of_json(tmp_path):
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made_rows()))
    assert len(model.known(tmp_path / "rows.jsonl")) == 72
