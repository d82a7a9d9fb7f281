import codecs
import unicodedata

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from segbench.config.component import DatasetEntry
from segbench.config.load import check
from segbench.config.plan import plan
from segbench.config.suite import Loader
from segbench.data.datasets.folder import default_palette, folder
from segbench.data.folds.groups import groups_of
from segbench.data.open import open_dataset
from segbench.errors import DataError, MissingDataError

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))


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
        ({"ignore_color": [1, 1, 1]}, "ignore_color is a colour, and masks are read by their numbers without palette"),
        ({"ignore": 2**31}, "ignore: 2147483648 is no mask value"),
        ({"ignore": [7, 7]}, "a mask value is given twice"),
        ({"palette": [[[0, 0, 0], [9, 9, 9]], [9, 9, 9]]}, "have the same colour"),
        ({"palette": [[0, 0, 0], [[1, 1]]]}, "is no colour"),
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
    ways = [{"ignore": 255}, {"ignore": 7}, {"palette": palette}, {"palette": palette, "ignore_color": [9, 9, 9]}]
    splits = [folder("train", root=str(mine), classes=["x", "y"], **way) for way in ways]
    assert len({split.fingerprint() for split in splits}) == 1
    assert len({split.cache_key() for split in splits}) == len(ways)
    again = folder("train", root=str(mine), classes=["x", "y"], ignore=7)
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
        ({"values": [[3, 4], [5, 4]]}, "4 is given of x and of y"),
        ({"values": [[], 4]}, "the class x has .*at least one whole number"),
        ({"values": [0, 255]}, "255 is the value of the class y and ignored as well; set ignore: null"),
        ({"values": [[0, 1], 5], "ignore": [4, 1]}, "1 is the value of the class x and ignored"),
        ({"ignore": 0}, r"x has the mask value 0, which is ignored, .*values: \[1, 2\] where 0 is none"),
        ({"ignore": [9, 1]}, r"y has the mask value 1, .*values: \[0, 2\] .*leave y out of classes"),
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


@pytest.fixture
def put(tmp_path, save):
    """Return a function that writes images, each in a grey of its own, and masks, each of class 1."""

    def write(*, images=(), masks=()):
        for index, name in enumerate(images):
            save(np.full((4, 6, 3), 100 + index), tmp_path / name)
        for name in masks:
            save(np.ones((4, 6)), tmp_path / name)
        return tmp_path

    return write


def opened(root, split="any", **options):
    return folder(split, root=str(root), classes=["x", "y"], **options)


def files(dataset):
    root = next(path for path in dataset.pairs[0].image.parents if path.name.startswith("test_"))
    return [
        (pair.image.relative_to(root).as_posix(), pair.label.relative_to(root).as_posix()) for pair in dataset.pairs
    ]


@pytest.mark.parametrize(
    ("line", "pair"),
    [
        ("d/0.png d/0.tif", ("d/0.png", "d/0.tif")),
        ("d/0.tif d/0.png", ("d/0.tif", "d/0.png")),
        ("d/0.TIF d/0.PNG", ("d/0.tif", "d/0.png")),
        ("d/1.jpeg d/0.png", ("d/1.JPG", "d/0.png")),
        ("d/1.jpg d/0.png", ("d/1.JPG", "d/0.png")),
        ("d/1 d/0.png", ("d/1.JPG", "d/0.png")),
        ("/d/0.png /d/0.tif", ("d/0.png", "d/0.tif")),
        ("./d/../d/0.png d//0.tif", ("d/../d/0.png", "d/0.tif")),
    ],
)
def test_a_listed_file_is_that_file_and_else_the_one_of_its_name(put, line, pair):
    root = put(images=["d/0.png", "d/1.JPG"], masks=["d/0.tif"])
    (root / "list.txt").write_text(line)
    dataset = opened(root, split_file="list.txt")
    assert dataset.problems == ()
    assert files(dataset) == [pair]


def test_an_image_beside_its_mask_is_read_as_listed(put):
    """Both have one stem: the image is not the mask."""
    root = put(images=["data/00.tif", "data/01.tif"], masks=["data/00.png", "data/01.png"])
    (root / "list.txt").write_text("data/00.tif data/00.png\ndata/01.tif data/01.png\n")
    dataset = opened(root, split_file="list.txt")
    assert [int(dataset.read(index).image[0, 0, 0]) for index in (0, 1)] == [100, 101]
    assert [int(dataset.read(index).label[0, 0]) for index in (0, 1)] == [1, 1]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("d/0 d/1.png", "d/0.png: which of 0.png, 0.tif is meant"),
        ("d/0.jpg d/1.png", "d/0.png: which of 0.png, 0.tif is meant"),
        ("d/1.png d/0.bmp", "d/0.png: which of 0.png, 0.tif is meant"),
        ("d/1.png d/1.png", "d/1.png: is given as an image and as its own mask"),
        ("d/1.jpg d/1.png", "d/1.png: is given as an image and as its own mask"),
        ("d/1.png d/link.png", "d/1.png: is given as an image and as its own mask"),
        ("d/gone.png d/1.png", "d/gone.png: is listed but does not exist"),
        ("d/A.png d/1.png", "d/A.png: is listed but does not exist; a.png does"),
        ("d/._1.png d/1.png", "d/._1.png: is listed but is a hidden file"),
        ("/nowhere/1.png d/1.png", "/nowhere/1.png: is listed but does not exist"),
        ("C:\\data\\1.png d/1.png", "C:/data/1.png: is listed but does not exist"),
        (f"d/{'x' * 300}/1.png d/1.png", "1.png: is listed but does not exist"),
    ],
)
def test_what_is_not_clear_in_a_list_is_named_and_not_used(put, line, problem):
    root = put(images=["d/0.png", "d/a.png", "d/._1.png"], masks=["d/0.tif", "d/1.png"])
    (root / "d/link.png").symlink_to("1.png")
    (root / "list.txt").write_text(line)
    dataset = opened(root, split_file="list.txt")
    assert problem in "".join(dataset.problems)
    assert len(dataset.problems) == 1
    assert len(dataset) == 0


def test_a_file_that_is_image_here_and_mask_there_is_named(put):
    root = put(images=["d/0.png", "d/1.png"], masks=["d/0.tif"])
    (root / "list.txt").write_text("d/0.png d/0.tif\nd/1.png d/0.png\n")
    (problem,) = opened(root, split_file="list.txt").problems
    assert "d/0.png: is given as an image, and as the mask of another image" in problem


def test_two_images_of_one_name_are_not_said_to_be_one(put):
    root = put(images=["d/0.png", "d/0.tif"], masks=["m/0.png", "m/1.png"])
    (root / "list.txt").write_text("d/0.png m/0.png\nd/0.tif m/1.png\n")
    (problem,) = opened(root, split_file="list.txt").problems
    assert problem.startswith("d/0: the split lists several images of this name (0.png, 0.tif)")


def test_absolute_paths_are_kept_and_named_relative_to_the_root(put, tmp_path):
    root = put(images=["data/a.png", "elsewhere/b.png"], masks=["data/m.png"])
    lines = [f"{tmp_path}/data/a.png {tmp_path}/data/m.png", f"{tmp_path}/elsewhere/b.png m.png"]
    (root / "data/list.txt").write_text("\n".join(lines))
    dataset = opened(root / "data", split_file="list.txt")
    assert dataset.problems == ()
    assert dataset.names == ("a", f"{tmp_path}/elsewhere/b")


@pytest.mark.parametrize("content", [
    codecs.BOM_UTF8 + b"image,mask\r\nimages\\a.jpg,masks\\a.png\r\n\r\nimages\\b.jpg , masks\\b.png \r\n",
    "images/a.jpg\tmasks/a.png\r\nimages/b.jpg\tmasks/b.png".encode("utf-16"),
    b"# first\n/images/a /masks/a\n   images/b   masks/b\t\n",
])  # fmt: skip
def test_lists_of_any_style_give_the_same_split(put, content):
    root = put(images=["images/a.jpg", "images/b.jpg"], masks=["masks/a.png", "masks/b.png"])
    (root / "list.txt").write_text("images/a.jpg masks/a.png\nimages/b.jpg masks/b.png\n")
    expected = opened(root, split_file="list.txt")
    (root / "other.txt").write_bytes(content)
    dataset = opened(root, split_file="other.txt")
    assert (dataset.problems, dataset.names) == ((), expected.names)
    assert dataset.fingerprint() == expected.fingerprint()


def test_a_file_may_be_named_as_a_column_is(put):
    root = put(images=["image.jpg"], masks=["mask.png"])
    (root / "list.txt").write_text("image mask\n")
    assert files(opened(root, split_file="list.txt")) == [("image.jpg", "mask.png")]


VOC = {"images": "JPEGImages", "masks": "SegmentationClass", "split_file": "ImageSets/Segmentation/{split}.txt"}


@pytest.mark.parametrize(
    "lines",
    ["2007_01\nphoto 2\nsub/3\n", "2007_01.jpg\r\nphoto 2.JPG\r\nsub\\3.jpg\r\n", "name\n2007_01\nphoto 2\nsub/3",
     "JPEGImages/2007_01.jpg\n./JPEGImages/photo 2\n/JPEGImages/sub/3.jpg"],
)  # fmt: skip
def test_a_list_of_names_pairs_through_the_folders(put, lines):
    names = ["2007_01.jpg", "photo 2.JPG", "sub/3.jpg"]
    masks = ["2007_01.png", "photo 2.png", "sub/3.png", "4.png"]
    root = put(images=[f"JPEGImages/{name}" for name in names], masks=[f"SegmentationClass/{name}" for name in masks])
    (root / "ImageSets/Segmentation").mkdir(parents=True)
    (root / "ImageSets/Segmentation/train.txt").write_text(lines, newline="")
    dataset = opened(root, "train", **VOC)
    assert dataset.problems == ()
    assert dataset.names == ("2007_01", "photo 2", "sub/3")
    assert files(dataset)[1] == ("JPEGImages/photo 2.JPG", "SegmentationClass/photo 2.png")


@pytest.mark.parametrize("lines", ["a\nb", "a_rgb\nb_rgb", "a_rgb.png\nb_rgb.png", "a.png\nb.png"])
def test_names_are_listed_with_or_without_what_follows_them(put, lines):
    root = put(images=["d/a_rgb.png", "d/b_rgb.png"], masks=["d/a_mask.png", "d/b_mask.png"])
    (root / "list.txt").write_text(lines)
    options = {"images": "d", "masks": "d", "image_suffix": "_rgb", "mask_suffix": "_mask"}
    dataset = opened(root, split_file="list.txt", **options)
    assert (dataset.names, dataset.problems) == (("a", "b"), ())
    assert files(dataset) == [("d/a_rgb.png", "d/a_mask.png"), ("d/b_rgb.png", "d/b_mask.png")]


def test_names_without_image_or_mask_or_with_several_are_problems(put):
    root = put(
        images=["i/a.jpg", "i/b.jpg", "i/c.jpg", "i/c.png", "i/d.jpg"],
        masks=["m/b.png", "m/c.png", "m/d.png", "m/d.tif"],
    )
    (root / "list.txt").write_text("a\nb\nc\nd\ne\nb.jpg\n")
    dataset = opened(root, images="i", masks="m", split_file="list.txt")
    words = [
        "has no mask a in",
        "which of c.jpg, c.png",
        "which of d.png, d.tif",
        "i/e: is listed but does not",
        "twice",
    ]
    assert len(dataset.problems) == len(words)
    assert all(word in problem for word, problem in zip(words, dataset.problems, strict=True))


def test_a_list_of_names_needs_the_folders(put):
    root = put(images=["images/a.jpg"], masks=["masks/a.png"])
    (root / "list.txt").write_text("a\n")
    with pytest.raises(MissingDataError, match=r"folder of images .*images/any does not exist"):
        opened(root, split_file="list.txt")
    assert opened(root, images="images", masks="masks", split_file="list.txt").names == ("a",)


@pytest.mark.parametrize(
    "options",
    [
        {"masks": "d"},
        {"masks": "./d/", "split_file": "list.txt"},
        {"masks": "d", "image_suffix": "_a", "mask_suffix": "_a"},
        {"masks": "link"},
    ],
)
def test_one_folder_for_both_needs_a_suffix(put, options):
    root = put(images=["d/a.jpg"], masks=["d/a.png"])
    (root / "link").symlink_to("d", target_is_directory=True)
    (root / "list.txt").write_text("a.jpg\n")
    with pytest.raises(
        DataError, match=r"nothing tells which is which; give dataset\.mask_suffix .*dataset\.split_file"
    ):
        opened(root, images="d", **options)


@pytest.mark.parametrize("suffix", ["_mask", ".jpg", "-L", "_gt_mask"])
def test_a_file_that_ends_as_masks_do_is_no_image(put, suffix):
    names = ["a_jpg.rf.00", "b", "gas_mask"]
    root = put(images=[f"d/{name}.jpg" for name in names], masks=[f"d/{name}{suffix}.png" for name in names])
    (root / "d/_classes.csv").write_text("0,background\n")
    dataset = opened(root, images="d", masks="d", mask_suffix=suffix)
    assert (dataset.names, dataset.problems) == (tuple(names), ())
    assert all(pair.label.stem == f"{pair.image.stem}{suffix}" for pair in dataset.pairs)


def test_images_with_a_suffix_lie_among_masks_without(put):
    root = put(images=["d/a_rgb.jpg", "d/b_rgb.jpg"], masks=["d/a.png", "d/b.png"])
    dataset = opened(root, images="d", masks="d", image_suffix="_rgb")
    assert files(dataset) == [("d/a_rgb.jpg", "d/a.png"), ("d/b_rgb.jpg", "d/b.png")]
    assert dataset.problems == ()


def test_in_one_folder_files_without_partner_are_named(put):
    root = put(images=["d/a.jpg", "d/b.jpg"], masks=["d/a_mask.png", "d/c_mask.png"])
    dataset = opened(root, images="d", masks="d", mask_suffix="_mask")
    assert dataset.names == ("a",)
    assert list(dataset.problems) == [
        f"{root}/d/b.jpg: has no mask in {root}/d",
        f"{root}/d/c_mask.png: has no image in {root}/d",
    ]


CITIES = {"images": "left/{split}", "masks": "gt/{split}", "image_suffix": "_left", "mask_suffix": "_gt_ids"}


@pytest.fixture
def cities(put):
    names = ["aachen/a_0", "aachen/a_1", "zürich/old/z_0"]
    root = put(
        images=[f"left/train/{name}_left.png" for name in names],
        masks=[f"gt/train/{name}_gt_{kind}.png" for name in names for kind in ("ids", "color")],
    )
    return put(images=[f"left/train/__MACOSX/aachen/{name}_left.png" for name in ("._a_0", "a_0")]) and root


def test_folders_below_are_paired_by_their_paths(cities):
    dataset = opened(cities, "train", recursive=True, **CITIES)
    assert (dataset.names, dataset.problems) == (("aachen/a_0", "aachen/a_1", "zürich/old/z_0"), ())
    assert files(dataset)[2] == ("left/train/zürich/old/z_0_left.png", "gt/train/zürich/old/z_0_gt_ids.png")
    groups = DatasetEntry.model_validate({"name": "scenes", "folds": 2, "fold_groups": {"folder": 1}}).fold_groups
    assert groups_of(dataset.names, groups) == ("aachen", "aachen", "zürich/old")


def test_a_mask_in_another_folder_is_no_partner(cities):
    (cities / "gt/train/bern").mkdir()
    (cities / "gt/train/aachen/a_1_gt_ids.png").rename(cities / "gt/train/bern/a_1_gt_ids.png")
    dataset = opened(cities, "train", recursive=True, **CITIES)
    assert dataset.names == ("aachen/a_0", "zürich/old/z_0")
    assert len(dataset.problems) == 2


def test_files_in_subfolders_only_are_told_with_the_key(cities):
    dataset = opened(cities, "train", **CITIES)
    assert len(dataset) == 0
    assert "left/train: its 3 images lie in subfolders" in dataset.problems[0]
    assert all("set dataset.recursive: true" in problem for problem in dataset.problems)


def test_a_flat_folder_is_the_same_with_and_without_recursive(mine):
    flat, deep = (folder("train", root=str(mine), classes=["x", "y", "z"], recursive=deep) for deep in (False, True))
    assert flat.fingerprint() == deep.fingerprint()


def test_masks_in_a_folder_inside_that_of_images_are_no_images(put):
    root = put(images=["data/a.png", "data/x/b.png"], masks=["data/masks/a.png", "data/masks/x/b.png"])
    dataset = opened(root, images="data", masks="data/masks", recursive=True)
    assert (dataset.names, dataset.problems) == (("a", "x/b"), ())


def test_one_folder_for_each_sample_gives_it_its_name(put):
    root = put(images=["p1/img.png", "p2/img.png"], masks=["p1/mask.png", "p2/mask.png"])
    dataset = opened(root, images=".", masks=".", image_suffix="img", mask_suffix="mask", recursive=True)
    assert (dataset.names, dataset.problems) == (("p1", "p2"), ())


def test_accents_stored_in_two_ways_are_one_name(put):
    root = put(images=[f"images/{DECOMPOSED}a/{DECOMPOSED}.jpg"], masks=[f"masks/{COMPOSED}a/{COMPOSED}.png"])
    dataset = opened(root, images="images", masks="masks", recursive=True)
    assert (dataset.names, dataset.problems) == ((f"{COMPOSED}a/{COMPOSED}",), ())
    assert dataset.read(0).label.max() == 1
    for line in (
        f"images/{COMPOSED}a/{COMPOSED}.jpg masks/{DECOMPOSED}a/{DECOMPOSED}.png",
        f"{COMPOSED}a/{COMPOSED}",
        f"{DECOMPOSED}a/{DECOMPOSED}.jpg",
    ):
        (root / "list.txt").write_text(line, encoding="utf-8")
        listed = opened(root, images="images", masks="masks", split_file="list.txt")
        assert listed.problems == ()
        assert files(listed) == files(dataset)
    flat = opened(root, images=f"images/{COMPOSED}a", masks=f"masks/{DECOMPOSED}a")
    assert (flat.names, flat.problems) == ((COMPOSED,), ())


def test_groups_in_a_file_are_found_however_accents_are_stored(put, tmp_path):
    file = tmp_path / "groups.csv"
    file.write_text(f"image,city\n{DECOMPOSED}.jpg,paris\n", encoding="utf-8")
    groups = {"file": str(file), "column": "city"}
    entry = DatasetEntry.model_validate({"name": "scenes", "folds": 2, "fold_groups": groups})
    assert groups_of([COMPOSED], entry.fold_groups) == ("paris",)


def test_hidden_files_are_no_part_of_the_split(put, mine):
    before = opened(mine, "train").fingerprint()
    hidden = ["._a.jpg", ".a.png", "._b.jpg", ".hidden.jpg"]
    put(images=[f"images/train/{name}" for name in hidden], masks=["masks/train/._a.png", "masks/train/.x.png"])
    for name in ("images/train/.DS_Store", "masks/train/Thumbs.db", "masks/train/desktop.ini"):
        (mine / name).write_bytes(b"no image")
    dataset = opened(mine, "train")
    assert (dataset.fingerprint(), dataset.problems) == (before, ())


@pytest.mark.parametrize("where", ["images", "masks"])
def test_two_files_of_one_name_are_no_pair(mine, save, where):
    save(np.zeros((5, 7, 3)), mine / where / "train/a.bmp")
    dataset = opened(mine, "train")
    assert dataset.names == ("b", "c")
    (problem,) = dataset.problems
    assert "which of a.bmp, a." in problem


def test_listing_folders_below_leaves_the_ids_of_recipes_that_do_not():
    """The id was taken before there was the option."""
    suite = {
        "name": "mine",
        "transforms": {"train": ["normalize"], "test": ["normalize"]},
        "models": ["unet"],
        "train": {"epochs": 1, "batch_size": 2, "loss": "cross_entropy", "optimizer": {"name": "sgd", "lr": 0.1}},
    }
    data = {"name": "folder", "root": "data", "classes": ["a", "b"], "mask_suffix": "_mask"}
    ids = [
        plan(check(suite | {"dataset": data | option}))[0].recipe.protocol_id
        for option in ({}, {"recursive": False}, {"recursive": True})
    ]
    assert ids[:2] == ["51773597fdc07e25511d9e8b173c64014865b6788818fe864bc0b341c1e6f89e"] * 2
    assert ids[2] != ids[0]


def palette_masks(place, palettes):
    """Write one palette PNG for each list of colours, which shows the first two of them."""
    for name, colors in zip("abc", palettes, strict=True):
        image = Image.fromarray(np.array([[0, 1, 1, 1, 1, 1, 1]] * 5, dtype=np.uint8))
        image.putpalette([channel for color in colors for channel in color])
        image.save(place / f"masks/train/{name}.png")


BLACK, RED, GREEN = (0, 0, 0), (255, 0, 0), (0, 255, 0)


@pytest.mark.parametrize(
    ("palettes", "differ"),
    [
        ([[BLACK, RED], [RED, BLACK], [BLACK, RED]], True),
        ([[BLACK, RED], [BLACK, RED], [BLACK, GREEN]], True),
        ([[BLACK, RED], [BLACK, RED, GREEN], [BLACK, RED, BLACK]], False),
        ([[BLACK, RED], [(level, level, level) for level in range(256)], [BLACK, RED]], False),
    ],
)
def test_palettes_that_differ_in_used_numbers_are_a_problem(mine, palettes, differ):
    palette_masks(mine, palettes)
    dataset = folder("train", root=str(mine), classes=["x", "y"])
    assert [".png: the palette's colour" in problem for problem in dataset.problems] == [True] * differ
    given = {"palette": [list(BLACK), [list(RED), list(GREEN)]]}
    assert folder("train", root=str(mine), classes=["x", "y"], **given).problems == ()


def test_a_split_whose_palettes_differ_is_not_opened(mine):
    palette_masks(mine, [[BLACK, RED], [RED, BLACK], [BLACK, RED]])
    entry = DatasetEntry(name="folder", root=str(mine), classes=["x", "y"])
    with pytest.raises(DataError, match="give 'palette', the colour of each class"):
        open_dataset(entry, "train", loader=Loader())


@pytest.mark.parametrize(
    "options",
    [
        {"values": [[7, 8], [11]], "ignore": [0, 1, 4]},
        {"values": [[7, 8], 11], "ignore": -1},
        {"ignore": "others"},
        {"palette": [[0, 0, 0], [[1, 1, 1], [2, 2, 2]]], "ignore_color": [[9, 9, 9], [8, 8, 8]]},
        {"palette": [[0, 0, 0], [1, 1, 1]], "ignore_color": "others"},
    ],
)
def test_a_suite_may_say_all_of_it(options):
    entry = DatasetEntry(name="folder", classes=["x", "y"], **options)
    assert {key: entry.options[key] for key in options} == options


def test_what_a_suite_says_wrongly_is_named():
    for options in ({"ignore": "other"}, {"values": ["a", 1]}, {"values": [True, 1]}, {"classes": 3}):
        with pytest.raises(ValidationError, match=next(iter(options))):
            DatasetEntry(**{"name": "folder", "classes": ["x", "y"], **options})
