"""A tuned suite from its trials to its report: chosen on validation, resumed at any point, never mislabelled."""

from __future__ import annotations

import json
import shutil
from functools import partial

import numpy as np
import pytest
from tiny import document

from segbench.config.load import check
from segbench.config.trials import trials
from segbench.data.open import open_dataset
from segbench.engine.events import EpochEnded, Notice, RunStarted
from segbench.engine.launchers.local import Parallel
from segbench.engine.suite import run_suite as launch
from segbench.errors import DataError
from segbench.report.ranking.ranking import rank
from segbench.report.write import write_ranking
from segbench.results.record import Status

pytestmark = pytest.mark.slow(reason="trains a suite with a search")

run_suite = partial(launch.run_suite, device="cpu", in_process=True)
RATES = [1e-6, 0.01, 0.01000001]
MODELS = ["segnet_basic", "cnn"]


def tuned_suite(**changes):
    given = {
        "models": MODELS,
        "train": {"epochs": 3},
        "seeds": [0, 1],
        "tuning": {"grid": {"train.optimizer.lr": RATES}, "epochs": 2},
        **changes,
    }
    return check(document(**given))


def test_a_choice_that_is_the_recipes_own_repeats_no_training(tmp_path):
    suite = tuned_suite(models=["cnn"], seeds=[0], tuning={"grid": {"train.optimizer.lr": [0.003]}, "epochs": 1})
    events = []
    outcome = run_suite(suite, results=tmp_path, observer=events.append)
    identical, tuned = [record for record in outcome.records if record.tuning is None or record.tuning.role == "tuned"]
    trained = {event.run_id for event in events if isinstance(event, EpochEnded)}
    assert identical.id in trained
    assert tuned.id not in trained
    assert any(f"the results of {identical.id} are copied" in text for text in notices(events))
    assert (tuned.tuning.role, tuned.tuning.values) == ("tuned", {"train.optimizer.lr": 0.003})
    assert tuned.protocol_id != identical.protocol_id
    files = [
        {file.name: file.read_bytes() for file in (outcome.store.folder / record.id).iterdir() if file.is_file()}
        for record in (identical, tuned)
    ]
    assert files[0].pop("run.json") != files[1].pop("run.json")
    assert files[0] == files[1]
    again = run_suite(suite, results=tmp_path)
    assert len(again.done_before) == len(again.records) == 3


def started(events):
    return [event.label for event in events if isinstance(event, RunStarted)]


def notices(events):
    return [event.text for event in events if isinstance(event, Notice)]


def mean_iou(file):
    """Recompute a run's mIoU from its file alone."""
    with np.load(file) as stored:
        classes = int(stored["num_classes"])
        matrix = np.zeros((classes, classes), np.int64)
        np.add.at(matrix, (stored["label"], stored["prediction"]), stored["count"])
    hits, union = matrix.diagonal(), matrix.sum(0) + matrix.sum(1) - matrix.diagonal()
    return (hits[union > 0] / union[union > 0]).mean()


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A tuned suite, run in one command."""
    results = tmp_path_factory.mktemp("tuned")
    events = []
    return run_suite(tuned_suite(), results=results, observer=events.append), events, results


@pytest.fixture
def copied(done, tmp_path):
    """A copy of its results."""
    shutil.copytree(done[2], tmp_path / "results")
    return tmp_path / "results"


def by_role(outcome, role):
    return [record for record in outcome.records if (record.tuning.role if record.tuning else None) == role]


def test_one_command_does_trials_then_identical_and_tuned_runs(done):
    outcome, events, _ = done
    assert outcome.complete
    first = started(events)
    assert first[:6] == [f"{model} (trial lr={rate})" for model in MODELS for rate in RATES]
    assert first[6:10] == MODELS * 2
    assert [label.partition("=")[0] for label in first[10:]] == [f"{MODELS[index]} (tuned lr" for index in (0, 0, 1, 1)]
    assert [len(by_role(outcome, role)) for role in ("trial", None, "tuned")] == [6, 4, 4]


def test_what_is_chosen_is_what_the_stored_matrices_of_the_trials_say(done):
    outcome, _, _ = done
    for record in by_role(outcome, "tuned"):
        tried = record.tuning.trials
        scores = {name: mean_iou(outcome.store.folder / name / "confusion.npz") for name in tried}
        best = next(name for name in tried if scores[name] == max(scores.values()))
        assert record.tuning.values == tried[best]
        assert {name.split("-seed")[0] for name in tried} == {record.label}


def test_trials_see_the_validation_split_where_others_see_the_test_split(done):
    outcome, _, _ = done
    entry, loader = tuned_suite().dataset, tuned_suite().loader
    prints = {split: open_dataset(entry, split, loader=loader).fingerprint() for split in ("train", "val", "test")}
    for record in by_role(outcome, "trial"):
        assert record.data.fingerprints == {"train": prints["train"], "test": prints["val"]}
        assert record.data.test_images == 4
    reported = by_role(outcome, None) + by_role(outcome, "tuned")
    assert {record.data.fingerprints["test"] for record in reported} == {prints["test"]}
    assert len({record.data.test_digest for record in reported}) == 1
    assert not {record.data.test_digest for record in by_role(outcome, "trial")} & {reported[0].data.test_digest}


def test_trials_keep_neither_weights_nor_pictures(done):
    outcome, _, _ = done
    for record in by_role(outcome, "trial"):
        kept = {path.name for path in (outcome.store.folder / record.id).iterdir()}
        assert not {"checkpoint.safetensors", "predictions.zip", "samples"} & kept
    galleries = {path.name for path in (outcome.store.folder / "gallery").iterdir()}
    assert galleries == {
        record.protocol_id[:8] for record in outcome.records if record not in by_role(outcome, "trial")
    }


def test_tuned_runs_share_a_protocol_and_keep_what_was_chosen(done):
    outcome, _, _ = done
    protocols = {record.protocol_id for record in by_role(outcome, "tuned")}
    assert len(protocols) == 1
    assert protocols.isdisjoint({record.protocol_id for record in by_role(outcome, None)})
    lock = json.loads((outcome.store.folder / "suite.lock.json").read_text())["runs"]
    assert [line["id"] for line in lock] == [record.id for record in outcome.records]
    assert [line["tuning"]["values"] for line in lock[-4:]] == [
        record.tuning.values for record in by_role(outcome, "tuned")
    ]


def test_the_same_command_again_does_nothing(done):
    outcome, _, results = done
    events = []
    again = run_suite(tuned_suite(), results=results, observer=events.append)
    assert started(events) == notices(events) == []
    assert again.records == outcome.records
    assert again.done_before == {record.id for record in outcome.records}


def test_whatever_is_missing_is_done_and_nothing_else(done, copied):
    outcome, _, _ = done
    trial, plain, tuned = (by_role(outcome, role)[0] for role in ("trial", None, "tuned"))
    for record in (trial, plain, tuned):
        shutil.rmtree(copied / "tiny" / record.id)
    events = []
    again = run_suite(tuned_suite(), results=copied, observer=events.append)
    assert [event.run_id for event in events if isinstance(event, RunStarted)] == [trial.id, plain.id, tuned.id]
    assert [record.id for record in again.records] == [record.id for record in outcome.records]


def test_trials_alone_are_followed_by_what_they_chose(tmp_path):
    suite = tuned_suite(models=["cnn"], seeds=[0], tuning={"grid": {"train.optimizer.lr": [0.001, 0.01]}, "steps": 1})
    first, second = (trial.id for trial in trials(suite))
    events = []
    run_suite(suite, results=tmp_path, only=[first], observer=events.append)
    assert any("1 tuned run follows from 1 trial;" in text for text in notices(events))
    assert rank(tmp_path).board.empty
    events.clear()
    run_suite(suite, results=tmp_path, only=[second], observer=events.append)
    assert started(events) == ["cnn (trial lr=0.01)"]
    events.clear()
    last = run_suite(suite, results=tmp_path, observer=events.append)
    assert [label.split(" lr")[0] for label in started(events)] == ["cnn", "cnn (tuned"]
    assert last.done_before == {first, second}


def test_a_network_that_cannot_be_tuned_is_a_row_with_the_reason(tmp_path):
    raising = {"name": "python:misbehaving.raising", "label": "raising"}
    suite = tuned_suite(models=["cnn", raising], seeds=[0], tuning={"grid": {"train.optimizer.lr": [0.001, 0.01]}})
    outcome = run_suite(suite, results=tmp_path)
    (row,) = (record for record in by_role(outcome, "tuned") if record.label == "raising")
    assert not outcome.complete
    assert row.outcome.status is Status.FAILED
    assert row.outcome.reason == "none of its trials gave a score: RuntimeError: the flux capacitor is empty"
    assert row.tuning.values is None
    board = rank(tmp_path).board
    assert list(board[board["position"].isna()]["status"]) == ["failed", "failed"]
    assert len(board[board["tuning"].notna()]) == 2


def test_a_trial_that_diverges_is_not_chosen_and_the_suite_is_complete(tmp_path):
    suite = tuned_suite(models=["cnn"], seeds=[0], tuning={"grid": {"train.optimizer.lr": [1e12, 0.01]}, "epochs": 2})
    outcome = run_suite(suite, results=tmp_path)
    assert [record.outcome.status for record in by_role(outcome, "trial")] == [Status.FAILED, Status.COMPLETED]
    assert by_role(outcome, "tuned")[0].tuning.values == {"train.optimizer.lr": 0.01}
    assert outcome.complete


def test_a_further_point_tries_only_that_and_leaves_the_old_search_a_table_of_its_own(done, copied):
    wider = {"grid": {"train.optimizer.lr": [*RATES, 1e-7]}, "epochs": 2}
    events = []
    run_suite(tuned_suite(tuning=wider), results=copied, models=["cnn"], seeds=[0], observer=events.append)
    assert started(events)[0] == "cnn (trial lr=1e-07)"
    assert len(started(events)) == 2
    board = rank(copied).board
    assert sorted(board["tuning"].dropna().unique()) == [
        "tuned: 3 points of 2 epochs each",
        "tuned: 4 points of 2 epochs each",
    ]


def test_the_report_shows_both_protocols(done, tmp_path):
    files = write_ranking(rank(done[2]), tmp_path)
    text = files.markdown.read_text()
    assert "(identical recipe) · 2 networks" in text
    assert "(tuned: 3 points of 2 epochs each" in text
    (facts,) = json.loads(files.json.read_text())["tuning"]
    assert len(facts["trials"]) == 6
    assert {row["network"] for row in facts["networks"]} == set(MODELS)
    assert "Tuning for protocol" in files.page.read_text()


def test_several_at_a_time_choose_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    suite = tuned_suite(models=["cnn"], seeds=[0], tuning={"grid": {"train.optimizer.lr": [1e-6, 0.01]}, "epochs": 2})
    together = launch.run_suite(suite, results=tmp_path / "a", launcher=Parallel(2, devices=["cpu"], cores=2))
    alone = run_suite(suite, results=tmp_path / "b")
    assert together.complete
    assert {record.id for record in together.records} == {record.id for record in alone.records}


def test_a_validation_image_that_is_tested_on_as_well_stops_the_suite(tmp_path):
    from PIL import Image

    root = tmp_path / "data"
    for kind in ("images", "masks"):
        for number, split in enumerate(("train", "test")):
            (root / kind / split).mkdir(parents=True)
            Image.fromarray(np.full((32, 32), number, np.uint8)).save(root / kind / split / f"{split}.png")
        (root / kind / "val").mkdir()
        (root / kind / "val" / "again.png").symlink_to(root / kind / "test" / "test.png")
    dataset = {"name": "folder", "root": str(root), "classes": ["dark", "light"], "validation_split": "val"}
    suite = check(
        {**document(), "dataset": dataset, "models": ["cnn"], "tuning": {"grid": {"train.optimizer.lr": [1]}}}
    )
    events = []
    with pytest.raises(DataError, match="1 of the 1 images for test are among those for validation"):
        run_suite(suite, results=tmp_path / "results", observer=events.append)
    assert started(events) == []


def test_plan_and_validate_tell_of_trials_and_of_what_follows(tiny_file, segbench):
    file = tiny_file(models=["cnn"], seeds=[0, 1], tuning={"grid": {"train.optimizer.lr": [0.001, 0.01]}})
    valid = segbench("validate", file)
    assert "ok, 2 runs of 1 model; 2 trials and 2 tuned runs beside" in valid.stdout, valid.stderr
    plan = segbench("plan", file, "--json")
    facts = json.loads(plan.stdout)
    assert [row.get("tuning", {}).get("role") for row in facts["runs"]] == ["trial", "trial", None, None]
    assert facts["pending_tuned_runs"] == 2
    told = segbench("plan", file)
    assert "trial lr=0.001" in told.stdout
    assert "2 tuned runs follow from 2 trials" in told.stderr


def test_an_estimate_counts_trials_and_tuned_runs(tiny_file, segbench):
    file = tiny_file(models=["cnn"], tuning={"grid": {"train.optimizer.lr": [0.001]}, "epochs": 1})
    done = segbench("plan", file, "--estimate", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert "3 runs: " in done.stderr
    assert "after its trials" in done.stdout
