"""The record of one run, stored as ``run.json``: everything except arrays."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from segbench.results.data_identity import DataIdentity
from segbench.results.outputs import OutputFacts
from segbench.results.run_files import WEIGHTS_FILE
from segbench.results.wording import joined

SCHEMA_VERSION = 2
"""History. 2: ``confusion.npz`` holds the void row. If ``void_count`` is absent (runs of version 1, and copies of them
that tuned runs took over), the void row is not known. 1: the first version. These optional fields were added before its
release; a record without them leaves them unknown: in ``model``, ``activation_bytes``, ``weights_bytes`` and
``parameter_groups``; in the record, ``micro_batch``, ``processes``, ``runs_at_once``, ``tuning``, ``fold``,
``early_stop``, ``teacher`` and ``checksums``; in ``data``, ``pixel_digests`` and ``notes``."""


_LARGEST = 2**63 - 1
"""Tables hold whole numbers of 64 bits."""

Count = Annotated[int, Field(ge=0, le=_LARGEST)]
"""A number of things, bytes or pixels."""
Positive = Annotated[int, Field(ge=1, le=_LARGEST)]
"""A number of things of which there is one at least."""
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""Seconds, or a rate."""
Share = Annotated[float, Field(ge=0, le=1)]
"""A fraction of 1."""


def _checked_time(text: str) -> str:
    datetime.fromisoformat(text)
    return text


class Status(StrEnum):
    """How a run ended."""

    COMPLETED = "completed"
    SKIPPED = "skipped"
    FAILED = "failed"


class Facts(BaseModel):
    """Base class of the parts of a record: frozen, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Outcome(Facts):
    """How a run ended and why."""

    status: Status
    reason: str | None = None
    """Why it was skipped or failed, in one sentence."""
    error: str | None = None
    """The name of the error's class."""
    traceback: str | None = None
    """The traceback of an unexpected error."""


class WeightsLoaded(Facts):
    """Which parts of a network were loaded from VGG-16 weights; all other layers were initialised."""

    source: str
    """Name of the file, or a description of timm's network."""
    tensors: dict[str, tuple[str, ...]]
    """Names of the network's tensors that were loaded, by part: convolutions, batch norms, fc6, fc7."""
    initialised: tuple[str, ...] = ()
    """Parts for which the source has no weights."""

    def __str__(self) -> str:
        """Describe, as in ``13 convolutions from vgg16.safetensors; fc6, fc7 and the rest initialised``."""
        counts = {part: sum(name.endswith(".weight") for name in names) for part, names in self.tensors.items()}
        loaded = [part if count == 1 else f"{count} {part}" for part, count in counts.items()]
        return f"{joined(loaded)} from {self.source}; {joined([*self.initialised, 'the rest'])} initialised"


class InitialWeights(Facts):
    """What ``train.init`` did, if it is not ``paper``; all layers not listed here were initialised at random."""

    score_layers: tuple[str, ...] = ()
    """Layers initialised with small weights, since the logits are computed from their outputs."""
    kept: tuple[str, ...] = ()
    """Layers that kept their values for every seed: pretrained ones and bilinear kernels."""


WEIGHTS_FACTS = ("weights_left_out", "weights_key", "weights_unused", "weights_moved")
"""Fields of the record about checkpoints, besides the fraction that matches."""


class ModelFacts(Facts):
    """Facts about the network."""

    name: str
    options: dict[str, Any]
    """Its options, and ``pad_to`` and ``output`` if given."""
    pretrained: bool
    """Whether any weights were pretrained."""
    weights_digest: str | None = None
    """SHA-256 of the file of weights, if there was one."""
    source_digest: str | None = None
    """SHA-256 of the module's source, for networks given by their import path."""
    weights_left_out: dict[str, list[str]] | None = None
    """Tensors that did not match under ``strict: false``, by kind: missing, unexpected, misshapen."""
    weights_share: Share | None = None
    """Fraction of the network's values that were loaded from the checkpoint."""
    weights_key: str | None = None
    """The checkpoint's key of the loaded tensors, if other keys would match as well."""
    weights_unused: list[str] | None = None
    """Tensors of the checkpoint that the network does not have, such as buffers of a loss; None if there are none."""
    weights_moved: str | None = None
    """Names of the network's parts in the checkpoint, if they differ."""
    classes_map: dict[str, list[int]] | None = None
    """For each class, the network's outputs that represent it, if the network's classes differ from the data set's."""
    weights_loaded: WeightsLoaded | None = None
    """Which parts were loaded from VGG-16 weights, if ``pretrained`` asks for them."""
    initial_weights: InitialWeights | None = None
    """Layers initialised small and layers kept by ``train.init``; None for ``paper``."""
    outputs: OutputFacts | None = None
    """What an external network returned when it was tried; None for built-in networks, or if it was not tried."""
    parameter_groups: tuple[GroupFacts, ...] | None = None
    """The parameters of each group of ``train.optimizer.groups``; None if the recipe has no groups."""
    parameters: Count | None = None
    """Number of learned parameters."""
    macs: Count | None = None
    """Multiply-adds for one test image of ``input_size``; None if they cannot be counted."""
    activation_bytes: Count | None = None
    """Bytes of float32 activations kept for the backward pass of one image of ``input_size``; None if unknown."""
    weights_bytes: Count | None = None
    """Bytes of all tensors of the network, as in a checkpoint without its header."""
    input_size: tuple[Positive, Positive] | None = None
    """Height and width of the first test image as given to the network."""
    citation: str = ""


class GroupFacts(Facts):
    """The parameters of a group of ``train.optimizer.groups``."""

    parameters: tuple[str, ...]
    """Its patterns."""
    tensors: Count
    """Number of trainable tensors whose names match."""
    matched: Count
    """Number of values in them."""
    lr: float | None = None
    """Their highest learning rate, if the group sets one."""
    lr_scale: float | None = None
    """Their learning rate as a multiple of the optimizer's, if the group sets that."""
    weight_decay: float | None = None
    """Their weight decay, if the group sets one."""


class EarlyStop(Facts):
    """How ``train.early_stopping`` ended a training early."""

    epoch: Count
    """The last epoch trained."""
    epochs: Count
    """Number of epochs of the recipe."""
    reason: str
    """The reason in words."""


class DataFacts(Facts):
    """What the network was trained and tested on."""

    dataset: str
    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    train_images: Count
    test_images: Count
    fingerprints: dict[str, str]
    """Hash of each split's files or generator, by its role: train, validation, test."""
    pixel_digests: dict[str, str] = Field(default_factory=dict)
    """Hash of each split's names and decoded pixels, by its role, if known."""
    notes: tuple[str, ...] = ()
    """Notes of the data check, each with its split in front."""
    train_digest: str | None = None
    """Hash of all training inputs in order; equal hashes mean equal inputs."""
    epoch_digests: tuple[str, ...] | None = None
    """The same hash after each epoch, if trainings may stop early; used to compare trainings of different lengths."""
    test_digest: str | None = None
    """Hash of all inputs of the final evaluation, in order."""
    channels: Positive | None = None
    """Channels of the images; None in older records."""
    dtype: str | None = None
    """NumPy's name of the pixel type; None in older records."""
    statistics: dict[Literal["mean", "std"], tuple[float, ...]] | None = None
    """Mean and standard deviation of each channel of the training split, as ``normalize`` takes them; None without
    ``statistics: measured``."""

    @property
    def identity(self) -> DataIdentity:
        """The hashes that identify the data."""
        return DataIdentity(self.fingerprints, self.pixel_digests)


class Timings(Facts):
    """Durations and throughputs of a run."""

    started: Annotated[str, AfterValidator(_checked_time)]
    """ISO 8601, UTC."""
    total_seconds: Amount
    training_seconds: Amount | None = None
    evaluation_seconds: Amount | None = None
    training_images_per_second: Amount | None = None
    """Training throughput over the time of training epochs, including data loading."""
    evaluation_images_per_second: Amount | None = None
    """Throughput of the final evaluation, including data loading."""


class TuningFacts(Facts):
    """A run's role in a tuning."""

    role: Literal["trial", "tuned"]
    """A trial is scored on the validation split to choose a recipe. A tuned run uses the chosen recipe."""
    values: dict[str, Any] | None
    """The trial's values, or the chosen ones, by dotted key; None if no trial was completed."""
    trials: dict[str, dict[str, Any]] | None = None
    """For a tuned run: the ids and values of its network's trials, in the grid's order."""


class FoldFacts(Facts):
    """The fold of a cross-validation that a run was tested on."""

    index: Positive
    """Number of the fold, from 1."""
    folds: Positive
    """Number of folds."""
    groups: tuple[str, ...] | None = None
    """The group of each test image, in the order of ``confusion.npz``; None without groups, or if the data was not
    opened."""
    pool_fingerprint: str | None = None
    """Hash of the content of all folds; None if the data was not opened."""


class TeacherFacts(Facts):
    """The trained network that taught a run's network (``train.distill``)."""

    label: str
    """Its row's name."""
    run: str
    """Id of the run that trained it."""
    identity: str
    """Identity of that run, which is a part of the student's."""
    weights_digest: str | None = None
    """SHA-256 of its tensors; None if they were not read."""


class RunRecord(Facts):
    """One run: its settings, outcome, data and environment."""

    schema_version: int = SCHEMA_VERSION
    id: str
    suite: str
    label: Annotated[str, Field(min_length=1)]
    seed: Annotated[int, Field(ge=-_LARGEST, le=_LARGEST)]
    point: dict[str, Any]
    """The grid's values of this run."""
    identity: str
    protocol_id: str
    recipe: dict[str, Any]
    """The canonical recipe; the protocol id is its hash."""
    outcome: Outcome
    model: ModelFacts
    data: DataFacts | None = None
    timings: Timings
    test_loss: float | None = None
    """Mean loss per labelled test image."""
    selected_epoch: Count | None = None
    """The epoch of the reported weights."""
    early_stop: EarlyStop | None = None
    """How the training was stopped early; None if it was not."""
    micro_batch: Positive | None = None
    """Images per forward pass of training, if batches were split (by the recipe, or to fit memory)."""
    processes: Positive = 1
    """Number of processes; each trained on its share of every batch."""
    runs_at_once: Positive = 1
    """Number of runs that may have shared the device, including this one; above 1, throughputs are not comparable."""
    tuning: TuningFacts | None = None
    """The run's role in a tuning; None if it uses the recipe shared by all networks."""
    fold: FoldFacts | None = None
    """The fold of the cross-validation; None without one."""
    teacher: TeacherFacts | None = None
    """The network that it was distilled from; None without ``train.distill``."""
    environment: dict[str, Any]
    """The fingerprint: versions, processor, accelerator, threads."""
    checksums: dict[str, str] | None = None
    """SHA-256 of each other file of the run by its path, and of this record without its checksums; None in older
    records."""

    @model_validator(mode="after")
    def _sections_of_the_recipe(self) -> RunRecord:
        for key in ("dataset", "transforms", "train", "evaluate"):
            section = self.recipe.get(key)
            if section is not None and not isinstance(section, dict):
                raise ValueError(f"recipe.{key} is {section!r}, not a mapping")
        train = self.recipe.get("train") or {}
        for key in ("epochs", "batch_size"):
            if train.get(key) is not None and not isinstance(train[key], int):
                raise ValueError(f"recipe.train.{key} is {train[key]!r}, not a whole number")
        return self

    @property
    def trained_weights(self) -> str | None:
        """SHA-256 of the file of trained weights; None if they were not kept, or in older records."""
        return (self.checksums or {}).get(WEIGHTS_FILE)
