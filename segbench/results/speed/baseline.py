"""Baselines: speed records to compare later measurements with, from our own files or pytest-benchmark's."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from segbench.errors import StoreError
from segbench.results.files import replace_text
from segbench.results.hashes import sealed_record, sealed_text
from segbench.results.record import Facts
from segbench.results.speed.record import Restart, SpeedCase, SpeedRecord, SpeedStatus
from segbench.results.wording import first_problem

BASELINE_SCHEMA_VERSION: Literal[1] = 1
"""History: 1, the first."""
CASE_KEY = "segbench_case"
"""Key of the speed case in a benchmark's ``extra_info``."""
ENVIRONMENT_KEY = "segbench_environment"
"""Key of the machine's fingerprint in ``extra_info``."""


class Baseline(Facts):
    """A file of speed records with all samples."""

    kind: Literal["segbench speed baseline"] = "segbench speed baseline"
    schema_version: Literal[1] = BASELINE_SCHEMA_VERSION
    records: tuple[SpeedRecord, ...]


def write_baseline(file: Path, records: Iterable[SpeedRecord]) -> None:
    """Write a baseline.

    Raises:
        StoreError: The file cannot be written.
    """
    replace_text(file, sealed_text(Baseline(records=tuple(records))))


def read_baseline(files: Sequence[Path], *, apart_from: Iterable[SpeedRecord] = ()) -> list[SpeedRecord]:
    """Read baselines or JSON files of pytest-benchmark; restarts of one case in several files are combined.

    The same restart never counts twice: a copy of a file is no new evidence.

    A file of pytest-benchmark holds one restart of each case, because it comes from one process.

    Args:
        files: The files.
        apart_from: Records of the other side of a comparison, whose restarts these files may not hold.

    Raises:
        StoreError: A file is missing, invalid, edited or of a newer segbench, or holds no speed case; one case was
            measured on different machines; or a restart is in two files.
    """
    parts: dict[str, list[SpeedRecord]] = defaultdict(list)
    known = {mark: "the other side" for record in apart_from for mark in _marks(record)}
    for file in files:
        for record in _read(file):
            for mark in _marks(record):
                if mark in known:
                    raise StoreError(
                        f"{file}: holds a measurement of {record.case.key} that {known[mark]} has, too; a copy is no "
                        "new evidence, so give each measurement once"
                    )
            known |= dict.fromkeys(_marks(record), str(file))
            parts[record.case.identity].append(record)
    return [_joined(records) for records in parts.values()]


def _marks(record: SpeedRecord) -> list[tuple[object, ...]]:
    """Return what tells the restarts of a case from others: no two processes take the same times, call by call."""
    return [
        (record.case.identity, restart.host_seconds, restart.device_seconds)
        for restart in record.restarts
        if max(len(restart.host_seconds), len(restart.device_seconds)) > 1
    ]


def _read(file: Path) -> tuple[SpeedRecord, ...]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise StoreError(f"{file}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise StoreError(f"{file}: is not JSON ({error}); save the baseline again") from None
    try:
        if isinstance(document, dict) and "benchmarks" in document:
            records = tuple(_of_benchmark(part) for part in document["benchmarks"] if CASE_KEY in _extra(part))
        else:
            records = sealed_record(
                document, Baseline, file=file, newest=BASELINE_SCHEMA_VERSION, again="save the baseline again"
            ).records
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            f"{file}: is no speed baseline ({first_problem(error)}); 'segbench regress save' writes one"
        ) from None
    if not records:
        raise StoreError(f"{file}: holds no speed case, so nothing could be compared with it")
    return records


def _extra(benchmark: dict[str, Any]) -> dict[str, Any]:
    return benchmark.get("extra_info") or {}


def _of_benchmark(benchmark: dict[str, Any]) -> SpeedRecord:
    """Convert a benchmark of pytest-benchmark to a record with one restart."""
    extra = _extra(benchmark)
    stats = benchmark["stats"]
    samples = tuple(stats["data"]) if stats.get("data") else (stats["median"],)
    restart = Restart(status=SpeedStatus.MEASURED, host_seconds=samples)
    return SpeedRecord(
        case=SpeedCase.model_validate(extra[CASE_KEY]), restarts=(restart,), environment=extra[ENVIRONMENT_KEY]
    )


def _joined(records: Sequence[SpeedRecord]) -> SpeedRecord:
    """Combine the restarts of several records of one case; all must come from the same machine."""
    from segbench.results.speed.fingerprint import HARD_KEYS, differences

    first = records[0]
    for other in records[1:]:
        found = differences(first.environment, other.environment, keys=HARD_KEYS)
        if found:
            names = "; ".join(map(str, found))
            raise StoreError(f"{first.case.key}: the files come from different machines ({names}); compare each alone")
    return first.model_copy(update={"restarts": tuple(restart for record in records for restart in record.restarts)})
