"""Finds the cases of a suite that this machine has not measured yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from segbench.config.plan import source_digest
from segbench.results.speed.fingerprint import machine_digest
from segbench.results.speed.record import SpeedRecord, SpeedStatus
from segbench.speed.cases import PlannedCase
from segbench.speed.run_cases import Settings, doubled, goes_on, is_enough


def missing(
    planned: Sequence[PlannedCase],
    stored: Iterable[SpeedRecord],
    *,
    settings: Settings,
    machines: Mapping[int | None, Mapping[str, Any]],
) -> list[PlannedCase]:
    """Return the cases to measure; cases that failed, were skipped or ran out of memory are tried again.

    Args:
        planned: All cases.
        stored: The stored records.
        settings: The settings; a stored case must have as many restarts and as many seconds.
        machines: The current fingerprint, by number of threads. Records of other machines do not count.
    """
    known = {(record.case.identity, machine_digest(record.environment)): record for record in stored}

    def found(one: PlannedCase) -> SpeedRecord | None:
        record = known.get((one.case.identity, machine_digest(machines[one.case.threads])))
        if record is None or record.source_digest != source_digest(str(one.case.model.get("name"))):
            return None
        return record if _is_whole(record, settings) else None

    return [one for one in planned if not _is_done(one, found)]


def _is_done(first: PlannedCase, found: Any) -> bool:
    """Return whether all batch sizes of a sweep are measured; a single case is a sweep of one."""
    best, current = 0.0, first
    while True:
        record = found(current)
        rate = None if record is None else record.images_per_second
        if record is None or (rate is None and current is first):
            return False
        if rate is None or not first.sweeps or not goes_on(current, rate, best):
            return True
        best, current = max(best, rate), doubled(current)


def _is_whole(record: SpeedRecord, settings: Settings) -> bool:
    """Return whether all restarts were measured long enough, or the batch ran out of memory, which ends a sweep."""
    ended = {restart.status for restart in record.restarts}
    long_enough = (record.seconds or 0.0) >= settings.seconds
    return long_enough and is_enough(record.restarts, settings) and len(ended) == 1 and ended <= _ENDED


_ENDED = {SpeedStatus.MEASURED, SpeedStatus.OUT_OF_MEMORY}
