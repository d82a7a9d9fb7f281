"""score: masks of any tool, paired by name."""

import numpy as np
import pytest
from PIL import Image

from segbench.cli.support.score_masks import thick_pixels
from segbench.cli.support.score_pairs import paired
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
    with pytest.raises(DataError, match="empty: holds no masks"):
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


def square(value, *, background=0, size=40, side=14, at=8):
    """Return a label with a square of another value."""
    pixels = np.full((size, size), background, np.uint8)
    pixels[at : at + side, at : at + side] = value
    return pixels


@pytest.fixture(name="binary")
def make_binary(tmp_path, segbench):
    """Return a way to score black-and-white labels of 14x14 pixels, of which the prediction finds 14x7."""
    save(tmp_path / "labels" / "a.png", square(255))
    found = square(0)
    found[8:22, 8:15] = 255
    save(tmp_path / "predictions" / "a.png", found)
    given = ("score", "--predictions", tmp_path / "predictions", "--labels", tmp_path / "labels", "--json")
    return lambda *more: segbench(*given, *more)


FOUND = [(40 * 40 - 196) / (40 * 40 - 98), 98 / 196]
"""IoU of background and square: all of the background and half of the square are right."""


def test_black_and_white_masks_are_scored_by_their_values(binary):
    scores = binary("--values", "0,255").json
    assert [row["iou"] for row in scores["per_class"]] == pytest.approx(FOUND)
    assert (scores["ignored_pixels"], scores["ignored_share"]) == (0, 0)


@pytest.mark.parametrize("ignoring", [(), ("--ignore-index", 255)])
def test_black_and_white_labels_are_never_scored_without_their_foreground(binary, ignoring):
    answer = binary("--classes", 2, *ignoring)
    assert answer.code == 2
    assert "the labels' 255 fills 196 pixels (12.2%), which count nowhere, and one class is left" in answer.err
    assert "--values 0,255" in answer.err
    allowed = binary("--classes", 2, *ignoring, "--allow", "one-class,void").json
    assert (allowed["ignored_pixels"], allowed["ignored_share"]) == (196, 196 / 1600)


def test_thin_lines_in_white_are_not_taken_for_borders_either(binary, tmp_path):
    """Cracks and vessels are as thin as borders; but without them, one class is left."""
    save(tmp_path / "labels" / "a.png", square(255, side=2))
    save(tmp_path / "predictions" / "a.png", square(0))
    assert "one class is left" in binary("--classes", 2).err


def three_classes(tmp_path, *, side):
    """Write labels of the values 0, 1 and, in a square, 255, and predictions that miss the square."""
    label = square(255, side=side)
    label[30:] = 1
    save(tmp_path / "labels" / "a.png", label)
    save(tmp_path / "predictions" / "a.png", np.where(label == 255, 0, label).astype(np.uint8))


def test_a_filled_value_is_no_void_unless_it_is_said(binary, tmp_path):
    three_classes(tmp_path, side=14)
    answer = binary("--classes", 2)
    assert answer.code == 2
    assert "more than thin borders (33% of it in places wider than 6 pixels)" in answer.err
    assert binary("--classes", 2, "--ignore-index", 255).json["ignored_pixels"] == 196
    assert binary("--classes", 2, "--allow", "void").json["mean_iou"] == 1
    assert binary("--values", "0,1,255").json["mean_iou"] < 0.7


def test_thin_borders_are_void(binary, tmp_path):
    label = np.zeros((40, 40), np.uint8)
    label[30:] = 1
    label[28:32] = 255
    save(tmp_path / "labels" / "a.png", label)
    save(tmp_path / "predictions" / "a.png", np.where(label == 255, 0, label).astype(np.uint8))
    assert binary("--classes", 2).json["ignored_pixels"] == 160


@pytest.mark.parametrize("width", [1, 2, 5])
def test_thin_lines_within_a_class_are_no_borders(binary, tmp_path, width):
    label = np.zeros((40, 40), np.uint8)
    label[30:] = 1
    label[5 : 5 + width] = 255  # a road, a crack
    save(tmp_path / "labels" / "a.png", label)
    save(tmp_path / "predictions" / "a.png", np.where(label == 255, 0, label).astype(np.uint8))
    answer = binary("--classes", 2)
    assert answer.code == 2
    assert "thin lines of which 100% lie within one class" in answer.err
    assert "--ignore-index 255 where it is void" in answer.err
    assert binary("--classes", 2, "--ignore-index", 255).json["ignored_pixels"] == 40 * width
    assert binary("--values", "0,1,255").json["mean_iou"] < 0.7


def city_tree(folder, *, ending, nested=True, cities=("aachen", "bochum"), values=True):
    """Write masks of Cityscapes' names, in a folder for each city or in one; the first two rows are void."""
    for number, city in enumerate(cities):
        for frame in range(2):
            mask = np.full((20, 24), 7, np.uint8)
            mask[:, 10 + 4 * number + 2 * frame :] = 26
            mask[:1] = 3
            place = folder / city if nested else folder
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask if values else mask * 0 + 7).save(place / f"{city}_00000{frame}{ending}.png")


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("option", [(), ("--recursive",)])
def test_city_folders_are_scored_against_predictions_in_the_same_or_no_folders(tmp_path, segbench, nested, option):
    city_tree(tmp_path / "gtFine" / "val", ending="_gtFine_labelIds")
    city_tree(tmp_path / "gtFine" / "val", ending="_gtFine_color")  # no labels
    (tmp_path / "gtFine" / "val" / "aachen" / "aachen_000000_gtFine_polygons.json").write_text("{}")
    city_tree(tmp_path / "out", ending="_leftImg8bit", nested=nested)
    folders = ("--predictions", tmp_path / "out", "--labels", tmp_path / "gtFine" / "val")
    suffixes = ("--label-suffix", "_gtFine_labelIds", "--prediction-suffix", "_leftImg8bit")
    answer = segbench("score", *folders, *suffixes, "--values", "cityscapes-label-ids", "--json", *option)
    assert answer.code == 0, answer.err
    scores = answer.json
    assert (scores["images"], scores["mean_iou"], scores["ignored_pixels"]) == (4, 1, 4 * 24)


def test_equal_names_in_two_folders_are_not_paired_with_one_flat_mask(tmp_path, segbench):
    for city in ("a", "b"):
        save(tmp_path / "labels" / "x.png", LABEL)
        (tmp_path / "labels" / city).mkdir()
        (tmp_path / "labels" / "x.png").rename(tmp_path / "labels" / city / "0.png")
    save(tmp_path / "out" / "0.png", LABEL)
    answer = segbench("score", "--predictions", tmp_path / "out", "--labels", tmp_path / "labels", "--classes", 3)
    assert answer.code == 2
    assert "has the same name" in answer.err
    assert "same folders" in answer.err


def test_a_mask_of_a_folder_without_a_partner_is_named_by_its_path(tmp_path):
    city_tree(tmp_path / "labels", ending="")
    city_tree(tmp_path / "out", ending="", cities=("aachen",))
    with pytest.raises(DataError, match=r"there is no mask 'bochum/bochum_000000' in .*, nor for 1 other"):
        paired(tmp_path / "out", tmp_path / "labels")


def test_folders_below_are_looked_into_beside_masks_only_when_asked_for(tmp_path):
    for name in ("out", "labels"):
        save(tmp_path / name / "0.png", LABEL)
        city_tree(tmp_path / name, ending="", cities=("aachen",))
    assert len(paired(tmp_path / "out", tmp_path / "labels")) == 1
    assert len(paired(tmp_path / "out", tmp_path / "labels", recursive=True)) == 3


@pytest.mark.parametrize(("width", "thick"), [(6, 0), (7, 40), (9, 120)])
def test_a_border_is_at_most_6_pixels_wide(width, thick):
    void = np.zeros((40, 40), bool)
    void[:, 10 : 10 + width] = True
    assert thick_pixels(void) == thick


def test_an_allowance_is_spelled_right(binary):
    assert "--allow viod: expected void or one-class" in binary("--classes", 2, "--allow", "viod").err


def test_predictions_may_have_values_of_their_own(binary, tmp_path):
    found = square(0)
    found[8:22, 8:15] = 1
    save(tmp_path / "predictions" / "a.png", found)
    refused = binary("--values", "0,255")
    assert refused.code == 2
    assert "holds 1, which is the value of no class" in refused.err
    assert "--prediction-values" in refused.err
    scores = binary("--values", "0,255", "--prediction-values", "0,1").json
    assert [row["iou"] for row in scores["per_class"]] == pytest.approx(FOUND)


def test_a_class_may_have_several_values_and_several_may_be_ignored(score, folders):
    predictions, labels = folders
    save(labels / "a.png", np.array([[7, 8, 11, 0, 4]], np.uint8))
    save(predictions / "a.png", np.array([[8, 8, 11, 11, 7]], np.uint8))
    given = ("--values", "[7,8],11,[12,13]", "--ignore-index", "0,4", "--json")
    scores = score(*given).json
    assert [row["iou"] for row in scores["per_class"]] == [1, 1, None]
    assert [row["void_predicted"] for row in scores["per_class"]] == [1, 1, 0]
    assert score("--values", "[[7, 8], 11, [12, 13]]", "--ignore-index", "others", "--json").json == scores


def test_a_ready_made_map_names_the_classes(tmp_path, segbench):
    ids = np.array([[7, 8, 0, 3]], np.uint8)
    for folder in ("labels", "predictions"):
        save(tmp_path / folder / "a.png", ids)
    given = ("--predictions", tmp_path / "predictions", "--labels", tmp_path / "labels")
    scores = segbench("score", *given, "--values", "cityscapes-label-ids", "--json").json
    assert scores["per_class"][1]["class"] == "sidewalk"
    assert (scores["mean_iou"], scores["averaged_classes"], scores["ignored_pixels"]) == (1, 2, 2)


def test_an_ignored_class_is_in_no_mean(score, folders):
    """Worked by hand: pixels labelled 0 are left out of both sides; one labelled 1 that is predicted 0 is a miss."""
    predictions, labels = folders
    save(labels / "a.png", np.array([[0, 0, 1, 1, 2]], np.uint8))
    save(predictions / "a.png", np.array([[0, 1, 0, 1, 2]], np.uint8))
    answer = score("--ignore-index", 0, "--json")
    assert [row["iou"] for row in answer.json["per_class"]] == [None, 0.5, 1]
    assert (answer.json["mean_iou"], answer.json["mean_recall"], answer.json["averaged_classes"]) == (0.75, 0.75, 2)
    assert "note: ignored in the labels, so in no mean: 0" in score("--ignore-index", 0).err


def palette_mask(path, pixels, colors):
    image = Image.fromarray(np.array(pixels, np.uint8))
    image.putpalette([channel for color in colors for channel in color])
    path.parent.mkdir(exist_ok=True)
    image.save(path)


def test_colours_decide_where_a_palette_is_given(tmp_path, score, folders):
    predictions, labels = folders
    red, green, black = (255, 0, 0), (0, 255, 0), (0, 0, 0)
    palette_mask(labels / "a.png", [[0, 1, 2]], [red, green, black])
    palette_mask(labels / "b.png", [[0, 1, 2]], [black, red, green])
    for name, colors in {"a": [red, green, black], "b": [black, red, green]}.items():
        save(predictions / f"{name}.png", np.array([colors], np.uint8))
    listed = "[0,0,0],[255,0,0],[0,255,0]"
    (tmp_path / "palette.yaml").write_text("- [0, 0, 0]\n- [255, 0, 0]\n- [0, 255, 0]\n", encoding="utf-8")
    for palette in (listed, tmp_path / "palette.yaml"):
        assert score("--palette", palette, "--json").json["mean_iou"] == 1
    save(predictions / "a.png", np.array([[0, 1, 2]], np.uint8))
    save(predictions / "b.png", np.array([[0, 1, 2]], np.uint8))
    refused = score()
    assert refused.code == 2
    assert "give --palette, the colour of each class" in refused.err


def test_what_follows_the_common_name_can_be_said(tmp_path):
    for name in ("a_leftImg8bit", "b_leftImg8bit"):
        save(tmp_path / "predictions" / f"{name}.png", LABEL)
    for name in ("a_gtFine_labelIds", "a_gtFine_color", "b_gtFine_labelIds"):
        save(tmp_path / "labels" / f"{name}.png", LABEL)
    folders = (tmp_path / "predictions", tmp_path / "labels")
    found = paired(*folders, prediction_suffix="_leftImg8bit", label_suffix="_gtFine_labelIds")
    assert [label.name[0] for _, label in found] == ["a", "b"]
    with pytest.raises(DataError, match="--prediction-suffix and --label-suffix"):
        paired(*folders)
    with pytest.raises(DataError, match="no mask ends with '_gt' before the dot"):
        paired(*folders, label_suffix="_gt")


def test_tiffs_are_scored_with_pngs_and_hidden_files_are_skipped(folders, score):
    _, labels = folders
    (labels / "a.png").unlink()
    Image.fromarray(LABEL).save(labels / "a.tif")
    for folder in folders:
        (folder / "._a.png").write_bytes(b"Mac OS X")
        (folder / ".DS_Store").touch()
    assert score("--json").json["mean_iou"] == pytest.approx(EXPECTED["mean_iou"])


@pytest.mark.parametrize(
    ("suffix", "reason"), [(".npy", "NumPy arrays: save class numbers as PNG"), (".jpg", "JPEG files, which are lossy")]
)
def test_a_folder_of_what_is_no_mask_says_what_it_holds(folders, score, suffix, reason):
    (folders[0] / "a.png").rename(folders[0] / f"a{suffix}")
    assert reason in score().err


def test_probabilities_are_named_as_such(folders, score):
    predictions, labels = folders
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    save(labels / "a.png", (levels > 127).astype(np.uint8))
    save(predictions / "a.png", levels)
    assert "look like probabilities: save the most probable class" in score().err


def test_other_sizes_are_both_named(folders, score):
    save(folders[0] / "a.png", PREDICTION[:1])
    assert "is 1x3 pixels (height x width), but its label" in score().err
    assert "a.png 2x3; scores are taken at the label's size" in score().err


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ((), "give --classes, --values or --palette"),
        (("--classes", 2, "--values", "1,2,3"), "the number of classes is not clear: 2 by --classes, 3 by --values"),
        (("--values", "zero,one"), "expected a list for each class, such as 0,255"),
        (("--values", "yes,no"), "expected a list for each class"),
        (("--classes", 3, "--ignore-index", "x"), "expected whole numbers separated by commas, others or none"),
        (("--classes", 3, "--ignore-index", "none,3"), "none stands alone"),
        (("--palette", "nowhere.yaml"), "neither a list of colours nor a file"),
        (("--values", "1,1"), "expected different mask values"),
    ],
)
def test_options_that_cannot_be_understood_are_named(folders, segbench, given, problem):
    answer = segbench("score", "--predictions", folders[0], "--labels", folders[1], *given)
    assert answer.code == 2
    assert problem in answer.err


def test_palettes_that_hold_one_set_of_colours_in_two_orders_are_refused(score, folders):
    predictions, labels = folders
    red, green, black = (255, 0, 0), (0, 255, 0), (0, 0, 0)
    palette_mask(labels / "a.png", [[0, 1, 2]], [black, red, green])
    palette_mask(predictions / "a.png", [[1, 2, 0]], [green, black, red])
    refused = score()
    assert refused.code == 2
    assert "in the palettes of the labels, and" in refused.err
    assert score("--palette", "[0,0,0],[255,0,0],[0,255,0]", "--json").json["mean_iou"] == 1


def test_palettes_of_other_colours_leave_the_numbers_their_meaning(score, folders):
    predictions, labels = folders
    palette_mask(labels / "a.png", [[0, 1, 2]], [(0, 0, 0), (255, 0, 0), (0, 255, 0)])
    palette_mask(predictions / "a.png", [[0, 1, 2]], [(0, 0, 0), (9, 9, 99), (99, 9, 9)])
    assert score("--json").json["mean_iou"] == 1


def test_labels_are_not_scored_against_themselves(segbench, tmp_path):
    labels = tmp_path / "labels"
    labels.mkdir()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(labels / "a.png")
    (tmp_path / "link").symlink_to(labels)
    for predictions in (labels, tmp_path / "link"):
        answer = segbench("score", "--predictions", predictions, "--labels", labels, "--classes", 2)
        assert answer.code == 2
        assert "a.png: would be scored against itself" in answer.err


def test_a_mask_that_exif_turns_alone_is_told(folders, segbench):
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(LABEL[::-1, ::-1]).save(folders[1] / "a.png", exif=exif)
    answer = segbench("score", "--predictions", folders[0], "--labels", folders[1], "--classes", 3)
    assert answer.code == 0
    assert f"note: 1 mask was turned as EXIF says ({folders[1] / 'a.png'})" in answer.err
    Image.fromarray(PREDICTION[::-1, ::-1]).save(folders[0] / "a.png", exif=exif)
    again = segbench("score", "--predictions", folders[0], "--labels", folders[1], "--classes", 3)
    assert "EXIF" not in again.err
    assert again.out == answer.out


def test_class_255_of_300_is_no_void(folders, segbench):
    save(folders[1] / "a.png", LABEL.astype(np.uint16))
    save(folders[0] / "a.png", PREDICTION)
    found = segbench("score", "--predictions", folders[0], "--labels", folders[1], "--classes", 300, "--json").json
    assert found["ignored_pixels"] == 0
    assert found["pixel_accuracy"] == pytest.approx(4 / 6)
