"""One case of a gate: a network, its input, and how it is computed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from segbench.errors import UsageError

if TYPE_CHECKING:
    from segbench.config.sections.training import Precision


class Activity(StrEnum):
    """What is timed."""

    INFERENCE = "inference"
    TRAINING = "training"


@dataclass(frozen=True)
class GateCase:
    """One network with its input size, precision and device.

    Attributes:
        model: The entry as in a suite: ``name``, options, and optionally a ``label``. Without defaults, since each side
            fills in its own.
        classes: Classes of the logits.
        channels: Channels of the images.
        size: Height and width of the images.
        batch: Images in one forward pass.
        precision: fp32, tf32, bf16 or fp16.
        channels_last: Whether images and weights are laid out with channels last.
        threads: CPU threads that one operation may use.
        what: Forward passes or whole training steps.
        device: cpu, cuda or cuda:N; ``cuda`` becomes ``cuda:0``, the current device of a fresh process.

    Raises:
        UsageError: The model has no name, or a number is not positive.
    """

    model: Mapping[str, Any]
    classes: int = 21
    channels: int = 3
    size: tuple[int, int] = (128, 128)
    batch: int = 1
    precision: Precision = "fp32"
    channels_last: bool = False
    threads: int = 1
    what: Activity = Activity.INFERENCE
    device: str = "cpu"

    def __post_init__(self) -> None:
        if not isinstance(self.model.get("name"), str):
            raise UsageError(f"a case's model is {dict(self.model)!r}; expected a mapping with a name")
        if not re.fullmatch(r"cpu|cuda(:\d+)?", self.device):
            raise UsageError(f"{self.label}: a gate measures on cpu, cuda or cuda:N, not on {self.device!r}")
        if self.device == "cuda":
            object.__setattr__(self, "device", "cuda:0")
        numbers = {"classes": self.classes, "channels": self.channels, "batch": self.batch, "threads": self.threads}
        for name, value in {**numbers, "height": self.size[0], "width": self.size[1]}.items():
            if value < 1:
                raise UsageError(f"{self.label}: {name} is {value}; expected 1 or more")

    @property
    def label(self) -> str:
        """Name of the network."""
        return str(self.model.get("label") or self.model["name"])

    @property
    def key(self) -> str:
        """Unique name of the case within a gate."""
        height, width = self.size
        parts = [self.label, f"{self.channels}x{height}x{width}", f"b{self.batch}", self.precision, self.device]
        parts += [self.what] if self.what is not Activity.INFERENCE else []
        parts += ["channels_last"] if self.channels_last else []
        return " ".join([*parts, f"{self.threads}t", f"{self.classes}c"])

    def document(self) -> dict[str, Any]:
        """Return the case as JSON types, for workers and files."""
        return {**asdict(self), "model": dict(self.model), "size": list(self.size), "what": str(self.what)}


def check_cases(cases: tuple[GateCase, ...]) -> tuple[GateCase, ...]:
    """Return the cases of a gate after checking that their keys are unique.

    Raises:
        UsageError: There is no case, or two have the same key.
    """
    if not cases:
        raise UsageError("there is no case to measure; name a model")
    keys = [case.key for case in cases]
    for key in keys:
        if keys.count(key) > 1:
            raise UsageError(f"two cases are called {key!r}; give their models labels of their own")
    return cases
