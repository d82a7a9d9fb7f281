"""Stored deployments of stored runs."""

from __future__ import annotations

from pathlib import Path

from stored import further_facts

from segbench.results.arrays.matrices import ImageMatrices
from segbench.results.deployments.record import Agreement, DeployedTo, DeploymentRecord, Timing
from segbench.results.deployments.store import DEPLOYMENTS
from segbench.results.record import Status
from segbench.results.speed.record import Memory, Restart, SpeedStatus

EAGER = DeployedTo(runtime="eager", precision="fp32", device="cpu")
COMPILED = DeployedTo(runtime="compile", precision="fp32", device="cpu")
ORT = DeployedTo(runtime="onnxruntime", precision="fp32", device="cpu")
INT8 = DeployedTo(runtime="onnxruntime", precision="int8", device="cpu")


def timing(*milliseconds: float, batch_size: int = 1) -> Timing:
    """A timing of processes with these medians."""
    memory = Memory(process_before_bytes=10**8, process_peak_bytes=3 * 10**8, spare_inputs_bytes=10**8)
    restarts = [
        Restart(status=SpeedStatus.MEASURED, host_seconds=(one / 1000,) * 3, memory=memory) for one in milliseconds
    ]
    return Timing(batch_size=batch_size, size=(32, 32), restarts=tuple(restarts))


def deployment(run: Path, target: DeployedTo, matrices: ImageMatrices | None, **changes: object) -> DeploymentRecord:
    """Store a deployment of a stored run."""
    facts = {
        **further_facts(run, matrices),
        "target": target,
        "status": Status.COMPLETED if matrices is not None else Status.SKIPPED,
        "agreement": None if matrices is None else Agreement(pixels=1000, equal=990),
        "file_bytes": None if matrices is None else 4000,
        "export_seconds": None if matrices is None else 1.5,
        "timings": () if matrices is None else (timing(10.0, 12.0, 11.0),),
    }
    made = DeploymentRecord.model_validate(facts | changes)
    return DEPLOYMENTS.write(run.parent / DEPLOYMENTS.folder, made, matrices)
