"""Which launcher the options of `segbench run` come to."""

import pytest
import torch

from segbench.cli.launching import LauncherName, Launching, devices_for, started_by_torchrun
from segbench.engine.launchers import SeveralAtOnce
from segbench.engine.ray_launcher import RayLauncher
from segbench.engine.stopping import NEVER
from segbench.errors import UsageError
from segbench.results.store import Store


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path, "small")


def test_one_run_at_a_time_needs_no_launcher(store):
    for launching in (Launching(), Launching(jobs=1, in_process=True)):
        with launching.launcher_into(store, stop=NEVER) as doing:
            assert doing is None


def test_several_runs_at_a_time_are_done_on_the_device(store):
    with Launching(jobs=3, device="cpu").launcher_into(store, stop=NEVER) as doing:
        assert isinstance(doing, SeveralAtOnce)
        assert doing.jobs == 3


def test_ray_is_told_what_was_given_and_else_gives_a_core(store):
    of_ray = Launching(
        launcher=LauncherName.RAY, address="host:1", cpus_per_run=2, gpus_per_run=0.5, shared_results=True
    )
    with of_ray.launcher_into(store, stop=NEVER) as doing:
        assert doing == RayLauncher(store, "host:1", cpus=2, gpus=0.5, shared=True)
    with Launching(launcher=LauncherName.RAY).launcher_into(store, stop=NEVER) as doing:
        assert doing == RayLauncher(store, None, cpus=1, gpus=0.0)


def test_a_shared_folder_is_of_a_ray_cluster_only():
    with pytest.raises(UsageError, match=r"^--shared-results: of a Ray cluster; add --launcher ray"):
        Launching(shared_results=True).check()


def test_torchruns_processes_do_one_run_at_a_time(monkeypatch):
    assert not Launching().here
    assert Launching(jobs=2).can_be_tried_here
    assert not Launching(launcher=LauncherName.RAY).can_be_tried_here
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert Launching().here
    assert not Launching().can_be_tried_here
    for launching in (Launching(jobs=2), Launching(launcher=LauncherName.RAY)):
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
