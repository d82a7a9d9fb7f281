"""evaluate: a checkpoint is not scored, without a word, on images that it was trained on."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from segbench.engine.checkpoint import METADATA_KEY

SUITE = """\
name: folds
dataset:
  name: folder
  root: .
  split_file: '{split}.txt'
  classes: [ground, thing]
  folds: 3
  fold_groups: {file: groups.csv, column: patient}
transforms: {train: [normalize], test: [normalize]}
models: [{name: cnn, width: 0.05}]
train: {steps: 1, batch_size: 2, loss: cross_entropy, optimizer: {name: adamw, lr: 0.001}}
evaluate: {samples: 0}
seeds: [0]
"""
PATIENTS = dict(zip("abcdef", ["p1", "p1", "p2", "p2", "p3", "p3"], strict=True))


def write_groups(file, patients):
    lines = [f"images/{name},{patient}" for name, patient in patients.items()]
    file.write_text("\n".join(["image,patient", *lines]), encoding="utf-8")


@pytest.fixture(scope="module", name="trained")
def train_on_two_folds_of_three(tmp_path_factory, segbench):
    """A folder with data, a suite, and a checkpoint that was trained on all folds but the second."""
    folder = tmp_path_factory.mktemp("trained")
    generator = np.random.default_rng(0)
    for part, values in (("images", 256), ("masks", 2)):
        (folder / part).mkdir()
        for name in PATIENTS:
            pixels = generator.integers(0, values, (32, 32)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / part / f"{name}.png")
    for split, names in {"train": "abcd", "test": "ef"}.items():
        lines = [f"images/{name}.png\tmasks/{name}.png" for name in names]
        (folder / f"{split}.txt").write_text("\n".join(lines), encoding="utf-8")
    write_groups(folder / "groups.csv", PATIENTS)
    (folder / "suite.yaml").write_text(SUITE, encoding="utf-8")
    places = ("--results", folder / "results", "--reports", folder / "reports", "--device", "cpu", "--in-process")
    answer = segbench("run", folder / "suite.yaml", "--only", "cnn-seed0-fold2", *places)
    assert answer.code == 0, answer.err
    return folder


@pytest.fixture(name="checkpoint")
def find_checkpoint(trained):
    (file,) = (trained / "results" / "folds").glob("*fold2*/checkpoint.safetensors")
    return file


@pytest.fixture
def evaluate(segbench):
    """Evaluate a checkpoint with a split and options of the data set."""

    def call(checkpoint, *options, split=None):
        given = [part for option in options for part in ("--set", option)] + (["--split", split] if split else [])
        return segbench("evaluate", checkpoint, "--device", "cpu", "--json", *given)

    return call


def test_a_checkpoint_is_scored_on_the_fold_it_was_not_trained_on(evaluate, checkpoint):
    answer = evaluate(checkpoint)
    assert answer.code == 0, answer.err
    assert (answer.json["split"], answer.json["images"]) == ("fold 2 of 3", 2)
    assert "warning" not in answer.err


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("folds=2", "dataset.folds is 2, in training 3"),
        ("folds=3", None),
        ("fold_groups={pattern: .}", "dataset.fold_groups is {'pattern': '.'}, in training {'file'"),
        ("test_split=train", "dataset.test_split is train, in training test"),
        ("validation_split=test", "dataset.validation_split is test, in training None"),
    ],
)
def test_options_that_make_other_folds_are_refused(evaluate, checkpoint, option, told):
    answer = evaluate(checkpoint, option)
    assert answer.code == (2 if told else 0), answer.err
    if told:
        assert told in answer.err
        assert "--split SPLIT" in answer.err
        assert not answer.out


def test_without_folds_the_split_has_to_be_named(evaluate, checkpoint):
    answer = evaluate(checkpoint, "fold_groups=null", "folds=null")
    assert answer.code == 2
    assert "dataset.folds is None, in training 3" in answer.err


def test_the_data_and_its_groups_may_lie_elsewhere(evaluate, trained, checkpoint, tmp_path):
    for part in ("images", "masks"):
        shutil.copytree(trained / part, tmp_path / part)
    for file in ("train.txt", "test.txt", "groups.csv"):
        shutil.copy(trained / file, tmp_path / file)
    answer = evaluate(checkpoint, f"root={tmp_path}", f"fold_groups.file={tmp_path / 'groups.csv'}")
    assert answer.code == 0, answer.err
    assert answer.json["mean_iou"] == evaluate(checkpoint).json["mean_iou"]


def test_other_groups_are_refused(evaluate, checkpoint, tmp_path):
    write_groups(tmp_path / "other.csv", dict(zip("acbedf", PATIENTS.values(), strict=True)))
    answer = evaluate(checkpoint, f"fold_groups.file={tmp_path / 'other.csv'}")
    assert answer.code == 2
    assert "fold 2 holds other images than in training" in answer.err


def test_other_images_are_refused(evaluate, trained, checkpoint, tmp_path):
    shutil.copytree(trained, tmp_path / "copy")
    Image.fromarray(np.zeros((32, 32), np.uint8)).save(tmp_path / "copy" / "images" / "a.png")
    answer = evaluate(checkpoint, f"root={tmp_path / 'copy'}")
    assert answer.code == 2
    assert "the pooled images or labels are not those that the checkpoint's folds were cut from" in answer.err
    assert "--set root=DIR" in answer.err


def test_a_split_with_images_of_training_is_warned_of(evaluate, trained, checkpoint):
    (run,) = (trained / "results" / "folds").glob("*fold2*/run.json")
    assert json.loads(run.read_text(encoding="utf-8"))["fold"]["index"] == 2
    answers = {split: evaluate(checkpoint, split=split) for split in ("train", "test")}
    assert [answer.code for answer in answers.values()] == [0, 0]
    told = [answer.err.partition("was trained on ")[2].partition(" (")[0] for answer in answers.values()]
    shares = {"4 of these 4 images": 4, "2 of these 4 images": 2, "2 of these 2 images": 2, "": 0}
    assert sum(shares[text] for text in told) == 4, "of six images, four were trained on"


@pytest.fixture(scope="module")
def apart(tmp_path_factory, segbench):
    """A folder with data in two splits, and a checkpoint that was trained on one of them."""
    folder = tmp_path_factory.mktemp("apart")
    generator = np.random.default_rng(0)
    for split in ("train", "test"):
        for number in range(4):
            for part, most in (("images", 256), ("masks", 2)):
                file = folder / part / split / f"{split}{number}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(generator.integers(0, most, (32, 32)).astype(np.uint8)).save(file)
    layout = "name: folder\n  root: .\n  images: 'images/{split}'\n  masks: 'masks/{split}'\n  classes: [ground, thing]"
    text = SUITE.replace(SUITE[SUITE.index("name: folder") : SUITE.index("transforms")], f"{layout}\n")
    (folder / "suite.yaml").write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert segbench("run", "suite.yaml", "--results", "results", "--in-process", "--no-report").code == 0
    return folder, next(folder.glob("results/*/*/checkpoint.safetensors"))


def test_the_split_of_the_run_needs_no_word(evaluate, apart):
    folder, file = apart
    assert "note" not in evaluate(file, f"root={folder}").err


def test_splits_that_changed_places_are_told(evaluate, apart, tmp_path):
    folder, file = apart
    for part in ("images", "masks"):
        shutil.copytree(folder / part / "train", tmp_path / part / "test")
        shutil.copytree(folder / part / "test", tmp_path / part / "train")
    of_test = evaluate(file, f"root={tmp_path}")
    assert "note: these are not the images and labels that the checkpoint's run was tested on" in of_test.err
    assert "warning: the checkpoint was trained on 4 of these 4 images" in of_test.err
    assert evaluate(file, f"root={tmp_path}", split="train").err.strip() == "", "they are those of the run's test"


def test_edited_labels_are_told_and_edited_training_images_leave_it_open(evaluate, apart, tmp_path):
    folder, file = apart
    shutil.copytree(folder, tmp_path / "copy")
    for split in ("test", "train"):
        label = tmp_path / "copy" / "masks" / split / f"{split}0.png"
        Image.fromarray(np.zeros((32, 32), np.uint8)).save(label)
    told = evaluate(file, f"root={tmp_path / 'copy'}").err
    assert "note: these are not the images and labels" in told
    assert "is not known, as the training images here are not those of training" in told


def test_where_the_images_of_training_are_missing_that_is_said(evaluate, trained, checkpoint, tmp_path):
    for part in ("images", "masks"):
        shutil.copytree(trained / part, tmp_path / part)
    shutil.copy(trained / "test.txt", tmp_path / "test.txt")
    answer = evaluate(checkpoint, f"root={tmp_path}", split="test")
    assert answer.code == 0, answer.err
    assert "note: whether these images were trained on is not known" in answer.err


def test_a_training_split_is_warned_of_without_folds_too(evaluate, done):
    checkpoint = next((done[0] / "results" / "small").glob("cnn*/checkpoint.safetensors"))
    assert "trained on 4 of these 4 images (train-00000" in evaluate(checkpoint, split="train").err
    for split in ("val", "test"):
        assert "trained on" not in evaluate(checkpoint, split=split).err


def without_fingerprints(checkpoint, target):
    """Write a checkpoint as earlier versions did."""
    with safe_open(checkpoint, framework="numpy") as tensors:
        facts = json.loads(tensors.metadata()[METADATA_KEY])
    assert {facts.pop("pool_fingerprint"), facts.pop("fold_fingerprint")} != {None}
    save_file(load_file(checkpoint), target, metadata={METADATA_KEY: json.dumps(facts)})
    return target


def test_an_earlier_checkpoint_is_evaluated_with_the_options_of_training_alone(evaluate, trained, checkpoint, tmp_path):
    older = without_fingerprints(checkpoint, tmp_path / "older.safetensors")
    assert evaluate(older, f"root={trained}").json["mean_iou"] == evaluate(checkpoint).json["mean_iou"]
    shutil.copy(trained / "groups.csv", tmp_path / "groups.csv")
    answer = evaluate(older, f"fold_groups.file={tmp_path / 'groups.csv'}")
    assert answer.code == 2
    assert "dataset.fold_groups is" in answer.err
