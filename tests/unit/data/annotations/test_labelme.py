"""LabelMe's shapes become masks as LabelMe draws them."""

import base64
import io
import math

import numpy as np
import pytest
from PIL import Image

from segbench.errors import DataError


def png(array):
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, format="PNG")
    return base64.b64encode(stream.getvalue()).decode()


def shape(kind, points, label="cat", **more):
    return {"label": label, "shape_type": kind, "points": points, **more}


def test_polygons_and_rectangles_are_worked_by_hand(tmp_path, photo, write_labelme, drawn):
    photo(tmp_path / "a.jpg")
    triangle = shape("polygon", [[1, 1], [5, 1], [1, 5]], "dog")
    box = shape("rectangle", [[13, 10], [9, 6]])  # from the right lower corner
    masks, done = drawn(write_labelme(tmp_path / "a.json", [triangle, box]))
    expected = np.zeros((12, 16), np.uint8)
    for row in range(1, 6):
        expected[row, 1 : 7 - row] = 2  # with its edge, as LabelMe draws
    expected[6:11, 9:14] = 1
    np.testing.assert_array_equal(masks["a.png"], expected)
    assert done.classes == ("background", "cat", "dog")


def test_a_circle_holds_the_pixels_nearer_than_its_edge(tmp_path, photo, write_labelme, drawn):
    photo(tmp_path / "a.jpg", size=(40, 40))
    circle = shape("circle", [[20, 18], [29, 18]])
    masks, _ = drawn(write_labelme(tmp_path / "a.json", [circle], size=(40, 40)))
    distances = np.array([[math.dist((x, y), (20, 18)) for x in range(40)] for y in range(40)])
    assert (masks["a.png"][distances < 8.3] == 1).all()
    assert (masks["a.png"][distances > 9.7] == 0).all()


def test_later_shapes_lie_on_earlier_ones_and_a_background_is_a_hole(tmp_path, photo, write_labelme, drawn):
    photo(tmp_path / "a.jpg")
    shapes = [
        shape("rectangle", [[2, 2], [9, 9]]),
        shape("rectangle", [[4, 4], [7, 7]], "_background_"),
        shape("rectangle", [[5, 5], [6, 6]], "__ignore__"),
    ]
    masks, done = drawn(write_labelme(tmp_path / "a.json", shapes))
    values, counts = np.unique(masks["a.png"], return_counts=True)
    assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == {0: 192 - 64 + 12, 1: 48, 255: 4}
    assert done.classes == ("background", "cat")
    assert any("the region that the file lists later wins" in note for note in done.notes)


def test_a_bitmap_is_placed_at_its_corner(tmp_path, photo, write_labelme, drawn):
    photo(tmp_path / "a.jpg")
    bitmap = np.array([[0, 255, 255], [255, 0, 0]], np.uint8)
    placed = shape("mask", [[4, 5], [6, 6]], mask=png(bitmap))
    masks, _ = drawn(write_labelme(tmp_path / "a.json", [placed]))
    np.testing.assert_array_equal(masks["a.png"][5:7, 4:7], bitmap > 0)
    assert masks["a.png"].sum() == 3
    with pytest.raises(DataError, match="not inside the image"):
        drawn(write_labelme(tmp_path / "a.json", [{**placed, "points": [[14, 5], [16, 6]]}]), out="other")


@pytest.mark.parametrize("kind", ["line", "linestrip"])
def test_lines_need_a_width(tmp_path, photo, write_labelme, drawn, kind):
    photo(tmp_path / "a.jpg")
    file = write_labelme(tmp_path / "a.json", [shape(kind, [[2, 6], [12, 6]])])
    with pytest.raises(DataError, match="give --line-width"):
        drawn(file)
    masks, _ = drawn(file, line_width=3)
    assert (masks["a.png"][5:8, 3:12] == 1).all()
    assert not masks["a.png"][:4].any()
    assert not masks["a.png"][9:].any()


def test_points_are_left_out_and_told(tmp_path, photo, write_labelme, drawn):
    photo(tmp_path / "a.jpg")
    shapes = [shape("point", [[3, 3]], "seed"), shape("rectangle", [[2, 2], [4, 4]])]
    masks, done = drawn(write_labelme(tmp_path / "a.json", shapes))
    assert masks["a.png"].sum() == 9
    assert any(note.startswith("1 points have no area") for note in done.notes)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (shape("polygon", [[1, 1], [4, 4]]), "a polygon of 2 points; at least 3"),
        (shape("star", [[1, 1], [4, 4]]), "is a star; known: polygon"),
        (shape("polygon", [[1, 1], [4, "x"], [2, 2]]), "no list of pairs"),
        ({"shape_type": "polygon", "points": [[1, 1]] * 3}, "has no 'label'"),
        (shape("mask", [[1, 1], [2, 2]], mask="???"), "its mask is no image"),
    ],
)
def test_damaged_shapes_are_named(tmp_path, photo, write_labelme, drawn, wrong, said):
    photo(tmp_path / "a.jpg")
    with pytest.raises(DataError, match=r"a\.json: shape 1") as error:
        drawn(write_labelme(tmp_path / "a.json", [wrong]))
    assert said in str(error.value)


def test_a_size_that_disagrees_with_the_image_is_an_error(tmp_path, photo, write_labelme, drawn):
    photo(tmp_path / "a.jpg", size=(6, 8))
    with pytest.raises(DataError, match="but it is 6x8"):
        drawn(write_labelme(tmp_path / "a.json", []))


@pytest.mark.parametrize("named", ["..\\photos\\a.jpg", "/home/someone/a.jpg", "C:\\data\\a.jpg", "a.jpg"])
def test_images_are_found_beside_their_file_whatever_the_path_of_another_machine(
    tmp_path, photo, write_labelme, drawn, named
):
    photo(tmp_path / "set" / "a.jpg")
    write_labelme(tmp_path / "set" / "a.json", [shape("rectangle", [[2, 2], [4, 4]])], image=named)
    assert drawn(tmp_path / "set")[0]["a.png"].sum() == 9


def test_an_image_inside_its_file_is_taken_out(tmp_path, write_labelme, drawn):
    image = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    write_labelme(tmp_path / "set" / "a.json", [], imageData=png(image))
    _, done = drawn(tmp_path / "set")
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / "out" / "images" / "a.png")), image)
    assert any("1 images are taken out of their JSON files" in note for note in done.notes)
    assert any("1 images have no shape" in note for note in done.notes)


def test_without_image_the_option_is_named(tmp_path, write_labelme, drawn):
    with pytest.raises(DataError, match="neither beside it nor in it; give --images"):
        drawn(write_labelme(tmp_path / "a.json", []))


def test_folders_stay_folders_so_that_splits_are_kept(tmp_path, photo, write_labelme, drawn):
    for split in ("train", "val"):
        photo(tmp_path / "set" / split / "a.jpg")
        write_labelme(tmp_path / "set" / split / "a.json", [shape("rectangle", [[2, 2], [4, 4]])])
    assert set(drawn(tmp_path / "set")[0]) == {"train/a.png", "val/a.png"}
