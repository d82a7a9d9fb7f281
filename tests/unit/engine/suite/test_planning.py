"""Tuned runs follow from stored trials."""

from pathlib import Path

import pytest
from stored import matrices
from tiny import document

from segbench.config.load import check, load_suite
from segbench.config.plan import plan
from segbench.config.trials import trials
from segbench.data.open import open_dataset
from segbench.engine.run.record import build_record
from segbench.engine.run.splits import open_splits
from segbench.engine.suite.planning import planned, wanted_runs
from segbench.engine.suite.preflight import splits_apart
from segbench.engine.suite.selection import Selection, chosen, named
from segbench.errors import UsageError
from segbench.results.arrays.matrices import save_matrices
from segbench.results.record import Outcome, Status, Timings
from segbench.results.store import Store, read_record, write_record

REPOSITORY = Path(__file__).parents[4]
PUBLISHED = REPOSITORY / "published" / "results"
RATES = [0.001, 0.003, 0.01]
DIVERGED = Outcome(status=Status.FAILED, reason="the loss became nan")
REFUSED = Outcome(status=Status.SKIPPED, reason="cannot take 32x32")


@pytest.fixture
def suite():
    return check(document(seeds=[0, 1], tuning={"grid": {"train.optimizer.lr": RATES}, "epochs": 1}))


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path, "tiny")


def write(store, run, *, hits=None, outcome=None):
    """Store a trial that was right about so many of 100 pixels, or ended otherwise."""
    ended = outcome or Outcome(status=Status.COMPLETED)
    with store.writing(run.id) as folder:
        timings = Timings(started="2026-01-01T00:00:00+00:00", total_seconds=1.0)
        if outcome is None:
            save_matrices(folder / "confusion.npz", matrices(hits))
        write_record(folder, build_record(run, ended, timings=timings, environment={}))


def write_all(store, suite, *results):
    """Store all trials: numbers are hits, others outcomes."""
    for run, result in zip(trials(suite), results, strict=True):
        write(store, run, **({"hits": result} if isinstance(result, int) else {"outcome": result}))


def tuned(known):
    return [run for run in known.runs if run.role == "tuned"]


def test_nothing_is_tuned_before_all_trials_of_a_network_have_ended(suite, store):
    first, second, third, *_ = trials(suite)
    write(store, first, hits=50)
    write(store, second, outcome=DIVERGED)
    known = planned(suite, store)
    assert [run.role for run in known.runs] == ["trial"] * 6 + [None] * 4
    assert known.outlook == "4 tuned runs follow from 4 trials"
    write(store, third, hits=60)
    known = planned(suite, store)
    assert [(run.model.label, run.seed) for run in tuned(known)] == [("unet", 0), ("unet", 1)]
    assert [run.model.label for run in known.pending] == ["cnn", "cnn"]
    assert known.awaited == {run.id for run in trials(suite)[3:]}


def test_each_network_gets_what_did_best_for_it_the_earlier_of_equal_points(suite, store):
    write_all(store, suite, 50, 70, 60, 80, 80, 10)
    known = planned(suite, store)
    assert [run.tuning.values["train.optimizer.lr"] for run in tuned(known)] == [0.003, 0.003, 0.001, 0.001]
    assert [run.recipe.train.optimizer.options["lr"] for run in tuned(known)] == [0.003, 0.003, 0.001, 0.001]
    assert list(tuned(known)[0].tuning.trials) == [run.id for run in trials(suite)[:3]]
    assert (known.pending, known.refusals) == ((), {})
    assert known.shown == (*plan(suite), *tuned(known))


def test_a_trial_that_failed_is_not_chosen(suite, store):
    write_all(store, suite, DIVERGED, 40, REFUSED, 10, DIVERGED, 20)
    assert [run.tuning.values["train.optimizer.lr"] for run in tuned(planned(suite, store))] == [0.003] * 2 + [0.01] * 2


def test_a_network_whose_trials_all_went_wrong_is_not_tuned_and_told_why(suite, store):
    write_all(store, suite, DIVERGED, DIVERGED, REFUSED, REFUSED, REFUSED, REFUSED)
    known = planned(suite, store)
    outcomes = [known.refusals[run.id] for run in tuned(known)]
    assert [run.tuning.values for run in tuned(known)] == [None] * 4
    assert [outcome.status for outcome in outcomes] == [Status.FAILED] * 2 + [Status.SKIPPED] * 2
    assert outcomes[0].reason == "none of its trials gave a score: the loss became nan"
    assert outcomes[2].reason == "none of its trials gave a score: cannot take 32x32"


def test_a_suite_without_tuning_is_planned_as_ever(store):
    suite = check(document())
    known = planned(suite, store)
    assert known.runs == plan(suite)
    assert (known.pending, known.awaited, known.refusals) == ((), frozenset(), {})


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="the published results are in the repository only")
@pytest.mark.parametrize("name", ["camvid-cpu", "camvid-gpu", "nuclei", "scenes", "quickstart", "tuned"])
def test_recorded_results_are_still_those_of_their_suite(name):
    suite = load_suite(REPOSITORY / "suites" / f"{name}.yaml")
    files = {model.label for model in suite.models if model.pretrained}  # their ids depend on files of weights
    records = [read_record(file) for file in (PUBLISHED / name).glob("*/run.json")]
    ids = {record.id for record in records if record.label not in files and not follows_from_trials(record)}
    assert len(ids) >= 9
    assert ids <= {run.id for run in [*plan(suite), *trials(suite)]}


def follows_from_trials(record):
    return record.tuning is not None and record.tuning.role == "tuned"


def test_the_trials_of_a_network_are_for_all_its_seeds(suite, store):
    write_all(store, suite, 50, 70, 60, 80, 80, 10)
    runs = planned(suite, store).runs
    picked = chosen(runs, ["cnn"], [1])
    assert [(run.role, run.model.label, run.seed) for run in picked] == [
        *[("trial", "cnn", 0)] * 3,
        (None, "cnn", 1),
        ("tuned", "cnn", 1),
    ]
    assert named(picked, [picked[0].id[:-2]]) == picked[:1]
    with pytest.raises(UsageError, match="--only: no run has the id 'unet-seed9'"):
        named(picked, ["unet-seed9"])


def test_the_seed_of_trials_is_none_of_the_suites(store):
    suite = check(document(tuning={"grid": {"train.optimizer.lr": RATES}, "seed": 7}))
    with pytest.raises(UsageError, match="the suite has no seed 7"):
        chosen(planned(suite, store).runs, None, [7])


def test_what_a_trial_is_tested_on_is_kept_apart_from_what_is_reported(suite):
    run = trials(suite)[0]
    apart = splits_apart(open_splits(run))
    entry = suite.dataset
    names = {"train": "train", "validation": "val", "test": "test"}
    opened = {role: open_dataset(entry, split, loader=suite.loader).fingerprint() for role, split in names.items()}
    assert apart.select == "best"
    assert {role: split.fingerprint() for role, split in apart.splits.items()} == opened


def test_what_is_to_do_is_what_is_wanted_and_not_completed(suite, store):
    first, second, *_ = trials(suite)
    write(store, first, hits=50)
    write(store, second, outcome=DIVERGED)
    wanted = wanted_runs(suite, store, Selection(models=["unet"], seeds=[1]))
    assert {run.model.label for run in (*wanted.runs, *wanted.pending)} == {"unet"}
    assert wanted.stored.keys() == {first.id, second.id}
    assert wanted.finished.keys() == {first.id}
    assert [run.id for run in wanted.todo[:2]] == [second.id, trials(suite)[2].id]
    assert [(run.role, run.seed) for run in wanted.todo[2:]] == [(None, 1), ("tuned", 1)]


def test_each_record_is_read_once(suite, store, monkeypatch):
    write_all(store, suite, 50, 60, 40, DIVERGED, 30, 20)
    read, find_all = [], Store.find_all
    monkeypatch.setattr(Store, "find_all", lambda self, asked: (read.extend(asked), find_all(self, asked))[1])
    wanted = wanted_runs(suite, store)
    assert len(wanted.stored) == 6
    assert sorted(read) == sorted({run.id for run in wanted.known.runs})
