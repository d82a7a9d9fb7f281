"""Claims about checking stored runs: the record of every planned run passes, and its identity is computed again."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny import document

from segbench.config.load import check, load_suite
from segbench.config.plan import plan
from segbench.config.trials import families, trials
from segbench.engine.records import record_of
from segbench.errors import UsageError
from segbench.results.inventory import held_runs
from segbench.results.record import Outcome, Status, Timings
from segbench.results.store import read_record, write_record
from segbench.results.verify import identities, verified_record

REPOSITORY = Path(__file__).parents[3]
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
        write_record(folder, record_of(run, **ENDED))
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
    write_record(tmp_path, record_of(run, **ENDED))
    assert run.identity in identities(read_record(tmp_path / "run.json"))


@pytest.mark.skipif(not (REPOSITORY / "results").is_dir(), reason="the published results are in the repository only")
def test_all_published_runs_pass():
    held = held_runs(REPOSITORY / "results" / "camvid-cpu")
    assert len(held) == 10
    assert [run.problem for run in held if run.problem] == []
