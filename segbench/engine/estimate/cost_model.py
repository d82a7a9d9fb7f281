"""Computes the cost of a run from the measured time and size of its parts."""

from __future__ import annotations

from dataclasses import dataclass

from segbench.config.plan import Recipe, Run, digest

RECORD_BYTES = 10_000
"""Size of ``run.json``, with the environment."""

HISTORY_LINE_BYTES = 150
"""Size of one epoch's line in ``history.csv``."""


@dataclass(frozen=True)
class LoadTime:
    """Time to load one image in one process.

    Attributes:
        read_seconds: Decoding of image and label.
        transform_seconds: Transforms and hashing.
    """

    read_seconds: float = 0.0
    transform_seconds: float = 0.0


@dataclass(frozen=True)
class Survey:
    """Facts about the data of a recipe, the same for all networks.

    Attributes:
        test_images: Images of the test split.
        test_load: Time to load a validation or test image; its transforms are included in ``Probe.evaluation_seconds``.
        image_bytes: Memory of one decoded image with its label.
        setup_seconds: Opening and hashing of the splits.
        batches: Training batches in total; 0 without training, like all further fields.
        steps: Optimizer steps in total.
        epochs: Passes over the training split; the last one may be partial.
        train_images: Images of the training split.
        train_load: Time to load a training image.
        label_passes: Passes over the training split that the loss needs before training.
        validation_images: Images of the validation split; 0 when there is no validation.
        validations: Passes over the validation split.
    """

    test_images: int
    test_load: LoadTime
    image_bytes: int
    setup_seconds: float
    batches: int = 0
    steps: int = 0
    epochs: int = 0
    train_images: int = 0
    train_load: LoadTime = LoadTime()
    label_passes: int = 0
    validation_images: int = 0
    validations: int = 0


@dataclass(frozen=True)
class Probe:
    """Measurements of a network under a recipe.

    Attributes:
        setup_seconds: Building of the network, plus the extra time of its first step and first evaluation.
        step_seconds: Median time of a training batch: forward, loss, backward and optimizer.
        evaluation_seconds: Time of a decoded test image: transforms, prediction, confusion matrix, loss.
        peak_memory_bytes: Memory allocated on CUDA; elsewhere the peak resident set of the process.
        checkpoint_bytes: Size of the checkpoint.
        counted_bytes: Size on disk of the counts of an image.
        prediction_bytes: Size on disk of the prediction of an image.
        picture_bytes: Size on disk of the pictures of a sample.
        detail_seconds: Time for the details of a test image (boundaries, calibration, PNG), while the network waits.
        background_seconds: The same in background threads, while the network continues.
    """

    setup_seconds: float
    step_seconds: float
    evaluation_seconds: float
    peak_memory_bytes: int
    checkpoint_bytes: int
    counted_bytes: float
    prediction_bytes: float
    picture_bytes: float
    detail_seconds: float = 0.0
    background_seconds: float = 0.0


def workload_key(recipe: Recipe) -> str:
    """Hash the recipe without its learning rates, which do not change how long it takes."""
    canonical = recipe.canonical()
    train = canonical["train"]
    if train is not None:
        optimizer = {name: value for name, value in train["optimizer"].items() if name != "lr"}
        canonical = canonical | {"train": train | {"optimizer": optimizer, "schedule": None}}
    return digest(canonical)


def training_seconds(run: Run, survey: Survey, probe: Probe) -> float:
    """Return the time of all training epochs.

    With a memory cache each image is decoded once; with a disk cache the images count as decoded already.
    """
    train = run.recipe.train
    if train is None:
        return 0.0
    fed = survey.batches * train.batch_size
    decode = {"none": fed * survey.train_load.read_seconds}.get(run.loader.cache, 0.0)
    load = fed * survey.train_load.transform_seconds + decode
    before = survey.train_images * survey.train_load.read_seconds if run.loader.cache == "memory" else 0.0
    return before + overlapped(survey.batches * probe.step_seconds, load, workers=run.loader.workers)


def validation_seconds(run: Run, survey: Survey, probe: Probe) -> float:
    """Return the time of all passes over the validation split."""
    if not survey.validations:
        return 0.0
    passes = {"none": survey.validations, "memory": 1, "disk": 0}[run.loader.cache]
    read = survey.validation_images * survey.test_load.read_seconds
    compute = survey.validations * survey.validation_images * probe.evaluation_seconds
    return overlapped(compute, passes * read, workers=run.loader.workers)


def evaluation_seconds(run: Run, survey: Survey, probe: Probe) -> float:
    """Return the time of the final evaluation."""
    read = 0.0 if run.loader.cache == "disk" else survey.test_images * survey.test_load.read_seconds
    seconds = max(probe.evaluation_seconds + probe.detail_seconds, probe.background_seconds)
    return overlapped(survey.test_images * seconds, read, workers=run.loader.workers)


def overlapped(compute_seconds: float, load_seconds: float, *, workers: int) -> float:
    """Return the time of computing and loading: their sum without workers, else their maximum."""
    return max(compute_seconds, load_seconds / workers) if workers else compute_seconds + load_seconds


def disk_bytes(run: Run, survey: Survey, probe: Probe) -> int:
    """Return the disk space of a finished run; training states are not included."""
    train, samples = run.recipe.train, min(run.recipe.evaluate.samples, survey.test_images)
    kept = probe.checkpoint_bytes if train is None or train.keep_weights else 0
    by_image = probe.counted_bytes + (probe.prediction_bytes if samples else 0.0)
    counted = survey.test_images * by_image + samples * probe.picture_bytes
    return kept + round(counted) + RECORD_BYTES + HISTORY_LINE_BYTES * survey.epochs


def images_of(run: Run, survey: Survey) -> int:
    """Return the number of images fed to the network, with repetitions."""
    train = run.recipe.train
    fed = survey.batches * train.batch_size if train else 0
    return fed + survey.validations * survey.validation_images + survey.test_images


def cached_bytes(survey: Survey) -> int:
    """Return the memory of all decoded images of a run."""
    return (survey.train_images + survey.validation_images + survey.test_images) * survey.image_bytes
