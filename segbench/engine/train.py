"""Training: the loop in which every network sees the same images in the same order."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from segbench.config.suite import Train
from segbench.data.loader import Batch, FedDigest, TrainingLoader
from segbench.engine.arithmetic import Arithmetic
from segbench.engine.history import History
from segbench.engine.losses import WeightedSum
from segbench.engine.memory import is_out_of_memory, parts
from segbench.engine.optimizers import create_optimizer
from segbench.engine.recompute import keep_activations, recompute_blocks
from segbench.engine.schedules import create_schedule
from segbench.errors import ModelRefusal, NonFiniteLossError

if TYPE_CHECKING:
    from timm.utils.model_ema import ModelEmaV3

    from segbench.engine.resume import Saver

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
    """

    network: nn.Module
    selected_epoch: int
    digest: str
    seconds: float
    images: int
    micro_batch: int | None = None

    @property
    def images_per_second(self) -> float:
        """Images over seconds."""
        return self.images / self.seconds


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
    ) -> None:
        self.recipe, self.loader, self.arithmetic = recipe, loader, arithmetic
        self.history, self.validate, self.progress, self.saver = history, validate, progress, saver
        self.network = arithmetic.place(network)
        self.loss = loss.to(arithmetic.device)
        self.steps_per_epoch = steps_per_epoch(recipe, len(loader))
        self.total_steps = total_steps(recipe, len(loader))
        self.optimizer = create_optimizer(recipe.optimizer, self.network)
        self.schedule = create_schedule(
            recipe.schedule, self.optimizer, total_steps=self.total_steps, steps_per_epoch=self.steps_per_epoch
        )
        self.scaler = torch.amp.GradScaler(arithmetic.device.type, enabled=recipe.precision == "fp16")
        self.forward = self._compiled()
        self.averaged = self._averaged()
        if recipe.activation_checkpointing:
            recompute_blocks(self.network)  # after the average has copied it
        self.fed = FedDigest()
        self.step, self.epoch, self.images, self.seconds = 0, 0, 0, 0.0
        self.micro_batch = recipe.micro_batch if isinstance(recipe.micro_batch, int) else None
        self.meter: EpochMeter | None = None
        self.best: tuple[float, int, dict[str, Tensor]] | None = None

    def fit(self) -> Trained:
        """Train to the end of the recipe, from wherever a saved state has brought this trainer.

        Raises:
            NonFiniteLossError: The loss, or a weight, became NaN or infinite.
            ModelRefusal: The output does not fit the labels.
            DataError: A training image cannot be read.
        """
        while self.meter or self.step < self.total_steps:
            self.meter = self.meter or EpochMeter(self.epoch + 1, self.loss.names)
            line = self._epoch(self.meter)
            self.epoch, self.meter = self.epoch + 1, None
            self.seconds += line["seconds"]
            self.history.add(line | self._validation(self.epoch))
        if self.recipe.activation_checkpointing:
            keep_activations(self.network)
        if self.best:
            self.reported.load_state_dict(self.best[2])
        self._check_weights()
        selected = self.best[1] if self.best else self.epoch
        return Trained(
            self.reported, selected, self.fed.hexdigest(), self.seconds, self.images, micro_batch=self.micro_batch
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
        batches = meter.watch(self.loader.epoch(meter.epoch, skip=meter.batches))
        while self.step < self.total_steps and self.optimize(batches, meter):
            if self.step % LOSSES_BETWEEN_CHECKS == 0:
                meter.check()
                self.progress(self.step, self.total_steps, {"loss": meter.last_loss})
            if self.saver:
                self.saver.after_step(self)
        self.arithmetic.synchronize()
        meter.check()
        self.progress(self.step, self.total_steps, {"loss": meter.last_loss})
        line = meter.line(self.step)
        self.images += int(meter.images)
        return line | {"peak_memory_bytes": self.arithmetic.peak_memory_bytes()}

    def optimize(self, batches: Iterator[Batch], meter: EpochMeter) -> bool:
        """Make one optimizer step from the next batches, each weighted by its images; False if none is left."""
        taken = islice(batches, batches_per_step(self.recipe, len(self.loader)))
        shares = self._fitted(list(taken), meter) if self.recipe.micro_batch == "auto" else self._summed(taken, meter)
        if shares == 0:
            return False
        self._apply_gradients(shares)
        return True

    def _summed(self, batches: Iterable[Batch], meter: EpochMeter) -> float:
        """Sum up the gradients of some batches, part by part; return of how many batches' images they are."""
        learning_rate, shares = self.schedule.learning_rate, 0.0
        self.optimizer.zero_grad(set_to_none=True)
        for batch in batches:
            for part in parts(batch, self.micro_batch):
                share = len(part.names) / self.recipe.batch_size
                terms = self._terms(part)
                loss = self.loss.combine(terms)
                torch.autograd.backward(self.scaler.scale(loss * share))
                meter.add(loss, terms, share=share, step=self.step + 1, learning_rate=learning_rate)
                shares += share
            self.fed.update(batch.digests)
        return shares

    def _fitted(self, batches: Sequence[Batch], meter: EpochMeter) -> float:
        """Sum up gradients as ``_summed`` does; what does not fit into memory is begun again in parts half as large.

        Raises:
            OutOfMemoryError: A single image does not fit.
        """
        fed, generator = self.fed.hexdigest(), torch.get_rng_state()
        buffers = [buffer.clone() for buffer in self.network.buffers()]
        while True:
            mark = meter.mark()
            try:
                return self._summed(batches, meter)
            except Exception as error:
                if not is_out_of_memory(error) or self.micro_batch == 1:
                    raise
            self.micro_batch = max(1, (self.micro_batch or self.recipe.batch_size) // 2)
            self.optimizer.zero_grad(set_to_none=True)
            meter.forget(mark)
            self.fed = FedDigest(fed)
            torch.set_rng_state(generator)
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
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.step += 1
        self.schedule.step(self.step)
        if self.averaged:
            self.averaged.update(self.network)

    def _terms(self, batch: Batch) -> dict[str, Tensor]:
        """Return the loss's terms for one batch."""
        images = self.arithmetic.images(batch.images)
        labels = batch.labels.to(self.arithmetic.device, non_blocking=True)
        with self.arithmetic.autocast():
            logits = self.forward(images)
        count, height, width = labels.shape
        if logits.shape != (count, self.loss.classes, height, width):
            raise ModelRefusal(
                f"gave an output of shape {tuple(logits.shape)}, expected {(count, self.loss.classes, height, width)}: "
                "a network has to score every class at every pixel of its input"
            )
        return self.loss.terms(logits, labels)

    def _validation(self, epoch: int) -> dict[str, float]:
        """Return validation scores when they are due, and remember the best weights when asked to."""
        every = self.recipe.validate_every or (1 if self.recipe.select == "best" else None)
        if self.validate is None or every is None or (epoch % every and self.step < self.total_steps):
            return {}
        scores = self.validate(self.reported)
        if self.recipe.select == "best" and (self.best is None or scores["validation_mean_iou"] > self.best[0]):
            self.best = scores["validation_mean_iou"], epoch, deepcopy(self.reported.state_dict())
        return dict(scores)

    def _compiled(self) -> nn.Module:
        if self.recipe.compile is False:
            return self.network
        mode = "default" if self.recipe.compile is True else self.recipe.compile
        compiled: nn.Module = torch.compile(self.network, mode=mode)  # type: ignore[assignment]
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


class EpochMeter:
    """Gathers one epoch's losses and times without making the host wait at every step."""

    def __init__(self, epoch: int, terms: tuple[str, ...]) -> None:
        self.epoch = epoch
        self.started = time.perf_counter()
        self.waited = 0.0
        self.images, self.batches = 0, 0
        self.last_loss = math.nan
        self.learning_rate = math.nan
        self._sums = dict.fromkeys(("loss", *(f"loss_{term}" for term in terms if len(terms) > 1)), 0.0)
        self._pending: list[tuple[int, float, float, dict[str, Tensor]]] = []
        self._shares = 0.0

    def watch(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Pass batches on, counting images and the time spent waiting for them."""
        while True:
            before = time.perf_counter()
            batch = next(batches, None)
            self.waited += time.perf_counter() - before
            if batch is None:
                return
            self.images += len(batch.names)
            self.batches += 1
            yield batch

    def add(self, loss: Tensor, terms: Mapping[str, Tensor], *, share: float, step: int, learning_rate: float) -> None:
        """Remember one batch's losses; ``share`` is its part of an optimizer step."""
        self.learning_rate = learning_rate
        values = {"loss": loss.detach()} | {f"loss_{name}": term.detach() for name, term in terms.items()}
        kept = {name: value for name, value in values.items() if name in self._sums}
        self._pending.append((step, learning_rate, share, kept))

    def mark(self) -> int:
        """Return where the losses stand, to ``forget`` those that follow."""
        return len(self._pending)

    def forget(self, mark: int) -> None:
        """Take back the losses of a step that is begun again."""
        del self._pending[mark:]

    def check(self) -> None:
        """Bring the pending losses to the host.

        Raises:
            NonFiniteLossError: One of them is NaN or infinite; the first is named.
        """
        for step, learning_rate, share, values in self._pending:
            for name, value in values.items():
                number = float(value)
                if not math.isfinite(number):
                    raise NonFiniteLossError(number, epoch=self.epoch, step=step, learning_rate=learning_rate)
                self._sums[name] += number * share
            self.last_loss = float(values["loss"])
            self._shares += share
        self._pending.clear()

    def state(self) -> dict[str, Any]:
        """Return what the epoch's line depends on so far; the times go on where they are."""
        self.check()
        kept = ("epoch", "waited", "images", "batches", "last_loss", "learning_rate", "_sums", "_shares")
        return {name: getattr(self, name) for name in kept} | {"seconds": time.perf_counter() - self.started}

    @classmethod
    def resumed(cls, state: Mapping[str, Any], terms: tuple[str, ...]) -> EpochMeter:
        """Return the meter of a state."""
        meter = cls(state["epoch"], terms)
        for name, value in state.items():
            if name != "seconds":
                setattr(meter, name, value)
        meter.started -= state["seconds"]
        return meter

    def line(self, step: int) -> dict[str, float]:
        """Return the epoch's line of the history."""
        seconds = time.perf_counter() - self.started
        means = {name: value / self._shares for name, value in self._sums.items()}
        return {
            "epoch": self.epoch,
            "step": step,
            "learning_rate": self.learning_rate,
            **means,
            "images_per_second": self.images / seconds,
            "data_wait_share": self.waited / seconds,
            "seconds": seconds,
        }
