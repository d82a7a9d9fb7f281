"""Pytest plugin: the fixture ``speed_case`` times a speed case with pytest-benchmark.

    def test_unet(speed_case):
        speed_case({"name": "unet", "width": 0.25}, size=(128, 128))

Every round waits for the accelerator. ``extra_info`` holds the case and the machine, so ``segbench regress check`` can
read the output of ``--benchmark-json``. Slow imports happen only when the fixture is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    import torch

    from segbench.results.speed.record import SpeedCase


class TimeCase(Protocol):
    """Times one case with pytest-benchmark."""

    def __call__(self, model: Mapping[str, Any] | SpeedCase, *, device: str | None = None, **fields: Any) -> None:
        """Time a case.

        Args:
            model: A network's name and options as in a suite, or a complete case.
            device: auto, cpu, cuda, cuda:N or mps. Default: the device of a complete case, else cpu.
            fields: Fields of ``SpeedCase`` that differ from the default: inference of one 128x128 image in fp32 on one
                thread.
        """


@pytest.fixture
def speed_case(request: pytest.FixtureRequest) -> TimeCase:
    """Time speed cases as benchmarks; needs pytest-benchmark."""
    if not request.config.pluginmanager.hasplugin("benchmark"):
        pytest.skip("needs pytest-benchmark: pip install pytest-benchmark")
    benchmark = request.getfixturevalue("benchmark")

    def time_case(model: Mapping[str, Any] | SpeedCase, *, device: str | None = None, **fields: Any) -> None:
        from segbench.engine.device import use_device
        from segbench.errors import UsageError
        from segbench.results.speed.record import SpeedCase

        whole = model if isinstance(model, SpeedCase) else None
        chosen = use_device(device or (whole.device if whole else "cpu"))
        if whole and whole.device != chosen.type:
            raise UsageError(f"{whole.key}: is a case for {whole.device}, and device is {device!r}")
        _time(benchmark, whole or _case(model, chosen.type, fields), chosen)

    return time_case


def _case(model: Mapping[str, Any] | SpeedCase, kind: str, fields: Mapping[str, Any]) -> SpeedCase:
    from segbench.config.component import ModelEntry
    from segbench.config.load import check_part
    from segbench.results.speed.record import SpeedCase, speed_model

    entry = check_part(ModelEntry, dict(model))
    defaults = {
        "task": "inference",
        "label": entry.label,
        "model": speed_model(entry.name, entry.settings),
        "classes": 21,
        "channels": 3,
        "size": (128, 128),
        "batch_size": 1,
        "precision": "fp32",
        "channels_last": False,
        "mode": "eager",
        "device": kind,
        "threads": 1 if kind == "cpu" else None,
    }
    return SpeedCase.model_validate(defaults | dict(fields))


@contextmanager
def _prepared(network: Any, case: SpeedCase, arithmetic: Any) -> Iterator[Any]:
    """Return the function that makes one call of a case."""
    from segbench.results.speed.record import Task
    from segbench.speed.measure.inference import inference_call
    from segbench.speed.measure.training import training_step

    if case.task is Task.INFERENCE:
        with inference_call(network, case, arithmetic=arithmetic) as prepared:
            yield prepared.call
    else:
        with training_step(network, case, arithmetic=arithmetic) as step:
            yield step


def _time(benchmark: Any, case: SpeedCase, device: torch.device) -> None:
    """Build the case, warm up until steady, and time the call with pytest-benchmark."""
    import torch

    from segbench.results.speed.baseline import CASE_KEY, ENVIRONMENT_KEY
    from segbench.speed.measure.case import arithmetic_of, built, fingerprint, set_threads
    from segbench.speed.measure.timer import Timer

    threads_before = torch.get_num_threads()
    set_threads(case.threads)
    try:
        timer = Timer(device)
        benchmark.extra_info[CASE_KEY] = case.model_dump(mode="json")
        benchmark.extra_info[ENVIRONMENT_KEY] = fingerprint(str(device), case.threads)
        benchmark.extra_info["case"] = case.key
        with _prepared(built(case), case, arithmetic_of(case, device)) as call:
            warmup = timer.warm_up(call)
            benchmark.extra_info["not_steady"] = not warmup.steady
            benchmark(timer.once, call)
    finally:
        torch.set_num_threads(threads_before)
