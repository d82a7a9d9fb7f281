"""Times the forward pass, with or without the conversion of scores to a label map."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from segbench.engine.device import ComputeConfig
from segbench.engine.evaluation.predictor import resized
from segbench.results.speed.record import Output, Restart, SpeedCase
from segbench.speed.measure.execution_modes import Forward, executed, replays
from segbench.speed.measure.inputs import dtype_of, random_batches
from segbench.speed.measure.memory import reset_peak
from segbench.speed.measure.sampling import Prepared, sampled
from segbench.speed.measure.timer import Timer


def time_inference(
    network: nn.Module, case: SpeedCase, *, arithmetic: ComputeConfig, timer: Timer, resident_before: int | None
) -> Restart:
    """Time calls of a network on random images that are already on the device.

    Args:
        network: On the CPU, with any weights.
        case: The case to time.
        arithmetic: Device, precision and memory layout of the case.
        timer: Sets the time to spend.
        resident_before: Resident set before the network was built, in bytes.

    Raises:
        UnsupportedMode: The device has no such mode.
    """
    with inference_call(network, case, arithmetic=arithmetic) as call:
        return sampled(call, timer, resident_before=resident_before)


@contextmanager
def inference_call(network: nn.Module, case: SpeedCase, *, arithmetic: ComputeConfig) -> Iterator[Prepared]:
    """Return a function that makes one call of the case on the next batch.

    Raises:
        UnsupportedMode: The device has no such mode.
    """
    network = arithmetic.place(network.to(dtype_of(case)) if case.casting else network).eval()
    batches = random_batches(case, arithmetic)
    images = batches.next_images()
    with torch.inference_mode(), arithmetic.matrix_precision():
        if replays(case.mode):
            reset_peak(arithmetic.device)
        started = time.perf_counter()
        forward = executed(delivering(network, case, arithmetic), case.mode, batches.images[0])
        preparing = time.perf_counter() - started
        yield Prepared(lambda: forward(images()), case.mode, preparing, batches.spare_bytes)


def delivering(network: nn.Module, case: SpeedCase, arithmetic: ComputeConfig) -> Forward:
    """Return the forward pass with the output that the case asks for."""

    def forward(images: Tensor) -> Tensor:
        with arithmetic.autocast():
            logits: Tensor = network(images)
        if case.output is Output.LOGITS:
            return logits
        if case.output is Output.LABELS:
            logits = resized(logits.float(), case.label_size or case.size)
        return logits.argmax(1)

    return forward
