import numpy as np
import pytest
import torch
from torchvision import tv_tensors

from segbench.config.sections.training import DETERMINISTIC
from segbench.data import TRANSFORMS
from segbench.data.loading import transforms as steps
from segbench.data.loading.transforms import MEAN_COLOR
from segbench.errors import DataError
from segbench.registry import TRANSFORMS as REGISTRY


def pair(height=12, width=16, *, seed=0, classes=4):
    """Return an image whose red channel is 60 times the label, so that both can be compared after a move."""
    generator = torch.Generator().manual_seed(seed)
    label = torch.randint(classes, (height, width), generator=generator, dtype=torch.uint8)
    image = torch.stack([label * 60, torch.full_like(label, 9), label])
    return tv_tensors.Image(image), tv_tensors.Mask(label)


RANDOM_STEPS = {
    "random_scale": {},
    "random_crop": {"size": [10, 20]},
    "horizontal_flip": {},
    "vertical_flip": {},
    "rotation": {"degrees": 30.0},
    "elastic": {"alpha": 20.0, "sigma": 1.0},
    "color_jitter": {"hue": 0.1},
    "gaussian_blur": {"kernel_size": 3},
}
BUILT_IN = [name for name in TRANSFORMS if not name.endswith(":")]
FIXED_STEPS = {"resize": {"size": [9, 31]}, "normalize": {}}


def test_every_step_of_the_catalogue_is_tested_here():
    assert {**RANDOM_STEPS, **FIXED_STEPS}.keys() == set(BUILT_IN)
    assert set(FIXED_STEPS) == DETERMINISTIC


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_labels_are_moved_but_never_blended(name):
    step = REGISTRY.create(name, **{**RANDOM_STEPS, **FIXED_STEPS}[name])
    image, label = pair()
    label = tv_tensors.Mask(label * 80)  # 0, 80, 160, 240: a blend would be seen
    torch.manual_seed(0)
    for _ in range(10):
        moved_image, moved = step(image, label)
        assert moved.dtype == torch.uint8
        assert moved.shape == moved_image.shape[-2:]
        assert set(moved.unique().tolist()) <= {0, 80, 160, 240, 255}


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_a_step_leaves_its_input_alone(name):
    step = REGISTRY.create(name, **{**RANDOM_STEPS, **FIXED_STEPS}[name])
    image, label = pair()
    before = image.clone(), label.clone()
    for _ in range(5):
        step(image, label)
    assert torch.equal(image, before[0])
    assert torch.equal(label, before[1])


@pytest.mark.parametrize("name", ["horizontal_flip", "vertical_flip", "random_crop"])
def test_image_and_label_move_together(name):
    step = REGISTRY.create(name, **RANDOM_STEPS[name])
    for seed in range(20):
        torch.manual_seed(seed)
        image, label = step(*pair(seed=seed))
        inside = label != 255
        assert torch.equal(image[0][inside], label[inside] * 60)


def test_a_resized_label_is_sampled_at_the_nearest_centre():
    """Every target pixel's centre, by exact fractions."""
    label = tv_tensors.Mask(torch.arange(7, dtype=torch.uint8).expand(1, 7).contiguous())
    image = tv_tensors.Image(torch.zeros(3, 1, 7, dtype=torch.uint8))
    for width in range(1, 20):
        _, moved = steps.resize(size=[1, width])(image, label)
        centres = (np.arange(width) + 0.5) * 7 / width
        assert moved[0].tolist() == np.floor(centres + 1e-9).astype(int).tolist()


def test_resize_halves_image_and_label_in_step():
    """A two-colour image halved: colour edge and label edge stay at the same column."""
    label = torch.zeros(8, 16, dtype=torch.uint8)
    label[:, 6:] = 1
    image = tv_tensors.Image((label * 200).expand(3, 8, 16).contiguous())
    small, moved = steps.resize(size=[4, 8])(image, tv_tensors.Mask(label))
    assert torch.equal(small[0] > 100, moved == 1)
    assert steps.resize(size=[8, 16])(image) is image


def test_resize_by_a_factor_scales_images_of_any_size_and_draws_nothing():
    step, before = steps.resize(scale=0.5), torch.random.get_rng_state()
    for height, width in ((40, 60), (41, 7), (1, 3)):
        small, moved = step(*pair(height, width))
        assert small.shape[-2:] == moved.shape == (max(1, round(height / 2)), max(1, round(width / 2)))
    assert torch.equal(torch.random.get_rng_state(), before)
    image, label = pair(8, 16)
    for given, expected in zip(step(image, label), steps.resize(size=[4, 8])(image, label), strict=True):
        assert torch.equal(given, expected)


def test_random_scale_stays_in_its_range_and_keeps_the_aspect():
    image, label = pair(40, 60)
    step = steps.random_scale(minimum=0.5, maximum=2.0)
    torch.manual_seed(0)
    heights = []
    for _ in range(40):
        scaled, moved = step(image, label)
        assert scaled.shape[-2:] == moved.shape
        assert abs(scaled.shape[-1] - 1.5 * scaled.shape[-2]) <= 1.5
        heights.append(scaled.shape[-2])
    assert min(heights) >= 20
    assert max(heights) <= 80
    assert max(heights) - min(heights) > 30


def test_a_crop_pads_with_the_mean_and_void():
    image, label = steps.random_crop(size=[20, 20])(*pair(5, 16))
    outside = label == 255
    assert image.shape == (3, 20, 20)
    assert int(outside.sum()) == 20 * 20 - 5 * 16
    assert image[:, outside].unique(dim=1).squeeze(1).tolist() == list(MEAN_COLOR)


def test_a_crop_reaches_every_position():
    label = tv_tensors.Mask(torch.arange(20, dtype=torch.uint8).view(4, 5))
    image = tv_tensors.Image(label.expand(3, 4, 5).contiguous())
    corners = {int(steps.random_crop(size=[3, 3])(image, label)[1][0, 0]) for _ in range(200)}
    assert corners == {0, 1, 2, 5, 6, 7}


def test_an_unpadded_crop_that_does_not_fit_is_refused():
    with pytest.raises(DataError, match="random_crop of 13x16 pixels is larger than the image, 12x16"):
        steps.random_crop(size=[13, 16], pad=False)(*pair())
    assert steps.random_crop(size=[12, 16], pad=False)(*pair())[1].shape == (12, 16)


def test_rotation_fills_the_outside_with_void():
    torch.manual_seed(1)
    image, label = steps.rotation(degrees=45.0)(*pair(40, 40))
    assert 20 < int((label == 255).sum()) < 600
    assert image[:, 0, 0].tolist() == list(MEAN_COLOR)


def test_normalize_agrees_with_torchvision():
    from torchvision.transforms import v2

    image, _ = pair()
    expected = v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])(v2.ToDtype(torch.float32, scale=True)(image))
    result = REGISTRY.create("normalize")(image)
    assert result.dtype == torch.float32
    assert torch.allclose(result, expected, atol=2e-6)


def test_mean_colour_is_zero_after_normalisation():
    image = tv_tensors.Image(torch.tensor(MEAN_COLOR, dtype=torch.uint8).view(3, 1, 1))
    assert REGISTRY.create("normalize")(image).abs().max() < 0.01


def test_a_blur_that_never_happens_changes_nothing():
    image, label = pair()
    assert torch.equal(steps.gaussian_blur(p=0.0)(image, label)[0], image)
    assert not torch.equal(steps.gaussian_blur(p=1.0, sigma=[2.0, 2.0])(image, label)[0], image)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 1.1, 2.5])
def test_elastic_displacement_agrees_with_torchvision(sigma):
    from torchvision.transforms import v2

    image, _ = pair(30, 40)
    ours, theirs = steps.elastic(alpha=30.0, sigma=sigma), v2.ElasticTransform(alpha=30.0, sigma=sigma)
    fields = []
    for step in (ours, theirs):
        torch.manual_seed(0)
        fields.append(step.make_params([image])["displacement"])
    assert torch.allclose(*fields, atol=1e-6)


@pytest.mark.parametrize("name", ["elastic", "gaussian_blur"])
def test_kernels_wider_than_the_image_are_refused(name):
    options = {"elastic": {"sigma": 10.0}, "gaussian_blur": {"kernel_size": 25}}[name]
    with pytest.raises(DataError, match=f"{name} reaches .* too far for an image of 12x16"):
        REGISTRY.create(name, **options)(*pair())


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resize", {"size": [3]}),
        ("resize", {}),
        ("resize", {"size": [3, 4], "scale": 0.5}),
        ("resize", {"scale": 0.0}),
        ("random_crop", {"size": [0, 4]}),
        ("random_scale", {"minimum": 2.0, "maximum": 1.0}),
        ("random_scale", {"minimum": 0.0}),
        ("horizontal_flip", {"p": 1.5}),
        ("vertical_flip", {"p": -0.5}),
        ("rotation", {"degrees": -1.0}),
        ("elastic", {"sigma": 0.0}),
        ("color_jitter", {"brightness": -1.0}),
        ("color_jitter", {"hue": 0.6}),
        ("gaussian_blur", {"kernel_size": 4}),
        ("gaussian_blur", {"sigma": [2.0, 1.0]}),
        ("gaussian_blur", {"p": 2.0}),
        ("normalize", {"std": [0.1, 0.2]}),
        ("normalize", {"std": [0.1, 0.2, 0.0]}),
    ],
)
def test_options_out_of_range_are_refused(name, options):
    with pytest.raises(DataError, match=name):
        REGISTRY.create(name, **options)
