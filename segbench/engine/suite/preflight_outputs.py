"""Tries external networks before training, in separate processes because they may crash or hang."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from segbench.config.plan import Run, canonical_model, digest
from segbench.engine.processes import ProcessDied, ending_this_process
from segbench.engine.suite.housekeeping import Call
from segbench.models import CATALOG

if TYPE_CHECKING:
    from segbench.engine.run.network_inputs import NetworkInputs
    from segbench.engine.suite.preflight import Preflight

TRIAL_SECONDS = 20.0
"""Time limit of a trial, so that one network cannot delay the others."""


def output_refusals(runs: Sequence[Run], found: Preflight, *, call: Call) -> dict[str, str]:
    """Return why a run's network returns no scores or fails on an image, by run id.

    Args:
        runs: The runs; built-in networks and runs that are refused already are skipped.
        found: The results of the preflight checks so far.
        call: Calls a function in a separate process.
    """
    tried: dict[str, Run] = {}
    keys: dict[str, str] = {}
    for run in runs:
        if run.id in found.inputs and run.id not in found.refusals and run.model.name not in CATALOG:
            weights = run.recipe.train.model_dump(mode="json")["auxiliary"] if run.recipe.train is not None else None
            keys[run.id] = digest([canonical_model(run.model), found.inputs[run.id], weights])
            tried.setdefault(keys[run.id], run)
    reasons = {key: _reason(run, found.inputs[run.id], call) for key, run in tried.items()}
    return {run_id: reason for run_id, key in keys.items() if (reason := reasons[key]) is not None}


def _reason(run: Run, inputs: NetworkInputs, call: Call) -> str | None:
    """Try one network; a crash or timeout is ignored here, since its run will show it."""
    try:
        reason: str | None = call(_try_outputs, run, inputs, TRIAL_SECONDS)
    except ProcessDied:
        return None
    return reason


def _try_outputs(run: Run, inputs: NetworkInputs, seconds: float) -> str | None:
    """Import torch only in the process that needs it."""
    from segbench.engine.suite.preflight_models import output_refusal

    with ending_this_process(after=seconds):
        return output_refusal(run, inputs)
