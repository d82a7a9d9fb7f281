"""evaluate and predict with a checkpoint that a run left."""

import numpy as np
import pytest
from PIL import Image

from segbench.cli.predict import image_files
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
    from segbench.data.scenes import scenes

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
