"""DCGAN's and the dense networks' switches: layers, weights, labels, norms, refusals."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from duel import streams
from duel.datasets._base import Spec
from duel.errors import RecipeError
from duel.networks import _layers
from duel.networks._base import Interface
from duel.networks._init import weight_of
from duel.networks._sides import seed_side
from duel.networks.dcgan import Dcgan
from duel.networks.dense import Dense

NORMS = ("batch", "layer", "none", "spectral")
UPSCALES = ("transposed", "nearest", "bilinear")
WEIGHTS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.Embedding)


def interface(side=8, channels=1, classes=0, outputs=1, **changes):
    found = Interface(Spec("image", (channels, side, side)), 5, classes, classes, outputs=outputs)
    return replace(found, **changes)


def built(network, asked, seed=0):
    network.check(asked)
    return network.build(asked, streams.stream(seed, "init"))


def latent(n, size=5, seed=0):
    return torch.randn(n, size, generator=torch.Generator().manual_seed(seed))


def images(n, side=8, channels=1, seed=1):
    return torch.randn(n, channels, side, side, generator=torch.Generator().manual_seed(seed)).clamp(-1, 1)


def names(module):
    """The layers in order; each weight layer with what goes in and out, and whether it has a bias."""
    return [describe(layer) for layer in module]


def describe(layer):
    name = type(layer).__name__.removeprefix("Parametrized")
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        return f"{name} {layer.in_channels}-{layer.out_channels} k{layer.kernel_size[0]}" + (
            " bias" if layer.bias is not None else ""
        )
    if isinstance(layer, nn.Linear):
        return f"{name} {layer.in_features}-{layer.out_features}"
    return name


def weight_layers(module):
    return [layer for layer in module.modules() if isinstance(layer, WEIGHTS)]


def state_bytes(networks):
    return {
        (name, key): value.numpy().tobytes()
        for name, module in networks.named().items()
        for key, value in module.state_dict().items()
    }


# ---------------------------------------------------------------- the defaults are the paper's


class TestDefaults:
    def test_layers_of_the_generator(self):
        networks = built(Dcgan(width=4), interface(28, 3))
        assert names(networks.generator) == [
            "Unflatten",
            "ConvTranspose2d 5-8 k7",
            "BatchNorm2d",
            "ReLU",
            "ConvTranspose2d 8-4 k4",
            "BatchNorm2d",
            "ReLU",
            "ConvTranspose2d 4-3 k4",
            "Tanh",
        ]

    def test_layers_of_the_discriminator(self):
        networks = built(Dcgan(width=4), interface(28, 3))
        assert names(networks.discriminator) == [
            "Conv2d 3-4 k4",
            "LeakyReLU",
            "Conv2d 4-8 k4",
            "BatchNorm2d",
            "LeakyReLU",
            "Conv2d 8-1 k7",
            "Flatten",
        ]

    def test_weights_are_the_streams_draws_in_order(self):
        networks = built(Dcgan(width=4), interface(28, 3))
        rng = streams.stream(0, "init")
        seen = 0
        for module in (networks.generator, networks.discriminator):
            for layer in module:
                if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d):
                    mean = float(isinstance(layer, nn.BatchNorm2d))
                    drawn = (mean + 0.02 * rng.standard_normal(layer.weight.shape)).astype(np.float32)
                    assert np.array_equal(layer.weight.detach().numpy(), drawn)
                    assert layer.bias is None or not layer.bias.any()
                    seen += 1
        assert seen == 9

    def test_layers_and_weights_of_the_dense_networks(self):
        networks = built(Dense(generator_hidden=(7,), discriminator_hidden=(6, 3)), interface())
        assert names(networks.generator) == ["Linear 5-7", "ReLU", "Linear 7-64", "Tanh", "Unflatten"]
        expected = ["Flatten", "Linear 64-6", "LeakyReLU", "Linear 6-3", "LeakyReLU", "Linear 3-1", "Flatten"]
        assert names(networks.discriminator) == expected
        rng = streams.stream(0, "init")
        for layer in weight_layers(networks.generator) + weight_layers(networks.discriminator):
            bound = (6 / sum(layer.weight.shape)) ** 0.5
            drawn = rng.uniform(-bound, bound, layer.weight.shape).astype(np.float32)
            assert np.array_equal(layer.weight.detach().numpy(), drawn)
            assert not layer.bias.any()


# ---------------------------------------------------------------- every combination


def combinations():
    orders = product(UPSCALES, NORMS, (False, True), ("channel", "projection"), (0, 3), (1, 4))
    for upscale, norm, after, condition, classes, outputs in orders:
        network = Dcgan(
            width=4,
            upscale=upscale,
            generator_norm="batch" if condition == "projection" and classes else norm,
            discriminator_norm=norm,
            norm_after_activation=after,
            condition=condition,
        )
        yield network, classes, outputs


def check_shapes_and_gradients(network, asked):
    networks = built(network, asked)
    labels = torch.tensor([0, 1, 2, 0]) if asked.generator_classes else None
    z = latent(4, asked.latent_size)
    fake = networks.generator(z) if labels is None else networks.generator(z, labels)
    assert fake.shape == (4, *asked.spec.shape)
    assert fake.abs().max() <= 1
    seen = (
        networks.discriminator(fake, labels) if asked.discriminator_classes else networks.discriminator(fake)
    )
    assert seen.shape == ((4,) if asked.outputs == 1 else (4, asked.outputs))
    weights = torch.linspace(1, 2, seen.numel()).view_as(seen)  # of equal weights norms can lose sight
    (seen * weights).sum().backward()
    for name, module in networks.named().items():
        for key, parameter in module.named_parameters():
            assert parameter.grad is not None, f"{name}.{key} has no gradient"
            assert parameter.grad.any(), f"{name}.{key} has gradient 0"


@pytest.mark.parametrize("side", [8, 28])
def test_every_combination_has_shapes_and_gradients(side):
    for network, classes, outputs in combinations():
        try:
            check_shapes_and_gradients(network, interface(side, 1, classes, outputs))
        except Exception as error:
            raise AssertionError(f"{network}, {classes} classes, {outputs} outputs: {error}") from error


@pytest.mark.parametrize("condition", ["channel", "projection"])
@pytest.mark.parametrize("upscale", UPSCALES)
def test_colour_images_of_48_pixels(upscale, condition):
    network = Dcgan(width=4, upscale=upscale, condition=condition)
    check_shapes_and_gradients(network, interface(48, 3, 3))


@pytest.mark.parametrize("condition", ["channel", "projection"])
@pytest.mark.parametrize(("generator", "discriminator"), [(3, 0), (0, 3)])
@pytest.mark.parametrize("outputs", [1, 4])
def test_labels_for_one_network_only(generator, discriminator, condition, outputs):
    asked = interface(outputs=outputs, generator_classes=generator, discriminator_classes=discriminator)
    network = Dcgan(width=4, condition=condition)
    networks = built(network, asked)
    labels = torch.tensor([0, 1, 2, 0])
    fake = networks.generator(latent(4), *([labels] if generator else []))
    seen = networks.discriminator(fake, *([labels] if discriminator else []))
    assert seen.shape == ((4,) if outputs == 1 else (4, 4))


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("outputs", [1, 4])
@pytest.mark.parametrize("spec", [Spec("points", (2,)), Spec("image", (3, 5, 7))], ids=["points", "image"])
def test_the_dense_networks_take_any_spec(spec, classes, outputs):
    network = Dense(generator_hidden=(8, 9), discriminator_hidden=(9, 8), label_size=6)
    check_shapes_and_gradients(network, interface(classes=classes, outputs=outputs, spec=spec))


# ---------------------------------------------------------------- layers of the switches


def test_upscaling_in_front_of_a_3x3_convolution():
    networks = built(Dcgan(width=4, upscale="nearest"), interface(28))
    assert names(networks.generator) == [
        "Unflatten",
        "ConvTranspose2d 5-8 k7",
        "BatchNorm2d",
        "ReLU",
        "Upsample",
        "Conv2d 8-4 k3",
        "BatchNorm2d",
        "ReLU",
        "Upsample",
        "Conv2d 4-1 k3",
        "Tanh",
    ]


def test_upscaling_changes_the_images_and_not_the_discriminator():
    all_networks = {kind: built(Dcgan(width=4, upscale=kind), interface()) for kind in UPSCALES}
    fakes = {kind: networks.generator(latent(4)) for kind, networks in all_networks.items()}
    assert not torch.allclose(fakes["nearest"], fakes["bilinear"])
    assert not torch.allclose(fakes["nearest"], fakes["transposed"])
    assert len({tuple(names(networks.discriminator)) for networks in all_networks.values()}) == 1


def test_norm_after_activation_turns_the_order_round_in_both_networks():
    networks = built(Dcgan(width=4, norm_after_activation=True), interface(16))
    assert names(networks.generator)[1:4] == ["ConvTranspose2d 5-8 k4", "ReLU", "BatchNorm2d"]
    assert names(networks.discriminator)[2:5] == ["Conv2d 4-8 k4", "LeakyReLU", "BatchNorm2d"]


BIAS = {  # norm, after activation → in hidden layers with a norm, in layers without
    ("batch", False): (False, False),
    ("batch", True): (False, False),
    ("layer", False): (False, True),
    ("layer", True): (True, True),
    ("none", False): (True, True),
    ("none", True): (True, True),
    ("spectral", False): (True, True),
    ("spectral", True): (True, True),
}


@pytest.mark.parametrize("upscale", UPSCALES)
@pytest.mark.parametrize(("norm", "after"), BIAS)
def test_a_bias_where_no_norm_takes_it_away(norm, after, upscale):
    hidden, edge = BIAS[norm, after]
    network = Dcgan(
        width=4, generator_norm=norm, discriminator_norm=norm, norm_after_activation=after, upscale=upscale
    )
    networks = built(network, interface(16))
    generator = [layer.bias is not None for layer in weight_layers(networks.generator)]
    discriminator = [layer.bias is not None for layer in weight_layers(networks.discriminator)]
    assert generator == [hidden, hidden, edge]
    assert discriminator == [edge, hidden, edge]


def test_each_network_has_its_own_norm():
    networks = built(Dcgan(width=4, generator_norm="layer", discriminator_norm="none"), interface(16))
    assert names(networks.generator).count("GroupNorm") == 2
    assert not {"GroupNorm", "BatchNorm2d"} & set(names(networks.discriminator))


def test_projection_sees_all_of_the_last_maps_and_channel_adds_a_map_to_each_network():
    projection = built(Dcgan(width=4, condition="projection"), interface(16, classes=3))
    assert names(projection.discriminator)[-3:] == ["Flatten", "ProjectionHead", "Flatten"]
    assert names(projection.generator).count("ConditionalBatchNorm") == 2
    channel = built(Dcgan(width=4), interface(16, 3, classes=3))
    assert names(channel.discriminator)[:2] == ["LabelChannel", "Conv2d 4-4 k4"]
    assert names(channel.generator)[3:6] == ["ReLU", "LabelChannel", "ConvTranspose2d 9-4 k4"]
    assert (channel.generator[4].side, channel.discriminator[0].side) == (4, 16)


def test_without_classes_the_condition_changes_nothing():
    one = built(Dcgan(width=4, condition="channel"), interface())
    other = built(Dcgan(width=4, condition="projection"), interface())
    assert state_bytes(one) == state_bytes(other)


# ---------------------------------------------------------------- labels


def conditional():
    for condition, norm in [("channel", name) for name in NORMS] + [("projection", "batch")]:
        yield Dcgan(width=4, condition=condition, generator_norm=norm, discriminator_norm=norm)
    yield Dense(generator_hidden=(8,), discriminator_hidden=(8,))


@pytest.mark.parametrize("network", list(conditional()), ids=repr)
def test_the_outputs_depend_on_the_label(network):
    networks = built(network, interface(classes=3))
    z, x = latent(1).expand(4, -1), images(1).expand(4, -1, -1, -1)
    for module, inputs in ((networks.generator, z), (networks.discriminator, x)):
        module.eval()
        out = module(inputs, torch.tensor([0, 1, 2, 0])).detach()
        far = [(out[first] - out[second]).abs().max() for first, second in ((0, 3), (0, 1), (1, 2))]
        assert 100 * far[0] < min(far[1:])  # the same label's two are equal but for rounding


def test_the_size_of_the_dense_networks_embedding():
    networks = built(
        Dense(label_size=3, generator_hidden=(8,), discriminator_hidden=(8,)), interface(classes=4)
    )
    assert networks.generator[0].embedding.weight.shape == (4, 3)
    assert names(networks.generator)[1] == "Linear 8-8"
    assert names(networks.discriminator)[:3] == ["Flatten", "LabelVector", "Linear 67-8"]


# ---------------------------------------------------------------- spectral norm


SPECTRAL = [
    Dcgan(width=8, generator_norm="spectral", discriminator_norm="spectral"),
    Dcgan(width=8, generator_norm="spectral", discriminator_norm="spectral", init_conv="glorot"),
    Dcgan(width=8, discriminator_norm="spectral", condition="projection"),
]


def effective_matrix(layer):
    """The weight as outputs × (inputs × taps), as Miyato et al. 2018 have it."""
    weight = layer.weight.detach()
    return (weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else weight).flatten(1)


@pytest.mark.parametrize("network", SPECTRAL, ids=repr)
def test_the_largest_singular_values_are_1(network):
    networks = built(network, interface(28, classes=3))
    both = network.generator_norm == "spectral"
    layers = weight_layers(networks.discriminator) + (weight_layers(networks.generator) if both else [])
    for layer in layers:
        largest = torch.linalg.matrix_norm(effective_matrix(layer.eval()), 2).item()
        assert largest == pytest.approx(1, abs=0.05), layer


@pytest.mark.parametrize("network", SPECTRAL, ids=repr)
def test_no_number_comes_from_torchs_generator(network):
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        found.append(state_bytes(built(network, interface(classes=3))))
        assert torch.equal(torch.get_rng_state(), before)
    assert found[0] == found[1]
    assert found[0] != state_bytes(built(network, interface(classes=3), seed=1))


@pytest.mark.parametrize("network", SPECTRAL, ids=repr)
def test_weights_and_vectors_survive_saving(network):
    one, other = (built(network, interface(classes=3), seed) for seed in (0, 1))
    labels, x = torch.tensor([0, 1, 2]), images(3)
    one.discriminator(x, labels)  # a step of the power iteration, so that its vectors are not the first ones
    for name, module in other.named().items():
        module.load_state_dict(one.named()[name].state_dict())
    assert state_bytes(one) == state_bytes(other)
    for _ in range(2):
        assert torch.equal(one.discriminator(x, labels), other.discriminator(x, labels))
        assert torch.equal(one.generator(latent(3), labels), other.generator(latent(3), labels))


# ---------------------------------------------------------------- norms and neighbours


@pytest.mark.parametrize(
    ("norm", "couples"), [("batch", True), ("layer", False), ("none", False), ("spectral", False)]
)
@pytest.mark.parametrize("after", [False, True])
def test_only_batch_norm_couples_samples(norm, couples, after):
    network = Dcgan(width=8, generator_norm=norm, discriminator_norm=norm, norm_after_activation=after)
    networks = built(network, interface(16))
    for module, inputs in ((networks.generator, latent(6)), (networks.discriminator, images(6, 16))):
        neighbours = torch.cat([inputs[:1], 3 * inputs[1:].flip(0)])
        # spectral norm looks at its weights anew in every pass; each module starts from the same vectors
        state = {key: value.clone() for key, value in module.state_dict().items()}
        first = module(inputs)[0].detach()
        module.load_state_dict(state)
        second = module(neighbours)[0].detach()
        assert (not torch.allclose(first, second, rtol=1e-4, atol=1e-7)) == couples


# ---------------------------------------------------------------- dropout


@pytest.mark.parametrize(
    "network",
    [
        Dcgan(width=8, dropout=0.5),
        Dcgan(width=8, dropout=0.5, norm_after_activation=True),
        Dense(dropout=0.5, generator_hidden=(32,), discriminator_hidden=(32, 16)),
    ],
    ids=repr,
)
def test_dropout_is_the_discriminators_and_only_in_training(network):
    networks = built(network, interface(16))
    layers = names(networks.discriminator)
    assert layers.count("Dropout") == layers.count("LeakyReLU") == 2
    assert "Dropout" not in names(networks.generator)
    x = images(4, 16)
    assert not torch.equal(networks.discriminator(x), networks.discriminator(x))
    networks.discriminator.eval()
    assert torch.equal(networks.discriminator(x), networks.discriminator(x))
    plain = built(replace(network, dropout=0.0), interface(16))
    assert [value for key, value in state_bytes(networks).items() if key[1].endswith("weight")] == [
        value for key, value in state_bytes(plain).items() if key[1].endswith("weight")
    ]


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("network", "asked", "words"),
    [
        (Dcgan(), interface(spec=Spec("points", (2,))), "makes images.*network.name=dense"),
        (Dcgan(), interface(encoder=True), 'wants an encoder.*"dcgan" has not'),
        (Dense(), interface(encoder=True), 'wants an encoder.*"dense" has not'),
        (Dcgan(), interface(30), '"dcgan" cannot make images of 30×30.*resolution=32'),
        (
            Dcgan(condition="projection", generator_norm="layer"),
            interface(classes=3),
            "generator_norm is layer: use network.generator_norm=batch",
        ),
    ],
)
def test_a_refusal_is_one_sentence(network, asked, words):
    with pytest.raises(RecipeError, match=words) as refusal:
        network.check(asked)
    text = str(refusal.value)
    assert "\n" not in text
    assert ". " not in text


def test_projection_with_another_norm_is_allowed_where_the_generator_has_no_labels():
    Dcgan(condition="projection", generator_norm="layer").check(interface(discriminator_classes=3))


def test_the_sides_message_names_the_network():
    with pytest.raises(RecipeError, match='the network "resnet" cannot make images of 9×9 pixels'):
        seed_side(9, "resnet")


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (Dcgan, {"dropout": 1.0}),
        (Dcgan, {"dropout": -0.1}),
        (Dcgan, {"upscale": "cubic"}),
        (Dcgan, {"generator_norm": "instance"}),
        (Dcgan, {"std": 0.02}),
        (Dense, {"dropout": 1.0}),
        (Dense, {"label_size": 0}),
    ],
)
def test_values_out_of_range_are_refused(cls, options):
    with pytest.raises(ValidationError):
        cls(**options)


def test_the_initial_spread_is_the_papers_everywhere():
    networks = built(Dcgan(width=32, condition="channel", generator_norm="layer"), interface(28, classes=10))
    for module in networks.named().values():
        labels = [layer for layer in module.modules() if isinstance(layer, _layers.LabelChannel)]
        assert len(labels) == 1
        for layer in weight_layers(module):
            weight = weight_of(layer).detach()
            if weight.numel() > 1000 and layer is not labels[0].dense:
                assert weight.std().item() == pytest.approx(0.02, rel=0.1)


def test_a_label_weighs_as_much_as_a_feature_map_from_the_start():
    networks = built(Dcgan(width=32, condition="channel"), interface(28, classes=10))
    for module in networks.named().values():
        (channel,) = [layer for layer in module.modules() if isinstance(layer, _layers.LabelChannel)]
        maps = channel(torch.zeros(10, 0, channel.side, channel.side), torch.arange(10))
        assert 0.2 < maps.std().item() < 2
