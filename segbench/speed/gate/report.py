"""Formats a gate's results: JSON document, table rows, and Markdown for a pull request."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from segbench.results.wording import markdown_table
from segbench.speed.gate.compare import Calibration, CaseResult, GateResult
from segbench.speed.gate.decision import Decision, ExitCode, Rule, Verdict, percent
from segbench.speed.gate.environments import Environment
from segbench.speed.gate.interleaved import Restart, Side

SCHEMA_VERSION = 1
"""Schema version of the document. 1: the first version."""

TITLES = ("case", "base ms", "head ms", "change", "interval", "restarts", "verdict")

_HEADLINES = {
    ExitCode.PASSED: "nothing became slower",
    ExitCode.REGRESSED: "slower",
    ExitCode.NOT_COMPARABLE: "not everything could be compared",
    ExitCode.INCONCLUSIVE: "inconclusive: this machine was too noisy to tell",
}
_MARKS = {
    Verdict.PASSED: "✅ passed",
    Verdict.REGRESSED: "❌ regressed",
    Verdict.INCONCLUSIVE: "⚠️ inconclusive",
    Verdict.NOT_COMPARABLE: "🚫 not comparable",
}


def document(result: GateResult) -> dict[str, Any]:
    """Return a gate as JSON types, with all measured rounds."""
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "segbench regress ab",
        "exit_code": int(result.exit_code),
        "base": _environment(result.base),
        "head": _environment(result.head),
        "rule": _rule(result.rule),
        "settings": asdict(result.settings),
        "machine": dict(result.machine),
        "software": {str(side): dict(facts) for side, facts in result.software.items()},
        "cases": [_case(one) for one in result.cases],
    }


def calibration_document(found: Calibration) -> dict[str, Any]:
    """Return a calibration as JSON types."""
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "segbench regress calibrate",
        "environment": _environment(found.environment),
        "rule": _rule(found.rule),
        "settings": asdict(found.settings),
        "machine": dict(found.machine),
        "cases": [
            {
                "key": one.case.key,
                "case": one.case.document(),
                "spread": one.spread,
                "bias": one.bias,
                "smallest_slowdown": one.smallest_slowdown,
                "restarts": [_restart(restart) for restart in one.restarts],
            }
            for one in found.cases
        ],
    }


def rows(result: GateResult) -> list[list[str]]:
    """Return a row of ``TITLES`` for each case."""
    return [_row(one) for one in result.cases]


def calibration_rows(found: Calibration) -> list[list[str]]:
    """Return a row for each case: name, restarts, spread, bias, and the smallest slowdown that a gate detects."""
    return [
        [
            one.case.key,
            str(len(one.restarts)),
            f"{100 * one.spread:.2f} %",
            f"{100 * one.bias:+.2f} %",
            "-" if one.smallest_slowdown is None else f"{100 * one.smallest_slowdown:.1f} %",
        ]
        for one in found.cases
    ]


def notes(result: GateResult) -> list[str]:
    """Return notes for below the table: reasons, unsteady warm-ups, networks that differ."""
    return [note for one in result.cases for note in _notes(one)]


def headline(result: GateResult) -> str:
    """Return a summary of the outcome with the cases that decided it."""
    code = result.exit_code
    worst = [one.case.label for one in result.cases if code is not ExitCode.PASSED and _is(one.decision, code)]
    return ": ".join(part for part in (_HEADLINES[code], ", ".join(dict.fromkeys(worst))) if part)


def markdown(result: GateResult) -> str:
    """Return a gate as Markdown for a comment on a pull request."""
    marked = [[*map(_inline, _row(one)[:-1]), _MARKS[one.decision.verdict]] for one in result.cases]
    confidence = f"{100 * (1 - result.rule.rate_of_a_look):.3g} %"
    method = (
        f"Change: median over rounds of head over base, averaged over restarts of both processes; interval: "
        f"{confidence} t interval over restarts. A case regressed when the interval, corrected for "
        f"{len(result.cases)} case{'s' if len(result.cases) > 1 else ''}, lies above 0 and the change is at least "
        f"{percent(math.exp(result.rule.log_threshold / 2))}, twice; it passed when the interval lies below "
        f"{percent(1 + result.rule.threshold)}."
    )
    where = f"{result.machine.get('processor')}, {result.machine.get('cores')} cores"
    parts = [
        f"### Speed: {headline(result)}",
        f"base `{result.base.title}`, head `{result.head.title}`",
        markdown_table(TITLES, marked, ":-----:"),
        "\n".join(f"- {_inline(note)}" for note in notes(result)),
        f"<details><summary>How this was measured</summary>\n\n{method}\n\nMeasured on {where}.\n\n</details>",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def verdict_row(
    key: str, decision: Decision, *, base_seconds: Sequence[float], head_seconds: Sequence[float], restarts: int
) -> list[str]:
    """Return a case as a row: its key, the median milliseconds of both sides, the change, its interval, the verdict."""
    interval = decision.interval
    return [
        key,
        *(f"{1000 * median(seconds):.4g}" if seconds else "-" for seconds in (base_seconds, head_seconds)),
        percent(decision.ratio),
        "-" if interval is None else f"{percent(interval.low)} to {percent(interval.high)}",
        str(restarts),
        decision.verdict.replace("_", " "),
    ]


def seconds_of(restarts: Sequence[Restart], side: Side) -> list[float]:
    """Return the seconds of an iteration on one side in each round of all restarts."""
    rounds = [one for restart in restarts for one in restart.rounds]
    return [one.base_seconds if side is Side.BASE else one.head_seconds for one in rounds]


def _environment(environment: Environment) -> dict[str, Any]:
    return {"name": environment.name, "commit": environment.commit}


def _rule(rule: Rule) -> dict[str, Any]:
    return {"threshold": rule.threshold, "looks": list(rule.looks), "error_rate": rule.error_rate}


def _case(one: CaseResult) -> dict[str, Any]:
    return {
        "key": one.case.key,
        "case": one.case.document(),
        "decision": asdict(one.decision),
        "first_decision": asdict(one.first),
        "restarts": [_restart(restart) for restart in one.restarts],
        "confirming_restarts": [_restart(restart) for restart in one.confirming_restarts],
    }


def _restart(restart: Restart) -> dict[str, Any]:
    return {
        "log_ratio": restart.log_ratio,
        "iterations": restart.iterations,
        "not_steady": [str(side) for side in restart.not_steady],
        "parameters": {str(side): count for side, count in restart.parameters.items()},
        "base_seconds": [one.base_seconds for one in restart.rounds],
        "head_seconds": [one.head_seconds for one in restart.rounds],
        "first": [str(one.first) for one in restart.rounds],
    }


def _row(one: CaseResult) -> list[str]:
    measured = one.confirming_restarts or one.restarts
    base, head = (seconds_of(measured, side) for side in Side)
    return verdict_row(one.case.key, one.decision, base_seconds=base, head_seconds=head, restarts=one.decision.restarts)


def _notes(one: CaseResult) -> list[str]:
    found = [f"{one.case.key}: {one.decision.reason}"] if one.decision.reason else []
    restarts = [*one.restarts, *one.confirming_restarts]
    unsettled = sum(bool(restart.not_steady) for restart in restarts)
    if unsettled:
        found.append(f"{one.case.key}: the warm-up did not become steady in {unsettled} of {len(restarts)} restarts")
    if restarts and len(set(restarts[0].parameters.values())) > 1:
        base, head = (restarts[0].parameters[side] for side in Side)
        found.append(f"{one.case.key}: the networks differ: {base:,} parameters in base, {head:,} in head")
    return found


def _is(decision: Decision, code: ExitCode) -> bool:
    return decision.verdict.name == code.name


def _inline(text: str) -> str:
    """Escape text so that it stays within its table cell or line."""
    return " ".join(text.replace("|", "\\|").split())
