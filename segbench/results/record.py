"""The record of one run: every fact that is not an array, as it stands in ``run.json``."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from segbench.results.data_identity import DataIdentity
from segbench.results.outputs import OutputFacts
from segbench.results.shares import joined

SCHEMA_VERSION = 2
"""History: 2, new runs count the void row of ``confusion.npz``; where ``void_count`` is absent from it, as in runs of
version 1 and in copies of them that tuned runs took over, the void row is not known.
1, the first; before it was ever released, ``model`` got ``activation_bytes``, ``weights_bytes`` and
``parameter_groups``, and the record ``micro_batch``, ``processes``, ``runs_at_once``, ``tuning``, ``fold`` and
``early_stop``, and ``data`` ``pixel_digests`` and ``notes``, which records without them leave open."""


class Status(StrEnum):
    """How a run ended."""

    COMPLETED = "completed"
    SKIPPED = "skipped"
    FAILED = "failed"


class Facts(BaseModel):
    """Base of the parts of a record: frozen, nothing unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Outcome(Facts):
    """How a run ended, and why."""

    status: Status
    reason: str | None = None
    """Why it was skipped or failed, in one sentence."""
    error: str | None = None
    """The name of the error's class."""
    traceback: str | None = None
    """Where an unforeseen error came from."""


class WeightsLoaded(Facts):
    """What of a network started from the weights of a VGG-16; all else was initialised."""

    source: str
    """Name of the file, or timm's network in words."""
    tensors: dict[str, tuple[str, ...]]
    """Names of the network's tensors that took them, by part: convolutions, batch norms, fc6, fc7."""
    initialised: tuple[str, ...] = ()
    """The parts that the source has no weights for."""

    def __str__(self) -> str:
        """Return it in words, such as ``13 convolutions from vgg16.safetensors; fc6, fc7 and the rest initialised``."""
        counts = {part: sum(name.endswith(".weight") for name in names) for part, names in self.tensors.items()}
        loaded = [part if count == 1 else f"{count} {part}" for part, count in counts.items()]
        return f"{joined(loaded)} from {self.source}; {joined([*self.initialised, 'the rest'])} initialised"


class InitialWeights(Facts):
    """What ``train.init`` did to the network, where it is not ``paper``; all other layers with weights were drawn."""

    score_layers: tuple[str, ...] = ()
    """The layers that were drawn small, since the logits are made of what they give."""
    kept: tuple[str, ...] = ()
    """The layers that kept their values, which no seed changes: pretrained ones and bilinear kernels."""


WEIGHTS_FACTS = ("weights_left_out", "weights_key", "weights_unused", "weights_moved")
"""What records say of checkpoints, beside the share that fits."""


class ModelFacts(Facts):
    """What the network is."""

    name: str
    options: dict[str, Any]
    """Its options and, where they were given, ``pad_to`` and ``output``."""
    pretrained: bool
    """Whether any weights were trained before the suite."""
    weights_digest: str | None = None
    """SHA-256 of the file the weights came from, when there was one."""
    source_digest: str | None = None
    """SHA-256 of the module's source, for networks given by their import path."""
    weights_left_out: dict[str, list[str]] | None = None
    """What of a checkpoint, or of the network, did not fit under ``strict: false``: missing, unexpected, misshapen."""
    weights_share: float | None = None
    """Of a network with a checkpoint: the share of its tensors, by their values, that were taken from it."""
    weights_key: str | None = None
    """The key of the checkpoint under which they stand, where others would have fitted as well."""
    weights_unused: list[str] | None = None
    """Tensors of the checkpoint beside those of the network, such as buffers of a loss; None where there are none."""
    weights_moved: str | None = None
    """What a part of the network is called in the checkpoint, where it is called otherwise."""
    classes_map: dict[str, list[int]] | None = None
    """For each class, the outputs of the network that stand for it, where it has others than the data set's."""
    weights_loaded: WeightsLoaded | None = None
    """What of the network started from the weights of a VGG-16, where ``pretrained`` asks for them."""
    initial_weights: InitialWeights | None = None
    """Which layers ``train.init`` drew small and which it kept; None where it is ``paper``."""
    outputs: OutputFacts | None = None
    """What a network from elsewhere returned when it was tried; None for built-in ones, and where it was not tried."""
    parameter_groups: tuple[GroupFacts, ...] | None = None
    """What each group of ``train.optimizer.groups`` takes of the network; None where the recipe has none."""
    parameters: int | None = None
    """Learned parameters."""
    macs: int | None = None
    """Multiply-adds for one test image of ``input_size``; None when they cannot be counted."""
    activation_bytes: int | None = None
    """What training keeps of one image of ``input_size`` for the backward pass, in float32; None when not countable."""
    weights_bytes: int | None = None
    """All tensors of the network, as they stand in a checkpoint without its header."""
    input_size: tuple[int, int] | None = None
    """Height and width of the first test image as the network sees it."""
    citation: str = ""


class GroupFacts(Facts):
    """What a group of ``train.optimizer.groups`` takes of a network."""

    parameters: tuple[str, ...]
    """Its patterns."""
    tensors: int
    """Trainable tensors whose names match; 0 where none does."""
    matched: int
    """Numbers in them."""
    lr: float | None = None
    """Their highest learning rate, where the group has one of its own."""
    lr_scale: float | None = None
    """Or their learning rate as a multiple of the optimizer's."""
    weight_decay: float | None = None
    """Their weight decay, where the group has one of its own."""


class EarlyStop(Facts):
    """How a training ended before the end of its recipe, by ``train.early_stopping``."""

    epoch: int
    """The epoch that it ended after."""
    epochs: int
    """Those of the whole recipe."""
    reason: str
    """Why, in words."""


class DataFacts(Facts):
    """What the network was trained and tested on."""

    dataset: str
    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    train_images: int
    test_images: int
    fingerprints: dict[str, str]
    """Hash of each split's files or generator, by its role: train, validation, test."""
    pixel_digests: dict[str, str] = Field(default_factory=dict)
    """Hash of each split's names and decoded pixels, by its role, where it is known."""
    notes: tuple[str, ...] = ()
    """What the check of the splits noted, each with its split in front."""
    train_digest: str | None = None
    """Hash of all that was fed in training, in order: equal digests mean the same data."""
    epoch_digests: tuple[str, ...] | None = None
    """The same after each epoch, where trainings may stop early: those of different lengths are compared by it."""
    test_digest: str | None = None
    """Hash of all that was fed in the final evaluation, in order."""
    channels: int | None = None
    """Channels of the images; None in records of before."""
    dtype: str | None = None
    """NumPy's name of the type of their pixels; None in records of before."""
    statistics: dict[Literal["mean", "std"], tuple[float, ...]] | None = None
    """Mean and deviation of each channel that ``statistics: measured`` found in the training split, as ``normalize``
    takes them; None where nothing was measured."""

    @property
    def identity(self) -> DataIdentity:
        """What the data is recognised by."""
        return DataIdentity(self.fingerprints, self.pixel_digests)


class Timings(Facts):
    """How long it took."""

    started: str
    """ISO 8601, UTC."""
    total_seconds: float
    training_seconds: float | None = None
    evaluation_seconds: float | None = None
    training_images_per_second: float | None = None
    """Images trained on over the time spent in training epochs, data loading included."""
    evaluation_images_per_second: float | None = None
    """Test images over the time of the final evaluation, data loading included."""


class TuningFacts(Facts):
    """What part a run has in a tuning."""

    role: Literal["trial", "tuned"]
    """A trial is scored on the validation split, to choose a recipe; a tuned run has the recipe that was chosen."""
    values: dict[str, Any] | None
    """What the trial tried, or what was chosen, by dotted key; None where no trial was completed."""
    trials: dict[str, dict[str, Any]] | None = None
    """Of a tuned run: the ids of its network's trials with what they tried, in the grid's order."""


class FoldFacts(Facts):
    """Which fold of a cross-validation a run was tested on."""

    index: int
    """From 1."""
    folds: int
    """How many there are."""
    groups: tuple[str, ...] | None = None
    """The group of each test image, in the order of ``confusion.npz``; None without groups, or where the data was not
    opened."""
    pool_fingerprint: str | None = None
    """Hash of the content of all folds; None where the data was not opened."""


class RunRecord(Facts):
    """One run: what was asked, what came of it, on what and where."""

    schema_version: int = SCHEMA_VERSION
    id: str
    suite: str
    label: str
    seed: int
    point: dict[str, Any]
    """The grid's values for this run."""
    identity: str
    protocol_id: str
    recipe: dict[str, Any]
    """The canonical recipe that the protocol id is the hash of."""
    outcome: Outcome
    model: ModelFacts
    data: DataFacts | None = None
    timings: Timings
    test_loss: float | None = None
    """Mean loss per labelled test image."""
    selected_epoch: int | None = None
    """The epoch whose weights are reported."""
    early_stop: EarlyStop | None = None
    """How the training was stopped early; None where it went to the end of its recipe."""
    micro_batch: int | None = None
    """Images in one forward pass of training, where batches were cut into parts: by the recipe, or to fit memory."""
    processes: int = 1
    """How many processes did it together, each with its share of every batch."""
    runs_at_once: int = 1
    """How many runs may have shared its device, this one included; above 1, its images a second are no measure."""
    tuning: TuningFacts | None = None
    """The part that it has in a tuning; None for runs by the recipe that is the same for all networks."""
    fold: FoldFacts | None = None
    """The fold that it was tested on; None without cross-validation."""
    environment: dict[str, Any]
    """Versions, processor, accelerator, threads."""
