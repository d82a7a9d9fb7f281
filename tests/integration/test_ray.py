"""A Ray cluster of two nodes, one of which is lost: the suite ends with the same results as on this machine."""

from __future__ import annotations

import threading

import pytest
from tiny import document

from segbench.config.load import check
from segbench.engine.launch import run_suite
from segbench.engine.launchers import SeveralAtOnce
from segbench.engine.ray_launcher import RayLauncher
from segbench.errors import UsageError
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


@pytest.mark.timeout(600)
def test_a_node_that_is_lost_costs_no_result(cluster, tmp_path):
    suite = check(document(models=["cnn", "segnet_basic"], seeds=[0, 1], train={"epochs": 4}))
    here = run_suite(
        suite, results=tmp_path / "here", device="cpu", launcher=SeveralAtOnce(1, devices=["cpu"], cores=1)
    )
    told = []
    lost = threading.Timer(8.0, lambda: cluster.remove_node(cluster.workers[0], allow_graceful=False))
    lost.start()
    launcher = RayLauncher(Store(tmp_path / "there", suite.name), cluster.address)
    there = run_suite(suite, results=tmp_path / "there", device="cpu", launcher=launcher, observer=told.append)
    lost.join()
    assert there.complete
    assert facts(there) == facts(here)


def test_no_cluster_at_an_address_is_told_at_once(tmp_path):
    launcher = RayLauncher(Store(tmp_path, "s"), "127.0.0.1:1")
    with pytest.raises(UsageError, match=r"--address 127\.0\.0\.1:1: no Ray cluster answers"):
        list(launcher([], lambda *_: None, print))
