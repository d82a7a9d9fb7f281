"""Collects one epoch's losses and times for its line of the history."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from segbench.data.loading.loader import Batch
from segbench.errors import NonFiniteLossError
from segbench.import_path import FAMILY


class Totals(NamedTuple):
    """One process's part of an epoch's line.

    Attributes:
        images: Number of images trained on.
        shares: Number of batches, where a process's share of a batch counts as a fraction.
        sums: Sums of the losses, weighted by share.
    """

    images: int
    shares: float
    sums: dict[str, float]


class EpochMeter:
    """Collects one epoch's losses and times without synchronizing with the device at every step."""

    def __init__(self, epoch: int, terms: tuple[str, ...]) -> None:
        self.epoch, self._terms = epoch, terms
        self.started = time.perf_counter()
        self.waited = 0.0
        self.images, self.batches = 0, 0
        self.last_loss = math.nan
        self.learning_rate = math.nan
        self._sums = dict.fromkeys(("loss", *(f"loss_{term}" for term in terms if len(terms) > 1)), 0.0)
        self._pending: list[tuple[int, float, float, dict[str, Tensor]]] = []
        self._shares = 0.0

    def watch(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Yield batches, counting images and the time spent waiting for them."""
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
        """Add one batch's losses; ``share`` is its weight in the optimizer step."""
        self.learning_rate = learning_rate
        values = {"loss": loss.detach()} | {f"loss_{name}": term.detach() for name, term in terms.items()}
        kept = {name: value for name, value in values.items() if name in self._sums}
        self._pending.append((step, learning_rate, share, kept))

    def mark(self) -> int:
        """Return the current position, for ``forget`` to remove later losses."""
        return len(self._pending)

    def forget(self, mark: int) -> None:
        """Remove the losses of a step that is repeated."""
        del self._pending[mark:]

    def check(self) -> None:
        """Copy the pending losses to the host.

        Raises:
            NonFiniteLossError: A loss is NaN or infinite; names the first.
        """
        for (step, learning_rate, share, _), values in zip(self._pending, self._on_host(), strict=True):
            for name, number in values.items():
                if not math.isfinite(number):
                    raise NonFiniteLossError(
                        number, epoch=self.epoch, step=step, learning_rate=learning_rate, loss=self._term(values)
                    )
                self._sums[name] += number * share
            self.last_loss = values["loss"]
            self._shares += share
        self._pending.clear()

    def _term(self, values: Mapping[str, float]) -> str:
        """Return the name of the external loss term that is (or may be) not finite; empty if there is none."""
        if len(self._terms) > 1:
            broken = [name for name in self._terms if not math.isfinite(values[f"loss_{name}"])]
        else:
            broken = list(self._terms)
        return next((name for name in broken if name.startswith(FAMILY)), "")

    def _on_host(self) -> list[dict[str, float]]:
        """Return the values of the pending losses, copied at once."""
        tensors = [value.reshape(()) for *_, values in self._pending for value in values.values()]
        numbers = iter(torch.stack(tensors).tolist() if tensors else ())
        return [{name: next(numbers) for name in values} for *_, values in self._pending]

    def state(self) -> dict[str, Any]:
        """Return the state for resuming within the epoch; times continue from their values."""
        self.check()
        kept = ("epoch", "waited", "images", "batches", "last_loss", "learning_rate", "_sums", "_shares")
        return {name: getattr(self, name) for name in kept} | {"seconds": time.perf_counter() - self.started}

    @classmethod
    def resumed(cls, state: Mapping[str, Any], terms: tuple[str, ...]) -> EpochMeter:
        """Return the meter restored from a state."""
        meter = cls(state["epoch"], terms)
        for name, value in state.items():
            if name != "seconds":
                setattr(meter, name, value)
        meter.started -= state["seconds"]
        return meter

    def totals(self) -> Totals:
        """Return this process's totals of the epoch."""
        return Totals(self.images, self._shares, dict(self._sums))

    def line(self, step: int, parts: Sequence[Totals]) -> dict[str, float]:
        """Return the epoch's line of the history, from the totals of all processes."""
        seconds = time.perf_counter() - self.started
        shares, images = sum(part.shares for part in parts), sum(part.images for part in parts)
        means = {name: sum(part.sums[name] for part in parts) / shares for name in self._sums}
        return {
            "epoch": self.epoch,
            "step": step,
            "learning_rate": self.learning_rate,
            **means,
            "images_per_second": images / seconds,
            "data_wait_share": self.waited / seconds,
            "seconds": seconds,
        }
