"""Compares current speed records with a stored baseline; reports cases and machines that differ."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from segbench.results.speed.fingerprint import HARD_KEYS, SOFT_KEYS, differences
from segbench.results.speed.record import Restart, SpeedCase, SpeedRecord, SpeedStatus
from segbench.speed.gate.decision import LEAST_RESTARTS, Decision, ExitCode, Rule, Verdict, confirmed, exit_code
from segbench.speed.gate.decision_unpaired import Times, decide_unpaired, more_needed_unpaired

Measure = Callable[[Sequence[SpeedCase], int], Sequence[SpeedRecord]]
"""Measures cases in a given number of fresh processes each."""


@dataclass(frozen=True)
class Checked:
    """The result for one case of a baseline.

    Attributes:
        case: The case.
        decision: The outcome.
        base_seconds: The baseline's median seconds of a call in each restart.
        head_seconds: The same for the current measurement.
    """

    case: SpeedCase
    decision: Decision
    base_seconds: tuple[float, ...] = ()
    head_seconds: tuple[float, ...] = ()


@dataclass(frozen=True)
class CheckResult:
    """The result of a check.

    Attributes:
        cases: All cases of the baseline in order, then further cases of the current measurement.
        notes: Differences of the machine that do not prevent a comparison.
        rule: The decision rule.
    """

    cases: tuple[Checked, ...]
    notes: tuple[str, ...]
    rule: Rule

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the command."""
        return exit_code(checked.decision for checked in self.cases)


def check(
    baseline: Sequence[SpeedRecord],
    *,
    current: Sequence[SpeedRecord] | None = None,
    machine: Mapping[str, Any] | None = None,
    measure: Measure | None = None,
    rule: Rule | None = None,
) -> CheckResult:
    """Decide for each case of a baseline whether it became slower.

    Args:
        baseline: The stored baseline.
        current: Stored current records. If given, nothing is measured, and a regression stays unconfirmed.
        machine: The current machine's fingerprint; default: that of the current records. Cases of other machines are
            not measured.
        measure: Measures cases; required without current records.
        rule: Threshold, looks and error rate.

    Raises:
        UsageError: The baseline holds no case.
    """
    rule = rule or Rule()
    if current is not None:
        rule = _of_stored(rule, current)
    present = {record.case.identity: record for record in current or ()}
    apart = {record.case.identity: _apart(record, present, machine, measured=measure is None) for record in baseline}
    comparable = [record for record in baseline if apart[record.case.identity] is None]
    times = {record.case.identity: _times(record, present.get(record.case.identity)) for record in comparable}
    lost: dict[str, str] = {}
    again: dict[str, Decision] = {}
    if measure is not None:
        baselines = {record.case.identity: record for record in comparable}
        times = _measured(baselines, times, measure, rule, lost)
        again = _confirmation(baselines, times, measure, rule, lost)
    decisions = {
        identity: confirmed(decision, again.get(identity)) if measure is not None else decision
        for identity, decision in decide_unpaired(times, rule).items()
    }
    apart |= {identity: f"could not be measured now: {reason}" for identity, reason in lost.items()}
    checked = [_checked(record, apart[record.case.identity], decisions, times) for record in baseline]
    return CheckResult(tuple(checked), _notes(baseline, current, machine), rule)


def _apart(
    record: SpeedRecord, present: Mapping[str, SpeedRecord], machine: Mapping[str, Any] | None, *, measured: bool
) -> str | None:
    """Return why a case of the baseline cannot be compared; None if it can."""
    if not _medians(record):
        return f"the baseline holds no measurement of it: {record.restarts[0].reason}"
    now = present.get(record.case.identity)
    if measured and now is None:
        return "missing: this case is in the baseline, but was not measured now; was it renamed or removed?"
    if now is not None and not _medians(now):
        return f"could not be measured now: {now.restarts[0].reason}"
    fingerprint = machine or (now.environment if now else {})
    found = differences(record.environment, fingerprint, keys=HARD_KEYS)
    return f"another machine: {'; '.join(map(str, found))}" if found else None


def _of_stored(rule: Rule, current: Sequence[SpeedRecord]) -> Rule:
    """Return the rule with a single look after all measured restarts, since no more will follow."""
    counts = [len(_medians(record)) for record in current]
    enough = [count for count in counts if count >= LEAST_RESTARTS]
    return replace(rule, looks=(min(enough),)) if enough else rule


def _times(baseline: SpeedRecord, now: SpeedRecord | None) -> Times:
    """Return the seconds of a call on both sides by the same clock: the device's if both have it, else the host's."""
    sides = [record for record in (baseline, now) if record is not None]
    by_device = all(restart.device_seconds for record in sides for restart in _whole(record))
    return Times(_medians(baseline, by_device=by_device), _medians(now, by_device=by_device))


def _measured(
    baselines: Mapping[str, SpeedRecord],
    times: Mapping[str, Times],
    measure: Measure,
    rule: Rule,
    lost: dict[str, str],
) -> dict[str, Times]:
    """Measure more restarts of the head, look by look, until all cases are decided or the last look is done.

    Cases that cannot be measured are dropped, with the reason put into ``lost``; retrying them would never end.
    """
    found = dict(times)
    while needed := more_needed_unpaired(found, rule):
        restarts = min(needed.values())
        for record in measure([baselines[identity].case for identity in needed], restarts):
            identity = record.case.identity
            before, added = found[identity], _times(baselines[identity], record)
            if len(added.head) < restarts:
                del found[identity]
                lost[identity] = next((restart.reason for restart in record.restarts if restart.reason), "no reason")
            else:
                found[identity] = Times(added.base, (*before.head, *added.head))
    return found


def _confirmation(
    baselines: Mapping[str, SpeedRecord],
    times: Mapping[str, Times],
    measure: Measure,
    rule: Rule,
    lost: dict[str, str],
) -> dict[str, Decision]:
    slower = [case for case, found in decide_unpaired(times, rule).items() if found.verdict is Verdict.REGRESSED]
    if not slower:
        return {}
    fresh = _measured(baselines, {case: times[case]._replace(head=()) for case in slower}, measure, rule, lost)
    return decide_unpaired(fresh, rule)


def _checked(
    record: SpeedRecord, apart: str | None, decisions: Mapping[str, Decision], times: Mapping[str, Times]
) -> Checked:
    identity = record.case.identity
    if apart is not None:
        return Checked(record.case, Decision(Verdict.NOT_COMPARABLE, reason=apart), _medians(record))
    return Checked(record.case, decisions[identity], tuple(times[identity].base), tuple(times[identity].head))


def _whole(record: SpeedRecord | None) -> list[Restart]:
    """Return the successfully measured restarts."""
    restarts = record.restarts if record else ()
    return [restart for restart in restarts if restart.status is SpeedStatus.MEASURED and restart.host_seconds]


def _medians(record: SpeedRecord | None, *, by_device: bool = False) -> tuple[float, ...]:
    """Return the median seconds of a call in each measured restart, by the device's or the host's clock."""
    return tuple(
        statistics.median(restart.device_seconds if by_device else restart.host_seconds) for restart in _whole(record)
    )


def _notes(
    baseline: Sequence[SpeedRecord], current: Sequence[SpeedRecord] | None, machine: Mapping[str, Any] | None
) -> tuple[str, ...]:
    known = {record.case.identity for record in baseline}
    new = [
        f"new, not in the baseline: {record.case.key}" for record in current or () if record.case.identity not in known
    ]
    now = machine or (current[0].environment if current else None)
    soft = differences(baseline[0].environment, now, keys=SOFT_KEYS) if now and baseline else []
    return (*new, *(f"differs, but does not prevent the comparison: {difference}" for difference in soft))
