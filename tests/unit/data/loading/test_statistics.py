"""Mean and deviation of each channel, and what normalisation makes of them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segbench.config.component import TransformEntry
from segbench.data.base import ChannelStatistics, ImageFormat, Sample
from segbench.data.cache.datasets import DiskCache, MemoryCache
from segbench.data.loading.pipeline import Pipeline
from segbench.data.loading.statistics import measure
from segbench.data.subset import Subset
from segbench.data.validation.pixel_digest import PixelDigest
from segbench.errors import DataError

RANGES = {"uint8": 256, "uint16": 2**16, "float32": 1000}


def samples(count, *, channels, dtype, seed=0):
    generator = np.random.default_rng(seed)
    sizes = [(4 + index, 6) for index in range(count)]
    return [
        Sample(
            str(index),
            (generator.random((*size, channels)) * RANGES[dtype]).astype(dtype),
            generator.integers(0, 2, size).astype(np.uint8),
        )
        for index, size in enumerate(sizes)
    ]


@pytest.fixture(name="split")
def make_split(arrays):
    from dataclasses import replace

    def make(channels, dtype, *, found=None):
        dataset = arrays(samples=found or samples(5, channels=channels, dtype=dtype))
        dataset.info = replace(dataset.info, channels=channels, dtype=dtype)
        return dataset

    return make


@pytest.mark.parametrize("dtype", RANGES)
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_statistics_are_those_of_all_pixels_together(split, channels, dtype):
    dataset = split(channels, dtype)
    pixels = np.concatenate([sample.image.reshape(-1, channels) for sample in dataset.samples]).astype(np.float64)
    scale = 255 if dtype == "uint8" else 1
    found = measure(dataset)
    assert np.allclose(found.mean, pixels.mean(axis=0) / scale, rtol=1e-6)
    assert np.allclose(found.std, pixels.std(axis=0) / scale, rtol=1e-6)


@given(st.permutations(range(5)))
def test_the_order_of_the_images_does_not_matter(order):
    from dataclasses import replace

    from segbench.data.base import DatasetInfo, SegmentationDataset

    class Ordered(SegmentationDataset):
        info = replace(DatasetInfo("x", ("a",), ((0, 0, 0),)), channels=2, dtype="float32")
        names = tuple(map(str, range(5)))

        def __init__(self, order):
            self.samples = [samples(5, channels=2, dtype="float32")[index] for index in order]

        def read(self, index):
            return self.samples[index]

        def fingerprint(self):
            return ""

    assert measure(Ordered(order)) == measure(Ordered(range(5)))


def test_a_channel_that_never_changes_is_named(split):
    found = samples(3, channels=2, dtype="uint16")
    for sample in found:
        sample.image[:, :, 1] = 7
    with pytest.raises(DataError, match=r"channel 1 .* is 7 in every pixel .* dataset.channels"):
        measure(split(2, "uint16", found=found))


@pytest.mark.parametrize("dtype", RANGES)
def test_measured_images_have_mean_0_and_deviation_1(split, dtype):
    dataset = split(4, dtype)
    images = ImageFormat(4, dtype, measure(dataset))
    pipeline = Pipeline([TransformEntry(name="normalize", statistics="measured")], training=False, images=images)
    fed = torch.cat([pipeline(sample).image.flatten(1) for sample in dataset.samples], dim=1)
    assert fed.dtype == torch.float32
    assert torch.allclose(fed.mean(dim=1), torch.zeros(4), atol=1e-4)
    assert torch.allclose(fed.std(dim=1, correction=0), torch.ones(4), atol=1e-4)


def pipeline(*steps, images, training=True):
    return Pipeline([TransformEntry.model_validate(step) for step in steps], training=training, images=images)


def test_measured_numbers_can_be_written_as_given_ones(split):
    dataset = split(2, "uint8")
    mean, std = measure(dataset)
    measured = pipeline({"name": "normalize", "statistics": "measured"}, images=ImageFormat(2, "uint8", (mean, std)))
    given_ones = pipeline({"name": "normalize", "mean": list(mean), "std": list(std)}, images=ImageFormat(2, "uint8"))
    assert torch.equal(measured(dataset.samples[0]).image, given_ones(dataset.samples[0]).image)


def test_given_numbers_are_in_the_images_own_units():
    sample = Sample("a", np.array([[[1000, 50]]], np.uint16), np.zeros((1, 1), np.uint8))
    steps = pipeline({"name": "normalize", "mean": [900, 40], "std": [50, 5]}, images=ImageFormat(2, "uint16"))
    assert steps(sample).image.flatten().tolist() == [2, 2]


@pytest.mark.parametrize(
    "step",
    [
        {"name": "random_crop", "size": [40, 40]},
        {"name": "rotation", "degrees": 45.0},
        {"name": "elastic", "sigma": 0.5},
    ],
)
@pytest.mark.parametrize("dtype", RANGES)
def test_what_comes_in_from_outside_is_the_mean_and_becomes_zero(step, dtype):
    height, value = 24, 40
    sample = Sample("a", np.full((height, 24, 4), value, dtype), np.zeros((height, 24), np.uint8))
    statistics = ChannelStatistics((0.2, 0.4, 0.6, 0.8), (1.0,) * 4)
    if dtype != "uint8":
        statistics = ChannelStatistics((1.5, 200.0, 30.0, 9.0), (1.0,) * 4)
    steps = pipeline(step, {"name": "normalize", "statistics": "measured"}, images=ImageFormat(4, dtype, statistics))
    image, label = steps(sample, (0, 1, 2))
    corner = image[:, label == 255]
    tolerance = 1 / 255 if dtype == "uint8" else 0
    if step["name"] == "random_crop":
        assert corner.abs().max() <= tolerance
    assert image.isfinite().all()
    assert image.shape[0] == 4


def test_geometric_steps_move_five_float_channels_with_their_label():
    label = np.random.default_rng(0).integers(0, 3, (20, 20)).astype(np.uint8)
    image = np.repeat(label[:, :, None], 5, axis=2).astype(np.float32) * [1, 10, 100, 1000, 0.5]
    sample = Sample("a", image.astype(np.float32), label)
    steps = pipeline(
        "horizontal_flip",
        "vertical_flip",
        {"name": "random_crop", "size": [12, 12]},
        {"name": "normalize", "mean": [0] * 5, "std": [1, 10, 100, 1000, 0.5]},
        images=ImageFormat(5, "float32"),
    )
    before = sample.image.copy()
    for seed in range(8):
        moved, moved_label = steps(sample, (seed, 1, 0))
        assert torch.allclose(moved, moved_label.float().expand(5, -1, -1))
    assert np.array_equal(sample.image, before)


@pytest.mark.parametrize(
    "images", [ImageFormat(4), ImageFormat(1), ImageFormat(3, "uint16"), ImageFormat(3, "float32")]
)
def test_imagenets_numbers_are_refused_for_other_images(images):
    with pytest.raises(DataError, match=r"transforms.train: normalize: has ImageNet's .* statistics: measured"):
        pipeline("normalize", images=images)
    with pytest.raises(DataError, match=r"transforms.train: color_jitter: .* leave it out"):
        pipeline("color_jitter", images=images)


@pytest.mark.parametrize(
    ("options", "images", "problem"),
    [
        ({"mean": [0.1, 0.2], "std": [1, 1]}, ImageFormat(4), "mean .* has 2 numbers, but the images 4 channels"),
        ({"mean": [120, 110], "std": [50, 50]}, ImageFormat(2), "give shares of 255"),
        ({"statistics": "measured"}, ImageFormat(2), "no training split"),
    ],
)
def test_numbers_that_are_not_for_these_images_are_refused(options, images, problem):
    with pytest.raises(DataError, match=problem):
        pipeline({"name": "normalize", **options}, images=images)


@pytest.mark.parametrize("dtype", RANGES)
def test_caches_keep_channels_and_type(split, tmp_path, dtype):
    dataset = split(5, dtype)
    for cached in (MemoryCache(dataset), DiskCache(dataset, folder=tmp_path), DiskCache(dataset, folder=tmp_path)):
        for index, sample in enumerate(dataset.samples):
            found = cached.read(index)
            assert found.image.dtype == dtype
            assert np.array_equal(found.image, sample.image)
            assert np.array_equal(found.label, sample.label)
    reads = dataset.reads
    assert measure(Subset(cached, range(5))) == measure(dataset)
    assert dataset.reads == reads + 5


def test_equal_bytes_of_another_type_have_another_pixel_digest():
    label = np.zeros((2, 2), np.uint8)
    images = [np.ones((2, 2, 2), dtype) for dtype in ("uint16", "float32")]
    images.append(images[1].view(np.uint16)[:, :, :2])
    digests = set()
    for image in images:
        digest = PixelDigest(["a"])
        digest.add(Sample("x", image, label))
        digests.add(digest.hexdigest())
    assert len(digests) == 3
