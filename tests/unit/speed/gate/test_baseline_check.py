"""Holding present figures against a baseline: nothing that vanished, and no other machine, ever passes."""

from __future__ import annotations

import pytest
from speed_cases import case, changed_fingerprint, fingerprint, record, restart

from segbench.results.speed.fingerprint import HARD_KEYS
from segbench.results.speed.record import SpeedStatus
from segbench.speed.gate.baseline_check import check
from segbench.speed.gate.decision import ExitCode, Verdict

BASE = (1.00, 1.01, 0.99, 1.02, 0.98)


def stored(*seconds, **changes):
    """Return a record with one restart for each time."""
    return record(*(restart(time) for time in seconds), **changes)


def test_the_same_figures_pass():
    result = check([stored(*BASE)], current=[stored(*BASE)])
    assert result.exit_code is ExitCode.PASSED
    assert result.notes == ()


def test_slower_figures_have_regressed():
    result = check([stored(*BASE)], current=[stored(*(1.2 * time for time in BASE))])
    assert result.exit_code is ExitCode.REGRESSED
    assert result.cases[0].decision.ratio == pytest.approx(1.2)


def test_a_case_that_vanished_is_named_and_does_not_pass():
    kept, renamed = stored(*BASE), stored(*BASE, model={"name": "cnn", "width": 0.5}, label="wide")
    result = check([kept, renamed], current=[kept])
    assert result.exit_code is ExitCode.NOT_COMPARABLE
    assert result.cases[1].decision.reason.startswith("missing")


def test_a_case_under_a_new_label_is_the_same_case():
    assert check([stored(*BASE)], current=[stored(*BASE, label="other")]).exit_code is ExitCode.PASSED


def test_a_new_case_is_named_and_decides_nothing():
    new = stored(*BASE, batch_size=2)
    result = check([stored(*BASE)], current=[stored(*BASE), new])
    assert result.exit_code is ExitCode.PASSED
    assert result.notes == (f"new, not in the baseline: {new.case.key}",)


@pytest.mark.parametrize("key", HARD_KEYS)
def test_another_machine_is_never_compared_and_the_key_is_named(key):
    elsewhere = stored(*BASE).model_copy(update={"environment": changed_fingerprint(key, "other")})
    result = check([stored(*BASE)], current=[elsewhere])
    assert result.exit_code is ExitCode.NOT_COMPARABLE
    assert f"{key}: 'some {key.rpartition('.')[2]}' before, 'other' now" in result.cases[0].decision.reason


def test_a_soft_key_that_changed_is_noted():
    elsewhere = stored(*BASE).model_copy(update={"environment": changed_fingerprint("python", "4.0")})
    result = check([stored(*BASE)], current=[elsewhere])
    assert result.exit_code is ExitCode.PASSED
    assert result.notes == ("differs, but does not prevent the comparison: python: 'some python' before, '4.0' now",)


@pytest.mark.parametrize("lost_side", ["baseline", "current"])
def test_a_case_that_was_not_measured_is_not_comparable(lost_side):
    lost = record(restart(status=SpeedStatus.OUT_OF_MEMORY, reason="out of memory", warmup=None))
    sides = {"baseline": stored(*BASE), "current": stored(*BASE)} | {lost_side: lost}
    result = check([sides["baseline"]], current=[sides["current"]])
    assert result.exit_code is ExitCode.NOT_COMPARABLE
    assert "out of memory" in result.cases[0].decision.reason


@pytest.mark.parametrize(("factor", "code"), [(2.0, ExitCode.REGRESSED), (1.0, ExitCode.PASSED)])
def test_as_few_stored_restarts_as_there_are_decide(factor, code):
    two = (1.0, 1.001)
    assert check([stored(*two)], current=[stored(*(factor * time for time in two))]).exit_code is code


def test_one_restart_on_either_side_decides_nothing():
    assert check([stored(1.0)], current=[stored(9.0)]).exit_code is ExitCode.INCONCLUSIVE


def test_the_devices_clock_counts_only_where_both_sides_have_it():
    by_device = record(*(restart(2 * time, device_seconds=(time,) * 3) for time in BASE))
    by_host = stored(*(2 * time for time in BASE))
    assert check([by_device], current=[by_host]).cases[0].decision.ratio == pytest.approx(1.0)
    slower = record(*(restart(2 * time, device_seconds=(1.5 * time,) * 3) for time in BASE))
    assert check([by_device], current=[slower]).cases[0].decision.ratio == pytest.approx(1.5)


class Machine:
    """Measures with given factors, one for each call; a factor of None is a failure."""

    def __init__(self, *factors):
        self.factors, self.calls = list(factors), []

    def __call__(self, cases, restarts):
        self.calls.append((len(cases), restarts))
        factor = self.factors.pop(0) if len(self.factors) > 1 else self.factors[0]
        if factor is None:
            failed = restart(status=SpeedStatus.FAILED, reason="RuntimeError", warmup=None)
            return [record(*[failed] * restarts) for _ in cases]
        times = [factor * BASE[index % 5] for index in range(restarts)]
        return [stored(*times, **one.model_dump(exclude={"label"})) for one in cases]


def measured(*factors):
    machine = Machine(*factors)
    return check([stored(*BASE)], machine=fingerprint(), measure=machine), machine


def test_what_is_as_fast_passes_at_the_first_look():
    result, machine = measured(1.0)
    assert result.exit_code is ExitCode.PASSED
    assert machine.calls == [(1, 5)]


def test_a_regression_is_confirmed_in_fresh_processes():
    result, machine = measured(1.3)
    assert result.exit_code is ExitCode.REGRESSED
    assert machine.calls == [(1, 5), (1, 5)]
    assert "confirmed in fresh processes" in result.cases[0].decision.reason


def test_a_regression_that_is_not_found_again_is_inconclusive():
    result, _ = measured(1.3, 1.0)
    assert result.exit_code is ExitCode.INCONCLUSIVE


def test_a_case_that_fails_while_it_is_checked_is_not_comparable():
    result, machine = measured(None)
    assert result.exit_code is ExitCode.NOT_COMPARABLE
    assert result.cases[0].decision.reason == "could not be measured now: RuntimeError"
    assert machine.calls == [(1, 5)]


def test_nothing_is_measured_on_another_machine():
    machine = Machine(1.0)
    result = check([stored(*BASE)], machine=changed_fingerprint("processor", "other"), measure=machine)
    assert result.exit_code is ExitCode.NOT_COMPARABLE
    assert machine.calls == []
    assert result.cases[0].decision.verdict is Verdict.NOT_COMPARABLE


def test_cases_are_told_apart_by_identity():
    both = [stored(*BASE), stored(*(2 * time for time in BASE), batch_size=2)]
    result = check(both, current=list(reversed(both)))
    assert result.exit_code is ExitCode.PASSED
    assert [checked.case.batch_size for checked in result.cases] == [1, 2]
    assert case().identity == result.cases[0].case.identity
