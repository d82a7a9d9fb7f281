"""Networks from elsewhere are tried in processes of their own, for a bounded time."""

import sys

import pytest
from tiny import document

from segbench.config.load import check
from segbench.config.plan import plan
from segbench.engine.processes import call_in_process
from segbench.engine.run.network_inputs import NetworkInputs
from segbench.engine.suite import preflight_outputs as output_trials
from segbench.engine.suite.preflight import Preflight
from segbench.engine.suite.preflight_outputs import output_refusals

NETWORKS = """
import os, time
from torch import nn

class Usual(nn.Conv2d):
    def __init__(self, classes, channels):
        super().__init__(channels, classes, 1)

class Endless(Usual):
    def forward(self, images):
        while True:
            time.sleep(0.01)

class Crashing(Usual):
    def forward(self, images):
        os._exit(7)

class Wrong(Usual):
    def forward(self, images):
        return super().forward(images)[:, :1]
"""


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Return a run of each network, and of the wrong one a second under another label."""
    (tmp_path / "tried_networks.py").write_text(NETWORKS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delitem(sys.modules, "tried_networks", raising=False)
    names = ["Endless", "Usual", "Crashing", "Wrong"]
    models = [{"name": f"python:tried_networks.{name}", "label": name} for name in names]
    models.append({"name": "python:tried_networks.Wrong", "label": "again"})
    return plan(check(document(models=models, seeds=[0], defaults={})))


@pytest.mark.slow(reason="waits for a network that hangs")
def test_a_network_that_does_not_come_to_an_end_is_left_to_its_run_and_the_others_are_tried(runs, monkeypatch):
    monkeypatch.setattr(output_trials, "TRIAL_SECONDS", 5.0)
    calls = []

    def call(function, *arguments):
        calls.append(arguments[0].model.label)
        return call_in_process(function, *arguments)

    inputs = {run.id: NetworkInputs(3, 3, ((32, 32),)) for run in runs}
    found = Preflight({}, {}, {}, [], inputs)
    refusals = output_refusals(runs, found, call=call)
    assert calls == ["Endless", "Usual", "Crashing", "Wrong"], "equal networks are tried once"
    refused = {run.model.label: refusals[run.id] for run in runs if run.id in refusals}
    assert refused.keys() == {"Wrong", "again"}
    assert all("1 " in reason and "3" in reason for reason in refused.values())
