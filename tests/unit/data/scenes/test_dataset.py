import hashlib
import time

import numpy as np
import pytest

from segbench.config.load import check
from segbench.config.plan import plan
from segbench.data.scenes.dataset import load_sources, scenes
from segbench.data.validation.check import check_dataset
from segbench.errors import DataError


def content(sample):
    return hashlib.sha256(sample.image.tobytes() + sample.label.tobytes()).hexdigest()[:16]


def test_published_labels_never_change():
    """The same on every platform; a change here needs a new GENERATOR_VERSION."""
    labels = [hashlib.sha256(scenes("train").read(index).label.tobytes()).hexdigest()[:16] for index in range(3)]
    assert labels == ["31b086d84aa9566a", "733075c764b71590", "577e066514bd3bc7"]


def test_published_images_never_change():
    """The same wherever the photographs are decoded alike; else the fingerprint tells."""
    photograph = hashlib.sha256(load_sources("test").photographs[0].tobytes()).hexdigest()
    if not photograph.startswith("4b01aebc66fca5f6"):
        pytest.skip("this platform's JPEG decoder rounds the photographs in another way")
    images = [content(scenes("test", size=[40, 33], seed=7).read(index)) for index in range(2)]
    assert images == ["6f6bd7c408de8883", "9751fd15740f0d71"]


def test_a_scene_depends_on_seed_split_and_index_only():
    few, many = scenes("train", train_images=3), scenes("train", train_images=30)
    assert content(few.read(2)) == content(many.read(2))
    many.read(11)
    assert content(few.read(2)) == content(many.read(2))
    others = [scenes("train", seed=1).read(2), scenes("test").read(2), scenes("train").read(1)]
    assert content(few.read(2)) not in {content(other) for other in others}


@pytest.mark.parametrize("size", [[16, 16], [48, 64], [37, 101], [300, 220], [1000, 17]])
def test_any_size_is_possible(size):
    sample = scenes("val", size=size).read(0)
    assert sample.image.shape == (*size, 3)
    assert sample.label.shape == tuple(size)
    assert (sample.image.dtype, sample.label.dtype) == (np.uint8, np.uint8)


def test_every_class_occurs_in_every_split():
    for split in ("train", "val", "test"):
        report = check_dataset(scenes(split, train_images=60, validation_images=60, test_images=60))
        assert report.problems == ()
        assert min(report.class_frequencies) > 0.01
        assert 0.4 < report.class_frequencies[0] < 0.75
        assert 0 < report.void_pixels < 0.05 * sum(report.class_pixels)


def test_splits_share_no_digit_and_no_part_of_a_photograph():
    from sklearn.datasets import load_digits, load_sample_images

    splits = [load_sources(split) for split in ("train", "val", "test")]
    assert sum(len(split.digits) for split in splits) == len(load_digits().images)
    for number, whole in enumerate(load_sample_images().images):
        joined = np.concatenate([split.photographs[number] for split in splits], axis=1)
        assert np.array_equal(joined, whole)


def test_fingerprint_follows_everything_that_changes_the_images():
    kinds = [{}, {"seed": 1}, {"size": [32, 32]}, {"train_images": 5}, {"things": ["disc"]}]
    prints = {scenes("train", **kind).fingerprint() for kind in kinds} | {scenes("test").fingerprint()}
    assert len(prints) == 6
    assert scenes("train").fingerprint() == scenes("train", test_images=3, root="anywhere").fingerprint()


def test_what_a_ring_encloses_looks_like_the_background():
    """The enclosed class cannot be told by colour: its mean differs less from the background's than any solid's."""
    samples = [scenes("train").read(index) for index in range(80)]
    pixels = np.concatenate([sample.image.reshape(-1, 3) for sample in samples]).astype(float)
    labels = np.concatenate([sample.label.ravel() for sample in samples])
    means = [pixels[labels == kind].mean(axis=0) for kind in range(8)]
    distance = [np.abs(mean - means[0]).sum() for mean in means]
    assert distance[5] < min(distance[1:5] + distance[6:])


def test_300_scenes_a_second_on_one_core():
    dataset = scenes("train")
    dataset.read(0)
    started = time.process_time()
    for index in range(100):
        dataset.read(index)
    assert 100 / (time.process_time() - started) > 300


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "tset"}, "did you mean 'test'"),
        ({"size": [15, 64]}, "at least 16"),
        ({"size": [64]}, r"\[height, width\]"),
        ({"seed": -1}, "must not be negative"),
        ({"test_images": -2}, "must not be negative"),
        ({"things": []}, "at least one of disc, square, triangle"),
        ({"things": ["disk"]}, r"things \['disk'\]"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(DataError, match=message):
        scenes(options.pop("split", "train"), **options)


def test_things_that_are_not_drawn_are_no_classes():
    split = scenes("train", things=["square", "disc"], train_images=20)
    assert (split.info.classes, len(split.info.palette)) == (("background", "disc", "square"), 3)
    assert set(np.unique([split.read(index).label for index in range(20)])) == {0, 1, 2}


def test_recipes_without_things_are_what_they_were_before_there_was_this_option():
    def recipe(**options):
        suite = check({"dataset": {"name": "scenes", **options}, "models": ["cnn"], "train": {"epochs": 1}})
        return plan(suite)[0].recipe.canonical()["dataset"]

    assert "things" not in recipe()
    assert recipe(things=None) == recipe()
    assert recipe(things=["disc"]) == recipe() | {"things": ["disc"]}


def test_a_ring_brings_what_it_encloses():
    split = scenes("train", things=["ring", "digit"], train_images=20)
    assert split.info.classes == ("background", "ring", "enclosed", "digit")
    assert set(np.unique([split.read(index).label for index in range(20)])) == {0, 1, 2, 3, 255}


def test_naming_all_things_draws_the_same_scenes():
    things = ["digit", "fence", "ring", "triangle", "square", "disc"]
    assert content(scenes("train", things=things).read(3)) == content(scenes("train").read(3))
    assert scenes("train", things=things).fingerprint() == scenes("train").fingerprint()


def test_zoom_makes_fewer_and_larger_things():
    def largest_disc(zoom):
        split = scenes("train", zoom=zoom, train_images=40)
        disc = split.info.classes.index("disc")
        return max(int((split.read(index).label == disc).sum()) for index in range(40))

    assert largest_disc(150) > 1.5 * largest_disc(75)
    with pytest.raises(DataError, match="zoom 20: expected 50 to 200"):
        scenes("train", zoom=20)
