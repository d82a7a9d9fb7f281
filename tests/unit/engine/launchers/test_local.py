"""Claims about launchers: every job once, as many at a time as asked for, a device each."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import psutil
import pytest
from tiny import document

from segbench.config.load import check
from segbench.config.plan import plan
from segbench.config.suite import Loader
from segbench.engine.events import Notice
from segbench.engine.launchers.local import Job, Parallel, Sequential
from segbench.engine.processes import CallStopped, call_in_process
from segbench.errors import UsageError

RUNS = plan(check(document(models=["cnn", "unet", "segnet_basic"], seeds=[0, 1])))
JOBS = [Job(run, number, len(RUNS)) for number, run in enumerate(RUNS, 1)]


class Bench:
    """Does jobs by sleeping, and remembers who was there at the same time, and where."""

    def __init__(self):
        self.lock, self.now, self.most, self.places, self.by_device = threading.Lock(), 0, 0, [], {}

    def __call__(self, job, place, observer):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
            self.places.append(place)
            self.by_device[place.device] = self.by_device.get(place.device, 0) + 1
            assert self.by_device[place.device] == 1 or place.device == "cpu"
        observer(Notice(job.run.id))
        time.sleep(0.05)
        with self.lock:
            self.now -= 1
            self.by_device[place.device] -= 1
        return job.run.id


def test_one_by_one_keeps_the_order():
    bench, told = Bench(), []
    assert list(Sequential("cpu")(JOBS, bench, told.append)) == [run.id for run in RUNS]
    assert bench.most == 1
    assert [event.text for event in told] == [run.id for run in RUNS]


def test_several_at_once_do_every_job_and_share_the_cores():
    bench, told = Bench(), []
    found = list(Parallel(3, devices=["cpu"], cores=8)(JOBS, bench, told.append))
    assert sorted(found) == sorted(run.id for run in RUNS)
    assert bench.most == 3
    assert {(place.device, place.cores) for place in bench.places} == {("cpu", 2)}
    assert len(told) == len(JOBS)


@pytest.mark.parametrize(
    ("jobs", "devices", "threads", "sharing"),
    [
        (3, ["cpu"], 1, 1),
        (3, ["cpu"], 4, 1.5),
        (16, ["cpu"], 1, 2),
        (2, ["cuda:0", "cuda:1"], 1, 1),
        (3, ["cuda:0", "cuda:1"], 1, 2),
    ],
)
def test_it_is_known_how_many_runs_share_a_device_or_a_core(jobs, devices, threads, sharing):
    assert Parallel(jobs, devices=devices, cores=8, threads=threads).sharing == sharing


@pytest.mark.parametrize("launcher", [Sequential("cpu"), Parallel(2, devices=["cpu"])])
def test_a_run_that_is_left_gives_no_record_and_holds_no_other_up(launcher):
    left = RUNS[1].id
    done = list(launcher(JOBS, lambda job, place, told: None if job.run.id == left else job.run.id, lambda event: None))
    assert sorted(done) == sorted(run.id for run in RUNS if run.id != left)


@pytest.mark.parametrize("launcher", [Sequential("cpu"), Parallel(2, devices=["cpu"])])
def test_a_run_that_was_left_is_tried_again_when_another_is_done(launcher):
    asked = []

    def do(job, place, told):
        asked.append(job.run.id)
        return None if asked.count(RUNS[0].id) == 1 and job.run.id == RUNS[0].id else job.run.id

    assert sorted(launcher(JOBS, do, lambda event: None)) == sorted(run.id for run in RUNS)


def test_each_device_does_one_run_at_a_time():
    bench = Bench()
    list(Parallel(2, devices=["cuda:0", "cuda:1"], cores=8)(JOBS, bench, lambda event: None))
    assert {place.device for place in bench.places} == {"cuda:0", "cuda:1"}


def test_what_one_job_raises_reaches_the_caller_and_the_rest_is_not_begun():
    begun = []

    def do(job, place, observer):
        begun.append(job.number)
        if job.number == 1:
            raise UsageError("wrong")
        time.sleep(0.05)
        return job.run.id

    with pytest.raises(UsageError, match="wrong"):
        list(Parallel(1, devices=["cpu"])(JOBS, do, lambda event: None))
    assert len(begun) < len(JOBS)


def test_fewer_than_one_at_a_time_is_refused():
    with pytest.raises(UsageError, match="--jobs 0"):
        Parallel(0, devices=["cpu"])


def slow_call(seconds, *, observer):
    observer(Notice("under way"))
    time.sleep(seconds)


def test_runs_under_way_are_stopped_when_one_raises():
    ended, under_way = [], threading.Event()

    def do(job, place, observer):
        if job.number == 1:
            assert under_way.wait(300)
            raise UsageError("wrong")
        try:
            call_in_process(slow_call, 600, observer=lambda _: under_way.set())
        except CallStopped:
            ended.append(job.number)
            raise

    with pytest.raises(UsageError, match="wrong"):
        list(Parallel(2, devices=["cpu"])(JOBS, do, lambda event: None))
    assert ended == [2]


def test_caches_in_memory_share_what_is_free():
    jobs = [
        replace(job, run=job.run.model_copy(update={"loader": Loader(cache="memory", cache_gigabytes=1e6)}))
        for job in JOBS
    ]
    found = []

    def do(job, place, observer):
        found.append(job.run.loader.cache_gigabytes)
        return job.run.id

    free = psutil.virtual_memory().available / 1e9
    list(Parallel(2, devices=["cpu"])(jobs, do, lambda event: None))
    assert len(set(found)) == 1
    assert 0 < 2 * found[0] <= 0.6 * free


def places(jobs, launcher):
    """Return where a launcher has each job done, and how many workers its loader has there."""
    found = []

    def do(job, place, observer):
        found.append((place.runs_at_once, job.run.loader.workers))
        return job.run.id

    list(launcher(jobs, do, lambda event: None))
    return found


def with_workers(jobs, workers):
    return [replace(job, run=job.run.model_copy(update={"loader": Loader(workers=workers)})) for job in jobs]


@pytest.mark.parametrize(
    ("jobs", "devices", "sharing"),
    [
        (2, ["cpu"], {2}),
        (2, ["cuda:0", "cuda:1"], {1}),
        (4, ["cuda:0", "cuda:1"], {2}),
        (3, ["cuda:0", "cuda:1"], {1, 2}),
        (1, ["cuda:0"], {1}),
    ],
)
def test_a_run_knows_how_many_may_share_its_device(jobs, devices, sharing):
    found = places(JOBS, Parallel(jobs, devices=devices))
    assert {at_once for at_once, _ in found} <= sharing
    assert max(at_once for at_once, _ in found) <= max(sharing)
    if len(sharing) == 1:
        assert {at_once for at_once, _ in found} == sharing


def test_a_single_run_shares_nothing_whatever_jobs_says():
    assert places(with_workers(JOBS[:1], 4), Parallel(4, devices=["cpu"])) == [(1, 4)]


@pytest.mark.parametrize(("workers", "share"), [(0, 0), (1, 1), (2, 1), (6, 2), (8, 2)])
def test_runs_at_once_share_the_workers(workers, share):
    found = places(with_workers(JOBS, workers), Parallel(3, devices=["cpu"]))
    assert {each for _, each in found} == {share}
    assert {each for _, each in places(with_workers(JOBS, workers), Sequential("cpu"))} == {workers}
