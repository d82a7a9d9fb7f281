"""data check and data download."""

import shutil

import numpy as np
import pytest
from PIL import Image

from segbench.errors import DataError


@pytest.fixture(name="own")
def make_own(tmp_path):
    """Three images with masks of two classes, in train and test, and a suite for them."""
    for split, names in {"train": "abc", "test": "d"}.items():
        for index, name in enumerate(names):
            mask = np.zeros((20 + index, 24), np.uint8)
            mask[:5] = 1
            mask[5] = 255
            for part, pixels in {"images": np.dstack([mask] * 3), "masks": mask}.items():
                folder = tmp_path / part / split
                folder.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(folder / f"{name}.png")
    suite = tmp_path / "suite.yaml"
    suite.write_text(
        "dataset: {name: folder, root: ., classes: [ground, thing]}\nmodels: [cnn]\ntrain: null\n", encoding="utf-8"
    )
    return suite


def test_a_good_data_set_is_reported_by_split(own, segbench):
    answer = segbench("data", "check", own, "--json")
    assert answer.code == 0
    train = answer.json["splits"]["train"]
    assert list(answer.json["splits"]) == ["train", "test"]
    assert train["images"] == 3
    assert train["sizes"] == {"20x24": 1, "21x24": 1, "22x24": 1}
    assert train["void_pixels"] == 3 * 24
    things = 3 * 5 * 24
    assert train["classes"][1] == {
        "class": "thing",
        "pixels": things,
        "frequency": pytest.approx(things / ((20 + 21 + 22 - 3) * 24)),
        "images": 3,
    }


def test_a_report_is_shown_to_people(own, segbench):
    answer = segbench("data", "check", own)
    assert answer.code == 0
    assert "folder, train" in answer.out
    assert "20x24 (1), 21x24 (1), 22x24 (1)" in answer.out
    assert "thing" in answer.out


@pytest.mark.parametrize("damage", ["unpaired", "unreadable", "out of range"])
def test_whatever_is_wrong_is_listed_and_exits_with_2(damage, own, segbench):
    folder = own.parent / "masks" / "train"
    if damage == "unpaired":
        (folder / "b.png").unlink()
    elif damage == "unreadable":
        (folder / "b.png").write_bytes(b"nothing")
    else:
        Image.fromarray(np.full((21, 24), 7, np.uint8)).save(folder / "b.png")
    answer = segbench("data", "check", own)
    assert answer.code == 2
    assert "b.png" in answer.err
    assert "error: folder: 1 problem found" in answer.err
    as_json = segbench("data", "check", own, "--json")
    assert as_json.code == 2
    assert len(as_json.json["splits"]["train"]["problems"]) == 1


def test_two_files_of_one_name_are_a_problem(own, segbench):
    Image.fromarray(np.zeros((20, 24, 3), np.uint8)).save(own.parent / "images" / "train" / "a.jpg")
    answer = segbench("data", "check", own)
    assert answer.code == 2
    assert "a.jpg: which of a.jpg, a.png is meant" in answer.err


def test_a_split_that_is_missing_does_not_stop_the_others(own, segbench):
    given = ("data", "check", own, "--split", "train", "--split", "holdout")
    answer = segbench(*given)
    assert answer.code == 2
    assert "folder, train" in answer.out
    assert "holdout does not exist" in answer.err
    assert "error: folder: 1 problem found" in answer.err
    splits = segbench(*given, "--json").json["splits"]
    assert (splits["train"]["images"], splits["holdout"]["images"]) == (3, 0)
    assert len(splits["holdout"]["problems"]) == 1


def test_a_suite_that_trains_nothing_needs_no_training_split(own, segbench):
    for part in ("images", "masks"):
        shutil.rmtree(own.parent / part / "train")
    answer = segbench("data", "check", own, "--json")
    assert answer.code == 0, answer.err
    assert list(answer.json["splits"]) == ["test"]
    asked = segbench("data", "check", own, "--split", "train", "--split", "test")
    assert (asked.code, "train does not exist" in asked.err) == (2, True)
    assert segbench("data", "check", trained(own)).code == 2


def test_a_suite_that_trains_nothing_needs_its_test_split(own, segbench):
    for part in ("images", "masks"):
        shutil.rmtree(own.parent / part / "test")
    answer = segbench("data", "check", own)
    assert answer.code == 2
    assert "test does not exist" in answer.err


def with_a_class_too_many(suite):
    suite.write_text(suite.read_text(encoding="utf-8").replace("thing]", "thing, ghost]"), encoding="utf-8")
    return suite


def test_a_class_that_no_label_holds_is_a_problem_unless_it_is_allowed(own, segbench):
    with_a_class_too_many(own)
    answer = segbench("data", "check", own)
    assert answer.code == 2
    assert "problem: test: no label is of the class ghost" in answer.err
    assert "dataset.allow: [absent-class]" in answer.err
    allowed = segbench("data", "check", own, "--allow", "absent-class")
    assert allowed.code == 0
    assert "note: test: no label is of the class ghost" in allowed.err


def trained(suite):
    """Make a suite one whose test images must not be among those that are trained on."""
    suite.write_text(suite.read_text(encoding="utf-8").replace("train: null", "train: {epochs: 1}"), encoding="utf-8")
    return suite


def test_one_picture_in_two_splits_is_a_problem_with_both_files(own, segbench):
    answer = segbench("data", "check", trained(own))  # d.png of test is a.png of train
    assert answer.code == 2
    assert "1 of the 1 images show a picture that train has as well" in answer.err
    for file in ("images/test/d.png", "images/train/a.png"):
        assert file in answer.err
    allowed = segbench("data", "check", own, "--allow", "same-picture", "--json")
    assert allowed.code == 0
    (finding,) = allowed.json["splits"]["test"]["findings"]
    assert (finding["kind"], finding["level"]) == ("same-picture", "note")
    assert allowed.json["splits"]["test"]["notes"] == [finding["message"]]


def test_one_picture_in_test_and_in_a_validation_split_that_no_run_reads_is_noted(own, segbench):
    for part in ("images", "masks"):
        (own.parent / part / "validation").mkdir()
        (own.parent / part / "train" / "c.png").rename(own.parent / part / "validation" / "c.png")
        shutil.copy(own.parent / part / "test" / "d.png", own.parent / part / "validation" / "e.png")
    text = trained(own).read_text(encoding="utf-8").replace("root: .", "root: ., validation_split: validation")
    own.write_text(text, encoding="utf-8")
    (own.parent / "images" / "train" / "a.png").unlink()
    (own.parent / "masks" / "train" / "a.png").unlink()
    answer = segbench("data", "check", own, "--json")
    assert answer.code == 0
    assert "1 of the 2 images show a picture that test has as well" in answer.json["splits"]["validation"]["notes"][0]


def test_one_picture_that_is_encoded_anew_is_found_as_well(own, segbench):
    file = own.parent / "images" / "test" / "d.png"
    Image.open(file).save(file.with_suffix(".webp"), lossless=True)
    file.unlink()
    assert "d.webp is " in segbench("data", "check", trained(own)).err


TRAINED_ON = "images/train/a.png masks/train/a.png"
SAME_IMAGES = {
    "one split for both": "test_split: train",
    "one folder by two names": "images: images/train, masks: masks/train, test_split: other",
    "lists of the same images": "split_file: '{split}.txt'",
    "training and validation": "split_file: '{split}.txt', validation_split: val",
}


@pytest.mark.parametrize("kind", SAME_IMAGES)
def test_splits_that_share_images_stop_the_check_as_they_stop_a_run(kind, own, tmp_path, segbench):
    folder = own.parent
    Image.fromarray(np.arange(20 * 24, dtype=np.uint8).reshape(20, 24)).save(folder / "images" / "test" / "d.png")
    validates = "validation_split" in SAME_IMAGES[kind]
    for split in ("train", "val", "test"):
        listed = "images/test/d.png masks/test/d.png" if validates and split == "test" else TRAINED_ON
        (folder / f"{split}.txt").write_text(listed, encoding="utf-8")
    own.write_text(
        f"dataset: {{name: folder, root: ., classes: [ground, thing], {SAME_IMAGES[kind]}}}\n"
        "models: [{name: cnn, width: 0.05}]\n"
        f"train: {{epochs: 1, batch_size: 1{', validate_every: 1' * validates}}}\n",
        encoding="utf-8",
    )
    check = segbench("data", "check", own)
    run = segbench("run", own, "--results", tmp_path / "r", "--in-process", "--device", "cpu", "--no-report")
    for answer in (check, run):
        assert answer.code == 2
        assert "would say nothing" in answer.err
        assert "dataset.test_split" in answer.err


def test_one_folder_for_two_splits_is_right_as_data_and_no_run(own, segbench):
    answer = segbench("data", "check", trained(own), "--set", "images=images/train", "--set", "masks=masks/train")
    assert answer.code == 0
    assert "'segbench run' refuses: 3 of the 3 images for test are among those for train" in answer.err
    assert "show a picture" not in answer.err


def test_a_kind_that_cannot_be_allowed_is_refused(own, segbench):
    answer = segbench("data", "check", own, "--allow", "voids")
    assert answer.code == 2
    assert "did you mean 'void'" in answer.err


@pytest.mark.parametrize(("names", "words"), [("[no, yes]", "expected text"), ("[0, 1]", "should be text")])
def test_class_names_that_yaml_does_not_read_as_text_are_refused_with_the_remedy(names, words, own, segbench):
    own.write_text(own.read_text(encoding="utf-8").replace("[ground, thing]", names), encoding="utf-8")
    answer = segbench("data", "check", own)
    assert answer.code == 2
    assert "dataset.classes" in answer.err
    assert words in answer.err
    assert "quotes" in answer.err
    own.write_text(own.read_text(encoding="utf-8").replace(names, "['no', '1']"), encoding="utf-8")
    facts = segbench("data", "check", own, "--json").json["splits"]["test"]["classes"]
    assert [one["class"] for one in facts] == ["no", "1"]


def test_many_problems_are_cut_short(own, segbench, monkeypatch):
    monkeypatch.setattr("segbench.cli.commands.data._PROBLEMS_SHOWN", 1)
    for name in "ab":
        (own.parent / "masks" / "train" / f"{name}.png").unlink()
    assert "and 1 more; --json lists all" in segbench("data", "check", own).err


def test_a_data_set_is_checked_by_name_with_options(own, segbench):
    given = ("--root", own.parent, "--set", "classes=[a, b]", "--split", "test", "--json")
    splits = segbench("data", "check", "folder", *given).json["splits"]
    assert {split: facts["images"] for split, facts in splits.items()} == {"test": 1}


def test_the_usual_splits_are_those_that_the_data_set_has(voc_tree, segbench):
    splits = segbench("data", "check", "voc2012", "--root", voc_tree, "--json").json["splits"]
    assert list(splits) == ["train", "val"]


def test_two_copies_of_one_data_set_show_one_pixel_digest(own, segbench):
    before = segbench("data", "check", own, "--json").json["splits"]
    for file in (own.parent / "images").rglob("*.png"):
        Image.open(file).save(file.with_suffix(".bmp"))
        file.unlink()
    after = segbench("data", "check", own, "--json").json["splits"]
    assert {name: split["pixel_digest"] for name, split in after.items()} == {
        name: split["pixel_digest"] for name, split in before.items()
    }
    assert f"  {before['test']['pixel_digest']}\n" in segbench("data", "check", own).out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "camvid", "--root", "/nowhere"], "looked in /nowhere"),
        (["check", "camvidd"], "unknown dataset 'camvidd', did you mean 'camvid'?"),
        (["check", "folder"], "dataset.classes: is required and missing; give its suite file, or --set classes=[...]"),
        (["check", "absent.yaml"], "absent.yaml: there is no such file"),
        (["check", "scenes", "--split", "trial"], "no split 'trial'"),
        (["check", "scenes", "--set", "train_imges=3"], "did you mean 'train_images'?"),
        (["download", "scenes"], "needs no download"),
        (["download", "imagenet"], "nothing to download is called 'imagenet'"),
    ],
)
def test_wrong_requests_exit_with_2(arguments, message, segbench):
    answer = segbench("data", *arguments)
    assert answer.code == 2
    assert message in answer.err


def test_a_download_says_where_it_is(tmp_path, segbench, monkeypatch):
    told = []

    def fetch(name, *, root, progress):
        for received, total in ((1_000_000, None), (2_500_000, 5_000_000), (5_000_000, 5_000_000)):
            progress(received, total)
        told.append((name, root))
        return root

    monkeypatch.setattr("segbench.data.datasets.download.download", fetch)
    answer = segbench("data", "download", "voc2012", "--root", tmp_path)
    assert answer.code == 0
    assert answer.out == f"{tmp_path}\n"
    assert answer.err == "  checking and unpacking voc2012\n"
    assert told == [("voc2012", tmp_path)]


def test_a_failed_download_exits_with_2(segbench, monkeypatch):
    def fetch(*_, **__):
        raise DataError("http://there: cannot be fetched")

    monkeypatch.setattr("segbench.data.datasets.download.download", fetch)
    answer = segbench("data", "download", "voc2012")
    assert answer.code == 2
    assert answer.err == "error: http://there: cannot be fetched\n"
