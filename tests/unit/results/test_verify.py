"""Claims about checking stored runs: the record of every planned run passes, and its identity is computed again."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from stored import without_checksums, write_run
from tiny import document

from segbench.api.leaderboard import leaderboard
from segbench.config.load import check, load_suite
from segbench.config.plan import plan
from segbench.config.trials import families, trials
from segbench.engine.run.record import build_record
from segbench.errors import DamagedRunError, UsageError
from segbench.report.runs.load import load_results
from segbench.results.archive.inventory import held_runs
from segbench.results.arrays.details import ImageDetails, save_details
from segbench.results.arrays.matrices import ImageMatrices
from segbench.results.hashes import identities
from segbench.results.record import Outcome, Status, Timings
from segbench.results.store import Store, read_record, write_record
from segbench.results.verify import verified_record

REPOSITORY = Path(__file__).parents[3]
PUBLISHED = REPOSITORY / "published" / "results"
ENDED = {
    "outcome": Outcome(status=Status.SKIPPED, reason="not today"),
    "timings": Timings(started="2026-01-01T00:00:00+00:00", total_seconds=1.0),
    "environment": {},
}


def of_suite(file):
    suite = load_suite(file)
    tuned = [run for family in families(suite) for run in family.tuned(0)]
    return [*plan(suite), *trials(suite), *tuned]


@pytest.mark.parametrize("name", ["camvid-cpu", "camvid", "quickstart", "tuned", "voc"])
def test_every_run_of_our_suites_passes_and_those_from_scratch_by_their_identity(name, tmp_path):
    try:
        runs = of_suite(REPOSITORY / "suites" / f"{name}.yaml")
    except UsageError as error:
        pytest.skip(str(error))
    assert runs
    for run in runs:
        folder = tmp_path / run.id
        folder.mkdir(exist_ok=True)
        write_record(folder, build_record(run, **ENDED))
        known = identities(verified_record(folder, run.id))
        if run.model.pretrained or run.role == "tuned":
            assert known == set()
        else:
            assert run.identity in known


def test_options_that_json_knows_in_one_form_only_keep_their_identity(tmp_path):
    suite = check(
        document(
            models=[{"name": "unet", "label": "wide, ünet", "width": 1e-1, "dropout": 0.5, "strict": False}],
            train={"optimizer": {"name": "sgd", "lr": 1e-5, "momentum": 0.9}},
        )
    )
    (run,) = plan(suite)
    write_record(tmp_path, build_record(run, **ENDED))
    assert run.identity in identities(read_record(tmp_path / "run.json"))


@pytest.mark.skipif(not (PUBLISHED).is_dir(), reason="the published results are in the repository only")
def test_all_published_runs_pass():
    held = held_runs(PUBLISHED / "camvid-cpu")
    assert len(held) == len(list((PUBLISHED / "camvid-cpu").glob("*/run.json"))) >= 10
    assert [run.problem for run in held if run.problem] == []


@pytest.mark.skipif(not (PUBLISHED).is_dir(), reason="the published results are in the repository only")
def test_all_published_records_can_be_read_and_their_hashes_hold():
    files = sorted((PUBLISHED).glob("*/*/run.json"))
    assert len(files) >= 14
    assert all(read_record(file).id == file.parent.name for file in files)


def edited(folder, change):
    """Edit a stored record by hand; return its file."""
    file = folder / "run.json"
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document))
    return file


EDITS = {
    "recipe": (
        lambda record: record["recipe"]["train"].update(epochs=99),
        "its recipe was edited: .* protocol_id says",
    ),
    "new key": (lambda record: record["recipe"].update(extra=1), "its recipe was edited"),
    "protocol": (lambda record: record.update(protocol_id="0" * 64), "its recipe was edited: .* says 000000000000…"),
    "options": (lambda record: record["model"]["options"].update(width=2.0), "its network, recipe or seed was edited"),
    "network": (lambda record: record["model"].update(name="segnet"), "its network, recipe or seed was edited"),
    "seed": (lambda record: record.update(seed=7), "its network, recipe or seed was edited: .* identity says"),
}


@pytest.mark.parametrize("case", EDITS)
def test_a_record_that_was_edited_by_hand_is_damaged_and_named(case, tmp_path):
    change, said = EDITS[case]
    folder = write_run(tmp_path, "a")
    write_run(tmp_path, "b")
    assert load_results(tmp_path)["status"].tolist() == ["completed"] * 2
    file = edited(folder, change)
    with pytest.raises(DamagedRunError, match=f"^{re.escape(str(file))}: {said}"):
        read_record(file)
    with pytest.raises(DamagedRunError, match=said):
        verified_record(folder, folder.name)
    board = leaderboard(load_results(tmp_path))
    scored, damaged = board[board["position"].notna()], board[board["position"].isna()]
    assert scored["model"].tolist() == ["b"]
    assert damaged["status"].tolist() == ["damaged"]
    assert re.search(said, damaged["reason"].iloc[0])


def test_what_no_other_hash_holds_is_held_by_the_checksum_of_the_record(tmp_path):
    with pytest.raises(DamagedRunError, match="was edited after it was written"):
        read_record(edited(write_run(tmp_path, "a"), lambda record: record.update(label="better name")))


def test_a_record_from_before_checksums_may_get_a_better_name(tmp_path):
    def rename(record):
        del record["checksums"]
        record["label"] = "better name"

    assert read_record(edited(write_run(tmp_path, "a"), rename)).label == "better name"


def test_an_edited_run_counts_as_not_done(tmp_path):
    folder = write_run(tmp_path, "a")
    store = Store(tmp_path, "toy")
    identity = read_record(folder / "run.json").identity
    assert store.find_all({folder.name: identity})
    edited(folder, EDITS["recipe"][0])
    assert store.find_all({folder.name: identity}) == {}


def test_a_label_that_its_id_does_not_begin_with_is_named(tmp_path):
    folder = write_run(tmp_path, "U-Net, small")
    assert verified_record(folder, folder.name).label == "U-Net, small"
    without_checksums(folder)
    edited(folder, lambda record: record.update(label="FCN-8s"))
    with pytest.raises(DamagedRunError, match=r"its id is 'U-Net-small-seed0-.*', but its label 'FCN-8s'"):
        verified_record(folder, folder.name)
    edited(folder, lambda record: record.update(label="U-Net, small (width=2)"))
    assert verified_record(folder, folder.name).label == "U-Net, small (width=2)", "as networks of a grid are called"


COUNTS = {
    "more correct": ({"calibration_correct": lambda counts: counts * 1000}, "more correct pixels in a bin"),
    "fewer than none": ({"calibration_correct": lambda counts: counts - 10**6}, "or fewer than none"),
    "another sum": ({"calibration_pixels": lambda counts: counts + 1}, "counts other pixels by confidence"),
    "near": ({"boundary_predicted_near": lambda counts: counts + 10**6}, "more pixels as predicted_near than as pred"),
    "classes": ({"boundary_band_both": lambda counts: counts[:, :1]}, "counts band_both of boundaries in shape"),
}


@pytest.mark.parametrize("case", COUNTS)
def test_further_counts_that_contradict_the_matrices_are_named(case, tmp_path):
    changes, said = COUNTS[case]
    folder = write_run(tmp_path, "a", matrices=ImageMatrices(("x",), np.array([[[5, 1, 0], [0, 7, 0], [2, 0, 3]]])))
    right = {
        "calibration_pixels": np.array([[0, 8, 10]]),
        "calibration_correct": np.array([[0, 6, 9]]),
        "calibration_confidence": np.array([[0.0, 4.0, 9.5]]),
        "boundary_predicted": np.array([[3, 4, 0]]),
        "boundary_predicted_near": np.array([[3, 2, 0]]),
        "boundary_labelled": np.array([[3, 4, 1]]),
        "boundary_labelled_near": np.array([[0, 4, 1]]),
        "boundary_band_both": np.array([[5, 5, 1]]),
        "boundary_band_either": np.array([[6, 5, 2]]),
    }
    without_checksums(folder)
    save_details(folder / "details.npz", ImageDetails(("x",), right))
    assert verified_record(folder, folder.name)
    wrong = {name: changes.get(name, lambda counts: counts)(counts) for name, counts in right.items()}
    save_details(folder / "details.npz", ImageDetails(("x",), wrong))
    with pytest.raises(DamagedRunError, match=said):
        verified_record(folder, folder.name)
