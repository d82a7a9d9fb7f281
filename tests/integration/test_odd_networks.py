"""Networks that hang, wander off, or leave threads and processes behind: each is a row, and no other run waits."""

from __future__ import annotations

import pytest

from segbench.engine.suite.run_suite import run_suite
from segbench.results.record import Status


@pytest.fixture
def rows(tiny, tmp_path, monkeypatch):
    """Run networks in a results folder that is named from the working directory; return their outcomes by label."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("segbench.engine.processes.ENDING_SECONDS", 1.0)
    monkeypatch.setattr("segbench.engine.suite.preflight_outputs.TRIAL_SECONDS", 2.0)

    def run(*names, **changes):
        models = [{"name": f"python:misbehaving.{name}", "label": name} for name in names]
        suite = tiny(models=[*models, "cnn"], **changes)
        outcome = run_suite(suite, results="results")
        found = {record.label: record.outcome for record in outcome.records}
        assert found["cnn"].status is Status.COMPLETED
        return found

    return run


@pytest.mark.slow(reason="four runs, one of which hangs until its limit")
def test_a_network_that_hangs_is_a_failed_row(rows):
    found = rows("endless", "leaving", run_timeout={"silent_minutes": 0.1})
    assert found["endless"].status is Status.FAILED
    assert found["endless"].reason == "made no progress for 6 s (run_timeout.silent_minutes), and was ended"
    assert found["leaving"].status is Status.SKIPPED
    assert "SystemExit: over" in found["leaving"].reason


@pytest.mark.slow(reason="four runs, one of which leaves a thread that its process waits for")
def test_networks_that_leave_something_behind_are_completed_and_nobody_waits_for_it(rows, tmp_path):
    found = rows("wandering", "leaving_a_thread", "forking")
    assert {name: outcome.status for name, outcome in found.items()} == dict.fromkeys(found, Status.COMPLETED)
    assert len(list((tmp_path / "results" / "tiny").glob("*/confusion.npz"))) == 4
