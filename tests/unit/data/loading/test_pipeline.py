import numpy as np
import pytest
import torch
from pydantic import ValidationError

from segbench.config.component import TransformEntry
from segbench.config.sections.training import Transforms
from segbench.data.loading.pipeline import Pipeline, derive_seed, seeded
from segbench.errors import DataError, UsageError


def pipeline(*steps, training=True):
    return Pipeline([TransformEntry.model_validate(step) for step in steps], training=training)


ALL = (
    {"name": "random_scale", "minimum": 0.8, "maximum": 1.5},
    {"name": "rotation", "degrees": 10.0},
    {"name": "elastic", "alpha": 5.0, "sigma": 1.0},
    {"name": "random_crop", "size": [16, 16]},
    "horizontal_flip",
    "vertical_flip",
    "color_jitter",
    {"name": "gaussian_blur", "kernel_size": 3},
    "normalize",
)


def test_without_steps_the_image_is_scaled_to_one(arrays):
    sample = arrays(1).read(0)
    image, label = pipeline()(sample, (0, 0, 0))
    assert np.allclose(image.numpy(), sample.image.transpose(2, 0, 1) / np.float32(255))
    assert (image.dtype, label.dtype) == (torch.float32, torch.uint8)
    assert np.array_equal(label.numpy(), sample.label)


def test_the_result_depends_on_every_part_of_the_seed_and_on_nothing_else(arrays):
    sample, steps = arrays(1).read(0), pipeline(*ALL)
    first = steps(sample, (0, 1, 2))
    torch.manual_seed(123)
    again = steps(sample, (0, 1, 2))
    assert torch.equal(first.image, again.image)
    assert torch.equal(first.label, again.label)
    for other in [(1, 1, 2), (0, 2, 2), (0, 1, 3), (1, 0, 2)]:
        assert not torch.equal(first.image, steps(sample, other).image)


def test_the_global_generator_is_left_as_it_was(arrays):
    before = torch.get_rng_state()
    pipeline(*ALL)(arrays(1).read(0), (0, 0, 0))
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(ZeroDivisionError), seeded((1,)):
        torch.rand(3).tolist()[1 // 0]
    assert torch.equal(torch.get_rng_state(), before)


def test_other_devices_are_not_seeded(arrays, monkeypatch):
    monkeypatch.setattr("torch.cuda.manual_seed_all", lambda seed: pytest.fail("the GPU's generator was touched"))
    assert pipeline("horizontal_flip")(arrays(1).read(0), (0, 0, 0)).image.shape == (3, 20, 24)


def test_the_sample_is_not_changed(arrays):
    sample = arrays(1).read(0)
    image, label = sample.image.copy(), sample.label.copy()
    for steps in (pipeline(*ALL), pipeline("normalize"), pipeline()):
        prepared = steps(sample, (0, 0, 0))
        prepared.image.zero_()
    assert np.array_equal(sample.image, image)
    assert np.array_equal(sample.label, label)


def test_evaluation_leaves_labels_at_their_original_size(arrays):
    sample = arrays(1).read(0)
    image, label = pipeline({"name": "resize", "size": [10, 12]}, "normalize", training=False)(sample)
    assert image.shape == (3, 10, 12)
    assert np.array_equal(label.numpy(), sample.label)


@pytest.mark.parametrize("step", [step for step in ALL if step != "normalize"])
def test_random_steps_are_refused_for_evaluation(step):
    name = step if isinstance(step, str) else step["name"]
    with pytest.raises(UsageError, match=f"transforms.test: {name} changes images at random"):
        pipeline(step, training=False)


def test_a_suite_with_chance_in_its_test_images_is_refused_before_any_is_read():
    with pytest.raises(ValidationError, match="horizontal_flip changes images at random"):
        Transforms.model_validate({"test": ["horizontal_flip", "normalize"]})


def test_normalisation_has_to_be_last():
    with pytest.raises(UsageError, match="horizontal_flip follows normalize"):
        pipeline("normalize", "horizontal_flip")


def test_a_step_that_cannot_handle_an_image_names_it(arrays):
    with pytest.raises(DataError, match="image-000: random_crop of 64x64 pixels is larger than the image, 20x24"):
        pipeline({"name": "random_crop", "size": [64, 64], "pad": False})(arrays(1).read(0), (0, 0, 0))


def test_derived_seeds_differ_by_part_and_order():
    seeds = {derive_seed(*parts) for parts in [(0, 1, 2), (2, 1, 0), (0, 12), (0, 1), (1, 2), (12,)]}
    assert len(seeds) == 6
    assert max(seeds) < 2**63
