"""Puts the record of a run together; needs no torch, so that a run that never began has one too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segbench.config.plan import Run, source_digest
from segbench.results.record import DataFacts, ModelFacts, Outcome, RunRecord, Timings


def record_of(
    run: Run,
    outcome: Outcome,
    *,
    timings: Timings,
    environment: dict[str, Any],
    model: Mapping[str, Any] | None = None,
    data: DataFacts | None = None,
    test_loss: float | None = None,
    selected_epoch: int | None = None,
    micro_batch: int | None = None,
) -> RunRecord:
    """Return the record of a run that ended somehow."""
    return RunRecord(
        id=run.id,
        suite=run.suite,
        label=run.label,
        seed=run.seed,
        point=run.point,
        identity=run.identity,
        protocol_id=run.recipe.protocol_id,
        recipe=run.recipe.canonical(),
        outcome=outcome,
        model=ModelFacts(
            name=run.model.name,
            options=run.model.options,
            pretrained=run.model.pretrained,
            source_digest=source_digest(run.model.name),
            **(model or {}),
        ),
        data=data,
        timings=timings,
        test_loss=test_loss,
        selected_epoch=selected_epoch,
        micro_batch=micro_batch,
        environment=environment,
    )
