"""The training loop; every network gets the same images in the same order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from segbench.config.suite import Train
from segbench.data.loading.batch import Batch, InputDigest
from segbench.data.loading.loader import TrainingLoader
from segbench.engine.device import ComputeConfig
from segbench.engine.distributed import ALONE, ProcessGroup, with_sync_batch_norm
from segbench.engine.out_of_memory import is_out_of_memory
from segbench.engine.training.accumulation import (
    MicroBatch,
    batches_per_step,
    micro_batches,
    steps_per_epoch,
    total_steps,
)
from segbench.engine.training.activation_checkpointing import keep_activations, recompute_blocks
from segbench.engine.training.auxiliary_losses import split, supervised
from segbench.engine.training.batch_norm import compute_statistics
from segbench.engine.training.distillation import TERM, Teacher, distilled
from segbench.engine.training.epoch_meter import EpochMeter
from segbench.engine.training.history import History
from segbench.engine.training.losses.weighted_sum import WeightedSum
from segbench.engine.training.model_selection import SCORE, ModelSelection
from segbench.engine.training.optim.optimizers import create_optimizer
from segbench.engine.training.optim.schedules import create_schedule
from segbench.engine.training.prefetch import copy_stream, prefetched, with_is_last
from segbench.engine.training.trained import Trained
from segbench.errors import BrokenExchangeError, ModelRefusal, NonFiniteLossError
from segbench.import_path import naming_part
from segbench.registry import OPTIMIZERS

if TYPE_CHECKING:
    from timm.utils.model_ema import ModelEmaV3

    from segbench.engine.training.checkpointer import TrainingCheckpointer

LOSSES_BETWEEN_CHECKS = 20
"""Steps between checks of the losses, since each check waits for the device."""

_COUNTS = ("step", "epoch", "images", "seconds", "micro_batch")
"""Attributes of a trainer that its state contains unchanged."""

Validate = Callable[[nn.Module], Mapping[str, float]]


class ReportProgress(Protocol):
    """Called with the optimizer steps done, the total, and figures to show."""

    def __call__(self, done: int, total: int, fields: Mapping[str, float]) -> None:
        """Report the progress."""


class Trainer:
    """Trains one network with a recipe."""

    def __init__(  # noqa: PLR0913 - the parts of a training
        self,
        network: nn.Module,
        recipe: Train,
        *,
        loader: TrainingLoader,
        loss: WeightedSum,
        compute: ComputeConfig,
        history: History,
        teacher: Teacher | None = None,
        validate: Validate | None = None,
        progress: ReportProgress = lambda done, total, fields: None,
        checkpointer: TrainingCheckpointer | None = None,
        group: ProcessGroup = ALONE,
    ) -> None:
        self.recipe, self.loader, self.compute = recipe, loader, compute
        self.history, self.validate, self.progress, self.checkpointer = history, validate, progress, checkpointer
        self.group = group
        self.network = compute.place(self._synchronised(network))
        forward, training_loss = supervised(self.network, loss, recipe.auxiliary)
        self.teacher = teacher
        self.loss = distilled(training_loss, teacher).to(compute.device)
        self.steps_per_epoch = steps_per_epoch(recipe, len(loader))
        self.total_steps = total_steps(recipe, len(loader))
        self.optimizer = create_optimizer(recipe.optimizer, self.network)
        self.schedule = create_schedule(
            recipe.schedule, self.optimizer, total_steps=self.total_steps, steps_per_epoch=self.steps_per_epoch
        )
        self.scaler = torch.amp.GradScaler(compute.device.type, enabled=recipe.precision == "fp16")
        self.forward = group.parallel(self._compiled(forward), compute.device)
        self.averaged = self._averaged()
        if recipe.activation_checkpointing:
            recompute_blocks(self.network)  # after the moving average has copied it
        self.copying = copy_stream(compute)
        self.fed = InputDigest()
        self._fed_since: list[tuple[str, ...]] = []
        self.step, self.epoch, self.images, self.seconds = 0, 0, 0, 0.0
        self.micro_batch = recipe.micro_batch if isinstance(recipe.micro_batch, int) else None
        self.meter: EpochMeter | None = None
        self.line: dict[str, float] | None = None
        self.selection = ModelSelection(recipe)
        self.stopped_early = False
        self.epoch_digests: list[str] = []

    def fit(self) -> Trained:
        """Train to the end of the recipe or until early stopping; continues from a restored state.

        Raises:
            NonFiniteLossError: The loss, or a weight, became NaN or infinite.
            ModelRefusal: The output does not match the labels.
            DataError: A training image cannot be read.
        """
        while self.line or self.meter or (self.step < self.total_steps and not self.stopped_early):
            if self.line is None:  # not after resuming from a state saved during validation
                self.meter = self.meter or EpochMeter(self.epoch + 1, self.loss.names)
                self.line = self._train_epoch(self.meter)
                self.epoch, self.meter = self.epoch + 1, None
                self.seconds += self.line["seconds"]
            scores = self._validate()
            self.history.add(self.line | scores)
            self.line = None
        keep_activations(self.network)
        best, patience = self.selection.best, self.selection.patience
        self._prepare_evaluation(with_statistics=best is None)
        if best:
            self.eval_network.load_state_dict(best.weights)
        self._check_weights()
        return Trained(
            self.eval_network,
            best.epoch if best else self.epoch,
            self.input_digest(),
            self.seconds,
            self.images,
            micro_batch=self.micro_batch,
            epochs=self.epoch,
            epoch_digests=tuple(self.epoch_digests),
            planned_epochs=math.ceil(self.total_steps / self.steps_per_epoch),
            stopped_early=patience.reason() if patience and self.stopped_early else None,
        )

    def _check_weights(self) -> None:
        """Check the final weights: the last loss was computed before the last update."""
        tensors = [tensor for tensor in self.eval_network.state_dict().values() if tensor.is_floating_point()]
        if not all(bool(tensor.isfinite().all()) for tensor in tensors):
            rate = self.schedule.learning_rate
            raise NonFiniteLossError(math.nan, epoch=self.epoch, step=self.step, learning_rate=rate)

    @property
    def eval_network(self) -> nn.Module:
        """The network to evaluate: the moving average if there is one."""
        average: nn.Module = self.averaged.module if self.averaged else self.network
        return average

    def _train_epoch(self, meter: EpochMeter) -> dict[str, float]:
        """Train for the rest of the epoch, or for the recipe's remaining steps; return the history line."""
        self.network.train()
        self.compute.reset_peak_memory()
        given = self.loader.epoch(meter.epoch, skip=meter.batches)
        if self.recipe.micro_batch != "auto":  # else a second batch would reduce what fits
            given = prefetched(given, self.compute, self.copying)
        batches = meter.watch(given)
        while self.step < self.total_steps and self.train_step(batches, meter):
            if self.step % LOSSES_BETWEEN_CHECKS == 0:
                self.check_losses(meter)
                self.progress(self.step, self.total_steps, {"loss": meter.last_loss})
            if self.checkpointer:
                self.checkpointer.after_step(self)
        self.compute.synchronize()
        self.check_losses(meter)
        self.progress(self.step, self.total_steps, {"loss": meter.last_loss})
        parts = self.group.all_gather(meter.totals())
        self.images += sum(part.images for part in parts)
        self.epoch_digests.append(self.input_digest())
        line = meter.line(self.step, parts)
        return line | {"peak_memory_bytes": self.compute.peak_memory_bytes()}

    def check_losses(self, meter: EpochMeter) -> None:
        """Check the losses so far in all processes.

        Raises:
            NonFiniteLossError: A loss of any process is NaN or infinite.
        """
        problem = None
        try:
            meter.check()
        except NonFiniteLossError as error:
            problem = error
        for found in self.group.all_gather(problem):
            if found is not None:
                raise found

    def input_digest(self) -> str:
        """Return the hash of all inputs in order: the images of all processes for each batch."""
        for batches in zip(*self.group.all_gather(self._fed_since), strict=True):
            for digests in batches:
                self.fed.update(digests)
        self._fed_since = []
        return self.fed.hexdigest()

    def train_step(self, batches: Iterator[Batch], meter: EpochMeter) -> bool:
        """Do one optimizer step with the next batches, weighted by their images; return False if none are left."""
        taken = islice(batches, batches_per_step(self.recipe, len(self.loader)))
        if self.recipe.micro_batch == "auto":
            accumulated = self._forward_backward_shrinking_on_oom(list(taken), meter)
        else:
            accumulated = self._forward_backward(taken, meter)
        if accumulated == 0:
            return False
        self._optimizer_step(accumulated)
        return True

    def _forward_backward(self, batches: Iterable[Batch], meter: EpochMeter) -> float:
        """Accumulate the gradients of batches; return their number, counting partial batches as fractions."""
        learning_rate, accumulated = self.schedule.learning_rate, 0.0
        self.optimizer.zero_grad(set_to_none=True)
        for micro_batch, is_last in with_is_last(self._micro_batches(batches)):
            with self._gradient_sync(wanted=is_last):
                terms = self._loss_terms(micro_batch.batch)
                loss = self.loss.combine(terms)
                # DDP averages the gradients of the processes
                self._backward(self.scaler.scale(loss * (micro_batch.weight * self.group.size)))
            meter.add(loss, terms, share=micro_batch.weight, step=self.step + 1, learning_rate=learning_rate)
            accumulated += micro_batch.batch_fraction
        return accumulated

    def _micro_batches(self, batches: Iterable[Batch]) -> Iterator[MicroBatch]:
        for batch in batches:
            self._fed_since.append(batch.digests)
            yield from self._parts_of(batch)

    def _parts_of(self, batch: Batch) -> Iterator[MicroBatch]:
        return micro_batches(batch, images=self.micro_batch, batch_size=self.recipe.batch_size, group=self.group)

    def _backward(self, loss: Tensor) -> None:
        """Compute gradients; DDP synchronizes them between processes.

        Raises:
            BrokenExchangeError: An error occurred during the exchange of gradients, so the processes are out of sync.
        """
        try:
            torch.autograd.backward(loss)
        except Exception as error:
            if self.group.size == 1:
                raise
            problem = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            raise BrokenExchangeError(f"stopped while gradients were exchanged: {problem}") from error

    def _gradient_sync(self, *, wanted: bool) -> AbstractContextManager[None]:
        """Return the context of a backward pass; only the last one of a step synchronizes gradients."""
        if wanted or not isinstance(self.forward, nn.parallel.DistributedDataParallel):
            return nullcontext()
        no_sync: AbstractContextManager[None] = self.forward.no_sync()
        return no_sync

    def _forward_backward_shrinking_on_oom(self, batches: Sequence[Batch], meter: EpochMeter) -> float:
        """Accumulate gradients; if memory runs out, repeat with micro-batches half as large.

        Raises:
            OutOfMemoryError: A single image does not fit into memory.
        """
        fed, generators = len(self._fed_since), self.compute.generators()
        buffers = [buffer.clone() for buffer in self.network.buffers()]
        while True:
            mark = meter.mark()
            try:
                return self._forward_backward(batches, meter)
            except Exception as error:
                if not is_out_of_memory(error.__cause__ or error) or self.micro_batch == 1:
                    raise
            self.micro_batch = max(1, (self.micro_batch or self.recipe.batch_size) // 2)
            self.optimizer.zero_grad(set_to_none=True)
            meter.forget(mark)
            del self._fed_since[fed:]
            self.compute.set_generators(generators)
            for buffer, before in zip(self.network.buffers(), buffers, strict=True):
                buffer.copy_(before)
            if self.compute.device.type == "cuda":
                torch.cuda.empty_cache()

    def _optimizer_step(self, accumulated: float) -> None:
        """Step the optimizer with the mean of the gradients accumulated over a number of batches."""
        self.scaler.unscale_(self.optimizer)
        if accumulated != 1:
            for weight in self.network.parameters():
                if weight.grad is not None:
                    weight.grad.div_(accumulated)
        if self.recipe.clip_gradient_norm is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip_gradient_norm)
        name = self.recipe.optimizer.name
        with naming_part(name, "failed in a step") if OPTIMIZERS.is_foreign(name) else nullcontext():
            self.scaler.step(self.optimizer)
        self.scaler.update()
        self.step += 1
        self.schedule.step(self.step)
        if self.averaged:
            self.averaged.update(self.network)

    def _loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        """Return the loss terms of one micro-batch."""
        images = self.compute.images(batch.images)
        labels = batch.labels.to(self.compute.device, non_blocking=True)
        with self.compute.autocast():
            outputs = self.forward(images)
        logits, _ = split(outputs)
        count, height, width = labels.shape
        if logits.shape != (count, self.loss.classes, height, width):
            raise ModelRefusal(
                f"gave an output of shape {tuple(logits.shape)}, expected {(count, self.loss.classes, height, width)}: "
                "a network has to score every class at every pixel of its input"
            )
        terms = self.loss.terms(outputs, labels)
        return terms if self.teacher is None else terms | {TERM: self.teacher.loss(images, logits, labels)}

    def _prepare_evaluation(self, *, with_statistics: bool = True) -> None:
        """Give the network to evaluate its statistics of batch norm, and the same weights in all processes."""
        if with_statistics and self.recipe.batch_norm_statistics == "precise":
            parts = (part.batch.images for batch in self.loader.epoch(0) for part in self._parts_of(batch))
            compute_statistics(self.eval_network, parts, compute=self.compute, group=self.group)
        self.group.broadcast_weights(self.eval_network)

    def _validate(self) -> dict[str, float]:
        """Return validation scores if they are due, and apply model selection."""
        every = self.recipe.validation_interval
        if self.validate is None or every is None or (self.epoch % every and self.step < self.total_steps):
            return {}
        self._prepare_evaluation()
        scores = dict(self.validate(self.eval_network))
        self.selection.consider(self.eval_network, scores[SCORE], epoch=self.epoch)
        if self.selection.patience is not None:
            over = self.group.broadcast(self.selection.out_of_patience)  # all processes must decide alike
            self.stopped_early = over and self.step < self.total_steps
            scores["validations_without_rise"] = self.selection.patience.waited
        return scores

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the rest of the training and its results depend on."""
        if self.meter:
            self.check_losses(self.meter)
        own = {"generators": self.compute.generators(), "meter": self.meter.state() if self.meter else None}
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": self.averaged.module.state_dict() if self.averaged else None,
            "processes": self.group.all_gather(own),
            "fed": self.input_digest(),
            "counts": {name: getattr(self, name) for name in _COUNTS},
            "history": self.history.lines,
            "line": self.line,
            **self.selection.state_dict(),
            "stopped_early": self.stopped_early,
            "epoch_digests": list(self.epoch_digests),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a state from ``state_dict`` into a new trainer."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        if self.averaged and state["average"] is not None:
            self.averaged.module.load_state_dict(state["average"])
        for name in _COUNTS:
            setattr(self, name, state["counts"][name])
        self.schedule.step(self.step)
        self.fed = InputDigest(state["fed"])
        self.history.restore(state["history"])
        self.line = state["line"]
        self.selection.load_state_dict(state)
        self.stopped_early = state.get("stopped_early", False)
        self.epoch_digests = list(state.get("epoch_digests", ()))
        own = state["processes"][self.group.rank]
        self.compute.set_generators(own["generators"])
        self.meter = EpochMeter.resumed(own["meter"], self.loss.names) if own["meter"] else None

    def _synchronised(self, network: nn.Module) -> nn.Module:
        wanted = self.recipe.sync_batch_norm and self.group.size > 1
        return with_sync_batch_norm(network, self.compute.device) if wanted else network

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
