"""Exports a gate's measurements as pytest-benchmark JSON, for tools such as ``pytest-benchmark compare``."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.speed.gate.compare import CaseResult, GateResult
from segbench.speed.gate.interleaved import Side
from segbench.speed.gate.report import seconds_of


def benchmark_document(result: GateResult) -> dict[str, Any]:
    """Return a gate in pytest-benchmark's format; base and head of a case form a group.

    Each round is one sample (the median seconds of its iterations); samples of all restarts are pooled. The verdict is
    stored in ``extra_info``, because the pooled samples are not independent and must not be compared as if they were.
    """
    benchmarks = [_benchmark(one, side) for one in result.cases for side in Side if one.restarts]
    return {
        "machine_info": _machine(result),
        "commit_info": {"id": result.head.commit, "dirty": False, "branch": result.head.name},
        "benchmarks": benchmarks,
        "datetime": datetime.now(UTC).isoformat(),
        "version": "5.0.0",
    }


def statistics_of(seconds: Sequence[float]) -> dict[str, Any]:
    """Return the statistics of a sample as pytest-benchmark defines them."""
    data = np.sort(np.asarray(seconds, dtype=float))
    first, third = _first_quartile(data), _first_quartile(data[::-1])
    spread = float(data.std(ddof=1)) if len(data) > 1 else 0.0
    low, high = first - 1.5 * (third - first), third + 1.5 * (third - first)
    beyond = int(((data < data.mean() - spread) | (data > data.mean() + spread)).sum())
    outside = int(((data < low) | (data > high)).sum())
    return {
        "min": float(data[0]),
        "max": float(data[-1]),
        "mean": float(data.mean()),
        "stddev": spread,
        "rounds": len(data),
        "median": float(np.median(data)),
        "iqr": third - first,
        "q1": first,
        "q3": third,
        "iqr_outliers": outside,
        "stddev_outliers": beyond,
        "outliers": f"{beyond};{outside}",
        "ld15iqr": float(data[data >= low][0]),
        "hd15iqr": float(data[data <= high][-1]),
        "ops": len(data) / float(data.sum()),
        "total": float(data.sum()),
        "data": [float(value) for value in seconds],
    }


def _first_quartile(data: NDArray[np.float64]) -> float:
    """Return the first quartile of sorted data; reversed data gives the third.

    For an even count it is the median of the first half, for an odd count a weighted mean of two neighbours.
    """
    quarter, rest = divmod(len(data), 4)
    if len(data) == 1:
        return float(data[0])
    if rest % 2 == 0:
        return float(np.median(data[: len(data) // 2]))
    near, far = (quarter, quarter - 1) if rest == 1 else (quarter, quarter + 1)
    return float(0.75 * data[near] + 0.25 * data[far])


def _benchmark(one: CaseResult, side: Side) -> dict[str, Any]:
    restarts = [*one.restarts, *one.confirming_restarts]
    decision = one.decision
    return {
        "group": one.case.key,
        "name": f"{one.case.key}[{side}]",
        "fullname": f"segbench regress ab::{one.case.key}[{side}]",
        "params": {"side": str(side)},
        "param": str(side),
        "extra_info": {
            "case": one.case.document(),
            "restarts": len(restarts),
            "verdict": str(decision.verdict),
            "head_over_base": decision.ratio,
        },
        "options": {"timer": "perf_counter", "warmup": True, "min_rounds": min(len(one.rounds) for one in restarts)},
        "stats": {
            **statistics_of(seconds_of(restarts, side)),
            "iterations": round(float(np.median([restart.iterations for restart in restarts]))),
        },
    }


def _machine(result: GateResult) -> dict[str, Any]:
    """Return the machine in pytest-benchmark's format, without a host name."""
    return {
        "node": "",
        "processor": platform.processor(),
        "machine": platform.machine(),
        "python_implementation": platform.python_implementation(),
        "python_version": result.software[Side.HEAD].get("python") if result.software else platform.python_version(),
        "system": platform.system(),
        "release": platform.release(),
        "cpu": {"brand_raw": result.machine.get("processor"), "count": result.machine.get("cores")},
    }
