"""Corruptions equal those of the published code where that can be, and depend on nothing but name and severity."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.random import RandomState
from numpy.typing import NDArray
from PIL import Image

from segbench.data.base import IGNORE_INDEX, DatasetInfo, Sample, SegmentationDataset
from segbench.data.corruptions import COLOR_ONLY, NAMES, SEVERITIES, blur, digital, noise, weather
from segbench.data.corruptions.corrupt import CorruptedDataset, corrupt
from segbench.data.corruptions.geometric import barrel_distortion
from segbench.errors import DataError

PUBLISHED = Path(__file__).with_name("imagecorruptions_1_1_2.npz")
"""A picture and what ``imagecorruptions`` 1.1.2 makes of it after ``numpy.random.seed(7)``, by name and severity."""

with np.load(PUBLISHED) as _file:
    GOLDEN = {key: _file[key] for key in _file}


def picture(height: int = 40, width: int = 56, channels: int = 3, dtype: str = "uint8") -> Sample:
    """Return smooth waves with a label of two halves and a void corner."""
    rows, columns = np.mgrid[:height, :width]
    planes = [np.sin(rows / (5 + channel)) + np.cos(columns / (7 + channel)) for channel in range(channels)]
    shares = (np.stack(planes, axis=-1) + 2) / 4
    top = np.iinfo(dtype).max if dtype.startswith("uint") else 3.5
    label = (columns >= width // 2).astype(np.uint8)
    label[:4, :4] = IGNORE_INDEX
    return Sample("a", (shares * top).astype(dtype), label)


def distance(sample: Sample, name: str, severity: int) -> float:
    """Return the mean squared change of an image."""
    changed = corrupt(sample, name, severity).image.astype(float)
    return float(((changed - sample.image.astype(float)) ** 2).mean())


@pytest.mark.parametrize("key", sorted(set(GOLDEN) - {"image"}))
def test_published_corruptions_are_met_pixel_by_pixel(key: str) -> None:
    name, severity = key.rsplit("-", 1)
    function = next(vars(module)[name] for module in (noise, blur, weather, digital) if name in vars(module))
    found = np.clip(function(GOLDEN["image"] / 255, int(severity), RandomState(7)), 0, 1) * 255
    # whoever stores 8 bits cuts off or rounds: one step between them; pixelate rounds twice there
    assert np.abs(found - GOLDEN[key]).max() <= (2 if name == "pixelate" else 1) + 1e-6


def test_impulse_noise_sets_the_published_share_half_black_half_white() -> None:
    grey = np.full((200, 200, 3), 0.5)
    found = noise.impulse_noise(grey, 3, RandomState(0))
    assert (found == 0).mean() == pytest.approx(0.045, abs=0.002)
    assert (found == 1).mean() == pytest.approx(0.045, abs=0.002)
    assert ((found == 0.5) | (found == 0) | (found == 1)).all()


def test_jpeg_is_what_a_decoder_gives() -> None:
    sample = picture()
    file = BytesIO()
    Image.fromarray(sample.image).save(file, "JPEG", quality=15)
    assert np.array_equal(corrupt(sample, "jpeg_compression", 3).image, np.asarray(Image.open(file)))


def test_motion_blur_of_a_point_is_a_line_of_its_weights() -> None:
    point = np.zeros((31, 61, 1))
    point[15, 30] = 1
    found = blur.along_line(point, radius=10, sigma=3, angle=0)
    weights = np.exp(-(np.arange(21) ** 2) / 18)
    assert found[15, 30:51, 0] == pytest.approx(weights / weights.sum())
    assert found.sum() == pytest.approx(1)


def test_zooming_in_keeps_the_middle_and_moves_the_rest_outwards() -> None:
    ramp = np.broadcast_to(np.arange(9.0)[None, :, None], (9, 9, 1))
    found = blur.magnified(ramp, 2.0)
    assert found[4, :, 0] == pytest.approx([2, 2.5, 3, 3.5, 4, 4.5, 5, 5.5, 6])


def test_a_barrel_keeps_middle_and_corners_and_bends_the_edges() -> None:
    rows, columns = barrel_distortion(41, 61, 3, RandomState(0))
    assert (rows[20, 30], columns[20, 30]) == (20, 30)
    assert (rows[0, 0], columns[0, 0]) == pytest.approx((0, 0))
    # the middle of the upper edge lies 20 from the middle; r^2 = 400 / 1300; read at 20 (1 + 0.2 r^2) / 1.2
    assert 20 - rows[0, 30] == pytest.approx(20 * (1 + 0.2 * 400 / 1300) / 1.2)


@pytest.mark.parametrize("name", NAMES)
def test_it_depends_on_image_name_and_severity_alone(name: str) -> None:
    sample = picture()
    first = corrupt(sample, name, 3)
    np.random.seed(99)  # noqa: NPY002 - what others draw must not matter
    assert np.array_equal(first.image, corrupt(sample, name, 3).image)
    assert first.image.dtype == sample.image.dtype
    assert first.image.shape == sample.image.shape
    assert not np.array_equal(first.image, sample.image)


@pytest.mark.parametrize("name", sorted({"gaussian_noise", "snow", "fog", "motion_blur", "elastic_transform"}))
def test_images_of_other_names_are_corrupted_otherwise(name: str) -> None:
    sample = picture()
    assert not np.array_equal(corrupt(sample, name, 2).image, corrupt(sample._replace(name="b"), name, 2).image)


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"saturate", "elastic_transform", "glass_blur", "snow"}))
def test_severity_grows(name: str) -> None:
    distances = [distance(picture(96, 128), name, severity) for severity in SEVERITIES]
    assert distances[0] > 0
    assert distances[4] > distances[0]


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"elastic_transform", "barrel_distortion"}))
def test_labels_are_left_alone_unless_pixels_move(name: str) -> None:
    sample = picture()
    assert np.array_equal(corrupt(sample, name, 5).label, sample.label)


@pytest.mark.parametrize("name", ["elastic_transform", "barrel_distortion"])
@pytest.mark.parametrize("severity", SEVERITIES)
def test_geometric_ones_move_labels_with_the_pixels(name: str, severity: int) -> None:
    rows, columns = np.mgrid[:64, :96]
    label = ((rows // 16 + columns // 24) % 2).astype(np.uint8)
    image = np.repeat(label[..., None] * np.uint8(200), 3, axis=-1)
    moved = corrupt(Sample("x", image, label), name, severity)
    known = moved.label != IGNORE_INDEX
    bright = moved.image[..., 0] > 100
    agreement = (bright == (moved.label == 1))[known].mean()
    assert set(np.unique(moved.label)) <= {0, 1, IGNORE_INDEX}
    assert agreement > 0.97
    assert not np.array_equal(moved.label, label)


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
@pytest.mark.parametrize("name", sorted(set(NAMES) - COLOR_ONLY))
def test_other_images_keep_their_type_and_range(name: str, dtype: str) -> None:
    sample = picture(channels=5, dtype=dtype)
    found = corrupt(sample, name, 3).image
    assert found.dtype == sample.image.dtype
    assert found.shape == sample.image.shape
    top = np.iinfo(dtype).max if dtype == "uint16" else sample.image.max()
    assert found.max() <= top
    assert not np.array_equal(found, sample.image)


@pytest.mark.parametrize("name", sorted(COLOR_ONLY))
def test_what_is_for_colours_refuses_other_images(name: str) -> None:
    with pytest.raises(DataError, match=r"4 channels of uint8; leave it out"):
        corrupt(picture(channels=4), name, 1)


def test_unknown_names_and_severities_are_refused() -> None:
    with pytest.raises(DataError, match="did you mean 'motion_blur'"):
        corrupt(picture(), "motion_blurr", 1)
    with pytest.raises(DataError, match="expected one of 1 to 5"):
        corrupt(picture(), "fog", 6)


class OneImage(SegmentationDataset):
    """A split of one picture."""

    info = DatasetInfo("one", ("left", "right"), ((0, 0, 0), (255, 255, 255)))
    names = ("a",)

    def read(self, index: int) -> Sample:
        """Return the picture."""
        assert index == 0
        return picture()

    def fingerprint(self) -> str:
        """Return a constant."""
        return "one"


def test_a_corrupted_split_reads_corrupted_images_and_has_fingerprints_of_its_own() -> None:
    clean = OneImage()
    fogged: NDArray[np.uint8] = CorruptedDataset(clean, "fog", 2).read(0).image.astype(np.uint8)
    assert np.array_equal(fogged, corrupt(picture(), "fog", 2).image)
    prints = {CorruptedDataset(clean, name, severity).fingerprint() for name in NAMES for severity in SEVERITIES}
    assert len(prints | {clean.fingerprint()}) == len(NAMES) * len(SEVERITIES) + 1
