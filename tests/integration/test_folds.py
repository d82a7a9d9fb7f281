"""Cross-validation from the suite to the report, with real trainings of small networks."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml
from PIL import Image
from sklearn.metrics import jaccard_score
from typer.testing import CliRunner

from segbench.cli.app import app
from segbench.config.load import load_suite
from segbench.config.sections.training import Loader
from segbench.data.folds.folds import open_folds
from segbench.data.validation.pixel_digest import PixelDigest
from segbench.engine.evaluation.predictions import read_prediction
from segbench.results.record import Status
from segbench.results.run_files import PREDICTIONS_FILE
from segbench.results.store import read_record

pytestmark = pytest.mark.slow(reason="trains networks on three folds")

PATIENTS = {"anna": 3, "ben": 2, "carl": 2, "dora": 1}
FOLDS = 3


def segbench(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def write_data(root):
    """Write eight images of four patients, and a table that names them."""
    random = np.random.default_rng(0)
    lines = ["picture,patient"]
    for patient, count in PATIENTS.items():
        for number in range(count):
            mask = np.zeros((32, 32), np.uint8)
            row, column = random.integers(2, 16, 2)
            mask[row : row + 12, column : column + 12] = 1
            image = random.integers(0, 80, (32, 32, 3)) + 120 * mask[..., None]
            for part, pixels in {"images": image, "masks": mask}.items():
                (root / part).mkdir(exist_ok=True)
                Image.fromarray(pixels.astype(np.uint8)).save(root / part / f"{patient}{number}.png")
            lines.append(f"{patient}{number}.png,{patient}")
    (root / "patients.csv").write_text("\n".join(lines) + "\n")


def write_suite(root, **changes):
    dataset = {
        "name": "folder",
        "root": ".",
        "images": "images",
        "masks": "masks",
        "classes": ["ground", "thing"],
        "folds": FOLDS,
        "fold_groups": {"file": "patients.csv", "column": "patient", "image_column": "picture"},
        **changes.pop("dataset", {}),
    }
    document = {
        "name": "crossed",
        "dataset": dataset,
        "defaults": {"width": 0.0625},
        "models": ["unet", "cnn"],
        "train": {"epochs": 2, "batch_size": 2, "optimizer": {"name": "adamw", "lr": 0.003}},
        "evaluate": {"batch_size": 4, "samples": 1},
        "seeds": [0],
        **changes,
    }
    file = root / "suite.yaml"
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    return file


def run(file, *more):
    places = ("--results", file.parent / "results", "--reports", file.parent / "reports")
    return segbench("run", file, *places, "--device", "cpu", "--in-process", *more)


def records(file):
    found = [read_record(path) for path in sorted((file.parent / "results").glob("*/*/run.json"))]
    return [record for record in found if record.outcome.status is Status.COMPLETED]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The suite's file, run once, and what the command answered."""
    root = tmp_path_factory.mktemp("crossed")
    write_data(root)
    file = write_suite(root)
    return file, run(file)


def test_two_networks_in_three_folds_are_one_table(done):
    file, answer = done
    assert answer.exit_code == 0, answer.stderr
    assert len(records(file)) == 2 * FOLDS
    board = json.loads(segbench("leaderboard", file.parent / "results", "--format", "json").stdout)
    assert [(row["position"], row["folds"], row["test_images"], row["seeds"]) for row in board["rows"]] == [
        (1, FOLDS, 8, 1),
        (2, FOLDS, 8, 1),
    ]
    assert all(row["same_data"] for row in board["rows"])
    assert "3-fold cross-validation" in answer.stdout


def test_every_image_is_tested_once_and_no_patient_is_in_training_and_test(done):
    file, _ = done
    folds = open_folds(load_suite(file).dataset, loader=Loader())
    of_network = [record for record in records(file) if record.label == "unet"]
    tested = []
    for record in of_network:
        with np.load(file.parent / "results" / "crossed" / record.id / "confusion.npz") as matrices:
            names = list(matrices["names"])
        tested += names
        patients = {name[:-1] for name in names}
        assert patients == set(record.fold.groups)
        assert list(record.fold.groups) == [name[:-1] for name in names]
        trained = folds.train(record.fold.index)
        assert record.data.train_images == len(trained) == 8 - len(names)
        assert not patients & {name[:-1] for name in trained.names}
        assert record.data.pixel_digests["train"] == digest_of(file, trained.names)
    assert sorted(tested) == sorted(f"{patient}{number}" for patient, n in PATIENTS.items() for number in range(n))


def digest_of(file, names):
    """Digest images straight from their files."""
    digest = PixelDigest(["ground", "thing"])
    pool = open_folds(load_suite(file).dataset, loader=Loader()).pool
    for name in names:
        image, label = (np.asarray(Image.open(file.parent / part / f"{name}.png")) for part in ("images", "masks"))
        digest.add(pool.read(0)._replace(name=name, image=image, label=label))
    return digest.hexdigest()


def test_the_tables_miou_is_that_of_all_stored_predictions(done):
    file, _ = done
    board = json.loads(segbench("leaderboard", file.parent / "results", "--format", "json").stdout)
    for row in board["rows"]:
        labels, predicted = [], []
        for record in records(file):
            if record.label != row["model"]:
                continue
            folder = file.parent / "results" / "crossed" / record.id
            with np.load(folder / "confusion.npz") as matrices:
                names = list(matrices["names"])
            for index, name in enumerate(names):
                (folder / "one.png").write_bytes(read_prediction(folder / PREDICTIONS_FILE, index, pixels=10**6))
                predicted.append(np.asarray(Image.open(folder / "one.png")).ravel())
                labels.append(np.asarray(Image.open(file.parent / "masks" / f"{name}.png")).ravel())
                (folder / "one.png").unlink()
        expected = jaccard_score(np.concatenate(labels), np.concatenate(predicted), average="macro")
        assert row["mean_iou"] == pytest.approx(expected, abs=1e-12)


def test_the_same_command_finds_everything_done(done):
    file, _ = done
    answer = run(file, "--no-report")
    assert "0 runs done, 6 were done before" in answer.stderr


def test_the_gallery_shows_the_images_of_all_folds(done):
    file, _ = done
    (gallery,) = (file.parent / "results" / "crossed" / "gallery").glob("*/gallery.json")
    facts = json.loads(gallery.read_text())
    assert facts["test_images"] == 8
    for image in facts["images"]:
        stored = np.asarray(Image.open(gallery.parent / image["image"]))
        assert (stored == np.asarray(Image.open(file.parent / "images" / f"{image['name']}.png"))).all()
        assert len(image["predictions"]) == 2
    assert "## Predictions" in (file.parent / "reports" / "crossed" / "leaderboard.md").read_text()


def test_plan_and_data_check_show_the_folds(done):
    file, _ = done
    planned = segbench("plan", file, "--results", file.parent / "results")
    assert planned.exit_code == 0
    assert "groups" in planned.stdout
    assert "anna" in planned.stdout
    checked = segbench("data", "check", file, "--json")
    assert checked.exit_code == 0, checked.stderr
    facts = json.loads(checked.stdout)
    assert sum(fold["images"] for fold in facts["folds"]) == 8
    assert sorted(group for fold in facts["folds"] for group in fold["groups"]) == sorted(PATIENTS)
    assert [split["images"] for split in facts["splits"].values()] == [fold["images"] for fold in facts["folds"]]


def test_a_plan_without_the_data_still_lists_its_runs(done):
    file, _ = done
    answer = segbench("plan", file, "--set", f"dataset.root={file.parent / 'nowhere'}")
    assert answer.exit_code == 0
    assert "the folds are not shown" in answer.stderr


def test_packed_folds_merge_into_the_same_table(done, tmp_path):
    file, _ = done
    archive = tmp_path / "crossed.zip"
    packed = segbench("results", "pack", file.parent / "results", "--out", archive)
    assert packed.exit_code == 0, packed.stderr + packed.stdout
    merged = segbench("results", "merge", *tmp_path.glob("crossed*"), "--into", tmp_path / "into")
    assert merged.exit_code == 0, merged.stderr
    places = (file.parent / "results", tmp_path / "into")
    boards = [segbench("leaderboard", place, "--format", "csv").stdout for place in places]
    assert boards[0] == boards[1]


def test_evaluating_a_checkpoint_takes_the_fold_that_it_was_not_trained_on(done):
    file, _ = done
    record = next(record for record in records(file) if record.fold.index == 2)
    folder = file.parent / "results" / "crossed" / record.id
    facts = json.loads(segbench("evaluate", folder / "checkpoint.safetensors", "--device", "cpu", "--json").stdout)
    assert facts["split"] == "fold 2 of 3"
    assert facts["images"] == record.data.test_images


def test_only_some_folds_done_are_not_ranked(tmp_path):
    write_data(tmp_path)
    file = write_suite(tmp_path, models=["cnn"])
    first = next(line for line in segbench("plan", file, "--json").stdout.split('"') if "fold1" in line)
    answer = run(file, "--only", first, "--no-report")
    assert answer.exit_code == 0, answer.stderr
    board = json.loads(segbench("leaderboard", tmp_path / "results", "--format", "json").stdout)
    assert [(row["rank"], row["reason"]) for row in board["rows"]] == [(None, "seed 0: 1 of 3 folds are done")]


@pytest.mark.slow(reason="trains a network in every fold, and writes a report")
def test_best_weights_are_chosen_on_the_next_fold(tmp_path):
    write_data(tmp_path)
    train = {"epochs": 2, "batch_size": 2, "select": "best"}
    file = write_suite(tmp_path, models=["cnn"], train=train)
    assert run(file).exit_code == 0
    folds = open_folds(load_suite(file).dataset, loader=Loader())
    for record in records(file):
        following = folds.next(record.fold.index)
        assert record.data.fingerprints["validation"] == folds.test(following).fingerprint()
        assert record.data.fingerprints["train"] == folds.train(record.fold.index, but=[following]).fingerprint()
    assert "on the fold after the one that is tested" in (tmp_path / "reports/crossed/leaderboard.md").read_text()


@pytest.mark.slow(reason="trains a network in every fold, and writes a report")
def test_each_fold_is_tuned_without_a_look_at_it(tmp_path):
    write_data(tmp_path)
    tuning = {"grid": {"train.optimizer.lr": [1e-6, 0.003]}, "epochs": 1}
    file = write_suite(tmp_path, models=["cnn"], train={"epochs": 1, "batch_size": 2}, tuning=tuning)
    answer = run(file)
    assert answer.exit_code == 0, answer.stderr
    folds = open_folds(load_suite(file).dataset, loader=Loader())
    roles = {"trial": 0, "tuned": 0, None: 0}
    for record in records(file):
        role = record.tuning.role if record.tuning else None
        roles[role] += 1
        fold = record.fold.index
        following = folds.next(fold)
        tested = folds.test(following if role == "trial" else fold)
        trained = folds.train(fold, but=[following] if role == "trial" else [])
        assert record.data.fingerprints == {"train": trained.fingerprint(), "test": tested.fingerprint()}
    assert roles == {"trial": 6, "tuned": 3, None: 3}
    text = (tmp_path / "reports" / "crossed" / "leaderboard.md").read_text()
    assert "For each fold, every network was tuned" in text
    assert "cnn, fold 3" in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"folds": 5}, "dataset.folds is 5, but there are 4 groups"),
        ({"folds": 9, "fold_groups": None}, "dataset.folds is 9, but there are 8 images"),
        ({"fold_groups": {"file": "patients.csv", "column": "doctor"}}, "has no column"),
    ],
)
def test_folds_that_the_data_cannot_give_exit_with_2(change, words, tmp_path):
    write_data(tmp_path)
    file = write_suite(tmp_path, dataset=change)
    for command in (("data", "check", file), ("plan", file), ("run", file, "--results", tmp_path / "results")):
        answer = segbench(*command)
        assert answer.exit_code == 2
        assert words in answer.stderr


def test_one_image_in_two_folds_stops_the_suite(tmp_path):
    write_data(tmp_path)
    (tmp_path / "images" / "dora0.png").write_bytes((tmp_path / "images" / "anna0.png").read_bytes())
    file = write_suite(tmp_path)
    for command in (("data", "check", file), ("run", file, "--results", tmp_path / "results", "--in-process")):
        answer = segbench(*command)
        assert answer.exit_code == 2
        assert "anna0, dora0: the same image in the folds" in answer.stderr


def test_a_class_of_one_fold_is_noted(tmp_path):
    write_data(tmp_path)
    mask = np.asarray(Image.open(tmp_path / "masks" / "dora0.png")).copy()
    mask[:2] = 2
    Image.fromarray(mask).save(tmp_path / "masks" / "dora0.png")
    file = write_suite(tmp_path, dataset={"classes": ["ground", "thing", "rare"]})
    answer = segbench("data", "check", file)
    assert answer.exit_code == 0
    assert "rare occurs in fold" in answer.stderr
    assert "never see the class in training" in answer.stderr
