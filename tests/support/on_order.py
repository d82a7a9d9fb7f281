"""A network that misbehaves when a file in the working directory says so; without the file it trains as any other."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from torch import nn

ORDER = "order.json"
"""The file: ``{"width": of which network, "step": from which on, "what": one of ORDERS}``."""

_MOST_BYTES = 2**32
_CHUNK_BYTES = 2**24


class UnforeseenError(BaseException):
    """What no library raises."""


def _raise(error: BaseException) -> None:
    raise error


def _sleep() -> None:
    time.sleep(3600)


def _leave_a_process() -> None:
    if os.fork() == 0:
        time.sleep(60)
        os._exit(0)


def _leave_a_thread() -> None:
    threading.Thread(target=_sleep).start()


def _fill_memory() -> None:
    held = []
    while len(held) * _CHUNK_BYTES < _MOST_BYTES:
        held.append(b"x" * _CHUNK_BYTES)
    raise AssertionError("memory was to run out; nothing limits it here")


def _fill_address_space() -> None:
    now = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (now + 8 * _CHUNK_BYTES, resource.RLIM_INFINITY))
    _fill_memory()


ORDERS: dict[str, Callable[[], None]] = {
    "SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "memory": _fill_memory,
    "address space": _fill_address_space,
    "hang": _sleep,
    "fork": _leave_a_process,
    "thread": _leave_a_thread,
    "chdir": lambda: os.chdir("/"),
    "SystemExit": lambda: _raise(SystemExit("over")),
    "KeyboardInterrupt": lambda: _raise(KeyboardInterrupt()),
    "GeneratorExit": lambda: _raise(GeneratorExit()),
    "UnforeseenError": lambda: _raise(UnforeseenError("nobody saw this coming")),
    "abort": os.abort,
    "segmentation fault": lambda: ctypes.string_at(0) and None,
    "exit 0": lambda: os._exit(0),
    "exit 7": lambda: os._exit(7),
    "nan": lambda: None,
}


class OnOrder(nn.Sequential):
    """Two convolutions, batch norm and dropout, so that a resumed training has everything to restore."""

    def __init__(self, channels: int, width: int, classes: int) -> None:
        super().__init__(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Conv2d(width, classes, 1),
        )
        file = Path(ORDER)
        order = json.loads(file.read_text()) if file.exists() else {}
        self.order = order if order.get("width") == width else {}
        self.steps = 0

    def forward(self, images):
        self.steps += self.training
        ordered = self.order and self.training and self.steps >= self.order["step"]
        if ordered and self.steps == self.order["step"]:
            ORDERS[self.order["what"]]()
        logits = super().forward(images)
        return logits * float("nan") if ordered and self.order["what"] == "nan" else logits


def network(classes, channels=3, width=4):
    return OnOrder(channels, width, classes)
