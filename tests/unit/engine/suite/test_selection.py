"""Claims about the order of runs: what is under way first, what failed last, and between them what was asked for."""

from __future__ import annotations

import pytest
from tiny import document

from segbench.config.load import check
from segbench.config.plan import plan
from segbench.engine.suite.selection import RunOrder, ordered

RUNS = plan(check(document(models=["cnn", "unet", "segnet_basic"], seeds=[0, 1])))
IDS = [run.id for run in RUNS]
SECONDS = dict(zip(IDS, [30.0, 10.0, 20.0, 5.0], strict=False))
"""The last two are not known."""


def ids(order, **more):
    return [run.id for run in ordered(RUNS, order, seconds=SECONDS, **more)]


def test_the_suites_own_order_is_kept():
    assert ids(RunOrder.SUITE) == IDS


def test_the_cheapest_come_first_and_those_of_unknown_length_last():
    assert ids(RunOrder.CHEAPEST) == [IDS[3], IDS[1], IDS[2], IDS[0], IDS[4], IDS[5]]


def test_random_order_does_every_run_once_and_not_always_the_same_first():
    found = [ids(RunOrder.RANDOM) for _ in range(60)]
    assert all(sorted(each) == sorted(IDS) for each in found)
    assert len({each[0] for each in found}) > 1  # all alike once in 6^59


@pytest.mark.parametrize("order", list(RunOrder))
def test_runs_under_way_come_first_and_failed_ones_last(order):
    found = ids(order, begun={IDS[4]}, failed={IDS[0]})
    assert found[0] == IDS[4]
    assert found[-1] == IDS[0]
    both = ids(order, begun={IDS[4]}, failed={IDS[4]})
    assert both[-1] == IDS[4]
