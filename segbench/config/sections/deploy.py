"""The ``deploy`` block: trained networks in other runtimes, at other precisions, pruned."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from segbench.config.sections.training import Pixels, Section

Runtime = Literal["eager", "compile", "onnxruntime", "openvino", "tensorrt", "torchao"]
TargetPrecision = Literal["fp32", "bf16", "fp16", "int8"]

PRECISIONS: dict[str, tuple[str, ...]] = {
    "eager": ("fp32", "bf16", "fp16"),
    "compile": ("fp32", "bf16", "fp16"),
    "onnxruntime": ("fp32", "fp16", "int8"),
    "openvino": ("fp32", "bf16", "fp16", "int8"),
    "tensorrt": ("fp32", "fp16", "int8"),
    "torchao": ("int8",),
}
"""Which precisions each runtime has; the first is its default."""

REFERENCE = "eager-fp32"
"""The target that all others are compared with."""


class Target(Section):
    """A form in which networks are deployed, written ``onnxruntime``, ``onnxruntime:int8`` or as a mapping."""

    runtime: Runtime
    """What runs the network."""
    precision: TargetPrecision = "fp32"
    """``int8`` is the runtime's own post-training quantisation; torchao has no other."""
    prune: float | None = Field(default=None, gt=0, lt=1)
    """The share of channels that is pruned, such as 0.5, before a short fine-tuning."""

    @model_validator(mode="before")
    @classmethod
    def _written_short(cls, given: Any) -> Any:
        if isinstance(given, str):
            runtime, _, precision = given.partition(":")
            given = {"runtime": runtime.strip(), **({"precision": precision.strip()} if precision else {})}
        if isinstance(given, Mapping) and given.get("runtime") in PRECISIONS and "precision" not in given:
            given = {**given, "precision": PRECISIONS[str(given["runtime"])][0]}
        return given

    @model_validator(mode="after")
    def _precision_of_the_runtime(self) -> Target:
        known = PRECISIONS[self.runtime]
        if self.precision not in known:
            raise ValueError(f"{self.runtime} has no {self.precision}, only {', '.join(known)}")
        return self

    @property
    def key(self) -> str:
        """Names its files, such as ``onnxruntime-int8`` or ``eager-fp32-pruned-0.5``."""
        return f"{self.runtime}-{self.precision}" + ("" if self.prune is None else f"-pruned-{self.prune:g}")

    def __str__(self) -> str:
        return f"{self.runtime} {self.precision}" + ("" if self.prune is None else f", {100 * self.prune:g} % pruned")


def _also_short(schema: dict[str, Any]) -> None:
    """Extend the JSON Schema of a list of targets to also accept texts, such as ``onnxruntime:int8``."""
    texts = [f"{runtime}:{precision}" for runtime, known in PRECISIONS.items() for precision in known]
    schema["items"] = {"anyOf": [{"enum": [*PRECISIONS, *texts]}, schema["items"]]}


_USUAL = ("eager", "compile", "onnxruntime", "onnxruntime:int8", "openvino", "openvino:int8")


class Deploy(Section):
    """In which forms trained networks are tested beside their own; changes no score of the leaderboard."""

    targets: Annotated[tuple[Target, ...], Field(min_length=1, json_schema_extra=_also_short)] = _USUAL  # type: ignore[assignment]
    """The runtimes and precisions. ``eager`` at fp32, which all are compared with, is always one of them."""
    images: Annotated[int, Field(ge=1)] | None = None
    """How many test images are taken, the same for every network and target; all by default."""
    calibration_images: int = Field(default=32, ge=1)
    """How many training images int8 is calibrated on; always the same ones."""
    fine_tune: float = Field(default=0.1, ge=0, le=1)
    """How long pruned networks are trained, as a share of the suite's recipe; 0 for not at all."""
    batch_sizes: Annotated[tuple[Pixels, ...], Field(min_length=1)] = (1,)
    """Images of a timed call. The smallest gives the latency."""
    restarts: int = Field(default=3, ge=1)
    """Fresh processes in which each is timed."""
    seconds: float = Field(default=2.0, gt=0)
    """Time for the samples of one process."""

    @field_validator("targets")
    @classmethod
    def _with_the_reference(cls, given: tuple[Target, ...]) -> tuple[Target, ...]:
        keys = [target.key for target in given]
        for place, key in enumerate(keys):
            if key in keys[:place]:
                raise ValueError(f"{given[place]} is listed twice")
        reference = Target(runtime="eager")
        return (reference, *(target for target in given if target.key != REFERENCE))


def read_targets(text: str) -> list[str | dict[str, Any]]:
    """Return the targets of a command's option, such as ``onnxruntime:int8,eager/0.5`` (pruned by a half)."""
    found: list[str | dict[str, Any]] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        pruned = re.fullmatch(r"([^/]+)/([\d.]+)", part)
        if pruned is None:
            found.append(part)
            continue
        runtime, _, precision = pruned[1].partition(":")
        found.append({"runtime": runtime, **({"precision": precision} if precision else {}), "prune": pruned[2]})
    return found
