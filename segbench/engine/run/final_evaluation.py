"""Evaluates a trained network on the test split and stores what a run keeps of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from torch import nn

from segbench.data.loading.loader import Shard
from segbench.engine.background import Threads
from segbench.engine.distributed import ALONE, ProcessGroup
from segbench.engine.evaluation.details import Details
from segbench.engine.evaluation.evaluate import Evaluation, evaluate
from segbench.engine.evaluation.gather import Seen, gather_evaluation
from segbench.engine.evaluation.predictions import PredictionArchive, read_archive, write_archive
from segbench.engine.evaluation.predictor import Predictor
from segbench.engine.evaluation.sample_pictures import save_pictures, spread
from segbench.engine.run.data import RunData
from segbench.results.arrays.details import save_details
from segbench.results.arrays.matrices import save_matrices
from segbench.results.run_files import CONFUSION_FILE, DETAILS_FILE, PREDICTIONS_FILE, SAMPLES_FOLDER

PICTURES_A_SAMPLE = 3
"""Image, label and prediction."""


def evaluate_and_store(
    predictor: Predictor,
    run_data: RunData,
    folder: Path,
    *,
    loss: nn.Module,
    threads: Threads,
    group: ProcessGroup = ALONE,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation | None:
    """Evaluate the test split; write matrices, details, predictions and sample pictures into a folder.

    Args:
        predictor: Applies the network.
        run_data: The data of the run.
        folder: The folder of the run.
        loss: The loss of the recipe, reported for the test split.
        threads: Threads that compute details of images.
        group: The processes that share the split; the first one writes the files.
        progress: Called with the images done and the total.

    Returns:
        The evaluation of all images; None in the other processes of a group.

    Raises:
        DataError: An image cannot be read or a label is out of range.
        ModelRefusal: The network cannot take the images.
    """
    file, samples = folder / PREDICTIONS_FILE, run_data.run.recipe.evaluate.samples
    pin_memory = predictor.compute.device.type == "cuda"
    with (
        run_data.evaluation_loader(run_data.test, pin_memory=pin_memory, shard=Shard(group.rank, group.size)) as loader,
        PredictionArchive(file, run_data.info.palette) if samples else nullcontext() as archive,
        Details(predictor.classes, archive, threads=threads) as details,
    ):
        keep = spread(samples, len(run_data.test))
        own = evaluate(predictor, loader, loss=loss, keep=keep, details=details, progress=progress)
    predictions = None if archive is None or group.size == 1 else read_archive(file)
    found = gather_evaluation(Seen(own, details.compute(), predictions), group)
    if found is None:
        return None
    if found.predictions is not None:
        write_archive(file, found.predictions)
    save_matrices(folder / CONFUSION_FILE, found.evaluation.matrices)
    save_details(folder / DETAILS_FILE, found.details)
    save_pictures(folder / SAMPLES_FOLDER, found.evaluation.pictures, run_data.test)
    return found.evaluation
