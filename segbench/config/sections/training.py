"""The sections of a suite: transforms, training, evaluation, loading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, WithJsonSchema, field_validator, model_validator
from pydantic.fields import FieldInfo

from segbench.config.component import Component, LossEntry, OptimizerEntry, ScheduleEntry, TransformEntry
from segbench.config.reading.one_or_several import ONE_OR_SEVERAL
from segbench.config.reading.validation_errors import check_keys, line_error
from segbench.registry import TRANSFORMS

Precision = Literal["fp32", "tf32", "bf16", "fp16"]
HALF_PRECISIONS = ("bf16", "fp16")
InitScheme = Literal["paper", "torch", "kaiming", "xavier"]
Casting = Literal["weights", "autocast"]
EXECUTION_MODES = (
    *("eager", "cuda_graph", "compile"),
    *(f"compile:{mode}" for mode in ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")),
)
"""Execution modes of speed measurements."""
_REPLAYING = ("reduce-overhead", "max-autotune")
"""Modes of ``torch.compile`` that replay CUDA graphs."""
MOST_EPOCHS, MOST_STEPS, MOST_IMAGES = 1_000_000, 1_000_000_000, 1_000_000
"""Bounds of recipes, above what anybody trains: passes, optimizer steps, images per batch."""

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
    """Base class of a suite's sections: frozen; errors about unknown keys suggest the most similar one."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True, allow_inf_nan=False
    )

    @model_validator(mode="before")
    @classmethod
    def _read_mapping(cls, given: Any) -> Any:
        """Refuse unknown keys; ``optimizer: {lr: 0.1}`` means the default optimizer with that option."""
        if not isinstance(given, Mapping):
            return given
        check_keys(cls, given)
        return {key: _named(value, cls.model_fields[key]) for key, value in given.items()}


def _named(value: Any, field: FieldInfo) -> Any:
    """Add the default component's name to options without a name."""
    kind = field.annotation
    component = isinstance(kind, type) and issubclass(kind, Component)
    if component and isinstance(field.default, str) and isinstance(value, Mapping) and "name" not in value:
        return {"name": field.default, **value}
    return value


DETERMINISTIC = frozenset({"resize", "normalize"})
"""The built-in transforms that are allowed for test images."""


class Transforms(Section):
    """Transforms of images."""

    train: tuple[TransformEntry, ...] = ("normalize",)  # type: ignore[assignment]
    """Transforms of training images and labels, in order."""
    test: tuple[TransformEntry, ...] = ("normalize",)  # type: ignore[assignment]
    """Transforms of validation and test images; labels keep their original size."""

    @field_validator("train", "test")
    @classmethod
    def _in_order(cls, steps: tuple[TransformEntry, ...], info: ValidationInfo) -> tuple[TransformEntry, ...]:
        check_order([step.name for step in steps], training=info.field_name == "train")
        return steps


def check_order(names: Sequence[str], *, training: bool) -> None:
    """Refuse steps that cannot follow each other, or that change test images at random.

    Raises:
        ValueError: ``normalize`` is not the last step, or a built-in step of test images draws at random.
    """
    if "normalize" in names[:-1]:
        after = names[names.index("normalize") + 1]
        raise ValueError(f"{after} follows normalize, which has to be the last step; move normalize down")
    for name in names:
        if not training and not TRANSFORMS.is_foreign(name) and name not in DETERMINISTIC:
            allowed = ", ".join(sorted(DETERMINISTIC))
            raise ValueError(f"{name} changes images at random; only {allowed} can be used here")


class EarlyStopping(Section):
    """Ends a training when its validation mIoU stops rising."""

    patience: int = Field(default=5, ge=1)
    """Number of consecutive validations without a rise after which a training ends."""
    min_delta: float = Field(default=0.0, ge=0, lt=1)
    """A rise is a mIoU above the best so far by more than this."""


class Distill(Section):
    """Knowledge distillation: a student is trained on the outputs of a trained teacher beside the labels.

    Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015; for each pixel as in Liu et al.,
    "Structured Knowledge Distillation for Semantic Segmentation", CVPR 2019, section 3.1.
    """

    teacher: str | dict[str, str]
    """Label of the model that teaches all others; or a mapping from each student's label to its teacher's."""
    weight: float = Field(default=0.5, ge=0, le=1)
    """Weight of the distillation loss; the loss on the labels has 1 minus this. 0 is training without a teacher."""
    temperature: float = Field(default=2.0, gt=0)
    """Divides the logits of teacher and student before the softmax; the loss is multiplied by its square."""


class Train(Section):
    """The recipe with which all networks are trained."""

    epochs: int | None = Field(default=None, ge=1, le=MOST_EPOCHS)
    """Passes over the training split; give this or ``steps``."""
    steps: int | None = Field(default=None, ge=1, le=MOST_STEPS)
    """Optimizer steps; give this or ``epochs``."""
    batch_size: int = Field(default=8, ge=1, le=MOST_IMAGES)
    """Images per batch (one forward and backward pass, unless ``micro_batch`` splits it)."""
    accumulate: Annotated[int, WithJsonSchema({"type": "integer", "minimum": 1})] | Literal["epoch"] = 1
    """Batches per optimizer step, which uses their mean gradient; ``epoch`` is full-batch gradient descent."""
    init: InitScheme = "paper"
    """Initialisation of weights: ``paper`` is each network's own scheme, ``torch`` PyTorch's default of each layer.
    ``kaiming`` (He) and ``xavier`` (Glorot) are normal distributions, with small score layers. Pretrained parts and
    bilinear kernels keep their values."""
    micro_batch: Annotated[int, WithJsonSchema({"type": "integer", "minimum": 1})] | Literal["auto"] | None = None
    """Images per forward pass of training: batches are split, and gradients are accumulated with weights by labelled
    pixels. ``auto`` splits only batches that do not fit into memory; null never splits."""
    sync_batch_norm: bool = False
    """Whether batch norm is synchronized over all processes of a run; CUDA only, and not with ``micro_batch``."""
    batch_norm_statistics: Literal["running", "precise"] = "running"
    """Which statistics batch norm has in evaluation: ``running`` averages of training, or ``precise`` ones, computed
    anew over the training images with dropout off, at the end and before each validation."""
    drop_last: bool = True
    """Whether to skip an incomplete last batch (batch norm is poor on small batches)."""
    loss: Annotated[tuple[LossEntry, ...], ONE_OR_SEVERAL] = ("cross_entropy",)  # type: ignore[assignment]
    """One loss, or a weighted sum of several."""
    auxiliary: AuxiliaryWeights | None = None
    """Weights of auxiliary losses, which are added to the main loss: one for all, a list in order, or a mapping by
    name. null does not train auxiliary outputs. Networks without them are not affected."""
    distill: Distill | None = None
    """Knowledge distillation from another model of the suite, trained with the same recipe without it, seed and fold.
    None by default."""
    optimizer: OptimizerEntry = "adamw"  # type: ignore[assignment]
    """The optimizer; the learning rate is its option ``lr``."""
    schedule: ScheduleEntry = "constant"  # type: ignore[assignment]
    """The learning-rate schedule, stepped after every optimizer step."""
    clip_gradient_norm: float | None = Field(default=None, gt=0)
    """The largest global gradient norm; larger gradients are scaled down."""
    ema_decay: float | None = Field(default=None, gt=0, lt=1)
    """Decay of an exponential moving average of the weights, which is then evaluated."""
    precision: Precision = "fp32"
    """Precision of the forward pass in training and evaluation; losses are always computed in float32."""
    channels_last: bool = False
    """Whether tensors use the channels-last memory layout."""
    compile: bool | Literal["default", "reduce-overhead", "max-autotune"] = False
    """Whether, or in which mode, to use ``torch.compile``."""
    activation_checkpointing: bool = False
    """Whether blocks keep only their inputs and recompute activations in the backward pass: less memory, more time."""
    deterministic: bool = False
    """Whether runs are bit-reproducible on CUDA too, at some cost; on CPUs they always are. An operation without a
    deterministic algorithm is an error."""
    validate_every: int | None = Field(default=None, ge=1)
    """Epochs between validation scores; needs ``dataset.validation_split`` or ``dataset.folds``."""
    select: Literal["last", "best"] = "last"
    """Which weights are reported: those of the last epoch, or those with the best validation mIoU."""
    early_stopping: EarlyStopping | None = None
    """Early stopping by validation mIoU; ``epochs`` or ``steps`` are then upper limits. None by default."""
    keep_weights: bool = True
    """Whether each run keeps its trained network as ``checkpoint.safetensors``."""

    @property
    def validates(self) -> bool:
        """Whether networks are validated during training."""
        return self.validation_interval is not None

    @property
    def validation_interval(self) -> int | None:
        """Epochs between validation scores; None without validation."""
        return self.validate_every or (1 if self.chooses_by_validation else None)

    @property
    def chooses_by_validation(self) -> bool:
        """Whether validation scores determine the reported epoch or the length of the training."""
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
    def _weights_that_teach(self) -> Train:
        if self.distill is not None and not self.keep_weights:
            text = "must be true with distill: students read their teacher's weights from its stored run"
            raise line_error(type(self).__name__, ("keep_weights",), text, self.keep_weights)
        return self

    @model_validator(mode="after")
    def _graphs_that_stay(self) -> Train:
        """Refuse modes that replay CUDA graphs, whose second replay overwrites accumulated gradients."""
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
    """Rows and columns between tiles."""

    @model_validator(mode="after")
    def _no_gaps(self) -> Window:
        if self.stride[0] > self.size[0] or self.stride[1] > self.size[1]:
            raise ValueError(f"a stride of {self.stride} leaves gaps between tiles of {self.size}")
        return self


class Evaluate(Section):
    """How every network is evaluated."""

    batch_size: int = Field(default=8, ge=1, le=MOST_IMAGES)
    """Largest number of images per forward pass; images of equal size are batched."""
    window: Window | None = None
    """Sliding window; the whole image at once by default."""
    scales: tuple[float, ...] = (1.0,)
    """Image scales whose probabilities are averaged."""
    flip: bool = False
    """Whether to average with the prediction of the flipped image."""
    precision: Precision | None = None
    """Precision of the forward pass; that of training by default."""
    samples: int = Field(default=4, ge=0)
    """Number of test images stored as pictures with label and prediction; 0 stores no predictions at all."""

    @field_validator("scales")
    @classmethod
    def _positive_scales(cls, given: tuple[float, ...]) -> tuple[float, ...]:
        if not given or min(given) <= 0:
            raise ValueError("needs at least one scale, each above 0")
        return given


class Loader(Section):
    """Data loading; does not change results."""

    workers: int = Field(default=0, ge=0)
    """Number of data loading processes; 0 loads in the run's own process."""
    cache: Literal["none", "memory", "disk"] = "none"
    """Where to cache decoded images."""
    cache_folder: str | None = None
    """Folder of the disk cache; the user's cache folder by default."""
    cache_gigabytes: float = Field(default=64.0, gt=0)
    """Size limit of caches: in memory for one run, on disk for a folder. A split that needs more, or more than half of
    the free space, is not cached."""


class Resume(Section):
    """How often a run saves its training state for resuming; does not change results."""

    every_minutes: Annotated[float, Field(gt=0)] | None = 5.0
    """Minutes between training states; null saves by steps only."""
    every_steps: Annotated[int, Field(ge=1)] | None = None
    """Optimizer steps between training states; null saves by minutes only."""
    keep: bool = False
    """Whether to keep the last states of a finished run."""


class RunTimeout(Section):
    """When a run is ended that takes too long or hangs; it is then a failed row, and no other run waits for it."""

    minutes: Annotated[float, Field(gt=0)] | None = None
    """Minutes that a run may take in one command, from its start; null sets no limit."""
    silent_minutes: Annotated[float, Field(gt=0)] | None = 60.0
    """Minutes that a run may go on without progress: a step, an evaluated image; null sets no limit."""


class Speed(Section):
    """Speed measurements; do not change scores."""

    tasks: Annotated[tuple[Literal["inference", "training", "loading"], ...], Field(min_length=1)] = (
        "inference",
        "training",
        "loading",
    )
    """Tasks to time; training and loading require a training recipe."""
    size: Size | None = None
    """Height and width of the images; by default those of the first test and training image after transforms."""
    batch_sizes: Annotated[tuple[Pixels, ...], Field(min_length=1)] | Literal["sweep"] = (1,)
    """Batch sizes of inference; ``sweep`` doubles from 1 until memory runs out or throughput rises less than 3 %."""
    precisions: Annotated[tuple[Precision, ...], Field(min_length=1)] | None = None
    """Precisions of inference; that of the evaluation by default."""
    casting: Annotated[tuple[Casting, ...], Field(min_length=1)] = ("weights",)
    """How inference casts to bf16 or fp16: ``weights`` casts the weights once before timing; ``autocast`` keeps them in
    float32 and casts in every call, as in training and evaluation."""
    modes: Annotated[tuple[str, ...], Field(min_length=1)] = ("eager",)
    """``eager``, ``compile``, ``compile:MODE``, ``cuda_graph``."""
    outputs: Annotated[tuple[Literal["logits", "classes", "labels"], ...], Field(min_length=1)] = ("logits",)
    """Output of an inference call: scores, their argmax, or the argmax of scores resized to the label's size."""
    channels_last: Annotated[tuple[bool, ...], Field(min_length=1)] | None = None
    """Memory layouts of inference; that of training by default."""
    threads: Annotated[int, Field(ge=1)] | None = 1
    """CPU threads per operation; null leaves the choice to torch. One thread gives the most reproducible figures."""
    restarts: int = Field(default=3, ge=1)
    """Fresh processes for each case, since times differ by some per cent between processes."""
    seconds: float = Field(default=2.0, gt=0)
    """Time for the samples of one case in one process."""
    energy: bool = True
    """Whether to measure the accelerator's energy over the same calls."""

    @field_validator("modes")
    @classmethod
    def _known_modes(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for mode in given:
            if mode not in EXECUTION_MODES:
                raise ValueError(f"{mode!r} is none of {', '.join(EXECUTION_MODES)}")
        return given
