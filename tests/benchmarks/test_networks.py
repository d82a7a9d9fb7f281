"""Small networks, forward and training step, as benchmarks; their JSON is what ``segbench regress check`` reads.

    pytest tests/benchmarks --benchmark-json now.json

Side by side with other tests (pytest-xdist) pytest-benchmark only runs each once, without timing it.
"""

from __future__ import annotations

import pytest

NETWORKS = [
    {"name": "unet", "width": 0.125, "norm": "batch"},
    {"name": "segnet", "width": 0.125},
    {"name": "fc_densenet", "growth": 4, "first_channels": 12, "down_layers": [2, 2], "bottleneck_layers": 2},
]


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network["name"])
def test_inference(speed_case, benchmark, network):
    speed_case(network, size=(64, 64), classes=11)
    assert benchmark.extra_info["segbench_case"]["task"] == "inference"


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network["name"])
def test_training_step(speed_case, benchmark, network):
    recipe = {"steps": 1, "optimizer": {"name": "sgd", "lr": 0.01}}
    speed_case(network, task="training", size=(64, 64), classes=11, batch_size=2, recipe=recipe)
    assert benchmark.extra_info["segbench_case"]["task"] == "training"
