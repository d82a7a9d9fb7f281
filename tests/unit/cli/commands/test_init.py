"""init: a starter suite for a person's own data."""

import json
import zlib
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from segbench.cli.commands import init as starter
from segbench.cli.commands.init import drawn
from segbench.cli.support.starter_text import suite_text
from segbench.config import load_suite
from segbench.config.load import check
from segbench.config.reading.yaml_loader import read_yaml
from segbench.config.sections.training import Loader
from segbench.data.folds.folds import assigned, open_folds
from segbench.data.guess.found_layout import FoundLayout
from segbench.data.guess.guess import Found, guess

TWO_CLASSES = np.array([[0, 1, 255], [1, 1, 0]], np.uint8)
RED_AND_BLACK = np.zeros((4, 4, 3), np.uint8)
RED_AND_BLACK[:2, :, 0] = 255


def put(folder, *, names, pixels=TWO_CLASSES, suffix=".png"):
    """Write images or masks; no two images are the same picture, since splits and folds must not share any."""
    folder.mkdir(parents=True, exist_ok=True)
    are_images = {"images", "imgs", "JPEGImages"} & set(folder.parts)
    for name in names:
        seed = zlib.crc32(f"{folder}/{name}".encode())
        noise = np.random.default_rng(seed).integers(0, 256, pixels.shape, np.uint8)
        Image.fromarray(noise if are_images else pixels).save(folder / f"{name}{suffix}")


def test_without_data_the_suite_shows_where_to_put_it(tmp_path, segbench):
    answer = segbench("init", tmp_path / "new")
    assert answer.code == 0
    assert answer.out == f"{tmp_path / 'new' / 'suite.yaml'}\n"
    text = (tmp_path / "new" / "suite.yaml").read_text(encoding="utf-8")
    assert text.count("#") > 10
    suite = load_suite(tmp_path / "new" / "suite.yaml")
    assert suite.name == "new"
    assert suite.seeds == (0, 1, 2)
    assert suite.dataset.options["images"] == "images/{split}"
    assert segbench("validate", tmp_path / "new" / "suite.yaml").code == 0


def test_nothing_is_ever_overwritten(tmp_path, segbench):
    (tmp_path / "suite.yaml").write_text("mine", encoding="utf-8")
    answer = segbench("init", tmp_path)
    assert answer.code == 2
    assert "suite.yaml: exists already" in answer.err
    assert (tmp_path / "suite.yaml").read_text(encoding="utf-8") == "mine"


def test_a_list_that_exists_stops_everything(tmp_path, segbench):
    put(tmp_path / "images", names="ab")
    put(tmp_path / "masks", names="ab")
    (tmp_path / "test.txt").touch()
    assert segbench("init", tmp_path).code == 2
    assert not (tmp_path / "suite.yaml").exists()


def test_a_folder_that_cannot_be_written_exits_with_2(tmp_path, segbench):
    (tmp_path / "file").touch()
    answer = segbench("init", tmp_path / "file" / "sub")
    assert answer.code == 2
    assert "cannot be written" in answer.err


def test_the_current_folder_is_the_default(tmp_path, monkeypatch, segbench):
    monkeypatch.chdir(tmp_path)
    assert segbench("init").code == 0
    assert (tmp_path / "suite.yaml").is_file()


def images_then_splits(root):
    for split in ("train", "val"):
        put(root / "images" / split, names="ab", suffix=".jpg", pixels=np.dstack([TWO_CLASSES] * 3))
        put(root / "labels" / split, names="ab")


def splits_then_images(root):
    for split in ("training", "testing"):
        put(root / split / "imgs", names="ab", pixels=np.dstack([TWO_CLASSES] * 3))
        put(root / split / "gt", names="ab")


def no_splits(root, names="abcdefghij"):
    put(root / "JPEGImages", names=names, suffix=".jpg", pixels=np.dstack([TWO_CLASSES] * 3))
    put(root / "SegmentationClass", names=names)


def suffixes(root):
    for split in ("train", "test"):
        put(root / "images" / split, names=["x_1_rgb", "x_2_rgb"], pixels=np.dstack([TWO_CLASSES] * 3))
        put(root / "masks" / split, names=["x_1_mask", "x_2_mask"])


def colours(root):
    for split in ("train", "test"):
        put(root / "images" / split, names="ab", pixels=RED_AND_BLACK)
        put(root / "masks" / split, names="ab", pixels=RED_AND_BLACK)


@pytest.mark.parametrize("layout", [images_then_splits, splits_then_images, no_splits, suffixes, colours])
def test_what_is_there_is_found_and_the_data_checks_out(layout, tmp_path, segbench):
    layout(tmp_path)
    answer = segbench("init", tmp_path)
    assert answer.code == 0
    assert "2 classes" in answer.err
    suite = tmp_path / "suite.yaml"
    assert segbench("validate", suite).code == 0
    check = segbench("data", "check", suite, "--json")
    assert check.code == 0, check.err
    splits = check.json["splits"]
    assert len(splits) == (5 if layout is no_splits else 2)
    assert all(split["images"] >= 2 and not split["problems"] for split in splits.values())


def test_images_without_splits_are_listed_once(tmp_path, segbench):
    no_splits(tmp_path)
    segbench("init", tmp_path)
    lines = [(tmp_path / f"{split}.txt").read_text(encoding="utf-8").splitlines() for split in ("train", "test")]
    assert [len(part) for part in lines] == [8, 2]
    assert not set(lines[0]) & set(lines[1])
    assert lines[1][0] == "JPEGImages/e.jpg\tSegmentationClass/e.png"


def test_names_with_blanks_are_listed(tmp_path, segbench):
    put(tmp_path / "images", names=["my a"])
    put(tmp_path / "images", names=[" b"], pixels=TWO_CLASSES // 2)
    put(tmp_path / "masks", names=["my a", " b"])
    assert segbench("init", tmp_path).code == 0
    check = segbench("data", "check", tmp_path / "suite.yaml", "--json")
    assert check.code == 0, check.err
    assert [split["images"] for split in check.json["splits"].values()] == [1, 1]


def test_names_with_tabs_are_refused_with_what_to_do(tmp_path, segbench):
    put(tmp_path / "images", names=["my\ta", "b"])
    put(tmp_path / "masks", names=["my\ta", "b"])
    answer = segbench("init", tmp_path)
    assert answer.code == 2
    assert "my\\ta.png' holds a tab or a line break" in answer.err
    assert not (tmp_path / "suite.yaml").exists()


def test_black_and_white_masks_have_two_classes_and_no_void(tmp_path, segbench):
    for split in ("train", "test"):
        put(tmp_path / "images" / split, names="ab")
        put(tmp_path / "masks" / split, names="ab", pixels=np.array([[0, 255, 255], [0, 0, 0]], np.uint8))
    answer = segbench("init", tmp_path)
    assert "2 classes" in answer.err
    assert load_suite(tmp_path / "suite.yaml").dataset.options["values"] == [0, 255]
    train = segbench("data", "check", tmp_path / "suite.yaml", "--json").json["splits"]["train"]
    assert [row["pixels"] for row in train["classes"]] == [8, 4]
    assert (train["void_pixels"], train["notes"]) == (0, [])


def test_one_class_is_told_as_one(tmp_path, segbench):
    for split in ("train", "test"):
        put(tmp_path / "images" / split, names="ab")
        put(tmp_path / "masks" / split, names="ab", pixels=np.zeros((2, 3), np.uint8))
    assert "1 class;" in segbench("init", tmp_path).err
    answer = segbench("data", "check", tmp_path / "suite.yaml")
    assert answer.code == 2
    assert "problem: train: there is one class only, background" in answer.err
    assert segbench("data", "check", tmp_path / "suite.yaml", "--allow", "one-class").code == 0


def test_masks_that_cannot_be_read_leave_the_classes_open(tmp_path):
    put(tmp_path / "images", names="ab")
    put(tmp_path / "masks", names="ab")
    for file in (tmp_path / "masks").iterdir():
        file.write_bytes(b"broken")
    assert guess(tmp_path).classes.count == 0


@pytest.mark.parametrize("names", ["ab", ""])
def test_images_without_masks_of_their_names_are_not_taken(names, tmp_path):
    put(tmp_path / "images", names="cd")
    put(tmp_path / "masks", names=names)
    assert guess(tmp_path) is None
    assert guess(tmp_path / "absent") is None


def test_photographs_are_no_masks(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.uint8)
    put(tmp_path / "images", names="ab", pixels=noise)
    put(tmp_path / "masks", names="ab", pixels=noise)
    assert (guess(tmp_path).classes.count, guess(tmp_path).classes.palette) == (0, ())


@pytest.mark.parametrize(("count", "train", "test"), [(1, 1, 0), (2, 1, 1), (4, 3, 1), (5, 4, 1), (12, 10, 2)])
def test_every_fifth_pair_is_for_the_test(count, train, test):
    lists = drawn([(f"i/{number}", f"m/{number}") for number in range(count)])
    assert [len(lists[split]) for split in ("train", "test")] == [train, test]


@pytest.mark.slow(reason="trains networks")
def test_the_starter_trains_where_a_batch_of_eight_would_be_too_large(tmp_path, segbench):
    no_splits(tmp_path, names="abc")
    segbench("init", tmp_path)
    small = ("--set", "transforms.train.1.size=[32, 32]", "--set", "train.epochs=1", "--set", "models=[keras_cnn]")
    small += ("--set", "seeds=[0]")
    smaller = ("--set", "models.keras_cnn.width=0.05")
    places = ("--results", tmp_path / "r", "--reports", tmp_path / "p", "--device", "cpu", "--in-process")
    answer = segbench("run", tmp_path / "suite.yaml", *small, *smaller, *places)
    assert answer.code == 0, answer.err


def test_few_images_without_splits_are_cross_validated(tmp_path, segbench):
    no_splits(tmp_path)
    segbench("init", tmp_path)
    assert load_suite(tmp_path / "suite.yaml").dataset.folds == 5


def pairs(images):
    return tuple((f"i/{number}.png", f"m/{number}.png") for number in range(images))


def drawn_from(images):
    return Found(FoundLayout("images", "masks"), lists={"all": pairs(images)}, drawn=True)


@pytest.mark.parametrize(("images", "batch_size"), [(1, 1), (2, 1), (3, 2), (7, 5), (9, 7), (10, 8), (59, 8), (60, 8)])
def test_a_batch_is_no_larger_than_the_smallest_training_part(images, batch_size):
    suite = check(read_yaml(suite_text(drawn_from(images), name="few")))
    assert suite.train.batch_size == batch_size
    if suite.dataset.folds:
        sizes = Counter(assigned([image for image, _ in pairs(images)], suite.dataset.folds)).values()
        assert batch_size == min(8, images - max(sizes))


def test_a_batch_is_no_larger_than_a_training_split_that_is_there(tmp_path):
    images_then_splits(tmp_path)
    assert check(read_yaml(suite_text(guess(tmp_path), name="few"))).train.batch_size == 2


def test_the_groups_of_the_starter_work_as_it_shows_them(tmp_path, segbench):
    no_splits(tmp_path, names=["a,1", "a,2", "b", "c", "d", "e"])
    segbench("init", tmp_path)
    suite = tmp_path / "suite.yaml"
    text = suite.read_text(encoding="utf-8")
    header, line = "#   image,group\n", '#   "JPEGImages/a,1.jpg",patient1\n'
    assert text.index(header) < text.index(line)
    others = ['"JPEGImages/a,2.jpg",patient1\n', *(f"JPEGImages/{name}.jpg,{name}\n" for name in "bcde")]
    (tmp_path / "groups.csv").write_text("".join([header[4:], line[4:], *others]), encoding="utf-8")
    suite.write_text(text.replace("# fold_groups:", "fold_groups:"), encoding="utf-8")
    folds = open_folds(load_suite(suite).dataset, loader=Loader())
    by_name = dict(zip(folds.pool.names, folds.numbers, strict=True))
    assert by_name["JPEGImages/a,1"] == by_name["JPEGImages/a,2"]


@pytest.mark.parametrize(("images", "folds"), [(1, None), (2, 2), (59, 5), (60, None)])
def test_only_few_images_are_cross_validated(images, folds):
    assert check(read_yaml(suite_text(drawn_from(images), name="few"))).dataset.folds == folds


def test_hidden_files_are_not_found(tmp_path):
    for part in ("images", "masks"):
        put(tmp_path / part, names="abcdefg")
        for name in ("._a.png", "._h.png", ".i.png", ".DS_Store"):
            (tmp_path / part / name).write_bytes(b"no image")
    found = guess(tmp_path)
    assert [image for image, _ in found.pairs] == [f"images/{name}.png" for name in "abcdefg"]
    assert found.classes.count == 2


def put_unclear(root):
    """Write masks whose 255 fills areas."""
    mask = np.repeat(np.array([[0, 1, 255]], np.uint8), 32, axis=0).repeat(16, axis=1)
    for split in ("train", "test"):
        put(root / "images" / split, names="ab", pixels=mask // (2 if split == "test" else 3))
        put(root / "masks" / split, names="ab", pixels=mask)


def test_what_could_be_a_class_or_void_is_an_open_question_in_the_suite(tmp_path, segbench):
    put_unclear(tmp_path)
    answer = segbench("init", tmp_path)
    assert "open question: is the mask value 255 a class, or void?" in answer.err
    text = (tmp_path / "suite.yaml").read_text(encoding="utf-8")
    assert "# OPEN QUESTION: is the mask value 255 a class, or void?" in text
    options = load_suite(tmp_path / "suite.yaml").dataset.options
    assert (options["values"], options["ignore"]) == ([0, 1, 255], None)
    assert options["classes"] == ["background", "class_1", "value_255"]
    check = segbench("data", "check", tmp_path / "suite.yaml", "--json").json["splits"]["train"]
    assert (check["void_pixels"], check["problems"]) == (0, [])


@pytest.mark.parametrize(("void", "ignore"), [(True, 255), (False, None)])
def test_on_a_terminal_the_question_is_asked(void, ignore, tmp_path, segbench, monkeypatch):
    put_unclear(tmp_path)
    monkeypatch.setattr(starter, "_on_a_terminal", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda question: void)
    assert segbench("init", tmp_path).code == 0
    suite = tmp_path / "suite.yaml"
    assert "OPEN QUESTION" not in suite.read_text(encoding="utf-8")
    assert load_suite(suite).dataset.options["ignore"] == ignore


@pytest.mark.parametrize(("values", "values_if_void"), [((0, 1, 15), None), ((0, 50, 100, 65535), [0, 50, 100])])
def test_a_value_that_lies_apart_is_an_open_question_with_its_answer(values, values_if_void, tmp_path, segbench):
    pixels = np.array(values, np.uint16).repeat(10)[None].repeat(40, axis=0)
    for split in ("train", "test"):
        put(tmp_path / "images" / split, names="ab", pixels=np.zeros((40, 10 * len(values), 3), np.uint8))
        put(tmp_path / "masks" / split, names="ab", pixels=pixels)
    answer = segbench("init", tmp_path)
    suite = tmp_path / "suite.yaml"
    void = values[-1]
    assert f"open question: is the mask value {void} a class, or void?" in answer.err
    assert segbench("data", "check", suite).code == 0
    text = " ".join(suite.read_text(encoding="utf-8").replace("#", "").split())
    said = f"values: {values_if_void}" if values_if_void else "no values"
    assert f"If it is void: ignore: {void}, {said}, and without the class value_{void}." in text
    document = read_yaml(suite.read_text(encoding="utf-8"))
    document["dataset"] |= {"ignore": void, "values": values_if_void}
    document["dataset"]["classes"].remove(f"value_{void}")
    suite.write_text(json.dumps(document), encoding="utf-8")
    train = segbench("data", "check", suite, "--json").json["splits"]["train"]
    assert (train["void_pixels"], train["problems"]) == (2 * 400, [])


def test_an_empty_starter_ignores_nothing(tmp_path, segbench):
    segbench("init", tmp_path)
    assert load_suite(tmp_path / "suite.yaml").dataset.options["ignore"] is None


def test_a_folder_that_cannot_be_used_is_described(tmp_path, segbench):
    put(tmp_path / "scans", names="ab")
    answer = segbench("init", tmp_path)
    assert answer.code == 0
    assert "scans: 2 .png" in answer.err
    assert "1 .yaml" not in answer.err
    assert "put images into images/ and masks of the same names into masks/" in answer.err


@pytest.mark.parametrize(
    "names", [("no", "yes"), ("0", "1"), ("on: x", "off # y"), ('"quoted"', "it's"), ("{a}", "[b]"), ("Straße", "道路")]
)
def test_names_of_a_file_stay_text(names, tmp_path, segbench):
    no_splits(tmp_path, names="abc")
    (tmp_path / "class_names.txt").write_text("\n".join(names), encoding="utf-8")
    segbench("init", tmp_path)
    assert load_suite(tmp_path / "suite.yaml").dataset.options["classes"] == [name.strip('"') for name in names]


def test_val_becomes_the_validation_split(tmp_path, segbench):
    for index, split in enumerate(("train", "val", "test")):
        put(tmp_path / split / "img", names="ab", pixels=TWO_CLASSES // (index + 2))
        put(tmp_path / split / "gt", names="ab", pixels=TWO_CLASSES % 2)
    segbench("init", tmp_path)
    dataset = load_suite(tmp_path / "suite.yaml").dataset
    assert (dataset.train_split, dataset.validation_split, dataset.test_split) == ("train", "val", "test")
    assert set(segbench("data", "check", tmp_path / "suite.yaml", "--json").json["splits"]) == {"train", "val", "test"}


def test_nested_folders_are_read_as_the_suite_says(tmp_path, segbench):
    for shade, split in enumerate(("train", "val")):
        for city in ("aa", "bb"):
            names = [f"{city}_{n}" for n in "12"]
            put(
                tmp_path / "leftImg8bit" / split / city,
                names=[f"{n}_leftImg8bit" for n in names],
                pixels=TWO_CLASSES - shade,
            )
            put(tmp_path / "gtFine" / split / city, names=[f"{n}_gtFine_labelTrainIds" for n in names])
    segbench("init", tmp_path)
    check = segbench("data", "check", tmp_path / "suite.yaml", "--json")
    assert [split["images"] for split in check.json["splits"].values()] == [4, 4]


def test_crops_are_no_larger_than_small_images(tmp_path, segbench):
    put(tmp_path / "images", names="abc", pixels=np.zeros((70, 100), np.uint8))
    put(tmp_path / "masks", names="abc", pixels=np.eye(70, 100, dtype=np.uint8))
    segbench("init", tmp_path)
    assert "size: [64, 64]" in (tmp_path / "suite.yaml").read_text(encoding="utf-8")


@pytest.mark.slow(reason="trains networks")
def test_membranes_go_from_images_to_a_leaderboard_in_three_commands(tmp_path, segbench):
    rng = np.random.default_rng(0)
    for number in range(6):  # as ISBI 2012: grey, membranes 0 and cells 255, no splits
        cells = np.where(rng.random((4, 4)) > 0.3, 255, 0).astype(np.uint8).repeat(8, 0).repeat(8, 1)
        noise = rng.integers(-40, 40, cells.shape)
        put(
            tmp_path / "image",
            names=[f"{number:02}"],
            suffix=".tif",
            pixels=np.clip(cells / 2 + 64 + noise, 0, 255).astype(np.uint8),
        )
        put(tmp_path / "label", names=[f"{number:02}"], pixels=cells)
    assert segbench("init", tmp_path).code == 0
    quick = ("--set", "train.epochs=1", "--set", "seeds=[0]", "--set", "dataset.folds=2")
    quick += ("--set", "train.batch_size=2", "--only", "cnn")
    places = ("--results", tmp_path / "r", "--reports", tmp_path / "p", "--device", "cpu", "--in-process")
    ran = segbench("run", tmp_path / "suite.yaml", *quick, *places)
    assert ran.code == 0, ran.err
    board = segbench("leaderboard", next((tmp_path / "r").iterdir()))
    assert board.code == 0, board.err
    assert "cnn" in board.out


def test_jpeg_masks_saved_as_png_are_told_as_lossy(tmp_path, segbench):
    put(tmp_path / "images", names="abcd")
    (tmp_path / "masks").mkdir()
    rng = np.random.default_rng(0)
    for name in "abcd":
        mask = np.zeros((32, 32), np.uint8)
        mask[8:24, 8:24] = 255
        near = rng.integers(0, 30, mask.shape, dtype=np.uint8)
        mask = np.where(mask == 255, 255 - near * (near > 8), near * (near > 8)).astype(np.uint8)
        Image.fromarray(mask).save(tmp_path / "masks" / f"{name}.png")
    answer = segbench("init", tmp_path)
    assert "as JPEG leaves them, though they are not JPEG" in answer.err
    assert load_suite(tmp_path / "suite.yaml").dataset.options["values"] == [0, 255]
    assert segbench("data", "check", tmp_path / "suite.yaml").code == 2


def test_two_annotators_ways_to_mark_one_class_are_told(tmp_path, segbench):
    put(tmp_path / "images", names="abcd")
    for names, value in (("ab", 1), ("cd", 255)):
        put(tmp_path / "masks", names=names, pixels=np.array([[0, 0, value]] * 2, np.uint8))
    assert "no mask holds both 1 and 255" in segbench("init", tmp_path).err
