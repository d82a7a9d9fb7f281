"""Claims about what a machine of a Ray cluster reports; Ray itself is not needed for them."""

from __future__ import annotations

import time

import pytest
from tiny import document
from without_ray import done_here

from segbench.config.load import check
from segbench.config.plan import plan
from segbench.engine.launchers.local import Place
from segbench.engine.launchers.ray_worker import RayTask, SharedFolder
from segbench.errors import RunInterrupted
from segbench.results.store import Store


class Clock:
    """A clock that can be set forward."""

    ahead = 0.0

    def time(self):
        return time.time() + self.ahead


@pytest.fixture
def interrupted(monkeypatch):
    """Return a function that does a run whose time is over once it has begun; it returns what the run reports."""
    clock = Clock()
    monkeypatch.setattr("segbench.engine.stopping.time", clock)
    (run,) = plan(check(document(models=["cnn"])))

    def do(shared):
        place = Place("cpu", None, deadline=time.time() + 3600)
        order = RayTask(run.model_dump(mode="json"), run.identity, 1, 1, place, shared)
        done = done_here(order, monkeypatch, lambda _: setattr(clock, "ahead", 7200.0))
        assert isinstance(done.error, RunInterrupted)
        return str(done.error)

    return do


def test_a_run_that_is_sent_back_reports_at_the_deadline_that_it_begins_anew(interrupted):
    said = "stopped after step 1 of 6; it will start again, since its state is kept only with --shared-results"
    assert interrupted(None) == said


def test_a_run_in_a_shared_folder_reports_at_the_deadline_that_its_state_is_saved(interrupted, tmp_path):
    store = Store(tmp_path, "tiny")
    store.folder.mkdir()
    (store.folder / "sign").touch()
    assert interrupted(SharedFolder(tmp_path, "sign")) == "stopped after step 1 of 6, which is saved"
    assert len(store.saved()) == 1
