"""Training: the loop in which every network sees the same images in the same order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from segbench.config.suite import Train
from segbench.data.loading.batch import Batch, FedDigest, check_sizes, cut
from segbench.data.loading.loader import TrainingLoader
from segbench.engine.device import Arithmetic
from segbench.engine.distributed import ALONE, Team, synchronised
from segbench.engine.out_of_memory import is_out_of_memory
from segbench.engine.training.activation_checkpointing import keep_activations, recompute_blocks
from segbench.engine.training.auxiliary_losses import split, supervised
from segbench.engine.training.early_stopping import Patience
from segbench.engine.training.epoch_meter import EpochMeter
from segbench.engine.training.history import History
from segbench.engine.training.losses.weighted_sum import WeightedSum
from segbench.engine.training.optimizers import create_optimizer
from segbench.engine.training.prefetch import copy_stream, marking_last, prefetched
from segbench.engine.training.schedules import create_schedule
from segbench.errors import BrokenExchangeError, ModelRefusal, NonFiniteLossError
from segbench.import_path import naming_part
from segbench.registry import OPTIMIZERS

if TYPE_CHECKING:
    from timm.utils.model_ema import ModelEmaV3

    from segbench.engine.training.checkpointer import Saver

LOSSES_BETWEEN_CHECKS = 20
"""Steps between looks at the losses: each look makes the host wait for the device."""

Validate = Callable[[nn.Module], Mapping[str, float]]


class ReportProgress(Protocol):
    """Called with optimizer steps done and in all, and figures to show."""

    def __call__(self, done: int, total: int, fields: Mapping[str, float]) -> None:
        """Show it."""


@dataclass(frozen=True)
class Trained:
    """What training leaves behind.

    Attributes:
        network: The network with the weights that are reported, on its device.
        selected_epoch: The epoch that they come from, from 1.
        digest: Hash of all that was fed, in order.
        seconds: Time in training epochs, validation not counted.
        images: Images trained on, counted as often as they were fed.
        micro_batch: Images in one forward pass, where batches were cut into parts.
        epochs: Epochs that it was trained for, the last one perhaps in part.
        planned_epochs: Those of the whole recipe, likewise.
        stopped_early: Why it was stopped before the end of the recipe; None where it was not.
        epoch_digests: Hash of all that was fed up to the end of each epoch.
    """

    network: nn.Module
    selected_epoch: int
    digest: str
    seconds: float
    images: int
    micro_batch: int | None = None
    epochs: int = 0
    planned_epochs: int = 0
    stopped_early: str | None = None
    epoch_digests: tuple[str, ...] = ()

    @property
    def images_per_second(self) -> float:
        """Images over seconds."""
        return self.images / self.seconds


class Part(NamedTuple):
    """What goes through the network at once.

    Attributes:
        batch: The images.
        weight: Of its mean loss in the step: its share of the labelled pixels of a batch of the recipe's size, so that
            means over pixels do not depend on how a batch was cut.
        ends: What the batch that ends with it adds to the step, in batches of the recipe's size; else 0.
    """

    batch: Batch
    weight: float
    ends: float


class Best(NamedTuple):
    """The weights with the best validation score so far.

    Attributes:
        score: Their mean IoU on the validation split.
        epoch: The epoch after which they were validated.
        weights: The state of the network.
    """

    score: float
    epoch: int
    weights: dict[str, Tensor]


class Trainer:
    """Trains one network by a recipe."""

    def __init__(
        self,
        network: nn.Module,
        recipe: Train,
        *,
        loader: TrainingLoader,
        loss: WeightedSum,
        arithmetic: Arithmetic,
        history: History,
        validate: Validate | None = None,
        progress: ReportProgress = lambda done, total, fields: None,
        saver: Saver | None = None,
        team: Team = ALONE,
    ) -> None:
        self.recipe, self.loader, self.arithmetic = recipe, loader, arithmetic
        self.history, self.validate, self.progress, self.saver = history, validate, progress, saver
        self.team = team
        self.network = arithmetic.place(self._synchronised(network))
        forward, training_loss = supervised(self.network, loss, recipe.auxiliary)
        self.loss = training_loss.to(arithmetic.device)
        self.steps_per_epoch = steps_per_epoch(recipe, len(loader))
        self.total_steps = total_steps(recipe, len(loader))
        self.optimizer = create_optimizer(recipe.optimizer, self.network)
        self.schedule = create_schedule(
            recipe.schedule, self.optimizer, total_steps=self.total_steps, steps_per_epoch=self.steps_per_epoch
        )
        self.scaler = torch.amp.GradScaler(arithmetic.device.type, enabled=recipe.precision == "fp16")
        self.forward = team.parallel(self._compiled(forward), arithmetic.device)
        self.averaged = self._averaged()
        if recipe.activation_checkpointing:
            recompute_blocks(self.network)  # after the average has copied it
        self.copying = copy_stream(arithmetic)
        self.fed = FedDigest()
        self._fed_since: list[tuple[str, ...]] = []
        self.step, self.epoch, self.images, self.seconds = 0, 0, 0, 0.0
        self.micro_batch = recipe.micro_batch if isinstance(recipe.micro_batch, int) else None
        self.meter: EpochMeter | None = None
        self.line: dict[str, float] | None = None
        self.best: Best | None = None
        self.patience = Patience(recipe.early_stopping) if recipe.early_stopping else None
        self.stopped_early = False
        self.epoch_digests: list[str] = []

    def fit(self) -> Trained:
        """Train to the end of the recipe, or until it is stopped early, from wherever a saved state has brought it.

        Raises:
            NonFiniteLossError: The loss, or a weight, became NaN or infinite.
            ModelRefusal: The output does not fit the labels.
            DataError: A training image cannot be read.
        """
        while self.line or self.meter or (self.step < self.total_steps and not self.stopped_early):
            if self.line is None:  # else this training goes on from a state of its validation
                self.meter = self.meter or EpochMeter(self.epoch + 1, self.loss.names)
                self.line = self._epoch(self.meter)
                self.epoch, self.meter = self.epoch + 1, None
                self.seconds += self.line["seconds"]
            scores = self._validation(self.epoch)
            self.history.add(self.line | scores)
            self.line = None
        keep_activations(self.network)
        self.team.equalise(self.reported)
        if self.best:
            self.reported.load_state_dict(self.best.weights)
        self._check_weights()
        selected = self.best.epoch if self.best else self.epoch
        return Trained(
            self.reported,
            selected,
            self.fed_so_far(),
            self.seconds,
            self.images,
            micro_batch=self.micro_batch,
            epochs=self.epoch,
            epoch_digests=tuple(self.epoch_digests),
            planned_epochs=math.ceil(self.total_steps / self.steps_per_epoch),
            stopped_early=self.patience.reason() if self.patience and self.stopped_early else None,
        )

    def _check_weights(self) -> None:
        """Refuse to report weights that a last step has blown up: the losses were looked at before it."""
        tensors = [tensor for tensor in self.reported.state_dict().values() if tensor.is_floating_point()]
        if not all(bool(tensor.isfinite().all()) for tensor in tensors):
            rate = self.schedule.learning_rate
            raise NonFiniteLossError(math.nan, epoch=self.epoch, step=self.step, learning_rate=rate)

    @property
    def reported(self) -> nn.Module:
        """The network whose scores count: the moving average, when there is one."""
        average: nn.Module = self.averaged.module if self.averaged else self.network
        return average

    def _epoch(self, meter: EpochMeter) -> dict[str, float]:
        """Train for the rest of an epoch, or for what the recipe still has steps for; return the history line."""
        self.network.train()
        self.arithmetic.reset_peak_memory()
        given = self.loader.epoch(meter.epoch, skip=meter.batches)
        if self.recipe.micro_batch != "auto":  # which looks for what fits, so that no more may be on the device
            given = prefetched(given, self.arithmetic, self.copying)
        batches = meter.watch(given)
        while self.step < self.total_steps and self.optimize(batches, meter):
            if self.step % LOSSES_BETWEEN_CHECKS == 0:
                self.check(meter)
                self.progress(self.step, self.total_steps, {"loss": meter.last_loss})
            if self.saver:
                self.saver.after_step(self)
        self.arithmetic.synchronize()
        self.check(meter)
        self.progress(self.step, self.total_steps, {"loss": meter.last_loss})
        parts = self.team.gathered(meter.totals())
        self.images += sum(part.images for part in parts)
        self.epoch_digests.append(self.fed_so_far())
        line = meter.line(self.step, parts)
        return line | {"peak_memory_bytes": self.arithmetic.peak_memory_bytes()}

    def check(self, meter: EpochMeter) -> None:
        """Look at the losses so far, in all processes.

        Raises:
            NonFiniteLossError: One of them, in any process, is NaN or infinite.
        """
        problem = None
        try:
            meter.check()
        except NonFiniteLossError as error:
            problem = error
        for found in self.team.gathered(problem):
            if found is not None:
                raise found

    def fed_so_far(self) -> str:
        """Return the hash of all that was fed, in order: of each batch, every process's images."""
        for batches in zip(*self.team.gathered(self._fed_since), strict=True):
            for digests in batches:
                self.fed.update(digests)
        self._fed_since = []
        return self.fed.hexdigest()

    def optimize(self, batches: Iterator[Batch], meter: EpochMeter) -> bool:
        """Make one optimizer step from the next batches, each weighted by its images; False if none is left."""
        taken = islice(batches, batches_per_step(self.recipe, len(self.loader)))
        shares = self._fitted(list(taken), meter) if self.recipe.micro_batch == "auto" else self._summed(taken, meter)
        if shares == 0:
            return False
        self._apply_gradients(shares)
        return True

    def _summed(self, batches: Iterable[Batch], meter: EpochMeter) -> float:
        """Sum up the gradients of some batches, part by part; return how many batches they are, by images."""
        learning_rate, shares = self.schedule.learning_rate, 0.0
        self.optimizer.zero_grad(set_to_none=True)
        for part, last in marking_last(self._parts(batches)):
            with self._exchanging(last=last):
                terms = self._terms(part.batch)
                loss = self.loss.combine(terms)
                # of several processes' gradients, DDP takes the mean
                self._backward(self.scaler.scale(loss * (part.weight * self.team.size)))
            meter.add(loss, terms, share=part.weight, step=self.step + 1, learning_rate=learning_rate)
            shares += part.ends
        return shares

    def _parts(self, batches: Iterable[Batch]) -> Iterator[Part]:
        """Cut batches into parts; all processes' parts of a batch together weigh as much as it has images."""
        for batch in batches:
            self._fed_since.append(batch.digests)
            pieces = list(cut(batch, self.micro_batch))
            if len(pieces) == self.team.size == 1:
                share = len(batch.names) / self.recipe.batch_size
                yield Part(batch, share, share)
                continue
            images, pixels = self._whole(batch)
            share = images / self.recipe.batch_size
            for number, piece in enumerate(pieces, 1):
                part = sum(piece.labelled) / pixels if pixels else len(piece.names) / images
                weight = share * part
                yield Part(piece, weight, share if number == len(pieces) else 0.0)

    def _whole(self, batch: Batch) -> tuple[int, int]:
        """Return the images, and the labelled pixels, of all processes' shares of a batch.

        Raises:
            DataError: Their images differ in size, in all processes.
        """
        rows = self.team.table(len(batch.names), sum(batch.labelled), *batch.labels.shape[1:])
        check_sizes({(height, width): f"process {rank}" for rank, (_, _, height, width) in enumerate(rows)})
        return sum(row[0] for row in rows), sum(row[1] for row in rows)

    def _backward(self, loss: Tensor) -> None:
        """Compute gradients; several processes exchange theirs meanwhile.

        Raises:
            BrokenExchangeError: It stopped here, and what the others send can no longer be told apart.
        """
        try:
            torch.autograd.backward(loss)
        except Exception as error:
            if self.team.size == 1:
                raise
            problem = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            raise BrokenExchangeError(f"stopped while gradients were exchanged: {problem}") from error

    def _exchanging(self, *, last: bool) -> AbstractContextManager[None]:
        """Return the context of a backward pass: the last one of a step exchanges the gradients of all."""
        if last or not isinstance(self.forward, nn.parallel.DistributedDataParallel):
            return nullcontext()
        alone: AbstractContextManager[None] = self.forward.no_sync()
        return alone

    def _fitted(self, batches: Sequence[Batch], meter: EpochMeter) -> float:
        """Sum up gradients as ``_summed`` does; what does not fit into memory is begun again in parts half as large.

        Raises:
            OutOfMemoryError: A single image does not fit.
        """
        fed, generators = len(self._fed_since), self.arithmetic.generators()
        buffers = [buffer.clone() for buffer in self.network.buffers()]
        while True:
            mark = meter.mark()
            try:
                return self._summed(batches, meter)
            except Exception as error:
                if not is_out_of_memory(error.__cause__ or error) or self.micro_batch == 1:
                    raise
            self.micro_batch = max(1, (self.micro_batch or self.recipe.batch_size) // 2)
            self.optimizer.zero_grad(set_to_none=True)
            meter.forget(mark)
            del self._fed_since[fed:]
            self.arithmetic.set_generators(generators)
            for buffer, before in zip(self.network.buffers(), buffers, strict=True):
                buffer.copy_(before)
            if self.arithmetic.device.type == "cuda":
                torch.cuda.empty_cache()

    def _apply_gradients(self, shares: float) -> None:
        """Step along the mean of the gradients that were summed up over ``shares`` batches."""
        self.scaler.unscale_(self.optimizer)
        if shares != 1:
            for weight in self.network.parameters():
                if weight.grad is not None:
                    weight.grad.div_(shares)
        if self.recipe.clip_gradient_norm is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip_gradient_norm)
        self._step_optimizer()
        self.scaler.update()
        self.step += 1
        self.schedule.step(self.step)
        if self.averaged:
            self.averaged.update(self.network)

    def _step_optimizer(self) -> None:
        """Step along the gradients; an optimizer from elsewhere that fails is told by its name."""
        name = self.recipe.optimizer.name
        with naming_part(name, "failed in a step") if OPTIMIZERS.is_foreign(name) else nullcontext():
            self.scaler.step(self.optimizer)

    def _terms(self, batch: Batch) -> dict[str, Tensor]:
        """Return the loss's terms for one batch."""
        images = self.arithmetic.images(batch.images)
        labels = batch.labels.to(self.arithmetic.device, non_blocking=True)
        with self.arithmetic.autocast():
            outputs = self.forward(images)
        logits, _ = split(outputs)
        count, height, width = labels.shape
        if logits.shape != (count, self.loss.classes, height, width):
            raise ModelRefusal(
                f"gave an output of shape {tuple(logits.shape)}, expected {(count, self.loss.classes, height, width)}: "
                "a network has to score every class at every pixel of its input"
            )
        return self.loss.terms(outputs, labels)

    def _validation(self, epoch: int) -> dict[str, float]:
        """Return validation scores when they are due, and remember the best weights when asked to."""
        every = self.recipe.validation_interval
        if self.validate is None or every is None or (epoch % every and self.step < self.total_steps):
            return {}
        self.team.equalise(self.reported)
        scores = self.validate(self.reported)
        if self.recipe.select == "best" and (self.best is None or scores["validation_mean_iou"] > self.best.score):
            self.best = Best(scores["validation_mean_iou"], epoch, deepcopy(self.reported.state_dict()))
        return {**scores, **self._waiting(scores["validation_mean_iou"], epoch)}

    def _waiting(self, mean_iou: float, epoch: int) -> dict[str, float]:
        """Decide whether to stop early; return for the history how many validations have brought no rise."""
        if self.patience is None:
            return {}
        self.patience.note(mean_iou, epoch=epoch)
        over = self.team.told(self.patience.over)  # all processes stop, or none
        self.stopped_early = over and self.step < self.total_steps
        return {"validations_without_rise": self.patience.waited}

    def _synchronised(self, network: nn.Module) -> nn.Module:
        wanted = self.recipe.sync_batch_norm and self.team.size > 1
        return synchronised(network, self.arithmetic.device) if wanted else network

    def _compiled(self, forward: nn.Module) -> nn.Module:
        if self.recipe.compile is False:
            return forward
        mode = "default" if self.recipe.compile is True else self.recipe.compile
        compiled: nn.Module = torch.compile(forward, mode=mode)  # type: ignore[assignment]
        return compiled

    def _averaged(self) -> ModelEmaV3 | None:
        if self.recipe.ema_decay is None:
            return None
        from timm.utils.model_ema import ModelEmaV3

        return ModelEmaV3(self.network, decay=self.recipe.ema_decay)


def batches_per_step(recipe: Train, batches: int) -> int:
    """Return how many batches make one optimizer step, when an epoch has so many."""
    return batches if recipe.accumulate == "epoch" else recipe.accumulate


def steps_per_epoch(recipe: Train, batches: int) -> int:
    """Return the optimizer steps of an epoch of so many batches; the last may be of fewer."""
    return math.ceil(batches / batches_per_step(recipe, batches))


def total_steps(recipe: Train, batches: int) -> int:
    """Return the optimizer steps of the whole training, with epochs of so many batches."""
    return recipe.steps or (recipe.epochs or 0) * steps_per_epoch(recipe, batches)
