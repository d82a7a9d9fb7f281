"""Has networks from elsewhere tried before anything is trained, apart from this process: who knows what they do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from segbench.config.plan import Run, digest
from segbench.engine.events import Observer
from segbench.engine.housekeeping import Call
from segbench.engine.processes import ProcessDied
from segbench.models import CATALOG

if TYPE_CHECKING:
    from segbench.engine.preflight import NetworkInputs, Preflight


def output_refusals(runs: Sequence[Run], found: Preflight, *, call: Call, observer: Observer) -> dict[str, str]:
    """Return by id of each run whose network returns no scores, or fails on an image, why.

    Args:
        runs: Any runs; built-in networks and runs that are refused already are left out.
        found: What was found of their data.
        call: Calls a function in a process of its own.
        observer: Told of nothing.
    """
    tried: dict[str, Run] = {}
    keys: dict[str, str] = {}
    for run in runs:
        if run.id in found.inputs and run.id not in found.refusals and run.model.name not in CATALOG:
            weights = run.recipe.train.model_dump(mode="json")["auxiliary"] if run.recipe.train is not None else None
            keys[run.id] = digest([run.model.model_dump(mode="json"), found.inputs[run.id], weights])
            tried.setdefault(keys[run.id], run)
    reasons = _reasons(tried, {key: found.inputs[run.id] for key, run in tried.items()}, call, observer)
    return {run_id: reasons[key] for run_id, key in keys.items() if key in reasons}


def _reasons(
    runs: Mapping[str, Run], inputs: Mapping[str, NetworkInputs], call: Call, observer: Observer
) -> dict[str, str]:
    """Try networks in one process or, where one of them ends it, each in its own; which one it was, its run tells."""
    if not runs:
        return {}
    try:
        reasons: dict[str, str] = call(_try_outputs, dict(runs), dict(inputs), observer=observer)
    except ProcessDied:
        if len(runs) == 1:
            return {}
        alone = [_reasons({key: run}, inputs, call, observer) for key, run in runs.items()]
        return {key: reason for found in alone for key, reason in found.items()}
    return reasons


def _try_outputs(
    runs: dict[str, Run],
    inputs: dict[str, NetworkInputs],
    *,
    observer: Observer,  # noqa: ARG001 - every function that is called in a process takes one
) -> dict[str, str]:
    """Import torch only in the process that needs it."""
    from segbench.engine.outputs import output_refusal

    reasons = {key: output_refusal(run, inputs[key]) for key, run in runs.items()}
    return {key: reason for key, reason in reasons.items() if reason is not None}
