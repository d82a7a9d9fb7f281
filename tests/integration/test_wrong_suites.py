"""Wrong suites end with a clear message, exit code 2, no traceback, and nothing trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from tiny import document

FOLDER = {"name": "folder", "root": "data", "classes": ["dark", "light"]}


def pictures(root: Path, *, size=(32, 32), count=2, labels=2) -> None:
    """Write a good little data set of images and masks."""
    draw = np.random.default_rng(0)
    for split in ("train", "test"):
        for kind in ("images", "masks"):
            (root / kind / split).mkdir(parents=True)
        for index in range(count):
            Image.fromarray(draw.integers(0, 255, (*size, 3), np.uint8)).save(root / f"images/{split}/{index}.png")
            Image.fromarray(draw.integers(0, labels, size, np.uint8)).save(root / f"masks/{split}/{index}.png")


def good(root: Path) -> None:
    pictures(root)


def truncated(root: Path) -> None:
    pictures(root)
    file = root / "images/test/1.png"
    file.write_bytes(file.read_bytes()[:100])


def not_an_image(root: Path) -> None:
    pictures(root)
    (root / "masks/train/0.png").write_text("hello")


def out_of_range(root: Path) -> None:
    pictures(root)
    mask = np.zeros((32, 32), np.uint8)
    mask[3, 4] = 9
    Image.fromarray(mask).save(root / "masks/train/1.png")


def unpaired(root: Path) -> None:
    pictures(root)
    (root / "masks/test/1.png").unlink()


def of_two_sizes(root: Path) -> None:
    pictures(root)
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(root / "masks/test/0.png")


def empty_split(root: Path) -> None:
    pictures(root)
    for file in root.glob("*/train/*.png"):
        file.unlink()


def changed(**changes):
    return document(**changes)


def without(key):
    suite = document()
    del suite[key]
    return suite


SCHEMA = {
    "unknown key": (changed(modles=["unet"]), ["modles", "did you mean 'models'"]),
    "unknown key in a section": (changed(train={"epoch": 3}), ["train.epoch", "did you mean 'epochs'"]),
    "unknown option of a model": (changed(models=[{"name": "unet", "widht": 1}]), ["models[0].widht", "width"]),
    "unknown option of a data set": (changed(dataset={"szie": [8, 8]}), ["dataset.szie", "did you mean 'size'"]),
    "unknown option of a step": (
        changed(transforms={"train": [{"name": "random_crop", "sise": 3}]}),
        ["transforms.train[0].sise", "did you mean 'size'"],
    ),
    "unknown model": (changed(models=["unett"]), ["models[0]", "unknown model 'unett'", "did you mean 'unet'"]),
    "unknown data set": (changed(dataset={"name": "camvidd"}), ["dataset", "camvidd"]),
    "unknown loss": (changed(train={"loss": "dise"}), ["train.loss[0]", "did you mean 'dice'"]),
    "unknown optimizer": (changed(train={"optimizer": "adamm"}), ["train.optimizer", "did you mean 'adam"]),
    "unknown schedule": (changed(train={"schedule": "polly"}), ["train.schedule", "did you mean 'poly'"]),
    "wrong type": (changed(train={"epochs": "many"}), ["train.epochs", "integer", "'many'"]),
    "out of bounds": (changed(train={"batch_size": 0}), ["train.batch_size", "greater than or equal to 1", "0"]),
    "epochs and steps": (changed(train={"steps": 5}), ["train", "either epochs or steps"]),
    "nothing to compare": (changed(models=[]), ["models", "at least 1"]),
    "two rows of one name": (changed(models=["unet", "unet"]), ["models[1].label", "two models are called 'unet'"]),
    "a default for nobody": (changed(defaults={"growht": 3}), ["defaults.growht", "no model has this option"]),
    "missing section": (without("dataset"), ["dataset", "required"]),
    "selection on the test split": (
        changed(dataset={"validation_split": "test"}, train={"select": "best"}),
        ["must not be selected on the split that is reported"],
    ),
    "bad grid": (changed(grid={"train.epcohs": [1, 2]}), ["grid", "epcohs", "epochs"]),
    "seed twice": (changed(seeds=[1, 1]), ["seeds", "twice"]),
}


@pytest.mark.parametrize("case", SCHEMA)
def test_a_wrong_suite_is_explained(segbench, tmp_path, case):
    suite, words = SCHEMA[case]
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(suite))
    done = segbench("run", "wrong.yaml")
    assert_explained(done, tmp_path, ["wrong.yaml", *words])


CONTENT = {
    "missing data set": (None, {}, ["data", "segbench"]),
    "unreadable image": (truncated, {}, ["1.png", "images"]),
    "unreadable label": (not_an_image, {}, ["0.png", "masks"]),
    "label out of range": (out_of_range, {}, ["1.png", "9"]),
    "image without a label": (unpaired, {}, ["1"]),
    "image and label of two sizes": (of_two_sizes, {}, ["0.png", "16", "32"]),
    "empty split": (empty_split, {}, ["train"]),
    "crop larger than possible": (
        good,
        {"transforms": {"train": [{"name": "random_crop", "size": [64, 64], "pad": False}, "normalize"]}},
        ["random_crop", "64", "32"],
    ),
    "class count mismatch": (
        good,
        {"train": {"loss": {"name": "cross_entropy", "class_weights": [1.0, 2.0, 3.0]}}},
        ["class_weights", "3", "2"],
    ),
    "more images in a batch than there are": (good, {"train": {"batch_size": 64}}, ["batch", "64", "2"]),
    "missing weights": (good, {"models": [{"name": "unet", "weights": "nowhere.pt"}]}, ["nowhere.pt", "weights"]),
    "unknown encoder": (good, {"models": [{"name": "unet", "encoder": "resnett18"}]}, ["resnett18", "resnet18"]),
    "a random step in evaluation": (good, {"transforms": {"test": ["horizontal_flip"]}}, ["horizontal_flip"]),
}


@pytest.mark.parametrize("case", CONTENT)
def test_a_suite_that_does_not_fit_its_data_is_explained(segbench, tmp_path, case):
    make, changes, words = CONTENT[case]
    if make:
        make(tmp_path / "data")
    suite = document(**{"train": {"batch_size": 2}, **changes})
    suite["dataset"] = FOLDER
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(suite))
    done = segbench("run", "wrong.yaml")
    assert_explained(done, tmp_path, words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- unet\n- cnn\n", ["mapping"]),
        ("models: [unet\n", ["not YAML"]),
        ("dataset: ${NO_SUCH_VARIABLE}\n", ["NO_SUCH"]),
    ],
)
def test_a_file_that_is_no_suite_is_explained(segbench, tmp_path, text, words):
    (tmp_path / "wrong.yaml").write_text(text)
    assert_explained(segbench("run", "wrong.yaml"), tmp_path, ["wrong.yaml", *words])


def test_a_missing_file_is_explained(segbench, tmp_path):
    assert_explained(segbench("run", "missing.yaml"), tmp_path, ["missing.yaml", "no such file"])


def assert_explained(done, folder, words):
    """Assert exit code 2, a message that holds the words, no traceback and no run."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    said = " ".join(done.stderr.split())
    for word in words:
        assert word in said, f"{word!r} is missing in: {said}"
    assert not list((folder / "results").glob("*/*/run.json"))
