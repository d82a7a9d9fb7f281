"""Guessing a layout: where images and masks are, as tools and people lay them out."""

import json

import numpy as np
import pytest
from PIL import Image

from segbench.data.guess.guess import guess
from segbench.data.guess.layout import guess_layout
from segbench.data.guess.seen import what_was_seen

MASK = np.array([[0, 1, 1, 0]] * 4, np.uint8)
PHOTO = np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)


def put(root, *names):
    """Write a mask for names that tell of one, else a photograph."""
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        told = file.suffix == ".gif" or any(word in name.lower() for word in ("mask", "label", "ann", "gt", "seg"))
        Image.fromarray(MASK if told else PHOTO).save(file)


def named(found):
    return {found.layout.images, found.layout.masks}, (found.train, found.validation, found.test)


ALL = ("train", "val", "test")
LAYOUTS = {
    "images, then splits": ("images/{}/#.jpg", "masks/{}/#.png", {"images/{split}", "masks/{split}"}),
    "splits, then images": ("{}/images/#.jpg", "{}/labels/#.png", {"{split}/images", "{split}/labels"}),
    "mmsegmentation": ("img_dir/{}/#.jpg", "ann_dir/{}/#.png", {"img_dir/{split}", "ann_dir/{split}"}),
    "camvid": ("{}/#.png", "{}annot/#.png", {"{split}", "{split}annot"}),
    "split in the name": ("{}_images/#.jpg", "{}_masks/#.png", {"{split}_images", "{split}_masks"}),
    "unpacked one deeper": ("set/images/{}/#.jpg", "set/gt/{}/#.png", {"set/images/{split}", "set/gt/{split}"}),
    "one folder": ("{}/#.jpg", "{}/#_mask.png", {"{split}"}),
    "mask of jpg": ("images/{}/#.jpg", "masks/{}/#.jpg.png", {"images/{split}", "masks/{split}"}),
    "cities": (
        "leftImg8bit/{}/bonn/bonn_#_leftImg8bit.png",
        "gtFine/{}/bonn/bonn_#_gtFine_labelTrainIds.png",
        {"leftImg8bit/{split}", "gtFine/{split}"},
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_splits_of_every_layout_are_found(layout, tmp_path):
    image, mask, folders = LAYOUTS[layout]
    for split in ALL:
        put(tmp_path, *(name.format(split).replace("#", n) for n in "357" for name in (image, mask)))
    found = guess(tmp_path)
    assert named(found) == (folders, ALL)
    assert not found.lists
    assert found.notes == ()


@pytest.mark.parametrize(("training", "validation"), [("train", "valid"), ("Training", "Validation"), ("trn", "dev")])
def test_without_a_test_split_the_validation_split_is_the_test(training, validation, tmp_path):
    for split in (training, validation):
        put(tmp_path, *(f"{part}/{split}/{n}.png" for n in "ab" for part in ("images", "masks")))
    found = guess(tmp_path)
    assert (found.train, found.validation, found.test) == (training, None, validation)
    assert found.notes == (f"{validation} is the test split: there is no other with masks",)


def test_test_images_without_masks_are_told(tmp_path):
    for split in ALL:
        put(tmp_path, f"images/{split}/a.jpg", f"images/{split}/b.jpg")
    put(tmp_path, *(f"masks/{split}/{name}.png" for split in ("train", "val") for name in "ab"))
    found = guess(tmp_path)
    assert (found.train, found.validation, found.test) == ("train", None, "val")
    assert "test: its 2 images have no masks and are left out" in found.notes


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("train/{}.jpg", "train_masks/{}_mask.gif"),
        ("imagesTr/{}_0000.png", "labelsTr/{}.png"),
        ("train/images/{}.jpg", "train/masks/{}.png"),
    ],
)
def test_a_test_split_is_drawn_where_only_training_images_have_masks(image, mask, tmp_path):
    put(tmp_path, *(name.format(number) for number in range(1, 6) for name in (image, mask)))
    put(tmp_path, image.format(9).replace("train", "test").replace("Tr", "Ts"))
    found = guess(tmp_path)
    assert found.drawn
    assert found.pairs == tuple((image.format(number), mask.format(number)) for number in range(1, 6))
    assert any("have no masks" in note for note in found.notes)


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("JPEGImages/{}.jpg", "SegmentationClass/{}.png"),
        ("JPEGImages/{}.jpg", "SegmentationClassPNG/{}.png"),
        ("images/{}.jpg", "labels/{}.png"),
        ("data/{}.jpg", "data/{}.png"),
        ("{}.jpg", "{}_mask.png"),
        ("{}.jpg", "{}_seg.png"),
        ("images/img_{}.png", "masks/mask_{}.png"),
        ("unpacked/images/{}.jpg", "unpacked/masks/{}.png"),
        ("a b/photos/{}_rgb.png", "a b/ground_truth/{}_gt.png"),
    ],
)
def test_pairs_without_splits_are_found(image, mask, tmp_path):
    for number in ("01", "02", "11"):
        put(tmp_path, image.format(number))
        (tmp_path / mask.format(number)).parent.mkdir(exist_ok=True)
        Image.fromarray(MASK).save(tmp_path / mask.format(number))
    found = guess(tmp_path)
    assert found.drawn
    assert found.pairs == tuple((image.format(number), mask.format(number)) for number in ("01", "02", "11"))


def test_scenes_with_images_and_masks_each_are_one_data_set(tmp_path):
    put(tmp_path, *(f"{scene}/{part}/0.png" for scene in ("a", "b", "c") for part in ("images", "masks")))
    assert [image for image, _ in guess(tmp_path).pairs] == [f"{scene}/images/0.png" for scene in "abc"]


def test_the_folder_of_masks_is_taken_and_not_that_of_pictures_of_them(tmp_path):
    put(tmp_path, "JPEGImages/0.jpg", "SegmentationClassPNG/0.png", "SegmentationClassVisualization/0.jpg")
    assert guess_layout(tmp_path).masks == "SegmentationClassPNG"


def test_of_cityscapes_masks_the_train_ids_are_taken(tmp_path):
    for split in ("train", "val"):
        endings = ("color", "instanceIds", "labelIds", "labelTrainIds")
        put(tmp_path, *(f"gtFine/{split}/ulm/ulm_{n}_gtFine_{end}.png" for n in "12" for end in endings))
        put(tmp_path, *(f"leftImg8bit/{split}/ulm/ulm_{n}_leftImg8bit.png" for n in "12"))
    layout = guess(tmp_path).layout
    assert (layout.suffixes, layout.recursive) == (("_leftImg8bit", "_gtFine_labelTrainIds"), True)


@pytest.mark.parametrize("lists", ["{}.txt", "ImageSets/Segmentation/{}.txt", "splits/{}.txt"])
@pytest.mark.parametrize("line", ["{0}\n", "JPEGImages/{0}.jpg SegmentationClass/{0}.png\n"])
def test_lists_that_are_there_are_used(lists, line, tmp_path):
    put(tmp_path, *(f"{part}" for n in "123" for part in (f"JPEGImages/{n}.jpg", f"SegmentationClass/{n}.png")))
    for split, names in (("train", "12"), ("val", "3")):
        file = tmp_path / lists.format(split)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(line.format(name) for name in names), encoding="utf-8")
    found = guess(tmp_path)
    assert (found.layout.split_file, found.train, found.test) == (lists.format("{split}"), "train", "val")
    assert [len(part.pairs) for part in found.layout.splits.values()] == [2, 1]
    assert not found.lists


def test_images_without_a_mask_are_left_out_and_told(tmp_path):
    for split in ("train", "test"):
        put(tmp_path, *(f"images/{split}/{n}.png" for n in "abc"), *(f"masks/{split}/{n}.png" for n in "ab"))
    found = guess(tmp_path)
    assert {split: len(pairs) for split, pairs in found.lists.items()} == {"train": 2, "test": 2}
    assert found.notes == ("2 images have no mask and are left out: images/train/c.png, images/test/c.png",)


def test_braces_in_names_of_folders_are_no_places_for_splits(tmp_path):
    put(tmp_path, *(f"{part}/{split}/a.png" for part in ("{x} images", "{x} masks") for split in ("train", "test")))
    assert guess(tmp_path).layout.images.format(split="train") == "{x} images/train"


def test_what_cannot_be_used_is_said_with_what_to_do(tmp_path):
    (tmp_path / "imagesTr").mkdir()
    (tmp_path / "imagesTr" / "a_0000.nii.gz").touch()
    assert what_was_seen(tmp_path) == [
        "imagesTr: 1 .nii.gz",
        "NIfTI volumes cannot be read: save their slices as PNG or TIFF, images and masks alike",
    ]
    assert what_was_seen(tmp_path / "absent") == []


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            {"images": [{}], "annotations": [{"segmentation": []}], "categories": [{"name": "cat"}]},
            "1 images, 1 categories: cat): segbench reads masks, and draws them by",
        ),
        (
            {"images": [{}], "annotations": [{"bbox": []}], "categories": [{"name": "cat"}]},
            "a.json: boxes without outlines",
        ),
        ({"images": [{}], "annotations": [{"segments_info": []}], "categories": []}, "COCO panoptic annotations"),
        ({"shapes": [], "imagePath": "a.jpg"}, "LabelMe shapes in 1 files such as a.json"),
    ],
)
def test_annotations_that_are_no_masks_are_named(content, told, tmp_path):
    put(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "a.json").write_text(json.dumps(content), encoding="utf-8")
    assert guess(tmp_path) is None
    assert any(told in line for line in what_was_seen(tmp_path))


def test_what_was_seen_has_at_most_ten_lines(tmp_path):
    for number in range(30):
        put(tmp_path, f"{number}/photo.jpg")
    assert 1 < len(what_was_seen(tmp_path)) <= 10


def put_panoptic(root, *, folder="panoptic_train2017", json_file="annotations/panoptic_train2017.json", grey=False):
    """Write photographs, the segments' numbers as colours, and what describes them."""
    for index in range(3):
        put(root, f"train2017/{index:012d}.jpg")
        segments = MASK.repeat(4, axis=0).repeat(4, axis=1) * (37 + index)
        colors = segments if grey else np.stack([segments, segments // 5, segments * 0], axis=2)
        (root / folder).mkdir(parents=True, exist_ok=True)
        Image.fromarray(colors).save(root / folder / f"{index:012d}.png")
    described = [{"file_name": f"{index:012d}.png", "segments_info": [{"id": 37}]} for index in range(3)]
    text = json.dumps({"images": [{}] * 3, "annotations": described, "categories": [{"id": 1, "name": "cat"}]})
    (root / json_file).parent.mkdir(parents=True, exist_ok=True)
    (root / json_file).write_text(text)


@pytest.mark.parametrize("folder", ["panoptic_train2017", "annotations/panoptic_train2017", "masks/train2017"])
@pytest.mark.parametrize("json_file", ["annotations/panoptic_train2017.json", "train.json"])
def test_numbers_of_segments_are_no_classes(tmp_path, folder, json_file):
    put_panoptic(tmp_path, folder=folder, json_file=json_file)
    assert guess(tmp_path) is None
    seen = "\n".join(what_was_seen(tmp_path))
    assert "numbers of segments, and no classes" in seen
    assert "segbench data convert" in seen


def test_grey_masks_beside_panoptic_ones_of_their_names_are_found(tmp_path):
    put_panoptic(tmp_path)
    put_panoptic(tmp_path, folder="panoptic_semseg_train2017", grey=True)
    assert guess(tmp_path).layout.masks == "panoptic_semseg_{split}"


def test_panoptic_annotations_are_named_before_others_of_the_folder(tmp_path):
    put_panoptic(tmp_path)
    (tmp_path / "annotations/captions.json").write_text(json.dumps({"images": [], "annotations": [], "categories": []}))
    assert any("COCO panoptic annotations" in line for line in what_was_seen(tmp_path))


def put_city(root, split, ending, mask, *, count=3):
    for index in range(count):
        base = f"{split}/bonn/bonn_{index:06d}_000019"
        put(root, f"leftImg8bit/{base}_leftImg8bit.png")
        file = root / f"gtFine/{base}_gtFine_{ending}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(file)


@pytest.mark.parametrize(("ending", "road", "void"), [("labelIds", 7, (0, 1, 3)), ("labelTrainIds", 0, (255,))])
def test_void_masks_that_hold_a_place_make_no_test_split(tmp_path, ending, road, void):
    """As Cityscapes is published: the masks of its test images are ignored everywhere."""
    labelled = MASK + np.uint8(road)
    for split in ("train", "val"):
        put_city(tmp_path, split, ending, labelled)
    put_city(tmp_path, "test", ending, np.resize(np.array(void, np.uint8), MASK.shape))
    found = guess(tmp_path)
    assert (found.train, found.validation, found.test) == ("train", None, "val")
    assert found.notes[0].startswith("test: its 3 masks hold nothing but void")
    assert found.notes[1] == "val is the test split: there is no other with masks"
    assert len(found.notes) == 2


def test_a_test_split_with_some_labels_stays(tmp_path):
    for split in ("train", "val", "test"):
        put_city(tmp_path, split, "labelIds", MASK + np.uint8(7))
    assert guess(tmp_path).test == "test"
