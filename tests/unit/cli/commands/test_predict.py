"""evaluate and predict with a checkpoint that a run left."""

import json

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from segbench.cli.commands.predict import image_files
from segbench.cli.support.mask_forms import MaskForm, mask_writer
from segbench.config.component import DatasetEntry
from segbench.errors import DataError, UsageError


@pytest.fixture(name="checkpoint")
def find_checkpoint(done):
    return next((done[0] / "results" / "small").glob("U-Net*/checkpoint.safetensors"))


@pytest.fixture(name="pictures")
def make_pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for name, size in {"one.jpg": (40, 50, 3), "two.png": (33, 47)}.items():
        Image.fromarray(generator.integers(0, 255, size).astype(np.uint8)).save(folder / name)
    return folder


def test_evaluating_a_checkpoint_gives_the_scores_of_its_run(done, checkpoint, segbench):
    rows = segbench("leaderboard", done[0] / "results", "--format", "json").json["rows"]
    expected = next(row for row in rows if row["model"] == "U-Net")
    found = segbench("evaluate", checkpoint, "--device", "cpu", "--json").json
    for score in ("mean_iou", "pixel_accuracy", "mean_recall", "mean_dice"):
        assert found[score] == pytest.approx(expected[score], abs=1e-12)
    assert (found["model"], found["dataset"], found["split"], found["images"]) == ("U-Net", "scenes", "test", 2)
    assert found["per_class"][0]["class"] == "background"
    by_void = segbench("leaderboard", done[0] / "results", "--convention", "void-as-error", "--format", "json").json
    (of_run,) = (row["mean_iou"] for row in by_void if row["model"] == "U-Net")
    assert found["mean_iou_void_as_error"] == pytest.approx(of_run, abs=1e-12)
    assert of_run < expected["mean_iou"]
    assert "images_per_second" not in found, "it would be taken without warm-up"


def test_another_split_or_data_set_can_be_chosen(checkpoint, segbench):
    options = ("--split", "val", "--set", "validation_images=3")
    answer = segbench("evaluate", checkpoint, "--dataset", "scenes", *options, "--device", "cpu")
    assert answer.code == 0
    assert "val" in answer.out
    assert answer.out.split("images ", 1)[1].split()[0] == "3"


def test_other_classes_are_refused(checkpoint, tmp_path, segbench):
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
        Image.fromarray(np.zeros((32, 32), np.uint8)).save(tmp_path / part / "a.png")
    layout = ("--set", f"root={tmp_path}", "--set", "images=images", "--set", "masks=masks", "--set", "classes=[a, b]")
    answer = segbench("evaluate", checkpoint, "--dataset", "folder", *layout, "--device", "cpu")
    assert answer.code == 2
    assert "has the classes a, b" in answer.err


def test_masks_have_the_images_size_and_the_classes_colours(checkpoint, pictures, tmp_path, segbench):
    answer = segbench("predict", checkpoint, pictures, "--output", tmp_path / "masks", "--device", "cpu", "--json")
    assert answer.code == 0
    assert answer.json["classes"]["0"] == "background"
    assert len(answer.json["masks"]) == 2
    for name, size in {"one": (50, 40), "two": (47, 33)}.items():
        with Image.open(tmp_path / "masks" / f"{name}.png") as mask:
            assert mask.mode == "P"
            assert mask.size == size
            assert np.asarray(mask).max() < 8
            assert mask.getpalette()[3:6] == [220, 50, 47]


def test_masks_that_were_not_predicted_are_never_replaced(checkpoint, pictures, tmp_path, segbench):
    masks = tmp_path / "masks"
    for _ in range(2):
        assert segbench("predict", checkpoint, pictures, "-o", masks, "--device", "cpu").code == 0, "its own are"
    label = masks / "one.png"
    Image.fromarray(np.zeros((50, 40), np.uint8)).save(label)
    before = label.read_bytes()
    answer = segbench("predict", checkpoint, pictures, "-o", masks, "--device", "cpu")
    assert answer.code == 2
    assert "one.png: is there already, and 'segbench predict' has not written it" in answer.err
    assert label.read_bytes() == before


def test_a_broken_image_stops_no_other(checkpoint, pictures, tmp_path, segbench):
    (pictures / "a.png").write_bytes(b"no picture")
    answer = segbench("predict", checkpoint, pictures, "--output", tmp_path / "masks", "--device", "cpu", "--json")
    assert answer.code == 2
    assert sorted(file.name for file in (tmp_path / "masks").iterdir()) == ["one.png", "two.png"]
    assert len(answer.json["masks"]) == 2
    assert len(answer.json["problems"]) == 1
    assert f"problem: {pictures / 'a.png'}: cannot be read" in answer.err
    assert answer.err.endswith("error: 1 of 3 images could not be predicted\n")


def test_predictions_score_as_the_evaluation_does(done, checkpoint, tmp_path, segbench):
    from segbench.data.scenes.dataset import scenes

    dataset = scenes("test", size=[32, 32], test_images=2)
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for index in range(2):
        sample = dataset.read(index)
        Image.fromarray(sample.image).save(tmp_path / "images" / f"{index}.png")
        Image.fromarray(sample.label).save(tmp_path / "labels" / f"{index}.png")
    assert segbench("predict", checkpoint, tmp_path / "images", "-o", tmp_path / "masks", "--device", "cpu").code == 0
    given = ("--predictions", tmp_path / "masks", "--labels", tmp_path / "labels", "--classes", 8, "--json")
    scored = segbench("score", *given).json
    evaluated = segbench("evaluate", checkpoint, "--device", "cpu", "--json").json
    assert scored["mean_iou"] == pytest.approx(evaluated["mean_iou"], abs=1e-12)


def test_a_file_that_is_no_checkpoint_exits_with_2(tmp_path, pictures, segbench):
    (tmp_path / "weights.safetensors").write_bytes(b"no")
    answer = segbench("predict", tmp_path / "weights.safetensors", pictures, "-o", tmp_path / "out")
    assert answer.code == 2
    assert "weights.safetensors" in answer.err
    assert not (tmp_path / "out").exists()


def test_an_output_that_cannot_be_written_exits_with_2(checkpoint, pictures, tmp_path, segbench):
    (tmp_path / "file").touch()
    answer = segbench("predict", checkpoint, pictures, "-o", tmp_path / "file", "--device", "cpu")
    assert answer.code == 2
    assert "cannot be written" in answer.err


def test_folders_stand_for_the_images_in_them(pictures, tmp_path):
    (pictures / "notes.txt").touch()
    found = image_files([pictures, pictures / "two.png"], output=tmp_path)
    assert found == {pictures / "one.jpg": tmp_path / "one.png", pictures / "two.png": tmp_path / "two.png"}


def test_impossible_images_are_refused_by_name(pictures, tmp_path):
    with pytest.raises(DataError, match="absent: there is no such file"):
        image_files([tmp_path / "absent"], output=tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no images"):
        image_files([tmp_path / "empty"], output=tmp_path)
    with pytest.raises(UsageError, match="would replace the image"):
        image_files([pictures], output=pictures)
    (pictures / "one.bmp").touch()
    with pytest.raises(DataError, match="another image of the name one"):
        image_files([pictures], output=tmp_path)


def test_hidden_files_are_no_images_and_subfolders_are_told(pictures, tmp_path):
    for name in ("._one.jpg", "._two.png", ".DS_Store", "Thumbs.db"):
        (pictures / name).write_bytes(b"no image")
    assert [file.name for file in image_files([pictures], output=tmp_path)] == ["one.jpg", "two.png"]
    with pytest.raises(DataError, match=r"holds no images .*; give its subfolders, such as .*pictures$"):
        image_files([tmp_path], output=tmp_path / "masks")


VALUES = [255, 7, 30, 31, 32, 33, 34, 35]
"""The classes' numbers in a person's own masks, in no order and with 255 among them."""


@pytest.fixture(name="own")
def make_own(checkpoint, tmp_path, segbench):
    """Return a folder data set with values of its own, and the checkpoint as if it had been trained on it."""
    from segbench.data.scenes.dataset import INFO, scenes

    for index in range(2):
        sample = scenes("test", size=[32, 32], test_images=2).read(index)
        stored = np.array([*VALUES, *[99] * 247, 0], dtype=np.uint8)[sample.label]  # void is 255 in a sample, 0 here
        for folder, pixels in {"images": sample.image, "masks": stored}.items():
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / folder / f"{index}.png")
    entry = {"root": str(tmp_path), "images": "images", "masks": "masks", "values": VALUES, "ignore": 0}
    dataset = DatasetEntry(name="folder", classes=list(INFO.classes), **entry)
    with safe_open(checkpoint, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        (key, text), *_ = file.metadata().items()
    facts = json.loads(text)
    facts["run"]["recipe"]["dataset"] = dataset.model_dump(mode="json")
    save_file(tensors, tmp_path / "own.safetensors", metadata={key: json.dumps(facts)})
    return tmp_path


def test_masks_hold_the_data_sets_own_values_and_score_as_the_evaluation_does(own, segbench):
    answer = segbench("predict", own / "own.safetensors", own / "images", "-o", own / "out", "--device", "cpu")
    assert answer.code == 0
    assert "grey PNGs of the data set's values 255,7,30,31,32,33,34,35" in answer.err
    used = {int(value) for file in (own / "out").iterdir() for value in np.unique(np.asarray(Image.open(file)))}
    assert used <= set(VALUES)
    given = ("--predictions", own / "out", "--labels", own / "masks", "--values", ",".join(map(str, VALUES)))
    scored = segbench("score", *given, "--ignore-index", 0, "--json").json
    evaluated = segbench("evaluate", own / "own.safetensors", "--device", "cpu", "--json").json
    assert scored["mean_iou"] == pytest.approx(evaluated["mean_iou"], abs=1e-12)


def test_the_form_of_masks_can_be_chosen(own, segbench):
    found = {}
    for form in MaskForm:
        options = ("-o", own / form, "--as", form, "--device", "cpu", "--json")
        answer = segbench("predict", own / "own.safetensors", own / "images" / "0.png", *options)
        assert answer.json["as"] == form
        found[form] = Image.open(own / form / "0.png")
    assert [found[form].mode for form in MaskForm] == ["P", "L", "RGB"]
    indices = np.asarray(found[MaskForm.INDEX])
    assert np.array_equal(np.array(VALUES)[indices], np.asarray(found[MaskForm.VALUES]))
    assert np.array_equal(np.asarray(found[MaskForm.INDEX].convert("RGB")), np.asarray(found[MaskForm.PALETTE]))


@pytest.mark.parametrize(
    ("options", "form", "values"),
    [
        ({"classes": ["x", "y"]}, MaskForm.INDEX, (0, 1)),
        ({"classes": ["x", "y"], "values": [[3, 4], 1000], "ignore": 0}, MaskForm.VALUES, (3, 1000)),
        ({"classes": "cityscapes-train-ids"}, MaskForm.VALUES, tuple(range(19))),
    ],
)
def test_values_are_the_default_where_a_data_set_has_them(options, form, values):
    writer = mask_writer(None, DatasetEntry(name="folder", **options), [(0, 0, 0)] * len(values))
    assert (writer.form, writer.values) == (form, values)
    assert np.asarray(writer.image(np.array([[1, 0]], np.uint8))).tolist() == [[values[1], values[0]]]


def test_values_that_fit_into_no_png_are_indices_unless_they_were_asked_for(capsys):
    entry = DatasetEntry(name="folder", classes=["x", "y"], values=[-1, 70000], ignore=None)
    with pytest.raises(UsageError, match="-1 to 70000, do not fit into a PNG"):
        mask_writer(MaskForm.VALUES, entry, [(0, 0, 0)] * 2)
    assert mask_writer(None, entry, [(0, 0, 0)] * 2).form is MaskForm.INDEX
    assert "-1 to 70000, do not fit into a PNG" in capsys.readouterr().err
    assert mask_writer(MaskForm.INDEX, entry, [(0, 0, 0)] * 2).form is MaskForm.INDEX
