"""Claims about what is measured again: nothing that this machine has measured whole, everything else."""

from __future__ import annotations

import pytest
from speed_cases import case, changed_fingerprint, fingerprint, record, restart

from segbench.results.speed.fingerprint import HARD_KEYS, SOFT_KEYS
from segbench.results.speed.record import SpeedStatus
from segbench.speed.cases import PlannedCase
from segbench.speed.missing import missing
from segbench.speed.run_cases import Settings

FULL = restart(status=SpeedStatus.OUT_OF_MEMORY, reason="out of memory", warmup=None)


def left(planned, *stored, restarts=1, seconds=0.0, machine=None):
    settings = Settings("cpu", restarts, seconds)
    return missing(planned, stored, settings=settings, machines={1: machine or fingerprint()})


def test_what_was_measured_is_not_measured_again():
    other = PlannedCase(case(batch_size=2))
    assert left([PlannedCase(case()), other], record(restart(0.1))) == [other]


def test_fewer_restarts_than_asked_for_are_measured_again():
    assert left([PlannedCase(case())], record(restart(0.1)), restarts=2)
    assert not left([PlannedCase(case())], record(restart(0.1), restart(0.1)), restarts=2)


def test_what_was_sampled_more_briefly_is_measured_again():
    brief = record(restart(0.1)).model_copy(update={"seconds": 0.5})
    assert left([PlannedCase(case())], brief, seconds=2.0)
    assert not left([PlannedCase(case())], brief, seconds=0.5)


@pytest.mark.parametrize("status", [status for status in SpeedStatus if status is not SpeedStatus.MEASURED])
def test_what_was_not_measured_is_tried_again(status):
    assert left([PlannedCase(case())], record(restart(status=status, reason="why", warmup=None)))


def test_a_case_with_one_failed_restart_is_tried_again():
    failed = restart(status=SpeedStatus.FAILED, reason="why", warmup=None)
    assert left([PlannedCase(case())], record(restart(0.1), failed), restarts=2)


@pytest.mark.parametrize("key", HARD_KEYS)
def test_what_another_machine_measured_is_measured_here(key):
    assert left([PlannedCase(case())], record(restart(0.1)), machine=changed_fingerprint(key, "another"))


@pytest.mark.parametrize("key", SOFT_KEYS)
def test_a_soft_difference_is_not_measured_again(key):
    assert not left([PlannedCase(case())], record(restart(0.1)), machine=changed_fingerprint(key, "another"))


def test_a_module_that_changed_is_measured_again(tmp_path, monkeypatch):
    (tmp_path / "their_module.py").write_text("def net(classes, channels): ...", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    python = {"model": {"name": "python:their_module.net"}}
    assert left([PlannedCase(case(**python))], record(restart(0.1), **python))


def sweep(*restarts_of_batches):
    return [record(one, batch_size=2**power) for power, one in enumerate(restarts_of_batches)]


@pytest.mark.parametrize(
    ("stored", "whole"),
    [
        ([restart(1.0), restart(1.2), restart(2.4)], True),  # the third gains nothing
        ([restart(1.0), restart(1.2)], False),  # the second gains, so a third is due
        ([restart(1.0), FULL], True),
        ([FULL], False),
        ([], False),
    ],
)
def test_a_sweep_is_done_when_it_was_followed_to_its_end(stored, whole):
    assert (left([PlannedCase(case(), sweeps=True)], *sweep(*stored)) == []) is whole
