"""No second candidate for the masks is passed over in silence: folders, endings and annotators are named."""

import numpy as np
import pytest
from PIL import Image

from segbench.cli.commands import init as starter
from segbench.data.guess.guess import guess

RANDOM = np.random.default_rng(0)


def image(file):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RANDOM.integers(0, 256, (16, 24, 3)).astype(np.uint8)).save(file)


def mask(file, values=(0, 1)):
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = RANDOM.permutation(np.resize(np.array(values, np.uint8), 16 * 24)).reshape(16, 24)
    Image.fromarray(pixels).save(file)


def drive(root, *, test_labels=True, first=None):
    """Write DRIVE's layout: ``mask`` is the field of view, ``1st_manual`` the vessels."""
    for split, start in (("training", 21), ("test", 1)):
        for number in range(start, start + 3):
            image(root / split / "images" / f"{number:02d}_{split}.tif")
            mask(root / split / "mask" / f"{number:02d}_{split}_mask.gif", values=(0, 255))
            if test_labels or split == "training":
                mask(root / split / (first or "1st_manual") / f"{number:02d}_manual1.gif", values=(0, 255))


@pytest.mark.parametrize("first", ["1st_manual", "manual", "annotation", "labels", "gt", "GroundTruth", "ground_truth"])
def test_annotations_are_preferred_to_a_field_of_view_and_both_are_named(first, tmp_path):
    drive(tmp_path, first=first)
    found = guess(tmp_path)
    expected = {f"training/{first}/{number}_manual1.gif" for number in (21, 22, 23)}
    expected |= {f"test/{first}/{number:02d}_manual1.gif" for number in (1, 2, 3)}
    assert {label for _, label in found.pairs} == expected
    assert (set(found.lists), found.drawn) == ({"train", "test"}, False)
    (note,) = [note for note in found.notes if "{split}/mask" in note]
    assert note.startswith("{split}/mask holds masks of 6 of the images too, and is not read")
    assert "segbench init --masks '{split}/mask'" in note
    assert found.open_masks == ()


def test_annotations_of_the_training_images_alone_are_preferred_too(tmp_path):
    drive(tmp_path, test_labels=False)
    found = guess(tmp_path)
    assert {label.split("/")[1] for _, label in found.pairs} == {"1st_manual"}
    assert any("{split}/mask holds masks of 6" in note for note in found.notes)


def test_few_annotations_are_not_preferred_and_asked_about(tmp_path):
    for number in range(8):
        image(tmp_path / "images" / f"{number}.png")
        mask(tmp_path / "masks" / f"{number}.png")
    mask(tmp_path / "labels" / "3.png")
    found = guess(tmp_path)
    assert found.layout.masks == "masks"
    assert [(other.masks, other.pairs) for other in found.open_masks] == [("labels", 1)]


SEVERAL = {
    "two of one word": ("masks", "masks_b"),
    "two annotators": ("labels-ah", "labels-vk"),
    "a name that tells nothing": ("masks", "vessels"),
    "below each split": ("{}/masks", "{}/vessels"),
    "above each split": ("masks/{}", "vessels/{}"),
    "three": ("masks", "masks_b", "masks_c"),
}


@pytest.mark.parametrize("case", SEVERAL)
def test_which_of_several_folders_is_meant_is_an_open_question(case, tmp_path, segbench):
    splits = ("train", "test") if "{}" in SEVERAL[case][0] else ("",)
    images = SEVERAL[case][0].replace("masks", "images") if "{}" in SEVERAL[case][0] else "images"
    for split in splits:
        for number in range(4):
            image(tmp_path / images.format(split) / f"{number}.png")
            for folder in SEVERAL[case]:
                mask(tmp_path / folder.format(split) / f"{number}.png")
    answer = segbench("init", tmp_path)
    assert answer.code == 0
    read, *others = (folder.replace("{}", "{split}") for folder in SEVERAL[case])
    text = " ".join((tmp_path / "suite.yaml").read_text(encoding="utf-8").replace("#", " ").split())
    for other in others:
        assert f"open question: are the masks those of {other}?" in answer.err
        assert f"OPEN QUESTION: are the masks those of {other}?" in text
        assert f"--masks '{other}'" in answer.err
    (tmp_path / "suite.yaml").unlink()
    for name in ("train.txt", "test.txt"):
        (tmp_path / name).unlink(missing_ok=True)
    chosen = segbench("init", tmp_path, "--masks", others[0])
    assert chosen.code == 0
    assert "open question" not in chosen.err
    found = guess(tmp_path, masks=others[0])
    assert found.layout.masks == others[0]
    assert len(found.layout.pairs) == 4 * len(splits)
    assert read != others[0]


def test_the_folder_may_be_given_by_its_path_or_its_last_part(tmp_path):
    drive(tmp_path)
    for given in ("mask", "{split}/mask", "training/mask", "test/mask/"):
        assert guess(tmp_path, masks=given).layout.masks == "{split}/mask"


def test_a_folder_without_masks_is_refused(tmp_path, segbench):
    drive(tmp_path)
    answer = segbench("init", tmp_path, "--masks", "vessels")
    assert answer.code == 2
    assert "--masks vessels: no images below" in answer.err


def test_on_a_terminal_the_folder_is_asked_for(tmp_path, monkeypatch):
    for number in range(4):
        image(tmp_path / "images" / f"{number}.png")
        for folder in ("masks", "vessels"):
            mask(tmp_path / folder / f"{number}.png")
    monkeypatch.setattr(starter, "_on_a_terminal", lambda: True)
    asked = []
    for answer, read in ((False, "masks"), (True, "vessels")):
        monkeypatch.setattr("typer.confirm", lambda text, answer=answer: asked.append(text) or answer)
        found = starter._found(tmp_path, None)
        assert found.layout.masks == read
        assert found.open_masks == ()
    assert asked == ["Masks of the same images are in masks and in vessels. Read the latter?"] * 2


def test_pictures_of_masks_are_named_and_no_question(tmp_path):
    for number in range(3):
        image(tmp_path / "JPEGImages" / f"{number}.jpg")
        mask(tmp_path / "SegmentationClass" / f"{number}.png")
        mask(tmp_path / "SegmentationObject" / f"{number}.png", values=(0, 1, 2, 3))
    found = guess(tmp_path)
    assert found.layout.masks == "SegmentationClass"
    assert found.open_masks == ()
    assert any(note.startswith("SegmentationObject holds masks of 3 of the images too") for note in found.notes)


def test_scenes_are_no_candidates_for_each_others_masks(tmp_path):
    for scene in "ab":
        for number in range(3):
            image(tmp_path / scene / "images" / f"{number}.png")
            mask(tmp_path / scene / "masks" / f"{number}.png")
    found = guess(tmp_path)
    assert len(found.pairs) == 6
    assert found.open_masks == ()
    assert found.notes == ()


def test_every_image_is_listed_once_where_two_folders_have_its_masks(tmp_path, segbench):
    for number in range(10):
        image(tmp_path / "images" / f"{number}.png")
        mask(tmp_path / "masks" / f"{number}.png")
        mask(tmp_path / "labels" / f"{number}.png", values=(0, 1, 2))
    found = guess(tmp_path)
    assert sorted(found.pairs) == [(f"images/{number}.png", f"labels/{number}.png") for number in range(10)]
    assert any(note.startswith("masks holds masks of 10 of the images too") for note in found.notes)
    assert segbench("init", tmp_path).code == 0
    assert segbench("data", "check", tmp_path / "suite.yaml").code == 0


@pytest.mark.parametrize(
    ("image_name", "chosen", "other", "ending"),
    [
        ("Image_{}L.jpg", "Image_{}L_1stHO.png", "Image_{}L_2ndHO.png", "_2ndHO"),
        ("{}.jpg", "{}_annotator1.png", "{}_annotator2.png", "_annotator2"),
        ("{}_training.tif", "{}_manual1.gif", "{}_training_mask.gif", "_training_mask"),
        ("{}.jpg", "{}_label.png", "{}_mask.png", "_mask"),
        ("images/{}.jpg", "masks/{}_label.png", "masks/{}_mask.png", "_mask"),
        ("images/{}.jpg", "gt/{}_gt.png", "gt/{}_instances.png", "_instances"),
    ],
)
def test_further_masks_beside_the_chosen_ones_are_masks_and_no_bands(image_name, chosen, other, ending, tmp_path):
    for number in ("01", "02", "03", "04"):
        image(tmp_path / image_name.format(number))
        mask(tmp_path / chosen.format(number))
        mask(tmp_path / other.format(number))
    found = guess(tmp_path)
    assert {pair.label for pair in found.layout.pairs} == {
        tmp_path / chosen.format(n) for n in ("01", "02", "03", "04")
    }
    notes = " ".join(found.notes)
    assert "images have several masks: 4 more" in notes
    assert ending in notes
    assert "bands" not in notes
    assert "no mask" not in notes


@pytest.mark.parametrize("name", ["validation", "val", "valid", "dev", "Validation"])
@pytest.mark.parametrize(("train", "test"), [("train", "test"), ("training", "testing")])
def test_a_validation_split_of_any_name_is_in_the_suite(name, train, test, tmp_path, segbench):
    for split in (train, name, test):
        for number in range(2):
            image(tmp_path / "images" / split / f"{number}.png")
            mask(tmp_path / "masks" / split / f"{number}.png")
    assert segbench("init", tmp_path).code == 0
    from segbench.config import load_suite

    dataset = load_suite(tmp_path / "suite.yaml").dataset
    assert (dataset.train_split, dataset.validation_split, dataset.test_split) == (train, name, test)


@pytest.mark.parametrize(("suffix", "saving"), [("jpg", {"quality": 90}), ("tif", {"compression": "jpeg"})])
def test_lossy_masks_are_named_as_what_they_are_in_any_container(suffix, saving, tmp_path):
    disk = ((np.add.outer(np.arange(-16, 16) ** 2, np.arange(-24, 24) ** 2) < 150) * 255).astype(np.uint8)
    for number in range(4):
        image(tmp_path / "images" / f"{number}.png")
        (tmp_path / "masks").mkdir(exist_ok=True)
        Image.fromarray(disk).save(tmp_path / "masks" / f"{number}.{suffix}", **saving)
    classes = guess(tmp_path).classes
    assert classes.values == (0, 255)
    assert any(f"0.{suffix} and others are in a lossy format" in note for note in classes.notes)
    assert not any("not JPEG" in note for note in classes.notes)


def test_a_second_annotator_of_the_test_images_is_an_open_question(tmp_path):
    """As DRIVE is published: ``2nd_manual`` is beside the test images alone."""
    drive(tmp_path)
    for number in (1, 2, 3):
        mask(tmp_path / "test" / "2nd_manual" / f"{number:02d}_manual2.gif", values=(0, 255))
    found = guess(tmp_path)
    assert found.layout.masks == "{split}/1st_manual"
    assert [(other.masks, other.pairs) for other in found.open_masks] == [("{split}/2nd_manual", 3)]


def test_splits_of_masks_alone_share_the_images(tmp_path):
    for number in range(6):
        image(tmp_path / "images" / f"{number}.png")
        mask(tmp_path / "masks" / ("train" if number < 4 else "test") / f"{number}.png")
    found = guess(tmp_path)
    assert {split: [image for image, _ in pairs] for split, pairs in found.lists.items()} == {
        "train": [f"images/{number}.png" for number in range(4)],
        "test": ["images/4.png", "images/5.png"],
    }
    assert found.notes == ()
