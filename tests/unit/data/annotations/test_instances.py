"""COCO's polygons and run lengths become the masks that their format describes."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from segbench.data.annotations.choices import Others, Overlap
from segbench.errors import DataError, UsageError

SQUARE = [2, 3, 8, 3, 8, 7, 2, 7]  # x from 2 to 8, y from 3 to 7: 6 x 4 pixels


def inside(polygon, size):
    """Return the pixels whose centres lie in a polygon, by the even-odd rule: an oracle that shares no code."""
    points = list(zip(polygon[::2], polygon[1::2], strict=True))
    mask = np.zeros(size, bool)
    for row in range(size[0]):
        for column in range(size[1]):
            x, y, crossings = column + 0.5, row + 0.5, 0
            for (x1, y1), (x2, y2) in zip(points, points[1:] + points[:1], strict=True):
                crossings += (y1 > y) != (y2 > y) and x < x1 + (y - y1) * (x2 - x1) / (y2 - y1)
            mask[row, column] = crossings % 2
    return mask


def run_lengths(mask):
    """Return COCO's uncompressed run lengths: column by column, beginning with the pixels outside."""
    flat = mask.T.ravel()
    changes = np.flatnonzero(np.diff(flat.astype(int))) + 1
    edges = np.concatenate([[0], changes, [flat.size]])
    return ([0] if flat[0] else []) + np.diff(edges).tolist()


def test_a_square_is_worked_by_hand(tmp_path, photo, write_coco, drawn):
    photo(tmp_path / "a.jpg")
    file = write_coco(tmp_path / "train.json", [{"category_id": 7, "segmentation": [SQUARE]}])
    masks, done = drawn(file)
    expected = np.zeros((12, 16), np.uint8)
    expected[3:7, 2:8] = 2  # dog has the smaller id, so that cat is the second class after the background
    np.testing.assert_array_equal(masks["a.png"], expected)
    assert done.classes == ("background", "dog", "cat")
    assert done.pixels == (12 * 16 - 24, 0, 24)
    assert (tmp_path / "out" / "class_names.txt").read_text() == "background\ndog\ncat\n"


@pytest.mark.parametrize("seed", range(5))
def test_polygons_agree_with_the_even_odd_rule_but_for_their_edges(tmp_path, photo, write_coco, drawn, seed):
    random = np.random.default_rng(seed)
    angles = np.sort(random.uniform(0, 2 * np.pi, 7))
    radius = random.uniform(8, 18, 7)
    polygon = np.stack([20 + radius * np.cos(angles), 20 + radius * np.sin(angles)], 1).ravel().round(2).tolist()
    photo(tmp_path / "a.jpg", size=(40, 44))
    file = write_coco(tmp_path / "x.json", [{"category_id": 3, "segmentation": [polygon]}], size=(40, 44))
    masks, _ = drawn(file)
    oracle = inside(polygon, (40, 44))
    padded = np.pad(oracle, 1)
    shifted = [np.roll(padded, step, axis)[1:-1, 1:-1] for axis in (0, 1) for step in (-1, 1)]
    core, wide = oracle & np.all(shifted, axis=0), oracle | np.any(shifted, axis=0)
    assert core.sum() > 50
    assert (masks["a.png"][core] == 1).all()
    assert (masks["a.png"][~wide] == 0).all()


@pytest.mark.parametrize("compressed", [False, True])
def test_run_lengths_give_the_mask_that_they_were_made_of(tmp_path, photo, write_coco, drawn, compressed):
    from pycocotools import mask as coco_mask

    wanted = np.random.default_rng(3).random((12, 16)) > 0.6
    runs = {"size": [12, 16], "counts": run_lengths(wanted)}
    if compressed:
        runs["counts"] = coco_mask.frPyObjects(runs, 12, 16)["counts"].decode()
    photo(tmp_path / "a.jpg")
    masks, _ = drawn(write_coco(tmp_path / "x.json", [{"category_id": 3, "segmentation": runs}]))
    np.testing.assert_array_equal(masks["a.png"] == 1, wanted)


@pytest.mark.parametrize(
    ("overlap", "both"), [(Overlap.SMALLER, 1), (Overlap.LATER, 2), (Overlap.VOID, 255), (None, 1)]
)
def test_the_overlap_of_two_classes_follows_the_stated_rule_and_is_counted(
    tmp_path, photo, write_coco, drawn, overlap, both
):
    photo(tmp_path / "a.jpg")
    small, large = [2, 3, 8, 3, 8, 7, 2, 7], [6, 3, 16, 3, 16, 10, 6, 10]
    annotations = [{"category_id": 3, "segmentation": [small]}, {"category_id": 7, "segmentation": [large]}]
    masks, done = drawn(write_coco(tmp_path / "x.json", annotations), overlap=overlap)
    assert np.unique(masks["a.png"][3:7, 6:8]).tolist() == [both]
    told = next(note for note in done.notes if "overlap" in note)
    assert "in 8 pixels of 1 images" in told
    assert f"--overlap {overlap or 'smaller'}" in told


def test_instances_of_one_class_that_overlap_are_no_conflict(tmp_path, photo, write_coco, drawn):
    photo(tmp_path / "a.jpg")
    same = [{"category_id": 3, "segmentation": [SQUARE]}] * 2
    assert not [note for note in drawn(write_coco(tmp_path / "x.json", same))[1].notes if "overlap" in note]


def test_crowds_are_void_below_objects(tmp_path, photo, write_coco, drawn):
    photo(tmp_path / "a.jpg")
    crowd = np.zeros((12, 16), bool)
    crowd[3:9, 2:10] = True
    runs = {"size": [12, 16], "counts": run_lengths(crowd)}
    annotations = [
        {"category_id": 7, "segmentation": [SQUARE]},
        {"category_id": 7, "iscrowd": 1, "segmentation": runs},
    ]
    masks, done = drawn(write_coco(tmp_path / "x.json", annotations))
    assert (masks["a.png"][3:7, 2:8] == 2).all()
    assert (masks["a.png"] == 255).sum() == 6 * 8 - 24 == done.void_pixels
    assert any("1 regions are crowds" in note for note in done.notes)


def test_images_without_annotations_are_background_and_told(tmp_path, photo, write_coco, drawn):
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        photo(tmp_path / name)
    file = write_coco(
        tmp_path / "x.json", [{"category_id": 3, "segmentation": [SQUARE]}], names=("a.jpg", "b.jpg", "c.jpg")
    )
    masks, done = drawn(file)
    assert not masks["b.png"].any()
    assert any(note.startswith("2 images have no annotation") for note in done.notes)


def test_a_box_without_an_outline_is_void_and_a_polygon_of_two_points_is_no_box(tmp_path, photo, write_coco, drawn):
    photo(tmp_path / "a.jpg")
    annotations = [
        {"category_id": 3, "segmentation": [], "bbox": [1, 1, 4, 3]},
        {"category_id": 3, "segmentation": [[9, 1, 14, 5]], "bbox": [9, 1, 0, 0]},  # pycocotools would draw a box
    ]
    masks, done = drawn(write_coco(tmp_path / "x.json", annotations))
    expected = np.zeros((12, 16), np.uint8)
    expected[1:4, 1:5] = 255
    np.testing.assert_array_equal(masks["a.png"], expected)
    assert any("1 annotations have no outline but a box" in note for note in done.notes)
    assert any("1 parts of polygons have fewer than three points" in note for note in done.notes)
    assert any("1 annotations have neither outline nor box" in note for note in done.notes)


@pytest.mark.parametrize(
    ("annotation", "said"),
    [
        ({"category_id": 9, "segmentation": [SQUARE]}, "category 9, which the file does not list"),
        ({"category_id": 3, "image_id": 5, "segmentation": [SQUARE]}, "is of the image 5, which it lacks"),
        ({"category_id": 3, "segmentation": [[1, 2, 3, 4, 5, 6, 7]]}, "is no list of x, y"),
        ({"category_id": 3, "segmentation": [["a"] * 6]}, "is no list of x, y"),
        ({"category_id": 3, "segmentation": {"size": [16, 12], "counts": [192]}}, "run lengths are of [16, 12]"),
        ({"category_id": 3, "segmentation": {"size": [12, 16], "counts": [100]}}, "add up to 192"),
        ({"category_id": 3, "segmentation": {"size": [12, 16], "counts": "1"}}, "add up to 192"),
        ({"category_id": 3, "segmentation": {"size": [12, 16], "counts": "P6 \x7f"}}, "add up to 192"),
        ({"category_id": 3, "segmentation": {"size": [12, 16], "counts": "P"}}, "add up to 192"),
        ({"category_id": 3, "segmentation": {"size": [12, 16], "counts": None}}, "has no run lengths"),
        ({"category_id": 3, "segmentation": [[0, 0, 1e12, 0, 1e12, 5]]}, "more than 100,000 pixels away"),
        ({"category_id": 3, "iscrowd": "0", "segmentation": [SQUARE]}, "'iscrowd' is '0'; 0 or 1 is expected"),
        ({"category_id": "3", "segmentation": [SQUARE]}, "category '3', which the file does not list: one is a number"),
        ({"category_id": [3], "segmentation": [SQUARE]}, "'category_id' is [3]; a whole number or text is expected"),
        ({"category_id": 3, "image_id": "1", "segmentation": [SQUARE]}, "which it lacks: one is a number, the other"),
        ({"category_id": 3, "image_id": {}, "segmentation": [SQUARE]}, "'image_id' is {}; a whole number or text"),
        ({"category_id": 3, "segmentation": "polygon"}, "neither polygons nor run lengths"),
        ({"category_id": 3, "segmentation": [], "bbox": [1, 2, 3]}, "x, y, width and height are expected"),
    ],
)
def test_damaged_annotations_are_named_and_nothing_is_written(tmp_path, photo, write_coco, drawn, annotation, said):
    photo(tmp_path / "a.jpg")
    file = write_coco(tmp_path / "x.json", [{"category_id": 3, "segmentation": [SQUARE]}, annotation])
    with pytest.raises(DataError) as error:
        drawn(file)
    assert said in str(error.value)
    assert str(file) in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_size_that_disagrees_with_the_image_is_an_error(tmp_path, photo, write_coco, drawn):
    photo(tmp_path / "a.jpg", size=(24, 32))
    with pytest.raises(DataError, match=r"a\.jpg is 12x16 pixels .* but it is 24x32"):
        drawn(write_coco(tmp_path / "x.json", []))


def test_the_size_is_that_of_the_image_as_its_exif_orientation_shows_it(tmp_path, photo, write_coco, drawn):
    exif = Image.Exif()
    exif[0x0112] = 6
    photo(tmp_path / "a.jpg", size=(16, 12), exif=exif)  # shown with 12 rows of 16
    annotation = [{"category_id": 3, "segmentation": [SQUARE]}]
    masks, done = drawn(write_coco(tmp_path / "shown.json", annotation))
    assert masks["a.png"].shape == (12, 16)
    assert any("turned by their EXIF orientation" in note for note in done.notes)
    with pytest.raises(DataError, match="EXIF"):
        drawn(write_coco(tmp_path / "stored.json", annotation, size=(16, 12)), out="other")


def test_several_files_are_splits_with_one_numbering(tmp_path, photo, write_coco, drawn):
    for split in ("train2017", "val2017"):
        photo(tmp_path / "images" / split / "a.jpg")  # the same name in both
    files = [
        write_coco(
            tmp_path / "annotations" / f"instances_{split}.json", [{"category_id": key, "segmentation": [SQUARE]}]
        )
        for split, key in (("train2017", 3), ("val2017", 7))
    ]
    masks, _ = drawn(*files, images=tmp_path / "images")
    assert {name: mask.max() for name, mask in masks.items()} == {"train2017/a.png": 1, "val2017/a.png": 2}
    assert (tmp_path / "out" / "images" / "val2017" / "a.jpg").read_bytes() == (
        tmp_path / "images" / "val2017" / "a.jpg"
    ).read_bytes()


def test_files_of_one_name_are_called_as_their_folders(tmp_path, photo, write_coco, drawn):
    for split in ("train", "valid"):
        photo(tmp_path / split / f"{split}.jpg")
        write_coco(tmp_path / split / "_annotations.coco.json", [], names=(f"{split}.jpg",))
    assert set(drawn(tmp_path)[0]) == {"train/train.png", "valid/valid.png"}


def test_an_image_of_one_name_in_two_folders_is_asked_for(tmp_path, photo, write_coco, drawn):
    photo(tmp_path / "one" / "a.jpg")
    photo(tmp_path / "two" / "a.jpg")
    with pytest.raises(DataError, match=r"which file is the image a\.jpg"):
        drawn(write_coco(tmp_path / "x.json", []))


def test_a_missing_image_is_named_with_the_option(tmp_path, write_coco, drawn):
    with pytest.raises(DataError, match=r"no image a\.jpg; give --images"):
        drawn(write_coco(tmp_path / "x.json", []))


def test_an_id_stands_for_one_image_and_one_category(tmp_path, photo, write_coco, drawn):
    photo(tmp_path / "a.jpg")
    photo(tmp_path / "b.jpg")
    file = write_coco(tmp_path / "x.json", [])
    content = json.loads(file.read_text())
    first = content["images"][0]
    for changed, said in (
        ({"images": [first, {**first, "file_name": "b.jpg"}]}, "the image 1 is described twice, and differently"),
        ({"categories": [{"id": 1, "name": "cat"}, {"id": 1, "name": "dog"}]}, "the category 1 is described twice"),
        ({"images": [{**first, "id": [1]}]}, r"its 'id' is \[1\]; a whole number or text is expected"),
    ):
        file.write_text(json.dumps(content | changed))
        with pytest.raises(DataError, match=said):
            drawn(file)
    file.write_text(json.dumps(content | {"images": [first, {**first, "id": 1.0}]}))
    assert set(drawn(file)[0]) == {"a.png"}, "what is said twice in the same words is one"


def test_an_image_that_its_own_folder_lacks_is_not_taken_from_another(tmp_path, photo, write_coco, drawn):
    photo(tmp_path / "train" / "b.jpg")
    photo(tmp_path / "val" / "a.jpg")
    with pytest.raises(DataError, match=r"no image train/a\.jpg; give --images"):
        drawn(write_coco(tmp_path / "x.json", [], names=("train/a.jpg",)))
    assert set(drawn(write_coco(tmp_path / "x.json", [], names=("elsewhere/a.jpg",)))[0]) == {"elsewhere/a.png"}
    photo(tmp_path / "images" / "train" / "a.jpg")  # the same path below another folder is what is meant
    assert set(drawn(write_coco(tmp_path / "x.json", [], names=("train/a.jpg",)), out="two")[0]) >= {"train/a.png"}


def test_an_image_that_two_files_describe_is_refused(tmp_path, photo, write_coco, drawn):
    photo(tmp_path / "a.jpg")
    files = [write_coco(tmp_path / name, []) for name in ("instances_train.json", "person_keypoints_train.json")]
    with pytest.raises(DataError, match="describe each image once"):
        drawn(*files)


def test_a_background_among_the_categories_is_class_0_of_all_other_pixels(tmp_path, photo, write_coco, drawn):
    photo(tmp_path / "a.jpg")
    categories = [{"id": 0, "name": "_background_"}, {"id": 1, "name": "cat"}]
    file = write_coco(tmp_path / "x.json", [{"category_id": 1, "segmentation": [SQUARE]}], categories=categories)
    masks, done = drawn(file)
    assert done.classes == ("background", "cat")
    assert np.bincount(masks["a.png"].ravel()).tolist() == [168, 24]


def test_labels_that_a_list_does_not_name_are_refused_until_it_is_said_what_they_become(
    tmp_path, photo, write_coco, drawn
):
    photo(tmp_path / "a.jpg")
    file = write_coco(tmp_path / "x.json", [{"category_id": 3, "segmentation": [SQUARE]}])
    with pytest.raises(DataError, match="does not name: dog; add them"):
        drawn(file, listed=("cat",))
    assert drawn(file, listed=("cat",), others=Others.VOID, out="v")[0]["a.png"].max() == 255
    masks, done = drawn(file, listed=("cat",), others=Others.BACKGROUND, out="b")
    assert masks["a.png"].max() == 0
    assert any("no class is named for are background: dog" in note for note in done.notes)


def test_more_classes_than_a_mask_can_hold_are_refused(tmp_path, photo, write_coco, drawn):
    photo(tmp_path / "a.jpg")
    many = [{"id": number, "name": f"thing {number}"} for number in range(300)]
    with pytest.raises(DataError, match="301 classes; a mask holds at most 255"):
        drawn(write_coco(tmp_path / "x.json", [], categories=many))


def test_without_pycocotools_its_package_is_named(tmp_path, photo, write_coco, drawn, monkeypatch):
    photo(tmp_path / "a.jpg")
    file = write_coco(tmp_path / "x.json", [{"category_id": 3, "segmentation": [SQUARE]}])
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(UsageError, match="pip install pycocotools"):
        drawn(file)


def test_captions_and_other_json_are_no_annotations(tmp_path, drawn):
    file = tmp_path / "captions.json"
    file.write_text(json.dumps({"images": [], "annotations": [{"caption": "a cat"}], "categories": []}))
    with pytest.raises(DataError, match="is neither of COCO's instances"):
        drawn(file)
    file.write_text(json.dumps({"images": [], "annotations": [{"bbox": [1, 1, 2, 2]}], "categories": []}))
    with pytest.raises(DataError, match="boxes without outlines"):
        drawn(file)
    file.write_text("{")
    with pytest.raises(DataError, match="cannot be read as JSON"):
        drawn(file)
