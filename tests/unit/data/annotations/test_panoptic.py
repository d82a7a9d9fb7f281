"""COCO's panoptic PNG files become class masks by their JSON file."""

import json

import numpy as np
import pytest
from PIL import Image

from segbench.errors import DataError

CATEGORIES = [{"id": 184, "name": "tree", "isthing": 0}, {"id": 1, "name": "person", "isthing": 1}]
IDS = np.array([[70000, 70000, 300, 0], [70000, 300, 300, 0], [5, 5, 5, 5]])  # above 65535, above 255, below


def write(root, *, segments=((70000, 184, 0), (300, 1, 0), (5, 1, 1)), ids=IDS, name="panoptic_val", folder=None):
    """Write an image, its PNG file of segments and the JSON file; segments are (id, category, crowd)."""
    colors = np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=2).astype(np.uint8)
    place = root / "annotations" / name if folder is None else root / folder
    place.mkdir(parents=True)
    (root / "annotations").mkdir(exist_ok=True)
    Image.fromarray(colors).save(place / "a.png")
    (root / "val").mkdir()
    Image.fromarray(np.zeros((3, 4, 3), np.uint8)).save(root / "val" / "a.jpg")
    info = [{"id": key, "category_id": category, "iscrowd": crowd} for key, category, crowd in segments]
    file = root / "annotations" / f"{name}.json"
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 3, "width": 4}],
        "annotations": [{"image_id": 1, "file_name": "a.png", "segments_info": info}],
        "categories": CATEGORIES,
    }
    file.write_text(json.dumps(content))
    return file


@pytest.mark.parametrize("folder", [None, "panoptic_val", "segments/panoptic_val"])
def test_segments_become_their_categories_and_crowds_and_the_rest_void(tmp_path, drawn, folder):
    masks, done = drawn(write(tmp_path, folder=folder))
    expected = [[1, 1, 0, 255], [1, 0, 0, 255], [255, 255, 255, 255]]  # person is 0, tree 1: there is no background
    assert masks["a.png"].tolist() == expected
    assert done.classes == ("person", "tree")
    assert done.void_pixels == 6
    assert any("1 segments are crowds" in note for note in done.notes)
    assert any("pixels of no segment are void" in note for note in done.notes)


def test_a_segment_that_is_not_described_is_an_error(tmp_path, drawn):
    with pytest.raises(DataError, match="holds the segment 5"):
        drawn(write(tmp_path, segments=((70000, 184, 0), (300, 1, 0))))


def test_a_segment_of_no_category_is_an_error(tmp_path, drawn):
    with pytest.raises(DataError, match="category 2"):
        drawn(write(tmp_path, segments=((70000, 2, 0), (300, 1, 0), (5, 1, 1))))


def test_a_png_file_of_another_size_is_an_error(tmp_path, drawn):
    with pytest.raises(DataError, match="is 6x4 pixels"):
        drawn(write(tmp_path, ids=np.vstack([IDS, IDS])))


def test_instances_and_panoptic_annotations_are_not_mixed(tmp_path, drawn, photo, write_coco):
    file = write(tmp_path)
    write_coco(file.with_name("instances_val.json"), [])
    with pytest.raises(DataError, match="several kinds"):
        drawn(file.parent)


def test_images_without_segments_are_void_and_told(tmp_path, drawn):
    file = write(tmp_path)
    content = json.loads(file.read_text())
    content["images"].append({**content["images"][0], "id": 2, "file_name": "b.jpg"})
    Image.fromarray(np.zeros((3, 4, 3), np.uint8)).save(tmp_path / "val" / "b.jpg")
    file.write_text(json.dumps(content))
    masks, done = drawn(file)
    assert (masks["b.png"] == 255).all()
    assert any(note.startswith("1 images have no annotation: all of it") for note in done.notes)


def test_segments_of_an_image_that_is_not_listed_are_an_error(tmp_path, drawn):
    file = write(tmp_path)
    content = json.loads(file.read_text())
    content["annotations"].append({**content["annotations"][0], "image_id": 9})
    file.write_text(json.dumps(content))
    with pytest.raises(DataError, match="of the image 9, which it lacks"):
        drawn(file)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"annotations": 2}, "the annotation of image 1 is described twice, and differently"),
        ({"segments": 2}, "the segment 300 is described twice, and differently"),
        ({"number": "x"}, "the segment 'x' is no number"),
        ({"number": [5]}, r"its 'id' is \[5\]; a whole number or text is expected"),
    ],
)
def test_what_is_described_twice_or_by_no_number_is_an_error(tmp_path, drawn, changed, said):
    file = write(tmp_path)
    content = json.loads(file.read_text())
    segments = content["annotations"][0]["segments_info"]
    if "annotations" in changed:
        content["annotations"].append({**content["annotations"][0], "segments_info": segments[:1]})
    elif "segments" in changed:
        segments.append({**segments[1], "category_id": 184})
    else:
        segments[2]["id"] = changed["number"]
    file.write_text(json.dumps(content))
    with pytest.raises(DataError, match=said):
        drawn(file)
