"""Claims about counting stored runs anew from their kept predictions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from predictions import replace_prediction
from stored import write_run

from segbench.engine.evaluation.recount import Recounter
from segbench.results.arrays.matrices import load_matrices, save_matrices
from segbench.results.damage import damage_of
from segbench.results.find_runs import scan
from segbench.results.record import Outcome, Status
from segbench.results.store import read_record, write_record


def recounted(data, folder):
    (found,) = scan(folder)
    return Recounter({"root": data["root"]}).recount(found)


def test_the_void_row_is_added_and_the_matrices_stay(data, run):
    folder, expected = run
    before, record = load_matrices(folder / "confusion.npz"), (folder / "run.json").read_bytes()
    assert recounted(data, folder).counted
    after = load_matrices(folder / "confusion.npz")
    np.testing.assert_array_equal(after.void_predicted, expected)
    np.testing.assert_array_equal(after.matrices, before.matrices)
    assert after.names == before.names
    assert (folder / "run.json").read_bytes() == record
    assert recounted(data, folder).reason == "has a void row already"


def test_a_record_with_checksums_gets_that_of_the_new_matrices(data, run):
    folder, _ = run
    write_record(folder, read_record(folder / "run.json"))
    assert recounted(data, folder).counted
    (found,) = scan(folder)
    assert damage_of(folder, found.record, every_file=True) is None


def altered_prediction(data, folder):
    replace_prediction(folder, 1)


def altered_label(data, folder):
    Image.fromarray(np.zeros((5, 6), np.uint8)).save(f"{data['root']}/masks/test/2.png")


def other_images(data, folder):
    stored = load_matrices(folder / "confusion.npz")
    save_matrices(folder / "confusion.npz", replace(stored, names=("x", "y", "z")))


def missing_data(data, folder):
    data["root"] += "-elsewhere"


def damaged_label(data, folder):
    Path(data["root"], "masks", "test", "1.png").write_bytes(b"no picture")


def damaged_archive(data, folder):
    (folder / "predictions.zip").write_bytes(b"no archive")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (altered_prediction, "do not give the stored matrix"),
        (altered_label, "do not give the stored matrix"),
        (other_images, "the split here holds other ones"),
        (damaged_archive, "cannot be read"),
        (missing_data, "-elsewhere"),
        (damaged_label, "1.png"),
    ],
)
def test_predictions_that_do_not_give_the_stored_matrices_change_nothing(data, run, spoil, message):
    folder, _ = run
    spoil(data, folder)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    done = recounted(data, folder)
    assert (done.counted, done.refused) == (False, True)
    assert message in done.reason
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_runs_without_predictions_or_a_result_are_passed_over_with_the_reason(data, run, tmp_path):
    folder, _ = run
    (folder / "predictions.zip").unlink()
    failed = write_run(tmp_path / "results", "x", outcome=Outcome(status=Status.FAILED, reason="no"))
    for place, reason in ((folder, "predictions were not kept"), (failed, "was not completed")):
        done = recounted(data, place)
        assert (done.counted, done.refused) == (False, False)
        assert reason in done.reason


def test_a_run_whose_record_is_damaged_is_refused(data, run):
    folder, _ = run
    (folder / "run.json").write_text("{")
    done = recounted(data, folder)
    assert (done.counted, done.refused) == (False, True)
    assert "run.json" in done.reason
