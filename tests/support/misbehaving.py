"""Networks that go wrong in ways that a benchmark has to survive; named in suites by import path."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import torch
from torch import nn


class Killed(nn.Conv2d):
    """Its process is killed, as when memory runs out."""

    def forward(self, images):
        os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(images)


class Raising(nn.Conv2d):
    """Fails in its forward pass."""

    def forward(self, images):
        raise RuntimeError("the flux capacitor is empty")


class Diverging(nn.Conv2d):
    """Its output becomes NaN in the second step."""

    steps = 0

    def forward(self, images):
        self.steps += self.training
        return super().forward(images) * (float("nan") if self.steps > 1 else 1.0)


class Greedy(nn.Conv2d):
    """Asks for more memory than any machine has."""

    def forward(self, images):
        return super().forward(images) + torch.empty(2**50).sum()


class TooManyClasses(nn.Conv2d):
    """Gives one class more than it should."""

    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs + 1, 1)


class LookingAtValues(nn.Conv2d):
    """Cannot be built without memory: its constructor looks at numbers."""

    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs, 1)
        self.rates = [step.item() for step in torch.linspace(0, 1, 3)]


class WithoutWeights(nn.Module):
    """Has nothing to train."""

    def __init__(self, classes):
        super().__init__()
        self.classes = classes

    def forward(self, images):
        return images.mean(1, keepdim=True).repeat(1, self.classes, 1, 1)


class Float32Alone(nn.Conv2d):
    """Computes in float32, whatever its weights are."""

    def forward(self, images):
        return super().forward(images.float())


def float32_alone(classes, channels=3):
    return Float32Alone(channels, classes, 1)


def looking_at_values(classes, channels=3):
    return LookingAtValues(channels, classes)


def without_weights(classes, channels=3):
    return WithoutWeights(classes)


def killed(classes, channels=3):
    return Killed(channels, classes, 1)


def raising(classes, channels=3):
    return Raising(channels, classes, 1)


def diverging(classes, channels=3):
    return Diverging(channels, classes, 1)


def greedy(classes, channels=3):
    return Greedy(channels, classes, 1)


def too_many_classes(classes, channels=3):
    return TooManyClasses(channels, classes)


def pointwise(classes, channels=3):
    return nn.Conv2d(channels, classes, 1)


class Endless(nn.Conv2d):
    """Never finishes its first step."""

    def forward(self, images):
        time.sleep(3600)
        return super().forward(images)


def endless(classes, channels=3):
    return Endless(channels, classes, 1)


def raising_in(classes, channels, *, where):
    """Fails in training, in the process of one rank among several."""

    class RaisingIn(nn.Conv2d):
        def forward(self, images):
            if self.training and where == int(os.environ.get("RANK", "0")):
                raise ValueError("on purpose")
            return super().forward(images)

    return RaisingIn(channels, classes, 1)


class ClosedWayBack(torch.autograd.Function):
    """Passes forward, and fails in the backward pass."""

    @staticmethod
    def forward(context, images):
        return images.clone()

    @staticmethod
    def backward(context, gradients):
        raise RuntimeError("the way back is closed")


def raising_backward(classes, channels=3):
    """Fails in its backward pass, when some gradients are known already."""

    class RaisingBackward(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Conv2d(channels, classes, 1), nn.Conv2d(classes, classes, 1)

        def forward(self, images):
            return self.last(ClosedWayBack.apply(self.first(images)))

    return RaisingBackward()


class Slow(nn.Conv2d):
    """Takes half a second for every batch."""

    def forward(self, images):
        time.sleep(0.5)
        return super().forward(images)


def slow(classes, channels=3):
    return Slow(channels, classes, 1)


class NotFinite(nn.Conv2d):
    """Gives NaN in one pixel."""

    def forward(self, images):
        logits = super().forward(images).clone()
        logits[0, 0, 0, 0] = float("nan")
        return logits


class Coarse(nn.Conv2d):
    """Computes float32 in half of its digits, and float64 in all."""

    def forward(self, images):
        logits = super().forward(images)
        return logits.bfloat16().to(logits.dtype) if logits.dtype == torch.float32 else logits


class Whimsical(nn.Conv2d):
    """Adds noise that no seed decides, in training alone."""

    def forward(self, images):
        logits = super().forward(images)
        generator = torch.Generator()
        generator.seed()
        return logits + torch.randn(logits.shape, generator=generator) if self.training else logits


class Refusing(nn.Conv2d):
    """Takes an operator that has no deterministic implementation, as CUDA's max_unpool2d has none."""

    def forward(self, images):
        if torch.are_deterministic_algorithms_enabled():
            raise RuntimeError(
                "max_unpooling2d_forward_out does not have a deterministic implementation, but you set "
                "'torch.use_deterministic_algorithms(True)'."
            )
        return super().forward(images)


class Aborting(nn.Conv2d):
    """Ends its process, as an assertion in a library does."""

    def forward(self, images):
        os.abort()


class OutOfMemory(nn.Conv2d):
    """Runs out of memory, which it says as CUDA does."""

    def forward(self, images):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def not_finite(classes, channels=3):
    return NotFinite(channels, classes, 1)


def coarse(classes, channels=3):
    return Coarse(channels, classes, 1)


def whimsical(classes, channels=3):
    return Whimsical(channels, classes, 1)


def refusing(classes, channels=3):
    return Refusing(channels, classes, 1)


def aborting(classes, channels=3):
    return Aborting(channels, classes, 1)


def out_of_memory(classes, channels=3):
    return OutOfMemory(channels, classes, 1)


class NaNInTraining(nn.Conv2d):
    """Gives NaN in training, and numbers in evaluation."""

    def forward(self, images):
        return super().forward(images) * (float("nan") if self.training else 1.0)


def nan_in_training(classes, channels=3):
    return NaNInTraining(channels, classes, 1)


def never_working(classes, in_channels):
    """Return a network that takes images of no size."""
    return Raising(in_channels, classes, 1)


class Wandering(nn.Conv2d):
    """Leaves the working directory, where results and data may lie."""

    def forward(self, images):
        os.chdir("/")
        return super().forward(images)


def wandering(classes, channels=3):
    return Wandering(channels, classes, 1)


class LeavingAThread(nn.Conv2d):
    """Leaves a thread behind that never ends."""

    def forward(self, images):
        if not any(thread.name == "left" for thread in threading.enumerate()):
            threading.Thread(target=time.sleep, args=(3600,), name="left").start()
        return super().forward(images)


def leaving_a_thread(classes, channels=3):
    return LeavingAThread(channels, classes, 1)


class Forking(nn.Conv2d):
    """Leaves a child process behind."""

    def forward(self, images):
        if not self.training and os.fork() == 0:
            time.sleep(30)
            os._exit(0)
        return super().forward(images)


def forking(classes, channels=3):
    return Forking(channels, classes, 1)


class Leaving(nn.Conv2d):
    """Ends its process as scripts do."""

    def forward(self, images):
        raise SystemExit("over")


def leaving(classes, channels=3):
    return Leaving(channels, classes, 1)


class KilledOnce(nn.Sequential):
    """Its process is killed in the fourth step of its first training; a file in the working directory remembers it."""

    steps = 0

    def forward(self, images):
        self.steps += self.training
        if self.training and self.steps == 4 and not Path("killed-once").exists():
            Path("killed-once").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(images)


def killed_once(classes, channels=3):
    return KilledOnce(
        nn.Conv2d(channels, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.3), nn.Conv2d(6, classes, 1)
    )
