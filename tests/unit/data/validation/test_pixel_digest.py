"""The digest of what files decode to: equal for equal pixels, whatever the files are."""

import hashlib

import numpy as np
import pytest
from PIL import Image

from segbench.data.base import Sample
from segbench.data.datasets.folder import folder
from segbench.data.scenes.dataset import scenes
from segbench.data.subset import take
from segbench.data.validation.check import check_dataset
from segbench.data.validation.pixel_digest import PixelDigest

CLASSES = ["void", "one", "two"]


@pytest.fixture
def write(tmp_path):
    """Return a function that writes three images and labels as a folder data set, and one that reads its digest."""

    def make(name, *, suffix=".png", image_options=None, change=None, save_label=None):
        rng = np.random.default_rng(3)
        root = tmp_path / name
        for kind in ("images", "masks"):
            (root / kind / "train").mkdir(parents=True)
        for index in range(3):
            image, label = rng.integers(0, 256, (6, 5, 3), np.uint8), rng.integers(0, 3, (6, 5), np.uint8)
            if change:
                change(index, image, label)
            Image.fromarray(image).save(root / "images" / "train" / f"{index}{suffix}", **(image_options or {}))
            file = root / "masks" / "train" / f"{index}.png"
            save_label(label, file) if save_label else Image.fromarray(label).save(file)
        return root

    return make


def digest(root, **options):
    return check_dataset(folder("train", root=str(root), classes=CLASSES, **options)).pixel_digest


def as_palette(label, file):
    image = Image.fromarray(label)
    image.putpalette([10, 20, 30, 200, 0, 0, 0, 0, 200])
    assert image.mode == "P"
    image.save(file)


def test_the_digest_is_what_the_result_format_says(arrays):
    samples = [
        Sample("a", np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8), np.array([[0, 255]], np.uint8)),
        Sample("é", np.array([[[7, 8, 9]]], np.uint8), np.array([[2]], np.uint8)),
    ]
    content = (
        b'["0", "1", "2"]\n'
        b'["a", [1, 2, 3], [1, 2]]\n\x01\x02\x03\x04\x05\x06\x00\xff'
        b'["\\u00e9", [1, 1, 3], [1, 1]]\n\x07\x08\x09\x02'
    )
    assert check_dataset(arrays(samples=samples)).pixel_digest == hashlib.sha256(content).hexdigest()


def test_an_arrays_layout_in_memory_does_not_enter():
    image, label = np.arange(24, dtype=np.uint8).reshape(2, 4, 3), np.arange(8, dtype=np.uint8).reshape(2, 4)
    digests = set()
    for sample in (Sample("a", image, label), Sample("a", np.asfortranarray(image), np.asfortranarray(label))):
        pixels = PixelDigest(["x"])
        pixels.add(sample)
        digests.add(pixels.hexdigest())
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("suffix", "options"),
    [(".bmp", {}), (".webp", {"lossless": True}), (".tif", {}), (".ppm", {}), (".png", {"compress_level": 0})],
)
def test_lossless_formats_have_one_digest_and_other_files(write, suffix, options):
    original, copy = write("original"), write("copy", suffix=suffix, image_options=options)
    assert digest(copy) == digest(original)
    files = [folder("train", root=str(root), classes=CLASSES).fingerprint() for root in (original, copy)]
    assert files[0] != files[1]


def test_a_palette_label_and_a_grey_one_of_the_same_indices_have_one_digest(write):
    assert digest(write("palette", save_label=as_palette)) == digest(write("grey"))


def test_a_grey_image_and_its_rgb_copy_have_one_digest(write):
    def grey(index, image, label):
        image[:] = image[..., :1]

    rgb, stored = write("rgb", change=grey), write("grey", change=grey)
    for file in (stored / "images" / "train").iterdir():
        Image.open(file).convert("L").save(file)
    assert digest(stored) == digest(rgb)


@pytest.mark.parametrize(("suffix", "options"), [(".jpg", {"quality": 100}), (".webp", {"quality": 100})])
def test_lossy_copies_have_another_digest(write, suffix, options):
    assert digest(write("copy", suffix=suffix, image_options=options)) != digest(write("original"))


def test_one_changed_pixel_of_an_image_or_a_label_is_another_digest(write):
    def image_pixel(index, image, label):
        if index == 1:
            image[2, 3, 1] ^= 1

    def label_pixel(index, image, label):
        if index == 1:
            label[2, 3] = (label[2, 3] + 1) % 3

    digests = {digest(write(str(change), change=change)) for change in (None, image_pixel, label_pixel)}
    assert len(digests) == 3


def test_names_order_and_classes_enter(arrays):
    samples = arrays(3).samples
    renamed = [samples[0]._replace(name="other"), *samples[1:]]
    digests = [check_dataset(arrays(samples=given)).pixel_digest for given in (samples, renamed, samples[::-1])]
    digests.append(check_dataset(arrays(samples=samples, classes=4)).pixel_digest)
    assert len(set(digests)) == 4


def test_labels_count_as_they_are_decoded(write):
    assert digest(write("a"), ignore=None) == digest(tmp := write("b"))
    assert digest(tmp, values=[1, 0, 2]) != digest(tmp)


def test_a_split_with_a_broken_image_has_none(arrays):
    assert check_dataset(arrays(3, broken=[1])).pixel_digest is None


def test_generated_scenes_and_parts_of_them_have_one_each():
    whole = scenes("test", size=[16, 16], test_images=3)
    digests = [check_dataset(split).pixel_digest for split in (whole, whole, take(whole, 2))]
    assert digests[0] == digests[1] != digests[2]
