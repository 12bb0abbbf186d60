"""resnet, r3gan, bigan and bigan-dense: shapes, layers of their sources, labels, weights, refusals."""

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate

from duel import streams
from duel.datasets._base import Spec
from duel.errors import RecipeError
from duel.networks import _bidirectional, _init, _residual, _resnext
from duel.networks._base import Interface
from duel.networks.bigan import Bigan
from duel.networks.bigan_dense import BiganDense
from duel.networks.r3gan import R3gan
from duel.networks.resnet import Resnet

LATENT = 6
CLASSES = 3


@pytest.fixture(autouse=True)
def _the_same_numbers_every_time():
    torch.manual_seed(0)


def images(side, channels=1):
    return Spec("image", (channels, side, side))


POINTS = Spec("points", (2,))


@dataclass
class Case:
    """A small architecture and what it is asked for."""

    network: object
    interface: Interface

    def build(self, seed=0):
        self.network.check(self.interface)
        return self.network.build(self.interface, streams.stream(seed, "init"))


def case(network, spec, **changes):
    return Case(network, Interface(spec, LATENT, encoder=isinstance(network, Bigan | BiganDense), **changes))


SMALL_RESNET = {"generator_width": 4, "discriminator_width": 8}
CASES = {
    "resnet 8": case(Resnet(**SMALL_RESNET), images(8)),
    "resnet 10": case(Resnet(**SMALL_RESNET, discriminator_norm="layer"), images(10, 3)),
    "resnet 28": case(Resnet(**SMALL_RESNET, discriminator_norm="spectral"), images(28)),
    "resnet 32": case(Resnet(**SMALL_RESNET, generator_norm="none"), images(32, 3)),
    "resnet 64": case(Resnet(**SMALL_RESNET, discriminator_norm="layer"), images(64)),
    "resnet 112": case(Resnet(generator_width=2, discriminator_width=4), images(112)),
    "r3gan 8": case(R3gan(width=4), images(8)),
    "r3gan 28": case(R3gan(width=16, blocks=1), images(28, 3)),
    "r3gan 64": case(R3gan(width=16, group_size=8, blocks=1), images(64)),
    "r3gan 128": case(R3gan(width=8, blocks=1), images(128)),
    "bigan": case(Bigan(width=2, init_conv="normal", init_std=0.3), images(32, 3)),
    "bigan, no reparametrisation": case(
        Bigan(width=2, init_conv="normal", init_std=0.3, reparametrise=False), images(32)
    ),
    "bigan-dense 8": case(BiganDense(hidden=(12, 10), init_linear="normal", init_std=0.3), images(8, 3)),
    "bigan-dense points": case(
        BiganDense(hidden=(12, 10, 9), init_linear="normal", init_std=0.3, bounded=False), POINTS
    ),
}
ENCODING = [name for name in CASES if "bigan" in name]
PLAIN = [name for name in CASES if "bigan" not in name]
# who is given labels: nobody, the generator, the discriminator, both
GIVEN = [(0, 0), (CLASSES, 0), (0, CLASSES), (CLASSES, CLASSES)]


def asked(name, given=(0, 0), outputs=1):
    found = CASES[name]
    if found.network == Resnet(**SMALL_RESNET, generator_norm="none"):
        found = replace(found, network=Resnet(**SMALL_RESNET))
    generator, discriminator = given
    return replace(
        found,
        interface=replace(
            found.interface,
            generator_classes=generator,
            discriminator_classes=discriminator,
            outputs=outputs,
        ),
    )


def play(networks, interface, n=4):
    """Logits for generated pairs or samples, and for encoded ones where there is an encoder."""
    labels = torch.arange(n) % CLASSES
    z = torch.randn(n, LATENT)
    fake = networks.generator(z, *[labels] * bool(interface.generator_classes))
    label = [labels] * bool(interface.discriminator_classes)
    if networks.encoder is None:
        return fake, [networks.discriminator(fake, *label)]
    real = torch.rand(n, *interface.spec.shape) * 2 - 1
    return fake, [
        networks.discriminator(fake, z, *label),
        networks.discriminator(real, networks.encoder(real), *label),
    ]


# ---------------------------------------------------------------- what every architecture does


@pytest.mark.parametrize("outputs", [1, 4])
@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("name", CASES)
def test_shapes_and_range(name, given, outputs):
    found = asked(name, given, outputs)
    fake, logits = play(found.build(), found.interface)
    assert fake.shape == (4, *found.interface.spec.shape)
    assert fake.abs().max() <= 1
    for one in logits:
        assert one.shape == ((4,) if outputs == 1 else (4, outputs))
        assert one.isfinite().all()


@pytest.mark.parametrize("given", [GIVEN[0], GIVEN[-1]])
@pytest.mark.parametrize("name", CASES)
def test_every_parameter_gets_a_gradient_at_the_latest_after_one_update(name, given):
    """A branch that starts at 0 (r3gan's, a conditional norm's offsets) lets no gradient through at first."""
    found = asked(name, given)
    networks = found.build()
    parameters = {
        f"{which}.{key}": parameter
        for which, module in networks.named().items()
        for key, parameter in module.named_parameters()
    }
    moved = set()
    for _ in range(2):
        _, logits = play(networks, found.interface, n=8)
        loss = sum((one - torch.linspace(-1, 1, 8)).square().mean() for one in logits)
        gradients = torch.autograd.grad(loss, list(parameters.values()))
        for (key, parameter), gradient in zip(parameters.items(), gradients, strict=True):
            if gradient.abs().max() > 1e-12:
                moved.add(key)
            with torch.no_grad():
                parameter -= 0.1 * gradient
    assert set(parameters) - moved == set()


@pytest.mark.parametrize("name", CASES)
def test_labels_matter(name):
    found = asked(name, GIVEN[-1])
    networks = found.build()
    for embedding in (m for module in networks.named().values() for m in module.modules()):
        if isinstance(embedding, nn.Embedding):
            embedding.weight.data = torch.randn(embedding.weight.shape)
    for module in networks.named().values():
        module.eval()
    z, samples = torch.randn(4, LATENT), torch.rand(4, *found.interface.spec.shape)
    zeros, ones = torch.zeros(4, dtype=torch.int64), torch.ones(4, dtype=torch.int64)
    beside = [] if networks.encoder is None else [z]
    assert not torch.allclose(networks.generator(z, zeros), networks.generator(z, ones))
    assert not torch.allclose(
        networks.discriminator(samples, *beside, zeros), networks.discriminator(samples, *beside, ones)
    )


@pytest.mark.parametrize("name", CASES)
def test_all_weights_and_buffers_come_from_the_stream(name):
    found = asked(name, GIVEN[-1])
    torch.manual_seed(1)
    first = found.build()
    torch.manual_seed(2)
    second, other = found.build(), found.build(seed=1)
    for which, module in first.named().items():
        again, different = second.named()[which].state_dict(), other.named()[which].state_dict()
        for key, value in module.state_dict().items():
            assert torch.equal(value, again[key]), f"{which}.{key}"
        assert any(not torch.equal(value, different[key]) for key, value in module.state_dict().items())


@pytest.mark.parametrize("name", CASES)
def test_weights_can_be_saved_and_loaded(name):
    found = asked(name, GIVEN[-1])
    first, second = found.build(), found.build(seed=1)
    torch.manual_seed(3)
    play(first, found.interface)  # moves the running statistics
    for which, module in first.named().items():
        second.named()[which].load_state_dict(module.state_dict())
    for networks in (first, second):
        for module in networks.named().values():
            module.eval()
    torch.manual_seed(4)
    ours = play(first, found.interface)
    torch.manual_seed(4)
    theirs = play(second, found.interface)
    assert torch.equal(ours[0], theirs[0])
    assert all(torch.equal(a, b) for a, b in zip(ours[1], theirs[1], strict=True))


@pytest.mark.parametrize("name", ["resnet 8", "resnet 10", "resnet 28", "resnet 32", "r3gan 8", "r3gan 28"])
def test_a_gradient_penalty_can_be_differentiated_and_is_each_samples_own(name):
    found = asked(name)
    discriminator = found.build().discriminator.double().eval()  # spectral norms stand still
    samples = torch.rand(4, *found.interface.spec.shape, dtype=torch.float64, requires_grad=True)
    slopes = torch.autograd.grad(discriminator(samples).sum(), samples, create_graph=True)[0]
    alone = samples[:1].detach().requires_grad_()
    assert torch.allclose(torch.autograd.grad(discriminator(alone).sum(), alone)[0], slopes[:1])
    slopes.square().sum().backward()
    assert sum(p.grad.abs().sum() for p in discriminator.parameters() if p.grad is not None) > 0


@pytest.mark.parametrize("name", PLAIN)
def test_no_batch_norm_in_the_discriminator(name):
    kinds = [type(layer).__name__ for layer in asked(name, GIVEN[-1]).build().discriminator.modules()]
    assert not any("BatchNorm" in kind for kind in kinds)


# ---------------------------------------------------------------- resnet


def blocks(module, kind):
    return [block for block in module.modules() if isinstance(block, kind)]


def maps(block):
    convolutions = [layer for layer in block.residual if isinstance(layer, nn.Conv2d)]
    return convolutions[0].in_channels, convolutions[-1].out_channels


def build(network, spec, **changes):
    return case(network, spec, **changes).build()


def test_resnet_at_32_has_sngans_blocks():
    networks = build(Resnet(generator_width=8, discriminator_width=4), images(32, 3))
    assert [maps(block) for block in blocks(networks.generator, _residual.Up)] == [(8, 8)] * 3
    down = blocks(networks.discriminator, _residual.Down)
    assert [maps(block) for block in down] == [(3, 4), (4, 4), (4, 4), (4, 4)]
    assert [bool(blocks(block.residual, nn.AvgPool2d)) for block in down] == [True, True, False, False]
    assert [len(block.shortcut) for block in down] == [2, 2, 0, 0]
    sides = []
    for block in down:
        block.register_forward_hook(lambda _m, _x, y: sides.append(y.shape[-1]))
    networks.discriminator(torch.rand(2, 3, 32, 32))
    assert sides == [16, 8, 8, 8]


def test_resnet_at_64_doubles_the_maps_towards_the_seed():
    networks = build(Resnet(generator_width=2, discriminator_width=3), images(64))
    up = [maps(block) for block in blocks(networks.generator, _residual.Up)]
    assert up == [(32, 16), (16, 8), (8, 4), (4, 2)]
    down = [maps(block) for block in blocks(networks.discriminator, _residual.Down)]
    assert down == [(1, 3), (3, 6), (6, 12), (12, 24), (24, 48)]


@pytest.mark.parametrize(("norm", "expected"), [("none", 0), ("layer", 6), ("spectral", 0)])
def test_resnets_discriminator_norm(norm, expected):
    discriminator = build(Resnet(**SMALL_RESNET, discriminator_norm=norm), images(32)).discriminator
    assert len(blocks(discriminator, nn.GroupNorm)) == expected  # two per block that is not the first
    weights = [layer for layer in discriminator.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    parametrized = [layer for layer in weights if hasattr(layer, "parametrizations")]
    assert len(parametrized) == (len(weights) if norm == "spectral" else 0)
    for layer in parametrized:
        assert abs(torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2) - 1) < 0.1


@pytest.mark.parametrize(("norm", "expected"), [("none", 0), ("batch", 7)])
def test_resnets_generator_norm(norm, expected):
    generator = build(Resnet(**SMALL_RESNET, generator_norm=norm), images(32)).generator
    assert len(blocks(generator, nn.BatchNorm2d)) == expected
    convolutions = [layer for block in blocks(generator, _residual.Up) for layer in blocks(block, nn.Conv2d)]
    assert {layer.bias is not None for layer in convolutions} == {norm == "none"}


def test_resnets_weights_are_glorot_with_the_gain_in_the_branches():
    networks = build(Resnet(generator_width=32, discriminator_width=32), images(32))
    block = blocks(networks.discriminator, _residual.Down)[1]
    for layer, gain in [(block.residual[1], math.sqrt(2)), (block.residual[3], math.sqrt(2)),
                        (block.shortcut[0], 1.0), (networks.generator[0], 1.0)]:  # fmt: skip
        rows, columns, *kernel = layer.weight.shape
        bound = gain * math.sqrt(6 / (math.prod(kernel) * (rows + columns)))
        assert 0.97 * bound < layer.weight.abs().max() <= bound
        assert not layer.bias.any() if layer.bias is not None else True


# ---------------------------------------------------------------- r3gan


def test_r3gan_starts_as_a_chain_of_identities_with_msr_weights():
    networks = build(R3gan(width=32, blocks=2), images(32, 3), generator_classes=5, discriminator_classes=5)
    found = blocks(networks.generator, _resnext.Block)
    assert len(found) == 2 * 4
    x = torch.randn(2, 32, 8, 8)
    assert all(torch.equal(block(x), x) for block in found)
    gain = math.sqrt(2 / 1.04) * 8 ** (-1 / 4)
    first, _, grouped, _, _ = found[0].branch
    assert grouped.groups == 64 // 16
    assert math.isclose(first.weight.std().item(), gain / math.sqrt(32), rel_tol=0.1)
    assert math.isclose(grouped.weight.std().item(), gain / math.sqrt(16 * 9), rel_tol=0.1)
    basis = blocks(networks.generator, _resnext.Basis)[0]
    assert math.isclose(basis.maps.std().item(), 1.0, rel_tol=0.1)
    projection = blocks(networks.discriminator, _resnext.Projection)[0]
    assert math.isclose(projection.embedding.weight.std().item(), 1 / math.sqrt(5 * 32), rel_tol=0.2)


def test_r3gan_has_no_norm_at_all():
    networks = build(R3gan(width=16), images(32), generator_classes=3, discriminator_classes=3)
    kinds = {type(layer).__name__ for module in networks.named().values() for layer in module.modules()}
    assert not any("Norm" in kind for kind in kinds)


def test_r3gans_discriminator_mirrors_the_generator():
    networks = build(R3gan(width=16, blocks=1, group_size=4), images(128))
    widths = [
        [block.branch[0].in_channels for block in blocks(module, _resnext.Block)]
        for module in (networks.generator, networks.discriminator)
    ]
    assert widths == [[16, 16, 16, 16, 8, 4], [4, 8, 16, 16, 16, 16]]
    last = [layer for layer in networks.discriminator if isinstance(layer, nn.Conv2d)][-1]
    assert (last.groups, last.kernel_size) == (16, (4, 4))


def test_resampling_is_bilinear_inside_and_has_no_weights():
    x = torch.randn(2, 3, 8, 8)
    double, halve = _resnext.Double(), _resnext.Halve()
    inside = (slice(None), slice(None), slice(1, -1), slice(1, -1))
    larger = interpolate(x, scale_factor=2, mode="bilinear")
    smaller = interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True)
    assert torch.allclose(double(x)[inside], larger[inside], atol=1e-6)
    assert torch.allclose(halve(x)[inside], smaller[inside], atol=1e-6)
    assert not double.state_dict()
    assert not list(double.parameters())


@pytest.mark.parametrize(
    ("option", "value"), [("width", 32), ("blocks", 3), ("group_size", 8), ("expansion", 3)]
)
def test_r3gans_options_change_the_network(option, value):
    base = build(R3gan(width=16), images(16)).generator
    changed = build(R3gan(**{"width": 16, option: value}), images(16)).generator
    assert [p.shape for p in base.parameters()] != [p.shape for p in changed.parameters()]


# ---------------------------------------------------------------- bigan


def count(module, *kinds):
    return [len(blocks(module, kind)) for kind in kinds]


def test_bigan_has_the_layers_of_the_sources_tables():
    networks = build(Bigan(width=2), images(32))
    up, down, norm = nn.ConvTranspose2d, nn.Conv2d, nn.BatchNorm2d
    assert count(networks.generator, up, down, norm, nn.ReLU, nn.Tanh) == [5, 1, 5, 5, 1]
    assert count(networks.encoder, down, norm, nn.LeakyReLU) == [7, 6, 6]
    d = networks.discriminator
    assert count(d.x_path, down, norm, nn.LeakyReLU, nn.Dropout2d) == [5, 4, 5, 5]
    assert count(d.z_path, down, norm, nn.LeakyReLU, nn.Dropout2d) == [2, 0, 2, 2]
    assert count(d.joint, down, norm, nn.LeakyReLU, nn.Dropout) == [3, 0, 2, 2]
    kinds = [type(layer).__name__ for layer in d.x_path]
    assert kinds[:3] == ["Conv2d", "LeakyReLU", "Dropout2d"]
    assert kinds[3:] == ["Conv2d", "BatchNorm2d", "LeakyReLU", "Dropout2d"] * 4


def test_bigans_weights_are_normal():
    networks = build(Bigan(width=16, init_conv="normal", init_std=0.05), images(32), generator_classes=9)
    layer = networks.encoder.linear
    assert math.isclose(layer.weight.std().item(), 0.05, rel_tol=0.1)
    norm = networks.discriminator.x_path[4]
    assert 0 < (norm.weight - 1).std() < 0.1
    embedding = blocks(networks.generator, nn.Embedding)[0]
    assert math.isclose(embedding.weight.std().item(), 1.0, rel_tol=0.1)


@pytest.mark.parametrize("reparametrise", [True, False])
def test_an_encoding_is_drawn_in_training_only(reparametrise):
    encoder = build(Bigan(width=2, reparametrise=reparametrise), images(32)).encoder
    x = torch.rand(4, 1, 32, 32)
    assert torch.equal(encoder(x), encoder(x)) != reparametrise
    encoder.eval()
    mean = encoder(x)
    assert torch.equal(mean, encoder(x))
    both = encoder.linear(encoder.body(x)).flatten(1)
    assert both.shape == (4, (1 + reparametrise) * LATENT)
    assert torch.equal(mean, both[:, :LATENT])


def test_reparametrised_vectors_have_the_stated_mean_and_spread():
    mean, log_std = torch.tensor([1.0, -2.0]), torch.tensor([0.0, -1.0])
    z = _bidirectional.Reparametrised()(torch.cat([mean, log_std]).expand(50_000, 4))
    assert torch.allclose(z.mean(0), mean, atol=0.02)
    assert torch.allclose(z.std(0), log_std.exp(), rtol=0.02)


def test_epsilon_comes_from_torchs_generator():
    encoder = build(Bigan(width=2), images(32)).encoder
    x, drawn = torch.rand(4, 1, 32, 32), []
    for _ in range(2):
        torch.manual_seed(5)
        drawn.append(encoder(x))
    assert torch.equal(*drawn)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("bigan", 16 * 2), ("bigan, no reparametrisation", 16 * 2), ("bigan-dense 8", 10),
     ("bigan-dense points", 9)],
)  # fmt: skip
def test_hidden_gives_the_last_hidden_layer(name, expected):
    found = asked(name)
    encoder = found.build().encoder.eval()
    samples = torch.rand(5, *found.interface.spec.shape)
    hidden = encoder.hidden(samples)
    assert hidden.shape == (5, expected)
    weight, bias = encoder.linear.weight.flatten(1), encoder.linear.bias
    assert torch.allclose(
        encoder.last(nn.functional.linear(hidden, weight, bias)), encoder(samples), atol=1e-6
    )


@pytest.mark.parametrize("name", ENCODING)
def test_the_discriminator_looks_at_the_sample_and_at_the_latent_vector(name):
    found = asked(name)
    discriminator = found.build().discriminator.eval()
    x, z = torch.rand(4, *found.interface.spec.shape), torch.randn(4, LATENT)
    one = discriminator(x, z)
    assert not torch.allclose(one, discriminator(x.flip(0), z), atol=1e-9)
    assert not torch.allclose(one, discriminator(x, z.flip(0)), atol=1e-9)


@pytest.mark.parametrize("network", [Bigan(width=2, slope=0.01), BiganDense(hidden=(8, 8), slope=0.01)])
def test_the_slope_is_used(network):
    networks = build(network, images(32))
    slopes = {layer.negative_slope for m in networks.named().values() for layer in blocks(m, nn.LeakyReLU)}
    assert slopes == {0.01}


def test_bigans_dropout_is_used():
    networks = build(Bigan(width=2, dropout=0.3), images(32))
    found = blocks(networks.discriminator, nn.Dropout) + blocks(networks.discriminator, nn.Dropout2d)
    assert {layer.p for layer in found} == {0.3}


@pytest.mark.parametrize("network", [Bigan(width=2, label_size=7), BiganDense(hidden=(8, 8), label_size=7)])
def test_the_label_size_is_used(network):
    found = case(network, images(32), generator_classes=3, discriminator_classes=3)
    networks = found.build()
    play(networks, found.interface)
    for module in (networks.generator, networks.discriminator):
        assert [layer.embedding_dim for layer in blocks(module, nn.Embedding)] == [7]


# ---------------------------------------------------------------- bigan-dense


def test_bigan_dense_has_the_papers_layers():
    networks = build(BiganDense(), images(28))
    expected = ["Linear", "ReLU", "Linear", "BatchNorm1d", "ReLU", "Linear", "Tanh", "Unflatten"]
    assert [type(layer).__name__ for layer in networks.generator] == expected
    expected = ["Flatten", "Linear", "LeakyReLU", "Linear", "BatchNorm1d", "LeakyReLU"]
    assert [type(layer).__name__ for layer in networks.encoder.body] == expected
    shapes = [tuple(p.shape) for p in networks.discriminator.parameters()]
    assert shapes == [(1024, 784), (1024, 1024), (1024, LATENT), (1, 1024)]
    for module in networks.named().values():
        assert not any("bias" in key for key, _ in module.named_parameters())  # and no parameters of norms
        for _, weight in module.named_parameters():
            assert math.isclose(weight.std().item(), 0.02, rel_tol=0.1)
    assert count(networks.discriminator, nn.BatchNorm1d) == [1]


def test_bounded_encodings_are_those_of_uniform_latent_vectors():
    x = 3 * torch.randn(50, 6)
    assert torch.allclose(_bidirectional.Bounded()(x), 2 * x.sigmoid() - 1, atol=1e-6)
    for bounded in (True, False):
        encoder = build(
            BiganDense(hidden=(8, 8), bounded=bounded, init_linear="normal", init_std=2.0), images(8)
        ).encoder
        assert (encoder(torch.randn(50, 1, 8, 8)).abs().max() <= 1) == bounded


def test_dense_norms_follow_every_hidden_layer_but_the_first():
    networks = build(BiganDense(hidden=(9, 8, 7)), POINTS)
    for module in networks.named().values():
        assert [layer.num_features for layer in blocks(module, nn.BatchNorm1d)] == [8, 7]
    linear = [layer.weight.shape for layer in blocks(networks.generator, nn.Linear)]
    assert all(after[1] == before[0] for before, after in pairwise(linear))


# ---------------------------------------------------------------- initial weights asked for, refusals


@pytest.mark.parametrize("name", ["resnet 28", "r3gan 28", "bigan"])
def test_other_initial_weights_of_convolutions_leave_the_others_as_in_the_paper(name):
    found = asked(name)
    paper = found.build()
    changed = replace(found, network=replace(found.network, init_conv="normal", init_std=0.5)).build()
    layers = zip(paper.generator.modules(), changed.generator.modules(), strict=True)
    for before, after in layers:
        if isinstance(before, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            same = torch.equal(_init.weight_of(before), _init.weight_of(after))
            assert same == isinstance(before, nn.Linear)


WITHOUT_ENCODER = {"encoder": False}


@pytest.mark.parametrize(
    ("network", "interface", "sentence"),
    [
        (Resnet(), Interface(POINTS, 5), "these data are points"),
        (R3gan(), Interface(POINTS, 5), "these data are points"),
        (Bigan(), Interface(POINTS, 5, encoder=True), "these data are points"),
        (Resnet(), Interface(images(8), 5, encoder=True), '"resnet" has not: use network.name=bigan'),
        (R3gan(), Interface(images(8), 5, encoder=True), '"r3gan" has not: use network.name=bigan'),
        (Resnet(), Interface(images(30), 5), '"resnet" cannot make images of 30×30'),
        (R3gan(), Interface(images(30), 5), '"r3gan" cannot make images of 30×30'),
        (Bigan(), Interface(images(28), 5, encoder=True), r"use data.resolution=32 \(and data.fit=pad"),
        (Bigan(), Interface(images(32), 5), "use game.name=bidirectional"),
        (BiganDense(), Interface(POINTS, 5), "use game.name=bidirectional"),
        (
            Resnet(generator_norm="none"),
            Interface(images(32), 5, generator_classes=3),
            "use network.generator_norm=batch",
        ),
        (R3gan(width=20), Interface(images(32), 5), "not whole groups of 16: use network.width=16 or"),
        (R3gan(width=2), Interface(images(128), 5), "use network.width=64 or"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(network, interface, sentence):
    with pytest.raises(RecipeError, match=sentence) as caught:
        network.check(interface)
    message = str(caught.value)
    assert "\n" not in message
    assert not message.endswith(".")
    assert ". " not in message


@pytest.mark.parametrize(
    ("cls", "options", "sentence"),
    [
        (Resnet, {"generator_width": 0}, "generator_width is 0, allowed are integers from 1"),
        (Resnet, {"discriminator_width": 0}, "discriminator_width is 0"),
        (R3gan, {"width": 0}, "width is 0"),
        (R3gan, {"blocks": 0}, "blocks is 0"),
        (R3gan, {"group_size": 0}, "group_size is 0"),
        (R3gan, {"expansion": 0}, "expansion is 0"),
        (Bigan, {"width": 0}, "width is 0"),
        (Bigan, {"dropout": 1.0}, "dropout is 1.0, allowed are numbers from 0 to below 1"),
        (Bigan, {"label_size": 0}, "label_size is 0"),
        (BiganDense, {"hidden": (8,)}, r"hidden is \[8\], allowed are two or more integers from 1"),
        (BiganDense, {"hidden": (8, 0)}, r"hidden is \[8, 0\]"),
        (BiganDense, {"label_size": 0}, "label_size is 0"),
    ],
)
def test_options_out_of_range_are_refused(cls, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        cls(**options)
