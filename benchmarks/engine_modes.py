"""Tells what compiling, bf16 and the layout of memory are worth in training, and holds each against a bare loop.

    python benchmarks/engine_modes.py [--device cuda] [--models all | --models unet,fcn8s] [--size 360x480] [--width 1]

For every network, in the modes `eager fp32` and `eager bf16`, both also with channels last, and `compile bf16`: images
a second of the engine's training step and of a bare PyTorch loop on the same tensors on the device, timed in turn, and
the median and range of the rounds' ratios. `gain` is the engine's images a second over those of the first mode. A
network that cannot be trained in some mode has a line that says why. Ends with 1 if a step takes more than 3 % longer
than the bare loop's, or nothing could be measured.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import torch
from engine_throughput import CLASSES, Fixed, Timed, per_image, training
from torch import nn

from segbench.cli.terminal.output import write_table
from segbench.config.component import ModelEntry
from segbench.config.load import check_part
from segbench.engine.device import ComputeConfig, choose_device
from segbench.models.build import build_network
from segbench.registry import MODELS
from segbench.results.environment import capture

MOST = 1.03
"""Times the bare loop's time."""


class Mode(NamedTuple):
    """A way to train."""

    name: str
    precision: str
    channels_last: bool
    compiled: bool


MODES = (
    Mode("eager fp32", "fp32", channels_last=False, compiled=False),
    Mode("eager fp32, channels last", "fp32", channels_last=True, compiled=False),
    Mode("eager bf16", "bf16", channels_last=False, compiled=False),
    Mode("eager bf16, channels last", "bf16", channels_last=True, compiled=False),
    Mode("compile bf16, channels last", "bf16", channels_last=True, compiled=True),
)


class Found(NamedTuple):
    """Images a second, and the ratios of the two times, round by round."""

    ours: float
    bare: float
    ratios: list[float]


def main() -> int:
    arguments = _arguments()
    device = choose_device(arguments.device)
    rows, kept, figures = [], True, 0
    for model in MODELS.complete_names() if arguments.models == "all" else arguments.models.split(","):
        reference = None
        for mode, found in measured(model, device, arguments):
            if isinstance(found, str):
                rows.append([model, mode, "", "", "", "", found])
                continue
            figures += 1
            reference = found.ours if mode == MODES[0].name else reference
            ratio = statistics.median(found.ratios)
            kept &= ratio <= MOST
            spread = f"{min(found.ratios):.3f} to {max(found.ratios):.3f}"
            gain = "" if reference is None else f"{found.ours / reference:.2f}"
            rows.append([model, mode, f"{found.ours:.4g}", f"{found.bare:.4g}", f"{ratio:.3f}", spread, gain])
            print("; ".join(rows[-1]), flush=True)
    columns = ["network", "mode", "img/s", "bare img/s", "time ratio", "range", "gain"]
    write_table(columns, rows, right=["img/s", "bare img/s", "time ratio", "gain"])
    environment = capture(str(device))
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else environment["processor"]
    print(
        f"training steps of {arguments.batch} images at {arguments.size}, {CLASSES} classes, {arguments.rounds} rounds "
        f"in turn; at most {MOST:g} times the bare loop's time wanted\n"
        f"{name}, {environment['cores']} cores, torch {environment['versions']['torch']}"
    )
    return 0 if kept and figures else 1


def measured(model: str, device: torch.device, arguments: argparse.Namespace) -> Iterator[tuple[str, Found | str]]:
    """Yield what each mode gave, or why it gave nothing."""
    for mode in MODES:
        if arguments.modes and not any(mode.name.startswith(wanted) for wanted in arguments.modes.split(",")):
            continue
        try:
            yield mode.name, trained(model, mode, device, arguments)
        except Exception as error:  # one network's fault must not stop the others
            yield mode.name, f"{type(error).__name__}: {' '.join(str(error).split())[:60]}"
        torch.compiler.reset()
        gc.collect()  # so that nothing of this mode takes memory from the next
        if device.type == "cuda":
            torch.cuda.empty_cache()


def trained(model: str, mode: Mode, device: torch.device, arguments: argparse.Namespace) -> Found:
    """Train a network in one mode, by the engine and by a bare loop."""
    height, width = (int(side) for side in arguments.size.split("x"))
    compute = ComputeConfig(device, mode.precision, mode.channels_last)  # type: ignore[arg-type]
    with compute.matrix_precision():
        fixed = Fixed(compute, size=(height, width), count=arguments.batch, steps=arguments.steps)
        pair = training(partial(network, model, arguments.width), fixed, compute, compiled=mode.compiled)
        return compared(*pair, arguments)


def network(model: str, width: float | None) -> nn.Module:
    entry = check_part(ModelEntry, {"name": model, **({} if width is None else {"width": width})})
    return build_network(entry, classes=CLASSES, channels=3, seed=0)


def compared(ours: Timed, bare: Timed, arguments: argparse.Namespace) -> Found:
    """Time both in turn, after an epoch each that does not count."""
    for timed in (ours, bare):
        timed()
    times = []
    for number in range(arguments.rounds):
        order = (ours, bare) if number % 2 else (bare, ours)
        seconds = {timed: per_image(timed, arguments.seconds) for timed in order}
        times.append((seconds[ours], seconds[bare]))
    mine, theirs = (statistics.median(column) for column in zip(*times, strict=True))
    return Found(1 / mine, 1 / theirs, [first / second for first, second in times])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--models", default="all")
    parser.add_argument("--width", type=float, help="of networks that have one; the paper's by default")
    parser.add_argument("--modes", help="beginnings of their names; all by default")
    parser.add_argument("--size", default="360x480")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each side in a round")
    parser.add_argument("--steps", type=int, default=20, help="of an epoch: the device is waited for at its end")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
