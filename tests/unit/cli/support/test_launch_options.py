"""Which launcher the options of `segbench run` come to."""

import pytest
import torch

from segbench.cli.support.launch_options import LaunchOptions, devices_for, started_by_torchrun
from segbench.cli.support.options import LauncherName
from segbench.engine.estimate.estimate import RunEstimate, SuiteEstimate
from segbench.engine.launchers.local import Parallel
from segbench.engine.launchers.ray import RayLauncher
from segbench.engine.stopping import NEVER
from segbench.errors import UsageError
from segbench.results.store import Store


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path, "small")


def test_one_run_at_a_time_needs_no_launcher(store):
    for launching in (LaunchOptions(), LaunchOptions(jobs="1", in_process=True)):
        with launching.launcher_into(store, stop=NEVER, jobs=launching.jobs_for(1, threads=1)) as doing:
            assert doing is None


def test_several_runs_at_a_time_are_done_on_the_device_with_the_threads_of_the_suite(store):
    for launching in (LaunchOptions(jobs="3", device="cpu"), LaunchOptions(device="cpu")):
        with launching.launcher_into(store, stop=NEVER, jobs=3, threads=4) as doing:
            assert isinstance(doing, Parallel)
            assert (doing.jobs, doing.threads) == (3, 4)


@pytest.fixture
def machine(monkeypatch):
    """Give this machine so many cores and so much memory."""

    def make(*, cores, memory_bytes=10**12):
        monkeypatch.setattr("segbench.engine.concurrency.usable_cores", lambda: cores)
        monkeypatch.setattr("segbench.engine.concurrency.free_memory_bytes", lambda: memory_bytes)

    return make


@pytest.mark.parametrize(
    ("cores", "threads", "pending", "expected"),
    [(8, 1, 20, 8), (8, 1, 3, 3), (8, 3, 20, 2), (8, 16, 20, 1), (1, 1, 20, 1), (8, 1, 1, 1), (8, 1, 0, 1)],
)
def test_without_jobs_a_processor_does_as_many_runs_as_its_cores_allow(machine, cores, threads, pending, expected):
    machine(cores=cores)
    for jobs in (None, "auto"):
        assert LaunchOptions(jobs=jobs, device="cpu").jobs_for(pending, threads=threads) == expected


def test_without_jobs_no_more_runs_are_done_at_a_time_than_fit_into_memory(machine):
    machine(cores=8, memory_bytes=10 * 10**9)
    runs = tuple(RunEstimate(str(size), "a", 0, peak_memory_bytes=size) for size in (1, 4 * 10**9))
    assert LaunchOptions(device="cpu").jobs_for(8, threads=1, estimate=SuiteEstimate(runs)) == 2
    assert LaunchOptions(device="cpu").jobs_for(8, threads=1, estimate=SuiteEstimate(runs[:1])) == 8


def test_without_an_estimate_a_run_is_taken_to_need_2_gigabytes(machine):
    untried = SuiteEstimate(tuple(RunEstimate(name, name, 0, problem="no time") for name in "ab"))
    for free, expected in ((7 * 10**9, 3), (2 * 10**9, 1), (10**9, 1), (10**12, 8)):
        machine(cores=8, memory_bytes=free)
        for estimate in (None, untried):
            assert LaunchOptions(device="cpu").jobs_for(8, threads=1, estimate=estimate) == expected


def test_runs_that_could_not_be_tried_are_taken_to_need_what_the_largest_does_that_was(machine):
    machine(cores=8, memory_bytes=12 * 10**9)
    untried = tuple(RunEstimate(str(number), "a", number, problem="no time") for number in range(7))
    known = RunEstimate("known", "b", 0, peak_memory_bytes=5 * 10**9)
    assert LaunchOptions(device="cpu").jobs_for(8, threads=1, estimate=SuiteEstimate((known, *untried))) == 2


def test_without_jobs_an_accelerator_does_one_run_at_a_time(machine, monkeypatch):
    machine(cores=8)
    monkeypatch.setattr("segbench.engine.concurrency.device_type", lambda device: "cuda")
    assert LaunchOptions().jobs_for(8, threads=1) == 1


def test_in_one_process_or_on_a_cluster_nothing_is_shared_out(machine):
    machine(cores=8)
    for launching in (LaunchOptions(device="cpu", in_process=True), LaunchOptions(launcher=LauncherName.RAY)):
        assert launching.jobs_for(8, threads=1) == 1


def test_a_number_of_jobs_is_taken_as_it_is(machine):
    machine(cores=2)
    assert LaunchOptions(device="cpu", jobs="5").jobs_for(2, threads=1) == 5


@pytest.mark.parametrize("jobs", ["0", "-1", "two", "1.5", ""])
def test_what_is_no_number_of_jobs_is_refused(jobs):
    with pytest.raises(UsageError, match=f"^--jobs {jobs}: expected auto or a whole number, at least 1"):
        LaunchOptions(jobs=jobs).check()


def test_ray_is_told_what_was_given_and_else_gives_a_core(store):
    of_ray = LaunchOptions(
        launcher=LauncherName.RAY, address="host:1", cpus_per_run=2, gpus_per_run=0.5, shared_results=True
    )
    with of_ray.launcher_into(store, stop=NEVER) as doing:
        assert doing == RayLauncher(store, "host:1", cpus=2, gpus=0.5, shared=True)
    with LaunchOptions(launcher=LauncherName.RAY).launcher_into(store, stop=NEVER) as doing:
        assert doing == RayLauncher(store, None, cpus=1, gpus=0.0)
    with LaunchOptions(launcher=LauncherName.RAY).launcher_into(store, stop=NEVER, threads=4) as doing:
        assert doing == RayLauncher(store, None, cpus=4, gpus=0.0)


def test_a_shared_folder_is_of_a_ray_cluster_only():
    with pytest.raises(UsageError, match=r"^--shared-results: of a Ray cluster; add --launcher ray"):
        LaunchOptions(shared_results=True).check()


def test_torchruns_processes_do_one_run_at_a_time(monkeypatch):
    assert not LaunchOptions().here
    assert LaunchOptions(jobs="2").can_be_tried_here
    assert not LaunchOptions(launcher=LauncherName.RAY).can_be_tried_here
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert LaunchOptions().here
    assert not LaunchOptions().can_be_tried_here
    for launching in (LaunchOptions(jobs="2"), LaunchOptions(launcher=LauncherName.RAY)):
        with pytest.raises(UsageError, match="torchrun's processes do one run at a time"):
            launching.check()


@pytest.mark.parametrize(
    ("jobs", "device", "expected"),
    [
        (2, "auto", ["cuda:0", "cuda:1"]),
        (8, "cuda", ["cuda:0", "cuda:1", "cuda:2"]),
        (2, "cuda:2", ["cuda:2"]),
        (2, "cpu", ["cpu"]),
    ],
)
def test_jobs_are_spread_over_all_gpus_unless_one_device_is_named(jobs, device, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert devices_for(jobs, device) == expected


def test_without_a_gpu_jobs_share_the_device_that_was_asked_for(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices_for(2, "auto") == ["auto"]


def test_torchrun_is_known_by_what_it_sets(monkeypatch):
    for name in ("TORCHELASTIC_RUN_ID", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert not started_by_torchrun()
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert not started_by_torchrun()  # other systems set it too
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    assert started_by_torchrun()
