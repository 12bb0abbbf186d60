"""Augmentations: their published formulas, their chances, and what all of them keep."""

import math

import pytest
import torch
from torch.nn import functional

from duel.augmentations import _matrices as matrices
from duel.augmentations._pixels import moved, recolour, resample, without_rectangle
from duel.augmentations.ada import Ada
from duel.augmentations.diffaugment import DiffAugment
from duel.augmentations.flip import Flip
from duel.datasets._base import Spec
from duel.errors import RecipeError

COLOR = DiffAugment(translation=False, cutout=False)
TRANSLATION = DiffAugment(color=False, cutout=False)
CUTOUT = DiffAugment(color=False, translation=False)
ADA = Ada(start=1.0)
EVERY = [
    pytest.param(COLOR, id="color"),
    pytest.param(TRANSLATION, id="translation"),
    pytest.param(CUTOUT, id="cutout"),
    pytest.param(DiffAugment(), id="diffaugment"),
    pytest.param(ADA, id="ada"),
    pytest.param(Ada(start=0.5, color=False), id="ada-geometry"),
    pytest.param(Ada(start=0.5, geometry=False), id="ada-color"),
    pytest.param(Flip(), id="flip"),
]


def images(count, channels=3, height=16, width=16, seed=0, **kind):
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(count, channels, height, width, generator=generator) * 2 - 1).to(**kind)


def state_of(augmentation):
    return torch.tensor(augmentation.state(), dtype=torch.float32)


def applied(augmentation, samples, seed=0):
    torch.manual_seed(seed)
    return augmentation.apply(samples, state_of(augmentation))


# ---------------------------------------------------------------- what all of them keep


@pytest.mark.parametrize("augmentation", EVERY)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 8), (1, 28, 28), (3, 64, 64), (3, 12, 17)])
def test_shape_type_and_memory_format_stay(augmentation, layout, dtype, shape):
    samples = images(5, *shape).to(dtype, memory_format=layout)
    changed = applied(augmentation, samples)
    assert changed.shape == samples.shape
    assert changed.dtype == dtype
    assert changed.is_contiguous(memory_format=layout)
    assert changed.isfinite().all()


@pytest.mark.parametrize("augmentation", EVERY)
def test_a_seed_gives_the_same_and_without_one_each_call_draws_afresh(augmentation):
    samples = images(16)
    first = applied(augmentation, samples)
    again = augmentation.apply(samples, state_of(augmentation))
    assert torch.equal(first, applied(augmentation, samples))
    assert not torch.equal(first, again)


@pytest.mark.parametrize("augmentation", EVERY)
def test_the_images_of_a_batch_are_changed_each_in_its_own_way_and_the_input_is_not(augmentation):
    one = images(1)
    samples = one.repeat(16, 1, 1, 1)
    changed = applied(augmentation, samples)
    assert torch.equal(samples, one.expand_as(samples))
    assert len({tuple(image.flatten().tolist()) for image in changed}) > 1


@pytest.mark.parametrize("augmentation", EVERY)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_gradient_of_the_samples_is_right_and_can_be_differentiated_again(augmentation, channels):
    samples = images(3, channels, 8, 8, dtype=torch.float64).requires_grad_()
    # Coordinates and weights are float32; in the samples the change is linear, so the step can be wide.
    kind = {"eps": 1e-2, "atol": 1e-6, "fast_mode": True}
    assert torch.autograd.gradcheck(lambda x: applied(augmentation, x), samples, **kind)
    value = (applied(augmentation, samples) ** 3).sum()
    (gradient,) = torch.autograd.grad(value, samples, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), samples)
    assert gradient.abs().sum() > 0
    assert second.abs().sum() > 0


@pytest.mark.parametrize("augmentation", EVERY)
def test_nothing_is_read_back_to_the_host(augmentation):
    samples, state = images(4, device="meta"), state_of(augmentation).to("meta")
    assert augmentation.apply(samples, state).shape == samples.shape
    assert augmentation.adapt(state, torch.empty(4, device="meta")).shape == state.shape


@pytest.mark.parametrize("augmentation", EVERY)
def test_points_are_refused(augmentation):
    augmentation.check(Spec("image", (3, 8, 8)))
    with pytest.raises(RecipeError, match="these data are points"):
        augmentation.check(Spec("points", (2,)))


def test_ada_refuses_colours_that_are_neither_grey_nor_rgb_and_images_that_cannot_move():
    with pytest.raises(RecipeError, match="1 or 3 channels, these have 4"):
        Ada().check(Spec("image", (4, 8, 8)))
    with pytest.raises(RecipeError, match="these have 8×1"):
        Ada().check(Spec("image", (3, 8, 1)))
    Ada(color=False).check(Spec("image", (4, 8, 8)))
    Ada(geometry=False).check(Spec("image", (3, 8, 1)))


@pytest.mark.parametrize(
    ("cls", "given"),
    [
        (Flip, {"probability": 1.1}),
        (Flip, {"probability": -0.1}),
        (DiffAugment, {"color": False, "translation": False, "cutout": False}),
        (Ada, {"geometry": False, "color": False}),
        (Ada, {"target": 1.0}),
        (Ada, {"speed_images": 0}),
        (Ada, {"every": 0}),
        (Ada, {"most": 1.1}),
        (Ada, {"most": 0.0}),
        (Ada, {"most": 0.5, "start": 0.6}),
    ],
)
def test_options_out_of_range_are_refused(cls, given):
    with pytest.raises(ValueError, match=r"allowed are|set one of them"):
        cls(**given)


# ---------------------------------------------------------------- flip


@pytest.mark.parametrize("probability", [0.0, 0.2, 0.5, 1.0])
def test_flip_flips_the_stated_share_and_leaves_the_rest(probability):
    samples = images(4000, 1, 2, 3)
    changed = applied(Flip(probability=probability), samples)
    flipped = (changed == samples.flip(3)).flatten(1).all(1)
    same = (changed == samples).flatten(1).all(1)
    assert (flipped ^ same).all()
    spread = math.sqrt(probability * (1 - probability) / 4000)
    assert abs(flipped.double().mean().item() - probability) <= 4 * spread


# ---------------------------------------------------------------- diffaugment


@pytest.mark.parametrize("channels", [1, 3])
def test_color_is_brightness_then_saturation_then_contrast_with_the_drawn_numbers(channels):
    samples = images(6, channels, dtype=torch.float64)
    changed = applied(COLOR, samples)
    torch.manual_seed(0)
    brightness = [b - 0.5 for b in torch.rand(6, dtype=torch.float64).tolist()]
    saturation = [2 * s for s in torch.rand(6, dtype=torch.float64).tolist()] if channels == 3 else None
    contrast = [0.5 + c for c in torch.rand(6, dtype=torch.float64).tolist()]
    for n, image in enumerate(samples):
        expected = image + brightness[n]
        if saturation:
            grey = sum(expected) / channels
            expected = torch.stack([(1 - saturation[n]) * grey + saturation[n] * band for band in expected])
        middle = expected.sum() / expected.numel()
        expected = (1 - contrast[n]) * middle + contrast[n] * expected
        torch.testing.assert_close(changed[n], expected)


def test_brightness_is_one_number_per_image_between_minus_and_plus_a_half():
    # A uniform image has neither saturation nor contrast.
    samples = torch.full((2000, 3, 8, 8), 0.25)
    shift = (applied(COLOR, samples) - samples).flatten(1)
    assert (shift.amax(1) - shift.amin(1)).max() < 1e-6
    assert -0.5 <= shift.min() < -0.49
    assert 0.49 < shift.max() <= 0.5 + 1e-6
    assert abs(shift.mean().item()) < 0.03


def test_saturation_is_0_to_2_and_contrast_a_half_to_one_and_a_half():
    samples = images(1).repeat(2000, 1, 1, 1)
    changed = applied(COLOR, samples)

    def factor(spread):
        found = spread(changed).flatten(1).std(1) / spread(samples).flatten(1).std(1)
        return found.min().item(), found.max().item(), found.mean().item()

    contrast = factor(lambda x: x.mean(1))
    assert contrast == pytest.approx((0.5, 1.5, 1.0), abs=0.03)
    both = factor(lambda x: x - x.mean(1, keepdim=True))
    assert both[0] < 0.01
    assert 2.7 < both[1] <= 3.0
    assert both[2] == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (32, 32), (24, 40)])
def test_translation_is_by_whole_pixels_up_to_an_eighth_and_fills_with_0(height, width):
    one = torch.arange(1.0, height * width + 1).reshape(1, 1, height, width)
    changed = applied(TRANSLATION, one.repeat(3000, 1, 1, 1))
    most_down, most_right = height // 8, width // 8
    left = torch.ones(3000, dtype=torch.bool)
    for down in range(-most_down, most_down + 1):
        for right in range(-most_right, most_right + 1):
            padded = functional.pad(one, (most_right, most_right, most_down, most_down))
            top, start = most_down - down, most_right - right
            expected = padded[:, :, top : top + height, start : start + width]
            found = (changed == expected).flatten(1).all(1)
            assert found.any()
            left &= ~found
    assert not left.any()


def test_moved_moves_down_and_to_the_right():
    one = torch.zeros(1, 1, 8, 8)
    one[0, 0, 2, 3] = 1
    there = moved(one, torch.tensor([1]), torch.tensor([-2])).nonzero()
    assert there.tolist() == [[0, 0, 3, 1]]


@pytest.mark.parametrize(("height", "width"), [(8, 8), (10, 10), (28, 28), (8, 14)])
def test_cutout_zeroes_a_rectangle_of_half_of_each_side_around_any_place(height, width):
    changed = applied(CUTOUT, torch.ones(4000, 3, height, width))
    hidden = changed == 0
    assert (hidden | (changed == 1)).all()
    assert (hidden == hidden[:, :1]).all()
    rows, columns = hidden[:, 0].any(2), hidden[:, 0].any(1)
    assert torch.equal(hidden[:, 0], rows[:, :, None] & columns[:, None, :])
    for lines, side in ((rows, height), (columns, width)):
        half = side // 2
        starts = range(-(half // 2), side - half % 2 - half // 2 + 1)
        expected = {tuple(start <= i < start + half for i in range(side)) for start in starts}
        assert {tuple(line) for line in lines.tolist()} == expected
        assert half in lines.sum(1)


def test_cutout_leaves_the_rest_as_it_was_and_0_is_put_even_where_a_value_is_not_finite():
    samples = images(1)
    samples[0, 0, 4, 4] = math.inf
    cut = without_rectangle(samples, torch.tensor([2]), torch.tensor([3]), 4, 5)
    expected = samples.clone()
    expected[:, :, 2:6, 3:8] = 0
    assert torch.equal(cut, expected)


# ---------------------------------------------------------------- ada: places


def one(value):
    return torch.tensor([float(value)])


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("side", [8, 9, 28])
@pytest.mark.parametrize("times", [0, 1, 2, 3])
def test_quarter_turns_are_those_of_rot90_exactly(side, times, layout):
    samples = images(1, 3, side, side).to(memory_format=layout)
    assert torch.equal(resample(samples, matrices.quarter_turned(one(times))), samples.rot90(times, (2, 3)))


@pytest.mark.parametrize(("height", "width"), [(8, 8), (9, 9), (12, 17)])
def test_mirrored_is_flip_exactly(height, width):
    samples = images(1, 3, height, width)
    assert torch.equal(resample(samples, matrices.mirrored(one(1))), samples.flip(3))
    assert torch.equal(resample(samples, matrices.mirrored(one(0))), samples)


def test_shifted_moves_right_and_down_with_mirrored_edges():
    samples = images(1, 1, 8, 10)
    padded = functional.pad(samples, (3, 3, 3, 3), mode="reflect")
    changed = resample(samples, matrices.shifted(one(3), one(-2)))
    assert torch.equal(changed, padded[:, :, 5:13, 0:10])
    half = resample(samples, matrices.shifted(one(0.5), one(0)))
    torch.testing.assert_close(half[..., 1:], (samples[..., 1:] + samples[..., :-1]) / 2)


def test_scaled_enlarges_and_turned_by_a_right_angle_is_a_quarter_turn():
    x = torch.arange(9.0) - 4
    ramp = x.expand(1, 1, 9, 9)
    torch.testing.assert_close(resample(ramp, matrices.scaled(one(2), one(1))), ramp / 2)
    torch.testing.assert_close(resample(ramp.mT, matrices.scaled(one(1), one(2))), ramp.mT / 2)
    samples = images(1)
    quarter = resample(samples, matrices.quarter_turned(one(1)))
    torch.testing.assert_close(
        resample(samples, matrices.turned(one(math.pi / 2))), quarter, atol=1e-5, rtol=0
    )


def test_a_product_is_one_transform_after_the_other():
    samples = images(1)
    first, second = matrices.quarter_turned(one(1)), matrices.shifted(one(3), one(1))
    both = matrices.product(first, second)
    assert torch.equal(both, first @ second)
    assert torch.equal(resample(samples, both), resample(resample(samples, first), second))


@pytest.mark.parametrize(("height", "width"), [(16, 16), (12, 17)])
def test_resampling_is_grid_sample_with_reflection(height, width):
    samples = images(64, 3, height, width, dtype=torch.float64)
    torch.manual_seed(0)
    places = matrices.random_places(64, height, width, torch.tensor(1.0)).double()
    middle = torch.tensor([(width - 1) / 2, (height - 1) / 2, 1], dtype=torch.float64).diag()
    theta = (middle.inverse() @ places @ middle)[:, :2]
    grid = functional.affine_grid(theta, list(samples.shape), align_corners=True)
    expected = functional.grid_sample(samples, grid, padding_mode="reflection", align_corners=True)
    torch.testing.assert_close(resample(samples, places), expected)


def places_at(p, count=40_000, height=64, width=64):
    torch.manual_seed(1)
    found = matrices.random_places(count, height, width, torch.tensor(p))
    assert torch.equal(found[:, 2], torch.tensor([0.0, 0.0, 1.0]).expand(count, 3))
    return found[:, :2, :2].double(), found[:, :2, 2].double()


def test_the_geometry_has_the_papers_strengths():
    linear, offset = places_at(1.0, height=64, width=128)
    size = torch.linalg.det(linear)
    assert (size < 0).double().mean().item() == pytest.approx(1 / 2, abs=0.01)
    assert size.abs().log2().mean().item() == pytest.approx(0, abs=0.01)
    assert size.abs().log2().std().item() == pytest.approx(2 * 0.2, rel=0.02)
    stretch = torch.linalg.svdvals(linear)
    assert (stretch[:, 0] / stretch[:, 1]).log2().square().mean().sqrt().item() == pytest.approx(
        2 * 0.2, rel=0.02
    )
    direction = torch.atan2(linear[:, 1, 0], linear[:, 0, 0])
    for number in (1, 2, 4):
        assert (number * direction).cos().mean().abs().item() < 0.02
    # The whole shift is uniform within ±1/8, the sub-pixel one normal; both are seen through the other
    # transforms, of which only the scales matter to the sum of squares: E[2^(0.4 z)] = exp((0.4 ln 2)²/2).
    seen = math.exp((0.4 * math.log(2)) ** 2 / 2) ** 2
    expected = (1 / 192 + seen / 64) * (64**2 + 128**2)
    assert offset.square().sum(1).mean().item() == pytest.approx(expected, rel=0.03)


def test_the_whole_shift_is_in_whole_pixels_of_each_axis_and_at_most_an_eighth():
    linear, offset = places_at(0.3, height=64, width=16)
    kept = (linear == torch.eye(2, dtype=torch.float64)).flatten(1).all(1)
    whole = offset[kept & (offset == offset.round()).all(1)]
    assert whole[:, 0].abs().max() == 2
    assert whole[:, 1].abs().max() == 8


@pytest.mark.parametrize("p", [0.0, 0.3])
def test_each_geometric_transform_is_drawn_with_probability_p(p):
    linear, offset = places_at(p)
    same = (linear == torch.eye(2, dtype=torch.float64)).flatten(1).all(1)
    turned_or_scaled = (1 - p / 2) * (1 - 3 * p / 4) * (1 - p) ** 3
    assert same.double().mean().item() == pytest.approx(turned_or_scaled, abs=0.01)
    still = (offset == 0).all(1) & same
    assert still.double().mean().item() == pytest.approx(
        turned_or_scaled * (1 - p) * (1 - p + p / 256), abs=0.01
    )


# ---------------------------------------------------------------- ada: colours


def coloured(color, matrix):
    return recolour(torch.tensor(color)[None, :, None, None], matrix).flatten().tolist()


def test_colour_transforms_of_one_colour():
    color = [0.5, -0.1, 0.2]  # mean 0.2
    assert coloured(color, matrices.brightened(one(0.25), 3)) == pytest.approx([0.75, 0.15, 0.45])
    assert coloured(color, matrices.contrasted(one(2), 3)) == pytest.approx([1.0, -0.2, 0.4])
    assert coloured(color, matrices.luma_flipped(one(1))) == pytest.approx([0.1, -0.5, -0.2])
    assert coloured(color, matrices.saturated(one(0))) == pytest.approx([0.2, 0.2, 0.2])
    assert coloured(color, matrices.saturated(one(2))) == pytest.approx([0.8, -0.4, 0.2])
    assert coloured(color, matrices.hue_turned(one(2 * math.pi / 3))) == pytest.approx([0.2, 0.5, -0.1])
    assert coloured([0.5], matrices.brightened(one(0.25), 1)) == pytest.approx([0.75])
    assert coloured([0.5], matrices.contrasted(one(0.5), 1)) == pytest.approx([0.25])


def colours_at(p, channels, count=40_000):
    torch.manual_seed(1)
    found = matrices.random_colours(count, channels, torch.tensor(p)).double()
    return found[:, :channels, :channels], found[:, :channels, channels]


def test_the_colours_have_the_papers_strengths():
    linear, offset = colours_at(1.0, 3)
    # Grey is kept grey by all of them: times the contrast, and turned over by the luma flip.
    gain = linear.sum(2)
    torch.testing.assert_close(gain, gain[:, :1].expand(-1, 3), atol=1e-4, rtol=1e-4)
    gain = gain.mean(1)
    assert (gain < 0).double().mean().item() == pytest.approx(1 / 2, abs=0.01)
    contrast = gain.abs()
    assert contrast.log2().std().item() == pytest.approx(0.5, rel=0.02)
    assert (offset.mean(1) / gain).std().item() == pytest.approx(0.2, rel=0.02)
    saturation = (torch.linalg.det(linear).abs() / contrast**3).sqrt()
    assert saturation.log2().std().item() == pytest.approx(1, rel=0.02)
    cosine = (linear.diagonal(dim1=1, dim2=2).sum(1) - gain) / (2 * contrast * saturation)
    assert cosine.mean().item() == pytest.approx(0, abs=0.02)
    assert cosine.square().mean().item() == pytest.approx(1 / 2, abs=0.02)


def test_grey_images_get_brightness_and_contrast_only():
    linear, offset = colours_at(1.0, 1)
    assert linear.min() > 0
    assert linear.log2().std().item() == pytest.approx(0.5, rel=0.02)
    assert (offset / linear[:, 0]).std().item() == pytest.approx(0.2, rel=0.02)


@pytest.mark.parametrize(("channels", "unchanged"), [(1, 0.7**2), (3, 0.7**4 * 0.85)])
def test_each_colour_transform_is_drawn_with_probability_p(channels, unchanged):
    linear, offset = colours_at(0.3, channels)
    same = (linear == torch.eye(channels, dtype=torch.float64)).flatten(1).all(1) & (offset == 0).all(1)
    assert same.double().mean().item() == pytest.approx(unchanged, abs=0.01)


# ---------------------------------------------------------------- ada: how p is steered


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 8), (1, 28, 28), (3, 64, 64), (3, 12, 17)])
def test_at_p_0_the_samples_come_back_exactly(shape, dtype):
    samples = images(128, *shape, dtype=dtype)
    assert torch.equal(applied(Ada(), samples), samples)


def test_the_strength_is_the_states_p_and_geometry_and_color_choose_what_is_done():
    samples = images(64)
    torch.manual_seed(0)
    half = Ada().apply(samples, torch.tensor([0.2, 0.0, 0.0]))
    changed = (half != samples).flatten(1).any(1).float().mean().item()
    assert 0.5 < changed < 1
    grey = torch.full((8, 3, 16, 16), 0.3)
    torch.testing.assert_close(applied(Ada(start=1.0, color=False), grey), grey)
    grey[..., 8:] = -0.3
    recoloured = applied(Ada(start=1.0, geometry=False), grey)
    assert torch.equal(recoloured[..., :8], recoloured[..., :1, :1].expand(-1, -1, 16, 8))
    assert torch.equal(recoloured[..., 8:], recoloured[..., -1:, -1:].expand(-1, -1, 16, 8))
    assert (recoloured[..., 0] - 0.3).abs().max() > 0.1


def played(ada, batches, state=None):
    """p after each update."""
    state = state_of(ada) if state is None else state
    seen = []
    for logits in batches:
        state = ada.adapt(state, torch.as_tensor(logits, dtype=torch.float32))
        assert state.dtype == torch.float32
        seen.append(state[0].item())
    return seen


def test_p_rises_to_1_in_the_stated_number_of_images_every_fourth_update():
    ada = Ada(speed_images=2000)
    seen = played(ada, [[3.0] * 50] * 48)
    expected = [min(1, update // 4 * 4 * 50 / 2000) for update in range(1, 49)]
    assert seen == pytest.approx(expected, abs=1e-6)
    assert seen[39] == pytest.approx(1.0, abs=1e-6)
    assert played(Ada(speed_images=2000, every=1), [[3.0] * 50] * 2) == pytest.approx([0.025, 0.05])


def test_p_falls_as_fast_and_not_below_0():
    seen = played(Ada(speed_images=2000, start=0.25), [[-3.0] * 50] * 16)
    assert seen == pytest.approx([0.25] * 3 + [0.15] * 4 + [0.05] * 4 + [0.0] * 5, abs=1e-6)


def test_p_does_not_rise_above_most():
    seen = played(Ada(speed_images=100, most=0.85), [[1.0] * 10] * 20)
    assert seen[-1] == pytest.approx(0.85)


def test_p_follows_the_mean_sign_since_its_last_change_against_the_target():
    logits = {share: [1.0] * share + [-9.0] * (20 - share) for share in (15, 17)}  # r = 0.5, 0.7
    assert played(Ada(start=0.5), [logits[17]] * 4)[-1] > 0.5
    assert played(Ada(start=0.5), [logits[15]] * 4)[-1] < 0.5
    assert played(Ada(start=0.5, target=0.4), [logits[15]] * 4)[-1] > 0.5
    mixed = [[-1.0] * 4, [1.0] * 4, [1.0] * 4, [1.0] * 4]  # r = 0.5 over the four
    seen = played(Ada(start=0.5), [[1.0] * 4] * 4 + mixed)
    assert seen[3] > 0.5
    assert seen[7] == pytest.approx(0.5)


def test_logits_of_0_count_as_neither_and_their_graph_is_left_alone():
    logits = torch.zeros(4, requires_grad=True)
    state = Ada(every=1, target=-0.5).adapt(torch.zeros(3), logits)
    assert state[0] > 0
    assert not state.requires_grad


def test_the_state_can_be_stored_and_goes_on_as_if_it_had_not_been():
    ada = Ada(speed_images=2000, start=0.1)
    batches = torch.randn(15, 50, generator=torch.Generator().manual_seed(0)) + 0.9
    whole = played(ada, batches)
    state = state_of(ada)
    for logits in batches[:6]:
        state = ada.adapt(state, logits)
    assert state[2] == 2
    stored = torch.tensor(state.tolist(), dtype=torch.float32)
    assert played(ada, batches[6:], stored) == whole[6:]
    assert len({*whole}) > 2


@pytest.mark.parametrize("augmentation", [Flip(), DiffAugment()])
def test_flip_and_diffaugment_have_nothing_that_training_changes(augmentation):
    assert augmentation.state() == ()
    assert augmentation.adapt(torch.zeros(0), torch.ones(4)).shape == (0,)
