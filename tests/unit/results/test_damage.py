"""Claims about stored files that were cut, exchanged, edited or lost."""

from __future__ import annotations

import json
import shutil

import pytest
from stored import matrices, write_run

from segbench.report.runs.load import load_results
from segbench.results.arrays.matrices import save_matrices
from segbench.results.damage import damage_of
from segbench.results.store import Store, read_record


def cut(file):
    file.write_bytes(file.read_bytes()[:300])


def flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


FAULTS = {
    "cut": cut,
    "one bit": flip,
    "empty": lambda file: file.write_bytes(b""),
    "gone": lambda file: file.unlink(),
    "a folder": lambda file: (file.unlink(), file.mkdir()),
    "edited": lambda file: save_matrices(file, matrices(99)),
}


@pytest.fixture(params=[True, False], ids=["with checksums", "of an earlier version"])
def run(tmp_path, request):
    folder = write_run(tmp_path, "unet")
    if not request.param:
        file = folder / "run.json"
        document = json.loads(file.read_text())
        del document["checksums"]
        file.write_text(json.dumps(document))
    return folder


def stored(folder):
    return Store(folder.parent.parent, "toy").find(folder.name)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_run_whose_matrices_are_damaged_is_not_done_and_a_damaged_row(run, fault):
    assert stored(run) is not None
    earlier = read_record(run / "run.json").checksums is None
    FAULTS[fault](run / "confusion.npz")
    if earlier and fault in ("edited", "one bit"):
        pytest.skip("records of earlier versions hold no checksums, so that nothing tells what can still be read")
    assert stored(run) is None
    (row,) = load_results(run.parent.parent).itertuples()
    assert row.status == "damaged"
    assert str(run / "confusion.npz") in row.reason


def test_matrices_of_another_run_are_told(tmp_path):
    one, other = write_run(tmp_path, "unet", hits=60), write_run(tmp_path, "fcn8s", hits=95)
    shutil.copyfile(other / "confusion.npz", one / "confusion.npz")
    assert "was changed after it was written" in damage_of(one, read_record(one / "run.json"))
    assert stored(one) is None
    assert stored(other) is not None


def test_a_learning_curve_that_is_lost_or_edited_is_told(tmp_path):
    folder = write_run(tmp_path, "unet")
    (folder / "history.csv").write_text("epoch,step,loss,seconds\n1,4,0.0,0.1\n")
    assert "history.csv" in damage_of(folder, read_record(folder / "run.json"))
    (folder / "history.csv").unlink()
    assert damage_of(folder, read_record(folder / "run.json")) == f"{folder / 'history.csv'}: is missing"


def test_weights_may_be_removed_but_not_exchanged(tmp_path):
    from segbench.results.store import write_record

    folder = write_run(tmp_path, "unet")
    weights = folder / "checkpoint.safetensors"
    weights.write_bytes(b"weights")
    write_record(folder, read_record(folder / "run.json"))
    record = read_record(folder / "run.json")
    assert damage_of(folder, record, every_file=True) is None
    weights.write_bytes(b"others")
    assert "checkpoint.safetensors" in damage_of(folder, record, every_file=True)
    assert damage_of(folder, record) is None, "tables are not made from weights"
    weights.unlink()
    assert damage_of(folder, record, every_file=True) is None
