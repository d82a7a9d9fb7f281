"""A Ray cluster of two nodes, one of which is lost: the suite ends with the same results as on this machine."""

from __future__ import annotations

import threading
import time
from contextlib import nullcontext

import numpy as np
import psutil
import pytest
from PIL import Image
from tiny import document

from segbench.config.load import check
from segbench.config.plan import plan
from segbench.engine.events import EpochEnded, Notice, RunEnded, RunStarted
from segbench.engine.launchers.local import Job, Parallel
from segbench.engine.launchers.ray import RayLauncher
from segbench.engine.launchers.ray_worker import SharedFolder
from segbench.engine.suite.run_suite import run_suite
from segbench.errors import DataError, UsageError
from segbench.results.store import Store

ray = pytest.importorskip("ray", reason="ray is not installed: pip install ray")

pytestmark = pytest.mark.slow(reason="starts a Ray cluster, whose processes import torch, for every test")


@pytest.fixture
def write_images():
    """Return a function that writes a data set of two classes as images and masks."""

    def write(root):
        draw = np.random.default_rng(0)
        for kind, shape, most in (("images", (32, 32, 3), 256), ("masks", (32, 32), 2)):
            for split in ("train", "val", "test"):
                folder = root / kind / split
                folder.mkdir(parents=True)
                for number in range(4):
                    Image.fromarray(draw.integers(0, most, shape, np.uint8)).save(folder / f"{split}{number}.png")

    return write


@pytest.fixture
def cluster():
    """Two nodes of one core each, beside a head that does nothing."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    made.workers = [made.add_node(num_cpus=1) for _ in range(2)]
    made.wait_for_nodes()
    ray.init(address=made.address, log_to_driver=False)
    yield made
    ray.shutdown()
    made.shutdown()


def facts(outcome):
    return {
        record.id: (
            record.outcome.status,
            record.data,
            record.test_loss,
            (outcome.store.folder / record.id / "confusion.npz").read_bytes(),
        )
        for record in outcome.records
    }


def running_tasks():
    """The processes that are doing a run; Ray names them after what they do."""
    return [
        process for process in psutil.process_iter(["cmdline"]) if "ray::do_run" in (process.info["cmdline"] or [""])[0]
    ]


def kill_a_busy_node(cluster, begun):
    """Wait until both nodes have done a part of a run, and kill the processes of one."""
    until = time.monotonic() + 200
    while (len(running_tasks()) < 2 or not begun()) and time.monotonic() < until:
        time.sleep(0.1)
    cluster.remove_node(cluster.workers[0], allow_graceful=False)


@pytest.mark.parametrize("shared", [False, True])
def test_a_node_that_is_lost_costs_no_result(cluster, tmp_path, shared):
    suite = check(
        document(
            models=["cnn", "segnet_basic"],
            seeds=[0, 1],
            dataset={"size": [64, 96]},
            train={"epochs": 15},
            resume={"every_steps": 1, "every_minutes": None},
        )
    )
    here = run_suite(suite, results=tmp_path / "here", device="cpu", launcher=Parallel(1, devices=["cpu"], cores=1))
    told = []

    def begun():
        trained, ended = (
            {event.run_id for event in list(told) if isinstance(event, kind)} for kind in (EpochEnded, RunEnded)
        )
        return len(trained - ended) == 2

    killer = threading.Thread(target=kill_a_busy_node, args=(cluster, begun), daemon=True)
    killer.start()
    launcher = RayLauncher(Store(tmp_path / "there", suite.name), cluster.address, shared=shared)
    there = run_suite(suite, results=tmp_path / "there", device="cpu", launcher=launcher, observer=told.append)
    killer.join(30)
    notices = [event.text for event in told if isinstance(event, Notice)]
    assert len([text for text in notices if "was lost" in text]) == 1, notices
    assert len([text for text in notices if "goes on from step" in text]) == (1 if shared else 0), notices
    assert there.complete
    assert facts(there) == facts(here)
    there.store.clean()  # of what the lost process was writing
    assert not [path for path in there.store.folder.iterdir() if path.name.startswith(".")]  # no state, no sign
    names = {record.id for record in there.records}
    assert {event.run_id for event in told if isinstance(event, EpochEnded)} == names
    begun_at, ended_at = (
        {event.run_id: number for number, event in enumerate(told) if isinstance(event, kind)}
        for kind in (RunStarted, RunEnded)
    )
    assert begun_at.keys() == ended_at.keys() == names
    assert min(ended_at.values()) < max(begun_at.values())  # a run is announced when it begins


def test_a_run_that_one_machine_cannot_do_is_done_by_another(tmp_path, monkeypatch, write_images):
    from ray.cluster_utils import Cluster

    write_images(tmp_path / "data" / "folder")
    monkeypatch.setenv("SEGBENCH_DATA", str(tmp_path / "nowhere"))
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    bad = made.add_node(num_cpus=1)
    monkeypatch.setenv("SEGBENCH_DATA", str(tmp_path / "data"))
    good = made.add_node(num_cpus=1)
    made.wait_for_nodes()
    ray.init(address=made.address, log_to_driver=False)
    try:
        dataset = {"name": "folder", "classes": ["a", "b"]}
        suite = document(models=["cnn"], seeds=[0, 1, 2, 3], dataset=None, train={"epochs": 1, "batch_size": 2})
        suite = check(suite | {"dataset": dataset})
        told = []
        launcher = RayLauncher(Store(tmp_path / "results", suite.name), made.address)
        outcome = run_suite(
            suite,
            results=tmp_path / "results",
            device="cpu",
            in_process=True,  # the process that others are forked from has the environment of before
            launcher=launcher,
            observer=told.append,
        )
        assert outcome.complete
        notices = [event.text for event in told if isinstance(event, Notice)]
        assert any("cannot do it, another machine is tried" in text for text in notices), notices
        made.remove_node(good)
        with pytest.raises(DataError, match="nowhere"):
            run_suite(suite, results=tmp_path / "others", device="cpu", in_process=True, launcher=launcher)
    finally:
        ray.shutdown()
        made.shutdown()
    assert bad.node_id != good.node_id


def test_another_folder_under_the_path_of_a_shared_one_is_refused(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(RayLauncher, "_sign", lambda _: nullcontext(SharedFolder(tmp_path, ".of-another-folder")))
    (run,) = plan(check(document(models=["cnn"], train={"epochs": 1})))
    launcher = RayLauncher(Store(tmp_path, "tiny"), cluster.address, shared=True)
    with pytest.raises(UsageError, match=r"--shared-results: on .* is not the folder of the machine that gave"):
        list(launcher([Job(run, 1, 1)], lambda *_: None, lambda event: None))


def test_what_one_run_lacks_is_told_when_the_others_are_done(cluster, tmp_path):
    without = document(models=["cnn"])
    without["dataset"] = {"name": "folder", "root": str(tmp_path / "nowhere"), "classes": ["a", "b"]}
    (good,), (bad,) = (plan(check(given)) for given in (document(models=["cnn"], train={"epochs": 1}), without))
    store = Store(tmp_path, "tiny")
    launcher = RayLauncher(store, cluster.address)
    with pytest.raises(DataError, match="nowhere"):
        list(launcher([Job(bad, 1, 2), Job(good, 2, 2)], lambda *_: None, lambda event: None))
    assert store.find(good.id, good.identity).outcome.status == "completed"
    assert store.find(bad.id) is None


def test_what_no_machine_can_give_is_refused(cluster, tmp_path):
    launcher = RayLauncher(Store(tmp_path, "s"), cluster.address, cpus=64)
    with pytest.raises(UsageError, match="no machine of the cluster has that many"):
        list(launcher([], lambda *_: None, print))


def test_no_cluster_at_an_address_is_told_at_once(tmp_path):
    launcher = RayLauncher(Store(tmp_path, "s"), "127.0.0.1:1")
    with pytest.raises(UsageError, match=r"--address 127\.0\.0\.1:1: no Ray cluster answers"):
        list(launcher([], lambda *_: None, print))
