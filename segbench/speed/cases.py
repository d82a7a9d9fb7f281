"""Expands a suite's ``speed:`` block into the cases to time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal, NamedTuple

from segbench.config.component import ModelEntry
from segbench.config.plan import Run, plan
from segbench.config.sections.training import HALF_PRECISIONS, Precision
from segbench.config.suite import Speed, Suite, Train
from segbench.engine.run.data import RunData, open_run_data
from segbench.engine.suite.selection import chosen
from segbench.results.speed.record import Output, SpeedCase, Task, speed_model

FIRST_OF_SWEEP = 1


@dataclass(frozen=True)
class PlannedCase:
    """A case to measure.

    Attributes:
        case: The case.
        run: The run whose data is loaded; only for the task ``loading``.
        sweeps: Whether to double the batch size while throughput rises.
    """

    case: SpeedCase
    run: Run | None = None
    sweeps: bool = False


@dataclass(frozen=True)
class Inputs:
    """Sizes of the networks' inputs.

    Attributes:
        classes: Number of classes.
        channels: Number of image channels.
        test_size: Height and width of an image in inference.
        training_size: Height and width of an image in a training step.
        label_size: Height and width of a label.
    """

    classes: int
    channels: int
    test_size: tuple[int, int]
    training_size: tuple[int, int]
    label_size: tuple[int, int]


def suite_cases(suite: Suite, *, device: str, models: Sequence[str] | None = None) -> list[PlannedCase]:
    """Return the cases of a suite, in the order task, model, options.

    Args:
        suite: The suite; without a ``speed:`` block, its defaults are used.
        device: cpu, cuda or mps.
        models: Labels or names of models; all by default.

    Raises:
        UsageError: Data is missing, or a model is unknown.
    """
    speed = suite.speed or Speed()
    runs = chosen(plan(suite), models, None)
    first = runs[0]
    materials = open_run_data(first)
    inputs = _inputs(materials, speed)
    entries = list({run.model.model_dump_json(): run.model for run in runs}.values())
    train, evaluate = first.recipe.train, first.recipe.evaluate
    precision: Precision = evaluate.precision or (train.precision if train else "fp32")
    layout = train.channels_last if train else False
    found: list[PlannedCase] = []
    if "inference" in speed.tasks:
        found += _inference(entries, speed, inputs, device=device, precision=precision, channels_last=layout)
    if "training" in speed.tasks and train is not None:
        found += [
            _training(entry, speed, inputs, train, device=device, mode=mode)
            for entry in entries
            for mode in _training_modes(train, speed)
        ]
    if "loading" in speed.tasks and train is not None:
        found.append(_loading(first, speed, inputs, train))
    return found


def model_cases(
    entries: Sequence[ModelEntry], speed: Speed, inputs: Inputs, *, device: str, train: Train
) -> list[PlannedCase]:
    """Return cases for networks without a suite: inference, and training steps with a given recipe."""
    found: list[PlannedCase] = []
    if "inference" in speed.tasks:
        found += _inference(entries, speed, inputs, device=device, precision="fp32", channels_last=False)
    if "training" in speed.tasks:
        found += [
            _training(entry, speed, inputs, train, device=device, mode=mode)
            for entry in entries
            for mode in speed.modes
        ]
    return found


def _training_modes(train: Train, speed: Speed) -> tuple[str, ...]:
    """Return the execution modes of training steps: the recipe's if it compiles, else the block's."""
    if not train.compile:
        return speed.modes
    return ("compile",) if isinstance(train.compile, bool) else (f"compile:{train.compile}",)


def _inputs(materials: RunData, speed: Speed) -> Inputs:
    label = materials.test.read(0).label.shape
    test = speed.size or materials.first_test_size()
    return Inputs(
        classes=len(materials.info.classes),
        channels=materials.info.channels,
        test_size=test,
        training_size=speed.size or materials.first_training_size() or test,
        label_size=(int(label[0]), int(label[1])),
    )


def _inference(
    entries: Sequence[ModelEntry],
    speed: Speed,
    inputs: Inputs,
    *,
    device: str,
    precision: Precision,
    channels_last: bool,
) -> list[PlannedCase]:
    sweeps = speed.batch_sizes == "sweep"
    batches = (FIRST_OF_SWEEP,) if isinstance(speed.batch_sizes, str) else speed.batch_sizes
    combinations = product(
        entries,
        _arithmetics(speed, precision),
        speed.channels_last or (channels_last,),
        speed.modes,
        map(Output, speed.outputs),
        batches,
    )
    return [
        PlannedCase(
            SpeedCase(
                task=Task.INFERENCE,
                label=entry.label,
                model=speed_model(entry.name, entry.settings),
                classes=inputs.classes,
                channels=inputs.channels,
                size=inputs.test_size,
                label_size=inputs.label_size if output is Output.LABELS else None,
                batch_size=batch,
                precision=arithmetic.precision,
                casting=arithmetic.casting,
                channels_last=layout,
                mode=mode,
                output=output,
                device=device,
                threads=speed.threads if device == "cpu" else None,
            ),
            sweeps=sweeps,
        )
        for entry, arithmetic, layout, mode, output, batch in combinations
    ]


class _Arithmetic(NamedTuple):
    """A precision of inference, and whether weights are cast before timing."""

    precision: Precision
    casting: Literal["weights"] | None = None


def _arithmetics(speed: Speed, precision: Precision) -> list[_Arithmetic]:
    """Return all precisions of inference; bf16 and fp16 occur once for each way of casting."""
    found: list[_Arithmetic] = []
    for name in speed.precisions or (precision,):
        ways = speed.casting if name in HALF_PRECISIONS else ("autocast",)
        found += [_Arithmetic(name, "weights" if way == "weights" else None) for way in ways]
    return found


def _training(entry: ModelEntry, speed: Speed, inputs: Inputs, train: Train, *, device: str, mode: str) -> PlannedCase:
    kept = ("loss", "optimizer", "clip_gradient_norm", "batch_size", "precision", "channels_last")
    recipe = {key: value for key, value in train.model_dump(mode="json").items() if key in kept}
    if isinstance(train.accumulate, int) and train.accumulate > 1:
        recipe["accumulate"] = train.accumulate
    if train.auxiliary is not None:
        recipe["auxiliary"] = train.model_dump(mode="json")["auxiliary"]
    return PlannedCase(
        SpeedCase(
            task=Task.TRAINING,
            label=entry.label,
            model=speed_model(entry.name, entry.settings),
            classes=inputs.classes,
            channels=inputs.channels,
            size=inputs.training_size,
            batch_size=train.batch_size,
            precision=train.precision,
            channels_last=train.channels_last,
            mode=mode,
            device=device,
            threads=speed.threads if device == "cpu" else None,
            recipe=recipe | {"steps": 1},
        )
    )


def _loading(run: Run, speed: Speed, inputs: Inputs, train: Train) -> PlannedCase:
    document = run.recipe.canonical()
    return PlannedCase(
        SpeedCase(
            task=Task.LOADING,
            label=run.recipe.dataset.name,
            model={},
            classes=inputs.classes,
            channels=inputs.channels,
            size=inputs.training_size,
            batch_size=train.batch_size,
            precision="fp32",
            channels_last=False,
            mode="eager",
            device="cpu",
            threads=speed.threads,
            workers=run.loader.workers,
            recipe={
                "dataset": document["dataset"],
                "transforms": document["transforms"]["train"],
                "cache": run.loader.cache,
            },
        ),
        run=run,
    )
