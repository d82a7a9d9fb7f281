"""Claims about the gallery: the right images, of the right runs, in files that lead nowhere else."""

from __future__ import annotations

import json
import shutil
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from stored import rewrite
from tiny import document

import segbench
from segbench.config.load import check
from segbench.config.plan import plan
from segbench.engine.evaluation.predictions import read_prediction
from segbench.engine.suite.gallery import choose, make_gallery, most_disputed
from segbench.engine.suite.run_suite import run_suite
from segbench.errors import StoreError
from segbench.metrics.confusion import confusion_matrix
from segbench.metrics.scores import score
from segbench.results.arrays.gallery import find_galleries, read_gallery
from segbench.results.arrays.matrices import load_matrices
from segbench.results.store import Store


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=3, max_size=30, unique=True))
def test_the_hardest_the_median_and_the_easiest_are_chosen(scores):
    chosen = choose(np.array(scores))
    order = sorted(scores)
    assert scores[chosen["hardest"]] == order[0]
    assert scores[chosen["easiest"]] == order[-1]
    assert scores[chosen["median"]] == order[(len(order) - 1) // 2]


@pytest.mark.parametrize(
    ("scores", "roles"),
    [([], set()), ([np.nan], set()), ([0.5], {"hardest"}), ([0.5, np.nan, 0.2], {"hardest", "easiest"})],
)
def test_few_images_are_chosen_once_each(scores, roles):
    assert set(choose(np.array(scores))) == roles


@pytest.mark.parametrize(
    ("scores", "taken", "position"),
    [
        ([[0.1, 0.9, 0.5], [0.2, 0.4, 0.5]], [], 1),
        ([[0.1, 0.9, 0.5], [0.2, 0.4, 0.5]], [1], 0),
        ([[0.1, 0.9, np.nan], [0.2, 0.4, np.nan]], [0, 1], None),
        ([[0.3, 0.3], [0.3, 0.3]], [], None),
        ([[0.1, 0.9]], [], None),
    ],
)
def test_the_image_on_which_networks_differ_most_is_shown_too(scores, taken, position):
    assert most_disputed(np.array(scores), taken) == position


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Two networks and two seeds, done in this process."""
    suite = check(document(models=["cnn", "segnet_basic"], seeds=[1, 0], train={"epochs": 1}))
    return run_suite(suite, results=tmp_path_factory.mktemp("gallery"), device="cpu", in_process=True), suite


def test_a_suite_hangs_its_pictures_when_its_runs_are_done(done):
    outcome, _ = done
    ((folder, gallery),) = find_galleries(outcome.store.folder).items()
    assert folder.name == outcome.records[0].protocol_id[:8]
    assert {image.role for image in gallery.images} == {"hardest", "median", "easiest", "disagreement"}
    assert gallery.test_images == 6
    assert gallery.segbench == segbench.__version__
    first_seeds = {record.id for record in outcome.records if record.seed == 0}
    for image in gallery.images:
        assert set(image.predictions) == first_seeds
        with Image.open(folder / image.label) as label:
            truth = np.asarray(label)
        for run, file in image.predictions.items():
            with Image.open(folder / file) as picture:
                matrix = confusion_matrix(truth, np.asarray(picture), num_classes=8)
            stored = load_matrices(outcome.store.folder / run / "confusion.npz")
            assert stored.names[image.index] == image.name
            assert np.array_equal(matrix, stored.matrices[image.index])
            assert image.scores[run] == pytest.approx(score(matrix).mean_iou)


def test_every_prediction_of_a_run_is_kept(done):
    outcome, _ = done
    for record in outcome.records:
        with zipfile.ZipFile(outcome.store.folder / record.id / "predictions.zip") as archive:
            assert len(archive.namelist()) == 6


def test_runs_that_kept_no_predictions_are_left_out_and_others_stay(done):
    outcome, suite = done
    gone = next(record for record in outcome.records if record.seed == 0)
    (outcome.store.folder / gone.id / "predictions.zip").rename(outcome.store.folder / "moved.zip")
    try:
        make_gallery(plan(suite), outcome.records, outcome.store)
        (gallery,) = find_galleries(outcome.store.folder).values()
        assert all(gone.id not in image.predictions for image in gallery.images)
    finally:
        (outcome.store.folder / "moved.zip").rename(outcome.store.folder / gone.id / "predictions.zip")
    make_gallery(plan(suite), outcome.records, outcome.store)
    (gallery,) = find_galleries(outcome.store.folder).values()
    assert all(gone.id in image.predictions for image in gallery.images)


def test_a_suite_without_pictures_has_no_gallery(tmp_path):
    suite = check(document(models=["segnet_basic"], evaluate={"samples": 0}, train={"epochs": 1}))
    outcome = run_suite(suite, results=tmp_path, device="cpu", in_process=True)
    assert find_galleries(outcome.store.folder) == {}
    assert not list(tmp_path.rglob("predictions.zip"))


def test_a_gallery_that_names_files_elsewhere_is_refused(done, tmp_path):
    outcome, _ = done
    ((folder, _),) = find_galleries(outcome.store.folder).items()
    shutil.copyfile(folder / "gallery.json", tmp_path / "gallery.json")
    first, *others = json.loads((folder / "gallery.json").read_text())["images"]
    rewrite(tmp_path / "gallery.json", images=[first | {"label": "../../secret.png"}, *others])
    with pytest.raises(StoreError, match=r"outside its folder: '\.\./\.\./secret\.png'"):
        read_gallery(tmp_path / "gallery.json")
    (tmp_path / "gallery.json").write_text("{")
    with pytest.raises(StoreError, match=r"is no gallery .*'segbench run' draws it again"):
        read_gallery(tmp_path / "gallery.json")


def test_galleries_of_an_earlier_protocol_stay(done, tmp_path):
    outcome, _ = done
    store = Store(tmp_path, outcome.store.folder.name)
    shutil.copytree(outcome.store.folder, store.folder)
    ((folder, _),) = find_galleries(store.folder).items()
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    other = check(document(models=["segnet_basic"], seeds=[0], train={"epochs": 2}))
    run_suite(other, results=tmp_path, device="cpu", in_process=True)
    galleries = find_galleries(store.folder)
    assert len(galleries) == 2
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


@pytest.mark.parametrize("harm", [b"no archive", None])
def test_predictions_that_cannot_be_read_are_named(harm, tmp_path):
    file = tmp_path / "predictions.zip"
    if harm is None:
        zipfile.ZipFile(file, "w").close()
    else:
        file.write_bytes(harm)
    with pytest.raises(StoreError, match=r"predictions\.zip: the prediction of image 3 cannot be read"):
        read_prediction(file, 3, pixels=4)
