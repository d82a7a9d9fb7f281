"""How much a run has to do, and what that takes when the time and size of each part are known."""

from __future__ import annotations

from dataclasses import dataclass

from segbench.config.plan import Recipe, Run, digest

RECORD_BYTES = 10_000
"""Size of ``run.json``, with the environment."""

HISTORY_LINE_BYTES = 150
"""Size of one epoch's line in ``history.csv``."""


@dataclass(frozen=True)
class LoadTime:
    """How long it takes to get one image ready for a network, in one process.

    Attributes:
        read_seconds: To decode image and label.
        transform_seconds: To transform and hash them.
    """

    read_seconds: float = 0.0
    transform_seconds: float = 0.0


@dataclass(frozen=True)
class Survey:
    """What is the same for every network under one recipe.

    Attributes:
        test_images: Images of the test split.
        test_load: Time to read a validation or test image; its transforms are part of the probe.
        image_bytes: Memory of one decoded image with its label.
        setup_seconds: To open and hash the splits.
        batches: Training batches in all; this and what follows are 0 when nothing is trained.
        steps: Optimizer steps in all.
        epochs: Passes over the training split, the last one perhaps in part.
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
    """What was measured of one network under one recipe.

    Attributes:
        setup_seconds: To build it, and what its first step takes longer than the others.
        step_seconds: Median of a training batch: forward, loss, backward and optimizer.
        evaluation_seconds: Of one test image that is decoded: transforms, prediction, confusion matrix, loss.
        peak_memory_bytes: Memory allocated on CUDA; elsewhere the peak resident set of the process.
        checkpoint_bytes: Size of its tensors on disk.
        counted_bytes: Size on disk of what is counted in one image.
        prediction_bytes: Size on disk of its prediction.
        picture_bytes: Size of one sample's pictures on disk.
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
    """Return a hash of what the work of a recipe depends on: of learning rates, it does not."""
    canonical = recipe.canonical()
    train = canonical["train"]
    if train is not None:
        optimizer = {name: value for name, value in train["optimizer"].items() if name != "lr"}
        canonical = canonical | {"train": train | {"optimizer": optimizer, "schedule": None}}
    return digest(canonical)


def training_seconds(run: Run, survey: Survey, probe: Probe) -> float:
    """Return the time of all training epochs.

    Decoding comes once an image where images are cached in memory, and is taken to be done already where they are
    cached on disk.
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
    """Return the time of computing and loading: one after the other without workers, else at the same time."""
    return max(compute_seconds, load_seconds / workers) if workers else compute_seconds + load_seconds


def disk_bytes(run: Run, survey: Survey, probe: Probe) -> int:
    """Return what a run leaves: checkpoint, counts, predictions, pictures, record and history; no state on its way."""
    train, samples = run.recipe.train, min(run.recipe.evaluate.samples, survey.test_images)
    kept = probe.checkpoint_bytes if train is None or train.keep_weights else 0
    by_image = probe.counted_bytes + (probe.prediction_bytes if samples else 0.0)
    counted = survey.test_images * by_image + samples * probe.picture_bytes
    return kept + round(counted) + RECORD_BYTES + HISTORY_LINE_BYTES * survey.epochs


def images_of(run: Run, survey: Survey) -> int:
    """Return how many images a run trains and evaluates on, each counted as often as it is fed."""
    train = run.recipe.train
    fed = survey.batches * train.batch_size if train else 0
    return fed + survey.validations * survey.validation_images + survey.test_images


def cached_bytes(survey: Survey) -> int:
    """Return the memory of all decoded images of a run."""
    return (survey.train_images + survey.validation_images + survey.test_images) * survey.image_bytes
