"""Claims about stored runs as a table."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import pandas as pd
import pytest
from sklearn.metrics import jaccard_score
from stored import HOSTILE, iou_of, matrices

from segbench.errors import StoreError
from segbench.report.runs.load import COLUMNS, SCORES, load_histories, load_results
from segbench.results.record import Outcome, Status


def test_a_run_is_a_row_with_its_facts_and_scores(add, results):
    path = add("unet", 3, 60)
    runs = load_results(results)
    assert tuple(runs.columns) == COLUMNS
    row = runs.iloc[0]
    assert (row["model"], row["seed"], row["status"], row["suite"]) == ("unet", 3, "completed", "toy")
    assert row["mean_iou"] == pytest.approx(60 / 140)
    assert row["pixel_accuracy"] == pytest.approx(0.6)
    assert row["averaged_classes"] == 3
    assert row["class_iou"] == pytest.approx((60 / 140,) * 3)
    assert (row["evaluation_images_per_second"], row["training_images_per_second"]) == (50.0, 12.5)
    assert row["path"] == str(path)
    assert row["device"] == "Example CPU"
    assert row["recipe"]["train"]["epochs"] == 2


def test_scores_agree_with_scikit_learn(add, results):
    add(hits=70)
    label, prediction = [], []
    total = matrices(70).total
    for i in range(3):
        for j in range(3):
            label += [i] * int(total[i, j])
            prediction += [j] * int(total[i, j])
    expected = jaccard_score(label, prediction, average="macro")
    assert load_results(results)["mean_iou"][0] == pytest.approx(expected, abs=1e-12)


def test_failed_and_skipped_runs_are_rows_with_a_reason_and_no_scores(add, results):
    add("a", outcome=Outcome(status=Status.FAILED, reason="boom"))
    add("b", outcome=Outcome(status=Status.SKIPPED, reason="too small"))
    runs = load_results(results)
    assert list(runs["status"]) == ["failed", "skipped"]
    assert list(runs["reason"]) == ["boom", "too small"]
    assert runs[list(SCORES)].isna().all(axis=None)


def test_damaged_runs_are_rows_and_never_an_exception(add, results):
    (add("a") / "run.json").write_text("{")
    (add("b") / "confusion.npz").write_bytes(b"PK\x03\x04 cut off")
    (add("c") / "confusion.npz").unlink()
    add("d", classes=("one", "two"))
    add("e")
    runs = load_results(results).set_index("path")
    assert list(runs["status"]) == ["damaged"] * 4 + ["completed"]
    reasons = list(runs["reason"])
    assert "run.json: is damaged" in reasons[0]
    assert "confusion.npz" in reasons[1]
    assert "confusion.npz" in reasons[2]
    assert "counts 3 classes where run.json names 2" in reasons[3]
    assert runs["model"].notna().all()


def test_types_are_the_same_with_and_without_runs(add, results, tmp_path):
    (tmp_path / "empty").mkdir()
    empty = load_results(tmp_path / "empty")
    add()
    assert empty.empty
    numeric = ["seed", "parameters", "mean_iou", "pretrained", "test_loss"]
    assert list(empty[numeric].dtypes) == list(load_results(results)[numeric].dtypes)


def test_several_folders_are_read_together(add, results):
    add(suite="one")
    add(suite="two")
    assert list(load_results(results / "two", results / "one")["suite"]) == ["two", "one"]
    with pytest.raises(StoreError, match="no such folder"):
        load_results(results / "three")


@pytest.mark.parametrize(
    ("environment", "device"),
    [
        ({"accelerator": {"name": "NVIDIA X"}, "processor": "P", "device": "cuda"}, "NVIDIA X"),
        ({"device": "mps", "processor": "P"}, "mps"),
        ({"processor": "P"}, "P"),
    ],
)
def test_the_device_is_what_the_network_ran_on(add, results, environment, device):
    add(environment=environment)
    assert load_results(results)["device"][0] == device


def test_hostile_names_come_back_as_they_are(hostile):
    assert set(HOSTILE) <= set(load_results(hostile)["model"])


def test_histories_carry_their_run(add, results):
    add("a", 0)
    add("b", 1, history="epoch,loss\n1,nan\n")
    add("c", history="")
    add("d", history="\x00\x00")
    add("e", history="something,else\n1,2\n")
    add("f", outcome=Outcome(status=Status.FAILED, reason="x"))
    histories = load_histories(load_results(results))
    assert list(histories["model"]) == ["a", "a", "b"]
    assert list(histories["loss"])[:2] == [1.5, 0.75]
    assert math.isnan(histories["loss"].iloc[2])
    assert load_histories(load_results(results).iloc[:0]).empty


def test_a_history_that_names_a_model_itself_is_overruled(add, results):
    add("a", history="epoch,loss,model\n1,0.5,impostor\n")
    assert list(load_histories(load_results(results))["model"]) == ["a"]


def test_reading_and_reporting_import_no_torch():
    modules = "segbench.report.write, segbench.results.environment, segbench.report.formats.tables"
    code = f"import {modules}, sys; print([name for name in ('torch', 'timm') if name in sys.modules])"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "[]"


def test_all_void_gives_a_row_without_scores(add, results):
    add(hits=0, matrices=_empty())
    row = load_results(results).iloc[0]
    assert row["status"] == "completed"
    assert pd.isna(row["mean_iou"])


def _empty():
    counted = matrices(0)
    return type(counted)(counted.names, counted.matrices * 0)


def test_the_oracle_is_right_about_a_perfect_network():
    assert iou_of(100) == 1.0
