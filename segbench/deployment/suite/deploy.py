"""Deploys one network to one target and tests it on the suite's images, in a process of its own."""

from __future__ import annotations

import copy
import os
import time
from dataclasses import dataclass

from torch import nn

from segbench.data.base import SegmentationDataset
from segbench.data.loading.loader import EvaluationLoader
from segbench.data.loading.threads import torch_threads
from segbench.data.open import cached
from segbench.data.subset import take
from segbench.deployment.runtimes.job import Job
from segbench.deployment.suite.agreement import AgreementCounter, PredictionKeeper, is_whole
from segbench.deployment.suite.prepare import is_reference, prepare
from segbench.deployment.suite.task import Task, lays_channels_last
from segbench.engine.device import ComputeConfig, use_device
from segbench.engine.evaluation.evaluate import DetailRecorder, Evaluation, evaluate
from segbench.engine.evaluation.predictor import Predictor
from segbench.engine.inference.apply import Ready, ready
from segbench.engine.robustness.conditions import splits_of
from segbench.errors import DataError, ModelRefusal, StoreError, typed_line
from segbench.results.arrays.matrices import ImageMatrices
from segbench.results.deployments.record import DeploymentRecord
from segbench.results.record import Status


@dataclass(frozen=True)
class Deployed:
    """What a deployment came to.

    Attributes:
        record: Its record; without timings.
        matrices: Of a completed one, the confusion matrices.
        job: Of a completed one, what its runtime was asked for.
    """

    record: DeploymentRecord
    matrices: ImageMatrices | None = None
    job: Job | None = None


def deploy(task: Task) -> Deployed:
    """Deploy and test one network; what it or the runtime cannot do becomes the record's reason.

    Raises:
        DataError: An image cannot be read.
        StoreError: Files cannot be written.
    """
    os.environ.setdefault("NNCF_CI", "1")  # nncf would report its use over the network
    try:
        with torch_threads(task.run.threads):
            return _completed(task)
    except (DataError, StoreError):
        raise
    except ModelRefusal as refusal:
        return Deployed(task.record(Status.SKIPPED, str(refusal)))
    except Exception as error:  # runtimes raise whatever they like; one target's fault must not stop the others
        return Deployed(task.record(Status.FAILED, typed_line(error)))


def _completed(task: Task) -> Deployed:
    started, device = time.perf_counter(), use_device(task.device)
    trained, memory = ready(task.checkpoint, device="cpu"), task.run.loader.model_copy(update={"cache": "memory"})
    images = cached(take(splits_of(task.run).test, task.block.images), memory)
    one = prepare(task, trained, images)
    if not is_reference(task) and not is_whole(task.predictions):
        network = copy.deepcopy(trained.checkpoint.network)
        compute = ComputeConfig(device, channels_last=lays_channels_last(task.run, "eager"))
        _evaluated(trained, compute.place(network), images, compute, PredictionKeeper(task.predictions))
    details = (PredictionKeeper if is_reference(task) else AgreementCounter)(task.predictions)
    found = _evaluated(trained, one.module, images, one.job.compute, details)
    record = task.record(Status.COMPLETED).model_copy(
        update={
            "images": len(found.matrices.names),
            "test_digest": found.digest,
            "agreement": details.compute(),
            "largest_difference": one.largest_difference,
            "exporter": one.exporter,
            "export_seconds": one.seconds,
            "file_bytes": one.file_bytes,
            "calibration": one.calibration,
            "pruning": one.pruning,
            "seconds": time.perf_counter() - started,
        }
    )
    return Deployed(record, found.matrices, one.job)


def _evaluated(
    trained: Ready, module: nn.Module, images: SegmentationDataset, compute: ComputeConfig, details: DetailRecorder
) -> Evaluation:
    """Evaluate a module as the run's own test, one image at a time: compilers would compile every batch size."""
    recipe, classes = trained.checkpoint.run.recipe, len(trained.checkpoint.info.classes)
    predictor = Predictor(module, recipe.evaluate, classes=classes, compute=compute)
    with EvaluationLoader(images, trained.pipeline, batch_size=1, workers=0) as loader:
        return evaluate(predictor, loader, details=details)
