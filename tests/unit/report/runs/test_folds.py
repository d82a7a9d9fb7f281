"""Cross-validation in reports: the folds of a network and seed are one row, or none that is ranked."""

import json
import shutil

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, jaccard_score
from stored import CLASSES, some_images, without_checksums

from segbench.api.leaderboard import leaderboard
from segbench.report.compare.compare import compare
from segbench.report.document.worst_images import image_scores
from segbench.report.ranking.caveats import caveats
from segbench.report.ranking.conventions import rescored
from segbench.report.runs.environments import facts_of
from segbench.report.runs.load import load_histories, load_results
from segbench.report.write import write_report
from segbench.results.arrays.details import ImageDetails, save_details
from segbench.results.arrays.matrices import ImageMatrices
from segbench.results.record import FoldFacts, Outcome, Status

SIZES = (3, 2, 2)
"""Seven images in three folds."""


def predictions(seed, images, *, offset=0):
    """Labels and predictions of some images as two arrays of (images, pixels)."""
    labels = np.random.default_rng(offset).integers(0, 3, (images, 60))
    random = np.random.default_rng([seed, offset])
    wrong = random.random((images, 60)) < 0.1 * (1 + random.integers(0, 5, (images, 1)))
    return labels, np.where(wrong, random.integers(0, 3, (images, 60)), labels)


def fold_matrices(fold, *, seed=0):
    labels, predicted = predictions(seed, SIZES[fold - 1], offset=fold)
    names = tuple(f"fold{fold}-image{index}" for index in range(len(labels)))
    counted = [confusion_matrix(one, other, labels=[0, 1, 2]) for one, other in zip(labels, predicted, strict=True)]
    return ImageMatrices(names, np.stack(counted).astype(np.int64))


@pytest.fixture
def add_fold(add):
    """Write the run of one fold of three."""

    def write(fold, label="unet", seed=0, *, groups=None, pool="pool", **changes):
        facts = FoldFacts(index=fold, folds=3, groups=groups, pool_fingerprint=pool)
        given = {
            "matrices": fold_matrices(fold, seed=seed),
            "test_digest": f"test-{fold}",
            "train_digest": f"train-{fold}-{seed}",
            "fingerprints": {"test": f"files-{fold}"},
            **changes,
        }
        return add(label, seed, fold=facts, **given)

    return write


@pytest.fixture
def whole(add_fold, results):
    """Two networks with all their folds."""
    for fold in (2, 3, 1):
        add_fold(fold)
        add_fold(fold, "cnn", matrices=fold_matrices(fold, seed=7))
    return results


def test_folds_are_one_row_whose_miou_is_scikit_learns_over_all_predictions(whole):
    runs = load_results(whole)
    assert sorted(runs["model"]) == ["cnn", "unet"]
    row = runs[runs["model"] == "unet"].iloc[0]
    pairs = [predictions(0, size, offset=fold) for fold, size in enumerate(SIZES, 1)]
    labels, predicted = (np.concatenate([pair[part].ravel() for pair in pairs]) for part in (0, 1))
    assert row["mean_iou"] == pytest.approx(jaccard_score(labels, predicted, average="macro"), abs=1e-12)
    assert (row["confusion"] == confusion_matrix(labels, predicted)).all()
    assert (row["folds"], row["test_images"]) == (3, 7)
    assert row["image_names"] == tuple(
        f"fold{fold}-image{index}" for fold, size in enumerate(SIZES, 1) for index in range(size)
    )
    assert row["image_counts"].hits.shape == (7, 3)
    assert [path.rpartition("fold")[2][0] for path in row["fold_paths"]] == ["1", "2", "3"]


def test_pooling_is_no_mean_of_folds(whole):
    row = load_results(whole).set_index("model").loc["unet"]
    by_fold = []
    for fold, size in enumerate(SIZES, 1):
        labels, predicted = predictions(0, size, offset=fold)
        by_fold.append(jaccard_score(labels.ravel(), predicted.ravel(), average="macro"))
    assert abs(row["mean_iou"] - np.mean(by_fold)) > 1e-4


def test_one_table_ranks_all_networks(whole):
    runs = load_results(whole)
    board = leaderboard(runs)
    assert list(board["position"]) == [1, 2]
    assert set(board["folds"]) == {3}
    assert set(board["seeds"]) == {1}
    assert board["same_data"].all()
    assert board["test_data"].nunique() == 1
    (note,) = [note for note in caveats(runs) if "cross-validation" in note]
    assert "each of the 7 images was tested once, in one of 3 folds" in note


def test_a_missing_fold_leaves_a_network_without_rank(add_fold, results):
    for fold in (1, 2, 3):
        add_fold(fold, "cnn")
    add_fold(1)
    add_fold(3)
    board = leaderboard(load_results(results)).set_index("model")
    assert board.loc["cnn", "position"] == 1
    assert board.loc["unet", "status"] == "incomplete"
    assert board.loc["unet", "reason"] == "seed 0: 2 of 3 folds are done"
    assert board["position"].isna().loc["unet"]
    assert np.isnan(board.loc["unet", "mean_iou"])


def test_a_failed_fold_is_named(add_fold, results):
    for fold in (1, 2):
        add_fold(fold)
    add_fold(3, outcome=Outcome(status=Status.FAILED, reason="out of memory"), pool=None)
    (run,) = load_results(results).itertuples()
    assert run.reason == "2 of 3 folds are done; fold 3 is failed: out of memory"
    assert np.isnan(run.mean_iou)
    assert np.isnan(run.pixel_accuracy)
    assert np.isnan(run.training_images_per_second)
    assert run.parameters == 31_031_685


def test_a_network_that_no_fold_can_take_is_skipped(add_fold, results):
    for fold in (1, 2, 3):
        add_fold(fold, outcome=Outcome(status=Status.SKIPPED, reason="cannot take 30x30"))
    (run,) = load_results(results).itertuples()
    assert (run.status, run.reason) == ("skipped", "cannot take 30x30")


def test_a_damaged_fold_leaves_a_network_without_rank(add_fold, results):
    folders = [add_fold(fold) for fold in (1, 2, 3)]
    (folders[1] / "confusion.npz").write_bytes(b"no archive")
    (run,) = load_results(results).itertuples()
    assert run.status == "incomplete"
    assert "2 of 3 folds are done; fold 2 is damaged" in run.reason


def test_seeds_are_rows_of_their_own(add_fold, results):
    for seed in (0, 1):
        for fold in (1, 2, 3):
            add_fold(fold, seed=seed)
    runs = load_results(results)
    assert sorted(runs["seed"]) == [0, 1]
    board = leaderboard(runs)
    assert (board["seeds"].iloc[0], len(board)) == (2, 1)
    assert board["mean_iou"].iloc[0] == pytest.approx(runs["mean_iou"].mean())


def test_a_copied_folder_is_no_second_seed(add_fold, results):
    for fold in (1, 2, 3):
        add_fold(fold)
    shutil.copytree(results / "toy", results / "copy")
    runs = load_results(results)
    assert list(leaderboard(runs)["seeds"]) == [1]
    assert any("1 run of the same network and seed" in note for note in caveats(runs))


def test_folds_in_two_folders_are_pooled(add_fold, results, tmp_path):
    folders = [add_fold(fold) for fold in (1, 2, 3)]
    (tmp_path / "other" / "toy").mkdir(parents=True)
    shutil.move(folders[2], tmp_path / "other" / "toy")
    (run,) = load_results(results, tmp_path / "other").itertuples()
    assert run.status == Status.COMPLETED


def test_folds_of_other_images_are_not_pooled(add_fold, results):
    for fold in (1, 2):
        add_fold(fold)
    add_fold(3, pool="changed")
    reasons = [run.reason for run in load_results(results).itertuples()]
    assert sorted(reasons) == ["1 of 3 folds are done", "2 of 3 folds are done"]


def test_times_are_sums_and_rates_are_of_all_images(add_fold, results):
    add_fold(1, training_seconds=1.0, speed=400.0, test_loss=1.0)
    add_fold(2, training_seconds=3.0, speed=80.0, test_loss=2.0)
    add_fold(3, training_seconds=4.0, speed=40.0, test_loss=4.0)
    (run,) = load_results(results).itertuples()
    assert run.training_seconds == 8.0
    assert run.training_images_per_second == pytest.approx((1 * 100 + 3 * 20 + 4 * 10) / 8)
    assert run.test_loss == pytest.approx((3 * 1 + 2 * 2 + 2 * 4) / 7)
    assert run.total_seconds == 6.0


def test_where_folds_were_done_in_two_ways_both_are_told(add_fold, results):
    for fold in (1, 2, 3):
        add_fold(fold, environment={"device": "cpu", "threads": 1 if fold == 3 else 2, "versions": {"torch": "2.6"}})
    (run,) = load_results(results).itertuples()
    assert run.environment == {"device": "cpu", "threads": "2, 1", "versions": {"torch": "2.6"}}


def test_a_fold_that_was_resumed_elsewhere_is_told_as_a_run_that_was(add_fold, results):
    earlier = {1: {"earlier_threads": [2]}, 2: {}, 3: {"earlier_threads": [4, 2], "earlier_accelerators": ["GPU A"]}}
    for fold, facts in earlier.items():
        add_fold(fold, environment={"device": "cpu", "threads": 1, **facts})
    runs = load_results(results)
    assert runs["environment"].iloc[0] == {
        "device": "cpu",
        "threads": 1,
        "earlier_threads": [2, 4],
        "earlier_accelerators": ["GPU A"],
    }
    assert facts_of(runs)[0]["threads"] == "2, then 4, then 1"


def test_every_image_has_its_group(add_fold, results):
    for fold, groups in enumerate([("p1", "p1", "p2"), ("p3", "p3"), ("p4", "p5")], 1):
        add_fold(fold, groups=groups)
    runs = load_results(results)
    assert runs["image_groups"].iloc[0] == ("p1", "p1", "p2", "p3", "p3", "p4", "p5")
    assert any("each of the 7 images of 5 groups was tested once" in note for note in caveats(runs))


def test_groups_of_other_images_are_damage(add_fold, results):
    for fold in (1, 2, 3):
        add_fold(fold, groups=("p1", "p1"))
    (run,) = load_results(results).itertuples()
    assert run.status == "damaged"
    assert "run.json names the groups of 2 images, of 3" in run.reason


def test_details_of_all_folds_are_pooled(add_fold, results):
    shape = {"boundary_": ("predicted", "predicted_near", "labelled", "labelled_near", "band_both", "band_either")}
    for fold, near in ((1, 10), (2, 4), (3, 1)):
        folder = add_fold(fold)
        names = fold_matrices(fold).names
        counts = dict.fromkeys(shape["boundary_"], np.full((len(names), 3), 10))
        counts |= dict.fromkeys(("predicted_near", "labelled_near"), np.full((len(names), 3), near))
        calibration = dict.fromkeys(("pixels", "correct", "confidence"), np.ones((len(names), 15)))
        arrays = {f"boundary_{name}": array for name, array in counts.items()}
        arrays |= {f"calibration_{name}": array for name, array in calibration.items()}
        save_details(folder / "details.npz", ImageDetails(names, arrays))
        without_checksums(folder)
    (run,) = load_results(results).itertuples()
    assert run.boundary_f1 == pytest.approx((3 * 10 + 2 * 4 + 2 * 1) / 70)


def test_learning_curves_are_means_over_folds(add_fold, results):
    for fold in (1, 2, 3):
        add_fold(fold, history=f"epoch,step,loss,seconds\n1,4,{fold},0.1\n2,8,{2 * fold},0.1\n")
    curves = load_histories(load_results(results))
    assert list(curves["epoch"]) == [1, 2]
    assert list(curves["loss"]) == [2.0, 4.0]


def test_conventions_comparisons_and_worst_images_see_all_folds(whole):
    runs = load_results(whole)
    frame = rescored(runs, ["mmsegmentation"])
    board = leaderboard(runs)
    assert list(frame["mean_iou"]) == pytest.approx(list(board["mean_iou"]))
    assert len(image_scores(board, runs)) == 7
    one, other = (runs[runs["model"] == model] for model in ("unet", "cnn"))
    found = compare(one, other).networks.iloc[0]
    assert found["difference"] == pytest.approx(other["mean_iou"].iloc[0] - one["mean_iou"].iloc[0])


def test_intervals_rest_on_the_images_of_all_folds(add_fold, results):
    for fold in (1, 2, 3):
        for label, hits in (("unet", 80), ("cnn", 60)):
            add_fold(fold, label, matrices=some_images(hits, images=5, seed=fold, prefix=f"f{fold}-"))
    board = leaderboard(load_results(results))
    assert (board["mean_iou_low"] < board["mean_iou"]).all()
    assert set(board["test_images"]) == {15}


def test_a_report_shows_one_table(whole, tmp_path):
    files = write_report(whole, tmp_path / "reports")
    text = files.markdown.read_text(encoding="utf-8")
    assert "3-fold cross-validation" in text
    assert "**Runs** 6 completed" in text
    assert json.loads(files.json.read_text(encoding="utf-8"))["rows"][0]["folds"] == 3
    assert CLASSES[0] in text
