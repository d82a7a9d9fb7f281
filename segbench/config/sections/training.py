"""The sections of a suite: transforms, training, evaluation, loading."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, field_validator, model_validator
from pydantic.fields import FieldInfo

from segbench.config.component import Component, LossEntry, OptimizerEntry, ScheduleEntry, TransformEntry
from segbench.config.reading.one_or_several import ONE_OR_SEVERAL
from segbench.config.reading.validation_errors import check_keys

Precision = Literal["fp32", "tf32", "bf16", "fp16"]
HALF_PRECISIONS = ("bf16", "fp16")
InitScheme = Literal["paper", "torch", "kaiming", "xavier"]
Casting = Literal["weights", "autocast"]
EXECUTION_MODES = (
    *("eager", "cuda_graph", "compile"),
    *(f"compile:{mode}" for mode in ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")),
)
"""How a network can be executed when its speed is measured."""
_REPLAYING = ("reduce-overhead", "max-autotune")
"""Modes of ``torch.compile`` that replay CUDA graphs."""
Pixels = Annotated[int, Field(ge=1)]
Size = tuple[Pixels, Pixels]


Share = Annotated[float, Field(ge=0)]
AuxiliaryWeights = (
    Annotated[float, Field(gt=0)]
    | Annotated[tuple[Share, ...], Field(min_length=1)]
    | Annotated[dict[str, Share], Field(min_length=1)]
)
"""Weights of auxiliary losses: one for all, one for each in their order, or by name."""


class Section(BaseModel):
    """Base of a suite's sections: frozen, and unknown keys are refused with the nearest known one."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True, allow_inf_nan=False
    )

    @model_validator(mode="before")
    @classmethod
    def _read_mapping(cls, given: Any) -> Any:
        """Refuse unknown keys; let ``optimizer: {lr: 0.1}`` mean the default optimizer with that option."""
        if not isinstance(given, Mapping):
            return given
        check_keys(cls, given)
        return {key: _named(value, cls.model_fields[key]) for key, value in given.items()}


def _named(value: Any, field: FieldInfo) -> Any:
    """Return a component's options with the name of the default component, if they have none."""
    kind = field.annotation
    component = isinstance(kind, type) and issubclass(kind, Component)
    if component and isinstance(field.default, str) and isinstance(value, Mapping) and "name" not in value:
        return {"name": field.default, **value}
    return value


class Transforms(Section):
    """What happens to every image, step by step."""

    train: tuple[TransformEntry, ...] = ("normalize",)  # type: ignore[assignment]
    """Steps for training images and their labels, in order."""
    test: tuple[TransformEntry, ...] = ("normalize",)  # type: ignore[assignment]
    """Steps for validation and test images; labels keep their original size."""


class EarlyStopping(Section):
    """Ends a training whose validation mIoU does not rise any more."""

    patience: int = Field(default=5, ge=1)
    """Validations in a row without a rise after which a training ends."""
    min_delta: float = Field(default=0.0, ge=0, lt=1)
    """What counts as a rise: a mIoU above the best one so far by more than this."""


class Train(Section):
    """The one recipe by which every network is trained."""

    epochs: int | None = Field(default=None, ge=1)
    """Passes over the training split; give this or ``steps``."""
    steps: int | None = Field(default=None, ge=1)
    """Optimizer steps; give this or ``epochs``."""
    batch_size: int = Field(default=8, ge=1)
    """Images in one batch: one forward and backward pass, unless ``micro_batch`` cuts it."""
    accumulate: Annotated[int, WithJsonSchema({"type": "integer", "minimum": 1})] | Literal["epoch"] = 1
    """Batches whose mean gradient makes one optimizer step; ``epoch`` is full-batch gradient descent on every image."""
    init: InitScheme = "paper"
    """What initial weights are drawn from: ``paper`` is each network's own; ``torch`` PyTorch's default of every layer;
    ``kaiming`` (He) and ``xavier`` (Glorot) are normal, with small score layers. Pretrained parts and bilinear kernels
    keep their values."""
    micro_batch: Annotated[int, WithJsonSchema({"type": "integer", "minimum": 1})] | Literal["auto"] | None = None
    """Images in one forward pass of training: each batch is cut into parts whose gradients are summed up, weighted by
    their labelled pixels. ``auto`` cuts only what does not fit into memory; null never does."""
    sync_batch_norm: bool = False
    """Whether batch norm takes its statistics over the images of all processes, where several do a run together; CUDA
    only, and not with ``micro_batch``."""
    drop_last: bool = True
    """Whether an incomplete last batch is left out (batch norm suffers from small ones)."""
    loss: Annotated[tuple[LossEntry, ...], ONE_OR_SEVERAL] = ("cross_entropy",)  # type: ignore[assignment]
    """One loss, or several with weights that are summed."""
    auxiliary: AuxiliaryWeights | None = None
    """Weights of the losses of auxiliary outputs, which are added to that of the scores: one for all, a list in their
    order, or a mapping by name. Null does not train on them. Networks without auxiliary outputs are not affected."""
    optimizer: OptimizerEntry = "adamw"  # type: ignore[assignment]
    """The optimizer; the learning rate is its option ``lr``."""
    schedule: ScheduleEntry = "constant"  # type: ignore[assignment]
    """The learning-rate schedule, stepped after every optimizer step."""
    clip_gradient_norm: float | None = Field(default=None, gt=0)
    """The largest global gradient norm; larger gradients are scaled down."""
    ema_decay: float | None = Field(default=None, gt=0, lt=1)
    """Decay of an exponential moving average of the weights, which is then what is evaluated."""
    precision: Precision = "fp32"
    """Arithmetic of the forward pass in training and evaluation; losses are always computed in float32."""
    channels_last: bool = False
    """Whether tensors are laid out with channels last."""
    compile: bool | Literal["default", "reduce-overhead", "max-autotune"] = False
    """Whether, or in which mode, the network goes through ``torch.compile``."""
    activation_checkpointing: bool = False
    """Whether blocks keep only their inputs for the backward pass and compute the rest again: memory against time."""
    deterministic: bool = False
    """Whether the same run gives the same bits on CUDA too, at some cost; on processors it does anyway. An operation
    that cannot is an error."""
    validate_every: int | None = Field(default=None, ge=1)
    """Epochs between validation scores; needs ``dataset.validation_split`` or ``dataset.folds``."""
    select: Literal["last", "best"] = "last"
    """Which weights are reported: the last epoch's, or those with the best validation mIoU."""
    early_stopping: EarlyStopping | None = None
    """Ends a training early, by its validation mIoU; ``epochs`` or ``steps`` are then the most. None by default."""
    keep_weights: bool = True
    """Whether each run keeps its trained network as ``checkpoint.safetensors``."""

    @property
    def validates(self) -> bool:
        """Whether networks are scored on a validation split while they are trained."""
        return self.validation_interval is not None

    @property
    def validation_interval(self) -> int | None:
        """Epochs between validation scores; None where there are none."""
        return self.validate_every or (1 if self.chooses_by_validation else None)

    @property
    def chooses_by_validation(self) -> bool:
        """Whether validation scores choose what is reported: its epoch, or the length of the training."""
        return self.select == "best" or self.early_stopping is not None

    @field_validator("loss", mode="before")
    @classmethod
    def _one_or_several(cls, given: Any) -> Any:
        return [given] if isinstance(given, str | Mapping) else given

    @field_validator("auxiliary", mode="before")
    @classmethod
    def _weights_of_auxiliary_losses(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        if any(isinstance(weight, bool) for weight in given.values()):
            raise ValueError("expected numbers, not true or false")
        return {str(key): weight for key, weight in given.items()}  # YAML reads an index as a number

    @field_validator("accumulate")
    @classmethod
    def _positive(cls, given: int | str) -> int | str:
        if isinstance(given, int) and given < 1:
            raise ValueError("must be at least 1, or 'epoch'")
        return given

    @field_validator("micro_batch")
    @classmethod
    def _positive_part(cls, given: int | str | None) -> int | str | None:
        if isinstance(given, int) and given < 1:
            raise ValueError("must be at least 1, or 'auto'")
        return given

    @model_validator(mode="after")
    def _blocks_that_can_be_recomputed(self) -> Train:
        if self.compile and self.activation_checkpointing:
            raise ValueError("activation_checkpointing does not go with compile, which plans its own recomputation")
        return self

    @model_validator(mode="after")
    def _graphs_that_stay(self) -> Train:
        """Both modes replay CUDA graphs, whose second replay overwrites gradients that are still summed up."""
        if self.compile in _REPLAYING and (self.accumulate != 1 or self.micro_batch is not None):
            raise ValueError(
                f"compile: {self.compile} does not go with accumulate or micro_batch, which sum gradients up over "
                "several passes; say compile: true"
            )
        return self

    @model_validator(mode="after")
    def _step_that_can_be_repeated(self) -> Train:
        if self.micro_batch == "auto" and self.accumulate == "epoch":
            raise ValueError(
                "micro_batch: auto repeats the step that did not fit; with accumulate: epoch give a number"
            )
        return self

    @model_validator(mode="after")
    def _epochs_or_steps(self) -> Train:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("give either epochs or steps")
        return self


class Window(Section):
    """Sliding-window evaluation: overlapping tiles whose probabilities are averaged."""

    size: Size
    """Height and width of a tile in pixels."""
    stride: Size
    """Rows and columns from one tile to the next."""

    @model_validator(mode="after")
    def _no_gaps(self) -> Window:
        if self.stride[0] > self.size[0] or self.stride[1] > self.size[1]:
            raise ValueError(f"a stride of {self.stride} leaves gaps between tiles of {self.size}")
        return self


class Evaluate(Section):
    """How every network is evaluated."""

    batch_size: int = Field(default=8, ge=1)
    """Images in one forward pass (those of one size go together)."""
    window: Window | None = None
    """Sliding window; the whole image at once by default."""
    scales: tuple[float, ...] = (1.0,)
    """Image scales whose probabilities are averaged."""
    flip: bool = False
    """Whether the mirrored image is averaged in."""
    precision: Precision | None = None
    """Arithmetic of the forward pass; that of training by default."""
    samples: int = Field(default=4, ge=0)
    """Test images that are kept as pictures with label and prediction; 0 keeps no prediction at all."""

    @field_validator("scales")
    @classmethod
    def _positive_scales(cls, given: tuple[float, ...]) -> tuple[float, ...]:
        if not given or min(given) <= 0:
            raise ValueError("needs at least one scale, each above 0")
        return given


class Loader(Section):
    """How data comes to the networks; changes time, never results."""

    workers: int = Field(default=0, ge=0)
    """Processes that read and augment images; 0 does it in the run's own process."""
    cache: Literal["none", "memory", "disk"] = "none"
    """Where decoded images are kept between epochs."""
    cache_folder: str | None = None
    """Folder of the disk cache; the user's cache folder by default."""
    cache_gigabytes: float = Field(default=64.0, gt=0)
    """The most that caches take: in memory those of one run, on disk all of a folder. A split that takes more, or more
    than half of what is free, is not cached."""


class Resume(Section):
    """How often a run saves where it is, so that it goes on from there after a crash; changes no result."""

    every_minutes: Annotated[float, Field(gt=0)] | None = 5.0
    """Minutes from one saved state to the next; null saves by steps only."""
    every_steps: Annotated[int, Field(ge=1)] | None = None
    """Optimizer steps from one saved state to the next; null saves by minutes only."""
    keep: bool = False
    """Whether the last states stay when the run is done."""


class Speed(Section):
    """How fast every network is; changes no score."""

    tasks: Annotated[tuple[Literal["inference", "training", "loading"], ...], Field(min_length=1)] = (
        "inference",
        "training",
        "loading",
    )
    """What is timed; training and loading need a training recipe."""
    size: Size | None = None
    """Height and width of the images; by default what the networks see of the first test and training image."""
    batch_sizes: Annotated[tuple[Pixels, ...], Field(min_length=1)] | Literal["sweep"] = (1,)
    """Batches of inference; ``sweep`` doubles from 1 until memory is out or throughput gains less than 3 %."""
    precisions: Annotated[tuple[Precision, ...], Field(min_length=1)] | None = None
    """Arithmetic of inference; that of the evaluation by default."""
    casting: Annotated[tuple[Casting, ...], Field(min_length=1)] = ("weights",)
    """Where inference casts to bf16 or fp16: ``weights`` casts the weights once, before anything is timed;
    ``autocast`` leaves them in float32 and casts them in every call, as training and evaluation do."""
    modes: Annotated[tuple[str, ...], Field(min_length=1)] = ("eager",)
    """``eager``, ``compile``, ``compile:MODE``, ``cuda_graph``."""
    outputs: Annotated[tuple[Literal["logits", "classes", "labels"], ...], Field(min_length=1)] = ("logits",)
    """What an inference call delivers: scores, the argmax, or scores resized to the label's size and their argmax."""
    channels_last: Annotated[tuple[bool, ...], Field(min_length=1)] | None = None
    """Memory layouts of inference; that of training by default."""
    threads: Annotated[int, Field(ge=1)] | None = 1
    """Threads of an operation on the processor; null leaves torch's choice. One gives figures that can be repeated."""
    restarts: int = Field(default=3, ge=1)
    """Fresh processes for each case: the same code differs by some per cent from start to start."""
    seconds: float = Field(default=2.0, gt=0)
    """Time for the samples of one case in one process."""
    energy: bool = True
    """Whether the accelerator's energy is measured, over the same calls."""

    @field_validator("modes")
    @classmethod
    def _known_modes(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for mode in given:
            if mode not in EXECUTION_MODES:
                raise ValueError(f"{mode!r} is none of {', '.join(EXECUTION_MODES)}")
        return given
