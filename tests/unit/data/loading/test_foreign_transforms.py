"""Transforms from elsewhere: applied as our own, refused by name when they would spoil images or labels."""

import sys

import numpy as np
import pytest
import torch

from segbench.config.component import TransformEntry
from segbench.data.base import Sample
from segbench.data.loading.pipeline import Pipeline, check_repeatable
from segbench.errors import DataError, UsageError
from segbench.import_path import ForeignPartError

SOURCE = """
import random
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

def invert(image, label=None, *, top=255):
    found = top - image
    return found if label is None else (found, label)
invert.deterministic = True

class Noise:
    def __init__(self, strength): self.strength = strength
    def __call__(self, image, label):
        noise = torch.randint(-self.strength, self.strength + 1, image.shape)
        return (image + noise).clamp(0, 255).to(torch.uint8), label

def shift(pixels=2):
    fill = {tv_tensors.Mask: 255, "others": 0}
    return v2.RandomAffine(degrees=0, translate=(0.5, 0.5), fill=fill)

def unseeded(image, label): return image + random.randrange(100), label
def blends(image, label): return image, functional.resize(label[None].float(), list(label.shape))[0] + 0.5
def invents(image, label): return image, torch.zeros_like(label)
def crops_image(image, label): return image[:, :2], label
def drops_channel(image, label): return image[:1], label
def only_image(image, label): return image
def as_float(image, label): return image.float() / 255, label
def nan(image, label): return image * float("nan"), label
def raises(image, label):
    raise ValueError("not today")
"""


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    (tmp_path / "elsewhere_steps.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("elsewhere_steps", None)


def pipeline(*steps, training=True):
    named = [{"name": step} if isinstance(step, str) else step for step in steps]
    own = [step | {"name": step["name"].replace("own:", "python:elsewhere_steps.")} for step in named]
    return Pipeline([TransformEntry.model_validate(step) for step in own], training=training)


def sample():
    draw = np.random.default_rng(0)
    label = np.full((4, 6), 7, np.uint8)
    label[:, 3:] = 3
    return Sample("one", draw.integers(0, 256, (4, 6, 3), np.uint8), label)


def test_a_function_of_the_image_is_the_transform_with_its_options():
    found = pipeline({"name": "own:invert", "top": 200})(sample(), (0, 1, 0))
    expected = (200 - torch.from_numpy(sample().image).permute(2, 0, 1)).float() / 255
    torch.testing.assert_close(found.image, expected)
    assert torch.equal(found.label, torch.from_numpy(sample().label))


def test_a_class_makes_the_transform_and_draws_from_the_seed_of_the_image():
    steps = pipeline({"name": "own:Noise", "strength": 9}, "horizontal_flip", "normalize")
    first, again, other = (steps(sample(), seed) for seed in ((0, 1, 0), (0, 1, 0), (0, 1, 1)))
    assert torch.equal(first.image, again.image)
    assert not torch.equal(first.image, other.image)
    check_repeatable(steps, sample(), (0, 1, 0))


def test_transforms_of_torchvision_need_no_code():
    step = {"name": "python:torchvision.transforms.v2.RandomGrayscale", "p": 1.0}
    grey = pipeline(step)(sample(), (0, 1, 0)).image
    assert torch.equal(grey[0], grey[1])


def test_geometry_that_fills_labels_with_void_is_taken():
    steps = pipeline("own:shift")
    labels = [steps(sample(), (0, 1, index)).label for index in range(20)]
    assert set(torch.cat(labels).unique().tolist()) == {3, 7, 255}


def test_geometry_that_fills_labels_with_a_class_is_refused():
    step = {"name": "python:torchvision.transforms.v2.RandomAffine", "degrees": 0, "translate": [0.5, 0.5]}
    problem = r"one: python:torchvision\S+ returned a label with 0, .* is void, 255"
    with pytest.raises(DataError, match=problem):
        [pipeline(step)(sample(), (0, 1, index)) for index in range(20)]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("blends", "returned a label with -1"),
        ("invents", "returned a label with 0"),
        ("crops_image", r"returned a tensor of shape \(4, 6\) as label; \(2, 6\), as of the image"),
        ("drops_channel", r"returned a tensor of shape \(1, 4, 6\) as image; \(3, height, width\)"),
        ("only_image", "an image and its label are expected"),
        ("as_float", r"returned an image of torch\.float32; torch\.uint8 is expected, in the same range"),
        ("nan", "values that are not finite"),
        ("raises", r"failed on an image of shape \(3, 4, 6\): ValueError: not today \(.*elsewhere_steps\.py, line"),
    ],
)
def test_what_is_wrong_with_a_transform_is_told_by_its_name_and_that_of_the_image(name, problem):
    steps = pipeline(f"own:{name}", "normalize")
    with pytest.raises(DataError, match=rf"^one: python:elsewhere_steps\.{name} {problem}|{problem}") as caught:
        steps(sample(), (0, 1, 0))
    assert f"python:elsewhere_steps.{name}" in str(caught.value)


def test_the_last_step_may_hand_on_floats_as_the_network_is_fed_them():
    found = pipeline("own:as_float")(sample(), (0, 1, 0))
    torch.testing.assert_close(found.image, torch.from_numpy(sample().image).permute(2, 0, 1).float() / 255)


def test_randomness_that_no_seed_governs_is_refused():
    with pytest.raises(UsageError, match=r"python:elsewhere_steps\.unseeded: the same seed gave two images"):
        check_repeatable(pipeline("own:unseeded"), sample(), (0, 1, 0))


def test_only_what_says_that_it_is_not_random_is_taken_for_test_images():
    found = pipeline("own:invert", "normalize", training=False)(sample())
    assert found.label.tolist() == sample().label.tolist()
    with pytest.raises(
        UsageError, match=r"transforms\.test: python:elsewhere_steps\.blends may change images at random"
    ):
        pipeline("own:blends", training=False)


@pytest.mark.parametrize(
    ("name", "problem"), [("Noise", "cannot be made with no options"), ("absent", "has no 'absent'")]
)
def test_a_transform_that_cannot_be_made_is_refused_by_name(name, problem):
    with pytest.raises((ForeignPartError, UsageError), match=problem):
        pipeline(f"own:{name}")
