"""A Ray cluster of two nodes, one of which is lost: the suite ends with the same results as on this machine."""

from __future__ import annotations

import threading
import time

import psutil
import pytest
from tiny import document

from segbench.config.load import check
from segbench.config.plan import plan
from segbench.engine.events import EpochEnded, Notice
from segbench.engine.launch import run_suite
from segbench.engine.launchers import Job, SeveralAtOnce
from segbench.engine.ray_launcher import RayLauncher
from segbench.errors import DataError, UsageError
from segbench.results.store import Store

ray = pytest.importorskip("ray", reason="ray is not installed: pip install 'segbench[ray]'")

pytestmark = pytest.mark.slow  # starts a cluster, and every run starts a process that imports torch


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
        process
        for process in psutil.process_iter(["cmdline"])
        if "ray::_remote" in (process.info["cmdline"] or [""])[0]
    ]


def kill_a_busy_node(cluster):
    """Wait until both nodes have done a part of a run, and kill the processes of one."""
    while len(running_tasks()) < 2:
        time.sleep(0.2)
    time.sleep(2)
    cluster.remove_node(cluster.workers[0], allow_graceful=False)


@pytest.mark.timeout(600)
def test_a_node_that_is_lost_costs_no_result(cluster, tmp_path):
    suite = check(document(models=["cnn", "segnet_basic"], seeds=[0, 1], train={"epochs": 4}))
    here = run_suite(
        suite, results=tmp_path / "here", device="cpu", launcher=SeveralAtOnce(1, devices=["cpu"], cores=1)
    )
    told = []
    killer = threading.Thread(target=kill_a_busy_node, args=(cluster,))
    killer.start()
    launcher = RayLauncher(Store(tmp_path / "there", suite.name), cluster.address)
    there = run_suite(suite, results=tmp_path / "there", device="cpu", launcher=launcher, observer=told.append)
    killer.join()
    lost = [event.text for event in told if isinstance(event, Notice) and "was lost" in event.text]
    assert len(lost) == 1, lost
    assert there.complete
    assert facts(there) == facts(here)
    epochs = [event for event in told if isinstance(event, EpochEnded)]
    assert {event.run_id for event in epochs} == {record.id for record in there.records}


@pytest.mark.timeout(300)
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


@pytest.mark.timeout(300)
def test_what_no_machine_can_give_is_refused(cluster, tmp_path):
    launcher = RayLauncher(Store(tmp_path, "s"), cluster.address, cpus=64)
    with pytest.raises(UsageError, match="no machine of the cluster has that many"):
        list(launcher([], lambda *_: None, print))


def test_no_cluster_at_an_address_is_told_at_once(tmp_path):
    launcher = RayLauncher(Store(tmp_path, "s"), "127.0.0.1:1")
    with pytest.raises(UsageError, match=r"--address 127\.0\.0\.1:1: no Ray cluster answers"):
        list(launcher([], lambda *_: None, print))
