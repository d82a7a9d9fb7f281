import numpy as np
import pytest

from segbench.data.folder import default_palette, folder
from segbench.errors import DataError, MissingDataError


@pytest.fixture
def mine(tmp_path, save):
    for split, names in {"train": "abc", "test": "de"}.items():
        for value, name in enumerate(names):
            save(np.full((5, 7, 3), value), tmp_path / "images" / split / f"{name}.jpg")
            save(np.full((5, 7), value), tmp_path / "masks" / split / f"{name}.png")
    return tmp_path


def test_files_are_paired_by_name(mine):
    dataset = folder("train", root=str(mine), classes=["x", "y", "z"])
    assert dataset.names == ("a", "b", "c")
    assert dataset.problems == ()
    assert [int(dataset.read(index).label[0, 0]) for index in range(3)] == [0, 1, 2]


def test_suffixes_after_the_common_name_are_dropped(mine, save):
    save(np.zeros((5, 7, 3)), mine / "flat" / "a_rgb.png")
    save(np.ones((5, 7)), mine / "flat" / "a_mask.png")
    options = {"images": "flat", "masks": "flat", "image_suffix": "_rgb", "mask_suffix": "_mask"}
    dataset = folder("any", root=str(mine), classes=["x", "y"], **options)
    assert dataset.names == ("a",)
    assert dataset.read(0).label.max() == 1


def test_unpaired_files_are_reported(mine):
    (mine / "masks/train/a.png").unlink()
    (mine / "images/train/c.jpg").unlink()
    dataset = folder("train", root=str(mine), classes=["x", "y", "z"])
    assert dataset.names == ("b",)
    assert [problem.split(": ")[1].split(" in ")[0] for problem in dataset.problems] == ["has no mask", "has no image"]


def test_a_split_file_lists_pairs(mine):
    (mine / "test.txt").write_text("images/test/e.jpg masks/test/e.png\nimages/train/b.jpg masks/train/b.png\n")
    dataset = folder("test", root=str(mine), classes=["x", "y"], split_file="{split}.txt")
    assert dataset.names == ("images/test/e", "images/train/b")
    assert dataset.read(0).label.max() == 1


def test_a_pair_listed_twice_is_reported(mine):
    (mine / "test.txt").write_text("images/test/e.jpg masks/test/e.png\n" * 2)
    dataset = folder("test", root=str(mine), classes=["x", "y"], split_file="test.txt")
    assert dataset.problems == ("images/test/e: the split lists this image twice",)


def test_colour_masks_go_through_the_palette(mine, save):
    colors = np.zeros((5, 7, 3), dtype=np.uint8)
    colors[0, 0], colors[0, 1] = (0, 0, 255), (9, 9, 9)
    save(colors, mine / "masks/test/d.png")
    options = {"palette": [[0, 0, 0], [0, 0, 255]], "ignore_color": [9, 9, 9]}
    label = folder("test", root=str(mine), classes=["x", "y"], **options).read(0).label
    assert label[0, :3].tolist() == [1, 255, 0]


def test_the_ignored_value_is_the_persons_choice(mine):
    dataset = folder("train", root=str(mine), classes=["x", "y"], ignore=2)
    assert dataset.read(2).label.tolist() == [[255] * 7] * 5


def test_a_label_without_class_is_named(mine):
    dataset = folder("train", root=str(mine), classes=["x", "y"], ignore=None)
    with pytest.raises(DataError, match=r"masks.train.c\.png: holds label 2, but there are 2 classes"):
        dataset.read(2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": []}, "0 classes"),
        ({"classes": ["x"] * 2}, "named twice"),
        ({"palette": [[0, 0, 0]]}, "2 classes but 1 colours"),
        ({"palette": [[0, 0, 0], [0, 0, 256]]}, "is no colour"),
        ({"palette": [[0, 0, 0], [0, 0, 0]]}, "have the same colour"),
        ({"palette": [[0, 0, 0], [1, 1, 1]], "ignore_color": [1, 1, 1]}, "have the same colour"),
        ({"ignore": 256}, "ignore is 256"),
    ],
)
def test_options_that_do_not_fit_are_refused(mine, options, message):
    with pytest.raises(DataError, match=message):
        folder("train", root=str(mine), **{"classes": ["x", "y"], **options})


def test_absent_places_are_named(mine):
    with pytest.raises(MissingDataError, match=r"folder of images .*images/valid does not exist"):
        folder("valid", root=str(mine), classes=["x", "y"])
    with pytest.raises(MissingDataError, match=r"list .*valid\.txt does not exist"):
        folder("valid", root=str(mine), classes=["x", "y"], split_file="{split}.txt")
    with pytest.raises(MissingDataError, match="segbench init"):
        folder("train", root=str(mine / "gone"), classes=["x", "y"])


def test_default_colours_differ():
    assert len(set(default_palette(60))) == 60


def test_the_cache_follows_how_masks_are_read(mine):
    """The same files with another void value decode to other labels."""
    palette = [[0, 0, 0], [0, 0, 255]]
    ways = [{"ignore": 255}, {"ignore": 0}, {"palette": palette}, {"palette": palette, "ignore_color": [9, 9, 9]}]
    splits = [folder("train", root=str(mine), classes=["x", "y"], **way) for way in ways]
    assert len({split.fingerprint() for split in splits}) == 1
    assert len({split.cache_key() for split in splits}) == len(ways)
    again = folder("train", root=str(mine), classes=["x", "y"], ignore=0)
    assert again.cache_key() == splits[1].cache_key()


def test_mask_values_can_be_other_than_the_class_numbers(mine, save):
    save(np.array([[0, 255, 255, 7, 0, 0, 0]] * 5), mine / "masks/test/d.png")
    given = {"root": str(mine), "classes": ["ground", "thing"], "values": [0, 255]}
    dataset = folder("test", **given, ignore=7)
    assert dataset.read(0).label[0].tolist() == [0, 1, 1, 255, 0, 0, 0]
    with pytest.raises(DataError, match=r"d\.png: holds 7, which is the value of no class"):
        folder("test", **given, ignore=None).read(0)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"values": [0]}, "2 classes but 1 values"),
        ({"values": [3, 3]}, "expected different mask values"),
        ({"values": [0, 256]}, "from 0 to 255"),
        ({"values": [0, 255]}, "255 is the value of a class and ignored as well; set ignore: null"),
    ],
)
def test_impossible_values_are_refused(options, problem, mine):
    with pytest.raises(DataError, match=problem):
        folder("test", root=str(mine), classes=["x", "y"], **options)


def test_files_of_one_name_are_reported_once_and_only_where_they_matter(mine, save):
    for name in ("d_rgb.jpg", "d_rgb.png", "other.jpg", "other.png", "d_mask.png"):
        save(np.zeros((5, 7, 3)), mine / "flat" / name)
    options = {"images": "flat", "masks": "flat", "image_suffix": "_rgb", "mask_suffix": "_mask"}
    (problem,) = folder("any", root=str(mine), classes=["x"], **options).problems
    assert problem.startswith(f"{mine / 'flat' / 'd_rgb.jpg'}: which of d_rgb.jpg, d_rgb.png is meant?")


def test_names_with_blanks_are_listed_with_tabs(mine, save):
    save(np.zeros((5, 7, 3)), mine / "my images" / "a b.jpg")
    save(np.ones((5, 7)), mine / "masks" / "a b.png")
    lines = "my images/a b.jpg\tmasks/a b.png\n \t\nimages/test/e.jpg masks/test/e.png\n"
    (mine / "test.txt").write_text(lines)
    options = {"classes": ["x", "y"], "split_file": "test.txt"}
    dataset = folder("test", root=str(mine), **options)
    assert dataset.names == ("my images/a b", "images/test/e")
    assert dataset.read(0).label.max() == 1
    (mine / "test.txt").write_text("my images/a b.jpg masks/a b.png")
    with pytest.raises(DataError, match=r"test\.txt:1: expected .* \(by a tab where their names hold blanks"):
        folder("test", root=str(mine), **options)
