"""Checkpoints: whole or not there, verified before they are believed."""

import json
import random

import pytest
import torch

from duel import checkpoint, io
from duel.errors import CheckpointError

TENSORS = {
    "generator": {"0.weight": torch.arange(12.0).reshape(3, 4), "0.count": torch.tensor(3)},
    "optimizers": {"generator.0.exp_avg": torch.ones(3, 4)},
}
STATE = {"images": 640, "latent": {"state": {"state": 1 << 100}}}


@pytest.fixture
def place(tmp_path):
    return checkpoint.save(tmp_path, 2000, TENSORS, STATE)


def test_what_was_saved_comes_back(place):
    assert place.name == "00002000"
    tensors, state = checkpoint.load(place)
    assert {stem: set(group) for stem, group in tensors.items()} == {
        stem: set(group) for stem, group in TENSORS.items()
    }
    for stem, group in TENSORS.items():
        for name, tensor in group.items():
            assert torch.equal(tensors[stem][name], tensor)
            assert tensors[stem][name].dtype == tensor.dtype
    assert state == {"format": 1, "step": 2000, **STATE}


def test_the_folder_holds_the_files_of_the_contract_and_nothing_else(place):
    assert {file.name for file in place.iterdir()} == {
        "generator.safetensors", "optimizers.safetensors", "state.json", "manifest.json",
    }  # fmt: skip
    manifest = json.loads((place / "manifest.json").read_text())
    assert list(manifest)[-1] == "sha256"
    assert [entry.name for entry in place.parent.iterdir()] == ["00002000"]


def test_every_flipped_byte_is_found(place):
    rng = random.Random(0)
    for file in sorted(place.iterdir()):
        original = file.read_bytes()
        for _ in range(40):
            at = rng.randrange(len(original))
            file.write_bytes(
                original[:at] + bytes([original[at] ^ (1 << rng.randrange(8))]) + original[at + 1 :]
            )
            with pytest.raises(CheckpointError):
                checkpoint.load(place)
        file.write_bytes(original)
    checkpoint.load(place)


@pytest.mark.parametrize("name", ["generator.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize("keep", [0, 1, 0.5, -1])
def test_a_checkpoint_cut_anywhere_is_refused(place, name, keep):
    content = (place / name).read_bytes()
    cut = content[: int(len(content) * keep)] if isinstance(keep, float) else content[:keep]
    (place / name).write_bytes(cut)
    with pytest.raises(CheckpointError):
        checkpoint.load(place)


@pytest.mark.parametrize("name", ["generator.safetensors", "state.json", "manifest.json"])
def test_a_missing_file_is_refused(place, name):
    (place / name).unlink()
    with pytest.raises(CheckpointError, match="00002000"):
        checkpoint.load(place)


def test_a_manifest_cannot_point_outside(place):
    """A hostile manifest with a valid checksum of its own."""
    (place.parent / "outside").write_bytes(b"abc")
    (place / "manifest.json").write_bytes(checkpoint._manifest({"../outside": b"abc"}))
    with pytest.raises(CheckpointError, match="outside"):
        checkpoint.load(place)


@pytest.mark.parametrize("failing", ["generator.safetensors", "state.json", "manifest.json"])
def test_a_failed_save_leaves_the_older_one_and_no_fragment(tmp_path, monkeypatch, failing):
    checkpoint.save(tmp_path, 1, TENSORS, STATE)
    write = io.write_atomic

    def fail(path, content):
        if path.name == failing:
            raise OSError(28, "No space left on device")
        write(path, content)

    monkeypatch.setattr(io, "write_atomic", fail)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(tmp_path, 2, TENSORS, STATE)
    assert [entry.name for entry in tmp_path.iterdir()] == ["00000001"]
    checkpoint.load(tmp_path / "00000001")


def test_saving_a_step_again_replaces_it(tmp_path):
    checkpoint.save(tmp_path, 1, TENSORS, STATE)
    checkpoint.save(tmp_path, 1, TENSORS, {**STATE, "images": 7})
    assert checkpoint.load(tmp_path / "00000001")[1]["images"] == 7


def test_the_last_ones_and_the_spared_one_are_kept(tmp_path):
    for step in (1, 2, 3, 4, 5):
        checkpoint.save(tmp_path, step, TENSORS, STATE)
    (tmp_path / "notes").mkdir()
    checkpoint.prune(tmp_path, keep=2, spare=1)
    assert checkpoint.steps(tmp_path) == [1, 4, 5]


def test_tensors_of_another_network_are_refused():
    with pytest.raises(CheckpointError, match="generator does not fit"):
        checkpoint.restore_module(torch.nn.Linear(2, 2), "generator", TENSORS)


def test_moments_come_back_in_the_layout_of_their_weights():
    """PyTorch's fused Adam even computes wrong numbers where layouts differ (docs/log.md)."""
    weight = torch.nn.Parameter(torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last))
    optimizer = torch.optim.Adam([weight])
    moments = {f"generator.0.{name}": torch.randn(4, 3, 2, 2) for name in ("exp_avg", "exp_avg_sq")}
    checkpoint.restore_optimizer("generator", optimizer, moments | {"generator.0.step": torch.tensor(1.0)})
    assert optimizer.state[weight]["exp_avg"].stride() == weight.stride()
    assert torch.equal(optimizer.state[weight]["exp_avg"], moments["generator.0.exp_avg"])


def test_an_optimizers_state_goes_through_flat_tensors():
    def stepped(parameter, optimizer, times):
        for _ in range(times):
            parameter.grad = torch.ones(3) * 0.3
            optimizer.step()

    a = torch.nn.Parameter(torch.zeros(3))
    first = torch.optim.Adam([a], 0.1)
    stepped(a, first, 2)
    flat = checkpoint.optimizer_tensors("generator", first)
    assert set(flat) == {"generator.0.step", "generator.0.exp_avg", "generator.0.exp_avg_sq"}
    b = torch.nn.Parameter(a.detach().clone())
    second = torch.optim.Adam([b], 0.1)
    checkpoint.restore_optimizer("generator", second, flat | {"discriminator.0.step": torch.tensor(9.0)})
    stepped(a, first, 3)
    stepped(b, second, 3)
    assert torch.equal(a, b)
