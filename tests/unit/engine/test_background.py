"""Claims about threads beside a run: results in order, few calls at a time, none of them left behind."""

from __future__ import annotations

import threading
import time
from functools import partial

import pytest
import torch

from segbench.engine.background import CALLS_A_THREAD, MOST_THREADS, OrderedCalls, Threads, threads_of_run
from segbench.engine.concurrency import usable_cores
from segbench.engine.distributed import ALONE, ProcessGroup
from segbench.engine.launchers.local import Parallel

KINDS = [Threads(1), Threads(3), Threads(1, beside=True), Threads(3, beside=True)]


@pytest.mark.parametrize("threads", KINDS)
def test_results_come_in_the_order_of_the_calls(threads):
    def slow_first(number):
        time.sleep(0.002 * (number % 3 == 0))
        return number

    found = []
    with OrderedCalls(threads) as calls:
        for number in range(20):
            found += calls.add(partial(slow_first, number))
        found += calls.finish()
    assert found == list(range(20))


@pytest.mark.parametrize("threads", KINDS)
def test_only_so_many_calls_are_kept_at_a_time(threads):
    lock, given, most = threading.Lock(), 0, 0
    done = []
    with OrderedCalls(threads) as calls:
        for number in range(30):
            with lock:
                given += 1
                most = max(most, given - len(done))
            done += calls.add(lambda number=number: number)
    assert most <= CALLS_A_THREAD * threads.count


def test_without_threads_a_call_is_made_at_once_by_whoever_gives_it():
    with OrderedCalls(Threads(1)) as calls:
        assert list(calls.add(threading.get_ident)) == [threading.get_ident()]


def test_beside_a_run_calls_begin_at_once_and_otherwise_only_when_it_stands_still():
    began = threading.Event()
    with OrderedCalls(Threads(2, beside=True)) as calls:
        assert list(calls.add(began.set)) == []
        assert began.wait(300)
    late = threading.Event()
    with OrderedCalls(Threads(2)) as calls:
        assert list(calls.add(late.set)) == []
        time.sleep(0.05)
        assert not late.is_set()
        assert list(calls.finish()) == [None]
        assert late.is_set()


def test_threads_end_when_they_are_closed():
    before = threading.active_count()
    with OrderedCalls(Threads(4, beside=True)) as calls:
        for _ in range(3):
            list(calls.add(lambda: None))
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("device", "cores", "workers", "expected"),
    [
        ("cpu", 1, 0, Threads(1)),
        ("cpu", 4, 2, Threads(4)),
        ("cpu", 64, 0, Threads(MOST_THREADS)),
        ("cuda", 1, 0, Threads(1)),
        ("cuda", 2, 4, Threads(1, beside=True)),
        ("cuda", 8, 4, Threads(3, beside=True)),
        ("cuda", 64, 4, Threads(MOST_THREADS, beside=True)),
    ],
)
def test_a_run_has_the_threads_that_its_cores_allow(device, cores, workers, expected, monkeypatch):
    monkeypatch.setattr("segbench.engine.background.usable_cores", lambda: cores)
    assert threads_of_run(torch.device(device), ALONE, workers=workers) == expected
    monkeypatch.setattr("segbench.engine.background.usable_cores", lambda: 128)
    assert threads_of_run(torch.device(device), ALONE, workers=workers, cores=cores) == expected


def test_a_limit_below_the_affinity_is_one_for_jobs_and_threads_alike(monkeypatch):
    monkeypatch.setenv(
        "LOKY_MAX_CPU_COUNT", "1"
    )  # joblib takes the least of it, the affinity and the container's limit
    assert usable_cores() == 1
    assert threads_of_run(torch.device("cpu"), ALONE, workers=0) == Threads(1)
    assert Parallel(3, devices=["cpu"]).sharing == 3


def test_torchruns_processes_share_the_cores_of_their_machine(monkeypatch):
    monkeypatch.setattr("segbench.engine.background.usable_cores", lambda: 8)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    found = threads_of_run(torch.device("cuda"), ProcessGroup(rank=0, size=4), workers=1)
    assert found == Threads(2, beside=True)
