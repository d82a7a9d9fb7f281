"""Runs that other machines execute for this command are claimed for all of that time."""

from __future__ import annotations

from contextlib import ExitStack

from tiny import document

from segbench.config.load import check
from segbench.engine.events import Notice
from segbench.engine.run.execute import execute_run
from segbench.engine.suite.run_suite import run_suite
from segbench.results.store import Store


class Cluster:
    """A launcher of other machines: it executes what it is given, and frees a run of another command meanwhile."""

    here = False
    sharing = 1.0

    def __init__(self, store, other):
        self.store, self.other, self.given, self.free = store, other, [], []

    def __call__(self, jobs, run_job, observer):
        self.given.append([job.run.label for job in jobs])
        for job in jobs:
            with self.store.locking(job.run.id) as free:
                self.free.append(free)
        self.other.close()
        for job in jobs:
            yield execute_run(job.run, self.store, device="cpu")


def test_runs_of_a_cluster_are_claimed_before_they_are_sent(tmp_path):
    suite = check(document(models=["cnn", "fcn32s"], train={"epochs": 1}))
    store, other, told = Store(tmp_path, suite.name), ExitStack(), []
    run_ids = [record.id for record in run_suite(suite, results=tmp_path / "ids", in_process=True).records]
    assert other.enter_context(store.locking(run_ids[0]))
    cluster = Cluster(store, other)
    done = run_suite(suite, results=tmp_path, in_process=True, launcher=cluster, observer=told.append)
    assert [record.id for record in done.records] == run_ids
    assert cluster.given == [["fcn32s"], ["cnn"]]
    assert cluster.free == [False, False]
    assert sum("another command is executing this run" in str(one) for one in told if isinstance(one, Notice)) == 1
