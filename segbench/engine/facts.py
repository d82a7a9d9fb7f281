"""What is written down of a run beside its scores: the network's size, where its weights came from, the machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from segbench.config.plan import Run, canonical_model, digest
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
            **(model or {}),
        ),
        data=data,
        timings=timings,
        test_loss=test_loss,
        selected_epoch=selected_epoch,
        environment=environment,
    )


def weights_digest(run: Run, network: nn.Module) -> str | None:
    """Return the SHA-256 of the file that a network's weights came from; None when there was none."""
    from segbench.models.build import initial_weights_file
    from segbench.models.weights import file_digest

    file = initial_weights_file(run.model, network)
    return file_digest(file) if file is not None else None


def macs_or_none(network: nn.Module, channels: int, height: int, width: int) -> int | None:
    """Return the multiply-adds of one image; None for a network that cannot be traced without data."""
    from segbench.models.base import count_macs

    try:
        return count_macs(network, channels, height, width)
    except Exception:  # foreign networks may look at values, which the meta device has none of
        return None


def compute_facts(device: torch.device) -> dict[str, Any]:
    """Return what the computation depends on beside versions: threads, kernels, accelerator."""
    return {
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "cuda": torch.version.cuda if device.type == "cuda" else None,
        "cudnn": torch.backends.cudnn.version() if device.type == "cuda" else None,  # type: ignore[no-untyped-call]
    }


def derived_seed(run: Run) -> int:
    """Return the seed of what is random in training beside the data (dropout): a hash of network and run's seed."""
    return int(digest({"training": canonical_model(run.model), "seed": run.seed})[:16], 16) >> 1
