"""Records for tests of the store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from segbench.config.plan import digest
from segbench.results.record import DataFacts, ModelFacts, Outcome, RunRecord, Status, Timings


@pytest.fixture
def make_record() -> Callable[..., RunRecord]:
    def make(run_id: str = "unet-seed0-abc", **changes: Any) -> RunRecord:
        recipe = changes.pop("recipe", {"train": {"epochs": 1}})
        facts: dict[str, Any] = {
            "id": run_id,
            "suite": "toy",
            "label": "unet",
            "seed": 0,
            "point": {},
            "identity": "abc",
            "protocol_id": digest(recipe),
            "recipe": recipe,
            "outcome": Outcome(status=Status.COMPLETED),
            "model": ModelFacts(
                name="unet", options={"width": 0.5}, pretrained=False, source_digest="s", input_size=(32, 48)
            ),
            "data": DataFacts(
                dataset="scenes",
                classes=("sky", "road"),
                palette=((0, 0, 0), (255, 0, 0)),
                train_images=8,
                test_images=4,
                fingerprints={"train": "1", "test": "2"},
                train_digest="t",
                test_digest="e",
            ),
            "timings": Timings(started="2026-01-01T00:00:00+00:00", total_seconds=1.5),
            "environment": {"python": "3.11"},
        }
        return RunRecord(**(facts | changes))

    return make
