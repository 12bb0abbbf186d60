"""What stays in the weights' own precision while networks run in bfloat16."""

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from duel.networks._layers import weighted

LAYERS = {
    "linear": lambda: nn.Linear(6, 4),
    "conv": lambda: nn.Conv2d(3, 4, 3),
    "transposed": lambda: nn.ConvTranspose2d(3, 4, 3),
    "embedding": lambda: nn.Embedding(5, 4),
}


class Products(TorchFunctionMode):
    """Notes for each product of the power iteration whether autocast would have been free to lower it."""

    def __init__(self):
        super().__init__()
        self.lowered = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in (torch.mv, torch.vdot):
            self.lowered.append(torch.is_autocast_enabled("cpu"))
        return function(*args, **(kwargs or {}))


def looked(name, autocast):
    """The normalised weight and the singular vectors after three looks, from one seed."""
    torch.manual_seed(0)
    layer = weighted(LAYERS[name](), "spectral")
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast), Products() as seen:
        for _ in range(3):
            weight = layer.weight
    return weight, dict(layer.named_buffers()), seen.lowered


@pytest.mark.parametrize("name", LAYERS)
def test_the_largest_singular_value_is_computed_in_float32(name):
    """CUDA's autocast lowers these products, the CPU's does not: asked is what it was allowed to do."""
    weight, vectors, lowered = looked(name, True)
    assert len(lowered) == 3 * 4
    assert not any(lowered)
    plain, plain_vectors, _ = looked(name, False)
    assert weight.dtype == torch.float32
    assert torch.equal(weight, plain)
    for key, value in plain_vectors.items():
        assert torch.equal(vectors[key], value), key


def test_the_layer_itself_still_runs_in_bfloat16():
    layer = weighted(nn.Conv2d(3, 4, 3), "spectral")
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.ones(1, 3, 5, 5)).dtype == torch.bfloat16


def test_the_normalised_weight_is_pytorchs():
    """The same vectors as PyTorch's own parametrization, at the same places of a checkpoint."""
    for make in LAYERS.values():
        torch.manual_seed(0)
        ours = weighted(make(), "spectral")
        torch.manual_seed(0)
        theirs = nn.utils.parametrizations.spectral_norm(make())
        assert ours.state_dict().keys() == theirs.state_dict().keys()
        assert torch.equal(ours.weight, theirs.weight)


def test_networks_can_be_checked_without_memory():
    with torch.device("meta"):
        assert weighted(nn.Conv2d(3, 4, 3), "spectral").weight.shape == (4, 3, 3, 3)
