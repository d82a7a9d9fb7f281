"""score: masks of any tool, paired by name."""

import numpy as np
import pytest
from PIL import Image

from segbench.cli.score import paired, read_mask
from segbench.errors import DataError

LABEL = np.array([[0, 0, 1], [1, 2, 255]], dtype=np.uint8)
PREDICTION = np.array([[0, 1, 1], [1, 2, 0]], dtype=np.uint8)
# worked by hand: TP 1, 2, 1; labelled 2, 2, 1; predicted 1, 3, 1 (the void pixel counts nowhere)
EXPECTED = {
    "pixel_accuracy": 4 / 5,
    "mean_recall": (1 / 2 + 1 + 1) / 3,
    "mean_iou": (1 / 2 + 2 / 3 + 1) / 3,
    "frequency_weighted_iou": 0.4 / 2 + 0.4 * 2 / 3 + 0.2,
    "mean_dice": (2 / 3 + 4 / 5 + 1) / 3,
    "mean_precision": (1 + 2 / 3 + 1) / 3,
}


def save(path, pixels, mode=None):
    path.parent.mkdir(exist_ok=True)
    image = Image.fromarray(pixels)
    if mode == "P":
        image.putpalette([5, 6, 7] * 256)
    elif mode:
        image = image.convert(mode)
    image.save(path)


@pytest.fixture(name="folders")
def make_folders(tmp_path):
    save(tmp_path / "labels" / "a.png", LABEL)
    save(tmp_path / "predictions" / "a.png", PREDICTION, "P")
    return tmp_path / "predictions", tmp_path / "labels"


@pytest.fixture(name="score")
def make_score(folders, segbench):
    predictions, labels = folders
    return lambda *more: segbench("score", "--predictions", predictions, "--labels", labels, "--classes", 3, *more)


def test_scores_are_those_worked_by_hand(score):
    scores = score("--json").json
    for name, value in EXPECTED.items():
        assert scores[name] == pytest.approx(value, abs=1e-15)
    assert scores["images"] == 1
    assert scores["averaged_classes"] == 3
    assert [row["iou"] for row in scores["per_class"]] == pytest.approx([1 / 2, 2 / 3, 1])
    assert [row["label_pixels"] for row in scores["per_class"]] == [2, 2, 1]
    assert [row["void_predicted"] for row in scores["per_class"]] == [1, 0, 0]
    assert scores["mean_iou_void_as_error"] == pytest.approx((1 / 3 + 2 / 3 + 1) / 3)
    assert scores["precision_classes"] == 3


def test_scores_are_shown_to_people(score):
    answer = score()
    assert answer.code == 0
    assert "mean_iou" in answer.out
    assert "0.7222" in answer.out


def test_images_are_pooled(score, folders):
    predictions, labels = folders
    save(labels / "b.png", LABEL)
    save(predictions / "b.png", LABEL)
    scores = score("--json").json
    assert scores["images"] == 2
    assert scores["pixel_accuracy"] == pytest.approx(9 / 10)


def test_absent_scores_are_null(score, folders):
    predictions, labels = folders
    save(labels / "a.png", np.zeros((2, 3), np.uint8))
    save(predictions / "a.png", np.zeros((2, 3), np.uint8))
    assert score("--json").json["per_class"][1]["iou"] is None


def test_classes_that_are_predicted_but_never_labelled_are_named(score, folders):
    predictions, labels = folders
    save(labels / "a.png", np.zeros((2, 3), np.uint8))
    save(predictions / "a.png", np.full((2, 3), 2, np.uint8))
    assert "with an IoU of 0: 2" in score().err


def test_classes_that_are_labelled_but_never_predicted_are_named(score, folders):
    save(folders[0] / "a.png", np.zeros((2, 3), np.uint8))
    assert "left out of the mean precision: 1, 2" in score().err
    scores = score("--json").json
    assert (scores["precision_classes"], scores["averaged_classes"]) == (1, 3)


def test_masks_may_predict_void_on_void_pixels_alone(score, folders):
    save(folders[0] / "a.png", np.array([[0, 1, 1], [1, 2, 255]], np.uint8))
    scores = score("--json").json
    assert scores["mean_iou_void_as_error"] == scores["mean_iou"]
    assert [row["void_predicted"] for row in scores["per_class"]] == [0, 0, 0]


def test_every_pixel_counts_without_an_ignored_index(score, folders):
    predictions, labels = folders
    save(labels / "a.png", np.array([[0, 1, 2]], np.uint8))
    save(predictions / "a.png", np.array([[0, 1, 2]], np.uint8))
    assert score("--ignore-index", -1, "--json").json["pixel_accuracy"] == 1
    assert score("--ignore-index", 2, "--json").json["averaged_classes"] == 2


@pytest.mark.parametrize("mode", ["L", "P", "1"])
def test_grey_palette_and_binary_masks_are_read(mode, tmp_path):
    pixels = np.array([[0, 1], [1, 0]], np.uint8)
    save(tmp_path / "m.png", pixels * 255 if mode == "1" else pixels, mode)
    assert read_mask(tmp_path / "m.png").tolist() == pixels.tolist()


def test_sixteen_bit_masks_are_read(tmp_path):
    Image.fromarray(np.array([[0, 300]], np.uint16)).save(tmp_path / "m.png")
    assert read_mask(tmp_path / "m.png").tolist() == [[0, 300]]


def wrong_size(predictions, labels):
    save(predictions / "a.png", PREDICTION[:, :2])
    return predictions / "a.png"


def wrong_value(predictions, labels):
    save(predictions / "a.png", PREDICTION + 7)
    return f"{predictions / 'a.png'}: prediction values"


def wrong_label(predictions, labels):
    save(labels / "a.png", np.where(LABEL == 2, 9, LABEL).astype(np.uint8))
    return f"{labels / 'a.png'}: label values"


def colours(predictions, labels):
    save(predictions / "a.png", np.dstack([PREDICTION] * 3))
    return predictions / "a.png"


def cut_off(predictions, labels):
    content = (labels / "a.png").read_bytes()
    (labels / "a.png").write_bytes(content[: len(content) // 2])
    return labels / "a.png"


def no_picture(predictions, labels):
    (labels / "a.png").write_text("hello", encoding="utf-8")
    return labels / "a.png"


def no_partner(predictions, labels):
    save(predictions / "b.png", PREDICTION)
    return predictions / "b.png"


def no_prediction(predictions, labels):
    save(labels / "c.png", LABEL)
    return labels / "c.png"


@pytest.mark.parametrize(
    "damage", [wrong_size, wrong_value, wrong_label, colours, cut_off, no_picture, no_partner, no_prediction]
)
def test_what_is_wrong_is_named_and_exits_with_2(damage, score, folders):
    named = damage(*folders)
    answer = score("--json")
    assert answer.code == 2
    assert str(named) in answer.err
    assert answer.out == ""


def test_more_classes_than_fit_into_memory_are_refused(folders, segbench):
    predictions, labels = folders
    given = ("score", "--predictions", predictions, "--labels", labels, "--classes")
    assert segbench(*given, 4097).code == 2
    assert "4096" in segbench(*given, 65535).err


def test_a_missing_or_empty_folder_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="absent: there is no such folder"):
        paired(tmp_path / "absent", tmp_path / "empty")
    with pytest.raises(DataError, match="empty: holds no PNG files"):
        paired(tmp_path / "empty", tmp_path / "empty")


def test_capitals_in_the_suffix_do_not_matter(folders):
    predictions, labels = folders
    (labels / "a.png").rename(labels / "a.PNG")
    assert paired(predictions, labels) == [(predictions / "a.png", labels / "a.PNG")]


def test_hidden_files_are_not_scored_and_accents_pair_however_stored(folders, score):
    predictions, labels = folders
    for folder in folders:
        (folder / "._a.png").write_bytes(b"no image")
    (labels / "._b.png").write_bytes(b"no image")
    save(labels / "\u00e9.png", LABEL)
    save(predictions / "e\u0301.png", PREDICTION)
    assert score("--json").json["images"] == 2
